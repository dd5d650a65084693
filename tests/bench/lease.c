/*
** Leases against plain SQLite, an empty trigger, the design that they replace,
** and the built-in busy handler.
**
** BENCH_LEASES (20000), BENCH_GUARDED (200000), BENCH_PROCESSES (10) and
** BENCH_SECONDS (3) scale it.  BENCH_JITTER=1 puts a handler of its own in the
** place of busy_policy('fair').
*/
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 100 /* names that are taken, then given up */

/* ---- the sides ----------------------------------------------------------- */

/* The row of a lease as an ordinary table has it. */
#define PLAIN \
  "CREATE TABLE p(token INTEGER PRIMARY KEY, resource TEXT NOT NULL UNIQUE," \
  " holder TEXT NOT NULL, acquired_at INTEGER NOT NULL," \
  " expires_at INTEGER NOT NULL, renewals INTEGER NOT NULL," \
  " ttl_ms INTEGER NOT NULL, detail TEXT) STRICT"
#define PLAIN_TAKE \
  "INSERT INTO p(resource, holder, acquired_at, expires_at, renewals, ttl_ms)" \
  " VALUES (?1, 'agent-7', ?2, ?2 + 300000, 0, 300000)" \
  " ON CONFLICT(resource) DO UPDATE SET holder = excluded.holder," \
  " acquired_at = excluded.acquired_at, expires_at = excluded.expires_at," \
  " renewals = 0"
#define PLAIN_RENEW \
  "UPDATE p SET expires_at = ?2 + 300000, renewals = renewals + 1" \
  " WHERE resource = ?1"

#define ORIGINAL \
  "CREATE TABLE o(lease_id TEXT PRIMARY KEY, task_id TEXT NOT NULL," \
  " phase TEXT NOT NULL, agent_id TEXT NOT NULL, acquired_at TEXT NOT NULL," \
  " expires_at TEXT NOT NULL, renewed_count INTEGER DEFAULT 0," \
  " UNIQUE(task_id, phase)); CREATE INDEX o_expires ON o(expires_at)"

/* What a lease table writes, and no less, by statements of SQLite alone: the
** mark, the row and the event, in the same tables, behind triggers that look at
** each row and refuse none.  No implementation on these tables is faster. */
#define RAW_WALL(verb, table, row) \
  "CREATE TRIGGER " table "_" verb " BEFORE " verb " ON " table " WHEN " row \
  ".token = -1 BEGIN SELECT RAISE(ABORT, 'leases are granted," \
  " renewed and released through the lease table'); END;"
#define RAW \
  "CREATE TABLE mark(id INTEGER PRIMARY KEY, token INTEGER NOT NULL," \
  " now INTEGER NOT NULL) STRICT; INSERT INTO mark VALUES (1, 0, 0);" \
  "CREATE TABLE held(token INTEGER NOT NULL, resource TEXT PRIMARY KEY" \
  " NOT NULL, holder TEXT NOT NULL, acquired_at INTEGER NOT NULL," \
  " expires_at INTEGER NOT NULL, renewals INTEGER NOT NULL," \
  " ttl_ms INTEGER NOT NULL, detail TEXT) STRICT, WITHOUT ROWID;" \
  "CREATE TABLE event(at INTEGER NOT NULL, kind TEXT NOT NULL," \
  " resource TEXT NOT NULL, holder TEXT NOT NULL, token INTEGER," \
  " held_ms INTEGER, detail TEXT) STRICT;" RAW_WALL("UPDATE", "mark", "NEW") \
      RAW_WALL("INSERT", "held", "NEW") RAW_WALL("UPDATE", "held", "NEW") \
          RAW_WALL("DELETE", "held", "OLD")

typedef enum Kind { K_PLAIN, K_DOOR, K_DML, K_ORIGINAL, K_RAW, K_KINDS } Kind;

/* ?1: the resource; ?2: the token, or the time; of the original see take(). */
static const struct {
  const char *make, *take, *renew, *give;
} kinds[K_KINDS] = {
    {PLAIN, PLAIN_TAKE, PLAIN_RENEW, "DELETE FROM p WHERE resource = ?1"},
    {"CREATE VIRTUAL TABLE l USING lease(max_renewals = 0)",
     "SELECT lease_acquire('l', ?1, 'agent-7')",
     "SELECT lease_renew('l', ?1, ?2)", "SELECT lease_release('l', ?1, ?2)"},
    {"CREATE VIRTUAL TABLE l USING lease(max_renewals = 0)",
     "INSERT INTO l(resource, holder) VALUES (?1, 'agent-7')",
     "UPDATE l SET ttl_ms = 300000 WHERE resource = ?1 AND token = ?2",
     "DELETE FROM l WHERE resource = ?1 AND token = ?2"},
    {ORIGINAL,
     "INSERT INTO o(lease_id, task_id, phase, agent_id, acquired_at,"
     " expires_at) VALUES (?4, ?1, 'IMPLEMENT', 'agent-7', ?2, ?3)",
     NULL,
     "DELETE FROM o WHERE task_id = ?1 AND phase = 'IMPLEMENT' AND"
     " agent_id = 'agent-7'"},
    {RAW,
     "INSERT INTO held VALUES ((SELECT token FROM mark), ?1, 'agent-7', ?2,"
     " ?2 + 300000, 0, 300000, NULL)",
     "UPDATE held SET expires_at = ?2 + 300000, renewals = renewals + 1,"
     " ttl_ms = 300000 WHERE resource = ?1",
     "DELETE FROM held WHERE resource = ?1"},
};

typedef struct Side {
  Kind kind;
  sqlite3 *db;
  sqlite3_stmt *take, *renew, *give;
  sqlite3_stmt *expire, *read;                 /* of the original */
  sqlite3_stmt *begin, *commit, *mark, *event; /* of the raw statements */
  sqlite3_int64 token[BATCH];
} Side;

static void side_open(Side *side, Kind kind) {
  memset(side, 0, sizeof(*side));
  side->kind = kind;
  side->db = open_file(kind == K_DOOR || kind == K_DML ? "l.db" : "p.db", 1);
  run(side->db, kinds[kind].make);
  side->take = prepare(side->db, kinds[kind].take);
  if (kinds[kind].renew) side->renew = prepare(side->db, kinds[kind].renew);
  side->give = prepare(side->db, kinds[kind].give);
  if (kind == K_RAW) {
    side->begin = prepare(side->db, "BEGIN IMMEDIATE");
    side->commit = prepare(side->db, "COMMIT");
    side->mark = prepare(side->db, "UPDATE mark SET token = token + 1,"
                                   " now = ?2 WHERE id = 1 AND ?1 NOTNULL");
    side->event = prepare(side->db, "INSERT INTO event VALUES (?2, 'kind', ?1,"
                                    " 'agent-7', 1, 5, NULL)");
  }
  if (kind != K_ORIGINAL) return;
  side->expire = prepare(side->db, "DELETE FROM o WHERE expires_at < ?1");
  side->read =
      prepare(side->db, "SELECT * FROM o WHERE task_id = ?1 AND phase = ?2");
}

static void side_close(Side *side) {
  sqlite3_finalize(side->take);
  sqlite3_finalize(side->renew);
  sqlite3_finalize(side->give);
  sqlite3_finalize(side->expire);
  sqlite3_finalize(side->read);
  sqlite3_finalize(side->begin);
  sqlite3_finalize(side->commit);
  sqlite3_finalize(side->mark);
  sqlite3_finalize(side->event);
  sqlite3_close(side->db);
}

static sqlite3_int64 milliseconds(void) {
  return (sqlite3_int64)(wall() * 1000);
}

static void iso(char *text, size_t size, sqlite3_int64 ms) {
  time_t seconds = (time_t)(ms / 1000);
  char day[32];
  (void)strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", gmtime(&seconds));
  sqlite3_snprintf((int)size, text, "%s.%03dZ", day, (int)(ms % 1000));
}

/* As the original acquires: delete what has expired, insert, read. */
static void take_original(Side *side, const char *name) {
  char from[32], to[32], uuid[40];
  unsigned random[4];
  sqlite3_int64 ms = milliseconds();
  iso(from, sizeof(from), ms);
  iso(to, sizeof(to), ms + 300000);
  sqlite3_randomness(sizeof(random), random);
  sqlite3_snprintf(sizeof(uuid), uuid, "%08x-%04x-4%03x-8%03x-%04x%08x",
                   random[0], random[1] >> 16, random[1] & 0xfff,
                   random[2] >> 20, random[2] & 0xffff, random[3]);
  sqlite3_bind_text(side->expire, 1, from, -1, SQLITE_STATIC);
  must(side->db, sqlite3_step(side->expire));
  sqlite3_reset(side->expire);
  sqlite3_bind_text(side->take, 1, name, -1, SQLITE_STATIC);
  sqlite3_bind_text(side->take, 2, from, -1, SQLITE_STATIC);
  sqlite3_bind_text(side->take, 3, to, -1, SQLITE_STATIC);
  sqlite3_bind_text(side->take, 4, uuid, -1, SQLITE_STATIC);
  must(side->db, sqlite3_step(side->take));
  sqlite3_reset(side->take);
  sqlite3_bind_text(side->read, 1, name, -1, SQLITE_STATIC);
  sqlite3_bind_text(side->read, 2, "IMPLEMENT", -1, SQLITE_STATIC);
  must(side->db, sqlite3_step(side->read));
  sqlite3_reset(side->read);
}

/* Run one statement for a name; returns what it gives, or the last rowid. */
static sqlite3_int64 one(Side *side, sqlite3_stmt *stmt, const char *name,
                         sqlite3_int64 second) {
  sqlite3_int64 value = 0;
  int rc;
  sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
  if (sqlite3_bind_parameter_count(stmt) > 1) {
    sqlite3_bind_int64(stmt, 2, second);
  }
  rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) {
    value = sqlite3_column_int64(stmt, 0);
    if (value == 0) {
      (void)fprintf(stderr, "bench: a lease was refused\n");
      exit(1);
    }
  } else if (stmt == side->take) {
    value = sqlite3_last_insert_rowid(side->db);
  }
  /* A COMMIT that fails is found here. */
  must(side->db, sqlite3_reset(stmt));
  return value;
}

static void step(const Side *side, sqlite3_stmt *stmt) {
  must(side->db, sqlite3_step(stmt));
  must(side->db, sqlite3_reset(stmt));
}

static void take(Side *side, int i, const char *name) {
  if (side->kind == K_ORIGINAL) {
    take_original(side, name);
    return;
  }
  if (side->begin != NULL) {
    step(side, side->begin);
    one(side, side->mark, name, milliseconds());
    one(side, side->event, name, milliseconds());
  }
  side->token[i] = one(side, side->take, name, milliseconds());
  if (side->begin != NULL) step(side, side->commit);
}

static void give(Side *side, int i, const char *name) {
  if (side->begin != NULL) {
    step(side, side->begin);
    one(side, side->event, name, milliseconds());
  }
  one(side, side->give, name, side->token[i]);
  if (side->begin != NULL) step(side, side->commit);
}

/* Each in a savepoint or transaction of the caller's. */
static void renew(Side *side, int i, const char *name) {
  one(side, side->renew, name,
      side->kind == K_PLAIN || side->begin ? milliseconds() : side->token[i]);
  if (side->begin != NULL) one(side, side->event, name, milliseconds());
}

static const char *name_of(long n) {
  static char name[32];
  sqlite3_snprintf(sizeof(name), name, "task-%06d", (int)n);
  return name;
}

/* ---- measures ------------------------------------------------------------ */

/* Seconds for taking n leases, and for giving them up, each a transaction;
** ten batches in turn, so that names come back. */
static void pairs_of(Side *side, long n, double *taking, double *giving) {
  long from;
  int i;
  *taking = *giving = 0;
  for (from = 0; from < n; from += BATCH) {
    long first = from % ((long)BATCH * 10);
    double start = now(), middle;
    for (i = 0; i < BATCH; i++) take(side, i, name_of(first + i));
    middle = now();
    for (i = 0; i < BATCH; i++) give(side, i, name_of(first + i));
    *taking += middle - start;
    *giving += now() - middle;
  }
}

static void measure_pairs(long n) {
  static double acquire[2][100], release[2][100], original[100];
  static double floor[2][100];
  double ta[K_KINDS], tg[K_KINDS];
  Side side;
  int i, k;
  for (i = 0; i < pairs; i++) {
    for (k = 0; k < K_KINDS; k++) {
      side_open(&side, (Kind)k);
      pairs_of(&side, n, &ta[k], &tg[k]);
      side_close(&side);
    }
    for (k = 0; k < 2; k++) {
      acquire[k][i] = ta[K_DOOR + k] / ta[K_PLAIN];
      release[k][i] = tg[K_DOOR + k] / tg[K_PLAIN];
    }
    floor[0][i] = ta[K_RAW] / ta[K_PLAIN];
    floor[1][i] = tg[K_RAW] / tg[K_PLAIN];
    original[i] = (ta[K_ORIGINAL] + tg[K_ORIGINAL]) / (ta[K_DOOR] + tg[K_DOOR]);
  }
  report("lease_acquire", "lease_acquire / upsert, one a transaction",
         median(acquire[0], pairs), 1.5, "x");
  report("lease_acquire_raw", "  its statements alone / upsert",
         median(floor[0], pairs), 0, "x");
  report("lease_release", "lease_release / DELETE, one a transaction",
         median(release[0], pairs), 1.5, "x");
  report("lease_release_raw", "  its statements alone / DELETE",
         median(floor[1], pairs), 0, "x");
  report("lease_insert", "INSERT INTO a lease table / upsert",
         median(acquire[1], pairs), 0, "x");
  report("lease_delete", "DELETE FROM a lease table / DELETE",
         median(release[1], pairs), 0, "x");
  report_least("lease_original",
               "the original's acquire and release / lease_...",
               median(original, pairs), 1.5, "x");
}

/* Seconds for n renewals, a hundred in a transaction. */
static double renewals(Kind kind, long n) {
  Side side;
  double start;
  long from;
  int i;
  side_open(&side, kind);
  for (i = 0; i < BATCH; i++) take(&side, i, name_of(i));
  start = now();
  for (from = 0; from < n; from += BATCH) {
    run(side.db, "BEGIN IMMEDIATE");
    for (i = 0; i < BATCH; i++) renew(&side, i, name_of(i));
    run(side.db, "COMMIT");
  }
  start = now() - start;
  side_close(&side);
  return start;
}

static void measure_renewals(long n) {
  static double door[100], dml[100], rate[100], floor[100];
  int i;
  for (i = 0; i < pairs; i++) {
    double plain = renewals(K_PLAIN, n), seconds = renewals(K_DOOR, n);
    door[i] = seconds / plain;
    rate[i] = (double)n / seconds / 1000;
    dml[i] = renewals(K_DML, n) / plain;
    floor[i] = renewals(K_RAW, n) / plain;
  }
  report_least("lease_renew_rate", "lease_renew, 100 a transaction: 1000/s",
               median(rate, pairs), 300, "k/s");
  report("lease_renew", "lease_renew / UPDATE, 100 a transaction",
         median(door, pairs), 2, "x");
  report("lease_renew_raw", "  its statements alone / UPDATE",
         median(floor, pairs), 0, "x");
  report("lease_update", "UPDATE of a lease table / UPDATE", median(dml, pairs),
         0, "x");
}

/* Seconds for n rows in one transaction: guarded, or with an empty trigger. */
static double guarded(int guard, long n) {
  sqlite3 *db = open_file("l.db", 1);
  double seconds;
  run(db, "CREATE VIRTUAL TABLE l USING lease();"
          "CREATE TABLE t(id INTEGER PRIMARY KEY, task TEXT NOT NULL,"
          " token INTEGER NOT NULL, text TEXT)");
  run(db, guard ? "SELECT lease_acquire('l', 'task-1', 'agent-7');"
                  "SELECT lease_guard('t', 'l', 'task', 'token')"
                : "CREATE TRIGGER e BEFORE INSERT ON t BEGIN SELECT 1; END");
  seconds = bulk(db,
                 "INSERT INTO t(task, token, text)"
                 " VALUES ('task-1', 1, 'some text of a result')",
                 n);
  sqlite3_close(db);
  return seconds;
}

static void measure_guard(long n) {
  static double more[100];
  int i;
  for (i = 0; i < pairs; i++) {
    double empty = guarded(0, n);
    more[i] = (guarded(1, n) - empty) / (double)n * 1e6;
  }
  report("lease_guard", "a guarded row more than with an empty trigger",
         median(more, pairs), 1, "us");
}

/* ---- many processes ------------------------------------------------------ */

/* Sleep for 20 to 420 microseconds, whatever the number of the attempt. */
static int jitter(void *unused, int attempts) {
  unsigned random;
  sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
  (void)unused;
  sqlite3_randomness(sizeof(random), &random);
  vfs->xSleep(vfs, 20 + (int)(random % 400));
  return attempts < 1000000;
}

static void policy(sqlite3 *db, int fair) {
  if (!fair) {
    sqlite3_busy_timeout(db, 60000);
  } else if (setting("BENCH_JITTER", 0)) {
    sqlite3_busy_handler(db, jitter, NULL);
  } else {
    run(db, "SELECT busy_policy('fair', 60000)");
  }
}

typedef struct Contest {
  int fair;
  double seconds;
} Contest;

/* One of the processes: the seconds of each pair. */
static size_t contend(int number, const void *argument, double *took,
                      size_t most) {
  const Contest *contest = argument;
  sqlite3 *db = open_file("l.db", 0);
  Side side = {.kind = K_DOOR, .db = db};
  double end;
  size_t n = 0;
  char name[32];
  policy(db, contest->fair);
  run(db, "PRAGMA synchronous=FULL");
  side.take = prepare(db, kinds[K_DOOR].take);
  side.give = prepare(db, kinds[K_DOOR].give);
  sqlite3_snprintf(sizeof(name), name, "task-%d", number);
  for (end = wall() + contest->seconds; wall() < end && n < most; n++) {
    took[n] = wall();
    take(&side, 0, name);
    give(&side, 0, name);
    took[n] = wall() - took[n];
    sqlite3_sleep(1);
  }
  side_close(&side);
  return n;
}

/* *p99: of the milliseconds of a pair; *rate: pairs a second. */
static void contention(int fair, double *p99, double *rate) {
  Contest contest = {fair, (double)setting("BENCH_SECONDS", 3)};
  int processes = (int)setting("BENCH_PROCESSES", 10);
  sqlite3 *db = open_file("l.db", 1);
  double *took;
  size_t n;
  run(db, kinds[K_DOOR].make);
  sqlite3_close(db);
  n = crowd(processes, contend, &contest, 1000000, &took);
  (void)median(took, (int)n); /* sorts */
  *p99 = took[n * 99 / 100] * 1000;
  *rate = (double)n / contest.seconds;
  free(took);
}

static void measure_contention(void) {
  static double p99[2][100], rate[2][100], lower[100];
  int i, fair;
  sqlite3 *db = open_file("l.db", 1);
  int there = setting("BENCH_JITTER", 0) ||
              query(db, "SELECT count(*) FROM pragma_function_list"
                        " WHERE name = 'busy_policy'") > 0;
  sqlite3_close(db);
  if (!there) printf("no function busy_policy: the built-in handler alone\n");
  for (i = 0; i < pairs; i++) {
    for (fair = 0; fair <= there; fair++) {
      contention(fair, &p99[fair][i], &rate[fair][i]);
    }
    lower[i] = p99[0][i] / (there ? p99[1][i] : 1);
  }
  report("lease_builtin_p99", "processes with the built-in handler: p99",
         median(p99[0], pairs), 0, "ms");
  report("lease_builtin_rate", "  and pairs a second, in thousands",
         median(rate[0], pairs) / 1000, 0, "k/s");
  if (!there) return;
  report("lease_fair_p99", "processes with busy_policy('fair'): p99",
         median(p99[1], pairs), 0, "ms");
  report("lease_fair_rate", "  and pairs a second, in thousands",
         median(rate[1], pairs) / 1000, 0, "k/s");
  report_least("lease_fair", "  the p99 is lower by", median(lower, pairs), 3,
               "x");
}

void measure_leases(void) {
  long n = setting("BENCH_LEASES", 20000);
  measure_pairs(n);
  measure_renewals(n * 10);
  measure_guard(setting("BENCH_GUARDED", 200000));
  measure_contention();
}
