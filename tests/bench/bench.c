/*
** Ratios of a ledger against plain SQLite, raw libcrypto and the design it
** replaces, in one run.
**
**   bench LIBRARY FOLDER
**
** Each measure is a median over pairs, taken in turn, of processor time.
** BENCH_ROWS (500000), BENCH_LARGE (5000000) and BENCH_PAIRS (5) scale it.
*/
#include "bench.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long rows = 500000, large = 5000000;

#define PLAIN \
  "CREATE TABLE t(seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, task TEXT " \
  "NOT NULL, phase TEXT, evidence TEXT, hash BLOB NOT NULL) STRICT"
#define LEDGER \
  "CREATE VIRTUAL TABLE t USING ledger(task TEXT NOT NULL, phase TEXT, " \
  "evidence TEXT)"
#define EVIDENCE \
  "{\"artifact\":\"build/log.txt\",\"sha256\":\"0123456789abcdef01234567\"}"

static sqlite3_stmt *insert(sqlite3 *db, int ledger) {
  sqlite3_stmt *stmt;
  must(db, sqlite3_prepare_v2(
               db,
               ledger ? "INSERT INTO t(at, task, phase, evidence) VALUES (?, "
                        "?, 'IMPLEMENT', ?)"
                      : "INSERT INTO t(at, task, phase, evidence, hash) VALUES "
                        "(?, ?, 'IMPLEMENT', ?, ?)",
               -1, &stmt, NULL));
  return stmt;
}

static void append(sqlite3 *db, sqlite3_stmt *stmt, int ledger, long n) {
  static long at = 1700000000000;
  char task[32];
  unsigned char hash[32];
  int size;
  sqlite3_snprintf(sizeof(task), task, "task-%06d", (int)(n % 1000));
  size = (int)strlen(task);
  sqlite3_bind_int64(stmt, 1, at++);
  sqlite3_bind_text(stmt, 2, task, size, SQLITE_STATIC);
  sqlite3_bind_text(stmt, 3, EVIDENCE, -1, SQLITE_STATIC);
  if (!ledger) {
    memset(hash, (int)n, sizeof(hash));
    memcpy(hash, &n, sizeof(n));
    sqlite3_bind_blob(stmt, 4, hash, sizeof(hash), SQLITE_STATIC);
  }
  must(db, sqlite3_step(stmt));
  sqlite3_reset(stmt);
}

/* Seconds for n appends to a file, in one transaction or one each. */
static double appends(sqlite3 *db, int ledger, long n, int bulk) {
  sqlite3_stmt *stmt = insert(db, ledger);
  double start = now();
  long i;
  if (bulk) run(db, "BEGIN");
  for (i = 0; i < n; i++) append(db, stmt, ledger, i);
  if (bulk) run(db, "COMMIT");
  start = now() - start;
  sqlite3_finalize(stmt);
  return start;
}

static double fresh_appends(int ledger, long n, int bulk) {
  sqlite3 *db = open_file(ledger ? "l.db" : "p.db", 1);
  double seconds;
  run(db, ledger ? LEDGER : PLAIN);
  seconds = appends(db, ledger, n, bulk);
  sqlite3_close(db);
  return seconds;
}

static void measure_appends(const char *key, const char *words, long n,
                            int bulk, double goal) {
  double ratio[100] = {0};
  int i;
  for (i = 0; i < pairs; i++) {
    double plain = fresh_appends(0, n, bulk);
    ratio[i] = fresh_appends(1, n, bulk) / plain;
  }
  report(key, words, median(ratio, pairs), goal, "x");
}

/* The original design, as far as it goes: a line of JSON, chained by the
** SHA-256 of its text, appended to a file that is opened for each.  No lock, no
** transaction, the head kept in memory. */
static double original_appends(long n) {
  EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  char path[1000], line[1000], head[65] = "genesis";
  unsigned char hash[32];
  double start = now();
  long i;
  int k, file;
  sqlite3_snprintf(sizeof(path), path, "%s/original.jsonl", folder);
  unlink(path);
  for (i = 0; i < n; i++) {
    sqlite3_snprintf(
        sizeof(line), line,
        "{\"entry_id\":\"%08x-0000-4000-8000-000000000001\","
        "\"timestamp\":\"2025-10-28T12:00:00.000Z\","
        "\"previous_hash\":\"%s\",\"task_id\":\"task-%06d\","
        "\"from_phase\":null,\"to_phase\":\"IMPLEMENT\","
        "\"evidence_artifacts\":[%s],\"evidence_validated\":true}\n",
        (int)i, head, (int)(i % 1000), EVIDENCE);
    EVP_DigestInit_ex2(context, md, NULL);
    EVP_DigestUpdate(context, line, strlen(line));
    EVP_DigestFinal_ex(context, hash, NULL);
    for (k = 0; k < 64; k++) {
      head[k] = "0123456789abcdef"[hash[k / 2] >> (k % 2 ? 0 : 4) & 15];
    }
    file = open(path, O_WRONLY | O_APPEND | O_CREAT, 0600);
    if (file < 0 || write(file, line, strlen(line)) < 0) exit(1);
    close(file);
  }
  EVP_MD_CTX_free(context);
  EVP_MD_free(md);
  return now() - start;
}

static void measure_original(long n) {
  double ratio[100] = {0};
  int i;
  for (i = 0; i < pairs; i++) {
    double original = original_appends(n);
    ratio[i] = fresh_appends(1, n, 0) / original;
  }
  report("append_original", "append, one a transaction / the original's JSONL",
         median(ratio, pairs), 0, "x");
}

/* SHA-256 of messages of the sizes that verification hashes: a leaf and, on
** average, one inner node an entry. */
static double raw_sha256(long n, size_t leaf) {
  EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  unsigned char data[1000] = {1}, hash[32] = {0};
  unsigned int size;
  double start = now();
  long i;
  for (i = 0; i < 2 * n; i++) {
    EVP_DigestInit_ex2(context, md, NULL);
    EVP_DigestUpdate(context, data, i % 2 ? leaf : 65);
    EVP_DigestFinal_ex(context, hash, &size);
    memcpy(data, hash, sizeof(hash));
  }
  start = now() - start;
  EVP_MD_CTX_free(context);
  EVP_MD_free(md);
  return start;
}

static double timed(sqlite3 *db, const char *sql, sqlite3_int64 want) {
  double start = now();
  sqlite3_int64 value;
  value = query(db, sql);
  if (want >= 0 && value != want) {
    (void)fprintf(stderr, "bench: %s gave %lld\n", sql, value);
    exit(1);
  }
  return now() - start;
}

static void measure_verify(void) {
  double ratio[100] = {0};
  sqlite3 *db = open_file("l.db", 0);
  size_t leaf = (size_t)query(
      db, "SELECT 1 + length(ledger_leaf_data('t', 1000)) FROM t LIMIT 1");
  int i;
  for (i = 0; i < pairs; i++) {
    double base =
        timed(db,
              "SELECT sum(length(at) + length(task) + length(phase) + "
              "length(evidence) + length(hash)) FROM t_entry",
              -1) +
        raw_sha256(rows, leaf);
    ratio[i] = timed(db, "SELECT count(*) FROM ledger_verify('t')", 0) / base;
  }
  sqlite3_close(db);
  report("verify", "verify / (scan + raw SHA-256)", median(ratio, pairs), 1.5,
         "x");
}

/* One text of 4 KiB through SQL, in a query of many rows, and its bytes through
** libcrypto alone. */
static void measure_hash(void) {
  enum { SIZE = 4096, TIMES = 50000 };
  static unsigned char text[SIZE + 1];
  double ratio[100] = {0};
  sqlite3 *db = open_file("p.db", 1);
  sqlite3_stmt *stmt;
  int i, k;
  memset(text, 'x', SIZE);
  run(db, "CREATE TABLE n(i INTEGER PRIMARY KEY);"
          "WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c "
          "WHERE i < 50000) INSERT INTO n SELECT i FROM c");
  /* What depends on no column would be computed once. */
  must(db, sqlite3_prepare_v2(
               db, "SELECT count(attest_hash(iif(i > 0, ?1, i))) FROM n", -1,
               &stmt, NULL));
  sqlite3_bind_text(stmt, 1, (const char *)text, SIZE, SQLITE_STATIC);
  for (i = 0; i < pairs; i++) {
    EVP_MD *md = EVP_MD_fetch(NULL, "SHA256", NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned char hash[32];
    double base = now(), start;
    for (k = 0; k < TIMES; k++) {
      EVP_DigestInit_ex2(context, md, NULL);
      EVP_DigestUpdate(context, text, SIZE);
      EVP_DigestFinal_ex(context, hash, NULL);
    }
    base = now() - base;
    EVP_MD_CTX_free(context);
    EVP_MD_free(md);
    start = now();
    must(db, sqlite3_step(stmt));
    if (sqlite3_column_int(stmt, 0) != TIMES) exit(1);
    ratio[i] = (now() - start) / base;
    sqlite3_reset(stmt);
  }
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  report("attest_hash", "attest_hash of 4 KiB / raw SHA-256",
         median(ratio, pairs), 1.15, "x");
}

/* An ordinary table with a secondary index, filled in one transaction. */
static double fill(const char *name, int tracked, long n) {
  sqlite3 *db = open_file(name, 1);
  sqlite3_stmt *stmt;
  char task[32];
  double start;
  long i;
  run(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, task TEXT NOT NULL, phase "
          "TEXT, agent TEXT, evidence TEXT);"
          "CREATE INDEX t_task ON t(task)");
  if (tracked) run(db, "SELECT ledger_track('t', 'l')");
  must(db, sqlite3_prepare_v2(db,
                              "INSERT INTO t(task, phase, agent, evidence) "
                              "VALUES (?, 'IMPLEMENT', 'agent-7', ?)",
                              -1, &stmt, NULL));
  start = now();
  run(db, "BEGIN");
  for (i = 0; i < n; i++) {
    sqlite3_snprintf(sizeof(task), task, "task-%08d", (int)i);
    sqlite3_bind_text(stmt, 1, task, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, EVIDENCE, -1, SQLITE_STATIC);
    must(db, sqlite3_step(stmt));
    sqlite3_reset(stmt);
  }
  run(db, "COMMIT");
  start = now() - start;
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  return start;
}

static void measure_track(void) {
  double ratio[100] = {0};
  int i;
  for (i = 0; i < pairs; i++) {
    double plain = fill("p.db", 0, rows / 5 * 2);
    ratio[i] = fill("l.db", 1, rows / 5 * 2) / plain;
  }
  report("track", "INSERT into a tracked table / untracked",
         median(ratio, pairs), 4.0, "x");
}

/* A raw Ed25519 signature, and a commit that is as safe. */
static double sign_and_commit(sqlite3 *db, EVP_PKEY *key, sqlite3_stmt *stmt) {
  static const unsigned char text[100] = {'x'};
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  unsigned char signature[64];
  size_t size = sizeof(signature);
  double start = wall();
  if (EVP_DigestSignInit(context, NULL, NULL, NULL, key) != 1 ||
      EVP_DigestSign(context, signature, &size, text, sizeof(text)) != 1) {
    exit(1);
  }
  sqlite3_bind_blob(stmt, 1, signature, 64, SQLITE_STATIC);
  must(db, sqlite3_step(stmt));
  sqlite3_reset(stmt);
  EVP_MD_CTX_free(context);
  return wall() - start;
}

static void measure_checkpoint(void) {
  enum { TIMES = 300 };
  static double base[TIMES], checkpoint[TIMES];
  EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  sqlite3 *db = open_file("l.db", 1), *plain = open_file("p.db", 1);
  sqlite3_stmt *stmt, *insert_stmt;
  int i;
  run(plain, "PRAGMA synchronous=FULL; CREATE TABLE t(a BLOB)");
  run(db, LEDGER);
  appends(db, 1, 10000, 1);
  run(db, "CREATE TEMP TABLE k AS SELECT note_keygen('bench') ->> 'signer' AS "
          "signer");
  must(plain, sqlite3_prepare_v2(plain, "INSERT INTO t VALUES (?1)", -1,
                                 &insert_stmt, NULL));
  must(db,
       sqlite3_prepare_v2(db, "SELECT ledger_checkpoint('t', signer) FROM k",
                          -1, &stmt, NULL));
  for (i = 0; i < TIMES; i++) {
    base[i] = sign_and_commit(plain, key, insert_stmt);
    checkpoint[i] = wall();
    must(db, sqlite3_step(stmt));
    sqlite3_reset(stmt);
    checkpoint[i] = wall() - checkpoint[i];
  }
  report("checkpoint", "ledger_checkpoint / (sign + commit)",
         median(checkpoint, TIMES) / median(base, TIMES), 2.0, "x");
  EVP_PKEY_free(key);
  sqlite3_finalize(stmt);
  sqlite3_finalize(insert_stmt);
  sqlite3_close(db);
  sqlite3_close(plain);
}

/* Each statement that runs; inside a proof each reads one entry. */
static int count_statement(unsigned type, void *count, void *stmt, void *text) {
  (void)type;
  (void)stmt;
  (void)text;
  ++*(int *)count;
  return 0;
}

/* The most entries that a proof reads, of a thousand all over the ledger. */
static void measure_rows(void) {
  sqlite3 *db = open_file("big.db", 0);
  sqlite3_int64 size = query(db, "SELECT ledger_size('t')");
  sqlite3_stmt *stmt;
  int k, count, most = 0;
  must(db, sqlite3_prepare_v2(db, "SELECT ledger_inclusion_proof('t', ?1, ?2)",
                              -1, &stmt, NULL));
  sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_statement, &count);
  for (k = 0; k < 1000; k++) {
    sqlite3_bind_int64(stmt, 1, 1 + size / 1100 * k);
    sqlite3_bind_int64(stmt, 2, size - k / 20);
    count = -2; /* the SELECT itself, and the size of the ledger */
    must(db, sqlite3_step(stmt));
    sqlite3_reset(stmt);
    if (count > most) most = count;
  }
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  report("inclusion_rows", "entries that such a proof reads at most", most, 64,
         "");
}

/* Inclusion proofs in the large ledger, from the beginning, the middle and the
** end: the slowest of the three. */
static void measure_proofs(void) {
  enum { TIMES = 2000 };
  sqlite3 *db = open_file("big.db", 0);
  sqlite3_int64 size = query(db, "SELECT ledger_size('t')");
  sqlite3_stmt *stmt;
  double slowest = 0;
  int part, k;
  must(db, sqlite3_prepare_v2(db, "SELECT ledger_inclusion_proof('t', ?1)", -1,
                              &stmt, NULL));
  for (part = 0; part < 3; part++) {
    double start;
    sqlite3_int64 from = 1 + part * (size - TIMES) / 2;
    for (k = -TIMES / 10, start = 0; k < TIMES; k++) {
      if (k == 0) start = now();
      sqlite3_bind_int64(stmt, 1, from + (k < 0 ? -k : k));
      must(db, sqlite3_step(stmt));
      sqlite3_reset(stmt);
    }
    start = (now() - start) / TIMES * 1e6;
    if (start > slowest) slowest = start;
  }
  sqlite3_finalize(stmt);
  sqlite3_close(db);
  report("inclusion_proof", "inclusion proof in the large ledger", slowest, 100,
         "us");
}

static void measure_large(void) {
  double ratio[100] = {0}, idle;
  sqlite3 *small = open_file("small.db", 1), *big = open_file("big.db", 1);
  sqlite3_int64 high = 0, used = 0;
  int i;
  run(small, LEDGER);
  run(big, LEDGER);
  appends(small, 1, large / 100, 1);
  appends(big, 1, large, 1);
  run(small, "PRAGMA wal_checkpoint(TRUNCATE)");
  run(big, "PRAGMA wal_checkpoint(TRUNCATE)");
  for (i = 0; i < pairs; i++) {
    double base = appends(small, 1, 10000, 1);
    ratio[i] = appends(big, 1, 10000, 1) / base;
  }
  report("append_large", "append at 5 M entries / at 50 k",
         median(ratio, pairs), 1.1, "x");
  sqlite3_close(small);
  sqlite3_close(big);
  big = open_file("big.db", 0);
  query(big, "SELECT ledger_size('t')");
  sqlite3_status64(SQLITE_STATUS_MEMORY_USED, &used, &high, 1);
  idle = (double)used;
  timed(big, "SELECT count(*) FROM ledger_verify('t')", 0);
  sqlite3_status64(SQLITE_STATUS_MEMORY_USED, &used, &high, 0);
  report("verify_memory", "memory of verifying them, above idle",
         ((double)high - idle) / 1048576.0, 4.0, "MB");
  sqlite3_close(big);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  library = argv[1];
  folder = argv[2];
  rows = setting("BENCH_ROWS", rows);
  large = setting("BENCH_LARGE", large);
  pairs = (int)setting("BENCH_PAIRS", pairs);
  if (pairs < 1 || pairs > 100) return 2;
  printf("SQLite %s, %ld rows, %d pairs, WAL, synchronous NORMAL; processor "
         "time\n",
         sqlite3_libversion(), rows, pairs);
  if (chosen("append")) {
    measure_appends("append_single", "append / INSERT, one a transaction",
                    rows / 25, 0, 1.4);
    measure_appends("append_bulk", "append / INSERT, in one transaction", rows,
                    1, 2.0);
    measure_verify();
    measure_original(rows / 25);
  }
  if (chosen("hash")) measure_hash();
  if (chosen("track")) measure_track();
  if (chosen("checkpoint")) measure_checkpoint();
  if (chosen("large")) {
    measure_large();
    measure_proofs();
    measure_rows();
  }
  if (chosen("lease")) measure_leases();
  if (chosen("control")) measure_control();
  if (chosen("confidence")) measure_confidence();
  if (chosen("process")) measure_process();
  if (chosen("million")) measure_process_million();
  if (chosen("retention")) measure_retention();
  return 0;
}
