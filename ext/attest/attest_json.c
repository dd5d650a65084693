/*
** attest_json(json): RFC 8785, the JSON Canonicalization Scheme.
*/
#include <stdlib.h>

#include "attest/attest.h"
#include "core/jcs.h"

/*
** attest_json(json)
**
** json: TEXT.  Returns its canonical form, TEXT; NULL for NULL.  Errors, with
** the byte at which they are: malformed JSON or UTF-8, a lone surrogate, a
** duplicate key, a number beyond the range of doubles, more than 500 levels;
** another type.
*/
static void json_canonical(sqlite3_context *context, int argc,
                           sqlite3_value **argv) {
  HfError err = {SQLITE_OK, NULL};
  const char *json;
  HfJcs jcs;
  (void)argc;
  if (sqlite3_value_type(argv[0]) == SQLITE_NULL) return;
  if (sqlite3_value_type(argv[0]) != SQLITE_TEXT) {
    sqlite3_result_error(context, "attest_json: JSON must be TEXT", -1);
    return;
  }
  json = (const char *)sqlite3_value_text(argv[0]);
  if (json == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  switch (hf_jcs(json, (size_t)sqlite3_value_bytes(argv[0]), &jcs)) {
    case HF_OK:
      sqlite3_result_text64(context, jcs.text, jcs.size, free, SQLITE_UTF8);
      break;
    case HF_RANGE:
      hf_fail(&err, SQLITE_ERROR, "attest_json: at byte %lld: %s",
              (sqlite3_int64)jcs.at + 1, jcs.wrong);
      hf_error_to_result(&err, context);
      break;
    default:
      sqlite3_result_error_nomem(context);
  }
}

int attest_json_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"attest_json", 1, HF_PURE, json_canonical},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
