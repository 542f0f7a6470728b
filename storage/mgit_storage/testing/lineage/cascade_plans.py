"""Laws of what a cascade is planned from."""

from __future__ import annotations

from dataclasses import replace

from mgit_core.cascade.graph import PlanOptions
from mgit_core.cascade.planning import plan_cascade
from mgit_core.cascade.values import LeaveOutReason
from mgit_core.creation import merge_base_of
from mgit_core.errors import ErrorReason, FailedPreconditionError, NotFoundError
from mgit_core.ports.graph import Lineage
from mgit_storage.testing.lineage.cascade_moves import (
    create,
    family,
    finish,
    lease,
    merge,
    planned,
    started,
)
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

    async def test_it_holds_the_bases_of_merges_as_far_as_they_are_here(self, lineage: Lineage) -> None:
        old, start = await add(lineage, "base"), await add(lineage, "start")
        sides = [await create(lineage, name, old) for name in ("ours", "theirs")]
        merged = [
            await merge(lineage, name, base_uid, *sides)
            for name, base_uid in (("one", start.uid), ("two", old.uid), ("three", fresh_uid()))
        ]
        new = await add(lineage, "base")
        graph = await lineage.cascades.graph(old.uid, new.uid)
        assert graph.models.keys() == {model.uid for model in (old, new, start, *sides, *merged)}, (
            "the third base was never here"
        )
        bases = {model.uid: merge_base_of(graph.creations[model.uid]) for model in merged[:2]}
        assert bases == {merged[0].uid: start.uid, merged[1].uid: old.uid}

    async def test_the_base_of_a_merge_is_kept_while_an_update_needs_it(self, lineage: Lineage) -> None:
        old, start = await add(lineage, "base"), await add(lineage, "start")
        sides = [await create(lineage, name, old) for name in ("ours", "theirs")]
        await merge(lineage, "merged", start.uid, *sides)
        new = await add(lineage, "base")
        cascade = await started(lineage, old, new)
        assert cascade.plan.steps[-1].targets[0].made_from[-1] == start.uid
        with refused(FailedPreconditionError, ErrorReason.MODEL_IN_USE):
            await lineage.models.remove(start.uid)
        await lineage.cascades.cancel(cascade.id)
        await lineage.models.remove(start.uid)
        left = (await planned(lineage, old, new)).plan.left_out
        assert [(each.model.name, each.reason) for each in left] == [
            ("merged", LeaveOutReason.PARENT_REMOVED)
        ]

    async def test_a_new_base_is_read_back_with_its_step(self, lineage: Lineage) -> None:
        old = await add(lineage, "base")
        sides = [await create(lineage, name, old) for name in ("ours", "theirs")]
        await merge(lineage, "merged", old.uid, *sides)
        new = await add(lineage, "base")
        cascade = await started(lineage, old, new)
        for _ in sides:
            await finish(lineage, cascade)
        step = await lease(lineage, cascade)
        assert step.targets[0].creation == cascade.plan.steps[-1].targets[0].creation
        assert merge_base_of(step.targets[0].creation) == new.uid

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
