/*
** Storage of a ledger: the head, the frontier and the nodes, as the entry table
** has them.
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

/* NOT INDEXED: an index might tell something else than the table.
**
** The SQL texts, the columns' names quoted and separated by commas; to be read
** they have the table's, or SQLite would take one that is gone for a string. */
static void store_texts(HfLedger *ledger, const char *columns,
                        const char *reads, const char *params, HfError *err) {
  const char *schema = ledger->schema, *name = ledger->name;
  ledger->sql_head =
      sqlite3_mprintf("SELECT seq, at, hash, node FROM \"%w\".\"%w_entry\""
                      " NOT INDEXED ORDER BY seq DESC LIMIT 1",
                      schema, name);
  ledger->sql_entry = sqlite3_mprintf(
      "SELECT hash, node FROM \"%w\".\"%w_entry\" NOT INDEXED WHERE seq = ?1",
      schema, name);
  ledger->sql_insert =
      sqlite3_mprintf("INSERT INTO \"%w\".\"%w_entry\"(seq, at%s, hash, node)"
                      " VALUES (?1, ?2%s)",
                      schema, name, columns, params);
  ledger->sql_row = sqlite3_mprintf(
      "SELECT at%s FROM \"%w\".\"%w_entry\" AS e NOT INDEXED WHERE seq = ?1",
      reads, schema, name);
  ledger->sql_scan = sqlite3_mprintf(
      "SELECT seq, at, hash, node%s FROM \"%w\".\"%w_entry\" AS e NOT INDEXED"
      " ORDER BY seq",
      reads, schema, name);
  if (ledger->sql_head == NULL || ledger->sql_entry == NULL ||
      ledger->sql_insert == NULL || ledger->sql_row == NULL ||
      ledger->sql_scan == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
}

int ledger_store_prepare(HfLedger *ledger, HfError *err) {
  sqlite3_str *columns = sqlite3_str_new(NULL);
  sqlite3_str *reads = sqlite3_str_new(NULL);
  sqlite3_str *params = sqlite3_str_new(NULL);
  sqlite3_str *defaults = sqlite3_str_new(NULL);
  char *text[3];
  int i, any = 0;
  for (i = 0; i < ledger->def.columns; i++) {
    const LedgerColumn *column = &ledger->def.column[i];
    sqlite3_str_appendf(columns, ", \"%w\"", column->name);
    sqlite3_str_appendf(reads, ", e.\"%w\"", column->name);
    sqlite3_str_appendf(defaults, "%s%s", i ? ", " : "SELECT ",
                        column->dflt ? column->dflt : "NULL");
    if (column->dflt != NULL) any = 1;
  }
  for (i = 0; i < ledger->def.columns + 2; i++) {
    sqlite3_str_appendf(params, ", ?%d", i + 3);
  }
  text[0] = hf_str_finish(columns, err);
  text[1] = hf_str_finish(reads, err);
  text[2] = hf_str_finish(params, err);
  ledger->sql_defaults = hf_str_finish(defaults, err);
  if (!any) {
    sqlite3_free(ledger->sql_defaults);
    ledger->sql_defaults = NULL;
  }
  if (err->rc == SQLITE_OK) store_texts(ledger, text[0], text[1], text[2], err);
  for (i = 0; i < 3; i++) sqlite3_free(text[i]);
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

/* ---- reading nodes ------------------------------------------------------- */

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
/* The recursion goes down a level each time, so at most 62 deep. */
// NOLINTNEXTLINE(misc-no-recursion)
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

int ledger_read_subtree(HfLedger *ledger, sqlite3_int64 end, int level,
                        unsigned char *out, HfError *err) {
  return store_subtree(ledger, end, level, out, err);
}

int ledger_load_level(HfLedger *ledger, HfFrontier *frontier, int level,
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

/* ---- the head ------------------------------------------------------------ */

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
  ledger->frontier.size = 0;
  ledger->frontier.known = 0;
  if (ledger_config_read(ledger, &config, err) == SQLITE_OK) {
    memcpy(ledger->head_hash, config.genesis, HF_SHA256_SIZE);
    ledger->head_at = INT64_MIN;
  }
  ledger_config_clear(&config);
  return err->rc;
}

/* The row of sql_head is there: take it over.  *complete: the newest entry
** waits for its node.  A frontier of this very head is kept, for the head's
** hash stands for all that is before it. */
static int store_head_row(HfLedger *ledger, sqlite3_stmt *row, int *complete,
                          HfError *err) {
  HfFrontier *frontier = &ledger->frontier;
  sqlite3_int64 seq = sqlite3_column_int64(row, 0);
  sqlite3_value *at = sqlite3_column_value(row, 1);
  sqlite3_value *hash = sqlite3_column_value(row, 2);
  const unsigned char *node;
  int completed, size, same;
  if (seq < 1 || sqlite3_value_type(at) != SQLITE_INTEGER ||
      sqlite3_value_type(hash) != SQLITE_BLOB ||
      sqlite3_value_bytes(hash) != HF_SHA256_SIZE) {
    return store_damaged(ledger, seq, err);
  }
  same =
      frontier->size == (uint64_t)seq &&
      memcmp(ledger->head_hash, sqlite3_value_blob(hash), HF_SHA256_SIZE) == 0;
  ledger->head_at = sqlite3_value_int64(at);
  memcpy(ledger->head_hash, sqlite3_value_blob(hash), HF_SHA256_SIZE);
  frontier->size = (uint64_t)seq;
  if (!same) frontier->known = 0;
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
                        : node + (size_t)(completed - 1) * HF_SHA256_SIZE,
         HF_SHA256_SIZE);
  frontier->known |= (uint64_t)1 << completed;
  return SQLITE_OK;
}

int ledger_load_head(HfLedger *ledger, HfError *err) {
  HfStmt stmt;
  int complete = 0, stale;
  ledger->head_valid = 0;
  ledger->head_loads++;
  ledger->head_generation = ledger->conn->generation;
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
  stale = !stmt.fresh &&
          sqlite3_stmt_status(stmt.p, SQLITE_STMTSTATUS_REPREPARE, 1) > 0;
  hf_stmt_give(&ledger->stmts, &stmt);
  /* The schema has changed: see append_prepare_append(). */
  if (stale) hf_stmts_clear(&ledger->stmts);
  if (err->rc == SQLITE_OK && complete) {
    store_complete(ledger, (sqlite3_int64)ledger->frontier.size, err);
  }
  if (err->rc == SQLITE_OK) ledger->head_valid = 1;
  return err->rc;
}

/* ---- reading ------------------------------------------------------------- */

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
    if (ledger_load_level(ledger, &frontier, level, err) != SQLITE_OK) {
      return err->rc;
    }
  }
  return hf_fail_core(err, hf_frontier_root(ledger->conn->sha, &frontier, out));
}
