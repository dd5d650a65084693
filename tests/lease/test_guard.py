"""lease_guard: a write whose row does not carry the token that holds its
resource now is refused, with and without the extension."""
import sqlite3

import apsw
import pytest

WORDS = ("work: the token of the row does not hold its resource now; acquire it"
         " from l, and write that token with the row")
STRAY = ("work: the write takes a row to another resource, or displaces one of"
         " another; delete that first, with its own token")


@pytest.fixture
def work(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=600000)")
    db.run("CREATE TABLE work(task TEXT NOT NULL, token INTEGER, n UNIQUE,"
           " PRIMARY KEY (task))")
    assert db.value("SELECT lease_guard('work', 'l', 'task', 'token')") == 3
    assert db.value("SELECT lease_acquire('l', 'a', 'alice')") == 1
    assert db.value("SELECT lease_acquire('l', 'b', 'bob')") == 2
    db.run("INSERT INTO work VALUES ('a', 1, 10), ('b', 2, 20)")
    return db


def plain(db, sql):
    connection = sqlite3.connect(db.path, isolation_level=None)
    try:
        connection.execute(sql)
    finally:
        connection.close()


STRAYS = ["INSERT OR REPLACE INTO work VALUES ('b', 2, 10)",  # displaces a's
          "UPDATE OR REPLACE work SET n = 10 WHERE task = 'b'",
          "UPDATE work SET task = 'b2', token = 2 WHERE task = 'b'",
          "UPDATE work SET task = 'a', token = 1 WHERE task = 'b'"]


@pytest.mark.parametrize("sql", STRAYS + [
    "INSERT INTO work VALUES ('c', 1, 5)",  # another resource's token
    "INSERT INTO work VALUES ('c', NULL, 5)",
    "INSERT INTO work VALUES ('c', 99, 5)", "INSERT INTO work(task) VALUES (1)",
    "INSERT OR IGNORE INTO work VALUES ('c', 2, 5)",
    "INSERT OR REPLACE INTO work VALUES ('a', 2, 5)",
    "UPDATE work SET token = 2 WHERE task = 'a'",
    "UPDATE work SET token = NULL", "UPDATE work SET n = 1, token = 7",
    "INSERT INTO work VALUES ('a', 2, 1) ON CONFLICT DO UPDATE SET n = 1",
    "INSERT INTO work VALUES ('a', 1, 1) ON CONFLICT DO UPDATE SET token = 2",
])
def test_writes_that_are_refused(work, sql):
    words = STRAY if sql in STRAYS else WORDS
    work.fails(sql, words)
    before = work.state()
    with pytest.raises(sqlite3.IntegrityError) as error:
        plain(work, sql)
    assert str(error.value) == words
    assert work.state() == before


@pytest.mark.parametrize("sql", [
    "UPDATE work SET n = n + 1", "DELETE FROM work", "REPLACE INTO work VALUES"
    " ('a', 1, 11)", "UPDATE work SET n = 5 WHERE task = 'a'",
    "INSERT INTO work VALUES ('a', 1, 1) ON CONFLICT(task) DO UPDATE SET n = 2",
    "INSERT OR REPLACE INTO work VALUES ('b', 2, 21)",
])
def test_writes_that_pass(work, sql):
    before = work.state()
    plain(work, sql)
    assert work.state() != before


def test_a_stale_writer_never_commits(work):
    assert work.value("SELECT lease_steal('l', 'a', 1, 'op', 'stuck')") == 3
    for sql in ("UPDATE work SET n = 1 WHERE task = 'a'",
                "UPDATE work SET n = 1, token = 1 WHERE task = 'a'",
                "REPLACE INTO work VALUES ('a', 1, 1)",
                "DELETE FROM work WHERE task = 'a'"):
        work.fails(sql, WORDS)
    plain(work, "UPDATE work SET n = 1, token = 3 WHERE task = 'a'")
    plain(work, "DELETE FROM work WHERE task = 'a'")
    assert work.value("SELECT lease_release('l', 'b', 2)") == 1
    work.fails("UPDATE work SET n = 1", WORDS)


def test_expiry_is_the_clock_s(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=1)")
    db.run("CREATE TABLE work(task, token)")
    db.run("SELECT lease_guard('work', 'l', 'task', 'token')")
    token = db.value("SELECT lease_acquire('l', 'a', 'x')")
    while db.value("SELECT lease_holds('l', 'a', ?)", (token,)):
        pass
    db.fails("INSERT INTO work VALUES ('a', ?)", WORDS, (token,))


def test_a_clock_of_the_caller(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=10, clock='caller')")
    db.run("CREATE TABLE work(task, token)")
    db.run("SELECT lease_guard('work', 'l', 'task', 'token')")
    db.run("SELECT lease_acquire('l', 'a', 'x', NULL, NULL, 100)")
    db.run("INSERT INTO work VALUES ('a', 1)")
    db.run("SELECT lease_acquire('l', 'other', 'x', NULL, NULL, 110)")
    db.fails("INSERT INTO work VALUES ('a', 1)", WORDS)


def test_cascades(db):
    db.run("PRAGMA foreign_keys = ON; CREATE VIRTUAL TABLE l USING lease;"
           " CREATE TABLE p(id INTEGER PRIMARY KEY); CREATE TABLE work("
           "task TEXT, token INTEGER, p REFERENCES p ON DELETE CASCADE)")
    db.reopen = False
    db.run("PRAGMA foreign_keys = ON")
    db.run("SELECT lease_guard('work', 'l', 'task', 'token')")
    db.run("SELECT lease_acquire('l', 'a', 'x')")
    db.run("INSERT INTO p VALUES (1); INSERT INTO work VALUES ('a', 1, 1)")
    db.run("SELECT lease_release('l', 'a', 1)")
    db.fails("DELETE FROM p", WORDS)


@pytest.mark.parametrize("resource, token", [
    ("'phase/' || NEW.task", "NEW.token"), ("new.task || ''", "coalesce("
     "NEW.token, 0)"), ("lower(NEW.task)", "token"),
    ("(SELECT renew.x || NEW.task FROM (SELECT '' AS x) AS renew)", "token"),
])
def test_expressions(db, resource, token):
    db.run("CREATE VIRTUAL TABLE l USING lease; CREATE TABLE work(task TEXT,"
           " token INTEGER, n)")
    assert db.value("SELECT lease_guard('work', 'l', ?, ?)",
                    (resource, token)) == 3
    for name in ("phase/t", "t"):
        db.run("SELECT lease_acquire('l', ?, 'x')", (name,))
    good = 1 if "phase" in resource else 2
    db.run("INSERT INTO work VALUES ('t', ?, 0)", (good,))
    db.run("UPDATE work SET n = 1")
    db.fails("UPDATE work SET token = ?", WORDS, (3 - good,))
    db.run("DELETE FROM work")


@pytest.mark.parametrize("arguments, words", [
    (("work", "l", "tsk", "token"), "'tsk' is neither a column of work nor an"
     " expression over NEW.<column>: no such column: tsk"),
    (("work", "l", "'x' || task", "token"), "ambiguous column name: task"),
    (("work", "l", "OLD.task", "token"), "no such column: OLD.task"),
    (("work", "l", "task", "no"), "'no' is neither a column"),
    (("work", "l", "NEW.no", "token"), "no such column: NEW.no"),
    (("work", "l", "NEW.task)", "token"), "syntax error"),
    (("work", "x", "task", "token"), "no such lease table: main.x"),
    (("x", "l", "task", "token"), "lease_guard: no such table: main.x"),
    (("l", "l", "task", "token"), "l is not an ordinary table"),
    (("l_held", "l", "holder", "token"), "l_held is not an ordinary table"),
    ((None, "l", "task", "token"), "lease_guard: the arguments are a table"),
    (("work", "l", 5, "token"), "lease_guard: the arguments are a table"),
])
def test_guards_that_are_none(work, arguments, words):
    work.fails("SELECT lease_guard(?, ?, ?, ?)", words, arguments)


def test_the_manifest_and_unguard(work):
    names = [f"work_lease_{verb}" for verb in ("delete", "insert", "update")]
    assert work.run("SELECT name FROM holdfast_guard WHERE table_name = 'work'"
                    " ORDER BY name") == [(name,) for name in names]
    check = "SELECT object FROM holdfast_check WHERE finding = ?"
    for name in names:
        text = work.value("SELECT sql FROM sqlite_schema WHERE name = ?",
                          (name,))
        plain(work, f"DROP TRIGGER {name}")
        assert work.run(check, ("guard_missing",)) == [(name,)]
        plain(work, text.replace("IS NOT 1", "IS NOT 1 AND 0"))
        assert work.run(check, ("guard_altered",)) == [(name,)]
        plain(work, f"DROP TRIGGER {name}")
        plain(work, text)
    assert work.run("SELECT * FROM holdfast_check WHERE finding LIKE 'g%'") \
        == []
    assert work.value("SELECT lease_guard('work', 'l', 'task', 'token')") == 3
    assert work.value("SELECT lease_unguard('work')") == 3
    assert work.value("SELECT lease_unguard('work')") == 0
    work.run("UPDATE work SET token = 99")
    assert work.run("SELECT * FROM holdfast_check WHERE finding LIKE 'g%'") \
        == []


def test_without_the_lease_table(work):
    work.run("DROP TABLE l")
    with pytest.raises(apsw.SQLError) as error:
        work.run("UPDATE work SET n = 1")
    assert "no such table: main.l_held" in str(error.value)


@pytest.mark.parametrize("column, index, values, refused", [
    ("n INTEGER NOT NULL DEFAULT 5 UNIQUE", "", (5, None), True),
    ("n TEXT", "n COLLATE NOCASE", ("x", "X"), True),
    ("n TEXT COLLATE NOCASE", "n COLLATE BINARY", ("x", "X"), False),
    ("n INTEGER", "n) WHERE (n > 0", (7, 7), True),
    ("n INTEGER", "n) WHERE (n > 0", (-7, -7), False),
])
def test_what_or_replace_displaces(db, column, index, values, refused):
    """By each unique index as that compares: a's row must not go."""
    db.run(f"CREATE VIRTUAL TABLE l USING lease; CREATE TABLE work(task TEXT,"
           f" token INTEGER, {column})")
    if index:
        db.run(f"CREATE UNIQUE INDEX i ON work({index})")
    db.run("SELECT lease_guard('work', 'l', 'task', 'token')")
    for task, holder in (("a", "alice"), ("b", "bob")):
        db.run("SELECT lease_acquire('l', ?, ?)", (task, holder))
    db.run("INSERT INTO work VALUES ('a', 1, ?)", values[:1])
    sql = "INSERT OR REPLACE INTO work VALUES ('b', 2, ?)"
    if refused:
        db.fails(sql, STRAY, values[1:])
    else:
        db.run(sql, values[1:])
        assert db.value("SELECT count(*) FROM work") == 2


def test_a_rowid_that_is_chosen_late(db):
    """Before the row is stored it is -1."""
    db.run("CREATE VIRTUAL TABLE l USING lease; CREATE TABLE work(token)")
    assert db.value("SELECT lease_guard('work', 'l', 'char(116) || NEW.rowid',"
                    " 'token')") == 5
    db.run("SELECT lease_acquire('l', 't-1', 'mallory')")
    db.fails("INSERT INTO work VALUES (1)", WORDS)
    db.run("SELECT lease_acquire('l', 't1', 'alice')")
    db.run("INSERT INTO work VALUES (2); UPDATE work SET token = 2")
    db.fails("INSERT INTO work VALUES (2)", WORDS)


def test_a_token_that_is_the_default(db):
    db.run("CREATE VIRTUAL TABLE l USING lease; CREATE TABLE work(task TEXT,"
           " token INTEGER NOT NULL DEFAULT 1)")
    assert db.value("SELECT lease_guard('work', 'l', 'task', 'token')") == 5
    db.run("SELECT lease_acquire('l', 'a', 'alice')")
    db.run("INSERT OR REPLACE INTO work VALUES ('a', NULL)")
    db.run("SELECT lease_steal('l', 'a', 1, 'op', 'stuck')")
    db.fails("INSERT OR REPLACE INTO work VALUES ('a', NULL)", WORDS)
