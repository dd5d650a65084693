"""Tracked tables: corners in which a change could be missed, or told twice."""
import json

import apsw
import pytest

from conftest import LIBRARY, Database, shell
from tracking import quote, reconcile, replay, three, track, unseen, whole


@pytest.fixture(name="t")
def tracked(db):
    return three(db)


def test_update_or_replace_right_after_a_change_of_the_schema(t):
    """With recursive_triggers its transaction was rolled back: 'abort due to
    ROLLBACK'."""
    t.run("CREATE TABLE x(y); BEGIN; INSERT INTO x VALUES (1);"
          " UPDATE OR REPLACE t SET u = 'a' WHERE id = 3")
    assert not t.connection.getautocommit()
    t.run("COMMIT")
    whole(t)


def test_null_that_becomes_the_default(db):
    """OR REPLACE puts the default in its place, which then displaces."""
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT NOT NULL DEFAULT 'x'"
           " UNIQUE)")
    track(db)
    db.run("INSERT INTO t VALUES (1, 'x'), (3, 'y')")
    db.run("INSERT OR REPLACE INTO t VALUES (2, NULL)")
    whole(db)
    db.run("UPDATE OR REPLACE t SET u = NULL WHERE id = 3")
    whole(db)


@pytest.mark.parametrize("action", ["SET NULL", "CASCADE"])
@pytest.mark.parametrize("child", [1, 2])
def test_two_displaced_and_a_child_in_the_same_table(db, action, child):
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, v UNIQUE, p"
           f" REFERENCES t ON DELETE {action})")
    track(db)
    db.run("PRAGMA foreign_keys = ON; BEGIN")
    db.run("INSERT INTO t VALUES (1, 'a', 'x', NULL), (2, 'b', 'y', NULL),"
           f" (3, 'c', 'z', {child}), (4, 'd', 'w', 3)")
    db.run("INSERT INTO l(table_name, op) VALUES ('other', 'first')")
    db.run("REPLACE INTO t VALUES (9, 'a', 'y', NULL)")
    whole(db)
    db.run("COMMIT")


@pytest.mark.parametrize("trigger", [
    "AFTER INSERT ON t BEGIN UPDATE t SET v = 'now' WHERE id = NEW.id; END",
    "AFTER DELETE ON t WHEN OLD.id > 0 BEGIN"
    " INSERT INTO t VALUES (-OLD.id, NULL, OLD.v); END",
    "AFTER DELETE ON t BEGIN UPDATE t SET v = v + 1; END",
    "BEFORE INSERT ON t WHEN NEW.id > 0 BEGIN"
    " INSERT OR IGNORE INTO t VALUES (-9 - NEW.id, NULL, NEW.v); END"])
@pytest.mark.parametrize("order", ["before", "after"])
def test_replace_and_a_trigger_on_the_same_table(db, trigger, order):
    """Nothing is lost, and nothing told twice."""
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, v)")
    if order == "before":
        db.run("CREATE TRIGGER mine " + trigger)
    track(db)
    if order == "after":
        db.run("CREATE TRIGGER mine " + trigger)
    db.run("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)")
    for sql in ("REPLACE INTO t VALUES (1, 'z', 5)",
                "REPLACE INTO t VALUES (4, 'b', 6)",
                "REPLACE INTO t VALUES (3, 'b', 7)"):
        try:
            db.run(sql)
        except apsw.ConstraintError:
            pass
        assert reconcile(db) == [], sql
    replay(db)


def test_what_was_ignored_does_not_excuse_a_later_deletion(t):
    """A row that a statement might have displaced, but did not, is not recorded
    as deleted when it goes unseen."""
    t.run("INSERT OR IGNORE INTO t VALUES (1, 'new', 0)")
    unseen(t, "DELETE FROM t WHERE id = 1")
    missing = [("row_missing", "[1]", '[1,"a",10]', None)]
    assert reconcile(t) == missing
    t.run("INSERT INTO t VALUES (4, 'd', 40)")
    assert reconcile(t) == missing
    t.run("UPDATE t SET v = 0 WHERE id = 2")
    assert reconcile(t) == missing


def test_what_was_ignored_and_vacuum(db):
    """VACUUM gives it another rowid; the next INSERT takes the old one."""
    db.run("CREATE TABLE t(a)")
    track(db)
    db.run("INSERT INTO t VALUES ('A'), ('B'); DELETE FROM t WHERE a = 'A'")
    db.run("INSERT OR IGNORE INTO t(rowid, a) VALUES (2, 'C')")
    db.run("VACUUM")
    db.run("INSERT INTO t VALUES ('D')")
    whole(db)


def test_what_was_ignored_and_dump(db, tmp_path):
    """So does a dump that is restored."""
    db.run("CREATE TABLE t(a UNIQUE)")
    track(db)
    db.run("INSERT INTO t VALUES ('A'), ('B'); DELETE FROM t WHERE a = 'A';"
           " INSERT OR IGNORE INTO t VALUES ('B')")
    path = str(tmp_path / "copy.db")
    shell(path, "-cmd", f".load '{LIBRARY}'", stdin=shell(db.path, ".dump"))
    copy = Database(path)
    copy.run("INSERT INTO t VALUES ('D')")
    whole(copy)
    copy.close()


def test_the_ledger_in_another_spelling(db):
    db.run("CREATE TABLE t(a); CREATE TABLE u(a)")
    track(db, "t", "Audit"), track(db, "u", "audit")
    assert reconcile(db, "u") == db.verify("audit") == []


def test_rows_whose_key_is_null_are_each_told(db):
    db.run("CREATE TABLE t(k TEXT PRIMARY KEY, a)")
    track(db)
    db.run("INSERT INTO t VALUES (NULL, 1), (NULL, 2), (NULL, 3)")
    unseen(db, "DELETE FROM t WHERE a < 3")
    assert sorted(reconcile(db)) == [
        ("row_missing", "[null]", "[null,1]", None),
        ("row_missing", "[null]", "[null,2]", None)]


@pytest.mark.parametrize("one, other", [
    ("'a' || char(0) || 'b'", "'a' || char(0) || 'c'"),
    ("0.1", "0.1 + 1e-17 * 2"),
    ("9007199254740992.0", "9007199254740994.0"),
    ("'{\"blob\":\"00\"}'", "x'00'"), ("1", "1.0"), ("1", "'1'"),
])
def test_keys_that_look_alike_are_two_rows(db, one, other):
    db.run("CREATE TABLE t(k, n INTEGER, PRIMARY KEY (k, n))")
    track(db)
    db.run(f"INSERT INTO t VALUES ({one}, 1), ({other}, 1)"
           if one != "1" else f"INSERT INTO t VALUES ('x', 1), ({other}, 1)")
    unseen(db, "DELETE FROM t")
    found = reconcile(db)
    assert [row[0] for row in found] == ["row_missing"] * 2
    for row in found:  # the key is what the row has
        assert row[2].startswith(row[1][:-3])


@pytest.mark.parametrize("name", ["l_entry", "l_config", "m_entry"])
def test_parts_of_a_ledger_are_not_tracked(t, name):
    """l_entry in l recorded its own recording until the disk was full."""
    t.run("CREATE VIRTUAL TABLE m USING ledger(a TEXT)")
    t.reopen = t.other = False
    t.run("PRAGMA max_page_count = 500")
    t.fails("SELECT ledger_track(?, 'l')", "is not an ordinary table", (name,))


@pytest.mark.parametrize("content", ["garbage", b"\0", "{", '{"columns":1}'])
def test_an_entry_untrack_with_content(t, content):
    """Anybody may append one; the ledger keeps it for ever."""
    t.run("INSERT INTO l(table_name, op, content) VALUES ('t', 'untrack', ?)",
          (content,))
    t.fails("SELECT * FROM ledger_reconcile('t')", "is recorded in no ledger")


@pytest.mark.parametrize("content", ["garbage", b"\0", 5, '{"columns":5}',
                                     '{"columns":[],"sql":"x"}'])
def test_an_entry_track_by_hand(t, content):
    """One that ledger_track did not make begins nothing: the table is recorded
    still, and its rows are what they were."""
    t.run("INSERT INTO l(table_name, op, content) VALUES ('t', 'track', ?)",
          (content,))
    assert [row for row in reconcile(t) if row[0].startswith("row_")] == []
    t.run("UPDATE t SET v = 0")
    assert t.value("SELECT ledger_untrack('t')") == 1


def test_a_namesake_of_a_renamed_table(t):
    """Tracking it took the triggers off the renamed one."""
    t.run("DELETE FROM t; ALTER TABLE t RENAME TO n;"
          " CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, v)")
    try:
        track(t)
    except apsw.SQLError:
        pass
    t.run("INSERT INTO n VALUES (1, 'x', 1)")
    assert t.value("SELECT count(*) FROM l WHERE op = 'insert'") == 4


def test_a_unique_index_made_later(t):
    """No trigger was altered: say that the table was, and what to do."""
    t.run("CREATE UNIQUE INDEX i ON t(v)")
    found = reconcile(t)
    assert found and all("ledger_track('t', 'l')" in row[3] for row in found)


def test_a_unique_index_on_an_expression_made_later(t):
    """It is still to be seen which rows differ."""
    t.run("CREATE UNIQUE INDEX i ON t(abs(v))")
    unseen(t, "DELETE FROM t WHERE id = 2")
    assert ("row_missing", "[2]", '[2,"b",20]', None) in reconcile(t)


def test_columns_dropped_while_the_triggers_were_gone(t):
    """ledger_track began anew without comparing what is left."""
    for name, in t.run("SELECT name FROM sqlite_schema WHERE type = 'trigger'"
                       " AND tbl_name = 't'"):
        t.run(f"DROP TRIGGER {name}")
    t.run("UPDATE t SET u = 'forged' WHERE id = 1;"
          " ALTER TABLE t DROP COLUMN v")
    t.fails("SELECT ledger_track('t', 'l')", "t differs from what ledger l")


def test_a_ledger_named_like_a_trigger(db):
    db.run("CREATE TABLE t(a)")
    track(db, "t", "t_track_insert")
    assert reconcile(db) == db.verify("t_track_insert") == []


def test_report_says_what_is_recorded_now(t):
    """Baselines of before were counted, too, and tables that no longer are."""
    t.run("ALTER TABLE t ADD COLUMN w")
    assert track(t) == 3
    t.run("ALTER TABLE t ADD COLUMN x")
    assert track(t) == 3
    tracked = json.loads(t.value("SELECT ledger_report('l')"))["tracked"]
    assert [(row["table"], row["baseline"]) for row in tracked] == [("t", 3)]
    t.run("SELECT ledger_untrack('t')")
    assert json.loads(t.value("SELECT ledger_report('l')"))["tracked"] == []


def test_names_in_messages_are_quoted(t):
    """So that what they say to do can be done."""
    name = "it's"
    t.run(f"ALTER TABLE t RENAME TO {quote(name)}")
    assert "ledger_track('it''s', 'l')" in reconcile(t, name)[0][3]


def test_a_key_named_rowid(db):
    """There is a name for the rowid: the key's."""
    db.run("CREATE TABLE t(rowid INTEGER PRIMARY KEY, _rowid_, oid)")
    track(db)
    db.run("INSERT INTO t VALUES (1, 2, 3); REPLACE INTO t VALUES (1, 3, 4)")
    whole(db)


def test_a_partial_index_costs_no_scan(db):
    """Each INSERT read the whole table."""
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE UNIQUE INDEX"
           " i ON t(a) WHERE b > 0")
    track(db)
    steps = 0

    def one():
        nonlocal steps
        steps += 1

    def cost(sql):
        nonlocal steps
        steps = 0
        db.connection.setprogresshandler(one, 1)
        db.run(sql)
        db.connection.setprogresshandler(None)
        return steps

    def costs(row):
        return [cost(f"{verb} INTO t VALUES ({row}, {row}, {row % 2})")
                for verb in ("INSERT", "REPLACE")]

    db.run("INSERT INTO t VALUES (1, 1, 1)")
    few = costs(2), costs(3)
    db.run("WITH RECURSIVE s(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM s"
           " LIMIT 500) INSERT INTO t SELECT i, i, i % 2 FROM s")
    many = costs(1002), costs(1003)
    for before, after in zip(sum(few, []), sum(many, [])):
        assert after < before + 200, (few, many)


def test_the_row_that_stands_for_a_key_to_come(db):
    """A BEFORE INSERT trigger sees -1 for a key that SQLite will choose: the
    row of that key was told to be deleted."""
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, v)")
    track(db)
    db.run("INSERT INTO t VALUES (-1, 'a', 1), (5, 'b', 2)")
    db.run("INSERT OR REPLACE INTO t(u, v) VALUES ('c', 3)")
    whole(db)
    db.run("INSERT OR REPLACE INTO t(u, v) VALUES ('a', 4)")
    whole(db)
    assert db.value("SELECT count(*) FROM l WHERE op = 'delete'") == 1
    # The one that is given cannot be told from it: a limit, that is shown.
    db.run("INSERT INTO t VALUES (-1, 'd', 5)")
    db.run("INSERT OR REPLACE INTO t VALUES (-1, 'e', 6)")
    assert [row[0] for row in reconcile(db)] == (
        [] if db.value("PRAGMA recursive_triggers") else ["row_missing"])
