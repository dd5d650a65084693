/*
** The JSON Canonicalization Scheme: one text for each JSON value.
**
** No white space; members sorted by the UTF-16 code units of their keys;
** strings with the fewest escapes; numbers as ECMAScript prints the IEEE 754
** double that they stand for.
**
** Source: RFC 8785; RFC 7493 (I-JSON) for what is refused; ECMA-262,
** Number::toString.
*/
#ifndef HF_CORE_JCS_H
#define HF_CORE_JCS_H

#include <stddef.h>

#include "core/digest.h"

/* Values nested deeper than this are refused. */
#define HF_JCS_DEPTH 500

typedef struct HfJcs {
  char *text; /* the result, which free() takes back; no zero at its end */
  size_t size;
  const char *wrong; /* what is wrong with the input, static; */
  size_t at;         /* and at which byte of it */
} HfJcs;

/* HF_OK; HF_RANGE with wrong and at filled in: malformed JSON or UTF-8, a lone
** surrogate, a duplicate key, a number beyond a double's range, too deep a
** nesting; or HF_NOMEM. */
int hf_jcs(const char *json, size_t size, HfJcs *out);

/* Compare two strings as they stand in a result, quotes included, by the
** UTF-16 code units of what they say: below, equal to or above 0. */
int hf_jcs_compare(const char *left, const char *right);

/* Print a finite double as ECMAScript does, with a terminating zero, in out,
** which has room for 32.  Returns its length. */
size_t hf_jcs_number(double value, char out[32]);

#endif
