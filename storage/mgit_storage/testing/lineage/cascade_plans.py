"""Laws of what a cascade is planned from."""

from __future__ import annotations

from dataclasses import replace

from mgit_core.cascade.graph import PlanOptions
from mgit_core.cascade.planning import plan_cascade
from mgit_core.errors import ErrorReason, FailedPreconditionError, NotFoundError
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.lineage.cascade_moves import create, family
from mgit_storage.testing.lineage.steps import add, refused
from mgit_storage.testing.values import fresh_uid, make_creation

__all__ = ["CascadePlanLaws"]


class CascadePlanLaws:
    """What a plan is made from is what the graph holds."""

    async def test_the_graph_of_a_cascade_is_what_lies_below(self, lineage: Lineage) -> None:
        old = await add(lineage, "base")
        teacher = await add(lineage, "teacher")
        task = await create(lineage, "task", teacher, old)
        new = await add(lineage, "base")
        other = await add(lineage, "teacher")
        await add(lineage, "stranger")
        graph = await lineage.cascades.graph(old.uid, new.uid)
        assert graph.models.keys() == {old.uid, new.uid, task.uid, teacher.uid}
        assert [(edge.child_uid, edge.parent_uid) for edge in graph.edges] == [
            (task.uid, teacher.uid),
            (task.uid, old.uid),
        ]
        assert [(edge.newer_uid, edge.older_uid) for edge in graph.revisions] == [(new.uid, old.uid)]
        assert graph.creations == {task.uid: replace(make_creation(), source="", environment={})}
        assert {name: model.uid for name, model in graph.latest.items()} == {
            "base": new.uid,
            "teacher": other.uid,
        }

    async def test_it_holds_what_was_made_in_one_call_and_what_hangs_on_that(self, lineage: Lineage) -> None:
        old, new = await add(lineage, "base"), await add(lineage, "base")
        group = fresh_uid()
        one = await create(lineage, "one", old, group=group, member="one")
        two = await create(lineage, "two", group=group, member="two")
        behind = await create(lineage, "behind", two)
        graph = await lineage.cascades.graph(old.uid, new.uid)
        assert {one.uid, two.uid, behind.uid} <= graph.models.keys()
        assert {(edge.child_uid, edge.parent_uid) for edge in graph.edges} == {
            (one.uid, old.uid),
            (behind.uid, two.uid),
        }

    async def test_it_holds_what_was_made_from_the_new_model(self, lineage: Lineage) -> None:
        old, new = await add(lineage, "base"), await add(lineage, "base")
        stranger = await create(lineage, "stranger", new)
        both = await create(lineage, "both", stranger, old)
        graph = await lineage.cascades.graph(old.uid, new.uid)
        assert {stranger.uid, both.uid} <= graph.models.keys()
        assert plan_cascade(graph, PlanOptions(), fresh_uid).steps == ()

    async def test_the_new_model_must_follow_the_old_one(self, lineage: Lineage) -> None:
        old, other = await add(lineage, "base"), await add(lineage, "other")
        for new in (other, old):
            with refused(FailedPreconditionError, ErrorReason.NOT_A_REVISION):
                await lineage.cascades.graph(old.uid, new.uid)
        second, third = await add(lineage, "base"), await add(lineage, "base")
        graph = await lineage.cascades.graph(old.uid, third.uid)
        assert [edge.newer_uid for edge in graph.revisions] == [third.uid, second.uid]
        with refused(FailedPreconditionError, ErrorReason.NOT_A_REVISION):
            await lineage.cascades.graph(third.uid, old.uid)

    async def test_both_must_be_there(self, lineage: Lineage) -> None:
        old, new = await family(lineage)
        with refused(NotFoundError, ErrorReason.MODEL_NOT_FOUND):
            await lineage.cascades.graph(old.uid, fresh_uid())
        await lineage.models.remove(old.uid)
        with refused(FailedPreconditionError, ErrorReason.MODEL_REMOVED):
            await lineage.cascades.graph(old.uid, new.uid)
