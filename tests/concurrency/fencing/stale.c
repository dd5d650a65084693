/*
** The experiment: processes that lease one resource for a moment, sleep at
** random, perhaps for longer, and then write to one file with their token.
**
**   stale LIBRARY FILE VARIANT PROCESSES WRITES SECONDS
**
** VARIANT: none    nothing checks the token
**          check   the writer asks lease_holds(), and then writes
**          guard   lease_guard's triggers check it
**
** Ends after so many committed writes, or seconds.  Prints how many writes
** were committed, how many refused, how many leases granted, and how many
** committed writes are stale: in the order of commits after one with a greater
** token.
*/
/* fork, mmap, clocks.  NOLINTNEXTLINE(bugprone-reserved-identifier,cert-*) */
#define _DEFAULT_SOURCE
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 64, TTL = 2000 }; /* microseconds */

typedef enum Variant { NONE, CHECK, GUARD } Variant;

/* What all processes share. */
typedef struct Shared {
  atomic_llong committed;
  atomic_llong refused;
  atomic_llong wanted;
} Shared;

static Shared *shared;
static const char *library, *path;
static uint64_t state;

static void die(sqlite3 *db, const char *what) {
  (void)fprintf(stderr, "stale: %s: %s\n", what, sqlite3_errmsg(db));
  exit(1);
}

static unsigned below(unsigned n) {
  state = state * 6364136223846793005U + 1442695040888963407U;
  return (unsigned)(state >> 33) % n;
}

static void doze(unsigned microseconds) {
  struct timespec pause = {0, (long)microseconds * 1000};
  (void)nanosleep(&pause, NULL);
}

static double now(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* SQLite's own handler sleeps for up to 0.1 s, and nobody would write. */
static int busy(void *unused, int count) {
  (void)unused;
  doze(20 + below(200));
  return count < 100000;
}

static sqlite3 *open_with(const char *sql) {
  sqlite3 *db;
  if (sqlite3_open(path, &db) != SQLITE_OK ||
      sqlite3_enable_load_extension(db, 1) != SQLITE_OK ||
      sqlite3_busy_handler(db, busy, NULL) != SQLITE_OK ||
      sqlite3_load_extension(db, library, NULL, NULL) != SQLITE_OK ||
      sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
    die(db, "open");
  }
  return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt;
  if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) die(db, sql);
  return stmt;
}

/* The number of the one row; 0 for NULL. */
static long long number(sqlite3 *db, sqlite3_stmt *stmt) {
  long long n;
  if (sqlite3_step(stmt) != SQLITE_ROW) die(db, sqlite3_sql(stmt));
  n = sqlite3_column_int64(stmt, 0);
  sqlite3_reset(stmt);
  return n;
}

/* ---- a process ----------------------------------------------------------- */

typedef struct Worker {
  sqlite3 *db;
  sqlite3_stmt *acquire;
  sqlite3_stmt *holds;
  sqlite3_stmt *write;
} Worker;

/* One write, or 0 when it is refused. */
static int put(Worker *w, Variant variant, long long token) {
  if (variant == CHECK) {
    sqlite3_bind_int64(w->holds, 1, token);
    if (!number(w->db, w->holds)) return 0;
    doze(below(TTL)); /* between the check and the write */
  }
  sqlite3_bind_int64(w->write, 1, token);
  if (sqlite3_step(w->write) != SQLITE_DONE) {
    if (variant != GUARD ||
        strstr(sqlite3_errmsg(w->db), "does not hold its resource") == NULL) {
      die(w->db, "INSERT");
    }
    sqlite3_reset(w->write);
    return 0;
  }
  sqlite3_reset(w->write);
  return 1;
}

static void work(int number_of, Variant variant, double end) {
  Worker w;
  char who[20];
  state = (uint64_t)number_of * 0x9e3779b97f4a7c15U + 1;
  w.db = open_with("PRAGMA synchronous = off");
  w.acquire = prepare(w.db, "SELECT lease_acquire('l', 'r', ?1)");
  w.holds = prepare(w.db, "SELECT lease_holds('l', 'r', ?1)");
  w.write = prepare(w.db, "INSERT INTO work(task, token, who)"
                          " VALUES ('r', ?1, ?2)");
  sqlite3_snprintf(sizeof(who), who, "p%d", number_of);
  sqlite3_bind_text(w.acquire, 1, who, -1, SQLITE_STATIC);
  sqlite3_bind_text(w.write, 2, who, -1, SQLITE_STATIC);
  while (shared->committed < shared->wanted && now() < end) {
    long long token = number(w.db, w.acquire);
    int writes = 0;
    if (token == 0) {
      doze(100 + below(400));
      continue;
    }
    do { /* several, and every fourth pause may outlast the lease */
      doze(below(below(4) == 0 ? 2 * TTL : TTL / 8));
      if (!put(&w, variant, token)) {
        shared->refused++;
        break;
      }
      shared->committed++;
    } while (++writes < 8);
  }
  sqlite3_finalize(w.acquire);
  sqlite3_finalize(w.holds);
  sqlite3_finalize(w.write);
  sqlite3_close(w.db);
  exit(0);
}

/* ---- all of them --------------------------------------------------------- */

static long long count(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt = prepare(db, sql);
  long long n = number(db, stmt);
  sqlite3_finalize(stmt);
  return n;
}

static void start(Variant variant) {
  sqlite3 *db = open_with(
      "PRAGMA journal_mode = wal;"
      "CREATE VIRTUAL TABLE l USING lease(ttl_ms=2, max_renewals=0);"
      "CREATE TABLE work(seq INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT,"
      " token INTEGER, who TEXT)");
  if (variant == GUARD) {
    (void)count(db, "SELECT lease_guard('work', 'l', 'task', 'token')");
  }
  sqlite3_close(db);
}

static int finish(const char *variant) {
  sqlite3 *db = open_with("");
  long long rows = count(db, "SELECT count(*) FROM work");
  long long stale =
      count(db, "SELECT count(*) FROM (SELECT token, max(token) OVER (ORDER BY "
                "seq ROWS UNBOUNDED PRECEDING) AS most FROM work)"
                " WHERE token < most");
  long long grants =
      count(db, "SELECT count(*) FROM l_event WHERE kind = 'acquired'");
  /* Each token is one holder's, and all writes are its own. */
  long long others = count(
      db, "SELECT (SELECT count(*) - count(DISTINCT token) FROM l_event"
          " WHERE kind = 'acquired') + (SELECT count(*) FROM work JOIN l_event"
          " USING (token) WHERE kind = 'acquired' AND who IS NOT holder)");
  printf("%s %lld %lld %lld %lld\n", variant, rows, (long long)shared->refused,
         grants, stale);
  sqlite3_close(db);
  if (rows != shared->committed || others != 0) {
    (void)fprintf(stderr, "stale: %lld committed, %lld rows, %lld of others\n",
                  (long long)shared->committed, rows, others);
    return 1;
  }
  return 0;
}

int main(int argc, char **argv) {
  static const char *const name[] = {"none", "check", "guard"};
  int variant = 0, processes, i, status, failed = 0;
  double end;
  pid_t child[MOST];
  if (argc != 7) return 2;
  library = argv[1];
  path = argv[2];
  while (variant < GUARD && strcmp(argv[3], name[variant]) != 0) variant++;
  processes = (int)strtol(argv[4], NULL, 10);
  if (processes < 1 || processes > MOST) return 2;
  shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return 2;
  shared->wanted = strtoll(argv[5], NULL, 10);
  start((Variant)variant);
  end = now() + strtod(argv[6], NULL);
  for (i = 0; i < processes; i++) {
    child[i] = fork();
    if (child[i] == 0) work(i, (Variant)variant, end);
  }
  for (i = 0; i < processes; i++) {
    if (child[i] < 0 || waitpid(child[i], &status, 0) < 0 || status != 0) {
      failed = 1;
    }
  }
  return finish(name[variant]) || failed;
}
