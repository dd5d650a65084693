// A move through a phase and an attested prompt, in better-sqlite3, against the
// design that they replace there: a ledger of JSON lines chained by SHA-256, a
// table of leases with ISO timestamps, a file of prompt baselines rewritten as a
// whole, a log of attestations behind a lock file, evidence in files.
//
//   node process.js MODULE LIBRARY FOLDER
//
// Both do the same: five items of evidence are recorded, the prompt attested for
// the first time, the evidence judged, the lease handed over, the ledger
// appended to.  Neither is durable at once: that design never calls fsync, ours
// runs in WAL with synchronous NORMAL, which does at a checkpoint.  Yet what a
// killed process leaves of that design is any part of a move, of ours all or
// nothing.
//
// Processor time of each operation, so that no wait for the disk is counted:
// that design's files, each replaced as a whole, wait more.  The ratio of the
// medians of a round, and of these the median over BENCH_PAIRS (5) rounds, in
// which the sides take turns.  A round is BENCH_MOVES (1000) moves, as that
// design's own benchmark has it, and 200 attestations where there are
// BENCH_BASELINES (1000) baselines.  Where it is open how that design did it, it
// gets the cheaper way: files written without awaiting, compact JSON.
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const Database = require(process.argv[2]);
const [library, folder] = process.argv.slice(3);

const pairs = Number(process.env.BENCH_PAIRS || 5);
const moves = Number(process.env.BENCH_MOVES || 1000);
const baselines = Number(process.env.BENCH_BASELINES || 1000);
const ATTESTATIONS = 200;
const PHASES = ['STRATEGIZE', 'SPEC', 'PLAN', 'THINK', 'IMPLEMENT', 'VERIFY'];
const DOCUMENT = 'problem requirements steps passed '.padEnd(230, 'x');
const sha256 = (text) => crypto.createHash('sha256').update(text).digest('hex');

function open(file) {
  for (const suffix of ['', '-wal', '-shm']) {
    fs.rmSync(file + suffix, { force: true });
  }
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = NORMAL');
  return db;
}

function spec(task, phase) {
  return {
    phase, taskId: task, timestamp: new Date().toISOString(),
    requirements: ['what is asked', 'and how'], qualityGates: ['tests'],
    artifacts: [], contextSummary: `what to do for ${task}`,
    agentType: 'implementer', modelVersion: 'm-1',
  };
}

// ---- the design that is replaced ---------------------------------------------

class Original {
  constructor(root) {
    fs.rmSync(root, { recursive: true, force: true });
    this.process = path.join(root, 'state', 'process');
    this.evidence = path.join(root, 'state', 'evidence');
    fs.mkdirSync(this.process, { recursive: true });
    fs.mkdirSync(this.evidence, { recursive: true });
    this.head = 'genesis';
    this.db = open(path.join(root, 'state', 'orchestrator.db'));
    this.db.exec(`CREATE TABLE phase_leases(lease_id TEXT PRIMARY KEY,
                    task_id TEXT NOT NULL, phase TEXT NOT NULL,
                    agent_id TEXT NOT NULL, acquired_at TEXT NOT NULL,
                    expires_at TEXT NOT NULL, renewed_count INTEGER DEFAULT 0,
                    UNIQUE(task_id, phase));
                  CREATE INDEX expires ON phase_leases(expires_at)`);
    this.expire = this.db.prepare(
      'DELETE FROM phase_leases WHERE expires_at < ?');
    this.insert = this.db.prepare(
      'INSERT INTO phase_leases VALUES (?, ?, ?, ?, ?, ?, 0)');
    this.remove = this.db.prepare(`DELETE FROM phase_leases
                                    WHERE task_id = ? AND phase = ?
                                      AND agent_id = ?`);
  }

  file(name) { return path.join(this.process, name); }

  // That many prompts attested before.
  prepare(count) {
    const all = {};
    for (let i = 0; i < count; i++) {
      all[`old-${i}:IMPLEMENT`] = {
        hash: sha256(String(i)), version: 1,
        updatedAt: new Date().toISOString(),
      };
    }
    fs.writeFileSync(this.file('prompt_baselines.json'), JSON.stringify(all));
  }

  acquire(task, phase) {
    const now = new Date();
    this.expire.run(now.toISOString());
    this.insert.run(crypto.randomUUID(), task, phase, 'agent-7',
      now.toISOString(), new Date(now.getTime() + 300000).toISOString());
  }

  append(task, from, to, artifacts) {
    const entry = {
      entry_id: crypto.randomUUID(), timestamp: new Date().toISOString(),
      previous_hash: this.head, task_id: task, from_phase: from, to_phase: to,
      evidence_artifacts: artifacts, evidence_validated: true,
      agent_type: 'implementer', duration_ms: 1000,
    };
    const hash = sha256(JSON.stringify(entry));
    fs.appendFileSync(this.file('ledger.jsonl'),
      `${JSON.stringify({ ...entry, entry_hash: hash })}\n`);
    this.head = hash;
  }

  start(task) {
    this.acquire(task, PHASES[0]);
    this.append(task, null, PHASES[0], []);
  }

  locked(name, work) {
    const lock = `${this.file(name)}.lock`;
    fs.writeFileSync(lock, JSON.stringify({
      pid: process.pid, hostname: 'host', acquiredAt: Date.now(),
    }), { flag: 'wx', mode: 0o600 });
    work();
    fs.unlinkSync(lock);
  }

  attest(task, phase) {
    const prompt = spec(task, phase);
    const hash = sha256(JSON.stringify({
      phase: prompt.phase, taskId: prompt.taskId,
      requirements: [...prompt.requirements].sort(),
      qualityGates: [...prompt.qualityGates].sort(),
      artifacts: [...prompt.artifacts].sort(),
      contextSummary: prompt.contextSummary, agentType: prompt.agentType,
      modelVersion: prompt.modelVersion,
    }));
    const known = this.file('prompt_baselines.json');
    const all = fs.existsSync(known)
      ? JSON.parse(fs.readFileSync(known, 'utf8')) : {};
    const key = `${task}:${phase}`;
    const baseline = all[key];
    if (!baseline) {
      all[key] = { hash, version: 1, updatedAt: prompt.timestamp };
      fs.writeFileSync(known, JSON.stringify(all));
    }
    const drift = Boolean(baseline) && baseline.hash !== hash;
    this.locked('prompt_attestations.jsonl', () => {
      fs.appendFileSync(this.file('prompt_attestations.jsonl'),
        `${JSON.stringify({
          attestation_id: crypto.randomUUID(), task_id: task, phase,
          prompt_hash: hash, baseline_hash: baseline && baseline.hash,
          drift_detected: drift, timestamp: prompt.timestamp,
          persona_drift: false, agent_type: prompt.agentType,
          prompt_version: prompt.modelVersion, severity: 'none',
          baseline_version: 1,
        })}\n`);
    });
    return !drift;
  }

  // An item a file, but for the artifact, which is in the bundle alone; and
  // files of the same millisecond replace each other.
  show(task, phase) {
    const at = Date.now();
    const item = (type, payload, verified) => ({
      timestamp: at, phase, taskId: task, type, payload, verified,
    });
    const items = [
      item('phase_artifact', { artifacts: ['strategy spec plan edge_cases'] },
        false),
      item('test_run', { command: 'unit', output: DOCUMENT, exitCode: 0 }, true),
      item('build_output', { command: 'make', output: DOCUMENT, exitCode: 0 },
        true),
      item('coverage', { coverage: { statements: 90, passed: true } }, true),
      item('git_diff', { artifacts: ['a', 'b', 'c'] }, true),
    ];
    for (const one of items.slice(1)) {
      fs.writeFileSync(path.join(this.evidence, `${one.type}_${at}.json`),
        JSON.stringify(one));
    }
    return items;
  }

  gate(task, phase, items) {
    const of = (type) => items.filter((one) => one.type === type);
    const complete = of('test_run').every((one) => one.verified)
      && of('build_output')[0].verified
      && of('coverage')[0].payload.coverage.statements >= 80
      && of('git_diff').length > 0;
    fs.writeFileSync(
      path.join(this.evidence, `bundle_${phase}_${task}_${Date.now()}.json`),
      JSON.stringify({
        phase, taskId: task, startTime: Date.now(), endTime: Date.now(),
        evidence: items, meetsCompletionCriteria: complete, missingEvidence: [],
      }));
    return complete;
  }

  move(task, from, to) {
    this.remove.run(task, from, 'agent-7');
    this.acquire(task, to);
    this.append(task, from, to, ['strategy spec plan edge_cases']);
    return true;
  }

  close() { this.db.close(); }
}

// ---- ours ----------------------------------------------------------------------

class Holdfast {
  constructor(root) {
    this.db = open(`${root}.db`);
    this.db.loadExtension(library);
    this.db.prepare("SELECT holdfast_install('process')").get();
    const door = (call) => this.db.prepare(`SELECT ${call}`).pluck();
    this.starting = door("phase_start(?, 'agent-7') ->> 'allowed'");
    this.attesting = door("prompt_attest(?) ->> 'drift'");
    this.moving = door("phase_advance(?, ?, 'agent-7') ->> 'allowed'");
    this.showing = this.db.prepare(`INSERT INTO process_evidence
      (task_id, phase, kind, name, exit_code, value, content)
      VALUES (?, ?, ?, ?, ?, ?, ?)`);
  }

  prepare(count) {
    this.db.transaction(() => {
      for (let i = 0; i < count; i++) this.attest(`old-${i}`, 'IMPLEMENT');
    })();
  }

  start(task) { this.starting.get(task); }

  attest(task, phase) {
    return this.attesting.get(JSON.stringify(spec(task, phase))) === 0;
  }

  show(task, phase) {
    const add = (...item) => this.showing.run(task, phase, ...item);
    add('phase_artifact', 'strategy spec plan edge_cases', null, null, DOCUMENT);
    add('test_run', 'unit', 0, 0, DOCUMENT);
    add('build_output', 'make', 0, null, DOCUMENT);
    add('coverage', 'lines', null, 90, null);
    add('git_diff', 'HEAD', null, 3, null);
  }

  gate() { return true; } // a part of the move

  move(task, from, to) { return this.moving.get(task, to) === 1; }

  close() { this.db.close(); }
}

// ---- measuring -----------------------------------------------------------------

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half]
    : (sorted[half - 1] + sorted[half]) / 2;
}

// The microseconds of processor time that it takes; it must return true.
function timed(work) {
  const start = process.cpuUsage();
  if (work() !== true) throw new Error('bench: refused');
  const took = process.cpuUsage(start);
  return took.user + took.system;
}

// Of moves with everything: the whole, and the steps alone that the design's
// own benchmark has, which are without evidence: attestation, lease, ledger.
function movesOf(Side, name) {
  const side = new Side(path.join(folder, name));
  const whole = [];
  const steps = [];
  for (let i = 0; whole.length < moves; i++) {
    const task = `task-${i}`;
    side.start(task);
    for (let k = 0; k + 1 < PHASES.length && whole.length < moves; k++) {
      const [from, to] = PHASES.slice(k, k + 2);
      let items;
      const shown = timed(() => { items = side.show(task, from); return true; });
      const attested = timed(() => side.attest(task, from));
      const judged = timed(() => side.gate(task, from, items));
      const moved = timed(() => side.move(task, from, to));
      whole.push(shown + attested + judged + moved);
      steps.push(attested + moved);
    }
  }
  side.close();
  return [median(whole), median(steps)];
}

// First attestations, and then the same again.
function attestationsOf(Side, name) {
  const side = new Side(path.join(folder, name));
  side.prepare(baselines);
  const took = [0, 1].map(() => {
    const times = [];
    for (let i = 0; i < ATTESTATIONS; i++) {
      times.push(timed(() => side.attest(`task-${i}`, 'IMPLEMENT')));
    }
    return median(times);
  });
  side.close();
  return took;
}

function report(key, words, values, goal, unit) {
  const value = median(values);
  const line = `${words.padEnd(52)} ${value.toFixed(2).padStart(6)} `
    + unit.padEnd(3);
  const met = value >= goal ? 'met' : 'not met';
  console.log(goal === 0 ? line
    : `${line} goal ${goal.toFixed(2).padStart(5)}  ${met} (at least)`);
  console.error(JSON.stringify({
    measure: key, value: Number(value.toFixed(3)), goal,
  }));
}

const ours = {};
const theirs = {};
const note = (of, key, value) => (of[key] = of[key] || []).push(value);
for (let i = 0; i < pairs; i++) {
  for (const [of, Side] of [[theirs, Original], [ours, Holdfast]]) {
    const [whole, steps] = movesOf(Side, Side.name);
    const [first, again] = attestationsOf(Side, Side.name);
    note(of, 'whole', whole);
    note(of, 'steps', steps);
    note(of, 'first', first);
    note(of, 'again', again);
  }
}
const against = (key) => theirs[key].map((value, i) => value / ours[key][i]);
for (const [key, words, goal] of [
  ['whole', 'evidence, prompt and move, in Node with better-sqlite3', 5],
  ['steps', 'prompt and move, against its ledger, leases, prompt', 5],
  ['first', `a first attestation, ${baselines} baselines, in Node`, 10],
  ['again', 'a prompt that is as it was', 10],
]) {
  report(`process_${key}_node`, words, ours[key], 0, 'us');
  report(`process_${key}_original`, '  and the original design takes',
    against(key), goal, 'x');
}
