"""Updates on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mgit.updating.values import LeftOut, Update, UpdateParent, UpdateStep
from mgit.values import ModelReference, ModelSummary, reference_of
from mgit.wire import read_relation, read_summary, read_time
from mgit_core.cascade.values import CascadeState, LeaveOutReason, PublishMode, StepState
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ParentLink
from mgit_core.model_tests import ModelTestResult
from mgit_proto.v1 import cascade_pb2 as pb
from mgit_proto.v1 import types_pb2

__all__ = [
    "read_cascade",
    "read_cascade_state",
    "read_links",
    "read_plan",
    "read_step_state",
    "write_options",
    "write_publish",
]

_STATE_OF = {pb.CascadeState.Value(f"CASCADE_STATE_{state.name}"): state for state in CascadeState}
_STEP_STATE_OF = {pb.StepState.Value(f"STEP_STATE_{state.name}"): state for state in StepState}
_REASON_OF = {pb.LeaveOutReason.Value(f"LEAVE_OUT_REASON_{reason.name}"): reason for reason in LeaveOutReason}
_MODES = {mode: pb.PublishMode.Value(f"PUBLISH_MODE_{mode.name}") for mode in PublishMode}
_MODE_OF = {number: mode for mode, number in _MODES.items()}


def write_options(
    old: ModelReference,
    new: ModelReference,
    *,
    skip: Iterable[ModelReference] = (),
    stop_at: Iterable[ModelReference] = (),
    refresh_parents: bool = False,
) -> pb.CascadeOptions:
    """What an update is to do."""
    return pb.CascadeOptions(
        old=reference_of(old),
        new=reference_of(new),
        skip=map(reference_of, skip),
        stop_at=map(reference_of, stop_at),
        refresh_parents=refresh_parents,
    )


def write_publish(publish: PublishMode | str | None) -> pb.PublishMode.ValueType:
    """When models become visible; None leaves it to the service.

    Raises:
        InvalidArgumentError: INVALID_CASCADE.
    """
    if publish is None:
        return pb.PUBLISH_MODE_UNSPECIFIED
    try:
        return _MODES[PublishMode(publish)]
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_CASCADE,
            f"Models are published {' or '.join(PublishMode)}; found {publish[:80]!r}.",
        ) from None


def read_cascade_state(number: pb.CascadeState.ValueType) -> CascadeState:
    """The state that a number of the wire means."""
    return _STATE_OF[number]


def read_step_state(number: pb.StepState.ValueType) -> StepState:
    """The state that a number of the wire means."""
    return _STEP_STATE_OF[number]


def read_links(edges: Sequence[types_pb2.ProvenanceEdge]) -> tuple[ParentLink, ...]:
    """The parents of a target, in order."""
    return tuple(
        ParentLink(
            parent_uid=edge.parent_uid,
            relation=read_relation(edge.relation),
            weight=edge.weight if edge.HasField("weight") else None,
        )
        for edge in sorted(edges, key=lambda edge: edge.position)
    )


def read_plan(plan: pb.UpdatePlan) -> Update:
    """A plan that nobody keeps."""
    return Update(
        id="",
        state=None,
        old=read_summary(plan.old),
        new=read_summary(plan.new),
        steps=_read_steps(plan, {}),
        step_count=max(plan.step_count, len(plan.steps)),
        done_count=0,
        left_out=_read_left_out(plan),
    )


def read_cascade(
    cascade: pb.Cascade,
    tests: Mapping[str, tuple[ModelTestResult, ...]] | None = None,
) -> Update:
    """A kept cascade.

    Args:
        cascade: The message.
        tests: Results on new models, by uid.
    """
    return Update(
        id=cascade.id,
        state=_STATE_OF[cascade.state],
        old=read_summary(cascade.plan.old),
        new=read_summary(cascade.plan.new),
        steps=_read_steps(cascade.plan, tests or {}),
        step_count=max(cascade.plan.step_count, len(cascade.plan.steps)),
        done_count=sum(step.state == pb.STEP_STATE_DONE for step in cascade.plan.steps),
        left_out=_read_left_out(cascade.plan),
        publish=_MODE_OF.get(cascade.publish, PublishMode.TOGETHER),
        stop_at_failed_tests=cascade.stop_at_failed_tests,
        blocked_by=tuple(map(read_summary, cascade.blocked_by)),
        created_at=read_time(cascade.created_at),
        updated_at=read_time(cascade.updated_at),
    )


def _read_steps(
    plan: pb.UpdatePlan,
    tests: Mapping[str, tuple[ModelTestResult, ...]],
) -> tuple[UpdateStep, ...]:
    makers = {target.uid: step.number for step in plan.steps for target in step.targets}
    numbered = {
        target.uid: made.ref for step in plan.steps for target in step.targets if (made := _read_made(target))
    }
    return tuple(
        UpdateStep(
            number=step.number,
            old=read_summary(target.old),
            new_uid=target.uid,
            new=_read_made(target),
            entry_point=target.creation.entry_point,
            parents=tuple(
                UpdateParent(
                    uid=edge.parent_uid,
                    ref=numbered.get(edge.parent_uid) or edge.parent_ref or f"@{edge.parent_uid}",
                    relation=read_relation(edge.relation),
                    step=makers.get(edge.parent_uid),
                    is_pinned=edge.parent_uid not in makers and edge.parent_uid != plan.new.uid,
                )
                for edge in target.parents
            ),
            state=_STEP_STATE_OF[step.state],
            attempt=step.attempt,
            worker=step.worker,
            held_until=read_time(step.expires_at) if step.HasField("expires_at") else None,
            error=step.error,
            failed_tests=tuple(step.failed_tests),
            tests=tests.get(target.uid, ()),
        )
        for step in plan.steps
        for target in step.targets
    )


def _read_made(target: pb.StepTarget) -> ModelSummary | None:
    """The new model if it has a number."""
    is_numbered = target.HasField("made") and target.made.version > 0
    return read_summary(target.made) if is_numbered else None


def _read_left_out(plan: pb.UpdatePlan) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(model=read_summary(each.model), reason=_REASON_OF[each.reason]) for each in plan.left_out
    )
