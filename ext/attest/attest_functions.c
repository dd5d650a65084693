/*
** Attestation: hashes of SQL values that anyone can recompute.
**
**   attest_canonical(v1, ..., vn)   the canonical encoding of a row, a BLOB
**   attest_hash(v1, ..., vn)        SHA-256 of it, a BLOB of 32 bytes
**   attest_sha256(bytes)            SHA-256 of a TEXT's or BLOB's bytes
**
** All are pure: usable in triggers, views, indexes, generated columns.
*/
#include <string.h>

#include "core/digest.h"
#include "sqlite/hf.h"

static int attest_write(HfSink *sink, int argc, sqlite3_value **argv) {
  int i, rc = SQLITE_OK;
  hf_sink_row(sink, argc);
  for (i = 0; i < argc && rc == SQLITE_OK; i++) {
    rc = hf_sink_value(sink, argv[i], 0);
  }
  return rc;
}

/*
** attest_canonical(v1, ..., vn)
**
** Any number of values of any type.  Returns the typed, injective encoding of
** the row as a BLOB.  Errors: the result would exceed SQLITE_LIMIT_LENGTH.
*/
static void attest_canonical(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  HfSink sink = {NULL, NULL, 0};
  int limit = sqlite3_limit(sqlite3_context_db_handle(context),
                            SQLITE_LIMIT_LENGTH, -1);
  if (attest_write(&sink, argc, argv) != SQLITE_OK) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (sink.size > limit) {
    sqlite3_result_error_toobig(context);
    return;
  }
  sink.block = sqlite3_malloc64((sqlite3_uint64)sink.size);
  if (sink.block == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  sink.size = 0;
  /* The values were converted the first time: nothing can fail now. */
  (void)attest_write(&sink, argc, argv);
  sqlite3_result_blob64(context, sink.block, (sqlite3_uint64)sink.size,
                        sqlite3_free);
}

/*
** attest_hash(v1, ..., vn)
**
** Any number of values of any type.  Returns SHA-256 of their canonical
** encoding, a BLOB of 32 bytes.
*/
static void attest_hash(sqlite3_context *context, int argc,
                        sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfSink sink = {conn->sha, NULL, 0};
  HfError err = {SQLITE_OK, NULL};
  unsigned char hash[HF_SHA256_SIZE];
  int rc;
  hf_sha256_begin(conn->sha);
  rc = attest_write(&sink, argc, argv);
  if (rc != SQLITE_OK) {
    hf_fail(&err, rc, NULL);
  } else {
    hf_fail_core(&err, hf_sha256_end(conn->sha, hash));
  }
  if (err.rc != SQLITE_OK) {
    hf_error_to_result(&err, context);
    return;
  }
  sqlite3_result_blob(context, hash, sizeof(hash), SQLITE_TRANSIENT);
}

/*
** attest_sha256(bytes)
**
** TEXT (its UTF-8 bytes) or BLOB.  Returns plain SHA-256 (FIPS 180-4), a BLOB
** of 32 bytes; NULL for NULL.  Errors: a number, whose bytes nobody agrees on.
*/
static void attest_sha256(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  unsigned char hash[HF_SHA256_SIZE];
  const void *data = NULL;
  int size;
  (void)argc;
  switch (sqlite3_value_type(argv[0])) {
    case SQLITE_NULL:
      return;
    case SQLITE_TEXT:
      data = sqlite3_value_text(argv[0]);
      break;
    case SQLITE_BLOB:
      data = sqlite3_value_blob(argv[0]);
      break;
    default:
      sqlite3_result_error(context,
                           "attest_sha256: TEXT or BLOB expected; CAST a "
                           "number to say which bytes are meant",
                           -1);
      return;
  }
  size = sqlite3_value_bytes(argv[0]);
  if (data == NULL &&
      (size > 0 || sqlite3_value_type(argv[0]) == SQLITE_TEXT)) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (hf_fail_core(&err, hf_sha256(conn->sha, data, (size_t)size, hash)) !=
      SQLITE_OK) {
    hf_error_to_result(&err, context);
    return;
  }
  sqlite3_result_blob(context, hash, sizeof(hash), SQLITE_TRANSIENT);
}

int hf_attest_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"attest_canonical", -1, HF_PURE, attest_canonical, NULL, NULL},
      {"attest_hash", -1, HF_PURE, attest_hash, NULL, NULL},
      {"attest_sha256", 1, HF_PURE, attest_sha256, NULL, NULL},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
