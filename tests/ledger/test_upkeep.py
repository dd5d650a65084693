"""What people do to databases: VACUUM, backup, .dump, REINDEX, blob I/O, an
authorizer, odd pragmas.  A ledger stays whole, or says what is wrong."""
import apsw
import pytest

from conftest import LIBRARY, load_apsw, shell


def copy_is_whole(path, ledger):
    """A copy verifies, has the same head, and goes on."""
    head = ledger.value("SELECT ledger_head('l')")
    other = apsw.Connection(str(path))
    load_apsw(other)
    run = other.cursor().execute
    assert run("SELECT * FROM ledger_verify('l')").fetchall() == []
    assert run("SELECT ledger_head('l')").fetchall() == [(head,)]
    run("INSERT INTO l(at, task) VALUES (9000, 'in the copy')")
    assert run("SELECT ledger_size('l')").fetchall() == [(4,)]
    assert run("SELECT * FROM ledger_verify('l')").fetchall() == []
    assert run("SELECT finding FROM holdfast_check WHERE finding LIKE 'g%'"
               ).fetchall() == []
    other.close()


def test_vacuum(ledger, tmp_path):
    ledger.run("SELECT * FROM l WHERE task = 't1'")
    ledger.run("VACUUM")
    ledger.run(f"VACUUM INTO '{tmp_path}/copy.db'")
    copy_is_whole(tmp_path / "copy.db", ledger)
    ledger.run("INSERT INTO l(at, task) VALUES (9000, 'x')")
    assert ledger.verify() == []


def test_backup(ledger, tmp_path):
    target = apsw.Connection(str(tmp_path / "copy.db"))
    with target.backup("main", ledger.connection, "main") as backup:
        backup.step(-1)
    target.close()
    copy_is_whole(tmp_path / "copy.db", ledger)


def test_a_backup_into_the_connection(ledger, tmp_path):
    """The head that was kept is not that of the older copy that comes in."""
    ledger.run(f"VACUUM INTO '{tmp_path}/old.db'")
    ledger.run("INSERT INTO l(at, task) VALUES (5000, 'newer')")
    source = apsw.Connection(str(tmp_path / "old.db"))
    with ledger.connection.backup("main", source, "main") as backup:
        backup.step(-1)
    source.close()
    ledger.run("INSERT INTO l(at, task) VALUES (6000, 'other')")
    assert ledger.run("SELECT seq, task FROM l WHERE seq > 3") == [
        (4, "other")]
    assert ledger.verify() == []


def test_dump(ledger, tmp_path):
    """The shell's .dump, restored by the shell."""
    ledger.run("PRAGMA wal_checkpoint")
    dump = shell(ledger.path, ".dump")
    shell(str(tmp_path / "copy.db"), "-cmd", f".load '{LIBRARY}'", stdin=dump)
    copy_is_whole(tmp_path / "copy.db", ledger)


def test_maintenance(ledger):
    for sql in ("ANALYZE", "REINDEX", "PRAGMA optimize",
                "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA shrink_memory"):
        ledger.run(sql)
        ledger.run("INSERT INTO l(at, task) VALUES (9000, 'after')")
    assert ledger.run("PRAGMA integrity_check") == [("ok",)]
    assert ledger.value("SELECT ledger_size('l')") == 8
    assert ledger.verify() == []


def test_a_blob_write_is_found(db):
    """Incremental blob I/O fires no trigger."""
    db.run("CREATE VIRTUAL TABLE l USING ledger(a TEXT, b BLOB)")
    db.run("INSERT INTO l(a, b) VALUES ('x', x'0102'), ('y', x'0304')")
    with db.connection.blobopen("main", "l_entry", "b", 1, True) as blob:
        blob.write(b"\xff")
    assert db.run("SELECT hex(b) FROM l") == [("FF02",), ("0304",)]
    assert db.verify() == [("entry_altered", 1)]


def test_checks_can_be_switched_off(ledger):
    """By SQLite, for the columns' own; what the ledger holds to is no CHECK."""
    ledger.reopen = False
    ledger.run("PRAGMA ignore_check_constraints=ON")
    ledger.run("INSERT INTO l(at, task, n) VALUES (4000, 'x', 5000)")
    ledger.fails("INSERT INTO l(at, task) VALUES (1, 'x')", "is earlier than")
    ledger.fails("INSERT INTO l(at, task, n) VALUES (4000, 'x', 'y')",
                 "column n takes INTEGER, not TEXT")
    ledger.fails("INSERT INTO l_entry(seq, at, task, hash) VALUES (5, 4000,"
                 " 'x', x'00')", "hash is not the hash of this entry")
    assert ledger.verify() == []


def test_an_authorizer_sees_the_inner_statements(ledger):
    ledger.reopen = False
    seen = []

    def allow_all_but_inserts(operation, one, *_):
        if operation == apsw.SQLITE_INSERT:
            seen.append(one)
            return apsw.SQLITE_DENY if one == "l_entry" else apsw.SQLITE_OK
        return apsw.SQLITE_OK

    ledger.close()
    ledger.open()  # no statement is prepared yet
    ledger.connection.setauthorizer(allow_all_but_inserts)
    with pytest.raises(apsw.Error) as error:
        ledger.run("INSERT INTO l(at, task) VALUES (4000, 'x')")
    assert "not authorized" in str(error.value)
    assert {"l", "l_entry"} <= set(seen)
    ledger.connection.setauthorizer(None)
    ledger.run("INSERT INTO l(at, task) VALUES (4000, 'x')")
    assert ledger.value("SELECT ledger_size('l')") == 4
    assert ledger.verify() == []
