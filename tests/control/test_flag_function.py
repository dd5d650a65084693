"""flag(): what it reads is kept no longer than it is true."""
import apsw
import pytest

from conftest import Database


@pytest.fixture(name="f", params=["wal", "delete", "memory"])
def flags(request, tmp_path):
    memory = request.param == "memory"
    db = Database(":memory:" if memory else tmp_path / "f.db", loaded=True,
                  journal="wal" if memory else request.param)
    define(db, "blue")
    yield db
    db.close()


def define(db, value):
    db.run("SELECT holdfast_install('control')")
    db.run("INSERT INTO flag(name, kind, default_value, safe_value)"
           " VALUES ('COLOUR', 'text', 'red', 'grey')")
    db.run("INSERT INTO settings(key, value) VALUES ('COLOUR', ?)", (value,))


def colour(db, name="COLOUR"):
    """Three times: read, kept, and recalled."""
    values = {db.value("SELECT flag(?)", (name,)) for _ in range(3)}
    assert len(values) == 1
    return values.pop()


def reading(db):
    db.run("BEGIN")
    db.run("SELECT count(*) FROM settings")


def steps(db, sql):
    count = 0

    def step():
        nonlocal count
        count += 1

    db.connection.setprogresshandler(step, 1)
    db.value(sql)
    db.connection.setprogresshandler(None)
    return count


def other(f, path="f.db"):
    return Database(f.path.replace("f.db", path), loaded=True)


def set_to(db, value):
    db.run("UPDATE settings SET value = ? WHERE key = 'COLOUR'", (value,))


def test_it_is_kept_in_a_transaction_that_reads(f):
    reading(f)
    first = steps(f, "SELECT flag('COLOUR')")
    assert steps(f, "SELECT flag('COLOUR')") < first / 2
    assert colour(f) == "blue"
    f.run("COMMIT; BEGIN IMMEDIATE")
    colour(f)
    assert steps(f, "SELECT flag('COLOUR')") > first / 2
    f.run("COMMIT")


def test_another_connection_changes_it(f):
    if f.path == ":memory:":
        return
    them = other(f)
    for value in ("green", "black", "white"):
        reading(f)
        before = colour(f)
        if f.setting[0] == "wal":
            set_to(them, value)
            assert colour(f) == before  # as all that the transaction reads
        f.run("COMMIT")
        set_to(them, value)
        assert colour(f) == value
        reading(f)
        assert colour(f) == value
        f.run("COMMIT")
    reading(f)
    colour(f)
    f.run("COMMIT")
    them.engage()
    reading(f)
    assert colour(f) == "grey"
    f.run("COMMIT")
    them.close()


@pytest.mark.parametrize("write", [
    "UPDATE settings SET value = 'green' WHERE key = 'COLOUR'",
    "INSERT OR REPLACE INTO settings(key, value) VALUES ('COLOUR', 'green')",
    "INSERT INTO paint VALUES ('green')",
    "UPDATE flag SET default_value = 'green' WHERE name = 'COLOUR';"
    " DELETE FROM settings WHERE key = 'COLOUR'",
    "UPDATE flag SET default_value = 'green', safe_value = 'green' WHERE"
    " name = 'COLOUR'; DROP TRIGGER settings_deleted; DELETE FROM settings",
    "DROP VIEW flag_value; CREATE VIEW flag_value AS SELECT 'COLOUR' AS name,"
    " 'green' AS value",
])
def test_the_transaction_changes_it_itself(f, write):
    f.run("CREATE TABLE paint(value); CREATE TRIGGER paints AFTER INSERT ON"
          " paint BEGIN UPDATE settings SET value = NEW.value WHERE key ="
          " 'COLOUR'; END")
    reading(f)
    assert colour(f) == "blue"
    f.run("SAVEPOINT s")
    f.run(write)
    assert colour(f) == "green"
    f.run("ROLLBACK TO s")
    assert colour(f) == "blue"
    f.run("RELEASE s")
    f.run(write)
    assert colour(f) == "green"
    f.run("ROLLBACK")
    assert colour(f) == "blue"
    reading(f)
    assert colour(f) == "blue"
    f.run(write)
    assert colour(f) == "green"
    f.run("COMMIT")
    assert colour(f) == "green"
    reading(f)
    assert colour(f) == "green"
    f.run("COMMIT")


def test_in_the_statement_that_changes_it(f):
    f.run("CREATE TABLE seen(value)")
    f.run("CREATE TRIGGER sees AFTER UPDATE OF value ON settings BEGIN"
          " INSERT INTO seen VALUES (flag('COLOUR')); END")
    reading(f)
    assert colour(f) == "blue"
    set_to(f, "green")
    f.run("COMMIT")
    assert f.run("SELECT value FROM seen") == [("green",)]


def test_a_copy_comes_over_it(f, tmp_path):
    them = Database(tmp_path / "copy.db", loaded=True)
    define(them, "green")
    reading(f)
    assert colour(f) == "blue"
    f.run("COMMIT")
    with f.connection.backup("main", them.connection, "main") as copy:
        copy.step()
    reading(f)
    assert colour(f) == "green"
    f.run("COMMIT")
    them.close()


def test_another_database_takes_its_place(f, tmp_path):
    """The versions of the data are counted anew then."""
    images = []
    for value in ("green", "black"):
        them = Database(tmp_path / f"{value}.db", loaded=True, journal="delete")
        define(them, value)
        images.append(them.connection.serialize("main"))
        them.close()
    for _ in range(3):
        for value, image in zip(("green", "black"), images):
            reading(f)
            colour(f)
            f.run("COMMIT")
            f.connection.deserialize("main", image)
            for _ in range(3):
                reading(f)
                assert colour(f) == value
                f.run("COMMIT")


def test_other_schemas_say_nothing(f, tmp_path):
    them = Database(tmp_path / "a.db", loaded=True)
    define(them, "green")
    them.close()
    f.run("ATTACH ? AS a", (str(tmp_path / "a.db"),))
    f.run("CREATE TEMP TABLE settings(key, value)")
    f.run("CREATE TEMP TABLE flag_value(name, value)")
    f.run("INSERT INTO temp.flag_value VALUES ('COLOUR', 'green')")
    f.run("BEGIN; SELECT * FROM main.flag")
    assert colour(f) == "blue"
    f.run("UPDATE a.settings SET value = 'black' WHERE key = 'COLOUR'")
    assert colour(f) == "blue"
    f.run("UPDATE main.settings SET value = 'white' WHERE key = 'COLOUR'")
    assert colour(f) == "white"
    f.run("ROLLBACK")


def test_more_flags_than_are_kept(f):
    names = [f"FLAG_{i}" for i in range(40)] + ["N" * 990, "M" * 1001]
    for name in names:
        f.run("INSERT INTO flag(name, kind, default_value, safe_value)"
              " VALUES (?, 'text', ?, '')", (name, "of " + name))
    reading(f)
    for _ in range(3):
        for name in names:
            assert colour(f, name) == "of " + name
        assert colour(f, "colour") == colour(f, "Colour") == "blue"
        f.fails("SELECT flag('COLOU')", "there is no flag COLOU;")
        f.fails("SELECT flag('COLOURb')", "there is no flag COLOURb;")
        assert f.value("SELECT flag(NULL)") is None
    f.run("COMMIT")
    with pytest.raises(apsw.Error):
        f.value("SELECT flag(5)")
