"""Creation records on the wire."""

from __future__ import annotations

from mgit.wire import read_metadata, write_metadata
from mgit_core.creation import CreationRecord
from mgit_proto.v1 import types_pb2

__all__ = ["read_creation", "write_creation"]


def write_creation(record: CreationRecord) -> types_pb2.CreationRecord:
    """How a model was created, for the header of a draft."""
    return types_pb2.CreationRecord(
        entry_point=record.entry_point,
        code_digest=record.code_digest,
        source=record.source,
        arguments=write_metadata(record.arguments),
        seed=record.seed,
        environment=dict(record.environment),
        group=record.group,
        member=record.member,
    )


def read_creation(message: types_pb2.CreationRecord) -> CreationRecord:
    """How a model was created."""
    return CreationRecord(
        entry_point=message.entry_point,
        code_digest=message.code_digest,
        source=message.source,
        arguments=read_metadata(message.arguments),
        seed=message.seed if message.HasField("seed") else None,
        environment=dict(message.environment),
        group=message.group,
        member=message.member,
    )
