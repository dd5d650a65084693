-- Stop everything.  Any sqlite3 shell, no extension:
--   sqlite3 work.db ".read engage.sql"
INSERT OR REPLACE INTO settings (key, value) VALUES ('DISABLE_NEW', '1');

-- From here on no guarded write commits.  The proof:
SELECT 'DISABLE_NEW is '
       || iif((SELECT value FROM settings WHERE key = 'DISABLE_NEW') IS NOT '0',
              'ON', 'OFF');
