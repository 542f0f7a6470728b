from __future__ import annotations

import itertools
import socket
from pathlib import Path

import grpc
import pytest
from tests.unit.client.faulty_service import FaultyService, abort, wait_for_end

import mgit.connection
from mgit.connection import Connection, Patience
from mgit.endpoint import Endpoint
from mgit_core.errors import (
    DeadlineExceededError,
    ErrorReason,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    MGitError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
)
from mgit_proto.v1 import parameters_pb2

READ = parameters_pb2.ReadChunksRequest(digests=[b"0" * 32])


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


def test_capabilities_are_those_of_the_service(connection: Connection) -> None:
    found = connection.capabilities
    assert (found.algorithm.value, found.max_digests, found.service_version) == ("blake3", 10_000, "test")


def test_a_service_with_another_chunk_rule_is_refused(
    connection: Connection, faulty_service: FaultyService
) -> None:
    faulty_service.chunk_rule = "c2"
    with pytest.raises(FailedPreconditionError, match="Update the client"):
        _ = connection.capabilities


def test_an_error_is_rebuilt_from_its_reason_with_details(connection: Connection) -> None:
    with pytest.raises(NotFoundError) as caught:
        list(connection.stream(connection.parameters.ReadChunks, READ))
    assert caught.value.reason is ErrorReason.CHUNK_NOT_FOUND
    assert caught.value.details == {"digest": READ.digests[0].hex()}


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "DISK_FULL", ResourceExhaustedError),
        (grpc.StatusCode.INVALID_ARGUMENT, "DIGEST_MISMATCH", InvalidArgumentError),
        (grpc.StatusCode.FAILED_PRECONDITION, "A_REASON_OF_TOMORROW", InternalError),
    ],
)
def test_the_reason_says_the_class_and_not_the_code(
    connection: Connection,
    faulty_service: FaultyService,
    code: grpc.StatusCode,
    reason: str,
    kind: type[MGitError],
) -> None:
    faulty_service.fail = lambda context: abort(context, code, reason, message="m", key="v")
    with pytest.raises(kind, match=reason) as caught:
        _ = connection.capabilities
    assert "message" not in caught.value.details


def test_an_error_without_a_reason_is_told_by_its_code(
    connection: Connection, faulty_service: FaultyService
) -> None:
    faulty_service.fail = lambda context: context.abort(grpc.StatusCode.UNIMPLEMENTED, "who knows")
    with pytest.raises(InternalError, match="UNIMPLEMENTED: who knows"):
        _ = connection.capabilities


@pytest.mark.slow
def test_without_a_service_the_error_says_what_to_do(nobody: str) -> None:
    with pytest.raises(UnavailableError, match="mgit up") as caught:
        _ = Connection(Endpoint(address=nobody)).capabilities
    assert caught.value.reason is ErrorReason.SERVICE_UNAVAILABLE
    assert caught.value.details["address"] == nobody


def test_a_call_that_is_not_answered_ends_in_time(faulty_address: str, faulty_service: FaultyService) -> None:
    faulty_service.fail = wait_for_end
    connection = Connection(Endpoint(address=faulty_address, timeout_s=0.2))
    with pytest.raises(DeadlineExceededError, match=r"0\.2 s"):
        _ = connection.capabilities
    connection.close()


def test_a_closed_connection_says_so(connection: Connection) -> None:
    connection.close()
    connection.close()
    with pytest.raises(UnavailableError, match="connect again"):
        _ = connection.capabilities
    with pytest.raises(UnavailableError, match="connect again"):
        list(connection.stream(connection.parameters.ReadChunks, READ))


def test_closing_ends_a_running_stream(connection: Connection, faulty_service: FaultyService) -> None:
    digest = faulty_service.put(b"x")
    request = parameters_pb2.ReadChunksRequest(digests=[digest] * 10_000)
    answers = connection.stream(connection.parameters.ReadChunks, request)
    next(answers)
    connection.close()
    with pytest.raises(UnavailableError, match="connect again"):
        list(answers)


def test_a_collected_stream_is_asked_again_as_a_whole(
    connection: Connection, faulty_service: FaultyService
) -> None:
    digest = faulty_service.put(b"x")
    faulty_service.read_cuts = [1]
    request = parameters_pb2.ReadChunksRequest(digests=[digest, digest])
    answers = connection.collect(connection.parameters.ReadChunks, request)
    assert [answer.data for answer in answers] == [b"x", b"x"]


def test_patience_ends(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(mgit.connection.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(mgit.connection.time, "sleep", lambda pause_s: now.__setitem__(0, now[0] + pause_s))
    patience = Patience(Connection(Endpoint(address=nobody)))
    error = UnavailableError(ErrorReason.SERVICE_UNAVAILABLE, "away")
    attempts = itertools.count()

    def try_for_ever() -> None:
        for _ in attempts:
            patience.wait_or_raise(error)

    with pytest.raises(UnavailableError, match="away"):
        try_for_ever()
    assert 5.0 <= now[0] <= 6.0
    patience.got_through()
    with pytest.raises(UnavailableError, match="away"):
        try_for_ever()
    assert 35.0 <= now[0] <= 37.0, "a transfer that was under way waits longer"


@pytest.mark.parametrize("address", ["example.org:50051", "10.0.0.1:50051", "0.0.0.0:50051"])
def test_a_token_is_never_sent_in_plaintext_over_a_network(address: str) -> None:
    with pytest.raises(InvalidArgumentError, match="plaintext") as caught:
        Endpoint(address=address, token="secret")  # noqa: S106 - of no service
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["localhost:1", "127.0.0.1:1", "[::1]:1"])
def test_a_token_may_go_to_this_machine(address: str) -> None:
    assert "secret" not in repr(Endpoint(address=address, token="secret"))  # noqa: S106 - of no service


def test_an_authority_that_cannot_be_read_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        Connection(Endpoint(address="localhost:1", tls_ca=tmp_path / "ca.pem"))
    assert caught.value.reason is ErrorReason.PATH_NOT_FOUND
