"""What the tests of the area `confidence` share: a database with the area, the
extension loaded, in several settings; and connections without it."""
import importlib.util
import pathlib

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DAY = 86400000
START = 1700000000000

spec = importlib.util.spec_from_file_location(
    "ledger_conftest", ROOT / "tests" / "ledger" / "conftest.py")
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)


class Database(shared.Database):
    """With some words for what the tests do most."""

    def day(self, number):
        """What day it is, from the first test day on."""
        self.run("UPDATE confidence_setting SET now = ?",
                 (START + round(number * DAY),))

    def violation(self, name, pattern="p", detector="d"):
        self.run("INSERT INTO confidence_violation(id, pattern_id,"
                 " detector_id) VALUES (?, ?, ?)", (name, pattern, detector))

    def vote(self, violation, action, reason=None, author="ann", day=None,
             expires=None):
        at = None if day is None else START + round(day * DAY)
        until = None if expires is None else START + round(expires * DAY)
        self.run("INSERT INTO confidence_feedback(violation_id, action,"
                 " reason, author, at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
                 (violation, action, reason, author, at, until))

    def votes(self, count, action, reason=None, pattern="p", detector="d",
              day=None):
        """One on each of so many findings of their own."""
        first = self.value("SELECT count(*) FROM confidence_violation")
        for i in range(first, first + count):
            self.violation(f"v{i}", pattern, detector)
            self.vote(f"v{i}", action, reason, day=day)

    def base(self, alpha, beta, pattern="p"):
        self.run("INSERT OR REPLACE INTO confidence_pattern VALUES (?, ?, ?)",
                 (pattern, alpha, beta))

    def posterior(self, pattern="p"):
        return self.run("SELECT alpha, beta, mean, low, high, tier, feedback"
                        " FROM confidence WHERE pattern_id = ?", (pattern,))[0]

    def mean(self, pattern="p"):
        return self.posterior(pattern)[2]

    def detector(self, name="d"):
        return self.run("SELECT acted, false_positives, rate, state FROM"
                        " confidence_detector WHERE detector_id = ?",
                        (name,))[0]

    def plain(self):
        """A connection that has no extension."""
        return apsw.Connection(self.path)


SETTINGS = {
    "wal": {},
    "delete": {"journal": "delete", "recursive": 1},
    "untrusted": {"trusted": 0, "defensive": 1},
    "reopen": {"recursive": 1, "trusted": 0, "reopen": True, "other": True},
}


@pytest.fixture(params=SETTINGS, ids=list(SETTINGS))
def db(request, tmp_path):
    database = Database(tmp_path / "test.db", **SETTINGS[request.param])
    database.run("PRAGMA synchronous=OFF")
    database.run("SELECT holdfast_install('confidence')")
    yield database
    database.close()


@pytest.fixture(name="one")
def in_one_setting(tmp_path):
    """For what no setting can matter to."""
    database = Database(tmp_path / "test.db", trusted=0, defensive=1)
    database.run("PRAGMA synchronous=OFF")
    database.run("SELECT holdfast_install('confidence')")
    yield database
    database.close()
