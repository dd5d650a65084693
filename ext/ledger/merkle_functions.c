/*
** Merkle tree functions of RFC 6962, section 2.1.  All are pure.
**
**   merkle_leaf_hash(data)          SHA-256(0x00 || data)
**   merkle_node_hash(left, right)   SHA-256(0x01 || left || right)
**   merkle_root(data)               aggregate: the root over the leaves
*/
#include <string.h>

#include "ledger/ledger.h"

/* The bytes of a TEXT or BLOB argument; 0 with the error raised otherwise. */
static int merkle_bytes(sqlite3_context *context, const char *function,
                        sqlite3_value *value, const void **data, size_t *size) {
  char *words;
  switch (sqlite3_value_type(value)) {
    case SQLITE_TEXT:
      *data = hf_value_text(value, size);
      if (*data != NULL) return 1;
      break;
    case SQLITE_BLOB:
      *data = sqlite3_value_blob(value);
      *size = (size_t)sqlite3_value_bytes(value);
      if (*data != NULL || *size == 0) return 1;
      break;
    default:
      words = sqlite3_mprintf("%s: the data must be a BLOB or TEXT", function);
      if (words == NULL) break;
      sqlite3_result_error(context, words, -1);
      sqlite3_free(words);
      return 0;
  }
  sqlite3_result_error_nomem(context);
  return 0;
}

static void merkle_result(sqlite3_context *context, int core_rc,
                          const unsigned char *hash) {
  HfError err = {SQLITE_OK, NULL};
  if (hf_fail_core(&err, core_rc) != SQLITE_OK) {
    hf_error_to_result(&err, context);
    return;
  }
  sqlite3_result_blob(context, hash, HF_SHA256_SIZE, SQLITE_TRANSIENT);
}

/*
** merkle_leaf_hash(data)
**
** BLOB or TEXT.  Returns SHA-256(0x00 || data), 32 bytes; NULL for NULL.
*/
static void merkle_leaf_hash(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  unsigned char hash[HF_SHA256_SIZE];
  const void *data;
  size_t size;
  (void)argc;
  if (sqlite3_value_type(argv[0]) == SQLITE_NULL) return;
  if (!merkle_bytes(context, "merkle_leaf_hash", argv[0], &data, &size)) return;
  merkle_result(context, hf_merkle_leaf(conn->sha, data, size, hash), hash);
}

/*
** merkle_node_hash(left, right)
**
** Two BLOBs of 32 bytes.  Returns SHA-256(0x01 || left || right), 32 bytes;
** NULL if either is NULL.  Errors: another type or length.
*/
static void merkle_node_hash(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  unsigned char child[2][HF_SHA256_SIZE];
  int i;
  for (i = 0; i < argc; i++) {
    if (sqlite3_value_type(argv[i]) == SQLITE_NULL) return;
  }
  for (i = 0; i < argc; i++) {
    if (sqlite3_value_type(argv[i]) != SQLITE_BLOB ||
        sqlite3_value_bytes(argv[i]) != HF_SHA256_SIZE) {
      sqlite3_result_error(
          context, "merkle_node_hash: a node is a BLOB of 32 bytes", -1);
      return;
    }
    const void *blob = sqlite3_value_blob(argv[i]);
    if (blob == NULL) {
      sqlite3_result_error_nomem(context);
      return;
    }
    memcpy(child[i], blob, HF_SHA256_SIZE);
  }
  merkle_result(context,
                hf_merkle_node(conn->sha, child[0], child[1], child[0]),
                child[0]);
}

/*
** merkle_root(data)
**
** Aggregate over BLOB or TEXT leaf data in the order the rows come.  Returns
** the root of the tree, 32 bytes; that of the empty tree, SHA-256(''), when
** there are no rows.  As a window function: the root so far.  A NULL is an
** error: a missing leaf is no leaf.
*/
static void merkle_root_step(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfFrontier *frontier = sqlite3_aggregate_context(context, sizeof(*frontier));
  unsigned char leaf[HF_SHA256_SIZE];
  HfError err = {SQLITE_OK, NULL};
  const void *data;
  size_t size;
  int rc;
  (void)argc;
  if (frontier == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (!merkle_bytes(context, "merkle_root", argv[0], &data, &size)) return;
  rc = hf_merkle_leaf(conn->sha, data, size, leaf);
  if (rc == HF_OK) rc = hf_frontier_append(conn->sha, frontier, leaf, NULL);
  if (hf_fail_core(&err, rc) != SQLITE_OK) hf_error_to_result(&err, context);
}

static void merkle_root_value(sqlite3_context *context) {
  HfConn *conn = sqlite3_user_data(context);
  HfFrontier *frontier = sqlite3_aggregate_context(context, 0);
  HfFrontier none;
  unsigned char root[HF_SHA256_SIZE];
  if (frontier == NULL) {
    none.size = 0;
    none.known = 0;
    frontier = &none;
  }
  merkle_result(context, hf_frontier_root(conn->sha, frontier, root), root);
}

int hf_merkle_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"merkle_leaf_hash", 1, HF_PURE, merkle_leaf_hash},
      {"merkle_node_hash", 2, HF_PURE, merkle_node_hash},
  };
  int rc = hf_register_functions(conn, functions,
                                 sizeof(functions) / sizeof(*functions));
  if (rc != SQLITE_OK) return rc;
  return hf_register_aggregate(conn, "merkle_root", 1, merkle_root_step,
                               merkle_root_value, merkle_root_value);
}
