"""Every entry there could be, of every kind, from and to everywhere, with every
token: what the wall lets pass is what the rules say, and nothing else."""
import itertools

import apsw
import pytest

from conftest import PHASES, once

KINDS = ["start", "advance", "backtrack", "complete", "force", "drift"]
PLACES = PHASES + ["DONE", "NOWHERE", None]
INSERT = """
INSERT INTO phase_ledger(task_id, kind, from_phase, to_phase, agent, token,
                         attestation, evidence, why)
SELECT 'T', ?1, ?2, ?3, 'a', ?4,
       (SELECT entry_hash FROM process_baseline
         WHERE task_id = 'T' AND phase = ?2),
       (SELECT evidence FROM process_proof WHERE task_id = 'T'
         ORDER BY visit DESC LIMIT 1), 'w'"""


def legal(phase, kind, before, to):
    """Whether the rules let a task that is in this phase move so."""
    if before != phase or phase == "DONE":
        return False
    if kind == "force":
        return to in PHASES + ["DONE"]
    if phase is None:
        return (kind, to) == ("start", "STRATEGIZE")
    place = PHASES.index(phase)
    if kind == "advance":
        return to in PHASES and PHASES.index(to) == place + 1
    if kind == "backtrack":
        return to in PHASES and PHASES.index(to) < place
    return (kind, phase, to) == ("complete", "MONITOR", "DONE")


def ready(db, phase):
    """The task is there, everything is shown, and the agent has got the lease
    of every phase; the tokens of these leases."""
    if phase == "DONE":
        db.reach("MONITOR")
        db.prove("MONITOR")
        assert db.complete()["allowed"]
    elif phase is not None:
        db.reach(phase)
        db.prove(phase)
    db.run("SELECT lease_release_all('phase_lease', 'a')")
    return {name: db.acquire(name, "a") for name in PHASES}


@pytest.mark.parametrize("phase", [None, "STRATEGIZE", "PLAN", "VERIFY",
                                   "MONITOR", "DONE"])
@once
def test_only_what_the_rules_say_passes(db, phase):
    tokens = ready(db, phase)
    tokens.update(DONE=max(tokens.values()), NOWHERE=max(tokens.values()))
    passed, wanted = set(), set()
    for move in itertools.product(KINDS, PLACES, PLACES[:-1]):
        kind, before, to = move
        leased = before if kind == "complete" else to
        held = tokens.get(leased, 0)
        for token in (held, held + 1, 1, None):
            if legal(phase, *move) and (token == held or kind == "force"):
                wanted.add((*move, token))
            db.run("SAVEPOINT s")
            try:
                db.run(INSERT, (*move, token))
                passed.add((*move, token))
            except apsw.ConstraintError:
                pass
            db.run("ROLLBACK TO s; RELEASE s")
    assert passed == wanted
    assert len(wanted) > 0 or phase == "DONE"


@once
def test_nothing_forward_without_the_proof(db):
    """The same with nothing shown: back or by force alone."""
    db.reach("PLAN")
    db.run("SELECT lease_release_all('phase_lease', 'a')")
    tokens = {name: db.acquire(name, "a") for name in PHASES}
    passed = set()
    for kind, to in itertools.product(KINDS, PHASES):
        db.run("SAVEPOINT s")
        try:
            db.run(INSERT, (kind, "PLAN", to, tokens[to]))
            passed.add((kind, to))
        except apsw.ConstraintError:
            pass
        db.run("ROLLBACK TO s; RELEASE s")
    assert passed == {("backtrack", "STRATEGIZE"), ("backtrack", "SPEC"),
                      *(("force", name) for name in PHASES)}
