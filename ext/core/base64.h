/*
** Base64 (RFC 4648, section 4), with padding, and strict: exactly one text
** stands for some bytes.
*/
#ifndef HF_CORE_BASE64_H
#define HF_CORE_BASE64_H

#include <stddef.h>

/* Characters for n bytes, without a terminating zero. */
#define hf_base64_size(n) (((size_t)(n) + 2) / 3 * 4)

/* The text of n bytes, with a terminating zero, in out, which has room for
** hf_base64_size(n) + 1. */
void hf_base64_encode(const unsigned char *data, size_t n, char *out);

/* The bytes of n characters in out, which has room for n / 4 * 3; *size: how
** many.  Returns 0 for anything that hf_base64_encode() does not write. */
int hf_base64_decode(const char *text, size_t n, unsigned char *out,
                     size_t *size);

/* The same for the other alphabet, too ('-' and '_', RFC 4648 section 5), and
** without padding.  Writes over the text; out has room for (n / 4 + 1) * 3. */
int hf_base64_decode_any(char *text, size_t n, unsigned char *out,
                         size_t *size);

#endif
