"""A writer process: writing.py FILE STOP writes a row a transaction until the
file STOP is there, and prints of each when it asked for the lock, and when it
had it, in seconds of the clock that all processes share."""
import json
import os
import pathlib
import sqlite3
import sys
import time


def main():
    stop = pathlib.Path(sys.argv[2])
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.enable_load_extension(True)
    connection.load_extension(os.environ["HOLDFAST"])
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("SELECT busy_policy('fair', 60000)").fetchone()
    print("ready", flush=True)
    waits = []
    while not stop.exists():
        asked = time.monotonic()
        connection.execute("BEGIN IMMEDIATE")
        got = time.monotonic()
        connection.execute("INSERT INTO detections(file) VALUES ('x')")
        connection.execute("COMMIT")
        waits.append((asked, got))
        time.sleep(0.002)
    print(json.dumps(waits))


if __name__ == "__main__":
    main()
