"""crowd.py DATABASE SEED KILLS MOVES: eight agents which do whatever comes to
their minds, until so many have been killed (kill -9) and so many moves made.

Agents are forked, so that one lives as soon as another has died.  Much of what
they do is nonsense: skips, moves back, evidence that fails or never comes,
leases that are taken away, end, or are another's, prompts that drift, plain
INSERTs which are right but for one thing.  Exit status 0 only if none of them
met with an error that is no refusal."""
import os
import random
import signal
import sqlite3
import sys
import time

import conftest
from conftest import LIBRARY, PHASES

AGENTS, TASKS, SECONDS = 8, 70, 300


class Agent(conftest.Database):
    """One of them: a connection of its own, and a mind."""

    def __init__(self, path, seed):
        self.rng = random.Random(seed)
        self.me = f"a{self.rng.randrange(5)}"
        self.sqlite = sqlite3.connect(path, timeout=60, isolation_level=None)
        self.sqlite.enable_load_extension(True)
        self.sqlite.load_extension(LIBRARY)
        self.sqlite.execute("SELECT busy_policy('fair', 60000)").fetchall()
        self.sqlite.execute("PRAGMA synchronous=OFF")

    def run(self, sql, bindings=()):
        return self.sqlite.execute(sql, bindings).fetchall()

    def insert(self, task, phase):
        """The wall: what it says may be so or not."""
        rng = self.rng
        place = PHASES.index(phase)
        to = PHASES[min(place + 1, 8)] if rng.random() < .8 \
            else rng.choice(PHASES)
        kind, leased = rng.choice(["advance"] * 8 + ["backtrack", "start"]), to
        if phase == "MONITOR" and rng.random() < .5:
            kind, to, leased = "complete", "DONE", phase
        if rng.random() < .2:
            kind = rng.choice(["start", "advance", "complete", "drift"])
            to = rng.choice(PHASES + ["DONE"])
            leased = phase if kind == "complete" else to
        if rng.random() < .5:
            self.prove(phase, task)
        token = self.acquire(leased, self.me, task)
        if rng.random() < .3:  # one that does not exist yet
            token = self.run("SELECT max(token) + 1 FROM phase_lease_event"
                             )[0][0]
        self.run(
            "INSERT INTO phase_ledger(task_id, kind, from_phase, to_phase,"
            " agent, token, attestation, evidence, why) SELECT ?1, ?2, ?3, ?4,"
            " ?5, ?6,"
            " (SELECT entry_hash FROM process_baseline WHERE task_id = ?1 AND"
            " phase = ?3), (SELECT evidence FROM process_proof WHERE task_id ="
            " ?1 ORDER BY visit DESC LIMIT 1), 'w'",
            (task, kind, phase if rng.random() < .95 else None, to, self.me,
             token))

    def disturb_leases(self, task, phase):
        resource = f"{task}/{phase}"
        rows = self.run("SELECT token, holder FROM phase_lease_held WHERE"
                        " resource = ?", (resource,))
        if not rows:
            self.acquire(self.rng.choice(PHASES), self.me, task)
            return
        token, holder = rows[0]
        what = self.rng.random()
        if what < .4:
            self.run("UPDATE phase_lease SET ttl_ms = 1 WHERE resource = ? AND"
                     " token = ?", (resource, token))
        elif what < .7:
            self.run("SELECT lease_steal('phase_lease', ?, ?, ?, 'mine')",
                     (resource, token, self.me))
        else:
            self.run("SELECT lease_release('phase_lease', ?, ?)",
                     (resource, token))

    def fail(self, phase, task):
        """Evidence that does not do."""
        if phase in ("IMPLEMENT", "VERIFY"):
            self.show(phase, "test_run", task, name="unit", exit_code=1)
        else:
            self.show(phase, "phase_artifact", task, name="x", content="short")

    def on(self, task, phase):
        if phase == "MONITOR":
            self.complete(self.me, task)
        else:
            self.advance(PHASES[PHASES.index(phase) + 1], self.me, task)

    def step(self, task, phase):
        rng, what = self.rng, self.rng.random()
        if what < .04:
            self.advance(rng.choice(PHASES), self.me, task)
        elif what < .08:
            self.back(rng.choice(PHASES), self.me, task)
        elif what < .14:
            self.attest(taskId=task, phase=phase,
                        contextSummary="b" if what < .10 else "a")
        elif what < .26:
            self.insert(task, phase)
        elif what < .34:
            self.disturb_leases(task, phase)
        elif what < .38:
            self.fail(phase, task)
        else:
            if rng.random() < .9:
                self.prove(phase, task)
            holder = self.held(phase, task)
            if holder and rng.random() < .4:  # what keeps the others out
                self.run("SELECT lease_release_all('phase_lease', ?)",
                         (holder,))
            self.on(task, phase)

    def live(self):
        while True:
            task = f"T{self.rng.randrange(TASKS)}"
            rows = self.run("SELECT phase FROM process_task WHERE task_id = ?",
                            (task,))
            try:
                if not rows:
                    self.start(task, self.me)
                elif rows[0][0] != "DONE":
                    self.step(task, rows[0][0])
            except sqlite3.IntegrityError:
                pass


def born(path, seed):
    pid = os.fork()
    if pid:
        return pid
    try:
        Agent(path, seed).live()
    except sqlite3.Error as error:
        print(f"agent: {error}", file=sys.stderr)
    os._exit(1)


def moves_of(path):
    db = sqlite3.connect(path, timeout=60)
    moves, = db.execute("SELECT coalesce(max(seq), 0) FROM phase_ledger_entry"
                        ).fetchone()
    db.close()  # before anybody is born
    return moves


def main(path, seed, kills, moves):
    """Each one that dies has let the others make its share of the moves."""
    rng, crowd, statuses, killed = random.Random(seed), [], [], 0
    end = time.time() + SECONDS

    def kill(victim):
        os.kill(victim, signal.SIGKILL)
        statuses.append(os.waitpid(victim, 0)[1])

    while killed < kills or moves_of(path) < moves:
        while len(crowd) < AGENTS:
            crowd.append(born(path, rng.randrange(10**9)))
        time.sleep(.005 + rng.random() * .02)
        if killed < kills and moves_of(path) >= moves * killed // kills:
            kill(crowd.pop(rng.randrange(AGENTS)))
            killed += 1
        if time.time() > end:
            print("crowd: it takes too long", file=sys.stderr)
            break
    for victim in crowd:
        kill(victim)
    print(killed)
    return any(status != signal.SIGKILL for status in statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:5])))
