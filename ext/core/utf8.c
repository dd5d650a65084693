/*
** UTF-8: see utf8.h.
*/
#include "core/utf8.h"

uint32_t hf_utf8_next(const char *text, size_t size, size_t *at) {
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
  const unsigned char *z = (const unsigned char *)text + *at;
  size_t more, i;
  uint32_t c = z[0];
  if (c < 0x80) {
    (*at)++;
    return c;
  }
  more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
  if (c < 0xc0 || c > 0xf7 || size - *at <= more) return HF_UTF8_WRONG;
  c &= 0x3fU >> more;
  for (i = 1; i <= more; i++) {
    if ((z[i] & 0xc0) != 0x80) return HF_UTF8_WRONG;
    c = c << 6 | (z[i] & 0x3f);
  }
  *at += more + 1;
  if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
    return HF_UTF8_WRONG;
  }
  return c;
}

int hf_utf8_is(const char *text, size_t size) {
  size_t at = 0;
  while (at < size) {
    if (hf_utf8_next(text, size, &at) == HF_UTF8_WRONG) return 0;
  }
  return 1;
}
