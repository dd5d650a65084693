/*
** Attestation of prompts: their canonical hash, the comparison with the
** baseline, and a new baseline.
*/
#include <string.h>

#include "process/process.h"

#define PROMPT_WHY_MAX 65536

/* ---- an attestation ------------------------------------------------------ */

/* The baseline of (task, phase), and what the new entry says. */
typedef struct PromptEntry {
  char *hash; /* of the baseline, NULL: there is none */
  char *components;
  char *persona;
  char *severity; /* of a drift in this phase */
  char *back_to;
  sqlite3_int64 version;
  sqlite3_int64 baseline_seq;

  const char *kind;
  int drift;
  int persona_drift;
  char *changed;
  char *own; /* components of the new one */
  char *details;
  sqlite3_int64 seq;
  int blocked;
  sqlite3_int64 moved; /* the entry in phase_ledger that moved the task back */
} PromptEntry;

static void prompt_entry_clear(PromptEntry *entry) {
  sqlite3_free(entry->hash);
  sqlite3_free(entry->components);
  sqlite3_free(entry->persona);
  sqlite3_free(entry->severity);
  sqlite3_free(entry->back_to);
  sqlite3_free(entry->changed);
  sqlite3_free(entry->own);
  sqlite3_free(entry->details);
}

static int prompt_baseline_read(HfConn *conn, const char *task,
                                const char *phase, PromptEntry *entry,
                                HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, PROCESS_BASELINE, err);
  if (stmt == NULL) return err->rc;
  process_bind(stmt, 1, task);
  process_bind(stmt, 2, phase);
  if (sqlite3_step(stmt) == SQLITE_ROW) {
    entry->hash = hf_column_text_or_null(stmt, 0, err);
    entry->version = sqlite3_column_int64(stmt, 1);
    entry->components = hf_column_text_or_null(stmt, 2, err);
    entry->persona = hf_column_text_or_null(stmt, 3, err);
    entry->baseline_seq = sqlite3_column_int64(stmt, 4);
    entry->severity = hf_column_text_or_null(stmt, 5, err);
    entry->back_to = hf_column_text_or_null(stmt, 6, err);
  } else {
    hf_fail_db(err, conn->db);
  }
  process_give(conn, PROCESS_BASELINE, &stmt);
  return err->rc;
}

static int prompt_compare_baseline(const ProcessSpec *spec, PromptEntry *entry,
                                   HfError *err) {
  const char *persona = spec->text[6];
  entry->kind = entry->hash == NULL ? "first" : "attest";
  entry->own = process_spec_components(spec, err);
  if (entry->hash == NULL) {
    entry->version = 1;
    return err->rc;
  }
  entry->drift = strcmp(entry->hash, spec->hash) != 0;
  entry->persona_drift = entry->persona != NULL && persona != NULL &&
                         strcmp(entry->persona, persona) != 0;
  if (entry->drift) {
    entry->changed = process_spec_changed(spec, entry->components, err);
    entry->details = hf_format(err,
                               "Prompt specification changed from baseline "
                               "(%.8s... \xe2\x86\x92 %.8s...)",
                               entry->hash, spec->hash);
  }
  return err->rc;
}

static int prompt_append(HfConn *conn, const ProcessSpec *spec,
                         PromptEntry *entry, sqlite3_value *at, HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, PROCESS_ATTEST, err);
  if (stmt == NULL) return err->rc;
  if (at != NULL) sqlite3_bind_value(stmt, 1, at);
  process_bind(stmt, 2, spec->text[HF_PROMPT_TASK]);
  process_bind(stmt, 3, spec->text[HF_PROMPT_PHASE]);
  process_bind(stmt, 4, entry->kind);
  process_bind(stmt, 5, spec->hash);
  if (entry->hash != NULL) sqlite3_bind_int64(stmt, 6, entry->baseline_seq);
  sqlite3_bind_int64(stmt, 7, entry->version);
  process_bind(stmt, 8, entry->drift ? entry->severity : "none");
  process_bind(stmt, 9, entry->changed);
  process_bind(stmt, 10, entry->own);
  process_bind(stmt, 11, spec->text[6]);
  sqlite3_bind_int(stmt, 12, entry->persona_drift);
  process_bind(stmt, 13, spec->summary);
  process_bind(stmt, 14, spec->text[7]);
  process_bind(stmt, 15, spec->text[8]);
  if (hf_step_done(conn->db, stmt, err) == SQLITE_OK) {
    entry->seq = sqlite3_last_insert_rowid(conn->db);
  }
  process_give(conn, PROCESS_ATTEST, &stmt);
  return err->rc;
}

/* ---- a grave drift ------------------------------------------------------- */

/* Whoever works on the task moves back with it. */
static int prompt_move_back(HfConn *conn, ProcessMove *move, PromptEntry *entry,
                            HfError *err) {
  move->allowed = strcmp(move->mode, "enforce") != 0;
  entry->blocked = !move->allowed;
  move->reason = hf_format(err, "prompt_drift_high");
  move->words = hf_format(err, "%s", entry->details);
  process_refused(conn, move, err);
  sqlite3_free(move->reason);
  sqlite3_free(move->words);
  move->reason = NULL;
  move->words = NULL;
  if (!entry->blocked || entry->back_to == NULL || err->rc != SQLITE_OK ||
      strcmp(move->from, entry->back_to) == 0) {
    return err->rc;
  }
  process_move(conn, move, err);
  if (move->allowed) entry->moved = move->seq;
  return err->rc;
}

/* What a drift of high severity does, in the same transaction: it blocks, and
** the task that is in this phase goes back. */
static int prompt_block(HfConn *conn, const ProcessSpec *spec,
                        PromptEntry *entry, HfError *err) {
  ProcessMove move;
  if (!entry->drift || strcmp(entry->severity, "high") != 0) return err->rc;
  memset(&move, 0, sizeof(move));
  move.kind = "drift";
  move.task = spec->text[HF_PROMPT_TASK];
  move.to = entry->back_to ? entry->back_to : spec->text[HF_PROMPT_PHASE];
  move.why = entry->details;
  if (process_state(conn, &move, err) == SQLITE_OK) {
    entry->blocked = strcmp(move.mode, "enforce") == 0;
    if (move.from != NULL &&
        strcmp(move.from, spec->text[HF_PROMPT_PHASE]) == 0) {
      move.agent = move.left_holder ? move.left_holder : move.actor;
      prompt_move_back(conn, &move, entry, err);
    }
  }
  process_move_clear(&move);
  return err->rc;
}

/* ---- results ------------------------------------------------------------- */

static const char *prompt_recommendation(const PromptEntry *entry) {
  if (!entry->drift) return "Prompt specification matches baseline";
  if (strcmp(entry->severity, "high") == 0) {
    return "CRITICAL: Prompt drift in critical phase - review immediately";
  }
  if (strcmp(entry->severity, "low") == 0) {
    return "INFO: Minor prompt drift in early phase";
  }
  return "WARNING: Prompt drift detected - verify intentional";
}

static char *prompt_result(const ProcessSpec *spec, const PromptEntry *entry,
                           HfError *err) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  char *persona = NULL;
  if (entry->persona_drift) {
    persona =
        hf_format(err, "Persona changed from %.16s... to %.16s...%s%s%s",
                  entry->persona, spec->text[6], spec->summary ? " (" : "",
                  spec->summary ? spec->summary : "", spec->summary ? ")" : "");
  }
  sqlite3_str_appendf(json, "{\"drift\":%s", entry->drift ? "true" : "false");
  process_json_text(json, "severity", entry->drift ? entry->severity : "none");
  sqlite3_str_appendf(json, ",\"changed\":%s",
                      entry->changed ? entry->changed
                      : entry->drift ? "null"
                                     : "[]");
  process_json_text(json, "recommendation", prompt_recommendation(entry));
  process_json_text(json, "task", spec->text[HF_PROMPT_TASK]);
  process_json_text(json, "phase", spec->text[HF_PROMPT_PHASE]);
  process_json_text(json, "hash", spec->hash);
  process_json_text(json, "baseline", entry->hash);
  sqlite3_str_appendf(json, ",\"version\":%lld,\"seq\":%lld", entry->version,
                      entry->seq);
  process_json_text(json, "details", entry->details);
  sqlite3_str_appendf(json, ",\"persona_drift\":%s",
                      entry->persona_drift ? "true" : "false");
  process_json_text(json, "persona_details", persona);
  sqlite3_str_appendf(json, ",\"blocked\":%s",
                      entry->blocked ? "true" : "false");
  process_json_text(json, "moved_to", entry->moved ? entry->back_to : NULL);
  sqlite3_str_appendchar(json, 1, '}');
  sqlite3_free(persona);
  return hf_str_finish(json, err);
}

/* ---- the functions ------------------------------------------------------- */

/*
** attest_prompt(spec_json)
**
** spec_json: TEXT, a JSON object with phase, taskId, requirements,
** qualityGates, artifacts, contextSummary and perhaps personaHash, agentType,
** modelVersion.  Returns the SHA-256 of its canonical form, 64 lower-case
** hexadecimal digits; NULL for NULL.  Errors: malformed JSON, a member that is
** missing or of another type.  Source: core/prompt.h.
*/
static void prompt_hash_function(sqlite3_context *context, int argc,
                                 sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  ProcessSpec spec;
  (void)argc;
  if (sqlite3_value_type(argv[0]) == SQLITE_NULL) return;
  memset(&spec, 0, sizeof(spec));
  if (process_spec_parse(sqlite3_user_data(context), "attest_prompt", argv[0],
                         &spec, &err) == SQLITE_OK) {
    sqlite3_result_text(context, spec.hash, -1, SQLITE_TRANSIENT);
  } else {
    hf_error_to_result(&err, context);
  }
  process_spec_clear(&spec);
}

/*
** prompt_attest(spec_json [, at])
**
** Compares the prompt with the baseline of its task and phase, and records that
** in attestation_ledger; the first is the baseline.  at: INTEGER, ms since
** 1970, as the ledger takes it.  A drift of high severity blocks the task, and
** moves it back, in the same transaction.  Returns JSON:
**
**   {"drift","severity","changed":[…],"recommendation","task","phase","hash",
**    "baseline","version","seq","details","persona_drift","persona_details",
**    "blocked","moved_to"}
**
** Errors: as attest_prompt; inside a statement that writes; SQLITE_BUSY.
*/
static void prompt_attest_function(sqlite3_context *context, int argc,
                                   sqlite3_value **argv) {
  static const char function[] = "prompt_attest";
  HfConn *conn = sqlite3_user_data(context);
  sqlite3_int64 rowid = sqlite3_last_insert_rowid(conn->db);
  HfError err = {SQLITE_OK, NULL};
  char *json = NULL;
  ProcessSpec spec;
  PromptEntry entry;
  HfTxn txn;
  memset(&spec, 0, sizeof(spec));
  memset(&entry, 0, sizeof(entry));
  if (process_spec_read(conn, function, argv[0], &spec, &err) == SQLITE_OK &&
      hf_kept_begin(conn, function, &txn, &err) == SQLITE_OK) {
    if (prompt_baseline_read(conn, spec.text[HF_PROMPT_TASK],
                             spec.text[HF_PROMPT_PHASE], &entry,
                             &err) == SQLITE_OK &&
        prompt_compare_baseline(&spec, &entry, &err) == SQLITE_OK &&
        prompt_append(conn, &spec, &entry, argc > 1 ? argv[1] : NULL, &err) ==
            SQLITE_OK) {
      prompt_block(conn, &spec, &entry, &err);
    }
    hf_kept_end(conn, txn, &err);
    sqlite3_set_last_insert_rowid(conn->db, rowid);
  }
  if (err.rc == SQLITE_OK) json = prompt_result(&spec, &entry, &err);
  prompt_entry_clear(&entry);
  process_spec_clear(&spec);
  hf_result_text(context, json, &err);
}

/* The new baseline: a hash, or the latest that was attested. */
typedef struct PromptReset {
  const char *task;
  const char *phase;
  const char *given; /* or NULL */
  const char *why;
  const char *by;
  char *hash;
  char *components;
  char *persona;
  char *latest; /* the hash last attested */
} PromptReset;

/* The last entry that was attested, with a hash or any. */
static int reset_find(HfConn *conn, const PromptReset *reset, const char *hash,
                      sqlite3_stmt **out, int *found, HfError *err) {
  *found = 0;
  if (hf_prepare(conn->db, out, err,
                 "SELECT prompt_hash, components, persona_hash"
                 "  FROM main.attestation_ledger_entry"
                 " WHERE task_id = ?1 AND phase = ?2 AND kind <> 'reset'"
                 "   AND (?3 IS NULL OR prompt_hash = ?3)"
                 " ORDER BY seq DESC LIMIT 1") != SQLITE_OK) {
    return err->rc;
  }
  process_bind(*out, 1, reset->task);
  process_bind(*out, 2, reset->phase);
  process_bind(*out, 3, hash);
  switch (sqlite3_step(*out)) {
    case SQLITE_ROW:
      *found = 1;
      break;
    case SQLITE_DONE:
      break;
    default:
      hf_fail_db(err, conn->db);
  }
  return err->rc;
}

static int reset_choose(HfConn *conn, PromptReset *reset,
                        const PromptEntry *entry, HfError *err) {
  sqlite3_stmt *stmt;
  int found;
  if (reset_find(conn, reset, NULL, &stmt, &found, err) == SQLITE_OK && found) {
    reset->latest = hf_column_text_or_null(stmt, 0, err);
  }
  sqlite3_finalize(stmt);
  if (err->rc == SQLITE_OK && !found && reset->given == NULL) {
    return hf_fail(err, SQLITE_ERROR,
                   "prompt_baseline: no prompt of task '%.100s' in %.100s was "
                   "attested; give a hash",
                   reset->task, reset->phase);
  }
  reset->hash = hf_format(err, "%s",
                          reset->given    ? reset->given
                          : reset->latest ? reset->latest
                                          : "");
  if (err->rc != SQLITE_OK) return err->rc;
  if (reset_find(conn, reset, reset->hash, &stmt, &found, err) == SQLITE_OK &&
      found) {
    reset->components = hf_column_text_or_null(stmt, 1, err);
    reset->persona = hf_column_text_or_null(stmt, 2, err);
  }
  sqlite3_finalize(stmt);
  if (err->rc == SQLITE_OK && reset->persona == NULL && entry->persona) {
    reset->persona = hf_format(err, "%s", entry->persona);
  }
  return err->rc;
}

static int reset_append(HfConn *conn, const PromptReset *reset,
                        PromptEntry *entry, HfError *err) {
  sqlite3_stmt *stmt = process_take(conn, PROCESS_ATTEST, err);
  if (stmt == NULL) return err->rc;
  entry->drift =
      reset->latest != NULL && strcmp(reset->latest, reset->hash) != 0;
  process_bind(stmt, 2, reset->task);
  process_bind(stmt, 3, reset->phase);
  process_bind(stmt, 4, "reset");
  process_bind(stmt, 5, reset->hash);
  sqlite3_bind_int64(stmt, 7, entry->version + 1);
  process_bind(stmt, 8, entry->drift ? entry->severity : "none");
  process_bind(stmt, 10, reset->components);
  process_bind(stmt, 11, reset->persona);
  sqlite3_bind_int(stmt, 12, 0);
  process_bind(stmt, 16, reset->why);
  process_bind(stmt, 17, reset->by);
  if (hf_step_done(conn->db, stmt, err) == SQLITE_OK) {
    entry->seq = sqlite3_last_insert_rowid(conn->db);
  }
  process_give(conn, PROCESS_ATTEST, &stmt);
  return err->rc;
}

static char *reset_result(const PromptReset *reset, const PromptEntry *entry,
                          HfError *err) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  sqlite3_str_appendf(json, "{\"version\":%lld", entry->version + 1);
  process_json_text(json, "task", reset->task);
  process_json_text(json, "phase", reset->phase);
  process_json_text(json, "hash", reset->hash);
  process_json_text(json, "previous", entry->hash);
  process_json_text(json, "persona_hash", reset->persona);
  process_json_text(json, "severity", entry->drift ? entry->severity : "none");
  sqlite3_str_appendf(json, ",\"seq\":%lld}", entry->seq);
  return hf_str_finish(json, err);
}

static int reset_arguments(PromptReset *reset, sqlite3_value **argv,
                           HfError *err) {
  static const char function[] = "prompt_baseline";
  memset(reset, 0, sizeof(*reset));
  reset->task =
      process_text(function, "the task", argv[0], PROCESS_TEXT_MAX, err);
  reset->phase =
      process_text(function, "the phase", argv[1], PROCESS_TEXT_MAX, err);
  reset->why =
      process_text(function, "the reason", argv[3], PROMPT_WHY_MAX, err);
  reset->by =
      process_text(function, "who does it", argv[4], PROCESS_TEXT_MAX, err);
  if (sqlite3_value_type(argv[2]) != SQLITE_NULL) {
    reset->given = process_text(function, "the hash", argv[2], 64, err);
  }
  if (err->rc == SQLITE_OK && reset->given != NULL &&
      (strlen(reset->given) != 64 ||
       strspn(reset->given, "0123456789abcdef") != 64)) {
    hf_fail(err, SQLITE_ERROR,
            "%s: the hash must be 64 lower-case hexadecimal digits, or NULL "
            "for the latest attested",
            function);
  }
  return err->rc;
}

/*
** prompt_baseline(task, phase, hash_or_null, why, by)
**
** A new baseline, with the next version: the hash, 64 lower-case hexadecimal
** digits, or NULL for the prompt that was last attested.  The persona is that
** of the prompt, or else stays.  Recorded in attestation_ledger.  Returns JSON:
** {"version","task","phase","hash","previous","persona_hash","severity","seq"};
** severity is none unless the last attested prompt is another one.  Errors: bad
** arguments; nothing was attested; inside a statement that writes.
*/
static void prompt_baseline_function(sqlite3_context *context, int argc,
                                     sqlite3_value **argv) {
  HfConn *conn = sqlite3_user_data(context);
  sqlite3_int64 rowid = sqlite3_last_insert_rowid(conn->db);
  HfError err = {SQLITE_OK, NULL};
  char *json = NULL;
  PromptReset reset;
  PromptEntry entry;
  HfTxn txn;
  (void)argc;
  memset(&entry, 0, sizeof(entry));
  if (reset_arguments(&reset, argv, &err) == SQLITE_OK &&
      hf_kept_begin(conn, "prompt_baseline", &txn, &err) == SQLITE_OK) {
    if (prompt_baseline_read(conn, reset.task, reset.phase, &entry, &err) ==
            SQLITE_OK &&
        reset_choose(conn, &reset, &entry, &err) == SQLITE_OK) {
      reset_append(conn, &reset, &entry, &err);
    }
    hf_kept_end(conn, txn, &err);
    sqlite3_set_last_insert_rowid(conn->db, rowid);
  }
  if (err.rc == SQLITE_OK) json = reset_result(&reset, &entry, &err);
  sqlite3_free(reset.hash);
  sqlite3_free(reset.components);
  sqlite3_free(reset.persona);
  sqlite3_free(reset.latest);
  prompt_entry_clear(&entry);
  hf_result_text(context, json, &err);
}

int process_prompt_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"attest_prompt", 1, HF_PURE, prompt_hash_function},
      {"prompt_attest", 1, HF_CHANGES, prompt_attest_function},
      {"prompt_attest", 2, HF_CHANGES, prompt_attest_function},
      {"prompt_baseline", 5, HF_CHANGES, prompt_baseline_function},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
