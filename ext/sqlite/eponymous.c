/*
** What the tables of eponymous modules have in common: see hf.h.
*/
#include <string.h>

#include "sqlite/hf.h"

int hf_eponymous_connect(sqlite3 *db, void *aux, size_t size,
                         const char *columns, int direct_only,
                         sqlite3_vtab **out) {
  HfEponymous *table;
  int rc = sqlite3_declare_vtab(db, columns);
  if (rc == SQLITE_OK && direct_only) {
    rc = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
  }
  if (rc != SQLITE_OK) return rc;
  table = sqlite3_malloc64(size);
  if (table == NULL) return SQLITE_NOMEM;
  memset(table, 0, size);
  table->conn = hf_conn_ref(aux);
  *out = &table->base;
  return SQLITE_OK;
}

int hf_eponymous_disconnect(sqlite3_vtab *vtab) {
  hf_conn_unref(((HfEponymous *)vtab)->conn);
  sqlite3_free(vtab);
  return SQLITE_OK;
}

int hf_cursor_open(size_t size, sqlite3_vtab_cursor **out) {
  sqlite3_vtab_cursor *cursor = sqlite3_malloc64(size);
  if (cursor == NULL) return SQLITE_NOMEM;
  memset(cursor, 0, size);
  *out = cursor;
  return SQLITE_OK;
}
