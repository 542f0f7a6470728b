"""Creation records as messages, and back."""

from __future__ import annotations

from mgit_core.cascade.values import StepLease
from mgit_core.creation import CreationRecord, check_creation, is_merge
from mgit_core.merge.recording import read_merge_call
from mgit_proto.v1 import parameters_pb2, types_pb2
from mgit_service.servicers.metadata import metadata_message, metadata_value
from mgit_service.use_cases.draft_header import StepDraft

__all__ = ["creation_message", "creation_value", "step_value"]


def creation_message(record: CreationRecord) -> types_pb2.CreationRecord:
    """How a model was created."""
    return types_pb2.CreationRecord(
        entry_point=record.entry_point,
        code_digest=record.code_digest,
        source=record.source,
        arguments={name: metadata_message(value) for name, value in record.arguments.items()},
        seed=record.seed,
        environment=dict(record.environment),
        group=record.group,
        member=record.member,
    )


def creation_value(message: types_pb2.CreationRecord) -> CreationRecord:
    """How a model was created, checked; of a merge also what it was asked for.

    Raises:
        InvalidArgumentError: INVALID_CREATION or INVALID_METADATA.
    """
    record = check_creation(
        CreationRecord(
            entry_point=message.entry_point,
            code_digest=message.code_digest,
            source=message.source,
            arguments=metadata_value(message.arguments),
            seed=message.seed if message.HasField("seed") else None,
            environment=dict(message.environment),
            group=message.group,
            member=message.member,
        )
    )
    if is_merge(record):
        read_merge_call(record)
    return record


def step_value(message: parameters_pb2.StepLease) -> StepDraft:
    """Which step of a cascade makes a model, and which of its targets that is."""
    return StepDraft(
        lease=StepLease(cascade_id=message.cascade_id, step=message.step, attempt=message.attempt),
        target_uid=message.target_uid,
    )
