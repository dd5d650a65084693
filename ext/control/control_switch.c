/*
** The kill switch: engage and reset, and the sealing of its history.
**
** Everything that these functions do is plain SQL on the tables of
** sql/control.sql, and is held to their triggers.
*/
#include <string.h>

#include "control/control.h"

const char *control_text(const char *function, const char *what,
                         sqlite3_value *value, HfError *err) {
  const char *text = NULL;
  if (sqlite3_value_type(value) == SQLITE_TEXT) {
    text = (const char *)sqlite3_value_text(value);
    if (text == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
      return NULL;
    }
    if (text[strspn(text, " \t\r\n")] != 0) return text;
  }
  hf_fail(err, SQLITE_ERROR, "%s: %s must be TEXT that says something",
          function, what);
  return NULL;
}

/* Step a kept statement that is bound, and give it back.  *out: the integer of
** its row, or 0. */
static int switch_step(HfConn *conn, const char *sql, sqlite3_stmt *stmt,
                       sqlite3_int64 *out, HfError *err) {
  *out = 0;
  if (hf_step_done(conn->db, stmt, err) == SQLITE_OK &&
      sqlite3_data_count(stmt) > 0) {
    *out = sqlite3_column_int64(stmt, 0);
  }
  hf_kept_give(conn, sql, &stmt);
  return err->rc;
}

static int switch_query(HfConn *conn, const char *sql, sqlite3_int64 *out,
                        HfError *err) {
  sqlite3_stmt *stmt = hf_kept_take(conn, sql, err);
  *out = 0;
  return stmt != NULL ? switch_step(conn, sql, stmt, out, err) : err->rc;
}

/* ---- sealing ------------------------------------------------------------- */

#define SWITCH_LEDGER \
  "CREATE VIRTUAL TABLE main.control_ledger USING ledger(" \
  "event INTEGER NOT NULL, event_at INTEGER NOT NULL, key TEXT NOT NULL," \
  " old_value TEXT, new_value TEXT, actor TEXT, reason TEXT," \
  " approver TEXT)"

static int switch_has_ledger(HfConn *conn) {
  return sqlite3_table_column_metadata(conn->db, "main", "control_ledger", NULL,
                                       NULL, NULL, NULL, NULL,
                                       NULL) == SQLITE_OK;
}

/* Append the events that are not in the ledger yet; *count: how many. */
static int switch_append(HfConn *conn, sqlite3_int64 *count, HfError *err) {
  static const char append[] =
      "INSERT INTO main.control_ledger(event, event_at, key, old_value,"
      " new_value, actor, reason, approver)"
      " SELECT seq, at, key, old_value, new_value, actor, reason, approver"
      "   FROM main.control_event"
      "  WHERE seq > coalesce((SELECT event FROM main.control_ledger_entry"
      "                         ORDER BY seq DESC LIMIT 1), 0)"
      "  ORDER BY seq";
  sqlite3_int64 none;
  *count = 0;
  if (switch_query(conn, append, &none, err) == SQLITE_OK) {
    *count = sqlite3_changes(conn->db);
  }
  return err->rc;
}

/* The same, and make the ledger when it is missing. */
static int switch_seal(HfConn *conn, sqlite3_int64 *count, HfError *err) {
  *count = 0;
  if (!switch_has_ledger(conn) &&
      hf_exec(conn->db, err, SWITCH_LEDGER) != SQLITE_OK) {
    return err->rc;
  }
  return switch_append(conn, count, err);
}

/* The same, where a failure must not keep the switch from being thrown: the
** events wait.  The append alone is one statement, which undoes itself. */
static void switch_try_seal(HfConn *conn) {
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 count;
  if (switch_has_ledger(conn)) {
    switch_append(conn, &count, &err);
  } else if (hf_exec(conn->db, &err, "SAVEPOINT \"holdfast seal\"") ==
             SQLITE_OK) {
    if (switch_seal(conn, &count, &err) != SQLITE_OK) {
      sqlite3_exec(conn->db, "ROLLBACK TO \"holdfast seal\"", NULL, NULL, NULL);
    }
    sqlite3_exec(conn->db, "RELEASE \"holdfast seal\"", NULL, NULL, NULL);
  }
  hf_error_clear(&err);
}

/*
** control_seal()
**
** Appends the events of control_event that are not in it yet to the ledger
** control_ledger, which it makes when missing.  Returns how many, INTEGER.
*/
static void switch_seal_function(sqlite3_context *context, int argc,
                                 sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 count = 0;
  HfTxn txn;
  (void)argc;
  (void)argv;
  if (hf_kept_begin(conn, "control_seal", &txn, &err) == SQLITE_OK) {
    switch_seal(conn, &count, &err);
    hf_kept_end(conn, txn, &err);
  }
  hf_result_integer(context, count, &err);
}

/* ---- the switch ---------------------------------------------------------- */

/* Set it, unless it reads so already; *changed: whether it was set. */
static int switch_set(HfConn *conn, int on, const char *actor,
                      const char *reason, const char *approver,
                      sqlite3_int64 *changed, HfError *err) {
  /* It can only be engaged where there is a row. */
  static const char engage[] =
      "UPDATE main.settings SET value = '1', updated_at = ?1, updated_by = ?2,"
      " reason = ?3, approved_by = ?4 WHERE key = '" CONTROL_SWITCH "'";
  static const char reset[] =
      "INSERT INTO main.settings(key, value, updated_at, updated_by, reason,"
      " approved_by) VALUES ('" CONTROL_SWITCH "', '0', ?1, ?2, ?3, ?4)"
      " ON CONFLICT(key) DO UPDATE SET value = excluded.value,"
      " updated_at = excluded.updated_at, updated_by = excluded.updated_by,"
      " reason = excluded.reason, approved_by = excluded.approved_by";
  static const char get[] = "SELECT value IS '0' FROM main.settings"
                            " WHERE key = '" CONTROL_SWITCH "'";
  const char *set = on ? engage : reset;
  sqlite3_int64 off, now, none;
  sqlite3_stmt *stmt;
  *changed = 0;
  if (switch_query(conn, get, &off, err) != SQLITE_OK || on != (int)off ||
      hf_clock_now(hf_clock_vfs(conn->db, "main"), &now, err) != SQLITE_OK) {
    return err->rc;
  }
  stmt = hf_kept_take(conn, set, err);
  if (stmt == NULL) return err->rc;
  *changed = 1;
  sqlite3_bind_int64(stmt, 1, now);
  sqlite3_bind_text(stmt, 2, actor, -1, SQLITE_STATIC);
  sqlite3_bind_text(stmt, 3, reason, -1, SQLITE_STATIC);
  sqlite3_bind_text(stmt, 4, approver, -1, SQLITE_STATIC);
  if (switch_step(conn, set, stmt, &none, err) == SQLITE_OK &&
      sqlite3_changes(conn->db) != 1) {
    hf_fail(err, SQLITE_CONSTRAINT,
            "settings: a trigger swallowed the change of " CONTROL_SWITCH
            " with RAISE(IGNORE); drop it, and try again");
  }
  return err->rc;
}

static void switch_door(sqlite3_context *context, const char *function, int on,
                        sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const char *reason = control_text(function, "the reason", argv[0], &err);
  const char *actor =
      reason ? control_text(function, "the actor", argv[1], &err) : NULL;
  const char *approver =
      actor && !on ? control_text(function, "the approver", argv[2], &err)
                   : NULL;
  sqlite3_int64 changed = 0;
  HfTxn txn;
  if (err.rc == SQLITE_OK &&
      hf_kept_begin(conn, function, &txn, &err) == SQLITE_OK) {
    if (switch_set(conn, on, actor, reason, approver, &changed, &err) ==
        SQLITE_OK) {
      switch_try_seal(conn);
    }
    hf_kept_end(conn, txn, &err);
  }
  hf_result_integer(context, changed, &err);
}

/*
** killswitch_engage(reason, actor)
**
** Turns the kill switch DISABLE_NEW on.  Once it has returned, no guarded
** transaction commits anywhere.  Always allowed.  Returns 1, or 0 when it was
** on already.  Errors: arguments that are no TEXT; inside a statement that
** writes; SQLITE_BUSY as it is.
*/
static void switch_engage(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  (void)argc;
  switch_door(context, "killswitch_engage", 1, argv);
}

/*
** killswitch_reset(reason, actor, approver)
**
** Turns it off.  Returns 1, or 0 when it was off already.  Errors, in the words
** of the triggers: an approver who is the actor; a failed health check within
** KILLSWITCH_QUIET_MS.
*/
static void switch_reset(sqlite3_context *context, int argc,
                         sqlite3_value **argv) {
  (void)argc;
  switch_door(context, "killswitch_reset", 0, argv);
}

/* ---- the monitor --------------------------------------------------------- */

/*
** monitor_start(release, profile [, previous])
**
** Begins to watch a release: INSERT INTO monitor, and the sealing of what is
** not sealed yet.  Returns 1.  Errors: no such profile; a release that is or
** was watched.
*/
static void switch_monitor_start(sqlite3_context *context, int argc,
                                 sqlite3_value **argv) {
  static const char function[] = "monitor_start";
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const char *release = control_text(function, "the release", argv[0], &err);
  const char *profile =
      release ? control_text(function, "the profile", argv[1], &err) : NULL;
  const char *previous = NULL;
  HfTxn txn;
  if (profile && argc > 2 && sqlite3_value_type(argv[2]) != SQLITE_NULL) {
    previous = control_text(function, "the previous release", argv[2], &err);
  }
  if (err.rc == SQLITE_OK &&
      hf_kept_begin(conn, function, &txn, &err) == SQLITE_OK) {
    hf_exec(conn->db, &err,
            "INSERT INTO main.monitor(release, profile, previous)"
            " VALUES (%Q, %Q, %Q)",
            release, profile, previous);
    if (err.rc == SQLITE_OK) switch_try_seal(conn);
    hf_kept_end(conn, txn, &err);
  }
  hf_result_integer(context, 1, &err);
}

int control_switch_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"control_seal", 0, HF_CHANGES, switch_seal_function},
      {"killswitch_engage", 2, HF_CHANGES, switch_engage},
      {"killswitch_reset", 3, HF_CHANGES, switch_reset},
      {"monitor_start", 2, HF_CHANGES, switch_monitor_start},
      {"monitor_start", 3, HF_CHANGES, switch_monitor_start},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}

int hf_control_register(HfConn *conn) {
  int rc = control_switch_register(conn);
  if (rc == SQLITE_OK) rc = control_guard_register(conn);
  if (rc == SQLITE_OK) rc = control_measure_register(conn);
  if (rc == SQLITE_OK) rc = control_flag_register(conn);
  if (rc == SQLITE_OK) rc = control_drill_register(conn);
  return rc;
}
