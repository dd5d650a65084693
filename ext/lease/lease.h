/*
** Leases: who may act on a resource, until when, with a fencing token.
**
**   lease_schema.c     the options of CREATE VIRTUAL TABLE ... USING lease
**   lease_objects.c    the tables and triggers behind a lease table
**   lease_read.c       its statements; the high-water mark and the rows
**   lease_known.c      what the connection remembers of them, as a guess
**   lease_check.c      the time of a decision; checks of what is asked for
**   lease_time.c       that of an UPDATE or DELETE: when it found the row
**   lease_decide.c     the decisions: acquire, renew, release, steal, transfer
**   lease_denial.c     denials of the walls, which outlive their error
**   lease_table.c      the virtual table: SELECT and DML, the walls
**   lease_pin.c        finding one by name
**   lease_doctor.c     the leases' part of holdfast_check; registration
**   lease_functions.c  the doors: lease_acquire, lease_renew, ...
**   lease_guard.c      lease_guard, lease_unguard: fencing of ordinary tables
**
** A lease is held while now < expires_at; that one comparison is made
** everywhere.  Each decision is made under the write lock, from the row as it
** is then and a time that never goes backwards within the database.  A row and
** a mark that are remembered stand for those that would be read; the statement
** that writes then compares them all, and where it changes nothing they are
** read after all.
*/
#ifndef HF_LEASE_LEASE_H
#define HF_LEASE_LEASE_H

#include "sqlite/hf.h"

#define LEASE_NAME_MAX 1024 /* bytes of a resource or holder */
#define LEASE_DETAIL_MAX 65536
#define LEASE_TIME_MAX ((sqlite3_int64)1 << 52) /* ms; a double holds it */
#define LEASE_TTL_MAX ((sqlite3_int64)1 << 40)  /* ms, about 35 years */

/* ---- options (lease_schema.c) -------------------------------------------- */

typedef struct LeaseOptions {
  sqlite3_int64 ttl_ms;
  sqlite3_int64 max_ttl_ms;
  sqlite3_int64 max_renewals; /* 0: no limit */
  sqlite3_int64 lock_delay_ms;
  int clock_caller;
} LeaseOptions;

int lease_options_parse(LeaseOptions *options, const char *name, int argc,
                        const char *const *argv, HfError *err);

/* ---- one connected lease table ------------------------------------------- */

/* Its statements (lease_read.c). */
typedef enum LeaseSql {
  LEASE_SQL_RESOURCE, /* the row of resource ?1 */
  LEASE_SQL_TOKENS,   /* all of them, and their resources */
  LEASE_SQL_INSERT,
  LEASE_SQL_GRANT, /* another holder's, or a new term */
  LEASE_SQL_RENEW,
  LEASE_SQL_DELETE,
  LEASE_SQL_EVENT,
  LEASE_SQL_MARK, /* the high-water mark */
  LEASE_SQL_RAISE,
  LEASE_SQL_RAISE_FREE, /* if it is as remembered; the resource has no row */
  LEASE_SQL_LIVE,       /* the rows that are live at ?1; + 1 of resource ?2,
                  ** + 2 of token ?3, + 3 of both */
  LEASE_SQLS = LEASE_SQL_LIVE + 4
} LeaseSql;

/* One lease, as its row has it.  The texts belong to it. */
typedef struct Lease {
  int there;
  int guessed; /* it is remembered, and not read */
  sqlite3_int64 token;
  char *resource;
  char *holder;
  sqlite3_int64 acquired_at;
  sqlite3_int64 expires_at;
  sqlite3_int64 renewals;
} Lease;

/* Leases by token, ascending. */
typedef struct LeaseList {
  sqlite3_int64 *token;
  char **resource;
  size_t count;
  size_t room;
} LeaseList;

/* When rows were found, by token (lease_time.c). */
typedef struct LeaseFound {
  sqlite3_int64 token; /* 0: an empty place */
  sqlite3_int64 now;
  sqlite3_int64 other; /* when it was found last */
  int given;           /* one of these times was not the clock's */
} LeaseFound;

typedef struct LeaseTimes {
  LeaseFound *place;
  size_t room;
  size_t count;
  int cursors; /* that are open */
} LeaseTimes;

#define LEASE_KNOWN 256

typedef struct HfLease {
  sqlite3_vtab base; /* must be first */
  sqlite3 *db;
  HfConn *conn; /* counted reference */
  char *schema;
  char *name;
  LeaseOptions options;
  sqlite3_int64 id; /* by which its triggers know it */
  sqlite3_vfs *vfs; /* the clock */
  char *sql[LEASE_SQLS];
  sqlite3_stmt *idle[LEASE_SQLS]; /* one of each that is not in use */
  HfStmts stmts;                  /* those that must not be kept so */
  HfTxnStmts txn;

  /* Found by its name, and the schema has not changed since then. */
  int known;
  int pins; /* uses by doors, which outlive a disconnection */
  int gone; /* disconnected; the last pin frees it */

  /* The high-water mark, as long as nothing can have raised it since it was
  ** read; later still a guess. */
  int mark_known;
  sqlite3_int64 mark_token;
  sqlite3_int64 mark_now;
  sqlite3_int64 mark_first; /* the time in row 1, for clock='caller' */

  /* What this connection last saw of leases, at its token modulo the size; and
  ** of the database: while that is the version, nobody else has written. */
  Lease saw[LEASE_KNOWN];
  unsigned version;
  LeaseList index; /* in a transaction that writes many rows */

  LeaseTimes times; /* of the rows that open cursors have found */

  int wrote; /* this statement has changed the held table */

  /* The greatest token that this connection was told.  The transaction may have
  ** been rolled back since then; the number is not told again.  Not for
  ** clock='caller', where equal statements give equal tokens. */
  sqlite3_int64 told;

  struct HfLease *next; /* in conn->leases */
} HfLease;

/* Take it from the list, and free it once nobody pins it (lease_table.c). */
void lease_free(HfLease *lease);

/* The columns of the virtual table. */
enum {
  LEASE_RESOURCE,
  LEASE_HOLDER,
  LEASE_TOKEN,
  LEASE_ACQUIRED_AT,
  LEASE_EXPIRES_AT,
  LEASE_RENEWALS,
  LEASE_DETAIL,
  LEASE_TTL,
  LEASE_NOW,
  LEASE_COLUMNS
};

/* ---- objects (lease_objects.c) ------------------------------------------- */

/* The number by which a lease table and its triggers know each other. */
sqlite3_int64 lease_id(const char *name);

/* The row of lease_high_water that has the time of a lease table. */
sqlite3_int64 lease_mark_id(const HfLease *lease);

int lease_objects_create(HfLease *lease, HfError *err);
int lease_objects_drop(HfLease *lease, HfError *err);
int lease_objects_rename(HfLease *lease, const char *to, HfError *err);

/* What the doctor finds amiss behind a lease table. */
int lease_objects_check(HfLease *lease, HfFindings *list, HfError *err);

/* ---- statements and reading (lease_read.c) ------------------------------- */

/* The texts; then take a statement, and give it back: a missing table is
** corruption.  Finalise all. */
int lease_prepare(HfLease *lease, HfError *err);
int lease_take(HfLease *lease, LeaseSql sql, HfStmt *out, HfError *err);
int lease_fail_behind(HfLease *lease, HfError *err);
void lease_give(HfLease *lease, LeaseSql sql, HfStmt *stmt);
void lease_statements_clear(HfLease *lease);

void lease_clear(Lease *row);

/* Read the high-water mark, which every decision does first: in
** lease->mark_token and mark_now. */
int lease_mark(HfLease *lease, HfError *err);

/* The row of a resource. */
int lease_read_resource(HfLease *lease, const sqlite3_value *resource,
                        Lease *row, HfError *err);
int lease_read_text(HfLease *lease, const char *resource, Lease *row,
                    HfError *err);

/* ---- what is remembered (lease_known.c) ---------------------------------- */

/* Remember this row; the other has its texts from the first on. */
void lease_saw(HfLease *lease, const Lease *row);
void lease_saw_move(HfLease *lease, Lease *row);
void lease_known_clear(HfLease *lease);

/* The resource that this token was last seen with, or NULL. */
const char *lease_known_resource(const HfLease *lease, sqlite3_int64 token);

/* The row of a token: by the resource it was last seen with; else, since many
** may be asked for, by a list of all, lease->index, which is kept until the
** transaction ends, and made anew when it lacks the token.  A resource that is
** wrong costs that list, and never gives a wrong row. */
int lease_read_token(HfLease *lease, sqlite3_int64 token, Lease *row,
                     HfError *err);

/* The rows of a statement: token, resource. */
int lease_list_read(const HfLease *lease, sqlite3_stmt *stmt, LeaseList *list,
                    HfError *err);
void lease_list_clear(LeaseList *list);

/* Note the version of the database, of which the mark was read, or which this
** connection has just committed; is it still this one, in a transaction that
** writes?  Then the lease table is still the one that is known. */
void lease_fresh_note(HfLease *lease);
int lease_is_fresh(const HfLease *lease);

/* Take what is remembered of a token, where that is a lease of this resource,
** and the time is the remembered one of the mark: *row, guessed.  Returns 0 if
** it is not. */
int lease_guess(HfLease *lease, sqlite3_value *resource, sqlite3_int64 token,
                sqlite3_int64 now, Lease *row);

/* ---- checks (lease_check.c) ---------------------------------------------- */

/* The time of a decision, after lease_mark: the clock's, or a given one where
** the table takes it, but never before the high-water mark.  given: NULL or a
** NULL asks the clock. */
int lease_now(HfLease *lease, sqlite3_value *given, sqlite3_int64 *now,
              HfError *err);
int lease_now_forward(HfLease *lease, sqlite3_int64 *now, HfError *err);

/* A row was found at this time, which was given or the clock's: SQLITE_OK or
** SQLITE_NOMEM.  The time to decide on it, then; value: what the UPDATE has for
** the column, or NULL.  Forget them all. */
int lease_times_add(HfLease *lease, sqlite3_int64 token, sqlite3_int64 now,
                    int given);
int lease_time_again(HfLease *lease, sqlite3_int64 token, sqlite3_value *value,
                     sqlite3_int64 *now, HfError *err);
void lease_times_clear(LeaseTimes *times);

/* Check a name (what: "resource", "holder"), and a TTL; *ttl is the default for
** NULL. */
int lease_check_name(HfLease *lease, const char *what, sqlite3_value *value,
                     HfError *err);
int lease_check_detail(HfLease *lease, sqlite3_value *value, HfError *err);
int lease_check_ttl(HfLease *lease, sqlite3_value *value, sqlite3_int64 *ttl,
                    HfError *err);

/* ---- decisions (lease_decide.c) ------------------------------------------ */

/* Take the mark of a table of clock='caller' along to its new name. */
int lease_mark_move(HfLease *lease, sqlite3_int64 id, HfError *err);
int lease_objects_mark(HfLease *lease, sqlite3_int64 id, HfError *err);

/* What a decision came to. */
typedef enum LeaseVerdict {
  LEASE_GRANTED,
  LEASE_HELD,      /* by another holder */
  LEASE_EXHAUSTED, /* held by this one, which may not renew it again */
  LEASE_DELAYED,   /* expired, but its former holder goes first */
  LEASE_LOST       /* the token holds it no longer */
} LeaseVerdict;

typedef struct LeaseRequest {
  sqlite3_value *resource;
  sqlite3_value *holder;
  sqlite3_value *detail; /* or NULL */
  sqlite3_int64 ttl;
  sqlite3_int64 now;
} LeaseRequest;

/* Acquire a resource that has no row, if the high-water mark is the remembered
** one.  Returns 0 if that is not so, and nothing was decided. */
int lease_decide_free(HfLease *lease, const LeaseRequest *request, Lease *row,
                      HfError *err);

/* Acquire, or renew for the one who holds it.  *row: who holds it then. */
int lease_decide_acquire(HfLease *lease, const LeaseRequest *request,
                         LeaseVerdict *verdict, Lease *row, HfError *err);

/* Renew; the row, which has just been read, becomes the new one.  Of a guessed
** one anything but LEASE_GRANTED says that it must be read. */
int lease_decide_renew(HfLease *lease, Lease *row, sqlite3_int64 ttl,
                       sqlite3_int64 now, sqlite3_value *detail,
                       LeaseVerdict *verdict, HfError *err);

/* Release the row, which has just been read; or guessed, as before. */
int lease_decide_release(HfLease *lease, Lease *row, sqlite3_int64 now,
                         LeaseVerdict *verdict, HfError *err);

/* Give the lease of the row, which has just been read, to another holder, with
** a new token, which is in *row then.  kind: of the event, "stolen" or
** "transferred". */
int lease_decide_give(HfLease *lease, Lease *row, const char *kind,
                      sqlite3_value *holder, sqlite3_value *why,
                      sqlite3_int64 now, LeaseVerdict *verdict, HfError *err);

/* Enter an event in the history. */
int lease_event(HfLease *lease, sqlite3_int64 at, const char *kind,
                const Lease *row, sqlite3_int64 held_ms, sqlite3_value *detail,
                HfError *err);

/* The event of a denial: who wanted it is the row's holder, who has it is the
** detail. */
int lease_contended(HfLease *lease, sqlite3_int64 at, const Lease *row,
                    const char *detail, HfError *err);

/* ---- denials of the walls (lease_denial.c) ------------------------------- */

/* Keep a denial in memory: of this row, to that holder. */
void lease_deny(HfLease *lease, const Lease *row, sqlite3_value *holder,
                sqlite3_int64 now);
int lease_denials_pending(const HfLease *lease);
void lease_denials_rename(const HfLease *lease, const char *to);

/* Enter them in the history; then say what became of the transaction. */
int lease_denials_write(HfLease *lease, HfError *err);
void lease_denials_settle(HfLease *lease, int committed);

/* ---- finding one by name (lease_pin.c) ----------------------------------- */

typedef struct LeasePin {
  HfLease *lease;
  sqlite3_stmt *stmt; /* holds the reference that keeps it connected, or NULL:
                      ** it is one of lease->pins */
} LeasePin;

/* Pin the lease table of this name if it is known already; returns 0 if not.
** Whether it still is known shows when the high-water mark is next read. */
int lease_pin_known(HfConn *conn, sqlite3_value *value, LeasePin *pin);

int lease_pin(HfConn *conn, const char *function, sqlite3_value *value,
              LeasePin *pin, HfError *err);
int lease_pin_name(HfConn *conn, const char *schema, const char *name,
                   LeasePin *pin, HfError *err);
void lease_unpin(LeasePin *pin);

/* ---- registration -------------------------------------------------------- */

int lease_table_register(HfConn *conn);
int lease_functions_register(HfConn *conn);
int lease_guard_register(HfConn *conn);

/* Drop the guards that look at a lease table which is to be renamed, and make
** them anew for its new name, which frees the list. */
typedef struct LeaseGuardKept LeaseGuardKept;
int lease_guards_take(const HfLease *lease, LeaseGuardKept **kept,
                      HfError *err);
int lease_guards_give(const HfLease *lease, const char *to,
                      LeaseGuardKept *kept, HfError *err);

/* The doctor's look at the guards of a database. */
int lease_guard_check(HfConn *conn, const char *schema, HfFindings *list,
                      HfError *err);

#endif
