/*
** monitor_measure: the sequential test of a canary against its baseline.
**
** The requests of the two arms come one after the other.  What has come of both
** since the last time is a block, by which the e-value is multiplied; its sizes
** are what the traffic made them, and known before its outcome is looked at.
** What is stored does not grow.  See core/sequential.h.
*/
#include <math.h>
#include <string.h>

#include "control/control.h"
#include "core/sequential.h"

/* The row of monitor_sequential. */
typedef struct Measured {
  int there;
  HfArm arm[2]; /* baseline, canary: measured */
  HfArm judged[2];
  double log_e;
} Measured;

static const char *const measure_arm[] = {"baseline", "canary"};

/* ---- arguments ----------------------------------------------------------- */

typedef struct Measure {
  const char *release;
  int arm;
  HfArm seen;
} Measure;

static int measure_arguments(Measure *measure, sqlite3_value **argv,
                             HfError *err) {
  const char *arm;
  sqlite3_int64 good, total;
  measure->release =
      control_text("monitor_measure", "the release", argv[0], err);
  if (measure->release == NULL) return err->rc;
  arm = control_text("monitor_measure", "the arm", argv[1], err);
  if (arm == NULL) return err->rc;
  measure->arm = strcmp(arm, measure_arm[1]) == 0;
  if (!measure->arm && strcmp(arm, measure_arm[0]) != 0) {
    return hf_fail(err, SQLITE_ERROR,
                   "monitor_measure: the arm is 'baseline' or 'canary'");
  }
  if (!hf_value_whole(argv[2], &good) || !hf_value_whole(argv[3], &total) ||
      good < 0 || good > total || total < 1 || total > HF_ARM_MAX) {
    return hf_fail(err, SQLITE_ERROR,
                   "monitor_measure: good and total are whole numbers, "
                   "0 <= good <= total, total from 1 to %lld; when nothing was "
                   "measured, INSERT INTO monitor_check with error_rate NULL",
                   (sqlite3_int64)HF_ARM_MAX);
  }
  measure->seen.bad = total - good;
  measure->seen.total = total;
  return SQLITE_OK;
}

/* ---- state --------------------------------------------------------------- */

/* The monitor of the release must be running; *alpha: its limit. */
static int measure_monitor(HfConn *conn, const char *release, double *alpha,
                           HfError *err) {
  sqlite3_stmt *stmt;
  if (hf_prepare(conn->db, &stmt, err,
                 "SELECT p.alpha, coalesce(m.ended_why,"
                 "       iif(m.started_at + p.grace_ms"
                 "           > CAST(round(julianday('now') * 86400000.0)"
                 "                  AS INTEGER) - 210866760000000,"
                 "           NULL, 'its grace period is over'))"
                 "  FROM main.monitor AS m"
                 "  JOIN main.monitor_profile AS p ON p.name = m.profile"
                 " WHERE m.release = %Q",
                 release) != SQLITE_OK) {
    return err->rc;
  }
  switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
      *alpha = sqlite3_column_double(stmt, 0);
      if (sqlite3_column_type(stmt, 1) != SQLITE_NULL) {
        hf_fail(err, SQLITE_CONSTRAINT,
                "monitor_measure: the monitor of %s has ended: %s", release,
                sqlite3_column_text(stmt, 1));
      }
      break;
    case SQLITE_DONE:
      hf_fail(err, SQLITE_CONSTRAINT,
              "monitor_measure: release %s is not monitored; INSERT INTO "
              "monitor first",
              release);
      break;
    default:
      hf_fail_db(err, conn->db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

static int measure_read(HfConn *conn, const char *release, Measured *row,
                        HfError *err) {
  sqlite3_stmt *stmt;
  int i;
  memset(row, 0, sizeof(*row));
  if (hf_prepare(conn->db, &stmt, err,
                 "SELECT baseline_bad, baseline_total, canary_bad,"
                 " canary_total, judged_baseline_bad, judged_baseline_total,"
                 " judged_canary_bad, judged_canary_total, log_e"
                 " FROM main.monitor_sequential WHERE release = %Q",
                 release) != SQLITE_OK) {
    return err->rc;
  }
  switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
      row->there = 1;
      for (i = 0; i < 2; i++) {
        row->arm[i].bad = sqlite3_column_int64(stmt, 2 * i);
        row->arm[i].total = sqlite3_column_int64(stmt, 2 * i + 1);
        row->judged[i].bad = sqlite3_column_int64(stmt, 4 + 2 * i);
        row->judged[i].total = sqlite3_column_int64(stmt, 5 + 2 * i);
      }
      row->log_e = sqlite3_column_double(stmt, 8);
      break;
    case SQLITE_DONE:
      break;
    default:
      hf_fail_db(err, conn->db);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

/* What is measured and not judged becomes a block, once there is some of both
** arms. */
static void measure_judge(Measured *row) {
  HfArm block[2];
  int i;
  for (i = 0; i < 2; i++) {
    block[i].bad = row->arm[i].bad - row->judged[i].bad;
    block[i].total = row->arm[i].total - row->judged[i].total;
  }
  if (block[0].total == 0 || block[1].total == 0) return;
  row->log_e += hf_sequential_factor(&row->judged[0], &row->judged[1],
                                     &block[0], &block[1]);
  row->judged[0] = row->arm[0];
  row->judged[1] = row->arm[1];
}

/* A double holds it, and JSON does. */
static double measure_e_value(const Measured *row) {
  return exp(row->log_e < 690 ? row->log_e : 690);
}

static int measure_write(HfConn *conn, const char *release, const Measured *row,
                         HfError *err) {
  static const char insert[] =
      "INSERT INTO main.monitor_sequential VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
      " ?8, ?9, ?10, ?11)";
  static const char update[] =
      "UPDATE main.monitor_sequential SET baseline_bad = ?2,"
      " baseline_total = ?3, canary_bad = ?4, canary_total = ?5,"
      " judged_baseline_bad = ?6, judged_baseline_total = ?7,"
      " judged_canary_bad = ?8, judged_canary_total = ?9, log_e = ?10,"
      " e_value = ?11 WHERE release = ?1";
  sqlite3_stmt *stmt;
  int i;
  if (hf_prepare(conn->db, &stmt, err, "%s", row->there ? update : insert) !=
      SQLITE_OK) {
    return err->rc;
  }
  sqlite3_bind_text(stmt, 1, release, -1, SQLITE_STATIC);
  for (i = 0; i < 2; i++) {
    sqlite3_bind_int64(stmt, 2 + 2 * i, row->arm[i].bad);
    sqlite3_bind_int64(stmt, 3 + 2 * i, row->arm[i].total);
    sqlite3_bind_int64(stmt, 6 + 2 * i, row->judged[i].bad);
    sqlite3_bind_int64(stmt, 7 + 2 * i, row->judged[i].total);
  }
  sqlite3_bind_double(stmt, 10, row->log_e);
  sqlite3_bind_double(stmt, 11, measure_e_value(row));
  conn->measuring = release;
  if (hf_step_done(conn->db, stmt, err) == SQLITE_OK &&
      sqlite3_changes(conn->db) != 1) {
    hf_fail(err, SQLITE_CONSTRAINT,
            "monitor_measure: a trigger on monitor_sequential swallowed the "
            "measurement; drop it");
  }
  conn->measuring = NULL;
  sqlite3_finalize(stmt);
  return err->rc;
}

/* ---- the door ------------------------------------------------------------ */

/* One measurement.  Evidence that is enough is a failed check, which the rules
** of sql/control.sql turn into a rollback; the test is over then. */
static int measure_take(HfConn *conn, const Measure *measure, HfError *err) {
  HfArm *arm;
  Measured row;
  double alpha = 0;
  if (measure_monitor(conn, measure->release, &alpha, err) != SQLITE_OK ||
      measure_read(conn, measure->release, &row, err) != SQLITE_OK ||
      measure_e_value(&row) * alpha >= 1) {
    return err->rc;
  }
  arm = &row.arm[measure->arm];
  if (arm->total > HF_ARM_MAX - measure->seen.total) {
    return hf_fail(err, SQLITE_CONSTRAINT,
                   "monitor_measure: more than %lld requests of %s; begin "
                   "another release",
                   (sqlite3_int64)HF_ARM_MAX, measure_arm[measure->arm]);
  }
  arm->bad += measure->seen.bad;
  arm->total += measure->seen.total;
  measure_judge(&row);
  if (measure_write(conn, measure->release, &row, err) == SQLITE_OK &&
      measure_e_value(&row) * alpha >= 1) {
    hf_exec(conn->db, err,
            "INSERT INTO main.monitor_check(release, ok, error_rate, detail)"
            " VALUES (%Q, 0, %!.17g, 'sequential test')",
            measure->release,
            (double)row.arm[1].bad / (double)row.arm[1].total);
  }
  return err->rc;
}

/*
** monitor_measure(release, arm, good, total)
**
** release: TEXT, one that is monitored; arm: TEXT, 'baseline' or 'canary';
** good, total: INTEGER, the requests of that arm since the last call, and how
** many of them were good.  Returns JSON: {"decision", "e_value", "alpha",
** "baseline":[bad, total], "canary":[bad, total]}; the decision is 'healthy',
** or 'rollback' once the e-value has reached 1 / alpha.  Errors: bad arguments;
** a release that is not monitored, or no longer.
*/
static void measure_function(sqlite3_context *context, int argc,
                             sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  Measure measure = {NULL, 0, {0, 0}};
  char *json = NULL;
  HfTxn txn;
  (void)argc;
  if (measure_arguments(&measure, argv, &err) == SQLITE_OK &&
      hf_txn_begin(conn->db, "main", "monitor_measure", &txn, &err) ==
          SQLITE_OK) {
    measure_take(conn, &measure, &err);
    hf_query_text(conn->db, &err, &json,
                  "SELECT json_object("
                  "  'decision', iif(q.e_value * p.alpha >= 1, 'rollback',"
                  "                  'healthy'),"
                  "  'e_value', q.e_value, 'alpha', p.alpha,"
                  "  'baseline', json_array(baseline_bad, baseline_total),"
                  "  'canary', json_array(canary_bad, canary_total))"
                  "  FROM main.monitor_sequential AS q"
                  "  JOIN main.monitor AS m ON m.release = q.release"
                  "  JOIN main.monitor_profile AS p ON p.name = m.profile"
                  " WHERE q.release = %Q",
                  measure.release);
    hf_txn_end(conn->db, txn, &err);
  }
  hf_result_text(context, json, &err);
}

/*
** control_measuring(release)
**
** For the triggers of monitor_sequential, not for users: 1 if monitor_measure
** is writing the row of this release right now.  It answers once for each
** write.
*/
static void measure_measuring(sqlite3_context *context, int argc,
                              sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  const char *release = (const char *)sqlite3_value_text(argv[0]);
  int is = conn->measuring != NULL && release != NULL &&
           strcmp(conn->measuring, release) == 0;
  (void)argc;
  if (is) conn->measuring = NULL;
  sqlite3_result_int(context, is);
}

int control_measure_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"monitor_measure", 4, HF_CHANGES, measure_function},
      {"control_measuring", 1, HF_LOOKUP, measure_measuring},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
