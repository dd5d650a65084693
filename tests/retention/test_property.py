"""Plan equals apply, a second apply deletes nothing, and what is kept has a
reason, over random schemas, policies, holds and rows."""
import random

import pytest

from conftest import DAY, NOW, make

CONTENT = {
    "plain": ("id INTEGER PRIMARY KEY, at, k, p", ""),
    "strict": ("id INTEGER PRIMARY KEY, at ANY, k TEXT, p INTEGER", "STRICT"),
    "without": ("id INTEGER, at, k, p, PRIMARY KEY (k, id)", "WITHOUT ROWID"),
    "generated": ("id INTEGER PRIMARY KEY, at, k, p,"
                  " twice AS (id * 2) STORED, thrice AS (id * 3)", ""),
    "text key": ("id TEXT PRIMARY KEY, at, k, p", ""),
    'quo"ted': ("id INTEGER PRIMARY KEY, at, k, p", ""),
}
UNITS = ("s", "ms", "iso8601", "julian")


def stored(db, ms, unit):
    if unit == "s":
        return ms // 1000
    if unit == "ms":
        return ms
    if unit == "julian":
        return (ms + 210866760000000) / 86400000.0
    return db.value("SELECT strftime('%Y-%m-%dT%H:%M:%fZ', ? / 1000.0,"
                    " 'unixepoch')", (ms,))


def build(db, chance):
    """Some tables that refer to each other, with policies."""
    tables = []
    for n in range(chance.randint(1, 4)):
        kind = chance.choice(list(CONTENT))
        name = f"{kind} {n}" if chance.random() < 0.5 else f"t{n}"
        quoted = '"' + name.replace('"', '""') + '"'
        body, tail = CONTENT[kind]
        parent = chance.choice(tables) if tables else None
        if parent and chance.random() < 0.6 and parent[3]:
            body += f", FOREIGN KEY (p) REFERENCES {parent[1]}(id)"
            body += chance.choice(["", " ON DELETE CASCADE",
                                   " ON DELETE SET NULL"])
        elif chance.random() < 0.3 and kind in ("plain", "strict"):
            body += f", FOREIGN KEY (p) REFERENCES {quoted}(id)"
        db.run(f"CREATE TABLE {quoted}({body}) {tail}")
        if chance.random() < 0.5:
            db.run(f'CREATE INDEX "i{n}" ON {quoted}(at)')
        tables.append((name, quoted, kind, kind not in ("without",),
                       chance.choice(UNITS)))
    return tables


def fill(db, chance, tables):
    db.run("PRAGMA foreign_keys=0")
    db.run("BEGIN")
    for _, quoted, kind, _, unit in tables:
        for n in range(chance.choice((0, 3, 40))):
            ms = NOW - round(chance.random() * 120 * DAY)
            at = None if chance.random() < 0.05 else stored(db, ms, unit)
            db.run(f"INSERT INTO {quoted}(id, at, k, p) VALUES (?, ?, ?, ?)",
                   (str(n) if kind == "text key" else n, at,
                    f"k{n % 4}", chance.choice((None, n // 2, n + 1))))
    db.run("COMMIT")
    # Whatever no parent has is no reference.
    db.run("PRAGMA foreign_keys=1")
    for table, rowid, _, _ in db.run("PRAGMA foreign_key_check"):
        where = "" if rowid is None else f" WHERE rowid = {rowid}"
        db.run('UPDATE "' + table.replace('"', '""') +
               f'" SET p = NULL{where}')


def declare(db, chance, tables):
    for name, quoted, kind, _, unit in tables:
        if chance.random() < 0.15:
            continue
        more = {}
        if chance.random() < 0.4:
            more["keep_filter"] = chance.choice(
                ("k = 'k1'", "id % 5 = 0", "at IS NULL OR k IN ('k2')"))
        others = [t for t in tables if t[0] != name]
        if others and chance.random() < 0.4:
            other = chance.choice(others)
            more.update(parent_table=other[0], parent_key="id", child_key="p")
        tier = chance.choice(("short", "medium", "current", "short"))
        if tier != "current" and chance.random() < 0.3:
            more["keep_ms"] = chance.randint(0, 100) * DAY
        db.policy(name, tier, "at", unit, **more)
        if chance.random() < 0.3:
            db.hold(name, **chance.choice((
                {"predicate": "id % 3 = 1"}, {"predicate": "k = 'k3'"},
                {"predicate": "k = 'k0'", "until": NOW})))
        if chance.random() < 0.25:
            db.run("INSERT INTO retention_latest VALUES (?, ?, ?)",
                   (name, chance.choice(('[]', '["k"]')),
                    chance.randint(1, 3)))
        if chance.random() < 0.25:
            for days, period in ((10, "daily"), (20, "weekly"),
                                 (60, "monthly")):
                db.run("INSERT INTO retention_thin VALUES (?, ?, ?, '[\"k\"]')",
                       (name, days * DAY, period))


@pytest.mark.parametrize("seed", range(60))
def test_plan_equals_apply(tmp_path, seed):
    chance = random.Random(seed)
    db = make(tmp_path / "t.db", trusted=0)
    tables = build(db, chance)
    fill(db, chance, tables)
    declare(db, chance, tables)
    changes = db.connection.totalchanges()
    planned = db.plan()
    assert db.connection.totalchanges() == changes
    before = {t[0]: db.count(t[0].replace('"', '""')) for t in tables}
    report = db.apply(batch_rows=chance.choice((1, 7, 100000)))
    done = {entry["table"]: entry for entry in report["tables"]}
    assert set(planned) == set(done)
    for name, entry in done.items():
        assert entry["deleted"] == planned[name]["rows"], (name, entry)
        assert entry["held"] == planned[name]["held"], (name, entry)
        assert entry["skipped"] == planned[name]["skipped"], (name, entry)
        assert entry.get("blocked") == planned[name]["blocked"]
        assert entry["kept"] == before[name] - entry["deleted"]
        assert entry["kept"] == db.count(name.replace('"', '""'))
    assert report["deleted"] == sum(e["deleted"] for e in done.values())
    assert db.run("PRAGMA foreign_key_check") == []
    assert db.apply()["deleted"] == 0
    assert all(entry["rows"] == 0 for entry in db.plan().values())
    assert db.value("PRAGMA integrity_check") == "ok"
    db.close()
