/*
** The time of a decision, and what may be asked for.
*/
#include <string.h>

#include "core/utf8.h"
#include "lease/lease.h"

/* ---- checks -------------------------------------------------------------- */

/* Not before the high-water mark. */
int lease_now_forward(HfLease *lease, sqlite3_int64 *now, HfError *err) {
  if ((lease->mark_known || lease_mark(lease, err) == SQLITE_OK) &&
      *now < lease->mark_now) {
    *now = lease->mark_now;
  }
  return err->rc;
}

int lease_now(HfLease *lease, sqlite3_value *given, sqlite3_int64 *now,
              HfError *err) {
  if (given == NULL || sqlite3_value_type(given) == SQLITE_NULL) {
    return hf_clock_now(lease->vfs, now, err) == SQLITE_OK
               ? lease_now_forward(lease, now, err)
               : err->rc;
  }
  if (!lease->options.clock_caller) {
    return hf_fail(err, SQLITE_ERROR,
                   "lease %s: it reads the clock itself; clock='caller' takes "
                   "a given time",
                   lease->name);
  }
  if (!hf_value_whole(given, now) || *now < 0 || *now > LEASE_TIME_MAX) {
    return hf_fail(err, SQLITE_ERROR,
                   "lease %s: now must be an INTEGER, milliseconds since 1970, "
                   "at most %lld",
                   lease->name, LEASE_TIME_MAX);
  }
  return lease_now_forward(lease, now, err);
}

int lease_check_name(HfLease *lease, const char *what, sqlite3_value *value,
                     HfError *err) {
  size_t size;
  const char *text;
  if (sqlite3_value_type(value) == SQLITE_TEXT) {
    text = hf_value_text(value, &size);
    if (text == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
    if (size > 0 && size <= LEASE_NAME_MAX && memchr(text, 0, size) == NULL &&
        hf_utf8_is(text, size)) {
      return SQLITE_OK;
    }
  }
  return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                 "lease %s: the %s must be TEXT of 1 to %d bytes of UTF-8 "
                 "without NUL",
                 lease->name, what, LEASE_NAME_MAX);
}

int lease_check_detail(HfLease *lease, sqlite3_value *value, HfError *err) {
  size_t size;
  const char *text;
  int type = value == NULL ? SQLITE_NULL : sqlite3_value_type(value);
  if (type == SQLITE_NULL) return SQLITE_OK;
  if (type == SQLITE_TEXT) {
    text = hf_value_text(value, &size);
    if (text == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
    if (size <= LEASE_DETAIL_MAX && memchr(text, 0, size) == NULL &&
        hf_utf8_is(text, size)) {
      return SQLITE_OK;
    }
  }
  return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                 "lease %s: the detail must be NULL, or TEXT of up to %d bytes "
                 "of UTF-8 without NUL",
                 lease->name, LEASE_DETAIL_MAX);
}

int lease_check_ttl(HfLease *lease, sqlite3_value *value, sqlite3_int64 *ttl,
                    HfError *err) {
  *ttl = lease->options.ttl_ms;
  if (value == NULL || sqlite3_value_type(value) == SQLITE_NULL) {
    return SQLITE_OK;
  }
  if (hf_value_whole(value, ttl) && *ttl >= 1 &&
      *ttl <= lease->options.max_ttl_ms) {
    return SQLITE_OK;
  }
  return hf_fail(err, SQLITE_CONSTRAINT_VTAB,
                 "lease %s: ttl_ms must be an INTEGER from 1 to %lld, its "
                 "max_ttl_ms",
                 lease->name, lease->options.max_ttl_ms);
}
