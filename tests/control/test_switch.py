"""The functions of the kill switch: guards on tables, ledgers and leases, in
connections with and without the extension; engage, reset, sealing."""
import sqlite3

import apsw
import pytest

from conftest import load_apsw

ON = ("jobs: the kill switch DISABLE_NEW is on; control_event says why,"
      " killswitch_reset() turns it off")


class Kept:
    def __init__(self, path):
        self.path = str(path)
        self.connection = apsw.Connection(self.path)
        load_apsw(self.connection)

    def run(self, sql, bindings=()):
        return self.connection.cursor().execute(sql, bindings).fetchall()

    def value(self, sql, bindings=()):
        return self.run(sql, bindings)[0][0]

    def fails(self, sql, words):
        with pytest.raises(apsw.Error) as error:
            self.run(sql)
        assert words in str(error.value)


@pytest.fixture(name="k", params=["wal", "delete"])
def connection(request, tmp_path):
    k = Kept(tmp_path / "k.db")
    k.run(f"PRAGMA journal_mode = {request.param}")
    k.run("SELECT holdfast_install('control')")
    k.run("CREATE TABLE jobs(id INTEGER PRIMARY KEY, x UNIQUE);"
          " INSERT INTO jobs VALUES (1, 1)")
    assert k.value("SELECT killswitch_guard('jobs')") == 3
    yield k
    k.connection.close()


WRITES = ["INSERT INTO jobs VALUES (2, 2)", "UPDATE jobs SET x = 5",
          "DELETE FROM jobs", "REPLACE INTO jobs VALUES (1, 2)",
          "INSERT OR IGNORE INTO jobs VALUES (3, 3)",
          "INSERT INTO jobs VALUES (1, 1) ON CONFLICT DO UPDATE SET x = 7"]


@pytest.mark.parametrize("sql", WRITES)
def test_a_guarded_table(k, sql):
    assert k.value("SELECT killswitch_engage('fire', 'ann')") == 1
    before = k.run("SELECT * FROM jobs")
    k.fails(sql, ON)
    plain = sqlite3.connect(k.path, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError) as error:
        plain.execute(sql)
    assert str(error.value) == ON
    assert k.run("SELECT * FROM jobs") == before
    assert k.value("SELECT killswitch_reset('out', 'ann', 'bob')") == 1
    plain.execute(sql)
    plain.close()


def test_engage_and_reset_are_idempotent(k):
    engage = "SELECT killswitch_engage('fire', 'ann')"
    reset = "SELECT killswitch_reset('out', 'ann', 'bob')"
    assert [k.value(engage), k.value(engage)] == [1, 0]
    assert [k.value(reset), k.value(reset)] == [1, 0]


def test_a_reset_is_held_to_the_rule(k):
    k.run("SELECT killswitch_engage('fire', 'ann')")
    k.fails("SELECT killswitch_reset('out', 'ann', 'Ann ')",
            "somebody else than updated_by")
    k.fails("SELECT killswitch_reset('', 'ann', 'bob')",
            "killswitch_reset: the reason must be TEXT that says something")
    k.fails("SELECT killswitch_reset('x', NULL, 'bob')",
            "killswitch_reset: the actor must be TEXT that says something")
    k.fails("SELECT killswitch_reset('x', 'ann', 5)",
            "killswitch_reset: the approver must be TEXT that says something")
    assert k.value("SELECT value FROM settings WHERE key = 'DISABLE_NEW'") \
        == "1"


def test_a_ledger_and_a_lease_table(k):
    k.run("CREATE VIRTUAL TABLE log USING ledger(a TEXT);"
          " CREATE VIRTUAL TABLE ph USING lease")
    assert k.value("SELECT killswitch_guard('log')") == 3
    assert k.value("SELECT killswitch_guard('ph')") == 2
    k.run("INSERT INTO log(a) VALUES ('x'); SELECT lease_acquire('ph', 'r',"
          " 'a')")
    k.run("SELECT killswitch_engage('fire', 'ann')")
    k.fails("INSERT INTO log(a) VALUES ('y')", "log: the kill switch")
    for sql in ("SELECT lease_acquire('ph', 's', 'a')",
                "SELECT lease_renew('ph', 'r', 1)",
                "INSERT INTO ph(resource, holder) VALUES ('s', 'a')",
                "UPDATE ph SET ttl_ms = 5"):
        k.fails(sql, "ph: the kill switch")
    assert k.value("SELECT lease_release('ph', 'r', 1)") == 1
    k.run("SELECT killswitch_reset('out', 'ann', 'bob')")
    k.run("INSERT INTO log(a) VALUES ('y')")
    assert k.run("SELECT * FROM ledger_verify('log')") == []


def test_a_switch_of_its_own(k):
    assert k.value("SELECT killswitch_guard('jobs', 'STOP_JOBS')") == 3
    k.run("SELECT killswitch_engage('fire', 'ann')")
    k.run("INSERT INTO jobs VALUES (2, 2)")
    k.run("INSERT OR REPLACE INTO settings (key, value)"
          " VALUES ('stop_jobs', '1')")
    k.fails("DELETE FROM jobs", "jobs: the kill switch STOP_JOBS is on")
    k.run("DELETE FROM settings WHERE key = 'STOP_JOBS'")
    k.fails("DELETE FROM jobs", "jobs: the kill switch STOP_JOBS is on")
    # Guarding again does not turn it off.
    k.run("SELECT killswitch_guard('jobs', 'STOP_JOBS')")
    k.fails("DELETE FROM jobs", "jobs: the kill switch STOP_JOBS is on")


def test_unguard(k):
    k.run("SELECT killswitch_engage('fire', 'ann')")
    assert k.value("SELECT killswitch_unguard('jobs')") == 3
    assert k.value("SELECT killswitch_unguard('jobs')") == 0
    k.run("DELETE FROM jobs")
    assert k.run("SELECT * FROM holdfast_guard WHERE table_name = 'jobs'") \
        == []


@pytest.mark.parametrize("sql, words", [
    ("SELECT killswitch_guard('settings')", "guard your own tables"),
    ("SELECT killswitch_guard('Flag')", "guard your own tables"),
    ("SELECT killswitch_guard('no')",
     "no such table, ledger or lease table: main.no"),
    ("SELECT killswitch_guard(NULL)", "the table must be TEXT"),
    ("SELECT killswitch_guard('jobs', 'KILLSWITCH_APPROVER')",
     "the flag KILLSWITCH_APPROVER is of another kind"),
    ("SELECT killswitch_guard('temp.t')", "there is no table settings in")])
def test_guards_that_are_none(k, sql, words):
    k.run("CREATE TEMP TABLE t(x)")
    k.fails(sql, words)
    k.run("SELECT killswitch_engage('fire', 'ann')")
    k.fails("DELETE FROM jobs", ON)


def test_the_history_is_sealed(k):
    k.run("SELECT killswitch_engage('fire', 'ann')")
    plain = sqlite3.connect(k.path, isolation_level=None)
    plain.execute("UPDATE settings SET value = '0', updated_by = 'c',"
                  " reason = 'by hand', approved_by = 'd'"
                  " WHERE key = 'DISABLE_NEW'")
    plain.close()
    assert k.value("SELECT control_seal()") == 1
    assert k.value("SELECT control_seal()") == 0
    assert k.run("SELECT event, key, old_value, new_value, actor, reason,"
                 " approver FROM control_ledger") \
        == k.run("SELECT seq, key, old_value, new_value, actor, reason,"
                 " approver FROM control_event")
    assert k.run("SELECT * FROM ledger_verify('control_ledger')") == []


def test_a_ledger_that_is_broken_keeps_nobody_from_engaging(k):
    k.run("SELECT control_seal(); DROP TRIGGER control_ledger_entry_update;"
          " DROP TABLE control_ledger_config")
    assert k.value("SELECT killswitch_engage('fire', 'ann')") == 1
    k.fails("DELETE FROM jobs", ON)


def test_a_seal_that_fails_in_the_middle_is_undone(k):
    k.run("SELECT control_seal();"
          " CREATE TRIGGER policy BEFORE INSERT ON control_ledger_entry"
          " WHEN NEW.actor = 'ann' BEGIN SELECT RAISE(ABORT, 'no'); END")
    sealed = k.run("SELECT * FROM control_ledger")
    for value, actor in (("1", "tim"), ("0", "eve")):
        k.run("UPDATE settings SET value = ?, updated_by = ?, reason = 'r',"
              " approved_by = 'bob' WHERE key = 'DISABLE_NEW'", (value, actor))
    assert k.value("SELECT killswitch_engage('fire', 'ann')") == 1
    k.fails("DELETE FROM jobs", ON)
    assert k.run("SELECT * FROM control_ledger") == sealed
    k.fails("SELECT control_seal()", "no")
    k.run("DROP TRIGGER policy")
    assert k.value("SELECT control_seal()") == 3
    assert k.run("SELECT * FROM ledger_verify('control_ledger')") == []


def test_monitor_start(k):
    assert k.value("SELECT monitor_start('v2', 'production', 'v1')") == 1
    assert k.run("SELECT release, profile, previous FROM monitor") == [
        ("v2", "production", "v1")]
    k.fails("SELECT monitor_start('v2', 'production')", "monitor: ")
    k.fails("SELECT monitor_start('v3', 'none')", "no profile none")
    k.fails("SELECT monitor_start(NULL, 'production')",
            "monitor_start: the release must be TEXT")


def test_a_trigger_that_swallows_it_is_not_taken_for_success(k):
    k.run("CREATE TEMP TRIGGER t BEFORE UPDATE ON main.settings BEGIN"
          " SELECT RAISE(IGNORE); END")
    k.fails("SELECT killswitch_engage('fire', 'ann')",
            "a trigger swallowed the change of DISABLE_NEW")
    k.run("DROP TRIGGER t")
    assert k.value("SELECT killswitch_engage('fire', 'ann')") == 1
    k.run("CREATE TEMP TRIGGER t BEFORE INSERT ON main.settings BEGIN"
          " SELECT RAISE(IGNORE); END")
    k.fails("SELECT killswitch_reset('out', 'ann', 'bob')",
            "a trigger swallowed the change of DISABLE_NEW")


def test_inside_a_statement_that_writes(k):
    for door in ("killswitch_engage('a', 'b')", "control_seal()"):
        k.fails(f"INSERT INTO jobs VALUES (9, {door})",
                "cannot run inside a statement that writes")
