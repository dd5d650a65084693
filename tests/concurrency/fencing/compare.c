/*
** See model.h: the whole database against the whole world.
*/
#include <string.h>

#include "model.h"

static const char *const kind_name[] = {"acquired",   "renewed",   "released",
                                        "expired",    "contended", "stolen",
                                        "transferred"};

static int is_text(sqlite3_stmt *stmt, int column, const char *text) {
  const char *got = (const char *)sqlite3_column_text(stmt, column);
  if (got == NULL || text == NULL) return got == NULL && text == NULL;
  return strcmp(got, text) == 0;
}

static int is_number(sqlite3_stmt *stmt, int column, Number n) {
  return sqlite3_column_type(stmt, column) == SQLITE_INTEGER &&
         sqlite3_column_int64(stmt, column) == n;
}

/* NULL for a number below 1. */
static int is_positive(sqlite3_stmt *stmt, int column, Number n) {
  return n < 1 ? sqlite3_column_type(stmt, column) == SQLITE_NULL
               : is_number(stmt, column, n);
}

static int find(const char *const *names, int count, sqlite3_stmt *stmt,
                int column) {
  int i;
  for (i = 0; i < count; i++) {
    if (is_text(stmt, column, names[i])) return i;
  }
  fail("there is the name '%s'", sqlite3_column_text(stmt, column));
}

static int next(Run *run, sqlite3_stmt *stmt) {
  int rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) return 1;
  if (rc != SQLITE_DONE) fail("%s", sqlite3_errmsg(run->at->db));
  sqlite3_reset(stmt);
  return 0;
}

/* Columns resource, holder, token, acquired_at, expires_at, renewals, detail,
** ttl_ms of a row are those of this lease. */
static void same_lease(sqlite3_stmt *stmt, const Held *held, int resource) {
  if (!is_text(stmt, 1, holder_name[held->holder]) ||
      !is_number(stmt, 2, held->token) || !is_number(stmt, 3, held->acquired) ||
      !is_number(stmt, 4, held->expires) ||
      !is_number(stmt, 5, held->renewals) ||
      !is_text(stmt, 6, detail_name(held->detail)) ||
      !is_number(stmt, 7, held->ttl)) {
    fail("the lease of %s: holder %s token %s at %s until %s renewals %s; "
         "expected %s %lld %lld %lld %lld",
         resource_name[resource], sqlite3_column_text(stmt, 1),
         sqlite3_column_text(stmt, 2), sqlite3_column_text(stmt, 3),
         sqlite3_column_text(stmt, 4), sqlite3_column_text(stmt, 5),
         holder_name[held->holder], held->token, held->acquired, held->expires,
         held->renewals);
  }
}

static void compare_held(Run *run, int t) {
  sqlite3_stmt *stmt = ask_bind(
      run->at,
      ask_text("SELECT resource, holder, token, acquired_at, expires_at, "
               "renewals, detail, ttl_ms FROM l%d_held",
               t),
      "");
  int count = 0, resource;
  while (next(run, stmt)) {
    resource = find(resource_name, RESOURCES, stmt, 0);
    if (!run->world.table[t].held[resource].there) {
      fail("there is a row of %s", resource_name[resource]);
    }
    same_lease(stmt, &run->world.table[t].held[resource], resource);
    count++;
  }
  for (resource = 0; resource < RESOURCES; resource++) {
    count -= run->world.table[t].held[resource].there;
  }
  if (count != 0) fail("l%d_held lacks rows", t);
}

const char *where_text(Where where, int by_rowid) {
  if (where.resource >= 0) return " AND resource = ?1";
  if (where.holder >= 0) return " AND holder = ?1";
  if (where.token >= 0) return by_rowid ? " AND rowid = ?1" : " AND token = ?1";
  return " AND ?1 IS NULL";
}

void compare_select(Run *run, int t, Where where, Number now) {
  const char *head = ask_text(
      "SELECT resource, holder, token, acquired_at, expires_at, renewals, "
      "detail, ttl_ms, now, rowid FROM l%d WHERE now = ?2",
      t);
  char sql[400];
  sqlite3_stmt *stmt;
  Number time = oracle_time(&run->world, t, now);
  int count = 0, resource;
  sqlite3_snprintf(sizeof(sql), sql, "%s%s", head, where_text(where, 0));
  if (where.token >= 0) {
    stmt = ask_bind(run->at, sql, "kn", where.token, now);
  } else {
    stmt = ask_bind(run->at, sql, "tn",
                    where.resource >= 0 ? resource_name[where.resource]
                    : where.holder >= 0 ? holder_name[where.holder]
                                        : NULL,
                    now);
  }
  if (now == NO_NOW) { /* nothing equals NULL */
    if (next(run, stmt)) fail("%s: finds a row", sql);
    return;
  }
  if (now < 0) {
    if (ask_run(run->at, stmt).rc == SQLITE_OK) fail("%s: no error", sql);
    return;
  }
  while (next(run, stmt)) {
    resource = find(resource_name, RESOURCES, stmt, 0);
    if (!oracle_selects(&run->world, t, where, resource, now)) {
      fail("%s: finds %s at %lld", sql, resource_name[resource], time);
    }
    same_lease(stmt, &run->world.table[t].held[resource], resource);
    if (!is_number(stmt, 8, time)) fail("%s: now is not %lld", sql, time);
    if (!is_number(stmt, 9, sqlite3_column_int64(stmt, 2))) {
      fail("%s: the rowid is not the token", sql);
    }
    count++;
  }
  for (resource = 0; resource < RESOURCES; resource++) {
    count -= oracle_selects(&run->world, t, where, resource, now);
  }
  if (count != 0) fail("%s: rows are missing at %lld", sql, time);
}

/* A row of the history: at, kind, resource, holder, token, held_ms, detail. */
static int is_event(sqlite3_stmt *stmt, const Event *event) {
  const char *detail =
      event->detail >= WHO ? holder_name[event->detail - WHO] : NULL;
  return is_number(stmt, 0, event->at) &&
         is_text(stmt, 1, kind_name[event->kind]) &&
         is_text(stmt, 2, resource_name[event->resource]) &&
         is_text(stmt, 3, holder_name[event->holder]) &&
         is_number(stmt, 4, event->token) &&
         (event->held_ms < 0 ? is_text(stmt, 5, NULL)
                             : is_number(stmt, 5, event->held_ms)) &&
         is_text(stmt, 6, detail ? detail : detail_name(event->detail));
}

/* Is it an event of a refusal that a wall has made? */
static int was_denied(const Run *run, int t, sqlite3_stmt *stmt) {
  int i, count = run->denials < DENIALS ? run->denials : DENIALS;
  if (!is_text(stmt, 1, "contended")) return 0;
  for (i = 0; i < count; i++) {
    const Denial *denial = &run->denial[i];
    if (denial->t == t && is_text(stmt, 2, resource_name[denial->resource]) &&
        is_text(stmt, 3, holder_name[denial->holder]) &&
        is_number(stmt, 4, denial->token) &&
        is_text(stmt, 6, holder_name[denial->has])) {
      return 1;
    }
  }
  return 0;
}

static void compare_events(Run *run, int t, int prune) {
  Table *table = &run->world.table[t];
  sqlite3_stmt *stmt = ask_bind(
      run->at,
      ask_text("SELECT at, kind, resource, holder, token, held_ms, detail "
               "FROM l%d_event ORDER BY rowid",
               t),
      "");
  int i = 0, committed = sqlite3_get_autocommit(run->at->db);
  Number last = run->told[t];
  while (next(run, stmt)) {
    const Event *event = &table->event[i];
    if (i < table->events && is_event(stmt, event)) {
      i++;
      if (event->kind == ACQUIRED || event->kind == STOLEN ||
          event->kind == TRANSFERRED) {
        if (event->token <= last) fail("token %lld was reused", event->token);
        last = event->token;
      }
    } else if (!was_denied(run, t, stmt)) {
      fail("the history of l%d has at %s: %s, %s, %s, %s, %s, %s; expected %s "
           "of token %lld at %lld",
           t, sqlite3_column_text(stmt, 0), sqlite3_column_text(stmt, 1),
           sqlite3_column_text(stmt, 2), sqlite3_column_text(stmt, 3),
           sqlite3_column_text(stmt, 4), sqlite3_column_text(stmt, 5),
           sqlite3_column_text(stmt, 6),
           i < table->events ? kind_name[event->kind] : "nothing", event->token,
           event->at);
    }
  }
  if (i < table->events) {
    fail("the history of l%d lacks at %lld: %s, %s, token %lld", t,
         table->event[i].at, kind_name[table->event[i].kind],
         resource_name[table->event[i].resource], table->event[i].token);
  }
  if (prune) {
    ask_run(run->at,
            ask_bind(run->at, ask_text("DELETE FROM l%d_event", t), ""));
    table->events = 0;
    if (committed) run->told[t] = last;
  }
}

static void compare_work(Run *run, int t) {
  sqlite3_stmt *stmt = ask_bind(
      run->at, ask_text("SELECT id, task, token, u, n FROM work%d", t), "");
  const Table *table = &run->world.table[t];
  int count = 0, id;
  while (next(run, stmt)) {
    const Work *row;
    id = sqlite3_column_int(stmt, 0);
    row = &table->work[id];
    if (!row->there || !is_text(stmt, 1, resource_name[row->task]) ||
        !is_positive(stmt, 2, row->token) || !is_positive(stmt, 3, row->u) ||
        !is_number(stmt, 4, row->n)) {
      fail("work%d: row %d is %s, %s, %s, %s; expected %d: %s, %lld, %lld, "
           "%lld",
           t, id, sqlite3_column_text(stmt, 1), sqlite3_column_text(stmt, 2),
           sqlite3_column_text(stmt, 3), sqlite3_column_text(stmt, 4),
           row->there, resource_name[row->task], row->token, row->u, row->n);
    }
    count++;
  }
  for (id = 1; id <= IDS; id++) count -= table->work[id].there;
  if (count != 0) fail("work%d lacks rows", t);
}

static void compare_mark(Run *run, Number id, Number token, Number now) {
  sqlite3_stmt *stmt =
      ask_bind(run->at, "SELECT token, now FROM lease_high_water WHERE id = ?1",
               "i", id);
  if (!next(run, stmt) || !is_number(stmt, 0, token) ||
      !is_number(stmt, 1, now)) {
    fail("the high-water mark %lld is %s, %s; expected %lld, %lld", id,
         sqlite3_column_text(stmt, 0), sqlite3_column_text(stmt, 1), token,
         now);
  }
  sqlite3_reset(stmt);
}

void compare(Run *run, int prune) {
  int t;
  /* The tokens are of all tables; the time that callers give is their own. */
  compare_mark(run, 1, run->world.token, 0);
  for (t = 0; t < TABLES; t++) {
    compare_mark(run, run->mark[t], 0, run->world.table[t].now);
    compare_held(run, t);
    compare_events(run, t, prune);
    compare_work(run, t);
  }
}
