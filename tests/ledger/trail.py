"""What the tests of checkpoints share: keys, ledgers that have some, and the
two faces of their verification."""
import json

import pytest

from signing import Key

A, B, C = Key("holdfast/l", 1), Key("holdfast/l", 2), Key("example.com/c", 3)
W1, W2 = Key("witness.example/1", 4, 4), Key("witness.example/2", 5, 4)
GUARDS = ["l_checkpoint_insert", "l_checkpoint_update", "l_checkpoint_delete"]
T = 1700000000  # when a witness cosigns, in seconds
NOT_STORED = ("a verifier key is given, but no checkpoint that is signed by it"
              " is stored with the ledger")
WALL = ("ledger l: checkpoints are made by ledger_checkpoint() and never"
        " changed")
MISSING = "checkpoints are missing between {} and {}"

# Where the setting makes no difference.
once = pytest.mark.parametrize("db", ["wal"], indirect=True)


def checkpoint(db, *arguments, name="l", key=A):
    marks = ", ?" * len(arguments)
    return db.value(f"SELECT ledger_checkpoint(?, ?{marks})",
                    (name, key.signer, *arguments))


def stored(db, columns="*", name="l"):
    return db.run(f'SELECT {columns} FROM "{name}_checkpoint" ORDER BY id')


def append(db, n, name="l"):
    for _ in range(n):
        db.run(f"INSERT INTO {name}(at, task) VALUES (9000, 'more')")


def fails(db, message, *arguments, name="l", key=A):
    marks = ", ?" * len(arguments)
    db.fails(f"SELECT ledger_checkpoint(?, ?{marks})", message,
             (name, key.signer, *arguments))


@pytest.fixture
def two(ledger):
    checkpoint(ledger, 4000)
    append(ledger, 2)
    checkpoint(ledger, 5000)
    return ledger


@pytest.fixture
def trail(ledger):
    """Entries at 1000 to 9000; checkpoints of 3, 6 and 9 of them, made 600 ms
    later, the second by another key.  The texts are in .kept, and with
    cosignatures."""
    for n in range(4, 11):
        if n % 3 == 1:
            key = B if n == 7 else A
            ledger.run("SELECT ledger_checkpoint('l', ?, ?)",
                       (key.signer, 1000 * n - 400))
        if n < 10:
            ledger.run("INSERT INTO l(at, task, n) VALUES (?, 't', ?)",
                       (1000 * n, n))
    kept = [row[0] for row in ledger.run("SELECT note FROM l_checkpoint")]
    one = W1.cosign(kept[0], T)
    ledger.kept = dict(zip("one two three".split(), kept), none=None,
                       witnessed=one, twice=W2.cosign(one, T + 7))
    return ledger


def report(db, *arguments):
    marks = ", ?" * len(arguments)
    return json.loads(db.value(f"SELECT ledger_report('l'{marks})", arguments))


def verify(db, *arguments):
    """The report and the table agree; returns finding, seq and detail."""
    marks = ", ?" * len(arguments)
    found = db.run(f"SELECT * FROM ledger_verify('l'{marks})", arguments)
    told = report(db, *arguments)
    assert found == [(f["finding"], f["seq"], f["detail"])
                     for f in told["findings"]]
    assert told["finding_count"] == len(found)
    assert (told["assurance"] == "none") == bool(found)
    return found


def keys(*some):
    return " ".join(key.verifier for key in some)
