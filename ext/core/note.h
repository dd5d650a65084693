/*
** Signed notes: a text, a blank line, and lines of signatures.
**
**   text = "...\n"     UTF-8 without control characters but newlines
**   note = text "\n" then a line a signature: "— <name> <base64>\n"
**
** The base64 is of a key id of 4 bytes and the signature.  Keys are written
**
**   verifier   <name>+<id>+<base64 of type and public key>
**   signer     PRIVATE+KEY+<name>+<id>+<base64 of type and secret>
**
** where the id, 8 hexadecimal digits, is the beginning of SHA-256(name, a
** newline, type, public key).  Types: 1, Ed25519 over the text; 4, a witness's
** cosignature: the seconds since 1970 in 8 bytes, and Ed25519 over
** "cosignature/v1\ntime <seconds>\n" and the text.
**
** Source: c2sp.org/signed-note, c2sp.org/tlog-cosignature; the signer's form is
** that of Go's golang.org/x/mod/sumdb/note.
*/
#ifndef HF_CORE_NOTE_H
#define HF_CORE_NOTE_H

#include <stdint.h>

#include "core/signature.h"

#define HF_NOTE_NAME_MAX 255
#define HF_NOTE_SIZE_MAX 1000000 /* bytes of a note, signatures included */
#define HF_NOTE_SIGNATURES_MAX 100

/* Longer texts carry no cosignatures: a checkpoint has three short lines. */
#define HF_NOTE_COSIGNED_MAX 4096

/* A key's text, with its terminating zero. */
#define HF_NOTE_KEY_TEXT (HF_NOTE_NAME_MAX + 80)

/* A signature's line, without a terminating zero: dash, spaces, newline. */
#define HF_NOTE_LINE_MAX (HF_NOTE_NAME_MAX + 6 + 92)

enum { HF_NOTE_ED25519 = 1, HF_NOTE_COSIGNATURE = 4 };

typedef struct HfNoteKey {
  int type;    /* HF_NOTE_ED25519 or, of a verifier, HF_NOTE_COSIGNATURE */
  int verdict; /* of hf_note_verify(): 1 signed, -1 a wrong signature, 0 none */
  uint64_t time; /* when it cosigned, in seconds, or 0 */
  char name[HF_NOTE_NAME_MAX + 1];
  unsigned char id[4];
  unsigned char public_key[HF_ED25519_KEY];
  unsigned char secret[HF_ED25519_KEY]; /* of a signer; hf_wipe it */
} HfNoteKey;

/* Is it UTF-8 of at least one character, without spaces and '+', and not too
** long? */
int hf_note_is_name(const char *name, size_t size);

/* Is it UTF-8 whose control characters are only newlines? */
int hf_note_is_plain(const char *text, size_t size);

/* Is it a text that can be signed: UTF-8, control characters only newlines,
** one at its end? */
int hf_note_is_text(const char *text, size_t size);

/* Fill in a key from a name and a secret.  HF_OK, HF_CRYPTO, or HF_RANGE for a
** name that is none. */
int hf_note_key_make(HfSha256 *sha, const char *name, size_t size,
                     const unsigned char secret[HF_ED25519_KEY],
                     HfNoteKey *key);

/* Write a key as text: as a verifier, or as a signer. */
void hf_note_key_verifier(const HfNoteKey *key, char out[HF_NOTE_KEY_TEXT]);
void hf_note_key_signer(const HfNoteKey *key, char out[HF_NOTE_KEY_TEXT]);

/* Read a key: HF_OK, HF_CRYPTO, or HF_RANGE for anything malformed, for an id
** that is not the key's, and for a public key that is not sound. */
int hf_note_read_verifier(HfSha256 *sha, const char *text, size_t size,
                          HfNoteKey *key);
int hf_note_read_signer(HfSha256 *sha, const char *text, size_t size,
                        HfNoteKey *key);

/* The line of a signature over the text, in line; *line_size bytes. */
int hf_note_sign(const HfNoteKey *key, const char *text, size_t size,
                 char line[HF_NOTE_LINE_MAX + 1], size_t *line_size);

/* How many bytes of the note are its text; 0 for a malformed note. */
size_t hf_note_text_size(const char *note, size_t size);

/* *text_size: how many bytes of the note are its text, when at least one of the
** keys signed it and no line of one of them is wrong; else 0, also for a
** malformed note.  Lines of other keys do not count.  Fills in `verdict`
** and `time` of the keys up to the first wrong line.  HF_OK or HF_CRYPTO. */
int hf_note_verify(HfNoteKey *key, size_t keys, const char *note, size_t size,
                   size_t *text_size);

#endif
