"""The amalgamation (`make dist`): the two programs made of it work."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(os.environ.get("HOLDFAST") or ROOT / "build/holdfast").absolute()
DIST = LIBRARY.parent / "dist"


def output_of(*command):
    result = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_needs_no_other_source():
    text = (DIST / "holdfast.c").read_text()
    assert re.findall(r'^\s*#\s*include\s*".*', text, re.MULTILINE) == []


@pytest.mark.parametrize("folder", ["core", "sqlite"])
def test_holds_every_source_once(folder):
    text = (DIST / "holdfast.c").read_text()
    for path in (ROOT / "ext" / folder).glob("*.[ch]"):
        assert text.count(f"** ext/{folder}/{path.name}\n") == 1


def test_loads_as_an_extension():
    library = DIST / "holdfast"
    answer = output_of(
        "sqlite3", ":memory:", f".load '{library}'", "SELECT holdfast_version()"
    )
    assert answer == "0.1.0\n"


@pytest.mark.skipif(
    "HOLDFAST_PRELOAD" in os.environ, reason="a sanitizer exports its symbols"
)
def test_exports_only_the_entry_point():
    lines = output_of("nm", "-D", "--defined-only", DIST / "holdfast.so")
    names = [line.split()[-1] for line in lines.splitlines()]
    assert names == ["sqlite3_holdfast_init"]


def test_works_linked_into_a_program():
    assert "static: " in output_of(DIST / "static")
