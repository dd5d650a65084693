"""worker.py FILE NAME SEED: everything a connection may do to a ledger, at
random, until it is killed.  Prints the number of each entry it knows to be
committed, and now and then its memory in kilobytes."""
import os
import pathlib
import random
import re
import sqlite3
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "concurrency"))
from writer import connect  # noqa: E402

HEAD = "(SELECT hash FROM l_entry ORDER BY seq DESC LIMIT 1)"
INSERT = "INSERT INTO l(who, n, x) VALUES (?, ?, ?)"


def say(kind, number):
    os.write(1, b"%s %d\n" % (kind, number))


def append(db, name, chance):
    say(b"E", db.execute(INSERT, (name, chance.randrange(99), "one")
                         ).lastrowid)


def many(db, name, chance):
    db.execute("BEGIN IMMEDIATE")
    for _ in range(chance.randrange(1, 60)):
        last = db.execute(INSERT, (name, chance.randrange(99), b"many")
                          ).lastrowid
    db.execute("COMMIT")
    say(b"E", last)


def undo(db, name, chance):
    db.execute("BEGIN IMMEDIATE")
    last = db.execute(INSERT, (name, 1, None)).lastrowid
    db.execute("SAVEPOINT s")
    db.execute(INSERT, (name, 2, chance.random()))
    db.execute("ROLLBACK TO s")
    if chance.random() < .5:
        db.execute("ROLLBACK")
    else:
        db.execute("COMMIT")
        say(b"E", last)


def refused(db, name, chance):
    for sql in ("UPDATE l SET n = 0", "DELETE FROM l_entry",
                "INSERT INTO l(seq, who) VALUES (1, 'x')",
                "INSERT OR REPLACE INTO l_entry(seq, at, who, hash)"
                " VALUES (1, 1, 'x', x'00')"):
        try:
            db.execute(sql)
        except sqlite3.OperationalError as error:  # OR IGNORE, BUSY
            if "locked" not in str(error):
                raise
        except sqlite3.IntegrityError:
            continue
        else:
            raise AssertionError(sql + " went through")


def direct(db, name, chance):
    db.execute("BEGIN IMMEDIATE")
    last = db.execute(
        "INSERT INTO l_entry(seq, at, who, n, hash) SELECT seq + 1, at, ?1, 7,"
        " merkle_leaf_hash(attest_canonical('holdfast.entry.v1', seq + 1, hash,"
        " at, ?1, 7, NULL)) FROM l_entry ORDER BY seq DESC LIMIT 1", (name,)
    ).lastrowid
    db.execute("COMMIT")
    if last:
        say(b"E", last)


def look(db, name, chance):
    rows = db.execute("SELECT seq FROM l WHERE who = ? ORDER BY seq DESC"
                      " LIMIT 5", (name,)).fetchall()
    assert rows == sorted(rows, reverse=True)
    size, = db.execute("SELECT ledger_size('l')").fetchone()
    if size:
        seq = chance.randint(1, size)
        assert db.execute(
            "SELECT hash = merkle_leaf_hash(ledger_leaf_data('l', seq)) FROM l"
            " WHERE seq = ?", (seq,)).fetchone() == (1,)


def schema(db, name, chance):
    db.execute(f"CREATE TABLE IF NOT EXISTS t_{name}(x)")
    db.execute(f"DROP TABLE t_{name}")


def memory():
    status = pathlib.Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))


def main():
    path, name, seed = sys.argv[1:4]
    chance = random.Random(seed)
    db = connect(path)
    work = [append] * 6 + [many, undo, refused, direct, look, look, schema]
    rounds = 0
    while True:
        try:
            chance.choice(work)(db, name, chance)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            if db.in_transaction:
                db.execute("ROLLBACK")
        rounds += 1
        if rounds % 200 == 0:
            say(b"M", memory())


if __name__ == "__main__":
    main()
