/*
** SHA-256 through OpenSSL's libcrypto: see digest.h.
*/
#include "core/digest.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A ledger entry of ordinary size fits: one EVP call hashes it. */
#define DIGEST_BUFFER 1024

struct HfSha256 {
  EVP_MD_CTX *ctx; /* owned; initialised once, then reused */
  size_t used;     /* bytes waiting in buffer */
  int rc;          /* first error of this message */
  unsigned char buffer[DIGEST_BUFFER]; /* pieces not yet handed on */
};

/* One algorithm object for the process, fetched for the first context and freed
** with the last: the library may be unloaded then, and must leave nothing. */
static EVP_MD *digest_sha256;
static int digest_users;
static pthread_mutex_t digest_lock = PTHREAD_MUTEX_INITIALIZER;

static EVP_MD *digest_acquire(void) {
  EVP_MD *md;
  pthread_mutex_lock(&digest_lock);
  if (digest_sha256 == NULL) {
    digest_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (digest_sha256 == NULL) ERR_clear_error();
  }
  md = digest_sha256;
  if (md != NULL) digest_users++;
  pthread_mutex_unlock(&digest_lock);
  return md;
}

static void digest_release(void) {
  pthread_mutex_lock(&digest_lock);
  assert(digest_users > 0);
  if (--digest_users == 0) {
    EVP_MD_free(digest_sha256);
    digest_sha256 = NULL;
  }
  pthread_mutex_unlock(&digest_lock);
}

int hf_sha256_new(HfSha256 **out) {
  HfSha256 *sha;
  EVP_MD *md = digest_acquire();
  *out = NULL;
  if (md == NULL) return HF_CRYPTO;
  sha = calloc(1, sizeof(*sha));
  if (sha == NULL) {
    digest_release();
    return HF_NOMEM;
  }
  sha->ctx = EVP_MD_CTX_new();
  if (sha->ctx == NULL || EVP_DigestInit_ex2(sha->ctx, md, NULL) != 1) {
    ERR_clear_error();
    hf_sha256_free(sha);
    return HF_NOMEM;
  }
  *out = sha;
  return HF_OK;
}

void hf_sha256_free(HfSha256 *sha) {
  if (sha == NULL) return;
  EVP_MD_CTX_free(sha->ctx);
  free(sha);
  digest_release();
}

void hf_sha256_begin(HfSha256 *sha) {
  sha->used = 0;
  /* NULL keeps the fetched algorithm and only resets the state. */
  sha->rc = EVP_DigestInit_ex2(sha->ctx, NULL, NULL) == 1 ? HF_OK : HF_CRYPTO;
}

static void digest_hand_on(HfSha256 *sha, const void *data, size_t size) {
  if (sha->rc != HF_OK || size == 0) return;
  if (EVP_DigestUpdate(sha->ctx, data, size) != 1) sha->rc = HF_CRYPTO;
}

void hf_sha256_add(HfSha256 *sha, const void *data, size_t size) {
  if (size == 0) return;
  assert(data != NULL);
  if (size <= DIGEST_BUFFER - sha->used) {
    memcpy(sha->buffer + sha->used, data, size);
    sha->used += size;
    return;
  }
  digest_hand_on(sha, sha->buffer, sha->used);
  sha->used = 0;
  digest_hand_on(sha, data, size);
}

int hf_sha256_end(HfSha256 *sha, unsigned char out[HF_SHA256_SIZE]) {
  unsigned int size = 0;
  digest_hand_on(sha, sha->buffer, sha->used);
  sha->used = 0;
  if (sha->rc == HF_OK && (EVP_DigestFinal_ex(sha->ctx, out, &size) != 1 ||
                           size != HF_SHA256_SIZE)) {
    sha->rc = HF_CRYPTO;
  }
  if (sha->rc != HF_OK) {
    ERR_clear_error();
    memset(out, 0, HF_SHA256_SIZE);
  }
  return sha->rc;
}

int hf_sha256_peek(const HfSha256 *sha, unsigned char out[HF_SHA256_SIZE]) {
  EVP_MD_CTX *copy = EVP_MD_CTX_new();
  unsigned int size = 0;
  int rc = sha->rc;
  if (rc == HF_OK &&
      (copy == NULL || EVP_MD_CTX_copy_ex(copy, sha->ctx) != 1 ||
       EVP_DigestUpdate(copy, sha->buffer, sha->used) != 1 ||
       EVP_DigestFinal_ex(copy, out, &size) != 1 || size != HF_SHA256_SIZE)) {
    rc = HF_CRYPTO;
  }
  if (rc != HF_OK) {
    ERR_clear_error();
    memset(out, 0, HF_SHA256_SIZE);
  }
  EVP_MD_CTX_free(copy);
  return rc;
}

int hf_sha256(HfSha256 *sha, const void *data, size_t size,
              unsigned char out[HF_SHA256_SIZE]) {
  hf_sha256_begin(sha);
  digest_hand_on(sha, data, size); /* whole: no need to gather it */
  return hf_sha256_end(sha, out);
}

void hf_hex(const unsigned char *data, size_t n, char *out) {
  static const char digits[] = "0123456789abcdef";
  size_t i;
  for (i = 0; i < n; i++) {
    out[2 * i] = digits[data[i] >> 4];
    out[2 * i + 1] = digits[data[i] & 15];
  }
  out[2 * n] = 0;
}

const char *hf_crypto_version(void) { return OpenSSL_version(OPENSSL_VERSION); }
