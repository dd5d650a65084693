"""attest_* and merkle_* against an encoder and a tree of the test's own."""
import hashlib
import os
import pathlib
import random
import struct

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")


def canonical(*row):
    out = b"R%d:" % len(row)
    for value in row:
        if value is None:
            out += b"N"
        elif isinstance(value, int):
            out += b"I" + struct.pack(">q", value)
        elif isinstance(value, float):
            out += b"F" + struct.pack(">d", value + 0.0)
        elif isinstance(value, str):
            data = value.encode()
            out += b"T%d:" % len(data) + data
        else:
            out += b"B%d:" % len(value) + value
    return out


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def merkle_root(leaves):
    """RFC 6962, section 2.1, as it is written there."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return sha256(b"\0", leaves[0])
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\1", merkle_root(leaves[:k]), merkle_root(leaves[k:]))


@pytest.fixture(params=["trusted", "untrusted"], name="db")
def database(request):
    connection = apsw.Connection(":memory:")
    connection.enableloadextension(True)
    connection.loadextension(LIBRARY)
    if request.param == "untrusted":
        connection.cursor().execute("PRAGMA trusted_schema=OFF")
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    yield connection
    connection.close()


def value(db, sql, bindings=()):
    return db.cursor().execute(sql, bindings).fetchall()[0][0]


VALUES = [None, 0, 1, -1, 255, 2**63 - 1, -2**63, 0.0, -0.0, 0.5, -1.5, 1.0,
          float("inf"), float("-inf"), 5e-324, 1.7976931348623157e308, "", "a",
          "1", "\0", "a\0b", "\u00e9", "\U0001f600", "x" * 9, "x" * 10,
          "x" * 99, "x" * 100, "y" * 5000, b"", b"a", b"\0", b"\xff" * 10,
          b"z" * 5000]


def test_single_values(db):
    for item in VALUES:
        assert value(db, "SELECT attest_canonical(?)", (item,)) \
            == canonical(item), repr(item)[:40]


def test_rows(db):
    chance = random.Random(1)
    for _ in range(300):
        row = [chance.choice(VALUES) for _ in range(chance.randrange(12))]
        marks = ", ".join("?" * len(row))
        assert value(db, f"SELECT attest_canonical({marks})", row) \
            == canonical(*row)
        assert value(db, f"SELECT attest_hash({marks})", row) \
            == sha256(canonical(*row))


def test_different_rows_never_meet(db):
    """Typed and injective: neighbours that naive joins confuse."""
    rows = ["1", "1.0", "'1'", "x'31'", "NULL", "''", "x''", "'a', 'b'",
            "'ab', ''", "'', 'ab'", "'a'", "'a', NULL", "NULL, 'a'", "0",
            "0.0", "'R0:'", "x'4E'", "'N'", "'T1:a'", "'a', 'T1:b'", ""]
    got = [value(db, f"SELECT hex(attest_canonical({row}))") for row in rows]
    assert len(set(got)) == len(rows)
    hashes = [value(db, f"SELECT hex(attest_hash({row}))") for row in rows]
    assert len(set(hashes)) == len(rows)


def test_known_values(db):
    assert value(db, "SELECT hex(attest_canonical("
                     "'xyzzy', x'010203', 1193046, 100.015625, NULL))") == (
        "52353A54353A78797A7A7942333A0102034900000000001234564640590100000000"
        "004E")
    assert value(db, "SELECT attest_canonical()") == b"R0:"
    # FIPS 180-4, examples: one block, two blocks, nothing.
    for text, digest in [
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61"
                    "f20015ad"),
            ("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
             "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b785"
                 "2b855")]:
        for kind in (text, text.encode()):
            assert value(db, "SELECT attest_sha256(?)", (kind,)) \
                == bytes.fromhex(digest)


def test_minus_zero_and_nan(db):
    assert value(db, "SELECT attest_hash(-0.0) = attest_hash(0.0)") == 1
    assert value(db, "SELECT attest_canonical(?)", (float("nan"),)) == b"R1:N"
    assert value(db, "SELECT attest_hash(0) = attest_hash(0.0)") == 0


def test_ill_formed_text_is_taken_as_it_is(db):
    for raw in ("ff", "c080", "eda080", "f4908080", "80"):
        data = bytes.fromhex(raw)
        assert value(db, f"SELECT attest_canonical(CAST(x'{raw}' AS TEXT))") \
            == b"R1:T%d:" % len(data) + data
        assert value(db, f"SELECT attest_sha256(CAST(x'{raw}' AS TEXT))") \
            == sha256(data)


def test_sizes(db):
    for size in (63, 64, 65, 1000, 1023, 1024, 1025, 4096, 1000000):
        data = random.Random(size).randbytes(size)
        assert value(db, "SELECT attest_sha256(?)", (data,)) == sha256(data)
        assert value(db, "SELECT attest_hash(?, 1)", (data,)) \
            == sha256(canonical(data, 1))
        assert value(db, "SELECT merkle_leaf_hash(?)", (data,)) \
            == sha256(b"\0", data)
    assert value(db, "SELECT attest_hash(zeroblob(100000))") \
        == sha256(canonical(bytes(100000)))


def test_too_big(db):
    db.limit(apsw.SQLITE_LIMIT_LENGTH, 10000)
    assert len(value(db, "SELECT attest_canonical(zeroblob(9990))")) == 9999
    for size in (9995, 10000):
        with pytest.raises(apsw.TooBigError):
            value(db, f"SELECT attest_canonical(zeroblob({size}))")
        # A hash is small, whatever it is of.
        assert len(value(db, f"SELECT attest_hash(zeroblob({size}))")) == 32


def test_null(db):
    for call in ("attest_sha256(NULL)", "merkle_leaf_hash(NULL)",
                 "merkle_node_hash(NULL, 5)",
                 "merkle_node_hash(zeroblob(32), NULL)"):
        assert value(db, f"SELECT {call}") is None


@pytest.mark.parametrize("call, message", [
    ("attest_sha256(1)", "attest_sha256: TEXT or BLOB expected; CAST a number"
                         " to say which bytes are meant"),
    ("attest_sha256(1.5)", "attest_sha256: TEXT or BLOB expected"),
    ("merkle_leaf_hash(1)", "merkle_leaf_hash: "),
    ("merkle_node_hash(x'00', zeroblob(32))", "merkle_node_hash: "),
    ("merkle_node_hash(zeroblob(32), zeroblob(33))", "merkle_node_hash: "),
    ("merkle_node_hash('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', zeroblob(32))",
     "merkle_node_hash: "),
    ("merkle_root(NULL)", "merkle_root: "),
    ("merkle_root(5)", "merkle_root: "),
    ("attest_sha256()", "wrong number of arguments"),
    ("attest_sha256('a', 'b')", "wrong number of arguments"),
])
def test_bad_arguments(db, call, message):
    with pytest.raises(apsw.SQLError) as error:
        value(db, f"SELECT {call}")
    assert message in str(error.value)


def test_tree(db):
    leaves = [b"leaf %d" % i for i in range(70)]
    for count in list(range(20)) + [31, 32, 33, 63, 64, 65, 70]:
        db.cursor().execute("CREATE TABLE t(i INTEGER PRIMARY KEY, data)")
        db.cursor().executemany("INSERT INTO t(data) VALUES (?)",
                                [(leaf,) for leaf in leaves[:count]])
        assert value(db, "SELECT merkle_root(data) FROM (SELECT data FROM t"
                         " ORDER BY i)") == merkle_root(leaves[:count])
        db.cursor().execute("DROP TABLE t")


def test_nodes_of_a_tree(db):
    left, right = sha256(b"\0a"), sha256(b"\0b")
    assert value(db, "SELECT merkle_node_hash(?, ?)", (left, right)) \
        == merkle_root([b"a", b"b"])
    assert value(db, "SELECT merkle_leaf_hash('a')") == left


def test_two_aggregates_at_once(db):
    rows = db.cursor().execute(
        "WITH t(g, d) AS (VALUES (1, 'a'), (2, 'b'), (1, 'c'), (2, 'd'))"
        " SELECT g, merkle_root(d), merkle_root(d || 'x') FROM t GROUP BY g"
    ).fetchall()
    assert rows == [
        (1, merkle_root([b"a", b"c"]), merkle_root([b"ax", b"cx"])),
        (2, merkle_root([b"b", b"d"]), merkle_root([b"bx", b"dx"]))]


def test_pure_ones_work_in_a_schema(db):
    """In generated columns, indexes, CHECK, views and triggers."""
    run = db.cursor().execute
    run("CREATE TABLE t(a, h AS (attest_hash(a)) STORED,"
        " CHECK (length(attest_sha256(CAST(a AS TEXT))) = 32))")
    run("CREATE INDEX by_hash ON t(merkle_leaf_hash(CAST(a AS TEXT)))")
    run("CREATE VIEW v AS SELECT attest_canonical(a) AS c FROM t")
    run("CREATE TABLE log(h)")
    run("CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log"
        " VALUES (attest_hash(NEW.a, NEW.h)); END")
    run("INSERT INTO t(a) SELECT 'x' UNION ALL SELECT 5")
    assert value(db, "SELECT count(*) FROM t WHERE h = attest_hash(a)") == 2
    assert value(db, "SELECT c FROM v LIMIT 1") == canonical("x")
    assert value(db, "SELECT h FROM log LIMIT 1") \
        == sha256(canonical("x", sha256(canonical("x"))))
    assert "by_hash" in str(run(
        "EXPLAIN QUERY PLAN SELECT * FROM t WHERE"
        " merkle_leaf_hash(CAST(a AS TEXT)) = x'00'").fetchall())


def test_in_utf16(db):
    """The encoding of the database changes no hash."""
    other = apsw.Connection(":memory:")
    other.enableloadextension(True)
    other.loadextension(LIBRARY)
    other.cursor().execute("PRAGMA encoding = 'UTF-16'")
    other.cursor().execute("CREATE TABLE t(a)")
    for text in ("a", "h\u00e9llo", "\U0001f600", "a\0b"):
        other.cursor().execute("DELETE FROM t")
        other.cursor().execute("INSERT INTO t VALUES (?)", (text,))
        for call, expected in [("attest_canonical(a)", canonical(text)),
                               ("attest_hash(a)", sha256(canonical(text))),
                               ("attest_sha256(a)", sha256(text.encode()))]:
            assert value(other, f"SELECT {call} FROM t") == expected
            assert value(db, f"SELECT {call} FROM (SELECT ? AS a)", (text,)) \
                == expected
    other.close()
