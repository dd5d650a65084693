/*
** flag(name): what a flag reads now.
**
** Reading one takes three rows.  What was read is therefore kept for as long as
** it cannot have changed: the transaction on main only reads, so that nothing
** is written in it, and the version of the data is the same.  That version is
** SQLite's own: it changes whenever the pages that it keeps in memory are
** dropped, because another connection has committed, and with each commit of
** this one.  So an answer is kept no longer than SQLite keeps the pages that it
** was read from.
*/
#include <string.h>

#include "control/control.h"

#define FLAG_KEPT 16      /* flags */
#define FLAG_LONGEST 1000 /* bytes of a name and its value together */

/* Answers that are true of one version of the data. */
struct HfFlags {
  unsigned version;
  int count;
  int next; /* the one that gives way when there is no room */
  struct {
    char *text; /* the name, then the value; owned */
    int name;   /* bytes */
    int value;
  } kept[FLAG_KEPT];
};

static void flag_forget(struct HfFlags *flags) {
  while (flags->count > 0) sqlite3_free(flags->kept[--flags->count].text);
  flags->next = 0;
}

static void flag_free(struct HfFlags *flags) {
  flag_forget(flags);
  sqlite3_free(flags);
}

/* Does the transaction on main only read?  *version: of its data.  A database
** in memory that sqlite3_deserialize() made may be exchanged for another one,
** which counts its versions anew: never. */
static int flag_reads_only(sqlite3 *db, unsigned *version) {
  sqlite3_vfs *vfs = NULL;
  return sqlite3_txn_state(db, "main") == SQLITE_TXN_READ &&
         sqlite3_file_control(db, "main", SQLITE_FCNTL_VFS_POINTER, &vfs) ==
             SQLITE_OK &&
         vfs != NULL && strcmp(vfs->zName, "memdb") != 0 &&
         sqlite3_file_control(db, "main", SQLITE_FCNTL_DATA_VERSION, version) ==
             SQLITE_OK;
}

/* The answer that is kept becomes the result; 0: there is none. */
static int flag_recall(HfConn *conn, unsigned version, const char *name, int n,
                       sqlite3_context *context) {
  struct HfFlags *flags = conn->flags;
  int i;
  if (flags == NULL || flags->version != version) return 0;
  for (i = 0; i < flags->count; i++) {
    if (flags->kept[i].name != n || memcmp(flags->kept[i].text, name, n) != 0) {
      continue;
    }
    sqlite3_result_text(context, flags->kept[i].text + n, flags->kept[i].value,
                        SQLITE_TRANSIENT);
    return 1;
  }
  return 0;
}

/* Keep an answer, if there is memory for it. */
static void flag_keep(HfConn *conn, unsigned version, const char *name, int n,
                      sqlite3_value *answer) {
  const void *value = sqlite3_value_text(answer);
  int i, bytes = sqlite3_value_bytes(answer);
  char *text;
  if (value == NULL || sqlite3_value_type(answer) != SQLITE_TEXT ||
      n > FLAG_LONGEST || bytes > FLAG_LONGEST - n) {
    return;
  }
  if (conn->flags == NULL) {
    conn->flags = sqlite3_malloc64(sizeof(*conn->flags));
    if (conn->flags == NULL) return;
    memset(conn->flags, 0, sizeof(*conn->flags));
    conn->flags_free = flag_free;
  }
  text = sqlite3_malloc64((sqlite3_uint64)n + (sqlite3_uint64)bytes + 1);
  if (text == NULL) return;
  memcpy(text, name, (size_t)n);
  memcpy(text + n, value, (size_t)bytes);
  if (conn->flags->version != version) flag_forget(conn->flags);
  conn->flags->version = version;
  if (conn->flags->count < FLAG_KEPT) {
    i = conn->flags->count++;
  } else {
    i = conn->flags->next++ % FLAG_KEPT;
    sqlite3_free(conn->flags->kept[i].text);
  }
  conn->flags->kept[i].text = text;
  conn->flags->kept[i].name = n;
  conn->flags->kept[i].value = bytes;
}

/* Read it.  version: where the answer is to be kept; NULL: not. */
static void flag_read(HfConn *conn, sqlite3_value *name,
                      const unsigned *version, sqlite3_context *context,
                      HfError *err) {
  static const char sql[] = "SELECT value FROM main.flag_value WHERE name = ?1";
  sqlite3_stmt *stmt = hf_kept_take(conn, sql, err);
  if (stmt == NULL) {
    if (err->message != NULL &&
        strncmp(err->message, "no such table", 13) == 0) {
      hf_error_clear(err);
      hf_fail(err, SQLITE_ERROR,
              "flag: there are no flags in main; SELECT "
              "holdfast_install('control')");
    }
    return;
  }
  sqlite3_bind_value(stmt, 1, name);
  switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
      sqlite3_result_value(context, sqlite3_column_value(stmt, 0));
      if (version != NULL) {
        flag_keep(conn, *version, (const char *)sqlite3_value_text(name),
                  sqlite3_value_bytes(name), sqlite3_column_value(stmt, 0));
      }
      break;
    case SQLITE_DONE:
      hf_fail(err, SQLITE_ERROR,
              "flag: there is no flag %s; define it with INSERT INTO flag",
              sqlite3_value_text(name));
      break;
    default:
      hf_fail_db(err, conn->db);
  }
  hf_kept_give(conn, sql, &stmt);
}

/*
** flag(name)
**
** name: TEXT, a flag's name in any case.  Returns what flag_value shows, TEXT:
** the value that is set, or the default; the safe value while the kill switch
** is on.  Every connection sees a change at its next read, and a transaction
** its own changes at once.  NULL for NULL.  Errors: there is no such flag; the
** area control is not installed.
*/
static void flag_function(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const char *name = NULL;
  unsigned version = 0;
  int keep;
  (void)argc;
  if (sqlite3_value_type(argv[0]) == SQLITE_NULL) return;
  keep = sqlite3_value_type(argv[0]) == SQLITE_TEXT &&
         (name = (const char *)sqlite3_value_text(argv[0])) != NULL &&
         flag_reads_only(conn->db, &version);
  if (keep &&
      flag_recall(conn, version, name, sqlite3_value_bytes(argv[0]), context)) {
    return;
  }
  flag_read(conn, argv[0], keep ? &version : NULL, context, &err);
  if (err.rc != SQLITE_OK) hf_error_to_result(&err, context);
}

int control_flag_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"flag", 1, HF_LOOKUP, flag_function},
  };
  return hf_register_functions(conn, functions, 1);
}
