/*
** The statements of a lease table, and what a decision reads with them: the
** high-water mark first, then a row.
*/
#include <string.h>

#include "lease/lease.h"

#define READ_COLUMNS \
  "token, resource, holder, acquired_at, expires_at, renewals"

/* The row is as it was read, or remembered; and then the high-water time, ?7,
** is, too. */
#define READ_SAME \
  " WHERE resource = ?1 AND token = ?2 AND holder = ?3 AND acquired_at = ?4" \
  " AND expires_at = ?5 AND renewals = ?6 AND (?7 IS NULL OR ?7 =" \
  " (SELECT now FROM \"%w\".lease_high_water WHERE id = %lld))"

int lease_prepare(HfLease *lease, HfError *err) {
  const char *schema = lease->schema, *name = lease->name;
  char **sql = lease->sql;
  static const char *const only[] = {" ORDER BY token", " AND resource = ?2",
                                     " AND token = ?3",
                                     " AND resource = ?2 AND token = ?3"};
  int i;
  sql[LEASE_SQL_RESOURCE] = hf_format(
      err,
      "SELECT " READ_COLUMNS " FROM \"%w\".\"%w_held\" WHERE resource = ?1",
      schema, name);
  sql[LEASE_SQL_TOKENS] = hf_format(
      err, "SELECT token, resource FROM \"%w\".\"%w_held\" ORDER BY token",
      schema, name);
  sql[LEASE_SQL_INSERT] = hf_format(
      err,
      "INSERT INTO \"%w\".\"%w_held\"(token, resource, holder, acquired_at,"
      " expires_at, renewals, ttl_ms, detail)"
      " VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
      schema, name);
  sql[LEASE_SQL_GRANT] = hf_format(
      err,
      "UPDATE \"%w\".\"%w_held\" SET token = ?1, holder = ?3, acquired_at = ?4,"
      " expires_at = ?5, renewals = ?10, ttl_ms = ?6, detail = ?7"
      " WHERE resource = ?2 AND token = ?8 AND expires_at = ?9",
      schema, name);
  sql[LEASE_SQL_RENEW] = hf_format(
      err,
      "UPDATE \"%w\".\"%w_held\" SET expires_at = ?8, renewals = renewals + 1,"
      " ttl_ms = ?9, detail = iif(?10, ?11, detail)" READ_SAME,
      schema, name, schema, lease_mark_id(lease));
  sql[LEASE_SQL_DELETE] =
      hf_format(err, "DELETE FROM \"%w\".\"%w_held\"" READ_SAME, schema, name,
                schema, lease_mark_id(lease));
  sql[LEASE_SQL_EVENT] = hf_format(
      err,
      "INSERT INTO \"%w\".\"%w_event\"(at, kind, resource, holder, token,"
      " held_ms, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
      schema, name);
  sql[LEASE_SQL_MARK] =
      hf_format(err,
                "SELECT t.token, n.now, t.now"
                " FROM \"%w\".lease_high_water AS t,"
                " \"%w\".lease_high_water AS n WHERE t.id = 1 AND n.id = %lld",
                schema, schema, lease_mark_id(lease));
  sql[LEASE_SQL_RAISE] = hf_format(
      err,
      "UPDATE \"%w\".lease_high_water SET token = ?1, now = ?2 WHERE id = ?3",
      schema);
  sql[LEASE_SQL_RAISE_FREE] = hf_format(
      err,
      "UPDATE \"%w\".lease_high_water SET token = ?1, now = ?2"
      " WHERE id = 1 AND token = ?3 AND now = ?4"
      " AND (?5 IS NULL OR ?5 ="
      "  (SELECT now FROM \"%w\".lease_high_water WHERE id = %lld))"
      " AND NOT EXISTS (SELECT 1 FROM \"%w\".\"%w_held\" WHERE resource = ?6)",
      schema, schema, lease_mark_id(lease), schema, name);
  for (i = 0; i < 4; i++) {
    sql[LEASE_SQL_LIVE + i] = hf_format(
        err,
        "SELECT token, resource, holder, acquired_at, expires_at, renewals,"
        " detail, ttl_ms FROM \"%w\".\"%w_held\""
        " WHERE expires_at > ?1 AND token <= ?4%s",
        schema, name, only[i]);
  }
  return err->rc;
}

int lease_take(HfLease *lease, LeaseSql sql, HfStmt *out, HfError *err) {
  memset(out, 0, sizeof(*out));
  out->p = lease->idle[sql];
  lease->idle[sql] = NULL;
  if (out->p != NULL) return SQLITE_OK;
  hf_stmt_take(&lease->stmts, lease->db, lease->sql[sql], out, err);
  return lease_fail_behind(lease, err);
}

int lease_fail_behind(HfLease *lease, HfError *err) {
  if (err->rc == SQLITE_ERROR) {
    hf_error_clear(err);
    hf_fail(err, SQLITE_CORRUPT_VTAB,
            "lease %s: a table behind it is missing or altered (%s); restore "
            "it",
            lease->name, sqlite3_errmsg(lease->db));
  }
  return err->rc;
}

void lease_give(HfLease *lease, LeaseSql sql, HfStmt *stmt) {
  if (stmt->p != NULL && !stmt->local && lease->idle[sql] == NULL) {
    sqlite3_reset(stmt->p);
    sqlite3_clear_bindings(stmt->p);
    lease->idle[sql] = stmt->p;
    stmt->p = NULL;
  } else {
    hf_stmt_give(&lease->stmts, stmt);
  }
}

void lease_statements_clear(HfLease *lease) {
  int i;
  for (i = 0; i < LEASE_SQLS; i++) {
    sqlite3_finalize(lease->idle[i]);
    lease->idle[i] = NULL;
  }
  hf_stmts_clear(&lease->stmts);
}

/* ---- reading ------------------------------------------------------------- */

void lease_clear(Lease *row) {
  sqlite3_free(row->resource);
  sqlite3_free(row->holder);
  memset(row, 0, sizeof(*row));
}

/* Step a statement of READ_COLUMNS to its one row, and give it back. */
static int read_row(HfLease *lease, LeaseSql sql, HfStmt *stmt, Lease *row,
                    HfError *err) {
  memset(row, 0, sizeof(*row));
  switch (sqlite3_step(stmt->p)) {
    case SQLITE_ROW:
      row->there = 1;
      row->token = sqlite3_column_int64(stmt->p, 0);
      row->resource = hf_column_text(stmt->p, 1, err);
      row->holder = hf_column_text(stmt->p, 2, err);
      row->acquired_at = sqlite3_column_int64(stmt->p, 3);
      row->expires_at = sqlite3_column_int64(stmt->p, 4);
      row->renewals = sqlite3_column_int64(stmt->p, 5);
      break;
    case SQLITE_DONE:
      break;
    default:
      hf_fail_db(err, lease->db);
  }
  lease_give(lease, sql, stmt);
  if (err->rc != SQLITE_OK) lease_clear(row);
  return err->rc;
}

int lease_read_resource(HfLease *lease, const sqlite3_value *resource,
                        Lease *row, HfError *err) {
  HfStmt stmt;
  memset(row, 0, sizeof(*row));
  if (lease_take(lease, LEASE_SQL_RESOURCE, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_value(stmt.p, 1, resource);
  return read_row(lease, LEASE_SQL_RESOURCE, &stmt, row, err);
}

int lease_read_text(HfLease *lease, const char *resource, Lease *row,
                    HfError *err) {
  HfStmt stmt;
  memset(row, 0, sizeof(*row));
  if (lease_take(lease, LEASE_SQL_RESOURCE, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_text(stmt.p, 1, resource, -1, SQLITE_STATIC);
  return read_row(lease, LEASE_SQL_RESOURCE, &stmt, row, err);
}

/* When the schema has changed since, the statements that are kept must go: one
** that a trigger has made write a virtual table could not be prepared again. */
int lease_mark(HfLease *lease, HfError *err) {
  HfStmt stmt;
  lease->mark_known = 0;
  if (lease_take(lease, LEASE_SQL_MARK, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  switch (sqlite3_step(stmt.p)) {
    case SQLITE_ROW:
      lease->mark_token = sqlite3_column_int64(stmt.p, 0);
      lease->mark_now = sqlite3_column_int64(stmt.p, 1);
      lease->mark_first = sqlite3_column_int64(stmt.p, 2);
      lease->mark_known = 1;
      break;
    case SQLITE_DONE:
      hf_fail(err, SQLITE_CORRUPT_VTAB,
              "lease %s: the row of lease_high_water is missing; restore it",
              lease->name);
      break;
    default:
      hf_fail_db(err, lease->db);
      lease_fail_behind(lease, err);
  }
  if (stmt.fresh ||
      sqlite3_stmt_status(stmt.p, SQLITE_STMTSTATUS_REPREPARE, 1) > 0) {
    lease->known = 0;
    lease_statements_clear(lease);
  }
  lease_give(lease, LEASE_SQL_MARK, &stmt);
  lease_fresh_note(lease);
  return err->rc;
}
