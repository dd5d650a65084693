/*
** One run of the model check: a database and the world that it should be.
*/
#ifndef FENCING_MODEL_H
#define FENCING_MODEL_H

#include <stdint.h>

#include "ask.h"
#include "oracle.h"

enum { LEVELS = 6, DENIALS = 4096 };

/* A refusal by a wall, of which an event tells later, since the error rolls
** back: anywhere in the history. */
typedef struct Denial {
  int t;
  int resource;
  int holder; /* who wanted it */
  int has;
  Number token;
} Denial;

typedef struct Run {
  Number seed;
  Number step;
  uint64_t random;
  Conn conn[2];
  int conns;
  Conn *at; /* the connection that runs the steps, for now */
  Rules rules[TABLES];
  Number mark[TABLES]; /* the row of lease_high_water that has its time */
  World world;
  World before[LEVELS]; /* [0] BEGIN, then savepoints */
  int depth;
  Number clock;                              /* the caller's, both ways */
  Number memory[HOLDERS][TABLES][RESOURCES]; /* the tokens they remember */
  Denial denial[DENIALS];
  int denials;
  Number told[TABLES]; /* the greatest token in the history that was pruned */
} Run;

/* What came out, counted by all processes. */
enum {
  GRANTED,
  HELD,
  TIRED,
  WAITS,
  RENEWALS,
  LOST,
  RELEASES,
  GIVEN,
  SELECTED,
  WRITTEN,
  FENCED,
  STRAYED,
  CLASHED,
  REFUSED,
  ROLLED_BACK,
  TALLIES
};
extern Number *tally;

/* Chance, the same for the same seed. */
unsigned below(Run *run, unsigned n);
int chance(Run *run, unsigned percent);

/* The door or wall answers as the oracle does. */
void same_door(const Result *got, Answer want, const char *door);
void same_wall(const Result *got, Answer want, const char *wall);

/* One step: on leases (doors.c), on a guarded table (work.c). */
void step_lease(Run *run);
void step_work(Run *run);

extern const char *const resource_name[RESOURCES];
extern const char *const holder_name[HOLDERS];
const char *detail_name(int detail); /* NULL for 0 and KEPT */

/* Everything in the database is as in the world.  prune: then empty the
** history of both. */
void compare(Run *run, int prune);

/* What SELECT finds in lease table t at this time. */
void compare_select(Run *run, int t, Where where, Number now);

/* More of a WHERE clause, with ?1. */
const char *where_text(Where where, int by_rowid);

#endif
