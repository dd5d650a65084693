/*
** Reading the canonical encoding: see canonical.h.
*/
#include "core/canonical.h"

#include <string.h>

/* A tag, a decimal number without leading zeros, a colon. */
static int canon_read_counted(const unsigned char *data, size_t size,
                              size_t *at, char tag, uint64_t *count) {
  size_t i = *at;
  *count = 0;
  if (i >= size || data[i++] != (unsigned char)tag) return 0;
  if (i + 1 < size && data[i] == '0' && data[i + 1] != ':') return 0;
  while (i < size && data[i] >= '0' && data[i] <= '9') {
    if (*count > UINT64_MAX / 10 - 1) return 0;
    *count = *count * 10 + (uint64_t)(data[i++] - '0');
  }
  if (i >= size || data[i] != ':' || data[i - 1] == (unsigned char)tag) {
    return 0;
  }
  *at = i + 1;
  return 1;
}

int hf_canon_read_row(const unsigned char *data, size_t size, size_t *at,
                      uint64_t *count) {
  return canon_read_counted(data, size, at, 'R', count);
}

static int canon_read_word(const unsigned char *data, size_t size, size_t *at,
                           uint64_t *word) {
  size_t i;
  if (size - *at < 9) return 0;
  *word = 0;
  for (i = 1; i < 9; i++) *word = *word << 8 | data[*at + i];
  *at += 9;
  return 1;
}

int hf_canon_read(const unsigned char *data, size_t size, size_t *at,
                  HfCanonItem *item) {
  uint64_t word;
  if (*at >= size) return 0;
  memset(item, 0, sizeof(*item));
  item->tag = (char)data[*at];
  switch (item->tag) {
    case 'N':
      ++*at;
      return 1;
    case 'I':
      if (!canon_read_word(data, size, at, &word)) return 0;
      item->integer = (int64_t)word;
      return 1;
    case 'F':
      if (!canon_read_word(data, size, at, &word)) return 0;
      memcpy(&item->real, &word, sizeof(word));
      return item->real == item->real && word != (uint64_t)1 << 63;
    case 'T':
    case 'B':
      if (!canon_read_counted(data, size, at, item->tag, &word) ||
          word > size - *at) {
        return 0;
      }
      item->data = data + *at;
      item->size = (size_t)word;
      *at += item->size;
      return 1;
    default:
      return 0;
  }
}
