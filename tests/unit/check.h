/*
** check.h: the unit tests' only framework.
**
** A test is a program: some functions full of CHECKs, and a main that ends
** with `return check_summary("digest");`. A check that fails prints where and
** what, and the program goes on; the summary is one line,
**
**     digest: 120 checks, 0 failed
**
** and its value, the exit status, is 0 only if checks ran and all held.
**
**     CHECK(cond)                       any condition
**     CHECK_EQ_INT(actual, expected)    integers up to 64 bits
**     CHECK_EQ_STR(actual, expected)    zero-terminated text, NULL allowed
**     CHECK_EQ_MEM(actual, expected, n) n bytes against n bytes
**     CHECK_EQ_HEX(actual, n, "a1b2")   n bytes against hex digits (lower case)
**
** Each evaluates to 1 or 0, so that a test can stop where going on makes no
** sense: `if (!CHECK(p != NULL)) return;`. The arguments are evaluated once.
*/
#ifndef HF_CHECK_H
#define HF_CHECK_H

#include <stdio.h>
#include <string.h>

#define CHECK(cond) check_that((cond) != 0, #cond, __FILE__, __LINE__)
#define CHECK_EQ_INT(actual, expected) \
  check_int((long long)(actual), (long long)(expected), #actual, __FILE__, \
            __LINE__)
#define CHECK_EQ_STR(actual, expected) \
  check_str((actual), (expected), #actual, __FILE__, __LINE__)
#define CHECK_EQ_MEM(actual, expected, n) \
  check_mem((actual), (expected), (size_t)(n), #actual, __FILE__, __LINE__)
#define CHECK_EQ_HEX(actual, n, hex) \
  check_hex((actual), (size_t)(n), (hex), #actual, __FILE__, __LINE__)

static unsigned long check_count;  /* checks made */
static unsigned long check_failed; /* checks that did not hold */

/* Count one check; say where, if it failed. All other checks end here. */
static inline int check_that(int ok, const char *what, const char *file,
                             int line) {
  check_count++;
  if (ok) return 1;
  check_failed++;
  printf("%s:%d: failed: %s\n", file, line, what);
  return 0;
}

static inline int check_int(long long actual, long long expected,
                            const char *what, const char *file, int line) {
  int ok = actual == expected;
  check_that(ok, what, file, line);
  if (!ok) printf("    expected %lld\n    actual   %lld\n", expected, actual);
  return ok;
}

static inline int check_str(const char *actual, const char *expected,
                            const char *what, const char *file, int line) {
  int ok = actual == expected;
  if (actual && expected) ok = strcmp(actual, expected) == 0;
  check_that(ok, what, file, line);
  if (!ok) {
    printf("    expected %s\n", expected ? expected : "(null)");
    printf("    actual   %s\n", actual ? actual : "(null)");
  }
  return ok;
}

/* Print n bytes as lower-case hex digits after a label. */
static inline void check_print_hex(const char *label, const void *data,
                                   size_t n) {
  const unsigned char *a = data;
  printf("    %s ", label);
  for (size_t i = 0; i < n; i++) printf("%02x", a[i]);
  printf("\n");
}

static inline int check_mem(const void *actual, const void *expected, size_t n,
                            const char *what, const char *file, int line) {
  int ok = n == 0 || (actual && expected && memcmp(actual, expected, n) == 0);
  check_that(ok, what, file, line);
  if (!ok && expected) check_print_hex("expected", expected, n);
  if (!ok && actual) check_print_hex("actual  ", actual, n);
  return ok;
}

static inline int check_hex(const void *actual, size_t n, const char *hex,
                            const char *what, const char *file, int line) {
  static const char digits[] = "0123456789abcdef";
  const unsigned char *a = actual;
  int ok = strlen(hex) == 2 * n && (a || n == 0);
  for (size_t i = 0; ok && i < n; i++) {
    ok = hex[2 * i] == digits[a[i] >> 4] && hex[2 * i + 1] == digits[a[i] & 15];
  }
  check_that(ok, what, file, line);
  if (!ok) printf("    expected %s\n", hex);
  if (!ok && a) check_print_hex("actual  ", a, n);
  return ok;
}

/* The last line of a test program, and its exit status. */
static inline int check_summary(const char *name) {
  printf("%s: %lu checks, %lu failed\n", name, check_count, check_failed);
  return check_failed != 0 || check_count == 0;
}

#endif
