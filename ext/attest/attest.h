/*
** Attestation: hashes and signatures of SQL values that anyone can recompute.
**
**   attest_functions.c   the canonical encoding and hashes of it; pure
**   attest_keys.c        HMAC and Ed25519 over it
**   attest_notes.c       signed notes
**   attest_json.c        canonical JSON
**   attest_dsse.c        DSSE envelopes
*/
#ifndef HF_ATTEST_ATTEST_H
#define HF_ATTEST_ATTEST_H

#include "sqlite/hf.h"

/* Write the canonical encoding of a row of values. */
int attest_write(HfSink *sink, int argc, sqlite3_value **argv);

/* The same as one block, which sqlite3_free takes back.  Returns 0 with the
** error raised when it would be too big or memory is out. */
int attest_encode(sqlite3_context *context, int argc, sqlite3_value **argv,
                  unsigned char **out, sqlite3_int64 *size);

int attest_keys_register(HfConn *conn);
int attest_notes_register(HfConn *conn);
int attest_json_register(HfConn *conn);
int attest_dsse_register(HfConn *conn);

/* The bytes of a BLOB, or of hexadecimal TEXT, in out, which has room for
** `room`.  Returns how many; -1 for anything else, and for more. */
int attest_bytes(sqlite3_value *value, unsigned char *out, int room);

#endif
