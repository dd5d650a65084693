"""attest_hmac, attest_keygen, attest_sign, attest_verify, attest_hash_agg:
against Python's hmac and OpenSSL's command line."""
import hashlib
import hmac
import json
import subprocess

import apsw
import pytest

from test_attest import VALUES, canonical, database, value  # noqa: F401

SECRET = bytes(range(32))
SMALL = [
    "01" + "00" * 31, "01" + "00" * 30 + "80", "ec" + "ff" * 30 + "7f",
    "ec" + "ff" * 31, "00" * 32, "00" * 31 + "80",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ed" + "ff" * 30 + "7f", "ee" + "ff" * 30 + "7f", "ff" * 32]


@pytest.fixture(name="keys")
def key_pair(db):
    pair = json.loads(value(db, "SELECT attest_keygen()"))
    return pair["public"], pair["secret"]


def test_hmac(db):
    for size in (1, 20, 32, 64, 65, 200, 1024):
        key = bytes((size + i) % 256 for i in range(size))
        for row in ((), ("a",), (1, None, b"x"), ("y" * 5000, -0.0)):
            expected = hmac.new(key, canonical(*row), hashlib.sha256).digest()
            marks = "".join(", ?" for _ in row)
            for given in (key, key.hex(), key.hex().upper()):
                assert value(db, f"SELECT attest_hmac(?{marks})",
                             (given, *row)) == expected


def test_keygen(db):
    pairs = [json.loads(value(db, "SELECT attest_keygen()"))
             for _ in range(3)]
    assert len({pair["secret"] for pair in pairs}) == 3
    for pair in pairs:
        assert set(pair) == {"public", "secret"}
        assert len(bytes.fromhex(pair["public"])) == 32
        assert len(bytes.fromhex(pair["secret"])) == 32


def test_signatures_hold_and_only_they(db, keys):
    public, secret = keys
    for row in [(item,) for item in VALUES] + [(), (1, "a", None, b"\0")]:
        marks = "".join(", ?" for _ in row)
        signature = value(db, f"SELECT attest_sign(?{marks})", (secret, *row))
        assert len(signature) == 64
        check = f"SELECT attest_verify(?, ?{marks})"
        for key in (public, bytes.fromhex(public), public.upper()):
            assert value(db, check, (key, signature, *row)) == 1
        assert value(db, check, (public, signature.hex(), *row)) == 1
        assert value(db, f"SELECT attest_verify(?, ?{marks}, 'more')",
                     (public, signature, *row)) == 0
    signature = value(db, "SELECT attest_sign(?, 'a', 1)", (secret,))
    check = "SELECT attest_verify(?, ?, ?, ?)"
    for wrong in ("b", "A", b"a", "a "):
        assert value(db, check, (public, signature, wrong, 1)) == 0
    for wrong in (2, 1.0, "1", None):
        assert value(db, check, (public, signature, "a", wrong)) == 0
    for wrong in (signature[:63], signature + b"\0", b"", "", signature[::-1],
                  bytes(64), signature.hex()[:-2], "zz" * 64, 5, 1.5,
                  signature[:-1] + bytes([signature[-1] ^ 1])):
        assert value(db, check, (public, wrong, "a", 1)) == 0
    other = json.loads(value(db, "SELECT attest_keygen()"))["public"]
    assert value(db, check, (other, signature, "a", 1)) == 0


def test_unsound_keys_verify_nothing(db):
    """With R = identity and S = 0 libcrypto alone takes each message for signed
    by the first of them."""
    for key in SMALL:
        for signature in (bytes(64), b"\1" + bytes(63),
                          bytes.fromhex(key) + bytes(32)):
            for message in range(8):
                assert value(db, "SELECT attest_verify(?, ?, ?)",
                             (key, signature, message)) == 0


@pytest.mark.parametrize("call, message", [
    ("attest_sign()", "attest_sign: the arguments are a secret"),
    ("attest_sign(NULL, 1)", "attest_sign: the arguments are a secret"),
    ("attest_sign(x'00', 1)", "attest_sign: the arguments are a secret"),
    ("attest_sign(zeroblob(33), 1)", "attest_sign: the arguments are a"),
    ("attest_sign('zz', 1)", "attest_sign: the arguments are a secret"),
    ("attest_sign(5, 1)", "attest_sign: the arguments are a secret"),
    ("attest_verify('00')", "attest_verify: the arguments are a public key"),
    ("attest_verify(x'00', x'00', 1)", "attest_verify: the arguments are"),
    ("attest_verify(5, x'00', 1)", "attest_verify: the arguments are"),
    ("attest_hmac()", "attest_hmac: the arguments are a key"),
    ("attest_hmac(NULL, 1)", "attest_hmac: the arguments are a key"),
    ("attest_hmac('', 1)", "attest_hmac: the arguments are a key"),
    ("attest_hmac(x'', 1)", "attest_hmac: the arguments are a key"),
    ("attest_hmac('abc', 1)", "attest_hmac: the arguments are a key"),
    ("attest_hmac('secret', 1)", "attest_hmac: the arguments are a key"),
    ("attest_hmac(zeroblob(1025), 1)", "attest_hmac: the arguments are a key"),
    ("attest_hmac(5, 1)", "attest_hmac: the arguments are a key"),
])
def test_bad_keys(db, call, message):
    with pytest.raises(apsw.SQLError) as error:
        value(db, f"SELECT {call}")
    assert message in str(error.value)


def test_null(db, keys):
    for call in ("attest_verify(NULL, x'00', 1)",
                 f"attest_verify('{keys[0]}', NULL, 1)"):
        assert value(db, f"SELECT {call}") is None
    signature = value(db, "SELECT attest_sign(?, NULL)", (keys[1],))
    assert value(db, "SELECT attest_verify(?, ?, NULL)",
                 (keys[0], signature)) == 1


def test_no_oracle_for_a_schema(db):
    """Functions that are given a key run in no view and no trigger of a
    file, though verifying does."""
    run = db.cursor().execute
    for number, call in enumerate(("attest_sign(zeroblob(32), 1)",
                                   "attest_hmac(zeroblob(32), 1)",
                                   "attest_keygen()")):
        run(f"CREATE VIEW v{number} AS SELECT {call} AS x")
        with pytest.raises(apsw.SQLError) as error:
            run(f"SELECT * FROM v{number}").fetchall()
        assert "unsafe use of" in str(error.value)
    run("CREATE VIEW ok AS SELECT attest_verify(zeroblob(32), x'', 1) AS x")
    assert value(db, "SELECT x FROM ok") == 0


def test_openssl_accepts_our_signature(db, keys, tmp_path):
    public, secret = keys
    signature = value(db, "SELECT attest_sign(?, 'hello', 1)", (secret,))
    # SubjectPublicKeyInfo of RFC 8410.
    (tmp_path / "key.der").write_bytes(
        bytes.fromhex("302a300506032b6570032100" + public))
    (tmp_path / "message").write_bytes(canonical("hello", 1))
    for bad in (0, 1):
        (tmp_path / "signature").write_bytes(
            bytes([signature[0] ^ bad]) + signature[1:])
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER",
             "-inkey", tmp_path / "key.der", "-rawin", "-in",
             tmp_path / "message", "-sigfile", tmp_path / "signature"],
            capture_output=True, check=False)
        assert (done.returncode == 0) == (not bad), done.stderr


# ---- attest_hash_agg --------------------------------------------------------

def test_rows_in_order(db):
    assert value(db, "SELECT attest_hash_agg(a) FROM (SELECT 1 AS a) WHERE 0"
                 ) == hashlib.sha256(b"").digest()
    rows = [(item, i) for i, item in enumerate(VALUES)]
    db.cursor().execute("CREATE TABLE t(i INTEGER PRIMARY KEY, a)")
    for item, i in rows:
        db.cursor().execute("INSERT INTO t VALUES (?, ?)", (i, item))
    expected = hashlib.sha256(b"".join(canonical(*row) for row in rows))
    assert value(db, "SELECT attest_hash_agg(a, i) FROM (SELECT a, i FROM t"
                     " ORDER BY i)") == expected.digest()
    assert value(db, "SELECT attest_hash_agg(a, i) FROM (SELECT a, i FROM t"
                     " ORDER BY i DESC)") != expected.digest()
    # Between its rows other hashes are computed.
    assert value(db, "SELECT attest_hash_agg(a, i) || hex(max(attest_hash(a)))"
                     " IS NOT NULL FROM (SELECT a, i FROM t ORDER BY i)") == 1


def test_as_window_functions(db):
    sql = ("WITH t(a) AS (VALUES ('x'), ('y'), ('z'), ('w')) SELECT {}(a) OVER"
           " (ORDER BY rowid {}) FROM (SELECT a, row_number() OVER () AS rowid"
           " FROM t)")
    got = [row[0] for row in db.cursor().execute(
        sql.format("attest_hash_agg", ""))]
    digest = hashlib.sha256()
    for item, text in zip(got, "xyzw"):
        digest.update(canonical(text))
        assert item == digest.digest()
    got = [row[0] for row in db.cursor().execute(
        sql.format("merkle_root", ""))]
    for n, item in enumerate(got):
        assert item == value(
            db, "SELECT merkle_root(value) FROM json_each(?)",
            (json.dumps(list("xyzw")[:n + 1]),))
    for function in ("attest_hash_agg", "merkle_root"):
        with pytest.raises(apsw.SQLError) as error:
            db.cursor().execute(sql.format(
                function, "ROWS 1 PRECEDING")).fetchall()
        assert "must begin at UNBOUNDED PRECEDING" in str(error.value)
