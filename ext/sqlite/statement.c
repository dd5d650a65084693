/*
** Prepared statements: those a virtual table keeps, and one-off SQL.
**
** A function must not keep statements: they would hold up sqlite3_close().
** Those of a virtual table are finalised in xDisconnect, which close calls
** first.  One trap is left: a statement that itself uses a virtual table
** holds a reference on it.  An INSERT into a ledger's entry table whose
** trigger appends to the same ledger would so keep the ledger connected for
** ever.  Statements are therefore prepared with NO_VTAB and kept; where that
** fails they are prepared without it and dropped with the transaction.
*/
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "sqlite/hf.h"

int hf_stmt_take(HfStmts *stmts, sqlite3 *db, const char *sql, HfStmt *out,
                 HfError *err) {
  unsigned int flags = SQLITE_PREPARE_PERSISTENT | SQLITE_PREPARE_NO_VTAB;
  int i, rc;
  memset(out, 0, sizeof(*out));
  for (i = 0; i < HF_STMTS && stmts->idle[i] != NULL; i++) {
    if (strcmp(sqlite3_sql(stmts->idle[i]), sql) != 0) continue;
    out->p = stmts->idle[i];
    out->local = stmts->local[i];
    for (; i + 1 < HF_STMTS; i++) {
      stmts->idle[i] = stmts->idle[i + 1];
      stmts->local[i] = stmts->local[i + 1];
    }
    stmts->idle[HF_STMTS - 1] = NULL;
    return SQLITE_OK;
  }
  out->fresh = 1;
  rc = sqlite3_prepare_v3(db, sql, -1, flags, &out->p, NULL);
  if (rc == SQLITE_ERROR) {
    out->local = 1;
    rc = sqlite3_prepare_v2(db, sql, -1, &out->p, NULL);
  }
  return rc == SQLITE_OK ? SQLITE_OK : hf_fail_db(err, db);
}

void hf_stmt_give(HfStmts *stmts, HfStmt *stmt) {
  int i;
  if (stmt->p == NULL) return;
  if (stmt->local && !stmts->transaction) {
    /* An error rolled the transaction back while the statement was out. */
    sqlite3_finalize(stmt->p);
    stmt->p = NULL;
    return;
  }
  sqlite3_reset(stmt->p);
  sqlite3_clear_bindings(stmt->p);
  sqlite3_finalize(stmts->idle[HF_STMTS - 1]);
  for (i = HF_STMTS - 1; i > 0; i--) {
    stmts->idle[i] = stmts->idle[i - 1];
    stmts->local[i] = stmts->local[i - 1];
  }
  stmts->idle[0] = stmt->p;
  stmts->local[0] = stmt->local;
  stmt->p = NULL;
}

void hf_stmts_begin_transaction(HfStmts *stmts) { stmts->transaction = 1; }

void hf_stmts_end_transaction(HfStmts *stmts) {
  int i, kept = 0;
  stmts->transaction = 0;
  for (i = 0; i < HF_STMTS && stmts->idle[i] != NULL; i++) {
    sqlite3_stmt *p = stmts->idle[i];
    stmts->idle[i] = NULL;
    if (stmts->local[i]) {
      sqlite3_finalize(p);
    } else {
      stmts->local[kept] = 0;
      stmts->idle[kept++] = p;
    }
  }
}

void hf_stmts_clear(HfStmts *stmts) {
  int i;
  for (i = 0; i < HF_STMTS; i++) {
    sqlite3_finalize(stmts->idle[i]);
    stmts->idle[i] = NULL;
  }
}

static int statement_prepare(sqlite3 *db, sqlite3_stmt **out, HfError *err,
                             const char *format, va_list args) {
  char *sql;
  *out = NULL;
  if (err->rc != SQLITE_OK) return err->rc;
  sql = sqlite3_vmprintf(format, args);
  if (sql == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  if (sqlite3_prepare_v2(db, sql, -1, out, NULL) != SQLITE_OK) {
    hf_fail_db(err, db);
  }
  sqlite3_free(sql);
  return err->rc;
}

int hf_prepare(sqlite3 *db, sqlite3_stmt **out, HfError *err,
               const char *format, ...) {
  va_list args;
  va_start(args, format);
  statement_prepare(db, out, err, format, args);
  va_end(args);
  return err->rc;
}

int hf_exec(sqlite3 *db, HfError *err, const char *format, ...) {
  va_list args;
  char *sql;
  if (err->rc != SQLITE_OK) return err->rc;
  va_start(args, format);
  sql = sqlite3_vmprintf(format, args);
  va_end(args);
  if (sql == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
    hf_fail_db(err, db);
  }
  sqlite3_free(sql);
  return err->rc;
}

int hf_step_done(sqlite3 *db, sqlite3_stmt *stmt, HfError *err) {
  int rc = sqlite3_step(stmt);
  /* With PRAGMA count_changes a write returns a row before it is done. */
  while (rc == SQLITE_ROW && !sqlite3_stmt_readonly(stmt)) {
    rc = sqlite3_step(stmt);
  }
  if (rc == SQLITE_ROW || rc == SQLITE_DONE) return SQLITE_OK;
  return hf_fail_db(err, db);
}

int hf_query_int(sqlite3 *db, HfError *err, sqlite3_int64 none,
                 sqlite3_int64 *out, const char *format, ...) {
  sqlite3_stmt *stmt;
  va_list args;
  *out = none;
  va_start(args, format);
  statement_prepare(db, &stmt, err, format, args);
  va_end(args);
  if (err->rc != SQLITE_OK) return err->rc;
  switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
      *out = sqlite3_column_int64(stmt, 0);
      break;
    case SQLITE_DONE:
      break;
    default:
      hf_fail_db(err, db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

char *hf_column_text(sqlite3_stmt *stmt, int column, HfError *err) {
  const unsigned char *text = sqlite3_column_text(stmt, column);
  char *copy;
  size_t size;
  if (text == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
    return NULL;
  }
  size = (size_t)sqlite3_column_bytes(stmt, column);
  copy = sqlite3_malloc64(size + 1);
  if (copy == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
    return NULL;
  }
  memcpy(copy, text, size + 1);
  return copy;
}

char *hf_column_text_or_null(sqlite3_stmt *stmt, int column, HfError *err) {
  if (sqlite3_column_type(stmt, column) == SQLITE_NULL) return NULL;
  return hf_column_text(stmt, column, err);
}

int hf_query_text(sqlite3 *db, HfError *err, char **out, const char *format,
                  ...) {
  sqlite3_stmt *stmt;
  va_list args;
  *out = NULL;
  va_start(args, format);
  statement_prepare(db, &stmt, err, format, args);
  va_end(args);
  if (err->rc != SQLITE_OK) return err->rc;
  switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
      *out = hf_column_text_or_null(stmt, 0, err);
      break;
    case SQLITE_DONE:
      break;
    default:
      hf_fail_db(err, db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}
