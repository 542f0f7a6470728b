"""Errors of gRPC as errors of ours."""

from __future__ import annotations

from typing import Any, cast

import grpc

from mgit.endpoint import Endpoint
from mgit_core.errors import ErrorReason, MGitError, UnavailableError, error_for_reason

__all__ = ["is_away", "translate_error"]

_DOMAIN = "mgit"
_TLS_WORDS = ("ssl", "tls", "certificate", "handshake")
_REASON_OF_CODE = {
    grpc.StatusCode.UNAVAILABLE: ErrorReason.SERVICE_UNAVAILABLE,
    # A call that its client ends was ended by closing the connection, or by leaving an iteration.
    grpc.StatusCode.CANCELLED: ErrorReason.SERVICE_UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ErrorReason.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAUTHENTICATED: ErrorReason.TOKEN_WRONG,
    grpc.StatusCode.PERMISSION_DENIED: ErrorReason.NOT_PERMITTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ErrorReason.LIMIT_EXCEEDED,
    grpc.StatusCode.INVALID_ARGUMENT: ErrorReason.INVALID_ARGUMENT,
}


def translate_error(error: grpc.RpcError, endpoint: Endpoint) -> MGitError:
    """The error that the service's ErrorInfo says, or for want of one that the status code says."""
    call = cast("grpc.Call", error)  # What a stub raises is both, which the stubs do not say.
    carried = _carried_error(call)
    if carried is not None:
        return carried
    code = call.code()
    text = (call.details() or code.name).rstrip(".")
    reason = _REASON_OF_CODE.get(code, ErrorReason.INTERNAL)
    return error_for_reason(reason, _message(code, text, endpoint), address=endpoint.address)


def is_away(error: MGitError, endpoint: Endpoint) -> bool:
    """Whether ``error`` says that the service at ``endpoint`` cannot answer now, so that it may be asked again."""
    return (
        isinstance(error, UnavailableError)
        and error.details.get("address", endpoint.address) == endpoint.address
    )


def _message(code: grpc.StatusCode, text: str, endpoint: Endpoint) -> str:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"The service at {endpoint.address} did not answer in {endpoint.timeout_s:g} s."
    if code is not grpc.StatusCode.UNAVAILABLE:
        return f"The service at {endpoint.address} answered {code.name}: {text}."
    if endpoint.tls_ca is not None and any(word in text.lower() for word in _TLS_WORDS):
        return (
            f"The service at {endpoint.address} could not prove who it is ({text}). Check that "
            f"{endpoint.tls_ca} is the authority of its certificate, and that the certificate is for this "
            "address."
        )
    return (
        f"No service answers at {endpoint.address} ({text}). 'mgit up' starts a local one; 'mgit status' says "
        "where it is; MGIT_ADDRESS names another, and MGIT_TLS_CA the authority of one with TLS."
    )


def _carried_error(call: grpc.Call) -> MGitError | None:
    # Only errors need these; neither has type stubs.
    from google.rpc import error_details_pb2  # type: ignore[import-untyped] # noqa: PLC0415
    from grpc_status import rpc_status  # type: ignore[import-untyped] # noqa: PLC0415

    status = rpc_status.from_call(call)
    details: list[Any] = list(status.details) if status else []
    for detail in details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == _DOMAIN:
            return _rebuild(info, status.message)
    return None


def _rebuild(info: Any, message: str) -> MGitError:
    if info.reason not in ErrorReason.__members__:
        return error_for_reason(
            ErrorReason.INTERNAL, f"{message} (reason {info.reason}, which this client does not know)"
        )
    # Names of the error's own parameters cannot be details.
    details = {key: value for key, value in info.metadata.items() if key not in {"reason", "message", "self"}}
    return error_for_reason(ErrorReason(info.reason), message, **details)
