"""What a connection remembers of the end of a ledger, from transaction to
transaction, while others append and transactions are undone."""
import random

import apsw
import pytest

from conftest import load_apsw


def opened(path):
    connection = apsw.Connection(str(path))
    connection.setbusytimeout(10000)
    load_apsw(connection)
    return connection.cursor()


def append(cursor, r, rows):
    """A few entries, at times equal to those that others append; rows grows by
    what is stored."""
    for _ in range(r.randrange(1, 4)):
        n = r.randrange(3)
        cursor.execute("INSERT INTO l(at, n) VALUES (7, ?)", (n,))
        rows.append(n)


def refused(cursor):
    with pytest.raises(apsw.Error, match="CHECK"):
        cursor.execute("INSERT INTO l(at, n) SELECT 7, value"
                       " FROM json_each('[1, 2, 9]')")


def step(cursor, r, rows):
    """A transaction, or none; returns the rows that there are then."""
    if r.random() < 0.4:
        append(cursor, r, rows)
        return rows
    kept = list(rows)
    cursor.execute("BEGIN IMMEDIATE")
    for _ in range(r.randrange(1, 4)):
        append(cursor, r, kept)
        if r.random() < 0.3:
            refused(cursor)
        if r.random() < 0.5:
            cursor.execute("SAVEPOINT s")
            append(cursor, r, list(kept))
            if r.random() < 0.5:
                cursor.execute("ROLLBACK TO s; RELEASE s")
            else:
                cursor.execute("RELEASE s")
                kept = [n for n, in cursor.execute(
                    "SELECT n FROM l_entry ORDER BY seq")]
    if r.random() < 0.4:
        cursor.execute("ROLLBACK")
        return rows
    cursor.execute("COMMIT")
    return kept


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("seed", range(10))
def test_connections_in_turn(tmp_path, seed, journal):
    r = random.Random(seed)
    path = tmp_path / "test.db"
    cursors = [opened(path) for _ in range(3)]
    cursors[0].execute(f"PRAGMA journal_mode = {journal}").fetchall()
    cursors[0].execute("CREATE VIRTUAL TABLE l USING ledger(n INTEGER,"
                       " CHECK (n < 5), clock='caller')")
    for cursor in cursors:
        cursor.execute("PRAGMA synchronous = OFF")
    rows = []
    for _ in range(40):
        rows = step(r.choice(cursors), r, rows)
        assert [n for n, in cursors[0].execute(
            "SELECT n FROM l ORDER BY seq")] == rows
        assert cursors[1].execute(
            "SELECT * FROM ledger_verify('l')").fetchall() == []
    assert len(rows) > 40


@pytest.mark.parametrize("undo", ["ROLLBACK", "ROLLBACK TO s; RELEASE s"])
@pytest.mark.parametrize("size", range(9))
def test_others_come_to_the_size_that_was_undone(tmp_path, size, undo):
    mine, others = (opened(tmp_path / "test.db") for _ in range(2))
    mine.execute("CREATE VIRTUAL TABLE l USING ledger(n INTEGER)")
    for n in range(size):
        mine.execute("INSERT INTO l(n) VALUES (?)", (n,))
    for count in (2, 3, 4):
        begin = "BEGIN" if undo == "ROLLBACK" else "SAVEPOINT s"
        mine.execute(begin)
        for _ in range(count):
            mine.execute("INSERT INTO l(n) VALUES (-1)")
        mine.execute(undo)
        for n in range(count):
            others.execute("INSERT INTO l(n) VALUES (?)", (n,))
        for n in range(4):
            mine.execute("INSERT INTO l(n) VALUES (?)", (n,))
        assert others.execute(
            "SELECT * FROM ledger_verify('l')").fetchall() == []
