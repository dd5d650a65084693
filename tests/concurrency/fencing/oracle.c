/*
** See oracle.h.
*/
#include <string.h>

#include "oracle.h"

static Answer answer(Outcome outcome, Number value, Number token) {
  Answer a = {outcome, value, token};
  return a;
}

/* ---- leases -------------------------------------------------------------- */

Number oracle_time(const World *world, int t, Number now) {
  return now > world->table[t].now ? now : world->table[t].now;
}

static int lives(const Held *held, Number now) {
  return held->there && now < held->expires;
}

int oracle_lives(const World *world, int t, int resource, Number token,
                 Number now) {
  const Held *held = &world->table[t].held[resource];
  return lives(held, oracle_time(world, t, now)) && held->token == token;
}

static void log_event(World *world, int t, Number at, Kind kind, int resource,
                      const Held *held, Number held_ms, int detail) {
  Table *table = &world->table[t];
  Event *event = &table->event[table->events++];
  event->at = at;
  event->kind = kind;
  event->resource = resource;
  event->holder = held->holder;
  event->detail = detail;
  event->token = held->token;
  event->held_ms = held_ms;
}

/* Time passes with what is decided, and never back. */
static void pass(World *world, int t, Number now) {
  world->table[t].now = oracle_time(world, t, now);
}

/* A row of this resource has this token, whether it is live or not. */
static int is_of(const World *world, int t, int resource, Number token) {
  const Held *held = &world->table[t].held[resource];
  return held->there && held->token == token;
}

static Number grant(World *world, int t, int resource, int holder, int detail,
                    Number now, Number ttl, Kind kind, int why) {
  Held *held = &world->table[t].held[resource];
  held->there = 1;
  held->holder = holder;
  held->detail = detail;
  held->token = ++world->token;
  held->acquired = now;
  held->expires = now + ttl;
  held->renewals = 0;
  held->ttl = ttl;
  pass(world, t, now);
  log_event(world, t, now, kind, resource, held, -1, why);
  return held->token;
}

static int tired(const Rules *rules, const Held *held) {
  return rules->max_renewals != 0 && held->renewals >= rules->max_renewals;
}

static void renew(World *world, int t, int resource, Number now, Number ttl,
                  int detail) {
  Held *held = &world->table[t].held[resource];
  held->expires = now + ttl;
  held->ttl = ttl;
  held->renewals++;
  if (detail != KEPT) held->detail = detail;
  pass(world, t, now);
  log_event(world, t, now, RENEWED, resource, held, now - held->acquired, 0);
}

static int bad_ttl(const Rules *rules, Number ttl) {
  return ttl != NO_TTL && (ttl < 1 || ttl > rules->max_ttl);
}

Answer oracle_acquire(World *world, const Rules *rules, int t, int resource,
                      int holder, Number ttl, int detail, Number now,
                      int wall) {
  Held *held = &world->table[t].held[resource];
  Outcome refusal = FINE;
  Number left;
  if (now < 0 || bad_ttl(rules, ttl)) return answer(BAD, 0, 0);
  if (ttl == NO_TTL) ttl = rules->ttl;
  now = oracle_time(world, t, now);
  if (held->there) pass(world, t, now);
  if (lives(held, now) && held->holder == holder) {
    if (tired(rules, held)) {
      return answer(EXHAUSTED, held->expires - now, held->token);
    }
    renew(world, t, resource, now, ttl, detail != 0 ? detail : KEPT);
    return answer(FINE, held->token, held->token);
  }
  left = held->expires - now;
  if (lives(held, now)) {
    refusal = IS_HELD;
  } else if (held->there && held->holder != holder &&
             now < held->expires + rules->lock_delay) {
    refusal = DELAYED;
    left += rules->lock_delay;
  }
  if (refusal != FINE) {
    if (!wall) { /* who wanted it, of whom */
      Held wanted = *held;
      wanted.holder = holder;
      log_event(world, t, now, CONTENDED, resource, &wanted, -1,
                WHO + held->holder);
    }
    return answer(refusal, left, held->token);
  }
  if (held->there) {
    log_event(world, t, now, EXPIRED, resource, held,
              held->expires - held->acquired, 0);
  }
  grant(world, t, resource, holder, detail, now, ttl, ACQUIRED, detail);
  return answer(FINE, held->token, held->token);
}

Answer oracle_renew(World *world, const Rules *rules, int t, int resource,
                    Number token, Number ttl, Number now) {
  Held *held = &world->table[t].held[resource];
  if (now < 0 || bad_ttl(rules, ttl)) return answer(BAD, 0, 0);
  if (ttl == NO_TTL) ttl = rules->ttl;
  if (!oracle_lives(world, t, resource, token, now)) {
    if (is_of(world, t, resource, token)) pass(world, t, now);
    return answer(NOTHING, 0, 0);
  }
  if (tired(rules, held)) return answer(NOTHING, 0, 0);
  renew(world, t, resource, oracle_time(world, t, now), ttl, KEPT);
  return answer(FINE, held->expires, token);
}

static void release(World *world, int t, int resource, Number now) {
  Held *held = &world->table[t].held[resource];
  log_event(world, t, now, RELEASED, resource, held, now - held->acquired, 0);
  held->there = 0;
  pass(world, t, now);
}

Answer oracle_release(World *world, int t, int resource, Number token,
                      Number now) {
  if (now < 0) return answer(BAD, 0, 0);
  if (is_of(world, t, resource, token)) pass(world, t, now);
  if (!oracle_lives(world, t, resource, token, now)) return answer(FINE, 0, 0);
  release(world, t, resource, oracle_time(world, t, now));
  return answer(FINE, 1, token);
}

/* The live lease of the least token above this one; -1: there is none. */
static int next_of(const World *world, int t, Where where, Number above,
                   Number now) {
  int resource, found = -1;
  for (resource = 0; resource < RESOURCES; resource++) {
    const Held *held = &world->table[t].held[resource];
    if (!oracle_selects(world, t, where, resource, now)) continue;
    if (held->token <= above) continue;
    if (found >= 0 && world->table[t].held[found].token < held->token) continue;
    found = resource;
  }
  return found;
}

int oracle_selects(const World *world, int t, Where where, int resource,
                   Number now) {
  const Held *held = &world->table[t].held[resource];
  return lives(held, oracle_time(world, t, now)) &&
         (where.resource < 0 || where.resource == resource) &&
         (where.holder < 0 || where.holder == held->holder) &&
         (where.token < 0 || where.token == held->token);
}

Answer oracle_delete(World *world, int t, Where where, Number now) {
  Number count = 0;
  int resource;
  if (now == NO_NOW) return answer(FINE, 0, 0); /* nothing equals NULL */
  if (now < 0) return answer(BAD, 0, 0);
  for (;; count++) {
    resource = next_of(world, t, where, 0, now);
    if (resource < 0) return answer(FINE, count, 0);
    release(world, t, resource, oracle_time(world, t, now));
  }
}

Answer oracle_release_all(World *world, int t, int holder, Number now) {
  Where where = {-1, holder, -1};
  return oracle_delete(world, t, where, now);
}

Answer oracle_update(World *world, const Rules *rules, int t, Where where,
                     Number ttl, int detail, Number now) {
  Number count = 0, time = oracle_time(world, t, now), last = 0;
  int resource;
  if (now == NO_NOW) return answer(FINE, 0, 0);
  if (now < 0) return answer(BAD, 0, 0);
  /* All of them, or by the error of the first nothing. */
  while ((resource = next_of(world, t, where, last, now)) >= 0) {
    const Held *held = &world->table[t].held[resource];
    if (bad_ttl(rules, ttl)) return answer(BAD, 0, 0);
    if (tired(rules, held)) {
      return answer(EXHAUSTED, held->expires - time, held->token);
    }
    last = held->token;
  }
  for (last = 0; (resource = next_of(world, t, where, last, now)) >= 0;
       count++) {
    last = world->table[t].held[resource].token;
    renew(world, t, resource, time, ttl == NO_TTL ? rules->ttl : ttl, detail);
  }
  return answer(FINE, count, 0);
}

Answer oracle_give(World *world, int t, int resource, Number token, int holder,
                   Kind kind, int why, Number now) {
  Held *held = &world->table[t].held[resource];
  Number renewals = held->holder == holder ? held->renewals : 0;
  if (now < 0) return answer(BAD, 0, 0);
  if (is_of(world, t, resource, token)) pass(world, t, now);
  if (!oracle_lives(world, t, resource, token, now)) {
    return answer(NOTHING, 0, 0);
  }
  now = oracle_time(world, t, now);
  log_event(world, t, now, RELEASED, resource, held, now - held->acquired, 0);
  grant(world, t, resource, holder, 0, now, held->expires - now, kind, why);
  held->renewals = renewals; /* to give it to oneself is no new term */
  return answer(FINE, held->token, held->token);
}

/* ---- guarded tables ------------------------------------------------------ */

int oracle_may_write(const World *world, int t, int task, Number token) {
  return oracle_lives(world, t, task, token, 0);
}

static int clashes(const Work *row, int id, const Work *neu, int new_id) {
  return row->there && (id == new_id || (neu->u != 0 && row->u == neu->u));
}

/* Would it displace a row of another resource? */
static int strays(const World *world, int t, const Work *neu, int new_id) {
  int id;
  for (id = 1; id <= IDS; id++) {
    const Work *row = &world->table[t].work[id];
    if (clashes(row, id, neu, new_id) && row->task != neu->task) return 1;
  }
  return 0;
}

/* Put the row there, in place of that of old_id (0: none). */
static Answer place(World *world, const Rules *rules, int t, int old_id,
                    int new_id, const Work *neu, Conflict conflict) {
  Work *work = world->table[t].work;
  int id;
  for (id = 1; id <= IDS; id++) {
    if (id == old_id || !clashes(&work[id], id, neu, new_id)) continue;
    if (conflict == IGNORES) return answer(FINE, 0, 0);
    if (conflict != REPLACES) return answer(CLASH, 0, 0);
    if (rules->recursive &&
        !oracle_may_write(world, t, work[id].task, work[id].token)) {
      return answer(UNGUARDED, 0, 0);
    }
  }
  for (id = 1; id <= IDS; id++) {
    if (clashes(&work[id], id, neu, new_id)) work[id].there = 0;
  }
  if (old_id != 0) work[old_id].there = 0;
  work[new_id] = *neu;
  work[new_id].there = 1;
  return answer(FINE, 1, 0);
}

Answer oracle_work_insert(World *world, const Rules *rules, int t, int id,
                          const Work *row, Conflict conflict,
                          const Work *upsert) {
  const Work *old = &world->table[t].work[id];
  int may = oracle_may_write(world, t, row->task, row->token);
  if (strays(world, t, row, id)) return answer(STRAY, 0, 0);
  if (!may && !rules->late) return answer(UNGUARDED, 0, 0);
  if (conflict == UPSERTS && old->there) {
    Work neu = *old;
    neu.token = upsert->token;
    neu.u = upsert->u;
    return oracle_work_change(world, rules, t, id, id, &neu, ABORTS);
  }
  if (!may) { /* it is seen once the row would be there */
    World after = *world;
    Answer a = place(&after, rules, t, 0, id, row, conflict);
    return a.outcome == FINE && a.value > 0 ? answer(UNGUARDED, 0, 0) : a;
  }
  return place(world, rules, t, 0, id, row, conflict);
}

Answer oracle_work_change(World *world, const Rules *rules, int t, int id,
                          int new_id, const Work *row, Conflict conflict) {
  const Work *old = &world->table[t].work[id];
  if (!old->there) return answer(FINE, 0, 0);
  if (row->task != old->task || strays(world, t, row, new_id)) {
    return answer(STRAY, 0, 0);
  }
  if (!oracle_may_write(world, t, row->task, row->token)) {
    return answer(UNGUARDED, 0, 0);
  }
  return place(world, rules, t, id, new_id, row, conflict);
}

Answer oracle_work_update(World *world, int t, int task, Number token) {
  World *w = world;
  Work *work = w->table[t].work;
  Number count = 0;
  int id;
  for (id = 1; id <= IDS; id++) {
    if (!work[id].there || (task >= 0 && work[id].task != task)) continue;
    if (!oracle_may_write(w, t, work[id].task,
                          token == -2 ? work[id].token : token)) {
      return answer(UNGUARDED, 0, 0);
    }
  }
  for (id = 1; id <= IDS; id++) {
    if (!work[id].there || (task >= 0 && work[id].task != task)) continue;
    if (token != -2) work[id].token = token;
    work[id].n++;
    count++;
  }
  return answer(FINE, count, 0);
}

Answer oracle_work_delete(World *world, int t, int id, int task) {
  Work *work = world->table[t].work;
  Number count = 0;
  int i;
  for (i = 1; i <= IDS; i++) {
    if (!work[i].there || (id != 0 && i != id)) continue;
    if (task >= 0 && work[i].task != task) continue;
    if (!oracle_may_write(world, t, work[i].task, work[i].token)) {
      return answer(UNGUARDED, 0, 0);
    }
  }
  for (i = 1; i <= IDS; i++) {
    if (!work[i].there || (id != 0 && i != id)) continue;
    if (task >= 0 && work[i].task != task) continue;
    work[i].there = 0;
    count++;
  }
  return answer(FINE, count, 0);
}
