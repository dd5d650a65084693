/*
** Control against plain SQLite: a guarded table, the switch, a flag, a check.
**
** BENCH_GUARDED (200000), BENCH_ENGAGES (500), BENCH_FLAGS (200000) and
** BENCH_CHECKS (200) scale it.
*/
#include "bench.h"

#include <stdio.h>
#include <string.h>

/* ---- the guard ----------------------------------------------------------- */

/* Seconds for n rows in one transaction: guarded, or with an empty trigger. */
static double guarded(int guard, long n) {
  sqlite3 *db = open_file("k.db", 1);
  double seconds;
  run(db, "SELECT holdfast_install('control');"
          "CREATE TABLE t(id INTEGER PRIMARY KEY, task TEXT NOT NULL,"
          " token INTEGER NOT NULL, text TEXT)");
  run(db, guard ? "SELECT killswitch_guard('t')"
                : "CREATE TRIGGER e BEFORE INSERT ON t BEGIN SELECT 1; END");
  seconds = bulk(db,
                 "INSERT INTO t(task, token, text)"
                 " VALUES ('task-1', 1, 'some text of a result')",
                 n);
  sqlite3_close(db);
  return seconds;
}

static void measure_kill_guard(long n) {
  static double more[100];
  int i;
  for (i = 0; i < pairs; i++) {
    double empty = guarded(0, n);
    more[i] = (guarded(1, n) - empty) / (double)n * 1e6;
  }
  report("control_guard", "a guarded row more than with an empty trigger",
         median(more, pairs), 0.7, "us");
}

/* ---- the switch ---------------------------------------------------------- */

/* Engages that each returns when it is on the disk, against commits of one row
** that do; in turn, for the disk has its moods. */
static void measure_engage(const char *measure, const char *words,
                           const char *journal, long n) {
  static double took[1000], plain[1000];
  sqlite3 *db = open_file("k.db", 1);
  sqlite3_stmt *engage, *commit;
  long i;
  if (n > 1000) n = 1000;
  run(db, journal);
  run(db, "SELECT holdfast_install('control'), control_seal();"
          "CREATE TABLE p(id INTEGER PRIMARY KEY, v); INSERT INTO p VALUES"
          " (1, 0); PRAGMA synchronous = FULL");
  must(db, sqlite3_prepare_v2(db, "SELECT killswitch_engage('fire', 'ann')", -1,
                              &engage, NULL));
  must(db, sqlite3_prepare_v2(db, "UPDATE p SET v = v + 1", -1, &commit, NULL));
  for (i = 0; i < n; i++) {
    double start = wall();
    must(db, sqlite3_step(commit));
    sqlite3_reset(commit);
    plain[i] = wall() - start;
    start = wall();
    must(db, sqlite3_step(engage));
    sqlite3_reset(engage);
    took[i] = wall() - start;
    run(db, "SELECT killswitch_reset('out', 'ann', 'bob')");
  }
  sqlite3_finalize(engage);
  sqlite3_finalize(commit);
  sqlite3_close(db);
  report(measure, words, median(took, (int)n) / median(plain, (int)n), 2, "x");
}

/* ---- flags --------------------------------------------------------------- */

/* Seconds for n calls in one transaction. */
static double calls(sqlite3 *db, const char *sql, long n) {
  sqlite3_stmt *stmt;
  double start = now();
  long i;
  run(db, "BEGIN; SELECT * FROM settings");
  must(db, sqlite3_prepare_v2(db, sql, -1, &stmt, NULL));
  for (i = 0; i < n; i++) {
    must(db, sqlite3_step(stmt));
    sqlite3_reset(stmt);
  }
  sqlite3_finalize(stmt);
  run(db, "COMMIT");
  return now() - start;
}

static void measure_flag(long n) {
  static double took[100];
  sqlite3 *db = open_file("k.db", 1);
  int i;
  run(db, "SELECT holdfast_install('control');"
          "INSERT INTO flag(name, kind, default_value, safe_value)"
          " VALUES ('COLOUR', 'text', 'red', 'grey');"
          "INSERT INTO settings(key, value) VALUES ('COLOUR', 'blue')");
  for (i = 0; i < pairs; i++) {
    /* Less what it costs to call any function. */
    took[i] = (calls(db, "SELECT flag('COLOUR')", n) -
               calls(db, "SELECT holdfast_version()", n)) /
              (double)n * 1e6;
  }
  sqlite3_close(db);
  report("control_flag", "flag(name) in a transaction", median(took, pairs), 1,
         "us");
}

/* ---- the monitor --------------------------------------------------------- */

static double checks(sqlite3 *db, sqlite3_stmt *stmt, long n) {
  double start = now();
  long i;
  for (i = 0; i < n; i++) {
    must(db, sqlite3_step(stmt));
    sqlite3_reset(stmt);
  }
  return now() - start;
}

/* A check, which is judged, against the INSERT of such a row into a table with
** the same columns and index; each its own transaction. */
static void measure_check(long n) {
  static double ratio[100];
  enum { SLICES = 50 };
  sqlite3 *db = open_file("k.db", 1);
  sqlite3_stmt *plain, *check;
  int i;
  run(db, "SELECT holdfast_install('control');"
          "SELECT monitor_start('r2', 'production', 'r1');"
          "CREATE TABLE p(id INTEGER PRIMARY KEY, release TEXT NOT NULL,"
          " ok INTEGER, error_rate REAL, memory_mb REAL, detail TEXT,"
          " at INTEGER NOT NULL DEFAULT (CAST(round(julianday('now')"
          " * 86400000.0) AS INTEGER) - 210866760000000)) STRICT;"
          "CREATE INDEX pi ON p(release, id)");
  must(db, sqlite3_prepare_v2(db,
                              "INSERT INTO p(release, ok, error_rate,"
                              " memory_mb) VALUES ('r2', 1, 0.01, 100)",
                              -1, &plain, NULL));
  must(db, sqlite3_prepare_v2(db,
                              "INSERT INTO monitor_check(release, ok,"
                              " error_rate, memory_mb)"
                              " VALUES ('r2', 1, 0.01, 100)",
                              -1, &check, NULL));
  for (i = 0; i < SLICES; i++) {
    double base = checks(db, plain, n);
    ratio[i] = checks(db, check, n) / base;
  }
  sqlite3_finalize(plain);
  sqlite3_finalize(check);
  sqlite3_close(db);
  report("control_check", "a check with its decision / INSERT of the row",
         median(ratio, SLICES), 4, "x");
}

void measure_control(void) {
  measure_kill_guard(setting("BENCH_GUARDED", 200000));
  measure_engage("control_engage", "killswitch_engage / durable commit, FULL",
                 "PRAGMA journal_mode = DELETE", setting("BENCH_ENGAGES", 500));
  measure_engage("control_engage_wal", "the same in WAL",
                 "PRAGMA journal_mode = WAL", setting("BENCH_ENGAGES", 500));
  measure_flag(setting("BENCH_FLAGS", 200000));
  measure_check(setting("BENCH_CHECKS", 200));
}
