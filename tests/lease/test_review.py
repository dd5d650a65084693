"""Review of the leases: each test is a defect that was found by trying."""
import sqlite3
import threading

import apsw
import pytest

CHECK = ("SELECT finding, object FROM holdfast_check WHERE finding LIKE 'g%'"
         " OR finding = 'config_altered'")


@pytest.fixture
def l(db):
    """One connection for the whole test: TEMP triggers, pending denials."""
    db.reopen = False
    db.run("CREATE VIRTUAL TABLE l USING lease(max_renewals=1)")
    assert db.value("SELECT lease_acquire('l', 'A', 'alice')") == 1
    return db


def guard(db, columns="task TEXT PRIMARY KEY, token INTEGER, n",
          resource="task", token="token"):
    db.run(f"CREATE TABLE work({columns})")
    assert db.value("SELECT lease_guard('work', 'l', ?, ?)",
                    (resource, token)) in (3, 5)


def refused(db, sql, bindings=()):
    before = db.state()
    with pytest.raises(apsw.Error):
        db.run(sql, bindings)
    assert db.state() == before


def denied(db, resource="A"):
    with pytest.raises(apsw.ConstraintError):
        db.run("INSERT INTO l(resource, holder) VALUES (?, 'bob')", (resource,))


# ---- 1 -----------------------------------------------------------------------


def test_a_commit_that_was_rolled_back_is_an_error(l):
    l.run("CREATE TABLE data(x)")
    l.run("CREATE TRIGGER z BEFORE INSERT ON l_event WHEN NEW.kind ="
          " 'contended' BEGIN SELECT RAISE(ROLLBACK, 'no'); END")
    denied(l)
    l.run("BEGIN; INSERT INTO data VALUES (1);"
          " INSERT INTO l(resource, holder) VALUES ('B', 'bob')")
    try:
        l.run("COMMIT")
    except apsw.Error:
        return
    assert l.run("SELECT * FROM data") == [(1,)]


# ---- 2 -----------------------------------------------------------------------


def test_last_insert_rowid_is_the_token_after_denials(l):
    for _ in range(4):
        denied(l)
    l.run("INSERT INTO l(resource, holder) VALUES ('B', 'bob')")
    assert l.value("SELECT last_insert_rowid()") \
        == l.value("SELECT token FROM l WHERE resource = 'B'")


def test_a_commit_leaves_last_insert_rowid_alone(l):
    l.run("CREATE TABLE data(x)")
    denied(l)
    l.run("BEGIN; INSERT INTO l(resource, holder) VALUES ('B', 'bob');"
          " INSERT INTO data(rowid) VALUES (777); COMMIT")
    assert l.value("SELECT last_insert_rowid()") == 777


# ---- 3 -----------------------------------------------------------------------


def test_no_token_is_given_twice(l):
    l.run("CREATE VIRTUAL TABLE m USING lease")
    l.run("CREATE TRIGGER z AFTER INSERT ON l_held BEGIN"
          " INSERT INTO m(resource, holder) VALUES (NEW.resource, NEW.holder);"
          " END")
    l.run("SELECT lease_acquire('l', 'B', 'bob')")
    tokens = l.run("SELECT token FROM l_held UNION ALL SELECT token FROM m_held")
    assert len(tokens) == len(set(tokens)) == 3


def test_a_policy_may_grant_in_the_same_table(l):
    l.run("CREATE TRIGGER z AFTER INSERT ON l_held"
          " WHEN NEW.resource NOT LIKE '%/child' BEGIN INSERT INTO l(resource,"
          " holder) VALUES (NEW.resource || '/child', NEW.holder); END")
    assert l.value("SELECT lease_acquire('l', 'B', 'bob')") > 1
    assert l.value("SELECT count(*) FROM l") == 3


# ---- 4 -----------------------------------------------------------------------

WORDS = "leases are granted, renewed and released through l"


def test_a_trigger_cannot_steal_under_a_decision(l):
    l.run("CREATE TEMP TRIGGER z AFTER INSERT ON main.l_held BEGIN"
          " UPDATE OR REPLACE l_held SET resource = 'A'"
          " WHERE token = NEW.token; END")
    with pytest.raises(apsw.ConstraintError) as error:
        l.run("SELECT lease_acquire('l', 'mine', 'mallory')")
    assert WORDS in str(error.value)
    assert l.run("SELECT holder FROM l WHERE resource = 'A'") == [("alice",)]


def test_a_trigger_cannot_renew_without_end(l):
    l.run("CREATE TEMP TRIGGER z AFTER UPDATE ON main.l_held BEGIN"
          " UPDATE l_held SET renewals = 0 WHERE token = NEW.token; END")
    with pytest.raises(apsw.ConstraintError):
        for _ in range(3):
            l.run("SELECT lease_renew('l', 'A', 1)")


def test_a_trigger_cannot_resurrect(l):
    l.run("CREATE TEMP TRIGGER z AFTER DELETE ON main.l_held BEGIN INSERT INTO"
          " l_held VALUES (OLD.token, OLD.resource, OLD.holder, 0,"
          " OLD.expires_at, 0, 1, NULL); END")
    with pytest.raises(apsw.ConstraintError):
        l.run("SELECT lease_release('l', 'A', 1)")


def test_a_decision_is_one_database_s(l, tmp_path):
    l.connection.cursor().execute("ATTACH ? AS x", (str(tmp_path / "x"),))
    l.connection.cursor().execute("ATTACH ? AS y", (str(tmp_path / "y"),))
    l.run("DROP TABLE l; CREATE VIRTUAL TABLE x.l USING lease;"
          " CREATE VIRTUAL TABLE y.l USING lease")
    l.run("SELECT lease_acquire('x.l', 'A', 'alice')")
    l.run("CREATE TEMP TRIGGER z AFTER INSERT ON y.l_held BEGIN UPDATE l_held"
          " SET token = NEW.token, expires_at = NEW.expires_at,"
          " holder = NEW.holder; END")  # l_held is x's
    try:
        l.run("SELECT lease_acquire('y.l', 'B', 'mallory')")
    except apsw.ConstraintError:
        pass
    assert l.run("SELECT holder FROM x.l") == [("alice",)]


# ---- 5 -----------------------------------------------------------------------


@pytest.mark.parametrize("sql", [
    "INSERT INTO l(resource, holder) VALUES ('B', 'bob')",
    "DELETE FROM l WHERE token = 1", "UPDATE l SET ttl_ms = 5 WHERE token = 1",
])
@pytest.mark.parametrize("trigger", [
    "BEFORE INSERT ON l_event BEGIN SELECT RAISE(ABORT, 'no')",
    "AFTER INSERT ON l_held BEGIN SELECT RAISE(FAIL, 'no')",
    "AFTER UPDATE ON l_held BEGIN SELECT RAISE(FAIL, 'no')",
    "AFTER DELETE ON l_held BEGIN SELECT RAISE(FAIL, 'no')",
])
def test_a_refused_statement_changes_nothing(l, sql, trigger):
    """What was written before the refusal goes with the transaction."""
    l.run(f"CREATE TRIGGER z {trigger}; END")
    rows = "SELECT token, resource, expires_at, renewals FROM l_held"
    before = l.run(rows)
    l.run("BEGIN")
    try:
        l.run(sql)
        refused = False
    except (apsw.ConstraintError, apsw.AbortError):
        refused = True
        assert l.run(rows) == before
    if not l.connection.getautocommit():
        l.run("COMMIT")
    assert (l.run(rows) == before) == refused
    l.run("DROP TRIGGER z")
    assert l.value("SELECT lease_acquire('l', 'C', 'carol')") > 1


# ---- 6 -----------------------------------------------------------------------


def test_a_guard_follows_its_table_s_name(l):
    guard(l)
    l.run("INSERT INTO work VALUES ('A', 1, 0)")
    l.run("ALTER TABLE work RENAME TO archive")
    guard(l)
    refused(l, "UPDATE archive SET token = 99")


def test_unguard_after_a_rename(l):
    guard(l)
    l.run("ALTER TABLE work RENAME TO job")
    assert l.value("SELECT lease_unguard('job')") == 3
    l.run("INSERT INTO job VALUES ('A', 99, 0)")
    assert l.run(CHECK) == []


def test_unguard_after_a_rename_of_case(l):
    guard(l)
    l.run("ALTER TABLE work RENAME TO x; ALTER TABLE x RENAME TO Work")
    assert l.value("SELECT lease_unguard('work')") == 3
    assert l.run(CHECK) == []


@pytest.mark.parametrize("sql", ["ALTER TABLE work RENAME TO job",
                                 "ALTER TABLE work RENAME COLUMN token TO t"])
def test_after_a_rename(l, sql):
    """It holds on; the doctor says to put it on again."""
    guard(l)
    l.run(sql)
    table = "job" if "job" in sql else "work"
    with pytest.raises(apsw.ConstraintError):
        l.run(f"INSERT INTO {table} VALUES ('A', 99, 0)")
    assert l.run(CHECK) != []
    token = "t" if "TO t" in sql else "token"
    l.run("SELECT lease_guard(?, 'l', 'task', ?)", (table, token))
    assert l.run(CHECK) == []


# ---- 7 -----------------------------------------------------------------------


@pytest.mark.parametrize("column, mine, theirs", [
    ("task TEXT COLLATE NOCASE", "A", "a"), ("task TEXT COLLATE RTRIM", "A",
                                             "A "), ("task", 1.0, 1)])
def test_resources_are_compared_as_leases_are(l, column, mine, theirs):
    guard(l, column + " PRIMARY KEY, token INTEGER, n")
    own = l.value("SELECT lease_acquire('l', ?, 'alice')", (str(mine),))
    other = l.value("SELECT lease_acquire('l', ?, 'mallory')", (str(theirs),))
    l.run("INSERT INTO work VALUES (?, ?, 0)", (mine, own))
    refused(l, "UPDATE work SET task = ?, token = ?", (theirs, other))
    refused(l, "INSERT OR REPLACE INTO work VALUES (?, ?, 0)", (theirs, other))


# ---- 8 -----------------------------------------------------------------------


def test_a_resource_that_is_the_rowid(l):
    """BEFORE INSERT sees -1 for a rowid that SQLite is to choose."""
    try:
        guard(l, "id INTEGER PRIMARY KEY, token INTEGER", "id")
    except apsw.Error:
        return  # refused by lease_guard: also well
    l.run("SELECT lease_acquire('l', '1', 'alice')")
    token = l.value("SELECT lease_acquire('l', '-1', 'mallory')")
    refused(l, "INSERT INTO work(token) VALUES (?)", (token,))


def test_a_default_that_or_replace_puts_in(l):
    guard(l, "task TEXT NOT NULL DEFAULT 'A', token INTEGER",
          "coalesce(NEW.task, 'none')")
    token = l.value("SELECT lease_acquire('l', 'none', 'mallory')")
    refused(l, "INSERT OR REPLACE INTO work VALUES (NULL, ?)", (token,))


def test_a_unique_generated_column_of_a_default(l):
    try:
        guard(l, "x NOT NULL DEFAULT 5, task TEXT, token INTEGER,"
                 " g AS (x) UNIQUE")
    except apsw.Error:
        return
    token = l.value("SELECT lease_acquire('l', 'B', 'mallory')")
    l.run("INSERT INTO work VALUES (5, 'A', 1)")
    refused(l, "INSERT OR REPLACE INTO work VALUES (NULL, 'B', ?)", (token,))


# ---- 9 -----------------------------------------------------------------------


def test_a_caller_s_clock_expires_no_lease_of_the_system_s(l):
    l.run("CREATE VIRTUAL TABLE c USING lease(clock='caller')")
    l.run("SELECT lease_acquire('c', 'x', 'mallory', NULL, NULL, 4000000000000)")
    assert l.value("SELECT lease_holds('l', 'A', 1)") == 1
    assert l.value("SELECT lease_acquire('l', 'A', 'mallory')") is None


# ---- 10 ----------------------------------------------------------------------


@pytest.mark.parametrize("door", ["lease_steal('l', resource, token, 'op', 'w')",
                                  "lease_transfer('l', resource, token, 'op')"])
@pytest.mark.parametrize("index", ["SELECT 1",
                                   "CREATE INDEX by_token ON l_held(token)"])
def test_a_door_for_each_lease_ends(l, door, index):
    l.run(index)  # which a scan follows, where it would else sort
    timer = threading.Timer(5, l.connection.interrupt)
    timer.start()
    try:
        assert l.value(f"SELECT count({door}) FROM l") == 1
    finally:
        timer.cancel()


# ---- 11 ----------------------------------------------------------------------


@pytest.mark.parametrize("legacy", [0, 1])
def test_a_lease_table_with_a_guard_can_be_renamed(l, legacy):
    guard(l)
    l.run(f"PRAGMA legacy_alter_table = {legacy}")
    l.run("ALTER TABLE l RENAME TO m")
    l.run("INSERT INTO work VALUES ('A', 1, 0)")
    refused(l, "INSERT INTO work VALUES ('B', 1, 0)")
    assert l.run(CHECK) == []


# ---- 12 ----------------------------------------------------------------------


@pytest.mark.parametrize("values, policy", [
    ("(NULL, 'bob', 1)", False), ("('B', 5, 1)", False), ("('B', 'bob', 0)",
                                                          False),
    ("('B', 'bob', 1)", True)])
def test_or_ignore_hides_no_refusal(l, values, policy):
    if policy:
        l.run("CREATE TRIGGER z BEFORE INSERT ON l_held BEGIN"
              " SELECT RAISE(ABORT, 'policy'); END")
    refused(l, f"INSERT OR IGNORE INTO l(resource, holder, ttl_ms)"
               f" VALUES {values}")


def test_or_ignore_leaves_no_half_grant(l):
    l.run("CREATE TRIGGER z BEFORE INSERT ON l_event WHEN NEW.kind ="
          " 'acquired' BEGIN SELECT RAISE(ABORT, 'audit'); END")
    refused(l, "INSERT OR IGNORE INTO l(resource, holder) VALUES ('B', 'bob')")


# ---- 13 ----------------------------------------------------------------------


def test_new_inside_a_literal(l):
    guard(l, resource="'new.' || NEW.task")
    token = l.value("SELECT lease_acquire('l', 'new.T', 'alice')")
    l.run("INSERT INTO work VALUES ('T', ?, 0)", (token,))
    l.run("UPDATE work SET n = 1; DELETE FROM work")


@pytest.mark.parametrize("token", ["coalesce(NEW.token, held.token)",
                                   "max(NEW.token, high.token)"])
def test_an_expression_sees_the_row_alone(l, token):
    l.run("CREATE TABLE work(task TEXT, token INTEGER)")
    refused(l, "SELECT lease_guard('work', 'l', 'task', ?)", (token,))


def test_a_partial_index_that_names_its_table(l):
    l.run("CREATE TABLE work(task TEXT, token INTEGER, n)")
    l.run("CREATE UNIQUE INDEX i ON work(n) WHERE work.n > 0")
    assert l.value("SELECT lease_guard('work', 'l', 'task', 'token')") == 3


# ---- 14 ----------------------------------------------------------------------


def test_the_successor_replaces_with_recursive_triggers(l):
    guard(l)
    l.run("INSERT INTO work VALUES ('A', 1, 0)")
    token = l.value("SELECT lease_steal('l', 'A', 1, 'bob', 'stuck')")
    replace = "INSERT OR REPLACE INTO work VALUES ('A', ?, 1)"
    l.run("PRAGMA recursive_triggers = 1")
    refused(l, replace, (token,))  # it would delete the row with the token 1
    l.run("UPDATE work SET token = ?", (token,))
    l.run(replace, (token,))
    l.run("PRAGMA recursive_triggers = 0")
    token = l.value("SELECT lease_transfer('l', 'A', ?, 'bob')", (token,))
    l.run(replace, (token,))


# ---- 15 ----------------------------------------------------------------------


def test_the_doctor_finds_a_guard_that_lost_a_trigger_and_its_entry(l):
    guard(l)
    l.run("DELETE FROM holdfast_guard; DROP TRIGGER work_lease_update")
    assert ("guard_missing", "work_lease_update") in l.run(CHECK)


def test_the_doctor_forgets_a_table_that_is_gone(l):
    guard(l)
    l.run("DROP TABLE work")
    if l.run(CHECK):
        l.run("SELECT lease_unguard('work')")  # the remedy
    assert l.run(CHECK) == []


def test_the_doctor_finds_an_index_after_a_rename(l):
    guard(l)
    l.run("ALTER TABLE work RENAME TO job")
    l.run("CREATE UNIQUE INDEX i ON job(n)")
    assert ("guard_altered", "work_lease_insert") in l.run(CHECK)


def test_the_doctor_finds_a_guard_without_its_lease_table(l):
    guard(l)
    l.run("DROP TABLE l")
    assert l.run("SELECT 1 FROM holdfast_check WHERE object LIKE 'work%'")


# ---- 16 and on ---------------------------------------------------------------


def test_a_transfer_to_oneself_is_no_new_term(l):
    assert l.value("SELECT lease_renew('l', 'A', 1)")
    assert l.value("SELECT lease_renew('l', 'A', 1)") is None
    token = l.value("SELECT lease_transfer('l', 'A', 1, 'alice')")
    assert token is None or \
        l.value("SELECT lease_renew('l', 'A', ?)", (token,)) is None


def test_update_from(l):
    l.run("CREATE TABLE t(r, ms); INSERT INTO t VALUES ('A', 5000)")
    l.run("UPDATE l SET ttl_ms = t.ms FROM t WHERE l.resource = t.r")
    assert l.value("SELECT ttl_ms FROM l") == 5000


def test_detail_can_be_taken_away(l):
    l.run("INSERT INTO l(resource, holder, detail) VALUES ('B', 'bob', 'x')")
    l.run("UPDATE l SET detail = NULL WHERE resource = 'B'")
    assert l.value("SELECT detail FROM l WHERE resource = 'B'") is None


def test_words_for_a_row_that_moves(l):
    guard(l)
    token = l.value("SELECT lease_acquire('l', 'B', 'alice')")
    l.run("INSERT INTO work VALUES ('A', 1, 0)")
    with pytest.raises(apsw.ConstraintError) as error:
        l.run("UPDATE work SET task = 'B', token = ?", (token,))
    assert "does not hold" not in str(error.value)  # it does


def test_denials_follow_a_rename(l):
    denied(l)
    l.run("ALTER TABLE l RENAME TO m")
    l.run("SELECT lease_acquire('m', 'B', 'bob')")
    assert l.value("SELECT count(*) FROM m_event WHERE kind = 'contended'") == 1


def test_a_denial_is_written_once(l):
    l.run("CREATE TRIGGER z AFTER INSERT ON l_event WHEN NEW.kind ="
          " 'contended' BEGIN SELECT RAISE(FAIL, 'no'); END")
    denied(l)
    for resource in "BCD":
        l.run("INSERT INTO l(resource, holder) VALUES (?, 'bob')", (resource,))
    assert l.value("SELECT count(*) FROM l_event WHERE kind = 'contended'") < 2


def test_the_mark_rises_within_a_millisecond(l):
    """A token that is granted at the time of the one before is in the mark."""
    token = 1
    l.run("BEGIN")
    for _ in range(100):
        token = l.value("SELECT lease_steal('l', 'A', ?, 'bob', 'stuck')",
                        (token,))
        assert l.value("SELECT token FROM lease_high_water WHERE id = 1") \
            == token
    l.run("COMMIT")
