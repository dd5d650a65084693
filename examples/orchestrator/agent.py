#!/usr/bin/python3
"""agent.py DATABASE NAME VICE: one agent that carries tasks through the phases.

It starts tasks that nobody has started, goes on with its own, and takes over
what nobody holds any more. Nothing here keeps it honest: its vice is tried on
every task, and what it gets for that is a verdict or an error. It ends when all
tasks are done."""

import json
import os
import sqlite3
import sys
import time

LIBRARY = os.environ.get("HOLDFAST", "./build/holdfast")
ARTIFACTS = {
    "STRATEGIZE": "strategy.md",
    "SPEC": "spec.md",
    "PLAN": "plan.md",
    "THINK": "edge_cases.md",
    "REVIEW": "review.md",
    "MONITOR": "monitoring.json",
}
DOCUMENT = (
    "The problem and the approach; requirements and interface; the steps and "
    "tasks; what was verified and passed. "
) * 2


def connect(path):
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(LIBRARY)
    db.enable_load_extension(False)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("SELECT busy_policy('fair', 30000)").fetchall()
    return db


class Agent:
    def __init__(self, path, name, vice):
        self.db, self.name, self.vice = connect(path), name, vice
        rows = self.db.execute("SELECT name FROM process_phase ORDER BY ordinal")
        self.phases = [row[0] for row in rows]

    def door(self, call, *bindings):
        row = self.db.execute(f"SELECT {call}", bindings).fetchone()
        return json.loads(row[0])

    # ---- work ----------------------------------------------------------------

    def prove(self, task, phase):
        """The evidence that the phase asks for."""
        rows = []
        if phase in ARTIFACTS:
            rows.append(("phase_artifact", ARTIFACTS[phase], 0, None, DOCUMENT))
        if phase in ("IMPLEMENT", "VERIFY"):
            rows.append(("test_run", "make test", 0, 0, "120 tests, 0 errors"))
            rows.append(("build_output", "make", 0, None, "built, 0 errors"))
            rows.append(("coverage", "gcov", None, 91.5, None))
        if phase in ("IMPLEMENT", "VERIFY", "PR"):
            rows.append(("git_diff", "HEAD~1", None, 3, "+ three files"))
        if phase == "MONITOR":
            rows.append(("telemetry", "errors", None, 0.01, None))
        for row in rows:
            self.db.execute(
                "INSERT INTO process_evidence(task_id, phase, kind, name,"
                " exit_code, value, content, agent)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (task, phase, *row, self.name),
            )

    def attest(self, task, phase, goal="as agreed"):
        prompt = {
            "phase": phase,
            "taskId": task,
            "requirements": [goal],
            "qualityGates": ["tests"],
            "artifacts": [],
            "contextSummary": f"{task} in {phase}",
        }
        return self.door("prompt_attest(?)", json.dumps(prompt))

    def advance(self, task, phase):
        if phase == self.phases[-1]:
            return self.door("phase_complete(?, ?)", task, self.name)
        to = self.phases[self.phases.index(phase) + 1]
        return self.door("phase_advance(?, ?, ?)", task, to, self.name)

    # ---- vices ---------------------------------------------------------------

    def misbehave(self, task, phase):
        """What this one tries before it does its work."""
        last = self.phases[-1]
        if self.vice == "skips":
            self.door("phase_advance(?, ?, ?)", task, last, self.name)
        elif self.vice == "forges":
            for sql in (
                "INSERT INTO phase_ledger(task_id, from_phase, to_phase, agent)"
                f" VALUES (?1, ?2, '{last}', ?3)",
                "UPDATE process_task SET status = 'done'"
                " WHERE task_id = ?1 AND ?2 <> ?3",
                "UPDATE phase_ledger_entry SET to_phase = ?2"
                " WHERE task_id = ?1 AND ?3 <> ''",
            ):
                try:
                    self.db.execute(sql, (task, phase, self.name))
                except sqlite3.IntegrityError as error:
                    print(str(error).replace(f"'{task}'", "…"))
                else:
                    print(f"A FORGERY WENT THROUGH: {sql}")
        elif self.vice == "proves nothing":
            self.advance(task, phase)
        elif self.vice == "takes others'":
            other = self.db.execute(
                "SELECT task_id, phase FROM process_task WHERE status = 'active'"
                " AND agent <> ? ORDER BY random() LIMIT 1",
                (self.name,),
            ).fetchone()
            if other is not None:
                self.advance(*other)
        elif self.vice == "has an old lease":
            self.door("phase_advance(?, ?, ?, 1)", task, last, self.name)

    def drift(self, task, phase):
        """Other instructions than agreed: in VERIFY that is grave, and the
        task goes back. The next time it is as agreed again."""
        drifted = self.vice == "drifts" and phase == "VERIFY"
        before = self.db.execute(
            "SELECT count(*) FROM attestation_ledger"
            " WHERE task_id = ? AND phase = ?",
            (task, phase),
        ).fetchone()[0]
        return drifted and before == 1

    # ---- the loop ------------------------------------------------------------

    def next(self):
        """(task, phase): one of its own, a new one, or one that nobody holds;
        None when all are done."""
        row = self.db.execute(
            "SELECT task_id, phase FROM process_task"
            " WHERE status = 'active' AND agent = ? LIMIT 1",
            (self.name,),
        ).fetchone()
        if row is None:
            row = self.db.execute(
                "SELECT id, NULL FROM task WHERE id NOT IN"
                " (SELECT task_id FROM process_task) ORDER BY random() LIMIT 1"
            ).fetchone()
        if row is None:
            row = self.db.execute(
                "SELECT task_id, phase FROM process_task AS t"
                " WHERE status = 'active' AND NOT EXISTS"
                " (SELECT 1 FROM process_held WHERE resource ="
                " task_id || '/' || phase) ORDER BY random() LIMIT 1"
            ).fetchone()
        return row

    def step(self, task, phase):
        if phase is None:
            self.door("phase_start(?, ?)", task, self.name)
            return
        self.misbehave(task, phase)
        self.attest(task, phase)
        if self.drift(task, phase):
            self.attest(task, phase, goal="whatever is quickest")
            return
        self.prove(task, phase)
        self.advance(task, phase)

    def run(self):
        while True:
            left = self.db.execute(
                "SELECT count(*) FROM task WHERE id NOT IN (SELECT task_id"
                " FROM process_task WHERE status <> 'active')"
            ).fetchone()[0]
            if left == 0:
                return
            found = self.next()
            if found is not None:
                try:
                    self.step(*found)
                except sqlite3.IntegrityError:
                    pass  # somebody else was quicker: look again
            time.sleep(0.01)


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    Agent(*sys.argv[1:4]).run()
