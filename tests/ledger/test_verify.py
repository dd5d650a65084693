"""Verification: each way to go around the walls, and the finding it leaves."""
import json
import sqlite3
import threading
import time

import apsw
import pytest

from conftest import load

GUARDS = ["l_entry_insert", "l_entry_update", "l_entry_node",
          "l_entry_delete", "l_direct_insert", "l_config_insert",
          "l_config_update", "l_config_delete", "l_checkpoint_insert",
          "l_checkpoint_update", "l_checkpoint_delete"]


def tamper(path, sql, guards=("l_entry_update", "l_entry_node",
                              "l_entry_delete", "l_entry_insert",
                              "l_config_update", "l_config_delete",
                              "l_config_insert")):
    """Without the extension: take the guards away, write, put them back."""
    plain = sqlite3.connect(path, isolation_level=None)
    texts = [plain.execute("SELECT sql FROM sqlite_schema WHERE name = ?",
                           (name,)).fetchone()[0] for name in guards]
    for name in guards:
        plain.execute(f"DROP TRIGGER {name}")
    plain.executescript(sql)
    for text in texts:
        plain.execute(text)
    plain.close()


@pytest.fixture
def ten(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(task TEXT INDEXED, n INTEGER"
           " UNIQUE, clock='caller')")
    db.run("WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM c"
           " WHERE i < 10) INSERT INTO l(at, task, n) SELECT 1000 * i,"
           " 't' || (i % 3), i FROM c")
    assert db.verify() == []
    return db


@pytest.mark.parametrize("sql, findings", [
    ("UPDATE l_entry SET task = 'x' WHERE seq = 5", [("entry_altered", 5)]),
    ("UPDATE l_entry SET task = 'x' WHERE seq = 1", [("entry_altered", 1)]),
    ("UPDATE l_entry SET task = NULL WHERE seq = 10", [("entry_altered", 10)]),
    ("UPDATE l_entry SET n = n + 1000 WHERE seq IN (3, 7)",
     [("entry_altered", 3), ("entry_altered", 7)]),
    ("UPDATE l_entry SET at = 5001 WHERE seq = 5", [("entry_altered", 5)]),
    ("UPDATE l_entry SET at = 1 WHERE seq = 5",
     [("entry_altered", 5), ("time_reversed", 5)]),
    ("UPDATE l_entry SET hash = zeroblob(32) WHERE seq = 5",
     [("entry_altered", 5), ("node_altered", 6)]),
    ("UPDATE l_entry SET hash = x'00' WHERE seq = 5", [("entry_altered", 5)]),
    ("UPDATE l_entry SET node = zeroblob(96) WHERE seq = 8",
     [("node_altered", 8)]),
    ("UPDATE l_entry SET node = NULL WHERE seq = 4", [("node_altered", 4)]),
    ("UPDATE l_entry SET node = zeroblob(32) WHERE seq = 5",
     [("node_altered", 5)]),
    ("DELETE FROM l_entry WHERE seq = 5", [("entry_missing", 5)]),
    ("DELETE FROM l_entry WHERE seq BETWEEN 3 AND 6", [("entry_missing", 3)]),
    ("DELETE FROM l_entry WHERE seq = 1", [("entry_missing", 1)]),
    ("INSERT INTO l_entry VALUES (11, 11000, 'f', 11, randomblob(32), NULL)",
     [("entry_forged", 11)]),
    ("INSERT INTO l_entry VALUES (-1, 1, 'f', 11, randomblob(32), NULL)",
     [("entry_forged", -1)]),
    ("UPDATE l_entry SET seq = -seq WHERE seq IN (2, 3);"
     "UPDATE l_entry SET seq = iif(seq = -2, 3, 2) WHERE seq < 0",
     [("entry_altered", 2), ("entry_altered", 3)]),
    ("UPDATE l_config SET value = 'evil' WHERE key = 'origin'",
     [("config_altered", None)]),
    ("DELETE FROM l_config WHERE key = 'schema'", [("config_altered", None)]),
    ("DELETE FROM l_config", [("config_altered", None)]),
    ("DROP INDEX l_entry_task", [("index_mismatch", None)]),
])
def test_each_change_is_found(ten, sql, findings):
    tamper(ten.path, sql)
    ten.close()
    ten.open()
    found = ten.verify()
    for finding in findings:
        assert finding in found, found
    kinds = {kind for kind, _ in findings}
    if len(findings) == 1 and findings[0][0] == "entry_altered" \
            and "hash" not in sql:
        assert found == findings
    report = json.loads(ten.value("SELECT ledger_report('l')"))
    assert report["assurance"] == "none"
    assert report["finding_count"] == len(found) == len(report["findings"])


@pytest.mark.parametrize("name", GUARDS)
def test_guards(ten, name):
    plain = sqlite3.connect(ten.path, isolation_level=None)
    text, table = plain.execute("SELECT sql, tbl_name FROM sqlite_schema"
                                " WHERE name = ?", (name,)).fetchone()
    plain.execute(f"DROP TRIGGER {name}")
    assert ten.verify() == [("guard_missing", None)]
    assert ("guard_missing", name) in ten.run(
        "SELECT finding, object FROM holdfast_check")
    kind = "INSTEAD OF INSERT" if "direct" in name else "BEFORE DELETE"
    plain.execute(f"CREATE TRIGGER {name} {kind} ON {table}"
                  " BEGIN SELECT 1; END")
    assert ten.verify() == [("guard_altered", None)]
    assert [row for row in ten.run("SELECT finding, object FROM"
                                   " holdfast_check")
            if row[0] != "journal_mode"] == [("guard_altered", name)]
    plain.execute(f"DROP TRIGGER {name}")
    plain.execute(text)
    plain.close()
    assert ten.verify() == []


def test_missing_tables(ten):
    plain = sqlite3.connect(ten.path, isolation_level=None)
    plain.execute("DROP TABLE l_config")
    assert ("config_altered", None) in ten.verify()
    plain.execute("DROP TABLE l_entry")
    plain.close()
    found = ten.verify()
    assert ("entry_missing", None) in found
    report = json.loads(ten.value("SELECT ledger_report('l')"))
    assert report["entries_checked"] == 0 and report["assurance"] == "none"
    with pytest.raises(apsw.Error, match="run ledger_verify"):
        ten.run("INSERT INTO l(task) VALUES ('x')")
    with pytest.raises(apsw.Error, match="missing or altered"):
        ten.run("SELECT * FROM l")
    ten.run("DROP TABLE l")
    assert ten.run("SELECT name FROM sqlite_schema WHERE name LIKE 'l%'") == []


def test_an_index_that_hides_an_entry(ten):
    """The index is built over other values: swap in the root page of one made
    while an entry was different."""
    plain = sqlite3.connect(ten.path, isolation_level=None)
    plain.execute("CREATE TABLE copy AS SELECT seq, iif(seq = 4, 'gone', task)"
                  " AS task FROM l_entry")
    plain.execute("CREATE TABLE c(seq INTEGER PRIMARY KEY, task TEXT)")
    plain.execute("INSERT INTO c SELECT * FROM copy")
    plain.execute("CREATE INDEX ci ON c(task)")
    plain.execute("PRAGMA writable_schema = ON")
    a, b = (plain.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?",
                          (name,)).fetchone()[0]
            for name in ("ci", "l_entry_task"))
    plain.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name ="
                  " 'l_entry_task'", (a,))
    plain.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = 'ci'",
                  (b,))
    plain.close()
    ten.close()
    ten.open()
    assert ten.value("SELECT count(*) FROM l WHERE task = 't1'") == 3
    assert set(ten.verify()) == {("index_mismatch", 4)}


def test_empty_and_unknown(db):
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT)")
    report = json.loads(db.value("SELECT ledger_report('l')"))
    assert (report["entries"], report["entries_checked"]) == (0, 0)
    assert report["assurance"] == "self-consistent"
    assert report["head"] == report["genesis"]
    db.run("CREATE TABLE plain(a)")
    for name in ("nothing", "plain", "main.nothing", "l_entry"):
        for sql in ("SELECT * FROM ledger_verify(?)",
                    "SELECT ledger_report(?)", "SELECT ledger_size(?)",
                    "SELECT ledger_head(?)", "SELECT ledger_root(?)"):
            db.fails(sql, "no such ledger", (name,))
    db.fails("SELECT * FROM ledger_verify", "needs the name of a ledger")
    db.fails("SELECT ledger_size(NULL)", "name is missing")
    for size in (-1, 1, 2**63 - 1, "1", 0.0):
        db.fails("SELECT ledger_root('l', ?)", "must be an integer from 0 to 0",
                 (size,))


def test_interruption(tmp_path):
    connection = sqlite3.connect(tmp_path / "big.db", isolation_level=None,
                                 check_same_thread=False)
    load(connection)
    connection.execute("CREATE VIRTUAL TABLE l USING ledger(a TEXT INDEXED)")
    connection.execute("WITH RECURSIVE c(i) AS (VALUES (1) UNION ALL SELECT"
                       " i + 1 FROM c WHERE i < 200000) INSERT INTO l(a)"
                       " SELECT 'entry ' || i FROM c")
    stop = threading.Event()

    def interrupt():
        while not stop.is_set():
            connection.interrupt()
            time.sleep(0.001)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            while True:
                connection.execute("SELECT count(*) FROM ledger_verify('l')"
                                   ).fetchone()
    finally:
        stop.set()
        thread.join()
    assert connection.execute("SELECT count(*) FROM ledger_verify('l')"
                              ).fetchone() == (0,)
    connection.close()


def test_doctor(db):
    if db.setting[0] == "wal":
        assert db.run("SELECT * FROM holdfast_check") == []
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT)")
    assert db.value("SELECT holdfast_install('holdfast')") == 1
    assert db.value("SELECT holdfast_install('holdfast')") == 0
    found = [row[0] for row in db.run("SELECT finding FROM holdfast_check")]
    assert found == ([] if db.setting[0] == "wal" else ["journal_mode"])
    assert [row[:2] for row in db.run("SELECT * FROM holdfast_area")] == [
        ("holdfast", "0.1.0")]
    db.fails("SELECT holdfast_install('nonsense')", "no area 'nonsense'")
    db.run("CREATE TABLE t(x)")
    db.fails("INSERT INTO t SELECT holdfast_install()",
             "cannot run inside a statement that writes")
    assert db.connection.getautocommit()
    if not db.reopen:
        db.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        assert ("triggers_disabled",) in db.run(
            "SELECT finding FROM holdfast_check")


def test_install_refuses_a_namesake(db):
    db.run("CREATE TABLE holdfast_guard(other)")
    db.fails("SELECT holdfast_install()", "holdfast_guard exists and is not")
    db.fails("CREATE VIRTUAL TABLE l USING ledger(a TEXT)",
             "holdfast_guard exists and is not")
    assert db.run("SELECT name FROM sqlite_schema WHERE name LIKE 'l%'") == []


def test_integrity_check(ledger):
    """SQLite asks virtual tables from 3.44 on."""
    asks = tuple(map(int, apsw.sqlitelibversion().split("."))) >= (3, 44)
    for pragma in ("integrity_check", "quick_check"):
        assert ledger.run("PRAGMA " + pragma) == [("ok",)]
    ledger.run("DROP TRIGGER l_entry_delete")
    found = ("ledger l: guard_missing: l_entry_delete is missing; run"
             " ledger_verify('l') to see all that is found")
    for pragma in ("integrity_check", "quick_check", "integrity_check(l)"):
        assert ledger.run("PRAGMA " + pragma) == [
            (found,) if asks else ("ok",)]
    ledger.run("CREATE TRIGGER \"l_entry_delete\" BEFORE DELETE ON"
               " \"l_entry\"\nBEGIN\n  SELECT RAISE(ABORT, 'ledger l is"
               " append-only');\nEND")
    update = ledger.value("SELECT sql FROM sqlite_schema"
                          " WHERE name = 'l_entry_update'")
    ledger.run("DROP TRIGGER l_entry_update")
    ledger.run("UPDATE l_entry SET n = 77 WHERE seq = 2")
    ledger.run(update)
    assert ledger.run("PRAGMA quick_check") == [("ok",)]
    assert ledger.run("PRAGMA integrity_check") == [(
        "ledger l: entry_altered 2: its content, or its hash, was changed:"
        " they do not fit together; run ledger_verify('l') to see all that is"
        " found",) if asks else ("ok",)]
