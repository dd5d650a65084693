/*
** The tables, indexes and triggers behind a ledger, as SQL text.
**
** One place makes the text; creation runs it, renaming makes it anew, and
** verification compares it with what sqlite_schema holds.  The entry table is
** no shadow table: from SQLite 3.44 on a trigger on a shadow table makes the
** whole database unreadable under DEFENSIVE.  So its triggers are its walls:
**
**   insert   the module's own appends pass by comparing two integers; a
**            direct INSERT must carry the next seq, a good time and the right
**            hash.  Needs the extension, so without it every INSERT fails.
**   update   pure SQL.  The one UPDATE let through completes `node` of the
**            newest entry after a direct INSERT, and changes nothing else.
**   delete   pure SQL.
*/
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "ledger/ledger.h"

/* ---- identity ------------------------------------------------------------ */

int ledger_genesis(HfConn *conn, const char *origin, const char *schema_text,
                   unsigned char out[HF_SHA256_SIZE], HfError *err) {
  HfSink sink = {conn->sha, NULL, 0};
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

/* ---- configuration ------------------------------------------------------- */

int ledger_config_read(HfLedger *ledger, LedgerConfig *config, HfError *err) {
  sqlite3_stmt *stmt = NULL;
  memset(config, 0, sizeof(*config));
  if (hf_prepare(ledger->db, &stmt, err,
                 "SELECT max(iif(key = 'origin', value, NULL)),"
                 " max(iif(key = 'genesis', value, NULL))"
                 " FROM \"%w\".\"%w_config\"",
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
    config->origin = sqlite3_mprintf("%s", sqlite3_column_text(stmt, 0));
    if (config->origin == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
    memcpy(config->genesis, sqlite3_column_blob(stmt, 1), HF_SHA256_SIZE);
  }
  sqlite3_finalize(stmt);
  return err->rc;
}

void ledger_config_clear(LedgerConfig *config) {
  sqlite3_free(config->origin);
  config->origin = NULL;
}

/* ---- SQL texts ----------------------------------------------------------- */

static char *objects_entry_table(const LedgerDef *def, const char *name,
                                 HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i;
  sqlite3_str_appendf(sql,
                      "\"%w_entry\"(\n"
                      "  seq INTEGER PRIMARY KEY,\n"
                      "  at INTEGER NOT NULL",
                      name);
  for (i = 0; i < def->columns; i++) {
    sqlite3_str_appendf(sql, ",\n  \"%w\" %s%s", def->column[i].name,
                        def->column[i].type, def->column[i].constraints);
  }
  sqlite3_str_appendf(sql, ",\n  hash BLOB NOT NULL,\n  node BLOB%s\n) STRICT",
                      def->constraints);
  return hf_str_finish(sql, err);
}

/* The rules that a direct INSERT is held to, in the order in which they are
** checked. */
static void objects_insert_rules(sqlite3_str *sql, const LedgerDef *def,
                                 const char *name, const char *genesis_hex) {
  int i;
  sqlite3_str_appendf(
      sql,
      "  SELECT CASE\n"
      "    WHEN NEW.seq IS NOT\n"
      "         (SELECT coalesce(max(seq), 0) + 1 FROM \"%w_entry\")\n"
      "    THEN RAISE(ABORT, 'ledger %q: seq is not the next one')\n"
      "    WHEN NEW.at < (SELECT at FROM \"%w_entry\" WHERE seq = NEW.seq - "
      "1)\n"
      "    THEN RAISE(ABORT, 'ledger %q: at is earlier than the previous "
      "entry''s')\n",
      name, name, name, name);
  if (!def->clock_caller) {
    sqlite3_str_appendf(
        sql,
        "    WHEN NEW.at > %d +\n"
        "         CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)\n"
        "    THEN RAISE(ABORT, 'ledger %q: at lies in the future')\n",
        LEDGER_AHEAD_MS, name);
  }
  sqlite3_str_appendf(
      sql,
      "    WHEN NEW.node IS NOT NULL\n"
      "    THEN RAISE(ABORT, 'ledger %q: node is derived; leave it NULL')\n",
      name);
  /* OR REPLACE would delete the entry that holds a unique value, and fire no
  ** DELETE trigger. */
  for (i = 0; i < def->uniques; i++) {
    sqlite3_str_appendf(
        sql,
        "    WHEN EXISTS (SELECT 1 FROM \"%w_entry\" WHERE %s)\n"
        "    THEN RAISE(ABORT, 'ledger %q: %q must be unique')\n",
        name, def->unique[i].predicate, name, def->unique[i].columns);
  }
  sqlite3_str_appendf(
      sql,
      "    WHEN NEW.hash IS NOT merkle_leaf_hash(attest_canonical(\n"
      "         '" LEDGER_TAG "', NEW.seq,\n"
      "         coalesce((SELECT hash FROM \"%w_entry\" WHERE seq = NEW.seq - "
      "1),\n"
      "                  x'%s'),\n"
      "         NEW.at",
      name, genesis_hex);
  for (i = 0; i < def->columns; i++) {
    sqlite3_str_appendf(sql, ", NEW.\"%w\"", def->column[i].name);
  }
  sqlite3_str_appendf(sql,
                      "))\n"
                      "    THEN RAISE(ABORT, 'ledger %q: hash is not the hash "
                      "of this entry')\n"
                      "  END;\n",
                      name);
}

static char *objects_insert_trigger(const LedgerDef *def, const char *name,
                                    const char *genesis_hex, sqlite3_int64 id,
                                    HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql,
                      "\"%w_entry_insert\" BEFORE INSERT ON \"%w_entry\"\n"
                      "WHEN ledger_pending(%lld, NEW.seq) IS NOT 1\n"
                      "BEGIN\n",
                      name, name, id);
  objects_insert_rules(sql, def, name, genesis_hex);
  /* The roots of the subtrees that the previous entry completed, if it was
  ** inserted directly, too: level by level, the left sibling ends 2^level
  ** entries before it. */
  sqlite3_str_appendf(
      sql,
      "  UPDATE \"%w_entry\" SET node = (\n"
      "    WITH RECURSIVE up(level, root, below) AS (\n"
      "      SELECT 0, hash, x'' FROM \"%w_entry\" WHERE seq = NEW.seq - 1\n"
      "      UNION ALL\n"
      "      SELECT level + 1,\n"
      "             merkle_node_hash((SELECT iif(level = 0, hash,\n"
      "                                      substr(node, 32 * level - 31, "
      "32))\n"
      "                                 FROM \"%w_entry\"\n"
      "                                WHERE seq = NEW.seq - 1 - (1 << "
      "level)),\n"
      "                              root),\n"
      "             iif(level = 0, x'', CAST(below || root AS BLOB))\n"
      "        FROM up WHERE (NEW.seq - 1) %% (2 << level) = 0)\n"
      "    SELECT CAST(below || root AS BLOB) FROM up\n"
      "     ORDER BY level DESC LIMIT 1)\n"
      "   WHERE seq = NEW.seq - 1 AND seq %% 2 = 0 AND node IS NULL;\n"
      "END",
      name, name, name);
  return hf_str_finish(sql, err);
}

static char *objects_update_trigger(const LedgerDef *def, const char *name,
                                    HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i;
  sqlite3_str_appendf(
      sql,
      "\"%w_entry_update\" BEFORE UPDATE ON \"%w_entry\"\n"
      "WHEN (OLD.node IS NULL AND OLD.seq %% 2 = 0 AND NEW.seq IS OLD.seq\n"
      "      AND NEW.at IS OLD.at AND NEW.hash IS OLD.hash",
      name, name);
  for (i = 0; i < def->columns; i++) {
    const LedgerColumn *column = &def->column[i];
    sqlite3_str_appendf(sql, "\n      AND NEW.\"%w\" IS OLD.\"%w\"",
                        column->name, column->name);
    if (column->kind != 0) continue;
    sqlite3_str_appendf(sql, " AND typeof(NEW.\"%w\") = typeof(OLD.\"%w\")",
                        column->name, column->name);
  }
  sqlite3_str_appendf(sql,
                      ") IS NOT 1\n"
                      "BEGIN\n"
                      "  SELECT RAISE(ABORT, 'ledger %q is append-only');\n"
                      "END",
                      name);
  return hf_str_finish(sql, err);
}

static char *objects_format(HfError *err, const char *format, ...) {
  va_list args;
  char *text;
  va_start(args, format);
  text = sqlite3_vmprintf(format, args);
  va_end(args);
  if (text == NULL) hf_fail(err, SQLITE_NOMEM, NULL);
  return text;
}

/* ---- the list ------------------------------------------------------------ */

/* Take ownership of sql and enter the object "<name>_<suffix>". */
static int objects_add(LedgerObjects *list, LedgerObjectKind kind,
                       const char *name, const char *suffix,
                       const char *table_suffix, char *sql, HfError *err) {
  LedgerObject *object;
  if (list->count == list->room) {
    int room = list->room ? 2 * list->room : 16;
    LedgerObject *more =
        sqlite3_realloc64(list->object, sizeof(*more) * (sqlite3_uint64)room);
    if (more == NULL) {
      sqlite3_free(sql);
      return hf_fail(err, SQLITE_NOMEM, NULL);
    }
    list->object = more;
    list->room = room;
  }
  object = &list->object[list->count++];
  object->kind = kind;
  object->sql = sql;
  object->name = objects_format(err, "%s_%s", name, suffix);
  object->table = objects_format(err, "%s_%s", name, table_suffix);
  return err->rc;
}

static int objects_add_config_triggers(LedgerObjects *list, const char *name,
                                       HfError *err) {
  static const char *const verb[] = {"INSERT", "UPDATE", "DELETE"};
  static const char *const suffix[] = {"config_insert", "config_update",
                                       "config_delete"};
  int i;
  for (i = 0; i < 3 && err->rc == SQLITE_OK; i++) {
    objects_add(list, LEDGER_TRIGGER, name, suffix[i], "config",
                objects_format(err,
                               "\"%w_%s\" BEFORE %s ON \"%w_config\"\n"
                               "BEGIN\n"
                               "  SELECT RAISE(ABORT, 'ledger %q: its "
                               "configuration is fixed');\n"
                               "END",
                               name, suffix[i], verb[i], name, name),
                err);
  }
  return err->rc;
}

static int objects_add_indexes(LedgerObjects *list, const LedgerDef *def,
                               const char *name, HfError *err) {
  int i;
  for (i = 0; i < def->columns && err->rc == SQLITE_OK; i++) {
    char *suffix;
    if (!def->column[i].indexed) continue;
    suffix = objects_format(err, "entry_%s", def->column[i].name);
    if (suffix == NULL) break;
    objects_add(list, LEDGER_INDEX, name, suffix, "entry",
                objects_format(err, "\"%w_%w\" ON \"%w_entry\"(\"%w\")", name,
                               suffix, name, def->column[i].name),
                err);
    sqlite3_free(suffix);
  }
  return err->rc;
}

int ledger_objects_make(HfLedger *ledger, const char *name,
                        const LedgerConfig *config, LedgerObjects *out,
                        HfError *err) {
  const LedgerDef *def = &ledger->def;
  char hex[2 * HF_SHA256_SIZE + 1];
  sqlite3_int64 id = 0;
  memset(out, 0, sizeof(*out));
  hf_hex(config->genesis, HF_SHA256_SIZE, hex);
  if (ledger_id(ledger->conn, config->genesis, name, &id, err) != SQLITE_OK) {
    return err->rc;
  }
  objects_add(out, LEDGER_TABLE, name, "config", "config",
              objects_format(err,
                             "\"%w_config\"(\n"
                             "  key TEXT PRIMARY KEY NOT NULL,\n"
                             "  value ANY NOT NULL\n"
                             ") STRICT, WITHOUT ROWID",
                             name),
              err);
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TABLE, name, "entry", "entry",
                objects_entry_table(def, name, err), err);
  }
  if (err->rc == SQLITE_OK) objects_add_indexes(out, def, name, err);
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TRIGGER, name, "entry_insert", "entry",
                objects_insert_trigger(def, name, hex, id, err), err);
  }
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TRIGGER, name, "entry_update", "entry",
                objects_update_trigger(def, name, err), err);
  }
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TRIGGER, name, "entry_delete", "entry",
                objects_format(err,
                               "\"%w_entry_delete\" BEFORE DELETE ON "
                               "\"%w_entry\"\n"
                               "BEGIN\n"
                               "  SELECT RAISE(ABORT, 'ledger %q is "
                               "append-only');\n"
                               "END",
                               name, name, name),
                err);
  }
  if (err->rc == SQLITE_OK) objects_add_config_triggers(out, name, err);
  return err->rc;
}

void ledger_objects_clear(LedgerObjects *objects) {
  int i;
  for (i = 0; i < objects->count; i++) {
    sqlite3_free(objects->object[i].name);
    sqlite3_free(objects->object[i].table);
    sqlite3_free(objects->object[i].sql);
  }
  sqlite3_free(objects->object);
  memset(objects, 0, sizeof(*objects));
}

const char *ledger_object_verb(LedgerObjectKind kind) {
  switch (kind) {
    case LEDGER_TABLE:
      return "CREATE TABLE ";
    case LEDGER_INDEX:
      return "CREATE INDEX ";
    default:
      return "CREATE TRIGGER ";
  }
}

/* ---- creation, removal, renaming ----------------------------------------- */

/* Create the objects of the given kinds (a mask of 1<<kind). */
static int objects_run(HfLedger *ledger, const LedgerObjects *list,
                       unsigned kinds, HfError *err) {
  int i;
  for (i = 0; i < list->count && err->rc == SQLITE_OK; i++) {
    const LedgerObject *object = &list->object[i];
    if (!(kinds >> object->kind & 1)) continue;
    hf_exec(ledger->db, err, "%s\"%w\".%s", ledger_object_verb(object->kind),
            ledger->schema, object->sql);
    if (object->kind == LEDGER_TRIGGER) {
      hf_guard_record(ledger->conn, ledger->schema, object->name, object->table,
                      "ledger", err);
    }
  }
  return err->rc;
}

static int objects_write_config(HfLedger *ledger, const LedgerConfig *config,
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

static int objects_check_encoding(HfLedger *ledger, HfError *err) {
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

int ledger_objects_create(HfLedger *ledger, HfError *err) {
  LedgerConfig config = {NULL, {0}};
  LedgerObjects list;
  HfError ignored = {SQLITE_OK, NULL};
  memset(&list, 0, sizeof(list));
  if (objects_check_encoding(ledger, err) != SQLITE_OK) return err->rc;
  config.origin = ledger->def.origin
                      ? objects_format(err, "%s", ledger->def.origin)
                      : objects_format(err, "holdfast/%s", ledger->name);
  if (config.origin == NULL) return err->rc;
  if (ledger_genesis(ledger->conn, config.origin, ledger->def.schema_text,
                     config.genesis, err) == SQLITE_OK &&
      ledger_objects_make(ledger, ledger->name, &config, &list, err) ==
          SQLITE_OK) {
    int i, made = 0;
    for (i = 0; i < list.count && list.object[i].kind == LEDGER_TABLE; i++) {
      hf_exec(ledger->db, err, "CREATE TABLE \"%w\".%s", ledger->schema,
              list.object[i].sql);
      if (err->rc != SQLITE_OK) break;
      made++;
    }
    objects_write_config(ledger, &config, err);
    objects_run(ledger, &list, 1u << LEDGER_INDEX | 1u << LEDGER_TRIGGER, err);
    /* Inside a transaction a failed CREATE VIRTUAL TABLE does not undo what
    ** its module did: leave nothing behind. */
    for (i = 0; err->rc != SQLITE_OK && i < made; i++) {
      hf_exec(ledger->db, &ignored, "DROP TABLE IF EXISTS \"%w\".\"%w\"",
              ledger->schema, list.object[i].name);
      hf_guard_forget(ledger->conn, ledger->schema, list.object[i].name,
                      &ignored);
      hf_error_clear(&ignored);
    }
  }
  ledger_objects_clear(&list);
  ledger_config_clear(&config);
  return err->rc;
}

int ledger_objects_drop(HfLedger *ledger, HfError *err) {
  static const char *const suffix[] = {"entry", "config"};
  int i;
  for (i = 0; i < 2; i++) {
    char *table = objects_format(err, "%s_%s", ledger->name, suffix[i]);
    if (table == NULL) break;
    hf_exec(ledger->db, err, "DROP TABLE IF EXISTS \"%w\".\"%w\"",
            ledger->schema, table);
    hf_guard_forget(ledger->conn, ledger->schema, table, err);
    sqlite3_free(table);
  }
  return err->rc;
}

int ledger_objects_rename(HfLedger *ledger, const char *to, HfError *err) {
  static const char *const suffix[] = {"entry", "config"};
  static const char *const verb[] = {"TABLE", "INDEX", "TRIGGER"};
  LedgerConfig config;
  LedgerObjects before, after;
  int i;
  memset(&before, 0, sizeof(before));
  memset(&after, 0, sizeof(after));
  if (ledger_config_read(ledger, &config, err) != SQLITE_OK) return err->rc;
  ledger_objects_make(ledger, ledger->name, &config, &before, err);
  if (err->rc == SQLITE_OK) {
    ledger_objects_make(ledger, to, &config, &after, err);
  }
  for (i = before.count - 1; i >= 0 && err->rc == SQLITE_OK; i--) {
    const LedgerObject *object = &before.object[i];
    if (object->kind == LEDGER_TABLE) continue;
    hf_exec(ledger->db, err, "DROP %s IF EXISTS \"%w\".\"%w\"",
            verb[object->kind], ledger->schema, object->name);
  }
  /* Users' policy triggers on the entry table follow the rename. */
  for (i = 0; i < 2; i++) {
    char *table = objects_format(err, "%s_%s", ledger->name, suffix[i]);
    hf_exec(ledger->db, err, "ALTER TABLE \"%w\".\"%w\" RENAME TO \"%w_%s\"",
            ledger->schema, table, to, suffix[i]);
    if (table != NULL) {
      hf_guard_forget(ledger->conn, ledger->schema, table, err);
    }
    sqlite3_free(table);
  }
  objects_run(ledger, &after, 1u << LEDGER_INDEX | 1u << LEDGER_TRIGGER, err);
  ledger_objects_clear(&before);
  ledger_objects_clear(&after);
  ledger_config_clear(&config);
  return err->rc;
}
