"""SELECT: what comes back equals what an ordinary table of the same columns
and rows gives, and comes by the index."""
import random
import re
import sqlite3

import pytest

from conftest import load

COLUMNS = "t TEXT{0}, n INTEGER{0}, r REAL{0}, b BLOB{0}, x ANY{0}, u TEXT"
TEXTS = ["", "a", "A", "b", "B ", "5", "05", "5.0", "-1", " 5", "5 ", "1e1",
         "a\0b", "\u00e9", "zz", "a%", "_"]
NUMBERS = [0, 1, 2, 3, 5, -1, 7, 10, 2**53 + 1, -2**63, 2**63 - 1, None]
REALS = [0.0, 0.5, 5.0, -1.0, 1e300, float("inf"), float("-inf"),
         2.0**53, None]
BLOBS = [b"", b"a", b"5", b"\0", b"\xff\xfe", None]
ANY = TEXTS + NUMBERS + REALS + BLOBS


@pytest.fixture(scope="module", params=["", " INDEXED"],
                ids=["scan", "index"])
def pair(request):
    """A ledger l, and a plain table p that holds the same."""
    connection = load(sqlite3.connect(":memory:", isolation_level=None))
    chance = random.Random(20)
    connection.execute("CREATE VIRTUAL TABLE l USING ledger("
                       + COLUMNS.format(request.param) + ", clock='caller')")
    connection.execute("CREATE TABLE p(seq INTEGER PRIMARY KEY, at INTEGER, "
                       + COLUMNS.format("") + ") STRICT")
    for i in range(300):
        connection.execute(
            "INSERT INTO l(at, t, n, r, b, x, u) VALUES (?,?,?,?,?,?,?)",
            (i // 7, chance.choice(TEXTS + [None]), chance.choice(NUMBERS),
             chance.choice(REALS), chance.choice(BLOBS), chance.choice(ANY),
             chance.choice(TEXTS)))
    connection.execute("INSERT INTO p SELECT * FROM l")
    connection.execute("CREATE TABLE k(id INTEGER PRIMARY KEY, i INTEGER,"
                       " s TEXT, f REAL, v, m NUMERIC)")
    for i in range(12):
        connection.execute(
            "INSERT INTO k VALUES (?,?,?,?,?,?)",
            (i, chance.choice(NUMBERS), chance.choice(TEXTS),
             chance.choice(REALS), chance.choice(ANY), chance.choice(TEXTS)))
    return connection


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        if "\0" in value:
            return f"CAST(x'{value.encode().hex()}' AS TEXT)"
        return "'" + value + "'"
    if value in (float("inf"), float("-inf")):
        return "9e999" if value > 0 else "-9e999"
    return repr(value)


COLLATIONS = ["", "", "", "", " COLLATE NOCASE", " COLLATE RTRIM",
              " COLLATE BINARY"]


def term(chance, table):
    column = table + "." + chance.choice(
        ["seq", "at", "t", "n", "r", "b", "x", "u", "rowid", "seq"])
    value = literal(chance.choice(
        ANY if chance.random() < .7 else list(range(300))))
    shape = chance.randrange(13)
    if shape < 5:
        op = chance.choice(["=", "<", "<=", ">", ">=", "IS", "<>", "IS NOT"])
        return f"{column} {op} {value}{chance.choice(COLLATIONS)}"
    if shape == 5:
        other = literal(chance.choice(ANY))
        return f"{column} BETWEEN {value} AND {other}"
    if shape == 6:
        values = [literal(chance.choice(ANY)) for _ in range(4)]
        return f"{column} IN ({', '.join(values)})"
    if shape == 7:
        return f"{column} IN (SELECT {chance.choice('isfvm')} FROM k)"
    if shape == 8:
        return f"{column} {chance.choice(['IS NULL', 'NOT NULL'])}"
    if shape == 9:
        return f"{column} {chance.choice(['LIKE', 'GLOB'])} {value}"
    if shape == 10:
        return f"({term(chance, table)} OR {term(chance, table)})"
    if shape == 11:
        return f"+{column} = {value}"
    return f"typeof({column}) = 'text'"


def query(chance, table):
    """A query on `table`; and whether its order is determined."""
    where = " AND ".join(term(chance, table)
                         for _ in range(chance.randrange(4))) or "1"
    shape = chance.randrange(8)
    order, total = "", False
    if chance.random() < .7:
        terms = [table + "." + chance.choice(["t", "n", "r", "b", "x", "at"])
                 + chance.choice(["", "", "", " COLLATE NOCASE"])
                 + chance.choice(["", " DESC", " ASC"])
                 + chance.choice(["", "", " NULLS LAST", " NULLS FIRST"])
                 for _ in range(chance.randrange(3))]
        terms.append(table + ".seq" + chance.choice(["", " DESC"]))
        order, total = " ORDER BY " + ", ".join(terms), True
    limit = ""
    if total and chance.random() < .6:
        limit = f" LIMIT {chance.choice([0, 1, 2, 10, 400, -1])}"
        if chance.random() < .5:
            limit += f" OFFSET {chance.choice([0, 1, 5, 290, 400, -3])}"
    if shape == 0:
        return (f"SELECT count(*), min({table}.seq), max({table}.t),"
                f" sum({table}.seq) FROM {table} WHERE {where}"), True
    if shape == 1:
        return (f"SELECT DISTINCT {table}.t, {table}.n FROM {table}"
                f" WHERE {where}"), False
    if shape == 2:
        return (f"SELECT {table}.t, count(*), max(seq) FROM {table}"
                f" WHERE {where} GROUP BY {table}.t"), False
    if shape in (3, 4):
        column = chance.choice(["t", "n", "r", "b", "x", "seq", "u"])
        join = chance.choice(["JOIN", "LEFT JOIN", "CROSS JOIN"])
        pair = f"k {join} {table}" if shape == 3 else f"{table} {join} k"
        if order:
            order += ", k.id"
        return (f"SELECT k.id, {table}.seq, {table}.x FROM {pair}"
                f" ON {table}.{column} = k.{chance.choice('isfvm')}"
                f" WHERE {where}{order}{limit}"), total
    columns = chance.choice(["*", "seq", "t, n", "x, b, at", "rowid, r"])
    return f"SELECT {columns} FROM {table} WHERE {where}{order}{limit}", total


@pytest.mark.parametrize("seed", range(12))
def test_as_an_ordinary_table(pair, seed):
    for number in range(250):
        state = f"{seed}/{number}"
        sql, total = query(random.Random(state), "l")
        plain, _ = query(random.Random(state), "p")
        got = pair.execute(sql).fetchall()
        expected = pair.execute(plain).fetchall()
        if not total:
            got, expected = sorted(map(repr, got)), sorted(map(repr, expected))
        assert got == expected, (state, sql)


def test_bound_limits(pair):
    for limit in (0, 1, 7, -1, 2**63 - 1, -2**63):
        for offset in (0, 1, 295, -1, 2**63 - 1):
            for where in ("seq > 3", "t = 'a'", "n = 5 AND t <> 'b'",
                          "x > 1", "length(t) = 1"):
                rows = [pair.execute(
                    f"SELECT seq FROM {table} WHERE {where} ORDER BY r, seq"
                    " LIMIT ? OFFSET ?", (limit, offset)).fetchall()
                        for table in "lp"]
                assert rows[0] == rows[1]


def test_seq_is_the_order_without_one(pair):
    for where in ("1", "t = 'a'", "n = 5", "t = 'a' AND n = 5", "seq > 9"):
        rows = [row[0] for row in pair.execute(
            f"SELECT seq FROM l WHERE {where}")]
        assert rows == sorted(rows)


def test_comparison_of_rows(pair):
    for where in ("(at, seq) = (3, 22)", "(at, seq) > (3, 22)",
                  "(t, seq) <= ('b', 40)", "(n, t) IN (SELECT i, s FROM k)"):
        rows = [pair.execute(f"SELECT seq FROM {table} WHERE {where}"
                             " ORDER BY seq DESC").fetchall()
                for table in "lp"]
        assert rows[0] == rows[1] and rows[0]


@pytest.mark.parametrize("where", [
    "(at, seq) > (3, 25) ORDER BY at, seq", "(seq, at) > (1, 7) ORDER BY seq",
    "(at, seq) < (3, 23) ORDER BY at DESC, seq DESC"])
def test_comparison_of_rows_with_limit(pair, where):
    rows = [pair.execute(f"SELECT seq FROM {table} WHERE {where} LIMIT 3"
                         ).fetchall() for table in "lp"]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("column", ["t TEXT UNIQUE", "t ANY UNIQUE"])
def test_a_number_equals_several_unique_texts(column):
    connection = load(sqlite3.connect(":memory:"))
    connection.execute(f"CREATE VIRTUAL TABLE l USING ledger({column})")
    connection.execute("INSERT INTO l(t) VALUES ('5'), ('05'), ('5.0')")
    connection.execute("CREATE TABLE k(i INTEGER)")
    connection.execute("INSERT INTO k VALUES (5)")
    assert connection.execute("SELECT k.i FROM k LEFT JOIN l ON l.t = k.i"
                              ).fetchall() == [(5,)] * 3


@pytest.mark.parametrize("column, other", [("t", "i"), ("x", "i"),
                                           ("t", "v")])
def test_text_in_a_query_of_numbers(pair, column, other):
    """The last one gives an entry twice, for 5 and for '5'."""
    rows = [pair.execute(f"SELECT seq FROM {table} WHERE {column} IN"
                         f" (SELECT {other} FROM k) ORDER BY seq").fetchall()
            for table in "lp"]
    assert rows[0] == rows[1]


def test_reading_while_appending(pair):
    """A scan is of the rows that were there when it began, or goes on, but
    ends; and nothing is seen twice."""
    connection = load(sqlite3.connect(":memory:", isolation_level=None))
    connection.execute("CREATE VIRTUAL TABLE l USING ledger(a INTEGER)")
    connection.execute("INSERT INTO l(a) VALUES (1), (2), (3)")
    seen = []
    for seq, in connection.execute("SELECT seq FROM l WHERE seq <= 20"):
        seen.append(seq)
        connection.execute("INSERT INTO l(a) VALUES (?)", (seq,))
    assert seen == sorted(set(seen)) and seen[:3] == [1, 2, 3]
    connection.execute("INSERT INTO l(a) SELECT a FROM l")
    assert connection.execute("SELECT * FROM ledger_verify('l')").fetchall() \
        == []


# ---- by the index -----------------------------------------------------------

def inner_plan(connection, sql):
    """The plan of the inner statement that the plan of `sql` shows."""
    details = [row[3] for row in connection.execute(
        "EXPLAIN QUERY PLAN " + sql)]
    assert not any("TEMP B-TREE" in detail for detail in details), details
    inner = re.search(r"VIRTUAL TABLE INDEX -?\d+:(.*) /\*.*\*/",
                      details[0], re.DOTALL).group(1)
    arguments = [None] * len(set(re.findall(r"[?]\d+", inner)))
    return [row[3] for row in connection.execute(
        "EXPLAIN QUERY PLAN " + inner, arguments)]


def steps(connection, sql, bindings=()):
    """Virtual machine instructions that a statement takes, about."""
    count = [0]

    def one():
        count[0] += 1

    connection.execute(sql, bindings).fetchall()  # prepared, pages cached
    connection.set_progress_handler(one, 1)
    connection.execute(sql, bindings).fetchall()
    connection.set_progress_handler(None, 0)
    return count[0]


@pytest.fixture(scope="module")
def sized():
    """Ledgers of 1,000 and of 100,000 entries."""
    connection = load(sqlite3.connect(":memory:", isolation_level=None))
    for name, size in (("small", 1000), ("large", 100000)):
        connection.execute(
            f"CREATE VIRTUAL TABLE {name} USING ledger(task TEXT INDEXED,"
            " n INTEGER INDEXED, u INTEGER UNIQUE)")
        connection.execute(
            "WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c"
            f" WHERE i < {size}) INSERT INTO {name}(task, n, u)"
            " SELECT 't' || (i % 10), i % 7, i FROM c")
    return connection


@pytest.mark.parametrize("sql, plan", [
    ("SELECT * FROM {} WHERE task = 't3' ORDER BY seq DESC LIMIT 1",
     ["SEARCH e USING INDEX {}_entry_task (task=?)"]),
    ("SELECT n FROM {} WHERE task = 't3' ORDER BY seq LIMIT 3",
     ["SEARCH e USING INDEX {}_entry_task (task=?)"]),
    ("SELECT n FROM {} WHERE task = 't3' AND seq > 500 ORDER BY seq LIMIT 3",
     ["SEARCH e USING INDEX {}_entry_task (task=? AND rowid>?)"]),
    ("SELECT task FROM {} WHERE seq = 700",
     ["SEARCH e USING INTEGER PRIMARY KEY (rowid=?)"]),
    ("SELECT task FROM {} WHERE seq BETWEEN 700 AND 710",
     ["SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"]),
    ("SELECT * FROM {} ORDER BY seq DESC LIMIT 5", ["SCAN e"]),
    ("SELECT * FROM {} ORDER BY rowid LIMIT 5", ["SCAN e"]),
    ("SELECT seq FROM {} ORDER BY n DESC, seq DESC LIMIT 5",
     ["SCAN e USING COVERING INDEX {}_entry_n"]),
    ("SELECT task FROM {} WHERE u = 600",
     ["SEARCH e USING INDEX sqlite_autoindex_{}_entry_1 (u=?)"]),
    ("SELECT task FROM {} WHERE n > 5 ORDER BY n LIMIT 4",
     ["SEARCH e USING INDEX {}_entry_n (n>?)"]),
])
def test_one_index_no_sorting(sized, sql, plan):
    used = [line for line in inner_plan(sized, sql.format("small"))
            if "SCALAR SUBQUERY" not in line and "SEARCH p " not in line]
    assert used == [line.format("small") for line in plan]
    small = steps(sized, sql.format("small"))
    large = steps(sized, sql.format("large"))
    assert large <= small * 1.1 + 10, (small, large)


def test_a_lookup_in_a_join_is_one(sized):
    sized.execute("CREATE TEMP TABLE IF NOT EXISTS wanted AS"
                  " SELECT 't' || (value % 10) AS task, value FROM"
                  " json_each('[1,2,3,4,5]')")
    sql = "SELECT sum(l.seq) FROM wanted JOIN {} AS l ON l.u = wanted.value"
    small = steps(sized, sql.format("small"))
    assert steps(sized, sql.format("large")) <= small * 1.1 + 10


@pytest.mark.parametrize("sql", [
    "INSERT INTO {}(task) VALUES ('new')", "SELECT ledger_size('{}')",
    "SELECT ledger_head('{}')", "SELECT ledger_leaf_data('{}', 600)"])
def test_work_does_not_grow(sized, sql):
    small = steps(sized, sql.format("small"))
    large = steps(sized, sql.format("large"))
    assert large <= small * 1.5 + 50, (small, large)
