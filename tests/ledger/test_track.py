"""Tables under a ledger: each change of a row is recorded, whatever statement
made it, and nothing else."""
import apsw
import pytest

from conftest import Database
from tracking import attempt, changes, quote, reconcile, track, whole

SHAPES = {
    "integer key": "(k INTEGER PRIMARY KEY, u UNIQUE, v)",
    "autoincrement": "(k INTEGER PRIMARY KEY AUTOINCREMENT, u UNIQUE, v)",
    "no key": "(k, u UNIQUE, v)",
    "no key, nothing unique": "(k, u, v)",
    "text key": "(k TEXT PRIMARY KEY, u UNIQUE, v)",
    "real key": "(k REAL PRIMARY KEY, u UNIQUE, v REAL)",
    "without rowid": "(k TEXT PRIMARY KEY, u UNIQUE, v) WITHOUT ROWID",
    "composite": "(k, u, v, PRIMARY KEY (k, u))",
    "composite, without rowid":
        "(v, u TEXT, k INT, PRIMARY KEY (u, k)) WITHOUT ROWID",
    "nocase": "(k TEXT COLLATE NOCASE PRIMARY KEY, u UNIQUE, v)",
    "nocase, without rowid":
        "(k, u TEXT COLLATE NOCASE PRIMARY KEY, v UNIQUE) WITHOUT ROWID",
    "collation of the key":
        "(k, u TEXT, v, PRIMARY KEY (u COLLATE NOCASE)) WITHOUT ROWID",
    "strict": "(k INTEGER PRIMARY KEY, u TEXT UNIQUE, v ANY) STRICT",
    "virtual column": "(k PRIMARY KEY, g AS (k || u), u UNIQUE, v)",
    "stored column": "(k, g AS (k || u) STORED, u PRIMARY KEY, v)",
    "unique generated":
        "(k, g TEXT AS (upper(u)) UNIQUE, u, v, s AS (k) STORED UNIQUE)",
    "three unique": "(k UNIQUE, u UNIQUE, v, UNIQUE (k, v), UNIQUE (v, u))",
    "descending": "(k INTEGER PRIMARY KEY DESC, u UNIQUE, v)",
    "ignoring": "(k UNIQUE ON CONFLICT IGNORE, u UNIQUE ON CONFLICT FAIL, v)",
    "a column named rowid": "(rowid TEXT, k UNIQUE, u, v, oid)",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(db, shape):
    db.run(f"CREATE TABLE t{SHAPES[shape]}")
    db.run("INSERT INTO t(k, u, v) VALUES (1, 'a', 'x'), (2, 'B', 'y')")
    assert track(db) == 2
    for sql in [
            "INSERT INTO t(k, u, v) VALUES (3, 'c', 'z')",
            "INSERT INTO t(k, u, v) SELECT k + 10, u || 1, v || 2 FROM t",
            "UPDATE t SET v = 'w' WHERE k IN (2, '2')",
            "UPDATE t SET k = k + 100", "UPDATE t SET k = k - 1",
            "UPDATE OR REPLACE t SET k = k + 1, v = k",
            "INSERT OR IGNORE INTO t(k, u, v) VALUES (102, 'a', 'i')",
            "REPLACE INTO t(k, u, v) VALUES (102, 'a', 'r'), (7, 'A', 's')",
            "UPDATE OR REPLACE t SET u = 'b', v = 9 WHERE u = 'a'",
            "UPDATE OR IGNORE t SET k = 103, u = 'c'",
            "UPDATE OR REPLACE t SET k = 101, u = 'a1', v = 'q'",
            "INSERT INTO t(k, u, v) VALUES (101, 'a1', 'u')"
            " ON CONFLICT DO UPDATE SET v = 'p', u = u || 'p'",
            "INSERT INTO t(k, u, v) VALUES (4, 'd', 1), (101, 'd', 2)",
            "DELETE FROM t WHERE u LIKE 'a%'", "DELETE FROM t",
            "INSERT INTO t(k, u, v) VALUES (1, 'a', 'x')"]:
        attempt(db, sql)
        assert reconcile(db) == [], sql
    whole(db)
    assert len(changes(db)) > 15
    assert track(db) == 0


def test_keys_may_be_null(db):
    db.run("CREATE TABLE t(k TEXT PRIMARY KEY, v)")
    track(db)
    db.run("INSERT INTO t VALUES (NULL, 1), (NULL, 1), ('a', 1), (NULL, 2)")
    db.run("REPLACE INTO t VALUES (NULL, 1), ('a', 2)")
    db.run("UPDATE t SET v = v + 1 WHERE k IS NULL")
    db.run("DELETE FROM t WHERE v = 3")
    whole(db)
    assert db.value("SELECT count(*) FROM t") == 4


@pytest.mark.parametrize("index", [
    "CREATE UNIQUE INDEX i ON t(a) WHERE b > 0",
    "CREATE UNIQUE INDEX i ON t(a COLLATE NOCASE); "
    "CREATE UNIQUE INDEX j ON t(b DESC, a)",
    "CREATE UNIQUE INDEX i ON t(id, a); CREATE INDEX j ON t(a, b)",
    "CREATE INDEX i ON t(a || b)",
])
def test_indexes_beside_the_key(db, index):
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b); " + index)
    track(db)
    for sql in ["INSERT OR IGNORE INTO t VALUES (1, 'x', 1), (2, 'x', 0),"
                " (3, 'y', 1)", "REPLACE INTO t VALUES (4, 'X', 1)",
                "REPLACE INTO t VALUES (5, 'x', 1)",
                "UPDATE OR REPLACE t SET b = 1",
                "UPDATE OR REPLACE t SET a = 'x'",
                "REPLACE INTO t VALUES (5, 'z', 1)"]:
        db.run(sql)
        whole(db)


NAMES = ["a b", 'a"b', "it's", "a.b", "c%", "%d%s", "a,b;", "select", ".",
         "a_track_insert", "[x]", "--", "\u00e9\u4e16", "\n"]


@pytest.mark.parametrize("name", NAMES)
def test_names(tmp_path, name):
    db = Database(tmp_path / "names.db", trusted=0, defensive=1)
    table, ledger = quote(name), name + " log"
    db.run(f"CREATE TABLE {table}({table} TEXT PRIMARY KEY COLLATE NOCASE,"
           " \"e f\" UNIQUE, \"c\"\"d,\", \"%s'\", UNIQUE (\"%s'\", \"e f\"))"
           " WITHOUT ROWID")
    assert track(db, name, ledger) == 0
    db.run(f"INSERT INTO {table} VALUES ('k', 1, 2, 3), ('l', 2, 2, 3)")
    db.run(f"REPLACE INTO {table} VALUES ('K', 2, 4, 5)")
    db.run(f"UPDATE {table} SET {table} = 'm', \"e f\" = 9")
    assert [row[0] for row in changes(db, ledger)] == [
        "insert", "insert", "delete", "delete", "insert", "update"]
    whole(db, name, ledger)
    assert track(db, name, ledger) == 0
    assert db.value("SELECT ledger_untrack(?)", (name,)) == 1
    assert db.run("SELECT name FROM sqlite_schema WHERE name LIKE"
                  " 'displaced' OR type = 'trigger' AND tbl_name = ?",
                  (name,)) == []
    db.close()


@pytest.mark.parametrize("tail", ["", ", PRIMARY KEY (c119)) WITHOUT ROWID"])
def test_120_columns(db, tail):
    names = ",".join(f"c{i}" for i in range(120))
    db.run(f"CREATE TABLE t({names}{tail or ')'}")
    track(db)
    marks = ",".join("?" * 120)
    for i in range(2):
        db.run(f"REPLACE INTO t VALUES ({marks})", [i] * 119 + ["k"])
    db.run("UPDATE t SET c60 = 'x'")
    whole(db)
    db.run(f"CREATE TABLE u({names}, one_more)")
    db.fails("SELECT ledger_track('u', 'l')",
             "ledger_track: u has 121 columns; 120 at most")


@pytest.mark.parametrize("schema", ["aux", "temp", "o'x"])
def test_other_schemas(tmp_path, schema):
    db = Database(tmp_path / "main.db", trusted=0, defensive=1)
    if schema != "temp":
        db.run(f"ATTACH ? AS {quote(schema)}", (str(tmp_path / "aux.db"),))
    inside = quote(schema)
    db.run("CREATE TABLE main.t(x, y)")
    db.run(f"CREATE TABLE {inside}.t(k INTEGER PRIMARY KEY, u UNIQUE)")
    db.run(f"INSERT INTO {inside}.t VALUES (1, 'a')")
    db.fails("SELECT ledger_track(?, 'main.l')", "the table is in " + schema
             + ", so the ledger must be there, too, for triggers do not reach"
             " other databases", (schema + ".t",))
    assert track(db, schema + ".t", "l") == 1
    assert track(db, schema.upper() + ".T", schema + ".l") == 0
    db.run(f"REPLACE INTO {inside}.t VALUES (2, 'a')")
    assert changes(db) == [("baseline", None, (1, "a")),
                           ("delete", (1, "a"), None),
                           ("insert", None, (2, "a"))]
    whole(db, schema=schema)
    if schema == "aux":  # the namesakes in main are others
        assert track(db, "main.t", "main.l") == 0
        db.run("INSERT INTO main.t VALUES (1, 2)")
        assert db.value("SELECT count(*) FROM main.l") == 2
        assert reconcile(db, "main.t") == reconcile(db, "aux.t") == []
    assert db.value("SELECT ledger_untrack(?)", (schema + ".t",)) == 1
    assert db.run(f"SELECT name FROM {inside}.sqlite_schema WHERE name LIKE"
                  " 't\\_%' ESCAPE '\\'") == []
    db.close()


A, B, C = (1, "a", 1), (2, "b", 2), (3, "c", 3)


def inserted(*rows):
    return [("insert", None, row) for row in rows]


def deleted(*rows):
    return [("delete", row, None) for row in rows]


def updated(*pairs):
    return [("update", old, new) for old, new in pairs]


@pytest.mark.parametrize("sql, expected", [
    ("INSERT INTO t VALUES (4, 'd', 4)", inserted((4, "d", 4))),
    ("INSERT INTO t(u) VALUES ('d')", inserted((4, "d", None))),
    ("INSERT INTO t DEFAULT VALUES", inserted((4, None, None))),
    ("INSERT INTO t VALUES (4, 'd', 4.0), (5, 'e', -2.5)",
     inserted((4, "d", 4.0), (5, "e", -2.5))),
    ("INSERT INTO t SELECT id + 3, u || 'x', n FROM t",
     inserted((4, "ax", 1), (5, "bx", 2), (6, "cx", 3))),
    ("UPDATE t SET n = n", updated((A, A), (B, B), (C, C))),
    ("UPDATE t SET n = NULL WHERE id = 2", updated((B, (2, "b", None)))),
    ("UPDATE t SET id = 9, u = 'z' WHERE id = 2", updated((B, (9, "z", 2)))),
    ("UPDATE t SET id = -id",
     updated((A, (-1, "a", 1)), (B, (-2, "b", 2)), (C, (-3, "c", 3)))),
    ("UPDATE t SET n = 7 FROM (SELECT 2 AS k) AS s WHERE t.id = s.k",
     updated((B, (2, "b", 7)))),
    ("DELETE FROM t WHERE id = 2", deleted(B)),
    ("DELETE FROM t", deleted(A, B, C)),
    ("DELETE FROM t WHERE id > 5", []),
    ("REPLACE INTO t VALUES (1, 'z', 0)", deleted(A) + inserted((1, "z", 0))),
    ("REPLACE INTO t VALUES (4, 'a', 0)", deleted(A) + inserted((4, "a", 0))),
    ("REPLACE INTO t VALUES (1, 'b', 0)",
     deleted(A, B) + inserted((1, "b", 0))),
    ("REPLACE INTO t VALUES (4, 'a', 0), (5, 'a', 0)",
     deleted(A) + inserted((4, "a", 0)) + deleted((4, "a", 0))
     + inserted((5, "a", 0))),
    ("REPLACE INTO t VALUES (1, 'a', 1)", deleted(A) + inserted(A)),
    ("REPLACE INTO t(u) VALUES ('c')", deleted(C) + inserted((4, "c", None))),
    ("INSERT OR IGNORE INTO t VALUES (1, 'z', 0), (4, 'b', 0), (5, 'e', 5)",
     inserted((5, "e", 5))),
    ("INSERT OR IGNORE INTO t VALUES (1, 'b', 0)", []),
    ("UPDATE OR REPLACE t SET id = 2 WHERE id = 1",
     deleted(B) + updated((A, (2, "a", 1)))),
    ("UPDATE OR REPLACE t SET id = 2, u = 'c' WHERE id = 1",
     deleted(B, C) + updated((A, (2, "c", 1)))),
    ("UPDATE OR REPLACE t SET u = 'a' WHERE id = 3",
     deleted(A) + updated((C, (3, "a", 3)))),
    ("UPDATE OR REPLACE t SET u = 'a', id = 3 WHERE id = 1",
     deleted(C) + updated((A, (3, "a", 1)))),
    ("UPDATE OR IGNORE t SET u = 'a'", updated((A, A))),
    ("UPDATE OR IGNORE t SET id = 3 WHERE id = 1", []),
    ("INSERT INTO t VALUES (1, 'z', 0) ON CONFLICT DO NOTHING", []),
    ("INSERT INTO t VALUES (1, 'z', 5) ON CONFLICT DO UPDATE SET n ="
     " excluded.n", updated((A, (1, "a", 5)))),
    ("INSERT INTO t VALUES (9, 'b', 5), (8, 'h', 8) ON CONFLICT(u) DO UPDATE"
     " SET id = excluded.id, u = 'bb'",
     updated((B, (9, "bb", 2))) + inserted((8, "h", 8))),
    ("INSERT INTO t VALUES (1, 'z', 0) ON CONFLICT DO UPDATE SET n = 9"
     " WHERE t.n = 7", []),
])
def test_statements(numbered, sql, expected):
    db = numbered
    db.run(sql)
    found = changes(db, after=4)
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    order = [change[0] for change in expected]
    if "delete" not in order or len(set(order)) < 2:
        assert found == expected
    whole(db)
    db.run("UPDATE t SET n = n + 1; REPLACE INTO t VALUES (1, 'b', 50)")
    whole(db)


@pytest.fixture
def numbered(db):
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE, n"
           " CHECK (n < 100))")
    db.run("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)")
    assert track(db) == 3
    return db


@pytest.mark.parametrize("sql, kept", [
    ("INSERT INTO t VALUES (4, 'd', 4), (1, 'z', 0)", []),
    ("INSERT OR ABORT INTO t VALUES (4, 'd', 4), (5, 'a', 0)", []),
    ("INSERT OR FAIL INTO t VALUES (4, 'd', 4), (5, 'a', 0)",
     inserted((4, "d", 4))),
    ("INSERT OR ROLLBACK INTO t VALUES (4, 'd', 4), (5, 'a', 0)", None),
    ("REPLACE INTO t VALUES (1, 'b', 4), (3, 'x', 100)", []),
    ("UPDATE t SET n = n + 98", []),
    ("UPDATE OR FAIL t SET n = n + 98", updated((A, (1, "a", 99)))),
    ("UPDATE OR ROLLBACK t SET n = n + 98", None),
    ("UPDATE t SET id = id + 1", []),
    ("UPDATE OR FAIL t SET u = 'c'", []),
    ("INSERT INTO t VALUES (1, 'z', 4) ON CONFLICT DO UPDATE SET u = 'b'", []),
])
def test_errors_in_the_middle(numbered, sql, kept):
    """What a failing statement leaves behind is what was recorded."""
    db = numbered
    for before in ([], inserted((50, "before", 0))):
        db.run("BEGIN")
        for _, _, row in before:
            db.run("INSERT INTO t VALUES (?, ?, ?)", row)
        with pytest.raises(apsw.ConstraintError):
            db.run(sql)
        if kept is None:
            assert db.connection.getautocommit()
            assert changes(db, after=4) == []
        else:
            assert changes(db, after=4) == before + kept
            db.run("REPLACE INTO t VALUES (1, 'c', 77)")
            assert reconcile(db) == []
            db.run("ROLLBACK")
        whole(db)
        assert changes(db, after=4) == []


def test_savepoints(numbered):
    db = numbered
    db.run("BEGIN; REPLACE INTO t VALUES (1, 'b', 10); SAVEPOINT s;"
           " DELETE FROM t; INSERT INTO t VALUES (7, 'g', 7); SAVEPOINT r;"
           " REPLACE INTO t VALUES (8, 'g', 8)")
    assert reconcile(db) == []
    db.run("ROLLBACK TO r")
    assert reconcile(db) == []
    assert db.run("SELECT * FROM t") == [(7, "g", 7)]
    db.run("ROLLBACK TO s; UPDATE t SET n = 0; COMMIT")
    assert changes(db, after=6) == (
        inserted((1, "b", 10)) + updated(((1, "b", 10), (1, "b", 0)),
                                         (C, (3, "c", 0))))
    whole(db)
