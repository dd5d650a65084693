"""What the build promises: one exported symbol, SQL embedded as it is in the
files, an installation where it should be, and other ways of compiling."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(os.environ.get("HOLDFAST") or ROOT / "build/holdfast").absolute()
BUILD = LIBRARY.parent
SQL = sorted((ROOT / "sql").glob("*.sql"))

# For make, which takes no blanks in the names of files: relative.
VARIANTS = os.path.relpath(BUILD, ROOT)

# With a sanitizer loaded into every process, a compiler takes minutes, and
# what it builds is the same.
builds = pytest.mark.skipif(
    "HOLDFAST_PRELOAD" in os.environ, reason="builds, with a sanitizer loaded"
)


def output_of(*command, **options):
    result = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


def make(*arguments, cwd=ROOT):
    return output_of("make", *arguments, cwd=cwd)


def exported(library):
    lines = output_of("nm", "-D", "--defined-only", library).splitlines()
    return [line.split()[-1] for line in lines]


def version(library):
    return output_of(
        "sqlite3", ":memory:", f".load '{library}'", "SELECT holdfast_version()"
    )


def embedded(source):
    """The texts in a generated file, by name, decoded from its C."""
    texts = {}
    array = r"char hf_embedded_(\w+)\[\] = \{([^}]*)\}"
    arrays = re.findall(array, source)
    for name, elements in arrays:
        octal = re.findall(r"'\\([0-7]+)'", elements)
        assert octal.pop() == "0"
        texts[name] = bytes(int(digits, 8) for digits in octal)
    rows = re.findall(r'\{"(\w+)", hf_embedded_(\w+),', source)
    assert rows == [(name, name) for name in texts]
    return texts


@builds
def test_exports_only_the_entry_point():
    assert exported(BUILD / "holdfast.so") == ["sqlite3_holdfast_init"]


def test_embedded_sql_equals_the_files():
    source = (BUILD / "gen/embedded_sql.c").read_text()
    assert embedded(source) == {f.stem: f.read_bytes() for f in SQL}


@pytest.fixture
def tree(tmp_path):
    """A copy of what embedding needs, to be changed at will."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "tests/tools", tmp_path / "tests/tools")
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql/b.sql").write_bytes(b"-- \xc3\xa9\\\"'\x00\xff\nSELECT 1;")
    return tmp_path


def embed(tree):
    time.sleep(0.05)  # file times go in ticks, and equal ones are not newer
    make("build/gen/embedded_sql.c", cwd=tree)
    return embedded((tree / "build/gen/embedded_sql.c").read_text())


@builds
def test_embedding_follows_every_change(tree):
    text = (tree / "sql/b.sql").read_bytes()
    assert embed(tree) == {"b": text}

    old = tree / "sql/a.sql"
    old.write_text("SELECT 2;")
    os.utime(old, (1, 1))  # an addition need not be newer than the build
    assert embed(tree) == {"a": b"SELECT 2;", "b": text}

    future = (tree / "build/gen/embedded_sql.c").stat().st_mtime + 1
    old.write_text("SELECT 3;")
    os.utime(old, (future, future))
    assert embed(tree) == {"a": b"SELECT 3;", "b": text}

    old.unlink()
    assert embed(tree) == {"b": text}

    (tree / "sql/b.sql").unlink()
    assert embed(tree) == {}


@builds
def test_embedding_refuses_a_name_that_is_no_area(tree):
    (tree / "sql/not an area.sql").touch()
    command = ["tests/tools/embed", "sql/not an area.sql"]
    result = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert result.returncode != 0
    assert "sql/not an area.sql" in result.stderr


@builds
def test_nothing_is_rebuilt_without_a_reason():
    make("all")
    assert make("all") == ""


@builds
def test_install(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/usr")
    library = tmp_path / "usr/lib/sqlite3/holdfast.so"
    scripts = tmp_path / "usr/share/holdfast/sql"
    assert version(library.with_suffix("")) == "0.1.0\n"
    installed = {path for path in tmp_path.rglob("*") if path.is_file()}
    assert installed == {library} | {scripts / path.name for path in SQL}
    for path in SQL:
        assert (scripts / path.name).read_bytes() == path.read_bytes()


@builds
def test_install_into_the_default_prefix(tmp_path):
    make("install", f"DESTDIR={tmp_path}")
    assert (tmp_path / "usr/local/lib/sqlite3/holdfast.so").is_file()


@builds
def test_static_crypto():
    """A library that needs no libcrypto.so, and shows nobody its own."""
    make(f"BUILD={VARIANTS}/static", "STATIC_CRYPTO=1", "all")
    library = BUILD / "static/holdfast.so"
    assert "libcrypto" in output_of("ldd", BUILD / "holdfast.so")
    assert "libcrypto" not in output_of("ldd", library)
    assert exported(library) == ["sqlite3_holdfast_init"]
    assert version(library.with_suffix("")) == "0.1.0\n"


@builds
def test_clang():
    """The same sources, without a warning (-Werror)."""
    make(f"BUILD={VARIANTS}/clang", "CC=clang", "all")
    assert version(BUILD / "clang/holdfast") == "0.1.0\n"
