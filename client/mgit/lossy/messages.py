"""Records of loss and hints on the wire."""

from __future__ import annotations

from mgit_core.loss import LossGuard, LossMethod, LossRecord, LossTensor
from mgit_core.metric import MetricDirection
from mgit_proto.v1 import types_pb2

__all__ = ["read_loss", "write_loss"]


def write_loss(record: LossRecord) -> types_pb2.LossRecord:
    """What guarded loss did, for the header of a draft."""
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


def read_loss(message: types_pb2.LossRecord) -> LossRecord:
    """What guarded loss did to a model."""
    guard = message.guard
    return LossRecord(
        method=LossMethod(message.method),
        strength=message.strength,
        base_uid=message.base_uid,
        original_digest=message.original_digest,
        largest_error=message.largest_error,
        largest_relative_error=message.largest_relative_error,
        guard=LossGuard(
            entry_point=guard.entry_point,
            code_digest=guard.code_digest,
            metric=guard.metric,
            direction=MetricDirection(guard.direction),
            tolerance=guard.tolerance,
            before=guard.before,
            after=guard.after,
        ),
        tensors=tuple(
            LossTensor(name=tensor.name, step=tensor.step, largest_error=tensor.largest_error)
            for tensor in message.tensors
        ),
    )
