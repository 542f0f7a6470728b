"""Documents as objects: one zstd frame behind the eight bytes ``MGITDOC`` and a version."""

from __future__ import annotations

import zstandard

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason

__all__ = ["pack_document", "unpack_document"]

_HEADER = b"MGITDOC\x01"
_LARGEST_DOCUMENT = 1 << 30


def pack_document(content: bytes) -> bytes:
    """The object of a document."""
    return _HEADER + zstandard.ZstdCompressor(level=3).compress(content)


def unpack_document(key: str, stored: bytes, algorithm: DigestAlgorithm, digest: Digest) -> bytes:
    """The document in an object, verified against ``digest``.

    Raises:
        CorruptError: MANIFEST_CORRUPT or UNKNOWN_FORMAT_VERSION, naming ``key``.
    """
    content = _decompress(key, stored)
    if digest_of(algorithm, content) != digest:
        raise _corrupt(key, "its content does not fit its digest")
    return content


def _decompress(key: str, stored: bytes) -> bytes:
    if not stored.startswith(_HEADER):
        if stored.startswith(_HEADER[:-1]):
            raise CorruptError(
                ErrorReason.UNKNOWN_FORMAT_VERSION, f"Object {key} was written by a later version.", key=key
            )
        raise _corrupt(key, "it does not begin as a document")
    frame = stored[len(_HEADER) :]
    try:
        if zstandard.get_frame_parameters(frame).content_size > _LARGEST_DOCUMENT:
            raise _corrupt(key, "it claims to be larger than 1 GiB")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise _corrupt(key, str(error)) from error


def _corrupt(key: str, found: str) -> CorruptError:
    return CorruptError(ErrorReason.MANIFEST_CORRUPT, f"Object {key} cannot be read: {found}.", key=key)
