/*
** The bytes of an entry and their hash:
**
**   leaf_data = canonical('holdfast.entry.v1', seq, prev_hash, at, c1, ..., ck)
**   hash      = SHA-256(0x00 || leaf_data)
**
** One routine makes the bytes; where they go, into a digest or a block of
** memory, is the sink's business.  They are gathered on their way, so that an
** entry of ordinary size is hashed in one piece.
*/
#include <assert.h>
#include <string.h>

#include "ledger/ledger.h"

/* Room for what comes before the columns. */
#define LEAF_HEAD \
  ((size_t)5 * HF_CANON_HEAD + sizeof(LEDGER_TAG) + HF_SHA256_SIZE)

#define LEAF_BUFFER 1024

typedef struct LeafBytes {
  HfSink sink; /* its size is 0 until something is handed on */
  size_t used; /* bytes waiting in buffer */
  unsigned char buffer[LEAF_BUFFER];
} LeafBytes;

static void leaf_hand_on(LeafBytes *bytes) {
  if (bytes->sink.sha != NULL && bytes->sink.size == 0) {
    hf_sha256_begin(bytes->sink.sha);
  }
  hf_sink_put(&bytes->sink, bytes->buffer, bytes->used);
  bytes->used = 0;
}

/* Where the next bytes go, at most `size` of them. */
static unsigned char *leaf_room(LeafBytes *bytes, size_t size) {
  assert(size <= LEAF_BUFFER);
  if (size > LEAF_BUFFER - bytes->used) leaf_hand_on(bytes);
  return bytes->buffer + bytes->used;
}

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

/* The bytes of a TEXT or BLOB, behind their head. */
static void leaf_long(LeafBytes *bytes, const LedgerValue *value) {
  if (value->size <= LEAF_BUFFER - bytes->used) {
    if (value->size == 0) return; /* and has perhaps no address */
    memcpy(bytes->buffer + bytes->used, value->data, value->size);
    bytes->used += value->size;
    return;
  }
  leaf_hand_on(bytes);
  hf_sink_put(&bytes->sink, value->data, value->size);
}

static void leaf_value(LeafBytes *bytes, const LedgerValue *value) {
  unsigned char *out = leaf_room(bytes, HF_CANON_HEAD);
  switch (value->type) {
    case SQLITE_INTEGER:
      bytes->used += hf_canon_integer(out, value->integer);
      break;
    case SQLITE_FLOAT:
      bytes->used += hf_canon_real(out, value->real);
      break;
    case SQLITE_TEXT:
      bytes->used += hf_canon_text(out, value->size);
      leaf_long(bytes, value);
      break;
    case SQLITE_BLOB:
      bytes->used += hf_canon_blob(out, value->size);
      leaf_long(bytes, value);
      break;
    default:
      bytes->used += hf_canon_null(out);
  }
}

static void leaf_write(LeafBytes *bytes, const LedgerDef *def,
                       sqlite3_int64 seq, const unsigned char *prev,
                       sqlite3_int64 at, const LedgerValue *value) {
  unsigned char *head = leaf_room(bytes, LEAF_HEAD);
  int i;
  bytes->used += leaf_head(head, def->columns, seq, prev, at);
  for (i = 0; i < def->columns; i++) leaf_value(bytes, &value[i]);
}

int ledger_value_read(const LedgerColumn *column, sqlite3_value *value,
                      LedgerValue *out) {
  out->type = sqlite3_value_type(value);
  switch (out->type) {
    case SQLITE_INTEGER:
      out->integer = sqlite3_value_int64(value);
      if (column->kind != SQLITE_FLOAT) break;
      out->type = SQLITE_FLOAT;
      out->real = (double)out->integer;
      break;
    case SQLITE_FLOAT:
      /* Adding zero turns -0.0 into 0.0, as it is hashed. */
      out->real = sqlite3_value_double(value) + 0.0;
      break;
    case SQLITE_TEXT:
      out->data = hf_value_text(value, &out->size);
      if (out->data == NULL) return SQLITE_NOMEM;
      break;
    case SQLITE_BLOB:
      out->data = sqlite3_value_blob(value);
      out->size = (size_t)sqlite3_value_bytes(value);
      if (out->data == NULL && out->size > 0) return SQLITE_NOMEM;
      break;
    default:
      break;
  }
  return SQLITE_OK;
}

int ledger_values_read(HfLedger *ledger, sqlite3_value *const *value,
                       LedgerValue *out, HfError *err) {
  const LedgerDef *def = &ledger->def;
  int i;
  for (i = 0; i < def->columns; i++) {
    int rc = ledger_value_read(&def->column[i], value[i], &out[i]);
    if (rc != SQLITE_OK) return hf_fail(err, rc, NULL);
  }
  return SQLITE_OK;
}

int ledger_leaf_hash(HfLedger *ledger, sqlite3_int64 seq,
                     const unsigned char *prev, sqlite3_int64 at,
                     const LedgerValue *value, unsigned char *out,
                     HfError *err) {
  HfSha256 *sha = ledger->conn->sha;
  LeafBytes bytes;
  bytes.sink = (HfSink){sha, NULL, 0, 0};
  bytes.buffer[0] = 0;
  bytes.used = 1;
  leaf_write(&bytes, &ledger->def, seq, prev, at, value);
  if (bytes.sink.size == 0) {
    return hf_fail_core(err, hf_sha256(sha, bytes.buffer, bytes.used, out));
  }
  leaf_hand_on(&bytes);
  return hf_fail_core(err, hf_sha256_end(sha, out));
}

int ledger_leaf_data(HfLedger *ledger, sqlite3_int64 seq,
                     const unsigned char *prev, sqlite3_int64 at,
                     const LedgerValue *value, unsigned char **out,
                     sqlite3_int64 *size, HfError *err) {
  LeafBytes bytes;
  bytes.sink = (HfSink){NULL, NULL, 0, 0};
  bytes.used = 0;
  leaf_write(&bytes, &ledger->def, seq, prev, at, value);
  *size = bytes.sink.size + (sqlite3_int64)bytes.used;
  *out = sqlite3_malloc64((sqlite3_uint64)*size);
  if (*out == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  bytes.sink = (HfSink){NULL, *out, 0, *size};
  bytes.used = 0;
  leaf_write(&bytes, &ledger->def, seq, prev, at, value);
  leaf_hand_on(&bytes);
  return SQLITE_OK;
}
