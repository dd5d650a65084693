/*
** lease_guard(table, lease_table, resource, token): fencing of an ordinary
** table.
**
** Triggers in pure SQL refuse a write whose row does not carry the token that
** holds its resource now.  They run in the writer's own transaction, under the
** write lock: nobody can be granted a greater token between the check and the
** commit, however long the writer sleeps in between.
**
** The rows that OR REPLACE would displace fire no DELETE trigger, so a row that
** clashes with one of another resource is refused, too.
*/
#include <string.h>

#include "lease/lease.h"

static const char *const guard_verb[] = {"INSERT", "UPDATE", "DELETE"};
static const char *const guard_suffix[] = {"insert", "update", "delete"};

/* ---- expressions over a row ---------------------------------------------- */

static int guard_is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
}

/* The expression for a row: NEW, OLD or t.  A column's name stands for that
** column; in anything else each NEW. does. */
static char *guard_expression(HfConn *conn, const HfTable *table,
                              const char *text, const char *row, HfError *err) {
  sqlite3_str *out;
  sqlite3_int64 column = 0;
  const char *p;
  int found = 0;
  if (hf_query_int(conn->db, err, 0, &column,
                   "SELECT 1 FROM pragma_table_xinfo(%Q, %Q)"
                   " WHERE name = %Q COLLATE NOCASE",
                   table->name, table->schema, text) != SQLITE_OK) {
    return NULL;
  }
  if (column) return hf_format(err, "%s.\"%w\"", row, text);
  out = sqlite3_str_new(NULL);
  for (p = text; *p != 0; p++) {
    if (sqlite3_strnicmp(p, "new.", 4) == 0 &&
        (p == text || !guard_is_word(p[-1]))) {
      sqlite3_str_appendf(out, "%s.", row);
      p += 3;
      found = 1;
    } else {
      sqlite3_str_appendchar(out, 1, *p);
    }
  }
  if (!found) {
    hf_fail(err, SQLITE_ERROR,
            "lease_guard: '%s' is neither a column of %s nor an expression "
            "over NEW.<column>",
            text, table->name);
  }
  return hf_str_finish(out, err);
}

/* ---- triggers ------------------------------------------------------------ */

typedef struct Guard {
  HfConn *conn;
  const HfTable *table;
  const HfLease *lease;
  const char *resource; /* as given */
  const char *token;
} Guard;

/* The token of the row holds its resource now: SQL that is 1 or 0. */
static char *guard_holds(const Guard *guard, const char *row, HfError *err) {
  char *resource =
      guard_expression(guard->conn, guard->table, guard->resource, row, err);
  char *token =
      guard_expression(guard->conn, guard->table, guard->token, row, err);
  char *sql = NULL;
  if (err->rc == SQLITE_OK) {
    sql = hf_format(
        err,
        "EXISTS (SELECT 1 FROM \"%w_held\" AS held, lease_high_water AS high\n"
        "          WHERE held.token = (%s)\n"
        "            AND held.resource = (%s)\n"
        "            AND held.expires_at > %s)",
        guard->lease->name, token, resource,
        guard->lease->options.clock_caller
            ? "high.now"
            : "max(high.now, CAST(round(julianday('now') * 86400000.0)"
              " AS INTEGER) - 210866760000000)");
  }
  sqlite3_free(resource);
  sqlite3_free(token);
  return sql;
}

/* SQL: there is a row that the new one would displace, of another resource. */
static char *guard_displaces(const Guard *guard, const char *other,
                             const char *neu, HfError *err) {
  const HfTable *table = guard->table;
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i;
  for (i = 0; i < table->clashes; i++) {
    sqlite3_str_appendf(sql,
                        "\n  OR EXISTS (SELECT 1 FROM \"%w\" AS t\n"
                        "              WHERE %s AND (%s) IS NOT (%s))",
                        table->name, table->clash[i], other, neu);
  }
  return hf_str_finish(sql, err);
}

/* What a write must not do beside that: take the row to another resource, or
** displace a row of another one.  An empty text for DELETE. */
static char *guard_strays(const Guard *guard, int which, HfError *err) {
  char *neu, *alt, *other, *displaces, *sql = NULL;
  if (which == 2) return hf_format(err, "");
  neu =
      guard_expression(guard->conn, guard->table, guard->resource, "NEW", err);
  alt =
      guard_expression(guard->conn, guard->table, guard->resource, "OLD", err);
  other =
      guard_expression(guard->conn, guard->table, guard->resource, "t", err);
  displaces = guard_displaces(guard, other, neu, err);
  if (err->rc == SQLITE_OK && which == 0) {
    sql = hf_format(err, "%s", displaces);
  } else if (err->rc == SQLITE_OK) {
    sql = hf_format(err, "\n  OR (%s) IS NOT (%s)%s", alt, neu, displaces);
  }
  sqlite3_free(displaces);
  sqlite3_free(neu);
  sqlite3_free(alt);
  sqlite3_free(other);
  return sql;
}

static int guard_create(const Guard *guard, int which, HfError *err) {
  const HfTable *table = guard->table;
  char *name = hf_format(err, "%s_lease_%s", table->name, guard_suffix[which]);
  char *holds = guard_holds(guard, which == 2 ? "OLD" : "NEW", err);
  char *strays = guard_strays(guard, which, err);
  if (err->rc == SQLITE_OK) {
    hf_exec(guard->conn->db, err,
            "CREATE TRIGGER \"%w\".\"%w\" BEFORE %s ON \"%w\"\n"
            "WHEN %s IS NOT 1%s\n"
            "BEGIN\n"
            "  SELECT RAISE(ABORT, '%q: the token of the row does not hold "
            "its resource now; acquire it from %q, and write that token with "
            "the row');\n"
            "END",
            table->schema, name, guard_verb[which], table->name, holds, strays,
            table->name, guard->lease->name);
    hf_guard_record(guard->conn, table->schema, name, table->name, "lease",
                    err);
  }
  sqlite3_free(name);
  sqlite3_free(holds);
  sqlite3_free(strays);
  return err->rc;
}

/* SQLite looks at a trigger's names only when a statement fires it: so compile
** two, lest a mistake be found by the first writer. */
static int guard_compile(const Guard *guard, HfError *err) {
  sqlite3_stmt *stmt;
  hf_prepare(guard->conn->db, &stmt, err, "DELETE FROM \"%w\".\"%w\"",
             guard->table->schema, guard->table->name);
  sqlite3_finalize(stmt);
  hf_prepare(guard->conn->db, &stmt, err,
             "INSERT INTO \"%w\".\"%w\" DEFAULT VALUES", guard->table->schema,
             guard->table->name);
  sqlite3_finalize(stmt);
  return err->rc;
}

/* Drop the triggers of a table's guard; *count: how many there were. */
static int guard_drop(HfConn *conn, const HfTable *table, sqlite3_int64 *count,
                      HfError *err) {
  int i;
  *count = 0;
  for (i = 0; i < 3 && err->rc == SQLITE_OK; i++) {
    sqlite3_int64 there = 0;
    char *name = hf_format(err, "%s_lease_%s", table->name, guard_suffix[i]);
    hf_query_int(conn->db, err, 0, &there,
                 "SELECT 1 FROM \"%w\".sqlite_schema"
                 " WHERE type = 'trigger' AND name = %Q",
                 table->schema, name);
    *count += there;
    hf_exec(conn->db, err, "DROP TRIGGER IF EXISTS \"%w\".\"%w\"",
            table->schema, name);
    hf_guard_forget(conn, table->schema, NULL, name, err);
    sqlite3_free(name);
  }
  return err->rc;
}

/* ---- functions ----------------------------------------------------------- */

/* The TEXT of an argument, or NULL with the failure recorded. */
static const char *guard_text(sqlite3_value *value, const char *words,
                              HfError *err) {
  const char *text = NULL;
  if (sqlite3_value_type(value) != SQLITE_TEXT) {
    hf_fail(err, SQLITE_ERROR, "%s", words);
  } else {
    text = (const char *)sqlite3_value_text(value);
    if (text == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return text;
}

/* The table must be ordinary, in the lease table's database, and say of every
** row that a write may displace which it is. */
static int guard_check(const HfTable *table, const HfLease *lease,
                       HfError *err) {
  if (sqlite3_stricmp(table->schema, lease->schema) != 0) {
    hf_fail(err, SQLITE_ERROR,
            "lease_guard: %s is in %s and %s in %s; triggers do not reach "
            "other databases",
            table->name, table->schema, lease->name, lease->schema);
  } else if (table->expression != NULL) {
    hf_fail(err, SQLITE_ERROR,
            "lease_guard: the unique index %s of %s is on an expression, so "
            "OR REPLACE could displace rows unseen",
            table->expression, table->name);
  }
  return err->rc;
}

/*
** lease_guard(table, lease_table, resource, token)
**
** resource, token: TEXT, each a column of the table or an expression over
** NEW.<column>.  Puts triggers on the table that refuse an INSERT, UPDATE or
** DELETE of a row whose token does not hold its resource now; an UPDATE cannot
** move a row to another resource.  A DELETE is judged by the token that the
** row has.  Returns 3, the number of triggers; those of an earlier call go.
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
  const char *text = guard_text(argv[0], words, &err);
  Guard guard = {conn, NULL, NULL, guard_text(argv[2], words, &err),
                 guard_text(argv[3], words, &err)};
  sqlite3_int64 before;
  HfTxn txn = HF_TXN_NONE;
  HfTable table;
  LeasePin pin;
  int i, begun = 0;
  (void)argc;
  memset(&table, 0, sizeof(table));
  memset(&pin, 0, sizeof(pin));
  if (err.rc == SQLITE_OK &&
      lease_pin(conn, "lease_guard", argv[1], &pin, &err) == SQLITE_OK &&
      hf_txn_begin(conn->db, pin.lease->schema, "lease_guard", &txn, &err) ==
          SQLITE_OK) {
    begun = 1;
    guard.lease = pin.lease;
    guard.table = &table;
    if (hf_table_read(conn, "lease_guard", text, &table, &err) == SQLITE_OK &&
        guard_check(&table, pin.lease, &err) == SQLITE_OK) {
      guard_drop(conn, &table, &before, &err);
      for (i = 0; i < 3 && err.rc == SQLITE_OK; i++) {
        guard_create(&guard, i, &err);
      }
      guard_compile(&guard, &err);
    }
  }
  if (begun) hf_txn_end(conn->db, txn, &err);
  lease_unpin(&pin);
  hf_table_clear(&table);
  if (err.rc != SQLITE_OK) {
    hf_error_to_result(&err, context);
  } else {
    sqlite3_result_int(context, 3);
  }
}

/*
** lease_unguard(table)
**
** Takes the triggers of lease_guard off.  Returns how many there were, INTEGER.
*/
static void guard_unguard(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const char *text = guard_text(
      argv[0], "lease_unguard: the argument is the name of a table", &err);
  sqlite3_int64 count = 0;
  HfTxn txn = HF_TXN_NONE;
  HfTable table;
  (void)argc;
  memset(&table, 0, sizeof(table));
  if (err.rc == SQLITE_OK &&
      hf_table_read(conn, "lease_unguard", text, &table, &err) == SQLITE_OK &&
      hf_txn_begin(conn->db, table.schema, "lease_unguard", &txn, &err) ==
          SQLITE_OK) {
    guard_drop(conn, &table, &count, &err);
    hf_txn_end(conn->db, txn, &err);
  }
  hf_table_clear(&table);
  if (err.rc != SQLITE_OK) {
    hf_error_to_result(&err, context);
  } else {
    sqlite3_result_int64(context, count);
  }
}

/* The guard of a table against its unique indexes as they are now. */
static int guard_check_table(HfConn *conn, const char *schema,
                             const char *trigger, const char *name,
                             HfFindings *list, HfError *err) {
  char *full = hf_format(err, "%s.%s", schema, name), *sql = NULL;
  HfTable table;
  int i;
  memset(&table, 0, sizeof(table));
  if (full == NULL ||
      hf_query_text(conn->db, err, &sql,
                    "SELECT sql FROM \"%w\".sqlite_schema"
                    " WHERE type = 'trigger' AND name = %Q",
                    schema, trigger) != SQLITE_OK ||
      sql == NULL || /* the manifest tells */
      hf_table_read(conn, "holdfast_check", full, &table, err) != SQLITE_OK) {
    sqlite3_free(full);
    sqlite3_free(sql);
    hf_table_clear(&table);
    return err->rc;
  }
  for (i = 0; i < table.clashes && strstr(sql, table.clash[i]) != NULL; i++) {
  }
  if ((i < table.clashes || table.expression != NULL) &&
      hf_findings_add(list, "guard_altered", trigger,
                      "%s has a unique index by which OR REPLACE could "
                      "displace rows unseen; call lease_guard again",
                      name) != SQLITE_OK) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
  sqlite3_free(full);
  sqlite3_free(sql);
  hf_table_clear(&table);
  return err->rc;
}

int lease_guard_check(HfConn *conn, const char *schema, HfFindings *list,
                      HfError *err) {
  sqlite3_stmt *stmt;
  sqlite3_int64 there = 0;
  int rc = SQLITE_DONE;
  if (hf_query_int(conn->db, err, 0, &there,
                   "SELECT 1 FROM \"%w\".sqlite_schema"
                   " WHERE name = 'holdfast_guard' AND type = 'table'",
                   schema) != SQLITE_OK ||
      !there ||
      hf_prepare(conn->db, &stmt, err,
                 "SELECT g.name, s.tbl_name FROM \"%w\".holdfast_guard AS g"
                 " JOIN \"%w\".sqlite_schema AS s ON s.name = g.name"
                 " WHERE g.area = 'lease' AND s.type = 'trigger'"
                 "   AND g.name IN (s.tbl_name || '_lease_insert',"
                 "                  s.tbl_name || '_lease_update')",
                 schema, schema) != SQLITE_OK) {
    return err->rc;
  }
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    char *trigger = hf_column_text(stmt, 0, err);
    char *table = hf_column_text(stmt, 1, err);
    if (err->rc == SQLITE_OK) {
      guard_check_table(conn, schema, trigger, table, list, err);
    }
    sqlite3_free(trigger);
    sqlite3_free(table);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  return err->rc;
}

int lease_guard_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"lease_guard", 4, HF_CHANGES, guard_function},
      {"lease_unguard", 1, HF_CHANGES, guard_unguard},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
