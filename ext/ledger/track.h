/*
** Tables under a ledger: ledger_track, ledger_untrack, ledger_reconcile.
**
**   track_objects.c    SQL text of the triggers that record its changes
**   track_state.c      what the ledgers say about it
**   track_functions.c  ledger_track and ledger_untrack
**   track_reconcile.c  ledger_reconcile: the table against what was recorded
**
** A change is recorded by its images: `old`, what a row was, and `content`,
** what it became, each a canonical encoding of the row.  An INSERT has only the
** second, a DELETE only the first.  So the rows that must be there now are all
** that came minus all that went, in whatever order triggers fired.
*/
#ifndef HF_LEDGER_TRACK_H
#define HF_LEDGER_TRACK_H

#include "ledger/ledger.h"

/* The columns of a ledger that records tables. */
#define TRACK_SCHEMA "table_name TEXT,op TEXT,old BLOB,content ANY"

/* attest_canonical() takes 127 arguments at most by SQLite's default. */
#define TRACK_MAX_COLUMNS 120

/* The time with which the triggers send a row that may be displaced. */
#define TRACK_DISPLACED (-1)

/* Is what is being inserted, column[i] for column i of the ledger, such a row?
** Then *record says whether it will be deleted unseen, and its time is taken
** away. */
int track_displaced(HfLedger *ledger, sqlite3_value **column, int *record,
                    HfError *err);

/* ---- triggers (track_objects.c) ------------------------------------------ */

#define TRACK_OBJECTS 5

/* A trigger.  `label` is the table's name in the ledger, and the beginning of
** theirs. */
typedef struct TrackObject {
  char *name;
  char *sql; /* what sqlite_schema holds of it, from the name on */
} TrackObject;

int track_objects_make(HfConn *conn, const HfTable *table, int columns,
                       const char *label, const char *ledger,
                       TrackObject out[TRACK_OBJECTS], HfError *err);
void track_objects_clear(TrackObject objects[TRACK_OBJECTS]);

int track_objects_create(HfConn *conn, const HfTable *table,
                         const TrackObject objects[TRACK_OBJECTS],
                         HfError *err);

/* Drop those of this label, as far as they are there. */
int track_objects_drop(HfConn *conn, const char *schema, const char *label,
                       HfError *err);

/* ---- what the ledgers say (track_state.c) -------------------------------- */

/* Where a table's changes are recorded. */
typedef struct TrackState {
  char *ledger;       /* its name, in the table's schema; NULL: nowhere */
  char *label;        /* the table's name there */
  sqlite3_int64 from; /* the entry that began it */
  int columns;        /* that it had then */
  char *named;        /* JSON array of their names */
  char *sql;
} TrackState;

/* The table on which the triggers of a label are; NULL for none. */
char *track_label_table(HfConn *conn, const char *schema, const char *label,
                        HfError *err);

/* Look for the table in every ledger of its schema: by its name, or by the name
** that its triggers record it under. */
int track_state_read(HfConn *conn, const char *schema, const char *name,
                     TrackState *state, HfError *err);
void track_state_clear(TrackState *state);

/* A statement of what differs: d, how often a row was recorded less how often
** it is there, and image, its encoding.  sqlite3_free takes it back. */
char *track_difference(HfConn *conn, const HfTable *table,
                       const TrackState *state, HfError *err);

/* Compare the triggers with what ledger_track makes (track_objects.c). */
typedef int TrackTell(void *context, const char *finding, const char *object,
                      const char *words, HfError *err);
int track_guards(HfConn *conn, const HfTable *table, const TrackState *state,
                 TrackTell *tell, void *context, HfError *err);

int ledger_track_register(HfConn *conn);
int ledger_reconcile_register(HfConn *conn);

#endif
