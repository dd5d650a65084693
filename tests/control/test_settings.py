"""Settings and the kill switch: engaging always works, and a reset only with
cause, whatever statement is used; every change is in the history."""
import os
import pathlib
import subprocess

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "sql" / "control.sql"
OWN = {key: text for key, text in os.environ.items()
       if key != "LD_LIBRARY_PATH"}  # the shell runs with its own SQLite
TYPED = ("INSERT OR REPLACE INTO settings (key, value)"
         " VALUES ('DISABLE_NEW', '1');")
WHO = "settings: a reset of a kill switch needs updated_by and reason"
FOUR_EYES = "settings: a reset needs approved_by, somebody else than updated_by"
LOUD = "settings: a check failed within KILLSWITCH_QUIET_MS; reset later"
LIMIT = "settings: the limits of a reset stay while a kill switch is on"
ONLY = "control_event is append-only, and written by changes of settings"
GOOD = ("INSERT OR REPLACE INTO settings(key, value, updated_by, reason,"
        " approved_by) VALUES ('DISABLE_NEW', '0', 'alice', 'fixed', 'bob')")


@pytest.fixture(name="on")
def engaged(db):
    db.run(TYPED)
    return db


def test_the_operators_statement(db):
    assert db.switch() == 0
    db.run(TYPED)
    assert db.switch() == 1
    assert db.events()[-1][1:] == ("1", None, None, None)
    db.run(TYPED)  # again
    assert db.switch() == 1


def test_from_the_shell(db):
    db.close()
    assert subprocess.run(["sqlite3", db.path, TYPED], env=OWN, check=True,
                          capture_output=True).stdout == b""
    db.open()
    assert db.switch() == 1
    assert db.events()[-1][:2] == ("0", "1")


@pytest.mark.parametrize("value", ["1", "", " ", "00", "0 ", " 0", "0.0", "off",
                                   "false", "NULL", None, "0\0", "O", 0.0, 1])
def test_anything_but_0_is_on(db, value):
    db.run("UPDATE settings SET value = ? WHERE key = 'DISABLE_NEW'", (value,))
    assert db.switch() == 1
    assert db.run("SELECT value, source FROM flag_value"
                  " WHERE name = 'DISABLE_NEW'") == [("1", "safe")]
    db.fails("UPDATE settings SET value = '0'", WHO)


def test_a_missing_row_is_on(db):
    db.run("DELETE FROM settings")
    assert db.switch() == 1
    assert db.events() == [("0", None, None, "deleted", None)]
    db.fails("INSERT INTO settings(key, value) VALUES ('DISABLE_NEW', '0')",
             WHO)
    db.run(SCRIPT.read_text())  # installing it again is no reset
    assert db.switch() == 1


RESETS = [
    "UPDATE settings SET value = '0'",
    "UPDATE settings SET value = 0",
    "UPDATE settings SET value = '0' WHERE key = 'disable_new'",
    "UPDATE OR REPLACE settings SET value = '0'",
    "UPDATE OR IGNORE settings SET value = '0'",
    "UPDATE OR FAIL settings SET value = '0'",
    "UPDATE settings SET (reason, value) = ('x', '0')",
    "UPDATE settings SET (value, updated_at) = (SELECT '0', 5)",
    "UPDATE settings SET value = x.v FROM (SELECT '0' AS v) AS x",
    "INSERT OR REPLACE INTO settings(key, value) VALUES ('DISABLE_NEW', '0')",
    "INSERT OR REPLACE INTO settings(key, value) VALUES ('Disable_New', 0)",
    "REPLACE INTO settings(key, value) VALUES ('DISABLE_NEW', '0')",
    "INSERT OR IGNORE INTO settings(key, value) VALUES ('DISABLE_NEW', '0')",
    "INSERT INTO settings(key, value) VALUES ('DISABLE_NEW', '1')"
    " ON CONFLICT(key) DO UPDATE SET value = '0'",
    "INSERT INTO settings(key, value) VALUES ('DISABLE_NEW', '0')"
    " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    "INSERT INTO settings(key, value) VALUES ('DISABLE_NEW', '0')"
    " ON CONFLICT DO NOTHING",
    "WITH x(k) AS (VALUES ('DISABLE_NEW')) INSERT OR REPLACE INTO"
    " settings(key, value) SELECT k, '0' FROM x",
    "INSERT OR REPLACE INTO settings(key, value, updated_by)"
    " VALUES ('DISABLE_NEW', '0', 'alice')",
    "INSERT OR REPLACE INTO settings(key, value, updated_by, reason)"
    " VALUES ('DISABLE_NEW', '0', ' ', 'fixed')",
    "UPDATE settings SET value = '0', updated_by = 'alice',"
    " reason = char(9, 10, 32)",
    "UPDATE settings SET value = '0', reason = 'fixed', approved_by = 'bob'",
]


@pytest.mark.parametrize("sql", RESETS)
def test_a_reset_without_who_or_why(on, sql):
    on.fails(sql, WHO)
    on.run("DELETE FROM settings")
    if "INSERT" in sql and "DO UPDATE SET value = '0'" not in sql:
        on.fails(sql, WHO)
    assert on.switch() == 1


@pytest.mark.parametrize("approver", [
    "NULL", "''", "' '", "char(10)", "'alice'", "'ALICE '", "' Alice'"])
@pytest.mark.parametrize("sql", [
    "UPDATE settings SET value = '0', updated_by = 'alice', reason = 'fixed',"
    " approved_by = {}",
    "INSERT OR REPLACE INTO settings(key, value, updated_by, reason,"
    " approved_by) VALUES ('DISABLE_NEW', '0', 'alice', 'fixed', {})",
    "INSERT INTO settings(key, value, updated_by, reason, approved_by)"
    " VALUES ('DISABLE_NEW', '1', 'alice', 'fixed', {}) ON CONFLICT(key)"
    " DO UPDATE SET value = '0', updated_by = excluded.updated_by,"
    " reason = excluded.reason, approved_by = excluded.approved_by",
])
def test_a_reset_without_another_approver(on, sql, approver):
    on.fails(sql.format(approver), FOUR_EYES)


@pytest.mark.parametrize("sql", [
    GOOD,
    "UPDATE settings SET value = '0', updated_by = 'alice', reason = 'fixed',"
    " approved_by = 'bob' WHERE key = 'DISABLE_NEW'",
    "INSERT INTO settings(key, value, updated_by, reason, approved_by)"
    " VALUES ('DISABLE_NEW', '0', 'alice', 'fixed', 'bob') ON CONFLICT(key)"
    " DO UPDATE SET value = '0', updated_by = excluded.updated_by,"
    " reason = excluded.reason, approved_by = excluded.approved_by",
])
def test_a_reset(on, sql):
    on.run(sql)
    assert on.switch() == 0
    assert on.events()[-1][1:] == ("0", "alice", "fixed", "bob")
    assert on.run("SELECT updated_by, reason, approved_by FROM settings") == [
        ("alice", "fixed", "bob")]


@pytest.mark.parametrize("engage", [
    "UPDATE settings SET value = '1'",
    "UPDATE settings SET value = '1', updated_by = 'carol', reason = 'again'",
    "UPDATE settings SET value = '1', approved_by = 'dave'",
    "INSERT INTO settings(key, value) VALUES ('DISABLE_NEW', '1')"
    " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
    "INSERT OR REPLACE INTO settings(key, value, updated_by, reason,"
    " approved_by) VALUES ('DISABLE_NEW', '1', 'alice', 'fixed', 'bob')",
])
def test_an_approval_is_for_one_reset(on, engage):
    on.run(GOOD)
    on.run(engage)
    assert on.run("SELECT updated_by, reason, approved_by FROM settings") == [
        (None, None, None)]
    if engage == "UPDATE settings SET value = '1'":
        assert on.events()[-1] == ("0", "1", None, None, None)
    on.fails("UPDATE settings SET value = '0'", WHO)
    on.run("UPDATE settings SET updated_by = 'alice', reason = 'x',"
           " approved_by = 'bob'")  # said before, it does not count
    on.fails("UPDATE settings SET value = '0'", WHO)


def test_without_an_approver(db):
    db.run("INSERT INTO settings(key, value) VALUES"
           " ('KILLSWITCH_APPROVER', '0')")
    db.run(TYPED)
    db.fails("UPDATE settings SET value = '0' WHERE key = 'DISABLE_NEW'", WHO)
    db.run("UPDATE settings SET value = '0', updated_by = 'alice',"
           " reason = 'fixed' WHERE key = 'DISABLE_NEW'")
    assert db.switch() == 0


@pytest.mark.parametrize("sql, words", [
    ("UPDATE settings SET key = 'KILLSWITCH_APPROVER'", "the limits of a"),
    ("UPDATE settings SET key = 'other'", "a key stays"),
    ("UPDATE settings SET key = 'disable_new'", "a key stays"),
    ("UPDATE OR REPLACE settings SET key = 'x', value = '0'", "a key stays"),
    ("INSERT INTO settings(key, value) VALUES (' DISABLE_NEW', '0')",
     "there is no flag"),
    ("INSERT INTO settings(key, value) VALUES (NULL, '0')",
     "there is no flag NULL"),
    ("UPDATE flag SET kind = 'text' WHERE name = 'DISABLE_NEW'",
     "a switch stays a switch"),
    ("REPLACE INTO flag VALUES ('DISABLE_NEW', 'text', '0', '0', NULL, '')",
     "a switch stays a switch"),
    ("UPDATE OR REPLACE flag SET name = 'DISABLE_NEW'"
     " WHERE name = 'KILLSWITCH_APPROVER'", "a name stays"),
    ("DELETE FROM flag WHERE name = 'DISABLE_NEW'", "switches and the limits"),
])
def test_other_ways_to_turn_it_off(on, sql, words):
    on.fails(sql, words)


@pytest.mark.parametrize("sql", [
    "INSERT INTO settings(key, value) VALUES ('KILLSWITCH_APPROVER', '0')",
    "INSERT OR REPLACE INTO settings(key, value)"
    " VALUES ('killswitch_quiet_ms', '0')",
    "UPDATE settings SET value = '1' WHERE key = 'KILLSWITCH_QUIET_MS'",
    "DELETE FROM settings WHERE key = 'KILLSWITCH_QUIET_MS'",
])
def test_limits_do_not_change_while_it_is_on(db, sql):
    db.run("INSERT INTO settings(key, value) VALUES"
           " ('KILLSWITCH_QUIET_MS', '60000')")
    db.run(TYPED)
    db.fails(sql, LIMIT)
    assert db.value("SELECT value FROM flag_value WHERE name ="
                    " 'KILLSWITCH_QUIET_MS'") == "60000"


def watch(db, ago, **check):
    """A release that failed a check so many milliseconds ago."""
    at = db.now() - ago
    db.run("INSERT INTO monitor(release, profile, started_at)"
           " VALUES ('r', 'default', ?)", (at - 1,))
    db.run("INSERT INTO monitor_check(release, ok, error_rate, memory_mb, at)"
           " VALUES ('r', ?, ?, ?, ?)", (check.get("ok", 1), check.get("rate"),
                                         check.get("memory"), at))


@pytest.mark.parametrize("check", [{"ok": 0, "rate": 0}, {},
                                   {"rate": 0, "memory": 1024}])
def test_a_reset_waits_until_it_is_quiet(on, check):
    watch(on, 890000, **check)
    on.fails(GOOD, LOUD)
    on.run("UPDATE monitor SET ended_at = started_at, ended_why = 'hide it'")
    on.fails(GOOD, LOUD)


@pytest.mark.parametrize("ago, check", [
    (901000, {"ok": 0}), (1000, {"rate": 0.9}), (0, {"rate": 0})])
def test_it_has_been_quiet(on, ago, check):
    watch(on, ago, **check)
    on.run(GOOD)
    assert on.switch() == 0


def test_another_quiet_period(db):
    db.run("INSERT INTO settings(key, value) VALUES"
           " ('KILLSWITCH_QUIET_MS', '1000')")
    db.run(TYPED)
    watch(db, 1500, ok=0)
    db.run(GOOD)


def test_a_trigger_in_temp_swallows_no_rule(on):
    on.reopen = False
    for view in ("flag_accepts", "flag_defines"):
        on.run(f"CREATE TEMP TRIGGER t_{view} INSTEAD OF INSERT ON main.{view}"
               " BEGIN SELECT RAISE(IGNORE); END")
    for sql in ("UPDATE settings SET value = '0'",
                "REPLACE INTO settings(key, value) VALUES ('DISABLE_NEW', 0)"):
        on.fails(sql, WHO)
    on.fails("UPDATE flag SET kind = 'text' WHERE name = 'DISABLE_NEW'",
             "a switch stays a switch")


def test_history(db):
    changes = [
        ("INSERT INTO settings(key, value, updated_by, reason) VALUES"
         " ('KILLSWITCH_QUIET_MS', '1', 'ann', 'a')",
         (None, "1", "ann", "a", None)),
        ("UPDATE settings SET value = '2' WHERE key = 'KILLSWITCH_QUIET_MS'",
         ("1", "2", None, None, None)),  # nobody said who
        ("UPDATE settings SET value = '3', updated_by = 'ben', reason = 'b'"
         " WHERE key = 'killswitch_quiet_ms'", ("2", "3", "ben", "b", None)),
        ("INSERT INTO settings(key, value, updated_by) VALUES"
         " ('KILLSWITCH_QUIET_MS', '4', 'cy') ON CONFLICT(key) DO UPDATE"
         " SET value = excluded.value, updated_by = excluded.updated_by",
         ("3", "4", "cy", "b", None)),
        ("DELETE FROM settings WHERE key = 'KILLSWITCH_QUIET_MS'",
         ("4", None, None, "deleted", None)),
        ("INSERT OR IGNORE INTO settings(key, value) VALUES"
         " ('KILLSWITCH_QUIET_MS', '5')", (None, "5", None, None, None)),
    ]
    for sql, event in changes:
        db.run(sql)
        assert db.run("SELECT old_value, new_value, actor, reason, approver"
                      " FROM control_event ORDER BY seq DESC LIMIT 1") == [
            event], sql
    # OR REPLACE is one event, or a deletion and one.
    db.run("REPLACE INTO settings(key, value) VALUES"
           " ('KILLSWITCH_QUIET_MS', '6')")
    pairs = [row[:2] for row in db.events("KILLSWITCH_QUIET_MS")][5:]
    assert pairs in ([("5", "6")], [("5", None), (None, "6")])
    count = db.value("SELECT count(*) FROM control_event")
    db.run("UPDATE settings SET value = value")  # no change
    db.run("INSERT OR IGNORE INTO settings(key, value) VALUES"
           " ('KILLSWITCH_QUIET_MS', '7')")
    assert db.value("SELECT count(*) FROM control_event") == count
    assert db.value("SELECT count(*) = max(seq) FROM control_event")


def test_a_row_from_before_that_has_no_flag(db):
    body = db.value("SELECT sql FROM sqlite_master"
                    " WHERE name = 'settings_insert'")
    db.run("DROP TRIGGER settings_insert")
    db.run("INSERT INTO settings(key, value) VALUES ('theme', 'dark')")
    db.run(body)
    for change in ("value = 'light'", "updated_by = 'ann'"):
        db.fails(f"UPDATE settings SET {change} WHERE key = 'theme'",
                 "settings: there is no such flag; define it with INSERT INTO"
                 " flag")
    db.run("DELETE FROM settings WHERE key = 'theme'")


def test_triggers_of_the_user_that_change_the_row_again(db):
    db.run("CREATE TRIGGER gone AFTER UPDATE ON settings WHEN NEW.value IS NULL"
           " BEGIN DELETE FROM settings WHERE key = NEW.key; END;"
           "CREATE TRIGGER stamp AFTER UPDATE OF value ON settings"
           " WHEN NEW.updated_by IS NOT 'app' AND NEW.value = '1'"
           " BEGIN UPDATE settings SET updated_by = 'app'"
           " WHERE key = NEW.key; END")
    db.run("UPDATE settings SET value = '1' WHERE key = 'DISABLE_NEW'")
    assert db.switch() and "app" in [row[2] for row in db.events()]
    db.run("UPDATE settings SET value = NULL WHERE key = 'DISABLE_NEW'")
    assert db.switch()
    assert db.value("SELECT count(*) FROM settings"
                    " WHERE key = 'DISABLE_NEW'") == 0
    assert [row[1] for row in db.events()][-1] is None


def test_the_time_of_a_change(db):
    db.run("INSERT INTO settings(key, value, updated_at) VALUES"
           " ('KILLSWITCH_QUIET_MS', '1', 5)")
    db.run("UPDATE settings SET value = '2' WHERE key = 'KILLSWITCH_QUIET_MS'")
    assert db.value("SELECT updated_at = (SELECT max(at) FROM control_event)"
                    " FROM settings WHERE key = 'KILLSWITCH_QUIET_MS'")


COLUMNS = "control_event(seq, at, key, old_value, new_value, actor, reason)"
NOW = "(SELECT at FROM control_next WHERE key = 'DISABLE_NEW')"


@pytest.mark.parametrize("sql, words", [
    ("UPDATE control_event SET actor = 'x'", "control_event is append-only"),
    ("UPDATE OR REPLACE control_event SET seq = 9", "append-only"),
    ("DELETE FROM control_event", "control_event is append-only"),
    (f"INSERT OR REPLACE INTO {COLUMNS} VALUES (1, {NOW}, 'DISABLE_NEW', '1',"
     " '1', NULL, NULL)", ONLY),
    (f"INSERT INTO {COLUMNS} VALUES (-5, {NOW}, 'DISABLE_NEW', '1', '1', NULL,"
     " NULL)", ONLY),
    (f"INSERT INTO {COLUMNS} VALUES (99, {NOW}, 'DISABLE_NEW', '1', '1', NULL,"
     " NULL)", ONLY),
    (f"INSERT INTO {COLUMNS} VALUES ({2**63 - 1}, {NOW}, 'DISABLE_NEW', '1',"
     " '1', NULL, NULL)", ONLY),
    (f"INSERT INTO {COLUMNS} VALUES (-1, {NOW}, 'DISABLE_NEW', '1', '1', NULL,"
     " NULL)", "CHECK constraint failed"),
    (f"INSERT INTO {COLUMNS} VALUES (NULL, 5, 'DISABLE_NEW', '1', '1', NULL,"
     " NULL)", ONLY),
    (f"INSERT INTO {COLUMNS} VALUES (NULL, {NOW} + 9999, 'DISABLE_NEW', '1',"
     " '1', NULL, NULL)", ONLY),
    (f"INSERT INTO {COLUMNS} VALUES (NULL, {NOW}, 'DISABLE_NEW', '1', '0',"
     " NULL, NULL)", ONLY),
    (f"INSERT INTO {COLUMNS} VALUES (NULL, {NOW}, 'DISABLE_NEW', '0', '1',"
     " NULL, NULL)", ONLY),
    (f"INSERT OR IGNORE INTO {COLUMNS} VALUES (NULL, {NOW}, 'DISABLE_NEW', '1',"
     " '1', 'mallory', 'x')", ONLY),
    (f"INSERT INTO {COLUMNS} VALUES (NULL, {NOW}, 'other', NULL, NULL, NULL,"
     " NULL)", ONLY),
])
def test_the_history_only_grows(on, sql, words):
    on.fails(sql, words)


def test_a_trigger_in_temp_skips_no_rule_of_the_history(on):
    on.reopen = False
    on.run("CREATE TEMP TRIGGER t AFTER INSERT ON main.control_event BEGIN"
           " SELECT RAISE(IGNORE); END")
    for seq in (99, 2**63 - 1):
        on.fails(f"INSERT INTO {COLUMNS} VALUES ({seq}, {NOW}, 'DISABLE_NEW',"
                 " '1', '1', NULL, NULL)", ONLY)
    on.run("DROP TRIGGER t")
    on.run(GOOD)
    on.run(TYPED)
    assert on.switch()


def test_another_switch(db):
    db.run("INSERT INTO flag VALUES ('STOP_BILLING', 'switch', '0', '1', NULL,"
           " NULL)")
    assert db.value("SELECT value FROM flag_value WHERE name ="
                    " 'STOP_BILLING'") == "1"
    db.run("INSERT INTO settings(key, value) VALUES ('STOP_BILLING', '0')")
    db.run("DELETE FROM settings WHERE key = 'STOP_BILLING'")
    db.fails("INSERT INTO settings(key, value) VALUES ('STOP_BILLING', '0')",
             WHO)
    assert db.switch() == 0


def test_a_table_can_still_be_altered(db):
    db.run("CREATE TABLE x(a, b)")
    db.run("ALTER TABLE x RENAME TO y")
    db.run("ALTER TABLE y RENAME COLUMN a TO c")
    db.run("ALTER TABLE y DROP COLUMN b")


def test_an_error_undoes_the_whole_statement(on):
    with pytest.raises(apsw.Error):
        on.run("INSERT OR FAIL INTO settings(key, value) VALUES"
               " ('DISABLE_NEW', '1'), ('DISABLE_NEW', '0')")
    assert on.switch() == 1
