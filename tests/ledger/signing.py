"""Keys of logs and witnesses in plain Python: Ed25519 (RFC 8032) and the lines
of signed notes, so that tests can sign what the library never would."""
import base64
import hashlib

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
LOG, WITNESS = 1, 4


def add(p, q):
    """Points as (x, y, z, t) with x = x/z, y = y/z, t = xy/z."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * D * p[3] * q[3], 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(n, point):
    out = (0, 1, 1, 0)
    for bit in bin(n)[2:]:
        out = add(out, out)
        if bit == "1":
            out = add(out, point)
    return out


def packed(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def base_point():
    y = 4 * pow(5, -1, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    x = P - x if x & 1 else x
    return x, y, 1, x * y % P


BASE = base_point()


def number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def ed25519_secret(seed):
    """The scalar, and what nonces are made of."""
    digest = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(digest[:32], "little")
    return scalar & (2**254 - 8) | 2**254, digest[32:]


def ed25519_public(seed):
    return packed(multiply(ed25519_secret(seed)[0], BASE))


def ed25519_sign(seed, public, message):
    scalar, prefix = ed25519_secret(seed)
    nonce = number(prefix, message) % ORDER
    point = packed(multiply(nonce, BASE))
    s = (nonce + number(point, public, message) * scalar) % ORDER
    return point + s.to_bytes(32, "little")


def encoded(data):
    return base64.b64encode(data).decode()


class Key:
    """Of a log, or of a witness, named and made from a seed."""

    def __init__(self, name, seed, kind=LOG, public=None):
        self.name, self.kind, self.seed = name, kind, bytes([seed]) * 32
        self.public = public or ed25519_public(self.seed)
        data = bytes([kind]) + self.public
        self.id = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        head = f"{name}+{self.id.hex()}+"
        self.verifier = head + encoded(data)
        self.signer = f"PRIVATE+KEY+{head}{encoded(bytes([kind]) + self.seed)}"

    def signature(self, text, time=None):
        """What stands in the line, behind the key's id."""
        before = b""
        if self.kind == WITNESS:
            before = time.to_bytes(8, "big")
            text = f"cosignature/v1\ntime {time}\n{text}"
        return before + ed25519_sign(self.seed, self.public, text.encode())

    def line(self, text, time=None):
        return self.line_of(self.signature(text, time))

    def line_of(self, signature):
        return f"\u2014 {self.name} {encoded(self.id + signature)}\n"

    def cosign(self, note, time):
        """The note with this witness's line behind the others."""
        return note + self.line(note[:note.rindex("\n\n") + 1], time)


def body(origin, size, root):
    return f"{origin}\n{size}\n{encoded(root)}\n"


def note(key, origin, size, root):
    """A checkpoint, true or not."""
    text = body(origin, size, root)
    return text + "\n" + key.line(text)
