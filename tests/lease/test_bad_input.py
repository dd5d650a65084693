"""What nobody should give, to each door and each wall: every time an error
that says which object, which rule and what to do, and nothing changed."""
import apsw
import pytest

from leasing import acquire, l, once  # noqa: F401

# A call of each door, its arguments by name; times are given everywhere.
DOORS = {
    "acquire": "lease_acquire(:l, :resource, :holder, :ttl, :wait, :now)",
    "renew": "lease_renew(:l, :resource, :token, :ttl, :now)",
    "release": "lease_release(:l, :resource, :token, :now)",
    "release_all": "lease_release_all(:l, :holder, :now)",
    "holds": "lease_holds(:l, :resource, :token, :now)",
    "steal": "lease_steal(:l, :resource, :token, :holder, :why, :now)",
    "transfer": "lease_transfer(:l, :resource, :token, :holder, :now)",
}
GOOD = {"l": "l", "resource": "r", "holder": "b", "ttl": 100, "wait": 0,
        "now": 10, "token": 1, "why": "stuck"}

# Texts that are not UTF-8 can only be made in SQL.
BAD_TEXT = ["NULL", "''", "5", "1.5", "x'72'", "x''", "'a' || char(0) || 'b'",
            "char(0)", "hex(zeroblob(500000))", "hex(zeroblob(512)) || 'x'",
            "CAST(x'ff' AS TEXT)", "CAST(x'c080' AS TEXT)",
            "CAST(x'eda080' AS TEXT)", "CAST(x'f4908080' AS TEXT)",
            "CAST(x'72c3' AS TEXT)"]
RULE = "must be TEXT of 1 to 1024 bytes of UTF-8 without NUL"
BAD_TTL = [0, -1, 5001, 2**63 - 1, -2**63, 2**40, 1.5, "5", "", b"5",
           float("inf")]
BAD_NOW = [-1, -2**63, 2**52 + 1, 2**63 - 1, 1.5, "5", "", b"5",
           float("-inf")]


def call(door, **given):
    """SELECT of the door, in which some arguments are SQL."""
    sql = DOORS[door]
    for name, text in given.items():
        sql = sql.replace(":" + name, f"({text})")
    return "SELECT " + sql


def fails(db, sql, message, **bindings):
    """It fails with exactly this message, and nothing changed."""
    before = db.state()
    with pytest.raises(apsw.Error) as error:
        db.run(sql, {**GOOD, **bindings})
    assert str(error.value).split("Error: ", 1)[1] == message
    assert db.state() == before
    assert db.connection.getautocommit()
    return error.value


def takes(name):
    return [door for door, sql in DOORS.items() if ":" + name in sql]


@pytest.fixture
def row(l):
    assert acquire(l, "r", "a", 0) == 1
    return l


# ---- texts ------------------------------------------------------------------

@once
@pytest.mark.parametrize("text", BAD_TEXT)
def test_resources(row, text):
    message = f"lease l: the resource {RULE}"
    for door in takes("resource"):
        if door == "holds" and text == "NULL":
            assert row.run(call(door, resource=text), GOOD) == [(0,)]
        else:
            fails(row, call(door, resource=text), message)
    for verb in ("INSERT", "INSERT OR REPLACE", "INSERT OR ABORT", "REPLACE"):
        fails(row, f"{verb} INTO l(resource, holder, now) VALUES ({text}, 'b',"
              " 10)", message)
    # To look for one is no error: there is none.
    if text not in ("NULL", "5", "1.5"):
        assert row.run(f"SELECT * FROM l WHERE resource = {text} AND now = 1"
                       ) == []


@once
@pytest.mark.parametrize("text", BAD_TEXT)
def test_holders(row, text):
    message = f"lease l: the holder {RULE}"
    for door in takes("holder"):
        fails(row, call(door, holder=text), message)
    for verb in ("INSERT", "INSERT OR REPLACE", "INSERT OR ABORT", "REPLACE"):
        fails(row, f"{verb} INTO l(resource, holder, now) VALUES ('s', {text},"
              " 10)", message)


@once
@pytest.mark.parametrize("text", BAD_TEXT)
def test_reasons(row, text):
    fails(row, call("steal", why=text), f"lease l: the reason {RULE}")


@once
def test_the_longest_names_that_are_good(row):
    long = "\u00e9" * 512
    assert row.value("SELECT lease_acquire('l', ?1, ?1, 9, 0, 5)", (long,)) \
        == 2
    assert row.value("SELECT lease_steal('l', ?1, 2, ?1, ?1, 6)", (long,)) == 3
    assert row.run("SELECT resource = ?1 AND holder = ?1 FROM l_held"
                   " WHERE token = 3", (long,)) == [(1,)]


# ---- numbers ----------------------------------------------------------------

@once
@pytest.mark.parametrize("ttl", BAD_TTL)
def test_terms(row, ttl):
    message = ("lease l: ttl_ms must be an INTEGER from 1 to 5000, its"
               " max_ttl_ms")
    for door in takes("ttl"):
        fails(row, "SELECT " + DOORS[door], message, ttl=ttl)
    fails(row, "INSERT INTO l(resource, holder, ttl_ms, now) VALUES ('s', 'b',"
          " :ttl, 10)", message, ttl=ttl)
    fails(row, "UPDATE l SET ttl_ms = :ttl WHERE token = 1 AND now = 10",
          message, ttl=ttl)


@once
def test_the_greatest_terms_that_are_good(db):
    db.run(f"CREATE VIRTUAL TABLE l USING lease(max_ttl_ms={2**40},"
           f" ttl_ms={2**40}, clock='caller')")
    assert db.value("SELECT lease_acquire('l', 'r', 'a', ?, 0, ?)",
                    (2**40, 2**52)) == 1
    assert db.run("SELECT expires_at FROM l WHERE now = 5") \
        == [(2**52 + 2**40,)]
    message = (f"lease l: ttl_ms must be an INTEGER from 1 to {2**40}, its"
               " max_ttl_ms")
    for ttl in (2**40 + 1, 2**63 - 1):
        fails(db, "SELECT " + DOORS["acquire"], message, ttl=ttl)
    for options, key in ((f"ttl_ms={2**40 + 1}", "ttl_ms"),
                         (f"max_ttl_ms={2**63 - 1}", "max_ttl_ms")):
        fails(db, f"CREATE VIRTUAL TABLE k USING lease({options})",
              f"lease k: {key} must be a whole number from 1 to {2**40}")


@once
@pytest.mark.parametrize("now", BAD_NOW)
def test_times(row, now):
    message = ("lease l: now must be an INTEGER, milliseconds since 1970, at"
               " most 4503599627370496")
    for door in takes("now"):
        fails(row, "SELECT " + DOORS[door], message, now=now)
    for sql in ("INSERT INTO l(resource, holder, now) VALUES ('s', 'b', :now)",
                "SELECT * FROM l WHERE now = :now",
                "UPDATE l SET ttl_ms = 5 WHERE now = :now",
                "DELETE FROM l WHERE now = :now"):
        fails(row, sql, message, now=now)


@once
@pytest.mark.parametrize("now", [0, 5, 2**52, 2**63 - 1, "5", 1.5])
def test_times_where_the_clock_is_the_system_s(db, now):
    db.run("CREATE VIRTUAL TABLE l USING lease")
    db.run("SELECT lease_acquire('l', 'r', 'a')")
    message = ("lease l: it reads the clock itself; clock='caller' takes a"
               " given time")
    for door in takes("now"):
        fails(db, "SELECT " + DOORS[door], message, now=now)
    for sql in ("INSERT INTO l(resource, holder, now) VALUES ('s', 'b', :now)",
                "SELECT * FROM l WHERE now = :now",
                "DELETE FROM l WHERE now = :now"):
        fails(db, sql, message, now=now)


@once
@pytest.mark.parametrize("wait", [-1, -2**63, 1.5, "5", "", b"5",
                                  float("inf")])
def test_waits(row, wait):
    fails(row, "SELECT " + DOORS["acquire"], "lease_acquire: wait_ms must be an"
          " INTEGER of milliseconds, from 0 to 1099511627776", wait=wait)


@once
def test_a_wait_in_a_transaction(row):
    row.run("BEGIN")
    with pytest.raises(apsw.SQLError) as error:
        row.run("SELECT " + DOORS["acquire"], {**GOOD, "wait": 1})
    row.run("ROLLBACK")
    assert str(error.value) == (
        "SQLError: lease_acquire: it waits only outside a transaction, for"
        " nobody could release the lease meanwhile")


@once
def test_waits_that_are_too_long(row):
    for wait in (2**40 + 1, 2**63 - 1):
        with pytest.raises(apsw.SQLError):
            row.run("SELECT " + DOORS["acquire"], {**GOOD, "wait": wait})


@once
@pytest.mark.parametrize("token", [None, "1", "", 1.5, b"\1", float("inf")])
def test_tokens_of_another_type(row, token):
    for door in takes("token"):
        if door == "holds" and token is None:
            continue
        fails(row, "SELECT " + DOORS[door],
              f"lease_{door}: the token must be an INTEGER", token=token)


@once
@pytest.mark.parametrize("token", [0, -1, 2, 2**63 - 1, -2**63])
def test_tokens_that_were_never_given(row, token):
    before = row.state()
    for door in takes("token"):
        assert row.run("SELECT " + DOORS[door], {**GOOD, "token": token}) \
            == [(0 if door in ("release", "holds") else None,)]
    for sql in ("UPDATE l SET ttl_ms = 5 WHERE token = :token AND now = 10",
                "DELETE FROM l WHERE token = :token AND now = 10"):
        row.run(sql, {"token": token})
        assert row.connection.changes() == 0
    assert row.state() == before


@once
def test_there_is_an_end_of_tokens(row):
    """After the last one the table says so, and never begins again."""
    row.run("DROP TRIGGER lease_high_water_update")
    row.run("UPDATE lease_high_water SET token = ?", (2**63 - 2,))
    sql = call("acquire", resource="'s'")
    fails(row, sql, "lease l: there are no more tokens")
    row.run("UPDATE lease_high_water SET token = ?", (2**63 - 3,))
    assert row.run(sql, GOOD) == [(2**63 - 2,)]
    fails(row, call("acquire", resource="'t'"),
          "lease l: there are no more tokens")


# ---- the wrong table --------------------------------------------------------

@once
@pytest.mark.parametrize("name, told", [
    ("x", "main.x"), ("", "main."), ("work", "main.work"), ("v", "main.v"),
    ("l_held", "main.l_held"), ("lease_high_water", "main.lease_high_water"),
    ("temp.l", "temp.l"), ("aux.l", "aux.l"), ("nowhere.l", "main.nowhere.l"),
    ("sqlite_schema", "main.sqlite_schema"), (".l", "main..l"),
    ("l.", "main.l."), ('"l"', 'main."l"'), ("e", "main.e"),
])
def test_names_of_no_lease_table(row, name, told):
    row.run("CREATE VIEW v AS SELECT * FROM l; CREATE VIRTUAL TABLE e USING"
            " ledger(x TEXT); ATTACH ':memory:' AS aux")
    for door in DOORS:
        fails(row, "SELECT " + DOORS[door], f"no such lease table: {told}",
              l=name)
    fails(row, "SELECT lease_guard('work', :l, 'task', 'token')",
          f"no such lease table: {told}", l=name)


@once
@pytest.mark.parametrize("name", [None, 5, 1.5])
def test_names_that_are_no_text(row, name):
    for door in DOORS:
        if door == "holds" and name is None:
            continue
        fails(row, "SELECT " + DOORS[door],
              f"lease_{door}: the name of the lease table is missing", l=name)


@once
def test_other_spellings_of_the_same_table(row):
    for i, name in enumerate(("L", "main.l", "MAIN.L", "Main.l"), 2):
        assert row.run(call("acquire", resource=f"'x{i}'"),
                       {**GOOD, "l": name}) == [(i,)]


@once
def test_attached_and_temporary_tables(row):
    row.run("ATTACH ':memory:' AS aux")
    for schema in ("temp", "aux"):
        row.run(f"CREATE VIRTUAL TABLE {schema}.k USING lease(clock='caller')")
        name = schema + ".k"
        assert row.run("SELECT " + DOORS["acquire"], {**GOOD, "l": name}) \
            == [(1,)]
        fails(row, f"INSERT INTO {name}(resource, holder, now) VALUES ('r',"
              " 'c', 10)", "lease k: r is held by b with token 1 for another"
              " 100 ms")
        fails(row, "SELECT lease_guard('work', :l, 'task', 'token')",
              f"lease_guard: work is in main and k in {schema}; triggers do"
              " not reach other databases", l=name)
        assert row.run(f"SELECT holder FROM {name} WHERE now = 10") == [("b",)]
    fails(row, "SELECT " + DOORS["acquire"], "no such lease table: main.k",
          l="k")


# ---- UPDATE and INSERT of what is not theirs --------------------------------

@once
@pytest.mark.parametrize("column", ["token", "acquired_at", "expires_at",
                                    "renewals", "rowid"])
@pytest.mark.parametrize("verb", ["INSERT", "INSERT OR IGNORE", "REPLACE"])
def test_columns_that_are_decided(row, verb, column):
    fails(row, f"{verb} INTO l(resource, holder, {column}, now)"
          " VALUES ('s', 'b', 7, 10)", "lease l: token, acquired_at, expires_at"
          " and renewals are decided here; give resource, holder, ttl_ms and"
          " detail")


@once
@pytest.mark.parametrize("change", [
    "resource = 's'", "holder = 'b'", "token = 9", "rowid = 9", "token = NULL",
    "acquired_at = 5", "expires_at = 99999", "renewals = 5", "resource = NULL"])
@pytest.mark.parametrize("verb", ["UPDATE", "UPDATE OR IGNORE",
                                  "UPDATE OR REPLACE"])
def test_columns_that_an_update_cannot_set(row, verb, change):
    fails(row, f"{verb} l SET ttl_ms = 9, {change} WHERE now = 10",
          "lease l: an UPDATE sets ttl_ms, detail or both, and so renews")


@once
def test_the_number_of_arguments(row):
    for door, counts in (("acquire", (3, 6)), ("renew", (3, 5)),
                         ("release", (3, 4)), ("release_all", (2, 3)),
                         ("holds", (3, 4)), ("steal", (5, 6)),
                         ("transfer", (4, 5)), ("guard", (4, 4)),
                         ("unguard", (1, 1)), ("deciding", (3, 3))):
        for n in (0, counts[0] - 1, counts[1] + 1):
            marks = ", ".join(["'l'"] * n)
            fails(row, f"SELECT lease_{door}({marks})",
                  f"wrong number of arguments to function lease_{door}()")
