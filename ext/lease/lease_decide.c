/*
** The decisions about leases.
**
** Whoever comes here holds the write lock of the database.  A decision reads
** the row, compares one time with it, and writes with the row's token and
** expiry in the WHERE clause, so that it changes what it has seen or nothing.
*/
#include <string.h>

#include "core/utf8.h"
#include "lease/lease.h"

#define DECIDE_COLUMNS \
  "token, resource, holder, acquired_at, expires_at, renewals"

int lease_prepare(HfLease *lease, HfError *err) {
  const char *schema = lease->schema, *name = lease->name;
  lease->sql_resource = hf_format(
      err,
      "SELECT " DECIDE_COLUMNS " FROM \"%w\".\"%w_held\" WHERE resource = ?1",
      schema, name);
  lease->sql_token = hf_format(
      err, "SELECT " DECIDE_COLUMNS " FROM \"%w\".\"%w_held\" WHERE token = ?1",
      schema, name);
  lease->sql_insert = hf_format(
      err,
      "INSERT INTO \"%w\".\"%w_held\"(token, resource, holder, acquired_at,"
      " expires_at, renewals, ttl_ms, detail)"
      " VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)",
      schema, name);
  lease->sql_grant = hf_format(
      err,
      "UPDATE \"%w\".\"%w_held\" SET token = ?1, holder = ?3, acquired_at = ?4,"
      " expires_at = ?5, renewals = 0, ttl_ms = ?6, detail = ?7"
      " WHERE token = ?8 AND expires_at = ?9",
      schema, name);
  lease->sql_renew = hf_format(
      err,
      "UPDATE \"%w\".\"%w_held\" SET expires_at = ?2, renewals = renewals + 1,"
      " ttl_ms = ?3, detail = coalesce(?4, detail)"
      " WHERE token = ?1 AND expires_at = ?5",
      schema, name);
  lease->sql_delete = hf_format(
      err,
      "DELETE FROM \"%w\".\"%w_held\" WHERE token = ?1 AND expires_at = ?2",
      schema, name);
  lease->sql_event = hf_format(
      err,
      "INSERT INTO \"%w\".\"%w_event\"(at, kind, resource, holder, token,"
      " held_ms, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
      schema, name);
  lease->sql_mark = hf_format(
      err, "SELECT token, now FROM \"%w\".lease_high_water WHERE id = 1",
      schema);
  lease->sql_raise = hf_format(
      err,
      "UPDATE \"%w\".lease_high_water SET token = ?1, now = ?2 WHERE id = 1",
      schema);
  return err->rc;
}

int lease_take(HfLease *lease, const char *sql, HfStmt *out, HfError *err) {
  hf_stmt_take(&lease->stmts, lease->db, sql, out, err);
  if (err->rc == SQLITE_ERROR) {
    hf_error_clear(err);
    hf_fail(err, SQLITE_CORRUPT_VTAB,
            "lease %s: a table behind it is missing or altered (%s); restore "
            "it",
            lease->name, sqlite3_errmsg(lease->db));
  }
  return err->rc;
}

/* ---- reading ------------------------------------------------------------- */

void lease_clear(Lease *row) {
  sqlite3_free(row->resource);
  sqlite3_free(row->holder);
  memset(row, 0, sizeof(*row));
}

/* Step a statement of DECIDE_COLUMNS to its one row, and give it back. */
static int decide_read(HfLease *lease, HfStmt *stmt, Lease *row, HfError *err) {
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
  hf_stmt_give(&lease->stmts, stmt);
  if (err->rc != SQLITE_OK) lease_clear(row);
  return err->rc;
}

int lease_read_resource(HfLease *lease, sqlite3_value *resource, Lease *row,
                        HfError *err) {
  HfStmt stmt;
  memset(row, 0, sizeof(*row));
  if (lease_take(lease, lease->sql_resource, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_value(stmt.p, 1, resource);
  return decide_read(lease, &stmt, row, err);
}

int lease_read_token(HfLease *lease, sqlite3_int64 token, Lease *row,
                     HfError *err) {
  HfStmt stmt;
  memset(row, 0, sizeof(*row));
  if (lease_take(lease, lease->sql_token, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, token);
  return decide_read(lease, &stmt, row, err);
}

/* The high-water mark, which every decision reads first.  When the schema has
** changed since, the statements that are kept must go: one that a trigger has
** made write a virtual table could not be prepared again. */
static int decide_mark(HfLease *lease, sqlite3_int64 *token, sqlite3_int64 *now,
                       HfError *err) {
  HfStmt stmt;
  int stale;
  *token = *now = 0;
  if (lease_take(lease, lease->sql_mark, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  switch (sqlite3_step(stmt.p)) {
    case SQLITE_ROW:
      *token = sqlite3_column_int64(stmt.p, 0);
      *now = sqlite3_column_int64(stmt.p, 1);
      break;
    case SQLITE_DONE:
      hf_fail(err, SQLITE_CORRUPT_VTAB,
              "lease %s: the row of lease_high_water is missing; restore it",
              lease->name);
      break;
    default:
      hf_fail_db(err, lease->db);
  }
  stale = stmt.fresh ||
          sqlite3_stmt_status(stmt.p, SQLITE_STMTSTATUS_REPREPARE, 1) > 0;
  if (stale) hf_stmts_clear(&lease->stmts);
  hf_stmt_give(&lease->stmts, &stmt);
  return err->rc;
}

/* ---- checks -------------------------------------------------------------- */

/* Not before the high-water mark. */
static int decide_forward(HfLease *lease, sqlite3_int64 *now, HfError *err) {
  sqlite3_int64 token, mark;
  if (decide_mark(lease, &token, &mark, err) == SQLITE_OK && *now < mark) {
    *now = mark;
  }
  return err->rc;
}

int lease_now(HfLease *lease, sqlite3_value *given, sqlite3_int64 *now,
              HfError *err) {
  if (given == NULL || sqlite3_value_type(given) == SQLITE_NULL) {
    return hf_clock_now(lease->vfs, now, err) == SQLITE_OK
               ? decide_forward(lease, now, err)
               : err->rc;
  }
  *now = sqlite3_value_int64(given);
  if (!lease->options.clock_caller) {
    return hf_fail(err, SQLITE_ERROR,
                   "lease %s: it reads the clock itself; clock='caller' takes "
                   "a given time",
                   lease->name);
  }
  if (sqlite3_value_type(given) != SQLITE_INTEGER || *now < 0 ||
      *now > LEASE_TIME_MAX) {
    return hf_fail(err, SQLITE_ERROR,
                   "lease %s: now must be an INTEGER, milliseconds since 1970, "
                   "at most %lld",
                   lease->name, LEASE_TIME_MAX);
  }
  return decide_forward(lease, now, err);
}

int lease_now_again(HfLease *lease, sqlite3_int64 *now, HfError *err) {
  if (lease->given == INT64_MIN) return lease_now(lease, NULL, now, err);
  *now = lease->given;
  return decide_forward(lease, now, err);
}

int lease_check_name(HfLease *lease, const char *what, sqlite3_value *value,
                     HfError *err) {
  size_t size;
  const char *text;
  if (sqlite3_value_type(value) == SQLITE_TEXT) {
    text = hf_value_text(value, &size);
    if (text == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
    if (size > 0 && size <= LEASE_NAME_MAX && memchr(text, 0, size) == NULL &&
        hf_utf8_is(text, size)) {
      return SQLITE_OK;
    }
  }
  return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                 "lease %s: the %s must be TEXT of 1 to %d bytes of UTF-8 "
                 "without NUL",
                 lease->name, what, LEASE_NAME_MAX);
}

int lease_check_ttl(HfLease *lease, sqlite3_value *value, sqlite3_int64 *ttl,
                    HfError *err) {
  *ttl = lease->options.ttl_ms;
  if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL) {
    return SQLITE_OK;
  }
  *ttl = sqlite3_value_int64(value);
  if (sqlite3_value_type(value) == SQLITE_INTEGER && *ttl >= 1 &&
      *ttl <= lease->options.max_ttl_ms) {
    return SQLITE_OK;
  }
  return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                 "lease %s: ttl_ms must be an INTEGER from 1 to %lld, its "
                 "max_ttl_ms",
                 lease->name, lease->options.max_ttl_ms);
}

/* ---- writing ------------------------------------------------------------- */

/* Run a statement that changes one row, while its triggers are told which row
** that will be. */
static int decide_write(HfLease *lease, HfStmt *stmt, sqlite3_int64 id,
                        sqlite3_int64 token, sqlite3_int64 time, HfError *err) {
  HfConn *conn = lease->conn;
  HfDeciding deciding = {id, token, time, conn->deciding};
  conn->deciding = &deciding;
  if (hf_step_done(lease->db, stmt->p, err) == SQLITE_OK &&
      sqlite3_changes(lease->db) != 1) {
    hf_fail(err, SQLITE_CONSTRAINT_VTAB,
            "lease %s: a trigger on %s_held swallowed the decision with "
            "RAISE(IGNORE); RAISE(ABORT, ...) refuses one",
            lease->name, lease->name);
  }
  conn->deciding = deciding.outer;
  hf_stmt_give(&lease->stmts, stmt);
  return err->rc;
}

/* Let the high-water mark rise; a token of 0 leaves that as it is. */
static int decide_raise(HfLease *lease, sqlite3_int64 token, sqlite3_int64 now,
                        HfError *err) {
  sqlite3_int64 old_token, old_now;
  HfStmt stmt;
  if (decide_mark(lease, &old_token, &old_now, err) != SQLITE_OK) {
    return err->rc;
  }
  if (token < old_token) token = old_token;
  if (now < old_now) now = old_now;
  if ((token == old_token && now == old_now) ||
      lease_take(lease, lease->sql_raise, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, token);
  sqlite3_bind_int64(stmt.p, 2, now);
  return decide_write(lease, &stmt, 0, token, now, err);
}

/* A token greater than any before. */
static int decide_token(HfLease *lease, sqlite3_int64 *token, HfError *err) {
  sqlite3_int64 now;
  if (decide_mark(lease, token, &now, err) == SQLITE_OK &&
      (*token)++ == INT64_MAX - 1) {
    hf_fail(err, SQLITE_FULL, "lease %s: there are no more tokens",
            lease->name);
  }
  return err->rc;
}

/* detail: either may be NULL. */
static int decide_event(HfLease *lease, sqlite3_int64 at, const char *kind,
                        const Lease *row, sqlite3_int64 held_ms,
                        sqlite3_value *detail, const char *words,
                        HfError *err) {
  HfStmt stmt;
  if (lease_take(lease, lease->sql_event, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, at);
  sqlite3_bind_text(stmt.p, 2, kind, -1, SQLITE_STATIC);
  sqlite3_bind_text(stmt.p, 3, row->resource, -1, SQLITE_STATIC);
  sqlite3_bind_text(stmt.p, 4, row->holder, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt.p, 5, row->token);
  if (held_ms >= 0) sqlite3_bind_int64(stmt.p, 6, held_ms);
  if (detail != NULL && sqlite3_value_type(detail) == SQLITE_TEXT) {
    sqlite3_bind_value(stmt.p, 7, detail);
  } else if (words != NULL) {
    sqlite3_bind_text(stmt.p, 7, words, -1, SQLITE_STATIC);
  }
  hf_step_done(lease->db, stmt.p, err);
  hf_stmt_give(&lease->stmts, &stmt);
  return err->rc;
}

int lease_event(HfLease *lease, sqlite3_int64 at, const char *kind,
                const Lease *row, sqlite3_int64 held_ms, sqlite3_value *detail,
                HfError *err) {
  return decide_event(lease, at, kind, row, held_ms, detail, NULL, err);
}

int lease_contended(HfLease *lease, sqlite3_int64 at, const Lease *row,
                    const char *detail, HfError *err) {
  return decide_event(lease, at, "contended", row, -1, NULL, detail, err);
}

/* ---- decisions ----------------------------------------------------------- */

/* A new term: of a resource that has no row (row->there 0), or in the place of
** that row.  *row becomes the new one. */
static int decide_grant(HfLease *lease, Lease *row, sqlite3_value *resource,
                        sqlite3_value *holder, sqlite3_value *detail,
                        sqlite3_int64 ttl, sqlite3_int64 now, const char *kind,
                        sqlite3_value *why, HfError *err) {
  sqlite3_int64 token;
  HfStmt stmt;
  if (decide_token(lease, &token, err) != SQLITE_OK ||
      lease_take(lease, row->there ? lease->sql_grant : lease->sql_insert,
                 &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, token);
  if (!row->there) sqlite3_bind_value(stmt.p, 2, resource);
  sqlite3_bind_value(stmt.p, 3, holder);
  sqlite3_bind_int64(stmt.p, 4, now);
  sqlite3_bind_int64(stmt.p, 5, now + ttl);
  sqlite3_bind_int64(stmt.p, 6, ttl);
  if (detail != NULL) sqlite3_bind_value(stmt.p, 7, detail);
  if (row->there) {
    sqlite3_bind_int64(stmt.p, 8, row->token);
    sqlite3_bind_int64(stmt.p, 9, row->expires_at);
  }
  if (decide_write(lease, &stmt, lease->id, token, now + ttl, err) !=
          SQLITE_OK ||
      decide_raise(lease, token, now, err) != SQLITE_OK) {
    return err->rc;
  }
  lease_clear(row);
  if (lease_read_token(lease, token, row, err) == SQLITE_OK) {
    lease_event(lease, now, kind, row, -1, why, err);
  }
  return err->rc;
}

/* Extend a live lease. */
static int decide_extend(HfLease *lease, Lease *row, sqlite3_int64 ttl,
                         sqlite3_int64 now, sqlite3_value *detail,
                         HfError *err) {
  HfStmt stmt;
  if (lease_take(lease, lease->sql_renew, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, row->token);
  sqlite3_bind_int64(stmt.p, 2, now + ttl);
  sqlite3_bind_int64(stmt.p, 3, ttl);
  if (detail != NULL) sqlite3_bind_value(stmt.p, 4, detail);
  sqlite3_bind_int64(stmt.p, 5, row->expires_at);
  if (decide_write(lease, &stmt, lease->id, row->token, now + ttl, err) !=
          SQLITE_OK ||
      decide_raise(lease, 0, now, err) != SQLITE_OK) {
    return err->rc;
  }
  row->expires_at = now + ttl;
  row->renewals++;
  return lease_event(lease, now, "renewed", row, now - row->acquired_at, NULL,
                     err);
}

static int decide_may_renew(const HfLease *lease, const Lease *row) {
  return lease->options.max_renewals == 0 ||
         row->renewals < lease->options.max_renewals;
}

/* Is that the holder's name? */
static int decide_is_holder(const Lease *row, sqlite3_value *holder) {
  size_t size;
  const char *text = hf_value_text(holder, &size);
  return text != NULL && strlen(row->holder) == size &&
         memcmp(row->holder, text, size) == 0;
}

int lease_decide_acquire(HfLease *lease, const LeaseRequest *request,
                         LeaseVerdict *verdict, Lease *row, HfError *err) {
  sqlite3_int64 now = request->now;
  int own;
  *verdict = LEASE_GRANTED;
  if (lease_read_resource(lease, request->resource, row, err) != SQLITE_OK) {
    return err->rc;
  }
  own = row->there && decide_is_holder(row, request->holder);
  if (row->there && now < row->expires_at) {
    if (!own) {
      *verdict = LEASE_HELD;
    } else if (!decide_may_renew(lease, row)) {
      *verdict = LEASE_EXHAUSTED;
    } else {
      decide_extend(lease, row, request->ttl, now, request->detail, err);
    }
    return err->rc;
  }
  if (row->there && !own &&
      now < row->expires_at + lease->options.lock_delay_ms) {
    *verdict = LEASE_DELAYED;
    return err->rc;
  }
  if (row->there &&
      lease_event(lease, now, "expired", row,
                  row->expires_at - row->acquired_at, NULL, err) != SQLITE_OK) {
    return err->rc;
  }
  return decide_grant(lease, row, request->resource, request->holder,
                      request->detail, request->ttl, now, "acquired",
                      request->detail, err);
}

int lease_decide_renew(HfLease *lease, sqlite3_int64 token, sqlite3_int64 ttl,
                       sqlite3_int64 now, sqlite3_value *detail,
                       LeaseVerdict *verdict, sqlite3_int64 *expires_at,
                       HfError *err) {
  Lease row;
  *verdict = LEASE_LOST;
  if (lease_read_token(lease, token, &row, err) == SQLITE_OK && row.there &&
      now < row.expires_at) {
    *verdict = decide_may_renew(lease, &row) ? LEASE_GRANTED : LEASE_EXHAUSTED;
    if (*verdict == LEASE_GRANTED) {
      decide_extend(lease, &row, ttl, now, detail, err);
      *expires_at = row.expires_at;
    }
  }
  lease_clear(&row);
  return err->rc;
}

int lease_decide_release(HfLease *lease, sqlite3_int64 token, sqlite3_int64 now,
                         LeaseVerdict *verdict, HfError *err) {
  Lease row;
  HfStmt stmt;
  *verdict = LEASE_LOST;
  if (lease_read_token(lease, token, &row, err) == SQLITE_OK && row.there &&
      now < row.expires_at &&
      lease_take(lease, lease->sql_delete, &stmt, err) == SQLITE_OK) {
    *verdict = LEASE_GRANTED;
    sqlite3_bind_int64(stmt.p, 1, token);
    sqlite3_bind_int64(stmt.p, 2, row.expires_at);
    if (decide_write(lease, &stmt, lease->id, token, row.expires_at, err) ==
            SQLITE_OK &&
        decide_raise(lease, 0, now, err) == SQLITE_OK) {
      lease_event(lease, now, "released", &row, now - row.acquired_at, NULL,
                  err);
    }
  }
  lease_clear(&row);
  return err->rc;
}

int lease_decide_give(HfLease *lease, sqlite3_int64 token, const char *kind,
                      sqlite3_value *holder, sqlite3_value *why,
                      sqlite3_int64 now, LeaseVerdict *verdict, Lease *row,
                      HfError *err) {
  *verdict = LEASE_LOST;
  if (lease_read_token(lease, token, row, err) == SQLITE_OK && row->there &&
      now < row->expires_at) {
    *verdict = LEASE_GRANTED;
    /* The same time is left as before. */
    if (lease_event(lease, now, "released", row, now - row->acquired_at, NULL,
                    err) == SQLITE_OK) {
      decide_grant(lease, row, NULL, holder, NULL, row->expires_at - now, now,
                   kind, why, err);
    }
  }
  return err->rc;
}
