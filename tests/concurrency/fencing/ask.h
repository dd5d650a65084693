/*
** What model.c asks SQLite: statements with their bindings, and what comes of
** them.
*/
#ifndef FENCING_ASK_H
#define FENCING_ASK_H

#include <sqlite3.h>

#include "oracle.h"

enum { WORDS = 240, STATEMENTS = 1024 };

/* A connection with the extension, and its statements by their text. */
typedef struct Conn {
  sqlite3 *db;
  sqlite3_stmt *stmt[STATEMENTS];
  int traces; /* print each statement */
} Conn;

typedef struct Result {
  int rc; /* SQLITE_OK, or the code of the error */
  int is_null;
  Number value; /* of the first column of the first row, if there is one */
  Number changes;
  Number rowid;
  char words[WORDS]; /* of the error */
} Result;

/* How it fails: what is wrong, where.  Does not return. */
extern void fail(const char *format, ...)
#ifdef __GNUC__
    __attribute__((noreturn, format(printf, 1, 2)))
#endif
    ;

void ask_open(Conn *conn, const char *path, const char *library);
void ask_close(Conn *conn);

/* The statement, with ?1, ... bound: types has a letter for each of what
** follows, i a Number, k a Number that is NULL when negative, z one that is
** NULL when it is 0, n one that is NULL when it is NO_NOW, t a text or NULL. */
sqlite3_stmt *ask_bind(Conn *conn, const char *sql, const char *types, ...);

/* Run it to its end. */
Result ask_run(Conn *conn, sqlite3_stmt *stmt);

/* Run statements that must not fail. */
void ask_must(Conn *conn, const char *sql);

/* A text with an index for each %d, in a ring of such texts. */
const char *ask_text(const char *format, int index);

#endif
