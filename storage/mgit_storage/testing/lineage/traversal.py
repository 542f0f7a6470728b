"""Laws of traversals."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

import pytest

from mgit_core.errors import ErrorReason, NotFoundError
from mgit_core.lineage import CommittedModel, Direction, Model, ParentLink, Relation
from mgit_core.ports.graph import Lineage, TraversalQuery
from mgit_storage.testing.lineage.steps import add, child_of, hops, refused, uids
from mgit_storage.testing.values import fresh_uid, make_commit

__all__ = ["TraversalLaws"]


async def _stack_diamonds(lineage: Lineage, count: int) -> CommittedModel:
    commits = [make_commit("root-0")]
    for number in range(count):
        below = ParentLink(parent_uid=commits[-1].uid)
        sides = [make_commit(f"{side}-{number}", below) for side in ("left", "right")]
        joined = [ParentLink(parent_uid=side.uid) for side in sides]
        commits += [*sides, make_commit(f"root-{number + 1}", *joined)]
    return (await lineage.models.commit_batch(commits))[-1]


async def _add_family(lineage: Lineage) -> dict[str, Model]:
    """``base`` has two fine-tunes; one is pruned, and both are merged; ``other`` was also merged in."""
    base, other = await add(lineage, "base"), await add(lineage, "other")
    one, two = await add(lineage, "one", base), await add(lineage, "two", base)
    pruned = (
        await lineage.models.commit(make_commit("pruned", *child_of(one, relation=Relation.PRUNED)))
    ).model
    links = child_of(one, two, other, relation=Relation.MERGED)
    merged = (await lineage.models.commit(make_commit("merged", *links))).model
    return {model.name: model for model in (base, other, one, two, pruned, merged)}


class TraversalLaws:
    """Each relative comes once and none is missing, on any graph without cycles."""

    async def test_diamonds_are_walked_once_and_whole(self, lineage: Lineage) -> None:
        top = (await _stack_diamonds(lineage, 30)).model
        query = TraversalQuery(uid=top.uid, direction=Direction.ANCESTORS)
        assert len(await uids(lineage, query)) == 90
        assert await lineage.traversal.count(query) == 90
        rows = await hops(lineage, query)
        assert (len(rows), rows[0][1], rows[-1]) == (90, 1, ("root-0@1", 60))

    @pytest.mark.parametrize(
        ("name", "direction", "expected"),
        [
            ("base", Direction.DESCENDANTS, [("one", 1), ("two", 1), ("pruned", 2), ("merged", 2)]),
            ("merged", Direction.ANCESTORS, [("other", 1), ("one", 1), ("two", 1), ("base", 2)]),
            ("other", Direction.DESCENDANTS, [("merged", 1)]),
            ("base", Direction.ANCESTORS, []),
            ("merged", Direction.DESCENDANTS, []),
        ],
    )
    async def test_relatives_come_by_hops_and_then_uid(
        self, lineage: Lineage, name: str, direction: Direction, expected: list[tuple[str, int]]
    ) -> None:
        family = await _add_family(lineage)
        query = TraversalQuery(uid=family[name].uid, direction=direction)
        assert await hops(lineage, query) == [(f"{each}@1", count) for each, count in expected]
        assert await uids(lineage, query) == {family[each].uid for each, _ in expected}
        assert await lineage.traversal.count(query) == len(expected)

    async def test_traversals_keep_to_relations_along_the_whole_way(self, lineage: Lineage) -> None:
        family = await _add_family(lineage)
        for relations, expected in (
            ((Relation.FINETUNED,), ["one", "two"]),
            ((Relation.PRUNED,), []),
            ((Relation.FINETUNED, Relation.PRUNED), ["one", "two", "pruned"]),
            ((Relation.CAST,), []),
        ):
            query = TraversalQuery(
                uid=family["base"].uid, direction=Direction.DESCENDANTS, relations=relations
            )
            assert [ref for ref, _ in await hops(lineage, query)] == [f"{name}@1" for name in expected]
            assert await uids(lineage, query) == {family[name].uid for name in expected}
            assert await lineage.traversal.count(query) == len(expected)

    @pytest.mark.parametrize("relations", [(), (Relation.FINETUNED, Relation.PRUNED, Relation.MERGED)])
    async def test_traversals_keep_to_a_depth(
        self, lineage: Lineage, relations: tuple[Relation, ...]
    ) -> None:
        family = await _add_family(lineage)
        for depth, count in ((1, 2), (2, 4), (3, 4)):
            query = TraversalQuery(
                uid=family["base"].uid,
                direction=Direction.DESCENDANTS,
                relations=relations,
                max_depth=depth,
            )
            assert len(await hops(lineage, query)) == len(await uids(lineage, query)) == count
            assert await lineage.traversal.count(query) == count

    async def test_every_depth_is_heeded(self, lineage: Lineage) -> None:
        commits = [make_commit("m0")]
        for number in range(1, 8):
            commits.append(make_commit(f"m{number}", ParentLink(parent_uid=commits[-1].uid)))
        await lineage.models.commit_batch(commits)
        for depth in range(1, 8):
            query = TraversalQuery(uid=commits[-1].uid, direction=Direction.ANCESTORS, max_depth=depth)
            assert await hops(lineage, query) == [(f"m{7 - hop}@1", hop) for hop in range(1, depth + 1)]
            assert len(await uids(lineage, query)) == await lineage.traversal.count(query) == depth

    async def test_depth_is_that_of_the_shortest_way(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        middle = await add(lineage, "middle", base)
        top = await add(lineage, "top", middle, base)
        query = TraversalQuery(uid=top.uid, direction=Direction.ANCESTORS)
        assert await hops(lineage, query) == [("base@1", 1), ("middle@1", 1)]

    @pytest.mark.parametrize("max_depth", [None, 2])
    async def test_a_limit_cuts_the_list_and_not_the_count(
        self, lineage: Lineage, max_depth: int | None
    ) -> None:
        family = await _add_family(lineage)
        query = TraversalQuery(
            uid=family["base"].uid, direction=Direction.DESCENDANTS, limit=3, max_depth=max_depth
        )
        assert [ref for ref, _ in await hops(lineage, query)] == ["one@1", "two@1", "pruned@1"]
        assert len(await uids(lineage, query)) == 3
        assert await lineage.traversal.count(query) == 4

    async def test_version_edges_are_not_walked(self, lineage: Lineage) -> None:
        await add(lineage, "m")
        second = await add(lineage, "m")
        assert await uids(lineage, TraversalQuery(uid=second.uid, direction=Direction.ANCESTORS)) == set()

    async def test_long_answers_come_in_slices(self, lineage: Lineage) -> None:
        base = make_commit("base")
        children = [make_commit(f"c{number}", ParentLink(parent_uid=base.uid)) for number in range(600)]
        await lineage.models.commit_batch([base, *children])
        query = TraversalQuery(uid=base.uid, direction=Direction.DESCENDANTS)
        parts = [part async for part in lineage.traversal.relatives(query)]
        assert [len(part) for part in parts] == [500, 100]
        found = [row.model.uid for part in parts for row in part]
        assert found == sorted(child.uid for child in children)

    async def test_a_walk_from_nowhere_is_not_found(self, lineage: Lineage) -> None:
        nobody = fresh_uid()
        somebody = (await add(lineage, "m")).uid
        query = TraversalQuery(uid=nobody, direction=Direction.ANCESTORS)
        shallow = TraversalQuery(uid=nobody, direction=Direction.DESCENDANTS, max_depth=1)
        calls: list[Callable[[], Coroutine[None, None, object]]] = [
            lambda: uids(lineage, query),
            lambda: uids(lineage, shallow),
            lambda: hops(lineage, query),
            lambda: lineage.traversal.count(query),
            lambda: lineage.traversal.lineage([somebody, nobody], max_models=10),
            lambda: lineage.traversal.merge_bases(somebody, nobody),
            lambda: lineage.traversal.merge_bases(nobody, somebody),
        ]
        for call in calls:
            with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
                await call()

    async def test_lineage_is_the_models_around_with_all_edges(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        first, second = await add(lineage, "child", base), await add(lineage, "child", base)
        await add(lineage, "stranger")
        models, edges, revisions, truncated = await lineage.traversal.lineage([base.uid], max_models=10)
        assert [model.ref for model in models] == ["base@1", "child@1", "child@2"]
        assert edges == [*first.parents, *second.parents]
        assert [(edge.newer_uid, edge.older_uid) for edge in revisions] == [(second.uid, first.uid)]
        assert not truncated

    async def test_lineage_of_several_models_unites_theirs(self, lineage: Lineage) -> None:
        family = await _add_family(lineage)
        around = [family["pruned"].uid, family["other"].uid]
        models, edges, _, _ = await lineage.traversal.lineage(around, max_models=10)
        assert {model.name for model in models} == {"pruned", "one", "base", "other", "merged"}
        assert {edge.parent_uid for edge in edges} == {family[name].uid for name in ("base", "one", "other")}

    async def test_lineage_that_is_cut_says_so(self, lineage: Lineage) -> None:
        family = await _add_family(lineage)
        models, edges, _, truncated = await lineage.traversal.lineage([family["merged"].uid], max_models=3)
        assert ([model.name for model in models], truncated) == (["base", "other", "merged"], True)
        assert {edge.parent_uid for edge in edges} == {family["other"].uid}
        models, _, _, truncated = await lineage.traversal.lineage([], max_models=2)
        assert ([model.name for model in models], truncated) == (["base", "other"], True)
        models, _, _, truncated = await lineage.traversal.lineage([], max_models=6)
        assert (len(models), truncated) == (6, False)

    async def test_lineage_of_an_empty_graph_is_empty(self, lineage: Lineage) -> None:
        assert await lineage.traversal.lineage([], max_models=1) == ([], [], [], False)

    async def test_merge_bases_are_the_nearest_common_ancestors(self, lineage: Lineage) -> None:
        root = await add(lineage, "root")
        base = await add(lineage, "base", root)
        ours, theirs = await add(lineage, "ours", base), await add(lineage, "theirs", base, root)
        stranger = await add(lineage, "stranger")
        find = lineage.traversal.merge_bases
        assert [model.ref for model in await find(ours.uid, theirs.uid)] == ["base@1"]
        assert [model.ref for model in await find(ours.uid, base.uid)] == ["base@1"]
        assert [model.ref for model in await find(ours.uid, ours.uid)] == ["ours@1"]
        assert await find(ours.uid, stranger.uid) == []

    async def test_a_criss_cross_has_two_merge_bases(self, lineage: Lineage) -> None:
        root = await add(lineage, "root")
        one, two = await add(lineage, "one", root), await add(lineage, "two", root)
        ours, theirs = await add(lineage, "ours", one, two), await add(lineage, "theirs", two, one)
        found = await lineage.traversal.merge_bases(ours.uid, theirs.uid)
        assert [model.ref for model in found] == ["one@1", "two@1"]
