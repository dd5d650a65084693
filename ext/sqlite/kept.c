/*
** Statements that functions keep: see hf.h.
**
** A function that kept a statement would hold up sqlite3_close().  The tables
** of an eponymous module are disconnected by close before it looks for such
** statements; so an empty one, holdfast_kept, owns them.
*/
#include <string.h>

#include "sqlite/hf.h"

#define KEPT_MOST 64

/* Statements are known by where their text is, which is a constant. */
typedef struct HfKept {
  HfEponymous base; /* must be first */
  int count;
  const char *sql[KEPT_MOST];
  sqlite3_stmt *idle[KEPT_MOST]; /* NULL while it is on loan */
  HfTxnStmts txn;
} HfKept;

static int kept_connect(sqlite3 *db, void *aux, int argc,
                        const char *const *argv, sqlite3_vtab **out,
                        char **message) {
  int rc = hf_eponymous_connect(db, aux, sizeof(HfKept),
                                "CREATE TABLE holdfast_kept(x)", 0, out);
  (void)argc;
  (void)argv;
  (void)message;
  if (rc == SQLITE_OK) ((HfConn *)aux)->kept = (HfKept *)*out;
  return rc;
}

static int kept_disconnect(sqlite3_vtab *vtab) {
  HfKept *kept = (HfKept *)vtab;
  int i;
  if (kept->base.conn->kept == kept) kept->base.conn->kept = NULL;
  for (i = 0; i < kept->count; i++) sqlite3_finalize(kept->idle[i]);
  hf_txn_stmts_clear(&kept->txn);
  return hf_eponymous_disconnect(vtab);
}

static int kept_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  (void)vtab;
  info->estimatedCost = 1;
  info->estimatedRows = 1;
  return SQLITE_OK;
}

static int kept_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  (void)vtab;
  return hf_cursor_open(sizeof(sqlite3_vtab_cursor), out);
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

/* Preparing a statement connects the table, unless one of the file has its
** name: then nothing is kept. */
static HfKept *kept_table(HfConn *conn) {
  if (conn->kept == NULL) {
    sqlite3_stmt *stmt = NULL;
    sqlite3_prepare_v2(conn->db, "SELECT x FROM main.holdfast_kept", -1, &stmt,
                       NULL);
    sqlite3_finalize(stmt);
  }
  return conn->kept;
}

sqlite3_stmt *hf_kept_take(HfConn *conn, const char *sql, HfError *err) {
  HfKept *kept = kept_table(conn);
  sqlite3_stmt *stmt = NULL;
  int i;
  if (err->rc != SQLITE_OK) return NULL;
  for (i = 0; kept != NULL && i < kept->count; i++) {
    if (kept->sql[i] != sql || kept->idle[i] == NULL) continue;
    stmt = kept->idle[i];
    kept->idle[i] = NULL;
    return stmt;
  }
  if (sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt,
                         NULL) != SQLITE_OK) {
    hf_fail_db(err, conn->db);
  }
  return stmt;
}

void hf_kept_give(HfConn *conn, const char *sql, sqlite3_stmt **stmt) {
  HfKept *kept = conn->kept;
  int i = 0;
  if (*stmt == NULL) return;
  sqlite3_reset(*stmt);
  sqlite3_clear_bindings(*stmt);
  while (kept != NULL && i < kept->count && kept->sql[i] != sql) i++;
  if (kept != NULL && i == kept->count && i < KEPT_MOST) {
    kept->sql[kept->count++] = sql;
  }
  if (kept != NULL && i < kept->count && kept->idle[i] == NULL) {
    kept->idle[i] = *stmt;
  } else {
    sqlite3_finalize(*stmt);
  }
  *stmt = NULL;
}

static HfTxnStmts *kept_txn(HfConn *conn) {
  HfKept *kept = kept_table(conn);
  return kept != NULL ? &kept->txn : NULL;
}

int hf_kept_begin(HfConn *conn, const char *what, HfTxn *txn, HfError *err) {
  return hf_txn_begin_kept(conn->db, kept_txn(conn), "main", what, txn, err);
}

int hf_kept_end(HfConn *conn, HfTxn txn, HfError *err) {
  return hf_txn_end_kept(conn->db, kept_txn(conn), txn, err);
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
