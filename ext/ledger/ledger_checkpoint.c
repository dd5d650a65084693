/*
** ledger_checkpoint(name, signer [, at]): a signed statement of what the ledger
** is, to be kept elsewhere.
**
** A checkpoint (c2sp.org/tlog-checkpoint) is a signed note of the ledger's
** origin, its size and its root.  Three rules make it worth something: it names
** only entries that are committed, and on the disk; it is consistent with the
** one before, so that a ledger that was cut or rewritten gets no new one; and
** it is stored with the ledger before it is handed out.
*/
#include <string.h>

#include "core/checkpoint.h"
#include "core/note.h"
#include "core/proof.h"
#include "ledger/ledger.h"

/* The newest stored checkpoint. */
typedef struct CheckpointLast {
  sqlite3_int64 id; /* 0: there is none */
  sqlite3_int64 at;
  HfCheckpoint body; /* its origin is not filled in */
} CheckpointLast;

static int checkpoint_damaged(HfLedger *ledger, HfError *err,
                              const char *words) {
  return hf_fail(err, SQLITE_CORRUPT_VTAB,
                 "ledger %s: %s; run ledger_verify('%s')", ledger->name, words,
                 ledger->name);
}

static int checkpoint_read_last(HfLedger *ledger, CheckpointLast *last,
                                HfError *err) {
  sqlite3_stmt *stmt;
  const char *note;
  size_t size;
  memset(last, 0, sizeof(*last));
  if (hf_prepare(ledger->db, &stmt, err,
                 "SELECT id, at, note FROM \"%w\".\"%w_checkpoint\" NOT INDEXED"
                 " ORDER BY id DESC LIMIT 1",
                 ledger->schema, ledger->name) != SQLITE_OK) {
    if (err->rc == SQLITE_ERROR) {
      hf_error_clear(err);
      checkpoint_damaged(ledger, err,
                         "its table of checkpoints is missing or altered");
    }
    return err->rc;
  }
  switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
      last->id = sqlite3_column_int64(stmt, 0);
      last->at = sqlite3_column_int64(stmt, 1);
      note = (const char *)sqlite3_column_text(stmt, 2);
      size = (size_t)sqlite3_column_bytes(stmt, 2);
      if (note == NULL || last->id < 1 ||
          !hf_checkpoint_read(note, hf_note_text_size(note, size),
                              &last->body)) {
        checkpoint_damaged(ledger, err, "its last checkpoint is damaged");
      }
      break;
    case SQLITE_DONE:
      break;
    default:
      hf_fail_db(err, ledger->db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

typedef struct CheckpointTree {
  HfLedger *ledger;
  HfError *err;
} CheckpointTree;

static int checkpoint_subtree(void *context, uint64_t end, int level,
                              unsigned char out[HF_SHA256_SIZE]) {
  const CheckpointTree *tree = context;
  return ledger_read_subtree(tree->ledger, (sqlite3_int64)end, level, out,
                             tree->err) == SQLITE_OK
             ? HF_OK
             : HF_RANGE;
}

/* A log signs nothing that is not consistent with what it signed before.  The
** last one is enough: it was compared with the one before it. */
static int checkpoint_consistent(HfLedger *ledger, const HfCheckpoint *last,
                                 const HfCheckpoint *now, HfError *err) {
  CheckpointTree source = {ledger, err};
  HfTree tree = {checkpoint_subtree, &source, ledger->conn->sha};
  HfProof proof;
  int rc, good = 0;
  if (last->size > now->size) {
    return checkpoint_damaged(
        ledger, err, "it has fewer entries than its last checkpoint says");
  }
  if (last->size == 0) return SQLITE_OK;
  rc = hf_proof_consistency(&tree, last->size, now->size, &proof);
  if (rc == HF_OK) {
    rc = hf_proof_check_consistency(ledger->conn->sha, last->size, now->size,
                                    (const unsigned char *)proof.hash,
                                    (size_t)proof.count, last->root, now->root,
                                    &good);
  }
  if (err->rc == SQLITE_OK && hf_fail_core(err, rc) == SQLITE_OK && !good) {
    checkpoint_damaged(ledger, err,
                       "its entries are not those of its last checkpoint");
  }
  return err->rc;
}

/* The note in *out, which sqlite3_free takes back. */
static int checkpoint_sign(HfLedger *ledger, const HfNoteKey *key,
                           const HfCheckpoint *body, char **out, HfError *err) {
  size_t room = HF_CHECKPOINT_ROOM(body->origin_size) + 1 + HF_NOTE_LINE_MAX;
  char *note = sqlite3_malloc64(room + 1);
  size_t size, line;
  HfCheckpoint again;
  int rc;
  *out = note;
  if (note == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  size = hf_checkpoint_write(body, note);
  if (!hf_note_is_text(note, size) || !hf_checkpoint_read(note, size, &again) ||
      again.origin_size != body->origin_size) {
    return hf_fail(err, SQLITE_ERROR,
                   "ledger %s: its origin is not a line of text, so it can "
                   "have no checkpoints; declare another with origin='...'",
                   ledger->name);
  }
  note[size] = '\n';
  rc = hf_note_sign(key, note, size, note + size + 1, &line);
  return hf_fail_core(err, rc);
}

static int checkpoint_store(HfLedger *ledger, const HfNoteKey *key,
                            sqlite3_int64 id, sqlite3_int64 at,
                            sqlite3_int64 size, const char *note,
                            HfError *err) {
  HfConn *conn = ledger->conn;
  HfPending pending = {0, -id, 0, conn->pending};
  char verifier[HF_NOTE_KEY_TEXT];
  sqlite3_stmt *stmt;
  if (ledger_need_id(ledger, err) != SQLITE_OK ||
      hf_prepare(ledger->db, &stmt, err,
                 "INSERT INTO \"%w\".\"%w_checkpoint\""
                 "(id, at, size, verifier, note) VALUES (?1, ?2, ?3, ?4, ?5)",
                 ledger->schema, ledger->name) != SQLITE_OK) {
    return err->rc;
  }
  hf_note_key_verifier(key, verifier);
  sqlite3_bind_int64(stmt, 1, id);
  sqlite3_bind_int64(stmt, 2, at);
  sqlite3_bind_int64(stmt, 3, size);
  sqlite3_bind_text(stmt, 4, verifier, -1, SQLITE_STATIC);
  sqlite3_bind_text(stmt, 5, note, -1, SQLITE_STATIC);
  pending.id = ledger->id;
  conn->pending = &pending;
  if (hf_step_done(ledger->db, stmt, err) == SQLITE_OK &&
      sqlite3_changes(ledger->db) != 1) {
    hf_fail(err, SQLITE_CONSTRAINT_VTAB,
            "ledger %s: a trigger on %s_checkpoint swallowed the checkpoint "
            "with RAISE(IGNORE); RAISE(ABORT, ...) refuses one",
            ledger->name, ledger->name);
  }
  conn->pending = pending.outer;
  sqlite3_finalize(stmt);
  return err->rc;
}

/* A time too far ahead would be that of every checkpoint to come. */
static int checkpoint_check_time(HfLedger *ledger, sqlite3_int64 at,
                                 HfError *err) {
  sqlite3_int64 now;
  if (ledger->def.clock_caller ||
      hf_clock_now(ledger->vfs, &now, err) != SQLITE_OK ||
      at <= now + LEDGER_AHEAD_MS) {
    return err->rc;
  }
  return hf_fail(err, SQLITE_ERROR,
                 "ledger_checkpoint: the time %lld is more than %d s ahead of "
                 "the clock (%lld); a ledger of clock='caller' takes it",
                 at, LEDGER_AHEAD_MS / 1000, now);
}

/* Everything that happens under the write lock.  at: INT64_MIN asks the
** clock. */
static int checkpoint_make(HfLedger *ledger, const HfNoteKey *key,
                           sqlite3_int64 at, char **note, HfError *err) {
  LedgerConfig config = {NULL, {0}};
  CheckpointLast last;
  HfCheckpoint now;
  sqlite3_int64 size = 0;
  memset(&now, 0, sizeof(now));
  if (ledger_config_read(ledger, &config, err) == SQLITE_OK &&
      ledger_read_size(ledger, &size, err) == SQLITE_OK &&
      ledger_read_root(ledger, size, now.root, err) == SQLITE_OK &&
      checkpoint_read_last(ledger, &last, err) == SQLITE_OK &&
      (at != INT64_MIN || hf_clock_now(ledger->vfs, &at, err) == SQLITE_OK)) {
    now.origin = config.origin;
    now.origin_size = strlen(config.origin);
    now.size = (uint64_t)size;
    if (checkpoint_check_time(ledger, at, err) != SQLITE_OK) {
      ledger_config_clear(&config);
      return err->rc;
    }
    if (at < last.at) at = last.at;
    if (checkpoint_consistent(ledger, &last.body, &now, err) == SQLITE_OK &&
        checkpoint_sign(ledger, key, &now, note, err) == SQLITE_OK) {
      checkpoint_store(ledger, key, last.id + 1, at, size, *note, err);
    }
  }
  ledger_config_clear(&config);
  return err->rc;
}

/* Make it, and commit it so that it, and every entry before it, outlasts a
** power failure: in WAL mode with synchronous=NORMAL they need not. */
static int checkpoint_publish(HfLedger *ledger, const HfNoteKey *key,
                              sqlite3_int64 at, char **note, HfError *err) {
  HfError ignored = {SQLITE_OK, NULL};
  sqlite3_int64 level;
  HfTxn txn;
  if (hf_query_int(ledger->db, err, 2, &level, "PRAGMA \"%w\".synchronous",
                   ledger->schema) != SQLITE_OK) {
    return err->rc;
  }
  if (level < 2) {
    hf_exec(ledger->db, err, "PRAGMA \"%w\".synchronous=FULL", ledger->schema);
  }
  if (err->rc == SQLITE_OK &&
      hf_txn_begin(ledger->db, ledger->schema, "ledger_checkpoint", &txn,
                   err) == SQLITE_OK) {
    checkpoint_make(ledger, key, at, note, err);
    hf_txn_end(ledger->db, txn, err);
  }
  /* With synchronous=OFF pages went from the WAL to the file, and were not
  ** flushed there.  Moving the last ones flushes all; where a reader is in the
  ** way, they are still in the WAL, which the commit has flushed. */
  if (level == 0 && err->rc == SQLITE_OK) {
    hf_exec(ledger->db, &ignored, "PRAGMA \"%w\".wal_checkpoint",
            ledger->schema);
    hf_error_clear(&ignored);
  }
  if (level < 2) {
    hf_exec(ledger->db, &ignored, "PRAGMA \"%w\".synchronous=%lld",
            ledger->schema, level);
    hf_error_clear(&ignored);
  }
  return err->rc;
}

/* The arguments: the signer's key, and the time. */
static int checkpoint_arguments(HfConn *conn, int argc, sqlite3_value **argv,
                                HfNoteKey *key, sqlite3_int64 *at,
                                HfError *err) {
  int text = sqlite3_value_type(argv[1]) == SQLITE_TEXT;
  const char *signer = (const char *)sqlite3_value_text(argv[1]);
  size_t size = (size_t)sqlite3_value_bytes(argv[1]);
  int rc = HF_RANGE;
  *at = INT64_MIN;
  if (sqlite3_value_type(argv[0]) != SQLITE_TEXT) {
    return hf_fail(err, SQLITE_ERROR,
                   "ledger_checkpoint: the ledger's name is missing");
  }
  if (signer != NULL && text) {
    rc = hf_note_read_signer(conn->sha, signer, size, key);
  }
  if (rc == HF_RANGE) {
    return hf_fail(err, SQLITE_ERROR,
                   "ledger_checkpoint: the signer must be "
                   "PRIVATE+KEY+<name>+<id>+<base64>, as note_keygen makes it");
  }
  if (argc > 2 && sqlite3_value_type(argv[2]) != SQLITE_NULL) {
    *at = sqlite3_value_int64(argv[2]);
    if (sqlite3_value_type(argv[2]) != SQLITE_INTEGER || *at < 0) {
      return hf_fail(err, SQLITE_ERROR,
                     "ledger_checkpoint: the time must be an INTEGER, "
                     "milliseconds since 1970");
    }
  }
  return hf_fail_core(err, rc);
}

/*
** ledger_checkpoint(name, signer [, at])
**
** signer: a key of note_keygen, whose name should be the ledger's origin; at:
** the time to record, INTEGER, milliseconds since 1970, the clock's when left
** out.  Returns the checkpoint, a signed note, TEXT, after storing it in
** <name>_checkpoint and committing that to the disk.  Errors: inside an open
** transaction or a statement that writes; a signer that is none; a ledger that
** is not consistent with its last checkpoint (SQLITE_CORRUPT_VTAB).
*/
static void checkpoint_function(sqlite3_context *context, int argc,
                                sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  char *note = NULL;
  sqlite3_int64 at;
  HfNoteKey key;
  LedgerPin pin;
  memset(&pin, 0, sizeof(pin));
  memset(&key, 0, sizeof(key));
  if (!sqlite3_get_autocommit(conn->db)) {
    hf_fail(&err, SQLITE_ERROR,
            "ledger_checkpoint: a transaction is open; commit it first, for a "
            "checkpoint names only entries that can no longer be rolled back");
  } else if (checkpoint_arguments(conn, argc, argv, &key, &at, &err) ==
                 SQLITE_OK &&
             ledger_pin(conn, (const char *)sqlite3_value_text(argv[0]), &pin,
                        &err) == SQLITE_OK) {
    checkpoint_publish(pin.ledger, &key, at, &note, &err);
  }
  hf_wipe(&key, sizeof(key));
  ledger_unpin(&pin);
  hf_result_text(context, note, &err);
}

int ledger_checkpoint_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"ledger_checkpoint", 2, HF_CHANGES, checkpoint_function},
      {"ledger_checkpoint", 3, HF_CHANGES, checkpoint_function},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
