"""The walls: what is appended, what is refused, with which words, and that
nothing changed."""
import hashlib
import sqlite3
import struct

import apsw
import pytest


def canonical(*values):
    """The encoding of the README, written again."""
    out = b"R%d:" % len(values)
    for value in values:
        if value is None:
            out += b"N"
        elif isinstance(value, int):
            out += b"I" + struct.pack(">q", value)
        elif isinstance(value, float):
            out += b"F" + struct.pack(">d", value + 0.0)
        elif isinstance(value, str):
            out += b"T%d:" % len(value.encode()) + value.encode()
        else:
            out += b"B%d:" % len(value) + value
    return out


def leaf(*values):
    return hashlib.sha256(b"\0" + canonical(*values)).digest()


def genesis(origin, schema):
    return leaf("holdfast.ledger.v1", origin, schema)


def test_hashes_follow_from_the_documented_format(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT, i INTEGER, r REAL,"
           " b BLOB, v ANY, origin='example.com/l', clock='caller')")
    previous = genesis("example.com/l", "a TEXT,i INTEGER,r REAL,b BLOB,v ANY")
    assert db.value("SELECT ledger_head('l')") == previous
    rows = [(5, "x", 1, 2.5, b"\1\2", "any"), (5, None, None, None, None, 7),
            (9, "a\0b\u00e9\U0001f600", -2**63, -0.0, b"", 1e300),
            (2**62, "", 2**63 - 1, 3, b"\0" * 5000, b"")]
    for at, *row in rows:
        db.run("INSERT INTO l(at, a, i, r, b, v) VALUES (?,?,?,?,?,?)",
               (at, *row))
        row[2] = None if row[2] is None else float(row[2])
        seq = db.value("SELECT max(seq) FROM l")
        expected = leaf("holdfast.entry.v1", seq, previous, at, *row)
        assert db.run("SELECT prev_hash, hash FROM l WHERE seq = ?", (seq,)) \
            == [(previous, expected)]
        previous = expected
    assert db.verify() == []
    assert db.value("SELECT ledger_root('l') = merkle_root(ledger_leaf_data("
                    "'l', seq)) FROM l") == 1
    assert [db.value("SELECT ledger_root('l', ?)", (n,)) == db.value(
        "SELECT merkle_root(ledger_leaf_data('l', seq)) FROM l"
        " WHERE seq <= ?", (n,)) for n in range(5)] == [True] * 5


@pytest.mark.parametrize("sql", [
    "UPDATE l SET n = 9", "UPDATE l SET seq = 9 WHERE seq = 1",
    "UPDATE OR REPLACE l SET n = 2 WHERE seq = 1", "DELETE FROM l",
    "UPDATE OR IGNORE l SET n = 9", "DELETE FROM l WHERE seq = 3",
    "INSERT OR REPLACE INTO l(seq, task) VALUES (1, 'x')",
    "REPLACE INTO l(rowid, task) VALUES (3, 'x')",
    "UPDATE l_entry SET n = 9", "UPDATE OR REPLACE l_entry SET n = 1",
    "UPDATE l_entry SET rowid = 9 WHERE seq = 3", "DELETE FROM l_entry",
    "UPDATE l_entry SET node = NULL", "UPDATE l_entry SET node = x'00'",
    "DELETE FROM l_entry WHERE seq = 3",
])
def test_append_only(ledger, sql):
    ledger.fails(sql, "ledger l is append-only")
    assert ledger.verify() == []


@pytest.mark.parametrize("sql", [
    "UPDATE l_config SET value = 'x'", "DELETE FROM l_config",
    "INSERT INTO l_config VALUES ('x', 1)",
    "INSERT OR REPLACE INTO l_config VALUES ('origin', 'x')",
    "UPDATE OR REPLACE l_config SET key = 'genesis' WHERE key = 'origin'",
])
def test_configuration_is_fixed(ledger, sql):
    ledger.fails(sql, "ledger l: its configuration is fixed")


@pytest.mark.parametrize("columns, values, message", [
    ("seq, task", (5, "x"), "seq must be 4, the next one"),
    ("seq, task", (0, "x"), "seq must be 4, the next one"),
    ("seq, task", (2**63 - 1, "x"), "seq must be 4, the next one"),
    ("seq, task", (4.0, "x"), "seq must be 4, the next one"),
    ("seq, task", ("4", "x"), "seq must be 4, the next one"),
    ("seq, task", (3, "x"), "append-only: entry 3 exists"),
    ("at, task", (2999, "x"), "at 2999 is earlier than the previous entry's"),
    ("at, task", ("now", "x"), "at must be an INTEGER"),
    ("task, prev_hash", ("x", b"\0" * 32), "prev_hash is not the head"),
    ("task, prev_hash", ("x", "text"), "prev_hash is not the head"),
    ("task, hash", ("x", b"\0" * 32), "hash is not the hash of this entry"),
    ("task, hash", ("x", b""), "hash is not the hash of this entry"),
    ("task", (5,), "column task takes TEXT, not INTEGER"),
    ("task", (b"x",), "column task takes TEXT, not BLOB"),
    ("task, n", ("x", "7"), "column n takes INTEGER, not TEXT"),
    ("task, n", ("x", 7.0), "column n takes INTEGER, not REAL"),
    ("task", (None,), "NOT NULL constraint failed: l_entry.task"),
    ("task, n", ("x", 1), "UNIQUE constraint failed: l_entry.n"),
    ("task, n", ("x", 1000), "CHECK constraint failed"),
])
@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR REPLACE",
                                  "INSERT OR ROLLBACK"])
def test_refused(ledger, verb, columns, values, message):
    marks = ",".join("?" * len(values))
    ledger.fails(f"{verb} INTO l({columns}) VALUES ({marks})", message, values)
    assert ledger.verify() == []


def test_what_is_given_right_is_taken(ledger):
    head = ledger.value("SELECT ledger_head('l')")
    expected = leaf("holdfast.entry.v1", 4, head, 3000, "x", 4, None)
    ledger.run("INSERT INTO l(seq, at, task, n, prev_hash, hash)"
               " VALUES (4, 3000, 'x', 4, ?, ?)", (head, expected))
    assert ledger.value("SELECT ledger_head('l')") == expected
    assert ledger.verify() == []


def test_or_ignore_skips_a_row_but_silences_no_rule(ledger):
    for values in [("x", 1, None), (None, 7, None), ("x", 1000, None),
                   ("x", 7, 2)]:
        ledger.run("INSERT OR IGNORE INTO l(task, n, seq) VALUES (?,?,?)",
                   values)
        assert ledger.value("SELECT ledger_size('l')") == 3
    ledger.fails("INSERT OR IGNORE INTO l(task, seq) VALUES ('x', 9)",
                 "seq must be 4")
    ledger.run("CREATE TRIGGER p BEFORE INSERT ON l_entry WHEN NEW.n = 77"
               " BEGIN SELECT RAISE(ABORT, 'policy: not 77'); END")
    ledger.fails("INSERT OR IGNORE INTO l(task, n) VALUES ('x', 77)",
                 "policy: not 77")
    ledger.fails("INSERT INTO l(task, n) VALUES ('x', 76), ('x', 77)",
                 "policy: not 77")


def test_clock():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    from conftest import load
    load(connection)
    connection.execute("CREATE VIRTUAL TABLE l USING ledger(a TEXT)")
    now = connection.execute("SELECT CAST((julianday('now') - 2440587.5)"
                             " * 86400000 AS INTEGER)").fetchone()[0]
    connection.execute("INSERT INTO l(a) VALUES ('x')")
    at = connection.execute("SELECT at FROM l").fetchone()[0]
    assert abs(at - now) < 60000
    with pytest.raises(sqlite3.DatabaseError, match="60 s ahead of the clock"):
        connection.execute("INSERT INTO l(at, a) VALUES (?, 'x')",
                           (now + 600000,))
    connection.execute("INSERT INTO l(at, a) VALUES (?, 'x')", (now + 30000,))
    connection.execute("INSERT INTO l(a) VALUES ('y')")  # never backwards
    assert connection.execute("SELECT at FROM l WHERE seq = 3").fetchone()[0] \
        == now + 30000
    assert connection.execute("SELECT finding FROM holdfast_check"
                              ).fetchall() == [("clock_behind",)]


def direct(db, seq, at, task, n, x=None):
    previous = db.value("SELECT ledger_head('l')")
    return leaf("holdfast.entry.v1", seq, previous, at, task, n, x)


def test_direct_insert_is_held_to_the_rules(ledger):
    insert = "INSERT INTO l_entry(seq, at, task, n, hash) VALUES (?,?,?,?,?)"
    for seq in range(4, 12):  # odd and even, completing up to eight
        right = direct(ledger, seq, 4000, "d", seq)
        ledger.fails(insert, "seq is not the next one",
                     (seq + 1, 4000, "d", seq, right))
        ledger.fails(insert, "at is earlier than the previous entry's",
                     (seq, 2999, "d", seq, right))
        ledger.fails(insert, "hash is not the hash of this entry",
                     (seq, 4000, "e", seq, right))
        ledger.fails(insert, "hash is not the hash of this entry",
                     (seq, 4000, "d", seq, None))
        for verb in ("INSERT OR IGNORE", "INSERT OR REPLACE"):
            ledger.fails(insert.replace("INSERT", verb),
                         "hash is not the hash", (seq, 4000, "d", seq, b"x"))
        ledger.fails("INSERT OR REPLACE INTO l_entry(seq, at, task, n, hash)"
                     " VALUES (?,?,?,?,?)", "must be unique",
                     (seq, 4000, "d", 1, direct(ledger, seq, 4000, "d", 1)))
        ledger.fails("INSERT INTO l_entry(seq, at, task, n, hash, node)"
                     " VALUES (?,?,?,?,?,x'00')", "node is derived",
                     (seq, 4000, "d", seq, right))
        ledger.run(insert, (seq, 4000, "d", seq, right))
        assert ledger.verify() == []
        if seq == 8:
            ledger.run("INSERT INTO l(at, task) VALUES (4000, 'module')")
            assert ledger.verify() == []
            break
    assert ledger.value("SELECT ledger_root('l') = (SELECT merkle_root("
                        "ledger_leaf_data('l', seq)) FROM l)") == 1
    assert ledger.value("SELECT count(*) FROM l_entry"
                        " WHERE (node IS NULL) = (seq % 2 = 0)") == 0


def test_the_one_update_changes_nothing_else(ledger):
    """After a direct INSERT its node may be filled in, once, and alone."""
    ledger.run("INSERT INTO l_entry(seq, at, task, n, x, hash)"
               " VALUES (4, 4000, 'd', 5, 1, ?)",
               (direct(ledger, 4, 4000, "d", 5, 1),))
    for change in ("at = 4001", "at = NULL", "task = 'e'", "task = NULL",
                   "n = 6", "n = NULL", "x = 1.0", "x = '1'", "x = NULL",
                   "hash = x'00'", "hash = NULL", "seq = 5", "rowid = 9"):
        for verb in ("UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE"):
            ledger.fails(f"{verb} l_entry SET node = x'00', {change}"
                         " WHERE seq = 4", "ledger l is append-only")
    ledger.fails("UPDATE l_entry SET node = x'00'", "ledger l is append-only")
    ledger.fails("UPDATE l_entry SET node = x'00' WHERE seq = 3",
                 "ledger l is append-only")
    right = ("(SELECT merkle_node_hash(q.hash, l_entry.hash) || "
             "merkle_node_hash(p.node, merkle_node_hash(q.hash, l_entry.hash))"
             " FROM l_entry AS p, l_entry AS q WHERE p.seq = 2 AND q.seq = 3)")
    for wrong in ("zeroblob(64)", "zeroblob(32)", "x''", "NULL",
                  f"CAST({right} || x'00' AS BLOB)",
                  f"substr(CAST({right} AS BLOB), 1, 32)"):
        ledger.fails(f"UPDATE l_entry SET node = {wrong} WHERE seq = 4",
                     "ledger l is append-only")
    plain = sqlite3.connect(ledger.path)
    with pytest.raises(sqlite3.OperationalError) as error:
        plain.execute("UPDATE l_entry SET node = zeroblob(64) WHERE seq = 4")
    assert str(error.value) == "no such function: merkle_node_hash"
    plain.close()
    ledger.run(f"UPDATE l_entry SET node = CAST({right} AS BLOB)"
               " WHERE seq = 4")
    ledger.fails("UPDATE l_entry SET node = node", "ledger l is append-only")
    assert ledger.verify() == []


def test_direct_insert_in_the_future(db):
    """Only a ledger of the caller's clock takes it."""
    insert = "INSERT INTO l_entry(seq, at, a, hash) VALUES (1, ?, 'x', ?)"
    for clock in ("system", "caller"):
        db.run(f"CREATE VIRTUAL TABLE l USING ledger(a TEXT, clock='{clock}',"
               " drop='always')")
        now = db.value("SELECT 1000 * CAST(strftime('%s', 'now') AS INTEGER)")
        late, soon = now + 100000, now + 30000
        head = db.value("SELECT ledger_head('l')")
        right = {at: leaf("holdfast.entry.v1", 1, head, at, "x")
                 for at in (late, soon)}
        if clock == "system":
            db.fails(insert, "ledger l: at lies in the future",
                     (late, right[late]))
            db.run(insert, (soon, right[soon]))
        else:
            db.run(insert, (late, right[late]))
        assert db.verify() == []
        db.run("DROP TABLE l")


def test_direct_insert_between_appends_of_one_transaction(ledger):
    ledger.run("BEGIN")
    ledger.run("INSERT INTO l(at, task) VALUES (4000, 'a')")
    ledger.run("INSERT INTO l_entry(seq, at, task, n, hash)"
               " VALUES (5, 4000, 'd', 5, ?)",
               (direct(ledger, 5, 4000, "d", 5),))
    ledger.run("INSERT INTO l(at, task) VALUES (4000, 'b')")
    ledger.run("COMMIT")
    assert ledger.value("SELECT ledger_size('l')") == 6
    assert ledger.verify() == []


def test_without_the_extension(ledger):
    plain = sqlite3.connect(ledger.path, isolation_level=None)
    assert plain.execute("SELECT count(*) FROM l_entry").fetchone() == (3,)
    before = ledger.state()
    for sql, message in [
            ("INSERT INTO l_entry(seq, at, task, hash) VALUES (4, 1, 'x',"
             " x'00')", "no such function: ledger_pending"),
            ("INSERT OR REPLACE INTO l_entry(seq, at, task, hash)"
             " VALUES (3, 1, 'x', x'00')", "no such function: ledger_pending"),
            ("UPDATE l_entry SET n = 9", "ledger l is append-only"),
            ("DELETE FROM l_entry", "ledger l is append-only"),
            ("UPDATE l_config SET value = 1", "configuration is fixed"),
            ("INSERT INTO l(task) VALUES ('x')", "no such module: ledger"),
            ("DROP TABLE l", "no such module: ledger")]:
        with pytest.raises(sqlite3.DatabaseError, match=message):
            plain.execute(sql)
    plain.close()
    assert ledger.state() == before
    assert ledger.verify() == []


def test_transactions_leave_no_trace(ledger):
    ledger.run("BEGIN")
    ledger.run("INSERT INTO l(at, task) VALUES (4000, 'a')")
    ledger.run("SAVEPOINT s")
    ledger.run("INSERT INTO l(at, task) VALUES (4000, 'b'), (4000, 'c')")
    ledger.run("ROLLBACK TO s")
    ledger.run("INSERT INTO l(at, task) VALUES (4000, 'd')")
    with pytest.raises(apsw.Error):
        ledger.run("INSERT INTO l(at, task, n) VALUES (4000, 'e', 50),"
                   " (4000, 'f', 1)")
    ledger.run("INSERT INTO l(at, task) VALUES (4000, 'g')")
    ledger.run("COMMIT")
    assert [row[0] for row in ledger.run("SELECT task FROM l WHERE seq > 3")] \
        == ["a", "d", "g"]
    ledger.run("BEGIN")
    ledger.run("INSERT INTO l(at, task) VALUES (5000, 'h')")
    ledger.run("ROLLBACK")
    ledger.run("INSERT INTO l(at, task) SELECT at, task FROM l ORDER BY at"
               " LIMIT 0")
    ledger.run("INSERT INTO l(task) SELECT task FROM l")
    assert ledger.value("SELECT ledger_size('l')") == 12
    assert ledger.value("SELECT last_insert_rowid()") in (12, 0)
    assert ledger.verify() == []


def test_triggers_that_append(ledger):
    ledger.run("CREATE TRIGGER again AFTER INSERT ON l_entry"
               " WHEN NEW.n BETWEEN 100 AND 104 BEGIN"
               " INSERT INTO l(task, n) VALUES ('again', NEW.n + 1); END")
    ledger.run("INSERT INTO l(task, n) VALUES ('first', 100)")
    assert ledger.value("SELECT max(n) FROM l") == 105
    ledger.run("INSERT INTO l(task) VALUES ('after')")
    assert ledger.verify() == []
    ledger.run("CREATE TRIGGER before BEFORE INSERT ON l_entry"
               " WHEN NEW.task = 'b' BEGIN INSERT INTO l(task) VALUES ('c');"
               " END")
    ledger.fails("INSERT INTO l(task) VALUES ('b')",
                 "a BEFORE INSERT trigger on l_entry cannot append")
    ledger.run("CREATE TRIGGER endless AFTER INSERT ON l_entry"
               " WHEN NEW.task = 'e' BEGIN INSERT INTO l(task) VALUES ('e');"
               " END")
    ledger.fails("INSERT INTO l(task) VALUES ('e')",
                 "nested more than 16 deep")
    ledger.run("CREATE VIRTUAL TABLE m USING ledger(task TEXT)")
    ledger.run("CREATE TRIGGER ping AFTER INSERT ON l_entry WHEN NEW.task ="
               " 'p' BEGIN INSERT INTO m(task) VALUES ('p'); END")
    ledger.run("CREATE TRIGGER pong AFTER INSERT ON m_entry"
               " BEGIN INSERT INTO l(task) VALUES ('pong'); END")
    ledger.run("INSERT INTO l(task) VALUES ('p')")
    assert ledger.verify() == [] and ledger.verify("m") == []


def test_a_swallowed_entry_is_an_error(ledger):
    ledger.run("BEGIN")
    ledger.run("CREATE TEMP TRIGGER swallow BEFORE INSERT ON l_entry"
               " BEGIN SELECT RAISE(IGNORE); END")
    ledger.fails("INSERT INTO l(task) VALUES ('x')", "swallowed the entry")
    ledger.run("ROLLBACK")
    ledger.run("INSERT INTO l(task) VALUES ('x')")
    assert ledger.verify() == []


def test_derived_state_and_its_failure(ledger):
    ledger.run("CREATE TABLE state(task TEXT PRIMARY KEY, n)")
    ledger.run("CREATE TRIGGER derive AFTER INSERT ON l_entry BEGIN"
               " INSERT INTO state VALUES (NEW.task, NEW.n); END")
    ledger.run("INSERT INTO l(task, n) VALUES ('s', 10)")
    ledger.fails("INSERT INTO l(task, n) VALUES ('s', 11)",
                 "UNIQUE constraint failed: state.task")
    assert ledger.run("SELECT * FROM state") == [("s", 10)]
    assert ledger.verify() == []
