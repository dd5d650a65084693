/*
** The canonical encoding of a row of SQL values: typed, length-prefixed and
** therefore injective.
**
**   row      R<n>:  followed by the n values
**   NULL     N
**   INTEGER  I  and 8 bytes, big-endian two's complement
**   REAL     F  and 8 bytes, big-endian IEEE 754; -0.0 is written as 0.0
**   TEXT     T<len>:  and len bytes of UTF-8
**   BLOB     B<len>:  and len bytes
**
** <n> and <len> are decimal ASCII without leading zeros.
**
** Each function writes the head of one item to out, which has room for
** HF_CANON_HEAD bytes, and returns how many bytes it wrote.  The bytes of a
** TEXT or BLOB follow its head and are the caller's to write: large values are
** never copied on the way to a digest.  Inline, for they run for each value.
**
** Source: the value encoding documented in the header of SQLite's
** ext/misc/shathree.c, with a count in the row mark.
*/
#ifndef HF_CORE_CANONICAL_H
#define HF_CORE_CANONICAL_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A letter, the 20 digits of 2^64-1 and a colon. */
#define HF_CANON_HEAD 22

static inline size_t hf_canon_counted(unsigned char *out, char tag,
                                      uint64_t count) {
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

static inline size_t hf_canon_word(unsigned char *out, char tag,
                                   uint64_t word) {
  int i;
  out[0] = (unsigned char)tag;
  for (i = 0; i < 8; i++) out[1 + i] = (unsigned char)(word >> (56 - 8 * i));
  return 9;
}

static inline size_t hf_canon_row(unsigned char *out, uint64_t count) {
  return hf_canon_counted(out, 'R', count);
}

static inline size_t hf_canon_null(unsigned char *out) {
  out[0] = 'N';
  return 1;
}

static inline size_t hf_canon_integer(unsigned char *out, int64_t value) {
  return hf_canon_word(out, 'I', (uint64_t)value);
}

static inline size_t hf_canon_real(unsigned char *out, double value) {
  uint64_t bits;
  _Static_assert(sizeof(bits) == sizeof(value), "double is binary64");
  memcpy(&bits, &value, sizeof(bits));
  /* A REAL column loses the sign of zero, a typeless one keeps it: one
  ** encoding for both, or a copied row would change its hash. */
  if (value == 0.0) bits = 0;
  return hf_canon_word(out, 'F', bits);
}

static inline size_t hf_canon_text(unsigned char *out, uint64_t size) {
  return hf_canon_counted(out, 'T', size);
}

static inline size_t hf_canon_blob(unsigned char *out, uint64_t size) {
  return hf_canon_counted(out, 'B', size);
}

/* ---- reading ------------------------------------------------------------- */

/* One value of a row that is being read. */
typedef struct HfCanonItem {
  char tag; /* N, I, F, T or B */
  int64_t integer;
  double real;
  const unsigned char *data; /* of a T or B, inside the encoding */
  size_t size;
} HfCanonItem;

/* Read the mark of a row at *at, and then its items one by one.  Each moves *at
** and returns 0 for anything that is not written so: lengths beyond the end,
** leading zeros, -0.0, NaN. */
int hf_canon_read_row(const unsigned char *data, size_t size, size_t *at,
                      uint64_t *count);
int hf_canon_read(const unsigned char *data, size_t size, size_t *at,
                  HfCanonItem *item);

#endif
