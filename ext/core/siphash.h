/*
** SipHash-2-4, a keyed 64-bit hash.
**
** With a random key that an adversary cannot know it serves to compare two
** large sets by the sums of their members' hashes.  It is no substitute for
** SHA-256 where a hash is published.
**
** Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF",
** INDOCRYPT 2012.
*/
#ifndef HF_CORE_SIPHASH_H
#define HF_CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hf_siphash(const uint64_t key[2], const void *data, size_t size);

#endif
