/*
** One move of a task, within a transaction that a door has begun.
**
** The lease of the phase that is entered is acquired, the entry appended, and
** the lease of the phase that is left released.  Whether the move is allowed is
** decided by the triggers on phase_ledger_entry alone; where they refuse, all
** of it is undone, and the refusal recorded.
*/
#include <string.h>

#include "core/digest.h"
#include "process/process.h"

int process_held(HfConn *conn, const char *task, const char *phase,
                 sqlite3_int64 *token, char **holder, sqlite3_int64 *expires_in,
                 HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, PROCESS_HELD, err);
  *token = 0;
  *holder = NULL;
  if (stmt == NULL) return err->rc;
  process_bind(stmt, 1, task);
  process_bind(stmt, 2, phase);
  switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
      *token = sqlite3_column_int64(stmt, 0);
      *holder = hf_column_text_or_null(stmt, 1, err);
      *expires_in = sqlite3_column_int64(stmt, 2);
      break;
    case SQLITE_DONE:
      break;
    default:
      hf_fail_db(err, conn->db);
  }
  process_give(conn, PROCESS_HELD, &stmt);
  return err->rc;
}

/* An item of evidence, as process_proof has it. */
static void shown_item(sqlite3_str *json, sqlite3_stmt *row) {
  char hex[2 * HF_SHA256_SIZE + 1];
  sqlite3_str_appendf(json, "%c{\"id\":%lld,\"kind\":\"",
                      sqlite3_str_length(json) ? ',' : '[',
                      sqlite3_column_int64(row, 0));
  sqlite3_str_append(json, (const char *)sqlite3_column_text(row, 1),
                     sqlite3_column_bytes(row, 1));
  sqlite3_str_appendall(json, "\",\"sha256\":");
  if (sqlite3_column_bytes(row, 2) == HF_SHA256_SIZE) {
    hf_hex(sqlite3_column_blob(row, 2), HF_SHA256_SIZE, hex);
    sqlite3_str_appendchar(json, 1, '"');
    sqlite3_str_append(json, hex, 2 * HF_SHA256_SIZE);
    sqlite3_str_appendall(json, "\"}");
  } else {
    sqlite3_str_appendall(json, "null}");
  }
}

char *process_shown(HfConn *conn, sqlite3_int64 visit, HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, PROCESS_PROOF, err);
  sqlite3_str *json;
  char *text;
  int rc;
  if (stmt == NULL) return NULL;
  json = sqlite3_str_new(conn->db);
  sqlite3_bind_int64(stmt, 1, visit);
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) shown_item(json, stmt);
  if (rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  process_give(conn, PROCESS_PROOF, &stmt);
  if (sqlite3_str_length(json) > 0) sqlite3_str_appendchar(json, 1, ']');
  text = hf_str_finish(json, err);
  if (err->rc == SQLITE_OK && text[0] != 0) return text;
  sqlite3_free(text);
  return NULL;
}

static void move_read(ProcessMove *move, sqlite3_stmt *stmt, HfError *err) {
  move->visit = sqlite3_column_int64(stmt, 0);
  move->from = hf_column_text_or_null(stmt, 1, err);
  move->last = hf_column_text_or_null(stmt, 2, err);
  move->actor = hf_column_text_or_null(stmt, 3, err);
  move->mode = hf_column_text_or_null(stmt, 4, err);
  move->first = hf_column_text_or_null(stmt, 5, err);
  move->attested_size = sqlite3_column_bytes(stmt, 6);
  if (move->attested_size == (int)sizeof(move->attested)) {
    memcpy(move->attested, sqlite3_column_blob(stmt, 6),
           sizeof(move->attested));
  }
  move->floor = sqlite3_column_int64(stmt, 7);
  if (err->rc == SQLITE_OK && move->mode == NULL) {
    hf_fail(err, SQLITE_CORRUPT_VTAB, "process_mode says nothing; restore it");
  }
  if (move->to == NULL) move->to = move->first ? move->first : "";
}

int process_state(HfConn *conn, ProcessMove *move, HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, PROCESS_STATE, err);
  sqlite3_int64 expires_in;
  if (stmt == NULL) return err->rc;
  process_bind(stmt, 1, move->task);
  sqlite3_bind_int(stmt, 2, move->to == NULL);
  if (sqlite3_step(stmt) == SQLITE_ROW) {
    move_read(move, stmt, err);
  } else {
    hf_fail_db(err, conn->db);
  }
  process_give(conn, PROCESS_STATE, &stmt);
  if (err->rc != SQLITE_OK || move->from == NULL) return err->rc;
  move->proof = process_shown(conn, move->visit, err);
  if (err->rc == SQLITE_OK) {
    process_held(conn, move->task, move->from, &move->left, &move->left_holder,
                 &expires_in, err);
  }
  return err->rc;
}

/* ---- leases -------------------------------------------------------------- */

/* Acquire or release the lease of a phase, or ask for it; *out: the function's
** result, 0 for NULL. */
static int move_lease(HfConn *conn, ProcessSql sql, const ProcessMove *move,
                      const char *phase, sqlite3_int64 token,
                      sqlite3_int64 *out, HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, sql, err);
  *out = 0;
  if (stmt == NULL) return err->rc;
  process_bind(stmt, 1, move->task);
  process_bind(stmt, 2, phase);
  if (sql == PROCESS_ACQUIRE) {
    process_bind(stmt, 3, move->agent);
  } else {
    sqlite3_bind_int64(stmt, 3, token);
  }
  if (sqlite3_step(stmt) == SQLITE_ROW) {
    *out = sqlite3_column_int64(stmt, 0);
    sqlite3_step(stmt);
  } else {
    hf_fail_db(err, conn->db);
  }
  process_give(conn, sql, &stmt);
  return err->rc;
}

/* The lease of a phase for the agent; one that it has already is renewed where
** its token will do, else granted anew.  move->token is 0 when somebody else
** has it. */
static int move_acquire(HfConn *conn, ProcessMove *move, const char *phase,
                        HfError *err) {
  sqlite3_int64 least = move->floor + (strcmp(move->kind, "complete") != 0);
  sqlite3_int64 has = 0, expires_in, released;
  char *holder = NULL;
  if (move_lease(conn, PROCESS_ACQUIRE, move, phase, 0, &move->token, err) !=
          SQLITE_OK ||
      move->token >= least) {
    return err->rc;
  }
  if (process_held(conn, move->task, phase, &has, &holder, &expires_in, err) ==
          SQLITE_OK &&
      holder != NULL && strcmp(holder, move->agent) == 0) {
    move_lease(conn, PROCESS_RELEASE, move, phase, has, &released, err);
    move_lease(conn, PROCESS_ACQUIRE, move, phase, 0, &move->token, err);
  }
  sqlite3_free(holder);
  return err->rc;
}

/* The phase whose lease the move needs, or NULL. */
static const char *move_leased(const ProcessMove *move) {
  if (strcmp(move->kind, "complete") == 0) return move->from;
  return strcmp(move->to, PROCESS_DONE) == 0 ? NULL : move->to;
}

/* Hand over: the lease of the phase that is left ends.  Force ends anybody's,
** the others the agent's own. */
static int move_leave(HfConn *conn, const ProcessMove *move, HfError *err) {
  sqlite3_int64 released;
  int force = strcmp(move->kind, "force") == 0;
  if (move->from == NULL) return err->rc;
  if (strcmp(move->kind, "complete") == 0 && move->token != 0) {
    return move_lease(conn, PROCESS_RELEASE, move, move->from, move->token,
                      &released, err);
  }
  if (move->left == 0 || strcmp(move->from, move->to) == 0 ||
      (!force && strcmp(move->left_holder, move->agent) != 0)) {
    return err->rc;
  }
  return move_lease(conn, PROCESS_RELEASE, move, move->from, move->left,
                    &released, err);
}

/* ---- the entry ----------------------------------------------------------- */

static void move_bind(sqlite3_stmt *stmt, const ProcessMove *move) {
  int start = strcmp(move->kind, "start") == 0;
  process_bind(stmt, 1, move->task);
  process_bind(stmt, 2, move->kind);
  process_bind(stmt, 3, start ? NULL : move->from);
  process_bind(stmt, 4, move->to);
  process_bind(stmt, 5, move->agent);
  if (move->token != 0) sqlite3_bind_int64(stmt, 6, move->token);
  process_bind(stmt, 7, move->mode);
  if (!start && move->attested_size > 0) {
    sqlite3_bind_blob(stmt, 8, move->attested, move->attested_size,
                      SQLITE_STATIC);
  }
  process_bind(stmt, 9, start ? NULL : move->proof);
  process_bind(stmt, 10, move->why);
}

/* What the walls refuse is a verdict, with their words; what is wrong with the
** call or with the file is an error. */
static int move_translate(HfConn *conn, ProcessMove *move, HfError *err) {
  static const char *const error[] = {"form", "record", "state"};
  const char *reason = conn->refused;
  size_t i;
  if ((err->rc & 0xff) != SQLITE_CONSTRAINT) return err->rc;
  for (i = 0; i < sizeof(error) / sizeof(*error); i++) {
    if (strcmp(reason, error[i]) == 0) return err->rc;
  }
  move->words = err->message;
  err->message = NULL;
  hf_error_clear(err);
  move->reason = hf_format(err, "%s", reason[0] ? reason : "policy");
  return err->rc;
}

static int move_append(HfConn *conn, ProcessMove *move, HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, PROCESS_INSERT, err);
  if (stmt == NULL) return err->rc;
  move_bind(stmt, move);
  conn->refused[0] = 0;
  if (hf_step_done(conn->db, stmt, err) == SQLITE_OK) {
    move->allowed = 1;
    move->seq = sqlite3_last_insert_rowid(conn->db);
  }
  process_give(conn, PROCESS_INSERT, &stmt);
  return move_translate(conn, move, err);
}

/* The token that the caller gives must hold the phase now. */
static int move_fence(HfConn *conn, ProcessMove *move, HfError *err) {
  sqlite3_int64 token = 0, holds = 0;
  if (move->fence == NULL || move->from == NULL ||
      strcmp(move->mode, "off") == 0) {
    return err->rc;
  }
  (void)hf_value_whole(move->fence, &token);
  if (move_lease(conn, PROCESS_HOLDS, move, move->from, token, &holds, err) !=
          SQLITE_OK ||
      (holds && move->left == token)) {
    return err->rc;
  }
  move->reason = hf_format(err, "stale_token");
  move->words = hf_format(err,
                          "phase_ledger: task '%.100s': token %lld does not "
                          "hold %s now; %s does",
                          move->task, token, move->from,
                          move->left_holder ? move->left_holder : "nobody");
  return err->rc;
}

/* Acquire, append, hand over; or nothing of it. */
static int move_try(HfConn *conn, ProcessMove *move, HfError *err) {
  const char *leased = move_leased(move);
  process_run(conn, PROCESS_SAVE, err);
  if (err->rc == SQLITE_OK && leased != NULL) {
    move_acquire(conn, move, leased, err);
    if (err->rc == SQLITE_OK && move->token == 0) {
      /* That it is contended stays in the history of the leases. */
      process_run(conn, PROCESS_KEEP, err);
      process_run(conn, PROCESS_SAVE, err);
    }
  }
  if (err->rc == SQLITE_OK) move_append(conn, move, err);
  if (err->rc != SQLITE_OK) return err->rc; /* the door undoes everything */
  if (move->allowed) {
    move_leave(conn, move, err);
  } else {
    move->token = 0;
    process_run(conn, PROCESS_UNDO, err);
  }
  return process_run(conn, PROCESS_KEEP, err);
}

int process_move(HfConn *conn, ProcessMove *move, HfError *err) {
  if (move_fence(conn, move, err) != SQLITE_OK) return err->rc;
  if (move->reason != NULL && strcmp(move->mode, "observe") == 0) {
    move->allowed = 1;
    process_refused(conn, move, err);
    move->allowed = 0;
    sqlite3_free(move->reason);
    sqlite3_free(move->words);
    move->reason = NULL;
    move->words = NULL;
  }
  if (move->reason == NULL && move_try(conn, move, err) != SQLITE_OK) {
    return err->rc;
  }
  return move->allowed ? err->rc : process_refused(conn, move, err);
}
