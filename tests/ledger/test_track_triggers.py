"""Foreign keys and triggers of the user's own on a tracked table; what the
application sees."""
import apsw
import pytest

from tracking import attempt, reconcile, track, whole


@pytest.mark.parametrize("action, left", [
    ("CASCADE", {"delete": [(12, 2)], "update": [(11, 5), (12, 2)]}),
    ("SET NULL", {"delete": [(11, None), (12, 2)],
                  "update": [(11, None), (12, 2)]}),
    ("SET DEFAULT", {"delete": [(11, 2), (12, 2)],
                     "update": [(11, 2), (12, 2)]}),
    ("RESTRICT", None),
])
def test_foreign_keys(db, action, left):
    db.run("CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE)")
    db.run("CREATE TABLE c(id INTEGER PRIMARY KEY, p DEFAULT 2 REFERENCES p"
           f" ON DELETE {action} ON UPDATE {action})")
    db.run("CREATE TABLE g(id INTEGER PRIMARY KEY, c REFERENCES c"
           " ON DELETE CASCADE)")
    track(db, "p"), track(db, "c"), track(db, "g", "m")
    db.run("INSERT INTO p VALUES (1, 'a'), (2, 'b')")
    db.run("INSERT INTO c VALUES (11, 1), (12, 2)")
    db.run("INSERT INTO g VALUES (111, 11), (112, 12)")
    for kind, sql in [("delete", "DELETE FROM p WHERE id = 1"),
                      ("delete", "REPLACE INTO p VALUES (3, 'a')"),
                      ("delete", "UPDATE OR REPLACE p SET u = 'a', id = 9"
                                 " WHERE id = 8"),
                      ("update", "UPDATE p SET id = 5 WHERE id = 1")]:
        db.run("PRAGMA foreign_keys = ON; BEGIN; INSERT INTO p VALUES (8, 8)")
        if left is None:
            with pytest.raises(apsw.ConstraintError):
                db.run(sql)
        else:
            db.run(sql)
            assert db.run("SELECT * FROM c") == left[kind]
        for table, ledger in (("p", "l"), ("c", "l"), ("g", "m")):
            whole(db, table, ledger)
        db.run("ROLLBACK")


def test_a_child_beside_its_parent(db):
    """It goes with the row that is displaced, and takes no other along."""
    db.run("CREATE TABLE t(a, b, u UNIQUE, x, y, PRIMARY KEY (a, b), FOREIGN"
           " KEY (x, y) REFERENCES t ON DELETE CASCADE) WITHOUT ROWID")
    track(db)
    db.run("INSERT INTO t VALUES (1, 1, 'u', NULL, NULL), (1, 2, 'v', 1, 1),"
           " (2, 1, 'w', NULL, NULL), (2, 2, 'x', 2, 1)")
    db.run("PRAGMA foreign_keys = ON; BEGIN")
    db.run("REPLACE INTO t VALUES (9, 9, 'u', NULL, NULL)")
    assert reconcile(db) == []
    db.run("REPLACE INTO t VALUES (2, 1, 'z', 9, 9); COMMIT")
    whole(db)
    assert db.value("SELECT count(*) FROM t") == 2


USER_TRIGGERS = {
    "touch": "AFTER UPDATE OF v ON t BEGIN UPDATE t SET at = 'now'"
             " WHERE id = NEW.id; END",
    "fill in": "AFTER INSERT ON t WHEN NEW.at IS NULL BEGIN"
               " UPDATE t SET at = 'new' WHERE id = NEW.id; END",
    "insert again": "AFTER DELETE ON t WHEN OLD.id > 0 BEGIN"
                    " INSERT INTO t VALUES (-OLD.id, NULL, OLD.v, 'old'); END",
    "delete another": "AFTER INSERT ON t BEGIN"
                      " DELETE FROM t WHERE id = NEW.id - 1; END",
    "delete it": "AFTER INSERT ON t WHEN NEW.v = 'brief' BEGIN"
                 " DELETE FROM t WHERE id = NEW.id; END",
    "refuse": "BEFORE INSERT ON t WHEN NEW.v = 'brief' BEGIN"
              " SELECT RAISE(IGNORE); END",
    "make room": "BEFORE INSERT ON t BEGIN"
                 " DELETE FROM t WHERE id = NEW.id OR u = NEW.u; END",
    "move another": "BEFORE UPDATE ON t WHEN NEW.id <> OLD.id BEGIN"
                    " UPDATE t SET v = 'moved' WHERE id <> OLD.id; END",
}


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("trigger", USER_TRIGGERS)
def test_triggers_of_the_user(db, trigger, order):
    """On the same table, made before tracking and after."""
    create = "CREATE TRIGGER mine " + USER_TRIGGERS[trigger]
    db.run("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE, v, at)")
    if order == "before":
        db.run(create)
    track(db)
    if order == "after":
        db.run(create)
    for sql in ["INSERT INTO t VALUES (1, 'a', 'x', NULL)",
                "INSERT INTO t VALUES (3, 'c', 'z', NULL), (5, 'e', '', 0)",
                "INSERT INTO t VALUES (7, 'g', 'brief', NULL)",
                "UPDATE t SET v = 'w' WHERE id = 3",
                "UPDATE t SET id = id + 10, v = 'u' WHERE id = 5",
                "INSERT OR IGNORE INTO t VALUES (3, 'h', 1, NULL)",
                "INSERT INTO t VALUES (3, 'i', 2, NULL) ON CONFLICT DO UPDATE"
                " SET v = 'upsert'",
                "INSERT INTO t(u, v) VALUES ('k', 'l')",
                "DELETE FROM t WHERE id = 3", "UPDATE t SET id = -id"]:
        attempt(db, sql)
        assert reconcile(db) == [], sql
    db.run("DROP TRIGGER mine")
    db.run("REPLACE INTO t SELECT id - 1, u, v, at FROM t")
    assert reconcile(db) == [] and db.verify() == []


def test_the_application_sees_no_difference(db):
    """Not in RETURNING, changes(), last_insert_rowid(), nor in errors."""
    seen = []
    for name in ("plain", "t"):
        db.run(f"CREATE TABLE {name}(id INTEGER PRIMARY KEY, u UNIQUE, v)")
        if name == "t":
            track(db)
        seen.append([])
        db.run("BEGIN")
        for sql in ["INSERT INTO x VALUES (5, 'a', 1), (9, 'b', 2)",
                    "INSERT INTO x(u) VALUES ('c') RETURNING *",
                    "REPLACE INTO x VALUES (4, 'a', 1) RETURNING id, u",
                    "INSERT INTO x VALUES (4, 'q', 3) ON CONFLICT DO UPDATE"
                    " SET v = excluded.v RETURNING *, 'upsert'",
                    "INSERT OR IGNORE INTO x VALUES (4, 'q', 3) RETURNING *",
                    "UPDATE x SET v = 7 RETURNING id", "SELECT * FROM x",
                    "UPDATE OR REPLACE x SET id = 9 WHERE id = 4 RETURNING *",
                    "INSERT INTO x VALUES (NULL, 'a', 1)",
                    "DELETE FROM x WHERE id = 9 RETURNING u", "DELETE FROM x",
                    "INSERT INTO x(v) SELECT value FROM json_each('[1,2]')"]:
            try:
                rows = db.run(sql.replace(" x", " " + name))
            except apsw.ConstraintError as error:
                rows = str(error).replace(name + ".", "x.")
            seen[-1].append((sql, rows, db.run(
                "SELECT last_insert_rowid(), changes()")))
        db.run("COMMIT")
    assert seen[0] == seen[1]
    whole(db)


def test_two_tables_in_one_ledger(db):
    db.run("CREATE TABLE t(a UNIQUE); CREATE TABLE u(a UNIQUE)")
    track(db), track(db, "u")
    db.run("INSERT INTO t VALUES (1), (2); INSERT INTO u VALUES (1)")
    db.run("CREATE TRIGGER copy AFTER INSERT ON t BEGIN"
           " REPLACE INTO u VALUES (NEW.a); END")
    db.run("REPLACE INTO t VALUES (1), (3)")
    whole(db), whole(db, "u")
    assert db.run("SELECT table_name, count(*) FROM l GROUP BY 1") == [
        ("t", 6), ("u", 5)]
    db.run("SELECT ledger_untrack('t'); INSERT INTO t VALUES (9)")
    whole(db, "u")
    db.fails("SELECT * FROM ledger_reconcile('t')",
             "ledger_reconcile: t is recorded in no ledger")
