"""The mutations: each takes one predicate away, or turns it round.  A tuple is
a file, a text that it has exactly once, and what stands there instead.

Not here, since nothing outside can tell them from the original: the WHERE
clauses by which a decision writes only the row that it has read, as the write
lock keeps others away; and what CHECK (id = 1) says of lease_high_water a
second time.
"""

DECIDE = "ext/lease/lease_decide.c"
FUNCTIONS = "ext/lease/lease_functions.c"
TABLE = "ext/lease/lease_table.c"
GUARD = "ext/lease/lease_guard.c"
OBJECTS = "ext/lease/lease_objects.c"
MARKS = "sql/lease.sql"

MUTATIONS = [
    # ---- when a lease is held
    (DECIDE, "if (row->there && now < row->expires_at) {",
     "if (row->there && now <= row->expires_at) {"),
    (DECIDE, "if (row->there && now < row->expires_at) {",
     "if (row->there) {"),
    (DECIDE, "if (!own) {", "if (0) {"),
    (DECIDE, "own = row->there && decide_is_holder(row, request->holder);",
     "own = row->there;"),
    (DECIDE, "own = row->there && decide_is_holder(row, request->holder);",
     "own = 0;"),
    (DECIDE, "strlen(row->holder) == size &&\n         memcmp",
     "memcmp"),
    (DECIDE, "memcmp(row->holder, text, size) == 0", "1"),
    (DECIDE, "now < row->expires_at + lease->options.lock_delay_ms",
     "now <= row->expires_at + lease->options.lock_delay_ms"),
    (DECIDE, "now < row->expires_at + lease->options.lock_delay_ms", "0"),
    (DECIDE, "if (row->there && !own &&", "if (row->there &&"),
    (DECIDE, "lease->options.max_renewals == 0 ||", ""),
    (DECIDE, "row->renewals < lease->options.max_renewals",
     "row->renewals <= lease->options.max_renewals"),
    (DECIDE, "} else if (!decide_may_renew(lease, row)) {", "} else if (0) {"),
    (DECIDE, "decide_may_renew(lease, &row) ? LEASE_GRANTED : LEASE_EXHAUSTED",
     "LEASE_GRANTED"),
    (DECIDE, "row.there &&\n      now < row.expires_at) {\n    *verdict ="
     " decide_may", "row.there) {\n    *verdict = decide_may"),
    (DECIDE, "now < row.expires_at &&\n      lease_take(lease,"
     " lease->sql_delete", "lease_take(lease, lease->sql_delete"),
    (DECIDE, "row->there &&\n      now < row->expires_at) {\n    *verdict ="
     " LEASE_GRANTED;", "row->there) {\n    *verdict = LEASE_GRANTED;"),
    # ---- what a decision makes of it
    (DECIDE, "renewals = 0, ttl_ms = ?6", "renewals = renewals, ttl_ms = ?6"),
    (DECIDE, "SET token = ?1, holder = ?3,",
     "SET token = ?1, holder = iif(?3, holder, holder),"),
    (DECIDE, "renewals = renewals + 1", "renewals = renewals"),
    (DECIDE, "detail = coalesce(?4, detail)", "detail = ?4"),
    (DECIDE, "holder, NULL, row->expires_at - now, now,",
     "holder, NULL, lease->options.ttl_ms, now,"),
    (DECIDE, "if (row->there &&\n      lease_event(lease, now, \"expired\"",
     "if (0 &&\n      lease_event(lease, now, \"expired\""),
    (DECIDE, "hf_step_done(lease->db, stmt->p, err) == SQLITE_OK &&\n"
     "      sqlite3_changes(lease->db) != 1",
     "hf_step_done(lease->db, stmt->p, err) == SQLITE_OK && 0"),
    # ---- time and tokens
    (DECIDE, "&mark, err) == SQLITE_OK && *now < mark) {",
     "&mark, err) == SQLITE_OK && 0) {"),
    (DECIDE, "if ((token == old_token && now == old_now) ||",
     "if (token == old_token ||"),
    (DECIDE, "if ((token == old_token && now == old_now) ||",
     "if (now == old_now ||"),
    (DECIDE, "(*token)++ == INT64_MAX - 1", "*token == INT64_MAX - 1"),
    (DECIDE, "(*token)++ == INT64_MAX - 1", "(*token)++ == INT64_MAX"),
    (DECIDE, "decide_raise(lease, token, now, err) != SQLITE_OK",
     "decide_raise(lease, 0, now, err) != SQLITE_OK"),
    (DECIDE, "if (token < old_token) token = old_token;", ""),
    # ---- arguments
    (DECIDE, "if (!lease->options.clock_caller) {", "if (0) {"),
    (DECIDE, "*now < 0 ||", ""),
    (DECIDE, "*now > LEASE_TIME_MAX) {", "0) {"),
    (DECIDE, "*ttl >= 1 &&", "1 &&"),
    (DECIDE, "*ttl <= lease->options.max_ttl_ms) {", "1) {"),
    (DECIDE, "if (size > 0 && size", "if (size"),
    (DECIDE, "size <= LEASE_NAME_MAX &&", "1 &&"),
    (DECIDE, "memchr(text, 0, size) == NULL &&", "1 &&"),
    (DECIDE, "hf_utf8_is(text, size)) {", "1) {"),
    # ---- doors
    (FUNCTIONS, "if (row->there && (strlen(row->resource) != size ||",
     "if (0 && (strlen(row->resource) != size ||"),
    (FUNCTIONS, "(strlen(row->resource) != size ||\n", "(0 ||\n"),
    (FUNCTIONS, "memcmp(row->resource, text, size) != 0", "0"),
    (FUNCTIONS, "\" WHERE holder = ?1 AND expires_at > ?2",
     "\" WHERE ?1 NOTNULL AND expires_at > ?2"),
    (FUNCTIONS, "\" WHERE holder = ?1 AND expires_at > ?2",
     "\" WHERE holder = ?1 AND ?2 NOTNULL"),
    (FUNCTIONS, "holds = row.there && door.now < row.expires_at",
     "holds = row.there"),
    (FUNCTIONS, "holds = row.there && door.now < row.expires_at",
     "holds = row.there && door.now <= row.expires_at"),
    (FUNCTIONS, "verdict == LEASE_DELAYED) && record", "0) && record"),
    (FUNCTIONS, "if ((verdict == LEASE_HELD ||", "if ((0 ||"),
    (FUNCTIONS, "if (wait > 0 && !sqlite3_get_autocommit(db)) {", "if (0) {"),
    (FUNCTIONS, "d->id == sqlite3_value_int64(argv[0]) &&", "1 &&"),
    (FUNCTIONS, "d->token == sqlite3_value_int64(argv[1]) &&", "1 &&"),
    (FUNCTIONS, "d->time == sqlite3_value_int64(argv[2])", "1"),
    (FUNCTIONS, "sqlite3_result_int(context, d != NULL &&",
     "sqlite3_result_int(context, d == NULL ||"),
    # ---- the virtual table
    (TABLE, "WHERE expires_at > ?1", "WHERE expires_at >= ?1"),
    (TABLE, "WHERE expires_at > ?1", "WHERE ?1 NOTNULL"),
    (TABLE, "if (sqlite3_value_type(value[i]) == SQLITE_NULL) continue;",
     "continue;"),
    (TABLE, "if (i != LEASE_DETAIL) {", "if (0) {"),
    (TABLE, "sqlite3_value_int64(argv[1]) != token;", "0;"),
    (TABLE, "lease->given = given ? cursor->now : INT64_MIN;",
     "lease->given = INT64_MIN;"),
    (TABLE, "sqlite3_stricmp(collation, \"BINARY\") != 0", "0"),
    (TABLE, "if (verdict != LEASE_EXHAUSTED) {", "if (0) {"),
    (TABLE, "if (conflict == SQLITE_IGNORE ||", "if ("),
    (TABLE, "|| conflict == SQLITE_FAIL) {", ") {"),
    (TABLE, "sqlite3_set_last_insert_rowid(lease->db, rowid);", "(void)rowid;"),
    # ---- the guard
    (GUARD, "WHERE held.token = (%s)\\n", "WHERE (%s) NOTNULL\\n"),
    (GUARD, "AND held.resource = (%s)\\n", "AND (%s) NOTNULL\\n"),
    (GUARD, "AND held.expires_at > %s)", "AND %s NOTNULL)"),
    (GUARD, "AND held.expires_at > %s)", "AND held.expires_at >= %s)"),
    (GUARD, "? \"high.now\"", "? \"0\""),
    (GUARD, ": \"max(high.now, CAST(", ": \"max(0, CAST("),
    (GUARD, "CAST(round(julianday('now') * 86400000.0)", "CAST((0)"),
    (GUARD, "WHERE %s AND (%s) IS NOT (%s))", "WHERE %s AND 0 NOT IN (%s,%s))"),
    (GUARD, "WHERE %s AND (%s) IS NOT (%s))", "WHERE %s OR (%s) IS NOT (%s))"),
    (GUARD, "sql = hf_format(err, \"%s\", displaces);",
     "sql = hf_format(err, \"\");"),
    (GUARD, "\\n  OR (%s) IS NOT (%s)%s", "\\n  OR ((%s) <> (%s) AND 0)%s"),
    (GUARD, "alt, neu, displaces);", "alt, neu, \"\");"),
    (GUARD, "\"WHEN %s IS NOT 1%s\\n\"", "\"WHEN %s IS 1%s\\n\""),
    (GUARD, "for (i = 0; i < 3 && err.rc == SQLITE_OK; i++) {",
     "for (i = 0; i < 2 && err.rc == SQLITE_OK; i++) {"),
    (GUARD, "for (i = 0; i < 3 && err.rc == SQLITE_OK; i++) {",
     "for (i = 1; i < 3 && err.rc == SQLITE_OK; i++) {"),
    (GUARD, "sqlite3_stricmp(table->schema, lease->schema) != 0", "0"),
    (GUARD, "} else if (table->expression != NULL) {", "} else if (0) {"),
    # ---- the tables behind
    (OBJECTS, "WHEN lease_deciding(%lld, %s.token, %s.expires_at) IS NOT \"",
     "WHEN 0 AND lease_deciding(%lld, %s.token, %s.expires_at) IS NOT \""),
    (OBJECTS, "(hf_siphash(key, lower, n) >> 2) + 1",
     "(hf_siphash(key, lower, 0) >> 2) + 1"),
    (MARKS, "WHEN (NEW.token = 0 AND NEW.now = 0", "WHEN (NEW.now = 0"),
    (MARKS, "WHEN (NEW.token = 0 AND NEW.now = 0", "WHEN (NEW.token = 0"),
    (MARKS, "AND NOT EXISTS (SELECT 1 FROM lease_high_water)) IS NOT 1",
     ") IS NOT 1"),
    (MARKS, "NEW.token >= OLD.token AND", ""),
    (MARKS, "AND NEW.now >= OLD.now", ""),
    (MARKS, "AND lease_deciding(0, NEW.token, NEW.now)) IS NOT 1",
     ") IS NOT 1"),
    (MARKS, "BEFORE DELETE ON lease_high_water\nBEGIN",
     "BEFORE DELETE ON lease_high_water\nWHEN 0\nBEGIN"),
]
