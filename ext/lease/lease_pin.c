/*
** Finding a lease table by its name, for the functions.
**
** Preparing a statement connects the table, and while the statement lives it
** stays so.  One that was found so is found again in the list of the connected
** ones, without a statement, as long as the schema does not change.
*/
#include <string.h>

#include "lease/lease.h"

int lease_pin_name(HfConn *conn, const char *schema, const char *name,
                   LeasePin *pin, HfError *err) {
  HfLease *lease;
  memset(pin, 0, sizeof(*pin));
  if (hf_prepare(conn->db, &pin->stmt, err, "SELECT 1 FROM \"%w\".\"%w\"",
                 schema, name) == SQLITE_OK) {
    for (lease = conn->leases; lease != NULL; lease = lease->next) {
      if (sqlite3_stricmp(lease->schema, schema) == 0 &&
          sqlite3_stricmp(lease->name, name) == 0) {
        pin->lease = lease;
        break;
      }
    }
  }
  if (pin->lease == NULL &&
      (err->rc == SQLITE_OK ||
       (err->message && strncmp(err->message, "no such table", 13) == 0))) {
    hf_error_clear(err);
    hf_fail(err, SQLITE_ERROR, "no such lease table: %s.%s", schema, name);
  }
  if (err->rc != SQLITE_OK) lease_unpin(pin);
  return err->rc;
}

int lease_pin(HfConn *conn, const char *function, sqlite3_value *value,
              LeasePin *pin, HfError *err) {
  int type = sqlite3_value_type(value); /* which the text of a BLOB changes */
  const char *text = (const char *)sqlite3_value_text(value);
  HfName name;
  memset(pin, 0, sizeof(*pin));
  if (text == NULL || type != SQLITE_TEXT) {
    return hf_fail(err, SQLITE_ERROR,
                   "%s: the name of the lease table is "
                   "missing",
                   function);
  }
  if (hf_name_split(conn->db, text, &name, err) != SQLITE_OK) return err->rc;
  lease_pin_name(conn, name.schema, name.name, pin, err);
  hf_name_clear(&name);
  return err->rc;
}

/* 'name' in main or 'schema.name', for names without a dot. */
static int pin_is(const HfLease *lease, const char *text) {
  size_t n = strlen(lease->schema);
  if (strchr(text, '.') == NULL) {
    return sqlite3_stricmp(lease->schema, "main") == 0 &&
           sqlite3_stricmp(lease->name, text) == 0;
  }
  return strchr(lease->schema, '.') == NULL &&
         sqlite3_strnicmp(lease->schema, text, (int)n) == 0 && text[n] == '.' &&
         sqlite3_stricmp(lease->name, text + n + 1) == 0;
}

int lease_pin_known(HfConn *conn, sqlite3_value *value, LeasePin *pin) {
  HfLease *lease = conn->leases;
  const char *text;
  memset(pin, 0, sizeof(*pin));
  if (sqlite3_value_type(value) != SQLITE_TEXT) return 0;
  text = (const char *)sqlite3_value_text(value);
  if (text == NULL) return 0;
  while (lease != NULL && !pin_is(lease, text)) lease = lease->next;
  if (lease == NULL || !lease->known) return 0;
  pin->lease = lease;
  lease->pins++;
  return 1;
}

void lease_unpin(LeasePin *pin) {
  if (pin->stmt != NULL) {
    sqlite3_finalize(pin->stmt);
  } else if (pin->lease != NULL && --pin->lease->pins == 0 &&
             pin->lease->gone) {
    lease_free(pin->lease);
  }
  memset(pin, 0, sizeof(*pin));
}
