/*
** process_rebuild(): the state of tasks and prompts, made anew from the ledgers
** that it derives from; and the doctor's look at the difference.
*/
#include <string.h>

#include "process/process.h"

/* What phase_ledger says of each task. */
#define REBUILD_TASKS \
  "SELECT e.task_id, e.to_phase AS phase," \
  "       CASE WHEN e.to_phase <> 'DONE' THEN 'active'" \
  "            WHEN e.kind = 'complete' THEN 'done'" \
  "            ELSE 'closed' END AS status," \
  "       e.agent, e.token, e.seq, e.at" \
  "  FROM (SELECT max(seq) AS last FROM main.phase_ledger_entry" \
  "         GROUP BY task_id)" \
  "  JOIN main.phase_ledger_entry AS e ON e.seq = last"

/* What attestation_ledger says of each prompt. */
#define REBUILD_BASELINES \
  "SELECT e.task_id, e.phase, b.prompt_hash AS hash, e.version," \
  "       b.components, b.persona_hash, e.severity, b.seq AS baseline_seq," \
  "       e.seq, e.hash AS entry_hash" \
  "  FROM (SELECT max(seq) AS last FROM main.attestation_ledger_entry" \
  "         GROUP BY task_id, phase)" \
  "  JOIN main.attestation_ledger_entry AS e ON e.seq = last" \
  "  JOIN main.attestation_ledger_entry AS b" \
  "    ON b.seq = coalesce(e.baseline_seq, e.seq)"

static const char *const rebuild_sql[] = {
    "DELETE FROM main.process_task WHERE task_id NOT IN"
    " (SELECT task_id FROM main.phase_ledger_entry)",
    "INSERT INTO main.process_task(task_id, phase, status, agent, token, seq,"
    " updated_at) SELECT * FROM (" REBUILD_TASKS
    " EXCEPT SELECT task_id, phase, status, agent, token, seq, updated_at"
    " FROM main.process_task) WHERE 1 ON CONFLICT(task_id) DO UPDATE SET"
    " phase = excluded.phase, status = excluded.status,"
    " agent = excluded.agent, token = excluded.token, seq = excluded.seq,"
    " updated_at = excluded.updated_at",
    "DELETE FROM main.process_baseline WHERE (task_id, phase) NOT IN"
    " (SELECT task_id, phase FROM main.attestation_ledger_entry)"
    " OR seq NOT IN (SELECT seq FROM main.attestation_ledger_entry)",
    "INSERT INTO main.process_baseline(task_id, phase, hash, version,"
    " components, persona_hash, severity, baseline_seq, seq, entry_hash)"
    " SELECT * FROM (" REBUILD_BASELINES
    " EXCEPT SELECT task_id, phase, hash, version, components, persona_hash,"
    " severity, baseline_seq, seq, entry_hash FROM main.process_baseline)"
    " WHERE 1 ON CONFLICT(task_id, phase) DO UPDATE SET hash = excluded.hash,"
    " version = excluded.version, components = excluded.components,"
    " persona_hash = excluded.persona_hash, severity = excluded.severity,"
    " baseline_seq = excluded.baseline_seq, seq = excluded.seq,"
    " entry_hash = excluded.entry_hash",
};

/*
** process_rebuild()
**
** Makes process_task and process_baseline what the ledgers say.  Returns how
** many rows were not, INTEGER: 0, all was well.  Errors: inside a statement
** that writes; SQLITE_BUSY as it is.
*/
static void rebuild_function(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 count = 0;
  size_t i;
  HfTxn txn;
  (void)argc;
  (void)argv;
  if (hf_kept_begin(conn, "process_rebuild", &txn, &err) == SQLITE_OK) {
    for (i = 0; i < sizeof(rebuild_sql) / sizeof(*rebuild_sql); i++) {
      if (hf_exec(conn->db, &err, "%s", rebuild_sql[i]) == SQLITE_OK) {
        count += sqlite3_changes(conn->db);
      }
    }
    hf_kept_end(conn, txn, &err);
  }
  hf_result_integer(context, count, &err);
}

/* ---- the doctor ---------------------------------------------------------- */

/* One row a difference: what it is about. */
static const struct {
  const char *table;
  const char *sql;
} rebuild_check[] = {
    {"process_task",
     "SELECT task_id FROM (" REBUILD_TASKS
     " EXCEPT SELECT task_id, phase, status, agent, token, seq, updated_at"
     " FROM main.process_task)"
     " UNION SELECT task_id FROM main.process_task WHERE task_id NOT IN"
     " (SELECT task_id FROM main.phase_ledger_entry)"},
    {"process_baseline",
     "SELECT task_id || '/' || phase FROM (" REBUILD_BASELINES
     " EXCEPT SELECT task_id, phase, hash, version, components, persona_hash,"
     " severity, baseline_seq, seq, entry_hash FROM main.process_baseline)"
     " UNION SELECT task_id || '/' || phase FROM main.process_baseline"
     " WHERE seq NOT IN (SELECT seq FROM main.attestation_ledger_entry)"},
};

static int rebuild_check_table(HfConn *conn, size_t i, HfFindings *list,
                               HfError *err) {
  const char *table = rebuild_check[i].table;
  sqlite3_stmt *stmt = NULL;
  int rc;
  if (hf_prepare(conn->db, &stmt, err, "%s", rebuild_check[i].sql) ==
      SQLITE_OK) {
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && err->rc == SQLITE_OK) {
      const char *what = (const char *)sqlite3_column_text(stmt, 0);
      if (hf_findings_add(list, "state_differs", what ? what : "",
                          "%s is not what the ledger says; SELECT "
                          "process_rebuild()",
                          table) != SQLITE_OK) {
        hf_fail(err, SQLITE_NOMEM, NULL);
      }
    }
    if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  }
  sqlite3_finalize(stmt);
  if (err->rc == SQLITE_ERROR) {
    hf_error_clear(err);
    if (hf_findings_add(list, "config_altered", table,
                        "it, or the ledger that it derives from, is missing or "
                        "altered; restore it") != SQLITE_OK) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    }
  }
  return err->rc;
}

int hf_process_doctor(HfConn *conn, HfFindings *list, HfError *err) {
  sqlite3_int64 there = 0;
  size_t i;
  hf_query_int(conn->db, err, 0, &there,
               "SELECT 1 FROM main.sqlite_schema WHERE type = 'table'"
               " AND name IN ('process_task', 'process_baseline')");
  for (i = 0; there && i < sizeof(rebuild_check) / sizeof(*rebuild_check);
       i++) {
    if (err->rc == SQLITE_OK) rebuild_check_table(conn, i, list, err);
  }
  return err->rc;
}

static int rebuild_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"process_rebuild", 0, HF_CHANGES, rebuild_function},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}

int hf_process_register(HfConn *conn) {
  int rc = process_doors_register(conn);
  if (rc == SQLITE_OK) rc = process_prompt_register(conn);
  if (rc == SQLITE_OK) rc = rebuild_register(conn);
  return rc;
}
