"""What a connection remembers of leases is a guess: a wrong one costs a look,
and decides nothing."""
import apsw
import pytest

from leasing import (Clock, LIBRARY, acquire, load, once, release, renew, says,
                     value)

START = 1_800_000_000_000
LEASE = ("CREATE VIRTUAL TABLE l USING lease(ttl_ms=1000, max_ttl_ms=5000,"
         " max_renewals=%d, clock='caller')")


def ask(connection, sql, *bindings):
    return value(connection, "SELECT " + sql, bindings)


@pytest.fixture
def two(db):
    """Two connections to a file with a lease table of the callers' clock."""
    db.run(LEASE % 3)
    a, b = load(db.path), load(db.path)
    yield a, b
    a.close()
    b.close()


def events(connection, token):
    return connection.execute(
        "SELECT kind, resource, holder, held_ms FROM l_event WHERE token = ?"
        " ORDER BY rowid", (token,)).fetchall()


def remember_other(two, resource="r", holder="a", now=100, ttl=1000):
    """Connection a remembers token 1 of a transaction that was rolled back; b
    grants it to what is given; and a has seen that somebody wrote."""
    a, b = two
    a.execute("BEGIN IMMEDIATE")
    assert ask(a, "lease_acquire('l', 'r', 'a', 1000, NULL, 100)") == 1
    a.execute("ROLLBACK")
    assert ask(b, "lease_acquire('l', ?, ?, ?, NULL, ?)", resource, holder,
               ttl, now) == 1
    assert ask(a, "lease_acquire('l', 's', 'a', 1000, NULL, 100)") == 2


@once
@pytest.mark.parametrize("other, answer, last", [
    (("r", "b", 100), 1100, [("renewed", "r", "b", 0)]),
    (("r", "a", 90, 1010), 1100, [("renewed", "r", "a", 10)]),
    (("x", "a", 100), None, [])])
def test_a_renewal_by_a_guess_that_is_wrong(two, other, answer, last):
    remember_other(two, *other)
    assert ask(two[0], "lease_renew('l', 'r', 1, 1000, 100)") == answer
    assert events(two[0], 1)[1:] == last


@once
@pytest.mark.parametrize("other, answer, last", [
    (("r", "b", 100), 1, [("released", "r", "b", 0)]),
    (("r", "a", 90, 1010), 1, [("released", "r", "a", 10)]),
    (("r", "a", 100, 2000), 1, [("released", "r", "a", 0)]),
    (("x", "a", 100), 0, [])])
def test_a_release_by_a_guess_that_is_wrong(two, other, answer, last):
    remember_other(two, *other)
    assert ask(two[0], "lease_release('l', 'r', 1, 100)") == answer
    assert events(two[0], 1)[1:] == last


@once
def test_what_another_connection_did_is_seen(two):
    a, b = two
    assert ask(a, "lease_acquire('l', 'r', 'a', 1000, NULL, 100)") == 1
    assert ask(b, "lease_renew('l', 'r', 1, 5000, 100)") == 5100
    assert ask(a, "lease_holds('l', 'r', 1, 100)") == 1
    assert ask(a, "lease_renew('l', 'r', 1, 1000, 100)") == 1100
    assert a.execute("SELECT renewals FROM l_held").fetchall() == [(2,)]
    assert ask(b, "lease_release('l', 'r', 1, 100)") == 1
    assert ask(a, "lease_renew('l', 'r', 1, 1000, 100)") is None


@once
@pytest.mark.parametrize("door", ["lease_renew('l', 'r', 1, 1000, 100)",
                                  "lease_release('l', 'r', 1, 100) + 1"])
def test_another_term_that_is_the_same_but_for_its_token(two, door):
    a, b = two
    assert ask(a, "lease_acquire('l', 'r', 'a', 1000, NULL, 100)") == 1
    assert ask(b, "lease_release('l', 'r', 1, 100)") == 1
    assert ask(b, "lease_acquire('l', 'r', 'a', 1000, NULL, 100)") == 2
    assert ask(a, "lease_acquire('l', 's', 'a', 1000, NULL, 100)") == 3
    assert ask(a, door) in (None, 1)
    assert ask(a, "lease_holds('l', 'r', 2, 100)") == 1


@once
def test_renewals_that_were_rolled_back_do_not_count(db):
    db.run(LEASE % 2)
    assert acquire(db, "r", "a", 100) == 1
    db.run("BEGIN IMMEDIATE")
    assert renew(db, "r", 1, 100) == 1100
    db.run("SAVEPOINT s")
    assert renew(db, "r", 1, 100) == 1100
    assert renew(db, "r", 1, 100) is None
    db.run("ROLLBACK TO s")
    assert renew(db, "r", 1, 100) == 1100
    assert renew(db, "r", 1, 100) is None
    db.run("COMMIT")
    assert db.run("SELECT renewals FROM l_held") == [(2,)]


@once
def test_an_expiry_that_was_rolled_back_is_not_released_by(db):
    """The triggers are told the expiry that the row has."""
    db.run(LEASE % 9)
    assert acquire(db, "r", "a", 100) == 1
    db.run("BEGIN IMMEDIATE; SAVEPOINT s")
    assert renew(db, "r", 1, 100, 5000) == 5100
    db.run("ROLLBACK TO s")
    assert renew(db, "r", 1, 100, 2000) == 2100
    assert release(db, "r", 1, 100) == 1
    db.run("COMMIT")


@once
def test_a_mark_that_was_rolled_back_is_raised_again(db):
    db.run(LEASE % 9)
    assert acquire(db, "r", "a", 100) == 1
    db.run("BEGIN IMMEDIATE")
    assert acquire(db, "s", "a", 100) == 2
    db.run("SAVEPOINT s")
    assert renew(db, "r", 1, 300) == 1300
    db.run("ROLLBACK TO s")
    assert renew(db, "s", 2, 300) == 1300
    assert db.run("SELECT max(now) FROM lease_high_water") == [(300,)]
    db.run("SAVEPOINT t")
    assert renew(db, "r", 1, 400) == 1400
    db.run("ROLLBACK TO t")
    assert acquire(db, "t", "a", 400) == 3
    db.run("COMMIT")
    assert db.run("SELECT max(now) FROM lease_high_water") == [(400,)]


@once
def test_tokens_that_share_a_place_are_told_apart(db):
    db.run(LEASE % 3)
    assert acquire(db, "r", "a", 100) == 1
    for token in (257, 0, -255, 2**63 - 1, -2**63):
        assert renew(db, "r", token, 100) is None
        assert release(db, "r", token, 100) == 0
    for other in ("", "R", "rr", "s"):
        if other:
            assert renew(db, other, 1, 100) is None
            assert release(db, other, 1, 100) == 0
    assert renew(db, "r", 1, 100) == 1100


@once
def test_a_resource_is_text_also_where_it_is_remembered(db):
    db.run(LEASE % 3)
    assert acquire(db, "5", "a", 100) == 1
    for sql in ("SELECT lease_renew('l', 5, 1, 1000, 100)",
                "SELECT lease_release('l', x'35', 1, 100)"):
        db.fails(sql, "lease l: the resource must be TEXT of 1 to 1024 bytes of"
                 " UTF-8 without NUL")
    assert release(db, "5", 1, 100) == 1


@once
def test_a_table_that_another_connection_made_anew(two):
    a, b = two
    assert ask(a, "lease_acquire('l', 'r', 'a', NULL, NULL, 100)") == 1
    assert ask(a, "lease_acquire('l', 's', 'a', NULL, NULL, 100)") == 2
    b.executescript("DROP TABLE l; " + (LEASE % 3).replace("1000", "77"))
    assert ask(a, "lease_acquire('l', 'r', 'a', NULL, NULL, 100)") == 3
    assert a.execute("SELECT expires_at FROM l_held").fetchall() == [(177,)]
    # In a transaction that has not read yet, too.
    a.execute("BEGIN")
    b.executescript("DROP TABLE l; " + (LEASE % 3).replace("1000", "78"))
    assert ask(a, "lease_acquire('l', 'r', 'a', NULL, NULL, 100)") == 4
    a.execute("COMMIT")
    assert a.execute("SELECT expires_at FROM l_held").fetchall() == [(178,)]


@once
def test_a_trigger_that_writes_a_virtual_table_comes_between(db):
    db.run(LEASE % 9)
    db.run("CREATE VIRTUAL TABLE g USING ledger(kind TEXT)")
    tokens = [acquire(db, name, "a", 100) for name in "rstu"]
    db.run("BEGIN IMMEDIATE")
    assert release(db, "t", tokens[2], 100) == 1
    assert renew(db, "r", 1, 100) == 1100
    for verb in ("INSERT", "UPDATE", "DELETE"):
        db.run(f"CREATE TRIGGER z{verb} AFTER {verb} ON l_held BEGIN"
               f" INSERT INTO g(kind) VALUES ('{verb}'); END")
    assert renew(db, "r", tokens[0], 100) == 1100
    assert release(db, "s", tokens[1], 100) == 1
    assert acquire(db, "s", "a", 100) == 5
    db.run("COMMIT")
    assert db.run("SELECT kind FROM g ORDER BY seq") == [
        ("UPDATE",), ("DELETE",), ("INSERT",)]


@once
def test_a_swallowed_decision_is_an_error_also_by_a_guess(db):
    db.run(LEASE % 9)
    assert acquire(db, "r", "a", 100) == 1
    db.run("CREATE TRIGGER q BEFORE DELETE ON l_held BEGIN SELECT"
           " RAISE(IGNORE); END")
    db.fails("SELECT lease_release('l', 'r', 1, 100)",
             "lease l: a trigger on l_held swallowed the decision with"
             " RAISE(IGNORE); RAISE(ABORT, ...) refuses one")
    assert db.run("SELECT count(*) FROM l_event") == [(1,)]


@once
def test_one_resource_two_tables_one_time(tmp_path, db):
    """By the system's clock: another table of this connection has raised time
    and tokens; the clock goes back; what was refused has used no token."""
    clock = Clock(START)
    connection = apsw.Connection(str(tmp_path / "c.db"), vfs="lease_clock")
    connection.enableloadextension(True)
    connection.loadextension(LIBRARY)
    for name in "lm":
        connection.execute(f"CREATE VIRTUAL TABLE {name} USING lease()")

    def get(table, resource, holder="a"):
        return value(connection, "SELECT lease_acquire(?, ?, ?)",
                     (table, resource, holder))
    assert get("l", "r") == 1
    assert get("l", "s") == 2
    connection.execute("BEGIN IMMEDIATE")
    assert get("l", "t") == 3
    clock.now = START + 50
    assert get("m", "r") == 4
    clock.now = START + 10
    assert get("l", "u") == 5
    assert connection.execute("SELECT acquired_at FROM l_held WHERE token = 5"
                              ).fetchall() == [(START + 50,)]
    assert get("l", "r", "b") is None
    assert get("l", "v") == 6
    # The time alone was raised.
    clock.now = START + 90
    assert value(connection, "SELECT lease_renew('m', 'r', 4)") is not None
    clock.now = START + 60
    assert get("l", "w") == 7
    assert connection.execute("SELECT acquired_at FROM l_held WHERE token = 7"
                              ).fetchall() == [(START + 90,)]
    connection.execute("COMMIT")
    connection.close()


@once
def test_many_rows_are_found_by_their_tokens(db):
    """More than are remembered one by one; in one transaction, twice."""
    db.run(LEASE % 9)
    db.run("BEGIN IMMEDIATE")
    for turn in (0, 1):
        for i in range(600):
            assert acquire(db, f"r{i * 7 % 600}", "a", 100) == turn * 600 + i + 1
        db.run("UPDATE l SET ttl_ms = 2000 WHERE holder = 'a' AND now = 100")
        assert db.run("SELECT DISTINCT expires_at FROM l_held") == [(2100,)]
        db.run("DELETE FROM l WHERE holder = 'a' AND now = 100")
        assert db.run("SELECT count(*) FROM l_held") == [(0,)]
    db.run("COMMIT")


@once
def test_a_row_is_found_by_a_token_of_another_resource_now(two):
    remember_other(two, "x", "b")
    a = two[0]
    assert a.execute("SELECT resource FROM l WHERE token = 1 AND now = 100"
                     ).fetchall() == [("x",)]
    a.execute("UPDATE l SET ttl_ms = 3000 WHERE token = 1 AND now = 100")
    assert events(a, 1)[1:] == [("renewed", "x", "b", 0)]
    a.execute("DELETE FROM l WHERE token = 1 AND now = 100")
    assert events(a, 1)[2:] == [("released", "x", "b", 0)]


@once
def test_rows_come_in_the_order_of_their_tokens(db):
    db.run(LEASE % 9)
    for name in ("z", "m", "a", "q"):
        acquire(db, name, "a", 100)
    assert db.run("SELECT resource FROM l WHERE now = 100") == [
        ("z",), ("m",), ("a",), ("q",)]
    assert db.value("SELECT lease_release_all('l', 'a', 100)") == 4
    assert db.run("SELECT token FROM l_event WHERE kind = 'released'"
                  " ORDER BY rowid") == [(1,), (2,), (3,), (4,)]


@once
def test_release_all_leaves_what_a_trigger_has_given_to_another(db):
    db.run(LEASE % 9)
    for name in "rs":
        acquire(db, name, "a", 100)
    db.run("CREATE TRIGGER z AFTER DELETE ON l_held WHEN OLD.token = 1 BEGIN"
           " DELETE FROM l WHERE token = 2 AND now = 100;"
           " INSERT INTO l(resource, holder, now) VALUES ('s', 'b', 100); END")
    assert db.value("SELECT lease_release_all('l', 'a', 100)") == 1
    assert db.run("SELECT resource, holder, token FROM l_held") == [
        ("s", "b", 3)]


@once
def test_a_denial_is_written_by_a_door_that_need_not_read(db):
    db.run(LEASE % 9)
    acquire(db, "r", "a", 100)
    acquire(db, "s", "a", 100)
    db.fails("INSERT INTO l(resource, holder, now) VALUES ('r', 'b', 100)",
             "lease l: r is held by a with token 1 for another 1000 ms")
    assert acquire(db, "t", "a", 100) == 3
    assert db.run("SELECT holder, detail FROM l_event WHERE kind = 'contended'"
                  ) == [("b", "a")]
