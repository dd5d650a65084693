/*
** The decisions about leases.
**
** Whoever comes here holds the write lock of the database.  A decision reads
** the row, compares one time with it, and writes with the row in the WHERE
** clause, so that it changes what it has seen or nothing.
*/
#include <string.h>

#include "lease/lease.h"

/* ---- writing ------------------------------------------------------------- */

/* Run a statement that changes one row, while its triggers are told which row
** that will be.  *missed: it rested on a guess, and changed nothing, for the
** guess was wrong, or the statement can no longer be prepared. */
static int decide_try(HfLease *lease, LeaseSql sql, HfStmt *stmt,
                      const HfDeciding *what, int *missed, HfError *err) {
  HfConn *conn = lease->conn;
  HfDeciding deciding = *what;
  deciding.outer = conn->deciding;
  conn->deciding = &deciding;
  *missed = 0;
  if (hf_step_done(lease->db, stmt->p, err) == SQLITE_OK) {
    *missed = sqlite3_changes(lease->db) != 1;
  } else if (err->rc == SQLITE_ERROR) {
    *missed = 1;
  }
  conn->deciding = deciding.outer;
  if (what->id != 0 && deciding.told) lease->wrote = 1;
  lease->mark_known = 0; /* for a trigger may have raised it */
  lease_give(lease, sql, stmt);
  return err->rc;
}

/* The same where it must change the row. */
static int decide_write(HfLease *lease, LeaseSql sql, HfStmt *stmt,
                        const HfDeciding *what, HfError *err) {
  int missed;
  if (decide_try(lease, sql, stmt, what, &missed, err) == SQLITE_OK && missed) {
    hf_fail(err, SQLITE_CONSTRAINT_VTAB,
            "lease %s: a trigger on %s_held swallowed the decision with "
            "RAISE(IGNORE); RAISE(ABORT, ...) refuses one",
            lease->name, lease->name);
  }
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
  return decide_write(lease, LEASE_SQL_RAISE, &stmt,
                      &(HfDeciding){0, token, now, 0, NULL}, err);
}

/* Let the high-water mark rise, before anything is written that a trigger could
** see; a token of 0 leaves that as it is.  A table of clock='caller' has its
** time in a row of its own, with a token of 0. */
static int decide_raise(HfLease *lease, sqlite3_int64 token, sqlite3_int64 now,
                        HfError *err) {
  sqlite3_int64 id = lease_mark_id(lease), old_token, old_now;
  sqlite3_int64 first; /* the time of the others, which stays */
  if (!lease->mark_known && lease_mark(lease, err) != SQLITE_OK) {
    return err->rc;
  }
  old_token = lease->mark_token;
  old_now = lease->mark_now;
  first = lease->mark_first;
  if (token < old_token) token = old_token;
  if (now < old_now) now = old_now;
  if (id == 1) {
    if (token != old_token || now != old_now) {
      decide_raise_row(lease, 1, token, now, err);
    }
  } else {
    if (token != old_token) decide_raise_row(lease, 1, token, first, err);
    if (now != old_now) decide_raise_row(lease, id, 0, now, err);
  }
  lease->mark_token = token;
  lease->mark_now = now;
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

/* Bind a name without a copy: the argument outlives the statement's turn. */
static void decide_bind_name(sqlite3_stmt *stmt, int i, sqlite3_value *value,
                             HfError *err) {
  size_t size;
  const char *text = hf_value_text(value, &size);
  if (text == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  } else {
    sqlite3_bind_text(stmt, i, text, (int)size, SQLITE_STATIC);
  }
}

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

/* Write a new term, whose token the mark has already: of a resource that has
** no row (row->there 0), or in the place of that row, which it becomes. */
static int decide_term(HfLease *lease, Lease *row, const LeaseRequest *request,
                       sqlite3_int64 token, const DecideTerm *term,
                       HfError *err) {
  Lease before = *row;
  LeaseSql sql = row->there ? LEASE_SQL_GRANT : LEASE_SQL_INSERT;
  sqlite3_int64 now = request->now, until = now + request->ttl;
  HfStmt stmt;
  if (err->rc != SQLITE_OK || lease_take(lease, sql, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, token);
  decide_bind_name(stmt.p, 3, request->holder, err);
  sqlite3_bind_int64(stmt.p, 4, now);
  sqlite3_bind_int64(stmt.p, 5, until);
  sqlite3_bind_int64(stmt.p, 6, request->ttl);
  if (request->detail != NULL) sqlite3_bind_value(stmt.p, 7, request->detail);
  if (row->there) {
    sqlite3_bind_text(stmt.p, 2, before.resource, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt.p, 8, row->token);
    sqlite3_bind_int64(stmt.p, 9, row->expires_at);
    sqlite3_bind_int64(stmt.p, 10, term->renewals);
    row->resource = hf_format(err, "%s", before.resource);
  } else {
    decide_bind_name(stmt.p, 2, request->resource, err);
    decide_put(&row->resource, request->resource, err);
  }
  row->holder = NULL;
  decide_put(&row->holder, request->holder, err);
  row->there = 1;
  row->token = token;
  row->acquired_at = now;
  row->expires_at = until;
  row->renewals = term->renewals;
  if (err->rc != SQLITE_OK) {
    lease_give(lease, sql, &stmt);
  } else if (decide_write(lease, sql, &stmt,
                          &(HfDeciding){lease->id, token, until, 0, NULL},
                          err) == SQLITE_OK) {
    decide_record(lease, &before, row, term, err);
  }
  lease_clear(&before);
  return err->rc;
}

static int decide_grant(HfLease *lease, Lease *row, const LeaseRequest *request,
                        const DecideTerm *term, HfError *err) {
  sqlite3_int64 token = 0;
  if (decide_token(lease, &token, err) == SQLITE_OK) {
    decide_raise(lease, token, request->now, err);
  }
  return decide_term(lease, row, request, token, term, err);
}

int lease_decide_free(HfLease *lease, const LeaseRequest *request, Lease *row,
                      HfError *err) {
  int missed, caller = lease_mark_id(lease) != 1;
  sqlite3_int64 token = 0, told = lease->told;
  sqlite3_int64 first = caller ? lease->mark_first : lease->mark_now;
  sqlite3_int64 now = caller ? first : request->now;
  HfStmt stmt;
  if (caller && request->now != lease->mark_now) return 0;
  if (decide_token(lease, &token, err) != SQLITE_OK ||
      lease_take(lease, LEASE_SQL_RAISE_FREE, &stmt, err) != SQLITE_OK) {
    return 1;
  }
  sqlite3_bind_int64(stmt.p, 1, token);
  sqlite3_bind_int64(stmt.p, 2, now);
  sqlite3_bind_int64(stmt.p, 3, lease->mark_token);
  sqlite3_bind_int64(stmt.p, 4, first);
  if (caller) sqlite3_bind_int64(stmt.p, 5, lease->mark_now);
  decide_bind_name(stmt.p, 6, request->resource, err);
  if (err->rc != SQLITE_OK) {
    lease_give(lease, LEASE_SQL_RAISE_FREE, &stmt);
    return 1;
  }
  decide_try(lease, LEASE_SQL_RAISE_FREE, &stmt,
             &(HfDeciding){0, token, now, 0, NULL}, &missed, err);
  if (missed) {
    lease->told = told; /* for it is not */
    hf_error_clear(err);
    return 0;
  }
  if (err->rc == SQLITE_OK) {
    lease->mark_token = token;
    lease->mark_now = request->now;
  }
  decide_term(lease, row, request, token,
              &(DecideTerm){NULL, 0, 0, "acquired", request->detail}, err);
  return 1;
}

/* Bind what READ_SAME compares. */
static void decide_bind_row(const HfLease *lease, sqlite3_stmt *stmt,
                            const Lease *row) {
  sqlite3_bind_text(stmt, 1, row->resource, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 2, row->token);
  sqlite3_bind_text(stmt, 3, row->holder, -1, SQLITE_STATIC);
  sqlite3_bind_int64(stmt, 4, row->acquired_at);
  sqlite3_bind_int64(stmt, 5, row->expires_at);
  sqlite3_bind_int64(stmt, 6, row->renewals);
  if (row->guessed) sqlite3_bind_int64(stmt, 7, lease->mark_now);
}

/* Write to the row.  Returns 1 if it was guessed wrong. */
static int decide_row(HfLease *lease, LeaseSql sql, HfStmt *stmt, Lease *row,
                      sqlite3_int64 time, HfError *err) {
  const HfDeciding what = {lease->id, row->token, time, 0, NULL};
  int missed = 0;
  if (!row->guessed) {
    decide_write(lease, sql, stmt, &what, err);
  } else if (decide_try(lease, sql, stmt, &what, &missed, err), missed) {
    hf_error_clear(err);
  }
  return missed;
}

/* Extend a live lease. */
static int decide_extend(HfLease *lease, Lease *row, sqlite3_int64 ttl,
                         sqlite3_int64 now, sqlite3_value *detail,
                         LeaseVerdict *verdict, HfError *err) {
  HfStmt stmt;
  if ((!row->guessed && decide_raise(lease, 0, now, err) != SQLITE_OK) ||
      lease_take(lease, LEASE_SQL_RENEW, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  decide_bind_row(lease, stmt.p, row);
  sqlite3_bind_int64(stmt.p, 8, now + ttl);
  sqlite3_bind_int64(stmt.p, 9, ttl);
  sqlite3_bind_int(stmt.p, 10, detail != NULL);
  if (detail != NULL) sqlite3_bind_value(stmt.p, 11, detail);
  if (decide_row(lease, LEASE_SQL_RENEW, &stmt, row, now + ttl, err)) {
    *verdict = LEASE_LOST;
  }
  if (err->rc != SQLITE_OK || *verdict == LEASE_LOST) return err->rc;
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
                    given ? request->detail : NULL, verdict, err);
    }
    return err->rc;
  }
  if (row->there && !own &&
      now < row->expires_at + lease->options.lock_delay_ms) {
    *verdict = LEASE_DELAYED;
    return err->rc;
  }
  return decide_grant(lease, row, request,
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
    decide_extend(lease, row, ttl, now, detail, verdict, err);
  }
  return err->rc;
}

int lease_decide_release(HfLease *lease, Lease *row, sqlite3_int64 now,
                         LeaseVerdict *verdict, HfError *err) {
  HfStmt stmt;
  *verdict = LEASE_LOST;
  if ((!row->guessed && decide_raise(lease, 0, now, err) != SQLITE_OK) ||
      !row->there || now >= row->expires_at ||
      lease_take(lease, LEASE_SQL_DELETE, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  decide_bind_row(lease, stmt.p, row);
  if (!decide_row(lease, LEASE_SQL_DELETE, &stmt, row, row->expires_at, err) &&
      err->rc == SQLITE_OK) {
    *verdict = LEASE_GRANTED;
    lease_event(lease, now, "released", row, now - row->acquired_at, NULL, err);
  }
  return err->rc;
}

int lease_decide_give(HfLease *lease, Lease *row, const char *kind,
                      sqlite3_value *holder, sqlite3_value *why,
                      sqlite3_int64 now, LeaseVerdict *verdict, HfError *err) {
  *verdict = LEASE_LOST;
  if (decide_raise(lease, 0, now, err) == SQLITE_OK && row->there &&
      now < row->expires_at) {
    /* The same time is left as before; to give it to oneself is no new
    ** term. */
    const LeaseRequest request = {NULL, holder, NULL, row->expires_at - now,
                                  now};
    *verdict = LEASE_GRANTED;
    decide_grant(
        lease, row, &request,
        &(DecideTerm){"released", now - row->acquired_at,
                      decide_is_holder(row, holder) ? row->renewals : 0, kind,
                      why},
        err);
  }
  return err->rc;
}
