"""What happens around every call: request id, token, deadline, errors, log line."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import inspect
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import grpc.aio
from pydantic import SecretStr
from typing_extensions import override

from mgit_core.errors import (
    DeadlineExceededError,
    ErrorReason,
    InternalError,
    MGitError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from mgit_core.ports.graph import deadline
from mgit_service.health import Watch
from mgit_service.logs import FIELDS
from mgit_service.servicers.requests import MAX_REQUEST_ID_LENGTH
from mgit_service.servicers.status import DETAILS_KEY, code_of, status_of

__all__ = ["REQUEST_ID_KEY", "CallInterceptor"]

REQUEST_ID_KEY = "x-request-id"
_LOG = logging.getLogger(__name__)

_HEALTH = "/grpc.health.v1.Health/"
_STANDARD = "/grpc."
_STATUS = "/mgit.v1.MaintenanceService/GetStatus"
_AUDIT = "/mgit.v1.AuditService/Query"
_DEFAULT_TIMEOUT_S = 60.0
# They walk the whole store.
_LONG_TIMEOUTS_S = {"/mgit.v1.MaintenanceService/GetStatistics": 1800.0}
# A caller ends a call by its own clock, which may be a little ahead of what travelled as its deadline.
_CLOCKS_DIFFER_S = 0.1
_ABSENT_PARTS = frozenset({ErrorReason.NEO4J_UNAVAILABLE, ErrorReason.STORE_UNAVAILABLE})

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(slots=True)
class _Call:
    """One call, from its start to its log line."""

    method: str
    request_id: str
    token: str | None
    started: float
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: ErrorReason | None = None


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every behavior; of streams the whole iteration, not only the call."""

    def __init__(
        self, watch: Watch, token: SecretStr | None = None, audit_token: SecretStr | None = None
    ) -> None:
        self._watch = watch
        self._token = None if token is None else token.get_secret_value().encode()
        self._audit_token = None if audit_token is None else audit_token.get_secret_value().encode()

    @override
    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        metadata = _metadata(handler_call_details)

        def begin() -> _Call:
            request_id = _request_id(metadata.get(REQUEST_ID_KEY, ""))
            return _Call(method, request_id, metadata.get("authorization"), time.monotonic())

        return self._wrapped(handler, begin)

    def _wrapped(self, handler: Handler, begin: Callable[[], _Call]) -> Handler:
        coders = {
            "request_deserializer": handler.request_deserializer,
            "response_serializer": handler.response_serializer,
        }
        is_unary = not (handler.request_streaming or handler.response_streaming)
        behavior = _behavior_of(handler)

        async def answer_once(request: Any, context: Context) -> Any:
            async with self._around(begin(), context, is_bounded=is_unary):
                return await behavior(request, context)

        async def answer_many(request: Any, context: Context) -> None:
            # Written here and not yielded, so that a cancelled call unwinds the behavior at once.
            async with self._around(begin(), context, is_bounded=False):
                answers = behavior(request, context)
                if inspect.isawaitable(answers):
                    await answers
                    return
                async with contextlib.aclosing(answers):
                    async for answer in answers:
                        await context.write(answer)

        wrap, wrapped = {
            (False, False): (grpc.unary_unary_rpc_method_handler, answer_once),
            (False, True): (grpc.unary_stream_rpc_method_handler, answer_many),
            (True, False): (grpc.stream_unary_rpc_method_handler, answer_once),
            (True, True): (grpc.stream_stream_rpc_method_handler, answer_many),
        }[handler.request_streaming, handler.response_streaming]
        return wrap(wrapped, **coders)

    @contextlib.asynccontextmanager
    async def _around(self, call: _Call, context: Context, *, is_bounded: bool) -> AsyncGenerator[None]:
        context.set_trailing_metadata(((REQUEST_ID_KEY, call.request_id),))
        try:
            async with self._in_time(call, context, is_bounded=is_bounded):
                await self._admit(call)
                yield
        except MGitError as error:
            await self._refuse(call, context, error)
        except grpc.aio.AbortError:
            call.code = context.code()
            raise
        except asyncio.CancelledError:
            remaining = _remaining_s(context)
            is_late = remaining is not None and remaining < _CLOCKS_DIFFER_S
            call.code = grpc.StatusCode.DEADLINE_EXCEEDED if is_late else grpc.StatusCode.CANCELLED
            raise
        except Exception:  # noqa: BLE001 - the last resort of every call; logged with its traceback
            _LOG.exception("a call failed", extra={FIELDS: _fields(call)})
            await self._refuse(call, context, _unknown(call))
        finally:
            _log(call)

    @contextlib.asynccontextmanager
    async def _in_time(self, call: _Call, context: Context, *, is_bounded: bool) -> AsyncGenerator[None]:
        """Hand the caller's deadline on to the ports, and give a unary call one if it has none.

        The library ends streams when their deadline passes; nothing is to be done for them here.
        """
        remaining = _remaining_s(context)
        if remaining is None and is_bounded:
            remaining = _LONG_TIMEOUTS_S.get(call.method, _DEFAULT_TIMEOUT_S)
        deadline.set(None if remaining is None else time.monotonic() + remaining)
        timer = asyncio.timeout(remaining if is_bounded else None)
        try:
            async with timer:
                yield
        except TimeoutError:
            if not timer.expired():
                raise
            raise DeadlineExceededError(
                ErrorReason.DEADLINE_EXCEEDED, f"The call was not answered within {remaining:.3g} s."
            ) from None

    async def _admit(self, call: _Call) -> None:
        if not call.method.startswith(_HEALTH):
            self._check_token(call)
        if call.method != _STATUS and not call.method.startswith(_STANDARD):
            await self._watch.require_healthy()

    def _check_token(self, call: _Call) -> None:
        """Let pass who has the token; at the auditors' door the audit token does, too, and one of both is wanted."""
        is_door = call.method == _AUDIT
        if self._token is None and not (is_door and self._audit_token is not None):
            return
        scheme, _, token = (call.token or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError(
                ErrorReason.TOKEN_MISSING,
                "This service wants a token: send metadata 'authorization: Bearer TOKEN' (MGIT_TOKEN).",
            )
        is_token, is_audit_token = (_is_same(token, known) for known in (self._token, self._audit_token))
        if is_token or (is_door and is_audit_token):
            return
        if is_audit_token:
            raise PermissionDeniedError(
                ErrorReason.NOT_PERMITTED,
                "The audit token opens questions to the graph in Cypher and nothing else.",
            )
        raise UnauthenticatedError(
            ErrorReason.TOKEN_WRONG, "The token is not the one that this service wants."
        )

    async def _refuse(self, call: _Call, context: Context, error: MGitError) -> None:
        call.code, call.reason = code_of(error), error.reason
        if error.reason in _ABSENT_PARTS:
            self._watch.look_soon()
        status = status_of(error, call.request_id)
        trailing = ((REQUEST_ID_KEY, call.request_id), (DETAILS_KEY, status.SerializeToString()))
        await context.abort(call.code, status.message, trailing)


def _behavior_of(handler: Handler) -> Any:
    """What answers the calls; a handler has it for one of the four kinds of calls."""
    behaviors = (handler.unary_unary, handler.unary_stream, handler.stream_unary, handler.stream_stream)
    return next(found for found in behaviors if found is not None)


def _metadata(details: grpc.HandlerCallDetails) -> dict[str, str]:
    pairs: Sequence[tuple[str, str | bytes]] = details.invocation_metadata or ()
    return {key: value for key, value in pairs if isinstance(value, str)}


def _remaining_s(context: Context) -> float | None:
    """Seconds until the caller's deadline, 0 if it passed; None without one, which the stubs do not know."""
    remaining: float | None = context.time_remaining()
    return remaining


def _request_id(given: str) -> str:
    is_good = given and len(given) <= MAX_REQUEST_ID_LENGTH and given.isascii() and given.isprintable()
    return given if is_good else uuid.uuid4().hex


def _is_same(token: str, known: bytes | None) -> bool:
    """Whether they are equal; the time tells nothing of where they differ."""
    return known is not None and hmac.compare_digest(token.encode(), known)


def _unknown(call: _Call) -> MGitError:
    """What a caller hears of a bug: nothing that the exception says, which may hold paths or secrets."""
    return InternalError(
        ErrorReason.INTERNAL, f"The service failed; its log says why under request id {call.request_id}."
    )


def _fields(call: _Call) -> dict[str, object]:
    fields: dict[str, object] = {
        "method": call.method,
        "code": call.code.name,
        "ms": round((time.monotonic() - call.started) * 1000, 1),
        "request_id": call.request_id,
    }
    return fields if call.reason is None else {**fields, "reason": call.reason.value}


def _log(call: _Call) -> None:
    level = logging.DEBUG if call.method.startswith(_STANDARD) else logging.INFO
    _LOG.log(level, "call", extra={FIELDS: _fields(call)})
