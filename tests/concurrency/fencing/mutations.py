"""The mutations: each takes one predicate away, or turns it round.  A tuple is
a file, a text that it has exactly once, and what stands there instead; then,
where that is not the model, which tests of tests/lease kill it.

Not here, since nothing outside can tell them from the original: the WHERE
clauses by which a decision writes only the row that it has read, as the write
lock keeps others away; what lease_deciding compares beside answering once, as
whoever takes the answer first takes it from the decision, which then fails;
and that a door settles denials in a transaction of its own only, as in another
none is written yet.
"""

DECIDE = "ext/lease/lease_decide.c"
READ = "ext/lease/lease_read.c"
FUNCTIONS = "ext/lease/lease_functions.c"
PIN = "ext/lease/lease_pin.c"
TABLE = "ext/lease/lease_table.c"
DENIAL = "ext/lease/lease_denial.c"
GUARD = "ext/lease/lease_guard.c"
SQL = "ext/lease/guard_sql.c"
OBJECTS = "ext/lease/lease_objects.c"
CLASH = "ext/sqlite/table.c"
MARKS = "sql/lease.sql"

WALLS = "test_walls.py"
LEASE = "test_lease.py"
GUARDS = "test_guard.py"
DENIALS = "test_denials.py"
REVIEW = "test_review.py"
DEFECTS = "test_defects.py"

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
    (DECIDE, "} else if (!decide_may_renew(lease, row)) {\n      *",
     "} else if (0) {\n      *"),
    (DECIDE, "} else if (!decide_may_renew(lease, row)) {\n    *",
     "} else if (0) {\n    *"),
    (DECIDE, "if (!row->there || now >= row->expires_at) {",
     "if (!row->there) {"),
    (DECIDE, "if (!row->there || now >= row->expires_at) {",
     "if (!row->there || now > row->expires_at) {"),
    (DECIDE, "!row->there ||\n      now >= row->expires_at ||",
     "!row->there ||"),
    (DECIDE, "row->there &&\n      now < row->expires_at) {\n    *verdict ="
     " LEASE_GRANTED;", "row->there) {\n    *verdict = LEASE_GRANTED;"),
    # ---- what a decision makes of it
    (READ, "renewals = ?10, ttl_ms = ?6", "renewals = renewals, ttl_ms = ?6"),
    (READ, "SET token = ?1, holder = ?3,",
     "SET token = ?1, holder = iif(?3, holder, holder),"),
    (READ, "renewals = renewals + 1", "renewals = renewals"),
    (READ, "detail = iif(?6, ?4, detail)", "detail = ?4"),
    (READ, "detail = iif(?6, ?4, detail)", "detail = coalesce(?4, detail)"),
    (DECIDE, "given ? request->detail : NULL, err", "request->detail, err"),
    (DECIDE, "holder, NULL, row->expires_at - now, now,",
     "holder, NULL, lease->options.ttl_ms, now,"),
    (DECIDE, "decide_is_holder(row, holder) ? row->renewals : 0", "0"),
    (DECIDE, "decide_is_holder(row, holder) ? row->renewals : 0",
     "row->renewals"),
    (DECIDE, "if (before->there) {", "if (0) {"),
    (DECIDE, "hf_step_done(lease->db, stmt->p, err) == SQLITE_OK &&\n"
     "      sqlite3_changes(lease->db) != 1",
     "hf_step_done(lease->db, stmt->p, err) == SQLITE_OK && 0", LEASE),
    # ---- time and tokens
    (DECIDE, "*now < lease->mark_now) {", "0) {"),
    (DECIDE, "if (token != old_token || now != old_now) {",
     "if (token != old_token) {", DEFECTS),
    (DECIDE, "if (token != old_token || now != old_now) {",
     "if (now != old_now) {", REVIEW),
    (DECIDE, "  if (token != old_token) {", "  if (0) {"),
    (DECIDE, "if (now != old_now) decide", "if (0) decide"),
    (DECIDE, "if (token < old_token) token = old_token;", ""),
    (DECIDE, "lease->mark_token == INT64_MAX - 1", "0", WALLS),
    (DECIDE, "*token = lease->mark_token + 1;", "*token = lease->mark_token;"),
    (DECIDE, "decide_raise(lease, token, now, err) != SQLITE_OK",
     "decide_raise(lease, 0, now, err) != SQLITE_OK"),
    (DECIDE, "if (*token <= lease->told) *token = lease->told + 1;", "",
     DEFECTS),
    (DECIDE, "lease->told = *token;", "", DEFECTS),
    (DECIDE, "if (!lease->options.clock_caller) {\n    if (*token",
     "{\n    if (*token"),
    (DECIDE, "lease->mark_known = 0; /* for", "/* for", WALLS),
    (DECIDE, "if (now > 0) decide_raise_row(lease, id, 0, now, err);", "",
     WALLS),
    (OBJECTS, "return lease->options.clock_caller ? lease->id : 1;",
     "return 1;"),
    (OBJECTS, "lease_objects_mark(lease, lease_mark_id(lease), err);", ""),
    (OBJECTS, "if (token > 0) {", "if (0) {", DEFECTS),
    # ---- what was told to be lost stays so
    (DECIDE, "if (row->there && decide_raise(lease, 0, now, err)",
     "if (0 && decide_raise(lease, 0, now, err)"),
    (DECIDE, "*verdict = LEASE_LOST;\n    decide_raise(lease, 0, now, err);",
     "*verdict = LEASE_LOST;"),
    (DECIDE, "*verdict = LEASE_LOST;\n  if (decide_raise(lease, 0, now, err) !="
     " SQLITE_OK ||", "*verdict = LEASE_LOST;\n  if ("),
    (DECIDE, "if (decide_raise(lease, 0, now, err) == SQLITE_OK &&\n"
     "      lease_read_token", "if (lease_read_token"),
    # ---- arguments
    (DECIDE, "if (!lease->options.clock_caller) {\n    return", "if (0) {\n"
     "    return", LEASE),
    (DECIDE, "*now < 0 ||", ""),
    (DECIDE, "*now > LEASE_TIME_MAX) {", "0) {", LEASE),
    (DECIDE, "*ttl >= 1 &&", "1 &&"),
    (DECIDE, "*ttl <= lease->options.max_ttl_ms) {", "1) {"),
    (DECIDE, "if (size > 0 && size", "if (size", WALLS),
    (DECIDE, "size <= LEASE_NAME_MAX && memchr(text, 0, size) == NULL &&",
     "memchr(text, 0, size) == NULL &&", LEASE),
    (DECIDE, "size <= LEASE_NAME_MAX && memchr(text, 0, size) == NULL &&",
     "size <= LEASE_NAME_MAX &&", LEASE),
    (DECIDE, "memchr(text, 0, size) == NULL &&\n        hf_utf8_is(text, size))"
     " {\n      return SQLITE_OK;\n    }\n  }\n  return hf_fail(err,"
     " SQLITE_CONSTRAINT_VTAB,\n                 \"lease %s: the %s",
     "memchr(text, 0, size) == NULL)"
     " {\n      return SQLITE_OK;\n    }\n  }\n  return hf_fail(err,"
     " SQLITE_CONSTRAINT_VTAB,\n                 \"lease %s: the %s", WALLS),
    (DECIDE, "size <= LEASE_DETAIL_MAX &&", "1 &&", WALLS),
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
    (FUNCTIONS, "if (wait > 0 && !sqlite3_get_autocommit(db)) {", "if (0) {",
     LEASE),
    (FUNCTIONS, "!d->told &&", "", REVIEW),
    (FUNCTIONS, "if (is) d->told = 1;", "", REVIEW),
    (FUNCTIONS, "door->pin.lease->known) {\n      break;",
     "1) {\n      break;", LEASE),
    (PIN, "if (lease == NULL || !lease->known) return 0;",
     "if (lease == NULL) return 0;", LEASE),
    (PIN, "sqlite3_stricmp(lease->name, text) == 0;", "1;"),
    (PIN, "type != SQLITE_TEXT) {", "0) {", LEASE),
    (READ, "lease->known = 0;\n    lease_statements_clear", "lease_statements"
     "_clear", LEASE),
    # ---- the virtual table
    (READ, "WHERE expires_at > ?1 AND", "WHERE expires_at >= ?1 AND"),
    (READ, "WHERE expires_at > ?1 AND", "WHERE ?1 NOTNULL AND"),
    (READ, "AND token <= ?4", "AND ?4 NOTNULL", REVIEW),
    (TABLE, "if (sqlite3_value_type(value[i]) == SQLITE_NULL) continue;",
     "continue;", LEASE),
    (TABLE, "rows_same(&row, i, value[i]) && sqlite3", "sqlite3", LEASE),
    (TABLE, "&& sqlite3_value_int64(argv[1]) == token) {", ") {", LEASE),
    (TABLE, "return text != NULL && strlen(own) == size &&\n             memcmp"
     "(own, text, size) == 0;", "return 1;", LEASE),
    (TABLE, "sqlite3_value_int64(value) == row->expires_at", "1", LEASE),
    (TABLE, "if (sqlite3_value_nochange(detail)) detail = NULL;", ""),
    (TABLE, "lease->given = given ? cursor->now : INT64_MIN;",
     "lease->given = INT64_MIN;"),
    (TABLE, "if (given != NULL && sqlite3_value_type(given) == SQLITE_NULL) {",
     "if (0) {", DEFECTS),
    (TABLE, "sqlite3_stricmp(collation, \"BINARY\") != 0", "0", WALLS),
    (TABLE, "if (verdict != LEASE_EXHAUSTED) {", "if (0) {", WALLS),
    (TABLE, "if (lease->wrote && !sqlite3_get_autocommit(lease->db)) {",
     "if (0) {", REVIEW),
    (TABLE, "if (lease->wrote && !sqlite3_get_autocommit(lease->db)) {",
     "if (!sqlite3_get_autocommit(lease->db)) {"),
    (DECIDE, "if (sql != LEASE_SQL_RAISE && deciding.told)",
     "if (deciding.told)"),
    (TABLE, "(conflict == SQLITE_IGNORE ||", "("),
    (TABLE, "|| conflict == SQLITE_FAIL)) {", ")) {"),
    (TABLE, "sqlite3_set_last_insert_rowid(lease->db, before);", "(void)before;",
     WALLS),
    # ---- denials
    (DENIAL, "if (count >= DENIAL_MAX && last != NULL) {", "if (0) {",
     DENIALS),
    (DENIAL, "denial->written || !denial_is_of(denial, lease)",
     "!denial_is_of(denial, lease)", DENIALS),
    (DENIAL, "denial->written || !denial_is_of(denial, lease)",
     "denial->written"),
    (DENIAL, "denial->written && committed &&", "committed &&", DENIALS),
    (DENIAL, "denial->written && committed &&", "denial->written &&", DENIALS),
    (DENIAL, "err->rc == SQLITE_OK || (err->rc & 0xff) == SQLITE_CONSTRAINT;",
     "err->rc == SQLITE_OK;", REVIEW),
    (DENIAL, "denial_is_of(denial, lease) ? sqlite3_mprintf(\"%s\", to) : NULL",
     "NULL", REVIEW),
    # ---- the guard
    (SQL, "WHERE held.token = (%s)\\n", "WHERE (%s) NOTNULL\\n"),
    (SQL, "AND held.resource = %s\\n", "AND (%s) NOTNULL\\n"),
    (SQL, "AND high.id = %lld\\n", "AND %lld NOTNULL\\n"),
    (SQL, "AND held.expires_at > %s)", "AND %s NOTNULL)"),
    (SQL, "AND held.expires_at > %s)", "AND held.expires_at >= %s)"),
    (SQL, "? \"high.now\"", "? \"0\""),
    (SQL, ": \"max(high.now, CAST(", ": \"max(0, CAST(", WALLS),
    (SQL, "CAST(round(julianday('now') * 86400000.0)", "CAST((0)", GUARDS),
    (SQL, "\"CAST((%s) AS TEXT) COLLATE BINARY\"", "\"(%s) COLLATE BINARY\"",
     REVIEW),
    (SQL, "\"CAST((%s) AS TEXT) COLLATE BINARY\"", "\"CAST((%s) AS TEXT)\"",
     REVIEW),
    (SQL, "WHERE %s AND %s IS NOT %s)", "WHERE %s AND 0 NOT IN (%s,%s))"),
    (SQL, "WHERE %s AND %s IS NOT %s)", "WHERE %s OR %s IS NOT %s)"),
    (SQL, "\"%s IS NOT %s\\n  OR \"", "\"(%s <> %s AND 0)\\n  OR \""),
    (SQL, "if (which == GUARD_UPDATE) {", "if (0) {"),
    (SQL, "\"%s IS NOT 1\", holds", "\"%s IS 1\", holds"),
    (SQL, "stray = which != GUARD_DELETE;", "stray = 0;"),
    (SQL, "stray = which != GUARD_DELETE;", "stray = which == GUARD_UPDATE;"),
    (SQL, "token = which != GUARD_INSERT || !late",
     "token = which != GUARD_INSERT"),
    (SQL, "token = which != GUARD_INSERT || !late",
     "token = which == GUARD_INSERT && !late"),
    (SQL, "\"WHEN %s IS NOT 1\\n\"", "\"WHEN %s IS NULL\\n\""),
    (SQL, "sql[GUARD_INSERTED] = sql_after(guard, GUARD_INSERTED, err);", ""),
    (SQL, "sql[GUARD_UPDATED] = sql_after(guard, GUARD_UPDATED, err);", ""),
    (SQL, "(\\\"notnull\\\" AND dflt_value IS NOT NULL\"", "(0\"", GUARDS),
    (SQL, "OR pk AND type = 'INTEGER' COLLATE NOCASE AND %d)",
     "OR 0 AND %d)"),
    (SQL, "(!plain && table->rowid &&", "(0 &&", GUARDS),
    (SQL, "(%lld = 0 OR name = %Q COLLATE NOCASE)",
     "(%lld = 9 OR name = %Q COLLATE NOCASE)"),
    (SQL, "sql_is_late(guard, guard->resource, &late, err) == SQLITE_OK &&",
     "", GUARDS),
    (SQL, "sql_is_late(guard, guard->token, &late, err) == SQLITE_OK)", "1)",
     GUARDS),
    (SQL, "(p == text || !hf_sql_is_word(p[-1]))", "1", GUARDS),
    (GUARD, "for (i = 0; i < GUARD_TRIGGERS && err->rc == SQLITE_OK; i++) {\n"
     "    char *name;",
     "for (i = 1; i < GUARD_TRIGGERS && err->rc == SQLITE_OK; i++) {\n"
     "    char *name;"),
    (GUARD, "sqlite3_stricmp(table->schema, lease->schema) != 0", "0", WALLS),
    (GUARD, "index = guard_blind_index(guard, err);\n  if (index != NULL) {",
     "index = NULL;\n  if (index != NULL) {", WALLS),
    (GUARD, "c.cid = -2 OR x.hidden > 1", "x.hidden > 1", WALLS),
    (GUARD, "c.cid = -2 OR x.hidden > 1", "c.cid = -2", REVIEW),
    (GUARD, "guard->mark = lease_mark_id(lease);", "guard->mark = 1;"),
    (GUARD, "guard->clock_caller = lease->options.clock_caller;",
     "guard->clock_caller = 0;"),
    (OBJECTS, "lease_guards_take(lease, &kept, err);\n  return", "return",
     DEFECTS),
    (CLASH, "iif(x.\\\"notnull\\\" AND x.dflt_value IS NOT NULL,", "iif(0,",
     GUARDS),
    (CLASH, "COLLATE \\\"%%w\\\" = %%s', c.name,\"\n      \" c.coll,",
     "= %%s', c.name,\"\n      \"", GUARDS),
    (CLASH, "if (!without_rowid) {", "if (0) {"),
    (CLASH, "predicate == NULL\n            ?", "1\n            ?", GUARDS),
    # ---- the tables behind
    (OBJECTS, "WHEN lease_deciding(%lld, %s.token, %s.expires_at) IS NOT \"",
     "WHEN 0 AND lease_deciding(%lld, %s.token, %s.expires_at) IS NOT \""),
    (OBJECTS, "(hf_siphash(key, lower, n) >> 2) + 1",
     "(hf_siphash(key, lower, 0) >> 2) + 1"),
    (MARKS, "WHEN (NEW.token = 0 AND NEW.now = 0", "WHEN (NEW.now = 0"),
    (MARKS, "WHEN (NEW.token = 0 AND NEW.now = 0", "WHEN (NEW.token = 0",
     WALLS),
    (MARKS, "AND NOT EXISTS (SELECT 1 FROM lease_high_water WHERE id = NEW.id)"
     ")", ")"),
    (MARKS, "NEW.id = OLD.id AND", "", WALLS),
    (MARKS, "NEW.token >= OLD.token AND", "", WALLS),
    (MARKS, "AND NEW.now >= OLD.now", "", WALLS),
    (MARKS, "AND lease_deciding(0, NEW.token, NEW.now)) IS NOT 1",
     ") IS NOT 1"),
    (MARKS, "BEFORE DELETE ON lease_high_water\nBEGIN",
     "BEFORE DELETE ON lease_high_water\nWHEN 0\nBEGIN"),
]
