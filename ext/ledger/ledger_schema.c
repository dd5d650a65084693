/*
** The declaration of a ledger: the arguments of CREATE VIRTUAL TABLE.
**
** An argument is a column (name, type, constraints), a table constraint
** (CHECK or UNIQUE with a parenthesis) or an option (key = value).  The
** constraints go to the backing table as they were written; this file only
** finds where each begins and ends, and refuses what a ledger cannot honour,
** such as ON CONFLICT REPLACE.
*/
#include <assert.h>
#include <string.h>

#include "ledger/ledger.h"

/* ---- tokens -------------------------------------------------------------- */

enum {
  TOKEN_END,
  TOKEN_WORD,
  TOKEN_QUOTED,
  TOKEN_STRING,
  TOKEN_NUMBER,
  TOKEN_OTHER,
  TOKEN_BAD
};

typedef struct Token {
  int type;
  const char *text;
  int size;
} Token;

static int schema_is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

static int schema_is_digit(char c) { return c >= '0' && c <= '9'; }

static int schema_is_word(char c) {
  return schema_is_digit(c) || (c >= 'a' && c <= 'z') ||
         (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         (unsigned char)c >= 0x80;
}

/* Length of the white space and comments at z. */
static int schema_skip(const char *z) {
  int n = 0;
  for (;;) {
    if (schema_is_space(z[n])) {
      n++;
    } else if (z[n] == '-' && z[n + 1] == '-') {
      while (z[n] != 0 && z[n] != '\n') n++;
    } else if (z[n] == '/' && z[n + 1] == '*') {
      n += 2;
      while (z[n] != 0 && !(z[n] == '*' && z[n + 1] == '/')) n++;
      if (z[n] != 0) n += 2;
    } else {
      return n;
    }
  }
}

/* Length of the quoted thing at z, both quotes included; 0: it never ends. */
static int schema_quoted(const char *z) {
  int end = z[0] == '[' ? ']' : z[0];
  int n = 1;
  for (; z[n] != 0; n++) {
    if (z[n] != end) continue;
    if (end != ']' && z[n + 1] == end) {
      n++;
      continue;
    }
    return n + 1;
  }
  return 0;
}

/* The token at *z; *z moves behind it. */
static Token schema_token(const char **z) {
  Token token = {TOKEN_END, NULL, 0};
  const char *p = *z + schema_skip(*z);
  int n = 0;
  token.text = p;
  if (*p == 0) {
    n = 0;
  } else if (*p == '\'' || *p == '"' || *p == '`' || *p == '[') {
    token.type = *p == '\'' ? TOKEN_STRING : TOKEN_QUOTED;
    n = schema_quoted(p);
    if (n == 0) token.type = TOKEN_BAD;
  } else if (schema_is_digit(*p) || (*p == '.' && schema_is_digit(p[1]))) {
    token.type = TOKEN_NUMBER;
    while (schema_is_word(p[n]) || p[n] == '.' ||
           ((p[n] == '+' || p[n] == '-') && (p[n - 1] | 32) == 'e')) {
      n++;
    }
  } else if ((*p | 32) == 'x' && p[1] == '\'') {
    token.type = TOKEN_STRING;
    n = schema_quoted(p + 1);
    if (n == 0) token.type = TOKEN_BAD;
    n++;
  } else if (schema_is_word(*p)) {
    token.type = TOKEN_WORD;
    while (schema_is_word(p[n])) n++;
  } else {
    token.type = TOKEN_OTHER;
    n = 1;
  }
  token.size = n;
  *z = p + n;
  return token;
}

static int schema_is(Token token, const char *word) {
  int n = (int)strlen(word);
  return (token.type == TOKEN_WORD || token.type == TOKEN_OTHER) &&
         token.size == n && sqlite3_strnicmp(token.text, word, n) == 0;
}

static Token schema_peek(const char *z) { return schema_token(&z); }

/* Move *z from behind an opening parenthesis to behind the closing one. */
static int schema_close(const char **z) {
  int depth = 1;
  while (depth > 0) {
    Token token = schema_token(z);
    if (token.type == TOKEN_END || token.type == TOKEN_BAD) return 0;
    if (schema_is(token, "(")) depth++;
    if (schema_is(token, ")")) depth--;
  }
  return 1;
}

/* A copy of a name or string without its quotes; NULL: out of memory. */
static char *schema_unquote(Token token) {
  char *out = sqlite3_malloc64((sqlite3_uint64)token.size + 1);
  int end = token.text[0] == '[' ? ']' : token.text[0];
  int i, n = 0;
  if (out == NULL) return NULL;
  if (token.type == TOKEN_WORD || token.type == TOKEN_NUMBER) {
    memcpy(out, token.text, (size_t)token.size);
    out[token.size] = 0;
    return out;
  }
  for (i = 1; i < token.size - 1; i++) {
    if (token.text[i] == end && end != ']') i++;
    out[n++] = token.text[i];
  }
  out[n] = 0;
  return out;
}

/* ---- options ------------------------------------------------------------- */

typedef struct SchemaParse {
  LedgerDef *def;
  const char *name;       /* of the ledger, for messages */
  sqlite3_str *table;     /* table constraints */
  sqlite3_str *schema;    /* the text in the genesis */
  unsigned options_given; /* bit i: option i was given */
  HfError *err;
} SchemaParse;

static int schema_option_drop(LedgerDef *def, const char *value) {
  if (sqlite3_stricmp(value, "empty") == 0) def->drop_always = 0;
  else if (sqlite3_stricmp(value, "always") == 0) def->drop_always = 1;
  else return 0;
  return 1;
}

static int schema_option_clock(LedgerDef *def, const char *value) {
  if (sqlite3_stricmp(value, "system") == 0) def->clock_caller = 0;
  else if (sqlite3_stricmp(value, "caller") == 0) def->clock_caller = 1;
  else return 0;
  return 1;
}

/* The origin is a line of every checkpoint to come, and a key name there: the
** signed-note format allows no space and no '+' in it. */
static int schema_option_origin(LedgerDef *def, const char *value) {
  const char *p;
  if (value[0] == 0) return 0;
  for (p = value; *p != 0; p++) {
    if ((unsigned char)*p <= ' ' || *p == '+' || *p == 0x7f) return 0;
  }
  sqlite3_free(def->origin);
  def->origin = sqlite3_mprintf("%s", value);
  return def->origin != NULL ? 1 : -1;
}

static const struct {
  const char *key;
  int (*set)(LedgerDef *, const char *); /* 1 done, 0 refused, -1 no memory */
  const char *allowed;
} schema_options[] = {
    {"origin", schema_option_origin, "a name without spaces and '+'"},
    {"drop", schema_option_drop, "'empty' or 'always'"},
    {"clock", schema_option_clock, "'system' or 'caller'"},
};
#define SCHEMA_OPTIONS (int)(sizeof(schema_options) / sizeof(*schema_options))

static int schema_option(SchemaParse *p, Token key, const char *rest) {
  Token value = schema_token(&rest);
  char *text;
  int i, done;
  if ((value.type != TOKEN_STRING && value.type != TOKEN_QUOTED &&
       value.type != TOKEN_WORD) ||
      schema_peek(rest).type != TOKEN_END) {
    return hf_fail(p->err, SQLITE_ERROR,
                   "ledger %s: option %.*s needs one quoted value", p->name,
                   key.size, key.text);
  }
  for (i = 0; i < SCHEMA_OPTIONS; i++) {
    if (schema_is(key, schema_options[i].key)) break;
  }
  if (i == SCHEMA_OPTIONS) {
    return hf_fail(p->err, SQLITE_ERROR,
                   "ledger %s: unknown option %.*s; the options are origin, "
                   "drop and clock",
                   p->name, key.size, key.text);
  }
  if (p->options_given & (1u << i)) {
    return hf_fail(p->err, SQLITE_ERROR, "ledger %s: option %s is given twice",
                   p->name, schema_options[i].key);
  }
  p->options_given |= 1u << i;
  text = schema_unquote(value);
  done = text != NULL ? schema_options[i].set(p->def, text) : -1;
  if (done < 0) {
    hf_fail(p->err, SQLITE_NOMEM, NULL);
  } else if (done == 0) {
    hf_fail(p->err, SQLITE_ERROR, "ledger %s: %s = '%s' is not %s", p->name,
            schema_options[i].key, text, schema_options[i].allowed);
  }
  sqlite3_free(text);
  return p->err->rc;
}

/* ---- columns ------------------------------------------------------------- */

static const struct {
  const char *type;
  int kind;
} schema_types[] = {
    {"INTEGER", SQLITE_INTEGER}, {"INT", SQLITE_INTEGER},
    {"REAL", SQLITE_FLOAT},      {"TEXT", SQLITE_TEXT},
    {"BLOB", SQLITE_BLOB},       {"ANY", 0},
};

static int schema_type(SchemaParse *p, LedgerColumn *column, Token token) {
  size_t i;
  for (i = 0; i < sizeof(schema_types) / sizeof(*schema_types); i++) {
    if (!schema_is(token, schema_types[i].type)) continue;
    column->kind = schema_types[i].kind;
    column->type = sqlite3_mprintf("%s", schema_types[i].type);
    if (column->type == NULL) return hf_fail(p->err, SQLITE_NOMEM, NULL);
    return SQLITE_OK;
  }
  return hf_fail(p->err, SQLITE_ERROR,
                 "ledger %s: column %s needs a type: INTEGER, REAL, TEXT, BLOB "
                 "or ANY",
                 p->name, column->name);
}

/* Behind DEFAULT: a literal, a signed number or an expression in brackets. */
static int schema_default(const char **z) {
  static const char *const literal[] = {"NULL",         "TRUE",
                                        "FALSE",        "CURRENT_DATE",
                                        "CURRENT_TIME", "CURRENT_TIMESTAMP"};
  Token token = schema_token(z);
  size_t i;
  if (schema_is(token, "(")) return schema_close(z);
  if (schema_is(token, "+") || schema_is(token, "-")) {
    return schema_token(z).type == TOKEN_NUMBER;
  }
  for (i = 0; i < sizeof(literal) / sizeof(*literal); i++) {
    if (schema_is(token, literal[i])) return 1;
  }
  return token.type == TOKEN_STRING || token.type == TOKEN_NUMBER;
}

static int schema_constraints(SchemaParse *p, LedgerColumn *column,
                              const char *z) {
  sqlite3_str *all = sqlite3_str_new(NULL);
  for (;;) {
    Token word = schema_token(&z);
    int good = 1, kept = 1;
    if (word.type == TOKEN_END) break;
    if (schema_is(word, "NOT")) {
      good = schema_is(schema_token(&z), "NULL");
    } else if (schema_is(word, "CHECK")) {
      good = schema_is(schema_token(&z), "(") && schema_close(&z);
    } else if (schema_is(word, "DEFAULT")) {
      const char *value = z + schema_skip(z);
      good = schema_default(&z) && column->dflt == NULL;
      if (good) {
        column->dflt = sqlite3_mprintf("%.*s", (int)(z - value), value);
        if (column->dflt == NULL) hf_fail(p->err, SQLITE_NOMEM, NULL);
      }
    } else if (schema_is(word, "UNIQUE")) {
      column->unique = 1;
    } else if (schema_is(word, "INDEXED")) {
      column->indexed = 1;
      kept = 0;
    } else {
      good = 0;
    }
    if (!good) {
      hf_fail(p->err, SQLITE_ERROR,
              "ledger %s: column %s: cannot understand \"%.*s\"; a column may "
              "have NOT NULL, DEFAULT, CHECK, UNIQUE and INDEXED",
              p->name, column->name, word.size, word.text);
      break;
    }
    if (kept) {
      sqlite3_str_appendf(all, " %.*s", (int)(z - word.text), word.text);
    }
  }
  column->constraints = hf_str_finish(all, p->err);
  return p->err->rc;
}

static int schema_check_name(SchemaParse *p, const char *name) {
  static const char *const reserved[] = {"seq",  "at",  "prev_hash", "hash",
                                         "node", "oid", "rowid",     "_rowid_"};
  size_t r;
  int i;
  for (r = 0; r < sizeof(reserved) / sizeof(*reserved); r++) {
    if (sqlite3_stricmp(name, reserved[r]) == 0) {
      return hf_fail(p->err, SQLITE_ERROR,
                     "ledger %s: a column cannot be named %s, which every "
                     "ledger has itself",
                     p->name, name);
    }
  }
  for (i = 0; i < p->def->columns; i++) {
    if (sqlite3_stricmp(name, p->def->column[i].name) == 0) {
      return hf_fail(p->err, SQLITE_ERROR,
                     "ledger %s: column %s is declared twice", p->name, name);
    }
  }
  return SQLITE_OK;
}

/* Remember a UNIQUE rule: z begins with the name of its one column, or with a
** list of names and a closing parenthesis. */
static int schema_unique(SchemaParse *p, const char *z, int single) {
  LedgerDef *def = p->def;
  LedgerUnique *unique = &def->unique[def->uniques++];
  sqlite3_str *columns = sqlite3_str_new(NULL);
  sqlite3_str *predicate = sqlite3_str_new(NULL);
  int n = 0;
  for (;;) {
    Token name = schema_token(&z);
    Token next = schema_token(&z);
    char *column = NULL;
    if (name.type != TOKEN_WORD && name.type != TOKEN_QUOTED) break;
    column = schema_unquote(name);
    if (column == NULL) {
      hf_fail(p->err, SQLITE_NOMEM, NULL);
      break;
    }
    sqlite3_str_appendf(columns, "%s%s", n ? ", " : "", column);
    sqlite3_str_appendf(predicate, "%s\"%w\" = NEW.\"%w\"", n ? " AND " : "",
                        column, column);
    sqlite3_free(column);
    n++;
    if (single || schema_is(next, ")")) {
      z = NULL;
      break;
    }
    if (!schema_is(next, ",")) break;
  }
  unique->columns = hf_str_finish(columns, p->err);
  unique->predicate = hf_str_finish(predicate, p->err);
  if (z != NULL) {
    hf_fail(p->err, SQLITE_ERROR,
            "ledger %s: UNIQUE (...) takes the names of columns", p->name);
  }
  return p->err->rc;
}

static int schema_column(SchemaParse *p, Token name, const char *rest) {
  LedgerDef *def = p->def;
  LedgerColumn *column;
  if (def->columns == LEDGER_MAX_COLUMNS) {
    return hf_fail(p->err, SQLITE_ERROR,
                   "ledger %s: more than %d columns; keep long records as "
                   "JSON in one",
                   p->name, LEDGER_MAX_COLUMNS);
  }
  column = &def->column[def->columns];
  memset(column, 0, sizeof(*column));
  column->name = schema_unquote(name);
  if (column->name == NULL) return hf_fail(p->err, SQLITE_NOMEM, NULL);
  if (schema_check_name(p, column->name) != SQLITE_OK) {
    sqlite3_free(column->name);
    return p->err->rc;
  }
  def->columns++; /* from here on ledger_def_clear() owns what it holds */
  if (schema_type(p, column, schema_token(&rest)) != SQLITE_OK ||
      schema_constraints(p, column, rest) != SQLITE_OK ||
      (column->unique && schema_unique(p, name.text, 1) != SQLITE_OK)) {
    return p->err->rc;
  }
  sqlite3_str_appendf(p->schema, "%s%s %s", def->columns > 1 ? "," : "",
                      column->name, column->type);
  return SQLITE_OK;
}

/* CHECK (...) or UNIQUE (...) as an argument of its own. */
static int schema_table_constraint(SchemaParse *p, Token word,
                                   const char *rest) {
  const char *open = rest + schema_skip(rest);
  const char *z = open + 1;
  if (!schema_close(&z) || schema_peek(z).type != TOKEN_END) {
    return hf_fail(p->err, SQLITE_ERROR,
                   "ledger %s: cannot understand what follows %.*s (...)",
                   p->name, word.size, word.text);
  }
  sqlite3_str_appendf(p->table, ",\n  %.*s %.*s", word.size, word.text,
                      (int)(z - open), open);
  return schema_is(word, "UNIQUE") ? schema_unique(p, open + 1, 0) : SQLITE_OK;
}

static int schema_argument(SchemaParse *p, const char *text) {
  Token first = schema_token(&text);
  Token second = schema_peek(text);
  if (first.type != TOKEN_WORD && first.type != TOKEN_QUOTED) {
    return hf_fail(p->err, SQLITE_ERROR,
                   "ledger %s: \"%.40s\" is not a column, a CHECK, a UNIQUE "
                   "or an option",
                   p->name, first.text);
  }
  if (schema_is(second, "=")) {
    schema_token(&text);
    return schema_option(p, first, text);
  }
  if (schema_is(second, "(") &&
      (schema_is(first, "CHECK") || schema_is(first, "UNIQUE"))) {
    return schema_table_constraint(p, first, text);
  }
  return schema_column(p, first, text);
}

/* ---- the whole ----------------------------------------------------------- */

int ledger_def_parse(LedgerDef *def, const char *name, int argc,
                     const char *const *argv, HfError *err) {
  SchemaParse p;
  int i;
  sqlite3_uint64 room = (sqlite3_uint64)(argc > 0 ? argc : 1);
  memset(def, 0, sizeof(*def));
  memset(&p, 0, sizeof(p));
  def->column = sqlite3_malloc64(sizeof(LedgerColumn) * room);
  def->unique = sqlite3_malloc64(sizeof(LedgerUnique) * room);
  if (def->column == NULL || def->unique == NULL) {
    return hf_fail(err, SQLITE_NOMEM, NULL);
  }
  p.def = def;
  p.name = name;
  p.err = err;
  p.table = sqlite3_str_new(NULL);
  p.schema = sqlite3_str_new(NULL);
  for (i = 0; i < argc && err->rc == SQLITE_OK; i++) {
    /* USING ledger() has one argument, an empty one. */
    if (argc > 1 || schema_peek(argv[i]).type != TOKEN_END) {
      schema_argument(&p, argv[i]);
    }
  }
  def->constraints = hf_str_finish(p.table, err);
  def->schema_text = hf_str_finish(p.schema, err);
  if (err->rc == SQLITE_OK && def->columns == 0) {
    hf_fail(err, SQLITE_ERROR,
            "ledger %s: declare at least one column, for example "
            "USING ledger(message TEXT NOT NULL)",
            name);
  }
  return err->rc;
}

void ledger_def_clear(LedgerDef *def) {
  int i;
  for (i = 0; i < def->columns; i++) {
    sqlite3_free(def->column[i].name);
    sqlite3_free(def->column[i].type);
    sqlite3_free(def->column[i].constraints);
    sqlite3_free(def->column[i].dflt);
  }
  sqlite3_free(def->column);
  for (i = 0; i < def->uniques; i++) {
    sqlite3_free(def->unique[i].columns);
    sqlite3_free(def->unique[i].predicate);
  }
  sqlite3_free(def->unique);
  sqlite3_free(def->constraints);
  sqlite3_free(def->origin);
  sqlite3_free(def->schema_text);
  memset(def, 0, sizeof(*def));
}

char *ledger_def_declaration(const LedgerDef *def) {
  sqlite3_str *sql = sqlite3_str_new(NULL);
  int i;
  sqlite3_str_appendall(sql, "CREATE TABLE ledger(seq INTEGER, at INTEGER");
  for (i = 0; i < def->columns; i++) {
    const LedgerColumn *column = &def->column[i];
    /* ANY would mean NUMERIC here; no type at all has no affinity. */
    sqlite3_str_appendf(sql, ", \"%w\" %s", column->name,
                        column->kind == 0 ? "" : column->type);
  }
  sqlite3_str_appendall(sql, ", prev_hash BLOB HIDDEN, hash BLOB HIDDEN)");
  return sqlite3_str_finish(sql);
}
