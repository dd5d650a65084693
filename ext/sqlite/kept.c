/*
** Statements that functions keep: see hf.h.
**
** A function that kept a statement would hold up sqlite3_close().  The tables
** of an eponymous module are disconnected by close before it looks for such
** statements; so an empty one, holdfast_kept, owns them.
*/
#include <string.h>

#include "sqlite/hf.h"

typedef struct KeptTable {
  sqlite3_vtab base; /* must be first */
  HfConn *conn;      /* counted reference */
  HfStmts stmts;
} KeptTable;

static int kept_connect(sqlite3 *db, void *aux, int argc,
                        const char *const *argv, sqlite3_vtab **out,
                        char **message) {
  KeptTable *table;
  int rc = sqlite3_declare_vtab(db, "CREATE TABLE holdfast_kept(x)");
  (void)argc;
  (void)argv;
  (void)message;
  if (rc != SQLITE_OK) return rc;
  table = sqlite3_malloc64(sizeof(*table));
  if (table == NULL) return SQLITE_NOMEM;
  memset(table, 0, sizeof(*table));
  table->conn = hf_conn_ref(aux);
  table->stmts.any = 1; /* nothing refers to this table, so no circle is made */
  table->conn->kept = &table->stmts;
  *out = &table->base;
  return SQLITE_OK;
}

static int kept_disconnect(sqlite3_vtab *vtab) {
  KeptTable *table = (KeptTable *)vtab;
  if (table->conn->kept == &table->stmts) table->conn->kept = NULL;
  hf_stmts_clear(&table->stmts);
  hf_conn_unref(table->conn);
  sqlite3_free(table);
  return SQLITE_OK;
}

static int kept_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  (void)vtab;
  info->estimatedCost = 1;
  info->estimatedRows = 1;
  return SQLITE_OK;
}

static int kept_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  sqlite3_vtab_cursor *cursor = sqlite3_malloc64(sizeof(*cursor));
  (void)vtab;
  if (cursor == NULL) return SQLITE_NOMEM;
  memset(cursor, 0, sizeof(*cursor));
  *out = cursor;
  return SQLITE_OK;
}

static int kept_close(sqlite3_vtab_cursor *cursor) {
  sqlite3_free(cursor);
  return SQLITE_OK;
}

static int kept_filter(sqlite3_vtab_cursor *cursor, int idx_num,
                       const char *idx_str, int argc, sqlite3_value **argv) {
  (void)cursor;
  (void)idx_num;
  (void)idx_str;
  (void)argc;
  (void)argv;
  return SQLITE_OK;
}

static int kept_next(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  return SQLITE_OK;
}

static int kept_eof(sqlite3_vtab_cursor *cursor) {
  (void)cursor;
  return 1;
}

static int kept_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context,
                       int column) {
  (void)cursor;
  (void)context;
  (void)column;
  return SQLITE_OK;
}

static int kept_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *rowid) {
  (void)cursor;
  *rowid = 0;
  return SQLITE_OK;
}

int hf_kept_take(HfConn *conn, const char *sql, HfStmt *out, HfError *err) {
  HfStmts none;
  if (conn->kept == NULL) { /* preparing a statement connects the table */
    sqlite3_stmt *stmt = NULL;
    sqlite3_prepare_v2(conn->db, "SELECT x FROM main.holdfast_kept", -1, &stmt,
                       NULL);
    sqlite3_finalize(stmt);
  }
  if (conn->kept != NULL) {
    return hf_stmt_take(conn->kept, conn->db, sql, out, err);
  }
  memset(&none, 0, sizeof(none));
  none.any = 1;
  return hf_stmt_take(&none, conn->db, sql, out, err);
}

void hf_kept_give(HfConn *conn, HfStmt *stmt) {
  if (conn->kept != NULL) {
    hf_stmt_give(conn->kept, stmt);
  } else {
    sqlite3_finalize(stmt->p);
    stmt->p = NULL;
  }
}

int hf_kept_register(HfConn *conn) {
  static const sqlite3_module module = {
      .iVersion = 0,
      .xConnect = kept_connect,
      .xBestIndex = kept_best_index,
      .xDisconnect = kept_disconnect,
      .xOpen = kept_open,
      .xClose = kept_close,
      .xFilter = kept_filter,
      .xNext = kept_next,
      .xEof = kept_eof,
      .xColumn = kept_column,
      .xRowid = kept_rowid,
  };
  return hf_register_module(conn, "holdfast_kept", &module);
}
