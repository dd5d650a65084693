"""The outbox: an action is claimed with the token of a lease, and done once."""
import pytest

GREATER = "control_outbox: claim with a greater token, end with the same"
HELD = "control_outbox: the token does not hold outbox/<id> in control_lease"


@pytest.fixture(name="box")
def rolled_back(db):
    if not db.loaded:
        db.close()
        db.loaded = True
        db.open()
    db.run("CREATE VIRTUAL TABLE control_lease USING lease(ttl_ms=600000)")
    db.run("INSERT INTO monitor(release, profile, previous) VALUES"
           " ('r', 'default', 'r0')")
    for _ in range(3):
        db.run("INSERT INTO monitor_check(release, ok, error_rate)"
               " VALUES ('r', 0, 0.5)")
    return db


def acquire(box, holder="a", resource="outbox/1"):
    return box.value("SELECT lease_acquire('control_lease', ?, ?)",
                     (resource, holder))


def claim(token):
    return ("UPDATE control_outbox SET state = 'claimed', token ="
            f" {token} WHERE id = 1")


def end(token, state="done"):
    return (f"UPDATE control_outbox SET state = '{state}', token = {token},"
            " result = 'said so' WHERE id = 1")


def test_claimed_and_done_once(box):
    token = acquire(box)
    box.run(claim(token))
    box.fails(claim(token), GREATER)
    box.run(end(token))
    assert box.run("SELECT state, token, result FROM control_outbox") == [
        ("done", token, "said so")]
    for sql in (claim(token), end(token), end(token, "failed"), claim(99)):
        box.fails(sql, "control_outbox: the action is done")


def test_failed_and_tried_again(box):
    first = acquire(box)
    box.run(claim(first))
    box.run(end(first, "failed"))
    box.fails(end(first), GREATER)
    box.fails(claim(first), GREATER)
    box.run("SELECT lease_release('control_lease', 'outbox/1', ?)", (first,))
    second = acquire(box, "b")
    box.run(claim(second))
    box.run(end(second))


def test_a_stale_token(box):
    first = acquire(box)
    box.run(claim(first))
    second = box.value("SELECT lease_steal('control_lease', 'outbox/1', ?,"
                       " 'b', 'stuck')", (first,))
    box.fails(end(first), HELD)
    box.run(claim(second))
    box.fails(end(first), GREATER)
    box.fails(claim(first), GREATER)
    box.run(end(second))


@pytest.mark.parametrize("sql, words", [
    (claim(99), HELD), (claim("NULL"), GREATER), (claim(0), GREATER),
    (claim(2), HELD),  # of another resource
    (end(1), GREATER), ("UPDATE control_outbox SET result = 'x'", GREATER),
    ("UPDATE control_outbox SET state = 'open'", GREATER),
    ("UPDATE control_outbox SET state = NULL, token = 1", GREATER),
    ("UPDATE control_outbox SET target = 'elsewhere', state = 'claimed',"
     " token = 1", "control_outbox: UPDATE sets state, token and result"),
    ("UPDATE OR REPLACE control_outbox SET id = 5", "sets state, token and"),
    ("DELETE FROM control_outbox", "what was asked for stays on record"),
    ("REPLACE INTO control_outbox(release, action, target, evidence,"
     " created_at) SELECT release, action, target, evidence, created_at"
     " FROM control_outbox", "control_outbox is written by the health monitor"),
    ("INSERT OR IGNORE INTO control_outbox(release, action, evidence,"
     " created_at) VALUES ('r', 'escalate', '{}', 1)", "is written by"),
])
def test_what_is_refused(box, sql, words):
    assert acquire(box) == 1
    assert acquire(box, "a", "other") == 2
    box.fails(sql, words)


def test_without_the_extension(box):
    token = acquire(box)
    box.close()
    box.loaded = False
    box.open()
    with pytest.raises(Exception) as error:
        box.run(claim(token))
    assert "no such function: lease_holds" in str(error.value)
    assert box.value("SELECT state FROM control_outbox") == "open"


def test_without_the_lease_table(db):
    db.close()
    db.loaded = True
    db.open()
    db.run("INSERT INTO monitor(release, profile) VALUES ('r', 'default')")
    for _ in range(3):
        db.run("INSERT INTO monitor_check(release, ok, error_rate)"
               " VALUES ('r', 0, 0.5)")
    db.fails(claim(1), "no such lease table: main.control_lease")
