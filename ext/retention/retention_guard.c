/*
** What keeps a table from being cleaned: a clock that the data cannot have, a
** unit that is not that of its times, a parent table that looks wrong.  And the
** counting of what goes.
*/
#include <math.h>
#include <string.h>

#include "retention/retention.h"

/* Five years: a time in the wrong unit is further away than this. */
#define GUARD_NEAR (1826 * RETENTION_DAY)

/* ---- clock and units ----------------------------------------------------- */

/* A number as milliseconds, if it is of that unit. */
static double guard_ms(double value, RetUnit unit) {
  if (unit == RET_S) return value * 1000.0;
  if (unit == RET_JULIAN) return value * 86400000.0 - 210866760000000.0;
  return value;
}

static int guard_near(double value, RetUnit unit, sqlite3_int64 now) {
  double distance = guard_ms(value, unit) - (double)now;
  return distance < GUARD_NEAR && distance > -GUARD_NEAR;
}

static void guard_unit(const RetModel *model, RetTable *t, const char *type,
                       double value, HfError *err) {
  static const char *const name[] = {"s", "ms", "iso8601", "julian"};
  static const RetUnit unit[] = {RET_S, RET_MS, RET_JULIAN};
  int number = strcmp(type, "integer") == 0 || strcmp(type, "real") == 0;
  size_t i;
  if ((t->unit == RET_ISO) == number) {
    retention_bar(t, hf_format(err,
                               "its times are of type %s, and time_unit is %s; "
                               "set the unit right",
                               type, name[t->unit]));
    return;
  }
  if (!number || guard_near(value, t->unit, model->now)) return;
  for (i = 0; i < sizeof(unit) / sizeof(*unit); i++) {
    if (unit[i] == t->unit || !guard_near(value, unit[i], model->now)) continue;
    retention_bar(t, hf_format(err,
                               "its times look like %s, and time_unit is %s; "
                               "set the unit right",
                               name[unit[i]], name[t->unit]));
    return;
  }
}

/* The newest time of a table: the value, and for a text the milliseconds. */
static char *guard_newest_sql(const RetTable *t, HfError *err) {
  sqlite3_str *sql;
  if (t->unit != RET_ISO) {
    return hf_format(err, "SELECT max(%s) FROM main.\"%w\"", t->time, t->name);
  }
  sql = sqlite3_str_new(NULL);
  sqlite3_str_appendall(sql, "SELECT x, ");
  retention_text_ms(sql, "x", t->unit);
  sqlite3_str_appendf(sql, " FROM (SELECT max(%s) AS x FROM main.\"%w\")",
                      t->time, t->name);
  return hf_str_finish(sql, err);
}

static sqlite3_int64 guard_number(sqlite3_stmt *stmt, RetUnit unit) {
  double ms = round(guard_ms(sqlite3_column_double(stmt, 0), unit));
  if (unit == RET_MS && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER) {
    return sqlite3_column_int64(stmt, 0);
  }
  if (ms >= 9.2e18) return INT64_MAX;
  return ms <= -9.2e18 ? INT64_MIN : (sqlite3_int64)ms;
}

static int guard_newest(const RetModel *model, RetTable *t, int *there,
                        sqlite3_int64 *newest, HfError *err) {
  static const char *const name[] = {"", "integer", "real", "text", "blob"};
  sqlite3_stmt *stmt = NULL;
  char *sql = guard_newest_sql(t, err);
  *there = 0;
  if (sql != NULL) hf_prepare(model->conn->db, &stmt, err, "%s", sql);
  sqlite3_free(sql);
  if (err->rc != SQLITE_OK) return err->rc;
  if (sqlite3_step(stmt) != SQLITE_ROW) {
    hf_fail_db(err, model->conn->db);
  } else if (sqlite3_column_type(stmt, 0) != SQLITE_NULL) {
    guard_unit(model, t, name[sqlite3_column_type(stmt, 0)],
               sqlite3_column_double(stmt, 0), err);
    *there = !t->barred && (t->unit != RET_ISO ||
                            sqlite3_column_type(stmt, 1) == SQLITE_INTEGER);
    *newest = t->unit != RET_ISO ? guard_number(stmt, t->unit)
                                 : sqlite3_column_int64(stmt, 1);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

/* Does nothing but its age say whether a row goes?  Then what else there is to
** be read and checked of the table can wait until one is old enough. */
static int guard_by_age(const RetTable *t) {
  return t->time != NULL && t->keep >= 0 && t->child_key == NULL && !t->thin &&
         t->latest == 0 && !t->holds && t->keep_filter == NULL &&
         t->foreigns == 0;
}

/* Is no row of such a table old enough?  Mostly so, and this is the shortest
** way to know.  idle: its rows then, or -1. */
static int guard_idle(const RetModel *model, RetTable *t, HfError *err) {
  sqlite3_str *sql;
  sqlite3_int64 old = 1;
  char *text;
  if (t->barred || !guard_by_age(t) || err->rc != SQLITE_OK) return err->rc;
  sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql, "SELECT 1 FROM main.\"%w\" WHERE ", t->name);
  retention_text_bound(sql, t->time, t->unit, model->now - t->keep);
  sqlite3_str_appendall(sql, " LIMIT 1");
  text = hf_str_finish(sql, err);
  if (text != NULL) hf_query_int(model->conn->db, err, 0, &old, "%s", text);
  sqlite3_free(text);
  if (err->rc == SQLITE_OK && !old) {
    hf_query_int(model->conn->db, err, 0, &t->idle,
                 "SELECT count(*) FROM main.\"%w\"", t->name);
  }
  return err->rc;
}

/* The tables' own newest times, for all that have one. */
static const RetTable *guard_all(RetModel *model, sqlite3_int64 *newest,
                                 HfError *err) {
  const RetTable *found = NULL;
  int i;
  for (i = 0; i < model->tables && err->rc == SQLITE_OK; i++) {
    RetTable *t = &model->table[i];
    sqlite3_int64 time = 0;
    int there = 0;
    if (t->barred || t->time == NULL) continue;
    if (guard_newest(model, t, &there, &time, err) != SQLITE_OK) break;
    if (there && (found == NULL || time > *newest)) {
      *newest = time;
      found = t;
    }
    if (model->apply) guard_idle(model, t, err);
  }
  return found;
}

/* How far the clock may be ahead: a year after a run, five years where none is
** known, for a table may hold nothing new. */
int retention_guard_clock(RetModel *model, HfError *err) {
  sqlite3_int64 last = 0, newest = 0;
  const RetTable *found;
  int i;
  hf_query_int(model->conn->db, err, -1, &last,
               "SELECT now FROM main.retention_run ORDER BY now DESC LIMIT 1");
  found = guard_all(model, &newest, err);
  if (err->rc != SQLITE_OK || model->options.force) return err->rc;
  if (model->now < last) {
    model->clock_words = hf_format(
        err,
        "the clock is in the past: now is %lld, and the last run was at %lld; "
        "set it right, or give {\"force\":true}",
        model->now, last);
  } else if (found != NULL && newest - model->now > model->options.past_ms) {
    model->clock_words = hf_format(
        err,
        "the clock is in the past of the data: now is %lld, and %s has a row "
        "of %lld; set it right, correct the row, or give {\"force\":true}",
        model->now, found->name, newest);
  } else if (found != NULL) {
    sqlite3_int64 known = newest > last ? newest : last;
    sqlite3_int64 most = model->options.future_ms;
    if (most < 0) most = (last >= 0 ? 366 : 1826) * RETENTION_DAY;
    if (model->now - known > most) {
      model->clock_words = hf_format(
          err,
          "the clock is in the future of the data: now is %lld, and nothing is "
          "newer than %lld; set it right, or give {\"force\":true}",
          model->now, known);
    }
  }
  for (i = 0; i < model->tables && model->clock_words != NULL; i++) {
    retention_bar(&model->table[i], hf_format(err, "%s", model->clock_words));
  }
  return err->rc;
}

/* ---- parents ------------------------------------------------------------- */

/* Orphans are not taken, and why. */
static int guard_refuse(RetModel *model, RetTable *t, char *words,
                        HfError *err) {
  if (t->timed == NULL) {
    retention_bar(t, words);
  } else {
    sqlite3_free(t->blocked);
    t->blocked = words;
  }
  return retention_where_no_orphans(model, t, err);
}

/* *orphans go for nothing else, *aged for their age; *left: the parent will
** have rows. */
static int guard_parent_count(const RetModel *model, const RetTable *t,
                              const char *with, sqlite3_int64 *orphans,
                              sqlite3_int64 *aged, sqlite3_int64 *left,
                              HfError *err) {
  sqlite3 *db = model->conn->db;
  const RetTable *parent =
      t->parent_at >= 0 ? &model->table[t->parent_at] : NULL;
  hf_query_int(db, err, 0, orphans,
               "%s SELECT count(*) FROM main.\"%w\" AS \"%w\" WHERE %s"
               " AND (%s) IS NOT 1",
               with, t->name, t->name, t->doomed, t->timed ? t->timed : "0");
  if (err->rc != SQLITE_OK || *orphans == 0) return err->rc;
  if (t->timed != NULL) {
    hf_query_int(db, err, 0, aged,
                 "%s SELECT count(*) FROM main.\"%w\" AS \"%w\" WHERE (%s)"
                 " AND (%s)",
                 with, t->name, t->name, t->doomed, t->timed);
  }
  if (model->apply || parent == NULL || parent->doomed == NULL) {
    return hf_query_int(db, err, 0, left,
                        "SELECT EXISTS (SELECT 1 FROM main.\"%w\")", t->parent);
  }
  return hf_query_int(db, err, 0, left,
                      "%s SELECT EXISTS (SELECT 1 FROM main.\"%w\""
                      " WHERE (%s) NOT IN (SELECT * FROM \"holdfast d%d\"))",
                      with, t->parent, parent->ids, t->parent_at);
}

/* An empty parent, or one that misses most of what is referred to, is more
** likely the outcome of a failed import than the truth.  What goes for its age
** anyway counts for neither side, so that a second run finds the same. */
int retention_guard_parent(RetModel *model, RetTable *t, HfError *err) {
  sqlite3_int64 rows = 0, aged = 0, orphans = 0, left = 0;
  char *with;
  if (err->rc != SQLITE_OK || t->barred || t->orphan == NULL ||
      model->options.force) {
    return err->rc;
  }
  with = retention_with(model, t, err);
  guard_parent_count(model, t, with, &orphans, &aged, &left, err);
  sqlite3_free(with);
  if (orphans == 0 || err->rc != SQLITE_OK) return err->rc;
  if (!left) {
    return guard_refuse(model, t,
                        hf_format(err,
                                  "reference empty: its parent %s has no rows, "
                                  "so all of them look like orphans; fill it, "
                                  "or give {\"force\":true}",
                                  t->parent),
                        err);
  }
  hf_query_int(model->conn->db, err, 0, &rows,
               "SELECT count(*) FROM main.\"%w\"", t->name);
  if (err->rc == SQLITE_OK &&
      (double)orphans > model->options.max_fraction * (double)(rows - aged)) {
    guard_refuse(model, t,
                 hf_format(err,
                           "%lld of %lld rows have no parent in %s, more than "
                           "max_fraction; fill it, or give {\"force\":true}",
                           orphans, rows - aged, t->parent),
                 err);
  }
  return err->rc;
}

/* ---- counting ------------------------------------------------------------ */

/* Bytes of a row as an SQL text: what its values take. */
static char *guard_bytes(const RetModel *model, const RetTable *t,
                         HfError *err) {
  char *text;
  hf_query_text(model->conn->db, err, &text,
                "SELECT group_concat(printf('iif(typeof(\"%%w\") IN (''text'',"
                " ''blob''), length(CAST(\"%%w\" AS BLOB)), 8)', name, name),"
                " ' + ') FROM pragma_table_xinfo(%Q, 'main')"
                " WHERE hidden IN (0, 3)",
                t->name);
  return text;
}

static char *guard_count_sql(const RetModel *model, const RetTable *t,
                             HfError *err) {
  char *bytes = model->apply ? NULL : guard_bytes(model, t, err);
  char *with = retention_with(model, t, err);
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql,
                      "%s SELECT s, count(*), min(m), max(m), sum(b) FROM"
                      " (SELECT CASE",
                      with ? with : "");
  sqlite3_free(with);
  if (t->held) sqlite3_str_appendf(sql, " WHEN %s THEN 1", t->held);
  if (t->protect) sqlite3_str_appendf(sql, " WHEN %s THEN 2", t->protect);
  sqlite3_str_appendall(sql, " WHEN 0 THEN 0 ELSE 0 END AS s, ");
  if (!model->apply && t->time != NULL) {
    retention_text_ms(sql, t->time, t->unit);
  } else {
    sqlite3_str_appendall(sql, "NULL");
  }
  sqlite3_str_appendf(sql,
                      " AS m, %s AS b FROM main.\"%w\" AS \"%w\" WHERE %s)"
                      " GROUP BY s",
                      bytes ? bytes : "0", t->name, t->name, t->past);
  sqlite3_free(bytes);
  return hf_str_finish(sql, err);
}

int retention_count(RetModel *model, const RetTable *t, RetCounts *counts,
                    HfError *err) {
  sqlite3_stmt *stmt = NULL;
  char *sql;
  int rc = SQLITE_DONE;
  memset(counts, 0, sizeof(*counts));
  if (t->barred || err->rc != SQLITE_OK) return err->rc;
  sql = guard_count_sql(model, t, err);
  if (sql != NULL) hf_prepare(model->conn->db, &stmt, err, "%s", sql);
  sqlite3_free(sql);
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    sqlite3_int64 n = sqlite3_column_int64(stmt, 1);
    if (sqlite3_column_int(stmt, 0) == 1) {
      counts->held = n;
    } else if (sqlite3_column_int(stmt, 0) == 2) {
      counts->skipped = n;
    } else {
      counts->rows = n;
      counts->dated = sqlite3_column_type(stmt, 2) != SQLITE_NULL;
      counts->oldest = sqlite3_column_int64(stmt, 2);
      counts->newest = sqlite3_column_int64(stmt, 3);
      counts->bytes = sqlite3_column_int64(stmt, 4);
    }
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) {
    hf_fail_db(err, model->conn->db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}
