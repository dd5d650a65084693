/*
** One error object, one way to raise: see hf.h.
*/
#include <assert.h>
#include <stdarg.h>

#include "sqlite/hf.h"

int hf_fail(HfError *err, int rc, const char *format, ...) {
  va_list args;
  assert(rc != SQLITE_OK);
  if (err->rc != SQLITE_OK) return err->rc;
  err->rc = rc;
  if (format != NULL) {
    va_start(args, format);
    err->message = sqlite3_vmprintf(format, args);
    va_end(args);
    if (err->message == NULL) err->rc = SQLITE_NOMEM;
  }
  return err->rc;
}

int hf_fail_db(HfError *err, sqlite3 *db) {
  int rc = sqlite3_extended_errcode(db);
  if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) {
    rc = SQLITE_NOMEM; /* only a lost allocation leaves no trace */
  }
  if (rc == SQLITE_NOMEM) return hf_fail(err, rc, NULL);
  return hf_fail(err, rc, "%s", sqlite3_errmsg(db));
}

int hf_fail_core(HfError *err, int core_rc) {
  switch (core_rc) {
    case HF_OK:
      return SQLITE_OK;
    case HF_NOMEM:
      return hf_fail(err, SQLITE_NOMEM, NULL);
    case HF_RANGE:
      return hf_fail(err, SQLITE_FULL, "the ledger is full (2^63 - 1 entries)");
    default:
      return hf_fail(
          err, SQLITE_ERROR,
          "OpenSSL refused to compute a hash or a signature (%s): check "
          "its providers",
          hf_crypto_version());
  }
}

void hf_error_clear(HfError *err) {
  sqlite3_free(err->message);
  err->message = NULL;
  err->rc = SQLITE_OK;
}

int hf_error_to_vtab(HfError *err, sqlite3_vtab *vtab) {
  int rc = err->rc;
  if (err->message != NULL) {
    sqlite3_free(vtab->zErrMsg);
    vtab->zErrMsg = err->message;
    err->message = NULL;
  }
  err->rc = SQLITE_OK;
  return rc;
}

void hf_result_integer(sqlite3_context *context, sqlite3_int64 value,
                       HfError *err) {
  if (err->rc != SQLITE_OK) {
    hf_error_to_result(err, context);
  } else {
    sqlite3_result_int64(context, value);
  }
}

void hf_result_text(sqlite3_context *context, char *text, HfError *err) {
  if (err->rc != SQLITE_OK) {
    sqlite3_free(text);
    hf_error_to_result(err, context);
  } else {
    sqlite3_result_text(context, text, -1, sqlite3_free);
  }
}

void hf_error_to_result(HfError *err, sqlite3_context *context) {
  assert(err->rc != SQLITE_OK);
  if (err->rc == SQLITE_NOMEM) {
    sqlite3_result_error_nomem(context);
  } else if (err->message != NULL) {
    sqlite3_result_error(context, err->message, -1);
    /* After the text: this order keeps both. */
    sqlite3_result_error_code(context, err->rc);
  } else {
    sqlite3_result_error_code(context, err->rc);
  }
  hf_error_clear(err);
}

char *hf_str_finish(sqlite3_str *str, HfError *err) {
  int rc = sqlite3_str_errcode(str);
  char *text = sqlite3_str_finish(str);
  /* An empty string comes back as NULL, just like one that was lost. */
  if (rc == SQLITE_OK && text == NULL) {
    text = sqlite3_mprintf("");
    if (text == NULL) rc = SQLITE_NOMEM;
  }
  if (rc == SQLITE_OK) return text;
  sqlite3_free(text);
  hf_fail(err, rc, NULL);
  return NULL;
}

char *hf_format(HfError *err, const char *format, ...) {
  va_list args;
  char *text;
  va_start(args, format);
  text = sqlite3_vmprintf(format, args);
  va_end(args);
  if (text == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
  return text;
}
