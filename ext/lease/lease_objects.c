/*
** The tables and triggers behind a lease table.
**
**   <name>_held    a row a resource that is leased, or was until it expired
**   <name>_event   the history
**
** <name>_held is one b-tree, by the resource: each page that a decision writes
** costs about as much as its statements do.  Tokens need no index, for whoever
** has one has the resource as well, or nearly always (lease_known.c).
**
** Like a ledger's entry table, <name>_held is an ordinary table, on which users
** put policy triggers; its own triggers refuse every write that the module is
** not deciding right now.  They need the extension, so without it nobody
** writes.  The history is anybody's to read and to prune: nothing is decided
** by it.
*/
#include <string.h>

#include "core/siphash.h"
#include "lease/lease.h"

#define BEHIND_HELD \
  "\"%w_held\"(\n" \
  "  token INTEGER NOT NULL,\n" \
  "  resource TEXT PRIMARY KEY NOT NULL,\n" \
  "  holder TEXT NOT NULL,\n" \
  "  acquired_at INTEGER NOT NULL,\n" \
  "  expires_at INTEGER NOT NULL,\n" \
  "  renewals INTEGER NOT NULL,\n" \
  "  ttl_ms INTEGER NOT NULL,\n" \
  "  detail TEXT\n" \
  ") STRICT, WITHOUT ROWID"

#define BEHIND_EVENT \
  "\"%w_event\"(\n" \
  "  at INTEGER NOT NULL,\n" \
  "  kind TEXT NOT NULL,\n" \
  "  resource TEXT NOT NULL,\n" \
  "  holder TEXT NOT NULL,\n" \
  "  token INTEGER,\n" \
  "  held_ms INTEGER,\n" \
  "  detail TEXT\n" \
  ") STRICT"

static const char *const behind_verb[] = {"INSERT", "UPDATE", "DELETE"};
static const char *const behind_suffix[] = {"insert", "update", "delete"};

/* A trigger of the held table, from its name on. */
static char *behind_trigger(const char *name, sqlite3_int64 id, int which,
                            HfError *err) {
  const char *row = which == 2 ? "OLD" : "NEW";
  return hf_format(err,
                   "\"%w_held_%s\" BEFORE %s ON \"%w_held\"\n"
                   "WHEN lease_deciding(%lld, %s.token, %s.expires_at) IS NOT "
                   "1\n"
                   "BEGIN\n"
                   "  SELECT RAISE(ABORT, 'lease %q: leases are granted, "
                   "renewed and released through %q');\n"
                   "END",
                   name, behind_suffix[which], behind_verb[which], name, id,
                   row, row, name, name);
}

static int behind_create_triggers(HfLease *lease, const char *name,
                                  HfError *err) {
  int i;
  for (i = 0; i < 3 && err->rc == SQLITE_OK; i++) {
    char *sql = behind_trigger(name, lease->id, i, err);
    char *trigger = hf_format(err, "%s_held_%s", name, behind_suffix[i]);
    char *table = hf_format(err, "%s_held", name);
    hf_guard_create(lease->conn, lease->schema, trigger, table, "lease", sql,
                    err);
    sqlite3_free(sql);
    sqlite3_free(trigger);
    sqlite3_free(table);
  }
  return err->rc;
}

/* A time that callers give must expire no lease of the clock's: such a table
** has a mark of its own. */
sqlite3_int64 lease_mark_id(const HfLease *lease) {
  return lease->options.clock_caller ? lease->id : 1;
}

/* The rows of the marks, which stay when the lease table goes. */
int lease_objects_mark(HfLease *lease, sqlite3_int64 id, HfError *err) {
  return hf_exec(lease->db, err,
                 "INSERT INTO \"%w\".lease_high_water(id, token, now)"
                 " SELECT %lld, 0, 0 WHERE NOT EXISTS"
                 " (SELECT 1 FROM \"%w\".lease_high_water WHERE id = %lld)",
                 lease->schema, id, lease->schema, id);
}

/* A mark that begins anew must not be below the tokens that are held. */
static int behind_no_tokens(HfConn *conn, const char *schema, const char *name,
                            HfFindings *list, HfError *err) {
  sqlite3_int64 token = 0;
  (void)list;
  hf_query_int(conn->db, err, 0, &token,
               "SELECT max(token) FROM \"%w\".\"%w_held\"", schema, name);
  if (err->rc == SQLITE_ERROR) hf_error_clear(err);
  if (token > 0) {
    hf_fail(err, SQLITE_CORRUPT_VTAB,
            "lease_high_water is missing, but %s has granted token %lld; "
            "restore it, lest tokens be given twice",
            name, token);
  }
  return err->rc;
}

int lease_objects_create(HfLease *lease, HfError *err) {
  LeaseGuardKept *kept = NULL;
  sqlite3_int64 marks = 0;
  hf_install_into(lease->conn, lease->schema, "lease", err);
  hf_query_int(lease->db, err, 0, &marks,
               "SELECT count(*) FROM \"%w\".lease_high_water", lease->schema);
  if (marks == 0 && err->rc == SQLITE_OK) {
    hf_check_virtual(lease->conn, lease->schema, "lease", behind_no_tokens,
                     NULL, err);
  }
  lease_objects_mark(lease, 1, err);
  lease_objects_mark(lease, lease_mark_id(lease), err);
  hf_exec(lease->db, err, "CREATE TABLE \"%w\"." BEHIND_HELD, lease->schema,
          lease->name);
  hf_exec(lease->db, err, "CREATE TABLE \"%w\"." BEHIND_EVENT, lease->schema,
          lease->name);
  behind_create_triggers(lease, lease->name, err);
  /* Guards of a table of that name before: for the clock of this one. */
  lease_guards_take(lease, &kept, err);
  return lease_guards_give(lease, lease->name, kept, err);
}

int lease_objects_drop(HfLease *lease, HfError *err) {
  char *held = hf_format(err, "%s_held", lease->name);
  hf_exec(lease->db, err, "DROP TABLE IF EXISTS \"%w\".\"%w_held\"",
          lease->schema, lease->name);
  hf_exec(lease->db, err, "DROP TABLE IF EXISTS \"%w\".\"%w_event\"",
          lease->schema, lease->name);
  if (held != NULL) {
    hf_guard_forget(lease->conn, lease->schema, held, NULL, err);
  }
  sqlite3_free(held);
  return err->rc;
}

int lease_objects_rename(HfLease *lease, const char *to, HfError *err) {
  LeaseGuardKept *kept;
  int i;
  lease_guards_take(lease, &kept, err);
  for (i = 0; i < 3 && err->rc == SQLITE_OK; i++) {
    char *trigger = hf_format(err, "%s_held_%s", lease->name, behind_suffix[i]);
    hf_guard_drop(lease->conn, lease->schema, trigger, NULL, err);
    sqlite3_free(trigger);
  }
  hf_exec(lease->db, err,
          "ALTER TABLE \"%w\".\"%w_held\" RENAME TO \"%w_held\"", lease->schema,
          lease->name, to);
  hf_exec(lease->db, err,
          "ALTER TABLE \"%w\".\"%w_event\" RENAME TO \"%w_event\"",
          lease->schema, lease->name, to);
  if (err->rc == SQLITE_OK) lease_mark_move(lease, lease_id(to), err);
  lease_denials_rename(lease, to);
  lease->id = lease_id(to);
  behind_create_triggers(lease, to, err);
  return lease_guards_give(lease, to, kept, err);
}

/* ---- the doctor ---------------------------------------------------------- */

static int behind_check_table(HfLease *lease, const char *suffix,
                              const char *wanted, HfFindings *list,
                              HfError *err) {
  char *name = hf_format(err, "%s_%s", lease->name, suffix), *sql = NULL;
  if (name != NULL &&
      hf_query_text(lease->db, err, &sql,
                    "SELECT sql FROM \"%w\".sqlite_schema WHERE name = %Q",
                    lease->schema, name) == SQLITE_OK &&
      (sql == NULL || strcmp(sql, wanted) != 0) &&
      hf_findings_add(list, "config_altered", name,
                      sql ? "it is not the table that was made with %s; "
                            "restore it"
                          : "the table behind %s is missing; restore it",
                      lease->name) != SQLITE_OK) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
  sqlite3_free(sql);
  sqlite3_free(name);
  return err->rc;
}

static int behind_check_trigger(HfLease *lease, int which, HfFindings *list,
                                HfError *err) {
  char *name = hf_format(err, "%s_held_%s", lease->name, behind_suffix[which]);
  char *wanted = behind_trigger(lease->name, lease->id, which, err);
  int is = 1, rc = SQLITE_OK;
  if (err->rc == SQLITE_OK) {
    is = hf_guard_compare(lease->conn, lease->schema, name, wanted, err);
  }
  if (err->rc == SQLITE_OK && is == 0) {
    rc = hf_findings_add(list, "guard_missing", name,
                         "nothing refuses a direct %s of leases; restore it",
                         behind_verb[which]);
  } else if (err->rc == SQLITE_OK && is < 0) {
    rc = hf_findings_add(list, "guard_altered", name,
                         "it is not the one that was made with %s; restore "
                         "it",
                         lease->name);
  }
  if (rc != SQLITE_OK) hf_fail(err, rc, NULL);
  sqlite3_free(name);
  sqlite3_free(wanted);
  return err->rc;
}

int lease_objects_check(HfLease *lease, HfFindings *list, HfError *err) {
  char *held = hf_format(err, "CREATE TABLE " BEHIND_HELD, lease->name);
  char *event = hf_format(err, "CREATE TABLE " BEHIND_EVENT, lease->name);
  int i;
  if (err->rc == SQLITE_OK) {
    behind_check_table(lease, "held", held, list, err);
    behind_check_table(lease, "event", event, list, err);
    for (i = 0; i < 3; i++) behind_check_trigger(lease, i, list, err);
  }
  sqlite3_free(held);
  sqlite3_free(event);
  return err->rc;
}

/* The number by which a lease table and its triggers know each other: from its
** name, so that equal statements give equal files. */
sqlite3_int64 lease_id(const char *name) {
  static const uint64_t key[2] = {0x686f6c6466617374, 0x6c65617365};
  unsigned char lower[256];
  size_t i, n = strlen(name);
  if (n > sizeof(lower)) n = sizeof(lower);
  for (i = 0; i < n; i++) {
    lower[i] = (unsigned char)name[i];
    if (lower[i] >= 'A' && lower[i] <= 'Z') lower[i] |= 0x20;
  }
  return (sqlite3_int64)(hf_siphash(key, lower, n) >> 2) + 1;
}
