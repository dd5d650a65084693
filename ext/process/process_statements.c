/*
** The statements of the doors, kept from call to call; and their arguments.
*/
#include <string.h>

#include "core/utf8.h"
#include "process/process.h"

#define STATEMENT_MISSING \
  "SELECT message FROM main.process_missing WHERE visit = ?1" \
  " ORDER BY ordinal, kind, message"

static const char *const statement_sql[PROCESS_SQLS] = {
    [PROCESS_STATE] =
        "SELECT e.seq, e.to_phase, e.kind, e.agent,"
        " (SELECT mode FROM main.process_mode),"
        " iif(?2, (SELECT name FROM main.process_phase"
        "           ORDER BY ordinal LIMIT 1), NULL),"
        " (SELECT entry_hash FROM main.process_baseline"
        "   WHERE task_id = ?1 AND phase = e.to_phase),"
        " (SELECT token FROM main.phase_ledger_entry WHERE task_id = ?1"
        "   AND token IS NOT NULL ORDER BY seq DESC LIMIT 1)"
        " FROM (SELECT 1) LEFT JOIN main.phase_ledger_entry AS e"
        " ON e.seq = (SELECT max(seq) FROM main.phase_ledger_entry"
        " WHERE task_id = ?1)",
    [PROCESS_PROOF] =
        "SELECT id, kind, sha256 FROM main.process_evidence WHERE visit = ?1"
        " ORDER BY kind, name, id",
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
    /* What was allowed is not in the index. */
    [PROCESS_BYPASSED] =
        "SELECT DISTINCT reason FROM main.process_decision"
        " WHERE task_id = ?1 AND decision <> 'allow' AND decision = 'bypass'"
        " AND seq = ?2",
    [PROCESS_MISSING] = STATEMENT_MISSING,
    [PROCESS_LACKS] =
        "SELECT group_concat(message, '; ') FROM (" STATEMENT_MISSING ")",
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

sqlite3_stmt *process_take(HfConn *conn, ProcessSql sql, HfError *err) {
  sqlite3_stmt *stmt = hf_kept_take(conn, statement_sql[sql], err);
  if (err->rc == SQLITE_ERROR && err->message != NULL &&
      strncmp(err->message, "no such table", 13) == 0) {
    hf_error_clear(err);
    hf_fail(err, SQLITE_ERROR,
            "the area process is not in this database; SELECT "
            "holdfast_install('process')");
  }
  return stmt;
}

void process_give(HfConn *conn, ProcessSql sql, sqlite3_stmt **stmt) {
  hf_kept_give(conn, statement_sql[sql], stmt);
}

int process_run(HfConn *conn, ProcessSql sql, HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, sql, err);
  if (stmt != NULL) hf_step_done(conn->db, stmt, err);
  process_give(conn, sql, &stmt);
  return err->rc;
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
