"""killswitch_drill: it proves each guard, finds those that fail, and leaves
nothing behind.  Control's part of holdfast_check."""
import json

import apsw
import pytest

from conftest import load_apsw


class Drilled:
    def __init__(self, path):
        self.path = str(path)
        self.connection = apsw.Connection(self.path)
        load_apsw(self.connection)

    def run(self, sql, bindings=()):
        return self.connection.cursor().execute(sql, bindings).fetchall()

    def value(self, sql):
        return self.run(sql)[0][0]

    def drill(self):
        report = json.loads(self.value("SELECT killswitch_drill()"))
        rows = self.run("SELECT * FROM killswitch_drill")
        assert [tuple(one.values()) for one in report["findings"]] == rows
        return report, [(row[0], row[1]) for row in rows]

    def contents(self):
        return [self.run(f"SELECT * FROM {table}") for table in (
            "settings", "control_event", "jobs", "pair", "log", "ph_held",
            "sqlite_schema", "holdfast_guard")]


@pytest.fixture(name="d")
def guarded(tmp_path):
    d = Drilled(tmp_path / "d.db")
    d.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
          " SELECT holdfast_install('control');"
          " CREATE TABLE jobs(id INTEGER PRIMARY KEY, x TEXT NOT NULL,"
          "                   y TEXT AS (x || 'y')) STRICT;"
          " CREATE TABLE pair(a TEXT, b INT, PRIMARY KEY (a, b)) WITHOUT ROWID;"
          " CREATE VIRTUAL TABLE log USING ledger(a TEXT NOT NULL);"
          " CREATE VIRTUAL TABLE ph USING lease;"
          " INSERT INTO jobs VALUES (1, 'a'), (2, 'b');"
          " INSERT INTO pair VALUES ('a', 1); INSERT INTO log(a) VALUES ('x');"
          " SELECT lease_acquire('ph', 'r', 'ann'); SELECT"
          " killswitch_guard('jobs'), killswitch_guard('pair', 'STOP_PAIR'),"
          " killswitch_guard('log'), killswitch_guard('ph')")
    yield d
    d.connection.close()


def test_all_guards_refuse(d):
    before = d.contents()
    report, found = d.drill()
    assert found == []
    # UPDATE and DELETE of log_entry, and so on: every table has a row.
    assert report == {"guards": 11, "refused": 11, "untried": 0,
                      "findings": []}
    assert d.contents() == before
    assert d.value("SELECT flag('DISABLE_NEW')") == "0"
    d.run("INSERT INTO jobs VALUES (3, 'c')")


def test_while_the_switch_is_on_and_in_a_transaction(d):
    d.run("SELECT killswitch_engage('fire', 'ann'); BEGIN")
    assert d.drill()[1] == []
    d.run("COMMIT")
    assert d.value("SELECT flag('DISABLE_NEW')") == "1"


def test_empty_tables_are_said_to_be(d):
    d.run("DELETE FROM jobs; DELETE FROM pair")
    report, found = d.drill()
    assert found == []
    assert (report["refused"], report["untried"]) == (7, 4)


@pytest.mark.parametrize("guard", [
    "jobs_kill_insert", "jobs_kill_update", "jobs_kill_delete",
    "pair_kill_insert", "pair_kill_update", "pair_kill_delete",
    "log_entry_kill_insert", "log_entry_kill_update", "log_entry_kill_delete",
    "ph_held_kill_insert", "ph_held_kill_update"])
def test_a_guard_that_is_gone(d, guard):
    d.run(f"DROP TRIGGER {guard}")
    report, found = d.drill()
    assert found == [("guard_missing", guard)]
    assert (report["guards"], report["refused"]) == (10, 10)


def alter(d, guard, old, new):
    """A guard that somebody weakened, with the manifest made to fit."""
    sql = d.value("SELECT sql FROM sqlite_schema WHERE name ="
                  f" '{guard}'")
    assert old in sql
    sql = sql.replace(old, new)
    d.run(f"DROP TRIGGER {guard}")
    d.run(sql)
    d.run("UPDATE holdfast_guard SET sha256 = hex(attest_sha256(?)) WHERE"
          " name = ?", (sql, guard))
    d.run("UPDATE holdfast_guard SET sha256 = lower(sha256)")
    assert d.run("SELECT * FROM holdfast_check") == []


@pytest.mark.parametrize("verb", ["insert", "update", "delete"])
@pytest.mark.parametrize("old, new", [
    ("IS NOT '0'", "= 'no'"), ("'DISABLE_NEW'", "'KILLSWITCH_APPROVER'"),
    ("RAISE(ABORT, ", "max(0, "), ("WHEN ", "WHEN 0 AND ")])
def test_a_guard_that_lets_writes_through(d, verb, old, new):
    d.run("CREATE TABLE any(x); INSERT INTO any VALUES (1);"
          " SELECT killswitch_guard('any')")
    if "APPROVER" in new:
        d.run("INSERT INTO settings(key, value) VALUES"
              " ('KILLSWITCH_APPROVER', '0')")
    alter(d, f"any_kill_{verb}", old, new)
    before = d.contents()
    report, found = d.drill()
    assert found == [("drill_passed", f"any_kill_{verb}")]
    assert report["refused"] == 13
    assert d.contents() == before
    assert d.run("SELECT * FROM any") == [(1,)]


def test_a_rule_that_comes_first(d):
    d.run("CREATE TRIGGER odd BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT,"
          " 'odd ids only'); END")
    found = d.run("SELECT * FROM killswitch_drill")
    assert [row[:2] for row in found] == [("drill_unproven",
                                           "jobs_kill_update")]
    assert "another rule refused the write first (odd ids only)" in found[0][2]
    d.run("SELECT killswitch_guard('jobs')")  # which is the newest then
    assert d.drill()[1] == []


def test_a_trigger_that_swallows_the_write(d):
    d.run("CREATE TEMP TRIGGER t BEFORE DELETE ON main.jobs BEGIN"
          " SELECT RAISE(IGNORE); END")
    assert d.drill()[1] == [("drill_unproven", "jobs_kill_delete")]


def test_a_trigger_that_rolls_back(d):
    before = d.contents()
    d.run("CREATE TEMP TRIGGER t BEFORE DELETE ON main.jobs BEGIN"
          " SELECT RAISE(ROLLBACK, 'all'); END")
    with pytest.raises(apsw.Error) as error:
        d.run("SELECT killswitch_drill()")
    assert "rolled the transaction back" in str(error.value)
    assert d.contents() == before


def test_connections_that_fire_no_triggers(d):
    d.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    report, found = d.drill()
    assert {one for one, _ in found} == {"drill_passed", "drill_unproven"}
    assert report["refused"] == 0
    d.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
    assert d.drill()[1] == []


def test_attached_databases(d, tmp_path):
    d.run(f"ATTACH '{tmp_path}/e.db' AS e")
    other = Drilled(tmp_path / "e.db")
    other.run("SELECT holdfast_install('control'); CREATE TABLE t(x);"
              " INSERT INTO t VALUES (1); SELECT killswitch_guard('t')")
    other.connection.close()
    assert d.drill()[0]["guards"] == 14
    d.run("DROP TRIGGER e.t_kill_update")
    assert d.drill()[1] == [("guard_missing", "t_kill_update")]


def test_places(d):
    for sql in ("INSERT INTO jobs SELECT 9, killswitch_drill()",
                "INSERT INTO jobs SELECT 9, finding FROM killswitch_drill"):
        with pytest.raises(apsw.Error) as error:
            d.run(sql)
        assert "cannot run inside a statement that writes" in str(error.value)
    d.run("CREATE VIEW v AS SELECT * FROM killswitch_drill")
    with pytest.raises(apsw.Error) as error:
        d.run("SELECT * FROM v")
    assert "unsafe use of virtual table" in str(error.value)
    reader = apsw.Connection(d.path, flags=apsw.SQLITE_OPEN_READONLY)
    load_apsw(reader)
    with pytest.raises(apsw.ReadOnlyError):
        reader.cursor().execute("SELECT killswitch_drill()").fetchall()
    reader.close()
    holder = apsw.Connection(d.path)
    holder.cursor().execute("BEGIN IMMEDIATE")
    with pytest.raises(apsw.BusyError):
        d.run("SELECT killswitch_drill()")
    holder.close()


# ---- the doctor --------------------------------------------------------------


def past_the_triggers(d, sql):
    d.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    d.run(sql)
    d.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
    return d.run("SELECT finding, object FROM holdfast_check")


@pytest.mark.parametrize("sql, findings", [
    ("UPDATE settings SET value = '1' WHERE key = 'DISABLE_NEW'",
     [("setting_unrecorded", "DISABLE_NEW")]),
    ("DELETE FROM settings WHERE key = 'DISABLE_NEW'",
     [("setting_unrecorded", "DISABLE_NEW")]),
    ("INSERT INTO settings(key, value) VALUES ('COLOUR', 'red')",
     [("setting_invalid", "COLOUR")]),
    ("INSERT INTO settings(key, value) VALUES ('KILLSWITCH_QUIET_MS', 'soon')",
     [("setting_invalid", "KILLSWITCH_QUIET_MS"),
      ("setting_unrecorded", "KILLSWITCH_QUIET_MS")]),
    ("DELETE FROM control_event WHERE seq = 1",
     [("setting_unrecorded", "DISABLE_NEW"),
      ("event_missing", "control_event")]),
    ("UPDATE control_event SET actor = 'eve'", []),
    ("SELECT control_seal(); UPDATE control_event SET actor = 'eve'",
     [("event_altered", "control_event")]),
    ("SELECT control_seal(); DELETE FROM control_event WHERE seq = 2",
     [("setting_unrecorded", "STOP_PAIR"),
      ("event_altered", "control_event")])])
def test_the_doctor(d, sql, findings):
    assert d.run("SELECT * FROM holdfast_check") == []
    assert past_the_triggers(d, sql) == findings


def test_the_doctor_of_tables_that_are_not_ours(tmp_path):
    d = Drilled(tmp_path / "x.db")
    d.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
          " CREATE TABLE settings(a); CREATE TABLE flag(b);")
    assert d.run("SELECT * FROM holdfast_check") == []
    d.run("CREATE TABLE control_event(c)")
    assert d.run("SELECT finding, object FROM holdfast_check") == [
        ("config_altered", "control_event")]
    assert d.drill()[1] == []
    d.connection.close()
