/*
** holdfast_check, the doctor: a table with one row a finding; no row, all
** well.
**
**   SELECT * FROM holdfast_check;     finding, object, detail
**
** It looks at how the file and the connection are set, at the guards in the
** manifest, and lets each area look at its own.  It reads only, and is quick:
** ledger_verify() is what reads whole ledgers.  killswitch_drill, which tries
** the guards, is a table of the same kind.
*/
#include <stdarg.h>
#include <string.h>

#include "sqlite/hf.h"

/* ---- findings ------------------------------------------------------------ */

int hf_findings_add(HfFindings *list, const char *finding, const char *object,
                    const char *format, ...) {
  HfFinding *row;
  char *detail;
  va_list args;
  int i;
  /* A guard may be missed by the manifest and by its own area. */
  for (i = 0; i < list->count; i++) {
    row = &list->row[i];
    if (row->database == list->database && strcmp(row->finding, finding) == 0 &&
        strcmp(row->object, object) == 0) {
      return SQLITE_OK;
    }
  }
  if (list->count == list->room) {
    int room = list->room ? 2 * list->room : 8;
    row = sqlite3_realloc64(list->row, sizeof(*row) * (sqlite3_uint64)room);
    if (row == NULL) return SQLITE_NOMEM;
    list->row = row;
    list->room = room;
  }
  row = &list->row[list->count];
  row->finding = finding;
  row->object = sqlite3_mprintf("%s", object);
  va_start(args, format);
  row->detail = detail = sqlite3_vmprintf(format, args);
  va_end(args);
  row->database = list->database;
  if (detail != NULL && list->schema != NULL) {
    row->detail = sqlite3_mprintf("%s (in %s)", detail, list->schema);
    sqlite3_free(detail);
  }
  if (row->object == NULL || row->detail == NULL) {
    sqlite3_free(row->object);
    sqlite3_free(row->detail);
    return SQLITE_NOMEM;
  }
  list->count++;
  return SQLITE_OK;
}

void hf_findings_clear(HfFindings *list) {
  int i;
  for (i = 0; i < list->count; i++) {
    sqlite3_free(list->row[i].object);
    sqlite3_free(list->row[i].detail);
  }
  sqlite3_free(list->row);
  memset(list, 0, sizeof(*list));
}

/* ---- the connection and the file ----------------------------------------- */

/* Triggers and the schema's protection as the connection has them. */
static int check_connection(HfConn *conn, HfFindings *list) {
  int rc = SQLITE_OK, triggers = 1, writable = 0;
  sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, -1, &triggers);
  sqlite3_db_config(conn->db, SQLITE_DBCONFIG_WRITABLE_SCHEMA, -1, &writable);
  if (!triggers) {
    rc = hf_findings_add(list, "triggers_disabled", "connection",
                         "this connection fires no triggers, so no guard "
                         "holds; enable them (SQLITE_DBCONFIG_ENABLE_TRIGGER)");
  }
  if (rc == SQLITE_OK && writable) {
    rc = hf_findings_add(list, "writable_schema", "connection",
                         "this connection may edit sqlite_schema; PRAGMA "
                         "writable_schema=OFF");
  }
  return rc;
}

static int check_journal(HfConn *conn, HfFindings *list, HfError *err) {
  sqlite3_int64 synchronous;
  char *mode;
  int rc = SQLITE_OK;
  if (hf_query_text(conn->db, err, &mode, "PRAGMA main.journal_mode") !=
          SQLITE_OK ||
      hf_query_int(conn->db, err, 2, &synchronous, "PRAGMA main.synchronous") !=
          SQLITE_OK) {
    sqlite3_free(mode);
    return err->rc;
  }
  if (mode == NULL || sqlite3_db_filename(conn->db, "main") == NULL ||
      sqlite3_db_filename(conn->db, "main")[0] == 0) {
    /* A database in memory has nothing to lose. */
  } else if (strcmp(mode, "off") == 0 || strcmp(mode, "memory") == 0) {
    rc = hf_findings_add(list, "journal_mode", "main",
                         "journal_mode=%s: a crash can corrupt the file; "
                         "PRAGMA journal_mode=WAL",
                         mode);
  } else if (strcmp(mode, "wal") != 0) {
    rc = hf_findings_add(list, "journal_mode", "main",
                         "journal_mode=%s: readers and writers wait for each "
                         "other; PRAGMA journal_mode=WAL",
                         mode);
  }
  if (rc == SQLITE_OK && mode != NULL && strcmp(mode, "memory") != 0 &&
      synchronous == 0) {
    rc = hf_findings_add(list, "synchronous", "main",
                         "synchronous=OFF: a power failure can lose or corrupt "
                         "what was committed; PRAGMA synchronous=NORMAL");
  }
  sqlite3_free(mode);
  return rc == SQLITE_OK ? SQLITE_OK : hf_fail(err, rc, NULL);
}

/* ---- every database, every virtual table --------------------------------- */

int hf_check_schemas(HfConn *conn, HfCheckSchema *check, HfFindings *list,
                     HfError *err) {
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  if (hf_prepare(conn->db, &stmt, err,
                 "SELECT name, seq FROM pragma_database_list") != SQLITE_OK) {
    return err->rc;
  }
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *schema = (const char *)sqlite3_column_text(stmt, 0);
    if (schema == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    } else {
      list->database = sqlite3_column_int(stmt, 1);
      list->schema = list->database != 0 ? schema : NULL;
      check(conn, schema, list, err);
    }
  }
  list->database = 0;
  list->schema = NULL;
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  return err->rc;
}

int hf_check_virtual(HfConn *conn, const char *schema, const char *module,
                     HfCheckVirtual *check, HfFindings *list, HfError *err) {
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  if (hf_prepare(conn->db, &stmt, err,
                 "SELECT name, sql FROM \"%w\".sqlite_schema"
                 " WHERE type = 'table' AND rootpage = 0 AND sql NOTNULL"
                 " ORDER BY name",
                 schema) != SQLITE_OK) {
    return err->rc;
  }
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(stmt, 0);
    const char *sql = (const char *)sqlite3_column_text(stmt, 1);
    if (name == NULL || sql == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    } else if (hf_sql_uses(sql, module)) {
      check(conn, schema, name, list, err);
    }
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  return err->rc;
}

static int check_all(HfConn *conn, HfFindings *list, HfError *err) {
  static const HfDoctor doctor[] = {
      hf_install_doctor, hf_ledger_doctor,  hf_lease_doctor,
      hf_control_doctor, hf_process_doctor, hf_retention_doctor,
  };
  size_t i;
  if (check_connection(conn, list) != SQLITE_OK) {
    return hf_fail(err, SQLITE_NOMEM, NULL);
  }
  check_journal(conn, list, err);
  for (i = 0; i < sizeof(doctor) / sizeof(*doctor); i++) {
    if (err->rc == SQLITE_OK) doctor[i](conn, list, err);
  }
  return err->rc;
}

/* ---- the tables ---------------------------------------------------------- */

#define CHECK_DRILL "killswitch_drill"

typedef struct CheckTable {
  HfEponymous base; /* must be first */
  HfDoctor doctor;
} CheckTable;

typedef struct CheckCursor {
  sqlite3_vtab_cursor base; /* must be first */
  HfFindings list;
  int at;
} CheckCursor;

/* A view of a file must not throw the switches. */
static int check_connect(sqlite3 *db, void *aux, int argc,
                         const char *const *argv, sqlite3_vtab **out,
                         char **message) {
  int drill = strcmp(argv[0], CHECK_DRILL) == 0;
  int rc = hf_eponymous_connect(
      db, aux, sizeof(CheckTable),
      "CREATE TABLE x(finding TEXT, object TEXT, detail TEXT)", drill, out);
  (void)argc;
  (void)message;
  if (rc == SQLITE_OK) {
    ((CheckTable *)*out)->doctor = drill ? hf_control_drill : check_all;
  }
  return rc;
}

static int check_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  (void)vtab;
  info->estimatedCost = 1000;
  info->estimatedRows = 10;
  return SQLITE_OK;
}

static int check_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  (void)vtab;
  return hf_cursor_open(sizeof(CheckCursor), out);
}

static int check_close(sqlite3_vtab_cursor *base) {
  hf_findings_clear(&((CheckCursor *)base)->list);
  sqlite3_free(base);
  return SQLITE_OK;
}

static int check_filter(sqlite3_vtab_cursor *base, int idx_num,
                        const char *idx_str, int argc, sqlite3_value **argv) {
  CheckCursor *cursor = (CheckCursor *)base;
  const CheckTable *table = (const CheckTable *)base->pVtab;
  HfError err = {SQLITE_OK, NULL};
  (void)idx_num;
  (void)idx_str;
  (void)argc;
  (void)argv;
  hf_findings_clear(&cursor->list);
  cursor->at = 0;
  table->doctor(table->base.conn, &cursor->list, &err);
  return hf_error_to_vtab(&err, base->pVtab);
}

static int check_next(sqlite3_vtab_cursor *base) {
  ((CheckCursor *)base)->at++;
  return SQLITE_OK;
}

static int check_eof(sqlite3_vtab_cursor *base) {
  CheckCursor *cursor = (CheckCursor *)base;
  return cursor->at >= cursor->list.count;
}

static int check_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                        int column) {
  CheckCursor *cursor = (CheckCursor *)base;
  const HfFinding *row = &cursor->list.row[cursor->at];
  const char *text = column == 0   ? row->finding
                     : column == 1 ? row->object
                                   : row->detail;
  sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
  return SQLITE_OK;
}

static int check_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = ((CheckCursor *)base)->at + 1;
  return SQLITE_OK;
}

int hf_check_register(HfConn *conn) {
  static const sqlite3_module module = {
      .iVersion = 0,
      .xConnect = check_connect,
      .xBestIndex = check_best_index,
      .xDisconnect = hf_eponymous_disconnect,
      .xOpen = check_open,
      .xClose = check_close,
      .xFilter = check_filter,
      .xNext = check_next,
      .xEof = check_eof,
      .xColumn = check_column,
      .xRowid = check_rowid,
  };
  int rc = hf_register_module(conn, "holdfast_check", &module);
  return rc == SQLITE_OK ? hf_register_module(conn, CHECK_DRILL, &module) : rc;
}
