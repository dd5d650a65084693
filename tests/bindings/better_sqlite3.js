// The ledger in better-sqlite3 with its defaults (DEFENSIVE, foreign keys):
// made, closed, opened again, its schema changed by another connection, and
// every rule still in force.
const assert = require('assert');
const fs = require('fs');
const os = require('os');
const path = require('path');
const Database = require(process.argv[2]);
const library = process.argv[3];

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-'));
const file = path.join(folder, 'l.db');
const open = () => {
  const db = new Database(file);
  db.loadExtension(library);
  return db;
};
const findings = (db) =>
  db.prepare("SELECT finding, seq FROM ledger_verify('l')").all();

let db = open();
db.exec('CREATE VIRTUAL TABLE l USING ledger(task TEXT NOT NULL INDEXED, n INTEGER)');
db.exec("INSERT INTO l(task, n) VALUES ('a', 1), ('b', 2)");
db.close();

db = open();
const other = new Database(file);
other.exec('CREATE TABLE other(x)');
db.exec(`CREATE TRIGGER policy BEFORE INSERT ON l_entry WHEN NEW.n > 9
         BEGIN SELECT RAISE(ABORT, 'policy: n is too large'); END`);
other.exec('CREATE INDEX oi ON other(x)');
db.prepare('INSERT INTO l(task, n) VALUES (?, ?)').run('c', 3n);
assert.throws(() => db.exec("INSERT INTO l(task, n) VALUES ('d', 10)"),
  /policy: n is too large/);
for (const sql of ['UPDATE l SET n = 0', 'DELETE FROM l', 'DELETE FROM l_entry',
  'UPDATE l_entry SET n = 0']) {
  assert.throws(() => db.exec(sql), /ledger l is append-only/);
}
assert.throws(() => other.exec('INSERT INTO l_entry(seq, at, task, hash)'
  + " VALUES (4, 1, 'x', x'00')"), /no such function: ledger_pending/);
db.close();
other.close();

db = open();
db.exec("ALTER TABLE l RENAME TO m; ALTER TABLE m RENAME TO l");
db.transaction(() => db.exec("INSERT INTO l(task) VALUES ('e')"))();
assert.deepStrictEqual(findings(db), []);
assert.strictEqual(db.prepare("SELECT ledger_size('l')").pluck().get(), 4);
assert.strictEqual(db.prepare('PRAGMA integrity_check').pluck().get(), 'ok');
const release = db.prepare('SELECT sqlite_version()').pluck().get();
db.close();
assert.ok(!fs.existsSync(`${file}-wal`));
fs.rmSync(folder, { recursive: true });
console.log(`better-sqlite3, SQLite ${release}: passed`);
