/*
** SELECT from a ledger.
**
** xBestIndex writes the SELECT on the entry table that answers the query, with
** its WHERE, ORDER BY and LIMIT, as idxStr: EXPLAIN QUERY PLAN of the outer
** statement shows it, and it can be explained itself.  A comment at its end is
** for xFilter.  It lists, a letter each, what the arguments are:
**
**   x  compared with a column in a way that is exact for every value
**   t  compared with a column that may hold text: not exact for a number,
**      because SQLite might have converted the column's text to a number
**   l  the LIMIT, o the OFFSET
**   -  there are none
**
** and then the columns used, as a hexadecimal mask, and the lengths of WHERE
** and ORDER BY.  SQLite checks every constraint once more.  So whenever an
** argument does not suit, the conditions are simply left away.
*/
#include <assert.h>
#include <string.h>

#include "ledger/ledger.h"

typedef struct LedgerCursor {
  sqlite3_vtab_cursor base; /* must be first */
  HfStmt stmt;              /* SELECT on the entry table; NULL before xFilter */
  int eof;
  short at[LEDGER_MAX_COLUMNS + 4]; /* result column of each column */
} LedgerCursor;

/* ---- planning ------------------------------------------------------------ */

/* The SQL of column i, or NULL for one that is computed. */
static const char *query_column(const HfLedger *ledger, int i, char **owned) {
  *owned = NULL;
  if (i == LEDGER_COL_SEQ || i < 0) return "seq";
  if (i == LEDGER_COL_AT) return "at";
  if (i == ledger_col_prev(ledger)) return NULL;
  if (i == ledger_col_hash(ledger)) return "hash";
  *owned =
      sqlite3_mprintf("\"%w\"", ledger->def.column[i - LEDGER_COL_FIRST].name);
  return *owned;
}

static const char *query_operator(int op) {
  switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
      return "=";
    case SQLITE_INDEX_CONSTRAINT_GT:
      return ">";
    case SQLITE_INDEX_CONSTRAINT_LE:
      return "<=";
    case SQLITE_INDEX_CONSTRAINT_LT:
      return "<";
    case SQLITE_INDEX_CONSTRAINT_GE:
      return ">=";
    case SQLITE_INDEX_CONSTRAINT_IS:
      return "IS";
    case SQLITE_INDEX_CONSTRAINT_ISNULL:
      return "ISNULL";
    case SQLITE_INDEX_CONSTRAINT_ISNOTNULL:
      return "NOTNULL";
    default:
      return NULL;
  }
}

/* What is known of the plan so far. */
typedef struct QueryPlan {
  sqlite3_str *where;
  sqlite3_str *letters;
  int args;
  int unique;   /* at most one entry */
  double rows;  /* estimate */
  int range;    /* some index is read in a range */
  int by_index; /* the rows are found without a scan */
} QueryPlan;

#define QUERY_ROWS 1000000.0 /* a guess at the size of a ledger */

static void query_estimate(const HfLedger *ledger, QueryPlan *plan, int column,
                           int op) {
  const LedgerColumn *c =
      column >= LEDGER_COL_FIRST && column < ledger_col_prev(ledger)
          ? &ledger->def.column[column - LEDGER_COL_FIRST]
          : NULL;
  int equal = op == SQLITE_INDEX_CONSTRAINT_EQ;
  int seq = column <= LEDGER_COL_SEQ;
  if (equal && (seq || (c != NULL && c->unique))) plan->unique = 1;
  if (seq || (c != NULL && (c->unique || c->indexed))) {
    plan->by_index = 1;
    if (!equal && op != SQLITE_INDEX_CONSTRAINT_IS) plan->range |= !seq;
    plan->rows *= equal || op == SQLITE_INDEX_CONSTRAINT_IS ? 0.0001 : 0.25;
  } else {
    plan->rows *= 0.9;
  }
}

static void query_constraint(const HfLedger *ledger, sqlite3_index_info *info,
                             int i, QueryPlan *plan, int *all) {
  const struct sqlite3_index_constraint *term = &info->aConstraint[i];
  const char *op = query_operator(term->op);
  const char *collation;
  const char *column;
  char *owned;
  int kind = SQLITE_INTEGER;
  if (term->op == SQLITE_INDEX_CONSTRAINT_LIMIT ||
      term->op == SQLITE_INDEX_CONSTRAINT_OFFSET) {
    return;
  }
  column = query_column(ledger, term->iColumn, &owned);
  collation = sqlite3_vtab_collation(info, i);
  if (!term->usable || op == NULL || column == NULL || collation == NULL ||
      sqlite3_stricmp(collation, "BINARY") != 0) {
    *all = 0;
    sqlite3_free(owned);
    return;
  }
  if (term->iColumn >= LEDGER_COL_FIRST &&
      term->iColumn < ledger_col_prev(ledger)) {
    kind = ledger->def.column[term->iColumn - LEDGER_COL_FIRST].kind;
  }
  sqlite3_str_appendf(plan->where, "%s%s %s", plan->args ? " AND " : " WHERE ",
                      column, op);
  info->aConstraintUsage[i].argvIndex = ++plan->args;
  if (term->op != SQLITE_INDEX_CONSTRAINT_ISNULL &&
      term->op != SQLITE_INDEX_CONSTRAINT_ISNOTNULL) {
    sqlite3_str_appendf(plan->where, " ?%d", plan->args);
    sqlite3_str_appendall(plan->letters,
                          kind == SQLITE_TEXT || kind == 0 ? "t" : "x");
  } else {
    sqlite3_str_appendall(plan->letters, "x");
  }
  query_estimate(ledger, plan, term->iColumn, term->op);
  sqlite3_free(owned);
}

/* The ORDER BY, if every term of it is a column of the entry table.  Terms
** behind seq, which is unique, change nothing.  Without one the entries come
** in the order of seq wherever that costs no sorting: SQLite would be free to
** read an index instead, and a log is expected to be read as it was written. */
static void query_order(const HfLedger *ledger, sqlite3_index_info *info,
                        const QueryPlan *plan, sqlite3_str *order) {
  int i;
  if (info->nOrderBy == 0 && !plan->range) {
    sqlite3_str_appendall(order, " ORDER BY seq");
  }
  for (i = 0; i < info->nOrderBy; i++) {
    char *owned;
    const char *column =
        query_column(ledger, info->aOrderBy[i].iColumn, &owned);
    if (column == NULL) {
      sqlite3_str_reset(order); /* by prev_hash: SQLite sorts */
      return;
    }
    sqlite3_str_appendf(order, "%s%s%s", i ? ", " : " ORDER BY ", column,
                        info->aOrderBy[i].desc ? " DESC" : "");
    sqlite3_free(owned);
    if (info->aOrderBy[i].iColumn <= LEDGER_COL_SEQ) break;
  }
  if (info->nOrderBy > 0) info->orderByConsumed = 1;
}

/* LIMIT counts rows of the inner statement only if that does all the rest. */
static void query_limit(sqlite3_index_info *info, QueryPlan *plan,
                        sqlite3_str *sql, int all) {
  int i, limit = -1, offset = -1;
  for (i = 0; i < info->nConstraint; i++) {
    if (info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_LIMIT) limit = i;
    if (info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_OFFSET) offset = i;
  }
  if (limit < 0 || !all || !info->aConstraint[limit].usable) return;
  if (info->nOrderBy > 0 && !info->orderByConsumed) return;
  if (offset >= 0 && !info->aConstraint[offset].usable) return;
  info->aConstraintUsage[limit].argvIndex = ++plan->args;
  sqlite3_str_appendf(sql, " LIMIT ?%d", plan->args);
  sqlite3_str_appendall(plan->letters, "l");
  if (offset >= 0) {
    /* SQLite skips the rows itself; we only have to deliver enough. */
    info->aConstraintUsage[offset].argvIndex = ++plan->args;
    sqlite3_str_appendall(plan->letters, "o");
  }
}

/* The result columns that the query uses: seq always comes first. */
static void query_columns(const HfLedger *ledger, sqlite3_uint64 used,
                          sqlite3_str *sql) {
  int i;
  sqlite3_str_appendall(sql, "SELECT seq");
  for (i = LEDGER_COL_AT; i <= ledger_col_hash(ledger); i++) {
    const char *column;
    char *owned;
    if (!(used >> (i < 63 ? i : 63) & 1)) continue;
    column = query_column(ledger, i, &owned);
    if (column != NULL) {
      sqlite3_str_appendf(sql, ", %s", column);
    } else {
      sqlite3_str_appendf(sql,
                          ", (SELECT p.hash FROM \"%w\".\"%w_entry\" AS p"
                          " WHERE p.seq = e.seq - 1)",
                          ledger->schema, ledger->name);
    }
    sqlite3_free(owned);
  }
  sqlite3_str_appendf(sql, " FROM \"%w\".\"%w_entry\" AS e", ledger->schema,
                      ledger->name);
}

static void query_cost(sqlite3_index_info *info, const QueryPlan *plan) {
  double rows = plan->unique ? 1.0 : plan->rows < 1.0 ? 1.0 : plan->rows;
  info->estimatedRows = (sqlite3_int64)rows;
  info->estimatedCost = plan->by_index ? 10.0 + rows * 2.0 : QUERY_ROWS;
  if (plan->unique) info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
}

int ledger_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info) {
  HfLedger *ledger = (HfLedger *)vtab;
  HfError err = {SQLITE_OK, NULL};
  QueryPlan plan = {NULL, NULL, 0, 0, QUERY_ROWS, 0, 0};
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str *order = sqlite3_str_new(NULL);
  sqlite3_str *limit = sqlite3_str_new(NULL);
  char *text[4]; /* where, order, limit, letters */
  int i, all = 1;
  plan.where = sqlite3_str_new(NULL);
  plan.letters = sqlite3_str_new(NULL);
  query_columns(ledger, info->colUsed, sql);
  info->idxNum = sqlite3_str_length(sql); /* where the conditions begin */
  for (i = 0; i < info->nConstraint; i++) {
    query_constraint(ledger, info, i, &plan, &all);
  }
  query_order(ledger, info, &plan, order);
  query_limit(info, &plan, limit, all);
  text[0] = hf_str_finish(plan.where, &err);
  text[1] = hf_str_finish(order, &err);
  text[2] = hf_str_finish(limit, &err);
  text[3] = hf_str_finish(plan.letters, &err);
  if (err.rc == SQLITE_OK) {
    sqlite3_str_appendf(sql, "%s%s%s /*%s %llx %x %x*/", text[0], text[1],
                        text[2], *text[3] ? text[3] : "-", info->colUsed,
                        (unsigned)strlen(text[0]), (unsigned)strlen(text[1]));
  }
  info->idxStr = hf_str_finish(sql, &err);
  info->needToFreeIdxStr = info->idxStr != NULL;
  query_cost(info, &plan);
  for (i = 0; i < 4; i++) sqlite3_free(text[i]);
  return hf_error_to_vtab(&err, vtab);
}

/* ---- cursors ------------------------------------------------------------- */

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

/* Are the inner conditions exact for these arguments? */
static int query_exact(const char *letters, int argc, sqlite3_value **argv) {
  int i;
  for (i = 0; i < argc; i++) {
    int type = sqlite3_value_type(argv[i]);
    switch (letters[i]) {
      case 't':
        if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) return 0;
        break;
      case 'l':
      case 'o':
        if (type != SQLITE_INTEGER) return 0;
        break;
      default:
        break;
    }
  }
  return 1;
}

/* Bind the arguments: limit and offset make one number of rows. */
static void query_bind(sqlite3_stmt *stmt, const char *letters, int argc,
                       sqlite3_value **argv) {
  int i;
  for (i = 0; i < argc; i++) {
    if (letters[i] == 'l') {
      sqlite3_int64 limit = sqlite3_value_int64(argv[i]);
      sqlite3_int64 skip = i + 1 < argc ? sqlite3_value_int64(argv[i + 1]) : 0;
      if (skip < 0) skip = 0;
      if (limit > INT64_MAX - skip) limit = INT64_MAX - skip;
      sqlite3_bind_int64(stmt, i + 1, limit < 0 ? -1 : limit + skip);
    } else if (letters[i] != 'o') {
      sqlite3_bind_value(stmt, i + 1, argv[i]);
    }
  }
}

/* The parts of idxStr. */
typedef struct QueryText {
  const char *sql;
  int where, where_size; /* offset and length of the conditions */
  int order_size;        /* the ORDER BY follows them */
  const char *letters;
  sqlite3_uint64 used;
} QueryText;

static sqlite3_uint64 query_hex(const char **z) {
  sqlite3_uint64 value = 0;
  while (**z == ' ') (*z)++;
  for (; (**z >= '0' && **z <= '9') || (**z >= 'a' && **z <= 'f'); (*z)++) {
    value = value << 4 | (unsigned)(**z <= '9' ? **z - '0' : **z - 'a' + 10);
  }
  return value;
}

static void query_parse(QueryText *query, const char *sql, int where) {
  const char *z = sql + strlen(sql);
  /* Nothing in the comment contains a star. */
  do z--;
  while (!(z[0] == '/' && z[1] == '*'));
  query->sql = sql;
  query->where = where;
  query->letters = z + 2;
  z = strchr(query->letters, ' ');
  query->used = query_hex(&z);
  query->where_size = (int)query_hex(&z);
  query->order_size = (int)query_hex(&z);
}

/* Where in the inner result each column of the table is. */
static void query_map(LedgerCursor *cursor, const HfLedger *ledger,
                      sqlite3_uint64 used) {
  int i, n = 0;
  cursor->at[LEDGER_COL_SEQ] = 0;
  for (i = LEDGER_COL_AT; i <= ledger_col_hash(ledger); i++) {
    cursor->at[i] = (short)(used >> (i < 63 ? i : 63) & 1 ? ++n : -1);
  }
}

static int query_advance(LedgerCursor *cursor, HfError *err) {
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

int ledger_filter(sqlite3_vtab_cursor *base, int idx_num, const char *idx_str,
                  int argc, sqlite3_value **argv) {
  LedgerCursor *cursor = (LedgerCursor *)base;
  HfLedger *ledger = (HfLedger *)base->pVtab;
  HfError err = {SQLITE_OK, NULL};
  QueryText query;
  int exact;
  cursor->eof = 1;
  hf_stmt_give(&ledger->stmts, &cursor->stmt);
  query_parse(&query, idx_str, idx_num);
  query_map(cursor, ledger, query.used);
  exact = query_exact(query.letters, argc, argv);
  if (exact) {
    ledger_take(ledger, idx_str, &cursor->stmt, &err);
  } else {
    char *sql =
        sqlite3_mprintf("%.*s%.*s", query.where, query.sql, query.order_size,
                        query.sql + query.where + query.where_size);
    if (sql == NULL) {
      hf_fail(&err, SQLITE_NOMEM, NULL);
    } else {
      ledger_take(ledger, sql, &cursor->stmt, &err);
    }
    sqlite3_free(sql);
  }
  if (err.rc == SQLITE_OK) {
    if (exact) query_bind(cursor->stmt.p, query.letters, argc, argv);
    query_advance(cursor, &err);
  }
  return hf_error_to_vtab(&err, base->pVtab);
}

int ledger_next(sqlite3_vtab_cursor *base) {
  HfError err = {SQLITE_OK, NULL};
  query_advance((LedgerCursor *)base, &err);
  return hf_error_to_vtab(&err, base->pVtab);
}

int ledger_eof(sqlite3_vtab_cursor *base) {
  return ((LedgerCursor *)base)->eof;
}

/* prev_hash of entry 1 is the genesis, which is no entry's hash. */
static int query_genesis(HfLedger *ledger, sqlite3_context *context) {
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
    return query_genesis(ledger, context);
  }
  sqlite3_result_value(context, sqlite3_column_value(cursor->stmt.p, at));
  return SQLITE_OK;
}

int ledger_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid) {
  *rowid = sqlite3_column_int64(((LedgerCursor *)base)->stmt.p, 0);
  return SQLITE_OK;
}
