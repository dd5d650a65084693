"""Several connections in several threads, under ThreadSanitizer."""
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_no_race(tmp_path):
    # No other sanitizer's runtime may be loaded before this one.
    env = {name: value for name, value in os.environ.items()
           if name not in ("LD_PRELOAD", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    subprocess.run(["make", "-s", "-C", str(ROOT), "dist",
                    f"BUILD={tmp_path}/build"], check=True, env=env)
    program = tmp_path / "threads"
    subprocess.run(
        [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O1", "-g",
         "-Wall", "-Wextra", "-Werror", "-fsanitize=thread", "-DSQLITE_CORE",
         str(pathlib.Path(__file__).with_name("threads.c")),
         f"{tmp_path}/build/dist/holdfast.c", "-o", str(program), "-lsqlite3",
         "-lcrypto", "-lm", "-lpthread"], check=True, env=env)
    done = subprocess.run([str(program), str(tmp_path / "t.db")], env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert done.stdout == "384 entries, 0 findings\n"
