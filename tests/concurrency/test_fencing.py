"""Leases as fencing: the experiment, the model check, and whether the tests
would notice a predicate that is missing.  The programs are in fencing/.

HOLDFAST_FULL makes the model's run longer."""
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).with_name("fencing")
ROOT = HERE.parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")
FULL = bool(os.environ.get("HOLDFAST_FULL"))
SLOW = bool(os.environ.get("LD_PRELOAD"))  # a sanitizer's runtime
MODEL = ("model", "doors", "work", "compare", "ask", "oracle")


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A function: the path of a program made of these sources."""
    folder = tmp_path_factory.mktemp("fencing")

    def build(*names):
        out = str(folder / names[0])
        if not os.path.exists(out):
            subprocess.run(
                [os.environ.get("CC", "cc"), "-std=c11", "-O1", "-g",
                 "-Wall", "-Wextra", "-Werror",
                 *[str(HERE / f"{name}.c") for name in names], "-o", out,
                 "-lsqlite3"], check=True)
        return out
    return build


def output(command, seconds=3000):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, timeout=seconds,
                          check=False)
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def test_no_stale_write_commits(programs, tmp_path):
    """Six processes, one resource, leases of 2 ms, sleeps of up to 4."""
    program, lines = programs("stale"), {}
    for variant, writes in (("none", 2000), ("check", 2000), ("guard", 10000)):
        if SLOW:
            writes //= 10
        line = output([program, LIBRARY, str(tmp_path / f"{variant}.db"),
                       variant, "6", str(writes), "120"])
        committed, refused, grants, stale = map(int, line.split()[1:])
        lines[variant] = (committed, refused, grants, stale)
        assert committed >= writes and grants > 100
    print("guard   committed  refused  grants  stale")
    for variant, row in lines.items():
        print("{:8}{:9}{:9}{:8}{:7}".format(variant, *row))
    assert lines["none"][3] > 0
    assert lines["check"][3] > 0  # between the check and the write
    assert lines["guard"][3] == 0 and lines["guard"][1] > 100


def test_the_model_agrees(programs, tmp_path):
    steps = 20_000_000 if FULL else 100_000 if SLOW else 1_000_000
    text = output([programs(*MODEL), LIBRARY, str(tmp_path), str(steps)])
    assert f"{steps} steps, no disagreement" in text


@pytest.mark.skipif(SLOW, reason="the mutants are no sanitizer's business")
def test_mutants_die(programs):
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        text = output([sys.executable, str(HERE / "mutants.py"),
                       programs(*MODEL), folder])
    assert text.splitlines()[-1].count(" 0 live") == 1
