"""What triggers do not see, ledger_reconcile does: which rows, and of what they
were; and when the triggers themselves are not what they should be."""
import json
import sqlite3

import apsw
import pytest

from conftest import Database
from tracking import reconcile, three, track, unseen, whole

OBJECTS = ["t_track_before_insert", "t_track_before_update",
           "t_track_insert", "t_track_update", "t_track_delete",
           ]


@pytest.fixture(name="t")
def tracked(db):
    return three(db)


ALTERED = ("row_altered", "[2]", '[2,"b",20]', '[2,"b",99]')


@pytest.mark.parametrize("sql, found", [
    ("UPDATE t SET v = 99 WHERE id = 2", [ALTERED]),
    ("DELETE FROM t WHERE id = 2",
     [("row_missing", "[2]", '[2,"b",20]', None)]),
    ("INSERT INTO t VALUES (4, NULL, x'00ff')",
     [("row_unledgered", "[4]", None, '[4,null,{"blob":"00ff"}]')]),
    ("UPDATE t SET id = 9 WHERE id = 2",
     [("row_missing", "[2]", '[2,"b",20]', None),
      ("row_unledgered", "[9]", None, '[9,"b",20]')]),
    ("UPDATE t SET id = -id; UPDATE t SET id = 4 + id",
     [("row_altered", "[1]", '[1,"a",10]', '[1,"c",30]'),
      ("row_altered", "[3]", '[3,"c",30]', '[3,"a",10]')]),
    ("DELETE FROM t", [("row_missing", f"[{i}]", f'[{i},"{u}",{i}0]', None)
                       for i, u in enumerate("abc", 1)]),
    ("UPDATE t SET v = v", []),
    ("REPLACE INTO t VALUES (2, 'b', 20)", []),
    ("REPLACE INTO t VALUES (2, 'c', 0)",
     [("row_altered", "[2]", '[2,"b",20]', '[2,"c",0]'),
      ("row_missing", "[3]", '[3,"c",30]', None)]),
])
def test_unseen_writes(t, sql, found):
    unseen(t, sql)
    assert sorted(reconcile(t)) == found
    assert t.verify() == []
    if found:
        t.fails("SELECT ledger_track('t', 'l'), ledger_track('t', 'm')",
                "ledger_track: t is recorded in ledger l")
    t.run("UPDATE t SET v = 1 WHERE id = 1; DELETE FROM t WHERE id = 1")
    assert [row for row in sorted(reconcile(t)) if row[1] != "[1]"] \
        == [row for row in found if row[1] != "[1]"]


@pytest.mark.parametrize("shape, key", [
    ("k PRIMARY KEY, v)", True), ("k, v)", False),
    ("v, k PRIMARY KEY) WITHOUT ROWID", True)])
def test_how_keys_are_named(tmp_path, shape, key):
    db = Database(tmp_path / "keys.db")
    db.run(f"CREATE TABLE t({shape}")
    track(db)
    for value in ("k", 5, -2**63, 2**63 - 1, 2.5, b"\1", "", "\"\\\n"):
        db.run("INSERT INTO t(k, v) VALUES (?, 'then')", (value,))
    unseen(db, "UPDATE t SET v = 'now'")
    rows = reconcile(db)
    if not key:
        assert sorted(row[:2] for row in rows) == [
            ("row_missing", None)] * 8 + [("row_unledgered", None)] * 8
    else:
        names = [json.loads(row[1])[0] for row in rows]
        assert [row[0] for row in rows] == ["row_altered"] * 8
        for value in ("k", 5, -2**63, 2**63 - 1, 2.5, {"blob": "01"}, "",
                      "\"\\\n"):
            assert value in names
        for row in rows:
            there = json.loads(row[2])
            assert json.loads(row[1])[0] in there and "then" in there
            assert "now" in json.loads(row[3])
    db.close()


def test_composite_keys_are_named_in_their_order(db):
    db.run("CREATE TABLE t(a, g AS (a), b, c, PRIMARY KEY (c, a))")
    track(db)
    db.run("INSERT INTO t VALUES ('a', 'b', 'c')")
    unseen(db, "UPDATE t SET b = 'x'")
    assert reconcile(db) == [("row_altered", '["c","a"]', '["a","b","c"]',
                              '["a","x","c"]')]


TYPES = [("NULL", "null"), ("1", "1"), ("1.0", "1.0"), ("'1'", '"1"'),
         ("x'31'", '{"blob":"31"}'), ("x''", '{"blob":""}'), ("''", '""'),
         ("9e999", "9e999"), ("-9e999", "-9e999"), ("0", "0"),
         ("0.0", "0.0"), ("1e300", "1e+300"), ("0.1", "0.1"),
         ("9223372036854775807", "9223372036854775807"),
         ("-9223372036854775808", "-9223372036854775808"),
         ("9223372036854775807.0", "9223372036854776000.0"),
         ("'a' || char(0) || 'b'", '"a\\u0000b"'), ("char(0)", '"\\u0000"'),
         ("CAST(x'ff41' AS TEXT)", '{"text":"ff41"}'),
         ("char(128512)", '"\U0001f600"'), ("zeroblob(3)",
                                            '{"blob":"000000"}')]


def test_values_of_every_type(db):
    """Each is told from each other."""
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
    track(db)
    db.run("INSERT INTO t VALUES (1, 'start')")
    db.run("BEGIN")
    for old, old_json in TYPES:
        db.run(f"UPDATE t SET v = {old}")
        for new, new_json in TYPES:
            db.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            db.run(f"SAVEPOINT s; UPDATE t SET v = {new}")
            db.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
            assert reconcile(db) == ([] if old == new else [
                ("row_altered", "[1]", f"[1,{old_json}]",
                 f"[1,{new_json}]")])
            db.run("ROLLBACK TO s; RELEASE s")
    db.run("UPDATE t SET v = -0.0")
    assert reconcile(db) == []
    db.run("COMMIT")
    assert db.value("SELECT attest_decode(content) FROM l ORDER BY seq DESC"
                    " LIMIT 1") == "[1,0.0]"


def test_blob_io(t):
    t.run("UPDATE t SET v = zeroblob(4) WHERE id = 2")
    with t.connection.blobopen("main", "t", "v", 2, True) as blob:
        blob.write(b"\1")
    assert reconcile(t) == [("row_altered", "[2]",
                             '[2,"b",{"blob":"00000000"}]',
                             '[2,"b",{"blob":"01000000"}]')]


def test_an_edit_of_the_file(t):
    t.run("UPDATE t SET v = 'needle' WHERE id = 2")
    t.run("PRAGMA wal_checkpoint(TRUNCATE)")
    t.close()
    with open(t.path, "rb") as file:
        data = file.read()
    with open(t.path, "wb") as file:  # its image in the ledger is another
        file.write(data.replace(b"\x19bneedle", b"\x19bbeetle"))
    t.open()
    assert t.run("PRAGMA integrity_check")[0] == ("ok",)
    assert reconcile(t) == [("row_altered", "[2]", '[2,"b","needle"]',
                             '[2,"b","beetle"]')]
    assert t.verify() == []


def plain(path, sql):
    """Without the extension."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(sql)
    connection.close()


@pytest.mark.parametrize("name", OBJECTS)
def test_guards(t, name):
    text = t.value("SELECT sql FROM sqlite_schema WHERE name = ?", (name,))
    for finding, sql, words in [
            ("guard_missing", f"DROP TRIGGER {name}", f"{name} is missing;"
             " ledger_track('t', 'l') makes it"),
            ("guard_altered", f"CREATE TRIGGER {name} AFTER INSERT ON t"
             " BEGIN SELECT 1; END",
             f"{name} is not the one for the table, its columns and its"
             " unique indexes; ledger_track('t', 'l') makes it anew")]:
        plain(t.path, sql)
        assert reconcile(t) == [(finding, None, None, words)]
        assert t.run("SELECT * FROM ledger_verify('l')") \
            == [(finding, None, words)]
        assert t.run("SELECT object FROM holdfast_check WHERE finding = ?",
                     (finding,)) == [(name,)]
        report = json.loads(t.value("SELECT ledger_report('l')"))
        assert report["finding_count"] == 1
    plain(t.path, f"DROP TRIGGER {name}; {text}")
    assert reconcile(t) == t.verify() == []
    plain(t.path, f"DROP TRIGGER {name}")
    assert track(t) == 3  # begins anew, for nothing differs
    whole(t)
    assert t.value("SELECT sql FROM sqlite_schema WHERE name = ?",
                   (name,)) == text
    assert t.run("SELECT * FROM holdfast_check WHERE finding LIKE 'g%'") == []


def test_a_trigger_edited_in_the_schema(t):
    plain(t.path, "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql ="
          " replace(sql, 'NEW.\"v\"', 'NEW.\"u\"')"
          " WHERE name = 't_track_insert'")
    t.close()
    t.open()
    t.run("INSERT INTO t VALUES (4, 'd', 40)")
    assert reconcile(t) == [
        ("guard_altered", None, None,
         "t_track_insert is not the one for the table, its columns and its"
         " unique indexes; ledger_track('t', 'l') makes it anew"),
        ("row_altered", "[4]", '[4,"d","d"]', '[4,"d",40]')]
    assert t.verify() == [("guard_altered", None)]
    differs = ("ledger_track: t differs from what ledger l recorded; see"
               " ledger_reconcile('t'), and set it right, or ledger_untrack it"
               " first")
    t.fails("SELECT ledger_track('t', 'l')", differs)
    t.run("UPDATE t SET v = 'd' WHERE id = 4")
    t.fails("SELECT ledger_track('t', 'l')", differs)
    assert t.value("SELECT ledger_untrack('t')") == 1
    assert track(t) == 4
    whole(t)


def test_report(t):
    t.run("CREATE TABLE u(a)")
    t.run("INSERT INTO u VALUES (1), (2)")
    assert track(t, "u") == 2
    t.run("UPDATE u SET a = 3; DELETE FROM t WHERE id > 1")
    report = json.loads(t.value("SELECT ledger_report('l')"))
    assert report["tracked"] == [
        {"table": "t", "since": 1, "baseline": 0, "changes": 5},
        {"table": "u", "since": 5, "baseline": 2, "changes": 2}]
    assert report["findings"] == []
    t.run("CREATE VIRTUAL TABLE other USING ledger(a TEXT)")
    assert "tracked" not in json.loads(t.value(
        "SELECT ledger_report('other')"))
