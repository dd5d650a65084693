/*
** Verification of checkpoints: those stored with the ledger, and the one that
** the caller kept elsewhere.
**
** The stored ones are read along with the entries, in the order in which they
** were made, so in the order of their sizes; each is compared with the tree at
** the moment when that has its size.  A key that was given must have signed:
** the checkpoint given, or at least one that is stored.  Without a key the
** stored ones are held against the key that is stored with them, which shows
** damage, but proves nothing about who signed.
*/
#include <string.h>

#include "ledger/verify.h"

#define CHECKPOINT_NONE INT64_MAX /* of .due: nothing waits */

/* ---- keys ---------------------------------------------------------------- */

static int checkpoint_is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static int checkpoint_bad_key(HfLedger *ledger, HfError *err) {
  return hf_fail(err, SQLITE_ERROR,
                 "ledger %s: the verifier key must be <name>+<id>+<base64>, as "
                 "note_keygen makes it, or up to %d of them with spaces "
                 "between",
                 ledger->name, HF_NOTE_SIGNATURES_MAX);
}

/* Split the text at spaces and read each key. */
static int checkpoint_read_keys(HfLedger *ledger, VerifyCheckpoints *c,
                                const char *text, size_t size, HfError *err) {
  const char *stop = text + size;
  while (text < stop) {
    const char *end = text;
    int rc;
    while (end < stop && !checkpoint_is_space(*end)) end++;
    if (end > text) {
      rc = c->keys < HF_NOTE_SIGNATURES_MAX
               ? hf_note_read_verifier(ledger->conn->sha, text,
                                       (size_t)(end - text), &c->key[c->keys])
               : HF_RANGE;
      if (rc == HF_RANGE) return checkpoint_bad_key(ledger, err);
      if (hf_fail_core(err, rc) != SQLITE_OK) return err->rc;
      if (c->key[c->keys++].type == HF_NOTE_ED25519) c->log_keys++;
    }
    text = end + 1;
  }
  return c->keys > 0 ? SQLITE_OK : checkpoint_bad_key(ledger, err);
}

/* ---- one checkpoint ------------------------------------------------------ */

/* When a witness says that it cosigned, ms; no later than a double can tell. */
static sqlite3_int64 checkpoint_time(const HfNoteKey *key) {
  const uint64_t most = ((uint64_t)1 << 53) / 1000;
  return (sqlite3_int64)(key->time < most ? key->time : most) * 1000;
}

/* Who signed, of the keys that were given: JSON. */
static int checkpoint_signers(const VerifyCheckpoints *c, VerifyCheckpoint *out,
                              HfError *err) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  const char *comma = "";
  int i;
  sqlite3_str_appendchar(json, 1, '[');
  for (i = 0; i < c->keys; i++) {
    char id[9];
    if (c->key[i].verdict != 1) continue;
    hf_hex(c->key[i].id, 4, id);
    sqlite3_str_appendf(json, "%s{\"name\":", comma);
    hf_json_text(json, c->key[i].name);
    sqlite3_str_appendf(json, ",\"id\":\"%s\"", id);
    if (c->key[i].type == HF_NOTE_COSIGNATURE) {
      sqlite3_str_appendf(json, ",\"witnessed_at\":%lld",
                          checkpoint_time(&c->key[i]));
    }
    sqlite3_str_appendchar(json, 1, '}');
    comma = ",";
  }
  sqlite3_str_appendchar(json, 1, ']');
  out->signed_by = hf_str_finish(json, err);
  return err->rc;
}

/* Take over what the keys given said of a note: *wrong is the name of one whose
** signature is wrong, or NULL. */
static int checkpoint_verdicts(VerifyCheckpoints *c, VerifyCheckpoint *out,
                               const char **wrong, HfError *err) {
  int i;
  *wrong = NULL;
  for (i = 0; i < c->keys; i++) {
    const HfNoteKey *key = &c->key[i];
    if (key->verdict < 0) *wrong = key->name;
    if (key->verdict != 1) continue;
    if (key->type == HF_NOTE_COSIGNATURE) {
      sqlite3_int64 at = checkpoint_time(key);
      out->witnessed = 1;
      if (at > out->at) out->at = at;
    } else {
      out->signed_by_log = 1;
    }
  }
  return checkpoint_signers(c, out, err);
}

/* Read a note as a checkpoint of this ledger.  *problem: a text, static, of
** what is wrong with its form, or NULL. */
static int checkpoint_read(const char *note, size_t size, const char *origin,
                           VerifyCheckpoint *out, const char **problem) {
  HfCheckpoint body;
  size_t text = hf_note_text_size(note, size);
  *problem = NULL;
  if (text == 0) {
    *problem = "it is not a signed note";
  } else if (!hf_checkpoint_read(note, text, &body)) {
    *problem = "its text is not that of a checkpoint";
  } else if (origin == NULL || strlen(origin) != body.origin_size ||
             memcmp(origin, body.origin, body.origin_size) != 0) {
    *problem = "it is of another ledger: the origin is not this one's";
  }
  if (*problem != NULL) return 0;
  out->size = (sqlite3_int64)body.size;
  memcpy(out->root, body.root, HF_SHA256_SIZE);
  return 1;
}

static void checkpoint_clear(VerifyCheckpoint *checkpoint) {
  sqlite3_free(checkpoint->signed_by);
  memset(checkpoint, 0, sizeof(*checkpoint));
}

static void checkpoints_due(VerifyCheckpoints *c) {
  c->due = CHECKPOINT_NONE;
  if (c->given.waits) c->due = c->given.size;
  if (c->next.waits && c->next.size < c->due) c->due = c->next.size;
}

/* The assurance rests on this one, whose signers it takes over. */
static void checkpoint_anchor(VerifyCheckpoints *c, VerifyCheckpoint *from,
                              int given) {
  LedgerAnchor *anchor = &c->anchor;
  sqlite3_free(anchor->signed_by);
  anchor->there = 1;
  anchor->given = given;
  anchor->at = from->at;
  anchor->size = from->size;
  memcpy(anchor->root, from->root, HF_SHA256_SIZE);
  anchor->signed_by = from->signed_by;
  from->signed_by = NULL;
  if (given) {
    anchor->assurance = from->witnessed ? LEDGER_WITNESSED : LEDGER_ANCHORED;
  } else {
    anchor->assurance =
        from->signed_by_log ? LEDGER_SIGNED : LEDGER_SELF_CONSISTENT;
  }
}

/* ---- the one given ------------------------------------------------------- */

static int checkpoint_read_given(VerifyCheckpoints *c, const LedgerScope *scope,
                                 const char *origin, VerifyQueue *queue,
                                 HfError *err) {
  VerifyCheckpoint *given = &c->given;
  const char *problem, *wrong;
  size_t text;
  given->at = INT64_MIN;
  if (!checkpoint_read(scope->checkpoint, scope->checkpoint_size, origin, given,
                       &problem)) {
    return verify_add(queue, err, "checkpoint_invalid", 0,
                      "the checkpoint given: %s", problem);
  }
  given->waits = 1;
  if (hf_fail_core(
          err, hf_note_verify(c->key, (size_t)c->keys, scope->checkpoint,
                              scope->checkpoint_size, &text)) != SQLITE_OK ||
      checkpoint_verdicts(c, given, &wrong, err) != SQLITE_OK) {
    return err->rc;
  }
  if (wrong != NULL) {
    verify_add(queue, err, "checkpoint_invalid", 0,
               "the checkpoint given: the signature of %s is wrong", wrong);
  } else if (c->log_keys > 0 && !given->signed_by_log) {
    verify_add(queue, err, "checkpoint_invalid", 0,
               "the checkpoint given is not signed by the log's key given");
  } else if (c->keys > c->log_keys && !given->witnessed) {
    verify_add(queue, err, "checkpoint_invalid", 0,
               "the checkpoint given is not cosigned by a witness whose key is "
               "given");
  }
  return err->rc;
}

/* ---- the stored ones ----------------------------------------------------- */

enum { STORED_ID, STORED_AT, STORED_SIZE, STORED_VERIFIER, STORED_NOTE };

/* Is the key among those given, and did it sign? */
static int checkpoint_is_given(const VerifyCheckpoints *c,
                               const HfNoteKey *key) {
  int i;
  for (i = 0; i < c->keys; i++) {
    if (c->key[i].verdict == 1 && c->key[i].type == key->type &&
        strcmp(c->key[i].name, key->name) == 0 &&
        memcmp(c->key[i].public_key, key->public_key, HF_ED25519_KEY) == 0) {
      return 1;
    }
  }
  return 0;
}

/* The signature of a stored one, by the keys given or by its own. */
static const char *checkpoint_check_stored(HfLedger *ledger,
                                           VerifyCheckpoints *c,
                                           const char *note, size_t size,
                                           HfError *err) {
  VerifyCheckpoint *next = &c->next;
  HfNoteKey *own = &c->key[c->keys];
  const char *verifier, *wrong = NULL;
  size_t text = 0;
  int rc = hf_note_verify(c->key, (size_t)c->keys, note, size, &text);
  if (hf_fail_core(err, rc) != SQLITE_OK ||
      checkpoint_verdicts(c, next, &wrong, err) != SQLITE_OK) {
    return NULL;
  }
  if (wrong != NULL) return "its signature is wrong";
  verifier = (const char *)sqlite3_column_text(c->stored, STORED_VERIFIER);
  if (verifier == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
    return NULL;
  }
  rc = hf_note_read_verifier(
      ledger->conn->sha, verifier,
      (size_t)sqlite3_column_bytes(c->stored, STORED_VERIFIER), own);
  if (rc == HF_RANGE) return "its verifier is none";
  if (rc == HF_OK && !checkpoint_is_given(c, own)) {
    rc = hf_note_verify(own, 1, note, size, &text);
    if (rc == HF_OK && text == 0) {
      return "it is not signed by the key that is stored with it";
    }
  }
  hf_fail_core(err, rc);
  return NULL;
}

/* The row on which c->stored stands, in c->next.  Returns what is wrong with
** it, or NULL. */
static const char *checkpoint_read_stored(HfLedger *ledger,
                                          VerifyCheckpoints *c,
                                          const char *origin, HfError *err) {
  sqlite3_stmt *row = c->stored;
  VerifyCheckpoint *next = &c->next;
  const char *note, *problem;
  size_t size;
  checkpoint_clear(next);
  next->id = sqlite3_column_int64(row, STORED_ID);
  if (sqlite3_column_type(row, STORED_AT) != SQLITE_INTEGER ||
      sqlite3_column_type(row, STORED_SIZE) != SQLITE_INTEGER ||
      sqlite3_column_type(row, STORED_VERIFIER) != SQLITE_TEXT ||
      sqlite3_column_type(row, STORED_NOTE) != SQLITE_TEXT) {
    return "its columns are not of the right types";
  }
  if (next->id <= c->last_id) return "its number cannot be";
  next->at = sqlite3_column_int64(row, STORED_AT);
  note = (const char *)sqlite3_column_text(row, STORED_NOTE);
  size = (size_t)sqlite3_column_bytes(row, STORED_NOTE);
  if (note == NULL) {
    hf_fail(err, SQLITE_NOMEM, NULL);
    return NULL;
  }
  if (!checkpoint_read(note, size, origin, next, &problem)) {
    return problem;
  }
  if (sqlite3_column_int64(row, STORED_SIZE) != next->size) {
    return "its size is not that of its note";
  }
  if (next->size < c->last_size) {
    return "it has fewer entries than the one before";
  }
  if (next->at < c->last_at) return "it is older than the one before";
  c->last_at = next->at;
  problem = checkpoint_check_stored(ledger, c, note, size, err);
  if (problem != NULL || err->rc != SQLITE_OK) return problem;
  next->waits = 1;
  c->last_size = next->size;
  return NULL;
}

/* Go on to the next stored one that can be compared. */
static int checkpoints_advance(HfLedger *ledger, VerifyCheckpoints *c,
                               VerifyQueue *queue, HfError *err) {
  checkpoint_clear(&c->next);
  while (c->stored != NULL && !c->next.waits && err->rc == SQLITE_OK) {
    const char *problem;
    int rc = sqlite3_step(c->stored);
    if (rc != SQLITE_ROW) {
      if (rc != SQLITE_DONE) hf_fail_db(err, ledger->db);
      sqlite3_finalize(c->stored);
      c->stored = NULL;
      break;
    }
    problem = checkpoint_read_stored(ledger, c, c->origin, err);
    if (err->rc == SQLITE_OK && c->next.id > c->last_id + 1) {
      verify_add(queue, err, "checkpoint_invalid", 0,
                 "checkpoints are missing between %lld and %lld", c->last_id,
                 c->next.id);
    }
    if (c->next.id > c->last_id) c->last_id = c->next.id;
    if (problem != NULL) {
      verify_add(queue, err, "checkpoint_invalid", 0, "checkpoint %lld: %s",
                 c->next.id, problem);
    }
  }
  checkpoints_due(c);
  return err->rc;
}

/* ---- against the tree ---------------------------------------------------- */

int verify_checkpoints_open(HfLedger *ledger, VerifyCheckpoints *c,
                            const LedgerScope *scope, const char *origin,
                            VerifyQueue *queue, HfError *err) {
  memset(c, 0, sizeof(*c));
  c->origin = origin;
  c->key = sqlite3_malloc64(sizeof(*c->key) * (HF_NOTE_SIGNATURES_MAX + 1));
  if (c->key == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  if (scope->verifiers != NULL &&
      checkpoint_read_keys(ledger, c, scope->verifiers, scope->verifiers_size,
                           err) != SQLITE_OK) {
    return err->rc;
  }
  if (scope->checkpoint != NULL) {
    c->asked = 1;
    checkpoint_read_given(c, scope, origin, queue, err);
  }
  /* A table that is missing or altered is a finding of the structure. */
  if (err->rc == SQLITE_OK &&
      hf_prepare(ledger->db, &c->stored, err,
                 "SELECT id, at, size, verifier, note"
                 "  FROM \"%w\".\"%w_checkpoint\" NOT INDEXED ORDER BY id",
                 ledger->schema, ledger->name) == SQLITE_ERROR) {
    hf_error_clear(err);
  }
  return checkpoints_advance(ledger, c, queue, err);
}

void verify_checkpoints_close(VerifyCheckpoints *c) {
  sqlite3_finalize(c->stored);
  checkpoint_clear(&c->given);
  checkpoint_clear(&c->next);
  checkpoint_clear(&c->cut);
  sqlite3_free(c->anchor.signed_by);
  sqlite3_free(c->key);
  memset(c, 0, sizeof(*c));
}

/* The tree has the size of the one given. */
static void checkpoint_compare_given(VerifyCheckpoints *c,
                                     const unsigned char *root,
                                     VerifyQueue *queue, HfError *err) {
  VerifyCheckpoint *given = &c->given;
  given->waits = 0;
  if (root != NULL && memcmp(root, given->root, HF_SHA256_SIZE) != 0) {
    verify_add(queue, err, "history_rewritten", given->size,
               "the first %lld entries are not those of the checkpoint given",
               given->size);
  }
  checkpoint_anchor(c, given, 1);
}

/* The tree has the size of the next stored one.  One finding tells of a whole
** history that was rewritten. */
static void checkpoint_compare_stored(VerifyCheckpoints *c,
                                      const unsigned char *root,
                                      VerifyQueue *queue, HfError *err) {
  VerifyCheckpoint *next = &c->next;
  int same = c->anchor.given && c->anchor.size == next->size &&
             memcmp(c->anchor.root, next->root, HF_SHA256_SIZE) == 0;
  if (next->signed_by_log) c->signed_stored = 1;
  if (root != NULL && memcmp(root, next->root, HF_SHA256_SIZE) != 0) {
    if (!same && !c->rewritten) {
      verify_add(queue, err, "history_rewritten", next->size,
                 "the first %lld entries are not those of checkpoint %lld",
                 next->size, next->id);
    }
    c->rewritten = 1;
    return;
  }
  /* What is stored with it is not signed, a witness's time is. */
  if (same && c->anchor.assurance != LEDGER_WITNESSED &&
      c->anchor.at < next->at) {
    c->anchor.at = next->at;
  }
  if (!c->anchor.given && (next->signed_by_log || !c->signed_stored)) {
    checkpoint_anchor(c, next, 0);
  }
}

int verify_checkpoints_compare(HfLedger *ledger, VerifyCheckpoints *c,
                               sqlite3_int64 size, sqlite3_int64 at,
                               const unsigned char *root, VerifyQueue *queue,
                               HfError *err) {
  if (c->given.waits && c->given.size <= size) {
    /* It was made after its last entry; better is not known yet. */
    if (c->given.at == INT64_MIN) c->given.at = at;
    checkpoint_compare_given(c, c->given.size == size ? root : NULL, queue,
                             err);
  }
  while (c->next.waits && c->next.size <= size && err->rc == SQLITE_OK) {
    checkpoint_compare_stored(c, c->next.size == size ? root : NULL, queue,
                              err);
    checkpoints_advance(ledger, c, queue, err);
  }
  checkpoints_due(c);
  return err->rc;
}

/* What a key that was given must have signed. */
static void checkpoints_check_signed(const VerifyCheckpoints *c,
                                     VerifyQueue *queue, HfError *err) {
  if (c->asked) return; /* the one given has been looked at */
  if (c->log_keys > 0 && !c->signed_stored) {
    verify_add(queue, err, "checkpoint_invalid", 0,
               "a verifier key is given, but no checkpoint that is signed by "
               "it is stored with the ledger");
  }
  if (c->keys > c->log_keys) {
    verify_add(queue, err, "checkpoint_invalid", 0,
               "a witness's key is given, but not the checkpoint that it "
               "cosigned");
  }
}

int verify_checkpoints_end(HfLedger *ledger, VerifyCheckpoints *c,
                           sqlite3_int64 size, VerifyQueue *queue,
                           HfError *err) {
  /* The newest of those stored that the ledger no longer reaches. */
  while (c->next.waits && err->rc == SQLITE_OK) {
    checkpoint_clear(&c->cut);
    c->cut = c->next;
    memset(&c->next, 0, sizeof(c->next));
    if (c->cut.signed_by_log) c->signed_stored = 1;
    checkpoints_advance(ledger, c, queue, err);
  }
  if (err->rc != SQLITE_OK) return err->rc;
  if (c->given.waits) {
    verify_add(queue, err, "truncated", c->given.size,
               "the checkpoint given is of %lld entries; there are %lld",
               c->given.size, size);
  }
  if (c->cut.waits &&
      !(c->given.waits && c->given.size == c->cut.size &&
        memcmp(c->given.root, c->cut.root, HF_SHA256_SIZE) == 0)) {
    verify_add(queue, err, "truncated", c->cut.size,
               "checkpoint %lld is of %lld entries; there are %lld", c->cut.id,
               c->cut.size, size);
  }
  checkpoints_check_signed(c, queue, err);
  if (c->given.waits) checkpoint_anchor(c, &c->given, 1);
  c->given.waits = 0;
  return err->rc == SQLITE_OK ? SQLITE_DONE : err->rc;
}
