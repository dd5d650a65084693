/*
** Threads, each with connections of its own, that load, hash, append, verify
** and close again and again: under ThreadSanitizer, which sees every access of
** the extension, linked statically here.
**
**   threads FILE
*/
#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

int sqlite3_holdfast_init(sqlite3 *db, char **message,
                          const sqlite3_api_routines *api);

enum { THREADS = 8, ROUNDS = 12, ENTRIES = 20 };

static const char *path;

static void must(sqlite3 *db, int rc) {
  if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return;
  (void)fprintf(stderr, "threads: %s\n", sqlite3_errmsg(db));
  exit(1);
}

static sqlite3 *open_with(const char *file) {
  sqlite3 *db;
  must(NULL, sqlite3_open(file, &db));
  sqlite3_busy_timeout(db, 60000);
  must(db, sqlite3_holdfast_init(db, NULL, NULL));
  return db;
}

static void run(sqlite3 *db, const char *sql) {
  must(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
}

static void *work(void *number) {
  int round, i;
  for (round = 0; round < ROUNDS; round++) {
    sqlite3 *own = open_with(":memory:");
    sqlite3 *shared = open_with(path);
    run(own, "CREATE VIRTUAL TABLE l USING ledger(a TEXT INDEXED)");
    for (i = 0; i < ENTRIES; i++) {
      run(own, "INSERT INTO l(a) VALUES ('own')");
      if (i % 5 == 0) run(shared, "INSERT INTO l(a) VALUES ('shared')");
    }
    run(own, "SELECT attest_hash(a), attest_sha256(a) FROM l; SELECT * FROM "
             "ledger_verify('l'); SELECT * FROM holdfast_check");
    run(shared, "SELECT ledger_report('l'), ledger_root('l')");
    must(own, sqlite3_close(own));
    must(shared, sqlite3_close(shared));
  }
  return number;
}

int main(int argc, char **argv) {
  pthread_t thread[THREADS];
  sqlite3 *db;
  sqlite3_stmt *stmt;
  int i;
  if (argc != 2) return 2;
  path = argv[1];
  sqlite3_initialize();
  db = open_with(path);
  run(db, "PRAGMA journal_mode=WAL; CREATE VIRTUAL TABLE l USING ledger(a "
          "TEXT)");
  for (i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, work, NULL);
  for (i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
  must(db, sqlite3_prepare_v2(db,
                              "SELECT ledger_size('l'), (SELECT count(*) FROM "
                              "ledger_verify('l'))",
                              -1, &stmt, NULL));
  must(db, sqlite3_step(stmt));
  printf("%d entries, %d findings\n", sqlite3_column_int(stmt, 0),
         sqlite3_column_int(stmt, 1));
  sqlite3_finalize(stmt);
  return sqlite3_close(db);
}
