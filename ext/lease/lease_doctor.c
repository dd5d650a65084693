/*
** The leases' part of holdfast_check, and the registration of the area.
*/
#include "lease/lease.h"

/* The clock has caught up with the latest decision; else leases last longer
** than they were asked for. */
static int visit_clock(HfLease *lease, HfFindings *list, HfError *err) {
  sqlite3_int64 now, mark;
  if (lease->options.clock_caller ||
      hf_clock_now(lease->vfs, &now, err) != SQLITE_OK ||
      hf_query_int(lease->db, err, 0, &mark,
                   "SELECT now FROM \"%w\".lease_high_water WHERE id = 1",
                   lease->schema) != SQLITE_OK ||
      mark <= now) {
    return err->rc;
  }
  if (hf_findings_add(list, "clock_behind", lease->name,
                      "the clock is %lld ms behind the latest decision; set "
                      "it right",
                      mark - now) != SQLITE_OK) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return err->rc;
}

static int visit_mark(HfLease *lease, HfFindings *list, HfError *err) {
  sqlite3_int64 rows = 0;
  if (hf_query_int(lease->db, err, 0, &rows,
                   "SELECT count(*) FROM \"%w\".lease_high_water WHERE id = 1",
                   lease->schema) == SQLITE_OK &&
      rows == 1) {
    return visit_clock(lease, list, err);
  }
  if (err->rc != SQLITE_OK && err->rc != SQLITE_ERROR) return err->rc;
  hf_error_clear(err);
  if (hf_findings_add(list, "config_altered", "lease_high_water",
                      "the highest token and the latest time are missing; "
                      "restore them") != SQLITE_OK) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return err->rc;
}

/* Tokens that were granted already, of a mark that was made anew. */
static int visit_tokens(HfLease *lease, HfFindings *list, HfError *err) {
  sqlite3_int64 behind = 0;
  hf_query_int(lease->db, err, 0, &behind,
               "SELECT max(token) FROM \"%w\".\"%w_held\" HAVING max(token) >"
               " (SELECT token FROM \"%w\".lease_high_water WHERE id = 1)",
               lease->schema, lease->name, lease->schema);
  if (err->rc == SQLITE_ERROR) hf_error_clear(err); /* said already */
  if (behind > 0 &&
      hf_findings_add(list, "config_altered", "lease_high_water",
                      "token %lld of %s is greater than the highest one; "
                      "restore it, lest tokens be given twice",
                      behind, lease->name) != SQLITE_OK) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return err->rc;
}

static int visit_lease(HfConn *conn, const char *schema, const char *name,
                       HfFindings *list, HfError *err) {
  LeasePin pin;
  if (lease_pin_name(conn, schema, name, &pin, err) == SQLITE_OK) {
    lease_objects_check(pin.lease, list, err);
    if (err->rc == SQLITE_OK) visit_mark(pin.lease, list, err);
    if (err->rc == SQLITE_OK) visit_tokens(pin.lease, list, err);
  } else if (err->rc == SQLITE_ERROR) { /* it cannot even be connected */
    int rc = hf_findings_add(list, "config_altered", name, "%s",
                             err->message ? err->message : "");
    hf_error_clear(err);
    if (rc != SQLITE_OK) hf_fail(err, rc, NULL);
  }
  lease_unpin(&pin);
  return err->rc;
}

static int visit_schema(HfConn *conn, const char *schema, HfFindings *list,
                        HfError *err) {
  if (hf_check_virtual(conn, schema, "lease", visit_lease, list, err) ==
      SQLITE_OK) {
    lease_guard_check(conn, schema, list, err);
  }
  return err->rc;
}

int hf_lease_doctor(HfConn *conn, HfFindings *list, HfError *err) {
  return hf_check_schemas(conn, visit_schema, list, err);
}

int hf_lease_register(HfConn *conn) {
  int rc = lease_table_register(conn);
  if (rc == SQLITE_OK) rc = lease_functions_register(conn);
  if (rc == SQLITE_OK) rc = lease_guard_register(conn);
  return rc;
}
