/*
** Phases: an accepted move, an attestation, and what a move costs when there
** are many entries already.
**
** BENCH_ENTRIES (1000000) is how many.
*/
#include "process.h"

#include <stdio.h>
#include <stdlib.h>

#define TASKS 60
#define MOVES (TASKS * (long)PROCESS_STEPS)

const char *const process_phases[PROCESS_STEPS + 1] = {
    "STRATEGIZE", "SPEC", "PLAN", "THINK", "IMPLEMENT", "VERIFY"};

/* ---- agents -------------------------------------------------------------- */

void agent_open(Agent *agent, sqlite3 *db) {
  agent->db = db;
  agent->start = prepare(db, "SELECT phase_start(?1, ?2) ->> '$.allowed'");
  agent->prompt = prepare(
      db, "SELECT prompt_attest(printf('{\"phase\":\"%s\",\"taskId\":\"%s\","
          "\"requirements\":[\"b\",\"a\"],\"qualityGates\":[\"tests\"],"
          "\"artifacts\":[],\"contextSummary\":\"%s\"}', ?2, ?1, 'what to do'))"
          " ->> '$.version'");
  agent->show = prepare(
      db, "INSERT INTO process_evidence(task_id, phase, kind, name, exit_code,"
          " value, content) SELECT ?1, ?2, column1, column2, 0, column3,"
          " 'problem requirements steps passed ' || hex(zeroblob(100))"
          " FROM (VALUES"
          " ('phase_artifact', 'strategy spec plan edge_cases', NULL),"
          " ('test_run', 'unit', 0), ('build_output', 'make', NULL),"
          " ('coverage', 'lines', 90), ('git_diff', 'HEAD', 3))");
  agent->advance = /* without SQLite's reading of the JSON */
      prepare(db, "SELECT instr(phase_advance(?1, ?2, ?3),"
                  " '{\"allowed\":true') = 1");
  sqlite3_bind_text(agent->advance, 3, "a", 1, SQLITE_STATIC);
}

void agent_close(Agent *agent) {
  sqlite3_finalize(agent->start);
  sqlite3_finalize(agent->prompt);
  sqlite3_finalize(agent->show);
  sqlite3_finalize(agent->advance);
  sqlite3_close(agent->db);
}

int agent_run(sqlite3_stmt *stmt, const char *task, const char *phase) {
  int rc;
  sqlite3_bind_text(stmt, 1, task, -1, SQLITE_STATIC);
  sqlite3_bind_text(stmt, 2, phase, -1, SQLITE_STATIC);
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW && sqlite3_column_int(stmt, 0) != 1) {
    (void)fprintf(stderr, "bench: a move of %s was refused\n", task);
    exit(1);
  }
  rc = sqlite3_reset(stmt);
  if (rc != SQLITE_BUSY) must(sqlite3_db_handle(stmt), rc);
  return rc;
}

sqlite3 *process_open(const char *name) {
  sqlite3 *db = open_file(name, 1);
  run(db, "SELECT holdfast_install('process')");
  return db;
}

/* ---- moves --------------------------------------------------------------- */

/* The processor time that it takes, us. */
static double took(sqlite3_stmt *stmt, const char *task, const char *phase) {
  double begin = now();
  must(sqlite3_db_handle(stmt), agent_run(stmt, task, phase));
  return (now() - begin) * 1e6;
}

/* Tasks from the first phase to VERIFY: the medians of moves and of
** attestations, which are first ones. */
static void measure(Agent *agent, const char *prefix, double *move,
                    double *attest) {
  static double moved[MOVES], attested[MOVES];
  char task[40];
  long n = 0;
  int i, k;
  for (i = 0; i < TASKS; i++) {
    sqlite3_snprintf(sizeof(task), task, "%s-%d", prefix, i);
    (void)took(agent->start, task, "a");
    for (k = 0; k < PROCESS_STEPS; k++) {
      attested[n] = took(agent->prompt, task, process_phases[k]);
      (void)took(agent->show, task, process_phases[k]);
      moved[n++] = took(agent->advance, task, process_phases[k + 1]);
    }
  }
  *move = median(moved, (int)n);
  *attest = median(attested, (int)n);
}

void measure_process(void) {
  static double moves[100], attests[100];
  double unused;
  Agent agent;
  int i;
  for (i = 0; i < pairs; i++) {
    agent_open(&agent, process_open("process.db"));
    measure(&agent, "warm", &unused, &unused);
    measure(&agent, "task", &moves[i], &attests[i]);
    agent_close(&agent);
  }
  report("process_move", "a move: gate, evidence, lease, attestation, ledger",
         median(moves, pairs), 150, "us");
  report("process_attest", "a prompt attested, the first of its phase",
         median(attests, pairs), 0, "us");
  measure_process_steps();
  measure_process_agents();
}

/* ---- a million entries --------------------------------------------------- */

/* Entries of tasks that have gone all the way, ten a task: plain INSERTs into
** phase_ledger in one transaction, while PHASE_ENFORCEMENT is off, which spares
** the leases and the evidence.  Every rule that no mode waives is asked, every
** state, decision and hash is written. */
static void fill(sqlite3 *db, long entries) {
  char *sql = sqlite3_mprintf(
      "INSERT INTO settings(key, value) VALUES ('PHASE_ENFORCEMENT', 'off')"
      " ON CONFLICT(key) DO UPDATE SET value = excluded.value;"
      "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
      " WHERE i < %ld), way AS (SELECT ordinal, name,"
      " lag(name) OVER (ORDER BY ordinal) AS before FROM"
      " (SELECT ordinal, name FROM process_phase UNION ALL"
      " SELECT max(ordinal) + 1, 'DONE' FROM process_phase))"
      "INSERT INTO phase_ledger(task_id, kind, from_phase, to_phase, agent,"
      " enforcement) SELECT 'fill-' || i, CASE WHEN before IS NULL THEN 'start'"
      " WHEN name = 'DONE' THEN 'complete' ELSE 'advance' END, before, name,"
      " 'b', 'off' FROM n CROSS JOIN way ORDER BY i, ordinal;"
      "COMMIT; UPDATE settings SET value = 'enforce'"
      " WHERE key = 'PHASE_ENFORCEMENT'; PRAGMA wal_checkpoint(TRUNCATE)",
      entries / 10);
  run(db, sql);
  sqlite3_free(sql);
}

void measure_process_million(void) {
  static double growth[100], attests[100];
  long entries = setting("BENCH_ENTRIES", 1000000);
  double few, many, first, later, start = wall();
  Agent small, big;
  char prefix[20];
  int i;
  agent_open(&big, process_open("million.db"));
  fill(big.db, entries);
  start = wall() - start;
  agent_open(&small, process_open("thousand.db"));
  fill(small.db, 1000);
  for (i = -1; i < pairs; i++) { /* the first warms up */
    sqlite3_snprintf(sizeof(prefix), prefix, "round%d", i);
    measure(&small, prefix, &few, &first);
    measure(&big, prefix, &many, &later);
    if (i < 0) continue;
    growth[i] = many / few;
    attests[i] = later / first;
  }
  report("process_fill", "building the ledger of many moves", start, 0, "s");
  report("process_growth", "a move with many entries before it, against 1000",
         median(growth, pairs), 1.2, "x");
  report("process_attest_growth", "  and a first attestation there",
         median(attests, pairs), 0, "x");
  agent_close(&small);
  agent_close(&big);
}
