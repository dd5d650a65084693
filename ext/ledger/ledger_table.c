/*
** The virtual table of the ledger module.
*/
#include <assert.h>
#include <string.h>

#include "ledger/track.h"

/* ---- life of a connected ledger ------------------------------------------ */

static void table_free(HfLedger *ledger) {
  HfLedger **link;
  if (ledger->conn != NULL) {
    for (link = &ledger->conn->ledgers; *link != NULL; link = &(*link)->next) {
      if (*link == ledger) {
        *link = ledger->next;
        break;
      }
    }
    hf_conn_unref(ledger->conn);
  }
  hf_stmts_clear(&ledger->stmts);
  ledger_def_clear(&ledger->def);
  sqlite3_free(ledger->schema);
  sqlite3_free(ledger->name);
  sqlite3_free(ledger->sql_head);
  sqlite3_free(ledger->sql_entry);
  sqlite3_free(ledger->sql_insert);
  sqlite3_free(ledger->sql_defaults);
  sqlite3_free(ledger->sql_row);
  sqlite3_free(ledger->sql_scan);
  sqlite3_free(ledger);
}

/* The object from the arguments alone: connecting runs no SQL, so that a
** damaged ledger can still be looked at, and dropped. */
static int table_make(HfConn *conn, int argc, const char *const *argv,
                      HfLedger **out, HfError *err) {
  HfLedger *ledger = sqlite3_malloc64(sizeof(*ledger));
  *out = NULL;
  if (ledger == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  memset(ledger, 0, sizeof(*ledger));
  ledger->db = conn->db;
  ledger->conn = hf_conn_ref(conn);
  ledger->id = -1;
  ledger->now = INT64_MIN;
  ledger->schema = sqlite3_mprintf("%s", argv[1]);
  ledger->name = sqlite3_mprintf("%s", argv[2]);
  if (ledger->schema == NULL || ledger->name == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  } else if (ledger_def_parse(&ledger->def, argv[2], argc - 3, argv + 3, err) ==
             SQLITE_OK) {
    ledger_store_prepare(ledger, err);
  }
  if (err->rc != SQLITE_OK) {
    table_free(ledger);
    return err->rc;
  }
  ledger->vfs = hf_clock_vfs(ledger->db, ledger->schema);
  *out = ledger;
  return SQLITE_OK;
}

static int table_declare(HfLedger *ledger, HfError *err) {
  char *sql = ledger_def_declaration(&ledger->def);
  if (sql == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  if (sqlite3_declare_vtab(ledger->db, sql) != SQLITE_OK ||
      sqlite3_vtab_config(ledger->db, SQLITE_VTAB_INNOCUOUS) != SQLITE_OK ||
      sqlite3_vtab_config(ledger->db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1) !=
          SQLITE_OK) {
    hf_fail_db(err, ledger->db);
  }
  sqlite3_free(sql);
  return err->rc;
}

static int table_init(sqlite3 *db, void *aux, int argc, const char *const *argv,
                      sqlite3_vtab **out, char **message, int create) {
  HfError err = {SQLITE_OK, NULL};
  HfLedger *ledger = NULL;
  int rc;
  assert(db == ((HfConn *)aux)->db);
  (void)db;
  if (table_make(aux, argc, argv, &ledger, &err) == SQLITE_OK &&
      ledger != NULL && table_declare(ledger, &err) == SQLITE_OK && create) {
    ledger_objects_create(ledger, &err);
  }
  if (err.rc == SQLITE_OK && ledger != NULL) {
    ledger->next = ledger->conn->ledgers;
    ledger->conn->ledgers = ledger;
    *out = &ledger->base;
    return SQLITE_OK;
  }
  if (ledger != NULL) table_free(ledger);
  rc = err.rc;
  *message = err.message;
  return rc;
}

static int table_create(sqlite3 *db, void *aux, int argc,
                        const char *const *argv, sqlite3_vtab **out,
                        char **message) {
  return table_init(db, aux, argc, argv, out, message, 1);
}

static int table_connect(sqlite3 *db, void *aux, int argc,
                         const char *const *argv, sqlite3_vtab **out,
                         char **message) {
  return table_init(db, aux, argc, argv, out, message, 0);
}

static int table_disconnect(sqlite3_vtab *vtab) {
  table_free((HfLedger *)vtab);
  return SQLITE_OK;
}

/* DROP TABLE.  SQLite takes over only the code of xDestroy, not its words: so
** they go to the error log, and the code is that of a constraint. */
static int table_destroy(sqlite3_vtab *vtab) {
  HfLedger *ledger = (HfLedger *)vtab;
  HfError err = {SQLITE_OK, NULL};
  int rc;
  if (!ledger->def.drop_always) {
    sqlite3_int64 size = 0;
    ledger_read_size(ledger, &size, &err);
    /* A ledger whose entry table is gone has nothing left to protect. */
    if (err.rc == SQLITE_CORRUPT_VTAB) hf_error_clear(&err);
    if (err.rc == SQLITE_OK && size > 0) {
      hf_fail(&err, SQLITE_CONSTRAINT_VTAB,
              "ledger %s holds %lld entries: it can be dropped only when "
              "created with drop='always'",
              ledger->name, size);
    }
  }
  if (err.rc == SQLITE_OK) {
    hf_stmts_clear(&ledger->stmts); /* they would lock the tables */
    ledger_objects_drop(ledger, &err);
  }
  rc = err.rc;
  if (rc == SQLITE_OK) {
    table_free(ledger);
  } else {
    sqlite3_log(rc, "%s", err.message ? err.message : "ledger: DROP failed");
    hf_error_clear(&err);
  }
  return rc;
}

static int table_rename(sqlite3_vtab *vtab, const char *to) {
  HfLedger *ledger = (HfLedger *)vtab;
  HfError err = {SQLITE_OK, NULL};
  hf_stmts_clear(&ledger->stmts);
  ledger->head_valid = 0;
  ledger->head_kept = 0;
  ledger_objects_rename(ledger, to, &err);
  return hf_error_to_vtab(&err, vtab);
}

/* ---- writing ------------------------------------------------------------- */

static int table_update(sqlite3_vtab *vtab, int argc, sqlite3_value **argv,
                        sqlite3_int64 *rowid) {
  HfLedger *ledger = (HfLedger *)vtab;
  HfError err = {SQLITE_OK, NULL};
  sqlite3_value **column = argv + 2;
  int record = 1;
  if (argc == 1 || sqlite3_value_type(argv[0]) != SQLITE_NULL) {
    /* OR IGNORE must not make a refusal silent. */
    hf_fail(&err,
            sqlite3_vtab_on_conflict(ledger->db) == SQLITE_IGNORE
                ? SQLITE_ERROR
                : SQLITE_CONSTRAINT_VTAB,
            "ledger %s is append-only", ledger->name);
    return hf_error_to_vtab(&err, vtab);
  }
  /* INSERT INTO ledger(rowid, ...): the same as seq. */
  if (sqlite3_value_type(argv[1]) != SQLITE_NULL) {
    if (sqlite3_value_type(column[LEDGER_COL_SEQ]) == SQLITE_NULL) {
      column[LEDGER_COL_SEQ] = argv[1];
    } else if (sqlite3_value_int64(argv[1]) !=
               sqlite3_value_int64(column[LEDGER_COL_SEQ])) {
      hf_fail(&err, SQLITE_ERROR, "ledger %s: rowid and seq are the same",
              ledger->name);
      return hf_error_to_vtab(&err, vtab);
    }
  }
  if (track_displaced(ledger, column, &record, &err) == SQLITE_OK && record) {
    ledger_append(ledger, column, rowid, &err);
  }
  return hf_error_to_vtab(&err, vtab);
}

/* The head that is kept in memory follows the transaction.  It outlives a
** commit for as long as the file's data version stays the same: every commit,
** of any connection, changes that.  In a transaction that was begun before, the
** connection may itself have written to the entry table, with the triggers off
** or gone; so there it is read again. */

static unsigned table_data_version(const HfLedger *ledger) {
  unsigned version = 0;
  sqlite3_file_control(ledger->db, ledger->schema, SQLITE_FCNTL_DATA_VERSION,
                       &version);
  return version;
}

static int table_begin(sqlite3_vtab *vtab) {
  HfLedger *ledger = (HfLedger *)vtab;
  ledger->head_valid = ledger->head_kept &&
                       sqlite3_get_autocommit(ledger->db) &&
                       ledger->head_version == table_data_version(ledger);
  ledger->head_kept = 0;
  hf_stmts_begin_transaction(&ledger->stmts);
  return SQLITE_OK;
}

static int table_sync(sqlite3_vtab *vtab) {
  HfLedger *ledger = (HfLedger *)vtab;
  ledger->head_version = table_data_version(ledger);
  return SQLITE_OK;
}

static int table_commit(sqlite3_vtab *vtab) {
  HfLedger *ledger = (HfLedger *)vtab;
  unsigned version = table_data_version(ledger);
  /* Another step between means another commit, of a connection that shares
  ** the cache. */
  ledger->head_kept = ledger->head_valid && version == ledger->head_version + 1;
  ledger->head_version = version;
  ledger->head_valid = 0;
  hf_stmts_end_transaction(&ledger->stmts);
  return SQLITE_OK;
}

static int table_rollback(sqlite3_vtab *vtab) {
  HfLedger *ledger = (HfLedger *)vtab;
  ledger->head_valid = 0; /* and head_kept is, since the transaction began */
  hf_stmts_end_transaction(&ledger->stmts);
  return SQLITE_OK;
}

static int table_rollback_to(sqlite3_vtab *vtab, int savepoint) {
  (void)savepoint;
  ((HfLedger *)vtab)->head_valid = 0;
  return SQLITE_OK;
}

static int table_savepoint(sqlite3_vtab *vtab, int savepoint) {
  (void)vtab;
  (void)savepoint;
  return SQLITE_OK;
}

/* ---- PRAGMA integrity_check ---------------------------------------------- */

/* SQLite asks from 3.44 on; quick_check (flags 1) looks only at what stands
** around the entries.  *message says the first finding. */
static int table_integrity(sqlite3_vtab *vtab, const char *schema,
                           const char *name, int flags, char **message) {
  HfLedger *ledger = (HfLedger *)vtab;
  HfError err = {SQLITE_OK, NULL};
  const LedgerFinding *finding;
  LedgerVerify *verify;
  (void)schema;
  if (ledger_verify_open(ledger, &(LedgerScope){.structure = flags & 1},
                         &verify, &err) == SQLITE_OK &&
      ledger_verify_next(verify, &finding, &err) == SQLITE_ROW) {
    char number[24] = "";
    if (finding->seq > 0) {
      sqlite3_snprintf(sizeof(number), number, " %lld", finding->seq);
    }
    *message = hf_format(&err,
                         "ledger %s: %s%s: %s; run ledger_verify('%s') to see "
                         "all that is found",
                         name, finding->finding, number, finding->detail, name);
  }
  ledger_verify_close(verify);
  return hf_error_to_vtab(&err, vtab);
}

/* A module of the fourth version, also when compiled against older headers. */
typedef struct LedgerModule {
  sqlite3_module base; /* must be first */
#if SQLITE_VERSION_NUMBER < 3044000
#define LEDGER_INTEGRITY .xIntegrity
  int (*xIntegrity)(sqlite3_vtab *, const char *, const char *, int, char **);
#else
#define LEDGER_INTEGRITY .base.xIntegrity
#endif
} LedgerModule;

/* ---- finding one by name ------------------------------------------------- */

int ledger_pin(HfConn *conn, const char *text, LedgerPin *pin, HfError *err) {
  HfName name;
  HfLedger *ledger;
  memset(pin, 0, sizeof(*pin));
  if (hf_name_split(conn->db, text, &name, err) != SQLITE_OK) return err->rc;
  /* Preparing connects the table, and the statement keeps it connected. */
  if (hf_prepare(conn->db, &pin->stmt, err, "SELECT 1 FROM \"%w\".\"%w\"",
                 name.schema, name.name) == SQLITE_OK) {
    for (ledger = conn->ledgers; ledger != NULL; ledger = ledger->next) {
      if (sqlite3_stricmp(ledger->schema, name.schema) == 0 &&
          sqlite3_stricmp(ledger->name, name.name) == 0) {
        pin->ledger = ledger;
        break;
      }
    }
  }
  if (pin->ledger == NULL &&
      (err->rc == SQLITE_OK ||
       (err->message && strncmp(err->message, "no such table", 13) == 0))) {
    hf_error_clear(err);
    hf_fail(err, SQLITE_ERROR, "no such ledger: %s.%s", name.schema, name.name);
  }
  hf_name_clear(&name);
  if (err->rc != SQLITE_OK) ledger_unpin(pin);
  return err->rc;
}

void ledger_unpin(LedgerPin *pin) {
  sqlite3_finalize(pin->stmt);
  memset(pin, 0, sizeof(*pin));
}

/* ---- registration -------------------------------------------------------- */

int ledger_table_register(HfConn *conn) {
  static const LedgerModule module = {
      .base.iVersion = 4,
      .base.xCreate = table_create,
      .base.xConnect = table_connect,
      .base.xBestIndex = ledger_best_index,
      .base.xDisconnect = table_disconnect,
      .base.xDestroy = table_destroy,
      .base.xOpen = ledger_open,
      .base.xClose = ledger_close,
      .base.xFilter = ledger_filter,
      .base.xNext = ledger_next,
      .base.xEof = ledger_eof,
      .base.xColumn = ledger_column,
      .base.xRowid = ledger_rowid,
      .base.xUpdate = table_update,
      .base.xBegin = table_begin,
      .base.xSync = table_sync,
      .base.xCommit = table_commit,
      .base.xRollback = table_rollback,
      .base.xRename = table_rename,
      .base.xSavepoint = table_savepoint,
      .base.xRelease = table_savepoint,
      .base.xRollbackTo = table_rollback_to,
      LEDGER_INTEGRITY = table_integrity,
  };
  return hf_register_module(conn, "ledger", &module.base);
}
