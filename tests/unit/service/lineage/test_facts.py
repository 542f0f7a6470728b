"""Facts with the open bugs that reach each model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.demo_family import CLOSED_BUG, DATASET_BUG, HEAD_BUG, Family, build_family

from mgit_core.bugs import BugState
from mgit_core.facts import ModelFacts
from mgit_service.use_cases.lineage.facts import describe_models
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.values import fresh_uid


@pytest.fixture
async def family() -> AsyncIterator[Family]:
    graph = open_memory_graph()
    await graph.binding.bind("00000000-0000-4000-8000-000000000001", store_is_empty=True)
    yield await build_family(graph)
    await graph.binding.close()


async def described(family: Family, *refs: str) -> list[ModelFacts]:
    uids = [family.models[ref].uid for ref in refs]
    return [each async for part in describe_models(family.lineage, uids) for each in part]


async def test_open_bugs_are_told_inherited_ones_too_and_closed_ones_not(family: Family) -> None:
    refs = ("topic-network@2", "topic-soup@1", "topic-network-recovered@1", "topic-runtime@1", "minilm@1")
    found = await described(family, *refs)

    assert [facts.bug_ids for facts in found] == [
        (HEAD_BUG, DATASET_BUG),
        (HEAD_BUG, DATASET_BUG),
        (DATASET_BUG,),
        (DATASET_BUG,),
        (),
    ]


async def test_a_bug_that_is_opened_again_is_told_again(family: Family) -> None:
    await family.lineage.bugs.set_state(CLOSED_BUG, BugState.OPEN)
    await family.lineage.bugs.set_state(HEAD_BUG, BugState.CLOSED)

    assert [facts.bug_ids for facts in await described(family, "topic-network@2", "minilm@1")] == [
        (DATASET_BUG, CLOSED_BUG),
        (CLOSED_BUG,),
    ]


async def test_all_open_bugs_count_however_many_pages_they_fill(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mgit_service.use_cases.lineage.facts._BUGS_AT_ONCE", 1)
    [bug] = await family.lineage.bugs.find(HEAD_BUG)
    more = sorted(fresh_uid() for _ in range(3))
    for bug_id in more:
        await family.lineage.bugs.report(replace(bug, id=bug_id, fixed_in=()))

    [facts] = await described(family, "topic-network-bf16@1")

    assert facts.bug_ids == (HEAD_BUG, DATASET_BUG, *more)


async def test_facts_keep_the_order_of_the_question(family: Family) -> None:
    refs = ("topic-soup@1", "minilm@1", "topic-tools@1")
    found = await described(family, *refs)

    assert [facts.uid for facts in found] == [family.models[ref].uid for ref in refs]
    assert [facts.tags for facts in found] == [("prod",), (), ("prod",)]
    assert await described(family) == []
