-- A migration in plain SQL: tickets go through the phases from now on.  It is
-- run behind sql/control.sql and sql/process.sql, in their transaction.

-- Four phases are enough here, with proofs of our own.
DELETE FROM process_requirement;
DELETE FROM process_phase;
INSERT INTO process_phase(name, ordinal)
VALUES ('PLAN', 1), ('IMPLEMENT', 2), ('VERIFY', 3), ('RELEASE', 4);

INSERT INTO process_requirement(phase, kind, rule, minimum, absent, failing)
VALUES
  ('IMPLEMENT', 'git_diff', 'at_least', 1,
   'No change recorded', 'The change touches {value} files'),
  ('VERIFY', 'test_run', 'passes', 0,
   'No tests recorded', '{n} test runs have failed');

-- A ticket is closed by whoever completed its task, or not at all.  What was
-- closed before stays closed.
CREATE TRIGGER ticket_close
BEFORE UPDATE OF status ON ticket
WHEN NEW.status IS NOT OLD.status
     AND (NEW.status = 'closed'
          AND EXISTS (SELECT 1 FROM process_task
                       WHERE task_id = 'ticket-' || OLD.id
                         AND status = 'done')) IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'ticket: it is closed when its task is done');
END;

CREATE TRIGGER ticket_insert
BEFORE INSERT ON ticket
WHEN NEW.status IS NOT 'open'
     OR EXISTS (SELECT 1 FROM ticket WHERE id = NEW.id)
BEGIN
  SELECT RAISE(ABORT, 'ticket: a new one is open, and has a new id');
END;

CREATE TRIGGER ticket_delete
BEFORE DELETE ON ticket
BEGIN
  SELECT RAISE(ABORT, 'ticket: it stays; close it');
END;

-- Where every ticket is.
CREATE VIEW ticket_state AS
SELECT t.id, t.title, t.status, p.phase, p.agent
  FROM ticket AS t
  LEFT JOIN process_task AS p ON p.task_id = 'ticket-' || t.id;
