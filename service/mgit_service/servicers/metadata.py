"""Values of metadata and of arguments as messages, and back."""

from __future__ import annotations

from collections.abc import Mapping

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.metadata import MetadataValue
from mgit_proto.v1 import types_pb2

__all__ = ["metadata_message", "metadata_value"]


def metadata_message(value: MetadataValue) -> types_pb2.MetadataValue:
    """One value of metadata."""
    match value:
        case bool():
            return types_pb2.MetadataValue(flag=value)
        case int():
            return types_pb2.MetadataValue(integer=value)
        case float():
            return types_pb2.MetadataValue(number=value)
        case str():
            return types_pb2.MetadataValue(text=value)


def metadata_value(messages: Mapping[str, types_pb2.MetadataValue]) -> dict[str, MetadataValue]:
    """Metadata; keys and sizes are not checked.

    Raises:
        InvalidArgumentError: INVALID_METADATA for an entry without a value.
    """
    values: dict[str, MetadataValue] = {}
    for key, message in messages.items():
        kind = message.WhichOneof("kind")
        if kind is None:
            raise InvalidArgumentError(
                ErrorReason.INVALID_METADATA, f"Metadata {key[:80]!r} has no value; exactly one kind is set."
            )
        value: MetadataValue = getattr(message, kind)
        values[key] = value
    return values
