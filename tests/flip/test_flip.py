"""Each byte of a small ledger's file, changed: an error, a finding, or nothing
of the ledger was touched."""
import os
import pathlib
import random
import sqlite3
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")
SAMPLE = int(os.environ.get("HOLDFAST_FLIPS", "2400"))


def connect(path):
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.text_factory = bytes
    connection.enable_load_extension(True)
    connection.load_extension(LIBRARY)
    return connection


def content(connection):
    """All of the ledger that SQLite shows: rows, look-ups, definitions."""
    columns = "seq, at, task, n, r, v, hash, node"
    types = ", ".join(f"typeof({c})" for c in columns.split(", "))
    return [connection.execute(sql).fetchall() for sql in (
        f"SELECT {columns}, {types} FROM l_entry NOT INDEXED",
        "SELECT task, seq FROM l_entry INDEXED BY l_entry_task ORDER BY task,"
        " seq",
        "SELECT n, seq FROM l_entry INDEXED BY sqlite_autoindex_l_entry_1"
        " ORDER BY n, seq",
        "SELECT key, value, typeof(value) FROM l_config",
        # What an object is follows from its SQL; SQLite does not look at the
        # other columns of this row.
        "SELECT CAST(name AS TEXT), CAST(sql AS TEXT) FROM sqlite_schema"
        " ORDER BY 1")]


def make(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.enable_load_extension(True)
    connection.load_extension(LIBRARY)
    connection.execute("PRAGMA page_size = 1024")
    connection.execute("CREATE VIRTUAL TABLE l USING ledger(task TEXT NOT NULL"
                       " INDEXED, n INTEGER UNIQUE, r REAL, v ANY,"
                       " clock='caller')")
    for i in range(1, 101):
        connection.execute(
            "INSERT INTO l(at, task, n, r, v) VALUES (?,?,?,?,?)",
            (1000 * i, f"task {i % 7}", i * i, i / 4,
             [None, i, i / 3, "v" * (i % 40), bytes([i] * 30)][i % 5]))
    # A long value: overflow pages.
    connection.execute("INSERT INTO l(at, task, v) VALUES (200000, 'long', ?)",
                       ("x" * 3000,))
    connection.close()


def verdict(path, original):
    """error, finding (the verifier's), doctor (a finding of the doctor alone),
    outside; anything else is a silent change."""
    try:
        connection = connect(path)
        try:
            if connection.execute("SELECT finding FROM ledger_verify('l')"
                                  ).fetchall():
                return "finding"
            if connection.execute("SELECT finding FROM holdfast_check WHERE"
                                  " finding <> 'journal_mode'").fetchall():
                return "doctor"
            if content(connection) == original:
                return "outside"
            return "SILENT"
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # in its words
        text = str(error)
        return "error" if text else "SILENT"


def batch(path, positions):
    """In a process of its own, so that a crash is seen and not suffered."""
    data = pathlib.Path(path).read_bytes()
    original = content(connect(path))
    copy = path + f".{os.getpid()}"
    for position, mask in positions:
        changed = bytearray(data)
        changed[position] ^= mask
        pathlib.Path(copy).write_bytes(changed)
        print(position, mask, verdict(copy, original))
    os.remove(copy)


def test_flips(tmp_path):
    path = str(tmp_path / "l.db")
    make(path)
    size = os.path.getsize(path)
    chance = random.Random(7)
    if SAMPLE == 0:
        positions = [(p, m) for p in range(size) for m in (0xff, 1)]
    else:
        positions = [(p, chance.choice((0xff, 1, 0x80)))
                     for p in chance.sample(range(size), min(SAMPLE, size))]
    tally, silent = {}, []
    for start in range(0, len(positions), 400):
        part = positions[start:start + 400]
        done = subprocess.run(
            [sys.executable, __file__, path, repr(part)],
            stdout=subprocess.PIPE, text=True, timeout=600)
        assert done.returncode == 0, f"crashed in {part}"
        for line in done.stdout.splitlines():
            position, mask, kind = line.split()
            tally[kind] = tally.get(kind, 0) + 1
            if kind == "SILENT":
                silent.append((int(position), int(mask)))
    print(f"{len(positions)} flips of {size} bytes: {tally}")
    assert silent == []
    assert sum(tally.values()) == len(positions)
    assert tally["finding"] > len(positions) / 4


if __name__ == "__main__":
    batch(sys.argv[1], eval(sys.argv[2]))
