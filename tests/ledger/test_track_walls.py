"""ledger_track and ledger_untrack: what is refused, with which words, and that
nothing changed; transactions; other connections."""
import sqlite3

import apsw
import pytest

from conftest import Database, load_apsw
from tracking import changes, replay, three, track, whole


@pytest.fixture(name="t")
def tracked(db):
    return three(db)


def test_again(t):
    before = t.state()
    for name in ("t", "T", "main.t", "MAIN.T"):
        assert t.value("SELECT ledger_track(?, 'main.l')", (name,)) == 0
        assert t.run("SELECT * FROM ledger_reconcile(?)", (name,)) == []
    assert t.state() == before
    t.fails("SELECT ledger_track('t', 'other')", "ledger_track: t is recorded"
            " in ledger l; ledger_untrack('t') ends that")


def test_untrack(t):
    assert t.value("SELECT ledger_untrack('T')") == 1
    assert t.run("SELECT seq, table_name, op, old, content FROM l"
                 " ORDER BY seq DESC LIMIT 1") == [
                     (5, "t", "untrack", None, None)]
    assert t.run("SELECT name FROM sqlite_schema WHERE tbl_name = 't' AND type"
                 " = 'trigger'") == []
    assert t.run("SELECT * FROM holdfast_check WHERE finding LIKE 'g%'") == []
    t.run("UPDATE t SET v = 0; DELETE FROM t WHERE id = 1")
    assert t.value("SELECT ledger_size('l')") == 5
    for sql, words in [("SELECT * FROM ledger_reconcile('t')",
                        "ledger_reconcile: t is recorded in no ledger;"
                        " ledger_track('t', '...') begins"),
                       ("SELECT ledger_untrack('t')",
                        "ledger_untrack: t is recorded in no ledger")]:
        t.fails(sql, words)
    assert t.verify() == []
    assert track(t, ledger="m") == 2  # elsewhere
    whole(t, ledger="m")
    t.run("SELECT ledger_untrack('t')")
    assert track(t) == 2
    assert [row[0] for row in changes(t, after=5)] == ["baseline"] * 2
    whole(t)
    assert sum(replay(t).values()) == 2


@pytest.mark.parametrize("name, words", [
    ("v", "ledger_track: v is not an ordinary table"),
    ("f", "ledger_track: f is not an ordinary table"),
    ("l", "ledger_track: l is not an ordinary table"),
    ("sqlite_schema", "ledger_track: sqlite_schema is not an ordinary table"),
    ("sqlite_sequence",
     "ledger_track: sqlite_sequence is not an ordinary table"),
    ("holdfast_guard", "ledger_track: holdfast_guard is not an ordinary"),
    ("nothing", "ledger_track: no such table: main.nothing"),
    ("main.nothing", "ledger_track: no such table: main.nothing"),
    ("temp.t", "ledger_track: no such table: temp.t"),
    ("other.t", "ledger_track: no such table: main.other.t"),
    ("", "ledger_track: no such table: main."),
    ("e", "ledger_track: the unique index ei of e is on an expression, so rows"
          " that OR REPLACE displaces could not be recorded"),
    ("h", "ledger_track: the columns of h hide its rowid under every name;"
          " rename one"),
    ("r", "trigger \"r_track_update\" already exists"),
])
def test_tables_that_are_refused(db, name, words):
    db.run("CREATE TABLE a(x INTEGER PRIMARY KEY AUTOINCREMENT);"
           "CREATE VIEW v AS SELECT 1 AS x; CREATE VIRTUAL TABLE f USING"
           " ledger(x TEXT); CREATE VIRTUAL TABLE l USING ledger(x TEXT);"
           "CREATE TABLE e(x); CREATE UNIQUE INDEX ei ON e(x, abs(x));"
           "CREATE TABLE h(rowid, _ROWID_, oid); CREATE TABLE d(x);"
           "CREATE TABLE r(x); CREATE TRIGGER"
           " r_track_update AFTER INSERT ON a BEGIN SELECT 1; END")
    schema = "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE" \
        " 'other%' ORDER BY name"
    before = db.run(schema)
    db.fails("SELECT ledger_track(?, 'fresh')", words, (name,))
    assert db.run(schema) == before
    assert db.connection.getautocommit()


@pytest.mark.parametrize("ledger, words", [
    ("x", "no such ledger: main.x"), ("v", "no such ledger: main.v"),
    ("m", "ledger_track: ledger m has other columns; name one that is not"
          " there yet, and it is made, or one with table_name TEXT,op TEXT,"
          "old BLOB,content ANY"),
    ("m_entry", "no such ledger: main.m_entry"),
    ("temp.l", "ledger_track: the table is in main, so the ledger must be"
               " there, too, for triggers do not reach other databases"),
    ("sqlite_l", "object name reserved for internal use: sqlite_l"),
])
def test_ledgers_that_are_refused(db, ledger, words):
    db.run("CREATE TABLE x(a); CREATE VIEW v AS SELECT 1;"
           "CREATE VIRTUAL TABLE m USING ledger(a TEXT)")
    db.fails("SELECT ledger_track('x', ?)", words, (ledger,))
    assert db.value("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"
                    " AND tbl_name = 'x'") == 0


def test_a_ledger_that_is_there(db):
    """Its constraints are its own."""
    db.run("CREATE TABLE t(a); CREATE VIRTUAL TABLE l USING ledger("
           "table_name TEXT INDEXED, op TEXT CHECK (op <> 'delete'), old BLOB,"
           " content ANY, origin='example.com/t')")
    track(db)
    db.run("INSERT INTO t VALUES (1)")
    db.fails("DELETE FROM t", "CHECK constraint failed")
    whole(db)


@pytest.mark.parametrize("value", [None, 1, 2.5, b"t"])
def test_arguments(t, value):
    for sql in ("SELECT ledger_track(?, 'l')", "SELECT ledger_track('t', ?)"):
        t.fails(sql, "ledger_track: the arguments are the names of a table and"
                " of a ledger", (value,))
    t.fails("SELECT ledger_untrack(?)",
            "ledger_untrack: the argument is the name of a table", (value,))
    if value is None:
        for sql in ("SELECT * FROM ledger_reconcile(NULL)",
                    "SELECT * FROM ledger_reconcile"):
            t.fails(sql, "ledger_reconcile needs the name of a table:"
                    " ledger_reconcile('orders')")


def test_transactions(t):
    before = t.state()
    t.run("CREATE TABLE u(a); BEGIN; INSERT INTO u VALUES (1)")
    assert t.value("SELECT ledger_track('u', 'fresh')") == 1
    t.run("INSERT INTO u VALUES (2)")
    assert t.value("SELECT ledger_untrack('t')") == 1
    t.run("DELETE FROM t; ROLLBACK; DROP TABLE u")
    assert t.state() == before
    whole(t)
    t.run("CREATE TABLE u(a); BEGIN; SELECT ledger_track('u', 'fresh');"
          " INSERT INTO u VALUES (2); COMMIT")
    whole(t, "u", "fresh")


def test_where_it_cannot_run(t):
    inside = " cannot run inside a statement that writes; call it with SELECT "
    t.run("CREATE TABLE u(a)")
    for sql, name in [
            ("INSERT INTO u SELECT ledger_track('u', 'l')", "ledger_track"),
            ("UPDATE t SET v = ledger_untrack('t')", "ledger_untrack"),
            ("INSERT INTO t VALUES (ledger_track('t', 'l'), 1, 1)",
             "ledger_track"),
            ("INSERT INTO u VALUES (1) RETURNING ledger_untrack('t')",
             "ledger_untrack")]:
        t.fails(sql, name + inside + name + "(...) of its own")
        assert t.connection.getautocommit()
    for name, call in [("ledger_track", "ledger_track('u', 'l')"),
                       ("ledger_untrack", "ledger_untrack('t')")]:
        t.run(f"CREATE VIEW w AS SELECT {call}; CREATE TRIGGER g AFTER INSERT"
              f" ON u BEGIN SELECT {call}; END")
        t.fails("SELECT * FROM w", f"unsafe use of {name}()")
        t.fails("INSERT INTO u VALUES (1)", f"unsafe use of {name}()")
        t.run("DROP VIEW w; DROP TRIGGER g")
    whole(t)


def test_a_database_that_cannot_be_written(t):
    reader = Database.__new__(Database)
    reader.reopen = reader.other = t.reopen = t.other = False
    reader.connection = apsw.Connection(t.path,
                                        flags=apsw.SQLITE_OPEN_READONLY)
    load_apsw(reader.connection)
    assert reader.run("SELECT * FROM ledger_reconcile('t')") == []
    for name, call in [("ledger_track", "ledger_track('t', 'l')"),
                       ("ledger_untrack", "ledger_untrack('t')")]:
        reader.fails(f"SELECT {call}", f"{name}: the database is read-only;"
                     " open it for writing")
    reader.connection.close()
    writer = apsw.Connection(t.path)
    writer.cursor().execute("BEGIN IMMEDIATE")
    t.connection.setbusytimeout(0)
    for call in ("ledger_track('t', 'l')", "ledger_untrack('t')"):
        with pytest.raises(apsw.BusyError):
            t.connection.cursor().execute(f"SELECT {call}").fetchall()
    writer.close()
    whole(t)


def test_without_the_extension(t):
    other = sqlite3.connect(t.path, isolation_level=None)
    rows = other.execute("SELECT * FROM t").fetchall()
    assert rows == [(1, "a", 10), (2, "b", 20), (3, "c", 30)]
    before = t.state()
    for sql in ("INSERT INTO t VALUES (4, 'd', 1)", "UPDATE t SET v = 0",
                "REPLACE INTO t VALUES (1, 'b', 0)", "DELETE FROM t",
                "INSERT OR IGNORE INTO t VALUES (1, 'a', 0)",
                "DELETE FROM t WHERE id = 7", "INSERT INTO t VALUES (1, 2, 3)"
                " ON CONFLICT DO UPDATE SET v = 0"):
        with pytest.raises(sqlite3.OperationalError, match="no such (module: "
                           "ledger|function: attest_canonical)"):
            other.execute(sql)
    other.close()
    assert t.state() == before
    whole(t)
