/*
** ledger_verify (table-valued) and ledger_report: the verifier's two faces.
**
**   SELECT * FROM ledger_verify('phase_ledger')    one row a finding
**   SELECT ledger_report('phase_ledger')           JSON
**
** Both take a checkpoint that was kept elsewhere, and verifier keys, as second
** and third arguments.
*/
#include <assert.h>
#include <string.h>

#include "ledger/ledger.h"

/* ---- ledger_verify ------------------------------------------------------- */

enum {
  REPORT_FINDING,
  REPORT_SEQ,
  REPORT_DETAIL,
  REPORT_NAME, /* the arguments */
  REPORT_CHECKPOINT,
  REPORT_VERIFIER_KEY
};
#define REPORT_ARGUMENTS 3

typedef struct ReportCursor {
  sqlite3_vtab_cursor base; /* must be first */
  LedgerPin pin;
  LedgerVerify *verify;
  const LedgerFinding *finding; /* NULL at the end */
  sqlite3_int64 rowid;
} ReportCursor;

static int report_connect(sqlite3 *db, void *aux, int argc,
                          const char *const *argv, sqlite3_vtab **out,
                          char **message) {
  (void)argc;
  (void)argv;
  (void)message;
  return hf_eponymous_connect(db, aux, sizeof(HfEponymous),
                              "CREATE TABLE ledger_verify(finding TEXT, "
                              "seq INTEGER, detail TEXT, name TEXT HIDDEN, "
                              "checkpoint TEXT HIDDEN, "
                              "verifier_key TEXT HIDDEN)",
                              0, out);
}

/* idxNum: bit i says that argument i is given; they come in their order. */
static int report_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  int at[REPORT_ARGUMENTS] = {-1, -1, -1};
  int i, argc = 0, unusable = 0;
  (void)vtab;
  info->estimatedCost = 1000000;
  info->estimatedRows = 10;
  for (i = 0; i < info->nConstraint; i++) {
    const struct sqlite3_index_constraint *term = &info->aConstraint[i];
    if (term->iColumn < REPORT_NAME || term->op != SQLITE_INDEX_CONSTRAINT_EQ) {
      continue;
    }
    if (term->usable) at[term->iColumn - REPORT_NAME] = i;
    else unusable = 1;
  }
  for (i = 0; i < REPORT_ARGUMENTS; i++) {
    if (at[i] < 0) continue;
    info->aConstraintUsage[at[i]].argvIndex = ++argc;
    info->aConstraintUsage[at[i]].omit = 1;
    info->idxNum |= 1 << i;
  }
  return unusable ? SQLITE_CONSTRAINT : SQLITE_OK;
}

static int report_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  (void)vtab;
  return hf_cursor_open(sizeof(ReportCursor), out);
}

static void report_reset(ReportCursor *cursor) {
  ledger_verify_close(cursor->verify);
  cursor->verify = NULL;
  ledger_unpin(&cursor->pin);
  cursor->finding = NULL;
  cursor->rowid = 0;
}

static int report_close(sqlite3_vtab_cursor *base) {
  report_reset((ReportCursor *)base);
  sqlite3_free(base);
  return SQLITE_OK;
}

static int report_advance(ReportCursor *cursor, HfError *err) {
  cursor->rowid++;
  if (ledger_verify_next(cursor->verify, &cursor->finding, err) != SQLITE_ROW) {
    cursor->finding = NULL;
  }
  return err->rc;
}

/* The checkpoint and the keys, either of which may be NULL. */
static int report_scope(const char *function, sqlite3_value *checkpoint,
                        sqlite3_value *verifiers, LedgerScope *scope,
                        HfError *err) {
  sqlite3_value *value[2] = {checkpoint, verifiers};
  const char *text[2] = {NULL, NULL};
  int i;
  memset(scope, 0, sizeof(*scope));
  for (i = 0; i < 2; i++) {
    if (value[i] == NULL || sqlite3_value_type(value[i]) == SQLITE_NULL) {
      continue;
    }
    if (sqlite3_value_type(value[i]) != SQLITE_TEXT) {
      return hf_fail(err, SQLITE_ERROR, "%s: %s must be TEXT, or NULL",
                     function, i ? "the verifier key" : "the checkpoint");
    }
    text[i] = (const char *)sqlite3_value_text(value[i]);
    if (text[i] == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  }
  scope->checkpoint = text[0];
  scope->verifiers = text[1];
  if (text[1]) scope->verifiers_size = (size_t)sqlite3_value_bytes(verifiers);
  if (text[0]) scope->checkpoint_size = (size_t)sqlite3_value_bytes(checkpoint);
  return SQLITE_OK;
}

static int report_filter(sqlite3_vtab_cursor *base, int idx_num,
                         const char *idx_str, int argc, sqlite3_value **argv) {
  ReportCursor *cursor = (ReportCursor *)base;
  HfConn *conn = ((HfEponymous *)base->pVtab)->conn;
  HfError err = {SQLITE_OK, NULL};
  sqlite3_value *argument[REPORT_ARGUMENTS] = {NULL, NULL, NULL};
  const char *name = NULL;
  LedgerScope scope;
  int i, next = 0;
  (void)idx_str;
  (void)argc;
  report_reset(cursor);
  for (i = 0; i < REPORT_ARGUMENTS; i++) {
    if (idx_num >> i & 1) argument[i] = argv[next++];
  }
  if (argument[0]) name = (const char *)sqlite3_value_text(argument[0]);
  if (name == NULL) {
    hf_fail(&err, SQLITE_ERROR,
            "ledger_verify needs the name of a ledger: ledger_verify('x')");
  } else if (report_scope("ledger_verify", argument[1], argument[2], &scope,
                          &err) == SQLITE_OK &&
             ledger_pin(conn, name, &cursor->pin, &err) == SQLITE_OK &&
             ledger_verify_open(cursor->pin.ledger, &scope, &cursor->verify,
                                &err) == SQLITE_OK) {
    report_advance(cursor, &err);
  }
  return hf_error_to_vtab(&err, base->pVtab);
}

static int report_next(sqlite3_vtab_cursor *base) {
  HfError err = {SQLITE_OK, NULL};
  report_advance((ReportCursor *)base, &err);
  return hf_error_to_vtab(&err, base->pVtab);
}

static int report_eof(sqlite3_vtab_cursor *base) {
  return ((ReportCursor *)base)->finding == NULL;
}

static int report_column(sqlite3_vtab_cursor *base, sqlite3_context *context,
                         int column) {
  ReportCursor *cursor = (ReportCursor *)base;
  switch (column) {
    case REPORT_FINDING:
      sqlite3_result_text(context, cursor->finding->finding, -1, SQLITE_STATIC);
      break;
    case REPORT_SEQ:
      if (cursor->finding->seq != 0) {
        sqlite3_result_int64(context, cursor->finding->seq);
      }
      break;
    case REPORT_DETAIL:
      sqlite3_result_text(context, cursor->finding->detail, -1,
                          SQLITE_TRANSIENT);
      break;
    case REPORT_NAME:
      sqlite3_result_text(context, cursor->pin.ledger->name, -1,
                          SQLITE_TRANSIENT);
      break;
    default: /* not told again */
      break;
  }
  return SQLITE_OK;
}

static int report_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = ((ReportCursor *)base)->rowid;
  return SQLITE_OK;
}

/* ---- ledger_report ------------------------------------------------------- */

/* Findings that the JSON lists; it always says how many there are. */
#define REPORT_LISTED 1000

static void report_json_hash(sqlite3_str *json, const char *key,
                             const unsigned char *hash) {
  char hex[2 * HF_SHA256_SIZE + 1];
  hf_hex(hash, HF_SHA256_SIZE, hex);
  sqlite3_str_appendf(json, ",\"%s\":\"%s\"", key, hex);
}

static int report_findings(LedgerVerify *verify, sqlite3_str *json,
                           HfError *err) {
  const LedgerFinding *finding;
  sqlite3_int64 n = 0;
  while (ledger_verify_next(verify, &finding, err) == SQLITE_ROW) {
    if (++n > REPORT_LISTED) continue;
    sqlite3_str_appendf(json,
                        "%s{\"finding\":\"%s\",\"seq\":", n > 1 ? "," : "",
                        finding->finding);
    if (finding->seq != 0) {
      sqlite3_str_appendf(json, "%lld", finding->seq);
    } else {
      sqlite3_str_appendall(json, "null");
    }
    sqlite3_str_appendall(json, ",\"detail\":");
    hf_json_text(json, finding->detail);
    sqlite3_str_appendchar(json, 1, '}');
  }
  return err->rc;
}

/* Head and root, where the entries are sound enough to have them. */
static void report_anchors(HfLedger *ledger, sqlite3_str *json) {
  unsigned char genesis[HF_SHA256_SIZE], head[HF_SHA256_SIZE],
      root[HF_SHA256_SIZE];
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 size;
  if (ledger_read_size(ledger, &size, &err) == SQLITE_OK &&
      ledger_read_head(ledger, 0, genesis, &err) == SQLITE_OK &&
      ledger_read_head(ledger, size, head, &err) == SQLITE_OK &&
      ledger_read_root(ledger, size, root, &err) == SQLITE_OK) {
    report_json_hash(json, "genesis", genesis);
    report_json_hash(json, "head", head);
    report_json_hash(json, "root", root);
  } else {
    sqlite3_str_appendall(json,
                          ",\"genesis\":null,\"head\":null,\"root\":null");
  }
  hf_error_clear(&err);
}

/* The checkpoint on which the assurance rests, and how old it is. */
static void report_checkpoint(HfLedger *ledger, const LedgerAnchor *anchor,
                              sqlite3_str *json, HfError *err) {
  sqlite3_int64 now;
  sqlite3_str_appendall(json, ",\"checkpoint\":");
  if (!anchor->there) {
    sqlite3_str_appendall(json, "null");
    return;
  }
  sqlite3_str_appendf(json, "{\"source\":\"%s\",\"size\":%lld",
                      anchor->given ? "given" : "stored", anchor->size);
  report_json_hash(json, "root", anchor->root);
  if (anchor->at == INT64_MIN) {
    sqlite3_str_appendall(json, ",\"at\":null,\"age_ms\":null");
  } else if (hf_clock_now(ledger->vfs, &now, err) == SQLITE_OK) {
    sqlite3_str_appendf(json, ",\"at\":%lld,\"age_ms\":%lld", anchor->at,
                        now > anchor->at ? now - anchor->at : 0);
  }
  sqlite3_str_appendf(json, ",\"signed_by\":%s}", anchor->signed_by);
}

static char *report_make(HfLedger *ledger, const LedgerScope *scope,
                         HfError *err) {
  static const char *const level[] = {"self-consistent", "signed", "anchored",
                                      "witnessed"};
  sqlite3_str *json = sqlite3_str_new(ledger->db);
  sqlite3_str *findings = sqlite3_str_new(ledger->db);
  LedgerConfig config = {NULL, {0}};
  HfError ignored = {SQLITE_OK, NULL};
  const LedgerTotals *totals;
  const LedgerAnchor *anchor;
  LedgerVerify *verify;
  char *list, *tracked = NULL;
  if (ledger_verify_open(ledger, scope, &verify, err) == SQLITE_OK) {
    report_findings(verify, findings, err);
  }
  list = hf_str_finish(findings, err);
  if (err->rc == SQLITE_OK) {
    totals = ledger_verify_totals(verify);
    anchor = ledger_verify_anchor(verify);
    sqlite3_str_appendall(json, "{\"ledger\":");
    hf_json_text(json, ledger->name);
    sqlite3_str_appendall(json, ",\"schema\":");
    hf_json_text(json, ledger->schema);
    ledger_config_read(ledger, &config, &ignored);
    sqlite3_str_appendall(json, ",\"origin\":");
    if (config.origin != NULL) {
      hf_json_text(json, config.origin);
    } else {
      sqlite3_str_appendall(json, "null");
    }
    sqlite3_str_appendf(json, ",\"entries\":%lld,\"entries_checked\":%lld",
                        totals->entries, totals->checked);
    report_anchors(ledger, json);
    report_checkpoint(ledger, anchor, json, err);
    tracked = verify_tracked_json(ledger, err);
    if (tracked) sqlite3_str_appendf(json, ",\"tracked\":%s", tracked);
    sqlite3_str_appendf(json,
                        ",\"assurance\":\"%s\",\"finding_count\":%lld,"
                        "\"findings\":[%s]}",
                        totals->findings == 0 ? level[anchor->assurance]
                                              : "none",
                        totals->findings, list);
  }
  ledger_config_clear(&config);
  hf_error_clear(&ignored);
  ledger_verify_close(verify);
  sqlite3_free(list);
  sqlite3_free(tracked);
  return hf_str_finish(json, err);
}

/*
** ledger_report(name [, checkpoint [, verifier_key]])
**
** checkpoint: a signed note that was kept elsewhere, or NULL; verifier_key: the
** log's key, as note_keygen makes it, and those of witnesses, with spaces
** between, or NULL.  Verifies the whole ledger and returns JSON: ledger,
** schema, origin, entries, entries_checked, genesis, head, root (hexadecimal),
** checkpoint (source, size, root, at and age_ms in milliseconds, signed_by),
** assurance ("self-consistent", "signed", "anchored", "witnessed", or "none"
** when there are findings), finding_count, and the first 1000 findings; of a
** ledger that records tables also tracked.  Errors: no such ledger; a key that
** is none; the file cannot be read.
*/
static void report_function(sqlite3_context *context, int argc,
                            sqlite3_value **argv) {
  const char *name = (const char *)sqlite3_value_text(argv[0]);
  HfError err = {SQLITE_OK, NULL};
  LedgerScope scope;
  char *json = NULL;
  LedgerPin pin;
  memset(&pin, 0, sizeof(pin));
  if (name == NULL) {
    hf_fail(&err, SQLITE_ERROR, "ledger_report: the ledger's name is missing");
  } else if (report_scope("ledger_report", argc > 1 ? argv[1] : NULL,
                          argc > 2 ? argv[2] : NULL, &scope,
                          &err) == SQLITE_OK &&
             ledger_pin(sqlite3_user_data(context), name, &pin, &err) ==
                 SQLITE_OK) {
    json = report_make(pin.ledger, &scope, &err);
  }
  ledger_unpin(&pin);
  hf_result_text(context, json, &err);
}

int ledger_report_register(HfConn *conn) {
  static const sqlite3_module module = {
      .iVersion = 0,
      .xConnect = report_connect,
      .xBestIndex = report_best_index,
      .xDisconnect = hf_eponymous_disconnect,
      .xOpen = report_open,
      .xClose = report_close,
      .xFilter = report_filter,
      .xNext = report_next,
      .xEof = report_eof,
      .xColumn = report_column,
      .xRowid = report_rowid,
  };
  static const HfFunction functions[] = {
      {"ledger_report", 1, HF_READS, report_function},
      {"ledger_report", 2, HF_READS, report_function},
      {"ledger_report", 3, HF_READS, report_function},
  };
  int rc = hf_register_module(conn, "ledger_verify", &module);
  if (rc != SQLITE_OK) return rc;
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
