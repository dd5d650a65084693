/*
** The virtual table of the lease module: the leases that are held now.
**
** INSERT acquires, UPDATE of ttl_ms or detail renews, DELETE releases.  What is
** refused is an error; the doors in lease_functions.c return a verdict.
*/
#include <assert.h>
#include <string.h>

#include "lease/lease.h"

/* ---- life of a connected table ------------------------------------------- */

void lease_free(HfLease *lease) {
  HfLease **link;
  int i;
  for (link = &lease->conn->leases; *link != NULL; link = &(*link)->next) {
    if (*link == lease) {
      *link = lease->next;
      break;
    }
  }
  lease->gone = 1;
  if (lease->pins > 0) return;
  hf_conn_unref(lease->conn);
  lease_statements_clear(lease);
  lease_known_clear(lease);
  lease_times_clear(&lease->times);
  hf_txn_stmts_clear(&lease->txn);
  sqlite3_free(lease->schema);
  sqlite3_free(lease->name);
  for (i = 0; i < LEASE_SQLS; i++) sqlite3_free(lease->sql[i]);
  sqlite3_free(lease);
}

/* The object from the arguments alone; connecting runs no SQL. */
static int rows_make(HfConn *conn, int argc, const char *const *argv,
                     HfLease **out, HfError *err) {
  HfLease *lease = sqlite3_malloc64(sizeof(*lease));
  *out = NULL;
  if (lease == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  memset(lease, 0, sizeof(*lease));
  lease->db = conn->db;
  lease->conn = hf_conn_ref(conn);
  lease->schema = hf_format(err, "%s", argv[1]);
  lease->name = hf_format(err, "%s", argv[2]);
  if (err->rc == SQLITE_OK) {
    lease->id = lease_id(argv[2]);
    lease->vfs = hf_clock_vfs(lease->db, lease->schema);
    lease_options_parse(&lease->options, argv[2], argc - 3, argv + 3, err);
  }
  if (lease_prepare(lease, err) != SQLITE_OK) {
    lease_free(lease);
    return err->rc;
  }
  *out = lease;
  return SQLITE_OK;
}

static int rows_init(sqlite3 *db, void *aux, int argc, const char *const *argv,
                     sqlite3_vtab **out, char **message, int create) {
  HfError err = {SQLITE_OK, NULL};
  HfLease *lease = NULL;
  if (rows_make(aux, argc, argv, &lease, &err) == SQLITE_OK && lease != NULL &&
      (sqlite3_declare_vtab(
           db, "CREATE TABLE x(resource TEXT, holder TEXT, token INTEGER, "
               "acquired_at INTEGER, expires_at INTEGER, renewals INTEGER, "
               "detail TEXT, ttl_ms INTEGER HIDDEN, now INTEGER HIDDEN)") !=
           SQLITE_OK ||
       sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS) != SQLITE_OK ||
       sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1) !=
           SQLITE_OK)) {
    hf_fail_db(&err, db);
  }
  if (err.rc == SQLITE_OK && lease != NULL && create) {
    lease_objects_create(lease, &err);
  }
  if (err.rc == SQLITE_OK && lease != NULL) {
    lease->next = lease->conn->leases;
    lease->conn->leases = lease;
    *out = &lease->base;
    return SQLITE_OK;
  }
  if (lease != NULL) lease_free(lease);
  *message = err.message;
  return err.rc;
}

static int rows_create(sqlite3 *db, void *aux, int argc,
                       const char *const *argv, sqlite3_vtab **out,
                       char **message) {
  return rows_init(db, aux, argc, argv, out, message, 1);
}

static int rows_connect(sqlite3 *db, void *aux, int argc,
                        const char *const *argv, sqlite3_vtab **out,
                        char **message) {
  return rows_init(db, aux, argc, argv, out, message, 0);
}

static int rows_disconnect(sqlite3_vtab *vtab) {
  lease_free((HfLease *)vtab);
  return SQLITE_OK;
}

static int rows_destroy(sqlite3_vtab *vtab) {
  HfLease *lease = (HfLease *)vtab;
  HfError err = {SQLITE_OK, NULL};
  int rc;
  lease_statements_clear(lease); /* they would lock the tables */
  rc = lease_objects_drop(lease, &err);
  hf_error_clear(&err);
  if (rc == SQLITE_OK) lease_free(lease);
  return rc;
}

static int rows_rename(sqlite3_vtab *vtab, const char *to) {
  HfLease *lease = (HfLease *)vtab;
  HfError err = {SQLITE_OK, NULL};
  lease_statements_clear(lease);
  lease->known = 0;
  lease_objects_rename(lease, to, &err);
  return hf_error_to_vtab(&err, vtab);
}

/* ---- SELECT -------------------------------------------------------------- */

typedef struct LeaseCursor {
  sqlite3_vtab_cursor base; /* must be first */
  HfStmt stmt;
  LeaseSql sql; /* which it is */
  sqlite3_int64 now;
  int given; /* that time was */
  int eof;
} LeaseCursor;

/* Where a column stands in LEASE_SQL_LIVE. */
static const int rows_place[LEASE_COLUMNS] = {1, 2, 0, 3, 4, 5, 6, 7, -1};

/* idxNum: bit 0 a resource, bit 1 a token, bit 2 a time is given, in this
** order. */
static int rows_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  int at[3] = {-1, -1, -1};
  int i, argc = 0;
  (void)vtab;
  for (i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *term = &info->aConstraint[i];
    const char *collation;
    if (term->op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
    if (term->iColumn == LEASE_NOW) {
      if (!term->usable) return SQLITE_CONSTRAINT;
      at[2] = i;
    }
    if (!term->usable) continue;
    collation = sqlite3_vtab_collation(info, i);
    if (collation == NULL || sqlite3_stricmp(collation, "BINARY") != 0) {
      continue;
    }
    if (term->iColumn == LEASE_RESOURCE) at[0] = i;
    if (term->iColumn == LEASE_TOKEN || term->iColumn < 0) at[1] = i;
  }
  for (i = 0; i < 3; i++) {
    if (at[i] < 0) continue;
    info->aConstraintUsage[at[i]].argvIndex = ++argc;
    info->aConstraintUsage[at[i]].omit = i == 2;
    info->idxNum |= 1 << i;
  }
  info->estimatedRows = info->idxNum & 3 ? 1 : 1000;
  info->estimatedCost = info->idxNum & 1 ? 10 : info->idxNum & 2 ? 500 : 2000;
  if (info->idxNum & 3) info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
  return SQLITE_OK;
}

static int rows_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  LeaseTimes *times = &((HfLease *)vtab)->times;
  int rc = hf_cursor_open(sizeof(LeaseCursor), out);
  if (rc == SQLITE_OK && times->cursors++ == 0) lease_times_clear(times);
  return rc;
}

static int rows_close(sqlite3_vtab_cursor *base) {
  LeaseCursor *cursor = (LeaseCursor *)base;
  HfLease *lease = (HfLease *)base->pVtab;
  lease_give(lease, cursor->sql, &cursor->stmt);
  lease->times.cursors--;
  sqlite3_free(cursor);
  return SQLITE_OK;
}

static int rows_advance(LeaseCursor *cursor, HfError *err) {
  HfLease *lease = (HfLease *)cursor->base.pVtab;
  int rc = sqlite3_step(cursor->stmt.p);
  cursor->eof = rc != SQLITE_ROW;
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) hf_fail_db(err, lease->db);
  return err->rc;
}

/* The first row.  Where a token alone is given, look at the resource that it
** was last seen with before looking at each row. */
static int rows_find(LeaseCursor *cursor, int given, sqlite3_int64 last,
                     sqlite3_value **argv, HfError *err) {
  HfLease *lease = (HfLease *)cursor->base.pVtab;
  const char *guess = NULL;
  int i;
  if (given == 2 && sqlite3_value_type(argv[0]) == SQLITE_INTEGER) {
    guess = lease_known_resource(lease, sqlite3_value_int64(argv[0]));
  }
  for (i = guess ? 0 : 1; i < 2 && cursor->eof && err->rc == SQLITE_OK; i++) {
    int n = 0;
    lease_give(lease, cursor->sql, &cursor->stmt);
    cursor->sql = (LeaseSql)(LEASE_SQL_LIVE + (i == 0 ? 3 : given));
    if (lease_take(lease, cursor->sql, &cursor->stmt, err) != SQLITE_OK) break;
    sqlite3_bind_int64(cursor->stmt.p, 1, cursor->now);
    sqlite3_bind_int64(cursor->stmt.p, 4, last);
    if (i == 0) {
      sqlite3_bind_text(cursor->stmt.p, 2, guess, -1, SQLITE_TRANSIENT);
    }
    if (given & 1) sqlite3_bind_value(cursor->stmt.p, 2, argv[n++]);
    if (given & 2) sqlite3_bind_value(cursor->stmt.p, 3, argv[n]);
    rows_advance(cursor, err);
  }
  return err->rc;
}

static int rows_filter(sqlite3_vtab_cursor *base, int idx_num,
                       const char *idx_str, int argc, sqlite3_value **argv) {
  LeaseCursor *cursor = (LeaseCursor *)base;
  HfLease *lease = (HfLease *)base->pVtab;
  HfError err = {SQLITE_OK, NULL};
  sqlite3_value *given = idx_num & 4 ? argv[argc - 1] : NULL;
  sqlite3_int64 last = 0;
  (void)idx_str;
  lease_give(lease, cursor->sql, &cursor->stmt);
  cursor->eof = 1;
  if (given != NULL && sqlite3_value_type(given) == SQLITE_NULL) {
    return SQLITE_OK; /* nothing equals NULL */
  }
  /* What a door grants to the rows of this SELECT is not among them. */
  if (lease_mark(lease, &err) == SQLITE_OK) last = lease->mark_token;
  if (lease_now(lease, given, &cursor->now, &err) == SQLITE_OK) {
    cursor->given = given != NULL;
    rows_find(cursor, idx_num & 3, last, argv, &err);
  }
  return hf_error_to_vtab(&err, base->pVtab);
}

static int rows_next(sqlite3_vtab_cursor *base) {
  HfError err = {SQLITE_OK, NULL};
  rows_advance((LeaseCursor *)base, &err);
  return hf_error_to_vtab(&err, base->pVtab);
}

static int rows_eof(sqlite3_vtab_cursor *base) {
  return ((LeaseCursor *)base)->eof;
}

static int rows_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                       int column) {
  const LeaseCursor *cursor = (const LeaseCursor *)base;
  if (sqlite3_vtab_nochange(context)) return SQLITE_OK;
  if (column == LEASE_NOW) {
    sqlite3_result_int64(context, cursor->now);
  } else {
    sqlite3_result_value(
        context, sqlite3_column_value(cursor->stmt.p, rows_place[column]));
  }
  return SQLITE_OK;
}

/* Whoever asks for it will often write the row. */
static int rows_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  HfLease *lease = (HfLease *)base->pVtab;
  const LeaseCursor *cursor = (const LeaseCursor *)base;
  sqlite3_stmt *stmt = cursor->stmt.p;
  *rowid = sqlite3_column_int64(stmt, 0);
  if (lease_known_resource(lease, *rowid) == NULL) {
    lease_saw(lease, &(Lease){.there = 1,
                              .token = *rowid,
                              .resource = (char *)sqlite3_column_text(stmt, 1),
                              .holder = (char *)sqlite3_column_text(stmt, 2),
                              .acquired_at = sqlite3_column_int64(stmt, 3),
                              .expires_at = sqlite3_column_int64(stmt, 4),
                              .renewals = sqlite3_column_int64(stmt, 5)});
  }
  return lease_times_add(lease, *rowid, cursor->now, cursor->given);
}

/* ---- INSERT, UPDATE, DELETE ---------------------------------------------- */

static int rows_refuse(HfLease *lease, LeaseVerdict verdict, const Lease *row,
                       sqlite3_int64 now, HfError *err) {
  switch (verdict) {
    case LEASE_HELD:
      return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                     "lease %s: %s is held by %s with token %lld for another "
                     "%lld ms",
                     lease->name, row->resource, row->holder, row->token,
                     row->expires_at - now);
    case LEASE_EXHAUSTED:
      return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                     "lease %s: %s has been renewed %lld times, which is its "
                     "max_renewals; token %lld expires in %lld ms",
                     lease->name, row->resource, row->renewals, row->token,
                     row->expires_at - now);
    default:
      return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                     "lease %s: %s expired with token %lld; only its former "
                     "holder %s may acquire it for another %lld ms",
                     lease->name, row->resource, row->token, row->holder,
                     row->expires_at + lease->options.lock_delay_ms - now);
  }
}

static int rows_insert(HfLease *lease, sqlite3_value **value,
                       sqlite3_int64 *rowid, HfError *err) {
  LeaseRequest request = {value[LEASE_RESOURCE], value[LEASE_HOLDER],
                          value[LEASE_DETAIL], 0, 0};
  LeaseVerdict verdict;
  Lease row;
  int i;
  for (i = LEASE_TOKEN; i <= LEASE_RENEWALS; i++) {
    if (sqlite3_value_type(value[i]) == SQLITE_NULL) continue;
    return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                   "lease %s: token, acquired_at, expires_at and renewals are "
                   "decided here; give resource, holder, ttl_ms and detail",
                   lease->name);
  }
  memset(&row, 0, sizeof(row));
  if (lease_check_name(lease, "resource", request.resource, err) != SQLITE_OK ||
      lease_check_name(lease, "holder", request.holder, err) != SQLITE_OK ||
      lease_check_ttl(lease, value[LEASE_TTL], &request.ttl, err) !=
          SQLITE_OK ||
      lease_check_detail(lease, request.detail, err) != SQLITE_OK ||
      lease_mark(lease, err) != SQLITE_OK ||
      lease_now(lease, value[LEASE_NOW], &request.now, err) != SQLITE_OK) {
    return err->rc;
  }
  if (lease_decide_acquire(lease, &request, &verdict, &row, err) == SQLITE_OK) {
    if (verdict == LEASE_GRANTED) {
      *rowid = row.token;
      lease_saw_move(lease, &row);
    } else {
      if (verdict != LEASE_EXHAUSTED) {
        lease_deny(lease, &row, request.holder, request.now);
      }
      rows_refuse(lease, verdict, &row, request.now, err);
    }
  }
  lease_clear(&row);
  return err->rc;
}

/* Is the column left as the row has it?  An UPDATE with FROM hands over all
** columns on some releases. */
static int rows_same(const Lease *row, int i, sqlite3_value *value) {
  size_t size = 0;
  const char *text = NULL,
             *own = i == LEASE_RESOURCE ? row->resource : row->holder;
  if (sqlite3_value_nochange(value)) return 1;
  switch (i) {
    case LEASE_RESOURCE:
    case LEASE_HOLDER:
      if (sqlite3_value_type(value) == SQLITE_TEXT) {
        text = hf_value_text(value, &size);
      }
      return text != NULL && strlen(own) == size &&
             memcmp(own, text, size) == 0;
    case LEASE_TOKEN:
      return sqlite3_value_int64(value) == row->token;
    case LEASE_ACQUIRED_AT:
      return sqlite3_value_int64(value) == row->acquired_at;
    case LEASE_EXPIRES_AT:
      return sqlite3_value_int64(value) == row->expires_at;
    default:
      return sqlite3_value_int64(value) == row->renewals;
  }
}

/* UPDATE l SET ttl_ms = ..., detail = ... renews. */
static int rows_renew(HfLease *lease, sqlite3_value **argv, HfError *err) {
  sqlite3_int64 token = sqlite3_value_int64(argv[0]), now, ttl;
  sqlite3_value **value = argv + 2, *detail = value[LEASE_DETAIL];
  LeaseVerdict verdict;
  Lease row;
  int i;
  memset(&row, 0, sizeof(row));
  if (lease_mark(lease, err) != SQLITE_OK ||
      lease_time_again(lease, token, value[LEASE_NOW], &now, err) !=
          SQLITE_OK ||
      lease_check_ttl(
          lease,
          sqlite3_value_nochange(value[LEASE_TTL]) ? NULL : value[LEASE_TTL],
          &ttl, err) != SQLITE_OK ||
      lease_read_token(lease, token, &row, err) != SQLITE_OK) {
    return err->rc;
  }
  for (i = LEASE_RESOURCE; row.there && i <= LEASE_RENEWALS; i++) {
    if (rows_same(&row, i, value[i]) && sqlite3_value_int64(argv[1]) == token) {
      continue;
    }
    hf_fail(err, SQLITE_CONSTRAINT_VTAB,
            "lease %s: an UPDATE sets ttl_ms, detail or both, and so renews",
            lease->name);
  }
  if (sqlite3_value_nochange(detail)) detail = NULL;
  lease_check_detail(lease, detail, err);
  if (err->rc == SQLITE_OK &&
      lease_decide_renew(lease, &row, ttl, now, detail, &verdict, err) ==
          SQLITE_OK &&
      verdict != LEASE_GRANTED) {
    if (verdict == LEASE_LOST) {
      hf_fail(err, SQLITE_CONSTRAINT_VTAB,
              "lease %s: token %lld has just expired", lease->name, token);
    } else {
      rows_refuse(lease, verdict, &row, now, err);
    }
  }
  lease_clear(&row);
  return err->rc;
}

/* DELETE FROM l releases. */
static int rows_release(HfLease *lease, sqlite3_int64 token, HfError *err) {
  LeaseVerdict verdict;
  sqlite3_int64 now;
  Lease row;
  memset(&row, 0, sizeof(row));
  if (lease_mark(lease, err) == SQLITE_OK &&
      lease_time_again(lease, token, NULL, &now, err) == SQLITE_OK &&
      lease_read_token(lease, token, &row, err) == SQLITE_OK &&
      lease_decide_release(lease, &row, now, &verdict, err) == SQLITE_OK &&
      verdict == LEASE_LOST) {
    hf_fail(err, SQLITE_CONSTRAINT_VTAB,
            "lease %s: token %lld has just expired", lease->name, token);
  }
  lease_clear(&row);
  return err->rc;
}

/* A decision that fails when it is partly written: SQLite undoes what a virtual
** table wrote only by ending the transaction, so end it.  And OR IGNORE must
** not pass over a refusal, nor OR FAIL keep a part. */
static void rows_undo(HfLease *lease, HfError *err) {
  int conflict = sqlite3_vtab_on_conflict(lease->db);
  if (lease->wrote && !sqlite3_get_autocommit(lease->db)) {
    sqlite3_exec(lease->db, "ROLLBACK", NULL, NULL, NULL);
  }
  if ((err->rc & 0xff) == SQLITE_CONSTRAINT &&
      (conflict == SQLITE_IGNORE || conflict == SQLITE_FAIL)) {
    err->rc = SQLITE_ERROR;
  }
}

static int rows_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv,
                       sqlite3_int64 *rowid) {
  HfLease *lease = (HfLease *)vtab;
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 before = sqlite3_last_insert_rowid(lease->db);
  lease->wrote = 0;
  if (argc == 1) {
    rows_release(lease, sqlite3_value_int64(argv[0]), &err);
  } else if (sqlite3_value_type(argv[0]) == SQLITE_NULL) {
    if (sqlite3_value_type(argv[1]) != SQLITE_NULL) {
      argv[2 + LEASE_TOKEN] = argv[1]; /* refused there */
    }
    rows_insert(lease, argv + 2, rowid, &err);
  } else {
    rows_renew(lease, argv, &err);
  }
  /* An INSERT that is granted sets it to the token. */
  sqlite3_set_last_insert_rowid(lease->db, before);
  if (err.rc != SQLITE_OK) rows_undo(lease, &err);
  return hf_error_to_vtab(&err, vtab);
}

/* Statements that use a virtual table must not outlive the transaction. */

static int rows_begin(sqlite3_vtab *vtab) {
  hf_stmts_begin_transaction(&((HfLease *)vtab)->stmts);
  return SQLITE_OK;
}

/* A trigger on the history that writes a virtual table cannot run here; then
** the denials wait for a door's transaction. */
static int rows_sync(sqlite3_vtab *vtab) {
  HfLease *lease = (HfLease *)vtab;
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 rowid = sqlite3_last_insert_rowid(lease->db);
  lease_denials_write(lease, &err);
  sqlite3_set_last_insert_rowid(lease->db, rowid);
  /* The commit is not to fail for that, unless a trigger has ended it. */
  if (((err.rc & 0xff) == SQLITE_LOCKED ||
       (err.rc & 0xff) == SQLITE_CONSTRAINT || err.rc == SQLITE_CORRUPT_VTAB) &&
      sqlite3_txn_state(lease->db, lease->schema) == SQLITE_TXN_WRITE) {
    hf_error_clear(&err);
  }
  return hf_error_to_vtab(&err, vtab);
}

static int rows_commit(sqlite3_vtab *vtab) {
  lease_list_clear(&((HfLease *)vtab)->index);
  lease_denials_settle((HfLease *)vtab, 1);
  hf_stmts_end_transaction(&((HfLease *)vtab)->stmts);
  return SQLITE_OK;
}

static int rows_rollback(sqlite3_vtab *vtab) {
  lease_list_clear(&((HfLease *)vtab)->index);
  lease_denials_settle((HfLease *)vtab, 0);
  hf_stmts_end_transaction(&((HfLease *)vtab)->stmts);
  return SQLITE_OK;
}

/* ---- registration -------------------------------------------------------- */

int lease_table_register(HfConn *conn) {
  static const sqlite3_module module = {
      .iVersion = 2,
      .xCreate = rows_create,
      .xConnect = rows_connect,
      .xBestIndex = rows_best_index,
      .xDisconnect = rows_disconnect,
      .xDestroy = rows_destroy,
      .xOpen = rows_open,
      .xClose = rows_close,
      .xFilter = rows_filter,
      .xNext = rows_next,
      .xEof = rows_eof,
      .xColumn = rows_column,
      .xRowid = rows_rowid,
      .xUpdate = rows_update,
      .xBegin = rows_begin,
      .xSync = rows_sync,
      .xCommit = rows_commit,
      .xRollback = rows_rollback,
      .xRename = rows_rename,
  };
  return hf_register_module(conn, "lease", &module);
}
