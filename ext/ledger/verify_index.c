/*
** Verification of the indexes on a ledger's entry table.
**
** An index that does not hold what the table holds hides entries from queries
** while a scan still finds every hash right.  Table and index are compared as
** sets, by the sums of keyed hashes of (seq, key), in one pass over each; the
** index must also be in order, or look-ups would miss what it holds.  Only
** when something differs are the entries looked up one by one and named.
*/
#include <string.h>

#include "core/siphash.h"
#include "ledger/verify.h"

/* ---- which indexes ------------------------------------------------------- */

static int index_find_column(const LedgerDef *def, const char *name) {
  int i;
  for (i = 0; name != NULL && i < def->columns; i++) {
    if (sqlite3_stricmp(name, def->column[i].name) == 0) return i;
  }
  return -1;
}

/* The key columns of an index; 0 when one is not a declared column. */
static int index_columns(HfLedger *ledger, VerifyIndex *index, HfError *err) {
  sqlite3_stmt *stmt;
  int good = 1, rc;
  if (hf_prepare(ledger->db, &stmt, err,
                 "SELECT name FROM pragma_index_xinfo(%Q, %Q)"
                 " WHERE key ORDER BY seqno",
                 index->name, ledger->schema) != SQLITE_OK) {
    return 0;
  }
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    int column = index_find_column(&ledger->def,
                                   (const char *)sqlite3_column_text(stmt, 0));
    if (column < 0 || index->columns == LEDGER_MAX_COLUMNS) {
      good = 0;
      break;
    }
    index->column[index->columns++] = column;
  }
  if (good && rc != SQLITE_DONE) hf_fail_db(err, ledger->db);
  sqlite3_finalize(stmt);
  return good && index->columns > 0;
}

int verify_indexes_open(HfLedger *ledger, VerifyIndexes *indexes,
                        HfError *err) {
  sqlite3_stmt *stmt;
  int rc;
  memset(indexes, 0, sizeof(*indexes));
  sqlite3_randomness(sizeof(indexes->key), indexes->key);
  if (hf_prepare(ledger->db, &stmt, err,
                 "SELECT name, partial FROM pragma_index_list('%q_entry', %Q)"
                 " ORDER BY name",
                 ledger->name, ledger->schema) != SQLITE_OK) {
    return err->rc;
  }
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
    VerifyIndex *more;
    if (rc != SQLITE_ROW) {
      hf_fail_db(err, ledger->db);
      break;
    }
    more = sqlite3_realloc64(
        indexes->index, sizeof(*more) * (sqlite3_uint64)(indexes->count + 1));
    if (more == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
      break;
    }
    indexes->index = more;
    more += indexes->count;
    memset(more, 0, sizeof(*more));
    more->name = hf_column_text(stmt, 0, err);
    if (more->name != NULL && !sqlite3_column_int(stmt, 1) &&
        index_columns(ledger, more, err)) {
      indexes->count++;
    } else {
      indexes->others = 1;
      sqlite3_free(more->name);
    }
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

static void index_reset(VerifyIndexes *indexes) {
  int i;
  sqlite3_finalize(indexes->scan);
  sqlite3_finalize(indexes->lookup);
  indexes->scan = NULL;
  indexes->lookup = NULL;
  indexes->sum = 0;
  indexes->rows = 0;
  for (i = 0; i <= LEDGER_MAX_COLUMNS; i++) {
    sqlite3_value_free(indexes->last[i]);
    indexes->last[i] = NULL;
  }
}

void verify_indexes_close(VerifyIndexes *indexes) {
  int i;
  index_reset(indexes);
  for (i = 0; i < indexes->count; i++) sqlite3_free(indexes->index[i].name);
  sqlite3_free(indexes->index);
  indexes->index = NULL;
  indexes->count = 0;
}

/* ---- sums ---------------------------------------------------------------- */

/* The type goes into the key, so that '1' and 1 differ. */
static uint64_t index_hash_value(const uint64_t key[2], sqlite3_value *value) {
  uint64_t typed[2];
  sqlite3_int64 integer;
  double real;
  int type = sqlite3_value_type(value);
  typed[0] = key[0] ^ (uint64_t)type;
  typed[1] = key[1];
  switch (type) {
    case SQLITE_INTEGER:
      integer = sqlite3_value_int64(value);
      return hf_siphash(typed, &integer, sizeof(integer));
    case SQLITE_FLOAT:
      real = sqlite3_value_double(value) + 0.0;
      return hf_siphash(typed, &real, sizeof(real));
    case SQLITE_NULL:
      return typed[0];
    default: {
      const void *data = sqlite3_value_blob(value);
      return hf_siphash(typed, data, (size_t)sqlite3_value_bytes(value));
    }
  }
}

static uint64_t index_hash(const uint64_t key[2], sqlite3_int64 seq,
                           sqlite3_value *const *value, const int *column,
                           int columns) {
  uint64_t hash = (uint64_t)seq;
  int i;
  for (i = 0; i < columns; i++) {
    uint64_t pair[2];
    pair[0] = hash;
    pair[1] = index_hash_value(key, value[column ? column[i] : i]);
    hash = hf_siphash(key, pair, sizeof(pair));
  }
  return hash;
}

void verify_indexes_row(VerifyIndexes *indexes, sqlite3_int64 seq,
                        sqlite3_value *const *value) {
  int i;
  for (i = 0; i < indexes->count; i++) {
    VerifyIndex *index = &indexes->index[i];
    index->sum +=
        index_hash(indexes->key, seq, value, index->column, index->columns);
    index->rows++;
  }
}

/* ---- order --------------------------------------------------------------- */

static int index_class(sqlite3_value *value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_NULL:
      return 0;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
      return 1;
    case SQLITE_TEXT:
      return 2;
    default:
      return 3;
  }
}

static int index_compare_bytes(sqlite3_value *a, sqlite3_value *b) {
  int size_a = sqlite3_value_bytes(a), size_b = sqlite3_value_bytes(b);
  int size = size_a < size_b ? size_a : size_b;
  int order = 0;
  if (size > 0) {
    order = memcmp(sqlite3_value_blob(a), sqlite3_value_blob(b), (size_t)size);
  }
  return order != 0 ? order : (size_a > size_b) - (size_a < size_b);
}

/* SQLite's order of values under the collation BINARY. */
static int index_compare(sqlite3_value *a, sqlite3_value *b) {
  int class_a = index_class(a), class_b = index_class(b);
  if (class_a != class_b) return class_a - class_b;
  if (class_a == 0) return 0;
  if (class_a >= 2) return index_compare_bytes(a, b);
  if (sqlite3_value_type(a) == SQLITE_INTEGER &&
      sqlite3_value_type(b) == SQLITE_INTEGER) {
    sqlite3_int64 x = sqlite3_value_int64(a), y = sqlite3_value_int64(b);
    return (x > y) - (x < y);
  } else {
    double x = sqlite3_value_double(a), y = sqlite3_value_double(b);
    return (x > y) - (x < y);
  }
}

/* Compare the row of the scan (seq, then the keys) with the one before it, and
** keep it for the next. */
static int index_check_order(VerifyIndexes *indexes, int columns,
                             HfError *err) {
  int i, order = 0;
  for (i = 1; i <= columns && order == 0 && indexes->last[0] != NULL; i++) {
    order =
        index_compare(indexes->last[i], sqlite3_column_value(indexes->scan, i));
  }
  if (indexes->last[0] != NULL && order == 0) {
    order =
        index_compare(indexes->last[0], sqlite3_column_value(indexes->scan, 0));
  }
  /* Equal would be the same key twice.  A REAL beside a huge INTEGER may look
  ** equal here; then the sums decide. */
  if (order > 0) indexes->disorder = 1;
  for (i = 0; i <= columns; i++) {
    sqlite3_value_free(indexes->last[i]);
    indexes->last[i] =
        sqlite3_value_dup(sqlite3_column_value(indexes->scan, i));
    if (indexes->last[i] == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return SQLITE_OK;
}

/* ---- work ---------------------------------------------------------------- */

/* The key columns, each preceded or joined by `glue`. */
static char *index_list(const HfLedger *ledger, const VerifyIndex *index,
                        const char *format, HfError *err) {
  sqlite3_str *text = sqlite3_str_new(NULL);
  int i;
  for (i = 0; i < index->columns; i++) {
    sqlite3_str_appendf(text, format, ledger->def.column[index->column[i]].name,
                        i + 2);
  }
  return hf_str_finish(text, err);
}

static int index_prepare(HfLedger *ledger, VerifyIndexes *indexes,
                         int scan_index, int look_up, HfError *err) {
  const VerifyIndex *index = &indexes->index[indexes->current];
  const char *schema = ledger->schema, *name = ledger->name;
  char *columns = index_list(ledger, index, ", \"%w\"", err);
  char *equal = index_list(ledger, index, " AND \"%w\" IS ?%d", err);
  index_reset(indexes);
  if (err->rc == SQLITE_OK && scan_index) {
    hf_prepare(ledger->db, &indexes->scan, err,
               "SELECT seq%s FROM \"%w\".\"%w_entry\" INDEXED BY \"%w\""
               " ORDER BY %s",
               columns, schema, name, index->name, columns + 2);
  } else if (err->rc == SQLITE_OK) {
    hf_prepare(ledger->db, &indexes->scan, err,
               "SELECT seq%s FROM \"%w\".\"%w_entry\" NOT INDEXED", columns,
               schema, name);
  }
  if (err->rc == SQLITE_OK && look_up && scan_index) {
    hf_prepare(ledger->db, &indexes->lookup, err,
               "SELECT 1 FROM \"%w\".\"%w_entry\" NOT INDEXED"
               " WHERE seq = ?1%s",
               schema, name, equal);
  } else if (err->rc == SQLITE_OK && look_up) {
    hf_prepare(ledger->db, &indexes->lookup, err,
               "SELECT 1 FROM \"%w\".\"%w_entry\" INDEXED BY \"%w\""
               " WHERE seq = ?1%s",
               schema, name, index->name, equal);
  }
  sqlite3_free(columns);
  sqlite3_free(equal);
  return err->rc;
}

/* The row of the scan, looked up on the other side. */
static int index_look_up(HfLedger *ledger, VerifyIndexes *indexes,
                         VerifyQueue *queue, HfError *err) {
  const VerifyIndex *index = &indexes->index[indexes->current];
  sqlite3_int64 seq = sqlite3_column_int64(indexes->scan, 0);
  int i, rc;
  for (i = 0; i <= index->columns; i++) {
    sqlite3_bind_value(indexes->lookup, i + 1,
                       sqlite3_column_value(indexes->scan, i));
  }
  rc = sqlite3_step(indexes->lookup);
  if (rc == SQLITE_DONE) {
    indexes->named = 1;
    verify_add(queue, err, "index_mismatch", seq,
               indexes->phase == INDEX_ROWS
                   ? "the index %s does not find this entry"
                   : "the index %s has a key for this entry that it does not "
                     "have",
               index->name);
  } else if (rc != SQLITE_ROW) {
    hf_fail_db(err, ledger->db);
  }
  sqlite3_reset(indexes->lookup);
  return err->rc;
}

static void index_scan_row(VerifyIndexes *indexes, HfError *err) {
  const VerifyIndex *index = &indexes->index[indexes->current];
  sqlite3_value *value[LEDGER_MAX_COLUMNS];
  int i;
  for (i = 0; i < index->columns; i++) {
    value[i] = sqlite3_column_value(indexes->scan, i + 1);
  }
  indexes->sum +=
      index_hash(indexes->key, sqlite3_column_int64(indexes->scan, 0), value,
                 NULL, index->columns);
  indexes->rows++;
  index_check_order(indexes, index->columns, err);
}

/* A scan has ended: what comes next? */
static int index_advance(HfLedger *ledger, VerifyIndexes *indexes,
                         VerifyQueue *queue, HfError *err) {
  const VerifyIndex *index = &indexes->index[indexes->current];
  switch (indexes->phase) {
    case INDEX_SCAN:
      if (indexes->sum == index->sum && indexes->rows == index->rows &&
          !indexes->disorder) {
        indexes->phase = INDEX_END;
        break;
      }
      indexes->phase = INDEX_ROWS;
      return index_prepare(ledger, indexes, 0, 1, err);
    case INDEX_ROWS:
      indexes->phase = INDEX_KEYS;
      return index_prepare(ledger, indexes, 1, 1, err);
    case INDEX_KEYS:
      if (!indexes->named) {
        verify_add(queue, err, "index_mismatch", 0,
                   "the index %s does not hold what the table holds",
                   index->name);
      }
      indexes->phase = INDEX_END;
      break;
    default:
      break;
  }
  return err->rc;
}

/* Indexes that users made, on expressions, on seq, at or hash, or partial ones:
** SQLite itself compares them with the table. */
static int index_check_others(HfLedger *ledger, VerifyIndexes *indexes,
                              VerifyQueue *queue, HfError *err) {
  const char *words;
  int rc;
  if (indexes->scan == NULL) {
    return hf_prepare(ledger->db, &indexes->scan, err,
                      "PRAGMA \"%w\".integrity_check(\"%w_entry\")",
                      ledger->schema, ledger->name);
  }
  rc = sqlite3_step(indexes->scan);
  if (rc == SQLITE_ROW) {
    words = (const char *)sqlite3_column_text(indexes->scan, 0);
    if (words == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    } else if (sqlite3_strlike("%index%", words, 0) == 0 ||
               sqlite3_strlike("%tree%", words, 0) == 0 ||
               sqlite3_strlike("%order%", words, 0) == 0) {
      verify_add(queue, err, "index_mismatch", 0, "%s", words);
    }
  } else if (rc == SQLITE_DONE) {
    indexes->others = 0;
    index_reset(indexes);
  } else {
    hf_fail_db(err, ledger->db);
  }
  return err->rc;
}

int verify_indexes_step(HfLedger *ledger, VerifyIndexes *indexes,
                        VerifyQueue *queue, HfError *err) {
  int rc;
  if (indexes->current >= indexes->count) {
    if (!indexes->others) return SQLITE_DONE;
    return index_check_others(ledger, indexes, queue, err) == SQLITE_OK
               ? SQLITE_ROW
               : err->rc;
  }
  if (indexes->phase == INDEX_BEGIN) {
    indexes->disorder = 0;
    indexes->named = 0;
    indexes->phase = INDEX_SCAN;
    index_prepare(ledger, indexes, 1, 0, err);
  } else if (indexes->phase == INDEX_END) {
    index_reset(indexes);
    indexes->phase = INDEX_BEGIN;
    indexes->current++;
  } else {
    rc = sqlite3_step(indexes->scan);
    if (rc == SQLITE_DONE) {
      index_advance(ledger, indexes, queue, err);
    } else if (rc != SQLITE_ROW) {
      hf_fail_db(err, ledger->db);
    } else if (indexes->phase == INDEX_SCAN) {
      index_scan_row(indexes, err);
    } else {
      index_look_up(ledger, indexes, queue, err);
    }
  }
  return err->rc == SQLITE_OK ? SQLITE_ROW : err->rc;
}
