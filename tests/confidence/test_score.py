"""The score of many factors, as the original analyser has it, and the
explanation of a pattern's confidence."""
import json

import pytest

from conftest import DAY

OBSERVE = ("INSERT OR REPLACE INTO confidence_observation(pattern_id,"
           " locations, files, category_total, variance, age_days, momentum,"
           " quality, idle_days, total_files) VALUES ('p', ?, ?, ?, ?, ?, ?, ?,"
           " ?, ?)")


def observe(db, locations, files, total=100, variance=0.0025, age=30,
            momentum="stable", quality=0.7, idle=0, all_files=100):
    db.run(OBSERVE, (locations, files, total, variance, age, momentum, quality,
                     idle, all_files))


def near(found, expected, error=5e-9):
    return abs(found - expected) <= error * max(1, abs(expected))


def factor(db, name):
    return db.value("SELECT value FROM confidence_factor_value WHERE factor = ?",
                    (name,))


def test_the_weights_sum_to_one(one):
    assert near(one.value("SELECT sum(weight) FROM confidence_factor WHERE"
                          " profile = 'analyser'"), 1, 1e-15)
    assert one.value("SELECT count(*) FROM confidence_factor") == 6


@pytest.mark.parametrize("day, value", [
    (0, 0.1), (1, 0.13), (7, 0.31), (15, 0.55), (29, 0.97), (30, 1), (31, 1),
    (1e300, 1)])
def test_age(one, day, value):
    observe(one, 1, 1, age=day)
    assert near(factor(one, "age"), value, 1e-12)


@pytest.mark.parametrize("change, score", [
    ({}, 0.615), ({"locations": 95}, 0.7275), ({"variance": 0.01}, 0.633),
    ({"age": 30}, 0.66), ({"files": 90}, 0.675), ({"momentum": "rising"}, 0.66),
    ({"quality": 0.9}, 0.645)])
def test_each_factor_alone_moves_the_score(db, change, score):
    observe(db, **{"locations": 50, "files": 50, "variance": 0.1, "age": 15,
                   **change})
    assert near(db.value("SELECT score FROM confidence_score"), score, 1e-12)


@pytest.mark.parametrize("locations, counts", [
    (50, (25.625, 16.041666667)), (10, (3.075, 1.925)),
    (1, (0.055909091, 0.035)), (0, (0.055909091, 0.035))])
def test_contribution(one, locations, counts):
    """By a score of 0.615, whatever the locations are."""
    observe(one, locations, 50, variance=0.1, age=15)
    one.run("INSERT INTO confidence_measure VALUES ('p', 'frequency', 0.5)")
    row = one.run("SELECT score * pseudo_counts, (1 - score) * pseudo_counts"
                  " FROM confidence_score")[0]
    assert near(row[0], counts[0]) and near(row[1], counts[1])


@pytest.mark.parametrize("pattern, more, alpha, beta, mean, tier", [
    ((50, 40), {}, 68.6875, 74.979166667, 0.478103248, "uncertain"),
    ((20, 10), {}, 18.26, 97.073333333, 0.158323699, "uncertain"),
    ((80, 70), {}, 126.786667, 46.324444, 0.732400513, "emerging"),
    ((95, 95), {}, 169.876071, 18.076310, 0.903825057, "established"),
    ((95, 95), {"momentum": "rising"}, 173.743929, 14.208452, 0.924403978,
     "established"),
    ((50, 40), {"quality": 0.9}, None, None, 0.486803944, "uncertain"),
    ((50, 40), {"quality": 0.75}, None, None, 0.480278422, "uncertain"),
    ((50, 40), {"quality": 0.4}, None, None, 0.465052204, "uncertain"),
    ((80, 10), {"total": 85, "age": 7}, 57.989804, 115.121307, 0.334986030,
     "uncertain")])
def test_golden_scores(db, pattern, more, alpha, beta, mean, tier):
    observe(db, *pattern, **more)
    found = db.posterior()
    assert near(found[2], mean) and found[5] == tier
    if alpha is not None:
        assert near(found[0], alpha, 1e-6) and near(found[1], beta, 1e-6)


@pytest.mark.parametrize("profile, action, reason, mean", [
    ("code", "dismiss", "not_applicable", 0.473979298),
    ("code", "dismiss", None, 0.473979298),
    ("code", "suppress", None, 0.476445087),
    ("seed", "suppress", None, 0.478103248),
    ("code", "escalate", None, 0.487029647),
    ("seed", "escalate", None, 0.503996692)])
def test_golden_scores_with_feedback(one, profile, action, reason, mean):
    one.run("UPDATE confidence_setting SET profile = ?", (profile,))
    observe(one, 50, 40)
    assert abs(one.posterior()[3] - 0.397115) < 1e-6
    assert abs(one.posterior()[4] - 0.559669) < 1e-6
    one.votes(5, action, reason)
    assert near(one.mean(), mean)


def test_five_fixes_on_a_score(one):
    observe(one, 20, 10)
    one.votes(5, "fix")
    assert near(one.mean(), 0.193296399) and near(one.posterior()[0], 23.26)


@pytest.mark.parametrize("day, fade", [
    (0, 1), (7, 1), (8, 0.989156627), (14, 0.924096386), (30, 0.750602410),
    (45, 0.587951807), (60, 0.425301205), (89, 0.110843373), (90, 0.1),
    (365, 0.1), (1e300, 0.1)])
def test_fading(one, day, fade):
    observe(one, 80, 70, idle=day)
    assert near(one.value("SELECT fade FROM confidence_score"), fade)


@pytest.mark.parametrize("day, width", [
    (7, 0.131283), (30, 0.151296), (60, 0.200041), (90, 0.398067)])
def test_fading_widens_the_interval_and_keeps_the_mean(one, day, width):
    observe(one, 80, 70, idle=day)
    found = one.posterior()
    assert near(found[2], 0.732400513)
    assert abs(found[4] - found[3] - width) < 1e-6


def test_frequency_is_that_of_the_category(one):
    one.run("INSERT INTO confidence_observation(pattern_id, category,"
            " locations, files) VALUES ('p', 'c', 30, 1), ('q', 'c', 10, 1),"
            " ('r', NULL, 0, 0)")
    assert dict(one.run("SELECT pattern_id, value FROM confidence_factor_value"
                        " WHERE factor = 'frequency'")) == {
                            "p": 0.75, "q": 0.25, "r": 0}


@pytest.mark.parametrize("change, name, value", [
    ({"variance": None}, "consistency", 1), ({"variance": -1}, "consistency", 1),
    ({"variance": float("inf")}, "consistency", 1),
    ({"variance": 5}, "consistency", 0), ({"quality": 7}, "quality", 1),
    ({"quality": -7}, "quality", 0), ({"files": 300}, "spread", 1),
    ({"all_files": 0}, "spread", 0), ({"total": 0}, "frequency", 0),
    ({"total": 1}, "frequency", 1)])
def test_what_is_out_of_range(one, change, name, value):
    observe(one, **{"locations": 50, "files": 40, **change})
    assert factor(one, name) == value
    found = one.posterior()
    assert 0 <= found[3] <= found[2] <= found[4] <= 1


def test_factors_of_your_own(one):
    one.run("INSERT INTO confidence_factor VALUES ('mine', 'reviewed', 0.6),"
            " ('mine', 'age', 0.4)")
    one.run("UPDATE confidence_setting SET factors = 'mine'")
    observe(one, 50, 40)
    one.run("INSERT INTO confidence_measure VALUES ('p', 'reviewed', 0.5),"
            " ('p', 'age', 0.25)")
    assert near(one.value("SELECT score FROM confidence_score"), 0.4, 1e-15)
    for bad in (1.5, -0.1, None):
        one.fails(f"UPDATE confidence_measure SET value = {bad or 'NULL'}",
                  "constraint failed")


@pytest.mark.parametrize("change", [
    {"locations": -1}, {"locations": 2**63 - 1}, {"files": -1},
    {"momentum": "up"}, {"age": -1}, {"idle": -1}, {"total": -1},
    {"all_files": 2**63 - 1}])
def test_what_is_no_observation(one, change):
    values = {"locations": 5, "files": 4, "total": 100, "variance": 0,
              "age": 1, "momentum": "stable", "quality": 0.7, "idle": 0,
              "all_files": 100, **change}
    one.fails(OBSERVE, "CHECK constraint failed", tuple(values.values()))


# ---- why --------------------------------------------------------------------

def explain(db, pattern="p"):
    return json.loads(db.value("SELECT confidence_explain(?)", (pattern,)))


def test_explanation_sums_up(db):
    db.day(0)
    observe(db, 50, 40)
    db.votes(3, "fix", day=0)
    db.votes(2, "dismiss", "false_positive", day=0)
    db.vote("v0", "undo", day=0)
    db.vote("v1", "suppress", day=0, expires=5)
    db.run("UPDATE confidence_setting SET half_life_ms = ?", (30 * DAY,))
    db.day(30)
    db.run("DELETE FROM confidence_feedback WHERE violation_id = 'v2'")
    why = explain(db)
    assert why["pattern"] == "p" and why["half_life_ms"] == 30 * DAY
    assert [v["weight"] for v in why["votes"]] == [0.5, 0.5]
    assert why["carry"][0]["feedback"] == 1 and why["carry"][0]["alpha"] == 0.5
    assert sorted(row["why"] for row in why["not_counted"]) == [
        "an undo", "expired", "replaced", "undone"]
    for name in ("alpha", "beta"):
        total = why["base"][name] + sum(
            row[name] for row in why["votes"] + why["carry"])
        assert near(total, why["result"][name], 1e-12)
    assert near(sum(row["contribution"]
                    for row in why["observation"]["factors"]),
                why["observation"]["score"], 1e-12)
    for name, value in zip(("alpha", "beta", "mean", "low", "high", "tier",
                            "feedback"), db.posterior()):
        assert why["result"][name] == value or near(why["result"][name], value)


def test_explanation_of_little(db):
    db.violation("v", "it's")
    why = explain(db, "it's")
    assert why["observation"] is None and why["votes"] == []
    assert why["result"]["mean"] == 0.5
    assert db.value("SELECT confidence_explain('none')") is None
    assert db.value("SELECT confidence_explain(NULL)") is None
    db.fails("SELECT confidence_explain(7)", "the pattern is a TEXT")
    db.run("UPDATE confidence_setting SET profile = 'code'")
    db.vote("v", "suppress")
    db.run("UPDATE confidence_setting SET profile = 'review'")
    assert explain(db, "it's")["not_counted"][0]["why"] == "no rule"


def test_explanation_without_the_area(tmp_path):
    from conftest import Database
    empty = Database(tmp_path / "empty.db")
    empty.fails("SELECT confidence_explain('p')", "no such table: main.conf")
    empty.close()
