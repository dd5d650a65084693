/*
** Areas, their SQL, and the manifest of guards.
**
** An area is one file of sql/, embedded by the build.  Its statements are run
** one by one: where an object of that name exists, its text must be the one
** of the file, so that a table that merely has the name is never used.
*/
#include <assert.h>
#include <string.h>

#include "sqlite/hf.h"

/* Every area needs this one. */
#define INSTALL_BASE "holdfast"

/* ---- statements of an area ----------------------------------------------- */

/* An object that a CREATE … IF NOT EXISTS makes. */
typedef struct InstallObject {
  char kind[16];    /* "TABLE", "VIRTUAL TABLE", "INDEX", "VIEW", "TRIGGER" */
  const char *text; /* from its name on, as sqlite_schema keeps it */
  int text_size;
  char *name;
} InstallObject;

static const char *install_skip(const char *z) {
  for (;;) {
    if (*z == ' ' || (*z >= '\t' && *z <= '\r')) {
      z++;
    } else if (z[0] == '-' && z[1] == '-') {
      while (*z != 0 && *z != '\n') z++;
    } else {
      return z;
    }
  }
}

/* Move over a keyword; NULL when something else is there. */
static const char *install_word(const char *z, const char *word) {
  size_t n = strlen(word);
  z = install_skip(z);
  return sqlite3_strnicmp(z, word, (int)n) == 0 ? install_skip(z + n) : NULL;
}

/* Is the statement CREATE <kind> IF NOT EXISTS <name>?  The shipped files
** quote no names. */
static int install_object(const char *sql, const char *end,
                          InstallObject *object, HfError *err) {
  static const char *const kind[] = {"TABLE", "VIRTUAL TABLE", "INDEX", "VIEW",
                                     "TRIGGER"};
  const char *z = install_word(sql, "CREATE");
  size_t i, n = 0;
  memset(object, 0, sizeof(*object));
  for (i = 0; z != NULL && i < sizeof(kind) / sizeof(*kind); i++) {
    const char *name = install_word(z, kind[i]);
    if (name == NULL) continue;
    z = install_word(name, "IF NOT EXISTS");
    if (z == NULL) break;
    while ((z[n] >= 'a' && z[n] <= 'z') || z[n] == '_' ||
           (z[n] >= '0' && z[n] <= '9')) {
      n++;
    }
    memcpy(object->kind, kind[i], strlen(kind[i]) + 1);
    object->text = z;
    while (end > z && (end[-1] == ';' || end[-1] == '\n')) end--;
    object->text_size = (int)(end - z);
    object->name = sqlite3_mprintf("%.*s", (int)n, z);
    if (object->name == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
    return 1;
  }
  return 0;
}

/* The object in the file against the one in the database. */
static int install_compare(sqlite3 *db, const char *area, const char *schema,
                           const InstallObject *object, HfError *err) {
  char *found;
  char *wanted = sqlite3_mprintf("CREATE %s %.*s", object->kind,
                                 object->text_size, object->text);
  if (wanted == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  if (hf_query_text(db, err, &found,
                    "SELECT sql FROM \"%w\".sqlite_schema"
                    " WHERE name = %Q COLLATE NOCASE",
                    schema, object->name) == SQLITE_OK &&
      (found == NULL || strcmp(found, wanted) != 0)) {
    hf_fail(err, SQLITE_ERROR,
            "area %s: %s exists and is not what the area needs; rename it, "
            "or drop it if it is a leftover",
            area, object->name);
  }
  sqlite3_free(found);
  sqlite3_free(wanted);
  return err->rc;
}

/* Create an object unless it is there, and see that it is the right one. */
static int install_create(HfConn *conn, const char *area, const char *schema,
                          const InstallObject *object, HfError *err) {
  if (hf_exec(conn->db, err, "CREATE %s IF NOT EXISTS \"%w\".%.*s",
              object->kind, schema, object->text_size,
              object->text) != SQLITE_OK) {
    return err->rc;
  }
  return install_compare(conn->db, area, schema, object, err);
}

static int install_statement(HfConn *conn, const char *area, const char *schema,
                             const char *sql, const char *end, HfError *err) {
  InstallObject object;
  char *table = NULL;
  if (!install_object(sql, end, &object, err)) {
    return hf_exec(conn->db, err, "%.*s", (int)(end - sql), sql);
  }
  if (install_create(conn, area, schema, &object, err) == SQLITE_OK &&
      strcmp(object.kind, "TRIGGER") == 0 &&
      hf_query_text(conn->db, err, &table,
                    "SELECT tbl_name FROM \"%w\".sqlite_schema"
                    " WHERE name = %Q",
                    schema, object.name) == SQLITE_OK) {
    hf_guard_record(conn, schema, object.name, table, area, err);
  }
  sqlite3_free(table);
  sqlite3_free(object.name);
  return err->rc;
}

/* Length of the next complete statement of an area's text. */
static int install_next(const char *text, size_t size, size_t *out,
                        HfError *err) {
  size_t n;
  for (n = 1; n <= size; n++) {
    char *piece;
    int complete;
    if (text[n - 1] != ';') continue;
    piece = sqlite3_mprintf("%.*s", (int)n, text);
    if (piece == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
    complete = sqlite3_complete(piece);
    sqlite3_free(piece);
    if (!complete) continue;
    *out = n;
    return SQLITE_OK;
  }
  *out = 0; /* only comments are left */
  return SQLITE_OK;
}

static int install_run(HfConn *conn, const HfEmbeddedSql *file,
                       const char *schema, HfError *err) {
  size_t at = 0, size = 0;
  while (at < file->size &&
         install_next(file->text + at, file->size - at, &size, err) ==
             SQLITE_OK &&
         size > 0) {
    if (install_statement(conn, file->area, schema, file->text + at,
                          file->text + at + size, err) != SQLITE_OK) {
      break;
    }
    at += size;
  }
  return err->rc;
}

/* ---- areas --------------------------------------------------------------- */

/* Areas of functions and modules alone: there is nothing to install. */
static int install_is_bare(const char *area) {
  return sqlite3_stricmp(area, "attest") == 0 ||
         sqlite3_stricmp(area, "ledger") == 0;
}

static const HfEmbeddedSql *install_find(const char *area) {
  const HfEmbeddedSql *file;
  for (file = hf_embedded_sql; file->area != NULL; file++) {
    if (sqlite3_stricmp(file->area, area) == 0) return file;
  }
  return NULL;
}

static int install_sha256(HfConn *conn, const void *data, size_t size,
                          char *hex, HfError *err) {
  unsigned char hash[HF_SHA256_SIZE];
  hf_fail_core(err, hf_sha256(conn->sha, data, size, hash));
  hf_hex(hash, HF_SHA256_SIZE, hex);
  return err->rc;
}

/* A table as the base area's SQL defines it; object->name is the caller's. */
static int install_base_table(const char *name, InstallObject *object,
                              HfError *err) {
  const HfEmbeddedSql *file = install_find(INSTALL_BASE);
  size_t at = 0, size = 0;
  memset(object, 0, sizeof(*object));
  assert(file != NULL);
  while (install_next(file->text + at, file->size - at, &size, err) ==
             SQLITE_OK &&
         size > 0) {
    const char *sql = file->text + at;
    if (install_object(sql, sql + size, object, err)) {
      if (err->rc != SQLITE_OK || strcmp(object->name, name) == 0) break;
      sqlite3_free(object->name);
      object->name = NULL;
    }
    at += size;
  }
  return err->rc;
}

static int install_exists(HfConn *conn, const char *schema, const char *name,
                          HfError *err) {
  sqlite3_int64 exists = 0;
  hf_query_int(conn->db, err, 0, &exists,
               "SELECT 1 FROM \"%w\".sqlite_schema"
               " WHERE name = %Q COLLATE NOCASE",
               schema, name);
  return exists && err->rc == SQLITE_OK;
}

/* See that a table of the base area is the one that its SQL makes. */
static int install_check_base(HfConn *conn, const char *schema,
                              const char *name, HfError *err) {
  InstallObject object;
  if (install_base_table(name, &object, err) == SQLITE_OK) {
    install_compare(conn->db, INSTALL_BASE, schema, &object, err);
  }
  sqlite3_free(object.name);
  return err->rc;
}

/* Areas that another one requires, in the order of installing. */
static const struct {
  const char *area;
  const char *required;
} install_requires[] = {
    {"process", "lease"},
    {"process", "control"},
};

/* What holdfast_area records of an area; NULL when it is not there. */
static int install_recorded(HfConn *conn, const char *area, char **sha256,
                            HfError *err) {
  *sha256 = NULL;
  if (!install_exists(conn, "main", "holdfast_area", err) ||
      install_check_base(conn, "main", "holdfast_area", err) != SQLITE_OK) {
    return err->rc;
  }
  return hf_query_text(conn->db, err, sha256,
                       "SELECT sha256 FROM main.holdfast_area WHERE area = %Q",
                       area);
}

/* Install one area, which requires no other that is missing; adds to *count. */
static int install_one(HfConn *conn, const char *area, int *count,
                       HfError *err) {
  const HfEmbeddedSql *file = install_find(area);
  char hex[2 * HF_SHA256_SIZE + 1];
  sqlite3_int64 now;
  char *recorded;
  if (file == NULL && install_is_bare(area)) return SQLITE_OK;
  if (file == NULL) {
    return hf_fail(err, SQLITE_ERROR, "holdfast_install: there is no area '%s'",
                   area);
  }
  if (err->rc != SQLITE_OK ||
      install_sha256(conn, file->text, file->size, hex, err) != SQLITE_OK ||
      install_recorded(conn, file->area, &recorded, err) != SQLITE_OK) {
    return err->rc;
  }
  if (recorded != NULL) {
    if (strcmp(recorded, hex) != 0) {
      hf_fail(err, SQLITE_ERROR,
              "area %s was installed by another version of Holdfast, and its "
              "SQL has changed since; this version cannot upgrade it",
              file->area);
    }
    sqlite3_free(recorded);
    return err->rc;
  }
  if (install_run(conn, file, "main", err) == SQLITE_OK &&
      hf_clock_now(hf_clock_vfs(conn->db, "main"), &now, err) == SQLITE_OK &&
      hf_exec(conn->db, err,
              "INSERT INTO main.holdfast_area(area, version, sha256,"
              " installed_at) VALUES (%Q, '" HOLDFAST_VERSION "', %Q, %lld)",
              file->area, hex, now) == SQLITE_OK) {
    (*count)++;
  }
  return err->rc;
}

/* Install an area behind those that it requires. */
static int install_area(HfConn *conn, const char *area, int *count,
                        HfError *err) {
  size_t i;
  for (i = 0; i < sizeof(install_requires) / sizeof(*install_requires); i++) {
    if (sqlite3_stricmp(area, install_requires[i].area) == 0) {
      install_one(conn, install_requires[i].required, count, err);
    }
  }
  return install_one(conn, area, count, err);
}

/*
** holdfast_install(area, ...)
**
** Names of areas as TEXT; none means all.  Installs them in main, with what
** they require, in one transaction.  Returns how many were not there before
** (INTEGER); an area without tables of its own counts for none.  Errors: an
** unknown area; an area installed by another version with other SQL; a table
** of the same name that is another one; called inside a statement that writes.
*/
static void install_function(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  const HfEmbeddedSql *file;
  HfTxn txn;
  int i, count = 0;
  hf_txn_begin(conn->db, "main", "holdfast_install", &txn, &err);
  if (err.rc == SQLITE_OK) install_area(conn, INSTALL_BASE, &count, &err);
  for (i = 0; i < argc && err.rc == SQLITE_OK; i++) {
    const char *area = (const char *)sqlite3_value_text(argv[i]);
    if (area == NULL) {
      hf_fail(&err, SQLITE_ERROR, "holdfast_install: an area is a TEXT");
    } else {
      install_area(conn, area, &count, &err);
    }
  }
  for (file = hf_embedded_sql; argc == 0 && file->area != NULL; file++) {
    if (err.rc == SQLITE_OK) install_area(conn, file->area, &count, &err);
  }
  if (hf_txn_end(conn->db, txn, &err) != SQLITE_OK) {
    hf_error_to_result(&err, context);
    return;
  }
  sqlite3_result_int(context, count);
}

int hf_install_into(HfConn *conn, const char *schema, const char *area,
                    HfError *err) {
  const HfEmbeddedSql *file = install_find(area);
  assert(file != NULL);
  return err->rc == SQLITE_OK ? install_run(conn, file, schema, err) : err->rc;
}

/* ---- manifest ------------------------------------------------------------ */

/* Make the manifest in a schema where nothing was installed. */
static int install_ensure_manifest(HfConn *conn, const char *schema,
                                   HfError *err) {
  InstallObject object;
  if (install_base_table("holdfast_guard", &object, err) == SQLITE_OK) {
    install_create(conn, INSTALL_BASE, schema, &object, err);
  }
  sqlite3_free(object.name);
  return err->rc;
}

int hf_guard_record(HfConn *conn, const char *schema, const char *name,
                    const char *table, const char *area, HfError *err) {
  char hex[2 * HF_SHA256_SIZE + 1];
  char *sql;
  if (err->rc != SQLITE_OK ||
      install_ensure_manifest(conn, schema, err) != SQLITE_OK ||
      hf_query_text(conn->db, err, &sql,
                    "SELECT sql FROM \"%w\".sqlite_schema"
                    " WHERE type = 'trigger' AND name = %Q",
                    schema, name) != SQLITE_OK) {
    return err->rc;
  }
  assert(sql != NULL);
  if (install_sha256(conn, sql, strlen(sql), hex, err) == SQLITE_OK) {
    hf_exec(conn->db, err,
            "INSERT INTO \"%w\".holdfast_guard(name, table_name, area, sha256)"
            " VALUES (%Q, %Q, %Q, %Q) ON CONFLICT(name) DO UPDATE SET"
            " table_name = excluded.table_name, area = excluded.area,"
            " sha256 = excluded.sha256",
            schema, name, table, area, hex);
  }
  sqlite3_free(sql);
  return err->rc;
}

int hf_guard_forget(HfConn *conn, const char *schema, const char *table,
                    const char *name, HfError *err) {
  if (err->rc != SQLITE_OK ||
      !install_exists(conn, schema, "holdfast_guard", err)) {
    return err->rc;
  }
  return hf_exec(conn->db, err,
                 "DELETE FROM \"%w\".holdfast_guard WHERE %s = %Q", schema,
                 name ? "name" : "table_name", name ? name : table);
}

int hf_guard_create(HfConn *conn, const char *schema, const char *name,
                    const char *table, const char *area, const char *sql,
                    HfError *err) {
  hf_exec(conn->db, err, "CREATE TRIGGER \"%w\".%s", schema, sql);
  return hf_guard_record(conn, schema, name, table, area, err);
}

/* The text of a trigger, for sqlite3_free; NULL when it is not there. */
static char *install_trigger(HfConn *conn, const char *schema, const char *name,
                             HfError *err) {
  char *sql;
  hf_query_text(conn->db, err, &sql,
                "SELECT sql FROM \"%w\".sqlite_schema"
                " WHERE type = 'trigger' AND name = %Q COLLATE NOCASE",
                schema, name);
  return sql;
}

int hf_guard_drop(HfConn *conn, const char *schema, const char *name,
                  sqlite3_int64 *count, HfError *err) {
  char *sql = install_trigger(conn, schema, name, err);
  if (sql != NULL && count != NULL) ++*count;
  sqlite3_free(sql);
  hf_exec(conn->db, err, "DROP TRIGGER IF EXISTS \"%w\".\"%w\"", schema, name);
  return hf_guard_forget(conn, schema, NULL, name, err);
}

int hf_guard_compare(HfConn *conn, const char *schema, const char *name,
                     const char *wanted, HfError *err) {
  static const char verb[] = "CREATE TRIGGER ";
  char *sql = install_trigger(conn, schema, name, err);
  int state;
  if (sql == NULL) {
    state = wanted == NULL;
  } else {
    state = wanted != NULL && strncmp(sql, verb, sizeof(verb) - 1) == 0 &&
                    strcmp(sql + sizeof(verb) - 1, wanted) == 0
                ? 1
                : -1;
  }
  sqlite3_free(sql);
  return state;
}

/* ---- the doctor's part --------------------------------------------------- */

/* A table of another shape cannot be trusted, nor perhaps read.  *sound: it is
** the one that was made. */
static int install_check_table(HfConn *conn, const char *schema,
                               const char *name, HfFindings *list, int *sound,
                               HfError *err) {
  *sound = install_check_base(conn, schema, name, err) == SQLITE_OK;
  if (err->rc != SQLITE_ERROR) return err->rc;
  hf_error_clear(err);
  if (hf_findings_add(list, "config_altered", name,
                      "the table %s in %s is not defined as it was made", name,
                      schema) != SQLITE_OK) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return err->rc;
}

static int install_check_guards(HfConn *conn, const char *schema,
                                HfFindings *list, HfError *err) {
  sqlite3_stmt *stmt;
  int rc;
  if (hf_prepare(conn->db, &stmt, err,
                 "SELECT coalesce(g.name, ''), coalesce(g.table_name, ''),"
                 " g.sha256, s.sql"
                 "  FROM \"%w\".holdfast_guard AS g"
                 "  LEFT JOIN \"%w\".sqlite_schema AS s"
                 "    ON s.type = 'trigger' AND s.name = g.name"
                 " ORDER BY g.name",
                 schema, schema) != SQLITE_OK) {
    return err->rc;
  }
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && err->rc == SQLITE_OK) {
    const char *name = (const char *)sqlite3_column_text(stmt, 0);
    const char *table = (const char *)sqlite3_column_text(stmt, 1);
    const char *sha256 = (const char *)sqlite3_column_text(stmt, 2);
    const char *sql = (const char *)sqlite3_column_text(stmt, 3);
    char hex[2 * HF_SHA256_SIZE + 1];
    if (name == NULL || table == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
      break;
    }
    if (sql == NULL) {
      rc = hf_findings_add(list, "guard_missing", name,
                           "the trigger %s on %s.%s is gone; write it anew",
                           name, schema, table);
    } else if (install_sha256(conn, sql, strlen(sql), hex, err) == SQLITE_OK &&
               (sha256 == NULL || strcmp(hex, sha256) != 0)) {
      rc = hf_findings_add(list, "guard_altered", name,
                           "the trigger %s on %s.%s is not the one that was "
                           "recorded",
                           name, schema, table);
    }
    if (rc == SQLITE_NOMEM) hf_fail(err, rc, NULL);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  return err->rc;
}

/* Areas whose SQL is not this library's. */
static int install_check_areas(HfConn *conn, HfFindings *list, HfError *err) {
  const HfEmbeddedSql *file;
  int sound;
  if (!install_exists(conn, "main", "holdfast_area", err) ||
      install_check_table(conn, "main", "holdfast_area", list, &sound, err) !=
          SQLITE_OK ||
      !sound) {
    return err->rc;
  }
  for (file = hf_embedded_sql; file->area != NULL; file++) {
    char hex[2 * HF_SHA256_SIZE + 1];
    char *recorded;
    install_recorded(conn, file->area, &recorded, err);
    if (recorded != NULL &&
        install_sha256(conn, file->text, file->size, hex, err) == SQLITE_OK &&
        strcmp(recorded, hex) != 0 &&
        hf_findings_add(list, "area_differs", file->area,
                        "installed by another version of Holdfast") !=
            SQLITE_OK) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    }
    sqlite3_free(recorded);
    if (err->rc != SQLITE_OK) break;
  }
  return err->rc;
}

static int install_check_schema(HfConn *conn, const char *schema,
                                HfFindings *list, HfError *err) {
  int sound;
  if (install_exists(conn, schema, "holdfast_guard", err) &&
      install_check_table(conn, schema, "holdfast_guard", list, &sound, err) ==
          SQLITE_OK &&
      sound) {
    install_check_guards(conn, schema, list, err);
  }
  return err->rc;
}

int hf_install_doctor(HfConn *conn, HfFindings *list, HfError *err) {
  install_check_areas(conn, list, err);
  return hf_check_schemas(conn, install_check_schema, list, err);
}

int hf_install_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"holdfast_install", -1, HF_CHANGES, install_function},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
