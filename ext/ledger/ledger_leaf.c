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

/* Room for what comes before the columns. */
#define LEAF_HEAD \
  ((size_t)5 * HF_CANON_HEAD + sizeof(LEDGER_TAG) + HF_SHA256_SIZE)

/* What comes before the columns, in one piece; returns its size. */
static size_t leaf_head(unsigned char *out, int columns, sqlite3_int64 seq,
                        const unsigned char *prev, sqlite3_int64 at) {
  static const char tag[] = LEDGER_TAG;
  size_t n = hf_canon_row(out, (uint64_t)columns + 4);
  n += hf_canon_text(out + n, sizeof(tag) - 1);
  memcpy(out + n, tag, sizeof(tag) - 1);
  n += sizeof(tag) - 1;
  n += hf_canon_integer(out + n, seq);
  n += hf_canon_blob(out + n, HF_SHA256_SIZE);
  memcpy(out + n, prev, HF_SHA256_SIZE);
  n += HF_SHA256_SIZE;
  n += hf_canon_integer(out + n, at);
  assert(n <= LEAF_HEAD);
  return n;
}

static int leaf_write(HfSink *sink, const LedgerDef *def, sqlite3_int64 seq,
                      const unsigned char *prev, sqlite3_int64 at,
                      sqlite3_value *const *value) {
  unsigned char head[LEAF_HEAD];
  int i, rc = SQLITE_OK;
  hf_sink_put(sink, head, leaf_head(head, def->columns, seq, prev, at));
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
  HfSink sink = {ledger->conn->sha, NULL, 0, 0};
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
  HfSink sink = {NULL, NULL, 0, 0};
  int rc = leaf_write(&sink, &ledger->def, seq, prev, at, value);
  *out = NULL;
  if (rc == SQLITE_OK) {
    sink.block = sqlite3_malloc64((sqlite3_uint64)sink.size);
    if (sink.block == NULL) rc = SQLITE_NOMEM;
  }
  if (rc == SQLITE_OK) {
    sink.room = sink.size;
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
