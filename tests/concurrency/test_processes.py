"""Many processes, threads and readers on one file."""
import os
import pathlib
import subprocess
import sys
import threading

import pytest

from writer import connect

WRITER = pathlib.Path(__file__).with_name("writer.py")


def make(path, journal):
    connection = connect(path)
    connection.execute(f"PRAGMA journal_mode={journal}")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE VIRTUAL TABLE l USING ledger(who TEXT NOT NULL"
                       " INDEXED, n INTEGER)")
    return connection


@pytest.mark.parametrize("journal, processes, each", [
    ("wal", 10, int(os.environ.get("HOLDFAST_EACH", "1000"))),
    ("wal", 100, 10), ("delete", 10, 20)])
def test_processes_append(tmp_path, journal, processes, each):
    path = str(tmp_path / "l.db")
    connection = make(path, journal)
    writers = [subprocess.Popen([sys.executable, str(WRITER), path, f"w{i}",
                                 str(each)], stdout=subprocess.PIPE)
               for i in range(processes)]
    findings = []
    while any(writer.poll() is None for writer in writers):
        # A reader beside them sees a whole chain at every moment.
        findings += connection.execute("SELECT * FROM ledger_verify('l')"
                                       ).fetchall()
        for writer in writers:
            if writer.poll() is None:
                break
        try:
            writer.communicate(timeout=0.2)
        except subprocess.TimeoutExpired:
            pass
    assert [writer.returncode for writer in writers] == [0] * processes
    assert findings == []
    total = processes * each
    assert connection.execute("SELECT count(*), min(seq), max(seq) FROM l"
                              ).fetchone() == (total, 1, total)
    assert connection.execute(
        "SELECT count(*) FROM (SELECT who FROM l GROUP BY who HAVING count(*)"
        " = ? AND count(DISTINCT n) = ?)", (each, each)).fetchone() == (
            processes,)
    assert connection.execute("SELECT * FROM ledger_verify('l')").fetchall() \
        == []
    connection.close()


def test_threads_with_connections_of_their_own(tmp_path):
    path = str(tmp_path / "l.db")
    make(path, "wal").close()
    errors = []

    def work(name):
        try:
            connection = connect(path)
            for i in range(100):
                connection.execute("INSERT INTO l(who, n) VALUES (?, ?)",
                                   (name, i))
            connection.close()
        except Exception as error:  # reported by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"t{i}",))
               for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection = connect(path)
    assert errors == []
    assert connection.execute("SELECT ledger_size('l')").fetchone() == (800,)
    assert connection.execute("SELECT * FROM ledger_verify('l')").fetchall() \
        == []
    connection.close()
    assert not os.path.exists(path + "-wal")  # really closed


def test_compare_and_append_has_one_winner(tmp_path):
    path = str(tmp_path / "l.db")
    make(path, "wal").close()
    rounds, players, wins = 30, 5, []
    barrier = threading.Barrier(players)

    def play(name):
        connection = connect(path)
        for i in range(rounds):
            barrier.wait()
            head, = connection.execute("SELECT ledger_head('l')").fetchone()
            barrier.wait()
            try:
                connection.execute("INSERT INTO l(who, n, prev_hash)"
                                   " VALUES (?, ?, ?)", (name, i, head))
                wins.append(i)
            except Exception as error:
                if "prev_hash is not the head" not in str(error):
                    wins.append(error)
        connection.close()

    threads = [threading.Thread(target=play, args=(f"p{i}",))
               for i in range(players)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wins, key=str) == sorted(range(rounds), key=str)
