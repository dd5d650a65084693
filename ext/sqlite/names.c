/*
** Names of tables in attached databases: see hf.h.
*/
#include <string.h>

#include "sqlite/hf.h"

/* Is there a database of this name on the connection?  In *out its index in
** database_list, or -1. */
static int names_find_schema(sqlite3 *db, const char *schema,
                             sqlite3_int64 *out, HfError *err) {
  return hf_query_int(db, err, -1, out,
                      "SELECT seq FROM pragma_database_list"
                      " WHERE name = %Q COLLATE NOCASE",
                      schema);
}

int hf_name_split(sqlite3 *db, const char *text, HfName *out, HfError *err) {
  const char *dot = strchr(text, '.');
  memset(out, 0, sizeof(*out));
  if (dot != NULL && dot[1] != 0) {
    sqlite3_int64 index;
    char *prefix = sqlite3_mprintf("%.*s", (int)(dot - text), text);
    if (prefix == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
    /* "temp" is listed only once something is in it. */
    if (sqlite3_stricmp(prefix, "temp") == 0) {
      index = 1;
    } else {
      names_find_schema(db, prefix, &index, err);
    }
    if (err->rc == SQLITE_OK && index >= 0) {
      out->schema = prefix;
      text = dot + 1;
    } else {
      sqlite3_free(prefix);
    }
    if (err->rc != SQLITE_OK) return err->rc;
  }
  if (out->schema == NULL) out->schema = sqlite3_mprintf("main");
  out->name = sqlite3_mprintf("%s", text);
  if (out->schema == NULL || out->name == NULL) {
    hf_name_clear(out);
    return hf_fail(err, SQLITE_NOMEM, NULL);
  }
  return SQLITE_OK;
}

void hf_name_clear(HfName *name) {
  sqlite3_free(name->schema);
  sqlite3_free(name->name);
  memset(name, 0, sizeof(*name));
}
