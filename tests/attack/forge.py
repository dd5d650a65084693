"""The tools of somebody who can write the file: SQLite without the extension,
the documented formats written again, and the bytes on the disk."""
import contextlib
import hashlib
import os
import pathlib
import sqlite3
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")
sys.path.insert(0, str(ROOT / "tests" / "ledger"))

from signing import Key, body, note  # noqa: E402,F401

LOG = Key("example.com/l", 1)  # the attacker does not have its secret
EVIL = Key("example.com/l", 2)  # of the same name


def load(connection):
    connection.enable_load_extension(True)
    connection.load_extension(LIBRARY)
    connection.enable_load_extension(False)
    return connection


# ---- the formats ------------------------------------------------------------

def canonical(*values):
    out = b"R%d:" % len(values)
    for value in values:
        if value is None:
            out += b"N"
        elif isinstance(value, int):
            out += b"I" + struct.pack(">q", value)
        elif isinstance(value, float):
            out += b"F" + struct.pack(">d", value + 0.0)
        elif isinstance(value, str):
            out += b"T%d:" % len(value.encode()) + value.encode()
        else:
            out += b"B%d:" % len(value) + value
    return out


def leaf(*values):
    return hashlib.sha256(b"\0" + canonical(*values)).digest()


def node(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def genesis(origin, schema):
    return leaf("holdfast.ledger.v1", origin, schema)


class Tree:
    """Of the leaves added; .root is its root."""

    def __init__(self):
        self.size, self.edge = 0, {}

    def add(self, hash):
        """Returns the roots of the perfect subtrees that it completes."""
        level, completed = 0, b""
        while self.size >> level & 1:
            hash = node(self.edge[level], hash)
            completed += hash
            level += 1
        self.edge[level], self.size = hash, self.size + 1
        return completed or None

    @property
    def root(self):
        parts = [self.edge[level] for level in range(64)
                 if self.size >> level & 1]
        root = parts[0] if parts else hashlib.sha256(b"").digest()
        for part in parts[1:]:
            root = node(part, root)
        return root


# ---- SQL without the extension ----------------------------------------------

def plain(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    return db


@contextlib.contextmanager
def unguarded(path):
    """A connection that took the ledger's triggers away, and puts them back."""
    db = plain(path)
    triggers = db.execute("SELECT name, sql FROM sqlite_schema"
                          " WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f'DROP TRIGGER "{name}"')
    yield db
    for _, text in triggers:
        db.execute(text)
    db.close()


def statements(*steps):
    """An attack: SQL scripts, and functions of the connection, in turn, with
    the guards away."""
    def attack(path):
        with unguarded(path) as db:
            for step in steps:
                if callable(step):
                    step(db)
                else:
                    db.executescript(step)
    return attack


def script(text):
    """The same with the guards in place."""
    def attack(path):
        db = plain(path)
        db.executescript(text)
        db.close()
    return attack


def schema(text):
    """And with leave to edit sqlite_schema."""
    return script("PRAGMA writable_schema = ON;" + text)


def in_turn(*attacks):
    def attack(path):
        for one in attacks:
            one(path)
    return attack


def rehash(first=1, tag="holdfast.entry.v1", nodes=True):
    """Compute the hashes of the entries from `first` on anew, and the nodes."""
    def step(db):
        tree = Tree()
        previous, = db.execute("SELECT value FROM l_config"
                               " WHERE key = 'genesis'").fetchone()
        for row in db.execute("SELECT * FROM l_entry ORDER BY seq").fetchall():
            seq, at, *values, stored, old = row
            if seq >= first:
                stored = leaf(tag, seq, previous, at, *values)
            completed = tree.add(stored)
            db.execute("UPDATE l_entry SET hash = ?, node = ? WHERE seq = ?",
                       (stored, completed if nodes else old, seq))
            previous = stored
    return step


def tree_of(db, size):
    tree = Tree()
    for (hash,) in db.execute("SELECT hash FROM l_entry WHERE seq <= ?"
                              " ORDER BY seq", (size,)):
        tree.add(hash)
    return tree


def resign(key, verifier=None, identity=None):
    """Sign every stored checkpoint anew, as the entries are now; what is
    written beside it, and the key's id in it, may be another's."""
    def step(db):
        for id, size in db.execute("SELECT id, size FROM l_checkpoint"
                                   ).fetchall():
            text = body(key.name, size, tree_of(db, size).root)
            signer = Key(key.name, key.seed[0])
            signer.id = identity or signer.id
            db.execute("UPDATE l_checkpoint SET note = ?, verifier = ? WHERE"
                       " id = ?", (text + "\n" + signer.line(text),
                                   verifier or key.verifier, id))
    return step


def add_checkpoint(key, size, root=None):
    """One more row, of a size and a root, the entries' own by default."""
    def step(db):
        text = note(key, key.name, size, root or tree_of(db, size).root)
        db.execute("INSERT INTO l_checkpoint SELECT max(id) + 1, max(at), ?, ?,"
                   " ? FROM l_checkpoint", (size, key.verifier, text))
    return step


# ---- bytes on the disk ------------------------------------------------------

PAGE = 512  # small, so that a few entries need several pages
TABLE, INDEX = 13, 10  # what leaves of B-trees begin with


def disk(old, new, kind=None):
    """Change the bytes wherever they stand in the file, or only in leaves of
    one kind."""
    def attack(path):
        data = pathlib.Path(path).read_bytes()
        pages = [data[at:at + PAGE] for at in range(0, len(data), PAGE)]
        changed = [page.replace(old, new) if kind in (None, page[0]) else page
                   for page in pages]
        assert changed != pages and len(old) == len(new)
        pathlib.Path(path).write_bytes(b"".join(changed))
    return attack


def mislead(path):
    """In the root of the entries' tree, which holds only the way to them: the
    newest of its first leaf are now looked for in the second."""
    db = plain(path)
    root, = db.execute("SELECT rootpage FROM sqlite_schema"
                       " WHERE name = 'l_entry'").fetchone()
    db.close()
    data = bytearray(pathlib.Path(path).read_bytes())
    page = (root - 1) * PAGE
    assert data[page] == 5  # an inner node of a table
    cell = page + int.from_bytes(data[page + 12:page + 14], "big")
    data[cell + 4] -= 1  # behind the page number of the leaf: its last key
    pathlib.Path(path).write_bytes(data)


def other_index(declaration, name="of_another"):
    """An index, as a user may make one; but it holds what it would hold if
    entry 5 were different."""
    return schema(
        "CREATE TABLE c(seq INTEGER PRIMARY KEY, at, task, n, body);"
        "INSERT INTO c SELECT seq, iif(seq = 5, 1, at), iif(seq = 5, 'gone',"
        " task), iif(seq = 5, 99, n), body FROM l_entry;"
        f"CREATE INDEX ci ON c{declaration};"
        f"CREATE INDEX IF NOT EXISTS {name} ON l_entry{declaration};"
        "CREATE TABLE page AS SELECT name, rootpage FROM sqlite_schema;"
        "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM page WHERE"
        f" name = iif(sqlite_master.name = 'ci', '{name}', 'ci'))"
        f" WHERE name IN ('ci', '{name}')")
