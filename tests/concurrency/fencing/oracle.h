/*
** The rules of leases as README says them, in plain C without SQLite: a second
** implementation, with which model.c compares the first.
**
** Names are small numbers here.  The world is one flat struct, so that a
** savepoint is a copy of it.
*/
#ifndef FENCING_ORACLE_H
#define FENCING_ORACLE_H

typedef long long Number;

enum { TABLES = 3, RESOURCES = 4, HOLDERS = 4, EVENTS = 512, IDS = 8 };

/* A detail from here on is a holder's name. */
enum { WHO = 100 };

enum { NO_TOKEN = -1, NO_TTL = -1, NO_NOW = -2 }; /* NULL */

/* A detail that stays as it is. */
enum { KEPT = -1 };

typedef enum Kind {
  ACQUIRED,
  RENEWED,
  RELEASED,
  EXPIRED,
  CONTENDED,
  STOLEN,
  TRANSFERRED
} Kind;

/* A resource's lease: the one that is held, or was until it expired. */
typedef struct Held {
  int there;
  int holder;
  int detail; /* 0 is NULL */
  Number token;
  Number acquired;
  Number expires;
  Number renewals;
  Number ttl;
} Held;

typedef struct Event {
  Number at;
  Kind kind;
  int resource;
  int holder;
  int detail;
  Number token;
  Number held_ms; /* -1 is NULL */
} Event;

/* A row of a guarded table. */
typedef struct Work {
  int there;
  int task; /* a resource */
  Number token;
  Number u; /* unique; 0 is NULL */
  Number n;
} Work;

typedef struct Table {
  Number now; /* the high-water mark of its callers' time */
  Held held[RESOURCES];
  Event event[EVENTS];
  int events;
  Work work[IDS + 1]; /* [0] is not used */
} Table;

typedef struct World {
  Number token; /* the high-water mark */
  Table table[TABLES];
} World;

/* What does not change within a run. */
typedef struct Rules {
  Number ttl;
  Number max_ttl;
  Number max_renewals;
  Number lock_delay;
  int recursive; /* displaced rows fire DELETE triggers */
  int late;      /* a token is judged when the row is stored */
} Rules;

typedef enum Outcome {
  FINE,      /* value: a token, a time, a number of rows */
  NOTHING,   /* NULL, or no row */
  BAD,       /* bad arguments */
  IS_HELD,   /* value: how long for, token: of whom */
  EXHAUSTED, /* likewise */
  DELAYED,
  UNGUARDED, /* the guard refuses: the token */
  STRAY,     /* the guard refuses: a row of another resource */
  CLASH      /* a unique constraint does */
} Outcome;

typedef struct Answer {
  Outcome outcome;
  Number value;
  Number token;
} Answer;

/* Which leases a statement means: -1 is any. */
typedef struct Where {
  int resource;
  int holder;
  Number token;
} Where;

typedef enum Conflict { ABORTS, IGNORES, REPLACES, UPSERTS } Conflict;

/* now is what was given; oracle_time() says at which time that is decided. */
Number oracle_time(const World *world, int t, Number now);
int oracle_lives(const World *world, int t, int resource, Number token,
                 Number now);
int oracle_selects(const World *world, int t, Where where, int resource,
                   Number now);

/* A refusal leaves the time, too: a wall's does when its transaction stays. */
Answer oracle_acquire(World *world, const Rules *rules, int t, int resource,
                      int holder, Number ttl, int detail, Number now, int wall);
Answer oracle_renew(World *world, const Rules *rules, int t, int resource,
                    Number token, Number ttl, Number now);
Answer oracle_release(World *world, int t, int resource, Number token,
                      Number now);
Answer oracle_release_all(World *world, int t, int holder, Number now);
Answer oracle_give(World *world, int t, int resource, Number token, int holder,
                   Kind kind, int why, Number now);

/* The walls: UPDATE and DELETE of what a WHERE clause finds. */
Answer oracle_update(World *world, const Rules *rules, int t, Where where,
                     Number ttl, int detail, Number now);
Answer oracle_delete(World *world, int t, Where where, Number now);

/* Writes of the guarded table of a lease table. */
int oracle_may_write(const World *world, int t, int task, Number token);
Answer oracle_work_insert(World *world, const Rules *rules, int t, int id,
                          const Work *row, Conflict conflict,
                          const Work *upsert);
Answer oracle_work_change(World *world, const Rules *rules, int t, int id,
                          int new_id, const Work *row, Conflict conflict);
/* All rows of a task (-1: any): a new token unless that is -2, and n + 1. */
Answer oracle_work_update(World *world, int t, int task, Number token);
Answer oracle_work_delete(World *world, int t, int id, int task);

#endif
