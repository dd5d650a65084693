"""What the tests of the ledger share.

Each test runs in several settings of a database: journal mode, recursive
triggers, trusted schema, DEFENSIVE, and with the connection closed and opened
again between any two statements.  HOLDFAST names another library to test.
"""
import os
import pathlib
import sqlite3
import subprocess

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")


def load(connection):
    connection.enable_load_extension(True)
    connection.load_extension(LIBRARY)
    connection.enable_load_extension(False)
    return connection


class Database:
    """A file, and a connection to it that a setting may renew at any time."""

    def __init__(self, path, journal="wal", recursive=0, trusted=1,
                 defensive=0, reopen=False, other=False):
        self.path = str(path)
        self.setting = (journal, recursive, trusted, defensive)
        self.reopen, self.other, self.changes = reopen, other, 0
        self.connection = None
        self.open()

    def open(self):
        journal, recursive, trusted, defensive = self.setting
        self.connection = apsw.Connection(self.path)
        self.connection.setbusytimeout(10000)
        load_apsw(self.connection)
        for statement in (f"PRAGMA journal_mode={journal}",
                          f"PRAGMA recursive_triggers={recursive}",
                          f"PRAGMA trusted_schema={trusted}"):
            self.connection.cursor().execute(statement).fetchall()
        self.connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, defensive)

    def close(self):
        self.connection.close()

    def disturb(self):
        """What may come between two statements of anybody."""
        if not self.connection.getautocommit():
            return
        if self.other:
            self.changes += 1
            other = sqlite3.connect(self.path)
            other.execute(f"CREATE TABLE other_{self.changes}(x)")
            other.commit()
            other.close()
        if self.reopen:
            self.close()
            self.open()

    def run(self, sql, bindings=()):
        self.disturb()
        return self.connection.cursor().execute(sql, bindings).fetchall()

    def value(self, sql, bindings=()):
        return self.run(sql, bindings)[0][0]

    def fails(self, sql, message, bindings=()):
        """The statement fails with this message, and nothing changed."""
        before = self.state()
        with pytest.raises(apsw.Error) as error:
            self.run(sql, bindings)
        assert message in str(error.value), str(error.value)
        assert self.state() == before

    def state(self):
        tables = [row[0] for row in self.connection.cursor().execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table'"
            " AND name NOT LIKE 'other_%' AND rootpage > 0 ORDER BY name")]
        return {table: list(self.connection.cursor().execute(
            'SELECT * FROM "' + table.replace('"', '""') + '"'))
            for table in tables}

    def verify(self, name="l"):
        return self.run("SELECT finding, seq FROM ledger_verify(?)", (name,))


def shell(*arguments, stdin=""):
    """What the sqlite3 shell prints.  It runs only with its own SQLite."""
    env = {key: text for key, text in os.environ.items()
           if key != "LD_LIBRARY_PATH"}
    return subprocess.run(["sqlite3", *arguments], input=stdin, text=True,
                          capture_output=True, check=True, env=env).stdout


def load_apsw(connection):
    connection.enableloadextension(True)
    connection.loadextension(LIBRARY)
    connection.enableloadextension(False)


SETTINGS = {
    "wal": {},
    "delete": {"journal": "delete", "recursive": 1},
    "untrusted": {"trusted": 0, "defensive": 1},
    "reopen": {"trusted": 0, "defensive": 1, "reopen": True, "other": True},
}


@pytest.fixture(params=SETTINGS, ids=list(SETTINGS))
def db(request, tmp_path):
    database = Database(tmp_path / "test.db", **SETTINGS[request.param])
    yield database
    database.close()


@pytest.fixture
def ledger(db):
    """A ledger of three entries with times of the test's own."""
    db.run("CREATE VIRTUAL TABLE l USING ledger(task TEXT NOT NULL INDEXED,"
           " n INTEGER UNIQUE, x ANY, CHECK (n < 1000), clock='caller')")
    for i in (1, 2, 3):
        db.run("INSERT INTO l(at, task, n) VALUES (?, ?, ?)",
               (1000 * i, f"t{i % 2}", i))
    return db
