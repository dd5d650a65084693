/*
** What the ledgers of a schema say about a table: whether its changes are
** recorded, where and since when.  There is no other register that could be
** stripped: the entry that began it is in the ledger.
*/
#include <string.h>

#include "ledger/track.h"

void track_state_clear(TrackState *state) {
  sqlite3_free(state->ledger);
  sqlite3_free(state->label);
  sqlite3_free(state->named);
  sqlite3_free(state->sql);
  memset(state, 0, sizeof(*state));
}

/* The newest entry of this ledger that began or ended the recording of the
** label: filled in if it began it. */
static int state_read_ledger(HfConn *conn, const char *schema,
                             const char *ledger, const char *label,
                             TrackState *state, HfError *err) {
  sqlite3_stmt *stmt;
  /* Anybody may append an entry that looks like one of these. */
  if (hf_prepare(conn->db, &stmt, err,
                 "WITH mark AS (SELECT seq, table_name, op,"
                 "  iif(op = 'track' AND typeof(content) = 'text' AND"
                 "      json_valid(content), content, '{}') AS said"
                 "    FROM \"%w\".\"%w_entry\" NOT INDEXED"
                 "   WHERE table_name = %Q COLLATE NOCASE"
                 "     AND op IN ('track', 'untrack'))"
                 "SELECT seq, table_name, json_array_length(said, '$.columns'),"
                 "       json_extract(said, '$.columns'),"
                 "       json_extract(said, '$.sql'), op"
                 "  FROM mark"
                 " WHERE op = 'untrack'"
                 "    OR (json_type(said, '$.columns') = 'array'"
                 "        AND json_array_length(said, '$.columns') > 0"
                 "        AND json_type(said, '$.sql') = 'text')"
                 " ORDER BY seq DESC LIMIT 1",
                 schema, ledger, label) != SQLITE_OK) {
    return err->rc;
  }
  switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
      if (sqlite3_column_type(stmt, 4) != SQLITE_TEXT) break; /* untrack */
      state->from = sqlite3_column_int64(stmt, 0);
      state->columns = sqlite3_column_int(stmt, 2);
      state->label = hf_column_text(stmt, 1, err);
      state->named = hf_column_text(stmt, 3, err);
      state->sql = hf_column_text(stmt, 4, err);
      state->ledger = hf_format(err, "%s", ledger);
      break;
    case SQLITE_DONE:
      break;
    default:
      hf_fail_db(err, conn->db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

/* In every ledger that has the columns for it. */
static int state_read_label(HfConn *conn, const char *schema, const char *label,
                            TrackState *state, HfError *err) {
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  if (hf_prepare(conn->db, &stmt, err,
                 "SELECT v.name"
                 "  FROM \"%w\".sqlite_schema AS v"
                 "  JOIN \"%w\".sqlite_schema AS e"
                 "    ON e.type = 'table'"
                 "   AND e.name = v.name || '_entry' COLLATE NOCASE"
                 " WHERE v.type = 'table' AND v.rootpage = 0"
                 "   AND (SELECT group_concat(name) FROM"
                 "        (SELECT name FROM pragma_table_info(e.name, %Q)"
                 "          ORDER BY cid))"
                 "     = 'seq,at,table_name,op,old,content,hash,node'",
                 schema, schema, schema) != SQLITE_OK) {
    return err->rc;
  }
  while (err->rc == SQLITE_OK && state->ledger == NULL &&
         (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    char *ledger = hf_column_text(stmt, 0, err);
    if (ledger != NULL) {
      state_read_ledger(conn, schema, ledger, label, state, err);
    }
    sqlite3_free(ledger);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
    hf_fail_db(err, conn->db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

char *track_label_table(HfConn *conn, const char *schema, const char *label,
                        HfError *err) {
  char *name;
  hf_query_text(conn->db, err, &name,
                "SELECT tbl_name FROM \"%w\".sqlite_schema"
                " WHERE type = 'trigger'"
                "   AND name = '%q_track_insert' COLLATE NOCASE",
                schema, label);
  return name;
}

int track_state_read(HfConn *conn, const char *schema, const char *name,
                     TrackState *state, HfError *err) {
  char *label;
  memset(state, 0, sizeof(*state));
  if (state_read_label(conn, schema, name, state, err) != SQLITE_OK ||
      state->ledger != NULL) {
    return err->rc;
  }
  /* A table that was renamed: its triggers kept their names. */
  if (hf_query_text(conn->db, err, &label,
                    "SELECT substr(name, 1, length(name) - 13)"
                    "  FROM \"%w\".sqlite_schema"
                    " WHERE type = 'trigger' AND tbl_name = %Q COLLATE NOCASE"
                    "   AND name LIKE '%%\\_track\\_insert' ESCAPE '\\'",
                    schema, name) == SQLITE_OK &&
      label != NULL) {
    state_read_label(conn, schema, label, state, err);
  }
  sqlite3_free(label);
  return err->rc;
}

char *track_difference(HfConn *conn, const HfTable *table,
                       const TrackState *state, HfError *err) {
  char *list = hf_table_list(conn, table, state->columns, "t.", err);
  char *sql = NULL;
  if (err->rc == SQLITE_OK) {
    sql = hf_format(
        err,
        "SELECT sum(n) AS d, image FROM ("
        "SELECT 1 AS n, content AS image FROM \"%w\".\"%w_entry\" NOT INDEXED"
        " WHERE table_name = %Q AND seq > %lld AND content IS NOT NULL"
        " AND op NOT IN ('track', 'untrack')"
        " UNION ALL SELECT -1, old FROM \"%w\".\"%w_entry\" NOT INDEXED"
        " WHERE table_name = %Q AND seq > %lld AND old IS NOT NULL"
        " UNION ALL SELECT -1, attest_canonical(%s) FROM \"%w\".\"%w\" AS t "
        "NOT INDEXED)"
        " GROUP BY image HAVING sum(n) <> 0",
        table->schema, state->ledger, state->label, state->from, table->schema,
        state->ledger, state->label, state->from, list, table->schema,
        table->name);
  }
  sqlite3_free(list);
  return sql;
}
