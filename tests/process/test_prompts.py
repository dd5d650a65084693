"""Scenarios A of the original's prompt attestation, ours where we do better."""
import json

import pytest

from conftest import PHASES, SPEC, once, twice

BASE = "13e57e39994449f9cc680a20679f29a49dded0ec2ab5d525518dc6cbbe0b3428"
PERSONA = "ab" * 32
GOLDEN = [
    (SPEC, BASE),
    ({**SPEC, "personaHash": PERSONA},
     "28a33088a87033fb1bc6a0df48d9a95e1a980b7d0beec3debce2854c1751a403"),
    ({"phase": "SPEC", "taskId": "T", "requirements": [], "qualityGates": [],
      "artifacts": [], "contextSummary": ""},
     "7e66b1eb9ccc36c603b9b2e0dc0ba01379ce2830a2d63b0addf14e3c26625318"),
]


def prompt_hash(db, spec):
    text = spec if isinstance(spec, str) else json.dumps(spec)
    return db.value("SELECT attest_prompt(?)", (text,))


@pytest.mark.parametrize("spec, wanted", GOLDEN)
@once
def test_a20_golden_hashes(db, spec, wanted):
    assert prompt_hash(db, spec) == wanted
    shuffled = dict(reversed(list(spec.items())))
    shuffled.update(timestamp="now", personaSummary="x", promptHash="y")
    assert prompt_hash(db, json.dumps(shuffled, indent=3)) == wanted


@once
def test_a8_order_of_utf16_and_escapes(db):
    """JavaScript's order, computed here by its rule; duplicates stay."""
    items = ["10", "9", "Z", "a", "z", "\u00e9", "\U0001f600", "\uffee", "a",
             "\ue000", "\U0010ffff", '"', "\\", "\n", "\x1f", "/", "\u2028"]
    order = sorted(items, key=lambda s: s.encode("utf-16-be"))
    form = {"phase": "P", "taskId": "T", "requirements": order,
            "qualityGates": [], "artifacts": [], "contextSummary": "\u2028/"}
    text = json.dumps(form, ensure_ascii=False, separators=(",", ":"))
    wanted = db.value("SELECT lower(hex(attest_sha256(?)))", (text,))
    assert prompt_hash(db, {**form, "requirements": items}) == wanted
    assert prompt_hash(db, json.dumps({**form, "requirements": items[::-1]},
                                      ensure_ascii=False)) == wanted


BAD = [
    ("", "at byte 1: a value is expected"),
    ("[]", "it must be an object"), ("null", "it must be an object"),
    ('"x"', "it must be an object"), ("{", "at byte 2"),
    ('{"phase":"A","phase":"B"}', "a duplicate key"),
    ('{"a":"\\ud800"}', "a lone surrogate"),
    (json.dumps({**SPEC, "phase": 5}), "phase: it must be a string"),
    (json.dumps({**SPEC, "requirements": "x"}),
     "requirements: it must be an array of strings"),
    (json.dumps({**SPEC, "artifacts": ["a", None]}),
     "artifacts: it must be an array of strings"),
    (json.dumps({**SPEC, "qualityGates": [["x"]]}),
     "qualityGates: it must be an array of strings"),
    (json.dumps({**SPEC, "personaHash": None}),
     "personaHash: it must be a string"),
    (json.dumps({**SPEC, "personaSummary": {}}),
     "personaSummary: it must be a string"),
] + [(json.dumps({k: v for k, v in SPEC.items() if k != key}),
      f"{key}: it is missing") for key in list(SPEC)[:6]]


@pytest.mark.parametrize("text, words", BAD)
@once
def test_a24_invalid_input_is_an_error(db, text, words):
    if "Summary" not in words:
        db.fails("SELECT attest_prompt(?)", words, (text,))
    db.fails("SELECT prompt_attest(?)", words, (text,))


@pytest.mark.parametrize("value, words", [
    (None, "must be TEXT"), (5, "must be TEXT"), (b"{}", "must be TEXT"),
    (json.dumps({**SPEC, "taskId": "a\0b"}), "taskId: a NUL in it"),
    (json.dumps({**SPEC, "taskId": ""}), "taskId: it must have 1 to 512"),
    (json.dumps({**SPEC, "phase": "x" * 513}), "phase: it must have 1 to 512"),
    ("{}\0", "something follows"),
])
@once
def test_a24_other_bad_input(db, value, words):
    db.fails("SELECT prompt_attest(?)", words, (value,))
    assert db.value("SELECT attest_prompt(NULL)") is None


@once
def test_lone_bytes_are_an_error(db):
    db.fails("SELECT prompt_attest(CAST(x'7b22ff223a317d' AS TEXT))",
             "ill-formed UTF-8")


def test_a1_the_first_is_the_baseline(db):
    verdict = db.attest()
    assert verdict == {
        "drift": False, "severity": "none", "changed": [],
        "recommendation": "Prompt specification matches baseline",
        "task": "TEST-001", "phase": "IMPLEMENT", "hash": BASE,
        "baseline": None, "version": 1, "seq": 1, "details": None,
        "persona_drift": False, "persona_details": None, "blocked": False,
        "moved_to": None}


def test_a2_a3_a9_a_baseline_per_task_and_phase(db):
    for task in ("A", "B"):
        for phase in ("SPEC", "PLAN"):
            assert db.attest(taskId=task, phase=phase)["baseline"] is None
    again = db.attest(taskId="A", phase="SPEC", timestamp="later")
    assert again["baseline"] == again["hash"] and not again["drift"]
    assert db.value("SELECT count(*) FROM process_baseline") == 4


@pytest.mark.parametrize("field, value", [
    ("requirements", ["req1"]), ("qualityGates", []),
    ("artifacts", ["artifact1.ts", "artifact3.ts"]),
    ("contextSummary", "other"), ("modelVersion", "m2"), ("agentType", "z")])
def test_a4_to_a7_which_field_changed(db, field, value):
    db.attest()
    verdict = db.attest(**{field: value})
    assert verdict["drift"] and verdict["changed"] == [field]
    assert verdict["details"] == (
        "Prompt specification changed from baseline (13e57e39... \u2192 "
        f"{verdict['hash'][:8]}...)")
    assert not db.attest()["drift"]  # back to the old one


@once
def test_fields_that_come_and_go(db):
    db.attest()
    verdict = db.attest(personaHash=PERSONA, requirements=[])
    assert verdict["changed"] == ["requirements", "personaHash"]
    spec = {k: v for k, v in SPEC.items() if k != "agentType"}
    verdict = db.door("prompt_attest(?)", json.dumps(spec))
    assert verdict["changed"] == ["agentType"]


@pytest.mark.parametrize("phases, severity, words", [
    (("VERIFY", "REVIEW", "MONITOR"), "high", "CRITICAL: Prompt drift in"
     " critical phase - review immediately"),
    (("IMPLEMENT", "PR", "THINK", "UNKNOWN"), "medium", "WARNING: Prompt drift"
     " detected - verify intentional"),
    (("STRATEGIZE", "SPEC", "PLAN", "AFP_ALIGNMENT"), "low", "INFO: Minor"
     " prompt drift in early phase")])
@once
def test_a10_a11_severity_and_recommendation(db, phases, severity, words):
    for phase in phases:
        db.attest(phase=phase)
        verdict = db.attest(phase=phase, contextSummary="x")
        assert (verdict["severity"], verdict["recommendation"]) \
            == (severity, words)
        assert verdict["blocked"] == (severity == "high")
    assert db.counter("prompt_drift_detected") == len(phases)


def reset(db, given, phase="IMPLEMENT", task="TEST-001"):
    return db.door("prompt_baseline(?, ?, ?, 'agreed', 'ann')", task, phase,
                   given)


def test_a12_reset(db):
    db.attest()
    new = db.attest(contextSummary="x")["hash"]
    verdict = reset(db, None)
    assert (verdict["version"], verdict["hash"], verdict["severity"],
            verdict["previous"]) == (2, new, "none", BASE)
    again = db.attest(contextSummary="x")
    assert not again["drift"] and again["version"] == 2
    assert db.attest()["changed"] == ["contextSummary"]
    assert reset(db, BASE)["version"] == 3
    assert db.run("SELECT kind, version, why, updated_by FROM"
                  " attestation_ledger WHERE kind = 'reset'") == [
        ("reset", 2, "agreed", "ann"), ("reset", 3, "agreed", "ann")]
    db.sound()


@once
def test_a12_a_hash_that_nobody_attested(db):
    """The prompt at work is not it, so the drift stands; what changed is not
    known until the new one is seen."""
    db.attest()
    other = prompt_hash(db, {**SPEC, "contextSummary": "new"})
    assert reset(db, other)["severity"] == "medium"
    verdict = db.attest()
    assert verdict["drift"] and verdict["changed"] is None
    assert not db.attest(contextSummary="new")["drift"]


@pytest.mark.parametrize("arguments, words", [
    ("'T', 'P', NULL, 'w', 'b'", "no prompt of task 'T' in P was attested"),
    ("'T', 'P', 'abc', 'w', 'b'", "64 lower-case hexadecimal digits"),
    (f"'T', 'P', '{'A' * 64}', 'w', 'b'", "64 lower-case hexadecimal digits"),
    (f"'T', 'P', '{'0' * 64}', ' ', 'b'", "the reason must be TEXT"),
    (f"'T', 'P', '{'0' * 64}', 'w', NULL", "who does it must be TEXT"),
    (f"'', 'P', '{'0' * 64}', 'w', 'b'", "the task must be TEXT"),
    ("'T', x'00', NULL, 'w', 'b'", "the phase must be TEXT"),
    ("'T', 'P', 5, 'w', 'b'", "the hash must be TEXT")])
@once
def test_a12_bad_resets(db, arguments, words):
    db.fails(f"SELECT prompt_baseline({arguments})", words)


def test_a13_a14_history_and_statistics(db):
    for task, texts in (("A", ["x", "y", "x"]), ("B", ["x", "y"])):
        for text in texts:
            db.attest(taskId=task, contextSummary=text)
    assert db.run("SELECT severity <> 'none' FROM attestation_ledger WHERE"
                  " task_id = 'A' ORDER BY seq") == [(0,), (1,), (0,)]
    assert db.run("SELECT count(*), sum(severity <> 'none'),"
                  " avg(severity <> 'none') FROM attestation_ledger") \
        == [(5, 2, 0.4)]


@once
def test_a15_a23_a_baseline_that_is_gone_or_wrong_is_told(db):
    db.attest()
    db.run("DROP TRIGGER process_baseline_update;"
           " DROP TRIGGER process_baseline_delete;"
           f" UPDATE process_baseline SET hash = '{'0' * 64}'")
    assert ("state_differs", "TEST-001/IMPLEMENT") in db.run(
        "SELECT finding, object FROM holdfast_check")
    assert db.value("SELECT process_rebuild()") == 1
    db.run("DELETE FROM process_baseline")
    # It does not become a new baseline in silence: the ledger knows.
    assert db.value("SELECT process_rebuild()") == 1
    assert db.attest(contextSummary="x")["drift"]


def test_a16_persistence(db):
    db.attest()
    db.close()
    db.open()
    assert db.attest(contextSummary="x")["drift"]


@once
def test_a17_a18_nine_phases_and_one_that_drifts(db):
    for phase in PHASES:
        db.attest(phase=phase)
    assert db.value("SELECT count(*) FROM process_baseline") == 9
    for task in "ABC":
        db.attest(taskId=task)
        assert db.attest(taskId=task, contextSummary="x" if task == "B" else
                         SPEC["contextSummary"])["drift"] == (task == "B")


def test_a19_a22_the_persona(db):
    other = "cd" * 32
    db.attest(personaHash=PERSONA)
    assert not db.attest(personaHash=PERSONA)["persona_drift"]
    assert not db.attest()["persona_drift"]
    verdict = db.attest(personaHash=other, personaSummary='a "planner"')
    assert verdict["drift"] and verdict["persona_drift"]
    assert verdict["persona_details"] == (
        f"Persona changed from {PERSONA[:16]}... to {other[:16]}..."
        ' (a "planner")')
    # A reset to the prompt sets its persona; to a foreign hash keeps it.
    assert reset(db, None)["persona_hash"] == other
    assert not db.attest(personaHash=other)["persona_drift"]
    assert reset(db, "0" * 64)["persona_hash"] == other
    assert db.attest(personaHash=PERSONA)["persona_drift"]
    assert db.counter("prompt_drift_detected") == 1 + 2 + 2


@once
def test_the_time_of_an_attestation(db):
    db.door("prompt_attest(?, ?)", json.dumps(SPEC), 12345)
    assert db.value("SELECT at FROM attestation_ledger") == 12345
    db.fails("SELECT prompt_attest(?, 'now')", "at must be an INTEGER",
             (json.dumps(SPEC),))
    db.fails("SELECT prompt_attest(?, 1)", "earlier than the previous",
             (json.dumps(SPEC),))


# ---- drift and moves --------------------------------------------------------


def test_p10_a_high_drift_blocks_and_moves_back(db):
    db.reach("VERIFY")
    db.prove("VERIFY")
    db.attest(taskId="T", phase="VERIFY")
    verdict = db.attest(taskId="T", phase="VERIFY", artifacts=[])
    assert verdict["blocked"] and verdict["moved_to"] == "PLAN"
    assert db.phase() == [("PLAN", "active")]
    assert db.held("VERIFY") is None and db.held("PLAN") == "a"
    entry = db.run("SELECT kind, from_phase, to_phase, agent, attestation"
                   " FROM phase_ledger ORDER BY seq DESC LIMIT 1")[0]
    assert entry[:4] == ("drift", "VERIFY", "PLAN", "a")
    assert entry[4] == db.value("SELECT hash FROM attestation_ledger"
                                " WHERE seq = 2")
    assert db.decisions("decision, reason")[-2:] == [
        ("block", "prompt_drift_high"), ("allow", "prompt_drift_back")]
    verdict = db.advance("REVIEW")
    assert verdict["reason"] == "prompt_drift_high"
    assert "is not the next phase (expected THINK); high severity prompt drift" \
        " in VERIFY moved it back" in verdict["message"]
    assert db.counter("prompt_drift_high") == 1
    assert db.counter("phase_validations_failed") == 2
    db.sound()


def test_p10_it_blocks_until_it_is_resolved(db):
    db.reach("VERIFY")
    db.attest(taskId="T", phase="VERIFY")
    db.attest(taskId="T", phase="VERIFY", artifacts=[])
    for before, to in zip(PHASES[2:], PHASES[3:6]):
        db.prove(before)
        assert db.advance(to)["allowed"]
    db.prove("VERIFY")
    verdict = db.advance("REVIEW")
    assert verdict["reason"] == "prompt_drift_high"
    assert verdict["message"] == (
        "phase_ledger: task 'T', VERIFY: High severity prompt drift (CRITICAL:"
        " Prompt drift in critical phase - review immediately)")
    assert db.back("PLAN")["allowed"]
    db.force("VERIFY", actor="a")
    db.prove("VERIFY")
    reset(db, None, "VERIFY", "T")
    assert db.advance("REVIEW")["allowed"]
    db.sound()


def test_p10_the_target_is_held_by_another(db):
    db.reach("REVIEW")
    db.acquire("PLAN", "b")
    db.attest(taskId="T", phase="REVIEW")
    assert db.attest(taskId="T", phase="REVIEW", artifacts=[])["moved_to"] \
        == "PLAN"
    assert db.held("PLAN") == "b" and db.held("REVIEW") is None
    assert db.phase() == [("PLAN", "active")]
    db.sound()


def test_p11_a_lesser_drift_is_counted_and_passes(db):
    db.start()
    db.prove("STRATEGIZE")
    db.attest(taskId="T", phase="STRATEGIZE")
    db.attest(taskId="T", phase="STRATEGIZE", artifacts=[])
    assert db.counter("prompt_drift_detected") == 1
    assert db.counter("prompt_drift_high") == 0
    assert db.advance("SPEC")["allowed"]
    # The attestation is in the entry of the move.
    assert db.value("SELECT attestation FROM phase_ledger WHERE seq = 2") \
        == db.value("SELECT hash FROM attestation_ledger WHERE seq = 2")


@pytest.mark.parametrize("mode", ["observe", "off"])
@once
def test_p10_outside_of_enforcement_it_is_recorded(db, mode):
    db.reach("VERIFY")
    db.prove("VERIFY")
    db.set("PHASE_ENFORCEMENT", mode)
    db.attest(taskId="T", phase="VERIFY")
    verdict = db.attest(taskId="T", phase="VERIFY", artifacts=[])
    assert verdict["severity"] == "high" and not verdict["blocked"]
    assert db.phase() == [("VERIFY", "active")]
    assert db.decisions("decision, reason")[-1] == ("bypass",
                                                    "prompt_drift_high")
    assert db.advance("REVIEW")["allowed"]


@once
def test_severities_are_rows_that_a_user_edits(db):
    db.run("UPDATE process_severity SET severity = 'high', back_to = NULL"
           " WHERE phase = 'SPEC'")
    db.reach("SPEC")
    db.prove("SPEC")
    db.attest(taskId="T", phase="SPEC")
    verdict = db.attest(taskId="T", phase="SPEC", artifacts=[])
    assert verdict["blocked"] and verdict["moved_to"] is None
    assert db.advance("PLAN")["reason"] == "prompt_drift_high"


# ---- walls ------------------------------------------------------------------

INSERT = ("INSERT INTO attestation_ledger(task_id, phase, kind, prompt_hash,"
          " version, severity, baseline_seq, why, updated_by) VALUES ")
HEX = "'" + "0" * 64 + "'"


@pytest.mark.parametrize("values, words", [
    (f"('TEST-001', 'IMPLEMENT', 'first', {HEX}, 1, 'none', NULL, '', '')",
     "there is a baseline"),
    (f"('N', 'IMPLEMENT', 'first', {HEX}, 2, 'none', NULL, '', '')",
     "there is a baseline"),
    (f"('TEST-001', 'IMPLEMENT', 'attest', {HEX}, 1, 'none', 1, '', '')",
     "not what the baseline says"),
    (f"('TEST-001', 'IMPLEMENT', 'attest', {HEX}, 1, 'low', 1, '', '')",
     "not what the baseline says"),
    (f"('N', 'IMPLEMENT', 'attest', {HEX}, 1, 'none', 1, '', '')",
     "not what the baseline says"),
    (f"('TEST-001', 'IMPLEMENT', 'reset', {HEX}, 2, 'none', NULL, 'w', 'b')",
     "a reset has the next version"),
    (f"('TEST-001', 'IMPLEMENT', 'reset', {HEX}, 1, 'medium', NULL, 'w', 'b')",
     "a reset has the next version"),
    (f"('TEST-001', 'IMPLEMENT', 'reset', {HEX}, 2, 'medium', NULL, ' ', 'b')",
     "a reset has the next version"),
    ("('N', 'P', 'first', 'abc', 1, 'none', NULL, '', '')", "64 hex"),
    (f"('N', 'P', 'hello', {HEX}, 1, 'none', NULL, '', '')", "64 hex"),
])
@once
def test_the_ledger_of_attestations_takes_no_lies(db, values, words):
    db.attest()
    db.fails(INSERT + values, words)


@pytest.mark.parametrize("sql", [
    "UPDATE process_baseline SET severity = 'none'",
    f"UPDATE process_baseline SET hash = {HEX}",
    "DELETE FROM process_baseline",
    "REPLACE INTO process_baseline SELECT task_id, phase, hash, version + 1,"
    " components, persona_hash, 'none', baseline_seq, seq, entry_hash"
    " FROM process_baseline",
    "UPDATE OR REPLACE process_baseline SET task_id = 'N'"])
@twice
def test_a_drift_is_not_talked_away(db, sql):
    db.attest(phase="VERIFY")
    db.attest(phase="VERIFY", artifacts=[])
    db.fails(sql, "process_baseline is what attestation_ledger says")
