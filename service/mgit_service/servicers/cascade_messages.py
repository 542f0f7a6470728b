"""Cascades, plans and steps as messages, and what is asked of them as values.

A message stays below 1 MiB: of a plan that is larger it holds the first steps and what is left out first, each up to
half of that, and says how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.cascade.values import (
    Cascade,
    CascadeState,
    CascadeStep,
    LeaveOutReason,
    LeftOut,
    PublishMode,
    StepLease,
    StepState,
    StepTarget,
    UpdatePlan,
)
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.ports.cascades import StepReport
from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import types_pb2
from mgit_service.servicers.convert import (
    origin_message,
    relation_message,
    summary_message,
    timestamp_message,
)
from mgit_service.servicers.creation_messages import creation_message
from mgit_service.servicers.model_test_messages import count_fitting
from mgit_service.use_cases.cascades.plans import CascadeOrder, UpdateQuestion

__all__ = [
    "cascade_message",
    "order_value",
    "plan_message",
    "publish_value",
    "question_value",
    "report_value",
    "state_message",
    "step_message",
    "step_state_message",
]

_DEFAULT_ATTEMPTS = 3
_MOST_BLOCKING = 100

_STATES: dict[CascadeState, pb.CascadeState.ValueType] = {
    state: pb.CascadeState.Value(f"CASCADE_STATE_{state.name}") for state in CascadeState
}
_STEP_STATES: dict[StepState, pb.StepState.ValueType] = {
    state: pb.StepState.Value(f"STEP_STATE_{state.name}") for state in StepState
}
_REASONS: dict[LeaveOutReason, pb.LeaveOutReason.ValueType] = {
    reason: pb.LeaveOutReason.Value(f"LEAVE_OUT_REASON_{reason.name}") for reason in LeaveOutReason
}
_MODES: dict[PublishMode, pb.PublishMode.ValueType] = {
    mode: pb.PublishMode.Value(f"PUBLISH_MODE_{mode.name}") for mode in PublishMode
}
_MODE_VALUES = {number: mode for mode, number in _MODES.items()}


def question_value(message: pb.CascadeOptions) -> UpdateQuestion:
    """What an update is to do."""
    return UpdateQuestion(
        old=message.old,
        new=message.new,
        skip=tuple(message.skip),
        stop_at=tuple(message.stop_at),
        refresh_parents=message.refresh_parents,
    )


def order_value(message: pb.StartCascadeRequest) -> CascadeOrder:
    """How a cascade is to run.

    Raises:
        InvalidArgumentError: INVALID_CASCADE.
    """
    return CascadeOrder(
        publish=publish_value(message.publish) or PublishMode.TOGETHER,
        stop_at_failed_tests=message.stop_at_failed_tests,
        max_attempts=message.max_attempts or _DEFAULT_ATTEMPTS,
    )


def publish_value(number: pb.PublishMode.ValueType) -> PublishMode | None:
    """When models become visible; None if that is not said.

    Raises:
        InvalidArgumentError: INVALID_CASCADE for a number that this version does not know.
    """
    if number == pb.PUBLISH_MODE_UNSPECIFIED:
        return None
    mode = _MODE_VALUES.get(number)
    if mode is None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CASCADE,
            f"A publish mode is one of {', '.join(PublishMode)}; found number {number}.",
            field="publish",
        )
    return mode


def report_value(message: pb.ReportStepRequest) -> tuple[StepLease, StepReport]:
    """Whose report it is, and what it says."""
    lease = StepLease(cascade_id=message.cascade_id, step=message.step, attempt=message.attempt)
    report = StepReport(
        error=message.error,
        is_final=message.is_final,
        failed_tests=tuple(message.failed_tests),
        is_released=message.released,
    )
    return lease, report


def state_message(state: CascadeState) -> pb.CascadeState.ValueType:
    """How far a cascade is."""
    return _STATES[state]


def step_state_message(state: StepState) -> pb.StepState.ValueType:
    """How far a step is."""
    return _STEP_STATES[state]


def cascade_message(cascade: Cascade, *, after_steps: int = 0) -> pb.Cascade:
    """A cascade, with as many steps behind the first ``after_steps`` as fit."""
    return pb.Cascade(
        id=cascade.id,
        state=_STATES[cascade.state],
        plan=plan_message(cascade.plan, after_steps=after_steps),
        publish=_MODES[cascade.publish],
        stop_at_failed_tests=cascade.stop_at_failed_tests,
        max_attempts=cascade.max_attempts,
        created_at=timestamp_message(cascade.created_at),
        updated_at=timestamp_message(cascade.updated_at),
        blocked_by=[summary_message(model) for model in cascade.blocked_by[:_MOST_BLOCKING]],
    )


def plan_message(plan: UpdatePlan, *, after_steps: int = 0) -> pb.UpdatePlan:
    """A plan, with as many steps behind the first ``after_steps`` as fit; left out is told with the first only."""
    left_out = [] if after_steps else _fitting_left_out(plan.left_out)
    return pb.UpdatePlan(
        old=summary_message(plan.old),
        new=summary_message(plan.new),
        steps=_fitting_steps(plan.steps[max(0, after_steps) :]),
        left_out=left_out,
        step_count=len(plan.steps),
        left_out_count=len(plan.left_out),
    )


# A message of a step takes some 40 bytes at least, so no more of them need be made than that.
_MOST_ITEMS = 10_000


def _fitting_steps(steps: Sequence[CascadeStep]) -> list[pb.CascadeStep]:
    messages = [step_message(step) for step in steps[:_MOST_ITEMS]]
    return messages[: count_fitting(messages)]


def _fitting_left_out(left_out: Sequence[LeftOut]) -> list[pb.LeftOut]:
    messages = [
        pb.LeftOut(model=summary_message(left.model), reason=_REASONS[left.reason])
        for left in left_out[:_MOST_ITEMS]
    ]
    return messages[: count_fitting(messages)]


def step_message(step: CascadeStep) -> pb.CascadeStep:
    """A step."""
    return pb.CascadeStep(
        number=step.number,
        targets=[_target_message(target) for target in step.targets],
        needs=step.needs,
        state=_STEP_STATES[step.state],
        attempt=step.attempt,
        worker=step.worker,
        expires_at=None if step.expires_at is None else timestamp_message(step.expires_at),
        error=step.error,
        failed_tests=step.failed_tests,
    )


def _target_message(target: StepTarget) -> pb.StepTarget:
    return pb.StepTarget(
        uid=target.uid,
        old=summary_message(target.old),
        parents=[
            types_pb2.ProvenanceEdge(
                child_uid=target.uid,
                parent_uid=link.parent_uid,
                relation=relation_message(link.relation),
                position=position,
                weight=link.weight,
                origin=origin_message(link.origin),
                confidence=link.confidence,
                parent_ref=reference,
            )
            for position, (link, reference) in enumerate(zip(target.parents, target.parent_refs, strict=True))
        ],
        creation=creation_message(target.creation),
        made=None if target.made is None else summary_message(target.made),
    )
