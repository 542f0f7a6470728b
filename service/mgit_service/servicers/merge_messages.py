"""Messages of merges as values of the use cases, and back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice

from mgit_core.errors import ErrorReason, InvalidArgumentError, ResourceExhaustedError
from mgit_core.merge.values import (
    DEFAULT_DENSITY,
    Conflict,
    ConflictChoice,
    Dependence,
    MergeOptions,
    PossibleConflict,
    SideChange,
)
from mgit_proto.v1 import merge_pb2 as pb
from mgit_service.servicers import convert
from mgit_service.servicers.creation_messages import step_value
from mgit_service.use_cases.merging.rebuilding import MergeComparison
from mgit_service.use_cases.merging.request import (
    MergeEnd,
    MergeFindings,
    MergeOrder,
    MergeOutcome,
    MergeProgress,
    MergeStep,
)

__all__ = ["merge_messages", "merge_order", "rebuild_message", "staged_uid"]

_MOST_CHOICES = 1_000
_MOST_NAMES = 100
# A conflict has a hundred names of a kilobyte at most; what is left of a message's MiB is room.
_CONFLICTS_AT_ONCE_BYTES = 256 << 10
_POSSIBLE_AT_ONCE = 100
_MOST_NOTES = 100
_MOST_COMPARED_BYTES = 200_000  # Of each of four lists.
_FRAME_BYTES = 16

_CHOICES: dict[ConflictChoice, pb.ConflictChoice.ValueType] = {
    choice: pb.ConflictChoice.Value(f"CONFLICT_CHOICE_{choice.name}") for choice in ConflictChoice
}
_CHOICE_VALUES: Mapping[int, ConflictChoice] = {number: choice for choice, number in _CHOICES.items()}
_CHANGES: dict[SideChange, pb.SideChange.ValueType] = {
    change: pb.SideChange.Value(f"SIDE_CHANGE_{change.name}") for change in SideChange
}
_DEPENDENCES: dict[Dependence, pb.Dependence.ValueType] = {
    each: pb.Dependence.Value(f"DEPENDENCE_{each.name}") for each in Dependence
}
_OUTCOMES: dict[MergeOutcome, pb.MergeOutcome.ValueType] = {
    outcome: pb.MergeOutcome.Value(f"MERGE_OUTCOME_{outcome.name}") for outcome in MergeOutcome
}


def merge_order(request: pb.MergeModelsRequest) -> MergeOrder:
    """The merge that is asked for.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT; INVALID_CREATION, for a step beside which more is said.
        ResourceExhaustedError: LIMIT_EXCEEDED.
    """
    if request.HasField("step"):
        return _order_of_step(request)
    if len(request.choices) > _MOST_CHOICES:
        raise ResourceExhaustedError(
            ErrorReason.LIMIT_EXCEEDED,
            f"A merge takes at most {_MOST_CHOICES} patterns with choices; found {len(request.choices)}.",
            limit=_MOST_CHOICES,
        )
    options = MergeOptions(
        on_conflict=_choice_value(request.on_conflict) if request.on_conflict else None,
        choices=tuple((each.pattern, _choice_value(each.choice)) for each in request.choices),
        scale=request.scale if request.HasField("scale") else 1.0,
        density=request.density if request.HasField("density") else DEFAULT_DENSITY,
    )
    return MergeOrder(
        ours=request.ours,
        theirs=request.theirs,
        base=request.base,
        name=request.name,
        options=options,
        is_accepted=request.accept,
    )


def _order_of_step(request: pb.MergeModelsRequest) -> MergeOrder:
    if request != pb.MergeModelsRequest(step=request.step, request_id=request.request_id):
        raise InvalidArgumentError(
            ErrorReason.INVALID_CREATION,
            "A step of a cascade says itself what is merged; leave all else of the request empty.",
        )
    return MergeOrder(step=step_value(request.step))


def staged_uid(text: str) -> str:
    """The uid of a staged model.

    Raises:
        InvalidArgumentError: INVALID_REFERENCE.
    """
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_REFERENCE, f"A staged model is named by its uid; found {text[:80]!r}."
        ) from None


def merge_messages(step: MergeStep) -> Iterator[pb.MergeModelsResponse]:
    """A step of a merge, each message below 1 MiB."""
    match step:
        case MergeFindings():
            yield pb.MergeModelsResponse(summary=_summary(step))
            yield from _conflicts(step)
        case MergeProgress():
            yield pb.MergeModelsResponse(done_bytes=step.done_bytes, total_bytes=step.total_bytes)
        case MergeEnd():
            model = None if step.model is None else convert.model_message(step.model)
            yield pb.MergeModelsResponse(
                model=model, outcome=_OUTCOMES[step.outcome], stored_bytes=step.stored_bytes
            )


def rebuild_message(step: MergeProgress | MergeComparison) -> pb.RebuildMergeResponse:
    """A step of a merge that is done again."""
    if isinstance(step, MergeProgress):
        return pb.RebuildMergeResponse(done_bytes=step.done_bytes, total_bytes=step.total_bytes)
    comparison = pb.MergeComparison(
        model=convert.summary_message(step.model),
        parameter_count=step.parameter_count,
        different=_fitting(step.different),
        different_count=len(step.different),
        missing=_fitting(step.missing),
        unexpected=_fitting(step.unexpected),
        reshaped=[
            pb.ReshapedParameter(name=name, recorded=then, rebuilt=now)
            for name, then, now in step.reshaped[: len(_fitting(map("".join, step.reshaped)))]
        ],
    )
    return pb.RebuildMergeResponse(comparison=comparison)


def _fitting(texts: Iterable[str]) -> list[str]:
    """The first of some texts, as many as a fair part of a message holds."""
    fitting: list[str] = []
    room = _MOST_COMPARED_BYTES
    for text in texts:
        room -= len(text.encode()) + _FRAME_BYTES
        if room < 0:
            break
        fitting.append(text)
    return fitting


def _summary(found: MergeFindings) -> pb.MergeSummary:
    counts = found.counts
    return pb.MergeSummary(
        base=convert.summary_message(found.base),
        ours=convert.summary_message(found.ours),
        theirs=convert.summary_message(found.theirs),
        unchanged=counts.unchanged,
        changed_by_ours=counts.ours,
        changed_by_theirs=counts.theirs,
        changed_alike=counts.same,
        conflicting=counts.conflict,
        resolved=counts.resolved,
        notes=found.notes[:_MOST_NOTES],
    )


def _conflicts(found: MergeFindings) -> Iterator[pb.MergeModelsResponse]:
    message = pb.MergeModelsResponse()
    size_bytes = 0
    for conflict in found.conflicts:
        each = _conflict(conflict)
        message.conflicts.append(each)
        size_bytes += each.ByteSize()
        if size_bytes > _CONFLICTS_AT_ONCE_BYTES:
            yield message
            message, size_bytes = pb.MergeModelsResponse(), 0
    if message.conflicts:
        yield message
    rest = iter(found.possible)
    while part := list(islice(rest, _POSSIBLE_AT_ONCE)):
        yield pb.MergeModelsResponse(possible=map(_possible, part))


def _conflict(conflict: Conflict) -> pb.MergeConflict:
    message = pb.MergeConflict(
        names=conflict.names[:_MOST_NAMES],
        layers=conflict.layers[:_MOST_NAMES],
        ours=_CHANGES[conflict.ours],
        theirs=_CHANGES[conflict.theirs],
        choices=[_CHOICES[choice] for choice in conflict.choices],
        why=conflict.why,
        is_file=conflict.is_file,
    )
    if conflict.choice is not None:
        message.choice = _CHOICES[conflict.choice]
    return message


def _possible(found: PossibleConflict) -> pb.PossibleConflict:
    return pb.PossibleConflict(
        ours=found.ours,
        theirs=found.theirs,
        dependence=_DEPENDENCES[found.dependence],
        through=found.through,
    )


def _choice_value(number: int) -> ConflictChoice:
    choice = _CHOICE_VALUES.get(number)
    if choice is None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A choice for a conflict is one of {', '.join(ConflictChoice)}; found number {number}.",
            field="choice",
        )
    return choice
