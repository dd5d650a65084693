/*
** See ask.h.
*/
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ask.h"

void ask_open(Conn *conn, const char *path, const char *library) {
  char *message = NULL;
  memset(conn, 0, sizeof(*conn));
  if (sqlite3_open(path, &conn->db) != SQLITE_OK ||
      sqlite3_enable_load_extension(conn->db, 1) != SQLITE_OK ||
      sqlite3_load_extension(conn->db, library, NULL, &message) != SQLITE_OK) {
    fail("%s: %s", path, message ? message : sqlite3_errmsg(conn->db));
  }
  sqlite3_busy_timeout(conn->db, 60000);
}

void ask_close(Conn *conn) {
  int i;
  for (i = 0; i < STATEMENTS; i++) sqlite3_finalize(conn->stmt[i]);
  if (sqlite3_close(conn->db) != SQLITE_OK) {
    fail("close: %s", sqlite3_errmsg(conn->db));
  }
  conn->db = NULL;
}

/* The statement of a text, prepared when it is first asked for. */
static sqlite3_stmt *prepared(Conn *conn, const char *sql) {
  unsigned hash = 5381, i;
  const char *p;
  for (p = sql; *p != 0; p++) hash = hash * 33 + (unsigned char)*p;
  for (i = hash % STATEMENTS; conn->stmt[i] != NULL; i = (i + 1) % STATEMENTS) {
    if (strcmp(sqlite3_sql(conn->stmt[i]), sql) == 0) return conn->stmt[i];
  }
  if (sqlite3_prepare_v3(conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                         &conn->stmt[i], NULL) != SQLITE_OK) {
    fail("%s: %s", sql, sqlite3_errmsg(conn->db));
  }
  return conn->stmt[i];
}

sqlite3_stmt *ask_bind(Conn *conn, const char *sql, const char *types, ...) {
  sqlite3_stmt *stmt = prepared(conn, sql);
  va_list list;
  int i;
  sqlite3_clear_bindings(stmt);
  va_start(list, types);
  /* The analyser loses the va_start when it reads several files in one run.
  ** NOLINTBEGIN(clang-analyzer-valist.Uninitialized) */
  for (i = 0; types[i] != 0; i++) {
    if (types[i] == 't') {
      sqlite3_bind_text(stmt, i + 1, va_arg(list, const char *), -1,
                        SQLITE_STATIC);
    } else {
      Number n = va_arg(list, Number);
      int null = (types[i] == 'k' && n < 0) || (types[i] == 'z' && n == 0) ||
                 (types[i] == 'n' && n == NO_NOW);
      if (!null) sqlite3_bind_int64(stmt, i + 1, n);
    }
  }
  /* NOLINTEND(clang-analyzer-valist.Uninitialized) */
  va_end(list);
  return stmt;
}

static void trace(sqlite3_stmt *stmt, const Result *result) {
  char *text = sqlite3_expanded_sql(stmt);
  printf("%s;\n", text ? text : sqlite3_sql(stmt));
  sqlite3_free(text);
  if (result->rc != SQLITE_OK) {
    printf("-- %s\n", result->words);
  } else if (result->is_null) {
    printf("-- NULL\n");
  } else {
    printf("-- %lld, changes %lld\n", result->value, result->changes);
  }
}

Result ask_run(Conn *conn, sqlite3_stmt *stmt) {
  Result result = {0};
  int rc, rows = 0;
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (rows++ > 0) continue;
    result.is_null = sqlite3_column_type(stmt, 0) == SQLITE_NULL;
    result.value = sqlite3_column_int64(stmt, 0);
  }
  if (rc != SQLITE_DONE) {
    result.rc = sqlite3_extended_errcode(conn->db);
    sqlite3_snprintf(WORDS, result.words, "%s", sqlite3_errmsg(conn->db));
  }
  result.changes = sqlite3_changes(conn->db);
  result.rowid = sqlite3_last_insert_rowid(conn->db);
  if (conn->traces) trace(stmt, &result);
  sqlite3_reset(stmt);
  return result;
}

void ask_must(Conn *conn, const char *sql) {
  char *message = NULL;
  if (conn->traces) printf("%s;\n", sql);
  if (sqlite3_exec(conn->db, sql, NULL, NULL, &message) != SQLITE_OK) {
    fail("%s: %s", sql, message);
  }
}

const char *ask_text(const char *format, int index) {
  static char ring[8][512];
  static int next;
  const char *from = format;
  char *text = ring[next++ % 8], *to = text;
  for (; *from != 0 && to < text + 500; from++) {
    if (from[0] == '%' && from[1] == 'd') {
      *to++ = (char)('0' + index);
      from++;
    } else {
      *to++ = *from;
    }
  }
  *to = 0;
  return text;
}
