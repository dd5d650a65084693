/*
** The triggers of lease_guard, as SQL text: pure SQL, so that they hold in a
** connection without the extension.
**
** They run in the writer's own transaction, under the write lock: nobody can
** be granted a greater token between the check and the commit, however long the
** writer sleeps in between.
**
** The rows that OR REPLACE would displace fire no DELETE trigger, so a row that
** clashes with one of another resource is refused, too.
**
** Resources are compared as leases are: as TEXT, byte by byte, whatever the
** column's affinity and collation.
*/
#include <string.h>

#include "lease/guard.h"

const char *const guard_suffix[GUARD_TRIGGERS] = {"insert", "update", "delete",
                                                  "inserted", "updated"};

/* ---- expressions over a row ---------------------------------------------- */

/* May its value differ between BEFORE and AFTER?  A rowid that SQLite is to
** choose is -1 before; OR REPLACE puts the DEFAULT in the place of a NULL. */
static int sql_is_late(const Guard *guard, const char *text, int *late,
                       HfError *err) {
  const HfTable *table = &guard->table;
  sqlite3_int64 column = 0, plain = 0;
  hf_query_int(guard->conn->db, err, 0, &plain,
               "SELECT 1 FROM pragma_table_xinfo(%Q, %Q)"
               " WHERE name = %Q COLLATE NOCASE",
               table->name, table->schema, text);
  /* An expression may use any of them, and the rowid by any name. */
  hf_query_int(
      guard->conn->db, err, 0, &column,
      "SELECT 1 FROM pragma_table_xinfo(%Q, %Q)"
      " WHERE (%lld = 0 OR name = %Q COLLATE NOCASE)"
      "   AND (\"notnull\" AND dflt_value IS NOT NULL"
      "        OR pk AND type = 'INTEGER' COLLATE NOCASE AND %d) LIMIT 1",
      table->name, table->schema, plain, text, table->rowid);
  if (column || (!plain && table->rowid &&
                 (sqlite3_strlike("%rowid%", text, 0) == 0 ||
                  sqlite3_strlike("%oid%", text, 0) == 0))) {
    *late = 1;
  }
  return err->rc;
}

/* The expression for a row: NEW, OLD or t.  A column's name stands for that
** column; in anything else each NEW. outside of strings and comments does. */
static char *sql_expression(const Guard *guard, const char *text,
                            const char *row, HfError *err) {
  const HfTable *table = &guard->table;
  sqlite3_int64 column = 0;
  sqlite3_str *out;
  const char *p, *next;
  if (hf_query_int(guard->conn->db, err, 0, &column,
                   "SELECT 1 FROM pragma_table_xinfo(%Q, %Q)"
                   " WHERE name = %Q COLLATE NOCASE",
                   table->name, table->schema, text) != SQLITE_OK) {
    return NULL;
  }
  if (column) return hf_format(err, "%s.\"%w\"", row, text);
  out = sqlite3_str_new(NULL);
  for (p = text; *p != 0; p = next) {
    if (sqlite3_strnicmp(p, "new.", 4) == 0 &&
        (p == text || !hf_sql_is_word(p[-1]))) {
      sqlite3_str_appendf(out, "%s.", row);
      next = p + 4;
    } else {
      next = hf_sql_skip(p);
      sqlite3_str_append(out, p, (int)(next - p));
    }
  }
  sqlite3_str_appendall(out, "\n"); /* it may end with a comment */
  return hf_str_finish(out, err);
}

/* An expression sees the row, and nothing of what stands around it in the
** trigger: with the table there twice, a name without NEW. is ambiguous. */
static int sql_check_expression(const Guard *guard, const char *text,
                                HfError *err) {
  const HfTable *table = &guard->table;
  char *sql = sql_expression(guard, text, "NEW", err);
  sqlite3_stmt *stmt = NULL;
  if (sql != NULL &&
      hf_prepare(
          guard->conn->db, &stmt, err,
          "SELECT (%s) FROM \"%w\".\"%w\" AS NEW, \"%w\".\"%w\" AS other", sql,
          table->schema, table->name, table->schema,
          table->name) == SQLITE_ERROR) {
    char *why = hf_format(&(HfError){SQLITE_OK, NULL}, "%s",
                          err->message ? err->message : "");
    hf_error_clear(err);
    hf_fail(err, SQLITE_ERROR,
            "lease_guard: '%s' is neither a column of %s nor an expression "
            "over NEW.<column>: %s",
            text, table->name, why ? why : "");
    sqlite3_free(why);
  }
  sqlite3_finalize(stmt);
  sqlite3_free(sql);
  return err->rc;
}

/* ---- conditions ---------------------------------------------------------- */

/* A resource as it is compared. */
static char *sql_resource(const Guard *guard, const char *row, HfError *err) {
  char *text = sql_expression(guard, guard->resource, row, err);
  char *sql = text == NULL
                  ? NULL
                  : hf_format(err, "CAST((%s) AS TEXT) COLLATE BINARY", text);
  sqlite3_free(text);
  return sql;
}

/* The clock has not come there yet, to the millisecond.  1970 began
** 210866760000000 ms after the first Julian day did; half of one less stands
** for rounding what julianday() gives, which costs every row more. */
#define SQL_CLOCK \
  "held.expires_at + 210866759999999.5 > julianday() * 86400000.0"

/* The token of the row holds its resource now: 1 or 0. */
static char *sql_holds(const Guard *guard, const char *row, HfError *err) {
  char *resource = sql_resource(guard, row, err);
  char *token = sql_expression(guard, guard->token, row, err);
  char *sql = NULL;
  if (err->rc == SQLITE_OK) {
    sql = hf_format(
        err,
        "EXISTS (SELECT 1 FROM \"%w_held\" AS held, lease_high_water AS high\n"
        "          WHERE held.token = (%s)\n"
        "            AND held.resource = %s\n"
        "            AND high.id = %lld\n"
        "            AND held.expires_at > high.now%s)",
        guard->lease, token, resource, guard->mark,
        guard->clock_caller ? "" : "\n            AND " SQL_CLOCK);
  }
  sqlite3_free(resource);
  sqlite3_free(token);
  return sql;
}

/* What a write must not do beside that: take the row to another resource, or
** displace a row of another one. */
static char *sql_strays(const Guard *guard, int which, HfError *err) {
  const HfTable *table = &guard->table;
  char *neu = sql_resource(guard, "NEW", err);
  char *alt = sql_resource(guard, "OLD", err);
  char *other = sql_resource(guard, "t", err);
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i;
  if (which == GUARD_UPDATE) {
    sqlite3_str_appendf(sql, "%s IS NOT %s\n  OR ", alt, neu);
  }
  for (i = 0; i < table->clashes; i++) {
    sqlite3_str_appendf(sql,
                        "%sEXISTS (SELECT 1 FROM \"%w\" AS t\n"
                        "              WHERE %s AND %s IS NOT %s)",
                        i ? "\n  OR " : "", table->name, table->clash[i], other,
                        neu);
  }
  sqlite3_free(neu);
  sqlite3_free(alt);
  sqlite3_free(other);
  return hf_str_finish(sql, err);
}

/* ---- triggers ------------------------------------------------------------ */

#define SQL_TOKEN \
  "RAISE(ABORT, '%q: the token of the row does not hold its resource now; " \
  "acquire it from %q, and write that token with the row')"
#define SQL_STRAY \
  "RAISE(ABORT, '%q: the write takes a row to another resource, or displaces " \
  "one of another; delete that first, with its own token')"

/* A trigger on what is to be written, for one verb. */
static char *sql_before(const Guard *guard, int which, int late, HfError *err) {
  static const char *const verb[] = {"INSERT", "UPDATE", "DELETE"};
  const char *table = guard->table.name;
  char *holds = sql_holds(guard, which == GUARD_DELETE ? "OLD" : "NEW", err);
  char *strays = sql_strays(guard, which, err);
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int token = which != GUARD_INSERT || !late, stray = which != GUARD_DELETE;
  sqlite3_str_appendf(sql, "\"%w_%s\" BEFORE %s ON \"%w\"\nWHEN ", guard->name,
                      guard_suffix[which], verb[which], table);
  if (token) sqlite3_str_appendf(sql, "%s IS NOT 1", holds);
  if (token && stray) sqlite3_str_appendall(sql, "\n  OR ");
  if (stray) sqlite3_str_appendall(sql, strays);
  sqlite3_str_appendall(sql, "\nBEGIN\n  SELECT ");
  if (token && stray) {
    sqlite3_str_appendf(sql, "CASE WHEN %s\n  THEN " SQL_STRAY "\n  ELSE ",
                        strays, table);
  }
  if (token) {
    sqlite3_str_appendf(sql, SQL_TOKEN, table, guard->lease);
  } else {
    sqlite3_str_appendf(sql, SQL_STRAY, table);
  }
  sqlite3_str_appendall(sql, token && stray ? " END;\nEND" : ";\nEND");
  sqlite3_free(holds);
  sqlite3_free(strays);
  return hf_str_finish(sql, err);
}

/* A trigger on the row as it was stored. */
static char *sql_after(const Guard *guard, int which, HfError *err) {
  char *holds = sql_holds(guard, "NEW", err);
  char *sql = NULL;
  if (err->rc == SQLITE_OK) {
    sql = hf_format(err,
                    "\"%w_%s\" AFTER %s ON \"%w\"\n"
                    "WHEN %s IS NOT 1\n"
                    "BEGIN\n"
                    "  SELECT " SQL_TOKEN ";\n"
                    "END",
                    guard->name, guard_suffix[which],
                    which == GUARD_INSERTED ? "INSERT" : "UPDATE",
                    guard->table.name, holds, guard->table.name, guard->lease);
  }
  sqlite3_free(holds);
  return sql;
}

int guard_sql(const Guard *guard, char *sql[GUARD_TRIGGERS], HfError *err) {
  int late = 0;
  memset(sql, 0, sizeof(*sql) * GUARD_TRIGGERS);
  if (sql_check_expression(guard, guard->resource, err) == SQLITE_OK &&
      sql_check_expression(guard, guard->token, err) == SQLITE_OK &&
      sql_is_late(guard, guard->resource, &late, err) == SQLITE_OK &&
      sql_is_late(guard, guard->token, &late, err) == SQLITE_OK) {
    sql[GUARD_INSERT] = sql_before(guard, GUARD_INSERT, late, err);
    sql[GUARD_UPDATE] = sql_before(guard, GUARD_UPDATE, late, err);
    sql[GUARD_DELETE] = sql_before(guard, GUARD_DELETE, late, err);
    if (late) {
      sql[GUARD_INSERTED] = sql_after(guard, GUARD_INSERTED, err);
      sql[GUARD_UPDATED] = sql_after(guard, GUARD_UPDATED, err);
    }
  }
  return err->rc;
}

void guard_sql_clear(char *sql[GUARD_TRIGGERS]) {
  int i;
  for (i = 0; i < GUARD_TRIGGERS; i++) {
    sqlite3_free(sql[i]);
    sql[i] = NULL;
  }
}
