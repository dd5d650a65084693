/*
** Control: the doors to settings and the kill switch.  Their walls are the
** triggers of sql/control.sql, which hold without the extension.
**
**   control_switch.c    killswitch_engage, killswitch_reset, control_seal,
**                       monitor_start
**   control_guard.c     killswitch_guard, killswitch_unguard
**   control_measure.c   monitor_measure
**   control_flag.c      flag
**   control_drill.c     killswitch_drill
**   control_doctor.c    the part of holdfast_check
*/
#ifndef HF_CONTROL_CONTROL_H
#define HF_CONTROL_CONTROL_H

#include "sqlite/hf.h"

#define CONTROL_SWITCH "DISABLE_NEW"

/* The TEXT of an argument without blanks alone; NULL with the failure recorded,
** whose words begin with the function's name. */
const char *control_text(const char *function, const char *what,
                         sqlite3_value *value, HfError *err);

int control_switch_register(HfConn *conn);
int control_guard_register(HfConn *conn);
int control_measure_register(HfConn *conn);
int control_flag_register(HfConn *conn);
int control_drill_register(HfConn *conn);

#endif
