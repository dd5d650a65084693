/*
** Verification of a ledger: a stream of findings, in constant memory.
**
** The entries are read once, in order.  An entry's hash is recomputed from its
** content and the *stored* hash of the entry before it, so that one change is
** one finding.  A wrong entry is reported when the next one was seen: if that
** follows from the computed hash, only the stored one was changed.
**
** Nodes are compared with their stored children, so one changed node is one
** finding, too, not one a level.
*/
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "ledger/verify.h"

typedef enum VerifyPhase {
  VERIFY_ENTRIES,
  VERIFY_CHECKPOINTS,
  VERIFY_INDEXES,
  VERIFY_DONE
} VerifyPhase;

/* An entry as the scan shows it. */
typedef struct VerifyEntry {
  sqlite3_int64 seq;
  unsigned char stored[HF_SHA256_SIZE];   /* the hash in the row */
  unsigned char computed[HF_SHA256_SIZE]; /* the one that follows from it */
  int known;                              /* computed is filled in */
  int doubtful;  /* they differ: a finding as soon as the next is seen */
  int node_fits; /* its nodes follow from the stored hash */
  int node_open; /* its node is NULL though it completes a subtree */
} VerifyEntry;

struct LedgerVerify {
  HfLedger *ledger;
  VerifyPhase phase;
  char *origin;
  sqlite3_stmt *snapshot; /* holds one read transaction for the whole run */
  HfStmt scan;
  VerifyQueue queue;
  LedgerTotals totals;
  VerifyIndexes indexes;
  VerifyCheckpoints checkpoints;

  VerifyEntry last; /* seq 0: none yet; its stored hash is the genesis */
  int last_known;   /* last.stored is what the next entry must follow */
  sqlite3_int64 last_at;
  /* Root of the newest perfect subtree of each level, and where it ends. */
  unsigned char root[HF_MERKLE_LEVELS][HF_SHA256_SIZE];
  sqlite3_int64 root_end[HF_MERKLE_LEVELS];
  /* The tree of the hashes as they are stored, whatever the nodes say. */
  HfFrontier tree;
  int tree_known; /* no entry before this one is missing */
};

/* ---- findings ------------------------------------------------------------ */

int verify_add(VerifyQueue *queue, HfError *err, const char *finding,
               sqlite3_int64 seq, const char *format, ...) {
  LedgerFinding *more;
  va_list args;
  if (err->rc != SQLITE_OK) return err->rc;
  if (queue->count == queue->room) {
    int room = queue->room ? 2 * queue->room : 8;
    more =
        sqlite3_realloc64(queue->finding, sizeof(*more) * (sqlite3_uint64)room);
    if (more == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
    queue->finding = more;
    queue->room = room;
  }
  more = &queue->finding[queue->count];
  more->finding = finding;
  more->seq = seq;
  more->object = NULL;
  va_start(args, format);
  more->detail = sqlite3_vmprintf(format, args);
  va_end(args);
  if (more->detail == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  queue->count++;
  return SQLITE_OK;
}

int verify_add_object(VerifyQueue *queue, HfError *err, const char *finding,
                      const char *object, const char *words) {
  if (verify_add(queue, err, finding, 0, words, object) == SQLITE_OK) {
    queue->finding[queue->count - 1].object = hf_format(err, "%s", object);
  }
  return err->rc;
}

void verify_queue_clear(VerifyQueue *queue) {
  int i;
  for (i = 0; i < queue->count; i++) {
    sqlite3_free(queue->finding[i].detail);
    sqlite3_free(queue->finding[i].object);
  }
  queue->count = 0;
  queue->given = 0;
}

/* ---- entries ------------------------------------------------------------- */

/* The last entry was doubtful; now it is known what followed it.  An entry
** that others follow was there before them, so it was altered.  The newest one
** was altered if its nodes still fit its hash; else nothing speaks for it. */
static void verify_resolve(LedgerVerify *v, int newest, HfError *err) {
  VerifyEntry *last = &v->last;
  if (!last->doubtful) return;
  last->doubtful = 0;
  if (newest && !last->node_fits) {
    verify_add(&v->queue, err, "entry_forged", last->seq,
               "its content does not fit its hash, and nothing in the ledger "
               "was derived from that");
  } else {
    verify_add(&v->queue, err, "entry_altered", last->seq,
               "its content, or its hash, was changed: they do not fit "
               "together");
  }
}

/* Entries between the last one and seq are not there. */
static void verify_gap(LedgerVerify *v, sqlite3_int64 seq, HfError *err) {
  sqlite3_int64 first = v->last.seq + 1;
  verify_resolve(v, 0, err);
  v->last_known = 0;
  v->tree_known = 0;
  if (first == seq - 1) {
    verify_add(&v->queue, err, "entry_missing", first,
               "entry %lld is missing; so %lld, which followed it, cannot be "
               "checked",
               first, seq);
  } else {
    verify_add(&v->queue, err, "entry_missing", first,
               "entries %lld to %lld are missing; so %lld, which followed "
               "them, cannot be checked",
               first, seq - 1, seq);
  }
}

/* Compare the entry's hash with its content and the chain. */
static void verify_hash(LedgerVerify *v, VerifyEntry *entry, sqlite3_int64 at,
                        sqlite3_value *const *stored, HfError *err) {
  HfLedger *ledger = v->ledger;
  LedgerValue value[LEDGER_MAX_COLUMNS];
  unsigned char other[HF_SHA256_SIZE];
  if (!v->last_known) return;
  if (ledger_values_read(ledger, stored, value, err) != SQLITE_OK ||
      ledger_leaf_hash(ledger, entry->seq, v->last.stored, at, value,
                       entry->computed, err) != SQLITE_OK) {
    return;
  }
  entry->known = 1;
  v->totals.checked++;
  if (memcmp(entry->computed, entry->stored, HF_SHA256_SIZE) == 0) {
    verify_resolve(v, 0, err);
    return;
  }
  /* Perhaps only the stored hash of the entry before was changed. */
  if (v->last.doubtful && v->last.known) {
    if (ledger_leaf_hash(ledger, entry->seq, v->last.computed, at, value, other,
                         err) != SQLITE_OK) {
      return;
    }
    if (memcmp(other, entry->stored, HF_SHA256_SIZE) == 0) {
      verify_resolve(v, 0, err);
      return;
    }
  }
  verify_resolve(v, 0, err);
  entry->doubtful = 1;
}

/* What verify_nodes() computes of an entry's nodes: parent[level], if computed
** has that bit, is the node above two hashes of that level as they are stored,
** of which right[level] is the second. */
typedef struct VerifyParents {
  uint64_t computed;
  const unsigned char *right[HF_MERKLE_LEVELS];
  unsigned char parent[HF_MERKLE_LEVELS][HF_SHA256_SIZE];
} VerifyParents;

/* Append the entry's hash to the tree.  Where the stored nodes are right, no
** node is hashed twice. */
static void verify_tree(LedgerVerify *v, const VerifyEntry *entry,
                        const VerifyParents *known, HfError *err) {
  int completed = hf_merkle_completed((uint64_t)entry->seq);
  unsigned char carry[HF_SHA256_SIZE];
  int level;
  if (!v->tree_known) return;
  memcpy(carry, entry->stored, HF_SHA256_SIZE);
  for (level = 0; level < completed; level++) {
    const unsigned char *left = v->tree.root[level];
    if (known->computed >> level & 1 &&
        memcmp(left, v->root[level], HF_SHA256_SIZE) == 0 &&
        memcmp(carry, known->right[level], HF_SHA256_SIZE) == 0) {
      memcpy(carry, known->parent[level], HF_SHA256_SIZE);
    } else if (hf_fail_core(err, hf_merkle_node(v->ledger->conn->sha, left,
                                                carry, carry)) != SQLITE_OK) {
      return;
    }
  }
  memcpy(v->tree.root[completed], carry, HF_SHA256_SIZE);
  v->tree.size = (uint64_t)entry->seq;
  v->tree.known = v->tree.size;
}

/* Compute the parents from the hashes and nodes as they are stored, and compare
** them with the nodes.  Returns the lowest level of one that is wrong, or 0. */
static int verify_parents(LedgerVerify *v, VerifyEntry *entry,
                          const unsigned char *node, int completed,
                          VerifyParents *known, HfError *err) {
  int level, wrong = 0;
  for (level = 0; level < completed; level++) {
    const unsigned char *right =
        level == 0 ? entry->stored
                   : node + (size_t)(level - 1) * HF_SHA256_SIZE;
    unsigned char *parent = known->parent[level];
    if (v->root_end[level] != entry->seq - ((sqlite3_int64)1 << level)) {
      continue;
    }
    if (hf_fail_core(err, hf_merkle_node(v->ledger->conn->sha, v->root[level],
                                         right, parent)) != SQLITE_OK) {
      break;
    }
    known->computed |= (uint64_t)1 << level;
    known->right[level] = right;
    if (memcmp(parent, node + (size_t)level * HF_SHA256_SIZE, HF_SHA256_SIZE) !=
        0) {
      if (wrong == 0) wrong = level + 1;
    } else if (level == 0) {
      entry->node_fits = 1;
    }
  }
  return wrong;
}

/* Compare the entry's nodes with their children as they are stored. */
static void verify_nodes(LedgerVerify *v, VerifyEntry *entry,
                         sqlite3_value *stored, HfError *err) {
  int type = sqlite3_value_type(stored);
  const unsigned char *node = sqlite3_value_blob(stored);
  int completed = hf_merkle_completed((uint64_t)entry->seq);
  int size = sqlite3_value_bytes(stored);
  int level, wrong = 0;
  int sound = type == SQLITE_BLOB && completed > 0 &&
              size == completed * HF_SHA256_SIZE;
  VerifyParents known;
  known.computed = 0;
  if (type == SQLITE_NULL) {
    entry->node_open = completed > 0;
  } else if (!sound) {
    verify_add(&v->queue, err, "node_altered", entry->seq,
               "its node is not %d hashes but %d bytes", completed, size);
  } else {
    wrong = verify_parents(v, entry, node, completed, &known, err);
  }
  verify_tree(v, entry, &known, err);
  for (level = 1; sound && level <= completed; level++) {
    memcpy(v->root[level], node + (size_t)(level - 1) * HF_SHA256_SIZE,
           HF_SHA256_SIZE);
    v->root_end[level] = entry->seq;
  }
  if (wrong > 0) {
    verify_add(&v->queue, err, "node_altered", entry->seq,
               "the root of its subtree of %lld entries is not that of its "
               "halves",
               (sqlite3_int64)1 << wrong);
  }
}

/* Compare the checkpoints of this size with the tree. */
static void verify_compare(LedgerVerify *v, sqlite3_int64 size,
                           sqlite3_int64 at, HfError *err) {
  unsigned char root[HF_SHA256_SIZE];
  if (v->tree_known &&
      hf_fail_core(err, hf_frontier_root(v->ledger->conn->sha, &v->tree,
                                         root)) != SQLITE_OK) {
    return;
  }
  verify_checkpoints_compare(v->ledger, &v->checkpoints, size, at,
                             v->tree_known ? root : NULL, &v->queue, err);
}

/* A row whose number cannot be: before the first, twice, or out of order. */
static int verify_stranger(LedgerVerify *v, sqlite3_int64 seq, HfError *err) {
  if (seq > v->last.seq) return 0;
  verify_add(&v->queue, err, "entry_forged", seq,
             "entry %lld stands behind entry %lld", seq, v->last.seq);
  return 1;
}

/* The columns of sql_scan. */
enum { SCAN_SEQ, SCAN_AT, SCAN_HASH, SCAN_NODE, SCAN_FIRST };

static void verify_row(LedgerVerify *v, HfError *err) {
  /* Each sqlite3_column_…() takes the connection's mutex; these do it once a
  ** column. */
  sqlite3_value *row[SCAN_FIRST + LEDGER_MAX_COLUMNS];
  sqlite3_value **value = row + SCAN_FIRST;
  VerifyEntry entry;
  sqlite3_int64 at;
  int columns = SCAN_FIRST + v->ledger->def.columns;
  int i;
  assert(columns >= SCAN_FIRST);
  for (i = 0; i < columns; i++) row[i] = sqlite3_column_value(v->scan.p, i);
  memset(&entry, 0, sizeof(entry));
  entry.seq = sqlite3_value_int64(row[SCAN_SEQ]);
  at = sqlite3_value_int64(row[SCAN_AT]);
  v->totals.entries++;
  verify_indexes_row(&v->indexes, entry.seq, value);
  if (verify_stranger(v, entry.seq, err)) return;
  if (entry.seq != v->last.seq + 1) verify_gap(v, entry.seq, err);
  if (v->last.node_open) {
    verify_add(&v->queue, err, "node_altered", v->last.seq,
               "its node is missing");
  }
  if (sqlite3_value_type(row[SCAN_AT]) != SQLITE_INTEGER ||
      sqlite3_value_type(row[SCAN_HASH]) != SQLITE_BLOB ||
      sqlite3_value_bytes(row[SCAN_HASH]) != HF_SHA256_SIZE) {
    verify_resolve(v, 0, err);
    verify_add(&v->queue, err, "entry_altered", entry.seq,
               "its time or its hash is not of the right type or length");
    v->last = entry;
    v->last_known = 0;
    v->tree_known = 0;
    if (v->checkpoints.due <= entry.seq) verify_compare(v, entry.seq, at, err);
    return;
  }
  memcpy(entry.stored, sqlite3_value_blob(row[SCAN_HASH]), HF_SHA256_SIZE);
  if (at < v->last_at) {
    verify_add(&v->queue, err, "time_reversed", entry.seq,
               "its time %lld is earlier than the previous entry's %lld", at,
               v->last_at);
  }
  verify_hash(v, &entry, at, value, err);
  verify_nodes(v, &entry, row[SCAN_NODE], err);
  memcpy(v->root[0], entry.stored, HF_SHA256_SIZE);
  v->root_end[0] = entry.seq;
  v->last = entry;
  v->last_known = 1;
  v->last_at = at;
  if (v->checkpoints.due <= entry.seq) verify_compare(v, entry.seq, at, err);
}

/* ---- the order of work --------------------------------------------------- */

static int verify_begin(LedgerVerify *v, HfError *err) {
  HfLedger *ledger = v->ledger;
  hf_prepare(ledger->db, &v->snapshot, err,
             "SELECT 1 FROM \"%w\".sqlite_schema", ledger->schema);
  if (err->rc == SQLITE_OK) hf_step_done(ledger->db, v->snapshot, err);
  if (err->rc == SQLITE_OK) {
    verify_structure(ledger, &v->queue, v->last.stored, &v->origin, err);
  }
  return err->rc;
}

static int verify_begin_entries(LedgerVerify *v, const LedgerScope *scope,
                                HfError *err) {
  HfLedger *ledger = v->ledger;
  v->last_known = 1;
  v->last_at = INT64_MIN;
  v->tree_known = 1;
  if (verify_checkpoints_open(ledger, &v->checkpoints, scope, v->origin,
                              &v->queue, err) != SQLITE_OK) {
    return err->rc;
  }
  if (v->checkpoints.due == 0) verify_compare(v, 0, INT64_MIN, err);
  if (ledger_take(ledger, ledger->sql_scan, &v->scan, err) ==
      SQLITE_CORRUPT_VTAB) {
    verify_add(&v->queue, &(HfError){SQLITE_OK, NULL}, "entry_missing", 0,
               "the entries cannot be read: %s", err->message);
    hf_error_clear(err);
    v->phase = VERIFY_CHECKPOINTS;
    return SQLITE_OK;
  }
  v->phase = VERIFY_ENTRIES;
  return verify_indexes_open(ledger, &v->indexes, err);
}

int ledger_verify_open(HfLedger *ledger, const LedgerScope *scope,
                       LedgerVerify **out, HfError *err) {
  LedgerVerify *v = sqlite3_malloc64(sizeof(*v));
  *out = NULL;
  if (v == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  memset(v, 0, sizeof(*v));
  v->ledger = ledger;
  v->phase = VERIFY_DONE;
  if (verify_begin(v, err) == SQLITE_OK && !scope->structure) {
    verify_begin_entries(v, scope, err);
  }
  if (err->rc != SQLITE_OK) {
    ledger_verify_close(v);
    return err->rc;
  }
  *out = v;
  return SQLITE_OK;
}

static int verify_work(LedgerVerify *v, HfError *err) {
  switch (v->phase) {
    case VERIFY_ENTRIES:
      switch (sqlite3_step(v->scan.p)) {
        case SQLITE_ROW:
          verify_row(v, err);
          break;
        case SQLITE_DONE:
          verify_resolve(v, 1, err);
          hf_stmt_give(&v->ledger->stmts, &v->scan);
          v->phase = VERIFY_CHECKPOINTS;
          break;
        default:
          hf_fail_db(err, v->ledger->db);
      }
      return err->rc;
    case VERIFY_CHECKPOINTS:
      if (verify_checkpoints_end(v->ledger, &v->checkpoints, v->last.seq,
                                 &v->queue, err) == SQLITE_DONE) {
        v->phase = VERIFY_INDEXES;
        verify_tracked(v->ledger, &v->queue, err);
      }
      return err->rc;
    case VERIFY_INDEXES:
      if (verify_indexes_step(v->ledger, &v->indexes, &v->queue, err) ==
          SQLITE_DONE) {
        v->phase = VERIFY_DONE;
      }
      return err->rc;
    default:
      return SQLITE_OK;
  }
}

int ledger_verify_next(LedgerVerify *v, const LedgerFinding **finding,
                       HfError *err) {
  if (v->queue.given == v->queue.count) verify_queue_clear(&v->queue);
  while (v->queue.count == 0) {
    if (v->phase == VERIFY_DONE) return SQLITE_DONE;
    if (verify_work(v, err) != SQLITE_OK) return err->rc;
  }
  *finding = &v->queue.finding[v->queue.given++];
  v->totals.findings++;
  return SQLITE_ROW;
}

void ledger_verify_close(LedgerVerify *v) {
  if (v == NULL) return;
  hf_stmt_give(&v->ledger->stmts, &v->scan);
  verify_indexes_close(&v->indexes);
  verify_checkpoints_close(&v->checkpoints);
  verify_queue_clear(&v->queue);
  sqlite3_free(v->queue.finding);
  sqlite3_finalize(v->snapshot);
  sqlite3_free(v->origin);
  sqlite3_free(v);
}

const LedgerTotals *ledger_verify_totals(const LedgerVerify *v) {
  return &v->totals;
}

const LedgerAnchor *ledger_verify_anchor(const LedgerVerify *v) {
  return &v->checkpoints.anchor;
}
