/*
** SHA-256 through OpenSSL's libcrypto.
**
** The algorithm is fetched once in a process (an implicit fetch costs three
** times the hash itself); a context belongs to one connection and is used
** again and again.  Small pieces are gathered in the context's own buffer, so
** that a short message costs one call into libcrypto.
**
** Source: FIPS 180-4; OpenSSL 3.0 EVP_MD_fetch(3), EVP_DigestInit_ex2(3).
*/
#ifndef HF_CORE_DIGEST_H
#define HF_CORE_DIGEST_H

#include <stddef.h>

#define HF_SHA256_SIZE 32

/* What the functions of the core return. */
enum {
  HF_OK = 0,
  HF_NOMEM = 1,  /* an allocation failed */
  HF_CRYPTO = 2, /* libcrypto has no SHA-256, or refused to compute it */
  HF_RANGE = 3   /* an argument is outside what the function accepts */
};

typedef struct HfSha256 HfSha256;

/* A new context in *out, which hf_sha256_free() takes back.  HF_NOMEM, or
** HF_CRYPTO when the provider in force offers no SHA-256. */
int hf_sha256_new(HfSha256 **out);
void hf_sha256_free(HfSha256 *sha);

/* Hash a message in pieces: begin, any number of adds, end.  An error is
** kept and returned by hf_sha256_end(), so that callers need no checks in
** between. */
void hf_sha256_begin(HfSha256 *sha);
void hf_sha256_add(HfSha256 *sha, const void *data, size_t size);
int hf_sha256_end(HfSha256 *sha, unsigned char out[HF_SHA256_SIZE]);

/* The hash of what was added so far; more can follow. */
int hf_sha256_peek(const HfSha256 *sha, unsigned char out[HF_SHA256_SIZE]);

/* begin, add and end in one. */
int hf_sha256(HfSha256 *sha, const void *data, size_t size,
              unsigned char out[HF_SHA256_SIZE]);

/* Lower-case hexadecimal of n bytes, with a terminating zero, in out, which
** has room for 2*n+1. */
void hf_hex(const unsigned char *data, size_t n, char *out);

/* Version text of the libcrypto in use, which need not be the one this file
** was compiled against. */
const char *hf_crypto_version(void);

#endif
