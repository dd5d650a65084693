/*
** The bytes of an entry and their hash:
**
**   leaf_data = canonical('holdfast.entry.v1', seq, prev_hash, at, c1, ..., ck)
**   hash      = SHA-256(0x00 || leaf_data)
**
** One routine makes the bytes; where they go, into a digest or a block of
** memory, is the sink's business.
*/
#include <assert.h>
#include <string.h>

#include "ledger/ledger.h"

static int leaf_write(HfSink *sink, const LedgerDef *def, sqlite3_int64 seq,
                      const unsigned char *prev, sqlite3_int64 at,
                      sqlite3_value *const *value) {
  static const char tag[] = LEDGER_TAG;
  int i, rc = SQLITE_OK;
  hf_sink_row(sink, def->columns + 4);
  hf_sink_text(sink, tag, sizeof(tag) - 1);
  hf_sink_integer(sink, seq);
  hf_sink_blob(sink, prev, HF_SHA256_SIZE);
  hf_sink_integer(sink, at);
  for (i = 0; i < def->columns && rc == SQLITE_OK; i++) {
    /* As it is stored: an INTEGER given for a REAL column is a REAL. */
    rc = hf_sink_value(sink, value[i], def->column[i].kind == SQLITE_FLOAT);
  }
  return rc;
}

int ledger_leaf_hash(HfLedger *ledger, sqlite3_int64 seq,
                     const unsigned char *prev, sqlite3_int64 at,
                     sqlite3_value *const *value, unsigned char *out,
                     HfError *err) {
  HfSink sink = {ledger->conn->sha, NULL, 0};
  int rc;
  hf_sha256_begin(sink.sha);
  hf_sink_put(&sink, "\x00", 1);
  rc = leaf_write(&sink, &ledger->def, seq, prev, at, value);
  if (rc != SQLITE_OK) return hf_fail(err, rc, NULL);
  return hf_fail_core(err, hf_sha256_end(sink.sha, out));
}

int ledger_leaf_data(HfLedger *ledger, sqlite3_int64 seq,
                     const unsigned char *prev, sqlite3_int64 at,
                     sqlite3_value *const *value, unsigned char **out,
                     sqlite3_int64 *size, HfError *err) {
  HfSink sink = {NULL, NULL, 0};
  int rc = leaf_write(&sink, &ledger->def, seq, prev, at, value);
  *out = NULL;
  if (rc == SQLITE_OK) {
    sink.block = sqlite3_malloc64((sqlite3_uint64)sink.size);
    if (sink.block == NULL) rc = SQLITE_NOMEM;
  }
  if (rc == SQLITE_OK) {
    sink.size = 0;
    rc = leaf_write(&sink, &ledger->def, seq, prev, at, value);
  }
  if (rc != SQLITE_OK) {
    sqlite3_free(sink.block);
    return hf_fail(err, rc, NULL);
  }
  *out = sink.block;
  *size = sink.size;
  return SQLITE_OK;
}
