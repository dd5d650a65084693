/*
** Merkle tree arithmetic of RFC 6962 (section 2.1) and RFC 9162, SHA-256.
**
**   empty tree      SHA-256("")
**   leaf            SHA-256(0x00 || data)
**   inner node      SHA-256(0x01 || left || right)
**
** A tree of n leaves is a row of perfect subtrees, one for each bit of n, the
** largest first.  Their roots, the frontier, are all that is needed to append
** a leaf and to compute the root; here root[k] belongs to bit k.
**
** Levels count from 0, the leaves.  Sizes are at most HF_MERKLE_MAX.
*/
#ifndef HF_CORE_MERKLE_H
#define HF_CORE_MERKLE_H

#include <stdint.h>

#include "core/digest.h"

/* A ledger counts its entries in SQLite's positive 64-bit integers. */
#define HF_MERKLE_LEVELS 63
#define HF_MERKLE_MAX (((uint64_t)1 << HF_MERKLE_LEVELS) - 1)

typedef struct HfFrontier {
  uint64_t size;  /* leaves in the tree */
  uint64_t known; /* bit k is set: root[k] is filled in */
  unsigned char root[HF_MERKLE_LEVELS][HF_SHA256_SIZE];
} HfFrontier;

/* Hash of a leaf from its data.  HF_OK or HF_CRYPTO. */
int hf_merkle_leaf(HfSha256 *sha, const void *data, size_t size,
                   unsigned char out[HF_SHA256_SIZE]);

/* Hash of an inner node from its children; out may be one of them. */
int hf_merkle_node(HfSha256 *sha, const unsigned char *left,
                   const unsigned char *right,
                   unsigned char out[HF_SHA256_SIZE]);

/* Number of perfect subtrees above the leaf level that the leaf number `size`
** (counted from 1) completes: the trailing zero bits of size. */
int hf_merkle_completed(uint64_t size);

/* Append a leaf.  Needs the roots of the levels below
** hf_merkle_completed(size+1) to be known.  The roots that it completes go
** to nodes, level 1 first, which has room for HF_MERKLE_LEVELS of them, or is
** NULL.  HF_OK, HF_CRYPTO, or HF_RANGE when the tree is full; the frontier
** changes only with HF_OK. */
int hf_frontier_append(HfSha256 *sha, HfFrontier *frontier,
                       const unsigned char leaf[HF_SHA256_SIZE],
                       unsigned char (*nodes)[HF_SHA256_SIZE]);

/* Root of the tree.  Needs every root of the frontier to be known. */
int hf_frontier_root(HfSha256 *sha, const HfFrontier *frontier,
                     unsigned char out[HF_SHA256_SIZE]);

#endif
