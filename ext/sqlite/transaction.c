/*
** May a function write here, and how is it made atomic: see hf.h.
**
** SELECT f() is no transaction: in autocommit each statement that f runs
** commits by itself.  Inside a statement that writes, SAVEPOINT is refused
** and BEGIN would succeed and stay open.  sqlite3_get_autocommit() together
** with the transaction state tells these places apart.
*/
#include <string.h>

#include "sqlite/hf.h"

#define TXN_SAVEPOINT "\"holdfast\""

/* Run a statement that returns nothing: a kept one, if there is a place. */
static int txn_run(sqlite3 *db, sqlite3_stmt **kept, const char *sql) {
  if (kept == NULL) return sqlite3_exec(db, sql, NULL, NULL, NULL);
  if (*kept == NULL) {
    int rc =
        sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, kept, NULL);
    if (rc != SQLITE_OK) return rc;
  }
  sqlite3_step(*kept);
  return sqlite3_reset(*kept);
}

void hf_txn_stmts_clear(HfTxnStmts *kept) {
  sqlite3_finalize(kept->begin);
  sqlite3_finalize(kept->commit);
  sqlite3_finalize(kept->savepoint);
  sqlite3_finalize(kept->release);
  memset(kept, 0, sizeof(*kept));
}

int hf_txn_begin(sqlite3 *db, const char *schema, const char *what, HfTxn *txn,
                 HfError *err) {
  return hf_txn_begin_kept(db, NULL, schema, what, txn, err);
}

int hf_txn_end(sqlite3 *db, HfTxn txn, HfError *err) {
  return hf_txn_end_kept(db, NULL, txn, err);
}

int hf_txn_begin_kept(sqlite3 *db, HfTxnStmts *kept, const char *schema,
                      const char *what, HfTxn *txn, HfError *err) {
  *txn = HF_TXN_NONE;
  if (sqlite3_db_readonly(db, schema) == 1) {
    return hf_fail(err, SQLITE_READONLY,
                   "%s: the database is read-only; open it for writing", what);
  }
  if (sqlite3_get_autocommit(db)) {
    if (sqlite3_txn_state(db, NULL) == SQLITE_TXN_WRITE) {
      return hf_fail(err, SQLITE_ERROR,
                     "%s cannot run inside a statement that writes; call it "
                     "with SELECT %s(...) of its own",
                     what, what);
    }
    if (txn_run(db, kept ? &kept->begin : NULL, "BEGIN IMMEDIATE") !=
        SQLITE_OK) {
      return hf_fail_db(err, db);
    }
    *txn = HF_TXN_OWN;
    return SQLITE_OK;
  }
  if (txn_run(db, kept ? &kept->savepoint : NULL, "SAVEPOINT " TXN_SAVEPOINT) ==
      SQLITE_OK) {
    *txn = HF_TXN_SAVEPOINT;
    return SQLITE_OK;
  }
  if (sqlite3_errcode(db) == SQLITE_BUSY) {
    return hf_fail(err, SQLITE_ERROR,
                   "%s cannot run inside a statement that writes; call it "
                   "with SELECT %s(...) of its own",
                   what, what);
  }
  return hf_fail_db(err, db);
}

int hf_txn_end_kept(sqlite3 *db, HfTxnStmts *kept, HfTxn txn, HfError *err) {
  switch (txn) {
    case HF_TXN_NONE:
      break;
    case HF_TXN_OWN:
      if (err->rc == SQLITE_OK &&
          txn_run(db, kept ? &kept->commit : NULL, "COMMIT") != SQLITE_OK) {
        hf_fail_db(err, db);
      }
      if (err->rc != SQLITE_OK && !sqlite3_get_autocommit(db)) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
      }
      break;
    case HF_TXN_SAVEPOINT:
      if (err->rc != SQLITE_OK) {
        sqlite3_exec(db, "ROLLBACK TO " TXN_SAVEPOINT, NULL, NULL, NULL);
        sqlite3_exec(db, "RELEASE " TXN_SAVEPOINT, NULL, NULL, NULL);
      } else {
        if (txn_run(db, kept ? &kept->release : NULL,
                    "RELEASE " TXN_SAVEPOINT) != SQLITE_OK) {
          hf_fail_db(err, db);
        }
      }
      break;
  }
  return err->rc;
}
