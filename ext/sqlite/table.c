/*
** What an ordinary table is: its stored columns, what finds a row of it, and
** with what a new row can clash.
*/
#include <string.h>

#include "sqlite/hf.h"

void hf_table_clear(HfTable *table) {
  int i;
  for (i = 0; i < table->ids; i++) sqlite3_free(table->id[i]);
  sqlite3_free(table->id);
  sqlite3_free(table->schema);
  sqlite3_free(table->name);
  sqlite3_free(table->sql);
  sqlite3_free(table->named);
  sqlite3_free(table->keys);
  for (i = 0; i < table->clashes; i++) sqlite3_free(table->clash[i]);
  sqlite3_free(table->clash);
  sqlite3_free(table->expression);
  memset(table, 0, sizeof(*table));
}

/* The columns of a table that are stored and not generated, in their order. */
#define TABLE_COLUMNS \
  "(SELECT name, pk, row_number() OVER (ORDER BY cid) - 1 AS n" \
  "   FROM pragma_table_xinfo(%Q, %Q) WHERE hidden = 0 ORDER BY cid)"

char *hf_table_list(HfConn *conn, const HfTable *table, int columns,
                    const char *prefix, HfError *err) {
  char *list;
  hf_query_text(conn->db, err, &list,
                "SELECT group_concat(printf('%%s\"%%w\"', %Q, name), ', ')"
                "  FROM " TABLE_COLUMNS " WHERE n < %d",
                prefix, table->name, table->schema, columns);
  return list;
}

/* Is it a table, an ordinary one?  *wr: it is WITHOUT ROWID. */
static int table_kind(HfConn *conn, const char *function, HfTable *table,
                      sqlite3_int64 *wr, HfError *err) {
  char *name = table->name, *type = NULL;
  sqlite3_int64 part = 0;
  table->name = NULL;
  if (hf_query_text(conn->db, err, &table->name,
                    "SELECT name FROM pragma_table_list WHERE schema = %Q"
                    " COLLATE NOCASE AND name = %Q COLLATE NOCASE",
                    table->schema, name) == SQLITE_OK &&
      table->name == NULL) {
    hf_fail(err, SQLITE_ERROR, "%s: no such table: %s.%s", function,
            table->schema, name);
  }
  sqlite3_free(name);
  if (err->rc != SQLITE_OK ||
      hf_query_text(conn->db, err, &type,
                    "SELECT type FROM pragma_table_list WHERE schema = %Q"
                    " COLLATE NOCASE AND name = %Q",
                    table->schema, table->name) != SQLITE_OK ||
      hf_query_int(conn->db, err, 0, wr,
                   "SELECT wr FROM pragma_table_list WHERE schema = %Q"
                   " COLLATE NOCASE AND name = %Q",
                   table->schema, table->name) != SQLITE_OK ||
      hf_query_text(conn->db, err, &table->sql,
                    "SELECT sql FROM \"%w\".sqlite_schema WHERE type = 'table'"
                    " AND name = %Q",
                    table->schema, table->name) != SQLITE_OK) {
    sqlite3_free(type);
    return err->rc;
  }
  hf_query_int(conn->db, err, 0, &part,
               "SELECT 1 FROM \"%w\".sqlite_schema AS v"
               " WHERE v.type = 'table' AND v.rootpage = 0"
               "   AND %Q COLLATE NOCASE IN (" HF_SQL_PARTS ")",
               table->schema, table->name);
  if (part || type == NULL || strcmp(type, "table") != 0 ||
      table->sql == NULL || sqlite3_strnicmp(table->name, "sqlite_", 7) == 0 ||
      sqlite3_strnicmp(table->name, "holdfast_", 9) == 0) {
    hf_fail(err, SQLITE_ERROR, "%s: %s is not an ordinary table", function,
            table->name);
  }
  sqlite3_free(type);
  return err->rc;
}

int hf_has_table(HfConn *conn, const char *schema, const char *name,
                 HfError *err) {
  sqlite3_int64 there = 0;
  hf_query_int(conn->db, err, 0, &there,
               "SELECT 1 FROM \"%w\".sqlite_schema WHERE type = 'table'"
               " AND name = %Q COLLATE NOCASE",
               schema, name);
  return there && err->rc == SQLITE_OK;
}

/* The columns that find a row: the key of a table WITHOUT ROWID; else the
** column that is the rowid, or whichever of its names no column has taken. */
static int table_ids(HfConn *conn, const char *function, HfTable *table,
                     int without_rowid, HfError *err) {
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  if (without_rowid) {
    hf_prepare(conn->db, &stmt, err,
               "SELECT printf('\"%%w\"', name) FROM pragma_table_xinfo(%Q, %Q)"
               " WHERE pk > 0 ORDER BY pk",
               table->name, table->schema);
  } else {
    hf_prepare(conn->db, &stmt, err,
               "WITH c AS (SELECT * FROM pragma_table_xinfo(%Q, %Q))"
               "SELECT * FROM (SELECT printf('\"%%w\"', name) FROM c"
               " WHERE pk = 1 AND (SELECT max(pk) FROM c) = 1"
               "   AND NOT EXISTS (SELECT 1 FROM pragma_index_list(%Q, %Q)"
               "                    WHERE origin = 'pk')"
               " UNION ALL SELECT column1"
               "   FROM (VALUES ('rowid'), ('_rowid_'), ('oid'))"
               "  WHERE column1 COLLATE NOCASE NOT IN (SELECT name FROM c))"
               " LIMIT 1",
               table->name, table->schema, table->name, table->schema);
  }
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    char **more = sqlite3_realloc64(
        table->id, sizeof(*more) * ((sqlite3_uint64)table->ids + 1));
    if (more == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
      break;
    }
    table->id = more;
    more[table->ids] = hf_column_text(stmt, 0, err);
    if (more[table->ids] != NULL) table->ids++;
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  if (err->rc == SQLITE_OK && table->ids == 0) {
    hf_fail(err, SQLITE_ERROR,
            "%s: the columns of %s hide its rowid under every name; rename one",
            function, table->name);
  }
  return err->rc;
}

const char *hf_sql_skip(const char *z) {
  int end = *z == '[' ? ']' : *z;
  if (z[0] == '-' && z[1] == '-') {
    while (*z != 0 && *z != '\n') z++;
    return z;
  }
  if (z[0] == '/' && z[1] == '*') {
    for (z += 2; *z != 0 && !(z[0] == '*' && z[1] == '/'); z++) {
    }
    return *z != 0 ? z + 2 : z;
  }
  if (*z != '\'' && *z != '"' && *z != '`' && *z != '[') return z + 1;
  for (z++; *z != 0 && *z != end; z++) {
  }
  return *z != 0 ? z + 1 : z;
}

int hf_sql_is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         (unsigned char)c >= 0x80;
}

static int table_is_blank(const char *z) {
  return *z == ' ' || (*z >= '\t' && *z <= '\r') ||
         (z[0] == '-' && z[1] == '-') || (z[0] == '/' && z[1] == '*');
}

static const char *table_after_blank(const char *z) {
  while (table_is_blank(z)) z = hf_sql_skip(z);
  return z;
}

/* Behind the word or quoted name at z, and what is blank. */
static const char *table_after_name(const char *z) {
  if (hf_sql_is_word(*z)) {
    while (hf_sql_is_word(*z)) z++;
  } else if (*z == '[') {
    z = hf_sql_skip(z);
  } else { /* a doubled quote is two strings side by side */
    char quote = *z;
    while (quote != 0 && *z == quote) z = hf_sql_skip(z);
  }
  return table_after_blank(z);
}

/* Is the name from z to end this one? */
static int table_is_name(const char *z, const char *name) {
  size_t n = strlen(name);
  int quoted = *z != 0 && strchr("\"'`[", *z) != NULL;
  char end;
  if (sqlite3_strnicmp(z + quoted, name, (int)n) != 0) return 0;
  end = z[n + (size_t)quoted];
  return quoted ? end == (*z == '[' ? ']' : *z) : !hf_sql_is_word(end);
}

int hf_sql_uses(const char *sql, const char *module) {
  static const char *const words[] = {"create", "virtual", "table", NULL,
                                      "using"};
  size_t i;
  for (i = 0; i < sizeof(words) / sizeof(*words); i++) {
    if (words[i] != NULL && !table_is_name(sql, words[i])) return 0;
    sql = table_after_name(sql);
  }
  return table_is_name(sql, module);
}

/* The condition of a partial index, behind the WHERE that follows its columns
** in CREATE INDEX; NULL when it has none. */
static const char *table_predicate(const char *sql) {
  int depth = 0;
  while (*sql != 0) {
    if (*sql == '(') depth++;
    if (*sql == ')' && --depth == 0) break;
    sql = hf_sql_skip(sql);
  }
  if (*sql == 0) return NULL;
  sql = table_after_blank(sql + 1);
  return sqlite3_strnicmp(sql, "where", 5) == 0 ? sql + 5 : NULL;
}

/* Does `name.`, however it is quoted, stand at z?  The length of that. */
static size_t table_qualifier(const char *z, const char *name) {
  size_t n = strlen(name);
  int quoted = *z == '"' || *z == '`' || *z == '[';
  const char *end = z + quoted;
  if (sqlite3_strnicmp(end, name, (int)n) != 0) return 0;
  end += n + (size_t)quoted;
  end = table_after_blank(end);
  return *end == '.' ? (size_t)(end + 1 - z) : 0;
}

/* That condition for a row that goes by another name than its table's: without
** the table's name before columns. */
static char *table_bare(const char *predicate, const char *name, HfError *err) {
  sqlite3_str *out = sqlite3_str_new(NULL);
  const char *z = predicate, *next;
  for (; *z != 0; z = next) {
    size_t skip =
        z == predicate || !hf_sql_is_word(z[-1]) ? table_qualifier(z, name) : 0;
    next = skip ? z + skip : hf_sql_skip(z);
    if (!skip) sqlite3_str_append(out, z, (int)(next - z));
  }
  sqlite3_str_appendall(out, "\n"); /* it may end with a comment */
  return hf_str_finish(out, err);
}

static int table_clash_add(HfTable *table, char *clash, HfError *err) {
  size_t size = (size_t)(table->clashes + 1) * sizeof(*table->clash);
  char **more = clash != NULL ? sqlite3_realloc64(table->clash, size) : NULL;
  if (more == NULL) {
    sqlite3_free(clash);
    return hf_fail(err, SQLITE_NOMEM, NULL);
  }
  table->clash = more;
  table->clash[table->clashes++] = clash;
  return SQLITE_OK;
}

/* The comparison of one unique index: with what NEW will hold, which for a NULL
** in a NOT NULL column is its default. */
static int table_clash_index(HfConn *conn, HfTable *table, const char *index,
                             HfError *err) {
  char *terms = NULL, *sql = NULL, *neu = NULL, *predicate = NULL;
  hf_query_text(
      conn->db, err, &terms,
      "SELECT group_concat(printf('t.\"%%w\" COLLATE \"%%w\" = %%s', c.name,"
      " c.coll, iif(x.\"notnull\" AND x.dflt_value IS NOT NULL,"
      "           printf('coalesce(NEW.\"%%w\", (%%s))', c.name,"
      "                  x.dflt_value),"
      "           printf('NEW.\"%%w\"', c.name))), ' AND ')"
      "  FROM pragma_index_xinfo(%Q, %Q) AS c"
      "  JOIN pragma_table_xinfo(%Q, %Q) AS x ON x.cid = c.cid"
      " WHERE c.key",
      index, table->schema, table->name, table->schema);
  hf_query_text(conn->db, err, &sql,
                "SELECT sql FROM \"%w\".sqlite_schema"
                " WHERE type = 'index' AND name = %Q",
                table->schema, index);
  if (sql != NULL && table_predicate(sql) != NULL) {
    predicate = table_bare(table_predicate(sql), table->name, err);
  }
  /* The new row as one of the table's, so that the predicate compares with the
  ** columns' affinities; NEW has none.  LIMIT keeps SQLite from looking through
  ** it. */
  if (predicate != NULL) {
    hf_query_text(
        conn->db, err, &neu,
        "SELECT 'SELECT ' || group_concat(printf('\"%%w\"', name), ', ')"
        "    || printf(' FROM \"%%w\" WHERE 0 UNION ALL SELECT ', %Q)"
        "    || group_concat(printf('NEW.\"%%w\"', name), ', ') || ' LIMIT 1'"
        "  FROM pragma_table_xinfo(%Q, %Q) WHERE hidden <> 1",
        table->name, table->name, table->schema);
  }
  if (err->rc == SQLITE_OK && terms != NULL) {
    char *clash =
        predicate == NULL
            ? hf_format(err, "%s", terms)
            : hf_format(
                  err, /* both rows must be in the index */
                  "%s AND (%s) AND EXISTS (SELECT 1 FROM (%s) WHERE (%s))",
                  terms, predicate, neu, predicate);
    table_clash_add(table, clash, err);
  }
  sqlite3_free(neu);
  sqlite3_free(terms);
  sqlite3_free(sql);
  sqlite3_free(predicate);
  return err->rc;
}

/* With which rows a new one can clash: any that OR REPLACE would displace. */
static int table_clash(HfConn *conn, HfTable *table, int without_rowid,
                       HfError *err) {
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  if (!without_rowid) {
    table->rowid = 1;
    table_clash_add(table,
                    hf_format(err, "t.%s = NEW.%s", table->id[0], table->id[0]),
                    err);
  }
  hf_prepare(conn->db, &stmt, err,
             "SELECT i.name, (SELECT 1 FROM pragma_index_xinfo(i.name, %Q)"
             "                 WHERE key AND cid = -2)"
             "  FROM pragma_index_list(%Q, %Q) AS i WHERE i.\"unique\""
             " ORDER BY i.seq DESC",
             table->schema, table->name, table->schema);
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    char *index = hf_column_text(stmt, 0, err);
    if (index != NULL && sqlite3_column_int(stmt, 1)) {
      sqlite3_free(table->expression);
      table->expression = index;
      continue;
    }
    if (index != NULL) table_clash_index(conn, table, index, err);
    sqlite3_free(index);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  return err->rc;
}

static int table_columns(HfConn *conn, HfTable *table, HfError *err) {
  sqlite3_int64 columns = 0;
  hf_query_text(conn->db, err, &table->named,
                "SELECT json_group_array(name) FROM " TABLE_COLUMNS,
                table->name, table->schema);
  hf_query_text(conn->db, err, &table->keys,
                "SELECT json_group_array(n) FROM (SELECT n FROM " TABLE_COLUMNS
                " WHERE pk > 0 ORDER BY pk)",
                table->name, table->schema);
  hf_query_int(conn->db, err, 0, &columns,
               "SELECT count(*) FROM " TABLE_COLUMNS, table->name,
               table->schema);
  table->columns = (int)columns;
  return err->rc;
}

int hf_table_read(HfConn *conn, const char *function, const char *text,
                  HfTable *table, HfError *err) {
  sqlite3_int64 wr = 0;
  HfName name;
  memset(table, 0, sizeof(*table));
  if (hf_name_split(conn->db, text, &name, err) != SQLITE_OK) return err->rc;
  table->schema = name.schema;
  table->name = name.name;
  if (table_kind(conn, function, table, &wr, err) == SQLITE_OK &&
      table_columns(conn, table, err) == SQLITE_OK &&
      table_ids(conn, function, table, (int)wr, err) == SQLITE_OK) {
    table_clash(conn, table, (int)wr, err);
  }
  return err->rc;
}
