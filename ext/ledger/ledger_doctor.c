/*
** The ledgers' part of holdfast_check, and the registration of the area.
**
** For each ledger of each database: what stands around its entries, and
** whether the clock is behind its last entry.
*/
#include <string.h>

#include "ledger/track.h"

static int doctor_structure(HfLedger *ledger, HfFindings *list, HfError *err) {
  const LedgerFinding *finding;
  LedgerVerify *verify;
  if (ledger_verify_open(ledger, &(LedgerScope){.structure = 1}, &verify,
                         err) != SQLITE_OK) {
    return err->rc;
  }
  while (ledger_verify_next(verify, &finding, err) == SQLITE_ROW) {
    if (hf_findings_add(list, finding->finding,
                        finding->object ? finding->object : ledger->name, "%s",
                        finding->detail) != SQLITE_OK) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    }
  }
  ledger_verify_close(verify);
  return err->rc;
}

/* Honest appends go on with the last time until the clock has caught up. */
static int doctor_clock(HfLedger *ledger, HfFindings *list, HfError *err) {
  sqlite3_int64 now, last;
  HfStmt stmt;
  if (ledger->def.clock_caller ||
      ledger_take(ledger, ledger->sql_head, &stmt, err) != SQLITE_OK) {
    /* A damaged table is a finding already. */
    if (err->rc == SQLITE_CORRUPT_VTAB) hf_error_clear(err);
    return err->rc;
  }
  if (sqlite3_step(stmt.p) == SQLITE_ROW) {
    last = sqlite3_column_int64(stmt.p, 1);
    if (hf_clock_now(ledger->vfs, &now, err) == SQLITE_OK && last > now &&
        hf_findings_add(list, "clock_behind", ledger->name,
                        "the clock is %lld ms behind the time of the last "
                        "entry; set it right",
                        last - now) != SQLITE_OK) {
      hf_fail(err, SQLITE_NOMEM, NULL);
    }
  }
  hf_stmt_give(&ledger->stmts, &stmt);
  return err->rc;
}

static int doctor_ledger(HfConn *conn, const char *schema, const char *name,
                         HfFindings *list, HfError *err) {
  char *full = sqlite3_mprintf("%s.%s", schema, name);
  LedgerPin pin;
  if (full == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  if (ledger_pin(conn, full, &pin, err) == SQLITE_OK) {
    doctor_structure(pin.ledger, list, err);
    if (err->rc == SQLITE_OK) doctor_clock(pin.ledger, list, err);
  } else if (err->rc == SQLITE_ERROR) {
    /* It cannot even be connected. */
    if (hf_findings_add(list, "config_altered", name, "%s",
                        err->message ? err->message : "") == SQLITE_OK) {
      hf_error_clear(err);
    } else {
      hf_error_clear(err);
      hf_fail(err, SQLITE_NOMEM, NULL);
    }
  }
  ledger_unpin(&pin);
  sqlite3_free(full);
  return err->rc;
}

static int doctor_schema(HfConn *conn, const char *schema, HfFindings *list,
                         HfError *err) {
  return hf_check_virtual(conn, schema, "ledger", doctor_ledger, list, err);
}

int hf_ledger_doctor(HfConn *conn, HfFindings *list, HfError *err) {
  return hf_check_schemas(conn, doctor_schema, list, err);
}

int hf_ledger_register(HfConn *conn) {
  int rc = ledger_table_register(conn);
  if (rc == SQLITE_OK) rc = ledger_report_register(conn);
  if (rc == SQLITE_OK) rc = ledger_functions_register(conn);
  if (rc == SQLITE_OK) rc = ledger_proof_register(conn);
  if (rc == SQLITE_OK) rc = ledger_checkpoint_register(conn);
  if (rc == SQLITE_OK) rc = ledger_track_register(conn);
  if (rc == SQLITE_OK) rc = ledger_reconcile_register(conn);
  if (rc == SQLITE_OK) rc = hf_merkle_register(conn);
  return rc;
}
