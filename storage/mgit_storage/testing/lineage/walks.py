"""Laws of what walks go over."""

from __future__ import annotations

import pytest

from mgit_core.errors import ErrorReason, NotFoundError
from mgit_core.lineage import Model, ModelState, ParentLink, Relation
from mgit_core.ports.graph import Lineage
from mgit_core.ports.walks import WalkQuery
from mgit_core.walks.graph import WalkGraph, WalkModel
from mgit_core.walks.question import WalkDirection, WalkEdges, WalkOrder
from mgit_core.walks.walking import WalkPlan, walk
from mgit_storage.testing.lineage.steps import add, child_of, refused
from mgit_storage.testing.values import fresh_uid, make_commit

__all__ = ["WalkLaws"]

# More starts than are walked one by one.
_MANY = 40


async def _add_family(lineage: Lineage) -> dict[str, Model]:
    """``base`` has two fine-tunes and a second version; one is pruned, both are merged; ``far`` is of no kin."""
    base = await add(lineage, "base")
    one, two = await add(lineage, "one", base), await add(lineage, "two", base)
    newer = await add(lineage, "base")
    links = child_of(one, relation=Relation.PRUNED)
    pruned = (await lineage.models.commit(make_commit("pruned", *links))).model
    links = child_of(one, two, relation=Relation.MERGED)
    merged = (await lineage.models.commit(make_commit("merged", *links))).model
    return {model.ref: model for model in (base, one, two, newer, pruned, merged, await add(lineage, "far"))}


async def _walked(lineage: Lineage, query: WalkQuery) -> list[tuple[str, int]]:
    """References with hops, nearest first, of a walk over what the query gave."""
    graph = await lineage.traversal.walk_graph(query)
    numbers = graph.numbers()
    plan = WalkPlan(
        starts=[numbers[uid] for uid in query.uids] if query.uids else None,
        direction=query.direction,
        max_depth=query.max_depth,
    )
    return [(_ref(graph, step.number), step.hops) for step in walk(graph, plan)]


def _ref(graph: WalkGraph, number: int) -> str:
    return graph.models[number].summary().ref


def _edges(graph: WalkGraph) -> set[tuple[str, str]]:
    refs = {model.uid: model.summary().ref for model in graph.models}
    return {(refs[newer], refs[older]) for newer, older in graph.edges()}


class WalkLaws:
    """What a walk may reach is there with the edges among it, however many starts there are."""

    @pytest.mark.parametrize(
        ("start", "direction", "edges", "expected"),
        [
            ("base@1", "descendants", "provenance", ["one@1", "two@1", "pruned@1", "merged@1"]),
            ("merged@1", "ancestors", "provenance", ["one@1", "two@1", "base@1"]),
            ("pruned@1", "both", "provenance", ["one@1", "base@1", "merged@1", "two@1"]),
            ("base@1", "descendants", "version", ["base@2"]),
            ("base@2", "ancestors", "version", ["base@1"]),
            ("base@2", "ancestors", "provenance", []),
            ("base@1", "descendants", "all", ["one@1", "two@1", "base@2", "pruned@1", "merged@1"]),
            ("far@1", "both", "all", []),
        ],
    )
    async def test_a_walk_reaches_what_its_edges_lead_to(
        self, lineage: Lineage, start: str, direction: str, edges: str, expected: list[str]
    ) -> None:
        family = await _add_family(lineage)
        query = WalkQuery(
            uids=(family[start].uid,), direction=WalkDirection(direction), edges=WalkEdges(edges)
        )
        assert [ref for ref, _ in await _walked(lineage, query)] == [start, *expected]

    async def test_the_edges_among_the_models_are_there(self, lineage: Lineage) -> None:
        family = await _add_family(lineage)
        graph = await lineage.traversal.walk_graph(WalkQuery(uids=(family["one@1"].uid,)))
        assert _edges(graph) == {("pruned@1", "one@1"), ("merged@1", "one@1")}
        whole = await lineage.traversal.walk_graph(WalkQuery(edges=WalkEdges.ALL))
        assert ("base@2", "base@1") in _edges(whole)
        assert len(_edges(whole)) == 6

    async def test_models_come_with_their_summaries_oldest_first(self, lineage: Lineage) -> None:
        family = await _add_family(lineage)
        await lineage.models.remove(family["one@1"].uid)
        graph = await lineage.traversal.walk_graph(WalkQuery())
        assert [model.summary().ref for model in graph.models] == list(family)
        found = graph.models[1]
        assert (found.uid, found.state) == (family["one@1"].uid, ModelState.REMOVED)
        kept = [model for model in graph.models if model.uid != found.uid]
        assert kept == [WalkModel.of(model) for ref, model in family.items() if ref != "one@1"]

    async def test_walks_keep_to_relations(self, lineage: Lineage) -> None:
        family = await _add_family(lineage)
        uids = (family["base@1"].uid,)
        for relations, edges, expected in (
            ((Relation.FINETUNED,), WalkEdges.PROVENANCE, ["one@1", "two@1"]),
            ((Relation.PRUNED,), WalkEdges.PROVENANCE, []),
            ((Relation.FINETUNED, Relation.PRUNED), WalkEdges.PROVENANCE, ["one@1", "two@1", "pruned@1"]),
            ((Relation.FINETUNED,), WalkEdges.ALL, ["one@1", "two@1", "base@2"]),
            ((Relation.FINETUNED,), WalkEdges.VERSION, ["base@2"]),
        ):
            query = WalkQuery(uids=uids, edges=edges, relations=relations)
            assert [ref for ref, _ in await _walked(lineage, query)] == ["base@1", *expected]

    async def test_several_edges_between_two_models_count_as_one(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        links = [*child_of(base), *child_of(base, relation=Relation.CAST)]
        await lineage.models.commit(make_commit("child", *links))
        graph = await lineage.traversal.walk_graph(WalkQuery(uids=(base.uid,)))
        assert _edges(graph) == {("child@1", "base@1")}

    async def test_diamonds_are_there_once_and_whole(self, lineage: Lineage) -> None:
        commits = [make_commit("root-0")]
        for number in range(30):
            below = ParentLink(parent_uid=commits[-1].uid)
            sides = [make_commit(f"{side}-{number}", below) for side in ("left", "right")]
            joined = [ParentLink(parent_uid=side.uid) for side in sides]
            commits += [*sides, make_commit(f"root-{number + 1}", *joined)]
        await lineage.models.commit_batch(commits)
        for start, direction in ((0, "descendants"), (-1, "ancestors"), (45, "both")):
            query = WalkQuery(uids=(commits[start].uid,), direction=WalkDirection(direction))
            graph = await lineage.traversal.walk_graph(query)
            assert [model.uid for model in graph.models] == [commit.uid for commit in commits]
            assert len(graph.edges()) == 120

    @pytest.mark.parametrize("starts", [1, _MANY])
    async def test_a_walk_heeds_every_depth(self, lineage: Lineage, starts: int) -> None:
        commits = [make_commit("m0")]
        for number in range(1, 12):
            commits.append(make_commit(f"m{number}", ParentLink(parent_uid=commits[-1].uid)))
        others = [make_commit(f"other{number}") for number in range(starts - 1)]
        await lineage.models.commit_batch([*commits, *others])
        uids = tuple(commit.uid for commit in (commits[0], *others))
        for depth in (0, 1, 2, 8, 9, 10, 11, 12, None):
            found = dict(await _walked(lineage, WalkQuery(uids=uids, max_depth=depth)))
            expected = {f"m{hops}@1": hops for hops in range(12) if depth is None or hops <= depth}
            assert found == {**expected, **{f"other{number}@1": 0 for number in range(starts - 1)}}

    @pytest.mark.parametrize("starts", [1, _MANY])
    async def test_several_starts_unite_what_they_reach(self, lineage: Lineage, starts: int) -> None:
        base = make_commit("base")
        middle = [make_commit(f"s{number}", ParentLink(parent_uid=base.uid)) for number in range(starts)]
        ends = [
            make_commit(f"e{number}", ParentLink(parent_uid=each.uid)) for number, each in enumerate(middle)
        ]
        await lineage.models.commit_batch([base, *middle, *ends])
        for direction, count in (("descendants", 2 * starts), ("ancestors", starts + 1)):
            uids = tuple(commit.uid for commit in middle)
            query = WalkQuery(uids=uids, direction=WalkDirection(direction))
            assert len(await _walked(lineage, query)) == count

    @pytest.mark.parametrize("length", [5, 60])
    async def test_enough_is_the_nearest_whole_rounds(self, lineage: Lineage, length: int) -> None:
        """Also where the nearest lie one behind the other."""
        commits = [make_commit("m0")]
        for number in range(1, length):
            commits.append(make_commit(f"m{number}", ParentLink(parent_uid=commits[-1].uid)))
        sides = [make_commit(f"side{at}", ParentLink(parent_uid=commits[at].uid)) for at in (0, 2)]
        await lineage.models.commit_batch([*commits, *sides])
        whole = await _walked(lineage, WalkQuery(uids=(commits[0].uid,)))
        for enough in (1, 2, 4, 40, 200):
            found = await _walked(lineage, WalkQuery(uids=(commits[0].uid,), enough=enough))
            assert len(found) >= min(enough, len(whole))
            assert found == whole[: len(found)]

    @pytest.mark.parametrize("starts", [1, _MANY])
    @pytest.mark.parametrize(("max_depth", "enough"), [(None, None), (1, None), (None, 2)])
    async def test_a_start_that_is_nobody_is_not_found(
        self, lineage: Lineage, starts: int, max_depth: int | None, enough: int | None
    ) -> None:
        models = [make_commit(f"m{number}") for number in range(starts)]
        await lineage.models.commit_batch(models)
        uids = (*(model.uid for model in models), fresh_uid())
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.traversal.walk_graph(WalkQuery(uids=uids, max_depth=max_depth, enough=enough))

    async def test_a_graph_that_was_read_does_not_change(self, lineage: Lineage) -> None:
        family = await _add_family(lineage)
        graph = await lineage.traversal.walk_graph(WalkQuery(uids=(family["base@1"].uid,)))
        await lineage.models.remove(family["merged@1"].uid)
        await add(lineage, "late", family["base@1"])
        plan = WalkPlan(starts=[0], order=WalkOrder.PARENTS_FIRST)
        found = [_ref(graph, step.number) for step in walk(graph, plan)]
        assert found == ["base@1", "one@1", "two@1", "pruned@1", "merged@1"]

    async def test_an_empty_graph_has_nothing_to_walk(self, lineage: Lineage) -> None:
        assert not (await lineage.traversal.walk_graph(WalkQuery())).models
