"""What several tests of leases share: the doors as functions, other
connections and processes, and a clock that a test can set."""
import os
import pathlib
import sqlite3
import subprocess
import sys

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")
EPOCH = 210866760000000  # 1970 in milliseconds of the Julian day number
GUARD = ("work: the token of the row does not hold its resource now; acquire it"
         " from l, and write that token with the row")

# Tests that make their own connections need one setting only.
once = pytest.mark.parametrize("db", ["wal"], indirect=True)

# The beginning of a program for start().
HEAD = f"""
import os, random, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
db.enable_load_extension(True)
db.load_extension({LIBRARY!r})
def value(sql, *bindings):
    return db.execute("SELECT " + sql, bindings).fetchone()[0]
"""


@pytest.fixture
def l(db):
    """Lease table l, whose time is the test's, and guarded table work."""
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=1000, max_ttl_ms=5000,"
           " max_renewals=3, clock='caller')")
    guarded(db)
    return db


def guarded(db):
    db.run("CREATE TABLE work(seq INTEGER PRIMARY KEY, task TEXT,"
           " token INTEGER, text TEXT)")
    assert db.value("SELECT lease_guard('work', 'l', 'task', 'token')") == 3


def acquire(db, resource, holder, now=None, ttl=None):
    return db.value("SELECT lease_acquire('l', ?, ?, ?, NULL, ?)",
                    (resource, holder, ttl, now))


def renew(db, resource, token, now=None, ttl=None):
    return db.value("SELECT lease_renew('l', ?, ?, ?, ?)",
                    (resource, token, ttl, now))


def release(db, resource, token, now=None):
    return db.value("SELECT lease_release('l', ?, ?, ?)",
                    (resource, token, now))


def holds(db, resource, token, now=None):
    return db.value("SELECT lease_holds('l', ?, ?, ?)", (resource, token, now))


def steal(db, resource, token, actor, now=None):
    return db.value("SELECT lease_steal('l', ?, ?, ?, 'stuck', ?)",
                    (resource, token, actor, now))


def held(db, now=None):
    where, given = ("", ()) if now is None else (" WHERE now = ?", (now,))
    return db.run("SELECT resource, holder, token, acquired_at, expires_at,"
                  f" renewals FROM l{where} ORDER BY token", given)


def events(db, columns="kind, resource, holder, token"):
    return db.run(f"SELECT {columns} FROM l_event ORDER BY rowid")


def write(db, task, token, text="x"):
    db.run("INSERT INTO work(task, token, text) VALUES (?, ?, ?)",
           (task, token, text))


def refused(db, task, token):
    """No write of this token passes, with and without the extension."""
    sql = "INSERT INTO work(task, token) VALUES (?, ?)"
    db.fails(sql, GUARD, (task, token))
    with pytest.raises(sqlite3.IntegrityError) as error:
        plain(db.path, sql, (task, token))
    assert str(error.value) == GUARD


def plain(path, sql, bindings=()):
    """Run it in a connection without the extension."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(sql, bindings).fetchall()
    finally:
        connection.close()


def load(path, timeout=60):
    db = sqlite3.connect(path, timeout=timeout, isolation_level=None,
                         check_same_thread=False)
    db.enable_load_extension(True)
    db.load_extension(LIBRARY)
    return db


def value(connection, sql, bindings=()):
    return connection.execute(sql, bindings).fetchall()[0][0]


def says(connection, sql, message, kind=Exception, bindings=()):
    """The statement fails with exactly this message.  Returns the error."""
    with pytest.raises(kind) as error:
        list(connection.execute(sql, bindings))
    text = str(error.value)
    assert text.split("Error: ", 1)[-1] == message, text
    return error.value


def start(program, *arguments):
    return subprocess.Popen([sys.executable, "-c", program, *arguments],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)


class Clock(apsw.VFS):
    """The file system with a clock of the test's, in milliseconds."""

    def __init__(self, now):
        self.now = now
        super().__init__("lease_clock", "")

    def xCurrentTime(self):
        # A part of a millisecond more, for days are a floating-point number.
        return (self.now + EPOCH + 0.4) / 86400000.0
