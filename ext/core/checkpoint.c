/*
** The text of a checkpoint: see checkpoint.h.
*/
#include "core/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base64.h"

/* The line that begins at *at, without its newline; *at is then behind it.
** NULL when there is none, or an empty one. */
static const char *checkpoint_line(const char *text, size_t n, size_t *at,
                                   size_t *size) {
  const char *line = text + *at;
  const char *end = *at < n ? memchr(line, '\n', n - *at) : NULL;
  if (end == NULL || end == line) return NULL;
  *size = (size_t)(end - line);
  *at += *size + 1;
  return line;
}

/* Decimal digits without a leading zero, at most HF_MERKLE_MAX. */
static int checkpoint_number(const char *text, size_t n, uint64_t *out) {
  size_t i;
  *out = 0;
  if (n > 19 || (n > 1 && text[0] == '0')) return 0;
  for (i = 0; i < n; i++) {
    if (text[i] < '0' || text[i] > '9') return 0;
    *out = *out * 10 + (uint64_t)(text[i] - '0');
  }
  return *out <= HF_MERKLE_MAX;
}

int hf_checkpoint_read(const char *text, size_t n, HfCheckpoint *out) {
  enum { BASE64 = hf_base64_size(HF_SHA256_SIZE) };
  unsigned char root[BASE64 / 4 * 3];
  size_t at = 0, size;
  const char *line;
  out->origin = checkpoint_line(text, n, &at, &out->origin_size);
  if (out->origin == NULL) return 0;
  line = checkpoint_line(text, n, &at, &size);
  if (line == NULL || !checkpoint_number(line, size, &out->size)) return 0;
  line = checkpoint_line(text, n, &at, &size);
  if (line == NULL || size != BASE64 ||
      !hf_base64_decode(line, size, root, &size) || size != HF_SHA256_SIZE) {
    return 0;
  }
  memcpy(out->root, root, HF_SHA256_SIZE);
  while (at < n) {
    if (checkpoint_line(text, n, &at, &size) == NULL) return 0;
  }
  return 1;
}

size_t hf_checkpoint_write(const HfCheckpoint *checkpoint, char *out) {
  size_t n = checkpoint->origin_size;
  memcpy(out, checkpoint->origin, n);
  n += (size_t)snprintf(out + n, 23, "\n%" PRIu64 "\n", checkpoint->size);
  hf_base64_encode(checkpoint->root, HF_SHA256_SIZE, out + n);
  n += hf_base64_size(HF_SHA256_SIZE);
  out[n++] = '\n';
  out[n] = 0;
  return n;
}
