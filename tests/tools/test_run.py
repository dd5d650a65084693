"""The test runner itself: what fails is counted as failed, what did not run is
not counted as passed, and the last line and the status say so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Tree:
    """A tree with the runner, and tests that a test below puts into it."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "tests").mkdir()
        shutil.copy(ROOT / "tests/run", folder / "tests/run")

    def add(self, path, text="", mode=0o644):
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def unit(self, name, status):
        self.add(f"tests/unit/{name}.c")
        self.add(f"build/unit/{name}", f"#!/bin/sh\nexit {status}\n", 0o755)

    def run(self, *groups):
        """Status, last line, all output."""
        env = {k: v for k, v in os.environ.items() if "HOLDFAST" not in k}
        result = subprocess.run(
            [self.folder / "tests/run", *groups],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = result.stdout.splitlines()
        return result.returncode, lines[-1], result.stdout


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_nothing_to_run_is_a_failure(tree):
    assert tree.run()[:2] == (1, "0 passed, 0 failed")


def test_a_group_without_tests_is_refused(tree):
    tree.unit("good", 0)
    assert tree.run("unit")[0] == 0
    status, _, output = tree.run("sql")
    assert status != 0
    assert "no tests for sql" in output


def test_programs(tree):
    tree.unit("good", 0)
    tree.unit("absent", 77)
    assert tree.run()[:2] == (0, "1 passed, 0 failed, 1 skipped")
    tree.unit("bad", 3)
    tree.add("tests/unit/forgotten.c")
    status, last, output = tree.run()
    assert (status, last) == (1, "1 passed, 2 failed, 1 skipped")
    assert "failed: build/unit/bad: status 3" in output


def test_a_killed_program_has_failed(tree):
    tree.unit("crash", 0)
    tree.add("build/unit/crash", "#!/bin/sh\nkill -KILL $$\n", 0o755)
    assert tree.run()[:2] == (1, "0 passed, 1 failed")


def test_sql(tree):
    # A .load of its own, which fails: no library is needed here.
    tree.add("tests/sql/one.sql", "SELECT 1;\n.load ./nothing\n")
    assert tree.run()[:2] == (1, "0 passed, 1 failed")
    assert tree.run("--accept")[0] == 0
    expected = (tree.folder / "tests/sql/one.out").read_text()
    assert expected.startswith("1\n") and "nothing" in expected
    assert tree.run()[:2] == (0, "1 passed, 0 failed")
    tree.add("tests/sql/one.out", "2\n")
    status, last, output = tree.run()
    assert (status, last) == (1, "0 passed, 1 failed")
    assert "-2\n+1\n" in output


def test_pytest(tree):
    tree.add(
        "tests/area/test_it.py",
        "import pytest\n"
        "def test_good(): pass\n"
        "def test_bad(): assert 0\n"
        "def test_absent(): pytest.skip('none here')\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError\n"
        "def test_error(broken): pass\n",
    )
    status, last, output = tree.run()
    assert (status, last) == (1, "1 passed, 2 failed, 1 skipped")
    assert "failed: area: test_bad" in output


@pytest.mark.parametrize(
    "text",
    ["import os; os.abort()", "def test_it(): os.abort()", "no python", ""],
)
def test_pytest_that_does_not_get_to_its_end(tree, text):
    tree.add("tests/area/test_it.py", text)
    status, last, _ = tree.run()
    assert status == 1
    assert last == "0 passed, 1 failed"


def test_scripts(tree):
    tree.add("tests/bindings/run", "#!/bin/sh\nexit 0\n", 0o755)
    tree.add("examples/demo/run", "#!/bin/sh\nexit 1\n", 0o755)
    tree.add("examples/other/run", "#!/bin/sh\nexit 0\n")  # not executable
    tree.add("tests/bench/run", "#!/bin/sh\nexit 1\n", 0o755)  # not a test
    assert tree.run()[:2] == (1, "1 passed, 2 failed")


def test_no_process_outlives_its_test(tree):
    mark = tree.folder / "mark"
    script = f"#!/bin/sh\n(sleep 0.5; touch {mark}) &\nexit 0\n"
    tree.add("examples/demo/run", script, 0o755)
    assert tree.run()[0] == 0
    subprocess.run(["sleep", "1"], check=True)
    assert not mark.exists()


def test_groups_beside_each_other(tree):
    tree.unit("good", 0)
    tree.add("tests/a/test_a.py", "def test_good(): pass\n")
    tree.add(
        "tests/b/test_b.py",
        "import pytest\n"
        "def test_bad(): assert 0\n"
        "def test_absent(): pytest.skip('none here')\n",
    )
    for jobs in ("1", "2", "9"):
        status, last, output = tree.run("--jobs", jobs)
        assert (status, last) == (1, "2 passed, 1 failed, 1 skipped")
        assert "failed: b: test_bad" in output


def test_a_group_whose_runner_is_killed(tree):
    tree.add(
        "tests/a/test_a.py",
        "import os, signal\n"
        "def test_it(): os.kill(os.getppid(), signal.SIGKILL)\n",
    )
    tree.add("tests/b/test_b.py", "def test_good(): pass\n")
    status, last, output = tree.run("--jobs", "2")
    assert (status, last) == (1, "1 passed, 1 failed")
    assert "failed: a: no end, status -9" in output
