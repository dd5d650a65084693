-- A queue of jobs. Run it once, with the extension loaded.
PRAGMA journal_mode = WAL;

-- There is no state 'running': that is what a lease says, and a lease ends by
-- itself, whatever happens to the worker.
CREATE TABLE job(
  id INTEGER PRIMARY KEY,
  seconds REAL NOT NULL,  -- stands for the work: how long it takes
  state TEXT NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'done')),
  token INTEGER           -- of the term in which it was done
) STRICT;
CREATE INDEX job_ready ON job(id) WHERE state = 'ready';

-- The TTL is how long a job of a dead worker waits. max_renewals ends the term
-- of one that hangs, but still renews: 100 renewals, one each 0.3 s.
CREATE VIRTUAL TABLE job_lease USING lease(ttl_ms = 1000, max_renewals = 100);

-- Nothing is UNIQUE here, on purpose: `run` shows that the guard is enough.
CREATE TABLE result(
  job INTEGER NOT NULL,
  token INTEGER NOT NULL,
  worker TEXT NOT NULL,
  answer TEXT NOT NULL
) STRICT;
SELECT lease_guard('result', 'job_lease', 'job', 'token');
