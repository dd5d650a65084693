/*
** At which time an UPDATE or DELETE of a lease table decides: that at which it
** found the row.
**
** xUpdate is told a rowid and not by which cursor it was found; and with
** clock='caller' a statement can look at several times, one a cursor.  So the
** time of each rowid that a cursor gives away is kept, until no cursor is left
** open.  Only the table that is written need give rowids away, so a subquery at
** another time is in nobody's way; where one gives away the same rowid the
** statement is refused, for its meaning would be a guess.
*/
#include <string.h>

#include "lease/lease.h"

#define FOUND_LEAST 64 /* places; a power of two, as all their numbers */

/* The place of a token, or the empty one where it belongs. */
static LeaseFound *found_place(LeaseFound *place, size_t room,
                               sqlite3_int64 token) {
  size_t i = (size_t)token & (room - 1);
  while (place[i].token != 0 && place[i].token != token) {
    i = (i + 1) & (room - 1);
  }
  return &place[i];
}

static int found_grow(LeaseTimes *times) {
  size_t room = times->room ? 2 * times->room : FOUND_LEAST, i;
  LeaseFound *place = sqlite3_malloc64(room * sizeof(*place));
  if (place == NULL) return SQLITE_NOMEM;
  memset(place, 0, room * sizeof(*place));
  for (i = 0; i < times->room; i++) {
    const LeaseFound *old = &times->place[i];
    if (old->token != 0) *found_place(place, room, old->token) = *old;
  }
  sqlite3_free(times->place);
  times->place = place;
  times->room = room;
  return SQLITE_OK;
}

void lease_times_clear(LeaseTimes *times) {
  sqlite3_free(times->place);
  times->place = NULL;
  times->room = times->count = 0;
}

int lease_times_add(HfLease *lease, sqlite3_int64 token, sqlite3_int64 now,
                    int given) {
  LeaseTimes *times = &lease->times;
  LeaseFound *found;
  if (2 * times->count >= times->room && found_grow(times) != SQLITE_OK) {
    return SQLITE_NOMEM;
  }
  found = found_place(times->place, times->room, token);
  if (found->token == 0) {
    times->count++;
    *found = (LeaseFound){token, now, now, given};
  } else {
    found->other = now;
    found->given |= given;
  }
  return SQLITE_OK;
}

int lease_time_again(HfLease *lease, sqlite3_int64 token, sqlite3_value *value,
                     sqlite3_int64 *now, HfError *err) {
  static const LeaseFound nothing = {0, 1, 0, 0};
  const LeaseTimes *times = &lease->times;
  const LeaseFound *found =
      times->room ? found_place(times->place, times->room, token) : &nothing;
  if (found->given && found->now != found->other) {
    return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                   "lease %s: the statement finds token %lld at two times, "
                   "%lld and %lld; give one now",
                   lease->name, token, found->now, found->other);
  }
  if (value != NULL && !sqlite3_value_nochange(value) &&
      (sqlite3_value_type(value) != SQLITE_INTEGER ||
       sqlite3_value_int64(value) < found->now ||
       sqlite3_value_int64(value) > found->other)) {
    return lease_now(lease, value, now, err);
  }
  if (!found->given) return lease_now(lease, NULL, now, err);
  *now = found->now;
  return lease_now_forward(lease, now, err);
}
