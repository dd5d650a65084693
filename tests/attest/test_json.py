"""attest_json: RFC 8785, against its own examples, Python's json and, where
there is one, Node's JSON."""
import json
import random
import shutil
import struct
import subprocess

import apsw
import pytest

from test_attest import database, value  # noqa: F401


def canonical(db, text):
    return value(db, "SELECT attest_json(?)", (text,))


# RFC 8785, appendix B.
NUMBERS = """
0000000000000000 0
8000000000000000 0
0000000000000001 5e-324
8000000000000001 -5e-324
7fefffffffffffff 1.7976931348623157e+308
ffefffffffffffff -1.7976931348623157e+308
4340000000000000 9007199254740992
c340000000000000 -9007199254740992
4430000000000000 295147905179352830000
44b52d02c7e14af5 9.999999999999997e+22
44b52d02c7e14af6 1e+23
44b52d02c7e14af7 1.0000000000000001e+23
444b1ae4d6e2ef4e 999999999999999700000
444b1ae4d6e2ef4f 999999999999999900000
444b1ae4d6e2ef50 1e+21
3eb0c6f7a0b5ed8c 9.999999999999997e-7
3eb0c6f7a0b5ed8d 0.000001
41b3de4355555553 333333333.3333332
41b3de4355555554 333333333.33333325
41b3de4355555555 333333333.3333333
41b3de4355555556 333333333.3333334
41b3de4355555557 333333333.33333343
becbf647612f3696 -0.0000033333333333333333
43143ff3c1cb0959 1424953923781206.2
""".split()


def test_numbers_of_the_rfc(db):
    for bits, text in zip(NUMBERS[::2], NUMBERS[1::2]):
        number, = struct.unpack(">d", bytes.fromhex(bits))
        assert canonical(db, repr(number)) == text
        assert canonical(db, f"{number:.25e}") == text


def test_the_shortest_may_be_the_next_one_up(db):
    """2^-44: the nearest decimal of 16 digits does not read back."""
    assert canonical(db, repr(2.0**-44)) == "5.684341886080802e-14"


def test_example_of_the_rfc(db):
    """Section 3.2.2 to 3.2.4."""
    assert canonical(db, r'''{
       "numbers": [333333333.33333329, 1E30, 4.50,
                   2e-3, 0.000000000000000000000000001],
       "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
       "literals": [null, true, false]
     }''') == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,'
        '0.002,1e-27],"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}')


def test_keys_in_the_order_of_utf16(db):
    """Section 3.2.3; and keys that are prefixes, escaped, or equal."""
    assert canonical(db, r'''{
      "\u20ac": "Euro Sign", "\r": "Carriage Return",
      "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
      "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"}''') == (
        '{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":'
        '"Latin Small Letter O With Diaeresis","\u20ac":"Euro Sign",'
        '"\U0001f600":"Emoji: Grinning Face","\ufb33":'
        '"Hebrew Letter Dalet With Dagesh"}')
    chance = random.Random(5)
    alphabet = ["", "a", "b", "\0", "\x01", "\n", '"', "\\", "\x7f", "\u00e9",
                "\ud7ff", "\ue000", "\uffff", "\U00010000", "\U0001f600",
                "\U0010ffff"]
    for _ in range(200):
        keys = {"".join(chance.choices(alphabet, k=3)) for _ in range(12)}
        given = {key: number for number, key in enumerate(
            chance.sample(sorted(keys), len(keys)))}
        got = canonical(db, json.dumps(given))
        assert json.loads(got) == given
        assert list(json.loads(got)) == sorted(
            keys, key=lambda key: key.encode("utf-16-be"))


def shape(chance, depth=0):
    kind = chance.randrange(9 if depth < 4 else 7)
    if kind == 0:
        return None
    if kind == 1:
        return chance.random() < .5
    if kind == 2:
        return chance.randrange(-2**53, 2**53)
    if kind in (3, 4):
        return chance.uniform(-1, 1) * 10.0**chance.randrange(-40, 40)
    if kind in (5, 6):
        return "".join(chance.choices('a"\\/\b\f\n\r\t\x01\x1f \x7f\u00e9\u2028'
                                      "\u20ac\U0001f600", k=5))
    if kind == 7:
        return [shape(chance, depth + 1) for _ in range(chance.randrange(5))]
    return {"".join(chance.choices("abc\u00e9\U0001f600", k=4)):
            shape(chance, depth + 1) for _ in range(chance.randrange(5))}


def test_any_value(db):
    """Whatever the form it comes in: one text, that means the same, and is its
    own canonical form."""
    chance = random.Random(6)
    for _ in range(400):
        item = shape(chance)
        forms = {canonical(db, json.dumps(item, ensure_ascii=ascii,
                                          indent=indent))
                 for ascii in (True, False) for indent in (None, 3)}
        assert len(forms) == 1
        text = forms.pop()
        assert json.loads(text, parse_int=float) == item
        assert canonical(db, " \t\r\n" + text + " \n") == text


@pytest.mark.parametrize("text, at, wrong", [
    ("", 1, "a value is expected"), (" ", 2, "a value is expected"),
    ("nul", 1, "a value is expected"), ("nulL", 1, "a value is expected"),
    ("True", 1, "a value is expected"), ("undefined", 1, "a value is"),
    ("null null", 6, "something follows the value"), ("1,", 2, "something"),
    ("[1,]", 4, "a value is expected"), ("[1 2]", 4, "a comma or a closing"),
    ("[", 2, "a value is expected"), ("[1", 3, "a comma or a closing bracket"),
    ("{", 2, "a string is expected"), ("{a:1}", 2, "a string is expected"),
    ('{"a" 1}', 6, "a colon is expected"), ('{"a":}', 6, "a value is"),
    ('{"a":1', 7, "a comma or a closing brace"),
    ('{"a":1,}', 8, "a string is expected"), ("{'a':1}", 2, "a string is"),
    ('{"a":1,"b":2,"a":3}', 14, "a duplicate key"),
    ('{"b":{"a":1,"\\u0061":1}}', 13, "a duplicate key"),
    ('{"":1,"":1}', 7, "a duplicate key"),
    ('"abc', 5, "a string has no end"), ('"\n"', 2, "a control character"),
    ('"\x1f"', 2, "a control character"), ('"\\x"', 3, "no such escape"),
    ('"\\', 3, "no such escape"), ('"\\u12g4"', 6, "four hexadecimal digits"),
    ('"\\u12', 6, "four hexadecimal"), ('"\\ud800"', 8, "a lone surrogate"),
    ('"\\ud800x"', 8, "a lone surrogate"),
    ('"\\ud800\\n"', 9, "a lone surrogate"),
    ('"\\ud800\\ud800"', 14, "a lone surrogate"),
    ('"\\udc00"', 8, "a lone surrogate"),
    ("01", 2, "something follows"), ("-", 2, "a digit is expected"),
    ("+1", 1, "a value is expected"), (".5", 1, "a value is expected"),
    ("1.", 3, "a digit is expected"), ("1e", 3, "a digit is expected"),
    ("1e+", 4, "a digit is expected"), ("1.e5", 3, "a digit is expected"),
    ("0x10", 2, "something follows"), ("Infinity", 1, "a value is"),
    ("NaN", 1, "a value is expected"), ("-Infinity", 2, "a digit is expected"),
    ("1e309", 1, "a number beyond the range"), ("[-1e400]", 2, "a number"),
    ("[" * 501 + "]" * 501, 501, "too deep a nesting"),
    ("/* */ 1", 1, "a value is expected"), ("\ufeff1", 1, "a value is"),
    ("\0", 1, "a value is expected"), ("1\0", 2, "something follows"),
])
def test_refusals(db, text, at, wrong):
    with pytest.raises(apsw.SQLError) as error:
        canonical(db, text)
    assert f"attest_json: at byte {at}: {wrong}" in str(error.value)


def test_ill_formed_utf8(db):
    for raw in ("22ff22", "22c08022", "22eda08022", "22f490808022", "22c322",
                "22e28222", "2280", "22f88880808022"):
        with pytest.raises(apsw.SQLError) as error:
            value(db, f"SELECT attest_json(CAST(x'{raw}' AS TEXT))")
        assert "attest_json: at byte 2: ill-formed UTF-8" in str(error.value)


def test_other_types_and_sizes(db):
    assert canonical(db, None) is None
    for other in (1, 1.5, b"{}"):
        with pytest.raises(apsw.SQLError) as error:
            canonical(db, other)
        assert "attest_json: JSON must be TEXT" in str(error.value)
    assert canonical(db, "[" * 500 + "]" * 500) == "[" * 500 + "]" * 500
    long = '"' + "\u00e9" * 500000 + '"'
    assert canonical(db, long) == long
    many = {f"k{i}": i for i in range(20000)}
    assert canonical(db, json.dumps(many)) == json.dumps(
        dict(sorted(many.items())), separators=(",", ":"))


def test_numbers_as_node_prints_them(db):
    node = shutil.which("node")
    assert node, "nodejs is missing: make deps"
    chance = random.Random(7)
    numbers = []
    while len(numbers) < 20000:
        number, = struct.unpack(">d", chance.randbytes(8))
        if number == number and abs(number) != float("inf"):
            numbers.append(number)
    numbers += [2.0**k for k in range(-1074, 1024)]
    numbers += [10.0**k for k in range(-300, 300)]
    numbers += [chance.randrange(10**k) / 10**chance.randrange(25)
                for k in range(1, 25) for _ in range(50)]
    text = json.dumps(numbers)
    done = subprocess.run(
        [node, "-e", "process.stdout.write(JSON.stringify(JSON.parse("
                     "require('fs').readFileSync(0, 'utf8'))))"],
        input=text, stdout=subprocess.PIPE, text=True, check=True)
    assert canonical(db, text) == done.stdout
