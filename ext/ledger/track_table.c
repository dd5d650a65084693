/*
** What an ordinary table is: its stored columns, what finds a row of it, and
** with what a new row can clash.
*/
#include <string.h>

#include "ledger/track.h"

void track_table_clear(TrackTable *table) {
  int i;
  for (i = 0; i < table->ids; i++) sqlite3_free(table->id[i]);
  sqlite3_free(table->id);
  sqlite3_free(table->schema);
  sqlite3_free(table->name);
  sqlite3_free(table->sql);
  sqlite3_free(table->named);
  sqlite3_free(table->keys);
  sqlite3_free(table->clash);
  memset(table, 0, sizeof(*table));
}

/* The columns of a table that are stored and not generated, in their order. */
#define TRACK_COLUMNS \
  "(SELECT name, pk, row_number() OVER (ORDER BY cid) - 1 AS n" \
  "   FROM pragma_table_xinfo(%Q, %Q) WHERE hidden = 0 ORDER BY cid)"

char *track_table_list(HfConn *conn, const TrackTable *table, int columns,
                       const char *prefix, HfError *err) {
  char *list;
  hf_query_text(conn->db, err, &list,
                "SELECT group_concat(printf('%%s\"%%w\"', %Q, name), ', ')"
                "  FROM " TRACK_COLUMNS " WHERE n < %d",
                prefix, table->name, table->schema, columns);
  return list;
}

/* Is it a table, an ordinary one?  *wr: it is WITHOUT ROWID. */
static int table_kind(HfConn *conn, const char *function, TrackTable *table,
                      sqlite3_int64 *wr, HfError *err) {
  char *name = table->name, *type = NULL;
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
  if (type == NULL || strcmp(type, "table") != 0 || table->sql == NULL ||
      sqlite3_strnicmp(table->name, "sqlite_", 7) == 0 ||
      sqlite3_strnicmp(table->name, "holdfast_", 9) == 0) {
    hf_fail(err, SQLITE_ERROR, "%s: %s is not an ordinary table", function,
            table->name);
  }
  sqlite3_free(type);
  return err->rc;
}

/* The columns that find a row: the key of a table WITHOUT ROWID, or whichever
** of the rowid's names no column has taken. */
static int table_ids(HfConn *conn, const char *function, TrackTable *table,
                     int without_rowid, HfError *err) {
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  hf_prepare(
      conn->db, &stmt, err,
      without_rowid
          ? "SELECT printf('\"%%w\"', name) FROM pragma_table_xinfo(%Q, %Q)"
            " WHERE pk > 0 ORDER BY pk"
          : "SELECT column1 FROM (VALUES ('rowid'), ('_rowid_'), ('oid'))"
            " WHERE column1 COLLATE NOCASE NOT IN"
            "       (SELECT name FROM pragma_table_xinfo(%Q, %Q)) LIMIT 1",
      table->name, table->schema);
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

/* With which rows a new one can clash: any that OR REPLACE would displace. */
static int table_clash(HfConn *conn, const char *function, TrackTable *table,
                       int without_rowid, HfError *err) {
  char *expression = NULL, *unique = NULL;
  if (hf_query_text(conn->db, err, &expression,
                    "SELECT i.name FROM pragma_index_list(%Q, %Q) AS i,"
                    " pragma_index_xinfo(i.name, %Q) AS c"
                    " WHERE i.\"unique\" AND c.key AND c.cid = -2",
                    table->name, table->schema, table->schema) == SQLITE_OK &&
      expression != NULL) {
    hf_fail(err, SQLITE_ERROR,
            "%s: the unique index %s of %s is on an expression, so rows that "
            "OR REPLACE displaces could not be recorded",
            function, expression, table->name);
  }
  if (err->rc == SQLITE_OK) {
    hf_query_text(
        conn->db, err, &unique,
        "SELECT group_concat(piece, ' OR ') FROM ("
        "SELECT '(' || group_concat(printf('t.\"%%w\" COLLATE \"%%w\" ="
        " NEW.\"%%w\"', c.name, c.coll, c.name), ' AND ') || ')' AS piece"
        "  FROM pragma_index_list(%Q, %Q) AS i,"
        "       pragma_index_xinfo(i.name, %Q) AS c"
        " WHERE i.\"unique\" AND c.key AND c.cid >= 0"
        " GROUP BY i.seq ORDER BY i.seq DESC)",
        table->name, table->schema, table->schema);
  }
  if (err->rc == SQLITE_OK) {
    table->clash =
        without_rowid
            ? hf_format(err, "%s", unique ? unique : "0")
            : hf_format(err, "t.%s = NEW.%s%s%s", table->id[0], table->id[0],
                        unique ? " OR " : "", unique ? unique : "");
  }
  sqlite3_free(expression);
  sqlite3_free(unique);
  return err->rc;
}

static int table_columns(HfConn *conn, const char *function, TrackTable *table,
                         HfError *err) {
  sqlite3_int64 columns = 0;
  hf_query_text(conn->db, err, &table->named,
                "SELECT json_group_array(name) FROM " TRACK_COLUMNS,
                table->name, table->schema);
  hf_query_text(conn->db, err, &table->keys,
                "SELECT json_group_array(n) FROM (SELECT n FROM " TRACK_COLUMNS
                " WHERE pk > 0 ORDER BY pk)",
                table->name, table->schema);
  hf_query_int(conn->db, err, 0, &columns,
               "SELECT count(*) FROM " TRACK_COLUMNS, table->name,
               table->schema);
  table->columns = (int)columns;
  if (err->rc == SQLITE_OK && columns > TRACK_MAX_COLUMNS) {
    hf_fail(err, SQLITE_ERROR, "%s: %s has %lld columns; %d at most", function,
            table->name, columns, TRACK_MAX_COLUMNS);
  }
  return err->rc;
}

int track_table_read(HfConn *conn, const char *function, const char *text,
                     TrackTable *table, HfError *err) {
  sqlite3_int64 wr = 0;
  HfName name;
  memset(table, 0, sizeof(*table));
  if (hf_name_split(conn->db, text, &name, err) != SQLITE_OK) return err->rc;
  table->schema = name.schema;
  table->name = name.name;
  if (table_kind(conn, function, table, &wr, err) == SQLITE_OK &&
      table_columns(conn, function, table, err) == SQLITE_OK &&
      table_ids(conn, function, table, (int)wr, err) == SQLITE_OK) {
    table_clash(conn, function, table, (int)wr, err);
  }
  return err->rc;
}
