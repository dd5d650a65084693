"""The walls: plain INSERT INTO phase_ledger is held to the same rules, no other
statement gets around them, and none without the extension."""
import sqlite3

import apsw
import pytest

from conftest import ROOT, once, shared, twice

COLUMNS = ("task_id", "kind", "from_phase", "to_phase", "agent", "token",
           "enforcement", "evidence", "why")


def insert(**values):
    """The right entry to leave STRATEGIZE for SPEC, but for these values."""
    entry = {"task_id": "'T'", "kind": "'advance'",
             "from_phase": "'STRATEGIZE'", "to_phase": "'SPEC'",
             "agent": "'a'",
             "token": "(SELECT token FROM phase_lease"
                      " WHERE resource = 'T/SPEC')",
             "enforcement": "'enforce'",
             "evidence": "(SELECT evidence FROM process_proof"
                         " ORDER BY visit DESC LIMIT 1)",
             "why": "'w'", **values}
    return (f"INSERT INTO phase_ledger({', '.join(COLUMNS)}) VALUES ("
            + ", ".join(entry[name] for name in COLUMNS) + ")")


@pytest.fixture(name="ready")
def everything_for_the_move(db):
    db.start()
    db.prove("STRATEGIZE")
    db.acquire("SPEC", "a")
    return db


def test_the_right_entry_passes(ready):
    ready.run(insert())
    assert ready.phase() == [("SPEC", "active")]
    ready.sound()


IS_IN = "phase_ledger: task 'T' is in STRATEGIZE"
WRONG = {
    "skip": ({"to_phase": "'PLAN'"},
             IS_IN + "; PLAN is not the next phase (expected SPEC)"),
    "stay": ({"to_phase": "'STRATEGIZE'"},
             IS_IN + "; STRATEGIZE is not the next phase (expected SPEC)"),
    "complete": ({"to_phase": "'DONE'", "kind": "'complete'"},
                 IS_IN + "; it completes in MONITOR"),
    "backtrack": ({"kind": "'backtrack'"},
                  IS_IN + "; Cannot backtrack forward"),
    "drift": ({"kind": "'drift'"}, IS_IN + "; no high-severity prompt drift"),
    "from": ({"from_phase": "'PLAN'"}, IS_IN + ", not PLAN"),
    "start again": ({"from_phase": "NULL", "kind": "'start'",
                     "to_phase": "'STRATEGIZE'"},
                    "already in cycle at phase STRATEGIZE"),
    "start on": ({"kind": "'start'"}, "already in cycle at phase STRATEGIZE"),
    "start at the end": ({"kind": "'start'", "to_phase": "'MONITOR'"},
                         "already in cycle at phase STRATEGIZE"),
    "no such phase": ({"to_phase": "'X'"}, "advance to X: kind is"),
    "no such kind": ({"kind": "'jump'"}, "jump to SPEC: kind is"),
    "done by advance": ({"to_phase": "'DONE'"}, "advance to DONE: kind is"),
    "not in cycle": ({"task_id": "'N'"},
                     "task 'N' not in work cycle; phase_start() begins it"),
    "first advance": ({"task_id": "'N'", "from_phase": "NULL"},
                      "task 'N' not in work cycle"),
    "first phase": ({"task_id": "'N'", "from_phase": "NULL",
                     "kind": "'start'"}, "'N' must start with STRATEGIZE"),
    "no token": ({"token": "NULL"}, "T', SPEC: the agent does not hold its"
                 " lease with token NULL; acquire it in phase_lease"),
    "wrong token": ({"token": "1"}, "with token 1; acquire it"),
    "future token": ({"token": "99"}, "with token 99; acquire it"),
    "another agent": ({"agent": "'b'"},
                      "T', STRATEGIZE: Phase lease already held by a"),
    "no agent": ({"agent": "' '"}, "names a task of at most 512 bytes and an"),
    "null agent": ({"agent": "NULL"}, "names a task of at most 512 bytes"),
    "long task": ({"task_id": "hex(zeroblob(257))"}, "at most 512 bytes"),
    "mode": ({"enforcement": "'off'"}, "enforcement is enforce now"),
    "observe": ({"enforcement": "'observe'"}, "enforcement is enforce now"),
    "null mode": ({"enforcement": "'maybe'"}, "enforcement is enforce now"),
    "evidence": ({"evidence": "NULL"}, "evidence must be that of T in"),
    "false evidence": ({"evidence": "'[]'"}, "evidence must be that of T in"),
    "force": ({"kind": "'force'", "why": "''"}, "backtrack and force say why"),
    "task": ({"task_id": "NULL"}, "phase_ledger"),
    "empty task": ({"task_id": "''"}, "phase_ledger"),
    "kind of type": ({"to_phase": "x'5350'"}, "column to_phase takes TEXT"),
    "token of type": ({"token": "'4'"}, "column token takes INTEGER"),
}


@pytest.mark.parametrize("name", WRONG)
@once
def test_a_wrong_entry_is_refused(ready, name):
    values, words = WRONG[name]
    ready.fails(insert(**values), words)
    for verb in ("INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT OR FAIL",
                 "INSERT OR ROLLBACK"):
        ready.fails(insert(**values).replace("INSERT", verb, 1), words)


@once
def test_evidence_missing_and_drift_at_the_wall(ready):
    ready.run(insert())
    ready.acquire("PLAN", "a")
    ready.fails(insert(from_phase="'SPEC'", to_phase="'PLAN'", token="(SELECT"
                       " token FROM phase_lease WHERE resource = 'T/PLAN')"),
                "phase_ledger: task 'T', SPEC: Semantic validation failed:"
                " spec.md: Artifact not found: spec.md")


@once
def test_an_older_token_of_the_agent(db):
    plan = db.acquire("PLAN", "a")
    db.start()
    db.prove("STRATEGIZE")
    db.acquire("SPEC", "a")
    db.run(insert())
    db.prove("SPEC")
    db.fails(insert(from_phase="'SPEC'", to_phase="'PLAN'", token=str(plan)),
             f"token {plan} is not later than the task's last")


@once
def test_the_attestation_must_be_in_the_entry(ready):
    ready.attest(taskId="T", phase="STRATEGIZE")
    ready.fails(insert(), "attestation must be the entry_hash of T in"
                " process_baseline for the phase that is left")
    assert ready.advance("SPEC")["allowed"]


STATEMENTS = [
    "INSERT INTO phase_ledger(task_id, from_phase, to_phase) VALUES ('T',"
    " 'STRATEGIZE', 'IMPLEMENT')",
    "INSERT INTO phase_ledger_entry(seq, at, task_id, kind, from_phase,"
    " to_phase, agent, enforcement, hash) VALUES (2, 9e12, 'T', 'force',"
    " 'STRATEGIZE', 'MONITOR', 'a', 'enforce', zeroblob(32))",
    "INSERT OR REPLACE INTO phase_ledger_entry(seq, at, task_id, kind,"
    " from_phase, to_phase, agent, enforcement, hash) VALUES (1, 1, 'T',"
    " 'start', NULL, 'MONITOR', 'a', 'enforce', zeroblob(32))",
    "INSERT INTO phase_ledger_direct(seq, at, task_id, kind, from_phase,"
    " to_phase, agent, enforcement, hash) VALUES (2, 9e12, 'T', 'force',"
    " 'STRATEGIZE', 'MONITOR', 'a', 'enforce', zeroblob(32))",
    "INSERT INTO phase_ledger_entry SELECT * FROM phase_ledger_entry WHERE 1"
    " ON CONFLICT DO UPDATE SET to_phase = 'MONITOR'",
    "WITH w AS (SELECT 'MONITOR' AS p) UPDATE phase_ledger_entry"
    " SET to_phase = p FROM w",
    "INSERT INTO process_task SELECT * FROM process_task WHERE 1"
    " ON CONFLICT DO UPDATE SET phase = 'MONITOR'",
    "UPDATE phase_lease_held SET holder = 'b'",
    "DELETE FROM phase_lease_held",
    "INSERT INTO phase_lease(resource, holder) VALUES ('T/SPEC', 'b')",
    "UPDATE phase_ledger SET to_phase = 'MONITOR'",
    "UPDATE phase_ledger_entry SET to_phase = 'MONITOR'",
    "UPDATE OR REPLACE phase_ledger_entry SET seq = 5",
    "DELETE FROM phase_ledger_entry", "DELETE FROM phase_ledger",
    "UPDATE process_task SET phase = 'MONITOR'",
    "UPDATE process_task SET status = 'done'",
    "INSERT OR REPLACE INTO process_task VALUES ('T', 'MONITOR', 'active',"
    " 'a', 1, 1, 1)",
    "INSERT INTO process_task VALUES ('N', 'MONITOR', 'active', 'a', 1, 1, 1)",
    "DELETE FROM process_task", "REPLACE INTO process_task SELECT task_id,"
    " 'SPEC', status, agent, token, seq, updated_at FROM process_task",
    "UPDATE OR REPLACE process_task SET task_id = 'X'",
    "INSERT INTO process_phase VALUES ('ANY', 2000)",
    "DELETE FROM process_phase WHERE name = 'SPEC'",
    "UPDATE process_phase SET ordinal = -ordinal",
    "UPDATE process_decision SET decision = 'allow'",
    "UPDATE process_decision SET severity = 'low'",
    "INSERT OR REPLACE INTO process_decision(id, decision, task_id, kind)"
    " VALUES (1, 'allow', 'T', 'x')",
    "DELETE FROM process_decision",
]


@pytest.mark.parametrize("sql", STATEMENTS)
@twice
def test_no_statement_gets_around(ready, sql):
    ready.advance("PLAN")  # a decision to tamper with
    before = ready.state()
    with pytest.raises(apsw.Error):
        ready.run(sql)
    assert ready.state() == before
    plain = sqlite3.connect(ready.path)
    with pytest.raises(sqlite3.Error):
        plain.execute(sql)
    plain.close()
    assert ready.state() == before


@once
def test_without_the_extension_one_reads_and_no_more(ready):
    plain = sqlite3.connect(ready.path)
    for sql, words in (
            (insert(), "no such module: ledger"),
            ("INSERT INTO phase_ledger_entry(task_id) VALUES ('T')",
             "no such function"),
            ("INSERT INTO process_evidence(task_id, phase, kind) VALUES"
             " ('T', 'STRATEGIZE', 'git_diff')", "no such function")):
        with pytest.raises(sqlite3.OperationalError, match=words):
            plain.execute(sql)
    assert plain.execute("SELECT phase FROM process_task").fetchone() \
        == ("STRATEGIZE",)
    assert plain.execute("SELECT count(*) FROM process_history").fetchone() \
        == (1,)
    plain.close()


@pytest.mark.parametrize("table", ["process_task", "process_decision",
                                   "phase_ledger_entry", "process_baseline",
                                   "process_counter", "process_evidence"])
@pytest.mark.parametrize("what", ["IGNORE", "ABORT, 'no'"])
@once
def test_a_temp_trigger_cannot_let_anything_pass(ready, table, what):
    """It may refuse what it likes; it cannot swallow a part of it."""
    ready.run(f"CREATE TEMP TRIGGER t BEFORE INSERT ON main.{table} BEGIN"
              f" SELECT RAISE({what}); END")
    assert ready.run("SELECT to_phase FROM phase_ledger") \
        == [("STRATEGIZE",)]
    with pytest.raises(apsw.Error):
        ready.run(insert(to_phase="'PLAN'"))
    try:
        ready.run(insert())
    except apsw.Error:
        pass
    ready.run("DROP TRIGGER t")
    assert ready.value("SELECT process_rebuild()") == 0
    assert ready.run("SELECT * FROM process_illegal") == []


@pytest.mark.parametrize("table", ["process_task", "process_decision",
                                   "phase_ledger_entry", "process_evidence"])
@once
def test_a_temp_trigger_that_skips_what_comes_after(ready, table):
    """It leaves a state that is behind the ledger, and lets no move pass."""
    ready.run(f"CREATE TEMP TRIGGER t AFTER INSERT ON main.{table} BEGIN"
              " SELECT RAISE(IGNORE); END")
    with pytest.raises(apsw.Error):
        ready.run(insert(to_phase="'PLAN'"))
    ready.run(insert())
    for to in ("PLAN", "THINK"):
        with pytest.raises(apsw.Error):
            ready.run(insert(from_phase="'SPEC'", to_phase=f"'{to}'"))
    ready.run("DROP TRIGGER t")
    ready.run("SELECT process_rebuild()")
    assert ready.phase() == [("SPEC", "active")]
    assert ready.run("SELECT * FROM process_illegal") == []
    ready.sound()


@once
def test_evidence_that_could_not_fill_itself_in_is_none(db):
    db.start()
    db.run("CREATE TEMP TRIGGER t AFTER INSERT ON main.process_evidence BEGIN"
           " SELECT RAISE(IGNORE); END")
    db.run("INSERT INTO process_evidence(task_id, phase, kind, name, content)"
           " VALUES ('T', 'STRATEGIZE', 'phase_artifact', 'strategy', 'x')")
    db.run("DROP TRIGGER t")
    right = ("visit = (SELECT seq FROM process_task), size = 1,"
             " sha256 = attest_sha256('x')")
    for wrong in ("size = 5000", "visit = 99", "sha256 = NULL"):
        db.fails(f"UPDATE process_evidence SET {right}, {wrong}",
                 "process_evidence is append-only")
    assert db.run("SELECT message FROM process_missing")
    db.run(f"UPDATE process_evidence SET {right}")
    db.fails(f"UPDATE process_evidence SET {right}",
             "process_evidence is append-only")


@once
def test_tables_in_temp_and_attached_databases_hijack_nothing(ready, tmp_path):
    ready.run("CREATE TEMP TABLE process_requirement(phase);"
              " CREATE TEMP TABLE process_phase(name, ordinal);"
              " CREATE TEMP TABLE phase_ledger_entry(task_id, seq, to_phase);"
              " CREATE TEMP TABLE process_task(task_id);"
              " CREATE TEMP TABLE settings(key, value);"
              " CREATE TEMP VIEW process_mode AS SELECT 'off' AS mode")
    assert ready.advance("PLAN")["reason"] == "sequence_mismatch"
    assert ready.advance("SPEC")["allowed"]
    verdict = ready.advance("PLAN")
    assert verdict["reason"] == "missing_evidence"
    assert ready.value("SELECT process_rebuild()") == 0


@once
def test_names_that_are_like_ours(ready):
    """The table that keeps the statements is shadowed: they are not kept."""
    ready.run("CREATE TABLE holdfast_kept(x)")
    ready.close()
    ready.open()
    verdict = ready.advance("PLAN")
    assert not verdict["allowed"] and "is not the next" in verdict["message"]
    assert ready.advance("SPEC")["allowed"]


@once
def test_the_phases_are_rows_until_the_first_task(db):
    db.run("DELETE FROM process_phase WHERE name NOT IN ('PLAN', 'SPEC');"
           " INSERT INTO process_phase VALUES ('OLD', 0), ('NEW', 10);"
           " DELETE FROM process_requirement")
    for name in ("''", "'DONE'", "'a/b'", "' x'", "NULL"):
        db.fails(f"INSERT INTO process_phase VALUES ({name}, 50)",
                 "constraint failed")
    assert db.start()["to"] == "OLD"
    for to in ("SPEC", "PLAN", "NEW"):
        assert db.advance(to)["allowed"]
    assert db.complete()["allowed"]
    db.sound()


@once
def test_changes_of_the_requirements_are_recorded(db):
    for table in ("process_requirement", "process_severity", "process_word"):
        db.run("SELECT ledger_track(?, 'process_policy')", (table,))
    before = db.value("SELECT ledger_size('process_policy')")
    db.run("DELETE FROM process_requirement WHERE phase = 'SPEC';"
           " UPDATE process_severity SET back_to = NULL")
    assert db.value("SELECT ledger_size('process_policy')") > before
    db.reach("PLAN")
    db.sound()


@once
def test_no_phases_at_all(db):
    db.run("DELETE FROM process_phase")
    verdict = db.start()
    assert not verdict["allowed"] and "no phases" in verdict["message"]


# ---- bad input of the doors -------------------------------------------------

BAD = [None, "", "  ", 5, 1.5, b"T", "a\0b", "x" * 513]
CALLS = {
    "phase_start(?, 'a')": "phase_start: the task",
    "phase_start('T', ?)": "phase_start: the agent",
    "phase_advance(?, 'SPEC', 'a')": "phase_advance: the task",
    "phase_advance('T', ?, 'a')": "phase_advance: the phase",
    "phase_advance('T', 'SPEC', ?)": "phase_advance: the agent",
    "phase_backtrack('T', 'SPEC', 'a', ?)": "phase_backtrack: the reason",
    "phase_backtrack('T', ?, 'a', 'w')": "phase_backtrack: the phase",
    "phase_complete(?, 'a')": "phase_complete: the task",
    "phase_complete('T', ?)": "phase_complete: the agent",
    "phase_force('T', 'SPEC', 'a', ?)": "phase_force: the reason",
    "phase_force('T', 'SPEC', ?, 'w')": "phase_force: the agent",
}


@pytest.mark.parametrize("call", CALLS)
@once
def test_bad_arguments(db, call):
    for value in BAD:
        if "reason" in CALLS[call] and value == "x" * 513:
            continue
        with pytest.raises(apsw.SQLError) as error:
            db.run("SELECT " + call, (value,))
        assert CALLS[call] + " must be TEXT" in str(error.value)
    with pytest.raises(apsw.SQLError):
        db.run("SELECT " + call.replace("?", "CAST(x'61ff' AS TEXT)"))
    assert db.value("SELECT count(*) FROM process_decision") == 0


@pytest.mark.parametrize("token", ["'x'", "1.5", "x'01'", "9e99"])
@once
def test_bad_tokens(db, token):
    db.start()
    db.fails(f"SELECT phase_advance('T', 'SPEC', 'a', {token})",
             "the token must be an INTEGER")


@pytest.mark.parametrize("token", [-1, 0, 2 ** 63 - 1, -2 ** 63])
@once
def test_tokens_at_the_edges(db, token):
    db.start()
    assert db.advance("SPEC", token=token)["reason"] == "stale_token"


@pytest.mark.parametrize("task", ["é😀", "a'b", 'a"b', "a/b", "%s", "{n}",
                                  "x" * 512, "line\nbreak", "a\u0001"])
@once
def test_names_of_tasks(db, task):
    assert db.start(task)["task"] == task
    db.prove("STRATEGIZE", task)
    assert db.advance("PLAN", task=task)["reason"] == "sequence_mismatch"
    assert db.advance("SPEC", task=task)["allowed"]
    db.sound()


@pytest.mark.parametrize("sql", [
    "INSERT INTO other SELECT phase_start('T', 'a')",
    "INSERT INTO other VALUES (phase_advance('T', 'SPEC', 'a'))",
    "UPDATE other SET x = prompt_baseline('T', 'P', NULL, 'w', 'b')",
    "INSERT INTO other SELECT process_rebuild()"])
@once
def test_inside_a_statement_that_writes(db, sql):
    db.run("CREATE TABLE other(x); INSERT INTO other VALUES (1)")
    db.fails(sql, "cannot run inside a statement that writes")


@once
def test_in_a_transaction_of_the_callers(db):
    db.run("BEGIN")
    assert db.start()["allowed"]
    assert not db.advance("PLAN")["allowed"]
    db.run("ROLLBACK")
    assert db.value("SELECT count(*) FROM process_decision") == 0
    assert db.phase() == []
    db.run("BEGIN")
    db.start()
    db.run("COMMIT")
    db.sound()


@once
def test_read_only_and_not_installed(db, tmp_path):
    reader = apsw.Connection(db.path, flags=apsw.SQLITE_OPEN_READONLY)
    shared.load_apsw(reader)
    with pytest.raises(apsw.Error, match="the database is read-only"):
        reader.cursor().execute("SELECT phase_start('T', 'a')").fetchall()
    reader.close()
    other = db.__class__(tmp_path / "other.db")
    for call in ("phase_start('T', 'a')", "prompt_baseline('T', 'P', NULL,"
                 " 'w', 'b')"):
        with pytest.raises(apsw.Error, match="the area process is not in"):
            other.run("SELECT " + call)
    other.close()


@once
def test_last_insert_rowid_stays(db):
    db.run("CREATE TABLE other(x); INSERT INTO other(rowid) VALUES (77)")
    db.start()
    db.attest()
    assert db.value("SELECT last_insert_rowid()") == 77


@once
def test_decisions_are_cleaned_by_age(db):
    db.start()
    db.advance("PLAN")
    db.set("PHASE_DECISION_KEEP_MS", "0")
    while db.value("SELECT count(*) FROM process_decision"):
        try:
            db.run("DELETE FROM process_decision")
        except apsw.ConstraintError:
            pass


# ---- installing, renaming, dropping -----------------------------------------


@once
def test_the_script_by_hand(db, tmp_path):
    """The same tables and triggers, and twice is once."""
    hand = db.__class__(tmp_path / "hand.db")
    for area in ("control", "process"):
        hand.run((ROOT / "sql" / f"{area}.sql").read_text())
    query = ("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE"
             " 'holdfast%' AND name NOT LIKE 'lease_guarded%'"
             " AND name NOT LIKE 'sqlite_%' ORDER BY name")
    assert hand.run(query) == db.run(query)
    before = hand.state()
    hand.run((ROOT / "sql" / "process.sql").read_text())
    assert hand.state() == before
    assert hand.value("SELECT holdfast_install('process')") > 0
    assert hand.start()["allowed"]
    hand.sound()
    hand.close()


@once
def test_what_the_doctor_finds(db):
    db.start()
    triggers = [row[0] for row in db.run(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
        " AND name GLOB 'process_*'")]
    assert len(triggers) > 30
    for name in triggers:
        db.run("BEGIN")
        db.run(f"DROP TRIGGER {name}")
        assert ("guard_missing", name) in db.run(
            "SELECT finding, object FROM holdfast_check")
        db.run("ROLLBACK")
    db.run("DROP TRIGGER process_task_update;"
           " UPDATE process_task SET phase = 'PR'")
    assert ("state_differs", "T") in db.run(
        "SELECT finding, object FROM holdfast_check")
    assert db.value("SELECT process_rebuild()") == 1
    assert db.phase() == [("STRATEGIZE", "active")]
    db.run("DROP TABLE process_baseline; CREATE TABLE process_baseline(x)")
    assert ("config_altered", "process_baseline") in db.run(
        "SELECT finding, object FROM holdfast_check")


@once
def test_a_table_of_that_name_that_is_another(tmp_path, db):
    other = db.__class__(tmp_path / "other.db")
    other.run("CREATE VIRTUAL TABLE phase_ledger USING ledger(a TEXT)")
    with pytest.raises(apsw.SQLError, match="phase_ledger exists and is not"):
        other.run("SELECT holdfast_install('process')")
    other.close()


@once
def test_its_tables_are_not_renamed_or_dropped_under_it(db):
    db.start()
    db.fails("ALTER TABLE phase_lease RENAME TO elsewhere", "process_held")
    db.fails("ALTER TABLE phase_ledger RENAME TO elsewhere", "error in")
    db.fails("DROP TABLE phase_ledger", "constraint")
    db.prove("STRATEGIZE")
    assert db.advance("SPEC")["allowed"]
    db.run("DROP TABLE phase_lease")
    db.fails("SELECT phase_advance('T', 'PLAN', 'a')", "no such")


@once
def test_what_is_lacking_and_shown_in_words(db):
    db.start()
    visit = db.value("SELECT seq FROM process_task")
    views = ("SELECT (SELECT group_concat(message, '; ') FROM (SELECT message"
             "  FROM process_missing WHERE visit = ?1"
             " ORDER BY ordinal, kind, message)),"
             " (SELECT evidence FROM process_proof WHERE visit = ?1)")
    functions = "SELECT process_lacks(?1), process_shown(?1)"
    lacks, shown = db.run(functions, (visit,))[0]
    assert lacks and shown is None
    assert db.run(views, (visit,)) == [(lacks, shown)]
    db.prove("STRATEGIZE")
    lacks, shown = db.run(functions, (visit,))[0]
    assert lacks is None and shown
    assert db.run(views, (visit,)) == [(lacks, shown)]
    for other in (None, -1, 2**63 - 1, 1.5, "x", b"x"):
        assert db.run(functions, (other,)) == [(None, None)]


@once
def test_what_was_shown_is_interrupted_without_a_leak(db):
    db.start()
    visit = db.value("SELECT seq FROM process_task")
    for i in range(50):
        db.run("INSERT INTO process_evidence(task_id, phase, kind, name)"
               " VALUES ('T', 'STRATEGIZE', 'mcp_call', ?)", (f"{i}",))
    text = db.value("SELECT process_shown(?)", (visit,))

    def interrupted():
        db.connection.setprogresshandler(lambda: True, 300)
        try:
            with pytest.raises(apsw.InterruptError):
                db.run("SELECT process_shown(?)", (visit,))
        finally:
            db.connection.setprogresshandler(None)

    interrupted()
    before = apsw.memoryused()
    for _ in range(20):
        interrupted()
    assert apsw.memoryused() < before + len(text)
    assert db.value("SELECT process_shown(?)", (visit,)) == text


@once
def test_refusing_is_for_triggers_and_harmless(db):
    for arguments, words in (("'form', 'no'", "no"),
                             ("NULL, NULL", "phase_ledger: refused"),
                             ("1, x'6e6f'", "no")):
        with pytest.raises(apsw.ConstraintError) as error:
            db.run(f"SELECT process_refuse({arguments})")
        assert str(error.value).endswith(words)
        assert error.value.extendedresult == apsw.SQLITE_CONSTRAINT_TRIGGER
