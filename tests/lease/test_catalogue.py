"""Failures of other lease systems, and of the predecessor: one test each."""
import os
import subprocess
import sys
import threading
import time

import apsw
import pytest

from leasing import (acquire, events, guarded, held, holds, l, load, once,
                     plain, refused, release, renew, says, start, steal, value,
                     write, HEAD)  # noqa: F401


# ---- services of coordination -----------------------------------------------

@once
def test_etcd_21389_a_renewal_races_a_revocation(db):
    """A renewal slipped between 'keys deleted' and 'lease removed': the client
    got a TTL and its keys were gone.  Here either is one transaction: who is
    told that it renewed held the lease then, and nothing follows a release."""
    db.run("CREATE VIRTUAL TABLE l USING lease(max_renewals=0)")
    rounds, told = 40, []
    gate = threading.Barrier(2)

    def heart():
        connection = load(db.path)
        for i in range(rounds):
            gate.wait()
            told.append(value(connection, "SELECT lease_renew('l', ?, ?)",
                              (f"r{i}", i + 1)))
        connection.close()

    def revoke():
        connection = load(db.path)
        for i in range(rounds):
            assert value(connection, "SELECT lease_acquire('l', ?, 'a')",
                         (f"r{i}",)) == i + 1
            gate.wait()
            assert value(connection, "SELECT lease_release('l', ?, ?)",
                         (f"r{i}", i + 1)) == 1
        connection.close()

    threads = [threading.Thread(target=work) for work in (heart, revoke)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held(db) == []
    for i, expires_at in enumerate(told):
        kinds = [kind for kind, in db.run(
            "SELECT kind FROM l_event WHERE token = ? ORDER BY rowid",
            (i + 1,))]
        assert kinds == (["acquired", "released"] if expires_at is None else
                         ["acquired", "renewed", "released"])


@once
def test_etcd_11456_and_9921_a_waiter_whose_own_lease_ended(db):
    """A waiter was told 'you hold it' by a session that had expired while it
    waited.  Here the term begins with the grant, after the wait, whole."""
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=300)")
    acquire(db, "r", "a")
    until = db.value("SELECT expires_at FROM l_held")
    token = db.value("SELECT lease_acquire('l', 'r', 'b', 60000, 20000)")
    assert (token, holds(db, "r", token)) == (2, 1)
    begun, ends = db.run("SELECT acquired_at, expires_at FROM l_held")[0]
    assert begun >= until and ends == begun + 60000


def test_etcd_14019_listed_but_not_found(l):
    """For a day leases were listed that could be neither found nor revoked.
    Here the list and every decision make the same comparison."""
    for i, name in enumerate("rst"):
        acquire(l, name, "a", 0, 10 * (i + 1))
    for now in (0, 9, 10, 11, 19, 20, 29, 30, 31):
        listed = {row[0] for row in held(l, now)}
        l.reopen = False
        for token, name in enumerate("rst", 1):
            l.run("BEGIN")
            found = {holds(l, name, token, now),
                     int(renew(l, name, token, now) is not None),
                     release(l, name, token, now)}
            l.run("ROLLBACK")
            assert found == {int(name in listed)}


def test_etcd_17470_a_keep_alive_that_outlives_the_work(l):
    """A zombie's keep-alive held a lease for ever.  max_renewals ends it, by
    any way to renew; then the resource is free."""
    acquire(l, "r", "zombie", 0)
    assert renew(l, "r", 1, 900) == 1900
    assert acquire(l, "r", "zombie", 1800) == 1
    l.run("UPDATE l SET ttl_ms = 1000 WHERE token = 1 AND now = 2700")
    assert renew(l, "r", 1, 3600) is None
    assert acquire(l, "r", "zombie", 3600) is None
    l.fails("UPDATE l SET ttl_ms = 9 WHERE now = 3600",
            "r has been renewed 3 times, which is its max_renewals")
    assert acquire(l, "r", "b", 3700) == 2


def test_kubernetes_23731_and_67651_the_old_leader_is_not_told(l):
    """An old leader worked on, for nothing had called OnStoppedLeading.  Here
    it can ask in its own transaction, and is refused if it does not."""
    acquire(l, "leader", "a", 0)
    l.run("BEGIN IMMEDIATE")
    assert holds(l, "leader", 1, 900) == 1
    write(l, "leader", 1)
    l.run("COMMIT")
    assert acquire(l, "leader", "b", 1000) == 2
    assert holds(l, "leader", 1, 1000) == 0
    refused(l, "leader", 1)


# ---- queues of jobs ---------------------------------------------------------

def test_lion_reader_917_a_delayed_heartbeat_steals_the_lease_back(l):
    """A heartbeat asked only whether the job was running, so a stalled worker
    took it back from its successor.  A token renews its own term only."""
    acquire(l, "job", "a", 0)
    acquire(l, "job", "b", 1000)
    row = held(l, 1001)
    assert renew(l, "job", 1, 1001) is None
    l.run("UPDATE l SET ttl_ms = 5000 WHERE resource = 'job' AND token = 1"
          " AND now = 1001")
    assert acquire(l, "job", "a", 1001) is None
    assert held(l, 1001) == row


def test_aegra_547_the_same_name_again(l):
    """Fencing by the worker's name let a zombie's heartbeat, release and
    finish hit the term of the next worker of that name.  Terms are told
    apart by tokens, so all three fail."""
    acquire(l, "run", "worker-1", 0)
    write(l, "run", 1, "first")
    assert acquire(l, "run", "worker-1", 1000) == 2
    assert renew(l, "run", 1, 1001) is None
    assert release(l, "run", 1, 1001) == 0
    refused(l, "run", 1)
    assert held(l, 1001) == [("run", "worker-1", 2, 1000, 2000, 0)]
    write(l, "run", 2, "second")


def test_aegra_547_a_running_row_that_no_reaper_sees(l):
    """Rows that ran without a lease matched neither reaper's condition.  A
    guarded row cannot be written without one, and rows whose token holds no
    more are those without a partner in l."""
    acquire(l, "run", "a", 0)
    write(l, "run", 1)
    l.fails("INSERT INTO work(task) VALUES ('run')", "does not hold")
    orphans = ("SELECT task FROM work WHERE NOT EXISTS (SELECT 1 FROM l WHERE"
               " now = ? AND resource = task AND l.token = work.token)")
    assert l.run(orphans, (999,)) == []
    assert l.run(orphans, (1000,)) == [("run",)]
    assert acquire(l, "run", "reaper", 1000) == 2
    l.run("UPDATE work SET token = 2, text = 'failed'")


def test_tagent_core_56_an_expired_lease_is_accepted(l):
    """Renew, complete and fail took expired leases while claim saw them free.
    Here all of them see the same."""
    acquire(l, "r", "a", 0)
    write(l, "r", 1)
    acquire(l, "clock", "x", 1000)  # the guard's time as well
    assert renew(l, "r", 1, 1000) is None
    assert release(l, "r", 1, 1000) == 0
    assert steal(l, "r", 1, "b", 1000) is None
    assert l.value("SELECT lease_transfer('l', 'r', 1, 'b', 1000)") is None
    refused(l, "r", 1)


def test_rapina_793_a_reclaim_that_is_promised_only(l):
    """The documents promised that expired jobs are claimed again; the claim
    selected pending ones only.  Here acquiring is reclaiming, no reaper."""
    acquire(l, "job", "crashed", 0)
    write(l, "job", 1)
    assert acquire(l, "job", "next", 3_600_000) == 2
    l.run("UPDATE work SET token = 2, text = 'done'")
    assert events(l)[1:] == [("expired", "job", "crashed", 1),
                             ("acquired", "job", "next", 2)]


def test_haiku_rag_470_alive_but_slow_runs_twice(l):
    """A slow worker was taken for dead, a second one ran beside it, and the
    first found out at the end only.  A heartbeat keeps it, and if none came
    its every write tells it."""
    acquire(l, "doc", "slow", 0)
    for now in (800, 1700, 2600):
        assert renew(l, "doc", 1, now) == now + 1000
        assert acquire(l, "doc", "other", now + 900) is None
    assert acquire(l, "doc", "other", 3600) == 2
    refused(l, "doc", 1)
    write(l, "doc", 2)


def test_haiku_rag_470_attempts_that_are_never_counted(l):
    """The reaper took attempts back, so a job that always expired ran for
    ever.  Here each term leaves an event, and nothing takes it back."""
    for i in range(5):
        assert acquire(l, "doc", "slow", 1000 * i) == i + 1
    assert l.run("SELECT kind, count(*) FROM l_event WHERE resource = 'doc'"
                 " GROUP BY 1") == [("acquired", 5), ("expired", 4)]


def test_kodus_1902_a_reaper_s_cross_join(l):
    """A condition that named no table matched every pair of jobs, so the
    reaper choked.  Here taking one over touches no other row."""
    for i in range(20):
        acquire(l, f"r{i}", f"h{i % 3}", 0, 10 if i < 2 else 1000)
    others = l.run("SELECT * FROM l_held WHERE token > 2 ORDER BY token")
    assert acquire(l, "r0", "x", 10) == 21
    assert l.value("SELECT lease_release_all('l', 'h1', 10)") == 6
    others = [row for row in others if row[2] != "h1"]
    assert l.run("SELECT * FROM l_held WHERE token > 2 AND token < 21"
                 " ORDER BY token") == others
    assert [row for row in events(l) if row[0] == "expired"] \
        == [("expired", "r0", "h0", 1)]


def test_honker_a_heartbeat_by_acquiring(l):
    """A heartbeat that acquired again never made the lease longer, and a late
    one took it back; and claims passed by the limit of attempts.  Acquiring
    again renews, counts as a renewal, and late it is an acquisition like any
    other's."""
    acquire(l, "r", "a", 0)
    assert acquire(l, "r", "a", 500) == 1
    assert held(l, 500)[0][4] == 1500
    assert [acquire(l, "r", "a", now) for now in (600, 700, 800)] \
        == [1, 1, None]
    assert acquire(l, "r", "b", 1700) == 2
    assert acquire(l, "r", "a", 1800) is None
    assert acquire(l, "r", "a", 2700) == 3


# ---- SQLite -----------------------------------------------------------------

@once
def test_honker_80_a_descriptor_that_is_closed_drops_the_locks(db):
    """Closing any descriptor of the file drops the process's POSIX locks, so
    others wrote into an open transaction.  The extension opens none: the lock
    stands while other connections of the process come and go."""
    db.run("CREATE VIRTUAL TABLE l USING lease; PRAGMA journal_mode=delete")

    def descriptors():
        return sum(os.path.realpath(f"/proc/self/fd/{n}") == db.path
                   for n in os.listdir("/proc/self/fd"))

    first = load(db.path)
    first.execute("BEGIN IMMEDIATE")
    first.execute("SELECT lease_acquire('l', 'r', 'a')").fetchall()
    before = descriptors()
    for door in ("holds('l', 'r', 1)", "holds('l', 'x', 9)"):
        other = load(db.path)
        assert descriptors() <= before + 1
        assert value(other, "SELECT lease_" + door) == 0
        other.close()
    attempt = subprocess.run(
        [sys.executable, "-c", "import sqlite3, sys; sqlite3.connect("
         "sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')", db.path],
        stderr=subprocess.PIPE, text=True, check=False)
    assert "database is locked" in attempt.stderr
    first.execute("COMMIT")
    first.close()
    assert held(db)[0][:3] == ("r", "a", 1)


@once
def test_solid_queue_385_309_and_133_busy_on_a_heartbeat(db):
    """Heartbeats failed with 'database is locked' and processes were pruned.
    A renewal waits for the lock as long as the connection says, BUSY is never
    'lost', and a retry renews."""
    db.run("CREATE VIRTUAL TABLE l USING lease")
    acquire(db, "r", "a")
    other = load(db.path)
    other.execute("BEGIN IMMEDIATE")
    db.connection.setbusytimeout(10)
    for sql in ("SELECT lease_renew('l', 'r', 1)", "UPDATE l SET ttl_ms = 9"):
        with pytest.raises(apsw.BusyError):
            db.run(sql)
    assert holds(db, "r", 1) == 1
    db.connection.setbusytimeout(20000)
    threading.Timer(0.2, lambda: other.execute("COMMIT")).start()
    assert renew(db, "r", 1) is not None
    other.close()
    assert db.value("SELECT renewals FROM l") == 1


@once
def test_solid_queue_324_a_corrupt_queue(db):
    """A queue's file was found malformed.  Processes that are killed in the
    middle of everything leave a file that is whole."""
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=50, max_renewals=0)")
    guarded(db)
    program = HEAD + """
while True:
    r = random.choice("rst")
    token = value("lease_acquire('l', ?, ?)", r, sys.argv[2])
    if token:
        value("lease_renew('l', ?, ?)", r, token)
        try:
            db.execute("INSERT INTO work(task, token) VALUES (?, ?)",
                       (r, token))
            print("written", flush=True)
        except sqlite3.IntegrityError:
            pass
        value("lease_release('l', ?, ?)", r, token)
"""
    for i in range(4):
        crowd = [start(program, db.path, f"p{i}{n}") for n in range(2)]
        for process in crowd:
            assert process.stdout.readline() == "written\n"
        time.sleep(0.05 * i)
        for process in crowd:
            process.kill()
            process.communicate()
    assert db.run("PRAGMA integrity_check") == [("ok",)]
    assert db.value("SELECT count(*) FROM work") >= 8
    db.run("SELECT lease_acquire('l', 'q', 'a')")
    top = db.value("SELECT token FROM lease_high_water")
    assert db.value("SELECT max(token) FROM l_event") == top


# ---- the predecessor --------------------------------------------------------

@once
def test_w1_a_renewal_that_only_seemed_one(db):
    """It read, then wrote, and never looked whether a row was changed: a
    renewal was reported of a row that was gone.  Here the verdict is that of
    the transaction that writes, and expires_at is what is stored."""
    db.run("CREATE VIRTUAL TABLE l USING lease")
    acquire(db, "r", "a")
    told = renew(db, "r", 1, ttl=5000)
    assert db.value("SELECT expires_at FROM l") == told
    plain(db.path, "DROP TRIGGER l_held_delete")
    plain(db.path, "DELETE FROM l_held")
    assert renew(db, "r", 1) is None
    db.run("UPDATE l SET ttl_ms = 9 WHERE token = 1")
    assert db.connection.changes() == 0


def test_w2_expiry_in_every_predicate(l):
    """Renewing and asking did not look at the time, so an expired holder
    believed it held."""
    acquire(l, "r", "a", 0)
    assert [holds(l, "r", 1, 1000), renew(l, "r", 1, 1000),
            release(l, "r", 1, 1000), steal(l, "r", 1, "b", 1000)] \
        == [0, None, 0, None]
    assert held(l, 1000) == []


def test_w3_tokens_have_an_order(l):
    """Identity was the agent's name, and lease ids were random.  Tokens grow
    with every grant in the database, whatever the resource or the table."""
    l.run("CREATE VIRTUAL TABLE m USING lease(clock='caller')")
    tokens = [acquire(l, "r", "a", 0), acquire(l, "s", "a", 0),
              l.value("SELECT lease_acquire('m', 'r', 'a', 9, 0, 0)"),
              steal(l, "r", 1, "b", 1), acquire(l, "s", "c", 2000)]
    assert tokens == [1, 2, 3, 4, 5]


def test_w4_expired_rows_are_not_swept_away(l):
    """Every acquisition deleted all expired rows of everybody, in a
    transaction of its own, and with them the history."""
    acquire(l, "r", "a", 0)
    acquire(l, "s", "a", 0)
    assert acquire(l, "t", "b", 5000) == 3
    assert l.run("SELECT resource FROM l_held ORDER BY 1") \
        == [("r",), ("s",), ("t",)]
    assert acquire(l, "r", "b", 5000) == 4
    assert ("expired", "r", "a", 1) in events(l)


def test_w5_times_are_whole_milliseconds_of_one_clock(l):
    """Times were ISO texts of the application's clock, so a step of it froze
    or freed everything.  They are INTEGERs, and never go back."""
    acquire(l, "r", "a", 5000)
    acquire(l, "s", "a", 10)
    assert l.run("SELECT DISTINCT typeof(acquired_at), typeof(expires_at)"
                 " FROM l_held") == [("integer", "integer")]
    assert l.run("SELECT acquired_at, expires_at FROM l_held") \
        == [(5000, 6000)] * 2


@once
def test_w6_no_race_so_no_retries(db):
    """The fix once proposed for W1 was to try three times.  Renewals of ten
    connections at once all succeed the first time, and each counts."""
    db.run("CREATE VIRTUAL TABLE l USING lease(max_renewals=0)")
    acquire(db, "r", "a")
    told = []

    def beat():
        connection = load(db.path)
        for _ in range(20):
            told.append(value(connection, "SELECT lease_renew('l', 'r', 1)"))
        connection.close()

    threads = [threading.Thread(target=beat) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 200 and None not in told
    assert db.value("SELECT renewals FROM l") == 200
    says(load(db.path), "UPDATE l_held SET renewals = 0", "lease l: leases are"
         " granted, renewed and released through l")
