"""Go's golang.org/x/mod/sumdb/note and tlog, which run the checksum database of
the Go modules, accept our notes and proofs; and ours accept theirs."""
import base64
import json
import os
import pathlib
import sqlite3
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")


class Go:
    def __init__(self, program):
        env = {key: text for key, text in os.environ.items()
               if key != "LD_PRELOAD"}
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

    def ask(self, **question):
        def plain(item):
            if isinstance(item, bytes):
                return base64.b64encode(item).decode()
            return [plain(one) for one in item] \
                if isinstance(item, list) else item
        line = json.dumps({key: plain(item) for key, item in question.items()})
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        for key in ("Proof", "Root"):
            answer[key] = base64.b64decode(answer[key] or "")
        return answer


@pytest.fixture(scope="module", name="go")
def go_program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("go")
    env = {key: text for key, text in os.environ.items()
           if key != "LD_PRELOAD"}
    env.update(GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="",
               GOCACHE=str(folder / "cache"), CGO_ENABLED="0")
    program = str(folder / "interop")
    subprocess.run(["go", "build", "-o", program, str(HERE / "interop.go")],
                   check=True, env=env)
    go = Go(program)
    yield go
    go.process.stdin.close()
    assert go.process.wait() == 0


@pytest.fixture(scope="module", name="db")
def database():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.enable_load_extension(True)
    connection.load_extension(LIBRARY)
    return connection


def value(db, sql, *bindings):
    return db.execute("SELECT " + sql, bindings).fetchone()[0]


NAMES = ["example.com/log", "x", "\u00e9t\u00e9", "\U0001f512"]
TEXTS = ["a\n", "two\nlines\n", "with\n\nblank\n", "\u20ac \U0001f600\n", "\n",
         "\u2014 x AAAA\n"]


def test_our_notes_in_go(db, go):
    for name in NAMES:
        pair = json.loads(value(db, "note_keygen(?)", name))
        other = json.loads(value(db, "note_keygen('other')"))
        for text in TEXTS:
            note = value(db, "note_sign(?, ?, ?)", text, other["signer"],
                         pair["signer"])
            answer = go.ask(Op="open", Note=note, Verifier=pair["verifier"])
            assert (answer["Error"], answer["Text"]) == ("", text)
            bad = note.replace(text, "x" + text, 1)
            assert go.ask(Op="open", Note=bad, Verifier=pair["verifier"]
                          )["Error"] != ""
            # The same key and text: the same bytes.
            assert go.ask(Op="sign", Text=text, Signer=pair["signer"])["Note"] \
                == value(db, "note_sign(?, ?)", text, pair["signer"])


def test_notes_of_go(db, go):
    for name in NAMES:
        pair = go.ask(Op="keygen", Name=name)
        assert pair["Error"] == ""
        for text in TEXTS:
            note = go.ask(Op="sign", Text=text, Signer=pair["Signer"])["Note"]
            assert value(db, "note_verify(?, ?)", note, pair["Verifier"]) \
                == text
            assert value(db, "note_verify(?, ?)", "x" + note,
                         pair["Verifier"]) is None


def test_the_same_notes_are_refused(db, go):
    pair = json.loads(value(db, "note_keygen('k')"))
    good = value(db, "note_sign('text' || char(10), ?)", pair["signer"])
    head, line = good.split("\n\n")
    for note in (good, good[:-1], good + "\n", good + "x\n", head + "\n" + line,
                 good.replace("\u2014", "-"), good.replace(" k ", "  k "),
                 good.replace(" k ", " kk "), good.replace("=\n", "\n"),
                 good + line, good + "\u2014 other AAAAAAA=\n",
                 good + "\u2014 other AAAAAA==\n", good + "\u2014 o+r AAAAAAA=\n",
                 good + "\u2014 other *\n", good + "\u2014 other\n",
                 good.replace("text", "te\txt"), good.replace("text", "te\rxt"),
                 "\n" + line, line):
        theirs = go.ask(Op="open", Note=note, Verifier=pair["verifier"])
        ours = value(db, "note_verify(?, ?)", note, pair["verifier"])
        assert (theirs["Error"] == "") == (ours is not None), note
        assert ours is None or ours == theirs["Text"]


SIZE = 23


@pytest.fixture(scope="module", name="filled")
def ledger(db):
    db.execute("CREATE VIRTUAL TABLE l USING ledger(a INTEGER)")
    for i in range(SIZE):
        db.execute("INSERT INTO l(a) VALUES (?)", (i,))
    return [row[0] for row in db.execute(
        "SELECT ledger_leaf_data('l', seq) FROM l")]


def test_our_proofs_in_go_and_theirs_here(db, go, filled):
    for size in (1, 2, 3, 8, 13, SIZE):
        root = value(db, "ledger_root('l', ?)", size)
        for seq in range(1, size + 1):
            leaf = value(db, "merkle_leaf_hash(?)", filled[seq - 1])
            proof = value(db, "ledger_inclusion_proof('l', ?, ?)", seq, size)
            ask = {"Op": "record", "Proof": proof, "Size": size, "Root": root,
                   "Index": seq - 1, "Leaf": leaf}
            assert go.ask(**ask)["Error"] == ""
            assert go.ask(**{**ask, "Leaf": root[::-1]})["Error"] != ""
            theirs = go.ask(Op="prove record", Leaves=filled[:size],
                            Index=seq - 1)
            assert (theirs["Root"], theirs["Proof"]) == (root, proof)
            assert value(db, "merkle_verify_inclusion(?, ?, ?, ?, ?)", leaf,
                         seq - 1, size, theirs["Proof"], root) == 1
        for old in range(1, size):
            old_root = value(db, "ledger_root('l', ?)", old)
            proof = value(db, "ledger_consistency_proof('l', ?, ?)", old, size)
            ask = {"Op": "tree", "Proof": proof, "Size": size, "Root": root,
                   "Old": old, "OldRoot": old_root}
            assert go.ask(**ask)["Error"] == ""
            assert go.ask(**{**ask, "OldRoot": root})["Error"] != ""
            theirs = go.ask(Op="prove tree", Leaves=filled[:size], Old=old)
            assert (theirs["Root"], theirs["Proof"]) == (root, proof)
            assert value(db, "merkle_verify_consistency(?, ?, ?, ?, ?)", old,
                         size, theirs["Proof"], old_root, root) == 1


def test_our_checkpoint_in_go_and_a_witness_of_theirs_here(db, go):
    db.execute("CREATE VIRTUAL TABLE c USING ledger(a TEXT,"
               " origin='example.com/c')")
    db.execute("INSERT INTO c(a) VALUES ('x'), ('y'), ('z')")
    pair = json.loads(value(db, "note_keygen('example.com/c')"))
    note = value(db, "ledger_checkpoint('c', ?)", pair["signer"])
    opened = go.ask(Op="open", Note=note, Verifier=pair["verifier"])
    assert opened["Error"] == ""
    origin, size, root, end = opened["Text"].split("\n")
    assert (origin, size, end) == ("example.com/c", "3", "")
    assert base64.b64decode(root) == value(db, "ledger_root('c')")
    theirs = go.ask(Op="cosign", Note=note, Verifier=pair["verifier"],
                    Name="witness.example", Time=1700000000)
    assert theirs["Error"] == "" and theirs["Note"] != note
    report = json.loads(value(db, "ledger_report('c', ?, ?)", theirs["Note"],
                              f"{pair['verifier']} {theirs['Verifier']}"))
    assert report["assurance"] == "witnessed" and report["findings"] == []
    assert report["checkpoint"]["at"] == 1700000000000
    assert [key["name"] for key in report["checkpoint"]["signed_by"]] == \
        ["example.com/c", "witness.example"]
    assert value(db, "note_verify(?, ?)", theirs["Note"],
                 theirs["Verifier"]) == opened["Text"]
    for wrong in (theirs["Note"].replace("\n3\n", "\n2\n"),
                  theirs["Note"][:-20] + "AAAA" + theirs["Note"][-16:]):
        report = json.loads(value(db, "ledger_report('c', ?, ?)", wrong,
                                  theirs["Verifier"]))
        assert report["assurance"] == "none"
