"""DSSE envelopes: the pre-authentication encoding of the specification, checked
by OpenSSL's command line, and what must not pass."""
import base64
import json
import subprocess

import apsw
import pytest

from test_attest import database, value  # noqa: F401
from test_keys import SMALL, key_pair  # noqa: F401

TYPE = "http://example.com/HelloWorld"


def sign(db, *arguments):
    marks = ", ".join("?" * len(arguments))
    return value(db, f"SELECT dsse_sign({marks})", arguments)


def verify(db, envelope, public):
    if not isinstance(envelope, (str, type(None))):
        envelope = json.dumps(envelope)
    return value(db, "SELECT dsse_verify(?, ?)", (envelope, public))


def test_an_envelope(db, keys, tmp_path):
    public, secret = keys
    text = sign(db, TYPE, "hello world", secret, "key 1")
    envelope = json.loads(text)
    assert envelope["payloadType"] == TYPE
    assert base64.b64decode(envelope["payload"]) == b"hello world"
    assert envelope["signatures"][0]["keyid"] == "key 1"
    (tmp_path / "key.der").write_bytes(
        bytes.fromhex("302a300506032b6570032100" + public))
    (tmp_path / "signature").write_bytes(
        base64.b64decode(envelope["signatures"][0]["sig"]))
    # The example of protocol.md.
    (tmp_path / "message").write_bytes(
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world")
    subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER",
         "-inkey", tmp_path / "key.der", "-rawin", "-in",
         tmp_path / "message", "-sigfile", tmp_path / "signature"],
        capture_output=True, check=True)
    assert verify(db, text, public) == "hello world"
    assert verify(db, text, bytes.fromhex(public)) == "hello world"


@pytest.mark.parametrize("payload", [
    "", "x", '{"a": 1}', "h\u00e9llo\n\t\r", "x" * 100000])
def test_texts_come_back(db, keys, payload):
    got = verify(db, sign(db, "t", payload, keys[1]), keys[0])
    assert got == payload and isinstance(got, str)
    got = verify(db, sign(db, "t", payload.encode(), keys[1]), keys[0])
    assert got == payload and isinstance(got, str)


@pytest.mark.parametrize("payload", [
    b"\0", b"a\0b", b"\xff", b"\xed\xa0\x80", b"\x01", bytes(range(256))])
def test_blobs_come_back(db, keys, payload):
    assert verify(db, sign(db, "t", payload, keys[1]), keys[0]) == payload


def test_several_signatures_and_keyids(db, keys):
    public, secret = keys
    others = [json.loads(value(db, "SELECT attest_keygen()"))
              for _ in range(3)]
    envelope = json.loads(sign(db, "t", "payload", others[0]["secret"], "a"))
    for other in others[1:]:
        more = json.loads(sign(db, "t", "payload", other["secret"]))
        assert "keyid" not in more["signatures"][0]
        envelope["signatures"] += more["signatures"]
    for other in others:
        assert verify(db, envelope, other["public"]) == "payload"
    assert verify(db, envelope, public) is None
    # A keyid says nothing.
    envelope["signatures"][0]["keyid"] = "wrong"
    assert verify(db, envelope, others[0]["public"]) == "payload"
    mine = json.loads(sign(db, "t", "payload", secret))["signatures"]
    envelope["signatures"] = envelope["signatures"][:1] * 99 + mine
    assert verify(db, envelope, public) == "payload"
    envelope["signatures"] = envelope["signatures"][:1] * 100 + mine
    assert verify(db, envelope, public) is None


def test_base64_of_both_alphabets(db, keys):
    public, secret = keys
    for payload in (b"\xfb\xff\xbf", b"\xff\xfe", b"\xff", b"\xfb\xef\xbe\xff"):
        envelope = json.loads(sign(db, "t", payload, secret))
        assert not set("-_") & set(json.dumps(envelope["payload"]))
        for change in (lambda text: text,
                       lambda text: text.replace("+", "-").replace("/", "_"),
                       lambda text: text.rstrip("="),
                       lambda text: text.replace("+", "-").replace(
                           "/", "_").rstrip("=")):
            other = json.loads(json.dumps(envelope))
            other["payload"] = change(other["payload"])
            other["signatures"][0]["sig"] = change(
                other["signatures"][0]["sig"])
            assert verify(db, other, public) == payload


def test_what_does_not_hold(db, keys):
    public, secret = keys
    good = json.loads(sign(db, "type", "payload", secret))
    assert verify(db, good, public) == "payload"
    for path, wrong in [
            (("payloadType",), "type "), (("payloadType",), ""),
            (("payloadType",), 5), (("payloadType",), None),
            (("payload",), "cGF5bG9hZQ=="), (("payload",), "cGF5bG9hZA="),
            (("payload",), "cGF5bG9hZA==="), (("payload",), "cGF5 bG9hZA=="),
            (("payload",), "cGF5bG9hZB=="), (("payload",), 7),
            (("payload",), None), (("payload",), "*"), (("payload",), "A"),
            (("signatures",), []), (("signatures",), "x"),
            (("signatures",), [5, "x", None]), (("signatures",), None),
            (("signatures", 0, "sig"), ""), (("signatures", 0, "sig"), None),
            (("signatures", 0, "sig"), "AAAA"), (("signatures", 0, "sig"), 5),
            (("signatures", 0, "sig"), "A" * 86 + "=="),
            (("signatures", 0), {}), (("signatures", 0), [])]:
        bad = json.loads(json.dumps(good))
        place = bad
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = wrong
        assert verify(db, bad, public) is None, (path, wrong)
    for text in ("", "{", "[]", "null", "5", "x", "\0", '{"payload":1}'):
        assert verify(db, text, public) is None
    for key in SMALL:
        bad = json.loads(json.dumps(good))
        bad["signatures"][0]["sig"] = base64.b64encode(
            bytes([1]) + bytes(63)).decode()
        assert verify(db, bad, key) is None


def test_null_and_bad_arguments(db, keys):
    public, secret = keys
    text = sign(db, "t", "p", secret)
    assert sign(db, None, "p", secret) is None
    assert sign(db, "t", None, secret) is None
    assert verify(db, None, public) is None
    assert verify(db, text, None) is None
    assert verify(db, sign(db, "t", "p", secret, None), public) == "p"
    for arguments in ((5, "p", secret), ("t", 5, secret), ("t", "p", 5),
                      ("t", "p", secret[:-2]), ("t", "p", None),
                      ("a\0b", "p", secret), ("a\x01", "p", secret),
                      (b"t", "p", secret), ("t", "p", secret, 5),
                      ("t", "p", secret, "\0")):
        with pytest.raises(apsw.SQLError) as error:
            sign(db, *arguments)
        assert "dsse_sign: the arguments are payload_type" in str(error.value)
    for arguments in ((b"{}", public), (5, public), (text, 5),
                      (text, public[:-2]), (text, b"x")):
        with pytest.raises(apsw.SQLError) as error:
            value(db, "SELECT dsse_verify(?, ?)", arguments)
        assert "dsse_verify: the arguments are the envelope" in str(
            error.value)


def test_a_table_of_the_name_changes_nothing(db, keys):
    db.cursor().execute("CREATE TABLE json_each(key, value, type)")
    text = sign(db, "t", "p", keys[1])
    with pytest.raises(apsw.SQLError):
        verify(db, text, keys[0])
