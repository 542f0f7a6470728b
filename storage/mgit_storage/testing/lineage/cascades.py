"""Laws of cascades and their steps."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

from mgit_core.cascade.values import Cascade, CascadeState, CascadeStep, StepState
from mgit_core.errors import (
    ConflictError,
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from mgit_core.lineage import Previous, RequestKey
from mgit_core.ports.cascades import StepReport
from mgit_core.ports.graph import Lineage, Page
from mgit_storage.testing.lineage.cascade_moves import (
    LONG_S,
    commit_of,
    create,
    family,
    finish,
    lease,
    lease_of,
    make,
    planned,
    started,
    states,
)
from mgit_storage.testing.lineage.steps import add, eventually, find, refused
from mgit_storage.testing.values import fresh_uid

__all__ = ["CascadeLaws"]

# Shorter than a service would give: what is waited for is the graph server's clock.
_SHORT_S = 0.05


class CascadeLaws:
    """A step is held by one worker; what fails blocks what needs it, and nothing else."""

    async def test_a_cascade_reads_back_as_it_was_planned(self, lineage: Lineage) -> None:
        cascade = await planned(lineage, *await family(lineage))
        kept = await lineage.cascades.start(cascade)
        assert replace(kept, updated_at=cascade.updated_at) == cascade
        assert await lineage.cascades.get(cascade.id) == kept
        with refused(NotFoundError, ErrorReason.CASCADE_NOT_FOUND):
            await lineage.cascades.get(fresh_uid())

    async def test_cascades_are_listed_newest_first_without_targets(self, lineage: Lineage) -> None:
        old, new = await family(lineage)
        first = await started(lineage, old, new)
        await lineage.cascades.cancel(first.id)
        second = await started(lineage, old, new)
        listed = await lineage.cascades.list_page(Page(size=1))
        assert [each.id for each in listed] == [second.id]
        assert [(step.number, step.targets) for step in listed[0].plan.steps] == [(0, ()), (1, ()), (2, ())]
        [rest] = await lineage.cascades.list_page(Page(size=9, after=second.id))
        assert (rest.id, rest.state) == (first.id, CascadeState.CANCELLED)

    async def test_steps_are_leased_parents_first_and_each_once(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        first, second = await lease(lineage, cascade), await lease(lineage, cascade)
        assert [(step.number, step.state, step.attempt) for step in (first, second)] == [
            (0, StepState.LEASED, 1),
            (1, StepState.LEASED, 1),
        ]
        assert await lineage.cascades.lease(cascade.id, "w", 1.0) == (None, CascadeState.RUNNING)
        for step in (second, first):
            await make(lineage, cascade, step)
            await lineage.cascades.report(lease_of(cascade, step), StepReport())
        low = await lease(lineage, cascade)
        assert (low.number, low.worker, low.targets[0].old.name) == (2, "worker", "low")
        assert low.targets[0].parent_refs == tuple(f"@{each.targets[0].uid}" for each in (first, second))

    async def test_workers_at_once_get_different_steps(self, lineage: Lineage) -> None:
        old = await add(lineage, "base")
        for number in range(8):
            await create(lineage, f"m{number}", old)
        cascade = await started(lineage, old, await add(lineage, "base"))
        answers = await asyncio.gather(
            *(lineage.cascades.lease(cascade.id, f"w{number}", LONG_S) for number in range(12))
        )
        given = Counter(step.number if step else None for step, _ in answers)
        assert (given[None], [given[number] for number in range(8)]) == (4, [1] * 8)

    async def test_a_step_becomes_staged_with_the_last_of_its_models(self, lineage: Lineage) -> None:
        old = await add(lineage, "base")
        group = fresh_uid()
        for member in ("a", "b"):
            await create(lineage, member, old, group=group, member=member)
        cascade = await started(lineage, old, await add(lineage, "base"))
        step = await lease(lineage, cascade)
        held = lease_of(cascade, step)
        first = await lineage.staging.stage(commit_of(step, 0), held)
        assert (await lineage.cascades.leased_step(held)).state is StepState.LEASED
        assert await lineage.staging.stage(commit_of(step, 0), held) == first, "a lost answer is found again"
        await lineage.staging.stage(commit_of(step, 1), held)
        now = await lineage.cascades.leased_step(held)
        assert (now.state, [target.made and target.made.ref for target in now.targets]) == (
            StepState.STAGED,
            [f"@{target.uid}" for target in step.targets],
        )
        assert await lineage.cascades.report(held, StepReport()) == (StepState.DONE, CascadeState.BUILT)

    async def test_what_is_not_the_target_is_refused(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        step = await lease(lineage, cascade)
        held, right = lease_of(cascade, step), commit_of(step)
        for wrong in (
            replace(right, uid=fresh_uid()),
            replace(right, name="other"),
            replace(right, parents=()),
            replace(right, previous=Previous()),
        ):
            with refused(InvalidArgumentError, ErrorReason.INVALID_CREATION):
                await lineage.staging.stage(wrong, held)
        assert await lineage.staging.list_page(Page()) == []

    async def test_a_report_without_the_models_is_refused_unless_it_failed(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        step = await lease(lineage, cascade)
        with refused(ConflictError, ErrorReason.STEP_LEASE_LOST):
            await lineage.cascades.report(lease_of(cascade, step), StepReport())
        failed = StepReport(error="it raised", failed_tests=("t",))
        answer = await lineage.cascades.report(lease_of(cascade, step), failed)
        assert answer == (StepState.WAITING, CascadeState.RUNNING)
        again = await lineage.cascades.report(lease_of(cascade, step), failed)
        assert again == answer, "repeating a report changes nothing"
        now = (await lineage.cascades.get(cascade.id)).plan.steps[0]
        assert (now.error, now.failed_tests, now.attempt, now.expires_at) == ("it raised", ("t",), 1, None)

    async def test_an_ended_lease_is_given_to_another_worker(self, lineage: Lineage) -> None:
        """A late worker is refused by its attempt, and what it staged of a call is gone."""
        old = await add(lineage, "base")
        group = fresh_uid()
        for member in ("a", "b"):
            await create(lineage, member, old, group=group, member=member)
        cascade = await started(lineage, old, await add(lineage, "base"))
        late, _ = await lineage.cascades.lease(cascade.id, "late", _SHORT_S)
        assert late is not None
        await lineage.staging.stage(commit_of(late, 0), lease_of(cascade, late))

        async def ask() -> CascadeStep | None:
            return (await lineage.cascades.lease(cascade.id, "next", LONG_S))[0]

        step = await eventually(ask, lambda found: found is not None)
        assert step is not None
        assert (step.number, step.attempt, step.worker, step.state) == (0, 2, "next", StepState.LEASED)
        assert await lineage.staging.list_page(Page()) == []
        for held in (lease_of(cascade, late), replace(lease_of(cascade, step), attempt=9)):
            with refused(ConflictError, ErrorReason.STEP_LEASE_LOST):
                await lineage.staging.stage(commit_of(late, 1), held)
            with refused(ConflictError, ErrorReason.STEP_LEASE_LOST):
                await lineage.cascades.renew(held, 9.0)
            with refused(ConflictError, ErrorReason.STEP_LEASE_LOST):
                await lineage.cascades.report(held, StepReport(error="late"))
        await make(lineage, cascade, step)

    async def test_a_lease_that_ended_holds_until_somebody_else_asks(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        step, _ = await lineage.cascades.lease(cascade.id, "slow", 0.0)
        assert step is not None
        before = step.expires_at
        until = await lineage.cascades.renew(lease_of(cascade, step), LONG_S)
        assert before is not None
        assert (until - before).total_seconds() > LONG_S / 2
        await make(lineage, cascade, step)

    async def test_ended_leases_count_as_failures(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))

        async def ask() -> StepState:
            await lineage.cascades.lease(cascade.id, "dies", 0.0)
            return (await states(lineage, cascade))[0]

        assert await eventually(ask, lambda state: state is StepState.FAILED) is StepState.FAILED
        steps = (await lineage.cascades.get(cascade.id)).plan.steps
        assert (steps[0].attempt, steps[2].state, bool(steps[0].error)) == (2, StepState.BLOCKED, True)

    async def test_a_staged_step_whose_worker_died_goes_on_with_its_tests(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        step, _ = await lineage.cascades.lease(cascade.id, "dies", _SHORT_S)
        assert step is not None
        [made] = await make(lineage, cascade, step)
        others = [await lease(lineage, cascade)]
        assert others[0].number == 1

        async def ask() -> CascadeStep | None:
            return (await lineage.cascades.lease(cascade.id, "tests", LONG_S))[0]

        again = await eventually(ask, lambda found: found is not None)
        assert again is not None
        assert (again.number, again.state, again.attempt) == (0, StepState.STAGED, 2)
        assert again.targets[0].made is not None
        assert await lineage.staging.get(made.uid) == made
        answer = await lineage.cascades.report(lease_of(cascade, again), StepReport())
        assert answer == (StepState.DONE, CascadeState.RUNNING)

    async def test_a_released_step_is_free_at_once_and_does_not_count(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        for attempt in range(1, 5):
            step = await lease(lineage, cascade)
            assert (step.number, step.attempt) == (0, attempt)
            answer = await lineage.cascades.report(lease_of(cascade, step), StepReport(is_released=True))
            assert answer == (StepState.WAITING, CascadeState.RUNNING)

    async def test_a_failure_blocks_what_needs_it_and_nothing_else(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        for _ in range(2):
            step = await lease(lineage, cascade)
            assert step.number == 0
            await lineage.cascades.report(lease_of(cascade, step), StepReport(error="no"))
        assert await states(lineage, cascade) == [StepState.FAILED, StepState.WAITING, StepState.BLOCKED]
        assert await finish(lineage, cascade) == (StepState.DONE, CascadeState.FAILED)
        assert await lineage.cascades.lease(cascade.id, "w", 1.0) == (None, CascadeState.FAILED)
        with refused(ConflictError, ErrorReason.CASCADE_UNFINISHED):
            await lineage.cascades.publish(cascade.id)

    async def test_a_final_failure_is_not_tried_again(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        step = await lease(lineage, cascade)
        report = StepReport(error="other shapes", is_final=True)
        assert await lineage.cascades.report(lease_of(cascade, step), report) == (
            StepState.FAILED,
            CascadeState.RUNNING,
        )

    async def test_resuming_gives_all_attempts_back_and_keeps_what_is_done(self, lineage: Lineage) -> None:
        cascade = await started(lineage, *await family(lineage))
        step = await lease(lineage, cascade)
        await lineage.cascades.report(lease_of(cascade, step), StepReport(error="no", is_final=True))
        await finish(lineage, cascade)
        resumed = await lineage.cascades.resume(cascade.id)
        assert resumed.state is CascadeState.RUNNING
        assert await states(lineage, cascade) == [StepState.WAITING, StepState.DONE, StepState.WAITING]
        again = await lease(lineage, cascade)
        assert (again.number, again.attempt) == (0, 2)
        await lineage.cascades.report(lease_of(cascade, again), StepReport(error="once more"))
        assert await finish(lineage, cascade) == (StepState.DONE, CascadeState.RUNNING)
        assert await finish(lineage, cascade) == (StepState.DONE, CascadeState.BUILT)

    async def test_failed_tests_stop_where_the_cascade_is_to_stop(self, lineage: Lineage) -> None:
        old, new = await family(lineage)
        report = StepReport(failed_tests=("t",))
        for stops, state in ((False, StepState.DONE), (True, StepState.FAILED)):
            cascade = await started(lineage, old, new, stop_at_failed_tests=stops)
            step = await lease(lineage, cascade)
            await make(lineage, cascade, step)
            assert (await lineage.cascades.report(lease_of(cascade, step), report))[0] is state
            kept = (await lineage.cascades.get(cascade.id)).plan.steps[0]
            assert (kept.failed_tests, bool(kept.error)) == (("t",), stops)
            if stops:
                resumed = await lineage.cascades.resume(cascade.id)
                assert resumed.plan.steps[0].state is StepState.STAGED
                assert (await lease(lineage, cascade)).state is StepState.STAGED
            await lineage.cascades.cancel(cascade.id)

    async def test_overlapping_cascades_are_refused(self, lineage: Lineage) -> None:
        old, new = await family(lineage)
        first = await started(lineage, old, new)
        uid = first.plan.steps[0].targets[0].old.uid
        assert await lineage.cascades.running_over([uid]) == [first.id]
        with refused(ConflictError, ErrorReason.CASCADE_OVERLAP):
            await started(lineage, old, new)
        await lineage.cascades.cancel(first.id)
        assert await lineage.cascades.running_over([uid]) == []
        await started(lineage, old, new)

    async def test_of_two_that_overlap_and_start_at_once_one_is_refused(self, lineage: Lineage) -> None:
        old, new = await family(lineage)
        cascades = [await planned(lineage, old, new) for _ in range(2)]
        answers = await asyncio.gather(*map(lineage.cascades.start, cascades), return_exceptions=True)
        refusals = [each for each in answers if isinstance(each, ConflictError)]
        assert [each.reason for each in refusals] == [ErrorReason.CASCADE_OVERLAP]
        assert sum(isinstance(each, Cascade) for each in answers) == 1

    async def test_what_a_cascade_needs_is_not_removed(self, lineage: Lineage) -> None:
        old, new = await family(lineage)
        lonely = await add(lineage, "lonely")
        cascade = await started(lineage, old, new)
        used = [new, *[await find(lineage, name) for name in ("left", "right", "low")]]
        for model in used:
            with refused(FailedPreconditionError, ErrorReason.MODEL_IN_USE):
                await lineage.models.remove(model.uid)
        await lineage.models.remove(lonely.uid)
        await lineage.cascades.cancel(cascade.id)
        assert (await lineage.models.remove(used[-1].uid)).uid == used[-1].uid

    async def test_a_plan_with_a_model_that_is_gone_is_not_started(self, lineage: Lineage) -> None:
        old, new = await family(lineage)
        cascade = await planned(lineage, old, new)
        await lineage.models.remove((await find(lineage, "low")).uid)
        await lineage.models.remove((await find(lineage, "right")).uid)
        with refused(FailedPreconditionError, ErrorReason.MODEL_REMOVED):
            await lineage.cascades.start(cascade)
        assert await lineage.cascades.list_page(Page()) == []

    async def test_a_repeated_start_gives_the_first_cascade(self, lineage: Lineage) -> None:
        old, new = await family(lineage)
        key = RequestKey(id="start", arguments_digest=b"1" * 32)
        first = await lineage.cascades.start(await planned(lineage, old, new), key)
        again = await lineage.cascades.start(await planned(lineage, old, new), key)
        assert again == first
