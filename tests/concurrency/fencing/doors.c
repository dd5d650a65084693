/*
** The steps of the model check on leases: each door and each wall with
** arguments by chance, and what the oracle says of them.
*/
#include <string.h>

#include "model.h"

/* ---- arguments by chance ------------------------------------------------- */

static int any_t(Run *run) { return (int)below(run, TABLES); }
static int any_resource(Run *run) { return (int)below(run, RESOURCES); }
static int any_holder(Run *run) { return (int)below(run, HOLDERS); }

/* Often the one who has it. */
static int any_wanting(Run *run, int t, int resource) {
  return chance(run, 35) ? run->world.table[t].held[resource].holder
                         : any_holder(run);
}

/* A step of the clock; then often onto an edge, where < and <= differ. */
static void tick(Run *run, int t) {
  const Rules *rules = &run->rules[t];
  const Held *held = &run->world.table[t].held[any_resource(run)];
  unsigned ttl = (unsigned)rules->ttl;
  switch (below(run, 30)) {
    case 0:
      run->clock += below(run, 2 * ttl + 1);
      break;
    case 1:
      run->clock -= below(run, 3 * ttl);
      break;
    case 2:
      run->clock = run->world.table[t].now;
      break;
    case 3:
    case 4:
      run->clock = held->expires - 1 + below(run, 3);
      break;
    case 5:
      run->clock = held->expires + rules->lock_delay - 1 + below(run, 3);
      break;
    default:
      run->clock += below(run, 3);
  }
  if (run->clock < 0) run->clock = 0;
}

/* The time to give: now and then none. */
static Number any_now(Run *run) { return chance(run, 1) ? -1 : run->clock; }

/* The time of a WHERE clause, which may be NULL. */
static Number any_when(Run *run) {
  return chance(run, 1) ? NO_NOW : any_now(run);
}

static Number any_ttl(Run *run, int t) {
  const Rules *rules = &run->rules[t];
  switch (below(run, 32)) {
    case 0:
      return 0;
    case 1:
      return rules->max_ttl + 1;
    case 2:
      return rules->max_ttl;
    case 3:
      return 1;
    case 4:
    case 5:
      return 1 + below(run, (unsigned)rules->max_ttl);
    default:
      return NO_TTL;
  }
}

/* A token to try: mostly one that is or was of that resource. */
static Number any_token(Run *run, int t, int resource) {
  switch (below(run, 10)) {
    case 0:
      return 1 + below(run, (unsigned)run->world.token + 2);
    case 1:
      return run->world.table[t].held[any_resource(run)].token;
    case 2:
      return run->world.table[any_t(run)].held[resource].token;
    case 3:
    case 4:
    case 5:
      return run->memory[any_holder(run)][t][resource];
    default:
      return run->world.table[t].held[resource].token;
  }
}

static Where any_where(Run *run, int t) {
  Where where = {-1, -1, -1};
  int resource = any_resource(run);
  switch (below(run, 8)) {
    case 0:
      break;
    case 1:
      where.holder = any_holder(run);
      break;
    case 2:
    case 3:
      where.resource = resource;
      break;
    default:
      where.token = any_token(run, t, resource);
  }
  return where;
}

/* Count it; what a wall refuses is told when the connection next commits. */
static void tell(Run *run, int t, int resource, int holder, Answer answer,
                 int wall) {
  Denial denial = {t, resource, holder,
                   run->world.table[t].held[resource].holder, answer.token};
  switch (answer.outcome) {
    case IS_HELD:
      tally[HELD]++;
      break;
    case DELAYED:
      tally[WAITS]++;
      break;
    case EXHAUSTED:
      tally[TIRED]++;
      return;
    default:
      tally[GRANTED]++;
      return;
  }
  if (wall) run->denial[run->denials++ % DENIALS] = denial;
}

/* ---- doors --------------------------------------------------------------- */

static void acquire(Run *run, int t) {
  int resource = any_resource(run);
  int holder = any_wanting(run, t, resource);
  Number ttl = any_ttl(run, t), now = any_now(run);
  Result got = ask_run(
      run->at,
      ask_bind(run->at,
               ask_text("SELECT lease_acquire('l%d', ?1, ?2, ?3, NULL, ?4)", t),
               "ttki", resource_name[resource], holder_name[holder], ttl, now));
  Answer want = oracle_acquire(&run->world, &run->rules[t], t, resource, holder,
                               ttl, 0, now, 0);
  same_door(&got, want, "lease_acquire");
  if (want.outcome == BAD) return;
  tell(run, t, resource, holder, want, 0);
  if (want.outcome == FINE) run->memory[holder][t][resource] = want.value;
}

static void renew(Run *run, int t) {
  int resource = any_resource(run);
  Number token = any_token(run, t, resource), ttl = any_ttl(run, t);
  Number now = any_now(run);
  Result got =
      ask_run(run->at,
              ask_bind(run->at,
                       ask_text("SELECT lease_renew('l%d', ?1, ?2, ?3, ?4)", t),
                       "tiki", resource_name[resource], token, ttl, now));
  Answer want =
      oracle_renew(&run->world, &run->rules[t], t, resource, token, ttl, now);
  same_door(&got, want, "lease_renew");
  tally[want.outcome == FINE ? RENEWALS : LOST]++;
}

static void release(Run *run, int t) {
  int resource = any_resource(run);
  int holder = any_wanting(run, t, resource);
  Number token = any_token(run, t, resource), now = any_now(run);
  Result got;
  if (chance(run, 20)) {
    got =
        ask_run(run->at,
                ask_bind(run->at,
                         ask_text("SELECT lease_release_all('l%d', ?1, ?2)", t),
                         "ti", holder_name[holder], now));
    same_door(&got, oracle_release_all(&run->world, t, holder, now),
              "lease_release_all");
    return;
  }
  got = ask_run(run->at,
                ask_bind(run->at,
                         ask_text("SELECT lease_release('l%d', ?1, ?2, ?3)", t),
                         "tii", resource_name[resource], token, now));
  same_door(&got, oracle_release(&run->world, t, resource, token, now),
            "lease_release");
  tally[RELEASES] += got.rc == SQLITE_OK && got.value == 1;
}

static void hand_over(Run *run, int t) {
  int resource = any_resource(run);
  int holder = any_wanting(run, t, resource);
  int steals = chance(run, 50), why = 1 + (int)below(run, 3);
  Number token = any_token(run, t, resource), now = any_now(run);
  sqlite3_stmt *stmt =
      steals ? ask_bind(
                   run->at,
                   ask_text("SELECT lease_steal('l%d', ?1, ?2, ?3, ?4, ?5)", t),
                   "titti", resource_name[resource], token, holder_name[holder],
                   detail_name(why), now)
             : ask_bind(
                   run->at,
                   ask_text("SELECT lease_transfer('l%d', ?1, ?2, ?3, ?4)", t),
                   "titi", resource_name[resource], token, holder_name[holder],
                   now);
  Result got = ask_run(run->at, stmt);
  Answer want =
      oracle_give(&run->world, t, resource, token, holder,
                  steals ? STOLEN : TRANSFERRED, steals ? why : 0, now);
  same_door(&got, want, steals ? "lease_steal" : "lease_transfer");
  if (want.outcome != FINE) return;
  tally[GIVEN]++;
  run->memory[holder][t][resource] = want.value;
}

static void look(Run *run, int t) {
  int resource = any_resource(run);
  Number token = any_token(run, t, resource), now = any_now(run);
  Answer want = {FINE, 0, 0};
  Result got;
  if (chance(run, 40)) {
    compare_select(run, t, any_where(run, t), any_when(run));
    tally[SELECTED]++;
    return;
  }
  got = ask_run(run->at,
                ask_bind(run->at,
                         ask_text("SELECT lease_holds('l%d', ?1, ?2, ?3)", t),
                         "tii", resource_name[resource], token, now));
  if (now < 0) want.outcome = BAD;
  want.value = oracle_lives(&run->world, t, resource, token, now);
  same_door(&got, want, "lease_holds");
}

/* ---- walls --------------------------------------------------------------- */

static void wall_insert(Run *run, int t) {
  static const char *const verb[] = {"INSERT", "INSERT OR REPLACE",
                                     "INSERT OR IGNORE", "INSERT OR FAIL"};
  unsigned which = below(run, 4);
  int resource = any_resource(run);
  int holder = any_wanting(run, t, resource);
  int detail = (int)below(run, 4);
  Number ttl = any_ttl(run, t), now = any_now(run);
  Number before = run->world.table[t].now;
  char sql[200];
  Result got;
  Answer want;
  sqlite3_snprintf(sizeof(sql), sql,
                   "%s INTO l%d(resource, holder, ttl_ms, detail, now)"
                   " VALUES (?1, ?2, ?3, ?4, ?5)",
                   verb[which], t);
  got = ask_run(run->at,
                ask_bind(run->at, sql, "ttkti", resource_name[resource],
                         holder_name[holder], ttl, detail_name(detail), now));
  want = oracle_acquire(&run->world, &run->rules[t], t, resource, holder, ttl,
                        detail, now, 1);
  if (want.outcome != BAD) tell(run, t, resource, holder, want, 1);
  if (want.outcome != FINE) {
    /* OR IGNORE must not pass over it, nor OR FAIL keep a part. */
    int rc = which < 2 ? SQLITE_CONSTRAINT : SQLITE_ERROR;
    if ((got.rc & 0xff) != rc && want.outcome != BAD) {
      fail("%s: the code is %d, expected %d", sql, got.rc, rc);
    }
    if (run->depth == 0) run->world.table[t].now = before; /* rolled back */
  }
  if (want.outcome == FINE) {
    if (got.rowid != want.value) {
      fail("last_insert_rowid is %lld, expected %lld", got.rowid, want.value);
    }
    run->memory[holder][t][resource] = want.value;
    want.value = 1;
  }
  same_wall(&got, want, sql);
}

static const char *where_name(Where where) {
  if (where.resource >= 0) return resource_name[where.resource];
  return where.holder >= 0 ? holder_name[where.holder] : NULL;
}

static void wall_change(Run *run, int t) {
  static const char *const verb[] = {
      "UPDATE l%d SET ttl_ms = ?3", "UPDATE l%d SET ttl_ms = ?3, detail = ?4",
      "UPDATE l%d SET detail = ?4", "DELETE FROM l%d"};
  unsigned which = below(run, 4);
  Where where = any_where(run, t);
  int detail = which == 0 || which == 3 ? KEPT : (int)below(run, 4);
  Number ttl = which < 2 ? any_ttl(run, t) : NO_TTL, now = any_when(run);
  char sql[200];
  sqlite3_stmt *stmt;
  Result got;
  /* Each ?N stands somewhere, that one shape of bindings does for all. */
  sqlite3_snprintf(sizeof(sql), sql, "%s WHERE now = ?2%s AND (1 OR ?3 OR ?4)",
                   ask_text(verb[which], t),
                   where_text(where, chance(run, 50)));
  stmt = where.token >= 0 ? ask_bind(run->at, sql, "knkt", where.token, now,
                                     ttl, detail_name(detail))
                          : ask_bind(run->at, sql, "tnkt", where_name(where),
                                     now, ttl, detail_name(detail));
  got = ask_run(run->at, stmt);
  if (which == 3) {
    same_wall(&got, oracle_delete(&run->world, t, where, now), sql);
  } else {
    same_wall(
        &got,
        oracle_update(&run->world, &run->rules[t], t, where, ttl, detail, now),
        sql);
  }
}

/* Nobody writes the tables behind. */
static void trespass(Run *run, int t) {
  static const char *const sql[] = {
      "UPDATE l%d_held SET expires_at = expires_at + 1000",
      "UPDATE l%d_held SET holder = 'b'",
      "UPDATE l%d_held SET token = token + 1000",
      "DELETE FROM l%d_held",
      "INSERT INTO l%d_held VALUES (9999999, 'x', 'a', 0, 1, 0, 1, NULL)",
      "UPDATE lease_high_water SET token = token + 1",
      "UPDATE lease_high_water SET now = now + 1",
      "UPDATE lease_high_water SET token = token - 1",
      "UPDATE lease_high_water SET now = now - 1",
      "UPDATE lease_high_water SET now = now",
      "DELETE FROM lease_high_water",
      "INSERT INTO lease_high_water VALUES (2, 1, 0)",
      "UPDATE lease_high_water SET id = id + 1",
      "INSERT OR REPLACE INTO lease_high_water VALUES (1, 0, 0)",
  };
  unsigned which = below(run, sizeof(sql) / sizeof(*sql));
  const char *text = ask_text(sql[which], t);
  Result got = ask_run(run->at, ask_bind(run->at, text, ""));
  int resource, rows = 0;
  for (resource = 0; resource < RESOURCES; resource++) {
    rows += run->world.table[t].held[resource].there;
  }
  if (got.rc == SQLITE_OK && (which > 3 || rows > 0)) {
    fail("%s: no error", text);
  }
  tally[REFUSED] += got.rc != SQLITE_OK;
}

void step_lease(Run *run) {
  int t = any_t(run);
  tick(run, t);
  switch (below(run, 20)) {
    case 0:
    case 1:
    case 2:
    case 3:
      acquire(run, t);
      break;
    case 4:
    case 5:
    case 6:
    case 7:
      wall_insert(run, t);
      break;
    case 8:
    case 9:
    case 10:
      renew(run, t);
      break;
    case 11:
    case 12:
      release(run, t);
      break;
    case 13:
    case 14:
      hand_over(run, t);
      break;
    case 15:
    case 16:
      look(run, t);
      break;
    case 17:
    case 18:
      wall_change(run, t);
      break;
    default:
      trespass(run, t);
  }
}
