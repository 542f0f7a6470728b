"""A step that is a merge: the service merges again, and where changes may spoil each other the step's tests decide."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from mgit.connection import Connection
from mgit.merging.judging import accepts, tell_refusal
from mgit.merging.messages import MergeAnswer
from mgit.merging.values import Merge, MergeOutcome
from mgit.running import ModelTestRun
from mgit_core.cascade.values import StepLease
from mgit_core.creation import MERGE_ENTRY_POINT
from mgit_core.errors import (
    ConflictError,
    CorruptError,
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
)
from mgit_core.ports.cascades import StepReport
from mgit_proto.v1 import cascade_pb2, merge_pb2, parameters_pb2

__all__ = ["StepMerging", "is_hopeless", "is_merge_step", "judge_merge"]

_MOST_NAMED = 10


def is_merge_step(step: cascade_pb2.CascadeStep) -> bool:
    """Whether the service makes the model of a step, by merging."""
    return any(target.creation.entry_point == MERGE_ENTRY_POINT for target in step.targets)


def is_hopeless(error: MGitError) -> bool:
    """Whether another try would be refused for the same reason: a merge depends on nothing but what is there."""
    kinds = (FailedPreconditionError, InvalidArgumentError, NotFoundError, CorruptError)
    return isinstance(error, kinds)


class StepMerging:
    """Has the service merge for a step. ``cancel``, from any thread, ends the waiting."""

    def __init__(self, connection: Connection, lease: StepLease, target: cascade_pb2.StepTarget) -> None:
        self._connection = connection
        self._target = target
        self._lease = lease
        self._lock = threading.Lock()
        self._answers: Any = None
        self._is_cancelled = False

    def merge(self) -> bool:
        """Have the model of the step staged; a repeat finds it. Whether tests have to accept it.

        Raises:
            FailedPreconditionError: CREATION_FAILED, for conflicts or other parameters.
            ConflictError: STEP_LEASE_LOST, also after ``cancel``.
            MGitError: As the service answers.
        """
        request = merge_pb2.MergeModelsRequest(
            step=parameters_pb2.StepLease(
                cascade_id=self._lease.cascade_id,
                step=self._lease.step,
                attempt=self._lease.attempt,
                target_uid=self._target.uid,
            )
        )
        answer = MergeAnswer()
        with self._begin(request) as messages:
            for message in messages:
                answer.take(message)
        merge = answer.merge()
        if merge.outcome is MergeOutcome.CONFLICTED:
            raise self._conflicted(merge)
        return merge.outcome is MergeOutcome.STAGED

    def cancel(self) -> None:
        """End the call that runs, and whatever would be asked later. Idempotent."""
        with self._lock:
            self._is_cancelled = True
            answers = self._answers
        if answers is not None:
            answers.close()

    def _begin(self, request: merge_pb2.MergeModelsRequest) -> Any:
        with self._lock:
            if self._is_cancelled:
                raise ConflictError(ErrorReason.STEP_LEASE_LOST, "The work at this step was given up.")
            self._answers = self._connection.stream(self._connection.compare.MergeModels, request)
            return self._answers

    def _conflicted(self, merge: Merge) -> MGitError:
        names = [conflict.names[0] for conflict in merge.unresolved]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        old = self._target.old
        return FailedPreconditionError(
            ErrorReason.CREATION_FAILED,
            f"{old.name}@{old.version} cannot be merged again: both sides changed {len(names)} of its parameters or "
            f"files differently, and nothing was chosen for them: {', '.join(names[:_MOST_NAMED])}{more}. "
            f"'mgit update cancel {self._lease.cascade_id}' and '--skip {old.name}@{old.version}' leave it out; or "
            f"publish the rest with 'mgit update resume {self._lease.cascade_id} --publish each', merge the new sides "
            "with a choice, and link the result.",
        )


def judge_merge(lease: StepLease, runs: Sequence[ModelTestRun], report: StepReport) -> StepReport:
    """``report``, as a final failure if ``runs`` do not accept a merge whose changes may spoil each other."""
    if accepts(runs):
        return report
    return StepReport(
        error=f"The merge was not accepted, since {tell_refusal(runs)}. It stays staged: with another test "
        f"('mgit test register') or other results 'mgit update resume {lease.cascade_id}' accepts it.",
        is_final=True,
        failed_tests=report.failed_tests,
    )
