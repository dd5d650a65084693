/*
** The triggers that record the changes of an ordinary table, as SQL text.
**
**   insert, update, delete   AFTER: the images of the row, into the ledger
**   before_insert,           the rows with which the new one clashes go to
**   before_update            <table>_displaced: OR REPLACE will delete them,
**                            and fires DELETE triggers only with
**                            recursive_triggers
**   displaced_insert,        AFTER: those that are gone, or whose place the new
**   displaced_update         row took, are recorded as deleted
**
** A row in <table>_displaced that was ignored instead (OR IGNORE) is still in
** the table, and goes with the next clash, or with its own row.
*/
#include <string.h>

#include "ledger/track.h"

/* What the texts are made of. */
typedef struct TrackPieces {
  const TrackTable *table;
  const char *label;
  const char *ledger;
  char *neu;     /* NEW."a", NEW."b" */
  char *alt;     /* OLD."a", OLD."b" */
  char *stored;  /* t."a", t."b" */
  char *k;       /* k1, k2 */
  char *id;      /* t."k", t."l" */
  char *neu_is;  /* NEW."k" IS d.k1 AND ... */
  char *alt_is;  /* OLD."k" IS d.k1 AND ... */
  char *alt_k;   /* OLD."k" IS k1 AND ... */
  char *alt_row; /* OLD."k" IS t."k" AND ... */
  char *row_is;  /* t."k" = d.k1 AND ... */
} TrackPieces;

/* For each column that finds a row, `format` with its number or its name. */
static char *objects_each(const TrackTable *table, const char *left,
                          const char *op, const char *right,
                          const char *between, HfError *err) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  int i;
  for (i = 0; i < table->ids; i++) {
    if (i > 0) sqlite3_str_appendall(text, between);
    if (left != NULL) {
      sqlite3_str_appendf(text, "%s.%s%s", left, table->id[i], op);
    }
    if (right == NULL) continue;
    if (strcmp(right, "t.") == 0) {
      sqlite3_str_appendf(text, "t.%s", table->id[i]);
    } else {
      sqlite3_str_appendf(text, "%sk%d", right, i + 1);
    }
  }
  return hf_str_finish(text, err);
}

static int objects_pieces(HfConn *conn, TrackPieces *p, int columns,
                          HfError *err) {
  const TrackTable *table = p->table;
  p->neu = track_table_list(conn, table, columns, "NEW.", err);
  p->alt = track_table_list(conn, table, columns, "OLD.", err);
  p->stored = track_table_list(conn, table, columns, "t.", err);
  p->k = objects_each(table, NULL, "", "", ", ", err);
  p->id = objects_each(table, "t", "", NULL, ", ", err);
  p->neu_is = objects_each(table, "NEW", " IS ", "d.", " AND ", err);
  p->alt_is = objects_each(table, "OLD", " IS ", "d.", " AND ", err);
  p->alt_k = objects_each(table, "OLD", " IS ", "", " AND ", err);
  p->alt_row = objects_each(table, "OLD", " IS ", "t.", " AND ", err);
  p->row_is = objects_each(table, "t", " = ", "d.", " AND ", err);
  return err->rc;
}

static void objects_pieces_clear(TrackPieces *p) {
  sqlite3_free(p->neu);
  sqlite3_free(p->alt);
  sqlite3_free(p->stored);
  sqlite3_free(p->k);
  sqlite3_free(p->id);
  sqlite3_free(p->neu_is);
  sqlite3_free(p->alt_is);
  sqlite3_free(p->alt_k);
  sqlite3_free(p->alt_row);
  sqlite3_free(p->row_is);
}

/* ---- the texts ----------------------------------------------------------- */

static char *objects_change(const TrackPieces *p, const char *verb,
                            const char *suffix, const char *columns,
                            const char *values, HfError *err) {
  return hf_format(err,
                   "\"%w_track_%s\" AFTER %s ON \"%w\"\n"
                   "BEGIN\n"
                   "  INSERT INTO \"%w\"(table_name, op, %s)\n"
                   "  VALUES (%Q, '%s', %s);\n",
                   p->label, suffix, verb, p->table->name, p->ledger, columns,
                   p->label, suffix, values);
}

/* A row that was changed is displaced by nothing that came before. */
static char *objects_with_forget(const TrackPieces *p, char *change, int forget,
                                 HfError *err) {
  char *sql =
      change == NULL ? NULL
      : forget
          ? hf_format(err, "%s  DELETE FROM \"%w_displaced\" WHERE %s;\nEND",
                      change, p->label, p->alt_k)
          : hf_format(err, "%sEND", change);
  sqlite3_free(change);
  return sql;
}

static char *objects_insert(const TrackPieces *p, HfError *err) {
  char *values = hf_format(err, "attest_canonical(%s)", p->neu);
  char *change = objects_change(p, "INSERT", "insert", "content", values, err);
  sqlite3_free(values);
  return objects_with_forget(p, change, 0, err);
}

static char *objects_update(const TrackPieces *p, HfError *err) {
  char *values =
      hf_format(err, "attest_canonical(%s),\n          attest_canonical(%s)",
                p->alt, p->neu);
  char *change =
      objects_change(p, "UPDATE", "update", "old, content", values, err);
  sqlite3_free(values);
  return objects_with_forget(p, change, 1, err);
}

static char *objects_delete(const TrackPieces *p, HfError *err) {
  char *values = hf_format(err, "attest_canonical(%s)", p->alt);
  char *change = objects_change(p, "DELETE", "delete", "old", values, err);
  sqlite3_free(values);
  return objects_with_forget(p, change, 1, err);
}

static char *objects_before(const TrackPieces *p, int update, HfError *err) {
  char *where =
      update ? hf_format(err, "(%s) AND NOT (%s)", p->table->clash, p->alt_row)
             : hf_format(err, "%s", p->table->clash);
  char *sql = NULL;
  if (where != NULL) {
    sql = hf_format(err,
                    "\"%w_track_before_%s\" BEFORE %s ON \"%w\"\n"
                    "WHEN EXISTS (SELECT 1 FROM \"%w\" AS t WHERE %s)\n"
                    "BEGIN\n"
                    "  DELETE FROM \"%w_displaced\";\n"
                    "  INSERT INTO \"%w_displaced\"(%s, content)\n"
                    "  SELECT %s, attest_canonical(%s)\n"
                    "    FROM \"%w\" AS t WHERE %s;\n"
                    "END",
                    p->label, update ? "update" : "insert",
                    update ? "UPDATE" : "INSERT", p->table->name,
                    p->table->name, where, p->label, p->label, p->k, p->id,
                    p->stored, p->table->name, where);
  }
  sqlite3_free(where);
  return sql;
}

static char *objects_displaced(const TrackPieces *p, int update, HfError *err) {
  char *own =
      update ? hf_format(err, " AND NOT (%s)", p->alt_is) : hf_format(err, "");
  char *sql = NULL;
  if (own != NULL) {
    sql = hf_format(
        err,
        "\"%w_track_displaced_%s\" AFTER %s ON \"%w\"\n"
        "WHEN EXISTS (SELECT 1 FROM \"%w_displaced\")\n"
        "BEGIN\n"
        "  INSERT INTO \"%w\"(table_name, op, old)\n"
        "  SELECT %Q, 'delete', d.content FROM \"%w_displaced\" AS d\n"
        "   WHERE ((%s)\n"
        "          OR NOT EXISTS (SELECT 1 FROM \"%w\" AS t WHERE %s))%s;\n"
        "  DELETE FROM \"%w_displaced\";\n"
        "END",
        p->label, update ? "update" : "insert", update ? "UPDATE" : "INSERT",
        p->table->name, p->label, p->ledger, p->label, p->label, p->neu_is,
        p->table->name, p->row_is, own, p->label);
  }
  sqlite3_free(own);
  return sql;
}

/* ---- the list ------------------------------------------------------------ */

static const char *const objects_suffix[TRACK_OBJECTS] = {
    "displaced", "track_before_insert", "track_before_update", "track_insert",
    "track_update", "track_delete",
    /* The newest trigger fires first, so what went comes before what came. */
    "track_displaced_insert", "track_displaced_update"};

int track_objects_make(HfConn *conn, const TrackTable *table, int columns,
                       const char *label, const char *ledger,
                       TrackObject out[TRACK_OBJECTS], HfError *err) {
  TrackPieces p;
  int i;
  memset(out, 0, sizeof(*out) * TRACK_OBJECTS);
  memset(&p, 0, sizeof(p));
  p.table = table;
  p.label = label;
  p.ledger = ledger;
  if (objects_pieces(conn, &p, columns, err) == SQLITE_OK) {
    for (i = 0; i < TRACK_OBJECTS; i++) {
      out[i].trigger = i > 0;
      out[i].name = hf_format(err, "%s_%s", label, objects_suffix[i]);
    }
    out[0].sql = hf_format(err, "\"%w_displaced\"(%s, content)", label, p.k);
    out[1].sql = objects_before(&p, 0, err);
    out[2].sql = objects_before(&p, 1, err);
    out[3].sql = objects_insert(&p, err);
    out[4].sql = objects_update(&p, err);
    out[5].sql = objects_delete(&p, err);
    out[6].sql = objects_displaced(&p, 0, err);
    out[7].sql = objects_displaced(&p, 1, err);
  }
  objects_pieces_clear(&p);
  return err->rc;
}

void track_objects_clear(TrackObject objects[TRACK_OBJECTS]) {
  int i;
  for (i = 0; i < TRACK_OBJECTS; i++) {
    sqlite3_free(objects[i].name);
    sqlite3_free(objects[i].sql);
  }
  memset(objects, 0, sizeof(*objects) * TRACK_OBJECTS);
}

int track_objects_create(HfConn *conn, const TrackTable *table,
                         const TrackObject objects[TRACK_OBJECTS],
                         HfError *err) {
  int i;
  for (i = 0; i < TRACK_OBJECTS && err->rc == SQLITE_OK; i++) {
    hf_exec(conn->db, err, "CREATE %s \"%w\".%s",
            objects[i].trigger ? "TRIGGER" : "TABLE", table->schema,
            objects[i].sql);
    if (objects[i].trigger) {
      hf_guard_record(conn, table->schema, objects[i].name, table->name,
                      "track", err);
    }
  }
  return err->rc;
}

int track_objects_drop(HfConn *conn, const TrackTable *table, const char *label,
                       HfError *err) {
  int i;
  for (i = TRACK_OBJECTS - 1; i >= 0 && err->rc == SQLITE_OK; i--) {
    char *name = hf_format(err, "%s_%s", label, objects_suffix[i]);
    if (name == NULL) break;
    hf_exec(conn->db, err, "DROP %s IF EXISTS \"%w\".\"%w\"",
            i > 0 ? "TRIGGER" : "TABLE", table->schema, name);
    hf_guard_forget(conn, table->schema, NULL, name, err);
    sqlite3_free(name);
  }
  return err->rc;
}

int track_guards(HfConn *conn, const TrackTable *table, const TrackState *state,
                 TrackTell *tell, void *context, HfError *err) {
  TrackObject object[TRACK_OBJECTS];
  int i, columns =
             state->columns < table->columns ? state->columns : table->columns;
  if (track_objects_make(conn, table, columns, state->label, state->ledger,
                         object, err) == SQLITE_OK) {
    for (i = 0; i < TRACK_OBJECTS && err->rc == SQLITE_OK; i++) {
      const char *verb =
          object[i].trigger ? "CREATE TRIGGER " : "CREATE TABLE ";
      char *sql;
      hf_query_text(conn->db, err, &sql,
                    "SELECT sql FROM \"%w\".sqlite_schema WHERE name = %Q",
                    table->schema, object[i].name);
      if (err->rc == SQLITE_OK && sql == NULL) {
        tell(context, "guard_missing", object[i].name, "%s is missing", err);
      } else if (err->rc == SQLITE_OK &&
                 (strncmp(sql, verb, strlen(verb)) != 0 ||
                  strcmp(sql + strlen(verb), object[i].sql) != 0)) {
        tell(context, "guard_altered", object[i].name,
             "%s is not the one that ledger_track made", err);
      }
      sqlite3_free(sql);
    }
  }
  track_objects_clear(object);
  return err->rc;
}
