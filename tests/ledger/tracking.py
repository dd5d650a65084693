"""What the tests of tracked tables share: a decoder of their own, a replay of
the ledger, and what both must agree with."""
import struct
from collections import Counter

import apsw

WORDS = {b"I": ">q", b"F": ">d"}


def decode(data):
    """The values of an encoding as the README describes it."""
    def number(at):
        end = data.index(b":", at)
        return int(data[at:end]), end + 1

    assert data[:1] == b"R"
    count, at = number(1)
    values = []
    for _ in range(count):
        tag, at = data[at:at + 1], at + 1
        if tag == b"N":
            values.append(None)
        elif tag in WORDS:
            values.append(struct.unpack(WORDS[tag], data[at:at + 8])[0])
            at += 8
        else:
            size, at = number(at)
            value, at = data[at:at + size], at + size
            values.append(value.decode() if tag == b"T" else value)
    assert at == len(data)
    return tuple(values)


def typed(row):
    """1, 1.0 and True are equal in Python, and not in a table."""
    return tuple((type(value).__name__, value) for value in row)


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def ask(db, sql, bindings=()):
    """Look, without what may come between two statements."""
    return db.connection.cursor().execute(sql, bindings).fetchall()


def changes(db, ledger="l", after=0):
    """What was recorded: op, the row before, the row after."""
    return [(op, old and decode(old), new and decode(new))
            for op, old, new in ask(
                db,
                f"SELECT op, old, content FROM {quote(ledger)} WHERE seq > ?"
                " AND op NOT IN ('track', 'untrack') ORDER BY seq", (after,))]


def replay(db, table="t", ledger="l"):
    """The rows that must be there.  None goes that has not come."""
    rows = Counter()
    for op, old, new in ask(
            db, f"SELECT op, old, content FROM {quote(ledger)}"
            " WHERE table_name = ? ORDER BY seq", (table,)):
        if op == "track":
            rows.clear()
            continue
        if new is not None:
            rows[typed(decode(new))] += 1
        if old is not None:
            rows[typed(decode(old))] -= 1
    assert all(n >= 0 for n in rows.values()), rows
    return +rows


def reconcile(db, table="t"):
    return ask(db, "SELECT * FROM ledger_reconcile(?)", (table,))


def whole(db, table="t", ledger="l", schema="main"):
    """Nothing differs, by the extension's word and by our own."""
    assert reconcile(db, f"{schema}.{table}") == []
    assert db.verify(f"{schema}.{ledger}") == []
    columns = ", ".join(quote(row[0]) for row in ask(
        db, "SELECT name FROM pragma_table_xinfo(?, ?) WHERE hidden = 0",
        (table, schema)))
    present = Counter(typed(row) for row in ask(
        db, f"SELECT {columns} FROM {quote(schema)}.{quote(table)}"))
    assert replay(db, table, ledger) == present


def track(db, table="t", ledger="l"):
    return db.value("SELECT ledger_track(?, ?)", (table, ledger))


def attempt(db, sql):
    """Run it; that it is refused is one of the outcomes."""
    try:
        db.run(sql)
    except apsw.ConstraintError:
        pass


def unseen(db, sql, bindings=()):
    """Without the triggers, as another program may."""
    connection = apsw.Connection(db.path)
    connection.setbusytimeout(10000)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.cursor().execute(sql, bindings).fetchall()
    connection.close()


def three(db):
    """A tracked table of three rows."""
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, v)")
    assert track(db) == 0
    db.run("INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)")
    return db
