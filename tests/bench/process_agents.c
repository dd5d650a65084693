/*
** Many agents on one file, each with tasks of its own: processes that carry
** them through the phases, synchronous FULL, busy_policy('fair').
**
** BENCH_PROCESSES (10) and BENCH_SECONDS (3) scale it.
*/
#include "process.h"

#include <stdlib.h>

#define AGENTS_MOST 100000 /* moves that are counted of each */

typedef struct Shift {
  double seconds;
} Shift;

/* The evidence and the prompt of a phase in one transaction. */
static int agents_prepare(Agent *agent, const char *task, const char *phase) {
  int rc = sqlite3_exec(agent->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
  if (rc != SQLITE_OK) return rc;
  rc = agent_run(agent->prompt, task, phase);
  if (rc == SQLITE_OK) rc = agent_run(agent->show, task, phase);
  if (rc == SQLITE_OK) {
    rc = sqlite3_exec(agent->db, "COMMIT", NULL, NULL, NULL);
  }
  if (rc != SQLITE_OK) {
    (void)sqlite3_exec(agent->db, "ROLLBACK", NULL, NULL, NULL);
  }
  return rc;
}

/* Do it until it is not busy any more; how often it was. */
static int agents_insist(Agent *agent, sqlite3_stmt *stmt, const char *task,
                         const char *phase) {
  int busy = 0, rc;
  for (;; busy++) {
    rc = stmt != NULL ? agent_run(stmt, task, phase)
                      : agents_prepare(agent, task, phase);
    if (rc != SQLITE_BUSY) break;
  }
  must(agent->db, rc);
  return busy;
}

/* One of the processes: the seconds of each move, waiting included, negative
** where the timeout was over before. */
static size_t agents_work(int number, const void *argument, double *took,
                          size_t most) {
  const Shift *shift = argument;
  Agent agent;
  char task[32];
  double end;
  size_t n = 0;
  long i;
  int k;
  agent_open(&agent, open_file("agents.db", 0));
  run(agent.db, "PRAGMA synchronous=FULL; SELECT busy_policy('fair', 60000)");
  end = wall() + shift->seconds;
  for (i = 0; wall() < end; i++) {
    sqlite3_snprintf(sizeof(task), task, "T-%d-%ld", number, i);
    agents_insist(&agent, agent.start, task, "a");
    for (k = 0; k < PROCESS_STEPS && wall() < end && n < most; k++) {
      double begin;
      int busy = agents_insist(&agent, NULL, task, process_phases[k]);
      begin = wall();
      busy += agents_insist(&agent, agent.advance, task, process_phases[k + 1]);
      took[n++] = (wall() - begin) * (busy ? -1 : 1);
      sqlite3_sleep(1);
    }
  }
  agent_close(&agent);
  return n;
}

/* p: the p50 and p99 of the milliseconds of a move; *rate: moves a second.
** Returns how often SQLITE_BUSY came back. */
static int agents_round(int processes, const Shift *shift, double *p,
                        double *rate) {
  double *took;
  int busy = 0;
  size_t n = crowd(processes, agents_work, shift, AGENTS_MOST, &took), i;
  if (n == 0) exit(1);
  for (i = 0; i < n; i++) {
    if (took[i] >= 0) continue;
    took[i] = -took[i];
    busy++;
  }
  p[0] = median(took, (int)n) * 1000; /* sorts */
  p[1] = took[n * 99 / 100] * 1000;
  *rate = (double)n / shift->seconds;
  free(took);
  return busy;
}

void measure_process_agents(void) {
  static double p50[100], p99[100], rate[100], ratio[100];
  int processes = (int)setting("BENCH_PROCESSES", 10), busy = 0, i;
  Shift shift = {(double)setting("BENCH_SECONDS", 3)};
  double p[2];
  for (i = 0; i < pairs; i++) {
    sqlite3_close(process_open("agents.db"));
    busy += agents_round(processes, &shift, p, &rate[i]);
    p50[i] = p[0];
    p99[i] = p[1];
    ratio[i] = p[1] / p[0];
  }
  report("process_agents_p50", "ten agents, FULL, 'fair': p50 of a move",
         median(p50, pairs), 0, "ms");
  report("process_agents_p99", "  p99", median(p99, pairs), 0, "ms");
  report("process_agents_rate", "  moves a second", median(rate, pairs), 0, "");
  report("process_agents_busy", "  SQLITE_BUSY after a timeout of 60 s", busy,
         0, "");
  report("process_agents", "  the p99 against the p50", median(ratio, pairs),
         25, "x");
}
