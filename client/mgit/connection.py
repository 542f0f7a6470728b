"""One gRPC channel to a service: credentials, deadlines, retries, and errors as ours."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import grpc
from google.protobuf import descriptor_pool

from mgit.answers import translate_error
from mgit.endpoint import Endpoint
from mgit.streams import Answers
from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    MGitError,
    NotFoundError,
    UnavailableError,
)
from mgit_proto.v1 import (
    audit_pb2_grpc,
    cascade_pb2_grpc,
    compare_pb2_grpc,
    exchange_pb2_grpc,
    lineage_pb2_grpc,
    maintenance_pb2_grpc,
    model_tests_pb2_grpc,
    parameters_pb2,
    parameters_pb2_grpc,
)

__all__ = ["Answers", "Capabilities", "Connection", "Patience"]

Response = TypeVar("Response")
Result = TypeVar("Result")

_MESSAGE_ROOM = 4 << 20  # A message has 1 MiB at most; room for its header is gRPC's own default.
_RETRIES = 4
_SERVICES = (
    *("Lineage", "Parameter", "Maintenance", "ModelTest"),
    *("Audit", "Compare", "Cascade", "Exchange"),
)


def _unary_methods(service: str) -> list[dict[str, str]]:
    methods = descriptor_pool.Default().FindServiceByName(service).methods
    return [
        {"service": service, "method": method.name}
        for method in methods
        if not (method.client_streaming or method.server_streaming)
    ]


# Reads repeat harmlessly, and every mutation carries a request id, so all unary calls may be sent again.
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [method for name in _SERVICES for method in _unary_methods(f"mgit.v1.{name}Service")],
            "retryPolicy": {
                "maxAttempts": _RETRIES,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 3,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}
_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    ("grpc.enable_retries", 1),
    ("grpc.max_receive_message_length", _MESSAGE_ROOM),
    ("grpc.max_send_message_length", _MESSAGE_ROOM),
    # A window of 4 MiB for each stream keeps the pipe full without holding more than a few chunks.
    ("grpc.http2.lookahead_bytes", 4 << 20),
    ("grpc.http2.max_frame_size", 1 << 20),
    # A service that restarts is found again soon, not after the minutes that suit a crowd of clients. A call's repeats
    # take half a second at least: one of them comes after the next attempt to connect.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 250),
    # Finds a peer that vanished without a word; servers take a ping each five minutes without complaint.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]
_FIRST_PAUSE_S = 0.1
_LAST_PAUSE_S = 1.0
# Who never got an answer learns soon that nobody is there; a transfer that was under way waits for as long as
# a service takes to restart on a busy machine, with some room.
_FIRST_PATIENCE_S = 5.0
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Limits and fixed facts of a service.

    Attributes:
        store_id: Id of the store.
        algorithm: Digest algorithm of the store.
        max_message_bytes: Largest message.
        max_digests: Largest number of digests in a message.
        service_version: Version of the service.
    """

    store_id: str
    algorithm: DigestAlgorithm
    max_message_bytes: int
    max_digests: int
    service_version: str


class Connection:
    """A channel and its stubs. Thread-safe; ``close`` ends running calls."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._channel = _open_channel(endpoint)
        self.lineage = lineage_pb2_grpc.LineageServiceStub(self._channel)
        self.parameters = parameters_pb2_grpc.ParameterServiceStub(self._channel)
        self.maintenance = maintenance_pb2_grpc.MaintenanceServiceStub(self._channel)
        self.model_tests = model_tests_pb2_grpc.ModelTestServiceStub(self._channel)
        self.audit = audit_pb2_grpc.AuditServiceStub(self._channel)
        self.compare = compare_pb2_grpc.CompareServiceStub(self._channel)
        self.cascades = cascade_pb2_grpc.CascadeServiceStub(self._channel)
        self.exchange = exchange_pb2_grpc.ExchangeServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {endpoint.token}"),) if endpoint.token else ()
        self._lock = threading.Lock()
        self._is_closed = False

    @cached_property
    def capabilities(self) -> Capabilities:
        """Asked once.

        Raises:
            UnavailableError: SERVICE_UNAVAILABLE.
            FailedPreconditionError: STORE_MISMATCH.
        """
        answer = self.call(self.parameters.GetCapabilities, parameters_pb2.GetCapabilitiesRequest())
        if answer.chunk_rule != "c1":
            raise FailedPreconditionError(
                ErrorReason.STORE_MISMATCH,
                f"This client cuts by chunk rule c1; the service wants {answer.chunk_rule!r}. Update the client.",
            )
        return Capabilities(
            store_id=answer.store_id,
            algorithm=DigestAlgorithm(answer.digest_algorithm),
            max_message_bytes=answer.max_message_bytes,
            max_digests=answer.max_digests,
            service_version=answer.service_version,
        )

    def call(self, method: Callable[..., Response], request: object, *, is_bounded: bool = True) -> Response:
        """The answer of a call with one answer; ``request`` may be an iterator.

        Raises:
            MGitError: As the service answers, or SERVICE_UNAVAILABLE.
        """
        timeout = self.endpoint.timeout_s if is_bounded else None
        try:
            return method(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._translate(error) from error
        except ValueError as error:
            raise self._translate_closed(error) from error

    def stream(self, method: Callable[..., Any], request: object, *, is_bounded: bool = False) -> Answers:
        """The answers of a call with many, as they arrive; leaving its context ends the call.

        Raises:
            MGitError: As the service answers, or SERVICE_UNAVAILABLE; the iteration too.
        """
        timeout = self.endpoint.timeout_s if is_bounded else None

        def send() -> Any:
            try:
                return method(request, timeout=timeout, metadata=self._metadata)
            except ValueError as error:
                raise self._translate_closed(error) from error

        # What was taken from an iterator is gone.
        return Answers(send, self._translate, repeats=0 if isinstance(request, Iterator) else _RETRIES - 1)

    def collect(self, method: Callable[..., Any], request: object) -> list[Any]:
        """All answers of a call with many; the whole call is repeated while the service is unavailable.

        Raises:
            MGitError: As the service answers, or SERVICE_UNAVAILABLE.
        """
        patience = Patience(self)
        while True:
            try:
                with self.stream(method, request, is_bounded=True) as answers:
                    return list(answers)
            except UnavailableError as error:
                patience.wait_or_raise(error)

    @property
    def is_closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._is_closed

    def close(self) -> None:
        """End running calls. Idempotent."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._channel.close()

    def _translate(self, error: grpc.RpcError) -> MGitError:
        return self._closed_error() if self._is_closed else translate_error(error, self.endpoint)

    def _translate_closed(self, error: ValueError) -> MGitError:
        """A call on a closed channel is a ValueError; any other one is not ours."""
        if not self._is_closed:
            raise error
        return self._closed_error()

    def _closed_error(self) -> MGitError:
        return UnavailableError(
            ErrorReason.SERVICE_UNAVAILABLE,
            "This repository was closed; connect again.",
            address=self.endpoint.address,
        )


class Patience:
    """How long one piece of work waits for a service that is away, counted anew whenever it got through."""

    def __init__(self, connection: Connection, *, has_answered: bool = False) -> None:
        """Begin to count.

        Args:
            connection: To the service.
            has_answered: Whether the work rests on an answer of it: then it is waited for as long as a restart takes.
        """
        self._connection = connection
        self._patience_s = _PATIENCE_S if has_answered else _FIRST_PATIENCE_S
        self._pause_s = _FIRST_PAUSE_S
        self._ends_at: float | None = None

    def got_through(self) -> None:
        """The service answered: what fails next is a new outage."""
        self._patience_s = _PATIENCE_S
        self._pause_s = _FIRST_PAUSE_S
        self._ends_at = None

    def outlast(self, call: Callable[[], Result]) -> Result:
        """What ``call`` gives; it is made again while the service is away.

        Raises:
            MGitError: As the call raises, or SERVICE_UNAVAILABLE when patience is over.
        """
        while True:
            try:
                return call()
            except UnavailableError as error:
                self.wait_or_raise(error)

    def wait_or_raise(self, error: MGitError) -> None:
        """Pause before the next attempt.

        Raises:
            MGitError: ``error``, when patience is over or the connection was closed.
        """
        now = time.monotonic()
        if self._ends_at is None:
            self._ends_at = now + self._patience_s
        if now >= self._ends_at or self._connection.is_closed:
            raise error
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LAST_PAUSE_S)


def _open_channel(endpoint: Endpoint) -> grpc.Channel:
    if endpoint.tls_ca is None:
        return grpc.insecure_channel(endpoint.address, options=_OPTIONS)
    try:
        authority = endpoint.tls_ca.read_bytes()
    except OSError as error:
        raise NotFoundError(
            ErrorReason.PATH_NOT_FOUND,
            f"The certificate authority {endpoint.tls_ca} cannot be read: {error.strerror}.",
        ) from error
    credentials = grpc.ssl_channel_credentials(root_certificates=authority)
    return grpc.secure_channel(endpoint.address, credentials, options=_OPTIONS)
