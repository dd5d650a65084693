"""A kill switch that cannot be outrun: writers on guarded tables, and one
process that engages and resets.

Every change of the guarded tables leaves a row in `trace`, written by triggers
in the writer's own transaction; each engage and reset leaves in `fence`, in its
own, how far the trace had come.  So the commit order is in the file: between an
engage and its reset the trace must not grow."""
import pathlib
import sqlite3
import subprocess
import sys
import time

from writer import connect

WRITERS, ROUNDS = 16, 200
HERE = pathlib.Path(__file__)

SCHEMA = """
PRAGMA journal_mode = WAL;
SELECT holdfast_install('control');
CREATE TABLE jobs(id INTEGER PRIMARY KEY, who TEXT, n INTEGER);
CREATE TABLE parts(job REFERENCES jobs(id) ON DELETE CASCADE, n INTEGER);
CREATE TABLE trace(id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT);
CREATE TABLE fence(id INTEGER PRIMARY KEY, on_at INTEGER, off_at INTEGER);
CREATE VIRTUAL TABLE log USING ledger(who TEXT);
CREATE TRIGGER j1 AFTER INSERT ON jobs BEGIN
  INSERT INTO trace(what) VALUES ('insert'); END;
CREATE TRIGGER j2 AFTER UPDATE ON jobs BEGIN
  INSERT INTO trace(what) VALUES ('update'); END;
CREATE TRIGGER j3 AFTER DELETE ON jobs BEGIN
  INSERT INTO trace(what) VALUES ('delete'); END;
CREATE TRIGGER j4 AFTER DELETE ON parts BEGIN
  INSERT INTO trace(what) VALUES ('cascade'); END;
CREATE TRIGGER j5 AFTER INSERT ON log_entry BEGIN
  INSERT INTO trace(what) VALUES ('append'); END;
SELECT killswitch_guard('jobs'), killswitch_guard('parts'),
       killswitch_guard('log');
"""

# Each its own transaction; the last but one of several statements, which has
# read before it writes.
WRITES = [
    "INSERT INTO jobs(who, n) VALUES ('w', 1);",
    "REPLACE INTO jobs VALUES (abs(random() % 50), 'w', 2);",
    "INSERT INTO jobs VALUES (abs(random() % 50), 'w', 3)"
    " ON CONFLICT DO UPDATE SET n = n + 1;",
    "UPDATE OR REPLACE jobs SET n = n + 1 WHERE id = abs(random() % 50);",
    "INSERT INTO parts SELECT id, 1 FROM jobs ORDER BY random() LIMIT 1;",
    "DELETE FROM jobs WHERE id = abs(random() % 50);",
    "BEGIN; SELECT count(*) FROM jobs; UPDATE jobs SET n = 9 WHERE id < 5;"
    " COMMIT;",
    "INSERT INTO log(who) VALUES ('w');"]


def write(path, number):
    """Write until told to stop; print how many were done and refused."""
    loaded = number % 2 == 0
    connection = connect(path) if loaded else sqlite3.connect(
        path, isolation_level=None, timeout=60)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA recursive_triggers = {number % 4 // 2}")
    stop = pathlib.Path(path).with_name("stop")
    done = refused = turn = 0
    while not stop.exists():
        turn += 1
        sql = WRITES[(turn + number) % (len(WRITES) - (not loaded))]
        try:
            for statement in sql.split(";"):
                connection.execute(statement).fetchall()
            done += 1
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if "the kill switch DISABLE_NEW is on" in str(error):
                refused += 1
            elif "locked" not in str(error):
                raise
        time.sleep(0.002)
    connection.close()
    print(done, refused)


def fenced(connection, sql, mark):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(sql).fetchall()
    connection.execute(mark)
    connection.execute("COMMIT")


def switch(path):
    """Engage and reset, in turn by the function and by the operator's
    statement in a connection without the extension."""
    doors = connect(path)
    plain = sqlite3.connect(path, isolation_level=None, timeout=60)
    last = "SELECT coalesce(max(id), 0) FROM trace"
    for turn in range(ROUNDS):
        if turn % 2:
            fenced(doors, "SELECT killswitch_engage('drill', 'ann')",
                   f"INSERT INTO fence(on_at) {last}")
        else:
            fenced(plain, "INSERT OR REPLACE INTO settings (key, value)"
                   " VALUES ('DISABLE_NEW', '1')",
                   f"INSERT INTO fence(on_at) {last}")
        seen = plain.execute(last).fetchone()
        time.sleep(0.005)
        assert plain.execute(last).fetchone() == seen
        fenced(doors, "SELECT killswitch_reset('drill', 'ann', 'bob')",
               f"UPDATE fence SET off_at = ({last}) WHERE off_at IS NULL")
        time.sleep(0.005)
    doors.close()
    plain.close()


def test_no_guarded_write_passes_a_switch_that_is_on(tmp_path):
    path = str(tmp_path / "s.db")
    connection = connect(path)
    connection.executescript(SCHEMA)
    writers = [subprocess.Popen([sys.executable, str(HERE), path, str(i)],
                                stdout=subprocess.PIPE, text=True)
               for i in range(WRITERS)]
    try:
        switch(path)
    finally:
        (tmp_path / "stop").touch()
        results = [writer.communicate()[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    # It was a race: each writer got through and was refused.
    assert all(int(done) > 0 and int(refused) > 0 for done, refused in results)
    assert connection.execute("SELECT count(*), sum(on_at = off_at) FROM fence"
                              ).fetchone() == (ROUNDS, ROUNDS)
    # And between a reset and the next engage the trace grew.
    grown = connection.execute(
        "SELECT count(*) FROM fence AS a JOIN fence AS b ON b.id = a.id + 1"
        " WHERE b.on_at > a.off_at").fetchone()[0]
    assert grown > ROUNDS // 4
    assert {row[0] for row in connection.execute("SELECT what FROM trace")} == {
        "insert", "update", "delete", "cascade", "append"}
    assert connection.execute(
        "SELECT count(*) FROM control_event WHERE key = 'DISABLE_NEW'"
        " AND new_value = '1'").fetchone() == (ROUNDS,)
    connection.execute("SELECT control_seal()")
    for name in ("log", "control_ledger"):
        assert connection.execute(f"SELECT * FROM ledger_verify('{name}')"
                                  ).fetchall() == []
    assert connection.execute("SELECT finding FROM holdfast_check").fetchall() \
        == []
    connection.close()


if __name__ == "__main__":
    write(sys.argv[1], int(sys.argv[2]))
