/*
** The steps of a move one by one, as the performance baseline of the original
** design has them: each done a thousand times in a fresh file by one process,
** no warming up, wall-clock time of each; percentiles are the value at
** ceil(n * p) in order.  Beside them its SLO, the most that the p99 may be.
** Over twice that is its warning, over five times its critical alert; and a
** step passes at all if p50, p95 and p99 stay below 20, 50 and 100 ms.
**
** It measured one process that never waited for the disk, and of moves only
** refused ones.  Here the moves are accepted, and all of it is done once more
** with synchronous FULL, where each step waits for the disk; its SLOs are not
** for that.  BENCH_STEPS (1000) and BENCH_ATTESTATIONS (10000) scale it.
*/
#include "process.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value below which this part of n sorted values is. */
static double percentile(const double *sorted, long n, double part) {
  return sorted[(long)ceil((double)n * part) - 1];
}

/* A line of seconds, in milliseconds.  mode: that of synchronous; slo: 0 for
** none. */
static void steps_report(const char *step, const char *mode, const char *words,
                         double *value, long n, double slo) {
  double p[4], sum = 0, squares = 0, mean;
  const char *verdict = "";
  long i;
  (void)median(value, (int)n); /* sorts */
  for (i = 0; i < n; i++) {
    value[i] *= 1000;
    sum += value[i];
  }
  mean = sum / (double)n;
  for (i = 0; i < n; i++) squares += (value[i] - mean) * (value[i] - mean);
  for (i = 0; i < 4; i++) {
    static const double parts[] = {.5, .95, .99, 1};
    p[i] = percentile(value, n, parts[i]);
  }
  if (p[0] >= 20 || p[1] >= 50 || p[2] >= 100) {
    verdict = "not met: 20/50/100 ms";
  } else if (slo > 0) {
    verdict = p[2] <= slo       ? "met"
              : p[2] <= 2 * slo ? "not met"
              : p[2] <= 5 * slo ? "not met: warning"
                                : "not met: critical";
  }
  printf("  %-28s %7.3f %7.3f %7.3f %8.3f", words, p[0], p[1], p[2], p[3]);
  if (slo > 0) printf("  goal %5.2f", slo);
  printf("  %s\n", verdict);
  (void)fflush(stdout);
  (void)fprintf(stderr,
                "{\"measure\":\"process_%s_%s\",\"n\":%ld,\"p50\":%.4f,"
                "\"p95\":%.4f,\"p99\":%.4f,\"max\":%.4f,\"mean\":%.4f,"
                "\"stddev\":%.4f,\"goal\":%.2f}\n",
                step, mode, n, p[0], p[1], p[2], p[3], mean,
                sqrt(squares / (double)n), slo);
}

/* Seconds of one run; a lease's token, or 1, must come back. */
static double timed(sqlite3_stmt *stmt, const char *task, const char *second) {
  double begin = wall();
  sqlite3_bind_text(stmt, 1, task, -1, SQLITE_STATIC);
  if (second != NULL) {
    sqlite3_bind_text(stmt, 2, second, -1, SQLITE_STATIC);
  }
  must(sqlite3_db_handle(stmt), sqlite3_step(stmt));
  if (sqlite3_column_count(stmt) > 0 && sqlite3_column_int64(stmt, 0) < 1) {
    (void)fprintf(stderr, "bench: a step of %s was refused\n", task);
    exit(1);
  }
  must(sqlite3_db_handle(stmt), sqlite3_reset(stmt));
  return wall() - begin;
}

static const char *task_of(long n) {
  static char task[32];
  sqlite3_snprintf(sizeof(task), task, "BENCH-%ld", n);
  return task;
}

/* An append to a ledger with the columns of phase_ledger, without its rules. */
static void ledger_steps(sqlite3 *db, double *value, long n) {
  sqlite3_stmt *stmt;
  long i;
  run(db, "CREATE VIRTUAL TABLE bench_ledger USING ledger(task_id TEXT NOT NULL"
          " INDEXED, kind TEXT, from_phase TEXT, to_phase TEXT NOT NULL,"
          " agent TEXT, token INTEGER, enforcement TEXT, attestation BLOB,"
          " evidence TEXT, why TEXT)");
  stmt = prepare(db, "INSERT INTO bench_ledger(task_id, kind, from_phase,"
                     " to_phase, agent, token, enforcement, evidence)"
                     " VALUES (?1, 'advance', 'STRATEGIZE', 'SPEC',"
                     " 'implementer', 1, 'enforce',"
                     " '[\"state/evidence/build.log\",\"strategy.md\"]')");
  for (i = 0; i < n; i++) value[i] = timed(stmt, task_of(i), NULL);
  sqlite3_finalize(stmt);
}

/* Acquired and released: the table never has more than one. */
static void lease_steps(sqlite3 *db, double *acquired, double *released,
                        long n) {
  sqlite3_stmt *acquire =
      prepare(db, "SELECT lease_acquire('phase_lease', ?1 || '/STRATEGIZE',"
                  " 'agent-7')");
  sqlite3_stmt *release =
      prepare(db, "SELECT lease_release('phase_lease', ?1 || '/STRATEGIZE',"
                  " (SELECT token FROM phase_lease_held))");
  long i;
  for (i = 0; i < n; i++) {
    acquired[i] = timed(acquire, task_of(i), NULL);
    released[i] = timed(release, task_of(i), NULL);
  }
  sqlite3_finalize(acquire);
  sqlite3_finalize(release);
}

/* Accepted moves; the evidence and the prompt are there before. */
static void move_steps(Agent *agent, double *value, long n) {
  char task[32];
  long done = 0, i;
  int k;
  for (i = 0; done < n; i++) {
    sqlite3_snprintf(sizeof(task), task, "MOVE-%ld", i);
    must(agent->db, agent_run(agent->start, task, "a"));
    for (k = 0; k < PROCESS_STEPS && done < n; k++) {
      must(agent->db, agent_run(agent->prompt, task, process_phases[k]));
      must(agent->db, agent_run(agent->show, task, process_phases[k]));
      value[done++] = timed(agent->advance, task, process_phases[k + 1]);
    }
  }
}

static void steps_of(const char *mode, double *value, long n, int goals) {
  char sql[40];
  double *second = value + n;
  Agent agent;
  long i;
  agent_open(&agent, process_open("steps.db"));
  sqlite3_snprintf(sizeof(sql), sql, "PRAGMA synchronous=%s", mode);
  run(agent.db, sql);
  ledger_steps(agent.db, value, n);
  steps_report("append", mode, "ledger append", value, n, goals ? 2 : 0);
  lease_steps(agent.db, value, second, n);
  steps_report("acquire", mode, "lease acquire", value, n, goals ? 5 : 0);
  steps_report("release", mode, "lease release", second, n, goals);
  for (i = 0; i < n; i++) {
    value[i] = timed(agent.prompt, task_of(i), "STRATEGIZE");
  }
  steps_report("attestation", mode, "attestation, each a first", value, n,
               goals ? 10 : 0);
  move_steps(&agent, value, n);
  steps_report("transition", mode, "transition, accepted", value, n, 0);
  agent_close(&agent);
}

/* The processor, as it calls itself. */
static void hardware(void) {
  char line[300];
  FILE *file = fopen("/proc/cpuinfo", "r");
  while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
    char *name = strchr(line, ':');
    if (strncmp(line, "model name", 10) == 0 && name != NULL) {
      name[strcspn(name, "\n")] = 0;
      printf(" on%s", name + 1);
      break;
    }
  }
  if (file != NULL) (void)fclose(file);
}

void measure_process_steps(void) {
  long n = setting("BENCH_STEPS", 1000), many, i;
  double *value;
  Agent agent;
  many = setting("BENCH_ATTESTATIONS", 10000);
  value = malloc(sizeof(*value) * (size_t)(2 * n + many));
  if (value == NULL || n < 1 || many < 1) exit(1);
  printf("steps, wall-clock ms%*s p50     p95     p99      max  of the p99\n",
         13, "");
  printf("WAL, synchronous NORMAL");
  hardware();
  printf("\n");
  steps_of("NORMAL", value, n, 1);
  agent_open(&agent, process_open("steps.db"));
  for (i = 0; i < many; i++) {
    value[i] = timed(agent.prompt, task_of(i), "STRATEGIZE");
  }
  steps_report("attestations", "NORMAL", "attestations, ten thousand", value,
               many, 10);
  agent_close(&agent);
  printf("WAL, synchronous FULL\n");
  steps_of("FULL", value, n, 0);
  free(value);
}
