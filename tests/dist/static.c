/*
** The amalgamation as embedders use it: linked in, with -DSQLITE_CORE, and
** registered for every connection. A ledger must work, and closing must leave
** no memory behind.
*/
#include "check.h"
#include "holdfast.h"

/* Run statements that return nothing; print the message if they fail. */
static int run(sqlite3 *db, const char *sql) {
  char *message = NULL;
  int rc = sqlite3_exec(db, sql, NULL, NULL, &message);
  if (message) printf("%s\n    %s\n", sql, message);
  sqlite3_free(message);
  return rc;
}

/* The first column of the first row, as text to be freed, or NULL. */
static char *value_of(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  char *text = NULL;
  if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) {
    printf("%s\n    %s\n", sql, sqlite3_errmsg(db));
  } else if (sqlite3_step(stmt) == SQLITE_ROW) {
    text = sqlite3_mprintf("%s", sqlite3_column_text(stmt, 0));
  }
  sqlite3_finalize(stmt);
  return text;
}

static void check_value(sqlite3 *db, const char *sql, const char *expected) {
  char *actual = value_of(db, sql);
  if (!CHECK_EQ_STR(actual, expected)) printf("    of %s\n", sql);
  sqlite3_free(actual);
}

static void check_ledger(sqlite3 *db) {
  CHECK_EQ_INT(run(db, "CREATE VIRTUAL TABLE deed USING ledger("
                       "who TEXT NOT NULL, what TEXT)"),
               SQLITE_OK);
  CHECK_EQ_INT(run(db, "INSERT INTO deed(who, what) VALUES"
                       "('ann', 'opened'), ('bob', 'closed')"),
               SQLITE_OK);
  CHECK_EQ_INT(sqlite3_last_insert_rowid(db), 2);
  check_value(db, "SELECT group_concat(seq || who) FROM deed", "1ann,2bob");
  check_value(db, "SELECT ledger_size('deed')", "2");
  check_value(db, "SELECT count(*) FROM ledger_verify('deed')", "0");
  check_value(db,
              "SELECT (r->>'entries_checked') || (r->>'assurance') "
              "FROM (SELECT ledger_report('deed') AS r)",
              "2self-consistent");
  CHECK_EQ_INT(sqlite3_exec(db, "UPDATE deed SET who='eve'", NULL, NULL, NULL),
               SQLITE_CONSTRAINT);
}

int main(void) {
  sqlite3 *db = NULL;
  int rc = sqlite3_auto_extension((void (*)(void))sqlite3_holdfast_init);
  CHECK_EQ_INT(rc, SQLITE_OK);
  if (CHECK_EQ_INT(sqlite3_open(":memory:", &db), SQLITE_OK)) {
    check_ledger(db);
  } else {
    printf("    %s\n", sqlite3_errmsg(db));
  }
  CHECK_EQ_INT(sqlite3_close(db), SQLITE_OK);
  sqlite3_reset_auto_extension();
  CHECK_EQ_INT(sqlite3_memory_used(), 0);
  return check_summary("static");
}
