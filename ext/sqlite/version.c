/*
** holdfast_version, holdfast_debug.
*/
#include <openssl/opensslv.h>

#include "sqlite/hf.h"

#if defined(__clang__)
#define VERSION_COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define VERSION_COMPILER "gcc " __VERSION__
#else
#define VERSION_COMPILER "unknown"
#endif

#if defined(HF_STATIC_CRYPTO)
#define VERSION_CRYPTO "static"
#else
#define VERSION_CRYPTO "shared"
#endif

/*
** holdfast_version()
**
** Returns the version of the library as TEXT, '0.1.0'.
*/
static void version_version(sqlite3_context *context, int argc,
                            sqlite3_value **argv) {
  (void)argc;
  (void)argv;
  sqlite3_result_text(context, HOLDFAST_VERSION, -1, SQLITE_STATIC);
}

/* A switch of sqlite3_db_config as it stands. */
static int version_switch(sqlite3 *db, int op) {
  int value = -1;
  sqlite3_db_config(db, op, -1, &value);
  return value;
}

/*
** holdfast_debug()
**
** Returns JSON: the versions of Holdfast, of SQLite and of OpenSSL, those it
** was compiled against and those it runs with, the compiler, and the switches
** of this connection that matter to the walls.
*/
static void version_debug(sqlite3_context *context, int argc,
                          sqlite3_value **argv) {
  sqlite3 *db = sqlite3_context_db_handle(context);
  char *json;
  (void)argc;
  (void)argv;
  json = sqlite3_mprintf(
      "{\"holdfast\":\"%s\","
      "\"sqlite\":{\"compiled\":\"%s\",\"running\":\"%s\",\"threadsafe\":%d},"
      "\"openssl\":{\"compiled\":\"%s\",\"running\":\"%s\","
      "\"linked\":\"" VERSION_CRYPTO "\"},"
      "\"compiler\":\"%s\","
      "\"connection\":{\"defensive\":%d,\"trusted_schema\":%d,"
      "\"triggers\":%d,\"writable_schema\":%d}}",
      HOLDFAST_VERSION, SQLITE_VERSION, sqlite3_libversion(),
      sqlite3_threadsafe(), OPENSSL_VERSION_TEXT, hf_crypto_version(),
      VERSION_COMPILER, version_switch(db, SQLITE_DBCONFIG_DEFENSIVE),
      version_switch(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA),
      version_switch(db, SQLITE_DBCONFIG_ENABLE_TRIGGER),
      version_switch(db, SQLITE_DBCONFIG_WRITABLE_SCHEMA));
  if (json == NULL) {
    sqlite3_result_error_nomem(context);
    return;
  }
  sqlite3_result_text(context, json, -1, sqlite3_free);
}

int hf_version_register(HfConn *conn) {
  static const HfFunction functions[] = {
      {"holdfast_version", 0, HF_PURE, version_version},
      {"holdfast_debug", 0, HF_READS, version_debug},
  };
  return hf_register_functions(conn, functions,
                               sizeof(functions) / sizeof(*functions));
}
