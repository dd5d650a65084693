"""The system clock is set forward and back, under the database.

The clock is a VFS's, so the doors, the walls and the guard's triggers read the
same, also those of a connection without the extension.  What holds: nothing
is resurrected, nothing extended, nothing lost before its time by that clock.
"""
import apsw
import pytest

from leasing import (Clock, GUARD, LIBRARY, acquire, guarded, held, holds,
                     release, renew, write)

START = 1_800_000_000_000
HOUR = 3_600_000


class Site:
    """One file, a connection with and one without the extension, and the
    clock under both."""

    def __init__(self, path, clock):
        self.clock = clock
        self.connection = apsw.Connection(path, vfs="lease_clock")
        self.connection.enableloadextension(True)
        self.connection.loadextension(LIBRARY)
        self.bare = apsw.Connection(path, vfs="lease_clock")

    def run(self, sql, bindings=()):
        return self.connection.cursor().execute(sql, bindings).fetchall()

    def value(self, sql, bindings=()):
        return self.run(sql, bindings)[0][0]

    def at(self, ms):
        self.clock.now = START + ms
        return self

    def close(self):
        self.connection.close()
        self.bare.close()

    def passes(self, task, token):
        """Does a guarded write pass?  All connections agree."""
        answers = []
        for connection in (self.connection, self.bare):
            connection.cursor().execute("SAVEPOINT s")
            try:
                connection.cursor().execute(
                    "INSERT INTO work(task, token) VALUES (?, ?)",
                    (task, token))
                answers.append(1)
            except apsw.ConstraintError as error:
                assert GUARD in str(error)
                answers.append(0)
            connection.cursor().execute("ROLLBACK TO s; RELEASE s")
        assert answers[0] == answers[1]
        return answers[0]

    def live(self, resource, token):
        """Is it held?  Everything that can say so says the same."""
        answers = {
            holds(self, resource, token), self.passes(resource, token),
            self.value("SELECT count(*) FROM l WHERE resource = ? AND"
                       " token = ?", (resource, token))}
        assert len(answers) == 1, answers
        return answers.pop()


@pytest.fixture
def site(tmp_path):
    clock = Clock(START)
    site = Site(str(tmp_path / "l.db"), clock)
    site.run("PRAGMA journal_mode=wal")
    site.run("CREATE VIRTUAL TABLE l USING lease(ttl_ms=60000)")
    guarded(site)
    yield site
    site.close()
    clock.unregister()


def test_the_clock_is_the_one_of_the_vfs(site):
    acquire(site, "r", "a")
    assert held(site) == [("r", "a", 1, START, START + 60000, 0)]
    assert site.value("SELECT now FROM lease_high_water") == START


def test_expiry_at_exactly_the_instant(site):
    acquire(site, "r", "a", ttl=1000)
    write(site, "r", 1)
    assert [site.at(ms).live("r", 1) for ms in (0, 1, 998, 999, 1000, 1001)] \
        == [1, 1, 1, 1, 0, 0]
    assert acquire(site.at(999), "r", "b") is None
    assert renew(site.at(1000), "r", 1) is None
    assert release(site.at(1000), "r", 1) == 0
    assert site.at(999).live("r", 1) == 0  # what was said to be lost, is
    assert acquire(site.at(1000), "r", "b") == 2


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_every_millisecond_is_the_same_for_all(site, step):
    """Days as a floating-point number lose nothing: doors and triggers agree
    on each instant, whatever its fraction of a day."""
    for i in range(40):
        at = i * 86_399 * step + step
        token = acquire(site.at(at), f"r{i}", "a", ttl=step)
        assert site.value("SELECT expires_at FROM l WHERE token = ?",
                          (token,)) == START + at + step
        assert site.at(at + step - 1).live(f"r{i}", token) == 1
        assert site.at(at + step).live(f"r{i}", token) == 0


def test_forward_an_hour_then_back_nothing_is_resurrected(site):
    acquire(site, "r", "a")
    write(site, "r", 1)
    acquire(site.at(HOUR), "other", "x")  # decided at that time
    assert site.live("r", 1) == 0
    site.at(0)
    assert site.live("r", 1) == 0
    assert renew(site, "r", 1) is None
    assert release(site, "r", 1) == 0
    for sql in ("UPDATE l SET ttl_ms = 5 WHERE token = 1",
                "DELETE FROM l WHERE token = 1"):
        site.run(sql)
        assert site.connection.changes() == 0
    assert site.value("SELECT token FROM l_held WHERE resource = 'r'") == 1
    assert acquire(site, "r", "b") == 3


def test_forward_an_hour_taken_over_then_back(site):
    acquire(site, "r", "a")
    write(site, "r", 1)
    assert acquire(site.at(HOUR), "r", "b") == 2
    site.at(0)
    assert (site.live("r", 1), site.live("r", 2)) == (0, 1)
    assert acquire(site, "r", "a") is None


def test_back_an_hour_extends_nothing_and_loses_nothing(site):
    acquire(site, "r", "a")
    write(site, "r", 1)
    row = site.run("SELECT * FROM l_held")
    site.at(-HOUR)
    assert site.live("r", 1) == 1
    assert acquire(site, "r", "b") is None
    assert site.run("SELECT * FROM l_held") == row
    # The database's time is the latest that it has seen.
    assert renew(site, "r", 1) == START + 60000
    assert acquire(site, "s", "b") == 2
    assert held(site)[1] == ("s", "b", 2, START, START + 60000, 0)
    assert site.live("s", 2) == 1
    assert release(site, "s", 2) == 1
    assert site.run("SELECT at, held_ms FROM l_event WHERE kind = 'released'"
                    ) == [(START, 0)]
    # Come to the place again, the clock ends both as if nothing had been.
    assert site.at(59_999).live("r", 1) == 1
    assert site.at(60_000).live("r", 1) == 0


def test_back_an_hour_the_guard_uses_the_latest_time_too(site):
    """A lease that had ended when the clock went back has ended for triggers
    of connections without the extension as well."""
    acquire(site, "r", "a", ttl=1000)
    write(site, "r", 1)
    acquire(site.at(1000), "s", "x")
    for ms in (-HOUR, 0, 500, 999, 1000):
        assert site.at(ms).passes("r", 1) == 0
        with pytest.raises(apsw.ConstraintError):
            site.bare.cursor().execute("UPDATE work SET text = 'late'")
        assert site.passes("s", 2) == 1


def test_tokens_grow_whatever_the_clock_does(site):
    tokens = []
    for i, ms in enumerate((0, HOUR, -HOUR, 5, 24 * HOUR, -24 * HOUR)):
        tokens.append(acquire(site.at(ms), f"r{i}", "a"))
        release(site, f"r{i}", tokens[-1])
    assert tokens == [1, 2, 3, 4, 5, 6]
    times = site.run("SELECT at FROM l_event ORDER BY rowid")
    assert times == sorted(times)
    assert site.value("SELECT now FROM lease_high_water") == START + 24 * HOUR


def test_back_while_a_lock_delay_runs(site):
    site.run("DROP TABLE l; CREATE VIRTUAL TABLE l USING"
             " lease(ttl_ms=1000, lock_delay_ms=500)")
    acquire(site, "r", "a")
    acquire(site.at(1200), "other", "x")
    assert acquire(site.at(-HOUR), "r", "b") is None
    assert acquire(site.at(1499), "r", "b") is None
    assert acquire(site.at(1500), "r", "b") == 3


def test_back_in_the_middle_of_a_transaction(site):
    """A term is decided statement by statement, each by the latest time."""
    acquire(site, "r", "a", ttl=1000)
    site.run("BEGIN IMMEDIATE")
    write(site, "r", 1)
    acquire(site.at(1000), "s", "a")
    assert site.at(0).value("SELECT lease_holds('l', 'r', 1)") == 0
    with pytest.raises(apsw.ConstraintError):
        write(site, "r", 1)
    site.run("COMMIT")
    assert site.value("SELECT count(*) FROM work") == 1


def test_waiting_goes_by_the_time_slept(site):
    """A clock that stands or runs back does not make wait_ms endless."""
    acquire(site, "r", "a")
    site.at(-HOUR)
    assert site.value("SELECT lease_acquire('l', 'r', 'b', NULL, 50)") is None
