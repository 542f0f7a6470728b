"""Merges on the wire: orders read, and answers cut to messages below 1 MiB."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime

import pytest

from mgit_core.cascade.values import StepLease
from mgit_core.errors import ErrorReason, InvalidArgumentError, ResourceExhaustedError
from mgit_core.lineage import Model, ModelState, ModelSummary
from mgit_core.merge.values import (
    Conflict,
    ConflictChoice,
    Dependence,
    MergeCounts,
    MergeOptions,
    PossibleConflict,
    SideChange,
)
from mgit_proto.v1 import merge_pb2 as pb
from mgit_proto.v1 import parameters_pb2
from mgit_service.servicers.merge_messages import merge_messages, merge_order, rebuild_message, staged_uid
from mgit_service.servicers.messages import MAX_MESSAGE_BYTES
from mgit_service.use_cases.draft_header import StepDraft
from mgit_service.use_cases.merging.rebuilding import MergeComparison
from mgit_service.use_cases.merging.request import (
    MergeEnd,
    MergeFindings,
    MergeOrder,
    MergeOutcome,
    MergeProgress,
)


def summary(name: str) -> ModelSummary:
    return ModelSummary(
        uid=f"uid-{name}",
        name=name,
        version=1,
        state=ModelState.PRESENT,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def findings(conflicts: list[Conflict], possible: list[PossibleConflict]) -> MergeFindings:
    return MergeFindings(
        base=summary("base"),
        ours=summary("ours"),
        theirs=summary("theirs"),
        counts=MergeCounts(unchanged=1, ours=2, theirs=3, same=4, conflict=5, resolved=6),
        notes=("One.", "Two."),
        conflicts=conflicts,
        possible=possible,
    )


def conflict(number: int, **said: object) -> Conflict:
    values: dict[str, object] = {
        "names": (f"{number}." + "n" * 900,),
        "layers": ("l" * 900,),
        "ours": SideChange.CHANGED,
        "theirs": SideChange.CAST,
        "choices": (ConflictChoice.OURS, ConflictChoice.THEIRS),
        "choice": None,
        "why": "both changed it",
    }
    return Conflict(**{**values, **said})  # type: ignore[arg-type]


def test_an_order_says_what_was_chosen() -> None:
    request = pb.MergeModelsRequest(
        ours="a",
        theirs="b@2",
        base="c",
        name="d",
        on_conflict=pb.CONFLICT_CHOICE_TIES,
        choices=[pb.PatternChoice(pattern="x*", choice=pb.CONFLICT_CHOICE_OURS)],
        scale=0.5,
        density=0.1,
        accept=True,
    )
    order = merge_order(request)
    assert (order.ours, order.theirs, order.base, order.name, order.is_accepted) == (
        "a",
        "b@2",
        "c",
        "d",
        True,
    )
    wanted = MergeOptions(
        on_conflict=ConflictChoice.TIES, choices=(("x*", ConflictChoice.OURS),), scale=0.5, density=0.1
    )
    assert wanted == order.options


STEP = parameters_pb2.StepLease(cascade_id="c", step=3, attempt=2, target_uid="t")


def test_an_order_of_a_step_is_the_step() -> None:
    order = merge_order(pb.MergeModelsRequest(step=STEP, request_id="r"))
    assert order == MergeOrder(
        step=StepDraft(lease=StepLease(cascade_id="c", step=3, attempt=2), target_uid="t")
    )


@pytest.mark.parametrize(
    "said",
    [{"ours": "a"}, {"base": "b"}, {"name": "c"}, {"scale": 1.0}, {"accept": True}, {"on_conflict": 1}],
)
def test_beside_a_step_nothing_is_said(said: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        merge_order(pb.MergeModelsRequest(step=STEP, **said))  # type: ignore[arg-type]
    assert refused.value.reason is ErrorReason.INVALID_CREATION


def test_a_comparison_names_as_much_as_a_message_holds() -> None:
    names = tuple(f"{at}." + "é" * 1_000 for at in range(1_000))
    model = Model(**{each.name: getattr(summary("m"), each.name) for each in fields(ModelSummary)})
    found = MergeComparison(
        model=model,
        parameter_count=9,
        different=names,
        missing=names,
        unexpected=names,
        reshaped=tuple((name, "float32 [1]", "float32 [2]") for name in names),
    )
    message = rebuild_message(found)
    assert message.ByteSize() < MAX_MESSAGE_BYTES
    told = message.comparison
    assert (told.different_count, len(told.different), told.parameter_count) == (1_000, 99, 9)
    assert (told.reshaped[0].name, told.reshaped[0].recorded, told.reshaped[0].rebuilt) == (
        names[0],
        "float32 [1]",
        "float32 [2]",
    )
    progress = rebuild_message(MergeProgress(1, 2))
    assert (progress.done_bytes, progress.total_bytes, progress.HasField("comparison")) == (1, 2, False)


def test_what_is_not_said_has_its_default() -> None:
    assert merge_order(pb.MergeModelsRequest(ours="a", theirs="b", name="c")).options == MergeOptions()


@pytest.mark.parametrize(
    "request_said",
    [
        {"on_conflict": 77},
        {"choices": [pb.PatternChoice(pattern="x")]},
        {"scale": 0.0},
        {"density": 0.0},
        {"density": 1.1},
    ],
)
def test_a_choice_or_number_that_is_none_is_refused(request_said: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        merge_order(pb.MergeModelsRequest(**request_said))  # type: ignore[arg-type]
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT


def test_too_many_patterns_are_refused() -> None:
    choices = [pb.PatternChoice(pattern="x", choice=pb.CONFLICT_CHOICE_OURS)] * 1_001
    with pytest.raises(ResourceExhaustedError):
        merge_order(pb.MergeModelsRequest(choices=choices))


def test_a_staged_model_is_named_by_its_uid() -> None:
    uid = "01a21f28-f646-7ecc-b3db-6a6f8aa2a11d"
    assert uid == staged_uid(uid.upper())
    with pytest.raises(InvalidArgumentError):
        staged_uid("name@1")


def test_ten_thousand_conflicts_come_whole_in_messages_below_the_limit() -> None:
    conflicts = [conflict(number) for number in range(10_000)]
    possible = [
        PossibleConflict(
            ours="o" * 1_000, theirs=str(number), dependence=Dependence.SHARED_LAYER, through="t" * 1_000
        )
        for number in range(1_000)
    ]
    first, *rest = merge_messages(findings(conflicts, possible))
    assert max(message.ByteSize() for message in rest) < MAX_MESSAGE_BYTES
    assert first.summary.ours.name == "ours"
    assert (first.summary.changed_alike, first.summary.resolved, list(first.summary.notes)) == (
        4,
        6,
        ["One.", "Two."],
    )
    assert [each.names for each in conflicts] == [
        tuple(each.names) for message in rest for each in message.conflicts
    ]
    assert [each.theirs for each in possible] == [
        each.theirs for message in rest for each in message.possible
    ]


def test_what_shares_one_memory_is_cut_to_a_hundred_names() -> None:
    many = conflict(0, names=tuple(map(str, range(500))), layers=tuple(map(str, range(500))))
    [_, message] = merge_messages(findings([many], []))
    assert len(message.conflicts[0].names) == len(message.conflicts[0].layers) == 100


@pytest.mark.parametrize("change", list(SideChange))
@pytest.mark.parametrize("choice", [None, *ConflictChoice])
def test_every_word_has_its_number(change: SideChange, choice: ConflictChoice | None) -> None:
    found = conflict(0, ours=change, choice=choice, is_file=True)
    [_, message] = merge_messages(findings([found], []))
    told = message.conflicts[0]
    assert pb.SideChange.Name(told.ours).lower().replace("_", "-") == f"side-change-{change.value}"
    wanted = "unspecified" if choice is None else choice.value
    assert pb.ConflictChoice.Name(told.choice).lower().replace("_", "-") == f"conflict-choice-{wanted}"
    assert told.is_file


@pytest.mark.parametrize("outcome", list(MergeOutcome))
def test_progress_and_end_are_a_message_each(outcome: MergeOutcome) -> None:
    [progress] = merge_messages(MergeProgress(1, 2))
    assert (progress.done_bytes, progress.total_bytes, progress.outcome) == (1, 2, 0)
    [end] = merge_messages(MergeEnd(outcome=outcome, stored_bytes=7))
    assert pb.MergeOutcome.Name(end.outcome).lower().replace("_", "-") == f"merge-outcome-{outcome.value}"
    assert (end.HasField("model"), end.stored_bytes) == (False, 7)
