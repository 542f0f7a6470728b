"""The composition root: which store, which graph, and the server in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
)
from mgit_proto.v1 import (
    audit_pb2,
    audit_pb2_grpc,
    cascade_pb2,
    cascade_pb2_grpc,
    compare_pb2,
    compare_pb2_grpc,
    exchange_pb2,
    exchange_pb2_grpc,
    lineage_pb2,
    lineage_pb2_grpc,
    maintenance_pb2,
    maintenance_pb2_grpc,
    model_tests_pb2,
    model_tests_pb2_grpc,
    parameters_pb2,
)
from mgit_service.channel import SERVER_OPTIONS
from mgit_service.health import ServiceState, Watch, WatchedStore
from mgit_service.interceptors import CallInterceptor
from mgit_service.logs import FIELDS
from mgit_service.servicers.audit import AuditServicer
from mgit_service.servicers.cascade import CascadeServicer
from mgit_service.servicers.compare import CompareServicer
from mgit_service.servicers.exchange import ExchangeServicer
from mgit_service.servicers.frames import add_parameter_service
from mgit_service.servicers.lineage import LineageServicer
from mgit_service.servicers.maintenance import MaintenanceServicer
from mgit_service.servicers.model_tests import ModelTestServicer
from mgit_service.servicers.parameters import ParameterServicer
from mgit_service.settings import ListenAddress, ServiceSettings
from mgit_service.use_cases.audit.asking import AuditLimits
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.maintenance.upkeep import Upkeep
from mgit_storage.lineage import open_neo4j
from mgit_storage.store import Store

__all__ = ["SERVICES", "HealthBoard", "check_store", "serve"]

_LOG = logging.getLogger(__name__)

SERVICES = tuple(
    file.DESCRIPTOR.services_by_name[name].full_name
    for file, name in (
        (lineage_pb2, "LineageService"),
        (parameters_pb2, "ParameterService"),
        (compare_pb2, "CompareService"),
        (model_tests_pb2, "ModelTestService"),
        (cascade_pb2, "CascadeService"),
        (exchange_pb2, "ExchangeService"),
        (audit_pb2, "AuditService"),
        (maintenance_pb2, "MaintenanceService"),
    )
)
# What is left of a cancelled call, such as sealing what was verified, ends within this time.
_UNWIND_TIMEOUT_S = 20.0
# Blocking work is hashing and coding, which want a core each, and waiting for the disk, which wants none.
_THREADS_BESIDES_CORES = 4


class HealthBoard(Protocol):
    """Where callers read how the services are."""

    async def set(self, service: str, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Post the state of a service; an empty name means all together."""
        ...

    async def enter_graceful_shutdown(self) -> None:
        """Post NOT_SERVING everywhere, for good."""
        ...


async def serve(settings: ServiceSettings, store: Store) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends running calls at once.

    Raises:
        ResourceExhaustedError: PORT_IN_USE.
        FailedPreconditionError: INSECURE_BIND or SERVICE_START_FAILED.
        InvalidArgumentError: INVALID_ARGUMENT for settings that cannot be used.
    """
    settings.check_secure()
    stops = _stop_signals()
    async with _backend(settings, store) as backend:
        with ThreadPoolExecutor(1, thread_name_prefix="watch") as thread:
            watch = _watch(settings, store, backend, thread)
            await _serve_until(stops, settings, backend, watch)
    _LOG.info("stopped")


def check_store(folder: Path, store: Store) -> None:
    """Look whether the store can still be read and written.

    Raises:
        UnavailableError: STORE_UNAVAILABLE.
    """
    if not store.is_there():
        raise UnavailableError(
            ErrorReason.STORE_UNAVAILABLE,
            "The store is gone: its root object cannot be read, or is another's.",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UnavailableError(ErrorReason.STORE_UNAVAILABLE, "The store cannot be written.")


@contextlib.asynccontextmanager
async def _backend(settings: ServiceSettings, store: Store) -> AsyncGenerator[Backend]:
    lineage = open_neo4j(
        settings.neo4j_uri,
        settings.neo4j_username,
        settings.neo4j_password.get_secret_value(),
        settings.neo4j_database,
    )
    workers = (os.cpu_count() or 1) + _THREADS_BESIDES_CORES
    with ThreadPoolExecutor(workers, thread_name_prefix="work") as threads:
        try:
            yield Backend(
                store_id=store.id,
                chunks=store.chunks,
                parameters=store.parameters,
                lineage=lineage,
                threads=threads,
                window_bytes=settings.window_bytes,
            )
        finally:
            await lineage.binding.close()


def _watch(settings: ServiceSettings, store: Store, backend: Backend, thread: ThreadPoolExecutor) -> Watch:
    return Watch(
        store=WatchedStore(
            id=store.id, is_empty=store.is_empty, check=lambda: check_store(settings.store, store)
        ),
        binding=backend.lineage.binding,
        threads=thread,
    )


async def _serve_until(
    stops: asyncio.Queue[int], settings: ServiceSettings, backend: Backend, watch: Watch
) -> None:
    # The library's modules choose their names while they are imported, which type checkers do not follow.
    board: HealthBoard = health.aio.HealthServicer()  # pyright: ignore[reportAttributeAccessIssue]
    await _tell_health(board, watch.state)
    server = _server(settings, backend, watch, board)
    port = _bind(server, settings)
    await server.start()
    address = ListenAddress(settings.listen.host, port)
    _LOG.info("listening", extra={FIELDS: {"address": str(address), "tls": settings.has_tls}})
    beside = [asyncio.create_task(watch.run(lambda state: _tell_health(board, state)))]
    if settings.upkeep:
        beside.append(asyncio.create_task(Upkeep(backend, lambda: watch.state.is_healthy).run()))
    try:
        await stops.get()
        _LOG.info("stopping", extra={FIELDS: {"grace_s": settings.grace_s}})
    finally:
        for task in beside:
            task.cancel()
        await board.enter_graceful_shutdown()
        await _stop(server, settings.grace_s, stops)


def _server(settings: ServiceSettings, backend: Backend, watch: Watch, board: HealthBoard) -> grpc.aio.Server:
    server = grpc.aio.server(
        interceptors=[CallInterceptor(watch, settings.token, settings.audit_token)],
        options=list(SERVER_OPTIONS),
    )
    lineage_pb2_grpc.add_LineageServiceServicer_to_server(LineageServicer(backend), server)
    add_parameter_service(ParameterServicer(backend), server)
    compare_pb2_grpc.add_CompareServiceServicer_to_server(CompareServicer(backend), server)
    model_tests_pb2_grpc.add_ModelTestServiceServicer_to_server(ModelTestServicer(backend), server)
    cascade_pb2_grpc.add_CascadeServiceServicer_to_server(CascadeServicer(backend), server)
    exchange_pb2_grpc.add_ExchangeServiceServicer_to_server(ExchangeServicer(backend), server)
    audit_pb2_grpc.add_AuditServiceServicer_to_server(AuditServicer(backend, _audit_limits(settings)), server)
    maintenance_pb2_grpc.add_MaintenanceServiceServicer_to_server(MaintenanceServicer(backend, watch), server)
    health_pb2_grpc.add_HealthServicer_to_server(board, server)
    if settings.is_reflecting:
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    return server


def _audit_limits(settings: ServiceSettings) -> AuditLimits:
    return AuditLimits(
        is_open=settings.audit,
        seconds=settings.audit_seconds,
        rows=settings.audit_rows,
        size_bytes=settings.audit_bytes,
    )


async def _tell_health(board: HealthBoard, state: ServiceState) -> None:
    status = (
        health_pb2.HealthCheckResponse.SERVING
        if state.is_healthy
        else health_pb2.HealthCheckResponse.NOT_SERVING
    )
    for name in ("", *SERVICES):
        await board.set(name, status)


def _bind(server: grpc.aio.Server, settings: ServiceSettings) -> int:
    """Take the port, and return its number."""
    address = settings.listen
    credentials = _credentials(settings)
    _probe(address)
    try:
        if credentials is None:
            return server.add_insecure_port(str(address))
        return server.add_secure_port(str(address), credentials)
    except RuntimeError as error:
        raise FailedPreconditionError(
            ErrorReason.SERVICE_START_FAILED, f"The service cannot listen at {address}."
        ) from error


def _probe(address: ListenAddress) -> None:
    """Find out why a port cannot be had, which the library does not say."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ResourceExhaustedError(
                ErrorReason.PORT_IN_USE,
                f"Port {address.port} of {address.host} is in use; stop what listens there, or name another "
                "one in MGIT_LISTEN.",
                port=address.port,
            ) from error
        raise FailedPreconditionError(
            ErrorReason.SERVICE_START_FAILED,
            f"The service cannot listen at {address}: {error.strerror or error}.",
        ) from error


def _credentials(settings: ServiceSettings) -> grpc.ServerCredentials | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
    except OSError as error:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"MGIT_TLS_CERT or MGIT_TLS_KEY cannot be read: {error.strerror}.",
        ) from error
    return grpc.ssl_server_credentials([pair])


def _stop_signals() -> asyncio.Queue[int]:
    stops: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stops.put_nowait, number)
    return stops


async def _stop(server: grpc.aio.Server, grace_s: float, stops: asyncio.Queue[int]) -> None:
    """Let running calls end for ``grace_s`` seconds or until another signal, then cancel them."""
    before = asyncio.all_tasks()
    gracefully = asyncio.create_task(server.stop(grace_s))
    again = asyncio.create_task(stops.get())
    await asyncio.wait({gracefully, again}, return_when=asyncio.FIRST_COMPLETED)
    again.cancel()
    if not gracefully.done():
        await server.stop(0)
    await gracefully
    left = {task for task in before if task is not asyncio.current_task() and not task.done()}
    if left:
        await asyncio.wait(left, timeout=_UNWIND_TIMEOUT_S)
