"""Feedback: what it does to a pattern, who may say what, and the walls, which
hold without the extension, too."""
import apsw
import pytest

from conftest import DAY, ROOT, START

SEED = {("fix", None): (1, 0), ("dismiss", None): (0, 0.5),
        ("dismiss", "false_positive"): (0, 0.5),
        ("dismiss", "not_applicable"): (0, 0.5),
        ("dismiss", "wont_fix"): (0, 0), ("dismiss", "duplicate"): (0, 0),
        ("suppress", None): (0, 0), ("escalate", None): (1.5, 0),
        ("undo", None): (0, 0)}
CODE = {**SEED, ("dismiss", None): (0, 0.25),
        ("dismiss", "not_applicable"): (0, 0.25), ("suppress", None): (0, 0.1),
        ("escalate", None): (0.5, 0)}
REVIEW = {("fix", None): (0.5, 0), ("auto_fix", None): (0.5, 0),
          ("dismiss", "false_positive"): (0, 0.5),
          ("dismiss", "not_applicable"): (0, 0.25),
          ("dismiss", "wont_fix"): (0, 0), ("dismiss", "duplicate"): (0, 0),
          ("ignore", None): (0, 0.25), ("approve", None): (2, 0),
          ("reject", None): (0, 5), ("good", None): (0.5, 0),
          ("bad", None): (0, 0.75), ("irrelevant", None): (0, 0.25),
          ("undo", None): (0, 0)}


def rules(db):
    return {(action, reason): (alpha, beta) for action, reason, alpha, beta in
            db.run("SELECT action, reason, alpha, beta FROM confidence_rule")}


def test_profiles(db):
    assert rules(db) == SEED
    for profile, wanted in (("code", CODE), ("review", REVIEW), ("seed", SEED)):
        db.run("UPDATE confidence_setting SET profile = ?", (profile,))
        assert rules(db) == wanted
    db.fails("UPDATE confidence_setting SET profile = 'mine'",
             "there is no profile mine; there are code, review, seed")
    db.fails("UPDATE confidence_setting SET factors = 'mine'",
             "there are no factors mine; there are analyser")
    assert db.run("SELECT action, reason FROM confidence_rule WHERE"
                  " false_positive ORDER BY 2") == [
                      ("dismiss", "false_positive"),
                      ("dismiss", "not_applicable")]
    assert {row[0] for row in db.run("SELECT action FROM confidence_rule WHERE"
                                     " counted")} == {"dismiss", "fix"}


def test_a_profile_and_a_rule_of_your_own(db):
    db.run("INSERT INTO confidence_profile VALUES ('mine', 0, 0.2, 0.3, 1, 5)")
    db.run("INSERT INTO confidence_profile_rule VALUES"
           " ('mine', 'praise', NULL, 3, 0, 0, 0)")
    db.run("UPDATE confidence_setting SET profile = 'mine'")
    assert db.run("SELECT alert_rate, disable_rate, disable_ms, least_acted"
                  " FROM confidence_setting") == [(0.2, 0.3, 1, 5)]
    db.run("UPDATE confidence_rule SET alpha = 4 WHERE action = 'praise'")
    db.violation("v")
    db.vote("v", "praise")
    assert db.posterior()[:2] == (5, 1)
    for sql in ("INSERT INTO confidence_rule VALUES ('x', NULL, -1, 0, 0, 0)",
                "INSERT INTO confidence_rule VALUES ('x', NULL, 0, 0, 1, 0)",
                "INSERT INTO confidence_rule VALUES ('x', '', 0, 0, 0, 0)",
                "INSERT INTO confidence_rule VALUES ('x', NULL, 0, 9e999, 0,"
                " 0)"):
        db.fails(sql, "CHECK constraint failed")
    db.fails("INSERT INTO confidence_rule VALUES ('praise', NULL, 1, 0, 0, 0)",
             "UNIQUE constraint failed")


GOLDEN = {  # five equal votes on a base: means, 10.4 of the facts
    (1, 1): (0.857142857, 0.222222222, 0.307692308, 0.5, 0.4, 0.777777778,
             0.894736842),
    (5, 5): (0.666666667, 0.4, 0.444444444, 0.5, 0.476190476, 0.6,
             0.714285714),
    (9, 3): (0.823529412, 0.620689655, 0.679245283, 0.75, 0.72, 0.793103448,
             0.846153846),
    (10, 2): (0.882352941, 0.689655172, 0.754716981, 0.833333333, 0.8,
              0.862068966, 0.897435897)}


@pytest.mark.parametrize("base", GOLDEN)
def test_golden_five_equal_votes(one, base):
    fix, wrong, other, neutral, suppress, escalate, seed_escalate = GOLDEN[base]
    for profile, action, reason, mean in (
            ("seed", "fix", None, fix), ("code", "fix", None, fix),
            ("seed", "dismiss", "false_positive", wrong),
            ("code", "dismiss", "false_positive", wrong),
            ("seed", "dismiss", None, wrong),
            ("code", "dismiss", None, other),
            ("seed", "dismiss", "not_applicable", wrong),
            ("code", "dismiss", "not_applicable", other),
            ("seed", "dismiss", "wont_fix", neutral),
            ("code", "dismiss", "duplicate", neutral),
            ("seed", "suppress", None, neutral),
            ("code", "suppress", None, suppress),
            ("code", "escalate", None, escalate),
            ("seed", "escalate", None, seed_escalate)):
        one.run("BEGIN")
        one.base(*base)
        one.run("UPDATE confidence_setting SET profile = ?", (profile,))
        one.votes(5, action, reason)
        assert abs(one.mean() - mean) < 1e-9, (profile, action, reason)
        one.run("ROLLBACK")


def test_five_dismissals_lower_and_tell_so_in_the_tier(db):
    db.base(9, 3)
    assert db.posterior()[5] == "emerging"
    db.votes(5, "dismiss", "false_positive")
    assert db.posterior()[5] == "tentative" and db.mean() < 0.75
    assert db.posterior()[6] == 5


def test_five_fixes_raise(db):
    db.base(10, 2)
    db.votes(5, "fix")
    assert db.posterior()[5] == "established" and db.mean() > 0.8333334


def test_suppress_is_neutral(db):
    db.base(10, 2)
    before = db.posterior()[:5]
    db.votes(5, "suppress")
    assert db.posterior()[:5] == before


def test_pattern_and_detector_are_filled_in_and_stay(db):
    db.violation("v", "p7", "d7")
    db.vote("v", "dismiss", "false_positive")
    row = "SELECT pattern_id, detector_id, at IS NOT NULL FROM confidence_feedback"
    assert db.run(row) == [("p7", "d7", 1)]
    before = db.posterior("p7")
    db.run("DELETE FROM confidence_violation")
    assert db.run(row) == [("p7", "d7", 1)] and db.posterior("p7") == before
    db.fails("DELETE FROM confidence_pattern", "feedback of it; it stays")


def test_feedback_rescore_delta(db):
    """The whole loop: a finding is reported, judged, and reported anew."""
    db.base(9, 3, "naming")
    db.violation("f:1:naming", "naming", "lint")
    before = db.mean("naming")
    db.vote("f:1:naming", "dismiss", "false_positive", "ann")
    after = db.mean("naming")
    assert (before, after) == (0.75, 9 / 12.5)


def test_saturation(one):
    one.run("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c"
            " WHERE x < 10000) INSERT INTO confidence_violation(id, pattern_id,"
            " detector_id) SELECT 'v' || x, 'p', 'd' FROM c")
    one.run("INSERT INTO confidence_feedback(violation_id, action, reason)"
            " SELECT id, 'dismiss', 'false_positive' FROM confidence_violation")
    assert one.posterior()[:2] == (1, 5001) and 0 < one.mean() < 0.5


# ---- one vote ---------------------------------------------------------------

def test_one_vote_a_person_and_violation(db):
    db.violation("v")
    db.violation("w")
    for _ in range(5):
        db.vote("v", "dismiss", "false_positive", "ann")
    assert db.posterior()[:2] == (1, 1.5)
    db.vote("v", "fix", None, "ann")
    assert db.posterior()[:2] == (2, 1)
    db.vote("v", "dismiss", None, "bob")
    db.vote("w", "dismiss", None, "ann")
    assert db.posterior()[:2] == (2, 2)
    assert db.run("SELECT standing, count(*) FROM confidence_feedback GROUP BY"
                  " 1") == [(0, 5), (1, 3)]


def test_who_gives_no_name_is_one_person(db):
    db.violation("v")
    for _ in range(5):
        db.vote("v", "dismiss", "false_positive", None)
    assert db.posterior()[:2] == (1, 1.5)


def test_raw_mode_counts_each(db):
    """The seed's own test: five dismissals of one violation."""
    db.run("UPDATE confidence_setting SET one_vote = 0")
    db.violation("v")
    for _ in range(5):
        db.vote("v", "dismiss", "false_positive", None)
    assert db.posterior()[:2] == (1, 3.5)
    db.vote("v", "undo", None, None)
    assert db.posterior()[:2] == (1, 1)
    db.vote("v", "fix", None, None)
    assert db.posterior()[:2] == (2, 1)


def test_undo(db):
    db.violation("v")
    db.vote("v", "fix", None, "ann")
    db.vote("v", "dismiss", None, "ann")
    db.vote("v", "dismiss", None, "bob")
    db.vote("v", "undo", None, "ann")
    assert db.posterior()[:2] == (1, 1.5)
    with pytest.raises(apsw.Error, match="has nothing to undo there"):
        db.vote("v", "undo", None, "ann")
    with pytest.raises(apsw.Error, match="has nothing to undo there"):
        db.vote("v", "undo", None, "eve")
    db.vote("v", "fix", None, "ann")
    assert db.posterior()[:2] == (2, 1.5)
    assert db.run("SELECT standing FROM confidence_feedback ORDER BY id") == [
        (-1,), (-1,), (1,), (0,), (1,)]


def test_a_late_vote_does_not_replace_a_newer_one(db):
    db.day(10)
    db.violation("v")
    db.vote("v", "fix", None, "ann", day=5)
    db.vote("v", "dismiss", None, "ann", day=3)
    assert db.posterior()[:2] == (2, 1)
    db.vote("v", "dismiss", None, "ann", day=5)
    assert db.posterior()[:2] == (1, 1.5)


def test_a_clock_that_was_set_back(db):
    db.violation("v")
    db.day(10)
    db.vote("v", "fix")
    db.day(9)
    db.vote("v", "dismiss")
    assert db.posterior()[:2] == (1, 1.5)
    assert db.run("SELECT DISTINCT at FROM confidence_feedback") == [
        (START + 10 * DAY,)]
    db.vote("v", "undo")
    assert db.posterior()[:2] == (1, 1)


def test_a_dismissal_lapses(db):
    db.day(0)
    db.violation("v")
    db.vote("v", "fix", None, "ann")
    assert db.run("SELECT id FROM confidence_open") == []
    db.vote("v", "dismiss", "false_positive", "ann", expires=7)
    db.day(6.999)
    assert db.posterior()[:2] == (1, 1.5)
    assert db.run("SELECT id FROM confidence_open") == []
    db.day(7)
    assert db.posterior()[:2] == (1, 1)
    assert db.run("SELECT id FROM confidence_open") == [("v",)]


def test_half_life(db):
    """(10,2), half-life 30 d, dismissals 0, 30, 60, 90 and 120 days old."""
    db.base(10, 2)
    db.day(120)
    for i, day in enumerate((0, 30, 60, 90, 120)):
        db.violation(f"v{i}")
        db.vote(f"v{i}", "dismiss", "false_positive", day=day)
    assert abs(db.mean() - 0.689655172) < 1e-9
    db.run("UPDATE confidence_setting SET half_life_ms = ?", (30 * DAY,))
    assert abs(db.mean() - 0.771084337) < 1e-9
    for bad in ("0", "-1"):
        db.fails(f"UPDATE confidence_setting SET half_life_ms = {bad}",
                 "CHECK constraint failed")


# ---- the walls --------------------------------------------------------------

INSERT = ("INSERT INTO confidence_feedback(violation_id, action, reason,"
          " author, at, expires_at) VALUES (?, ?, ?, ?, ?, ?)")
FUTURE = START + 365000 * DAY
BAD = [
    (("w", "fix", None, "a", None, None), "there is no violation w in"),
    (("V", "fix", None, "a", None, None), "there is no violation V in"),
    ((None, "fix", None, "a", None, None), "there is no violation NULL in"),
    (("v", "like", None, "a", None, None), "there is no action like; there are"
     " dismiss, escalate, fix, suppress, undo"),
    (("v", "FIX", None, "a", None, None), "there is no action FIX"),
    (("v", "fix\0", None, "a", None, None), "there is no action fix"),
    (("v", None, None, "a", None, None), "there is no action NULL"),
    (("v", "dismiss", "noise", "a", None, None), "dismiss has no reason noise;"
     " there are NULL, duplicate, false_positive, not_applicable, wont_fix"),
    (("v", "dismiss", "", "a", None, None), "dismiss has no reason"),
    (("v", "fix", "false_positive", "a", None, None),
     "fix has no reason false_positive; there are NULL"),
    (("v", "fix", None, "", None, None), "author is a name, or NULL"),
    (("v", "fix", None, " \t", None, None), "author is a name, or NULL"),
    (("v", "fix", None, "a\0b", None, None), "author is a name, or NULL"),
    (("v", "fix", None, "a", FUTURE, None), "at lies before 1970 or in the"),
    (("v", "fix", None, "a", -1, None), "at lies before 1970 or in the"),
    (("v", "fix", None, "a", 2**63 - 1, None), "at lies before 1970"),
    (("v", "fix", None, "a", "today", None), "cannot store TEXT value"),
    (("v", "fix", None, "a", None, FUTURE), "expires_at is for dismiss and"),
    (("v", "dismiss", None, "a", 5, 5), "expires_at must be after at"),
    (("v", "dismiss", None, "a", None, 1), "expires_at must be after at"),
    (("v", "dismiss", None, "a", None, "never"), "cannot store TEXT value"),
    (("v", "dismiss", None, "a", None, 0.5), "cannot store REAL value"),
]


@pytest.mark.parametrize("row, message", BAD)
def test_what_is_refused(one, row, message):
    one.violation("v")
    one.fails(INSERT, message, row)
    if "cannot store" not in message:
        one.fails(INSERT.replace("INSERT", "INSERT OR IGNORE"), message, row)
    one.fails(INSERT.replace("INSERT", "INSERT OR REPLACE"), message, row)


@pytest.mark.parametrize("row, message", BAD)
def test_and_without_the_extension(one, row, message):
    one.violation("v")
    plain = one.plain()
    with pytest.raises(apsw.Error) as error:
        plain.cursor().execute(INSERT, row)
    assert message in str(error.value)
    plain.cursor().execute(INSERT, ("v", "fix", None, "a", None, None))
    plain.close()
    assert one.posterior()[:2] == (2, 1)


def attempts():
    """Ways to change what was said."""
    yield "UPDATE confidence_feedback SET action = 'fix'", "append-only"
    yield "UPDATE confidence_feedback SET reason = NULL", "append-only"
    yield "UPDATE confidence_feedback SET author = 'eve'", "append-only"
    yield "UPDATE confidence_feedback SET at = at - 1", "append-only"
    yield "UPDATE confidence_feedback SET at = NULL", "append-only"
    yield "UPDATE confidence_feedback SET expires_at = 1", "append-only"
    yield "UPDATE confidence_feedback SET note = 'x'", "append-only"
    yield "UPDATE confidence_feedback SET violation_id = 'w'", "append-only"
    yield "UPDATE confidence_feedback SET pattern_id = 'q'", "append-only"
    yield "UPDATE confidence_feedback SET detector_id = NULL", "append-only"
    yield "UPDATE confidence_feedback SET id = 9 WHERE id = 1", "append-only"
    for standing in (0, -1, 2, "NULL"):
        yield (f"UPDATE confidence_feedback SET standing = {standing}"
               " WHERE id = 2", "append-only")
    yield "UPDATE confidence_feedback SET standing = 1", "append-only"
    yield ("UPDATE OR REPLACE confidence_feedback SET id = 1 WHERE id = 2",
           "append-only")
    yield ("INSERT OR REPLACE INTO confidence_feedback(id, violation_id,"
           " action) VALUES (2, 'v', 'fix')", "append-only; leave id out")
    for number in (0, -1, -5):
        yield ("INSERT INTO confidence_feedback(id, violation_id, action)"
               f" VALUES ({number}, 'v', 'fix')", "append-only; leave id out")
    yield ("INSERT INTO confidence_feedback(violation_id, action, standing)"
           " VALUES ('v', 'fix', 0)", "standing is counted; leave it out")
    for column in ("pattern_id", "detector_id"):
        yield (f"INSERT INTO confidence_feedback(violation_id, action, {column}"
               ") VALUES ('v', 'fix', 'q')", "are filled in")
    for column in ("id", "pattern_id", "detector_id"):
        yield (f"UPDATE confidence_violation SET {column} = 'q' WHERE id = 'v'",
               "id, pattern_id and detector_id stay")
        yield (f"UPDATE OR REPLACE confidence_violation SET {column} = 'w'"
               " WHERE id = 'v'", "id, pattern_id and detector_id stay")
    yield ("INSERT OR REPLACE INTO confidence_violation(id, pattern_id,"
           " detector_id) VALUES ('v', 'q', 'd')", "another pattern or")
    for row in ("'', 'p', 'd'", "'x', ' ', 'd'", "'x', 'p', ''"):
        yield ("INSERT INTO confidence_violation(id, pattern_id, detector_id)"
               f" VALUES ({row})", "must not be empty")
    yield "DELETE FROM confidence_pattern", "it stays"
    yield "UPDATE confidence_pattern SET pattern_id = 'q'", "pattern_id stays"
    yield "DELETE FROM confidence_setting", "the row stays; UPDATE it"
    yield "INSERT INTO confidence_setting(id) VALUES (1)", "there is one row"
    yield ("INSERT OR REPLACE INTO confidence_setting(id) VALUES (1)",
           "there is one row; UPDATE it")
    yield "UPDATE confidence_setting SET one_vote = 2", "CHECK constraint"
    for value in ("alpha = 0", "beta = -1", "alpha = 9e999"):
        yield f"UPDATE confidence_pattern SET {value}", "CHECK constraint"


@pytest.mark.parametrize("sql, message", list(attempts()))
def test_nothing_of_it_changes(one, sql, message):
    one.violation("v")
    one.violation("w")
    one.vote("v", "dismiss", "false_positive")
    one.vote("v", "dismiss", "false_positive")
    one.fails(sql, message)
    plain = one.plain()
    before = one.state()
    with pytest.raises(apsw.Error) as error:
        plain.cursor().execute(sql)
    assert message in str(error.value)
    plain.close()
    assert one.state() == before


def test_a_violation_is_found_again(db):
    db.violation("v")
    db.vote("v", "fix")
    db.run("INSERT OR REPLACE INTO confidence_violation(id, pattern_id,"
           " detector_id, line) VALUES ('v', 'p', 'd', 7)")
    db.run("UPDATE confidence_violation SET line = 8, message = 'moved'")
    assert db.posterior()[:2] == (2, 1)


def test_temporary_tables_do_not_take_over(db):
    if db.reopen:
        return
    db.violation("v")
    db.run("CREATE TEMP TABLE confidence_rule(action, reason, alpha, beta,"
           " false_positive, counted); CREATE TEMP TABLE"
           " confidence_violation(id); CREATE TEMP TABLE confidence_now(now);"
           " CREATE TEMP TABLE confidence_setting(half_life_ms, profile)")
    db.run("INSERT INTO main.confidence_feedback(violation_id, action)"
           " VALUES ('v', 'fix')")
    assert db.posterior()[:2] == (2, 1)
    assert '"alpha":2.0' in db.value("SELECT confidence_explain('p')")


def test_installing_again_changes_nothing(db):
    db.run("UPDATE confidence_setting SET profile = 'code'")
    db.run("DELETE FROM confidence_rule WHERE action = 'escalate'")
    before = db.state()
    assert db.run("SELECT holdfast_install('confidence')") == [(0,)]
    db.run((ROOT / "sql" / "confidence.sql").read_text())
    assert db.state() == before
    assert [row for row in db.run("SELECT * FROM holdfast_check")
            if row[0] not in ("journal_mode", "synchronous")] == []

