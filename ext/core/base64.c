/*
** Base64: see base64.h.
*/
#include "core/base64.h"

#include <string.h>

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hf_base64_encode(const unsigned char *data, size_t n, char *out) {
  for (; n >= 3; n -= 3, data += 3) {
    *out++ = base64_digits[data[0] >> 2];
    *out++ = base64_digits[(data[0] & 3) << 4 | data[1] >> 4];
    *out++ = base64_digits[(data[1] & 15) << 2 | data[2] >> 6];
    *out++ = base64_digits[data[2] & 63];
  }
  if (n > 0) {
    unsigned char second = n == 2 ? data[1] : 0;
    *out++ = base64_digits[data[0] >> 2];
    *out++ = base64_digits[(data[0] & 3) << 4 | second >> 4];
    *out = base64_digits[(second & 15) << 2];
    if (n == 1) *out = '=';
    out++;
    *out++ = '=';
  }
  *out = 0;
}

static int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

int hf_base64_decode(const char *text, size_t n, unsigned char *out,
                     size_t *size) {
  size_t padding = 0, at, used = 0;
  *size = 0;
  if (n % 4 != 0) return 0;
  if (n > 0 && text[n - 1] == '=') padding = text[n - 2] == '=' ? 2 : 1;
  for (at = 0; at < n; at += 4) {
    unsigned long word = 0;
    size_t i, digits = at + 4 == n ? 4 - padding : 4;
    for (i = 0; i < 4; i++) {
      int value = i < digits ? base64_value(text[at + i]) : 0;
      if (value < 0) return 0;
      word = word << 6 | (unsigned long)value;
    }
    /* Bits behind the last byte are zero, or two texts would be one. */
    if ((digits == 3 && (word & 0xff)) || (digits == 2 && (word & 0xffff))) {
      return 0;
    }
    for (i = 0; i + 1 < digits; i++) {
      out[used++] = (unsigned char)(word >> (16 - 8 * i));
    }
  }
  *size = used;
  return 1;
}

int hf_base64_decode_any(char *text, size_t n, unsigned char *out,
                         size_t *size) {
  char last[4] = {'=', '=', '=', '='};
  size_t i, whole, rest;
  if (n > 0 && n % 4 == 0 && text[n - 1] == '=')
    n -= text[n - 2] == '=' ? 2 : 1;
  for (i = 0; i < n; i++) {
    if (text[i] == '=') return 0;
    if (text[i] == '-') text[i] = '+';
    if (text[i] == '_') text[i] = '/';
  }
  whole = n / 4 * 4;
  if (!hf_base64_decode(text, whole, out, size)) return 0;
  if (n == whole) return 1;
  memcpy(last, text + whole, n - whole);
  if (!hf_base64_decode(last, 4, out + *size, &rest)) return 0;
  *size += rest;
  return 1;
}
