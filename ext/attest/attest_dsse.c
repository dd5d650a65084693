/*
** DSSE, the Dead Simple Signing Envelope, version 1.
**
**   dsse_sign(payload_type, payload, secret [, keyid])
**   dsse_verify(envelope, public)
**
** What is signed is PAE(type, payload) = "DSSEv1 <n> <type> <m> <payload>",
** lengths in bytes, decimal: both are bound by the signature, without any
** canonical form of JSON.
**
** Source: github.com/secure-systems-lab/dsse, protocol.md and envelope.md.
*/
#include <string.h>

#include "attest/attest.h"
#include "core/base64.h"
#include "core/note.h"
#include "core/signature.h"
#include "core/utf8.h"

/* Signatures of an envelope that are looked at. */
#define DSSE_SIGNATURES_MAX 100

/* The bytes of a TEXT or BLOB argument; 0 with the error raised. */
static int dsse_bytes(sqlite3_context *context, const char *words,
                      sqlite3_value *value, const char **data, size_t *size) {
  int type = sqlite3_value_type(value);
  if (type != SQLITE_TEXT && type != SQLITE_BLOB) {
    sqlite3_result_error(context, words, -1);
    return 0;
  }
  *data = type == SQLITE_TEXT ? (const char *)sqlite3_value_text(value)
                              : sqlite3_value_blob(value);
  *size = (size_t)sqlite3_value_bytes(value);
  if (*data == NULL && (type == SQLITE_TEXT || *size > 0)) {
    sqlite3_result_error_nomem(context);
    return 0;
  }
  return 1;
}

/* PAE(type, payload), which sqlite3_free takes back; NULL without memory. */
static char *dsse_pae(const char *type, size_t type_size, const char *payload,
                      size_t size, size_t *out_size) {
  sqlite3_str *pae = sqlite3_str_new(NULL);
  sqlite3_str_appendf(pae, "DSSEv1 %lld ", (sqlite3_int64)type_size);
  sqlite3_str_append(pae, type, (int)type_size);
  sqlite3_str_appendf(pae, " %lld ", (sqlite3_int64)size);
  if (size > 0) sqlite3_str_append(pae, payload, (int)size);
  *out_size = (size_t)sqlite3_str_length(pae);
  if (sqlite3_str_errcode(pae) != SQLITE_OK) {
    sqlite3_free(sqlite3_str_finish(pae));
    return NULL;
  }
  return sqlite3_str_finish(pae);
}

/* ---- signing ------------------------------------------------------------- */

static void dsse_put_base64(sqlite3_str *out, const void *data, size_t size) {
  char *text = sqlite3_malloc64(hf_base64_size(size) + 1);
  sqlite3_str_appendchar(out, 1, '"');
  if (text != NULL) {
    hf_base64_encode(data, size, text);
    sqlite3_str_append(out, text, (int)hf_base64_size(size));
    sqlite3_str_appendchar(out, 1, '"'); /* without it the JSON is unfinished */
  }
  sqlite3_free(text);
}

static void dsse_result(sqlite3_context *context, const char *type,
                        const char *payload, size_t size, const char *keyid,
                        const unsigned char signature[HF_ED25519_SIGNATURE]) {
  sqlite3_str *json = sqlite3_str_new(sqlite3_context_db_handle(context));
  int rc;
  sqlite3_str_appendall(json, "{\"payload\":");
  dsse_put_base64(json, payload, size);
  sqlite3_str_appendall(json, ",\"payloadType\":");
  hf_json_text(json, type);
  sqlite3_str_appendall(json, ",\"signatures\":[{");
  if (keyid != NULL) {
    sqlite3_str_appendall(json, "\"keyid\":");
    hf_json_text(json, keyid);
    sqlite3_str_appendall(json, ",");
  }
  sqlite3_str_appendall(json, "\"sig\":");
  dsse_put_base64(json, signature, HF_ED25519_SIGNATURE);
  sqlite3_str_appendall(json, "}]}");
  rc = sqlite3_str_errcode(json);
  if (rc != SQLITE_OK) {
    sqlite3_free(sqlite3_str_finish(json));
    sqlite3_result_error_code(context, rc);
  } else {
    sqlite3_result_text(context, sqlite3_str_finish(json), -1, sqlite3_free);
  }
}

/* A TEXT of the envelope's own JSON; 0 with the error raised. */
static int dsse_label(sqlite3_context *context, const char *words,
                      sqlite3_value *value, const char **text, size_t *size) {
  if (sqlite3_value_type(value) != SQLITE_TEXT) {
    sqlite3_result_error(context, words, -1);
    return 0;
  }
  if (!dsse_bytes(context, words, value, text, size)) return 0;
  if (hf_note_is_plain(*text, *size)) return 1;
  sqlite3_result_error(context, words, -1);
  return 0;
}

/*
** dsse_sign(payload_type, payload, secret [, keyid])
**
** payload_type and keyid: TEXT without control characters; payload: TEXT or
** BLOB; secret: a BLOB of 32 bytes, or 64 hexadecimal digits.  Returns the
** envelope, JSON, with an Ed25519 signature.  The keyid is a hint for readers
** that nothing authenticates.  NULL when the type or the payload is NULL.
** Errors: another type or secret.
*/
static void dsse_sign(sqlite3_context *context, int argc,
                      sqlite3_value **argv) {
  static const char words[] =
      "dsse_sign: the arguments are payload_type (TEXT), payload (TEXT or "
      "BLOB), secret (a BLOB of 32 bytes or 64 hexadecimal digits), keyid "
      "(TEXT)";
  const char *type, *payload, *keyid = NULL;
  unsigned char secret[HF_ED25519_KEY], signature[HF_ED25519_SIGNATURE];
  size_t type_size, size, keyid_size, pae_size;
  HfError err = {SQLITE_OK, NULL};
  char *pae;
  int rc;
  if (hf_any_null(2, argv) ||
      !dsse_label(context, words, argv[0], &type, &type_size) ||
      !dsse_bytes(context, words, argv[1], &payload, &size)) {
    return;
  }
  if (argc > 3 && sqlite3_value_type(argv[3]) != SQLITE_NULL &&
      !dsse_label(context, words, argv[3], &keyid, &keyid_size)) {
    return;
  }
  if (attest_bytes(argv[2], secret, HF_ED25519_KEY) != HF_ED25519_KEY) {
    hf_wipe(secret, sizeof(secret));
    sqlite3_result_error(context, words, -1);
    return;
  }
  pae = dsse_pae(type, type_size, payload, size, &pae_size);
  rc = pae != NULL ? hf_ed25519_sign(secret, NULL, pae, pae_size, signature)
                   : HF_NOMEM;
  hf_wipe(secret, sizeof(secret));
  sqlite3_free(pae);
  if (hf_fail_core(&err, rc) != SQLITE_OK) {
    hf_error_to_result(&err, context);
  } else {
    dsse_result(context, type, payload, size, keyid, signature);
  }
}

/* ---- verifying ----------------------------------------------------------- */

/* The bytes of a column of base64, which sqlite3_free takes back; NULL when it
** is none. */
static unsigned char *dsse_column(sqlite3_stmt *row, int column, size_t *size,
                                  HfError *err) {
  int n = sqlite3_column_bytes(row, column);
  unsigned char *out;
  char *copy;
  if (sqlite3_column_type(row, column) != SQLITE_TEXT) return NULL;
  copy = sqlite3_malloc64((sqlite3_uint64)n + 1);
  out = sqlite3_malloc64(((sqlite3_uint64)n / 4 + 1) * 3);
  if (copy == NULL || out == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  } else {
    memcpy(copy, sqlite3_column_text(row, column), (size_t)n);
    if (hf_base64_decode_any(copy, (size_t)n, out, size)) {
      sqlite3_free(copy);
      return out;
    }
  }
  sqlite3_free(copy);
  sqlite3_free(out);
  return NULL;
}

/* Check the signature of one row: payloadType, payload, sig.  *payload: the
** payload, when it is good. */
static void dsse_check(sqlite3_stmt *row, const unsigned char *public_key,
                       unsigned char **payload, size_t *size, HfError *err) {
  const char *type = (const char *)sqlite3_column_text(row, 0);
  size_t type_size = (size_t)sqlite3_column_bytes(row, 0);
  size_t pae_size, signature_size = 0;
  unsigned char *data = dsse_column(row, 1, size, err);
  unsigned char *signature = dsse_column(row, 2, &signature_size, err);
  char *pae = NULL;
  int good = 0;
  if (sqlite3_column_type(row, 0) == SQLITE_TEXT && type != NULL &&
      data != NULL && signature != NULL &&
      signature_size == HF_ED25519_SIGNATURE) {
    pae = dsse_pae(type, type_size, (const char *)data, *size, &pae_size);
    if (pae == NULL) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    } else {
      hf_fail_core(
          err, hf_ed25519_verify(public_key, signature, pae, pae_size, &good));
    }
  }
  sqlite3_free(pae);
  sqlite3_free(signature);
  if (good) {
    *payload = data;
  } else {
    sqlite3_free(data);
  }
}

/* Go through the signatures of an envelope.  *payload stays NULL when none is
** good, or the JSON is not an envelope's. */
static void dsse_envelope(sqlite3 *db, sqlite3_value *envelope,
                          const unsigned char *public_key,
                          unsigned char **payload, size_t *size, HfError *err) {
  sqlite3_stmt *row;
  int rc = SQLITE_DONE, n = 0;
  /* The first of equal keys counts, here and when it is signed. */
  if (hf_prepare(db, &row, err,
                 "SELECT json_extract(?1, '$.payloadType'),"
                 " json_extract(?1, '$.payload'), json_extract(value, '$.sig')"
                 "  FROM json_each(?1, '$.signatures')"
                 " WHERE json_valid(?1) AND type = 'object'") != SQLITE_OK) {
    return;
  }
  rc = sqlite3_bind_value(row, 1, envelope);
  while (rc == SQLITE_OK || rc == SQLITE_ROW) {
    rc = sqlite3_step(row);
    if (rc != SQLITE_ROW || *payload != NULL || err->rc != SQLITE_OK ||
        ++n > DSSE_SIGNATURES_MAX) {
      break;
    }
    dsse_check(row, public_key, payload, size, err);
  }
  /* Malformed JSON is an error of the statement. */
  if (rc != SQLITE_ROW && rc != SQLITE_DONE && rc != SQLITE_ERROR) {
    hf_fail_db(err, db);
  }
  sqlite3_finalize(row);
}

/*
** dsse_verify(envelope, public)
**
** envelope: TEXT; public: a BLOB of 32 bytes, or 64 hexadecimal digits.
** Returns the payload when one of the first 100 signatures is by that key,
** whatever keyid it carries: TEXT when it is UTF-8 without control characters
** but tabs and line ends, else a BLOB.  NULL when none is, for JSON that is no
** envelope, for public keys of small order or not in canonical form, and when
** an argument is NULL.  Base64 is read in both alphabets, with padding or
** without.  Errors: arguments of another type or length.
*/
static void dsse_verify(sqlite3_context *context, int argc,
                        sqlite3_value **argv) {
  static const char words[] =
      "dsse_verify: the arguments are the envelope (TEXT) and a public key (a "
      "BLOB of 32 bytes or 64 hexadecimal digits)";
  unsigned char public_key[HF_ED25519_KEY], *payload = NULL;
  HfError err = {SQLITE_OK, NULL};
  size_t size = 0, i;
  if (hf_any_null(argc, argv)) return;
  if (sqlite3_value_type(argv[0]) != SQLITE_TEXT ||
      attest_bytes(argv[1], public_key, HF_ED25519_KEY) != HF_ED25519_KEY) {
    sqlite3_result_error(context, words, -1);
    return;
  }
  dsse_envelope(sqlite3_context_db_handle(context), argv[0], public_key,
                &payload, &size, &err);
  if (err.rc != SQLITE_OK) {
    sqlite3_free(payload);
    hf_error_to_result(&err, context);
    return;
  }
  if (payload == NULL) return;
  for (i = 0; i < size; i++) {
    if (payload[i] < 0x20 && strchr("\t\n\r", payload[i]) == NULL) break;
    if (payload[i] == 0) break;
  }
  if (i == size && hf_utf8_is((const char *)payload, size)) {
    sqlite3_result_text64(context, (char *)payload, size, sqlite3_free,
                          SQLITE_UTF8);
  } else {
    sqlite3_result_blob64(context, payload, size, sqlite3_free);
  }
}

int attest_dsse_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"dsse_sign", 3, HF_KEYED, dsse_sign},
      {"dsse_sign", 4, HF_KEYED, dsse_sign},
      {"dsse_verify", 2, HF_PURE, dsse_verify},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
