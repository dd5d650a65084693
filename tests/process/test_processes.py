"""Agents in processes of their own that do the same thing at once."""
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import time

from conftest import LIBRARY, Database

HEAD = f"""
import json, sqlite3, sys, time
sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r})
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
db.enable_load_extension(True)
db.load_extension({LIBRARY!r})
db.execute("PRAGMA synchronous=OFF")
def value(sql, *bindings):
    return db.execute("SELECT " + sql, bindings).fetchone()[0]
"""


def start(program, *arguments):
    return subprocess.Popen([sys.executable, "-c", program, *arguments],
                            stdin=subprocess.DEVNULL)


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
