"""Documents as objects, verified against the digest in their keys."""

from __future__ import annotations

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.documents import unpack_document
from mgit_core.errors import CorruptError, ErrorReason

__all__ = ["verified_content"]


def verified_content(key: str, stored: bytes, algorithm: DigestAlgorithm, digest: Digest) -> bytes:
    """The content of the document in an object, verified against ``digest``.

    Raises:
        CorruptError: MANIFEST_CORRUPT or UNKNOWN_FORMAT_VERSION, naming ``key``.
    """
    try:
        content = unpack_document(f"Object {key}", stored)
    except CorruptError as error:
        raise CorruptError(error.reason, error.message, key=key) from error
    if digest_of(algorithm, content) != digest:
        raise CorruptError(
            ErrorReason.MANIFEST_CORRUPT,
            f"Object {key} cannot be read: its content does not fit its digest.",
            key=key,
        )
    return content
