/*
** killswitch_guard(table [, switch]): the wall of the kill switch, pure SQL.
**
** Triggers on the table refuse every write unless the switch reads '0'.  They
** look at settings in the writer's own transaction, under the write lock: a
** write is before the statement that engages, or it is refused.
*/
#include <string.h>

#include "control/control.h"

/* What is guarded: a table, or what a ledger or lease table writes to. */
typedef struct KillGuard {
  HfConn *conn;
  char *schema;
  char *name;  /* as it was asked for */
  char *table; /* that has the triggers */
  int verbs;   /* the first so many of INSERT, UPDATE, DELETE */
} KillGuard;

static const char *const kill_verb[] = {"INSERT", "UPDATE", "DELETE"};
static const char *const kill_suffix[] = {"insert", "update", "delete"};

static int kill_exists(const KillGuard *guard, const char *name, HfError *err) {
  sqlite3_int64 there = 0;
  hf_query_int(guard->conn->db, err, 0, &there,
               "SELECT 1 FROM \"%w\".sqlite_schema WHERE type = 'table'"
               " AND rootpage > 0 AND name = %Q COLLATE NOCASE",
               guard->schema, name);
  return there && err->rc == SQLITE_OK;
}

/* Find the table for the triggers.  A lease may be released while the switch is
** on, and its running holders end; it is not granted or renewed. */
static int kill_find(KillGuard *guard, HfError *err) {
  char *entry = hf_format(err, "%s_entry", guard->name);
  char *held = hf_format(err, "%s_held", guard->name);
  guard->verbs = 3;
  if (err->rc != SQLITE_OK) {
    /* said already */
  } else if (kill_exists(guard, guard->name, err)) {
    guard->table = hf_format(err, "%s", guard->name);
  } else if (kill_exists(guard, entry, err)) {
    guard->table = entry;
    entry = NULL;
  } else if (kill_exists(guard, held, err)) {
    guard->table = held;
    held = NULL;
    guard->verbs = 2;
  } else {
    hf_fail(err, SQLITE_ERROR,
            "killswitch_guard: no such table, ledger or lease table: %s.%s",
            guard->schema, guard->name);
  }
  sqlite3_free(entry);
  sqlite3_free(held);
  return err->rc;
}

/* A switch that guards its own tables could not be reset. */
static int kill_check(const KillGuard *guard, HfError *err) {
  static const char *const own[] = {"settings",
                                    "flag",
                                    "control_event",
                                    "control_outbox",
                                    "monitor",
                                    "monitor_profile",
                                    "monitor_check",
                                    "monitor_decision",
                                    "control_ledger_entry",
                                    "control_lease_held",
                                    "lease_high_water",
                                    "holdfast_area",
                                    "holdfast_guard"};
  size_t i;
  for (i = 0; i < sizeof(own) / sizeof(*own); i++) {
    if (sqlite3_stricmp(guard->table, own[i]) != 0) continue;
    return hf_fail(err, SQLITE_ERROR,
                   "killswitch_guard: %s is what the kill switch itself "
                   "writes; guard your own tables",
                   guard->table);
  }
  if (!kill_exists(guard, "settings", err) && err->rc == SQLITE_OK) {
    hf_fail(err, SQLITE_ERROR,
            "killswitch_guard: there is no table settings in %s; SELECT "
            "holdfast_install('control')",
            guard->schema);
  }
  return err->rc;
}

/* A switch other than DISABLE_NEW begins off, the first time. */
static int kill_define(const KillGuard *guard, const char *key, HfError *err) {
  sqlite3_int64 is = 0;
  hf_exec(guard->conn->db, err,
          "INSERT INTO \"%w\".flag(name, kind, default_value, safe_value)"
          " SELECT %Q, 'switch', '0', '1'"
          " WHERE NOT EXISTS (SELECT 1 FROM \"%w\".flag WHERE name = %Q)",
          guard->schema, key, guard->schema, key);
  hf_query_int(guard->conn->db, err, 0, &is,
               "SELECT 1 FROM \"%w\".flag WHERE name = %Q AND kind = 'switch'",
               guard->schema, key);
  if (err->rc == SQLITE_OK && !is) {
    return hf_fail(err, SQLITE_ERROR,
                   "killswitch_guard: the flag %s is of another kind; name a "
                   "switch, or one that is not there yet",
                   key);
  }
  return hf_exec(guard->conn->db, err,
                 "INSERT INTO \"%w\".settings(key, value, updated_by, reason)"
                 " SELECT %Q, '0', 'killswitch_guard', 'a table is guarded'"
                 " WHERE NOT EXISTS"
                 " (SELECT 1 FROM \"%w\".control_event WHERE key = %Q)",
                 guard->schema, key, guard->schema, key);
}

static int kill_drop(const KillGuard *guard, sqlite3_int64 *count,
                     HfError *err) {
  int i;
  *count = 0;
  for (i = 0; i < 3 && err->rc == SQLITE_OK; i++) {
    char *name = hf_format(err, "%s_kill_%s", guard->table, kill_suffix[i]);
    hf_guard_drop(guard->conn, guard->schema, name, count, err);
    sqlite3_free(name);
  }
  return err->rc;
}

static int kill_create(const KillGuard *guard, const char *key, HfError *err) {
  int i;
  for (i = 0; i < guard->verbs && err->rc == SQLITE_OK; i++) {
    char *name = hf_format(err, "%s_kill_%s", guard->table, kill_suffix[i]);
    char *sql = hf_format(
        err,
        "\"%w\" BEFORE %s ON \"%w\"\n"
        "WHEN (SELECT value FROM settings WHERE key = %Q) IS NOT '0'\n"
        "BEGIN\n"
        "  SELECT RAISE(ABORT, '%q: the kill switch %q is on; "
        "control_event says why, killswitch_reset() turns it off');\n"
        "END",
        name, kill_verb[i], guard->table, key, guard->name, key);
    hf_guard_create(guard->conn, guard->schema, name, guard->table, "control",
                    sql, err);
    sqlite3_free(sql);
    sqlite3_free(name);
  }
  return err->rc;
}

/* Guard or unguard: one transaction; *count of triggers. */
static int kill_door(KillGuard *guard, const char *function, const char *text,
                     const char *key, sqlite3_int64 *count, HfError *err) {
  HfName name;
  HfTxn txn;
  if (hf_name_split(guard->conn->db, text, &name, err) != SQLITE_OK) {
    return err->rc;
  }
  guard->schema = name.schema;
  guard->name = name.name;
  if (hf_txn_begin(guard->conn->db, guard->schema, function, &txn, err) ==
      SQLITE_OK) {
    if (kill_find(guard, err) == SQLITE_OK &&
        kill_check(guard, err) == SQLITE_OK &&
        kill_drop(guard, count, err) == SQLITE_OK && key != NULL) {
      kill_define(guard, key, err);
      kill_create(guard, key, err);
      *count = guard->verbs;
    }
    hf_txn_end(guard->conn->db, txn, err);
  }
  return err->rc;
}

static void kill_function(sqlite3_context *context, const char *function,
                          sqlite3_value *table, const char *key, HfError *err) {
  const char *text = control_text(function, "the table", table, err);
  KillGuard guard;
  sqlite3_int64 count = 0;
  memset(&guard, 0, sizeof(guard));
  guard.conn = sqlite3_user_data(context);
  if (text != NULL && err->rc == SQLITE_OK) {
    kill_door(&guard, function, text, key, &count, err);
  }
  sqlite3_free(guard.schema);
  sqlite3_free(guard.name);
  sqlite3_free(guard.table);
  hf_result_integer(context, count, err);
}

/*
** killswitch_guard(table [, switch])
**
** table: TEXT, an ordinary table, a ledger or a lease table; switch: TEXT, a
** flag of kind switch, DISABLE_NEW when left out, made when there is none of
** that name.  Puts triggers on the table that refuse its writes unless the
** switch reads '0'.  Returns how many, INTEGER; those of an earlier call go.
*/
static void kill_guard_function(sqlite3_context *context, int argc,
                                sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  const char *key = CONTROL_SWITCH;
  if (argc > 1 && sqlite3_value_type(argv[1]) != SQLITE_NULL) {
    key = control_text("killswitch_guard", "the switch", argv[1], &err);
  }
  kill_function(context, "killswitch_guard", argv[0], key, &err);
}

/*
** killswitch_unguard(table)
**
** Takes those triggers off.  Returns how many there were, INTEGER.
*/
static void kill_unguard_function(sqlite3_context *context, int argc,
                                  sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  (void)argc;
  kill_function(context, "killswitch_unguard", argv[0], NULL, &err);
}

int control_guard_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"killswitch_guard", 1, HF_CHANGES, kill_guard_function},
      {"killswitch_guard", 2, HF_CHANGES, kill_guard_function},
      {"killswitch_unguard", 1, HF_CHANGES, kill_unguard_function},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
