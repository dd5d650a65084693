-- What happened?  It only reads.  Any sqlite3 shell, no extension.
.mode box
.print The switch, and who last touched it:
SELECT datetime(at / 1000, 'unixepoch') AS at, old_value AS old,
       new_value AS new, actor, reason, approver
  FROM control_event
 WHERE key = 'DISABLE_NEW'
 ORDER BY seq DESC LIMIT 5;

.print What is read now, where it is not the default:
SELECT name, value, default_value, stored, source
  FROM flag_value
  JOIN flag USING (name)
 WHERE value <> default_value;

.print The monitors, and the last decision of each:
SELECT m.release, m.profile, m.ended_why, d.decision, d.reason
  FROM monitor AS m
  LEFT JOIN monitor_decision AS d
    ON d.id = (SELECT max(id) FROM monitor_decision WHERE release = m.release);

.print Checks that failed in the last 15 minutes:
SELECT release, datetime(at / 1000, 'unixepoch') AS at, ok, error_rate,
       memory_mb, detail
  FROM monitor_result
 WHERE failed AND at > (julianday('now') - 2440587.5) * 86400000 - 900000;

.print What an orchestrator has to do:
SELECT id, release, action, target, state, token, result FROM control_outbox;

.print May it be reset?
SELECT iif(approver, 'needs an approver', 'needs no approver') AS approver,
       iif(quiet, 'it has been quiet', 'not yet: a check failed') AS quiet
  FROM killswitch_limit;
