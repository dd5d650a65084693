/*
** SELECT from a ledger: cursors over the statement that ledger_query.c planned.
** See there for what idxStr holds.
*/
#include <stdlib.h>
#include <string.h>

#include "ledger/ledger.h"

typedef struct LedgerCursor {
  sqlite3_vtab_cursor base; /* must be first */
  HfStmt stmt;              /* SELECT on the entry table; NULL before xFilter */
  int eof;
  short at[LEDGER_MAX_COLUMNS + 4]; /* result column of each column */
} LedgerCursor;

int ledger_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out) {
  LedgerCursor *cursor = sqlite3_malloc64(sizeof(*cursor));
  (void)vtab;
  if (cursor == NULL) return SQLITE_NOMEM;
  memset(cursor, 0, sizeof(*cursor));
  *out = &cursor->base;
  return SQLITE_OK;
}

int ledger_close(sqlite3_vtab_cursor *base) {
  LedgerCursor *cursor = (LedgerCursor *)base;
  HfLedger *ledger = (HfLedger *)base->pVtab;
  hf_stmt_give(&ledger->stmts, &cursor->stmt);
  sqlite3_free(cursor);
  return SQLITE_OK;
}

/* More values of an IN than this are left to SQLite. */
#define CURSOR_IN 1000

/* How many values an IN has; -1 when they do not suit. */
static int cursor_in_count(sqlite3_value *in, HfError *err) {
  sqlite3_value *value;
  int n = 0, rc;
  for (rc = sqlite3_vtab_in_first(in, &value); rc == SQLITE_OK;
       rc = sqlite3_vtab_in_next(in, &value)) {
    int type = sqlite3_value_type(value);
    if (ledger_is_number(type) || ++n > CURSOR_IN) return -1;
  }
  if (rc != SQLITE_DONE) hf_fail(err, rc, NULL);
  return n;
}

/* Are the inner conditions exact for these arguments?  *more: how many
** arguments the statement needs besides, for the values of INs. */
static int cursor_exact(const char *letters, int argc, sqlite3_value **argv,
                        int *more, HfError *err) {
  int i;
  *more = 0;
  for (i = 0; i < argc; i++) {
    int type = sqlite3_value_type(argv[i]);
    int n = 0;
    switch (letters[i]) {
      case 't':
        if (ledger_is_number(type)) return 0;
        break;
      case 'i':
        n = cursor_in_count(argv[i], err);
        if (n < 0) return 0;
        *more += n;
        break;
      case 'l':
      case 'o':
        if (type != SQLITE_INTEGER) return 0;
        break;
      default:
        break;
    }
  }
  return *more <= CURSOR_IN;
}

/* The statement with each "IN (?i)" widened to all its values, which are bound
** behind the other arguments, in the order of the INs. */
static char *cursor_widen(const char *sql, const char *letters, int argc,
                          sqlite3_value **argv, HfError *err) {
  sqlite3_str *out = sqlite3_str_new(NULL);
  const char *z = sql;
  int quoted = 0, next = argc + 1;
  for (; *z != 0; z++) {
    int i;
    sqlite3_str_appendchar(out, 1, *z);
    if (*z == '"') quoted = !quoted;
    if (*z != '?' || quoted) continue;
    i = (int)strtol(z + 1, NULL, 10) - 1;
    if (i < 0 || i >= argc || letters[i] != 'i') continue;
    while (z[1] >= '0' && z[1] <= '9') sqlite3_str_appendchar(out, 1, *++z);
    for (i = cursor_in_count(argv[i], err); i > 0; i--) {
      sqlite3_str_appendf(out, ",?%d", next++);
    }
  }
  return hf_str_finish(out, err);
}

static int cursor_bind_in(sqlite3_stmt *stmt, int *next, sqlite3_value *in) {
  sqlite3_value *value;
  int rc;
  for (rc = sqlite3_vtab_in_first(in, &value); rc == SQLITE_OK;
       rc = sqlite3_vtab_in_next(in, &value)) {
    rc = sqlite3_bind_value(stmt, (*next)++, value);
    if (rc != SQLITE_OK) return rc;
  }
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* Bind the arguments: limit and offset make one number of rows. */
static int cursor_bind(sqlite3_stmt *stmt, const char *letters, int argc,
                       sqlite3_value **argv) {
  int i, rc = SQLITE_OK, next = argc + 1;
  for (i = 0; i < argc && rc == SQLITE_OK; i++) {
    if (letters[i] == 'l') {
      sqlite3_int64 limit = sqlite3_value_int64(argv[i]);
      sqlite3_int64 skip = i + 1 < argc ? sqlite3_value_int64(argv[i + 1]) : 0;
      if (skip < 0) skip = 0;
      if (limit > INT64_MAX - skip) limit = INT64_MAX - skip;
      rc = sqlite3_bind_int64(stmt, i + 1, limit < 0 ? -1 : limit + skip);
    } else if (letters[i] == 'i') {
      rc = cursor_bind_in(stmt, &next, argv[i]);
    } else if (letters[i] != 'n' && letters[i] != 'o') {
      rc = sqlite3_bind_value(stmt, i + 1, argv[i]);
    }
  }
  return rc;
}

/* The parts of idxStr. */
typedef struct CursorText {
  const char *sql;
  int where, where_size; /* offset and length of the conditions */
  int order_size;        /* the ORDER BY follows them */
  const char *letters;
  sqlite3_uint64 used;
} CursorText;

static sqlite3_uint64 cursor_hex(const char **z) {
  sqlite3_uint64 value = 0;
  while (**z == ' ') (*z)++;
  for (; (**z >= '0' && **z <= '9') || (**z >= 'a' && **z <= 'f'); (*z)++) {
    value = value << 4 | (unsigned)(**z <= '9' ? **z - '0' : **z - 'a' + 10);
  }
  return value;
}

static void cursor_parse(CursorText *query, const char *sql, int where) {
  const char *z = sql + strlen(sql);
  /* Nothing in the comment contains a star. */
  do z--;
  while (!(z[0] == '/' && z[1] == '*'));
  query->sql = sql;
  query->where = where;
  query->letters = z + 2;
  z = strchr(query->letters, ' ');
  query->used = cursor_hex(&z);
  query->where_size = (int)cursor_hex(&z);
  query->order_size = (int)cursor_hex(&z);
}

/* Where in the inner result each column of the table is. */
static void cursor_map(LedgerCursor *cursor, const HfLedger *ledger,
                       sqlite3_uint64 used) {
  int i, n = 0;
  cursor->at[LEDGER_COL_SEQ] = 0;
  for (i = LEDGER_COL_AT; i <= ledger_col_hash(ledger); i++) {
    cursor->at[i] = (short)(used >> (i < 63 ? i : 63) & 1 ? ++n : -1);
  }
}

static int cursor_advance(LedgerCursor *cursor, HfError *err) {
  HfLedger *ledger = (HfLedger *)cursor->base.pVtab;
  int rc = sqlite3_step(cursor->stmt.p);
  cursor->eof = rc != SQLITE_ROW;
  if (rc == SQLITE_ROW) return SQLITE_OK;
  if (rc != SQLITE_DONE) hf_fail_db(err, ledger->db);
  /* At the end at once, not at xClose: a reader that is not reset holds up
  ** COMMIT and VACUUM. */
  hf_stmt_give(&ledger->stmts, &cursor->stmt);
  return err->rc;
}

/* The statement to run: idxStr as it is, widened, or without its conditions.
** *owned is what sqlite3_free takes back. */
static const char *cursor_statement(const CursorText *query, int argc,
                                    sqlite3_value **argv, int *exact,
                                    char **owned, HfError *err) {
  int more;
  *owned = NULL;
  *exact = cursor_exact(query->letters, argc, argv, &more, err);
  if (err->rc != SQLITE_OK) return NULL;
  if (*exact && more == 0) return query->sql;
  if (*exact) {
    *owned = cursor_widen(query->sql, query->letters, argc, argv, err);
  } else {
    *owned =
        hf_format(err, "%.*s%.*s", query->where, query->sql, query->order_size,
                  query->sql + query->where + query->where_size);
  }
  return *owned;
}

int ledger_filter(sqlite3_vtab_cursor *base, int idx_num, const char *idx_str,
                  int argc, sqlite3_value **argv) {
  LedgerCursor *cursor = (LedgerCursor *)base;
  HfLedger *ledger = (HfLedger *)base->pVtab;
  HfError err = {SQLITE_OK, NULL};
  CursorText query;
  const char *sql;
  char *owned;
  int exact;
  cursor->eof = 1;
  hf_stmt_give(&ledger->stmts, &cursor->stmt);
  cursor_parse(&query, idx_str, idx_num);
  cursor_map(cursor, ledger, query.used);
  sql = cursor_statement(&query, argc, argv, &exact, &owned, &err);
  if (sql != NULL) ledger_take(ledger, sql, &cursor->stmt, &err);
  sqlite3_free(owned);
  if (err.rc == SQLITE_OK && exact &&
      cursor_bind(cursor->stmt.p, query.letters, argc, argv) != SQLITE_OK) {
    hf_fail_db(&err, ledger->db);
  }
  if (err.rc == SQLITE_OK) cursor_advance(cursor, &err);
  return hf_error_to_vtab(&err, base->pVtab);
}

int ledger_next(sqlite3_vtab_cursor *base) {
  HfError err = {SQLITE_OK, NULL};
  cursor_advance((LedgerCursor *)base, &err);
  return hf_error_to_vtab(&err, base->pVtab);
}

int ledger_eof(sqlite3_vtab_cursor *base) {
  return ((LedgerCursor *)base)->eof;
}

/* prev_hash of entry 1 is the genesis, which is no entry's hash. */
static int cursor_genesis(HfLedger *ledger, sqlite3_context *context) {
  HfError err = {SQLITE_OK, NULL};
  LedgerConfig config;
  if (ledger_config_read(ledger, &config, &err) == SQLITE_OK) {
    sqlite3_result_blob(context, config.genesis, HF_SHA256_SIZE,
                        SQLITE_TRANSIENT);
  }
  ledger_config_clear(&config);
  return hf_error_to_vtab(&err, &ledger->base);
}

int ledger_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int i) {
  LedgerCursor *cursor = (LedgerCursor *)base;
  HfLedger *ledger = (HfLedger *)base->pVtab;
  int at = cursor->at[i];
  if (at < 0) return SQLITE_OK; /* not used, says colUsed: NULL */
  if (i == ledger_col_prev(ledger) &&
      sqlite3_column_int64(cursor->stmt.p, 0) == 1) {
    return cursor_genesis(ledger, context);
  }
  sqlite3_result_value(context, sqlite3_column_value(cursor->stmt.p, at));
  return SQLITE_OK;
}

int ledger_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = sqlite3_column_int64(((LedgerCursor *)base)->stmt.p, 0);
  return SQLITE_OK;
}
