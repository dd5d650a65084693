"""A writer process: writer.py FILE NAME COUNT appends COUNT entries, one a
transaction, and prints the number of each after its commit returned.  With
COUNT 0 it goes on, some transactions larger, until it is killed."""
import os
import pathlib
import random
import sqlite3
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")


def connect(path):
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    connection.enable_load_extension(True)
    connection.load_extension(LIBRARY)
    return connection


def main():
    path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    connection = connect(path)
    chance = random.Random(name)
    done = 0
    while count == 0 or done < count:
        size = 1 if count or chance.random() < 0.5 else chance.randint(2, 40)
        if size > 1:
            connection.execute("BEGIN IMMEDIATE")
        for _ in range(size):
            cursor = connection.execute(
                "INSERT INTO l(who, n) VALUES (?, ?)", (name, done))
            done += 1
        if size > 1:
            connection.execute("COMMIT")
        os.write(1, b"%d\n" % cursor.lastrowid)
    connection.close()


if __name__ == "__main__":
    main()
