"""Leases under real processes: one winner of a hundred, nobody twice, no write
of a stale token."""
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")

HEAD = f"""
import os, random, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
db.enable_load_extension(True)
db.load_extension({LIBRARY!r})
def value(sql, *bindings):
    return db.execute("SELECT " + sql, bindings).fetchone()[0]
"""

ONE = HEAD + """
print("ready", flush=True)
sys.stdin.readline()
print(value("lease_acquire('l', 'r', ?)", sys.argv[2]))
"""

# Acquire with a tiny term, sleep perhaps longer, write to the guarded table.
WORK = HEAD + """
me, end = sys.argv[2], time.time() + float(sys.argv[3])
done = refused = 0
while time.time() < end:
    token = value("lease_acquire('l', 'r', ?, 2)", me)
    if token is None:
        continue
    time.sleep(random.random() * 0.004)
    try:
        db.execute("INSERT INTO work(task, token, who) VALUES ('r', ?, ?)",
                   (token, me))
        done += 1
    except sqlite3.IntegrityError as error:
        assert "does not hold its resource now" in str(error)
        refused += 1
print(done, refused)
"""


def load(path):
    db = sqlite3.connect(path, timeout=60, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(LIBRARY)
    return db


def start(program, *arguments):
    return subprocess.Popen([sys.executable, "-c", program, *arguments],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            text=True)


def test_a_hundred_want_one(tmp_path):
    path = str(tmp_path / "l.db")
    db = load(path)
    db.execute("PRAGMA journal_mode=wal")
    db.execute("CREATE VIRTUAL TABLE l USING lease")
    crowd = [start(ONE, path, f"p{i}") for i in range(100)]
    for process in crowd:
        assert process.stdout.readline() == "ready\n"
    for process in crowd:
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate()[0].strip() for process in crowd]
    assert sorted(told) == ["1"] + ["None"] * 99
    winner = f"p{told.index('1')}"
    assert db.execute("SELECT holder, token FROM l").fetchall() \
        == [(winner, 1)]
    assert db.execute("SELECT kind, count(*) FROM l_event GROUP BY 1"
                      ).fetchall() == [("acquired", 1), ("contended", 99)]


def test_no_stale_write_commits(tmp_path):
    """In the order of commits the tokens never fall."""
    path = str(tmp_path / "l.db")
    db = load(path)
    db.executescript("""
        PRAGMA journal_mode=wal; PRAGMA synchronous=normal;
        CREATE VIRTUAL TABLE l USING lease(max_renewals=0);
        CREATE TABLE work(seq INTEGER PRIMARY KEY, task TEXT, token INTEGER,
                          who TEXT);""")
    db.execute("SELECT lease_guard('work', 'l', 'task', 'token')")
    crowd = [start(WORK, path, f"p{i}", "4") for i in range(6)]
    told = [process.communicate()[0].split() for process in crowd]
    done, refused = (sum(int(pair[i]) for pair in told) for i in (0, 1))
    assert done >= 10 and refused >= 3
    rows = db.execute("SELECT token, who FROM work ORDER BY seq").fetchall()
    assert len(rows) == done
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    holder = dict(db.execute("SELECT token, holder FROM l_event"
                             " WHERE kind = 'acquired'"))
    assert len(holder) == db.execute("SELECT count(*) FROM l_event WHERE kind"
                                     " = 'acquired'").fetchone()[0]
    assert all(holder[token] == who for token, who in rows)


def test_the_holder_is_killed(tmp_path):
    path = str(tmp_path / "l.db")
    db = load(path)
    db.execute("CREATE VIRTUAL TABLE l USING lease(ttl_ms=1500)")
    db.execute("CREATE TABLE work(task, token)")
    db.execute("SELECT lease_guard('work', 'l', 'task', 'token')")
    first = start(ONE + "\ntime.sleep(60)", path, "victim")
    first.stdin.write("\n")
    first.stdin.flush()
    while not db.execute("SELECT 1 FROM l").fetchone():
        time.sleep(0.01)
    granted, until = db.execute(
        "SELECT acquired_at, expires_at FROM l").fetchone()
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert db.execute("SELECT lease_acquire('l', 'r', 'heir')"
                      ).fetchone() == (None,)
    assert db.execute("SELECT lease_acquire('l', 'r', 'heir', NULL, 20000)"
                      ).fetchone() == (2,)
    assert db.execute("SELECT acquired_at >= ? FROM l", (until,)
                      ).fetchone() == (1,)
    assert until - granted == 1500
    try:
        db.execute("INSERT INTO work VALUES ('r', 1)")
        raise AssertionError("the dead holder's token still works")
    except sqlite3.IntegrityError:
        pass
    db.execute("INSERT INTO work VALUES ('r', 2)")
