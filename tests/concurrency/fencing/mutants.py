#!/usr/bin/python3
"""mutants.py MODEL FOLDER: would the tests notice?

Builds the library anew in FOLDER with one mutation of mutations.py at a time,
and runs the program MODEL with it, then the tests of tests/lease (the other
way round where mutations.py names one of those): one of them must fail.  Prints
the mutants that live, and fails if one does, or if a text to mutate is not
there exactly once.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from mutations import MUTATIONS

ROOT = pathlib.Path(__file__).resolve().parents[3]
COMPILER = os.environ.get("CC", "cc")
STEPS = "40000"  # of the model, for each mutant
TESTS = ("test_walls.py", "test_lease.py", "test_guard.py", "test_denials.py",
         "test_review.py", "test_defects.py", "test_known.py")
# One of the settings of tests/ledger/conftest.py.
PYTEST = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider",
          "-k", "not [delete and not [untrusted and not [reopen"]
ENV = {name: text for name, text in os.environ.items()
       if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "BUILD")}


def run(command, seconds, **more):
    """Does it pass, in time?"""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env=dict(ENV, **more),
                             start_new_session=True)
    try:
        return child.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        try:
            os.killpg(child.pid, 9)
        except ProcessLookupError:
            pass
        child.wait()


def tests_pass(library, folder, names=TESTS):
    paths = [str(ROOT / "tests/lease" / name) for name in names]
    return run([*PYTEST, f"--basetemp={folder}/pytest", *paths], 120,
               HOLDFAST=library)


def build(folder):
    """The library as it is; then its object files, for the mutants."""
    subprocess.run(["make", "-s", "-j2", "-C", str(ROOT), "all",
                    f"BUILD={folder}/build", "CFLAGS=-O0", "WERROR="],
                   check=True, env=ENV)
    return sorted((folder / "build/obj").rglob("*.o"))


def compile_mutant(folder, objects, source, text):
    """The library with this text in the place of a source."""
    name = "embedded_sql" if source.endswith(".sql") else \
        pathlib.Path(source).stem
    file = folder / f"{name}.c"
    if source.endswith(".sql"):
        mutated = folder / pathlib.Path(source).name
        mutated.write_text(text)
        others = [str(mutated) if path == ROOT / source else str(path)
                  for path in sorted((ROOT / "sql").glob("*.sql"))]
        file.write_bytes(subprocess.run([ROOT / "tests/tools/embed", *others],
                                        check=True, stdout=subprocess.PIPE
                                        ).stdout)
    else:
        file.write_text(text)
    rest = [str(path) for path in objects if path.stem != name]
    assert len(rest) == len(objects) - 1, name
    subprocess.run(
        [COMPILER, "-std=c11", "-O0", "-w", "-fPIC", "-fvisibility=hidden",
         f"-I{ROOT}/ext", "-shared", "-Wl,-Bsymbolic", str(file), *rest, "-o",
         str(folder / "holdfast.so"), "-lcrypto", "-lm"], check=True)
    return str(folder / "holdfast")


def try_mutant(job):
    """Who kills it: model, pytest, or None."""
    number, folder, objects, model, (source, old, new, *tests) = job
    place = folder / f"mutant{number}"
    place.mkdir()
    text = (ROOT / source).read_text()
    library = compile_mutant(place, objects, source, text.replace(old, new))
    killer = None
    if tests and not tests_pass(library, place, tests):
        killer = "pytest"
    elif not run([model, library, str(place), STEPS], 30):
        killer = "model"
    elif not tests_pass(library, place):
        killer = "pytest"
    shutil.rmtree(place)
    return killer


def main():
    model, folder = sys.argv[1], pathlib.Path(sys.argv[2]).absolute()
    begin = time.monotonic()
    for source, old, new, *_ in MUTATIONS:
        found = (ROOT / source).read_text().count(old)
        if found != 1:
            sys.exit(f"{source} has this {found} times: {old}")
        assert old != new
    objects = build(folder)
    original = str(folder / "build/holdfast")
    if not run([model, original, str(folder), STEPS], 60) \
            or not tests_pass(original, folder):
        sys.exit("the library fails without a mutation")
    jobs = [(i, folder, objects, model, mutation)
            for i, mutation in enumerate(MUTATIONS)]
    with ThreadPoolExecutor(2) as pool:
        killers = list(pool.map(try_mutant, jobs))
    for job, killer in zip(jobs, killers):
        if killer is None:
            print("LIVES: {}: {!r} -> {!r}".format(*job[4][:3]))
    print(f"{len(jobs)} mutants: {killers.count('model')} killed by the model,"
          f" {killers.count('pytest')} by tests/lease,"
          f" {killers.count(None)} live ({time.monotonic() - begin:.0f} s)")
    return 1 if None in killers else 0


if __name__ == "__main__":
    sys.exit(main())
