/*
** Control's part of holdfast_check: what is set against the rules, the history
** and the ledger.  It can differ where somebody wrote past the triggers.
*/
#include <string.h>

#include "control/control.h"

/* Add a finding for each row: its object, then what is wrong. */
static int examine_rows(HfConn *conn, HfFindings *list, const char *finding,
                        HfError *err, const char *sql) {
  sqlite3_stmt *stmt;
  int rc = SQLITE_DONE;
  if (hf_prepare(conn->db, &stmt, err, "%s", sql) != SQLITE_OK) return err->rc;
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *object = (const char *)sqlite3_column_text(stmt, 0);
    const char *detail = (const char *)sqlite3_column_text(stmt, 1);
    if (object == NULL || detail == NULL ||
        hf_findings_add(list, finding, object, "%s", detail) != SQLITE_OK) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    }
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_finalize(stmt);
  return err->rc;
}

/* The same, and the text of the query is freed. */
static int examine_find(HfConn *conn, HfFindings *list, const char *finding,
                        HfError *err, char *sql) {
  if (sql != NULL) examine_rows(conn, list, finding, err, sql);
  sqlite3_free(sql);
  return err->rc;
}

/* The condition of the trigger that refuses values, for rows of flags: what is
** a good value is said once.  NULL: the trigger is not there. */
static char *examine_rule(HfConn *conn, const char *schema, HfError *err) {
  char *sql, *rule = NULL, *from, *to;
  hf_query_text(conn->db, err, &sql,
                "SELECT sql FROM \"%w\".sqlite_schema"
                " WHERE type = 'trigger' AND name = 'flag_accepts_insert'",
                schema);
  from = sql ? strstr(sql, "WHEN (") : NULL;
  to = from ? strstr(from, "\nBEGIN") : NULL;
  if (to != NULL) {
    *to = 0;
    rule = hf_format(err, "%s", from + 5);
  }
  sqlite3_free(sql);
  return rule;
}

static int examine_values(HfConn *conn, const char *schema, HfFindings *list,
                          HfError *err) {
  char *rule = examine_rule(conn, schema, err);
  examine_find(conn, list, "setting_invalid", err,
               hf_format(err,
                         "SELECT key, 'there is no flag of that name; define "
                         "it, or DELETE FROM settings' FROM \"%w\".settings"
                         " WHERE key NOT IN (SELECT name FROM \"%w\".flag)",
                         schema, schema));
  if (rule != NULL) {
    examine_find(
        conn, list, "setting_invalid", err,
        hf_format(err,
                  "SELECT name, 'the value is none that the flag takes; set "
                  "it to one' FROM (SELECT f.name, f.kind, f.allowed, s.value"
                  "  FROM \"%w\".flag AS f"
                  "  JOIN \"%w\".settings AS s ON s.key = f.name) AS NEW"
                  " WHERE %s",
                  schema, schema, rule));
  }
  sqlite3_free(rule);
  return err->rc;
}

/* Each value is that of its last event. */
static int examine_history(HfConn *conn, const char *schema, HfFindings *list,
                           HfError *err) {
  examine_find(
      conn, list, "setting_unrecorded", err,
      hf_format(err,
                "SELECT f.name, 'it is not what the last event made it; look "
                "who may write the file, and set it again'"
                "  FROM \"%w\".flag AS f"
                "  LEFT JOIN \"%w\".settings AS s ON s.key = f.name"
                " WHERE s.value IS NOT (SELECT new_value"
                "                         FROM \"%w\".control_event"
                "                        WHERE key = f.name"
                "                        ORDER BY seq DESC LIMIT 1)",
                schema, schema, schema));
  return examine_find(
      conn, list, "event_missing", err,
      hf_format(err,
                "SELECT 'control_event', (max(seq) - count(*)) ||"
                " ' events are missing of ' || max(seq) ||"
                " '; control_ledger may have them'"
                "  FROM \"%w\".control_event HAVING max(seq) <> count(*)",
                schema));
}

/* Each sealed event is as it was sealed. */
static int examine_sealed(HfConn *conn, const char *schema, HfFindings *list,
                          HfError *err) {
  sqlite3_int64 sealed = 0;
  hf_query_int(conn->db, err, 0, &sealed,
               "SELECT 1 FROM \"%w\".sqlite_schema"
               " WHERE name = 'control_ledger' AND rootpage = 0",
               schema);
  if (!sealed || err->rc != SQLITE_OK) return err->rc;
  examine_find(
      conn, list, "event_altered", err,
      hf_format(err,
                "SELECT 'control_event', 'event ' || l.event ||"
                " ' is not what control_ledger has of it'"
                "  FROM \"%w\".control_ledger AS l"
                "  LEFT JOIN \"%w\".control_event AS e ON e.seq = l.event"
                " WHERE (l.event_at, l.key, l.old_value, l.new_value, l.actor,"
                "        l.reason, l.approver) IS NOT"
                "       (e.at, e.key, e.old_value, e.new_value, e.actor,"
                "        e.reason, e.approver) LIMIT 1",
                schema, schema));
  /* A ledger that cannot be read is the ledgers' finding. */
  if (err->rc == SQLITE_CORRUPT_VTAB || err->rc == SQLITE_ERROR) {
    hf_error_clear(err);
  }
  return err->rc;
}

static int examine_schema(HfConn *conn, const char *schema, HfFindings *list,
                          HfError *err) {
  sqlite3_int64 tables = 0;
  hf_query_int(conn->db, err, 0, &tables,
               "SELECT count(*) FROM \"%w\".sqlite_schema WHERE"
               " type = 'table' AND name IN ('settings', 'flag',"
               " 'control_event')",
               schema);
  if (tables < 3 || err->rc != SQLITE_OK) return err->rc;
  if (examine_values(conn, schema, list, err) == SQLITE_OK &&
      examine_history(conn, schema, list, err) == SQLITE_OK) {
    examine_sealed(conn, schema, list, err);
  }
  if (err->rc != SQLITE_ERROR) return err->rc;
  hf_error_clear(err); /* tables of these names that are not ours */
  if (hf_findings_add(list, "config_altered", "control_event",
                      "settings, flag or control_event in %s is not the table "
                      "of the area control",
                      schema) != SQLITE_OK) {
    hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return err->rc;
}

int hf_control_doctor(HfConn *conn, HfFindings *list, HfError *err) {
  return hf_check_schemas(conn, examine_schema, list, err);
}
