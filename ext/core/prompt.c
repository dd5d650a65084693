/*
** The canonical form of a prompt specification: see prompt.h.
**
** The JSON is put into RFC 8785's form first, which finds everything that is
** wrong with it.  What is left to do is to find the members in a text that is
** known to be well-formed and without white space.
*/
#include "core/prompt.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/jcs.h"

const char *const hf_prompt_field[HF_PROMPT_FIELDS] = {
    "phase",        "taskId",    "requirements",
    "qualityGates", "artifacts", "contextSummary",
    "personaHash",  "agentType", "modelVersion"};

#define PROMPT_REQUIRED 6
#define prompt_is_list(i) ((i) >= 2 && (i) <= 4)

/* ---- walking over canonical JSON ----------------------------------------- */

/* Behind the string at z. */
static const char *prompt_skip_string(const char *z) {
  for (z++; *z != '"'; z++) {
    if (*z == '\\') z++;
  }
  return z + 1;
}

/* Behind the value at z. */
static const char *prompt_skip(const char *z) {
  int depth = 0;
  do {
    if (*z == '"') {
      z = prompt_skip_string(z);
      continue;
    }
    if (*z == '{' || *z == '[') depth++;
    if (*z == '}' || *z == ']') depth--;
    z++;
  } while (depth > 0 || (*z != ',' && *z != '}' && *z != ']' && *z != 0));
  return z;
}

/* The value of a member of the object; NULL when it is not there. */
static const char *prompt_member(const char *object, const char *name) {
  size_t n = strlen(name);
  const char *z = object + 1;
  while (*z == '"') {
    const char *value = prompt_skip_string(z) + 1;
    if (strncmp(z + 1, name, n) == 0 && z[n + 1] == '"') return value;
    z = prompt_skip(value);
    if (*z == ',') z++;
  }
  return NULL;
}

/* ---- writing the form ---------------------------------------------------- */

typedef struct PromptList {
  const char **item;
  size_t count;
  size_t room;
} PromptList;

static int prompt_compare(const void *left, const void *right) {
  return hf_jcs_compare(*(const char *const *)left,
                        *(const char *const *)right);
}

/* The elements of an array of strings, sorted; HF_RANGE when one is something
** else.  Elements that are equal are equal in every byte, so that their order
** does not matter. */
static int prompt_list(const char *array, PromptList *list) {
  const char *z = array + 1;
  while (*z != ']') {
    if (*z != '"') return HF_RANGE;
    if (list->count == list->room) {
      size_t room = list->room ? 2 * list->room : 16;
      const char **more = realloc(list->item, room * sizeof(*more));
      if (more == NULL) return HF_NOMEM;
      list->item = more;
      list->room = room;
    }
    list->item[list->count++] = z;
    z = prompt_skip_string(z);
    if (*z == ',') z++;
  }
  if (list->count > 1) {
    qsort(list->item, list->count, sizeof(*list->item), prompt_compare);
  }
  return HF_OK;
}

static void prompt_put(HfPrompt *out, const char *text, size_t size) {
  memcpy(out->text + out->size, text, size);
  out->size += size;
}

static int prompt_put_list(HfPrompt *out, const char *array) {
  PromptList list = {NULL, 0, 0};
  int rc = prompt_list(array, &list);
  size_t i;
  prompt_put(out, "[", 1);
  for (i = 0; i < list.count && rc == HF_OK; i++) {
    const char *item = list.item[i];
    if (i > 0) prompt_put(out, ",", 1);
    prompt_put(out, item, (size_t)(prompt_skip_string(item) - item));
  }
  prompt_put(out, "]", 1);
  free(list.item);
  return rc;
}

/* One member of the form; the object has it or not. */
static int prompt_put_field(HfPrompt *out, const char *object, int i) {
  const char *name = hf_prompt_field[i];
  const char *value = prompt_member(object, name);
  int rc = HF_OK;
  out->where = name;
  if (value == NULL) {
    out->wrong = "it is missing";
    return i < PROMPT_REQUIRED ? HF_RANGE : HF_OK;
  }
  out->wrong = prompt_is_list(i) ? "it must be an array of strings"
                                 : "it must be a string";
  if (*value != (prompt_is_list(i) ? '[' : '"')) return HF_RANGE;
  prompt_put(out, out->size > 1 ? ",\"" : "\"", out->size > 1 ? 2 : 1);
  prompt_put(out, name, strlen(name));
  prompt_put(out, "\":", 2);
  out->field[i].at = out->size;
  if (prompt_is_list(i)) {
    rc = prompt_put_list(out, value);
  } else {
    prompt_put(out, value, (size_t)(prompt_skip_string(value) - value));
  }
  out->field[i].size = out->size - out->field[i].at;
  return rc;
}

static int prompt_summary(HfPrompt *out, const char *object) {
  const char *value = prompt_member(object, "personaSummary");
  size_t size;
  if (value == NULL) return HF_OK;
  out->where = "personaSummary";
  out->wrong = "it must be a string";
  if (*value != '"') return HF_RANGE;
  size = (size_t)(prompt_skip_string(value) - value);
  out->summary = malloc(size + 1);
  if (out->summary == NULL) return HF_NOMEM;
  memcpy(out->summary, value, size);
  out->summary[size] = 0;
  return HF_OK;
}

static int prompt_form(HfPrompt *out, const char *object, size_t size) {
  int i, rc;
  out->wrong = "it must be an object";
  if (*object != '{') return HF_RANGE;
  out->text = malloc(size + 1);
  if (out->text == NULL) return HF_NOMEM;
  prompt_put(out, "{", 1);
  for (i = 0; i < HF_PROMPT_FIELDS; i++) {
    rc = prompt_put_field(out, object, i);
    if (rc != HF_OK) return rc;
  }
  prompt_put(out, "}", 1);
  assert(out->size <= size);
  return prompt_summary(out, object);
}

int hf_prompt(const char *json, size_t size, HfPrompt *out) {
  HfJcs jcs;
  char *object;
  int rc;
  memset(out, 0, sizeof(*out));
  memset(&jcs, 0, sizeof(jcs));
  rc = hf_jcs(json, size, &jcs);
  if (rc != HF_OK) {
    out->wrong = jcs.wrong;
    out->at = jcs.at;
    return rc;
  }
  object = malloc(jcs.size + 1);
  if (object == NULL) {
    free(jcs.text);
    return HF_NOMEM;
  }
  memcpy(object, jcs.text, jcs.size);
  object[jcs.size] = 0;
  free(jcs.text);
  rc = prompt_form(out, object, jcs.size);
  free(object);
  return rc;
}

void hf_prompt_clear(HfPrompt *prompt) {
  free(prompt->text);
  free(prompt->summary);
  memset(prompt, 0, sizeof(*prompt));
}
