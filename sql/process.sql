-- Process: phases, gates, prompt attestation.
--
-- holdfast_install('process') runs it, after the areas control and lease; or by
-- hand, with the extension loaded, behind control.sql.  Running it again
-- changes nothing.  Whoever appends to phase_ledger, by a function or a plain
-- INSERT, is held to the triggers process_rule_..., one a rule.  Without the
-- extension nobody appends.
--
-- SQLite fires the newest trigger first: the rules stand here in such an order
-- that the words come from the most telling one that is broken.  What is asked
-- at each move uses no IN with more than two values, for which SQLite would
-- make a table each time.


-- ---- what a user edits ------------------------------------------------------

-- The phases in their order, editable until the first task starts.
CREATE TABLE IF NOT EXISTS process_phase(
  name    TEXT NOT NULL PRIMARY KEY
          CHECK (name = trim(name) AND name NOT IN ('', 'DONE')
                 AND name NOT GLOB '*/*'),
  ordinal INTEGER NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

-- Kinds of evidence.
CREATE TABLE IF NOT EXISTS process_kind(
  kind        TEXT NOT NULL PRIMARY KEY
              CHECK (kind <> '' AND kind NOT GLOB '*[^a-z0-9_]*'),
  description TEXT
) STRICT, WITHOUT ROWID;

-- What a phase must show before it is left.  rule:
--   passes    the latest of each name ended with exit code 0, no failures
--   at_least  the latest has a value of at least minimum
--   at_most   the latest has a value of at most minimum
--   real      one at least is not mocked
--   artifact  the latest of each name has minimum bytes, and the words of
--             process_word
-- name: only evidence whose name has this in it; '' is any, for artifacts: any
-- that no other row is for.  required: 0 asks for nothing, but what there is
-- must be right.  absent, failing: the words for what is missing or wrong;
-- {n}, {value}, {minimum}, {name} stand for how many, how much, which.
CREATE TABLE IF NOT EXISTS process_requirement(
  phase    TEXT NOT NULL,
  kind     TEXT NOT NULL,
  name     TEXT NOT NULL DEFAULT '',
  rule     TEXT NOT NULL
           CHECK (rule IN ('passes', 'at_least', 'at_most', 'real',
                           'artifact')),
  minimum  REAL NOT NULL DEFAULT 0,
  required INTEGER NOT NULL DEFAULT 1 CHECK (required IN (0, 1)),
  ordinal  INTEGER NOT NULL DEFAULT 0,
  absent   TEXT NOT NULL DEFAULT 'No {kind} recorded',
  failing  TEXT NOT NULL DEFAULT '{kind} {value} does not satisfy {minimum}',
  PRIMARY KEY (phase, kind, name, rule)
) STRICT, WITHOUT ROWID;

-- Words of artifacts.  use: 'any', one of these must occur, in any case;
-- 'pattern', one of these must, letter by letter; 'placeholder', it must not be
-- this word alone.
CREATE TABLE IF NOT EXISTS process_word(
  phase TEXT NOT NULL,
  name  TEXT NOT NULL,
  use   TEXT NOT NULL CHECK (use IN ('any', 'pattern', 'placeholder')),
  word  TEXT NOT NULL CHECK (word <> ''),
  PRIMARY KEY (phase, name, use, word)
) STRICT, WITHOUT ROWID;

-- How grave a drift of the prompt is in a phase, medium where there is no row;
-- high blocks.  back_to: the phase that a high drift throws the task back to,
-- NULL leaves it where it is.
CREATE TABLE IF NOT EXISTS process_severity(
  phase    TEXT NOT NULL PRIMARY KEY,
  severity TEXT NOT NULL CHECK (severity IN ('low', 'medium', 'high')),
  back_to  TEXT
) STRICT, WITHOUT ROWID;

-- How grave a refusal is, and what counts it.
CREATE TABLE IF NOT EXISTS process_reason(
  reason   TEXT NOT NULL PRIMARY KEY,
  severity TEXT NOT NULL CHECK (severity IN ('low', 'medium', 'critical')),
  counter  TEXT
) STRICT, WITHOUT ROWID;


-- ---- what is recorded -------------------------------------------------------

-- Every move, one entry.  kind: start, advance, backtrack, complete, force, or
-- drift, which goes back for a high drift.  to_phase of the last is DONE.
-- token: of the lease <task_id>/<to_phase> in phase_lease, for complete
-- <task_id>/<from_phase>.  enforcement: process_mode then.  attestation: hash
-- of the entry in attestation_ledger that last attested from_phase.  evidence:
-- that of process_proof.
CREATE VIRTUAL TABLE IF NOT EXISTS phase_ledger USING ledger(
  task_id     TEXT NOT NULL INDEXED,
  kind        TEXT NOT NULL DEFAULT 'advance',
  from_phase  TEXT,
  to_phase    TEXT NOT NULL,
  agent       TEXT NOT NULL,
  token       INTEGER,
  enforcement TEXT NOT NULL DEFAULT 'enforce',
  attestation BLOB,
  evidence    TEXT,
  why         TEXT
);

CREATE VIRTUAL TABLE IF NOT EXISTS phase_lease USING lease(
  ttl_ms=300000, max_ttl_ms=3600000, max_renewals=10
);

-- Every attestation of a prompt.  kind: first, which is the baseline; attest;
-- reset, a new baseline.  baseline_seq: the entry that is the baseline; NULL is
-- this one.  changed, components: JSON, which fields differ, and the SHA-256 of
-- each.
CREATE VIRTUAL TABLE IF NOT EXISTS attestation_ledger USING ledger(
  task_id         TEXT NOT NULL INDEXED,
  phase           TEXT NOT NULL,
  kind            TEXT NOT NULL,
  prompt_hash     TEXT NOT NULL,
  baseline_seq    INTEGER,
  version         INTEGER NOT NULL,
  severity        TEXT NOT NULL,
  changed         TEXT,
  components      TEXT,
  persona_hash    TEXT,
  persona_drift   INTEGER NOT NULL DEFAULT 0,
  persona_summary TEXT,
  agent           TEXT,
  model           TEXT,
  why             TEXT,
  updated_by      TEXT
);

-- Where each task is: what its last entry in phase_ledger says.  seq: of that
-- entry.  status: active, done, or closed by force.
CREATE TABLE IF NOT EXISTS process_task(
  task_id    TEXT NOT NULL PRIMARY KEY,
  phase      TEXT NOT NULL,
  status     TEXT NOT NULL,
  agent      TEXT NOT NULL,
  token      INTEGER,
  seq        INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The baseline of each prompt, and how the last attested one compares to it:
-- what the last entry in attestation_ledger says.
CREATE TABLE IF NOT EXISTS process_baseline(
  task_id      TEXT NOT NULL,
  phase        TEXT NOT NULL,
  hash         TEXT NOT NULL,
  version      INTEGER NOT NULL,
  components   TEXT,
  persona_hash TEXT,
  severity     TEXT NOT NULL,
  baseline_seq INTEGER NOT NULL,
  seq          INTEGER NOT NULL,
  entry_hash   BLOB NOT NULL,
  PRIMARY KEY (task_id, phase)
) STRICT, WITHOUT ROWID;

-- What was done in a phase, to be shown when it is left.  exit_code: of a
-- command; value: its typed result, for a test run the failures, for coverage
-- the per cent, for a diff the files.  name: command, path.  content: what it
-- printed, or the artifact.  visit, size, sha256 fill themselves in: the entry
-- of phase_ledger that entered the phase, and what the content is.
CREATE TABLE IF NOT EXISTS process_evidence(
  id        INTEGER PRIMARY KEY,
  task_id   TEXT NOT NULL,
  phase     TEXT NOT NULL,
  kind      TEXT NOT NULL,
  name      TEXT NOT NULL DEFAULT '',
  exit_code INTEGER,
  value     REAL,
  mocked    INTEGER NOT NULL DEFAULT 0 CHECK (mocked IN (0, 1)),
  content   ANY CHECK (typeof(content) = 'text' OR typeof(content) = 'blob'
                       OR content IS NULL),
  agent     TEXT,
  visit     INTEGER,
  size      INTEGER,
  sha256    BLOB,
  at        INTEGER NOT NULL
            DEFAULT (CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                     - 210866760000000)
) STRICT;

-- What a gate asks for is in the index, apart from artifacts.
CREATE INDEX IF NOT EXISTS process_evidence_visit
    ON process_evidence(visit, kind, name, id, mocked, exit_code, value,
                        sha256);

-- Every decision about a move: allow, block or bypass, which is a move that
-- enforcement would have refused.
CREATE TABLE IF NOT EXISTS process_decision(
  id          INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL
              DEFAULT (CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                       - 210866760000000),
  decision    TEXT NOT NULL
              CHECK (decision = 'allow' OR decision = 'block'
                     OR decision = 'bypass'),
  task_id     TEXT NOT NULL,
  kind        TEXT NOT NULL,
  from_phase  TEXT,
  to_phase    TEXT,
  agent       TEXT,
  reason      TEXT,
  severity    TEXT,
  enforcement TEXT,
  seq         INTEGER,
  detail      TEXT
) STRICT;

-- What was allowed is found in phase_ledger.
CREATE INDEX IF NOT EXISTS process_decision_task
    ON process_decision(task_id, id)
 WHERE decision <> 'allow';

-- What was counted.
CREATE TABLE IF NOT EXISTS process_counter(
  name  TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;


-- ---- reading ----------------------------------------------------------------

-- How the rules are enforced now.  Doubt enforces.
CREATE VIEW IF NOT EXISTS process_mode AS
SELECT CASE
         WHEN (SELECT value FROM flag_value
                WHERE name = 'DISABLE_PHASE_ENFORCEMENT') IS '1'
         THEN 'off'
         ELSE CASE (SELECT value FROM flag_value
                     WHERE name = 'PHASE_ENFORCEMENT')
                WHEN 'observe' THEN 'observe'
                WHEN 'off'     THEN 'off'
                ELSE                'enforce'
              END
       END AS mode;

-- The leases that are held now; expires_in: seconds.
CREATE VIEW IF NOT EXISTS process_held AS
SELECT resource, holder, token, (expires_at - now) / 1000 AS expires_in
  FROM (SELECT held.resource, held.holder, held.token, held.expires_at,
               max(high.now, CAST(round(julianday('now') * 86400000.0)
                                  AS INTEGER) - 210866760000000) AS now
          FROM phase_lease_held AS held, lease_high_water AS high
         WHERE high.id = 1)
 WHERE expires_at > now;

-- The latest evidence of each kind and name, in each stay in a phase.  What is
-- mocked proves nothing.
CREATE VIEW IF NOT EXISTS process_latest AS
SELECT *
  FROM process_evidence AS e
 WHERE mocked = 0
   AND NOT EXISTS (SELECT 1 FROM process_evidence AS later
                    WHERE later.visit = e.visit AND later.kind = e.kind
                      AND later.name = e.name AND later.mocked = 0
                      AND later.id > e.id);

-- What is wrong with an artifact; NULL: nothing.
CREATE VIEW IF NOT EXISTS process_artifact AS
SELECT e.visit, e.task_id, r.phase, e.kind, e.name,
       CASE
         WHEN e.content IS NULL
         THEN 'Artifact not found: ' || e.name
         WHEN e.size < r.minimum
         THEN 'Artifact too small: ' || e.size || ' bytes (min: '
              || CAST(r.minimum AS INTEGER) || ')'
         WHEN (SELECT max(instr(CAST(e.content AS TEXT), w.word))
                 FROM process_word AS w
                WHERE w.phase = r.phase AND w.name = r.name
                  AND w.use = 'pattern') = 0
         THEN 'Artifact missing required pattern: '
              || (SELECT group_concat(word, '|') FROM process_word AS w
                   WHERE w.phase = r.phase AND w.name = r.name
                     AND w.use = 'pattern')
         WHEN (SELECT max(instr(lower(CAST(e.content AS TEXT)), lower(w.word)))
                 FROM process_word AS w
                WHERE w.phase = r.phase AND w.name = r.name
                  AND w.use = 'any') = 0
         THEN 'Artifact missing required content: one of ['
              || (SELECT group_concat(word, ', ') FROM process_word AS w
                   WHERE w.phase = r.phase AND w.name = r.name
                     AND w.use = 'any') || ']'
         WHEN EXISTS (SELECT 1 FROM process_word AS w
                       WHERE w.phase = r.phase AND w.name = r.name
                         AND w.use = 'placeholder'
                         AND trim(CAST(e.content AS TEXT),
                                  char(32, 9, 10, 11, 12, 13)) = w.word)
         THEN 'Artifact is placeholder: "'
              || trim(CAST(e.content AS TEXT), char(32, 9, 10, 11, 12, 13))
              || '"'
       END AS why
  FROM phase_ledger_entry AS v
 CROSS JOIN process_requirement AS r
    ON r.phase = v.to_phase AND r.rule = 'artifact'
 CROSS JOIN process_latest AS e
    ON e.visit = v.seq AND e.kind = r.kind
   AND (r.name <> '' AND instr(lower(e.name), lower(r.name))
        OR r.name = ''
           AND NOT EXISTS (SELECT 1 FROM process_requirement AS other
                            WHERE other.phase = r.phase AND other.name <> ''
                              AND other.rule = 'artifact'
                              AND other.kind = r.kind
                              AND instr(lower(e.name), lower(other.name))));

-- Each requirement against what there is.  seen: whether there is anything;
-- failed: how many items are not as they must be; value: of the latest.
CREATE VIEW IF NOT EXISTS process_gate AS
SELECT v.seq AS visit, v.task_id, r.phase, r.kind, r.name, r.rule, r.minimum,
       r.required, r.ordinal, r.absent, r.failing,
       EXISTS (SELECT 1 FROM process_evidence AS e
                WHERE e.visit = v.seq AND e.kind = r.kind
                  AND (e.mocked = 0 OR r.rule = 'real')
                  AND (r.name = '' OR instr(lower(e.name), lower(r.name))))
       AS seen,
       CASE r.rule
         WHEN 'passes'
         THEN (SELECT count(*) FROM process_latest AS e
                WHERE e.visit = v.seq AND e.kind = r.kind
                  AND (r.name = '' OR instr(lower(e.name), lower(r.name)))
                  AND (e.exit_code = 0 AND coalesce(e.value, 0) = 0) IS NOT 1)
         WHEN 'real'
         THEN NOT EXISTS (SELECT 1 FROM process_evidence AS e
                           WHERE e.visit = v.seq AND e.kind = r.kind
                             AND e.mocked = 0
                             AND (r.name = ''
                                  OR instr(lower(e.name), lower(r.name))))
         WHEN 'artifact'
         THEN 0
         ELSE (SELECT iif(r.rule = 'at_least', e.value >= r.minimum,
                          e.value <= r.minimum)
                 FROM process_evidence AS e
                WHERE e.id = (SELECT max(last.id)
                                FROM process_evidence AS last
                               WHERE last.visit = v.seq
                                 AND last.kind = r.kind AND last.mocked = 0
                                 AND (r.name = ''
                                      OR instr(lower(last.name),
                                               lower(r.name))))) IS NOT 1
       END AS failed,
       coalesce((SELECT e.value
                   FROM process_evidence AS e
                  WHERE e.id = (SELECT max(last.id)
                                  FROM process_evidence AS last
                                 WHERE last.visit = v.seq
                                   AND last.kind = r.kind AND last.mocked = 0
                                   AND (r.name = ''
                                        OR instr(lower(last.name),
                                                 lower(r.name))))), 0)
       AS value
  FROM phase_ledger_entry AS v
 CROSS JOIN process_requirement AS r ON r.phase = v.to_phase;

-- Those that are not satisfied, in words.
CREATE VIEW IF NOT EXISTS process_lacking AS
SELECT visit, task_id, phase, kind, ordinal,
       replace(replace(replace(replace(replace(
         iif(seen, failing, absent),
         '{n}', failed),
         '{value}', printf('%.15g', value)),
         '{minimum}', printf('%.15g', minimum)),
         '{kind}', kind),
         '{name}', name) AS message
  FROM process_gate
 WHERE (required OR rule <> 'artifact')
   AND iif(seen, failed, required);

-- What keeps a task in the phase that the entry `visit` entered; no row:
-- nothing.
CREATE VIEW IF NOT EXISTS process_missing AS
SELECT visit, task_id, phase, 1 AS ordinal, kind,
       'Semantic validation failed: ' || name || ': ' || why AS message
  FROM process_artifact
 WHERE why IS NOT NULL
 UNION ALL
SELECT visit, task_id, phase, ordinal, kind, message
  FROM process_lacking;

-- The evidence of a stay in a phase, as an entry of phase_ledger has it.
CREATE VIEW IF NOT EXISTS process_proof AS
SELECT v.seq AS visit, v.task_id, v.to_phase AS phase,
       (SELECT '[' || group_concat(item) || ']'
          FROM (SELECT '{"id":' || id || ',"kind":"' || kind || '","sha256":'
                       || iif(sha256 IS NULL, 'null}',
                              '"' || lower(hex(sha256)) || '"}') AS item
                  FROM process_evidence
                 WHERE visit = v.seq
                 ORDER BY kind, name, id)) AS evidence
  FROM phase_ledger_entry AS v;

-- A task's way, in order.
CREATE VIEW IF NOT EXISTS process_history AS
SELECT seq, at, task_id, kind, from_phase, to_phase, agent, token, enforcement,
       at - lag(at) OVER (PARTITION BY task_id ORDER BY seq) AS duration_ms,
       attestation, evidence, why
  FROM phase_ledger_entry;

-- Every entry that breaks a rule, looked at again from the entries alone; no
-- row: every task has kept to them.  Bypasses are in here, moves by force and
-- for a drift are not.
CREATE VIEW IF NOT EXISTS process_illegal AS
SELECT seq, task_id, kind, from_phase, to_phase, enforcement,
       CASE
         WHEN from_phase IS NOT before          THEN 'does not follow'
         WHEN kind = 'start' AND before IS NOT NULL
         THEN 'starts again'
         WHEN kind = 'start'
         THEN iif(place IS NOT (SELECT min(ordinal) FROM process_phase),
                  'does not start with the first phase', NULL)
         WHEN before IS NULL AND kind <> 'force'
         THEN 'not in work cycle'
         WHEN before = 'DONE'                   THEN 'after completion'
         WHEN kind = 'advance' AND place IS NOT next_place
         THEN 'not the next phase'
         WHEN kind = 'backtrack' AND (place < before_place) IS NOT 1
         THEN 'not an earlier phase'
         WHEN kind = 'complete'
              AND (before_place IS NOT (SELECT max(ordinal) FROM process_phase)
                   OR EXISTS (SELECT 1 FROM process_phase AS p
                               WHERE NOT EXISTS
                                     (SELECT 1 FROM phase_ledger_entry AS e
                                       WHERE e.task_id = w.task_id
                                         AND e.to_phase = p.name
                                         AND e.seq < w.seq)))
         THEN 'not through all phases'
         WHEN kind IN ('start', 'advance', 'backtrack', 'complete')
              AND (token >= coalesce(token_before, 0)) IS NOT 1
         THEN 'a token that is not the latest'
       END AS finding
  FROM (SELECT e.*, p.ordinal AS place, b.ordinal AS before_place,
               (SELECT min(ordinal) FROM process_phase AS n
                 WHERE n.ordinal > b.ordinal) AS next_place
          FROM (SELECT seq, task_id, kind, from_phase, to_phase, enforcement,
                       token,
                       lag(to_phase) OVER way AS before,
                       max(token) OVER (PARTITION BY task_id ORDER BY seq
                                        ROWS BETWEEN UNBOUNDED PRECEDING
                                        AND 1 PRECEDING) AS token_before
                  FROM phase_ledger_entry
                WINDOW way AS (PARTITION BY task_id ORDER BY seq)) AS e
          LEFT JOIN process_phase AS p ON p.name = e.to_phase
          LEFT JOIN process_phase AS b ON b.name = e.before) AS w
 WHERE finding IS NOT NULL;


-- ---- the state is what the ledgers say --------------------------------------

CREATE TRIGGER IF NOT EXISTS process_phase_insert BEFORE INSERT ON process_phase
WHEN EXISTS (SELECT 1 FROM phase_ledger_entry)
BEGIN
  SELECT RAISE(ABORT,
      'process_phase: the phases are in use; edit them before the first task');
END;

CREATE TRIGGER IF NOT EXISTS process_phase_update BEFORE UPDATE ON process_phase
WHEN EXISTS (SELECT 1 FROM phase_ledger_entry)
BEGIN
  SELECT RAISE(ABORT,
      'process_phase: the phases are in use; edit them before the first task');
END;

CREATE TRIGGER IF NOT EXISTS process_phase_delete BEFORE DELETE ON process_phase
WHEN EXISTS (SELECT 1 FROM phase_ledger_entry)
BEGIN
  SELECT RAISE(ABORT,
      'process_phase: the phases are in use; edit them before the first task');
END;

CREATE TRIGGER IF NOT EXISTS process_task_insert BEFORE INSERT ON process_task
WHEN (NEW.task_id, NEW.phase, NEW.agent, NEW.token, NEW.seq, NEW.updated_at,
      NEW.status) IS NOT
     (SELECT task_id, to_phase, agent, token, seq, at,
             CASE WHEN to_phase <> 'DONE'  THEN 'active'
                  WHEN kind = 'complete'   THEN 'done'
                  ELSE                          'closed' END
        FROM phase_ledger_entry
       WHERE task_id = NEW.task_id
       ORDER BY seq DESC LIMIT 1)
BEGIN
  SELECT RAISE(ABORT,
      'process_task is what phase_ledger says; process_rebuild() renews it');
END;

CREATE TRIGGER IF NOT EXISTS process_task_update BEFORE UPDATE ON process_task
WHEN NEW.task_id IS NOT OLD.task_id
     OR (NEW.task_id, NEW.phase, NEW.agent, NEW.token, NEW.seq, NEW.updated_at,
         NEW.status) IS NOT
        (SELECT task_id, to_phase, agent, token, seq, at,
                CASE WHEN to_phase <> 'DONE'  THEN 'active'
                     WHEN kind = 'complete'   THEN 'done'
                     ELSE                          'closed' END
           FROM phase_ledger_entry
          WHERE task_id = NEW.task_id
          ORDER BY seq DESC LIMIT 1)
BEGIN
  SELECT RAISE(ABORT,
      'process_task is what phase_ledger says; process_rebuild() renews it');
END;

CREATE TRIGGER IF NOT EXISTS process_task_delete BEFORE DELETE ON process_task
WHEN EXISTS (SELECT 1 FROM phase_ledger_entry WHERE task_id = OLD.task_id)
BEGIN
  SELECT RAISE(ABORT,
      'process_task is what phase_ledger says; process_rebuild() renews it');
END;

-- A baseline only goes on to a later entry.
CREATE TRIGGER IF NOT EXISTS process_baseline_insert
BEFORE INSERT ON process_baseline
WHEN (NEW.task_id, NEW.phase, NEW.version, NEW.severity, NEW.entry_hash,
      NEW.baseline_seq) IS NOT
     (SELECT task_id, phase, version, severity, hash,
             coalesce(baseline_seq, seq)
        FROM attestation_ledger_entry
       WHERE seq = NEW.seq)
     OR (NEW.hash, NEW.components, NEW.persona_hash) IS NOT
        (SELECT prompt_hash, components, persona_hash
           FROM attestation_ledger_entry
          WHERE seq = NEW.baseline_seq)
     OR EXISTS (SELECT 1 FROM process_baseline
                 WHERE task_id = NEW.task_id AND phase = NEW.phase
                   AND seq > NEW.seq)
BEGIN
  SELECT RAISE(ABORT,
      'process_baseline is what attestation_ledger says; prompt_baseline()');
END;

CREATE TRIGGER IF NOT EXISTS process_baseline_update
BEFORE UPDATE ON process_baseline
WHEN (NEW.task_id, NEW.phase) IS NOT (OLD.task_id, OLD.phase)
     OR (NEW.seq >= OLD.seq) IS NOT 1
     OR (NEW.task_id, NEW.phase, NEW.version, NEW.severity, NEW.entry_hash,
         NEW.baseline_seq) IS NOT
        (SELECT task_id, phase, version, severity, hash,
                coalesce(baseline_seq, seq)
           FROM attestation_ledger_entry
          WHERE seq = NEW.seq)
     OR (NEW.hash, NEW.components, NEW.persona_hash) IS NOT
        (SELECT prompt_hash, components, persona_hash
           FROM attestation_ledger_entry
          WHERE seq = NEW.baseline_seq)
BEGIN
  SELECT RAISE(ABORT,
      'process_baseline is what attestation_ledger says; prompt_baseline()');
END;

CREATE TRIGGER IF NOT EXISTS process_baseline_delete
BEFORE DELETE ON process_baseline
WHEN EXISTS (SELECT 1 FROM attestation_ledger_entry
              WHERE seq = OLD.seq AND task_id = OLD.task_id
                AND phase = OLD.phase)
BEGIN
  SELECT RAISE(ABORT,
      'process_baseline is what attestation_ledger says; prompt_baseline()');
END;


-- ---- decisions and counters -------------------------------------------------

CREATE TRIGGER IF NOT EXISTS process_decision_insert
BEFORE INSERT ON process_decision
WHEN EXISTS (SELECT 1 FROM process_decision WHERE id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'process_decision is append-only; leave id out');
END;

CREATE TRIGGER IF NOT EXISTS process_decision_update
BEFORE UPDATE ON process_decision
WHEN (OLD.severity IS NULL
      AND (NEW.id, NEW.at, NEW.decision, NEW.task_id, NEW.kind, NEW.from_phase,
           NEW.to_phase, NEW.agent, NEW.reason, NEW.enforcement, NEW.seq,
           NEW.detail) IS
          (OLD.id, OLD.at, OLD.decision, OLD.task_id, OLD.kind, OLD.from_phase,
           OLD.to_phase, OLD.agent, OLD.reason, OLD.enforcement, OLD.seq,
           OLD.detail)
      AND NEW.severity = coalesce((SELECT severity FROM process_reason
                                    WHERE reason = NEW.reason), 'low'))
     IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'process_decision is append-only');
END;

-- What is older than PHASE_DECISION_KEEP_MS may be cleaned away.
CREATE TRIGGER IF NOT EXISTS process_decision_delete
BEFORE DELETE ON process_decision
WHEN (OLD.at < CAST(round(julianday('now') * 86400000.0) AS INTEGER)
               - 210866760000000
               - (SELECT CAST(value AS INTEGER) FROM flag_value
                   WHERE name = 'PHASE_DECISION_KEEP_MS')) IS NOT 1
BEGIN
  SELECT RAISE(ABORT,
      'process_decision is append-only, and kept for PHASE_DECISION_KEEP_MS');
END;

CREATE TRIGGER IF NOT EXISTS process_decision_count
AFTER INSERT ON process_decision
WHEN NEW.reason IS NOT NULL
BEGIN
  UPDATE process_decision
     SET severity = coalesce((SELECT severity FROM process_reason
                               WHERE reason = NEW.reason), 'low')
   WHERE id = NEW.id AND severity IS NULL;
  INSERT INTO process_counter(name, value)
  SELECT counter, 1 FROM process_reason
   WHERE reason = NEW.reason AND counter IS NOT NULL
      ON CONFLICT(name) DO UPDATE SET value = value + 1;
  INSERT INTO process_counter(name, value)
  SELECT 'tasks_rejected_for_process_violation', 1
   WHERE NEW.decision = 'block'
      ON CONFLICT(name) DO UPDATE SET value = value + 1;
END;


-- ---- evidence ---------------------------------------------------------------

-- It is of the phase that the task is in.
CREATE TRIGGER IF NOT EXISTS process_evidence_insert
BEFORE INSERT ON process_evidence
BEGIN
  SELECT process_refuse('evidence', 'process_evidence: ' || CASE
           WHEN phase IS NULL
           THEN 'task ''' || coalesce(substr(NEW.task_id, 1, 100), 'NULL')
                || ''' not in work cycle; phase_start() begins it'
           WHEN phase = 'DONE'
           THEN 'task ''' || substr(NEW.task_id, 1, 100)
                || ''' has ended'
           ELSE 'task ''' || substr(NEW.task_id, 1, 100) || ''' is in '
                || phase || ', not '
                || coalesce(substr(NEW.phase, 1, 100), 'NULL')
         END)
    FROM (SELECT (SELECT to_phase FROM phase_ledger_entry
                   WHERE task_id = NEW.task_id
                   ORDER BY seq DESC LIMIT 1) AS phase)
   WHERE phase IS NULL OR phase = 'DONE' OR phase IS NOT NEW.phase;
  SELECT process_refuse('evidence', 'process_evidence: there is no kind '
           || coalesce(substr(NEW.kind, 1, 100), 'NULL') || '; there are '
           || coalesce((SELECT group_concat(kind, ', ') FROM process_kind),
                       'none'))
   WHERE NOT EXISTS (SELECT 1 FROM process_kind WHERE kind = NEW.kind);
  SELECT process_refuse('evidence',
           'process_evidence: visit, size and sha256 fill themselves in; leave '
           || 'them out')
   WHERE NEW.visit IS NOT NULL OR NEW.size IS NOT NULL
      OR (NEW.sha256 IS NOT NULL
          AND NEW.sha256 IS NOT attest_sha256(NEW.content));
  SELECT process_refuse('evidence',
           'process_evidence is append-only; leave id out')
   WHERE EXISTS (SELECT 1 FROM process_evidence WHERE id = NEW.id);
END;

CREATE TRIGGER IF NOT EXISTS process_evidence_inserted
AFTER INSERT ON process_evidence
BEGIN
  UPDATE process_evidence
     SET visit = (SELECT seq FROM phase_ledger_entry
                   WHERE task_id = NEW.task_id
                   ORDER BY seq DESC LIMIT 1),
         size = length(CAST(NEW.content AS BLOB)),
         sha256 = attest_sha256(NEW.content)
   WHERE id = NEW.id;
  SELECT process_refuse('evidence',
           'process_evidence: a trigger has swallowed the digest')
   WHERE (SELECT visit FROM process_evidence WHERE id = NEW.id) IS NULL;
END;

-- A row fills itself in once, rightly, and stays.
CREATE TRIGGER IF NOT EXISTS process_evidence_update
BEFORE UPDATE ON process_evidence
WHEN (OLD.visit IS NULL
      AND (NEW.id, NEW.task_id, NEW.phase, NEW.kind, NEW.name, NEW.exit_code,
           NEW.value, NEW.mocked, NEW.agent, NEW.at) IS
          (OLD.id, OLD.task_id, OLD.phase, OLD.kind, OLD.name, OLD.exit_code,
           OLD.value, OLD.mocked, OLD.agent, OLD.at)
      AND NEW.content IS OLD.content
      AND (NEW.visit, NEW.phase) =
          (SELECT seq, to_phase FROM phase_ledger_entry
            WHERE task_id = NEW.task_id
            ORDER BY seq DESC LIMIT 1)
      AND NEW.size IS length(CAST(OLD.content AS BLOB))
      AND NEW.sha256 IS attest_sha256(OLD.content)) IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'process_evidence is append-only');
END;

-- What a task is to be judged by stays while it is in that phase.
CREATE TRIGGER IF NOT EXISTS process_evidence_delete
BEFORE DELETE ON process_evidence
WHEN (OLD.visit < (SELECT seq FROM phase_ledger_entry
                    WHERE task_id = OLD.task_id
                    ORDER BY seq DESC LIMIT 1)) IS NOT 1
BEGIN
  SELECT RAISE(ABORT,
      'process_evidence: it stays while the task is in that phase');
END;


-- ---- attestation ------------------------------------------------------------

-- The first attestation is the baseline.
CREATE TRIGGER IF NOT EXISTS process_rule_attest_first
BEFORE INSERT ON attestation_ledger_entry
WHEN NEW.kind = 'first'
     AND (NEW.baseline_seq IS NULL AND NEW.version = 1
          AND NEW.severity = 'none' AND NEW.persona_drift = 0
          AND NOT EXISTS (SELECT 1 FROM process_baseline
                           WHERE task_id = NEW.task_id AND phase = NEW.phase))
         IS NOT 1
BEGIN
  SELECT RAISE(ABORT,
      'attestation_ledger: there is a baseline; use prompt_attest()');
END;

-- Each further one is compared with it.
CREATE TRIGGER IF NOT EXISTS process_rule_attest
BEFORE INSERT ON attestation_ledger_entry
WHEN NEW.kind = 'attest'
     AND (NEW.baseline_seq, NEW.version, NEW.severity, NEW.persona_drift) IS NOT
         (SELECT baseline_seq, version,
                 iif(hash = NEW.prompt_hash, 'none',
                     coalesce((SELECT severity FROM process_severity
                                WHERE phase = NEW.phase), 'medium')),
                 (persona_hash <> NEW.persona_hash) IS 1
            FROM process_baseline
           WHERE task_id = NEW.task_id AND phase = NEW.phase)
BEGIN
  SELECT RAISE(ABORT,
      'attestation_ledger: not what the baseline says; use prompt_attest()');
END;

-- A new baseline has the next version, and says by whom and why.
CREATE TRIGGER IF NOT EXISTS process_rule_attest_reset
BEFORE INSERT ON attestation_ledger_entry
WHEN NEW.kind = 'reset'
     AND (NEW.baseline_seq IS NULL AND NEW.persona_drift = 0
          AND trim(NEW.why, char(32, 9, 10, 11, 12, 13)) <> ''
          AND trim(NEW.updated_by, char(32, 9, 10, 11, 12, 13)) <> ''
          AND NEW.version =
              1 + coalesce((SELECT version FROM process_baseline
                             WHERE task_id = NEW.task_id
                               AND phase = NEW.phase), 0)
          AND NEW.severity =
              iif(coalesce((SELECT prompt_hash FROM attestation_ledger_entry
                             WHERE task_id = NEW.task_id AND phase = NEW.phase
                               AND kind <> 'reset'
                             ORDER BY seq DESC LIMIT 1), NEW.prompt_hash)
                  = NEW.prompt_hash, 'none',
                  coalesce((SELECT severity FROM process_severity
                             WHERE phase = NEW.phase), 'medium'))) IS NOT 1
BEGIN
  SELECT RAISE(ABORT,
      'attestation_ledger: a reset has the next version, why and updated_by');
END;

CREATE TRIGGER IF NOT EXISTS process_rule_attest_form
BEFORE INSERT ON attestation_ledger_entry
WHEN ((NEW.kind = 'first' OR NEW.kind = 'attest' OR NEW.kind = 'reset')
      AND NEW.task_id <> ''
      AND NEW.phase <> '' AND length(NEW.prompt_hash) = 64
      AND NEW.prompt_hash NOT GLOB '*[^0-9a-f]*') IS NOT 1
BEGIN
  SELECT RAISE(ABORT,
      'attestation_ledger: kind is first, attest or reset, prompt_hash 64 hex');
END;

CREATE TRIGGER IF NOT EXISTS process_attested
AFTER INSERT ON attestation_ledger_entry
BEGIN
  INSERT INTO process_baseline(task_id, phase, hash, version, components,
                               persona_hash, severity, baseline_seq, seq,
                               entry_hash)
  SELECT NEW.task_id, NEW.phase, b.prompt_hash, NEW.version, b.components,
         b.persona_hash, NEW.severity, b.seq, NEW.seq, NEW.hash
    FROM attestation_ledger_entry AS b
   WHERE b.seq = coalesce(NEW.baseline_seq, NEW.seq)
      ON CONFLICT(task_id, phase) DO UPDATE
     SET hash = excluded.hash, version = excluded.version,
         components = excluded.components,
         persona_hash = excluded.persona_hash, severity = excluded.severity,
         baseline_seq = excluded.baseline_seq, seq = excluded.seq,
         entry_hash = excluded.entry_hash;
  SELECT process_refuse('state',
           'attestation_ledger: a trigger has swallowed the baseline')
   WHERE NOT EXISTS (SELECT 1 FROM process_baseline
                      WHERE task_id = NEW.task_id AND phase = NEW.phase
                        AND seq = NEW.seq);
  INSERT INTO process_counter(name, value)
  SELECT 'prompt_drift_detected', 1 + NEW.persona_drift
   WHERE NEW.kind = 'attest' AND NEW.severity <> 'none'
      ON CONFLICT(name) DO UPDATE SET value = value + excluded.value;
  INSERT INTO process_counter(name, value)
  SELECT 'prompt_drift_high', 1
   WHERE NEW.kind = 'attest' AND NEW.severity = 'high'
      ON CONFLICT(name) DO UPDATE SET value = value + 1;
END;


-- ---- the rules of phase_ledger ----------------------------------------------

-- After a move: the state, the decision, the counters.  What was shown in a
-- phase that is left by any other way than forward is of no use any more.
CREATE TRIGGER IF NOT EXISTS process_moved AFTER INSERT ON phase_ledger_entry
BEGIN
  INSERT INTO process_task(task_id, phase, status, agent, token, seq,
                           updated_at)
  VALUES (NEW.task_id, NEW.to_phase,
          CASE WHEN NEW.to_phase <> 'DONE'  THEN 'active'
               WHEN NEW.kind = 'complete'   THEN 'done'
               ELSE                              'closed' END,
          NEW.agent, NEW.token, NEW.seq, NEW.at)
      ON CONFLICT(task_id) DO UPDATE
     SET phase = excluded.phase, status = excluded.status,
         agent = excluded.agent, token = excluded.token, seq = excluded.seq,
         updated_at = excluded.updated_at;
  SELECT process_refuse('state',
           'phase_ledger: a trigger has swallowed the state of the task')
   WHERE NOT EXISTS (SELECT 1 FROM process_task
                      WHERE task_id = NEW.task_id AND seq = NEW.seq);
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, reason, enforcement, seq, detail)
  VALUES (iif(NEW.enforcement = 'off' OR NEW.kind = 'force', 'bypass', 'allow'),
          NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase, NEW.agent,
          CASE WHEN NEW.kind = 'force'       THEN 'forced'
               WHEN NEW.kind = 'drift'       THEN 'prompt_drift_back'
               WHEN NEW.enforcement = 'off'  THEN 'enforcement_off' END,
          NEW.enforcement, NEW.seq, NEW.why);
  DELETE FROM process_evidence
   WHERE NEW.kind NOT IN ('advance', 'complete') AND NEW.kind <> 'start'
     AND visit = (SELECT seq FROM phase_ledger_entry
                   WHERE task_id = NEW.task_id AND seq < NEW.seq
                   ORDER BY seq DESC LIMIT 1);
  INSERT INTO process_counter(name, value)
  SELECT 'phase_backtracks', 1
   WHERE NEW.kind = 'backtrack'
      ON CONFLICT(name) DO UPDATE SET value = value + 1;
END;

-- The entry says what is so: how the rules are enforced, what was attested,
-- and what was shown.  No mode waives this.
CREATE TRIGGER IF NOT EXISTS process_rule_record
BEFORE INSERT ON phase_ledger_entry
BEGIN
  SELECT process_refuse('record',
           'phase_ledger: enforcement is ' || mode || ' now (process_mode)')
    FROM process_mode
   WHERE NEW.enforcement IS NOT mode;
  SELECT process_refuse('record', 'phase_ledger: attestation must be the '
           || 'entry_hash of ' || substr(NEW.task_id, 1, 100)
           || ' in process_baseline for the phase that is left')
   WHERE NEW.attestation IS NOT
         (SELECT entry_hash FROM process_baseline
           WHERE task_id = NEW.task_id AND phase = NEW.from_phase);
  SELECT process_refuse('record', 'phase_ledger: evidence must be that of '
           || substr(NEW.task_id, 1, 100) || ' in process_proof')
   WHERE NEW.evidence IS NOT
         process_shown((SELECT seq FROM phase_ledger_entry
                         WHERE task_id = NEW.task_id
                         ORDER BY seq DESC LIMIT 1));
END;

-- A task ends when it has been in every phase.
CREATE TRIGGER IF NOT EXISTS process_rule_all
BEFORE INSERT ON phase_ledger_entry
WHEN NEW.kind = 'complete' AND NEW.enforcement IS NOT 'off'
     AND EXISTS (SELECT 1 FROM process_phase AS p
                  WHERE NOT EXISTS (SELECT 1 FROM phase_ledger_entry
                                     WHERE task_id = NEW.task_id
                                       AND to_phase = p.name))
BEGIN
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, enforcement, seq, reason, detail)
  SELECT 'bypass', NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase,
         NEW.agent, NEW.enforcement, NEW.seq, 'final_verification_failed',
         iif(NEW.enforcement = 'observe', words,
             process_refuse('final_verification_failed', words))
    FROM (SELECT 'phase_ledger: task ''' || substr(NEW.task_id, 1, 100)
                 || ''' cannot complete: it was never in '
                 || group_concat(name, ', ') AS words
            FROM (SELECT name FROM process_phase AS p
                   WHERE NOT EXISTS (SELECT 1 FROM phase_ledger_entry
                                      WHERE task_id = NEW.task_id
                                        AND to_phase = p.name)
                   ORDER BY ordinal));
END;

-- Fencing: tokens of a task only grow.
CREATE TRIGGER IF NOT EXISTS process_rule_token
BEFORE INSERT ON phase_ledger_entry
WHEN NEW.kind NOT IN ('force', 'drift')
     AND NEW.enforcement IS NOT 'off'
     AND (NEW.token - (NEW.kind <> 'complete')
          >= coalesce((SELECT token FROM phase_ledger_entry
                        WHERE task_id = NEW.task_id AND token IS NOT NULL
                        ORDER BY seq DESC LIMIT 1), 0)) IS NOT 1
BEGIN
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, enforcement, seq, reason, detail)
  SELECT 'bypass', NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase,
         NEW.agent, NEW.enforcement, NEW.seq, 'stale_token',
         iif(NEW.enforcement = 'observe', words,
             process_refuse('stale_token', words))
    FROM (SELECT 'phase_ledger: task ''' || substr(NEW.task_id, 1, 100)
                 || ''': token ' || coalesce(NEW.token, 'NULL')
                 || ' is not later than the task''s last; release the lease '
                 || 'and acquire it again' AS words);
END;

-- The agent holds the lease of the phase that it enters, or completes in.
CREATE TRIGGER IF NOT EXISTS process_rule_lease
BEFORE INSERT ON phase_ledger_entry
WHEN NEW.kind NOT IN ('force', 'drift')
     AND NEW.enforcement IS NOT 'off'
     AND (SELECT holder FROM process_held
           WHERE resource = NEW.task_id || '/'
                            || iif(NEW.kind = 'complete', NEW.from_phase,
                                   NEW.to_phase)
             AND token = NEW.token) IS NOT NEW.agent
BEGIN
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, enforcement, seq, reason, detail)
  SELECT 'bypass', NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase,
         NEW.agent, NEW.enforcement, NEW.seq, why,
         iif(NEW.enforcement = 'observe', words, process_refuse(why, words))
    FROM (SELECT CASE WHEN h.holder IS NULL OR h.holder = NEW.agent
                      THEN 'lease_missing'
                      WHEN NEW.kind = 'backtrack'
                      THEN 'backtrack_lease_conflict'
                      ELSE 'lease_contention' END AS why,
                 'phase_ledger: task ''' || substr(NEW.task_id, 1, 100)
                 || ''', ' || l.phase
                 || CASE WHEN h.holder IS NULL OR h.holder = NEW.agent
                         THEN ': the agent does not hold its lease with token '
                              || coalesce(NEW.token, 'NULL')
                              || '; acquire it in phase_lease'
                         ELSE ': Phase lease already held by '
                              || substr(h.holder, 1, 100)
                              || ' (expires in ' || h.expires_in || 's)'
                    END AS words
            FROM (SELECT iif(NEW.kind = 'complete', NEW.from_phase,
                             NEW.to_phase) AS phase) AS l
            LEFT JOIN process_held AS h
              ON h.resource = NEW.task_id || '/' || l.phase);
END;

-- The phase that is left is complete.  Going back needs no proof.
CREATE TRIGGER IF NOT EXISTS process_rule_evidence
BEFORE INSERT ON phase_ledger_entry
WHEN NEW.kind IN ('advance', 'complete') AND NEW.enforcement IS NOT 'off'
     AND (EXISTS (SELECT 1 FROM process_lacking
                   WHERE visit = (SELECT seq FROM phase_ledger_entry
                                   WHERE task_id = NEW.task_id
                                   ORDER BY seq DESC LIMIT 1))
          OR EXISTS (SELECT 1 FROM process_artifact
                      WHERE why IS NOT NULL
                        AND visit = (SELECT seq FROM phase_ledger_entry
                                      WHERE task_id = NEW.task_id
                                      ORDER BY seq DESC LIMIT 1)))
BEGIN
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, enforcement, seq, reason, detail)
  SELECT 'bypass', NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase,
         NEW.agent, NEW.enforcement, NEW.seq, why,
         iif(NEW.enforcement = 'observe', words, process_refuse(why, words))
    FROM (SELECT iif(NEW.kind = 'complete', 'final_verification_failed',
                     'missing_evidence') AS why,
                 'phase_ledger: task ''' || substr(NEW.task_id, 1, 100)
                 || ''', ' || NEW.from_phase || ': '
                 || process_lacks(seq) AS words
            FROM phase_ledger_entry
           WHERE task_id = NEW.task_id
           ORDER BY seq DESC LIMIT 1);
END;

-- No grave drift of the prompt is unresolved in the phase that is left.
CREATE TRIGGER IF NOT EXISTS process_rule_drift
BEFORE INSERT ON phase_ledger_entry
WHEN NEW.kind IN ('advance', 'complete') AND NEW.enforcement IS NOT 'off'
     AND (SELECT severity FROM process_baseline
           WHERE task_id = NEW.task_id AND phase = NEW.from_phase) IS 'high'
BEGIN
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, enforcement, seq, reason, detail)
  SELECT 'bypass', NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase,
         NEW.agent, NEW.enforcement, NEW.seq, 'prompt_drift_high',
         iif(NEW.enforcement = 'observe', words,
             process_refuse('prompt_drift_high', words))
    FROM (SELECT 'phase_ledger: task ''' || substr(NEW.task_id, 1, 100)
                 || ''', ' || NEW.from_phase
                 || ': High severity prompt drift (CRITICAL: Prompt drift in '
                 || 'critical phase - review immediately)' AS words);
END;

-- Nobody else is at work in the phase that is left.
CREATE TRIGGER IF NOT EXISTS process_rule_left
BEFORE INSERT ON phase_ledger_entry
WHEN NEW.kind NOT IN ('force', 'drift') AND NEW.kind <> 'start'
     AND NEW.enforcement IS NOT 'off'
     AND EXISTS (SELECT 1 FROM process_held
                  WHERE resource = NEW.task_id || '/' || NEW.from_phase
                    AND holder IS NOT NEW.agent)
BEGIN
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, enforcement, seq, reason, detail)
  SELECT 'bypass', NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase,
         NEW.agent, NEW.enforcement, NEW.seq, 'lease_contention',
         iif(NEW.enforcement = 'observe', words,
             process_refuse('lease_contention', words))
    FROM (SELECT 'phase_ledger: task ''' || substr(NEW.task_id, 1, 100)
                 || ''', ' || NEW.from_phase || ': Phase lease already held by '
                 || substr(holder, 1, 100) || ' (expires in ' || expires_in
                 || 's)' AS words
            FROM process_held
           WHERE resource = NEW.task_id || '/' || NEW.from_phase);
END;

-- Forward by exactly one, or back to an earlier phase; it completes in the
-- last; a grave drift goes back to where process_severity says.
CREATE TRIGGER IF NOT EXISTS process_rule_next
BEFORE INSERT ON phase_ledger_entry
WHEN NEW.kind NOT IN ('start', 'force')
     AND NEW.enforcement IS NOT 'off'
     AND NEW.from_phase IS NOT NULL AND NEW.from_phase IS NOT 'DONE'
     AND CASE NEW.kind
           WHEN 'advance'
           THEN NEW.to_phase IS
                (SELECT name FROM process_phase
                  WHERE ordinal > (SELECT ordinal FROM process_phase
                                    WHERE name = NEW.from_phase)
                  ORDER BY ordinal LIMIT 1)
           WHEN 'backtrack'
           THEN (SELECT ordinal FROM process_phase WHERE name = NEW.to_phase)
                < (SELECT ordinal FROM process_phase
                    WHERE name = NEW.from_phase)
           WHEN 'complete'
           THEN NEW.from_phase IS (SELECT name FROM process_phase
                                    ORDER BY ordinal DESC LIMIT 1)
           ELSE NEW.to_phase = (SELECT s.back_to
                                  FROM process_severity AS s
                                  JOIN process_baseline AS b
                                    ON b.task_id = NEW.task_id
                                   AND b.phase = s.phase
                                   AND b.severity = 'high'
                                 WHERE s.phase = NEW.from_phase)
         END IS NOT 1
BEGIN
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, enforcement, seq, reason, detail)
  SELECT 'bypass', NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase,
         NEW.agent, NEW.enforcement, NEW.seq, why,
         iif(NEW.enforcement = 'observe', words, process_refuse(why, words))
    FROM (SELECT CASE
                   WHEN other IS NOT NULL THEN 'lease_contention'
                   WHEN drifted IS NOT NULL AND NEW.kind = 'advance'
                   THEN 'prompt_drift_high'
                   WHEN NEW.kind = 'advance' AND next IS NULL
                   THEN 'no_next_phase'
                   ELSE 'sequence_mismatch'
                 END AS why,
                 'phase_ledger: task ''' || substr(NEW.task_id, 1, 100)
                 || ''' is in ' || NEW.from_phase || '; '
                 || CASE NEW.kind
                      WHEN 'advance'
                      THEN iif(next IS NULL,
                               'it is the last phase, and phase_complete() '
                               || 'ends the task',
                               NEW.to_phase || ' is not the next phase '
                               || '(expected ' || next || ')')
                      WHEN 'backtrack'
                      THEN 'Cannot backtrack forward from ' || NEW.from_phase
                           || ' to ' || NEW.to_phase
                      WHEN 'complete'
                      THEN 'it completes in ' || last
                      ELSE 'no high-severity prompt drift sends it back to '
                           || NEW.to_phase
                    END
                 || coalesce('; Phase lease already held by ' || other, '')
                 || coalesce('; high severity prompt drift in ' || drifted
                             || ' moved it back', '') AS words
            FROM (SELECT (SELECT name FROM process_phase
                           WHERE ordinal > (SELECT ordinal FROM process_phase
                                             WHERE name = NEW.from_phase)
                           ORDER BY ordinal LIMIT 1) AS next,
                         (SELECT name FROM process_phase
                           ORDER BY ordinal DESC LIMIT 1) AS last,
                         (SELECT iif(kind = 'drift', from_phase, NULL)
                            FROM phase_ledger_entry
                           WHERE task_id = NEW.task_id
                           ORDER BY seq DESC LIMIT 1) AS drifted,
                         (SELECT substr(holder, 1, 100) || ' (expires in '
                                 || expires_in || 's)'
                            FROM process_held
                           WHERE NEW.to_phase = NEW.from_phase
                             AND resource = NEW.task_id || '/'
                                            || NEW.from_phase
                             AND holder IS NOT NEW.agent) AS other));
END;

-- The first phase comes first, and phase_start() starts, once.
CREATE TRIGGER IF NOT EXISTS process_rule_first
BEFORE INSERT ON phase_ledger_entry
WHEN (NEW.from_phase IS NULL AND NEW.kind IS NOT 'force'
      OR NEW.kind IS 'start')
     AND NEW.enforcement IS NOT 'off'
     AND (NEW.kind = 'start' AND NEW.from_phase IS NULL
          AND NEW.to_phase = (SELECT name FROM process_phase
                               ORDER BY ordinal LIMIT 1)) IS NOT 1
BEGIN
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, enforcement, seq, reason, detail)
  SELECT 'bypass', NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase,
         NEW.agent, NEW.enforcement, NEW.seq, why,
         iif(NEW.enforcement = 'observe', words, process_refuse(why, words))
    FROM (SELECT CASE
                   WHEN NEW.kind <> 'start'        THEN 'task_not_in_cycle'
                   WHEN NEW.from_phase IS NOT NULL THEN 'already_in_cycle'
                   ELSE                                 'sequence_mismatch'
                 END AS why,
                 'phase_ledger: task ''' || substr(NEW.task_id, 1, 100)
                 || CASE
                      WHEN NEW.kind <> 'start'
                      THEN ''' not in work cycle; phase_start() begins it'
                      WHEN NEW.from_phase IS NOT NULL
                      THEN ''' already in cycle at phase ' || NEW.from_phase
                      ELSE ''' must start with '
                           || coalesce((SELECT name FROM process_phase
                                         ORDER BY ordinal LIMIT 1), 'a phase')
                    END AS words);
END;

-- Nothing comes after completion.
CREATE TRIGGER IF NOT EXISTS process_rule_done
BEFORE INSERT ON phase_ledger_entry
WHEN NEW.from_phase = 'DONE' AND NEW.enforcement IS NOT 'off'
BEGIN
  INSERT INTO process_decision(decision, task_id, kind, from_phase, to_phase,
                               agent, enforcement, seq, reason, detail)
  SELECT 'bypass', NEW.task_id, NEW.kind, NEW.from_phase, NEW.to_phase,
         NEW.agent, NEW.enforcement, NEW.seq, 'no_next_phase',
         iif(NEW.enforcement = 'observe', words,
             process_refuse('no_next_phase', words))
    FROM (SELECT 'phase_ledger: task ''' || substr(NEW.task_id, 1, 100)
                 || ''' '
                 || coalesce((SELECT iif(kind = 'complete',
                                         'already completed ' || from_phase,
                                         'was closed by force')
                                FROM phase_ledger_entry
                               WHERE task_id = NEW.task_id
                               ORDER BY seq DESC LIMIT 1), 'has ended')
                 AS words);
END;

-- from_phase is where the task is.  No mode waives this, nor the next two.
CREATE TRIGGER IF NOT EXISTS process_rule_from
BEFORE INSERT ON phase_ledger_entry
WHEN NEW.from_phase IS NOT (SELECT to_phase FROM phase_ledger_entry
                             WHERE task_id = NEW.task_id
                             ORDER BY seq DESC LIMIT 1)
BEGIN
  SELECT process_refuse(
           CASE WHEN phase IS NULL          THEN 'task_not_in_cycle'
                WHEN NEW.from_phase IS NULL THEN 'already_in_cycle'
                ELSE                             'sequence_mismatch' END,
           'phase_ledger: task ''' || substr(NEW.task_id, 1, 100) || ''' '
           || CASE WHEN phase IS NULL
                   THEN 'not in work cycle; phase_start() begins it'
                   WHEN NEW.from_phase IS NULL AND phase = 'DONE'
                   THEN 'has ended; give the new one another name'
                   WHEN NEW.from_phase IS NULL
                   THEN 'already in cycle at phase ' || phase
                   ELSE 'is in ' || phase || ', not '
                        || substr(NEW.from_phase, 1, 100) END)
    FROM (SELECT (SELECT to_phase FROM phase_ledger_entry
                   WHERE task_id = NEW.task_id
                   ORDER BY seq DESC LIMIT 1) AS phase);
END;

-- A move goes to a phase that there is; DONE is where a task ends.
CREATE TRIGGER IF NOT EXISTS process_rule_phase
BEFORE INSERT ON phase_ledger_entry
WHEN CASE
       WHEN NEW.kind = 'complete'
       THEN NEW.to_phase = 'DONE'
       WHEN NEW.kind = 'force' AND NEW.to_phase = 'DONE'
       THEN 1
       WHEN NEW.kind = 'start' OR NEW.kind = 'advance' OR NEW.kind = 'backtrack'
            OR NEW.kind = 'drift' OR NEW.kind = 'force'
       THEN EXISTS (SELECT 1 FROM process_phase WHERE name = NEW.to_phase)
     END IS NOT 1
BEGIN
  SELECT process_refuse('unknown_phase', 'phase_ledger: '
           || coalesce(substr(NEW.kind, 1, 100), 'NULL') || ' to '
           || coalesce(substr(NEW.to_phase, 1, 100), 'NULL') || ': kind is '
           || 'start, advance, backtrack, drift or force, to one of '
           || coalesce((SELECT group_concat(name, ', ')
                          FROM (SELECT name FROM process_phase
                                 ORDER BY ordinal)), 'no phases')
           || '; or complete or force, to DONE');
END;

-- It names the task and who acts; going back, or by force, says why.
CREATE TRIGGER IF NOT EXISTS process_rule_form
BEFORE INSERT ON phase_ledger_entry
WHEN (NEW.task_id <> '' AND instr(NEW.task_id, char(0)) = 0
      AND length(CAST(NEW.task_id AS BLOB)) <= 512
      AND trim(NEW.agent, char(32, 9, 10, 11, 12, 13)) <> ''
      AND (NEW.kind NOT IN ('backtrack', 'force')
           OR trim(NEW.why, char(32, 9, 10, 11, 12, 13)) <> '')) IS NOT 1
BEGIN
  SELECT process_refuse('form',
           'phase_ledger: a move names a task of at most 512 bytes and an '
           || 'agent; backtrack and force say why');
END;


-- ---- what is there from the start -------------------------------------------

INSERT INTO flag(name, kind, default_value, safe_value, allowed, description)
SELECT * FROM (VALUES
  ('PHASE_ENFORCEMENT', 'enumeration', 'enforce', 'enforce',
   '["enforce", "observe", "off"]',
   'phases: enforce blocks, observe records, off lets pass'),
  ('DISABLE_PHASE_ENFORCEMENT', 'boolean', '0', '0', NULL,
   'the emergency form of PHASE_ENFORCEMENT off'),
  ('PHASE_DECISION_KEEP_MS', 'integer', '7776000000', '7776000000',
   '[0, 315360000000]', 'how long a row of process_decision stays'))
 WHERE NOT EXISTS (SELECT 1 FROM flag WHERE name = column1);

INSERT INTO process_phase(name, ordinal)
SELECT * FROM (VALUES
  ('STRATEGIZE', 1), ('SPEC', 2), ('PLAN', 3), ('THINK', 4), ('IMPLEMENT', 5),
  ('VERIFY', 6), ('REVIEW', 7), ('PR', 8), ('MONITOR', 9))
 WHERE NOT EXISTS (SELECT 1 FROM process_phase)
   AND NOT EXISTS (SELECT 1 FROM phase_ledger_entry);

INSERT INTO process_kind(kind, description)
SELECT * FROM (VALUES
  ('test_run',             'exit_code; value: tests that failed'),
  ('build_output',         'exit_code'),
  ('coverage',             'value: per cent of statements'),
  ('git_diff',             'value: files changed'),
  ('phase_artifact',       'name: path; content: the file'),
  ('mcp_call',             'mocked: 1 for none that is real'),
  ('telemetry',            'value: error rate, 0 to 1'),
  ('atlas_hash',           'content'),
  ('verification_failure', 'content: what went wrong'))
 WHERE NOT EXISTS (SELECT 1 FROM process_kind WHERE kind = column1);

INSERT INTO process_requirement(phase, kind, name, rule, minimum, required,
                                ordinal, absent, failing)
SELECT * FROM (
  SELECT p.column1, k.*
    FROM (VALUES ('IMPLEMENT'), ('VERIFY')) AS p
   CROSS JOIN (VALUES
     ('mcp_call', '', 'real', 0, 0, 2, '',
      'All MCP calls were mocked - need real integration'),
     ('test_run', '', 'passes', 0, 1, 3, 'No test runs recorded',
      '{n} tests failed'),
     ('build_output', '', 'passes', 0, 1, 4, 'Build did not succeed',
      'Build did not succeed'),
     ('coverage', '', 'at_least', 80, 1, 5,
      'Coverage {value}% below {minimum}% threshold',
      'Coverage {value}% below {minimum}% threshold'),
     ('git_diff', '', 'at_least', 1, 1, 6, 'No git changes detected',
      'No git changes detected')) AS k
   UNION ALL
  SELECT * FROM (VALUES
    ('PR', 'git_diff', '', 'at_least', 1, 1, 6, 'No git changes detected',
     'No git changes detected'),
    ('MONITOR', 'telemetry', '', 'at_most', 0.05, 1, 7,
     'No telemetry recorded', 'Quality gate failed: System stability'))
   UNION ALL
  SELECT column1, 'phase_artifact', column2, 'artifact', column3, column4, 1,
         'Semantic validation failed: ' || column5 || ': Artifact not found: '
         || column5, ''
    FROM (VALUES
      ('STRATEGIZE', 'strategy',   100, 1, 'strategy.md'),
      ('SPEC',       'spec',       200, 1, 'spec.md'),
      ('PLAN',       'plan',       150, 1, 'plan.md'),
      ('THINK',      'edge_cases',  10, 1, 'edge_cases.md'),
      ('IMPLEMENT',  '.ts',         50, 0, ''),
      ('IMPLEMENT',  '.js',         50, 0, ''),
      ('VERIFY',     'build',       20, 0, ''),
      ('VERIFY',     'test',        20, 0, ''),
      ('REVIEW',     'review',     100, 1, 'review.md'),
      ('MONITOR',    'monitoring',  10, 1, 'monitoring.json'),
      ('STRATEGIZE', '', 10, 0, ''), ('SPEC',      '', 10, 0, ''),
      ('PLAN',       '', 10, 0, ''), ('THINK',     '', 10, 0, ''),
      ('IMPLEMENT',  '', 10, 0, ''), ('VERIFY',    '', 10, 0, ''),
      ('REVIEW',     '', 10, 0, ''), ('PR',        '', 10, 0, ''),
      ('MONITOR',    '', 10, 0, '')))
 WHERE NOT EXISTS (SELECT 1 FROM process_requirement)
   AND NOT EXISTS (SELECT 1 FROM phase_ledger_entry);

INSERT INTO process_word(phase, name, use, word)
SELECT * FROM (VALUES
  ('STRATEGIZE', 'strategy', 'any', 'problem'),
  ('STRATEGIZE', 'strategy', 'any', 'approach'),
  ('STRATEGIZE', 'strategy', 'placeholder', 'TODO'),
  ('STRATEGIZE', 'strategy', 'placeholder', 'PLACEHOLDER'),
  ('SPEC', 'spec', 'any', 'requirements'),
  ('SPEC', 'spec', 'any', 'interface'),
  ('PLAN', 'plan', 'any', 'steps'),
  ('PLAN', 'plan', 'any', 'tasks'),
  ('IMPLEMENT', '.ts', 'pattern', 'function'),
  ('IMPLEMENT', '.ts', 'pattern', 'class'),
  ('IMPLEMENT', '.ts', 'pattern', 'export'),
  ('IMPLEMENT', '.ts', 'pattern', 'import'),
  ('IMPLEMENT', '.js', 'pattern', 'function'),
  ('IMPLEMENT', '.js', 'pattern', 'class'),
  ('IMPLEMENT', '.js', 'pattern', 'export'),
  ('IMPLEMENT', '.js', 'pattern', 'import'),
  ('VERIFY', 'build', 'any', 'success'),
  ('VERIFY', 'build', 'any', 'complete'),
  ('VERIFY', 'build', 'any', 'built'),
  ('VERIFY', 'test', 'any', 'pass'),
  ('VERIFY', 'test', 'any', 'tests'),
  ('REVIEW', 'review', 'any', 'passed'),
  ('REVIEW', 'review', 'any', 'approved'),
  ('REVIEW', 'review', 'any', 'verified'),
  ('REVIEW', 'review', 'placeholder', 'TODO'),
  ('REVIEW', 'review', 'placeholder', 'PENDING'))
 WHERE NOT EXISTS (SELECT 1 FROM process_word)
   AND NOT EXISTS (SELECT 1 FROM phase_ledger_entry);

INSERT INTO process_severity(phase, severity, back_to)
SELECT * FROM (VALUES
  ('VERIFY', 'high', 'PLAN'), ('REVIEW', 'high', 'PLAN'),
  ('MONITOR', 'high', 'PLAN'), ('STRATEGIZE', 'low', NULL),
  ('SPEC', 'low', NULL), ('PLAN', 'low', NULL), ('AFP_ALIGNMENT', 'low', NULL))
 WHERE NOT EXISTS (SELECT 1 FROM process_severity)
   AND NOT EXISTS (SELECT 1 FROM attestation_ledger_entry);

INSERT INTO process_reason(reason, severity, counter)
SELECT * FROM (VALUES
  ('sequence_mismatch',         'critical', 'phase_skips_attempted'),
  ('task_not_in_cycle',         'critical', 'phase_skips_attempted'),
  ('already_in_cycle',          'low',      NULL),
  ('no_next_phase',             'critical', 'phase_skips_attempted'),
  ('unknown_phase',             'critical', 'phase_skips_attempted'),
  ('final_verification_failed', 'critical', 'evidence_gate_failed'),
  ('prompt_drift_high',         'critical', 'phase_validations_failed'),
  ('prompt_drift_back',         'critical', NULL),
  ('missing_evidence',          'medium',   'evidence_gate_failed'),
  ('lease_contention',          'medium',   'phase_lease_contention'),
  ('backtrack_lease_conflict',  'medium',   'phase_lease_contention'),
  ('lease_missing',             'medium',   'phase_lease_contention'),
  ('stale_token',               'medium',   'phase_lease_contention'),
  ('policy',                    'medium',   NULL),
  ('form',                      'low',      NULL),
  ('forced',                    'low',      NULL),
  ('enforcement_off',           'low',      NULL))
 WHERE NOT EXISTS (SELECT 1 FROM process_reason WHERE reason = column1);

INSERT INTO process_counter(name, value)
SELECT column1, 0
  FROM (VALUES ('phase_skips_attempted'), ('phase_validations_failed'),
               ('evidence_gate_failed'), ('prompt_drift_detected'),
               ('prompt_drift_high'), ('phase_lease_contention'),
               ('phase_backtracks'), ('tasks_rejected_for_process_violation'))
 WHERE NOT EXISTS (SELECT 1 FROM process_counter WHERE name = column1);
