"""Between the messages of a merge and its values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mgit.merging.values import Merge, MergeConflict, MergeOutcome, PossibleConflict, StagedMerge
from mgit.wire import read_summary, read_time
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import merge_pb2 as pb
from mgit_proto.v1 import types_pb2

__all__ = ["FAIL", "MergeAnswer", "read_staged", "write_choice"]

_RECIPE = "merge"

FAIL = "fail"
"""The word for leaving conflicts unresolved."""

_CHOICES = {
    "ours": pb.CONFLICT_CHOICE_OURS,
    "theirs": pb.CONFLICT_CHOICE_THEIRS,
    "average": pb.CONFLICT_CHOICE_AVERAGE,
    "task-arithmetic": pb.CONFLICT_CHOICE_TASK_ARITHMETIC,
    "ties": pb.CONFLICT_CHOICE_TIES,
}
_CHOICE_WORDS = {number: word for word, number in _CHOICES.items()}
_OUTCOMES = {
    pb.MERGE_OUTCOME_CONFLICTED: MergeOutcome.CONFLICTED,
    pb.MERGE_OUTCOME_MERGED: MergeOutcome.MERGED,
    pb.MERGE_OUTCOME_FAST_FORWARDED: MergeOutcome.FAST_FORWARDED,
    pb.MERGE_OUTCOME_STAGED: MergeOutcome.STAGED,
}


def write_choice(word: str) -> pb.ConflictChoice.ValueType:
    """The number of a choice; 0 for ``fail``.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT.
    """
    if word == FAIL:
        return pb.CONFLICT_CHOICE_UNSPECIFIED
    if word not in _CHOICES:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"What becomes of a conflict is one of {', '.join((FAIL, *_CHOICES))}; found {word[:80]!r}.",
            field="on_conflict",
        )
    return _CHOICES[word]


@dataclass(slots=True)
class MergeAnswer:
    """Puts the messages of one merge together.

    Attributes:
        model: What was made, in the last message.
    """

    model: types_pb2.Model | None = None
    _summary: pb.MergeSummary | None = None
    _conflicts: list[MergeConflict] = field(default_factory=list)
    _possible: list[PossibleConflict] = field(default_factory=list)
    _end: pb.MergeModelsResponse | None = None

    def take(self, message: pb.MergeModelsResponse) -> None:
        """Take the next message."""
        if message.HasField("summary"):
            self._summary = message.summary
        self._conflicts += map(_read_conflict, message.conflicts)
        self._possible += map(_read_possible, message.possible)
        if message.outcome:
            self._end = message
            self.model = message.model if message.HasField("model") else None

    def merge(self) -> Merge:
        """The merge, without its model."""
        end = self._end or pb.MergeModelsResponse()
        summary = self._summary
        return Merge(
            outcome=_OUTCOMES[end.outcome],
            **_read_sides(summary),
            conflicts=tuple(self._conflicts),
            possible=tuple(self._possible),
            counts={} if summary is None else _read_counts(summary),
            notes=() if summary is None else tuple(summary.notes),
            stored_bytes=end.stored_bytes,
        )


def read_staged(model: types_pb2.Model) -> StagedMerge:
    """A staged merge; its recipe says what it was merged from."""
    recipe = json.loads(model.metadata[_RECIPE].text)
    return StagedMerge(
        uid=model.summary.uid,
        name=model.summary.name,
        created_at=read_time(model.summary.created_at),
        **{role: recipe[role]["ref"] for role in ("base", "ours", "theirs")},
    )


def _read_sides(summary: pb.MergeSummary | None) -> Mapping[str, Any]:
    if summary is None:
        return {}
    return {
        "base": read_summary(summary.base),
        "ours": read_summary(summary.ours),
        "theirs": read_summary(summary.theirs),
    }


def _read_counts(summary: pb.MergeSummary) -> dict[str, int]:
    return {
        "unchanged": summary.unchanged,
        "ours": summary.changed_by_ours,
        "theirs": summary.changed_by_theirs,
        "same": summary.changed_alike,
        "conflict": summary.conflicting,
        "resolved": summary.resolved,
    }


def _read_conflict(message: pb.MergeConflict) -> MergeConflict:
    return MergeConflict(
        names=tuple(message.names),
        layers=tuple(message.layers),
        ours=_word(pb.SideChange.Name(message.ours), "SIDE_CHANGE_"),
        theirs=_word(pb.SideChange.Name(message.theirs), "SIDE_CHANGE_"),
        choices=tuple(_CHOICE_WORDS[choice] for choice in message.choices),
        choice=_CHOICE_WORDS.get(message.choice),
        why=message.why,
        is_file=message.is_file,
    )


def _read_possible(message: pb.PossibleConflict) -> PossibleConflict:
    return PossibleConflict(
        ours=message.ours,
        theirs=message.theirs,
        dependence=_word(pb.Dependence.Name(message.dependence), "DEPENDENCE_"),
        through=message.through,
    )


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", "-")
