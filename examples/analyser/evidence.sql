-- A scan that leaves tables of the pipeline empty-handed is no verification:
-- a task does not leave VERIFY until the latest record of a scan names none.
-- Needs pipeline.sql and sql/process.sql.


INSERT INTO process_kind(kind, description)
VALUES ('pipeline', 'tables that received nothing in the last scan');

INSERT INTO process_requirement(phase, kind, rule, minimum, absent, failing)
VALUES ('VERIFY', 'pipeline', 'at_most', 0,
        'No scan of the pipeline recorded',
        '{value} tables of the pipeline received nothing in the last scan');

-- What the last scan shows, as evidence of each task that is in VERIFY: to be
-- run after a scan.  The number counts, the names are for people.
CREATE VIEW pipeline_evidence AS
SELECT t.task_id, t.phase, 'pipeline' AS kind,
       (SELECT count(*) FROM pipeline_silent) AS value,
       (SELECT coalesce(group_concat(table_name, ', '), 'none')
          FROM (SELECT table_name FROM pipeline_silent ORDER BY table_name))
       AS content
  FROM process_task AS t
 WHERE t.phase = 'VERIFY' AND t.status = 'active';
