/*
** JSON texts for results.
*/
#include <math.h>
#include <string.h>

#include "core/canonical.h"
#include "core/jcs.h"
#include "core/utf8.h"
#include "sqlite/hf.h"

void hf_json_bytes(sqlite3_str *json, const char *text, size_t size) {
  size_t i;
  sqlite3_str_appendchar(json, 1, '"');
  for (i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') {
      sqlite3_str_appendf(json, "\\%c", c);
    } else if (c < 0x20) {
      sqlite3_str_appendf(json, "\\u%04x", c);
    } else {
      sqlite3_str_appendchar(json, 1, (char)c);
    }
  }
  sqlite3_str_appendchar(json, 1, '"');
}

void hf_json_text(sqlite3_str *json, const char *text) {
  hf_json_bytes(json, text, strlen(text));
}

/* {"what":"hex of the bytes"} */
static void json_hex(sqlite3_str *json, const char *what,
                     const unsigned char *data, size_t size) {
  char digits[3];
  size_t i;
  sqlite3_str_appendf(json, "{\"%s\":\"", what);
  for (i = 0; i < size; i++) {
    hf_hex(data + i, 1, digits);
    sqlite3_str_append(json, digits, 2);
  }
  sqlite3_str_appendall(json, "\"}");
}

/* JSON has no infinity; SQLite reads these as such. */
static void json_real(sqlite3_str *json, double value) {
  char text[32];
  if (isinf(value)) {
    sqlite3_str_appendall(json, value > 0 ? "9e999" : "-9e999");
    return;
  }
  hf_jcs_number(value, text);
  sqlite3_str_appendall(json, text);
  if (strpbrk(text, ".e") == NULL) sqlite3_str_appendall(json, ".0");
}

static void json_item(sqlite3_str *json, const HfCanonItem *item) {
  const char *text = (const char *)item->data;
  switch (item->tag) {
    case 'I':
      sqlite3_str_appendf(json, "%lld", (sqlite3_int64)item->integer);
      break;
    case 'F':
      json_real(json, item->real);
      break;
    case 'T':
      if (hf_utf8_is(text, item->size)) hf_json_bytes(json, text, item->size);
      else json_hex(json, "text", item->data, item->size);
      break;
    case 'B':
      json_hex(json, "blob", item->data, item->size);
      break;
    default:
      sqlite3_str_appendall(json, "null");
      break;
  }
}

/* Is it an encoding, from its first byte to its last? */
static int json_is_row(const unsigned char *data, size_t size) {
  uint64_t count, i;
  size_t at = 0;
  HfCanonItem item;
  if (!hf_canon_read_row(data, size, &at, &count)) return 0;
  for (i = 0; i < count; i++) {
    if (!hf_canon_read(data, size, &at, &item)) return 0;
  }
  return at == size;
}

int hf_json_row(sqlite3_str *json, const unsigned char *data, size_t size) {
  uint64_t count = 0, i;
  size_t at = 0;
  HfCanonItem item;
  if (!json_is_row(data, size)) return 0;
  hf_canon_read_row(data, size, &at, &count);
  sqlite3_str_appendchar(json, 1, '[');
  for (i = 0; i < count; i++) {
    if (i > 0) sqlite3_str_appendchar(json, 1, ',');
    hf_canon_read(data, size, &at, &item);
    json_item(json, &item);
  }
  sqlite3_str_appendchar(json, 1, ']');
  return 1;
}

int hf_json_column(sqlite3_str *json, const unsigned char *data, size_t size,
                   sqlite3_int64 column) {
  uint64_t count = 0;
  size_t at = 0;
  HfCanonItem item;
  if (!json_is_row(data, size)) return 0;
  hf_canon_read_row(data, size, &at, &count);
  if (column < 0 || (uint64_t)column >= count) return 0;
  do {
    hf_canon_read(data, size, &at, &item);
  } while (column-- > 0);
  json_item(json, &item);
  return 1;
}
