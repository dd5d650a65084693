"""The functions: the beta distribution against mpmath, Wilson's bounds, what is
NULL, and the aggregates as aggregates and over windows."""
import json
import math
import random
from fractions import Fraction

import mpmath
import pytest

GOLDEN = [  # k of n, or alpha and beta: mean, interval, tier
    ((1, 1), 0.5, 0.025, 0.975, "tentative"),
    ((13, 1), 0.928571429, 0.752947362, 0.998054372, "established"),
    ((161, 41), 0.797029703, 0.739026664, 0.849464713, "emerging"),
    ((81, 21), 0.794117647, 0.710877102, 0.866445290, "emerging"),
    ((90, 10), 0.9, 0.834431024, 0.950489128, "established"),
    ((17, 3), 0.85, 0.668623336, 0.966173751, "established"),
    ((70, 30), 0.7, 0.607091273, 0.785332007, "emerging"),
    ((55, 45), 0.55, 0.452241421, 0.645863380, "tentative"),
    ((2, 2), 0.5, 0.094299324, 0.905700676, "tentative"),
    ((20, 20), 0.5, 0.347802209, 0.652197791, "tentative"),
    ((500, 500), 0.5, 0.469032262, 0.530967738, "tentative"),
    ((1e7, 1), 0.9999999, 0.999999631, 0.9999999975, "established"),
]


def near(actual, expected, error=1e-9):
    return abs(actual - expected) <= error * max(abs(expected), 1e-300)


@pytest.mark.parametrize("parameters, mean, low, high, tier", GOLDEN)
def test_golden_posteriors(one, parameters, mean, low, high, tier):
    row = one.run(
        "SELECT beta_mean(?1, ?2), beta_quantile(0.025, ?1, ?2),"
        " beta_quantile(0.975, ?1, ?2), confidence_tier(beta_mean(?1, ?2))",
        parameters)[0]
    assert near(row[0], mean) and near(row[1], low, 2e-9)
    assert near(row[2], high) and row[3] == tier


@pytest.mark.parametrize("a, b, x, value", [
    (2, 3, 0.25, 0.26171875), (3, 1, 0.9, 0.729), (0.5, 2, 0.01, 0.1495),
    (0.5, 0.5, 0.1, 0.204832764699), (50, 50, 0.5, 0.5),
    (1000, 1000, 0.52, 0.963220516721), (1e5, 1e5, 0.502, 0.963181261172),
    (200, 5, 0.95, 0.0231244739575), (1e6, 1, 0.999999, 0.367879257232),
])
def test_golden_cdf(one, a, b, x, value):
    assert near(one.value("SELECT beta_cdf(?, ?, ?)", (x, a, b)), value, 1e-10)


def series(x, a, b, digits):
    """The lower tail, DLMF 8.17.8, summed up in whole numbers; None where that
    takes too long."""
    one = 1 << int(digits * 3.33) + 80
    x, a, b = Fraction(x), Fraction(a), Fraction(b)
    scale = math.lcm(a.denominator, b.denominator)
    low, top = int(a * scale), int((a + b) * scale)
    total = term = one
    for k in range(30000):
        up = (top + k * scale) * x.numerator
        down = (low + scale + k * scale) * x.denominator
        term = term * up // down
        total += term
        if up < down and term * down * 10 ** digits < total * (down - up):
            break
    else:
        return None
    with mpmath.workdps(digits):
        x, a, b = (mpmath.mpf(v.numerator) / v.denominator for v in (x, a, b))
        return mpmath.mpf(total) / one / a * mpmath.exp(
            a * mpmath.log(x) + b * mpmath.log(1 - x) - mpmath.loggamma(a)
            - mpmath.loggamma(b) + mpmath.loggamma(a + b))


def exact_cdf(x, a, b):
    """By either tail, with so many digits that none is lost."""
    if b * x <= a * (1 - x) and (x <= 0.9 or a * (1 - x) > 3):
        value = series(x, a, b, 30)
        if value is not None:
            return value
    for digits in (40, 360):
        with mpmath.workdps(digits):
            upper = series(1 - Fraction(x), b, a, digits)
            if upper is None:
                return None
            if 1 - upper > mpmath.mpf(10) ** (20 - digits):
                return 1 - upper
    return None


def somewhere(generator):
    """Parameters of all sizes, and a point near the mean or far from it."""
    a, b = (10 ** generator.uniform(-3, 6) for _ in "ab")
    width = math.sqrt(1 / a + 1 / b) * generator.choice([1, 3, 8, 30])
    z = math.log(a / b) + width * generator.uniform(-1, 1)
    if abs(z) > 600 or generator.random() < 0.3:
        return generator.random(), a, b
    return 1 / (1 + math.exp(-z)), a, b


def test_cdf_against_mpmath(one):
    generator, checked = random.Random(3), 0
    while checked < 300:
        x, a, b = somewhere(generator)
        if not 0 < x < 1:
            continue
        exact = exact_cdf(x, a, b)
        if exact is None or exact < 1e-300:
            continue
        found = one.value("SELECT beta_cdf(?, ?, ?)", (x, a, b))
        assert abs(found - exact) <= 1e-10 * exact, (x, a, b)
        checked += 1


def test_quantile_against_mpmath(one):
    """The exact p of the x that was found is p, up to 1e-10 of x."""
    generator, checked = random.Random(4), 0
    while checked < 200:
        _, a, b = somewhere(generator)
        p = generator.choice([generator.random(),
                              10 ** generator.uniform(-200, 0)])
        x = one.value("SELECT beta_quantile(?, ?, ?)", (p, a, b))
        assert 0 <= x <= 1
        if not 1e-290 < x < 0.999:
            continue
        exact = exact_cdf(x, a, b)
        if exact is None:
            continue
        with mpmath.workdps(30):
            slope = mpmath.exp(a * mpmath.log(x) + b * mpmath.log(1 - x)
                               - mpmath.loggamma(a) - mpmath.loggamma(b)
                               + mpmath.loggamma(mpmath.mpf(a) + b)) / (1 - x)
            assert abs(exact - p) <= 1e-10 * slope + 1e-15 * p, (p, a, b)
        checked += 1


def test_density_and_log(one):
    generator = random.Random(5)
    for _ in range(200):
        x, a, b = somewhere(generator)
        with mpmath.workdps(30):
            log = (mpmath.loggamma(a) + mpmath.loggamma(b)
                   - mpmath.loggamma(mpmath.mpf(a) + b))
            found = one.value("SELECT beta_log(?, ?)", (a, b))
            assert abs(found - log) <= 1e-13 * max(1, abs(log)), (a, b)
            if not 0 < x < 1:
                continue
            density = mpmath.exp((mpmath.mpf(a) - 1) * mpmath.log(x)
                                 + (mpmath.mpf(b) - 1)
                                 * mpmath.log(1 - mpmath.mpf(x)) - log)
        found = one.value("SELECT beta_pdf(?, ?, ?)", (x, a, b))
        if 1e-300 < density < 1e300:
            assert abs(found - density) <= 1e-10 * density, (x, a, b)


@pytest.mark.parametrize("p, a, b, x", [
    (0.25, 2, 3, 0.243022083756076), (0.1, 0.5, 0.5, 0.0244717418524232)])
def test_golden_quantiles(one, p, a, b, x):
    assert near(one.value("SELECT beta_quantile(?, ?, ?)", (p, a, b)), x, 1e-12)


BAD = ["NULL", "'0.5'", "x'01'", "-1", "9e999", "-9e999", "0.0/0"]


@pytest.mark.parametrize("call", [
    "beta_cdf(?, 2, 3)", "beta_cdf(0.5, ?, 3)", "beta_cdf(0.5, 2, ?)",
    "beta_quantile(?, 2, 3)", "beta_quantile(0.5, ?, 3)",
    "beta_quantile(0.5, 2, ?)", "beta_pdf(?, 2, 3)", "beta_pdf(0.5, ?, 3)",
    "beta_pdf(0.5, 2, ?)", "beta_log(?, 1)", "beta_log(1, ?)",
    "wilson_lower(?, 10)", "wilson_upper(2, ?)", "wilson_lower(2, 10, ?)",
    "wilson_upper(2, 10, ?)", "confidence_tier(?)"])
def test_null_for_what_is_no_parameter(one, call):
    for bad in BAD + (["0"] if call in (
            "beta_cdf(0.5, ?, 3)", "beta_quantile(0.5, 2, ?)",
            "beta_log(?, 1)", "wilson_upper(2, ?)") else []):
        sql = "SELECT " + call.replace("?", bad)
        assert one.value(sql) is None, sql
    if "quantile" in call or "cdf" in call:
        assert one.value("SELECT " + call.replace("?", "1e13")) is None


def test_ends_and_poles(one):
    assert one.run("SELECT beta_cdf(0, 2, 3), beta_cdf(1, 2, 3),"
                   " beta_quantile(0, 2, 3), beta_quantile(1, 2, 3)")[0] == (
                       0, 1, 0, 1)
    assert one.run("SELECT beta_pdf(0, 0.5, 3), beta_pdf(0, 1, 3),"
                   " beta_pdf(0, 2, 3), beta_pdf(1, 3, 0.5)")[0] == (
                       None, 3, 0, None)


@pytest.mark.parametrize("a, b, mean", [
    (0, 0, 0.5), (10, 0, 1), (0, 10, 0), (-1, 0, 0.5), (9, 3, 0.75),
    (10, 7, 0.588235294117647), (-1, 3, 0), (3, -1, 1), (1e308, 1e308, 0.5)])
def test_mean(one, a, b, mean):
    assert near(one.value("SELECT beta_mean(?, ?)", (a, b)), mean, 1e-12)
    assert one.run("SELECT beta_mean(NULL, 1), beta_mean(1, 'x'),"
                   " beta_mean(9e999, 1)") == [(None, None, 0.5)]


@pytest.mark.parametrize("mean, tier", [
    (0.85, "established"), (0.849, "emerging"), (0.70, "emerging"),
    (0.699, "tentative"), (0.50, "tentative"), (0.499, "uncertain"),
    (0, "uncertain"), (1, "established"), (0.849999, "emerging"),
    (1.001, None), (-0.001, None)])
def test_tiers(one, mean, tier):
    assert one.value("SELECT confidence_tier(?)", (mean,)) == tier


@pytest.mark.parametrize("k, n, low, high, over_20, over_10", [
    (0, 10, 0, 0.277532800, 0.085899346, 0.313810596),
    (2, 10, 0.056682151, 0.509837528, 0.617401549, 0.910438149),
    (4, 12, 0.138120091, 0.609377911, 0.900869390, 0.993539844),
    (5, 50, 0.043475765, 0.213602314, 0.042120979, 0.597630548),
    (200, 1000, 0.176377090, 0.225918965, 0.512606363, 1.0),
    (10, 10, 0.722467200, 1, 0.999999980, 1.0)])
def test_rates(one, k, n, low, high, over_20, over_10):
    row = one.run("SELECT wilson_lower(?1, ?2), wilson_upper(?1, ?2),"
                  " beta_cdf(0.8, 1 + ?2 - ?1, 1 + ?1),"
                  " beta_cdf(0.9, 1 + ?2 - ?1, 1 + ?1)", (k, n))[0]
    for found, expected in zip(row, (low, high, over_20, over_10)):
        assert abs(found - expected) < 1e-9
    assert one.value("SELECT wilson_lower(?1, ?2, 1.959963984540054)",
                     (k, n)) == row[0]


@pytest.mark.parametrize("a, b, probability", [
    (9, 3, 0.221188018), (17, 3, 0.558679388), (6, 1, 0.622850484),
    (161, 41, 0.023731311), (90, 10, 0.940470091), (101, 1, 0.999999926)])
def test_probability_of_being_established(one, a, b, probability):
    found = one.value("SELECT beta_cdf(0.15, ?, ?)", (b, a))
    assert abs(found - probability) < 1e-9


# ---- aggregates -------------------------------------------------------------

def aggregate(one, rows, more="", sql="SELECT confidence_posterior({})"):
    values = ", ".join("(" + ", ".join(map(str, row)) + ")" for row in rows)
    columns = ", ".join(f"column{i + 1}" for i in range(len(rows[0])))
    return json.loads(one.value(f"{sql.format(columns)} FROM (VALUES {values})"
                                + more))


def test_posterior(one):
    found = aggregate(one, [(8, 2)] + [(0, 0.5)] * 5)
    assert list(found) == ["alpha", "beta", "mean", "low", "high", "tier",
                           "feedback"]
    assert (found["alpha"], found["beta"], found["feedback"]) == (9, 5.5, 6)
    assert near(found["mean"], 0.620689655) and found["tier"] == "tentative"
    assert found["low"] == one.value("SELECT beta_quantile(0.025, 9, 5.5)")
    assert found["high"] == one.value("SELECT beta_quantile(0.975, 9, 5.5)")
    empty = json.loads(one.value("SELECT confidence_posterior(1, 1) FROM"
                                 " (SELECT 1 WHERE 0)"))
    assert (empty["mean"], empty["feedback"]) == (0.5, 0)
    assert near(empty["low"], 0.025, 1e-13)


def test_posterior_with_half_life(one):
    """Half-life 30 d, five dismissals at 0 to 120 d on (10,2)."""
    rows = [(9, 1, 0, 30 * 86400000)] + [
        (0, 0.5, days * 86400000, 30 * 86400000)
        for days in (0, 30, 60, 90, 120)]
    found = aggregate(one, rows)
    assert near(found["mean"], 0.771084337) and found["beta"] == 2.96875
    assert near(aggregate(one, [(0, 1, 45, 90)])["beta"], 1.707106781)
    assert aggregate(one, [(0, 1, "NULL", 90)])["beta"] == 2
    assert aggregate(one, [(0, 1, 45, "NULL")])["beta"] == 2
    assert aggregate(one, [(0, 1, -45, 90)])["beta"] == 2
    assert aggregate(one, [(0, 1, "9e999", "9e999")])["beta"] == 2


@pytest.mark.parametrize("rows, alpha, beta, count", [
    ([("NULL", "NULL")], 1, 1, 0), ([("NULL", 1)], 1, 2, 1),
    ([("9e999", "-9e999")], 1e12, 0.01, 1), ([(-5, 0)], 0.01, 1, 1),
    ([(1e300, 1), (-1e300, 1)], 1, 3, 2), ([(0, 0.5)] * 10000, 1, 5001, 10000),
])
def test_posterior_is_always_finite(one, rows, alpha, beta, count):
    found = aggregate(one, rows)
    assert (found["alpha"], found["beta"], found["feedback"]) == (
        alpha, beta, count)
    assert 0 <= found["low"] <= found["mean"] <= found["high"] <= 1


@pytest.mark.parametrize("arguments, message", [
    ("'1', 0", "alpha_delta and beta_delta are numbers, or NULL"),
    ("0, x'01'", "alpha_delta and beta_delta are numbers, or NULL"),
    ("0, 1, 1, 0", "half_life_ms one above 0"),
    ("0, 1, 1, -1", "half_life_ms one above 0"),
    ("0, 1, 'old', 1", "age_ms is a number"),
    ("0, 1, 1, 'long'", "age_ms is a number"),
])
def test_posterior_refuses(one, arguments, message):
    one.fails(f"SELECT confidence_posterior({arguments})", message)
    one.fails(f"SELECT confidence_posterior({arguments}) OVER ()", message)


def test_windows_take_rows_out_again(one):
    generator = random.Random(6)
    rows = [(generator.choice([1e11, 0.1, 0.3]), generator.random())
            for _ in range(60)]
    values = ", ".join(f"({i}, {a}, {b})" for i, (a, b) in enumerate(rows))
    frame = "ROWS BETWEEN 3 PRECEDING AND 1 FOLLOWING"
    found = one.run(
        "SELECT confidence_posterior(column2, column3) OVER w,"
        f" momentum(column3) OVER w FROM (VALUES {values})"
        f" WINDOW w AS (ORDER BY column1 {frame})")
    for i, (posterior, momentum) in enumerate(found):
        part = rows[max(0, i - 3):i + 2]
        alone = aggregate(one, part)
        given = json.loads(posterior)
        assert near(given["alpha"], alone["alpha"], 1e-14)
        assert near(given["beta"], alone["beta"], 1e-14)
        assert given["feedback"] == len(part)
        assert momentum == trend(one, [b for _, b in part])


def trend(one, counts):
    return one.value("SELECT momentum(value) FROM json_each(?)",
                     (json.dumps(counts),))


@pytest.mark.parametrize("counts, word", [
    (range(10, 60, 5), "rising"), (range(100, 0, -10), "falling"),
    ([50] * 10, "stable"), ([10, 11], "stable"), ([10, 12], "rising"),
    ([100, 90, 80], "falling"), ([10, 9], "falling"), ([0, 0, 0], "stable"),
    ([], "stable"), ([5], "stable"), ([95, 105], "stable"),
    ([1000, 1] + [50] * 10, "stable"), ([-5, -1], "stable"),
    ([None, 10, None, 12], "rising"), ([1e308, 1e308, 1e308], "stable")])
def test_momentum(one, counts, word):
    assert trend(one, list(counts)) == word


def test_momentum_over_windows(one):
    counts = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 3, 8, 4]
    for before in (0, 1, 5, 9, 10, 12):
        found = one.run(
            f"SELECT momentum(value) OVER (ORDER BY key ROWS {before}"
            " PRECEDING) FROM json_each(?)", (json.dumps(counts),))
        for i, (word,) in enumerate(found):
            assert word == trend(one, counts[max(0, i - before):i + 1])
    one.fails("SELECT momentum('ten')", "momentum: a count is a number")


def test_weight(one):
    assert one.run("SELECT confidence_weight(45, 90), confidence_weight(5,"
                   " NULL), confidence_weight(-5, 1), confidence_weight(1, 0),"
                   " confidence_weight('x', 1), confidence_weight(1e9, 1)"
                   )[0] == (math.sqrt(0.5), 1, 1, None, None, 0)


def test_usable_in_a_schema_that_is_not_trusted(one):
    one.run("CREATE TABLE t(a, b, c AS (beta_cdf(0.5, a, b)));"
            " CREATE INDEX i ON t(beta_quantile(0.5, a, b)); CREATE VIEW v AS"
            " SELECT confidence_posterior(a, b) AS j, wilson_lower(1, 2) FROM t")
    one.run("INSERT INTO t VALUES (1, 1)")
    assert one.run("SELECT round(c, 12), j IS NOT NULL FROM t, v") == [(0.5, 1)]
