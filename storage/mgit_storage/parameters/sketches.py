"""Sketches of the tensors of a parameter set as one object ``sketches/DIGEST/1``; the 1 is the kind of sketch.

Behind the eight bytes ``MGITSKT`` and a version stand 64 bytes for each tensor in the order of the manifest; 64
zero bytes where there is no sketch.
"""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason
from mgit_core.similarity import TENSOR_SKETCH_BYTES

__all__ = ["pack_sketches", "sketches_key", "unpack_sketches"]

_HEADER = b"MGITSKT\x01"
_NONE = bytes(TENSOR_SKETCH_BYTES)


def sketches_key(parameter_set: Digest) -> str:
    """The key of the object that holds the sketches of a parameter set's tensors."""
    return f"sketches/{parameter_set.hex()}/1"


def pack_sketches(sketches: Sequence[bytes]) -> bytes:
    """The object's bytes."""
    return _HEADER + b"".join(sketch or _NONE for sketch in sketches)


def unpack_sketches(key: str, stored: bytes) -> tuple[bytes, ...]:
    """The sketches; an empty one where there is none.

    Raises:
        CorruptError: MANIFEST_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    if not stored.startswith(_HEADER):
        if stored.startswith(_HEADER[:-1]):
            raise CorruptError(
                ErrorReason.UNKNOWN_FORMAT_VERSION, f"Object {key} was written by a later version.", key=key
            )
        raise _corrupt(key, "it does not begin as sketches do")
    body = stored[len(_HEADER) :]
    if len(body) % TENSOR_SKETCH_BYTES:
        raise _corrupt(key, "it ends within a sketch")
    found = (body[at : at + TENSOR_SKETCH_BYTES] for at in range(0, len(body), TENSOR_SKETCH_BYTES))
    return tuple(b"" if sketch == _NONE else sketch for sketch in found)


def _corrupt(key: str, found: str) -> CorruptError:
    return CorruptError(ErrorReason.MANIFEST_CORRUPT, f"Object {key} cannot be read: {found}.", key=key)
