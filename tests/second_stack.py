"""Two services over two graphs, and what may stand between a client and one of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.neo4j_server import TestServer, cache_folder, empty_graph
from tests.running_service import SERVING, RunningService, start_service

from mgit.local.distribution import fetch_neo4j
from mgit.local.neo4j import ManagedNeo4j, free_port

EXCHANGE = "/mgit.v1.ExchangeService/"
PARAMETERS = "/mgit.v1.ParameterService/"


@pytest.fixture(scope="session")
def other_neo4j_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    """A second server, since one of the community edition has one graph, bound to one store."""
    managed = ManagedNeo4j(
        home=tmp_path_factory.mktemp("other-neo4j"), jars=fetch_neo4j(cache_folder()), is_throw_away=True
    )
    try:
        running = managed.start(bolt_port=free_port(), http_port=free_port())
        yield TestServer(running.bolt_uri, running.username, "")
    finally:
        managed.stop()


@dataclass
class Mortal:
    """A service on one port that is killed and started again."""

    server: TestServer
    store: Path
    address: str
    service: RunningService

    @classmethod
    def begin(cls, server: TestServer, store: Path) -> Mortal:
        """One that is serving over an empty graph."""
        empty_graph(server)
        address = f"127.0.0.1:{free_port()}"
        service = start_service(server, store, MGIT_LISTEN=address)
        service.wait_for(SERVING)
        return cls(server, store, address, service)

    def kill(self) -> None:
        self.service.kill()

    def start(self) -> None:
        self.service = start_service(self.server, self.store, MGIT_LISTEN=self.address)
        self.service.wait_for(SERVING)

    def restart(self) -> None:
        self.kill()
        self.start()


class _CutError(Exception):
    """Ends a call in the middle."""


@dataclass
class Proxy:
    """Passes every call on to a service, message by message, and does with the answers what it is told.

    Attributes:
        target: ``HOST:PORT`` of the service.
        address: Where it answers itself.
        on_answer: For a method, what becomes of each answer.
        on_request: For a method, what becomes of each message to the service.
        counts: How many answers each method gave.
    """

    target: str
    address: str = ""
    on_answer: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    on_request: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def tamper(self, method: str, message: Any, change: Callable[[Any], object]) -> None:
        """Have ``change`` change each answer of a method in place; ``message`` is what the answers are."""

        def rewrite(content: bytes) -> bytes:
            answer = message.FromString(content)
            change(answer)
            return answer.SerializeToString()

        self.on_answer[method] = rewrite

    def after(
        self,
        method: str,
        count: int,
        action: Callable[[], object],
        *,
        is_request: bool = False,
        cuts: bool = False,
    ) -> threading.Event:
        """Have ``action`` done once, before message ``count`` of a method passes; gives what is set then.

        Args:
            method: Full name of the method.
            count: So many messages pass before.
            action: What is done.
            is_request: Whether messages to the service are counted.
            cuts: Whether the call ends there, as if the service were gone: answers that lie in buffers are lost.
        """
        done = threading.Event()
        passed = 0

        def count_up(content: bytes) -> bytes:
            nonlocal passed
            passed += 1
            if passed > count and not done.is_set():
                done.set()
                action()
                if cuts:
                    raise _CutError
            return content

        (self.on_request if is_request else self.on_answer)[method] = count_up
        return done

    def pass_on(
        self, method: str, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        on_request = self.on_request.get(method, bytes)
        metadata = [(key, value) for key, value in context.invocation_metadata() if key == "authorization"]
        with grpc.insecure_channel(self.target) as channel:
            call = channel.stream_stream(method)(map(on_request, requests), metadata=metadata)
            context.add_callback(call.cancel)
            try:
                for answer in call:
                    self.counts[method] = self.counts.get(method, 0) + 1
                    yield self.on_answer.get(method, bytes)(answer)
            except _CutError:
                call.cancel()
                context.abort(grpc.StatusCode.UNAVAILABLE, "told to cut")
            except grpc.RpcError:
                context.set_trailing_metadata(call.trailing_metadata() or ())
                context.set_code(call.code())
                context.set_details(call.details() or "")


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method
        return grpc.stream_stream_rpc_method_handler(
            lambda requests, context: self._proxy.pass_on(method, requests, context)
        )


@contextlib.contextmanager
def proxy_to(target: str) -> Iterator[Proxy]:
    """A proxy in front of a service."""
    proxy = Proxy(target)
    server = grpc.server(ThreadPoolExecutor(8), handlers=[_Handler(proxy)])
    proxy.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield proxy
    finally:
        server.stop(None).wait()
