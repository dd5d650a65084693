/*
** The append: from what INSERT gave to an entry in the file.
**
** Everything that is given is checked against the head and the declaration;
** what is not given is filled in.  The hash is that of the values as they are
** stored, and the same bytes are bound, without a copy.
*/
#include <assert.h>
#include <string.h>

#include "ledger/ledger.h"

/* Code of a refusal.  OR IGNORE skips rows that violate UNIQUE, NOT NULL or
** CHECK, as everywhere; it must not swallow the ledger's own rules, and SQLite
** ignores every constraint error of a virtual table. */
static int append_refusal(HfLedger *ledger) {
  return sqlite3_vtab_on_conflict(ledger->db) == SQLITE_IGNORE
             ? SQLITE_ERROR
             : SQLITE_CONSTRAINT_VTAB;
}

static int append_check_seq(HfLedger *ledger, sqlite3_value *value,
                            HfError *err) {
  sqlite3_int64 next = (sqlite3_int64)ledger->frontier.size + 1;
  sqlite3_int64 given;
  if (sqlite3_value_type(value) == SQLITE_NULL) return SQLITE_OK;
  given = sqlite3_value_int64(value);
  if (sqlite3_value_type(value) == SQLITE_INTEGER) {
    if (given == next) return SQLITE_OK;
    if (given >= 1 && given < next) {
      return hf_fail(err, SQLITE_CONSTRAINT_PRIMARYKEY,
                     "ledger %s is append-only: entry %lld exists",
                     ledger->name, given);
    }
  }
  return hf_fail(err, append_refusal(ledger),
                 "ledger %s: seq must be %lld, the next one; leave it NULL to "
                 "append",
                 ledger->name, next);
}

static int append_check_at(HfLedger *ledger, sqlite3_value *value,
                           sqlite3_int64 *at, HfError *err) {
  sqlite3_int64 now = 0;
  int given = sqlite3_value_type(value) != SQLITE_NULL;
  if (given && sqlite3_value_type(value) != SQLITE_INTEGER) {
    return hf_fail(err, append_refusal(ledger),
                   "ledger %s: at must be an INTEGER, milliseconds since 1970",
                   ledger->name);
  }
  *at = sqlite3_value_int64(value);
  if (given && *at <= ledger->now && *at >= ledger->head_at) return SQLITE_OK;
  if (!given || !ledger->def.clock_caller) {
    if (hf_clock_now(ledger->vfs, &now, err) != SQLITE_OK) return err->rc;
    ledger->now = now;
  }
  if (!given) {
    *at = now > ledger->head_at ? now : ledger->head_at;
    return SQLITE_OK;
  }
  if (*at < ledger->head_at) {
    return hf_fail(err, append_refusal(ledger),
                   "ledger %s: at %lld is earlier than the previous entry's "
                   "%lld",
                   ledger->name, *at, ledger->head_at);
  }
  if (!ledger->def.clock_caller && *at > now + LEDGER_AHEAD_MS) {
    return hf_fail(err, append_refusal(ledger),
                   "ledger %s: at %lld is more than %d s ahead of the clock "
                   "(%lld); explicit times are trusted with clock='caller'",
                   ledger->name, *at, LEDGER_AHEAD_MS / 1000, now);
  }
  return SQLITE_OK;
}

/* A hash the caller gave, NULL for none, against the right one. */
static int append_check_hash(HfLedger *ledger, sqlite3_value *value,
                             const unsigned char *right, const char *words,
                             HfError *err) {
  char hex[2 * HF_SHA256_SIZE + 1];
  if (sqlite3_value_type(value) == SQLITE_NULL) return SQLITE_OK;
  if (sqlite3_value_type(value) == SQLITE_BLOB &&
      sqlite3_value_bytes(value) == HF_SHA256_SIZE) {
    const void *hash = sqlite3_value_blob(value);
    if (hash == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
    if (memcmp(hash, right, HF_SHA256_SIZE) == 0) return SQLITE_OK;
  }
  hf_hex(right, HF_SHA256_SIZE, hex);
  return hf_fail(err, append_refusal(ledger), words, ledger->name, hex);
}

static const char *append_type_name(int type) {
  static const char *const name[] = {"ANY",  "INTEGER", "REAL",
                                     "TEXT", "BLOB",    "NULL"};
  return name[type];
}

/* Read what the column is to store, and check its type. */
static int append_value(HfLedger *ledger, const LedgerColumn *column,
                        sqlite3_value *given, LedgerValue *value,
                        HfError *err) {
  int type, rc = ledger_value_read(column, given, value);
  if (rc != SQLITE_OK) return hf_fail(err, rc, NULL);
  type = value->type;
  if (type == column->kind || column->kind == 0 || type == SQLITE_NULL) {
    return SQLITE_OK;
  }
  return hf_fail(err, append_refusal(ledger),
                 "ledger %s: column %s takes %s, not %s", ledger->name,
                 column->name, append_type_name(column->kind),
                 append_type_name(type));
}

/* Bind without copying: the values outlive the step. */
static void append_bind(sqlite3_stmt *stmt, int i, const LedgerValue *value) {
  switch (value->type) {
    case SQLITE_INTEGER:
      sqlite3_bind_int64(stmt, i, value->integer);
      break;
    case SQLITE_FLOAT:
      sqlite3_bind_double(stmt, i, value->real);
      break;
    case SQLITE_TEXT:
      sqlite3_bind_text64(stmt, i, value->data, value->size, SQLITE_STATIC,
                          SQLITE_UTF8);
      break;
    case SQLITE_BLOB:
      /* An empty blob has no address, and NULL would bind a NULL. */
      if (value->size == 0) {
        sqlite3_bind_zeroblob(stmt, i, 0);
      } else {
        sqlite3_bind_blob64(stmt, i, value->data, value->size, SQLITE_STATIC);
      }
      break;
    default:
      break; /* not bound is NULL */
  }
}

/* An entry on its way into the file. */
typedef struct AppendEntry {
  sqlite3_int64 seq;
  sqlite3_int64 at;
  const LedgerValue *value;
  unsigned char hash[HF_SHA256_SIZE];
  int levels; /* of node */
  unsigned char node[HF_MERKLE_LEVELS][HF_SHA256_SIZE];
} AppendEntry;

static int append_run_insert(HfLedger *ledger, const AppendEntry *entry,
                             sqlite3_stmt *stmt) {
  int columns = ledger->def.columns;
  int i, rc;
  sqlite3_bind_int64(stmt, 1, entry->seq);
  sqlite3_bind_int64(stmt, 2, entry->at);
  for (i = 0; i < columns; i++) {
    append_bind(stmt, i + 3, &entry->value[i]);
  }
  sqlite3_bind_blob(stmt, columns + 3, entry->hash, HF_SHA256_SIZE,
                    SQLITE_STATIC);
  if (entry->levels > 0) {
    sqlite3_bind_blob(stmt, columns + 4, entry->node,
                      entry->levels * HF_SHA256_SIZE, SQLITE_STATIC);
  }
  rc = sqlite3_step(stmt);
  /* With PRAGMA count_changes it returns a row before it is done. */
  return rc == SQLITE_ROW ? sqlite3_step(stmt) : rc;
}

/* Run the INSERT.  A kept statement fails to be prepared again when a trigger
** that uses a virtual table came in the meantime; then nothing was run yet,
** and a statement for this transaction alone takes its place. */
static int append_insert(HfLedger *ledger, const AppendEntry *entry,
                         HfError *err) {
  HfStmt stmt;
  if (ledger_take(ledger, ledger->sql_insert, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  if (append_run_insert(ledger, entry, stmt.p) != SQLITE_DONE) {
    int kept = !stmt.fresh && !stmt.local;
    hf_fail_db(err, ledger->db);
    if (err->rc == SQLITE_ERROR && kept) {
      HfError again = {SQLITE_OK, NULL};
      sqlite3_finalize(stmt.p);
      if (ledger_take(ledger, ledger->sql_insert, &stmt, &again) == SQLITE_OK &&
          stmt.local) {
        hf_error_clear(err);
        if (append_run_insert(ledger, entry, stmt.p) != SQLITE_DONE) {
          hf_fail_db(err, ledger->db);
        }
      }
      hf_error_clear(&again);
    }
  }
  hf_stmt_give(&ledger->stmts, &stmt);
  return err->rc;
}

/* Under OR IGNORE only a row's own UNIQUE, NOT NULL or CHECK may be ignored;
** a policy trigger's RAISE(ABORT) is raised, as on an ordinary table. */
static void append_harden(HfLedger *ledger, HfError *err) {
  if ((err->rc & 0xff) != SQLITE_CONSTRAINT) return;
  if (err->rc == SQLITE_CONSTRAINT_UNIQUE ||
      err->rc == SQLITE_CONSTRAINT_NOTNULL ||
      err->rc == SQLITE_CONSTRAINT_CHECK) {
    return;
  }
  if (sqlite3_vtab_on_conflict(ledger->db) == SQLITE_IGNORE) {
    err->rc = SQLITE_ERROR;
  }
}

/* Is an append to this ledger in progress whose entry is not stored yet?  Then
** we are in a BEFORE INSERT trigger, and would take its number. */
static int append_check_nesting(HfLedger *ledger, HfError *err) {
  const HfPending *p;
  for (p = ledger->conn->pending; p != NULL; p = p->outer) {
    if (p->id != ledger->id || p->seq <= (sqlite3_int64)ledger->frontier.size) {
      continue;
    }
    return hf_fail(err, append_refusal(ledger),
                   "ledger %s: a BEFORE INSERT trigger on %s_entry cannot "
                   "append to the same ledger; use an AFTER INSERT trigger",
                   ledger->name, ledger->name);
  }
  return SQLITE_OK;
}

/* The store's part between knowing the entry and having it in the file. */
static int append_write(HfLedger *ledger, AppendEntry *entry, HfError *err) {
  HfConn *conn = ledger->conn;
  HfPending pending = {ledger->id, entry->seq, 0, conn->pending};
  unsigned loads = ledger->head_loads;
  entry->levels = hf_merkle_completed((uint64_t)entry->seq);
  if (hf_fail_core(err, hf_frontier_append(conn->sha, &ledger->frontier,
                                           entry->hash, entry->node)) !=
      SQLITE_OK) {
    return err->rc;
  }
  ledger->head_valid = 0; /* until the entry is there */
  conn->pending = &pending;
  conn->depth++;
  append_insert(ledger, entry, err);
  conn->depth--;
  conn->pending = pending.outer;
  if (err->rc == SQLITE_OK && sqlite3_changes(ledger->db) != 1) {
    hf_fail(err, append_refusal(ledger),
            "ledger %s: a trigger on %s_entry swallowed the entry with "
            "RAISE(IGNORE); RAISE(ABORT, ...) refuses one",
            ledger->name, ledger->name);
  }
  if (err->rc != SQLITE_OK) return err->rc;
  /* A trigger's own append has left a newer head behind. */
  if (loads != ledger->head_loads) return SQLITE_OK;
  ledger->head_at = entry->at;
  memcpy(ledger->head_hash, entry->hash, HF_SHA256_SIZE);
  ledger->head_valid = 1;
  return SQLITE_OK;
}

static int append_prepare_append(HfLedger *ledger, HfError *err) {
  if (ledger->conn->depth >= LEDGER_MAX_DEPTH) {
    return hf_fail(err, SQLITE_ERROR,
                   "ledger %s: appends in triggers of appends are nested more "
                   "than %d deep",
                   ledger->name, LEDGER_MAX_DEPTH);
  }
  /* A kept INSERT finds out too late that the schema has changed: undoing what
  ** it began fails, with the whole transaction, while an UPDATE OR REPLACE that
  ** fires DELETE triggers holds its cursor fast.  Reading the head finds out
  ** first. */
  if (sqlite3_vtab_on_conflict(ledger->db) == SQLITE_REPLACE) {
    ledger->head_valid = 0;
  }
  if (ledger_need_id(ledger, err) == SQLITE_OK &&
      (!ledger->head_valid ||
       ledger->head_generation != ledger->conn->generation)) {
    ledger_load_head(ledger, err);
  }
  return err->rc;
}

/* A virtual table cannot tell a column that was left out from one that was
** given as NULL: both take the column's DEFAULT.  Reads the values to store;
** *defaults lends those that it evaluated. */
static int append_values(HfLedger *ledger, sqlite3_value **argv,
                         LedgerValue *value, HfStmt *defaults, HfError *err) {
  int i;
  for (i = 0; i < ledger->def.columns; i++) {
    const LedgerColumn *column = &ledger->def.column[i];
    if (append_value(ledger, column, argv[LEDGER_COL_FIRST + i], &value[i],
                     err) != SQLITE_OK) {
      break;
    }
    if (column->dflt == NULL || value[i].type != SQLITE_NULL) continue;
    if (defaults->p == NULL) {
      if (ledger_take(ledger, ledger->sql_defaults, defaults, err) !=
          SQLITE_OK) {
        return err->rc;
      }
      if (sqlite3_step(defaults->p) != SQLITE_ROW) {
        return hf_fail_db(err, ledger->db);
      }
    }
    if (append_value(ledger, column, sqlite3_column_value(defaults->p, i),
                     &value[i], err) != SQLITE_OK) {
      break;
    }
  }
  return err->rc;
}

/* Everything that is given must agree with the head and the declaration. */
static int append_check(HfLedger *ledger, sqlite3_value **argv,
                        AppendEntry *entry, HfError *err) {
  if (append_check_nesting(ledger, err) != SQLITE_OK ||
      append_check_seq(ledger, argv[LEDGER_COL_SEQ], err) != SQLITE_OK ||
      append_check_at(ledger, argv[LEDGER_COL_AT], &entry->at, err) !=
          SQLITE_OK) {
    return err->rc;
  }
  if (ledger->frontier.size >= HF_MERKLE_MAX) {
    return hf_fail_core(err, HF_RANGE);
  }
  entry->seq = (sqlite3_int64)ledger->frontier.size + 1;
  return append_check_hash(
      ledger, argv[ledger_col_prev(ledger)], ledger->head_hash,
      "ledger %s: prev_hash is not the head, which is %s: another entry came "
      "first, or a wrong one was given",
      err);
}

static int append_entry(HfLedger *ledger, sqlite3_value **argv,
                        AppendEntry *entry, HfError *err) {
  int level, completed;
  if (append_check(ledger, argv, entry, err) != SQLITE_OK) return err->rc;
  completed = hf_merkle_completed((uint64_t)entry->seq);
  for (level = 0; level < completed; level++) {
    if (ledger_load_level(ledger, &ledger->frontier, level, err) != SQLITE_OK) {
      return err->rc;
    }
  }
  if (ledger_leaf_hash(ledger, entry->seq, ledger->head_hash, entry->at,
                       entry->value, entry->hash, err) != SQLITE_OK ||
      append_check_hash(ledger, argv[ledger_col_hash(ledger)], entry->hash,
                        "ledger %s: hash is not the hash of this entry, which "
                        "is %s: compare seq, at, prev_hash and the columns",
                        err) != SQLITE_OK) {
    return err->rc;
  }
  if (append_write(ledger, entry, err) != SQLITE_OK) {
    ledger->head_valid = 0;
    append_harden(ledger, err);
  }
  return err->rc;
}

int ledger_append(HfLedger *ledger, sqlite3_value **argv, sqlite3_int64 *seq,
                  HfError *err) {
  LedgerValue value[LEDGER_MAX_COLUMNS];
  HfStmt defaults = {NULL, 0, 0};
  AppendEntry entry;
  entry.value = value;
  entry.seq = 0;
  entry.at = 0;
  if (append_prepare_append(ledger, err) == SQLITE_OK &&
      append_values(ledger, argv, value, &defaults, err) == SQLITE_OK) {
    append_entry(ledger, argv, &entry, err);
  }
  hf_stmt_give(&ledger->stmts, &defaults);
  if (err->rc == SQLITE_OK) *seq = entry.seq;
  return err->rc;
}
