/*
** Retention: what goes from each table, and letting it go.
**
**   retention_options.c  options as JSON
**   retention_text.c     times and foreign expressions as SQL text
**   retention_schema.c   the tables of the database
**   retention_model.c    the policies, the tables, their foreign keys
**   retention_where.c    the conditions under which a row goes
**   retention_guard.c    what keeps a table from being cleaned at all
**   retention_plan.c     retention_plan, the table
**   retention_apply.c    retention_apply
**   retention_batch.c    batches of one table
**   retention_lock.c     retention_lock
**   retention_doctor.c   the doctor's part
**
** Plan and apply read one model: retention_model_load makes it, in the order in
** which tables are cleaned, and each condition is written once, as SQL text.
** The plan's knows of child rows that will be gone by then; apply's looks at
** those that are there, which by then is the same.
*/
#ifndef HF_RETENTION_RETENTION_H
#define HF_RETENTION_RETENTION_H

#include "sqlite/hf.h"

#define RETENTION_DAY ((sqlite3_int64)86400000)

/* No time is further from 1970 than ten thousand years. */
#define RETENTION_MOST ((sqlite3_int64)320000000000000)

/* ---- options ------------------------------------------------------------- */

typedef struct RetOptions {
  int force;                /* past clocks and parents that look wrong */
  int strict;               /* a failure of one table fails the run */
  int vacuum;               /* afterwards */
  double max_fraction;      /* of a table, that referential clean-up takes */
  sqlite3_int64 batch_rows; /* at most, in a transaction */
  sqlite3_int64 batch_ms;   /* aimed at, for a transaction */
  sqlite3_int64 max_rows;   /* of the run; -1: no limit */
  sqlite3_int64 max_ms;     /* of the run; -1: no limit */
  sqlite3_int64 future_ms;  /* the clock may be after all; -1: the default */
  sqlite3_int64 past_ms;    /* the newest row may be after the clock */
} RetOptions;

/* From JSON text, NULL for the defaults. */
int retention_options(sqlite3 *db, const char *function, const char *json,
                      RetOptions *options, HfError *err);

/* ---- schema -------------------------------------------------------------- */

/* A table or view.  The last three are known by retention_schema_detail. */
typedef struct RetName {
  char *name;
  int view, virtual;
  int hidden;  /* a column of it may hide the rowid, or it has none */
  int tracked; /* a trigger writes it to a ledger */
  int without_rowid;
  int shadow; /* of a virtual table */
  int part;   /* of a ledger or lease table */
} RetName;

typedef struct RetSchema {
  RetName *name; /* sorted, whatever the case */
  int names;
  int virtuals;   /* of them */
  int references; /* some table may have a foreign key */
  int detailed;
} RetSchema;

int retention_schema_read(HfConn *conn, RetSchema *schema, HfError *err);
void retention_schema_clear(RetSchema *schema);

/* NULL: there is none of that name, or the name is NULL. */
const RetName *retention_schema_find(const RetSchema *schema, const char *name);

/* See to it that all is known of that one. */
int retention_schema_detail(HfConn *conn, RetSchema *schema,
                            const RetName *name, HfError *err);

/* Why no row goes from it, as far as the schema says; NULL: nothing is wrong.
** Tables behind a virtual table, under a ledger, or of SQLite and Holdfast have
** their own ways to lose rows, or none. */
const char *retention_schema_words(const RetName *name);

/* ---- model --------------------------------------------------------------- */

typedef enum RetUnit { RET_S, RET_MS, RET_ISO, RET_JULIAN } RetUnit;

/* Other rows that refer to rows of a table. */
typedef struct RetForeign {
  char *child;
  int at;      /* of the child among the tables with a policy, or -1 */
  char *match; /* "parent"."a" = "child"."b" AND ... */
  char *to;    /* "a", ... */
  char *from;  /* "b", ... */
  int columns; /* of each */
} RetForeign;

/* A table with a policy. */
typedef struct RetTable {
  char *name; /* as the schema, or else the policy, spells it */
  char *tier;
  char *time; /* column, quoted; NULL: none */
  RetUnit unit;
  sqlite3_int64 keep;                    /* ms, -1: no limit by time */
  char *parent, *parent_key, *child_key; /* the keys quoted, NULL: none */
  int parent_at;                         /* with a policy, or -1 */
  char *keep_filter;
  char *ids;           /* columns that find a row, quoted: rowid, or the key */
  int id_count;        /* of them */
  char *key;           /* the primary key's, for holds; with none, rowid */
  int key_count;       /* of them */
  int indexed;         /* retention_model_index: its time is the first of one */
  sqlite3_int64 floor; /* ms, -1: none */
  char *floor_time;
  RetUnit floor_unit;
  sqlite3_int64 latest; /* rows kept a key; 0: no such rule */
  char *latest_key;     /* "a", "b", or empty */
  int thin;             /* it has steps of thinning */
  char *target;         /* of the roll-up */
  int holds;            /* there are some */
  int there;            /* it is a table, whose rows can be counted */
  sqlite3_int64 idle;   /* its rows, when none goes by its age alone, or -1 */

  RetForeign *foreign;
  int foreigns;

  char *blocked; /* why no row goes, or no orphan; NULL: nothing is wrong */
  int barred;    /* no row goes */

  char *timed;   /* conditions: a row goes for its age */
  char *orphan;  /* its parent is gone; NULL: none */
  char *spared;  /* AND ...: the filter, the floor */
  char *past;    /* timed or orphan, and not spared */
  char *held;    /* or NULL */
  char *protect; /* a foreign key protects it; or NULL */
  char *doomed;  /* it goes */
  int self;      /* it refers to itself */
  int state;     /* of the walk that orders them */
} RetTable;

typedef struct RetModel {
  HfConn *conn;
  sqlite3_int64 now;
  sqlite3_int64 clock; /* by which floors are measured, never after now */
  RetOptions options;
  int apply; /* rows of other tables are gone by now, not by the plan */
  RetSchema schema;
  RetTable *table;
  int tables;
  int *order; /* in which they are cleaned */
  int ordered;
  char *signature;   /* of all policies, holds and floors */
  char *clock_words; /* why the clock is refused; NULL: it is right */
} RetModel;

/* Read the policies and all that they concern; conditions come later. */
int retention_model_load(HfConn *conn, sqlite3_int64 now,
                         const RetOptions *options, RetModel *model,
                         HfError *err);
void retention_model_clear(RetModel *model);

/* Set `indexed` of a table that is not barred.  It takes long enough not to be
** asked of tables from which nothing goes. */
int retention_model_index(HfConn *conn, RetTable *table, HfError *err);

/* All that is written about retention, to see whether it changed. */
char *retention_signature(HfConn *conn, HfError *err);

/* ---- conditions ---------------------------------------------------------- */

/* Append: the value, an SQL text, in this unit, is a time before `ms`. */
void retention_text_before(sqlite3_str *sql, const char *value, RetUnit unit,
                           sqlite3_int64 ms);

/* Append the part of that which an index serves, and without which no value is
** before `ms`. */
void retention_text_bound(sqlite3_str *sql, const char *value, RetUnit unit,
                          sqlite3_int64 ms);

/* Append: the value as milliseconds since 1970. */
void retention_text_ms(sqlite3_str *sql, const char *value, RetUnit unit);

/* From 's', 'ms', 'iso8601', 'julian'; milliseconds for others. */
RetUnit retention_unit(const char *name);

/* May this expression, which somebody wrote in a table, be run? */
int retention_expression(HfConn *conn, const RetTable *table, const char *what,
                         const char *text, size_t size, HfError *err);

/* Write the conditions of the next table in the order; all before it have
** theirs. */
int retention_where(RetModel *model, RetTable *table, HfError *err);

/* What must stand in front of a statement with conditions of the plan: the rows
** of other tables that go.  sqlite3_free takes it back. */
char *retention_with(const RetModel *model, const RetTable *table,
                     HfError *err);

/* Anew, without orphans. */
int retention_where_no_orphans(RetModel *model, RetTable *table, HfError *err);

/* Nothing goes from a table, and why; the words are owned from now on. */
void retention_bar(RetTable *table, char *words);

/* ---- guards -------------------------------------------------------------- */

/* Is the clock one that the data can have?  Are the tables' units?  Sets
** clock_words, bars tables, and for apply says which are idle. */
int retention_guard_clock(RetModel *model, HfError *err);

/* Is referential clean-up of the table plausible? */
int retention_guard_parent(RetModel *model, RetTable *table, HfError *err);

/* What is past, by what becomes of it. */
typedef struct RetCounts {
  sqlite3_int64 rows, oldest, newest, bytes; /* that go */
  int dated;                                 /* oldest and newest are known */
  sqlite3_int64 held, skipped;
} RetCounts;
int retention_count(RetModel *model, const RetTable *table, RetCounts *counts,
                    HfError *err);

/* The arguments of both; NULL for one that is not given. */
int retention_now(sqlite3 *db, const char *function, sqlite3_value *value,
                  sqlite3_int64 *now, HfError *err);
int retention_settings(sqlite3 *db, const char *function, sqlite3_value *value,
                       RetOptions *options, HfError *err);

/* ---- apply --------------------------------------------------------------- */

/* What became of a table. */
typedef struct RetDone {
  sqlite3_int64 deleted, kept, held, skipped, ms;
  char *blocked;
  int complete;
  int idle; /* there was nothing to do, and the log says so already */
} RetDone;

typedef struct RetRun {
  RetModel model;
  sqlite3_int64 run;
  sqlite3_int64 started; /* ms, of the steady clock */
  sqlite3_int64 held;    /* us that it had the lock since others could write */
  int contended;         /* others have written between its batches */
  sqlite3_int64 deleted;
  int complete;
  RetDone *done; /* one a table, in the order */
} RetRun;

/* Milliseconds of a clock for spans, and microseconds. */
sqlite3_int64 retention_ticks(void);
sqlite3_int64 retention_micros(void);

/* Is the run's budget used up? */
int retention_spent(const RetRun *run);

/* Between two batches: let others write, when it is time to. */
int retention_rest(RetRun *run, HfError *err);

/* Let go what goes of the i-th table in the order. */
int retention_batches(RetRun *run, int i, HfError *err);

/* ---- registration -------------------------------------------------------- */

int retention_plan_register(HfConn *conn);
int retention_apply_register(HfConn *conn);
int retention_lock_register(HfConn *conn);

#endif
