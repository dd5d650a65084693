"""The walls of leases, each predicate alone: what a policy trigger cannot
write in the middle of a decision, and what the high-water marks refuse even
if the module said yes."""
import sqlite3

import pytest

WORDS = "leases are granted, renewed and released through"


def liar(db):
    """A connection without the extension, for which all is being decided."""
    connection = sqlite3.connect(db.path, isolation_level=None)
    connection.create_function("lease_deciding", 3, lambda *_: 1)
    return connection


def acquire(db, resource, now, table="l"):
    return db.value("SELECT lease_acquire(?, ?, 'a', NULL, NULL, ?)",
                    (table, resource, now))


@pytest.fixture
def l(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=10, clock='caller')")
    return db


@pytest.mark.parametrize("change", [
    "token = token - 1", "now = now - 1", "token = 0, now = now + 1",
    "token = token + 1, now = 0", "id = id + 1"])
def test_the_marks_only_grow(l, change):
    assert acquire(l, "r", 100) == 1
    connection = liar(l)
    with pytest.raises(sqlite3.IntegrityError) as error:
        connection.execute(f"UPDATE lease_high_water SET {change}")
    assert "tokens and time only grow" in str(error.value)
    connection.execute("UPDATE lease_high_water SET token = 7, now = 200")
    connection.close()
    assert acquire(l, "s", 0) == 8
    assert l.value("SELECT acquired_at FROM l WHERE token = 8 AND now = 0"
                   ) == 200


def test_the_marks_are_one_row_that_begins_at_zero(db):
    db.run("SELECT holdfast_install('lease')")
    connection = liar(db)
    words = "lease_high_water: tokens are never given twice"
    for row in ((1, 5, 0), (1, 0, 5)):
        with pytest.raises(sqlite3.IntegrityError) as error:
            connection.execute("INSERT INTO lease_high_water VALUES (?, ?, ?)",
                               row)
        assert str(error.value) == words
    connection.execute("INSERT INTO lease_high_water VALUES (1, 0, 0)")
    connection.execute("UPDATE lease_high_water SET token = 7")
    with pytest.raises(sqlite3.IntegrityError) as error:
        connection.execute("REPLACE INTO lease_high_water VALUES (1, 0, 0)")
    assert str(error.value) == words
    connection.close()


def test_no_more_tokens(l):
    connection = liar(l)
    connection.execute(f"UPDATE lease_high_water SET token = {2**63 - 3}")
    connection.close()
    assert acquire(l, "r", 0) == 2**63 - 2
    l.fails("SELECT lease_acquire('l', 's', 'a', NULL, NULL, 0)",
            "lease l: there are no more tokens")


@pytest.mark.parametrize("write", [
    "INSERT INTO l_held VALUES (NEW.token + 1, 'x', 'b', 0, NEW.expires_at, 0,"
    " 1, NULL)",
    "INSERT INTO m_held VALUES (NEW.token, 'x', 'b', 0, NEW.expires_at, 0, 1,"
    " NULL)",
    "UPDATE l_held SET expires_at = expires_at + 1 WHERE token = NEW.token",
    "DELETE FROM l_held WHERE token < NEW.token",
    "UPDATE lease_high_water SET token = NEW.token, now = NEW.expires_at",
])
def test_a_decision_writes_its_own_row_only(l, write):
    l.run("CREATE VIRTUAL TABLE m USING lease(clock='caller')")
    assert acquire(l, "q", 0) == 1
    l.run("CREATE TRIGGER p AFTER INSERT ON l_held WHEN NEW.resource = 'r'"
          f" BEGIN {write}; END")
    words = "only grow" if "high_water" in write else WORDS
    l.fails("SELECT lease_acquire('l', 'r', 'a', NULL, NULL, 0)", words)


def test_the_guard_s_time_never_goes_back(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=600000)")
    db.run("CREATE TABLE work(task, token)")
    db.run("SELECT lease_guard('work', 'l', 'task', 'token')")
    assert db.value("SELECT lease_acquire('l', 'r', 'a')") == 1
    db.run("INSERT INTO work VALUES ('r', 1)")
    connection = liar(db)
    connection.execute("UPDATE lease_high_water SET now = now + 600001")
    connection.close()
    db.fails("INSERT INTO work VALUES ('r', 1)",
             "the token of the row does not hold its resource now")


def test_a_guard_and_its_leases_are_in_one_file(l, tmp_path):
    l.reopen = False
    l.run(f"ATTACH '{tmp_path}/aux.db' AS aux; CREATE TABLE aux.work(task,"
          " token)")
    l.fails("SELECT lease_guard('aux.work', 'l', 'task', 'token')",
            "triggers do not reach other databases")
    l.run("CREATE TABLE work(task, token); CREATE UNIQUE INDEX i"
          " ON work(lower(task))")
    l.fails("SELECT lease_guard('work', 'l', 'task', 'token')",
            "the unique index i of work is on an expression")


def test_rows_by_another_collation(l):
    for resource in ("r", "R", "s"):
        acquire(l, resource, 0)
    assert l.value("SELECT count(*) FROM l WHERE now = 0 AND"
                   " resource = 'R' COLLATE NOCASE") == 2


def test_names_that_are_no_utf8(l):
    l.fails("SELECT lease_acquire('l', CAST(x'72ff' AS TEXT), 'a')",
            "lease l: the resource must be TEXT of 1 to 1024 bytes of UTF-8")


@pytest.mark.parametrize("verb", ["INSERT OR IGNORE", "INSERT OR FAIL"])
def test_a_decision_is_whole_under_every_conflict_clause(l, verb):
    acquire(l, "r", 0)
    sql = f"{verb} INTO l(resource, holder, now) VALUES ('r', 'b', 20)"
    l.run("CREATE TRIGGER p BEFORE UPDATE ON l_held BEGIN"
          " SELECT RAISE(ABORT, 'not him'); END")
    l.fails(sql, "not him")
    l.run("DROP TRIGGER p; CREATE TRIGGER p BEFORE INSERT ON l_event"
          " WHEN NEW.kind = 'acquired' BEGIN"
          " SELECT RAISE(ABORT, 'no history'); END")
    l.fails(sql, "no history")
    l.fails(f"{verb} INTO l(resource, holder, now) VALUES ('', 'b', 20)",
            "lease l: the resource must be TEXT")
    l.fails(f"{verb} INTO l(resource, holder, ttl_ms) VALUES ('x', 'b', 0)",
            "lease l: ttl_ms must be an INTEGER")


def test_the_rowid_is_the_token_s_after_a_denial(l):
    acquire(l, "r", 0)
    l.reopen = False
    l.fails("INSERT INTO l(resource, holder, now) VALUES ('r', 'b', 0)",
            "lease l: r is held by a")
    l.run("INSERT INTO l(resource, holder, now) VALUES ('s', 'b', 0)")
    assert l.connection.last_insert_rowid() == 2
    assert l.value("SELECT count(*) FROM l_event WHERE kind = 'contended'"
                   ) == 1


def test_a_grant_by_a_trigger_on_the_marks(l):
    """It comes between the reading of the mark and the token."""
    l.run("CREATE VIRTUAL TABLE m USING lease(clock='caller')")
    assert acquire(l, "r", 0) == 1
    l.run("CREATE TRIGGER p AFTER UPDATE ON lease_high_water WHEN NEW.now = 50"
          " BEGIN INSERT INTO m(resource, holder, now) VALUES ('x', 'a', 9);"
          " END")
    assert acquire(l, "r", 50) == 3
    assert l.run("SELECT token FROM m_held") == [(2,)]


def test_the_time_of_callers_stays_when_the_table_is_renamed(l):
    acquire(l, "r", 100)
    l.run("ALTER TABLE l RENAME TO m")
    assert acquire(l, "s", 0, "m") == 2
    assert l.value("SELECT acquired_at FROM m_held WHERE token = 2") == 100


def test_a_detail_has_its_limit(l):
    sql = "INSERT INTO l(resource, holder, detail, now) VALUES ('r', 'a', ?, 0)"
    l.fails(sql, "lease l: the detail must be NULL, or TEXT of up to 65536",
            ("x" * 65537,))
    l.run(sql, ("x" * 65536,))


def test_renewing_and_releasing_leave_last_insert_rowid_alone(l):
    l.reopen = False
    acquire(l, "r", 0)
    l.run("CREATE TABLE data(x); INSERT INTO data(rowid) VALUES (777)")
    for sql in ("UPDATE l SET detail = 'x' WHERE now = 1",
                "DELETE FROM l WHERE now = 1"):
        l.run(sql)
        assert l.connection.changes() == 1
        assert l.connection.last_insert_rowid() == 777
