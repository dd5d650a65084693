/*
** Making, dropping and renaming what is behind a ledger, and its identity.
*/
#include <string.h>

#include "ledger/ledger.h"

/* ---- identity ------------------------------------------------------------ */

int ledger_genesis(HfConn *conn, const char *origin, const char *schema_text,
                   unsigned char out[HF_SHA256_SIZE], HfError *err) {
  HfSink sink = {conn->sha, NULL, 0, 0};
  hf_sha256_begin(conn->sha);
  hf_sink_put(&sink, "\x00", 1);
  hf_sink_row(&sink, 3);
  hf_sink_text(&sink, LEDGER_GENESIS_TAG, strlen(LEDGER_GENESIS_TAG));
  hf_sink_text(&sink, origin, strlen(origin));
  hf_sink_text(&sink, schema_text, strlen(schema_text));
  return hf_fail_core(err, hf_sha256_end(conn->sha, out));
}

int ledger_id(HfConn *conn, const unsigned char *genesis, const char *name,
              sqlite3_int64 *out, HfError *err) {
  unsigned char hash[HF_SHA256_SIZE];
  sqlite3_uint64 id = 0;
  int i;
  hf_sha256_begin(conn->sha);
  hf_sha256_add(conn->sha, genesis, HF_SHA256_SIZE);
  hf_sha256_add(conn->sha, name, strlen(name));
  if (hf_fail_core(err, hf_sha256_end(conn->sha, hash)) != SQLITE_OK) {
    return err->rc;
  }
  for (i = 0; i < 8; i++) id = id << 8 | hash[i];
  *out = (sqlite3_int64)(id >> 1); /* a literal without a sign */
  return SQLITE_OK;
}

int ledger_need_id(HfLedger *ledger, HfError *err) {
  LedgerConfig config;
  if (ledger->id >= 0) return SQLITE_OK;
  if (ledger_config_read(ledger, &config, err) == SQLITE_OK) {
    ledger_id(ledger->conn, config.genesis, ledger->name, &ledger->id, err);
  }
  ledger_config_clear(&config);
  return err->rc;
}

/* ---- configuration ------------------------------------------------------- */

int ledger_config_read(HfLedger *ledger, LedgerConfig *config, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  memset(config, 0, sizeof(*config));
  if (hf_prepare(ledger->db, &stmt, err,
                 "SELECT max(iif(key = 'origin', value, NULL)),"
                 " max(iif(key = 'genesis', value, NULL))"
                 " FROM \"%w\".\"%w_config\" NOT INDEXED",
                 ledger->schema, ledger->name) != SQLITE_OK) {
    if (err->rc == SQLITE_ERROR) {
      hf_error_clear(err);
      hf_fail(err, SQLITE_CORRUPT_VTAB,
              "ledger %s: its table %s_config is missing or altered; run "
              "ledger_verify('%s')",
              ledger->name, ledger->name, ledger->name);
    }
    return err->rc;
  }
  if (sqlite3_step(stmt) != SQLITE_ROW) {
    hf_fail_db(err, ledger->db);
  } else if (sqlite3_column_type(stmt, 0) != SQLITE_TEXT ||
             sqlite3_column_type(stmt, 1) != SQLITE_BLOB ||
             sqlite3_column_bytes(stmt, 1) != HF_SHA256_SIZE) {
    hf_fail(err, SQLITE_CORRUPT_VTAB,
            "ledger %s: its configuration is damaged; run ledger_verify('%s')",
            ledger->name, ledger->name);
  } else {
    config->origin = hf_column_text(stmt, 0, err);
    memcpy(config->genesis, sqlite3_column_blob(stmt, 1), HF_SHA256_SIZE);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

void ledger_config_clear(LedgerConfig *config) {
  sqlite3_free(config->origin);
  config->origin = NULL;
}

/* ---- creation, removal, renaming ----------------------------------------- */

static const char *const create_noun[] = {"TABLE", "INDEX", "VIEW", "TRIGGER"};

/* An index keeps its name when the ledger is renamed (SQLite cannot drop one
** during an ALTER TABLE), so the wanted name may be taken. */
static int create_index(HfLedger *ledger, const LedgerObject *object,
                        HfError *err) {
  sqlite3_int64 taken = 1;
  char *name = NULL;
  int n;
  for (n = 1; taken && err->rc == SQLITE_OK; n++) {
    sqlite3_free(name);
    name = n == 1 ? hf_format(err, "%s", object->name)
                  : hf_format(err, "%s_%d", object->name, n);
    hf_query_int(ledger->db, err, 0, &taken,
                 "SELECT 1 FROM \"%w\".sqlite_schema WHERE name = %Q COLLATE "
                 "NOCASE",
                 ledger->schema, name);
  }
  hf_exec(ledger->db, err, "CREATE INDEX \"%w\".\"%w\"%s", ledger->schema, name,
          object->sql);
  sqlite3_free(name);
  return err->rc;
}

static int create_one(HfLedger *ledger, const LedgerObject *object,
                      HfError *err) {
  if (object->kind == LEDGER_INDEX) {
    return create_index(ledger, object, err);
  }
  hf_exec(ledger->db, err, "%s\"%w\".%s", ledger_object_verb(object->kind),
          ledger->schema, object->sql);
  if (object->kind == LEDGER_TRIGGER) {
    hf_guard_record(ledger->conn, ledger->schema, object->name, object->table,
                    "ledger", err);
  }
  return err->rc;
}

/* Indexes go with their table. */
static int create_drop_one(HfLedger *ledger, const LedgerObject *object,
                           HfError *err) {
  if (object->kind == LEDGER_INDEX) return SQLITE_OK;
  hf_exec(ledger->db, err, "DROP %s IF EXISTS \"%w\".\"%w\"",
          create_noun[object->kind], ledger->schema, object->name);
  if (object->kind == LEDGER_TRIGGER) {
    hf_guard_forget(ledger->conn, ledger->schema, object->table, NULL, err);
  }
  return err->rc;
}

static int create_write_config(HfLedger *ledger, const LedgerConfig *config,
                               HfError *err) {
  char hex[2 * HF_SHA256_SIZE + 1];
  hf_hex(config->genesis, HF_SHA256_SIZE, hex);
  return hf_exec(ledger->db, err,
                 "INSERT INTO \"%w\".\"%w_config\"(key, value) VALUES"
                 " ('format', 1), ('origin', %Q), ('schema', %Q),"
                 " ('genesis', x'%s')",
                 ledger->schema, ledger->name, config->origin,
                 ledger->def.schema_text, hex);
}

static int create_check_encoding(HfLedger *ledger, HfError *err) {
  char *encoding;
  if (hf_query_text(ledger->db, err, &encoding, "PRAGMA \"%w\".encoding",
                    ledger->schema) != SQLITE_OK) {
    return err->rc;
  }
  if (encoding == NULL || strcmp(encoding, "UTF-8") != 0) {
    hf_fail(err, SQLITE_ERROR,
            "ledger %s: the database's encoding is %s, which does not keep "
            "every text as it was written; a ledger needs UTF-8",
            ledger->name, encoding ? encoding : "unknown");
  }
  sqlite3_free(encoding);
  return err->rc;
}

/* Make the objects in their order: the tables come first, and the rows of the
** configuration before the trigger that forbids them.  Inside a transaction a
** failed CREATE VIRTUAL TABLE does not undo what its module did: so a failure
** leaves nothing behind. */
static int create_all(HfLedger *ledger, const LedgerObjects *list,
                      const LedgerConfig *config, HfError *err) {
  HfError ignored = {SQLITE_OK, NULL};
  int i, made = 0, configured = 0;
  for (i = 0; i < list->count; i++) {
    if (list->object[i].kind != LEDGER_TABLE && !configured) {
      create_write_config(ledger, config, err);
      configured = 1;
    }
    if (create_one(ledger, &list->object[i], err) != SQLITE_OK) break;
    made++;
  }
  while (err->rc != SQLITE_OK && made > 0) {
    create_drop_one(ledger, &list->object[--made], &ignored);
    hf_error_clear(&ignored);
  }
  return err->rc;
}

int ledger_objects_create(HfLedger *ledger, HfError *err) {
  LedgerConfig config = {NULL, {0}};
  LedgerObjects list;
  memset(&list, 0, sizeof(list));
  if (create_check_encoding(ledger, err) != SQLITE_OK) return err->rc;
  config.origin = ledger->def.origin
                      ? hf_format(err, "%s", ledger->def.origin)
                      : hf_format(err, "holdfast/%s", ledger->name);
  if (config.origin != NULL &&
      ledger_genesis(ledger->conn, config.origin, ledger->def.schema_text,
                     config.genesis, err) == SQLITE_OK &&
      ledger_objects_make(ledger, ledger->name, &config, &list, err) ==
          SQLITE_OK) {
    create_all(ledger, &list, &config, err);
  }
  ledger_objects_clear(&list);
  ledger_config_clear(&config);
  return err->rc;
}

/* By name alone, so that a ledger whose configuration is lost can go, too. */
int ledger_objects_drop(HfLedger *ledger, HfError *err) {
  static const struct {
    LedgerObjectKind kind;
    const char *suffix;
  } object[] = {{LEDGER_VIEW, "direct"},
                {LEDGER_TABLE, "entry"},
                {LEDGER_TABLE, "checkpoint"},
                {LEDGER_TABLE, "config"}};
  size_t i;
  for (i = 0; i < sizeof(object) / sizeof(*object); i++) {
    char *name = hf_format(err, "%s_%s", ledger->name, object[i].suffix);
    if (name == NULL) break;
    hf_exec(ledger->db, err, "DROP %s IF EXISTS \"%w\".\"%w\"",
            create_noun[object[i].kind], ledger->schema, name);
    hf_guard_forget(ledger->conn, ledger->schema, name, NULL, err);
    sqlite3_free(name);
  }
  return err->rc;
}

/* Users' policy triggers on the entry table follow the rename. */
static int create_rename_tables(HfLedger *ledger, const char *to,
                                HfError *err) {
  static const char *const suffix[] = {"entry", "checkpoint", "config"};
  size_t i;
  for (i = 0; i < sizeof(suffix) / sizeof(*suffix); i++) {
    hf_exec(ledger->db, err, "ALTER TABLE \"%w\".\"%w_%s\" RENAME TO \"%w_%s\"",
            ledger->schema, ledger->name, suffix[i], to, suffix[i]);
  }
  return err->rc;
}

int ledger_objects_rename(HfLedger *ledger, const char *to, HfError *err) {
  LedgerConfig config;
  LedgerObjects before, after;
  int i;
  memset(&before, 0, sizeof(before));
  memset(&after, 0, sizeof(after));
  if (ledger_config_read(ledger, &config, err) == SQLITE_OK &&
      ledger_objects_make(ledger, ledger->name, &config, &before, err) ==
          SQLITE_OK &&
      ledger_objects_make(ledger, to, &config, &after, err) == SQLITE_OK) {
    for (i = before.count - 1; i >= 0 && err->rc == SQLITE_OK; i--) {
      if (before.object[i].kind <= LEDGER_INDEX) continue;
      create_drop_one(ledger, &before.object[i], err);
    }
    create_rename_tables(ledger, to, err);
    for (i = 0; i < after.count && err->rc == SQLITE_OK; i++) {
      if (after.object[i].kind <= LEDGER_INDEX) continue;
      create_one(ledger, &after.object[i], err);
    }
  }
  ledger_objects_clear(&before);
  ledger_objects_clear(&after);
  ledger_config_clear(&config);
  return err->rc;
}
