-- Control: settings, flags, the kill switch and their history.
--
-- Ordinary SQL, and nothing here needs the extension: every wall of this area
-- holds, and every emergency statement works, in any connection.  Run it with
-- holdfast_install('control') or by hand with .read; again, it changes nothing.
--
-- The operator's statement, from any sqlite3 shell:
--
--   INSERT OR REPLACE INTO settings (key, value) VALUES ('DISABLE_NEW', '1');


-- What is set.  A key that has no row has its flag's default.  The last three
-- columns say who changed it and why; a reset of the kill switch needs them.
-- They go into the history with the change, and are kept here until the next.
CREATE TABLE IF NOT EXISTS settings(
  key         TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
  value       TEXT,
  updated_at  INTEGER
              DEFAULT (CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                       - 210866760000000),
  updated_by  TEXT,
  reason      TEXT,
  approved_by TEXT
) STRICT, WITHOUT ROWID;


-- What may be set.  kind: boolean ('0' or '1'), integer, real, enumeration or
-- text; a switch is a boolean that is on unless it reads '0'.  allowed: a JSON
-- array, the values of an enumeration, or the least and greatest number.
-- safe_value: what readers see while the kill switch is on.
CREATE TABLE IF NOT EXISTS flag(
  name          TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
  kind          TEXT NOT NULL,
  default_value TEXT NOT NULL,
  safe_value    TEXT NOT NULL,
  allowed       TEXT,
  description   TEXT
) STRICT, WITHOUT ROWID;


-- Every change of a setting, in order.  old_value and new_value are NULL where
-- there is no row, or its value is NULL.
CREATE TABLE IF NOT EXISTS control_event(
  seq       INTEGER PRIMARY KEY CHECK (seq > 0),
  at        INTEGER NOT NULL,
  key       TEXT NOT NULL COLLATE NOCASE,
  old_value TEXT,
  new_value TEXT,
  actor     TEXT,
  reason    TEXT,
  approver  TEXT
) STRICT;

CREATE INDEX IF NOT EXISTS control_event_key ON control_event(key, seq);


-- ---- the health monitor's tables --------------------------------------------

-- Thresholds.  error_rate: mean above which a release is rolled back;
-- degrade_rate: above which it is degraded; failures: consecutive ones that
-- escalate; window: checks that are looked at; memory_mb: from which on a check
-- has failed; grace_ms: how long a release is watched; alpha: the chance that
-- the sequential test stops a release that is no worse.  acts: 0 decides, and
-- does nothing.
CREATE TABLE IF NOT EXISTS monitor_profile(
  name         TEXT NOT NULL PRIMARY KEY,
  error_rate   REAL NOT NULL CHECK (error_rate BETWEEN 0 AND 1),
  degrade_rate REAL NOT NULL DEFAULT 0.05 CHECK (degrade_rate BETWEEN 0 AND 1),
  grace_ms     INTEGER NOT NULL CHECK (grace_ms > 0),
  failures     INTEGER NOT NULL CHECK (failures > 0),
  window       INTEGER NOT NULL DEFAULT 5 CHECK (window BETWEEN 2 AND 1000),
  memory_mb    REAL NOT NULL DEFAULT 1024 CHECK (memory_mb BETWEEN 1 AND 1e15),
  acts         INTEGER NOT NULL DEFAULT 1 CHECK (acts IN (0, 1)),
  alpha        REAL NOT NULL DEFAULT 0.05 CHECK (alpha BETWEEN 1e-9 AND 0.5),
  evidence     TEXT AS (
                 '{"error_rate":' || error_rate || ',"degrade_rate":'
                 || degrade_rate || ',"failures":' || failures || ',"window":'
                 || window || ',"memory_mb":' || memory_mb || ',"alpha":'
                 || alpha || '}') STORED,
  CHECK (failures <= window)
) STRICT, WITHOUT ROWID;

-- The releases that are watched, or were.  A release is promoted once.
CREATE TABLE IF NOT EXISTS monitor(
  release    TEXT NOT NULL PRIMARY KEY,
  profile    TEXT NOT NULL,
  previous   TEXT,
  started_at INTEGER NOT NULL
             DEFAULT (CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                      - 210866760000000),
  ended_at   INTEGER,
  ended_why  TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS monitor_open ON monitor(profile)
 WHERE ended_at IS NULL;

-- Health checks.  ok: 1, or 0 or NULL for a failure; error_rate: 0 to 1, NULL
-- when it is not known, which is a failure, too.
CREATE TABLE IF NOT EXISTS monitor_check(
  id         INTEGER PRIMARY KEY,
  release    TEXT NOT NULL,
  ok         INTEGER,
  error_rate REAL,
  memory_mb  REAL,
  detail     TEXT,
  at         INTEGER NOT NULL
             DEFAULT (CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                      - 210866760000000)
) STRICT;

CREATE INDEX IF NOT EXISTS monitor_check_release ON monitor_check(release, id);

-- The sequential test of a release, once monitor_measure() was called: requests
-- of the two arms, and of these the ones that were judged, for they are judged
-- in blocks of both arms.  e_value: the evidence against the canary; 1 / alpha
-- is enough.
CREATE TABLE IF NOT EXISTS monitor_sequential(
  release               TEXT NOT NULL PRIMARY KEY,
  baseline_bad          INTEGER NOT NULL,
  baseline_total        INTEGER NOT NULL,
  canary_bad            INTEGER NOT NULL,
  canary_total          INTEGER NOT NULL,
  judged_baseline_bad   INTEGER NOT NULL,
  judged_baseline_total INTEGER NOT NULL,
  judged_canary_bad     INTEGER NOT NULL,
  judged_canary_total   INTEGER NOT NULL,
  log_e                 REAL NOT NULL,
  e_value               REAL NOT NULL
) STRICT, WITHOUT ROWID;

-- What was decided after each check, and from what.  Those of a release are
-- found by the index of its checks, which have the same ids.
CREATE TABLE IF NOT EXISTS monitor_decision(
  id       INTEGER PRIMARY KEY, -- that of the check
  release  TEXT NOT NULL,
  at       INTEGER NOT NULL,
  decision TEXT NOT NULL,
  reason   TEXT NOT NULL,
  evidence TEXT NOT NULL
) STRICT;

-- What an orchestrator must do.  It claims an action with the fencing token of
-- a lease on 'outbox/<id>' in control_lease, and says what came of it.
CREATE TABLE IF NOT EXISTS control_outbox(
  id         INTEGER PRIMARY KEY,
  release    TEXT NOT NULL,
  action     TEXT NOT NULL,
  target     TEXT,
  evidence   TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  state      TEXT NOT NULL DEFAULT 'open',
  token      INTEGER,
  result     TEXT,
  UNIQUE (release, action)
) STRICT;

-- A check has failed when it says so, when it says nothing of the error rate,
-- or when memory has reached the limit.
CREATE VIEW IF NOT EXISTS monitor_result AS
SELECT m.release, m.previous, m.started_at, m.ended_at,
       c.id, c.at, c.ok, c.error_rate, c.memory_mb, c.detail,
       p.error_rate AS error_limit, p.degrade_rate, p.grace_ms, p.failures,
       p.window, p.acts, p.alpha, p.evidence AS threshold,
       (c.ok IS NOT 1 OR c.error_rate IS NULL
        OR (c.memory_mb >= p.memory_mb) IS 1) AS failed,
       (c.error_rate > p.error_rate) IS 1 AS above
  FROM monitor AS m
 CROSS JOIN monitor_profile AS p ON p.name = m.profile
 CROSS JOIN monitor_check AS c ON c.release = m.release;


-- ---- flags ------------------------------------------------------------------

-- Is a value one that the flag takes?  An INSERT here is the question; the
-- answer "no" is an error that names what is allowed.  RAISE takes a literal
-- only, before SQLite 3.47; a JSON path that is none can say more.  json_each
-- does it, for 3.40 takes the other JSON functions in triggers for unsafe.
CREATE VIEW IF NOT EXISTS flag_accepts AS
SELECT '' AS name, '' AS kind, '' AS allowed, '' AS value WHERE 0;

CREATE TRIGGER IF NOT EXISTS flag_accepts_insert
INSTEAD OF INSERT ON flag_accepts
WHEN (CASE NEW.kind
        WHEN 'switch'      THEN 1
        WHEN 'text'        THEN NEW.value IS NOT NULL
        WHEN 'boolean'     THEN NEW.value IN ('0', '1')
        WHEN 'enumeration' THEN NEW.value IN (SELECT value
                                                FROM json_each(NEW.allowed))
        WHEN 'integer'     THEN NEW.value =
                                CAST(CAST(NEW.value AS INTEGER) AS TEXT)
        WHEN 'real'        THEN NEW.value NOT GLOB '*[^-+.0-9Ee]*'
                                AND NEW.value = CAST(NEW.value AS REAL)
                                AND length(NEW.value) =
                                    length(CAST(NEW.value AS BLOB))
      END
      AND (NEW.kind NOT IN ('integer', 'real')
           OR CAST(NEW.value AS REAL)
              BETWEEN coalesce((SELECT min(value) FROM json_each(NEW.allowed)),
                               -1e308)
                  AND coalesce((SELECT max(value) FROM json_each(NEW.allowed)),
                               1e308)))
     IS NOT 1
BEGIN
  SELECT 1
    FROM json_each('{}', 'settings: ' || NEW.name || ' takes '
      || CASE NEW.kind
           WHEN 'boolean'     THEN '0 or 1'
           WHEN 'enumeration' THEN 'one of '
                || (SELECT group_concat(value, ', ')
                      FROM json_each(NEW.allowed))
           WHEN 'integer'     THEN 'a whole number'
           WHEN 'real'        THEN 'a number'
           ELSE                    'a text'
         END
      || CASE WHEN NEW.kind IN ('integer', 'real') AND NEW.allowed IS NOT NULL
              THEN (SELECT ' from ' || min(value) || ' to ' || max(value)
                      FROM json_each(NEW.allowed))
              ELSE ''
         END
      || ', not ' || coalesce(substr(NEW.value, 1, 100), 'NULL'));
END;


-- A flag makes sense, whoever defines it, and what is stored fits it.
CREATE VIEW IF NOT EXISTS flag_defines AS
SELECT '' AS name, '' AS kind, '' AS default_value, '' AS safe_value,
       '' AS allowed
 WHERE 0;

CREATE TRIGGER IF NOT EXISTS flag_defines_insert
INSTEAD OF INSERT ON flag_defines
BEGIN
  SELECT CASE
    WHEN (NEW.kind IN ('switch', 'boolean', 'integer', 'real', 'enumeration',
                       'text')) IS NOT 1
    THEN RAISE(ABORT,
      'flag: kind: switch, boolean, integer, real, enumeration or text')
    WHEN (NEW.name <> '' AND NEW.name = trim(NEW.name)
          AND length(NEW.name) = length(CAST(NEW.name AS BLOB))) IS NOT 1
    THEN RAISE(ABORT,
      'flag: name is ASCII, not empty, without blanks around it')
    WHEN NEW.kind = 'enumeration'
         AND ((SELECT type FROM json_tree(NEW.allowed) LIMIT 1) = 'array'
              AND (SELECT min(type = 'text') FROM json_each(NEW.allowed)))
             IS NOT 1
    THEN RAISE(ABORT,
      'flag: allowed is a JSON array of texts for an enumeration')
    WHEN NEW.kind IN ('integer', 'real') AND NEW.allowed IS NOT NULL
         AND ((SELECT type FROM json_tree(NEW.allowed) LIMIT 1) = 'array'
              AND (SELECT count(*) = 2 AND min(type IN ('integer', 'real'))
                     FROM json_each(NEW.allowed))) IS NOT 1
    THEN RAISE(ABORT,
      'flag: allowed is NULL or the JSON array [least, greatest]')
    WHEN NEW.kind IN ('switch', 'boolean', 'text') AND NEW.allowed IS NOT NULL
    THEN RAISE(ABORT,
      'flag: allowed is for numbers and enumerations; leave it NULL')
    WHEN NEW.kind = 'switch'
         AND (NEW.default_value = '0' AND NEW.safe_value = '1') IS NOT 1
    THEN RAISE(ABORT,
      'flag: a switch has the default 0 and the safe value 1')
  END;
  SELECT RAISE(ABORT, 'flag: the limits of a reset keep their definition')
    FROM flag
   WHERE name = NEW.name
     AND name IN ('KILLSWITCH_APPROVER', 'KILLSWITCH_QUIET_MS')
     AND (kind, default_value, safe_value, allowed) IS NOT
         (NEW.kind, NEW.default_value, NEW.safe_value, NEW.allowed);
  SELECT RAISE(ABORT,
      'flag: safe values do not change while the kill switch is on')
    FROM flag
   WHERE name = NEW.name AND safe_value IS NOT NEW.safe_value
     AND EXISTS (SELECT 1 FROM killswitch_on WHERE key = 'DISABLE_NEW');
  INSERT INTO flag_accepts
  VALUES (NEW.name, NEW.kind, NEW.allowed, NEW.default_value);
  INSERT INTO flag_accepts
  VALUES (NEW.name, NEW.kind, NEW.allowed, NEW.safe_value);
  INSERT INTO flag_accepts
  SELECT NEW.name, NEW.kind, NEW.allowed, value
    FROM settings
   WHERE key = NEW.name;
END;

CREATE TRIGGER IF NOT EXISTS flag_insert BEFORE INSERT ON flag
BEGIN
  SELECT RAISE(ABORT, 'flag: a switch stays a switch, and others none')
    FROM flag
   WHERE name = NEW.name AND (kind = 'switch') IS NOT (NEW.kind = 'switch');
  INSERT INTO flag_defines
  VALUES (NEW.name, NEW.kind, NEW.default_value, NEW.safe_value, NEW.allowed);
END;

CREATE TRIGGER IF NOT EXISTS flag_update BEFORE UPDATE ON flag
BEGIN
  SELECT RAISE(ABORT, 'flag: a name stays; define another flag')
   WHERE NEW.name IS NOT OLD.name COLLATE BINARY;
  SELECT RAISE(ABORT, 'flag: a switch stays a switch, and others none')
   WHERE (NEW.kind = 'switch') IS NOT (OLD.kind = 'switch');
  INSERT INTO flag_defines
  VALUES (NEW.name, NEW.kind, NEW.default_value, NEW.safe_value, NEW.allowed);
END;

CREATE TRIGGER IF NOT EXISTS flag_delete BEFORE DELETE ON flag
BEGIN
  SELECT CASE
    WHEN OLD.kind IS 'switch'
         OR OLD.name IN ('KILLSWITCH_APPROVER', 'KILLSWITCH_QUIET_MS')
    THEN RAISE(ABORT, 'flag: switches and the limits of a reset stay')
    WHEN EXISTS (SELECT 1 FROM settings WHERE key = OLD.name)
    THEN RAISE(ABORT,
      'flag: there is a setting of that name; delete that first')
    WHEN EXISTS (SELECT 1 FROM killswitch_on WHERE key = 'DISABLE_NEW')
    THEN RAISE(ABORT,
      'flag: safe values do not change while the kill switch is on')
  END;
END;


-- ---- settings ---------------------------------------------------------------

-- What a setting may become: the key is a flag's, the value one that it takes.
-- A switch takes any, and is not asked about, for it is what must be quick.
CREATE TRIGGER IF NOT EXISTS settings_insert BEFORE INSERT ON settings
WHEN (SELECT kind FROM flag WHERE name = NEW.key) IS NOT 'switch'
BEGIN
  SELECT 1
    FROM json_each('{}', (SELECT 'settings: there is no flag '
                                 || coalesce(substr(NEW.key, 1, 100), 'NULL')
                                 || '; define it with INSERT INTO flag'
                           WHERE NOT EXISTS (SELECT 1 FROM flag
                                              WHERE name = NEW.key)));
  INSERT INTO flag_accepts
  SELECT name, kind, allowed, NEW.value FROM flag WHERE name = NEW.key;
END;

CREATE TRIGGER IF NOT EXISTS settings_update
BEFORE UPDATE OF key, value ON settings
WHEN NEW.key IS NOT OLD.key COLLATE BINARY
     OR (SELECT kind FROM flag WHERE name = NEW.key) IS NOT 'switch'
BEGIN
  SELECT RAISE(ABORT, 'settings: a key stays; insert another')
   WHERE NEW.key IS NOT OLD.key COLLATE BINARY;
  INSERT INTO flag_accepts
  SELECT name, kind, allowed, NEW.value FROM flag WHERE name = NEW.key;
END;


-- ---- the kill switch --------------------------------------------------------

-- A switch is on unless it reads '0': a row that is missing, NULL or anything
-- else is on.  Turning it on is always allowed.
CREATE VIEW IF NOT EXISTS killswitch_on AS
SELECT f.name AS key
  FROM flag AS f
  LEFT JOIN settings AS s ON s.key = f.name
 WHERE f.kind = 'switch' AND s.value IS NOT '0';

-- What a reset is held to: is an approver needed, and has it been quiet?  A
-- release whose grace period was over by then had no check that counts.
CREATE VIEW IF NOT EXISTS killswitch_limit AS
SELECT approver,
       NOT EXISTS (SELECT 1
                     FROM monitor_result
                    WHERE started_at + grace_ms > since
                      AND at > since AND failed) AS quiet
  FROM (SELECT (SELECT value FROM settings WHERE key = 'KILLSWITCH_APPROVER')
               IS NOT '0' AS approver,
               CAST(round(julianday('now') * 86400000.0) AS INTEGER)
               - 210866760000000
               - coalesce((SELECT CAST(value AS INTEGER)
                             FROM settings
                            WHERE key = 'KILLSWITCH_QUIET_MS' AND value <> ''
                              AND value NOT GLOB '*[^0-9]*'), 900000) AS since);

-- Turning it off is a reset, by whatever statement; the first time that a
-- switch is set is none.  The rule is written out in both triggers: what a
-- trigger passes on to another, a trigger in TEMP could swallow.
CREATE TRIGGER IF NOT EXISTS settings_insert_reset BEFORE INSERT ON settings
WHEN NEW.value IS '0'
     AND EXISTS (SELECT 1 FROM flag WHERE name = NEW.key AND kind = 'switch')
     AND (SELECT value FROM settings WHERE key = NEW.key) IS NOT '0'
     AND EXISTS (SELECT 1 FROM control_event WHERE key = NEW.key)
BEGIN
  SELECT CASE
    WHEN (trim(NEW.updated_by, char(32, 9, 10, 11, 12, 13)) <> ''
          AND trim(NEW.reason, char(32, 9, 10, 11, 12, 13)) <> '') IS NOT 1
    THEN RAISE(ABORT,
      'settings: a reset of a kill switch needs updated_by and reason')
    WHEN approver
         AND (trim(NEW.approved_by, char(32, 9, 10, 11, 12, 13)) <> ''
              AND lower(trim(NEW.approved_by, char(32, 9, 10, 11, 12, 13)))
                  <> lower(trim(NEW.updated_by,
                                char(32, 9, 10, 11, 12, 13)))) IS NOT 1
    THEN RAISE(ABORT,
      'settings: a reset needs approved_by, somebody else than updated_by')
    WHEN NOT quiet
    THEN RAISE(ABORT,
      'settings: a check failed within KILLSWITCH_QUIET_MS; reset later')
  END
    FROM killswitch_limit;
END;

CREATE TRIGGER IF NOT EXISTS settings_update_reset
BEFORE UPDATE OF value ON settings
WHEN NEW.value IS '0' AND OLD.value IS NOT '0'
     AND EXISTS (SELECT 1 FROM flag WHERE name = NEW.key AND kind = 'switch')
BEGIN
  SELECT CASE
    WHEN (trim(NEW.updated_by, char(32, 9, 10, 11, 12, 13)) <> ''
          AND trim(NEW.reason, char(32, 9, 10, 11, 12, 13)) <> '') IS NOT 1
    THEN RAISE(ABORT,
      'settings: a reset of a kill switch needs updated_by and reason')
    WHEN approver
         AND (trim(NEW.approved_by, char(32, 9, 10, 11, 12, 13)) <> ''
              AND lower(trim(NEW.approved_by, char(32, 9, 10, 11, 12, 13)))
                  <> lower(trim(NEW.updated_by,
                                char(32, 9, 10, 11, 12, 13)))) IS NOT 1
    THEN RAISE(ABORT,
      'settings: a reset needs approved_by, somebody else than updated_by')
    WHEN NOT quiet
    THEN RAISE(ABORT,
      'settings: a check failed within KILLSWITCH_QUIET_MS; reset later')
  END
    FROM killswitch_limit;
END;

-- The limits of a reset do not change while a switch is on.
CREATE TRIGGER IF NOT EXISTS settings_insert_limit BEFORE INSERT ON settings
WHEN NEW.key IN ('KILLSWITCH_APPROVER', 'KILLSWITCH_QUIET_MS')
     AND EXISTS (SELECT 1 FROM killswitch_on)
BEGIN
  SELECT RAISE(ABORT,
      'settings: the limits of a reset stay while a kill switch is on');
END;

CREATE TRIGGER IF NOT EXISTS settings_update_limit
BEFORE UPDATE OF key, value ON settings
WHEN NEW.key IN ('KILLSWITCH_APPROVER', 'KILLSWITCH_QUIET_MS')
     AND EXISTS (SELECT 1 FROM killswitch_on)
BEGIN
  SELECT RAISE(ABORT,
      'settings: the limits of a reset stay while a kill switch is on');
END;

CREATE TRIGGER IF NOT EXISTS settings_delete_limit BEFORE DELETE ON settings
WHEN OLD.key IN ('KILLSWITCH_APPROVER', 'KILLSWITCH_QUIET_MS')
     AND EXISTS (SELECT 1 FROM killswitch_on)
BEGIN
  SELECT RAISE(ABORT,
      'settings: the limits of a reset stay while a kill switch is on');
END;


-- ---- the history ------------------------------------------------------------

-- The event that a change of a setting makes now.  OR REPLACE does not say what
-- it replaced: the old value is that of the last event.  Time does not go back.
CREATE VIEW IF NOT EXISTS control_next AS
SELECT f.name AS key,
       max(CAST(round(julianday('now') * 86400000.0) AS INTEGER)
           - 210866760000000,
           coalesce((SELECT at FROM control_event
                      ORDER BY seq DESC LIMIT 1), 0)) AS at,
       (SELECT new_value FROM control_event
         WHERE key = f.name ORDER BY seq DESC LIMIT 1) AS old_value,
       s.value AS new_value,
       s.updated_by AS actor,
       iif(s.key IS NULL, 'deleted', s.reason) AS reason,
       s.approved_by AS approver
  FROM flag AS f
  LEFT JOIN settings AS s ON s.key = f.name;

-- While a switch is on, its row names nobody; the history does.  So who resets
-- it says who, why and who approved in that statement: nothing is left there.
CREATE TRIGGER IF NOT EXISTS settings_inserted AFTER INSERT ON settings
BEGIN
  INSERT INTO control_event(key, at, old_value, new_value, actor, reason,
                            approver)
  SELECT * FROM control_next WHERE key = NEW.key;
  UPDATE settings
     SET updated_by = NULL, reason = NULL, approved_by = NULL
   WHERE key = NEW.key AND NEW.value IS NOT '0'
     AND (SELECT kind FROM flag WHERE name = NEW.key) IS 'switch';
END;

-- An UPDATE that changes a value, and not who, why, who approved or when, is
-- nobody's: it must not be taken for a deed of whoever changed it before.  What
-- goes into the history is told value by value, which is quicker: a SELECT from
-- the table that it fills takes the way over a temporary one.  It says what
-- control_next does, or is refused; only the reason is that view's own, where a
-- trigger has deleted the row meanwhile.
CREATE TRIGGER IF NOT EXISTS settings_updated
AFTER UPDATE OF value, updated_by, reason, approved_by ON settings
WHEN NEW.value IS NOT OLD.value
     OR ((NEW.updated_by, NEW.reason, NEW.approved_by) IS NOT
         (OLD.updated_by, OLD.reason, OLD.approved_by)
         AND coalesce(NEW.updated_by, NEW.reason, NEW.approved_by) IS NOT NULL)
BEGIN
  UPDATE settings
     SET updated_by = NULL, reason = NULL, approved_by = NULL
   WHERE key = NEW.key
     AND (NEW.updated_at, NEW.updated_by, NEW.reason, NEW.approved_by) IS
         (OLD.updated_at, OLD.updated_by, OLD.reason, OLD.approved_by);
  INSERT INTO control_event(key, at, old_value, new_value, actor, reason,
                            approver)
  VALUES ((SELECT name FROM flag WHERE name = NEW.key),
          max(CAST(round(julianday('now') * 86400000.0) AS INTEGER)
              - 210866760000000,
              coalesce((SELECT at FROM control_event
                         ORDER BY seq DESC LIMIT 1), 0)),
          (SELECT new_value FROM control_event
            WHERE key = NEW.key ORDER BY seq DESC LIMIT 1),
          (SELECT value       FROM settings WHERE key = NEW.key),
          (SELECT updated_by  FROM settings WHERE key = NEW.key),
          (SELECT reason      FROM control_next WHERE key = NEW.key),
          (SELECT approved_by FROM settings WHERE key = NEW.key));
  UPDATE settings
     SET updated_at = iif(NEW.updated_at IS OLD.updated_at,
                          (SELECT at FROM control_event
                            ORDER BY seq DESC LIMIT 1),
                          NEW.updated_at),
         (updated_by, reason, approved_by) =
         (SELECT settings.updated_by, settings.reason, settings.approved_by
            FROM flag
           WHERE name = NEW.key
             AND (kind IS NOT 'switch' OR settings.value IS '0'))
   WHERE key = NEW.key;
END;

CREATE TRIGGER IF NOT EXISTS settings_deleted AFTER DELETE ON settings
BEGIN
  INSERT INTO control_event(key, at, old_value, new_value, actor, reason,
                            approver)
  SELECT * FROM control_next WHERE key = OLD.key;
END;

-- It only grows, by what is true now, and by the next number: SQLite's own
-- choice, for which NEW.seq is -1 here, or the same when it is given.  All is
-- said before the row is there; what is said AFTER, a trigger in TEMP can skip.
CREATE TRIGGER IF NOT EXISTS control_event_insert BEFORE INSERT ON control_event
WHEN (NEW.seq <> -1
      AND NEW.seq IS NOT 1 + coalesce((SELECT seq FROM control_event
                                        ORDER BY seq DESC LIMIT 1), 0))
     OR NOT EXISTS
        (SELECT 1
           FROM control_next
          WHERE key = NEW.key
            AND (at, old_value, new_value, actor, reason, approver) IS
                (NEW.at, NEW.old_value, NEW.new_value, NEW.actor, NEW.reason,
                 NEW.approver))
BEGIN
  SELECT CASE
    WHEN NEW.key IS NULL
    THEN RAISE(ABORT,
      'settings: there is no such flag; define it with INSERT INTO flag')
    ELSE RAISE(ABORT,
      'control_event is append-only, and written by changes of settings')
  END;
END;

CREATE TRIGGER IF NOT EXISTS control_event_update BEFORE UPDATE ON control_event
BEGIN
  SELECT RAISE(ABORT, 'control_event is append-only');
END;

CREATE TRIGGER IF NOT EXISTS control_event_delete BEFORE DELETE ON control_event
BEGIN
  SELECT RAISE(ABORT, 'control_event is append-only');
END;


-- ---- reading ----------------------------------------------------------------

-- What holds now.  While the kill switch is on, every flag shows its safe
-- value, but for the limits of a reset, which are what they are; what is stored
-- stays.
CREATE VIEW IF NOT EXISTS flag_value AS
SELECT name,
       CASE how
         WHEN 'safe'   THEN safe_value
         WHEN 'stored' THEN stored
         ELSE               default_value
       END AS value,
       stored,
       how AS source
  FROM (SELECT f.name, f.safe_value, f.default_value, s.value AS stored,
               CASE
                 WHEN f.kind = 'switch'
                 THEN iif(s.value IS '0', 'stored', 'safe')
                 WHEN k.value IS NOT '0'
                      AND f.name NOT IN ('KILLSWITCH_APPROVER',
                                         'KILLSWITCH_QUIET_MS')
                 THEN 'safe'
                 WHEN s.value IS NULL THEN 'default'
                 ELSE 'stored'
               END AS how
          FROM flag AS f
          LEFT JOIN settings AS s ON s.key = f.name
          LEFT JOIN settings AS k ON k.key = 'DISABLE_NEW');


-- ---- the health monitor -----------------------------------------------------

CREATE TRIGGER IF NOT EXISTS monitor_profile_delete
BEFORE DELETE ON monitor_profile
WHEN EXISTS (SELECT 1 FROM monitor WHERE profile = OLD.name)
BEGIN
  SELECT RAISE(ABORT, 'monitor_profile: a release was judged by it; it stays');
END;

-- A release is judged by the thresholds that it was started with.
CREATE TRIGGER IF NOT EXISTS monitor_profile_update
BEFORE UPDATE ON monitor_profile
BEGIN
  SELECT RAISE(ABORT, 'monitor_profile: a name stays; make another profile')
   WHERE NEW.name IS NOT OLD.name;
  UPDATE monitor
     SET ended_at = started_at + OLD.grace_ms,
         ended_why = 'its grace period is over'
   WHERE profile = OLD.name AND ended_at IS NULL
     AND started_at + OLD.grace_ms
         <= CAST(round(julianday('now') * 86400000.0) AS INTEGER)
            - 210866760000000;
  SELECT RAISE(ABORT,
      'monitor_profile: a release is being judged by it; make another')
   WHERE EXISTS (SELECT 1 FROM monitor
                  WHERE profile = OLD.name AND ended_at IS NULL);
END;

CREATE TRIGGER IF NOT EXISTS monitor_profile_insert
BEFORE INSERT ON monitor_profile
WHEN EXISTS (SELECT 1 FROM monitor_profile WHERE name = NEW.name)
BEGIN
  SELECT RAISE(ABORT, 'monitor_profile: there is one of that name; UPDATE it');
END;

-- Who comes next closes what is over.
CREATE TRIGGER IF NOT EXISTS monitor_insert BEFORE INSERT ON monitor
BEGIN
  SELECT 1
    FROM json_each('{}',
      (SELECT 'monitor: there is no profile '
              || coalesce(substr(NEW.profile, 1, 100), 'NULL')
              || '; there are '
              || coalesce((SELECT group_concat(name, ', ')
                             FROM monitor_profile), 'none')
        WHERE NOT EXISTS (SELECT 1 FROM monitor_profile
                           WHERE name = NEW.profile)));
  SELECT CASE
    WHEN (trim(NEW.release) <> '') IS NOT 1
    THEN RAISE(ABORT, 'monitor: the release needs a name')
    WHEN EXISTS (SELECT 1 FROM monitor WHERE release = NEW.release)
    THEN RAISE(ABORT,
      'monitor: this release is or was monitored; give it another name')
    WHEN NEW.ended_at IS NOT NULL OR NEW.ended_why IS NOT NULL
    THEN RAISE(ABORT, 'monitor: it has not ended; leave ended_at NULL')
    WHEN (NEW.started_at
          <= CAST(round(julianday('now') * 86400000.0) AS INTEGER)
             - 210866760000000 + 60000) IS NOT 1
    THEN RAISE(ABORT, 'monitor: started_at lies in the future; leave it out')
  END;
  UPDATE monitor
     SET ended_at = started_at + (SELECT grace_ms FROM monitor_profile
                                   WHERE name = profile),
         ended_why = 'its grace period is over'
   WHERE ended_at IS NULL
     AND started_at + (SELECT grace_ms FROM monitor_profile
                        WHERE name = profile)
         <= CAST(round(julianday('now') * 86400000.0) AS INTEGER)
            - 210866760000000;
END;

-- It ends once.
CREATE TRIGGER IF NOT EXISTS monitor_update BEFORE UPDATE ON monitor
WHEN (NEW.release = OLD.release AND NEW.profile = OLD.profile
      AND NEW.previous IS OLD.previous AND NEW.started_at = OLD.started_at
      AND OLD.ended_at IS NULL AND NEW.ended_at >= OLD.started_at
      AND NEW.ended_why <> '') IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'monitor: an UPDATE sets ended_at and ended_why, once');
END;

CREATE TRIGGER IF NOT EXISTS monitor_delete BEFORE DELETE ON monitor
BEGIN
  SELECT RAISE(ABORT,
      'monitor: it stays on record; UPDATE ended_at and ended_why to end it');
END;

-- The clock's own time is always taken, even if it has been set back.  What is
-- asked here is asked for every check: the words of a refusal, and what only an
-- explicit time needs, are looked up when it comes to that.
CREATE TRIGGER IF NOT EXISTS monitor_check_insert BEFORE INSERT ON monitor_check
BEGIN
  SELECT CASE
    WHEN p.name IS NULL
    THEN (SELECT 1
            FROM json_each('{}', 'monitor_check: release '
                   || coalesce(substr(NEW.release, 1, 100), 'NULL')
                   || ' is not monitored; INSERT INTO monitor first'))
    WHEN m.ended_at IS NOT NULL OR NEW.at >= m.started_at + p.grace_ms
    THEN (SELECT 1
            FROM json_each('{}', 'monitor_check: the monitor of '
                   || substr(NEW.release, 1, 100) || ' has ended: '
                   || coalesce(m.ended_why, 'its grace period is over')))
    WHEN NEW.ok NOT IN (0, 1)
    THEN RAISE(ABORT, 'monitor_check: ok is 1, 0 or NULL')
    WHEN NEW.error_rate NOT BETWEEN 0 AND 1
    THEN RAISE(ABORT,
      'monitor_check: error_rate is from 0 to 1, or NULL when unknown')
    WHEN NEW.memory_mb NOT BETWEEN 0 AND 1e15
    THEN RAISE(ABORT,
      'monitor_check: memory_mb is 0 or more, or NULL when unknown')
    WHEN NEW.at IS NULL
    THEN RAISE(ABORT, 'monitor_check: at is NULL; leave it out for now')
    WHEN NEW.id > 0 AND EXISTS (SELECT 1 FROM monitor_check WHERE id = NEW.id)
    THEN RAISE(ABORT, 'monitor_check is append-only; leave id out')
    WHEN NEW.at <> CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                   - 210866760000000
    THEN CASE
      WHEN NEW.at > CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                    - 210866760000000 + 60000
      THEN RAISE(ABORT, 'monitor_check: at lies in the future')
      WHEN NEW.at < m.started_at
           OR NEW.at < (SELECT at FROM monitor_check
                         WHERE release = NEW.release
                         ORDER BY id DESC LIMIT 1)
      THEN RAISE(ABORT,
        'monitor_check: at is before the start, or the check before')
    END
  END
    FROM (SELECT 1)
    LEFT JOIN monitor AS m ON m.release = NEW.release
    LEFT JOIN monitor_profile AS p ON p.name = m.profile;
END;

CREATE TRIGGER IF NOT EXISTS monitor_check_update BEFORE UPDATE ON monitor_check
BEGIN
  SELECT RAISE(ABORT, 'monitor_check is append-only');
END;

CREATE TRIGGER IF NOT EXISTS monitor_check_delete BEFORE DELETE ON monitor_check
BEGIN
  SELECT RAISE(ABORT, 'monitor_check is append-only');
END;


-- Only monitor_measure() computes an e-value: without the extension nobody
-- writes here.
CREATE TRIGGER IF NOT EXISTS monitor_sequential_insert
BEFORE INSERT ON monitor_sequential
WHEN control_measuring(NEW.release) IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'monitor_sequential is written by monitor_measure()');
END;

CREATE TRIGGER IF NOT EXISTS monitor_sequential_update
BEFORE UPDATE ON monitor_sequential
WHEN (NEW.release = OLD.release AND control_measuring(NEW.release)) IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'monitor_sequential is written by monitor_measure()');
END;

CREATE TRIGGER IF NOT EXISTS monitor_sequential_delete
BEFORE DELETE ON monitor_sequential
BEGIN
  SELECT RAISE(ABORT, 'monitor_sequential: what was measured stays on record');
END;

-- Each check is judged in its own transaction, by the last checks of its
-- release; the first rule that matches.  runs: F for a failure, '.' for none,
-- in order.  A mean is rounded, so that a constant rate is not above itself; a
-- rate that is not known does not lower it.  The window is found by walking
-- back along the index, so that what older checks there are costs nothing.
--
-- It is written for what it costs: failed as in monitor_result, but in words
-- that are quicker, and neither min() nor max(), for which the thresholds would
-- be read anew for each check of the window.
CREATE TRIGGER IF NOT EXISTS monitor_check_decide AFTER INSERT ON monitor_check
BEGIN
  SELECT RAISE(ABORT, 'monitor_check is append-only; leave id out')
   WHERE NEW.id IS NOT
         1 + coalesce((SELECT id FROM monitor_check WHERE id < NEW.id
                        ORDER BY id DESC LIMIT 1), 0);
  INSERT INTO monitor_decision(id, release, at, decision, reason, evidence)
  SELECT NEW.id, NEW.release, NEW.at,
         CASE
           WHEN e_value * alpha >= 1               THEN 'rollback'
           WHEN checks < 2                         THEN 'healthy'
           WHEN mean > error_limit AND failed >= 3 THEN 'rollback'
           WHEN checks = window AND above = checks THEN 'rollback'
           WHEN failed >= failures
                AND instr(substr(runs, -failures), '.') = 0
                                                   THEN 'escalate'
           WHEN failed > 0 OR mean > degrade_rate  THEN 'degrade'
           ELSE                                         'healthy'
         END,
         CASE
           WHEN e_value * alpha >= 1
           THEN printf('sequential test: error rate %.2f%% against %.2f%%, '
                       || 'e-value %.4g',
                       100.0 * judged_canary_bad / judged_canary_total,
                       100.0 * judged_baseline_bad / judged_baseline_total,
                       e_value)
           WHEN checks < 2
           THEN 'too few checks for a decision'
           WHEN mean > error_limit AND failed >= 3
           THEN printf('high error rate (%.1f%%) with %d failures',
                       100 * mean, failed)
           WHEN checks = window AND above = checks
           THEN printf('error rate above %.1f%% in each of %d checks',
                       100 * error_limit, checks)
           WHEN failed >= failures
                AND instr(substr(runs, -failures), '.') = 0
           THEN printf('%d consecutive failures',
                       checks - length(rtrim(runs, 'F')))
           WHEN failed > 0 OR mean > degrade_rate
           THEN printf('%d failures, error rate %.1f%%', failed,
                       100 * coalesce(mean, 0))
           ELSE 'all checks pass'
         END,
         printf('{"mean_error_rate":%s,"failed":%d,"pattern":"%s",'
                || '"threshold":%s%s,"checks":[{"id":%s}]}',
                coalesce(mean, 'null'), failed,
                CASE WHEN failed = 0              THEN 'healthy'
                     WHEN instr(runs, 'FFF')      THEN 'consecutive_failures'
                     WHEN substr(runs, -2) = 'FF' THEN 'recent_failures'
                     ELSE                         'intermittent_failures' END,
                threshold,
                iif(e_value IS NULL, '',
                    printf(',"sequential":{"e_value":%!.15g,"baseline":[%d,%d],'
                           || '"canary":[%d,%d]}', e_value,
                           judged_baseline_bad, judged_baseline_total,
                           judged_canary_bad, judged_canary_total)),
                list)
    FROM (SELECT p.error_rate AS error_limit, p.degrade_rate, p.failures,
                 p.window, p.alpha, p.evidence AS threshold,
                 q.e_value, q.judged_baseline_bad, q.judged_baseline_total,
                 q.judged_canary_bad, q.judged_canary_total,
                 count(*) AS checks,
                 CAST(avg(c.error_rate) * 1e9 + 0.5 AS INTEGER) / 1e9 AS mean,
                 sum(iif(c.ok = 1 AND c.error_rate IS NOT NULL
                         AND coalesce(c.memory_mb, 0) < p.memory_mb, 0, 1))
                   AS failed,
                 sum(iif(c.error_rate > p.error_rate, 1, 0)) AS above,
                 group_concat(
                     iif(c.ok = 1 AND c.error_rate IS NOT NULL
                         AND coalesce(c.memory_mb, 0) < p.memory_mb, '.', 'F'),
                     '') AS runs,
                 group_concat(
                     c.id
                     || iif(c.ok = 1 AND c.error_rate IS NOT NULL
                            AND coalesce(c.memory_mb, 0) < p.memory_mb,
                            ',"failed":0,"error_rate":',
                            ',"failed":1,"error_rate":')
                     || coalesce(c.error_rate, 'null'),
                     '},{"id":') AS list
            FROM monitor AS m
           CROSS JOIN monitor_profile AS p ON p.name = m.profile
            LEFT JOIN monitor_sequential AS q ON q.release = m.release
           CROSS JOIN monitor_check AS c ON c.release = m.release
           WHERE m.release = NEW.release
             AND c.id >= coalesce(
                 (SELECT id
                    FROM monitor_check
                   WHERE release = NEW.release
                   ORDER BY id DESC
                   LIMIT 1
                  OFFSET (SELECT window - 1
                            FROM monitor
                            JOIN monitor_profile ON name = profile
                           WHERE release = NEW.release)), 0));
END;

-- A decision is what the checks say, once for each.
CREATE TRIGGER IF NOT EXISTS monitor_decision_insert
BEFORE INSERT ON monitor_decision
WHEN NOT EXISTS (SELECT 1 FROM monitor_check
                  WHERE id = NEW.id AND release = NEW.release)
     OR EXISTS (SELECT 1 FROM monitor_decision WHERE id >= NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'monitor_decision is append-only, written by checks');
END;

CREATE TRIGGER IF NOT EXISTS monitor_decision_update
BEFORE UPDATE ON monitor_decision
BEGIN
  SELECT RAISE(ABORT, 'monitor_decision is append-only');
END;

CREATE TRIGGER IF NOT EXISTS monitor_decision_delete
BEFORE DELETE ON monitor_decision
BEGIN
  SELECT RAISE(ABORT, 'monitor_decision is append-only');
END;

-- What follows from a decision: an INSERT here does it, unless the profile only
-- looks on.  It is kept apart so that a decision which nothing follows from, as
-- nearly all are, does not pay for it.
CREATE VIEW IF NOT EXISTS monitor_act AS
SELECT '' AS release, 0 AS at, '' AS decision, '' AS reason, '' AS evidence
 WHERE 0;

CREATE TRIGGER IF NOT EXISTS monitor_decision_act
AFTER INSERT ON monitor_decision
WHEN NEW.decision IN ('escalate', 'rollback')
BEGIN
  INSERT INTO monitor_act
  SELECT NEW.release, NEW.at, NEW.decision, NEW.reason, NEW.evidence
    FROM monitor AS m
    JOIN monitor_profile AS p ON p.name = m.profile
   WHERE m.release = NEW.release AND p.acts;
END;

-- Escalation turns the kill switch on, which it can do but once an incident.
CREATE TRIGGER IF NOT EXISTS monitor_act_escalate
INSTEAD OF INSERT ON monitor_act
WHEN NEW.decision = 'escalate'
     AND NOT EXISTS (SELECT 1 FROM killswitch_on WHERE key = 'DISABLE_NEW')
BEGIN
  INSERT INTO settings(key, value, updated_by, reason)
  VALUES ('DISABLE_NEW', '1', 'monitor', NEW.release || ': ' || NEW.reason)
      ON CONFLICT(key) DO UPDATE
     SET value = '1', updated_by = excluded.updated_by,
         reason = excluded.reason, approved_by = NULL;
END;

-- Rollback is asked for once a promotion, and ends the watch; not before it has
-- begun, where the clock has been set back since.
CREATE TRIGGER IF NOT EXISTS monitor_act_rollback
INSTEAD OF INSERT ON monitor_act
WHEN NEW.decision = 'rollback'
BEGIN
  INSERT INTO control_outbox(release, action, target, evidence, created_at)
  SELECT release, 'rollback', previous, NEW.evidence, NEW.at
    FROM monitor
   WHERE release = NEW.release;
  UPDATE monitor
     SET ended_at = max(NEW.at, started_at),
         ended_why = 'rollback: ' || NEW.reason
   WHERE release = NEW.release AND ended_at IS NULL;
END;


-- ---- the outbox -------------------------------------------------------------

-- It holds what the monitor decided, word for word and once.
CREATE TRIGGER IF NOT EXISTS control_outbox_insert
BEFORE INSERT ON control_outbox
WHEN (NEW.state = 'open' AND NEW.token IS NULL AND NEW.result IS NULL
      AND NEW.action = 'rollback'
      AND NOT EXISTS (SELECT 1 FROM control_outbox
                       WHERE (release = NEW.release AND action = NEW.action)
                          OR id = NEW.id)
      AND EXISTS (SELECT 1
                    FROM monitor_decision AS d
                    JOIN monitor AS m ON m.release = d.release
                    JOIN monitor_profile AS p ON p.name = m.profile
                   WHERE d.release = NEW.release AND d.decision = NEW.action
                     AND d.evidence = NEW.evidence AND d.at = NEW.created_at
                     AND m.previous IS NEW.target AND p.acts))
     IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'control_outbox is written by the health monitor');
END;

-- open or failed -> claimed -> done or failed, each step with a token that
-- holds 'outbox/<id>' now.  A claim whose lease was lost is taken over by a
-- greater token.  Asking for the lease needs the extension, as having one does.
CREATE TRIGGER IF NOT EXISTS control_outbox_update
BEFORE UPDATE ON control_outbox
BEGIN
  SELECT CASE
    WHEN (NEW.id = OLD.id AND NEW.release = OLD.release
          AND NEW.action = OLD.action AND NEW.target IS OLD.target
          AND NEW.evidence = OLD.evidence
          AND NEW.created_at = OLD.created_at) IS NOT 1
    THEN RAISE(ABORT, 'control_outbox: UPDATE sets state, token and result')
    WHEN OLD.state = 'done'
    THEN RAISE(ABORT, 'control_outbox: the action is done')
    WHEN ((NEW.state = 'claimed' AND NEW.token > coalesce(OLD.token, 0))
          OR (NEW.state IN ('done', 'failed') AND OLD.state = 'claimed'
              AND NEW.token = OLD.token)) IS NOT 1
    THEN RAISE(ABORT,
      'control_outbox: claim with a greater token, end with the same')
    WHEN lease_holds('control_lease', 'outbox/' || NEW.id, NEW.token) IS NOT 1
    THEN RAISE(ABORT,
      'control_outbox: the token does not hold outbox/<id> in control_lease')
  END;
END;

CREATE TRIGGER IF NOT EXISTS control_outbox_delete
BEFORE DELETE ON control_outbox
BEGIN
  SELECT RAISE(ABORT, 'control_outbox: what was asked for stays on record');
END;


-- ---- what is there from the start -------------------------------------------

INSERT INTO flag(name, kind, default_value, safe_value, allowed, description)
SELECT * FROM (VALUES
  ('DISABLE_NEW', 'switch', '0', '1', NULL,
   'the kill switch: on unless it reads 0'),
  ('KILLSWITCH_APPROVER', 'boolean', '1', '1', NULL,
   'a reset needs an approver other than the actor'),
  ('KILLSWITCH_QUIET_MS', 'integer', '900000', '900000', '[0, 2592000000]',
   'a reset needs so many ms without a failed health check'))
 WHERE NOT EXISTS (SELECT 1 FROM flag WHERE name = column1);

-- Off, once: a switch whose row has been deleted since then stays on.
INSERT INTO settings(key, value, updated_by, reason)
SELECT 'DISABLE_NEW', '0', 'install', 'the area was installed'
 WHERE NOT EXISTS (SELECT 1 FROM control_event WHERE key = 'DISABLE_NEW');


INSERT INTO monitor_profile(name, error_rate, grace_ms, failures)
SELECT * FROM (VALUES
  ('default',     0.20, 600000, 2),
  ('development', 0.50, 120000, 3),
  ('staging',     0.25, 300000, 2),
  ('production',  0.15, 900000, 1))
 WHERE NOT EXISTS (SELECT 1 FROM monitor_profile WHERE name = column1);
