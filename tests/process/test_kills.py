"""The property: in any database reached by any interleaving of agents, every
completed task has all phases in a legal order, each entry's token was the live
lease at that moment, and each gate's evidence existed at that moment.

The order of everything is in the file: triggers of this test's own write each
lease that is granted, renewed and gone, each item of evidence and each entry to
the table `trace`, in the transaction that does it.  The queries look at that
and at the entries, not at the views of the area."""
import hashlib
import json
import pathlib
import shutil
import sqlite3
import subprocess
import sys

import pytest

from conftest import Database

CROWD = pathlib.Path(__file__).with_name("crowd.py")

TRACE = """
PRAGMA journal_mode = WAL;
CREATE TABLE trace(id INTEGER PRIMARY KEY, what TEXT NOT NULL, key ANY,
  token INTEGER, holder TEXT, expires_at INTEGER, task_id TEXT, phase TEXT,
  kind TEXT, name TEXT, exit_code INTEGER, value REAL, content ANY) STRICT;
CREATE INDEX trace_key ON trace(what, key);
CREATE INDEX trace_task ON trace(task_id, what);
CREATE TRIGGER trace_1 AFTER INSERT ON phase_lease_held BEGIN
  INSERT INTO trace(what, key, token, holder, expires_at)
  VALUES ('lease', NEW.resource, NEW.token, NEW.holder, NEW.expires_at); END;
CREATE TRIGGER trace_2 AFTER UPDATE ON phase_lease_held BEGIN
  INSERT INTO trace(what, key, token, holder, expires_at)
  VALUES ('lease', NEW.resource, NEW.token, NEW.holder, NEW.expires_at); END;
CREATE TRIGGER trace_3 AFTER DELETE ON phase_lease_held BEGIN
  INSERT INTO trace(what, key) VALUES ('lease', OLD.resource); END;
CREATE TRIGGER trace_4 AFTER INSERT ON process_evidence BEGIN
  INSERT INTO trace(what, key, task_id, phase, kind, name, exit_code, value,
                    content)
  VALUES ('shown', NEW.id, NEW.task_id, NEW.phase, NEW.kind, NEW.name,
          NEW.exit_code, NEW.value, NEW.content); END;
CREATE TRIGGER trace_5 AFTER DELETE ON process_evidence BEGIN
  INSERT INTO trace(what, key, task_id)
  VALUES ('gone', OLD.id, OLD.task_id); END;
CREATE TRIGGER trace_6 AFTER INSERT ON phase_ledger_entry BEGIN
  INSERT INTO trace(what, key, task_id)
  VALUES ('entry', NEW.seq, NEW.task_id); END;
"""

# Entries, each with its moment in the trace and that of the task's entry
# before; place: of a phase among the nine.
MOMENTS = """
CREATE TEMP TABLE moment AS
SELECT e.seq, e.at, e.task_id, e.kind, e.from_phase, e.to_phase, e.agent,
       e.token, e.evidence, t.id AS moment,
       lag(t.id) OVER way AS entered, lag(e.to_phase) OVER way AS before,
       p.ordinal AS place, b.ordinal AS place_before
  FROM phase_ledger_entry AS e
  JOIN trace AS t ON t.what = 'entry' AND t.key = e.seq
  LEFT JOIN process_phase AS p ON p.name = e.to_phase
  LEFT JOIN process_phase AS b ON b.name = e.from_phase
WINDOW way AS (PARTITION BY e.task_id ORDER BY e.seq);
CREATE TEMP TABLE item AS
SELECT m.seq, m.moment, m.entered, m.task_id, m.from_phase AS phase,
       j.value ->> 'id' AS id, j.value ->> 'kind' AS kind,
       j.value ->> 'sha256' AS sha256,
       (SELECT max(id) FROM trace
         WHERE what = 'shown' AND key = j.value ->> 'id' AND id < m.moment)
       AS shown
  FROM moment AS m, json_each(m.evidence) AS j
 WHERE m.kind IN ('advance', 'complete');
"""

PROPERTY = {
    "legal order": """
SELECT seq FROM moment
 WHERE (from_phase IS before
        AND CASE kind
              WHEN 'start'     THEN before IS NULL AND place = 1
              WHEN 'advance'   THEN place = place_before + 1
              WHEN 'backtrack' THEN place < place_before
              WHEN 'drift'     THEN place < place_before
              WHEN 'complete'  THEN place_before = 9 AND to_phase = 'DONE'
            END) IS NOT 1""",
    "all phases": """
SELECT t.task_id, p.name FROM process_task AS t CROSS JOIN process_phase AS p
 WHERE t.status = 'done'
   AND NOT EXISTS (SELECT 1 FROM phase_ledger_entry AS e
                    WHERE e.task_id = t.task_id AND e.to_phase = p.name)""",
    # What was last written of that lease before the entry is this grant, of
    # this agent, and its time had not come.
    "live lease": """
SELECT m.seq FROM moment AS m
  LEFT JOIN trace AS l
    ON l.id = (SELECT max(id) FROM trace
                WHERE what = 'lease' AND id < m.moment
                  AND key = m.task_id || '/'
                            || iif(m.kind = 'complete', m.from_phase,
                                   m.to_phase))
 WHERE m.kind <> 'drift'
   AND (l.token = m.token AND l.holder = m.agent AND l.expires_at > m.at)
       IS NOT 1""",
    # Each item in the entry was shown in this stay in this phase, and had not
    # gone.
    "evidence existed": """
SELECT i.seq, i.id FROM item AS i LEFT JOIN trace AS t ON t.id = i.shown
 WHERE (t.task_id = i.task_id AND t.phase = i.phase AND t.kind = i.kind
        AND t.id > i.entered) IS NOT 1
    OR EXISTS (SELECT 1 FROM trace AS g
                WHERE g.what = 'gone' AND g.key = i.id
                  AND g.id BETWEEN i.shown AND i.moment)""",
    # What the phase requires is among it, and the latest of each kind and name
    # is as it must be.
    "evidence sufficed": """
SELECT m.seq, r.kind, r.name FROM moment AS m
  JOIN process_requirement AS r ON r.phase = m.from_phase AND r.required
 WHERE m.kind IN ('advance', 'complete')
   AND NOT EXISTS
       (SELECT 1 FROM item AS i
          JOIN trace AS t ON t.id = i.shown
         WHERE i.seq = m.seq AND t.kind = r.kind
           AND instr(lower(t.name), lower(r.name))
           AND CASE r.rule
                 WHEN 'passes'   THEN t.exit_code = 0
                 WHEN 'at_least' THEN t.value >= r.minimum
                 WHEN 'at_most'  THEN t.value <= r.minimum
                 WHEN 'artifact' THEN length(t.content) >= r.minimum
               END)
 UNION ALL
SELECT m.seq, t.kind, t.name FROM moment AS m
  JOIN trace AS t ON t.task_id = m.task_id AND t.what = 'shown'
   AND t.id BETWEEN m.entered AND m.moment
 WHERE m.kind IN ('advance', 'complete')
   AND (t.exit_code <> 0 OR t.kind = 'phase_artifact' AND length(t.content) < 9)
   AND NOT EXISTS (SELECT 1 FROM trace AS later
                    WHERE later.task_id = t.task_id AND later.what = 'shown'
                      AND later.kind = t.kind AND later.name = t.name
                      AND later.id > t.id AND later.id < m.moment)""",
}


def crowd(path, template, seed, kills, moves, change=""):
    """Let them loose on a new file; how many were killed."""
    shutil.copy(template, path)
    plain = sqlite3.connect(path)
    plain.executescript(TRACE + change)
    plain.close()
    done = subprocess.run(
        [sys.executable, str(CROWD), str(path), str(seed), str(kills),
         str(moves)], stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    return int(done.stdout)


def findings(db):
    """Which parts of the property do not hold."""
    db.run(MOMENTS)
    found = {name for name, query in PROPERTY.items() if db.run(query)}
    for kept, content in db.run("SELECT sha256, content FROM item"
                                " LEFT JOIN trace ON trace.id = shown"):
        wanted = content and hashlib.sha256(content.encode()).hexdigest()
        if kept != wanted:
            found.add("evidence altered")
    return found


def test_p17_property_after_two_hundred_kills(tmp_path, template):
    """And L15: whoever dies in the middle of a move leaves all or nothing of
    it, and nobody else in the way."""
    path = tmp_path / "test.db"
    kills = crowd(path, template, 5, 200, 600)
    assert kills == 200
    db = Database(path)
    kinds = dict(db.run("SELECT kind, count(*) FROM phase_ledger GROUP BY 1"))
    done = db.value("SELECT count(*) FROM process_task WHERE status = 'done'")
    refused = dict(db.run("SELECT reason, count(*) FROM process_decision"
                          " WHERE decision = 'block' GROUP BY 1"))
    print(f"{kills} kills, {kinds}, {done} tasks completed, {refused}")
    assert {"start", "advance", "backtrack", "complete"} <= set(kinds)
    assert done > 5 and sum(kinds.values()) >= 600
    assert {"sequence_mismatch", "missing_evidence",
            "lease_contention"} <= set(refused)
    assert findings(db) == set()
    assert db.run("SELECT count(*) FROM process_decision WHERE decision ="
                  " 'allow' AND seq NOT IN (SELECT seq FROM phase_ledger)") \
        == [(0,)]
    assert db.value("SELECT count(*) FROM phase_ledger WHERE seq NOT IN"
                    " (SELECT seq FROM process_decision)") == 0
    assert db.run("PRAGMA integrity_check") == [("ok",)]
    db.sound()
    db.close()


def test_p12_process_rebuild_equals_the_stored_state(tmp_path, template):
    """All of it gone, and made anew from the ledgers alone."""
    path = tmp_path / "test.db"
    crowd(path, template, 9, 0, 300)
    db = Database(path)
    for table in ("process_task", "process_baseline"):
        db.run(f"DROP TRIGGER {table}_delete")
        stored = db.run(f"SELECT * FROM {table} ORDER BY 1, 2")
        db.run(f"DELETE FROM {table}")
        assert db.value("SELECT process_rebuild()") == len(stored) > 0
        assert db.run(f"SELECT * FROM {table} ORDER BY 1, 2") == stored
        assert db.value("SELECT process_rebuild()") == 0
    db.close()


# Without the rule, the same agents break that part of the property: so the
# queries would tell.
@pytest.mark.parametrize("rule, part", [
    ("process_rule_next", "legal order"),
    ("process_rule_first", "legal order"),
    ("process_rule_lease", "live lease"),
    ("process_rule_evidence", "evidence sufficed"),
])
def test_the_property_fails_without_the_rule(tmp_path, template, rule, part):
    found = set()
    for seed in range(10):  # who comes when is chance
        path = tmp_path / f"{seed}.db"
        crowd(path, template, seed, 0, 300, f"DROP TRIGGER {rule};")
        db = Database(path)
        found = findings(db)
        db.close()
        if part in found:
            break
    assert part in found


def test_the_property_fails_with_evidence_from_elsewhere(tmp_path, template):
    """The same for what an entry says was shown."""
    path = tmp_path / "test.db"
    crowd(path, template, 7, 0, 300, "DROP TRIGGER process_evidence_delete;"
          " DROP TRIGGER process_evidence_update;")
    db = Database(path)
    assert findings(db) == set()
    db.run("UPDATE trace SET content = content || 'x' WHERE what = 'shown'"
           " AND content IS NOT NULL")
    db.run("DROP TABLE temp.moment; DROP TABLE temp.item")
    assert "evidence altered" in findings(db)
    db.run("UPDATE trace SET id = id + (SELECT max(id) FROM trace)"
           " WHERE what = 'shown'")
    db.run("DROP TABLE temp.moment; DROP TABLE temp.item")
    assert "evidence existed" in findings(db)
    db.close()


def test_the_property_on_a_task_by_the_book(tmp_path, template):
    """The oracle itself, on one task that went by the book."""
    path = tmp_path / "test.db"
    crowd(path, template, 1, 0, 0)
    db = Database(path)
    db.reach("MONITOR", "by the book")
    db.prove("MONITOR", "by the book")
    assert db.complete(task="by the book")["allowed"]
    assert findings(db) == set()
    assert db.value("SELECT count(*) FROM moment") == 10
    assert [len(json.loads(row[0])) for row in db.run(
        "SELECT evidence FROM phase_ledger WHERE evidence IS NOT NULL"
        " ORDER BY seq")] == [1, 1, 1, 1, 4, 4, 1, 1, 2]
    db.close()
