-- Run it once, with the extension loaded.
PRAGMA journal_mode = WAL;

-- leader.sh says itself how long it wants a lease. max_renewals = 0: a command
-- may run for as long as it likes, since its leader renews while it does.
CREATE VIRTUAL TABLE cron_lease USING lease(max_renewals = 0);

-- What was done: one row a task and slot, written under the task's lease.
CREATE TABLE run(
  task TEXT NOT NULL,
  slot TEXT NOT NULL,
  who TEXT NOT NULL,
  token INTEGER NOT NULL,
  at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  UNIQUE (task, slot)
) STRICT;
SELECT lease_guard('run', 'cron_lease', 'task', 'token');
