/*
** The conditions under which a row goes, as SQL text.
**
**   past      its time is over, or its parent is gone, and nothing spares it
**   held      a hold is on it
**   protect   a row that stays refers to it by a foreign key
**   doomed    past, and neither held nor protected
**
** Every table goes by its own name in every statement, so that an expression
** somebody wrote may use it, too.
*/
#include <string.h>

#include "retention/retention.h"

static char *where_column(const RetTable *t, const char *column, HfError *err) {
  return hf_format(err, "\"%w\".%s", t->name, column);
}

/* The text of a condition, NULL for none.  Where memory ran out it is empty,
** too, which must not be taken for none. */
static char *where_text(sqlite3_str *sql, HfError *err) {
  char *text = hf_str_finish(sql, err);
  if (text != NULL && *text == 0) {
    sqlite3_free(text);
    text = NULL;
  }
  return text;
}

/* Append the columns of a list that is quoted, or rowid, each as one of the
** table's, with `between` between them, and `after` behind the first. */
static void where_each(sqlite3_str *sql, const RetTable *t, const char *list,
                       const char *between, const char *after) {
  const char *z, *end, *next;
  for (z = list; *z != 0; z = next) { /* "a", "b" */
    end = hf_sql_skip(z);
    while (*z == '"' ? *end == '"' : hf_sql_is_word(*end)) {
      end = hf_sql_skip(end);
    }
    sqlite3_str_appendf(sql, "%s\"%w\".%.*s%s", z == list ? "" : between,
                        t->name, (int)(end - z), z, z == list ? after : "");
    for (next = end; *next == ',' || *next == ' '; next++) {
    }
  }
}

/* Append: the row of another table that goes by the plan is not this one.  Its
** rows that do are listed once, in front of the statement. */
static void where_not_doomed(sqlite3_str *sql, const RetModel *model,
                             const RetTable *t) {
  sqlite3_str_appendall(sql, " AND (");
  where_each(sql, t, t->ids, ", ", "");
  sqlite3_str_appendf(sql, ") NOT IN (SELECT * FROM \"holdfast d%d\")",
                      (int)(t - model->table));
}

/* Mark the tables on whose plan that of table i rests, and append each before
** those that rest on it. */
static void where_needed(sqlite3_str *sql, const RetModel *model, int i,
                         unsigned char *seen) {
  const RetTable *t = &model->table[i];
  int f;
  if (seen[i]) return;
  seen[i] = 1;
  for (f = 0; f < t->foreigns; f++) {
    int at = t->foreign[f].at;
    if (at >= 0 && model->table[at].doomed != NULL) {
      where_needed(sql, model, at, seen);
    }
  }
  if (t->parent_at >= 0 && model->table[t->parent_at].doomed != NULL) {
    where_needed(sql, model, t->parent_at, seen);
  }
  sqlite3_str_appendf(sql,
                      "%s \"holdfast d%d\" AS MATERIALIZED (SELECT %s FROM"
                      " main.\"%w\" AS \"%w\" WHERE %s)",
                      sqlite3_str_length(sql) > 0 ? "," : "WITH", i, t->ids,
                      t->name, t->name, t->doomed);
}

char *retention_with(const RetModel *model, const RetTable *t, HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  unsigned char *seen = sqlite3_malloc64((sqlite3_uint64)model->tables);
  int f;
  if (seen == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
  if (seen != NULL) memset(seen, 0, (size_t)model->tables);
  for (f = 0; f < t->foreigns && seen != NULL && !model->apply; f++) {
    int at = t->foreign[f].at;
    if (at >= 0 && &model->table[at] != t && model->table[at].doomed != NULL) {
      where_needed(sql, model, at, seen);
    }
  }
  if (seen != NULL && !model->apply && t->parent_at >= 0 &&
      model->table[t->parent_at].doomed != NULL) {
    where_needed(sql, model, t->parent_at, seen);
  }
  sqlite3_free(seen);
  return hf_str_finish(sql, err);
}

/* ---- ages ---------------------------------------------------------------- */

/* The columns that find a row, as a result that has their names, which the
** rowid of a table with an INTEGER PRIMARY KEY has not by itself. */
static char *where_named(const RetTable *t, HfError *err) {
  if (*t->ids == '"') return hf_format(err, "%s", t->ids);
  return hf_format(err, "%s AS %s", t->ids, t->ids);
}

/* The columns that find a row, on the left of IN. */
static void where_aliased(sqlite3_str *sql, const RetTable *t) {
  sqlite3_str_appendf(sql, t->id_count == 1 ? "%s" : "(%s)", t->ids);
}

/* The row is none of the newest of its key.  Orphans, which go anyway, have no
** rank here or below, lest that of others change when they have gone. */
static void where_latest(sqlite3_str *sql, const RetTable *t, HfError *err) {
  char *alias = where_named(t, err);
  int iso = t->time != NULL && t->unit == RET_ISO;
  if (alias == NULL) return;
  where_aliased(sql, t);
  sqlite3_str_appendf(
      sql,
      " NOT IN (SELECT %s FROM (SELECT %s, row_number() OVER ("
      "%s%s ORDER BY %s%s%s DESC, %s DESC) AS \"holdfast n\""
      " FROM main.\"%w\" AS \"%w\"%s%s%s)"
      " WHERE \"holdfast n\" <= %lld)",
      t->ids, alias, *t->latest_key ? "PARTITION BY " : "", t->latest_key,
      iso ? "julianday(" : "", t->time ? t->time : t->ids, iso ? ")" : "",
      t->ids, t->name, t->name, t->orphan ? " WHERE (" : "",
      t->orphan ? t->orphan : "", t->orphan ? ") IS NOT 1" : "", t->latest);
  sqlite3_free(alias);
}

/* The period in which a time lies: its day, its Monday or its month. */
static void where_period(sqlite3_str *sql, const RetTable *t,
                         const char *period) {
  int monthly = strcmp(period, "monthly") == 0;
  sqlite3_str_appendf(sql, "strftime('%s', (", monthly ? "%Y-%m" : "%Y-%m-%d");
  retention_text_ms(sql, t->time, t->unit);
  sqlite3_str_appendf(sql, ") / 1000.0, 'unixepoch'%s)",
                      strcmp(period, "weekly") == 0 ? ", '-6 days', 'weekday 1'"
                                                    : "");
}

/* One step of thinning: rows between its age and the next one's that are not
** the first in their period.  The first one stays the first, so that the same
** row survives however often this is done. */
static void where_step(sqlite3_str *sql, const RetModel *model,
                       const RetTable *t, const char *period, const char *keys,
                       sqlite3_int64 after, sqlite3_int64 until, HfError *err) {
  char *alias = where_named(t, err);
  if (alias == NULL) return;
  where_aliased(sql, t);
  sqlite3_str_appendf(sql,
                      " IN (SELECT %s FROM (SELECT %s, row_number() OVER ("
                      "PARTITION BY %s%s",
                      t->ids, alias, keys, *keys ? ", " : "");
  where_period(sql, t, period);
  sqlite3_str_appendall(sql, " ORDER BY ");
  retention_text_ms(sql, t->time, t->unit);
  sqlite3_str_appendf(sql,
                      ", %s) AS \"holdfast n\" FROM main.\"%w\" AS \"%w\""
                      " WHERE ",
                      t->ids, t->name, t->name);
  retention_text_before(sql, t->time, t->unit, model->now - after);
  if (until >= 0) {
    sqlite3_str_appendall(sql, " AND NOT (");
    retention_text_before(sql, t->time, t->unit, model->now - until);
    sqlite3_str_appendall(sql, ")");
  }
  if (t->orphan) sqlite3_str_appendf(sql, " AND (%s) IS NOT 1", t->orphan);
  sqlite3_str_appendall(sql, ") WHERE \"holdfast n\" > 1)");
  sqlite3_free(alias);
}

static int where_thin(const RetModel *model, const RetTable *t,
                      sqlite3_str *sql, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  int rc = SQLITE_DONE;
  hf_prepare(
      model->conn->db, &stmt, err,
      "SELECT period, after_ms, lead(after_ms) OVER (ORDER BY after_ms),"
      " (SELECT coalesce(group_concat(printf('\"%%w\".\"%%w\"', %Q, value),"
      "  ', '), '') FROM json_each(key_columns))"
      " FROM main.retention_thin WHERE table_name = %Q"
      " ORDER BY after_ms",
      t->name, t->name);
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    char *period = hf_column_text(stmt, 0, err);
    char *keys = hf_column_text(stmt, 3, err);
    sqlite3_int64 until = sqlite3_column_type(stmt, 2) == SQLITE_NULL
                              ? t->keep
                              : sqlite3_column_int64(stmt, 2);
    if (t->keep >= 0 && until > t->keep) until = t->keep;
    if (err->rc == SQLITE_OK) {
      if (sqlite3_str_length(sql) > 0) sqlite3_str_appendall(sql, " OR ");
      where_step(sql, model, t, period, keys, sqlite3_column_int64(stmt, 1),
                 until, err);
    }
    sqlite3_free(period);
    sqlite3_free(keys);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) {
    hf_fail_db(err, model->conn->db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

/* Rows that go for their age, their neighbours or their rank; NULL: none.  The
** newest stay in any case; in the tier current they alone do. */
static char *where_timed(const RetModel *model, const RetTable *t,
                         HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int all = t->keep < 0 && t->latest > 0;
  if (t->keep >= 0 && t->time != NULL) {
    char *column = where_column(t, t->time, err);
    if (column != NULL) {
      retention_text_before(sql, column, t->unit, model->now - t->keep);
    }
    sqlite3_free(column);
  }
  if (t->thin && t->time != NULL && !all) {
    where_thin(model, t, sql, err);
    if (t->latest > 0) {
      char *either = hf_str_finish(sql, err);
      sql = sqlite3_str_new(NULL);
      if (either != NULL) sqlite3_str_appendf(sql, "(%s)", either);
      sqlite3_free(either);
    }
  }
  if (t->latest > 0) {
    if (!all) sqlite3_str_appendall(sql, " AND ");
    where_latest(sql, t, err);
  }
  return where_text(sql, err);
}

/* Rows whose parent is gone, or going.  A row that names no parent is none. */
static char *where_orphan(const RetModel *model, const RetTable *t,
                          HfError *err) {
  const RetTable *parent =
      t->parent_at >= 0 ? &model->table[t->parent_at] : NULL;
  sqlite3_str *sql;
  if (t->child_key == NULL) return NULL;
  sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql,
                      "\"%w\".%s IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
                      " main.\"%w\" AS \"%w\" WHERE \"%w\".%s = +\"%w\".%s",
                      t->name, t->child_key, t->parent, t->parent, t->parent,
                      t->parent_key, t->name, t->child_key);
  if (!model->apply && parent != NULL && parent->doomed != NULL) {
    where_not_doomed(sql, model, parent);
  }
  sqlite3_str_appendall(sql, ")");
  return hf_str_finish(sql, err);
}

/* What no policy takes: rows of the filter, and those above the floor. */
static char *where_spared(const RetModel *model, const RetTable *t,
                          HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  if (t->keep_filter != NULL) {
    sqlite3_str_appendf(sql, " AND (%s\n) IS NOT TRUE", t->keep_filter);
  }
  if (t->floor >= 0 && t->floor_time != NULL) {
    char *column = where_column(t, t->floor_time, err);
    sqlite3_str_appendall(sql, " AND ");
    if (column != NULL) {
      retention_text_before(sql, column, t->floor_unit,
                            model->clock - t->floor);
    }
    sqlite3_free(column);
  }
  return hf_str_finish(sql, err);
}

static char *where_past(const RetTable *t, HfError *err) {
  if (t->barred || (t->timed == NULL && t->orphan == NULL)) {
    return hf_format(err, "0");
  }
  if (t->timed != NULL && t->orphan != NULL) {
    return hf_format(err, "((%s) OR (%s))%s", t->timed, t->orphan, t->spared);
  }
  return hf_format(err, "%s%s%s%s", t->timed && t->thin ? "(" : "",
                   t->timed ? t->timed : t->orphan,
                   t->timed && t->thin ? ")" : "", t->spared);
}

/* ---- holds --------------------------------------------------------------- */

/* Rows named by their keys, all in one comparison, which sees a hold that comes
** while rows go.  A key is compared as a text, too: whoever writes it down need
** not know the column's type. */
static void where_held_keys(sqlite3_str *sql, const RetModel *model,
                            const RetTable *t) {
  if (t->key_count == 1) {
    sqlite3_str_appendf(
        sql,
        "CAST(\"%w\".%s AS TEXT) IN (SELECT CAST(key AS TEXT) FROM"
        " main.retention_hold WHERE table_name = %Q AND key IS NOT NULL"
        " AND (until IS NULL OR until > %lld))",
        t->name, t->key, t->name, model->now);
    return;
  }
  sqlite3_str_appendf(sql,
                      "EXISTS (SELECT 1 FROM main.retention_hold AS"
                      " \"holdfast h\" WHERE \"holdfast h\".table_name = %Q"
                      " AND \"holdfast h\".key IS NOT NULL AND"
                      " (\"holdfast h\".until IS NULL OR"
                      " \"holdfast h\".until > %lld)"
                      " AND (SELECT json_group_array(CAST(value AS TEXT))"
                      " FROM json_each(\"holdfast h\".key)) ="
                      " (SELECT json_group_array(CAST(\"holdfast v\" AS TEXT))"
                      " FROM (",
                      t->name, model->now);
  sqlite3_str_appendall(sql, "SELECT ");
  where_each(sql, t, t->key, " UNION ALL SELECT ", " AS \"holdfast v\"");
  sqlite3_str_appendall(sql, ")))");
}

static int where_hold(const RetModel *model, RetTable *t, sqlite3_stmt *stmt,
                      sqlite3_str *sql, HfError *err) {
  const char *text = (const char *)sqlite3_column_text(stmt, 1);
  char *what = hf_format(err, "hold %lld", sqlite3_column_int64(stmt, 0));
  if (sqlite3_str_length(sql) > 0) sqlite3_str_appendall(sql, " OR ");
  if (text != NULL && what != NULL) {
    retention_expression(model->conn, t, what, text,
                         (size_t)sqlite3_column_bytes(stmt, 1), err);
    sqlite3_str_appendf(sql, "(%s\n) IS TRUE", text);
  } else if (sqlite3_column_int(stmt, 2)) {
    where_held_keys(sql, model, t);
  } else {
    sqlite3_str_appendall(sql, "1");
  }
  sqlite3_free(what);
  return err->rc;
}

static char *where_held(const RetModel *model, RetTable *t, HfError *err) {
  sqlite3_str *sql;
  sqlite3_stmt *stmt = NULL;
  int rc = SQLITE_DONE;
  if (!t->holds) return NULL;
  sql = sqlite3_str_new(NULL);
  hf_prepare(model->conn->db, &stmt, err,
             "SELECT id, predicate, key IS NOT NULL FROM main.retention_hold"
             " WHERE table_name = %Q AND (until IS NULL OR until > %lld)"
             " GROUP BY predicate, key IS NOT NULL ORDER BY id",
             t->name, model->now);
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    where_hold(model, t, stmt, sql, err);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) {
    hf_fail_db(err, model->conn->db);
  }
  sqlite3_finalize(stmt);
  return where_text(sql, err);
}

/* ---- foreign keys -------------------------------------------------------- */

/* Rows of other tables that refer to it and stay.  Whatever the key says of
** deletions: a cascade would take rows that no policy lets go. */
static char *where_protect(const RetModel *model, const RetTable *t,
                           HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i;
  for (i = 0; i < t->foreigns; i++) {
    const RetForeign *f = &t->foreign[i];
    const RetTable *child = f->at >= 0 ? &model->table[f->at] : NULL;
    if (child == t) continue;
    if (sqlite3_str_length(sql) > 0) sqlite3_str_appendall(sql, " OR ");
    sqlite3_str_appendf(sql,
                        "EXISTS (SELECT 1 FROM main.\"%w\" AS \"%w\" WHERE %s",
                        f->child, f->child, f->match);
    if (!model->apply && child != NULL && child->doomed != NULL) {
      where_not_doomed(sql, model, child);
    }
    sqlite3_str_appendall(sql, ")");
  }
  return where_text(sql, err);
}

static char *where_doomed(const RetTable *t, const char *protect,
                          HfError *err) {
  return hf_format(err, "%s%s%s%s%s%s%s", t->past, t->held ? " AND (" : "",
                   t->held ? t->held : "", t->held ? ") IS NOT 1" : "",
                   protect ? " AND (" : "", protect ? protect : "",
                   protect ? ") IS NOT 1" : "");
}

/* A table that refers to itself by more than one column? */
static int where_self_wide(const RetTable *t) {
  int i;
  for (i = 0; i < t->foreigns; i++) {
    if (sqlite3_stricmp(t->foreign[i].child, t->name) == 0 &&
        (t->foreign[i].columns > 1 || t->id_count > 1)) {
      return 1;
    }
  }
  return 0;
}

/* A table that refers to itself: also protected are the ancestors of each row
** that stays.  *protect is replaced. */
static void where_self(const RetTable *t, char **protect, HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  char *alone = where_doomed(t, *protect, err);
  int i, first = *protect == NULL;
  if (*protect != NULL) sqlite3_str_appendall(sql, *protect);
  for (i = 0; i < t->foreigns && alone != NULL; i++) {
    const RetForeign *f = &t->foreign[i];
    int j;
    if (sqlite3_stricmp(f->child, t->name) != 0) continue;
    /* The rows that stay are known by their rowids or keys. */
    sqlite3_str_appendf(sql,
                        "%s((%s) IN (WITH RECURSIVE \"holdfast s\"(%s) AS"
                        " (SELECT %s FROM main.\"%w\" AS \"%w\""
                        " WHERE (%s) IS NOT 1",
                        first ? "" : " OR ", f->to,
                        t->id_count == 1 ? "\"holdfast k\"" : t->ids, t->ids,
                        t->name, t->name, alone);
    first = 0;
    for (j = 0; j < t->foreigns; j++) {
      const RetForeign *g = &t->foreign[j];
      if (sqlite3_stricmp(g->child, t->name) != 0) continue;
      sqlite3_str_appendf(
          sql,
          " UNION SELECT p.%s FROM \"holdfast s\" CROSS JOIN main.\"%w\" AS c"
          " CROSS JOIN main.\"%w\" AS p WHERE c.%s = \"holdfast s\"."
          "\"holdfast k\" AND (p.%s) = (c.%s)",
          t->ids, t->name, t->name, t->ids, g->to, g->from);
    }
    sqlite3_str_appendf(sql,
                        ") SELECT %s FROM main.\"%w\" AS \"%w\" WHERE %s IN"
                        " (SELECT \"holdfast k\" FROM \"holdfast s\")))",
                        f->from, t->name, t->name, t->ids);
  }
  sqlite3_free(alone);
  sqlite3_free(*protect);
  *protect = hf_str_finish(sql, err);
}

/* ---- all of it ----------------------------------------------------------- */

static int where_finish(RetModel *model, RetTable *t, HfError *err) {
  char *old[] = {t->past, t->protect, t->doomed};
  size_t i;
  for (i = 0; i < sizeof(old) / sizeof(*old); i++) sqlite3_free(old[i]);
  t->protect = t->doomed = NULL;
  t->past = where_past(t, err);
  if (t->barred || err->rc != SQLITE_OK) return err->rc;
  t->protect = where_protect(model, t, err);
  if (t->self && err->rc == SQLITE_OK) where_self(t, &t->protect, err);
  t->doomed = where_doomed(t, t->protect, err);
  return err->rc;
}

/* An error in what somebody wrote bars the table, and no other. */
static void where_expressions(RetModel *model, RetTable *t, HfError *err) {
  if (t->keep_filter != NULL) {
    retention_expression(model->conn, t, "keep_filter", t->keep_filter,
                         strlen(t->keep_filter), err);
  }
  if (err->rc == SQLITE_OK) t->held = where_held(model, t, err);
  if (err->rc == SQLITE_ERROR) {
    char *words = hf_format(&(HfError){SQLITE_OK, NULL}, "%s",
                            err->message ? err->message : "");
    hf_error_clear(err);
    sqlite3_free(t->held);
    t->held = NULL;
    if (words == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
    retention_bar(t, words);
  }
}

int retention_where(RetModel *model, RetTable *t, HfError *err) {
  if (err->rc != SQLITE_OK) return err->rc;
  if (!t->barred) where_expressions(model, t, err);
  if (!t->barred && where_self_wide(t)) {
    retention_bar(t, hf_format(err, "it refers to itself by several columns, "
                                    "which retention does not follow; make it "
                                    "permanent"));
  }
  if (!t->barred) {
    t->orphan = where_orphan(model, t, err);
    t->timed = where_timed(model, t, err);
    t->spared = where_spared(model, t, err);
  }
  return where_finish(model, t, err);
}

int retention_where_no_orphans(RetModel *model, RetTable *t, HfError *err) {
  sqlite3_free(t->orphan);
  sqlite3_free(t->timed);
  t->orphan = NULL;
  t->timed = where_timed(model, t, err);
  return where_finish(model, t, err);
}
