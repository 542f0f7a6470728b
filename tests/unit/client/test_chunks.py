from __future__ import annotations

import os

import pytest
from tests.running_service import wait_until
from tests.unit.client.faulty_service import FaultyService

import mgit.chunks
from mgit.chunks import BufferSink, ChunkPlan, WireChunkReader, fetch_chunks
from mgit.connection import Connection
from mgit.progress import ProgressCounter
from mgit_core.errors import CorruptError, ErrorReason, NotFoundError


def plan_all(service: FaultyService, contents: list[bytes]) -> tuple[ChunkPlan, bytearray]:
    """Plan to bring the chunks one after the other into a buffer."""
    buffer = bytearray(sum(map(len, contents)))
    plan, start = ChunkPlan(), 0
    for content in contents:
        plan.add(service.put(content), len(content), BufferSink(memoryview(buffer)), start)
        start += len(content)
    return plan, buffer


def test_chunks_come_to_their_places(connection: Connection, faulty_service: FaultyService) -> None:
    contents = [os.urandom(size) for size in (1 << 20, 3, 700_000)]
    plan, buffer = plan_all(faulty_service, contents)
    fetch_chunks(connection, plan)
    assert bytes(buffer) == b"".join(contents)


def test_a_chunk_that_is_wanted_twice_is_fetched_once(
    connection: Connection, faulty_service: FaultyService
) -> None:
    plan, buffer = plan_all(faulty_service, [b"same", b"other", b"same"])
    fetch_chunks(connection, plan)
    assert bytes(buffer) == b"sameothersame"
    assert [len(asked) for asked in faulty_service.asked] == [2]


def test_nothing_is_asked_for_an_empty_plan(connection: Connection, faulty_service: FaultyService) -> None:
    fetch_chunks(connection, ChunkPlan())
    assert faulty_service.asked == []


def test_many_requests_run_side_by_side(
    connection: Connection, faulty_service: FaultyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mgit.chunks, "_REQUEST_BYTES", 100)
    contents = [os.urandom(60) for _ in range(20)]
    plan, buffer = plan_all(faulty_service, contents)
    fetch_chunks(connection, plan)
    assert bytes(buffer) == b"".join(contents)
    assert len(faulty_service.asked) == 10


def test_progress_ends_with_all_bytes(connection: Connection, faulty_service: FaultyService) -> None:
    plan, _ = plan_all(faulty_service, [b"abc", b"de"])
    told: list[int] = []
    counter = ProgressCounter(lambda done, _: told.append(done))
    counter.begin(plan.size_bytes)
    fetch_chunks(connection, plan, counter)
    assert told == [0, 3, 5]


def test_a_cut_stream_is_continued_where_it_ended(
    connection: Connection, faulty_service: FaultyService
) -> None:
    faulty_service.read_cuts = [2, 1]
    contents = [os.urandom(50) for _ in range(5)]
    plan, buffer = plan_all(faulty_service, contents)
    fetch_chunks(connection, plan)
    assert bytes(buffer) == b"".join(contents)
    assert [len(asked) for asked in faulty_service.asked] == [5, 3, 2]


def test_a_chunk_with_other_bytes_is_corrupt(connection: Connection, faulty_service: FaultyService) -> None:
    plan, _ = plan_all(faulty_service, [b"right", b"good"])
    digest = next(iter(plan.sizes))
    faulty_service.tampered[digest] = b"wrong"
    with pytest.raises(CorruptError) as caught:
        fetch_chunks(connection, plan)
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT
    assert caught.value.details["digest"] == digest.hex()


@pytest.mark.parametrize("content", [b"", b"shor", b"longer"])
def test_a_chunk_of_another_size_is_corrupt(
    connection: Connection, faulty_service: FaultyService, content: bytes
) -> None:
    plan, _ = plan_all(faulty_service, [b"right"])
    faulty_service.tampered[next(iter(plan.sizes))] = content
    with pytest.raises(CorruptError):
        fetch_chunks(connection, plan)


def test_a_chunk_that_the_service_lacks_is_not_found(
    connection: Connection, faulty_service: FaultyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mgit.chunks, "_REQUEST_BYTES", 1)
    plan, _ = plan_all(faulty_service, [b"there", b"gone", b"also there"])
    del faulty_service.chunks[list(plan.sizes)[1]]
    with pytest.raises(NotFoundError) as caught:
        fetch_chunks(connection, plan)
    assert caught.value.reason is ErrorReason.CHUNK_NOT_FOUND


def test_a_reader_verifies_and_keeps_chunks(connection: Connection, faulty_service: FaultyService) -> None:
    digest = faulty_service.put(os.urandom(800_000))
    reader = WireChunkReader(connection)
    assert reader.read(digest) == reader.read(digest) == faulty_service.chunks[digest]
    assert len(faulty_service.asked) == 1


def test_a_reader_refuses_other_bytes(connection: Connection, faulty_service: FaultyService) -> None:
    digest = faulty_service.put(b"right")
    faulty_service.tampered[digest] = b"wrong"
    with pytest.raises(CorruptError):
        WireChunkReader(connection).read(digest)


def test_a_reader_asks_for_a_chunk_again_after_a_cut(
    connection: Connection, faulty_service: FaultyService
) -> None:
    faulty_service.read_cuts = [0]
    digest = faulty_service.put(b"right")
    assert WireChunkReader(connection).read(digest) == b"right"


def test_a_plan_of_kept_chunks_asks_for_the_others_only(
    connection: Connection, faulty_service: FaultyService
) -> None:
    reader = WireChunkReader(connection)
    plan, buffer = plan_all(faulty_service, [b"kept", b"new"])
    kept, new = plan.sizes
    reader.read(kept)
    reader.fetch(plan)
    assert bytes(buffer) == b"keptnew"
    assert faulty_service.asked == [[kept], [new]]


def test_a_reader_lets_old_chunks_go(
    connection: Connection, faulty_service: FaultyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mgit.chunks, "_CACHE_BYTES", 10)
    reader = WireChunkReader(connection)
    first, second = faulty_service.put(b"1" * 8), faulty_service.put(b"2" * 8)
    for digest in (first, second, second, first):
        reader.read(digest)
    assert faulty_service.asked == [[first], [second], [first]]


def test_an_error_ends_requests_that_still_wait(
    connection: Connection, faulty_service: FaultyService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mgit.chunks, "_REQUEST_BYTES", 1)
    plan, _ = plan_all(faulty_service, [b"waits for ever", b"wrong"])
    waiting, wrong = plan.sizes
    faulty_service.hanging.add(waiting)
    faulty_service.tampered[wrong] = b"other"
    with pytest.raises(CorruptError):
        fetch_chunks(connection, plan)
    wait_until(lambda: faulty_service.ended_by_client, "the waiting call ends")
    assert faulty_service.ended_by_client == [True]
