"""A self-signed certificate without a library for it: an elliptic-curve key and a little DER.

Good for tests on the loopback device and for nothing else: the arithmetic takes no care of timing.
Sources: RFC 5280 and RFC 5915 for the encodings, FIPS 186-4 for the curve P-256.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import secrets
import textwrap
from dataclasses import dataclass
from pathlib import Path

Point = tuple[int, int] | None

_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_BASE: Point = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")
_CURVE = bytes.fromhex("06082a8648ce3d030107")
_ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")
_COMMON_NAME = bytes.fromhex("0603550403")
_ALTERNATIVE_NAMES = bytes.fromhex("0603551d11")
_CONSTRAINTS = bytes.fromhex("0603551d13")


@dataclass(frozen=True)
class Certificate:
    """Files in PEM; the certificate is its own authority, for ``localhost`` and 127.0.0.1."""

    certificate: Path
    key: Path


def make_certificate(folder: Path) -> Certificate:
    """Writes a new key with its certificate, good for a day, into ``folder``."""
    secret = 1 + secrets.randbelow(_N - 1)
    public = _public_bytes(_times(secret, _BASE))
    body = _body(public)
    certificate = _sequence(body, _sequence(_ECDSA_SHA256), _bits(_sign(secret, body)))
    key = _sequence(
        _integer(1), _tagged(0x04, _32(secret)), _tagged(0xA0, _CURVE), _tagged(0xA1, _bits(public))
    )
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    made.certificate.write_text(_pem("CERTIFICATE", certificate), encoding="ascii")
    made.key.write_text(_pem("EC PRIVATE KEY", key), encoding="ascii")
    return made


def _body(public: bytes) -> bytes:
    now = dt.datetime.now(dt.UTC)
    name = _sequence(_tagged(0x31, _sequence(_COMMON_NAME, _tagged(0x0C, b"localhost"))))
    alternatives = _sequence(_tagged(0x82, b"localhost"), _tagged(0x87, bytes([127, 0, 0, 1])))
    is_authority = _sequence(_tagged(0x01, b"\xff"))
    extensions = _sequence(
        _sequence(_ALTERNATIVE_NAMES, _tagged(0x04, alternatives)),
        _sequence(_CONSTRAINTS, _tagged(0x01, b"\xff"), _tagged(0x04, is_authority)),
    )
    return _sequence(
        _tagged(0xA0, _integer(2)),
        _integer(secrets.randbits(63)),
        _sequence(_ECDSA_SHA256),
        name,
        _sequence(_moment(now - dt.timedelta(hours=1)), _moment(now + dt.timedelta(days=1))),
        name,
        _sequence(_sequence(_EC_PUBLIC_KEY, _CURVE), _bits(public)),
        _tagged(0xA3, extensions),
    )


def _sign(secret: int, content: bytes) -> bytes:
    digest = int.from_bytes(hashlib.sha256(content).digest(), "big")
    nonce = 1 + secrets.randbelow(_N - 1)
    point = _times(nonce, _BASE)
    assert point is not None
    r = point[0] % _N
    s = pow(nonce, -1, _N) * (digest + r * secret) % _N
    return _sequence(_integer(r), _integer(s))


def _add(one: Point, other: Point) -> Point:
    if one is None or other is None:
        return one or other
    if one[0] == other[0] and (one[1] + other[1]) % _P == 0:
        return None
    if one == other:
        slope = (3 * one[0] ** 2 - 3) * pow(2 * one[1], -1, _P) % _P
    else:
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, _P) % _P
    x = (slope**2 - one[0] - other[0]) % _P
    return x, (slope * (one[0] - x) - one[1]) % _P


def _times(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _add(point, point)
        factor >>= 1
    return total


def _public_bytes(point: Point) -> bytes:
    assert point is not None
    return b"\x04" + _32(point[0]) + _32(point[1])


def _32(number: int) -> bytes:
    return number.to_bytes(32, "big")


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _sequence(*parts: bytes) -> bytes:
    return _tagged(0x30, b"".join(parts))


def _integer(number: int) -> bytes:
    return _tagged(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _bits(content: bytes) -> bytes:
    return _tagged(0x03, b"\x00" + content)


def _moment(moment: dt.datetime) -> bytes:
    return _tagged(0x17, moment.strftime("%y%m%d%H%M%SZ").encode("ascii"))


def _pem(title: str, content: bytes) -> str:
    lines = "\n".join(textwrap.wrap(base64.b64encode(content).decode("ascii"), 64))
    return f"-----BEGIN {title}-----\n{lines}\n-----END {title}-----\n"
