/*
** Merkle proofs: see proof.h.
*/
#include "core/proof.h"

#include <assert.h>
#include <string.h>

/* ---- making them --------------------------------------------------------- */

/* Root of the leaves from `begin` on, up to number `end`, where begin is a
** multiple of a power of two that is not smaller than their number: a tree of
** its own, folded from the perfect subtrees of its size, the smallest first. */
static int proof_range(const HfTree *tree, uint64_t begin, uint64_t end,
                       unsigned char out[HF_SHA256_SIZE]) {
  unsigned char left[HF_SHA256_SIZE];
  uint64_t size = end - begin, at = end;
  int level, started = 0, rc = HF_OK;
  assert(begin < end);
  for (level = 0; level < HF_MERKLE_LEVELS && rc == HF_OK; level++) {
    if ((size >> level & 1) == 0) continue;
    rc = tree->subtree(tree->context, at, level, started ? left : out);
    if (rc == HF_OK && started) rc = hf_merkle_node(tree->sha, left, out, out);
    started = 1;
    at -= (uint64_t)1 << level;
  }
  return rc;
}

static int proof_add(const HfTree *tree, uint64_t begin, uint64_t end,
                     HfProof *proof) {
  assert(proof->count < HF_PROOF_MAX);
  return proof_range(tree, begin, end, proof->hash[proof->count++]);
}

int hf_proof_inclusion(const HfTree *tree, uint64_t index, uint64_t size,
                       HfProof *proof) {
  int level, rc = HF_OK;
  proof->count = 0;
  if (index >= size || size > HF_MERKLE_MAX) return HF_RANGE;
  /* At each level the sibling of the subtree that the leaf is in, as far as
  ** there are leaves in it. */
  for (level = 0; rc == HF_OK && (size - 1) >> level > 0; level++) {
    uint64_t begin = (index >> level ^ 1) << level;
    uint64_t end = begin + ((uint64_t)1 << level);
    if (begin >= size) continue;
    rc = proof_add(tree, begin, end < size ? end : size, proof);
  }
  return rc;
}

int hf_proof_consistency(const HfTree *tree, uint64_t old, uint64_t size,
                         HfProof *proof) {
  int level, rc = HF_OK;
  uint64_t last;
  proof->count = 0;
  if (old == 0 || old > size || size > HF_MERKLE_MAX) return HF_RANGE;
  if (old == size) return HF_OK;
  /* The largest subtree that ends where the old tree did; then its siblings,
  ** as for its last leaf.  When it is the whole old tree, its root is known to
  ** whoever checks. */
  level = hf_merkle_completed(old);
  last = old - 1;
  if (last >> level > 0) {
    rc = proof_add(tree, last >> level << level, old, proof);
  }
  for (; rc == HF_OK && (size - 1) >> level > 0; level++) {
    uint64_t begin = (last >> level ^ 1) << level;
    uint64_t end = begin + ((uint64_t)1 << level);
    if (begin >= size) continue;
    rc = proof_add(tree, begin, end < size ? end : size, proof);
  }
  return rc;
}

/* ---- checking them ------------------------------------------------------- */

/* RFC 9162, section 2.1.3.2; the names are its own. */
int hf_proof_check_inclusion(HfSha256 *sha,
                             const unsigned char leaf[HF_SHA256_SIZE],
                             uint64_t index, uint64_t size,
                             const unsigned char *hash, size_t count,
                             const unsigned char root[HF_SHA256_SIZE],
                             int *good) {
  unsigned char r[HF_SHA256_SIZE];
  uint64_t fn = index, sn = size - 1;
  size_t i;
  *good = 0;
  if (index >= size || size > HF_MERKLE_MAX) return HF_OK;
  memcpy(r, leaf, sizeof(r));
  for (i = 0; i < count; i++) {
    const unsigned char *p = hash + i * HF_SHA256_SIZE;
    int left = (fn & 1) != 0 || fn == sn, rc;
    if (sn == 0) return HF_OK;
    rc = left ? hf_merkle_node(sha, p, r, r) : hf_merkle_node(sha, r, p, r);
    if (rc != HF_OK) return rc;
    while (left && (fn & 1) == 0 && fn != 0) {
      fn >>= 1;
      sn >>= 1;
    }
    fn >>= 1;
    sn >>= 1;
  }
  *good = sn == 0 && memcmp(r, root, sizeof(r)) == 0;
  return HF_OK;
}

/* RFC 9162, section 2.1.4.2, from step 3 on: `first` is the hash that the walk
** starts with, and `hash` those that follow. */
static int proof_walk(HfSha256 *sha, uint64_t old, uint64_t size,
                      const unsigned char *first, const unsigned char *hash,
                      size_t count, const unsigned char *old_root,
                      const unsigned char *root, int *good) {
  unsigned char fr[HF_SHA256_SIZE], sr[HF_SHA256_SIZE];
  uint64_t fn = old - 1, sn = size - 1;
  size_t i;
  while (fn & 1) {
    fn >>= 1;
    sn >>= 1;
  }
  memcpy(fr, first, sizeof(fr));
  memcpy(sr, first, sizeof(sr));
  for (i = 0; i < count; i++) {
    const unsigned char *c = hash + i * HF_SHA256_SIZE;
    int left = (fn & 1) != 0 || fn == sn, rc;
    if (sn == 0) return HF_OK;
    if (left) {
      rc = hf_merkle_node(sha, c, fr, fr);
      if (rc == HF_OK) rc = hf_merkle_node(sha, c, sr, sr);
    } else {
      rc = hf_merkle_node(sha, sr, c, sr);
    }
    if (rc != HF_OK) return rc;
    while (left && (fn & 1) == 0 && fn != 0) {
      fn >>= 1;
      sn >>= 1;
    }
    fn >>= 1;
    sn >>= 1;
  }
  *good = sn == 0 && memcmp(fr, old_root, sizeof(fr)) == 0 &&
          memcmp(sr, root, sizeof(sr)) == 0;
  return HF_OK;
}

int hf_proof_check_consistency(HfSha256 *sha, uint64_t old, uint64_t size,
                               const unsigned char *hash, size_t count,
                               const unsigned char old_root[HF_SHA256_SIZE],
                               const unsigned char root[HF_SHA256_SIZE],
                               int *good) {
  *good = 0;
  if (old == 0 || old > size || size > HF_MERKLE_MAX) return HF_OK;
  if (old == size) {
    *good = count == 0 && memcmp(old_root, root, HF_SHA256_SIZE) == 0;
    return HF_OK;
  }
  if (count == 0) return HF_OK;
  if ((old & (old - 1)) == 0) {
    return proof_walk(sha, old, size, old_root, hash, count, old_root, root,
                      good);
  }
  return proof_walk(sha, old, size, hash, hash + HF_SHA256_SIZE, count - 1,
                    old_root, root, good);
}
