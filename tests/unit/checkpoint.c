/*
** Checkpoints: which texts are one, and what is written is what is read.
** Cosignatures of witnesses on notes, made here with Ed25519 itself.
*/
#include "core/checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/base64.h"
#include "core/note.h"

/* 32 zero bytes; 31, 33; and 32 whose last two unused bits are not zero. */
#define A40 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ROOT A40 "AAA="
#define ROOT_31 A40 "AA=="
#define ROOT_33 A40 "AAAA"
#define ROOT_BITS A40 "AAB="

/* ---- the text of a checkpoint -------------------------------------------- */

static void test_taken(void) {
  static const struct {
    const char *text;
    size_t origin_size;
    uint64_t size;
  } good[] = {
      {"o\n0\n" ROOT "\n", 1, 0},
      {"example.com/log\n7\n" ROOT "\n", 15, 7},
      {"with space+plus\n10\n" ROOT "\n", 15, 10},
      {"o\n1000000000000000000\n" ROOT "\n", 1, 1000000000000000000},
      {"o\n9223372036854775807\n" ROOT "\n", 1, HF_MERKLE_MAX},
      {"o\n7\n" ROOT "\none line more\n", 1, 7},
      {"o\n7\n" ROOT "\none\n\xe2\x80\x94 two\n", 1, 7},
  };
  unsigned char root[HF_SHA256_SIZE] = {0};
  size_t i;
  for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
    HfCheckpoint out;
    memset(&out, 0xff, sizeof(out));
    CHECK(hf_checkpoint_read(good[i].text, strlen(good[i].text), &out));
    CHECK(out.origin == good[i].text);
    CHECK_EQ_INT(out.origin_size, good[i].origin_size);
    CHECK_EQ_INT(out.size, good[i].size);
    CHECK_EQ_MEM(out.root, root, sizeof(root));
  }
}

static void test_refused(void) {
  static const char *const bad[] = {
      "", "\n", "o", "o\n", "o\n7", "o\n7\n", "o\n7\n\n",
      /* the origin */
      "\n7\n" ROOT "\n",
      /* the size */
      "o\n\n" ROOT "\n", "o\n07\n" ROOT "\n", "o\n00\n" ROOT "\n",
      "o\n+7\n" ROOT "\n", "o\n-7\n" ROOT "\n", "o\n 7\n" ROOT "\n",
      "o\n7 \n" ROOT "\n", "o\n7\r\n" ROOT "\n", "o\n0x7\n" ROOT "\n",
      "o\n7.0\n" ROOT "\n", "o\n7e1\n" ROOT "\n", "o\n:\n" ROOT "\n",
      "o\n/\n" ROOT "\n", "o\n9223372036854775808\n" ROOT "\n",
      "o\n9999999999999999999\n" ROOT "\n",
      "o\n18446744073709551615\n" ROOT "\n",
      "o\n18446744073709551616\n" ROOT "\n",
      "o\n18446744073709551623\n" ROOT "\n",
      "o\n00000000000000000007\n" ROOT "\n",
      "o\n10000000000000000000000007\n" ROOT "\n",
      /* the root */
      "o\n7\n" ROOT, "o\n7\n" ROOT_31 "\n", "o\n7\n" ROOT_33 "\n",
      "o\n7\n" ROOT_BITS "\n", "o\n7\n" A40 "AAA\n", "o\n7\n" A40 "AAA= \n",
      "o\n7\n " ROOT "\n", "o\n7\n" ROOT "=\n", "o\n7\n" A40 "A_A=\n",
      "o\n7\n" A40 "A*A=\n", "o\n7\n" ROOT "\r\n",
      /* further lines */
      "o\n7\n" ROOT "\n\n", "o\n7\n" ROOT "\nmore", "o\n7\n" ROOT "\nmore\n\n",
      "o\n7\n" ROOT "\n\nmore\n", "\no\n7\n" ROOT "\n", "o\n\n7\n" ROOT "\n"};
  HfCheckpoint out;
  size_t i;
  for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
    if (!CHECK(!hf_checkpoint_read(bad[i], strlen(bad[i]), &out))) {
      printf("    taken: %s\n", bad[i]);
    }
  }
  CHECK(!hf_checkpoint_read("o\n7\0\n" ROOT "\n", 50, &out));
}

/* Of a text's beginnings only those are one that end behind a line. */
static void test_cut_short(void) {
  static const char text[] = "origin\n42\n" ROOT "\nmore\n";
  size_t least = strlen("origin\n42\n" ROOT "\n"), n;
  for (n = 0; n < sizeof(text); n++) {
    char *copy = malloc(n + 1); /* no longer than it is said to be */
    HfCheckpoint out;
    if (!CHECK(copy != NULL)) return;
    memcpy(copy, text, n);
    CHECK_EQ_INT(hf_checkpoint_read(copy, n, &out),
                 n == least || n == sizeof(text) - 1);
    free(copy);
  }
}

static void test_round_trip(void) {
  static const uint64_t size[] = {
      0, 1, 9, 10, 99, 100, 4096, 65536, 999999999999999999, HF_MERKLE_MAX};
  static const size_t origin_size[] = {1, 2, 15, 255, 300};
  char origin[300];
  size_t i, k, n;
  memset(origin, 'o', sizeof(origin));
  for (k = 0; k < sizeof(origin_size) / sizeof(*origin_size); k++) {
    char *text = malloc(HF_CHECKPOINT_ROOM(origin_size[k]));
    if (!CHECK(text != NULL)) return;
    for (i = 0; i < sizeof(size) / sizeof(*size); i++) {
      HfCheckpoint in = {origin, origin_size[k], size[i], {0}};
      HfCheckpoint out;
      memset(in.root, (int)(0xf0 + i), sizeof(in.root));
      n = hf_checkpoint_write(&in, text);
      CHECK(n < HF_CHECKPOINT_ROOM(origin_size[k]));
      CHECK_EQ_INT(text[n], 0);
      CHECK_EQ_INT(strlen(text), n);
      CHECK(hf_checkpoint_read(text, n, &out));
      CHECK_EQ_INT(out.origin_size, in.origin_size);
      CHECK_EQ_MEM(out.origin, origin, origin_size[k]);
      CHECK_EQ_INT(out.size, in.size);
      CHECK_EQ_MEM(out.root, in.root, sizeof(in.root));
    }
    free(text);
  }
}

static void test_written(void) {
  HfCheckpoint in = {"example.com/log", 15, 20852163, {0}};
  char text[HF_CHECKPOINT_ROOM(15)];
  CHECK_EQ_INT(hf_checkpoint_write(&in, text), 70);
  CHECK_EQ_STR(text, "example.com/log\n20852163\n" ROOT "\n");
}

/* ---- cosignatures -------------------------------------------------------- */

#define CHECKPOINT "example.com/log\n42\n" ROOT "\n"

static HfSha256 *sha;
static HfNoteKey signer;  /* the log's */
static HfNoteKey witness; /* type 4 */

/* A key like hf_note_key_make's, of another type: it has an id of its own. */
static void make_key(const char *name, int type, unsigned char seed,
                     HfNoteKey *key) {
  const unsigned char kind[] = {'\n', (unsigned char)type};
  unsigned char secret[HF_ED25519_KEY], hash[HF_SHA256_SIZE];
  memset(secret, seed, sizeof(secret));
  CHECK(hf_note_key_make(sha, name, strlen(name), secret, key) == HF_OK);
  key->type = type;
  hf_sha256_begin(sha);
  hf_sha256_add(sha, name, strlen(name));
  hf_sha256_add(sha, kind, sizeof(kind));
  hf_sha256_add(sha, key->public_key, HF_ED25519_KEY);
  CHECK(hf_sha256_end(sha, hash) == HF_OK);
  memcpy(key->id, hash, sizeof(key->id));
}

/* Append the line of a cosignature, `extra` bytes longer than it should be,
** to the note; bit `flip` of what it says is turned over, -1 for none. */
static void cosign(const HfNoteKey *key, const char *text, uint64_t when,
                   int extra, int flip, char *note) {
  static char message[HF_NOTE_COSIGNED_MAX + 100];
  unsigned char data[4 + 8 + HF_ED25519_SIGNATURE + 4] = {0};
  char base64[hf_base64_size(sizeof(data)) + 1];
  int size = 12 + HF_ED25519_SIGNATURE + extra;
  int i, n;
  n = snprintf(message, sizeof(message), "cosignature/v1\ntime %llu\n%s",
               (unsigned long long)when, text);
  memcpy(data, key->id, 4);
  for (i = 0; i < 8; i++) data[4 + i] = (unsigned char)(when >> (56 - 8 * i));
  CHECK(hf_ed25519_sign(key->secret, NULL, message, (size_t)n, data + 12) ==
        HF_OK);
  if (flip >= 0) data[4 + flip / 8] ^= (unsigned char)(1 << flip % 8);
  hf_base64_encode(data, (size_t)size, base64);
  (void)sprintf(note + strlen(note), "\xe2\x80\x94 %s %s\n", key->name, base64);
}

static void sign(const char *text, char *note) {
  char line[HF_NOTE_LINE_MAX + 1];
  size_t n;
  CHECK(hf_note_sign(&signer, text, strlen(text), line, &n) == HF_OK);
  (void)sprintf(note, "%s\n%s", text, line);
}

/* Verify with one key: its verdict, and its time in *when. */
static int verdict(const HfNoteKey *key, const char *note, uint64_t *when) {
  HfNoteKey copy = *key;
  size_t text;
  copy.verdict = 7;
  copy.time = 7;
  CHECK(hf_note_verify(&copy, 1, note, strlen(note), &text) == HF_OK);
  CHECK_EQ_INT(text > 0, copy.verdict == 1);
  if (when != NULL) *when = copy.time;
  return copy.verdict;
}

static void test_verifier_of_a_witness(void) {
  char text[HF_NOTE_KEY_TEXT];
  HfNoteKey read;
  char *plus;
  hf_note_key_verifier(&witness, text);
  CHECK(hf_note_read_verifier(sha, text, strlen(text), &read) == HF_OK);
  CHECK_EQ_INT(read.type, HF_NOTE_COSIGNATURE);
  CHECK_EQ_STR(read.name, "witness.example");
  CHECK_EQ_MEM(read.id, witness.id, 4);
  CHECK_EQ_MEM(read.public_key, witness.public_key, HF_ED25519_KEY);
  hf_note_key_signer(&witness, text);
  CHECK(hf_note_read_signer(sha, text, strlen(text), &read) == HF_RANGE);
  /* The type is part of the id: with a log's it is another key. */
  hf_note_key_verifier(&witness, text);
  plus = strchr(text, '+');
  plus[11] = 'Q'; /* the first byte is 1 then */
  CHECK(hf_note_read_verifier(sha, text, strlen(text), &read) == HF_RANGE);
}

static void test_unknown_types(void) {
  static const int type[] = {0, 2, 3, 5, 6, 0xff};
  char text[HF_NOTE_KEY_TEXT];
  HfNoteKey key, read;
  size_t i;
  for (i = 0; i < sizeof(type) / sizeof(*type); i++) {
    make_key("witness.example", type[i], 7, &key);
    hf_note_key_verifier(&key, text);
    CHECK(hf_note_read_verifier(sha, text, strlen(text), &read) == HF_RANGE);
    hf_note_key_signer(&key, text);
    CHECK(hf_note_read_signer(sha, text, strlen(text), &read) == HF_RANGE);
  }
}

static void test_time(void) {
  static const uint64_t time[] = {0, 1, 1700000000, (uint64_t)1 << 56,
                                  UINT64_MAX};
  size_t i;
  for (i = 0; i < sizeof(time) / sizeof(*time); i++) {
    char note[1000];
    uint64_t when;
    sign(CHECKPOINT, note);
    cosign(&witness, CHECKPOINT, time[i], 0, -1, note);
    CHECK_EQ_INT(verdict(&witness, note, &when), 1);
    CHECK(when == time[i]);
    CHECK_EQ_INT(verdict(&signer, note, &when), 1);
    CHECK_EQ_INT(when, 0);
  }
}

static void test_wrong_cosignatures(void) {
  char note[1000];
  HfNoteKey other, both[2];
  size_t text;
  int bit, extra;
  /* Each bit of time and signature counts; the log's own line stays good. */
  for (bit = 0; bit < 8 * (8 + HF_ED25519_SIGNATURE); bit += 5) {
    sign(CHECKPOINT, note);
    cosign(&witness, CHECKPOINT, 1700000000, 0, bit, note);
    CHECK_EQ_INT(verdict(&witness, note, NULL), -1);
    CHECK_EQ_INT(verdict(&signer, note, NULL), 1);
  }
  for (extra = -4; extra <= 4; extra++) {
    sign(CHECKPOINT, note);
    cosign(&witness, CHECKPOINT, 1700000000, extra, -1, note);
    CHECK_EQ_INT(verdict(&witness, note, NULL), extra == 0 ? 1 : -1);
  }
  sign(CHECKPOINT, note);
  cosign(&witness, "example.com/log\n43\n" ROOT "\n", 9, 0, -1, note);
  CHECK_EQ_INT(verdict(&witness, note, NULL), -1);
  /* One wrong line of a known key spoils what another key says. */
  both[0] = signer;
  both[1] = witness;
  CHECK(hf_note_verify(both, 2, note, strlen(note), &text) == HF_OK);
  CHECK_EQ_INT(text, 0);
  CHECK_EQ_INT(both[0].verdict, 1);
  CHECK_EQ_INT(both[1].verdict, -1);
  /* Another witness of the same name, and one that has not cosigned. */
  make_key("witness.example", HF_NOTE_COSIGNATURE, 9, &other);
  CHECK_EQ_INT(verdict(&other, note, NULL), 0);
  sign(CHECKPOINT, note);
  CHECK_EQ_INT(verdict(&witness, note, NULL), 0);
}

/* A witness's key with the id of its cosignatures does not sign notes, nor the
** other way round. */
static void test_kinds_do_not_mix(void) {
  char note[1000], line[HF_NOTE_LINE_MAX + 1];
  HfNoteKey plain = witness, log = signer;
  size_t n;
  plain.type = HF_NOTE_ED25519;
  CHECK(hf_note_sign(&plain, CHECKPOINT, strlen(CHECKPOINT), line, &n) ==
        HF_OK);
  (void)sprintf(note, "%s\n%s", CHECKPOINT, line);
  CHECK_EQ_INT(verdict(&witness, note, NULL), -1);
  CHECK_EQ_INT(verdict(&plain, note, NULL), 1);
  (void)sprintf(note, "%s\n", CHECKPOINT);
  cosign(&log, CHECKPOINT, 1700000000, 0, -1, note);
  CHECK_EQ_INT(verdict(&log, note, NULL), -1);
  log.type = HF_NOTE_COSIGNATURE;
  CHECK_EQ_INT(verdict(&log, note, NULL), 1);
}

static void test_long_texts_carry_none(void) {
  static char text[HF_NOTE_COSIGNED_MAX + 2], note[2 * HF_NOTE_COSIGNED_MAX];
  uint64_t when;
  size_t n;
  for (n = HF_NOTE_COSIGNED_MAX - 1; n <= HF_NOTE_COSIGNED_MAX + 1; n++) {
    memset(text, 'x', n - 1);
    text[n - 1] = '\n';
    text[n] = 0;
    sign(text, note);
    cosign(&witness, text, 1700000000, 0, -1, note);
    CHECK_EQ_INT(verdict(&witness, note, &when),
                 n <= HF_NOTE_COSIGNED_MAX ? 1 : -1);
    CHECK_EQ_INT(verdict(&signer, note, NULL), 1);
  }
}

int main(void) {
  unsigned char secret[HF_ED25519_KEY] = {42};
  test_taken();
  test_refused();
  test_cut_short();
  test_round_trip();
  test_written();
  CHECK(hf_sha256_new(&sha) == HF_OK);
  CHECK(hf_note_key_make(sha, "example.com/log", 15, secret, &signer) == HF_OK);
  make_key("witness.example", HF_NOTE_COSIGNATURE, 7, &witness);
  test_verifier_of_a_witness();
  test_unknown_types();
  test_time();
  test_wrong_cosignatures();
  test_kinds_do_not_mix();
  test_long_texts_carry_none();
  hf_sha256_free(sha);
  return check_summary("checkpoint");
}
