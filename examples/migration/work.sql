-- One ticket from start to end, by the shell alone.  Each door says yes (1) or
-- no (0); the proof of a phase goes in before it is left.
SELECT phase_start('ticket-1', 'ann') ->> '$.allowed';
SELECT phase_advance('ticket-1', 'IMPLEMENT', 'ann') ->> '$.allowed';

SELECT phase_advance('ticket-1', 'VERIFY', 'ann') ->> '$.missing';
INSERT INTO process_evidence(task_id, phase, kind, name, value, content)
VALUES ('ticket-1', 'IMPLEMENT', 'git_diff', 'HEAD~1', 3, '+ three files');
SELECT phase_advance('ticket-1', 'VERIFY', 'ann') ->> '$.allowed';

INSERT INTO process_evidence(task_id, phase, kind, name, exit_code, content)
VALUES ('ticket-1', 'VERIFY', 'test_run', 'make test', 2, '1 of 9 failed');
SELECT phase_advance('ticket-1', 'RELEASE', 'ann') ->> '$.missing';
INSERT INTO process_evidence(task_id, phase, kind, name, exit_code, content)
VALUES ('ticket-1', 'VERIFY', 'test_run', 'make test', 0, '9 of 9 passed');
SELECT phase_advance('ticket-1', 'RELEASE', 'ann') ->> '$.allowed';

SELECT phase_complete('ticket-1', 'ann') ->> '$.allowed';
UPDATE ticket SET status = 'closed' WHERE id = 1;
