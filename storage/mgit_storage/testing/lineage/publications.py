"""Laws of publishing what a cascade made."""

from __future__ import annotations

from mgit_core.cascade.values import CascadeState, PublishMode, StepState
from mgit_core.errors import ConflictError, ErrorReason, FailedPreconditionError
from mgit_core.lineage import ModelState, Previous
from mgit_core.ports.cascades import StepReport
from mgit_core.ports.graph import Lineage, Page
from mgit_core.ports.model_tests import ResultQuery
from mgit_storage.testing.lineage.cascade_moves import (
    commit_of,
    create,
    family,
    finish,
    lease,
    lease_of,
    make,
    started,
)
from mgit_storage.testing.lineage.steps import add, find, refs, refused
from mgit_storage.testing.values import make_commit, make_model_test, make_result

__all__ = ["PublicationLaws"]


class PublicationLaws:
    """New models appear together, or each with its step; nothing is overtaken unseen."""

    async def test_models_appear_together_with_their_results(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        test = await lineage.model_tests.register(make_model_test("t"))
        step = await lease(lineage, cascade)
        [made] = await make(lineage, cascade, step)
        await lineage.model_tests.record([make_result(test, made, 1.0)])
        await lineage.cascades.report(lease_of(cascade, step), StepReport())
        await finish(lineage, cascade)
        assert await finish(lineage, cascade) == (StepState.DONE, CascadeState.BUILT)
        assert refs(await lineage.models.list_versions("low", Page())) == ["low@1"]
        done = await lineage.cascades.publish(cascade.id)
        assert (
            done.state,
            [target.made and target.made.ref for each in done.plan.steps for target in each.targets],
        ) == (
            CascadeState.PUBLISHED,
            ["left@2", "right@2", "low@2"],
        )
        low = await find(lineage, "low@2")
        assert (low.parent_refs, low.previous and low.previous.ref) == (("left@2", "right@2"), "low@1")
        assert (await find(lineage, "left@2")).parent_refs == ("base@2",)
        [result] = await lineage.model_tests.results(ResultQuery(model_uid=made.uid), Page())
        assert result.model is not None
        assert result.model.ref == "left@2"
        assert await lineage.staging.list_page(Page()) == []

    async def test_publishing_twice_changes_nothing_and_then_it_is_over(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        for _ in range(3):
            await finish(lineage, cascade)
        first = await lineage.cascades.publish(cascade.id)
        assert await lineage.cascades.publish(cascade.id) == first
        for ended in (
            lineage.cascades.cancel(cascade.id),
            lineage.cascades.resume(cascade.id),
            lineage.cascades.lease(cascade.id, "w", 1.0),
        ):
            with refused(ConflictError, ErrorReason.CASCADE_ENDED):
                await ended

    async def test_each_appears_with_its_step(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage), publish=PublishMode.EACH)
        assert await finish(lineage, cascade) == (StepState.DONE, CascadeState.RUNNING)
        assert (await find(lineage, "left")).ref == "left@2"
        await finish(lineage, cascade)
        assert await finish(lineage, cascade) == (StepState.DONE, CascadeState.PUBLISHED)
        assert (await find(lineage, "low")).parent_refs == ("left@2", "right@2")

    async def test_versions_of_one_name_are_numbered_in_order(self, lineage: Lineage) -> None:
        old = await add(lineage, "base")
        v0 = await create(lineage, "task", old)
        v1 = await create(lineage, "task", v0)
        new = await add(lineage, "base")
        for mode in PublishMode:
            cascade = await started(lineage, old, new, publish=mode)
            await finish(lineage, cascade)
            await finish(lineage, cascade)
            if mode is PublishMode.TOGETHER:
                assert (await lineage.cascades.publish(cascade.id)).state is CascadeState.PUBLISHED
            else:
                assert (await lineage.cascades.get(cascade.id)).state is CascadeState.PUBLISHED
            [second, first] = (await lineage.models.list_versions("task", Page(size=2)))[:2]
            assert (first.parent_refs, first.previous and first.previous.uid) == (("base@2",), v0.uid)
            assert (second.parents[0].parent_uid, second.previous and second.previous.uid) == (
                first.uid,
                v1.uid,
            )
            for model in (second, first):
                await lineage.models.remove(model.uid)

    async def test_a_newer_version_that_came_meanwhile_blocks(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        newer = await add(lineage, "left")
        for _ in range(3):
            await finish(lineage, cascade)
        blocked = await lineage.cascades.publish(cascade.id)
        assert (blocked.state, [model.ref for model in blocked.blocked_by]) == (
            CascadeState.BLOCKED,
            [newer.ref],
        )
        assert refs(await lineage.models.list_versions("low", Page())) == ["low@1"]
        done = await lineage.cascades.publish(cascade.id, anyway=True)
        assert (done.state, done.blocked_by) == (CascadeState.PUBLISHED, ())
        assert (await find(lineage, "left")).ref == "left@3"

    async def test_a_newer_version_of_another_name_blocks_too(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        left = await find(lineage, "left")
        newer = (await lineage.models.commit(make_commit("renamed", previous=Previous(uid=left.uid)))).model
        for _ in range(3):
            await finish(lineage, cascade)
        assert (await lineage.cascades.publish(cascade.id)).state is CascadeState.BLOCKED
        await lineage.models.remove(newer.uid)
        assert (await lineage.cascades.publish(cascade.id)).state is CascadeState.PUBLISHED

    async def test_versions_that_were_there_do_not_block(self, lineage: Lineage) -> None:
        old = await add(lineage, "base")
        task = await create(lineage, "task", old)
        await add(lineage, "task")
        cascade = await started(lineage, old, await add(lineage, "base"))
        assert [target.old.uid for step in cascade.plan.steps for target in step.targets] == [task.uid]
        await finish(lineage, cascade)
        assert (await lineage.cascades.publish(cascade.id)).state is CascadeState.PUBLISHED
        newest = await find(lineage, "task")
        assert (newest.ref, newest.previous and newest.previous.ref) == ("task@3", "task@1")

    async def test_each_is_blocked_in_the_middle_and_goes_on_anyway(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage), publish=PublishMode.EACH)
        await add(lineage, "left")
        assert await finish(lineage, cascade) == (StepState.DONE, CascadeState.BLOCKED)
        assert await lineage.cascades.lease(cascade.id, "w", 1.0) == (None, CascadeState.BLOCKED)
        assert (await lineage.cascades.publish(cascade.id)).state is CascadeState.BLOCKED
        assert (await lineage.cascades.publish(cascade.id, anyway=True)).state is CascadeState.RUNNING
        assert (await find(lineage, "left")).ref == "left@3"
        await finish(lineage, cascade)
        assert await finish(lineage, cascade) == (StepState.DONE, CascadeState.PUBLISHED)

    async def test_what_is_done_can_be_published_though_the_rest_failed(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        await finish(lineage, cascade)
        step = await lease(lineage, cascade)
        await lineage.cascades.report(lease_of(cascade, step), StepReport(error="no", is_final=True))
        resumed = await lineage.cascades.resume(cascade.id, publish=PublishMode.EACH)
        assert (resumed.state, resumed.publish) == (CascadeState.RUNNING, PublishMode.EACH)
        assert (await find(lineage, "left")).ref == "left@2"

    async def test_cancelling_leaves_nothing_but_what_was_published(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage), publish=PublishMode.EACH)
        await finish(lineage, cascade)
        step = await lease(lineage, cascade)
        await make(lineage, cascade, step)
        cancelled = await lineage.cascades.cancel(cascade.id)
        assert cancelled.state is CascadeState.CANCELLED
        assert await lineage.cascades.cancel(cascade.id) == cancelled
        assert await lineage.staging.list_page(Page()) == []
        assert (await find(lineage, "left")).ref == "left@2"
        with refused(ConflictError, ErrorReason.STEP_LEASE_LOST):
            await lineage.staging.stage(commit_of(step), lease_of(cascade, step))
        with refused(ConflictError, ErrorReason.CASCADE_ENDED):
            await lineage.cascades.publish(cascade.id)

    async def test_models_of_a_cascade_are_published_and_discarded_by_it_alone(
        self, lineage: Lineage
    ) -> None:
        cascade = await started(lineage, *await family(lineage))
        [made] = await make(lineage, cascade, await lease(lineage, cascade))
        for refusal in (lineage.staging.publish([made.uid]), lineage.staging.discard([made.uid])):
            with refused(FailedPreconditionError, ErrorReason.MODEL_STAGED):
                await refusal
        assert (await lineage.staging.get(made.uid)).state is ModelState.STAGED

    async def test_a_cascade_without_steps_is_over_at_once(self, lineage: Lineage) -> None:
        old, new = await add(lineage, "base"), await add(lineage, "base")
        cascade = await started(lineage, old, new, state=CascadeState.PUBLISHED)
        assert (cascade.state, cascade.plan.steps) == (CascadeState.PUBLISHED, ())
        with refused(ConflictError, ErrorReason.CASCADE_ENDED):
            await lineage.cascades.lease(cascade.id, "w", 1.0)
