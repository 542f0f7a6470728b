"""Errors as gRPC statuses: the one table, and the details that programs read."""

from __future__ import annotations

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # it has no stubs

from mgit_core.errors import (
    AlreadyExistsError,
    ConflictError,
    CorruptError,
    DeadlineExceededError,
    ErrorReason,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
)

__all__ = ["CODES", "DETAILS_KEY", "DOMAIN", "code_of", "status_of"]

DOMAIN = "mgit"
DETAILS_KEY = "grpc-status-details-bin"

CODES: dict[type[MGitError], grpc.StatusCode] = {
    NotFoundError: grpc.StatusCode.NOT_FOUND,
    AlreadyExistsError: grpc.StatusCode.ALREADY_EXISTS,
    ConflictError: grpc.StatusCode.ABORTED,
    InvalidArgumentError: grpc.StatusCode.INVALID_ARGUMENT,
    FailedPreconditionError: grpc.StatusCode.FAILED_PRECONDITION,
    CorruptError: grpc.StatusCode.DATA_LOSS,
    UnavailableError: grpc.StatusCode.UNAVAILABLE,
    UnauthenticatedError: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDeniedError: grpc.StatusCode.PERMISSION_DENIED,
    DeadlineExceededError: grpc.StatusCode.DEADLINE_EXCEEDED,
    ResourceExhaustedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    InternalError: grpc.StatusCode.INTERNAL,
}
"""The table. A reason belongs to one class, so it has one code."""

# Trailing metadata of more than 8 KiB is refused by peers; message and details come in it twice and base64.
_LONGEST_MESSAGE = 1_000
_LONGEST_VALUE = 1_500
_MOST_DETAIL_BYTES = 3_000

# What a NOT_FOUND or ALREADY_EXISTS is about, for google.rpc.ResourceInfo: type, and the detail that names it.
_RESOURCES: dict[ErrorReason, tuple[str, str]] = {
    ErrorReason.MODEL_NOT_FOUND: ("model", "reference"),
    ErrorReason.PARENT_NOT_FOUND: ("model", "reference"),
    ErrorReason.TAG_NOT_FOUND: ("tag", "tag"),
    ErrorReason.TENSOR_NOT_FOUND: ("parameter", "parameter"),
    ErrorReason.FILE_NOT_FOUND: ("file", "path"),
    ErrorReason.CHUNK_NOT_FOUND: ("chunk", "digest"),
    ErrorReason.OBJECT_NOT_FOUND: ("object", "key"),
    ErrorReason.OBJECT_EXISTS: ("object", "key"),
    ErrorReason.EDGE_NOT_FOUND: ("edge", "child"),
    ErrorReason.EDGE_EXISTS: ("edge", "child"),
}
_RETRY_SECONDS = {ErrorReason.UPLOAD_STALE: 0, ErrorReason.TRANSACTION_CONFLICT: 0}


def code_of(error: MGitError) -> grpc.StatusCode:
    """The gRPC code of ``error``."""
    return CODES[type(error)]


def status_of(error: MGitError, request_id: str) -> status_pb2.Status:
    """The status that tells ``error``: code, message, ErrorInfo, and what else fits its kind.

    Message and details are cut to what fits the trailing metadata of a call.
    """
    code: int = code_of(error).value[0]
    message = _cut(error.message, _LONGEST_MESSAGE)
    info = error_details_pb2.ErrorInfo(
        domain=DOMAIN, reason=error.reason.value, metadata=_fitting(error.details)
    )
    details: list[Message] = [info, error_details_pb2.RequestInfo(request_id=request_id)]
    details += _kind_details(error, message)
    return status_pb2.Status(code=code, message=message, details=[_packed(detail) for detail in details])


def _kind_details(error: MGitError, message: str) -> list[Message]:
    if isinstance(error, InvalidArgumentError):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.details.get("field", ""), description=_cut(message, 200), reason=error.reason.value
        )
        return [error_details_pb2.BadRequest(field_violations=[violation])]
    if isinstance(error, FailedPreconditionError):
        failed = error_details_pb2.PreconditionFailure.Violation(
            type=error.reason.value, description=_cut(message, 200)
        )
        return [error_details_pb2.PreconditionFailure(violations=[failed])]
    if isinstance(error, ResourceExhaustedError):
        quota = error_details_pb2.QuotaFailure.Violation(
            subject=error.reason.value, description=_cut(message, 200)
        )
        return [error_details_pb2.QuotaFailure(violations=[quota])]
    if error.is_retryable:
        delay = duration_pb2.Duration(seconds=_RETRY_SECONDS.get(error.reason, 1))
        return [error_details_pb2.RetryInfo(retry_delay=delay)]
    if error.reason in _RESOURCES:
        kind, key = _RESOURCES[error.reason]
        named = _cut(error.details.get(key, ""), 300)
        return [error_details_pb2.ResourceInfo(resource_type=kind, resource_name=named)]
    return []


def _fitting(details: dict[str, str]) -> dict[str, str]:
    fitting: dict[str, str] = {}
    room = _MOST_DETAIL_BYTES
    for key, value in details.items():
        cut = _cut(value, min(_LONGEST_VALUE, max(0, room - len(key))))
        room -= len(key) + len(cut.encode())
        if room < 0:
            break
        fitting[key] = cut
    return fitting


def _cut(text: str, size_bytes: int) -> str:
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= size_bytes:
        return encoded.decode()
    return f"{encoded[: max(0, size_bytes - 3)].decode('utf-8', 'ignore')}..."


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
