"""Doors and walls where they cannot work: inside other statements, in a
file that is locked, read-only, full or damaged, and while they are
interrupted.  An error that says so, nothing changed, and all is well after."""
import sqlite3
import threading
import time

import apsw
import pytest

from leasing import (LIBRARY, acquire, held, holds, l, load, once,
                     plain, release, renew, says, value, write)  # noqa: F401

CHANGES = {
    "lease_acquire": "lease_acquire('l', 's', 'b', 9, 0, 5)",
    "lease_renew": "lease_renew('l', 'r', 1, 9, 5)",
    "lease_release": "lease_release('l', 'r', 1, 5)",
    "lease_release_all": "lease_release_all('l', 'a', 5)",
    "lease_steal": "lease_steal('l', 'r', 1, 'b', 'why', 5)",
    "lease_transfer": "lease_transfer('l', 'r', 1, 'b', 5)",
    "lease_guard": "lease_guard('free', 'l', 'a', 'a')",
    "lease_unguard": "lease_unguard('work')",
}
DML = ("INSERT INTO l(resource, holder, now) VALUES ('s', 'b', 5)",
       "UPDATE l SET ttl_ms = 9 WHERE now = 5", "DELETE FROM l WHERE now = 5")


@pytest.fixture
def row(l):
    assert acquire(l, "r", "a", 0) == 1
    l.run("CREATE TABLE free(a)")
    return l


def fails(db, sql, message):
    before = db.state()
    with pytest.raises(apsw.Error) as error:
        db.run(sql)
    assert str(error.value).split("Error: ", 1)[1] == message
    assert db.state() == before
    return error.value


# ---- inside other statements ------------------------------------------------

@pytest.mark.parametrize("name", CHANGES)
def test_doors_inside_other_statements(row, name):
    """Only a SELECT of its own can be one transaction with its verdict."""
    call = CHANGES[name]
    row.reopen = False
    writing = (f"{name} cannot run inside a statement that writes; call it with"
               f" SELECT {name}(...) of its own")
    row.run("INSERT INTO free VALUES (1)")
    for sql in (f"INSERT INTO free SELECT {call}",
                f"INSERT INTO free VALUES ({call})",
                f"UPDATE free SET a = {call}",
                f"DELETE FROM free WHERE {call} = 1",
                f"CREATE TABLE t AS SELECT {call} AS x"):
        fails(row, sql, writing)
        row.run("BEGIN; INSERT INTO free VALUES (2)")
        fails(row, sql, writing)
        row.run("ROLLBACK")
    unsafe = f"unsafe use of {name}()"
    for sql in (f"CREATE TRIGGER t AFTER INSERT ON free BEGIN SELECT {call};"
                " END", f"CREATE VIEW v AS SELECT {call}"):
        row.run(sql)
        fails(row, "SELECT * FROM v" if "VIEW" in sql else
              "INSERT INTO free VALUES (1)", unsafe)
        row.run("DROP VIEW v" if "VIEW" in sql else "DROP TRIGGER t")
    row.run(f"CREATE TEMP TRIGGER t AFTER INSERT ON free BEGIN SELECT {call};"
            " END")
    with pytest.raises(apsw.SQLError):
        row.run("INSERT INTO free VALUES (1)")
    row.run("DROP TRIGGER t")
    for place in (f"CHECK ({call} = 1)", f"DEFAULT ({call})",
                  f"AS ({call})"):
        with pytest.raises(apsw.SQLError):
            row.run(f"CREATE TABLE t(a, b {place}); INSERT INTO t(a)"
                    " VALUES (1)")
        row.run("DROP TABLE IF EXISTS t")
    with pytest.raises(apsw.SQLError):
        row.run(f"CREATE INDEX i ON free({call})")
    assert holds(row, "r", 1, 5) == 1 and len(held(row, 5)) == 1
    assert row.connection.getautocommit()


def test_returning(row):
    """SQLite hands RETURNING the values as they were given."""
    fails(row, "INSERT INTO free VALUES (1) RETURNING lease_acquire('l', 's',"
          " 'b')", "lease_acquire cannot run inside a statement that writes;"
          " call it with SELECT lease_acquire(...) of its own")
    assert row.run("INSERT INTO l(resource, holder, now) VALUES ('s', 'b', 5)"
                   " RETURNING resource, token") == [("s", None)]
    assert row.value("SELECT max(token) FROM l_held") == 2
    for sql in DML[1:]:
        with pytest.raises(apsw.SQLError) as error:
            row.run(sql + " RETURNING token")
        assert "RETURNING is not available on virtual tables" \
            in str(error.value)
    with pytest.raises(apsw.SQLError) as error:
        row.run(DML[0] + " ON CONFLICT DO NOTHING")
    assert "UPSERT not implemented for virtual table" in str(error.value)
    assert len(held(row, 5)) == 2


@pytest.mark.parametrize("schema", ["", "TEMP "])
def test_walls_in_a_trigger_of_another_table(row, schema):
    """They are one with the statement: all of it, or nothing."""
    row.reopen = False
    row.run(f"CREATE {schema}TRIGGER t AFTER INSERT ON free BEGIN INSERT INTO"
            " l(resource, holder, now) VALUES (NEW.a, 'b', 5); END")
    row.run("INSERT INTO free VALUES ('x'), ('y')")
    assert [name for name, *_ in held(row, 5)] == ["r", "x", "y"]
    fails(row, "INSERT INTO free VALUES ('z'), ('r')", "lease l: r is held by a"
          " with token 1 for another 995 ms")
    fails(row, "INSERT OR IGNORE INTO free VALUES ('z'), ('r')",
          "lease l: r is held by a with token 1 for another 995 ms")
    assert acquire(row, "z", "c", 5) == 4


def test_walls_over_many_rows(row):
    """One row that is refused undoes the others of its statement."""
    fails(row, "INSERT INTO l(resource, holder, now) VALUES ('s', 'b', 5),"
          " ('t', 'b', 5), ('r', 'b', 5)", "lease l: r is held by a with token"
          " 1 for another 995 ms")
    row.run("INSERT INTO l(resource, holder, now) SELECT value, 'b', 5"
            " FROM json_each('[\"s\", \"t\", \"u\"]')")
    assert row.run("SELECT count(*), max(token) FROM l WHERE now = 5") \
        == [(4, 4)]
    row.run("UPDATE l SET ttl_ms = 50 WHERE now = 6")
    assert row.run("SELECT DISTINCT expires_at FROM l WHERE now = 6") \
        == [(56,)]
    row.run("DELETE FROM l WHERE now = 7")
    assert held(row, 7) == []


def test_asking_works_anywhere(row):
    """lease_holds only reads: in triggers, views and CHECKs as well."""
    row.run("CREATE VIEW v AS SELECT lease_holds('l', 'r', 1, 5) AS x")
    assert row.run("SELECT x FROM v") == [(1,)]
    row.run("CREATE TABLE c(token, CHECK (lease_holds('l', 'r', token, 5)))")
    row.run("INSERT INTO c VALUES (1)")
    fails(row, "INSERT INTO c VALUES (2)", "CHECK constraint failed:"
          " lease_holds('l', 'r', token, 5)")
    row.run("CREATE TRIGGER t BEFORE INSERT ON free WHEN lease_holds('l', 'r',"
            " NEW.a, 5) IS NOT 1 BEGIN SELECT RAISE(ABORT, 'no'); END")
    row.run("INSERT INTO free VALUES (1)")
    fails(row, "INSERT INTO free VALUES (2)", "no")


# ---- files that cannot be written -------------------------------------------

def attempts(connection, kind, message=None):
    """All that changes fails with this error."""
    for sql in [f"SELECT {call}" for call in CHANGES.values()] + list(DML):
        with pytest.raises(kind) as error:
            connection.cursor().execute(sql).fetchall()
        if message:
            assert message in str(error.value), sql
        assert connection.getautocommit()


@once
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_read_only(row, journal):
    row.run(f"PRAGMA journal_mode={journal}")
    before = row.state()
    reader = apsw.Connection(row.path, flags=apsw.SQLITE_OPEN_READONLY)
    reader.enableloadextension(True)
    reader.loadextension(LIBRARY)
    attempts(reader, apsw.ReadOnlyError)
    assert value(reader.cursor(), "SELECT lease_holds('l', 'r', 1, 5)") == 1
    assert value(reader.cursor(), "SELECT count(*) FROM l WHERE now = 5") == 1
    reader.close()
    row.connection.cursor().execute("PRAGMA query_only = 1")
    attempts(row.connection, apsw.ReadOnlyError,
             "attempt to write a readonly database")
    row.connection.cursor().execute("PRAGMA query_only = 0")
    assert row.state() == before
    assert renew(row, "r", 1, 5) == 1005


@once
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_locked_file_is_busy(row, journal):
    row.run(f"PRAGMA journal_mode={journal}")
    before = row.state()
    other = sqlite3.connect(row.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    row.connection.setbusytimeout(0)
    attempts(row.connection, apsw.BusyError, "database is locked")
    assert holds(row, "r", 1, 5) == 1
    other.execute("ROLLBACK")
    if journal == "delete":
        other.execute("BEGIN EXCLUSIVE")
        for sql in ("SELECT lease_holds('l', 'r', 1, 5)",
                    "SELECT * FROM l WHERE now = 5"):
            with pytest.raises(apsw.BusyError):
                row.run(sql)
        other.execute("ROLLBACK")
    other.close()
    assert row.state() == before
    assert renew(row, "r", 1, 5) == 1005


@once
def test_a_stale_snapshot_stays_517(row):
    """Every change in a deferred transaction that read before another wrote:
    run the whole transaction again."""
    other = sqlite3.connect(row.path, isolation_level=None)
    run = row.connection.cursor().execute
    for sql in [f"SELECT {call}" for call in CHANGES.values()] + list(DML):
        run("BEGIN; SELECT * FROM l_held")
        other.execute("INSERT INTO free VALUES (0)")
        with pytest.raises(apsw.BusyError) as error:
            run(sql).fetchall()
        assert error.value.extendedresult == apsw.SQLITE_BUSY_SNAPSHOT, sql
        run("ROLLBACK")
    other.close()
    assert renew(row, "r", 1, 5) == 1005


@once
@pytest.mark.parametrize("change", [
    "SELECT lease_acquire('l', 'n' || ?, 'b', 9, 0, 5)",
    "INSERT INTO l(resource, holder, detail, now)"
    " VALUES ('n' || ?, 'b', hex(zeroblob(3000)), 5)"])
@pytest.mark.parametrize("open_transaction", [False, True])
def test_a_full_disk_is_full_and_leaves_nothing(row, change, open_transaction):
    pages = row.value("PRAGMA page_count")
    row.connection.cursor().execute(f"PRAGMA max_page_count = {pages}")
    row.reopen, done = False, 0
    with pytest.raises(apsw.FullError):
        for i in range(2000):
            before = row.state()
            if open_transaction:
                row.run("BEGIN IMMEDIATE")
            row.run(change, (i,))
            if open_transaction:
                row.run("COMMIT")
            done += 1
    if not row.connection.getautocommit():
        row.run("ROLLBACK")
    assert row.state() == before
    row.connection.cursor().execute("PRAGMA max_page_count = 100000")
    assert acquire(row, "after", "b", 5) == done + 2
    assert row.run("PRAGMA integrity_check") == [("ok",)]


# ---- interruption -----------------------------------------------------------

@once
def test_an_interrupted_wait(row):
    """sqlite3_interrupt from another thread ends it within moments, and the
    connection works on."""
    row.run("DROP TABLE l; CREATE VIRTUAL TABLE l USING lease")
    row.run("SELECT lease_acquire('l', 'r', 'a')")
    for _ in range(3):
        threading.Timer(0.3, row.connection.interrupt).start()
        begun = time.monotonic()
        with pytest.raises(apsw.InterruptError):
            row.run("SELECT lease_acquire('l', 'r', 'b', NULL, 60000)")
        assert 0.2 < time.monotonic() - begun < 5
        assert row.connection.getautocommit()
        assert row.run("SELECT lease_holds('l', 'r', token) FROM l") == [(1,)]
    assert row.value("SELECT lease_acquire('l', 's', 'b')") > 0


# ---- files that are damaged -------------------------------------------------

MISSING = ("lease l: a table behind it is missing or altered (no such table:"
           " main.{}); restore it")


@once
@pytest.mark.parametrize("table", ["l_held", "l_event", "lease_high_water"])
def test_a_table_behind_is_gone(row, table):
    plain(row.path, f"DROP TABLE {table}")
    before = row.state()
    doors = ["SELECT lease_acquire('l', 's', 'b', 9, 0, 5)",
             "INSERT INTO l(resource, holder, now) VALUES ('s', 'b', 5)"]
    if table != "l_event":
        doors += ["SELECT lease_holds('l', 'r', 1, 5)",
                  "SELECT * FROM l WHERE now = 5"]
    for sql in doors:
        connection = load(row.path)
        says(connection, sql, MISSING.format(table))
        connection.close()
    if table != "l_event":
        with pytest.raises(sqlite3.OperationalError) as error:
            plain(row.path, "INSERT INTO work(task, token) VALUES ('r', 1)")
        assert str(error.value) == f"no such table: main.{table}"
    assert row.state() == before
    row.run("DROP TABLE l")
    assert row.run("SELECT name FROM sqlite_schema WHERE name LIKE 'l^_%'"
                   " ESCAPE '^'") == []


@once
def test_a_damaged_page(row, tmp_path):
    """A root page of zeros: corruption is told as such, by every way."""
    root = row.value("SELECT rootpage FROM sqlite_schema WHERE name = 'l_held'")
    size = row.value("PRAGMA page_size")
    row.run("PRAGMA journal_mode=delete")
    row.close()
    with open(row.path, "r+b") as file:
        file.seek((root - 1) * size)
        file.write(bytes(size))
    row.open()
    for sql in ("SELECT lease_acquire('l', 'r', 'b', 9, 0, 5)",
                "SELECT lease_holds('l', 'r', 1, 5)",
                "SELECT * FROM l WHERE now = 5", DML[0],
                "INSERT INTO work(task, token) VALUES ('r', 1)"):
        with pytest.raises(apsw.CorruptError):
            row.run(sql)
        assert row.connection.getautocommit()


def test_trusted_schema_off(row):
    """Walls, doors, guards and asking are the same."""
    row.run("CREATE VIEW v AS SELECT resource FROM l WHERE now = 5")
    row.reopen = False
    row.run("PRAGMA trusted_schema=OFF")
    write(row, "r", 1)
    assert row.run("SELECT * FROM v") == [("r",)]
    assert renew(row, "r", 1, 5) == 1005 and release(row, "r", 1, 6) == 1
    row.run("INSERT INTO l(resource, holder, now) VALUES ('r', 'b', 7)")
    fails(row, "DELETE FROM l_held", "lease l: leases are granted, renewed and"
          " released through l")
    with pytest.raises(apsw.ConstraintError):
        write(row, "r", 1)
    write(row, "r", 2)
