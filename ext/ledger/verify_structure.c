/*
** Verification of what stands around the entries: configuration, tables,
** indexes and triggers, against the text that the module would make today.
*/
#include <string.h>

#include "ledger/verify.h"

/* The configuration that the declaration implies, where the file's cannot be
** read. */
static int structure_default_config(HfLedger *ledger, LedgerConfig *config,
                                    HfError *err) {
  ledger_config_clear(config);
  config->origin = ledger->def.origin
                       ? sqlite3_mprintf("%s", ledger->def.origin)
                       : sqlite3_mprintf("holdfast/%s", ledger->name);
  if (config->origin == NULL) return hf_fail(err, SQLITE_NOMEM, NULL);
  return ledger_genesis(ledger->conn, config->origin, ledger->def.schema_text,
                        config->genesis, err);
}

/* Do the rows of the configuration say what they said at creation? */
static int structure_check_config(HfLedger *ledger, VerifyQueue *queue,
                                  LedgerConfig *config, HfError *err) {
  unsigned char genesis[HF_SHA256_SIZE];
  sqlite3_int64 right = 0;
  if (hf_query_int(ledger->db, err, 0, &right,
                   "SELECT count(*) = 4"
                   "   AND sum(key = 'format' AND value IS 1) = 1"
                   "   AND sum(key = 'schema' AND value IS %Q) = 1"
                   "   AND sum(key = 'origin') = 1"
                   "   AND sum(key = 'genesis') = 1"
                   "  FROM \"%w\".\"%w_config\" NOT INDEXED",
                   ledger->def.schema_text, ledger->schema,
                   ledger->name) != SQLITE_OK) {
    return err->rc;
  }
  if (!right) {
    verify_add(queue, err, "config_altered", 0,
               "the rows of %s_config are not those written at creation",
               ledger->name);
  }
  if (ledger_genesis(ledger->conn, config->origin, ledger->def.schema_text,
                     genesis, err) != SQLITE_OK) {
    return err->rc;
  }
  if (memcmp(genesis, config->genesis, HF_SHA256_SIZE) != 0) {
    verify_add(queue, err, "config_altered", 0,
               "the genesis does not follow from origin '%s' and columns '%s'",
               config->origin, ledger->def.schema_text);
  } else if (ledger->def.origin != NULL &&
             strcmp(ledger->def.origin, config->origin) != 0) {
    verify_add(queue, err, "config_altered", 0,
               "the declared origin '%s' is not the recorded '%s'",
               ledger->def.origin, config->origin);
  }
  return err->rc;
}

/* An index is looked for by what it is on: it keeps an old name. */
static int structure_check_index(HfLedger *ledger, VerifyQueue *queue,
                                 const LedgerObject *object, HfError *err) {
  sqlite3_int64 found;
  if (hf_query_int(ledger->db, err, 0, &found,
                   "SELECT 1 FROM \"%w\".sqlite_schema"
                   " WHERE type = 'index' AND tbl_name = %Q COLLATE NOCASE"
                   "   AND sql = 'CREATE INDEX \"' ||"
                   "             replace(name, '\"', '\"\"') || '\"' || %Q",
                   ledger->schema, object->table, object->sql) == SQLITE_OK &&
      !found) {
    verify_add(queue, err, "index_mismatch", 0, "the index%s is missing",
               object->sql);
  }
  return err->rc;
}

static int structure_check_object(HfLedger *ledger, VerifyQueue *queue,
                                  const LedgerObject *object, HfError *err) {
  static const char *const type[] = {"table", "index", "view", "trigger"};
  const char *verb = ledger_object_verb(object->kind);
  int table = object->kind == LEDGER_TABLE;
  char *sql;
  if (hf_query_text(ledger->db, err, &sql,
                    "SELECT sql FROM \"%w\".sqlite_schema"
                    " WHERE type = %Q AND name = %Q COLLATE NOCASE",
                    ledger->schema, type[object->kind],
                    object->name) != SQLITE_OK) {
    return err->rc;
  }
  if (sql == NULL) {
    verify_add_object(queue, err, table ? "config_altered" : "guard_missing",
                      object->name, "%s is missing");
  } else if (strncmp(sql, verb, strlen(verb)) != 0 ||
             strcmp(sql + strlen(verb), object->sql) != 0) {
    verify_add_object(queue, err, table ? "config_altered" : "guard_altered",
                      object->name, "%s is not the one that the ledger made");
  }
  sqlite3_free(sql);
  return err->rc;
}

/* SQLite passes over rows of its schema whose type it does not know. */
static int structure_check_types(HfLedger *ledger, VerifyQueue *queue,
                                 HfError *err) {
  sqlite3_int64 strange;
  if (hf_query_int(ledger->db, err, 0, &strange,
                   "SELECT count(*) FROM \"%w\".sqlite_schema"
                   " WHERE tbl_name IN ('%q_entry', '%q_config', '%q_direct',"
                   "                    '%q_checkpoint')"
                   "   AND type NOT IN ('table', 'index', 'view', 'trigger')",
                   ledger->schema, ledger->name, ledger->name, ledger->name,
                   ledger->name) == SQLITE_OK &&
      strange > 0) {
    verify_add(queue, err, "config_altered", 0,
               "sqlite_schema has a row of %s_entry of no known type",
               ledger->name);
  }
  return err->rc;
}

int verify_structure(HfLedger *ledger, VerifyQueue *queue,
                     unsigned char *genesis, char **origin, HfError *err) {
  LedgerConfig config;
  LedgerObjects objects;
  int i;
  memset(&objects, 0, sizeof(objects));
  if (ledger_config_read(ledger, &config, err) == SQLITE_OK) {
    structure_check_config(ledger, queue, &config, err);
  } else if (err->rc == SQLITE_CORRUPT_VTAB) {
    hf_error_clear(err);
    verify_add(queue, err, "config_altered", 0,
               "the table %s_config cannot be read as a configuration",
               ledger->name);
    structure_default_config(ledger, &config, err);
  }
  if (err->rc == SQLITE_OK && ledger_objects_make(ledger, ledger->name, &config,
                                                  &objects, err) == SQLITE_OK) {
    memcpy(genesis, config.genesis, HF_SHA256_SIZE);
    structure_check_types(ledger, queue, err);
    for (i = 0; i < objects.count && err->rc == SQLITE_OK; i++) {
      if (objects.object[i].kind == LEDGER_INDEX) {
        structure_check_index(ledger, queue, &objects.object[i], err);
      } else {
        structure_check_object(ledger, queue, &objects.object[i], err);
      }
    }
  }
  ledger_objects_clear(&objects);
  *origin = config.origin;
  return err->rc;
}
