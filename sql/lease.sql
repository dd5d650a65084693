-- Leases: what every lease table of a database shares.
--
-- Ordinary SQL: the first CREATE VIRTUAL TABLE ... USING lease runs it, and so
-- does holdfast_install(); or run it by hand with .read.  Running it again
-- changes nothing.


-- The highest fencing token that was ever granted in this database, and the
-- latest time at which a lease was decided, in milliseconds since 1970: row 1.
-- Both only grow: no token is given twice, and a clock that is set back
-- resurrects no lease.  A lease table of clock='caller' has a row of its own,
-- for its time alone.
CREATE TABLE IF NOT EXISTS lease_high_water(
  id    INTEGER PRIMARY KEY CHECK (id >= 1),
  token INTEGER NOT NULL,
  now   INTEGER NOT NULL
) STRICT;


-- A row begins at zero.
CREATE TRIGGER IF NOT EXISTS lease_high_water_insert
BEFORE INSERT ON lease_high_water
WHEN (NEW.token = 0 AND NEW.now = 0
      AND NOT EXISTS (SELECT 1 FROM lease_high_water WHERE id = NEW.id))
     IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'lease_high_water: tokens are never given twice');
END;


-- It grows, by what the lease module is deciding right now.  Needs the
-- extension, so without it nobody changes it.
CREATE TRIGGER IF NOT EXISTS lease_high_water_update
BEFORE UPDATE ON lease_high_water
WHEN (NEW.id = OLD.id AND NEW.token >= OLD.token AND NEW.now >= OLD.now
      AND lease_deciding(0, NEW.token, NEW.now)) IS NOT 1
BEGIN
  SELECT RAISE(ABORT, 'lease_high_water: tokens and time only grow');
END;


CREATE TRIGGER IF NOT EXISTS lease_high_water_delete
BEFORE DELETE ON lease_high_water
BEGIN
  SELECT RAISE(ABORT, 'lease_high_water: tokens are never given twice');
END;


-- Which tables lease_guard() guards: what the names of its triggers begin with,
-- the lease table, and the expressions for a row's resource and token.  Nothing
-- is decided by it; from it the triggers are made anew when the lease table is
-- renamed, and holdfast_check knows what they should be.
CREATE TABLE IF NOT EXISTS lease_guarded(
  guard    TEXT PRIMARY KEY NOT NULL,
  lease    TEXT NOT NULL,
  resource TEXT NOT NULL,
  token    TEXT NOT NULL
) STRICT, WITHOUT ROWID;
