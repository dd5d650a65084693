/*
** Holdfast, a run-time loadable SQLite extension: the entry point.
**
** It registers the areas on the connection and nothing else: loading writes
** nothing to any database and takes none of the connection's hooks.
*/
#include "sqlite/hf.h"

#ifndef SQLITE_CORE
SQLITE_EXTENSION_INIT1
#endif

#if defined(_WIN32)
#define HOLDFAST_EXPORT __declspec(dllexport)
#else
#define HOLDFAST_EXPORT __attribute__((visibility("default")))
#endif

HOLDFAST_EXPORT int sqlite3_holdfast_init(sqlite3 *db, char **message,
                                          const sqlite3_api_routines *api);

#ifndef SQLITE_CORE
/* Two copies of SQLite in a process may load the same library.  It has one
** pointer to one of them, and would send the other's calls astray. */
static int holdfast_use_api(const sqlite3_api_routines *api, char **message) {
  const sqlite3_api_routines *before = sqlite3_api;
  if (before != NULL && before != api) {
    *message = api->mprintf(
        "holdfast is already in use by another copy of SQLite in this "
        "process; load a copy of the library file under another name");
    return SQLITE_ERROR;
  }
  SQLITE_EXTENSION_INIT2(api);
  return SQLITE_OK;
}
#endif

/* Is the extension on this connection already?  A second .load changes
** nothing: tables that are connected keep what they refer to.  Asked of the
** list of functions: calling one that is not there would leave its error on
** the connection, and sqlite3_open() would return it. */
static int holdfast_present(sqlite3 *db) {
  sqlite3_stmt *stmt = NULL;
  int present = 0;
  if (sqlite3_prepare_v2(db,
                         "SELECT 1 FROM pragma_function_list"
                         " WHERE name = 'holdfast_version'",
                         -1, &stmt, NULL) == SQLITE_OK) {
    present = sqlite3_step(stmt) == SQLITE_ROW;
  }
  sqlite3_finalize(stmt);
  return present;
}

int sqlite3_holdfast_init(sqlite3 *db, char **message,
                          const sqlite3_api_routines *api) {
  static int (*const area[])(HfConn *) = {
      hf_version_register, hf_install_register,    hf_check_register,
      hf_busy_register,    hf_kept_register,       hf_attest_register,
      hf_ledger_register,  hf_lease_register,      hf_control_register,
      hf_process_register, hf_confidence_register, hf_retention_register,
  };
  HfConn *conn;
  size_t i;
  int rc = SQLITE_OK;
#ifndef SQLITE_CORE
  rc = holdfast_use_api(api, message);
  if (rc != SQLITE_OK) return rc;
#else
  (void)api;
#endif
  if (sqlite3_libversion_number() < HOLDFAST_MIN_SQLITE) {
    *message = sqlite3_mprintf("holdfast needs SQLite 3.38 or newer, not %s",
                               sqlite3_libversion());
    return SQLITE_ERROR;
  }
  if (holdfast_present(db)) return SQLITE_OK;
  conn = hf_conn_new(db, &rc);
  if (conn == NULL) {
    if (rc != SQLITE_NOMEM) {
      *message = sqlite3_mprintf("holdfast: OpenSSL (%s) offers no SHA-256",
                                 hf_crypto_version());
    }
    return rc;
  }
  for (i = 0; i < sizeof(area) / sizeof(*area) && rc == SQLITE_OK; i++) {
    rc = area[i](conn);
  }
  hf_conn_unref(conn);
  return rc;
}
