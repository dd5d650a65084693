#!/usr/bin/python3
"""worker.py DATABASE: one worker of a pool; start as many as you like.

It takes a job by a lease, renews the lease while it works, and writes the
result under the lease's token. It may be killed, or stopped for an hour, at
any point: each job gets one result. It ends when all jobs are done.
"""

import contextlib
import os
import random
import secrets
import socket
import sqlite3
import sys
import threading
import time

LIBRARY = os.environ.get("HOLDFAST", "./build/holdfast")
BEAT = 0.3  # seconds between renewals: a third of job_lease's ttl_ms

# A name that nobody had before. A holder that asks again is given its own
# token back, so a worker that took over the name of one that is believed dead
# would share its token too, and the guard could not tell the two apart.
ME = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


def connect(path):
    db = sqlite3.connect(path, timeout=5, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(LIBRARY)
    db.enable_load_extension(False)
    return db


def value(db, expression, *bindings):
    return db.execute(f"SELECT {expression}", bindings).fetchone()[0]


def transaction(db, body):
    """What body() returns, called in a write transaction. When the database
    is busy for longer than the timeout, all of it is done again."""
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
            outcome = body()
            db.execute("COMMIT")
            return outcome
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        time.sleep(random.uniform(0.01, 0.1))


def claim(db):
    """(job, seconds, token) of a job that is now ours; None if all that are
    left are held by others. To look and to acquire in one transaction means
    that nobody can have done the job in between."""

    def body():
        row = db.execute(
            "SELECT id, seconds FROM job WHERE state = 'ready' AND id NOT IN"
            " (SELECT CAST(resource AS INTEGER) FROM job_lease)"
            " ORDER BY id LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        # A resource is TEXT, hence str().
        acquire = "lease_acquire('job_lease', ?, ?)"
        token = value(db, acquire, str(row[0]), ME)
        return token and (*row, token)

    return transaction(db, body)


@contextlib.contextmanager
def heartbeat(path, job, token):
    """Renews the lease. The event that it gives is set when the lease is lost;
    then somebody else may be at the job."""
    lost, over = threading.Event(), threading.Event()

    def beat():
        db = connect(path)  # a connection belongs to one thread
        renew = "lease_renew('job_lease', ?, ?)"
        while not over.wait(BEAT):
            if transaction(db, lambda: value(db, renew, str(job), token)):
                continue
            lost.set()
            break
        db.close()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        over.set()
        thread.join()


def work(seconds, lost):
    """The work itself: give it up early when `lost` is set. That is only a
    courtesy; what keeps a late result out is the guard."""
    lost.wait(seconds)
    return f"slept for {seconds} s"


def finish(db, job, token, answer):
    """Result, state and release, all or nothing. False if the token does not
    hold the job any more: the result belongs to somebody else."""

    def body():
        db.execute(
            "INSERT INTO result(job, token, worker, answer)"
            " VALUES (?, ?, ?, ?)",
            (job, token, ME, answer),
        )
        db.execute(
            "UPDATE job SET state = 'done', token = ? WHERE id = ?",
            (token, job),
        )
        value(db, "lease_release('job_lease', ?, ?)", str(job), token)

    try:
        transaction(db, body)
    except sqlite3.IntegrityError as error:
        # A guard is a trigger; any other constraint would be a mistake.
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_TRIGGER:
            raise
        return False
    return True


def main(path):
    db = connect(path)
    while value(db, "EXISTS (SELECT 1 FROM job WHERE state = 'ready')"):
        claimed = claim(db)
        if claimed is None:
            time.sleep(random.uniform(0.02, 0.1))
            continue
        job, seconds, token = claimed
        with heartbeat(path, job, token) as lost:
            answer = work(seconds, lost)
        if lost.is_set():
            print("lost", job, token, flush=True)
        elif finish(db, job, token, answer):
            print("done", job, token, flush=True)
        else:
            print("refused", job, token, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
