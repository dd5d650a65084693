/*
** Merkle proofs: that a leaf is in a tree, and that a tree is the beginning of
** another.
**
** Source: RFC 9162, sections 2.1.3 (inclusion) and 2.1.4 (consistency).
** Indexes count from 0.  A proof is a row of hashes, the lowest first, at most
** HF_PROOF_MAX of them.
*/
#ifndef HF_CORE_PROOF_H
#define HF_CORE_PROOF_H

#include "core/merkle.h"

/* A consistency proof has at most one hash a level, and one more. */
#define HF_PROOF_MAX (HF_MERKLE_LEVELS + 1)

typedef struct HfProof {
  int count;
  unsigned char hash[HF_PROOF_MAX][HF_SHA256_SIZE];
} HfProof;

/* Where a proof takes hashes from: the root of the perfect subtree of `level`
** whose last leaf is number `end`, counted from 1.  HF_OK, or a code of the
** caller's that ends the work and is handed through. */
typedef struct HfTree {
  int (*subtree)(void *context, uint64_t end, int level,
                 unsigned char out[HF_SHA256_SIZE]);
  void *context;
  HfSha256 *sha;
} HfTree;

/* PATH(index, D_size).  HF_RANGE unless index < size <= HF_MERKLE_MAX.  Asks
** for at most two subtrees a level of the tree. */
int hf_proof_inclusion(const HfTree *tree, uint64_t index, uint64_t size,
                       HfProof *proof);

/* PROOF(old, D_size).  HF_RANGE unless 0 < old <= size <= HF_MERKLE_MAX.  Empty
** when the sizes are equal. */
int hf_proof_consistency(const HfTree *tree, uint64_t old, uint64_t size,
                         HfProof *proof);

/* *good: the proof of count hashes at `hash`, one behind the other, holds.  Any
** sizes are accepted; impossible ones make it 0.  HF_OK or HF_CRYPTO. */
int hf_proof_check_inclusion(HfSha256 *sha,
                             const unsigned char leaf[HF_SHA256_SIZE],
                             uint64_t index, uint64_t size,
                             const unsigned char *hash, size_t count,
                             const unsigned char root[HF_SHA256_SIZE],
                             int *good);
int hf_proof_check_consistency(HfSha256 *sha, uint64_t old, uint64_t size,
                               const unsigned char *hash, size_t count,
                               const unsigned char old_root[HF_SHA256_SIZE],
                               const unsigned char root[HF_SHA256_SIZE],
                               int *good);

#endif
