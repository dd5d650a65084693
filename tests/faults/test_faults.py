"""Runs the fault injector over every operation: see faults.c.  The later
allocations are sampled unless HOLDFAST_FULL is set."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    out = str(tmp_path_factory.mktemp("faults") / "faults")
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-O1", "-g",
                    "-Wall", "-Wextra", "-Werror",
                    str(pathlib.Path(__file__).with_name("faults.c")),
                    "-o", out, "-lsqlite3"], check=True)
    return out


@pytest.mark.parametrize("kind, least", [("memory", 5000), ("io", 800)])
def test_every_failure_is_clean(program, tmp_path, kind, least):
    done = subprocess.run([program, LIBRARY, str(tmp_path), kind],
                          stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    points = int(done.stdout.splitlines()[-1].split()[0])
    assert points > least
