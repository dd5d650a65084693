// Leases in better-sqlite3 against the design that they replace there: a table
// of ISO timestamps; acquiring deletes what has expired, inserts, and reads.
//
//   node lease.js MODULE LIBRARY FOLDER
//
// The median over pairs, taken in turn, of processor time.
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const Database = require(process.argv[2]);
const [library, folder] = process.argv.slice(3);

const leases = Number(process.env.BENCH_LEASES || 20000);
const pairs = Number(process.env.BENCH_PAIRS || 5);
const BATCH = 100;

function open(name) {
  const file = path.join(folder, name);
  for (const suffix of ['', '-wal', '-shm']) {
    fs.rmSync(file + suffix, { force: true });
  }
  const db = new Database(file);
  db.loadExtension(library);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = NORMAL');
  return db;
}

function original(db) {
  db.exec(`CREATE TABLE o(lease_id TEXT PRIMARY KEY, task_id TEXT NOT NULL,
             phase TEXT NOT NULL, agent_id TEXT NOT NULL,
             acquired_at TEXT NOT NULL, expires_at TEXT NOT NULL,
             renewed_count INTEGER DEFAULT 0, UNIQUE(task_id, phase));
           CREATE INDEX o_expires ON o(expires_at)`);
  const expire = db.prepare('DELETE FROM o WHERE expires_at < ?');
  const insert = db.prepare(`INSERT INTO o(lease_id, task_id, phase, agent_id,
                               acquired_at, expires_at)
                             VALUES (?, ?, ?, ?, ?, ?)`);
  const read = db.prepare('SELECT * FROM o WHERE task_id = ? AND phase = ?');
  const remove = db.prepare(`DELETE FROM o WHERE task_id = ? AND phase = ?
                               AND agent_id = ?`);
  return {
    acquire(task) {
      const now = new Date();
      expire.run(now.toISOString());
      insert.run(crypto.randomUUID(), task, 'IMPLEMENT', 'agent-7',
        now.toISOString(), new Date(now.getTime() + 300000).toISOString());
      return read.get(task, 'IMPLEMENT');
    },
    release(task) { remove.run(task, 'IMPLEMENT', 'agent-7'); },
  };
}

function holdfast(db) {
  db.exec('CREATE VIRTUAL TABLE l USING lease()');
  const acquire = db.prepare("SELECT lease_acquire('l', ?, 'agent-7')").pluck();
  const release = db.prepare("SELECT lease_release('l', ?, ?)").pluck();
  return {
    acquire: (task) => acquire.get(task),
    // A Number would be bound as a REAL.
    release(task, token) { release.get(task, BigInt(token)); },
  };
}

// Milliseconds of processor time for that many leases, acquired and released.
function measure(make, name) {
  const db = open(name);
  const side = make(db);
  const start = process.cpuUsage();
  for (let from = 0; from < leases; from += BATCH) {
    const got = [];
    for (let i = 0; i < BATCH; i++) {
      got.push(side.acquire(`task-${(from % 1000) + i}`));
    }
    for (let i = 0; i < BATCH; i++) {
      side.release(`task-${(from % 1000) + i}`, got[i]);
    }
  }
  const took = process.cpuUsage(start);
  db.close();
  return (took.user + took.system) / 1000;
}

const ratios = [];
for (let i = 0; i < pairs; i++) {
  const before = measure(original, 'p.db');
  ratios.push(before / measure(holdfast, 'l.db'));
}
ratios.sort((a, b) => a - b);
const ratio = (ratios[Math.floor((pairs - 1) / 2)]
  + ratios[Math.floor(pairs / 2)]) / 2;
const words = "  and in Node with better-sqlite3";
console.log(`${words.padEnd(52)} ${ratio.toFixed(2).padStart(6)} x   goal  1.50`
  + `  ${ratio >= 1.5 ? 'met' : 'not met'} (at least)`);
console.error(JSON.stringify({
  measure: 'lease_original_node', value: Number(ratio.toFixed(3)), goal: 1.5,
}));
