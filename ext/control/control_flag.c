/*
** flag(name): what a flag reads now.
*/
#include <string.h>

#include "control/control.h"

/*
** flag(name)
**
** name: TEXT, a flag's name in any case.  Returns what flag_value shows, TEXT:
** the value that is set, or the default; the safe value while the kill switch
** is on.  Reads the table each time, so that every connection sees a change at
** its next read.  NULL for NULL.  Errors: there is no such flag; the area
** control is not installed.
*/
static void flag_function(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  static const char sql[] = "SELECT value FROM main.flag_value WHERE name = ?1";
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  sqlite3_stmt *stmt;
  (void)argc;
  if (sqlite3_value_type(argv[0]) == SQLITE_NULL) return;
  stmt = hf_kept_take(conn, sql, &err);
  if (stmt != NULL) {
    sqlite3_bind_value(stmt, 1, argv[0]);
    switch (sqlite3_step(stmt)) {
      case SQLITE_ROW:
        sqlite3_result_value(context, sqlite3_column_value(stmt, 0));
        break;
      case SQLITE_DONE:
        hf_fail(&err, SQLITE_ERROR,
                "flag: there is no flag %s; define it with INSERT INTO flag",
                sqlite3_value_text(argv[0]));
        break;
      default:
        hf_fail_db(&err, conn->db);
    }
    hf_kept_give(conn, sql, &stmt);
  } else if (err.message != NULL &&
             strncmp(err.message, "no such table", 13) == 0) {
    hf_error_clear(&err);
    hf_fail(&err, SQLITE_ERROR,
            "flag: there are no flags in main; SELECT "
            "holdfast_install('control')");
  }
  if (err.rc != SQLITE_OK) hf_error_to_result(&err, context);
}

int control_flag_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"flag", 1, HF_LOOKUP, flag_function},
  };
  return hf_register_functions(conn, functions, 1);
}
