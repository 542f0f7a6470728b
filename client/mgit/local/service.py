"""The service process of a local stack: started detached, and asked how it is.

The client knows the service by its command line, its environment and its wire contract only.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mgit.local.process import ProcessRecord, start_detached, tail
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    MGitError,
    UnavailableError,
    error_for_reason,
)
from mgit_proto.v1 import maintenance_pb2, maintenance_pb2_grpc

__all__ = ["ServiceHealth", "ask_health", "service_command", "start_service", "wait_until_serving"]

_START_TIMEOUT_S = 90.0
# What no waiting heals; seen once it may still be a Neo4j that has just begun to answer.
_LASTING = (
    ErrorReason.NEO4J_CREDENTIALS_WRONG,
    ErrorReason.STORE_MISMATCH,
    ErrorReason.SCHEMA_TOO_NEW,
)
_LASTING_TIMEOUT_S = 2.0
_ASK_TIMEOUT_S = 3.0
# Channels of a process share connections, and with them how long a refused one waits: a repository that was open while
# the service was away would have it look away from the next one for up to two minutes.
_OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
_REASON = re.compile(r"(?P<message>.*) \((?P<reason>[A-Z0-9_]+)\)")
_MAX_LOG_BYTES = 16 << 20
# A local stack is plaintext on the loopback device, and its Neo4j is the one that the caller names.
_NOT_INHERITED = ("NEO4J_", "MGIT_TLS_", "MGIT_TOKEN", "MGIT_ADDRESS", "MGIT_LISTEN", "MGIT_STORE")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceHealth:
    """How a service says it is.

    Attributes:
        is_serving: Whether it answers, and all its parts do.
        problems: What does not answer, a sentence each.
        service_version: Empty if the service does not answer.
        neo4j_version: Empty while Neo4j does not answer.
    """

    is_serving: bool
    problems: tuple[str, ...] = ()
    service_version: str = ""
    neo4j_version: str = ""


def service_command() -> list[str]:
    """The command that runs the service in the foreground."""
    return [sys.executable, "-m", "mgit_service"]


def start_service(settings: Mapping[str, str], environment: Mapping[str, str], log: Path) -> ProcessRecord:
    """Start the service detached.

    Args:
        settings: The service's own settings; they win over ``environment``.
        environment: What it inherits.
        log: Its output, appended; an old log of more than 16 MiB is put aside as ``.1`` first.
    """
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > _MAX_LOG_BYTES:
            log.replace(log.with_name(f"{log.name}.1"))
    inherited = {key: value for key, value in environment.items() if not key.startswith(_NOT_INHERITED)}
    # Threads that decode chunks would otherwise each keep an arena of freed memory.
    return start_detached(service_command(), {"MALLOC_ARENA_MAX": "2", **inherited, **settings}, log)


def wait_until_serving(
    process: ProcessRecord, address: str, log: Path, *, heal_timeout_s: float
) -> ServiceHealth:
    """Wait until the service and all its parts answer.

    Args:
        process: Of the service.
        address: Where it listens, or will.
        log: Its output.
        heal_timeout_s: How long a part may be missing of a service that answers; it looks for it by itself.

    Raises:
        FailedPreconditionError: SERVICE_START_FAILED, with the end of the log; STORE_MISMATCH or SCHEMA_TOO_NEW.
        UnauthenticatedError: NEO4J_CREDENTIALS_WRONG.
        UnavailableError: NEO4J_UNAVAILABLE or another part that the service misses.
    """
    end = time.monotonic() + _START_TIMEOUT_S
    refusal: MGitError | None = None
    while time.monotonic() < end:
        if not process.is_running():
            raise _start_failed("it ended at once", log)
        if _is_listening(address):
            health = ask_health(address)
            if health.is_serving:
                return health
            if refusal is None:
                end = time.monotonic() + heal_timeout_s
            refusal = _refusal(health)
            if refusal.reason in _LASTING:
                end = min(end, time.monotonic() + _LASTING_TIMEOUT_S)
        time.sleep(0.05)
    if refusal is None:
        raise _start_failed(f"it did not listen at {address} within {_START_TIMEOUT_S:.0f} s", log)
    message = f"The service at {address} is not serving. {refusal.message} Its log is {log}."
    raise error_for_reason(refusal.reason, message, address=address)


def _refusal(health: ServiceHealth) -> MGitError:
    """What the service says it misses, as an error; each of its problems ends with its reason in brackets."""
    problem = health.problems[0] if health.problems else "It does not say why."
    told = _REASON.fullmatch(problem)
    if told is None or told["reason"] not in ErrorReason.__members__:
        return UnavailableError(ErrorReason.SERVICE_UNAVAILABLE, problem)
    return error_for_reason(ErrorReason(told["reason"]), told["message"])


def ask_health(address: str, *, timeout_s: float = _ASK_TIMEOUT_S) -> ServiceHealth:
    """How the service at ``address`` says it is; one that does not answer is told as a problem."""
    with grpc.insecure_channel(address, options=_OWN_CONNECTION) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)  # Its stubs have no methods.
        try:
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
            status = maintenance_pb2_grpc.MaintenanceServiceStub(channel).GetStatus(
                maintenance_pb2.GetStatusRequest(), timeout=timeout_s
            )
        except grpc.RpcError as error:
            said = cast(
                "grpc.Call", error
            ).details()  # What a stub raises is both, which the stubs do not say.
            return ServiceHealth(is_serving=False, problems=(f"No service answers at {address} ({said}).",))
    return ServiceHealth(
        is_serving=answer.status == health_pb2.HealthCheckResponse.SERVING and status.healthy,
        problems=tuple(status.problems),
        service_version=status.service_version,
        neo4j_version=status.neo4j_version,
    )


def _is_listening(address: str) -> bool:
    """Asked before gRPC is, which would wait a second after each refused connection."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return True
    except OSError:
        return False


def _start_failed(what: str, log: Path) -> MGitError:
    return FailedPreconditionError(
        ErrorReason.SERVICE_START_FAILED,
        f"The service did not start: {what}. The end of its log, {os.fspath(log)}:\n{tail(log)}",
    )
