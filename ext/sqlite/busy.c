/*
** busy_policy(policy [, timeout_ms]): how this connection waits for a lock.
**
** SQLite's own handler sleeps longer and longer, up to a tenth of a second; so
** who has waited for long looks least often, and newcomers overtake.  The fair
** one sleeps for a short random time, whoever waits: each of them has the same
** chance at every moment.
*/
#include <string.h>

#include "sqlite/hf.h"

/* Microseconds.  The least and the spread of a sleep; the spread grows with
** the time waited, so that a long wait costs little, but is bounded. */
#define BUSY_LEAST 20
#define BUSY_SPREAD 400
#define BUSY_SPREAD_MAX 3200

#define BUSY_TIMEOUT 5000 /* ms, when the connection has none */

static int busy_fair(void *pointer, int count) {
  HfBusy *busy = pointer;
  unsigned random, spread;
  if (count == 0) busy->waited = 0;
  if (busy->waited >= (sqlite3_int64)busy->timeout * 1000) return 0;
  spread = BUSY_SPREAD + (unsigned)(busy->waited / 100);
  if (spread > BUSY_SPREAD_MAX) spread = BUSY_SPREAD_MAX;
  sqlite3_randomness(sizeof(random), &random);
  /* As SQLite's own, it adds up what it asked for, and reads no clock, which
  ** could be set meanwhile. */
  busy->waited +=
      busy->vfs->xSleep(busy->vfs, (int)(BUSY_LEAST + random % spread));
  return 1;
}

/* The timeout of SQLite's own handler; 0 while another one is installed. */
static int busy_present(HfConn *conn, sqlite3_int64 *timeout, HfError *err) {
  return hf_query_int(conn->db, err, 0, timeout, "PRAGMA busy_timeout");
}

/* timeout: -1 when none was given; becomes the one in force. */
static int busy_fair_on(HfConn *conn, sqlite3_int64 *timeout, HfError *err) {
  sqlite3_int64 present;
  if (busy_present(conn, &present, err) != SQLITE_OK) return err->rc;
  if (!conn->busy.fair || present != 0) conn->busy.before = (int)present;
  if (*timeout < 0) {
    *timeout = conn->busy.before > 0 ? conn->busy.before : BUSY_TIMEOUT;
  }
  conn->busy.fair = 1;
  conn->busy.timeout = (int)*timeout;
  conn->busy.vfs = hf_clock_vfs(conn->db, "main");
  if (sqlite3_busy_handler(conn->db, busy_fair, &conn->busy) != SQLITE_OK) {
    hf_fail_db(err, conn->db);
  }
  return err->rc;
}

static int busy_fair_off(HfConn *conn, sqlite3_int64 *timeout, HfError *err) {
  sqlite3_int64 present;
  if (busy_present(conn, &present, err) != SQLITE_OK) return err->rc;
  if (*timeout < 0) {
    /* Where the application has set a timeout since then, that stays. */
    *timeout = conn->busy.fair && present == 0 ? conn->busy.before : present;
  }
  conn->busy.fair = 0;
  if (sqlite3_busy_timeout(conn->db, (int)*timeout) != SQLITE_OK) {
    hf_fail_db(err, conn->db);
  }
  return err->rc;
}

static int busy_is(sqlite3_value *value, const char *policy) {
  return sqlite3_value_type(value) == SQLITE_TEXT &&
         (size_t)sqlite3_value_bytes(value) == strlen(policy) &&
         sqlite3_strnicmp((const char *)sqlite3_value_text(value), policy,
                          (int)strlen(policy)) == 0;
}

/*
** busy_policy(policy [, timeout_ms])
**
** policy: 'fair', or 'default' for SQLite's own handler.  timeout_ms: INTEGER,
** after which a lock that is still held is SQLITE_BUSY; without it 'fair' takes
** the timeout that the connection has, or 5000 when it has none, and 'default'
** goes back to the one that was there.  Returns the timeout, INTEGER, as PRAGMA
** busy_timeout does.  It replaces a handler of the application's own.
*/
static void busy_policy(sqlite3_context *context, int argc,
                        sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 timeout = -1;
  if (argc > 1 && sqlite3_value_type(argv[1]) != SQLITE_NULL) {
    if (!hf_value_whole(argv[1], &timeout) || timeout < 0 ||
        timeout > INT32_MAX) {
      hf_fail(&err, SQLITE_ERROR,
              "busy_policy: timeout_ms must be an INTEGER of milliseconds, "
              "from 0 to %d",
              INT32_MAX);
    }
  }
  if (busy_is(argv[0], "fair")) {
    if (err.rc == SQLITE_OK) busy_fair_on(conn, &timeout, &err);
  } else if (busy_is(argv[0], "default")) {
    if (err.rc == SQLITE_OK) busy_fair_off(conn, &timeout, &err);
  } else {
    hf_fail(&err, SQLITE_ERROR,
            "busy_policy: the policy must be 'fair' or 'default'");
  }
  hf_result_integer(context, timeout, &err);
}

int hf_busy_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"busy_policy", 1, HF_CHANGES, busy_policy},
      {"busy_policy", 2, HF_CHANGES, busy_policy},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
