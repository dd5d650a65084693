"""Scenarios E of the original's evidence collector, ours where we do better."""
import hashlib

import apsw
import pytest

from conftest import once, twice

FOUR = ["No test runs recorded", "Build did not succeed",
        "Coverage 0% below 80% threshold", "No git changes detected"]


def implement(db):
    db.reach("IMPLEMENT")
    return lambda: db.advance("VERIFY")["missing"]


@pytest.mark.parametrize("phase, to", [("IMPLEMENT", "VERIFY"),
                                       ("VERIFY", "REVIEW")])
def test_e1_nothing_is_four_texts(db, phase, to):
    db.reach(phase)
    verdict = db.advance(to)
    assert verdict["missing"] == FOUR
    assert verdict["message"] == f"phase_ledger: task 'T', {phase}: " \
        + "; ".join(FOUR)


def test_e2_complete_without_calls(db):
    db.reach("IMPLEMENT")
    db.prove("IMPLEMENT")
    assert db.advance("VERIFY")["allowed"]


def test_e3_only_mocked_calls(db):
    missing = implement(db)
    db.prove("IMPLEMENT")
    db.show("IMPLEMENT", "mcp_call", name="search", mocked=1)
    assert missing() == ["All MCP calls were mocked - need real integration"]
    db.show("IMPLEMENT", "mcp_call", name="search")
    assert missing() == []


@pytest.mark.parametrize("value, text", [
    (80, None), (79.9, "Coverage 79.9% below 80% threshold"),
    (0, "Coverage 0% below 80% threshold"),
    (None, "Coverage 0% below 80% threshold"), (100, None)])
@once
def test_e4_coverage(db, value, text):
    missing = implement(db)
    db.prove("IMPLEMENT")
    db.show("IMPLEMENT", "coverage", value=value)
    assert missing() == ([text] if text else [])


def test_e5_one_of_two_test_runs_failed(db):
    missing = implement(db)
    db.prove("IMPLEMENT")
    db.show("IMPLEMENT", "test_run", name="integration", exit_code=1,
            content="all 12 tests pass")
    assert missing() == ["1 tests failed"]
    db.show("IMPLEMENT", "test_run", name="end to end", exit_code=0, value=3)
    assert missing() == ["2 tests failed"]


def test_e6_the_latest_counts(db):
    missing = implement(db)
    db.show("IMPLEMENT", "build_output", name="make", exit_code=2)
    db.prove("IMPLEMENT")
    assert missing() == []


@once
def test_e6_also_when_it_is_the_worse_one(db):
    missing = implement(db)
    db.prove("IMPLEMENT")
    db.show("IMPLEMENT", "build_output", name="make", exit_code=2)
    assert missing() == ["Build did not succeed"]


@pytest.mark.parametrize("kind", ["test_run", "build_output"])
@once
def test_e7_the_exit_code_decides_not_the_words(db, kind):
    db.reach("IMPLEMENT")
    db.prove("IMPLEMENT")

    def missing():
        return db.run("SELECT message FROM process_missing WHERE visit ="
                      " (SELECT max(seq) FROM phase_ledger)")

    for content in ("0 errors", "FAIL: none", "error " * 9):
        db.show("IMPLEMENT", kind, name="x", exit_code=0, content=content)
    assert missing() == []
    db.show("IMPLEMENT", kind, name="x", exit_code=None, content="success")
    assert missing() != []


@once
def test_e8_evidence_is_of_the_phase_the_task_is_in(db):
    db.fails("INSERT INTO process_evidence(task_id, phase, kind) VALUES"
             " ('T', 'SPEC', 'git_diff')",
             "process_evidence: task 'T' not in work cycle; phase_start()")
    db.start()
    for phase in ("SPEC", "nowhere", "DONE"):
        db.fails("INSERT INTO process_evidence(task_id, phase, kind) VALUES"
                 " ('T', ?, 'git_diff')",
                 f"process_evidence: task 'T' is in STRATEGIZE, not {phase}",
                 (phase,))
    db.force("DONE")
    db.fails("INSERT INTO process_evidence(task_id, phase, kind) VALUES"
             " ('T', 'DONE', 'git_diff')",
             "process_evidence: task 'T' has ended")


def test_e8_a_new_stay_begins_with_nothing(db):
    db.reach("SPEC")
    db.prove("SPEC")
    db.back("STRATEGIZE")
    assert db.advance("SPEC")["reason"] == "missing_evidence"
    db.prove("STRATEGIZE")
    assert db.advance("SPEC")["allowed"]
    assert db.advance("PLAN")["reason"] == "missing_evidence"


@pytest.mark.parametrize("phase, name, content, why", [
    ("STRATEGIZE", "strategy.md", "a problem".ljust(99),
     "Artifact too small: 99 bytes (min: 100)"),
    ("STRATEGIZE", "strategy.md", "a problem".ljust(100), None),
    ("STRATEGIZE", "strategy.md", "x" * 100,
     "Artifact missing required content: one of [approach, problem]"),
    ("STRATEGIZE", "Strategy-2.txt", "The Problem ".ljust(100), None),
    ("STRATEGIZE", "strategy.md", None, "Artifact not found: strategy.md"),
    ("STRATEGIZE", "note.md", "x" * 9,
     "Artifact too small: 9 bytes (min: 10)"),
    ("STRATEGIZE", "note.md", "x" * 10, None),
    ("STRATEGIZE", "note.md", b"\xff" * 10, None),
])
@once
def test_e9_artifacts(db, phase, name, content, why):
    db.start()
    db.prove(phase)
    db.show(phase, "phase_artifact", name=name, content=content)
    missing = db.advance("SPEC")["missing"]
    assert missing == ([f"Semantic validation failed: {name}: {why}"]
                       if why else [])


@once
def test_e9_a_pattern_letter_by_letter(db):
    missing = implement(db)
    db.prove("IMPLEMENT")
    db.show("IMPLEMENT", "phase_artifact", name="src/a.ts",
            content="EXPORT ".ljust(60))
    assert missing() == ["Semantic validation failed: src/a.ts: Artifact"
                         " missing required pattern:"
                         " class|export|function|import"]
    db.show("IMPLEMENT", "phase_artifact", name="src/a.ts",
            content="export ".ljust(60))
    assert missing() == []


@once
def test_e9_a_placeholder(db):
    db.run("UPDATE process_requirement SET minimum = 4 WHERE name ="
           " 'strategy'; DELETE FROM process_word WHERE use = 'any'")
    db.start()
    db.show("STRATEGIZE", "phase_artifact", name="strategy.md",
            content=" TODO\n")
    assert db.advance("SPEC")["missing"] == [
        'Semantic validation failed: strategy.md: Artifact is placeholder:'
        ' "TODO"']


def test_e10_requirements_are_rows_that_a_user_edits(db):
    db.run("DELETE FROM process_requirement WHERE phase = 'STRATEGIZE';"
           " INSERT INTO process_kind VALUES ('review', 'value: score');"
           " INSERT INTO process_requirement(phase, kind, rule, minimum,"
           " absent, failing) VALUES ('STRATEGIZE', 'review', 'at_least', 7,"
           " 'nobody has reviewed it', 'reviewed with {value} of {minimum}')")
    db.start()
    assert db.advance("SPEC")["missing"] == ["nobody has reviewed it"]
    db.show("STRATEGIZE", "review", value=6.5)
    assert db.advance("SPEC")["missing"] == ["reviewed with 6.5 of 7"]
    db.show("STRATEGIZE", "review", value=7)
    assert db.advance("SPEC")["allowed"]


@once
def test_e10_telemetry_of_the_last_phase(db):
    db.reach("MONITOR")
    db.prove("MONITOR")
    db.show("MONITOR", "telemetry", value=0.06)
    verdict = db.complete()
    assert verdict["reason"] == "final_verification_failed"
    assert verdict["missing"] == ["Quality gate failed: System stability"]
    db.show("MONITOR", "telemetry", value=0.05)
    assert db.complete()["allowed"]


@once
def test_e11_500_artifacts_that_are_missing(db):
    db.start()
    for i in range(500):
        db.show("STRATEGIZE", "phase_artifact", name=f"{i:03}.md")
    missing = db.advance("SPEC")["missing"]
    assert len(missing) == 501
    assert missing[0] == "Semantic validation failed: 000.md: Artifact not" \
        " found: 000.md"
    assert db.back("SPEC")["allowed"] is False
    db.force("SPEC")
    assert db.value("SELECT count(*) FROM process_evidence") == 0


def sizes(db):
    """Rows, but of what is a record: ledger, decisions, history of leases."""
    return {name: db.value(f"SELECT count(*) FROM {name}") for name in (
        "process_task", "process_evidence", "process_baseline",
        "process_counter", "phase_lease_held", "attestation_ledger_entry")}


@once
def test_e11_a_thousand_refusals_leave_a_thousand_decisions(db):
    """And nothing else; memory stays flat."""
    db.run("PRAGMA cache_size = 20")
    db.start()
    db.show("STRATEGIZE", "phase_artifact", name="x", content="x")

    def fail(times):
        for i in range(times):
            assert not db.advance("SPEC" if i % 2 else "PLAN")["allowed"]

    fail(50)
    rows, memory = sizes(db), apsw.memoryused()
    fail(1000)
    assert apsw.memoryused() < memory + 20000
    assert sizes(db) == rows
    assert db.value("SELECT count(*) FROM process_decision WHERE decision ="
                    " 'block'") == 1050
    assert db.value("SELECT count(*) FROM phase_ledger") == 1


@once
def test_e11_a_thousand_tasks_that_fail_and_are_aborted(db):
    """Neither evidence nor leases stay; memory is flat."""
    db.run("PRAGMA cache_size = 20")

    def fail(first, last):
        for i in range(first, last):
            task = f"T{i}"
            db.start(task)
            db.show("STRATEGIZE", "phase_artifact", task, name="x", content="x")
            assert not db.advance("SPEC", task=task)["allowed"]
            assert db.force("DONE", task=task, why="aborted")["allowed"]

    fail(0, 50)
    memory = apsw.memoryused()
    fail(50, 1050)
    assert apsw.memoryused() < memory + 20000
    assert sizes(db) == {
        "process_task": 1050, "process_evidence": 0, "process_baseline": 0,
        "process_counter": 8, "phase_lease_held": 0,
        "attestation_ledger_entry": 0}
    assert db.run("SELECT DISTINCT status FROM process_task") == [("closed",)]
    assert db.value("SELECT count(*) FROM phase_ledger") == 2100


# ---- what is stored ---------------------------------------------------------


@pytest.mark.parametrize("content", ["x", "", b"", b"\0\xff" * 5, "é😀\0z",
                                     "y" * 3000000, None])
@once
def test_the_digest_is_of_all_that_was_given(db, content):
    db.start()
    db.show("STRATEGIZE", "atlas_hash", content=content)
    data = content.encode() if isinstance(content, str) else content
    sha = None if data is None else hashlib.sha256(data).digest()
    size = None if data is None else len(data)
    assert db.run("SELECT sha256, size, visit FROM process_evidence") == [
        (sha, size, 1)]
    db.run("INSERT INTO process_evidence(task_id, phase, kind, content, sha256)"
           " VALUES ('T', 'STRATEGIZE', 'atlas_hash', ?, ?)", (content, sha))


@pytest.mark.parametrize("columns", [
    "sha256 = x'00'", "visit = 1", "size = 1"])
@once
def test_what_fills_itself_in_is_not_given(db, columns):
    db.start()
    name, value = columns.split(" = ")
    db.fails("INSERT INTO process_evidence(task_id, phase, kind, content,"
             f" {name}) VALUES ('T', 'STRATEGIZE', 'atlas_hash', 'x', {value})",
             "fill themselves in; leave them out")


@pytest.mark.parametrize("sql, words", [
    ("UPDATE process_evidence SET exit_code = 0", "append-only"),
    ("UPDATE OR REPLACE process_evidence SET id = 2 WHERE id = 1",
     "append-only"),
    ("REPLACE INTO process_evidence(id, task_id, phase, kind) VALUES (1, 'T',"
     " 'STRATEGIZE', 'git_diff')", "append-only"),
    ("INSERT OR REPLACE INTO process_evidence(id, task_id, phase, kind) VALUES"
     " (2, 'T', 'STRATEGIZE', 'git_diff')", "append-only"),
    ("DELETE FROM process_evidence", "stays while the task is in that phase"),
    ("INSERT INTO process_evidence(task_id, phase, kind) VALUES ('T',"
     " 'STRATEGIZE', 'hearsay')", "there is no kind hearsay; there are"),
    ("INSERT INTO process_evidence(task_id, phase, kind, content) VALUES ('T',"
     " 'STRATEGIZE', 'git_diff', 5)", "CHECK constraint failed"),
    ("INSERT INTO process_evidence(task_id, phase, kind, mocked) VALUES ('T',"
     " 'STRATEGIZE', 'git_diff', 2)", "CHECK constraint failed"),
    ("INSERT INTO process_evidence(task_id, phase, kind, exit_code) VALUES"
     " ('T', 'STRATEGIZE', 'git_diff', 'zero')", "cannot store TEXT"),
    ("INSERT INTO process_evidence(task_id, phase, kind) VALUES (NULL,"
     " 'STRATEGIZE', 'git_diff')", "task 'NULL' not in work cycle"),
])
@twice
def test_evidence_is_not_changed(db, sql, words):
    db.start()
    db.show("STRATEGIZE", "test_run", exit_code=1)
    db.show("STRATEGIZE", "test_run", exit_code=1)
    db.fails(sql, words)


@once
def test_what_has_been_used_may_be_cleaned_away(db):
    db.reach("PLAN")
    db.show("PLAN", "git_diff", value=1)
    db.run("DELETE FROM process_evidence WHERE phase <> 'PLAN'")
    assert db.run("SELECT phase FROM process_evidence") == [("PLAN",)]
    db.sound()


@once
def test_evidence_needs_the_extension(db):
    db.start()
    plain = apsw.Connection(db.path)
    with pytest.raises(apsw.SQLError, match="no such function"):
        plain.cursor().execute("INSERT INTO process_evidence(task_id, phase,"
                               " kind) VALUES ('T', 'STRATEGIZE', 'git_diff')")
    plain.close()
