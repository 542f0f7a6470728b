"""Records of loss as messages, and back."""

from __future__ import annotations

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.loss import LossGuard, LossMethod, LossRecord, LossTensor, check_loss
from mgit_core.metric import MetricDirection
from mgit_proto.v1 import types_pb2

__all__ = ["loss_message", "loss_value"]


def loss_message(record: LossRecord) -> types_pb2.LossRecord:
    """What guarded loss did."""
    guard = record.guard
    return types_pb2.LossRecord(
        method=record.method.value,
        strength=record.strength,
        base_uid=record.base_uid,
        original_digest=record.original_digest,
        largest_error=record.largest_error,
        largest_relative_error=record.largest_relative_error,
        guard=types_pb2.LossGuard(
            entry_point=guard.entry_point,
            code_digest=guard.code_digest,
            metric=guard.metric,
            direction=guard.direction.value,
            tolerance=guard.tolerance,
            before=guard.before,
            after=guard.after,
        ),
        tensors=[
            types_pb2.LossTensor(name=tensor.name, step=tensor.step, largest_error=tensor.largest_error)
            for tensor in record.tensors
        ],
    )


def loss_value(message: types_pb2.LossRecord) -> LossRecord:
    """What a client says that guarded loss did.

    Raises:
        InvalidArgumentError: As ``check_loss``; INVALID_ARGUMENT for a method or direction that is not known.
    """
    guard = message.guard
    try:
        method, direction = LossMethod(message.method), MetricDirection(guard.direction)
    except ValueError as error:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A record of loss has a method of {', '.join(LossMethod)} and a guard with a direction of "
            f"{', '.join(MetricDirection)}; found {message.method[:80]!r} and {guard.direction[:80]!r}.",
            field="loss",
        ) from error
    return check_loss(
        LossRecord(
            method=method,
            strength=message.strength,
            base_uid=message.base_uid,
            original_digest=message.original_digest,
            largest_error=message.largest_error,
            largest_relative_error=message.largest_relative_error,
            guard=LossGuard(
                entry_point=guard.entry_point,
                code_digest=guard.code_digest,
                metric=guard.metric,
                direction=direction,
                tolerance=guard.tolerance,
                before=guard.before,
                after=guard.after,
            ),
            tensors=tuple(
                LossTensor(name=tensor.name, step=tensor.step, largest_error=tensor.largest_error)
                for tensor in message.tensors
            ),
        )
    )
