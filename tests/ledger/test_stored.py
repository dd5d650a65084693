"""The checkpoints stored with a ledger: changed, stripped, forged; and what
they tell of a ledger that was cut or rewritten."""
import sqlite3

import pytest

from signing import note
from test_verify import tamper
from trail import (A, B, C, GUARDS, MISSING, NOT_STORED, W1, keys, once, report,
                   trail, verify)  # noqa: F401


# ---- the stored ones --------------------------------------------------------

def replaced(column, old, new, id=2):
    return (f"UPDATE l_checkpoint SET {column} = replace({column}, '{old}',"
            f" '{new}') WHERE id = {id}")


OWN = "checkpoint 2: it is not signed by the key that is stored with it"
FEWER = "checkpoint {}: it has fewer entries than the one before"
FORM = "checkpoint 2: it is not a signed note"
TEXT = "checkpoint 2: its text is not that of a checkpoint"
ORIGIN = "checkpoint 2: it is of another ledger: the origin is not this one's"


@once
@pytest.mark.parametrize("sql, details", [
    ("DELETE FROM l_checkpoint WHERE id = 2", [MISSING.format(1, 3)]),
    ("DELETE FROM l_checkpoint WHERE id = 1", [MISSING.format(0, 2)]),
    ("DELETE FROM l_checkpoint WHERE id < 3", [MISSING.format(0, 3)]),
    ("DELETE FROM l_checkpoint WHERE id = 3", []),
    ("DELETE FROM l_checkpoint", []),
    ("UPDATE l_checkpoint SET id = 7 WHERE id = 3", [MISSING.format(2, 7)]),
    ("UPDATE l_checkpoint SET id = 7 WHERE id = 2",
     [MISSING.format(1, 3), MISSING.format(3, 7), FEWER.format(7)]),
    ("UPDATE l_checkpoint SET size = 5 WHERE id = 2",
     ["checkpoint 2: its size is not that of its note"]),
    ("UPDATE l_checkpoint SET note = '' WHERE id = 2", [FORM]),
    ("UPDATE l_checkpoint SET note = note || 'x' WHERE id = 2", [FORM]),
    ("UPDATE l_checkpoint SET note = substr(note, 1, 60) WHERE id = 2", [FORM]),
    (replaced("note", "=", ""), [FORM]), (replaced("note", "=", "%"), [FORM]),
    (replaced("note", "\n6\n", "\n06\n"), [TEXT]),
    (replaced("note", "\n6\n", "\n18446744073709551622\n"), [TEXT]),
    (replaced("note", "holdfast/l\n", "holdfast/L\n"), [ORIGIN]),
    (replaced("note", "holdfast/l\n", "holdfast/ll\n"), [ORIGIN]),
    (replaced("note", "holdfast/l\n", "holdfast/\n"), [ORIGIN]),
    (replaced("verifier", "hold", "hald"), ["checkpoint 2: its verifier is"
                                            " none"]),
    ("UPDATE l_checkpoint SET verifier = '' WHERE id = 2",
     ["checkpoint 2: its verifier is none"]),
    (f"UPDATE l_checkpoint SET verifier = '{A.verifier}' WHERE id = 2", [OWN]),
    (f"UPDATE l_checkpoint SET verifier = '{W1.verifier}' WHERE id = 2", [OWN]),
    (replaced("note", "holdfast/l ", "holdfast/m "), [OWN]),
    (replaced("note", "\n6\n", "\n6\n", 2) + "; " +
     replaced("note", "\n3\n", "\n4\n", 1) + "; UPDATE l_checkpoint SET size"
     " = 4 WHERE id = 1", [OWN.replace("2", "1")]),
    ("UPDATE l_checkpoint SET id = id + 10; UPDATE l_checkpoint SET id ="
     " iif(id = 11, 2, iif(id = 12, 1, 3))", [FEWER.format(2)]),
])
def test_stored_ones_that_are_not_as_made(trail, sql, details):
    tamper(trail.path, sql, GUARDS)
    assert verify(trail) == [("checkpoint_invalid", None, detail)
                             for detail in details]


@once
@pytest.mark.parametrize("sql, details", [
    ("DELETE FROM l_checkpoint", [NOT_STORED]),
    ("DELETE FROM l_checkpoint WHERE id = 3", []),
    (f"UPDATE l_checkpoint SET verifier = '{C.verifier}', note = '"
     + note(C, "holdfast/l", 9, b"root" * 8) + "', size = 9 WHERE id <> 2",
     [FEWER.format(2), NOT_STORED]),
    (replaced("note", "=\n\n", "=\nmore\n\n", 3),
     ["checkpoint 3: its signature is wrong"]),
    (f"UPDATE l_checkpoint SET verifier = '{C.verifier}' WHERE id = 3",
     ["checkpoint 3: it is not signed by the key that is stored with it"]),
])
def test_stored_ones_against_a_key(trail, sql, details):
    tamper(trail.path, sql, GUARDS)
    assert [row for row in verify(trail, None, A.verifier)
            if row[0] != "history_rewritten"] == [
                ("checkpoint_invalid", None, detail) for detail in details]


@once
@pytest.mark.parametrize("sql", [
    "UPDATE l_checkpoint SET at = 3599 WHERE id = 2",
    "UPDATE l_checkpoint SET at = -at"])
def test_times_of_stored_ones_go_forward(trail, sql):
    tamper(trail.path, sql, GUARDS)
    assert verify(trail) != []


@once
@pytest.mark.parametrize("columns, values", [
    ("id INTEGER PRIMARY KEY, at, size, verifier, note",
     "SELECT 1, 'then', 3, 'v', 'n'"),
    ("id INTEGER PRIMARY KEY, at, size, verifier, note",
     "SELECT 1, 5, '3', 'v', 'n'"),
    ("id INTEGER PRIMARY KEY, at, size, verifier, note",
     "SELECT 1, 5, 3, NULL, 'n'"),
    ("id INTEGER PRIMARY KEY, at, size, verifier, note",
     "SELECT 1, 5, 3, 'v', x'00'")])
def test_another_table(trail, columns, values):
    plain = sqlite3.connect(trail.path, isolation_level=None)
    texts = [row[0] for row in plain.execute(
        "SELECT sql FROM sqlite_schema WHERE name GLOB 'l_checkpoint_*'")]
    plain.executescript("DROP TABLE l_checkpoint;"
                        f"CREATE TABLE l_checkpoint({columns});"
                        f"INSERT INTO l_checkpoint {values};"
                        + ";".join(texts))
    plain.close()
    trail.close()
    trail.open()
    assert verify(trail) == [
        ("config_altered", None, "l_checkpoint is not the one that the ledger"
         " made"),
        ("checkpoint_invalid", None, "checkpoint 1: its columns are not of the"
         " right types")]


@once
def test_no_table(trail):
    plain = sqlite3.connect(trail.path, isolation_level=None)
    plain.execute("DROP TABLE l_checkpoint")
    plain.close()
    expected = [("config_altered", None, "l_checkpoint is missing")] + [
        ("guard_missing", None, name + " is missing") for name in GUARDS]
    assert verify(trail) == expected
    assert verify(trail, trail.kept["three"], A.verifier) == expected
    assert verify(trail, None, A.verifier) == expected + [
        ("checkpoint_invalid", None, NOT_STORED)]


# ---- cut and rewritten ------------------------------------------------------

@once
@pytest.mark.parametrize("size, stored", [
    (9, []), (8, [(9, 3)]), (6, [(9, 3)]), (5, [(9, 3)]), (0, [(9, 3)])])
@pytest.mark.parametrize("given", ["none", "one", "two", "three"])
def test_cut(trail, size, stored, given):
    """The newest of those that the ledger no longer reaches is told of, once,
    and so is the one given, if that is another."""
    tamper(trail.path, f"DELETE FROM l_entry WHERE seq > {size}")
    at = {"none": 0, "one": 3, "two": 6, "three": 9}[given]
    expected = [("truncated", at, f"the checkpoint given is of {at} entries;"
                 f" there are {size}")] if at > size else []
    expected += [("truncated", of, f"checkpoint {id} is of {of} entries; there"
                  f" are {size}") for of, id in stored if of != at]
    assert verify(trail, trail.kept[given], keys(A, B)) == expected
    on = report(trail, trail.kept[given], keys(A, B))["checkpoint"]
    if at:
        assert (on["source"], on["size"]) == ("given", at)
        assert (on["at"] is None) == (at > size)
    elif size >= 3:
        assert (on["source"], on["size"]) == ("stored", size // 3 * 3)
    else:
        assert on is None


@once
def test_cut_and_given_another(trail):
    tamper(trail.path, "DELETE FROM l_entry WHERE seq > 6")
    assert [row[:2] for row in verify(trail, note(
        C, "holdfast/l", 9, b"r" * 32))] == [("truncated", 9)] * 2


@once
@pytest.mark.parametrize("column, value", [
    ("hash", "zeroblob(31)"), ("hash", "zeroblob(0)")])
def test_a_newest_entry_that_cannot_be_read_is_there(trail, column, value):
    tamper(trail.path, f"UPDATE l_entry SET {column} = {value} WHERE seq = 9")
    for given in (None, trail.kept["three"]):
        assert [row[:2] for row in verify(trail, given)] == [
            ("entry_altered", 9)]


@once
@pytest.mark.parametrize("given", ["none", "one", "two", "three"])
def test_rewritten(trail, given):
    """The first stored one that differs is told of, and the one given, if that
    is another."""
    tamper(trail.path, "UPDATE l_entry SET hash = zeroblob(32) WHERE seq = 3")
    expected = [("history_rewritten", 3)]
    if given in ("two", "three"):
        expected.append(("history_rewritten", {"two": 6, "three": 9}[given]))
    assert [row[:2] for row in verify(trail, trail.kept[given], keys(A, B))
            if row[0] not in ("entry_altered", "node_altered",
                              "checkpoint_invalid")] == expected


@once
@pytest.mark.parametrize("id, size, root_of, given", [
    (3, 9, None, "three"), (3, 9, None, "one"), (2, 6, 3, "one")])
def test_a_forged_one_beside_the_given(trail, id, size, root_of, given):
    """It is told of, be it of the same size or of the same root."""
    root = b"r" * 32 if root_of is None else trail.value(
        "SELECT ledger_root('l', ?)", (root_of,))
    text = note(C, "holdfast/l", size, root)
    tamper(trail.path, f"UPDATE l_checkpoint SET note = '{text}', verifier ="
           f" '{C.verifier}' WHERE id = {id}", GUARDS)
    assert verify(trail, trail.kept[given], A.verifier) == [
        ("history_rewritten", size, f"the first {size} entries are not those of"
         f" checkpoint {id}")]


@once
def test_a_rewritten_ledger_still_has_signed_ones(trail):
    tamper(trail.path, "UPDATE l_entry SET hash = zeroblob(32) WHERE seq = 3")
    assert ("checkpoint_invalid", None, NOT_STORED) not in verify(
        trail, None, A.verifier)
