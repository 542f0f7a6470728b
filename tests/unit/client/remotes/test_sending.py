"""Chunks come over whatever cuts the way, each once, and nothing that is wrong is passed on or kept."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
import pytest
from tests.unit.client.faulty_service import ALGORITHM
from tests.unit.client.remotes.exchange_service import ChunkShelf

import mgit.connection
import mgit.remotes.sending
from mgit.connection import Connection
from mgit.endpoint import Endpoint
from mgit.remotes.sending import ChunkCarrier, find_missing
from mgit.remotes.sides import Side, check_sides
from mgit_core.coding.codec import Candidate, encode_planned
from mgit_core.coding.encoded import BaseRange, EncodedChunk, Encoding, Predictor
from mgit_core.coding.numbers import NumberFormat
from mgit_core.coding.plans import ChunkPlan, Prediction
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import (
    CorruptError,
    ErrorReason,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    UnavailableError,
)
from mgit_proto.v1 import exchange_pb2_grpc, parameters_pb2_grpc

COUNT = 30_000


@contextmanager
def serving(shelf: ChunkShelf) -> Iterator[Side]:
    server = grpc.server(ThreadPoolExecutor(4))
    exchange_pb2_grpc.add_ExchangeServiceServicer_to_server(shelf, server)
    parameters_pb2_grpc.add_ParameterServiceServicer_to_server(shelf, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(Endpoint(address=f"127.0.0.1:{port}", timeout_s=20))
    yield Side(connection)
    connection.close()
    server.stop(None).wait()


@pytest.fixture
def here() -> ChunkShelf:
    return ChunkShelf("here")


@pytest.fixture
def there() -> ChunkShelf:
    return ChunkShelf("there")


@pytest.fixture
def carrier(here: ChunkShelf, there: ChunkShelf) -> Iterator[ChunkCarrier]:
    with serving(here) as source, serving(there) as destination:
        yield ChunkCarrier(source, destination)


def numbers(seed: int) -> bytes:
    return np.random.default_rng(seed).standard_normal(COUNT).astype(np.float32).tobytes()


def changed(raw: bytes, seed: int) -> bytes:
    step = np.random.default_rng(seed).standard_normal(COUNT).astype(np.float32)
    return (np.frombuffer(raw, np.float32) + np.float32(1e-6) * step).tobytes()


def difference(raw: bytes, base: bytes) -> EncodedChunk:
    bases = (BaseRange(digest_of(ALGORITHM, base), 0, len(base)),)
    prediction = Prediction(predictor=Predictor.BASE, bases=bases)
    plan = ChunkPlan(numbers=NumberFormat.FLOAT32, predictions=(prediction,))
    encoded = encode_planned(raw, plan, [Candidate(prediction, (base,))])
    assert encoded.bases
    return encoded


def bring(carrier: ChunkCarrier, *digests: Digest) -> list[int]:
    """Bring chunks; gives what was told of the bytes that are left."""
    told: list[int] = []
    missing = carrier.bring(digests, digests, told.append)
    assert missing.digests == frozenset()
    assert missing.epoch == 7
    return told


def test_chunks_arrive_as_they_are_stored(carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf) -> None:
    digests = [here.put(numbers(seed)) for seed in range(3)]
    bring(carrier, *digests)
    assert there.frames == here.frames
    assert (carrier.carried.as_stored, carrier.carried.alone) == (3, 0)
    assert carrier.carried.frame_bytes == sum(map(len, here.frames.values()))


def test_only_what_is_missing_travels(carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf) -> None:
    known, new = here.put(numbers(0)), here.put(numbers(1))
    there.put(numbers(0))
    bring(carrier, known, new)
    assert there.written == [new]


def test_nothing_is_read_where_nothing_is_missing(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    digest = here.put(numbers(0))
    there.put(numbers(0))
    assert bring(carrier, digest) == [0]
    assert here.asked == []


def test_a_difference_travels_as_such_where_its_base_is(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    base = numbers(0)
    there.put(base)
    here.put(base)
    digest = here.put(changed(base, 1), difference(changed(base, 1), base))
    bring(carrier, digest)
    assert there.frames[digest] == here.frames[digest]
    assert there.read(digest) == changed(base, 1)


def test_a_difference_goes_alone_where_its_base_is_not_and_the_base_stays(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    base = numbers(0)
    here.put(base)
    digest = here.put(changed(base, 1), difference(changed(base, 1), base))
    bring(carrier, digest)
    assert list(there.frames) == [digest]
    assert there.read(digest) == changed(base, 1)
    assert (carrier.carried.as_stored, carrier.carried.alone) == (0, 1)


def test_a_base_that_is_wanted_too_goes_first(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    base = numbers(0)
    digest = here.put(changed(base, 1), difference(changed(base, 1), base))
    bring(carrier, digest, here.put(base))
    assert there.written == [digest_of(ALGORITHM, base), digest]


def test_a_cut_answer_of_the_source_is_gone_on_from(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    here.read_cuts = [2, 1]
    digests = [here.put(numbers(seed)) for seed in range(5)]
    bring(carrier, *digests)
    assert there.frames == here.frames
    assert sorted(there.written) == sorted(digests)
    assert [len(asked) for asked, _ in here.asked] == [5, 3, 2]


def test_a_cut_call_of_the_destination_is_gone_on_from(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    there.write_cuts = [2]
    digests = [here.put(numbers(seed)) for seed in range(5)]
    bring(carrier, *digests)
    assert there.frames == here.frames
    assert sorted(there.written) == sorted(digests)


def test_many_small_requests_give_the_same(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mgit.remotes.sending, "_REQUEST_BYTES", 1)
    digests = [here.put(numbers(seed)) for seed in range(4)]
    bring(carrier, *digests)
    assert there.frames == here.frames
    assert len(here.asked) == 4


def test_it_is_told_how_much_is_left(carrier: ChunkCarrier, here: ChunkShelf) -> None:
    size = COUNT * 4
    told = bring(carrier, *[here.put(numbers(seed)) for seed in range(2)])
    assert told == [2 * size, size, 0, 0]


def test_a_lie_about_a_digest_is_told_and_nothing_of_it_is_kept(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    here.tamper = lambda frame: frame[:-1] + bytes([frame[-1] ^ 1])
    digest = here.put(np.arange(4, dtype=np.float32).tobytes())
    with pytest.raises(CorruptError) as caught:
        bring(carrier, digest)
    assert caught.value.details["digest"] == digest.hex()
    assert there.frames == {}


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (lambda frame: frame[:-2], "fewer bytes"),
        (lambda frame: frame + b"xx", "more bytes"),
        (lambda _: b"", "fewer bytes"),
        (lambda frame: b"\xff" + frame[1:], "version"),
    ],
)
def test_an_answer_that_cannot_be_is_told_and_nothing_is_kept(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf, tamper: object, found: str
) -> None:
    here.tamper = tamper  # type: ignore[assignment]
    with pytest.raises(CorruptError, match=found):
        bring(carrier, here.put(numbers(0)))
    assert there.frames == {}


def test_a_difference_that_the_destination_refuses_is_sent_alone_once(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    """Its base may have been collected there, or damaged, or the chain would be too deep."""
    base = numbers(0)
    here.put(base)
    there.put(base)
    digest = here.put(changed(base, 1), difference(changed(base, 1), base))
    there.refused = {digest}
    bring(carrier, digest)
    assert here.asked == [([digest], []), ([], [digest])]
    assert there.read(digest) == changed(base, 1)


def test_a_chunk_that_was_repacked_meanwhile_is_sent_alone(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    base, raw = numbers(0), changed(numbers(0), 1)
    here.put(base)
    digest = here.put(raw)

    def repack() -> None:
        here.put(raw, difference(raw, base))

    here.before_read = repack
    bring(carrier, digest)
    assert list(there.frames) == [digest]
    assert there.read(digest) == raw
    assert here.asked == [([digest], []), ([], [digest])]


def test_a_chunk_that_comes_as_a_difference_though_it_was_to_come_alone_is_refused(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    base, raw = numbers(0), changed(numbers(0), 1)
    here.put(base)
    digest = here.put(raw, difference(raw, base))
    here.tamper = lambda _: here.frames[digest]
    with pytest.raises(CorruptError):
        bring(carrier, digest)
    assert there.frames == {}


def test_a_destination_that_keeps_nothing_is_not_asked_for_ever(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    there.forgets = True
    with pytest.raises(InternalError, match="lacks them still"):
        bring(carrier, here.put(numbers(0)))
    assert len(there.written) == 1


def test_a_source_that_is_gone_is_waited_for_and_then_told(
    here: ChunkShelf, there: ChunkShelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mgit.connection, "_FIRST_PATIENCE_S", 0.2)
    with serving(there) as destination, serving(here) as source:
        carrier = ChunkCarrier(source, destination)
        digest = here.put(numbers(0))
        here.read_cuts = [0] * 1000
        with pytest.raises(UnavailableError):
            bring(carrier, digest)
    assert there.frames == {}
    assert len(here.asked) > 1


def test_what_is_missing_is_asked_in_messages_that_the_wire_takes(
    carrier: ChunkCarrier, there: ChunkShelf
) -> None:
    known = there.put(b"known")
    digests = [number.to_bytes(32, "big") for number in range(25_000)]
    missing = find_missing(carrier.destination, [*digests, known])
    assert missing.digests == frozenset(digests)


def test_bytes_of_messages_are_counted_on_both_sides(carrier: ChunkCarrier, here: ChunkShelf) -> None:
    bring(carrier, here.put(numbers(0)))
    frame_bytes = carrier.carried.frame_bytes
    assert frame_bytes <= carrier.source.received_bytes <= frame_bytes + 1000
    assert frame_bytes <= carrier.destination.sent_bytes <= frame_bytes + 1000
    assert carrier.source.sent_bytes < 1000
    assert carrier.destination.received_bytes < 1000


def test_a_store_does_not_exchange_with_itself(here: ChunkShelf) -> None:
    with (
        serving(here) as one,
        serving(here) as other,
        pytest.raises(InvalidArgumentError, match="the same store") as caught,
    ):
        check_sides(one, other)
    assert caught.value.reason is ErrorReason.INVALID_REMOTE


def test_stores_with_other_digests_do_not_exchange(here: ChunkShelf, there: ChunkShelf) -> None:
    there.algorithm = "sha256"
    with (
        serving(here) as one,
        serving(there) as other,
        pytest.raises(FailedPreconditionError, match=r"by blake3.*by sha256") as caught,
    ):
        check_sides(one, other)
    assert caught.value.reason is ErrorReason.STORES_UNLIKE


@pytest.mark.parametrize("has_parameters", [True, False])
def test_a_service_of_another_version_is_told_apart(
    here: ChunkShelf, there: ChunkShelf, *, has_parameters: bool
) -> None:
    """One without the calls of an exchange, and one that knows nothing of ours at all."""
    server = grpc.server(ThreadPoolExecutor(1))
    if has_parameters:
        parameters_pb2_grpc.add_ParameterServiceServicer_to_server(there, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(Endpoint(address=f"127.0.0.1:{port}"))
    with serving(here) as one, pytest.raises(FailedPreconditionError, match="older of the two") as caught:
        check_sides(one, Side(connection))
    assert caught.value.reason is ErrorReason.REMOTE_VERSION_UNKNOWN
    connection.close()
    server.stop(None).wait()


def test_encodings_that_this_client_does_not_know_are_passed_on(
    carrier: ChunkCarrier, here: ChunkShelf, there: ChunkShelf
) -> None:
    """Only who decodes has to know them."""
    there._keep = lambda digest, content, _: there.frames.update({digest: content})  # type: ignore[method-assign]
    digest = digest_of(ALGORITHM, b"new")
    here.frames[digest] = EncodedChunk(
        encoding=max(Encoding) + 1, width=1, raw_size=3, payload=b"?"
    ).to_bytes()
    bring(carrier, digest)
    assert there.frames == here.frames
