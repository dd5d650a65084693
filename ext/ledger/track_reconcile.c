/*
** ledger_reconcile(table): an ordinary table against what its ledger recorded.
**
**   SELECT * FROM ledger_reconcile('orders')    one row a difference
**
** What the table's triggers did not see, it shows: writes with the triggers
** dropped, blob I/O, edits of the file.  What it compares with is only as good
** as the ledger; ledger_verify says how good that is.
*/
#include <assert.h>
#include <string.h>

#include "ledger/track.h"

enum {
  RECONCILE_FINDING,
  RECONCILE_KEY,
  RECONCILE_RECORDED,
  RECONCILE_PRESENT,
  RECONCILE_TABLE /* the argument */
};

/* A finding about the table or its triggers, told before those of rows. */
typedef struct ReconcileNote {
  const char *finding;
  char *detail;
} ReconcileNote;

/* One for each trigger, and two of the table itself. */
#define RECONCILE_NOTES (TRACK_OBJECTS + 2)

typedef struct ReconcileCursor {
  sqlite3_vtab_cursor base; /* must be first */
  ReconcileNote note[RECONCILE_NOTES];
  int notes;
  int told;           /* of the notes */
  sqlite3_stmt *rows; /* the rows that differ; NULL: no more */
  sqlite3_int64 rowid;
} ReconcileCursor;

/* ---- the table ----------------------------------------------------------- */

static int reconcile_note(ReconcileCursor *cursor, const char *finding,
                          char *detail, HfError *err) {
  if (detail == NULL) return err->rc;
  assert(cursor->notes < RECONCILE_NOTES);
  cursor->note[cursor->notes].finding = finding;
  cursor->note[cursor->notes++].detail = detail;
  return err->rc;
}

/* The definition against the recorded one. */
static int reconcile_schema(ReconcileCursor *cursor, const HfTable *table,
                            const TrackState *state, HfError *err) {
  if (strcmp(table->sql, state->sql) == 0) return SQLITE_OK;
  if (strcmp(table->name, state->label) != 0) {
    return reconcile_note(
        cursor, "schema_altered",
        hf_format(err,
                  "it was recorded as %s, and renamed since; "
                  "ledger_track(%Q, %Q) goes on under the new name",
                  state->label, table->name, state->ledger),
        err);
  }
  return reconcile_note(
      cursor, "schema_altered",
      hf_format(err,
                "its definition is not the one recorded; columns then %s, now "
                "%s; ledger_track(%Q, %Q) goes on with these",
                state->named, table->named, table->name, state->ledger),
      err);
}

static int reconcile_guard(void *context, const char *finding,
                           const char *object, const char *words,
                           HfError *err) {
  (void)object;
  return reconcile_note(context, finding, hf_format(err, "%s", words), err);
}

/* ---- its rows ------------------------------------------------------------ */

/* The primary key's values, of an encoding: SQL, and when one of them is NULL,
** for then there may be several rows of it.  Both NULL without a key. */
static int reconcile_key(HfConn *conn, const HfTable *table, char **key,
                         char **null, HfError *err) {
  hf_query_text(conn->db, err, key,
                "SELECT 'attest_decode(image, ' || group_concat(value, ', ')"
                " || ')' FROM json_each(%Q)",
                table->keys);
  hf_query_text(conn->db, err, null,
                "SELECT group_concat(printf("
                "'attest_decode(image, %%d) = ''[null]''', value), ' OR ')"
                " FROM json_each(%Q)",
                table->keys);
  return err->rc;
}

/* What went and came with the same key is one row that was altered; without a
** primary key there is no telling. */
static int reconcile_rows(HfConn *conn, ReconcileCursor *cursor,
                          const HfTable *table, const TrackState *state,
                          HfError *err) {
  char *sql, *key = NULL, *null = NULL;
  if (table->columns < state->columns) return SQLITE_OK; /* has been told */
  sql = track_difference(conn, table, state, err);
  if (reconcile_key(conn, table, &key, &null, err) == SQLITE_OK) {
    hf_prepare(conn->db, &cursor->rows, err,
               "SELECT CASE WHEN min(d) > 0 THEN 'row_missing'"
               "            WHEN max(d) < 0 THEN 'row_unledgered'"
               "            ELSE 'row_altered' END,"
               "       key,"
               "       attest_decode(max(iif(d > 0, image, NULL))),"
               "       attest_decode(max(iif(d < 0, image, NULL)))"
               "  FROM (SELECT d, image, %s AS key,"
               "               iif(%s, image, NULL) AS one FROM (%s))"
               " GROUP BY key, one",
               key ? key : "NULL", null ? null : "1", sql);
  }
  sqlite3_free(sql);
  sqlite3_free(key);
  sqlite3_free(null);
  return err->rc;
}

/* ---- the virtual table --------------------------------------------------- */

static int reconcile_connect(sqlite3 *db, void *aux, int argc,
                             const char *const *argv, sqlite3_vtab **out,
                             char **message) {
  (void)argc;
  (void)argv;
  (void)message;
  return hf_eponymous_connect(
      db, aux, sizeof(HfEponymous),
      "CREATE TABLE ledger_reconcile(finding TEXT, key TEXT, "
      "recorded TEXT, present TEXT, table_name TEXT HIDDEN)",
      0, out);
}

static int reconcile_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  int i, unusable = 0;
  (void)vtab;
  info->estimatedCost = 1000000;
  info->estimatedRows = 10;
  for (i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *term = &info->aConstraint[i];
    if (term->iColumn != RECONCILE_TABLE ||
        term->op != SQLITE_INDEX_CONSTRAINT_EQ) {
      continue;
    }
    if (!term->usable) {
      unusable = 1;
      continue;
    }
    info->aConstraintUsage[i].argvIndex = 1;
    info->aConstraintUsage[i].omit = 1;
    info->idxNum = 1;
    return SQLITE_OK;
  }
  return unusable ? SQLITE_CONSTRAINT : SQLITE_OK;
}

static int reconcile_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  (void)vtab;
  return hf_cursor_open(sizeof(ReconcileCursor), out);
}

static void reconcile_reset(ReconcileCursor *cursor) {
  int i;
  for (i = 0; i < cursor->notes; i++) sqlite3_free(cursor->note[i].detail);
  sqlite3_finalize(cursor->rows);
  cursor->notes = cursor->told = 0;
  cursor->rows = NULL;
  cursor->rowid = 0;
}

static int reconcile_close(sqlite3_vtab_cursor *base) {
  reconcile_reset((ReconcileCursor *)base);
  sqlite3_free(base);
  return SQLITE_OK;
}

static int reconcile_step(HfConn *conn, ReconcileCursor *cursor, HfError *err) {
  int rc;
  cursor->rowid++;
  if (cursor->told < cursor->notes || cursor->rows == NULL) return SQLITE_OK;
  rc = sqlite3_step(cursor->rows);
  if (rc == SQLITE_ROW) return SQLITE_OK;
  if (rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(cursor->rows);
  cursor->rows = NULL;
  return err->rc;
}

/* The table is not there: its rows cannot be. */
static int reconcile_gone(HfConn *conn, ReconcileCursor *cursor,
                          const HfName *name, const TrackState *state,
                          HfError *err) {
  char *renamed = track_label_table(conn, name->schema, state->label, err);
  reconcile_note(
      cursor, "table_missing",
      renamed ? hf_format(err,
                          "it was renamed to %s; ledger_track(%Q, %Q) goes on "
                          "under the new name",
                          renamed, renamed, state->ledger)
              : hf_format(err, "it was dropped"),
      err);
  sqlite3_free(renamed);
  return err->rc;
}

/* Another table has got its name since. */
static int reconcile_namesake(HfConn *conn, ReconcileCursor *cursor,
                              const HfTable *table, const TrackState *state,
                              HfError *err) {
  char *now = track_label_table(conn, table->schema, state->label, err);
  if (now != NULL && sqlite3_stricmp(now, table->name) != 0) {
    reconcile_note(cursor, "schema_altered",
                   hf_format(err,
                             "the table that was recorded under this name is "
                             "now %s; ledger_track(%Q, %Q) goes on with it",
                             now, now, state->ledger),
                   err);
  }
  sqlite3_free(now);
  return err->rc;
}

static int reconcile_begin(HfConn *conn, ReconcileCursor *cursor,
                           const char *text, HfError *err) {
  HfTable table;
  TrackState state;
  HfName name;
  sqlite3_int64 there = 0;
  memset(&table, 0, sizeof(table));
  if (hf_name_split(conn->db, text, &name, err) != SQLITE_OK) return err->rc;
  if (track_state_read(conn, name.schema, name.name, &state, err) ==
          SQLITE_OK &&
      state.ledger == NULL) {
    hf_fail(err, SQLITE_ERROR,
            "ledger_reconcile: %s is recorded in no ledger; ledger_track(%Q, "
            "'...') begins",
            name.name, name.name);
  }
  hf_query_int(conn->db, err, 0, &there,
               "SELECT 1 FROM \"%w\".sqlite_schema WHERE type = 'table'"
               "   AND name = %Q COLLATE NOCASE",
               name.schema, name.name);
  if (err->rc == SQLITE_OK && !there) {
    reconcile_gone(conn, cursor, &name, &state, err);
  } else if (err->rc == SQLITE_OK &&
             hf_table_read(conn, "ledger_reconcile", text, &table, err) ==
                 SQLITE_OK) {
    reconcile_namesake(conn, cursor, &table, &state, err);
    reconcile_schema(cursor, &table, &state, err);
    track_guards(conn, &table, &state, reconcile_guard, cursor, err);
    reconcile_rows(conn, cursor, &table, &state, err);
  }
  hf_table_clear(&table);
  track_state_clear(&state);
  hf_name_clear(&name);
  return err->rc;
}

static int reconcile_filter(sqlite3_vtab_cursor *base, int idx_num,
                            const char *idx_str, int argc,
                            sqlite3_value **argv) {
  ReconcileCursor *cursor = (ReconcileCursor *)base;
  HfConn *conn = ((HfEponymous *)base->pVtab)->conn;
  HfError err = {SQLITE_OK, NULL};
  const char *text = NULL;
  (void)idx_str;
  reconcile_reset(cursor);
  if (idx_num == 1 && argc == 1) {
    text = (const char *)sqlite3_value_text(argv[0]);
  }
  if (text == NULL) {
    hf_fail(&err, SQLITE_ERROR,
            "ledger_reconcile needs the name of a table: "
            "ledger_reconcile('orders')");
  } else if (reconcile_begin(conn, cursor, text, &err) == SQLITE_OK) {
    reconcile_step(conn, cursor, &err);
  }
  return hf_error_to_vtab(&err, base->pVtab);
}

static int reconcile_next(sqlite3_vtab_cursor *base) {
  ReconcileCursor *cursor = (ReconcileCursor *)base;
  HfError err = {SQLITE_OK, NULL};
  if (cursor->told < cursor->notes) cursor->told++;
  reconcile_step(((HfEponymous *)base->pVtab)->conn, cursor, &err);
  return hf_error_to_vtab(&err, base->pVtab);
}

static int reconcile_eof(sqlite3_vtab_cursor *base) {
  const ReconcileCursor *cursor = (const ReconcileCursor *)base;
  return cursor->told == cursor->notes && cursor->rows == NULL;
}

static int reconcile_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                            int column) {
  const ReconcileCursor *cursor = (const ReconcileCursor *)base;
  if (column == RECONCILE_TABLE) return SQLITE_OK; /* not told again */
  if (cursor->told == cursor->notes) {
    sqlite3_result_value(context, sqlite3_column_value(cursor->rows, column));
  } else if (column == RECONCILE_FINDING) {
    sqlite3_result_text(context, cursor->note[cursor->told].finding, -1,
                        SQLITE_STATIC);
  } else if (column == RECONCILE_PRESENT) {
    sqlite3_result_text(context, cursor->note[cursor->told].detail, -1,
                        SQLITE_TRANSIENT);
  }
  return SQLITE_OK;
}

static int reconcile_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = ((ReconcileCursor *)base)->rowid;
  return SQLITE_OK;
}

int ledger_reconcile_register(HfConn *conn) {
  static const sqlite3_module module = {
      .iVersion = 0,
      .xConnect = reconcile_connect,
      .xBestIndex = reconcile_best_index,
      .xDisconnect = hf_eponymous_disconnect,
      .xOpen = reconcile_open,
      .xClose = reconcile_close,
      .xFilter = reconcile_filter,
      .xNext = reconcile_next,
      .xEof = reconcile_eof,
      .xColumn = reconcile_column,
      .xRowid = reconcile_rowid,
  };
  return hf_register_module(conn, "ledger_reconcile", &module);
}
