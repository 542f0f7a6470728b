"""How a model was created: the record of a creation function, as a value (paper, section 2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mgit_core.digest import DIGEST_SIZE, Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.metadata import MetadataValue, check_metadata

__all__ = [
    "MAX_SOURCE_BYTES",
    "MERGE_ENTRY_POINT",
    "CreationRecord",
    "check_creation",
    "is_merge",
    "merge_base_of",
    "with_merge_base",
]

MERGE_ENTRY_POINT = "mgit/service:merge"
"""Stands where a creation function would, for models that the service merged: no Python module has a slash in its name."""

MAX_SOURCE_BYTES = 256 * 1024
_MAX_ENTRY_POINT = 1_000
_MAX_ENVIRONMENT_BYTES = 16 * 1024
_MAX_MEMBER = 200
_BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class CreationRecord:
    """The creation function of a model, and what it was called with.

    A rebuild calls it with the parameters of the model's provenance parents, in their order.

    Attributes:
        entry_point: ``MODULE:FUNCTION``; MERGE_ENTRY_POINT for a model that the service merged.
        code_digest: Digest of the source behind it.
        source: That source, for people to read; empty if it is not at hand. It is never run.
        arguments: Handed to the function by name.
        seed: Handed to the function as ``seed``; None if it takes none.
        environment: What it ran with, by name: versions of Python and packages, the kind of processor.
        group: UUID that models have in common which one call made together, such as those that share tied
            parameters; empty for a model that was made alone.
        member: Which of the call's models this is; empty for a model that was made alone.
    """

    entry_point: str
    code_digest: Digest
    source: str = ""
    arguments: Mapping[str, MetadataValue] = field(default_factory=dict)
    seed: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    member: str = ""


def is_merge(record: CreationRecord) -> bool:
    """Whether the service merged the model; then no code of anybody's makes it anew."""
    return record.entry_point == MERGE_ENTRY_POINT


def merge_base_of(record: CreationRecord) -> str | None:
    """UID of the base of a merge; None for what a creation function made."""
    return str(record.arguments.get(_BASE, "")) if is_merge(record) else None


def with_merge_base(record: CreationRecord, uid: str) -> CreationRecord:
    """The record of a merge with another base."""
    return replace(record, arguments={**record.arguments, _BASE: uid})


def check_creation(record: CreationRecord) -> CreationRecord:
    """``record``, if every field may be kept.

    Raises:
        InvalidArgumentError: INVALID_CREATION, or INVALID_METADATA for arguments.
    """
    check_metadata(record.arguments)
    module, colon, function = record.entry_point.partition(":")
    if not (module and colon and function) or len(record.entry_point) > _MAX_ENTRY_POINT:
        raise _invalid(f"A creation function is written MODULE:FUNCTION; found {record.entry_point[:80]!r}.")
    if len(record.code_digest) != DIGEST_SIZE:
        raise _invalid(f"The digest of its source has {DIGEST_SIZE} bytes; found {len(record.code_digest)}.")
    size_bytes = len(record.source.encode())
    if size_bytes > MAX_SOURCE_BYTES:
        raise _invalid(
            f"The source of a creation function has {MAX_SOURCE_BYTES} bytes at most; found {size_bytes}."
        )
    if record.seed is not None and not 0 <= record.seed < 2**63:
        raise _invalid(f"A seed is a number from 0 to 2^63 - 1; found {record.seed}.")
    if len(json.dumps(dict(record.environment))) > _MAX_ENVIRONMENT_BYTES:
        raise _invalid(f"The environment takes {_MAX_ENVIRONMENT_BYTES} bytes at most as JSON.")
    if bool(record.group) != bool(record.member):
        raise _invalid(
            "Models that were made together have a group and a member each; found only one of the two."
        )
    if len(record.member) > _MAX_MEMBER:
        raise _invalid(f"A member has {_MAX_MEMBER} characters at most; found {len(record.member)}.")
    return record


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_CREATION, message)
