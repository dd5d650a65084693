/*
** Attestation: hashes of SQL values that anyone can recompute.
**
**   attest_canonical(v1, ..., vn)   the canonical encoding of a row, a BLOB
**   attest_decode(encoding, ...)    its values, as JSON
**   attest_hash(v1, ..., vn)        SHA-256 of it, a BLOB of 32 bytes
**   attest_hash_agg(v1, ..., vn)    aggregate: SHA-256 of the rows in order
**   attest_sha256(bytes)            SHA-256 of a TEXT's or BLOB's bytes
**
** All are pure: usable in triggers, views, indexes, generated columns.  Those
** that take a key are in attest_keys.c.
*/
#include <string.h>

#include "attest/attest.h"
#include "core/digest.h"

int attest_write(HfSink *sink, int argc, sqlite3_value **argv) {
  int i, rc = SQLITE_OK;
  hf_sink_row(sink, argc);
  for (i = 0; i < argc && rc == SQLITE_OK; i++) {
    rc = hf_sink_value(sink, argv[i], 0);
  }
  return rc;
}

int attest_encode(sqlite3_context *context, int argc, sqlite3_value **argv,
                  unsigned char **out, sqlite3_int64 *size) {
  HfSink sink = {NULL, NULL, 0, 0};
  int limit = sqlite3_limit(sqlite3_context_db_handle(context),
                            SQLITE_LIMIT_LENGTH, -1);
  *out = NULL;
  if (attest_write(&sink, argc, argv) != SQLITE_OK) {
    sqlite3_result_error_nomem(context);
    return 0;
  }
  if (sink.size > limit) {
    sqlite3_result_error_toobig(context);
    return 0;
  }
  sink.block = sqlite3_malloc64((sqlite3_uint64)sink.size);
  if (sink.block == NULL) {
    sqlite3_result_error_nomem(context);
    return 0;
  }
  sink.room = sink.size;
  sink.size = 0;
  /* The values were converted the first time: nothing can fail now. */
  (void)attest_write(&sink, argc, argv);
  *out = sink.block;
  *size = sink.size;
  return 1;
}

/*
** attest_canonical(v1, ..., vn)
**
** Any number of values of any type.  Returns the typed, injective encoding of
** the row as a BLOB.  Errors: the result would exceed SQLITE_LIMIT_LENGTH.
*/
static void attest_canonical(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  unsigned char few[512], *data;
  HfSink sink = {NULL, few, 0, sizeof(few)};
  sqlite3_int64 size;
  /* Most rows are short: one pass, and no block to be allocated. */
  if (attest_write(&sink, argc, argv) == SQLITE_OK && sink.size <= sink.room) {
    sqlite3_result_blob(context, few, (int)sink.size, SQLITE_TRANSIENT);
  } else if (attest_encode(context, argc, argv, &data, &size)) {
    sqlite3_result_blob64(context, data, (sqlite3_uint64)size, sqlite3_free);
  }
}

/*
** attest_decode(encoding [, column, ...])
**
** encoding: a BLOB of attest_canonical(); columns: INTEGER, from 0; all when
** none is given.  Returns their values as a JSON array, TEXT, to be read by
** people: a REAL has a point or an exponent, a BLOB is {"blob":hex}, TEXT that
** is not UTF-8 {"text":hex}.  NULL for anything that is no encoding.
*/
static void attest_decode(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  const unsigned char *data;
  sqlite3_str *json;
  size_t size;
  int i, rc, found;
  if (argc == 0) {
    sqlite3_result_error(context, "attest_decode: the encoding is missing", -1);
    return;
  }
  data = sqlite3_value_blob(argv[0]);
  size = (size_t)sqlite3_value_bytes(argv[0]);
  if (sqlite3_value_type(argv[0]) != SQLITE_BLOB || data == NULL) return;
  json = sqlite3_str_new(sqlite3_context_db_handle(context));
  found = argc == 1 ? hf_json_row(json, data, size) : 1;
  for (i = 1; i < argc && found; i++) {
    sqlite3_str_appendchar(json, 1, i == 1 ? '[' : ',');
    found = sqlite3_value_type(argv[i]) == SQLITE_INTEGER &&
            hf_json_column(json, data, size, sqlite3_value_int64(argv[i]));
  }
  if (argc > 1) sqlite3_str_appendchar(json, 1, ']');
  rc = sqlite3_str_errcode(json);
  if (rc == SQLITE_OK && found) {
    sqlite3_result_text(context, sqlite3_str_finish(json), -1, sqlite3_free);
    return;
  }
  sqlite3_free(sqlite3_str_finish(json));
  if (rc != SQLITE_OK) sqlite3_result_error_code(context, rc);
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
  HfSink sink = {conn->sha, NULL, 0, 0};
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
** attest_hash_agg(v1, ..., vn)
**
** Aggregate over rows of any values, in the order they come.  Returns SHA-256
** of their canonical encodings, one behind the other, a BLOB of 32 bytes; of
** nothing when there are no rows.  As a window function: the digest so far.
*/
typedef struct AttestAggregate {
  HfSha256 *sha; /* its own: other hashes are computed between its rows */
} AttestAggregate;

static void attest_agg_step(sqlite3_context *context, int argc,
                            sqlite3_value **argv) {
  AttestAggregate *state = sqlite3_aggregate_context(context, sizeof(*state));
  HfError err = {SQLITE_OK, NULL};
  HfSink sink = {NULL, NULL, 0, 0};
  int rc;
  if (state == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (state->sha == NULL) {
    rc = hf_sha256_new(&state->sha);
    if (hf_fail_core(&err, rc) != SQLITE_OK) {
      hf_error_to_result(&err, context);
      return;
    }
    hf_sha256_begin(state->sha);
  }
  sink.sha = state->sha;
  rc = attest_write(&sink, argc, argv);
  if (rc != SQLITE_OK) sqlite3_result_error_code(context, rc);
}

static void attest_agg_value(sqlite3_context *context) {
  AttestAggregate *state = sqlite3_aggregate_context(context, 0);
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  unsigned char hash[HF_SHA256_SIZE];
  int rc = state != NULL && state->sha != NULL
               ? hf_sha256_peek(state->sha, hash)
               : hf_sha256(conn->sha, "", 0, hash);
  if (hf_fail_core(&err, rc) != SQLITE_OK) {
    hf_error_to_result(&err, context);
  } else {
    sqlite3_result_blob(context, hash, sizeof(hash), SQLITE_TRANSIENT);
  }
}

static void attest_agg_final(sqlite3_context *context) {
  AttestAggregate *state = sqlite3_aggregate_context(context, 0);
  attest_agg_value(context);
  if (state != NULL) {
    hf_sha256_free(state->sha);
    state->sha = NULL;
  }
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
  size_t size = 0;
  (void)argc;
  switch (sqlite3_value_type(argv[0])) {
    case SQLITE_NULL:
      return;
    case SQLITE_TEXT:
      data = hf_value_text(argv[0], &size);
      break;
    case SQLITE_BLOB:
      data = sqlite3_value_blob(argv[0]);
      size = (size_t)sqlite3_value_bytes(argv[0]);
      break;
    default:
      sqlite3_result_error(context,
                           "attest_sha256: TEXT or BLOB expected; CAST a "
                           "number to say which bytes are meant",
                           -1);
      return;
  }
  if (data == NULL &&
      (size > 0 || sqlite3_value_type(argv[0]) == SQLITE_TEXT)) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (hf_fail_core(&err, hf_sha256(conn->sha, data, size, hash)) != SQLITE_OK) {
    hf_error_to_result(&err, context);
    return;
  }
  sqlite3_result_blob(context, hash, sizeof(hash), SQLITE_TRANSIENT);
}

int hf_attest_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"attest_canonical", -1, HF_PURE, attest_canonical},
      {"attest_decode", -1, HF_PURE, attest_decode},
      {"attest_hash", -1, HF_PURE, attest_hash},
      {"attest_sha256", 1, HF_PURE, attest_sha256},
  };
  int rc = hf_register_functions(conn, functions,
                                 sizeof(functions) / sizeof(*functions));
  if (rc == SQLITE_OK) {
    rc = hf_register_aggregate(conn, "attest_hash_agg", -1, attest_agg_step,
                               attest_agg_value, attest_agg_final);
  }
  if (rc == SQLITE_OK) rc = attest_keys_register(conn);
  if (rc == SQLITE_OK) rc = attest_notes_register(conn);
  if (rc == SQLITE_OK) rc = attest_json_register(conn);
  if (rc == SQLITE_OK) rc = attest_dsse_register(conn);
  return rc;
}
