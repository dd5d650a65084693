/*
** The tables, indexes and triggers behind a ledger, as SQL text.
**
** One place makes the text; creation runs it, renaming makes it anew, and
** verification compares it with what sqlite_schema holds.  The entry table is
** no shadow table: from SQLite 3.44 on a trigger on a shadow table makes the
** whole database unreadable under DEFENSIVE.  So its triggers are its walls:
**
**   insert   the module's own appends pass by comparing two integers.  A
**            direct INSERT is sent through the view <name>_direct, whose
**            trigger holds the rules: the next seq, a good time, the right
**            hash.  In a trigger of their own because SQLite clears the
**            registers of a whole trigger for each row, needed or not.  Needs
**            the extension, so without it every INSERT fails.
**   update   pure SQL.  The one UPDATE let through completes `node` of the
**            newest entry after a direct INSERT, and changes nothing else;
**   node     another trigger then checks what it writes.
**   delete   pure SQL.
**
** The table of checkpoints has walls like these; that of the configuration is
** closed.
*/
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "ledger/ledger.h"

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
                                    sqlite3_int64 id, HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i;
  sqlite3_str_appendf(sql,
                      "\"%w_entry_insert\" BEFORE INSERT ON \"%w_entry\"\n"
                      "WHEN ledger_pending(%lld, NEW.seq) IS NOT 1\n"
                      "BEGIN\n"
                      "  INSERT INTO \"%w_direct\" VALUES (NEW.seq, NEW.at",
                      name, name, id, name);
  for (i = 0; i < def->columns; i++) {
    sqlite3_str_appendf(sql, ", NEW.\"%w\"", def->column[i].name);
  }
  sqlite3_str_appendall(sql, ", NEW.hash, NEW.node);\nEND");
  return hf_str_finish(sql, err);
}

/* The roots of the subtrees that an entry completes, one behind the other:
** level by level, the left sibling ends 2^level entries before it. */
static void objects_node(sqlite3_str *sql, const char *name, const char *seq) {
  sqlite3_str_appendf(
      sql,
      "   (WITH RECURSIVE up(level, root, below) AS (\n"
      "      SELECT 0, hash, x'' FROM \"%w_entry\" WHERE seq = %s\n"
      "      UNION ALL\n"
      "      SELECT level + 1,\n"
      "             merkle_node_hash((SELECT iif(level = 0, hash,\n"
      "                                      substr(node, 32 * level - 31, "
      "32))\n"
      "                                 FROM \"%w_entry\"\n"
      "                                WHERE seq = %s - (1 << level)),\n"
      "                              root),\n"
      "             iif(level = 0, x'', CAST(below || root AS BLOB))\n"
      "        FROM up WHERE (%s) %% (2 << level) = 0)\n"
      "    SELECT CAST(below || root AS BLOB) FROM up\n"
      "     ORDER BY level DESC LIMIT 1)\n",
      name, seq, name, seq, seq);
}

static char *objects_direct_trigger(const LedgerDef *def, const char *name,
                                    const char *genesis_hex, HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql,
                      "\"%w_direct_insert\" INSTEAD OF INSERT ON "
                      "\"%w_direct\"\n"
                      "BEGIN\n",
                      name, name);
  objects_insert_rules(sql, def, name, genesis_hex);
  /* The previous entry's node, if that was inserted directly, too. */
  sqlite3_str_appendf(sql, "  UPDATE \"%w_entry\" SET node =\n", name);
  objects_node(sql, name, "NEW.seq - 1");
  sqlite3_str_appendall(
      sql, "   WHERE seq = NEW.seq - 1 AND seq % 2 = 0 AND node IS NULL;\nEND");
  return hf_str_finish(sql, err);
}

/* Only the right node completes an entry.  Apart from the trigger in pure SQL,
** and only for an UPDATE of node, since it needs the extension. */
static char *objects_node_trigger(const char *name, HfError *err) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  sqlite3_str_appendf(sql,
                      "\"%w_entry_node\" BEFORE UPDATE OF node ON "
                      "\"%w_entry\"\n"
                      "WHEN NEW.node IS NOT\n",
                      name, name);
  objects_node(sql, name, "OLD.seq");
  sqlite3_str_appendf(sql,
                      "BEGIN\n"
                      "  SELECT RAISE(ABORT, 'ledger %q is append-only');\n"
                      "END",
                      name);
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
  object->name = hf_format(err, "%s_%s", name, suffix);
  object->table = hf_format(err, "%s_%s", name, table_suffix);
  return err->rc;
}

/* The triggers that fix a table but for what `allowed`, the condition of its
** INSERT trigger, lets through. */
static int objects_add_fixed(LedgerObjects *list, const char *name,
                             const char *table, const char *allowed,
                             const char *words, HfError *err) {
  static const char *const verb[] = {"INSERT", "UPDATE", "DELETE"};
  static const char *const suffix[] = {"insert", "update", "delete"};
  int i;
  for (i = 0; i < 3 && err->rc == SQLITE_OK; i++) {
    char *trigger = hf_format(err, "%s_%s", table, suffix[i]);
    if (trigger == NULL) break;
    objects_add(list, LEDGER_TRIGGER, name, trigger, table,
                hf_format(err,
                          "\"%w_%s\" BEFORE %s ON \"%w_%s\"\n"
                          "%sBEGIN\n"
                          "  SELECT RAISE(ABORT, 'ledger %q: %s');\n"
                          "END",
                          name, trigger, verb[i], name, table,
                          i == 0 ? allowed : "", name, words),
                err);
    sqlite3_free(trigger);
  }
  return err->rc;
}

/* A checkpoint comes from ledger_checkpoint() alone, so that none is there that
** was not true: its id, negative, is what the module says it is inserting. */
static int objects_add_checkpoint_triggers(LedgerObjects *list,
                                           const char *name, sqlite3_int64 id,
                                           HfError *err) {
  char *allowed =
      hf_format(err, "WHEN ledger_pending(%lld, -NEW.id) IS NOT 1\n", id);
  if (allowed != NULL) {
    objects_add_fixed(list, name, "checkpoint", allowed,
                      "checkpoints are made by ledger_checkpoint() and never "
                      "changed",
                      err);
  }
  sqlite3_free(allowed);
  return err->rc;
}

static int objects_add_indexes(LedgerObjects *list, const LedgerDef *def,
                               const char *name, HfError *err) {
  int i;
  for (i = 0; i < def->columns && err->rc == SQLITE_OK; i++) {
    char *suffix;
    if (!def->column[i].indexed) continue;
    suffix = hf_format(err, "entry_%s", def->column[i].name);
    if (suffix == NULL) break;
    objects_add(
        list, LEDGER_INDEX, name, suffix, "entry",
        hf_format(err, " ON \"%w_entry\"(\"%w\")", name, def->column[i].name),
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
              hf_format(err,
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
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TABLE, name, "checkpoint", "checkpoint",
                hf_format(err,
                          "\"%w_checkpoint\"(\n"
                          "  id INTEGER PRIMARY KEY,\n"
                          "  at INTEGER NOT NULL,\n"
                          "  size INTEGER NOT NULL,\n"
                          "  verifier TEXT NOT NULL,\n"
                          "  note TEXT NOT NULL\n"
                          ") STRICT",
                          name),
                err);
  }
  if (err->rc == SQLITE_OK) objects_add_indexes(out, def, name, err);
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TRIGGER, name, "entry_insert", "entry",
                objects_insert_trigger(def, name, id, err), err);
  }
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_VIEW, name, "direct", "direct",
                hf_format(err,
                          "\"%w_direct\" AS SELECT * FROM "
                          "\"%w_entry\"",
                          name, name),
                err);
  }
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TRIGGER, name, "direct_insert", "direct",
                objects_direct_trigger(def, name, hex, err), err);
  }
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TRIGGER, name, "entry_update", "entry",
                objects_update_trigger(def, name, err), err);
  }
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TRIGGER, name, "entry_node", "entry",
                objects_node_trigger(name, err), err);
  }
  if (err->rc == SQLITE_OK) {
    objects_add(out, LEDGER_TRIGGER, name, "entry_delete", "entry",
                hf_format(err,
                          "\"%w_entry_delete\" BEFORE DELETE ON "
                          "\"%w_entry\"\n"
                          "BEGIN\n"
                          "  SELECT RAISE(ABORT, 'ledger %q is "
                          "append-only');\n"
                          "END",
                          name, name, name),
                err);
  }
  if (err->rc == SQLITE_OK) {
    objects_add_fixed(out, name, "config", "", "its configuration is fixed",
                      err);
  }
  if (err->rc == SQLITE_OK) {
    objects_add_checkpoint_triggers(out, name, id, err);
  }
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
    case LEDGER_VIEW:
      return "CREATE VIEW ";
    default:
      return "CREATE TRIGGER ";
  }
}
