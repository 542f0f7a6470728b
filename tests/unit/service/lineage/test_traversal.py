from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Direction, ParentLink
from mgit_core.ports.graph import Lineage
from mgit_service.use_cases.lineage.traversal import (
    RelativesQuestion,
    _limited,
    count_relatives,
    find_merge_bases,
    lineage_graph,
    list_relatives,
    list_uids,
)
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.values import make_commit


@pytest.fixture
async def chain() -> AsyncIterator[Lineage]:
    """m4 -> m3 -> m2 -> m1 -> m0."""
    graph = open_memory_graph()
    await graph.binding.bind("00000000-0000-4000-8000-000000000001", store_is_empty=True)
    parents: tuple[ParentLink, ...] = ()
    for at in range(5):
        model = (await graph.models.commit(make_commit(f"m{at}", *parents))).model
        parents = (ParentLink(parent_uid=model.uid),)
    yield graph
    await graph.binding.close()


def ancestors(limit: int = 0, max_depth: int = 0) -> RelativesQuestion:
    return RelativesQuestion(reference="m4", direction=Direction.ANCESTORS, limit=limit, max_depth=max_depth)


@given(st.lists(st.lists(st.integers(), min_size=1, max_size=4), max_size=5), st.none() | st.integers(1, 12))
async def test_a_limit_cuts_exactly_and_only_the_last_part_tells(
    parts: list[list[int]], limit: int | None
) -> None:
    async def source() -> AsyncIterator[list[int]]:
        for part in parts:
            yield part

    whole = [item for part in parts for item in part]
    found = [part async for part in _limited(source(), limit)]
    assert [item for items, _ in found for item in items] == whole[:limit]
    assert [is_cut for _, is_cut in found[:-1]] == [False] * (len(found) - 1)
    assert found[-1][1] == (limit is not None and len(whole) > limit)


async def test_a_cut_answer_lets_go_of_its_source() -> None:
    closed = []

    async def source() -> AsyncIterator[list[int]]:
        try:
            while True:
                yield [1, 2]
        finally:
            closed.append(True)

    assert [part async for part in _limited(source(), 3)] == [([1, 2], False), ([1], True)]
    assert closed == [True]


async def test_both_views_have_the_same_models(chain: Lineage) -> None:
    for limit, is_cut in ((0, False), (3, True), (4, False)):
        uids = [part async for part in list_uids(chain, ancestors(limit))]
        models = [part async for part in list_relatives(chain, ancestors(limit))]
        assert len([uid for part, _ in uids for uid in part]) == (limit or 4)
        assert [one.hops for part, _ in models for one in part] == list(range(1, (limit or 4) + 1))
        assert uids[-1][1] == models[-1][1] == is_cut


async def test_a_count_heeds_depth_and_no_limit(chain: Lineage) -> None:
    assert await count_relatives(chain, ancestors(limit=1)) == 4
    assert await count_relatives(chain, ancestors(max_depth=2)) == 2


@pytest.mark.parametrize("question", [{"limit": -1}, {"max_depth": -1}])
def test_negative_bounds_are_refused(question: dict[str, int]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        ancestors(**question)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT


async def test_a_lineage_is_cut_at_its_largest_number_of_models(chain: Lineage) -> None:
    whole = await lineage_graph(chain, [], 0)
    assert (len(whole.models), len(whole.edges), whole.is_truncated) == (5, 4, False)
    cut = await lineage_graph(chain, ["m0"], 2)
    assert (len(cut.models), len(cut.edges), cut.is_truncated) == (2, 1, True)


async def test_a_model_is_its_own_merge_base_with_a_descendant(chain: Lineage) -> None:
    [base] = await find_merge_bases(chain, "m1", "m3")
    assert base.name == "m1"
