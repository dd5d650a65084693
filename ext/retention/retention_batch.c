/*
** Batches of one table: each a short transaction that lets some rows go and
** says so in retention_run_table.
**
** A batch begins where the first row that goes is now, by the time column when
** it is indexed, else by the key, so that what stays is passed over once.
*/
#include <string.h>

#include "retention/retention.h"

/* What is prepared for a table. */
typedef struct Batch {
  RetRun *run;
  RetTable *table;
  RetDone *done;
  const char *scan; /* columns by which it goes on */
  int scans;
  sqlite3_stmt *find;   /* where the next one is */
  sqlite3_stmt *roll;   /* into the target of the roll-up, or NULL */
  sqlite3_stmt *remove; /* let a batch go */
  sqlite3_stmt *edge;   /* the time at which a batch ends, or NULL */
  sqlite3_stmt *range;  /* let go what lies between two times */
  sqlite3_int64 size;   /* rows */
} Batch;

/* ---- statements ---------------------------------------------------------- */

/* Does it go on by the time column?  Only where each row that goes has a time
** before the limit: orphans may have none. */
static int batch_timed(const RetTable *t) {
  return t->time != NULL && t->keep >= 0 && t->orphan == NULL && !t->thin &&
         !t->self;
}

static int batch_by_time(const RetTable *t) {
  return t->indexed && batch_timed(t);
}

/* Is there a row that goes?  Mostly not; so only if, an index is looked for. */
static int batch_any(const RetRun *run, RetTable *t, int *any, HfError *err) {
  sqlite3_int64 found = 1;
  if (batch_timed(t)) {
    if (t->latest == 0) {
      hf_query_int(run->model.conn->db, err, 0, &found,
                   "SELECT EXISTS (SELECT 1 FROM main.\"%w\" AS \"%w\""
                   " WHERE %s)",
                   t->name, t->name, t->doomed);
    }
    if (found) retention_model_index(run->model.conn, t, err);
  }
  *any = found != 0;
  return err->rc;
}

/* ... (scan) >= (?1, ?2) ... */
static char *batch_bound(const Batch *b, HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i;
  sqlite3_str_appendf(sql, "(%s) >= (", b->scan);
  for (i = 1; i <= b->scans; i++) {
    sqlite3_str_appendf(sql, "%s?%d", i > 1 ? ", " : "", i);
  }
  sqlite3_str_appendall(sql, ")");
  return hf_str_finish(sql, err);
}

/* The keys of a batch.  Rows that refer to each other go in one statement, at
** the end of which their references are checked. */
static char *batch_keys(const Batch *b, HfError *err) {
  const RetTable *t = b->table;
  char *bound, *sql = NULL;
  if (t->self) {
    return hf_format(err, "SELECT %s FROM main.\"%w\" AS \"%w\" WHERE %s",
                     t->ids, t->name, t->name, t->doomed);
  }
  bound = batch_bound(b, err);
  if (bound != NULL) {
    sql = hf_format(err,
                    "SELECT %s FROM main.\"%w\" AS \"%w\" WHERE %s AND %s"
                    " ORDER BY %s LIMIT ?%d",
                    t->ids, t->name, t->name, t->doomed, bound, b->scan,
                    b->scans + 1);
  }
  sqlite3_free(bound);
  return sql;
}

/* The columns that the target of the roll-up has, too. */
static int batch_roll(Batch *b, const char *keys, HfError *err) {
  const RetTable *t = b->table;
  char *columns = NULL;
  if (t->target == NULL) return err->rc;
  hf_query_text(b->run->model.conn->db, err, &columns,
                "SELECT group_concat(printf('\"%%w\"', s.name), ', ')"
                "  FROM pragma_table_xinfo(%Q, 'main') AS s"
                "  JOIN pragma_table_xinfo(%Q, 'main') AS t"
                "    ON t.name = s.name COLLATE NOCASE"
                " WHERE s.hidden <> 1 AND t.hidden = 0",
                t->name, t->target);
  if (err->rc == SQLITE_OK && columns == NULL) {
    hf_fail(err, SQLITE_ERROR,
            "its roll-up has no column in common with it: %s", t->target);
  }
  hf_prepare(b->run->model.conn->db, &b->roll, err,
             "INSERT INTO main.\"%w\"(%s) SELECT %s FROM main.\"%w\" AS \"%w\""
             " WHERE (%s) IN (%s)",
             t->target, columns, columns, t->name, t->name, t->ids, keys);
  sqlite3_free(columns);
  return err->rc;
}

/* Is there nothing to say of a row but that its time is before the limit?  Then
** what lies between two such times goes, without another look: between numbers
** there are numbers only. */
static int batch_plain(const RetTable *t) {
  return t->unit != RET_ISO && t->timed != NULL &&
         strcmp(t->doomed, t->timed) == 0;
}

/* Where a row is known by its time, a batch is what goes between two times,
** which is faster than naming each.  Then the index has one upper bound only:
** within IS TRUE, that of the condition is none. */
static int batch_by_range(Batch *b, const char *bound, HfError *err) {
  const RetTable *t = b->table;
  sqlite3 *db = b->run->model.conn->db;
  if (!batch_by_time(t) || t->latest > 0 || t->target != NULL) return err->rc;
  if (batch_plain(t)) {
    hf_prepare(db, &b->edge, err,
               "SELECT %s FROM (SELECT %s AS %s FROM main.\"%w\" WHERE %s"
               " ORDER BY %s LIMIT 1 OFFSET ?2) AS \"%w\" WHERE %s",
               t->time, t->time, t->time, t->name, bound, t->time, t->name,
               t->doomed);
    return hf_prepare(db, &b->range, err,
                      "DELETE FROM main.\"%w\" WHERE %s AND %s < ?2", t->name,
                      bound, t->time);
  }
  hf_prepare(db, &b->edge, err,
             "SELECT %s FROM main.\"%w\" AS \"%w\" WHERE %s AND %s"
             " ORDER BY %s LIMIT 1 OFFSET ?2",
             t->time, t->name, t->name, t->doomed, bound, t->time);
  return hf_prepare(db, &b->range, err,
                    "DELETE FROM main.\"%w\" AS \"%w\" WHERE %s"
                    " AND %s < ?2 AND (%s) IS TRUE",
                    t->name, t->name, bound, t->time, t->doomed);
}

static int batch_prepare(Batch *b, HfError *err) {
  const RetTable *t = b->table;
  sqlite3 *db = b->run->model.conn->db;
  char *keys, *bound;
  b->scan = batch_by_time(t) ? t->time : t->ids;
  b->scans = b->scan == t->ids ? t->id_count : 1;
  keys = batch_keys(b, err);
  bound = batch_bound(b, err);
  hf_prepare(db, &b->find, err,
             "SELECT %s FROM main.\"%w\" AS \"%w\" WHERE %s AND %s"
             " ORDER BY %s LIMIT 1",
             b->scan, t->name, t->name, t->doomed, bound, b->scan);
  hf_prepare(db, &b->remove, err, "DELETE FROM main.\"%w\" WHERE (%s) IN (%s)",
             t->name, t->ids, keys);
  batch_roll(b, keys, err);
  if (bound != NULL) batch_by_range(b, bound, err);
  sqlite3_free(keys);
  sqlite3_free(bound);
  return err->rc;
}

static void batch_finalize(Batch *b) {
  sqlite3_finalize(b->find);
  sqlite3_finalize(b->roll);
  sqlite3_finalize(b->remove);
  sqlite3_finalize(b->edge);
  sqlite3_finalize(b->range);
  b->find = b->roll = b->remove = b->edge = b->range = NULL;
}

/* ---- one batch ----------------------------------------------------------- */

/* Bind where a batch begins, from a row that was found. */
static int batch_bind(const Batch *b, sqlite3_stmt *stmt, sqlite3_value **from,
                      HfError *err) {
  int i, rc = SQLITE_OK;
  if (stmt == NULL) return err->rc;
  sqlite3_reset(stmt);
  for (i = 0; i < b->scans && rc == SQLITE_OK; i++) {
    if (i < sqlite3_bind_parameter_count(stmt)) {
      rc = sqlite3_bind_value(stmt, i + 1, from[i]);
    }
  }
  if (rc == SQLITE_OK && stmt != b->find &&
      sqlite3_bind_parameter_count(stmt) > b->scans) {
    rc = sqlite3_bind_int64(stmt, b->scans + 1, b->size);
  }
  return rc == SQLITE_OK ? SQLITE_OK : hf_fail(err, rc, NULL);
}

static void batch_forget(sqlite3_value **from, int n) {
  int i;
  for (i = 0; i < n; i++) {
    sqlite3_value_free(from[i]);
    from[i] = NULL;
  }
}

/* The next row that goes: *found, and its place in `from`, which held the place
** of the one before. */
static int batch_find(const Batch *b, sqlite3_stmt *stmt, sqlite3_value **from,
                      int *found, HfError *err) {
  int i, rc = sqlite3_step(stmt);
  *found = rc == SQLITE_ROW;
  if (*found) {
    batch_forget(from, b->scans);
    for (i = 0; i < b->scans; i++) {
      from[i] = sqlite3_value_dup(sqlite3_column_value(stmt, i));
      if (from[i] == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
    }
  } else if (rc != SQLITE_DONE) {
    hf_fail_db(err, b->run->model.conn->db);
  }
  sqlite3_reset(stmt);
  return err->rc;
}

/* The first one of all. */
static int batch_first(const Batch *b, sqlite3_value **from, int *found,
                       HfError *err) {
  const RetTable *t = b->table;
  sqlite3_stmt *stmt = NULL;
  const char *scan = batch_by_time(t) ? t->time : t->ids;
  *found = 0;
  if (hf_prepare(b->run->model.conn->db, &stmt, err,
                 "SELECT %s FROM main.\"%w\" AS \"%w\" WHERE %s"
                 " ORDER BY %s LIMIT 1",
                 scan, t->name, t->name, t->doomed, scan) == SQLITE_OK) {
    batch_find(b, stmt, from, found, err);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

/* Has somebody written a hold, or changed the policy, meanwhile? */
static int batch_same(const Batch *b, HfError *err) {
  char *text = retention_signature(b->run->model.conn, err);
  if (err->rc == SQLITE_OK &&
      (text == NULL || b->run->model.signature == NULL ||
       strcmp(text, b->run->model.signature) != 0)) {
    hf_fail(err, SQLITE_ERROR,
            "policies or holds were changed while rows went; apply "
            "again");
  }
  sqlite3_free(text);
  return err->rc;
}

/* Write down what has gone so far: in the transaction in which it goes. */
static int batch_note(const Batch *b, sqlite3_int64 gone, HfError *err) {
  sqlite3 *db = b->run->model.conn->db;
  hf_exec(db, err,
          "UPDATE main.retention_run_table SET deleted = %lld"
          " WHERE run = %lld AND position = %d",
          b->done->deleted + gone, b->run->run, (int)(b->done - b->run->done));
  return hf_exec(db, err,
                 "UPDATE main.retention_run SET deleted = %lld"
                 " WHERE run = %lld",
                 b->run->deleted + gone, b->run->run);
}

/* Step a DELETE; *gone: its rows. */
static int batch_delete(const Batch *b, sqlite3_stmt *stmt, sqlite3_int64 *gone,
                        HfError *err) {
  sqlite3 *db = b->run->model.conn->db;
  if (err->rc == SQLITE_OK && hf_step_done(db, stmt, err) == SQLITE_OK) {
    *gone = sqlite3_changes(db);
  }
  sqlite3_reset(stmt);
  return err->rc;
}

/* Up to the time of the first row that does not belong to the batch any more.
** None go where there is no such row, or all have one time. */
static int batch_remove_range(const Batch *b, sqlite3_value **from,
                              sqlite3_int64 *gone, HfError *err) {
  sqlite3_value *edge = NULL;
  int found = 0;
  if (b->edge == NULL) return err->rc;
  if (batch_bind(b, b->edge, from, err) == SQLITE_OK &&
      batch_find(b, b->edge, &edge, &found, err) == SQLITE_OK && found &&
      batch_bind(b, b->range, from, err) == SQLITE_OK) {
    int rc = sqlite3_bind_value(b->range, 2, edge);
    if (rc != SQLITE_OK) hf_fail(err, rc, NULL);
    batch_delete(b, b->range, gone, err);
  }
  sqlite3_value_free(edge);
  return err->rc;
}

static int batch_remove(const Batch *b, sqlite3_value **from,
                        sqlite3_int64 *gone, HfError *err) {
  sqlite3 *db = b->run->model.conn->db;
  if (batch_same(b, err) != SQLITE_OK) return err->rc;
  if (b->roll != NULL) {
    batch_bind(b, b->roll, from, err);
    if (err->rc == SQLITE_OK) hf_step_done(db, b->roll, err);
    sqlite3_reset(b->roll);
  }
  batch_remove_range(b, from, gone, err);
  if (err->rc == SQLITE_OK && *gone == 0) {
    batch_bind(b, b->remove, from, err);
    batch_delete(b, b->remove, gone, err);
  }
  return batch_note(b, err->rc == SQLITE_OK ? *gone : 0, err);
}

/* As many rows as the time allows: half as many, or twice. */
static void batch_adapt(Batch *b, sqlite3_int64 ms, sqlite3_int64 gone) {
  const RetOptions *o = &b->run->model.options;
  if (ms > o->batch_ms && b->size > 100) {
    b->size /= 2;
  } else if (2 * ms < o->batch_ms && gone >= b->size) {
    b->size *= 2;
  }
  if (b->size > o->batch_rows) b->size = o->batch_rows;
  if (b->size < 1) b->size = 1;
}

/* One transaction; *gone: its rows. */
static int batch_one(Batch *b, sqlite3_value **from, sqlite3_int64 *gone,
                     HfError *err) {
  sqlite3 *db = b->run->model.conn->db;
  sqlite3_int64 began, most = b->run->model.options.max_rows;
  HfTxn txn;
  *gone = 0;
  if (most >= 0 && b->size > most - b->run->deleted) {
    b->size = most - b->run->deleted;
  }
  if (hf_txn_begin(db, "main", "retention_apply", &txn, err) != SQLITE_OK) {
    return err->rc;
  }
  began = retention_micros();
  batch_remove(b, from, gone, err);
  sqlite3_reset(b->find);
  if (hf_txn_end(db, txn, err) == SQLITE_OK) {
    sqlite3_int64 took = retention_micros() - began;
    b->done->deleted += *gone;
    b->run->deleted += *gone;
    b->run->held += took;
    batch_adapt(b, took / 1000, *gone);
  }
  return err->rc;
}

/* ---- a table ------------------------------------------------------------- */

static int batch_all(Batch *b, sqlite3_value **from, HfError *err) {
  int found = 1;
  b->size = b->run->model.options.batch_rows < 500
                ? b->run->model.options.batch_rows
                : 500;
  while (found && err->rc == SQLITE_OK) {
    sqlite3_int64 gone = 0;
    if (retention_spent(b->run)) {
      b->done->complete = 0;
      return SQLITE_OK;
    }
    if (batch_one(b, from, &gone, err) != SQLITE_OK) break;
    if (gone == 0) {
      return hf_fail(err, SQLITE_ERROR,
                     "rows that should go do not: a trigger keeps them "
                     "(RAISE(IGNORE)); drop it, or filter them");
    }
    if (b->table->self || retention_rest(b->run, err) != SQLITE_OK) break;
    if (batch_bind(b, b->find, from, err) == SQLITE_OK) {
      batch_find(b, b->find, from, &found, err);
    }
  }
  return err->rc;
}

int retention_batches(RetRun *run, int i, HfError *err) {
  Batch b;
  RetTable *t = &run->model.table[run->model.order[i]];
  sqlite3_value **from;
  int found = 0;
  if (batch_any(run, t, &found, err) != SQLITE_OK || !found) return err->rc;
  memset(&b, 0, sizeof(b));
  b.run = run;
  b.table = t;
  b.done = &run->done[i];
  b.scans = batch_by_time(t) ? 1 : t->id_count;
  from =
      sqlite3_malloc64(sizeof(sqlite3_value *) * (sqlite3_uint64)(b.scans + 1));
  if (from == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  memset(from, 0, sizeof(sqlite3_value *) * (size_t)(b.scans + 1));
  if (batch_first(&b, from, &found, err) == SQLITE_OK && found &&
      batch_prepare(&b, err) == SQLITE_OK) {
    batch_all(&b, from, err);
  }
  batch_finalize(&b);
  batch_forget(from, b.scans);
  sqlite3_free(from);
  return err->rc;
}
