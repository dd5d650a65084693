/*
** Merkle proofs, against RFC 9162's recursive definitions written down as they
** stand there, for every tree of up to 70 leaves; and what must not pass.
*/
#include "core/proof.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { LEAVES = 70 };

static HfSha256 *sha;
static unsigned char leaf[LEAVES][HF_SHA256_SIZE];
static int reads; /* subtrees asked for */

/* MTH(D[begin:end]), section 2.1.1. */
// NOLINTNEXTLINE(misc-no-recursion)
static void naive_root(size_t begin, size_t end, unsigned char *out) {
  unsigned char left[HF_SHA256_SIZE], right[HF_SHA256_SIZE];
  size_t k = 1;
  if (end - begin == 1) {
    memcpy(out, leaf[begin], HF_SHA256_SIZE);
    return;
  }
  while (2 * k < end - begin) k *= 2;
  naive_root(begin, begin + k, left);
  naive_root(begin + k, end, right);
  hf_merkle_node(sha, left, right, out);
}

static void naive_add(size_t begin, size_t end, HfProof *proof) {
  naive_root(begin, end, proof->hash[proof->count++]);
}

/* PATH(m, D[begin:end]), section 2.1.3.1. */
// NOLINTNEXTLINE(misc-no-recursion)
static void naive_path(size_t m, size_t begin, size_t end, HfProof *proof) {
  size_t k = 1;
  if (end - begin == 1) return;
  while (2 * k < end - begin) k *= 2;
  if (m < k) {
    naive_path(m, begin, begin + k, proof);
    naive_add(begin + k, end, proof);
  } else {
    naive_path(m - k, begin + k, end, proof);
    naive_add(begin, begin + k, proof);
  }
}

/* SUBPROOF(m, D[begin:end], b), section 2.1.4.1. */
// NOLINTNEXTLINE(misc-no-recursion)
static void naive_subproof(size_t m, size_t begin, size_t end, int b,
                           HfProof *proof) {
  size_t k = 1;
  if (m == end - begin) {
    if (!b) naive_add(begin, end, proof);
    return;
  }
  while (2 * k < end - begin) k *= 2;
  if (m <= k) {
    naive_subproof(m, begin, begin + k, b, proof);
    naive_add(begin + k, end, proof);
  } else {
    naive_subproof(m - k, begin + k, end, 0, proof);
    naive_add(begin, begin + k, proof);
  }
}

static int from_leaves(void *context, uint64_t end, int level,
                       unsigned char out[HF_SHA256_SIZE]) {
  uint64_t size = (uint64_t)1 << level;
  (void)context;
  reads++;
  if (!CHECK(end % size == 0 && end >= size && end <= LEAVES)) return -1;
  naive_root((size_t)(end - size), (size_t)end, out);
  return HF_OK;
}

static int same(const HfProof *a, const HfProof *b) {
  return a->count == b->count &&
         memcmp(a->hash, b->hash, (size_t)a->count * HF_SHA256_SIZE) == 0;
}

static int included(uint64_t index, uint64_t size, const HfProof *proof,
                    const unsigned char *root) {
  int good = 2;
  CHECK(hf_proof_check_inclusion(sha, leaf[index % LEAVES], index, size,
                                 proof->hash[0], (size_t)proof->count, root,
                                 &good) == HF_OK);
  return good;
}

static int consistent(uint64_t old, uint64_t size, const HfProof *proof,
                      const unsigned char *old_root,
                      const unsigned char *root) {
  int good = 2;
  CHECK(hf_proof_check_consistency(sha, old, size, proof->hash[0],
                                   (size_t)proof->count, old_root, root,
                                   &good) == HF_OK);
  return good;
}

/* A proof with one thing wrong with it must not pass. */
static void test_wrong_inclusion(uint64_t m, uint64_t n, const HfProof *proof,
                                 const unsigned char *root) {
  HfProof wrong = *proof;
  unsigned char other[HF_SHA256_SIZE];
  int i;
  for (i = 0; i < proof->count; i++) {
    wrong.hash[i][i % HF_SHA256_SIZE] ^= 0x40;
    CHECK(!included(m, n, &wrong, root));
    wrong.hash[i][i % HF_SHA256_SIZE] ^= 0x40;
  }
  wrong.count = proof->count + 1;
  CHECK(!included(m, n, &wrong, root));
  wrong.count = proof->count - 1;
  if (proof->count > 0) CHECK(!included(m, n, &wrong, root));
  for (i = 0; i < (int)n; i++) {
    if ((uint64_t)i != m) CHECK(!included((uint64_t)i, n, proof, root));
  }
  CHECK(!included(n, n, proof, root) && !included(m + n, n, proof, root));
  memcpy(other, root, sizeof(other));
  other[31] ^= 1;
  CHECK(!included(m, n, proof, other));
}

static void test_inclusion(void) {
  const HfTree tree = {from_leaves, NULL, sha};
  HfProof proof, naive;
  unsigned char root[HF_SHA256_SIZE];
  uint64_t m, n;
  for (n = 1; n <= LEAVES; n++) {
    naive_root(0, (size_t)n, root);
    for (m = 0; m < n; m++) {
      naive.count = 0;
      naive_path((size_t)m, 0, (size_t)n, &naive);
      reads = 0;
      CHECK(hf_proof_inclusion(&tree, m, n, &proof) == HF_OK);
      CHECK(same(&proof, &naive));
      CHECK(reads <= 2 * 7);
      CHECK(included(m, n, &proof, root) == 1);
      if (n % 7 < 2) test_wrong_inclusion(m, n, &proof, root);
    }
    CHECK(hf_proof_inclusion(&tree, n, n, &proof) == HF_RANGE);
  }
  CHECK(hf_proof_inclusion(&tree, 0, 0, &proof) == HF_RANGE);
  CHECK(hf_proof_inclusion(&tree, 0, HF_MERKLE_MAX + 1, &proof) == HF_RANGE);
}

static void test_wrong_consistency(uint64_t m, uint64_t n, const HfProof *proof,
                                   const unsigned char *old_root,
                                   const unsigned char *root) {
  HfProof wrong = *proof;
  int i;
  for (i = 0; i < proof->count; i++) {
    wrong.hash[i][i % HF_SHA256_SIZE] ^= 1;
    CHECK(!consistent(m, n, &wrong, old_root, root));
    wrong.hash[i][i % HF_SHA256_SIZE] ^= 1;
  }
  wrong.count = proof->count + 1;
  memset(wrong.hash[proof->count], 0, HF_SHA256_SIZE);
  CHECK(!consistent(m, n, &wrong, old_root, root));
  wrong.count = proof->count - 1;
  if (proof->count > 0) CHECK(!consistent(m, n, &wrong, old_root, root));
  CHECK(!consistent(m, n, proof, root, root) || m == n);
  CHECK(!consistent(m, n, proof, old_root, old_root) || m == n);
  CHECK(!consistent(n, m, proof, root, old_root) || m == n);
}

static void test_consistency(void) {
  const HfTree tree = {from_leaves, NULL, sha};
  HfProof proof, naive;
  unsigned char root[HF_SHA256_SIZE], old_root[HF_SHA256_SIZE];
  uint64_t m, n;
  for (n = 1; n <= LEAVES; n++) {
    naive_root(0, (size_t)n, root);
    for (m = 1; m <= n; m++) {
      naive.count = 0;
      naive_subproof((size_t)m, 0, (size_t)n, 1, &naive);
      reads = 0;
      CHECK(hf_proof_consistency(&tree, m, n, &proof) == HF_OK);
      CHECK(same(&proof, &naive));
      CHECK(reads <= 2 * 7 + 1);
      naive_root(0, (size_t)m, old_root);
      CHECK(consistent(m, n, &proof, old_root, root) == 1);
      test_wrong_consistency(m, n, &proof, old_root, root);
    }
    CHECK(hf_proof_consistency(&tree, n + 1, n, &proof) == HF_RANGE);
    /* Every tree begins with nothing: that proves nothing. */
    CHECK(hf_proof_consistency(&tree, 0, n, &proof) == HF_RANGE);
    CHECK(consistent(0, n, &proof, old_root, root) == 0);
  }
}

/* Sizes and indexes that cannot be end, and with 0. */
static void test_impossible(void) {
  static const uint64_t odd[] = {0,
                                 1,
                                 2,
                                 HF_MERKLE_MAX - 1,
                                 HF_MERKLE_MAX,
                                 HF_MERKLE_MAX + 1,
                                 UINT64_MAX - 1,
                                 UINT64_MAX};
  unsigned char hash[200 * HF_SHA256_SIZE] = {0};
  size_t i, k, count;
  int good;
  for (i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
    for (k = 0; k < sizeof(odd) / sizeof(*odd); k++) {
      for (count = 0; count <= 200; count += 50) {
        int trivial = odd[i] == odd[k] && count == 0;
        CHECK(hf_proof_check_inclusion(sha, hash, odd[i], odd[k], hash, count,
                                       hash, &good) == HF_OK);
        CHECK(good == (odd[i] == 0 && odd[k] == 1 && count == 0));
        CHECK(hf_proof_check_consistency(sha, odd[i], odd[k], hash, count, hash,
                                         hash, &good) == HF_OK);
        CHECK(good == (trivial && odd[i] > 0 && odd[i] <= HF_MERKLE_MAX));
      }
    }
  }
}

static int failing(void *context, uint64_t end, int level,
                   unsigned char out[HF_SHA256_SIZE]) {
  (void)context;
  (void)end;
  (void)level;
  out[0] = 0;
  return 77;
}

int main(void) {
  const HfTree broken = {failing, NULL, NULL};
  HfProof proof;
  size_t i;
  if (hf_sha256_new(&sha) != HF_OK) return 1;
  for (i = 0; i < LEAVES; i++) {
    unsigned char data = (unsigned char)i;
    hf_merkle_leaf(sha, &data, 1, leaf[i]);
  }
  test_inclusion();
  test_consistency();
  test_impossible();
  CHECK(hf_proof_inclusion(&broken, 3, 9, &proof) == 77);
  CHECK(hf_proof_consistency(&broken, 3, 9, &proof) == 77);
  hf_sha256_free(sha);
  return check_summary("proof");
}
