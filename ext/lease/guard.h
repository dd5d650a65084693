/*
** lease_guard(table, lease_table, resource, token): fencing of ordinary tables.
**
**   guard_sql.c      the triggers, as SQL text
**   lease_guard.c    lease_guard, lease_unguard; the doctor; renaming
*/
#ifndef HF_LEASE_GUARD_H
#define HF_LEASE_GUARD_H

#include "lease/lease.h"

/* The triggers.  The last two judge the row as it was stored, where that can
** differ from what a BEFORE trigger sees. */
enum {
  GUARD_INSERT,
  GUARD_UPDATE,
  GUARD_DELETE,
  GUARD_INSERTED,
  GUARD_UPDATED,
  GUARD_TRIGGERS
};

extern const char *const guard_suffix[GUARD_TRIGGERS];

/* One guard, and what its triggers are made of. */
typedef struct Guard {
  HfConn *conn;
  HfTable table;
  const char *lease;    /* the name of the lease table */
  sqlite3_int64 mark;   /* the row of lease_high_water that has its time */
  int clock_caller;     /* and whether that is all the time it knows */
  const char *resource; /* as given */
  const char *token;
  char *name; /* with which the triggers' names begin */
} Guard;

/* CREATE TRIGGER statements from the name on, for sqlite3_free; NULL for one
** that is not needed. */
int guard_sql(const Guard *guard, char *sql[GUARD_TRIGGERS], HfError *err);
void guard_sql_clear(char *sql[GUARD_TRIGGERS]);

#endif
