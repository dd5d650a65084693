/*
** Parts of the verifier, private to it.
**
**   ledger_verify.c     the entries, the chain and the tree; the order of work
**   verify_structure.c  configuration, tables, triggers
**   verify_index.c      indexes against the table
**   verify_checkpoint.c checkpoints, stored and given, against the tree
**   verify_track.c      triggers of the tables that the ledger records
*/
#ifndef HF_LEDGER_VERIFY_H
#define HF_LEDGER_VERIFY_H

#include "core/checkpoint.h"
#include "core/note.h"
#include "ledger/ledger.h"

/* Findings that wait to be handed out.  A step adds a few, and is not taken
** before they are gone. */
typedef struct VerifyQueue {
  LedgerFinding *finding;
  int count;
  int room;
  int given; /* how many were handed out */
} VerifyQueue;

int verify_add(VerifyQueue *queue, HfError *err, const char *finding,
               sqlite3_int64 seq, const char *format, ...);

/* The same for an object of the schema; the words have one %s for it. */
int verify_add_object(VerifyQueue *queue, HfError *err, const char *finding,
                      const char *object, const char *words);
void verify_queue_clear(VerifyQueue *queue);

/* ---- verify_structure.c -------------------------------------------------- */

/* Check what stands around the entries.  *genesis: what entry 1 must follow.
** *origin: the recorded one, or the declared one where that cannot be read;
** sqlite3_free takes it back. */
int verify_structure(HfLedger *ledger, VerifyQueue *queue,
                     unsigned char *genesis, char **origin, HfError *err);

/* ---- verify_index.c ------------------------------------------------------ */

/* An index on the entry table whose keys are declared columns. */
typedef struct VerifyIndex {
  char *name;
  int columns;
  int column[LEDGER_MAX_COLUMNS]; /* which ones */
  uint64_t sum;                   /* over the table: of hashes of its entries */
  sqlite3_int64 rows;
} VerifyIndex;

typedef enum IndexPhase {
  INDEX_BEGIN, /* read the index through, compare with the table */
  INDEX_SCAN,
  INDEX_ROWS, /* they differ: which entries does it not find */
  INDEX_KEYS, /* and which of its keys belong to no entry */
  INDEX_END
} IndexPhase;

typedef struct VerifyIndexes {
  VerifyIndex *index;
  int count;
  uint64_t key[2]; /* random, so that sums cannot be forged */
  int others;      /* there are indexes of another kind */

  int current; /* the one being read */
  IndexPhase phase;
  sqlite3_stmt *scan;   /* over the index or the table */
  sqlite3_stmt *lookup; /* one entry in the other */
  uint64_t sum;
  sqlite3_int64 rows;
  int disorder;
  int named;                                   /* entries named in detail */
  sqlite3_value *last[LEDGER_MAX_COLUMNS + 1]; /* previous key, and its seq */
} VerifyIndexes;

int verify_indexes_open(HfLedger *ledger, VerifyIndexes *indexes, HfError *err);
void verify_indexes_close(VerifyIndexes *indexes);

/* An entry of the table goes by. */
void verify_indexes_row(VerifyIndexes *indexes, sqlite3_int64 seq,
                        sqlite3_value *const *value);

/* Do a bit of work; SQLITE_ROW when there is more to do, SQLITE_DONE when all
** indexes were checked, or an error. */
int verify_indexes_step(HfLedger *ledger, VerifyIndexes *indexes,
                        VerifyQueue *queue, HfError *err);

/* ---- verify_checkpoint.c ------------------------------------------------- */

/* A checkpoint that waits for the tree to have its size. */
typedef struct VerifyCheckpoint {
  int waits;
  sqlite3_int64 id; /* of a stored one */
  sqlite3_int64 at; /* when it was made, INT64_MIN when unknown */
  sqlite3_int64 size;
  unsigned char root[HF_SHA256_SIZE];
  int signed_by_log; /* by a key that was given */
  int witnessed;
  char *signed_by; /* JSON array; sqlite3_free */
} VerifyCheckpoint;

typedef struct VerifyCheckpoints {
  HfNoteKey *key; /* the verifiers given, then room for one that is stored */
  int keys;
  int log_keys; /* how many of them are a log's, not a witness's */

  int asked; /* the caller gave a checkpoint, whatever it is */
  VerifyCheckpoint given;
  VerifyCheckpoint next; /* of the stored ones */
  sqlite3_int64 due;     /* size at which the first of the two is compared */
  sqlite3_stmt *stored;  /* NULL: no more */
  const char *origin;    /* of the ledger, the verifier's */
  sqlite3_int64 last_id;
  sqlite3_int64 last_at;
  sqlite3_int64 last_size;
  int rewritten; /* a stored one that differs was reported */
  int signed_stored;
  VerifyCheckpoint cut; /* the newest stored one above the ledger's size */

  LedgerAnchor anchor;
} VerifyCheckpoints;

/* Read the keys and the checkpoint given, and begin with the stored ones. */
int verify_checkpoints_open(HfLedger *ledger, VerifyCheckpoints *c,
                            const LedgerScope *scope, const char *origin,
                            VerifyQueue *queue, HfError *err);
void verify_checkpoints_close(VerifyCheckpoints *c);

/* The tree has c->due entries, or more if some are missing: compare what waits
** for that.  root: NULL when it is not known. */
int verify_checkpoints_compare(HfLedger *ledger, VerifyCheckpoints *c,
                               sqlite3_int64 size, sqlite3_int64 at,
                               const unsigned char *root, VerifyQueue *queue,
                               HfError *err);

/* The ledger ends with this many entries. */
int verify_checkpoints_end(HfLedger *ledger, VerifyCheckpoints *c,
                           sqlite3_int64 size, VerifyQueue *queue,
                           HfError *err);

/* ---- verify_track.c ------------------------------------------------------ */

int verify_tracked(HfLedger *ledger, VerifyQueue *queue, HfError *err);

#endif
