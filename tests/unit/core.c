/*
** The core: digests, canonical encoding, Merkle arithmetic, SipHash, against
** published vectors and against naive versions of the same definitions.
*/
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/canonical.h"
#include "core/digest.h"
#include "core/merkle.h"
#include "core/siphash.h"

static HfSha256 *sha;

static int hex_is(const unsigned char *data, size_t n, const char *hex) {
  char text[2 * 1024 + 1];
  hf_hex(data, n, text);
  return strcmp(text, hex) == 0;
}

/* FIPS 180-4 examples, and pieces of every size around the buffer's. */
static void test_sha256(void) {
  unsigned char hash[HF_SHA256_SIZE], whole[HF_SHA256_SIZE];
  unsigned char *data = malloc(5000);
  size_t size, step, at;
  CHECK(hf_sha256(sha, "abc", 3, hash) == HF_OK);
  CHECK(hex_is(
      hash, 32,
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
  CHECK(hf_sha256(sha, "", 0, hash) == HF_OK);
  CHECK(hex_is(
      hash, 32,
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
  for (at = 0; at < 5000; at++) data[at] = (unsigned char)(at * 7);
  for (size = 1020; size < 1030; size++) {
    hf_sha256(sha, data, size, whole);
    for (step = 1; step < 1100; step += 97) {
      hf_sha256_begin(sha);
      for (at = 0; at < size; at += step) {
        hf_sha256_add(sha, data + at, size - at < step ? size - at : step);
      }
      CHECK(hf_sha256_end(sha, hash) == HF_OK);
      CHECK(memcmp(hash, whole, sizeof(hash)) == 0);
    }
  }
  free(data);
}

/* The examples in the header of SQLite's shathree.c, and the edges. */
static void test_canonical(void) {
  unsigned char out[HF_CANON_HEAD];
  CHECK(hex_is(out, hf_canon_null(out), "4e"));
  CHECK(hex_is(out, hf_canon_integer(out, 0x123456), "490000000000123456"));
  CHECK(hex_is(out, hf_canon_integer(out, -1), "49ffffffffffffffff"));
  CHECK(hex_is(out, hf_canon_integer(out, INT64_MIN), "498000000000000000"));
  CHECK(hex_is(out, hf_canon_real(out, 100.015625), "464059010000000000"));
  CHECK(hex_is(out, hf_canon_real(out, -0.0), "460000000000000000"));
  CHECK(hex_is(out, hf_canon_real(out, 1.0 / 0.0), "467ff0000000000000"));
  CHECK(hex_is(out, hf_canon_text(out, 5), "54353a"));
  CHECK(hex_is(out, hf_canon_blob(out, 0), "42303a"));
  CHECK(hex_is(out, hf_canon_row(out, 10), "5231303a"));
  CHECK(hf_canon_text(out, UINT64_MAX) == HF_CANON_HEAD);
  CHECK(memcmp(out, "T18446744073709551615:", HF_CANON_HEAD) == 0);
}

/* ---- reading the canonical encoding -------------------------------------- */

/* Exactly these bytes on the heap: a sanitizer sees who reads beyond. */
static unsigned char *exactly(const char *text, size_t size) {
  unsigned char *data = malloc(size ? size : 1);
  if (size) memcpy(data, text, size);
  return data;
}

/* Is all of it a row of so many items?  -1: it is none. */
static long read_row(const char *text, size_t size) {
  unsigned char *data = exactly(text, size);
  uint64_t count = 0, i;
  size_t at = 0;
  HfCanonItem item;
  long found = -1;
  if (hf_canon_read_row(data, size, &at, &count)) {
    for (i = 0; i < count && hf_canon_read(data, size, &at, &item); i++) {
      CHECK(at <= size);
    }
    if (i == count && at == size) found = (long)count;
  }
  free(data);
  return found;
}

#define ROW(literal) read_row(literal, sizeof(literal) - 1)

static void test_canonical_rows(void) {
  CHECK_EQ_INT(ROW("R0:"), 0);
  CHECK_EQ_INT(ROW("R1:N"), 1);
  CHECK_EQ_INT(ROW("R3:NT2:abB0:"), 3);
  CHECK_EQ_INT(ROW("R10:NNNNNNNNNN"), 10);
  CHECK_EQ_INT(ROW("R1:T10:0123456789"), 1);
  CHECK_EQ_INT(ROW(""), -1);
  CHECK_EQ_INT(ROW("R"), -1);
  CHECK_EQ_INT(ROW("R1"), -1);
  CHECK_EQ_INT(ROW("R:"), -1);
  CHECK_EQ_INT(ROW("R:N"), -1);
  CHECK_EQ_INT(ROW("R1:"), -1);
  CHECK_EQ_INT(ROW("R1:NN"), -1);
  CHECK_EQ_INT(ROW("R00:"), -1);
  CHECK_EQ_INT(ROW("R01:N"), -1);
  CHECK_EQ_INT(ROW("R0"), -1);
  CHECK_EQ_INT(ROW("R+1:N"), -1);
  CHECK_EQ_INT(ROW("R1;N"), -1);
  CHECK_EQ_INT(ROW("T1:N"), -1);
  CHECK_EQ_INT(ROW("R1:X"), -1);
  CHECK_EQ_INT(ROW("R1:T"), -1);
  CHECK_EQ_INT(ROW("R1:T1"), -1);
  CHECK_EQ_INT(ROW("R1:T:"), -1);
  CHECK_EQ_INT(ROW("R1:T1:"), -1);
  CHECK_EQ_INT(ROW("R1:T01:a"), -1);
  CHECK_EQ_INT(ROW("R1:B2:a"), -1);
  CHECK_EQ_INT(ROW("R1:I1234567"), -1);
  CHECK_EQ_INT(ROW("R1:I12345678"), 1);
  CHECK_EQ_INT(ROW("R1:F1234567"), -1);
  CHECK_EQ_INT(ROW("R1:T18446744073709551615:a"), -1);
  CHECK_EQ_INT(ROW("R1:T18446744073709551616:"), -1);
  CHECK_EQ_INT(ROW("R1:T36893488147419103233:a"), -1);
  CHECK_EQ_INT(ROW("R18446744073709551617:N"), -1);
  /* One way to write a number: neither -0.0 nor NaN is one. */
  CHECK_EQ_INT(ROW("R1:F\x80\0\0\0\0\0\0\0"), -1);
  CHECK_EQ_INT(ROW("R1:F\0\0\0\0\0\0\0\0"), 1);
  CHECK_EQ_INT(ROW("R1:F\x80\0\0\0\0\0\0\1"), 1);
  CHECK_EQ_INT(ROW("R1:F\x7f\xf0\0\0\0\0\0\0"), 1);
  CHECK_EQ_INT(ROW("R1:F\xff\xf0\0\0\0\0\0\0"), 1);
  CHECK_EQ_INT(ROW("R1:F\x7f\xf0\0\0\0\0\0\1"), -1);
  CHECK_EQ_INT(ROW("R1:F\xff\xff\xff\xff\xff\xff\xff\xff"), -1);
}

/* What was written is read back, and no part of it is a row. */
static void test_canonical_items(void) {
  static const int64_t integer[] = {0, 1, -1, 255, INT64_MAX, INT64_MIN};
  static const double real[] = {0.0, -2.5, 1e308, 5e-324, 1.0 / 0.0};
  unsigned char out[2 * HF_CANON_HEAD + 400];
  size_t size = hf_canon_row(out, 14), at = 0, i;
  uint64_t count;
  HfCanonItem item;
  for (i = 0; i < 6; i++) size += hf_canon_integer(out + size, integer[i]);
  for (i = 0; i < 5; i++) size += hf_canon_real(out + size, real[i]);
  size += hf_canon_null(out + size);
  size += hf_canon_text(out + size, 0);
  size += hf_canon_blob(out + size, 200);
  memset(out + size, 'N', 200);
  size += 200;
  CHECK(hf_canon_read_row(out, size, &at, &count) && count == 14);
  for (i = 0; i < 6; i++) {
    CHECK(hf_canon_read(out, size, &at, &item) && item.tag == 'I');
    CHECK(item.integer == integer[i]);
  }
  for (i = 0; i < 5; i++) {
    CHECK(hf_canon_read(out, size, &at, &item) && item.tag == 'F');
    CHECK(item.real == real[i]);
  }
  CHECK(hf_canon_read(out, size, &at, &item) && item.tag == 'N');
  CHECK(hf_canon_read(out, size, &at, &item) && item.tag == 'T');
  CHECK(item.size == 0 && item.data == out + at);
  CHECK(hf_canon_read(out, size, &at, &item) && item.tag == 'B');
  CHECK(item.size == 200 && item.data == out + size - 200 && at == size);
  CHECK(!hf_canon_read(out, size, &at, &item) && at == size);
  CHECK_EQ_INT(read_row((char *)out, size), 14);
  for (i = 0; i < size; i++) {
    CHECK_EQ_INT(read_row((char *)out, i), -1);
    out[i] ^= 0x40; /* whatever it is now, it is read within its bounds */
    read_row((char *)out, size);
    out[i] ^= 0x40;
  }
}

/* In the middle of other bytes. */
static void test_canonical_position(void) {
  const unsigned char *data = (const unsigned char *)"xxxR5:N";
  uint64_t count = 7;
  size_t at = 3;
  HfCanonItem item;
  CHECK(hf_canon_read_row(data, 6, &at, &count) && at == 6 && count == 5);
  CHECK(!hf_canon_read(data, 6, &at, &item) && at == 6);
  CHECK(hf_canon_read(data, 7, &at, &item) && at == 7 && item.tag == 'N');
}

/* MTH of RFC 6962, section 2.1, as it is written there. */
static void naive_root(unsigned char (*leaf)[HF_SHA256_SIZE], size_t n,
                       unsigned char *out) {
  unsigned char left[HF_SHA256_SIZE], right[HF_SHA256_SIZE];
  size_t k = 1;
  if (n == 0) {
    hf_sha256(sha, "", 0, out);
    return;
  }
  if (n == 1) {
    memcpy(out, leaf[0], HF_SHA256_SIZE);
    return;
  }
  while (2 * k < n) k *= 2;
  naive_root(leaf, k, left);
  naive_root(leaf + k, n - k, right);
  hf_merkle_node(sha, left, right, out);
}

static void test_merkle_vectors(void) {
  unsigned char out[HF_SHA256_SIZE];
  /* The eight leaves of the Certificate Transparency reference trees. */
  static const char *const leaf[] = {
      "",
      "\x00",
      "\x10",
      "\x20\x21",
      "\x30\x31",
      "\x40\x41\x42\x43",
      "\x50\x51\x52\x53\x54\x55\x56\x57",
      "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"};
  static const size_t size[] = {0, 1, 1, 2, 2, 4, 8, 16};
  static const char *const root[] = {
      "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
      "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
      "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
      "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
      "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
      "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
  HfFrontier frontier;
  size_t i;
  memset(&frontier, 0, sizeof(frontier));
  CHECK(hf_frontier_root(sha, &frontier, out) == HF_OK);
  CHECK(hex_is(
      out, 32,
      "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"));
  for (i = 0; i < 8; i++) {
    unsigned char hash[HF_SHA256_SIZE];
    CHECK(hf_merkle_leaf(sha, leaf[i], size[i], hash) == HF_OK);
    CHECK(hf_frontier_append(sha, &frontier, hash, NULL) == HF_OK);
    CHECK(hf_frontier_root(sha, &frontier, out) == HF_OK);
    CHECK(hex_is(out, 32, root[i]));
  }
  hf_merkle_leaf(sha, "L123456", 7, out);
  CHECK(hex_is(
      out, 32,
      "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"));
}

/* Every size up to 130 against the naive root, the nodes against the roots of
** the subtrees that they are said to be. */
static void test_frontier(void) {
  static unsigned char leaf[130][HF_SHA256_SIZE];
  unsigned char nodes[HF_MERKLE_LEVELS][HF_SHA256_SIZE];
  unsigned char out[HF_SHA256_SIZE], naive[HF_SHA256_SIZE];
  HfFrontier frontier;
  size_t n;
  int level;
  memset(&frontier, 0, sizeof(frontier));
  for (n = 0; n < 130; n++) {
    unsigned char byte = (unsigned char)n;
    hf_merkle_leaf(sha, &byte, 1, leaf[n]);
    CHECK(hf_frontier_append(sha, &frontier, leaf[n], nodes) == HF_OK);
    CHECK(hf_frontier_root(sha, &frontier, out) == HF_OK);
    naive_root(leaf, n + 1, naive);
    CHECK(memcmp(out, naive, sizeof(out)) == 0);
    for (level = 1; level <= hf_merkle_completed(n + 1); level++) {
      size_t span = (size_t)1 << level;
      naive_root(leaf + n + 1 - span, span, naive);
      CHECK(memcmp(nodes[level - 1], naive, sizeof(naive)) == 0);
    }
  }
  frontier.size = HF_MERKLE_MAX;
  CHECK(hf_frontier_append(sha, &frontier, leaf[0], nodes) == HF_RANGE);
  CHECK(frontier.size == HF_MERKLE_MAX);
  CHECK(hf_merkle_completed(1) == 0);
  CHECK(hf_merkle_completed((uint64_t)1 << 62) == 62);
}

/* The vectors of the SipHash paper's reference program: key 00..0f, messages
** 00, 00 01, ... */
static void test_siphash(void) {
  static const uint64_t want[] = {
      0x726fdb47dd0e0e31u, 0x74f839c593dc67fdu, 0x0d6c8009d9a94f5au,
      0x85676696d7fb7e2du, 0xcf2794e0277187b7u, 0x18765564cd99a68du,
      0xcbc9466e58fee3ceu, 0xab0200f58b01d137u, 0x93f5f5799a932462u};
  static const uint64_t key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
  unsigned char message[16];
  size_t i;
  for (i = 0; i < 16; i++) message[i] = (unsigned char)i;
  for (i = 0; i < sizeof(want) / sizeof(*want); i++) {
    CHECK(hf_siphash(key, message, i) == want[i]);
  }
}

/* Contexts of several threads, fetched at the same time, do not disturb each
** other. */
static void *thread_hash(void *wrong) {
  HfSha256 *own = NULL;
  unsigned char first[HF_SHA256_SIZE], again[HF_SHA256_SIZE];
  int i;
  if (hf_sha256_new(&own) != HF_OK) return wrong;
  hf_sha256(own, wrong, 8, first);
  for (i = 0; i < 2000; i++) {
    hf_sha256(own, wrong, 8, again);
    if (memcmp(first, again, sizeof(first)) != 0) return wrong;
  }
  hf_sha256_free(own);
  return NULL;
}

static void test_threads(void) {
  pthread_t thread[8];
  char text[8][8];
  int i;
  for (i = 0; i < 8; i++) {
    memset(text[i], 'a' + i, 8);
    CHECK(pthread_create(&thread[i], NULL, thread_hash, text[i]) == 0);
  }
  for (i = 0; i < 8; i++) {
    void *wrong = NULL;
    CHECK(pthread_join(thread[i], &wrong) == 0);
    CHECK(wrong == NULL);
  }
}

int main(void) {
  test_threads(); /* first, so that the threads race for the fetch */
  if (hf_sha256_new(&sha) != HF_OK) return 1;
  test_sha256();
  test_canonical();
  test_canonical_rows();
  test_canonical_items();
  test_canonical_position();
  test_merkle_vectors();
  test_frontier();
  test_siphash();
  hf_sha256_free(sha);
  return check_summary("core");
}
