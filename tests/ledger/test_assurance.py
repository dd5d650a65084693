"""What a verification rests on: keys, checkpoints given, witnesses; and what
the report says of it."""
import json
import os
import pathlib
import sqlite3
import subprocess
import sys

import apsw
import pytest

from conftest import load
from signing import Key, note
from test_verify import tamper
from trail import (A, B, C, GUARDS, MISSING, NOT_STORED, T, W1, W2, keys, once,
                   report, trail, verify)  # noqa: F401

HERE = pathlib.Path(__file__).parent


# ---- levels -----------------------------------------------------------------

@once
@pytest.mark.parametrize("given, known, assurance, size, signers", [
    ("none", [], "self-consistent", 9, []),
    ("none", [A], "signed", 9, [A]),
    ("none", [B], "signed", 6, [B]),
    ("none", [B, A], "signed", 9, [A]),
    ("none", [C, A], "signed", 9, [A]),
    ("one", [], "anchored", 3, []),
    ("one", [A], "anchored", 3, [A]),
    ("one", [A, B, C], "anchored", 3, [A]),
    ("two", [A, B], "anchored", 6, [B]),
    ("three", [A], "anchored", 9, [A]),
    ("witnessed", [], "anchored", 3, []),
    ("witnessed", [A], "anchored", 3, [A]),
    ("witnessed", [A, W1], "witnessed", 3, [A, W1]),
    ("witnessed", [W1], "witnessed", 3, [W1]),
    ("witnessed", [W2, W1], "witnessed", 3, [W1]),
    ("twice", [A, W2, W1], "witnessed", 3, [A, W2, W1]),
    ("twice", [A, W2], "witnessed", 3, [A, W2]),
])
def test_levels(trail, given, known, assurance, size, signers):
    arguments = (trail.kept[given], keys(*known) if known else None)
    assert verify(trail, *arguments) == []
    told = report(trail, *arguments)
    assert told["assurance"] == assurance
    assert (told["entries"], told["entries_checked"]) == (9, 9)
    on = told["checkpoint"]
    assert (on["source"], on["size"], on["root"]) == (
        "stored" if given == "none" else "given", size,
        trail.value("SELECT lower(hex(ledger_root('l', ?)))", (size,)))
    times = {W1: 1000 * T, W2: 1000 * T + 7000}
    assert on["signed_by"] == [
        {"name": key.name, "id": key.id.hex(), "witnessed_at": times[key]}
        if key in times else {"name": key.name, "id": key.id.hex()}
        for key in signers]
    at = max([times[key] for key in signers if key in times]
             or [1000 * size + 600])
    assert on["at"] == at
    now = trail.value("SELECT 1000 * CAST(strftime('%s', 'now') AS INTEGER)")
    assert abs(on["age_ms"] - (now - at)) < 60000


@once
def test_nothing_to_rest_on(ledger):
    told = report(ledger)
    assert told["checkpoint"] is None
    assert told["assurance"] == "self-consistent"
    assert told["origin"] == "holdfast/l"


@once
def test_the_time_of_one_that_is_not_stored(trail):
    """That of its last entry; unknown if it has none."""
    roots = [trail.value("SELECT ledger_root('l', ?)", (n,)) for n in range(10)]
    for n, at in enumerate([None] + [1000 * n for n in range(1, 10)]):
        if n % 3 or n == 0:
            text = note(C, "holdfast/l", n, roots[n])
            told = report(trail, text)
            assert told["assurance"] == "anchored"
            assert told["checkpoint"]["at"] == at
            assert (told["checkpoint"]["age_ms"] is None) == (at is None)
            assert report(trail, W1.cosign(text, 9), keys(W1))[
                "checkpoint"]["at"] == (at if n > 8 else 9000)


@once
def test_a_witness_knows_better_when(trail):
    """What is stored beside a checkpoint is signed by nobody."""
    given = W1.cosign(trail.kept["one"], 2)
    assert report(trail, given)["checkpoint"]["at"] == 3600
    assert report(trail, given, keys(W1))["checkpoint"]["at"] == 2000


@once
def test_a_checkpoint_from_the_future(trail):
    trail.run("SELECT ledger_checkpoint('l', ?, ?)", (A.signer, 2**53))
    on = report(trail, None, A.verifier)["checkpoint"]
    assert (on["at"], on["age_ms"]) == (2**53, 0)


@once
@pytest.mark.parametrize("time", [10**11 - 1, 10**11 + 1])
def test_a_witness_far_ahead(trail, time):
    on = report(trail, W1.cosign(trail.kept["one"], time), keys(W1))[
        "checkpoint"]
    assert on["at"] >= 1000 * (10**11 - 1) and on["age_ms"] == 0


# ---- keys -------------------------------------------------------------------

NOT_GIVEN = ("a witness's key is given, but not the checkpoint that it"
             " cosigned")
NOT_SIGNED = "the checkpoint given is not signed by the log's key given"
NOT_COSIGNED = ("the checkpoint given is not cosigned by a witness whose key"
                " is given")


@once
@pytest.mark.parametrize("given, known, details", [
    ("none", [C], [NOT_STORED]), ("none", [W1], [NOT_GIVEN]),
    ("none", [A, W1], [NOT_GIVEN]), ("none", [C, W1], [NOT_STORED, NOT_GIVEN]),
    ("one", [B], [NOT_SIGNED]), ("one", [C, B], [NOT_SIGNED]),
    ("two", [A], [NOT_SIGNED]), ("one", [W1], [NOT_COSIGNED]),
    ("one", [A, W1], [NOT_COSIGNED]), ("one", [C, W1], [NOT_SIGNED]),
    ("witnessed", [C, W1], [NOT_SIGNED]),
    ("witnessed", [A, W2], [NOT_COSIGNED]),
])
def test_a_key_that_did_not_sign(trail, given, known, details):
    assert verify(trail, trail.kept[given], keys(*known)) == [
        ("checkpoint_invalid", None, detail) for detail in details]


@once
def test_a_wrong_signature(trail):
    """One by a known key spoils a note, whatever else is in it."""
    text = trail.kept["one"][:-len(A.line("x"))]
    assert text.endswith("\n\n")
    for spoilt, known, name in [
            (text + A.line("other\n"), [A], A.name),
            (text + A.line_of(b"\0" * 64), [A], A.name),
            (trail.kept["one"] + W1.line("other\n", T), [A, W1], W1.name),
            (W1.cosign(text + A.line("other\n"), T), [A, W1], A.name),
            (trail.kept["one"] + W1.line_of(bytes(72)), [W1], W1.name),
            (text + C.line("other\n") + A.line(text[:-1]), [A, C], C.name)]:
        assert verify(trail, spoilt, keys(*known)) == [
            ("checkpoint_invalid", None,
             f"the checkpoint given: the signature of {name} is wrong")]
        assert verify(trail, spoilt) == []
        others = [key for key in known if key.name != name]
        assert verify(trail, spoilt, keys(*others) or None) == []


@once
@pytest.mark.parametrize("text", [
    "{a} {b}", "{b} {a}", " {a}", "{a} ", "\n{a}\n", "{b}\n{a}\n", "{a}\t{b}",
    "{a}\r\n{b}\r\n", "  {a}  \n\t {b} ", "{a} {a}", "{a}" + " {b}" * 99])
def test_several_keys(trail, text):
    text = text.format(a=A.verifier, b=B.verifier)
    assert verify(trail, None, text) == []
    told = report(trail, None, text)
    assert told["assurance"] == "signed" and told["checkpoint"]["size"] == 9
    assert verify(trail, trail.kept["three"], text) == []


@once
@pytest.mark.parametrize("text", [
    "x", A.verifier[:-1], A.verifier + "A", A.verifier + "," + B.verifier,
    A.verifier + ";", A.verifier + " x", "x " + A.verifier, A.signer,
    A.verifier + A.verifier, A.verifier.replace("+", "+ ", 1), "+", "+ +",
    A.verifier.replace("holdfast", "holdfest"), A.verifier + "\v" + B.verifier,
    (A.verifier + " ") * 101, "x" * 10**6, A.verifier + "\u00a0",
    Key("small", 0, 1, b"\1" + bytes(31)).verifier,
    Key("kind", 6, 6).verifier] + [text
        for text in ("", " ", "\n\t", "\0", "\0x", A.verifier + "\0",
                     A.verifier + "\0" + C.verifier)])
def test_keys_that_are_none(trail, text):
    for sql in ("SELECT * FROM ledger_verify('l', ?, ?)",
                "SELECT ledger_report('l', ?, ?)"):
        for given in (None, trail.kept["one"]):
            trail.fails(sql, "ledger l: the verifier key must be <name>+<id>+"
                        "<base64>, as note_keygen makes it, or up to 100 of"
                        " them with spaces between", (given, text))


# ---- arguments --------------------------------------------------------------

def test_nulls(trail):
    for arguments in [(), (None,), (None, None)]:
        assert verify(trail, *arguments) == []
        assert report(trail, *arguments)["assurance"] == "self-consistent"
    trail.fails("SELECT * FROM ledger_verify(NULL, ?, ?)",
                "ledger_verify needs the name of a ledger", ("x", "y"))
    trail.fails("SELECT ledger_report(NULL)",
                "ledger_report: the ledger's name is missing")


@once
@pytest.mark.parametrize("value", [5, 1.5, b"", b"bytes"])
def test_wrong_types(trail, value):
    for function, sql in [("ledger_verify", "SELECT * FROM ledger_verify"),
                          ("ledger_report", "SELECT ledger_report")]:
        for arguments, what in [((value,), "checkpoint"),
                                ((value, A.verifier), "checkpoint"),
                                ((None, value), "verifier key"),
                                (("x", value), "verifier key")]:
            marks = ", ?" * len(arguments)
            trail.fails(f"{sql}('l'{marks})", f"{function}: the {what} must be"
                        " TEXT, or NULL", arguments)


def test_by_name_and_in_a_join(trail):
    assert trail.run(
        "SELECT finding, name, checkpoint, verifier_key FROM ledger_verify"
        " WHERE verifier_key = ? AND name = 'l' AND checkpoint = ?",
        (B.verifier, trail.kept["one"])) == [
            ("checkpoint_invalid", "l", None, None)]
    assert trail.run(
        "SELECT c.id, v.detail FROM l_checkpoint AS c,"
        " ledger_verify('l', c.note, ?) AS v ORDER BY c.id",
        (A.verifier,)) == [(2, NOT_SIGNED)]
    assert trail.run(
        "SELECT c.id, ledger_report('main.l', c.note, c.verifier) ->>"
        " '$.assurance' FROM l_checkpoint AS c ORDER BY c.id") == [
            (id, "anchored") for id in (1, 2, 3)]


# ---- others -----------------------------------------------------------------

def openssl(*arguments, stdin=b""):
    return subprocess.run(["openssl", *arguments], input=stdin, check=True,
                          capture_output=True).stdout


@once
def test_a_witness_that_is_openssl(trail, tmp_path):
    """Another implementation of Ed25519 signs and is believed."""
    pem, message = tmp_path / "key.pem", tmp_path / "message"
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(pem))
    public = openssl("pkey", "-in", str(pem), "-pubout", "-outform", "DER")
    witness = Key("witness.example/o", 0, 4, public[-32:])
    text = trail.kept["one"][:trail.kept["one"].rindex("\n\n") + 1]
    message.write_text(f"cosignature/v1\ntime {T}\n{text}")
    signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", str(pem),
                        "-in", str(message))
    given = trail.kept["one"] + witness.line_of(
        T.to_bytes(8, "big") + signature)
    assert verify(trail, given, keys(A, witness)) == []
    assert report(trail, given, keys(A, witness))["assurance"] == "witnessed"
    later = trail.kept["one"] + witness.line_of(
        (T + 1).to_bytes(8, "big") + signature)
    assert [row[0] for row in verify(trail, later, keys(A, witness))] == [
        "checkpoint_invalid"]


def test_integrity_check(trail):
    """SQLite asks virtual tables from 3.44 on."""
    asks = tuple(map(int, apsw.sqlitelibversion().split("."))) >= (3, 44)
    assert trail.run("PRAGMA integrity_check") == [("ok",)]
    tamper(trail.path, "DELETE FROM l_checkpoint WHERE id = 2", GUARDS)
    assert trail.run("PRAGMA quick_check") == [("ok",)]
    assert trail.run("PRAGMA integrity_check") == [(
        "ledger l: checkpoint_invalid: " + MISSING.format(1, 3) + "; run"
        " ledger_verify('l') to see all that is found" if asks else "ok",)]


WRITER = """
import sqlite3, sys, time
from conftest import load
connection = load(sqlite3.connect(sys.argv[1], 60, isolation_level=None))
while True:
    time.sleep(0.003)
    connection.execute("INSERT INTO l(task) VALUES ('beside'), ('beside')")
    connection.execute("SELECT ledger_checkpoint('l', ?)", (sys.argv[2],))
    print("done", flush=True)
"""


@pytest.mark.parametrize("db", ["wal", "delete"], indirect=True)
def test_beside_a_writer(trail):
    """Each verification sees one state of entries and checkpoints."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, trail.path, A.signer],
        env=dict(os.environ, PYTHONPATH=str(HERE)), stdout=subprocess.PIPE)
    sizes = set()
    try:
        while len(sizes) < 15:
            writer.stdout.readline()
            told = report(trail, trail.kept["two"], keys(A, B))
            assert told["findings"] == [] and told["assurance"] == "anchored"
            told = report(trail, None, A.verifier)
            assert told["assurance"] == "signed", told
            assert told["entries"] - told["checkpoint"]["size"] in (0, 2)
            sizes.add(told["entries"])
    finally:
        writer.kill()
        writer.communicate()
    assert verify(trail) == []


def test_a_thousand_checkpoints():
    connection = load(sqlite3.connect(":memory:", isolation_level=None))
    run = connection.execute
    run("CREATE VIRTUAL TABLE l USING ledger(task TEXT)")
    for i in range(1000):
        if i % 5:
            run("INSERT INTO l(task) VALUES ('x')")
        text, = run("SELECT ledger_checkpoint('l', ?)", (A.signer,)).fetchone()
    run("INSERT INTO l(task) VALUES ('behind')")
    for arguments, level in [((None, None), "self-consistent"),
                             ((None, A.verifier), "signed"),
                             ((text, A.verifier), "anchored")]:
        told = json.loads(run("SELECT ledger_report('l', ?, ?)",
                              arguments).fetchone()[0])
        assert told["assurance"] == level
        assert (told["checkpoint"]["size"], told["entries"]) == (800, 801)
    run("DROP TRIGGER l_checkpoint_delete")
    run("DROP TRIGGER l_checkpoint_update")
    run("DELETE FROM l_checkpoint WHERE id = 500")
    run("UPDATE l_checkpoint SET verifier = 'v' WHERE id % 100 = 7")
    assert run("SELECT detail FROM ledger_verify('l') WHERE finding ="
               " 'checkpoint_invalid'").fetchall() == [
        (f"checkpoint {id}: its verifier is none",)
        for id in range(7, 500, 100)] + [(MISSING.format(499, 501),)] + [
        (f"checkpoint {id}: its verifier is none",)
        for id in range(507, 1000, 100)]
    connection.close()
