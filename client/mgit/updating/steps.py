"""Works at the steps of an update: lease, create, stage, test, report.

Everything that another machine needs to work at a step is at the service; whoever has its address and the creation
functions may join. A worker that dies is outlived by its lease only: then another one takes the step, under another
attempt number, and what the first one still sends is refused.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mgit.connection import Connection
from mgit.creating.calls import ALONE, CreationCall
from mgit.creating.runner import CreationRunner
from mgit.creation_records import read_creation
from mgit.running import ModelTestRun, ModelTestRunner, RunOptions
from mgit.updating.leases import DEFAULT_LEASE_S, HeldLease, is_lost, outlast, report_step, take_step
from mgit.updating.merging import StepMerging, is_hopeless, is_merge_step, judge_merge
from mgit.updating.messages import read_cascade_state, read_links, read_step_state
from mgit.updating.models import NewTarget, stage_target
from mgit.updating.stopping import Stopping
from mgit.updating.testing import plan_target_tests
from mgit.updating.values import UpdateProgress
from mgit_core.cascade.values import CascadeState, StepLease
from mgit_core.errors import ErrorReason, MGitError, UnavailableError
from mgit_core.ports.cascades import StepReport
from mgit_proto.v1 import cascade_pb2 as pb

__all__ = ["StepWorker", "WorkOptions"]

_FINAL = frozenset(
    {
        ErrorReason.CREATION_CODE_CHANGED,
        ErrorReason.INVALID_CREATION,
        ErrorReason.FRAMEWORK_MISSING,
        ErrorReason.MODEL_REMOVED,
        ErrorReason.PARENT_NOT_FOUND,
        ErrorReason.PARAMETERS_PROMISED,
    }
)
"""Reasons that another try does not mend: somebody has to do something first."""
_MOST_OUTPUT = 3_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkOptions:
    """How steps are worked at.

    Attributes:
        lease_s: How long a step stays with a worker that fell silent, from 1 to 3,600 s.
        timeout_s: After which time a run of a creation function is given up; None means never.
        job_count: How many tests of a step's models run at a time.
    """

    lease_s: float = DEFAULT_LEASE_S
    timeout_s: float | None = None
    job_count: int = 1


class StepWorker:
    """Works at one step at a time. ``cancel``, from any thread, ends what runs and gives the step back."""

    def __init__(self, connection: Connection, name: str, options: WorkOptions | None = None) -> None:
        self._connection = connection
        self._name = name
        self._options = options or WorkOptions()
        self._lock = threading.Lock()
        self._stopping = Stopping()
        self._is_cancelled = False

    def take(self, cascade_id: str) -> pb.LeaseStepResponse:
        """The next step, if there is one now; who takes it works at it at once.

        Raises:
            NotFoundError: CASCADE_NOT_FOUND.
            ConflictError: CASCADE_ENDED.
            InvalidArgumentError: INVALID_CASCADE, for a lease that is too short or too long.
        """
        return take_step(self._connection, cascade_id, self._name, self._options.lease_s)

    def work(self, cascade_id: str, step: pb.CascadeStep) -> UpdateProgress:
        """Do what is left of a leased step, and report it. Nothing that a creation function or a test does is raised.

        Raises:
            UnavailableError: The service stays away; the step is another's when its lease has ended.
        """
        started = time.monotonic()
        stopping = self._begin()
        lease = StepLease(cascade_id=cascade_id, step=step.number, attempt=step.attempt)
        with HeldLease(self._connection, lease, self._options.lease_s, stopping.stop) as held:
            try:
                report = self._attempt(lease, step, stopping)
            except (KeyboardInterrupt, SystemExit):
                stopping.stop()
                self._report(lease, _GIVEN_BACK)
                raise
            answer = None if held.is_lost else self._report(lease, report)
        return UpdateProgress(
            cascade_id=cascade_id,
            number=step.number,
            old=tuple(f"{target.old.name}@{target.old.version}" for target in step.targets),
            state=None if answer is None else read_step_state(answer.step_state),
            cascade_state=CascadeState.RUNNING if answer is None else read_cascade_state(answer.state),
            error=report.error,
            failed_tests=report.failed_tests,
            seconds=time.monotonic() - started,
        )

    def cancel(self) -> None:
        """End what runs and give its step back; what is taken later is given back at once. Idempotent."""
        with self._lock:
            self._is_cancelled = True
            stopping = self._stopping
        stopping.stop()

    def _begin(self) -> Stopping:
        with self._lock:
            self._stopping = stopping = Stopping()
            is_late = self._is_cancelled
        if is_late:
            stopping.stop()
        return stopping

    def _attempt(self, lease: StepLease, step: pb.CascadeStep, stopping: Stopping) -> StepReport:
        is_merge, is_undecided = is_merge_step(step), False
        try:
            if is_merge:
                is_undecided = self._merge(lease, step, stopping)
            elif step.state != pb.STEP_STATE_STAGED:
                self._make(lease, step, stopping)
            runs = outlast(self._connection, lambda: self._test(step.targets, stopping))
            failed = tuple(sorted({run.test.name for run in runs if run.is_bad}))
            report = StepReport(failed_tests=failed)
            if is_undecided:
                report = judge_merge(lease, runs, report)
        except UnavailableError:
            if not stopping.is_stopped:
                raise
            report = _GIVEN_BACK
        except MGitError as error:
            is_final = error.reason in _FINAL or (is_merge and is_hopeless(error))
            report = StepReport(error=_told(error, lease), is_final=is_final)
        except Exception as error:  # noqa: BLE001 - a fault at one step must not hold up the others
            report = StepReport(error=f"{type(error).__name__}: {error}")
        return _GIVEN_BACK if self._is_cancelled else report

    def _make(self, lease: StepLease, step: pb.CascadeStep, stopping: Stopping) -> None:
        """Run the creation function, and stage what it made."""
        targets = {target.creation.member or ALONE: target for target in step.targets}
        call = CreationCall(
            record=read_creation(step.targets[0].creation),
            members={member: read_links(target.parents) for member, target in targets.items()},
            traces_layers=True,
        )
        timeout_s = self._options.timeout_s
        with (
            stopping.watch(CreationRunner(self._connection.endpoint)) as runner,
            outlast(self._connection, lambda: runner.run(call, timeout_s=timeout_s)) as produced,
        ):
            for member, target in targets.items():
                new = NewTarget(
                    target=target, source=produced.sources[member], environment=produced.environment
                )
                stage_target(self._connection, lease, new)

    def _merge(self, lease: StepLease, step: pb.CascadeStep, stopping: Stopping) -> bool:
        """Have the service merge, also if an earlier attempt did: it tells whether tests have to accept the model."""
        with stopping.watch(StepMerging(self._connection, lease, step.targets[0])) as merging:
            return outlast(self._connection, merging.merge)

    def _test(self, targets: Sequence[pb.StepTarget], stopping: Stopping) -> Sequence[ModelTestRun]:
        """Run the tests of staged models."""
        pairs = plan_target_tests(self._connection, targets)
        if not pairs:
            return ()
        options = RunOptions(jobs=self._options.job_count)
        with ModelTestRunner(self._connection, options) as runner, stopping.watch(runner):
            return tuple(runner.run(pairs))

    def _report(self, lease: StepLease, report: StepReport) -> pb.ReportStepResponse | None:
        """What the service says to the report; None if the step is another's."""
        try:
            return report_step(self._connection, lease, report)
        except MGitError as error:
            if not is_lost(error):
                raise
            return None


_GIVEN_BACK = StepReport(is_released=True)


def _told(error: MGitError, lease: StepLease) -> str:
    """Why a step failed, with the end of what its function printed, or what to do about a parent that is gone."""
    if error.reason is ErrorReason.MODEL_REMOVED:
        return (
            f"{error.message} The update had published it, and makes no model twice: this step cannot be done any more. "
            f"'mgit update cancel {lease.cascade_id}' ends the update, whose published models stay; a new update makes "
            "what is left."
        )
    output = error.details.get("output", "").rstrip()[-_MOST_OUTPUT:]
    return f"{error.message}\nThe end of its output:\n{output}" if output else error.message
