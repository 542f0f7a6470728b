"""Digests: the identity of content.

A digest is 32 raw bytes inside the program and 64 lower-case hexadecimal characters for people. The
algorithm is fixed when a store is made, so it is an argument here and never a default.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterable
from typing import TypeAlias

from blake3 import blake3
from typing_extensions import Buffer

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["DIGEST_SIZE", "Digest", "DigestAlgorithm", "digest_from_hex", "digest_of", "digest_of_parts"]

Digest: TypeAlias = bytes
DIGEST_SIZE = 32


class DigestAlgorithm(enum.StrEnum):
    """How a store names content; fixed when the store is made."""

    BLAKE3 = "blake3"
    SHA256 = "sha256"


def digest_of(algorithm: DigestAlgorithm, content: Buffer) -> Digest:
    """The 32-byte digest of ``content``, on one thread; releases the interpreter lock for large content."""
    if algorithm is DigestAlgorithm.BLAKE3:
        return blake3(_bytes(content)).digest()
    return hashlib.sha256(content).digest()


def digest_of_parts(algorithm: DigestAlgorithm, parts: Iterable[Buffer]) -> Digest:
    """The digest of the concatenation of ``parts``, without building it."""
    state = blake3() if algorithm is DigestAlgorithm.BLAKE3 else hashlib.sha256()
    for part in parts:
        state.update(_bytes(part))
    return state.digest()


def _bytes(content: Buffer) -> memoryview:
    """The bytes of ``content``, whatever its items are: BLAKE3 takes nothing else."""
    return memoryview(content).cast("B")


def digest_from_hex(text: str) -> Digest:
    """The digest that ``text`` writes.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, if it is not 64 hexadecimal characters.
    """
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != DIGEST_SIZE or len(text) != 2 * DIGEST_SIZE:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A digest is {2 * DIGEST_SIZE} hexadecimal characters, not {text[:80]!r}.",
        )
    return digest
