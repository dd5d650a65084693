"""Scenarios L of the original's ledgers, on phase_ledger, ours where we do
better: chain, verification, statistics, completeness.  L10, L12 to L14 and L16
are in test_moves, L15 in test_kills."""
import hashlib
import sqlite3

import pytest

from conftest import PHASES, Database, once

GENESIS = "5f34144ac3a2cd5d52374a0c45941047ed940cae1b072262712e688a8d128add"
FIELDS = ("seq, {before}, at, task_id, kind, from_phase, to_phase, agent,"
          " token, enforcement, attestation, evidence, why")

# Each hash written again from the entry and the hash before it.
LINKS = ("SELECT seq, hash = merkle_leaf_hash(attest_canonical("
         "'holdfast.entry.v1', " + FIELDS.format(
             before=f"lag(hash, 1, x'{GENESIS}') OVER (ORDER BY seq)")
         + ")) FROM phase_ledger_entry ORDER BY seq")

V1 = [
    ('{"entry_id":"00000000-0000-4000-8000-000000000001","timestamp":'
     '"2025-10-28T12:00:00.000Z","previous_hash":"genesis","task_id":'
     '"TEST-001","from_phase":null,"to_phase":"STRATEGIZE",'
     '"evidence_artifacts":[],"evidence_validated":true}',
     "958963f0da20f59826e92cd0f90aabdb0b1017a6af48daad7dc3a6a2a9151fb8"),
    ('{"entry_id":"00000000-0000-4000-8000-000000000002","timestamp":'
     '"2025-10-28T12:00:01.000Z","previous_hash":"958963f0da20f59826e92cd0f90a'
     'abdb0b1017a6af48daad7dc3a6a2a9151fb8","task_id":"TEST-001","from_phase":'
     '"STRATEGIZE","to_phase":"SPEC","evidence_artifacts":'
     '["state/evidence/build.log","strategy.md"],"evidence_validated":false,'
     '"agent_type":"implementer","duration_ms":45000}',
     "adb6413bba42531b8878ca8dcfe2edc3e70c07ae3a9fd737ee147f79bb670c56"),
]
V2 = [
    ('{"taskId":"T-001","phase":"strategize","actorId":"agent","evidencePath":'
     '"state/evidence/T-001/strategy.md","metadata":null,"backtrack":null,'
     '"timestamp":"2025-01-01T00:00:00.000Z","sequence":0,"previousHash":'
     'null}',
     "79aa2dabc73b318d1529847cefd342cc8f127196224a951026136bd7806c4f44"),
    ('{"taskId":"T-001","phase":"spec","actorId":"agent","evidencePath":'
     '"e/spec.md","metadata":{"k":1},"backtrack":null,"timestamp":'
     '"2025-01-01T00:00:01.000Z","sequence":1,"previousHash":"79aa2dabc73b318d'
     '1529847cefd342cc8f127196224a951026136bd7806c4f44"}',
     "c71d6eec9053076452e965c85b80e9eeac89dd886a5ff0fa1910e71b7cd70154"),
]


@pytest.mark.parametrize("text, wanted", V1 + V2)
@once
def test_l1_l18_golden_hashes_of_the_original(db, text, wanted):
    """What its lines were hashed from can be hashed here, in SQL."""
    assert db.value("SELECT lower(hex(attest_sha256(?)))", (text,)) == wanted


def test_l1_l2_the_first_entry_follows_the_genesis_the_second_it(db):
    assert db.value("SELECT lower(hex(ledger_head('phase_ledger')))") == GENESIS
    db.reach("SPEC")
    hashes = [row[0] for row in db.run("SELECT hash FROM phase_ledger")]
    assert len(set(hashes)) == 2 and {len(h) for h in hashes} == {32}
    assert db.run(LINKS) == [(1, 1), (2, 1)]
    assert db.value("SELECT ledger_head('phase_ledger')") == hashes[1]


@once
def test_l3_the_whole_way_is_one_chain(db):
    db.reach("MONITOR")
    db.back("SPEC")
    assert db.run(LINKS) == [(i + 1, 1) for i in range(10)]
    assert db.value("SELECT count(DISTINCT hash) FROM phase_ledger") == 10


def report(db):
    return db.door("ledger_report('phase_ledger')")


def test_l4_valid_and_empty(db):
    assert db.verify("phase_ledger") == []
    assert report(db)["entries_checked"] == 0
    db.reach("PLAN")
    assert db.verify("phase_ledger") == []
    assert report(db)["entries_checked"] == 3


def tampered(db, sql):
    """Behind SQLite's back: a shell that takes the guards away and puts them
    back."""
    plain = sqlite3.connect(db.path, isolation_level=None)
    rows = plain.execute(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        " AND tbl_name = 'phase_ledger_entry'").fetchall()
    for name, _ in rows:
        plain.execute(f"DROP TRIGGER {name}")
    plain.executescript(sql)
    for _, text in rows:
        plain.execute(text)
    plain.close()
    return sorted(db.verify("phase_ledger"), key=str)


@pytest.mark.parametrize("column, value", [
    ("task_id", "'X'"), ("to_phase", "'PR'"), ("agent", "'z'"),
    ("token", "77"), ("enforcement", "'off'"), ("kind", "'force'"),
    ("attestation", "x'00'"), ("evidence", "'[]'"), ("why", "'w'"),
    ("from_phase", "NULL")])
@once
def test_l5_l9_every_field_is_in_the_hash(db, column, value):
    """The original's left the persona out."""
    db.reach("IMPLEMENT")
    assert tampered(db, f"UPDATE phase_ledger_entry SET {column} = {value}"
                    " WHERE seq = 3") == [("entry_altered", 3)]


@once
def test_l6_an_entry_that_follows_another_than_it_says(db):
    """Its hash is right for a predecessor that it does not have."""
    db.reach("IMPLEMENT")
    wrong = db.value(
        "SELECT merkle_leaf_hash(attest_canonical('holdfast.entry.v1', "
        + FIELDS.format(before=f"x'{GENESIS}'")
        + ")) FROM phase_ledger_entry WHERE seq = 3")
    assert ("entry_altered", 3) in tampered(
        db, f"UPDATE phase_ledger_entry SET hash = x'{wrong.hex()}'"
        " WHERE seq = 3")


@once
def test_l7_a_hash_that_is_changed_is_named(db):
    """The original called the next one broken as well, which it is not."""
    db.reach("IMPLEMENT")
    assert tampered(db, "UPDATE phase_ledger_entry SET hash = zeroblob(32)"
                    " WHERE seq = 2") == [("entry_altered", 2),
                                          ("node_altered", 2)]


@pytest.mark.parametrize("sql, wanted", [
    ("DELETE FROM phase_ledger_entry WHERE seq = 3", ("entry_missing", 3)),
    ("DELETE FROM phase_ledger_entry WHERE seq = 1", ("entry_missing", 1)),
    ("UPDATE phase_ledger_entry SET seq = -seq WHERE seq IN (2, 3);"
     " UPDATE phase_ledger_entry SET seq = 5 + seq WHERE seq < 0",
     ("entry_altered", 2)),
    ("INSERT INTO phase_ledger_entry SELECT 6, at, task_id, kind, from_phase,"
     " to_phase, agent, token, enforcement, attestation, evidence, why, hash,"
     " NULL FROM phase_ledger_entry WHERE seq = 3", ("entry_forged", 6))])
@once
def test_l8_deleted_swapped_doubled(db, sql, wanted):
    db.reach("IMPLEMENT")
    assert wanted in tampered(db, sql)


@pytest.mark.parametrize("sql", [
    "DELETE FROM phase_ledger_entry WHERE seq > 3",
    "DELETE FROM phase_ledger_entry"])
@once
def test_l9_a_cut_tail_is_found_by_what_was_kept(db, sql):
    """Better: a checkpoint that somebody kept, and the one in the file."""
    key = db.door("note_keygen('example.com/phases')")
    db.reach("IMPLEMENT")
    note = db.value("SELECT ledger_checkpoint('phase_ledger', ?)",
                    (key["signer"],))
    assert db.run("SELECT * FROM ledger_verify('phase_ledger', ?, ?)",
                  (note, key["verifier"])) == []
    tampered(db, sql)
    for arguments in (("phase_ledger",), ("phase_ledger", note),
                      ("phase_ledger", note, key["verifier"])):
        marks = ", ".join("?" * len(arguments))
        assert db.run(f"SELECT finding FROM ledger_verify({marks})",
                      arguments) != []
    assert ("state_differs", "T") in db.run(
        "SELECT finding, object FROM holdfast_check")


@once
def test_l9_a_history_that_is_written_anew_is_found(db):
    """Every hash right, another history: only what was kept tells."""
    key = db.door("note_keygen('example.com/phases')")
    db.reach("IMPLEMENT")
    note = db.value("SELECT ledger_checkpoint('phase_ledger', ?)",
                    (key["signer"],))
    other = Database(db.path + ".forged")
    other.run("SELECT holdfast_install('process')")
    other.reach("IMPLEMENT", agent="z")
    assert other.verify("phase_ledger") == []
    assert other.run("SELECT finding FROM ledger_verify('phase_ledger', ?, ?)",
                     (note, key["verifier"])) != []
    other.close()


def test_l11_statistics(db):
    query = ("SELECT count(*), count(DISTINCT task_id), min(at) IS NOT NULL,"
             " max(at) IS NOT NULL FROM phase_ledger")
    assert db.run(query) == [(0, 0, 0, 0)]
    db.reach("SPEC", "A")
    db.start("B")
    assert db.run(query) == [(3, 2, 1, 1)]
    assert db.value("SELECT ledger_size('phase_ledger')") == 3
    assert db.value("SELECT ledger_head('phase_ledger') = (SELECT hash FROM"
                    " phase_ledger WHERE seq = 3)") == 1


@once
def test_l17_it_goes_on_after_a_break_and_tells_all(db):
    db.reach("MONITOR")
    found = tampered(db, "UPDATE phase_ledger_entry SET why = 'x'"
                     " WHERE seq IN (2, 5, 9);"
                     " DELETE FROM phase_ledger_entry WHERE seq = 7")
    assert {("entry_altered", 2), ("entry_altered", 5), ("entry_missing", 7),
            ("entry_forged", 9)} <= set(found)
    # The 8th follows nothing, so that nothing can be said of it.
    assert report(db)["entries_checked"] == 7


# ---- completeness -----------------------------------------------------------


@once
def test_l18_nine_phases_are_complete_with_and_without_backtracks(db):
    for task in ("straight", "back"):
        db.reach("REVIEW", task)
        if task == "back":
            assert db.back("PLAN", task=task)["allowed"]
            for phase, to in zip(PHASES[2:], PHASES[3:7]):
                db.prove(phase, task)
                assert db.advance(to, task=task)["allowed"]
        for phase, to in zip(PHASES[6:], PHASES[7:]):
            db.prove(phase, task)
            assert db.advance(to, task=task)["allowed"]
        db.prove("MONITOR", task)
        assert db.complete(task=task)["allowed"]
    assert db.run("SELECT * FROM process_illegal") == []
    assert db.run("SELECT task_id, count(*) FROM phase_ledger GROUP BY 1") == [
        ("back", 15), ("straight", 10)]


def entry(kind, before, to, token=None):
    return (f"INSERT INTO phase_ledger(task_id, kind, from_phase, to_phase,"
            f" agent, token, enforcement, evidence, why) SELECT 'T', '{kind}',"
            f" {before}, '{to}', 'a', {token or 'NULL'}, 'off', (SELECT"
            " evidence FROM process_proof WHERE task_id = 'T' ORDER BY visit"
            " DESC LIMIT 1), 'w'")


@pytest.mark.parametrize("kind, before, to, finding", [
    ("advance", "'PLAN'", "IMPLEMENT", "not the next phase"),
    ("advance", "'PLAN'", "PLAN", "not the next phase"),
    ("backtrack", "'PLAN'", "PLAN", "not an earlier phase"),
    ("backtrack", "'PLAN'", "VERIFY", "not an earlier phase"),
    ("complete", "'PLAN'", "DONE", "not through all phases"),
    ("start", "'PLAN'", "STRATEGIZE", "starts again"),
    ("advance", "'PLAN'", "THINK", "a token that is not the latest"),
    ("advance", "'SPEC'", "PLAN", "does not follow")])
@once
def test_l18_what_is_out_of_order_is_named(db, kind, before, to, finding):
    """As it came about while nothing was enforced, or without the rule."""
    db.reach("PLAN")
    db.run("DROP TRIGGER process_rule_from")
    db.set("PHASE_ENFORCEMENT", "off")
    db.run(entry(kind, before, to))
    assert db.run("SELECT seq, enforcement, finding FROM process_illegal") == [
        (4, "off", finding)]


@once
def test_l18_a_wrong_first_entry_and_what_comes_after_the_end(db):
    db.run("DROP TRIGGER process_rule_from")
    db.set("PHASE_ENFORCEMENT", "off")
    for kind, before, to in (("start", "NULL", "PLAN"),
                             ("complete", "'PLAN'", "DONE"),
                             ("advance", "'DONE'", "SPEC")):
        db.run(entry(kind, before, to))
    db.run(entry("advance", "NULL", "SPEC").replace("'T'", "'N'"))
    assert db.run("SELECT finding FROM process_illegal ORDER BY seq") == [
        ("does not start with the first phase",), ("not through all phases",),
        ("after completion",), ("not in work cycle",)]


@once
def test_the_digest_of_evidence_without_content_is_null(db):
    db.reach("IMPLEMENT")
    db.prove("IMPLEMENT")
    db.show("IMPLEMENT", "phase_artifact", name="a.md", content="x" * 10)
    sha = hashlib.sha256(b"x" * 10).hexdigest()
    assert db.advance("VERIFY")["allowed"]
    items = db.run("SELECT value ->> 'kind', value ->> 'sha256' FROM"
                   " phase_ledger, json_each(evidence) WHERE seq = 6")
    assert items == [("build_output", None), ("coverage", None),
                     ("git_diff", None), ("phase_artifact", sha),
                     ("test_run", None)]
