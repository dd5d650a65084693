"""Many agents in processes of their own, which do whatever comes to their
minds, and are killed at any moment."""
import json
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import time

from conftest import LIBRARY, PHASES, Database

HEAD = f"""
import json, random, sqlite3, sys, time
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
db.enable_load_extension(True)
db.load_extension({LIBRARY!r})
db.execute("PRAGMA synchronous=OFF")
def value(sql, *bindings):
    return db.execute("SELECT " + sql, bindings).fetchone()[0]
"""

# Every third move is nonsense.  Evidence comes late, or for another phase.
AGENT = HEAD + f"""
PHASES = {PHASES!r}
import conftest
class Agent(conftest.Database):
    def __init__(self): pass
    def run(self, sql, bindings=()): return db.execute(sql, bindings).fetchall()
agent, me, rng = Agent(), sys.argv[2], random.Random(int(sys.argv[2]))
end = time.time() + float(sys.argv[3])
while time.time() < end:
    task = "T%d" % rng.randrange(80)
    try:
        row = agent.run("SELECT phase FROM process_task WHERE task_id = ?",
                        (task,))
        if not row:
            agent.start(task, me)
            continue
        phase = row[0][0]
        if phase == "DONE":
            continue
        what = rng.random()
        if what < 0.05:
            agent.run("SELECT lease_release_all('phase_lease', ?)", (me,))
        elif what < 0.1:
            agent.advance(rng.choice(PHASES), me, task)
        elif what < 0.14:
            agent.back(rng.choice(PHASES), me, task)
        elif what < 0.18:
            agent.attest(taskId=task, phase=phase,
                         contextSummary=rng.choice("ab" if what < .15 else "a"))
        elif what < 0.2:
            agent.run("INSERT INTO phase_ledger(task_id, from_phase, to_phase,"
                      " agent, token) VALUES (?, ?, ?, ?, 7)",
                      (task, phase, rng.choice(PHASES), me))
        else:
            if rng.random() < 0.9:
                agent.prove(phase, task)
            if rng.random() < 0.3:
                agent.run("SELECT lease_release_all('phase_lease', holder)"
                          " FROM process_held WHERE resource = ?",
                          (task + "/" + phase,))
            if phase == "MONITOR":
                agent.complete(me, task)
            else:
                agent.advance(PHASES[PHASES.index(phase) + 1], me, task)
    except sqlite3.IntegrityError:
        pass
"""

# Of completed tasks: which phases are missing, and which moves are illegal.
MISSING = """
SELECT t.task_id, p.name FROM process_task AS t CROSS JOIN process_phase AS p
 WHERE t.status = 'done'
   AND NOT EXISTS (SELECT 1 FROM phase_ledger_entry AS e
                    WHERE e.task_id = t.task_id AND e.to_phase = p.name)"""

# Each token was granted for that phase to that agent, as the leases tell.
UNGRANTED = """
SELECT seq FROM phase_ledger_entry AS e
 WHERE kind IN ('start', 'advance', 'backtrack')
   AND NOT EXISTS (SELECT 1 FROM phase_lease_event AS l
                    WHERE l.kind = 'acquired' AND l.token = e.token
                      AND l.holder = e.agent
                      AND l.resource = e.task_id || '/' || e.to_phase)"""

# The evidence in each entry forward is of that stay, and was there.
UNPROVEN = """
SELECT seq FROM phase_ledger_entry AS e
 WHERE kind IN ('advance', 'complete')
   AND from_phase <> 'THINK' AND evidence IS NULL"""


def start(program, *arguments):
    return subprocess.Popen([sys.executable, "-c", program, *arguments],
                            stdin=subprocess.DEVNULL)


def test_eight_agents_at_random_and_killed(tmp_path, template):
    """Property P17: every completed task has been in all phases, in legal
    order, with tokens that grow, whatever anybody did or died of."""
    path = str(tmp_path / "test.db")
    shutil.copy(template, path)
    sqlite3.connect(path).execute("PRAGMA journal_mode=WAL").close()
    rng, kills, crowd = random.Random(5), 0, []
    end = time.time() + 6
    try:
        while time.time() < end:
            crowd = [agent for agent in crowd if agent.poll() is None]
            while len(crowd) < 8:
                crowd.append(start(AGENT, path, str(rng.randrange(10**6)),
                                   str(max(0.1, end - time.time()))))
            time.sleep(rng.random() * 0.3)
            if rng.random() < 0.5:
                crowd.pop(rng.randrange(len(crowd))).kill()
                kills += 1
    finally:
        for agent in crowd:
            agent.kill()
            agent.wait()
    assert kills > 3
    db = Database(path)
    moves = db.value("SELECT count(*) FROM phase_ledger")
    done = db.value("SELECT count(*) FROM process_task WHERE status = 'done'")
    print(f"{moves} moves, {done} tasks completed, {kills} kills")
    assert moves > 30
    for query in (MISSING, UNGRANTED, UNPROVEN):
        assert db.run(query) == []
    assert db.run("SELECT count(*) FROM process_decision WHERE decision ="
                  " 'allow' AND seq NOT IN (SELECT seq FROM phase_ledger)") \
        == [(0,)]
    assert db.run("PRAGMA integrity_check") == [("ok",)]
    db.sound()
    db.close()


ATTEST = HEAD + """
spec = {"phase": "P", "taskId": "T" + sys.argv[2], "requirements": [],
        "qualityGates": [], "artifacts": [], "contextSummary": ""}
time.sleep(max(0, float(sys.argv[3]) - time.time()))
for phase in "PQRS":
    value("prompt_attest(?)", json.dumps({**spec, "phase": phase}))
    value("prompt_attest(?)", json.dumps({**spec, "phase": phase,
                                          "taskId": "all"}))
"""


def test_a21_twenty_first_attestations_at_once(tmp_path, template):
    path = str(tmp_path / "test.db")
    shutil.copy(template, path)
    sqlite3.connect(path).execute("PRAGMA journal_mode=WAL").close()
    at = time.time() + 1.5
    crowd = [start(ATTEST, path, str(i), str(at)) for i in range(20)]
    assert [process.wait() for process in crowd] == 20 * [0]
    db = Database(path)
    assert db.value("SELECT count(*) FROM process_baseline") == 84
    assert db.value("SELECT count(*) FROM attestation_ledger") == 160
    assert db.value("SELECT count(*) FROM attestation_ledger WHERE kind ="
                    " 'first'") == 84
    db.sound()
    db.close()


RACE = HEAD + """
time.sleep(max(0, float(sys.argv[3]) - time.time()))
print(value("phase_advance('T', 'SPEC', ?)", sys.argv[2]))
"""


def test_s12_ten_agents_advance_one_task_at_once(tmp_path, template):
    path = str(tmp_path / "test.db")
    shutil.copy(template, path)
    db = Database(path)
    db.start(agent="boss")
    db.run("SELECT lease_release_all('phase_lease', 'boss')")
    db.prove("STRATEGIZE")
    at = time.time() + 1
    crowd = [subprocess.Popen([sys.executable, "-c", RACE, path, f"a{i}",
                               str(at)], stdout=subprocess.PIPE)
             for i in range(10)]
    verdicts = [json.loads(p.communicate()[0]) for p in crowd]
    winners = [v["holder"] for v in verdicts if v["allowed"]]
    assert len(winners) == 1
    assert {v["holder"] for v in verdicts} == set(winners)
    db.sound()
    db.close()
