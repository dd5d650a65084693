/*
** Phases: an accepted move with everything that belongs to it, an attestation,
** and what a move costs when there are many already.
*/
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define TASKS 60
#define MOVES (TASKS * 5L)

/* Everything that any of these phases asks for. */
#define EVIDENCE \
  "INSERT INTO process_evidence(task_id, phase, kind, name, exit_code, value," \
  " content) SELECT ?1, ?2, column1, column2, 0, column3," \
  " 'problem requirements steps passed ' || hex(zeroblob(100)) FROM (VALUES" \
  " ('phase_artifact', 'strategy spec plan edge_cases', NULL)," \
  " ('test_run', 'unit', 0), ('build_output', 'make', NULL)," \
  " ('coverage', 'lines', 90), ('git_diff', 'HEAD', 3))"

static const char *const phases[] = {"STRATEGIZE", "SPEC",      "PLAN",
                                     "THINK",      "IMPLEMENT", "VERIFY"};

static sqlite3_stmt *statement(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt;
  must(db, sqlite3_prepare_v2(db, sql, -1, &stmt, NULL));
  return stmt;
}

/* Run it for a task and a phase; the processor time that it
** took, us.  It must return
** nothing, or 1. */
static double took(sqlite3_stmt *stmt, const char *task, const char *phase) {
  double begin = now();
  int rc;
  sqlite3_bind_text(stmt, 1, task, -1, SQLITE_STATIC);
  sqlite3_bind_text(stmt, 2, phase, -1, SQLITE_STATIC);
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW && sqlite3_column_int(stmt, 0) != 1) {
    (void)fprintf(stderr, "bench: a move of %s was refused\n", task);
    exit(1);
  }
  must(sqlite3_db_handle(stmt), sqlite3_reset(stmt));
  return (now() - begin) * 1e6;
}

/* Tasks from the first phase to VERIFY: the medians of moves and of
** attestations, which are first ones. */
static void measure(sqlite3 *db, const char *prefix, double *move,
                    double *attest) {
  static double moved[MOVES], attested[MOVES];
  sqlite3_stmt *start =
      statement(db, "SELECT phase_start(?1, 'a') ->> '$.allowed', ?2");
  sqlite3_stmt *prompt = statement(
      db, "SELECT prompt_attest(printf('{\"phase\":\"%s\",\"taskId\":\"%s\","
          "\"requirements\":[\"b\",\"a\"],\"qualityGates\":[\"tests\"],"
          "\"artifacts\":[],\"contextSummary\":\"%s\"}', ?2, ?1, 'what to do'))"
          " ->> '$.version'");
  sqlite3_stmt *show = statement(db, EVIDENCE);
  sqlite3_stmt *advance =
      statement(db, "SELECT phase_advance(?1, ?2, 'a') ->> '$.allowed'");
  char task[40];
  long n = 0;
  int i, k;
  for (i = 0; i < TASKS; i++) {
    sqlite3_snprintf(sizeof(task), task, "%s-%d", prefix, i);
    (void)took(start, task, "");
    for (k = 0; k < 5; k++) {
      attested[n] = took(prompt, task, phases[k]);
      (void)took(show, task, phases[k]);
      moved[n++] = took(advance, task, phases[k + 1]);
    }
  }
  *move = median(moved, (int)n);
  *attest = median(attested, (int)n);
  sqlite3_finalize(start);
  sqlite3_finalize(prompt);
  sqlite3_finalize(show);
  sqlite3_finalize(advance);
}

void measure_process(void) {
  static double moves[100], attests[100], growth[100];
  long entries = setting("BENCH_ENTRIES", 20000);
  char sql[300];
  int i;
  for (i = 0; i < pairs; i++) {
    sqlite3 *db = open_file("process.db", 1);
    double few, many, attest;
    run(db, "SELECT holdfast_install('process')");
    measure(db, "warm", &few, &attest);
    measure(db, "few", &few, &attest);
    sqlite3_snprintf(sizeof(sql), sql,
                     "BEGIN; WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
                     " i + 1 FROM n WHERE i < %ld)"
                     " SELECT max(phase_start('fill-' || i, 'b')) FROM n;"
                     " COMMIT; PRAGMA wal_checkpoint",
                     entries);
    run(db, sql);
    measure(db, "many", &many, &attests[i]);
    moves[i] = few;
    attests[i] = attest;
    growth[i] = many / few;
    sqlite3_close(db);
  }
  report("process_move", "a move: gate, evidence, lease, attestation, ledger",
         median(moves, pairs), 150, "us");
  report("process_attest", "a prompt attested, the first of its phase",
         median(attests, pairs), 0, "us");
  report("process_growth", "a move with many entries before it, against few",
         median(growth, pairs), 1.2, "x");
}
