"""AuditService: bugs, and the auditors' door to the graph."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypeAlias

import grpc.aio
from google.protobuf import struct_pb2
from typing_extensions import override

from mgit_core.ports.audit import JsonValue
from mgit_proto.v1 import audit_pb2 as pb
from mgit_service.servicers.bugs import BugCalls
from mgit_service.use_cases.audit.asking import AuditLimits, ask_graph
from mgit_service.use_cases.backend import Backend

__all__ = ["AuditServicer", "read_value", "write_value"]

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

# Up to here every whole number is a number of the wire.
_EXACT = 2.0**53


class AuditServicer(BugCalls):
    """Translates between messages and use cases; errors are translated by the interceptor."""

    def __init__(self, backend: Backend, limits: AuditLimits) -> None:
        super().__init__(backend)
        self._limits = limits

    @override
    async def Query(self, request: pb.QueryRequest, context: Context) -> AsyncIterator[pb.QueryResponse]:
        parameters = {name: read_value(value) for name, value in request.parameters.fields.items()}
        parts = ask_graph(
            self._backend.lineage, request.statement, parameters, self._limits, max_rows=request.max_rows
        )
        is_first = True
        async with contextlib.aclosing(parts):
            async for part in parts:
                yield pb.QueryResponse(
                    columns=part.columns if is_first else (),
                    rows=[pb.QueryRow(values=map(write_value, row)) for row in part.rows],
                    truncated_by=part.truncated_by,
                )
                is_first = False


def read_value(value: struct_pb2.Value) -> JsonValue:
    """A parameter. The wire has one kind of numbers; whole ones are integers, as LIMIT and ids want them."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {name: read_value(each) for name, each in value.struct_value.fields.items()}
    if kind == "list_value":
        return [read_value(each) for each in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "string_value":
        return value.string_value
    return value.bool_value if kind == "bool_value" else None


def write_value(value: JsonValue) -> struct_pb2.Value:
    """A value of an answer."""
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        fields = {name: write_value(each) for name, each in value.items()}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
    assert isinstance(value, Sequence)  # noqa: S101 - the last kind that JSON has
    return struct_pb2.Value(list_value=struct_pb2.ListValue(values=map(write_value, value)))
