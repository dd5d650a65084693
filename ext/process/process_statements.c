/*
** The statements of the doors, kept from call to call.
**
** A function that kept statements would hold up sqlite3_close().  They belong
** to an eponymous virtual table, therefore, which close disconnects first.
*/
#include <string.h>

#include "core/utf8.h"
#include "process/process.h"

#define STATEMENT_ANCHOR "holdfast_process"

static const char *const statement_sql[PROCESS_SQLS] = {
    [PROCESS_STATE] =
        "SELECT e.seq, e.to_phase, e.kind, e.agent,"
        " (SELECT mode FROM main.process_mode),"
        " (SELECT name FROM main.process_phase ORDER BY ordinal LIMIT 1),"
        " (SELECT evidence FROM main.process_proof WHERE visit = e.seq),"
        " (SELECT entry_hash FROM main.process_baseline"
        "   WHERE task_id = ?1 AND phase = e.to_phase),"
        " (SELECT token FROM main.phase_ledger_entry WHERE task_id = ?1"
        "   AND token IS NOT NULL ORDER BY seq DESC LIMIT 1)"
        " FROM (SELECT 1) LEFT JOIN (SELECT * FROM main.phase_ledger_entry"
        " WHERE task_id = ?1 ORDER BY seq DESC LIMIT 1) AS e",
    [PROCESS_HELD] = "SELECT token, holder, expires_in FROM main.process_held"
                     " WHERE resource = ?1 || '/' || ?2",
    [PROCESS_ACQUIRE] =
        "SELECT lease_acquire('main.phase_lease', ?1 || '/' || ?2, ?3)",
    [PROCESS_RELEASE] =
        "SELECT lease_release('main.phase_lease', ?1 || '/' || ?2, ?3)",
    [PROCESS_HOLDS] =
        "SELECT lease_holds('main.phase_lease', ?1 || '/' || ?2, ?3)",
    [PROCESS_INSERT] =
        "INSERT INTO main.phase_ledger(task_id, kind, from_phase, to_phase,"
        " agent, token, enforcement, attestation, evidence, why)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    [PROCESS_DECIDE] =
        "INSERT INTO main.process_decision(decision, task_id, kind,"
        " from_phase, to_phase, agent, reason, enforcement, detail)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [PROCESS_BYPASSED] =
        "SELECT DISTINCT reason FROM main.process_decision"
        " WHERE task_id = ?1 AND decision = 'bypass' AND seq = ?2",
    [PROCESS_MISSING] =
        "SELECT message FROM main.process_missing WHERE visit = ?1"
        " ORDER BY ordinal, kind, message",
    [PROCESS_SAVE] = "SAVEPOINT \"holdfast move\"",
    [PROCESS_UNDO] = "ROLLBACK TO \"holdfast move\"",
    [PROCESS_KEEP] = "RELEASE \"holdfast move\"",
    [PROCESS_BASELINE] =
        "SELECT b.hash, b.version, b.components, b.persona_hash,"
        " b.baseline_seq, coalesce(s.severity, 'medium'), s.back_to"
        " FROM (SELECT 1)"
        " LEFT JOIN main.process_baseline AS b"
        "   ON b.task_id = ?1 AND b.phase = ?2"
        " LEFT JOIN main.process_severity AS s ON s.phase = ?2",
    [PROCESS_ATTEST] =
        "INSERT INTO main.attestation_ledger(at, task_id, phase, kind,"
        " prompt_hash, baseline_seq, version, severity, changed, components,"
        " persona_hash, persona_drift, persona_summary, agent, model, why,"
        " updated_by) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11,"
        " ?12, ?13, ?14, ?15, ?16, ?17)",
};

/* ---- loan ---------------------------------------------------------------- */

/* Connect the table that keeps them.  Without it they are not kept. */
static HfProcess *statement_keeper(HfConn *conn) {
  sqlite3_stmt *stmt = NULL;
  if (conn->process == NULL) {
    sqlite3_prepare_v2(conn->db, "SELECT 1 FROM main." STATEMENT_ANCHOR, -1,
                       &stmt, NULL);
    sqlite3_finalize(stmt);
  }
  return conn->process;
}

sqlite3_stmt *process_take(HfConn *conn, ProcessSql sql, HfError *err) {
  HfProcess *keeper = statement_keeper(conn);
  sqlite3_stmt *stmt = NULL;
  if (err->rc != SQLITE_OK) return NULL;
  if (keeper != NULL && keeper->idle[sql] != NULL) {
    stmt = keeper->idle[sql];
    keeper->idle[sql] = NULL;
    return stmt;
  }
  if (sqlite3_prepare_v3(conn->db, statement_sql[sql], -1,
                         SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
    hf_fail_db(err, conn->db);
    if (err->rc == SQLITE_ERROR && err->message != NULL &&
        strncmp(err->message, "no such table", 13) == 0) {
      hf_error_clear(err);
      hf_fail(err, SQLITE_ERROR,
              "the area process is not in this database; SELECT "
              "holdfast_install('process')");
    }
  }
  return stmt;
}

void process_give(HfConn *conn, ProcessSql sql, sqlite3_stmt **stmt) {
  HfProcess *keeper = conn->process;
  if (*stmt == NULL) return;
  sqlite3_reset(*stmt);
  sqlite3_clear_bindings(*stmt);
  if (keeper != NULL && keeper->idle[sql] == NULL) {
    keeper->idle[sql] = *stmt;
  } else {
    sqlite3_finalize(*stmt);
  }
  *stmt = NULL;
}

int process_run(HfConn *conn, ProcessSql sql, HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, sql, err);
  if (stmt != NULL) hf_step_done(conn->db, stmt, err);
  process_give(conn, sql, &stmt);
  return err->rc;
}

int process_begin(HfConn *conn, const char *door, HfTxn *txn, HfError *err) {
  HfProcess *keeper = statement_keeper(conn);
  return hf_txn_begin_kept(conn->db, keeper ? &keeper->txn : NULL, "main", door,
                           txn, err);
}

int process_end(HfConn *conn, HfTxn txn, HfError *err) {
  HfProcess *keeper = conn->process;
  return hf_txn_end_kept(conn->db, keeper ? &keeper->txn : NULL, txn, err);
}

/* ---- arguments ----------------------------------------------------------- */

const char *process_text(const char *door, const char *what,
                         sqlite3_value *value, int most, HfError *err) {
  int is_text = sqlite3_value_type(value) == SQLITE_TEXT, blank = 1;
  size_t size = 0, at = 0;
  const char *text = NULL;
  if (err->rc != SQLITE_OK) return NULL;
  if (is_text) {
    text = hf_value_text(value, &size);
    if (text == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
      return NULL;
    }
    while (at < size) {
      uint32_t c = hf_utf8_next(text, size, &at);
      if (c == HF_UTF8_WRONG || c == 0) {
        blank = 1;
        break;
      }
      if (c > ' ') blank = 0;
    }
  }
  if (is_text && at == size && !blank && size <= (size_t)most) {
    return (const char *)sqlite3_value_text(value);
  }
  hf_fail(err, SQLITE_ERROR,
          "%s: %s must be TEXT that says something, of at most %d bytes, "
          "without NUL",
          door, what, most);
  return NULL;
}

void process_bind(sqlite3_stmt *stmt, int i, const char *text) {
  sqlite3_bind_text(stmt, i, text, -1, SQLITE_STATIC);
}

/* ---- the table that keeps them ------------------------------------------- */

static int statement_connect(sqlite3 *db, void *aux, int argc,
                             const char *const *argv, sqlite3_vtab **out,
                             char **message) {
  HfConn *conn = aux;
  HfProcess *keeper;
  int rc = sqlite3_declare_vtab(db, "CREATE TABLE kept(statements INTEGER)");
  (void)argc;
  (void)argv;
  (void)message;
  if (rc != SQLITE_OK) return rc;
  sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
  keeper = sqlite3_malloc64(sizeof(*keeper));
  if (keeper == NULL) return SQLITE_NOMEM;
  memset(keeper, 0, sizeof(*keeper));
  keeper->conn = hf_conn_ref(conn);
  if (conn->process == NULL) conn->process = keeper;
  *out = &keeper->base;
  return SQLITE_OK;
}

static int statement_disconnect(sqlite3_vtab *vtab) {
  HfProcess *keeper = (HfProcess *)vtab;
  int i;
  for (i = 0; i < PROCESS_SQLS; i++) sqlite3_finalize(keeper->idle[i]);
  hf_txn_stmts_clear(&keeper->txn);
  if (keeper->conn->process == keeper) keeper->conn->process = NULL;
  hf_conn_unref(keeper->conn);
  sqlite3_free(keeper);
  return SQLITE_OK;
}

static int statement_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  (void)vtab;
  info->estimatedCost = 1;
  info->estimatedRows = 1;
  return SQLITE_OK;
}

/* One row: how many are kept. */
typedef struct StatementCursor {
  sqlite3_vtab_cursor base; /* must be first */
  int eof;
} StatementCursor;

static int statement_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  StatementCursor *cursor = sqlite3_malloc64(sizeof(*cursor));
  (void)vtab;
  if (cursor == NULL) return SQLITE_NOMEM;
  memset(cursor, 0, sizeof(*cursor));
  *out = &cursor->base;
  return SQLITE_OK;
}

static int statement_close(sqlite3_vtab_cursor *base) {
  sqlite3_free(base);
  return SQLITE_OK;
}

static int statement_filter(sqlite3_vtab_cursor *base, int idx_num,
                            const char *idx_str, int argc,
                            sqlite3_value **argv) {
  (void)idx_num;
  (void)idx_str;
  (void)argc;
  (void)argv;
  ((StatementCursor *)base)->eof = 0;
  return SQLITE_OK;
}

static int statement_next(sqlite3_vtab_cursor *base) {
  ((StatementCursor *)base)->eof = 1;
  return SQLITE_OK;
}

static int statement_eof(sqlite3_vtab_cursor *base) {
  return ((StatementCursor *)base)->eof;
}

static int statement_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                            int column) {
  const HfProcess *keeper = (const HfProcess *)base->pVtab;
  int i, n = 0;
  (void)column;
  for (i = 0; i < PROCESS_SQLS; i++) n += keeper->idle[i] != NULL;
  sqlite3_result_int(context, n);
  return SQLITE_OK;
}

static int statement_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  (void)base;
  *rowid = 1;
  return SQLITE_OK;
}

int process_statements_register(HfConn *conn) {
  static const sqlite3_module module = {
      .iVersion = 0,
      .xConnect = statement_connect,
      .xBestIndex = statement_best_index,
      .xDisconnect = statement_disconnect,
      .xOpen = statement_open,
      .xClose = statement_close,
      .xFilter = statement_filter,
      .xNext = statement_next,
      .xEof = statement_eof,
      .xColumn = statement_column,
      .xRowid = statement_rowid,
  };
  return hf_register_module(conn, STATEMENT_ANCHOR, &module);
}
