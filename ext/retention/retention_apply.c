/*
** retention_apply([now [, options]]): lets go what retention_plan shows, and
** gives the room back to the file.
**
** Outside a transaction each batch is one of its own, so that writers wait for
** one batch at most, and a run that is killed has done whole batches and said
** so.  Inside the caller's transaction all of it is part of that.
*/
#include <string.h>
#include <time.h>

#include "retention/retention.h"

sqlite3_int64 retention_micros(void) {
  struct timespec t;
  (void)timespec_get(&t, TIME_UTC);
  return (sqlite3_int64)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

sqlite3_int64 retention_ticks(void) { return retention_micros() / 1000; }

int retention_spent(const RetRun *run) {
  const RetOptions *o = &run->model.options;
  /* One batch at least, so that a run gets on however small its budget is. */
  return (o->max_ms >= 0 && run->deleted > 0 &&
          retention_ticks() - run->started >= o->max_ms) ||
         (o->max_rows >= 0 && run->deleted >= o->max_rows);
}

/* Whoever waits for the lock looks for it from time to time, every other
** millisecond with busy_policy('fair'), and would hardly ever find it between
** two batches.  So it is left alone for a moment; in a run that has others
** beside it, until nobody took it for three, but no longer than it was held. */
int retention_rest(RetRun *run, HfError *err) {
  sqlite3 *db = run->model.conn->db;
  sqlite3_vfs *vfs = hf_clock_vfs(db, "main");
  sqlite3_int64 since = retention_micros(), before, version = 0;
  int quiet = 0;
  if (!sqlite3_get_autocommit(db) ||
      run->held < 500 * run->model.options.batch_ms) {
    return err->rc;
  }
  hf_query_int(db, err, 0, &version, "PRAGMA main.data_version");
  do {
    before = version;
    vfs->xSleep(vfs, 1000);
    hf_query_int(db, err, 0, &version, "PRAGMA main.data_version");
    quiet = version == before ? quiet + 1 : 0;
    if (version != before) run->contended = 1;
  } while (err->rc == SQLITE_OK && quiet < (run->contended ? 3 : 1) &&
           retention_micros() - since < run->held);
  run->held = 0;
  return err->rc;
}

/* ---- the log ------------------------------------------------------------- */

/* Step a statement that writes the i-th row of the log; its first two
** parameters say which. */
static int apply_step(RetRun *run, sqlite3_stmt *stmt, int i, HfError *err) {
  if (err->rc != SQLITE_OK) return err->rc;
  sqlite3_bind_int64(stmt, 1, run->run);
  sqlite3_bind_int(stmt, 2, i);
  hf_step_done(run->model.conn->db, stmt, err);
  sqlite3_reset(stmt);
  return err->rc;
}

static int apply_begin(RetRun *run, const char *options, HfError *err) {
  sqlite3 *db = run->model.conn->db;
  sqlite3_stmt *stmt = NULL;
  sqlite3_int64 clock = 0;
  int i;
  hf_clock_now(hf_clock_vfs(db, "main"), &clock, err);
  hf_exec(db, err,
          "INSERT INTO main.retention_run(now, started_at, options)"
          " VALUES (%lld, %lld, %Q)",
          run->model.now, clock, options);
  if (err->rc == SQLITE_OK) run->run = sqlite3_last_insert_rowid(db);
  hf_prepare(db, &stmt, err,
             "INSERT INTO main.retention_run_table(run, position, table_name,"
             " deleted, kept, held, skipped, ms)"
             " VALUES (?1, ?2, ?3, 0, ?4, ?5, ?5, ?5)");
  for (i = 0; i < run->model.ordered && err->rc == SQLITE_OK; i++) {
    const RetTable *t = &run->model.table[run->model.order[i]];
    sqlite3_bind_text(stmt, 3, t->name, -1, SQLITE_STATIC);
    if (t->idle >= 0) {
      sqlite3_bind_int64(stmt, 4, t->idle);
      sqlite3_bind_int(stmt, 5, 0);
    } else {
      sqlite3_bind_null(stmt, 4);
      sqlite3_bind_null(stmt, 5);
    }
    apply_step(run, stmt, i, err);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

static int apply_log_tables(RetRun *run, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  int i;
  hf_prepare(run->model.conn->db, &stmt, err,
             "UPDATE main.retention_run_table SET kept = ?3, held = ?4,"
             " skipped = ?5, ms = ?6, blocked = ?7"
             " WHERE run = ?1 AND position = ?2");
  for (i = 0; i < run->model.ordered && err->rc == SQLITE_OK; i++) {
    const RetDone *d = &run->done[i];
    if (!d->complete || d->idle) continue;
    sqlite3_bind_int64(stmt, 3, d->kept);
    sqlite3_bind_int64(stmt, 4, d->held);
    sqlite3_bind_int64(stmt, 5, d->skipped);
    sqlite3_bind_int64(stmt, 6, d->ms);
    sqlite3_bind_text(stmt, 7, d->blocked, -1, SQLITE_STATIC);
    apply_step(run, stmt, i, err);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

static int apply_end(RetRun *run, sqlite3_int64 before, sqlite3_int64 after,
                     HfError *err) {
  sqlite3 *db = run->model.conn->db;
  sqlite3_int64 clock = 0;
  hf_clock_now(hf_clock_vfs(db, "main"), &clock, err);
  apply_log_tables(run, err);
  return hf_exec(db, err,
                 "UPDATE main.retention_run SET ended_at = %lld,"
                 " complete = %d, pages_before = %lld, pages_after = %lld"
                 " WHERE run = %lld",
                 clock, run->complete, before, after, run->run);
}

/* ---- vacuum -------------------------------------------------------------- */

static int apply_pragma(sqlite3 *db, const char *name, sqlite3_int64 *value,
                        HfError *err) {
  return hf_query_int(db, err, 0, value, "PRAGMA main.%s", name);
}

/* To the end, in steps: each is a write transaction of its own.  A step frees a
** page a row of its result, so it must be stepped to its end. */
static int apply_vacuum(RetRun *run, HfError *err) {
  sqlite3 *db = run->model.conn->db;
  sqlite3_int64 mode = 0, left = 0, before, began;
  if (!run->model.options.vacuum ||
      apply_pragma(db, "auto_vacuum", &mode, err) != SQLITE_OK || mode != 2 ||
      apply_pragma(db, "freelist_count", &left, err) != SQLITE_OK) {
    return err->rc;
  }
  before = left + 1;
  while (left > 0 && left < before && err->rc == SQLITE_OK) {
    if (retention_spent(run)) {
      run->complete = 0;
      break;
    }
    before = left;
    retention_rest(run, err);
    began = retention_micros();
    hf_exec(db, err, "PRAGMA main.incremental_vacuum(500)");
    run->held += retention_micros() - began;
    apply_pragma(db, "freelist_count", &left, err);
  }
  return err->rc;
}

/* ---- tables -------------------------------------------------------------- */

/* A failure that concerns one table, not the file or the whole run. */
static int apply_is_local(const HfError *err) {
  int rc = err->rc & 0xff;
  return rc == SQLITE_CONSTRAINT || rc == SQLITE_ERROR ||
         rc == SQLITE_MISMATCH || rc == SQLITE_TOOBIG;
}

static int apply_local(const RetRun *run, RetDone *done, HfError *err) {
  if (run->model.options.strict || !apply_is_local(err)) return err->rc;
  sqlite3_free(done->blocked);
  done->blocked = err->message != NULL
                      ? err->message
                      : sqlite3_mprintf("%s", sqlite3_errstr(err->rc));
  memset(err, 0, sizeof(*err));
  if (done->blocked == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
  return err->rc;
}

/* What is left of a table. */
static int apply_count(RetRun *run, RetTable *t, RetDone *done, HfError *err) {
  RetCounts counts;
  if (t->there) {
    hf_query_int(run->model.conn->db, err, 0, &done->kept,
                 "SELECT count(*) FROM main.\"%w\"", t->name);
  }
  if (t->past == NULL || (t->held == NULL && t->protect == NULL)) {
    return err->rc;
  }
  retention_count(&run->model, t, &counts, err);
  done->held = counts.held;
  done->skipped = counts.skipped;
  return err->rc;
}

static int apply_table(RetRun *run, int i, HfError *err) {
  RetTable *t = &run->model.table[run->model.order[i]];
  RetDone *done = &run->done[i];
  sqlite3_int64 began = retention_ticks();
  done->complete = 1;
  /* What went elsewhere may have brought something here: by a trigger. */
  if (t->idle >= 0 && run->deleted == 0) {
    done->kept = t->idle;
    done->idle = 1;
    return err->rc;
  }
  retention_where(&run->model, t, err);
  retention_guard_parent(&run->model, t, err);
  if (err->rc == SQLITE_OK && !t->barred) retention_batches(run, i, err);
  if (err->rc == SQLITE_OK && t->blocked != NULL) {
    done->blocked = hf_format(err, "%s", t->blocked);
  }
  if (err->rc != SQLITE_OK) apply_local(run, done, err);
  if (err->rc == SQLITE_OK) apply_count(run, t, done, err);
  if (err->rc != SQLITE_OK) apply_local(run, done, err);
  done->ms = retention_ticks() - began;
  if (!done->complete) run->complete = 0;
  return err->rc;
}

/* ---- the report ---------------------------------------------------------- */

static char *apply_report(const RetRun *run, sqlite3_int64 before,
                          sqlite3_int64 after, HfError *err) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  int i;
  sqlite3_str_appendf(json, "{\"run\":%lld,\"now\":%lld,\"deleted\":%lld,",
                      run->run, run->model.now, run->deleted);
  sqlite3_str_appendall(json, "\"tables\":[");
  for (i = 0; i < run->model.ordered; i++) {
    const RetDone *d = &run->done[i];
    sqlite3_str_appendall(json, i ? ",{\"table\":" : "{\"table\":");
    hf_json_text(json, run->model.table[run->model.order[i]].name);
    sqlite3_str_appendf(json,
                        ",\"deleted\":%lld,\"kept\":%lld,\"held\":%lld,"
                        "\"skipped\":%lld,\"ms\":%lld",
                        d->deleted, d->kept, d->held, d->skipped, d->ms);
    if (d->blocked != NULL) {
      sqlite3_str_appendall(json, ",\"blocked\":");
      hf_json_text(json, d->blocked);
    }
    sqlite3_str_appendall(json, "}");
  }
  sqlite3_str_appendf(json, "],\"pages_before\":%lld,\"pages_after\":%lld",
                      before, after);
  if (!run->complete) sqlite3_str_appendall(json, ",\"complete\":false");
  sqlite3_str_appendall(json, "}");
  return hf_str_finish(json, err);
}

/* Say why the file does not shrink. */
static int apply_note_vacuum(RetRun *run, char **report, HfError *err) {
  sqlite3 *db = run->model.conn->db;
  sqlite3_int64 mode = 0, left = 0;
  size_t size = strlen(*report);
  char *more;
  apply_pragma(db, "auto_vacuum", &mode, err);
  apply_pragma(db, "freelist_count", &left, err);
  if (err->rc != SQLITE_OK || mode != 0 || left == 0 || run->deleted == 0) {
    return err->rc;
  }
  more = hf_format(err,
                   "%.*s,\"vacuum\":\"auto_vacuum is NONE: %lld free pages "
                   "stay in the file for new rows; PRAGMA "
                   "auto_vacuum=INCREMENTAL and VACUUM once\"}",
                   (int)size - 1, *report, left);
  sqlite3_free(*report);
  *report = more;
  return err->rc;
}

/* ---- the function -------------------------------------------------------- */

/* All tables.  Those that it did not come to keep zeros. */
static int apply_all(RetRun *run, HfError *err) {
  int i;
  run->complete = 1;
  for (i = 0; i < run->model.ordered && err->rc == SQLITE_OK; i++) {
    if (!run->complete || (i > 0 && retention_spent(run))) {
      run->complete = 0;
      break;
    }
    apply_table(run, i, err);
  }
  return err->rc;
}

static int apply_start(RetRun *run, const char *options, HfError *err) {
  if (err->rc == SQLITE_OK && run->model.clock_words != NULL) {
    return hf_fail(err, SQLITE_ERROR, "retention_apply: %s",
                   run->model.clock_words);
  }
  run->done = sqlite3_malloc64(sizeof(*run->done) *
                               (sqlite3_uint64)(run->model.ordered + 1));
  if (run->done == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  memset(run->done, 0, sizeof(*run->done) * (size_t)(run->model.ordered + 1));
  return apply_begin(run, options, err);
}

/* From the model that was loaded on; *report is for sqlite3_free.  `own`: the
** transaction at hand was begun here. */
static int apply_go(RetRun *run, const char *options, HfTxn *txn, char **report,
                    HfError *err) {
  sqlite3 *db = run->model.conn->db;
  sqlite3_int64 before = 0, after = 0;
  int own = *txn == HF_TXN_OWN;
  apply_pragma(db, "page_count", &before, err);
  apply_start(run, options, err);
  if (own) {
    hf_txn_end(db, *txn, err);
    *txn = HF_TXN_NONE;
  }
  if (err->rc == SQLITE_OK) apply_all(run, err);
  if (err->rc == SQLITE_OK) apply_vacuum(run, err);
  apply_pragma(db, "page_count", &after, err);
  if (err->rc == SQLITE_OK && own) {
    hf_txn_begin(db, "main", "retention_apply", txn, err);
  }
  if (err->rc == SQLITE_OK) apply_end(run, before, after, err);
  if (err->rc == SQLITE_OK) *report = apply_report(run, before, after, err);
  if (err->rc == SQLITE_OK) apply_note_vacuum(run, report, err);
  return err->rc;
}

/* An open statement makes all that is read one transaction, which takes less
** time than one for each table.  Where readers keep writers out, it would keep
** them out for long. */
static sqlite3_stmt *apply_open(sqlite3 *db, HfError *err) {
  sqlite3_stmt *open = NULL;
  char *mode = NULL;
  if (hf_query_text(db, err, &mode, "PRAGMA main.journal_mode") == SQLITE_OK &&
      mode != NULL && strcmp(mode, "wal") == 0 &&
      sqlite3_prepare_v2(db, "SELECT 1 FROM main.sqlite_schema", -1, &open,
                         NULL) == SQLITE_OK) {
    sqlite3_step(open);
  }
  sqlite3_free(mode);
  return open;
}

/* Reading is done before the lock is taken.  What changes until then is seen by
** the batches. */
static int apply_read(HfConn *conn, sqlite3_int64 now,
                      const RetOptions *options, RetModel *model,
                      HfError *err) {
  sqlite3_stmt *open;
  if (err->rc != SQLITE_OK) return err->rc;
  open = apply_open(conn->db, err);
  if (retention_model_load(conn, now, options, model, err) == SQLITE_OK) {
    model->apply = 1;
    retention_guard_clock(model, err);
  }
  sqlite3_finalize(open);
  return err->rc;
}

/*
** retention_apply([now [, options]])
**
** now: INTEGER, ms since 1970; NULL or none: the clock.  options: a JSON
** object, see retention_options.c.  Returns a JSON report, one member of
** `tables` a table, in the order of the work; `blocked` where something was
** refused or failed, `complete` false where the budget ended first.  Errors: a
** clock that the data cannot have; bad arguments; inside a statement that
** writes; SQLITE_BUSY, SQLITE_INTERRUPT and others of the file as they are:
** batches that were done stay done.
*/
static void apply_function(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  static const char function[] = "retention_apply";
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  RetOptions options;
  sqlite3_int64 now = 0;
  const char *json = NULL;
  char *report = NULL;
  RetRun run;
  HfTxn txn = HF_TXN_NONE;
  int i;
  memset(&run, 0, sizeof(run));
  retention_now(conn->db, function, argc > 0 ? argv[0] : NULL, &now, &err);
  retention_settings(conn->db, function, argc > 1 ? argv[1] : NULL, &options,
                     &err);
  if (err.rc == SQLITE_OK && argc > 1) {
    json = (const char *)sqlite3_value_text(argv[1]);
  }
  run.started = retention_ticks();
  apply_read(conn, now, &options, &run.model, &err);
  if (err.rc == SQLITE_OK &&
      hf_txn_begin(conn->db, "main", function, &txn, &err) == SQLITE_OK) {
    apply_go(&run, json, &txn, &report, &err);
    hf_txn_end(conn->db, txn, &err);
  }
  if (err.rc == SQLITE_OK && run.deleted > 0 &&
      sqlite3_get_autocommit(conn->db)) {
    sqlite3_wal_checkpoint_v2(conn->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL,
                              NULL);
  }
  for (i = 0; run.done != NULL && i < run.model.ordered; i++) {
    sqlite3_free(run.done[i].blocked);
  }
  sqlite3_free(run.done);
  retention_model_clear(&run.model);
  hf_result_text(context, report, &err);
}

int retention_apply_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"retention_apply", 0, HF_CHANGES, apply_function},
      {"retention_apply", 1, HF_CHANGES, apply_function},
      {"retention_apply", 2, HF_CHANGES, apply_function},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
