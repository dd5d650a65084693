/*
** May a function write here, and how is it made atomic: see hf.h.
**
** SELECT f() is no transaction: in autocommit each statement that f runs
** commits by itself.  Inside a statement that writes, SAVEPOINT is refused
** and BEGIN would succeed and stay open.  sqlite3_get_autocommit() together
** with the transaction state tells these places apart.
*/
#include <assert.h>

#include "sqlite/hf.h"

#define TXN_SAVEPOINT "\"holdfast\""

int hf_txn_begin(sqlite3 *db, const char *schema, const char *what, HfTxn *txn,
                 HfError *err) {
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
    if (hf_exec(db, err, "BEGIN IMMEDIATE") == SQLITE_OK) *txn = HF_TXN_OWN;
    return err->rc;
  }
  if (sqlite3_exec(db, "SAVEPOINT " TXN_SAVEPOINT, NULL, NULL, NULL) ==
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

int hf_txn_end(sqlite3 *db, HfTxn txn, HfError *err) {
  switch (txn) {
    case HF_TXN_NONE:
      break;
    case HF_TXN_OWN:
      hf_exec(db, err, "COMMIT");
      if (err->rc != SQLITE_OK && !sqlite3_get_autocommit(db)) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
      }
      break;
    case HF_TXN_SAVEPOINT:
      if (err->rc != SQLITE_OK) {
        sqlite3_exec(db, "ROLLBACK TO " TXN_SAVEPOINT, NULL, NULL, NULL);
        sqlite3_exec(db, "RELEASE " TXN_SAVEPOINT, NULL, NULL, NULL);
      } else {
        hf_exec(db, err, "RELEASE " TXN_SAVEPOINT);
      }
      break;
  }
  return err->rc;
}
