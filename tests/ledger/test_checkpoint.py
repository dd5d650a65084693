"""ledger_checkpoint: what it says and stores, where it refuses, and the walls
around the table of checkpoints."""
import hashlib
import sqlite3

import apsw
import pytest

from conftest import load
from signing import Key, body, note
from trail import (A, WALL, append, checkpoint, fails, once, stored,
                   two)  # noqa: F401

OTHER = Key("somebody.example/else", 2)
EMPTY = hashlib.sha256(b"").digest()


def root(hashes):
    """RFC 9162, section 2.1.1, over hashes of leaves."""
    if len(hashes) < 2:
        return hashes[0] if hashes else EMPTY
    half = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(
        b"\1" + root(hashes[:half]) + root(hashes[half:])).digest()


# ---- what it says -----------------------------------------------------------

def test_text_and_row(ledger):
    for size in (3, 4, 7, 8):
        append(ledger, size - ledger.value("SELECT ledger_size('l')"))
        text = checkpoint(ledger, 10000 + size)
        hashes = [row[0] for row in ledger.run("SELECT hash FROM l")]
        assert text == note(A, "holdfast/l", size, root(hashes))
        assert stored(ledger)[-1][1:] == (10000 + size, size, A.verifier,
                                          text)
        assert ledger.value("SELECT note_verify(?, ?)",
                            (text, A.verifier)) == body("holdfast/l", size,
                                                          root(hashes))
    assert [row[0] for row in stored(ledger)] == [1, 2, 3, 4]
    assert ledger.verify() == []


def test_an_empty_ledger(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(task TEXT, clock='caller',"
           " origin='example.com/empty')")
    text = checkpoint(db)
    assert text == note(A, "example.com/empty", 0, EMPTY)
    assert db.verify() == []
    append(db, 1)
    assert checkpoint(db).split("\n")[1] == "1"
    assert db.verify() == []


def test_the_same_entries_give_the_same_text(ledger):
    first = checkpoint(ledger, 1)
    assert [checkpoint(ledger, at) for at in (2, 3)] == [first, first]
    assert stored(ledger, "id, at, size") == [(1, 1, 3), (2, 2, 3), (3, 3, 3)]
    append(ledger, 1)
    assert checkpoint(ledger) != first
    assert ledger.verify() == []


def test_several_signers(ledger):
    keys = [A, OTHER, Key("\u00e9t\u00e9/\U0001f512", 3), Key("n" * 255, 4)]
    for key in keys:
        assert checkpoint(ledger, key=key).endswith(
            key.line("\n".join(stored(ledger, "note")[-1][0].split("\n")[:3])
                     + "\n"))
        append(ledger, 1)
    assert stored(ledger, "verifier") == [(key.verifier,) for key in keys]
    assert ledger.verify() == []
    for key in keys:
        assert ledger.run("SELECT * FROM ledger_verify('l', NULL, ?)",
                          (key.verifier,)) == []


def test_time(ledger):
    """The one given, or the clock's; never before the last one's."""
    now = ledger.value("SELECT 1000 * CAST(strftime('%s', 'now') AS INTEGER)")
    for at, expected in [(0, 0), (5000, 5000), (4999, 5000), (7000, 7000)]:
        checkpoint(ledger, at)
        assert stored(ledger, "at")[-1] == (expected,)
    for arguments in ((), (None,)):
        checkpoint(ledger, *arguments)
        assert now <= stored(ledger, "at")[-1][0] < now + 60000
    checkpoint(ledger, now + 10**9)
    checkpoint(ledger)
    assert stored(ledger, "at")[-1] == (now + 10**9,)


def test_a_row_each(ledger):
    """A statement that makes several."""
    rows = ledger.run("SELECT ledger_checkpoint('l', ?) FROM (VALUES (1), (2),"
                      " (3))", (A.signer,))
    assert len(rows) == 3 and len(set(rows)) == 1
    assert stored(ledger, "id") == [(1,), (2,), (3,)]
    assert ledger.connection.getautocommit()
    assert ledger.verify() == []


# ---- arguments --------------------------------------------------------------

@once
@pytest.mark.parametrize("name, message", [
    (None, "ledger_checkpoint: the ledger's name is missing"),
    (5, "ledger_checkpoint: the ledger's name is missing"),
    (b"l", "ledger_checkpoint: the ledger's name is missing"),
    ("", "no such ledger"), ("nothing", "no such ledger: main.nothing"),
    ("main.nothing", "no such ledger: main.nothing"),
    ("nowhere.l", "no such ledger"), ("l_entry", "no such ledger"),
    ("l_checkpoint", "no such ledger"), ("holdfast_guard", "no such ledger")])
def test_names_that_are_none(ledger, name, message):
    fails(ledger, message, name=name)


@once
@pytest.mark.parametrize("signer", [
    None, 5, 1.5, "", A.verifier, A.signer[:-1],
    A.signer.encode(),
    A.signer + "A", A.signer + "\n", " " + A.signer, A.signer[12:],
    A.signer.replace("holdfast/l", "holdfast/m"), A.signer + "\0",
    A.signer.replace("+AQ", "+AA"), A.signer + "=",
    A.signer + " " + OTHER.signer, Key("w", 1, 4).signer])
def test_signers_that_are_none(ledger, signer):
    ledger.fails("SELECT ledger_checkpoint('l', ?)",
                 "ledger_checkpoint: the signer must be PRIVATE+KEY+<name>+"
                 "<id>+<base64>, as note_keygen makes it", (signer,))


@once
@pytest.mark.parametrize("at", [5.0, "5", b"5", -1, -2**63, "now", 1e300])
def test_times_that_are_none(ledger, at):
    fails(ledger, "ledger_checkpoint: the time must be an INTEGER,"
          " milliseconds since 1970", at)


@once
def test_how_many_arguments(ledger):
    for call in ("ledger_checkpoint()", "ledger_checkpoint('l')",
                 "ledger_checkpoint('l', 's', 1, 2)"):
        ledger.fails(f"SELECT {call}", "wrong number of arguments")


# ---- where it is refused ----------------------------------------------------

@pytest.mark.parametrize("begin, end", [
    ("BEGIN", "ROLLBACK"), ("BEGIN IMMEDIATE", "COMMIT"),
    ("SAVEPOINT s", "RELEASE s")])
def test_not_in_an_open_transaction(ledger, begin, end):
    ledger.run(begin)
    append(ledger, 1)
    fails(ledger, "ledger_checkpoint: a transaction is open; commit it first,"
          " for a checkpoint names only entries that can no longer be rolled"
          " back")
    assert not ledger.connection.getautocommit()
    ledger.run(end)
    assert checkpoint(ledger).split("\n")[1] == (
        "3" if end == "ROLLBACK" else "4")


@pytest.mark.parametrize("sql", [
    "CREATE TABLE t AS SELECT ledger_checkpoint('l', ?) AS c",
    "CREATE TEMP TABLE t AS SELECT ledger_checkpoint('l', ?) AS c",
    "INSERT INTO sink SELECT ledger_checkpoint('l', ?)",
    "INSERT INTO sink VALUES (ledger_checkpoint('l', ?))",
    "INSERT INTO l(task) SELECT ledger_checkpoint('l', ?)",
    "UPDATE sink SET x = ledger_checkpoint('l', ?)",
    "DELETE FROM sink WHERE ledger_checkpoint('l', ?) IS NOT NULL"])
def test_not_in_a_statement_that_writes(ledger, sql):
    ledger.run("CREATE TABLE sink(x)")
    ledger.run("INSERT INTO sink VALUES (1)")
    ledger.fails(sql, "ledger_checkpoint cannot run inside a statement that"
                 " writes; call it with SELECT ledger_checkpoint(...) of its"
                 " own", (A.signer,))
    assert ledger.connection.getautocommit()
    assert ledger.verify() == []


@pytest.mark.parametrize("sql", [
    "CREATE VIEW v AS SELECT ledger_checkpoint('l', '{}') AS c",
    "CREATE TRIGGER v AFTER INSERT ON t BEGIN"
    " SELECT ledger_checkpoint('l', '{}'); END"])
def test_not_in_a_view_or_trigger(ledger, sql):
    ledger.run("CREATE TABLE t(c)")
    ledger.run(sql.format(A.signer))
    ledger.fails("SELECT c FROM v" if "VIEW" in sql else
                 "INSERT INTO t VALUES (1)",
                 "unsafe use of ledger_checkpoint()")


def test_not_on_a_read_only_file(ledger):
    plain = sqlite3.connect(f"file:{ledger.path}?mode=ro", uri=True,
                            isolation_level=None)
    load(plain)
    before = ledger.state()
    with pytest.raises(sqlite3.OperationalError) as error:
        plain.execute("SELECT ledger_checkpoint('l', ?)", (A.signer,))
    assert str(error.value) == ("ledger_checkpoint: the database is read-only;"
                                " open it for writing")
    plain.close()
    ledger.reopen = False
    ledger.run("PRAGMA query_only = ON")
    fails(ledger, "attempt to write a readonly database")
    ledger.run("PRAGMA query_only = OFF")
    assert ledger.state() == before
    checkpoint(ledger)


# ---- the walls --------------------------------------------------------------

COPY = "SELECT {}, at, size, verifier, note FROM l_checkpoint WHERE id = 2"
WRITES = [f"{verb} INTO l_checkpoint {COPY.format(id)}"
          for verb in ("INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE",
                       "INSERT OR FAIL", "REPLACE")
          for id in (3, 2, "NULL", -3, 0)] + [
    "INSERT INTO l_checkpoint VALUES (3, 1, 1, 'v', 'n')"
    " ON CONFLICT DO NOTHING",
    "INSERT INTO l_checkpoint VALUES (2, 1, 1, 'v', 'n') ON CONFLICT (id)"
    " DO UPDATE SET size = 1"] + [
    f"{verb} l_checkpoint SET {change}"
    for verb in ("UPDATE", "UPDATE OR REPLACE", "UPDATE OR IGNORE")
    for change in ("at = at", "at = 9", "size = 2", "note = note || 'x'",
                   "verifier = ''", "id = 5 WHERE id = 2",
                   "id = 1 WHERE id = 2", "rowid = 7")] + [
    "DELETE FROM l_checkpoint", "DELETE FROM l_checkpoint WHERE id = 2"]


def test_nobody_else_writes_it(two):
    for sql in WRITES:
        two.fails(sql, WALL)
    assert two.verify() == []


def test_without_the_extension(two):
    before = two.state()
    plain = sqlite3.connect(two.path, isolation_level=None)
    assert plain.execute("SELECT id, size FROM l_checkpoint").fetchall() == [
        (1, 3), (2, 5)]
    for sql in WRITES + ["SELECT ledger_checkpoint('l', 's')"]:
        expected = ("no such function: ledger_checkpoint" if "('l" in sql else
                    WALL if sql.startswith(("UPDATE", "DELETE")) else
                    "no such function: ledger_pending")
        with pytest.raises(sqlite3.DatabaseError) as error:
            plain.execute(sql)
        assert str(error.value) == expected
    plain.close()
    assert two.state() == before
    assert two.verify() == []


def test_a_policy_may_refuse_but_not_swallow(two):
    two.run("CREATE TRIGGER p BEFORE INSERT ON l_checkpoint WHEN NEW.size = 6"
            " BEGIN SELECT RAISE(ABORT, 'policy: not 6'); END")
    append(two, 1)
    fails(two, "policy: not 6")
    two.run("DROP TRIGGER p")
    two.reopen = False
    two.run("CREATE TEMP TRIGGER p BEFORE INSERT ON main.l_checkpoint"
            " BEGIN SELECT RAISE(IGNORE); END")
    fails(two, "ledger l: a trigger on l_checkpoint swallowed the checkpoint"
          " with RAISE(IGNORE); RAISE(ABORT, ...) refuses one")
    two.run("DROP TRIGGER p")
    assert checkpoint(two).split("\n")[1] == "6"
    assert stored(two, "id") == [(1,), (2,), (3,)]


@pytest.mark.parametrize("timing", ["BEFORE", "AFTER"])
def test_a_trigger_cannot_make_one_beside_it(two, timing):
    two.run(f"CREATE TRIGGER p {timing} INSERT ON l_checkpoint"
            " WHEN NEW.id < 9 BEGIN INSERT INTO l_checkpoint"
            " VALUES (NEW.id + 1, 0, 0, 'v', 'n'); END")
    fails(two, WALL)


@once
def test_a_trigger_cannot_replace_it(two):
    two.run("CREATE TRIGGER p AFTER INSERT ON l_checkpoint"
            " WHEN NEW.note <> 'n' BEGIN INSERT OR REPLACE INTO l_checkpoint"
            " VALUES (NEW.id, 0, 0, 'v', 'n'); END")
    fails(two, WALL)


@once
def test_nor_an_entry(two):
    two.run("CREATE TRIGGER p AFTER INSERT ON l_entry WHEN NEW.task <> 'y'"
            " BEGIN INSERT OR REPLACE INTO l_entry(seq, at, task, hash)"
            " VALUES (NEW.seq, NEW.at, 'y', NEW.hash); END")
    two.fails("INSERT INTO l(at, task) VALUES (9000, 'x')", "ledger l")


# ---- consistency ------------------------------------------------------------

CUT = "it has fewer entries than its last checkpoint says"
OTHERS = "its entries are not those of its last checkpoint"
DAMAGED = "its last checkpoint is damaged"
GONE = "its {} is missing or altered"


@once
@pytest.mark.parametrize("more, sql, message", [
    (0, "DELETE FROM l_entry WHERE seq > 4", CUT),
    (1, "DELETE FROM l_entry WHERE seq > 4", CUT),
    (0, "DELETE FROM l_entry", CUT),
    (0, "UPDATE l_entry SET hash = zeroblob(32) WHERE seq = 5", OTHERS),
    (1, "UPDATE l_entry SET hash = zeroblob(32) WHERE seq = 5", OTHERS),
    (0, "UPDATE l_entry SET node = zeroblob(64) WHERE seq = 4", OTHERS),
    (3, "UPDATE l_entry SET node = zeroblob(64) WHERE seq = 4", OTHERS),
    (1, "DELETE FROM l_entry WHERE seq = 5;"
        " UPDATE l_entry SET seq = 5 WHERE seq = 6", OTHERS),
    (0, "DELETE FROM l_entry WHERE seq = 4", "entry 4 is missing or damaged"),
    (4, "DELETE FROM l_entry WHERE seq = 5", "entry 5 is missing or damaged"),
    (0, "UPDATE l_entry SET hash = x'00' WHERE seq = 5",
     "entry 5 is missing or damaged"),
    (0, "UPDATE l_entry SET node = x'00' WHERE seq = 4",
     "entry 4 is missing or damaged"),
    (1, "UPDATE l_checkpoint SET note = replace(note, char(10) || '5',"
        " char(10) || '7') WHERE id = 2", CUT),
    (0, "UPDATE l_checkpoint SET note = 'no note' WHERE id = 2", DAMAGED),
    (0, "UPDATE l_checkpoint SET note = '' WHERE id = 2", DAMAGED),
    (0, "UPDATE l_checkpoint SET note = replace(note, 'holdfast/l' ||"
        " char(10), char(10)) WHERE id = 2", DAMAGED),
    (0, "UPDATE l_checkpoint SET id = -id", DAMAGED),
    (0, "DELETE FROM l_checkpoint WHERE id = 2;"
        " UPDATE l_checkpoint SET id = 0", DAMAGED),
    (0, "DROP TABLE l_checkpoint", GONE.format("table of checkpoints")),
    (0, "ALTER TABLE l_checkpoint RENAME note TO text",
     GONE.format("table of checkpoints")),
    (0, "DELETE FROM l_config", "its configuration is damaged"),
    (0, "DROP TABLE l_config", GONE.format("table l_config")),
    (0, "DROP TABLE l_entry", GONE.format("table l_entry")),
])
def test_a_ledger_that_is_not_the_one_it_was(two, more, sql, message):
    """Whoever takes the guards away, and cuts or rewrites, gets no new one;
    also when the ledger has grown since."""
    append(two, more)
    plain = sqlite3.connect(two.path, isolation_level=None)
    for (name,) in plain.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
            " AND tbl_name IN ('l_entry', 'l_checkpoint', 'l_config')"
            ).fetchall():
        plain.execute(f"DROP TRIGGER {name}")
    plain.executescript(sql)
    plain.close()
    two.close()
    two.open()
    before = two.state()
    with pytest.raises(apsw.Error) as error:
        checkpoint(two)
    assert error.value.extendedresult == apsw.SQLITE_CORRUPT_VTAB
    assert message in str(error.value)
    assert "run ledger_verify('l')" in str(error.value)
    assert two.state() == before and two.connection.getautocommit()


def test_a_stored_one_of_no_entries_binds_to_nothing(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(task TEXT, clock='caller')")
    for n in (0, 0, 1, 2):
        append(db, n)
        checkpoint(db)
    assert stored(db, "size") == [(0,), (0,), (1,), (3,)]
    assert db.verify() == []
