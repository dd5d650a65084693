// Four agents in processes of their own carry eight tasks through nine phases,
// with better-sqlite3; one of them tries to skip. The same rules hold as for the
// agents in Python of ../orchestrator: they are in the file.
//
//   node orchestrate.js <folder of better-sqlite3> <library> <new file>
'use strict';
const { fork } = require('node:child_process');
const { once } = require('node:events');

const [module_, library, file, name] = process.argv.slice(2);
const TASKS = 8;
const CREW = ['ann', 'bob', 'cat', 'skipper'];

function connect() {
  const db = new (require(module_))(file, { timeout: 60000 });
  db.loadExtension(library);
  return db;
}

// ---- an agent ----------------------------------------------------------------

const DOCUMENT = (
  'The problem and the approach; requirements and interface; the steps and ' +
  'tasks; what was verified and passed. '
).repeat(2);
const artifact = (name) => ['phase_artifact', name, null, null, DOCUMENT];
const DIFF = ['git_diff', 'HEAD~1', null, 3, '+ three files'];
const PROOFS = {
  STRATEGIZE: [artifact('strategy.md')],
  SPEC: [artifact('spec.md')],
  PLAN: [artifact('plan.md')],
  THINK: [artifact('edge_cases.md')],
  IMPLEMENT: [
    ['test_run', 'npm test', 0, 0, '120 tests, 0 errors'],
    ['build_output', 'npm run build', 0, null, 'built, 0 errors'],
    ['coverage', 'c8', null, 91.5, null],
    DIFF,
  ],
  REVIEW: [artifact('review.md')],
  PR: [DIFF],
  MONITOR: [
    ['telemetry', 'errors', null, 0.01, null],
    artifact('monitoring.json'),
  ],
};
PROOFS.VERIFY = PROOFS.IMPLEMENT;

// The work itself, of which there is none here.
const nothing = new Int32Array(new SharedArrayBuffer(4));
const toil = () => Atomics.wait(nothing, 0, 0, 5);

function work(task, phases, prove, door) {
  if (!door('phase_start(?, ?)', task, name).allowed) return;
  for (const [i, phase] of phases.entries()) {
    if (name === 'skipper' && i + 2 < phases.length) {
      door('phase_advance(?, ?, ?)', task, phases[i + 2], name);
    }
    toil();
    for (const proof of PROOFS[phase] ?? []) prove.run(task, phase, ...proof);
    const verdict =
      i + 1 < phases.length
        ? door('phase_advance(?, ?, ?)', task, phases[i + 1], name)
        : door('phase_complete(?, ?)', task, name);
    if (!verdict.allowed) throw new Error(JSON.stringify(verdict));
  }
}

function agent() {
  const db = connect();
  const phases = db
    .prepare('SELECT name FROM process_phase ORDER BY ordinal')
    .pluck()
    .all();
  const prove = db.prepare(
    'INSERT INTO process_evidence(task_id, phase, kind, name, exit_code, ' +
      'value, content) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const door = (call, ...values) =>
    JSON.parse(db.prepare(`SELECT ${call}`).pluck().get(...values));
  for (let i = 0; i < TASKS; i++) {
    const at = (i + 2 * CREW.indexOf(name)) % TASKS; // each begins elsewhere
    work(`N-${at + 1}`, phases, prove, door);
  }
  db.close();
}

// ---- all of them --------------------------------------------------------------

function check(truth, claim) {
  if (!truth) throw new Error(`not so: ${claim}`);
  console.log(`  ${claim}`);
}

async function main() {
  const db = connect();
  db.pragma('journal_mode = WAL');
  db.prepare("SELECT holdfast_install('process')").get();
  const crew = CREW.map((one) => fork(__filename, [module_, library, file, one]));
  const ends = crew.map((child) => once(child, 'exit'));
  await Promise.all(crew.map((child) => once(child, 'message')));
  for (const child of crew) child.send('go');
  const codes = (await Promise.all(ends)).map(([code]) => code);
  const value = (sql) => db.prepare(sql).pluck().get();
  check(codes.every((code) => code === 0), 'every agent came to its end');
  check(
    value("SELECT count(*) FROM process_task WHERE status = 'done'") === TASKS,
    `${TASKS} tasks are done`,
  );
  check(value('SELECT count(*) FROM process_illegal') === 0, 'in legal order');
  check(
    value("SELECT count(*) FROM ledger_verify('phase_ledger')") === 0,
    'the ledger of moves verifies',
  );
  const refused = db
    .prepare(
      'SELECT reason, count(*) AS n FROM process_decision' +
        " WHERE decision = 'block' GROUP BY reason ORDER BY reason",
    )
    .all();
  for (const row of refused) console.log(`  refused: ${row.reason} ${row.n}`);
  check(
    refused.some((row) => row.reason === 'sequence_mismatch'),
    'the skipper was refused each time',
  );
  db.close();
}

if (name) {
  // All begin at once.
  process.once('message', () => {
    agent();
    process.disconnect();
  });
  process.send('ready');
} else main().catch((error) => { console.error(error); process.exit(1); });
