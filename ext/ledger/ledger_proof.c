/*
** Merkle proofs in SQL (RFC 9162, sections 2.1.3 and 2.1.4).
**
**   ledger_inclusion_proof(name, seq [, size])
**   ledger_consistency_proof(name, old_size [, new_size])
**   merkle_verify_inclusion(leaf_hash, index, size, proof, root)
**   merkle_verify_consistency(old_size, new_size, proof, old_root, new_root)
**
** A proof is a BLOB: its hashes, 32 bytes each, one behind the other.  Checks
** are pure: whoever has the hashes needs no ledger.
*/
#include <string.h>

#include "core/proof.h"
#include "ledger/ledger.h"

/* ---- making proofs ------------------------------------------------------- */

typedef struct ProofSource {
  HfLedger *ledger;
  HfError *err;
} ProofSource;

static int proof_subtree(void *context, uint64_t end, int level,
                         unsigned char out[HF_SHA256_SIZE]) {
  const ProofSource *source = context;
  /* What went wrong is in source->err; any code but HF_OK ends the work. */
  return ledger_read_subtree(source->ledger, (sqlite3_int64)end, level, out,
                             source->err) == SQLITE_OK
             ? HF_OK
             : HF_RANGE;
}

/* A number argument from least to most; *out is `most` when it is left out. */
static int proof_number(const char *function, const char *what, int argc,
                        sqlite3_value **argv, int i, sqlite3_int64 least,
                        sqlite3_int64 most, sqlite3_int64 *out, HfError *err) {
  *out = most;
  if (err->rc != SQLITE_OK || i >= argc) return err->rc;
  *out = sqlite3_value_int64(argv[i]);
  if (sqlite3_value_type(argv[i]) == SQLITE_INTEGER && *out >= least &&
      *out <= most) {
    return SQLITE_OK;
  }
  return hf_fail(err, SQLITE_ERROR,
                 "%s: %s must be an integer from %lld to %lld", function, what,
                 least, most);
}

static void proof_result(sqlite3_context *context, const HfProof *proof,
                         HfError *err) {
  if (err->rc != SQLITE_OK) {
    hf_error_to_result(err, context);
  } else if (proof->count == 0) {
    sqlite3_result_zeroblob(context, 0);
  } else {
    sqlite3_result_blob(context, proof->hash, proof->count * HF_SHA256_SIZE,
                        SQLITE_TRANSIENT);
  }
}

/* What the two functions have in common: the ledger, the size of the tree (the
** last argument), and a number from 1 to that. */
static void proof_make(sqlite3_context *context, int argc, sqlite3_value **argv,
                       const char *function, const char *first,
                       const char *last, int consistency) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 entries = 0, size, number;
  const char *name = (const char *)sqlite3_value_text(argv[0]);
  HfProof proof;
  LedgerPin pin;
  if (hf_any_null(argc, argv)) return;
  memset(&pin, 0, sizeof(pin));
  proof.count = 0;
  if (name == NULL) {
    hf_fail(&err, SQLITE_NOMEM, NULL);
  } else if (ledger_pin(conn, name, &pin, &err) == SQLITE_OK &&
             ledger_read_size(pin.ledger, &entries, &err) == SQLITE_OK &&
             entries == 0) {
    hf_fail(&err, SQLITE_ERROR, "%s: ledger %s has no entries", function,
            pin.ledger->name);
  } else if (err.rc == SQLITE_OK &&
             proof_number(function, last, argc, argv, 2, 1, entries, &size,
                          &err) == SQLITE_OK &&
             proof_number(function, first, argc, argv, 1, 1, size, &number,
                          &err) == SQLITE_OK) {
    ProofSource source = {pin.ledger, &err};
    HfTree tree = {proof_subtree, &source, conn->sha};
    int rc = consistency ? hf_proof_consistency(&tree, (uint64_t)number,
                                                (uint64_t)size, &proof)
                         : hf_proof_inclusion(&tree, (uint64_t)number - 1,
                                              (uint64_t)size, &proof);
    if (err.rc == SQLITE_OK) hf_fail_core(&err, rc);
  }
  ledger_unpin(&pin);
  proof_result(context, &proof, &err);
}

/*
** ledger_inclusion_proof(name, seq [, size])
**
** That entry seq (INTEGER, from 1) is in the tree of the first `size` entries,
** or of all.  Returns the proof, a BLOB, empty for a tree of one; NULL when an
** argument is NULL.  Reads at most two entries a level of the tree.  Errors: a
** number outside 1 to the number of entries; no such ledger.
*/
static void proof_inclusion(sqlite3_context *context, int argc,
                            sqlite3_value **argv) {
  proof_make(context, argc, argv, "ledger_inclusion_proof", "seq", "size", 0);
}

/*
** ledger_consistency_proof(name, old_size [, new_size])
**
** That the tree of the first old_size entries (INTEGER, from 1) is the
** beginning of that of the first new_size, or of all.  Returns the proof, a
** BLOB, empty for equal sizes; NULL when an argument is NULL.  Errors: as
** above.
*/
static void proof_consistency(sqlite3_context *context, int argc,
                              sqlite3_value **argv) {
  proof_make(context, argc, argv, "ledger_consistency_proof", "old_size",
             "new_size", 1);
}

/* ---- checking proofs ----------------------------------------------------- */

/* The bytes of a BLOB argument; 0 with the error raised for another type. */
static int proof_blob(sqlite3_context *context, const char *words,
                      sqlite3_value *value, const unsigned char **data,
                      size_t *size) {
  if (sqlite3_value_type(value) != SQLITE_BLOB) {
    sqlite3_result_error(context, words, -1);
    return 0;
  }
  *data = sqlite3_value_blob(value);
  *size = (size_t)sqlite3_value_bytes(value);
  if (*data == NULL && *size > 0) {
    sqlite3_result_error_nomem(context);
    return 0;
  }
  return 1;
}

/* The arguments of a check: two numbers and three blobs, in the order in which
** `blob` lists them.  Returns 0 when the result is set already: an error, or 0
** for what no proof can be about. */
static int proof_arguments(sqlite3_context *context, const char *words,
                           sqlite3_value **argv, const int number[2],
                           const int blob[3], uint64_t value[2],
                           const unsigned char *data[3], size_t *proof_size) {
  size_t size[3];
  int i, good = 1;
  for (i = 0; i < 2; i++) {
    sqlite3_int64 n = sqlite3_value_int64(argv[number[i]]);
    if (sqlite3_value_type(argv[number[i]]) != SQLITE_INTEGER) {
      sqlite3_result_error(context, words, -1);
      return 0;
    }
    if (n < 0) good = 0;
    value[i] = (uint64_t)n;
  }
  for (i = 0; i < 3; i++) {
    if (!proof_blob(context, words, argv[blob[i]], &data[i], &size[i])) {
      return 0;
    }
  }
  /* The first one is the proof. */
  if (size[0] % HF_SHA256_SIZE != 0 ||
      size[0] > (size_t)HF_PROOF_MAX * HF_SHA256_SIZE ||
      size[1] != HF_SHA256_SIZE || size[2] != HF_SHA256_SIZE) {
    good = 0;
  }
  *proof_size = size[0] / HF_SHA256_SIZE;
  if (!good) sqlite3_result_int(context, 0);
  return good;
}

static void proof_verdict(sqlite3_context *context, int core_rc, int good) {
  HfError err = {SQLITE_OK, NULL};
  if (hf_fail_core(&err, core_rc) != SQLITE_OK) {
    hf_error_to_result(&err, context);
  } else {
    sqlite3_result_int(context, good);
  }
}

/*
** merkle_verify_inclusion(leaf_hash, index, size, proof, root)
**
** leaf_hash and root: BLOBs of 32 bytes; index (from 0) and size: INTEGER;
** proof: BLOB.  Returns 1 when the proof shows the leaf to be number index of a
** tree of that size and root, else 0, also for lengths and numbers that no
** proof can have; NULL when an argument is NULL.  Errors: another type.
*/
static void proof_verify_inclusion(sqlite3_context *context, int argc,
                                   sqlite3_value **argv) {
  static const int number[2] = {1, 2}, blob[3] = {3, 0, 4};
  HfConn *conn = sqlite3_user_data(context);
  const unsigned char *data[3];
  uint64_t value[2];
  size_t count;
  int good = 0, rc;
  if (hf_any_null(argc, argv)) return;
  if (!proof_arguments(context,
                       "merkle_verify_inclusion: the arguments are leaf_hash "
                       "(BLOB), index, size (INTEGER), proof, root (BLOB)",
                       argv, number, blob, value, data, &count)) {
    return;
  }
  rc = hf_proof_check_inclusion(conn->sha, data[1], value[0], value[1], data[0],
                                count, data[2], &good);
  proof_verdict(context, rc, good);
}

/*
** merkle_verify_consistency(old_size, new_size, proof, old_root, new_root)
**
** Sizes: INTEGER; proof: BLOB; roots: BLOBs of 32 bytes.  Returns 1 when the
** proof shows the old tree to be the beginning of the new one, else 0, also for
** lengths and numbers that no proof can have, an old size of 0 among them; NULL
** when an argument is NULL.  Errors: another type.
*/
static void proof_verify_consistency(sqlite3_context *context, int argc,
                                     sqlite3_value **argv) {
  static const int number[2] = {0, 1}, blob[3] = {2, 3, 4};
  HfConn *conn = sqlite3_user_data(context);
  const unsigned char *data[3];
  uint64_t value[2];
  size_t count;
  int good = 0, rc;
  if (hf_any_null(argc, argv)) return;
  if (!proof_arguments(context,
                       "merkle_verify_consistency: the arguments are old_size, "
                       "new_size (INTEGER), proof, old_root, new_root (BLOB)",
                       argv, number, blob, value, data, &count)) {
    return;
  }
  rc = hf_proof_check_consistency(conn->sha, value[0], value[1], data[0], count,
                                  data[1], data[2], &good);
  proof_verdict(context, rc, good);
}

int ledger_proof_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"ledger_inclusion_proof", 2, HF_LOOKUP, proof_inclusion},
      {"ledger_inclusion_proof", 3, HF_LOOKUP, proof_inclusion},
      {"ledger_consistency_proof", 2, HF_LOOKUP, proof_consistency},
      {"ledger_consistency_proof", 3, HF_LOOKUP, proof_consistency},
      {"merkle_verify_inclusion", 5, HF_PURE, proof_verify_inclusion},
      {"merkle_verify_consistency", 5, HF_PURE, proof_verify_consistency},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
