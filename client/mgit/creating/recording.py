"""The record of a model that was created elsewhere, as its author tells it."""

from __future__ import annotations

from collections.abc import Mapping

from mgit.connection import Connection
from mgit.creating.functions import CreationFunction, CreationSaid, record_creation
from mgit.creation_records import write_creation
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import types_pb2

__all__ = ["describe_creation"]


def describe_creation(
    connection: Connection,
    function: CreationFunction | None,
    arguments: Mapping[str, object] | None,
    seed: int | None,
) -> types_pb2.CreationRecord | None:
    """The record of a call that was made already; None if nothing is said of it.

    Raises:
        InvalidArgumentError: INVALID_CREATION; INVALID_ARGUMENT, for arguments or a seed without a function;
            INVALID_METADATA for arguments that are no plain values.
    """
    if function is None:
        if arguments or seed is not None:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                "Arguments and a seed belong to a creation function; say which one with created_by (--created-by).",
            )
        return None
    said = CreationSaid(function=function, arguments=arguments or {}, seed=seed)
    return write_creation(record_creation(said, connection.capabilities.algorithm))
