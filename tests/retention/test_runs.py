"""Runs: batches, budgets, resumption, kills, interruption, locks, clocks, and
arguments that are none."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

import apsw
import pytest

from conftest import DAY, NOW, load_apsw, make

HERE = pathlib.Path(__file__).parent
LIBRARY = os.environ.get("HOLDFAST") or str(HERE.parents[1] / "build"
                                            / "holdfast")


def fill(db, rows, table="violations"):
    db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
           f" WHERE i < {rows}) INSERT INTO {table}(created_at)"
           " SELECT 1690000000 + i FROM n")


@pytest.fixture(name="many")
def many_rows(one):
    fill(one, 5000)
    one.policy("violations")
    one.run("UPDATE violations SET created_at = ? WHERE id > 4000",
            (NOW // 1000,))
    return one


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("size", [1, 77, 5000])
def test_batches_of_any_size(many, index, size):
    if index:
        many.run("CREATE INDEX v ON violations(created_at)")
    rows = 4000 if size > 1 else 300
    many.run(f"DELETE FROM violations WHERE id <= {4000 - rows}")
    many.hold("violations", predicate="id % 10 = 0")
    done = many.applied(batch_rows=size)["violations"]
    assert (done["deleted"], done["held"]) == (rows * 9 // 10, rows // 10)


def test_a_budget_of_rows_is_resumed(many):
    report = many.apply(max_rows=1500)
    assert report["deleted"] == 1500 and report["complete"] is False
    assert many.run("SELECT deleted, complete FROM retention_run") == [
        (1500, 0)]
    assert many.run("SELECT state, deleted FROM retention_progress") == [
        ("stopped", 1500)]
    assert many.apply(max_rows=1500)["deleted"] == 1500
    report = many.apply()
    assert report["deleted"] == 1000 and "complete" not in report
    assert many.apply()["deleted"] == 0


def test_a_budget_of_time(many):
    report = many.apply(max_ms=0)
    assert report["complete"] is False and 0 < report["deleted"] <= 500
    while many.apply(max_ms=5, batch_rows=50)["deleted"]:
        pass
    assert many.count("violations") == 1000


def test_in_a_transaction_of_the_caller(many):
    many.run("BEGIN")
    assert many.apply()["deleted"] == 4000
    assert not many.connection.getautocommit()
    many.run("ROLLBACK")
    assert many.count("violations") == 5000
    assert many.count("retention_run") == 0
    many.run("BEGIN; SELECT retention_apply(1700000000000); COMMIT")
    assert many.count("violations") == 1000


@pytest.mark.parametrize("statement", [
    "INSERT INTO detections(file) SELECT retention_apply(1700000000000)",
    "UPDATE violations SET file = retention_apply(1700000000000)",
    "CREATE TABLE x AS SELECT retention_apply(1700000000000)",
    "DELETE FROM violations RETURNING retention_apply(1700000000000)",
])
def test_inside_a_statement_that_writes(many, statement):
    many.fails(statement, "retention_apply cannot run inside a statement that"
                          " writes")


@pytest.mark.parametrize("schema", [
    "CREATE VIEW w AS SELECT retention_apply(1700000000000)",
    "CREATE VIEW w AS SELECT * FROM retention_plan(1700000000000)",
    "CREATE VIEW w AS SELECT retention_lock('violations', 1)",
])
def test_not_behind_the_back(many, schema):
    many.run(schema)
    with pytest.raises(apsw.SQLError, match="unsafe use of"):
        many.run("SELECT * FROM w")


def test_killed(tmp_path):
    """Whatever was said to be gone is gone, and nothing else."""
    chance = random.Random(1)
    for loop in range(6):
        path = tmp_path / f"{loop}.db"
        db = make(path, journal="wal" if loop % 2 else "delete")
        fill(db, 6000)
        db.policy("violations")
        with subprocess.Popen([sys.executable, str(HERE / "crashing.py"),
                               str(path), str(NOW)], stdout=subprocess.PIPE,
                              env={**os.environ, "HOLDFAST": LIBRARY}) as run:
            assert run.stdout.readline() == b"ready\n"
            time.sleep(chance.random() * 0.12)
            run.send_signal(signal.SIGKILL)
        gone = 6000 - db.count("violations")
        assert gone % 20 == 0
        logged = db.run("SELECT r.deleted, t.deleted, r.ended_at IS NULL FROM"
                        " retention_run AS r LEFT JOIN retention_run_table AS"
                        " t USING (run)")
        if logged:
            assert logged[0][:2] == (gone, gone)
        assert db.apply()["deleted"] == 6000 - gone
        assert db.value("PRAGMA integrity_check") == "ok"
        db.close()


@pytest.mark.parametrize("journal,many", [
    ("wal", 1), ("delete", 1500), ("wal", 2990), ("delete", 4500),
    ("wal", 6000), ("delete", 6000)])
def test_killed_when_so_many_are_gone(tmp_path, journal, many):
    """Two tables, a roll-up, vacuum: at each moment the log says what is gone
    from each, and what is gone is counted."""
    path = tmp_path / "t.db"
    db = make(path, journal=journal)
    db.run("PRAGMA auto_vacuum=INCREMENTAL; VACUUM;"
           "CREATE TABLE carry(rows INTEGER, total INTEGER);"
           "INSERT INTO carry VALUES (0, 0);"
           "CREATE VIEW carry_in AS SELECT id FROM violations WHERE 0;"
           "CREATE TRIGGER carry_in_insert INSTEAD OF INSERT ON carry_in BEGIN"
           " UPDATE carry SET rows = rows + 1, total = total + NEW.id; END;"
           "INSERT INTO retention_rollup VALUES ('violations', 'carry_in')")
    for table in ("detections", "violations"):
        fill(db, 3000, table)
        db.policy(table)
    db.run("UPDATE detections SET file = hex(zeroblob(600))")
    gone = ("SELECT 3000 - (SELECT count(*) FROM detections),"
            " 3000 - (SELECT count(*) FROM violations)")
    with subprocess.Popen([sys.executable, str(HERE / "crashing.py"),
                           str(path), str(NOW)], stdout=subprocess.PIPE,
                          env={**os.environ, "HOLDFAST": LIBRARY}) as run:
        assert run.stdout.readline() == b"ready\n"
        while sum(db.run(gone)[0]) < many:
            time.sleep(0.0005)
        run.send_signal(signal.SIGKILL)
    rows = db.run(gone)[0]
    assert all(n % 20 == 0 for n in rows)
    assert db.run("SELECT table_name, deleted FROM retention_run_table") == [
        ("detections", rows[0]), ("violations", rows[1])]
    run = db.run("SELECT run, deleted, ended_at IS NULL, complete IS NULL,"
                 " pages_after IS NULL FROM retention_run")[0]
    assert run[1] == sum(rows) and run[2] == run[3] == run[4]
    assert db.run("SELECT rows, total = (3000 * 3001 / 2 - (SELECT"
                  " coalesce(sum(id), 0) FROM violations)) FROM carry") == [
                      (rows[1], 1)]
    if run[2]:
        assert {state for state, in db.run(
            "SELECT state FROM retention_progress")} == {"running"}
    assert db.value("PRAGMA integrity_check") == "ok"
    assert db.apply()["deleted"] == 6000 - sum(rows)
    assert db.value("PRAGMA freelist_count") == 0
    assert db.run("SELECT rows FROM carry") == [(3000,)]
    db.close()


def test_interrupted(many):
    many.run("CREATE TRIGGER slow AFTER DELETE ON violations BEGIN"
             " SELECT (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
             " SELECT i + 1 FROM n WHERE i < 20000) SELECT count(*) FROM n);"
             " END")
    reader = apsw.Connection(many.path)

    def interrupt():  # as soon as something is gone
        while reader.cursor().execute("SELECT count(*) FROM violations"
                                      ).fetchall() == [(5000,)]:
            time.sleep(0.01)
        many.connection.interrupt()

    timer = threading.Thread(target=interrupt)
    timer.start()
    with pytest.raises(apsw.InterruptError):
        many.apply(batch_rows=20)
    timer.join()
    gone = 5000 - many.count("violations")
    assert 0 < gone < 4000
    assert many.run("SELECT deleted, ended_at FROM retention_run") == [
        (gone, None)]
    assert many.run("SELECT state, deleted FROM retention_progress") == [
        ("running", gone)]
    many.run("DROP TRIGGER slow")
    assert many.apply()["deleted"] == 4000 - gone


def test_a_hold_that_comes_meanwhile(many):
    """The plan of a run is not what a hold was when it began."""
    many.run("CREATE TRIGGER late AFTER DELETE ON violations WHEN OLD.id = 50"
             " BEGIN INSERT INTO retention_hold(table_name, predicate, reason,"
             " owner) VALUES ('violations', 'id = 3999', 'late', 'legal'); END")
    done = many.applied(batch_rows=100)["violations"]
    assert done["deleted"] == 100
    assert "changed while rows went" in done["blocked"]
    many.run("DROP TRIGGER late")
    assert many.apply()["deleted"] == 3899
    assert many.run("SELECT count(*) FROM violations WHERE id = 3999") == [(1,)]


def test_read_only_and_locked(many):
    reader = apsw.Connection(many.path, flags=apsw.SQLITE_OPEN_READONLY)
    load_apsw(reader)
    plan = "SELECT rows FROM retention_plan(1700000000000)"
    assert reader.cursor().execute(plan).fetchall() == [(4000,)]
    with pytest.raises(apsw.ReadOnlyError):
        reader.cursor().execute("SELECT retention_apply(1700000000000)")
    reader.close()
    other = apsw.Connection(many.path)
    load_apsw(other)
    many.run("BEGIN IMMEDIATE")
    with pytest.raises(apsw.BusyError):
        other.cursor().execute("SELECT retention_apply(1700000000000)")
    assert other.cursor().execute(plan).fetchall() == [(4000,)]
    many.run("ROLLBACK")
    other.close()
    assert many.count("violations") == 5000


# ---- clocks and units -------------------------------------------------------

def test_a_clock_in_the_past_of_the_last_run(many):
    many.apply(NOW)
    with pytest.raises(apsw.SQLError, match="clock is in the past: now is"):
        many.apply(NOW - 1)
    assert many.apply(NOW - 1, force=True)["deleted"] == 0


@pytest.mark.parametrize("now,words", [
    (NOW - 32 * DAY, "the clock is in the past of the data"),
    (NOW + 3650 * DAY, "the clock is in the future of the data"),
    (NOW + 1827 * DAY, "the clock is in the future of the data"),
])
def test_a_clock_that_the_data_cannot_have(many, now, words):
    with pytest.raises(apsw.SQLError, match=words):
        many.apply(now)
    assert words in many.plan(now)["violations"]["blocked"]
    assert many.count("violations") == 5000
    assert many.count("retention_run") == 0
    many.apply(now, force=True)


def test_a_year_after_the_last_run(many):
    many.apply(NOW)
    many.run("UPDATE violations SET created_at = created_at + 31622400")
    many.apply(NOW + 366 * DAY)
    with pytest.raises(apsw.SQLError, match="in the future of the data"):
        many.apply(NOW + 733 * DAY)


def test_a_tolerance_of_ones_own(many):
    many.apply(NOW + 40 * DAY, max_rows=1)
    with pytest.raises(apsw.SQLError, match="in the future of the data"):
        many.apply(NOW + 80 * DAY, future_ms=39 * DAY)
    assert many.apply(NOW + 80 * DAY, future_ms=40 * DAY)["deleted"] == 4999


@pytest.mark.parametrize("stored,unit,words", [
    (NOW, "s", "its times look like ms, and time_unit is s"),
    (NOW // 1000, "ms", "its times look like s, and time_unit is ms"),
    (2460263.4, "s", "its times look like julian, and time_unit is s"),
    (NOW // 1000, "julian", "its times look like s, and time_unit is julian"),
    ("2023-11-14", "s", "its times are of type text, and time_unit is s"),
    (NOW, "iso8601", "its times are of type integer, and time_unit is iso8601"),
])
def test_a_wrong_unit(one, stored, unit, words):
    one.run("CREATE TABLE t(at)")
    one.run("INSERT INTO t VALUES (?)", (stored,))
    one.policy("t", time="at", unit=unit)
    done = one.applied()["t"]
    assert done["deleted"] == 0 and words in done["blocked"]


@pytest.mark.parametrize("text", [
    "now", "12:00", "2450000", "", "2001", "not a date", "2001-13-77", "\0",
    "99999-01-01", "yesterday", None, 5, 5.5, b"2001-01-01"])
def test_what_is_no_time_stays(one, text):
    one.run("CREATE TABLE t(at)")
    one.run("INSERT INTO t VALUES (?), ('2023-11-14'), ('2001-01-01T00:00Z'),"
            " ('2001-01-01 00:00:00+12:00')", (text,))
    one.policy("t", time="at", unit="iso8601")
    assert one.apply(force=True)["deleted"] in (2, 0)
    assert one.run("SELECT typeof(at) FROM t WHERE rowid = 1")


# ---- arguments --------------------------------------------------------------

@pytest.mark.parametrize("call,words", [
    ("retention_apply('x')", "now is a time in milliseconds since 1970"),
    ("retention_apply(-1)", "now is a time in milliseconds since 1970"),
    ("retention_apply(9223372036854775807)", "now is a time"),
    ("retention_apply(1e300)", "now is a time"),
    ("retention_apply(x'00')", "now is a time"),
    ("retention_apply(1, 'x')", "options are a JSON object"),
    ("retention_apply(1, '[]')", "options are a JSON object"),
    ("retention_apply(1, '')", "options are a JSON object"),
    ("retention_apply(1, 5)", "options are a JSON object"),
    ("retention_apply(1, '{\"nonsense\":1}')", "there is no option 'nonsense'"),
    ("retention_apply(1, '{\"force\":1}')", "force is true or false"),
    ("retention_apply(1, '{\"max_fraction\":2}')", "a number from 0 to 1"),
    ("retention_apply(1, '{\"max_fraction\":\"1\"}')", "a number from 0 to 1"),
    ("retention_apply(1, '{\"batch_rows\":0}')", "a whole number from 1"),
    ("retention_apply(1, '{\"max_ms\":-1}')", "a whole number from 0"),
    ("retention_apply(1, '{\"max_ms\":1e99}')", "a whole number from 0"),
    ("retention_lock('violations', 0)", "min_keep_ms is a number"),
    ("retention_lock('violations', NULL)", "min_keep_ms is a number"),
    ("retention_lock('violations', 9223372036854775807)", "min_keep_ms"),
    ("retention_lock('nonsense', 5)", "no such table: main.nonsense"),
    ("retention_lock(NULL, 5)", "the table is a TEXT"),
    ("retention_lock('detections', 5)", "has no policy with a time_column"),
    ("retention_lock('retention_progress', 5)", "is not an ordinary table"),
])
def test_arguments(many, call, words):
    many.fails(f"SELECT {call}", words)


@pytest.mark.parametrize("row,words", [
    ({"table_name": "nope"}, "nope is no table of this database; create it"),
    ({"table_name": None}, "NULL is no table of this database"),
    ({"table_name": "retention_progress"}, "is a view; name the tables"),
    ({"table_name": "sqlite_schema"}, "sqlite_schema is no table"),
    ({"table_name": "holdfast_area"}, "belongs to SQLite or Holdfast"),
    ({"table_name": "retention_run"}, "belongs to SQLite or Holdfast"),
    ({"table_name": "lg"}, "lg is a virtual table; name an ordinary one"),
    ({"time_column": "nope"}, "detections has no column nope"),
    ({"time_column": ""}, "detections has no column"),
    ({"time_column": None}, "a tier with a length needs a time_column"),
    ({"time_unit": "minutes"}, "time_unit is s, ms, iso8601 or julian"),
    ({"time_unit": None}, "time_unit is s, ms, iso8601 or julian"),
    ({"tier": "weird"}, "tier is one of those in retention_tier"),
    ({"tier": None}, "tier is one of those in retention_tier"),
    ({"keep_ms": -1}, "keep_ms is a number of milliseconds from 0"),
    ({"keep_ms": 2**63 - 1}, "keep_ms is a number of milliseconds from 0"),
    ({"tier": "current", "keep_ms": 5}, "current and permanent take no"),
    ({"parent_table": "file_metadata"}, "all or none"),
    ({"parent_table": "nope", "parent_key": "x", "child_key": "file"},
     "nope is no table of this database"),
    ({"parent_table": "file_metadata", "parent_key": "nope",
      "child_key": "file"}, "file_metadata has no column nope"),
    ({"parent_table": "DETECTIONS", "parent_key": "id", "child_key": "file"},
     "a table is not its own parent"),
    ({"keep_filter": " "}, "keep_filter is an SQL expression, or NULL"),
    ({"enabled": 2}, "enabled is 0 or 1"),
])
def test_policies_that_are_none(one, row, words):
    one.run("CREATE VIRTUAL TABLE lg USING ledger(x INTEGER)")
    good = {"table_name": "detections", "tier": "short",
            "time_column": "created_at", "time_unit": "s", **row}
    names, values = ", ".join(good), tuple(good.values())
    for verb in ("INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"):
        one.fails(f"{verb} INTO retention_policy({names})"
                  f" VALUES ({', '.join('?' * len(good))})", words, values)
    one.policy("detections")
    sets = ", ".join(f"{name} = ?" for name in good)
    one.fails(f"UPDATE retention_policy SET {sets}", words, values)


@pytest.mark.parametrize("statement,words", [
    ("INSERT INTO retention_tier VALUES ('x', -1, NULL)", "keep_ms is a"),
    ("INSERT INTO retention_tier VALUES ('x', NULL, NULL)", "keep_ms is a"),
    ("UPDATE retention_tier SET keep_ms = 5 WHERE tier = 'permanent'",
     "current and permanent have no length"),
    ("UPDATE retention_tier SET tier = 'x' WHERE tier = 'long'",
     "a name stays"),
    ("DELETE FROM retention_tier WHERE tier = 'long'", "the five tiers stay"),
    ("DELETE FROM retention_tier WHERE tier = 'short'", "a policy is of that"),
    ("INSERT INTO retention_hold(table_name, reason, owner) VALUES ('violations'"
     ", ' ', 'x')", "a hold needs a reason and an owner"),
    ("INSERT INTO retention_hold(table_name, reason, owner) VALUES ('nope',"
     " 'x', 'x')", "nope is no table"),
    ("INSERT INTO retention_hold(table_name, predicate, key, reason, owner)"
     " VALUES ('violations', 'id', 1, 'x', 'x')", "give predicate or key"),
    ("INSERT INTO retention_latest VALUES ('violations', 'x', 1)", "JSON"),
    ("INSERT INTO retention_latest VALUES ('violations', '{}', 1)", "JSON"),
    ("INSERT INTO retention_latest VALUES ('violations', '[1]', 1)", "JSON"),
    ("INSERT INTO retention_latest VALUES ('violations', '[]', 0)", "from 1"),
    ("INSERT INTO retention_thin VALUES ('violations', 1, 'yearly', '[]')",
     "period is daily, weekly or monthly"),
    ("INSERT INTO retention_thin VALUES ('violations', -1, 'daily', '[]')",
     "after_ms is a number"),
    ("INSERT INTO retention_rollup VALUES ('violations', 'violations')",
     "target is a table or view that is there, another one"),
    ("INSERT INTO retention_rollup VALUES ('violations', 'nope')", "target is"),
    ("DELETE FROM retention_run", "the log is append-only"),
    ("UPDATE retention_run SET deleted = 5", "a run that has ended stays"),
    ("INSERT OR REPLACE INTO retention_run(run, now, started_at) VALUES (1, 1,"
     " 1)", "the log is append-only"),
    ("DELETE FROM retention_run_table", "the log is append-only"),
    ("UPDATE retention_run_table SET deleted = 0", "only a run that goes on"),
    ("INSERT INTO retention_run_table(run, position, table_name, deleted)"
     " VALUES (1, 5, 'x', 1)", "only a run that goes on"),
])
def test_walls(many, statement, words):
    many.apply(max_rows=10)
    many.fails(statement, words)
    plain = apsw.Connection(many.path)
    with pytest.raises(apsw.Error):  # without the extension, too
        plain.cursor().execute(statement)
    plain.close()


def test_nothing_is_installed(tmp_path):
    connection = apsw.Connection(str(tmp_path / "x.db"))
    load_apsw(connection)
    for sql in ("SELECT retention_apply()", "SELECT * FROM retention_plan"):
        with pytest.raises(apsw.SQLError, match="holdfast_install"):
            connection.cursor().execute(sql).fetchall()


# ---- nothing to do ----------------------------------------------------------

@pytest.mark.parametrize("wrong,words", [
    ("UPDATE retention_policy SET keep_filter = 'nonsense(1)'", "keep_filter"),
    ("INSERT INTO retention_hold(table_name, predicate, reason, owner)"
     " VALUES ('w', 'no_column = 1', 'r', 'o')", "no_column"),
    ("ALTER TABLE w RENAME COLUMN at TO was", "it has no column at"),
    ("UPDATE retention_policy SET time_unit = 's'", "its times look like ms"),
    ("INSERT INTO retention_latest VALUES ('w', '[\"k\"]', 1);"
     "ALTER TABLE w DROP COLUMN k", "no such column: w.k"),
    ("CREATE TABLE c(w REFERENCES w(nope))", "no such column"),
    ("CREATE TABLE a(w REFERENCES w(id), at); ALTER TABLE w ADD COLUMN a"
     " REFERENCES a(id); INSERT INTO retention_policy(table_name, tier,"
     " time_column) VALUES ('a', 'short', 'at')", "run in a circle"),
    ("CREATE TABLE s(at); INSERT INTO retention_rollup VALUES ('w', 's');"
     "DROP TABLE s", "the target of its roll-up is gone: s"),
    ("DROP TABLE w", "there is no such table; drop the policy"),
    ("DROP TABLE w; CREATE VIEW w AS SELECT 1", "it is a view"),
    ("DROP TABLE w; CREATE VIRTUAL TABLE w USING lease", "a virtual table"),
    ("CREATE VIRTUAL TABLE l USING ledger(table_name TEXT, op TEXT, old BLOB,"
     " content ANY); SELECT ledger_track('w', 'l')", "it is under a ledger"),
])
def test_with_nothing_to_do_all_is_checked(one, wrong, words):
    one.run("PRAGMA legacy_alter_table = 1")
    one.run("CREATE TABLE w(id INTEGER PRIMARY KEY, at, k);"
            f"INSERT INTO w(at) VALUES ({NOW - DAY})")
    one.policy("w", time="at", unit="ms")
    assert "blocked" not in one.applied()["w"]
    one.run(wrong)
    blocked = [entry.get("blocked") or ""
               for entry in one.applied().values()]
    assert any(words in found for found in blocked), blocked
    planned = [entry["blocked"] or "" for entry in one.plan().values()]
    assert sorted(planned) == sorted(blocked)


def test_what_comes_during_a_run(one):
    """A table that had nothing old when the run began has, when its turn
    comes: a trigger has written it."""
    one.old("detections", 60)
    one.old("violations", 1)
    one.run("CREATE TRIGGER moved AFTER DELETE ON detections BEGIN"
            " INSERT INTO violations(created_at) VALUES (OLD.created_at),"
            " (1699999999); END")
    one.policy("detections")
    one.policy("violations")
    done = one.applied()
    assert list(done) == ["detections", "violations"]
    assert [entry["deleted"] for entry in done.values()] == [1, 1]
    assert [entry["kept"] for entry in done.values()] == [0, 2]
    assert one.apply()["deleted"] == 0


@pytest.mark.parametrize("columns,tail,time,kept", [
    ("id INTEGER PRIMARY KEY, at", "", "AT", [2, 3]),
    ("id INTEGER PRIMARY KEY, rowid TEXT, at", "", "at", [2, 3]),
    ("id INTEGER, rowid TEXT, _rowid_ TEXT, at", "", "at", [2, 3]),
    ("id TEXT PRIMARY KEY, at", "WITHOUT ROWID", "At", ["2", "3"]),
    ("id, x, at, PRIMARY KEY (x, id)", "WITHOUT ROWID", "at", [2, 3]),
    ("id INTEGER PRIMARY KEY, s, at AS (s) STORED", "", "at", [2, 3]),
    ("id INTEGER PRIMARY KEY, s, at AS (s)", "", "at", [2, 3]),
    ("id INTEGER PRIMARY KEY, oid, at", "", "oid", [2, 3]),
])
@pytest.mark.parametrize("held", [0, 1])
def test_tables_of_each_shape(db, columns, tail, time, kept, held):
    """Also when a column hides the rowid, or bears its name."""
    db.run(f"CREATE TABLE W({columns}) {tail}")
    source = "s" if " s," in columns else "at"
    source = "oid" if time == "oid" else source
    names = f"id, {source}" + (", x" if " x," in columns else "")
    for n, days in enumerate((70, 60, 10, 1)):
        values = (n, NOW - days * DAY) + ((1,) if " x," in columns else ())
        db.run(f"INSERT INTO w({names}) VALUES"
               f" (?{', ?' * (len(values) - 1)})", values)
    db.policy("w", time=time, unit="ms")
    if held:
        db.hold("w", predicate="id = 1")
        kept = [type(kept[0])(1)] + kept
    assert db.plan()["W"]["rows"] == 4 - len(kept)
    done = db.applied()["W"]
    assert (done["deleted"], done["kept"]) == (4 - len(kept), len(kept))
    assert [row[0] for row in db.run("SELECT id FROM w ORDER BY id")] == kept
    done = db.applied()["W"]
    assert (done["deleted"], done["kept"], done["held"]) == (0, len(kept),
                                                            held)


@pytest.mark.parametrize("name", ["rowid", "_rowid_", "oid"])
def test_the_rowid_is_no_time_column(one, name):
    one.run("CREATE TABLE w(id INTEGER PRIMARY KEY, void TEXT, /* rowid */"
            " _rowid_x)")
    one.fails("INSERT INTO retention_policy(table_name, tier, time_column)"
              " VALUES ('w', 'short', 'nope')", "has no column nope")
    one.policy("w", time=name, unit="ms")
    assert one.applied()["w"]["blocked"] == f"it has no column {name}"


def test_the_clock_is_the_default(one):
    one.run("INSERT INTO violations(created_at) VALUES (unixepoch() - 2592100),"
            " (unixepoch())")
    one.policy("violations")
    assert one.value("SELECT rows FROM retention_plan") == 1
    report = json.loads(one.value("SELECT retention_apply()"))
    assert report["deleted"] == 1
    assert abs(report["now"] - time.time() * 1000) < 60000
    assert json.loads(one.value("SELECT retention_apply(NULL, NULL)"))[
        "deleted"] == 0


def test_the_doctor(one):
    one.policy("violations")
    found = ("SELECT finding, object FROM holdfast_check"
             " WHERE finding <> 'synchronous'")
    assert one.run(found) == [("retention_unindexed", "violations")]
    one.run("CREATE INDEX v ON violations(created_at)")
    assert one.run(found) == []
    one.run("DROP TABLE violations")
    assert one.run(found) == [("retention_blocked", "violations")]


@pytest.mark.parametrize("held", (False, True))
@pytest.mark.parametrize("size", (1, 3, 40, 1000))
def test_batches_between_two_times(one, size, held):
    """Rows of one time that are more than a batch, fractions, rows at the
    limit and rows without a time; and budgets are exact."""
    limit = NOW - 30 * DAY
    times = [limit - 5000 + i // 3 for i in range(60)] + [limit - 4000] * 90
    times += [limit - 4000.5, limit - 0.5, limit, limit + 0.5, limit + 10**6]
    times += [None] * 5
    one.run("CREATE TABLE w(id INTEGER PRIMARY KEY, at, n)")
    one.run("CREATE INDEX w_at ON w(at DESC)")
    for n, time in enumerate(sorted(times, key=str)):
        one.run("INSERT INTO w(at, n) VALUES (?, ?)", (time, n))
    one.policy("w", time="at", unit="ms")
    if held:
        one.hold("w", predicate="n % 3 = 0")
    going = f"(at IS NOT NULL AND at < {limit} AND n % 3 >= {int(held)})"
    ids = "SELECT group_concat(id) FROM (SELECT id FROM w{} ORDER BY id)"
    stays = one.value(ids.format(f" WHERE NOT {going}"))
    rows = one.value(f"SELECT count(*) FROM w WHERE {going}")
    assert one.plan()["w"]["rows"] == rows > 80
    assert one.apply(max_rows=7, batch_rows=size)["deleted"] == 7
    assert one.apply(batch_rows=size)["deleted"] == rows - 7
    assert one.value(ids.format("")) == stays
    assert one.apply()["deleted"] == 0


def test_batches_between_two_texts(one):
    """Between two texts that are times there are texts that are none, and
    times that are later for their zone."""
    one.run("CREATE TABLE w(at TEXT)")
    one.run("CREATE INDEX w_at ON w(at)")
    stays = ["2023-10-14 perhaps", "2023-10-15T22:00:00-05:00",
             "2023-10-15T22:13:20Z"]
    goes = ["2023-10-13", "2023-10-14", "2023-10-15 12:00",
            "2023-10-15T22:13:19Z", "2023-10-16T01:00:00+05:00"]
    for text in stays + goes:
        one.run("INSERT INTO w VALUES (?)", (text,))
    one.policy("w", time="at", unit="iso8601")
    assert one.apply(batch_rows=2)["deleted"] == len(goes)
    assert [row[0] for row in one.run("SELECT at FROM w ORDER BY at")] == stays
