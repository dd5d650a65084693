/*
** Retention against plain SQLite: half of a table, and nothing at all.
**
** BENCH_DELETED (1000000) rows go, of twice as many; BENCH_TABLES (46) tables
** have nothing to lose.
*/
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- half of a table ----------------------------------------------------- */

/* Two rows a second, half of them older than a day before `now`. */
static void half_fill(sqlite3 *db, long n) {
  char sql[400];
  run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, at INTEGER NOT NULL,"
          " text TEXT); CREATE INDEX ti ON t(at)");
  (void)snprintf(sql, sizeof(sql),
                 "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL"
                 " SELECT i + 1 FROM c WHERE i < %ld)"
                 " INSERT INTO t SELECT i, 1700000000000 + (i - %ld) * 500,"
                 " 'some text of a row that is not so short' FROM c",
                 2 * n, n + 1);
  run(db, sql);
  run(db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

/* From BEGIN to the end of COMMIT. */
typedef struct Lock {
  double since, longest;
} Lock;

static int half_watch(unsigned type, void *context, void *p, void *x) {
  Lock *lock = context;
  const char *sql = type == SQLITE_TRACE_STMT ? x : sqlite3_sql(p);
  if (type == SQLITE_TRACE_STMT && strstr(sql, "BEGIN IMMEDIATE") != NULL) {
    lock->since = wall();
  } else if (type == SQLITE_TRACE_PROFILE && strcmp(sql, "COMMIT") == 0) {
    double took = wall() - lock->since;
    if (took > lock->longest) lock->longest = took;
  }
  return 0;
}

/* Seconds for half of the rows; by hand it is one DELETE.  lock, if not NULL:
** how long the write lock was held at most.  A checkpoint needs none. */
static double half_go(int by_hand, long n, Lock *lock) {
  sqlite3 *db = open_file("r.db", 1);
  double start;
  half_fill(db, n);
  run(db, "SELECT holdfast_install('retention');"
          "INSERT INTO retention_policy(table_name, tier, time_column)"
          " VALUES ('t', 'short', 'at')");
  if (lock != NULL) {
    run(db, "PRAGMA wal_autocheckpoint = 0");
    sqlite3_trace_v2(db, SQLITE_TRACE_STMT | SQLITE_TRACE_PROFILE, half_watch,
                     lock);
  }
  start = now();
  run(db, by_hand ? "DELETE FROM t WHERE at < 1700000000000"
                  : "SELECT retention_apply(1700000000000 + 2592000000)");
  start = now() - start;
  if (query(db, "SELECT count(*) FROM t") != n) {
    (void)fprintf(stderr, "not half of the rows went\n");
    exit(1);
  }
  sqlite3_close(db);
  return start;
}

static void measure_half(long n) {
  static double ratio[100];
  Lock lock = {0, 0};
  int i;
  for (i = 0; i < pairs; i++) {
    double hand = half_go(1, n, NULL);
    ratio[i] = half_go(0, n, NULL) / hand;
  }
  half_go(0, n, &lock);
  report("retention_half", "retention_apply of half a table / one DELETE",
         median(ratio, pairs), 1.5, "x");
  report("retention_lock", "its longest write lock", lock.longest * 1e3, 50,
         "ms");
}

/* ---- nothing ------------------------------------------------------------- */

static void measure_nothing(long tables) {
  static double took[1000];
  enum { TIMES = 100 };
  sqlite3 *db = open_file("r.db", 1);
  char sql[600];
  long i;
  run(db, "SELECT holdfast_install('retention')");
  for (i = 0; i < tables; i++) {
    (void)snprintf(sql, sizeof(sql),
                   "CREATE TABLE t%ld(id INTEGER PRIMARY KEY, a TEXT, b TEXT,"
                   " c REAL, d INTEGER, at INTEGER NOT NULL) STRICT;"
                   "CREATE INDEX ti%ld ON t%ld(at);"
                   "INSERT INTO t%ld(at) VALUES (1700000000000);"
                   "INSERT INTO retention_policy(table_name, tier,"
                   " time_column) VALUES ('t%ld', 'short', 'at')",
                   i, i, i, i, i);
    run(db, sql);
  }
  for (i = 0; i < TIMES; i++) {
    double start = now();
    run(db, "SELECT retention_apply(1700000000000)");
    took[i] = (now() - start) * 1e3;
  }
  sqlite3_close(db);
  report("retention_nothing", "retention_apply, nothing to do over 46 tables",
         median(took, TIMES), 2, "ms");
}

void measure_retention(void) {
  measure_half(setting("BENCH_DELETED", 1000000));
  measure_nothing(setting("BENCH_TABLES", 46));
}
