-- Holdfast: what every area leans on.
--
-- Ordinary SQL: holdfast_install() runs it, or run it by hand with .read, or
-- paste it in a migration.  Running it again changes nothing.


-- Areas installed in this database: version of the library that did it, the
-- SHA-256 (hexadecimal) of the area's SQL, and when, in milliseconds since
-- 1970.
CREATE TABLE IF NOT EXISTS holdfast_area(
  area         TEXT    PRIMARY KEY NOT NULL,
  version      TEXT    NOT NULL,
  sha256       TEXT    NOT NULL,
  installed_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;


-- The manifest of guards: each trigger that is a wall, the table it stands on,
-- the area it belongs to, and the SHA-256 (hexadecimal) of its text as it
-- stands in sqlite_schema.  A guard that is missing or differs is a finding of
-- holdfast_check.
CREATE TABLE IF NOT EXISTS holdfast_guard(
  name       TEXT PRIMARY KEY NOT NULL,
  table_name TEXT NOT NULL,
  area       TEXT NOT NULL,
  sha256     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
