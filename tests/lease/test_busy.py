"""busy_policy: how a connection waits for a lock."""
import sqlite3
import threading
import time

import pytest

from conftest import LIBRARY


def connect(path):
    db = sqlite3.connect(path, isolation_level=None, timeout=0,
                         check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(LIBRARY)
    return db


@pytest.fixture(name="two")
def two_connections(tmp_path):
    one, other = connect(tmp_path / "b.db"), connect(tmp_path / "b.db")
    one.execute("CREATE TABLE t(x)")
    yield one, other
    one.close()
    other.close()


def policy(db, *arguments):
    marks = ", ".join("?" * len(arguments))
    return db.execute(f"SELECT busy_policy({marks})", arguments).fetchone()[0]


def waited(db):
    start = time.monotonic()
    with pytest.raises(sqlite3.OperationalError) as error:
        db.execute("INSERT INTO t VALUES (1)")
    assert error.value.sqlite_errorcode == sqlite3.SQLITE_BUSY
    return time.monotonic() - start


def test_it_waits_until_the_timeout(two):
    one, other = two
    one.execute("BEGIN IMMEDIATE")
    assert policy(other, "fair", 300) == 300
    assert 0.25 < waited(other)
    assert policy(other, "fair", 0) == 0
    assert waited(other) < 0.25


def test_it_gets_the_lock_when_that_is_free(two):
    one, other = two
    policy(other, "fair", 60000)
    one.execute("BEGIN IMMEDIATE")
    threading.Timer(0.1, lambda: one.execute("COMMIT")).start()
    other.execute("INSERT INTO t VALUES (1)")
    assert other.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_the_timeouts(two):
    db = two[0]
    timeout = "PRAGMA busy_timeout"
    assert policy(db, "fair") == 5000
    assert policy(db, "default") == 0
    db.execute("PRAGMA busy_timeout = 700")
    assert policy(db, "fair") == 700
    assert db.execute(timeout).fetchone() == (0,)
    assert policy(db, "FAIR", 900) == 900
    assert policy(db, "fair") == 700
    assert policy(db, "Default") == 700
    assert db.execute(timeout).fetchone() == (700,)
    assert policy(db, "default") == 700
    assert policy(db, "default", 40) == 40
    assert db.execute(timeout).fetchone() == (40,)
    policy(db, "fair", None)
    db.execute("PRAGMA busy_timeout = 60")
    assert policy(db, "default") == 60


@pytest.mark.parametrize("arguments, words", [
    (("quick",), "busy_policy: the policy must be 'fair' or 'default'"),
    ((None,), "busy_policy: the policy must be 'fair' or 'default'"),
    ((b"fair\0",), "busy_policy: the policy must be 'fair' or 'default'"),
    (("fair", -1), "busy_policy: timeout_ms must be an INTEGER of milliseconds,"
     " from 0 to 2147483647"),
    (("fair", 2 ** 31), "busy_policy: timeout_ms must be an INTEGER of"
     " milliseconds, from 0 to 2147483647"),
    (("default", "10"), "busy_policy: timeout_ms must be an INTEGER of"
     " milliseconds, from 0 to 2147483647")])
def test_bad_arguments(two, arguments, words):
    db = two[0]
    db.execute("PRAGMA busy_timeout = 700")
    with pytest.raises(sqlite3.OperationalError) as error:
        policy(db, *arguments)
    assert str(error.value) == words
    assert db.execute("PRAGMA busy_timeout").fetchone() == (700,)


def test_not_in_a_trigger(two):
    db = two[0]
    db.execute("CREATE TRIGGER x AFTER INSERT ON t BEGIN"
               " SELECT busy_policy('fair'); END")
    with pytest.raises(sqlite3.OperationalError) as error:
        db.execute("INSERT INTO t VALUES (1)")
    assert "unsafe use of busy_policy" in str(error.value)
