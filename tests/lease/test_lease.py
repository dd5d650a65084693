"""Leases: who is granted one, until when, what is refused and with which
words.  The table takes the caller's time, so that each instant is the test's."""
import os
import pathlib
import sqlite3

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")
DOORS = {"acquire": 2, "renew": 2, "release": 2, "holds": 2, "steal": 4,
         "transfer": 3}


@pytest.fixture
def l(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=1000, max_ttl_ms=5000,"
           " max_renewals=3, clock='caller')")
    return db


def acquire(l, resource, holder, now, ttl=None, wait=None):
    return l.value("SELECT lease_acquire('l', ?, ?, ?, ?, ?)",
                   (resource, holder, ttl, wait, now))


def renew(l, resource, token, now, ttl=None):
    return l.value("SELECT lease_renew('l', ?, ?, ?, ?)",
                   (resource, token, ttl, now))


def release(l, resource, token, now):
    return l.value("SELECT lease_release('l', ?, ?, ?)",
                   (resource, token, now))


def holds(l, resource, token, now):
    return l.value("SELECT lease_holds('l', ?, ?, ?)", (resource, token, now))


def held(l, now):
    return l.run("SELECT resource, holder, token, acquired_at, expires_at,"
                 " renewals FROM l WHERE now = ? ORDER BY token", (now,))


def events(l, columns="kind, resource, holder, token"):
    return l.run(f"SELECT {columns} FROM l_event ORDER BY rowid")


def test_free_held_expired_and_taken_over(l):
    assert acquire(l, "r", "a", 100) == 1
    assert held(l, 100) == [("r", "a", 1, 100, 1100, 0)]
    assert acquire(l, "r", "b", 500) is None
    assert acquire(l, "other", "b", 500) == 2
    assert acquire(l, "r", "b", 1099) is None
    assert acquire(l, "r", "b", 1100) == 3  # equality is expired
    assert held(l, 1100) == [("other", "b", 2, 500, 1500, 0),
                             ("r", "b", 3, 1100, 2100, 0)]
    assert events(l) == [
        ("acquired", "r", "a", 1), ("contended", "r", "b", 1),
        ("acquired", "other", "b", 2), ("contended", "r", "b", 1),
        ("expired", "r", "a", 1), ("acquired", "r", "b", 3)]
    assert l.value("SELECT held_ms FROM l_event WHERE kind = 'expired'") == 1000


def test_one_comparison_everywhere(l):
    token = acquire(l, "r", "a", 0)
    assert [holds(l, "r", token, now) for now in (0, 999, 1000, 1001)] \
        == [1, 1, 0, 0]
    assert held(l, 999) and not held(l, 1000)
    assert renew(l, "r", token, 1000) is None
    assert release(l, "r", token, 1000) == 0
    assert acquire(l, "r", "b", 1000) == 2


def test_renewal(l):
    token = acquire(l, "r", "a", 0)
    assert renew(l, "r", token, 400) == 1400  # from now, not from expiry
    assert renew(l, "r", token, 500, 10) == 510  # also shorter
    assert renew(l, "r", token + 1, 500) is None
    assert renew(l, "other", token, 500) is None
    assert renew(l, "r", token, 509, 5000) == 5509
    assert renew(l, "r", token, 600) is None  # max_renewals=3
    assert acquire(l, "r", "a", 600) is None
    l.fails("INSERT INTO l(resource, holder, now) VALUES ('r', 'a', 600)",
            "lease l: r has been renewed 3 times, which is its max_renewals;"
            " token 1 expires in 4909 ms")
    assert acquire(l, "r", "a", 5509) == 2
    assert events(l, "kind, held_ms")[1] == ("renewed", 400)


def test_the_holder_gets_its_own_token_back(l):
    assert [acquire(l, "r", "a", now) for now in (0, 10, 20)] == [1, 1, 1]
    assert held(l, 20) == [("r", "a", 1, 0, 1020, 2)]
    l.run("INSERT INTO l(resource, holder, detail, now)"
          " VALUES ('r', 'a', 'why', 30)")
    assert l.run("SELECT token, detail FROM l WHERE now = 30") == [(1, "why")]


def test_no_limit_of_renewals(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(max_renewals=0, ttl_ms=10,"
           " clock='caller')")
    assert {acquire(db, "r", "a", 5 * i) for i in range(50)} == {1}


def test_release_and_release_all(l):
    for i, resource in enumerate("rst"):
        assert acquire(l, resource, "a", i) == i + 1
    assert acquire(l, "u", "b", 10) == 4
    assert release(l, "r", 2, 20) == 0  # the token of another resource
    assert release(l, "r", 1, 20) == 1
    assert release(l, "r", 1, 20) == 0
    assert acquire(l, "r", "b", 20) == 5
    assert l.value("SELECT lease_release_all('l', 'a', 30)") == 2
    assert l.value("SELECT lease_release_all('l', 'a', 30)") == 0
    assert [row[0] for row in held(l, 30)] == ["u", "r"]
    assert l.run("SELECT held_ms FROM l_event WHERE kind = 'released'") \
        == [(20,), (29,), (28,)]


def test_steal_and_transfer(l):
    acquire(l, "r", "a", 0)
    steal = "SELECT lease_steal('l', 'r', ?, ?, ?, 100)"
    assert l.value(steal, (7, "op", "stuck")) is None
    assert l.value(steal, (1, "op", "stuck")) == 2
    assert held(l, 100) == [("r", "op", 2, 100, 1000, 0)]
    assert not holds(l, "r", 1, 100) and renew(l, "r", 1, 100) is None
    move = "SELECT lease_transfer('l', 'r', ?, ?, 200)"
    assert l.value(move, (1, "heir")) is None
    assert l.value(move, (2, "heir")) == 3
    assert held(l, 200) == [("r", "heir", 3, 200, 1000, 0)]
    assert l.value(move, (3, "late")) == 4
    assert l.run("SELECT kind, holder, token, detail FROM l_event"
                 " WHERE kind IN ('stolen', 'transferred')") == [
        ("stolen", "op", 2, "stuck"), ("transferred", "heir", 3, None),
        ("transferred", "late", 4, None)]


def test_lock_delay(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=10, lock_delay_ms=50,"
           " clock='caller')")
    assert acquire(db, "r", "a", 0) == 1
    assert acquire(db, "r", "b", 59) is None
    db.fails("INSERT INTO l(resource, holder, now) VALUES ('r', 'b', 59)",
             "lease l: r expired with token 1; only its former holder a may"
             " acquire it for another 1 ms")
    assert acquire(db, "r", "a", 59) == 2
    assert release(db, "r", 2, 60) == 1
    assert acquire(db, "r", "b", 60) == 3  # released, not expired
    assert acquire(db, "r", "c", 120) == 4


def test_time_never_goes_back(l):
    assert acquire(l, "r", "a", 5000) == 1
    assert acquire(l, "s", "a", 10) == 2
    assert held(l, 0)[1] == ("s", "a", 2, 5000, 6000, 0)
    assert acquire(l, "r", "b", 6000) == 3
    assert not holds(l, "r", 1, 0)  # set back, it is not resurrected
    assert renew(l, "r", 1, 0) is None and release(l, "r", 1, 0) == 0


def test_tokens_are_never_reused(l):
    tokens = [acquire(l, "r", "a", 0)]
    release(l, "r", 1, 0)
    l.run("DELETE FROM l_event; BEGIN")
    acquire(l, "r", "lost", 0)
    l.run("ROLLBACK")
    tokens.append(acquire(l, "r", "b", 1))
    l.run("VACUUM; DROP TABLE l; CREATE VIRTUAL TABLE l USING"
          " lease(clock='caller'); CREATE VIRTUAL TABLE m USING lease")
    tokens.append(acquire(l, "r", "a", 2))
    tokens.append(l.value("SELECT lease_acquire('m', 'r', 'a')"))
    assert tokens == [1, 2, 3, 4]
    l.fails("DELETE FROM lease_high_water", "tokens are never given twice")
    for change in ("token = 0", "token = 9", "now = 0", "now = now + 1",
                   "id = 2", "token = NULL"):
        l.fails(f"UPDATE lease_high_water SET {change}",
                "lease_high_water: tokens and time only grow")
    l.fails("INSERT OR REPLACE INTO lease_high_water VALUES (1, 0, 0)",
            "lease_high_water: tokens are never given twice")


def test_savepoints(l):
    l.run("BEGIN; SAVEPOINT s")
    assert acquire(l, "r", "a", 0) == 1
    l.run("ROLLBACK TO s")
    assert held(l, 0) == []
    assert acquire(l, "r", "b", 0) == 1  # of the first nobody ever heard
    l.run("COMMIT")
    assert held(l, 0) == [("r", "b", 1, 0, 1000, 0)]


# ---- the walls --------------------------------------------------------------

def test_the_wall_of_insert(l):
    l.run("INSERT INTO l(resource, holder, now) VALUES ('r', 'a', 0)")
    for verb in ("INSERT", "INSERT OR IGNORE", "INSERT OR REPLACE"):
        l.fails(f"{verb} INTO l(resource, holder, now) VALUES ('r', 'b', 5)",
                "lease l: r is held by a with token 1 for another 995 ms")
    for column in ("token", "acquired_at", "expires_at", "renewals", "rowid"):
        l.fails(f"INSERT INTO l(resource, holder, {column})"
                " VALUES ('x', 'a', 5)",
                "lease l: token, acquired_at, expires_at and renewals are"
                " decided here")
    with pytest.raises(apsw.ConstraintError):
        l.run("INSERT INTO l(resource, holder, now) VALUES ('r', 'b', 5)")


def test_the_walls_of_update_and_delete(l):
    acquire(l, "r", "a", 0)
    l.run("UPDATE l SET ttl_ms = 50 WHERE token = 1 AND now = 10")
    assert held(l, 10) == [("r", "a", 1, 0, 60, 1)]
    l.run("UPDATE l SET detail = 'd', ttl_ms = 90 WHERE resource = 'r'"
          " AND now = 20")
    assert l.run("SELECT expires_at, detail FROM l WHERE now = 20") \
        == [(110, "d")]
    for change in ("resource = 's'", "holder = 'b'", "token = 9",
                   "expires_at = 1", "renewals = 0", "acquired_at = 5",
                   "rowid = 9"):
        l.fails(f"UPDATE l SET {change} WHERE now = 20", "lease l: an UPDATE"
                " sets ttl_ms, detail or both, and so renews")
    l.run("DELETE FROM l WHERE token = 1 AND now = 30")
    assert held(l, 30) == []
    l.run("DELETE FROM l WHERE token = 1 AND now = 30")
    assert l.connection.changes() == 0


@pytest.mark.parametrize("sql", [
    "INSERT INTO l_held VALUES (9, 'x', 'y', 0, 99999, 0, 1, NULL)",
    "INSERT OR REPLACE INTO l_held VALUES (1, 'r', 'y', 0, 99999, 0, 1, NULL)",
    "INSERT INTO l_held SELECT token + 1, 'x', holder, acquired_at, expires_at,"
    " 0, 1, NULL FROM l_held", "UPDATE l_held SET expires_at = 99999",
    "UPDATE l_held SET holder = 'b'", "UPDATE OR IGNORE l_held SET token = 7",
    "DELETE FROM l_held", "DELETE FROM l_held WHERE token = 1",
])
def test_nobody_writes_directly(l, sql):
    acquire(l, "r", "a", 0)
    l.fails(sql, "lease l: leases are granted, renewed and released through l")
    plain = sqlite3.connect(l.path)
    before = l.state()
    with pytest.raises(sqlite3.OperationalError) as error:
        plain.execute(sql)
    assert str(error.value) == "no such function: lease_deciding"
    plain.close()
    assert l.state() == before


def test_policy_triggers(l):
    l.run("CREATE TRIGGER p BEFORE INSERT ON l_held WHEN NEW.holder = 'evil'"
          " BEGIN SELECT RAISE(ABORT, 'not him'); END")
    l.fails("INSERT INTO l(resource, holder, now) VALUES ('r', 'evil', 0)",
            "not him")
    l.fails("SELECT lease_acquire('l', 'r', 'evil', NULL, NULL, 0)", "not him")
    l.run("CREATE TRIGGER q BEFORE INSERT ON l_held BEGIN"
          " SELECT RAISE(IGNORE); END")
    l.fails("SELECT lease_acquire('l', 'r', 'a', NULL, NULL, 0)",
            "lease l: a trigger on l_held swallowed the decision")
    l.run("DROP TRIGGER q; CREATE TRIGGER again AFTER INSERT ON l_held BEGIN"
          " UPDATE l_held SET expires_at = 99999 WHERE token = NEW.token; END")
    l.fails("SELECT lease_acquire('l', 'r', 'a', NULL, NULL, 0)",
            "lease l: leases are granted, renewed and released through l")


# ---- arguments --------------------------------------------------------------

NAMES = [None, "", 5, b"x", "a\0b", "x" * 1025, "x" * 10**6]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_none(l, name):
    acquire(l, "r", "a", 0)
    words = "must be TEXT of 1 to 1024 bytes of UTF-8 without NUL"
    for what, pair in (("resource", (name, "a")), ("holder", ("x", name))):
        l.fails("INSERT INTO l(resource, holder) VALUES (?, ?)",
                f"lease l: the {what} {words}", pair)
        l.fails("SELECT lease_acquire('l', ?, ?)",
                f"lease l: the {what} {words}", pair)
    assert acquire(l, "x" * 1024, "\u00e9" * 512, 0) == 2


@pytest.mark.parametrize("ttl", [0, -1, 5001, 2**62, -2**63, 1.5, "5", b"5"])
def test_terms_that_are_none(l, ttl):
    acquire(l, "r", "a", 0)
    words = "lease l: ttl_ms must be an INTEGER from 1 to 5000"
    l.fails("INSERT INTO l(resource, holder, ttl_ms) VALUES ('x', 'a', ?)",
            words, (ttl,))
    l.fails("SELECT lease_acquire('l', 'x', 'a', ?)", words, (ttl,))
    l.fails("SELECT lease_renew('l', 'r', 1, ?, 0)", words, (ttl,))
    l.fails("UPDATE l SET ttl_ms = ? WHERE now = 0", words, (ttl,))


@pytest.mark.parametrize("now", [-1, 2**53, 2**63 - 1, 1.5, "5", b"5"])
def test_times_that_are_none(l, now):
    words = "lease l: now must be an INTEGER"
    l.fails("INSERT INTO l(resource, holder, now) VALUES ('x', 'a', ?)",
            words, (now,))
    l.fails("SELECT * FROM l WHERE now = ?", words, (now,))
    l.run("CREATE VIRTUAL TABLE s USING lease")
    for given in (now, 5):
        l.fails("INSERT INTO s(resource, holder, now) VALUES ('x', 'a', ?)",
                "lease s: it reads the clock itself; clock='caller' takes",
                (given,))


def test_tokens_that_are_none(l):
    for token in ("1", 1.5, b"1"):
        for door in ("renew", "release", "holds"):
            l.fails(f"SELECT lease_{door}('l', 'r', ?)",
                    f"lease_{door}: the token must be an INTEGER", (token,))
    assert l.value("SELECT lease_holds('l', 'r', NULL)") == 0
    assert l.value("SELECT lease_holds('l', NULL, 1)") == 0


@pytest.mark.parametrize("options, words", [
    ("ttl_ms=0", "ttl_ms must be a whole number from 1 to"),
    ("ttl_ms=-5", "ttl_ms must be a whole number"),
    ("ttl_ms='5'", "ttl_ms must be a whole number"),
    ("max_ttl_ms=10", "ttl_ms is above max_ttl_ms, which is 10"),
    ("max_renewals=1e3", "max_renewals must be a whole number from 0"),
    ("lock_delay_ms=x", "lock_delay_ms must be a whole number from 0"),
    ("clock='wall'", "clock must be 'system' or 'caller'"),
    ("ttl=5", "unknown option ttl=5; the options are ttl_ms, max_ttl_ms,"),
    ("a TEXT", "unknown option a TEXT"), ("=5", "unknown option =5"),
])
def test_options_that_are_none(db, options, words):
    db.fails(f"CREATE VIRTUAL TABLE l USING lease({options})",
             f"lease l: {words}")
    assert db.run("SELECT * FROM sqlite_schema WHERE name LIKE 'l\\_%'"
                  " ESCAPE '\\'") == []


def test_tables_that_are_none(l):
    for name, words in (("x", "no such lease table: main.x"),
                        (None, "the name of the lease table is missing"),
                        (5, "the name of the lease table is missing")):
        for door, count in DOORS.items():
            marks = ", 'r'" * count
            l.fails(f"SELECT lease_{door}(?{marks})", words, (name,))


# ---- places -----------------------------------------------------------------

def test_doors_inside_a_statement_that_writes(l):
    l.run("CREATE TABLE x(a)")
    for door, arguments in (("acquire", "'l', 'r', 'a'"),
                            ("renew", "'l', 'r', 1"),
                            ("release", "'l', 'r', 1"),
                            ("release_all", "'l', 'a'")):
        l.fails(f"INSERT INTO x SELECT lease_{door}({arguments})",
                f"lease_{door} cannot run inside a statement that writes")
        l.fails(f"CREATE TABLE y AS SELECT lease_{door}({arguments}) AS v",
                f"lease_{door} cannot run inside a statement that writes")
    l.run("CREATE VIEW v AS SELECT lease_acquire('l', 'r', 'a')")
    l.fails("SELECT * FROM v", "unsafe use of lease_acquire()")
    acquire(l, "r", "a", 0)
    l.run("INSERT INTO x SELECT lease_holds('l', 'r', 1, 0)")
    l.run("INSERT INTO x SELECT token FROM l WHERE now = 0")
    assert l.run("SELECT a FROM x") == [(1,), (1,)]


def test_read_only(l):
    acquire(l, "r", "a", 0)
    reader = apsw.Connection(f"file:{l.path}?mode=ro", flags=(
        apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI))
    reader.enableloadextension(True)
    reader.loadextension(LIBRARY)
    assert list(reader.cursor().execute(
        "SELECT lease_holds('l', 'r', 1, 0)")) == [(1,)]
    for sql in ("SELECT lease_acquire('l', 's', 'a')",
                "SELECT lease_release('l', 'r', 1)"):
        with pytest.raises(apsw.ReadOnlyError) as error:
            list(reader.cursor().execute(sql))
        assert "the database is read-only; open it for writing" \
            in str(error.value)
    reader.close()


def test_busy_passes_through(l):
    other = sqlite3.connect(l.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    l.connection.setbusytimeout(20)
    with pytest.raises(apsw.BusyError):
        l.connection.cursor().execute(
            "SELECT lease_acquire('l', 'r', 'a')").fetchall()
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.parametrize("db", ["wal", "untrusted"], indirect=True)
def test_a_stale_snapshot_is_told_apart(db):
    db.run("CREATE VIRTUAL TABLE l USING lease")
    connection = db.connection.cursor()
    connection.execute("BEGIN; SELECT * FROM l_held")
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("CREATE TABLE x(a)")
    other.close()
    with pytest.raises(apsw.BusyError) as error:
        connection.execute("SELECT lease_acquire('l', 'r', 'a')").fetchall()
    assert error.value.extendedresult == apsw.SQLITE_BUSY_SNAPSHOT
    connection.execute("ROLLBACK")


def test_waiting(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=500)")
    first = db.value("SELECT lease_acquire('l', 'r', 'a')")
    assert db.value("SELECT lease_acquire('l', 'r', 'b', NULL, 1)") is None
    second = db.value("SELECT lease_acquire('l', 'r', 'b', NULL, 20000)")
    assert second == first + 1
    db.run("BEGIN")
    with pytest.raises(apsw.SQLError) as error:
        db.run("SELECT lease_acquire('l', 'r', 'c', NULL, 5)")
    assert "it waits only outside a transaction" in str(error.value)
    db.run("ROLLBACK")
    for wait in (-1, 1.5, "5"):
        db.fails("SELECT lease_acquire('l', 'r', 'c', NULL, ?)",
                 "lease_acquire: wait_ms must be an INTEGER", (wait,))
    assert [row[0] for row in events(db, "kind")] == [
        "acquired", "contended", "expired", "acquired"]


def test_attached_renamed_and_dropped(db, tmp_path):
    db.reopen = False
    db.run(f"ATTACH '{tmp_path}/aux.db' AS aux")
    db.run("CREATE VIRTUAL TABLE aux.l USING lease(clock='caller')")
    assert db.value("SELECT lease_acquire('aux.l', 'r', 'a', 5, 0, 0)") == 1
    assert db.run("SELECT token FROM aux.l WHERE now = 0") == [(1,)]
    db.run("ALTER TABLE aux.l RENAME TO m")
    assert db.value("SELECT lease_acquire('aux.m', 'r', 'b', 5, 0, 9)") == 2
    assert db.run("SELECT * FROM holdfast_check WHERE finding LIKE 'g%'") == []
    db.run("DROP TABLE aux.m")
    assert db.run("SELECT name FROM aux.sqlite_schema WHERE name LIKE 'm%'") \
        == []
    db.run("CREATE VIRTUAL TABLE aux.l USING lease(clock='caller')")
    assert db.value("SELECT lease_acquire('aux.l', 'r', 'a', 5, 0, 0)") == 3


def test_a_name_is_looked_up_again_when_the_schema_changes(tmp_path):
    """A kept statement keeps the table of before connected."""
    one, two = (apsw.Connection(str(tmp_path / "l.db")) for _ in range(2))
    for db in one, two:
        db.enableloadextension(True)
        db.loadextension(LIBRARY)
    one.cursor().execute("CREATE VIRTUAL TABLE l USING lease(clock='caller')")
    acquire_at = "SELECT lease_acquire('l', 'r', 'a', NULL, 0, ?)"
    expires = "SELECT expires_at FROM l_held"
    kept = one.cursor().execute("SELECT 1 UNION ALL SELECT token FROM l")
    assert next(kept) == (1,)
    assert one.cursor().execute(acquire_at, (1,)).fetchall() == [(1,)]
    assert one.cursor().execute(expires).fetchall() == [(300001,)]
    kept.close()
    two.cursor().execute("DROP TABLE l; CREATE VIRTUAL TABLE l"
                         " USING lease(ttl_ms=7, clock='caller')")
    assert one.cursor().execute(acquire_at, (2,)).fetchall() == [(2,)]
    assert one.cursor().execute(expires).fetchall() == [(9,)]
    held_now = "SELECT lease_holds('l', 'r', 2, 8)"
    assert one.cursor().execute(held_now).fetchall() == [(1,)]
    two.cursor().execute("DROP TABLE l")
    with pytest.raises(apsw.SQLError, match="no such lease table: main.l"):
        one.cursor().execute(acquire_at, (3,)).fetchall()
    one.close()
    two.close()


def test_decisions_that_a_trigger_makes_have_tokens_of_their_own(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(clock='caller')")
    db.run("CREATE VIRTUAL TABLE m USING lease(clock='caller')")
    db.run("CREATE TRIGGER policy AFTER INSERT ON l_held BEGIN"
           " INSERT INTO m(resource, holder, now)"
           "  VALUES (NEW.resource, NEW.holder, NEW.acquired_at); END")
    for resource in "ab":
        acquire(db, resource, "x", 5)
    assert db.run("SELECT token FROM l_held ORDER BY token") == [(1,), (3,)]
    assert db.run("SELECT token FROM m_held ORDER BY token") == [(2,), (4,)]
    assert db.value("SELECT max(token) FROM lease_high_water") == 4
