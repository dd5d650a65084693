/*
** lease_guard and lease_unguard; what the doctor says of guards; and what
** becomes of them when the lease table is renamed.
*/
#include <string.h>

#include "lease/guard.h"

/* The triggers of a guard are found by their names, which stay when the table
** is renamed: <guard>_insert and so on; lease_guarded has each <guard>. */

/* ---- making and dropping ------------------------------------------------- */

/* The name of a guard of this table, which no trigger of another has. */
static int guard_name(Guard *guard, HfError *err) {
  const HfTable *table = &guard->table;
  sqlite3_int64 taken = 1;
  int n;
  for (n = 1; taken && err->rc == SQLITE_OK; n++) {
    sqlite3_free(guard->name);
    guard->name = n == 1 ? hf_format(err, "%s_lease", table->name)
                         : hf_format(err, "%s_lease_%d", table->name, n);
    hf_query_int(guard->conn->db, err, 0, &taken,
                 "SELECT 1 FROM \"%w\".sqlite_schema WHERE name IN"
                 " ('%q_insert', '%q_update', '%q_delete', '%q_inserted',"
                 "  '%q_updated')"
                 " UNION SELECT 1 FROM \"%w\".lease_guarded WHERE guard = %Q",
                 table->schema, guard->name, guard->name, guard->name,
                 guard->name, guard->name, table->schema, guard->name);
  }
  return err->rc;
}

/* SQLite looks at a trigger's names only when a statement fires it: so compile
** two, lest a mistake be found by the first writer. */
static int guard_compile(const Guard *guard, HfError *err) {
  sqlite3_stmt *stmt;
  hf_prepare(guard->conn->db, &stmt, err, "DELETE FROM \"%w\".\"%w\"",
             guard->table.schema, guard->table.name);
  sqlite3_finalize(stmt);
  hf_prepare(guard->conn->db, &stmt, err,
             "INSERT INTO \"%w\".\"%w\" DEFAULT VALUES", guard->table.schema,
             guard->table.name);
  sqlite3_finalize(stmt);
  return err->rc;
}

/* *count: how many triggers it made. */
static int guard_create(const Guard *guard, int *count, HfError *err) {
  const HfTable *table = &guard->table;
  char *sql[GUARD_TRIGGERS];
  int i;
  *count = 0;
  guard_sql(guard, sql, err);
  for (i = 0; i < GUARD_TRIGGERS && err->rc == SQLITE_OK; i++) {
    char *name;
    if (sql[i] == NULL) continue;
    name = hf_format(err, "%s_%s", guard->name, guard_suffix[i]);
    hf_guard_create(guard->conn, table->schema, name, table->name, "lease",
                    sql[i], err);
    sqlite3_free(name);
    ++*count;
  }
  guard_sql_clear(sql);
  hf_exec(guard->conn->db, err,
          "INSERT INTO \"%w\".lease_guarded(guard, lease, resource, token)"
          " VALUES (%Q, %Q, %Q, %Q)",
          table->schema, guard->name, guard->lease, guard->resource,
          guard->token);
  return guard_compile(guard, err);
}

/* Drop the triggers of one guard. */
static int guard_drop_one(HfConn *conn, const char *schema, const char *guard,
                          sqlite3_int64 *count, HfError *err) {
  int i;
  for (i = 0; i < GUARD_TRIGGERS && err->rc == SQLITE_OK; i++) {
    char *name = hf_format(err, "%s_%s", guard, guard_suffix[i]);
    hf_guard_drop(conn, schema, name, count, err);
    sqlite3_free(name);
  }
  return hf_exec(conn->db, err,
                 "DELETE FROM \"%w\".lease_guarded WHERE guard = %Q", schema,
                 guard);
}

/* The guards on a table, or those that are on none and were named after it, as
** lines of text. */
#define GUARD_OF_TABLE \
  "SELECT guard FROM \"%w\".lease_guarded AS g" \
  " WHERE EXISTS (SELECT 1 FROM \"%w\".sqlite_schema WHERE type = 'trigger'" \
  "                AND tbl_name = %Q COLLATE NOCASE AND name IN" \
  "                (guard || '_insert', guard || '_update'," \
  "                 guard || '_delete'))" \
  "    OR (guard = '%q_lease' COLLATE NOCASE AND NOT EXISTS" \
  "        (SELECT 1 FROM \"%w\".sqlite_schema WHERE type = 'trigger'" \
  "            AND name IN (guard || '_insert', guard || '_update'," \
  "                         guard || '_delete')))" \
  " LIMIT 1"

static int guard_drop(HfConn *conn, const char *schema, const char *table,
                      sqlite3_int64 *count, HfError *err) {
  char *guard;
  *count = 0;
  do {
    hf_query_text(conn->db, err, &guard, GUARD_OF_TABLE, schema, schema, table,
                  table, schema);
    if (guard != NULL) guard_drop_one(conn, schema, guard, count, err);
    sqlite3_free(guard);
  } while (guard != NULL && err->rc == SQLITE_OK);
  return err->rc;
}

/* ---- functions ----------------------------------------------------------- */

/* A unique index whose clashes cannot be told before the row is stored, for
** sqlite3_free; NULL when there is none. */
static char *guard_blind_index(const Guard *guard, HfError *err) {
  const HfTable *table = &guard->table;
  char *index = NULL;
  hf_query_text(
      guard->conn->db, err, &index,
      "SELECT i.name FROM pragma_index_list(%Q, %Q) AS i,"
      " pragma_index_xinfo(i.name, %Q) AS c"
      " LEFT JOIN pragma_table_xinfo(%Q, %Q) AS x ON x.cid = c.cid"
      " WHERE i.\"unique\" AND c.key AND (c.cid = -2 OR x.hidden > 1)",
      table->name, table->schema, table->schema, table->name, table->schema);
  return index;
}

/* The table must be ordinary, in the lease table's database, and say of every
** row that a write may displace which it is. */
static int guard_check(const Guard *guard, const HfLease *lease, HfError *err) {
  const HfTable *table = &guard->table;
  char *index;
  if (sqlite3_stricmp(table->schema, lease->schema) != 0) {
    return hf_fail(err, SQLITE_ERROR,
                   "lease_guard: %s is in %s and %s in %s; triggers do not "
                   "reach other databases",
                   table->name, table->schema, lease->name, lease->schema);
  }
  index = guard_blind_index(guard, err);
  if (index != NULL) {
    hf_fail(err, SQLITE_ERROR,
            "lease_guard: the unique index %s of %s is on an expression or a "
            "generated column, so OR REPLACE could displace rows unseen",
            index, table->name);
  }
  sqlite3_free(index);
  return err->rc;
}

static void guard_of_lease(Guard *guard, const HfLease *lease) {
  guard->mark = lease_mark_id(lease);
  guard->clock_caller = lease->options.clock_caller;
}

/*
** lease_guard(table, lease_table, resource, token)
**
** resource, token: TEXT, each a column of the table or an expression over
** NEW.<column>.  Puts triggers on the table that refuse an INSERT, UPDATE or
** DELETE of a row whose token does not hold its resource now; an UPDATE cannot
** move a row to another resource.  A DELETE is judged by the token that the
** row has.  Returns the number of triggers; those of an earlier call go.
** Errors: no ordinary table, no lease table, expressions that are none; inside
** a statement that writes.
*/
static void guard_function(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  static const char words[] =
      "lease_guard: the arguments are a table, a lease table, and expressions "
      "for the resource and the token of a row, all TEXT";
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const char *text = hf_argument_text(argv[0], words, &err);
  sqlite3_int64 before;
  HfTxn txn = HF_TXN_NONE;
  Guard guard;
  LeasePin pin;
  int count = 0, begun = 0;
  (void)argc;
  memset(&guard, 0, sizeof(guard));
  memset(&pin, 0, sizeof(pin));
  guard.conn = conn;
  guard.resource = hf_argument_text(argv[2], words, &err);
  guard.token = hf_argument_text(argv[3], words, &err);
  if (err.rc == SQLITE_OK &&
      lease_pin(conn, "lease_guard", argv[1], &pin, &err) == SQLITE_OK &&
      hf_txn_begin(conn->db, pin.lease->schema, "lease_guard", &txn, &err) ==
          SQLITE_OK) {
    begun = 1;
    guard.lease = pin.lease->name;
    guard_of_lease(&guard, pin.lease);
    if (hf_table_read(conn, "lease_guard", text, &guard.table, &err) ==
            SQLITE_OK &&
        guard_check(&guard, pin.lease, &err) == SQLITE_OK &&
        hf_install_into(conn, guard.table.schema, "lease", &err) == SQLITE_OK &&
        guard_drop(conn, guard.table.schema, guard.table.name, &before, &err) ==
            SQLITE_OK &&
        guard_name(&guard, &err) == SQLITE_OK) {
      guard_create(&guard, &count, &err);
    }
  }
  if (begun) hf_txn_end(conn->db, txn, &err);
  lease_unpin(&pin);
  hf_table_clear(&guard.table);
  sqlite3_free(guard.name);
  hf_result_integer(context, count, &err);
}

/*
** lease_unguard(table)
**
** Takes the triggers of lease_guard off, and forgets those of a table that is
** gone.  Returns how many there were, INTEGER.
*/
static void guard_unguard(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const char *text = hf_argument_text(
      argv[0], "lease_unguard: the argument is the name of a table", &err);
  sqlite3_int64 count = 0;
  HfTxn txn = HF_TXN_NONE;
  HfName name = {NULL, NULL};
  (void)argc;
  if (err.rc == SQLITE_OK &&
      hf_name_split(conn->db, text, &name, &err) == SQLITE_OK &&
      hf_txn_begin(conn->db, name.schema, "lease_unguard", &txn, &err) ==
          SQLITE_OK) {
    if (hf_has_table(conn, name.schema, "lease_guarded", &err)) {
      guard_drop(conn, name.schema, name.name, &count, &err);
    }
    if (count == 0 && !hf_has_table(conn, name.schema, name.name, &err)) {
      hf_guard_forget(conn, name.schema, name.name, NULL, &err);
    }
    hf_txn_end(conn->db, txn, &err);
  }
  hf_name_clear(&name);
  hf_result_integer(context, count, &err);
}

int lease_guard_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"lease_guard", 4, HF_CHANGES, guard_function},
      {"lease_unguard", 1, HF_CHANGES, guard_unguard},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}

/* ---- each guard of a database -------------------------------------------- */

typedef int GuardVisit(void *context, Guard *guard, const char *table,
                       HfError *err);

/* Visit the guards that are in lease_guarded, of one lease table or (NULL) of
** all; `table` is NULL when no trigger of a guard is left. */
static int guard_each(HfConn *conn, const char *schema, const char *lease,
                      GuardVisit *visit, void *context, HfError *err) {
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  if (!hf_has_table(conn, schema, "lease_guarded", err) ||
      hf_prepare(conn->db, &stmt, err,
                 "SELECT guard, lease, resource, token,"
                 " (SELECT tbl_name FROM \"%w\".sqlite_schema"
                 "   WHERE type = 'trigger' AND name IN (guard || '_insert',"
                 "         guard || '_update', guard || '_delete') LIMIT 1)"
                 "  FROM \"%w\".lease_guarded"
                 " WHERE coalesce(lease = %Q COLLATE NOCASE, 1)"
                 " ORDER BY guard",
                 schema, schema, lease) != SQLITE_OK) {
    return err->rc;
  }
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    char *text[4], *table = NULL;
    Guard guard;
    int i;
    memset(&guard, 0, sizeof(guard));
    for (i = 0; i < 4; i++) text[i] = hf_column_text(stmt, i, err);
    if (sqlite3_column_type(stmt, 4) != SQLITE_NULL) {
      table = hf_column_text(stmt, 4, err);
    }
    if (err->rc == SQLITE_OK) {
      guard.conn = conn;
      guard.name = text[0];
      guard.lease = text[1];
      guard.resource = text[2];
      guard.token = text[3];
      visit(context, &guard, table, err);
    }
    for (i = 0; i < 4; i++) sqlite3_free(text[i]);
    sqlite3_free(table);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  return err->rc;
}

static int guard_read_table(Guard *guard, const char *schema, const char *name,
                            HfError *err) {
  char *full = hf_format(err, "%s.%s", schema, name);
  if (full != NULL) {
    hf_table_read(guard->conn, "lease_guard", full, &guard->table, err);
  }
  sqlite3_free(full);
  return err->rc;
}

/* ---- the doctor ---------------------------------------------------------- */

typedef struct GuardDoctor {
  const char *schema;
  HfFindings *list;
} GuardDoctor;

/* Compare one trigger with what lease_guard would make now. */
static int guard_compare(const Guard *guard, int which, const char *wanted,
                         const GuardDoctor *doctor, HfError *err) {
  char *name = hf_format(err, "%s_%s", guard->name, guard_suffix[which]);
  int rc = SQLITE_OK;
  int is = hf_guard_compare(guard->conn, doctor->schema, name, wanted, err);
  if (err->rc == SQLITE_OK && is == 0) {
    rc = hf_findings_add(doctor->list, "guard_missing", name,
                         "it guarded %s; call lease_guard again",
                         guard->table.name);
  } else if (err->rc == SQLITE_OK && is < 0) {
    rc = hf_findings_add(doctor->list, "guard_altered", name,
                         "it is not the one for %s, its columns and its unique "
                         "indexes as they are now; call lease_guard again",
                         guard->table.name);
  }
  if (rc != SQLITE_OK) hf_fail(err, rc, NULL);
  sqlite3_free(name);
  return err->rc;
}

static int guard_visit(void *context, Guard *guard, const char *table,
                       HfError *err) {
  const GuardDoctor *doctor = context;
  char *sql[GUARD_TRIGGERS];
  LeasePin pin;
  int i, rc = SQLITE_OK;
  memset(&pin, 0, sizeof(pin));
  if (table == NULL) {
    rc = hf_findings_add(doctor->list, "guard_missing", guard->name,
                         "its triggers are gone; call lease_guard again, or "
                         "lease_unguard");
  } else if (guard_read_table(guard, doctor->schema, table, err) == SQLITE_OK &&
             lease_pin_name(guard->conn, doctor->schema, guard->lease, &pin,
                            err) == SQLITE_OK) {
    char *index = guard_blind_index(guard, err);
    guard_of_lease(guard, pin.lease);
    if (index != NULL) {
      rc = hf_findings_add(doctor->list, "guard_altered", guard->name,
                           "%s has the unique index %s, by which OR REPLACE "
                           "could displace rows unseen; drop it",
                           guard->table.name, index);
    }
    sqlite3_free(index);
    if (guard_sql(guard, sql, err) == SQLITE_OK) {
      for (i = 0; i < GUARD_TRIGGERS; i++) {
        guard_compare(guard, i, sql[i], doctor, err);
      }
    }
    guard_sql_clear(sql);
  }
  if (err->rc == SQLITE_ERROR) { /* no lease table, or no such column */
    rc = hf_findings_add(doctor->list, "guard_altered", guard->name,
                         "what it refers to is gone (%s); call lease_guard "
                         "again, or lease_unguard",
                         err->message ? err->message : "");
    hf_error_clear(err);
  }
  if (rc != SQLITE_OK) hf_fail(err, rc, NULL);
  lease_unpin(&pin);
  hf_table_clear(&guard->table);
  return err->rc;
}

int lease_guard_check(HfConn *conn, const char *schema, HfFindings *list,
                      HfError *err) {
  GuardDoctor doctor = {schema, list};
  return guard_each(conn, schema, NULL, guard_visit, &doctor, err);
}

/* ---- renaming the lease table -------------------------------------------- */

/* A guard between being dropped and being made anew. */
struct LeaseGuardKept {
  LeaseGuardKept *next;
  char *table;
  char *name;
  char *resource;
  char *token;
};

static int guard_take(void *context, Guard *guard, const char *table,
                      HfError *err) {
  LeaseGuardKept **list = context, *kept;
  if (table == NULL) return SQLITE_OK;
  kept = sqlite3_malloc64(sizeof(*kept));
  if (kept == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  kept->table = hf_format(err, "%s", table);
  kept->name = hf_format(err, "%s", guard->name);
  kept->resource = hf_format(err, "%s", guard->resource);
  kept->token = hf_format(err, "%s", guard->token);
  kept->next = *list;
  *list = kept;
  return err->rc;
}

int lease_guards_take(const HfLease *lease, LeaseGuardKept **kept,
                      HfError *err) {
  const LeaseGuardKept *one;
  sqlite3_int64 count = 0;
  *kept = NULL;
  guard_each(lease->conn, lease->schema, lease->name, guard_take, kept, err);
  for (one = *kept; one != NULL && err->rc == SQLITE_OK; one = one->next) {
    guard_drop_one(lease->conn, lease->schema, one->name, &count, err);
  }
  return err->rc;
}

int lease_guards_give(const HfLease *lease, const char *to,
                      LeaseGuardKept *kept, HfError *err) {
  while (kept != NULL) {
    LeaseGuardKept *next = kept->next;
    Guard guard;
    int made;
    memset(&guard, 0, sizeof(guard));
    guard.conn = lease->conn;
    guard.lease = to;
    guard.name = kept->name;
    guard.resource = kept->resource;
    guard.token = kept->token;
    guard_of_lease(&guard, lease);
    if (err->rc == SQLITE_OK &&
        guard_read_table(&guard, lease->schema, kept->table, err) ==
            SQLITE_OK) {
      guard_create(&guard, &made, err);
    }
    hf_table_clear(&guard.table);
    sqlite3_free(kept->table);
    sqlite3_free(kept->name);
    sqlite3_free(kept->resource);
    sqlite3_free(kept->token);
    sqlite3_free(kept);
    kept = next;
  }
  return err->rc;
}
