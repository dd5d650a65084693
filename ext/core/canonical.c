/*
** The canonical encoding of a row: see canonical.h.
*/
#include "core/canonical.h"

#include <assert.h>
#include <string.h>

static size_t canon_counted(unsigned char *out, char tag, uint64_t count) {
  unsigned char digit[20];
  size_t n = 0, at = 0;
  if (count < 10) { /* most counts and many lengths */
    out[0] = (unsigned char)tag;
    out[1] = (unsigned char)('0' + count);
    out[2] = ':';
    return 3;
  }
  do {
    digit[n++] = (unsigned char)('0' + count % 10);
    count /= 10;
  } while (count > 0);
  out[at++] = (unsigned char)tag;
  while (n > 0) out[at++] = digit[--n];
  out[at++] = ':';
  assert(at <= HF_CANON_HEAD);
  return at;
}

static size_t canon_word(unsigned char *out, char tag, uint64_t word) {
  int i;
  out[0] = (unsigned char)tag;
  for (i = 0; i < 8; i++) out[1 + i] = (unsigned char)(word >> (56 - 8 * i));
  return 9;
}

size_t hf_canon_row(unsigned char *out, uint64_t count) {
  return canon_counted(out, 'R', count);
}

size_t hf_canon_null(unsigned char *out) {
  out[0] = 'N';
  return 1;
}

size_t hf_canon_integer(unsigned char *out, int64_t value) {
  return canon_word(out, 'I', (uint64_t)value);
}

size_t hf_canon_real(unsigned char *out, double value) {
  uint64_t bits;
  _Static_assert(sizeof(bits) == sizeof(value), "double is binary64");
  memcpy(&bits, &value, sizeof(bits));
  /* A REAL column loses the sign of zero, a typeless one keeps it: one
  ** encoding for both, or a copied row would change its hash. */
  if (value == 0.0) bits = 0;
  return canon_word(out, 'F', bits);
}

size_t hf_canon_text(unsigned char *out, uint64_t size) {
  return canon_counted(out, 'T', size);
}

size_t hf_canon_blob(unsigned char *out, uint64_t size) {
  return canon_counted(out, 'B', size);
}
