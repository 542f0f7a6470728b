"""Documents as they are stored and sent: one zstd frame behind the eight bytes ``MGITDOC`` and a version."""

from __future__ import annotations

import zstandard

from mgit_core.errors import CorruptError, ErrorReason

__all__ = ["LARGEST_DOCUMENT", "pack_document", "unpack_document"]

LARGEST_DOCUMENT = 1 << 30
_HEADER = b"MGITDOC\x01"


def pack_document(content: bytes) -> bytes:
    """The document as it is stored."""
    return _HEADER + zstandard.ZstdCompressor(level=3).compress(content)


def unpack_document(title: str, stored: bytes, most_bytes: int = LARGEST_DOCUMENT) -> bytes:
    """The content of a stored document; its digest is not looked at.

    Args:
        title: What to call it in an error.
        stored: The document as it is stored.
        most_bytes: Bytes that the content may have; checked before memory is taken.

    Raises:
        CorruptError: MANIFEST_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    if not stored.startswith(_HEADER):
        if stored.startswith(_HEADER[:-1]):
            raise CorruptError(ErrorReason.UNKNOWN_FORMAT_VERSION, f"{title} was written by a later version.")
        raise _corrupt(title, "it does not begin as a document")
    frame = stored[len(_HEADER) :]
    try:
        # A frame that declares no size counts as larger than any bound.
        if zstandard.get_frame_parameters(frame).content_size > most_bytes:
            raise _corrupt(title, f"it claims to be larger than {most_bytes} bytes")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise _corrupt(title, str(error)) from error


def _corrupt(title: str, found: str) -> CorruptError:
    return CorruptError(ErrorReason.MANIFEST_CORRUPT, f"{title} cannot be read: {found}.")
