/*
** Process: the doors of phases and prompts.  Their walls are the triggers of
** sql/process.sql on phase_ledger_entry, to which the doors are held as well.
**
**   process_statements.c  the statements of the doors, kept per connection
**   process_verdict.c     what a door returns, and records when it refuses
**   process_move.c        one move: the lease, the entry, the refusal
**   process_doors.c       phase_start, phase_advance, …; process_refuse
**   process_spec.c        the specification of a prompt
**   process_prompt.c      attest_prompt, prompt_attest, prompt_baseline
**   process_rebuild.c     process_rebuild; the doctor's part; registration
*/
#ifndef HF_PROCESS_PROCESS_H
#define HF_PROCESS_PROCESS_H

#include "core/prompt.h"
#include "sqlite/hf.h"

#define PROCESS_TEXT_MAX 512 /* bytes of a task, a phase or an agent */
#define PROCESS_DONE "DONE"  /* to_phase of the last entry */

/* ---- statements (process_statements.c) ----------------------------------- */

typedef enum ProcessSql {
  PROCESS_STATE,   /* where task ?1 is; ?2: and the first phase */
  PROCESS_PROOF,   /* what was shown in visit ?1 */
  PROCESS_HELD,    /* who holds phase ?2 of task ?1 */
  PROCESS_ACQUIRE, /* it, for agent ?3 */
  PROCESS_RELEASE, /* it, of token ?3 */
  PROCESS_HOLDS,   /* does token ?3 hold it? */
  PROCESS_INSERT,
  PROCESS_DECIDE,
  PROCESS_BYPASSED, /* the rules that entry ?2 of task ?1 has not kept */
  PROCESS_MISSING,  /* what entry ?1 still lacks */
  PROCESS_LACKS,    /* the same in one text */
  PROCESS_SAVE,
  PROCESS_UNDO,
  PROCESS_KEEP,
  PROCESS_BASELINE, /* of task ?1 in phase ?2 */
  PROCESS_ATTEST,
  PROCESS_SQLS
} ProcessSql;

/* A statement, on loan; NULL with the failure recorded. */
sqlite3_stmt *process_take(HfConn *conn, ProcessSql sql, HfError *err);
void process_give(HfConn *conn, ProcessSql sql, sqlite3_stmt **stmt);

/* Run one that returns nothing of interest. */
int process_run(HfConn *conn, ProcessSql sql, HfError *err);

/* ---- arguments ----------------------------------------------------------- */

/* The TEXT of an argument: well-formed, no NUL, not blank, of at most so many
** bytes; NULL with the failure recorded, which names the door and what it
** is. */
const char *process_text(const char *door, const char *what,
                         sqlite3_value *value, int most, HfError *err);

void process_bind(sqlite3_stmt *stmt, int i, const char *text);

/* ---- verdicts (process_verdict.c) ---------------------------------------- */

/* A move that is asked for, and what came of it.  The texts of the first part
** are the caller's, those of the second for sqlite3_free. */
typedef struct ProcessMove {
  const char *kind; /* start, advance, … as in phase_ledger */
  const char *task;
  const char *to;
  const char *agent;
  const char *why;      /* or NULL */
  sqlite3_value *fence; /* a token that must hold the phase, or NULL */

  char *from;          /* where the task is; NULL: nowhere */
  char *first;         /* the first phase, which is to when that is NULL */
  char *last;          /* the kind of its last entry */
  char *mode;          /* enforce, observe, off */
  char *proof;         /* the evidence of from */
  char *actor;         /* who made the last move */
  sqlite3_int64 visit; /* the last entry, 0 for none */
  sqlite3_int64 floor; /* the greatest token of the task */
  sqlite3_int64 token; /* of the new lease, or 0 */
  sqlite3_int64 left;  /* of the lease on from, whoever holds it, or 0 */
  char *left_holder;
  unsigned char attested[32];
  int attested_size;

  int allowed;
  sqlite3_int64 seq;
  char *reason; /* code and words of a refusal */
  char *words;
} ProcessMove;

void process_move_clear(ProcessMove *move);

/* Record a refusal. */
int process_refused(HfConn *conn, const ProcessMove *move, HfError *err);

/* Append ,"name":"text", or null. */
void process_json_text(sqlite3_str *json, const char *name, const char *text);

/* The verdict as JSON, for sqlite3_free. */
char *process_verdict(HfConn *conn, const ProcessMove *move, HfError *err);

/* ---- moves (process_move.c) ---------------------------------------------- */

/* Read where the task is. */
int process_state(HfConn *conn, ProcessMove *move, HfError *err);

/* The evidence of a stay, in the words of the view process_proof, which
** sqlite3_free takes back; NULL when there is none or with the failure
** recorded. */
char *process_shown(HfConn *conn, sqlite3_int64 visit, HfError *err);

/* Who holds a phase of a task: *token is 0 when nobody does. */
int process_held(HfConn *conn, const char *task, const char *phase,
                 sqlite3_int64 *token, char **holder, sqlite3_int64 *expires_in,
                 HfError *err);

/* Make the move, whose state was read, within a transaction: allowed, or else
** refused and recorded so. */
int process_move(HfConn *conn, ProcessMove *move, HfError *err);

/* ---- specifications of prompts (process_spec.c) -------------------------- */

/* What was read of it; the texts are for sqlite3_free. */
typedef struct ProcessSpec {
  HfPrompt form;
  char hash[2 * HF_SHA256_SIZE + 1];
  char digest[HF_PROMPT_FIELDS][2 * HF_SHA256_SIZE + 1]; /* "": not there */
  char *text[HF_PROMPT_FIELDS]; /* of the fields that are strings */
  char *summary;
} ProcessSpec;

void process_spec_clear(ProcessSpec *spec);

/* Read the JSON of the argument; with _read, the digests and texts of its
** fields, too.  Errors name the function. */
int process_spec_parse(HfConn *conn, const char *function, sqlite3_value *value,
                       ProcessSpec *spec, HfError *err);
int process_spec_read(HfConn *conn, const char *function, sqlite3_value *value,
                      ProcessSpec *spec, HfError *err);

/* {"phase":"hex",…} of the fields that are there. */
char *process_spec_components(const ProcessSpec *spec, HfError *err);

/* ["requirements",…]: the fields whose digests are not those of the baseline's
** components; NULL when these are not known. */
char *process_spec_changed(const ProcessSpec *spec, const char *components,
                           HfError *err);

/* ---- registration -------------------------------------------------------- */

int process_doors_register(HfConn *conn);
int process_prompt_register(HfConn *conn);

#endif
