/*
** The options of a lease table: the arguments of CREATE VIRTUAL TABLE.
*/
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lease/lease.h"

typedef struct OptionNumber {
  const char *key;
  size_t at; /* in LeaseOptions */
  sqlite3_int64 least;
  sqlite3_int64 most;
} OptionNumber;

static const OptionNumber option_numbers[] = {
    {"ttl_ms", offsetof(LeaseOptions, ttl_ms), 1, LEASE_TTL_MAX},
    {"max_ttl_ms", offsetof(LeaseOptions, max_ttl_ms), 1, LEASE_TTL_MAX},
    {"max_renewals", offsetof(LeaseOptions, max_renewals), 0, LEASE_TTL_MAX},
    {"lock_delay_ms", offsetof(LeaseOptions, lock_delay_ms), 0, LEASE_TTL_MAX},
};
#define OPTION_NUMBERS (sizeof(option_numbers) / sizeof(*option_numbers))

static int option_is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A whole number in digits; -1 for anything else. */
static sqlite3_int64 option_number(const char *text, size_t size) {
  sqlite3_int64 n = 0;
  size_t i;
  if (size == 0 || size > 15) return -1;
  for (i = 0; i < size; i++) {
    if (text[i] < '0' || text[i] > '9') return -1;
    n = n * 10 + (text[i] - '0');
  }
  return n;
}

/* Set the option of this key; 0 when there is none of that name. */
static int option_set(LeaseOptions *options, const char *name, const char *key,
                      const char *value, size_t size, HfError *err) {
  size_t i;
  for (i = 0; i < OPTION_NUMBERS; i++) {
    const OptionNumber *number = &option_numbers[i];
    sqlite3_int64 n;
    if (sqlite3_stricmp(key, number->key) != 0) continue;
    n = option_number(value, size);
    if (n < number->least || n > number->most) {
      hf_fail(err, SQLITE_ERROR,
              "lease %s: %s must be a whole number from %lld to %lld", name,
              number->key, number->least, number->most);
    }
    *(sqlite3_int64 *)((char *)options + number->at) = n;
    return 1;
  }
  if (sqlite3_stricmp(key, "clock") != 0) return 0;
  if (size >= 2 && (value[0] == '\'' || value[0] == '"') &&
      value[size - 1] == value[0]) {
    value++;
    size -= 2;
  }
  if (size == 6 && sqlite3_strnicmp(value, "system", 6) == 0) {
    options->clock_caller = 0;
  } else if (size == 6 && sqlite3_strnicmp(value, "caller", 6) == 0) {
    options->clock_caller = 1;
  } else {
    hf_fail(err, SQLITE_ERROR, "lease %s: clock must be 'system' or 'caller'",
            name);
  }
  return 1;
}

/* One argument, key = value. */
static int option_argument(LeaseOptions *options, const char *name,
                           const char *text, HfError *err) {
  const char *end = text + strlen(text), *equals = strchr(text, '=');
  const char *key_end = equals, *value;
  char key[32] = "";
  while (option_is_space(*text)) text++;
  if (equals != NULL) {
    while (key_end > text && option_is_space(key_end[-1])) key_end--;
    if ((size_t)(key_end - text) < sizeof(key)) {
      memcpy(key, text, (size_t)(key_end - text));
    }
    value = equals + 1;
    while (option_is_space(*value)) value++;
    while (end > value && option_is_space(end[-1])) end--;
    if (option_set(options, name, key, value, (size_t)(end - value), err)) {
      return err->rc;
    }
  }
  return hf_fail(err, SQLITE_ERROR,
                 "lease %s: unknown option %s; the options are ttl_ms, "
                 "max_ttl_ms, max_renewals, lock_delay_ms and clock",
                 name, text);
}

int lease_options_parse(LeaseOptions *options, const char *name, int argc,
                        const char *const *argv, HfError *err) {
  int i;
  options->ttl_ms = 300000;
  options->max_ttl_ms = 3600000;
  options->max_renewals = 10;
  options->lock_delay_ms = 0;
  options->clock_caller = 0;
  for (i = 0; i < argc; i++) {
    /* USING lease() has one empty argument. */
    if (argc == 1 && argv[i][strspn(argv[i], " \t\r\n")] == 0) break;
    if (option_argument(options, name, argv[i], err) != SQLITE_OK) {
      return err->rc;
    }
  }
  if (options->ttl_ms > options->max_ttl_ms) {
    hf_fail(err, SQLITE_ERROR,
            "lease %s: ttl_ms is above max_ttl_ms, which is %lld", name,
            options->max_ttl_ms);
  }
  return err->rc;
}
