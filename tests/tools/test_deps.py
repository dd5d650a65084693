"""tests/tools/deps installs what is missing and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

DEPS = Path(__file__).resolve().parent / "deps"


@pytest.fixture
def machine(tmp_path):
    """A machine whose commands are only those added here; apt-get records its
    arguments. No package is installed, as far as dpkg knows."""
    add_command(tmp_path, "apt-get", f'echo "$@" >>{tmp_path}/log')
    add_command(tmp_path, "dpkg-query", "exit 1")
    add_command(tmp_path, "id", "echo 0")
    add_command(tmp_path, "env", 'shift; exec "$@"')
    return tmp_path


def add_command(folder, name, script="exit 0"):
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def run_deps(machine, *groups):
    result = subprocess.run(
        ["/bin/sh", DEPS, *groups],
        env={"PATH": str(machine), "PYTHON": "true"},
        capture_output=True,
        text=True,
    )
    log = machine / "log"
    calls = log.read_text().splitlines() if log.exists() else []
    return result, [line.split() for line in calls]


def test_installs_what_is_missing(machine):
    add_command(machine, "gcc")
    add_command(machine, "make")
    result, calls = run_deps(machine, "base")
    assert result.returncode == 0
    assert result.stdout == "deps: installing sqlite3\n"
    assert [call[-1] for call in calls] == ["update", "sqlite3"]


def test_says_nothing_when_nothing_is_missing(machine):
    for name in ["gcc", "make", "sqlite3"]:
        add_command(machine, name)
    result, calls = run_deps(machine, "base")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert calls == []


def test_a_bare_machine_gets_all_of_it(machine):
    result, calls = run_deps(machine, "base")
    assert result.returncode == 0
    packages = ["gcc", "libc6-dev", "make", "libsqlite3-dev", "libssl-dev"]
    assert calls[-1][-6:] == packages + ["sqlite3"]


def test_an_installed_package_counts(machine):
    add_command(machine, "dpkg-query", "printf installed")
    result, calls = run_deps(machine, "base", "test", "lint")
    assert (result.returncode, result.stdout, calls) == (0, "", [])


def test_without_apt_it_names_what_is_missing(machine):
    (machine / "apt-get").unlink()
    result, _ = run_deps(machine, "lint")
    assert result.returncode == 1
    assert "clang-format clang-tidy cppcheck" in result.stderr


def test_without_root_and_sudo_it_says_what_to_do(machine):
    add_command(machine, "id", "echo 1000")
    result, calls = run_deps(machine, "lint")
    assert result.returncode == 1
    assert "apt-get install clang-format clang-tidy" in result.stderr
    assert calls == []


def test_uses_sudo_when_not_root(machine):
    add_command(machine, "id", "echo 1000")
    add_command(machine, "sudo", 'echo sudo "$@" >>"${0%/*}"/log')
    _, calls = run_deps(machine, "lint")
    assert [call[0] for call in calls] == ["sudo", "sudo"]


def test_an_unknown_group_is_an_error(machine):
    result, _ = run_deps(machine, "everything")
    assert result.returncode == 2
    assert os.path.basename(DEPS) in result.stderr
