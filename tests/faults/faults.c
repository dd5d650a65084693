/*
** Fault injection: every allocation and every I/O call of an operation fails
** in its turn, once or from then on.
**
**   faults LIBRARY FOLDER memory|io
**
** After each failure: the error is an error, nothing leaks, the connection
** closes, and the file, opened without faults, holds the state before or after
** the operation, with a ledger that verifies.
*/
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *library;
static char path[1000];
static int failures;
static int full; /* every point, not a sample of the later ones */

/* ---- faults -------------------------------------------------------------- */

static long fault_at;     /* the call that fails, 0: none */
static int fault_forever; /* all calls from there on */
static long fault_calls;  /* so far */
static int fault_hit;

static int fault(void) {
  if (fault_at == 0) return 0;
  fault_calls++;
  if (fault_calls == fault_at || (fault_forever && fault_calls > fault_at)) {
    fault_hit = 1;
    return 1;
  }
  return 0;
}

static int io_faults; /* I/O calls count, else allocations do */

static sqlite3_mem_methods real_memory;

static int allocation(void) { return !io_faults && fault(); }

static void *memory_malloc(int n) {
  return allocation() ? NULL : real_memory.xMalloc(n);
}
static void *memory_realloc(void *p, int n) {
  return allocation() ? NULL : real_memory.xRealloc(p, n);
}

typedef struct File {
  sqlite3_file base;
  sqlite3_file *real;
} File;
static sqlite3_vfs *real_vfs;
static sqlite3_vfs fault_vfs;

static int io(int rc) { return io_faults && fault() ? rc : SQLITE_OK; }
#define REAL(f) (((File *)(f))->real)
#define CALL(f, m) REAL(f)->pMethods->m

static int file_close(sqlite3_file *f) {
  int rc = CALL(f, xClose)(REAL(f));
  return rc;
}
static int file_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) {
  int rc = io(SQLITE_IOERR_READ);
  return rc ? rc : CALL(f, xRead)(REAL(f), p, n, at);
}
static int file_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
  int rc = io(SQLITE_FULL);
  return rc ? rc : CALL(f, xWrite)(REAL(f), p, n, at);
}
static int file_truncate(sqlite3_file *f, sqlite3_int64 n) {
  int rc = io(SQLITE_IOERR_TRUNCATE);
  return rc ? rc : CALL(f, xTruncate)(REAL(f), n);
}
static int file_sync(sqlite3_file *f, int flags) {
  int rc = io(SQLITE_IOERR_FSYNC);
  return rc ? rc : CALL(f, xSync)(REAL(f), flags);
}
static int file_size(sqlite3_file *f, sqlite3_int64 *n) {
  int rc = io(SQLITE_IOERR_FSTAT);
  return rc ? rc : CALL(f, xFileSize)(REAL(f), n);
}
static int file_lock(sqlite3_file *f, int l) {
  return CALL(f, xLock)(REAL(f), l);
}
static int file_unlock(sqlite3_file *f, int l) {
  return CALL(f, xUnlock)(REAL(f), l);
}
static int file_reserved(sqlite3_file *f, int *out) {
  return CALL(f, xCheckReservedLock)(REAL(f), out);
}
static int file_control(sqlite3_file *f, int op, void *arg) {
  return CALL(f, xFileControl)(REAL(f), op, arg);
}
static int file_sector(sqlite3_file *f) {
  return CALL(f, xSectorSize)(REAL(f));
}
static int file_device(sqlite3_file *f) {
  return CALL(f, xDeviceCharacteristics)(REAL(f));
}
static int file_shm_map(sqlite3_file *f, int i, int n, int extend,
                        void volatile **out) {
  int rc = io(SQLITE_IOERR_SHMMAP);
  return rc ? rc : CALL(f, xShmMap)(REAL(f), i, n, extend, out);
}
static int file_shm_lock(sqlite3_file *f, int at, int n, int flags) {
  return CALL(f, xShmLock)(REAL(f), at, n, flags);
}
static void file_shm_barrier(sqlite3_file *f) { CALL(f, xShmBarrier)(REAL(f)); }
static int file_shm_unmap(sqlite3_file *f, int unlink) {
  return CALL(f, xShmUnmap)(REAL(f), unlink);
}

static const sqlite3_io_methods file_methods = {2,
                                                file_close,
                                                file_read,
                                                file_write,
                                                file_truncate,
                                                file_sync,
                                                file_size,
                                                file_lock,
                                                file_unlock,
                                                file_reserved,
                                                file_control,
                                                file_sector,
                                                file_device,
                                                file_shm_map,
                                                file_shm_lock,
                                                file_shm_barrier,
                                                file_shm_unmap,
                                                NULL,
                                                NULL};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f,
                    int flags, int *out) {
  File *file = (File *)f;
  int rc = io(SQLITE_CANTOPEN);
  (void)vfs;
  file->base.pMethods = NULL;
  if (rc) return rc;
  file->real = (sqlite3_file *)(file + 1);
  rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out);
  if (rc == SQLITE_OK) file->base.pMethods = &file_methods;
  return rc;
}
static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync) {
  int rc = io(SQLITE_IOERR_DELETE);
  (void)vfs;
  return rc ? rc : real_vfs->xDelete(real_vfs, name, sync);
}

static void install(void) {
  sqlite3_mem_methods memory;
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory);
  memory = real_memory;
  memory.xMalloc = memory_malloc;
  memory.xRealloc = memory_realloc;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
  /* The lookaside would hide most allocations. */
  sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
  sqlite3_initialize();
  real_vfs = sqlite3_vfs_find(NULL);
  fault_vfs = *real_vfs;
  fault_vfs.zName = "fault";
  fault_vfs.szOsFile += (int)sizeof(File);
  fault_vfs.xOpen = vfs_open;
  fault_vfs.xDelete = vfs_delete;
  sqlite3_vfs_register(&fault_vfs, 1);
}

/* ---- operations ------------------------------------------------------- */

typedef struct Operation {
  const char *name;
  const char *before; /* run without faults */
  const char *sql;    /* the operation */
  int changes;        /* it writes */
} Operation;

#define LEDGER \
  "CREATE VIRTUAL TABLE l USING ledger(a TEXT NOT NULL INDEXED, n INTEGER " \
  "UNIQUE DEFAULT (1 + 1), x ANY, CHECK (length(a) < 100));"
#define SOME "INSERT INTO l(a, n) VALUES ('a', 1), ('b', 5), ('c', 3);"

#define SIGNER \
  "'PRIVATE+KEY+PeterNeumann+c74f20a3+" \
  "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz'"
#define VERIFIER \
  "'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'"
#define LEASE \
  LEDGER \
  "CREATE TABLE w(r PRIMARY KEY, k);" \
  "CREATE VIRTUAL TABLE p USING lease(ttl_ms=9, clock='caller');" \
  "SELECT lease_acquire('p', 'r', 'a', 8, NULL, 1);"
#define TABLE \
  "CREATE TABLE t(k INTEGER PRIMARY KEY, v UNIQUE, w);" \
  "INSERT INTO t VALUES (1, 'one', 1.5), (2, 'two', x'00');"
#define TRACKED TABLE "SELECT ledger_track('t', 'l');"

/* What is sealed may lag behind, so it is not part of the state. */
#define CONFIDENCE \
  LEDGER \
  "SELECT holdfast_install('confidence'); INSERT INTO confidence_violation(" \
  "id, pattern_id, detector_id) VALUES ('v', 'p', 'd'), ('w', 'p', 'd');" \
  "INSERT INTO confidence_feedback(violation_id, action, author)" \
  " VALUES ('v', 'dismiss', 'ann');"
#define MORE_CONFIDENCE \
  CONFIDENCE \
  "INSERT INTO confidence_observation(pattern_id, category, locations, " \
  "files, total_files) VALUES ('p', 'c', 50, 40, 100);" \
  "INSERT INTO confidence_feedback(violation_id, action, author, at)" \
  " VALUES ('w', 'fix', 'ann', 1000), ('w', 'dismiss', 'bob', 2000)," \
  " ('v', 'escalate', 'eve', 3000);"
/* Four rows of t go; one is held, one has a child that stays, one is young. */
#define RETENTION \
  "PRAGMA auto_vacuum=2; VACUUM;" LEDGER \
  "SELECT holdfast_install('retention');" \
  "CREATE TABLE t(v INTEGER PRIMARY KEY, at INTEGER);" \
  "CREATE INDEX ta ON t(at);" \
  "CREATE TABLE u(at TEXT, t REFERENCES t, w, PRIMARY KEY (t, at))" \
  " WITHOUT ROWID; CREATE TABLE s(w);" \
  "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6)," \
  " (7, 1699999999);" \
  "INSERT INTO u VALUES ('2001-01-01', 1, hex(zeroblob(4000)))," \
  " ('2001-01-02', 2, hex(zeroblob(4000))), ('2023-11-14', 3, 'y');" \
  "INSERT INTO retention_policy(table_name, tier, time_column, time_unit)" \
  " VALUES ('t', 'short', 'at', 's'), ('u', 'short', 'at', 'iso8601');" \
  "INSERT INTO retention_rollup VALUES ('u', 's');" \
  "INSERT INTO retention_hold(table_name, predicate, reason, owner)" \
  " VALUES ('t', 'v = 5', 'r', 'o');"
#define APPLY "SELECT retention_apply(1700000000000, '{\"batch_rows\":2}');"
#define PROCESS \
  LEDGER \
  "SELECT holdfast_install('process'); SELECT phase_start('t', 'ann');"
#define CONTROL \
  LEDGER \
  "SELECT holdfast_install('control'); CREATE TABLE t(v); INSERT INTO t " \
  "VALUES (1); SELECT killswitch_guard('t'), control_seal();" \
  "SELECT monitor_start('r2', 'staging', 'r1');" \
  "SELECT monitor_measure('r2', 'baseline', 950, 1000);" \
  "SELECT monitor_measure('r2', 'canary', 850, 1000);" \
  "SELECT monitor_measure('r2', 'baseline', 950, 1000);"

static const Operation operations[] = {
    {"create", "SELECT 1", LEDGER, 1},
    {"append", LEDGER, "INSERT INTO l(a, x) VALUES ('first', x'00')", 1},
    {"append more", LEDGER SOME,
     "INSERT INTO l(a, n) VALUES ('d', 10), ('e', 11)", 1},
    {"append with policy",
     LEDGER SOME
     "CREATE TABLE t(a, n); CREATE TRIGGER p AFTER INSERT ON l_entry BEGIN "
     "INSERT INTO t VALUES (NEW.a, NEW.n); END;"
     "CREATE TRIGGER again AFTER INSERT ON l_entry WHEN NEW.a = 'd' BEGIN "
     "INSERT INTO l(a, n) VALUES ('again', 99); END",
     "INSERT INTO l(a, n) VALUES ('d', 10)", 1},
    {"direct insert", LEDGER SOME,
     "INSERT INTO l_entry(seq, at, a, n, hash) SELECT 4, at, 'd', 9, "
     "merkle_leaf_hash(attest_canonical('holdfast.entry.v1', 4, hash, at, "
     "'d', 9, NULL)) FROM l WHERE seq = 3;"
     "INSERT INTO l(a, n) VALUES ('e', 10);"
     "INSERT INTO l(a, n) VALUES ('f', 11)",
     1},
    {"transaction", LEDGER SOME,
     "BEGIN; INSERT INTO l(a, n) VALUES ('d', 10); SAVEPOINT s;"
     "INSERT INTO l(a, n) VALUES ('e', 11); ROLLBACK TO s;"
     "INSERT INTO l(a, n) VALUES ('f', 12); COMMIT",
     1},
    {"query", LEDGER SOME,
     "SELECT *, prev_hash, hash FROM l WHERE a = 'b' ORDER BY seq DESC LIMIT "
     "1; SELECT * FROM l WHERE n IN (1, 3) ORDER BY a; SELECT * FROM l WHERE "
     "a = 5; SELECT * FROM l WHERE a IN ('a', 'c', 'd'); SELECT seq FROM l "
     "WHERE x IN (SELECT n FROM l); SELECT ledger_size('l'), ledger_head('l'), "
     "ledger_root('l', 2), "
     "ledger_leaf_data('l', 3); SELECT merkle_root(a) FROM l;"
     "SELECT merkle_verify_inclusion(hash, 1, 3, ledger_inclusion_proof('l', "
     "2), ledger_root('l')) FROM l; SELECT ledger_consistency_proof('l', 1);"
     "SELECT attest_hash(a, n), attest_sha256(a) FROM l;"
     "SELECT attest_hash_agg(a) OVER (ORDER BY seq), merkle_root(a) OVER "
     "(ORDER BY seq), attest_hmac(zeroblob(5), n), attest_verify("
     "x'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', "
     "attest_sign(zeroblob(32), a), a) FROM l;"
     "SELECT attest_keygen(), attest_hash_agg(a) FROM l",
     0},
    {"sign", "SELECT 1",
     "WITH k(p) AS MATERIALIZED (SELECT attest_keygen()) SELECT dsse_verify("
     "dsse_sign('t', 'payload', p ->> 'secret', 'id'), p ->> 'public') FROM k;"
     "WITH k(p) AS MATERIALIZED (SELECT note_keygen('n')) SELECT note_verify("
     "note_sign('t' || char(10), p ->> 'signer'), p ->> 'verifier') FROM k;"
     "SELECT attest_json('{\"b\":[1.5,\"x\"],\"a\":null}')",
     0},
    {"verify", LEDGER SOME,
     "SELECT * FROM ledger_verify('l'); SELECT ledger_report('l'); SELECT * "
     "FROM holdfast_check",
     0},
    {"verify with findings",
     LEDGER SOME
     "DROP TRIGGER l_entry_update; DROP TRIGGER l_entry_node;"
     "UPDATE l_entry SET a = 'z' WHERE seq = 2;"
     "UPDATE l_entry SET node = NULL WHERE seq = 2; DROP TRIGGER "
     "l_config_update; UPDATE l_config SET value = 'x' WHERE key = 'origin'",
     "SELECT * FROM ledger_verify('l'); SELECT ledger_report('l'); SELECT * "
     "FROM holdfast_check",
     0},
    {"checkpoint", LEDGER SOME "SELECT ledger_checkpoint('l', " SIGNER ", 1)",
     "SELECT ledger_checkpoint('l', " SIGNER ", 2)", 1},
    {"verify checkpoints",
     LEDGER SOME "SELECT ledger_checkpoint('l', " SIGNER ", 1);"
                 "INSERT INTO l(a, n) VALUES ('d', 6);"
                 "SELECT ledger_checkpoint('l', " SIGNER ", 2);",
     "SELECT ledger_report('l', note, " VERIFIER ") FROM l_checkpoint;"
     "SELECT * FROM ledger_verify('l', NULL, " VERIFIER ");"
     "SELECT ledger_report('l', 'nothing')",
     0},
    {"track", TABLE, "SELECT ledger_track('t', 'l')", 1},
    {"tracked writes", TRACKED,
     "BEGIN; INSERT INTO t VALUES (3, 'three', NULL);"
     "INSERT OR REPLACE INTO t VALUES (4, 'one', 2);"
     "UPDATE OR REPLACE t SET v = 'two' WHERE k = 3;"
     "DELETE FROM t WHERE k = 4; COMMIT",
     1},
    {"track anew", TRACKED "ALTER TABLE t ADD COLUMN x DEFAULT 5",
     "SELECT ledger_track('t', 'l')", 1},
    {"untrack", TRACKED, "SELECT ledger_untrack('t')", 1},
    {"reconcile findings",
     TRACKED "DROP TRIGGER t_track_update; UPDATE t SET w = 0;"
             "ALTER TABLE t ADD COLUMN x",
     "SELECT * FROM ledger_reconcile('t'); SELECT ledger_report('l');"
     "SELECT attest_decode(old), attest_decode(content) FROM l;"
     "SELECT * FROM holdfast_check",
     0},
    {"lease", LEASE, "SELECT lease_acquire('p', 'r', 'b', 50, NULL, 9)", 1},
    {"lease renewed", LEASE, "SELECT lease_renew('p', 'r', 1, 50, 5)", 1},
    {"lease released", LEASE, "SELECT lease_release('p', 'r', 1, 5)", 1},
    {"lease stolen", LEASE, "SELECT lease_steal('p', 'r', 1, 'b', 'y', 5)", 1},
    {"lease by DML", LEASE,
     "BEGIN; INSERT INTO p(resource, holder, now) VALUES ('s', 'b', 5);"
     "UPDATE p SET ttl_ms = 7 WHERE token = 2 AND now = 5;"
     "DELETE FROM p WHERE resource = 'r' AND now = 5; COMMIT",
     1},
    {"lease contended", LEASE,
     "SELECT lease_acquire('p', 'r', 'b', 50, NULL, 5), lease_holds('p', 'r', "
     "1, 5); SELECT * FROM p WHERE now = 5",
     1},
    {"lease guard", LEASE, "SELECT lease_guard('w', 'p', 'r', 'NEW.k + 0')", 1},
    {"lease table", LEDGER "CREATE TABLE w(r, k)",
     "CREATE VIRTUAL TABLE p USING lease(lock_delay_ms=5)", 1},
    {"lease table renamed", LEASE, "ALTER TABLE p RENAME TO q", 1},
    {"switch", CONTROL, "SELECT killswitch_engage('fire', 'ann')", 1},
    {"kill guard", CONTROL "DROP TRIGGER t_kill_update",
     "SELECT killswitch_guard('t', 'STOP')", 1},
    {"drill", CONTROL "DROP TRIGGER t_kill_update",
     "SELECT killswitch_drill(); SELECT * FROM killswitch_drill", 0},
    {"flags", CONTROL,
     "SELECT flag('DISABLE_NEW'), flag('KILLSWITCH_QUIET_MS'),"
     " flag('DISABLE_NEW') FROM t;"
     "SELECT * FROM holdfast_check",
     0},
    {"measure", CONTROL, "SELECT monitor_measure('r2', 'canary', 850, 1000)",
     1},
    {"confidence", CONFIDENCE,
     "BEGIN; INSERT INTO confidence_feedback(violation_id, action, author)"
     " VALUES ('w', 'fix', 'ann'); SELECT * FROM confidence;"
     "DELETE FROM confidence_feedback WHERE id = 1;"
     "SELECT * FROM confidence_detector; SELECT confidence_explain('p');"
     "SELECT confidence_posterior(n, 1) OVER (ORDER BY n), momentum(n) OVER"
     " (ORDER BY n ROWS 1 PRECEDING) FROM l; COMMIT",
     1},
    {"confidence written", MORE_CONFIDENCE,
     "BEGIN; INSERT INTO confidence_violation(id, pattern_id, detector_id)"
     " VALUES ('x', 'q', 'e');"
     "INSERT INTO confidence_feedback(violation_id, action, reason, author)"
     " VALUES ('x', 'dismiss', 'false_positive', 'ann');"
     "INSERT INTO confidence_feedback(violation_id, action, author)"
     " VALUES ('v', 'undo', 'ann');"
     "INSERT INTO confidence_override(detector_id, state, author, reason)"
     " VALUES ('d', 'disabled', 'ann', 'too loud');"
     "UPDATE confidence_observation SET files = 20;"
     "UPDATE confidence_setting SET profile = 'code', half_life_ms = 86400000;"
     "SELECT * FROM confidence; SELECT confidence_explain('p');"
     "SELECT * FROM confidence_burst; SELECT * FROM confidence_share;"
     "SELECT * FROM confidence_target; COMMIT",
     1},
    {"confidence rolled up",
     MORE_CONFIDENCE
     "SELECT holdfast_install('retention');"
     "INSERT INTO retention_policy(table_name, tier, time_column) VALUES"
     " ('confidence_feedback', 'short', 'at')",
     "BEGIN; SELECT retention_apply(NULL, '{\"force\":true}'); COMMIT;"
     "SELECT * FROM confidence",
     1},
    {"retention", RETENTION, "BEGIN;" APPLY "COMMIT", 1},
    {"retention in batches", RETENTION, APPLY, 1},
    {"retention again", RETENTION APPLY,
     "BEGIN;"
     "SELECT retention_apply(1700000000000, '{\"strict\":true}'); COMMIT",
     1},
    {"retention planned", RETENTION "DROP TABLE s",
     "SELECT * FROM retention_plan(1700000000000);"
     "SELECT * FROM retention_progress; SELECT * FROM holdfast_check",
     0},
    {"retention lock", RETENTION, "SELECT retention_lock('t', 86400000)", 1},
    {"move", PROCESS, "SELECT phase_advance('t', 'SPEC', 'ann')", 1},
    {"move refused", PROCESS, "SELECT phase_advance('t', 'PLAN', 'bob')", 1},
    {"attest", PROCESS,
     "SELECT prompt_attest('{\"phase\":\"STRATEGIZE\",\"taskId\":\"t\","
     "\"requirements\":[],\"qualityGates\":[],\"artifacts\":[],"
     "\"contextSummary\":\"\"}')",
     1},
    {"rename", LEDGER SOME, "ALTER TABLE l RENAME TO m", 1},
    {"drop",
     "CREATE VIRTUAL TABLE l USING ledger(a TEXT, drop='always');"
     "INSERT INTO l(a) VALUES ('x')",
     "DROP TABLE l", 1},
    {"install", "SELECT 1", "SELECT holdfast_install('control')", 1},
    {"refuse", LEDGER SOME, "SELECT ledger_size('nothing')", -1},
};

/* Of one that commits in steps: is 1 after each. */
static const char steps[] =
    "SELECT coalesce((SELECT deleted = (SELECT sum(deleted) FROM"
    "   retention_run_table) FROM retention_run), 1)"
    " AND 10 - (SELECT count(*) FROM t) - (SELECT count(*) FROM u)"
    "  = coalesce((SELECT deleted FROM retention_run), 0)"
    " AND (SELECT count(*) FROM s) = 3 - (SELECT count(*) FROM u)"
    " AND (SELECT count(*) FROM t WHERE v IN (3, 5, 7)) = 3";

static void complain(const Operation *op, long n, const char *what,
                     const char *detail) {
  printf("%s, call %ld%s: %s%s%s\n", op->name, n,
         fault_forever ? " and after" : "", what, detail ? ": " : "",
         detail ? detail : "");
  failures++;
}

static sqlite3 *connect(void) {
  sqlite3 *db = NULL;
  if (sqlite3_open(path, &db) != SQLITE_OK) return db;
  sqlite3_enable_load_extension(db, 1);
  sqlite3_load_extension(db, library, NULL, NULL);
  return db;
}

/* Everything of the database as one text, to be compared. */
static char *dump(sqlite3 *db) {
  static const char *const sql[] = {
      "SELECT group_concat(name) FROM (SELECT * FROM sqlite_schema ORDER BY 2)",
      "SELECT count(*) || ' to ' || max(seq) FROM l_entry",
      "SELECT count(*) || ' to ' || max(seq) FROM m_entry",
      "SELECT group_concat(v) FROM t",
      "SELECT count(*) FROM l_checkpoint",
      "SELECT group_concat(kind) FROM p_event",
      "SELECT group_concat(holder || token || expires_at) FROM p_held",
      "SELECT token || now FROM lease_high_water",
      "SELECT group_concat(key || value) FROM settings",
      "SELECT count(*) FROM control_event",
      "SELECT group_concat(decision) FROM monitor_decision",
      "SELECT count(*) FROM control_outbox",
      "SELECT group_concat(id || standing) FROM confidence_feedback",
      "SELECT group_concat(beta) FROM confidence_carry",
      "SELECT group_concat(files) FROM confidence_observation",
      "SELECT profile FROM confidence_setting",
      "SELECT group_concat(state) FROM confidence_override",
      "SELECT group_concat(t) FROM u",
      "SELECT count(*) FROM s",
      "SELECT group_concat(deleted || complete) FROM retention_run",
      "SELECT group_concat(deleted || kept) FROM retention_run_table",
      "SELECT min_keep_ms FROM retention_floor",
      "SELECT group_concat(phase || seq) FROM process_task",
      "SELECT count(*) FROM process_decision",
      "SELECT count(*) FROM process_baseline",
      "SELECT group_concat(e_value) FROM monitor_sequential",
      "SELECT count(*) FROM holdfast_area"};
  char *all = sqlite3_mprintf("");
  size_t i;
  for (i = 0; i < sizeof(sql) / sizeof(*sql); i++) {
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(db, sql[i], -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
      all = sqlite3_mprintf("%z/%s", all, sqlite3_column_text(stmt, 0));
    }
    sqlite3_finalize(stmt);
  }
  return all;
}

static void clear(void) {
  char name[1100];
  sqlite3_snprintf(sizeof(name), name, "%s-wal", path);
  (void)remove(name);
  sqlite3_snprintf(sizeof(name), name, "%s-journal", path);
  (void)remove(name);
  (void)remove(path);
}

/* The file as the preparation left it. */
static char *image;
static size_t image_size;

static void keep(void) {
  FILE *file = fopen(path, "rb");
  long size;
  if (file == NULL || fseek(file, 0, SEEK_END) != 0 ||
      (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET) != 0) {
    exit(2);
  }
  image_size = (size_t)size;
  free(image);
  image = malloc(image_size + 1);
  if (image == NULL || fread(image, 1, image_size, file) != image_size) {
    exit(2);
  }
  (void)fclose(file);
}

static void restore(void) {
  FILE *file;
  clear();
  file = fopen(path, "wb");
  if (file == NULL || fwrite(image, 1, image_size, file) != image_size ||
      fclose(file) != 0) {
    exit(2);
  }
}

static int prepare(const Operation *op, const char *journal) {
  char name[100], *error = NULL;
  sqlite3 *db;
  int rc;
  clear();
  db = connect();
  sqlite3_snprintf(sizeof(name), name, "PRAGMA journal_mode=%s", journal);
  sqlite3_exec(db, name, NULL, NULL, NULL);
  rc = sqlite3_exec(db, op->before, NULL, NULL, &error);
  if (rc != SQLITE_OK) complain(op, 0, "the preparation failed", error);
  sqlite3_free(error);
  sqlite3_close(db);
  if (rc == SQLITE_OK) keep();
  return rc;
}

/* The file after a failure: one of two states, and sound. */
static void check_file(const Operation *op, long n, const char *before,
                       const char *after, int tampered) {
  sqlite3 *db = connect();
  sqlite3_stmt *stmt = NULL;
  char *now = dump(db);
  if (strcmp(op->name, "retention in batches") == 0) {
    if (sqlite3_prepare_v2(db, steps, -1, &stmt, NULL) != SQLITE_OK ||
        sqlite3_step(stmt) != SQLITE_ROW || sqlite3_column_int(stmt, 0) != 1) {
      complain(op, n, "a step that is half done", now);
    }
    sqlite3_finalize(stmt);
  } else if (strcmp(now, before) != 0 && strcmp(now, after) != 0 &&
             strcmp(op->name, "direct insert") != 0) {
    complain(op, n, "a torn state", now);
  }
  sqlite3_free(now);
  sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL);
  if (sqlite3_step(stmt) != SQLITE_ROW ||
      strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0) {
    complain(op, n, "the file is corrupt", NULL);
  }
  sqlite3_finalize(stmt);
  stmt = NULL;
  if (!tampered &&
      sqlite3_prepare_v2(db,
                         "SELECT finding FROM sqlite_schema AS s,"
                         " ledger_verify(s.name) WHERE s.name IN ('l', 'm')",
                         -1, &stmt, NULL) == SQLITE_OK &&
      sqlite3_step(stmt) != SQLITE_DONE) {
    complain(op, n, "a finding", (const char *)sqlite3_column_text(stmt, 0));
  }
  sqlite3_finalize(stmt);
  if (sqlite3_close(db) != SQLITE_OK) complain(op, n, "close failed", NULL);
}

static long run(const Operation *op, int forever, const char *journal) {
  char *before, *after;
  sqlite3 *db;
  long n, base, points = 0;
  int rc = SQLITE_ERROR, tampered = strstr(op->name, "findings") != NULL;
  if (prepare(op, journal) != SQLITE_OK) return 0;
  db = connect();
  before = dump(db);
  rc = sqlite3_exec(db, op->sql, NULL, NULL, NULL);
  if ((rc == SQLITE_OK) != (op->changes >= 0)) {
    complain(op, 0, "without faults", sqlite3_errmsg(db));
  }
  after = dump(db);
  sqlite3_close(db);
  fault_forever = forever;
  base = (long)sqlite3_memory_used();
  for (n = 1;; n += full || io_faults || n < 100 ? 1 : n / 40) {
    char *error = NULL;
    if (op->changes > 0 || n == 1) restore();
    db = connect();
    fault_calls = 0;
    fault_hit = 0;
    fault_at = n;
    rc = sqlite3_exec(db, op->sql, NULL, NULL, &error);
    fault_at = 0;
    sqlite3_free(error);
    if (fault_hit && rc == SQLITE_MISUSE) complain(op, n, "misuse", NULL);
    if (fault_hit && rc == SQLITE_CORRUPT && !io_faults) {
      complain(op, n, "taken for corruption", sqlite3_errmsg(db));
    }
    if (sqlite3_close(db) != SQLITE_OK) {
      complain(op, n, "the connection does not close", NULL);
    }
    if ((long)sqlite3_memory_used() > base) {
      complain(op, n, "memory is lost", NULL);
      break;
    }
    if (fault_hit) check_file(op, n, before, after, tampered);
    if (!fault_hit || failures > 20) break;
    points++;
  }
  sqlite3_free(before);
  sqlite3_free(after);
  return points;
}

int main(int argc, char **argv) {
  long points = 0;
  size_t i;
  int way;
  if (argc != 4) return 2;
  library = argv[1];
  io_faults = strcmp(argv[3], "io") == 0;
  sqlite3_snprintf(sizeof(path), path, "%s/faults.db", argv[2]);
  full = getenv("HOLDFAST_FULL") != NULL;
  install();
  for (i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
    for (way = 0; way < 4; way++) {
      const char *journal = way < 2 ? "wal" : "delete";
      int forever = way % 2;
      long n;
      /* Allocations hardly depend on the journal. */
      if (!io_faults && (way == 1 || way == 2)) continue;
      n = run(&operations[i], forever, journal);
      printf("%-22s %-6s %-6s %s: %ld points\n", operations[i].name, argv[3],
             journal, forever ? "from then on" : "once", n);
      (void)fflush(stdout);
      points += n;
    }
  }
  printf("%ld fault points, %d failures\n", points, failures);
  return failures > 0;
}
