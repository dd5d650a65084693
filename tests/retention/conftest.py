"""What the tests of the area `retention` share: a database with the area
installed, in several settings, and a few tables of the original analyser."""
import importlib.util
import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

spec = importlib.util.spec_from_file_location(
    "ledger_conftest", ROOT / "tests" / "ledger" / "conftest.py")
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
load_apsw = shared.load_apsw

DAY = 86400000
NOW = 1_700_000_000_000


class Database(shared.Database):
    """Its connections enforce foreign keys, unless told otherwise."""
    foreign_keys = 1

    def open(self):
        super().open()
        for statement in ("PRAGMA synchronous=OFF",
                          f"PRAGMA foreign_keys={self.foreign_keys}"):
            self.connection.cursor().execute(statement).fetchall()

    def policy(self, table, tier="short", time="created_at", unit="s", **more):
        row = {"table_name": table, "tier": tier, "time_column": time,
               "time_unit": unit, **more}
        self.run(f"INSERT INTO retention_policy({', '.join(row)})"
                 f" VALUES ({', '.join('?' * len(row))})", tuple(row.values()))

    def hold(self, table, **more):
        row = {"table_name": table, "reason": "case 7", "owner": "legal",
               **more}
        self.run(f"INSERT INTO retention_hold({', '.join(row)})"
                 f" VALUES ({', '.join('?' * len(row))})", tuple(row.values()))

    def plan(self, now=NOW, **options):
        """By table: what would go."""
        names = ("tier", "rows", "oldest", "newest", "bytes", "held",
                 "skipped", "blocked")
        rows = self.connection.cursor().execute(
            f"SELECT table_name, {', '.join(names)} FROM retention_plan(?, ?)",
            (now, json.dumps(options) if options else None))
        return {row[0]: dict(zip(names, row[1:])) for row in rows}

    def apply(self, now=NOW, **options):
        self.disturb()
        return json.loads(self.connection.cursor().execute(
            "SELECT retention_apply(?, ?)",
            (now, json.dumps(options) if options else None)).fetchall()[0][0])

    def applied(self, now=NOW, **options):
        """The same, by table."""
        return {entry["table"]: entry
                for entry in self.apply(now, **options)["tables"]}

    def count(self, table):
        return self.value(f'SELECT count(*) FROM "{table}"')

    def old(self, table, days, now=NOW, extra=(), names=""):
        """Insert a row of that age; a fraction of a day is exact to the s."""
        self.run(f"INSERT INTO {table}(created_at{names}) VALUES"
                 f" (?{', ?' * len(extra)})",
                 ((now - round(days * DAY)) // 1000, *extra))


TABLES = """
CREATE TABLE file_metadata(path TEXT PRIMARY KEY, last_scanned_at INTEGER)
  STRICT;
CREATE TABLE detections(id INTEGER PRIMARY KEY, file TEXT,
  created_at INTEGER NOT NULL DEFAULT (unixepoch())) STRICT;
CREATE TABLE violations(id INTEGER PRIMARY KEY, file TEXT, rule TEXT,
  created_at INTEGER NOT NULL DEFAULT (unixepoch())) STRICT;
CREATE TABLE migration_projects(id INTEGER PRIMARY KEY,
  created_at INTEGER NOT NULL) STRICT;
CREATE TABLE migration_modules(id INTEGER PRIMARY KEY,
  project_id INTEGER NOT NULL REFERENCES migration_projects(id),
  created_at INTEGER NOT NULL) STRICT;
CREATE TABLE migration_corrections(id INTEGER PRIMARY KEY,
  module_id INTEGER NOT NULL REFERENCES migration_modules(id),
  created_at INTEGER NOT NULL) STRICT;
"""

SETTINGS = {
    "wal": {},
    "delete": {"journal": "delete", "recursive": 1},
    "untrusted": {"trusted": 0, "defensive": 1},
    "reopen": {"recursive": 1, "trusted": 0, "reopen": True, "other": True},
}


def make(path, **setting):
    database = Database(path, **setting)
    database.run("SELECT holdfast_install('retention')")
    database.run(TABLES)
    return database


@pytest.fixture(params=SETTINGS, ids=list(SETTINGS))
def db(request, tmp_path):
    database = make(tmp_path / "test.db", **SETTINGS[request.param])
    yield database
    database.close()


@pytest.fixture
def one(tmp_path):
    """In one setting, where the others add nothing."""
    database = make(tmp_path / "test.db", trusted=0, defensive=1)
    yield database
    database.close()
