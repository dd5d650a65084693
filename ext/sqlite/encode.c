/*
** SQL values: looking at them, and into the canonical encoding of
** core/canonical.h.
*/
#include <assert.h>
#include <string.h>

#include "core/canonical.h"
#include "sqlite/hf.h"

void hf_sink_put(HfSink *sink, const void *data, size_t size) {
  assert(data != NULL || size == 0);
  if (sink->sha != NULL) {
    hf_sha256_add(sink->sha, data, size);
  } else if (size > 0 && (sqlite3_int64)size <= sink->room - sink->size) {
    memcpy(sink->block + sink->size, data, size);
  }
  sink->size += (sqlite3_int64)size;
}

void hf_sink_row(HfSink *sink, int n) {
  unsigned char head[HF_CANON_HEAD];
  hf_sink_put(sink, head, hf_canon_row(head, (uint64_t)n));
}

void hf_sink_integer(HfSink *sink, sqlite3_int64 value) {
  unsigned char head[HF_CANON_HEAD];
  hf_sink_put(sink, head, hf_canon_integer(head, value));
}

static void encode_real(HfSink *sink, double value) {
  unsigned char head[HF_CANON_HEAD];
  hf_sink_put(sink, head, hf_canon_real(head, value));
}

void hf_sink_text(HfSink *sink, const char *text, size_t size) {
  unsigned char head[HF_CANON_HEAD];
  hf_sink_put(sink, head, hf_canon_text(head, size));
  hf_sink_put(sink, text, size);
}

void hf_sink_blob(HfSink *sink, const void *data, size_t size) {
  unsigned char head[HF_CANON_HEAD];
  hf_sink_put(sink, head, hf_canon_blob(head, size));
  hf_sink_put(sink, data, size);
}

/* sqlite3_value_text() would end the text with a zero, for which it copies a
** bound one.  The number of bytes comes first: asking for it converts a text of
** another encoding. */
int hf_value_whole(sqlite3_value *value, sqlite3_int64 *out) {
  static const double most = 9007199254740992.0; /* 2^53 */
  double real;
  if (sqlite3_value_type(value) == SQLITE_INTEGER) {
    *out = sqlite3_value_int64(value);
    return 1;
  }
  if (sqlite3_value_type(value) != SQLITE_FLOAT) return 0;
  real = sqlite3_value_double(value);
  if (!(real >= -most && real <= most)) return 0;
  *out = (sqlite3_int64)real;
  return (double)*out == real;
}

const char *hf_argument_text(sqlite3_value *value, const char *words,
                             HfError *err) {
  const char *text = NULL;
  if (sqlite3_value_type(value) != SQLITE_TEXT) {
    hf_fail(err, SQLITE_ERROR, "%s", words);
  } else {
    text = (const char *)sqlite3_value_text(value);
    if (text == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return text;
}

const char *hf_value_text(sqlite3_value *value, size_t *size) {
  const char *text;
  *size = (size_t)sqlite3_value_bytes(value);
  if (*size > 0) return sqlite3_value_blob(value);
  /* Empty, or the conversion failed. */
  text = (const char *)sqlite3_value_text(value);
  *size = (size_t)sqlite3_value_bytes(value);
  return text;
}

int hf_sink_value(HfSink *sink, sqlite3_value *value, int as_real) {
  unsigned char null[HF_CANON_HEAD];
  const void *data;
  size_t size;
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      if (as_real) {
        encode_real(sink, (double)sqlite3_value_int64(value));
      } else {
        hf_sink_integer(sink, sqlite3_value_int64(value));
      }
      return SQLITE_OK;
    case SQLITE_FLOAT:
      encode_real(sink, sqlite3_value_double(value));
      return SQLITE_OK;
    case SQLITE_TEXT:
      data = hf_value_text(value, &size);
      if (data == NULL) return SQLITE_NOMEM;
      hf_sink_text(sink, data, size);
      return SQLITE_OK;
    case SQLITE_BLOB:
      data = sqlite3_value_blob(value);
      if (data == NULL && sqlite3_value_bytes(value) > 0) return SQLITE_NOMEM;
      hf_sink_blob(sink, data, (size_t)sqlite3_value_bytes(value));
      return SQLITE_OK;
    default:
      hf_sink_put(sink, null, hf_canon_null(null));
      return SQLITE_OK;
  }
}

int hf_any_null(int n, sqlite3_value **value) {
  int i;
  for (i = 0; i < n; i++) {
    if (sqlite3_value_type(value[i]) == SQLITE_NULL) return 1;
  }
  return 0;
}
