/*
** What a door returns: a verdict in JSON; and the record of a refusal.
*/
#include <string.h>

#include "process/process.h"

void process_move_clear(ProcessMove *move) {
  sqlite3_free(move->from);
  sqlite3_free(move->first);
  sqlite3_free(move->last);
  sqlite3_free(move->mode);
  sqlite3_free(move->proof);
  sqlite3_free(move->actor);
  sqlite3_free(move->left_holder);
  sqlite3_free(move->reason);
  sqlite3_free(move->words);
}

int process_refused(HfConn *conn, const ProcessMove *move, HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, PROCESS_DECIDE, err);
  if (stmt == NULL) return err->rc;
  process_bind(stmt, 1, move->allowed ? "bypass" : "block");
  process_bind(stmt, 2, move->task);
  process_bind(stmt, 3, move->kind);
  process_bind(stmt, 4, move->from);
  process_bind(stmt, 5, move->to);
  process_bind(stmt, 6, move->agent);
  process_bind(stmt, 7, move->reason);
  process_bind(stmt, 8, move->mode);
  process_bind(stmt, 9, move->words);
  if (hf_step_done(conn->db, stmt, err) == SQLITE_OK &&
      sqlite3_changes(conn->db) != 1) {
    hf_fail(err, SQLITE_ERROR,
            "process_decision: a trigger has swallowed the decision");
  }
  process_give(conn, PROCESS_DECIDE, &stmt);
  return err->rc;
}

/* ---- JSON ---------------------------------------------------------------- */

void process_json_text(sqlite3_str *json, const char *name, const char *text) {
  sqlite3_str_appendf(json, ",\"%s\":", name);
  if (text == NULL) {
    sqlite3_str_appendall(json, "null");
  } else {
    hf_json_text(json, text);
  }
}

static void verdict_number(sqlite3_str *json, const char *name,
                           sqlite3_int64 number) {
  if (number == 0) {
    sqlite3_str_appendf(json, ",\"%s\":null", name);
  } else {
    sqlite3_str_appendf(json, ",\"%s\":%lld", name, number);
  }
}

/* ,"name":[...] of the first column of a statement, which it gives back. */
static void verdict_list(HfConn *conn, sqlite3_str *json, const char *name,
                         ProcessSql sql, sqlite3_stmt *stmt, HfError *err) {
  int n = 0, rc = SQLITE_DONE;
  sqlite3_str_appendf(json, ",\"%s\":[", name);
  while (stmt != NULL && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    if (n++ > 0) sqlite3_str_appendchar(json, 1, ',');
    hf_json_text(json, text ? text : "");
  }
  if (rc != SQLITE_DONE) hf_fail_db(err, conn->db);
  sqlite3_str_appendchar(json, 1, ']');
  process_give(conn, sql, &stmt);
}

/* What is missing, where that was the reason. */
static void verdict_missing(HfConn *conn, sqlite3_str *json,
                            const ProcessMove *move, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  if (move->reason != NULL &&
      (strcmp(move->reason, "missing_evidence") == 0 ||
       strcmp(move->reason, "final_verification_failed") == 0)) {
    stmt = process_take(conn, PROCESS_MISSING, err);
    if (stmt != NULL) sqlite3_bind_int64(stmt, 1, move->visit);
  }
  verdict_list(conn, json, "missing", PROCESS_MISSING, stmt, err);
}

/* The rules that were not kept, outside of enforcement. */
static void verdict_bypassed(HfConn *conn, sqlite3_str *json,
                             const ProcessMove *move, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  if (move->allowed && strcmp(move->mode, "enforce") != 0) {
    stmt = process_take(conn, PROCESS_BYPASSED, err);
    if (stmt != NULL) {
      process_bind(stmt, 1, move->task);
      sqlite3_bind_int64(stmt, 2, move->seq);
    }
  }
  verdict_list(conn, json, "bypassed", PROCESS_BYPASSED, stmt, err);
}

/* Who has the task: the agent itself, or whoever is in its way. */
static void verdict_holder(HfConn *conn, sqlite3_str *json,
                           const ProcessMove *move, HfError *err) {
  sqlite3_int64 token = 0, in = 0, token_to = 0, in_to = 0;
  char *holder = NULL, *holder_to = NULL;
  if (move->allowed) {
    process_held(conn, move->task, move->to, &token, &holder, &in, err);
  } else {
    if (move->from != NULL) {
      process_held(conn, move->task, move->from, &token, &holder, &in, err);
    }
    if (holder == NULL || strcmp(holder, move->agent) == 0) {
      process_held(conn, move->task, move->to, &token_to, &holder_to, &in_to,
                   err);
    }
    if (holder_to != NULL &&
        (holder == NULL || strcmp(holder_to, move->agent) != 0)) {
      char *other = holder;
      holder = holder_to;
      holder_to = other;
      in = in_to;
    }
  }
  process_json_text(json, "holder", holder);
  if (holder == NULL) {
    sqlite3_str_appendall(json, ",\"expires_in\":null");
  } else {
    sqlite3_str_appendf(json, ",\"expires_in\":%lld", in);
  }
  sqlite3_free(holder);
  sqlite3_free(holder_to);
}

char *process_verdict(HfConn *conn, const ProcessMove *move, HfError *err) {
  sqlite3_str *json = sqlite3_str_new(conn->db);
  sqlite3_str_appendf(json, "{\"allowed\":%s",
                      move->allowed ? "true" : "false");
  process_json_text(json, "task", move->task);
  process_json_text(json, "kind", move->kind);
  process_json_text(json, "from", move->from);
  process_json_text(json, "to", move->to);
  verdict_number(json, "seq", move->seq);
  verdict_number(json, "token", move->allowed ? move->token : 0);
  process_json_text(json, "reason", move->reason);
  process_json_text(json, "message", move->words);
  verdict_missing(conn, json, move, err);
  verdict_holder(conn, json, move, err);
  verdict_bypassed(conn, json, move, err);
  process_json_text(json, "enforcement", move->mode);
  sqlite3_str_appendchar(json, 1, '}');
  return hf_str_finish(json, err);
}
