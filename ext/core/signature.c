/*
** Ed25519 and HMAC: see signature.h.
*/
#include "core/signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

/* ---- keys ---------------------------------------------------------------- */

/* libcrypto's errors stay here: its queue is the host's. */
static int signature_failed(void) {
  ERR_clear_error();
  return HF_CRYPTO;
}

/* Deriving the public key takes as long as a signature, so one that is known is
** used. */
static EVP_PKEY *signature_private(const unsigned char *secret,
                                   const unsigned char *public_key) {
  OSSL_PARAM part[3];
  EVP_PKEY_CTX *context;
  EVP_PKEY *key = NULL;
  if (public_key == NULL) {
    return EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, secret,
                                           HF_ED25519_KEY);
  }
  part[0] = OSSL_PARAM_construct_octet_string(
      OSSL_PKEY_PARAM_PRIV_KEY, (void *)(uintptr_t)secret, HF_ED25519_KEY);
  part[1] = OSSL_PARAM_construct_octet_string(
      OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)public_key, HF_ED25519_KEY);
  part[2] = OSSL_PARAM_construct_end();
  context = EVP_PKEY_CTX_new_from_name(NULL, "ED25519", NULL);
  if (context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
      EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, part) != 1) {
    key = NULL;
  }
  EVP_PKEY_CTX_free(context);
  return key;
}

int hf_ed25519_public(const unsigned char secret[HF_ED25519_KEY],
                      unsigned char public_key[HF_ED25519_KEY]) {
  EVP_PKEY *key = signature_private(secret, NULL);
  size_t size = HF_ED25519_KEY;
  int good = key != NULL &&
             EVP_PKEY_get_raw_public_key(key, public_key, &size) == 1 &&
             size == HF_ED25519_KEY;
  EVP_PKEY_free(key);
  return good ? HF_OK : signature_failed();
}

int hf_ed25519_generate(unsigned char secret[HF_ED25519_KEY],
                        unsigned char public_key[HF_ED25519_KEY]) {
  if (RAND_priv_bytes(secret, HF_ED25519_KEY) != 1) return signature_failed();
  return hf_ed25519_public(secret, public_key);
}

int hf_ed25519_is_sound(const unsigned char public_key[HF_ED25519_KEY]) {
  /* The y of the eight points of small order, but for the sign of x: 1, -1,
  ** 0, and the two of order 8. */
  static const unsigned char small[][HF_ED25519_KEY] = {
      {0x01},
      {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
       0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
      {0},
      {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
       0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
       0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
      {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
       0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
       0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a}};
  unsigned char y[HF_ED25519_KEY];
  size_t i;
  memcpy(y, public_key, sizeof(y));
  y[31] &= 0x7f; /* the sign of x */
  for (i = 0; i < sizeof(small) / sizeof(*small); i++) {
    if (memcmp(y, small[i], sizeof(y)) == 0) return 0;
  }
  /* Canonical is y < p = 2^255 - 19. */
  for (i = 1; i < 31 && y[i] == 0xff; i++) {
  }
  return !(y[0] >= 0xed && i == 31 && y[31] == 0x7f);
}

/* ---- signatures ---------------------------------------------------------- */

int hf_ed25519_sign(const unsigned char secret[HF_ED25519_KEY],
                    const unsigned char *public_key, const void *data,
                    size_t size,
                    unsigned char signature[HF_ED25519_SIGNATURE]) {
  EVP_PKEY *key = signature_private(secret, public_key);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  size_t length = HF_ED25519_SIGNATURE;
  int good =
      key != NULL && context != NULL &&
      EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, key, NULL) == 1 &&
      EVP_DigestSign(context, signature, &length, data, size) == 1 &&
      length == HF_ED25519_SIGNATURE;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  return good ? HF_OK : signature_failed();
}

int hf_ed25519_verify(const unsigned char public_key[HF_ED25519_KEY],
                      const unsigned char signature[HF_ED25519_SIGNATURE],
                      const void *data, size_t size, int *good) {
  EVP_PKEY *key;
  EVP_MD_CTX *context;
  int ready;
  *good = 0;
  if (!hf_ed25519_is_sound(public_key)) return HF_OK;
  key = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, public_key,
                                       HF_ED25519_KEY);
  context = EVP_MD_CTX_new();
  ready =
      key != NULL && context != NULL &&
      EVP_DigestVerifyInit_ex(context, NULL, NULL, NULL, NULL, key, NULL) == 1;
  if (ready) {
    *good = EVP_DigestVerify(context, signature, HF_ED25519_SIGNATURE, data,
                             size) == 1;
  }
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  ERR_clear_error(); /* a wrong signature leaves one */
  return ready ? HF_OK : HF_CRYPTO;
}

/* ---- HMAC ---------------------------------------------------------------- */

int hf_hmac_sha256(const void *key, size_t key_size, const void *data,
                   size_t size, unsigned char out[HF_SHA256_SIZE]) {
  size_t length = 0;
  if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_size, data, size,
                out, HF_SHA256_SIZE, &length) == NULL ||
      length != HF_SHA256_SIZE) {
    return signature_failed();
  }
  return HF_OK;
}

void hf_wipe(void *data, size_t size) { OPENSSL_cleanse(data, size); }
