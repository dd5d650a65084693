/*
** Storage of a ledger: the head, the frontier, and the append.
**
** The head is read under the write lock, in the transaction that appends, and
** kept only for that transaction: a rollback of any size, a direct write to
** the entry table or an append from within a trigger makes it be read again.
** Entry n's `node` holds the roots of the perfect subtrees that it completes,
** level 1 first, so that the root of the subtree of level k that ends at n is
** one look-up away.
*/
#include <assert.h>
#include <string.h>

#include "ledger/ledger.h"

/* The SQL texts, the columns' names quoted and separated by commas. */
static void store_texts(HfLedger *ledger, const char *columns,
                        const char *params, HfError *err) {
  const char *schema = ledger->schema, *name = ledger->name;
  ledger->sql_head = sqlite3_mprintf(
      "SELECT seq, at, hash, node FROM \"%w\".\"%w_entry\""
      " ORDER BY seq DESC LIMIT 1",
      schema, name);
  ledger->sql_entry = sqlite3_mprintf(
      "SELECT hash, node FROM \"%w\".\"%w_entry\" WHERE seq = ?1", schema,
      name);
  ledger->sql_insert = sqlite3_mprintf(
      "INSERT INTO \"%w\".\"%w_entry\"(seq, at%s, hash, node)"
      " VALUES (?1, ?2%s)",
      schema, name, columns, params);
  ledger->sql_row = sqlite3_mprintf(
      "SELECT at%s FROM \"%w\".\"%w_entry\" WHERE seq = ?1", columns, schema,
      name);
  ledger->sql_scan = sqlite3_mprintf(
      "SELECT seq, at, hash, node%s FROM \"%w\".\"%w_entry\" ORDER BY seq",
      columns, schema, name);
  if (ledger->sql_head == NULL || ledger->sql_entry == NULL ||
      ledger->sql_insert == NULL || ledger->sql_row == NULL ||
      ledger->sql_scan == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
}

int ledger_store_prepare(HfLedger *ledger, HfError *err) {
  sqlite3_str *columns = sqlite3_str_new(NULL);
  sqlite3_str *params = sqlite3_str_new(NULL);
  sqlite3_str *defaults = sqlite3_str_new(NULL);
  char *text[2];
  int i, any = 0;
  for (i = 0; i < ledger->def.columns; i++) {
    const LedgerColumn *column = &ledger->def.column[i];
    sqlite3_str_appendf(columns, ", \"%w\"", column->name);
    sqlite3_str_appendf(defaults, "%s%s", i ? ", " : "SELECT ",
                        column->dflt ? column->dflt : "NULL");
    if (column->dflt != NULL) any = 1;
  }
  for (i = 0; i < ledger->def.columns + 2; i++) {
    sqlite3_str_appendf(params, ", ?%d", i + 3);
  }
  text[0] = hf_str_finish(columns, err);
  text[1] = hf_str_finish(params, err);
  ledger->sql_defaults = hf_str_finish(defaults, err);
  if (!any) {
    sqlite3_free(ledger->sql_defaults);
    ledger->sql_defaults = NULL;
  }
  if (err->rc == SQLITE_OK) store_texts(ledger, text[0], text[1], err);
  sqlite3_free(text[0]);
  sqlite3_free(text[1]);
  return err->rc;
}

static int store_damaged(HfLedger *ledger, sqlite3_int64 seq, HfError *err) {
  return hf_fail(err, SQLITE_CORRUPT_VTAB,
                 "ledger %s: entry %lld is missing or damaged; run "
                 "ledger_verify('%s')",
                 ledger->name, seq, ledger->name);
}

int ledger_take(HfLedger *ledger, const char *sql, HfStmt *out, HfError *err) {
  hf_stmt_take(&ledger->stmts, ledger->db, sql, out, err);
  if (err->rc == SQLITE_ERROR) {
    hf_error_clear(err);
    hf_fail(err, SQLITE_CORRUPT_VTAB,
            "ledger %s: its table %s_entry is missing or altered (%s); run "
            "ledger_verify('%s')",
            ledger->name, ledger->name, sqlite3_errmsg(ledger->db),
            ledger->name);
  }
  return err->rc;
}

/* ---- reading nodes --------------------------------------------------------- */

/* The hash of entry seq in out, and as many bytes of its node as it has, at
** most room levels; *levels is how many, 0 for NULL. */
static int store_read_entry(HfLedger *ledger, sqlite3_int64 seq,
                            unsigned char *out,
                            unsigned char (*node)[HF_SHA256_SIZE], int room,
                            int *levels, HfError *err) {
  HfStmt stmt;
  int size;
  *levels = 0;
  if (ledger_take(ledger, ledger->sql_entry, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, seq);
  switch (sqlite3_step(stmt.p)) {
    case SQLITE_ROW:
      size = sqlite3_column_bytes(stmt.p, 1);
      if (sqlite3_column_type(stmt.p, 0) != SQLITE_BLOB ||
          sqlite3_column_bytes(stmt.p, 0) != HF_SHA256_SIZE ||
          size % HF_SHA256_SIZE != 0) {
        store_damaged(ledger, seq, err);
        break;
      }
      memcpy(out, sqlite3_column_blob(stmt.p, 0), HF_SHA256_SIZE);
      *levels = size / HF_SHA256_SIZE;
      if (*levels > room) *levels = room;
      if (*levels > 0) {
        memcpy(node, sqlite3_column_blob(stmt.p, 1),
               (size_t)*levels * HF_SHA256_SIZE);
      }
      break;
    case SQLITE_DONE:
      store_damaged(ledger, seq, err);
      break;
    default:
      hf_fail_db(err, ledger->db);
  }
  hf_stmt_give(&ledger->stmts, &stmt);
  return err->rc;
}

/* The root of the perfect subtree of `level` that ends with entry seq.  Its
** node is NULL only after a direct INSERT, until the next append; then it is
** computed from the left siblings. */
static int store_subtree(HfLedger *ledger, sqlite3_int64 seq, int level,
                         unsigned char *out, HfError *err) {
  unsigned char node[HF_MERKLE_LEVELS][HF_SHA256_SIZE];
  unsigned char left[HF_SHA256_SIZE];
  int levels, k;
  assert(level <= hf_merkle_completed((uint64_t)seq));
  if (store_read_entry(ledger, seq, out, node, level, &levels, err) !=
      SQLITE_OK) {
    return err->rc;
  }
  if (levels == level) {
    if (level > 0) memcpy(out, node[level - 1], HF_SHA256_SIZE);
    return SQLITE_OK;
  }
  if (levels > 0) return store_damaged(ledger, seq, err);
  for (k = 0; k < level; k++) {
    sqlite3_int64 sibling = seq - ((sqlite3_int64)1 << k);
    if (store_subtree(ledger, sibling, k, left, err) != SQLITE_OK) break;
    hf_fail_core(err, hf_merkle_node(ledger->conn->sha, left, out, out));
  }
  return err->rc;
}

static int store_load_level(HfLedger *ledger, HfFrontier *frontier, int level,
                            HfError *err) {
  uint64_t end;
  if (frontier->known >> level & 1) return SQLITE_OK;
  assert(frontier->size >> level & 1);
  end = frontier->size >> level << level;
  if (store_subtree(ledger, (sqlite3_int64)end, level, frontier->root[level],
                    err) == SQLITE_OK) {
    frontier->known |= (uint64_t)1 << level;
  }
  return err->rc;
}

/* ---- the head --------------------------------------------------------------- */

/* Complete the node of the newest entry, which a direct INSERT left NULL. */
static int store_complete(HfLedger *ledger, sqlite3_int64 seq, HfError *err) {
  unsigned char node[HF_MERKLE_LEVELS][HF_SHA256_SIZE];
  int level, completed = hf_merkle_completed((uint64_t)seq);
  HfStmt stmt;
  for (level = 1; level <= completed; level++) {
    if (store_subtree(ledger, seq, level, node[level - 1], err) != SQLITE_OK) {
      return err->rc;
    }
  }
  memset(&stmt, 0, sizeof(stmt));
  if (hf_prepare(ledger->db, &stmt.p, err,
                 "UPDATE \"%w\".\"%w_entry\" SET node = ?2 WHERE seq = ?1",
                 ledger->schema, ledger->name) != SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_int64(stmt.p, 1, seq);
  sqlite3_bind_blob(stmt.p, 2, node, completed * HF_SHA256_SIZE, SQLITE_STATIC);
  hf_step_done(ledger->db, stmt.p, err);
  sqlite3_finalize(stmt.p);
  return err->rc;
}

static int store_empty_head(HfLedger *ledger, HfError *err) {
  LedgerConfig config;
  if (ledger_config_read(ledger, &config, err) == SQLITE_OK) {
    memcpy(ledger->head_hash, config.genesis, HF_SHA256_SIZE);
    ledger->head_at = INT64_MIN;
  }
  ledger_config_clear(&config);
  return err->rc;
}

/* The row of sql_head is there: take it over.  *complete: the newest entry
** waits for its node. */
static int store_head_row(HfLedger *ledger, sqlite3_stmt *row, int *complete,
                          HfError *err) {
  HfFrontier *frontier = &ledger->frontier;
  sqlite3_int64 seq = sqlite3_column_int64(row, 0);
  const unsigned char *node;
  int completed, size;
  if (seq < 1 || sqlite3_column_type(row, 1) != SQLITE_INTEGER ||
      sqlite3_column_type(row, 2) != SQLITE_BLOB ||
      sqlite3_column_bytes(row, 2) != HF_SHA256_SIZE) {
    return store_damaged(ledger, seq, err);
  }
  ledger->head_at = sqlite3_column_int64(row, 1);
  memcpy(ledger->head_hash, sqlite3_column_blob(row, 2), HF_SHA256_SIZE);
  frontier->size = (uint64_t)seq;
  completed = hf_merkle_completed(frontier->size);
  node = sqlite3_column_blob(row, 3);
  size = sqlite3_column_bytes(row, 3);
  if (size != 0 && size != completed * HF_SHA256_SIZE) {
    return store_damaged(ledger, seq, err);
  }
  *complete = size == 0 && completed > 0;
  if (*complete) return SQLITE_OK;
  memcpy(frontier->root[completed],
         completed == 0 ? ledger->head_hash
                        : node + (completed - 1) * HF_SHA256_SIZE,
         HF_SHA256_SIZE);
  frontier->known = (uint64_t)1 << completed;
  return SQLITE_OK;
}

static int store_load_head(HfLedger *ledger, HfError *err) {
  HfStmt stmt;
  int complete = 0;
  ledger->head_valid = 0;
  ledger->head_loads++;
  ledger->head_generation = ledger->conn->generation;
  ledger->frontier.size = 0;
  ledger->frontier.known = 0;
  if (ledger_take(ledger, ledger->sql_head, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  switch (sqlite3_step(stmt.p)) {
    case SQLITE_ROW:
      store_head_row(ledger, stmt.p, &complete, err);
      break;
    case SQLITE_DONE:
      store_empty_head(ledger, err);
      break;
    default:
      hf_fail_db(err, ledger->db);
  }
  hf_stmt_give(&ledger->stmts, &stmt);
  if (err->rc == SQLITE_OK && complete) {
    store_complete(ledger, (sqlite3_int64)ledger->frontier.size, err);
  }
  if (err->rc == SQLITE_OK) ledger->head_valid = 1;
  return err->rc;
}

/* ---- append ------------------------------------------------------------------ */

/* Code of a refusal.  OR IGNORE skips rows that violate UNIQUE, NOT NULL or
** CHECK, as everywhere; it must not swallow the ledger's own rules, and SQLite
** ignores every constraint error of a virtual table. */
static int store_refusal(HfLedger *ledger) {
  return sqlite3_vtab_on_conflict(ledger->db) == SQLITE_IGNORE
             ? SQLITE_ERROR
             : SQLITE_CONSTRAINT_VTAB;
}

static int store_check_seq(HfLedger *ledger, sqlite3_value *value,
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
  return hf_fail(err, store_refusal(ledger),
                 "ledger %s: seq must be %lld, the next one; leave it NULL to "
                 "append",
                 ledger->name, next);
}

static int store_check_at(HfLedger *ledger, sqlite3_value *value,
                          sqlite3_int64 *at, HfError *err) {
  sqlite3_int64 now = 0;
  int given = sqlite3_value_type(value) != SQLITE_NULL;
  if (given && sqlite3_value_type(value) != SQLITE_INTEGER) {
    return hf_fail(err, store_refusal(ledger),
                   "ledger %s: at must be an INTEGER, milliseconds since 1970",
                   ledger->name);
  }
  *at = sqlite3_value_int64(value);
  if (!given || !ledger->def.clock_caller) {
    if (hf_clock_now(ledger->vfs, &now, err) != SQLITE_OK) return err->rc;
  }
  if (!given) {
    *at = now > ledger->head_at ? now : ledger->head_at;
    return SQLITE_OK;
  }
  if (*at < ledger->head_at) {
    return hf_fail(err, store_refusal(ledger),
                   "ledger %s: at %lld is earlier than the previous entry's "
                   "%lld",
                   ledger->name, *at, ledger->head_at);
  }
  if (!ledger->def.clock_caller && *at > now + LEDGER_AHEAD_MS) {
    return hf_fail(err, store_refusal(ledger),
                   "ledger %s: at %lld is more than %d s ahead of the clock "
                   "(%lld); explicit times are trusted with clock='caller'",
                   ledger->name, *at, LEDGER_AHEAD_MS / 1000, now);
  }
  return SQLITE_OK;
}

/* A hash the caller gave, NULL for none, against the right one. */
static int store_check_hash(HfLedger *ledger, sqlite3_value *value,
                            const unsigned char *right, const char *words,
                            HfError *err) {
  char hex[2 * HF_SHA256_SIZE + 1];
  if (sqlite3_value_type(value) == SQLITE_NULL) return SQLITE_OK;
  if (sqlite3_value_type(value) == SQLITE_BLOB &&
      sqlite3_value_bytes(value) == HF_SHA256_SIZE &&
      memcmp(sqlite3_value_blob(value), right, HF_SHA256_SIZE) == 0) {
    return SQLITE_OK;
  }
  hf_hex(right, HF_SHA256_SIZE, hex);
  return hf_fail(err, store_refusal(ledger), words, ledger->name, hex);
}

static const char *store_type_name(int type) {
  static const char *const name[] = {"ANY",  "INTEGER", "REAL",
                                     "TEXT", "BLOB",    "NULL"};
  return name[type];
}

static int store_check_types(HfLedger *ledger, sqlite3_value *const *value,
                             HfError *err) {
  int i;
  for (i = 0; i < ledger->def.columns; i++) {
    int kind = ledger->def.column[i].kind;
    int type = sqlite3_value_type(value[i]);
    if (type == kind || kind == 0 || type == SQLITE_NULL) continue;
    if (kind == SQLITE_FLOAT && type == SQLITE_INTEGER) continue;
    return hf_fail(err, store_refusal(ledger),
                   "ledger %s: column %s takes %s, not %s", ledger->name,
                   ledger->def.column[i].name, store_type_name(kind),
                   store_type_name(type));
  }
  return SQLITE_OK;
}

/* Bind without copying: the values outlive the step. */
static void store_bind(sqlite3_stmt *stmt, int i, const LedgerColumn *column,
                       sqlite3_value *value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      if (column->kind == SQLITE_FLOAT) {
        sqlite3_bind_double(stmt, i, (double)sqlite3_value_int64(value));
      } else {
        sqlite3_bind_int64(stmt, i, sqlite3_value_int64(value));
      }
      break;
    case SQLITE_FLOAT:
      /* Adding zero turns -0.0 into 0.0, as it is hashed. */
      sqlite3_bind_double(stmt, i, sqlite3_value_double(value) + 0.0);
      break;
    case SQLITE_TEXT: {
      const char *text = (const char *)sqlite3_value_text(value);
      sqlite3_bind_text64(stmt, i, text,
                          (sqlite3_uint64)sqlite3_value_bytes(value),
                          SQLITE_STATIC, SQLITE_UTF8);
      break;
    }
    case SQLITE_BLOB: {
      const void *blob = sqlite3_value_blob(value);
      int size = sqlite3_value_bytes(value);
      /* An empty blob has no address, and NULL would bind a NULL. */
      if (size == 0) {
        sqlite3_bind_zeroblob(stmt, i, 0);
      } else {
        sqlite3_bind_blob64(stmt, i, blob, (sqlite3_uint64)size,
                            SQLITE_STATIC);
      }
      break;
    }
    default:
      sqlite3_bind_null(stmt, i);
  }
}

/* An entry on its way into the file. */
typedef struct StoreEntry {
  sqlite3_int64 seq;
  sqlite3_int64 at;
  sqlite3_value *const *value;
  unsigned char hash[HF_SHA256_SIZE];
  int levels; /* of node */
  unsigned char node[HF_MERKLE_LEVELS][HF_SHA256_SIZE];
} StoreEntry;

static int store_run_insert(HfLedger *ledger, const StoreEntry *entry,
                            sqlite3_stmt *stmt) {
  int columns = ledger->def.columns;
  int i;
  sqlite3_bind_int64(stmt, 1, entry->seq);
  sqlite3_bind_int64(stmt, 2, entry->at);
  for (i = 0; i < columns; i++) {
    store_bind(stmt, i + 3, &ledger->def.column[i], entry->value[i]);
  }
  sqlite3_bind_blob(stmt, columns + 3, entry->hash, HF_SHA256_SIZE,
                    SQLITE_STATIC);
  if (entry->levels > 0) {
    sqlite3_bind_blob(stmt, columns + 4, entry->node,
                      entry->levels * HF_SHA256_SIZE, SQLITE_STATIC);
  }
  return sqlite3_step(stmt);
}

/* Run the INSERT.  A kept statement fails to be prepared again when a trigger
** that uses a virtual table came in the meantime; then nothing was run yet,
** and a statement for this transaction alone takes its place. */
static int store_insert(HfLedger *ledger, const StoreEntry *entry,
                        HfError *err) {
  HfStmt stmt;
  if (ledger_take(ledger, ledger->sql_insert, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  if (store_run_insert(ledger, entry, stmt.p) != SQLITE_DONE) {
    int kept = !stmt.fresh && !stmt.local;
    hf_fail_db(err, ledger->db);
    if (err->rc == SQLITE_ERROR && kept) {
      HfError again = {SQLITE_OK, NULL};
      sqlite3_finalize(stmt.p);
      if (ledger_take(ledger, ledger->sql_insert, &stmt, &again) == SQLITE_OK &&
          stmt.local) {
        hf_error_clear(err);
        if (store_run_insert(ledger, entry, stmt.p) != SQLITE_DONE) {
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
static void store_harden(HfLedger *ledger, HfError *err) {
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
static int store_check_nesting(HfLedger *ledger, HfError *err) {
  const HfPending *p;
  for (p = ledger->conn->pending; p != NULL; p = p->outer) {
    if (p->id != ledger->id || p->seq <= (sqlite3_int64)ledger->frontier.size) {
      continue;
    }
    return hf_fail(err, store_refusal(ledger),
                   "ledger %s: a BEFORE INSERT trigger on %s_entry cannot "
                   "append to the same ledger; use an AFTER INSERT trigger",
                   ledger->name, ledger->name);
  }
  return SQLITE_OK;
}

/* The store's part between knowing the entry and having it in the file. */
static int store_write(HfLedger *ledger, StoreEntry *entry, HfError *err) {
  HfConn *conn = ledger->conn;
  HfPending pending = {ledger->id, entry->seq, conn->pending};
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
  store_insert(ledger, entry, err);
  conn->depth--;
  conn->pending = pending.outer;
  if (err->rc == SQLITE_OK && sqlite3_changes(ledger->db) != 1) {
    hf_fail(err, store_refusal(ledger),
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

static int store_prepare_append(HfLedger *ledger, HfError *err) {
  if (ledger->conn->depth >= LEDGER_MAX_DEPTH) {
    return hf_fail(err, SQLITE_ERROR,
                   "ledger %s: appends in triggers of appends are nested more "
                   "than %d deep",
                   ledger->name, LEDGER_MAX_DEPTH);
  }
  if (ledger->id < 0) {
    LedgerConfig config;
    if (ledger_config_read(ledger, &config, err) == SQLITE_OK) {
      ledger_id(ledger->conn, config.genesis, ledger->name, &ledger->id, err);
    }
    ledger_config_clear(&config);
  }
  if (err->rc == SQLITE_OK &&
      (!ledger->head_valid ||
       ledger->head_generation != ledger->conn->generation)) {
    store_load_head(ledger, err);
  }
  return err->rc;
}

/* A virtual table cannot tell a column that was left out from one that was
** given as NULL: both take the column's DEFAULT.  Points value[] at the
** values to store; *defaults lends those that it evaluated. */
static int store_values(HfLedger *ledger, sqlite3_value **argv,
                        sqlite3_value **value, HfStmt *defaults,
                        HfError *err) {
  int i;
  for (i = 0; i < ledger->def.columns; i++) {
    value[i] = argv[LEDGER_COL_FIRST + i];
    if (ledger->def.column[i].dflt == NULL ||
        sqlite3_value_type(value[i]) != SQLITE_NULL) {
      continue;
    }
    if (defaults->p == NULL) {
      if (ledger_take(ledger, ledger->sql_defaults, defaults, err) !=
          SQLITE_OK) {
        return err->rc;
      }
      if (sqlite3_step(defaults->p) != SQLITE_ROW) {
        return hf_fail_db(err, ledger->db);
      }
    }
    value[i] = sqlite3_column_value(defaults->p, i);
  }
  return SQLITE_OK;
}

/* Everything that is given must agree with the head and the declaration. */
static int store_check(HfLedger *ledger, sqlite3_value **argv,
                       StoreEntry *entry, HfError *err) {
  if (store_check_nesting(ledger, err) != SQLITE_OK ||
      store_check_seq(ledger, argv[LEDGER_COL_SEQ], err) != SQLITE_OK ||
      store_check_types(ledger, entry->value, err) != SQLITE_OK ||
      store_check_at(ledger, argv[LEDGER_COL_AT], &entry->at, err) !=
          SQLITE_OK) {
    return err->rc;
  }
  if (ledger->frontier.size >= HF_MERKLE_MAX) {
    return hf_fail_core(err, HF_RANGE);
  }
  entry->seq = (sqlite3_int64)ledger->frontier.size + 1;
  return store_check_hash(
      ledger, argv[ledger_col_prev(ledger)], ledger->head_hash,
      "ledger %s: prev_hash is not the head, which is %s: another entry came "
      "first, or a wrong one was given",
      err);
}

static int store_append(HfLedger *ledger, sqlite3_value **argv,
                        StoreEntry *entry, HfError *err) {
  int level, completed;
  if (store_check(ledger, argv, entry, err) != SQLITE_OK) return err->rc;
  completed = hf_merkle_completed((uint64_t)entry->seq);
  for (level = 0; level < completed; level++) {
    if (store_load_level(ledger, &ledger->frontier, level, err) != SQLITE_OK) {
      return err->rc;
    }
  }
  if (ledger_leaf_hash(ledger, entry->seq, ledger->head_hash, entry->at,
                       entry->value, entry->hash, err) != SQLITE_OK ||
      store_check_hash(ledger, argv[ledger_col_hash(ledger)], entry->hash,
                       "ledger %s: hash is not the hash of this entry, which "
                       "is %s: compare seq, at, prev_hash and the columns",
                       err) != SQLITE_OK) {
    return err->rc;
  }
  if (store_write(ledger, entry, err) != SQLITE_OK) {
    ledger->head_valid = 0;
    store_harden(ledger, err);
  }
  return err->rc;
}

int ledger_append(HfLedger *ledger, sqlite3_value **argv, sqlite3_int64 *seq,
                  HfError *err) {
  sqlite3_value *value[LEDGER_MAX_COLUMNS];
  HfStmt defaults = {NULL, 0, 0};
  StoreEntry entry;
  entry.value = value;
  if (store_prepare_append(ledger, err) == SQLITE_OK &&
      store_values(ledger, argv, value, &defaults, err) == SQLITE_OK) {
    store_append(ledger, argv, &entry, err);
  }
  hf_stmt_give(&ledger->stmts, &defaults);
  if (err->rc == SQLITE_OK) *seq = entry.seq;
  return err->rc;
}

/* ---- reading ------------------------------------------------------------------ */

int ledger_read_size(HfLedger *ledger, sqlite3_int64 *size, HfError *err) {
  HfStmt stmt;
  *size = 0;
  if (ledger_take(ledger, ledger->sql_head, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  switch (sqlite3_step(stmt.p)) {
    case SQLITE_ROW:
      *size = sqlite3_column_int64(stmt.p, 0);
      if (*size < 1) store_damaged(ledger, *size, err);
      break;
    case SQLITE_DONE:
      break;
    default:
      hf_fail_db(err, ledger->db);
  }
  hf_stmt_give(&ledger->stmts, &stmt);
  return err->rc;
}

int ledger_read_head(HfLedger *ledger, sqlite3_int64 size, unsigned char *out,
                     HfError *err) {
  LedgerConfig config;
  int levels;
  if (size > 0) {
    return store_read_entry(ledger, size, out, NULL, 0, &levels, err);
  }
  if (ledger_config_read(ledger, &config, err) == SQLITE_OK) {
    memcpy(out, config.genesis, HF_SHA256_SIZE);
  }
  ledger_config_clear(&config);
  return err->rc;
}

int ledger_read_root(HfLedger *ledger, sqlite3_int64 size, unsigned char *out,
                     HfError *err) {
  HfFrontier frontier;
  int level;
  frontier.size = (uint64_t)size;
  frontier.known = 0;
  for (level = 0; level < HF_MERKLE_LEVELS; level++) {
    if (!(frontier.size >> level & 1)) continue;
    if (store_load_level(ledger, &frontier, level, err) != SQLITE_OK) {
      return err->rc;
    }
  }
  return hf_fail_core(err, hf_frontier_root(ledger->conn->sha, &frontier, out));
}
