/*
** retention_lock(table, min_keep_ms): a floor, and the triggers that keep it.
**
** The triggers are pure SQL and read the floor from retention_floor, so they
** hold in every connection, and follow when it rises.  A row may go when its
** time is known and old enough; on any doubt it stays.
*/
#include <string.h>

#include "retention/retention.h"

#define LOCK_CLOCK \
  "CAST(round(julianday('now') * 86400000.0) AS INTEGER) - 210866760000000"

static const char *const lock_suffix[] = {"delete", "update", "insert",
                                          "replace"};

/* A row's time in milliseconds, NULL for what is none. */
static char *lock_time(const char *row, const char *column, RetUnit unit,
                       HfError *err) {
  char *name = hf_format(err, "%s.\"%w\"", row, column);
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql, "iif(typeof(%s) IN (%s), ", name,
                      unit == RET_ISO ? "'text'" : "'integer', 'real'");
  if (name != NULL) retention_text_ms(sql, name, unit);
  sqlite3_str_appendall(sql, ", NULL)");
  sqlite3_free(name);
  return hf_str_finish(sql, err);
}

/* The row is old enough to go. */
static char *lock_old(const char *row, const HfTable *table, const char *column,
                      RetUnit unit, HfError *err) {
  char *time = lock_time(row, column, unit, err);
  char *sql = hf_format(err,
                        "(%s < " LOCK_CLOCK
                        "\n   - (SELECT min_keep_ms FROM retention_floor"
                        " WHERE table_name = %Q))",
                        time, table->name);
  sqlite3_free(time);
  return sql;
}

/* Rows that OR REPLACE would displace are deleted without a DELETE trigger. */
static char *lock_clash(const HfTable *table, const char *old, int update,
                        HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i, j;
  for (i = 0; i < table->clashes; i++) {
    sqlite3_str_appendf(sql, "%s EXISTS (SELECT 1 FROM \"%w\" AS t WHERE %s",
                        i ? "\n  OR" : "WHEN", table->name, table->clash[i]);
    if (i == 0 && table->rowid && !update) {
      sqlite3_str_appendf(sql, " AND NEW.%s <> -1", table->id[0]);
    }
    if (update) {
      sqlite3_str_appendall(sql, " AND NOT (");
      for (j = 0; j < table->ids; j++) {
        sqlite3_str_appendf(sql, "%st.%s IS OLD.%s", j ? " AND " : "",
                            table->id[j], table->id[j]);
      }
      sqlite3_str_appendall(sql, ")");
    }
    sqlite3_str_appendf(sql, " AND %s IS NOT 1)", old);
  }
  return hf_str_finish(sql, err);
}

/* The text of the i-th trigger, from its name on; NULL: it is not needed. */
static char *lock_trigger(const HfTable *table, const char *column,
                          RetUnit unit, int i, HfError *err) {
  static const char *const verb[] = {"DELETE", "UPDATE", "INSERT", "UPDATE"};
  char *old = lock_old(i == 0 ? "OLD" : "t", table, column, unit, err);
  char *when = NULL, *sql = NULL;
  if (old == NULL) return NULL;
  if (i == 0) {
    when = hf_format(err, "WHEN %s IS NOT 1", old);
  } else if (i == 1) {
    when = hf_format(err, "WHEN NEW.\"%w\" IS NOT OLD.\"%w\"", column, column);
  } else if (table->clashes > 0) {
    when = lock_clash(table, old, i == 3, err);
  }
  if (when != NULL) {
    sql = hf_format(err,
                    "\"%w_lock_%s\" BEFORE %s ON \"%w\"\n%s\nBEGIN\n"
                    "  SELECT RAISE(ABORT, '%q: the table is locked; %s');\n"
                    "END",
                    table->name, lock_suffix[i], verb[i], table->name, when,
                    table->name,
                    i == 1 ? "the time of a row stays"
                           : "retention_floor says how long rows are kept");
  }
  sqlite3_free(old);
  sqlite3_free(when);
  return sql;
}

static int lock_triggers(HfConn *conn, const HfTable *table, const char *column,
                         RetUnit unit, HfError *err) {
  int i;
  if (table->expression != NULL) {
    return hf_fail(err, SQLITE_ERROR,
                   "retention_lock: %s has a unique index on an expression, by "
                   "which OR REPLACE could displace rows; make it one on "
                   "columns",
                   table->name);
  }
  for (i = 0; i < 4 && err->rc == SQLITE_OK; i++) {
    char *name = hf_format(err, "%s_lock_%s", table->name, lock_suffix[i]);
    char *sql = lock_trigger(table, column, unit, i, err);
    hf_guard_drop(conn, "main", name, NULL, err);
    if (sql != NULL) {
      hf_guard_create(conn, "main", name, table->name, "retention", sql, err);
    }
    sqlite3_free(name);
    sqlite3_free(sql);
  }
  return err->rc;
}

/* The time column and unit of the floor that is there, else of the policy. */
static int lock_column(HfConn *conn, const HfTable *table, char **column,
                       char **unit, sqlite3_int64 *floor, HfError *err) {
  static const char *const place[] = {"retention_floor", "retention_policy"};
  int i;
  *column = *unit = NULL;
  for (i = 0; i < 2 && *column == NULL; i++) {
    hf_query_text(conn->db, err, column,
                  "SELECT time_column FROM main.%s WHERE table_name = %Q",
                  place[i], table->name);
    hf_query_text(conn->db, err, unit,
                  "SELECT time_unit FROM main.%s WHERE table_name = %Q"
                  " AND time_column IS NOT NULL",
                  place[i], table->name);
  }
  hf_query_int(conn->db, err, 0, floor,
               "SELECT min_keep_ms FROM main.retention_floor"
               " WHERE table_name = %Q",
               table->name);
  if (err->rc == SQLITE_OK && *column == NULL) {
    hf_fail(err, SQLITE_ERROR,
            "retention_lock: %s has no policy with a time_column; INSERT INTO "
            "retention_policy first",
            table->name);
  }
  return err->rc;
}

static int lock_set(HfConn *conn, const HfTable *table, sqlite3_int64 keep,
                    HfError *err) {
  char *column, *unit;
  sqlite3_int64 floor = 0;
  if (lock_column(conn, table, &column, &unit, &floor, err) == SQLITE_OK &&
      keep < floor) {
    hf_fail(err, SQLITE_ERROR,
            "retention_lock: %s is locked for %lld ms, and a floor only rises; "
            "%lld is less",
            table->name, floor, keep);
  }
  hf_exec(conn->db, err,
          floor > 0 ? "UPDATE main.retention_floor SET min_keep_ms = %lld"
                      " WHERE table_name = %Q"
                    : "INSERT INTO main.retention_floor(min_keep_ms,"
                      " table_name, time_column, time_unit)"
                      " VALUES (%lld, %Q, %Q, %Q)",
          keep, table->name, column, unit);
  if (err->rc == SQLITE_OK) {
    lock_triggers(conn, table, column, retention_unit(unit), err);
  }
  sqlite3_free(column);
  sqlite3_free(unit);
  return err->rc;
}

/*
** retention_lock(table, min_keep_ms)
**
** table: TEXT, an ordinary table of main with a policy that has a time_column.
** min_keep_ms: INTEGER, from 1 on.  From now on no row goes before it is so
** old, whoever deletes it; again, with more, the floor rises.  Returns the
** floor.  Errors: no such table or policy; less than the floor that is there;
** inside a statement that writes.
*/
static void lock_function(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  static const char function[] = "retention_lock";
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 keep = 0;
  const char *name =
      hf_argument_text(argv[0], "retention_lock: the table is a TEXT", &err);
  HfTable table;
  HfTxn txn;
  (void)argc;
  memset(&table, 0, sizeof(table));
  if (err.rc == SQLITE_OK &&
      (!hf_value_whole(argv[1], &keep) || keep < 1 || keep > RETENTION_MOST)) {
    hf_fail(&err, SQLITE_ERROR,
            "retention_lock: min_keep_ms is a number of milliseconds from 1 "
            "to 3.2e14");
  }
  if (err.rc == SQLITE_OK &&
      hf_txn_begin(conn->db, "main", function, &txn, &err) == SQLITE_OK) {
    if (hf_table_read(conn, function, name, &table, &err) == SQLITE_OK) {
      if (sqlite3_stricmp(table.schema, "main") != 0) {
        hf_fail(&err, SQLITE_ERROR, "%s: %s is in %s; policies are in main",
                function, table.name, table.schema);
      } else {
        lock_set(conn, &table, keep, &err);
      }
    }
    hf_table_clear(&table);
    hf_txn_end(conn->db, txn, &err);
  }
  hf_result_integer(context, keep, &err);
}

int retention_lock_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"retention_lock", 2, HF_CHANGES, lock_function},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
