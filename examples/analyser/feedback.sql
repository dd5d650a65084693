-- The analyser's violations and feedback, joined to confidence: what it writes
-- to its own tables counts.  Needs schema.sql and sql/confidence.sql.


CREATE TRIGGER violations_counted
AFTER INSERT ON violations
BEGIN
  INSERT OR REPLACE INTO confidence_violation(
    id, pattern_id, detector_id, file, line, severity, message, created_at)
  VALUES (NEW.id, NEW.pattern_id, NEW.rule_id, NEW.file, NEW.line,
          NEW.severity, NEW.message, NEW.created_at * 1000);
END;

-- The analyser leaves pattern and detector empty: they are those of the
-- violation.  Feedback on a violation that is not there is refused.
CREATE TRIGGER feedback_counted
AFTER INSERT ON feedback
BEGIN
  INSERT INTO confidence_feedback(violation_id, action, reason, author, at,
                                  note)
  VALUES (NEW.violation_id, NEW.action, NEW.dismissal_reason, NEW.author,
          NEW.created_at * 1000, NEW.reason);
  UPDATE feedback
     SET (pattern_id, detector_id) =
         (SELECT pattern_id, detector_id
            FROM confidence_violation
           WHERE id = NEW.violation_id)
   WHERE id = NEW.id;
END;

-- The posteriors as pattern_confidence has them, and how far each has moved
-- since they were last written there.
CREATE VIEW pattern_rescore AS
SELECT c.pattern_id, c.alpha, c.beta, c.mean, c.low, c.high, c.tier,
       c.mean - p.posterior_mean AS delta
  FROM confidence AS c
  LEFT JOIN pattern_confidence AS p ON p.pattern_id = c.pattern_id;
