/*
** libFuzzer targets: everything that reads what nobody sane would write.
**
** The environment's FUZZ_TARGET says which one: declaration (the inside of
** CREATE VIRTUAL TABLE ... USING ledger(...); what is accepted must then hold
** entries and verify), file (edits, four bytes each, of the file of a small
** ledger with checkpoints and a tracked table; reading, verifying and appending
** must end with a result or an error), note, key, checkpoint, encoding, proof,
** json, dsse.
*/
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sqlite3_holdfast_init(sqlite3 *db, char **message,
                          const sqlite3_api_routines *api);

#define VERIFIER \
  "'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'"
#define SIGNER \
  "'PRIVATE+KEY+PeterNeumann+c74f20a3+" \
  "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'"

static unsigned char *image; /* the file of a ledger */
static sqlite3_int64 image_size;

static sqlite3 *fuzz_open(void) {
  sqlite3 *db = NULL;
  if (sqlite3_open(":memory:", &db) != SQLITE_OK ||
      sqlite3_holdfast_init(db, NULL, NULL) != SQLITE_OK) {
    abort();
  }
  return db;
}

/* How long a statement may run. */
static int fuzz_progress(void *left) { return --*(int *)left < 0; }

static int fuzz_run(sqlite3 *db, const char *sql) {
  int left = 2000, rc;
  sqlite3_progress_handler(db, 1000, fuzz_progress, &left);
  rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
  sqlite3_progress_handler(db, 0, NULL, NULL);
  return rc;
}

static int fuzz_count(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = NULL;
  int n = -1;
  if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) == SQLITE_ROW) {
    n = sqlite3_column_int(stmt, 0);
  }
  sqlite3_finalize(stmt);
  return n;
}

// NOLINTNEXTLINE(readability-non-const-parameter): libFuzzer declares it so
int LLVMFuzzerInitialize(int *argc, char ***argv) {
  sqlite3 *db = fuzz_open();
  (void)argc;
  (void)argv;
  if (fuzz_run(db,
               "PRAGMA page_size=512;"
               "CREATE VIRTUAL TABLE l USING ledger(a TEXT NOT NULL INDEXED, "
               "n INTEGER UNIQUE, x ANY, CHECK (n < 1000));"
               "INSERT INTO l(a, n, x) VALUES ('a', 1, 1.5), ('b', 2, x'00'), "
               "('c', 3, 'text'), ('d', 4, NULL), ('e', 5, 5), ('f', 6, '');"
               "SELECT ledger_checkpoint('l', " SIGNER ", 1000);"
               "CREATE TABLE signer AS SELECT " SIGNER " AS k;"
               "CREATE TABLE t(k INTEGER PRIMARY KEY, v UNIQUE);"
               "INSERT INTO t VALUES (1, 'one'), (2, x'02');"
               "SELECT ledger_track('t', 'tl');"
               "INSERT OR REPLACE INTO t VALUES (3, 'one')") != SQLITE_OK) {
    abort();
  }
  image = sqlite3_serialize(db, "main", &image_size, 0);
  sqlite3_close(db);
  return image == NULL;
}

static void fuzz_declaration(const uint8_t *data, size_t size) {
  sqlite3 *db = fuzz_open();
  char *sql = sqlite3_mprintf("CREATE VIRTUAL TABLE l USING ledger(%.*s)",
                              (int)size, (const char *)data);
  if (sql != NULL && fuzz_run(db, sql) == SQLITE_OK &&
      fuzz_count(db, "SELECT count(*) FROM pragma_table_list WHERE name = 'l' "
                     "AND type = 'virtual'") == 1) {
    fuzz_run(db, "INSERT INTO l(at) VALUES (1), (2), (2)");
    if (fuzz_count(db, "SELECT count(*) FROM ledger_verify('l')") > 0) abort();
    fuzz_run(db, "ALTER TABLE l RENAME TO m");
    if (fuzz_count(db, "SELECT count(*) FROM ledger_verify('m')") > 0) abort();
  }
  sqlite3_free(sql);
  if (sqlite3_close(db) != SQLITE_OK) abort();
}

static void fuzz_file(const uint8_t *data, size_t size) {
  static const char *const sql[] = {
      "SELECT * FROM ledger_verify('l')",
      "SELECT ledger_report('l', note, verifier) FROM l_checkpoint",
      "SELECT ledger_report('tl')",
      "SELECT * FROM ledger_reconcile('t')",
      "SELECT * FROM holdfast_check",
      "PRAGMA integrity_check",
      "SELECT *, prev_hash, hash FROM l WHERE a IN ('a', 'c') ORDER BY n",
      "SELECT ledger_size('l'), ledger_head('l'), ledger_root('l', 3)",
      "SELECT ledger_leaf_data('l', seq) FROM l",
      "INSERT INTO l(a, n) VALUES ('new', 10), ('newer', 11)",
      "INSERT INTO l_entry(seq, at, a, hash) VALUES (7, 1, 'x', x'00')",
      "SELECT ledger_checkpoint('l', k) FROM signer",
      "UPDATE OR REPLACE t SET v = 'two'",
      "SELECT ledger_track('t', 'tl')",
      "SELECT ledger_untrack('t')",
      "SELECT * FROM ledger_verify('l')",
      "ALTER TABLE l RENAME TO m",
      "DROP TABLE m"};
  sqlite3 *db = fuzz_open();
  unsigned char *copy = sqlite3_malloc64((sqlite3_uint64)image_size);
  size_t i;
  if (copy == NULL) abort();
  memcpy(copy, image, (size_t)image_size);
  for (i = 0; i + 4 <= size; i += 4) {
    size_t at = ((size_t)data[i] << 16 | data[i + 1] << 8 | data[i + 2]) %
                (size_t)image_size;
    copy[at] ^= data[i + 3];
  }
  sqlite3_deserialize(db, "main", copy, image_size, image_size,
                      SQLITE_DESERIALIZE_FREEONCLOSE |
                          SQLITE_DESERIALIZE_RESIZEABLE);
  for (i = 0; i < sizeof(sql) / sizeof(*sql); i++) fuzz_run(db, sql[i]);
  if (sqlite3_close(db) != SQLITE_OK) abort();
}

/* Run a statement whose parameters ?1 and ?2 are the bytes as TEXT and BLOB. */
static int fuzz_bytes(sqlite3 *db, const char *sql, const uint8_t *data,
                      size_t size) {
  sqlite3_stmt *stmt = NULL;
  int result = -1;
  if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) abort();
  sqlite3_bind_text(stmt, 1, (const char *)data, (int)size, SQLITE_STATIC);
  sqlite3_bind_blob(stmt, 2, data, (int)size, SQLITE_STATIC);
  if (sqlite3_step(stmt) == SQLITE_ROW) result = sqlite3_column_int(stmt, 0);
  sqlite3_finalize(stmt);
  return result;
}

static void fuzz_note(sqlite3 *db, const uint8_t *data, size_t size) {
  fuzz_bytes(db, "SELECT note_verify(?1, " VERIFIER ")", data, size);
  /* What can be signed must verify. */
  if (fuzz_bytes(db,
                 "SELECT note_verify(note_sign(?1, " SIGNER "), " VERIFIER
                 ") IS ?1",
                 data, size) == 0) {
    abort();
  }
}

static void fuzz_key(sqlite3 *db, const uint8_t *data, size_t size) {
  fuzz_bytes(db,
             "SELECT note_verify(note_sign('x' || char(10), " SIGNER "), ?1)",
             data, size);
  fuzz_bytes(db, "SELECT note_sign('x' || char(10), ?1)", data, size);
  fuzz_bytes(db, "SELECT note_keygen(?1)", data, size);
  fuzz_bytes(db, "SELECT ledger_report('l', NULL, ?1)", data, size);
  fuzz_bytes(db, "SELECT attest_hmac(?1, 1)", data, size);
  fuzz_bytes(db, "SELECT attest_sign(?1, 1)", data, size);
}

/* A text that can be signed becomes a checkpoint of somebody's. */
static void fuzz_checkpoint(sqlite3 *db, const uint8_t *data, size_t size) {
  fuzz_bytes(db, "SELECT ledger_report('l', ?1, " VERIFIER ")", data, size);
  fuzz_bytes(
      db, "SELECT ledger_report('l', note_sign(?1, " SIGNER "), " VERIFIER ")",
      data, size);
}

static void fuzz_encoding(sqlite3 *db, const uint8_t *data, size_t size) {
  fuzz_bytes(db, "SELECT json_valid(attest_decode(?2))", data, size);
  if (fuzz_bytes(db, "SELECT attest_decode(attest_canonical(?1, ?2)) IS NULL",
                 data, size) == 1) {
    abort();
  }
}

static void fuzz_proof(sqlite3 *db, const uint8_t *data, size_t size) {
  /* Nothing hashes to zero. */
  if (fuzz_bytes(db,
                 "SELECT merkle_verify_inclusion(zeroblob(32), length(?1),"
                 " length(?2), ?2, zeroblob(32))",
                 data, size) == 1 ||
      fuzz_bytes(db,
                 "SELECT merkle_verify_consistency(1 + length(?1) / 3, 2 +"
                 " length(?2), ?2, zeroblob(32), zeroblob(32))",
                 data, size) == 1 ||
      fuzz_bytes(db,
                 "SELECT attest_verify(substr(?2, 1, 32), substr(?2, 33),"
                 " 'message')",
                 data, size) == 1) {
    abort();
  }
}

/* The canonical form is its own. */
static void fuzz_json(sqlite3 *db, const uint8_t *data, size_t size) {
  if (fuzz_bytes(db, "SELECT attest_json(attest_json(?1)) IS attest_json(?1)",
                 data, size) == 0) {
    abort();
  }
}

static void fuzz_dsse(sqlite3 *db, const uint8_t *data, size_t size) {
  fuzz_bytes(db,
             "SELECT dsse_verify(?1, 'd75a980182b10ab7d54bfed3c964073a0ee172f3d"
             "aa62325af021a68f707511a')",
             data, size);
}

static const struct {
  const char *name;
  void (*run)(sqlite3 *db, const uint8_t *data, size_t size);
} target[] = {{"note", fuzz_note},
              {"key", fuzz_key},
              {"checkpoint", fuzz_checkpoint},
              {"encoding", fuzz_encoding},
              {"proof", fuzz_proof},
              {"json", fuzz_json},
              {"dsse", fuzz_dsse}};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static sqlite3 *db; /* with a small ledger */
  const char *name = getenv("FUZZ_TARGET");
  size_t i;
  if (name == NULL) abort();
  if (strcmp(name, "declaration") == 0) {
    fuzz_declaration(data, size);
    return 0;
  }
  if (strcmp(name, "file") == 0) {
    fuzz_file(data, size);
    return 0;
  }
  if (db == NULL) {
    db = fuzz_open();
    if (fuzz_run(db,
                 "CREATE VIRTUAL TABLE l USING ledger(a TEXT);"
                 "INSERT INTO l(a) VALUES ('a'), ('b'), ('c')") != SQLITE_OK) {
      abort();
    }
  }
  for (i = 0; i < sizeof(target) / sizeof(*target); i++) {
    if (strcmp(name, target[i].name) == 0) {
      target[i].run(db, data, size);
      return 0;
    }
  }
  abort();
}
