"""README.md against what is there: the tour works when pasted, each name it
gives exists, and each name there is is in it."""
import json
import os
import pathlib
import re
import sqlite3
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")
README = (ROOT / "README.md").read_text(encoding="utf-8")

INNOCUOUS, DIRECTONLY, DETERMINISTIC = 0x200000, 0x80000, 0x800
PURE = DETERMINISTIC | INNOCUOUS

# Every function, with its flags: what a hostile schema may call.
FUNCTIONS = {
    ("attest_canonical", -1): PURE,
    ("attest_decode", -1): PURE,
    ("attest_hash", -1): PURE,
    ("attest_hash_agg", -1): PURE,
    ("attest_hmac", -1): DIRECTONLY | DETERMINISTIC,
    ("attest_json", 1): PURE,
    ("attest_prompt", 1): PURE,
    ("attest_keygen", 0): DIRECTONLY,
    ("attest_sha256", 1): PURE,
    ("attest_sign", -1): DIRECTONLY | DETERMINISTIC,
    ("attest_verify", -1): PURE,
    ("beta_cdf", 3): PURE,
    ("beta_log", 2): PURE,
    ("beta_mean", 2): PURE,
    ("beta_pdf", 3): PURE,
    ("beta_quantile", 3): PURE,
    ("busy_policy", 1): DIRECTONLY,
    ("busy_policy", 2): DIRECTONLY,
    ("confidence_explain", 1): 0,
    ("confidence_posterior", 2): PURE,
    ("confidence_posterior", 4): PURE,
    ("confidence_tier", 1): PURE,
    ("confidence_weight", 2): PURE,
    ("control_measuring", 1): INNOCUOUS,
    ("control_seal", 0): DIRECTONLY,
    ("dsse_sign", 3): DIRECTONLY | DETERMINISTIC,
    ("dsse_sign", 4): DIRECTONLY | DETERMINISTIC,
    ("dsse_verify", 2): PURE,
    ("flag", 1): INNOCUOUS,
    ("holdfast_debug", 0): 0,
    ("holdfast_install", -1): DIRECTONLY,
    ("holdfast_version", 0): PURE,
    ("killswitch_drill", 0): DIRECTONLY,
    ("killswitch_engage", 2): DIRECTONLY,
    ("killswitch_guard", 1): DIRECTONLY,
    ("killswitch_guard", 2): DIRECTONLY,
    ("killswitch_reset", 3): DIRECTONLY,
    ("killswitch_unguard", 1): DIRECTONLY,
    ("ledger_checkpoint", 2): DIRECTONLY,
    ("ledger_checkpoint", 3): DIRECTONLY,
    ("ledger_consistency_proof", 2): INNOCUOUS,
    ("ledger_consistency_proof", 3): INNOCUOUS,
    ("ledger_head", 1): INNOCUOUS,
    ("ledger_inclusion_proof", 2): INNOCUOUS,
    ("ledger_inclusion_proof", 3): INNOCUOUS,
    ("ledger_leaf_data", 2): 0,
    ("ledger_pending", 2): INNOCUOUS,
    ("ledger_report", 1): 0,
    ("ledger_report", 2): 0,
    ("ledger_report", 3): 0,
    ("ledger_root", 1): INNOCUOUS,
    ("ledger_root", 2): INNOCUOUS,
    ("ledger_track", 2): DIRECTONLY,
    ("ledger_untrack", 1): DIRECTONLY,
    ("ledger_size", 1): INNOCUOUS,
    ("lease_acquire", 3): DIRECTONLY,
    ("lease_acquire", 4): DIRECTONLY,
    ("lease_acquire", 5): DIRECTONLY,
    ("lease_acquire", 6): DIRECTONLY,
    ("lease_deciding", 3): INNOCUOUS,
    ("lease_guard", 4): DIRECTONLY,
    ("lease_holds", 3): INNOCUOUS,
    ("lease_holds", 4): INNOCUOUS,
    ("lease_release", 3): DIRECTONLY,
    ("lease_release", 4): DIRECTONLY,
    ("lease_release_all", 2): DIRECTONLY,
    ("lease_release_all", 3): DIRECTONLY,
    ("lease_renew", 3): DIRECTONLY,
    ("lease_renew", 4): DIRECTONLY,
    ("lease_renew", 5): DIRECTONLY,
    ("lease_steal", 5): DIRECTONLY,
    ("lease_steal", 6): DIRECTONLY,
    ("lease_transfer", 4): DIRECTONLY,
    ("lease_transfer", 5): DIRECTONLY,
    ("lease_unguard", 1): DIRECTONLY,
    ("merkle_leaf_hash", 1): PURE,
    ("merkle_node_hash", 2): PURE,
    ("merkle_root", 1): PURE,
    ("merkle_verify_consistency", 5): PURE,
    ("merkle_verify_inclusion", 5): PURE,
    ("momentum", 1): PURE,
    ("monitor_measure", 4): DIRECTONLY,
    ("monitor_start", 2): DIRECTONLY,
    ("monitor_start", 3): DIRECTONLY,
    ("note_keygen", 1): DIRECTONLY,
    ("note_sign", -1): DIRECTONLY | DETERMINISTIC,
    ("note_verify", -1): PURE,
    ("phase_advance", 3): DIRECTONLY,
    ("phase_advance", 4): DIRECTONLY,
    ("phase_backtrack", 4): DIRECTONLY,
    ("phase_complete", 2): DIRECTONLY,
    ("phase_force", 4): DIRECTONLY,
    ("phase_start", 2): DIRECTONLY,
    ("process_lacks", 1): INNOCUOUS,
    ("process_rebuild", 0): DIRECTONLY,
    ("process_refuse", 2): INNOCUOUS,
    ("process_shown", 1): INNOCUOUS,
    ("prompt_attest", 1): DIRECTONLY,
    ("prompt_attest", 2): DIRECTONLY,
    ("prompt_baseline", 5): DIRECTONLY,
    ("retention_apply", 0): DIRECTONLY,
    ("retention_apply", 1): DIRECTONLY,
    ("retention_apply", 2): DIRECTONLY,
    ("retention_lock", 2): DIRECTONLY,
    ("wilson_lower", 2): PURE,
    ("wilson_lower", 3): PURE,
    ("wilson_upper", 2): PURE,
    ("wilson_upper", 3): PURE,
}
MODULES = {"ledger", "lease", "ledger_verify", "ledger_reconcile",
           "holdfast_check", "holdfast_kept", "killswitch_drill",
           "retention_plan"}


def registered(connection):
    flags = INNOCUOUS | DIRECTONLY | DETERMINISTIC
    functions = {(name, count): bits & flags for name, count, bits in
                 connection.execute("SELECT name, narg, flags FROM"
                                    " pragma_function_list")}
    modules = {row[0] for row in connection.execute(
        "SELECT name FROM pragma_module_list") if "pragma_" not in row[0]}
    return functions, modules


@pytest.fixture(scope="module", name="added")
def added_by_loading():
    connection = sqlite3.connect(":memory:")
    before = registered(connection)
    connection.enable_load_extension(True)
    connection.load_extension(LIBRARY)
    after = registered(connection)
    connection.close()
    return ({name: after[0][name] for name in after[0].keys() - before[0]},
            after[1] - before[1])


def test_functions_and_their_flags(added):
    assert added[0] == FUNCTIONS


def test_modules(added):
    assert added[1] == MODULES


def test_each_is_in_the_readme(added):
    for name in {name for name, _ in added[0]} | added[1]:
        assert re.search(rf"`{name}[(`]", README) or name in ("ledger", "lease"), name
    assert "USING ledger(" in README and "USING lease(" in README


def test_each_in_the_readme_exists(added):
    known = {name for name, _ in added[0]} | added[1] | {"ledger"}
    named = set(re.findall(
        r"\b((?:attest|dsse|holdfast|lease|ledger|merkle|note)_[a-z0-9_]+)\(", README))
    assert named - known == set()


def test_each_test_of_a_function(added):
    """Each function is called by some test that is not this one."""
    texts = "".join(path.read_text(encoding="utf-8")
                    for path in ROOT.glob("tests/*/*.py")
                    if path != pathlib.Path(__file__).resolve())
    for name, _ in added[0]:
        assert re.search(rf"\b{name}\b", texts), name


def test_links():
    anchors = {"#" + re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower())
               .replace(" ", "-")
               for line in README.splitlines() if line.startswith("#")}
    for link in re.findall(r"\]\((#[^)]*)\)", README):
        assert link in anchors, link


# ---- the tour ---------------------------------------------------------------

def statements(block):
    """Statements of a block, each with the comment lines that follow it."""
    found, statement = [], ""
    for line in block.splitlines():
        if line.startswith("-- ") and not statement.strip():
            found[-1][1].append(line[3:])
            continue
        statement += line + "\n"
        # A statement may have a comment behind its end.
        code, _, note = statement.rstrip("\n").partition(";   --")
        if sqlite3.complete_statement(code + ";" if note else code):
            found.append((code + ";" if note else code, []))
            statement = ""
    assert not statement.strip(), statement
    return found


def blocks(section):
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"```sql\n(.*?)```", text, re.DOTALL)


def shell(path, statement):
    done = subprocess.run(
        ["sqlite3", path, "-cmd", f".load {LIBRARY}"], input=statement,
        capture_output=True, text=True, check=False)
    error = re.sub(r"^(Runtime|Parse) error near line \d+: |^Error: ", "",
                   re.sub(r" \(\d+\)$", "", done.stderr.strip()))
    return done.stdout.splitlines(), error


@pytest.mark.parametrize("section, before", [
    ("Five minutes", ""), ("Control", "SELECT holdfast_install('control')"),
    ("Process", "")])
def test_the_tour(tmp_path, section, before):
    """Each statement through the shell, in a process of its own, on a file."""
    path, seen = str(tmp_path / "tour.db"), 0
    shell(path, before)
    for block in blocks(section):
        for statement, expected in statements(block):
            rows, error = shell(path, statement)
            if expected and expected[0].startswith("Error: "):
                assert error == expected[0][len("Error: "):], statement
                seen += 1
            else:
                assert error == "", (statement, error)
            if expected and not expected[0].startswith("Error: "):
                assert rows == expected, statement
                seen += 1
    assert seen >= 6


def parameters(path):
    """What the examples take as bound parameters."""
    keys, _ = shell(path, "SELECT note_keygen('holdfast/task_log')")
    given = json.loads(keys[0])
    note, _ = shell(path, "SELECT ledger_checkpoint('task_log', "
                    f"'{given['signer']}')")
    return {**given, "checkpoint": "\n".join(note)}


def test_examples_of_the_reference(tmp_path):
    """The other examples run, too, on what the tour left."""
    path = str(tmp_path / "reference.db")
    for block in blocks("Five minutes")[:2]:
        for statement, _ in statements(block):
            shell(path, statement)
    shell(path, f"ATTACH '{tmp_path}/aux.db' AS aux")
    given, ran = parameters(path), 0
    for section in ("The ledger", "Leases", "Confidence", "Retention", "Hashing",
                    "Areas, guards and the doctor",
                    "What it protects against"):
        for block in blocks(section):
            if "[schema.]" in block:
                continue
            for statement, expected in statements(block):
                statement = statement.replace("aux.", "main.")
                for name, text in given.items():
                    statement = statement.replace(f":{name}", f"'{text}'")
                rows, error = shell(path, statement)
                assert error == "", (statement, error)
                for line in expected:
                    assert line in rows, (statement, rows)
                ran += 1
    assert ran >= 8
