"""What people write about models: plain values under named keys."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TypeAlias

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["MAX_METADATA_BYTES", "MetadataValue", "check_metadata"]

MetadataValue: TypeAlias = str | int | float | bool

_METADATA_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
MAX_METADATA_BYTES = 64 * 1024


def check_metadata(metadata: Mapping[str, object]) -> dict[str, MetadataValue]:
    """``metadata`` as a dict, if it may be stored: plain values, named keys, 64 KiB at most as JSON.

    Raises:
        InvalidArgumentError: INVALID_METADATA.
    """
    checked = {key: _check_entry(key, value) for key, value in metadata.items()}
    size_bytes = len(json.dumps(checked).encode())
    if size_bytes > MAX_METADATA_BYTES:
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA,
            f"Metadata takes at most {MAX_METADATA_BYTES} bytes as JSON; found {size_bytes}.",
        )
    return checked


def _check_entry(key: str, value: object) -> MetadataValue:
    if not _METADATA_KEY.fullmatch(key):
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA,
            "A metadata key has up to 100 letters, digits, '_', '.' and '-' and starts with a letter or "
            f"'_'; found {key[:80]!r}.",
        )
    is_wide = isinstance(value, int) and not -(2**63) <= value < 2**63
    if not isinstance(value, str | int | float | bool) or is_wide:
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA,
            f"Metadata {key!r} is text, a 64-bit integer, a float or a boolean; found "
            f"{type(value).__name__}. Write nested values as JSON text.",
        )
    if isinstance(value, str) and any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA, f"Metadata {key!r} is not text: half a surrogate pair stands in it."
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA,
            f"Metadata {key!r} is {value}, which JSON cannot say; write it as text.",
        )
    return value
