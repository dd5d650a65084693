"""Input made to confuse a verifier: checkpoints, keys and values whose bytes
are not what they look like, or far more than anybody needs."""
import json
import sqlite3
import subprocess
import sys
import time

import pytest

from cases import make
from forge import (LOG, ROOT, Key, Tree, body, canonical, leaf, load, node,
                   plain, unguarded)

SECONDS = 2  # that a refusal may take on a slow machine
VERIFIER = ROOT / "examples" / "verify" / "verify.py"
DASH = "\u2014 "


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("hostile") / "l.db")
    return path, make(path)


@pytest.fixture
def db(file):
    connection = load(sqlite3.connect(f"file:{file[0]}?mode=ro", uri=True))
    yield connection
    connection.close()


def verify(db, note, key=LOG.verifier):
    """Findings and details, soon."""
    start = time.monotonic()
    found = db.execute("SELECT finding, seq, detail FROM ledger_verify('l', ?,"
                       " ?)", (note, key)).fetchall()
    assert time.monotonic() - start < SECONDS
    return found


def signed(text, key=LOG):
    """By the log's own key: only the form is wrong."""
    return text + "\n" + key.line(text)


ROOT32 = b"r" * 32
GOOD = body("example.com/l", 12, ROOT32)
FORM = "it is not a signed note"
TEXT = "its text is not that of a checkpoint"
OTHER = "it is of another ledger: the origin is not this one's"
WRONG = "the signature of example.com/l is wrong"


def sized(size):
    return signed(GOOD.replace("\n12\n", f"\n{size}\n"))


def rooted(root):
    return signed(f"example.com/l\n12\n{root}\n")


LINE = LOG.line(GOOD)
SIGNATURE = LOG.signature(GOOD)
NOTES = [
    # No note.
    ("", FORM), ("\n", FORM), ("\n\n", FORM), ("\n\n\n", FORM), (GOOD, FORM),
    (GOOD + "\n", FORM), ("\n" + LINE, FORM), (GOOD + LINE, FORM),
    (signed(GOOD)[:-1], FORM), (signed(GOOD) + "\n", FORM),
    (signed(GOOD).replace("\n", "\r\n"), FORM), ("\ufeff" + DASH, FORM),
    (signed(GOOD) + "\x00\n", FORM), (GOOD + "\n" + LINE[1:], FORM),
    (GOOD + "\n" + LINE.replace(DASH, "-- "), FORM),
    (GOOD + "\n" + LINE.replace("=\n", "\n"), FORM),
    (GOOD + "\n" + LINE.replace("=\n", "==\n"), FORM),
    (GOOD + "\n" + LINE.replace("=\n", "*\n"), FORM),
    (GOOD + "\n" + DASH + "x AAAA\n", FORM),
    (GOOD + "\n" + DASH + " AAAAAAA=\n", FORM),
    (GOOD + "\n" + DASH + "x  AAAAAAA=\n", FORM),
    (signed("example.com/l\t\n12\n"), FORM), (signed("\x1b[2J\n"), FORM),
    # Too much of it.
    ("\n" * 10**6, FORM), ("x" * 10**7 + "\n", FORM),
    (GOOD + "\n" + (DASH + "x AAAAAAA=\n") * 10**6, FORM),
    (GOOD + "\n" + (DASH + "x AAAAAAA=\n") * 101, FORM),
    (signed(GOOD) + LINE * 100, FORM),
    (GOOD + "\n" + DASH + "x " + "A" * 10**6 + "\n", FORM),
    (GOOD + "\n" + DASH + "x" * 256 + " AAAAAAA=\n", FORM),
    (signed(body("o" * 10**6, 12, ROOT32)), FORM),
    (signed(body("o" * 900000, 12, ROOT32)), OTHER),
    (signed(GOOD + "extension\n" * 99999), FORM),
    # The text.
    (signed("hello\n"), TEXT), (signed("\n"), TEXT), (signed("\n12\n"), TEXT),
    (sized("012"), TEXT), (sized("+12"), TEXT), (sized("-12"), TEXT),
    (sized("12 "), TEXT), (sized("\uff11\uff12"), TEXT), (sized("1e1"), TEXT),
    (sized("12.0"), TEXT), (sized(2**63), TEXT), (sized(2**64), TEXT),
    (sized(2**64 + 12), TEXT), (sized(10**40), TEXT), (sized("0" * 99), TEXT),
    (sized("9" * 99999), TEXT), (sized("-0"), TEXT), (sized(""), TEXT),
    (rooted(""), TEXT), (rooted("cnJy"), TEXT), (rooted("A" * 44), TEXT),
    (rooted("A" * 42 + "=="), TEXT), (rooted("A" * 42 + "B="), TEXT),
    (rooted("A" * 43), TEXT), (rooted("A" * 42 + "_="), TEXT),
    (rooted("A" * 43 + "= "), TEXT), (rooted("A" * 99996), TEXT),
    (signed(GOOD + "\n"), TEXT), (signed(GOOD + "\n\n"), TEXT),
    (signed(GOOD + "x\n\nx\n"), TEXT),
    # Whose it is.
    (signed(body("example.com/L", 12, ROOT32)), OTHER),
    (signed(body("example.com/l ", 12, ROOT32)), OTHER),
    (signed(body("example.com/", 12, ROOT32)), OTHER),
    (signed(body("example.com/l\u200b", 12, ROOT32)), OTHER),
    (GOOD + "\n" + LOG.line_of(SIGNATURE[:63]), WRONG),
    (GOOD + "\n" + LOG.line_of(SIGNATURE + b"\0"), WRONG),
    (GOOD + "\n" + LOG.line_of(b"\0"), WRONG),
    (GOOD + "\n" + LOG.line_of(bytes(64)), WRONG),
    (GOOD + "\n" + LOG.line_of(b"\1" + bytes(63)), WRONG),
    (GOOD + "\n" + LOG.line_of(SIGNATURE * 999), WRONG),
    (GOOD + "\n" + LOG.line_of(bytes(64)) + LINE, WRONG),
]


@pytest.mark.parametrize("note, problem", NOTES, ids=range(len(NOTES)))
def test_a_checkpoint_that_is_none(db, note, problem):
    found = [row for row in verify(db, note) if row[0] != "history_rewritten"]
    assert found == [("checkpoint_invalid", None,
                      f"the checkpoint given: {problem}")]


@pytest.mark.parametrize("raw", [b"\xff\n", b"\xc0\x80\n", b"\xed\xa0\x80\n",
                                 b"\xf4\x90\x80\x80\n", b"\xe2\x80\n"])
def test_bytes_that_are_no_text(db, raw):
    note = GOOD.encode() + raw + b"\n" + LINE.encode()
    assert db.execute("SELECT detail FROM ledger_verify('l', CAST(? AS TEXT))",
                      (note,)).fetchall() == [
                          ("the checkpoint given: " + FORM,)]


@pytest.mark.parametrize("note, found", [
    (sized(2**63 - 1), ("truncated", 2**63 - 1)),
    (sized(14), ("truncated", 14)), (sized(12), ("history_rewritten", 12)),
    (sized(0), ("history_rewritten", None)),
    (signed(GOOD + "more\n"), ("history_rewritten", 12)),
    (sized(12) + DASH + "x AAAAAAA=\n", ("history_rewritten", 12)),
    (sized(12) + (DASH + "x AAAAAAA=\n") * 99, ("history_rewritten", 12)),
    (sized(12) + DASH + "x " + "A" * 90000 + "\n", ("history_rewritten", 12)),
    (sized(12) + LOG.line_of(bytes(64)), ("history_rewritten", 12)),
])
def test_a_checkpoint_that_is_one(db, note, found):
    """Signed by the log, and not true."""
    assert [row[:2] for row in verify(db, note)] == [found]


@pytest.mark.skipif(not VERIFIER.exists(), reason="no examples/verify")
@pytest.mark.parametrize("number", range(0, len(NOTES), 3))
def test_the_other_verifier_is_not_convinced(file, tmp_path, number):
    (tmp_path / "note").write_text(NOTES[number][0], newline="")
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(VERIFIER), file[0], "l", "--json", "--checkpoint",
         str(tmp_path / "note"), "--key", LOG.verifier],
        capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "", done.stderr
    assert json.loads(done.stdout)["verified"] is False
    assert time.monotonic() - start < 4 * SECONDS


@pytest.mark.parametrize("note", [
    note for note, _ in NOTES[::2] if len(note) < 10**7])
def test_as_a_stored_one(file, tmp_path, note):
    path = str(tmp_path / "copy.db")
    plain(file[0]).execute("VACUUM INTO ?", (path,))
    with unguarded(path) as db:
        db.execute("INSERT INTO l_checkpoint VALUES (4, 99999, 12, ?, ?)",
                   (LOG.verifier, note))
    db = load(plain(path))
    for arguments in [(), (LOG.verifier,)]:
        start = time.monotonic()
        found = db.execute(
            "SELECT finding, detail FROM ledger_verify('l'"
            + ", NULL, ?" * len(arguments) + ")", arguments).fetchall()
        assert time.monotonic() - start < SECONDS
        assert [row[0] for row in found] == ["checkpoint_invalid"]
        assert found[0][1].startswith("checkpoint 4: it")
    with pytest.raises(sqlite3.DatabaseError, match="last checkpoint|not those"
                       " of its"):
        db.execute("SELECT ledger_checkpoint('l', ?)", (LOG.signer,))
    db.close()


# ---- keys -------------------------------------------------------------------

SMALL = [bytes.fromhex(text) for text in (
    "01" + "00" * 31, "01" + "00" * 30 + "80", "ec" + "ff" * 30 + "7f",
    "00" * 32, "00" * 31 + "80", "ed" + "ff" * 30 + "7f", "ee" + "ff" * 30
    + "ff", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")]


@pytest.mark.parametrize("public", SMALL)
@pytest.mark.parametrize("kind", [1, 4])
def test_keys_of_small_order(db, file, tmp_path, public, kind):
    """Under such a key a signature could hold for every text."""
    key = Key("example.com/l", 1, kind, public)
    with pytest.raises(sqlite3.OperationalError, match="the verifier key must"):
        verify(db, file[1], key.verifier)
    path = str(tmp_path / "copy.db")
    plain(file[0]).execute("VACUUM INTO ?", (path,))
    with unguarded(path) as other:
        other.execute("UPDATE l_checkpoint SET verifier = ?, note = ?"
                      " WHERE id = 3", (key.verifier, GOOD + "\n" + key.line_of(
                          public + bytes(32 + 8 * (kind == 4)))))
    assert load(plain(path)).execute(
        "SELECT finding, detail FROM ledger_verify('l')").fetchall() == [
            ("checkpoint_invalid", "checkpoint 3: its verifier is none")]


@pytest.mark.parametrize("key", [
    "x" * 10**6, LOG.verifier + " " * 10**6 + "x", (LOG.verifier + " ") * 9999,
    "+" * 10**6, LOG.verifier + "\n" + "A" * 10**6])
def test_endless_keys(db, key):
    start = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="the verifier key must"):
        verify(db, None, key)
    assert time.monotonic() - start < SECONDS


# ---- values that look alike -------------------------------------------------

ALIKE = [("x", 12), ("x1", 2), ("x12", None), ("", "x12"), ("x", "12"),
         ("x", b"12"), (b"x", 12), ("x", 12.0), ("x", None), (None, "x"),
         ("x",), ("x", ""), ("x", b""), ("xI" + "\0" * 7 + "\x0c",),
         ("T1:x", 12), (1, 23), (12, 3), (1.0, 23), ("1", 23), (True, 2.0),
         (0.0, 0), (0, 0.0), ("", None), (None, ""), (None, None), (None,),
         ("e\u0301",), ("\u00e9",), ("a\0b",), ("a",), ("a\0",), (b"a\0",)]


def test_no_two_are_the_same(db):
    """Types, lengths and counts are under the hash."""
    for hashed in (leaf, lambda *values: db.execute(
            "SELECT merkle_leaf_hash(attest_canonical("
            + ", ".join("?" * len(values)) + "))", values).fetchone()[0]):
        assert len({hashed(*values) for values in ALIKE}) == len(ALIKE)
    for values in ALIKE:
        marks = ", ".join("?" * len(values))
        assert db.execute(f"SELECT attest_canonical({marks})", values
                          ).fetchone() == (canonical(*values),)


def test_a_leaf_is_no_node(db):
    """What two hashes hash to as a leaf is not what they hash to as a node;
    and a last leaf twice is not that leaf once."""
    one, two, three = (leaf(i) for i in (1, 2, 3))
    as_leaf, as_node = db.execute(
        "SELECT merkle_leaf_hash(? || ?), merkle_node_hash(?, ?)",
        (one, two, one, two)).fetchone()
    assert as_leaf != as_node == node(one, two)
    roots = []
    for leaves in ([one, two, three], [node(one, two), three],
                   [one, two, three, three], [one, two], [two, one]):
        tree = Tree()
        for hash in leaves:
            tree.add(hash)
        roots.append(tree.root)
    # So a root says nothing without its size, and a hash without its data.
    assert roots[0] == roots[1] and len(set(roots)) == 4
