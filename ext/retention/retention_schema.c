/*
** The tables of the database, read once for all policies.
*/
#include <stdlib.h>
#include <string.h>

#include "retention/retention.h"

void retention_schema_clear(RetSchema *schema) {
  int i;
  for (i = 0; i < schema->names; i++) sqlite3_free(schema->name[i].name);
  sqlite3_free(schema->name);
  memset(schema, 0, sizeof(*schema));
}

static int schema_compare(const void *a, const void *b) {
  return sqlite3_stricmp(((const RetName *)a)->name,
                         ((const RetName *)b)->name);
}

static RetName *schema_find(const RetSchema *schema, const char *name) {
  RetName key;
  if (name == NULL || schema->names == 0) return NULL;
  memset(&key, 0, sizeof(key));
  key.name = (char *)name;
  return bsearch(&key, schema->name, (size_t)schema->names, sizeof(key),
                 schema_compare);
}

const RetName *retention_schema_find(const RetSchema *schema,
                                     const char *name) {
  return schema_find(schema, name);
}

/* Does this word, in small letters, stand in the SQL, in any case? */
static int schema_says(const char *sql, const char *word) {
  int size = (int)strlen(word);
  for (; sql != NULL && *sql != 0; sql++) {
    if ((*sql | 0x20) == *word && sqlite3_strnicmp(sql, word, size) == 0) {
      return 1;
    }
  }
  return 0;
}

/* From name, type, rootpage, sql, and whether it is tracked. */
static int schema_add(RetSchema *schema, sqlite3_stmt *stmt, HfError *err) {
  const char *type = (const char *)sqlite3_column_text(stmt, 1);
  const char *sql = (const char *)sqlite3_column_text(stmt, 3);
  sqlite3_uint64 size = sizeof(RetName) * (sqlite3_uint64)(schema->names + 1);
  RetName *more = type ? sqlite3_realloc64(schema->name, size) : NULL;
  if (more == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  schema->name = more;
  more += schema->names;
  memset(more, 0, sizeof(*more));
  more->name = hf_column_text(stmt, 0, err);
  if (more->name == NULL) return err->rc;
  schema->names++;
  more->view = strcmp(type, "view") == 0;
  more->virtual = !more->view && sqlite3_column_int64(stmt, 2) == 0;
  more->hidden = schema_says(sql, "rowid");
  more->tracked = sqlite3_column_int(stmt, 4);
  schema->virtuals += more->virtual;
  if (!more->view && schema_says(sql, "references")) schema->references = 1;
  return SQLITE_OK;
}

int retention_schema_read(HfConn *conn, RetSchema *schema, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  int rc = SQLITE_DONE;
  memset(schema, 0, sizeof(*schema));
  hf_prepare(conn->db, &stmt, err,
             "SELECT name, type, rootpage, sql,"
             " name COLLATE NOCASE IN (SELECT tbl_name FROM main.sqlite_schema"
             "  WHERE type = 'trigger' AND instr(name, '_track_')"
             "   AND instr(sql, 'attest_canonical('))"
             " FROM main.sqlite_schema WHERE type IN ('table', 'view')");
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    schema_add(schema, stmt, err);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  if (schema->names > 0) {
    qsort(schema->name, (size_t)schema->names, sizeof(*schema->name),
          schema_compare);
  }
  return err->rc;
}

/* What is known of the names that a statement gives: a mark each. */
static int schema_mark(HfConn *conn, RetSchema *schema, const char *sql,
                       HfError *err) {
  sqlite3_stmt *stmt = NULL;
  int rc = SQLITE_DONE;
  hf_prepare(conn->db, &stmt, err, "%s", sql);
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    RetName *name =
        schema_find(schema, (const char *)sqlite3_column_text(stmt, 0));
    if (name == NULL) continue;
    name->without_rowid |= sqlite3_column_int(stmt, 1);
    name->shadow |= sqlite3_column_int(stmt, 2);
    name->part |= sqlite3_column_int(stmt, 3);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  return err->rc;
}

int retention_schema_detail(HfConn *conn, RetSchema *schema,
                            const RetName *name, HfError *err) {
  if (schema->detailed || (!schema->virtuals && !name->hidden)) return err->rc;
  schema->detailed = 1;
  schema_mark(conn, schema,
              "SELECT name, wr, type = 'shadow', 0 FROM pragma_table_list"
              " WHERE schema = 'main' AND (wr OR type = 'shadow')",
              err);
  if (schema->virtuals) {
    schema_mark(conn, schema,
                "SELECT p.value, 0, 0, 1 FROM main.sqlite_schema AS v"
                " CROSS JOIN json_each(json_array(" HF_SQL_PARTS ")) AS p"
                " WHERE v.type = 'table' AND v.rootpage = 0",
                err);
  }
  return err->rc;
}

const char *retention_schema_words(const RetName *name) {
  if (name == NULL) return "there is no such table; drop the policy";
  if (name->view) return "it is a view; name the tables behind it";
  if (name->virtual || name->shadow) {
    return "it is a virtual table, or part of one; name an ordinary one";
  }
  if (name->part) {
    return "it is part of a ledger or lease table, which keeps its rows";
  }
  if (name->tracked) {
    return "it is under a ledger; ledger_untrack() first, or keep its rows";
  }
  if (sqlite3_strnicmp(name->name, "sqlite_", 7) == 0 ||
      sqlite3_strnicmp(name->name, "holdfast_", 9) == 0 ||
      sqlite3_strnicmp(name->name, "retention_", 10) == 0 ||
      sqlite3_stricmp(name->name, "lease_high_water") == 0) {
    return "it belongs to SQLite or Holdfast";
  }
  return NULL;
}
