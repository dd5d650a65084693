"""The health monitor: what is decided from which checks, and what follows."""
import json

import pytest

UP, DOWN = 1, 0


@pytest.fixture(name="m")
def monitored(db):
    db.start = db.now() - 100000
    start(db, "r")
    return db


def start(db, release, profile="default", previous="r0", ago=100000):
    db.run("INSERT INTO monitor(release, profile, previous, started_at)"
           " VALUES (?, ?, ?, ?)", (release, profile, previous,
                                    db.now() - ago))


def check(db, ok=UP, rate=0.0, memory=None, release="r", verb="INSERT"):
    db.run(f"{verb} INTO monitor_check(release, ok, error_rate, memory_mb)"
           " VALUES (?, ?, ?, ?)", (release, ok, rate, memory))
    return db.run("SELECT decision, reason, evidence FROM monitor_decision"
                  " ORDER BY id DESC LIMIT 1")[0]


def letters(db, checks, release="r"):
    """H, D, E or R for each check, until it is rolled back."""
    out = ""
    for one in checks:
        out += check(db, *one, release=release)[0][0].upper()
        if out[-1] == "R":
            break
    return out


ALTERNATING = [DOWN, UP, DOWN, UP, DOWN, UP]
SEQUENCES = {
    # name: profile, checks (ok, error rate, memory), decisions
    "R1 too few": ("default", [(DOWN, 1.0)], "H"),
    "R2 1 %": ("default", [(UP, 0.01)] * 8, "HHHHHHHH"),
    "R3 10 %": ("default", [(UP, 0.1)] * 8, "HDDDDDDD"),
    "R4 a pure spike, ours": ("default", [(UP, 0.5)] * 6, "HDDDR"),
    "R4 all errors, ours": ("default", [(UP, 1.0)] * 6, "HDDDR"),
    "R4 one check below": ("default", [(UP, 0.5)] * 4 + [(UP, 0.2)]
                           + [(UP, 0.5)] * 5, "HDDDDDDDDR"),
    "R5 down": ("default", [(DOWN, 0.0)] * 9, "HEEEEEEEE"),
    "R6 down, 50 %": ("default", [(DOWN, 0.5)] * 6, "HER"),
    "R7 alternating, 50 %": ("default", [(ok, 0.5) for ok in ALTERNATING],
                             "HDDDR"),
    "R7 alternating, 20 %": ("default", [(ok, 0.2) for ok in ALTERNATING * 3],
                             "HDDDDDDDDDDDEDDDDD".replace("E", "D")),
    "R7 down, 20 %": ("default", [(DOWN, 0.2)] * 9, "HEEEEEEEE"),
    "R7 always 20 %": ("default", [(UP, 0.2)] * 12, "HDDDDDDDDDDD"),
    "R8 memory 1024": ("default", [(UP, 0.0, 1024)] * 4, "HEEE"),
    "R8 memory 1023.9": ("default", [(UP, 0.0, 1023.9)] * 4, "HHHH"),
    "R9 throws": ("default", [(DOWN, 1.0)] * 6, "HER"),
    "R9 no data, ours": ("default", [(UP, None)] * 4, "HEEE"),
    "R9 nothing at all": ("default", [(None, None)] * 4, "HEEE"),
    "R10 failures 1": ("production", [(DOWN, 0.0)] + [(UP, 0.0)] * 6,
                       "HDDDDHH"),
    "R10 failures 1, down": ("production", [(UP, 0.0), (DOWN, 0.0)], "HE"),
    "R10 failures 3": ("development", [(DOWN, 0.6)] * 6, "HDR"),
    "R10 failures 3, down": ("development", [(DOWN, 0.0)] * 5, "HDEEE"),
    "R11 a small window": ("small", [(UP, 0.5)] * 3, "HDR"),
    "R11 failures leave the window": (
        "default", [(DOWN, 0.0), (UP, 0.0)] + [(UP, 0.0)] * 6, "HDDDDHHH"),
    "R20 always 5 %": ("default", [(UP, 0.05)] * 9, "HHHHHHHHH"),
    "missing rates do not lower the mean": (
        "default", [(DOWN, 0.5), (UP, None), (DOWN, 0.5)], "HER"),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(m, name):
    m.run("INSERT INTO monitor_profile(name, error_rate, grace_ms, failures,"
          " window) VALUES ('small', 0.2, 600000, 2, 3)")
    profile, checks, expected = SEQUENCES[name]
    start(m, name, profile)
    assert letters(m, checks, release=name) == expected
    engaged, rolled = "E" in expected, "R" in expected
    assert m.switch() == engaged
    assert m.value("SELECT count(*) FROM control_outbox") == rolled


@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR IGNORE", "REPLACE",
                                  "INSERT OR FAIL", "INSERT OR ROLLBACK"])
def test_escalation_once_an_incident(m, verb):
    for _ in range(5):
        check(m, DOWN, verb=verb)
    assert m.events() == [("0", "1", "monitor",
                           "r: 2 consecutive failures", None)]
    assert m.value("SELECT count(*) FROM monitor_decision WHERE decision ="
                   " 'escalate'") == 4
    assert m.value("SELECT ended_at FROM monitor") is None
    m.fails("UPDATE settings SET value = '0', updated_by = 'a', reason = 'b',"
            " approved_by = 'c'", "a check failed within")


@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR IGNORE", "REPLACE"])
def test_rollback_once_a_promotion(m, verb):
    for _ in range(3):
        check(m, DOWN, 0.5, verb=verb)
    rows = m.run("SELECT id, release, action, target, state, evidence"
                 " FROM control_outbox")
    decided = m.run("SELECT evidence, at FROM monitor_decision WHERE decision"
                    " = 'rollback'")
    assert rows == [(1, "r", "rollback", "r0", "open", decided[0][0])]
    assert m.run("SELECT ended_at, ended_why FROM monitor") == [
        (decided[0][1], "rollback: high error rate (50.0%) with 3 failures")]
    m.fails("INSERT INTO monitor_check(release, ok) VALUES ('r', 1)",
            "monitor_check: the monitor of r has ended: rollback:")
    m.fails("INSERT INTO monitor(release, profile) VALUES ('r', 'default')",
            "monitor: this release is or was monitored; give it another name")


def test_a_profile_that_does_not_act(m):
    m.run("INSERT INTO monitor_profile(name, error_rate, grace_ms, failures,"
          " acts) VALUES ('shadow', 0.2, 600000, 2, 0)")
    start(m, "s", "shadow")
    assert letters(m, [(DOWN, 0.5)] * 3, "s") == "HER"
    assert m.switch() == 0
    assert m.run("SELECT * FROM control_outbox") == []
    assert check(m, DOWN, 0.5, release="s")[0] == "rollback"
    m.fails("INSERT INTO control_outbox(release, action, target, evidence,"
            " created_at) SELECT release, decision, 'r0', evidence, at FROM"
            " monitor_decision WHERE decision = 'rollback'",
            "control_outbox is written by the health monitor")


def test_two_releases_at_once(m):
    start(m, "s")
    for _ in range(6):
        check(m, UP, 0.0)
        decision = check(m, DOWN, 0.0, release="s")
    assert decision[0] == "escalate"
    assert check(m)[0] == "healthy"


def test_evidence(m):
    for ok, rate, memory in ((UP, 0.1, 5), (DOWN, None, None), (UP, 0.3, 1024)):
        decision, reason, evidence = check(m, ok, rate, memory)
    evidence = json.loads(evidence)
    assert (decision, reason) == ("escalate", "2 consecutive failures")
    assert evidence["mean_error_rate"] == 0.2
    assert evidence["failed"] == 2
    assert evidence["threshold"] == {
        "error_rate": 0.2, "degrade_rate": 0.05, "failures": 2, "window": 5,
        "memory_mb": 1024.0, "alpha": 0.05}
    assert evidence["checks"] == [
        {"id": 1, "failed": 0, "error_rate": 0.1},
        {"id": 2, "failed": 1, "error_rate": None},
        {"id": 3, "failed": 1, "error_rate": 0.3}]
    assert "sequential" not in evidence


@pytest.mark.parametrize("checks, pattern", [
    ("..", "healthy"), ("F.", "intermittent_failures"), (".F",
     "intermittent_failures"), (".FF", "recent_failures"),
    ("FFF..", "consecutive_failures"), (".FFF", "consecutive_failures"),
])
def test_patterns(m, checks, pattern):
    for letter in checks:
        evidence = check(m, letter == ".")[2]
    assert json.loads(evidence)["pattern"] == pattern


def test_profiles(db):
    assert db.run("SELECT name, error_rate, grace_ms / 60000, failures, window,"
                  " acts FROM monitor_profile") == [
        ("default", 0.2, 10, 2, 5, 1), ("development", 0.5, 2, 3, 5, 1),
        ("production", 0.15, 15, 1, 5, 1), ("staging", 0.25, 5, 2, 5, 1)]


def test_grace(m):
    start(m, "old", "development", ago=119000)
    check(m, release="old")
    start(m, "over", "development", ago=120000)
    m.fails("INSERT INTO monitor_check(release, ok) VALUES ('over', 1)",
            "monitor_check: the monitor of over has ended: its grace period")
    m.fails("INSERT OR REPLACE INTO monitor_check(release, ok, at)"
            " VALUES ('old', 1, NULL)", "at is NULL; leave it out for now")
    start(m, "next", "development")  # which does not end early for it
    assert m.run("SELECT release, ended_at - started_at, ended_why FROM monitor"
                 " WHERE ended_at") == [("over", 120000,
                                         "its grace period is over")]
    check(m, release="next")


NO = "monitor_check is append-only"


@pytest.mark.parametrize("sql, words", [
    ("INSERT INTO monitor_check(release, ok) VALUES ('x', 1)",
     "monitor_check: release x is not monitored"),
    ("INSERT OR IGNORE INTO monitor_check(release, ok) VALUES (NULL, 1)",
     "monitor_check: release NULL is not monitored"),
    ("INSERT INTO monitor_check(release, ok) VALUES ('r', 2)", "ok is 1, 0"),
    ("INSERT INTO monitor_check(release, ok) VALUES ('r', 'up')",
     "cannot store TEXT value in INTEGER column monitor_check.ok"),
    ("INSERT INTO monitor_check(release, error_rate) VALUES ('r', -0.001)",
     "error_rate is from 0 to 1, or NULL when unknown"),
    ("INSERT INTO monitor_check(release, error_rate) VALUES ('r', 1.001)",
     "error_rate is from 0 to 1"),
    ("INSERT INTO monitor_check(release, error_rate) VALUES ('r', 9e999)",
     "error_rate is from 0 to 1"),
    ("INSERT INTO monitor_check(release, error_rate) VALUES ('r', 'low')",
     "cannot store TEXT value in REAL column monitor_check.error_rate"),
    ("INSERT INTO monitor_check(release, error_rate) VALUES ('r', x'00')",
     "cannot store BLOB value in REAL column monitor_check.error_rate"),
    ("INSERT INTO monitor_check(release, memory_mb) VALUES ('r', -1)",
     "memory_mb is 0 or more"),
    ("INSERT INTO monitor_check(release, at) VALUES ('r', 5)",
     "at is before the start, or the check before"),
    ("INSERT INTO monitor_check(release, at) SELECT 'r', max(at) - 1 FROM"
     " monitor_check", "at is before the start, or the check before"),
    ("INSERT INTO monitor_check(release, at) SELECT 'r', max(at) + 70000 FROM"
     " monitor_check", "at lies in the future"),
    ("REPLACE INTO monitor_check(id, release) VALUES (1, 'r')", NO),
    ("INSERT INTO monitor_check(id, release) VALUES (-1, 'r')",
     "is append-only"),
    ("INSERT INTO monitor_check(id, release) VALUES (99, 'r')", NO),
    ("UPDATE monitor_check SET ok = 1", NO),
    ("UPDATE OR REPLACE monitor_check SET id = 2", NO),
    ("DELETE FROM monitor_check", NO),
    ("UPDATE monitor_decision SET decision = 'healthy'",
     "monitor_decision is append-only"),
    ("DELETE FROM monitor_decision", "monitor_decision is append-only"),
    ("REPLACE INTO monitor_decision SELECT id, release, at, 'rollback', 'x',"
     " '{}' FROM monitor_decision", "monitor_decision is append-only"),
    ("INSERT INTO monitor_decision VALUES (7, 'r', 1, 'rollback', 'x', '{}')",
     "monitor_decision is append-only"),
    ("INSERT INTO monitor(release, profile) VALUES ('s', 'nowhere')",
     "monitor: there is no profile nowhere; there are default, development,"),
    ("INSERT OR IGNORE INTO monitor(release, profile) VALUES ('s', NULL)",
     "monitor: there is no profile NULL"),
    ("INSERT INTO monitor(release, profile) VALUES (' ', 'default')",
     "monitor: the release needs a name"),
    ("INSERT INTO monitor(release, profile, started_at) VALUES"
     " ('s', 'default', 9e15)", "started_at lies in the future"),
    ("REPLACE INTO monitor(release, profile) VALUES ('r', 'production')",
     "monitor: this release is or was monitored"),
    ("INSERT INTO monitor(release, profile, ended_at) VALUES"
     " ('s', 'default', 5)", "it has not ended"),
    ("UPDATE monitor SET profile = 'production'", "an UPDATE sets ended_at"),
    ("UPDATE monitor SET ended_at = 5, ended_why = 'x'", "sets ended_at"),
    ("DELETE FROM monitor", "monitor: it stays on record"),
    ("UPDATE monitor_profile SET error_rate = 1 WHERE name = 'default'",
     "monitor_profile: a release is being judged by it; make another"),
    ("UPDATE monitor_profile SET name = 'x' WHERE name = 'staging'",
     "monitor_profile: a name stays"),
    ("DELETE FROM monitor_profile", "a release was judged by it; it stays"),
    ("REPLACE INTO monitor_profile(name, error_rate, grace_ms, failures)"
     " VALUES ('default', 1, 1, 1)", "there is one of that name; UPDATE it"),
    ("INSERT INTO monitor_profile(name, error_rate, grace_ms, failures)"
     " VALUES ('x', 0.2, 1, 6)", "CHECK constraint failed"),
    ("INSERT INTO control_outbox(release, action, evidence, created_at)"
     " VALUES ('r', 'rollback', '{}', 1)", "is written by the health monitor"),
])
def test_what_is_refused(m, sql, words):
    check(m)
    m.fails(sql, words)


def test_nan_is_a_failure(m):
    check(m, UP, float("nan"))
    assert check(m, UP, float("nan"))[0] == "escalate"


def test_a_profile_changes_between_releases(m):
    start(m, "over", "development", ago=120000)
    m.run("UPDATE monitor_profile SET error_rate = 0.4, grace_ms = 9000000"
          " WHERE name = 'development'")
    m.fails("INSERT INTO monitor_check(release, ok) VALUES ('over', 1)",
            "the monitor of over has ended: its grace period is over")


def test_it_ends_once(m):
    m.run("UPDATE monitor SET ended_at = started_at + 5, ended_why = 'by hand'")
    m.fails("INSERT INTO monitor_check(release, ok) VALUES ('r', 1)",
            "monitor_check: the monitor of r has ended: by hand")
    m.fails("UPDATE monitor SET ended_at = NULL, ended_why = NULL",
            "monitor: an UPDATE sets ended_at and ended_why, once")


def test_without_its_profile_nothing_is_judged(m):
    m.run("DROP TRIGGER monitor_profile_delete")
    m.run("DELETE FROM monitor_profile")
    m.fails("INSERT INTO monitor_check(release, ok) VALUES ('r', 1)",
            "monitor_check: release r is not monitored")


def steps(db):
    """Of SQLite's machine, for one more check."""
    count = 0

    def step():
        nonlocal count
        count += 1

    connection = db.connection
    connection.setprogresshandler(step, 1)
    connection.cursor().execute("INSERT INTO monitor_check(release, ok,"
                                " error_rate) VALUES ('r', 1, 0.5)")
    connection.setprogresshandler(None)
    return count


def test_old_checks_cost_nothing(m):
    start(m, "s")
    for _ in range(6):
        check(m, release="s")
        check(m)
    few = steps(m)
    m.run("BEGIN")
    for _ in range(100):
        check(m, release="s")
        check(m)
    m.run("COMMIT")
    assert steps(m) <= few + 10


def test_a_start_ahead_of_the_clock(m):
    """As where the clock has been set back since."""
    start(m, "ahead", ago=-50000)
    assert letters(m, [(DOWN, 0.5)] * 3, release="ahead") == "HER"
    assert m.run("SELECT ended_at - started_at, ended_why FROM monitor WHERE"
                 " release = 'ahead'") == [
        (0, "rollback: high error rate (50.0%) with 3 failures")]
    assert m.value("SELECT count(*) FROM monitor_decision AS d JOIN"
                   " monitor_check AS c USING (id, release, at)") == 3
