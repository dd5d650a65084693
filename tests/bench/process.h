/*
** What the parts of the benchmark that are about phases share:
**
**   process.c         moves and attestations, and what they cost when there are
**                     a million entries
**   process_steps.c   the steps of a move, in percentiles
**   process_agents.c  many processes
*/
#ifndef PROCESS_H
#define PROCESS_H

#include "bench.h"

#define PROCESS_STEPS 5 /* moves of a task, from the first phase to VERIFY */

extern const char *const process_phases[PROCESS_STEPS + 1];

/* What an agent asks for.  ?1: the task; ?2: a phase. */
typedef struct Agent {
  sqlite3 *db;
  sqlite3_stmt *start;   /* into the first phase; ?2 is the agent's name */
  sqlite3_stmt *prompt;  /* attest the prompt of the phase */
  sqlite3_stmt *show;    /* all the evidence that any of the phases asks for */
  sqlite3_stmt *advance; /* on to the phase; ?3 is the agent's name */
} Agent;

void agent_open(Agent *agent, sqlite3 *db);
void agent_close(Agent *agent); /* and the connection */

/* Run one of its statements.  It returns nothing, or 1: the move was allowed,
** else exit.  SQLITE_BUSY is returned; of another error, exit. */
int agent_run(sqlite3_stmt *stmt, const char *task, const char *phase);

/* Files, in WAL, synchronous NORMAL, with the area installed. */
sqlite3 *process_open(const char *name);

void measure_process_steps(void);
void measure_process_agents(void);

#endif
