"""Laws of edges after the fact."""

from __future__ import annotations

import asyncio

import pytest

from mgit_core.errors import AlreadyExistsError, ConflictError, ErrorReason, NotFoundError
from mgit_core.lineage import EdgeOrigin, ParentLink, Relation, RevisionEdge
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.lineage.steps import add, child_of, find, refused
from mgit_storage.testing.values import fresh_uid

__all__ = ["EdgeLaws"]


class EdgeLaws:
    """Edges come and go; the graph of provenance and version edges together stays acyclic."""

    async def test_links_are_added_and_deleted(self, lineage: Lineage) -> None:
        base, child = await add(lineage, "base"), await add(lineage, "child")
        (link,) = child_of(base, relation=Relation.PRUNED)
        edge = await lineage.edges.link(child.uid, link)
        assert (edge.child_uid, edge.parent_uid, edge.relation) == (child.uid, base.uid, Relation.PRUNED)
        assert (await find(lineage, "child")).parents == (edge,)
        with refused(AlreadyExistsError, ErrorReason.EDGE_EXISTS):
            await lineage.edges.link(child.uid, link)
        assert await lineage.edges.unlink(child.uid, base.uid, None) == [edge]
        with refused(NotFoundError, ErrorReason.EDGE_NOT_FOUND):
            await lineage.edges.unlink(child.uid, base.uid, None)

    async def test_a_link_keeps_what_was_said_of_it(self, lineage: Lineage) -> None:
        base, child = await add(lineage, "base"), await add(lineage, "child")
        link = ParentLink(
            parent_uid=base.uid,
            relation=Relation.MERGED,
            weight=0.75,
            origin=EdgeOrigin.INFERRED,
            confidence=0.5,
        )
        edge = await lineage.edges.link(child.uid, link)
        assert (edge.weight, edge.origin, edge.confidence) == (0.75, EdgeOrigin.INFERRED, 0.5)
        assert (await find(lineage, "child")).parents == (edge,)

    async def test_a_link_stands_behind_the_other_parents(self, lineage: Lineage) -> None:
        one, two, three = [await add(lineage, name) for name in ("one", "two", "three")]
        child = await add(lineage, "child", one, two)
        await lineage.edges.unlink(child.uid, one.uid, None)
        edge = await lineage.edges.link(child.uid, ParentLink(parent_uid=three.uid))
        assert edge.position == 2
        assert (await find(lineage, "child")).parent_refs == ("two@1", "three@1")

    async def test_one_of_several_relations_is_deleted(self, lineage: Lineage) -> None:
        base, child = await add(lineage, "base"), await add(lineage, "child")
        for relation in (Relation.CAST, Relation.PRUNED):
            await lineage.edges.link(child.uid, child_of(base, relation=relation)[0])
        gone = await lineage.edges.unlink(child.uid, base.uid, Relation.CAST)
        assert [edge.relation for edge in gone] == [Relation.CAST]
        with refused(NotFoundError, ErrorReason.EDGE_NOT_FOUND):
            await lineage.edges.unlink(child.uid, base.uid, Relation.CAST)
        rest = await lineage.edges.unlink(child.uid, base.uid, None)
        assert [edge.relation for edge in rest] == [Relation.PRUNED]

    async def test_all_relations_are_deleted_in_order(self, lineage: Lineage) -> None:
        base, child = await add(lineage, "base"), await add(lineage, "child")
        made = [
            await lineage.edges.link(child.uid, child_of(base, relation=relation)[0])
            for relation in (Relation.CAST, Relation.ADAPTED)
        ]
        assert await lineage.edges.unlink(child.uid, base.uid, None) == made

    async def test_both_ends_of_a_link_must_exist(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.edges.link(fresh_uid(), ParentLink(parent_uid=model.uid))
        with refused(NotFoundError, ErrorReason.PARENT_NOT_FOUND):
            await lineage.edges.link(model.uid, ParentLink(parent_uid=fresh_uid()))
        for child, parent in ((fresh_uid(), model.uid), (model.uid, fresh_uid())):
            with refused(NotFoundError, ErrorReason.EDGE_NOT_FOUND):
                await lineage.edges.unlink(child, parent, None)

    async def test_an_edge_that_closes_a_cycle_is_refused(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        top = await add(lineage, "top", await add(lineage, "middle", base))
        for parent in (top, base):
            with refused(ConflictError, ErrorReason.CYCLE):
                await lineage.edges.link(base.uid, ParentLink(parent_uid=parent.uid))
            with refused(ConflictError, ErrorReason.CYCLE):
                await lineage.edges.link_revision(base.uid, parent.uid)

    async def test_a_refused_cycle_names_its_path(self, lineage: Lineage) -> None:
        base = await add(lineage, "base")
        child = await add(lineage, "child", base)
        with pytest.raises(ConflictError) as error:
            await lineage.edges.link(base.uid, ParentLink(parent_uid=child.uid))
        assert error.value.details["path"] == "child@1 -> base@1"

    async def test_version_edges_count_for_cycles(self, lineage: Lineage) -> None:
        first, second = await add(lineage, "m"), await add(lineage, "m")
        with refused(ConflictError, ErrorReason.CYCLE):
            await lineage.edges.link(first.uid, ParentLink(parent_uid=second.uid))
        await lineage.edges.unlink_revision(second.uid, first.uid)
        await lineage.edges.link(first.uid, ParentLink(parent_uid=second.uid))
        with refused(ConflictError, ErrorReason.CYCLE):
            await lineage.edges.link_revision(second.uid, first.uid)

    async def test_version_edges_are_added_and_deleted(self, lineage: Lineage) -> None:
        older, newer = await add(lineage, "older"), await add(lineage, "newer")
        edge = RevisionEdge(newer_uid=newer.uid, older_uid=older.uid)
        assert await lineage.edges.link_revision(newer.uid, older.uid) == edge
        previous = (await find(lineage, "newer")).previous
        assert previous is not None
        assert previous.uid == older.uid
        for other in (older, await add(lineage, "other")):
            with refused(AlreadyExistsError, ErrorReason.EDGE_EXISTS):
                await lineage.edges.link_revision(newer.uid, other.uid)
        assert await lineage.edges.unlink_revision(newer.uid, older.uid) == edge
        with refused(NotFoundError, ErrorReason.EDGE_NOT_FOUND):
            await lineage.edges.unlink_revision(newer.uid, older.uid)

    async def test_both_ends_of_a_version_edge_must_exist(self, lineage: Lineage) -> None:
        model = await add(lineage, "m")
        for newer, older in ((fresh_uid(), model.uid), (model.uid, fresh_uid())):
            with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
                await lineage.edges.link_revision(newer, older)
            with refused(NotFoundError, ErrorReason.EDGE_NOT_FOUND):
                await lineage.edges.unlink_revision(newer, older)

    async def test_opposing_links_at_once_never_close_a_cycle(self, lineage: Lineage) -> None:
        models = [await add(lineage, f"m{number}") for number in range(4)]
        ring = [
            lineage.edges.link(child.uid, ParentLink(parent_uid=parent.uid))
            for child, parent in zip(models, [*models[1:], models[0]], strict=True)
        ]
        results = await asyncio.gather(*ring, return_exceptions=True)
        refused_ones = [result for result in results if isinstance(result, ConflictError)]
        assert [error.reason for error in refused_ones] == [ErrorReason.CYCLE]
        assert (await lineage.content.counts()).edges == 3
