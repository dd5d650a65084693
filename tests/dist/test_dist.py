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


@pytest.fixture
def join(tmp_path):
    """Joins a file of the given text; there is one header beside it."""
    (tmp_path / "ext").mkdir()
    (tmp_path / "ext/one.h").write_text("int one;\n")

    def run(text):
        (tmp_path / "ext/a.c").write_text(text)
        command = [ROOT / "tests/tools/amalgamate", "ext/a.c"]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True
        )

    return run


def test_a_header_goes_in_once(join):
    result = join('#include "one.h"\n#include <stdio.h>\n#include "one.h"\n')
    assert result.returncode == 0
    assert result.stdout.count("int one;") == 1
    assert result.stdout.count("#include <stdio.h>") == 1
    assert '#include "' not in result.stdout


@pytest.mark.parametrize(
    "text, message",
    [
        ('#include "two.h"\n', "ext/two.h:0: cannot be read"),
        ('#if A\n#include "one.h"\n#endif\n', "ext/a.c:2: local include"),
    ],
)
def test_what_cannot_be_joined_is_an_error(join, text, message):
    result = join(text)
    assert result.returncode != 0
    assert message in result.stderr
