"""Fixtures of the client's unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from tests.unit.client.faulty_service import FaultyService

from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit_proto.v1 import parameters_pb2_grpc


@pytest.fixture
def faulty_service() -> FaultyService:
    return FaultyService()


@pytest.fixture
def faulty_address(faulty_service: FaultyService) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4))
    parameters_pb2_grpc.add_ParameterServiceServicer_to_server(faulty_service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.fixture
def connection(faulty_address: str) -> Iterator[Connection]:
    connection = Connection(Endpoint(address=faulty_address, timeout_s=20))
    yield connection
    connection.close()
