/*
** Denials of the walls.
**
** The error that refuses an INSERT undoes whatever was written with it.  So
** these denials are kept in memory, and enter the history with the
** connection's next commit in which its lease table takes part: in xSync, or
** in the transaction of a door.
*/
#include <string.h>

#include "lease/lease.h"

/* So many are kept one by one; those beyond it are counted in the last. */
#define DENIAL_MAX 1000

typedef struct HfDenial {
  struct HfDenial *next;
  char *schema; /* of the lease table */
  char *name;
  Lease row; /* the holder is who wanted it */
  char *detail;
  sqlite3_int64 at;
  sqlite3_int64 more; /* that are counted here */
  int written;        /* in the transaction that is open */
} HfDenial;

static void denial_free(HfDenial *denial) {
  lease_clear(&denial->row);
  sqlite3_free(denial->schema);
  sqlite3_free(denial->name);
  sqlite3_free(denial->detail);
  sqlite3_free(denial);
}

static void denial_free_all(HfDenial *denial) {
  while (denial != NULL) {
    HfDenial *next = denial->next;
    denial_free(denial);
    denial = next;
  }
}

static int denial_is_of(const HfDenial *denial, const HfLease *lease) {
  return sqlite3_stricmp(denial->schema, lease->schema) == 0 &&
         sqlite3_stricmp(denial->name, lease->name) == 0;
}

void lease_deny(HfLease *lease, const Lease *row, sqlite3_value *holder,
                sqlite3_int64 now) {
  HfError err = {SQLITE_OK, NULL};
  HfDenial **link = &lease->conn->denials, *last = NULL, *denial;
  int count = 0;
  for (; *link != NULL; link = &(*link)->next) {
    if (!denial_is_of(*link, lease)) continue;
    last = *link;
    count++;
  }
  if (count >= DENIAL_MAX && last != NULL) {
    last->more++;
    return;
  }
  denial = sqlite3_malloc64(sizeof(*denial));
  if (denial == NULL) return; /* the refusal itself matters more */
  memset(denial, 0, sizeof(*denial));
  denial->schema = hf_format(&err, "%s", lease->schema);
  denial->name = hf_format(&err, "%s", lease->name);
  denial->row.resource = hf_format(&err, "%s", row->resource);
  denial->row.holder = hf_format(&err, "%s", sqlite3_value_text(holder));
  denial->row.token = row->token;
  denial->detail = hf_format(&err, "%s", row->holder);
  denial->at = now;
  if (err.rc != SQLITE_OK) {
    hf_error_clear(&err);
    denial_free(denial);
    return;
  }
  *link = denial;
  lease->conn->denials_free = denial_free_all;
}

int lease_denials_write(HfLease *lease, HfError *err) {
  HfDenial *denial;
  for (denial = lease->conn->denials; denial != NULL && err->rc == SQLITE_OK;
       denial = denial->next) {
    char *detail;
    if (denial->written || !denial_is_of(denial, lease)) continue;
    detail =
        denial->more
            ? hf_format(err, "%s; and %lld more denials of this connection",
                        denial->detail, denial->more)
            : hf_format(err, "%s", denial->detail);
    if (detail != NULL) {
      lease_contended(lease, denial->at, &denial->row, detail, err);
      /* One that a trigger refuses is not tried again. */
      denial->written =
          err->rc == SQLITE_OK || (err->rc & 0xff) == SQLITE_CONSTRAINT;
    }
    sqlite3_free(detail);
  }
  return err->rc;
}

void lease_denials_settle(HfLease *lease, int committed) {
  HfDenial **link = &lease->conn->denials;
  while (*link != NULL) {
    HfDenial *denial = *link;
    if (denial->written && committed && denial_is_of(denial, lease)) {
      *link = denial->next;
      denial_free(denial);
      continue;
    }
    if (denial_is_of(denial, lease)) denial->written = 0;
    link = &denial->next;
  }
}

void lease_denials_rename(const HfLease *lease, const char *to) {
  HfDenial *denial;
  for (denial = lease->conn->denials; denial != NULL; denial = denial->next) {
    char *name = denial_is_of(denial, lease) ? sqlite3_mprintf("%s", to) : NULL;
    if (name == NULL) continue;
    sqlite3_free(denial->name);
    denial->name = name;
  }
}

int lease_denials_pending(const HfLease *lease) {
  const HfDenial *denial;
  for (denial = lease->conn->denials; denial != NULL; denial = denial->next) {
    if (!denial->written && denial_is_of(denial, lease)) return 1;
  }
  return 0;
}
