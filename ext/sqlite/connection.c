/*
** The state of one connection, and registration on it: see hf.h.
*/
#include <assert.h>
#include <string.h>

#include "sqlite/hf.h"

HfConn *hf_conn_new(sqlite3 *db, int *rc) {
  HfConn *conn = sqlite3_malloc64(sizeof(*conn));
  *rc = SQLITE_NOMEM;
  if (conn == NULL) return NULL;
  memset(conn, 0, sizeof(*conn));
  conn->db = db;
  conn->refs = 1;
  switch (hf_sha256_new(&conn->sha)) {
    case HF_OK:
      *rc = SQLITE_OK;
      return conn;
    case HF_CRYPTO:
      *rc = SQLITE_ERROR;
      break;
    default:
      break;
  }
  hf_conn_unref(conn);
  return NULL;
}

HfConn *hf_conn_ref(HfConn *conn) {
  conn->refs++;
  return conn;
}

void hf_conn_unref(void *pointer) {
  HfConn *conn = pointer;
  assert(conn->refs > 0);
  if (--conn->refs > 0) return;
  assert(conn->ledgers == NULL && conn->pending == NULL);
  assert(conn->leases == NULL && conn->deciding == NULL);
  if (conn->denials != NULL) conn->denials_free(conn->denials);
  if (conn->flags != NULL) conn->flags_free(conn->flags);
  hf_sha256_free(conn->sha);
  sqlite3_free(conn);
}

int hf_register_functions(HfConn *conn, const HfFunction *functions, int n) {
  int i, rc;
  for (i = 0; i < n; i++) {
    const HfFunction *f = &functions[i];
    /* The destructor runs when the registration fails, too. */
    rc = sqlite3_create_function_v2(conn->db, f->name, f->args, f->flags,
                                    hf_conn_ref(conn), f->func, NULL, NULL,
                                    hf_conn_unref);
    if (rc != SQLITE_OK) return rc;
  }
  return SQLITE_OK;
}

static void connection_inverse(sqlite3_context *context, int argc,
                               sqlite3_value **argv) {
  (void)argc;
  (void)argv;
  sqlite3_result_error(context,
                       "a digest of rows cannot take one out again: the window "
                       "must begin at UNBOUNDED PRECEDING",
                       -1);
}

int hf_register_window(HfConn *conn, const char *name, int args,
                       void (*step)(sqlite3_context *, int, sqlite3_value **),
                       void (*inverse)(sqlite3_context *, int,
                                       sqlite3_value **),
                       void (*value)(sqlite3_context *),
                       void (*final)(sqlite3_context *)) {
  return sqlite3_create_window_function(conn->db, name, args, HF_PURE,
                                        hf_conn_ref(conn), step, final, value,
                                        inverse, hf_conn_unref);
}

int hf_register_aggregate(HfConn *conn, const char *name, int args,
                          void (*step)(sqlite3_context *, int,
                                       sqlite3_value **),
                          void (*value)(sqlite3_context *),
                          void (*final)(sqlite3_context *)) {
  return hf_register_window(conn, name, args, step, connection_inverse, value,
                            final);
}

int hf_register_module(HfConn *conn, const char *name,
                       const sqlite3_module *module) {
  return sqlite3_create_module_v2(conn->db, name, module, hf_conn_ref(conn),
                                  hf_conn_unref);
}
