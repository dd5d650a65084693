"""INSERT: values at their edges, conflict clauses, transactions, and what the
connection reports afterwards."""
import json

import apsw
import pytest

from conftest import load_apsw
from test_walls import leaf

HUGE = 3_000_000


@pytest.fixture
def typed(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(i INTEGER, r REAL, t TEXT,"
           " b BLOB, x ANY, clock='caller')")
    return db


def stored(db, column, value):
    """Append `value`; what is stored and that the hash is over it."""
    head = db.value("SELECT ledger_head('l')")
    db.run(f"INSERT INTO l(at, {column}) VALUES (7, ?)", (value,))
    seq = db.value("SELECT ledger_size('l')")
    row = db.run("SELECT i, r, t, b, x FROM l WHERE seq = ?", (seq,))[0]
    assert db.value("SELECT ledger_head('l')") == leaf(
        "holdfast.entry.v1", seq, head, 7, *row)
    assert db.verify() == []
    return row["irtbx".index(column)]


@pytest.mark.parametrize("column, value", [
    ("i", 0), ("i", -1), ("i", 2**63 - 1), ("i", -2**63), ("i", None),
    ("r", 0.0), ("r", -1.5), ("r", float("inf")), ("r", float("-inf")),
    ("r", 5e-324), ("r", 1.7976931348623157e308),
    ("t", ""), ("t", "\0"), ("t", "a\0b"), ("t", "\u00e9\U0001f600"),
    ("t", "5"), ("t", "x" * HUGE),
    ("b", b""), ("b", b"\0"), ("b", b"\xff\xfe"), ("b", b"y" * HUGE),
    ("x", 5), ("x", 5.0), ("x", "5"), ("x", b"5"), ("x", ""), ("x", b""),
    ("x", 2**63 - 1), ("x", float("inf")), ("x", None), ("x", "\0\0"),
], ids=lambda v: repr(v)[:12])
def test_a_value_comes_back(typed, column, value):
    got = stored(typed, column, value)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize("rest", [(None, None), (b"y", 5), (b"y" * 30, ""),
                                  (b"y" * 2000, 1.5)],
                         ids=["none", "short", "empty", "long"])
def test_lengths_at_the_edges_of_a_buffer(typed, rest):
    """An entry's bytes are gathered on their way to the hash."""
    head = typed.value("SELECT ledger_head('l')")
    typed.run("WITH RECURSIVE n(i) AS (SELECT 850 UNION ALL SELECT i + 1"
              "  FROM n WHERE i < 1049) INSERT INTO l(at, t, b, x)"
              " SELECT 7, printf('%.*c', i, 'x'), ?, ? FROM n", rest)
    for seq, t, got, same in typed.run(
            "SELECT seq, t, hash, merkle_leaf_hash(ledger_leaf_data('l', seq))"
            " FROM l ORDER BY seq"):
        head = leaf("holdfast.entry.v1", seq, head, 7, None, None, t, *rest)
        assert got == head == same, seq
    assert typed.verify() == []


@pytest.mark.parametrize("column, value, expected", [
    ("r", 5, 5.0), ("r", -2**63, -2.0**63), ("r", 2**63 - 1, 2.0**63),
    ("r", 2**53 + 1, 2.0**53), ("r", -0.0, 0.0), ("x", -0.0, 0.0),
    ("r", float("nan"), None),
    ("b", apsw.zeroblob(4), b"\0" * 4), ("b", apsw.zeroblob(0), b""),
    ("x", apsw.zeroblob(3), b"\0" * 3),
], ids=repr)
def test_a_value_is_stored_as(typed, column, value, expected):
    got = stored(typed, column, value)
    assert repr(got) == repr(expected)  # tells -0.0 from 0.0, 5 from 5.0


@pytest.mark.parametrize("column, kind", [("i", "INTEGER"), ("r", "REAL"),
                                          ("t", "TEXT"), ("b", "BLOB")])
def test_types_are_strict(typed, column, kind):
    for value, given in [(5, "INTEGER"), (5.0, "REAL"), ("5", "TEXT"),
                         (b"5", "BLOB"), (apsw.zeroblob(1), "BLOB")]:
        if given != kind and (kind, given) != ("REAL", "INTEGER"):
            typed.fails(f"INSERT INTO l({column}) VALUES (?)",
                        f"ledger l: column {column} takes {kind}, not {given}",
                        (value,))
    assert typed.value("SELECT ledger_size('l')") == 0


@pytest.mark.parametrize("sql, message", [
    ("INSERT INTO l(i) VALUES (9223372036854775808)",
     "column i takes INTEGER, not REAL"),
    ("INSERT INTO l(i) VALUES (TRUE + 0.5)", "takes INTEGER, not REAL"),
    ("INSERT INTO l(t) VALUES (date('now') IS NULL)", "not INTEGER"),
    ("INSERT INTO l(b) SELECT t FROM (SELECT 'x' AS t)", "not TEXT"),
    ("INSERT INTO l(rowid, seq) VALUES (1, 2)", "rowid and seq are the same"),
    ("INSERT INTO l(rowid) VALUES (2)", "seq must be 1, the next one"),
    ("INSERT INTO l(rowid) VALUES ('x')", "datatype mismatch"),
    ("INSERT INTO l(seq) VALUES (-1)", "seq must be 1, the next one"),
    ("INSERT INTO l(seq) VALUES (x'01')", "seq must be 1, the next one"),
    ("INSERT INTO l(nowhere) VALUES (1)", "no column named nowhere"),
    ("INSERT INTO l VALUES (1)", "has 7 columns but 1 values"),
    ("INSERT INTO l(i) VALUES (1) ON CONFLICT DO NOTHING", "UPSERT not"),
    ("INSERT INTO l(i) VALUES (1) ON CONFLICT (seq) DO UPDATE SET i = 2",
     "UPSERT not"),
    ("UPDATE l SET i = 1 WHERE seq = 1 RETURNING seq", ""),
])
def test_statements_that_fail(typed, sql, message):
    if sql.startswith("UPDATE"):
        typed.run("INSERT INTO l(i) VALUES (0)")
    typed.fails(sql, message)


def test_ill_formed_utf8_is_kept_and_hashed_as_it_is(typed):
    for raw in ("ff41c3", "c080", "eda080", "f4908080", "80", "41e2"):
        typed.run(f"INSERT INTO l(t, x) VALUES (CAST(x'{raw}' AS TEXT),"
                  f" CAST(x'{raw}' AS TEXT))")
        assert typed.run(
            "SELECT typeof(t), hex(t), hex(x), hash = merkle_leaf_hash("
            "attest_canonical('holdfast.entry.v1', seq, prev_hash, at, i, r,"
            " t, b, x)) FROM l ORDER BY seq DESC LIMIT 1") == [
                ("text", raw.upper(), raw.upper(), 1)]
    assert typed.verify() == []


def test_too_big_is_clean(typed):
    typed.reopen = False  # the limit belongs to a connection
    typed.connection.limit(apsw.SQLITE_LIMIT_LENGTH, 100000)
    typed.run("INSERT INTO l(b) VALUES (zeroblob(99700))")
    typed.fails("INSERT INTO l(b) VALUES (zeroblob(99999))", "too big")
    typed.fails("INSERT INTO l(t, b) VALUES (?, zeroblob(60000))", "too big",
                ("x" * 60000,))
    typed.run("INSERT INTO l(b) VALUES (zeroblob(5))")
    assert typed.verify() == []


def test_explicit_times(typed):
    for at in (-2**63, -1, 0, 0, 2**63 - 1):
        typed.run("INSERT INTO l(at, i) VALUES (?, 1)", (at,))
    typed.run("INSERT INTO l(i) VALUES (1)")  # the clock is behind
    assert typed.value("SELECT at FROM l WHERE seq = 6") == 2**63 - 1
    typed.fails("INSERT INTO l(at) VALUES (9223372036854775806)",
                "at 9223372036854775806 is earlier than the previous entry's"
                " 9223372036854775807")
    for value in ("1", 1.0, b"1"):
        typed.fails("INSERT INTO l(at) VALUES (?)",
                    "at must be an INTEGER, milliseconds since 1970", (value,))
    assert typed.verify() == []


def test_times_of_the_systems_clock(db):
    """Also once the clock was read: a time before that needs no other look."""
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT)")
    db.run("INSERT INTO l(at) VALUES (1000), (2000), (2000)")
    db.fails("INSERT INTO l(at) VALUES (1999)",
             "at 1999 is earlier than the previous entry's 2000")
    db.run("INSERT INTO l(a) VALUES ('now')")
    now = db.value("SELECT at FROM l WHERE seq = 4")
    for at in (2001, now - 1):
        db.fails(f"INSERT INTO l(at) VALUES ({at})",
                 f"at {at} is earlier than the previous entry's {now}")
    db.run(f"INSERT INTO l(at) VALUES ({now}), ({now + 30000})")
    db.fails(f"INSERT INTO l(at) VALUES ({now + 200000})",
             f"at {now + 200000} is more than 60 s ahead of the clock (")
    db.run("INSERT INTO l(a) VALUES ('behind')")
    assert db.value("SELECT at FROM l WHERE seq = 7") == now + 30000
    assert db.verify() == []


@pytest.mark.parametrize("declared, value", [
    ("TEXT DEFAULT 'd'", "d"), ("TEXT NOT NULL DEFAULT 'd'", "d"),
    ("REAL DEFAULT 3", 3.0), ("ANY DEFAULT 3", 3),
    ("BLOB DEFAULT x'01'", b"\1"), ("TEXT DEFAULT (upper('d'))", "D")])
def test_null_takes_the_default(db, declared, value):
    db.run(f"CREATE VIRTUAL TABLE l USING ledger(a {declared}, z TEXT)")
    db.run("INSERT INTO l(z) VALUES ('left out')")
    db.run("INSERT INTO l(a) VALUES (NULL)")
    db.run("INSERT INTO l(a) SELECT NULL UNION ALL SELECT NULL")
    db.run("INSERT INTO l DEFAULT VALUES")
    assert db.run("SELECT a FROM l") == [(value,)] * 5
    assert type(db.value("SELECT a FROM l")) is type(value)
    assert db.verify() == []


def test_a_default_that_does_not_fit(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(a INTEGER DEFAULT 'x', b TEXT"
           " NOT NULL DEFAULT NULL, c INTEGER DEFAULT 5 CHECK (c <> 5))")
    db.fails("INSERT INTO l(b, c) VALUES ('b', 1)",
             "ledger l: column a takes INTEGER, not TEXT")
    db.fails("INSERT INTO l(a, c) VALUES (1, 1)",
             "NOT NULL constraint failed: l_entry.b")
    db.fails("INSERT INTO l(a, b) VALUES (1, 'b')", "CHECK constraint failed")
    db.run("INSERT INTO l(a, b, c) VALUES (1, 'b', 1)")
    assert db.verify() == []


# ---- conflict clauses -------------------------------------------------------

@pytest.fixture
def unique(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT UNIQUE NOT NULL,"
           " b TEXT, n INTEGER, UNIQUE (b, n))")
    db.run("INSERT INTO l(a, b, n) VALUES ('one', 'b', 1), ('two', NULL, 1)")
    return db


@pytest.mark.parametrize("clause, kept", [
    ("", []), ("OR ABORT", []), ("OR REPLACE", []), ("OR FAIL", ["x"]),
])
def test_conflicts_within_a_statement(unique, clause, kept):
    unique.run("BEGIN")
    with pytest.raises(apsw.ConstraintError) as error:
        unique.run(f"INSERT {clause} INTO l(a) VALUES ('x'), ('one'), ('y')")
    assert "UNIQUE constraint failed: l_entry.a" in str(error.value)
    assert not unique.connection.getautocommit()
    unique.run("INSERT INTO l(a) VALUES ('z')")
    unique.run("COMMIT")
    assert [row[0] for row in unique.run("SELECT a FROM l WHERE seq > 2")] \
        == kept + ["z"]
    assert unique.verify() == []


def test_or_rollback_ends_the_transaction(unique):
    unique.run("BEGIN")
    unique.run("INSERT INTO l(a) VALUES ('x')")
    with pytest.raises(apsw.ConstraintError):
        unique.run("INSERT OR ROLLBACK INTO l(a) VALUES ('y'), ('one')")
    assert unique.connection.getautocommit()
    assert unique.value("SELECT ledger_size('l')") == 2
    unique.run("INSERT INTO l(a) VALUES ('z')")
    assert unique.verify() == []


def test_or_ignore_skips_rows(unique):
    unique.run("INSERT OR IGNORE INTO l(seq, a, b, n) VALUES"
               " (NULL, 'x', NULL, 1), (NULL, 'one', NULL, 2),"
               " (NULL, NULL, NULL, 3), (NULL, 'y', 'b', 1), (1, 'z', 'c', 4),"
               " (NULL, 'y', 'b', 2)")
    assert unique.run("SELECT seq, a FROM l WHERE seq > 2") == [
        (3, "x"), (4, "y")]
    assert unique.verify() == []


@pytest.mark.parametrize("columns, values, message", [
    ("a, b, n", "'x', 'b', 1", "UNIQUE constraint failed: l_entry.b,"),
    ("a", "'two'", "UNIQUE constraint failed: l_entry.a"),
    ("b", "'x'", "NOT NULL constraint failed: l_entry.a"),
    ("seq, a", "1, 'x'", "ledger l is append-only: entry 1 exists"),
])
def test_replace_replaces_nothing(unique, columns, values, message):
    for verb in ("REPLACE", "INSERT OR REPLACE", "INSERT OR ABORT"):
        unique.fails(f"{verb} INTO l({columns}) VALUES ({values})", message)
    assert unique.verify() == []


def test_codes(unique):
    for sql, code in [
            ("INSERT INTO l(a) VALUES ('one')", "UNIQUE"),
            ("INSERT INTO l(b) VALUES ('x')", "NOTNULL"),
            ("INSERT INTO l(seq, a) VALUES (1, 'x')", "PRIMARYKEY"),
            ("INSERT INTO l(seq, a) VALUES (9, 'x')", "VTAB"),
            ("UPDATE l SET a = 'x'", "VTAB"), ("DELETE FROM l", "VTAB"),
            ("DELETE FROM l_entry", "TRIGGER"),
            ("UPDATE l_config SET value = 1", "TRIGGER")]:
        with pytest.raises(apsw.ConstraintError) as error:
            unique.run(sql)
        assert error.value.extendedresult == getattr(
            apsw, f"SQLITE_CONSTRAINT_{code}"), sql


# ---- transactions -----------------------------------------------------------

def test_savepoints_nest(typed):
    typed.run("BEGIN")
    expected = []
    for depth in range(6):
        typed.run(f"SAVEPOINT s{depth}")
        typed.run("INSERT INTO l(i) VALUES (?)", (depth,))
        expected.append(depth)
    typed.run("ROLLBACK TO s4")
    typed.run("INSERT INTO l(i) VALUES (40)")
    typed.run("RELEASE s3")
    typed.run("INSERT INTO l(i) VALUES (41)")
    typed.run("ROLLBACK TO s1")
    typed.run("ROLLBACK TO s1")
    typed.run("INSERT INTO l(i) VALUES (42)")
    typed.run("COMMIT")
    assert typed.run("SELECT seq, i FROM l") == [(1, 0), (2, 42)]
    assert typed.verify() == []


def test_a_savepoint_is_the_transaction(typed):
    typed.run("SAVEPOINT s")
    typed.run("INSERT INTO l(i) VALUES (1)")
    typed.run("ROLLBACK TO s")
    typed.run("INSERT INTO l(i) VALUES (2)")
    typed.run("RELEASE s")
    assert typed.run("SELECT seq, i FROM l") == [(1, 2)]
    typed.run("SAVEPOINT s")
    typed.run("INSERT INTO l(i) VALUES (3)")
    typed.run("ROLLBACK TO s")
    typed.run("RELEASE s")
    assert typed.value("SELECT ledger_size('l')") == 1
    assert typed.verify() == []


def test_creation_is_rolled_back(db):
    db.run("BEGIN")
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT INDEXED)")
    db.run("INSERT INTO l(a) VALUES ('x')")
    db.run("ROLLBACK")
    db.fails("SELECT * FROM l", "no such table: l")
    db.fails("SELECT ledger_size('l')", "no such ledger: main.l")
    db.run("SAVEPOINT s")
    db.run("CREATE VIRTUAL TABLE l USING ledger(b INTEGER)")
    db.run("INSERT INTO l(b) VALUES (1)")
    db.run("ROLLBACK TO s")
    db.run("CREATE VIRTUAL TABLE l USING ledger(c INTEGER)")
    db.run("INSERT INTO l(c) VALUES (2)")
    db.run("RELEASE s")
    assert db.run("SELECT seq, c FROM l") == [(1, 2)]
    assert db.verify() == []


def test_two_connections_never_fork(typed):
    other = apsw.Connection(typed.path)
    load_apsw(other)
    other.setbusytimeout(10000)
    for i in range(10):
        typed.run("INSERT INTO l(i) VALUES (?)", (i,))
        other.cursor().execute("INSERT INTO l(i) VALUES (?), (?)",
                               (i + 100, i + 200))
    typed.run("BEGIN")
    typed.run("INSERT INTO l(i) VALUES (1000)")
    other.setbusytimeout(0)
    with pytest.raises(apsw.BusyError):
        other.cursor().execute("INSERT INTO l(i) VALUES (1001)")
    typed.run("ROLLBACK")
    other.cursor().execute("INSERT INTO l(i) VALUES (1002)")
    other.close()
    typed.run("INSERT INTO l(i) VALUES (1003)")
    assert typed.value("SELECT ledger_size('l')") == 32
    assert typed.verify() == []


@pytest.mark.parametrize("uri", ["file:{}?cache=shared",
                                 "file:shared?mode=memory&cache=shared"])
def test_connections_that_share_a_cache(tmp_path, uri):
    """One head must not be kept over another's commit, nor over one's own
    writes elsewhere, nor after a rollback."""
    flags = (apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
             | apsw.SQLITE_OPEN_URI)
    both = [apsw.Connection(uri.format(tmp_path / "s.db"), flags=flags)
            for _ in range(2)]
    for connection in both:
        load_apsw(connection)
    first = both[0].cursor().execute
    first("CREATE VIRTUAL TABLE l USING ledger(i INTEGER); CREATE TABLE t(x)")
    for i in range(60):
        run = both[i // 3 % 2].cursor().execute
        if i % 5 == 0:
            run("INSERT INTO t VALUES (1)")
        if i % 7 == 0:
            run("BEGIN; INSERT INTO l(i) VALUES (-1); ROLLBACK")
        run("INSERT INTO l(i) VALUES (?)", (i,))
    assert first("SELECT i FROM l").fetchall() == [(i,) for i in range(60)]
    assert first("SELECT * FROM ledger_verify('l')").fetchall() == []
    for connection in both:
        connection.close()


def test_the_head_is_read_again_in_a_transaction(typed):
    """There, writes of the connection's own may have gone around the walls."""
    for i in range(3):
        typed.run("INSERT INTO l(i) VALUES (?)", (i,))
    guard = typed.value("SELECT sql FROM sqlite_schema WHERE name ="
                        " 'l_entry_delete'")
    typed.run("BEGIN")
    typed.run("DROP TRIGGER l_entry_delete")
    typed.run("DELETE FROM l_entry WHERE seq = 3")
    typed.run(guard)
    typed.run("INSERT INTO l(i) VALUES (4)")
    typed.run("COMMIT")
    assert typed.run("SELECT seq, i FROM l") == [(1, 0), (2, 1), (3, 4)]
    assert typed.verify() == []


def test_a_stale_snapshot_is_passed_through(typed):
    other = apsw.Connection(typed.path)
    load_apsw(other)
    reading = other.cursor()
    reading.execute("BEGIN; SELECT count(*) FROM l").fetchall()
    if typed.setting[0] != "wal":  # there a reader holds up the commit
        typed.connection.setbusytimeout(0)
        with pytest.raises(apsw.BusyError) as error:
            typed.connection.cursor().execute("INSERT INTO l(i) VALUES (1)")
        assert error.value.extendedresult == apsw.SQLITE_BUSY
        reading.execute("ROLLBACK")
        other.close()
        assert typed.value("SELECT ledger_size('l')") == 0
        typed.run("INSERT INTO l(i) VALUES (1)")
        assert typed.verify() == []
        return
    typed.run("INSERT INTO l(i) VALUES (1)")
    with pytest.raises(apsw.BusyError) as error:
        other.cursor().execute("INSERT INTO l(i) VALUES (2)")
    assert error.value.extendedresult == apsw.SQLITE_BUSY_SNAPSHOT
    other.cursor().execute("ROLLBACK; INSERT INTO l(i) VALUES (2)")
    other.close()
    assert typed.run("SELECT i FROM l") == [(1,), (2,)]
    assert typed.verify() == []


def test_read_only(typed):
    typed.run("INSERT INTO l(i) VALUES (1)")
    reader = apsw.Connection(typed.path, flags=apsw.SQLITE_OPEN_READONLY)
    load_apsw(reader)
    cursor = reader.cursor()
    assert cursor.execute("SELECT i FROM l").fetchall() == [(1,)]
    assert cursor.execute("SELECT * FROM ledger_verify('l')").fetchall() == []
    assert json.loads(cursor.execute("SELECT ledger_report('l')")
                      .fetchall()[0][0])["entries_checked"] == 1
    for sql in ("INSERT INTO l(i) VALUES (2)", "SELECT holdfast_install()",
                "CREATE VIRTUAL TABLE m USING ledger(a TEXT)"):
        with pytest.raises(apsw.ReadOnlyError):
            cursor.execute(sql)
    reader.close()
    typed.run("PRAGMA query_only = ON")
    if not typed.reopen:
        with pytest.raises(apsw.ReadOnlyError):
            typed.run("INSERT INTO l(i) VALUES (2)")
        assert typed.verify() == []


# ---- what the connection reports --------------------------------------------

def test_last_insert_rowid_and_changes(tmp_path):
    connection = apsw.Connection(":memory:")
    load_apsw(connection)
    cursor = connection.cursor()
    cursor.execute("CREATE VIRTUAL TABLE l USING ledger(a TEXT UNIQUE)")
    cursor.execute("CREATE TABLE log(x); CREATE TRIGGER after_l AFTER INSERT ON"
                   " l_entry BEGIN INSERT INTO log(rowid) VALUES"
                   " (NEW.seq + 1000); END")
    for seq in range(1, 6):
        cursor.execute("INSERT INTO l(a) VALUES (?)", (f"a{seq}",))
        assert connection.last_insert_rowid() == seq
        assert connection.changes() == 1
    cursor.execute("INSERT INTO l(a) VALUES ('x'), ('y'), ('z')")
    assert (connection.last_insert_rowid(), connection.changes()) == (8, 3)
    with pytest.raises(apsw.ConstraintError):
        cursor.execute("INSERT INTO l(a) VALUES ('x')")
    cursor.execute("INSERT OR IGNORE INTO l(a) VALUES ('x')")
    assert connection.changes() == 0
    assert cursor.execute("INSERT INTO l(a) VALUES ('r') RETURNING a"
                          ).fetchall() == [("r",)]
    assert connection.last_insert_rowid() == 9
    connection.close()


def test_insert_from_itself(typed):
    typed.run("INSERT INTO l(at, i, t) VALUES (1, 1, 'a'), (2, 2, 'b')")
    for n in range(6):
        typed.run("INSERT INTO l(at, i, t) SELECT ? + seq, i, t FROM l",
                  (1000 * (n + 1),))
    assert typed.value("SELECT ledger_size('l')") == 128
    typed.run("INSERT INTO l(i, t) SELECT i, t FROM l WHERE seq IN (3, 5)"
              " ORDER BY seq DESC LIMIT 1")
    assert typed.value("SELECT count(*) FROM l") == 129
    assert typed.verify() == []


def test_compare_and_append(ledger):
    head = ledger.value("SELECT ledger_head('l')")
    ledger.run("INSERT INTO l(at, task, prev_hash) VALUES (4000, 'x',"
               " ledger_head('l'))")
    ledger.fails("INSERT INTO l(at, task, prev_hash) VALUES (4000, 'y', ?)",
                 "ledger l: prev_hash is not the head, which is "
                 + ledger.value("SELECT lower(hex(ledger_head('l')))")
                 + ": another entry came first, or a wrong one was given",
                 (head,))
    for wrong in (head[:31], head + b"\0", head.hex(), 0, ""):
        ledger.fails("INSERT INTO l(task, prev_hash) VALUES ('y', ?)",
                     "prev_hash is not the head", (wrong,))
        ledger.fails("INSERT INTO l(task, hash) VALUES ('y', ?)",
                     "hash is not the hash of this entry, which is ", (wrong,))
    assert ledger.verify() == []


def test_a_restored_copy_is_the_same(ledger):
    """seq, at, prev_hash and hash given: all of them are checked, and the
    copy has the same head and root."""
    origin = ledger.value("SELECT json_extract(ledger_report('l'),"
                          " '$.origin')")
    ledger.run("CREATE VIRTUAL TABLE m USING ledger(task TEXT, n INTEGER,"
               f" x ANY, origin='{origin}', clock='caller')")
    ledger.run("INSERT INTO m(seq, at, task, n, x, prev_hash, hash)"
               " SELECT seq, at, task, n, x, prev_hash, hash FROM l")
    assert ledger.run("SELECT ledger_head('l') = ledger_head('m'),"
                      " ledger_root('l') = ledger_root('m')") == [(1, 1)]
    assert ledger.verify("m") == []
    ledger.run("CREATE VIRTUAL TABLE k USING ledger(task TEXT, n INTEGER,"
               " x ANY, clock='caller')")
    ledger.fails("INSERT INTO k(at, task, n, x, hash)"
                 " SELECT at, task, n, x, hash FROM l",
                 "ledger k: hash is not the hash of this entry")
