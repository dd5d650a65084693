/*
** Verification of a ledger that records tables: are the triggers there that
** feed it?
*/
#include <string.h>

#include "ledger/track.h"
#include "ledger/verify.h"

static int track_tell(void *context, const char *finding, const char *object,
                      const char *words, HfError *err) {
  if (verify_add(context, err, finding, 0, "%s", words) == SQLITE_OK) {
    VerifyQueue *queue = context;
    queue->finding[queue->count - 1].object = hf_format(err, "%s", object);
  }
  return err->rc;
}

/* One table that is recorded here, by the name that it had. */
static int track_verify_table(HfLedger *ledger, const char *label,
                              VerifyQueue *queue, HfError *err) {
  char *now = NULL, *full = NULL;
  HfTable table;
  TrackState state;
  memset(&table, 0, sizeof(table));
  memset(&state, 0, sizeof(state));
  now = track_label_table(ledger->conn, ledger->schema, label, err);
  if (now == NULL && err->rc == SQLITE_OK) {
    hf_query_text(ledger->db, err, &now,
                  "SELECT name FROM \"%w\".sqlite_schema"
                  " WHERE type = 'table' AND name = %Q COLLATE NOCASE",
                  ledger->schema, label);
  }
  if (err->rc != SQLITE_OK) return err->rc;
  if (now == NULL) {
    return verify_add_object(queue, err, "guard_missing", label,
                             "the table %s is recorded here, but is gone");
  }
  full = hf_format(err, "%s.%s", ledger->schema, now);
  if (full != NULL &&
      hf_table_read(ledger->conn, "ledger_verify", full, &table, err) ==
          SQLITE_OK &&
      track_state_read(ledger->conn, ledger->schema, now, &state, err) ==
          SQLITE_OK &&
      state.ledger != NULL) {
    track_guards(ledger->conn, &table, &state, track_tell, queue, err);
  }
  if (err->rc == SQLITE_ERROR) { /* it is no longer what can be recorded */
    hf_error_clear(err);
    verify_add_object(queue, err, "guard_altered", label,
                      "the table %s is recorded here, but no longer one that "
                      "can be");
  }
  track_state_clear(&state);
  hf_table_clear(&table);
  sqlite3_free(full);
  sqlite3_free(now);
  return err->rc;
}

int verify_tracked(HfLedger *ledger, VerifyQueue *queue, HfError *err) {
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  if (strcmp(ledger->def.schema_text, TRACK_SCHEMA) != 0) return SQLITE_OK;
  if (hf_prepare(ledger->db, &stmt, err,
                 "SELECT table_name FROM"
                 " (SELECT table_name, max(seq), op FROM \"%w\".\"%w_entry\""
                 "   WHERE op IN ('track', 'untrack') GROUP BY table_name)"
                 " WHERE op = 'track'",
                 ledger->schema, ledger->name) != SQLITE_OK) {
    /* A table that is missing or altered is a finding already. */
    if (err->rc == SQLITE_ERROR) hf_error_clear(err);
    return err->rc;
  }
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    char *label = hf_column_text(stmt, 0, err);
    if (label != NULL) track_verify_table(ledger, label, queue, err);
    sqlite3_free(label);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, ledger->db);
  sqlite3_finalize(stmt);
  return err->rc;
}

char *verify_tracked_json(HfLedger *ledger, HfError *err) {
  char *json = NULL;
  if (strcmp(ledger->def.schema_text, TRACK_SCHEMA) != 0) return NULL;
  hf_query_text(ledger->db, err, &json,
                "WITH mark AS (SELECT table_name, max(seq) AS since, op"
                "  FROM \"%w\".\"%w_entry\" NOT INDEXED"
                " WHERE op IN ('track', 'untrack') GROUP BY table_name)"
                "SELECT json_group_array(json_object('table', table_name,"
                " 'since', since, 'baseline', baseline, 'changes', changes))"
                "  FROM (SELECT e.table_name, since,"
                "               sum(e.op = 'baseline') AS baseline,"
                "               sum(e.op IN ('insert', 'update', 'delete'))"
                "                 AS changes"
                "          FROM mark AS m JOIN \"%w\".\"%w_entry\" AS e"
                "            ON e.table_name = m.table_name AND e.seq >= since"
                "         WHERE m.op = 'track' GROUP BY m.table_name"
                "         ORDER BY m.table_name)",
                ledger->schema, ledger->name, ledger->schema, ledger->name);
  /* A table that is missing or altered is a finding already. */
  if (err->rc == SQLITE_ERROR) hf_error_clear(err);
  return json;
}
