-- A task that was begun in the original system: its moves, which
-- ../demo/legacy.sql has brought into legacy_ledger and checked, into
-- phase_ledger, at their own times.  Nobody held a lease then, and what was
-- shown is not here: so each is a move by force, which claims nothing, and says
-- which line of the original it was.  From where it is now, the rules hold.
INSERT INTO phase_ledger(at, task_id, kind, from_phase, to_phase, agent, why)
SELECT at, task_id, 'force', from_phase, to_phase,
       coalesce(legacy ->> 'agent_type', 'unknown'),
       'carried over: ' || legacy_hash
  FROM legacy_ledger
 WHERE task_id = 'TEST-001'
 ORDER BY seq;
