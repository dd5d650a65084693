"""Changes of a tracked table's schema: what ledger_reconcile says, and how
ledger_track goes on."""
import json

import pytest

from tracking import reconcile, three, track, unseen, whole

AGAIN = "; ledger_track('t', 'l') goes on with these"


@pytest.fixture(name="t")
def tracked(db):
    return three(db)


def altered(then, now):
    return ("schema_altered", None, None, "its definition is not the one"
            f" recorded; columns then {then}, now {now}" + AGAIN)


def test_columns_are_added_and_renamed(t):
    for sql, now in [("ADD COLUMN w DEFAULT 7", '["id","u","v","w"]'),
                     ("RENAME COLUMN v TO \"v 2\"",
                      '["id","u","v 2","w"]'),
                     ("ADD COLUMN g AS (u)", '["id","u","v 2","w"]')]:
        then = json.dumps([name for name, in t.run(
            "SELECT name FROM pragma_table_info('t')")],
            separators=(",", ":"))
        t.run("ALTER TABLE t " + sql)
        assert reconcile(t) == [altered(then, now)]
        assert t.verify() == []
        t.run("UPDATE t SET u = 'x' WHERE id = 1;"
              " REPLACE INTO t(id, u) VALUES (2, 'c')")
        assert reconcile(t) == [altered(then, now)]
        assert track(t) == 2
        whole(t)
        t.run("UPDATE t SET u = 'a' WHERE id = 1;"
              " INSERT INTO t(id, u) VALUES (3, 'y')")
        t.run("DELETE FROM t WHERE id = 3; UPDATE t SET u = 'b' WHERE id = 2;"
              " INSERT INTO t(id, u) VALUES (3, 'c')")
        whole(t)
        t.run("DELETE FROM t WHERE id = 3")
    t.run("ALTER TABLE t ADD COLUMN last")
    unseen(t, "UPDATE t SET u = 'unseen' WHERE id = 1")
    assert [row[0] for row in reconcile(t)] == ["schema_altered",
                                                "row_altered"]
    t.fails("SELECT ledger_track('t', 'l')", "t differs from what ledger l")


@pytest.mark.parametrize("column", ["u", "v"])
def test_a_column_is_not_dropped(t, column):
    t.fails(f"ALTER TABLE t DROP COLUMN {column}",
            "UNIQUE" if column == "u" else "error in trigger t_track_")
    whole(t)
    t.run("SELECT ledger_untrack('t'); ALTER TABLE t DROP COLUMN v")
    assert track(t) == 3
    whole(t)


@pytest.mark.parametrize("name", ["new", "a \"b\" 'c' %s"])
def test_the_table_is_renamed(t, name):
    quoted = '"%s"' % name.replace('"', '""')
    t.run(f"ALTER TABLE t RENAME TO {quoted}")
    told = name.replace("'", "''")
    words = (f"it was recorded as t, and renamed since; ledger_track('{told}',"
             " 'l') goes on under the new name")
    assert reconcile(t, name) == [("schema_altered", None, None, words)]
    assert reconcile(t, "t") == [
        ("table_missing", None, None, f"it was renamed to {name};"
         f" ledger_track('{told}', 'l') goes on under the new name")]
    assert t.verify() == []
    t.run(f"REPLACE INTO {quoted} VALUES (1, 'b', 7)")
    assert reconcile(t, name) == [("schema_altered", None, None, words)]
    assert track(t, name) == 2
    t.run(f"REPLACE INTO {quoted} VALUES (1, 'c', 7)")
    whole(t, name)
    assert t.run("SELECT name FROM sqlite_schema WHERE name GLOB 't_*'") == []
    assert t.value("SELECT count(*) FROM l WHERE op = 'untrack'") == 1
    assert track(t, name) == 0


def test_untrack_under_the_new_name(t):
    t.run("ALTER TABLE t RENAME TO n; SELECT ledger_untrack('n')")
    assert t.run("SELECT name FROM sqlite_schema WHERE name LIKE 't%'") == []
    assert t.run("SELECT table_name, op FROM l ORDER BY seq DESC LIMIT 1") \
        == [("t", "untrack")]
    assert t.verify() == []


def test_the_table_is_dropped(t):
    t.run("DROP TABLE t")
    assert reconcile(t) == [("table_missing", None, None, "it was dropped")]
    assert t.run("SELECT finding, detail FROM ledger_verify('l')") == [
        ("guard_missing", "the table t is recorded here, but is gone")]
    assert t.value("SELECT ledger_untrack('t')") == 1
    assert t.verify() == []
    assert t.run("SELECT name FROM sqlite_schema WHERE name LIKE 't%'") == []


def test_the_table_is_made_again(t):
    """The way to alter a table beyond ALTER TABLE."""
    t.run("CREATE TABLE n(id INTEGER PRIMARY KEY, v, u); INSERT INTO n SELECT"
          " id, v, u FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t")
    found = {row[0] for row in reconcile(t)}
    assert found == {"schema_altered", "guard_missing", "row_altered"}
    t.fails("SELECT ledger_track('t', 'l')", "t differs from what ledger l")
    t.run("SELECT ledger_untrack('t')")
    assert track(t) == 3
    whole(t)


def test_vacuum_and_the_ledger_renamed(t):
    t.run("CREATE TABLE k(a); INSERT INTO k VALUES (1), (2), (3)")
    track(t, "k")
    t.run("DELETE FROM k WHERE a = 1")
    t.run("VACUUM")
    t.run("ALTER TABLE l RENAME TO m")
    t.run("INSERT INTO k VALUES (4); REPLACE INTO t VALUES (1, 'c', 0)")
    whole(t, "k", "m"), whole(t, "t", "m")
    assert track(t, "t", "m") == 0


