/*
** retention_plan([now [, options]]), a table: what retention_apply would let go
** with the same arguments, one row a table, in the order of the work.
**
**   table_name, tier   as in retention_policy
**   rows               how many rows would go
**   oldest, newest     of them, ms since 1970; NULL without a time column
**   bytes              what their values take, about
**   held               rows that are past, and stay for a hold
**   skipped            rows that are past, and stay for a foreign key
**   blocked            why nothing goes, or no orphan; NULL: nothing is wrong
**
** It writes nothing.
*/
#include <string.h>

#include "retention/retention.h"

typedef struct PlanCursor {
  sqlite3_vtab_cursor base; /* must be first */
  RetModel model;
  RetCounts *counts; /* one a table, in the order */
  int at;
} PlanCursor;

enum {
  PLAN_TABLE,
  PLAN_TIER,
  PLAN_ROWS,
  PLAN_OLDEST,
  PLAN_NEWEST,
  PLAN_BYTES,
  PLAN_HELD,
  PLAN_SKIPPED,
  PLAN_BLOCKED,
  PLAN_NOW,
  PLAN_OPTIONS
};

static int plan_connect(sqlite3 *db, void *aux, int argc,
                        const char *const *argv, sqlite3_vtab **out,
                        char **message) {
  (void)argc;
  (void)argv;
  (void)message;
  return hf_eponymous_connect(
      db, aux, sizeof(HfEponymous),
      "CREATE TABLE retention_plan(table_name TEXT, tier TEXT, rows INTEGER,"
      " oldest INTEGER, newest INTEGER, bytes INTEGER, held INTEGER,"
      " skipped INTEGER, blocked TEXT, now HIDDEN, options HIDDEN)",
      1, out);
}

/* idxNum: 1 for now, 2 for options, by bits. */
static int plan_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  int i, n = 0, column;
  (void)vtab;
  info->idxNum = 0;
  for (column = PLAN_NOW; column <= PLAN_OPTIONS; column++) {
    for (i = 0; i < info->nConstraint; i++) {
      if (info->aConstraint[i].iColumn != column ||
          info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ) {
        continue;
      }
      if (!info->aConstraint[i].usable) return SQLITE_CONSTRAINT;
      info->aConstraintUsage[i].argvIndex = ++n;
      info->aConstraintUsage[i].omit = 1;
      info->idxNum |= 1 << (column - PLAN_NOW);
      break;
    }
  }
  info->estimatedCost = 100000;
  info->estimatedRows = 50;
  return SQLITE_OK;
}

static int plan_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  (void)vtab;
  return hf_cursor_open(sizeof(PlanCursor), out);
}

static void plan_clear(PlanCursor *cursor) {
  retention_model_clear(&cursor->model);
  sqlite3_free(cursor->counts);
  cursor->counts = NULL;
  cursor->at = 0;
}

static int plan_close(sqlite3_vtab_cursor *base) {
  plan_clear((PlanCursor *)base);
  sqlite3_free(base);
  return SQLITE_OK;
}

int retention_now(sqlite3 *db, const char *function, sqlite3_value *value,
                  sqlite3_int64 *now, HfError *err) {
  if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL) {
    return hf_clock_now(hf_clock_vfs(db, "main"), now, err);
  }
  if (!hf_value_whole(value, now) || *now < 0 || *now > RETENTION_MOST) {
    hf_fail(err, SQLITE_ERROR,
            "%s: now is a time in milliseconds since 1970, an INTEGER from 0 "
            "to 3.2e14, or NULL for the clock",
            function);
  }
  return err->rc;
}

int retention_settings(sqlite3 *db, const char *function, sqlite3_value *value,
                       RetOptions *options, HfError *err) {
  const char *json = NULL;
  if (value != NULL && sqlite3_value_type(value) != SQLITE_NULL) {
    json = hf_argument_text(value, "options are a JSON object", err);
  }
  return retention_options(db, function, json, options, err);
}

/* An error of one table, in an expression perhaps, is what blocks it. */
static int plan_one(RetModel *model, RetTable *t, RetCounts *counts,
                    HfError *err) {
  retention_where(model, t, err);
  retention_guard_parent(model, t, err);
  retention_count(model, t, counts, err);
  if (err->rc == SQLITE_ERROR && err->message != NULL) {
    char *words = err->message;
    memset(err, 0, sizeof(*err));
    retention_bar(t, words);
    sqlite3_free(t->doomed);
    t->doomed = NULL;
  }
  return err->rc;
}

static int plan_filter(sqlite3_vtab_cursor *base, int idx_num,
                       const char *idx_str, int argc, sqlite3_value **argv) {
  PlanCursor *cursor = (PlanCursor *)base;
  HfConn *conn = ((HfEponymous *)base->pVtab)->conn;
  HfError err = {SQLITE_OK, NULL};
  RetOptions options;
  sqlite3_int64 now = 0;
  int i;
  (void)idx_str;
  (void)argc;
  plan_clear(cursor);
  retention_now(conn->db, "retention_plan", idx_num & 1 ? argv[0] : NULL, &now,
                &err);
  retention_settings(conn->db, "retention_plan",
                     idx_num & 2 ? argv[idx_num & 1] : NULL, &options, &err);
  if (err.rc == SQLITE_OK &&
      retention_model_load(conn, now, &options, &cursor->model, &err) ==
          SQLITE_OK) {
    retention_guard_clock(&cursor->model, &err);
    cursor->counts = sqlite3_malloc64(
        sizeof(*cursor->counts) * (sqlite3_uint64)(cursor->model.ordered + 1));
    if (cursor->counts == NULL) hf_fail(&err, SQLITE_NOMEM, NULL);
  }
  for (i = 0; cursor->counts != NULL && i < cursor->model.ordered &&
              err.rc == SQLITE_OK;
       i++) {
    memset(&cursor->counts[i], 0, sizeof(*cursor->counts));
    plan_one(&cursor->model, &cursor->model.table[cursor->model.order[i]],
             &cursor->counts[i], &err);
  }
  return hf_error_to_vtab(&err, base->pVtab);
}

static int plan_next(sqlite3_vtab_cursor *base) {
  ((PlanCursor *)base)->at++;
  return SQLITE_OK;
}

static int plan_eof(sqlite3_vtab_cursor *base) {
  PlanCursor *cursor = (PlanCursor *)base;
  return cursor->at >= cursor->model.ordered;
}

static int plan_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                       int column) {
  PlanCursor *cursor = (PlanCursor *)base;
  const RetTable *t = &cursor->model.table[cursor->model.order[cursor->at]];
  const RetCounts *c = &cursor->counts[cursor->at];
  switch (column) {
    case PLAN_TABLE:
      sqlite3_result_text(context, t->name, -1, SQLITE_TRANSIENT);
      break;
    case PLAN_TIER:
      sqlite3_result_text(context, t->tier, -1, SQLITE_TRANSIENT);
      break;
    case PLAN_ROWS:
      sqlite3_result_int64(context, c->rows);
      break;
    case PLAN_OLDEST:
      if (c->dated) sqlite3_result_int64(context, c->oldest);
      break;
    case PLAN_NEWEST:
      if (c->dated) sqlite3_result_int64(context, c->newest);
      break;
    case PLAN_BYTES:
      sqlite3_result_int64(context, c->bytes);
      break;
    case PLAN_HELD:
      sqlite3_result_int64(context, c->held);
      break;
    case PLAN_SKIPPED:
      sqlite3_result_int64(context, c->skipped);
      break;
    case PLAN_BLOCKED:
      sqlite3_result_text(context, t->blocked, -1, SQLITE_TRANSIENT);
      break;
    case PLAN_NOW:
      sqlite3_result_int64(context, cursor->model.now);
      break;
    default:
      break;
  }
  return SQLITE_OK;
}

static int plan_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = ((PlanCursor *)base)->at + 1;
  return SQLITE_OK;
}

int retention_plan_register(HfConn *conn) {
  static const sqlite3_module module = {
      .iVersion = 0,
      .xConnect = plan_connect,
      .xBestIndex = plan_best_index,
      .xDisconnect = hf_eponymous_disconnect,
      .xOpen = plan_open,
      .xClose = plan_close,
      .xFilter = plan_filter,
      .xNext = plan_next,
      .xEof = plan_eof,
      .xColumn = plan_column,
      .xRowid = plan_rowid,
  };
  return hf_register_module(conn, "retention_plan", &module);
}
