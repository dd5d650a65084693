-- Is it off, and is that on record?  One line that begins with OK, or with NO.
-- Any sqlite3 shell, no extension.
SELECT CASE
         WHEN (SELECT value FROM settings WHERE key = 'DISABLE_NEW') IS NOT '0'
         THEN 'NO: the kill switch is on'
         WHEN new_value IS NOT '0' OR actor IS NULL
         THEN 'NO: the history does not say who turned it off'
         ELSE 'OK: off since ' || datetime(at / 1000, 'unixepoch') || ' by '
              || actor || coalesce(', approved by ' || approver, '')
              || ': ' || reason
       END
  FROM (SELECT NULL)
  LEFT JOIN (SELECT * FROM control_event WHERE key = 'DISABLE_NEW'
              ORDER BY seq DESC LIMIT 1);
