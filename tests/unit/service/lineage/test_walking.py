"""Walks of the service, on the graph in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.lineage import ParentLink, Relation
from mgit_core.ports.graph import Lineage, Page
from mgit_core.walks.question import WalkDirection, WalkEdges, WalkOrder
from mgit_service.use_cases.lineage.walking import MOST_REFERENCES, WalkQuestion, walk_models
from mgit_storage.lineage.memory import open_memory_graph
from mgit_storage.testing.values import fresh_uid, make_commit

PAGE = Page(size=10)


@pytest.fixture
async def graph() -> AsyncIterator[Lineage]:
    """The model base <-- a <-- c <-- d, base <-- b <-- c, and a second version of base."""
    lineage = open_memory_graph()
    await lineage.binding.bind("00000000-0000-4000-8000-000000000001", store_is_empty=True)
    base = make_commit("base")
    a, b = (make_commit(name, ParentLink(parent_uid=base.uid)) for name in "ab")
    c = make_commit("c", ParentLink(parent_uid=a.uid), ParentLink(parent_uid=b.uid))
    d = make_commit("d", ParentLink(parent_uid=c.uid, relation=Relation.PRUNED))
    await lineage.models.commit_batch([base, a, b, c, d, make_commit("base")])
    yield lineage
    await lineage.binding.close()


async def found(lineage: Lineage, *references: str, **choices: Any) -> list[str]:
    """Names with hops, as they come."""
    parts = walk_models(lineage, WalkQuestion(references=references, **choices))
    return [f"{each.model.name}{each.hops}" async for part, _ in parts for each in part]


async def test_a_walk_heeds_order_and_direction(graph: Lineage) -> None:
    down = ["base0", "a1", "b1", "c2", "d3"]
    assert await found(graph, "base@1") == down
    assert await found(graph, "base@1", order=WalkOrder.DEPTH_FIRST) == ["base0", "a1", "c2", "d3", "b1"]
    assert await found(graph, "base@1", order=WalkOrder.PARENTS_FIRST) == down
    assert await found(graph, "base@1", order=WalkOrder.CHILDREN_FIRST) == ["d3", "c2", "a1", "b1", "base0"]
    up = WalkDirection.ANCESTORS
    assert await found(graph, "c", direction=up) == ["c0", "a1", "b1", "base2"]
    assert await found(graph, "b", direction=WalkDirection.BOTH, max_depth=1) == ["b0", "base1", "c1"]
    assert await found(graph, "base@1", edges=WalkEdges.VERSION) == ["base0", "base1"]
    assert await found(graph, "c", relations=(Relation.PRUNED,)) == ["c0", "d1"]


async def test_skips_and_stops_are_named(graph: Lineage) -> None:
    assert await found(graph, "base@1", skip=("c",)) == ["base0", "a1", "b1", "d3"]
    assert await found(graph, "base@1", stop=("b",)) == ["base0", "a1", "c2", "d3"]
    assert await found(graph, "base@1", stop=("c",), skip=("a", "c")) == ["base0", "b1"]


async def test_without_a_start_all_of_the_graph_is_walked(graph: Lineage) -> None:
    assert await found(graph) == ["base0", "base0", "a1", "b1", "c2", "d3"]
    assert await found(graph, order=WalkOrder.PARENTS_FIRST) == ["base0", "a1", "b1", "c2", "d3", "base0"]


@pytest.mark.parametrize("order", WalkOrder)
@pytest.mark.parametrize("choices", [{}, {"skip": ("a",)}, {"stop": ("b",)}, {"max_depth": 2}])
async def test_a_limit_cuts_exactly_and_only_the_last_part_tells(
    graph: Lineage, order: WalkOrder, choices: dict[str, Any]
) -> None:
    whole = await found(graph, "base@1", order=order, **choices)
    for limit in range(1, len(whole) + 2):
        question = WalkQuestion(references=("base@1",), order=order, limit=limit, **choices)
        parts = [part async for part in walk_models(graph, question)]
        names = [f"{each.model.name}{each.hops}" for part, _ in parts for each in part]
        assert names == whole[:limit]
        assert [is_cut for _, is_cut in parts[:-1]] == [False] * (len(parts) - 1)
        assert parts[-1][1] == (limit < len(whole))


async def test_edges_are_told_within_reach_of_the_starts(graph: Lineage) -> None:
    question = WalkQuestion(references=("a",), skip=("c",), with_edges=True)
    [(part, _)] = [part async for part in walk_models(graph, question)]
    uids = {name: model.uid for name in "abcd" for model in await graph.models.list_versions(name, PAGE)}
    assert [(each.model.uid, each.older) for each in part] == [(uids["a"], []), (uids["d"], [uids["c"]])]


async def test_the_first_part_is_small_and_the_others_fit_a_message(graph: Lineage) -> None:
    base = (await graph.models.list_versions("base", PAGE))[0]
    commits = [make_commit(f"n{number}", ParentLink(parent_uid=base.uid)) for number in range(1_000)]
    await graph.models.commit_batch(commits)
    await graph.models.commit_batch([make_commit(f"m{number}") for number in range(1_000)])
    await graph.models.commit_batch([make_commit(f"l{number}") for number in range(1_000)])
    parts = [part async for part, _ in walk_models(graph, WalkQuestion())]
    assert [len(part) for part in parts] == [100, 2_000, 3_006 - 2_100]


async def test_a_walk_goes_on_over_the_graph_as_it_was(graph: Lineage) -> None:
    """Models that come and go between two parts change nothing."""
    base = (await graph.models.list_versions("base", PAGE))[-1]
    commits = [make_commit(f"n{number}", ParentLink(parent_uid=base.uid)) for number in range(300)]
    await graph.models.commit_batch(commits)
    parts = walk_models(graph, WalkQuestion(references=(f"@{base.uid}",)))
    first, _ = await anext(parts)
    await graph.edges.unlink(commits[-1].uid, base.uid, None)
    await graph.models.remove(commits[-1].uid)
    await graph.models.commit(make_commit("late", ParentLink(parent_uid=base.uid)))
    names = [each.model.name for each in first] + [
        each.model.name async for part, _ in parts for each in part
    ]
    assert len(names) == 305
    assert "n299" in names
    assert "late" not in names


@pytest.mark.parametrize("field", ["references", "skip", "stop"])
async def test_a_model_that_is_nobody_is_not_found(graph: Lineage, field: str) -> None:
    for reference in ("nobody", f"@{fresh_uid()}", "base@7"):
        question = WalkQuestion(**{field: ("a", reference)})
        with pytest.raises(NotFoundError) as caught:
            await anext(walk_models(graph, question))
        assert caught.value.reason is ErrorReason.MODEL_NOT_FOUND


async def test_skips_and_stops_may_lie_elsewhere(graph: Lineage) -> None:
    far = (await graph.models.list_versions("base", PAGE))[0]
    assert await found(graph, "c", skip=(f"@{far.uid}",), stop=("a",)) == ["c0", "d1"]


@pytest.mark.parametrize(
    "question",
    [
        {"limit": -1},
        {"max_depth": -1},
        {"references": ("m",) * (MOST_REFERENCES + 1)},
        {"skip": ("m",) * (MOST_REFERENCES + 1)},
        {"stop": ("m",) * (MOST_REFERENCES + 1)},
        {"edges": WalkEdges.VERSION, "relations": (Relation.CAST,)},
    ],
)
def test_questions_out_of_bounds_are_refused(question: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        WalkQuestion(**question)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
    assert caught.value.details["field"] in {*question, "models"}
