/*
** ledger_track(table, ledger) and ledger_untrack(table): put an ordinary table
** under a ledger, and end that.
**
** Both are one transaction.  Rows that are there already enter as `baseline`:
** recorded is what they are now, not how they came about.
*/
#include <string.h>

#include "ledger/track.h"

/* ---- entries ------------------------------------------------------------- */

/* The entry that begins it holds what the table was then. */
static int functions_begin(HfConn *conn, const HfTable *table,
                           const char *ledger, HfError *err) {
  return hf_exec(conn->db, err,
                 "INSERT INTO \"%w\".\"%w\"(table_name, op, content)"
                 " VALUES (%Q, 'track',"
                 "         json_object('columns', json(%Q), 'sql', %Q))",
                 table->schema, ledger, table->name, table->named, table->sql);
}

/* *count: how many rows there are. */
static int functions_baseline(HfConn *conn, const HfTable *table,
                              const char *ledger, sqlite3_int64 *count,
                              HfError *err) {
  char *list = hf_table_list(conn, table, table->columns, "t.", err);
  *count = 0;
  if (list != NULL) {
    hf_exec(conn->db, err,
            "INSERT INTO \"%w\".\"%w\"(table_name, op, content)"
            " SELECT %Q, 'baseline', attest_canonical(%s)"
            "   FROM \"%w\".\"%w\" AS t",
            table->schema, ledger, table->name, list, table->schema,
            table->name);
    hf_query_int(conn->db, err, 0, count, "SELECT count(*) FROM \"%w\".\"%w\"",
                 table->schema, table->name);
  }
  sqlite3_free(list);
  return err->rc;
}

static int functions_end(HfConn *conn, const char *schema,
                         const TrackState *state, HfError *err) {
  return hf_exec(conn->db, err,
                 "INSERT INTO \"%w\".\"%w\"(table_name, op)"
                 " VALUES (%Q, 'untrack')",
                 schema, state->ledger, state->label);
}

/* ---- ledger_track -------------------------------------------------------- */

/* The ledger is made if there is none of that name. */
static int functions_need_ledger(HfConn *conn, const char *schema,
                                 const char *name, HfError *err) {
  sqlite3_int64 there;
  char *full = NULL;
  LedgerPin pin;
  if (hf_query_int(conn->db, err, 0, &there,
                   "SELECT 1 FROM \"%w\".sqlite_schema"
                   " WHERE name = %Q COLLATE NOCASE",
                   schema, name) != SQLITE_OK) {
    return err->rc;
  }
  if (!there) {
    return hf_exec(conn->db, err,
                   "CREATE VIRTUAL TABLE \"%w\".\"%w\" USING ledger(\n"
                   "  table_name TEXT NOT NULL,\n"
                   "  op         TEXT NOT NULL,\n"
                   "  old        BLOB,\n"
                   "  content    ANY\n"
                   ")",
                   schema, name);
  }
  full = hf_format(err, "%s.%s", schema, name);
  if (full != NULL && ledger_pin(conn, full, &pin, err) == SQLITE_OK &&
      strcmp(pin.ledger->def.schema_text, TRACK_SCHEMA) != 0) {
    hf_fail(err, SQLITE_ERROR,
            "ledger_track: ledger %s has other columns; name one that is not "
            "there yet, and it is made, or one with %s",
            name, TRACK_SCHEMA);
  }
  if (full != NULL) ledger_unpin(&pin);
  sqlite3_free(full);
  return err->rc;
}

/* Are the triggers what they should be? */
static int functions_is_whole(HfConn *conn, const HfTable *table,
                              const TrackState *state, int *whole,
                              HfError *err) {
  TrackObject object[TRACK_OBJECTS];
  int i;
  *whole = strcmp(table->sql, state->sql) == 0;
  if (track_objects_make(conn, table, table->columns, state->label,
                         state->ledger, object, err) == SQLITE_OK) {
    for (i = 0; i < TRACK_OBJECTS && *whole && err->rc == SQLITE_OK; i++) {
      *whole = hf_guard_compare(conn, table->schema, object[i].name,
                                object[i].sql, err) == 1;
    }
  }
  track_objects_clear(object);
  return err->rc;
}

/* It is recorded already, but its definition or its triggers have changed:
** begin anew, if nothing happened unseen. */
static int functions_renew(HfConn *conn, const HfTable *table,
                           const TrackState *state, HfError *err) {
  sqlite3_int64 differ = 1; /* without its columns it does */
  char *sql = NULL, *now;
  now = track_label_table(conn, table->schema, state->label, err);
  if (now != NULL && sqlite3_stricmp(now, table->name) != 0) {
    hf_fail(err, SQLITE_ERROR,
            "ledger_track: the table that is recorded as %s is now %s; "
            "ledger_track(%Q, %Q) goes on with it, and sets the name free",
            state->label, now, now, state->ledger);
  }
  sqlite3_free(now);
  if (err->rc == SQLITE_OK && table->columns >= state->columns) {
    sql = track_difference(conn, table, state, err);
    if (sql != NULL) {
      hf_query_int(conn->db, err, 0, &differ, "SELECT count(*) FROM (%s)", sql);
    }
    sqlite3_free(sql);
  }
  if (err->rc == SQLITE_OK && differ > 0) {
    hf_fail(err, SQLITE_ERROR,
            "ledger_track: %s differs from what ledger %s recorded; see "
            "ledger_reconcile(%Q), and set it right, or ledger_untrack it "
            "first",
            table->name, state->ledger, table->name);
  }
  track_objects_drop(conn, table->schema, state->label, err);
  if (sqlite3_stricmp(state->label, table->name) != 0) {
    functions_end(conn, table->schema, state, err);
  }
  return err->rc;
}

/* Does the definition say ON CONFLICT REPLACE?  Then rows are displaced that no
** trigger sees, and no statement says so. */
static int functions_replaces(const char *sql) {
  for (; *sql != 0; sql++) {
    const char *z = sql + 8;
    if (sqlite3_strnicmp(sql, "conflict", 8) != 0) continue;
    while (*z == ' ' || (*z >= '\t' && *z <= '\r')) z++;
    if (sqlite3_strnicmp(z, "replace", 7) == 0) return 1;
  }
  return 0;
}

/* What can be looked at, but not recorded. */
static int functions_check(const HfTable *table, HfError *err) {
  if (table->columns > TRACK_MAX_COLUMNS) {
    hf_fail(err, SQLITE_ERROR, "ledger_track: %s has %d columns; %d at most",
            table->name, table->columns, TRACK_MAX_COLUMNS);
  }
  if (functions_replaces(table->sql)) {
    hf_fail(err, SQLITE_ERROR,
            "ledger_track: %s is defined with ON CONFLICT REPLACE, so rows "
            "would be displaced that no trigger sees; write OR REPLACE in the "
            "statements instead",
            table->name);
  }
  if (table->expression != NULL) {
    hf_fail(err, SQLITE_ERROR,
            "ledger_track: the unique index %s of %s is on an expression, so "
            "rows that OR REPLACE displaces could not be recorded",
            table->expression, table->name);
  }
  return err->rc;
}

static int functions_track(HfConn *conn, const HfTable *table,
                           const char *ledger, sqlite3_int64 *count,
                           HfError *err) {
  TrackObject object[TRACK_OBJECTS];
  TrackState state;
  int whole = 0;
  memset(object, 0, sizeof(object));
  memset(&state, 0, sizeof(state));
  if (functions_need_ledger(conn, table->schema, ledger, err) == SQLITE_OK &&
      track_state_read(conn, table->schema, table->name, &state, err) ==
          SQLITE_OK) {
    if (state.ledger != NULL && sqlite3_stricmp(state.ledger, ledger) != 0) {
      hf_fail(err, SQLITE_ERROR,
              "ledger_track: %s is recorded in ledger %s; ledger_untrack(%Q) "
              "ends that",
              table->name, state.ledger, table->name);
    } else if (state.ledger != NULL &&
               functions_is_whole(conn, table, &state, &whole, err) ==
                   SQLITE_OK &&
               !whole) {
      functions_renew(conn, table, &state, err);
    }
    if (err->rc == SQLITE_OK && !whole &&
        functions_begin(conn, table, ledger, err) == SQLITE_OK &&
        functions_baseline(conn, table, ledger, count, err) == SQLITE_OK &&
        track_objects_make(conn, table, table->columns, table->name, ledger,
                           object, err) == SQLITE_OK) {
      track_objects_create(conn, table, object, err);
    }
  }
  track_objects_clear(object);
  track_state_clear(&state);
  return err->rc;
}

/* The ledger's name, without the schema, which must be the table's. */
static int functions_ledger_name(HfConn *conn, const char *text,
                                 const char *schema, char **ledger,
                                 HfError *err) {
  HfName name;
  *ledger = NULL;
  if (hf_name_split(conn->db, text, &name, err) != SQLITE_OK) return err->rc;
  if (strchr(text, '.') != NULL && sqlite3_stricmp(name.schema, schema) != 0) {
    hf_fail(err, SQLITE_ERROR,
            "ledger_track: the table is in %s, so the ledger must be there, "
            "too, for triggers do not reach other databases",
            schema);
  } else {
    /* As it is spelled in the schema, if it is there. */
    hf_query_text(conn->db, err, ledger,
                  "SELECT name FROM \"%w\".sqlite_schema"
                  " WHERE type = 'table' AND name = %Q COLLATE NOCASE",
                  schema, name.name);
    if (*ledger == NULL) *ledger = hf_format(err, "%s", name.name);
  }
  hf_name_clear(&name);
  return err->rc;
}

/* Begin a transaction that writes to the schema of the table named. */
static int functions_txn_begin(HfConn *conn, const char *what, const char *text,
                               HfTxn *txn, HfError *err) {
  HfName name;
  if (hf_name_split(conn->db, text, &name, err) == SQLITE_OK) {
    hf_txn_begin(conn->db, name.schema, what, txn, err);
    hf_name_clear(&name);
  }
  return err->rc;
}

/*
** ledger_track(table, ledger)
**
** Puts triggers on an ordinary table that record each change of a row in the
** ledger, which is made when there is none of that name, in the same database.
** Rows that are there already enter as `baseline`.  Returns how many, INTEGER;
** 0 when all is in place already.  When the table's definition or a trigger
** changed, begins anew, with a new baseline.  Errors: no ordinary table; more
** than 120 columns; a unique index on an expression; a table that is recorded
** elsewhere; changes that were not recorded; inside a statement that writes.
*/
static void functions_ledger_track(sqlite3_context *context, int argc,
                                   sqlite3_value **argv) {
  static const char words[] =
      "ledger_track: the arguments are the names of a table and of a ledger";
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const char *text = hf_argument_text(argv[0], words, &err);
  const char *to = hf_argument_text(argv[1], words, &err);
  sqlite3_int64 count = 0;
  char *ledger = NULL;
  HfTable table;
  HfTxn txn = HF_TXN_NONE;
  (void)argc;
  memset(&table, 0, sizeof(table));
  if (err.rc == SQLITE_OK && functions_txn_begin(conn, "ledger_track", text,
                                                 &txn, &err) == SQLITE_OK) {
    if (hf_table_read(conn, "ledger_track", text, &table, &err) == SQLITE_OK &&
        functions_ledger_name(conn, to, table.schema, &ledger, &err) ==
            SQLITE_OK) {
      functions_check(&table, &err);
      functions_track(conn, &table, ledger, &count, &err);
    }
    hf_txn_end(conn->db, txn, &err);
  }
  sqlite3_free(ledger);
  hf_table_clear(&table);
  hf_result_integer(context, count, &err);
}

/* ---- ledger_untrack ------------------------------------------------------ */

static int functions_untrack(HfConn *conn, const char *text, HfError *err) {
  TrackState state;
  HfName name;
  if (hf_name_split(conn->db, text, &name, err) != SQLITE_OK) return err->rc;
  if (track_state_read(conn, name.schema, name.name, &state, err) ==
      SQLITE_OK) {
    if (state.ledger == NULL) {
      hf_fail(err, SQLITE_ERROR, "ledger_untrack: %s is recorded in no ledger",
              name.name);
    } else {
      track_objects_drop(conn, name.schema, state.label, err);
      functions_end(conn, name.schema, &state, err);
    }
  }
  track_state_clear(&state);
  hf_name_clear(&name);
  return err->rc;
}

/*
** ledger_untrack(table)
**
** Takes the triggers off, and leaves an entry that says so.  Returns 1.
** Errors: a table whose changes are not recorded; inside a statement that
** writes.
*/
static void functions_ledger_untrack(sqlite3_context *context, int argc,
                                     sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const char *text = hf_argument_text(
      argv[0], "ledger_untrack: the argument is the name of a table", &err);
  HfTxn txn = HF_TXN_NONE;
  (void)argc;
  if (err.rc == SQLITE_OK && functions_txn_begin(conn, "ledger_untrack", text,
                                                 &txn, &err) == SQLITE_OK) {
    functions_untrack(conn, text, &err);
    hf_txn_end(conn->db, txn, &err);
  }
  hf_result_integer(context, 1, &err);
}

int ledger_track_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"ledger_track", 2, HF_CHANGES, functions_ledger_track},
      {"ledger_untrack", 1, HF_CHANGES, functions_ledger_untrack},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
