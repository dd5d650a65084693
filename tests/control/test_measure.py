"""The sequential test of a canary: monitor_measure and what follows from it.
Its numbers are tested, and its error rates simulated, in tests/unit."""
import json
import math
import random
import sqlite3

import apsw
import pytest

from conftest import load_apsw

PRIOR = 0.18


@pytest.fixture(name="m")
def monitored(tmp_path):
    connection = apsw.Connection(str(tmp_path / "m.db"))
    load_apsw(connection)

    class M:
        path = str(tmp_path / "m.db")

        @staticmethod
        def run(sql, bindings=()):
            return connection.cursor().execute(sql, bindings).fetchall()

        def value(self, sql, bindings=()):
            return self.run(sql, bindings)[0][0]

        def measure(self, arm, good, total, release="r2"):
            return json.loads(self.value("SELECT monitor_measure(?, ?, ?, ?)",
                                         (release, arm, good, total)))

        def fails(self, sql, words, bindings=()):
            before = self.run("SELECT * FROM monitor_sequential")
            with pytest.raises(apsw.Error) as error:
                self.run(sql, bindings)
            assert words in str(error.value)
            assert self.run("SELECT * FROM monitor_sequential") == before

    m = M()
    m.run("PRAGMA synchronous = OFF; SELECT holdfast_install('control');"
          " SELECT monitor_start('r2', 'production', 'r1')")
    yield m
    connection.close()


def factor(seen, block):
    """The log of a block's factor, written down once more."""
    a, b = ((bad + PRIOR) / (total + 2 * PRIOR) for bad, total in seen)
    if b <= a:
        return 0.0
    (bad_a, n_a), (bad_b, n_b) = block
    mean = (n_a * a + n_b * b) / (n_a + n_b)
    return (bad_a * math.log(a / mean)
            + (n_a - bad_a) * math.log((1 - a) / (1 - mean))
            + bad_b * math.log(b / mean)
            + (n_b - bad_b) * math.log((1 - b) / (1 - mean)))


def test_the_e_value(m):
    """Arms that come in any order and size, judged in blocks of both."""
    chance = random.Random(5)
    seen, waiting, log_e = [[0, 0], [0, 0]], [[0, 0], [0, 0]], 0.0
    for _ in range(200):
        arm, total = chance.randrange(2), chance.randrange(1, 30)
        bad = sum(chance.random() < 0.1 + 0.02 * arm for _ in range(total))
        verdict = m.measure(["baseline", "canary"][arm], total - bad, total)
        waiting[arm][0] += bad
        waiting[arm][1] += total
        if waiting[0][1] and waiting[1][1]:
            log_e += factor(seen, waiting)
            seen = [[x + y for x, y in zip(*pair)]
                    for pair in zip(seen, waiting)]
            waiting = [[0, 0], [0, 0]]
        assert verdict["e_value"] == pytest.approx(math.exp(log_e), rel=1e-12)
        assert verdict["baseline"] == [x + y for x, y in
                                       zip(seen[0], waiting[0])]
        assert (verdict["decision"], verdict["alpha"]) == ("healthy", 0.05)
    assert m.value("SELECT count(*) FROM monitor_sequential") == 1
    assert m.run("SELECT * FROM monitor_check") == []


def test_enough_evidence_is_a_rollback(m):
    for _ in range(2):
        m.measure("baseline", 950, 1000)
        verdict = m.measure("canary", 900, 1000)
    assert verdict["decision"] == "rollback"
    assert verdict["e_value"] > 20
    decision, reason, evidence = m.run("SELECT decision, reason, evidence FROM"
                                       " monitor_decision")[0]
    assert decision == "rollback"
    assert reason == ("sequential test: error rate 10.00% against 5.00%,"
                      " e-value 9611")
    sequential = json.loads(evidence)["sequential"]
    # SQLite's releases print the same number in 15 or 17 digits.
    assert sequential.pop("e_value") == pytest.approx(verdict["e_value"])
    assert sequential == {"baseline": [100, 2000], "canary": [200, 2000]}
    assert json.loads(evidence)["threshold"]["alpha"] == 0.05
    assert m.run("SELECT release, action, target, evidence FROM"
                 " control_outbox") == [("r2", "rollback", "r1", evidence)]
    assert m.value("SELECT ended_why FROM monitor") == "rollback: " + reason
    assert m.run("SELECT ok, error_rate, detail FROM monitor_check") == [
        (0, 0.1, "sequential test")]
    m.fails("SELECT monitor_measure('r2', 'canary', 1, 1)",
            "monitor_measure: the monitor of r2 has ended: rollback")


def test_a_profile_that_does_not_act_decides_once(m):
    m.run("INSERT INTO monitor_profile(name, error_rate, grace_ms, failures,"
          " acts, alpha) VALUES ('shadow', 0.2, 600000, 2, 0, 0.001);"
          " SELECT monitor_start('s', 'shadow', 'r1')")
    for _ in range(4):
        m.measure("baseline", 990, 1000, "s")
        verdict = m.measure("canary", 900, 1000, "s")
    assert (verdict["decision"], verdict["alpha"]) == ("rollback", 0.001)
    assert verdict["canary"] == [200, 2000]
    assert m.run("SELECT decision FROM monitor_decision") == [("rollback",)]
    assert m.run("SELECT * FROM control_outbox") == []


def test_checks_and_measurements_of_one_release(m):
    m.run("INSERT INTO monitor_check(release, ok, error_rate)"
          " VALUES ('r2', 1, 0.0), ('r2', 1, 0.0)")
    m.measure("baseline", 99, 100)
    m.measure("canary", 99, 100)
    m.run("INSERT INTO monitor_check(release, ok, error_rate)"
          " VALUES ('r2', 1, 0.0)")
    decision, evidence = m.run("SELECT decision, evidence FROM monitor_decision"
                               " ORDER BY id DESC LIMIT 1")[0]
    assert decision == "healthy"
    assert json.loads(evidence)["sequential"]["canary"] == [1, 100]


NUMBERS = "monitor_measure: good and total are whole numbers"


@pytest.mark.parametrize("arguments, words", [
    ("NULL, 'canary', 1, 1", "monitor_measure: the release must be TEXT"),
    ("x'7232', 'canary', 1, 1", "monitor_measure: the release must be TEXT"),
    ("'no', 'canary', 1, 1", "release no is not monitored; INSERT INTO"),
    ("'r2', NULL, 1, 1", "monitor_measure: the arm must be TEXT"),
    ("'r2', 'Canary', 1, 1", "the arm is 'baseline' or 'canary'"),
    ("'r2', 'canary', NULL, 1", NUMBERS), ("'r2', 'canary', 1, NULL", NUMBERS),
    ("'r2', 'canary', '1', 1", NUMBERS), ("'r2', 'canary', 0.5, 1", NUMBERS),
    ("'r2', 'canary', -1, 1", NUMBERS), ("'r2', 'canary', 2, 1", NUMBERS),
    ("'r2', 'canary', 0, 0", "when nothing was measured, INSERT INTO"),
    ("'r2', 'canary', 0, 9223372036854775807", NUMBERS),
    ("'r2', 'canary', 9e999, 9e999", NUMBERS)])
def test_bad_input(m, arguments, words):
    m.measure("baseline", 5, 6)
    m.fails(f"SELECT monitor_measure({arguments})", words)


def test_whole_reals_and_the_most(m):
    assert m.measure("canary", 3.0, 4.0)["canary"] == [1, 4]
    m.measure("baseline", 0, 1 << 40)
    m.fails("SELECT monitor_measure('r2', 'baseline', 0, 1)",
            "more than 1099511627776 requests of baseline")
    assert m.measure("canary", 0, (1 << 40) - 4)["canary"] == [
        (1 << 40) - 3, 1 << 40]


def test_after_the_grace_period(m):
    m.run("INSERT INTO monitor(release, profile, started_at) SELECT 'old',"
          " 'production', started_at - 900001 FROM monitor LIMIT 1")
    m.fails("SELECT monitor_measure('old', 'canary', 1, 1)",
            "the monitor of old has ended: its grace period is over")


WRITES = ["INSERT INTO monitor_sequential VALUES"
          " ('r2', 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 99.0)",
          "REPLACE INTO monitor_sequential VALUES"
          " ('r2', 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 99.0)",
          "UPDATE monitor_sequential SET e_value = 0.5",
          "DELETE FROM monitor_sequential"]


@pytest.mark.parametrize("sql", WRITES)
def test_nobody_else_writes_it(m, sql):
    m.measure("canary", 5, 6)
    m.fails(sql, "monitor_sequential")
    plain = sqlite3.connect(m.path, isolation_level=None)
    with pytest.raises(sqlite3.Error):
        plain.execute(sql)
    plain.close()
    assert m.run("SELECT canary_bad, canary_total, e_value FROM"
                 " monitor_sequential") == [(1, 6, 1.0)]


def test_a_trigger_does_not_write_beside_it(m):
    assert m.run("SELECT control_measuring('r2'), control_measuring(NULL)") \
        == [(0, 0)]
    m.run("CREATE TRIGGER t AFTER INSERT ON monitor_sequential BEGIN"
          " UPDATE monitor_sequential SET e_value = 0 WHERE release ="
          " NEW.release; END")
    m.fails("SELECT monitor_measure('r2', 'canary', 1, 1)",
            "monitor_sequential is written by monitor_measure()")
    m.run("DROP TRIGGER t; CREATE TEMP TRIGGER t BEFORE INSERT ON"
          " main.monitor_sequential BEGIN SELECT RAISE(IGNORE); END")
    m.fails("SELECT monitor_measure('r2', 'canary', 1, 1)",
            "a trigger on monitor_sequential swallowed the measurement")


def test_a_rollback_takes_it_back(m):
    m.run("BEGIN")
    m.measure("canary", 1, 1)
    m.run("ROLLBACK")
    assert m.run("SELECT * FROM monitor_sequential") == []
    m.fails("INSERT INTO flag(name) SELECT monitor_measure('r2', 'canary', 1,"
            " 1)", "cannot run inside a statement that writes")
