"""Denials: what a wall refuses is in the history all the same."""
import apsw
import pytest

from conftest import load_apsw

HELD = "lease l: r is held by a with token 1 for another"


@pytest.fixture(name="l")
def leases(db):
    db.run("CREATE VIRTUAL TABLE l USING lease;"
           " INSERT INTO l(resource, holder) VALUES ('r', 'a')")
    return db


def denied(l, holder):
    with pytest.raises(apsw.ConstraintError) as error:
        l.run("INSERT INTO l(resource, holder) VALUES ('r', ?)", (holder,))
    assert HELD in str(error.value)


def contended(l):
    return l.run("SELECT holder, token, held_ms, detail FROM l_event"
                 " WHERE kind = 'contended'")


def test_the_door_records_at_once(l):
    assert l.value("SELECT lease_acquire('l', 'r', 'b')") is None
    assert contended(l) == [("b", 1, None, "a")]


def test_one_that_may_not_renew_is_no_contention(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(max_renewals = 1);"
           " INSERT INTO l(resource, holder) VALUES ('r', 'a')")
    assert db.value("SELECT lease_acquire('l', 'r', 'a')") == 1
    assert db.value("SELECT lease_acquire('l', 'r', 'a')") is None
    assert contended(db) == []


@pytest.fixture(name="kept")
def kept_connection(tmp_path):
    """One connection, for what it keeps in memory."""
    connection = apsw.Connection(str(tmp_path / "kept.db"))
    load_apsw(connection)
    run = connection.cursor().execute

    class Kept:
        def run(self, sql, bindings=()):
            return run(sql, bindings).fetchall()

        def value(self, sql, bindings=()):
            return self.run(sql, bindings)[0][0]

    kept = Kept()
    kept.connection = connection
    kept.run("PRAGMA journal_mode = WAL")
    kept.run("CREATE VIRTUAL TABLE l USING lease;"
             " INSERT INTO l(resource, holder) VALUES ('r', 'a')")
    yield kept
    connection.close()


def test_a_wall_is_written_with_the_next_door(kept):
    denied(kept, "b")
    denied(kept, "c")
    assert contended(kept) == []
    assert kept.value("SELECT lease_renew('l', 'r', 1)")
    assert contended(kept) == [("b", 1, None, "a"), ("c", 1, None, "a")]


def test_or_with_the_next_write_through_the_table(kept):
    denied(kept, "b")
    kept.run("INSERT INTO l(resource, holder) VALUES ('s', 'b')")
    assert contended(kept) == [("b", 1, None, "a")]


def test_or_with_the_commit_of_its_own_transaction(kept):
    kept.run("BEGIN")
    denied(kept, "b")
    kept.run("COMMIT")
    assert contended(kept) == [("b", 1, None, "a")]


def test_a_rollback_does_not_lose_it(kept):
    kept.run("BEGIN")
    denied(kept, "b")
    assert kept.value("SELECT lease_renew('l', 'r', 1)")
    kept.run("ROLLBACK")
    assert contended(kept) == []
    kept.run("BEGIN")
    assert kept.value("SELECT lease_renew('l', 'r', 1)")
    kept.run("COMMIT")
    assert contended(kept) == [("b", 1, None, "a")]
    assert kept.value("SELECT lease_renew('l', 'r', 1)")
    assert len(contended(kept)) == 1


def test_nor_does_a_door_that_fails(kept):
    denied(kept, "b")
    with pytest.raises(apsw.SQLError):
        kept.run("SELECT lease_renew('l', 'r', 'one')")
    assert contended(kept) == []
    assert kept.value("SELECT lease_release('l', 'r', 1)") == 1
    assert contended(kept) == [("b", 1, None, "a")]


def test_each_table_has_its_own(kept):
    kept.run("CREATE VIRTUAL TABLE m USING lease")
    denied(kept, "b")
    kept.run("SELECT lease_acquire('m', 'r', 'b')")
    assert contended(kept) == []
    assert kept.run("SELECT kind FROM m_event") == [("acquired",)]
    kept.run("SELECT lease_renew('l', 'r', 1)")
    assert len(contended(kept)) == 1


def test_a_thousand_are_kept_and_the_rest_is_counted(kept):
    for _ in range(1234):
        denied(kept, "b")
    kept.run("SELECT lease_renew('l', 'r', 1)")
    rows = contended(kept)
    assert len(rows) == 1000
    assert rows[-1][3] == "a; and 234 more denials of this connection"


def test_a_history_that_feeds_a_ledger(kept):
    """In the commit itself no virtual table can be written: then they wait for
    a door."""
    kept.run("CREATE VIRTUAL TABLE log USING ledger(kind TEXT);"
             " CREATE TRIGGER feed AFTER INSERT ON l_event BEGIN"
             " INSERT INTO log(kind) VALUES (NEW.kind); END")
    denied(kept, "b")
    kept.run("INSERT INTO l(resource, holder) VALUES ('s', 'b')")
    assert contended(kept) == []
    kept.run("SELECT lease_renew('l', 'r', 1)")
    assert contended(kept) == [("b", 1, None, "a")]
    assert kept.run("SELECT kind FROM log") == [
        ("acquired",), ("contended",), ("renewed",)]
    assert kept.run("SELECT * FROM ledger_verify('log')") == []


def test_a_delayed_one_too(db):
    db.run("CREATE VIRTUAL TABLE l USING lease(lock_delay_ms = 50, clock ="
           " 'caller'); INSERT INTO l(resource, holder, ttl_ms, now)"
           " VALUES ('r', 'a', 10, 1000)")
    assert db.value("SELECT lease_acquire('l', 'r', 'b', 10, 0, 1020)") is None
    assert contended(db) == [("b", 1, None, "a")]


def test_once_when_a_trigger_writes_the_table_too(kept):
    """A door writes them, then the commit finds the table taking part."""
    denied(kept, "b")
    kept.run("CREATE TRIGGER p AFTER INSERT ON l_held WHEN NEW.resource = 's'"
             " BEGIN INSERT INTO l(resource, holder) VALUES ('t', 'b'); END")
    assert kept.value("SELECT lease_acquire('l', 's', 'b')") == 2
    assert contended(kept) == [("b", 1, None, "a")]
