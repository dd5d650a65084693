/*
** What every part of the benchmark shares: see bench.h.
*/
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

const char *library, *folder;
int pairs = 5;

/* Processor time in seconds. */
double now(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* A number from the environment, or what is usual. */
long setting(const char *name, long usual) {
  const char *text = getenv(name);
  return text != NULL ? strtol(text, NULL, 10) : usual;
}

void must(sqlite3 *db, int rc) {
  if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return;
  (void)fprintf(stderr, "bench: %s\n", sqlite3_errmsg(db));
  exit(1);
}

void run(sqlite3 *db, const char *sql) {
  must(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

sqlite3 *open_file(const char *name, int fresh) {
  char path[1000];
  sqlite3 *db;
  if (fresh) {
    sqlite3_snprintf(sizeof(path), path, "%s/%s-wal", folder, name);
    unlink(path);
    sqlite3_snprintf(sizeof(path), path, "%s/%s-shm", folder, name);
    unlink(path);
  }
  sqlite3_snprintf(sizeof(path), path, "%s/%s", folder, name);
  if (fresh) unlink(path);
  must(NULL, sqlite3_open(path, &db));
  sqlite3_enable_load_extension(db, 1);
  must(db, sqlite3_load_extension(db, library, NULL, NULL));
  run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
  return db;
}

sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt;
  must(db, sqlite3_prepare_v2(db, sql, -1, &stmt, NULL));
  return stmt;
}

double bulk(sqlite3 *db, const char *sql, long n) {
  sqlite3_stmt *stmt;
  double start;
  long i;
  must(db, sqlite3_prepare_v2(db, sql, -1, &stmt, NULL));
  start = now();
  run(db, "BEGIN");
  for (i = 0; i < n; i++) {
    must(db, sqlite3_step(stmt));
    sqlite3_reset(stmt);
  }
  run(db, "COMMIT");
  start = now() - start;
  sqlite3_finalize(stmt);
  return start;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double median(double *value, int n) {
  qsort(value, (size_t)n, sizeof(*value), compare);
  return n % 2 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
}

/* at_most: the goal is; else it is the least. */
static void report_line(const char *key, const char *words, double value,
                        double goal, const char *unit, int at_most) {
  int met = at_most ? value <= goal : value >= goal;
  if (goal > 0) {
    printf("%-52s %6.2f %-3s goal %5.2f  %s%s\n", words, value, unit, goal,
           met ? "met" : "not met", at_most ? "" : " (at least)");
  } else {
    printf("%-52s %6.2f %-3s\n", words, value, unit);
  }
  (void)fflush(stdout); /* before anybody forks */
  (void)fprintf(stderr, "{\"measure\":\"%s\",\"value\":%.3f,\"goal\":%.2f}\n",
                key, value, goal);
}

void report(const char *key, const char *words, double value, double goal,
            const char *unit) {
  report_line(key, words, value, goal, unit, 1);
}

void report_least(const char *key, const char *words, double value, double goal,
                  const char *unit) {
  report_line(key, words, value, goal, unit, 0);
}

sqlite3_int64 query(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  sqlite3_int64 value;
  must(db, sqlite3_prepare_v2(db, sql, -1, &stmt, NULL));
  must(db, sqlite3_step(stmt));
  value = sqlite3_column_int64(stmt, 0);
  sqlite3_finalize(stmt);
  return value;
}

/* Wall-clock time in seconds: a checkpoint waits for the disk. */
double wall(void) {
  struct timespec t;
  (void)timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Is this part asked for?  BENCH_ONLY names one; without it, all are. */
int chosen(const char *part) {
  const char *only = getenv("BENCH_ONLY");
  return only == NULL || strcmp(only, part) == 0;
}

/* ---- many processes ------------------------------------------------------ */

static void crowd_write(int out, const void *data, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t part = write(out, (const char *)data + done, size - done);
    if (part <= 0) exit(1);
    done += (size_t)part;
  }
}

/* Read up to the end; returns how many values. */
static size_t crowd_read(int in, double *value, size_t most) {
  size_t size = 0;
  ssize_t part;
  while (size < most * sizeof(*value) &&
         (part = read(in, (char *)value + size, most * sizeof(*value) - size)) >
             0) {
    size += (size_t)part;
  }
  return size / sizeof(*value);
}

size_t crowd(int processes,
             size_t (*work)(int number, const void *argument, double *took,
                            size_t most),
             const void *argument, size_t most, double **took) {
  enum { PROCESSES = 100 };
  int in[PROCESSES], i, status;
  size_t n = 0;
  if (processes < 1 || processes > PROCESSES) exit(1);
  *took = malloc((size_t)processes * most * sizeof(**took));
  if (*took == NULL) exit(1);
  for (i = 0; i < processes; i++) {
    int both[2];
    pid_t pid;
    if (pipe(both) != 0 || (pid = fork()) < 0) exit(1);
    if (pid == 0) {
      n = work(i, argument, *took, most);
      crowd_write(both[1], *took, n * sizeof(**took));
      _exit(0);
    }
    close(both[1]);
    in[i] = both[0];
  }
  for (i = 0; i < processes; i++) {
    n += crowd_read(in[i], *took + n, most);
    close(in[i]);
  }
  while (wait(&status) > 0) {
    if (status != 0) exit(1);
  }
  return n;
}
