/*
** Options of retention_plan and retention_apply: a JSON object.
*/
#include <string.h>

#include "retention/retention.h"

/* Where an option goes: a switch, or a number of so much at least. */
typedef struct OptionPlace {
  const char *name;
  int *flag;
  sqlite3_int64 *number;
  sqlite3_int64 least;
} OptionPlace;

static int options_one(const char *function, sqlite3_stmt *stmt, RetOptions *o,
                       HfError *err) {
  const OptionPlace place[] = {
      {"force", &o->force, NULL, 0},
      {"strict", &o->strict, NULL, 0},
      {"vacuum", &o->vacuum, NULL, 0},
      {"batch_rows", NULL, &o->batch_rows, 1},
      {"batch_ms", NULL, &o->batch_ms, 1},
      {"max_rows", NULL, &o->max_rows, 0},
      {"max_ms", NULL, &o->max_ms, 0},
      {"future_ms", NULL, &o->future_ms, 0},
      {"past_ms", NULL, &o->past_ms, 0},
  };
  const char *name = (const char *)sqlite3_column_text(stmt, 0);
  const char *type = (const char *)sqlite3_column_text(stmt, 1);
  size_t i;
  if (name == NULL || type == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  if (strcmp(name, "max_fraction") == 0) {
    double value = sqlite3_column_double(stmt, 2);
    if ((strcmp(type, "real") != 0 && strcmp(type, "integer") != 0) ||
        !(value >= 0 && value <= 1)) {
      return hf_fail(err, SQLITE_ERROR,
                     "%s: max_fraction is a number from 0 to 1", function);
    }
    o->max_fraction = value;
    return SQLITE_OK;
  }
  for (i = 0; i < sizeof(place) / sizeof(*place); i++) {
    const OptionPlace *p = &place[i];
    if (strcmp(name, p->name) != 0) continue;
    if (p->flag != NULL) {
      if (strcmp(type, "true") != 0 && strcmp(type, "false") != 0) {
        return hf_fail(err, SQLITE_ERROR, "%s: %s is true or false", function,
                       name);
      }
      *p->flag = strcmp(type, "true") == 0;
    } else {
      sqlite3_int64 value = sqlite3_column_int64(stmt, 2);
      if (strcmp(type, "integer") != 0 || value < p->least ||
          value > RETENTION_MOST) {
        return hf_fail(err, SQLITE_ERROR,
                       "%s: %s is a whole number from %lld to 3.2e14", function,
                       name, p->least);
      }
      *p->number = value;
    }
    return SQLITE_OK;
  }
  return hf_fail(err, SQLITE_ERROR,
                 "%s: there is no option '%s'; options are force, strict, "
                 "vacuum, max_fraction, batch_rows, batch_ms, max_rows, "
                 "max_ms, future_ms, past_ms",
                 function, name);
}

int retention_options(sqlite3 *db, const char *function, const char *json,
                      RetOptions *options, HfError *err) {
  const RetOptions defaults = {.vacuum = 1,
                               .max_fraction = 0.9,
                               .batch_rows = 50000,
                               .batch_ms = 20,
                               .max_rows = -1,
                               .max_ms = -1,
                               .future_ms = -1,
                               .past_ms = 31 * RETENTION_DAY};
  sqlite3_int64 object = 0;
  sqlite3_stmt *stmt = NULL;
  int rc = SQLITE_DONE;
  *options = defaults;
  if (json == NULL || err->rc != SQLITE_OK) return err->rc;
  hf_query_int(db, err, 0, &object,
               "SELECT iif(json_valid(%Q), json_type(%Q) = 'object', 0)", json,
               json);
  if (err->rc == SQLITE_OK && !object) {
    hf_fail(err, SQLITE_ERROR, "%s: options are a JSON object, such as %s",
            function, "{\"force\":true}");
  }
  hf_prepare(db, &stmt, err, "SELECT key, type, atom FROM json_each(%Q)", json);
  while (err->rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    options_one(function, stmt, options, err);
  }
  if (err->rc == SQLITE_OK && rc != SQLITE_DONE) hf_fail_db(err, db);
  sqlite3_finalize(stmt);
  return err->rc;
}
