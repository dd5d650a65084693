/*
** The JSON Canonicalization Scheme: see jcs.h.
**
** The input is read once, by recursive descent, and written as it is read.  The
** members of an object are put in order when it ends.
*/
#include "core/jcs.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

typedef struct Jcs {
  const unsigned char *json;
  size_t size;
  size_t at;   /* reading */
  HfJcs *out;  /* writing */
  size_t room; /* allocated for out->text */
  int depth;
  int rc; /* first failure; after it nothing more happens */
} Jcs;

/* ---- reading and writing ------------------------------------------------- */

static int jcs_fail(Jcs *j, const char *wrong) {
  if (j->rc == HF_OK) {
    j->rc = HF_RANGE;
    j->out->wrong = wrong;
    j->out->at = j->at;
  }
  return 0;
}

static void jcs_put(Jcs *j, const void *data, size_t size) {
  if (j->rc != HF_OK) return;
  if (size > j->room - j->out->size) {
    size_t room = 2 * (j->room + size) + 64;
    char *more = realloc(j->out->text, room);
    if (more == NULL) {
      j->rc = HF_NOMEM;
      return;
    }
    j->out->text = more;
    j->room = room;
  }
  memcpy(j->out->text + j->out->size, data, size);
  j->out->size += size;
}

/* The byte at hand; 0 at the end, where no token has one. */
static unsigned char jcs_peek(const Jcs *j) {
  return j->at < j->size ? j->json[j->at] : 0;
}

static void jcs_space(Jcs *j) {
  while (j->at < j->size && strchr(" \t\n\r", j->json[j->at]) != NULL &&
         j->json[j->at] != 0) {
    j->at++;
  }
}

static int jcs_take(Jcs *j, char c, const char *wrong) {
  if (j->rc != HF_OK) return 0;
  if (j->at >= j->size || j->json[j->at] != (unsigned char)c) {
    return jcs_fail(j, wrong);
  }
  j->at++;
  return 1;
}

/* ---- strings ------------------------------------------------------------- */

/* A character in UTF-8, as a string of the output shows it. */
static void jcs_put_character(Jcs *j, uint32_t c) {
  static const char plain[] = "\b\t\n\f\r\"\\", escape[] = "btnfr\"\\";
  const char *found = c < 0x80 && c != 0 ? strchr(plain, (int)c) : NULL;
  char text[8];
  size_t n = 0;
  if (found != NULL) {
    text[n++] = '\\';
    text[n++] = escape[found - plain];
  } else if (c < 0x20) {
    n = (size_t)snprintf(text, sizeof(text), "\\u%04x", (unsigned)c);
  } else if (c < 0x80) {
    text[n++] = (char)c;
  } else {
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    text[n++] = (char)((0xffU << (7 - more) & 0xff) | c >> 6 * more);
    while (more-- > 0) text[n++] = (char)(0x80 | (c >> 6 * more & 0x3f));
  }
  jcs_put(j, text, n);
}

/* Four hexadecimal digits. */
static int jcs_hex(Jcs *j, uint32_t *out) {
  int i;
  *out = 0;
  for (i = 0; i < 4; i++) {
    unsigned char c = jcs_peek(j);
    uint32_t digit;
    if (c >= '0' && c <= '9') {
      digit = (uint32_t)c - '0';
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      digit = (uint32_t)(c | 0x20) - 'a' + 10;
    } else {
      return jcs_fail(j, "four hexadecimal digits are expected");
    }
    *out = *out << 4 | digit;
    j->at++;
  }
  return 1;
}

/* What follows a backslash. */
static int jcs_escape(Jcs *j, uint32_t *out) {
  static const char name[] = "btnfr\"\\/", value[] = "\b\t\n\f\r\"\\/";
  unsigned char c = jcs_peek(j);
  const char *found = c != 0 ? strchr(name, c) : NULL;
  uint32_t low;
  if (found != NULL) {
    *out = (unsigned char)value[found - name];
    j->at++;
    return 1;
  }
  if (!jcs_take(j, 'u', "no such escape in a string") || !jcs_hex(j, out)) {
    return 0;
  }
  if (*out < 0xd800 || *out > 0xdfff) return 1;
  if (*out <= 0xdbff && jcs_take(j, '\\', "a lone surrogate") &&
      jcs_take(j, 'u', "a lone surrogate") && jcs_hex(j, &low) &&
      low >= 0xdc00 && low <= 0xdfff) {
    *out = 0x10000 + ((*out & 0x3ff) << 10) + (low & 0x3ff);
    return 1;
  }
  return jcs_fail(j, "a lone surrogate");
}

static int jcs_utf8(Jcs *j, uint32_t *out) {
  size_t at = j->at;
  *out = hf_utf8_next((const char *)j->json, j->size, &at);
  if (*out == HF_UTF8_WRONG) return jcs_fail(j, "ill-formed UTF-8");
  j->at = at;
  return 1;
}

static void jcs_string(Jcs *j) {
  if (!jcs_take(j, '"', "a string is expected")) return;
  jcs_put(j, "\"", 1);
  while (j->rc == HF_OK) {
    uint32_t c = jcs_peek(j);
    if (j->at >= j->size) {
      jcs_fail(j, "a string has no end");
    } else if (c == '"') {
      j->at++;
      break;
    } else if (c < 0x20) {
      jcs_fail(j, "a control character in a string");
    } else if (c == '\\') {
      j->at++;
      if (jcs_escape(j, &c)) jcs_put_character(j, c);
    } else if (c < 0x80) {
      j->at++;
      jcs_put_character(j, c);
    } else if (jcs_utf8(j, &c)) {
      jcs_put_character(j, c);
    }
  }
  jcs_put(j, "\"", 1);
}

/* ---- numbers ------------------------------------------------------------- */

/* C reads and prints numbers with the host's decimal point, which may be more
** than one byte. */
static const char *jcs_point(void) { return localeconv()->decimal_point; }

/* The digits of the shortest decimal that reads back as the value, which is
** positive; *exponent: of the first of them, in scientific notation.  Of the
** decimals of some length the nearest one is tried, and the next one up, which
** can be the only one that reads back where doubles lie less dense above. */
static int jcs_shortest(double value, char digits[18], int *exponent) {
  size_t point = strlen(jcs_point());
  int length, up;
  for (length = 1; length <= 17; length++) {
    for (up = 0; up < 2; up++) {
      char text[48], *end;
      (void)snprintf(text, sizeof(text), "%.*e", length - 1, value);
      end = strchr(text, 'e');
      assert(end != NULL);
      if (up) {
        /* Add one to the last digit; 9...9 is found one digit shorter. */
        if (end[-1] == '9') break;
        end[-1]++;
      }
      if (strtod(text, NULL) != value) continue;
      digits[0] = text[0];
      if (length > 1) {
        memcpy(digits + 1, text + 1 + point, (size_t)length - 1);
      }
      *exponent = (int)strtol(end + 1, NULL, 10);
      return length;
    }
  }
  assert(0); /* 17 digits always read back */
  return 0;
}

size_t hf_jcs_number(double value, char out[32]) {
  char digits[18];
  int k, n, at = 0, i;
  if (value == 0) {
    memcpy(out, "0", 2); /* -0 too */
    return 1;
  }
  if (value < 0) out[at++] = '-';
  /* As in ECMA-262: value = 0.d1...dk * 10^n. */
  k = jcs_shortest(fabs(value), digits, &n);
  n++;
  if (n > 21 || n <= -6) {
    out[at++] = digits[0];
    if (k > 1) out[at++] = '.';
    for (i = 1; i < k; i++) out[at++] = digits[i];
    return (size_t)at + (size_t)snprintf(out + at, 8, "e%+d", n - 1);
  }
  if (n <= 0) {
    out[at++] = '0';
    out[at++] = '.';
    for (i = n; i < 0; i++) out[at++] = '0';
  }
  for (i = 0; i < k; i++) {
    if (i == n && n > 0) out[at++] = '.';
    out[at++] = digits[i];
  }
  for (; i < n; i++) out[at++] = '0';
  out[at] = 0;
  return (size_t)at;
}

static int jcs_digits(Jcs *j) {
  size_t from = j->at;
  while (jcs_peek(j) >= '0' && jcs_peek(j) <= '9') j->at++;
  return j->at > from ? 1 : jcs_fail(j, "a digit is expected");
}

/* Is this a number of JSON's grammar?  Moves behind it. */
static int jcs_scan_number(Jcs *j) {
  if (jcs_peek(j) == '-') j->at++;
  if (jcs_peek(j) == '0') {
    j->at++;
  } else if (!jcs_digits(j)) {
    return 0;
  }
  if (jcs_peek(j) == '.') {
    j->at++;
    if (!jcs_digits(j)) return 0;
  }
  if ((jcs_peek(j) | 0x20) == 'e') {
    j->at++;
    if (jcs_peek(j) == '+' || jcs_peek(j) == '-') j->at++;
    return jcs_digits(j);
  }
  return 1;
}

/* The value of a number of `size` bytes; HF_NOMEM. */
static int jcs_read_number(const unsigned char *json, size_t size,
                           double *value) {
  const char *point = jcs_point();
  const unsigned char *dot = memchr(json, '.', size);
  size_t before = dot != NULL ? (size_t)(dot - json) : size;
  char *copy = malloc(size + strlen(point) + 1);
  if (copy == NULL) return HF_NOMEM;
  memcpy(copy, json, before);
  copy[before] = 0;
  if (dot != NULL) {
    size_t n = before + strlen(point);
    memcpy(copy + before, point, strlen(point));
    memcpy(copy + n, dot + 1, size - before - 1);
    copy[n + size - before - 1] = 0;
  }
  *value = strtod(copy, NULL);
  free(copy);
  return HF_OK;
}

static void jcs_number(Jcs *j) {
  size_t from = j->at;
  char text[32];
  double value;
  if (!jcs_scan_number(j)) return;
  if (jcs_read_number(j->json + from, j->at - from, &value) != HF_OK) {
    j->rc = HF_NOMEM;
    return;
  }
  if (!isfinite(value)) {
    j->at = from;
    jcs_fail(j, "a number beyond the range of IEEE 754 doubles");
    return;
  }
  jcs_put(j, text, hf_jcs_number(value, text));
}

/* ---- objects and arrays -------------------------------------------------- */

/* A member of an object, as it stands in the output: "key":value.  Offsets,
** because the output moves. */
typedef struct JcsMember {
  const char *text; /* filled in for sorting */
  size_t begin;
  size_t size;
  size_t at; /* in the input */
} JcsMember;

/* The next UTF-16 code unit's rank of a key in the output's form, undoing its
** escapes; 0 at the end.  Supplementary characters rank as their first unit
** does, and among each other by what they are. */
static uint32_t jcs_rank(const char **z) {
  const unsigned char *p = (const unsigned char *)*z;
  uint32_t c = p[0];
  size_t more, i;
  if (c == '"') return 0;
  if (c == '\\') {
    static const char name[] = "btnfr\"\\", value[] = "\b\t\n\f\r\"\\";
    if (p[1] == 'u') {
      char hex[5] = {(char)p[2], (char)p[3], (char)p[4], (char)p[5], 0};
      *z += 6;
      return (uint32_t)strtoul(hex, NULL, 16) + 1;
    }
    *z += 2;
    return (uint32_t)value[strchr(name, p[1]) - name] + 1;
  }
  more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0x80 ? 1 : 0;
  if (more > 0) c &= 0x3fU >> more;
  for (i = 1; i <= more; i++) c = c << 6 | (p[i] & 0x3f);
  *z += more + 1;
  /* U+E000 to U+FFFF come behind all that is written with surrogates. */
  return c + 1 + (c >= 0xe000 && c <= 0xffff ? 0x200000 : 0);
}

int hf_jcs_compare(const char *left, const char *right) {
  const char *a = left + 1, *b = right + 1;
  uint32_t x, y;
  do {
    x = jcs_rank(&a);
    y = jcs_rank(&b);
  } while (x == y && x != 0);
  return x < y ? -1 : x > y;
}

static int jcs_compare(const void *left, const void *right) {
  return hf_jcs_compare(((const JcsMember *)left)->text,
                        ((const JcsMember *)right)->text);
}

/* Put the members, which stand in the output from `begin` on with commas in
** between, in order. */
static void jcs_sort(Jcs *j, size_t begin, JcsMember *member, size_t count) {
  size_t size = j->out->size - begin, i, at = begin;
  char *copy;
  if (count < 2 || j->rc != HF_OK) return;
  copy = malloc(size);
  if (copy == NULL) {
    j->rc = HF_NOMEM;
    return;
  }
  memcpy(copy, j->out->text + begin, size);
  for (i = 0; i < count; i++) member[i].text = copy + member[i].begin - begin;
  qsort(member, count, sizeof(*member), jcs_compare);
  for (i = 0; i < count && j->rc == HF_OK; i++) {
    if (i > 0 && jcs_compare(&member[i - 1], &member[i]) == 0) {
      j->at = member[i].at > member[i - 1].at ? member[i].at : member[i - 1].at;
      jcs_fail(j, "a duplicate key");
      break;
    }
    if (i > 0) j->out->text[at++] = ',';
    memcpy(j->out->text + at, member[i].text, member[i].size);
    at += member[i].size;
  }
  assert(j->rc != HF_OK || at == j->out->size);
  free(copy);
}

static void jcs_value(Jcs *j);

/* "key": value, as the next member of the list. */
// NOLINTNEXTLINE(misc-no-recursion): HF_JCS_DEPTH limits it
static void jcs_member(Jcs *j, JcsMember **list, size_t *count, size_t *room) {
  JcsMember *member;
  if (*count == *room) {
    size_t more = *room ? 2 * *room : 8;
    member = realloc(*list, more * sizeof(*member));
    if (member == NULL) {
      j->rc = HF_NOMEM;
      return;
    }
    *list = member;
    *room = more;
  }
  member = &(*list)[(*count)++];
  memset(member, 0, sizeof(*member));
  member->begin = j->out->size;
  member->at = j->at;
  jcs_string(j);
  jcs_space(j);
  if (!jcs_take(j, ':', "a colon is expected")) return;
  jcs_put(j, ":", 1);
  jcs_space(j);
  jcs_value(j);
  member->size = j->out->size - member->begin;
}

// NOLINTNEXTLINE(misc-no-recursion): HF_JCS_DEPTH limits it
static void jcs_object(Jcs *j) {
  JcsMember *list = NULL;
  size_t count = 0, room = 0, begin;
  j->at++;
  jcs_put(j, "{", 1);
  begin = j->out->size;
  jcs_space(j);
  if (jcs_peek(j) == '}') {
    j->at++;
  } else {
    while (j->rc == HF_OK) {
      jcs_member(j, &list, &count, &room);
      jcs_space(j);
      if (jcs_peek(j) != ',') {
        jcs_take(j, '}', "a comma or a closing brace is expected");
        break;
      }
      j->at++;
      jcs_put(j, ",", 1);
      jcs_space(j);
    }
  }
  jcs_sort(j, begin, list, count);
  free(list);
  jcs_put(j, "}", 1);
}

// NOLINTNEXTLINE(misc-no-recursion): HF_JCS_DEPTH limits it
static void jcs_array(Jcs *j) {
  j->at++;
  jcs_put(j, "[", 1);
  jcs_space(j);
  if (jcs_peek(j) == ']') {
    j->at++;
  } else {
    while (j->rc == HF_OK) {
      jcs_value(j);
      jcs_space(j);
      if (jcs_peek(j) != ',') {
        jcs_take(j, ']', "a comma or a closing bracket is expected");
        break;
      }
      j->at++;
      jcs_put(j, ",", 1);
      jcs_space(j);
    }
  }
  jcs_put(j, "]", 1);
}

static void jcs_word(Jcs *j, const char *word) {
  size_t size = strlen(word);
  if (j->size - j->at < size || memcmp(j->json + j->at, word, size) != 0) {
    jcs_fail(j, "a value is expected");
    return;
  }
  j->at += size;
  jcs_put(j, word, size);
}

// NOLINTNEXTLINE(misc-no-recursion): HF_JCS_DEPTH limits it
static void jcs_value(Jcs *j) {
  unsigned char c = jcs_peek(j);
  if (j->rc != HF_OK) return;
  if (++j->depth > HF_JCS_DEPTH) {
    jcs_fail(j, "too deep a nesting");
  } else if (c == '{') {
    jcs_object(j);
  } else if (c == '[') {
    jcs_array(j);
  } else if (c == '"') {
    jcs_string(j);
  } else if (c == '-' || (c >= '0' && c <= '9')) {
    jcs_number(j);
  } else {
    jcs_word(j, c == 't' ? "true" : c == 'f' ? "false" : "null");
  }
  j->depth--;
}

int hf_jcs(const char *json, size_t size, HfJcs *out) {
  Jcs j = {(const unsigned char *)json, size, 0, out, 0, 0, HF_OK};
  memset(out, 0, sizeof(*out));
  jcs_space(&j);
  jcs_value(&j);
  jcs_space(&j);
  if (j.at < j.size) jcs_fail(&j, "something follows the value");
  if (j.rc != HF_OK) {
    free(out->text);
    out->text = NULL;
  }
  return j.rc;
}
