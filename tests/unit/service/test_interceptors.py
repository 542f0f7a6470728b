"""The interceptor on a real aio server with behaviors that answer, fail, and hang."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from pydantic import SecretStr
from tests.faulty_binding import FaultyBinding, make_watch

from mgit_core.errors import ErrorReason, NotFoundError, UnavailableError
from mgit_core.ports.graph import deadline, remaining_s
from mgit_service.health import Watch
from mgit_service.interceptors import REQUEST_ID_KEY, CallInterceptor

TOKEN = "correct horse"  # noqa: S105 - of these tests
AUTHORIZED = (("authorization", f"Bearer {TOKEN}"),)
AUDIT_TOKEN = "battery staple"  # noqa: S105 - of these tests
AUDITING = (("authorization", f"Bearer {AUDIT_TOKEN}"),)
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Behaviors:
    """What the methods do: the request says."""

    def __init__(self) -> None:
        self.unwound = asyncio.Event()
        self.deadlines: list[float | None] = []

    async def act(self, wish: bytes) -> bytes:
        self.deadlines.append(remaining_s())
        match wish:
            case b"fail":
                raise NotFoundError(ErrorReason.MODEL_NOT_FOUND, "There is no model x.", reference="x")
            case b"break":
                raise RuntimeError("/secret/path of the server")
            case b"down":
                raise UnavailableError(ErrorReason.NEO4J_UNAVAILABLE, "Neo4j cannot be reached.")
            case b"time":
                raise TimeoutError
            case b"hang":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.unwound.set()
        return wish

    async def unary_unary(self, request: bytes, _: Any) -> bytes:
        return await self.act(request)

    async def unary_stream(self, request: bytes, _: Any) -> AsyncIterator[bytes]:
        yield b"first"
        yield await self.act(request)

    async def stream_unary(self, requests: AsyncIterator[bytes], _: Any) -> bytes:
        return b",".join([await self.act(request) async for request in requests])

    async def stream_stream(self, requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
        yield b"first"
        async for request in requests:
            yield await self.act(request)

    async def written(self, request: bytes, context: Any) -> None:
        await context.write(b"first")
        await context.write(await self.act(request))

    def handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        wrapped = {kind: getattr(grpc, f"{kind}_rpc_method_handler")(getattr(self, kind)) for kind in KINDS}
        return {**wrapped, "written": grpc.unary_stream_rpc_method_handler(self.written)}


class Server:
    """A server with the interceptor, and a channel to it."""

    def __init__(self, channel: grpc.aio.Channel, address: str, behaviors: Behaviors) -> None:
        self.channel = channel
        self.address = address
        self.behaviors = behaviors

    async def call(self, kind: str, wish: bytes, **options: Any) -> list[bytes]:
        """All answers of a method."""
        method = f"/mgit.v1.TestService/{kind}"
        streams_requests = kind.startswith("stream")
        request = iter([b"start", wish]) if streams_requests else wish
        shape = "unary_stream" if kind == "written" else kind
        call = getattr(self.channel, shape)(method)(request, **options)
        return [await call] if shape.endswith("unary") else [answer async for answer in call]

    async def error(self, kind: str, wish: bytes, **options: Any) -> Any:
        """How a call ends, as the synchronous client sees it.

        The asynchronous one may miss the status of a call that is refused while it still sends.
        """
        return await asyncio.to_thread(self._error, kind, wish, options)

    def _error(self, kind: str, wish: bytes, options: dict[str, Any]) -> Any:
        request = iter([b"start", wish]) if kind.startswith("stream") else wish
        shape = "unary_stream" if kind == "written" else kind
        with grpc.insecure_channel(self.address) as channel:
            method = getattr(channel, shape)(f"/mgit.v1.TestService/{kind}")
            with pytest.raises(grpc.RpcError) as caught:
                list(method(request, **options))
        return caught.value


@contextlib.asynccontextmanager
async def serving(
    binding: FaultyBinding, token: str | None = None, audit_token: str | None = None
) -> AsyncIterator[Server]:
    behaviors = Behaviors()
    with ThreadPoolExecutor(1) as threads:
        watch = make_watch(binding, threads)
        await watch.look()
        async with (
            _started(watch, behaviors, token, audit_token) as address,
            grpc.aio.insecure_channel(address) as channel,
        ):
            yield Server(channel, address, behaviors)


@contextlib.asynccontextmanager
async def _started(
    watch: Watch, behaviors: Behaviors, token: str | None, audit_token: str | None
) -> AsyncIterator[str]:
    secrets = (None if each is None else SecretStr(each) for each in (token, audit_token))
    interceptor = CallInterceptor(watch, *secrets)
    server = grpc.aio.server(interceptors=[interceptor])
    for service in (
        "mgit.v1.TestService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    ):
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, behaviors.handlers()),)
        )
    status = {"GetStatus": grpc.unary_unary_rpc_method_handler(behaviors.unary_unary)}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("mgit.v1.MaintenanceService", status),)
    )
    question = {"Query": grpc.unary_stream_rpc_method_handler(behaviors.unary_stream)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("mgit.v1.AuditService", question),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving(FaultyBinding()) as running:
        yield running


@pytest.fixture
async def guarded() -> AsyncIterator[Server]:
    async with serving(FaultyBinding(), TOKEN) as running:
        yield running


class Records(logging.Handler):
    """Keeps what is logged; ``came`` is set by each record."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[logging.LogRecord] = []
        self.came = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)
        self.came.set()

    async def wait_for(self, count: int) -> list[dict[str, Any]]:
        """The fields of ``count`` records of calls, which come when their callers have the answer already."""
        async with asyncio.timeout(30):
            while len(found := [record.fields for record in self.kept if record.msg == "call"]) < count:
                self.came.clear()
                await self.came.wait()
        return found


@pytest.fixture
def records() -> Iterator[Records]:
    logger = logging.getLogger("mgit_service.interceptors")
    handler, level = Records(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def reason_of(error: Any) -> str:
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info.reason


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("unary_unary", [b"wish"]),
        ("unary_stream", [b"first", b"wish"]),
        ("stream_unary", [b"start,wish"]),
        ("stream_stream", [b"first", b"start", b"wish"]),
        ("written", [b"first", b"wish"]),
    ],
)
async def test_every_kind_of_call_passes(server: Server, kind: str, answers: list[bytes]) -> None:
    assert await server.call(kind, b"wish") == answers


@pytest.mark.parametrize("kind", [*KINDS, "written"])
async def test_an_error_of_ours_becomes_its_status_also_in_the_middle_of_a_stream(
    server: Server, kind: str
) -> None:
    error = await server.error(kind, b"fail")
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, "There is no model x.")
    assert reason_of(error) == "MODEL_NOT_FOUND"


@pytest.mark.parametrize("kind", [*KINDS, "written"])
async def test_a_bug_becomes_internal_and_tells_nothing_but_the_request_id(
    server: Server, kind: str, records: Records
) -> None:
    error = await server.error(kind, b"break", metadata=((REQUEST_ID_KEY, "my-id"),))
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert "secret" not in f"{error.details()} {error.trailing_metadata()}"
    assert "my-id" in error.details()
    [logged] = [record for record in records.kept if record.exc_info]
    assert logged.fields["request_id"] == "my-id"


async def test_a_timeout_that_is_not_the_callers_is_a_bug(server: Server) -> None:
    assert (await server.error("unary_unary", b"time")).code() is grpc.StatusCode.INTERNAL


async def test_a_request_id_is_taken_over_or_made(server: Server) -> None:
    call = server.channel.unary_unary("/mgit.v1.TestService/unary_unary")
    for given, wanted in (("my-id", "my-id"), ("x" * 200, None), ("", None)):
        answer = call(b"wish", metadata=((REQUEST_ID_KEY, given),) if given else ())
        found = dict(await answer.trailing_metadata())[REQUEST_ID_KEY]
        assert found == wanted if wanted else len(found) == 32


async def test_every_call_is_one_record_with_method_code_time_and_id(
    server: Server, records: Records
) -> None:
    await server.call("unary_stream", b"wish", metadata=((REQUEST_ID_KEY, "my-id"),))
    await server.error("unary_unary", b"fail")
    first, second = await records.wait_for(2)
    assert first.pop("ms") >= 0
    assert first == {"method": "/mgit.v1.TestService/unary_stream", "code": "OK", "request_id": "my-id"}
    assert (second["code"], second["reason"]) == ("NOT_FOUND", "MODEL_NOT_FOUND")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ((), "TOKEN_MISSING"),
        ((("authorization", ""),), "TOKEN_MISSING"),
        ((("authorization", f"Basic {TOKEN}"),), "TOKEN_MISSING"),
        ((("authorization", "Bearer "),), "TOKEN_MISSING"),
        ((("authorization", "Bearer wrong"),), "TOKEN_WRONG"),
        ((("authorization", f"Bearer {TOKEN}x"),), "TOKEN_WRONG"),
    ],
)
async def test_a_call_without_the_token_is_refused(
    guarded: Server, kind: str, metadata: tuple[tuple[str, str], ...], reason: str
) -> None:
    error = await guarded.error(kind, b"wish", metadata=metadata)
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAUTHENTICATED, reason)
    assert guarded.behaviors.deadlines == []


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_with_the_token_passes(guarded: Server, kind: str) -> None:
    assert (await guarded.call(kind, b"wish", metadata=AUTHORIZED))[-1].endswith(b"wish")


async def test_no_record_shows_a_token(guarded: Server, records: Records) -> None:
    await guarded.call("unary_unary", b"wish", metadata=AUTHORIZED)
    await records.wait_for(1)
    assert not [record for record in records.kept if TOKEN in str(record.__dict__)]


async def test_health_needs_no_token_but_reflection_does(guarded: Server) -> None:
    health = guarded.channel.unary_unary("/grpc.health.v1.Health/unary_unary")
    assert await health(b"wish") == b"wish"
    reflection = guarded.channel.unary_unary("/grpc.reflection.v1alpha.ServerReflection/unary_unary")
    with pytest.raises(grpc.aio.AioRpcError):
        await reflection(b"wish")


async def test_without_a_graph_only_status_and_the_standard_services_answer() -> None:
    down = UnavailableError(ErrorReason.NEO4J_UNAVAILABLE, "Neo4j cannot be reached.")
    async with serving(FaultyBinding(down)) as server:
        for kind in KINDS:
            error = await server.error(kind, b"wish")
            assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, "NEO4J_UNAVAILABLE")
        for method in ("/mgit.v1.MaintenanceService/GetStatus", "/grpc.health.v1.Health/unary_unary"):
            assert await server.channel.unary_unary(method)(b"wish") == b"wish"


async def test_a_unary_call_without_a_deadline_gets_one(server: Server) -> None:
    await server.call("unary_unary", b"wish")
    [given] = server.behaviors.deadlines
    assert given is not None
    assert 50 < given <= 60


@pytest.mark.parametrize("kind", ["unary_stream", "stream_unary", "stream_stream"])
async def test_a_stream_without_a_deadline_has_none(server: Server, kind: str) -> None:
    await server.call(kind, b"wish")
    assert set(server.behaviors.deadlines) == {None}


@pytest.mark.parametrize("kind", KINDS)
async def test_the_callers_deadline_is_handed_on(server: Server, kind: str) -> None:
    await server.call(kind, b"wish", timeout=1000)
    given = server.behaviors.deadlines[-1]
    assert given is not None
    assert 900 < given < 1100  # The wire holds times with two or three digits.
    assert deadline.get() is None  # Each call has a context of its own.


@pytest.mark.parametrize("kind", [*KINDS, "written"])
async def test_a_deadline_that_passes_unwinds_the_behavior(server: Server, kind: str) -> None:
    error = await server.error(kind, b"hang", timeout=0.2)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(30):
        await server.behaviors.unwound.wait()


@pytest.mark.parametrize("kind", ["unary_stream", "stream_stream", "written"])
async def test_a_cancelled_stream_unwinds_the_behavior_and_is_logged(
    server: Server, kind: str, records: Records
) -> None:
    shape = "unary_stream" if kind == "written" else kind
    request = iter([b"hang"]) if kind.startswith("stream") else b"hang"
    call = getattr(server.channel, shape)(f"/mgit.v1.TestService/{kind}")(request)
    assert await call.read() == b"first"
    call.cancel()
    async with asyncio.timeout(30):
        await server.behaviors.unwound.wait()
    [fields] = await records.wait_for(1)
    assert fields["code"] == "CANCELLED"


async def test_a_call_that_meets_a_lost_graph_makes_the_watch_look(server: Server) -> None:
    error = await server.error("unary_unary", b"down")
    assert error.code() is grpc.StatusCode.UNAVAILABLE


async def question_error(server: Server, metadata: tuple[tuple[str, str], ...]) -> str:
    """The reason with which the auditors' door refuses; empty if it does not."""
    call = server.channel.unary_stream("/mgit.v1.AuditService/Query")(b"ask", metadata=metadata)
    try:
        answers = [answer async for answer in call]
    except grpc.aio.AioRpcError as error:
        status = rpc_status.from_call(error)
        info = error_details_pb2.ErrorInfo()
        assert any(detail.Unpack(info) for detail in status.details)
        return info.reason
    assert answers == [b"first", b"ask"]
    return ""


@pytest.mark.parametrize(
    ("token", "audit_token", "expected"),
    [
        (None, None, ("", "", "", "")),
        (TOKEN, None, ("TOKEN_MISSING", "", "TOKEN_WRONG", "TOKEN_WRONG")),
        (None, AUDIT_TOKEN, ("TOKEN_MISSING", "TOKEN_WRONG", "", "TOKEN_WRONG")),
        (TOKEN, AUDIT_TOKEN, ("TOKEN_MISSING", "", "", "TOKEN_WRONG")),
    ],
)
async def test_the_auditors_door_opens_to_either_token(
    token: str | None, audit_token: str | None, expected: tuple[str, ...]
) -> None:
    wrong = (("authorization", "Bearer wrong"),)
    async with serving(FaultyBinding(), token, audit_token) as server:
        found = [await question_error(server, metadata) for metadata in ((), AUTHORIZED, AUDITING, wrong)]
    assert tuple(found) == expected


@pytest.mark.parametrize("kind", KINDS)
async def test_the_audit_token_opens_no_other_call(kind: str) -> None:
    async with serving(FaultyBinding(), TOKEN, AUDIT_TOKEN) as server:
        error = await server.error(kind, b"x", metadata=AUDITING)
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "nothing else" in error.details()


async def test_no_record_shows_an_audit_token(records: Records) -> None:
    async with serving(FaultyBinding(), TOKEN, AUDIT_TOKEN) as server:
        assert not await question_error(server, AUDITING)
        await server.error("unary_unary", b"x", metadata=AUDITING)
        await records.wait_for(2)
    assert not [record for record in records.kept if AUDIT_TOKEN in str(record.__dict__)]
