"""Detectors: the rate of false positives, what follows and since when; and who
votes as nobody should."""
import pytest

from conftest import DAY, START


def judge(db, fixed, dismissed, wrong, day=0.0, detector="d"):
    db.votes(fixed, "fix", detector=detector, day=day)
    db.votes(dismissed - wrong, "dismiss", "wont_fix", detector=detector,
             day=day)
    db.votes(wrong, "dismiss", "false_positive", detector=detector, day=day)


@pytest.mark.parametrize("fixed, dismissed, wrong, rate, at_15, at_35", [
    (15, 5, 5, 0.25, "alert", "disabled"),
    (8, 4, 4, 0.333333333, "alert", "disabled"),
    (7, 3, 3, 0.3, "alert", "disabled"),
    (8, 2, 2, 0.20, "alert", "alert"),
    (9, 1, 1, 0.10, "warning", "warning"),
    (0, 9, 9, 1.0, "insufficient", "insufficient"),
    (10, 5, 0, 0, "healthy", "healthy"),
    (79, 21, 21, 0.21, "alert", "disabled"),
    (0, 10, 0, 0, "healthy", "healthy"),
    (95, 5, 5, 0.05, "warning", "warning"),
    (75, 25, 25, 0.25, "alert", "disabled"),
    (96, 4, 4, 0.04, "healthy", "healthy")])
def test_golden_states(one, fixed, dismissed, wrong, rate, at_15, at_35):
    one.day(0)
    judge(one, fixed, dismissed, wrong)
    one.day(15)
    found = one.detector()
    assert found[:2] == (fixed + dismissed, wrong) and found[3] == at_15
    assert abs(found[2] - rate) < 1e-9
    one.day(35)
    assert one.detector()[3] == at_35


def test_suppressions_do_not_count(db):
    db.day(0)
    judge(db, 5, 5, 5)
    db.votes(90, "suppress", day=0)
    assert db.detector() == (10, 5, 0.5, "alert")


def test_not_applicable_is_a_false_positive(db):
    db.votes(10, "dismiss", "not_applicable")
    assert db.detector()[:3] == (10, 10, 1)
    db.votes(10, "dismiss")
    assert db.detector()[:3] == (20, 10, 0.5)


def test_days_are_counted_from_timestamps(db):
    """Thirty days above, to the millisecond; a good week begins anew."""
    db.day(0)
    judge(db, 8, 0, 0)
    db.day(2)
    judge(db, 0, 2, 2, day=2)
    assert db.detector()[3] == "alert"  # 2 of 10: at the limit, not above
    db.day(3)
    judge(db, 0, 1, 1, day=3)
    since = "SELECT above_since, days_above FROM confidence_detector"
    assert db.run(since) == [(START + 3 * DAY, 0)]
    db.day(33 - 1 / DAY)
    assert db.detector()[3] == "alert"
    db.day(33)
    assert db.detector()[3] == "disabled" and db.run(since)[0][1] == 30
    judge(db, 4, 0, 0, day=33)  # 3 of 15
    assert db.detector() == (15, 3, 0.2, "alert")
    assert db.run(since) == [(None, None)]
    db.day(40)
    judge(db, 0, 1, 1, day=40)
    assert db.run(since) == [(START + 40 * DAY, 0)]
    db.day(69)
    assert db.detector()[3] == "alert"
    db.day(70)
    assert db.detector()[3] == "disabled"


def test_late_votes_are_counted_when_they_were_cast(one):
    one.day(50)
    judge(one, 7, 3, 3, day=45)
    assert one.detector()[3] == "alert"
    judge(one, 0, 10, 10, day=1)
    assert one.detector()[3] == "disabled"


def test_life_of_three_detectors(one):
    for day in range(61):
        one.day(day)
        judge(one, 1, 0, 0, day, "good")
        judge(one, day % 2, 0, 0, day, "bad")
        judge(one, 0, (day + 1) % 2, (day + 1) % 2, day, "bad")
        if day < 25:
            judge(one, 0, 1, 1, day, "better")
        else:
            judge(one, 10, 0, 0, day, "better")
        if day == 24:
            assert [one.detector(name)[3] for name in
                    ("good", "bad", "better")] == ["healthy", "alert", "alert"]
        if day == 39:
            assert [one.detector(name)[3] for name in
                    ("good", "bad", "better")] == [
                        "healthy", "disabled", "alert"]
    assert one.detector("better")[3] == "warning"
    assert 0.05 < one.detector("better")[2] < 0.10
    assert one.detector("bad")[3] == "disabled"


@pytest.mark.parametrize("wrong, acted, probability", [
    (0, 10, 0.085899346), (2, 10, 0.617401549), (4, 12, 0.900869390),
    (5, 50, 0.042120979), (10, 10, 0.999999980)])
def test_probability(one, wrong, acted, probability):
    judge(one, acted - wrong, wrong, wrong, None)
    found = one.run("SELECT probability, low, high FROM confidence_detector")[0]
    assert abs(found[0] - probability) < 1e-9
    assert found[1:] == one.run("SELECT wilson_lower(?1, ?2), wilson_upper(?1,"
                                " ?2)", (wrong, acted))[0]


def test_certainty_keeps_small_samples(one):
    """4 of 12 is above the limit, and may well be chance."""
    one.day(0)
    judge(one, 8, 4, 4)
    judge(one, 60, 40, 40, detector="e")
    one.day(31)
    assert (one.detector()[3], one.detector("e")[3]) == ("disabled",) * 2
    one.run("UPDATE confidence_setting SET certainty = 0.95")
    assert (one.detector()[3], one.detector("e")[3]) == ("alert", "disabled")


def test_by_hand(db):
    db.day(0)
    judge(db, 7, 3, 3)
    db.day(40)
    assert db.detector()[3] == "disabled"
    db.run("INSERT INTO confidence_override VALUES ('d', 'enabled', 'ann',"
           " 'mended', ?)", (START + 40 * DAY,))
    assert db.detector() == (10, 3, 0.3, "alert")
    db.day(69)
    assert db.detector()[3] == "alert"
    db.day(70)
    assert db.detector()[3] == "disabled"
    db.run("INSERT OR REPLACE INTO confidence_override(detector_id, state,"
           " author, reason) VALUES ('e', 'disabled', 'ann', 'too loud')")
    assert db.detector("e") == (0, 0, 0, "disabled")
    for row in ("'d', 'off', 'a', 'b', 1", "'d', 'enabled', ' ', 'b', 1",
                "'d', 'enabled', 'a', '', 1"):
        db.fails(f"INSERT OR REPLACE INTO confidence_override VALUES ({row})",
                 "CHECK constraint failed")


def test_nothing_judged(db):
    db.violation("v", "p", "new")
    assert db.run("SELECT * FROM confidence_detector") == [
        ("new", 0, 0, 0.0, "insufficient", None, None, None, None, 0.8)] or \
        abs(db.value("SELECT probability FROM confidence_detector")
            - 0.8) < 1e-12


# ---- abuse ------------------------------------------------------------------

def dismissals(db, count, seconds, author="eve"):
    """So many, over so many seconds."""
    db.day(0)
    for i in range(count):
        db.violation(f"{author}{i}")
        db.run("INSERT INTO confidence_feedback(violation_id, action, author,"
               " at) VALUES (?, 'dismiss', ?, ?)",
               (f"{author}{i}", author,
                START - 9000000 + round(1000 * seconds * i / (count - 1))))


@pytest.mark.parametrize("count, seconds, limit, window, found", [
    (100, 59, 100, 60, True), (10, 9, 100, 60, False),
    (50, 2940, 50, 3600, True), (5, 1, 50, 3600, False),
    (100, 61, 100, 60, False), (50, 2940, 20, 3600, True)])
def test_bursts(one, count, seconds, limit, window, found):
    one.run("UPDATE confidence_setting SET burst_count = ?, burst_ms = ?",
            (limit, window * 1000))
    dismissals(one, count, seconds)
    assert [row[0] for row in one.run("SELECT author FROM confidence_burst")
            ] == ["eve"] * found


def test_an_earlier_burst_is_not_forgotten(db):
    dismissals(db, 25, 60)
    db.votes(3, "dismiss", day=0)
    assert db.run("SELECT author, times, first_at, last_at FROM"
                  " confidence_burst") == [
                      ("eve", 6, START - 9000000, START - 8940000)]


def test_shares(db):
    db.day(0)
    judge(db, 5, 5, 5)
    assert db.run("SELECT * FROM confidence_share") == []  # not above half
    judge(db, 0, 1, 1)
    assert db.run("SELECT author, acted, dismissed FROM confidence_share") == [
        ("ann", 11, 6)]
    db.day(31)
    assert db.run("SELECT * FROM confidence_share") == []


def aimed(db, count, days, pattern, author="eve"):
    """So many of one pattern, the first and the last so many days apart."""
    for i in range(count):
        name = f"{author} {pattern} {i}"
        db.violation(name, pattern)
        db.run("INSERT INTO confidence_feedback(violation_id, action, author,"
               " at) VALUES (?, 'dismiss', ?, ?)",
               (name, author, START + round(days * DAY * i / (count - 1))))


TARGETS = ("SELECT author, pattern_id, times, first_at, last_at"
           " FROM confidence_target")


@pytest.mark.parametrize("count, days, found", [
    (10, 7, 1), (9, 1, 0), (10, 7 + 1 / DAY, 0), (12, 7, 3), (20, 30, 0)])
def test_targets(one, count, days, found):
    """Ten of one pattern within seven days, to the millisecond."""
    one.day(40)
    aimed(one, count, days, "p")
    assert one.run(TARGETS) == [
        ("eve", "p", found, START, START + 7 * DAY)] * (found > 0)


def test_targets_are_of_one_person_and_one_pattern(db):
    db.day(40)
    aimed(db, 6, 1, "p")
    aimed(db, 6, 1, "q")
    aimed(db, 6, 1, "p", "ann")
    assert db.run(TARGETS) == []
    for i in range(20):  # what is no dismissal
        db.violation(f"v{i}", "p")
        db.run("INSERT INTO confidence_feedback(violation_id, action, author,"
               " at) VALUES (?, ?, 'eve', ?)",
               (f"v{i}", ("fix", "suppress")[i % 2], START))
    assert db.run(TARGETS) == []
    db.run("UPDATE confidence_setting SET target_count = 6")
    assert [row[:2] for row in db.run(TARGETS + " ORDER BY 1, 2")] == [
        ("ann", "p"), ("eve", "p"), ("eve", "q")]
    db.run("UPDATE confidence_setting SET target_ms = ?", (DAY - 1,))
    assert db.run(TARGETS) == []
    for change in ("target_count = 1", "target_ms = -1",
                   "target_count = NULL"):
        db.fails(f"UPDATE confidence_setting SET {change}", "constraint")
