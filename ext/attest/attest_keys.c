/*
** HMAC-SHA-256 and Ed25519 over the canonical encoding of a row of values.
**
**   attest_hmac(key, v1, ..., vn)
**   attest_keygen()
**   attest_sign(secret, v1, ..., vn)
**   attest_verify(public, signature, v1, ..., vn)
**
** Keys and signatures are BLOBs, or TEXT of hexadecimal digits.  Nothing keeps
** a secret: it belongs in a bound parameter, not in a database.
*/
#include <string.h>

#include "attest/attest.h"
#include "core/signature.h"

/* ---- bytes in arguments -------------------------------------------------- */

static int keys_digit(unsigned char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int attest_bytes(sqlite3_value *value, unsigned char *out, int room) {
  int type = sqlite3_value_type(value), size, i;
  const unsigned char *data;
  if (type == SQLITE_BLOB) {
    data = sqlite3_value_blob(value);
    size = sqlite3_value_bytes(value);
    if (size > room || (data == NULL && size > 0)) return -1;
    if (size > 0) memcpy(out, data, (size_t)size);
    return size;
  }
  if (type != SQLITE_TEXT) return -1;
  data = sqlite3_value_text(value);
  size = sqlite3_value_bytes(value);
  if (data == NULL || size % 2 != 0 || size / 2 > room) return -1;
  for (i = 0; i < size / 2; i++, data += 2) {
    int high = keys_digit(data[0]), low = keys_digit(data[1]);
    if (high < 0 || low < 0) return -1;
    out[i] = (unsigned char)(high << 4 | low);
  }
  return size / 2;
}

static void keys_result(sqlite3_context *context, int core_rc, const void *data,
                        int size) {
  HfError err = {SQLITE_OK, NULL};
  if (hf_fail_core(&err, core_rc) != SQLITE_OK) {
    hf_error_to_result(&err, context);
  } else {
    sqlite3_result_blob(context, data, size, SQLITE_TRANSIENT);
  }
}

/* A key of 32 bytes; 0 with the error raised. */
static int keys_key(sqlite3_context *context, const char *words,
                    sqlite3_value *value, unsigned char out[HF_ED25519_KEY]) {
  if (attest_bytes(value, out, HF_ED25519_KEY) == HF_ED25519_KEY) return 1;
  hf_wipe(out, HF_ED25519_KEY);
  sqlite3_result_error(context, words, -1);
  return 0;
}

static int keys_too_few(sqlite3_context *context, const char *words, int argc,
                        int least) {
  if (argc >= least) return 0;
  sqlite3_result_error(context, words, -1);
  return 1;
}

/* ---- HMAC ---------------------------------------------------------------- */

#define KEYS_HMAC_MAX 1024

/*
** attest_hmac(key, v1, ..., vn)
**
** key: a BLOB of 1 to 1024 bytes, or as many in hexadecimal TEXT; 32 random
** bytes are right.  Returns HMAC-SHA-256 (FIPS 198-1) of the canonical encoding
** of the values, a BLOB of 32 bytes.  Errors: another key.
*/
static void keys_hmac(sqlite3_context *context, int argc,
                      sqlite3_value **argv) {
  static const char words[] =
      "attest_hmac: the arguments are a key (a BLOB of 1 to 1024 bytes, or "
      "hexadecimal TEXT) and the values";
  unsigned char key[KEYS_HMAC_MAX], mac[HF_SHA256_SIZE], *data;
  sqlite3_int64 size;
  int key_size, rc;
  if (keys_too_few(context, words, argc, 1)) return;
  key_size = attest_bytes(argv[0], key, KEYS_HMAC_MAX);
  if (key_size <= 0) {
    sqlite3_result_error(context, words, -1);
  } else if (attest_encode(context, argc - 1, argv + 1, &data, &size)) {
    rc = hf_hmac_sha256(key, (size_t)key_size, data, (size_t)size, mac);
    sqlite3_free(data);
    keys_result(context, rc, mac, sizeof(mac));
  }
  hf_wipe(key, sizeof(key));
}

/* ---- Ed25519 ------------------------------------------------------------- */

/*
** attest_keygen()
**
** Returns a new Ed25519 key pair as JSON, {"public":"...","secret":"..."}, each
** 64 hexadecimal digits.  The secret is the seed of RFC 8032.
*/
static void keys_keygen(sqlite3_context *context, int argc,
                        sqlite3_value **argv) {
  unsigned char secret[HF_ED25519_KEY], public_key[HF_ED25519_KEY];
  char hex[2][2 * HF_ED25519_KEY + 1];
  HfError err = {SQLITE_OK, NULL};
  char *json;
  (void)argc;
  (void)argv;
  if (hf_fail_core(&err, hf_ed25519_generate(secret, public_key)) !=
      SQLITE_OK) {
    hf_error_to_result(&err, context);
    return;
  }
  hf_hex(public_key, HF_ED25519_KEY, hex[0]);
  hf_hex(secret, HF_ED25519_KEY, hex[1]);
  json =
      sqlite3_mprintf("{\"public\":\"%s\",\"secret\":\"%s\"}", hex[0], hex[1]);
  hf_wipe(secret, sizeof(secret));
  hf_wipe(hex, sizeof(hex));
  if (json == NULL) {
    sqlite3_result_error_nomem(context);
  } else {
    sqlite3_result_text(context, json, -1, sqlite3_free);
  }
}

/*
** attest_sign(secret, v1, ..., vn)
**
** secret: a BLOB of 32 bytes, or 64 hexadecimal digits.  Returns the Ed25519
** signature (RFC 8032) of the canonical encoding of the values, a BLOB of 64
** bytes; the same for the same values.  Errors: another secret.
*/
static void keys_sign(sqlite3_context *context, int argc,
                      sqlite3_value **argv) {
  static const char words[] =
      "attest_sign: the arguments are a secret (a BLOB of 32 bytes or 64 "
      "hexadecimal digits) and the values";
  unsigned char secret[HF_ED25519_KEY], signature[HF_ED25519_SIGNATURE], *data;
  sqlite3_int64 size;
  int rc;
  if (keys_too_few(context, words, argc, 1) ||
      !keys_key(context, words, argv[0], secret)) {
    return;
  }
  if (attest_encode(context, argc - 1, argv + 1, &data, &size)) {
    rc = hf_ed25519_sign(secret, NULL, data, (size_t)size, signature);
    sqlite3_free(data);
    keys_result(context, rc, signature, sizeof(signature));
  }
  hf_wipe(secret, sizeof(secret));
}

/*
** attest_verify(public, signature, v1, ..., vn)
**
** public: a BLOB of 32 bytes, or 64 hexadecimal digits; signature: a BLOB of 64
** bytes, or 128 digits.  Returns 1 when it is the signature of the values by
** that key, else 0, also for a signature of another length or type, and for
** public keys of small order or not in canonical form; NULL when one of the two
** is NULL.  Errors: a public key of another type or length.
*/
static void keys_verify(sqlite3_context *context, int argc,
                        sqlite3_value **argv) {
  static const char words[] =
      "attest_verify: the arguments are a public key (a BLOB of 32 bytes or 64 "
      "hexadecimal digits), a signature and the values";
  unsigned char public_key[HF_ED25519_KEY], signature[HF_ED25519_SIGNATURE];
  unsigned char *data;
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 size;
  int good = 0, rc;
  if (keys_too_few(context, words, argc, 2) || hf_any_null(2, argv) ||
      !keys_key(context, words, argv[0], public_key)) {
    return;
  }
  if (attest_bytes(argv[1], signature, HF_ED25519_SIGNATURE) !=
      HF_ED25519_SIGNATURE) {
    sqlite3_result_int(context, 0);
    return;
  }
  if (!attest_encode(context, argc - 2, argv + 2, &data, &size)) return;
  rc = hf_ed25519_verify(public_key, signature, data, (size_t)size, &good);
  sqlite3_free(data);
  if (hf_fail_core(&err, rc) != SQLITE_OK) {
    hf_error_to_result(&err, context);
  } else {
    sqlite3_result_int(context, good);
  }
}

int attest_keys_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"attest_hmac", -1, HF_KEYED, keys_hmac},
      {"attest_keygen", 0, HF_CHANGES, keys_keygen},
      {"attest_sign", -1, HF_KEYED, keys_sign},
      {"attest_verify", -1, HF_PURE, keys_verify},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
