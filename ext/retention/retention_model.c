/*
** The policies, the tables that they are for, and the foreign keys among them.
*/
#include <string.h>

#include "retention/retention.h"

/* ---- memory -------------------------------------------------------------- */

static void model_table_clear(RetTable *t) {
  char *owned[] = {t->name,      t->tier,       t->time,        t->parent,
                   t->child_key, t->parent_key, t->keep_filter, t->ids,
                   t->key,       t->floor_time, t->latest_key,  t->target,
                   t->blocked,   t->timed,      t->orphan,      t->spared,
                   t->past,      t->held,       t->protect,     t->doomed};
  size_t n;
  int i;
  for (n = 0; n < sizeof(owned) / sizeof(*owned); n++) sqlite3_free(owned[n]);
  for (i = 0; i < t->foreigns; i++) {
    sqlite3_free(t->foreign[i].child);
    sqlite3_free(t->foreign[i].match);
    sqlite3_free(t->foreign[i].to);
    sqlite3_free(t->foreign[i].from);
  }
  sqlite3_free(t->foreign);
}

void retention_model_clear(RetModel *model) {
  int i;
  for (i = 0; i < model->tables; i++) model_table_clear(&model->table[i]);
  sqlite3_free(model->table);
  sqlite3_free(model->order);
  retention_schema_clear(&model->schema);
  sqlite3_free(model->clock_words);
  sqlite3_free(model->signature);
  memset(model, 0, sizeof(*model));
}

void retention_bar(RetTable *table, char *words) {
  sqlite3_free(table->blocked);
  table->blocked = words;
  table->barred = 1;
}

/* ---- tables -------------------------------------------------------------- */

/* What is read of each policy, in the order of the enumeration. */
enum {
  MODEL_POLICY,
  MODEL_TIER,
  MODEL_TIME,
  MODEL_UNIT,
  MODEL_KEEP,
  MODEL_PARENT,
  MODEL_PARENT_KEY,
  MODEL_CHILD_KEY,
  MODEL_FILTER,
  MODEL_FLOOR,
  MODEL_FLOOR_TIME,
  MODEL_FLOOR_UNIT,
  MODEL_LATEST,
  MODEL_THIN,
  MODEL_TARGET,
  MODEL_HOLDS
};

static const char model_select[] =
    "SELECT p.table_name, p.tier, p.time_column, p.time_unit,"
    " coalesce(p.keep_ms, t.keep_ms), p.parent_table, p.parent_key,"
    " p.child_key, p.keep_filter, f.min_keep_ms, f.time_column, f.time_unit,"
    " k.keep_rows, p.table_name IN (SELECT table_name FROM "
    "main.retention_thin),"
    " r.target, p.table_name IN (SELECT table_name FROM main.retention_hold)"
    " FROM main.retention_policy AS p"
    " LEFT JOIN main.retention_tier AS t ON t.tier = p.tier"
    " LEFT JOIN main.retention_floor AS f ON f.table_name = p.table_name"
    " LEFT JOIN main.retention_latest AS k ON k.table_name = p.table_name"
    " LEFT JOIN main.retention_rollup AS r ON r.table_name = p.table_name"
    " WHERE p.enabled = 1 AND p.tier <> 'permanent' ORDER BY p.table_name";

static sqlite3_int64 model_number(sqlite3_stmt *stmt, int column) {
  return sqlite3_column_type(stmt, column) == SQLITE_NULL
             ? -1
             : sqlite3_column_int64(stmt, column);
}

/* Is this a name of the rowid, which need be no column? */
static int model_is_rowid(const char *name) {
  return sqlite3_stricmp(name, "rowid") == 0 ||
         sqlite3_stricmp(name, "_rowid_") == 0 ||
         sqlite3_stricmp(name, "oid") == 0;
}

/* A column of a table, quoted, from a column of the statement that names it;
** NULL when it names none, or one that the table has not. */
static char *model_column(const RetModel *model, sqlite3_stmt *stmt, int at,
                          const char *table, HfError *err) {
  sqlite3 *db = model->conn->db;
  sqlite3_int64 there = 1;
  char *name = hf_column_text_or_null(stmt, at, err), *quoted = NULL;
  if (name != NULL && table != NULL) {
    if (strlen(name) != (size_t)sqlite3_column_bytes(stmt, at)) {
      there = 0;
    } else if (model_is_rowid(name)) {
      hf_query_int(db, err, 0, &there,
                   "SELECT 1 FROM pragma_table_xinfo(%Q, 'main')"
                   " WHERE name = %Q COLLATE NOCASE",
                   table, name);
    } else {
      int rc = sqlite3_table_column_metadata(db, "main", table, name, NULL,
                                             NULL, NULL, NULL, NULL);
      there = rc == SQLITE_OK;
      if (rc != SQLITE_OK && rc != SQLITE_ERROR) hf_fail_db(err, db);
    }
    if (there && err->rc == SQLITE_OK) quoted = hf_format(err, "\"%w\"", name);
  }
  sqlite3_free(name);
  return quoted;
}

/* What finds a row, and its primary key.  Most tables have a rowid that no
** column can hide, and the key is asked for by holds alone. */
static int model_keys(const RetModel *model, RetTable *t, const RetName *known,
                      HfError *err) {
  int wr = known->without_rowid;
  sqlite3_stmt *stmt = NULL;
  t->id_count = t->key_count = 1;
  if (!known->hidden && !t->holds) {
    t->ids = hf_format(err, "rowid");
    t->key = hf_format(err, "rowid");
    return err->rc;
  }
  hf_prepare(model->conn->db, &stmt, err,
             "WITH x AS MATERIALIZED (SELECT name COLLATE NOCASE AS n,"
             "  printf('\"%%w\"', name) AS q, pk"
             "  FROM pragma_table_xinfo(%Q, 'main') WHERE hidden <> 1"
             "  ORDER BY pk)"
             " SELECT (SELECT group_concat(q, ', ') FROM x WHERE pk > 0),"
             "  (SELECT count(*) FROM x WHERE pk > 0),"
             "  (SELECT column1 FROM (VALUES ('rowid'), ('_rowid_'), ('oid'))"
             "    WHERE column1 NOT IN (SELECT n FROM x) LIMIT 1)",
             t->name);
  if (err->rc == SQLITE_OK && sqlite3_step(stmt) != SQLITE_ROW) {
    hf_fail_db(err, model->conn->db);
  }
  if (err->rc == SQLITE_OK) {
    t->ids = hf_column_text_or_null(stmt, wr ? 0 : 2, err);
    t->key = hf_column_text_or_null(stmt, 0, err);
    if (t->key != NULL) t->key_count = sqlite3_column_int(stmt, 1);
    else if (t->ids != NULL) t->key = hf_format(err, "%s", t->ids);
    if (wr) t->id_count = t->key_count;
  }
  sqlite3_finalize(stmt);
  if (err->rc == SQLITE_OK && !t->barred && t->ids == NULL) {
    retention_bar(t, hf_format(err, "its columns hide its rowid under every "
                                    "name; rename one"));
  }
  return err->rc;
}

/* A column that the policy names and that is gone bars the table. */
static void model_need(RetTable *t, sqlite3_stmt *stmt, int at, const char *got,
                       const char *words, HfError *err) {
  const char *name = (const char *)sqlite3_column_text(stmt, at);
  if (t->barred || name == NULL || got != NULL || err->rc != SQLITE_OK) return;
  retention_bar(t, hf_format(err, "%s%s", words, name));
}

static int model_columns(const RetModel *model, sqlite3_stmt *stmt, RetTable *t,
                         HfError *err) {
  t->time = model_column(model, stmt, MODEL_TIME, t->name, err);
  t->child_key = model_column(model, stmt, MODEL_CHILD_KEY, t->name, err);
  t->parent_key = model_column(model, stmt, MODEL_PARENT_KEY, t->parent, err);
  t->floor_time = model_column(model, stmt, MODEL_FLOOR_TIME, t->name, err);
  model_need(t, stmt, MODEL_TIME, t->time, "it has no column ", err);
  model_need(t, stmt, MODEL_CHILD_KEY, t->child_key, "it has no column ", err);
  if (!t->barred && t->child_key != NULL && t->parent_key == NULL) {
    retention_bar(t, hf_format(err, "there is no %s.%s",
                               sqlite3_column_text(stmt, MODEL_PARENT),
                               sqlite3_column_text(stmt, MODEL_PARENT_KEY)));
  }
  model_need(t, stmt, MODEL_FLOOR_TIME, t->floor_time,
             "it is locked by a column that is gone: ", err);
  model_need(t, stmt, MODEL_TARGET, t->target,
             "the target of its roll-up is gone: ", err);
  return err->rc;
}

/* The spelling of a name in the schema, or of one that is not there. */
static char *model_spelling(const RetName *known, sqlite3_stmt *stmt, int at,
                            HfError *err) {
  if (known == NULL)
    return at < 0 ? NULL : hf_column_text_or_null(stmt, at, err);
  return hf_format(err, "%s", known->name);
}

/* The other tables and views that the policy names. */
static void model_read_others(const RetModel *model, sqlite3_stmt *stmt,
                              RetTable *t, HfError *err) {
  const RetName *parent = retention_schema_find(
      &model->schema, (const char *)sqlite3_column_text(stmt, MODEL_PARENT));
  const RetName *target = retention_schema_find(
      &model->schema, (const char *)sqlite3_column_text(stmt, MODEL_TARGET));
  if (parent != NULL && (parent->view || parent->virtual)) parent = NULL;
  t->parent = model_spelling(parent, stmt, -1, err);
  t->target = model_spelling(target, stmt, -1, err);
}

static void model_read_limits(const RetModel *model, sqlite3_stmt *stmt,
                              RetTable *t, HfError *err) {
  const char *unit = (const char *)sqlite3_column_text(stmt, MODEL_UNIT);
  t->unit = retention_unit(unit);
  t->keep =
      strcmp(t->tier, "current") == 0 ? -1 : model_number(stmt, MODEL_KEEP);
  t->floor = model_number(stmt, MODEL_FLOOR);
  unit = (const char *)sqlite3_column_text(stmt, MODEL_FLOOR_UNIT);
  t->floor_unit = retention_unit(unit);
  t->latest = sqlite3_column_int64(stmt, MODEL_LATEST);
  if (t->latest > 0) {
    hf_query_text(model->conn->db, err, &t->latest_key,
                  "SELECT coalesce(group_concat(printf('\"%%w\".\"%%w\"', %Q,"
                  " value), ', '), '') FROM main.retention_latest,"
                  " json_each(key_columns) WHERE table_name = %Q",
                  t->name, t->name);
  }
  t->thin = sqlite3_column_int(stmt, MODEL_THIN);
  t->holds = sqlite3_column_int(stmt, MODEL_HOLDS);
}

static int model_read(RetModel *model, sqlite3_stmt *stmt, RetTable *t,
                      HfError *err) {
  const char *filter = (const char *)sqlite3_column_text(stmt, MODEL_FILTER);
  const char *policy = (const char *)sqlite3_column_text(stmt, MODEL_POLICY);
  const RetName *known = retention_schema_find(&model->schema, policy);
  const char *words;
  t->parent_at = -1;
  t->idle = -1;
  t->there = known != NULL && !known->view && !known->virtual;
  t->tier = hf_column_text(stmt, MODEL_TIER, err);
  t->name = model_spelling(known, stmt, MODEL_POLICY, err);
  t->keep_filter = hf_column_text_or_null(stmt, MODEL_FILTER, err);
  if (err->rc == SQLITE_OK) model_read_limits(model, stmt, t, err);
  if (err->rc == SQLITE_OK) model_read_others(model, stmt, t, err);
  if (filter != NULL &&
      (size_t)sqlite3_column_bytes(stmt, MODEL_FILTER) != strlen(filter)) {
    retention_bar(t, hf_format(err, "its keep_filter holds a NUL"));
  }
  if (known != NULL) {
    retention_schema_detail(model->conn, &model->schema, known, err);
  }
  words = retention_schema_words(known);
  if (known == NULL || words != NULL) {
    retention_bar(t, hf_format(err, "%s", words));
  } else if (err->rc == SQLITE_OK &&
             model_columns(model, stmt, t, err) == SQLITE_OK) {
    model_keys(model, t, known, err);
  }
  return err->rc;
}

static int model_tables(RetModel *model, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  int rc = SQLITE_DONE;
  hf_prepare(model->conn->db, &stmt, err, "%s", model_select);
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    RetTable *more = sqlite3_realloc64(
        model->table, sizeof(*more) * (sqlite3_uint64)(model->tables + 1));
    if (more == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
      break;
    }
    model->table = more;
    memset(&more[model->tables], 0, sizeof(*more));
    model->tables++;
    model_read(model, stmt, &more[model->tables - 1], err);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) {
    hf_fail_db(err, model->conn->db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

int retention_model_index(HfConn *conn, RetTable *t, HfError *err) {
  sqlite3_int64 indexed = 0;
  if (t->time == NULL || err->rc != SQLITE_OK) return err->rc;
  hf_query_int(
      conn->db, err, 0, &indexed,
      "SELECT EXISTS (SELECT 1 FROM pragma_index_list(%Q, 'main') AS i"
      "  JOIN pragma_index_info(i.name, 'main') AS c WHERE NOT i.partial"
      "   AND c.seqno = 0 AND printf('\"%%w\"', c.name) = %Q COLLATE NOCASE)"
      " OR (%d AND EXISTS (SELECT 1 FROM pragma_table_xinfo(%Q, 'main')"
      "  WHERE pk = 1 AND upper(type) = 'INTEGER'"
      "   AND printf('\"%%w\"', name) = %Q COLLATE NOCASE))",
      t->name, t->time, *t->ids != '"', t->name, t->time);
  t->indexed = indexed != 0;
  return err->rc;
}

/* ---- foreign keys -------------------------------------------------------- */

static int model_at(const RetModel *model, const char *name) {
  int i;
  for (i = 0; i < model->tables; i++) {
    if (sqlite3_stricmp(model->table[i].name, name) == 0) return i;
  }
  return -1;
}

/* A key whose parent column is not said is that of the primary key.  A
** reference takes on the affinity of the column that it refers to.  Where a
** plain comparison would not, it is an expression; else an index serves. */
static const char model_references[] =
    "SELECT p, c, group_concat(printf('\"%w\".\"%w\" = %s\"%w\".\"%w\"',"
    "  p, b, iif((SELECT upper(type) GLOB '*CHAR*' OR upper(type) GLOB '*CLOB*'"
    "    OR upper(type) GLOB '*TEXT*' FROM pragma_table_xinfo(p, 'main')"
    "    WHERE name = b COLLATE NOCASE)"
    "   AND (SELECT upper(type) IN ('', 'ANY', 'BLOB')"
    "    FROM pragma_table_xinfo(c, 'main') WHERE name = a COLLATE NOCASE),"
    "   '+', ''), c, a), ' AND '), group_concat(printf('\"%w\"', b), ', '),"
    " group_concat(printf('\"%w\"', a), ', '), count(*)"
    " FROM (SELECT s.name AS p, m.name AS c, f.id AS id, f.\"from\" AS a,"
    "  coalesce(f.\"to\", (SELECT name FROM pragma_table_xinfo(s.name, 'main')"
    "   WHERE pk = f.seq + 1)) AS b"
    "  FROM main.sqlite_schema AS m"
    "  CROSS JOIN pragma_foreign_key_list(m.name, 'main') AS f"
    "  CROSS JOIN main.sqlite_schema AS s"
    "  WHERE m.type = 'table' AND m.rootpage > 0"
    "   AND instr(lower(m.sql), 'references') AND s.type = 'table'"
    "   AND s.name = f.\"table\" COLLATE NOCASE ORDER BY m.name, f.id, f.seq)"
    " GROUP BY c, id, p HAVING count(b) = count(*)";

static int model_foreign(RetModel *model, sqlite3_stmt *stmt, HfError *err) {
  char *name = hf_column_text(stmt, 0, err);
  int at = name != NULL ? model_at(model, name) : -1;
  RetTable *t = at >= 0 ? &model->table[at] : NULL;
  RetForeign *more;
  sqlite3_free(name);
  if (t == NULL) return err->rc;
  more = sqlite3_realloc64(t->foreign,
                           sizeof(*more) * (sqlite3_uint64)(t->foreigns + 1));
  if (more == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  t->foreign = more;
  more += t->foreigns++;
  more->child = hf_column_text(stmt, 1, err);
  more->match = hf_column_text(stmt, 2, err);
  more->to = hf_column_text(stmt, 3, err);
  more->from = hf_column_text(stmt, 4, err);
  more->columns = sqlite3_column_int(stmt, 5);
  more->at = err->rc == SQLITE_OK ? model_at(model, more->child) : -1;
  if (more->at == at) t->self = 1;
  return err->rc;
}

static int model_foreigns(RetModel *model, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  int rc = SQLITE_DONE;
  hf_prepare(model->conn->db, &stmt, err, "%s", model_references);
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    model_foreign(model, stmt, err);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) {
    hf_fail_db(err, model->conn->db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

/* ---- order --------------------------------------------------------------- */

static int model_refers(const RetTable *parent, int child) {
  int i;
  for (i = 0; i < parent->foreigns; i++) {
    if (parent->foreign[i].at == child) return 1;
  }
  return 0;
}

static void model_visit(RetModel *model, int i, HfError *err);

/* What must be clean before table i is: `from` says why. */
static void model_before(RetModel *model, int i, int other, HfError *err) {
  RetTable *t = &model->table[i];
  if (other < 0 || other == i) return;
  if (model->table[other].state == 1) {
    retention_bar(t, hf_format(err,
                               "its references and those of %s run in a "
                               "circle; make one of them no foreign key, or "
                               "the policy of one permanent",
                               model->table[other].name));
  } else {
    model_visit(model, other, err);
  }
}

/* Children by a foreign key come first; parents by a policy alone do, for their
** rows that go make orphans. */
static void model_visit(RetModel *model, int i, HfError *err) {
  RetTable *t = &model->table[i];
  int f;
  if (t->state != 0 || err->rc != SQLITE_OK) return;
  t->state = 1;
  for (f = 0; f < t->foreigns; f++) {
    model_before(model, i, t->foreign[f].at, err);
  }
  if (t->parent != NULL) {
    t->parent_at = model_at(model, t->parent);
    if (t->parent_at >= 0 && model_refers(&model->table[t->parent_at], i)) {
      t->parent_at = -1;
    }
    model_before(model, i, t->parent_at, err);
  }
  t->state = 2;
  model->order[model->ordered++] = i;
}

char *retention_signature(HfConn *conn, HfError *err) {
  char *text;
  hf_query_text(
      conn->db, err, &text,
      "SELECT coalesce((SELECT group_concat(printf('%%Q%%Q%%Q%%Q%%Q%%Q',"
      "  table_name, tier, keep_ms, keep_filter, enabled, parent_table))"
      "  FROM main.retention_policy), '')"
      " || coalesce((SELECT group_concat(quote(table_name) || min_keep_ms)"
      "  FROM main.retention_floor), '')"
      " || coalesce((SELECT group_concat(id || quote(table_name)"
      "  || quote(predicate) || quote(key) || quote(until))"
      "  FROM main.retention_hold), '')");
  return text;
}

int retention_model_load(HfConn *conn, sqlite3_int64 now,
                         const RetOptions *options, RetModel *model,
                         HfError *err) {
  int i;
  memset(model, 0, sizeof(*model));
  model->conn = conn;
  model->now = model->clock = now;
  model->options = *options;
  if (!hf_has_table(conn, "main", "retention_policy", err)) {
    hf_fail(err, SQLITE_ERROR,
            "there is no table retention_policy; SELECT "
            "holdfast_install('retention')");
  }
  if (err->rc == SQLITE_OK) model->signature = retention_signature(conn, err);
  retention_schema_read(conn, &model->schema, err);
  if (model_tables(model, err) != SQLITE_OK ||
      hf_clock_now(hf_clock_vfs(conn->db, "main"), &model->clock, err) !=
          SQLITE_OK ||
      model->tables == 0 ||
      (model->schema.references && model_foreigns(model, err) != SQLITE_OK)) {
    return err->rc;
  }
  if (model->clock > now) model->clock = now;
  model->order =
      sqlite3_malloc64(sizeof(*model->order) * (sqlite3_uint64)model->tables);
  if (model->order == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  for (i = 0; i < model->tables; i++) model_visit(model, i, err);
  return err->rc;
}
