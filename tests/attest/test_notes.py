"""Signed notes: the example of Go's package documentation, and everything that
must not pass."""
import base64
import hashlib
import json

import apsw
import pytest

from test_attest import database, value  # noqa: F401

DASH = "\u2014 "
SIGNER = ("PRIVATE+KEY+PeterNeumann+c74f20a3+"
          "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")
VERIFIER = ("PeterNeumann+c74f20a3+"
            "ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
TEXT = ("If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n")
LINE = (DASH + "PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGU"
        "gYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n")
NOTE = TEXT + "\n" + LINE


def verify(db, note, *verifiers):
    marks = ", ?" * len(verifiers)
    return value(db, f"SELECT note_verify(?{marks})", (note, *verifiers))


def keygen(db, name):
    pair = json.loads(value(db, "SELECT note_keygen(?)", (name,)))
    return pair["signer"], pair["verifier"]


def encoded(data):
    return base64.b64encode(data).decode()


def verifier_key(name, key, kind=1):
    data = bytes([kind]) + key
    identity = hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8]
    return f"{name}+{identity}+{encoded(data)}"


def test_the_example_of_go(db):
    assert value(db, "SELECT note_sign(?, ?)", (TEXT, SIGNER)) == NOTE
    assert verify(db, NOTE, VERIFIER) == TEXT


def test_keys(db):
    for name in ("example.com/log", "x", "\u00e9t\u00e9/\U0001f512", "n" * 255,
                 'quo"te\\'):
        signer, verifier = keygen(db, name)
        assert verifier.startswith(name + "+")
        assert verifier == verifier_key(
            name, base64.b64decode(verifier[len(name) + 10:])[1:])
        assert signer.startswith(f"PRIVATE+KEY+{name}+")
        note = value(db, "SELECT note_sign('text' || char(10), ?)", (signer,))
        assert verify(db, note, verifier) == "text\n"
        assert verify(db, note, VERIFIER) is None


@pytest.mark.parametrize("name", [
    "", "a b", "a+b", "a\nb", "a\tb", "a\u00a0b", "a\u3000b", "a\u2028b",
    "\u0085", "n" * 256, "a\0b", 5, b"name", None])
def test_names_that_are_none(db, name):
    with pytest.raises(apsw.SQLError) as error:
        keygen(db, name)
    assert "note_keygen: the name of a key is TEXT of 1 to 255" in str(
        error.value)


@pytest.mark.parametrize("text", [
    "", "no newline", "a\rb\n", "a\tb\n", "a\0b\n", "\x1b\n", 5, b"a\n", None,
    "x" * 1000000 + "\n"])
def test_texts_that_are_not_signed(db, text):
    with pytest.raises(apsw.SQLError) as error:
        value(db, "SELECT note_sign(?, ?)", (text, SIGNER))
    assert "note_sign: the text must be UTF-8 TEXT" in str(error.value)


def test_ill_formed_text(db):
    for raw in ("ff0a", "c0800a", "eda0800a", "f4908080" + "0a", "c30a",
                "e2820a", "f09f920a", "800a"):
        with pytest.raises(apsw.SQLError):
            value(db, f"SELECT note_sign(CAST(x'{raw}' AS TEXT), ?)",
                  (SIGNER,))
    for text in ("\u00e9\n", "\u20ac\n", "\U0010ffff\n", "\n", "\x7f\n",
                 "a\n\nb\n"):
        note = value(db, "SELECT note_sign(?, ?)", (text, SIGNER))
        assert verify(db, note, VERIFIER) == text


@pytest.mark.parametrize("signer", [
    "", VERIFIER, SIGNER[:-1], SIGNER + "=", SIGNER.lower(), SIGNER[12:],
    SIGNER.replace("c74f20a3", "c74f20a4"), SIGNER.replace("Peter", "Paul"),
    SIGNER.replace("c74f20a3", "C74F20A3"), SIGNER.replace("+AY", "+BY"),
    SIGNER.replace("KDFz", "KD=="), "PRIVATE+KEY+", 5, None])
def test_signers_that_are_none(db, signer):
    with pytest.raises(apsw.SQLError) as error:
        value(db, "SELECT note_sign(?, ?)", (TEXT, signer))
    assert "note_sign: a signer must be PRIVATE+KEY+" in str(error.value)


SMALL = bytes([1] + [0] * 31)


@pytest.mark.parametrize("verifier", [
    "", SIGNER, VERIFIER[:-1], VERIFIER + "A", VERIFIER.replace("+A", "+B"),
    VERIFIER.replace("c74f20a3", "c74f20a4"), "PeterNeumann", 5, b"x",
    verifier_key("small", SMALL), verifier_key("p", b"\xed" + b"\xff" * 30
                                               + b"\x7f"),
    verifier_key("kind", bytes(range(32)), 2), verifier_key("a b", SMALL)])
def test_verifiers_that_are_none(db, verifier):
    with pytest.raises(apsw.SQLError) as error:
        verify(db, NOTE, verifier)
    assert "note_verify: a verifier must be <name>+<id>+<base64>" in str(
        error.value)


def other_line(name="someone", size=68):
    return f"{DASH}{name} {encoded(bytes(range(200))[:size])}\n"


@pytest.mark.parametrize("note", [
    TEXT, TEXT + "\n", LINE, "\n" + LINE, NOTE[:-1], NOTE + "\n", NOTE + "x",
    NOTE.replace("think", "thank"), NOTE.replace("\n\n", "\n"),
    NOTE.replace("PeterNeumann", "Peter"), NOTE.replace(DASH, "- "),
    NOTE.replace(DASH, "\u2014"), NOTE.replace(" x08", "  x08"),
    NOTE.replace("x08g", "x08h"), NOTE.replace("ZJku", "ZJkv"),
    NOTE.replace("nAM=", "nAN="), NOTE.replace("nAM=", "nAM"),
    NOTE.replace("nAM=", "nAMA"), NOTE.replace("nAM=", ""),
    NOTE.replace("nAM=\n", "nAM= \n"), NOTE.replace("/ZJ", "_ZJ"),
    NOTE.replace("\n", "\r\n"), "\t" + NOTE, NOTE + "\n" + LINE,
    NOTE + other_line("a b"), NOTE + other_line(size=4),
    NOTE + other_line("a+b"), NOTE + DASH + "x \n", NOTE + DASH + "x AAAA\n",
    NOTE + DASH + "x AAAAAAA\n", NOTE + DASH + "x AAAAAAA*\n", NOTE + "\0\n",
    NOTE + other_line() * 100, "x" * 1000000 + NOTE, ""])
def test_notes_that_do_not_hold(db, note):
    assert verify(db, note, VERIFIER) is None


@pytest.mark.parametrize("note, text", [
    (NOTE, TEXT), (NOTE + other_line(), TEXT),
    (NOTE + other_line(size=5), TEXT), (NOTE + other_line(size=200), TEXT),
    (TEXT + "\n" + other_line() * 20 + LINE, TEXT), (NOTE + LINE, TEXT),
    (NOTE + other_line("PeterNeumann"), TEXT),
    (NOTE + other_line() * 99, TEXT)])
def test_notes_that_hold(db, note, text):
    assert verify(db, note, VERIFIER) == text


def test_several_keys(db):
    keys = [keygen(db, f"key{i}") for i in range(20)]
    marks = ", ?" * len(keys)
    note = value(db, f"SELECT note_sign(?{marks})",
                 (TEXT, *(signer for signer, _ in keys)))
    assert note.startswith(TEXT + "\n") and note.count(DASH) == 20
    for _, verifier in keys:
        assert verify(db, note, verifier) == TEXT
    verifiers = [verifier for _, verifier in keys]
    assert verify(db, note, *verifiers) == TEXT
    assert verify(db, note, VERIFIER, verifiers[3]) == TEXT
    assert verify(db, note, VERIFIER) is None
    # One wrong signature of a known key spoils the note; of others it does not.
    lines = note.split("\n")
    name = lines[4].split(" ")[1]
    wrong = base64.b64decode(lines[4].split(" ")[2])
    lines[4] = f"{DASH}{name} {encoded(wrong[:-1] + bytes([wrong[-1] ^ 1]))}"
    assert verify(db, "\n".join(lines), *verifiers) is None
    number = int(name[3:])
    assert verify(db, "\n".join(lines), verifiers[(number + 1) % 20]) == TEXT


def test_arguments(db):
    for call in ("note_sign('a')", "note_verify('a')", "note_sign()"):
        with pytest.raises(apsw.SQLError) as error:
            value(db, f"SELECT {call}")
        assert "a note takes 1 to 100 keys, one an argument" in str(error.value)
    assert verify(db, None, VERIFIER) is None
    assert verify(db, NOTE, None) is None
    assert verify(db, NOTE, VERIFIER, None) is None
    with pytest.raises(apsw.SQLError):
        verify(db, NOTE.encode(), VERIFIER)
