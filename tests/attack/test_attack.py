"""What somebody who can write the file does to a ledger, and what the verifier
finds: one case an attack, and each case three times:

  bare  nothing but the file: ledger_verify('l')
  key   with the log's public key: ledger_verify('l', NULL, key)
  kept  with a checkpoint that was kept elsewhere, too: of 12 of 13 entries

A case says what is found at each of them, the next as before where it is left
out; nothing found is the assurance self-consistent, signed or anchored.  So the
table also says, honestly, what is not found.
"""
import json
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest

from cases import CASES, LEVELS, make
from forge import LOG, ROOT, load


# ---- running it -------------------------------------------------------------

def expand(text):
    """'a 1-3, b *2' is a 1, a 2, a 3, b, b; '2-6/2' is 2, 4, 6; '?' is for
    anything at all."""
    if text == "?":
        return None
    found = []
    for item in filter(None, text.split(", ")):
        kind, first, last, step, times = re.fullmatch(
            r"(\w+)(?: (-?\d+)(?:-(\d+)(?:/(\d+))?)?)?(?: \*(\d+))?",
            item).groups()
        seqs = [None] if first is None else range(
            int(first), int(last or first) + 1, int(step or 1))
        found += [(kind, seq) for seq in seqs] * int(times or 1)
    return sorted(found, key=str)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "original.db"
    kept = make(str(path))
    (path.parent / "kept").write_text(kept)
    return path


@pytest.fixture
def attacked(original, tmp_path):
    path = str(tmp_path / "l.db")
    shutil.copy(original, path)
    return path


def report(path, *arguments):
    db = load(sqlite3.connect(f"file:{path}?mode=ro", uri=True))
    marks = ", ?" * len(arguments)
    try:
        return json.loads(db.execute(f"SELECT ledger_report('l'{marks})",
                                     arguments).fetchone()[0])
    finally:
        db.close()


def arguments(level, original):
    return {"bare": (), "key": (None, LOG.verifier), "kept": (
        (original.parent / "kept").read_text(), LOG.verifier)}[level]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CASES)
def test_attack(original, attacked, name, level):
    attack, expected = CASES[name]
    expected = dict(zip(LEVELS, expected))[level]
    attack(attacked)
    if expected.startswith("no such ledger"):
        with pytest.raises(sqlite3.OperationalError, match=expected):
            report(attacked, *arguments(level, original))
        return
    told = report(attacked, *arguments(level, original))
    found = sorted(((found["finding"], found["seq"])
                    for found in told["findings"]), key=str)
    assert found == expand(expected) or (expected == "?" and found)
    assert told["assurance"] == ("none" if expected else LEVELS[level])


# ---- the other verifier -----------------------------------------------------

VERIFIER = ROOT / "examples" / "verify" / "verify.py"

# It gives the same verdict in other words: it looks at the nodes above an
# altered hash as they should be; it compares the times only of entries that
# fit; a table that cannot be read is one finding, and entries that cannot be
# read are no shorter ledger; entry 1 may follow the genesis of the origin.
OTHER_WORDS = [
    "on disk: a hash", "swap two", "reverse all", "no entry table",
    "a view of another table in its place", "no hash column",
    "all hashes made NULL", "short hashes", "genesis", "identity"]
# It does not look at triggers, indexes and the declaration, nor at stored
# checkpoints.
UNSEEN = ["declared columns", "declared origin", "declared drop"]


def in_its_sight(found):
    return not (found["finding"].startswith(("guard_", "index_"))
                or re.search(r"checkpoint \d|checkpoints are|^l_checkpoint",
                             found["detail"]))


@pytest.mark.skipif(not VERIFIER.exists(), reason="no examples/verify")
@pytest.mark.parametrize("name", [
    name for name in CASES if name not in UNSEEN])
def test_the_other_verifier_agrees(original, attacked, name):
    attack, expected = CASES[name]
    attack(attacked)
    done = subprocess.run(
        [sys.executable, str(VERIFIER), attacked, "l", "--json", "--checkpoint",
         str(original.parent / "kept"), "--key", LOG.verifier],
        capture_output=True, text=True)
    assert done.returncode in (0, 1) and done.stderr == ""
    told = json.loads(done.stdout)
    assert told["verified"] == (done.returncode == 0)
    if expected[2].startswith("no such ledger"):
        return  # it needs no virtual table
    seen = {found["finding"] for found in report(
        attacked, *arguments("kept", original))["findings"]
        if in_its_sight(found)}
    assert told["verified"] == (not seen)
    if name not in OTHER_WORDS:
        assert {found["finding"] for found in told["findings"]} == seen
