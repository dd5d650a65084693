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

/* ---- checks -------------------------------------------------------------- */

/* Not before the high-water mark. */
static int decide_forward(HfLease *lease, sqlite3_int64 *now, HfError *err) {
  if ((lease->mark_known || lease_mark(lease, err) == SQLITE_OK) &&
      *now < lease->mark_now) {
    *now = lease->mark_now;
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
  if (!lease->options.clock_caller) {
    return hf_fail(err, SQLITE_ERROR,
                   "lease %s: it reads the clock itself; clock='caller' takes "
                   "a given time",
                   lease->name);
  }
  if (!hf_value_whole(given, now) || *now < 0 || *now > LEASE_TIME_MAX) {
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

int lease_check_detail(HfLease *lease, sqlite3_value *value, HfError *err) {
  size_t size;
  const char *text;
  int type = value == NULL ? SQLITE_NULL : sqlite3_value_type(value);
  if (type == SQLITE_NULL) return SQLITE_OK;
  if (type == SQLITE_TEXT) {
    text = hf_value_text(value, &size);
    if (text == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
    if (size <= LEASE_DETAIL_MAX && memchr(text, 0, size) == NULL &&
        hf_utf8_is(text, size)) {
      return SQLITE_OK;
    }
  }
  return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                 "lease %s: the detail must be NULL, or TEXT of up to %d bytes "
                 "of UTF-8 without NUL",
                 lease->name, LEASE_DETAIL_MAX);
}

int lease_check_ttl(HfLease *lease, sqlite3_value *value, sqlite3_int64 *ttl,
                    HfError *err) {
  *ttl = lease->options.ttl_ms;
  if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL) {
    return SQLITE_OK;
  }
  if (hf_value_whole(value, ttl) && *ttl >= 1 &&
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
static int decide_write(HfLease *lease, LeaseSql sql, HfStmt *stmt,
                        sqlite3_int64 id, sqlite3_int64 token,
                        sqlite3_int64 time, HfError *err) {
  HfConn *conn = lease->conn;
  HfDeciding deciding = {id, token, time, 0, conn->deciding};
  conn->deciding = &deciding;
  if (hf_step_done(lease->db, stmt->p, err) == SQLITE_OK &&
      sqlite3_changes(lease->db) != 1) {
    hf_fail(err, SQLITE_CONSTRAINT_VTAB,
            "lease %s: a trigger on %s_held swallowed the decision with "
            "RAISE(IGNORE); RAISE(ABORT, ...) refuses one",
            lease->name, lease->name);
  }
  conn->deciding = deciding.outer;
  if (sql != LEASE_SQL_RAISE && deciding.told) lease->wrote = 1;
  lease->mark_known = 0; /* for a trigger may have raised it */
  lease_give(lease, sql, stmt);
  return err->rc;
}

static int decide_raise_row(HfLease *lease, sqlite3_int64 id,
                            sqlite3_int64 token, sqlite3_int64 now,
                            HfError *err) {
  HfStmt stmt;
  if (err->rc != SQLITE_OK ||
      lease_take(lease, LEASE_SQL_RAISE, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, token);
  sqlite3_bind_int64(stmt.p, 2, now);
  sqlite3_bind_int64(stmt.p, 3, id);
  return decide_write(lease, LEASE_SQL_RAISE, &stmt, 0, token, now, err);
}

/* Let the high-water mark rise, before anything is written that a trigger could
** see; a token of 0 leaves that as it is.  A table of clock='caller' has its
** time in a row of its own, with a token of 0. */
static int decide_raise(HfLease *lease, sqlite3_int64 token, sqlite3_int64 now,
                        HfError *err) {
  sqlite3_int64 id = lease_mark_id(lease), old_token, old_now;
  if (!lease->mark_known && lease_mark(lease, err) != SQLITE_OK) {
    return err->rc;
  }
  old_token = lease->mark_token;
  old_now = lease->mark_now;
  if (token < old_token) token = old_token;
  if (now < old_now) now = old_now;
  if (id == 1) {
    if (token != old_token || now != old_now) {
      decide_raise_row(lease, 1, token, now, err);
    }
    return err->rc;
  }
  if (token != old_token) {
    sqlite3_int64 time = 0; /* of the others, which stays */
    hf_query_int(lease->db, err, 0, &time,
                 "SELECT now FROM \"%w\".lease_high_water WHERE id = 1",
                 lease->schema);
    decide_raise_row(lease, 1, token, time, err);
  }
  if (now != old_now) decide_raise_row(lease, id, 0, now, err);
  return err->rc;
}

int lease_mark_move(HfLease *lease, sqlite3_int64 id, HfError *err) {
  sqlite3_int64 now;
  if (lease_mark_id(lease) == 1 || lease_mark(lease, err) != SQLITE_OK) {
    return err->rc;
  }
  now = lease->mark_now;
  lease_objects_mark(lease, id, err);
  if (now > 0) decide_raise_row(lease, id, 0, now, err);
  return err->rc;
}

/* A token greater than any before. */
static int decide_token(HfLease *lease, sqlite3_int64 *token, HfError *err) {
  if (!lease->mark_known && lease_mark(lease, err) != SQLITE_OK) {
    return err->rc;
  }
  if (lease->mark_token == INT64_MAX - 1) {
    return hf_fail(err, SQLITE_FULL, "lease %s: there are no more tokens",
                   lease->name);
  }
  *token = lease->mark_token + 1;
  if (!lease->options.clock_caller) {
    if (*token <= lease->told) *token = lease->told + 1;
    lease->told = *token;
  }
  return SQLITE_OK;
}

/* detail: either may be NULL. */
static int decide_event(HfLease *lease, sqlite3_int64 at, const char *kind,
                        const Lease *row, sqlite3_int64 held_ms,
                        sqlite3_value *detail, const char *words,
                        HfError *err) {
  HfStmt stmt;
  if (lease_take(lease, LEASE_SQL_EVENT, &stmt, err) != SQLITE_OK) {
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
  lease->mark_known = 0;
  lease_give(lease, LEASE_SQL_EVENT, &stmt);
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

/* Replace a text of a row; the resource is the row's own where it has one. */
static void decide_put(char **text, sqlite3_value *value, HfError *err) {
  size_t size;
  const char *from = hf_value_text(value, &size);
  char *copy = from != NULL ? sqlite3_malloc64(size + 1) : NULL;
  if (copy == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
    return;
  }
  memcpy(copy, from, size);
  copy[size] = 0;
  sqlite3_free(*text);
  *text = copy;
}

/* How a term begins, and how the one before it ended. */
typedef struct DecideTerm {
  const char *ended; /* kind of its event */
  sqlite3_int64 held_ms;
  sqlite3_int64 renewals; /* that count for the new one */
  const char *kind;
  sqlite3_value *why;
} DecideTerm;

/* The history comes last: what refuses a term has refused its event. */
static int decide_record(HfLease *lease, const Lease *before, const Lease *row,
                         const DecideTerm *term, HfError *err) {
  if (before->there) {
    lease_event(lease, row->acquired_at, term->ended, before, term->held_ms,
                NULL, err);
  }
  if (err->rc == SQLITE_OK) {
    lease_event(lease, row->acquired_at, term->kind, row, -1, term->why, err);
  }
  return err->rc;
}

/* A new term: of a resource that has no row (row->there 0), or in the place of
** that row.  *row becomes the new one. */
static int decide_grant(HfLease *lease, Lease *row, sqlite3_value *resource,
                        sqlite3_value *holder, sqlite3_value *detail,
                        sqlite3_int64 ttl, sqlite3_int64 now,
                        const DecideTerm *term, HfError *err) {
  Lease before = *row;
  LeaseSql sql = row->there ? LEASE_SQL_GRANT : LEASE_SQL_INSERT;
  sqlite3_int64 token = 0;
  HfStmt stmt;
  if (decide_token(lease, &token, err) != SQLITE_OK ||
      decide_raise(lease, token, now, err) != SQLITE_OK ||
      lease_take(lease, sql, &stmt, err) != SQLITE_OK) {
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
    sqlite3_bind_int64(stmt.p, 10, term->renewals);
    row->resource = hf_format(err, "%s", before.resource);
  } else {
    decide_put(&row->resource, resource, err);
  }
  row->holder = NULL;
  decide_put(&row->holder, holder, err);
  row->there = 1;
  row->token = token;
  row->acquired_at = now;
  row->expires_at = now + ttl;
  row->renewals = term->renewals;
  if (err->rc != SQLITE_OK) {
    lease_give(lease, sql, &stmt);
  } else if (decide_write(lease, sql, &stmt, lease->id, token, now + ttl,
                          err) == SQLITE_OK) {
    decide_record(lease, &before, row, term, err);
  }
  lease_clear(&before);
  return err->rc;
}

/* Extend a live lease. */
static int decide_extend(HfLease *lease, Lease *row, sqlite3_int64 ttl,
                         sqlite3_int64 now, sqlite3_value *detail,
                         HfError *err) {
  HfStmt stmt;
  if (decide_raise(lease, 0, now, err) != SQLITE_OK ||
      lease_take(lease, LEASE_SQL_RENEW, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, row->token);
  sqlite3_bind_int64(stmt.p, 2, now + ttl);
  sqlite3_bind_int64(stmt.p, 3, ttl);
  if (detail != NULL) sqlite3_bind_value(stmt.p, 4, detail);
  sqlite3_bind_int64(stmt.p, 5, row->expires_at);
  sqlite3_bind_int(stmt.p, 6, detail != NULL);
  if (decide_write(lease, LEASE_SQL_RENEW, &stmt, lease->id, row->token,
                   now + ttl, err) != SQLITE_OK) {
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
  /* What was told to be held or lost stays so when the clock is set back. */
  if (row->there && decide_raise(lease, 0, now, err) != SQLITE_OK) {
    return err->rc;
  }
  own = row->there && decide_is_holder(row, request->holder);
  if (row->there && now < row->expires_at) {
    if (!own) {
      *verdict = LEASE_HELD;
    } else if (!decide_may_renew(lease, row)) {
      *verdict = LEASE_EXHAUSTED;
    } else {
      int given = request->detail != NULL &&
                  sqlite3_value_type(request->detail) != SQLITE_NULL;
      decide_extend(lease, row, request->ttl, now,
                    given ? request->detail : NULL, err);
    }
    return err->rc;
  }
  if (row->there && !own &&
      now < row->expires_at + lease->options.lock_delay_ms) {
    *verdict = LEASE_DELAYED;
    return err->rc;
  }
  return decide_grant(lease, row, request->resource, request->holder,
                      request->detail, request->ttl, now,
                      &(DecideTerm){"expired",
                                    row->expires_at - row->acquired_at, 0,
                                    "acquired", request->detail},
                      err);
}

int lease_decide_renew(HfLease *lease, Lease *row, sqlite3_int64 ttl,
                       sqlite3_int64 now, sqlite3_value *detail,
                       LeaseVerdict *verdict, HfError *err) {
  if (!row->there || now >= row->expires_at) {
    *verdict = LEASE_LOST;
    decide_raise(lease, 0, now, err);
  } else if (!decide_may_renew(lease, row)) {
    *verdict = LEASE_EXHAUSTED;
  } else {
    *verdict = LEASE_GRANTED;
    decide_extend(lease, row, ttl, now, detail, err);
  }
  return err->rc;
}

int lease_decide_release(HfLease *lease, const Lease *row, sqlite3_int64 now,
                         LeaseVerdict *verdict, HfError *err) {
  HfStmt stmt;
  *verdict = LEASE_LOST;
  if (decide_raise(lease, 0, now, err) != SQLITE_OK || !row->there ||
      now >= row->expires_at ||
      lease_take(lease, LEASE_SQL_DELETE, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  *verdict = LEASE_GRANTED;
  sqlite3_bind_int64(stmt.p, 1, row->token);
  sqlite3_bind_int64(stmt.p, 2, row->expires_at);
  if (decide_write(lease, LEASE_SQL_DELETE, &stmt, lease->id, row->token,
                   row->expires_at, err) == SQLITE_OK) {
    lease_event(lease, now, "released", row, now - row->acquired_at, NULL, err);
  }
  return err->rc;
}

int lease_decide_give(HfLease *lease, sqlite3_int64 token, const char *kind,
                      sqlite3_value *holder, sqlite3_value *why,
                      sqlite3_int64 now, LeaseVerdict *verdict, Lease *row,
                      HfError *err) {
  *verdict = LEASE_LOST;
  if (decide_raise(lease, 0, now, err) == SQLITE_OK &&
      lease_read_token(lease, token, row, err) == SQLITE_OK && row->there &&
      now < row->expires_at) {
    *verdict = LEASE_GRANTED;
    /* The same time is left as before; to give it to oneself is no new
    ** term. */
    decide_grant(
        lease, row, NULL, holder, NULL, row->expires_at - now, now,
        &(DecideTerm){"released", now - row->acquired_at,
                      decide_is_holder(row, holder) ? row->renewals : 0, kind,
                      why},
        err);
  }
  return err->rc;
}
