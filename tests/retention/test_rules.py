"""Holds, floors, references, thinning, the newest of a key, and what is not
touched."""
import apsw
import pytest

from conftest import DAY, NOW


def ids(db, table="violations"):
    return [row[0] for row in db.run(f"SELECT id FROM {table} ORDER BY id")]


@pytest.fixture(name="five")
def five_expired(one):
    db = one
    for n in range(5):
        db.old("violations", 60 + n, names=", id, rule", extra=(n, f"r{n}"))
    db.policy("violations")
    return db


# ---- holds ------------------------------------------------------------------

@pytest.mark.parametrize("hold,kept", [
    ({"predicate": "rule = 'r2'"}, [2]),
    ({"predicate": "violations.rule IN ('r1', 'r2') -- both"}, [1, 2]),
    ({"predicate": "id IN (SELECT value FROM json_each('[0, 4]'))"}, [0, 4]),
    ({"predicate": "\"rule\" = 'r3' AND id > 0 /* one */"}, [3]),
    ({"key": 3}, [3]),
    ({"key": "3"}, [3]),
    ({}, [0, 1, 2, 3, 4]),
    ({"key": 3, "until": NOW + 1}, [3]),
    ({"key": 3, "until": NOW}, []),
    ({"key": 77}, []),
])
def test_a_hold(five, hold, kept):
    five.hold("violations", **hold)
    planned = five.plan()["violations"]
    done = five.applied()["violations"]
    assert (planned["rows"], planned["held"]) == (5 - len(kept), len(kept))
    assert (done["deleted"], done["held"]) == (5 - len(kept), len(kept))
    assert ids(five) == kept


def test_a_hold_wins_over_force_and_an_empty_parent(five):
    five.run("UPDATE retention_policy SET parent_table = 'file_metadata',"
             " parent_key = 'path', child_key = 'file'")
    five.hold("violations", key=1)
    assert five.apply(force=True)["deleted"] == 4
    assert ids(five) == [1]


def test_many_holds(five):
    five.run("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n"
             " WHERE i < 3000) INSERT INTO retention_hold(table_name, key,"
             " reason, owner) SELECT 'violations', 2 * i, 'r', 'o' FROM n")
    assert five.apply()["deleted"] == 2
    assert ids(five) == [0, 2, 4]


def test_a_key_of_several_columns(db):
    db.run("CREATE TABLE t(a TEXT, b INTEGER, created_at INTEGER,"
           " PRIMARY KEY (a, b)) WITHOUT ROWID;"
           "INSERT INTO t VALUES ('x', 1, 1), ('x', 2, 1), ('y', 1, 1)")
    db.policy("t")
    db.hold("t", key='["x", 2]')
    assert db.apply(force=True)["deleted"] == 2
    assert db.run("SELECT a, b FROM t") == [("x", 2)]


@pytest.mark.parametrize("predicate", [
    "nonsense = 1", "rule = 'r1'; DELETE FROM violations", "1) OR (1", "(1",
    "'open", "/* open", "?1 = 1", ":x", "@x", "$x", "holdfast_install('lease')",
    '"holdfast_install"("lease")', "[retention_apply] (0)",
    "retention_apply/**/(0)", "EXISTS (SELECT 1 FROM retention_plan(0))",
    "EXISTS (SELECT 1 FROM pragma_table_list('x'))", "1 UNION SELECT 1",
    "load_extension('x')", "1\0", "rule = 'r1' --", "max(id) > 0",
])
def test_a_hold_that_cannot_be_read_holds_all(five, predicate):
    if predicate == "rule = 'r1' --":
        five.hold("violations", predicate=predicate)
        assert five.apply()["deleted"] == 4
        return
    five.hold("violations", predicate=predicate)
    done = five.applied()["violations"]
    assert done["deleted"] == 0 and done["blocked"], done
    assert five.plan()["violations"]["blocked"] == done["blocked"]
    assert ids(five) == [0, 1, 2, 3, 4]
    assert not five.run("SELECT 1 FROM sqlite_schema WHERE name LIKE 'lease%'")


@pytest.mark.parametrize("bad", ["nonsense(1)", "1; 2", "no_column = 1"])
def test_a_filter_that_cannot_be_read_keeps_all(five, bad):
    five.run("UPDATE retention_policy SET keep_filter = ?", (bad,))
    done = five.applied()["violations"]
    assert done["deleted"] == 0 and "keep_filter" in done["blocked"]


def test_a_filter_keeps(five):
    five.run("UPDATE retention_policy SET keep_filter = 'rule = ''r1'''")
    assert five.apply()["deleted"] == 4
    assert ids(five) == [1]


# ---- floors -----------------------------------------------------------------

TOO_YOUNG = ("violations: the table is locked; retention_floor says how long"
             " rows are kept")


@pytest.fixture(name="locked")
def locked_table(db):
    now = db.value("SELECT unixepoch() * 1000")
    for days in (10, 39, 41, 400):
        db.old("violations", days, now, names=", id", extra=(days,))
    db.policy("violations")
    assert db.value(f"SELECT retention_lock('violations', {40 * DAY})") \
        == 40 * DAY
    return db


@pytest.mark.parametrize("statement", [
    "DELETE FROM violations WHERE id = 39",
    "DELETE FROM violations",
    "INSERT OR REPLACE INTO violations(id, created_at) VALUES (39, 1)",
    "REPLACE INTO violations(id, created_at) VALUES (10, 1)",
    "UPDATE OR REPLACE violations SET id = 39 WHERE id = 400",
])
def test_nobody_deletes_before_the_floor(locked, statement):
    locked.fails(statement, TOO_YOUNG)
    plain = apsw.Connection(locked.path)  # without the extension
    plain.setbusytimeout(5000)
    with pytest.raises(apsw.ConstraintError, match="locked"):
        plain.cursor().execute(statement)
    plain.cursor().execute("BEGIN; DELETE FROM violations WHERE id = 41;"
                           "ROLLBACK")
    plain.close()


@pytest.mark.parametrize("statement,message", [
    ("UPDATE violations SET created_at = 1 WHERE id = 10",
     "violations: the table is locked; the time of a row stays"),
    ("DELETE FROM retention_floor", "retention_floor: a floor stays"),
    ("UPDATE retention_floor SET min_keep_ms = 1",
     "retention_floor: a floor only rises"),
    ("UPDATE retention_floor SET time_column = 'id'",
     "retention_floor: a floor only rises"),
    ("INSERT OR REPLACE INTO retention_floor VALUES ('violations',"
     " 'created_at', 's', 1)", "retention_floor: the table is locked"),
    ("INSERT OR REPLACE INTO retention_policy(table_name, tier, time_column)"
     " VALUES ('violations', 'short', 'created_at')",
     "retention_policy: the table is locked for longer"),
    ("UPDATE retention_policy SET keep_ms = 1",
     "retention_policy: the table is locked for longer"),
    ("UPDATE retention_tier SET keep_ms = 1 WHERE tier = 'short'",
     "retention_tier: a table of that tier is locked for longer"),
    ("SELECT retention_lock('violations', 86400000)",
     "retention_lock: violations is locked for 3456000000 ms, and a floor only"
     " rises; 86400000 is less"),
])
def test_a_floor_only_rises(locked, statement, message):
    locked.fails(statement, message)


def test_a_floor_wins_over_the_policy(locked):
    now = locked.value("SELECT unixepoch() * 1000")
    assert locked.plan(now)["violations"]["rows"] == 2
    assert locked.apply(now)["deleted"] == 2  # 39 d are past 30, not past 40
    assert ids(locked) == [10, 39]
    locked.run(f"SELECT retention_lock('violations', {50 * DAY})")
    assert locked.value("SELECT min_keep_ms FROM retention_floor") == 50 * DAY
    # A clock set forward by whoever runs it does not help.
    assert locked.apply(now + 30 * DAY, force=True)["deleted"] == 0
    locked.run("INSERT INTO violations(created_at) VALUES (1)")
    locked.run("DELETE FROM violations WHERE created_at = 1")
    found = [row[0] for row in locked.run("SELECT finding FROM holdfast_check"
                                          " WHERE object LIKE 'violations%'")]
    assert found == ["retention_unindexed"]
    locked.run("DROP TRIGGER violations_lock_delete")
    found = [row[0] for row in locked.run("SELECT finding FROM holdfast_check"
                                          " WHERE object LIKE 'violations%'")]
    assert "guard_missing" in found


@pytest.mark.parametrize("unit,young,old", [
    ("ms", "unixepoch() * 1000", "1000"),
    ("iso8601", "datetime('now')", "'1970-01-01 00:00:00'"),
    ("julian", "julianday('now')", "2440588.5"),
])
def test_a_floor_in_each_unit(db, unit, young, old):
    db.run(f"CREATE TABLE t(at); INSERT INTO t SELECT {young};"
           f"INSERT INTO t SELECT {old}")
    db.policy("t", "long", "at", unit)
    db.run("SELECT retention_lock('t', 86400000)")
    with pytest.raises(apsw.ConstraintError):
        db.run("DELETE FROM t WHERE rowid = 1")
    db.run("DELETE FROM t WHERE rowid = 2")
    db.run("INSERT INTO t VALUES (NULL), (x'00')")
    with pytest.raises(apsw.ConstraintError):
        db.run("DELETE FROM t WHERE at IS NULL")
    with pytest.raises(apsw.ConstraintError):
        db.run("DELETE FROM t WHERE typeof(at) = 'blob'")


# ---- parents ----------------------------------------------------------------

def orphans(db, gone, there):
    db.run("INSERT INTO file_metadata VALUES ('there.c', 1)")
    for n in range(gone + there):
        name = "gone.c" if n < gone else "there.c"
        db.old("detections", 1, names=", file", extra=(name,))
    db.policy("detections", "current", None, None, keep_ms=None,
              parent_table="file_metadata", parent_key="path",
              child_key="file")


@pytest.mark.parametrize("gone,there,options,deleted", [
    (9, 1, {}, 9), (10, 1, {}, 0), (10, 1, {"force": True}, 10),
    (10, 1, {"max_fraction": 0.95}, 10), (2, 2, {"max_fraction": 0.4}, 0),
    (1, 0, {}, 0), (0, 3, {}, 0),
])
def test_a_large_loss_is_refused(one, gone, there, options, deleted):
    db = one
    orphans(db, gone, there)
    planned = db.plan(**options)["detections"]
    done = db.applied(**options)["detections"]
    assert (planned["rows"], done["deleted"]) == (deleted, deleted)
    if gone and not deleted:
        assert "more than max_fraction" in done["blocked"]
        assert planned["blocked"] == done["blocked"]


def test_orphans_are_refused_and_old_rows_go(db):
    orphans(db, 10, 0)
    db.old("detections", 40, names=", file", extra=("there.c",))
    db.run("UPDATE retention_policy SET tier = 'short', time_unit = 's',"
           " time_column = 'created_at'")
    done = db.applied()["detections"]
    assert done["deleted"] == 1 and "max_fraction" in done["blocked"]


# ---- foreign keys -----------------------------------------------------------

def test_a_cascade_takes_nothing_that_stays(db):
    db.run("CREATE TABLE p(id INTEGER PRIMARY KEY, created_at INTEGER);"
           "CREATE TABLE c(p REFERENCES p ON DELETE CASCADE);"
           "INSERT INTO p VALUES (1, 1), (2, 1); INSERT INTO c VALUES (1)")
    db.policy("p")
    done = db.applied(force=True)["p"]
    assert (done["deleted"], done["skipped"]) == (1, 1)
    assert db.count("c") == 1


def test_a_tree_goes_from_its_leaves(db):
    db.run("CREATE TABLE tree(id INTEGER PRIMARY KEY,"
           " up REFERENCES tree, created_at INTEGER);"
           "INSERT INTO tree VALUES (1, NULL, 1), (2, 1, 1), (3, 2, 1),"
           " (4, NULL, 1), (5, 4, 1699999999), (6, 6, 1)")
    db.policy("tree")
    assert db.plan()["tree"]["rows"] == 4
    done = db.applied()["tree"]
    assert (done["deleted"], done["skipped"]) == (4, 1)
    assert ids(db, "tree") == [4, 5]


def test_a_circle_is_refused(db):
    db.run("CREATE TABLE a(id INTEGER PRIMARY KEY, b REFERENCES b,"
           " created_at INTEGER);"
           "CREATE TABLE b(id INTEGER PRIMARY KEY, a REFERENCES a,"
           " created_at INTEGER); INSERT INTO a VALUES (1, NULL, 1)")
    db.policy("a")
    db.policy("b")
    done = db.applied(force=True)
    words = [entry["blocked"] for entry in done.values() if "blocked" in entry]
    assert len(words) == 1 and words[0].endswith(
        "run in a circle; make one of them no foreign key, or the policy of"
        " one permanent")
    assert words == [entry["blocked"] for entry in db.plan(force=True).values()
                     if entry["blocked"]]
    # As it says.
    db.run("UPDATE retention_policy SET tier = 'permanent'"
           " WHERE table_name = 'b'; INSERT INTO a VALUES (5, NULL, 1)")
    assert db.applied(force=True)["a"]["deleted"] > 0
    assert db.count("a") == 0


@pytest.mark.parametrize("tables", [2, 3, 5])
def test_a_circle_of_any_length_is_refused(one, tables):
    one.run("PRAGMA foreign_keys = 0")
    for n in range(tables):
        one.run(f"CREATE TABLE c{n}(id INTEGER PRIMARY KEY,"
                f" r REFERENCES c{(n + 1) % tables}, created_at INTEGER);"
                f"INSERT INTO c{n} VALUES (1, NULL, 1), (2, 2, 1)")
        one.policy(f"c{n}")
    planned = one.plan(force=True)
    done = one.applied(force=True)
    assert {t: entry.get("blocked") for t, entry in done.items()} == {
        t: entry["blocked"] for t, entry in planned.items()}
    assert any("run in a circle" in (entry.get("blocked") or "")
               for entry in done.values())
    one.run("PRAGMA foreign_keys = 1")
    assert one.run("PRAGMA foreign_key_check") == []


def test_an_error_of_one_table_leaves_the_others(five):
    five.run("CREATE TRIGGER no BEFORE DELETE ON violations BEGIN"
             " SELECT RAISE(ABORT, 'not this one'); END")
    five.old("detections", 40)
    five.policy("detections")
    done = five.applied()
    assert (done["detections"]["deleted"], done["violations"]["deleted"],
            done["violations"]["blocked"]) == (1, 0, "not this one")
    five.old("detections", 40)
    with pytest.raises(apsw.ConstraintError, match="not this one"):
        five.apply(strict=True)
    five.run("DROP TRIGGER no; CREATE TRIGGER no BEFORE DELETE ON violations"
             " BEGIN SELECT RAISE(IGNORE); END")
    assert "RAISE(IGNORE)" in five.applied()["violations"]["blocked"]
    assert ids(five) == [0, 1, 2, 3, 4]


# ---- the newest, and thinning -----------------------------------------------

def test_the_newest_of_each_key_stay(db):
    for n in range(12):
        db.old("violations", 40 + n, names=", id, rule", extra=(n, f"r{n % 2}"))
    db.policy("violations")
    db.run("INSERT INTO retention_latest VALUES ('violations',"
           " '[\"rule\"]', 2)")
    assert db.apply()["deleted"] == 8
    assert ids(db) == [0, 1, 2, 3]
    db.run("UPDATE retention_policy SET tier = 'current';"
           "UPDATE retention_latest SET keep_rows = 1")
    assert db.apply()["deleted"] == 2
    assert ids(db) == [0, 1]


def test_thinning(one):
    """Daily after 2 days, weekly after 30, monthly after 90, none after 365;
    the rows that survive one day are among those of the day before."""
    db = one
    db.run("CREATE TABLE m(id INTEGER PRIMARY KEY, name TEXT,"
           " created_at INTEGER)")
    db.policy("m", "long", unit="ms")
    for days, period in ((2, "daily"), (30, "weekly"), (90, "monthly")):
        db.run("INSERT INTO retention_thin VALUES ('m', ?, ?, '[\"name\"]')",
               (days * DAY, period))
    db.run("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n"
           " WHERE i < 1600) INSERT INTO m(name, created_at)"
           f" SELECT x, {NOW} - i * 21600000 FROM n, (SELECT 'a' AS x UNION"
           " SELECT 'b')")
    planned = db.plan()["m"]["rows"]
    assert db.apply()["deleted"] == planned > 2500
    kept = db.run("SELECT name, created_at FROM m ORDER BY 1, 2")
    assert [k for n, k in kept if n == "a"] == [k for n, k in kept if n == "b"]
    ages = [(NOW - k) / DAY for n, k in kept if n == "a"]
    assert max(ages) <= 365
    assert len([a for a in ages if a <= 2]) == 9       # all of four a day
    assert len([a for a in ages if 2 < a <= 30]) == 29  # one a day
    assert len([a for a in ages if 30 < a <= 90]) in (9, 10)
    assert len([a for a in ages if 90 < a]) in (9, 10)
    assert db.apply()["deleted"] == 0
    before = set(kept)
    for day in range(1, 40, 3):
        db.apply(NOW + day * DAY)
        now = set(db.run("SELECT name, created_at FROM m"))
        assert now <= before
        before = now


# ---- what is not touched ----------------------------------------------------

def test_tables_of_ledgers_and_leases(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(x INTEGER)")
    db.run("INSERT INTO l(x) VALUES (1)")
    db.run("CREATE VIRTUAL TABLE lock USING lease")
    db.run("CREATE TABLE tracked(id INTEGER PRIMARY KEY, created_at INTEGER)")
    for table, column in (("l_entry", "at"), ("lock_held", "now"),
                          ("tracked", "created_at")):
        column = column if table != "lock_held" else db.value(
            "SELECT name FROM pragma_table_info('lock_held') LIMIT 1")
        db.policy(table, "short", column, "ms", keep_ms=0)
    db.run("CREATE VIRTUAL TABLE t USING ledger(table_name TEXT, op TEXT,"
           " old BLOB, content ANY)")
    db.run("SELECT ledger_track('tracked', 't')")
    db.run("INSERT INTO tracked VALUES (1, 1)")
    done = db.applied()
    assert set(done) == {"l_entry", "lock_held", "tracked"}
    for entry in done.values():
        assert entry["deleted"] == 0 and entry["blocked"]
    assert db.count("tracked") == 1 and db.count("l_entry") == 1
    assert db.verify("l") == []


def test_permanent_and_disabled(five):
    five.run("UPDATE retention_policy SET tier = 'permanent'")
    assert five.plan() == {} and five.apply()["tables"] == []
    five.run("UPDATE retention_policy SET tier = 'short', enabled = 0")
    assert five.plan() == {} and five.apply()["deleted"] == 0


def test_a_table_that_is_gone(five):
    five.run("DROP TABLE violations; CREATE VIEW violations AS SELECT 1")
    assert five.applied()["violations"]["blocked"] \
        == "it is a view; name the tables behind it"
    five.run("DROP VIEW violations")
    assert five.applied()["violations"]["blocked"] \
        == "there is no such table; drop the policy"
    assert ("retention_blocked", "violations") in five.run(
        "SELECT finding, object FROM holdfast_check")


def test_a_temp_table_of_the_same_name(five):
    if five.reopen:
        return
    for name in ("violations", "retention_policy", "retention_hold",
                 "retention_run", "retention_tier"):
        five.run(f"CREATE TEMP TABLE {name}(id, created_at)")
    five.run("INSERT INTO temp.violations VALUES (9, 1)")
    assert five.apply()["deleted"] == 5
    assert five.run("SELECT count(*) FROM main.violations") == [(0,)]
    assert five.run("SELECT count(*) FROM temp.violations") == [(1,)]
