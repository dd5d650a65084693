/*
** What every area of Holdfast shares on the SQLite side.
**
**   errors.c     one error object, one way to raise
**   connection.c state of one connection, shared by its functions and tables
**   eponymous.c  tables of eponymous modules; cursors
**   statement.c  prepared statements kept by a virtual table
**   kept.c       prepared statements kept by functions
**   encode.c     SQL values into the canonical encoding
**   names.c      'schema.name'
**   table.c      what an ordinary table is: columns, keys, unique indexes
**   clock.c      the time, through the connection's VFS
**   transaction.c  may a function write here, and how
**   install.c    areas, their SQL, the manifest of guards
**   check.c      holdfast_check, the doctor
**   version.c    holdfast_version, holdfast_debug
*/
#ifndef HF_SQLITE_HF_H
#define HF_SQLITE_HF_H

#include <sqlite3ext.h>
#include <stddef.h>
#include <stdint.h>

#include "core/digest.h"

#ifndef SQLITE_CORE
SQLITE_EXTENSION_INIT3
#endif

#define HOLDFAST_VERSION "0.1.0"
#define HOLDFAST_MIN_SQLITE 3038000

/* Flags a function is registered with.  It is pure; or looks up what a policy
** trigger may need, and gives away no content; or is given a key, and must not
** serve a hostile schema as an oracle; or reads the database; or changes it,
** which no view and no trigger of a file must do behind the back of whoever
** opens it. */
#define HF_PURE (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS)
#define HF_LOOKUP (SQLITE_UTF8 | SQLITE_INNOCUOUS)
#define HF_KEYED (SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY)
#define HF_READS SQLITE_UTF8
#define HF_CHANGES (SQLITE_UTF8 | SQLITE_DIRECTONLY)

/* ---- errors -------------------------------------------------------------- */

/* The first failure of an operation, with its words.  Zero it before use;
** hand it on with one of the two hf_error_to functions, or clear it. */
typedef struct HfError {
  int rc;        /* SQLITE_OK, or an (extended) result code */
  char *message; /* owned; NULL: the code says it all */
} HfError;

/* Record a failure unless one is recorded already; returns the code that is.
** The message is formatted as by sqlite3_mprintf. */
int hf_fail(HfError *err, int rc, const char *format, ...);

/* Record the connection's last error unchanged: BUSY stays BUSY. */
int hf_fail_db(HfError *err, sqlite3 *db);

/* Record what a function of ext/core returned. */
int hf_fail_core(HfError *err, int core_rc);

void hf_error_clear(HfError *err);

/* End a string under construction: its text, "" when empty, which
** sqlite3_free takes back; NULL with the failure recorded. */
char *hf_str_finish(sqlite3_str *str, HfError *err);

/* Hand the error to a virtual table or a function's result, and clear it. */
int hf_error_to_vtab(HfError *err, sqlite3_vtab *vtab);
void hf_error_to_result(HfError *err, sqlite3_context *context);

/* A function's result: the error if there is one, else the integer. */
void hf_result_integer(sqlite3_context *context, sqlite3_int64 value,
                       HfError *err);

/* The same for a text that sqlite3_free takes back, NULL being NULL. */
void hf_result_text(sqlite3_context *context, char *text, HfError *err);

/* A text formatted as by sqlite3_mprintf; NULL with SQLITE_NOMEM recorded. */
char *hf_format(HfError *err, const char *format, ...);

/* ---- connection ---------------------------------------------------------- */

struct HfLedger;
struct HfLease;
struct HfDenial;
struct HfKept;
struct HfFlags;

/* A write to a table of the lease module that it is making right now. */
typedef struct HfDeciding {
  sqlite3_int64 id;         /* of the lease table; 0 is the high-water mark */
  sqlite3_int64 token;      /* that the row will have, or loses */
  sqlite3_int64 time;       /* and its expiry, or the mark's time */
  int told;                 /* its trigger has asked: nobody may again */
  struct HfDeciding *outer; /* the one whose trigger caused this one */
} HfDeciding;

/* How the connection waits for locks (busy.c). */
typedef struct HfBusy {
  int fair;             /* our handler was installed */
  int timeout;          /* its, ms */
  int before;           /* the connection's timeout without it, ms */
  sqlite3_int64 waited; /* in the wait at hand, us */
  sqlite3_vfs *vfs;     /* which sleeps */
} HfBusy;

/* An append that the ledger module is making right now. */
typedef struct HfPending {
  sqlite3_int64 id;        /* of the ledger */
  sqlite3_int64 seq;       /* of the entry */
  int told;                /* its trigger has asked: nobody may again */
  struct HfPending *outer; /* the append whose trigger caused this one */
} HfPending;

/* One per connection, shared by reference count among everything that is
** registered on it. */
typedef struct HfConn {
  sqlite3 *db;
  int refs;
  HfSha256 *sha;            /* this connection's digest context */
  HfPending *pending;       /* innermost append in progress, or NULL */
  int depth;                /* length of that list */
  unsigned generation;      /* grows with each direct write to an entry table */
  struct HfLedger *ledgers; /* the connected ones, newest first */
  HfDeciding *deciding;     /* innermost lease decision, or NULL */
  struct HfLease *leases;   /* the connected ones, newest first */
  struct HfDenial *denials; /* of leases, that are in no history yet */
  void (*denials_free)(struct HfDenial *);
  const char *measuring; /* the release that is measured right now, or NULL */
  struct HfKept *kept;   /* statements of functions; NULL: none yet */
  struct HfFlags *flags; /* what flags read; NULL: none was read yet */
  void (*flags_free)(struct HfFlags *);
  char refused[32]; /* the reason that process_refuse was last given */
  HfBusy busy;
} HfConn;

/* A new connection object with one reference.  NULL: see *rc. */
HfConn *hf_conn_new(sqlite3 *db, int *rc);
HfConn *hf_conn_ref(HfConn *conn);
void hf_conn_unref(void *pointer);

/* One row of an area's registration table. */
typedef struct HfFunction {
  const char *name;
  int args; /* -1: any number */
  int flags;
  void (*func)(sqlite3_context *, int, sqlite3_value **);
} HfFunction;

/* Register functions, an aggregate or a module; each takes a reference on conn,
** which is the user data. */
int hf_register_functions(HfConn *conn, const HfFunction *functions, int n);

/* The aggregate is also a window function: `value` tells the result so far.
** Rows cannot be taken out of it again, so a window must begin at UNBOUNDED
** PRECEDING. */
int hf_register_aggregate(HfConn *conn, const char *name, int args,
                          void (*step)(sqlite3_context *, int,
                                       sqlite3_value **),
                          void (*value)(sqlite3_context *),
                          void (*final)(sqlite3_context *));

/* The same for one that can take rows out again, with `inverse`: any window. */
int hf_register_window(HfConn *conn, const char *name, int args,
                       void (*step)(sqlite3_context *, int, sqlite3_value **),
                       void (*inverse)(sqlite3_context *, int,
                                       sqlite3_value **),
                       void (*value)(sqlite3_context *),
                       void (*final)(sqlite3_context *));

int hf_register_module(HfConn *conn, const char *name,
                       const sqlite3_module *module);

/* A table of an eponymous module: a structure of `size` bytes that begins so,
** zeroed behind it.  direct_only: no view and no trigger may use it. */
typedef struct HfEponymous {
  sqlite3_vtab base; /* must be first */
  HfConn *conn;      /* counted reference */
} HfEponymous;

int hf_eponymous_connect(sqlite3 *db, void *aux, size_t size,
                         const char *columns, int direct_only,
                         sqlite3_vtab **out);
int hf_eponymous_disconnect(sqlite3_vtab *vtab);

/* A cursor of `size` bytes, zeroed; of any virtual table. */
int hf_cursor_open(size_t size, sqlite3_vtab_cursor **out);

/* ---- statements ---------------------------------------------------------- */

#define HF_STMTS 8

/* Idle statements of one virtual table, most recently used first.  A
** statement in use is not in here, so a trigger that re-enters the table gets
** another one. */
typedef struct HfStmts {
  sqlite3_stmt *idle[HF_STMTS];
  unsigned char local[HF_STMTS]; /* 1: must not outlive the transaction */
  int transaction;               /* the table takes part in one */
} HfStmts;

/* A statement on loan from an HfStmts. */
typedef struct HfStmt {
  sqlite3_stmt *p;
  unsigned char local; /* uses a virtual table through some trigger */
  unsigned char fresh; /* prepared just now, not taken from the idle ones */
} HfStmt;

/* Take the idle statement with this SQL text, or prepare it. */
int hf_stmt_take(HfStmts *stmts, sqlite3 *db, const char *sql, HfStmt *out,
                 HfError *err);

/* Give it back, reset and with its bindings cleared; out->p becomes NULL. */
void hf_stmt_give(HfStmts *stmts, HfStmt *stmt);

/* The table's part in a transaction begins; it ends, and with it those that
** must not outlive it; finalise all. */
void hf_stmts_begin_transaction(HfStmts *stmts);
void hf_stmts_end_transaction(HfStmts *stmts);
void hf_stmts_clear(HfStmts *stmts);

/* The same for functions: a statement of the connection, on loan, NULL with the
** failure recorded.  sql is a constant, by whose address it is known. */
sqlite3_stmt *hf_kept_take(HfConn *conn, const char *sql, HfError *err);
void hf_kept_give(HfConn *conn, const char *sql, sqlite3_stmt **stmt);

/* ---- arguments ----------------------------------------------------------- */

/* Is one of the values NULL?  Then so is the result of most functions. */
int hf_any_null(int n, sqlite3_value **value);

/* Is it an INTEGER, or a REAL that is a whole number of at most 53 bits?  Some
** bindings, such as those of JavaScript, bind every number as REAL. */
int hf_value_whole(sqlite3_value *value, sqlite3_int64 *out);

/* The TEXT of an argument; NULL with a failure of these words recorded. */
const char *hf_argument_text(sqlite3_value *value, const char *words,
                             HfError *err);

/* The UTF-8 of a TEXT, which need not end with a zero; NULL without memory. */
const char *hf_value_text(sqlite3_value *value, size_t *size);

/* ---- JSON ---------------------------------------------------------------- */

/* Append a text as a JSON string, quotes included. */
void hf_json_text(sqlite3_str *json, const char *text);
void hf_json_bytes(sqlite3_str *json, const char *text, size_t size);

/* Append the values of a row's canonical encoding as a JSON array, or one of
** them, counted from 0.  Returns 0 for bytes that are no encoding, or a column
** that is not there.  A REAL has a point or an exponent; a BLOB is
** {"blob":hex}, TEXT that is not UTF-8 {"text":hex}. */
int hf_json_row(sqlite3_str *json, const unsigned char *data, size_t size);
int hf_json_column(sqlite3_str *json, const unsigned char *data, size_t size,
                   sqlite3_int64 column);

/* ---- running SQL --------------------------------------------------------- */

/* Prepare one statement, its text formatted as by sqlite3_mprintf. */
int hf_prepare(sqlite3 *db, sqlite3_stmt **out, HfError *err,
               const char *format, ...);

/* Run statements that return nothing of interest. */
int hf_exec(sqlite3 *db, HfError *err, const char *format, ...);

/* Step a statement that yields no row; SQLITE_OK, or the error recorded. */
int hf_step_done(sqlite3 *db, sqlite3_stmt *stmt, HfError *err);

/* First column of the first row as an integer; `none` when there is no row. */
int hf_query_int(sqlite3 *db, HfError *err, sqlite3_int64 none,
                 sqlite3_int64 *out, const char *format, ...);

/* A copy of a column that is not NULL as text, which sqlite3_free takes back;
** NULL with SQLITE_NOMEM recorded.  _or_null: NULL for a NULL, too. */
char *hf_column_text(sqlite3_stmt *stmt, int column, HfError *err);
char *hf_column_text_or_null(sqlite3_stmt *stmt, int column, HfError *err);

/* First column of the first row as text, which sqlite3_free takes back; NULL
** when there is no row or the value is NULL. */
int hf_query_text(sqlite3 *db, HfError *err, char **out, const char *format,
                  ...);

/* ---- canonical encoding -------------------------------------------------- */

/* Where encoded bytes go: into a digest, or into memory as long as they fit;
** all are counted. */
typedef struct HfSink {
  HfSha256 *sha;        /* begun, or NULL */
  unsigned char *block; /* or NULL */
  sqlite3_int64 size;   /* bytes so far */
  sqlite3_int64 room;   /* of the block */
} HfSink;

void hf_sink_put(HfSink *sink, const void *data, size_t size);

/* One item: the mark of a row of n values, and each kind of value.  A number
** is encoded as REAL when as_real.  SQLITE_OK or SQLITE_NOMEM. */
void hf_sink_row(HfSink *sink, int n);
void hf_sink_integer(HfSink *sink, sqlite3_int64 value);
void hf_sink_text(HfSink *sink, const char *text, size_t size);
void hf_sink_blob(HfSink *sink, const void *data, size_t size);
int hf_sink_value(HfSink *sink, sqlite3_value *value, int as_real);

/* ---- names --------------------------------------------------------------- */

typedef struct HfName {
  char *schema; /* "main", "temp" or an attached database */
  char *name;
} HfName;

/* Split 'name' or 'schema.name'.  A name without a schema is in main.  The
** part before the first dot is a schema only if a database of that name is
** there, so that tables whose own name has a dot can be reached. */
int hf_name_split(sqlite3 *db, const char *text, HfName *out, HfError *err);
void hf_name_clear(HfName *name);

/* ---- ordinary tables ----------------------------------------------------- */

/* An ordinary table as it is now. */
typedef struct HfTable {
  char *schema;
  char *name;  /* as it is spelled in the schema */
  char *sql;   /* CREATE TABLE ... */
  int columns; /* that are stored and not generated */
  char *named; /* JSON array of their names */
  char *keys;  /* JSON array: where the primary key's columns are among them,
               ** from 0; empty when there is no primary key */
  char **id;   /* the columns that find a row, quoted: rowid, or the key */
  int ids;
  char **clash; /* SQL for each unique index: t."a" = NEW."a" AND ...; to be
                ** used one by one, for some releases scan the table for one
                ** condition with OR, when an index is partial */
  int clashes;
  int rowid;        /* the first of them is by rowid */
  char *expression; /* a unique index on an expression, or NULL */
} HfTable;

/* Is there a table of this name, of any kind?  0 when that cannot be told. */
int hf_has_table(HfConn *conn, const char *schema, const char *name,
                 HfError *err);

/* In SQL, the names of what the ledger and lease modules make for a virtual
** table v. */
#define HF_SQL_PARTS \
  "v.name || '_entry', v.name || '_config', v.name || '_checkpoint'," \
  " v.name || '_held', v.name || '_event'"

/* Describe the table that `text` names; its errors name `function`. */
int hf_table_read(HfConn *conn, const char *function, const char *text,
                  HfTable *table, HfError *err);
void hf_table_clear(HfTable *table);

/* The first so many of its columns, each behind the prefix: NEW."a", NEW."b".
** sqlite3_free takes it back. */
char *hf_table_list(HfConn *conn, const HfTable *table, int columns,
                    const char *prefix, HfError *err);

/* Behind the string, quoted name, comment or else the character at z. */
const char *hf_sql_skip(const char *z);
int hf_sql_is_word(char c);

/* Is that CREATE VIRTUAL TABLE ... USING this module?  However it is spaced,
** quoted and commented. */
int hf_sql_uses(const char *sql, const char *module);

/* ---- clock --------------------------------------------------------------- */

/* The VFS of a database, which never changes while it is attached. */
sqlite3_vfs *hf_clock_vfs(sqlite3 *db, const char *schema);

/* Milliseconds since the Unix epoch by that VFS. */
int hf_clock_now(sqlite3_vfs *vfs, sqlite3_int64 *now_ms, HfError *err);

/* ---- transactions -------------------------------------------------------- */

/* How a function's own statements were made atomic. */
typedef enum HfTxn { HF_TXN_NONE, HF_TXN_OWN, HF_TXN_SAVEPOINT } HfTxn;

/* Begin, to write to `schema`: BEGIN IMMEDIATE when no transaction is open, a
** savepoint inside one.  Called from within a writing statement (INSERT…SELECT
** f(), a trigger, RETURNING) neither is possible: SQLITE_ERROR, in words that
** name `what`. */
int hf_txn_begin(sqlite3 *db, const char *schema, const char *what, HfTxn *txn,
                 HfError *err);

/* The same with statements that are kept: by a virtual table, which finalises
** them when it is disconnected.  kept may be NULL. */
typedef struct HfTxnStmts {
  sqlite3_stmt *begin;
  sqlite3_stmt *commit;
  sqlite3_stmt *savepoint;
  sqlite3_stmt *release;
} HfTxnStmts;
int hf_txn_begin_kept(sqlite3 *db, HfTxnStmts *kept, const char *schema,
                      const char *what, HfTxn *txn, HfError *err);
int hf_txn_end_kept(sqlite3 *db, HfTxnStmts *kept, HfTxn txn, HfError *err);
void hf_txn_stmts_clear(HfTxnStmts *kept);

/* The same on main, for a door that is called often: with statements that are
** kept for functions. */
int hf_kept_begin(HfConn *conn, const char *what, HfTxn *txn, HfError *err);
int hf_kept_end(HfConn *conn, HfTxn txn, HfError *err);

/* End what hf_txn_begin began: commit when err holds nothing, else undo.
** Returns err->rc. */
int hf_txn_end(sqlite3 *db, HfTxn txn, HfError *err);

/* ---- areas and guards ---------------------------------------------------- */

/* One file of sql/, embedded by the build; a row of NULLs ends the table. */
typedef struct HfEmbeddedSql {
  const char *area;
  const char *text;
  size_t size;
} HfEmbeddedSql;
extern const HfEmbeddedSql hf_embedded_sql[];

/* Run the SQL of an area in a schema, which changes nothing where that was done
** before. */
int hf_install_into(HfConn *conn, const char *schema, const char *area,
                    HfError *err);

/* Make a guard and enter it in the manifest; `sql` is CREATE TRIGGER from the
** name on.  Drop one, if it is there, and forget it; counts it in *count, which
** may be NULL. */
int hf_guard_create(HfConn *conn, const char *schema, const char *name,
                    const char *table, const char *area, const char *sql,
                    HfError *err);
int hf_guard_drop(HfConn *conn, const char *schema, const char *name,
                  sqlite3_int64 *count, HfError *err);

/* A trigger against the text that it should have, from its name on, NULL when
** it should not be there: 1 is right, 0 is missing, -1 is another. */
int hf_guard_compare(HfConn *conn, const char *schema, const char *name,
                     const char *wanted, HfError *err);

/* Enter the trigger `name` of `schema` in the manifest there, which is made
** when missing; forget one guard, or with NULL for a name all of a table. */
int hf_guard_record(HfConn *conn, const char *schema, const char *name,
                    const char *table, const char *area, HfError *err);
int hf_guard_forget(HfConn *conn, const char *schema, const char *table,
                    const char *name, HfError *err);

/* ---- findings ------------------------------------------------------------ */

/* One row of the doctor. */
typedef struct HfFinding {
  const char *finding; /* static */
  char *object;        /* sqlite3_free */
  char *detail;        /* sqlite3_free */
  int database;        /* its number in database_list */
} HfFinding;

typedef struct HfFindings {
  HfFinding *row;
  int count;
  int room;
  int database;       /* that is visited; 0 is main */
  const char *schema; /* its name; NULL for main */
} HfFindings;

/* Add a finding; the detail is formatted, and says in which attached database
** it is.  SQLITE_OK or SQLITE_NOMEM. */
int hf_findings_add(HfFindings *list, const char *finding, const char *object,
                    const char *format, ...);
void hf_findings_clear(HfFindings *list);

/* Each area's part of the doctor's visit. */
typedef int (*HfDoctor)(HfConn *conn, HfFindings *list, HfError *err);

/* Visit each database; each virtual table of a module in one. */
typedef int HfCheckSchema(HfConn *conn, const char *schema, HfFindings *list,
                          HfError *err);
int hf_check_schemas(HfConn *conn, HfCheckSchema *check, HfFindings *list,
                     HfError *err);
typedef int HfCheckVirtual(HfConn *conn, const char *schema, const char *name,
                           HfFindings *list, HfError *err);
int hf_check_virtual(HfConn *conn, const char *schema, const char *module,
                     HfCheckVirtual *check, HfFindings *list, HfError *err);

/* ---- registration: one function an area ---------------------------------- */

int hf_version_register(HfConn *conn);
int hf_busy_register(HfConn *conn);
int hf_kept_register(HfConn *conn);
int hf_install_register(HfConn *conn);
int hf_check_register(HfConn *conn);
int hf_attest_register(HfConn *conn);
int hf_ledger_register(HfConn *conn);
int hf_lease_register(HfConn *conn);
int hf_control_register(HfConn *conn);
int hf_confidence_register(HfConn *conn);
int hf_retention_register(HfConn *conn);
int hf_process_register(HfConn *conn);

int hf_install_doctor(HfConn *conn, HfFindings *list, HfError *err);
int hf_ledger_doctor(HfConn *conn, HfFindings *list, HfError *err);
int hf_lease_doctor(HfConn *conn, HfFindings *list, HfError *err);
int hf_control_doctor(HfConn *conn, HfFindings *list, HfError *err);
int hf_retention_doctor(HfConn *conn, HfFindings *list, HfError *err);

/* What is behind the table killswitch_drill. */
int hf_control_drill(HfConn *conn, HfFindings *list, HfError *err);
int hf_process_doctor(HfConn *conn, HfFindings *list, HfError *err);

#endif
