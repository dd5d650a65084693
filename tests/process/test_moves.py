"""Scenarios P of the original's enforcer and L of its ledger, ours where we do
better: start, advance, backtrack, complete, force; what is refused and why."""
import shutil

import pytest

from conftest import PHASES, TEXT, Database, once, twice


def test_p1_a_users_table_is_held_to_the_cycle(db):
    """in_progress and done need a task in the cycle; other statuses pass."""
    db.run("""CREATE TABLE task(id TEXT PRIMARY KEY, status TEXT);
      CREATE TRIGGER task_in_cycle BEFORE INSERT ON task
      WHEN NEW.status IN ('in_progress', 'done')
           AND NOT EXISTS (SELECT 1 FROM process_task WHERE task_id = NEW.id)
      BEGIN
        SELECT RAISE(ABORT,
          'Must start with STRATEGIZE phase; Cannot skip initial phases');
      END""")
    for status in ("in_progress", "done"):
        db.fails("INSERT INTO task VALUES ('T', ?)", "Must start with"
                 " STRATEGIZE phase; Cannot skip initial phases", (status,))
    for status in ("pending", "needs_review", "blocked"):
        db.run("INSERT INTO task VALUES (?, ?)", (status, status))
    db.start()
    db.run("INSERT INTO task VALUES ('T', 'in_progress')")


def test_p2_start_twice_and_by_another(db):
    verdict = db.start()
    assert verdict["allowed"] and verdict["seq"] == 1
    assert (verdict["from"], verdict["to"]) == (None, "STRATEGIZE")
    assert verdict["holder"] == "a" and verdict["missing"] == []
    assert verdict["reason"] is None and verdict["message"] is None
    for agent in ("a", "b"):
        verdict = db.start(agent=agent)
        assert not verdict["allowed"]
        assert verdict["reason"] == "already_in_cycle"
        assert verdict["message"] == ("phase_ledger: task 'T' already in cycle"
                                      " at phase STRATEGIZE")
        assert verdict["holder"] == "a"
    assert db.value("SELECT count(*) FROM phase_ledger") == 1


def test_p2_the_first_lease_is_anothers(db):
    db.acquire("STRATEGIZE", "b", ttl=20000)
    verdict = db.start()
    assert (verdict["reason"], verdict["holder"]) == ("lease_contention", "b")
    assert "Phase lease already held by b (expires in 1" in verdict["message"]
    assert db.counter("phase_lease_contention") == 1
    assert db.value("SELECT count(*) FROM phase_ledger") == 0


def test_p3_the_whole_way_one_entry_a_move(db):
    db.reach("MONITOR")
    db.prove("MONITOR")
    verdict = db.complete()
    assert verdict["allowed"] and verdict["to"] == "DONE"
    rows = db.run("SELECT seq, kind, from_phase, to_phase, token FROM"
                  " phase_ledger ORDER BY seq")
    assert [row[3] for row in rows] == PHASES + ["DONE"]
    assert [row[1] for row in rows] == ["start"] + 8 * ["advance"] \
        + ["complete"]
    tokens = [row[4] for row in rows[:-1]]
    assert tokens == sorted(set(tokens)) and rows[-1][4] >= tokens[-1]
    assert db.phase() == [("DONE", "done")]
    assert db.value("SELECT count(*) FROM phase_lease") == 0
    assert db.decisions("DISTINCT decision") == [("allow",)]
    db.sound()


def test_p12_another_connection_for_each_statement(tmp_path, template):
    path = tmp_path / "reopened.db"
    shutil.copy(template, path)
    db = Database(path, trusted=0, defensive=1, reopen=True, other=True)
    db.reach("VERIFY")
    db.attest(taskId="T", phase="VERIFY")
    assert db.attest(taskId="T", phase="VERIFY", artifacts=[])["blocked"]
    assert db.advance("PR")["reason"] == "prompt_drift_high"
    assert db.back("SPEC")["allowed"]
    db.sound()
    db.close()


def test_p3_a_lease_is_handed_over(db):
    db.reach("SPEC")
    assert db.held("STRATEGIZE") is None and db.held("SPEC") == "a"


@pytest.mark.parametrize("to", ["PLAN", "MONITOR", "STRATEGIZE"])
@twice
def test_p4_a_skip_is_refused_and_counted(db, to):
    db.start()
    verdict = db.advance(to)
    assert verdict["reason"] == "sequence_mismatch"
    assert verdict["message"] == (
        f"phase_ledger: task 'T' is in STRATEGIZE; {to} is not the next phase"
        " (expected SPEC)")
    assert db.counter("phase_skips_attempted") == 1
    assert db.counter("tasks_rejected_for_process_violation") == 1
    assert db.phase() == [("STRATEGIZE", "active")]
    assert db.decisions()[-1] == ("block", "sequence_mismatch", "critical")
    assert db.held("PLAN") is None


def test_p4_a_phase_that_there_is_not(db):
    db.start()
    verdict = db.advance("spec")
    assert verdict["reason"] == "unknown_phase"
    assert "to spec: kind is" in verdict["message"]


def test_p5_backtrack_to_any_earlier_phase(db):
    db.reach("IMPLEMENT")
    verdict = db.back("SPEC", why="the spec is wrong")
    assert verdict["allowed"] and verdict["kind"] == "backtrack"
    assert db.counter("phase_backtracks") == 1
    assert db.held("SPEC") == "a" and db.held("IMPLEMENT") is None
    assert db.run("SELECT kind, why FROM phase_ledger ORDER BY seq DESC"
                  " LIMIT 1") == [("backtrack", "the spec is wrong")]
    for before, to in zip(PHASES[1:], PHASES[2:]):
        db.prove(before)
        assert db.advance(to)["allowed"]
    db.prove("MONITOR")
    assert db.complete()["allowed"]
    db.sound()


@pytest.mark.parametrize("to", ["SPEC", "PLAN", "MONITOR"])
@twice
def test_p5_not_forward(db, to):
    db.reach("SPEC")
    verdict = db.back(to)
    assert verdict["message"] == ("phase_ledger: task 'T' is in SPEC; Cannot"
                                  f" backtrack forward from SPEC to {to}")


def test_p6_a_failing_phase_can_be_left_backwards(db):
    db.reach("IMPLEMENT")
    db.show("IMPLEMENT", "test_run", exit_code=1)
    assert db.back("PLAN")["allowed"]
    assert db.value("SELECT count(*) FROM process_evidence WHERE phase ="
                    " 'IMPLEMENT'") == 0


def test_p7_missing_evidence_and_another_try(db):
    db.start()
    verdict = db.advance("SPEC")
    assert verdict["reason"] == "missing_evidence"
    assert verdict["missing"] == ["Semantic validation failed: strategy.md:"
                                  " Artifact not found: strategy.md"]
    assert db.counter("evidence_gate_failed") == 1
    assert db.decisions()[-1] == ("block", "missing_evidence", "medium")
    db.prove("STRATEGIZE")
    assert db.advance("SPEC")["allowed"]


def test_p8_the_next_lease_is_anothers(db):
    db.start()
    db.prove("STRATEGIZE")
    db.acquire("SPEC", "b")
    verdict = db.advance("SPEC")
    assert (verdict["reason"], verdict["holder"]) == ("lease_contention", "b")
    assert db.counter("phase_lease_contention") == 1
    assert db.phase() == [("STRATEGIZE", "active")]
    assert db.held("STRATEGIZE") == "a" and db.held("SPEC") == "b"
    assert db.run("SELECT kind, holder FROM phase_lease_event WHERE kind ="
                  " 'contended'") == [("contended", "a")]


def test_p9_a_backtrack_whose_target_is_held_keeps_the_lease(db):
    db.reach("PLAN")
    db.acquire("SPEC", "b")
    verdict = db.back("SPEC")
    assert verdict["reason"] == "backtrack_lease_conflict"
    assert verdict["holder"] == "b"
    assert db.held("PLAN") == "a" and db.phase() == [("PLAN", "active")]


def test_p12_a_restart_forgets_nothing(db):
    db.reach("PLAN")
    db.close()
    db.open()
    assert db.phase() == [("PLAN", "active")]
    db.prove("PLAN")
    assert db.advance("THINK")["allowed"]


def test_p13_force_is_an_entry_with_its_reason(db):
    db.reach("SPEC")
    verdict = db.force("VERIFY", why="customer waits")
    assert verdict["allowed"]
    assert db.run("SELECT kind, from_phase, to_phase, agent, why FROM"
                  " phase_ledger ORDER BY seq DESC LIMIT 1") \
        == [("force", "SPEC", "VERIFY", "op", "customer waits")]
    assert db.decisions()[-1] == ("bypass", "forced", "low")
    assert db.held("SPEC") is None and db.held("VERIFY") == "op"
    db.sound()


@once
def test_p13_force_begins_a_task_anywhere(db):
    """So a task comes over from elsewhere, at its own times."""
    db.run("INSERT INTO phase_ledger(at, task_id, kind, to_phase, agent, why)"
           " VALUES (1761652800000, 'T', 'force', 'PLAN', 'op', 'old ledger')")
    assert db.phase() == [("PLAN", "active")]
    assert db.decisions() == [("bypass", "forced", "low")]
    db.prove("PLAN")
    assert db.advance("THINK")["allowed"]
    assert db.value("SELECT at FROM phase_ledger WHERE seq = 1") \
        == 1761652800000
    db.sound()


def test_p13_force_does_not_make_a_task_complete(db):
    db.start()
    db.force("MONITOR", actor="a")
    db.prove("MONITOR")
    verdict = db.complete()
    assert verdict["reason"] == "final_verification_failed"
    assert verdict["message"] == (
        "phase_ledger: task 'T' cannot complete: it was never in SPEC, PLAN,"
        " THINK, IMPLEMENT, VERIFY, REVIEW, PR")
    assert db.force("DONE")["allowed"]
    assert db.phase() == [("DONE", "closed")]
    assert db.value("SELECT count(*) FROM phase_lease") == 0


def test_p14_not_in_cycle(db):
    for call in (lambda: db.advance("SPEC"), lambda: db.back("SPEC"),
                 db.complete):
        verdict = call()
        assert not verdict["allowed"]
        assert verdict["reason"] == "task_not_in_cycle"
        assert "task 'T' not in work cycle" in verdict["message"]
    assert db.counter("phase_skips_attempted") == 3


def test_nothing_comes_after_completion(db):
    db.reach("MONITOR")
    db.prove("MONITOR")
    db.complete()
    for call in (lambda: db.advance("MONITOR"), lambda: db.back("SPEC"),
                 db.complete, lambda: db.force("SPEC")):
        verdict = call()
        assert verdict["reason"] == "no_next_phase"
        assert verdict["message"] == ("phase_ledger: task 'T' already completed"
                                      " MONITOR")
    assert "has ended" in db.start()["message"]


def test_the_last_phase_is_left_by_completion_alone(db):
    db.reach("MONITOR")
    db.prove("MONITOR")
    verdict = db.advance("DONE")
    assert verdict["reason"] == "unknown_phase"
    verdict = db.advance("SPEC")
    assert verdict["reason"] == "no_next_phase"
    db.back("PR")
    assert "it completes in MONITOR" in db.complete()["message"]


@pytest.mark.parametrize("mode, setting", [
    ("observe", ("PHASE_ENFORCEMENT", "observe")),
    ("off", ("PHASE_ENFORCEMENT", "off")),
    ("off", ("DISABLE_PHASE_ENFORCEMENT", "1"))])
@twice
def test_p15_modes_let_pass_and_record(db, mode, setting):
    db.start()
    db.set(*setting)
    verdict = db.advance("VERIFY", agent="b")
    assert verdict["allowed"] and verdict["enforcement"] == mode
    if mode == "observe":
        assert sorted(verdict["bypassed"]) == [
            "lease_contention", "missing_evidence", "sequence_mismatch"]
        assert db.counter("phase_skips_attempted") == 1
    else:
        assert verdict["bypassed"] == ["enforcement_off"]
    assert db.phase() == [("VERIFY", "active")]
    assert db.value("SELECT enforcement FROM phase_ledger WHERE seq = 2") \
        == mode
    assert ("bypass",) in db.decisions("decision")
    assert len(db.run("SELECT * FROM process_illegal")) == 1
    # Back to enforcement: what came about stands, what comes is held to it.
    db.set(setting[0], "0" if setting[1] == "1" else "enforce")
    assert not db.advance("PR", agent="b")["allowed"]


def test_p15_observe_completes_and_starts_anywhere(db):
    db.set("PHASE_ENFORCEMENT", "observe")
    assert db.advance("PLAN", task="N")["allowed"]
    assert db.complete(task="N")["allowed"]
    assert db.advance("PLAN", task="N")["bypassed"]
    assert db.value("SELECT count(*) FROM phase_ledger WHERE task_id = 'N'") \
        == 3


@once
@pytest.mark.parametrize("how", [
    "DELETE FROM settings WHERE key = 'PHASE_ENFORCEMENT'",
    "UPDATE settings SET value = 'enforce' WHERE key = 'PHASE_ENFORCEMENT'"])
def test_p15_doubt_enforces(db, how):
    db.set("PHASE_ENFORCEMENT", "enforce")
    db.run(how)
    db.start()
    assert not db.advance("PLAN")["allowed"]


@once
def test_p15_the_kill_switch_enforces_and_stops_what_is_guarded(db):
    db.set("PHASE_ENFORCEMENT", "off")
    db.start()
    db.run("SELECT killswitch_engage('fire', 'ann')")
    assert db.value("SELECT mode FROM process_mode") == "enforce"
    assert not db.advance("VERIFY")["allowed"]
    db.run("SELECT killswitch_guard('phase_ledger')")
    db.prove("STRATEGIZE")
    verdict = db.advance("SPEC")
    assert verdict["reason"] == "policy"
    assert "the kill switch DISABLE_NEW is on" in verdict["message"]
    assert db.held("STRATEGIZE") == "a" and db.held("SPEC") is None


def test_p16_what_fails_leaves_nothing(db):
    """A policy of the user's own refuses: lease, state and evidence stay."""
    db.reach("SPEC")
    db.prove("SPEC")
    db.run("CREATE TRIGGER freeze BEFORE INSERT ON phase_ledger_entry BEGIN"
           " SELECT RAISE(ABORT, 'code freeze'); END")
    verdict = db.advance("PLAN")
    assert (verdict["reason"], verdict["message"]) == ("policy", "code freeze")
    assert db.phase() == [("SPEC", "active")] and db.held("SPEC") == "a"
    assert db.held("PLAN") is None
    db.run("DROP TRIGGER freeze")
    assert db.advance("PLAN")["allowed"]


def test_a_token_fences(db):
    token = db.start()["token"]
    db.prove("STRATEGIZE")
    db.value("SELECT lease_steal('phase_lease', 'T/STRATEGIZE', ?, 'b', 'x')",
             (token,))
    verdict = db.advance("SPEC", token=token)
    assert (verdict["reason"], verdict["holder"]) == ("stale_token", "b")
    assert "does not hold STRATEGIZE now; b does" in verdict["message"]
    verdict = db.advance("SPEC")
    assert (verdict["reason"], verdict["holder"]) == ("lease_contention", "b")
    token = db.value("SELECT token FROM phase_lease")
    assert db.advance("SPEC", agent="b", token=token)["allowed"]


def test_an_expired_lease_is_taken_over(db):
    db.start()
    db.prove("STRATEGIZE")
    token = db.value("SELECT token FROM phase_lease")
    db.run("UPDATE phase_lease SET ttl_ms = 1 WHERE token = ?", (token,))
    while db.held("STRATEGIZE"):
        pass
    assert db.advance("SPEC", agent="a", token=token)["reason"] \
        == "stale_token"
    assert db.advance("SPEC", agent="b")["allowed"]
    assert db.advance("PLAN", agent="a")["holder"] == "b"


def test_leases_that_the_agent_had_before(db):
    """Its token is older than the task's last, so it gets another one."""
    db.acquire("PLAN", "a")
    db.reach("PLAN")
    for _ in range(12):  # more than max_renewals
        assert db.back("SPEC")["allowed"]
        db.prove("SPEC")
        assert db.advance("PLAN")["allowed"]
    db.sound()


def test_ten_agents_on_one_task(db):
    db.start(agent="boss")
    db.run("SELECT lease_release_all('phase_lease', 'boss')")
    db.prove("STRATEGIZE")
    verdicts = [db.advance("SPEC", agent=f"agent-{i}") for i in range(10)]
    assert [v["allowed"] for v in verdicts] == [True] + 9 * [False]
    assert {v["holder"] for v in verdicts} == {"agent-0"}
    assert {v["reason"] for v in verdicts[1:]} == {"lease_contention"}


# ---- the ledger -------------------------------------------------------------


def test_l10_history_per_task_and_the_current_phase(db):
    db.reach("PLAN", "A")
    db.reach("SPEC", "B")
    for task, count in (("A", 3), ("B", 2), ("C", 0)):
        assert db.value("SELECT count(*) FROM process_history WHERE task_id ="
                        " ?", (task,)) == count
    assert db.phase("A") == [("PLAN", "active")] and db.phase("C") == []


def test_l12_evidence_and_duration_are_in_the_entry(db):
    db.reach("SPEC")
    evidence = db.value("SELECT evidence FROM phase_ledger WHERE seq = 2")
    sha = db.value("SELECT lower(hex(attest_sha256(?)))",
                   (TEXT,))
    assert evidence == f'[{{"id":1,"kind":"phase_artifact","sha256":"{sha}"}}]'
    assert db.value("SELECT duration_ms >= 0 FROM process_history"
                    " WHERE seq = 2") == 1


def test_l13_l14_two_connections_one_chain(db):
    other = db.__class__(db.path)
    for i in range(6):
        (db if i % 2 else other).start(f"T{i}")
    assert db.value("SELECT count(*) FROM phase_ledger") == 6
    other.close()
    db.sound()


@pytest.mark.parametrize("table", ["phase_ledger", "phase_ledger_entry",
                                   "attestation_ledger_entry"])
def test_l16_entries_stay(db, table):
    db.start()
    db.attest()
    db.fails(f"DELETE FROM {table}", "append-only")
    db.fails(f"UPDATE {table} SET task_id = 'x'", "append-only")


def test_l9_l17_changes_of_the_file_are_found(db):
    db.reach("PLAN")
    db.run("DROP TRIGGER phase_ledger_entry_update")
    db.run("DROP TRIGGER phase_ledger_entry_delete")
    db.run("UPDATE phase_ledger_entry SET agent = 'z' WHERE seq = 2")
    found = {row[0] for row in db.verify("phase_ledger")}
    assert "entry_altered" in found and "guard_missing" in found


def test_l18_completeness_with_backtracks(db):
    db.reach("REVIEW")
    db.back("PLAN")
    db.back("SPEC")
    assert db.run("SELECT * FROM process_illegal") == []
    assert db.complete()["reason"] == "sequence_mismatch"
