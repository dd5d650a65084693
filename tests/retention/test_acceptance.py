"""The acceptance values of retention: each is a test."""
import pytest

from conftest import DAY, NOW


def test_sixty_daily_runs_plateau_at_31_days(one):
    """100 rows a day, 30 days: 3 100 rows from day 31 on."""
    db = one
    db.run("CREATE INDEX detections_time ON detections(created_at)")
    db.policy("detections")
    sizes, pages = [], []
    for day in range(61):
        now = NOW + day * DAY
        db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
               " WHERE i < 100) INSERT INTO detections(file, created_at)"
               " SELECT 'a.c', ? FROM n", (now // 1000,))
        db.apply(now)
        sizes.append(db.count("detections"))
        pages.append(db.value("PRAGMA page_count"))
    assert sizes[:31] == [100 * (day + 1) for day in range(31)]
    assert set(sizes[30:]) == {3100}
    assert pages[-1] <= pages[33] + 4  # the log of the runs grows a little


@pytest.mark.parametrize("unit,value", [
    ("s", lambda ms: ms // 1000),
    ("ms", lambda ms: ms),
    ("julian", lambda ms: (ms + 210866760000000) / 86400000.0),
    ("iso8601", None),
])
def test_the_row_exactly_at_the_limit_is_kept(db, unit, value):
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, at)")
    offsets = [-2592001, -2592000, -2591999, 0, 86400]
    for offset in offsets:
        ms = NOW + offset * 1000
        if value:
            db.run("INSERT INTO t(id, at) VALUES (?, ?)", (offset, value(ms)))
        else:
            db.run("INSERT INTO t(id, at) VALUES (?,"
                   " datetime(? / 1000, 'unixepoch'))", (offset, ms))
    db.policy("t", time="at", unit=unit)
    assert db.applied()["t"]["deleted"] == 1
    assert db.run("SELECT id FROM t ORDER BY id") == [
        (offset,) for offset in offsets[1:]]


def test_a_length_of_0_deletes_what_is_older_than_now(db):
    db.old("violations", 1 / 86400)
    db.old("violations", 0)
    db.policy("violations", keep_ms=0)
    assert db.applied()["violations"]["deleted"] == 1
    assert db.count("violations") == 1


@pytest.mark.parametrize("foreign_keys", [0, 1])
def test_an_old_module_with_a_young_correction_is_skipped(db, foreign_keys):
    db.foreign_keys = foreign_keys
    db.run(f"PRAGMA foreign_keys={foreign_keys}")
    db.old("migration_projects", 500, names=", id", extra=(1,))
    db.old("migration_modules", 400, names=", id, project_id", extra=(1, 1))
    db.old("migration_corrections", 10, names=", module_id", extra=(1,))
    db.old("violations", 60)
    for table in ("migration_projects", "migration_modules",
                  "migration_corrections"):
        db.policy(table, tier="long")
    db.policy("violations")
    planned = db.plan()
    done = db.applied()
    assert list(done) == ["migration_corrections", "migration_modules",
                          "migration_projects", "violations"]
    assert [done[t]["skipped"] for t in done] == [0, 1, 1, 0]
    assert [done[t]["deleted"] for t in done] == [0, 0, 0, 1]
    assert [planned[t]["skipped"] for t in done] == [0, 1, 1, 0]
    db.run("UPDATE migration_corrections SET created_at = 1")
    assert [entry["rows"] for entry in db.plan().values()] == [1, 1, 1, 0]
    assert db.apply()["deleted"] == 3


def test_an_empty_reference_is_refused(db):
    for n in range(5):
        db.old("detections", n, names=", file", extra=(f"{n}.c",))
    db.policy("detections", "current", None, None,
              parent_table="file_metadata", parent_key="path",
              child_key="file")
    words = ("reference empty: its parent file_metadata has no rows, so all of"
             " them look like orphans; fill it, or give {\"force\":true}")
    assert db.plan()["detections"]["blocked"] == words
    assert db.plan()["detections"]["rows"] == 0
    done = db.applied()["detections"]
    assert (done["deleted"], done["kept"], done["blocked"]) == (0, 5, words)
    assert db.plan(force=True)["detections"]["rows"] == 5
    assert db.apply(force=True)["deleted"] == 5


def test_a_hold_on_2_of_5(db):
    for n in range(5):
        db.old("violations", 60 + n, names=", id", extra=(n,))
    db.policy("violations")
    db.hold("violations", predicate="id IN (1, 3)")
    assert (db.plan()["violations"]["rows"],
            db.plan()["violations"]["held"]) == (3, 2)
    done = db.applied()["violations"]
    assert (done["deleted"], done["held"], done["kept"]) == (3, 2, 2)
    assert db.run("SELECT id FROM violations") == [(1,), (3,)]


def test_a_roll_up_before_the_deletion(db):
    """What a sum is before is what carry and rest are together after."""
    db.run("""
      CREATE TABLE feedback(id INTEGER PRIMARY KEY, pattern TEXT, a REAL,
        b REAL, created_at INTEGER NOT NULL) STRICT;
      CREATE TABLE carry(pattern TEXT PRIMARY KEY, a REAL NOT NULL DEFAULT 0,
        b REAL NOT NULL DEFAULT 0) STRICT;
      CREATE VIEW carry_in AS SELECT pattern, a, b FROM feedback WHERE 0;
      CREATE TRIGGER carry_in_insert INSTEAD OF INSERT ON carry_in
      BEGIN
        INSERT INTO carry VALUES (NEW.pattern, NEW.a, NEW.b)
            ON CONFLICT(pattern) DO UPDATE SET a = a + excluded.a,
                                               b = b + excluded.b;
      END;""")
    for n in range(200):
        db.connection.cursor().execute(
            "INSERT INTO feedback(pattern, a, b, created_at)"
            " VALUES (?, ?, ?, ?)", (f"p{n % 7}", n % 3, 0.5 * (n % 2),
                                     NOW // 1000 - n * 86400))
    total = ("SELECT pattern, sum(a), sum(b) FROM (SELECT pattern, a, b FROM"
             " feedback UNION ALL SELECT pattern, a, b FROM carry)"
             " GROUP BY pattern ORDER BY pattern")
    db.policy("feedback", "medium")
    db.run("INSERT INTO retention_rollup VALUES ('feedback', 'carry_in')")
    before = db.run(total)
    assert db.apply(batch_rows=17)["deleted"] == 109
    for was, now in zip(before, db.run(total)):
        assert was[0] == now[0]
        assert abs(was[1] - now[1]) <= 1e-12 * max(1, abs(was[1]))
        assert abs(was[2] - now[2]) <= 1e-12 * max(1, abs(was[2]))
    assert db.apply()["deleted"] == 0


@pytest.mark.parametrize("half_life", [None, 20 * DAY])
def test_posteriors_are_the_same_after_feedback_is_deleted(one, half_life):
    """Retention of the area confidence's own tables."""
    db = one
    db.run("SELECT holdfast_install('confidence')")
    db.run("UPDATE confidence_setting SET now = ?, half_life_ms = ?",
           (NOW, half_life))
    for n in range(240):
        db.run("INSERT INTO confidence_violation(id, pattern_id, detector_id,"
               " created_at) VALUES (?, ?, ?, ?)",
               (f"v{n}", f"p{n % 5}", f"d{n % 3}", NOW - n * DAY))
        db.run("INSERT INTO confidence_feedback(violation_id, action, author,"
               " at) VALUES (?, ?, ?, ?)",
               (f"v{n}", ("fix", "dismiss", "escalate", "suppress")[n % 4],
                f"a{n % 7}", NOW - n * DAY))
    db.policy("confidence_violation", "short", unit="ms")
    db.policy("confidence_feedback", "medium", "at", "ms")
    scores = ("SELECT pattern_id, alpha, beta, mean, low, high, feedback"
              " FROM confidence ORDER BY pattern_id")
    states = ("SELECT detector_id, acted, false_positives, rate, state"
              " FROM confidence_detector ORDER BY detector_id")
    before, judged = db.run(scores), db.run(states)
    done = db.applied(batch_rows=13)
    assert done["confidence_feedback"]["deleted"] == 240 - 91
    assert done["confidence_violation"]["deleted"] == 240 - 31
    for was, now in zip(before, db.run(scores)):
        assert was[0] == now[0] and was[6] == now[6]
        for left, right in zip(was[1:6], now[1:6]):
            assert abs(left - right) <= 1e-12 * max(1, abs(left))
    assert db.run(states) == judged


def test_a_second_apply_deletes_nothing(db):
    """Of rows past their time, thinned ones, orphans, and the newest."""
    db.run("INSERT INTO file_metadata VALUES ('a.c', 1)")
    for n in range(60):
        db.old("violations", n, names=", rule", extra=(f"r{n % 3}",))
        db.old("detections", n, names=", file", extra=(("a.c", "b.c")[n % 2],))
    db.policy("violations")
    db.run("INSERT INTO retention_thin VALUES ('violations', ?, 'weekly',"
           " '[\"rule\"]')", (7 * DAY,))
    db.run("INSERT INTO retention_latest VALUES ('violations', '[\"rule\"]',"
           " 5)")
    db.policy("detections", parent_table="file_metadata", parent_key="path",
              child_key="file")
    assert db.apply()["deleted"] > 50
    state = db.run("SELECT (SELECT group_concat(id) FROM violations),"
                   " (SELECT group_concat(id) FROM detections)")
    assert db.apply()["deleted"] == 0
    assert db.run("SELECT (SELECT group_concat(id) FROM violations),"
                  " (SELECT group_concat(id) FROM detections)") == state


def test_orphans_go_whatever_their_age(db):
    db.run("INSERT INTO file_metadata VALUES ('a.c', 1), ('b.c', 1)")
    for name in ("a.c", "gone.c", "b.c", "gone.c", "A.C"):
        db.old("detections", 0, names=", file", extra=(name,))
    db.policy("detections", "current", None, None,
              parent_table="file_metadata", parent_key="path",
              child_key="file")
    done = db.applied()["detections"]
    assert (done["deleted"], done["kept"]) == (3, 2)
    assert db.run("SELECT file FROM detections ORDER BY id") == [
        ("a.c",), ("b.c",)]


def test_the_plan_changes_nothing_and_says_what_goes(db):
    for n in range(100):
        db.connection.cursor().execute(
            "INSERT INTO violations(created_at) VALUES (?)",
            (NOW // 1000 - n * 86400,))
    db.policy("violations")
    changes = db.connection.totalchanges()
    state = db.state()
    planned = db.plan()["violations"]
    assert db.connection.totalchanges() == changes and db.state() == state
    assert planned["rows"] == 69
    assert planned["oldest"] == (NOW // 1000 - 99 * 86400) * 1000
    assert planned["newest"] == (NOW // 1000 - 31 * 86400) * 1000
    assert planned["bytes"] > 69 * 8
    assert db.applied()["violations"]["deleted"] == planned["rows"]
    assert db.apply()["deleted"] == 0


@pytest.mark.parametrize("mode", ["INCREMENTAL", "NONE"])
def test_vacuum_with_honest_figures(one, mode):
    db = one
    db.run(f"PRAGMA auto_vacuum={mode}")
    db.run("VACUUM")
    db.run("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
           " WHERE i < 3000) INSERT INTO violations(rule, created_at)"
           " SELECT printf('%0500d', i), 1600000000 FROM n")
    db.old("violations", 1)
    db.policy("violations")
    before = db.value("PRAGMA page_count")
    report = db.apply()
    assert report["deleted"] == 3000 and report["pages_before"] == before
    assert report["pages_after"] == db.value("PRAGMA page_count")
    if mode == "NONE":
        assert report["pages_after"] >= before
        assert "auto_vacuum is NONE" in report["vacuum"]
        assert db.value("PRAGMA freelist_count") > 300
    else:
        assert report["pages_after"] < before - 300
        assert "vacuum" not in report
        assert db.value("PRAGMA freelist_count") == 0
    assert db.value("PRAGMA integrity_check") == "ok"


def test_a_null_among_the_references(db):
    """NOT IN would find no orphan at all."""
    db.run("CREATE TABLE files(path TEXT)")
    db.run("INSERT INTO files VALUES ('a.c'), (NULL)")
    for name in ("a.c", "a.c", "gone.c", None):
        db.old("detections", 1, names=", file", extra=(name,))
    db.policy("detections", "current", None, None, parent_table="files",
              parent_key="path", child_key="file")
    assert db.applied()["detections"]["deleted"] == 1
    assert db.run("SELECT file FROM detections") == [("a.c",), ("a.c",),
                                                     (None,)]


def test_the_report(one):
    one.old("violations", 60)
    one.policy("violations")
    one.policy("detections")
    report = one.apply()
    assert list(report) == ["run", "now", "deleted", "tables", "pages_before",
                            "pages_after"] or "vacuum" in report
    assert report["run"] == 1 and report["now"] == NOW
    for entry in report["tables"]:
        assert list(entry) == ["table", "deleted", "kept", "held", "skipped",
                               "ms"]
    assert [(e["table"], e["deleted"]) for e in report["tables"]] == [
        ("detections", 0), ("violations", 1)]
    assert one.run("SELECT run, now, deleted, complete, ended_at IS NOT NULL"
                   " FROM retention_run") == [(1, NOW, 1, 1, 1)]
    assert one.run("SELECT table_name, state, deleted FROM retention_progress"
                   ) == [("detections", "done", 0), ("violations", "done", 1)]
