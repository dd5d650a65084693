/*
** The doors of phases.  Each is one transaction with everything that belongs to
** a move, and returns a verdict, JSON:
**
**   {"allowed","task","kind","from","to","seq","token","reason","message",
**    "missing":[…],"holder","expires_in","bypassed":[…],"enforcement"}
**
** reason and message are null when it is allowed.  A refusal is recorded in
** process_decision.  Errors: arguments that are no TEXT; inside a statement
** that writes; SQLITE_BUSY as it is.
*/
#include <string.h>

#include "process/process.h"

static void door_run(sqlite3_context *context, const char *door,
                     ProcessMove *move, HfError *err) {
  HfConn *conn = sqlite3_user_data(context);
  sqlite3_int64 rowid = sqlite3_last_insert_rowid(conn->db);
  char *json = NULL;
  HfTxn txn;
  if (err->rc == SQLITE_OK &&
      hf_kept_begin(conn, door, &txn, err) == SQLITE_OK) {
    if (process_state(conn, move, err) == SQLITE_OK &&
        process_move(conn, move, err) == SQLITE_OK) {
      json = process_verdict(conn, move, err);
    }
    hf_kept_end(conn, txn, err);
    sqlite3_set_last_insert_rowid(conn->db, rowid);
  }
  process_move_clear(move);
  hf_result_text(context, json, err);
}

static const char *door_text(const char *door, const char *what,
                             sqlite3_value *value, HfError *err) {
  return process_text(door, what, value, PROCESS_TEXT_MAX, err);
}

/*
** phase_start(task, agent)
**
** Begins a task in the first phase, whose lease the agent gets.
*/
static void door_start(sqlite3_context *context, int argc,
                       sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  ProcessMove move;
  (void)argc;
  memset(&move, 0, sizeof(move));
  move.kind = "start";
  move.task = door_text("phase_start", "the task", argv[0], &err);
  move.agent = door_text("phase_start", "the agent", argv[1], &err);
  door_run(context, "phase_start", &move, &err);
}

/*
** phase_advance(task, to, agent [, token])
**
** On to the next phase.  token: INTEGER, that of the agent's lease on the phase
** it leaves: when it holds that no more, the move is refused.
*/
static void door_advance(sqlite3_context *context, int argc,
                         sqlite3_value **argv) {
  static const char door[] = "phase_advance";
  HfError err = {SQLITE_OK, NULL};
  sqlite3_int64 token;
  ProcessMove move;
  memset(&move, 0, sizeof(move));
  move.kind = "advance";
  move.task = door_text(door, "the task", argv[0], &err);
  move.to = door_text(door, "the phase", argv[1], &err);
  move.agent = door_text(door, "the agent", argv[2], &err);
  if (argc > 3 && sqlite3_value_type(argv[3]) != SQLITE_NULL) {
    move.fence = argv[3];
    if (!hf_value_whole(argv[3], &token)) {
      hf_fail(&err, SQLITE_ERROR, "%s: the token must be an INTEGER", door);
    }
  }
  door_run(context, door, &move, &err);
}

static void door_why(sqlite3_context *context, const char *door,
                     const char *kind, sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  ProcessMove move;
  memset(&move, 0, sizeof(move));
  move.kind = kind;
  move.task = door_text(door, "the task", argv[0], &err);
  move.to = door_text(door, "the phase", argv[1], &err);
  move.agent = door_text(door, "the agent", argv[2], &err);
  move.why = process_text(door, "the reason", argv[3], 65536, &err);
  door_run(context, door, &move, &err);
}

/*
** phase_backtrack(task, to, agent, why)
**
** Back to an earlier phase.  It needs no evidence.
*/
static void door_backtrack(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  (void)argc;
  door_why(context, "phase_backtrack", "backtrack", argv);
}

/*
** phase_force(task, to, actor, why)
**
** To any phase, or to DONE, which closes the task: an operator's move, against
** every rule but the one that nothing comes after the end.  It ends whoever's
** lease on the phase that is left.
*/
static void door_force(sqlite3_context *context, int argc,
                       sqlite3_value **argv) {
  (void)argc;
  door_why(context, "phase_force", "force", argv);
}

/*
** phase_complete(task, agent)
**
** Ends a task that is in the last phase and has been in all.
*/
static void door_complete(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  ProcessMove move;
  (void)argc;
  memset(&move, 0, sizeof(move));
  move.kind = "complete";
  move.to = PROCESS_DONE;
  move.task = door_text("phase_complete", "the task", argv[0], &err);
  move.agent = door_text("phase_complete", "the agent", argv[1], &err);
  door_run(context, "phase_complete", &move, &err);
}

/*
** process_refuse(reason, words)
**
** For the triggers of sql/process.sql: fails with the words, as RAISE(ABORT)
** does, which takes none that are computed before SQLite 3.47.
*/
static void door_refuse(sqlite3_context *context, int argc,
                        sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  const char *reason = (const char *)sqlite3_value_text(argv[0]);
  const char *words = (const char *)sqlite3_value_text(argv[1]);
  (void)argc;
  sqlite3_snprintf(sizeof(conn->refused), conn->refused, "%s",
                   reason ? reason : "");
  sqlite3_result_error(context, words ? words : "phase_ledger: refused", -1);
  sqlite3_result_error_code(context, SQLITE_CONSTRAINT_TRIGGER);
}

/*
** process_lacks(visit)
**
** For the trigger that process_refuse() is for: the messages of
** process_missing, in its order, TEXT; NULL when nothing is missing.
*/
static void door_lacks(sqlite3_context *context, int argc,
                       sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  sqlite3_stmt *stmt = process_take(conn, PROCESS_LACKS, &err);
  (void)argc;
  if (stmt != NULL) {
    sqlite3_bind_value(stmt, 1, argv[0]);
    if (sqlite3_step(stmt) == SQLITE_ROW) {
      sqlite3_result_value(context, sqlite3_column_value(stmt, 0));
    } else {
      hf_fail_db(&err, conn->db);
    }
  }
  process_give(conn, PROCESS_LACKS, &stmt);
  if (err.rc != SQLITE_OK) hf_error_to_result(&err, context);
}

/*
** process_shown(visit)
**
** For the same trigger: the evidence of process_proof, TEXT, which the view
** takes three times as long to say; NULL when there is none.
*/
static void door_shown(sqlite3_context *context, int argc,
                       sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  HfError err = {SQLITE_OK, NULL};
  char *text;
  (void)argc;
  if (sqlite3_value_type(argv[0]) != SQLITE_INTEGER) return;
  text = process_shown(conn, sqlite3_value_int64(argv[0]), &err);
  if (err.rc != SQLITE_OK) {
    hf_error_to_result(&err, context);
  } else {
    sqlite3_result_text(context, text, -1, sqlite3_free);
  }
}

int process_doors_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"phase_start", 2, HF_CHANGES, door_start},
      {"phase_advance", 3, HF_CHANGES, door_advance},
      {"phase_advance", 4, HF_CHANGES, door_advance},
      {"phase_backtrack", 4, HF_CHANGES, door_backtrack},
      {"phase_complete", 2, HF_CHANGES, door_complete},
      {"phase_force", 4, HF_CHANGES, door_force},
      {"process_refuse", 2, HF_LOOKUP, door_refuse},
      {"process_lacks", 1, HF_LOOKUP, door_lacks},
      {"process_shown", 1, HF_LOOKUP, door_shown},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
