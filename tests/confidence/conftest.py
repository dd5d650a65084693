"""What the tests of the area `confidence` share: a database with the area, the
extension loaded, in several settings; and connections without it."""
import importlib.util
import pathlib
import shutil

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
        at = None if day is None else START + round(day * DAY)
        names = ("WITH RECURSIVE c(i) AS (SELECT ?1 UNION ALL SELECT i + 1"
                 " FROM c WHERE i < ?1 + ?2 - 1) INSERT INTO ")
        if count > 0:
            self.run(names + "confidence_violation(id, pattern_id, detector_id)"
                     " SELECT 'v' || i, ?3, ?4 FROM c",
                     (first, count, pattern, detector))
            self.run(names + "confidence_feedback(violation_id, action, reason,"
                     " author, at) SELECT 'v' || i, ?3, ?4, 'ann', ?5 FROM c",
                     (first, count, action, reason, at))

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


@pytest.fixture(scope="session", name="template")
def installed(tmp_path_factory):
    """Installed once; each test has a copy."""
    path = tmp_path_factory.mktemp("confidence") / "template.db"
    database = Database(path, journal="delete")
    database.run("SELECT holdfast_install('confidence')")
    database.close()
    return path


def copy_of(template, folder, setting):
    shutil.copy(template, folder / "test.db")
    database = Database(folder / "test.db", **setting)
    database.run("PRAGMA synchronous=OFF")
    return database


@pytest.fixture(params=SETTINGS, ids=list(SETTINGS))
def db(request, template, tmp_path):
    database = copy_of(template, tmp_path, SETTINGS[request.param])
    yield database
    database.close()


@pytest.fixture(name="one")
def in_one_setting(template, tmp_path):
    """For what no setting can matter to."""
    database = copy_of(template, tmp_path, SETTINGS["untrusted"])
    yield database
    database.close()
