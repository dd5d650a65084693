"""The attacks, and what is found: see test_attack.py."""
import pathlib

from forge import (EVIL, INDEX, LOG, TABLE, Tree, add_checkpoint, disk, genesis,
                   in_turn, leaf, load, mislead, node, other_index, plain,
                   rehash, resign, schema, script, statements)

COLUMNS = "task TEXT NOT NULL INDEXED, n INTEGER UNIQUE, body ANY"
LEVELS = {"bare": "self-consistent", "key": "signed", "kept": "anchored"}
OLDER = {}  # the file as it was when it had 8 entries


def make(path, origin="example.com/l", columns=COLUMNS, entries=13, key=LOG,
         word="body"):
    """A ledger with checkpoints of 4, 8 and 12 entries; returns the last."""
    db = load(plain(path))
    db.execute("PRAGMA page_size = 512")
    db.execute(f"CREATE VIRTUAL TABLE l USING ledger({columns},"
               f" origin='{origin}', clock='caller')")
    names = [column.split()[0] for column in columns.split(",")]
    for i in range(1, entries + 1):
        values = [f"task{i % 3}", i, f"{word} of entry {i:02}"][:len(names)]
        db.execute(f"INSERT INTO l(at, {', '.join(names)}) VALUES (?"
                   + ", ?" * len(names) + ")", (1000 * i, *values))
        if i % 4 == 0:
            kept, = db.execute("SELECT ledger_checkpoint('l', ?, ?)",
                               (key.signer, 1000 * i + 500)).fetchone()
        if i == 8:
            OLDER[path] = pathlib.Path(path).read_bytes()
    db.close()
    return kept


# ---- attacks that are more than a statement ---------------------------------

def another(**how):
    """The file is replaced by another ledger, made with the extension."""
    def attack(path):
        pathlib.Path(path).unlink()
        make(path, **{"key": EVIL, **how})
    return attack


def rollback(path):
    older, = (data for name, data in OLDER.items() if "original" in name)
    pathlib.Path(path).write_bytes(older)


def without_triggers(path):
    db = plain(path)
    for (name,) in db.execute("SELECT name FROM sqlite_schema"
                              " WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    db.close()


def fix_own_hash(db):
    """The altered entry's hash fits again, but nothing behind it."""
    before, = db.execute("SELECT hash FROM l_entry WHERE seq = 4").fetchone()
    row = db.execute("SELECT at, task, n, body FROM l_entry WHERE seq = 5"
                     ).fetchone()
    db.execute("UPDATE l_entry SET hash = ? WHERE seq = 5",
               (leaf("holdfast.entry.v1", 5, before, *row),))


def nodes_as_leaves(db):
    """Half as many entries, whose hashes are the nodes above the pairs: a tree
    of the same root, as far as the checkpoint goes."""
    above = [row[0][:32] for row in db.execute(
        "SELECT node FROM l_entry WHERE seq IN (2, 4, 6, 8, 10, 12)"
        " ORDER BY seq")]
    db.execute("DELETE FROM l_entry WHERE seq > 6")
    tree = Tree()
    for seq, hash in enumerate(above, 1):
        db.execute("UPDATE l_entry SET hash = ?, node = ? WHERE seq = ?",
                   (hash, tree.add(hash), seq))


def node_as_entry(db):
    """Entry 1 is the pair of itself and entry 2: its data are their hashes."""
    one, two = (row[0] for row in db.execute(
        "SELECT hash FROM l_entry WHERE seq < 3 ORDER BY seq"))
    db.execute("DELETE FROM l_entry WHERE seq = 2")
    db.execute("UPDATE l_entry SET body = ?, hash = ? WHERE seq = 1",
               (one + two, node(one, two)))


def new_identity(db):
    """Origin and genesis of another log, and every hash to fit."""
    hash = genesis("example.com/m", "task TEXT,n INTEGER,body ANY")
    db.execute("UPDATE l_config SET value = 'example.com/m'"
               " WHERE key = 'origin'")
    db.execute("UPDATE l_config SET value = ? WHERE key = 'genesis'", (hash,))


def read_from_a_copy(path):
    """An index that holds all of the honest entries, and statistics that make
    it look cheaper to read than the table; which is then altered beneath."""
    script("CREATE INDEX copy ON l_entry(seq, at, task, n, body, hash, node);"
           "ANALYZE; DELETE FROM sqlite_stat1;"
           "INSERT INTO sqlite_stat1 VALUES ('l_entry', 'copy',"
           " '13 1 1 1 1 1 1 1 sz=1'), ('l_entry', NULL, '13 sz=9999')")(path)
    disk(b"body of entry 05", b"lies of entry 05", TABLE)(path)


def hash_on_disk(path):
    db = plain(path)
    hash, = db.execute("SELECT hash FROM l_entry WHERE seq = 5").fetchone()
    db.close()
    disk(hash, hash[:-1] + bytes([hash[-1] ^ 1]), TABLE)(path)


# ---- the table --------------------------------------------------------------

STRIP = "DELETE FROM l_checkpoint;"
STRIP_NEWEST = "DELETE FROM l_checkpoint WHERE id = 3;"
LIE = "UPDATE l_entry SET body = 'lie' WHERE seq = 2;"
CUT = "DELETE FROM l_entry WHERE seq > 10;"
AGAIN = CUT + ("INSERT INTO l_entry SELECT seq + 3, at + 3000, task, n + 3,"
               " 'other', hash, NULL FROM l_entry WHERE seq > 7;")
SWAP = ("UPDATE l_entry SET seq = -seq WHERE seq IN (5, 6);"
        "UPDATE l_entry SET seq = 11 + seq WHERE seq < 0;")
CLOSE = ("UPDATE l_entry SET seq = seq - 100 WHERE seq > 5;"
         "UPDATE l_entry SET seq = seq + 99 WHERE seq < 0;")
OPEN = ("UPDATE l_entry SET seq = -seq - 1 WHERE seq > 5;"
        "UPDATE l_entry SET seq = -seq WHERE seq < 0;"
        "INSERT INTO l_entry SELECT 6, at, task, 99, 'new', hash, NULL"
        " FROM l_entry WHERE seq = 5;")
COPY = ("INSERT INTO l_entry SELECT 14, at, task, 99, body, hash, NULL"
        " FROM l_entry WHERE seq = 13;")
NULLS = schema("UPDATE sqlite_schema SET sql = replace(sql, 'hash BLOB NOT"
               " NULL', 'hash BLOB') WHERE name = 'l_entry'")
NO_NULLS = schema("UPDATE sqlite_schema SET sql = replace(sql, 'hash BLOB,',"
                  " 'hash BLOB NOT NULL,') WHERE name = 'l_entry'")


def declared(old, new):
    return schema(f"UPDATE sqlite_schema SET sql = replace(sql, '{old}',"
                  f" '{new}') WHERE name = 'l'")


def config(change):
    return statements(f"UPDATE l_config SET {change}")


UNSIGNED = "checkpoint_invalid"  # by the key given; or, kept: not of this log
REWRITTEN = "history_rewritten 12"
TWICE = "history_rewritten 4, history_rewritten 12"
CASES = {}


def case(name, attack, bare, key=None, kept=None):
    key = bare if key is None else key
    CASES[name] = attack, (bare, key, key if kept is None else kept)


# Nobody did anything wrong.
case("as made", lambda path: None, "")
case("vacuum", script("VACUUM"), "")
case("analyze, reindex", script("ANALYZE; REINDEX"), "")
case("an index of a user", script("CREATE INDEX u ON l_entry(n, body)"), "")
case("a policy", script("CREATE TRIGGER p BEFORE INSERT ON l_entry WHEN 0"
                        " BEGIN SELECT RAISE(ABORT, 'no'); END"), "")
# 1. An entry is edited in place.
case("edit", statements("UPDATE l_entry SET body = 'x' WHERE seq = 5"),
     "entry_altered 5")
case("edit the first", statements("UPDATE l_entry SET n = 0 WHERE seq = 1"),
     "entry_altered 1")
case("edit an even newest", statements(
    "DELETE FROM l_entry WHERE seq = 13; UPDATE l_entry SET n = 0 WHERE seq ="
    " 12"), "entry_altered 12")
case("edit an odd newest", statements(
    "UPDATE l_entry SET n = 0 WHERE seq = 13"), "entry_forged 13")
case("edit the type", statements(
    "UPDATE l_entry SET body = CAST(body AS BLOB) WHERE seq = 5"),
     "entry_altered 5")
case("edit to NULL", statements("UPDATE l_entry SET n = NULL WHERE seq = 5"),
     "entry_altered 5")
case("edit the time", statements(
    "UPDATE l_entry SET at = at + 1 WHERE seq = 5"), "entry_altered 5")
case("edit two", statements("UPDATE l_entry SET n = -n WHERE seq IN (5, 6)"),
     "entry_altered 5-6")
case("edit and hash", statements(
    "UPDATE l_entry SET body = 'x' WHERE seq = 5", fix_own_hash),
     "entry_altered 6, node_altered 6, history_rewritten 8",
     kept="entry_altered 6, node_altered 6, history_rewritten 8, " + REWRITTEN)
case("move a boundary between fields", statements(
    "UPDATE l_entry SET task = 'task2' || n, n = NULL WHERE seq = 5"),
     "entry_altered 5")
case("on disk: a value", disk(b"body of entry 05", b"lies of entry 05"),
     "entry_altered 5")
case("on disk: the newest", disk(b"body of entry 13", b"lies of entry 13"),
     "entry_forged 13")
case("on disk: a hash", hash_on_disk, "entry_altered 5, node_altered 6,"
     " history_rewritten 8", kept="entry_altered 5, node_altered 6,"
     " history_rewritten 8, " + REWRITTEN)
case("on disk: a checkpoint", disk(b"/l\n12\n", b"/l\n11\n"),
     "checkpoint_invalid")
# 2. Deleted, inserted, in another order.
case("delete in the middle", statements("DELETE FROM l_entry WHERE seq = 5"),
     "entry_missing 5")
case("delete the first", statements("DELETE FROM l_entry WHERE seq < 3"),
     "entry_missing 1")
case("delete, close the gap", statements(
    "DELETE FROM l_entry WHERE seq = 5;" + CLOSE),
     "entry_altered 5-11, entry_forged 12, node_altered 5-11,"
     " history_rewritten 8", kept="entry_altered 5-11, entry_forged 12,"
     " node_altered 5-11, history_rewritten 8, " + REWRITTEN)
case("delete, close, rehash", statements(
    "DELETE FROM l_entry WHERE seq = 5;" + CLOSE, rehash()),
     "history_rewritten 8", kept="history_rewritten 8, " + REWRITTEN)
case("insert in the middle", statements(OPEN),
     "entry_altered 6-13, entry_forged 14, node_altered 6-13,"
     " history_rewritten 8", kept="entry_altered 6-13, entry_forged 14,"
     " node_altered 6-13, history_rewritten 8, " + REWRITTEN)
case("insert, rehash", statements(OPEN, rehash()), "history_rewritten 8",
     kept="history_rewritten 8, " + REWRITTEN)
case("insert before the first", statements(
    "INSERT INTO l_entry SELECT -seq, at, task, -1, body, hash, NULL"
    " FROM l_entry WHERE seq = 1"), "entry_forged -1")
case("swap two", statements(SWAP),
     "entry_altered 5-7, node_altered 5-6, time_reversed 6,"
     " history_rewritten 8", kept="entry_altered 5-7, node_altered 5-6,"
     " time_reversed 6, history_rewritten 8, " + REWRITTEN)
case("swap what two say", statements(
    "CREATE TABLE t AS SELECT * FROM l_entry; UPDATE l_entry SET body = (SELECT"
    " body FROM t WHERE t.seq = 11 - l_entry.seq) WHERE seq IN (5, 6);"
    " DROP TABLE t"), "entry_altered 5-6")
case("reverse all", statements(
    "UPDATE l_entry SET seq = -seq; UPDATE l_entry SET seq = 14 + seq"),
     "entry_altered 1-12, entry_forged 13, time_reversed 2-13,"
     " node_altered 2-12/2, history_rewritten 4",
     kept="entry_altered 1-12, entry_forged 13, time_reversed 2-13,"
     " node_altered 2-12/2, " + TWICE)
case("append without the key's hash", statements(COPY), "entry_forged 14")
case("append the last once more", statements(COPY, rehash(14)), "")
# 3. The tail is cut off.
case("cut behind the checkpoint", statements(
    "DELETE FROM l_entry WHERE seq > 12"), "")
case("cut", statements(CUT), "truncated 12")
case("cut, strip the newest", statements(CUT + STRIP_NEWEST), "", "",
     "truncated 12")
case("cut, strip all", statements(CUT + STRIP), "", UNSIGNED, "truncated 12")
case("cut all", statements("DELETE FROM l_entry"), "truncated 12")
case("cut all, strip all", statements("DELETE FROM l_entry;" + STRIP), "",
     UNSIGNED, "truncated 12")
# 4. And appended to again.
case("append again", statements(AGAIN, rehash(11)), REWRITTEN)
case("append again, strip the newest", statements(
    AGAIN + STRIP_NEWEST, rehash(11)), "", "", REWRITTEN)
case("append again, strip all", statements(AGAIN + STRIP, rehash(11)), "",
     UNSIGNED, REWRITTEN)
case("append again, sign with the key", statements(
    AGAIN, rehash(11), resign(LOG)), "", "", REWRITTEN)
# 5. Everything is written and hashed again.
case("rewrite, no nodes", statements(LIE, rehash(nodes=False)),
     "node_altered 2-12/2, history_rewritten 4",
     kept="node_altered 2-12/2, " + TWICE)
case("rewrite", statements(LIE, rehash()), "history_rewritten 4", kept=TWICE)
case("rewrite, strip all", statements(LIE + STRIP, rehash()), "", UNSIGNED,
     REWRITTEN)
case("rewrite, sign with another key", statements(
    LIE, rehash(), resign(EVIL)), "", UNSIGNED, REWRITTEN)
case("rewrite, sign, say it was the key", statements(
    LIE, rehash(), resign(EVIL, LOG.verifier)), "checkpoint_invalid *3",
     "checkpoint_invalid *4", "checkpoint_invalid *3, " + REWRITTEN)
case("rewrite, sign with the key's id", statements(
    LIE, rehash(), resign(EVIL, EVIL.verifier, LOG.id)),
     "checkpoint_invalid *3", "checkpoint_invalid *4",
     "checkpoint_invalid *3, " + REWRITTEN)
case("rewrite, sign with the key", statements(LIE, rehash(), resign(LOG)), "",
     "", REWRITTEN)
case("rewrite behind the checkpoint", statements(
    "UPDATE l_entry SET body = 'lie' WHERE seq = 13", rehash()), "")
# 6. An older file is put back.
case("rollback", rollback, "", "", "truncated 12")
# 7. Another ledger of the same name.
case("another origin", another(origin="example.com/m"), "", UNSIGNED)
case("another origin, by the key", another(origin="example.com/m", key=LOG),
     "", "", UNSIGNED)
case("other columns", another(columns="task TEXT, n INTEGER"), "", UNSIGNED,
     REWRITTEN)
case("other entries", another(word="lies"), "", UNSIGNED, REWRITTEN)
case("other entries, by the key", another(word="lies", key=LOG), "", "",
     REWRITTEN)
case("fewer entries", another(entries=8), "", UNSIGNED, "truncated 12")
# 8. The protection is stripped.
case("no triggers", without_triggers, "guard_missing *11")
case("one trigger", script("DROP TRIGGER l_entry_delete"), "guard_missing")
case("a weaker trigger", schema(
    "UPDATE sqlite_schema SET sql = replace(sql, 'RAISE(ABORT, ''ledger l is"
    " append-only'')', '1') WHERE name LIKE 'l\\_entry%' ESCAPE '\\'"),
     "guard_altered *3")
case("no view", script("DROP VIEW l_direct"), "guard_missing *2")
case("no virtual table", schema("DELETE FROM sqlite_schema WHERE name = 'l'"),
     "no such ledger: main.l")
case("a table in its place", in_turn(
    schema("DELETE FROM sqlite_schema WHERE name = 'l'"),
    script("CREATE TABLE l AS SELECT seq, at, task, n, body FROM l_entry")),
     "no such ledger: main.l")
case("no entry table", script("DROP TABLE l_entry"),
     "config_altered, guard_missing *4, index_mismatch, entry_missing,"
     " truncated 12")
case("a view of another table in its place", in_turn(script(
    "CREATE TABLE t AS SELECT * FROM l_entry"), script("DROP TABLE l_entry;"
    "CREATE VIEW l_entry AS SELECT seq, at, task, n, body, hash, node FROM t")),
     "config_altered, guard_missing *4, index_mismatch")
case("no hash column", statements("ALTER TABLE l_entry DROP COLUMN hash"),
     "config_altered, entry_missing, truncated 12")
case("hashes made NULL", in_turn(NULLS, statements(
    "UPDATE l_entry SET hash = NULL WHERE seq BETWEEN 5 AND 9"), NO_NULLS),
     "entry_altered 5-9")
case("all hashes made NULL", in_turn(NULLS, statements(
    "UPDATE l_entry SET hash = NULL, node = NULL"), NO_NULLS),
     "entry_altered 1-13")
case("short hashes", statements(
    "UPDATE l_entry SET hash = x'00' WHERE seq > 11"), "entry_altered 12-13")
case("an earlier format's tag", statements(rehash(tag="holdfast.entry.v0")),
     "entry_altered 1-12, entry_forged 13, history_rewritten 4",
     kept="entry_altered 1-12, entry_forged 13, " + TWICE)
# 9. The configuration.
case("format", config("value = 0 WHERE key = 'format'"), "config_altered")
case("columns", config("value = 'task TEXT' WHERE key = 'schema'"),
     "config_altered")
case("genesis", config("value = zeroblob(32) WHERE key = 'genesis'"),
     "config_altered, guard_altered *3, entry_altered 1")
case("origin", config("value = 'example.com/m' WHERE key = 'origin'"),
     "config_altered, checkpoint_invalid *3",
     "config_altered, checkpoint_invalid *4")
case("on disk: origin", disk(b"originexample.com/l", b"originexample.com/m",
                             INDEX), "config_altered, checkpoint_invalid *3",
     "config_altered, checkpoint_invalid *4")
case("identity", statements(new_identity, rehash()),
     "config_altered, guard_altered *3, checkpoint_invalid *3",
     "config_altered, guard_altered *3, checkpoint_invalid *4")
case("declared columns", declared("body ANY", "body TEXT"),
     "config_altered *3, guard_altered")
case("declared origin", declared("com/l", "com/m"), "config_altered")
case("declared clock", declared("caller", "system"), "guard_altered")
# The README's known limits: DROP TABLE is evident by itself, and the inner pages
# of a table are what PRAGMA integrity_check looks at.
case("declared drop", declared("clock=", "drop=''always'', clock="), "")
# 10. Entries are hidden from queries.
case("no index", script("DROP INDEX l_entry_task"), "index_mismatch")
case("an index without one", other_index("(task)", "l_entry_task"),
     "index_mismatch 5 *2")
case("a unique index without one", other_index(
    "(n)", "sqlite_autoindex_l_entry_1"), "index_mismatch 5 *2")
case("on disk: an index", disk(b"task2\x05", b"taskX\x05", INDEX),
     "index_mismatch 5 *2")
case("an index of another", other_index("(n, task)"), "index_mismatch 5 *2")
for columns in ("(at)", "(task, at)", "(task) WHERE n > 0", "(lower(task))",
                "(seq, task)"):
    case("an index on " + columns, other_index(columns), "?")
case("read from a copy", read_from_a_copy, "?")
case("the way to an entry", mislead, "")
# 11. The tree.
case("a subtree's root", statements(
    "UPDATE l_entry SET node = CAST(substr(node, 1, 64) || zeroblob(32) AS"
    " BLOB) WHERE seq = 8"), "node_altered 8")
case("no roots", statements("UPDATE l_entry SET node = NULL"),
     "node_altered 2-12/2")
case("nodes as leaves", statements(nodes_as_leaves),
     "entry_altered 1-6, history_rewritten 4, truncated 12")
case("nodes as leaves, strip all", statements(nodes_as_leaves, STRIP),
     "entry_altered 1-6", "entry_altered 1-6, checkpoint_invalid",
     "entry_altered 1-6, truncated 12")
case("a node as an entry", statements(node_as_entry),
     "entry_altered 1, entry_missing 2")
# 12. Time.
case("backdate one", statements(
    "UPDATE l_entry SET at = 100 WHERE seq = 9", rehash()),
     "time_reversed 9, " + REWRITTEN)
case("backdate one, strip all", statements(
    STRIP + "UPDATE l_entry SET at = 100 WHERE seq = 9", rehash()),
     "time_reversed 9", "time_reversed 9, checkpoint_invalid",
     "time_reversed 9, " + REWRITTEN)
case("backdate all, strip all", statements(
    STRIP + "UPDATE l_entry SET at = at - 500", rehash()), "", UNSIGNED,
     REWRITTEN)
# 13. The stored checkpoints.
case("strip all", statements(STRIP), "", UNSIGNED, "")
case("strip one", statements("DELETE FROM l_checkpoint WHERE id = 2"),
     "checkpoint_invalid")
case("strip the newest", statements(STRIP_NEWEST), "")
case("no table of them", script("DROP TABLE l_checkpoint"),
     "config_altered, guard_missing *3",
     "config_altered, guard_missing *3, checkpoint_invalid",
     "config_altered, guard_missing *3")
case("forge a true one", statements(add_checkpoint(EVIL, 13)), "")
case("forge one", statements(add_checkpoint(EVIL, 13, b"r" * 32)),
     "history_rewritten 13")
case("forge one of more", statements(add_checkpoint(EVIL, 20, b"r" * 32)),
     "truncated 20")
case("forge an older one", statements(add_checkpoint(LOG, 5)),
     "checkpoint_invalid")
case("an old one once more, newly dated", statements(
    "INSERT INTO l_checkpoint SELECT 4, 99999, size, verifier, note"
    " FROM l_checkpoint WHERE id = 3"), "")
