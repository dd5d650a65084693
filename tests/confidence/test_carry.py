"""Feedback that is deleted goes on counting, as a sum."""
import random

import apsw
import pytest

from conftest import DAY, START

NEVER = 9223372036854775807


def close(before, after):
    return all(a == b or abs(a - b) <= 1e-12 * max(1, abs(b))
               for a, b in zip(before, after) if not isinstance(a, str))


def some_votes(db, seed, expiring=False):
    """Votes of all kinds on two patterns over 200 days."""
    generator = random.Random(seed)
    db.day(200)
    for i in range(12):
        db.violation(f"v{i}", f"p{i % 2}", f"d{i % 3}")
    for _ in range(60):
        action, reason = generator.choice([
            ("fix", None), ("dismiss", "false_positive"),
            ("dismiss", "wont_fix"), ("dismiss", None), ("escalate", None),
            ("suppress", None)])
        day = round(200 * generator.random(), 3)
        until = None
        if expiring and action == "dismiss" and generator.random() < 0.5:
            until = day + 100 * generator.random()
        db.vote(f"v{generator.randrange(12)}", action, reason,
                generator.choice(["ann", "bob", None]), day, until)


def everything(db):
    return [row[:5] + row[6:] for row in
            (db.posterior("p0"), db.posterior("p1"))]


@pytest.mark.parametrize("half_life", [None, 30 * DAY])
@pytest.mark.parametrize("order", ["at", "id DESC", "at DESC", "random"])
def test_posterior_is_unchanged_by_a_purge(one, half_life, order):
    """To 1e-12, in whatever order and portions rows go, then and later."""
    some_votes(one, 7, expiring=True)
    one.run("UPDATE confidence_setting SET half_life_ms = ?", (half_life,))
    before = {}
    for day in (200, 230, 290):
        one.day(day)
        before[day] = everything(one)
    one.day(200)
    ids = [row[0] for row in one.run(
        "SELECT id FROM confidence_feedback ORDER BY "
        + ("at" if order == "random" else order))]
    if order == "random":
        random.Random(1).shuffle(ids)
    while ids:
        for number in ids[:9]:
            one.run("DELETE FROM confidence_feedback WHERE id = ?", (number,))
        ids = ids[9:]
        assert all(map(close, everything(one), before[200]))
    assert one.value("SELECT count(*) FROM confidence_feedback") == 0
    for day, wanted in before.items():
        one.day(day)
        assert all(map(close, everything(one), wanted)), day


def test_in_every_setting(db):
    some_votes(db, 8)
    before = everything(db)
    db.run("DELETE FROM confidence_feedback WHERE at < ?", (START + 110 * DAY,))
    assert all(map(close, everything(db), before))
    assert db.value("SELECT count(*) FROM confidence_feedback") > 0
    db.run("DELETE FROM confidence_feedback")
    assert all(map(close, everything(db), before))
    db.run("DELETE FROM confidence_violation")
    assert all(map(close, everything(db), before))


def test_raw_mode(one):
    one.run("UPDATE confidence_setting SET one_vote = 0")
    some_votes(one, 9)
    before = everything(one)
    one.run("DELETE FROM confidence_feedback")
    assert all(map(close, everything(one), before))


def detectors(db):
    return db.run("SELECT detector_id, acted, false_positives, state,"
                  " above_since FROM confidence_detector ORDER BY 1")


def test_detectors_are_unchanged_by_a_purge(one):
    """Votes go as retention deletes them, the oldest first."""
    generator = random.Random(2)
    one.day(0)
    for day in range(120):
        one.day(day)
        rate = {"d0": 0.5, "d1": 0.15, "d2": 0.4 if day < 60 else 0.05}
        for name, wrong in rate.items():
            false = generator.random() < wrong
            one.votes(1, "dismiss" if false else "fix",
                      "false_positive" if false else None, detector=name,
                      day=day)
    before = detectors(one)
    assert {row[3] for row in before} >= {"disabled", "alert"}
    for day in range(5, 125, 5):
        one.run("DELETE FROM confidence_feedback WHERE at < ?",
                (START + day * DAY,))
        assert detectors(one) == before, day


def test_replaced_votes_do_not_rise_again(db):
    db.day(10)
    db.violation("v")
    db.vote("v", "dismiss", "false_positive", day=1)
    db.vote("v", "fix", day=2)
    db.run("DELETE FROM confidence_feedback WHERE action = 'fix'")
    assert db.posterior()[:2] == (2, 1)
    db.run("DELETE FROM confidence_feedback")
    assert db.posterior()[:2] == (2, 1)
    db.vote("v", "escalate", day=3)
    db.vote("v", "undo", day=4)
    db.run("DELETE FROM confidence_feedback WHERE action = 'undo'")
    assert db.posterior()[:2] == (2, 1)
    db.run("DELETE FROM confidence_feedback")
    assert db.posterior()[:2] == (2, 1)


def test_a_dismissal_lapses_after_the_purge(db):
    db.day(0)
    db.run("UPDATE confidence_rule SET alpha = 0.25 WHERE action = 'dismiss'")
    db.violation("v")
    db.vote("v", "dismiss", "false_positive", day=0, expires=30)
    db.day(10)
    db.run("DELETE FROM confidence_feedback")
    assert db.run("SELECT expires_at, beta, feedback FROM confidence_carry") \
        == [(START + 30 * DAY, 0.5, 1)]
    assert db.posterior()[:2] == (1.25, 1.5) and db.posterior()[6] == 1
    db.fails("DELETE FROM confidence_carry", "or confidence would jump")
    db.day(30)
    assert db.posterior()[:2] == (1, 1) and db.posterior()[6] == 0
    db.run("DELETE FROM confidence_carry")


def test_an_unsuccessful_purge_counts_nothing(db):
    db.violation("v")
    db.vote("v", "fix")
    before = db.state()
    connection = db.connection.cursor()
    connection.execute("BEGIN; DELETE FROM confidence_feedback; ROLLBACK")
    assert db.state() == before


def test_without_the_extension_nothing_is_deleted(one):
    one.violation("v")
    one.vote("v", "fix")
    plain = one.plain()
    with pytest.raises(apsw.SQLError, match="no such function: confidence_weig"):
        plain.cursor().execute("DELETE FROM confidence_feedback")
    plain.close()
    assert one.posterior()[:2] == (2, 1)


@pytest.mark.parametrize("sql", [
    "INSERT INTO confidence_carry VALUES ('q', 'd', 1, 5, 0, 1, 1)",
    "INSERT OR REPLACE INTO confidence_carry VALUES ('p', 'd', "
    f"{NEVER}, 0, 0, 0, 1)",
    "UPDATE confidence_carry SET alpha = 9",
    "UPDATE confidence_carry SET feedback = 5",
    "UPDATE confidence_carry SET feedback = feedback + 1, at = 0",
    "UPDATE confidence_carry SET feedback = feedback + 1, pattern_id = 'q'",
    "UPDATE confidence_carry SET feedback = feedback + 1, expires_at = 1",
    "DELETE FROM confidence_carry",
    "INSERT INTO confidence_carry_detector VALUES ('q', 5, 5, 1)",
    "INSERT OR REPLACE INTO confidence_carry_detector VALUES ('d', 0, 0, NULL)",
    "UPDATE confidence_carry_detector SET acted = 100",
    "UPDATE confidence_carry_detector SET acted = acted + 1, detector_id = 'q'",
    "UPDATE confidence_carry_detector SET above_since = 1",
    "DELETE FROM confidence_carry_detector"])
def test_what_was_counted_stays(one, sql):
    one.violation("v")
    one.vote("v", "fix")
    one.run("DELETE FROM confidence_feedback")
    one.fails(sql, "confidence_carry")
    plain = one.plain()
    with pytest.raises(apsw.ConstraintError):
        plain.cursor().execute(sql)
    plain.close()
    assert one.posterior()[:2] == (2, 1)
