"""Whom a bug reaches, in parts, over the graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from mgit_core.bugs import Bug, ModelSubject
from mgit_core.errors import ErrorReason, InvalidArgumentError, MGitError
from mgit_core.lineage import Model
from mgit_core.ports.graph import Lineage
from mgit_service.use_cases.bugs import reach
from mgit_service.use_cases.bugs.reach import AffectedPart, ReachQuestion
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.lineage.steps import add
from mgit_storage.testing.values import fresh_uid, make_bug

STORE_ID = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
async def lineage() -> AsyncIterator[Lineage]:
    graph = open_memory_graph()
    await graph.binding.bind(STORE_ID, store_is_empty=True)
    yield graph
    await graph.binding.close()


@pytest.fixture
async def bug(lineage: Lineage) -> Bug:
    """A diamond: base <- a, b; merged from both; base@2 without an edge."""
    base = await add(lineage, "base")
    a, b = await add(lineage, "a", base), await add(lineage, "b", base)
    await add(lineage, "merged", a, b)
    await add(lineage, "base")
    return await lineage.bugs.report(make_bug("a bug", ModelSubject(base.uid)))


async def parts_of(lineage: Lineage, question: ReachQuestion) -> list[AffectedPart]:
    return [part async for part in reach.list_affected(lineage, question)]


async def test_affected_models_come_first_and_the_end_last(lineage: Lineage, bug: Bug) -> None:
    parts = await parts_of(lineage, ReachQuestion(bug=bug.id, assumed_fixed=("a",)))
    assert [[each.model.ref for each in part.affected] for part in parts] == [
        ["base@1", "b@1", "merged@1"],
        *([[]] * 3),
    ]
    assert [[model.ref for model in part.unknown] for part in parts] == [[], ["base@2"], [], []]
    assert [[model.ref for model in part.cleared] for part in parts] == [[], [], ["a@1"], []]
    assert parts[-1] == AffectedPart()
    assert await reach.count_affected(lineage, ReachQuestion(bug=bug.id[:6], assumed_fixed=("a",))) == 3


@pytest.mark.parametrize(("limit", "is_cut"), [(1, True), (3, True), (4, False), (9, False)])
async def test_a_limit_that_cuts_is_told(lineage: Lineage, bug: Bug, limit: int, is_cut: bool) -> None:  # noqa: FBT001 - a case
    parts = await parts_of(lineage, ReachQuestion(bug=bug.id, limit=limit))
    assert sum(len(part.affected) for part in parts) == min(limit, 4)
    assert [part.is_truncated for part in parts] == [False] * (len(parts) - 1) + [is_cut]


@pytest.mark.parametrize("limit", [500, 501, 600])
async def test_a_limit_at_the_end_of_a_part_cuts_as_well(lineage: Lineage, limit: int) -> None:
    models: list[Model] = [await add(lineage, f"m/{number}") for number in range(600)]
    bug = await lineage.bugs.report(make_bug("b", *(ModelSubject(model.uid) for model in models)))
    parts = await parts_of(lineage, ReachQuestion(bug=bug.id, limit=limit))
    assert sum(len(part.affected) for part in parts) == limit
    assert parts[-1].is_truncated == (limit < 600)


@pytest.mark.parametrize("count", [1, 1_001])
async def test_bounds_that_cannot_be_are_refused(count: int) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        ReachQuestion(bug="b", limit=-1 if count == 1 else 0, assumed_fixed=("m",) * count)
    assert error.value.reason is ErrorReason.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (ReachQuestion(bug="f" * 36), ErrorReason.BUG_NOT_FOUND),
        (ReachQuestion(bug="f"), ErrorReason.BUG_NOT_FOUND),
        (ReachQuestion(bug="0", assumed_fixed=("nobody",)), ErrorReason.MODEL_NOT_FOUND),
        (ReachQuestion(bug="0", assumed_fixed=(f"@{fresh_uid()}",)), ErrorReason.MODEL_NOT_FOUND),
        (ReachQuestion(bug="0", assumed_fixed=("base@prod",)), ErrorReason.TAG_NOT_FOUND),
    ],
)
@pytest.mark.usefixtures("bug")
async def test_what_is_not_there_is_not_found(
    lineage: Lineage, question: ReachQuestion, reason: ErrorReason
) -> None:
    with pytest.raises(MGitError) as error:
        await parts_of(lineage, question)
    assert error.value.reason is reason
    with pytest.raises(MGitError) as counted:
        await reach.count_affected(lineage, question)
    assert counted.value.reason is reason
