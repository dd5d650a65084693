/*
** killswitch_drill: does every guard of the kill switch refuse?
**
** In a savepoint the switches are thrown and each guard is tried with a write
** of its verb, under the write lock; then everything is rolled back, so nobody
** else ever sees it.  Guards that are missing or altered are found by their
** text, in the manifest.
**
**   SELECT killswitch_drill();              JSON: counts and findings
**   SELECT * FROM killswitch_drill;         the findings, a row each
*/
#include <string.h>

#include "control/control.h"

typedef struct Drill {
  HfFindings list; /* must be first */
  HfConn *conn;
  int guards;  /* of the kill switch, in the manifest */
  int refused; /* of them: tried, and it refused */
  int untried; /* there is no row to update or delete */
} Drill;

static int drill_find(Drill *drill, const char *finding, const char *guard,
                      char *words, HfError *err) {
  if (words == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  if (hf_findings_add(&drill->list, finding, guard, "%s", words) != SQLITE_OK) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
  sqlite3_free(words);
  return err->rc;
}

/* ---- one guard ----------------------------------------------------------- */

/* The write that a guard of this verb must refuse, for sqlite3_free; NULL when
** there is no row for it. */
static char *drill_write(HfConn *conn, const char *schema, const char *table,
                         int verb, HfError *err) {
  char *id = NULL, *column = NULL, *sql = NULL;
  sqlite3_int64 rows = 0;
  if (verb == 0) {
    return hf_format(err, "INSERT INTO \"%w\".\"%w\" DEFAULT VALUES", schema,
                     table);
  }
  hf_query_int(conn->db, err, 0, &rows, "SELECT 1 FROM \"%w\".\"%w\" LIMIT 1",
               schema, table);
  hf_query_text(conn->db, err, &id,
                "SELECT iif(t.wr, (SELECT group_concat(printf('\"%%w\"', name),"
                "                                      ', ')"
                "                    FROM pragma_table_info(%Q, %Q)"
                "                   WHERE pk > 0), '_rowid_')"
                "  FROM pragma_table_list AS t"
                " WHERE t.schema = %Q COLLATE NOCASE"
                "   AND t.name = %Q COLLATE NOCASE",
                table, schema, schema, table);
  hf_query_text(conn->db, err, &column,
                "SELECT printf('\"%%w\"', name)"
                "  FROM pragma_table_xinfo(%Q, %Q)"
                " WHERE hidden = 0 ORDER BY cid LIMIT 1",
                table, schema);
  if (rows && id != NULL && column != NULL) {
    char *where =
        hf_format(err, "(%s) IN (SELECT %s FROM \"%w\".\"%w\" LIMIT 1)", id, id,
                  schema, table);
    sql = verb == 1
              ? hf_format(err, "UPDATE \"%w\".\"%w\" SET %s = %s WHERE %s",
                          schema, table, column, column, where)
              : hf_format(err, "DELETE FROM \"%w\".\"%w\" WHERE %s", schema,
                          table, where);
    sqlite3_free(where);
  }
  sqlite3_free(id);
  sqlite3_free(column);
  return sql;
}

/* What came of the write: refused by the guard, or a finding. */
static int drill_judge(Drill *drill, const char *guard, int rc, int changes,
                       HfError *err) {
  sqlite3 *db = drill->conn->db;
  const char *words = sqlite3_errmsg(db);
  switch (rc & 0xff) {
    case SQLITE_OK:
      return changes
                 ? drill_find(drill, "drill_passed", guard,
                              hf_format(err, "a write went through while the "
                                             "switch was on; killswitch_guard "
                                             "the table again"),
                              err)
                 : drill_find(drill, "drill_unproven", guard,
                              hf_format(err, "a trigger swallowed the write "
                                             "before the guard saw it"),
                              err);
    case SQLITE_CONSTRAINT:
      if (strstr(words, ": the kill switch ") != NULL) {
        drill->refused++;
        return SQLITE_OK;
      }
      /* fall through */
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
      return drill_find(drill, "drill_unproven", guard,
                        hf_format(err,
                                  "another rule refused the write first (%s); "
                                  "killswitch_guard the table again to put "
                                  "the guard first",
                                  words),
                        err);
    default:
      return hf_fail_db(err, db);
  }
}

static int drill_try(Drill *drill, const char *guard, const char *sql,
                     HfError *err) {
  sqlite3 *db = drill->conn->db;
  int before, rc;
  if (hf_exec(db, err, "SAVEPOINT \"holdfast try\"") != SQLITE_OK) {
    return err->rc;
  }
  before = sqlite3_total_changes(db);
  rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  drill_judge(drill, guard, rc, sqlite3_total_changes(db) != before, err);
  if (sqlite3_get_autocommit(db)) {
    return hf_fail(err, SQLITE_ERROR,
                   "killswitch_drill: a trigger on the table of %s rolled the "
                   "transaction back; the drill ends there",
                   guard);
  }
  sqlite3_exec(db, "ROLLBACK TO \"holdfast try\"", NULL, NULL, NULL);
  sqlite3_exec(db, "RELEASE \"holdfast try\"", NULL, NULL, NULL);
  return err->rc;
}

static int drill_guard(Drill *drill, const char *schema, const char *guard,
                       const char *table, int verb, HfError *err) {
  char *sql = drill_write(drill->conn, schema, table, verb, err);
  drill->guards++;
  if (sql != NULL) {
    drill_try(drill, guard, sql, err);
  } else if (err->rc == SQLITE_OK) {
    drill->untried++;
  }
  sqlite3_free(sql);
  return err->rc;
}

/* ---- all of a database --------------------------------------------------- */

/* The guards that killswitch_guard made: guard, table, verb. */
#define DRILL_GUARDS \
  "SELECT g.name, g.table_name, v.key FROM \"%w\".holdfast_guard AS g" \
  "  JOIN json_each('[\"insert\",\"update\",\"delete\"]') AS v" \
  "    ON g.name = g.table_name || '_kill_' || v.value" \
  " WHERE EXISTS (SELECT 1 FROM \"%w\".sqlite_schema" \
  "                WHERE type = 'trigger' AND name = g.name)" \
  " ORDER BY g.table_name, v.key"

static int drill_database(Drill *drill, const char *schema, HfError *err) {
  sqlite3 *db = drill->conn->db;
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  if (!hf_has_table(drill->conn, schema, "holdfast_guard", err) ||
      !hf_has_table(drill->conn, schema, "settings", err)) {
    return err->rc;
  }
  if (hf_exec(db, err,
              "UPDATE \"%w\".settings SET value = '1',"
              " updated_by = 'killswitch_drill', reason = 'drill'"
              " WHERE key IN (SELECT name FROM \"%w\".flag"
              "                WHERE kind = 'switch')",
              schema, schema) != SQLITE_OK ||
      hf_prepare(db, &stmt, err, DRILL_GUARDS, schema, schema) != SQLITE_OK) {
    return err->rc;
  }
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *guard = (const char *)sqlite3_column_text(stmt, 0);
    const char *table = (const char *)sqlite3_column_text(stmt, 1);
    if (guard == NULL || table == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    } else {
      drill_guard(drill, schema, guard, table, sqlite3_column_int(stmt, 2),
                  err);
    }
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, db);
  sqlite3_finalize(stmt);
  return err->rc;
}

static int drill_schema(HfConn *conn, const char *schema, HfFindings *list,
                        HfError *err) {
  (void)conn;
  return drill_database((Drill *)list, schema, err);
}

static int drill_run(Drill *drill, HfError *err) {
  sqlite3 *db = drill->conn->db;
  HfTxn txn;
  if (hf_txn_begin(db, "main", "killswitch_drill", &txn, err) != SQLITE_OK) {
    return err->rc;
  }
  hf_install_doctor(drill->conn, &drill->list, err);
  if (hf_exec(db, err, "SAVEPOINT \"holdfast drill\"") == SQLITE_OK) {
    hf_check_schemas(drill->conn, drill_schema, &drill->list, err);
    if (!sqlite3_get_autocommit(db)) {
      sqlite3_exec(db, "ROLLBACK TO \"holdfast drill\"", NULL, NULL, NULL);
      sqlite3_exec(db, "RELEASE \"holdfast drill\"", NULL, NULL, NULL);
    }
  }
  return hf_txn_end(db, txn, err);
}

/* ---- the two forms ------------------------------------------------------- */

int hf_control_drill(HfConn *conn, HfFindings *list, HfError *err) {
  Drill drill;
  memset(&drill, 0, sizeof(drill));
  drill.conn = conn;
  drill_run(&drill, err);
  *list = drill.list;
  return err->rc;
}

static char *drill_json(const Drill *drill, HfError *err) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  int i;
  sqlite3_str_appendf(json,
                      "{\"guards\":%d,\"refused\":%d,\"untried\":%d,"
                      "\"findings\":[",
                      drill->guards, drill->refused, drill->untried);
  for (i = 0; i < drill->list.count; i++) {
    const HfFinding *row = &drill->list.row[i];
    sqlite3_str_appendf(json, "%s{\"finding\":", i ? "," : "");
    hf_json_text(json, row->finding);
    sqlite3_str_appendall(json, ",\"object\":");
    hf_json_text(json, row->object);
    sqlite3_str_appendall(json, ",\"detail\":");
    hf_json_text(json, row->detail);
    sqlite3_str_appendall(json, "}");
  }
  sqlite3_str_appendall(json, "]}");
  return hf_str_finish(json, err);
}

/*
** killswitch_drill()
**
** Returns JSON: {"guards", "refused", "untried", "findings":[{"finding",
** "object", "detail"}]}.  guards: the triggers of killswitch_guard that are
** there; refused: those that were tried and refused; untried: those whose table
** has no row to update or delete.  Findings: guard_missing, guard_altered (of
** every guard in the manifest), drill_passed, drill_unproven.  Nothing is
** changed.  Errors: a database that is read-only; inside a statement that
** writes; SQLITE_BUSY as it is.
*/
static void drill_function(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  char *json = NULL;
  Drill drill;
  (void)argc;
  (void)argv;
  memset(&drill, 0, sizeof(drill));
  drill.conn = sqlite3_user_data(context);
  if (drill_run(&drill, &err) == SQLITE_OK) json = drill_json(&drill, &err);
  hf_findings_clear(&drill.list);
  hf_result_text(context, json, &err);
}

int control_drill_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"killswitch_drill", 0, HF_CHANGES, drill_function},
  };
  return hf_register_functions(conn, functions, 1);
}
