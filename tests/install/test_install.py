"""holdfast_install, holdfast_area, the manifest and the doctor."""
import json
import os
import pathlib
import subprocess
import sys

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SQL = sorted((ROOT / "sql").glob("*.sql"))
AREAS = len(SQL)
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")
AREA = "holdfast_area(area, version, sha256, installed_at)"


def connect(path, load=True, **flags):
    connection = apsw.Connection(str(path), **flags)
    connection.setbusytimeout(10000)
    if load:
        connection.enableloadextension(True)
        connection.loadextension(LIBRARY)
    return connection


@pytest.fixture(name="db")
def database(tmp_path):
    connection = connect(tmp_path / "test.db")
    run(connection, "PRAGMA journal_mode=WAL")
    yield connection
    connection.close()


def run(connection, sql, bindings=()):
    return connection.cursor().execute(sql, bindings).fetchall()


def schema(connection):
    return run(connection, "SELECT type, name, sql FROM sqlite_schema")


def fails(connection, sql, message, error=apsw.SQLError):
    before = schema(connection)
    with pytest.raises(error) as raised:
        run(connection, sql)
    assert message in str(raised.value)
    assert schema(connection) == before
    assert connection.getautocommit()


def test_installing_twice(db):
    assert run(db, "SELECT holdfast_install()") == [(AREAS,)]
    first = schema(db), run(db, "SELECT * FROM holdfast_area")
    assert run(db, "SELECT holdfast_install()") == [(0,)]
    assert run(db, "SELECT holdfast_install('HOLDFAST', 'ledger', 'attest')") \
        == [(0,)]
    assert (schema(db), run(db, "SELECT * FROM holdfast_area")) == first
    assert run(db, "SELECT * FROM holdfast_check") == []


def test_by_hand_and_by_function_are_one(db, tmp_path):
    """The file read by the stock shell; without the extension, but for the one
    that makes virtual tables."""
    other = tmp_path / "other.db"
    env = {key: text for key, text in os.environ.items()
           if key != "LD_LIBRARY_PATH"}  # the shell runs only with its own
    plain = [path for path in SQL if path.stem != "process"]
    subprocess.run(["sqlite3", str(other), "-bail"],
                   input="".join(path.read_text() for path in plain) * 2,
                   text=True, check=True, env=env)
    subprocess.run(["sqlite3", str(other), "-bail", "-cmd", f".load {LIBRARY}"],
                   input="".join(path.read_text() for path in SQL) * 2,
                   text=True, check=True, env=env)
    run(db, "SELECT holdfast_install()")
    by_hand = connect(other)
    assert sorted(schema(by_hand)) == sorted(schema(db))
    assert run(by_hand, "SELECT holdfast_install()") == [(AREAS,)]
    assert run(by_hand, "SELECT area, sha256 FROM holdfast_area") \
        == run(db, "SELECT area, sha256 FROM holdfast_area")
    by_hand.close()


@pytest.mark.parametrize("call, message", [
    ("holdfast_install('nonsense')",
     "holdfast_install: there is no area 'nonsense'"),
    ("holdfast_install('holdfast', '')", "there is no area ''"),
    ("holdfast_install(NULL)", "holdfast_install: an area is a TEXT"),
    ("holdfast_install('holdfast', 5)", "there is no area '5'"),
    ("holdfast_install(x'00ff')", "there is no area"),
])
def test_a_name_that_is_no_area_installs_nothing(db, call, message):
    fails(db, "SELECT " + call, message)


@pytest.mark.parametrize("sql", [
    "CREATE TABLE holdfast_area(x)",
    f"CREATE TABLE {AREA}",
    "CREATE VIEW holdfast_guard AS SELECT 1",
    "CREATE TABLE Holdfast_Guard(name TEXT PRIMARY KEY)",
])
def test_a_table_that_only_has_the_name(db, sql):
    run(db, sql)
    fails(db, "SELECT holdfast_install()",
          "exists and is not what the area needs; rename it, or drop it if it"
          " is a leftover")
    kind = "holdfast_guard" if "uard" in sql else "holdfast_area"
    assert run(db, "SELECT finding, object FROM holdfast_check") == [
        ("config_altered", kind)]
    run(db, "DROP " + ("VIEW" if "VIEW" in sql else "TABLE") + " "
        + kind)
    assert run(db, "SELECT holdfast_install()") == [(AREAS,)]


def test_an_area_of_another_version(db):
    run(db, "SELECT holdfast_install()")
    run(db, "UPDATE holdfast_area SET sha256 = 'other', version = '9.0'")
    fails(db, "SELECT holdfast_install()",
          "area holdfast was installed by another version of Holdfast")
    assert run(db, "SELECT finding, object FROM holdfast_check") == [
        ("area_differs", path.stem) for path in SQL]


def test_within_a_transaction(db):
    run(db, "BEGIN")
    assert run(db, "SELECT holdfast_install()") == [(AREAS,)]
    assert not db.getautocommit()
    run(db, "ROLLBACK")
    assert schema(db) == []
    run(db, "SAVEPOINT s")
    run(db, "SELECT holdfast_install()")
    with pytest.raises(apsw.SQLError):
        run(db, "SELECT holdfast_install('nonsense')")
    run(db, "RELEASE s")
    assert run(db, "SELECT count(*) FROM holdfast_area") == [(AREAS,)]


@pytest.mark.parametrize("sql", [
    "INSERT INTO t SELECT holdfast_install()",
    "UPDATE t SET x = holdfast_install()",
    "INSERT INTO t VALUES (1) RETURNING holdfast_install()",
])
def test_inside_a_statement_that_writes(db, sql):
    run(db, "CREATE TABLE t(x); INSERT INTO t VALUES (0)")
    fails(db, sql, "holdfast_install")
    assert run(db, "SELECT * FROM t") == [(0,)]


@pytest.mark.parametrize("sql", [
    "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT holdfast_install(); END;"
    " INSERT INTO t VALUES (1)",
    "CREATE VIEW v AS SELECT holdfast_install() AS x; SELECT * FROM v",
])
def test_not_from_a_schema(db, sql):
    run(db, "CREATE TABLE t(x)")
    with pytest.raises(apsw.SQLError) as error:
        run(db, sql)
    assert "unsafe use of holdfast_install()" in str(error.value)
    assert run(db, "SELECT * FROM t") == []
    assert "holdfast_area" not in str(schema(db))


def test_two_at_once(tmp_path):
    path = tmp_path / "both.db"
    run(connect(path), "PRAGMA journal_mode=WAL")
    program = ("import sys, apsw; c = apsw.Connection(sys.argv[1]);"
               " c.setbusytimeout(20000); c.enableloadextension(True);"
               " c.loadextension(sys.argv[2]); print(list(c.cursor()"
               ".execute('SELECT holdfast_install()'))[0][0])")
    at_work = [subprocess.Popen([sys.executable, "-c", program, str(path),
                                 LIBRARY], stdout=subprocess.PIPE)
               for _ in range(8)]
    counts = sorted(int(one.communicate()[0]) for one in at_work)
    assert counts == [0] * 7 + [AREAS]
    assert run(connect(path), "SELECT count(*) FROM holdfast_area") == [(AREAS,)]


def test_locked_and_read_only(db, tmp_path):
    other = connect(tmp_path / "test.db")
    other.setbusytimeout(0)
    run(db, "BEGIN IMMEDIATE")
    with pytest.raises(apsw.BusyError):
        run(other, "SELECT holdfast_install()")
    assert other.getautocommit()
    run(db, "COMMIT")
    assert run(other, "SELECT holdfast_install()") == [(AREAS,)]
    other.close()
    reader = connect(tmp_path / "test.db", flags=apsw.SQLITE_OPEN_READONLY)
    with pytest.raises(apsw.ReadOnlyError) as error:
        run(reader, "SELECT holdfast_install()")
    assert "holdfast_install: the database is read-only" in str(error.value)
    assert run(reader, "SELECT * FROM holdfast_check") == []
    reader.close()


# ---- the doctor -------------------------------------------------------------

def test_settings_of_the_file(tmp_path):
    db = connect(tmp_path / "d.db")
    assert run(db, "SELECT * FROM holdfast_check") == [
        ("journal_mode", "main", "journal_mode=delete: readers and writers wait"
         " for each other; PRAGMA journal_mode=WAL")]
    run(db, "PRAGMA journal_mode=MEMORY")
    assert "a crash can corrupt the file" in run(
        db, "SELECT detail FROM holdfast_check")[0][0]
    run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF")
    assert run(db, "SELECT finding FROM holdfast_check") == [("synchronous",)]
    run(db, "PRAGMA synchronous=NORMAL")
    assert run(db, "SELECT * FROM holdfast_check") == []
    db.close()
    assert run(connect(":memory:"), "SELECT * FROM holdfast_check") == []


def test_settings_of_the_connection(db):
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    assert run(db, "SELECT finding FROM holdfast_check") == [
        ("triggers_disabled",)]
    db.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
    run(db, "PRAGMA writable_schema=ON")
    assert run(db, "SELECT finding FROM holdfast_check") == [
        ("writable_schema",)]
    run(db, "PRAGMA writable_schema=OFF")
    assert run(db, "SELECT * FROM holdfast_check") == []


@pytest.mark.parametrize("create", [
    "CREATE VIRTUAL TABLE l USING ledger(a TEXT)",
    'create virtual table "l" using  "ledger" (a TEXT)',
    "CREATE VIRTUAL TABLE l\nUSING\n\t[Ledger](a TEXT)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS l USING `ledger`(a TEXT)",
])
def test_every_ledger_is_looked_at(db, create):
    run(db, create)
    assert run(db, "SELECT * FROM holdfast_check") == []
    # Neither the manifest nor the trigger speaks for it now.
    run(db, "DROP TRIGGER l_entry_delete; DELETE FROM holdfast_guard")
    assert run(db, "SELECT finding, object FROM holdfast_check") == [
        ("guard_missing", "l_entry_delete")]


def test_the_manifest_names_each_trigger(db):
    run(db, "CREATE VIRTUAL TABLE l USING ledger(a TEXT)")
    triggers = run(db, "SELECT name, tbl_name FROM sqlite_schema WHERE type ="
                       " 'trigger' ORDER BY name")
    assert run(db, "SELECT name, table_name FROM holdfast_guard ORDER BY name"
               ) == triggers and len(triggers) == 11
    assert run(db, "SELECT count(*) FROM holdfast_guard AS g JOIN sqlite_schema"
                   " AS s USING (name) WHERE g.sha256 ="
                   " lower(hex(attest_sha256(s.sql)))") == [(11,)]
    for name, _ in triggers:
        sql = run(db, "SELECT sql FROM sqlite_schema WHERE name = ?",
                  (name,))[0][0]
        run(db, f"DROP TRIGGER {name}")
        assert ("guard_missing", name) in run(
            db, "SELECT finding, object FROM holdfast_check")
        run(db, sql.replace("BEGIN\n", "BEGIN\n  SELECT 1;\n"))
        assert ("guard_altered", name) in run(
            db, "SELECT finding, object FROM holdfast_check")
        run(db, f"DROP TRIGGER {name}")
        run(db, sql)
        assert run(db, "SELECT * FROM holdfast_check") == []
    run(db, "DROP TABLE l")
    assert run(db, "SELECT * FROM holdfast_guard") == []


def test_clock_behind(db):
    run(db, "CREATE VIRTUAL TABLE l USING ledger(a TEXT)")
    run(db, "INSERT INTO l(at, a) SELECT 1000 * CAST(strftime('%s') AS INTEGER)"
            " + 50000, 'x'")
    rows = run(db, "SELECT finding, object, detail FROM holdfast_check")
    assert [row[:2] for row in rows] == [("clock_behind", "l")]
    assert "ms behind the time of the last entry" in rows[0][2]


def test_attached_and_temporary(db, tmp_path):
    run(db, f"ATTACH '{tmp_path}/a.db' AS aux; CREATE VIRTUAL TABLE aux.l"
            " USING ledger(a TEXT); CREATE VIRTUAL TABLE temp.m USING"
            " ledger(a TEXT)")
    run(db, "DROP TRIGGER aux.l_entry_insert; DROP TRIGGER temp.m_entry_update")
    assert sorted(run(db, "SELECT finding, object FROM holdfast_check")) == [
        ("guard_missing", "l_entry_insert"), ("guard_missing",
                                              "m_entry_update")]


def test_debug(db):
    debug = json.loads(run(db, "SELECT holdfast_debug()")[0][0])
    assert debug["holdfast"] == run(db, "SELECT holdfast_version()")[0][0]
    assert debug["sqlite"]["running"] == apsw.sqlitelibversion()
    assert debug["openssl"]["running"].startswith("OpenSSL 3.")
    assert debug["connection"] == {"defensive": 0, "trusted_schema": 1,
                                   "triggers": 1, "writable_schema": 0}
    run(db, "PRAGMA trusted_schema=OFF")
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    debug = json.loads(run(db, "SELECT holdfast_debug()")[0][0])
    assert (debug["connection"]["defensive"],
            debug["connection"]["trusted_schema"]) == (1, 0)
