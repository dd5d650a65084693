/*
** The canonical form of a prompt specification, and its digests.
**
** A specification is a JSON object of the members below.  Its canonical form is
** compact JSON of those that are there, in this order, with the elements of
** arrays sorted by their UTF-16 code units, as JavaScript's JSON.stringify and
** sort make it.  Other members, such as timestamp and personaSummary, are no
** part of it.
**
** Source: the form in which the predecessor of this system hashed prompts, so
** that what it recorded can be carried over.  Strings are written as RFC 8785
** does, which is how ECMA-262 writes them.
*/
#ifndef HF_CORE_PROMPT_H
#define HF_CORE_PROMPT_H

#include <stddef.h>

#include "core/digest.h"

#define HF_PROMPT_FIELDS 9

/* Their names, in the order of the form. */
extern const char *const hf_prompt_field[HF_PROMPT_FIELDS];

/* Members that are found beside the form. */
enum { HF_PROMPT_PHASE = 0, HF_PROMPT_TASK = 1 };

typedef struct HfPrompt {
  char *text; /* the canonical form, which free() takes back */
  size_t size;
  /* Where each field's value stands in it; a size of 0: it is not there. */
  struct {
    size_t at;
    size_t size;
  } field[HF_PROMPT_FIELDS];
  char *summary;     /* personaSummary as a JSON string, or NULL; free() */
  const char *wrong; /* what is wrong with the input, static; */
  const char *where; /* and with which member, static, or NULL */
  size_t at;         /* or else at which byte of it */
} HfPrompt;

/* HF_OK; HF_RANGE with wrong filled in: malformed JSON, a member that is
** missing or of another type; or HF_NOMEM.  hf_prompt_clear takes back what is
** in *out, whatever the result. */
int hf_prompt(const char *json, size_t size, HfPrompt *out);
void hf_prompt_clear(HfPrompt *prompt);

#endif
