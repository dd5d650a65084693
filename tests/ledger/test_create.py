"""CREATE VIRTUAL TABLE … USING ledger: what is taken, what is refused and with
which words, and that a refusal leaves nothing behind."""
import apsw
import pytest

from conftest import load_apsw


def objects(db):
    """Everything in the schema but what the setting itself adds."""
    return db.connection.cursor().execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE name NOT LIKE 'other\\_%' ESCAPE '\\' ORDER BY 1, 2"
    ).fetchall()


def names(db):
    return [row[1] for row in objects(db)]


# ---- what is taken ----------------------------------------------------------

@pytest.mark.parametrize("declaration, stored", [
    ("a INTEGER", None), ("a INT", None), ("a real", None), ("a TEXT", None),
    ("a BLOB", None), ("a Any", None), ("a TEXT INDEXED", None),
    ("a TEXT UNIQUE INDEXED", None), ("a TEXT UNIQUE UNIQUE", None),
    ("a TEXT DEFAULT 'it''s'", "it's"), ("a INTEGER DEFAULT +7", 7),
    ("a INTEGER DEFAULT -7", -7), ("a REAL DEFAULT 1", 1.0),
    ("a REAL DEFAULT 1.5e-3", 0.0015), ("a BLOB DEFAULT x'00ff'", b"\0\xff"),
    ("a INTEGER DEFAULT TRUE", 1), ("a INTEGER DEFAULT false", 0),
    ("a TEXT DEFAULT NULL", None), ("a ANY DEFAULT 9223372036854775807",
                                    2**63 - 1),
    ("a TEXT DEFAULT (lower('AB') || ')')", "ab)"),
    ("a INTEGER NOT NULL DEFAULT (2 * (3 + 4)) CHECK (a <> ')') UNIQUE", 14),
    ("a INTEGER DEFAULT 3 NOT NULL", 3),
    ("a TEXT CHECK (a <> 'x,y') CHECK (a <> ')' OR a = '(')", None),
    ("a INTEGER CHECK (a IN (1, 2)), CHECK (a <> 3), UNIQUE (a)", None),
    ("check TEXT", None), ("unique INTEGER", None), ("origin TEXT", None),
    ("\"a b\" TEXT INDEXED", None), ("[a.b] INTEGER UNIQUE INDEXED", None),
    ("`back``tick` TEXT UNIQUE", None), ("\"q\"\"'%s\" TEXT INDEXED", None),
    ("\u00fc\U0001f600 TEXT INDEXED", None), ("\"select\" TEXT UNIQUE", None),
    ("a/**/TEXT/* , ) ' */NOT NULL DEFAULT 'd'", "d"),
    ("a TEXT -- first, with ) and '\n NOT NULL DEFAULT 'd'", "d"),
    ("a TEXT, CHECK (seq > 0), CHECK (at IS NOT NULL)", None),
])
def test_taken(db, declaration, stored):
    db.run(f"CREATE VIRTUAL TABLE l USING ledger({declaration})")
    db.run("INSERT INTO l DEFAULT VALUES")
    row = db.run("SELECT * FROM l")[0]
    assert row[0] == 1 and len(row) == 3 and row[2] == stored
    assert type(row[2]) is type(stored)
    assert db.verify() == []
    assert [c for c in db.run("SELECT finding FROM holdfast_check")
            if c != ("journal_mode",)] == []
    assert db.value("PRAGMA integrity_check") == "ok"


@pytest.mark.parametrize("option", [
    "origin='example.com/l'", "origin = \"example.com/l\"",
    "ORIGIN=[example.com/l]", "/* c */ origin /* = */ = 'example.com/l' -- x"])
def test_origin(db, option):
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT, drop = Always,"
           f" {option}\n, clock='SYSTEM')")
    assert db.value("SELECT json_extract(ledger_report('l'), '$.origin')") \
        == "example.com/l"
    assert db.value("SELECT value FROM l_config WHERE key = 'origin'") \
        == "example.com/l"
    assert db.value(
        "SELECT ledger_head('l') = merkle_leaf_hash(attest_canonical("
        "'holdfast.ledger.v1', 'example.com/l', 'a TEXT'))") == 1


def test_default_origin_and_schema_text(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(\"a b\" int NOT NULL,"
           " C any CHECK (C), d TEXT INDEXED)")
    schema = "a b INT,C ANY,d TEXT"  # the type as declared, in capitals
    assert db.value(
        "SELECT ledger_head('l') = merkle_leaf_hash(attest_canonical("
        "'holdfast.ledger.v1', 'holdfast/l', ?))", (schema,)) == 1
    assert db.value("SELECT value FROM l_config WHERE key = 'schema'") \
        == schema


def test_as_many_columns_as_allowed(db):
    for n in (63, 64, 65, 120):
        columns = ", ".join(f"c{i} INTEGER" for i in range(n))
        db.run(f"CREATE VIRTUAL TABLE w{n} USING ledger({columns})")
        marks = ",".join("?" * n)
        db.run(f"INSERT INTO w{n}({','.join(f'c{i}' for i in range(n))})"
               f" VALUES ({marks})", tuple(range(n)))
        assert db.run(f"SELECT * FROM w{n}")[0][2:] == tuple(range(n))
        assert db.run(f"SELECT c{n - 1}, c0, length(hash), length(prev_hash)"
                      f" FROM w{n} WHERE c{n - 2} = ? AND c{n - 1} > 0",
                      (n - 2,)) == [(n - 1, 0, 32, 32)]
        assert db.verify(f"w{n}") == []
    db.fails("CREATE VIRTUAL TABLE w USING ledger("
             + ", ".join(f"c{i} TEXT" for i in range(121)) + ")",
             "ledger w: more than 120 columns; keep long records as JSON")


@pytest.mark.parametrize("name", [
    "a.b", "main.l", "q'\"x", "with space", "\u00fc\U0001f600", "main",
    "x%sy", "SELECT", "L_ENTRY", "a_config", "--", "'"])
def test_names(db, name):
    quoted = '"' + name.replace('"', '""') + '"'
    entry = '"' + name.replace('"', '""') + '_entry"'
    db.run(f"CREATE VIRTUAL TABLE {quoted} USING ledger(a TEXT UNIQUE INDEXED)")
    db.run(f"INSERT INTO {quoted}(a) VALUES ('z')")
    db.fails(f"UPDATE {quoted} SET a = 1", f"ledger {name} is append-only")
    db.fails(f"DELETE FROM {entry}", f"ledger {name} is append-only")
    assert db.run(f"SELECT a FROM {quoted} WHERE a = 'z'") == [("z",)]
    if "main." not in name:  # which would name l in main
        assert db.value("SELECT ledger_size(?)", (name,)) == 1
        assert db.verify(name) == []
    assert db.value("SELECT ledger_size(?)", ("main." + name,)) == 1
    assert db.verify("main." + name) == []
    assert [c for c in db.run("SELECT * FROM holdfast_check")
            if c[0] != "journal_mode"] == []


# ---- what is refused --------------------------------------------------------

UNDERSTAND = ("a column may have NOT NULL, DEFAULT, CHECK, UNIQUE and INDEXED")
REFUSED = [
    ("", "ledger l: declare at least one column, for example USING ledger("
         "message TEXT NOT NULL)"),
    ("drop='always'", "ledger l: declare at least one column"),
    ("CHECK (1)", "ledger l: declare at least one column"),
    ("a", "ledger l: column a needs a type: INTEGER, REAL, TEXT, BLOB or ANY"),
    ("a VARCHAR(9)", "ledger l: column a needs a type"),
    ("a NUMERIC", "ledger l: column a needs a type"),
    ("a NOT NULL", "ledger l: column a needs a type"),
    ("a TEXT, PRIMARY KEY (a)", "ledger l: column PRIMARY needs a type"),
    ("a TEXT, FOREIGN KEY (a) REFERENCES t", "column FOREIGN needs a type"),
    ("a TEXT, CONSTRAINT c CHECK (a)", "column CONSTRAINT needs a type"),
] + [(f"a TEXT {rest}", f'ledger l: column a: cannot understand "{word}"; '
      + UNDERSTAND) for rest, word in [
          ("PRIMARY KEY", "PRIMARY"), ("REFERENCES t(x)", "REFERENCES"),
          ("COLLATE NOCASE", "COLLATE"), ("CONSTRAINT c UNIQUE", "CONSTRAINT"),
          ("NOT NULL ON CONFLICT REPLACE", "ON"),
          ("UNIQUE ON CONFLICT IGNORE", "ON"), ("AS (1)", "AS"),
          ("GENERATED ALWAYS AS (1)", "GENERATED"), ("NULL", "NULL"),
          ("NOT", "NOT"), ("DEFAULT", "DEFAULT"), ("CHECK", "CHECK"),
          ("CHECK a", "CHECK"), ("DEFAULT 1 DEFAULT 2", "DEFAULT"),
          ("DEFAULT \"x\"", "DEFAULT"), ("DEFAULT word", "DEFAULT"),
          ("DEFAULT - x", "DEFAULT"), ("UNIQUE (a)", "("), ("HIDDEN",
                                                            "HIDDEN")]
] + [(f"{name} TEXT", f"ledger l: a column cannot be named {bare}, which every"
      " ledger has itself") for name, bare in [
          ("seq", "seq"), ("At", "At"), ("HASH", "HASH"),
          ("prev_hash", "prev_hash"), ("node", "node"), ("rowid", "rowid"),
          ("oid", "oid"), ("_rowid_", "_rowid_"), ('"seq"', "seq"),
          ("[hash]", "hash")]
] + [
    ("a TEXT, A INTEGER", "ledger l: column A is declared twice"),
    ("a TEXT, \"a\" TEXT", "ledger l: column a is declared twice"),
    ("a TEXT, UNIQUE (a COLLATE NOCASE)",
     "ledger l: UNIQUE (...) takes the names of columns"),
    ("a TEXT, UNIQUE ()", "ledger l: UNIQUE (...) takes the names of columns"),
    ("a TEXT, UNIQUE (a, 'b')", "UNIQUE (...) takes the names of columns"),
    ("a TEXT, UNIQUE (a DESC)", "UNIQUE (...) takes the names of columns"),
    ("a TEXT, UNIQUE (b)", "no such column: b"),
    ("a TEXT, CHECK (b)", "no such column: b"),
    ("a TEXT DEFAULT (b)", "default value of column [a] is not constant"),
    ("a TEXT CHECK ((SELECT 1))", "subqueries prohibited in CHECK"),
    ("a TEXT CHECK (SELECT 1)", "syntax error"),
    ("a TEXT, UNIQUE (a) ON CONFLICT REPLACE",
     "ledger l: cannot understand what follows UNIQUE (...)"),
    ("a TEXT, CHECK (a) junk",
     "ledger l: cannot understand what follows CHECK (...)"),
    ("'a' TEXT", "ledger l: \"'a' TEXT\" is not a column, a CHECK, a UNIQUE or"
                 " an option"),
    ("1 TEXT", 'ledger l: "1 TEXT" is not a column'),
    ("a TEXT, (b TEXT)", 'ledger l: "(b TEXT)" is not a column'),
    ("a TEXT, bogus='x'",
     "ledger l: unknown option bogus; the options are origin, drop and clock"),
    ("a TEXT, drop='never'", "ledger l: drop = 'never' is not 'empty' or"
                             " 'always'"),
    ("a TEXT, clock='sun'", "ledger l: clock = 'sun' is not 'system' or"
                            " 'caller'"),
    ("a TEXT, origin=''", "ledger l: origin = '' is not a name without spaces"
                          " and '+'"),
    ("a TEXT, origin='a b'", "origin = 'a b' is not a name without spaces"),
    ("a TEXT, origin='a+b'", "origin = 'a+b' is not a name without spaces"),
    ("a TEXT, origin='a\nb'", "is not a name without spaces"),
    ("a TEXT, origin=x y", "ledger l: option origin needs one quoted value"),
    ("a TEXT, origin=", "ledger l: option origin needs one quoted value"),
    ("a TEXT, origin=1", "ledger l: option origin needs one quoted value"),
    ("a TEXT, drop='empty', drop='always'",
     "ledger l: option drop is given twice"),
]


@pytest.mark.parametrize("transaction", [False, True], ids=["alone", "begin"])
@pytest.mark.parametrize("declaration, message", REFUSED,
                         ids=[d.replace("\n", "~") for d, _ in REFUSED])
def test_refused(tmp_path, transaction, declaration, message):
    connection = apsw.Connection(str(tmp_path / "r.db"))
    load_apsw(connection)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE kept(x)")
    if transaction:
        cursor.execute("BEGIN; INSERT INTO kept VALUES (1)")
    with pytest.raises(apsw.Error) as error:
        cursor.execute(f"CREATE VIRTUAL TABLE l USING ledger({declaration})")
    assert message in str(error.value)
    if transaction:
        assert not connection.getautocommit()
        cursor.execute("COMMIT")
    assert cursor.execute("SELECT name FROM sqlite_schema").fetchall() \
        == [("kept",)]
    assert cursor.execute("SELECT count(*) FROM kept").fetchall() \
        == [(int(transaction),)]
    cursor.execute("CREATE VIRTUAL TABLE l USING ledger(a TEXT)")
    cursor.execute("INSERT INTO l(a) VALUES ('x')")
    assert cursor.execute("SELECT * FROM ledger_verify('l')").fetchall() == []
    connection.close()


@pytest.mark.parametrize("transaction", [False, True], ids=["alone", "begin"])
@pytest.mark.parametrize("existing, name", [
    ("CREATE TABLE l_entry(x)", "l_entry"),
    ("CREATE TABLE l_config(x)", "l_config"),
    ("CREATE VIEW l_entry AS SELECT 1", "l_entry"),
    ("CREATE TABLE l_direct(x)", "l_direct"),
    ("CREATE TRIGGER l_config_delete AFTER INSERT ON o BEGIN SELECT 1; END",
     "l_config_delete"),
    ("CREATE TRIGGER l_entry_insert AFTER INSERT ON o BEGIN SELECT 1; END",
     "l_entry_insert"),
])
def test_a_namesake_is_never_used(db, existing, name, transaction):
    db.run("CREATE TABLE o(x)")
    db.run(existing)
    before = objects(db)
    if transaction:
        db.run("BEGIN")
    with pytest.raises(apsw.Error) as error:
        db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT INDEXED)")
    assert name in str(error.value) and "already exists" in str(error.value)
    if transaction:
        assert objects(db) == before  # before the COMMIT, too
        db.run("INSERT INTO o VALUES (1)")
        db.run("COMMIT")
    assert objects(db) == before
    assert db.run("SELECT finding FROM holdfast_check"
                  " WHERE finding <> 'journal_mode'") == []
    kind = existing.split()[1]
    db.run(f"DROP {kind} {name}")
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT INDEXED)")
    db.run("INSERT INTO l(a) VALUES ('x')")
    assert db.verify() == []


def test_an_index_of_the_same_name_is_no_obstacle(db):
    db.run("CREATE TABLE o(x)")
    db.run("CREATE INDEX l_entry_a ON o(x)")
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT INDEXED)")
    db.run("INSERT INTO l(a) VALUES ('x')")
    assert db.verify() == []


def test_columns_whose_index_names_meet(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(insert TEXT INDEXED,"
           " a TEXT INDEXED, a_2 TEXT INDEXED, entry TEXT INDEXED)")
    db.run("INSERT INTO l(a) VALUES ('x')")
    assert db.verify() == []


@pytest.mark.parametrize("encoding", ["UTF-16", "UTF-16le", "UTF-16be"])
def test_utf16_is_refused(tmp_path, encoding):
    connection = apsw.Connection(str(tmp_path / "u.db"))
    load_apsw(connection)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA encoding = '{encoding}'; CREATE TABLE t(x)")
    with pytest.raises(apsw.Error, match="ledger l: the database's encoding is"
                       " UTF-16.., which does not keep every text as it was"
                       " written; a ledger needs UTF-8"):
        cursor.execute("CREATE VIRTUAL TABLE l USING ledger(a TEXT)")
    assert cursor.execute("SELECT name FROM sqlite_schema").fetchall() \
        == [("t",)]
    connection.close()


# ---- where ------------------------------------------------------------------

def test_if_not_exists(ledger):
    before = objects(ledger)
    ledger.run("CREATE VIRTUAL TABLE IF NOT EXISTS l USING ledger(b INTEGER)")
    assert objects(ledger) == before
    ledger.fails("CREATE VIRTUAL TABLE l USING ledger(b INTEGER)",
                 "table l already exists")
    assert ledger.value("SELECT ledger_size('l')") == 3
    ledger.run("CREATE VIRTUAL TABLE IF NOT EXISTS m USING ledger(b INTEGER)")
    assert ledger.verify("m") == []


@pytest.mark.parametrize("schema", ["temp", "side", "q'\"s"])
def test_other_schemas(tmp_path, schema):
    """A main ledger of the same name does not get in the way, nor a TEMP
    table that shadows the entry table."""
    connection = apsw.Connection(str(tmp_path / "main.db"))
    load_apsw(connection)
    cursor = connection.cursor()

    def run(sql, bindings=()):
        return cursor.execute(sql, bindings).fetchall()

    s = '"' + schema.replace('"', '""') + '"'
    if schema != "temp":
        run(f"ATTACH ? AS {s}", (str(tmp_path / "side.db"),))
    run(f"CREATE VIRTUAL TABLE {s}.l USING ledger(a TEXT INDEXED, b ANY)")
    run("CREATE VIRTUAL TABLE main.l USING ledger(a TEXT INDEXED, c BLOB)")
    if schema != "temp":
        run("CREATE TEMP TABLE l_entry(seq, at, a, hash, node)")
    for i in range(5):
        run(f"INSERT INTO {s}.l(a) VALUES (?)", (f"s{i}",))
        if i < 2:
            run("INSERT INTO main.l(a) VALUES (?)", (f"m{i}",))
    assert run("SELECT ledger_size(?)", (f"{schema}.l",)) == [(5,)]
    assert run("SELECT ledger_size('main.l'), ledger_size('l')") == [(2, 2)]
    for name in (f"{schema}.l", "l", "main.l"):
        assert run("SELECT * FROM ledger_verify(?)", (name,)) == []
    assert run(f"SELECT a FROM {s}.l WHERE a = 's3'") == [("s3",)]
    assert run("SELECT a FROM main.l WHERE a >= 'm'") == [("m0",), ("m1",)]
    if schema != "temp":
        run("DROP TABLE temp.l_entry")
    for table in (f"{s}.l_entry", f"{s}.l", "main.l_entry", "main.l"):
        for verb in (f"UPDATE {table} SET a = 'x'", f"DELETE FROM {table}"):
            with pytest.raises(apsw.Error, match="ledger l is append-only"):
                run(verb)
    assert run("SELECT ledger_head(?) <> ledger_head('main.l')",
               (f"{schema}.l",)) == [(1,)]
    assert [row for row in run("SELECT * FROM holdfast_check")
            if row[0] != "journal_mode"] == []
    connection.close()


def test_attached_again_under_another_name(tmp_path):
    connection = apsw.Connection(":memory:")
    load_apsw(connection)
    cursor = connection.cursor()
    path = str(tmp_path / "side.db")
    heads = []
    for i, schema in enumerate(("one", "two", "one", "three")):
        cursor.execute(f"ATTACH ? AS {schema}", (path,))
        if i == 0:
            cursor.execute("CREATE VIRTUAL TABLE one.l USING ledger(a TEXT)")
        cursor.execute(f"INSERT INTO {schema}.l(a) VALUES ('x')")
        assert cursor.execute(f"SELECT count(*) FROM {schema}.l").fetchall() \
            == [(i + 1,)]
        assert cursor.execute("SELECT * FROM ledger_verify(?)",
                              (f"{schema}.l",)).fetchall() == []
        heads.append(cursor.execute("SELECT ledger_head(?)",
                                    (f"{schema}.l",)).fetchall())
        cursor.execute(f"DETACH {schema}")
        with pytest.raises(apsw.Error, match="no such ledger"):
            cursor.execute("SELECT ledger_size(?)", (f"{schema}.l",))
    assert len({str(head) for head in heads}) == 4
    connection.close()


def test_in_memory_and_many():
    connection = apsw.Connection(":memory:")
    load_apsw(connection)
    cursor = connection.cursor()
    for i in range(20):
        cursor.execute(f"CREATE VIRTUAL TABLE l{i} USING ledger(a INTEGER)")
    cursor.execute("BEGIN")
    for n in range(10):
        for i in range(20):
            cursor.execute(f"INSERT INTO l{i}(a) VALUES (?)", (n * i,))
    cursor.execute("COMMIT")
    for i in range(20):
        assert cursor.execute("SELECT ledger_size(?)", (f"l{i}",)).fetchall() \
            == [(10,)]
        assert cursor.execute("SELECT * FROM ledger_verify(?)",
                              (f"l{i}",)).fetchall() == []
    heads = {cursor.execute("SELECT ledger_head(?)", (f"l{i}",)
                            ).fetchall()[0][0] for i in range(20)}
    assert len(heads) == 20
    connection.close()


# ---- DROP TABLE -------------------------------------------------------------

def test_drop_is_refused_once_there_are_entries(db):
    """SQLite passes on no words from there, only the code."""
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT INDEXED)")
    db.run("DROP TABLE l")
    assert db.run("SELECT name FROM sqlite_schema WHERE name LIKE 'l%'") == []
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT INDEXED)")
    db.run("INSERT INTO l(a) VALUES ('x')")
    for sql in ("DROP TABLE l", "DROP TABLE IF EXISTS l",
                "DROP TABLE main.l"):
        db.fails(sql, "constraint failed")
    db.run("BEGIN")
    with pytest.raises(apsw.ConstraintError):
        db.run("DROP TABLE l")
    db.run("ROLLBACK")
    db.run("INSERT INTO l(a) VALUES ('y')")
    assert db.run("SELECT seq, a FROM l") == [(1, "x"), (2, "y")]
    assert db.verify() == []


def test_drop_always(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT INDEXED, drop='always')")
    db.run("INSERT INTO l(a) VALUES ('x')")
    db.run("DROP TABLE l")
    assert db.run("SELECT name FROM sqlite_schema WHERE name LIKE 'l%'") == []
    assert db.run("SELECT * FROM holdfast_guard") == []
