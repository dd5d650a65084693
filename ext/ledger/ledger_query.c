/*
** SELECT from a ledger: the plan.  Cursors are in ledger_cursor.c.
**
** xBestIndex writes the SELECT on the entry table that answers the query, with
** its WHERE, ORDER BY and LIMIT, as idxStr: EXPLAIN QUERY PLAN of the outer
** statement shows it, and it can be explained itself.  A comment at its end is
** for xFilter.  It lists, a letter each, what the arguments are:
**
**   x  compared with a column in a way that is exact for every value
**   t  compared with a column that may hold text: not exact for a number,
**      because SQLite might have converted the column's text to a number
**   i  the values of an IN for such a column, all at once: one by one SQLite
**      would forget which affinity the comparison has
**   n  of IS NULL or NOT NULL: nothing to bind
**   l  the LIMIT, o the OFFSET
**   -  there are none
**
** and then the columns used, as a hexadecimal mask, and the lengths of WHERE
** and ORDER BY.  SQLite checks every constraint once more.  So whenever an
** argument does not suit, the conditions are simply left away.
*/
#include <string.h>

#include "ledger/ledger.h"

/* The SQL of column i, NULL for one that is computed, or without memory.  With
** the table's name, or SQLite would take a column that is gone for a string. */
static const char *query_column(const HfLedger *ledger, int i, char **owned) {
  *owned = NULL;
  if (i == LEDGER_COL_SEQ || i < 0) return "seq";
  if (i == LEDGER_COL_AT) return "at";
  if (i == ledger_col_prev(ledger)) return NULL;
  if (i == ledger_col_hash(ledger)) return "hash";
  *owned = sqlite3_mprintf("e.\"%w\"",
                           ledger->def.column[i - LEDGER_COL_FIRST].name);
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
  /* A number equals several texts: '5', '05', '5.0'. */
  if (equal && (seq || (c != NULL && c->unique && ledger_is_number(c->kind)))) {
    plan->unique = 1;
  }
  if (seq || (c != NULL && (c->unique || c->indexed))) {
    plan->by_index = 1;
    if (!equal && op != SQLITE_INDEX_CONSTRAINT_IS) plan->range |= !seq;
    plan->rows *= equal || op == SQLITE_INDEX_CONSTRAINT_IS ? 0.0001 : 0.25;
  } else {
    plan->rows *= 0.9;
  }
}

/* Argument plan->args is for constraint i, on a column of that kind. */
static void query_condition(sqlite3_index_info *info, int i, int kind,
                            const char *column, QueryPlan *plan) {
  int op = info->aConstraint[i].op;
  int text = kind == SQLITE_TEXT || kind == 0;
  const char *letter = text ? "t" : "x";
  sqlite3_str_appendf(plan->where, "%s%s ",
                      plan->args > 1 ? " AND " : " WHERE ", column);
  if (op == SQLITE_INDEX_CONSTRAINT_ISNULL ||
      op == SQLITE_INDEX_CONSTRAINT_ISNOTNULL) {
    sqlite3_str_appendall(plan->where, query_operator(op));
    letter = "n";
  } else if (text && sqlite3_vtab_in(info, i, 1)) {
    sqlite3_str_appendf(plan->where, "IN (?%d)", plan->args);
    letter = "i";
  } else {
    sqlite3_str_appendf(plan->where, "%s ?%d", query_operator(op), plan->args);
  }
  sqlite3_str_appendall(plan->letters, letter);
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
  /* A comparison of rows, (at, seq) > (?, ?), comes as >= of its first members:
  ** what a LIMIT would count is not what the query lets through. */
  if (term->op == SQLITE_INDEX_CONSTRAINT_GE ||
      term->op == SQLITE_INDEX_CONSTRAINT_LE) {
    *all = 0;
  }
  info->aConstraintUsage[i].argvIndex = ++plan->args;
  query_condition(info, i, kind, column, plan);
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
                          sqlite3_str *sql, HfError *err) {
  int i;
  sqlite3_str_appendall(sql, "SELECT seq");
  for (i = LEDGER_COL_AT; i <= ledger_col_hash(ledger); i++) {
    const char *column;
    char *owned;
    if (!(used >> (i < 63 ? i : 63) & 1)) continue;
    column = query_column(ledger, i, &owned);
    if (column != NULL) {
      sqlite3_str_appendf(sql, ", %s", column);
    } else if (i != ledger_col_prev(ledger)) {
      hf_fail(err, SQLITE_NOMEM, NULL);
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
  query_columns(ledger, info->colUsed, sql, &err);
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
