"""Checkpoints and what is around a ledger: names, attached files, upkeep, and
other connections."""
import os
import pathlib
import sqlite3
import subprocess
import sys

import apsw
import pytest

from conftest import load, load_apsw
from signing import Key, encoded
from trail import (A, WALL, checkpoint, fails, once, stored,
                   two)  # noqa: F401

HERE = pathlib.Path(__file__).parent
OTHER = Key("somebody.example/else", 2)


# ---- names, files, upkeep ---------------------------------------------------

@pytest.mark.parametrize("name", [
    "with space", "q'\"x", "a.b", "\u00fc\U0001f600", "x%sy", "SELECT", "a+b"])
def test_names(db, name):
    quoted = '"' + name.replace('"', '""') + '"'
    db.run(f"CREATE VIRTUAL TABLE {quoted} USING ledger(task TEXT)")
    db.run(f"INSERT INTO {quoted}(task) VALUES ('x')")
    full = "main." + name
    assert checkpoint(db, name=full).startswith(f"holdfast/{name}\n1\n")
    assert db.run("SELECT * FROM ledger_verify(?, NULL, ?)",
                  (full, A.verifier)) == []
    table = quoted[:-1] + '_checkpoint"'
    db.fails(f"DELETE FROM {table}", f"ledger {name}: checkpoints are made by")


@pytest.mark.parametrize("name", ["a\nb", "a\n", "\x01", "a\rb"])
def test_a_name_that_is_no_line(db, name):
    """The default origin holds it: no checkpoints, but one can declare it."""
    db.run(f'CREATE VIRTUAL TABLE "{name}" USING ledger(task TEXT)')
    fails(db, f"ledger {name}: its origin is not a line of text, so it can have"
          " no checkpoints; declare another with origin='...'", name=name)
    db.run(f'DROP TABLE "{name}"')
    db.run(f'CREATE VIRTUAL TABLE "{name}" USING ledger(task TEXT,'
           " origin='example.com/line')")
    assert checkpoint(db, name=name).startswith("example.com/line\n0\n")
    assert db.verify(name) == []


@once
def test_a_name_that_makes_lines_of_its_own(db):
    """Signed, it would be a checkpoint of another log, with any root."""
    name = "a\n7\n" + encoded(b"r" * 32)
    db.run(f'CREATE VIRTUAL TABLE "{name}" USING ledger(task TEXT)')
    fails(db, "its origin is not a line of text", name=name)


def test_attached_and_temporary(ledger, tmp_path):
    ledger.reopen = False
    path = str(tmp_path / "aux.db")
    ledger.run("ATTACH ? AS aux", (path,))
    ledger.run("ATTACH ':memory:' AS mem")
    for schema in ("aux", "temp", "mem"):
        ledger.run(f"CREATE VIRTUAL TABLE {schema}.l USING ledger(task TEXT)")
        ledger.run(f"INSERT INTO {schema}.l(task) VALUES ('x')")
        text = checkpoint(ledger, name=schema + ".l")
        assert ledger.run("SELECT id, size, note FROM "
                          f"{schema}.l_checkpoint") == [(1, 1, text)]
        assert ledger.verify(schema + ".l") == []
        ledger.fails(f"DELETE FROM {schema}.l_checkpoint", WALL)
    assert ledger.run("SELECT * FROM main.l_checkpoint") == []
    checkpoint(ledger, name="main.l")
    assert ledger.value("SELECT count(*) FROM aux.l_checkpoint") == 1


@once
def test_attached_to_a_read_only_file(ledger, tmp_path):
    plain = sqlite3.connect(f"file:{ledger.path}?mode=ro", uri=True,
                            isolation_level=None)
    load(plain)
    plain.execute("ATTACH ? AS aux", (f"file:{tmp_path}/aux.db?mode=rwc",))
    plain.execute("CREATE VIRTUAL TABLE aux.l USING ledger(task TEXT)")
    plain.execute("INSERT INTO aux.l(task) VALUES ('x')")
    plain.execute("SELECT ledger_checkpoint('aux.l', ?)", (A.signer,))
    plain.close()


def test_rename_and_drop(two):
    two.run("ALTER TABLE l RENAME TO m")
    assert checkpoint(two, name="m").startswith("holdfast/l\n5\n")
    assert stored(two, "id", "m") == [(1,), (2,), (3,)]
    assert two.verify("m") == []
    two.fails("DELETE FROM m_checkpoint", WALL.replace(" l:", " m:"))
    two.run("CREATE VIRTUAL TABLE e USING ledger(task TEXT)")
    checkpoint(two, name="e")
    two.run("DROP TABLE e")  # it holds no entries
    assert two.run("SELECT name FROM sqlite_schema WHERE name LIKE 'e\\_%'"
                   " ESCAPE '\\'") == []
    assert two.run("SELECT * FROM holdfast_check WHERE finding LIKE 'g%'") == []


def test_vacuum_and_dump_keep_them(two, tmp_path):
    before = stored(two)
    two.run(f"VACUUM INTO '{tmp_path}/copy.db'")
    other = sqlite3.connect(tmp_path / "copy.db", isolation_level=None)
    load(other)
    assert other.execute("SELECT * FROM l_checkpoint").fetchall() == before
    assert other.execute("SELECT * FROM ledger_verify('l', ?, ?)",
                         (before[0][4], A.verifier)).fetchall() == []
    other.execute("SELECT ledger_checkpoint('l', ?)", (A.signer,))
    other.close()


# ---- other connections ------------------------------------------------------

@pytest.mark.parametrize("level, during", [(0, 2), (1, 2), (2, 2), (3, 3)])
def test_synchronous(two, level, during):
    """At least FULL while it commits; before and after it is the caller's."""
    two.reopen = False
    two.run(f"PRAGMA synchronous = {level}")
    two.run("CREATE TEMP TABLE seen(x)")
    two.run("CREATE TEMP TRIGGER see AFTER INSERT ON main.l_checkpoint BEGIN"
            " INSERT INTO seen SELECT synchronous FROM pragma_synchronous;"
            " END")
    checkpoint(two)
    assert two.run("SELECT x FROM seen") == [(during,)]
    assert two.value("PRAGMA synchronous") == level
    fails(two, "no such ledger", name="nothing")
    two.run("CREATE TEMP TRIGGER no AFTER INSERT ON main.l_checkpoint BEGIN"
            " SELECT RAISE(ABORT, 'no'); END")
    fails(two, "no")
    assert two.value("PRAGMA synchronous") == level


@once
def test_synchronous_of_an_attached_file(two, tmp_path):
    """It is that file's level, and no other's, that is raised."""
    two.run("ATTACH ? AS aux", (str(tmp_path / "aux.db"),))
    two.run("CREATE VIRTUAL TABLE aux.l USING ledger(task TEXT)")
    two.run("CREATE TEMP TABLE seen(x, y)")
    two.run("CREATE TEMP TRIGGER see AFTER INSERT ON aux.l_checkpoint BEGIN"
            " INSERT INTO seen VALUES ("
            "  (SELECT synchronous FROM pragma_synchronous('main')),"
            "  (SELECT synchronous FROM pragma_synchronous('aux'))); END")
    for main, aux in [(0, 1), (2, 0), (1, 3)]:
        two.run(f"PRAGMA main.synchronous = {main}")
        two.run(f"PRAGMA aux.synchronous = {aux}")
        checkpoint(two, name="aux.l")
        assert two.run("SELECT * FROM seen ORDER BY rowid DESC")[0] == (
            main, max(aux, 2))
        assert two.run("PRAGMA main.synchronous") == [(main,)]
        assert two.run("PRAGMA aux.synchronous") == [(aux,)]


class Watched(apsw.VFS):
    """Knows which files hold something that was not yet made durable."""

    class File(apsw.VFSFile):
        def __init__(self, vfs, name, flags):
            path = getattr(name, "filename", lambda: str(name))()
            self.vfs, self.suffix = vfs, path[-4:]
            super().__init__("", name, flags)

        def xWrite(self, data, offset):
            self.vfs.unsynced.add(self.suffix)
            super().xWrite(data, offset)

        def xSync(self, flags):
            self.vfs.unsynced.discard(self.suffix)
            super().xSync(flags)

    def __init__(self):
        self.unsynced = set()
        super().__init__("watched", "")

    def xOpen(self, name, flags):
        return self.File(self, name, flags)


@pytest.mark.parametrize("journal, synchronous", [
    ("delete", "OFF"), ("delete", "NORMAL"), ("delete", "FULL"),
    ("truncate", "OFF"), ("persist", "OFF"), ("wal", "NORMAL"),
    ("wal", "FULL"), ("wal", "OFF")])
def test_all_is_on_the_disk(tmp_path, journal, synchronous):
    vfs = Watched()
    connection = apsw.Connection(str(tmp_path / "l.db"), vfs="watched")
    load_apsw(connection)

    def run(sql, bindings=()):
        return connection.cursor().execute(sql, bindings).fetchall()

    run("PRAGMA locking_mode = EXCLUSIVE")  # a WAL without shared memory
    assert run(f"PRAGMA journal_mode = {journal}") == [(journal,)]
    run(f"PRAGMA synchronous = {synchronous}")
    run("CREATE VIRTUAL TABLE l USING ledger(task TEXT)")
    run("INSERT INTO l(task) VALUES ('in the file')")
    run("PRAGMA wal_checkpoint")
    run("INSERT INTO l(task) VALUES ('perhaps in the WAL')")
    run("SELECT ledger_checkpoint('l', ?)", (A.signer,))
    left = vfs.unsynced & {"l.db", "-wal"}
    connection.close()
    vfs.unregister()
    assert left == set()


def test_busy(two):
    """Its code passes through, and nothing of it remains."""
    two.reopen = two.other = False
    two.run("PRAGMA synchronous = NORMAL")
    two.connection.setbusytimeout(0)
    other = sqlite3.connect(two.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(apsw.BusyError) as error:
        checkpoint(two)
    assert error.value.extendedresult == apsw.SQLITE_BUSY
    other.execute("ROLLBACK")
    assert two.value("PRAGMA synchronous") == 1
    assert two.connection.getautocommit()
    assert stored(two, "count(*)") == [(2,)]
    if two.setting[0] == "wal":
        # The statement that asks for it reads an older state of the file.
        rows = two.connection.cursor().execute(
            "SELECT iif(seq = 1, NULL, ledger_checkpoint('l', ?)) FROM l",
            (A.signer,))
        assert next(rows) == (None,)
        other.execute("CREATE TABLE written_meanwhile(x)")
        with pytest.raises(apsw.BusyError) as error:
            next(rows)
        assert error.value.extendedresult == apsw.SQLITE_BUSY_SNAPSHOT
        rows.close()
    other.close()
    checkpoint(two)
    assert two.verify() == []


@once
def test_a_host_that_counts_changes(two):
    two.run("PRAGMA count_changes = ON")
    two.run("INSERT INTO l(at, task) VALUES (9000, 'x')")
    checkpoint(two)


@pytest.mark.parametrize("db", ["wal", "delete"], indirect=True)
def test_nobody_writes_meanwhile(two):
    """From before the first look at the ledger on."""
    other = sqlite3.connect(two.path, 0, isolation_level=None)
    tried = []

    def interfere():
        if not two.connection.getautocommit():
            try:
                other.execute("CREATE TABLE written_meanwhile(x)")
                tried.append("written")
            except sqlite3.OperationalError as error:
                tried.append(str(error))
        return False

    two.connection.setprogresshandler(interfere, 1)
    checkpoint(two)
    two.connection.setprogresshandler(None)
    other.close()
    assert set(tried) == {"database is locked"}


PROCESS = """
import sqlite3, sys
from conftest import load
connection = load(sqlite3.connect(sys.argv[1], 60, isolation_level=None))
for i in range(25):
    connection.execute("INSERT INTO l(task) VALUES ('x')")
    text = connection.execute("SELECT ledger_checkpoint('l', ?)",
                              (sys.argv[2],)).fetchone()[0]
    print(text.split("\\n")[1])
"""


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_two_processes(tmp_path, journal):
    path = str(tmp_path / "l.db")
    connection = load(sqlite3.connect(path, isolation_level=None))
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("CREATE VIRTUAL TABLE l USING ledger(task TEXT)")
    env = dict(os.environ, PYTHONPATH=str(HERE))
    both = [subprocess.Popen([sys.executable, "-c", PROCESS, path, key.signer],
                             env=env, stdout=subprocess.PIPE, text=True)
            for key in (A, OTHER)]
    sizes = [process.communicate()[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    rows = connection.execute("SELECT id, size, note, at FROM l_checkpoint"
                              ).fetchall()
    assert [row[0] for row in rows] == list(range(1, 51))
    assert [row[1] for row in rows] == sorted(
        int(size) for size in sizes[0] + sizes[1])
    assert [row[3] for row in rows] == sorted(row[3] for row in rows)
    for text in (rows[0][2], rows[25][2], rows[49][2]):
        assert connection.execute(
            "SELECT * FROM ledger_verify('l', ?, ?)",
            (text, f"{A.verifier} {OTHER.verifier}")).fetchall() == []
    connection.close()
