"""lessee.py FILE NAME SEED: everything a connection may do to leases, at
random, until it is killed.  It keeps tokens that it lost, and tries them again.
Prints the number of each guarded row it knows to be committed."""
import os
import pathlib
import random
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "concurrency"))
from writer import connect  # noqa: E402

RESOURCES = ("one", "two", "three")
REFUSED = ("is held by", "has been renewed", "does not hold its resource",
           "may acquire it for another", "has just expired")


class Lessee:
    def __init__(self, db, name, seed):
        self.db, self.name = db, name
        self.chance = random.Random(seed)
        self.tokens = [("one", 0)]  # resource and token, the lost ones too

    def value(self, sql, *bindings):
        return self.db.execute("SELECT " + sql, bindings).fetchone()[0]

    def pick(self):
        """One of the last few tokens, most often the last."""
        last = 4 if self.chance.random() < .3 else 1
        return self.chance.choice(self.tokens[-last:])

    def got(self, resource, token):
        if token is not None:
            self.tokens = self.tokens[-9:] + [(resource, token)]

    def acquire(self):
        resource = self.chance.choice(RESOURCES)
        wait = self.chance.choice((0, 0, 30)) if not self.db.in_transaction \
            else 0
        self.got(resource, self.value(
            "lease_acquire('l', ?, ?, ?, ?)", resource, self.name,
            self.chance.randint(1, 80), wait))

    def insert(self):
        resource = self.chance.choice(RESOURCES)
        verb = self.chance.choice(("INSERT", "INSERT OR REPLACE"))
        self.got(resource, self.db.execute(
            f"{verb} INTO l(resource, holder, ttl_ms) VALUES (?, ?, ?)",
            (resource, self.name, self.chance.randint(1, 80))).lastrowid)

    def renew(self):
        resource, token = self.pick()
        if self.chance.random() < .5:
            self.value("lease_renew('l', ?, ?, 40)", resource, token)
        else:
            self.db.execute("UPDATE l SET ttl_ms = 40 WHERE token = ?",
                            (token,))

    def release(self):
        resource, token = self.pick()
        if self.chance.random() < .5:
            self.value("lease_release('l', ?, ?)", resource, token)
        elif self.chance.random() < .5:
            self.db.execute("DELETE FROM l WHERE token = ?", (token,))
        else:
            self.value("lease_release_all('l', ?)", self.name)

    def steal(self):
        row = self.db.execute("SELECT resource, token FROM l ORDER BY random()"
                              ).fetchone()
        if row:
            self.got(row[0], self.value(
                "lease_steal('l', ?, ?, ?, 'for a change')", *row, self.name))

    def transfer(self):
        resource, token = self.pick()
        self.got(resource, self.value("lease_transfer('l', ?, ?, ?)",
                                      resource, token, self.name))

    def write(self):
        resource, token = self.pick()
        if self.chance.random() < .5:
            time.sleep(self.chance.random() * .05)
        if self.chance.random() < .5:
            row = self.db.execute(
                "INSERT INTO work(resource, token, who) VALUES (?, ?, ?)",
                (resource, token, self.name)).lastrowid
            if not self.db.in_transaction:
                os.write(1, b"%d\n" % row)
        else:
            self.db.execute(
                "INSERT INTO state VALUES (?, ?, 1) ON CONFLICT DO UPDATE"
                " SET token = excluded.token, n = n + 1", (resource, token))

    def several(self):
        """A transaction, with what of it is taken back, or all: the tokens
        too, for their numbers are given again."""
        self.db.execute("BEGIN IMMEDIATE")
        before = self.tokens
        for _ in range(self.chance.randint(1, 4)):
            self.db.execute("SAVEPOINT s")
            kept, undo = self.tokens, self.chance.random() < .2
            try:
                self.chance.choice(WORK)(self)
            except sqlite3.IntegrityError as error:
                expected(error)
                undo = True
            if undo:
                self.db.execute("ROLLBACK TO s")
                self.tokens = kept
            self.db.execute("RELEASE s")
        if self.chance.random() < .3:
            self.db.execute("ROLLBACK")
            self.tokens = before
        else:
            self.db.execute("COMMIT")


WORK = ([Lessee.acquire] * 4 + [Lessee.insert] * 2 + [Lessee.write] * 6 +
        [Lessee.renew] * 2 + [Lessee.release, Lessee.steal, Lessee.transfer])


def expected(error):
    if not any(words in str(error) for words in REFUSED):
        raise error


def main():
    path, name, seed = sys.argv[1:4]
    lessee = Lessee(connect(path), name, seed)
    lessee.db.execute("PRAGMA synchronous=NORMAL")
    while True:
        try:
            lessee.chance.choice(WORK + [Lessee.several])(lessee)
        except sqlite3.IntegrityError as error:
            expected(error)
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
        if lessee.db.in_transaction:
            lessee.db.execute("ROLLBACK")


if __name__ == "__main__":
    main()
