"""examples/verify/verify.py: an entry by its inclusion proof, and its words."""
import json
import sqlite3
import subprocess
import sys

import pytest

from cases import make
from forge import LOG, ROOT, load

VERIFIER = ROOT / "examples" / "verify" / "verify.py"


@pytest.fixture(scope="module", name="kept")
def kept_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    (folder / "note").write_text(make(str(folder / "l.db")))
    return folder


def run(kept, *arguments):
    return subprocess.run(
        [sys.executable, str(VERIFIER), str(kept / "l.db"), "l",
         "--checkpoint", str(kept / "note"), "--key", LOG.verifier,
         *arguments], capture_output=True, text=True)


def proof(kept, seq, size):
    db = load(sqlite3.connect(f"file:{kept}/l.db?mode=ro", uri=True))
    found, = db.execute("SELECT hex(ledger_inclusion_proof('l', ?, ?))",
                        (seq, size)).fetchone()
    db.close()
    return found


def test_each_entry_by_our_proof(kept):
    size = int((kept / "note").read_text().split("\n")[1])
    for seq in (1, 2, size // 2, size):
        right = proof(kept, seq, size)
        done = run(kept, "--seq", str(seq), "--proof", right)
        assert done.returncode == 0, done.stdout
        wrong = ("0" if right[0] != "0" else "1") + right[1:]
        for bad in (wrong, right[64:], right + "00" * 32,
                    proof(kept, seq % size + 1, size)):
            done = run(kept, "--seq", str(seq), "--proof", bad)
            assert done.returncode == 1
            assert done.stdout.startswith(f"proof_invalid\t{seq}\t")
        assert run(kept, "--seq", str(seq)).returncode == 0  # its own proof


def test_its_words(kept):
    done = run(kept)
    assert done.returncode == 0 and done.stdout.startswith("verified: ")
    told = json.loads(run(kept, "--json").stdout)
    assert told["verified"] and told["assurance"] == "anchored"
    assert run(kept, "--seq", "0").returncode == 1
    for wrong in (["--key", "x"], ["--proof", "00"], ["--seq", "x"]):
        assert run(kept, *wrong).returncode == 2
