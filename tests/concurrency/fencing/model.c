/*
** Random operations on leases and guarded tables, each compared with what the
** oracle says of it: all doors and walls, three lease tables of different
** options, clocks that step both ways, holders that forget, transactions that
** roll back, two connections to one file.
**
**   model LIBRARY FOLDER STEPS [SEED]
**
** Runs that many steps in two processes; or with a seed that one run, and
** prints its statements.
*/
/* fork, mmap, clocks.  NOLINTNEXTLINE(bugprone-reserved-identifier,cert-*) */
#define _DEFAULT_SOURCE
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "model.h"

enum { STEPS = 2000, PROCESSES = 2 }; /* of a run */

const char *const resource_name[RESOURCES] = {"r", "rr", "R", "q\xc3\xa9"};
const char *const holder_name[HOLDERS] = {"a", "aa", "A", "b"};

const char *detail_name(int detail) {
  static const char *const name[] = {NULL, "d1", "d2", "d3"};
  return detail < 0 ? NULL : name[detail];
}

static const char *library, *folder;
static Run *running; /* for messages */

Number *tally;
static const char *const tally_name[TALLIES] = {
    "granted", "held",     "exhausted", "delayed",  "renewed",
    "lost",    "released", "given",     "selected", "written",
    "fenced",  "strayed",  "clashed",   "refused",  "rolled back"};

void fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  if (running != NULL) {
    printf("seed %lld, step %lld: ", running->seed, running->step);
  }
  /* clang-tidy 14 errs here when it reads another file before this one. */
  // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
  (void)vprintf(format, list);
  printf("\n");
  va_end(list);
  (void)fflush(stdout);
  _exit(1);
}

/* ---- chance -------------------------------------------------------------- */

unsigned below(Run *run, unsigned n) {
  uint64_t x = run->random += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return (unsigned)((x ^ (x >> 31)) >> 33) % n;
}

int chance(Run *run, unsigned percent) { return below(run, 100) < percent; }

/* ---- verdicts ------------------------------------------------------------ */

/* A door says this. */
void same_door(const Result *got, Answer want, const char *door) {
  if (want.outcome == BAD) {
    if (got->rc == SQLITE_OK) fail("%s: no error", door);
    return;
  }
  if (got->rc != SQLITE_OK) fail("%s: %s", door, got->words);
  if (want.outcome != FINE) {
    if (!got->is_null) fail("%s: %lld, expected NULL", door, got->value);
  } else if (got->is_null || got->value != want.value) {
    fail("%s: %s %lld, expected %lld", door, got->is_null ? "NULL" : "",
         got->value, want.value);
  }
}

static void must_say(const Result *got, const char *words, const char *what) {
  if (got->rc == SQLITE_OK) fail("%s: no error, expected %s", what, words);
  if (strstr(got->words, words) == NULL) {
    fail("%s: %s, expected %s", what, got->words, words);
  }
}

/* A wall or a guarded table does. */
void same_wall(const Result *got, Answer want, const char *wall) {
  char words[80];
  switch (want.outcome) {
    case FINE:
    case NOTHING:
      if (got->rc != SQLITE_OK) fail("%s: %s", wall, got->words);
      if (got->changes != want.value) {
        fail("%s: %lld rows, expected %lld", wall, got->changes, want.value);
      }
      break;
    case BAD:
      if (got->rc == SQLITE_OK) fail("%s: no error", wall);
      break;
    case UNGUARDED:
      tally[FENCED]++;
      must_say(got, "the token of the row does not hold its resource", wall);
      break;
    case STRAY:
      tally[STRAYED]++;
      must_say(got, "the write takes a row to another resource, or", wall);
      break;
    case CLASH:
      tally[CLASHED]++;
      must_say(got, "UNIQUE constraint failed", wall);
      break;
    default:
      sqlite3_snprintf(sizeof(words), words, "%lld ms", want.value);
      must_say(got, words, wall);
      sqlite3_snprintf(sizeof(words), words, "token %lld", want.token);
      must_say(got, words, wall);
  }
}

/* ---- transactions -------------------------------------------------------- */

static void must(Run *run, const char *format, int level) {
  Result got = ask_run(run->at, ask_bind(run->at, ask_text(format, level), ""));
  if (got.rc != SQLITE_OK) fail("%s: %s", format, got.words);
}

static void begin(Run *run) {
  must(run, chance(run, 50) ? "BEGIN" : "BEGIN IMMEDIATE", 0);
  run->before[0] = run->world;
  run->depth = 1;
}

static void end(Run *run) {
  if (chance(run, 60)) {
    must(run, "COMMIT", 0);
  } else {
    must(run, "ROLLBACK", 0);
    run->world = run->before[0];
    tally[ROLLED_BACK]++;
  }
  run->depth = 0;
}

static void nest(Run *run) {
  int level = 1 + (int)below(run, LEVELS - 1);
  if (level >= run->depth) {
    if (run->depth == LEVELS) return;
    must(run, "SAVEPOINT s%d", run->depth);
    run->before[run->depth++] = run->world;
  } else if (chance(run, 50)) {
    must(run, "RELEASE s%d", level);
    run->depth = level;
  } else {
    must(run, "ROLLBACK TO s%d", level);
    run->world = run->before[level];
    run->depth = level + 1;
    tally[ROLLED_BACK]++;
  }
}

static int step_transaction(Run *run) {
  unsigned dice = below(run, 100);
  if (run->depth == 0) {
    run->at = &run->conn[below(run, (unsigned)run->conns)];
    if (dice >= 4) return 0;
    begin(run);
  } else if (dice < 8) {
    end(run);
  } else if (dice < 20) {
    nest(run);
  } else {
    return 0;
  }
  return 1;
}

/* ---- runs ---------------------------------------------------------------- */

static Rules any_rules(Run *run) {
  static const Number ttl[] = {5, 20, 100}, renewals[] = {0, 1, 3, 10};
  static const Number delay[] = {0, 0, 7, 50};
  Rules rules = {0};
  rules.ttl = ttl[below(run, 3)];
  rules.max_ttl = rules.ttl + below(run, 60);
  rules.max_renewals = renewals[below(run, 4)];
  rules.lock_delay = delay[below(run, 4)];
  return rules;
}

static void create(Run *run, int t, int recursive) {
  Rules *rules = &run->rules[t];
  int plain = chance(run, 70), without_rowid = chance(run, 30);
  Result got;
  char sql[300];
  *rules = any_rules(run);
  rules->recursive = recursive;
  sqlite3_snprintf(sizeof(sql), sql,
                   "CREATE VIRTUAL TABLE l%d USING lease(ttl_ms=%lld, "
                   "max_ttl_ms=%lld, max_renewals=%lld, lock_delay_ms=%lld, "
                   "clock='caller')",
                   t, rules->ttl, rules->max_ttl, rules->max_renewals,
                   rules->lock_delay);
  ask_must(run->at, sql);
  sqlite3_snprintf(sizeof(sql), sql,
                   "CREATE TABLE work%d(id INTEGER PRIMARY KEY, task TEXT, "
                   "token INTEGER, u INTEGER UNIQUE, n INTEGER)%s",
                   t, without_rowid ? " WITHOUT ROWID" : "");
  ask_must(run->at, sql);
  sqlite3_snprintf(sizeof(sql), sql,
                   plain ? "SELECT lease_guard('work%d', 'l%d', 'task', "
                           "'token')"
                         : "SELECT lease_guard('work%d', 'l%d', "
                           "'iif(1, new.task, 0)', 'NEW.token + 0')",
                   t, t);
  /* An expression may use the rowid, which SQLite chooses late. */
  rules->late = !plain && !without_rowid;
  got = ask_run(run->at, ask_bind(run->at, sql, ""));
  if (got.value != (rules->late ? 5 : 3)) fail("%s: %lld", sql, got.value);
  got = ask_run(run->at,
                ask_bind(run->at,
                         "SELECT id FROM lease_high_water WHERE id NOT IN (1, "
                         "?1, ?2) AND token = 0",
                         "ii", run->mark[0], run->mark[1]));
  run->mark[t] = got.value;
}

/* In memory, or by two connections to a file. */
static void start(Run *run, Number seed, int traces) {
  char path[400] = ":memory:";
  int i, t, recursive;
  memset(run, 0, sizeof(*run));
  running = run;
  run->seed = seed;
  run->random = (uint64_t)seed * 0xd1342543de82ef95U;
  run->conns = 1 + (seed % 4 == 0);
  recursive = chance(run, 30);
  if (run->conns == 2) {
    sqlite3_snprintf(sizeof(path), path, "%s/model%lld.db", folder, seed);
  }
  for (i = 0; i < run->conns; i++) {
    run->at = &run->conn[i];
    ask_open(run->at, path, library);
    run->at->traces = traces;
    ask_must(run->at, "PRAGMA synchronous = off");
    if (run->conns == 2) ask_must(run->at, "PRAGMA journal_mode = wal");
    if (recursive) ask_must(run->at, "PRAGMA recursive_triggers = on");
  }
  run->at = &run->conn[0];
  for (t = 0; t < TABLES; t++) create(run, t, recursive);
}

static void finish(Run *run) {
  static const char *const suffix[] = {"", "-wal", "-shm"};
  char path[400];
  Result got;
  int i;
  if (run->depth > 0) end(run);
  compare(run, 0);
  got = ask_run(run->at, ask_bind(run->at,
                                  "SELECT group_concat(finding || object) "
                                  "FROM holdfast_check "
                                  "WHERE finding LIKE 'g%'",
                                  ""));
  if (got.rc != SQLITE_OK || !got.is_null) fail("holdfast_check");
  for (i = 0; i < run->conns; i++) ask_close(&run->conn[i]);
  for (i = 0; i < 3 && run->conns == 2; i++) {
    sqlite3_snprintf(sizeof(path), path, "%s/model%lld.db%s", folder, run->seed,
                     suffix[i]);
    (void)remove(path);
  }
}

static int history_is_long(const Run *run) {
  int t, most = 0;
  for (t = 0; t < TABLES; t++) {
    if (run->world.table[t].events > most) most = run->world.table[t].events;
  }
  return most > EVENTS - 64;
}

static void play(Number seed, Number steps, int traces) {
  static Run run;
  start(&run, seed, traces);
  for (run.step = 1; run.step <= steps; run.step++) {
    if (step_transaction(&run)) continue;
    if (chance(&run, 65)) {
      step_lease(&run);
    } else {
      step_work(&run);
    }
    if (chance(&run, 1)) { /* a holder crashes, and knows nothing */
      memset(run.memory[below(&run, HOLDERS)], 0, sizeof(run.memory[0]));
    }
    if (chance(&run, 2) || history_is_long(&run)) {
      compare(&run, history_is_long(&run) || chance(&run, 50));
    }
  }
  run.step = 0;
  finish(&run);
  running = NULL;
}

static int share(Number steps) {
  pid_t child[PROCESSES];
  int i, status, failed = 0;
  for (i = 0; i < PROCESSES; i++) {
    child[i] = fork();
    if (child[i] == 0) {
      Number seed;
      for (seed = i + 1; (seed - 1) * STEPS < steps; seed += PROCESSES) {
        play(seed, STEPS, 0);
      }
      _exit(0);
    }
  }
  for (i = 0; i < PROCESSES; i++) {
    if (child[i] < 0 || waitpid(child[i], &status, 0) < 0 || status != 0) {
      failed = 1;
    }
  }
  return failed;
}

int main(int argc, char **argv) {
  struct timespec from, to;
  Number steps;
  double seconds;
  int i;
  if (argc != 4 && argc != 5) return 2;
  library = argv[1];
  folder = argv[2];
  steps = strtoll(argv[3], NULL, 10);
  tally = mmap(NULL, TALLIES * sizeof(*tally), PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (tally == MAP_FAILED) return 2;
  if (argc == 5) {
    play(strtoll(argv[4], NULL, 10), STEPS, 1);
    return 0;
  }
  (void)clock_gettime(CLOCK_MONOTONIC, &from);
  if (share(steps)) return 1;
  (void)clock_gettime(CLOCK_MONOTONIC, &to);
  seconds = (double)(to.tv_sec - from.tv_sec) +
            (double)(to.tv_nsec - from.tv_nsec) / 1e9;
  for (i = 0; i < TALLIES; i++) {
    printf("%s %lld%s", tally_name[i], tally[i], i < TALLIES - 1 ? ", " : "\n");
    if (tally[i] == 0) fail("nothing was %s", tally_name[i]);
  }
  printf("%lld steps, no disagreement, %.0f steps/s\n", steps,
         (double)steps / seconds);
  return 0;
}
