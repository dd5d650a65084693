"""Ten processes that write while retention runs: none waits longer than one
batch. No time is compared with a number: a wait is with the batches of the same
run that were in its way. What other writers hold, and what a processor does
meanwhile, is not counted."""
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from conftest import NOW, make

HERE = pathlib.Path(__file__).parent
LIBRARY = os.environ.get("HOLDFAST") or str(HERE.parents[1] / "build"
                                            / "holdfast")
WRITERS, ROWS = 10, 300000


def watch(db):
    """The times at which each of its transactions has the lock."""
    held = []

    def profile(sql, _):  # at the end of each statement
        if sql == "BEGIN IMMEDIATE":
            held.append([time.monotonic(), None])
        elif sql == "COMMIT":
            held[-1][1] = time.monotonic()

    db.connection.setprofile(profile)
    return held


def start(path, stop):
    writers = [subprocess.Popen([sys.executable, str(HERE / "writing.py"),
                                 str(path), str(stop)], text=True,
                                stdout=subprocess.PIPE,
                                env={**os.environ, "HOLDFAST": LIBRARY})
               for _ in range(WRITERS)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    return writers


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_ten_writers_wait_for_one_batch_each(tmp_path, journal):
    path, stop = tmp_path / "t.db", tmp_path / "stop"
    db = make(path, journal=journal)
    db.run("CREATE INDEX v ON violations(created_at)")
    db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
           f" WHERE i < {ROWS}) INSERT INTO violations(rule, created_at)"
           " SELECT hex(i) || '................', 1690000000 + i FROM n")
    db.policy("violations")
    db.run("SELECT busy_policy('fair', 60000)")
    writers = start(path, stop)
    held = watch(db)
    began = time.monotonic()
    report = db.apply()
    ended = time.monotonic()
    db.connection.setprofile(None)
    stop.touch()
    waits = [(asked, got) for writer in writers
             for asked, got in json.loads(writer.communicate()[0])]
    assert [writer.returncode for writer in writers] == [0] * WRITERS
    assert report["deleted"] == ROWS and report.get("complete", True)
    assert db.count("detections") == len(waits)
    assert db.value("PRAGMA integrity_check") == "ok"
    db.close()

    waits = [wait for wait in waits if began < wait[1] and wait[0] < ended]
    longest = max(end - begin for begin, end in held)
    behind = [sum(max(0, min(got, end) - max(asked, begin))
                  for begin, end in held) for asked, got in waits]
    print(f"{len(held)} batches, the longest {longest * 1e3:.1f} ms;"
          f" {len(waits)} waits, behind batches for"
          f" {max(behind) * 1e3:.1f} ms at most")
    # They are let in: each of them, more than once between two batches.
    assert len(held) > 10 and len(waits) > 1.5 * WRITERS * len(held)
    # One that was not scheduled while the lock was free has not looked for it;
    # that is rare, and ends with the next batch.
    late = [time for time in behind if time > longest]
    assert len(late) <= len(waits) / 20, (longest, sorted(late))
    assert max(behind) <= 2 * longest
