/*
** Signed notes (c2sp.org/signed-note) in SQL.
**
**   note_keygen(key_name)
**   note_sign(text, signer, ...)
**   note_verify(note, verifier, ...)
*/
#include <string.h>

#include "attest/attest.h"
#include "core/note.h"

static const char notes_out_of_keys[] =
    "a note takes 1 to 100 keys, one an argument";

/* The TEXT of an argument; 0 with the error raised for another type. */
static int notes_text(sqlite3_context *context, const char *words,
                      sqlite3_value *value, const char **text, size_t *size) {
  if (sqlite3_value_type(value) != SQLITE_TEXT) {
    sqlite3_result_error(context, words, -1);
    return 0;
  }
  *text = (const char *)sqlite3_value_text(value);
  *size = (size_t)sqlite3_value_bytes(value);
  if (*text == NULL) sqlite3_result_error_nomem(context);
  return *text != NULL;
}

/* Raise the error of a core function: these words for HF_RANGE. */
static void notes_error(sqlite3_context *context, int core_rc,
                        const char *words) {
  HfError err = {SQLITE_OK, NULL};
  if (core_rc == HF_RANGE) {
    sqlite3_result_error(context, words, -1);
    return;
  }
  hf_fail_core(&err, core_rc);
  hf_error_to_result(&err, context);
}

/*
** note_keygen(key_name)
**
** key_name: TEXT without spaces and '+', at most 255 bytes, for example
** 'example.com/log'.  Returns a new Ed25519 key as JSON, {"signer":"...",
** "verifier":"..."}: the signer is the secret half, the verifier is for
** everyone.  Errors: a name that is none.
*/
static void notes_keygen(sqlite3_context *context, int argc,
                         sqlite3_value **argv) {
  static const char words[] =
      "note_keygen: the name of a key is TEXT of 1 to 255 bytes without spaces "
      "and '+'";
  HfConn *conn = sqlite3_user_data(context);
  unsigned char secret[HF_ED25519_KEY], public_key[HF_ED25519_KEY];
  char signer[HF_NOTE_KEY_TEXT], verifier[HF_NOTE_KEY_TEXT];
  sqlite3_str *json;
  const char *name;
  HfNoteKey key;
  size_t size;
  int rc;
  (void)argc;
  if (!notes_text(context, words, argv[0], &name, &size)) return;
  rc = hf_ed25519_generate(secret, public_key);
  if (rc == HF_OK) rc = hf_note_key_make(conn->sha, name, size, secret, &key);
  hf_wipe(secret, sizeof(secret));
  if (rc != HF_OK) {
    notes_error(context, rc, words);
    return;
  }
  hf_note_key_signer(&key, signer);
  hf_note_key_verifier(&key, verifier);
  hf_wipe(&key, sizeof(key));
  json = sqlite3_str_new(NULL);
  sqlite3_str_appendall(json, "{\"signer\":");
  hf_json_text(json, signer);
  sqlite3_str_appendall(json, ",\"verifier\":");
  hf_json_text(json, verifier);
  sqlite3_str_appendall(json, "}");
  hf_wipe(signer, sizeof(signer));
  if (sqlite3_str_errcode(json) != SQLITE_OK) {
    sqlite3_free(sqlite3_str_finish(json));
    sqlite3_result_error_nomem(context);
    return;
  }
  sqlite3_result_text(context, sqlite3_str_finish(json), -1, sqlite3_free);
}

/*
** note_sign(text, signer, ...)
**
** text: TEXT that ends in a newline and holds no other control characters;
** signers as note_keygen makes them.  Returns the signed note, with a line a
** signer.  The same for the same text and keys.  Errors: another text; a signer
** that is none.
*/
static void notes_sign(sqlite3_context *context, int argc,
                       sqlite3_value **argv) {
  static const char words[] =
      "note_sign: the text must be UTF-8 TEXT of at most 1000000 bytes that "
      "ends in a newline and has no other control characters";
  static const char key_words[] =
      "note_sign: a signer must be PRIVATE+KEY+<name>+<id>+<base64>, as "
      "note_keygen makes it";
  HfConn *conn = sqlite3_user_data(context);
  sqlite3_str *note;
  const char *text, *signer;
  size_t size, signer_size;
  int i, rc = HF_OK;
  if (argc < 2 || argc > HF_NOTE_SIGNATURES_MAX + 1) {
    sqlite3_result_error(context, notes_out_of_keys, -1);
    return;
  }
  if (!notes_text(context, words, argv[0], &text, &size)) return;
  if (!hf_note_is_text(text, size)) {
    sqlite3_result_error(context, words, -1);
    return;
  }
  note = sqlite3_str_new(sqlite3_context_db_handle(context));
  sqlite3_str_append(note, text, (int)size);
  sqlite3_str_appendchar(note, 1, '\n');
  for (i = 1; i < argc && rc == HF_OK; i++) {
    char line[HF_NOTE_LINE_MAX + 1];
    HfNoteKey key;
    if (!notes_text(context, key_words, argv[i], &signer, &signer_size)) {
      sqlite3_free(sqlite3_str_finish(note));
      return;
    }
    rc = hf_note_read_signer(conn->sha, signer, signer_size, &key);
    if (rc == HF_OK) rc = hf_note_sign(&key, text, size, line, &signer_size);
    if (rc == HF_OK) sqlite3_str_append(note, line, (int)signer_size);
    hf_wipe(&key, sizeof(key));
  }
  i = sqlite3_str_errcode(note);
  if (rc != HF_OK || i != SQLITE_OK) {
    sqlite3_free(sqlite3_str_finish(note));
    if (rc != HF_OK) {
      notes_error(context, rc, key_words);
    } else {
      sqlite3_result_error_code(context, i);
    }
    return;
  }
  i = sqlite3_str_length(note);
  sqlite3_result_text(context, sqlite3_str_finish(note), i, sqlite3_free);
}

/*
** note_verify(note, verifier, ...)
**
** Returns the note's text when at least one of the verifiers signed it, and no
** line of one of them is wrong.  Lines of other keys are ignored.  NULL when
** that is not so, for a malformed note (more than 1000000 bytes or 100 lines
** of signatures among them), and when an argument is NULL.  Errors: a note that
** is no TEXT; a verifier that is none, or whose public key is not sound.
*/
static void notes_verify(sqlite3_context *context, int argc,
                         sqlite3_value **argv) {
  static const char key_words[] =
      "note_verify: a verifier must be <name>+<id>+<base64>, as note_keygen "
      "makes it, with a sound public key";
  HfConn *conn = sqlite3_user_data(context);
  const char *note, *verifier;
  size_t size, verifier_size, text_size = 0;
  HfNoteKey *key;
  int i, rc = HF_OK;
  if (argc < 2 || argc > HF_NOTE_SIGNATURES_MAX + 1) {
    sqlite3_result_error(context, notes_out_of_keys, -1);
    return;
  }
  if (hf_any_null(argc, argv) ||
      !notes_text(context, "note_verify: the note must be TEXT", argv[0], &note,
                  &size)) {
    return;
  }
  key = sqlite3_malloc64(sizeof(*key) * (sqlite3_uint64)argc);
  if (key == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  for (i = 1; i < argc && rc == HF_OK; i++) {
    if (!notes_text(context, key_words, argv[i], &verifier, &verifier_size)) {
      sqlite3_free(key);
      return;
    }
    rc = hf_note_read_verifier(conn->sha, verifier, verifier_size, &key[i - 1]);
  }
  if (rc == HF_OK) {
    rc = hf_note_verify(key, (size_t)argc - 1, note, size, &text_size);
  }
  sqlite3_free(key);
  if (rc != HF_OK) {
    notes_error(context, rc, key_words);
  } else if (text_size > 0) {
    sqlite3_result_text(context, note, (int)text_size, SQLITE_TRANSIENT);
  }
}

int attest_notes_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"note_keygen", 1, HF_CHANGES, notes_keygen},
      {"note_sign", -1, HF_KEYED, notes_sign},
      {"note_verify", -1, HF_PURE, notes_verify},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
