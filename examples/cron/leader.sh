#!/bin/sh
# leader.sh DATABASE TASK COMMAND [ARGUMENT...]
#
# Of all that start it for a task, one runs the command, under a lease that it
# renews meanwhile; the others end with status 0 and say nothing. What was done
# is in the table run: once a slot. For crontabs of several containers or users
# of one machine, which share the file:
#
#   * * * * * leader.sh /srv/cron.db tidy /usr/local/bin/tidy --all
#
# TTL   seconds after which the task of a leader that died is free (60; >= 3)
# WAIT  seconds to stand by for that before it gives up (0)
# SLOT  what is to be done once; the minute, in UTC, unless you say
#
# The command gets SLOT and LEASE_TOKEN. If its leader dies it may be started
# again for the same slot, so either it does no harm twice, or it writes to a
# table with a guard of its own, with the token in the row.
set -u
db=$1 task=$2
shift 2
ttl=${TTL:-60}
SLOT=${SLOT:-$(date -u +%Y-%m-%dT%H:%MZ)}
[ "$ttl" -ge 3 ] || {
  echo "leader.sh: TTL must be 3 or more" >&2
  exit 2
}
library=${HOLDFAST:-/usr/local/lib/sqlite3/holdfast}
# A name that nobody had before: a holder that asks again is let in again.
who=$(uname -n)/$$/$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')

sql() {
  sqlite3 -batch -init /dev/null -cmd '.timeout 10000' \
    -cmd ".load '$library'" "$db" "$1"
}
# A text as an SQL literal.
quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }
q_task=$(quote "$task") q_slot=$(quote "$SLOT") q_who=$(quote "$who")

LEASE_TOKEN=$(sql "SELECT lease_acquire('cron_lease', $q_task, $q_who,
                     $ttl * 1000, ${WAIT:-0} * 1000)") || exit
[ -n "$LEASE_TOKEN" ] || exit 0
export SLOT LEASE_TOKEN
mine="'cron_lease', $q_task, $LEASE_TOKEN"
command='' beat=''

# However it ends: first the command, then the lease.
cleanup() {
  status=$?
  trap - EXIT
  trap '' HUP INT TERM
  for process in $command $beat; do
    kill "$process" 2>/dev/null && wait "$process" 2>/dev/null
  done
  sql "SELECT lease_release($mine)" >/dev/null
  exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# Under the lease nobody else can do the slot between this look and the work.
there=$(sql "SELECT count(*) FROM run
              WHERE task = $q_task AND slot = $q_slot") || exit
[ "$there" = 0 ] || exit 0

# Renew three times per TTL. When the lease is lost, or the leader was killed
# ($$ is the leader here, too), the command must stop as well.
heartbeat() {
  nap='' renewed=$(date +%s)
  trap 'kill $nap; exit' TERM
  while :; do
    sleep "$((ttl / 3))" &
    nap=$!
    wait "$nap"
    kill -0 $$ 2>/dev/null || break
    if until=$(sql "SELECT lease_renew($mine, $ttl * 1000)"); then
      [ -n "$until" ] || break # lost
      renewed=$(date +%s)
    else # busy, say: try again, but not for ever
      [ "$(($(date +%s) - renewed))" -lt "$ttl" ] || break
    fi
  done
  echo "leader.sh: $task: leader or lease is lost, so $1 is stopped" >&2
  kill "$command"
}

"$@" &
command=$!
heartbeat "$1" </dev/null >/dev/null &
beat=$!
wait "$command"
status=$?
command=''
[ "$status" -eq 0 ] || exit "$status" # not done: nothing is recorded

# The guard lets that in only if the token still holds the task.
sql "INSERT INTO run(task, slot, who, token)
     VALUES ($q_task, $q_slot, $q_who, $LEASE_TOKEN)"
