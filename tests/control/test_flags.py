"""Flags: what may be set, what is read, and what is read while the kill switch
is on."""
import apsw
import pytest

import conftest

FLAGS = """
INSERT INTO flag(name, kind, default_value, safe_value, allowed) VALUES
  ('MODE',  'enumeration', 'compact', 'none', '["none","compact","verbose"]'),
  ('UI',    'boolean', '0', '0', NULL),
  ('WATCH', 'boolean', '1', '1', NULL),
  ('LEVEL', 'integer', '2', '1', '[1, 3]'),
  ('COUNT', 'integer', '0', '0', NULL),
  ('SHARE', 'real', '0.5', '0', '[0, 1]'),
  ('TITLE', 'text', '', 'closed', NULL)"""
SET = "INSERT OR REPLACE INTO settings(key, value) VALUES (?, ?)"


@pytest.fixture(name="flags")
def defined(db):
    db.run(FLAGS)
    return db


def read(db, name):
    return db.run("SELECT value, stored, source FROM flag_value"
                  " WHERE name = ?", (name,))[0]


@pytest.mark.parametrize("name, value", [
    ("MODE", "verbose"), ("mode", "none"), ("UI", "1"), ("UI", 1),
    ("LEVEL", "3"), ("LEVEL", 1), ("COUNT", "-9223372036854775808"),
    ("COUNT", "9223372036854775807"), ("SHARE", "0.25"), ("SHARE", 1),
    ("SHARE", "1e-3"), ("TITLE", "it's"), ("TITLE", ""),
])
def test_what_is_taken(flags, name, value):
    flags.run(SET, (name, value))
    assert read(flags, name) == (str(value), str(value), "stored")
    flags.run("UPDATE settings SET value = ? WHERE key = ?", (value, name))


@pytest.mark.parametrize("name, value, words", [
    ("MODE", "LOUD", "MODE takes one of none, compact, verbose, not LOUD"),
    ("MODE", None, "MODE takes one of none, compact, verbose, not NULL"),
    ("MODE", "", "MODE takes one of none, compact, verbose, not "),
    ("UI", "true", "UI takes 0 or 1, not true"), ("UI", "2", "takes 0 or 1"),
    ("UI", None, "UI takes 0 or 1, not NULL"), ("UI", "01", "takes 0 or 1"),
    ("LEVEL", "4", "LEVEL takes a whole number from 1 to 3, not 4"),
    ("LEVEL", "0", "from 1 to 3, not 0"), ("LEVEL", "2.0", "not 2.0"),
    ("LEVEL", "02", "not 02"), ("LEVEL", " 2", "not  2"), ("LEVEL", "two", ""),
    ("COUNT", "9223372036854775808", "COUNT takes a whole number, not 9223"),
    ("COUNT", "1e3", "not 1e3"), ("COUNT", "-0", "not -0"),
    ("SHARE", "1.001", "SHARE takes a number from 0 to 1, not 1.001"),
    ("SHARE", "-1e-9", "from 0 to 1"), ("SHARE", "half", "not half"),
    ("SHARE", "", "takes a number"), ("SHARE", " 0.5", "takes a number"),
    ("SHARE", "0.5\0x", "takes a number"), ("SHARE", "0x1", "takes a number"),
    ("SHARE", "true", "takes a number"), ("SHARE", '"1"', "takes a number"),
    ("TITLE", None, "TITLE takes a text, not NULL"),
    ("MODES", "none", "settings: there is no flag MODES; define it with"),
])
def test_what_is_not(flags, name, value, words):
    flags.fails(SET, words, (name, value))
    flags.fails("INSERT OR IGNORE INTO settings(key, value) VALUES (?, ?)",
                words, (name, value))
    flags.run("INSERT INTO settings(key, value) SELECT name, default_value"
              " FROM flag WHERE kind <> 'switch'")
    if name != "MODES":
        flags.fails("UPDATE OR IGNORE settings SET value = ? WHERE key = ?",
                    words, (value, name))


def test_all_or_none(flags):
    flags.fails("INSERT INTO settings(key, value) VALUES ('MODE', 'none'),"
                " ('LEVEL', '3'), ('LEVELS', '1')", "there is no flag LEVELS")
    flags.fails("INSERT INTO settings(key, value) VALUES ('MODE', 'none'),"
                " ('LEVEL', '9')", "LEVEL takes a whole number")
    flags.run("INSERT INTO settings(key, value) VALUES ('MODE', 'none'),"
              " ('LEVEL', '3')")
    flags.fails("UPDATE settings SET value = '1'"
                " WHERE key IN ('LEVEL', 'MODE')", "MODE takes one of")


def test_safe_values_while_the_switch_is_on(flags):
    flags.run("INSERT INTO settings(key, value) VALUES ('MODE', 'verbose'),"
              " ('WATCH', '0'), ('KILLSWITCH_QUIET_MS', '5')")
    flags.engage()
    assert read(flags, "MODE") == ("none", "verbose", "safe")
    assert read(flags, "WATCH") == ("1", "0", "safe")
    assert read(flags, "LEVEL") == ("1", None, "safe")
    assert read(flags, "KILLSWITCH_QUIET_MS") == ("5", "5", "stored")
    flags.run("UPDATE settings SET value = 'compact' WHERE key = 'MODE'")
    assert read(flags, "MODE") == ("none", "compact", "safe")
    flags.run("UPDATE settings SET value = '0', updated_by = 'a', reason = 'b',"
              " approved_by = 'c' WHERE key = 'DISABLE_NEW'")
    assert read(flags, "MODE") == ("compact", "compact", "stored")
    assert read(flags, "WATCH") == ("0", "0", "stored")
    assert read(flags, "LEVEL") == ("2", None, "default")


def test_another_connection_reads_it_at_once(flags):
    other = type(flags)(flags.path)
    assert read(other, "MODE") == ("compact", None, "default")
    flags.run(SET, ("MODE", "verbose"))
    assert read(other, "MODE")[0] == "verbose"
    other.close()


DEFINE = ("INSERT INTO flag(name, kind, default_value, safe_value, allowed)"
          " VALUES (?, ?, ?, ?, ?)")


@pytest.mark.parametrize("row, words", [
    (("X", "bool", "0", "0", None), "flag: kind: switch, boolean, integer"),
    (("X", None, "0", "0", None), "flag: kind: switch, boolean, integer"),
    (("", "text", "", "", None), "flag: name is ASCII"),
    ((" X", "text", "", "", None), "flag: name is ASCII"),
    (("É", "text", "", "", None), "flag: name is ASCII"),
    ((None, "text", "", "", None), "flag: name is ASCII"),
    (("X\0", "text", "", "", None), "flag: name is ASCII"),
    (("X", "enumeration", "a", "a", None), "a JSON array of texts"),
    (("X", "enumeration", "a", "a", "[]"), "a JSON array of texts"),
    (("X", "enumeration", "a", "a", "a,b"), "malformed JSON"),
    (("X", "enumeration", "1", "1", "[1]"), "a JSON array of texts"),
    (("X", "enumeration", "c", "a", '["a","b"]'), "X takes one of a, b, not c"),
    (("X", "enumeration", "a", "c", '["a","b"]'), "X takes one of a, b, not c"),
    (("X", "integer", "1", "1", "[1]"), "the JSON array [least, greatest]"),
    (("X", "integer", "1", "1", '["1","2"]'), "[least, greatest]"),
    (("X", "real", "1", "1", "{}"), "[least, greatest]"),
    (("X", "integer", "5", "1", "[1,3]"), "from 1 to 3, not 5"),
    (("X", "integer", "1", "5", "[1,3]"), "from 1 to 3, not 5"),
    (("X", "integer", None, "1", None), "X takes a whole number, not NULL"),
    (("X", "boolean", "0", "0", "[0,1]"), "flag: allowed is for numbers and"),
    (("X", "switch", "1", "1", None), "flag: a switch has the default 0"),
    (("X", "switch", "0", "0", None), "flag: a switch has the default 0"),
])
def test_bad_definitions(flags, row, words):
    flags.fails(DEFINE, words, row)
    flags.fails(DEFINE.replace("INSERT", "INSERT OR IGNORE"), words, row)


@pytest.mark.parametrize("sql, words", [
    ("UPDATE flag SET allowed = '[3,9]', default_value = 3, safe_value = 3"
     " WHERE name = 'LEVEL'", "LEVEL takes a whole number from 3 to 9, not 1"),
    ("INSERT OR REPLACE INTO flag VALUES ('LEVEL', 'boolean', '0', '0', NULL,"
     " '')", None),
    ("UPDATE flag SET name = 'level' WHERE name = 'LEVEL'", "a name stays"),
    ("UPDATE flag SET kind = 'switch', default_value = 0, safe_value = 1,"
     " allowed = NULL WHERE name = 'LEVEL'", "a switch stays a switch"),
    ("DELETE FROM flag WHERE name = 'LEVEL'", "there is a setting of that"),
    ("DELETE FROM flag WHERE name = 'KILLSWITCH_QUIET_MS'", "the limits of a"),
    ("UPDATE flag SET allowed = '[0, 1000000]' WHERE name ="
     " 'KILLSWITCH_QUIET_MS'", "the limits of a reset keep their definition"),
])
def test_redefinitions(flags, sql, words):
    flags.run(SET, ("LEVEL", "1"))
    if words is None:  # recursive_triggers decides whether it is a deletion
        if flags.value("PRAGMA recursive_triggers"):
            flags.fails(sql, "there is a setting of that name")
        else:
            flags.run(sql)
    else:
        flags.fails(sql, words)


def test_safe_values_stay_while_the_switch_is_on(flags):
    flags.engage()
    words = "flag: safe values do not change while the kill switch is on"
    flags.fails("UPDATE flag SET safe_value = '1' WHERE name = 'UI'", words)
    flags.fails("REPLACE INTO flag VALUES ('UI', 'boolean', '0', '1', NULL,"
                " '')", words)
    flags.fails("DELETE FROM flag WHERE name = 'UI'", words)
    flags.run("UPDATE flag SET description = 'x' WHERE name = 'UI'")
    flags.run("INSERT INTO flag VALUES ('NEW', 'text', 'a', 'b', NULL, '')")
    assert read(flags, "NEW") == ("b", None, "safe")


# ---- flag(name) --------------------------------------------------------------


@pytest.fixture(name="f")
def with_extension(tmp_path):
    f = conftest.Database(tmp_path / "f.db", loaded=True)
    f.run("SELECT holdfast_install('control');"
          " INSERT INTO flag(name, kind, default_value, safe_value)"
          " VALUES ('COLOUR', 'text', 'red', 'grey')")
    yield f
    f.close()


def test_flag(f, tmp_path):
    other = apsw.Connection(str(tmp_path / "f.db"))
    put = other.cursor().execute
    assert f.run("SELECT flag('COLOUR'), flag('colour'), flag(NULL)") == [
        ("red", "red", None)]
    put("INSERT INTO settings(key, value) VALUES ('COLOUR', 'blue')")
    assert f.value("SELECT flag('COLOUR')") == "blue"
    f.run("BEGIN; UPDATE settings SET value = 'green' WHERE key = 'COLOUR'")
    assert f.value("SELECT flag('COLOUR')") == "green"
    f.run("ROLLBACK")
    assert f.value("SELECT flag('COLOUR')") == "blue"
    put("INSERT OR REPLACE INTO settings (key, value)"
        " VALUES ('DISABLE_NEW', '1')")
    assert f.run("SELECT flag('COLOUR'), flag('DISABLE_NEW')") == [
        ("grey", "1")]
    other.close()


def test_flag_is_flag_value_whatever_is_set(f):
    """The function and the view agree."""
    f.run("INSERT INTO flag(name, kind, default_value, safe_value) VALUES"
          " ('UI', 'boolean', '0', '1'), ('STOP', 'switch', '0', '1'),"
          " ('LEVEL', 'integer', '2', '1')")
    same = ("SELECT name, value, flag(name), flag(lower(name)) FROM flag_value"
            " WHERE value IS NOT flag(name) OR value IS NOT flag(lower(name))")
    for switch in ("0", "1", None, "off", ""):
        f.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        f.run("REPLACE INTO settings(key, value) VALUES ('DISABLE_NEW', ?)",
              (switch,))
        for ui in ("0", "1"):
            f.run("REPLACE INTO settings(key, value) VALUES ('UI', ?)", (ui,))
            for stop in ("0", "1", "garbage", "", None):
                f.run("REPLACE INTO settings(key, value) VALUES ('STOP', ?),"
                      " ('COLOUR', ?), ('LEVEL', ?),"
                      " ('KILLSWITCH_QUIET_MS', '5')", (stop, stop, stop))
                assert f.run(same) == []
    f.run("DELETE FROM settings")
    assert f.run(same) == []


@pytest.mark.parametrize("argument, words", [
    ("'NONE'", "flag: there is no flag NONE; define it with INSERT INTO flag"),
    ("''", "flag: there is no flag ; define it"), ("5", "there is no flag 5"),
    ("x'434f4c4f5552'", "there is no flag COLOUR"),
    ("'COLOUR' || char(0)", "there is no flag COLOUR")])
def test_flags_that_are_none(f, argument, words):
    f.fails(f"SELECT flag({argument})", words)


def test_flag_in_views_and_triggers(f):
    f.run("CREATE TABLE t(x); CREATE VIEW v AS SELECT flag('COLOUR') AS c;"
          " CREATE TRIGGER g BEFORE INSERT ON t WHEN flag('COLOUR') IS NOT"
          " 'red' BEGIN SELECT RAISE(ABORT, 'red only'); END")
    f.run("PRAGMA trusted_schema = OFF")
    f.run("INSERT INTO t VALUES (1), (2)")
    assert f.value("SELECT c FROM v") == "red"
    f.run("INSERT INTO settings(key, value) VALUES ('COLOUR', 'blue')")
    f.fails("INSERT INTO t VALUES (3)", "red only")


def test_flag_is_not_led_astray(f):
    f.run("CREATE TEMP TABLE flag_value(name, value);"
          " INSERT INTO flag_value VALUES ('COLOUR', 'black')")
    assert f.value("SELECT flag('COLOUR')") == "red"


def test_flag_outlives_the_schema_and_closes(tmp_path):
    connection = apsw.Connection(str(tmp_path / "n.db"))
    conftest.load_apsw(connection)
    run = connection.cursor().execute
    with pytest.raises(apsw.Error) as error:
        run("SELECT flag('A')")
    assert "there are no flags in main; SELECT holdfast_install('control')" \
        in str(error.value)
    run("SELECT holdfast_install('control')").fetchall()
    for _ in range(3):
        assert run("SELECT flag('DISABLE_NEW')").fetchall() == [("0",)]
        run("CREATE TABLE t(x); DROP TABLE t").fetchall()
    connection.close(force=False)  # no statement holds it up


def test_flag_where_the_keeping_table_is_taken(tmp_path):
    connection = apsw.Connection(str(tmp_path / "n.db"))
    conftest.load_apsw(connection)
    run = connection.cursor().execute
    run("SELECT holdfast_install('control'); CREATE TABLE holdfast_kept(x)"
        ).fetchall()
    assert run("SELECT flag('DISABLE_NEW')").fetchall() == [("0",)]
    connection.close(force=False)
