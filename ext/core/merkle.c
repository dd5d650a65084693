/*
** Merkle tree arithmetic: see merkle.h.
*/
#include "core/merkle.h"

#include <assert.h>
#include <string.h>

int hf_merkle_leaf(HfSha256 *sha, const void *data, size_t size,
                   unsigned char out[HF_SHA256_SIZE]) {
  hf_sha256_begin(sha);
  hf_sha256_add(sha, "\x00", 1);
  hf_sha256_add(sha, data, size);
  return hf_sha256_end(sha, out);
}

int hf_merkle_node(HfSha256 *sha, const unsigned char *left,
                   const unsigned char *right,
                   unsigned char out[HF_SHA256_SIZE]) {
  unsigned char data[1 + 2 * HF_SHA256_SIZE];
  data[0] = 1;
  memcpy(data + 1, left, HF_SHA256_SIZE);
  memcpy(data + 1 + HF_SHA256_SIZE, right, HF_SHA256_SIZE);
  return hf_sha256(sha, data, sizeof(data), out);
}

int hf_merkle_completed(uint64_t size) {
  assert(size > 0);
  return __builtin_ctzll(size);
}

int hf_frontier_append(HfSha256 *sha, HfFrontier *frontier,
                       const unsigned char leaf[HF_SHA256_SIZE],
                       unsigned char (*nodes)[HF_SHA256_SIZE]) {
  unsigned char root[HF_SHA256_SIZE];
  int level, completed, rc;
  if (frontier->size >= HF_MERKLE_MAX) return HF_RANGE;
  completed = hf_merkle_completed(frontier->size + 1);
  memcpy(root, leaf, sizeof(root));
  for (level = 0; level < completed; level++) {
    assert((frontier->known >> level) & 1);
    rc = hf_merkle_node(sha, frontier->root[level], root, root);
    if (rc != HF_OK) return rc;
    if (nodes != NULL) memcpy(nodes[level], root, sizeof(root));
  }
  memcpy(frontier->root[completed], root, sizeof(root));
  /* The subtrees below were swallowed by the one just completed. */
  frontier->known &= ~(((uint64_t)1 << completed) - 1);
  frontier->known |= (uint64_t)1 << completed;
  frontier->size++;
  return HF_OK;
}

int hf_frontier_root(HfSha256 *sha, const HfFrontier *frontier,
                     unsigned char out[HF_SHA256_SIZE]) {
  int level, rc;
  int started = 0;
  if (frontier->size == 0) return hf_sha256(sha, "", 0, out);
  assert((frontier->known & frontier->size) == frontier->size);
  for (level = 0; level < HF_MERKLE_LEVELS; level++) {
    if (((frontier->size >> level) & 1) == 0) continue;
    if (!started) {
      memcpy(out, frontier->root[level], HF_SHA256_SIZE);
      started = 1;
      continue;
    }
    rc = hf_merkle_node(sha, frontier->root[level], out, out);
    if (rc != HF_OK) return rc;
  }
  return HF_OK;
}
