/*
** SQL functions of the ledger.  A ledger is named 'name' (in main) or
** 'schema.name'.  They read the database as the connection sees it, the open
** transaction's own entries included.
*/
#include <assert.h>
#include <string.h>

#include "ledger/ledger.h"

/* The ledger that argv[0] names; 0 with the error raised. */
static int functions_pin(sqlite3_context *context, sqlite3_value **argv,
                         const char *function, LedgerPin *pin, HfError *err) {
  const char *name = (const char *)sqlite3_value_text(argv[0]);
  memset(pin, 0, sizeof(*pin));
  if (name == NULL) {
    hf_fail(err, SQLITE_ERROR, "%s: the ledger's name is missing", function);
  } else {
    ledger_pin(sqlite3_user_data(context), name, pin, err);
  }
  assert(err->rc != SQLITE_OK || pin->ledger != NULL);
  return err->rc;
}

static void functions_result_hash(sqlite3_context *context,
                                  const unsigned char *hash, HfError *err) {
  if (err->rc != SQLITE_OK) {
    hf_error_to_result(err, context);
  } else {
    sqlite3_result_blob(context, hash, HF_SHA256_SIZE, SQLITE_TRANSIENT);
  }
}

/*
** ledger_size(name)
**
** Returns the number of entries, INTEGER.  Errors: no such ledger; its entry
** table is missing or damaged.
*/
static void functions_size(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 size = 0;
  LedgerPin pin;
  (void)argc;
  if (functions_pin(context, argv, "ledger_size", &pin, &err) == SQLITE_OK) {
    ledger_read_size(pin.ledger, &size, &err);
  }
  ledger_unpin(&pin);
  hf_result_integer(context, size, &err);
}

/*
** ledger_head(name)
**
** Returns the hash of the last entry, or the genesis of an empty ledger: a
** BLOB of 32 bytes, the prev_hash of the entry to come.
*/
static void functions_head(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  unsigned char hash[HF_SHA256_SIZE];
  sqlite3_int64 size;
  LedgerPin pin;
  (void)argc;
  if (functions_pin(context, argv, "ledger_head", &pin, &err) == SQLITE_OK &&
      ledger_read_size(pin.ledger, &size, &err) == SQLITE_OK) {
    ledger_read_head(pin.ledger, size, hash, &err);
  }
  ledger_unpin(&pin);
  functions_result_hash(context, hash, &err);
}

/*
** ledger_root(name [, size])
**
** Returns the RFC 6962 Merkle root over the first `size` entries, or all: a
** BLOB of 32 bytes.  Reads at most 64 entries.  Errors: a size below 0 or
** above the number of entries.
*/
static void functions_root(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  unsigned char hash[HF_SHA256_SIZE];
  sqlite3_int64 entries, size;
  LedgerPin pin;
  if (functions_pin(context, argv, "ledger_root", &pin, &err) == SQLITE_OK &&
      ledger_read_size(pin.ledger, &entries, &err) == SQLITE_OK) {
    size = entries;
    if (argc > 1) {
      size = sqlite3_value_int64(argv[1]);
      if (sqlite3_value_type(argv[1]) != SQLITE_INTEGER || size < 0 ||
          size > entries) {
        hf_fail(&err, SQLITE_ERROR,
                "ledger_root: the size must be an integer from 0 to %lld, the "
                "entries of ledger %s",
                entries, pin.ledger->name);
      }
    }
    if (err.rc == SQLITE_OK) ledger_read_root(pin.ledger, size, hash, &err);
  }
  ledger_unpin(&pin);
  functions_result_hash(context, hash, &err);
}

/* The leaf data of the entry on which stmt stands: at, then the columns. */
static void functions_encode(sqlite3_context *context, HfLedger *ledger,
                             sqlite3_int64 seq, sqlite3_stmt *stmt,
                             HfError *err) {
  sqlite3_value *stored[LEDGER_MAX_COLUMNS];
  LedgerValue value[LEDGER_MAX_COLUMNS];
  unsigned char prev[HF_SHA256_SIZE];
  unsigned char *data;
  sqlite3_int64 size;
  int i;
  if (ledger_read_head(ledger, seq - 1, prev, err) != SQLITE_OK) return;
  for (i = 0; i < ledger->def.columns; i++) {
    stored[i] = sqlite3_column_value(stmt, i + 1);
  }
  if (ledger_values_read(ledger, stored, value, err) == SQLITE_OK &&
      ledger_leaf_data(ledger, seq, prev, sqlite3_column_int64(stmt, 0), value,
                       &data, &size, err) == SQLITE_OK) {
    sqlite3_result_blob64(context, data, (sqlite3_uint64)size, sqlite3_free);
  }
}

/*
** ledger_leaf_data(name, seq)
**
** Returns the exact bytes whose leaf hash is the entry's hash, a BLOB; NULL
** when there is no such entry.  Errors: seq is not an INTEGER; the entry
** before it is missing.
*/
static void functions_leaf_data(sqlite3_context *context, int argc,
                                sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 seq = sqlite3_value_int64(argv[1]);
  HfStmt stmt = {NULL, 0, 0};
  LedgerPin pin;
  (void)argc;
  if (functions_pin(context, argv, "ledger_leaf_data", &pin, &err) ==
      SQLITE_OK) {
    if (sqlite3_value_type(argv[1]) != SQLITE_INTEGER) {
      hf_fail(&err, SQLITE_ERROR, "ledger_leaf_data: seq must be an INTEGER");
    } else if (ledger_take(pin.ledger, pin.ledger->sql_row, &stmt, &err) ==
               SQLITE_OK) {
      sqlite3_bind_int64(stmt.p, 1, seq);
      switch (sqlite3_step(stmt.p)) {
        case SQLITE_ROW:
          functions_encode(context, pin.ledger, seq, stmt.p, &err);
          break;
        case SQLITE_DONE:
          break;
        default:
          hf_fail_db(&err, pin.ledger->db);
      }
      hf_stmt_give(&pin.ledger->stmts, &stmt);
    }
  }
  ledger_unpin(&pin);
  if (err.rc != SQLITE_OK) hf_error_to_result(&err, context);
}

/*
** ledger_pending(id, seq)
**
** For the insert trigger of an entry table, not for users: 1 if the ledger
** module of this connection is appending entry seq of ledger id right now, and
** was not asked before; else 0.  A 0 also tells the module that somebody is
** writing directly, so that it reads the head again.
*/
static void functions_pending(sqlite3_context *context, int argc,
                              sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfPending *pending = conn->pending;
  int ours = pending != NULL && !pending->told &&
             pending->id == sqlite3_value_int64(argv[0]) &&
             pending->seq == sqlite3_value_int64(argv[1]);
  (void)argc;
  if (ours) pending->told = 1;
  else conn->generation++;
  sqlite3_result_int(context, ours);
}

int ledger_functions_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"ledger_size", 1, HF_LOOKUP, functions_size},
      {"ledger_head", 1, HF_LOOKUP, functions_head},
      {"ledger_root", 1, HF_LOOKUP, functions_root},
      {"ledger_root", 2, HF_LOOKUP, functions_root},
      {"ledger_leaf_data", 2, HF_READS, functions_leaf_data},
      {"ledger_pending", 2, HF_LOOKUP, functions_pending},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
