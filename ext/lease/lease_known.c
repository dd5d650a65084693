/*
** What a connection remembers of leases: a guess that spares reading.
**
** Nothing is decided by it.  A decision on a row that is remembered compares
** all of the row and the time of the mark in the statement that writes, so it
** writes what reading would have made it write, or nothing.  And a resource
** that is remembered for a token is verified against the row that is read.
*/
#include <string.h>

#include "lease/lease.h"

static Lease *known_place(HfLease *lease, sqlite3_int64 token) {
  return &lease->saw[(sqlite3_uint64)token % LEASE_KNOWN];
}

void lease_saw_move(HfLease *lease, Lease *row) {
  Lease *place = known_place(lease, row->token);
  lease_clear(place);
  *place = *row;
  memset(row, 0, sizeof(*row));
}

void lease_saw(HfLease *lease, const Lease *row) {
  HfError err = {SQLITE_OK, NULL};
  Lease copy = *row;
  copy.resource = hf_format(&err, "%s", row->resource);
  copy.holder = hf_format(&err, "%s", row->holder);
  if (err.rc == SQLITE_OK) {
    lease_saw_move(lease, &copy);
  } else { /* then it is not remembered */
    lease_clear(&copy);
  }
  hf_error_clear(&err);
}

const char *lease_known_resource(const HfLease *lease, sqlite3_int64 token) {
  const Lease *place = &lease->saw[(sqlite3_uint64)token % LEASE_KNOWN];
  return place->there && place->token == token ? place->resource : NULL;
}

void lease_known_clear(HfLease *lease) {
  int i;
  for (i = 0; i < LEASE_KNOWN; i++) lease_clear(&lease->saw[i]);
  lease_list_clear(&lease->index);
}

/* ---- guesses ------------------------------------------------------------- */

/* It changes with each commit, of whichever connection. */
static int known_version(const HfLease *lease, unsigned *version) {
  return sqlite3_file_control(lease->db, lease->schema,
                              SQLITE_FCNTL_DATA_VERSION, version) == SQLITE_OK;
}

void lease_fresh_note(HfLease *lease) {
  if (!known_version(lease, &lease->version)) lease->version = 0;
}

int lease_is_fresh(const HfLease *lease) {
  unsigned version;
  return sqlite3_txn_state(lease->db, lease->schema) == SQLITE_TXN_WRITE &&
         known_version(lease, &version) && version == lease->version;
}

int lease_guess(HfLease *lease, sqlite3_value *resource, sqlite3_int64 token,
                sqlite3_int64 now, Lease *row) {
  Lease *place = known_place(lease, token);
  size_t size;
  const char *text;
  if (!place->there || place->token != token || now != lease->mark_now ||
      sqlite3_value_type(resource) != SQLITE_TEXT) {
    return 0;
  }
  text = hf_value_text(resource, &size);
  if (text == NULL || strlen(place->resource) != size ||
      memcmp(place->resource, text, size) != 0) {
    return 0;
  }
  /* A trigger may come to the same place meanwhile. */
  *row = *place;
  memset(place, 0, sizeof(*place));
  row->guessed = 1;
  return 1;
}

/* ---- from a token to its resource ---------------------------------------- */

void lease_list_clear(LeaseList *list) {
  size_t i;
  for (i = 0; i < list->count; i++) sqlite3_free(list->resource[i]);
  sqlite3_free(list->token);
  sqlite3_free(list->resource);
  memset(list, 0, sizeof(*list));
}

static int list_room(LeaseList *list, HfError *err) {
  size_t room = list->room ? list->room * 2 : 64;
  sqlite3_int64 *token;
  char **resource;
  if (list->count < list->room) return SQLITE_OK;
  token = sqlite3_realloc64(list->token, room * sizeof(*token));
  if (token == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  list->token = token;
  resource = sqlite3_realloc64(list->resource, room * sizeof(*resource));
  if (resource == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  list->resource = resource;
  list->room = room;
  return SQLITE_OK;
}

int lease_list_read(const HfLease *lease, sqlite3_stmt *stmt, LeaseList *list,
                    HfError *err) {
  int rc = SQLITE_ROW;
  memset(list, 0, sizeof(*list));
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    char *resource = hf_column_text(stmt, 1, err);
    if (resource == NULL || list_room(list, err) != SQLITE_OK) {
      sqlite3_free(resource);
      break;
    }
    list->token[list->count] = sqlite3_column_int64(stmt, 0);
    list->resource[list->count++] = resource;
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, lease->db);
  if (err->rc != SQLITE_OK) lease_list_clear(list);
  return err->rc;
}

static int index_make(HfLease *lease, HfError *err) {
  HfStmt stmt;
  lease_list_clear(&lease->index);
  if (lease_take(lease, LEASE_SQL_TOKENS, &stmt, err) != SQLITE_OK) {
    return err->rc;
  }
  lease_list_read(lease, stmt.p, &lease->index, err);
  lease_give(lease, LEASE_SQL_TOKENS, &stmt);
  return err->rc;
}

static const char *index_find(const LeaseList *index, sqlite3_int64 token) {
  size_t low = 0, high = index->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (index->token[middle] == token) return index->resource[middle];
    if (index->token[middle] < token) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return NULL;
}

/* Read the row of the resource, if there is one, and if it has this token. */
static int known_try(HfLease *lease, const char *resource, sqlite3_int64 token,
                     Lease *row, HfError *err) {
  if (resource != NULL &&
      lease_read_text(lease, resource, row, err) == SQLITE_OK &&
      row->token != token) {
    lease_clear(row);
  }
  return err->rc;
}

int lease_read_token(HfLease *lease, sqlite3_int64 token, Lease *row,
                     HfError *err) {
  memset(row, 0, sizeof(*row));
  known_try(lease, lease_known_resource(lease, token), token, row, err);
  if (err->rc == SQLITE_OK && !row->there) {
    known_try(lease, index_find(&lease->index, token), token, row, err);
  }
  if (err->rc == SQLITE_OK && !row->there &&
      index_make(lease, err) == SQLITE_OK) {
    known_try(lease, index_find(&lease->index, token), token, row, err);
  }
  return err->rc;
}
