#!/usr/bin/env python3
"""Verify a Holdfast ledger without Holdfast: Python 3.9, its standard library, and a
second reading of the formats. FILE is opened read-only (in WAL mode, SQLite itself may
leave an empty -wal and a -shm beside it).

    verify.py FILE LEDGER [--checkpoint NOTE --key VERIFIER [--key VERIFIER ...]]
              [--seq N [--proof HEX_OR_FILE]] [--json]

Checked are the configuration, every entry's hash, the chain, times and subtree roots.
With a checkpoint (a signed note: origin, size, root): that the log signed it, that the
known witnesses did, and that the entries here begin with those it is about. With --seq:
that this entry is in the checkpoint's tree, by a proof given or made here.

Prints a line a finding, `kind<TAB>seq<TAB>detail`, and then the verdict. Exit 0:
verified; 1: findings; 2: wrong usage, or a file that cannot be opened."""

import argparse
import base64
import json
import re
import sqlite3
import struct
import sys
from hashlib import sha256, sha512
from pathlib import Path

# What reading a damaged file can raise; ValueError: names with NUL or not in UTF-8.
DAMAGE = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError, MemoryError)
LOG, WITNESS = 1, 4  # signature types of c2sp.org/signed-note

# Ed25519, RFC 8032 section 5.1. Points are in extended coordinates: X, Y, Z, T.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)


def point_add(a, b):
    """5.1.4: complete, so right for doubling and for the neutral element, too."""
    p, q = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    c, d = 2 * a[3] * b[3] * D, 2 * a[2] * b[2]
    e, f, g, h = q - p, d - c, d + c, q + p
    return e * f % P, g * h % P, f * g % P, e * h % P


def point_multiply(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = point_add(total, point)
        point, n = point_add(point, point), n >> 1
    return total


def point_encode(point):
    x, y = (c * pow(point[2], -1, P) % P for c in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")


def point_decode(octets):
    """5.1.3; None for what is no point, or is not the one encoding of it."""
    y = int.from_bytes(octets, "little") & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * SQRT_MINUS_1 % P
    if x & 1 != octets[31] >> 7:
        x = -x % P
    point = x, y, 1, x * y % P
    return point if x * x % P == square and point_encode(point) == octets else None


BASE = point_decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_verify(public, signature, message):
    """5.1.7, and no key of small order: under such a key a signature fits any text."""
    key, s = point_decode(public), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= ORDER or not key or not point_multiply(8, key)[0]:
        return False
    digest = sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(digest, "little") % ORDER
    minus_key = (-key[0], key[1], 1, -key[3])
    r = point_add(point_multiply(s, BASE), point_multiply(k, minus_key))
    return point_encode(r) == signature[:32]


# c2sp.org/signed-note, c2sp.org/tlog-cosignature, c2sp.org/tlog-checkpoint.


def unbase64(text):
    octets = base64.b64decode(text, validate=True)
    if base64.b64encode(octets).decode() != text:
        raise ValueError("base64 that is not canonical")
    return octets


def verifier(text):
    """((name, id), type and public key) of a verifier key."""
    name, key_id, key = text.split("+", 2)
    key = unbase64(key)
    digest = sha256(name.encode() + b"\n" + key).digest()
    if len(key) != 33 or key[0] not in (LOG, WITNESS) or digest[:4].hex() != key_id:
        raise ValueError
    return (name, digest[:4]), key


def read_checkpoint(note, keys):
    """(origin, size, root, types of the keys that signed); ValueError if no good."""
    cut = note.rfind(b"\n\n") + 1
    text, tail = note[:cut], note[cut + 1 :].decode()
    if re.search(rb"[\x00-\x09\x0b-\x1f]", note) or not text or tail[-1:] != "\n":
        raise ValueError("not a signed note")
    signed = set()
    for line in tail[:-1].split("\n"):
        form = re.fullmatch(r"\u2014 ([^\s+]+) (\S+)", line)
        blob = unbase64(form[2]) if form else b""
        if len(blob) < 5:
            raise ValueError("a signature line is not in the form of one")
        key, message, signature = keys.get((form[1], blob[:4])), text, blob[4:]
        if key is None:
            continue  # of someone unknown: it says nothing, neither good nor bad
        if key[0] == WITNESS:
            time = int.from_bytes(signature[:8], "big")
            message = b"cosignature/v1\ntime %d\n" % time + text
            signature = signature[8:]
        if not ed25519_verify(key[1:], signature, message):
            raise ValueError(f"the signature of {form[1]} is wrong")
        signed.add(key[0])
    if LOG not in signed:
        raise ValueError("no known log key signed it")
    body = re.fullmatch(
        r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([^\n=]{43}=)\n([^\n]+\n)*", text.decode())
    if not body:
        raise ValueError("the signed text is not a checkpoint")
    return body[1].encode(), int(body[2]), unbase64(body[3]), signed


# Hashes: RFC 9162 section 2.1, with leaves in Holdfast's encoding.


def leaf_hash(kinds, values):
    """Of values of these kinds, which are what SQLite's typeof() says, as bytes."""
    parts = [b"\x00R%d:" % len(values)]
    for kind, value in zip(kinds, values):
        if kind == b"null":
            parts.append(b"N")
        elif kind == b"integer":
            parts.append(b"I" + value.to_bytes(8, "big", signed=True))
        elif kind == b"real":
            parts.append(b"F" + struct.pack(">d", value + 0.0))  # -0.0 + 0.0 is 0.0
        else:
            parts += (b"T" if kind == b"text" else b"B", b"%d:" % len(value), value)
    return sha256(b"".join(parts)).digest()


def node_hash(left, right):
    """None stands for a hash that is not known."""
    return sha256(b"\x01" + left + right).digest() if left and right else None


class Tree:
    """The right edge of a growing Merkle tree: a level has the root of the perfect
    subtree that waits for its right half. Three trees in one: of the entries' hashes as
    recomputed, of those hashes as stored, and of the subtree roots as stored. They are
    one unless something was altered; and then what was is one finding, not one more at
    each level above it."""

    def __init__(self):
        self.size, self.edge = 0, [(None,) * 3] * 64

    def add(self, computed, stored, node=b""):
        """Returns the level of the first root in node that does not follow, else 0."""
        computed, stored = computed or stored, stored or computed
        level, wrong, roots = 0, 0, (computed, stored, stored)
        while self.size >> level & 1:
            roots = [node_hash(*halves) for halves in zip(self.edge[level], roots)]
            root = node[32 * level :][:32] or roots[2]
            if roots[0] and root not in roots:
                wrong = wrong or level + 1
            roots, level = (roots[0] or root, roots[1] or root, root), level + 1
        self.edge[level], self.size = roots, self.size + 1
        return wrong

    def skip(self, size):
        """Goes on behind leaves that are missing; what they are part of is unknown."""
        for level in range(64):
            if self.size >> level != size >> level:
                self.edge[level] = (None,) * 3
        self.size = size

    def roots(self):
        """Of the hashes as recomputed, and as stored."""
        subtrees = [self.edge[i] for i in range(64) if self.size >> i & 1]
        total = subtrees[0] if subtrees else (sha256(b"").digest(),) * 3
        for left in subtrees[1:]:
            total = tuple(map(node_hash, left, total))
        return total[:2]


def inclusion_holds(leaf, index, size, proof, root):
    """RFC 9162 section 2.1.3.2."""
    fn, sn = index, size - 1
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            leaf = node_hash(p, leaf)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            leaf = node_hash(leaf, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and leaf == root


def make_proof(db, table, index, size):
    """RFC 9162 section 2.1.3.1, of the hashes as stored."""
    low, high, proof = 0, size, []
    while high - low > 1:
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        other = (middle, high) if index < middle else (low, middle)
        low, high = (low, middle) if index < middle else (middle, high)
        tree = Tree()
        for row in db.execute(f"SELECT hash FROM {table} NOT INDEXED "
                              "WHERE seq > ? AND seq <= ? AND typeof(hash) = 'blob' "
                              "ORDER BY seq", other):
            tree.add(None, row[0])
        proof.insert(0, tree.roots()[1])
    return proof


# The file.


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def exact(column):
    """Its type and its value; of a text the bytes, be they UTF-8 or not."""
    return (f"typeof({column}), CASE typeof({column}) WHEN 'text' "
            f"THEN CAST({column} AS BLOB) ELSE {column} END")


def open_file(path):
    """A connection that sees one snapshot; OSError if the file cannot be opened."""
    open(path, "rb").close()  # says in plain words why not
    path = Path(path).resolve()
    for options in "?mode=ro", "?mode=ro&immutable=1":
        db = sqlite3.connect(path.as_uri() + options, uri=True, isolation_level=None)
        db.text_factory = bytes
        try:
            db.execute("BEGIN")
            db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            break
        except sqlite3.OperationalError as e:
            # A file in WAL mode needs others beside it. Where they cannot be made, but
            # no WAL waits either, it can be read as it is.
            wal = Path(f"{path}-wal")
            waits = wal.exists() and wal.stat().st_size
            beside = re.search("unable to open|readonly", str(e))
            if waits or not beside or "immutable" in options:
                raise OSError(str(e)) if re.search("unable|lock|I/O", str(e)) else e
    return db


def check_config(db, name, report):
    """(origin, columns of the entry table, what prev_hash of entry 1 may be)."""
    table, origin, columns, firsts = quoted(name + "_entry"), None, [], []
    try:
        for part in quoted(name + "_config"), table:
            shape = [(t[2], t[5])
                     for t in db.execute(f"PRAGMA main.table_list({part})")]
            if shape and shape[0][0] != b"table":  # a view can say what it likes
                raise ValueError(f"{part} is no table")
        columns = [(c[1].decode(), c[2].decode(), c[5])
                   for c in db.execute(f"PRAGMA main.table_info({table})")]
        rows = db.execute(f"SELECT CAST(key AS BLOB), {exact('value')} FROM "
                          f"{quoted(name + '_config')} ORDER BY key LIMIT 9").fetchall()
        if ([row[:2] for row in rows] != [
                (b"format", b"integer"), (b"genesis", b"blob"), (b"origin", b"text"),
                (b"schema", b"text")] or rows[0][2] != 1 or len(rows[1][2]) != 32):
            raise ValueError("not the rows of format 1")
        stored, origin, schema = (row[2] for row in rows[1:])
        firsts = [leaf_hash([b"text"] * 3, (b"holdfast.ledger.v1", origin, schema))]
        if stored != firsts[0]:
            firsts.append(stored)  # entry 1 fits one of them, whichever was altered
            raise ValueError("the genesis does not follow from origin and schema")
        made = ",".join(f"{c[0]} {c[1]}" for c in columns[2:-2]).encode()
        if columns and (made != schema or shape != [(b"table", 1)] or [
                ("seq", "INTEGER", 1), ("at", "INTEGER", 0), ("hash", "BLOB", 0),
                ("node", "BLOB", 0)] != columns[:2] + columns[-2:]):
            raise ValueError(f"{name}_entry is not the table that was made")
    except DAMAGE as e:
        report("config_altered", None, str(e))
    return origin, [column[0] for column in columns], firsts


def check_entries(db, name, columns, before, size, wanted, report):
    """(entries, tree, its roots when it had that size, hash of the entry wanted);
    before: the hashes that the next entry may follow."""
    tree, count, last, time, there, leaf = Tree(), 0, 0, None, None, None
    table = quoted(name + "_entry") + " NOT INDEXED"  # an index might tell otherwise
    try:
        if not {"seq", "at", "hash", "node"} <= set(columns):
            raise ValueError("the table is gone, or no table of entries")
        columns = ["seq"] + columns[columns.index("at") : columns.index("hash")]
        columns = ", ".join(exact(quoted(c)) for c in columns + ["hash", "node"])
        newest = db.execute(f"SELECT max(seq) FROM {table}").fetchone()[0]
        for row in db.execute(f"SELECT {columns} FROM {table} ORDER BY seq"):
            kinds, values = row[::2], row[1::2]
            seq, at, stored, node = values[:2] + values[-2:]
            if kinds[0] != b"integer" or seq < 1:
                report("entry_forged", None, f"no entry can have the number {seq}")
                continue
            if seq <= last:
                raise ValueError(f"{seq} stands behind {last}")
            if seq > last + 1:
                report("entry_missing", last + 1, f"missing up to {seq - 1}; so {seq}, "
                       "which followed, cannot be checked")
                before = []
                tree.skip(seq - 1)
            if kinds[-2] != b"blob" or len(stored) != 32:
                stored = None
            # Two may have come before where that entry does not fit its own hash: what
            # is stored, and what should be. This one follows what was there first.
            made = [leaf_hash((b"text", b"integer", b"blob") + kinds[1:-2],
                              (b"holdfast.entry.v1", seq, prev) + values[1:-2])
                    for prev in before]
            good = stored is not None and (stored in made or not made)
            ours = stored if stored in made else made[0] if made else None
            levels = (seq & -seq).bit_length() - 1  # how many subtrees it completes
            if kinds[-1] != (b"blob" if levels else b"null") or levels and len(
                    node) != 32 * levels:
                if kinds[-1] != b"null" or seq != newest:
                    report("node_altered", seq, f"its node is not {levels} hashes")
                node = None
            wrong = tree.add(ours, stored, node or b"")
            if not good:
                # In the newest, nothing may have been derived from what it was before.
                forged = seq == newest and (not node or wrong == 1)
                report("entry_forged" if forged else "entry_altered", seq,
                       "content, hash and the hash before it do not fit together")
            if wrong:
                report("node_altered", seq, f"its root of {2**wrong} entries is wrong")
            if good and kinds[1] == b"integer":  # else it is named already
                if time is not None and at < time:
                    report("time_reversed", seq, f"{at} is earlier than {time}")
                time = at
            there = tree.roots() if seq == size else there
            leaf = ours if seq == wanted else leaf
            before = [h for h in dict.fromkeys((stored, ours)) if h]
            last, count = seq, count + 1
        if size is not None and last < size:
            report("truncated", None, f"{last} entries, the checkpoint is over {size}")
    except DAMAGE as e:
        report("entry_missing", last + 1, f"cannot be read from here on: {e}")
    return count, tree, Tree().roots() if size == 0 else there, leaf


def audit(db, name, checkpoint, seq, proof, report):
    """All checks of the file; returns the number of entries, and their root."""
    origin, columns, firsts = check_config(db, name, report)
    if checkpoint and origin not in (None, checkpoint[0]):
        report("checkpoint_invalid", None, f"its origin is {checkpoint[0].decode()}")
        checkpoint = None
    _, size, root, _ = checkpoint or (None,) * 4
    count, tree, there, leaf = check_entries(
        db, name, columns, firsts, size, seq, report)
    if there and there[0] and root not in there:
        report("history_rewritten", None,
               f"the root over {size} entries is {there[0].hex()}, not {root.hex()}")
    if seq is not None:
        try:
            if not leaf or not size or seq > size:
                raise ValueError("no entry that can be recomputed, or no checkpoint")
            if proof is None:
                proof = make_proof(db, quoted(name + "_entry"), seq - 1, size)
            else:
                octets = bytes.fromhex(proof)
                proof = [octets[i : i + 32] for i in range(0, len(octets), 32)]
            if not (all(isinstance(h, bytes) and len(h) == 32 for h in proof)
                    and inclusion_holds(leaf, seq - 1, size, proof, root)):
                raise ValueError("it does not lead from the entry to the checkpoint")
        except DAMAGE as e:
            report("proof_invalid", seq, str(e))
    return count, tree.roots()[0]


def main():
    parser = argparse.ArgumentParser(description="Verify a Holdfast ledger.")
    parser.add_argument("file")
    parser.add_argument("ledger")
    parser.add_argument("--checkpoint", metavar="NOTE", help="a file, or - for stdin")
    parser.add_argument("--key", type=verifier, action="append", default=[],
                        metavar="VERIFIER", help="of the log, or of a witness")
    parser.add_argument("--seq", type=int, metavar="N", help="prove it included")
    parser.add_argument("--proof", metavar="HEX", help="by this proof: hex, or a file")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if (not args.checkpoint) != (not args.key):
        parser.error("--checkpoint and --key go together")
    if args.seq is not None and not args.key or args.proof and args.seq is None:
        parser.error("--seq needs a checkpoint, and --proof needs --seq")
    if sqlite3.sqlite_version_info < (3, 37):
        parser.error("STRICT tables need SQLite 3.37; Python's is older")
    sys.stdout.reconfigure(errors="backslashreplace")
    findings, total, note, proof, db = [], 0, None, args.proof, None

    def report(kind, seq, detail):
        nonlocal total
        total += 1
        detail = re.sub(r"[\x00-\x1f\x7f-\x9f]", "?", detail)
        if not args.json:
            print(kind, "" if seq is None else seq, detail, sep="\t")
        elif total <= 1000:  # in constant memory, however much was altered
            findings.append({"finding": kind, "seq": seq, "detail": detail})

    try:
        if args.checkpoint:
            note = (sys.stdin.buffer.read() if args.checkpoint == "-"
                    else Path(args.checkpoint).read_bytes())
        if proof and not re.fullmatch(r"[0-9A-Fa-f\s]*", proof):
            proof = Path(proof).read_text("ascii", "replace")
        db = open_file(args.file)
    except OSError as e:
        parser.error(str(e))
    except DAMAGE as e:
        report("config_altered", None, f"not a database that can be read: {e}")
    checkpoint, entries, root = None, 0, None
    if note is not None:
        try:
            checkpoint = read_checkpoint(note, dict(args.key))
        except ValueError as e:
            report("checkpoint_invalid", None, str(e))
    if db:
        entries, root = audit(db, args.ledger, checkpoint, args.seq, proof, report)
    root = root and root.hex()
    assurance = ("none" if total else "self-consistent" if not checkpoint else
                 "witnessed" if WITNESS in checkpoint[3] else "anchored")
    if args.json:
        print(json.dumps({"verified": not total, "entries": entries, "root": root,
                          "assurance": assurance, "finding_count": total,
                          "findings": findings}))
    elif total:
        print(f"NOT verified: {total} finding{'s' * (total > 1)}")
    else:
        later = checkpoint and entries - checkpoint[1]
        later = f" ({later} after the checkpoint)" if later else ""
        print(f"verified: {entries} entries{later}, root {root}, assurance {assurance}")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
