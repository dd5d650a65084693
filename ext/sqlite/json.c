/*
** JSON texts for results.
*/
#include "sqlite/hf.h"

void hf_json_text(sqlite3_str *json, const char *text) {
  const unsigned char *p;
  sqlite3_str_appendchar(json, 1, '"');
  for (p = (const unsigned char *)text; *p != 0; p++) {
    if (*p == '"' || *p == '\\') {
      sqlite3_str_appendf(json, "\\%c", *p);
    } else if (*p < 0x20) {
      sqlite3_str_appendf(json, "\\u%04x", *p);
    } else {
      sqlite3_str_appendchar(json, 1, (char)*p);
    }
  }
  sqlite3_str_appendchar(json, 1, '"');
}
