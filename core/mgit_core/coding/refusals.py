"""The two ways in which a stored chunk is refused."""

from __future__ import annotations

from mgit_core.errors import CorruptError, ErrorReason

__all__ = ["corrupt", "unknown"]


def corrupt(found: str) -> CorruptError:
    """The error for a payload or parameters that cannot be: CHUNK_CORRUPT."""
    return CorruptError(ErrorReason.CHUNK_CORRUPT, f"A chunk cannot be decoded: {found}.")


def unknown(found: str) -> CorruptError:
    """The error for a number of a later version: UNKNOWN_FORMAT_VERSION."""
    return CorruptError(
        ErrorReason.UNKNOWN_FORMAT_VERSION,
        f"A chunk has {found}, which this version does not know; a newer service reads it.",
    )
