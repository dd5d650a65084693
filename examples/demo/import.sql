-- A log of tab-separated lines (hash, time, author, subject) into a ledger.

CREATE VIRTUAL TABLE history USING ledger(
  sha     TEXT NOT NULL UNIQUE,
  author  TEXT INDEXED,
  subject TEXT,
  clock = 'caller'     -- the commits' own times, oldest first
);

-- Each line is one value: no separator of the import is in it.
CREATE TEMP TABLE line(text TEXT);
.mode ascii
.separator "\037" "\n"
.import log.tsv line
.mode list
.separator "|" "\n"

-- A commit may be dated before the one it follows; a ledger's time never goes
-- back.  So each entry takes the latest time so far.
WITH field AS (
  SELECT rowid AS n, text,
         instr(text, char(9)) AS a FROM line
), split AS (
  SELECT n, substr(text, 1, a - 1) AS sha, substr(text, a + 1) AS rest
    FROM field
), split2 AS (
  SELECT n, sha,
         CAST(substr(rest, 1, instr(rest, char(9)) - 1) AS INTEGER) AS seconds,
         substr(rest, instr(rest, char(9)) + 1) AS rest
    FROM split
)
INSERT INTO history(at, sha, author, subject)
SELECT max(seconds * 1000) OVER (ORDER BY n), sha,
       substr(rest, 1, instr(rest, char(9)) - 1),
       substr(rest, instr(rest, char(9)) + 1)
  FROM split2 ORDER BY n;

SELECT 'entries ' || ledger_size('history');
SELECT 'head    ' || hex(ledger_head('history'));
SELECT 'root    ' || hex(ledger_root('history'));
SELECT 'last    ' || seq || ' ' || substr(sha, 1, 10) || ' ' || subject
  FROM history ORDER BY seq DESC LIMIT 3;
