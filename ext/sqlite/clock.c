/*
** The time, through the VFS of the database at hand, so that a test or a
** deterministic host can put its own clock under it.
*/
#include <stddef.h>

#include "sqlite/hf.h"

/* The Unix epoch in milliseconds of the Julian day number. */
#define CLOCK_EPOCH ((sqlite3_int64)210866760000000)

sqlite3_vfs *hf_clock_vfs(sqlite3 *db, const char *schema) {
  sqlite3_vfs *vfs = NULL;
  int rc = sqlite3_file_control(db, schema, SQLITE_FCNTL_VFS_POINTER, &vfs);
  /* The temp database has no file, so no VFS, before it is first used. */
  return rc == SQLITE_OK && vfs != NULL ? vfs : sqlite3_vfs_find(NULL);
}

int hf_clock_now(sqlite3_vfs *vfs, sqlite3_int64 *now_ms, HfError *err) {
  int rc;
  if (vfs->iVersion >= 2 && vfs->xCurrentTimeInt64 != NULL) {
    rc = vfs->xCurrentTimeInt64(vfs, now_ms);
  } else {
    double days = 0;
    rc = vfs->xCurrentTime(vfs, &days);
    *now_ms = (sqlite3_int64)(days * 86400000.0);
  }
  if (rc != SQLITE_OK) return hf_fail(err, rc, "the clock cannot be read");
  *now_ms -= CLOCK_EPOCH;
  return SQLITE_OK;
}
