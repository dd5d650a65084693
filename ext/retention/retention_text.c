/*
** Times as SQL text, and what may stand in an expression that somebody wrote in
** a table.
*/
#include <string.h>

#include "retention/retention.h"

/* The Unix epoch in milliseconds of the Julian day number. */
#define TEXT_EPOCH "210866760000000"

RetUnit retention_unit(const char *name) {
  if (name != NULL && strcmp(name, "s") == 0) return RET_S;
  if (name != NULL && strcmp(name, "iso8601") == 0) return RET_ISO;
  if (name != NULL && strcmp(name, "julian") == 0) return RET_JULIAN;
  return RET_MS;
}

/* That of an ISO 8601 text is for an index only: no time zone is two days from
** UTC. */
void retention_text_bound(sqlite3_str *sql, const char *value, RetUnit unit,
                          sqlite3_int64 ms) {
  sqlite3_str_appendf(sql, "%s < ", value);
  switch (unit) {
    case RET_S:
      sqlite3_str_appendf(sql, "(%lld / 1000.0)", ms);
      break;
    case RET_MS:
      sqlite3_str_appendf(sql, "(%lld)", ms);
      break;
    case RET_JULIAN:
      sqlite3_str_appendf(sql, "((%lld + " TEXT_EPOCH ") / 86400000.0)", ms);
      break;
    case RET_ISO:
      sqlite3_str_appendf(sql, "date(%lld / 1000 + 172800, 'unixepoch')", ms);
      break;
  }
}

/* A value of another kind is no time, and its row stays. */
void retention_text_before(sqlite3_str *sql, const char *value, RetUnit unit,
                           sqlite3_int64 ms) {
  retention_text_bound(sql, value, unit, ms);
  if (unit != RET_ISO) {
    sqlite3_str_appendf(sql, " AND typeof(%s) IN ('integer', 'real')", value);
    return;
  }
  sqlite3_str_appendf(sql,
                      " AND typeof(%s) = 'text' AND %s GLOB"
                      " '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*'"
                      " AND julianday(%s) < ((%lld + " TEXT_EPOCH
                      ") / 86400000.0)",
                      value, value, value, ms);
}

void retention_text_ms(sqlite3_str *sql, const char *value, RetUnit unit) {
  switch (unit) {
    case RET_S:
      sqlite3_str_appendf(sql, "CAST(round(%s * 1000.0) AS INTEGER)", value);
      break;
    case RET_MS:
      sqlite3_str_appendf(sql, "CAST(%s AS INTEGER)", value);
      break;
    case RET_JULIAN:
      sqlite3_str_appendf(sql,
                          "CAST(round(%s * 86400000.0) AS INTEGER)"
                          " - " TEXT_EPOCH,
                          value);
      break;
    case RET_ISO:
      sqlite3_str_appendf(sql,
                          "iif(%s GLOB"
                          " '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*',"
                          " CAST(round(julianday(%s) * 86400000.0) AS INTEGER)"
                          " - " TEXT_EPOCH ", NULL)",
                          value, value);
      break;
  }
}

/* ---- expressions --------------------------------------------------------- */

/* A function may run if every view may call it; a table-valued one must be one
** of the two for JSON. */
static int text_function(HfConn *conn, const char *what, const char *word,
                         int size, HfError *err) {
  sqlite3_int64 bad = 0;
  if (hf_query_int(conn->db, err, 0, &bad,
                   "SELECT EXISTS (SELECT 1 FROM pragma_function_list"
                   " WHERE name = '%.*q' COLLATE NOCASE AND flags & %d = 0)"
                   " OR (EXISTS (SELECT 1 FROM pragma_module_list"
                   " WHERE name = '%.*q' COLLATE NOCASE)"
                   " AND lower('%.*q') NOT IN ('json_each', 'json_tree'))"
                   " OR lower('%.*q') GLOB 'pragma_*'",
                   size, word, SQLITE_INNOCUOUS, size, word, size, word, size,
                   word) == SQLITE_OK &&
      bad) {
    hf_fail(err, SQLITE_ERROR,
            "%s calls %.*s, which not every schema may call; use functions "
            "without side effects",
            what, size, word);
  }
  return err->rc;
}

/* Quoted names may be functions, too. */
static int text_word(HfConn *conn, const char *what, const char *z,
                     const char *end, HfError *err) {
  const char *after = end;
  if (*z == '\'') return SQLITE_OK;
  while (*after == ' ' || (*after >= '\t' && *after <= '\r')) after++;
  while (after[0] == '-' || after[0] == '/') {
    const char *next = hf_sql_skip(after);
    if (next == after + 1) break;
    after = next;
    while (*after == ' ' || (*after >= '\t' && *after <= '\r')) after++;
  }
  if (*after != '(') return SQLITE_OK;
  if (*z == '"' || *z == '`' || *z == '[') {
    z++;
    end--;
  }
  return text_function(conn, what, z, (int)(end - z), err);
}

/* One expression and nothing else: its brackets close, and so do its quotes and
** comments; no parameters, no second statement. */
static int text_scan(HfConn *conn, const char *what, const char *text,
                     HfError *err) {
  const char *z = text, *end;
  int depth = 0, whole = 1;
  while (*z != 0 && err->rc == SQLITE_OK && whole) {
    if (hf_sql_is_word(*z) && *z != '$') {
      for (end = z; hf_sql_is_word(*end); end++) {
      }
      text_word(conn, what, z, end, err);
    } else {
      end = hf_sql_skip(z);
      if (*z == '\'' || *z == '"' || *z == '`' || *z == '[') {
        whole = end > z + 1 && end[-1] == (*z == '[' ? ']' : *z);
        if (whole) text_word(conn, what, z, end, err);
      } else if (z[0] == '/' && z[1] == '*') {
        whole = end > z + 3 && end[-1] == '/' && end[-2] == '*';
      } else if (*z == '(') {
        depth++;
      } else if (*z == ')') {
        whole = --depth >= 0;
      } else if (strchr(";?:@$#", *z) != NULL) {
        whole = 0;
      }
    }
    z = end;
  }
  if (err->rc == SQLITE_OK && (!whole || depth != 0)) {
    hf_fail(err, SQLITE_ERROR,
            "%s is not one SQL expression without parameters: %.60s", what,
            text);
  }
  return err->rc;
}

int retention_expression(HfConn *conn, const RetTable *table, const char *what,
                         const char *text, size_t size, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  if (strlen(text) != size) {
    return hf_fail(err, SQLITE_ERROR, "%s holds a NUL", what);
  }
  if (text_scan(conn, what, text, err) != SQLITE_OK) return err->rc;
  hf_prepare(conn->db, &stmt, err,
             "SELECT 1 FROM main.\"%w\" AS \"%w\" WHERE (%s\n)", table->name,
             table->name, text);
  sqlite3_finalize(stmt);
  if (err->rc == SQLITE_ERROR) {
    char *words = err->message;
    err->message = NULL;
    hf_error_clear(err);
    hf_fail(err, SQLITE_ERROR, "%s: %s", what, words ? words : "");
    sqlite3_free(words);
  }
  return err->rc;
}
