/*
** holdfast.h: for programs that link Holdfast in, rather than load it.
**
** Compile holdfast.c with -DSQLITE_CORE, link it with SQLite and libcrypto, and
** before the first connection is opened:
**
**     sqlite3_auto_extension((void (*)(void))sqlite3_holdfast_init);
**
** Every connection opened after that has all of Holdfast's functions and
** tables. Or call it for one connection: sqlite3_holdfast_init(db, &err, 0).
*/
#ifndef HOLDFAST_H
#define HOLDFAST_H

#include <sqlite3.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns SQLITE_OK, or an error code and a message in *pzErrMsg, which the
** caller frees with sqlite3_free(). pApi is not used when linked in: 0. */
int sqlite3_holdfast_init(sqlite3 *db, char **pzErrMsg,
                          const sqlite3_api_routines *pApi);

#ifdef __cplusplus
}
#endif

#endif
