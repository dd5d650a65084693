/*
** SipHash-2-4: see siphash.h.
*/
#include "core/siphash.h"

#include <string.h>

static uint64_t siphash_rotate(uint64_t x, int bits) {
  return x << bits | x >> (64 - bits);
}

static void siphash_rounds(uint64_t v[4], int n) {
  while (n-- > 0) {
    v[0] += v[1];
    v[1] = siphash_rotate(v[1], 13) ^ v[0];
    v[0] = siphash_rotate(v[0], 32);
    v[2] += v[3];
    v[3] = siphash_rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = siphash_rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = siphash_rotate(v[1], 17) ^ v[2];
    v[2] = siphash_rotate(v[2], 32);
  }
}

static uint64_t siphash_word(const unsigned char *p, size_t n) {
  uint64_t word = 0;
  size_t i;
  for (i = 0; i < n; i++) word |= (uint64_t)p[i] << (8 * i);
  return word;
}

uint64_t hf_siphash(const uint64_t key[2], const void *data, size_t size) {
  const unsigned char *p = data;
  uint64_t v[4];
  uint64_t last = (uint64_t)size << 56;
  size_t left = size;
  v[0] = key[0] ^ 0x736f6d6570736575u; /* "somepseudorandomlygeneratedbytes" */
  v[1] = key[1] ^ 0x646f72616e646f6du;
  v[2] = key[0] ^ 0x6c7967656e657261u;
  v[3] = key[1] ^ 0x7465646279746573u;
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word = siphash_word(p, 8);
    v[3] ^= word;
    siphash_rounds(v, 2);
    v[0] ^= word;
  }
  if (left > 0) last |= siphash_word(p, left);
  v[3] ^= last;
  siphash_rounds(v, 2);
  v[0] ^= last;
  v[2] ^= 0xff;
  siphash_rounds(v, 4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
