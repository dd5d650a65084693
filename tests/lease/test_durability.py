"""What survives, and what must not: transactions that are rolled back,
restarts, copies, upkeep, and holders that are killed.  Tokens go on growing
through all of it."""
import signal
import sqlite3
import time

import apsw
import pytest

from conftest import shared
from leasing import (HEAD, acquire, events, guarded, held, holds,
                     load, once, plain, refused, release, renew, says, start,
                     value, write)

# Acquire, say so, then do nothing more: what a test kills.
HOLD = HEAD + """
db.execute("PRAGMA synchronous=FULL")
token = value("lease_acquire('l', 'r', 'victim')")
db.execute("INSERT INTO work(task, token, text) VALUES ('r', ?, 'first')",
           (token,))
print(token, flush=True)
time.sleep(60)
"""

# The same, in a transaction that never commits.
UNFINISHED = HOLD.replace("token =", 'db.execute("BEGIN IMMEDIATE")\ntoken =')

# Wait for the lease; a waiter has nothing until it is granted.
WAIT = HEAD + """
print("waits", flush=True)
print(value("lease_acquire('l', 'r', 'waiter', NULL, 60000)"), flush=True)
"""


@pytest.fixture
def l(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=600000)")
    guarded(db)
    return db


# ---- rollback ---------------------------------------------------------------

def without_bookkeeping(db):
    state = db.state()
    return {name: state[name] for name in state
            if name in ("l_held", "l_event", "lease_high_water", "work")}


@pytest.mark.parametrize("grant", [
    "SELECT lease_acquire('l', 'r', 'a')",
    "INSERT INTO l(resource, holder) VALUES ('r', 'a')"])
def test_a_rollback_leaves_nothing(l, grant):
    acquire(l, "other", "x")
    before = without_bookkeeping(l)
    l.run("BEGIN")
    l.run(grant)
    write(l, "r", 2)
    assert holds(l, "r", 2) == 1
    l.run("ROLLBACK")
    assert without_bookkeeping(l) == before
    assert holds(l, "r", 2) == 0 and renew(l, "r", 2) is None
    assert release(l, "r", 2) == 0
    refused(l, "r", 2)


@pytest.mark.parametrize("grant", [
    "SELECT lease_acquire('l', 'r', 'a')",
    "INSERT INTO l(resource, holder) VALUES ('r', 'a')"])
def test_a_rollback_to_a_savepoint_leaves_nothing(l, grant):
    l.run("BEGIN; SAVEPOINT s")
    l.run(grant)
    write(l, "r", 1)
    l.run("ROLLBACK TO s")
    assert held(l) == [] and events(l) == []
    with pytest.raises(apsw.ConstraintError):
        write(l, "r", 1)
    assert acquire(l, "s", "b") == 2  # 1 was told already
    l.run("COMMIT")
    refused(l, "r", 1)
    write(l, "s", 2)


def test_a_rolled_back_renewal_and_release_never_were(l):
    acquire(l, "r", "a")
    row = l.run("SELECT * FROM l_held")
    for change in ("SELECT lease_renew('l', 'r', 1, 9)",
                   "SELECT lease_release('l', 'r', 1)",
                   "UPDATE l SET ttl_ms = 9", "DELETE FROM l",
                   "SELECT lease_steal('l', 'r', 1, 'b', 'why')",
                   "SELECT lease_transfer('l', 'r', 1, 'b')"):
        l.run("BEGIN")
        l.run(change)
        assert l.run("SELECT * FROM l_held") != row
        l.run("ROLLBACK")
        assert l.run("SELECT * FROM l_held") == row
        assert holds(l, "r", 1) == 1
    write(l, "r", 1)


def test_a_token_of_a_rollback_is_of_no_use_after_other_grants(l):
    """The connection does not tell it again.  Another one may grant the number,
    and a write passes only for the resource that this grant is of."""
    l.run("BEGIN")
    lost = acquire(l, "r", "lost")
    l.run("ROLLBACK")
    assert acquire(l, "s", "b") >= lost
    refused(l, "r", lost)
    assert acquire(l, "r", "c") > lost
    refused(l, "r", lost)


# ---- restarts, copies, upkeep -----------------------------------------------

def step(db, last):
    """One more grant has a greater token than any before."""
    token = acquire(db, f"x{last}", "a")
    assert token > last
    return token


def test_tokens_grow_through_upkeep(l):
    last = step(l, 0)
    for upkeep in ("VACUUM", "REINDEX", "DELETE FROM l_event", "ANALYZE",
                   "DELETE FROM l", "PRAGMA wal_checkpoint(TRUNCATE)",
                   "DROP TABLE l; CREATE VIRTUAL TABLE l USING lease",
                   "DROP TABLE work; DROP TABLE l; VACUUM;"
                   "CREATE VIRTUAL TABLE l USING lease(ttl_ms=5)",
                   "PRAGMA journal_mode=delete", "PRAGMA journal_mode=wal",
                   "CREATE VIRTUAL TABLE m USING lease; DROP TABLE l;"
                   "ALTER TABLE m RENAME TO l"):
        l.run(upkeep)
        last = step(l, last)
        l.close()
        l.open()
        last = step(l, last)
    assert l.run("SELECT token FROM lease_high_water") == [(last,)]


def test_an_upkeep_keeps_what_is_held(l):
    acquire(l, "r", "a")
    write(l, "r", 1)
    rows = l.run("SELECT * FROM l_held")
    for upkeep in ("VACUUM", "DELETE FROM l_event", "REINDEX",
                   "PRAGMA journal_mode=delete"):
        l.run(upkeep)
        l.close()
        l.open()
        assert l.run("SELECT * FROM l_held") == rows
        assert acquire(l, "r", "b") is None
        write(l, "r", 1)
    assert l.run("PRAGMA integrity_check") == [("ok",)]


def copies(db, folder):
    """Copies of the file, each made in another way."""
    into, backup, dump = (str(folder / name) for name in ("i", "b", "d"))
    db.run("VACUUM INTO ?", (into,))
    target = sqlite3.connect(backup)
    source = sqlite3.connect(db.path)
    source.backup(target)
    target.close()
    source.close()
    shared.shell(dump, stdin=shared.shell(db.path, ".dump"))
    return into, backup, dump


@once
def test_copies_go_on_from_the_same_token(l, tmp_path):
    acquire(l, "r", "a")
    acquire(l, "s", "b")
    write(l, "r", 1)
    release(l, "s", 2)
    rows = l.run("SELECT * FROM l_held")
    for path in copies(l, tmp_path):
        copy = load(path)
        assert copy.execute("SELECT * FROM l_held").fetchall() == rows
        assert value(copy, "SELECT lease_acquire('l', 'r', 'z')") is None
        assert value(copy, "SELECT lease_holds('l', 'r', 1)") == 1
        assert value(copy, "SELECT lease_acquire('l', 's', 'c')") == 3
        with pytest.raises(sqlite3.IntegrityError):
            plain(path, "INSERT INTO work(task, token) VALUES ('s', 2)")
        plain(path, "INSERT INTO work(task, token) VALUES ('s', 3)")
        copy.close()
    assert acquire(l, "s", "d") == 3  # the files are two worlds now


def test_an_attached_database_has_tokens_of_its_own(l, tmp_path):
    l.reopen = False
    path = tmp_path / "aux.db"
    l.run("ATTACH ? AS aux", (str(path),))
    l.run("CREATE VIRTUAL TABLE aux.l USING lease")
    assert [acquire(l, name, "a") for name in "abc"] == [1, 2, 3]
    assert l.value("SELECT lease_acquire('aux.l', 'r', 'a')") == 1
    l.run("BEGIN; SELECT lease_acquire('aux.l', 's', 'a'); ROLLBACK")
    assert l.value("SELECT lease_acquire('aux.l', 's', 'a')") == 3
    l.run("DETACH aux")
    l.run("ATTACH ? AS other", (str(path),))
    assert l.value("SELECT lease_acquire('other.l', 't', 'a')") == 4
    assert l.value("SELECT lease_acquire('other.l', 'r', 'b')") is None
    assert acquire(l, "d", "a") == 4


# ---- kill -9 ----------------------------------------------------------------

def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()


@once
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_holder_that_is_killed(db, journal):
    """Its lease is taken over after the TTL and not before, and its token
    never works again."""
    db.run(f"PRAGMA journal_mode={journal}")
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=2500)")
    guarded(db)
    victim = start(HOLD, db.path)
    assert victim.stdout.readline() == "1\n"
    kill(victim)
    until = db.value("SELECT expires_at FROM l_held")
    tries = 0
    while (token := acquire(db, "r", "heir")) is None:
        tries += 1
        time.sleep(0.02)
    assert tries > 0 and token == 2
    assert db.value("SELECT acquired_at FROM l_held") >= until
    assert db.run("SELECT held_ms, at >= ? FROM l_event WHERE kind = 'expired'",
                  (until,)) == [(2500, 1)]
    db.reopen = False
    assert renew(db, "r", 1) is None
    assert release(db, "r", 1) == 0
    assert holds(db, "r", 1) == 0
    refused(db, "r", 1)
    for sql in ("UPDATE work SET text = 'late'", "DELETE FROM work",
                "UPDATE work SET token = 1"):
        db.fails(sql, "work: the token of the row does not hold")
    assert db.run("SELECT text FROM work") == [("first",)]
    write(db, "r", 2)
    assert db.run("PRAGMA integrity_check") == [("ok",)]


@once
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_transaction_that_is_killed_granted_nothing(db, journal):
    db.run(f"PRAGMA journal_mode={journal}")
    db.run("CREATE VIRTUAL TABLE l USING lease")
    guarded(db)
    victim = start(UNFINISHED, db.path)
    assert victim.stdout.readline() == "1\n"
    kill(victim)
    assert held(db) == [] and events(db) == []
    refused(db, "r", 1)
    assert db.run("SELECT * FROM work") == []
    assert acquire(db, "r", "heir") == 1
    write(db, "r", 1)


@once
def test_a_waiter_that_is_killed_is_never_granted(db):
    db.run("CREATE VIRTUAL TABLE l USING lease")
    acquire(db, "r", "a")
    waiter = start(WAIT, db.path)
    assert waiter.stdout.readline() == "waits\n"
    time.sleep(0.2)
    kill(waiter)
    release(db, "r", 1)
    assert held(db) == []
    assert acquire(db, "r", "b") == 2
    assert db.value("SELECT count(*) FROM l_event WHERE holder = 'waiter'"
                    " AND kind = 'acquired'") == 0


@once
def test_a_file_that_is_gone_over_by_hand_is_refused(db):
    """Taking rows of the tables behind away, which needs DDL, never makes a
    token usable."""
    db.run("CREATE VIRTUAL TABLE l USING lease")
    guarded(db)
    acquire(db, "r", "a")
    plain(db.path, "DROP TRIGGER lease_high_water_delete")
    plain(db.path, "DELETE FROM lease_high_water")
    with pytest.raises(sqlite3.IntegrityError):
        plain(db.path, "INSERT INTO work(task, token) VALUES ('r', 1)")
    says(load(db.path), "SELECT lease_acquire('l', 's', 'a')",
         "lease l: the row of lease_high_water is missing; restore it")
