/*
** The specification of a prompt: its canonical form, the digests of its fields,
** and which of them differ from a baseline's.
*/
#include <stdlib.h>
#include <string.h>

#include "process/process.h"

void process_spec_clear(ProcessSpec *spec) {
  int i;
  for (i = 0; i < HF_PROMPT_FIELDS; i++) sqlite3_free(spec->text[i]);
  sqlite3_free(spec->summary);
  hf_prompt_clear(&spec->form);
}

/* The text that a canonical JSON string says; NULL with the failure recorded,
** one of them being a NUL. */
static char *spec_decode(const char *json, size_t size, const char *field,
                         HfError *err) {
  static const char name[] = "btnfr", value[] = "\b\t\n\f\r";
  char *text = sqlite3_malloc64(size), *out = text;
  size_t i;
  if (text == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
  for (i = 1; text != NULL && i + 1 < size; i++) {
    const char *found;
    if (json[i] != '\\') {
      *out++ = json[i];
      continue;
    }
    i++;
    found = strchr(name, json[i]);
    if (json[i] == 'u') {
      char hex[3] = {json[i + 3], json[i + 4], 0};
      *out = (char)strtol(hex, NULL, 16);
      if (*out++ == 0) {
        hf_fail(err, SQLITE_ERROR, "the prompt: %s: a NUL in it", field);
      }
      i += 4;
    } else {
      *out++ = json[i];
      if (found != NULL) out[-1] = value[found - name];
    }
  }
  if (text != NULL) *out = 0;
  return text;
}

static int spec_digest(HfConn *conn, const char *text, size_t size, char *hex,
                       HfError *err) {
  unsigned char hash[HF_SHA256_SIZE];
  hf_fail_core(err, hf_sha256(conn->sha, text, size, hash));
  hf_hex(hash, HF_SHA256_SIZE, hex);
  return err->rc;
}

int process_spec_parse(HfConn *conn, const char *function, sqlite3_value *value,
                       ProcessSpec *spec, HfError *err) {
  const char *json;
  size_t size;
  if (sqlite3_value_type(value) != SQLITE_TEXT) {
    return hf_fail(err, SQLITE_ERROR,
                   "%s: the specification must be TEXT, a JSON object",
                   function);
  }
  json = hf_value_text(value, &size);
  if (json == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  switch (hf_prompt(json, size, &spec->form)) {
    case HF_OK:
      return spec_digest(conn, spec->form.text, spec->form.size, spec->hash,
                         err);
    case HF_NOMEM:
      return hf_fail(err, SQLITE_NOMEM, NULL);
    default:
      break;
  }
  if (spec->form.where != NULL) {
    return hf_fail(err, SQLITE_ERROR, "%s: %s: %s", function, spec->form.where,
                   spec->form.wrong);
  }
  return hf_fail(err, SQLITE_ERROR, "%s: at byte %lld: %s", function,
                 (sqlite3_int64)spec->form.at + 1, spec->form.wrong);
}

int process_spec_read(HfConn *conn, const char *function, sqlite3_value *value,
                      ProcessSpec *spec, HfError *err) {
  int i;
  if (process_spec_parse(conn, function, value, spec, err) != SQLITE_OK) {
    return err->rc;
  }
  for (i = 0; i < HF_PROMPT_FIELDS && err->rc == SQLITE_OK; i++) {
    const char *text = spec->form.text + spec->form.field[i].at;
    size_t size = spec->form.field[i].size;
    if (size == 0) continue;
    spec_digest(conn, text, size, spec->digest[i], err);
    if (*text == '"') {
      spec->text[i] = spec_decode(text, size, hf_prompt_field[i], err);
    }
  }
  if (spec->form.summary != NULL && err->rc == SQLITE_OK) {
    spec->summary = spec_decode(spec->form.summary, strlen(spec->form.summary),
                                "personaSummary", err);
  }
  for (i = HF_PROMPT_PHASE; i <= HF_PROMPT_TASK && err->rc == SQLITE_OK; i++) {
    size_t n = strlen(spec->text[i]);
    if (n == 0 || n > PROCESS_TEXT_MAX) {
      hf_fail(err, SQLITE_ERROR, "%s: %s: it must have 1 to %d bytes", function,
              hf_prompt_field[i], PROCESS_TEXT_MAX);
    }
  }
  return err->rc;
}

char *process_spec_components(const ProcessSpec *spec, HfError *err) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  int i, n = 0;
  for (i = 0; i < HF_PROMPT_FIELDS; i++) {
    if (spec->digest[i][0] == 0) continue;
    sqlite3_str_appendf(json, "%c\"%s\":\"%s\"", n++ ? ',' : '{',
                        hf_prompt_field[i], spec->digest[i]);
  }
  sqlite3_str_appendchar(json, 1, '}');
  return hf_str_finish(json, err);
}

char *process_spec_changed(const ProcessSpec *spec, const char *components,
                           HfError *err) {
  sqlite3_str *json;
  int i, n = 0;
  if (components == NULL) return NULL;
  json = sqlite3_str_new(NULL);
  sqlite3_str_appendchar(json, 1, '[');
  for (i = 0; i < HF_PROMPT_FIELDS; i++) {
    char key[96];
    sqlite3_snprintf(sizeof(key), key, "\"%s\":", hf_prompt_field[i]);
    if ((strstr(components, key) != NULL) == (spec->digest[i][0] != 0)) {
      if (spec->digest[i][0] == 0) continue;
      sqlite3_snprintf(sizeof(key), key, "\"%s\":\"%s\"", hf_prompt_field[i],
                       spec->digest[i]);
      if (strstr(components, key) != NULL) continue;
    }
    sqlite3_str_appendf(json, "%s\"%s\"", n++ ? "," : "", hf_prompt_field[i]);
  }
  sqlite3_str_appendchar(json, 1, ']');
  return hf_str_finish(json, err);
}
