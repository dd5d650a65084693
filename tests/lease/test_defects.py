"""What was once wrong with leases."""
import sqlite3
import time

import apsw
import pytest

from leasing import (Clock, GUARD, LIBRARY, acquire, events, guarded, held,
                     holds, l, load, once, plain, release, renew, says,
                     write)  # noqa: F401


def policy(db):
    db.run("CREATE TRIGGER p BEFORE UPDATE ON l_held WHEN NEW.holder = 'evil'"
           " BEGIN SELECT RAISE(ABORT, 'no evil'); END")
    acquire(db, "r", "a", 0)


# ---- a wall that fails leaves nothing, also in a transaction ----------------

def test_a_grant_that_was_refused_is_not_granted(l):
    """INSERT fails after the row of l_held was written: it must go, and the
    transaction goes with it, for SQLite undoes no less."""
    l.run("CREATE TRIGGER p BEFORE INSERT ON l_event WHEN NEW.holder = 'x'"
          " BEGIN SELECT RAISE(ABORT, 'no x'); END")
    l.run("BEGIN")
    with pytest.raises((apsw.ConstraintError, apsw.AbortError)):
        l.run("INSERT INTO l(resource, holder, now) VALUES ('s', 'x', 5)")
    assert l.connection.getautocommit()
    assert held(l, 5) == []


def test_a_refusal_invents_no_expiry(l):
    policy(l)
    l.run("BEGIN")
    for now in (2000, 2001):
        with pytest.raises(apsw.ConstraintError):
            l.run("INSERT INTO l(resource, holder, now)"
                  " VALUES ('r', 'evil', ?)", (now,))
    l.run("COMMIT")
    assert [kind for kind, in events(l, "kind")] == ["acquired"]


def test_or_ignore_half_a_grant(l):
    """Under OR IGNORE SQLite keeps what was written before the error."""
    l.run("CREATE TRIGGER p BEFORE UPDATE ON lease_high_water BEGIN"
          " SELECT RAISE(ABORT, 'no'); END")
    try:
        l.run("INSERT OR IGNORE INTO l(resource, holder, now)"
              " VALUES ('s', 'x', 5)")
    except apsw.Error:
        pass
    assert held(l, 5) == []


@pytest.mark.parametrize("resource, ttl", [(None, 5), ("", 5), ("s", 0),
                                           ("s", 5001)])
def test_or_ignore_does_not_silence_bad_arguments(l, resource, ttl):
    with pytest.raises(apsw.Error):
        l.run("INSERT OR IGNORE INTO l(resource, holder, ttl_ms, now)"
              " VALUES (?, 'a', ?, 5)", (resource, ttl))


def test_or_ignore_does_not_silence_a_policy(l):
    policy(l)
    with pytest.raises(apsw.Error):
        l.run("INSERT OR IGNORE INTO l(resource, holder, now)"
              " VALUES ('r', 'evil', 2000)")
    assert [kind for kind, in events(l, "kind")] == ["acquired"]


# ---- the guard --------------------------------------------------------------

@pytest.mark.parametrize("sql", [
    "UPDATE work2 SET task = 'a', token = 2, n = 2",
    "REPLACE INTO work2 VALUES ('a', 2, 2)"])
def test_a_column_that_knows_no_case(l, sql):
    """Resources are compared byte by byte, so 'A' is not 'a', whatever the
    column's collation; else a's holder takes A's row."""
    l.run("CREATE TABLE work2(task TEXT PRIMARY KEY COLLATE NOCASE, token, n)")
    l.run("SELECT lease_guard('work2', 'l', 'task', 'token')")
    assert (acquire(l, "A", "x", 0), acquire(l, "a", "y", 0)) == (1, 2)
    l.run("INSERT INTO work2 VALUES ('A', 1, 1)")
    with pytest.raises(apsw.ConstraintError):
        l.run(sql)


def test_a_lease_table_that_guards_can_be_renamed(l):
    acquire(l, "r", "a", 0)
    l.run("ALTER TABLE l RENAME TO m")
    l.run("INSERT INTO work(task, token) VALUES ('r', 1)")
    with pytest.raises(apsw.ConstraintError):
        l.run("INSERT INTO work(task, token) VALUES ('r', 2)")


def test_a_guarded_table_that_was_renamed(l):
    """Its guard stays, can be taken off, and is nobody else's."""
    l.run("ALTER TABLE work RENAME TO work2; CREATE TABLE work(task, token)")
    assert l.value("SELECT lease_guard('work', 'l', 'task', 'token')") == 3
    with pytest.raises(apsw.ConstraintError):
        l.run("INSERT INTO work2(task, token) VALUES ('z', 99)")
    assert l.value("SELECT lease_unguard('work2')") == 3


def test_a_guard_of_a_lease_table_that_was_made_anew(l):
    """It reads the clock that the table has now."""
    l.run("DROP TABLE l; CREATE VIRTUAL TABLE l USING lease(ttl_ms=1)")
    l.run("SELECT lease_acquire('l', 'r', 'a')")
    time.sleep(.02)
    with pytest.raises(apsw.ConstraintError):
        l.run("INSERT INTO work(task, token) VALUES ('r', 1)")


# ---- time and tokens --------------------------------------------------------

@pytest.fixture
def clocked(tmp_path):
    clock = Clock(1_800_000_000_000)
    connection = apsw.Connection(str(tmp_path / "l.db"), vfs="lease_clock")
    connection.enableloadextension(True)
    connection.loadextension(LIBRARY)
    run = connection.cursor().execute
    run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=60000)")
    run("SELECT lease_acquire('l', 'r', 'a')").fetchall()
    yield clock, lambda sql: run("SELECT " + sql).fetchall()[0][0]
    connection.close()
    clock.unregister()


@pytest.mark.parametrize("verdict, lost", [
    ("lease_renew('l', 'r', 1)", None), ("lease_release('l', 'r', 1)", 0)])
def test_lost_is_lost(clocked, verdict, lost):
    """The holder was told that its lease is lost, by a clock an hour ahead.
    Then the clock is set right: nothing is resurrected."""
    clock, value = clocked
    clock.now += 3_600_000
    assert value(verdict) == lost
    clock.now -= 3_600_000
    assert value("lease_holds('l', 'r', 1)") == 0
    assert value("lease_renew('l', 'r', 1)") is None


@once
def test_a_caller_s_time_is_its_table_s_own(db):
    """The time given to a table of clock='caller' neither ends nor prolongs
    the leases of tables that go by the system's clock."""
    db.run("CREATE VIRTUAL TABLE l USING lease; CREATE VIRTUAL TABLE sim USING"
           " lease(clock='caller')")
    acquire(db, "r", "a")
    db.run("SELECT lease_acquire('sim', 'x', 'y', 1, 0, ?)", (2**52,))
    assert holds(db, "r", 1) == 1
    token = acquire(db, "s", "b", ttl=1)
    time.sleep(.02)
    assert holds(db, "s", token) == 0


@once
def test_a_token_of_a_rollback_belongs_to_nobody(db):
    """a was told token 1, then its transaction was rolled back.  Whoever holds
    r next must have another token, or a writes as that holder."""
    db.run("CREATE VIRTUAL TABLE l USING lease")
    guarded(db)
    db.run("BEGIN")
    lost = acquire(db, "r", "a")
    db.run("ROLLBACK")
    acquire(db, "r", "b")
    with pytest.raises(apsw.ConstraintError):
        write(db, "r", lost)


@once
def test_a_high_water_mark_made_anew(db):
    """Dropped, and made again by the next lease table: tokens begin behind
    those that are held, or making it is refused."""
    db.run("CREATE VIRTUAL TABLE l USING lease")
    for name in "abc":
        acquire(db, name, "x")
    plain(db.path, "DROP TABLE lease_high_water")
    try:
        db.run("CREATE VIRTUAL TABLE m USING lease")
    except apsw.Error:
        return
    assert db.value("SELECT lease_acquire('m', 'r', 'a')") == 4


# ---- arguments and words ----------------------------------------------------

@once
@pytest.mark.parametrize("clock, now", [("system", 5), ("caller", -1)])
def test_update_with_a_bad_time(db, clock, now):
    """It says so, and the connection can be closed."""
    db.run(f"CREATE VIRTUAL TABLE l USING lease(clock='{clock}')")
    db.run("SELECT lease_acquire('l', 'r', 'a')")
    connection = load(db.path)
    with pytest.raises(sqlite3.Error) as error:
        connection.execute("UPDATE l SET ttl_ms = 5, now = ?", (now,))
    connection.close()
    assert "now must be" in str(error.value) or "clock" in str(error.value)


@once
@pytest.mark.parametrize("detail", [5, 1.5, b"x", "x" * 10**6])
def test_details(l, detail):
    """TEXT, of a bounded length, the same in the table and in the history; or
    an error that says what a detail must be."""
    try:
        l.run("INSERT INTO l(resource, holder, detail, now)"
              " VALUES ('r', 'a', ?, 5)", (detail,))
    except apsw.Error as error:
        assert "lease l: the detail must be" in str(error)
        return
    assert l.run("SELECT detail FROM l_held") \
        == l.run("SELECT detail FROM l_event")
    assert l.value("SELECT length(detail) FROM l_held") < 10**6


@once
def test_a_detail_set_to_null(l):
    l.run("INSERT INTO l(resource, holder, detail, now)"
          " VALUES ('r', 'a', 'x', 5)")
    l.run("UPDATE l SET detail = NULL WHERE now = 6")
    assert l.run("SELECT detail FROM l WHERE now = 6") == [(None,)]


@once
def test_a_time_that_is_null_is_no_time(db):
    """Nothing equals NULL: a DELETE with a forgotten binding hits nothing."""
    db.run("CREATE VIRTUAL TABLE l USING lease")
    acquire(db, "r", "a")
    db.run("DELETE FROM l WHERE now = ?", (None,))
    assert len(held(db)) == 1


@once
def test_the_name_of_a_table_as_a_blob(l):
    l.fails("SELECT lease_acquire(?, 'r', 'a', 9, 0, 5)", "lease_acquire: the"
            " name of the lease table is missing", (b"l",))


@once
def test_a_wait_that_is_too_long_is_told_the_limit(l):
    with pytest.raises(apsw.SQLError) as error:
        l.run("SELECT lease_acquire('l', 'r', 'a', 9, ?, 5)", (2**40 + 1,))
    assert str(2**40) in str(error.value)


@once
def test_a_table_behind_is_dropped_under_a_connection(l):
    """The words are the same whether a statement was prepared before or not."""
    acquire(l, "r", "a", 0)
    plain(l.path, "DROP TABLE lease_high_water")
    with pytest.raises(apsw.Error) as error:
        acquire(l, "s", "a", 0)
    assert "lease l: a table behind it is missing or altered" \
        in str(error.value)


@once
@pytest.mark.parametrize("sql", [
    "DELETE FROM l WHERE now = 200 AND token ="
    " (SELECT token FROM l AS m WHERE m.now = {0} AND m.resource = 'r')",
    "DELETE FROM l WHERE now = 200 AND resource IN"
    " (SELECT resource FROM l AS m WHERE m.now = {0})",
    "DELETE FROM l WHERE now = 200 AND EXISTS"
    " (SELECT 1 FROM l AS m WHERE m.now = {0} AND m.token = l.token)"])
def test_a_subquery_at_another_time_does_not_decide_a_delete(l, sql):
    """The time of a DELETE is that of the rows that it deletes."""
    acquire(l, "r", "a", 0)
    l.run(sql.format(100))
    assert events(l, "kind, at, held_ms")[1:] == [("released", 200, 200)]
    assert held(l, 0) == []


@once
def test_nor_of_many_rows(l):
    for resource in ("r", "s", "t"):
        acquire(l, resource, "a", 0)
    l.run("DELETE FROM l WHERE now = 200 AND EXISTS"
          " (SELECT 1 FROM l AS m WHERE m.now = 300 AND m.token = l.token)")
    assert sorted(events(l, "resource, at")[3:]) == [
        ("r", 200), ("s", 200), ("t", 200)]


@once
def test_nor_an_update(l):
    acquire(l, "r", "a", 0)
    l.run("UPDATE l SET ttl_ms = 700 WHERE now = 200 AND token ="
          " (SELECT token FROM l AS m WHERE m.now = 100)")
    assert [row[4] for row in held(l, 200)] == [900]
    l.run("UPDATE l SET ttl_ms = 700 WHERE now = 300 AND EXISTS"
          " (SELECT 1 FROM l AS m WHERE m.now = 900 - l.token)")
    assert [row[4] for row in held(l, 300)] == [1000]


@once
def test_one_row_at_two_times_is_refused(l):
    acquire(l, "r", "a", 0)
    l.fails("DELETE FROM l WHERE now = 200 AND rowid IN"
            " (SELECT rowid FROM l AS m WHERE m.now = 100)",
            "lease l: the statement finds token 1 at two times, 100 and 200;"
            " give one now")
    for sql in ("DELETE FROM l WHERE now IN (200, 300)",
                "UPDATE l SET ttl_ms = 9 WHERE now IN (200, 300)"):
        l.fails(sql, "at two times, 200 and 300; give one now")
    l.run("DELETE FROM l WHERE now = 200 AND rowid IN"
          " (SELECT rowid FROM l AS m WHERE m.now = 200)")
    assert events(l, "kind, at")[1:] == [("released", 200)]
