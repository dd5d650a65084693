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
  MODEL_PARENT_POLICY,
  MODEL_PARENT,
  MODEL_PARENT_KEY,
  MODEL_CHILD_KEY,
  MODEL_FILTER,
  MODEL_NAME,
  MODEL_HIDDEN,
  MODEL_WR,
  MODEL_FLOOR,
  MODEL_FLOOR_TIME,
  MODEL_FLOOR_UNIT,
  MODEL_LATEST,
  MODEL_LATEST_KEY,
  MODEL_THIN,
  MODEL_TARGET_POLICY,
  MODEL_TARGET,
  MODEL_HOLDS,
  MODEL_WORDS
};

/* The schema, read once: n is a name to look for.  s: tables and views, of
** which `hidden` may have a column that hides the rowid; l: of what kind tables
** are; v: virtual ones; g: tables under a ledger. */
static const char model_schema[] =
    "WITH s AS MATERIALIZED (SELECT name COLLATE NOCASE AS n, name, type,"
    "  rootpage, instr(lower(sql), 'rowid') > 0 AS hidden"
    "  FROM main.sqlite_schema WHERE type IN ('table', 'view')),"
    " l AS MATERIALIZED (SELECT name, type, wr FROM pragma_table_list"
    "  WHERE schema = 'main'),"
    " v AS MATERIALIZED (SELECT name FROM main.sqlite_schema"
    "  WHERE type = 'table' AND rootpage = 0),"
    " g AS MATERIALIZED (SELECT tbl_name COLLATE NOCASE AS n"
    "  FROM main.sqlite_schema WHERE type = 'trigger'"
    "   AND instr(name, '_track_') AND instr(sql, 'attest_canonical('))";

static const char model_select[] =
    " SELECT p.table_name, p.tier, p.time_column, p.time_unit,"
    " coalesce(p.keep_ms, t.keep_ms), p.parent_table, q.name, p.parent_key,"
    " p.child_key, p.keep_filter, s.name, s.hidden,"
    " iif(s.rootpage > 0, l.wr, NULL),"
    " f.min_keep_ms, f.time_column, f.time_unit, k.keep_rows,"
    " (SELECT coalesce(group_concat(printf('\"%w\".\"%w\"', s.name, value),"
    "   ', '), '') FROM json_each(k.key_columns)),"
    " EXISTS (SELECT 1 FROM main.retention_thin"
    "  WHERE table_name = p.table_name),"
    " r.target, y.name,"
    " EXISTS (SELECT 1 FROM main.retention_hold"
    "  WHERE table_name = p.table_name),";

/* Why no row goes, as far as the schema says.  Tables behind a virtual table,
** under a ledger, or of SQLite and Holdfast have their own ways to lose rows,
** or none. */
static const char model_words[] =
    " CASE WHEN l.type IS NULL"
    " THEN 'there is no such table; drop the policy'"
    " WHEN l.type = 'view' THEN 'it is a view; name the tables behind it'"
    " WHEN l.type <> 'table'"
    " THEN 'it is a virtual table, or part of one; name an ordinary one'"
    " WHEN EXISTS (SELECT 1 FROM v WHERE s.name COLLATE NOCASE IN"
    "   (" HF_SQL_PARTS "))"
    " THEN 'it is part of a ledger or lease table, which keeps its rows'"
    " WHEN EXISTS (SELECT 1 FROM g WHERE g.n = s.name)"
    " THEN 'it is under a ledger; ledger_untrack() first, or keep its rows'"
    " WHEN lower(substr(s.name, 1, 7)) = 'sqlite_'"
    "   OR lower(substr(s.name, 1, 9)) = 'holdfast_'"
    "   OR lower(substr(s.name, 1, 10)) = 'retention_'"
    "   OR lower(s.name) = 'lease_high_water'"
    " THEN 'it belongs to SQLite or Holdfast' END";

static const char model_from[] =
    " FROM main.retention_policy AS p"
    " LEFT JOIN main.retention_tier AS t ON t.tier = p.tier"
    " LEFT JOIN s ON s.n = p.table_name"
    " LEFT JOIN l ON l.name = s.name"
    " LEFT JOIN main.retention_floor AS f ON f.table_name = p.table_name"
    " LEFT JOIN main.retention_latest AS k ON k.table_name = p.table_name"
    " LEFT JOIN main.retention_rollup AS r ON r.table_name = p.table_name"
    " LEFT JOIN s AS q ON q.n = p.parent_table AND q.type = 'table'"
    "  AND q.rootpage > 0"
    " LEFT JOIN s AS y ON y.n = r.target"
    " WHERE p.enabled = 1 AND p.tier <> 'permanent' ORDER BY p.table_name";

/* A column's text, or NULL. */
static char *model_text(sqlite3_stmt *stmt, int column, HfError *err) {
  if (sqlite3_column_type(stmt, column) == SQLITE_NULL) return NULL;
  return hf_column_text(stmt, column, err);
}

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
  char *name = model_text(stmt, at, err), *quoted = NULL;
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
static int model_keys(const RetModel *model, RetTable *t, int wr, int hidden,
                      HfError *err) {
  sqlite3_stmt *stmt = NULL;
  t->id_count = t->key_count = 1;
  if (!wr && !hidden && !t->holds) {
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
    t->ids = model_text(stmt, wr ? 0 : 2, err);
    t->key = model_text(stmt, 0, err);
    if (t->key != NULL) t->key_count = sqlite3_column_int(stmt, 1);
    else if (t->ids != NULL) t->key = hf_format(err, "%s", t->ids);
    if (wr) t->id_count = t->key_count;
  }
  sqlite3_finalize(stmt);
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
                               sqlite3_column_text(stmt, MODEL_PARENT_POLICY),
                               sqlite3_column_text(stmt, MODEL_PARENT_KEY)));
  }
  model_need(t, stmt, MODEL_FLOOR_TIME, t->floor_time,
             "it is locked by a column that is gone: ", err);
  model_need(t, stmt, MODEL_TARGET_POLICY, t->target,
             "the target of its roll-up is gone: ", err);
  return err->rc;
}

static void model_read_limits(sqlite3_stmt *stmt, RetTable *t, HfError *err) {
  const char *unit = (const char *)sqlite3_column_text(stmt, MODEL_UNIT);
  t->unit = retention_unit(unit);
  t->keep =
      strcmp(t->tier, "current") == 0 ? -1 : model_number(stmt, MODEL_KEEP);
  t->floor = model_number(stmt, MODEL_FLOOR);
  unit = (const char *)sqlite3_column_text(stmt, MODEL_FLOOR_UNIT);
  t->floor_unit = retention_unit(unit);
  t->latest = sqlite3_column_int64(stmt, MODEL_LATEST);
  t->latest_key = model_text(stmt, MODEL_LATEST_KEY, err);
  t->thin = sqlite3_column_int(stmt, MODEL_THIN);
  t->target = model_text(stmt, MODEL_TARGET, err);
  t->holds = sqlite3_column_int(stmt, MODEL_HOLDS);
  t->there = sqlite3_column_type(stmt, MODEL_WR) != SQLITE_NULL;
}

static int model_read(const RetModel *model, sqlite3_stmt *stmt, RetTable *t,
                      HfError *err) {
  const char *filter = (const char *)sqlite3_column_text(stmt, MODEL_FILTER);
  t->parent_at = -1;
  t->tier = hf_column_text(stmt, MODEL_TIER, err);
  t->name = model_text(stmt,
                       sqlite3_column_type(stmt, MODEL_NAME) == SQLITE_NULL
                           ? MODEL_POLICY
                           : MODEL_NAME,
                       err);
  t->parent = model_text(stmt, MODEL_PARENT, err);
  t->keep_filter = model_text(stmt, MODEL_FILTER, err);
  if (err->rc == SQLITE_OK) model_read_limits(stmt, t, err);
  if (filter != NULL &&
      (size_t)sqlite3_column_bytes(stmt, MODEL_FILTER) != strlen(filter)) {
    retention_bar(t, hf_format(err, "its keep_filter holds a NUL"));
  }
  if (sqlite3_column_type(stmt, MODEL_WORDS) != SQLITE_NULL) {
    retention_bar(t, model_text(stmt, MODEL_WORDS, err));
    return err->rc;
  }
  if (err->rc == SQLITE_OK &&
      model_keys(model, t, sqlite3_column_int(stmt, MODEL_WR),
                 sqlite3_column_int(stmt, MODEL_HIDDEN), err) == SQLITE_OK) {
    model_columns(model, stmt, t, err);
  }
  if (err->rc == SQLITE_OK && !t->barred && t->ids == NULL) {
    retention_bar(t, hf_format(err, "its columns hide its rowid under every "
                                    "name; rename one"));
  }
  return err->rc;
}

static int model_tables(RetModel *model, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  int rc = SQLITE_DONE;
  hf_prepare(model->conn->db, &stmt, err, "%s%s%s%s", model_schema,
             model_select, model_words, model_from);
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
      "SELECT coalesce((SELECT group_concat(quote(table_name) || quote(tier)"
      "  || quote(keep_ms) || quote(keep_filter) || quote(enabled)"
      "  || quote(parent_table)) FROM main.retention_policy), '')"
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
  if (model_tables(model, err) != SQLITE_OK ||
      hf_clock_now(hf_clock_vfs(conn->db, "main"), &model->clock, err) !=
          SQLITE_OK ||
      model->tables == 0 || model_foreigns(model, err) != SQLITE_OK) {
    return err->rc;
  }
  if (model->clock > now) model->clock = now;
  model->order =
      sqlite3_malloc64(sizeof(*model->order) * (sqlite3_uint64)model->tables);
  if (model->order == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  for (i = 0; i < model->tables; i++) model_visit(model, i, err);
  return err->rc;
}
