/*
** Retention's part of holdfast_check, and the registration of the area.
*/
#include <string.h>

#include "retention/retention.h"

/* A table without a way to its old rows is read as a whole, each time. */
static int doctor_index(HfConn *conn, RetTable *t, HfFindings *list,
                        HfError *err) {
  if (t->time == NULL || t->keep < 0 ||
      retention_model_index(conn, t, err) != SQLITE_OK || t->indexed) {
    return SQLITE_OK;
  }
  return hf_findings_add(list, "retention_unindexed", t->name,
                         "no index begins with %s, so retention reads all of "
                         "the table; CREATE INDEX ... ON \"%w\"(%s)",
                         t->time, t->name, t->time);
}

static int doctor_floor(HfConn *conn, const RetTable *t, HfFindings *list,
                        HfError *err) {
  sqlite3_int64 there = 0;
  if (t->floor < 0 || t->barred) return err->rc;
  hf_query_int(conn->db, err, 0, &there,
               "SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger'"
               " AND name = '%q_lock_delete' COLLATE NOCASE",
               t->name);
  if (err->rc == SQLITE_OK && !there &&
      hf_findings_add(list, "guard_missing", t->name,
                      "it has a floor and no trigger that keeps it; "
                      "retention_lock(%Q, %lld) makes it",
                      t->name, t->floor) != SQLITE_OK) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return err->rc;
}

int hf_retention_doctor(HfConn *conn, HfFindings *list, HfError *err) {
  sqlite3_int64 there = 0;
  RetOptions options;
  RetModel model;
  int i, rc;
  hf_query_int(conn->db, err, 0, &there,
               "SELECT count(*) = 6 FROM main.sqlite_schema WHERE name IN"
               " ('retention_policy', 'retention_tier', 'retention_floor',"
               "  'retention_latest', 'retention_thin', 'retention_rollup')");
  if (!there || err->rc != SQLITE_OK ||
      retention_options(conn->db, "holdfast_check", NULL, &options, err) !=
          SQLITE_OK) {
    return err->rc;
  }
  retention_model_load(conn, 0, &options, &model, err);
  for (i = 0; i < model.tables && err->rc == SQLITE_OK; i++) {
    RetTable *t = &model.table[i];
    rc = t->barred ? hf_findings_add(list, "retention_blocked", t->name, "%s",
                                     t->blocked ? t->blocked : "")
                   : doctor_index(conn, t, list, err);
    if (rc != SQLITE_OK) hf_fail(err, rc, NULL);
    doctor_floor(conn, t, list, err);
  }
  retention_model_clear(&model);
  if (err->rc == SQLITE_ERROR) { /* its tables are not what they were */
    rc = hf_findings_add(list, "retention_blocked", "retention_policy", "%s",
                         err->message ? err->message : "");
    hf_error_clear(err);
    if (rc != SQLITE_OK) hf_fail(err, rc, NULL);
  }
  return err->rc;
}

int hf_retention_register(HfConn *conn) {
  int rc = retention_plan_register(conn);
  if (rc == SQLITE_OK) rc = retention_apply_register(conn);
  if (rc == SQLITE_OK) rc = retention_lock_register(conn);
  return rc;
}
