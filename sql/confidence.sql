-- Confidence: what people do with findings changes how sure the next ones are.
--
-- Ordinary SQL.  Inserting violations and feedback, and the walls around them,
-- need nothing but SQLite.  The views confidence and confidence_detector, and
-- the deletion of feedback, need the extension: without it they fail with "no
-- such function".  Run it with holdfast_install('confidence') or by hand with
-- .read; again, it changes nothing.
--
-- Times are milliseconds since 1970.


-- ---- rules ------------------------------------------------------------------

-- What is set: one row.  profile: whose rules and limits are in force; setting
-- it copies them.  half_life_ms: in which a vote loses half its weight; NULL:
-- it keeps it.  one_vote: the newest vote of a person on a violation counts; 0:
-- all do, until undone.  certainty: how sure it must be that the true rate is
-- above disable_rate; 0: the rate alone decides.  now: the time that is taken
-- for the present; NULL: the clock.
CREATE TABLE IF NOT EXISTS confidence_setting(
  id           INTEGER NOT NULL PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  profile      TEXT NOT NULL DEFAULT 'seed',
  warning_rate REAL NOT NULL DEFAULT 0.05 CHECK (warning_rate BETWEEN 0 AND 1),
  alert_rate   REAL NOT NULL DEFAULT 0.10 CHECK (alert_rate BETWEEN 0 AND 1),
  disable_rate REAL NOT NULL DEFAULT 0.20 CHECK (disable_rate BETWEEN 0 AND 1),
  disable_ms   INTEGER NOT NULL DEFAULT 2592000000 CHECK (disable_ms >= 0),
  least_acted  INTEGER NOT NULL DEFAULT 10 CHECK (least_acted > 0),
  certainty    REAL NOT NULL DEFAULT 0 CHECK (certainty BETWEEN 0 AND 1),
  half_life_ms INTEGER CHECK (half_life_ms > 0),
  one_vote     INTEGER NOT NULL DEFAULT 1 CHECK (one_vote IN (0, 1)),
  factors      TEXT NOT NULL DEFAULT 'analyser',
  burst_count  INTEGER NOT NULL DEFAULT 20 CHECK (burst_count > 1),
  burst_ms     INTEGER NOT NULL DEFAULT 3600000 CHECK (burst_ms >= 0),
  share_count  INTEGER NOT NULL DEFAULT 10 CHECK (share_count > 0),
  share_rate   REAL NOT NULL DEFAULT 0.5 CHECK (share_rate BETWEEN 0 AND 1),
  share_ms     INTEGER NOT NULL DEFAULT 2592000000 CHECK (share_ms >= 0),
  target_count INTEGER NOT NULL DEFAULT 10 CHECK (target_count > 1),
  target_ms    INTEGER NOT NULL DEFAULT 604800000 CHECK (target_ms >= 0),
  now          INTEGER CHECK (now >= 0)
) STRICT;

-- The profiles, and the limits that come with each.
CREATE TABLE IF NOT EXISTS confidence_profile(
  profile      TEXT NOT NULL PRIMARY KEY,
  warning_rate REAL NOT NULL CHECK (warning_rate BETWEEN 0 AND 1),
  alert_rate   REAL NOT NULL CHECK (alert_rate BETWEEN 0 AND 1),
  disable_rate REAL NOT NULL CHECK (disable_rate BETWEEN 0 AND 1),
  disable_ms   INTEGER NOT NULL CHECK (disable_ms >= 0),
  least_acted  INTEGER NOT NULL CHECK (least_acted > 0)
) STRICT, WITHOUT ROWID;

-- Their rules.  alpha, beta: what the vote adds to the successes, and to the
-- failures, of the pattern.  counted: it is in the denominator of the rate of
-- false positives; false_positive: in the numerator, too.  reason NULL: none
-- was given.
CREATE TABLE IF NOT EXISTS confidence_profile_rule(
  profile        TEXT NOT NULL,
  action         TEXT NOT NULL CHECK (action <> ''),
  reason         TEXT CHECK (reason <> ''),
  alpha          REAL NOT NULL CHECK (alpha BETWEEN 0 AND 1e6),
  beta           REAL NOT NULL CHECK (beta BETWEEN 0 AND 1e6),
  false_positive INTEGER NOT NULL CHECK (false_positive IN (0, 1)),
  counted        INTEGER NOT NULL CHECK (counted IN (0, 1)),
  CHECK (false_positive <= counted)
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS confidence_profile_rule_key
    ON confidence_profile_rule(profile, action, ifnull(reason, ''));

-- The rules in force.  They may be changed one by one.
CREATE TABLE IF NOT EXISTS confidence_rule(
  action         TEXT NOT NULL CHECK (action <> ''),
  reason         TEXT CHECK (reason <> ''),
  alpha          REAL NOT NULL CHECK (alpha BETWEEN 0 AND 1e6),
  beta           REAL NOT NULL CHECK (beta BETWEEN 0 AND 1e6),
  false_positive INTEGER NOT NULL CHECK (false_positive IN (0, 1)),
  counted        INTEGER NOT NULL CHECK (counted IN (0, 1)),
  CHECK (false_positive <= counted)
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS confidence_rule_key
    ON confidence_rule(action, ifnull(reason, ''));

-- The present.
CREATE VIEW IF NOT EXISTS confidence_now AS
SELECT coalesce((SELECT now FROM confidence_setting),
                CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                - 210866760000000) AS now;

CREATE TRIGGER IF NOT EXISTS confidence_setting_insert
BEFORE INSERT ON confidence_setting
WHEN EXISTS (SELECT 1 FROM confidence_setting)
BEGIN
  SELECT RAISE(ABORT, 'confidence_setting: there is one row; UPDATE it');
END;

CREATE TRIGGER IF NOT EXISTS confidence_setting_delete
BEFORE DELETE ON confidence_setting
BEGIN
  SELECT RAISE(ABORT, 'confidence_setting: the row stays; UPDATE it');
END;

CREATE TRIGGER IF NOT EXISTS confidence_setting_update
BEFORE UPDATE ON confidence_setting
BEGIN
  SELECT 1
    FROM json_each('{}',
      (SELECT 'confidence_setting: there is no profile '
              || coalesce(substr(NEW.profile, 1, 100), 'NULL')
              || '; there are '
              || (SELECT group_concat(profile, ', ') FROM confidence_profile)
        WHERE NOT EXISTS (SELECT 1 FROM confidence_profile
                           WHERE profile = NEW.profile)));
  SELECT 1
    FROM json_each('{}',
      (SELECT 'confidence_setting: there are no factors '
              || coalesce(substr(NEW.factors, 1, 100), 'NULL')
              || '; there are '
              || (SELECT group_concat(DISTINCT profile)
                    FROM confidence_factor)
        WHERE NOT EXISTS (SELECT 1 FROM confidence_factor
                           WHERE profile = NEW.factors)));
END;

CREATE TRIGGER IF NOT EXISTS confidence_setting_profile
AFTER UPDATE OF profile ON confidence_setting
BEGIN
  DELETE FROM confidence_rule;
  INSERT INTO confidence_rule(action, reason, alpha, beta, false_positive,
                              counted)
  SELECT action, reason, alpha, beta, false_positive, counted
    FROM confidence_profile_rule
   WHERE profile = NEW.profile;
  UPDATE confidence_setting
     SET (warning_rate, alert_rate, disable_rate, disable_ms, least_acted) =
         (SELECT warning_rate, alert_rate, disable_rate, disable_ms,
                 least_acted
            FROM confidence_profile
           WHERE profile = NEW.profile);
END;


-- ---- patterns ---------------------------------------------------------------

-- What findings are instances of, and what was known before any feedback: alpha
-- and beta, successes and failures, 1 and 1 when nothing was.
CREATE TABLE IF NOT EXISTS confidence_pattern(
  pattern_id TEXT NOT NULL PRIMARY KEY,
  alpha      REAL NOT NULL DEFAULT 1 CHECK (alpha BETWEEN 0.01 AND 1e9),
  beta       REAL NOT NULL DEFAULT 1 CHECK (beta BETWEEN 0.01 AND 1e9)
) STRICT, WITHOUT ROWID;

-- What a scan saw of a pattern, for the factors.  category_total: locations of
-- all patterns of the category; NULL: of those that are here.  variance: of the
-- locations' confidences.  idle_days: since it was last seen.
CREATE TABLE IF NOT EXISTS confidence_observation(
  pattern_id     TEXT NOT NULL PRIMARY KEY,
  category       TEXT,
  locations      INTEGER NOT NULL CHECK (locations BETWEEN 0 AND 1000000000),
  files          INTEGER NOT NULL CHECK (files BETWEEN 0 AND 1000000000),
  category_total INTEGER CHECK (category_total >= 0),
  total_files    INTEGER NOT NULL DEFAULT 100
                 CHECK (total_files BETWEEN 0 AND 1000000000),
  variance       REAL,
  age_days       REAL NOT NULL DEFAULT 0 CHECK (age_days >= 0),
  idle_days      REAL NOT NULL DEFAULT 0 CHECK (idle_days >= 0),
  momentum       TEXT NOT NULL DEFAULT 'stable'
                 CHECK (momentum IN ('rising', 'stable', 'falling')),
  quality        REAL NOT NULL DEFAULT 0.7
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS confidence_observation_category
    ON confidence_observation(category, locations);

-- The weights of the factors, a set a profile; those of a set sum to 1.
CREATE TABLE IF NOT EXISTS confidence_factor(
  profile TEXT NOT NULL,
  factor  TEXT NOT NULL,
  weight  REAL NOT NULL CHECK (weight BETWEEN 0 AND 1),
  PRIMARY KEY (profile, factor)
) STRICT, WITHOUT ROWID;

-- A factor's value from 0 to 1 that you measured: for factors of your own, or
-- instead of what the observation gives.
CREATE TABLE IF NOT EXISTS confidence_measure(
  pattern_id TEXT NOT NULL,
  factor     TEXT NOT NULL,
  value      REAL NOT NULL CHECK (value BETWEEN 0 AND 1),
  PRIMARY KEY (pattern_id, factor)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS confidence_observation_insert
AFTER INSERT ON confidence_observation
WHEN NOT EXISTS (SELECT 1 FROM confidence_pattern
                  WHERE pattern_id = NEW.pattern_id)
BEGIN
  INSERT INTO confidence_pattern(pattern_id) VALUES (NEW.pattern_id);
END;

-- The value of each factor of each pattern that was observed.
CREATE VIEW IF NOT EXISTS confidence_factor_value AS
SELECT o.pattern_id, f.factor, f.weight,
       max(0.0, min(1.0, coalesce(m.value,
         CASE f.factor
           WHEN 'frequency'
           THEN 1.0 * o.locations
                / nullif(coalesce(o.category_total,
                                  (SELECT sum(c.locations)
                                     FROM confidence_observation AS c
                                    WHERE c.category IS o.category)), 0)
           WHEN 'consistency'
           THEN iif(o.variance BETWEEN 0 AND 1e300, 1 - o.variance, 1.0)
           WHEN 'age'
           THEN 0.1 + 0.9 * min(o.age_days, 30.0) / 30
           WHEN 'spread'
           THEN 1.0 * o.files / nullif(o.total_files, 0)
           WHEN 'momentum'
           THEN CASE o.momentum WHEN 'rising'  THEN 0.8
                                WHEN 'falling' THEN 0.2
                                ELSE                0.5 END
           WHEN 'quality'
           THEN o.quality
         END, 0.0))) AS value
  FROM confidence_observation AS o
  JOIN confidence_setting AS s
  JOIN confidence_factor AS f ON f.profile = s.factors
  LEFT JOIN confidence_measure AS m
    ON m.pattern_id = o.pattern_id AND m.factor = f.factor;

-- Their weighted sum, and for how many pseudo-counts it stands: nearly one a
-- location.  fade: what is left of all of that when the pattern was not seen.
CREATE VIEW IF NOT EXISTS confidence_score AS
SELECT pattern_id, score,
       sample * sample / (sample + 10.0) AS pseudo_counts,
       CASE WHEN idle_days <= 7  THEN 1.0
            WHEN idle_days >= 90 THEN 0.1
            ELSE 1 - 0.9 * (idle_days - 7) / 83
       END AS fade,
       files, missing
  FROM (SELECT o.pattern_id, o.idle_days, o.files,
               max(o.total_files - o.files, 0) AS missing,
               max(o.locations, 1) AS sample,
               (SELECT min(1.0, total(v.weight * v.value))
                  FROM confidence_factor_value AS v
                 WHERE v.pattern_id = o.pattern_id) AS score
          FROM confidence_observation AS o);

-- What is known of a pattern before feedback.
CREATE VIEW IF NOT EXISTS confidence_base AS
SELECT p.pattern_id,
       coalesce((p.alpha + s.files + s.score * s.pseudo_counts) * s.fade,
                p.alpha) AS alpha,
       coalesce((p.beta + s.missing + (1 - s.score) * s.pseudo_counts)
                * s.fade, p.beta) AS beta
  FROM confidence_pattern AS p
  LEFT JOIN confidence_score AS s ON s.pattern_id = p.pattern_id;


-- ---- violations and feedback ------------------------------------------------

-- What was found.  A violation that is found again keeps its id.
CREATE TABLE IF NOT EXISTS confidence_violation(
  id          TEXT NOT NULL PRIMARY KEY,
  pattern_id  TEXT NOT NULL,
  detector_id TEXT NOT NULL,
  file        TEXT,
  line        INTEGER,
  severity    TEXT,
  message     TEXT,
  created_at  INTEGER NOT NULL
              DEFAULT (CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                       - 210866760000000)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS confidence_violation_pattern
    ON confidence_violation(pattern_id);
CREATE INDEX IF NOT EXISTS confidence_violation_detector
    ON confidence_violation(detector_id);
CREATE INDEX IF NOT EXISTS confidence_violation_created
    ON confidence_violation(created_at);

-- What people did with them.  pattern_id, detector_id and at are filled in, and
-- stay when the violation goes.  note: free text.  expires_at: when a dismissal
-- or suppression lapses.  standing: 1 is the person's newest on the violation,
-- 0 was replaced by a newer one, -1 was undone.
CREATE TABLE IF NOT EXISTS confidence_feedback(
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  violation_id TEXT NOT NULL,
  action       TEXT NOT NULL,
  reason       TEXT,
  author       TEXT,
  at           INTEGER,
  expires_at   INTEGER,
  note         TEXT,
  pattern_id   TEXT,
  detector_id  TEXT,
  standing     INTEGER NOT NULL DEFAULT 1
) STRICT;

CREATE INDEX IF NOT EXISTS confidence_feedback_vote
    ON confidence_feedback(violation_id, author, at, id);
CREATE INDEX IF NOT EXISTS confidence_feedback_pattern
    ON confidence_feedback(pattern_id);
CREATE INDEX IF NOT EXISTS confidence_feedback_detector
    ON confidence_feedback(detector_id, at);
CREATE INDEX IF NOT EXISTS confidence_feedback_at
    ON confidence_feedback(at);
CREATE INDEX IF NOT EXISTS confidence_feedback_author
    ON confidence_feedback(author, at);

-- Feedback that was deleted, summed up: a deletion adds to it what the row
-- counted for, so no posterior and no rate jumps.  alpha and beta are as of
-- `at`, from when on they fade on; expires_at is 9223372036854775807 for never.
CREATE TABLE IF NOT EXISTS confidence_carry(
  pattern_id  TEXT NOT NULL,
  detector_id TEXT NOT NULL,
  expires_at  INTEGER NOT NULL,
  alpha       REAL NOT NULL CHECK (alpha BETWEEN 0 AND 1e15),
  beta        REAL NOT NULL CHECK (beta BETWEEN 0 AND 1e15),
  feedback    INTEGER NOT NULL CHECK (feedback >= 0),
  at          INTEGER NOT NULL,
  PRIMARY KEY (pattern_id, detector_id, expires_at)
) STRICT, WITHOUT ROWID;

-- The same for the rates.  above_since: since when the rate had been above the
-- limit, as far as it was counted up here.
CREATE TABLE IF NOT EXISTS confidence_carry_detector(
  detector_id     TEXT NOT NULL PRIMARY KEY,
  acted           INTEGER NOT NULL CHECK (acted >= 0),
  false_positives INTEGER NOT NULL CHECK (false_positives BETWEEN 0 AND acted),
  above_since     INTEGER
) STRICT, WITHOUT ROWID;

-- A detector that somebody switched by hand.  disabled: it stays so.  enabled:
-- the days above the limit are counted from `at` on, anew.
CREATE TABLE IF NOT EXISTS confidence_override(
  detector_id TEXT NOT NULL PRIMARY KEY,
  state       TEXT NOT NULL CHECK (state IN ('enabled', 'disabled')),
  author      TEXT NOT NULL CHECK (trim(author) <> ''),
  reason      TEXT NOT NULL CHECK (trim(reason) <> ''),
  at          INTEGER NOT NULL
              DEFAULT (CAST(round(julianday('now') * 86400000.0) AS INTEGER)
                       - 210866760000000)
) STRICT, WITHOUT ROWID;


-- ---- the walls --------------------------------------------------------------

CREATE TRIGGER IF NOT EXISTS confidence_violation_insert
BEFORE INSERT ON confidence_violation
BEGIN
  SELECT RAISE(ABORT,
      'confidence_violation: id, pattern_id and detector_id must not be empty')
   WHERE (trim(NEW.id) <> '' AND trim(NEW.pattern_id) <> ''
          AND trim(NEW.detector_id) <> '') IS NOT 1;
  SELECT RAISE(ABORT,
      'confidence_violation: this id has another pattern or detector')
    FROM confidence_violation
   WHERE id = NEW.id
     AND (pattern_id, detector_id) IS NOT (NEW.pattern_id, NEW.detector_id);
END;

CREATE TRIGGER IF NOT EXISTS confidence_violation_inserted
AFTER INSERT ON confidence_violation
WHEN NOT EXISTS (SELECT 1 FROM confidence_pattern
                  WHERE pattern_id = NEW.pattern_id)
BEGIN
  INSERT INTO confidence_pattern(pattern_id) VALUES (NEW.pattern_id);
END;

CREATE TRIGGER IF NOT EXISTS confidence_violation_update
BEFORE UPDATE ON confidence_violation
WHEN (NEW.id, NEW.pattern_id, NEW.detector_id) IS NOT
     (OLD.id, OLD.pattern_id, OLD.detector_id)
BEGIN
  SELECT RAISE(ABORT,
      'confidence_violation: id, pattern_id and detector_id stay');
END;

-- A pattern that has feedback or violations stays.
CREATE TRIGGER IF NOT EXISTS confidence_pattern_delete
BEFORE DELETE ON confidence_pattern
WHEN EXISTS (SELECT 1 FROM confidence_violation
              WHERE pattern_id = OLD.pattern_id)
     OR EXISTS (SELECT 1 FROM confidence_feedback
                 WHERE pattern_id = OLD.pattern_id)
     OR EXISTS (SELECT 1 FROM confidence_carry
                 WHERE pattern_id = OLD.pattern_id)
BEGIN
  SELECT RAISE(ABORT,
      'confidence_pattern: there are violations or feedback of it; it stays');
END;

CREATE TRIGGER IF NOT EXISTS confidence_pattern_update
BEFORE UPDATE ON confidence_pattern
WHEN NEW.pattern_id IS NOT OLD.pattern_id
BEGIN
  SELECT RAISE(ABORT, 'confidence_pattern: pattern_id stays');
END;

-- Who votes says something that the rules know, about something that was found.
CREATE TRIGGER IF NOT EXISTS confidence_feedback_insert
BEFORE INSERT ON confidence_feedback
BEGIN
  SELECT 1
    FROM json_each('{}',
      (SELECT 'confidence_feedback: there is no violation '
              || coalesce(substr(NEW.violation_id, 1, 100), 'NULL')
              || ' in confidence_violation'
        WHERE NOT EXISTS (SELECT 1 FROM confidence_violation
                           WHERE id = NEW.violation_id)));
  SELECT 1
    FROM json_each('{}',
      (SELECT 'confidence_feedback: there is no action '
              || coalesce(substr(NEW.action, 1, 100), 'NULL')
              || '; there are '
              || coalesce((SELECT group_concat(action, ', ')
                             FROM (SELECT DISTINCT action
                                     FROM confidence_rule ORDER BY 1)),
                          'none')
        WHERE NOT EXISTS (SELECT 1 FROM confidence_rule
                           WHERE action = NEW.action)));
  SELECT 1
    FROM json_each('{}',
      (SELECT 'confidence_feedback: ' || NEW.action
              || ' has no reason '
              || coalesce(substr(NEW.reason, 1, 100), 'NULL')
              || '; there are '
              || (SELECT group_concat(coalesce(reason, 'NULL'), ', ')
                    FROM (SELECT reason
                            FROM confidence_rule
                           WHERE action = NEW.action ORDER BY 1))
        WHERE NOT EXISTS (SELECT 1 FROM confidence_rule
                           WHERE action = NEW.action
                             AND reason IS NEW.reason)));
  SELECT CASE
    WHEN NEW.author IS NOT NULL
         AND (trim(NEW.author, char(32, 9, 10, 11, 12, 13)) <> ''
              AND instr(NEW.author, char(0)) = 0) IS NOT 1
    THEN RAISE(ABORT,
      'confidence_feedback: author is a name, or NULL for nobody')
    WHEN NEW.at IS NOT NULL AND (NEW.at BETWEEN 0 AND now + 60000) IS NOT 1
    THEN RAISE(ABORT,
      'confidence_feedback: at lies before 1970 or in the future; leave it out')
    WHEN NEW.expires_at IS NOT NULL
         AND NEW.action NOT IN ('dismiss', 'suppress')
    THEN RAISE(ABORT,
      'confidence_feedback: expires_at is for dismiss and suppress')
    WHEN NEW.expires_at <= coalesce(NEW.at, now)
    THEN RAISE(ABORT,
      'confidence_feedback: expires_at must be after at, in ms since 1970')
    WHEN NEW.standing IS NOT 1
    THEN RAISE(ABORT, 'confidence_feedback: standing is counted; leave it out')
    WHEN EXISTS (SELECT 1 FROM confidence_feedback WHERE id = NEW.id)
    THEN RAISE(ABORT, 'confidence_feedback is append-only; leave id out')
    WHEN EXISTS (SELECT 1 FROM confidence_violation
                  WHERE id = NEW.violation_id
                    AND (pattern_id IS NOT
                         coalesce(NEW.pattern_id, pattern_id)
                         OR detector_id IS NOT
                            coalesce(NEW.detector_id, detector_id)))
    THEN RAISE(ABORT,
      'confidence_feedback: pattern_id and detector_id are filled in')
    WHEN NEW.action = 'undo'
         AND NOT EXISTS (SELECT 1 FROM confidence_feedback
                          WHERE violation_id = NEW.violation_id
                            AND author IS NEW.author AND action <> 'undo'
                            AND standing = 1)
    THEN RAISE(ABORT,
      'confidence_feedback: this author has nothing to undo there')
  END
    FROM confidence_now;
END;

-- It is filled in; older feedback of that person on that violation is replaced
-- or undone; and so is this one, if it was late.  A clock that was set back
-- does not make it late.
CREATE TRIGGER IF NOT EXISTS confidence_feedback_inserted
AFTER INSERT ON confidence_feedback
BEGIN
  SELECT RAISE(ABORT, 'confidence_feedback is append-only; leave id out')
   WHERE NEW.id < 1;
  UPDATE confidence_feedback
     SET at = coalesce(NEW.at,
                       (SELECT max(now, coalesce(max(n.at), 0))
                          FROM confidence_now
                          LEFT JOIN confidence_feedback AS n
                            ON n.violation_id = NEW.violation_id
                           AND n.author IS NEW.author)),
         pattern_id = (SELECT pattern_id FROM confidence_violation
                        WHERE id = NEW.violation_id),
         detector_id = (SELECT detector_id FROM confidence_violation
                         WHERE id = NEW.violation_id)
   WHERE id = NEW.id;
  UPDATE confidence_feedback
     SET standing = iif(NEW.action = 'undo', -1, 0)
   WHERE violation_id = NEW.violation_id AND author IS NEW.author
     AND standing > iif(NEW.action = 'undo', -1, 0)
     AND (at, id) < (SELECT n.at, n.id FROM confidence_feedback AS n
                      WHERE n.id = NEW.id);
  UPDATE confidence_feedback
     SET standing = (SELECT min(iif(n.action = 'undo', -1, 0))
                       FROM confidence_feedback AS n
                      WHERE n.violation_id = NEW.violation_id
                        AND n.author IS NEW.author
                        AND (n.at, n.id) > (confidence_feedback.at, NEW.id))
   WHERE id = NEW.id
     AND EXISTS (SELECT 1
                   FROM confidence_feedback AS n
                  WHERE n.violation_id = NEW.violation_id
                    AND n.author IS NEW.author
                    AND (n.at, n.id) > (confidence_feedback.at, NEW.id));
END;

-- Nothing else of it changes: what is filled in is what the violation says, and
-- standing only falls, by a newer vote.
CREATE TRIGGER IF NOT EXISTS confidence_feedback_update
BEFORE UPDATE ON confidence_feedback
BEGIN
  SELECT RAISE(ABORT, 'confidence_feedback is append-only; undo is an action')
   WHERE (NEW.id, NEW.violation_id, NEW.action, NEW.reason, NEW.author,
          NEW.expires_at, NEW.note) IS NOT
         (OLD.id, OLD.violation_id, OLD.action, OLD.reason, OLD.author,
          OLD.expires_at, OLD.note)
      OR NEW.at IS NOT coalesce(OLD.at, NEW.at) OR NEW.at IS NULL
      OR (NEW.pattern_id, NEW.detector_id) IS NOT
         (SELECT coalesce(OLD.pattern_id, v.pattern_id),
                 coalesce(OLD.detector_id, v.detector_id)
            FROM (SELECT 1)
            LEFT JOIN confidence_violation AS v ON v.id = OLD.violation_id)
      OR (NEW.standing IS NOT OLD.standing
          AND (NEW.standing < OLD.standing
               AND NEW.standing =
                   (SELECT min(iif(n.action = 'undo', -1, 0))
                      FROM confidence_feedback AS n
                     WHERE n.violation_id = OLD.violation_id
                       AND n.author IS OLD.author
                       AND (n.at, n.id) > (OLD.at, OLD.id))) IS NOT 1);
END;

-- What is in confidence_carry was counted once and is not told apart again.
CREATE TRIGGER IF NOT EXISTS confidence_carry_insert
BEFORE INSERT ON confidence_carry
WHEN (NEW.alpha = 0 AND NEW.beta = 0 AND NEW.feedback = 0) IS NOT 1
     OR EXISTS (SELECT 1 FROM confidence_carry
                 WHERE pattern_id = NEW.pattern_id
                   AND detector_id = NEW.detector_id
                   AND expires_at = NEW.expires_at)
BEGIN
  SELECT RAISE(ABORT,
      'confidence_carry is written when feedback is deleted');
END;

CREATE TRIGGER IF NOT EXISTS confidence_carry_update
BEFORE UPDATE ON confidence_carry
WHEN (NEW.pattern_id = OLD.pattern_id AND NEW.detector_id = OLD.detector_id
      AND NEW.expires_at = OLD.expires_at AND NEW.at >= OLD.at
      AND NEW.feedback = OLD.feedback + 1) IS NOT 1
BEGIN
  SELECT RAISE(ABORT,
      'confidence_carry is written when feedback is deleted');
END;

-- A row whose dismissals have all expired weighs nothing, and may go.
CREATE TRIGGER IF NOT EXISTS confidence_carry_delete
BEFORE DELETE ON confidence_carry
WHEN (OLD.expires_at <= (SELECT now FROM confidence_now)) IS NOT 1
BEGIN
  SELECT RAISE(ABORT,
      'confidence_carry: what was counted stays, or confidence would jump');
END;

CREATE TRIGGER IF NOT EXISTS confidence_carry_detector_insert
BEFORE INSERT ON confidence_carry_detector
WHEN (NEW.acted = 0 AND NEW.false_positives = 0 AND NEW.above_since IS NULL)
     IS NOT 1
     OR EXISTS (SELECT 1 FROM confidence_carry_detector
                 WHERE detector_id = NEW.detector_id)
BEGIN
  SELECT RAISE(ABORT,
      'confidence_carry_detector is written when feedback is deleted');
END;

CREATE TRIGGER IF NOT EXISTS confidence_carry_detector_update
BEFORE UPDATE ON confidence_carry_detector
WHEN (NEW.detector_id = OLD.detector_id AND NEW.acted = OLD.acted + 1
      AND NEW.false_positives - OLD.false_positives IN (0, 1)) IS NOT 1
BEGIN
  SELECT RAISE(ABORT,
      'confidence_carry_detector is written when feedback is deleted');
END;

CREATE TRIGGER IF NOT EXISTS confidence_carry_detector_delete
BEFORE DELETE ON confidence_carry_detector
BEGIN
  SELECT RAISE(ABORT,
      'confidence_carry_detector: what was counted stays, or rates would jump');
END;


-- ---- counting ---------------------------------------------------------------

-- Feedback that stands, with what the rules in force make of it.
CREATE VIEW IF NOT EXISTS confidence_standing AS
SELECT f.id, f.violation_id, f.pattern_id, f.detector_id, f.author, f.action,
       f.reason, f.at, f.expires_at, r.alpha, r.beta, r.false_positive,
       r.counted
  FROM confidence_feedback AS f
  JOIN confidence_rule AS r ON r.action = f.action AND r.reason IS f.reason
 WHERE f.standing >= (SELECT one_vote FROM confidence_setting)
   AND f.action <> 'undo';

-- And has not lapsed: what is counted for its pattern.
CREATE VIEW IF NOT EXISTS confidence_vote AS
SELECT id, violation_id, pattern_id, detector_id, author, action, reason, at,
       expires_at, alpha, beta, false_positive, counted,
       (SELECT now FROM confidence_now) - at AS age_ms
  FROM confidence_standing
 WHERE expires_at IS NULL OR expires_at > (SELECT now FROM confidence_now);

-- A deletion counts the row up, whoever deletes it.
CREATE TRIGGER IF NOT EXISTS confidence_feedback_delete
BEFORE DELETE ON confidence_feedback
BEGIN
  INSERT INTO confidence_carry(pattern_id, detector_id, expires_at, alpha,
                               beta, feedback, at)
  SELECT v.pattern_id, v.detector_id,
         coalesce(v.expires_at, 9223372036854775807), 0, 0, 0, v.at
    FROM confidence_vote AS v
   WHERE v.id = OLD.id
     AND NOT EXISTS (SELECT 1
                       FROM confidence_carry AS c
                      WHERE c.pattern_id = v.pattern_id
                        AND c.detector_id = v.detector_id
                        AND c.expires_at =
                            coalesce(v.expires_at, 9223372036854775807));
  UPDATE confidence_carry
     SET alpha = alpha * confidence_weight(v.upto - at, v.half_life_ms)
               + v.add_alpha * confidence_weight(v.upto - v.voted_at,
                                                 v.half_life_ms),
         beta = beta * confidence_weight(v.upto - at, v.half_life_ms)
              + v.add_beta * confidence_weight(v.upto - v.voted_at,
                                               v.half_life_ms),
         feedback = feedback + 1,
         at = v.upto
    FROM (SELECT x.pattern_id AS p, x.detector_id AS d,
                 coalesce(x.expires_at, 9223372036854775807) AS e,
                 x.alpha AS add_alpha, x.beta AS add_beta, x.at AS voted_at,
                 max(x.at, c.at) AS upto, s.half_life_ms
            FROM confidence_vote AS x
            JOIN confidence_setting AS s
            JOIN confidence_carry AS c
              ON c.pattern_id = x.pattern_id
             AND c.detector_id = x.detector_id
             AND c.expires_at = coalesce(x.expires_at, 9223372036854775807)
           WHERE x.id = OLD.id) AS v
   WHERE pattern_id = v.p AND detector_id = v.d AND expires_at = v.e;
  INSERT INTO confidence_carry_detector(detector_id, acted, false_positives)
  SELECT detector_id, 0, 0
    FROM confidence_standing
   WHERE id = OLD.id AND counted
     AND NOT EXISTS (SELECT 1 FROM confidence_carry_detector
                      WHERE detector_id = OLD.detector_id);
  UPDATE confidence_carry_detector
     SET acted = acted + 1,
         false_positives = false_positives + v.wrong,
         above_since =
           CASE WHEN acted + 1 >= v.least_acted
                     AND 1.0 * (false_positives + v.wrong) / (acted + 1)
                         > v.disable_rate
                THEN coalesce(above_since, v.at)
           END
    FROM (SELECT x.detector_id AS d, x.at, x.false_positive AS wrong,
                 s.least_acted, s.disable_rate
            FROM confidence_standing AS x
            JOIN confidence_setting AS s
           WHERE x.id = OLD.id AND x.counted) AS v
   WHERE detector_id = v.d;
END;

-- Violations that nobody has dealt with: no standing vote, or lapsed ones.
CREATE VIEW IF NOT EXISTS confidence_open AS
SELECT v.id, v.pattern_id, v.detector_id, v.file, v.line, v.severity,
       v.message, v.created_at
  FROM confidence_violation AS v
 WHERE NOT EXISTS (SELECT 1
                     FROM confidence_vote AS f
                    WHERE f.violation_id = v.id
                      AND f.action IN ('dismiss', 'fix', 'suppress'));

-- How sure each pattern is.  low and high: with 95 % probability the true share
-- lies between them.
CREATE VIEW IF NOT EXISTS confidence AS
SELECT pattern_id, alpha, beta,
       beta_mean(alpha, beta) AS mean,
       beta_quantile(0.025, alpha, beta) AS low,
       beta_quantile(0.975, alpha, beta) AS high,
       confidence_tier(beta_mean(alpha, beta)) AS tier,
       feedback
  FROM (SELECT b.pattern_id,
               min(1e12, max(0.01, min(b.alpha)
                 + (SELECT total(v.alpha
                                 * confidence_weight(v.age_ms, s.half_life_ms))
                      FROM confidence_vote AS v
                      JOIN confidence_setting AS s
                     WHERE v.pattern_id = b.pattern_id)
                 + (SELECT total(c.alpha * confidence_weight(n.now - c.at,
                                                             s.half_life_ms))
                      FROM confidence_carry AS c
                      JOIN confidence_now AS n
                      JOIN confidence_setting AS s
                     WHERE c.pattern_id = b.pattern_id
                       AND c.expires_at > n.now))) AS alpha,
               min(1e12, max(0.01, min(b.beta)
                 + (SELECT total(v.beta
                                 * confidence_weight(v.age_ms, s.half_life_ms))
                      FROM confidence_vote AS v
                      JOIN confidence_setting AS s
                     WHERE v.pattern_id = b.pattern_id)
                 + (SELECT total(c.beta * confidence_weight(n.now - c.at,
                                                            s.half_life_ms))
                      FROM confidence_carry AS c
                      JOIN confidence_now AS n
                      JOIN confidence_setting AS s
                     WHERE c.pattern_id = b.pattern_id
                       AND c.expires_at > n.now))) AS beta,
               (SELECT count(*)
                  FROM confidence_vote AS v
                 WHERE v.pattern_id = b.pattern_id)
               + coalesce((SELECT sum(c.feedback)
                             FROM confidence_carry AS c
                             JOIN confidence_now AS n
                            WHERE c.pattern_id = b.pattern_id
                              AND c.expires_at > n.now), 0) AS feedback
          FROM confidence_base AS b
         GROUP BY b.pattern_id);


-- ---- detectors --------------------------------------------------------------

-- The rate of false positives after each vote, in order, and whether it was
-- above the limit then.
CREATE VIEW IF NOT EXISTS confidence_detector_history AS
SELECT detector_id, at, n, acted, false_positives,
       acted >= least_acted
       AND 1.0 * false_positives / acted > disable_rate AS above
  FROM (SELECT v.detector_id, v.at, s.least_acted, s.disable_rate,
               row_number() OVER run AS n,
               coalesce(c.acted, 0) + row_number() OVER run AS acted,
               coalesce(c.false_positives, 0)
               + sum(v.false_positive) OVER run AS false_positives
          FROM confidence_standing AS v
          JOIN confidence_setting AS s
          LEFT JOIN confidence_carry_detector AS c
            ON c.detector_id = v.detector_id
         WHERE v.counted
        WINDOW run AS (PARTITION BY v.detector_id ORDER BY v.at, v.id));

-- How often each detector was wrong, and since when its rate has been above the
-- limit without a break: since the first vote after the last one that left it
-- below, or before what is still here.
CREATE VIEW IF NOT EXISTS confidence_detector_rate AS
SELECT d.detector_id,
       coalesce(h.acted, c.acted, 0) AS acted,
       coalesce(h.false_positives, c.false_positives, 0) AS false_positives,
       CASE WHEN coalesce(h.last_below, 0) = 0
            THEN coalesce(c.above_since, h.since)
            ELSE h.since
       END AS since
  FROM (SELECT detector_id FROM confidence_violation
         UNION
        SELECT detector_id FROM confidence_feedback
         UNION
        SELECT detector_id FROM confidence_carry_detector
         UNION
        SELECT detector_id FROM confidence_override) AS d
  LEFT JOIN confidence_carry_detector AS c ON c.detector_id = d.detector_id
  LEFT JOIN (SELECT detector_id,
                    max(acted) AS acted,
                    max(false_positives) AS false_positives,
                    max(last_below) AS last_below,
                    min(iif(n > last_below, at, NULL)) AS since
               FROM (SELECT *, max(iif(above, 0, n)) OVER
                               (PARTITION BY detector_id) AS last_below
                       FROM confidence_detector_history)
              GROUP BY detector_id) AS h
    ON h.detector_id = d.detector_id;

-- What follows.  low and high: Wilson's bounds of the rate, 95 %; probability:
-- that the true rate is above the limit, all rates being equally likely before.
CREATE VIEW IF NOT EXISTS confidence_detector AS
SELECT detector_id, acted, false_positives, rate,
       CASE
         WHEN by_hand IS 'disabled'  THEN 'disabled'
         WHEN acted < least_acted    THEN 'insufficient'
         WHEN now - above_since >= disable_ms
              AND (certainty = 0 OR probability >= certainty)
                                     THEN 'disabled'
         WHEN rate > alert_rate      THEN 'alert'
         WHEN rate >= warning_rate   THEN 'warning'
         ELSE                             'healthy'
       END AS state,
       above_since,
       (now - above_since) / 86400000.0 AS days_above,
       wilson_lower(false_positives, acted) AS low,
       wilson_upper(false_positives, acted) AS high,
       probability
  FROM (SELECT r.detector_id, r.acted, r.false_positives,
               coalesce(1.0 * r.false_positives / nullif(r.acted, 0), 0.0)
                 AS rate,
               o.state AS by_hand,
               iif(o.state IS 'enabled', max(r.since, o.at), r.since)
                 AS above_since,
               beta_cdf(1 - s.disable_rate, 1 + r.acted - r.false_positives,
                        1 + r.false_positives) AS probability,
               s.warning_rate, s.alert_rate, s.disable_rate, s.disable_ms,
               s.least_acted, s.certainty, t.now
          FROM confidence_detector_rate AS r
          JOIN confidence_setting AS s
          JOIN confidence_now AS t
          LEFT JOIN confidence_override AS o ON o.detector_id = r.detector_id);


-- ---- abuse ------------------------------------------------------------------

-- Bursts: who dismissed burst_count findings within burst_ms, at any time, and
-- how often that was reached.
CREATE VIEW IF NOT EXISTS confidence_burst AS
SELECT author, count(*) AS times, min(first_at) AS first_at,
       max(at) AS last_at
  FROM (SELECT f.author, f.at, s.burst_ms,
               lag(f.at, s.burst_count - 1) OVER
                 (PARTITION BY f.author ORDER BY f.at, f.id) AS first_at
          FROM confidence_feedback AS f
          JOIN confidence_setting AS s
         WHERE f.action = 'dismiss')
 WHERE at - first_at <= burst_ms
 GROUP BY author;

-- Targets: who dismissed target_count findings of one pattern within target_ms,
-- at any time, and how often that was reached.
CREATE VIEW IF NOT EXISTS confidence_target AS
SELECT author, pattern_id, count(*) AS times, min(first_at) AS first_at,
       max(at) AS last_at
  FROM (SELECT f.author, f.pattern_id, f.at, s.target_ms,
               lag(f.at, s.target_count - 1) OVER
                 (PARTITION BY f.author, f.pattern_id
                  ORDER BY f.at, f.id) AS first_at
          FROM confidence_feedback AS f
          JOIN confidence_setting AS s
         WHERE f.action = 'dismiss')
 WHERE at - first_at <= target_ms
 GROUP BY author, pattern_id;

-- Shares: who dismissed more than share_rate of at least share_count findings
-- that he acted on within the last share_ms.
CREATE VIEW IF NOT EXISTS confidence_share AS
SELECT author, acted, dismissed, 1.0 * dismissed / acted AS share
  FROM (SELECT f.author, count(*) AS acted,
               sum(f.action = 'dismiss') AS dismissed,
               min(s.share_count) AS share_count,
               min(s.share_rate) AS share_rate
          FROM confidence_feedback AS f
          JOIN confidence_setting AS s
          JOIN confidence_now AS t
         WHERE f.at >= t.now - s.share_ms AND f.action <> 'undo'
         GROUP BY f.author)
 WHERE acted >= share_count AND 1.0 * dismissed / acted > share_rate;


-- ---- what is there from the start -------------------------------------------

INSERT INTO confidence_profile(profile, warning_rate, alert_rate, disable_rate,
                               disable_ms, least_acted)
SELECT * FROM (VALUES
  ('seed',   0.05, 0.10, 0.20, 2592000000, 10),
  ('code',   0.05, 0.10, 0.20, 2592000000, 10),
  ('review', 0.05, 0.10, 0.20, 2592000000, 10))
 WHERE NOT EXISTS (SELECT 1 FROM confidence_profile WHERE profile = column1);

-- profile, action, reason, alpha, beta, false_positive, counted
INSERT INTO confidence_profile_rule
SELECT * FROM (VALUES
  ('seed',   'fix',      NULL,             1.0,  0.0,  0, 1),
  ('seed',   'dismiss',  NULL,             0.0,  0.5,  0, 1),
  ('seed',   'dismiss',  'false_positive', 0.0,  0.5,  1, 1),
  ('seed',   'dismiss',  'not_applicable', 0.0,  0.5,  1, 1),
  ('seed',   'dismiss',  'wont_fix',       0.0,  0.0,  0, 1),
  ('seed',   'dismiss',  'duplicate',      0.0,  0.0,  0, 1),
  ('seed',   'suppress', NULL,             0.0,  0.0,  0, 0),
  ('seed',   'escalate', NULL,             1.5,  0.0,  0, 0),
  ('seed',   'undo',     NULL,             0.0,  0.0,  0, 0),

  ('code',   'fix',      NULL,             1.0,  0.0,  0, 1),
  ('code',   'dismiss',  NULL,             0.0,  0.25, 0, 1),
  ('code',   'dismiss',  'false_positive', 0.0,  0.5,  1, 1),
  ('code',   'dismiss',  'not_applicable', 0.0,  0.25, 1, 1),
  ('code',   'dismiss',  'wont_fix',       0.0,  0.0,  0, 1),
  ('code',   'dismiss',  'duplicate',      0.0,  0.0,  0, 1),
  ('code',   'suppress', NULL,             0.0,  0.1,  0, 0),
  ('code',   'escalate', NULL,             0.5,  0.0,  0, 0),
  ('code',   'undo',     NULL,             0.0,  0.0,  0, 0),

  ('review', 'fix',        NULL,             0.5,  0.0,  0, 1),
  ('review', 'auto_fix',   NULL,             0.5,  0.0,  0, 1),
  ('review', 'dismiss',    'false_positive', 0.0,  0.5,  1, 1),
  ('review', 'dismiss',    'not_applicable', 0.0,  0.25, 1, 1),
  ('review', 'dismiss',    'wont_fix',       0.0,  0.0,  0, 1),
  ('review', 'dismiss',    'duplicate',      0.0,  0.0,  0, 1),
  ('review', 'ignore',     NULL,             0.0,  0.25, 1, 1),
  ('review', 'approve',    NULL,             2.0,  0.0,  0, 0),
  ('review', 'reject',     NULL,             0.0,  5.0,  0, 0),
  ('review', 'good',       NULL,             0.5,  0.0,  0, 0),
  ('review', 'bad',        NULL,             0.0,  0.75, 0, 0),
  ('review', 'irrelevant', NULL,             0.0,  0.25, 0, 0),
  ('review', 'undo',       NULL,             0.0,  0.0,  0, 0))
 WHERE NOT EXISTS (SELECT 1 FROM confidence_profile_rule
                    WHERE profile = column1 AND action = column2
                      AND reason IS column3);

INSERT INTO confidence_factor(profile, factor, weight)
SELECT * FROM (VALUES
  ('analyser', 'frequency',   0.25),
  ('analyser', 'consistency', 0.20),
  ('analyser', 'age',         0.10),
  ('analyser', 'spread',      0.15),
  ('analyser', 'momentum',    0.15),
  ('analyser', 'quality',     0.15))
 WHERE NOT EXISTS (SELECT 1 FROM confidence_factor
                    WHERE profile = column1 AND factor = column2);

-- The rules in force are the seed's, until a profile is set.
INSERT INTO confidence_rule(action, reason, alpha, beta, false_positive,
                            counted)
SELECT action, reason, alpha, beta, false_positive, counted
  FROM confidence_profile_rule
 WHERE profile = 'seed'
   AND NOT EXISTS (SELECT 1 FROM confidence_setting);

INSERT INTO confidence_setting(id)
SELECT 1
 WHERE NOT EXISTS (SELECT 1 FROM confidence_setting);
