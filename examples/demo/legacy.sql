-- A ledger of the original phase-enforcement system, one JSON object a line in
-- temp.line, into a Holdfast ledger.  Plain SQL: lines.sql fills temp.line in
-- the sqlite3 shell, ../orchestrator/run does in Python.
--
-- The original hashed the compact JSON of the fields entry_id, timestamp,
-- previous_hash, task_id, from_phase, to_phase, evidence_artifacts,
-- evidence_validated and, where present, agent_type and duration_ms, in that
-- order; the first line's previous_hash is 'genesis'.
--
-- Triggers recompute each hash and follow each link, and note the line that
-- fails.  The transaction commits only if there is none.

CREATE VIRTUAL TABLE legacy_ledger USING ledger(
  line        INTEGER NOT NULL UNIQUE,
  task_id     TEXT NOT NULL INDEXED,
  from_phase  TEXT,
  to_phase    TEXT NOT NULL,
  legacy_hash TEXT NOT NULL,
  legacy      TEXT NOT NULL CHECK (json_valid(legacy)),
  origin = 'example.com/legacy_ledger',
  clock  = 'caller'
);

-- What the original hashed, written again from what was parsed.
CREATE VIEW legacy_payload AS
SELECT seq,
       '{"entry_id":'            || json_quote(legacy ->> 'entry_id')
    || ',"timestamp":'           || json_quote(legacy ->> 'timestamp')
    || ',"previous_hash":'       || json_quote(legacy ->> 'previous_hash')
    || ',"task_id":'             || json_quote(legacy ->> 'task_id')
    || ',"from_phase":'          || json_quote(legacy ->> 'from_phase')
    || ',"to_phase":'            || json_quote(legacy ->> 'to_phase')
    || ',"evidence_artifacts":'  || (legacy -> 'evidence_artifacts')
    || ',"evidence_validated":'  || (legacy -> 'evidence_validated')
    || coalesce(',"agent_type":' || (legacy -> 'agent_type'), '')
    || coalesce(',"duration_ms":' || (legacy -> 'duration_ms'), '')
    || '}' AS payload
  FROM legacy_ledger_entry;

-- Lines that fail, to be named.
CREATE TABLE legacy_refused(line INTEGER, why TEXT);

CREATE TRIGGER legacy_link AFTER INSERT ON legacy_ledger_entry
WHEN (NEW.legacy ->> 'previous_hash') IS NOT coalesce(
       (SELECT legacy_hash FROM legacy_ledger_entry WHERE seq = NEW.seq - 1),
       'genesis')
BEGIN
  INSERT INTO legacy_refused VALUES (NEW.line, 'previous_hash is not the hash of the line before');
END;

CREATE TRIGGER legacy_hash AFTER INSERT ON legacy_ledger_entry
WHEN NEW.legacy_hash IS NOT (
  SELECT lower(hex(attest_sha256(payload))) FROM legacy_payload WHERE seq = NEW.seq)
BEGIN
  INSERT INTO legacy_refused VALUES (NEW.line, 'entry_hash is not the hash of the line');
END;

BEGIN;
INSERT INTO legacy_ledger(at, line, task_id, from_phase, to_phase, legacy_hash, legacy)
SELECT CAST(round((julianday(text ->> 'timestamp') - 2440587.5) * 86400000) AS INTEGER),
       rowid, text ->> 'task_id', text ->> 'from_phase', text ->> 'to_phase',
       text ->> 'entry_hash', text
  FROM line ORDER BY rowid;

SELECT 'refused: line ' || line || ': ' || why FROM legacy_refused ORDER BY line LIMIT 1;

-- All or nothing: this INSERT fails, and so ends the script before COMMIT, if a
-- line was refused.
CREATE TEMP TABLE verdict(ok CHECK (ok));
INSERT INTO temp.verdict SELECT NOT EXISTS (SELECT 1 FROM legacy_refused);
COMMIT;
SELECT line || ' ' || task_id || ' ' || coalesce(from_phase, '-') || ' > ' || to_phase
    || ' ' || substr(legacy_hash, 1, 12)
  FROM legacy_ledger ORDER BY seq;
SELECT 'head ' || hex(ledger_head('legacy_ledger'));
