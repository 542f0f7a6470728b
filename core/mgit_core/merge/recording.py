"""What a merge was asked for as a creation record, so that it can be done again (ADR 18)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mgit_core.creation import MERGE_ENTRY_POINT, CreationRecord, check_creation, is_merge, merge_base_of
from mgit_core.digest import DigestAlgorithm, digest_of_parts
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ParentLink, ProvenanceEdge, Relation
from mgit_core.merge.values import DEFAULT_DENSITY, ConflictChoice, MergeOptions
from mgit_core.names import parse_reference

__all__ = ["MergeCall", "merge_sides", "read_merge_call", "record_merge"]

_FAIL = "fail"
_MOST_SHOWN = 200
# Counts up when the same models and choices would be merged to something else.
_RULES = b"1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCall:
    """What a merge was asked for; its sides are the parents of the model.

    Attributes:
        base_uid: What both sides were compared with.
        options: What was chosen for conflicts.
        is_accepted: Whether a possible conflict was taken without tests.
    """

    base_uid: str
    options: MergeOptions = field(default_factory=MergeOptions)
    is_accepted: bool = False


def merge_sides(parents: Iterable[ParentLink | ProvenanceEdge]) -> tuple[str, ...]:
    """UIDs of the sides of a merge, ours first: the first two parents, in order, with relation ``merged``."""
    return tuple(each.parent_uid for each in parents if each.relation is Relation.MERGED)[:2]


def record_merge(call: MergeCall) -> CreationRecord:
    """The call as a creation record; equal calls give equal records.

    Raises:
        InvalidArgumentError: INVALID_METADATA, if its choices take more room than a record has.
    """
    options = call.options
    choices = [[pattern, choice.value] for pattern, choice in options.choices]
    return check_creation(
        CreationRecord(
            entry_point=MERGE_ENTRY_POINT,
            code_digest=digest_of_parts(DigestAlgorithm.BLAKE3, (MERGE_ENTRY_POINT.encode(), b"\n", _RULES)),
            arguments={
                "base": call.base_uid,
                "on_conflict": options.on_conflict.value if options.on_conflict else _FAIL,
                "choices": json.dumps(choices, separators=(",", ":"), ensure_ascii=False),
                "scale": options.scale,
                "density": options.density,
                "accept": call.is_accepted,
            },
        )
    )


def read_merge_call(record: CreationRecord) -> MergeCall:
    """What the merge of a record was asked for.

    Raises:
        InvalidArgumentError: INVALID_CREATION, if it is no record of a merge, or says what no merge was asked for.
    """
    if not is_merge(record):
        raise _invalid(f"{record.entry_point} is a creation function, no merge.")
    arguments = record.arguments
    try:
        return MergeCall(
            base_uid=_uid(merge_base_of(record)),
            options=MergeOptions(
                on_conflict=_on_conflict(arguments.get("on_conflict", _FAIL)),
                choices=_choices(arguments.get("choices", "[]")),
                scale=_number(arguments.get("scale", 1.0)),
                density=_number(arguments.get("density", DEFAULT_DENSITY)),
            ),
            is_accepted=_truth(arguments.get("accept", False)),
        )
    except (ValueError, TypeError, RecursionError, InvalidArgumentError) as error:
        raise _invalid(f"Found {str(dict(arguments))[:_MOST_SHOWN]}: {error}") from error


def _uid(value: Any) -> str:
    uid = parse_reference(f"@{value}").uid
    if uid is None or uid != value:
        raise ValueError(f"a base is named by its uid, found {value!r}")
    return uid


def _on_conflict(value: Any) -> ConflictChoice | None:
    return None if value == _FAIL else ConflictChoice(value)


def _choices(value: Any) -> tuple[tuple[str, ConflictChoice], ...]:
    return tuple((str(pattern), ConflictChoice(choice)) for pattern, choice in json.loads(value))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a number was expected, found {value!r}")
    return float(value)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"true or false was expected, found {value!r}")
    return value


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        ErrorReason.INVALID_CREATION, f"The record of a merge has a base and what was chosen. {message}"
    )
