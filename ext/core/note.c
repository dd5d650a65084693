/*
** Signed notes: see note.h.
*/
#include "core/note.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base64.h"
#include "core/utf8.h"

#define NOTE_DASH "\xe2\x80\x94 "
#define NOTE_DASH_SIZE 4
#define NOTE_PRIVATE "PRIVATE+KEY+"

/* ---- text ---------------------------------------------------------------- */

/* Unicode's White_Space. */
static int note_is_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
         c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

int hf_note_is_name(const char *name, size_t size) {
  size_t at = 0;
  if (size == 0 || size > HF_NOTE_NAME_MAX) return 0;
  while (at < size) {
    uint32_t c = hf_utf8_next(name, size, &at);
    if (c == HF_UTF8_WRONG || c < 0x20 || c == '+' || note_is_space(c))
      return 0;
  }
  return 1;
}

int hf_note_is_plain(const char *text, size_t size) {
  size_t at = 0;
  while (at < size) {
    uint32_t c = hf_utf8_next(text, size, &at);
    if (c == HF_UTF8_WRONG || (c < 0x20 && c != '\n')) return 0;
  }
  return 1;
}

int hf_note_is_text(const char *text, size_t size) {
  return size > 0 && size <= HF_NOTE_SIZE_MAX && text[size - 1] == '\n' &&
         hf_note_is_plain(text, size);
}

/* ---- keys ---------------------------------------------------------------- */

static int note_key_id(HfSha256 *sha, HfNoteKey *key) {
  const unsigned char kind[] = {'\n', (unsigned char)key->type};
  unsigned char hash[HF_SHA256_SIZE];
  int rc;
  hf_sha256_begin(sha);
  hf_sha256_add(sha, key->name, strlen(key->name));
  hf_sha256_add(sha, kind, sizeof(kind));
  hf_sha256_add(sha, key->public_key, sizeof(key->public_key));
  rc = hf_sha256_end(sha, hash);
  memcpy(key->id, hash, sizeof(key->id));
  return rc;
}

int hf_note_key_make(HfSha256 *sha, const char *name, size_t size,
                     const unsigned char secret[HF_ED25519_KEY],
                     HfNoteKey *key) {
  int rc;
  memset(key, 0, sizeof(*key));
  key->type = HF_NOTE_ED25519;
  if (!hf_note_is_name(name, size)) return HF_RANGE;
  memcpy(key->name, name, size);
  memcpy(key->secret, secret, sizeof(key->secret));
  rc = hf_ed25519_public(secret, key->public_key);
  return rc == HF_OK ? note_key_id(sha, key) : rc;
}

/* "<name>+<id>+<base64>", with what stands before it. */
static void note_key_text(const HfNoteKey *key, const char *before,
                          const unsigned char *bytes, char *out) {
  unsigned char data[1 + HF_ED25519_KEY] = {(unsigned char)key->type};
  size_t n = strlen(before), name = strlen(key->name);
  memcpy(data + 1, bytes, HF_ED25519_KEY);
  // NOLINTNEXTLINE(bugprone-not-null-terminated-result): base64 ends it
  memcpy(out, before, n);
  memcpy(out + n, key->name, name);
  n += name;
  out[n++] = '+';
  hf_hex(key->id, sizeof(key->id), out + n);
  n += 2 * sizeof(key->id);
  out[n++] = '+';
  hf_base64_encode(data, sizeof(data), out + n);
  hf_wipe(data, sizeof(data));
  assert(n + hf_base64_size(sizeof(data)) < HF_NOTE_KEY_TEXT);
}

void hf_note_key_verifier(const HfNoteKey *key, char out[HF_NOTE_KEY_TEXT]) {
  note_key_text(key, "", key->public_key, out);
}

void hf_note_key_signer(const HfNoteKey *key, char out[HF_NOTE_KEY_TEXT]) {
  note_key_text(key, NOTE_PRIVATE, key->secret, out);
}

/* The parts of a key's text: the name, the id's digits, and 32 bytes.  The
** base64 may hold a '+', the name may not, so the first two separate. */
static int note_key_split(const char *text, size_t size, HfNoteKey *key,
                          char id[8], unsigned char bytes[HF_ED25519_KEY]) {
  enum { BASE64 = hf_base64_size(1 + HF_ED25519_KEY) };
  unsigned char data[BASE64 / 4 * 3];
  const char *plus = memchr(text, '+', size);
  size_t name, n;
  int good;
  memset(key, 0, sizeof(*key));
  if (plus == NULL) return 0;
  name = (size_t)(plus - text);
  if (!hf_note_is_name(text, name) || size != name + 10 + BASE64 ||
      plus[9] != '+') {
    return 0;
  }
  memcpy(key->name, text, name);
  memcpy(id, plus + 1, 8);
  good = hf_base64_decode(plus + 10, BASE64, data, &n) &&
         n == 1 + HF_ED25519_KEY &&
         (data[0] == HF_NOTE_ED25519 || data[0] == HF_NOTE_COSIGNATURE);
  key->type = data[0];
  if (good) memcpy(bytes, data + 1, HF_ED25519_KEY);
  hf_wipe(data, sizeof(data));
  return good;
}

/* Compute the key's id and compare it with the digits. */
static int note_key_check(HfSha256 *sha, HfNoteKey *key, const char id[8]) {
  char hex[9];
  int rc = note_key_id(sha, key);
  if (rc != HF_OK) return rc;
  hf_hex(key->id, sizeof(key->id), hex);
  return memcmp(hex, id, 8) == 0 ? HF_OK : HF_RANGE;
}

int hf_note_read_verifier(HfSha256 *sha, const char *text, size_t size,
                          HfNoteKey *key) {
  char id[8];
  unsigned char public_key[HF_ED25519_KEY];
  if (!note_key_split(text, size, key, id, public_key) ||
      !hf_ed25519_is_sound(public_key)) {
    return HF_RANGE;
  }
  memcpy(key->public_key, public_key, sizeof(public_key));
  return note_key_check(sha, key, id);
}

int hf_note_read_signer(HfSha256 *sha, const char *text, size_t size,
                        HfNoteKey *key) {
  size_t before = sizeof(NOTE_PRIVATE) - 1;
  char id[8];
  int rc;
  if (size < before || memcmp(text, NOTE_PRIVATE, before) != 0 ||
      !note_key_split(text + before, size - before, key, id, key->secret) ||
      key->type != HF_NOTE_ED25519) {
    return HF_RANGE;
  }
  rc = hf_ed25519_public(key->secret, key->public_key);
  return rc == HF_OK ? note_key_check(sha, key, id) : rc;
}

/* ---- signing ------------------------------------------------------------- */

int hf_note_sign(const HfNoteKey *key, const char *text, size_t size,
                 char line[HF_NOTE_LINE_MAX + 1], size_t *line_size) {
  unsigned char data[4 + HF_ED25519_SIGNATURE];
  size_t n = NOTE_DASH_SIZE, name = strlen(key->name);
  int rc;
  *line_size = 0;
  if (!hf_note_is_text(text, size)) return HF_RANGE;
  memcpy(data, key->id, sizeof(key->id));
  rc = hf_ed25519_sign(key->secret, key->public_key, text, size, data + 4);
  if (rc != HF_OK) return rc;
  memcpy(line, NOTE_DASH, n);
  memcpy(line + n, key->name, name);
  n += name;
  line[n++] = ' ';
  hf_base64_encode(data, sizeof(data), line + n);
  n += hf_base64_size(sizeof(data));
  line[n++] = '\n';
  line[n] = 0;
  assert(n <= HF_NOTE_LINE_MAX);
  *line_size = n;
  return HF_OK;
}

/* ---- verifying ----------------------------------------------------------- */

/* A line of a note, taken apart. */
typedef struct NoteLine {
  const char *name;
  size_t name_size;
  const char *base64;
  size_t base64_size;
} NoteLine;

static int note_line(const char *line, size_t size, NoteLine *out) {
  const char *space;
  if (size < NOTE_DASH_SIZE || memcmp(line, NOTE_DASH, NOTE_DASH_SIZE) != 0) {
    return 0;
  }
  out->name = line + NOTE_DASH_SIZE;
  size -= NOTE_DASH_SIZE;
  space = memchr(out->name, ' ', size);
  if (space == NULL) return 0;
  out->name_size = (size_t)(space - out->name);
  out->base64 = space + 1;
  out->base64_size = size - out->name_size - 1;
  return hf_note_is_name(out->name, out->name_size) && out->base64_size > 0;
}

/* Is the base64 well formed, of at least a key's id and a byte?  The first four
** bytes go to id.  A signature of a kind that is not known here may be long, so
** it is looked at in pieces. */
static int note_line_id(const NoteLine *line, unsigned char id[4]) {
  unsigned char data[6];
  size_t at, n, total = 0;
  if (line->base64_size % 4 != 0) return 0;
  for (at = 0; at < line->base64_size; at += 4) {
    int last = at + 4 == line->base64_size;
    if (!hf_base64_decode(line->base64 + at, 4, data, &n) || (n < 3 && !last)) {
      return 0;
    }
    if (at == 0) memcpy(id, data, 3);
    if (at == 4) id[3] = data[0];
    total += n;
  }
  return total >= 5;
}

/* The signature of a known key over the text.  *good: it holds. */
static int note_check_signature(HfNoteKey *key, const NoteLine *line,
                                const char *text, size_t text_size, int *good) {
  unsigned char data[hf_base64_size(12 + HF_ED25519_SIGNATURE) / 4 * 3];
  char message[HF_NOTE_COSIGNED_MAX + 64];
  size_t before = key->type == HF_NOTE_COSIGNATURE ? 12 : 4;
  size_t i, n;
  int rc;
  *good = 0;
  key->verdict = -1;
  if (line->base64_size != hf_base64_size(before + HF_ED25519_SIGNATURE) ||
      !hf_base64_decode(line->base64, line->base64_size, data, &n) ||
      n != before + HF_ED25519_SIGNATURE) {
    return HF_OK;
  }
  if (key->type == HF_NOTE_COSIGNATURE) {
    if (text_size > HF_NOTE_COSIGNED_MAX) return HF_OK;
    for (i = 4; i < 12; i++) key->time = key->time << 8 | data[i];
    n = (size_t)snprintf(message, sizeof(message),
                         "cosignature/v1\ntime %" PRIu64 "\n", key->time);
    memcpy(message + n, text, text_size);
    text = message;
    text_size += n;
  }
  rc = hf_ed25519_verify(key->public_key, data + before, text, text_size, good);
  if (rc == HF_OK && *good) key->verdict = 1;
  return rc;
}

/* Check one line against the keys.  *good: it is not a wrong line of one of
** them.  A key's second line is not looked at. */
static int note_check_line(HfNoteKey *key, size_t keys, const NoteLine *line,
                           const unsigned char id[4], const char *text,
                           size_t text_size, unsigned char *seen, int *good) {
  size_t i;
  *good = 1;
  for (i = 0; i < keys; i++) {
    if (strlen(key[i].name) == line->name_size &&
        memcmp(key[i].name, line->name, line->name_size) == 0 &&
        memcmp(key[i].id, id, 4) == 0) {
      break;
    }
  }
  if (i == keys || seen[i]) return HF_OK;
  seen[i] = 1;
  return note_check_signature(&key[i], line, text, text_size, good);
}

/* Where the text ends: behind the newline before the last blank line; 0 for a
** note that has none. */
static size_t note_text_end(const char *note, size_t size) {
  size_t at;
  if (size < 3 || size > HF_NOTE_SIZE_MAX || note[size - 1] != '\n' ||
      !hf_note_is_plain(note, size)) {
    return 0;
  }
  for (at = size - 1; at > 0; at--) {
    if (note[at] == '\n' && note[at - 1] == '\n') {
      return at + 1 < size ? at : 0;
    }
  }
  return 0;
}

int hf_note_verify(HfNoteKey *key, size_t keys, const char *note, size_t size,
                   size_t *text_size) {
  size_t text = note_text_end(note, size), at = text + 1, i;
  unsigned char seen[HF_NOTE_SIGNATURES_MAX] = {0};
  int lines = 0, any = 0;
  for (i = 0; i < keys; i++) {
    key[i].verdict = 0;
    key[i].time = 0;
  }
  *text_size = 0;
  if (text == 0 || keys > HF_NOTE_SIGNATURES_MAX) return HF_OK;
  while (at < size) {
    const char *end = memchr(note + at, '\n', size - at);
    unsigned char id[4] = {0};
    NoteLine line;
    int good, rc;
    assert(end != NULL); /* the note ends in one */
    if (++lines > HF_NOTE_SIGNATURES_MAX ||
        !note_line(note + at, (size_t)(end - note) - at, &line) ||
        !note_line_id(&line, id)) {
      return HF_OK;
    }
    rc = note_check_line(key, keys, &line, id, note, text, seen, &good);
    if (rc != HF_OK || !good) return rc;
    at = (size_t)(end - note) + 1;
  }
  for (i = 0; i < keys; i++) any |= key[i].verdict;
  if (any || keys == 0) *text_size = text;
  return HF_OK;
}

size_t hf_note_text_size(const char *note, size_t size) {
  size_t text;
  /* Without keys only the form is looked at. */
  return hf_note_verify(NULL, 0, note, size, &text) == HF_OK ? text : 0;
}
