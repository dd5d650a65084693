"""kill -9 at any moment loses nothing that was committed."""
import os
import pathlib
import random
import select
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "concurrency"))
from writer import connect  # noqa: E402

WRITER = pathlib.Path(__file__).parents[1] / "concurrency" / "writer.py"
LOOPS = int(os.environ.get("HOLDFAST_KILLS", "200"))


def acknowledged(writer, lines):
    """Let the writer report some commits, kill it, return the last one."""
    last, data = 0, b""
    while True:
        ready, _, _ = select.select([writer.stdout], [], [], 30)
        assert ready, "the writer is stuck"
        data += os.read(writer.stdout.fileno(), 65536)
        if data.count(b"\n") >= lines:
            break
    writer.send_signal(signal.SIGKILL)
    data += writer.stdout.read()
    writer.wait()
    for line in data.split(b"\n")[:-1]:
        last = int(line)
    return last


def test_kill_in_a_loop(tmp_path):
    chance = random.Random(1)
    path = None
    for loop in range(LOOPS):
        if loop % 50 == 0:
            path = str(tmp_path / f"l{loop}.db")
            connection = connect(path)
            connection.execute("PRAGMA journal_mode="
                               + ("delete" if loop % 100 else "wal"))
            connection.execute("CREATE VIRTUAL TABLE l USING ledger(who TEXT"
                               " NOT NULL INDEXED, n INTEGER)")
            connection.close()
        writer = subprocess.Popen([sys.executable, str(WRITER), path,
                                   f"k{loop}", "0"], stdout=subprocess.PIPE)
        last = acknowledged(writer, chance.randint(1, 12))
        connection = connect(path)
        size, = connection.execute("SELECT ledger_size('l')").fetchone()
        assert size >= last
        assert connection.execute("SELECT count(*) FROM l").fetchone() == (
            size,)
        assert connection.execute("SELECT * FROM ledger_verify('l')"
                                  ).fetchall() == []
        connection.close()
    print(f"{LOOPS} kills, nothing lost")
