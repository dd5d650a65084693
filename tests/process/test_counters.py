"""Scenarios M of the original's metrics, as far as they are of this area: what
is counted, by what, and that rates can be told from it.  A row of
process_decision is what a counter's line was there; the alerts themselves, with
their windows and their deduplication, are of whoever reads them (M3, M5)."""
import pytest

from conftest import once

# Of the decisions about moves since ?1, the part that has this counter.
RATE = """
SELECT avg(coalesce(r.counter = ?2, 0)) FROM process_decision AS d
  LEFT JOIN process_reason AS r USING (reason)
 WHERE d.at >= ?1"""
PER_MINUTE = """
SELECT count(*) FROM process_decision AS d JOIN process_reason AS r
 USING (reason) WHERE r.counter = ?2 AND d.at > ?1 - 60000 AND d.at <= ?1"""


def test_m1_a_refusal_is_a_row_and_a_count(db):
    """When, which, how often, and about what: counter, value, metadata."""
    db.start()
    before = db.value("SELECT max(at) FROM phase_ledger")
    db.advance("PLAN", agent="b")
    db.advance("PLAN")
    rows = db.run("SELECT at >= ?, decision, task_id, kind, from_phase,"
                  " to_phase, agent, reason, severity, enforcement, seq, detail"
                  " FROM process_decision WHERE decision = 'block'", (before,))
    assert rows[1] == (1, "block", "T", "advance", "STRATEGIZE", "PLAN", "a",
                       "sequence_mismatch", "critical", "enforce", None,
                       rows[1][-1])
    assert "PLAN is not the next phase" in rows[1][-1]
    assert len(rows) == 2
    assert db.counter("tasks_rejected_for_process_violation") == 2


COUNTED = {
    "phase_skips_attempted": lambda db: db.advance("PLAN"),
    "evidence_gate_failed": lambda db: db.advance("SPEC"),
    "phase_lease_contention": lambda db: db.advance("SPEC", agent="b"),
    "phase_validations_failed": lambda db: (
        db.force("VERIFY", actor="a"), db.attest(taskId="T", phase="VERIFY"),
        db.attest(taskId="T", phase="VERIFY", artifacts=[])),
    "prompt_drift_detected": lambda db: (db.attest(),
                                         db.attest(artifacts=[])),
    "prompt_drift_high": lambda db: (
        db.attest(phase="VERIFY"), db.attest(phase="VERIFY", artifacts=[])),
    "phase_backtracks": lambda db: (db.force("PLAN", actor="a"),
                                    db.back("SPEC")),
}


@pytest.mark.parametrize("name", COUNTED)
@once
def test_m1_each_counter_counts(db, name):
    db.start()
    assert db.counter(name) == 0
    COUNTED[name](db)
    assert db.counter(name) == 1


@pytest.mark.parametrize("setting", [("PHASE_ENFORCEMENT", "off"),
                                     ("DISABLE_PHASE_ENFORCEMENT", "1")])
@once
def test_m2_nothing_is_counted_while_it_is_off(db, setting):
    db.start()
    db.set(*setting)
    before = db.run("SELECT * FROM process_counter ORDER BY name")
    for to in ("PLAN", "IMPLEMENT"):
        assert db.advance(to, agent="b")["allowed"]
    assert db.run("SELECT * FROM process_counter ORDER BY name") == before


@once
def test_m4_a_rate_in_per_cent_is_of_transitions(db):
    """One of twenty decisions, not one of so many seconds."""
    for i in range(19):
        db.start(f"T{i}")
    assert db.value(RATE, (0, "evidence_gate_failed")) == 0
    db.advance("SPEC", task="T0")
    assert db.value(RATE, (0, "evidence_gate_failed")) == 0.05
    # And per minute where it says so: at most of the last one.
    at = db.value("SELECT max(at) FROM process_decision")
    query = PER_MINUTE.replace("?2", "'evidence_gate_failed'")
    assert db.value(query, (at,)) == 1
    assert db.value(query, (at + 59999,)) == 1
    assert db.value(query, (at + 60000,)) == 0


@once
def test_m6_how_long_a_phase_took_is_in_the_history(db):
    db.reach("PLAN")
    rows = db.run("SELECT duration_ms FROM process_history ORDER BY seq")
    assert rows[0] == (None,) and all(row[0] >= 0 for row in rows[1:])
