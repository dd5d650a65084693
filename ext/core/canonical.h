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
** never copied on the way to a digest.
**
** Source: the value encoding documented in the header of SQLite's
** ext/misc/shathree.c, with a count in the row mark.
*/
#ifndef HF_CORE_CANONICAL_H
#define HF_CORE_CANONICAL_H

#include <stddef.h>
#include <stdint.h>

/* A letter, the 20 digits of 2^64-1 and a colon. */
#define HF_CANON_HEAD 22

size_t hf_canon_row(unsigned char *out, uint64_t count);
size_t hf_canon_null(unsigned char *out);
size_t hf_canon_integer(unsigned char *out, int64_t value);
size_t hf_canon_real(unsigned char *out, double value);
size_t hf_canon_text(unsigned char *out, uint64_t size);
size_t hf_canon_blob(unsigned char *out, uint64_t size);

#endif
