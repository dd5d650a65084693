"""What the tests of the area `control` share: a database in which
sql/control.sql was run, in several settings, and connections that never load
the extension."""
import importlib.util
import pathlib

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "sql" / "control.sql"

spec = importlib.util.spec_from_file_location(
    "ledger_conftest", ROOT / "tests" / "ledger" / "conftest.py")
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
shell = shared.shell
load_apsw = shared.load_apsw


class Database(shared.Database):
    """Without the extension, unless loaded."""

    def __init__(self, path, loaded=False, **setting):
        self.loaded = loaded
        super().__init__(path, **setting)

    def open(self):
        journal, recursive, trusted, defensive = self.setting
        self.connection = apsw.Connection(self.path)
        self.connection.setbusytimeout(10000)
        if self.loaded:
            shared.load_apsw(self.connection)
        for statement in ("PRAGMA synchronous=OFF",
                          f"PRAGMA journal_mode={journal}",
                          f"PRAGMA recursive_triggers={recursive}",
                          f"PRAGMA trusted_schema={trusted}"):
            self.connection.cursor().execute(statement).fetchall()
        self.connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, defensive)

    def now(self):
        return self.value("SELECT CAST(round(julianday('now') * 86400000.0)"
                          " AS INTEGER) - 210866760000000")

    def switch(self):
        """What a guard reads: on unless it is '0'."""
        return self.value("SELECT (SELECT value FROM settings WHERE key ="
                          " 'DISABLE_NEW') IS NOT '0'")

    def events(self, key="DISABLE_NEW"):
        """The history, but for the deletions by which OR REPLACE works when
        recursive_triggers is on."""
        rows = self.run("SELECT old_value, new_value, actor, reason, approver"
                        " FROM control_event WHERE key = ? ORDER BY seq",
                        (key,))
        return rows[1:]

    def engage(self):
        self.run("INSERT OR REPLACE INTO settings (key, value)"
                 " VALUES ('DISABLE_NEW', '1')")


SETTINGS = {
    "wal": {},
    "delete": {"journal": "delete", "recursive": 1},
    "untrusted": {"trusted": 0, "defensive": 1},
    "reopen": {"recursive": 1, "trusted": 0, "reopen": True, "other": True},
    "installed": {"installed": True},
}


@pytest.fixture(params=SETTINGS, ids=list(SETTINGS))
def db(request, tmp_path):
    setting = dict(SETTINGS[request.param])
    installed = setting.pop("installed", False)
    path = tmp_path / "test.db"
    if installed:
        with_extension = Database(path, loaded=True)
        with_extension.run("SELECT holdfast_install('control')")
        with_extension.close()
    database = Database(path, **setting)
    if not installed:
        database.run(f"BEGIN; {SCRIPT.read_text()}; COMMIT")
    yield database
    database.close()
