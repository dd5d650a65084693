"""The shell with the extension under valgrind: no bad access, nothing lost, and
nothing read that was never written."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

SCRIPT = """
.load {library}
PRAGMA journal_mode=WAL;
SELECT holdfast_install(), holdfast_version(), length(holdfast_debug()) > 9;
CREATE VIRTUAL TABLE l USING ledger(a TEXT NOT NULL INDEXED, n INTEGER UNIQUE
  DEFAULT (1 + 1), x ANY, CHECK (n < 100), origin='e/l', drop='always');
INSERT INTO l(a, n, x) VALUES ('a', 1, 1.5), ('b', 5, x'00'), ('c', 3, NULL);
INSERT INTO l(a) VALUES ('d');
INSERT INTO l(a) VALUES ('unique n');
INSERT INTO l(a, n) VALUES (NULL, 7);
INSERT INTO l(seq, a) VALUES (1, 'a');
UPDATE l SET a = 'x';
DELETE FROM l_entry;
BEGIN; INSERT INTO l(a, n) VALUES ('e', 10); SAVEPOINT s;
INSERT INTO l(a, n) VALUES ('f', 11); ROLLBACK TO s; COMMIT;
INSERT INTO l_entry(seq, at, a, n, hash) SELECT 6, at, 'd', 9,
  merkle_leaf_hash(attest_canonical('holdfast.entry.v1', 6, hash, at, 'd', 9,
  NULL)) FROM l WHERE seq = 5;
INSERT INTO l(a, n) VALUES ('g', 12);
SELECT count(*) FROM l WHERE a IN ('a', 'c') AND x IS NULL;
SELECT a FROM l WHERE n > 3 ORDER BY seq DESC LIMIT 2 OFFSET 1;
SELECT count(*) FROM l WHERE a IN (SELECT n FROM l);
SELECT ledger_size('l'), length(ledger_head('l')), length(ledger_root('l', 3)),
  length(ledger_leaf_data('l', 3)), length(merkle_root(a)) FROM l;
SELECT ledger_size('nothing');
SELECT length(ledger_checkpoint('l', note_keygen('k') ->> 'signer')) > 0;
CREATE TABLE t(k INTEGER PRIMARY KEY, v UNIQUE);
SELECT ledger_track('t', 'tl');
INSERT INTO t VALUES (1, 'a'); REPLACE INTO t VALUES (2, 'a');
SELECT * FROM ledger_reconcile('t');
CREATE VIRTUAL TABLE p USING lease;
SELECT lease_acquire('p', 'r', 'a'), lease_acquire('p', 'r', 'b');
SELECT lease_guard('t', 'p', 'v', 'k');
DROP TRIGGER l_entry_update; DROP TRIGGER l_entry_node;
UPDATE l_entry SET a = 'z', node = NULL WHERE seq = 2;
SELECT finding, seq FROM ledger_verify('l');
SELECT json_extract(ledger_report('l'), '$.finding_count');
SELECT finding, object FROM holdfast_check;
PRAGMA integrity_check;
ALTER TABLE l RENAME TO m;
DROP TABLE m;
SELECT phase_start('T', 'a'), phase_start('T', 'b');
SELECT phase_advance('T', 'PLAN', 'a'), phase_advance('T', 'SPEC', 'a', 7);
INSERT INTO process_evidence(task_id, phase, kind, name, content) VALUES ('T',
  'STRATEGIZE', 'phase_artifact', 'strategy', 'problem' || hex(zeroblob(50)));
SELECT phase_advance('T', 'SPEC', 'a'), phase_advance('T', 'PLAN', 'a');
SELECT phase_force('T', 'VERIFY', 'a', 'w');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4)
SELECT prompt_attest('{{"phase":"VERIFY","taskId":"T","requirements":["b","a"],
"qualityGates":[],"artifacts":[],"contextSummary":"' || i / 4 || '\n"}}') FROM n;
SELECT attest_prompt('{{"phase":1}}'), prompt_baseline('T', 'VERIFY', NULL, 'w',
  'b'), phase_backtrack('T', 'SPEC', 'a', 'w'), phase_complete('T', 'a');
SELECT prompt_baseline('T', 'VERIFY', NULL, 'w', 'b'), process_rebuild();
SELECT * FROM holdfast_kept;
CREATE VIRTUAL TABLE bad USING ledger(a TEXT COLLATE NOCASE);
CREATE VIRTUAL TABLE bad USING ledger(a);
"""

# libcrypto keeps what it needs until the process ends.
SUPPRESSIONS = """
{
   libcrypto at work
   Memcheck:Leak
   match-leak-kinds: reachable,possible
   ...
   obj:*libcrypto*
}
"""


def test_memory(tmp_path):
    suppressions = tmp_path / "suppressions"
    suppressions.write_text(SUPPRESSIONS, encoding="ascii")
    env = {name: value for name, value in os.environ.items()
           if name != "LD_PRELOAD"}
    # Not the sanitized library: it cannot run without its runtime.
    library = ROOT / "build/holdfast"
    done = subprocess.run(
        ["valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
         "--errors-for-leak-kinds=definite,indirect,possible",
         f"--suppressions={suppressions}", "sqlite3",
         str(tmp_path / "test.db")], input=SCRIPT.format(library=library),
        capture_output=True, text=True, env=env, check=False)
    assert "==" not in done.stderr, done.stderr
    assert done.returncode in (0, 1), done.stderr  # 1: some statements fail
    lines = done.stdout.splitlines()
    areas = len(list(ROOT.glob("sql/*.sql")))
    assert lines[0] == "wal" and lines[1].startswith(f"{areas}|")
    assert "entry_altered|2" in lines
    assert "no such ledger: main.nothing" in done.stderr
    assert "cannot understand \"COLLATE\"" in done.stderr
