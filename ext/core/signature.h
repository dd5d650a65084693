/*
** Ed25519 signatures and HMAC-SHA-256 through OpenSSL's libcrypto.
**
** libcrypto takes any 32 bytes for a public key.  Keys of small order, with
** which a signature can be made that holds for every message, and encodings
** that are not the canonical one are refused here.
**
** Source: RFC 8032 (Ed25519), FIPS 198-1 (HMAC); OpenSSL 3.0
** EVP_PKEY_new_raw_public_key(3), EVP_DigestSign(3), EVP_MAC(3).
*/
#ifndef HF_CORE_SIGNATURE_H
#define HF_CORE_SIGNATURE_H

#include "core/digest.h"

#define HF_ED25519_KEY 32       /* secret (the seed) and public key */
#define HF_ED25519_SIGNATURE 64 /* bytes of a signature */

/* A new key pair from libcrypto's random numbers. */
int hf_ed25519_generate(unsigned char secret[HF_ED25519_KEY],
                        unsigned char public_key[HF_ED25519_KEY]);

/* The public key that belongs to a secret. */
int hf_ed25519_public(const unsigned char secret[HF_ED25519_KEY],
                      unsigned char public_key[HF_ED25519_KEY]);

/* Is it the canonical encoding of a point that is not of small order? */
int hf_ed25519_is_sound(const unsigned char public_key[HF_ED25519_KEY]);

/* public_key: NULL, or the one of the secret, which makes it twice as fast.  It
** must be that one: a signature under another gives the secret away. */
int hf_ed25519_sign(const unsigned char secret[HF_ED25519_KEY],
                    const unsigned char *public_key, const void *data,
                    size_t size, unsigned char signature[HF_ED25519_SIGNATURE]);

/* *good: the signature is that of the data by a sound key. */
int hf_ed25519_verify(const unsigned char public_key[HF_ED25519_KEY],
                      const unsigned char signature[HF_ED25519_SIGNATURE],
                      const void *data, size_t size, int *good);

int hf_hmac_sha256(const void *key, size_t key_size, const void *data,
                   size_t size, unsigned char out[HF_SHA256_SIZE]);

/* Overwrite secrets; the compiler does not leave it away. */
void hf_wipe(void *data, size_t size);

#endif
