"""What the tests of the area `process` share: a database in which it is
installed, in several settings, and the ways of an agent."""
import importlib.util
import json
import pathlib
import shutil

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

spec = importlib.util.spec_from_file_location(
    "ledger_conftest", ROOT / "tests" / "ledger" / "conftest.py")
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
LIBRARY = shared.LIBRARY

PHASES = ["STRATEGIZE", "SPEC", "PLAN", "THINK", "IMPLEMENT", "VERIFY",
          "REVIEW", "PR", "MONITOR"]
ARTIFACT = {"STRATEGIZE": "strategy.md", "SPEC": "spec.md", "PLAN": "plan.md",
            "THINK": "edge_cases.md", "REVIEW": "review.md",
            "MONITOR": "monitoring.json"}
TEXT = "the problem, its requirements, the steps; all passed. " * 5
SPEC = {"phase": "IMPLEMENT", "taskId": "TEST-001",
        "requirements": ["req1", "req2", "req3"],
        "qualityGates": ["gate1", "gate2"],
        "artifacts": ["artifact1.ts", "artifact2.ts"],
        "contextSummary": "Test context summary", "agentType": "test-agent",
        "modelVersion": "claude-sonnet-4"}


class Database(shared.Database):
    """The doors as methods: verdicts come back as dictionaries."""

    def door(self, call, *bindings):
        return json.loads(self.value("SELECT " + call, bindings))

    def start(self, task="T", agent="a"):
        return self.door("phase_start(?, ?)", task, agent)

    def advance(self, to, agent="a", task="T", token=None):
        return self.door("phase_advance(?, ?, ?, ?)", task, to, agent, token)

    def back(self, to, agent="a", task="T", why="again"):
        return self.door("phase_backtrack(?, ?, ?, ?)", task, to, agent, why)

    def complete(self, agent="a", task="T"):
        return self.door("phase_complete(?, ?)", task, agent)

    def force(self, to, actor="op", task="T", why="stuck"):
        return self.door("phase_force(?, ?, ?, ?)", task, to, actor, why)

    def attest(self, **fields):
        text = json.dumps({**SPEC, **fields}, ensure_ascii=False)
        return self.door("prompt_attest(?)", text)

    def show(self, phase, kind, task="T", **columns):
        names = ["task_id", "phase", "kind", *columns]
        marks = ", ".join("?" * len(names))
        self.run(f"INSERT INTO process_evidence({', '.join(names)})"
                 f" VALUES ({marks})", (task, phase, kind, *columns.values()))

    def prove(self, phase, task="T"):
        """Everything that the phase must show."""
        if phase in ARTIFACT:
            self.show(phase, "phase_artifact", task, name=ARTIFACT[phase],
                      content=TEXT)
        if phase in ("IMPLEMENT", "VERIFY"):
            self.show(phase, "test_run", task, name="unit", exit_code=0)
            self.show(phase, "build_output", task, name="make", exit_code=0)
            self.show(phase, "coverage", task, value=85)
        if phase in ("IMPLEMENT", "VERIFY", "PR"):
            self.show(phase, "git_diff", task, value=3)
        if phase == "MONITOR":
            self.show(phase, "telemetry", task, value=0.01)

    def reach(self, phase, task="T", agent="a"):
        """A task in this phase, by all the ones before."""
        assert self.start(task, agent)["allowed"]
        for before, to in zip(PHASES, PHASES[1:PHASES.index(phase) + 1]):
            self.prove(before, task)
            verdict = self.advance(to, agent, task)
            assert verdict["allowed"], verdict

    def phase(self, task="T"):
        return self.run("SELECT phase, status FROM process_task"
                        " WHERE task_id = ?", (task,))

    def counter(self, name):
        return self.value("SELECT value FROM process_counter WHERE name = ?",
                          (name,))

    def decisions(self, columns="decision, reason, severity"):
        return self.run(f"SELECT {columns} FROM process_decision ORDER BY id")

    def set(self, key, value):
        self.run("INSERT INTO settings(key, value) VALUES (?, ?)"
                 " ON CONFLICT(key) DO UPDATE SET value = excluded.value",
                 (key, value))

    def held(self, phase, task="T"):
        rows = self.run("SELECT holder FROM phase_lease WHERE resource = ?",
                        (f"{task}/{phase}",))
        return rows[0][0] if rows else None

    def acquire(self, phase, agent, task="T", ttl=None):
        return self.value("SELECT lease_acquire('phase_lease', ?, ?, ?)",
                          (f"{task}/{phase}", agent, ttl))

    def sound(self):
        """State, ledgers and history agree."""
        assert self.value("SELECT process_rebuild()") == 0
        assert self.run("SELECT * FROM process_illegal") == []
        for ledger in ("phase_ledger", "attestation_ledger"):
            assert self.run("SELECT * FROM ledger_verify(?)", (ledger,)) == []
        assert [row for row in self.run("SELECT * FROM holdfast_check")
                if row[0] not in ("journal_mode", "synchronous")] == []


@pytest.fixture(scope="session", name="template")
def installed_once(tmp_path_factory):
    path = tmp_path_factory.mktemp("process") / "template.db"
    connection = apsw.Connection(str(path))
    shared.load_apsw(connection)
    connection.cursor().execute("SELECT holdfast_install('process')").fetchall()
    connection.close()
    return path


SETTINGS = {
    "wal": {},
    "delete": {"journal": "delete", "recursive": 1},
    "untrusted": {"trusted": 0, "defensive": 1},
}
once = pytest.mark.parametrize("db", ["wal"], indirect=True)
twice = pytest.mark.parametrize("db", ["wal", "untrusted"], indirect=True)


@pytest.fixture(params=SETTINGS, ids=list(SETTINGS))
def db(request, tmp_path, template):
    path = tmp_path / "test.db"
    shutil.copy(template, path)
    database = Database(path, **SETTINGS[request.param])
    database.connection.cursor().execute("PRAGMA synchronous=OFF")
    yield database
    database.close()
