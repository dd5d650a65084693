"""attest_decode: what attest_canonical wrote, as JSON, and NULL for anything
else."""
import json
import os
import pathlib
import random
import struct

import apsw
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARY = os.environ.get("HOLDFAST") or str(ROOT / "build" / "holdfast")


@pytest.fixture(scope="module", name="run")
def connection():
    db = apsw.Connection(":memory:")
    db.enableloadextension(True)
    db.loadextension(LIBRARY)
    db.cursor().execute("PRAGMA trusted_schema = OFF")
    yield lambda sql, *bindings: db.cursor().execute(
        sql, bindings).fetchall()[0][0]
    db.close()


DECODE = "SELECT attest_decode(?)"


@pytest.mark.parametrize("values, text", [
    ("NULL", "[null]"), ("1, 1.0, '1', x'31'", '[1,1.0,"1",{"blob":"31"}]'),
    ("0, -0.0, '', x''", '[0,0.0,"",{"blob":""}]'),
    ("9223372036854775807, -9223372036854775808",
     "[9223372036854775807,-9223372036854775808]"),
    ("9e999, -9e999, 1e300, 5e-324, 1e21, 1e20, 0.1",
     "[9e999,-9e999,1e+300,5e-324,1e+21,100000000000000000000.0,0.1]"),
    ("-2.5, 3.0, 9223372036854775807.0", "[-2.5,3.0,9223372036854776000.0]"),
    ("'\"\\' || char(0, 1, 10, 31, 127, 128512)",
     '["\\"\\\\\\u0000\\u0001\\u000a\\u001f\x7f\U0001f600"]'),
    ("CAST(x'ff' AS TEXT), CAST(x'6100c3' AS TEXT)",
     '[{"text":"ff"},{"text":"6100c3"}]'),
    ("CAST(x'eda080' AS TEXT), CAST(x'c080' AS TEXT)",
     '[{"text":"eda080"},{"text":"c080"}]'),
    ("zeroblob(3)", '[{"blob":"000000"}]'),
    (", ".join("1" * 127), "[" + ",".join("1" * 127) + "]"),
])
def test_values(run, values, text):
    assert run(f"SELECT attest_decode(attest_canonical({values}))") == text
    assert run("SELECT json_valid(?)", text) == 1


@pytest.mark.parametrize("value", [
    None, 1, 2.5, "R1:N", "", b"", b"R", b"R1", b"R1:", b"R1:NN", b"r1:N",
    b"R01:N", b"R00:", b"R+1:N", b"R 1:N", b"R-1:N", b"R:N", b"N", b"R2:N",
    b"R1:X", b"R1:T:", b"R1:T1:", b"R1:T01:a", b"R1:T2:a", b"R1:T1:ab",
    b"R1:B1:", b"R1:B-1:a", b"R1:t1:a", b"R1:I1234567", b"R1:F1234567",
    b"R1:I123456789", b"R1:F\x80" + b"\0" * 7, b"R1:F\x7f\xf8" + b"\0" * 6,
    b"R1:F\xff\xff" + b"\xff" * 6, b"R1:F\x7f\xf0" + b"\0" * 5 + b"\1",
    b"R18446744073709551615:", b"R18446744073709551616:N",
    b"R99999999999999999999999:N", b"R1:T18446744073709551615:a",
    b"R1:T18446744073709551616:", b"R1:T36893488147419103233:a",
    b"R1:B9223372036854775807:a", b"R1:T4294967297:a"])
def test_what_is_none(run, value):
    assert run(DECODE, value) is None


def test_the_least(run):
    assert run(DECODE, b"R0:") == "[]"
    assert run("SELECT attest_decode(attest_canonical())") == "[]"


def test_truncation(run):
    whole = run("SELECT attest_canonical(NULL, 12, -1.5, 'text', x'0102',"
                " '0123456789', zeroblob(100))")
    assert run(DECODE, whole) is not None
    for size in range(len(whole)):
        assert run(DECODE, whole[:size]) is None
        assert run(DECODE, whole[size:]) is None or size == 0
    assert run(DECODE, whole + b"\0") is None
    assert run(DECODE, whole + whole) is None


def value_of(item):
    """What the JSON says, back to what was given."""
    if isinstance(item, dict):
        return bytes.fromhex(item["blob"])
    return item


def test_round_trip(run):
    pick = random.Random(7)
    for _ in range(400):
        row = [pick.choice([
            None, pick.randint(-2**63, 2**63 - 1), pick.randint(-5, 5),
            pick.uniform(-9, 9), pick.gauss(0, 1) * 10.0 ** pick.randint(
                -300, 300), float(pick.randint(-9, 9)),
            "".join(map(chr, pick.choices(
                [0, 9, 34, 47, 92, 127, 0xe9, 0x20ac, 0x1f600, 97], k=9))),
            pick.randbytes(pick.randint(0, 40))])
            for _ in range(pick.randint(1, 12))]
        data = run("SELECT attest_canonical(%s)" % ",".join("?" * len(row)),
                   *row)
        back = [value_of(item) for item in json.loads(run(DECODE, data))]
        assert [(type(v), v) for v in back] == [(type(v), v) for v in row]


def test_flipped_bits(run):
    """Never a crash; and what is read back is what the bytes say."""
    data = run("SELECT attest_canonical(NULL, 7, 2.5, 'ab', x'0102', '')")
    found = set()
    for bit in range(8 * len(data)):
        other = bytearray(data)
        other[bit // 8] ^= 1 << bit % 8
        text = run(DECODE, bytes(other))
        assert text is None or (json.loads(text.replace("9e999", "1"))
                                and text not in found)
        found.add(text)
    assert run(DECODE, data) not in found and len(found) > 150


def test_garbage(run):
    pick = random.Random(8)
    for _ in range(3000):
        data = b"R%d:" % pick.randint(0, 3) + bytes(pick.choices(
            b"NNNIFTB0123:\xff\0", k=pick.randint(0, 30)))
        text = run(DECODE, data)
        assert text is None or text.startswith("[")
    assert run(DECODE, b"R1:F" + struct.pack(">d", float("inf"))) == "[9e999]"
