/*
** The steps of the model check on guarded tables: writes of every kind, with
** tokens that hold, that did, and that never will.
*/
#include <stddef.h>

#include "model.h"

/* A resource and a token that somebody would write. */
static Work any_row(Run *run, int t) {
  Work row = {1, (int)below(run, RESOURCES), NO_TOKEN, 0, 0};
  const Held *held = run->world.table[t].held;
  switch (below(run, 16)) {
    case 0: /* of another resource */
      row.token = held[below(run, RESOURCES)].token;
      break;
    case 1: /* of another lease table */
      row.token = run->world.table[below(run, TABLES)].held[row.task].token;
      break;
    case 2:
      break;
    case 3:
      row.token = 1 + below(run, (unsigned)run->world.token + 2);
      break;
    case 4:
    case 5: /* what a holder remembers, which slept meanwhile */
      row.token = run->memory[below(run, HOLDERS)][t][row.task];
      break;
    default:
      row.token = held[row.task].token;
  }
  if (row.token < 1) row.token = NO_TOKEN;
  if (chance(run, 40)) row.u = 1 + below(run, IDS);
  row.n = below(run, 100);
  return row;
}

static int any_id(Run *run) { return 1 + (int)below(run, IDS); }

static void insert(Run *run, int t) {
  static const char *const sql[] = {
      "INSERT INTO work%d VALUES (?1, ?2, ?3, ?4, ?5)",
      "INSERT OR IGNORE INTO work%d VALUES (?1, ?2, ?3, ?4, ?5)",
      "REPLACE INTO work%d VALUES (?1, ?2, ?3, ?4, ?5)",
      ("INSERT INTO work%d VALUES (?1, ?2, ?3, ?4, ?5)"
       " ON CONFLICT(id) DO UPDATE SET token = ?6, u = ?7")};
  Conflict conflict = (Conflict)below(run, 4);
  int id = any_id(run);
  Work row = any_row(run, t), upsert = any_row(run, t);
  const char *text = ask_text(sql[conflict], t);
  Result got;
  /* Which clash comes first is SQLite's business. */
  if (conflict == UPSERTS) row.u = 0;
  if (chance(run, 50)) upsert.token = row.token;
  got =
      ask_run(run->at,
              ask_bind(run->at, text, conflict == UPSERTS ? "itkzikz" : "itkzi",
                       (Number)id, resource_name[row.task], row.token, row.u,
                       row.n, upsert.token, upsert.u));
  same_wall(&got,
            oracle_work_insert(&run->world, &run->rules[t], t, id, &row,
                               conflict, &upsert),
            text);
}

/* UPDATE of one row, mostly of all its columns. */
static void change(Run *run, int t) {
  static const char *const sql[] = {"UPDATE", "UPDATE OR IGNORE",
                                    "UPDATE OR REPLACE"};
  Conflict conflict = (Conflict)below(run, 3);
  int id = any_id(run), new_id = chance(run, 70) ? id : any_id(run);
  const Work *old = &run->world.table[t].work[id];
  Work row = any_row(run, t);
  char text[200];
  Result got;
  if (old->there && chance(run, 80)) { /* stay with the resource */
    row.task = old->task;
    if (chance(run, 80)) row.token = run->world.table[t].held[row.task].token;
    if (row.token < 1) row.token = NO_TOKEN;
  }
  sqlite3_snprintf(sizeof(text), text,
                   "%s work%d SET id = ?2, task = ?3, token = ?4, u = ?5,"
                   " n = ?6 WHERE id = ?1",
                   sql[conflict], t);
  got = ask_run(run->at,
                ask_bind(run->at, text, "iitkzi", (Number)id, (Number)new_id,
                         resource_name[row.task], row.token, row.u, row.n));
  same_wall(&got,
            oracle_work_change(&run->world, &run->rules[t], t, id, new_id, &row,
                               conflict),
            text);
}

static void change_some(Run *run, int t) {
  static const char *const sql[] = {
      "UPDATE work%d SET n = n + 1 WHERE ?1 IS NULL OR task = ?1",
      "UPDATE work%d SET n = n + 1, token = ?2 WHERE ?1 IS NULL OR task = ?1"};
  int task = chance(run, 80) ? (int)below(run, RESOURCES) : -1;
  int tokens = (int)below(run, 2);
  const char *text = ask_text(sql[tokens], t);
  Work row = any_row(run, t);
  Result got;
  if (task >= 0 && chance(run, 70)) {
    row.token = run->world.table[t].held[task].token;
    if (row.token < 1) row.token = NO_TOKEN;
  }
  got = ask_run(run->at,
                ask_bind(run->at, text, tokens ? "tk" : "t",
                         task < 0 ? NULL : resource_name[task], row.token));
  same_wall(&got,
            oracle_work_update(&run->world, t, task, tokens ? row.token : -2),
            text);
}

static void erase(Run *run, int t) {
  static const char *const sql[] = {"DELETE FROM work%d WHERE id = ?1",
                                    "DELETE FROM work%d WHERE task = ?1",
                                    "DELETE FROM work%d"};
  unsigned which = chance(run, 75) ? 0 : 1 + below(run, 2);
  int id = any_id(run), task = (int)below(run, RESOURCES);
  const char *text = ask_text(sql[which], t);
  Result got = ask_run(
      run->at, which == 0   ? ask_bind(run->at, text, "i", (Number)id)
               : which == 1 ? ask_bind(run->at, text, "t", resource_name[task])
                            : ask_bind(run->at, text, ""));
  same_wall(&got,
            oracle_work_delete(&run->world, t, which == 0 ? id : 0,
                               which == 1 ? task : -1),
            text);
}

void step_work(Run *run) {
  int t = (int)below(run, TABLES);
  Number before = tally[FENCED] + tally[STRAYED] + tally[CLASHED];
  switch (below(run, 10)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      insert(run, t);
      break;
    case 5:
    case 6:
      change(run, t);
      break;
    case 7:
      change_some(run, t);
      break;
    default:
      erase(run, t);
  }
  if (tally[FENCED] + tally[STRAYED] + tally[CLASHED] == before)
    tally[WRITTEN]++;
}
