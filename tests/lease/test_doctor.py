"""holdfast_check on leases and their guards: each thing that is amiss, by name
and with what to do."""
import pytest

from leasing import once


@pytest.fixture(name="l")
def leases(db):
    db.run("CREATE VIRTUAL TABLE l USING lease;"
           " CREATE TABLE work(id INTEGER PRIMARY KEY, r TEXT, token INTEGER,"
           " u); SELECT lease_guard('work', 'l', 'r', 'token')")
    return db


def findings(db):
    return [row for row in db.run("SELECT * FROM holdfast_check")
            if row[0] != "journal_mode"]


def test_all_well(l):
    assert findings(l) == []


@pytest.mark.parametrize("sql, expected", [
    ("DROP TRIGGER l_held_insert", [(
        "guard_missing", "l_held_insert", "the trigger l_held_insert on"
        " main.l_held is gone; write it anew")]),
    ("DROP TRIGGER work_lease_update", [(
        "guard_missing", "work_lease_update", "the trigger work_lease_update"
        " on main.work is gone; write it anew")]),
    ("DROP TABLE l_event", [(
        "config_altered", "l_event", "the table behind l is missing; restore"
        " it")]),
    ("ALTER TABLE l_held ADD COLUMN more ANY", [(
        "config_altered", "l_held", "it is not the table that was made with l;"
        " restore it")]),
    ("CREATE UNIQUE INDEX later ON work(u)", [
        ("guard_altered", trigger, "it is not the one for work, its columns"
         " and its unique indexes as they are now; call lease_guard again")
        for trigger in ("work_lease_insert", "work_lease_update")]),
    ("CREATE UNIQUE INDEX later ON work(u + 1)", [
        ("guard_altered", "work_lease", "work has the unique index later, by"
         " which OR REPLACE could displace rows unseen; drop it")])])
def test_what_is_amiss(l, sql, expected):
    l.run(sql)
    assert findings(l) == expected


def test_a_guard_that_is_put_on_again(l):
    l.run("CREATE UNIQUE INDEX later ON work(u);"
          " SELECT lease_guard('work', 'l', 'r', 'token')")
    assert findings(l) == []


def test_a_trigger_of_the_same_name(l):
    l.run("DROP TRIGGER l_held_delete; CREATE TRIGGER l_held_delete BEFORE"
          " DELETE ON l_held BEGIN SELECT 1; END")
    assert [row[:2] for row in findings(l)] == [
        ("guard_altered", "l_held_delete")]


def test_the_highest_token_is_gone(l):
    l.run("DROP TABLE lease_high_water")
    assert ("config_altered", "lease_high_water", "the highest token and the"
            " latest time are missing; restore them") in findings(l)


def test_without_triggers_on_the_mark(l):
    l.run("DROP TRIGGER lease_high_water_delete; DELETE FROM lease_high_water")
    assert [row[1] for row in findings(l)] == [
        "lease_high_water_delete", "lease_high_water"]


def test_a_clock_that_is_behind(l, tmp_path):
    l.run("DROP TRIGGER lease_high_water_update;"
          " UPDATE lease_high_water SET now = now + 9000000000000")
    found = findings(l)
    assert [row[:2] for row in found] == [
        ("guard_missing", "lease_high_water_update"), ("clock_behind", "l")]
    assert "set it right" in found[1][2]


def test_an_attached_database(l, tmp_path):
    if not l.reopen:
        l.run("ATTACH ? AS 'other'", (str(tmp_path / "other.db"),))
        l.run("CREATE VIRTUAL TABLE other.m USING lease;"
              " DROP TABLE other.m_event")
        assert findings(l) == [(
            "config_altered", "m_event", "the table behind m is missing;"
            " restore it (in other)")]


@once
@pytest.mark.parametrize("declared", [
    "l USING/**/lease", "l USING--\n lease", "l/* USING x */USING\n\tlease()",
    "l\fUSING\f\"lease\"", "main . l USING [lease]", "'l'USING`lease`()",
    "[l] using LEASE(--\n)", "IF NOT EXISTS \"l\" /*'*/ USING 'lease'"])
def test_a_lease_table_however_it_is_declared(db, declared):
    db.run(f"CREATE VIRTUAL TABLE {declared}")
    assert findings(db) == []
    db.run("DROP TABLE l_event")
    assert findings(db) == [("config_altered", "l_event",
                             "the table behind l is missing; restore it")]


@once
def test_its_tokens_are_seen(db):
    """Nor is a mark begun anew under tokens that it has granted."""
    db.run("CREATE VIRTUAL TABLE l USING/**/lease;"
           " SELECT lease_acquire('l', 'r', 'a'); DROP TABLE lease_high_water")
    db.fails("CREATE VIRTUAL TABLE m USING lease", "lease_high_water is"
             " missing, but l has granted token 1")


@once
@pytest.mark.parametrize("sql", [
    "CREATE VIRTUAL TABLE \"a USING lease \" USING ledger(x TEXT)",
    "CREATE VIRTUAL TABLE f USING ledger(lease TEXT, \" USING lease \" ANY)",
    "CREATE VIRTUAL TABLE f USING ledger(x TEXT /* USING lease ( */)",
    "CREATE VIRTUAL TABLE \"f\"\" USING lease \" USING ledger(x TEXT)"])
def test_another_module_is_no_lease(l, sql):
    l.run(sql)
    assert findings(l) == []


@once
def test_the_same_in_two_databases(l, tmp_path):
    for other in ("other", "third"):
        l.run("ATTACH ? AS " + other, (str(tmp_path / (other + ".db")),))
        l.run(f"CREATE VIRTUAL TABLE {other}.l USING lease;"
              f" DROP TABLE {other}.l_event;"
              f" DROP TRIGGER {other}.l_held_insert")
    l.run("DROP TABLE l_event; DROP TRIGGER l_held_insert")
    schemas = {"main": "", "other": " (in other)", "third": " (in third)"}
    assert findings(l) == [
        ("guard_missing", "l_held_insert", "the trigger l_held_insert on"
         f" {schema}.l_held is gone; write it anew{where}")
        for schema, where in schemas.items()] + [
        ("config_altered", "l_event",
         f"the table behind l is missing; restore it{where}")
        for where in schemas.values()]
