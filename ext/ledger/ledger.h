/*
** The ledger: an append-only, hash-chained virtual table.
**
**   ledger_schema.c     the declaration: columns and options
**   ledger_objects.c    SQL text of the tables, indexes and triggers behind it
**   ledger_create.c     making, dropping and renaming them; identity
**   ledger_leaf.c       the bytes of an entry and their hash
**   ledger_store.c      the head, the frontier and the nodes in the file
**   ledger_append.c     the append
**   ledger_query.c      SELECT: constraint push-down
**   ledger_cursor.c     SELECT: cursors
**   ledger_table.c      the virtual table itself
**   ledger_checkpoint.c signed checkpoints
**   ledger_verify.c     every check there is, as a stream of findings
**   ledger_report.c     ledger_verify (table-valued) and ledger_report
**   ledger_functions.c  ledger_size, ledger_head, ledger_root, …
**   ledger_proof.c      inclusion and consistency proofs, and their checks
**   merkle_functions.c  merkle_leaf_hash, merkle_node_hash, merkle_root
*/
#ifndef HF_LEDGER_LEDGER_H
#define HF_LEDGER_LEDGER_H

#include "core/canonical.h"
#include "core/digest.h"
#include "core/merkle.h"
#include "sqlite/hf.h"

/* attest_canonical() takes a tag, seq, prev_hash, at and the columns, and
** SQLite's default limit is 127 arguments. */
#define LEDGER_MAX_COLUMNS 120

/* An append in a trigger of an append in a trigger …: deeper is a mistake. */
#define LEDGER_MAX_DEPTH 16

/* How far an explicit `at` may lie ahead of the clock. */
#define LEDGER_AHEAD_MS 60000

#define LEDGER_TAG "holdfast.entry.v1"
#define LEDGER_GENESIS_TAG "holdfast.ledger.v1"

/* ---- declaration (ledger_schema.c) --------------------------------------- */

typedef struct LedgerColumn {
  char *name;        /* without quotes */
  char *type;        /* in capitals, as declared */
  char *constraints; /* for the backing table, "" or starts with a space */
  char *dflt;        /* expression of the DEFAULT, or NULL */
  int kind;          /* SQLITE_INTEGER, _FLOAT, _TEXT, _BLOB; 0 is ANY */
  int unique;        /* a lookup by it finds at most one entry */
  int indexed;
} LedgerColumn;

/* A UNIQUE rule, of a column or of the table. */
typedef struct LedgerUnique {
  char *columns;   /* a, b */
  char *predicate; /* "a" = NEW."a" AND "b" = NEW."b" */
} LedgerUnique;

typedef struct LedgerDef {
  LedgerColumn *column;
  int columns;
  LedgerUnique *unique;
  int uniques;
  char *constraints; /* table CHECK and UNIQUE, each preceded by a comma */
  char *origin;      /* as declared, or NULL */
  char *schema_text; /* 'a TEXT,b INTEGER': part of the genesis */
  int drop_always;
  int clock_caller;
} LedgerDef;

/* Parse the arguments of CREATE VIRTUAL TABLE.  `name` is for messages. */
int ledger_def_parse(LedgerDef *def, const char *name, int argc,
                     const char *const *argv, HfError *err);
void ledger_def_clear(LedgerDef *def);

/* The statement for sqlite3_declare_vtab; sqlite3_free takes it back. */
char *ledger_def_declaration(const LedgerDef *def);

/* ---- one connected ledger ------------------------------------------------ */

typedef struct HfLedger {
  sqlite3_vtab base; /* must be first */
  sqlite3 *db;
  HfConn *conn; /* counted reference */
  char *schema; /* database it lives in */
  char *name;
  LedgerDef def;
  sqlite3_int64 id;  /* ledger_id(), or -1 until the first append */
  sqlite3_vfs *vfs;  /* the clock */
  sqlite3_int64 now; /* what it last said, INT64_MIN at first: a given time
                     ** before that needs no look at it */
  HfStmts stmts;

  /* SQL texts that are used often (ledger_store.c) */
  char *sql_head;
  char *sql_entry;
  char *sql_insert;
  char *sql_defaults; /* a value for each column, or NULL when there is none */
  char *sql_row;      /* at and the columns of entry ?1 */
  char *sql_scan;     /* seq, at, hash, node and the columns of all, in order */

  /* The end of the chain, valid within one write transaction and as long as
  ** nothing else wrote to the entry table; and kept for the next transaction,
  ** if the file's data version is then still the same. */
  int head_valid;
  int head_kept;
  unsigned head_version;
  unsigned head_generation; /* conn->generation when it was read */
  unsigned head_loads;      /* grows when it is read from the file */
  sqlite3_int64 head_at;
  unsigned char head_hash[HF_SHA256_SIZE];
  HfFrontier frontier; /* .size is the number of entries */

  struct HfLedger *next; /* in conn->ledgers */
} HfLedger;

enum { LEDGER_COL_SEQ = 0, LEDGER_COL_AT = 1, LEDGER_COL_FIRST = 2 };
#define ledger_col_prev(ledger) (LEDGER_COL_FIRST + (ledger)->def.columns)
#define ledger_col_hash(ledger) (ledger_col_prev(ledger) + 1)

/* ---- objects behind a ledger (ledger_objects.c) -------------------------- */

/* What the configuration table records, fixed at creation. */
typedef struct LedgerConfig {
  char *origin;
  unsigned char genesis[HF_SHA256_SIZE];
} LedgerConfig;

/* Read the configuration of the ledger from its file; SQLITE_CORRUPT_VTAB
** when it is missing or malformed. */
int ledger_config_read(HfLedger *ledger, LedgerConfig *config, HfError *err);
void ledger_config_clear(LedgerConfig *config);

/* SHA-256(0x00 || canonical('holdfast.ledger.v1', origin, schema)). */
int ledger_genesis(HfConn *conn, const char *origin, const char *schema_text,
                   unsigned char out[HF_SHA256_SIZE], HfError *err);

/* Number by which the insert trigger and the module recognise each other:
** from the genesis and the ledger's name, so that equal statements give equal
** files. */
int ledger_id(HfConn *conn, const unsigned char *genesis, const char *name,
              sqlite3_int64 *out, HfError *err);

/* Fill in ledger->id. */
int ledger_need_id(HfLedger *ledger, HfError *err);

typedef enum LedgerObjectKind {
  LEDGER_TABLE, /* tables and indexes stay when a ledger is renamed, */
  LEDGER_INDEX,
  LEDGER_VIEW, /* what follows is made anew */
  LEDGER_TRIGGER
} LedgerObjectKind;

/* One object of the file that belongs to a ledger. */
typedef struct LedgerObject {
  LedgerObjectKind kind;
  char *name;
  char *table; /* the table it is, or is on */
  char *sql;   /* what sqlite_schema must hold, from the name on; of an
               ** index, whose name may differ, from behind it */
} LedgerObject;

typedef struct LedgerObjects {
  LedgerObject *object; /* in the order of creation */
  int count;
  int room;
} LedgerObjects;

int ledger_objects_make(HfLedger *ledger, const char *name,
                        const LedgerConfig *config, LedgerObjects *out,
                        HfError *err);
void ledger_objects_clear(LedgerObjects *objects);

/* "CREATE TABLE " and so on. */
const char *ledger_object_verb(LedgerObjectKind kind);

/* What xCreate, xDestroy and xRename do to the file. */
int ledger_objects_create(HfLedger *ledger, HfError *err);
int ledger_objects_drop(HfLedger *ledger, HfError *err);
int ledger_objects_rename(HfLedger *ledger, const char *to, HfError *err);

/* ---- bytes of an entry (ledger_leaf.c) ----------------------------------- */

/* A column's value as it is stored, asked of SQLite once. */
typedef struct LedgerValue {
  int type; /* SQLITE_INTEGER, _FLOAT, _TEXT, _BLOB or _NULL */
  sqlite3_int64 integer;
  double real;      /* never -0.0 */
  const void *data; /* of a TEXT or BLOB: SQLite's */
  size_t size;
} LedgerValue;

/* What the column stores for a value of its kind or NULL.  SQLITE_OK or
** SQLITE_NOMEM. */
int ledger_value_read(const LedgerColumn *column, sqlite3_value *value,
                      LedgerValue *out);

/* The same for each column of the ledger. */
int ledger_values_read(HfLedger *ledger, sqlite3_value *const *value,
                       LedgerValue *out, HfError *err);

/* The leaf hash of an entry, by ledger->conn->sha.  value[i] is column i. */
int ledger_leaf_hash(HfLedger *ledger, sqlite3_int64 seq,
                     const unsigned char *prev, sqlite3_int64 at,
                     const LedgerValue *value, unsigned char *out,
                     HfError *err);

/* The bytes that it hashes as one block, which sqlite3_free takes back. */
int ledger_leaf_data(HfLedger *ledger, sqlite3_int64 seq,
                     const unsigned char *prev, sqlite3_int64 at,
                     const LedgerValue *value, unsigned char **out,
                     sqlite3_int64 *size, HfError *err);

/* ---- storage (ledger_store.c) -------------------------------------------- */

int ledger_store_prepare(HfLedger *ledger, HfError *err);

/* hf_stmt_take for a statement on the entry table.  A missing or altered table
** is corruption of the ledger, not a mistake in the caller's SQL. */
int ledger_take(HfLedger *ledger, const char *sql, HfStmt *out, HfError *err);

/* Read the head, under the write lock; make the root of a level of the
** frontier known. */
int ledger_load_head(HfLedger *ledger, HfError *err);
int ledger_load_level(HfLedger *ledger, HfFrontier *frontier, int level,
                      HfError *err);

/* ---- append (ledger_append.c) -------------------------------------------- */

/* Append an entry; argv[i] is what was given for column i of the table.
** *seq: the new entry's number. */
int ledger_append(HfLedger *ledger, sqlite3_value **argv, sqlite3_int64 *seq,
                  HfError *err);

/* ---- reading (ledger_store.c) -------------------------------------------- */

/* The number of the newest entry, 0 for none, as the connection sees it now;
** the hash of entry `size`, the genesis for 0; the root over that many. */
int ledger_read_size(HfLedger *ledger, sqlite3_int64 *size, HfError *err);
int ledger_read_head(HfLedger *ledger, sqlite3_int64 size, unsigned char *out,
                     HfError *err);
int ledger_read_root(HfLedger *ledger, sqlite3_int64 size, unsigned char *out,
                     HfError *err);

/* The root of the perfect subtree of `level` whose last entry is `end`. */
int ledger_read_subtree(HfLedger *ledger, sqlite3_int64 end, int level,
                        unsigned char *out, HfError *err);

/* ---- finding a ledger by name (ledger_table.c) --------------------------- */

/* A ledger found by name stays connected until ledger_unpin. */
typedef struct LedgerPin {
  HfLedger *ledger;
  sqlite3_stmt *stmt; /* holds the reference that keeps it connected */
} LedgerPin;

int ledger_pin(HfConn *conn, const char *text, LedgerPin *pin, HfError *err);
void ledger_unpin(LedgerPin *pin);

/* ---- SELECT (ledger_query.c, ledger_cursor.c) ---------------------------- */

#define ledger_is_number(type) \
  ((type) == SQLITE_INTEGER || (type) == SQLITE_FLOAT)

int ledger_best_index(sqlite3_vtab *vtab, sqlite3_index_info *info);
int ledger_open(sqlite3_vtab *vtab, sqlite3_vtab_cursor **out);
int ledger_close(sqlite3_vtab_cursor *base);
int ledger_filter(sqlite3_vtab_cursor *base, int idx_num, const char *idx_str,
                  int argc, sqlite3_value **argv);
int ledger_next(sqlite3_vtab_cursor *base);
int ledger_eof(sqlite3_vtab_cursor *base);
int ledger_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int i);
int ledger_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid);

/* ---- verification (ledger_verify.c) -------------------------------------- */

typedef struct LedgerFinding {
  const char *finding; /* static */
  sqlite3_int64 seq;   /* 0: of the ledger as a whole */
  char *object;        /* the trigger or table it is about, or NULL */
  char *detail;        /* sqlite3_free */
} LedgerFinding;

typedef struct LedgerVerify LedgerVerify;

/* What to verify.  Texts are the caller's, and not needed after the call; NULL
** stands for none. */
typedef struct LedgerScope {
  int structure;          /* only tables, indexes, triggers and configuration */
  const char *checkpoint; /* a signed note that was kept elsewhere */
  size_t checkpoint_size;
  const char *verifiers; /* keys of the log and of witnesses, between spaces */
  size_t verifiers_size;
} LedgerScope;

/* SQLITE_ERROR for verifiers that are none. */
int ledger_verify_open(HfLedger *ledger, const LedgerScope *scope,
                       LedgerVerify **out, HfError *err);

/* SQLITE_ROW with a finding, whose detail stays the verifier's until the next
** call; SQLITE_DONE at the end; or an error. */
int ledger_verify_next(LedgerVerify *verify, const LedgerFinding **finding,
                       HfError *err);
void ledger_verify_close(LedgerVerify *verify);

/* Totals, final after SQLITE_DONE.  The root and head are those of the hashes
** as they are stored. */
typedef struct LedgerTotals {
  sqlite3_int64 entries;  /* rows seen */
  sqlite3_int64 checked;  /* rows whose hash was recomputed and compared */
  sqlite3_int64 findings; /* reported so far */
} LedgerTotals;
const LedgerTotals *ledger_verify_totals(const LedgerVerify *verify);

/* How strong the proof is, if there are no findings. */
typedef enum LedgerAssurance {
  LEDGER_SELF_CONSISTENT, /* nothing outside the file was asked */
  LEDGER_SIGNED,          /* a stored checkpoint is signed by the key given */
  LEDGER_ANCHORED,        /* a checkpoint was given */
  LEDGER_WITNESSED        /* and a witness whose key was given cosigned it */
} LedgerAssurance;

/* The checkpoint on which the assurance rests: the one given, or else the
** newest that is stored, of those signed by a key that was given.  Final after
** SQLITE_DONE. */
typedef struct LedgerAnchor {
  LedgerAssurance assurance;
  int there;        /* there is one */
  int given;        /* by the caller; else it is stored */
  sqlite3_int64 at; /* when it was made, as far as that is known, ms */
  sqlite3_int64 size;
  unsigned char root[HF_SHA256_SIZE];
  char *signed_by; /* JSON array of the keys given whose signatures hold */
} LedgerAnchor;
const LedgerAnchor *ledger_verify_anchor(const LedgerVerify *verify);

/* Of a ledger that records tables, which ones, as JSON (verify_track.c);
** NULL of another one. */
char *verify_tracked_json(HfLedger *ledger, HfError *err);

/* ---- registration -------------------------------------------------------- */

int ledger_table_register(HfConn *conn);
int ledger_report_register(HfConn *conn);
int ledger_functions_register(HfConn *conn);
int ledger_proof_register(HfConn *conn);
int ledger_checkpoint_register(HfConn *conn);
int hf_merkle_register(HfConn *conn);

#endif
