/*
** The text of a checkpoint: what a log says about its tree.
**
**   <origin>\n         the log's name
**   <size>\n           leaves in the tree, decimal without leading zeros
**   <base64 of root>\n
**
** and perhaps further lines, none of them empty, which are not looked at.  As a
** signed note it commits the log to the tree.
**
** Source: c2sp.org/tlog-checkpoint.
*/
#ifndef HF_CORE_CHECKPOINT_H
#define HF_CORE_CHECKPOINT_H

#include "core/merkle.h"

/* The longest text of a log's name and three lines. */
#define HF_CHECKPOINT_ROOM(origin_size) ((origin_size) + 20 + 44 + 4)

typedef struct HfCheckpoint {
  const char *origin; /* inside the text */
  size_t origin_size;
  uint64_t size;
  unsigned char root[HF_SHA256_SIZE];
} HfCheckpoint;

/* Read the text of a note.  Returns 0 for anything malformed, and for a size
** above HF_MERKLE_MAX. */
int hf_checkpoint_read(const char *text, size_t n, HfCheckpoint *out);

/* Write the text, with a terminating zero, into `out`, which has room for
** HF_CHECKPOINT_ROOM of its origin.  Returns its size. */
size_t hf_checkpoint_write(const HfCheckpoint *checkpoint, char *out);

#endif
