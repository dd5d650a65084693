/*
** The triggers that record the changes of an ordinary table, as SQL text.
**
**   insert, update, delete   AFTER: the images of the row, into the ledger
**   before_insert,           the rows with which the new one clashes: OR
**   before_update            REPLACE will delete them, and fires DELETE
**                            triggers only with recursive_triggers
**
** A BEFORE trigger cannot see what will become of a clash.  The ledger's module
** can: SQLite hands the statement's conflict clause down to what its triggers
** write.  So these rows go there with a time of TRACK_DISPLACED, and the module
** records them as deleted, or nothing (track_displaced).
*/
#include <string.h>

#include "ledger/track.h"

int track_displaced(HfLedger *ledger, sqlite3_value **column, int *record,
                    HfError *err) {
  sqlite3_int64 recursive = 0;
  *record = 1;
  if (sqlite3_value_type(column[LEDGER_COL_AT]) != SQLITE_INTEGER ||
      sqlite3_value_int64(column[LEDGER_COL_AT]) != TRACK_DISPLACED ||
      strcmp(ledger->def.schema_text, TRACK_SCHEMA) != 0) {
    return SQLITE_OK;
  }
  column[LEDGER_COL_AT] = column[ledger_col_prev(ledger)]; /* a NULL */
  *record = sqlite3_vtab_on_conflict(ledger->db) == SQLITE_REPLACE;
  if (*record) {
    hf_query_int(ledger->db, err, 0, &recursive, "PRAGMA recursive_triggers");
    if (recursive) *record = 0;
  }
  return err->rc;
}

/* ---- the texts ----------------------------------------------------------- */

/* What the texts are made of. */
typedef struct TrackPieces {
  const HfTable *table;
  const char *label;
  const char *ledger;
  char *neu;    /* NEW."a", NEW."b" */
  char *alt;    /* OLD."a", OLD."b" */
  char *stored; /* t."a", t."b" */
  char *own;    /* t."k" IS OLD."k" AND ... */
} TrackPieces;

static int objects_pieces(HfConn *conn, TrackPieces *p, int columns,
                          HfError *err) {
  const HfTable *table = p->table;
  sqlite3_str *own = sqlite3_str_new(NULL);
  int i;
  for (i = 0; i < table->ids; i++) {
    sqlite3_str_appendf(own, "%st.%s IS OLD.%s", i ? " AND " : "", table->id[i],
                        table->id[i]);
  }
  p->own = hf_str_finish(own, err);
  p->neu = hf_table_list(conn, table, columns, "NEW.", err);
  p->alt = hf_table_list(conn, table, columns, "OLD.", err);
  p->stored = hf_table_list(conn, table, columns, "t.", err);
  return err->rc;
}

static char *objects_change(const TrackPieces *p, const char *verb,
                            const char *suffix, int old, int content,
                            HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql,
                      "\"%w_track_%s\" AFTER %s ON \"%w\"\n"
                      "BEGIN\n"
                      "  INSERT INTO \"%w\"(table_name, op%s%s)\n"
                      "  VALUES (%Q, '%s'",
                      p->label, suffix, verb, p->table->name, p->ledger,
                      old ? ", old" : "", content ? ", content" : "", p->label,
                      suffix);
  if (old) sqlite3_str_appendf(sql, ",\n    attest_canonical(%s)", p->alt);
  if (content) sqlite3_str_appendf(sql, ",\n    attest_canonical(%s)", p->neu);
  sqlite3_str_appendall(sql, ");\nEND");
  return hf_str_finish(sql, err);
}

/* The row t clashes with NEW in the i-th unique index.  An INSERT that leaves
** the key to SQLite sees -1 in its place, which is nobody's. */
static void objects_clash(const TrackPieces *p, int i, int update,
                          sqlite3_str *sql) {
  const HfTable *table = p->table;
  sqlite3_str_appendall(sql, table->clash[i]);
  if (i == 0 && table->rowid && !update) {
    sqlite3_str_appendf(sql, " AND NEW.%s <> -1", table->id[0]);
  }
}

/* And in none before it, so that each is told once. */
static void objects_clash_first(const TrackPieces *p, int i, int update,
                                sqlite3_str *sql) {
  int j;
  objects_clash(p, i, update, sql);
  for (j = 0; j < i; j++) {
    sqlite3_str_appendall(sql, " AND (");
    objects_clash(p, j, update, sql);
    sqlite3_str_appendall(sql, ") IS NOT 1");
  }
  if (update) sqlite3_str_appendf(sql, " AND NOT (%s)", p->own);
}

static char *objects_before(const TrackPieces *p, int update, HfError *err) {
  const HfTable *table = p->table;
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i;
  sqlite3_str_appendf(sql, "\"%w_track_before_%s\" BEFORE %s ON \"%w\"",
                      p->label, update ? "update" : "insert",
                      update ? "UPDATE" : "INSERT", table->name);
  for (i = 0; i < table->clashes; i++) {
    sqlite3_str_appendf(sql, "\n%s EXISTS (SELECT 1 FROM \"%w\" AS t WHERE ",
                        i ? "  OR" : "WHEN", table->name);
    objects_clash_first(p, i, update, sql);
    sqlite3_str_appendall(sql, ")");
  }
  sqlite3_str_appendf(
      sql, "\nBEGIN\n  INSERT INTO \"%w\"(at, table_name, op, old)", p->ledger);
  for (i = 0; i < table->clashes; i++) {
    sqlite3_str_appendf(sql,
                        "%s\n  SELECT %d, %Q, 'delete', attest_canonical(%s)\n"
                        "    FROM \"%w\" AS t WHERE ",
                        i ? "\n  UNION ALL" : "", TRACK_DISPLACED, p->label,
                        p->stored, table->name);
    objects_clash_first(p, i, update, sql);
  }
  sqlite3_str_appendall(sql, ";\nEND");
  return hf_str_finish(sql, err);
}

/* ---- the list ------------------------------------------------------------ */

static const char *const objects_suffix[TRACK_OBJECTS] = {
    "before_insert", "before_update", "insert", "update", "delete"};

int track_objects_make(HfConn *conn, const HfTable *table, int columns,
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
      out[i].name = hf_format(err, "%s_track_%s", label, objects_suffix[i]);
    }
    out[0].sql = objects_before(&p, 0, err);
    out[1].sql = objects_before(&p, 1, err);
    out[2].sql = objects_change(&p, "INSERT", "insert", 0, 1, err);
    out[3].sql = objects_change(&p, "UPDATE", "update", 1, 1, err);
    out[4].sql = objects_change(&p, "DELETE", "delete", 1, 0, err);
  }
  sqlite3_free(p.neu);
  sqlite3_free(p.alt);
  sqlite3_free(p.stored);
  sqlite3_free(p.own);
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

int track_objects_create(HfConn *conn, const HfTable *table,
                         const TrackObject objects[TRACK_OBJECTS],
                         HfError *err) {
  int i;
  for (i = 0; i < TRACK_OBJECTS && err->rc == SQLITE_OK; i++) {
    hf_guard_create(conn, table->schema, objects[i].name, table->name, "track",
                    objects[i].sql, err);
  }
  return err->rc;
}

int track_objects_drop(HfConn *conn, const char *schema, const char *label,
                       HfError *err) {
  int i;
  for (i = 0; i < TRACK_OBJECTS && err->rc == SQLITE_OK; i++) {
    char *name = hf_format(err, "%s_track_%s", label, objects_suffix[i]);
    hf_guard_drop(conn, schema, name, NULL, err);
    sqlite3_free(name);
  }
  return err->rc;
}

int track_guards(HfConn *conn, const HfTable *table, const TrackState *state,
                 TrackTell *tell, void *context, HfError *err) {
  TrackObject object[TRACK_OBJECTS];
  int i, columns =
             state->columns < table->columns ? state->columns : table->columns;
  if (track_objects_make(conn, table, columns, state->label, state->ledger,
                         object, err) == SQLITE_OK) {
    for (i = 0; i < TRACK_OBJECTS && err->rc == SQLITE_OK; i++) {
      char *words = NULL;
      int is = hf_guard_compare(conn, table->schema, object[i].name,
                                object[i].sql, err);
      if (err->rc == SQLITE_OK && is == 0) {
        words = hf_format(err, "%s is missing; ledger_track(%Q, %Q) makes it",
                          object[i].name, table->name, state->ledger);
        tell(context, "guard_missing", object[i].name, words, err);
      } else if (err->rc == SQLITE_OK && is < 0) {
        words = hf_format(err,
                          "%s is not the one for the table, its columns and "
                          "its unique indexes; ledger_track(%Q, %Q) makes it "
                          "anew",
                          object[i].name, table->name, state->ledger);
        tell(context, "guard_altered", object[i].name, words, err);
      }
      sqlite3_free(words);
    }
  }
  track_objects_clear(object);
  return err->rc;
}
