-- The life of a ledger in the shell.
CREATE VIRTUAL TABLE log USING ledger(
  who  TEXT NOT NULL INDEXED,
  what TEXT CHECK (what <> ''),
  n    INTEGER UNIQUE DEFAULT (2 * 21),
  clock = 'caller'
);
INSERT INTO log(at, who, what, n) VALUES (1000, 'ann', 'begin', 1), (1001, 'bob', 'begin', 2);
INSERT INTO log(at, who, what) VALUES (1002, 'ann', 'end');
SELECT last_insert_rowid();
SELECT * FROM log;
SELECT seq, hex(prev_hash), hex(hash) FROM log;

-- Refusals.
UPDATE log SET what = 'x';
DELETE FROM log WHERE seq = 1;
REPLACE INTO log(seq, who) VALUES (1, 'eve');
INSERT INTO log(seq, who) VALUES (9, 'eve');
INSERT INTO log(at, who) VALUES (999, 'eve');
INSERT INTO log(who, n) VALUES ('eve', 'many');
INSERT INTO log(who, n) VALUES ('eve', 2);
INSERT INTO log(who, what, n) VALUES ('eve', '', 5);
INSERT INTO log(what, n) VALUES ('nobody', 5);
INSERT INTO log(who, n, prev_hash) VALUES ('eve', 5, x'00');
INSERT INTO log(who, n) VALUES ('eve', 5) ON CONFLICT DO NOTHING;
UPDATE log_entry SET what = 'x';
DELETE FROM log_entry;
DELETE FROM log_config;
DROP TABLE log;
SELECT count(*) FROM log;

-- What it says of itself.
SELECT ledger_size('log'), hex(ledger_head('log')), hex(ledger_root('log'));
SELECT hex(merkle_root(ledger_leaf_data('log', seq))) FROM log;
SELECT * FROM ledger_verify('log');
SELECT ledger_report('log');
SELECT * FROM holdfast_check;
SELECT ledger_report('nothing');

-- Savepoints leave no trace.
BEGIN;
INSERT INTO log(at, who, n) VALUES (2000, 'cat', 10);
SAVEPOINT s;
INSERT INTO log(at, who, n) VALUES (2001, 'dan', 11);
ROLLBACK TO s;
INSERT INTO log(at, who, n) VALUES (2002, 'eli', 12);
COMMIT;
SELECT seq, at, who FROM log WHERE seq > 3;
SELECT seq FROM log WHERE who = 'ann' ORDER BY seq DESC LIMIT 1;

-- Around it, and found.
DROP TRIGGER log_entry_update;
UPDATE log_entry SET what = 'never' WHERE seq = 2;
SELECT * FROM ledger_verify('log');
SELECT * FROM holdfast_check;
