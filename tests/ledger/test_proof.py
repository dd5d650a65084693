"""Inclusion and consistency proofs, against RFC 9162's definitions in Python;
and what must be refused."""
import hashlib
import sqlite3

import apsw
import pytest

from conftest import load


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node(root(leaves[:k]), root(leaves[k:]))


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return path(m, leaves[:k]) + [root(leaves[k:])]
    return path(m - k, leaves[k:]) + [root(leaves[:k])]


def subproof(m, leaves, whole=True):
    if m == len(leaves):
        return [] if whole else [root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return subproof(m, leaves[:k], whole) + [root(leaves[k:])]
    return subproof(m - k, leaves[k:], False) + [root(leaves[:k])]


SIZE = 40


@pytest.fixture(scope="module", name="filled")
def filled_ledger():
    connection = load(sqlite3.connect(":memory:", isolation_level=None))
    connection.execute("CREATE VIRTUAL TABLE l USING ledger(a INTEGER)")
    for i in range(SIZE):
        connection.execute("INSERT INTO l(a) VALUES (?)", (i,))
    leaves = [row[0] for row in connection.execute("SELECT hash FROM l")]
    return connection, leaves


def one(connection, sql, *bindings):
    return connection.execute(sql, bindings).fetchone()[0]


def test_every_inclusion(filled):
    connection, leaves = filled
    for size in range(1, SIZE + 1):
        top = root(leaves[:size])
        assert one(connection, "SELECT ledger_root('l', ?)", size) == top
        for seq in range(1, size + 1):
            proof = one(connection, "SELECT ledger_inclusion_proof('l', ?, ?)",
                        seq, size)
            assert proof == b"".join(path(seq - 1, leaves[:size]))
            assert one(connection,
                       "SELECT merkle_verify_inclusion(?, ?, ?, ?, ?)",
                       leaves[seq - 1], seq - 1, size, proof, top) == 1
    assert one(connection, "SELECT ledger_inclusion_proof('l', 3)") \
        == b"".join(path(2, leaves))


def test_every_consistency(filled):
    connection, leaves = filled
    for size in range(1, SIZE + 1):
        for old in range(1, size + 1):
            proof = one(connection,
                        "SELECT ledger_consistency_proof('l', ?, ?)", old,
                        size)
            assert proof == b"".join(subproof(old, leaves[:size]))
            assert one(connection,
                       "SELECT merkle_verify_consistency(?, ?, ?, ?, ?)", old,
                       size, proof, root(leaves[:old]),
                       root(leaves[:size])) == 1
    assert one(connection, "SELECT ledger_consistency_proof('l', 3)") \
        == b"".join(subproof(3, leaves))


def test_nothing_else_is_verified(filled):
    connection, leaves = filled
    top, proof = root(leaves), b"".join(path(21, leaves))
    good = [leaves[21], 21, SIZE, proof, top]
    sql = "SELECT merkle_verify_inclusion(?, ?, ?, ?, ?)"
    assert one(connection, sql, *good) == 1
    for at, wrong in [
            (0, leaves[20]), (0, leaves[21][:31]), (0, leaves[21] + b"\0"),
            (0, b""), (1, 20), (1, 22), (1, -1), (1, SIZE), (1, 2**63 - 1),
            (1, -2**63), (2, 65), (2, 22), (2, 0), (2, -1), (2, 2**63 - 1),
            (2, 2**62), (3, b""), (3, proof[:-1]), (3, proof + b"\0" * 32),
            (3, proof[32:]), (3, proof[:-32]), (3, proof[:31]),
            (3, b"\0" * 32 * 65), (3, b"\0" * 1000000), (3, proof[::-1]),
            (4, leaves[21]), (4, top[:31]), (4, b"")]:
        assert one(connection, sql, *good[:at], wrong, *good[at + 1:]) == 0
    proof = b"".join(subproof(21, leaves))
    good = [21, SIZE, proof, root(leaves[:21]), top]
    sql = "SELECT merkle_verify_consistency(?, ?, ?, ?, ?)"
    assert one(connection, sql, *good) == 1
    for at, wrong in [
            (0, 20), (0, 22), (0, 0), (0, -1), (0, SIZE), (0, 2**63 - 1),
            (1, 21), (1, 65), (1, 0), (1, -1), (1, 2**63 - 1),
            (2, b""), (2, proof[:-1]), (2, proof + b"\0" * 32), (2, proof[32:]),
            (2, b"\0" * 32 * 65), (3, top), (3, b""), (3, top[:31]),
            (4, root(leaves[:21])), (4, b"")]:
        assert one(connection, sql, *good[:at], wrong, *good[at + 1:]) == 0
    # An empty old tree proves nothing, and equal ones only themselves.
    nothing = hashlib.sha256(b"").digest()
    assert one(connection, sql, 0, SIZE, b"", nothing, top) == 0
    assert one(connection, sql, 0, 0, b"", nothing, nothing) == 0
    assert one(connection, sql, SIZE, SIZE, b"", top, top) == 1
    assert one(connection, sql, SIZE, SIZE, b"", top, nothing) == 0


@pytest.mark.parametrize("call, message", [
    ("ledger_inclusion_proof('l', 0)", "ledger_inclusion_proof: seq must be an"
                                       " integer from 1 to 40"),
    ("ledger_inclusion_proof('l', 41)", "seq must be an integer from 1 to 40"),
    ("ledger_inclusion_proof('l', 6, 5)", "seq must be an integer from 1 to 5"),
    ("ledger_inclusion_proof('l', 1, 41)", "size must be an integer from 1 to"
                                           " 40"),
    ("ledger_inclusion_proof('l', '1')", "seq must be an integer"),
    ("ledger_inclusion_proof('l', 1.0)", "seq must be an integer"),
    ("ledger_inclusion_proof('l', 9223372036854775807)", "seq must be"),
    ("ledger_inclusion_proof('l', -9223372036854775808)", "seq must be"),
    ("ledger_inclusion_proof('nothing', 1)", "no such ledger: main.nothing"),
    ("ledger_inclusion_proof('e', 1)", "ledger e has no entries"),
    ("ledger_consistency_proof('l', 0)", "ledger_consistency_proof: old_size"
                                         " must be an integer from 1 to 40"),
    ("ledger_consistency_proof('l', 5, 4)", "old_size must be an integer from 1"
                                            " to 4"),
    ("ledger_consistency_proof('l', 5, 41)", "new_size must be an integer from"
                                             " 1 to 40"),
    ("merkle_verify_inclusion('a', 0, 1, x'', x'')",
     "merkle_verify_inclusion: the arguments are leaf_hash (BLOB), index, size"
     " (INTEGER), proof, root (BLOB)"),
    ("merkle_verify_inclusion(x'', 0.0, 1, x'', x'')", "the arguments are"),
    ("merkle_verify_inclusion(x'', 0, 1, 'x', x'')", "the arguments are"),
    ("merkle_verify_inclusion(x'', 0, 1, x'', 5)", "the arguments are"),
    ("merkle_verify_consistency('1', 1, x'', x'', x'')",
     "merkle_verify_consistency: the arguments are old_size, new_size"),
    ("merkle_verify_consistency(1, 1, x'', '', x'')", "the arguments are"),
])
def test_refusals(filled, call, message):
    connection, _ = filled
    connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS e USING ledger("
                       "a TEXT)")
    with pytest.raises(sqlite3.OperationalError) as error:
        connection.execute(f"SELECT {call}").fetchall()
    assert message in str(error.value)


def test_null(filled):
    connection, _ = filled
    for function, count in (("ledger_inclusion_proof", 3),
                            ("ledger_consistency_proof", 3),
                            ("merkle_verify_inclusion", 5),
                            ("merkle_verify_consistency", 5)):
        for at in range(count):
            arguments = ["'l'", "1", "1"] if count == 3 else ["x''"] * 5
            arguments[at] = "NULL"
            assert one(connection, f"SELECT {function}("
                                   f"{', '.join(arguments)})") is None


def test_a_damaged_node_is_an_error(ledger):
    ledger.run("INSERT INTO l(at, task) VALUES (4000, 'd'), (4000, 'e')")
    ledger.run("DROP TRIGGER l_entry_update; DROP TRIGGER l_entry_node")
    ledger.run("UPDATE l_entry SET node = x'00' WHERE seq = 4")
    with pytest.raises(apsw.CorruptError) as error:
        ledger.run("SELECT ledger_inclusion_proof('l', 5)")
    assert "entry 4 is missing or damaged" in str(error.value)
    ledger.run("DROP TRIGGER l_entry_delete")
    ledger.run("DELETE FROM l_entry WHERE seq = 3")
    with pytest.raises(apsw.CorruptError) as error:
        ledger.run("SELECT ledger_inclusion_proof('l', 4, 4)")
    assert "entry 3 is missing or damaged" in str(error.value)


def test_entries_of_a_direct_insert_are_provable(ledger):
    ledger.run("INSERT INTO l_entry(seq, at, task, hash) SELECT 4, 4000, 'd',"
               " merkle_leaf_hash(attest_canonical('holdfast.entry.v1', 4,"
               " hash, 4000, 'd', NULL, NULL)) FROM l WHERE seq = 3")
    assert ledger.value(
        "SELECT sum(merkle_verify_inclusion(hash, seq - 1, 4,"
        " ledger_inclusion_proof('l', seq), ledger_root('l'))) FROM l") == 4


def test_other_schemas(tmp_path):
    connection = load(sqlite3.connect(":memory:", isolation_level=None))
    connection.execute("ATTACH ? AS far", (str(tmp_path / "far.db"),))
    connection.execute("CREATE VIRTUAL TABLE far.l USING ledger(a TEXT)")
    connection.execute("INSERT INTO far.l(a) VALUES ('x'), ('y'), ('z')")
    assert one(connection, "SELECT merkle_verify_inclusion(hash, 2, 3,"
                           " ledger_inclusion_proof('far.l', 3),"
                           " ledger_root('far.l')) FROM l WHERE seq = 3") == 1
