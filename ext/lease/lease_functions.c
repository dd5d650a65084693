/*
** The doors of the lease module: functions that return a verdict where the
** virtual table raises an error.
**
**   lease_acquire(l, resource, holder [, ttl_ms [, wait_ms [, now]]])
**   lease_renew(l, resource, token [, ttl_ms [, now]])
**   lease_release(l, resource, token [, now])
**   lease_release_all(l, holder [, now])
**   lease_holds(l, resource, token [, now])
**   lease_steal(l, resource, expected_token, actor, why [, now])
**   lease_transfer(l, resource, token, new_holder [, now])
**
** now: INTEGER, milliseconds since 1970, for tables of clock='caller' only.
*/
#include <string.h>

#include "lease/lease.h"

/* An argument, or NULL when it is left out. */
static sqlite3_value *door_argument(int argc, sqlite3_value **argv, int i) {
  return i < argc ? argv[i] : NULL;
}

/* What most of the doors need: the lease table, a transaction, the time. */
typedef struct Door {
  const char *name;
  LeasePin pin;
  HfTxn txn;
  int begun;
  sqlite3_int64 now;
  sqlite3_int64 rowid; /* last_insert_rowid(), which a door leaves as it is */
  HfError err;
} Door;

/* Write what the walls have denied: here, when the transaction is our own, else
** let the table take part in the one that is open, and write it at its end. */
static void door_denials(Door *door) {
  HfLease *lease = door->pin.lease;
  if (!lease_denials_pending(lease)) return;
  if (door->txn == HF_TXN_OWN) {
    lease_denials_write(lease, &door->err);
  } else {
    hf_exec(lease->db, &door->err, "DELETE FROM \"%w\".\"%w\" WHERE 0",
            lease->schema, lease->name);
  }
}

/* Find the lease table; begin, if it is to be written. */
static int door_begin(Door *door, HfConn *conn, const char *name,
                      sqlite3_value *table, int writes) {
  if (door->name == NULL) {
    door->name = name;
    door->rowid = sqlite3_last_insert_rowid(conn->db);
  }
  if (!lease_pin_known(conn, table, &door->pin) &&
      lease_pin(conn, name, table, &door->pin, &door->err) == SQLITE_OK) {
    door->pin.lease->known = 1;
  }
  if (door->err.rc == SQLITE_OK && writes && !door->begun) {
    HfLease *lease = door->pin.lease;
    if (hf_txn_begin_kept(conn->db, &lease->txn, lease->schema, name,
                          &door->txn, &door->err) == SQLITE_OK) {
      door->begun = 1;
    }
  }
  return door->err.rc;
}

/* Read the high-water mark.  When its statement had to be prepared again, the
** schema has changed, and the name may mean another table. */
static int door_mark(Door *door, HfConn *conn, sqlite3_value *table,
                     int writes) {
  int i;
  for (i = 0; i < 3 && door->err.rc == SQLITE_OK; i++) {
    if (i > 0) {
      lease_unpin(&door->pin);
      if (door_begin(door, conn, door->name, table, writes) != SQLITE_OK) break;
    }
    if (lease_mark(door->pin.lease, &door->err) != SQLITE_OK ||
        door->pin.lease->known) {
      break;
    }
  }
  return door->err.rc;
}

/* The rest of what a decision needs: the mark, the time. */
static int door_time(Door *door, HfConn *conn, sqlite3_value *table,
                     sqlite3_value *now) {
  if (door_mark(door, conn, table, 1) == SQLITE_OK) {
    door_denials(door);
    lease_now(door->pin.lease, now, &door->now, &door->err);
  }
  return door->err.rc;
}

static int door_open(Door *door, HfConn *conn, const char *name,
                     sqlite3_value *table, sqlite3_value *now) {
  memset(door, 0, sizeof(*door));
  if (door_begin(door, conn, name, table, 1) == SQLITE_OK) {
    door_time(door, conn, table, now);
  }
  return door->err.rc;
}

/* May it be decided by what is remembered?  Then door->now is the time. */
static int door_fresh(Door *door, sqlite3_value *now) {
  HfLease *lease = door->pin.lease;
  HfError err = {SQLITE_OK, NULL};
  if (lease_denials_pending(lease) || !lease_is_fresh(lease)) return 0;
  lease->mark_known = 1;
  if (lease_now(lease, now, &door->now, &err) == SQLITE_OK) return 1;
  hf_error_clear(&err); /* it is found again */
  return 0;
}

/* End the transaction; returns 0 with the error raised if there is one. */
static int door_close(Door *door, sqlite3_context *context) {
  HfLease *lease = door->pin.lease;
  if (door->begun) {
    hf_txn_end_kept(sqlite3_context_db_handle(context),
                    lease ? &lease->txn : NULL, door->txn, &door->err);
    if (door->txn == HF_TXN_OWN && lease != NULL) {
      lease_denials_settle(lease, door->err.rc == SQLITE_OK);
      if (door->err.rc == SQLITE_OK) lease_fresh_note(lease);
    }
    sqlite3_set_last_insert_rowid(sqlite3_context_db_handle(context),
                                  door->rowid);
  }
  lease_unpin(&door->pin);
  if (door->err.rc == SQLITE_OK) return 1;
  hf_error_to_result(&door->err, context);
  return 0;
}

/* The row of a token, if that is of this resource; else row->there is 0. */
static int door_read(Door *door, sqlite3_value *resource, sqlite3_value *token,
                     Lease *row) {
  HfLease *lease = door->pin.lease;
  sqlite3_int64 number = 0;
  memset(row, 0, sizeof(*row));
  if (!hf_value_whole(token, &number)) {
    return hf_fail(&door->err, SQLITE_ERROR, "%s: the token must be an INTEGER",
                   door->name);
  }
  if (lease_check_name(lease, "resource", resource, &door->err) != SQLITE_OK ||
      lease_read_resource(lease, resource, row, &door->err) != SQLITE_OK) {
    return door->err.rc;
  }
  if (row->token != number) lease_clear(row);
  return SQLITE_OK;
}

/* The same by what is remembered; returns 0 if that is not enough. */
static int door_guess(Door *door, sqlite3_value *resource, sqlite3_value *token,
                      sqlite3_value *now, Lease *row) {
  sqlite3_int64 number;
  return door_fresh(door, now) && hf_value_whole(token, &number) &&
         lease_guess(door->pin.lease, resource, number, door->now, row);
}

/* ---- lease_acquire ------------------------------------------------------- */

/* Check what was asked for. */
static int acquire_check(Door *door, LeaseRequest *request,
                         sqlite3_value *ttl) {
  HfLease *lease = door->pin.lease;
  if (lease_check_name(lease, "resource", request->resource, &door->err) ==
          SQLITE_OK &&
      lease_check_name(lease, "holder", request->holder, &door->err) ==
          SQLITE_OK) {
    lease_check_ttl(lease, ttl, &request->ttl, &door->err);
  }
  request->now = door->now;
  return door->err.rc;
}

/* One attempt.  *token: 0 when it is refused; *left: then how long at most it
** need be, ms.  told: that it was contended has been recorded. */
static int acquire_once(sqlite3_context *context, int argc,
                        sqlite3_value **argv, int record, sqlite3_int64 *token,
                        sqlite3_int64 *left) {
  HfConn *conn = sqlite3_user_data(context);
  LeaseRequest request = {argv[1], argv[2], NULL, 0, 0};
  LeaseVerdict verdict = LEASE_LOST;
  Lease row;
  Door door;
  *token = 0;
  memset(&row, 0, sizeof(row));
  memset(&door, 0, sizeof(door));
  if (door_begin(&door, conn, "lease_acquire", argv[0], 1) == SQLITE_OK) {
    sqlite3_value *now = door_argument(argc, argv, 5);
    sqlite3_value *ttl = door_argument(argc, argv, 3);
    if (door_fresh(&door, now) &&
        acquire_check(&door, &request, ttl) == SQLITE_OK &&
        lease_decide_free(door.pin.lease, &request, &row, &door.err)) {
      verdict = LEASE_GRANTED;
      *token = row.token;
    } else if (door_time(&door, conn, argv[0], now) == SQLITE_OK &&
               acquire_check(&door, &request, ttl) == SQLITE_OK &&
               lease_decide_acquire(door.pin.lease, &request, &verdict, &row,
                                    &door.err) == SQLITE_OK) {
      HfLease *lease = door.pin.lease;
      if (verdict == LEASE_GRANTED) *token = row.token;
      *left = row.expires_at - door.now;
      if (verdict == LEASE_DELAYED) *left += lease->options.lock_delay_ms;
      if ((verdict == LEASE_HELD || verdict == LEASE_DELAYED) && record) {
        /* Who wanted it, and in detail who has it. */
        char *has = row.holder;
        row.holder = hf_format(&door.err, "%s", sqlite3_value_text(argv[2]));
        lease_contended(lease, door.now, &row, has, &door.err);
        sqlite3_free(has);
      }
    }
  }
  if (door.err.rc == SQLITE_OK && verdict == LEASE_GRANTED) {
    lease_saw_move(door.pin.lease, &row);
  }
  lease_clear(&row);
  return door_close(&door, context);
}

/*
** lease_acquire(l, resource, holder [, ttl_ms [, wait_ms [, now]]])
**
** Returns the fencing token, INTEGER; NULL when another holder has the
** resource, or this one may not renew it again.  wait_ms: how long to try
** again, INTEGER, outside a transaction only.  Errors: bad arguments; inside a
** statement that writes; SQLITE_BUSY as it is; SQLITE_INTERRUPT.
*/
static void door_acquire(sqlite3_context *context, int argc,
                         sqlite3_value **argv) {
  sqlite3 *db = sqlite3_context_db_handle(context);
  sqlite3_int64 token, left = 0, wait = 0, pause = 1;
  uint32_t random;
  if (argc > 4 && sqlite3_value_type(argv[4]) != SQLITE_NULL) {
    if (!hf_value_whole(argv[4], &wait) || wait < 0 || wait > LEASE_TTL_MAX) {
      char *words = sqlite3_mprintf(
          "lease_acquire: wait_ms must be an INTEGER of milliseconds, from 0 "
          "to %lld",
          LEASE_TTL_MAX);
      if (words == NULL) {
        sqlite3_result_error_nomem(context);
      } else {
        sqlite3_result_error(context, words, -1);
      }
      sqlite3_free(words);
      return;
    }
    if (wait > 0 && !sqlite3_get_autocommit(db)) {
      sqlite3_result_error(context,
                           "lease_acquire: it waits only outside a "
                           "transaction, for nobody could release the lease "
                           "meanwhile",
                           -1);
      return;
    }
  }
  for (;;) {
    int slept;
    if (!acquire_once(context, argc, argv, wait <= 0, &token, &left)) return;
    if (token != 0) {
      sqlite3_result_int64(context, token);
      return;
    }
    if (wait <= 0) return;
    /* Longer and longer, up to a tenth of a second, and never all at once. */
    sqlite3_randomness(sizeof(random), &random);
    slept = 1 + (int)(random % (uint32_t)pause);
    if (slept > wait) slept = (int)wait;
    if (left > 0 && slept > left) slept = (int)left;
    sqlite3_sleep(slept);
    wait -= slept;
    if (pause < 100) pause *= 2;
  }
}

/* ---- the others ---------------------------------------------------------- */

/*
** lease_renew(l, resource, token [, ttl_ms [, now]])
**
** Returns the new expires_at, INTEGER; NULL when the token does not hold the
** resource any more, or may not be renewed again.
*/
static void door_renew(sqlite3_context *context, int argc,
                       sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  sqlite3_value *now = door_argument(argc, argv, 4);
  sqlite3_value *want = door_argument(argc, argv, 3);
  LeaseVerdict verdict = LEASE_LOST;
  sqlite3_int64 ttl;
  Lease row;
  Door door;
  memset(&row, 0, sizeof(row));
  memset(&door, 0, sizeof(door));
  if (door_begin(&door, conn, "lease_renew", argv[0], 1) == SQLITE_OK &&
      door_guess(&door, argv[1], argv[2], now, &row) &&
      lease_check_ttl(door.pin.lease, want, &ttl, &door.err) == SQLITE_OK) {
    lease_decide_renew(door.pin.lease, &row, ttl, door.now, NULL, &verdict,
                       &door.err);
  }
  if (door.err.rc == SQLITE_OK && verdict != LEASE_GRANTED) {
    lease_clear(&row);
    if (door_time(&door, conn, argv[0], now) == SQLITE_OK &&
        lease_check_ttl(door.pin.lease, want, &ttl, &door.err) == SQLITE_OK &&
        door_read(&door, argv[1], argv[2], &row) == SQLITE_OK && row.there) {
      lease_decide_renew(door.pin.lease, &row, ttl, door.now, NULL, &verdict,
                         &door.err);
    }
  }
  if (door.err.rc == SQLITE_OK && verdict == LEASE_GRANTED) {
    sqlite3_result_int64(context, row.expires_at);
    lease_saw_move(door.pin.lease, &row);
  }
  door_close(&door, context);
  lease_clear(&row);
}

/*
** lease_release(l, resource, token [, now])
**
** Returns 1, or 0 when the token does not hold the resource any more.
*/
static void door_release(sqlite3_context *context, int argc,
                         sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  sqlite3_value *now = door_argument(argc, argv, 3);
  LeaseVerdict verdict = LEASE_LOST;
  Lease row;
  Door door;
  memset(&row, 0, sizeof(row));
  memset(&door, 0, sizeof(door));
  if (door_begin(&door, conn, "lease_release", argv[0], 1) == SQLITE_OK &&
      door_guess(&door, argv[1], argv[2], now, &row)) {
    lease_decide_release(door.pin.lease, &row, door.now, &verdict, &door.err);
  }
  if (door.err.rc == SQLITE_OK && verdict != LEASE_GRANTED) {
    lease_clear(&row);
    if (door_time(&door, conn, argv[0], now) == SQLITE_OK &&
        door_read(&door, argv[1], argv[2], &row) == SQLITE_OK && row.there) {
      lease_decide_release(door.pin.lease, &row, door.now, &verdict, &door.err);
    }
  }
  lease_clear(&row);
  if (door_close(&door, context)) {
    sqlite3_result_int(context, verdict == LEASE_GRANTED);
  }
}

/* Release the live leases that this holder has now; returns how many. */
static sqlite3_int64 release_list(Door *door, sqlite3_value *holder) {
  HfLease *lease = door->pin.lease;
  LeaseList list = {NULL, NULL, 0, 0};
  sqlite3_int64 count = 0;
  sqlite3_stmt *stmt;
  size_t i;
  if (hf_prepare(lease->db, &stmt, &door->err,
                 "SELECT token, resource FROM \"%w\".\"%w_held\""
                 " WHERE holder = ?1 AND expires_at > ?2 ORDER BY token",
                 lease->schema, lease->name) == SQLITE_OK) {
    sqlite3_bind_value(stmt, 1, holder);
    sqlite3_bind_int64(stmt, 2, door->now);
    lease_list_read(lease, stmt, &list, &door->err);
    sqlite3_finalize(stmt);
  }
  for (i = 0; i < list.count && door->err.rc == SQLITE_OK; i++) {
    LeaseVerdict verdict;
    Lease row;
    /* A trigger may have released or granted it meanwhile. */
    if (lease_read_text(lease, list.resource[i], &row, &door->err) ==
            SQLITE_OK &&
        row.token == list.token[i] &&
        lease_decide_release(lease, &row, door->now, &verdict, &door->err) ==
            SQLITE_OK) {
      count += verdict == LEASE_GRANTED;
    }
    lease_clear(&row);
  }
  lease_list_clear(&list);
  return count;
}

/*
** lease_release_all(l, holder [, now])
**
** Releases every lease of a holder.  Returns how many, INTEGER.
*/
static void door_release_all(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  sqlite3_int64 count = 0, some;
  Door door;
  if (door_open(&door, sqlite3_user_data(context), "lease_release_all", argv[0],
                door_argument(argc, argv, 2)) == SQLITE_OK &&
      lease_check_name(door.pin.lease, "holder", argv[1], &door.err) ==
          SQLITE_OK) {
    do {
      count += some = release_list(&door, argv[1]);
    } while (some > 0 && door.err.rc == SQLITE_OK);
  }
  if (door_close(&door, context)) sqlite3_result_int64(context, count);
}

/*
** lease_holds(l, resource, token [, now])
**
** Returns 1 if the token holds the resource now, else 0.  Reads only; works in
** triggers and WHERE clauses, in the caller's transaction.
*/
static void door_holds(sqlite3_context *context, int argc,
                       sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  int holds = 0;
  Lease row;
  Door door;
  memset(&row, 0, sizeof(row));
  memset(&door, 0, sizeof(door));
  if (sqlite3_value_type(argv[1]) == SQLITE_NULL ||
      sqlite3_value_type(argv[2]) == SQLITE_NULL) {
    sqlite3_result_int(context, 0);
    return;
  }
  if (door_begin(&door, conn, "lease_holds", argv[0], 0) == SQLITE_OK &&
      door_mark(&door, conn, argv[0], 0) == SQLITE_OK &&
      lease_now(door.pin.lease, door_argument(argc, argv, 3), &door.now,
                &door.err) == SQLITE_OK &&
      door_read(&door, argv[1], argv[2], &row) == SQLITE_OK) {
    holds = row.there && door.now < row.expires_at;
  }
  lease_clear(&row);
  if (door_close(&door, context)) sqlite3_result_int(context, holds);
}

/* Hand a live lease over.  why: NULL, or the reason. */
static void door_give(sqlite3_context *context, int argc, sqlite3_value **argv,
                      const char *function, const char *kind,
                      sqlite3_value *why, int now_at) {
  LeaseVerdict verdict = LEASE_LOST;
  sqlite3_int64 token = 0;
  Lease row;
  Door door;
  memset(&row, 0, sizeof(row));
  if (door_open(&door, sqlite3_user_data(context), function, argv[0],
                door_argument(argc, argv, now_at)) == SQLITE_OK &&
      lease_check_name(door.pin.lease, "holder", argv[3], &door.err) ==
          SQLITE_OK &&
      (why == NULL || lease_check_name(door.pin.lease, "reason", why,
                                       &door.err) == SQLITE_OK) &&
      door_read(&door, argv[1], argv[2], &row) == SQLITE_OK && row.there) {
    lease_decide_give(door.pin.lease, &row, kind, argv[3], why, door.now,
                      &verdict, &door.err);
    token = row.token;
  }
  lease_clear(&row);
  if (door_close(&door, context) && verdict == LEASE_GRANTED) {
    sqlite3_result_int64(context, token);
  }
}

/*
** lease_steal(l, resource, expected_token, actor, why [, now])
**
** Takes a live lease from its holder, for what time it has left: the actor
** holds it then.  Returns the new token; NULL when the expected one does not
** hold it.  Recorded, with the reason.
*/
static void door_steal(sqlite3_context *context, int argc,
                       sqlite3_value **argv) {
  door_give(context, argc, argv, "lease_steal", "stolen", argv[4], 5);
}

/*
** lease_transfer(l, resource, token, new_holder [, now])
**
** Gives a live lease to another holder, for what time it has left.  Returns the
** new token; NULL when the token does not hold it.  Recorded.
*/
static void door_transfer(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  door_give(context, argc, argv, "lease_transfer", "transferred", NULL, 4);
}

/*
** lease_deciding(id, token, time)
**
** For the triggers of the lease module's tables, not for users: 1 if the module
** is writing a row of this token and time on this connection right now.  It
** answers once for each write, so that no other trigger can write beside it.
*/
static void door_deciding(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  const HfConn *conn = sqlite3_user_data(context);
  HfDeciding *d = conn->deciding;
  int is = d != NULL && !d->told && d->id == sqlite3_value_int64(argv[0]) &&
           d->token == sqlite3_value_int64(argv[1]) &&
           d->time == sqlite3_value_int64(argv[2]);
  (void)argc;
  if (is) d->told = 1;
  sqlite3_result_int(context, is);
}

int lease_functions_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"lease_acquire", 3, HF_CHANGES, door_acquire},
      {"lease_acquire", 4, HF_CHANGES, door_acquire},
      {"lease_acquire", 5, HF_CHANGES, door_acquire},
      {"lease_acquire", 6, HF_CHANGES, door_acquire},
      {"lease_renew", 3, HF_CHANGES, door_renew},
      {"lease_renew", 4, HF_CHANGES, door_renew},
      {"lease_renew", 5, HF_CHANGES, door_renew},
      {"lease_release", 3, HF_CHANGES, door_release},
      {"lease_release", 4, HF_CHANGES, door_release},
      {"lease_release_all", 2, HF_CHANGES, door_release_all},
      {"lease_release_all", 3, HF_CHANGES, door_release_all},
      {"lease_holds", 3, HF_LOOKUP, door_holds},
      {"lease_holds", 4, HF_LOOKUP, door_holds},
      {"lease_steal", 5, HF_CHANGES, door_steal},
      {"lease_steal", 6, HF_CHANGES, door_steal},
      {"lease_transfer", 4, HF_CHANGES, door_transfer},
      {"lease_transfer", 5, HF_CHANGES, door_transfer},
      {"lease_deciding", 3, HF_LOOKUP, door_deciding},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
