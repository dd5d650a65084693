-- Retention: how long the rows of each table are kept.
--
-- Ordinary SQL: policies, holds, floors and the log of the runs, with the walls
-- that keep them sane in any connection.  retention_plan and retention_apply(),
-- which read them, need the extension.  Run it with
-- holdfast_install('retention') or by hand with .read; again, it changes
-- nothing.  All lengths and times are milliseconds.


-- How long a tier keeps its rows.  current and permanent have no length: the
-- first keeps what still has its parent, the second everything.
CREATE TABLE IF NOT EXISTS retention_tier(
  tier        TEXT NOT NULL PRIMARY KEY,
  keep_ms     INTEGER,
  description TEXT
) STRICT, WITHOUT ROWID;


-- What goes from a table.  A row goes when its time is older than keep_ms, by
-- default that of the tier, or when no row of parent_table has its child_key
-- for parent_key; a row for which keep_filter, an SQL expression over the
-- table's columns, is true stays.  time_unit: s, ms, iso8601 or julian.
CREATE TABLE IF NOT EXISTS retention_policy(
  table_name   TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
  tier         TEXT NOT NULL,
  time_column  TEXT,
  time_unit    TEXT DEFAULT 'ms',
  keep_ms      INTEGER,
  parent_table TEXT,
  parent_key   TEXT,
  child_key    TEXT,
  keep_filter  TEXT,
  enabled      INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

-- The newest keep_rows rows of each key stay, however old they are.  In the
-- tier current, all others go.  key_columns: a JSON array of names; '[]', the
-- table as a whole.
CREATE TABLE IF NOT EXISTS retention_latest(
  table_name  TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
  key_columns TEXT NOT NULL DEFAULT '[]',
  keep_rows   INTEGER NOT NULL DEFAULT 1
) STRICT, WITHOUT ROWID;

-- Rows older than after_ms, up to the next step, are thinned out to the first
-- one of each key in each period: daily, weekly (from Monday on), monthly; UTC.
CREATE TABLE IF NOT EXISTS retention_thin(
  table_name  TEXT NOT NULL COLLATE NOCASE,
  after_ms    INTEGER NOT NULL,
  period      TEXT NOT NULL,
  key_columns TEXT NOT NULL DEFAULT '[]',
  PRIMARY KEY (table_name, after_ms)
) STRICT, WITHOUT ROWID;

-- Where rows are counted before they go: each is first inserted in target, in
-- the same transaction, with the columns that both have.  target is a table, or
-- a view with an INSTEAD OF INSERT trigger, which can add up what it is given.
CREATE TABLE IF NOT EXISTS retention_rollup(
  table_name TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
  target     TEXT NOT NULL COLLATE NOCASE
) STRICT, WITHOUT ROWID;


-- What stays, whatever a policy says: the rows for which predicate is true, or
-- the one whose primary key is key (a JSON array when it has several columns);
-- with neither, all.  Until the time in `until`, or for good.
CREATE TABLE IF NOT EXISTS retention_hold(
  id         INTEGER PRIMARY KEY,
  table_name TEXT NOT NULL COLLATE NOCASE,
  predicate  TEXT,
  key        ANY,
  reason     TEXT NOT NULL,
  owner      TEXT NOT NULL,
  until      INTEGER
) STRICT;

CREATE INDEX IF NOT EXISTS retention_hold_table ON retention_hold(table_name);

-- Floors: no row of the table goes before it is so old, whoever deletes it.
-- retention_lock() makes the triggers that see to it.
CREATE TABLE IF NOT EXISTS retention_floor(
  table_name  TEXT NOT NULL COLLATE NOCASE PRIMARY KEY,
  time_column TEXT NOT NULL,
  time_unit   TEXT NOT NULL,
  min_keep_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;


-- The runs of retention_apply().  ended_at is NULL for one that runs, or was
-- killed; what it had done by then is in retention_run_table nevertheless, for
-- it is written with each batch.
CREATE TABLE IF NOT EXISTS retention_run(
  run          INTEGER PRIMARY KEY,
  now          INTEGER NOT NULL,
  started_at   INTEGER NOT NULL,
  ended_at     INTEGER,
  deleted      INTEGER NOT NULL DEFAULT 0,
  complete     INTEGER,
  pages_before INTEGER,
  pages_after  INTEGER,
  options      TEXT
) STRICT;

CREATE INDEX IF NOT EXISTS retention_run_now ON retention_run(now);

CREATE TABLE IF NOT EXISTS retention_run_table(
  run        INTEGER NOT NULL,
  position   INTEGER NOT NULL,
  table_name TEXT NOT NULL,
  deleted    INTEGER NOT NULL,
  kept       INTEGER,
  held       INTEGER,
  skipped    INTEGER,
  ms         INTEGER,
  blocked    TEXT,
  PRIMARY KEY (run, position)
) STRICT, WITHOUT ROWID;

-- How far the newest run is.
CREATE VIEW IF NOT EXISTS retention_progress AS
SELECT t.run, t.position, t.table_name,
       CASE WHEN t.kept IS NOT NULL   THEN 'done'
            WHEN r.ended_at IS NULL   THEN 'running'
            ELSE                           'stopped'
       END AS state,
       t.deleted, t.kept, t.held, t.skipped, t.ms, t.blocked
  FROM retention_run_table AS t
  JOIN retention_run AS r ON r.run = t.run
 WHERE t.run = (SELECT max(run) FROM retention_run);


-- ---- rules ------------------------------------------------------------------

-- A table that rows may go from.  An INSERT here is the question; the answer
-- "no" is an error.  RAISE takes a literal only, before SQLite 3.47; a JSON
-- path that is none can name the table.
CREATE VIEW IF NOT EXISTS retention_takes AS
SELECT '' AS place, '' AS table_name WHERE 0;

CREATE TRIGGER IF NOT EXISTS retention_takes_insert
INSTEAD OF INSERT ON retention_takes
BEGIN
  SELECT 1
    FROM json_each('{}', (
      SELECT NEW.place || ': '
             || coalesce(substr(NEW.table_name, 1, 100), 'NULL') || words
        FROM (SELECT CASE
                WHEN NOT EXISTS (SELECT 1 FROM sqlite_schema
                                  WHERE type IN ('table', 'view')
                                    AND name = NEW.table_name COLLATE NOCASE)
                THEN ' is no table of this database; create it first'
                WHEN EXISTS (SELECT 1 FROM sqlite_schema
                              WHERE type = 'view'
                                AND name = NEW.table_name COLLATE NOCASE)
                THEN ' is a view; name the tables behind it'
                WHEN EXISTS (SELECT 1 FROM sqlite_schema
                              WHERE type = 'table' AND rootpage = 0
                                AND name = NEW.table_name COLLATE NOCASE)
                THEN ' is a virtual table; name an ordinary one'
                WHEN lower(substr(NEW.table_name, 1, 7)) = 'sqlite_'
                     OR lower(substr(NEW.table_name, 1, 9)) = 'holdfast_'
                     OR lower(substr(NEW.table_name, 1, 10)) = 'retention_'
                     OR lower(NEW.table_name) = 'lease_high_water'
                THEN ' belongs to SQLite or Holdfast; name one of your own'
              END AS words)
       WHERE words IS NOT NULL));
END;

-- A column that the table has.  Its definition must at least name it; the rest
-- is seen by retention_plan.
CREATE VIEW IF NOT EXISTS retention_names AS
SELECT '' AS place, '' AS table_name, '' AS column_name WHERE 0;

CREATE TRIGGER IF NOT EXISTS retention_names_insert
INSTEAD OF INSERT ON retention_names
WHEN NEW.column_name IS NOT NULL
BEGIN
  SELECT 1
    FROM json_each('{}', (
      SELECT NEW.place || ': ' || NEW.table_name || ' has no column '
             || substr(NEW.column_name, 1, 100)
       WHERE NOT EXISTS (
         SELECT 1
           FROM sqlite_schema
          WHERE type = 'table' AND name = NEW.table_name COLLATE NOCASE
            AND NEW.column_name <> ''
            AND (instr(lower(sql), lower(NEW.column_name))
                 OR instr(lower(sql),
                          lower(replace(NEW.column_name, '"', '""')))))));
END;

-- A JSON array of names of columns.
CREATE VIEW IF NOT EXISTS retention_keys AS
SELECT '' AS place, '' AS table_name, '' AS key_columns WHERE 0;

CREATE TRIGGER IF NOT EXISTS retention_keys_insert
INSTEAD OF INSERT ON retention_keys
BEGIN
  SELECT 1
    FROM json_each('{}', (
      SELECT NEW.place || ': key_columns is a JSON array of names of columns'
       WHERE ((SELECT type FROM json_tree(NEW.key_columns) LIMIT 1) = 'array'
              AND NOT EXISTS (SELECT 1 FROM json_each(NEW.key_columns)
                               WHERE type <> 'text')) IS NOT 1));
  INSERT INTO retention_names
  SELECT NEW.place, NEW.table_name, value FROM json_each(NEW.key_columns);
END;

-- The lengths.  3.2e14 ms are ten thousand years.
CREATE VIEW IF NOT EXISTS retention_tier_takes AS
SELECT '' AS tier, 0 AS keep_ms WHERE 0;

CREATE TRIGGER IF NOT EXISTS retention_tier_takes_insert
INSTEAD OF INSERT ON retention_tier_takes
BEGIN
  SELECT CASE
    WHEN NEW.tier IN ('current', 'permanent') AND NEW.keep_ms IS NOT NULL
    THEN RAISE(ABORT,
      'retention_tier: current and permanent have no length; leave it NULL')
    WHEN NEW.tier NOT IN ('current', 'permanent')
         AND (typeof(NEW.keep_ms) = 'integer'
              AND NEW.keep_ms BETWEEN 0 AND 320000000000000) IS NOT 1
    THEN RAISE(ABORT,
      'retention_tier: keep_ms is a number of milliseconds from 0 to 3.2e14')
    WHEN EXISTS (SELECT 1
                   FROM retention_policy AS p
                   JOIN retention_floor AS f ON f.table_name = p.table_name
                  WHERE p.tier = NEW.tier AND p.keep_ms IS NULL
                    AND f.min_keep_ms > NEW.keep_ms)
    THEN RAISE(ABORT,
      'retention_tier: a table of that tier is locked for longer')
  END;
END;

CREATE TRIGGER IF NOT EXISTS retention_tier_insert
BEFORE INSERT ON retention_tier
BEGIN
  INSERT INTO retention_tier_takes VALUES (NEW.tier, NEW.keep_ms);
END;

CREATE TRIGGER IF NOT EXISTS retention_tier_update
BEFORE UPDATE ON retention_tier
BEGIN
  SELECT RAISE(ABORT, 'retention_tier: a name stays; insert another')
   WHERE NEW.tier IS NOT OLD.tier;
  INSERT INTO retention_tier_takes VALUES (NEW.tier, NEW.keep_ms);
END;

CREATE TRIGGER IF NOT EXISTS retention_tier_delete
BEFORE DELETE ON retention_tier
BEGIN
  SELECT RAISE(ABORT, 'retention_tier: a policy is of that tier; change it')
    FROM retention_policy
   WHERE tier = OLD.tier;
  SELECT RAISE(ABORT, 'retention_tier: the five tiers stay')
   WHERE OLD.tier IN ('current', 'short', 'medium', 'long', 'permanent');
END;

CREATE VIEW IF NOT EXISTS retention_policy_takes AS
SELECT '' AS table_name, '' AS tier, '' AS time_column, '' AS time_unit,
       0 AS keep_ms, '' AS parent_table, '' AS parent_key, '' AS child_key,
       '' AS keep_filter, 0 AS enabled
 WHERE 0;

CREATE TRIGGER IF NOT EXISTS retention_policy_takes_insert
INSTEAD OF INSERT ON retention_policy_takes
BEGIN
  INSERT INTO retention_takes VALUES ('retention_policy', NEW.table_name);
  SELECT CASE
    WHEN NOT EXISTS (SELECT 1 FROM retention_tier WHERE tier = NEW.tier)
    THEN RAISE(ABORT,
      'retention_policy: tier is one of those in retention_tier')
    WHEN NEW.tier IN ('current', 'permanent') AND NEW.keep_ms IS NOT NULL
    THEN RAISE(ABORT,
      'retention_policy: current and permanent take no keep_ms')
    WHEN NEW.tier NOT IN ('current', 'permanent') AND NEW.time_column IS NULL
    THEN RAISE(ABORT,
      'retention_policy: a tier with a length needs a time_column')
    WHEN NEW.time_column IS NOT NULL
         AND (NEW.time_unit IN ('s', 'ms', 'iso8601', 'julian')) IS NOT 1
    THEN RAISE(ABORT,
      'retention_policy: time_unit is s, ms, iso8601 or julian')
    WHEN NEW.keep_ms IS NOT NULL
         AND (NEW.keep_ms BETWEEN 0 AND 320000000000000) IS NOT 1
    THEN RAISE(ABORT,
      'retention_policy: keep_ms is a number of milliseconds from 0 to 3.2e14')
    WHEN (NEW.parent_table IS NULL) + (NEW.parent_key IS NULL)
         + (NEW.child_key IS NULL) NOT IN (0, 3)
    THEN RAISE(ABORT,
      'retention_policy: parent_table, parent_key, child_key: all or none')
    WHEN NEW.parent_table = NEW.table_name COLLATE NOCASE
    THEN RAISE(ABORT, 'retention_policy: a table is not its own parent')
    WHEN trim(NEW.keep_filter) = ''
    THEN RAISE(ABORT,
      'retention_policy: keep_filter is an SQL expression, or NULL')
    WHEN (NEW.enabled IN (0, 1)) IS NOT 1
    THEN RAISE(ABORT, 'retention_policy: enabled is 0 or 1')
    WHEN EXISTS (SELECT 1
                   FROM retention_floor
                  WHERE table_name = NEW.table_name
                    AND min_keep_ms > coalesce(NEW.keep_ms,
                          (SELECT keep_ms FROM retention_tier
                            WHERE tier = NEW.tier)))
    THEN RAISE(ABORT,
      'retention_policy: the table is locked for longer; see retention_floor')
  END;
  INSERT INTO retention_names
  VALUES ('retention_policy', NEW.table_name, NEW.time_column),
         ('retention_policy', NEW.table_name, NEW.child_key);
  INSERT INTO retention_takes
  SELECT 'retention_policy', NEW.parent_table
   WHERE NEW.parent_table IS NOT NULL;
  INSERT INTO retention_names
  VALUES ('retention_policy', NEW.parent_table, NEW.parent_key);
END;

CREATE TRIGGER IF NOT EXISTS retention_policy_insert
BEFORE INSERT ON retention_policy
BEGIN
  INSERT INTO retention_policy_takes
  VALUES (NEW.table_name, NEW.tier, NEW.time_column, NEW.time_unit,
          NEW.keep_ms, NEW.parent_table, NEW.parent_key, NEW.child_key,
          NEW.keep_filter, NEW.enabled);
END;

CREATE TRIGGER IF NOT EXISTS retention_policy_update
BEFORE UPDATE ON retention_policy
BEGIN
  INSERT INTO retention_policy_takes
  VALUES (NEW.table_name, NEW.tier, NEW.time_column, NEW.time_unit,
          NEW.keep_ms, NEW.parent_table, NEW.parent_key, NEW.child_key,
          NEW.keep_filter, NEW.enabled);
END;

CREATE TRIGGER IF NOT EXISTS retention_latest_insert
BEFORE INSERT ON retention_latest
BEGIN
  INSERT INTO retention_takes VALUES ('retention_latest', NEW.table_name);
  SELECT RAISE(ABORT, 'retention_latest: keep_rows is a number from 1 on')
   WHERE (NEW.keep_rows >= 1) IS NOT 1;
  INSERT INTO retention_keys
  VALUES ('retention_latest', NEW.table_name, NEW.key_columns);
END;

CREATE TRIGGER IF NOT EXISTS retention_latest_update
BEFORE UPDATE ON retention_latest
BEGIN
  INSERT INTO retention_takes VALUES ('retention_latest', NEW.table_name);
  SELECT RAISE(ABORT, 'retention_latest: keep_rows is a number from 1 on')
   WHERE (NEW.keep_rows >= 1) IS NOT 1;
  INSERT INTO retention_keys
  VALUES ('retention_latest', NEW.table_name, NEW.key_columns);
END;

CREATE TRIGGER IF NOT EXISTS retention_thin_insert
BEFORE INSERT ON retention_thin
BEGIN
  INSERT INTO retention_takes VALUES ('retention_thin', NEW.table_name);
  SELECT RAISE(ABORT, 'retention_thin: after_ms is a number from 0 to 3.2e14')
   WHERE (NEW.after_ms BETWEEN 0 AND 320000000000000) IS NOT 1;
  SELECT RAISE(ABORT, 'retention_thin: period is daily, weekly or monthly')
   WHERE (NEW.period IN ('daily', 'weekly', 'monthly')) IS NOT 1;
  INSERT INTO retention_keys
  VALUES ('retention_thin', NEW.table_name, NEW.key_columns);
END;

CREATE TRIGGER IF NOT EXISTS retention_thin_update
BEFORE UPDATE ON retention_thin
BEGIN
  INSERT INTO retention_takes VALUES ('retention_thin', NEW.table_name);
  SELECT RAISE(ABORT, 'retention_thin: after_ms is a number from 0 to 3.2e14')
   WHERE (NEW.after_ms BETWEEN 0 AND 320000000000000) IS NOT 1;
  SELECT RAISE(ABORT, 'retention_thin: period is daily, weekly or monthly')
   WHERE (NEW.period IN ('daily', 'weekly', 'monthly')) IS NOT 1;
  INSERT INTO retention_keys
  VALUES ('retention_thin', NEW.table_name, NEW.key_columns);
END;

CREATE TRIGGER IF NOT EXISTS retention_rollup_insert
BEFORE INSERT ON retention_rollup
BEGIN
  INSERT INTO retention_takes VALUES ('retention_rollup', NEW.table_name);
  SELECT RAISE(ABORT,
      'retention_rollup: target is a table or view that is there, another one')
   WHERE NEW.target = NEW.table_name
      OR NOT EXISTS (SELECT 1 FROM sqlite_schema
                      WHERE type IN ('table', 'view') AND name = NEW.target
                            COLLATE NOCASE);
END;

CREATE TRIGGER IF NOT EXISTS retention_rollup_update
BEFORE UPDATE ON retention_rollup
BEGIN
  INSERT INTO retention_takes VALUES ('retention_rollup', NEW.table_name);
  SELECT RAISE(ABORT,
      'retention_rollup: target is a table or view that is there, another one')
   WHERE NEW.target = NEW.table_name
      OR NOT EXISTS (SELECT 1 FROM sqlite_schema
                      WHERE type IN ('table', 'view') AND name = NEW.target
                            COLLATE NOCASE);
END;


-- ---- holds ------------------------------------------------------------------

CREATE TRIGGER IF NOT EXISTS retention_hold_insert
BEFORE INSERT ON retention_hold
BEGIN
  INSERT INTO retention_takes VALUES ('retention_hold', NEW.table_name);
  SELECT CASE
    WHEN (trim(NEW.reason) <> '' AND trim(NEW.owner) <> '') IS NOT 1
    THEN RAISE(ABORT, 'retention_hold: a hold needs a reason and an owner')
    WHEN NEW.predicate IS NOT NULL AND NEW.key IS NOT NULL
    THEN RAISE(ABORT, 'retention_hold: give predicate or key, or none for all')
    WHEN trim(NEW.predicate) = ''
    THEN RAISE(ABORT,
      'retention_hold: predicate is an SQL expression, or NULL')
  END;
END;

CREATE TRIGGER IF NOT EXISTS retention_hold_update
BEFORE UPDATE ON retention_hold
BEGIN
  INSERT INTO retention_takes VALUES ('retention_hold', NEW.table_name);
  SELECT CASE
    WHEN (trim(NEW.reason) <> '' AND trim(NEW.owner) <> '') IS NOT 1
    THEN RAISE(ABORT, 'retention_hold: a hold needs a reason and an owner')
    WHEN NEW.predicate IS NOT NULL AND NEW.key IS NOT NULL
    THEN RAISE(ABORT, 'retention_hold: give predicate or key, or none for all')
    WHEN trim(NEW.predicate) = ''
    THEN RAISE(ABORT,
      'retention_hold: predicate is an SQL expression, or NULL')
  END;
END;


-- ---- floors -----------------------------------------------------------------

-- A floor only rises: an INSERT of one that is there would replace it.
CREATE TRIGGER IF NOT EXISTS retention_floor_insert
BEFORE INSERT ON retention_floor
BEGIN
  INSERT INTO retention_takes VALUES ('retention_floor', NEW.table_name);
  INSERT INTO retention_names
  VALUES ('retention_floor', NEW.table_name, NEW.time_column);
  SELECT CASE
    WHEN EXISTS (SELECT 1 FROM retention_floor
                  WHERE table_name = NEW.table_name)
    THEN RAISE(ABORT,
      'retention_floor: the table is locked; retention_lock() raises its floor')
    WHEN (NEW.time_unit IN ('s', 'ms', 'iso8601', 'julian')) IS NOT 1
    THEN RAISE(ABORT,
      'retention_floor: time_unit is s, ms, iso8601 or julian')
    WHEN (NEW.min_keep_ms BETWEEN 1 AND 320000000000000) IS NOT 1
    THEN RAISE(ABORT,
      'retention_floor: min_keep_ms is a number from 1 to 3.2e14')
  END;
END;

CREATE TRIGGER IF NOT EXISTS retention_floor_update
BEFORE UPDATE ON retention_floor
BEGIN
  SELECT CASE
    WHEN (NEW.table_name, NEW.time_column, NEW.time_unit) IS NOT
         (OLD.table_name, OLD.time_column, OLD.time_unit)
         OR (NEW.min_keep_ms BETWEEN OLD.min_keep_ms
                                 AND 320000000000000) IS NOT 1
    THEN RAISE(ABORT, 'retention_floor: a floor only rises')
  END;
END;

CREATE TRIGGER IF NOT EXISTS retention_floor_delete
BEFORE DELETE ON retention_floor
BEGIN
  SELECT RAISE(ABORT, 'retention_floor: a floor stays');
END;


-- ---- the log ----------------------------------------------------------------

CREATE TRIGGER IF NOT EXISTS retention_run_insert
BEFORE INSERT ON retention_run
BEGIN
  SELECT RAISE(ABORT, 'retention_run: the log is append-only')
   WHERE EXISTS (SELECT 1 FROM retention_run WHERE run = NEW.run);
END;

CREATE TRIGGER IF NOT EXISTS retention_run_update
BEFORE UPDATE ON retention_run
BEGIN
  SELECT RAISE(ABORT, 'retention_run: a run that has ended stays as it is')
   WHERE OLD.ended_at IS NOT NULL
      OR (NEW.run, NEW.now, NEW.started_at, NEW.options) IS NOT
         (OLD.run, OLD.now, OLD.started_at, OLD.options);
END;

CREATE TRIGGER IF NOT EXISTS retention_run_delete
BEFORE DELETE ON retention_run
BEGIN
  SELECT RAISE(ABORT, 'retention_run: the log is append-only');
END;

CREATE TRIGGER IF NOT EXISTS retention_run_table_insert
BEFORE INSERT ON retention_run_table
BEGIN
  SELECT RAISE(ABORT, 'retention_run_table: only a run that goes on writes it')
   WHERE (SELECT ended_at IS NULL FROM retention_run
           WHERE run = NEW.run) IS NOT 1
      OR EXISTS (SELECT 1 FROM retention_run_table
                  WHERE run = NEW.run AND position = NEW.position);
END;

CREATE TRIGGER IF NOT EXISTS retention_run_table_update
BEFORE UPDATE ON retention_run_table
BEGIN
  SELECT RAISE(ABORT, 'retention_run_table: only a run that goes on writes it')
   WHERE (SELECT ended_at IS NULL FROM retention_run
           WHERE run = OLD.run) IS NOT 1
      OR (NEW.run, NEW.position, NEW.table_name) IS NOT
         (OLD.run, OLD.position, OLD.table_name);
END;

CREATE TRIGGER IF NOT EXISTS retention_run_table_delete
BEFORE DELETE ON retention_run_table
BEGIN
  SELECT RAISE(ABORT, 'retention_run_table: the log is append-only');
END;


-- ---- what is there at the start ---------------------------------------------

INSERT INTO retention_tier(tier, keep_ms, description)
SELECT column1, column2, column3
  FROM (VALUES
    ('current',   NULL,        'as long as its parent is there'),
    ('short',     2592000000,  '30 days'),
    ('medium',    7776000000,  '90 days'),
    ('long',      31536000000, '365 days'),
    ('permanent', NULL,        'for ever'))
 WHERE column1 NOT IN (SELECT tier FROM retention_tier);
