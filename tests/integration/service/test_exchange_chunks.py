"""Encoded chunks out of one service and into another: as they are stored, verified, whatever a sender claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import grpc
import numpy as np
import pytest
from tests.exchange_calls import (
    encoded_messages,
    find_missing,
    pack,
    read_encoded,
    transfer,
    write_encoded,
)
from tests.parameter_calls import (
    ALGORITHM,
    Refusal,
    Service,
    add,
    add_predicted,
    local_model,
    random_array,
    read_chunks,
    refusal,
    serving_here,
)
from tests.uploads import link

from mgit_core.coding.codec import encode_chunk
from mgit_core.coding.encoded import BaseRange, EncodedChunk, Encoding, Predictor
from mgit_core.digest import Digest, digest_of
from mgit_core.tensor import AnyArray
from mgit_proto.v1 import exchange_pb2 as pb
from mgit_proto.v1 import parameters_pb2
from mgit_storage.store import Store, memory_store

BASE = {"body": random_array((700, 600), 1), "head": random_array((4, 600), 2)}


def _tuned(arrays: dict[str, AnyArray], seed: int) -> dict[str, AnyArray]:
    body = arrays["body"] + random_array(arrays["body"].shape, seed) * np.float32(1e-4)
    return {**arrays, "body": body}


@pytest.fixture(scope="module")
def source() -> Iterator[Service]:
    """A base and a chain of two fine-tunes that are stored as differences."""
    with serving_here(memory_store(ALGORITHM)) as running:
        add(running, local_model("base", BASE))
        one = _tuned(BASE, 11)
        add_predicted(running, local_model("one", one, parents=[link("base")]))
        add_predicted(running, local_model("two", _tuned(one, 12), parents=[link("one")]))
        yield running


@pytest.fixture
def store() -> Store:
    return memory_store(ALGORITHM)


@pytest.fixture
def destination(store: Store) -> Iterator[Service]:
    with serving_here(store) as running:
        yield running


def _chunks(source: Service, name: str) -> list[Digest]:
    [luggage] = pack(source, _uid(source, name))
    return [chunk for part in luggage.parts for each in part.parameters for chunk in each.chunk_digests]


def _uid(service: Service, name: str) -> str:
    answers = service.parameters.GetManifest(parameters_pb2.GetManifestRequest(model=name))
    return next(iter(answers)).model.summary.uid


def _refused(service: Service, messages: Iterator[pb.WriteEncodedChunksRequest]) -> Refusal:
    with pytest.raises(grpc.RpcError) as error:
        service.exchange.WriteEncodedChunks(messages)
    return refusal(error.value)


def test_frames_travel_as_they_are_stored(source: Service, destination: Service) -> None:
    base, one = _chunks(source, "base"), _chunks(source, "one")
    fresh = [digest for digest in one if digest not in base]
    frames = read_encoded(source, [*base, *fresh])
    answer = write_encoded(destination, frames)
    assert answer.chunk_count == len(frames)
    assert list(frames) == [*base, *fresh], "in the order asked for"
    for digest, frame in frames.items():
        assert destination.store.chunks.read_encoded(digest).to_bytes() == frame
    assert read_chunks(destination, one) == read_chunks(source, one)
    assert any(EncodedChunk.from_bytes(frames[digest]).bases for digest in fresh), "differences were sent"


def test_what_is_asked_for_alone_needs_no_base(source: Service, destination: Service) -> None:
    two = _chunks(source, "two")
    frames = read_encoded(source, alone=two)
    assert not any(EncodedChunk.from_bytes(frame).bases for frame in frames.values())
    write_encoded(destination, frames)
    assert read_chunks(destination, two) == read_chunks(source, two)


def test_descriptions_tell_sizes_and_bases(source: Service) -> None:
    digests = [*_chunks(source, "base"), *_chunks(source, "two")]
    described = source.exchange.DescribeChunks(pb.DescribeChunksRequest(digests=digests)).chunks
    frames = read_encoded(source, digests)
    for digest, found in zip(digests, described, strict=True):
        frame = EncodedChunk.from_bytes(frames[digest])
        assert (found.stored_bytes, found.raw_bytes) == (len(frames[digest]), frame.raw_size)
        assert list(found.bases) == list(dict.fromkeys(base.digest for base in frame.bases))


def test_chunks_that_are_not_there_are_named(source: Service, destination: Service) -> None:
    one = _chunks(source, "one")
    missing, epoch = find_missing(destination, [*one, *one])
    assert (missing, epoch) == (list(dict.fromkeys(one)), 1)
    assert find_missing(source, one) == ([], 1)
    for ask in (
        lambda: destination.exchange.DescribeChunks(pb.DescribeChunksRequest(digests=one[:1])),
        lambda: read_encoded(destination, one[:1]),
        lambda: read_encoded(destination, alone=one[:1]),
    ):
        with pytest.raises(grpc.RpcError) as error:
            ask()
        assert refusal(error.value).reason == "CHUNK_NOT_FOUND"


@pytest.mark.parametrize("order", ["deepest last", "each behind its base"])
def test_bases_may_come_in_the_same_stream(source: Service, destination: Service, order: str) -> None:
    levels = [_chunks(source, name) for name in ("base", "one", "two")]
    digests = list(dict.fromkeys(chain(*levels)))
    if order == "each behind its base":
        digests = list(dict.fromkeys(chain(*zip(*levels, strict=True))))
    frames = read_encoded(source, digests)
    write_encoded(destination, {digest: frames[digest] for digest in digests})
    assert read_chunks(destination, levels[2]) == read_chunks(source, levels[2])


def test_a_frame_whose_base_is_not_there_is_refused(source: Service, destination: Service) -> None:
    base, one = _chunks(source, "base"), _chunks(source, "one")
    fresh = [digest for digest in one if digest not in base]
    found = _refused(destination, encoded_messages(read_encoded(source, fresh)))
    assert (found.code, found.reason) == (grpc.StatusCode.DATA_LOSS, "CHUNK_CORRUPT")
    assert find_missing(destination, fresh)[0] == fresh


def test_a_lying_frame_is_refused_and_what_is_true_is_kept(source: Service, destination: Service) -> None:
    digests = _chunks(source, "base")
    frames = read_encoded(source, digests)
    lie = digest_of(ALGORITHM, b"something else")
    found = _refused(destination, encoded_messages({digests[0]: frames[digests[0]], lie: frames[digests[1]]}))
    assert (found.reason, found.details["digest"]) == ("CHUNK_CORRUPT", lie.hex())
    assert find_missing(destination, [digests[0], lie])[0] == [lie]


def _bomb() -> EncodedChunk:
    frame = encode_chunk(bytes(1 << 20), 4)
    return replace(frame, raw_size=(1 << 24) - 4)


@pytest.mark.parametrize(
    "frame",
    [
        b"short",
        b"\xff" * 64,
        _bomb().to_bytes(),
        replace(_bomb(), raw_size=4).to_bytes(),
        replace(encode_chunk(bytes(4096), 4), raw_size=0, payload=b"").to_bytes(),
        replace(encode_chunk(bytes(4096), 4), encoding=99).to_bytes(),
        replace(encode_chunk(bytes(4096), 4), predictor=99, predictor_version=1).to_bytes(),
    ],
    ids=["short", "noise", "a bomb", "more than said", "nothing", "unknown encoding", "unknown predictor"],
)
def test_hostile_frames_are_refused(destination: Service, frame: bytes) -> None:
    digest = digest_of(ALGORITHM, bytes(4096))
    found = _refused(destination, encoded_messages({digest: frame}))
    assert found.code == grpc.StatusCode.DATA_LOSS
    assert found.details["digest"] == digest.hex()
    assert find_missing(destination, [digest])[0] == [digest]


def test_a_frame_that_names_itself_is_refused(destination: Service) -> None:
    content = bytes(range(256)) * 16
    digest = digest_of(ALGORITHM, content)
    frame = EncodedChunk(
        encoding=Encoding.EXACT,
        width=1,
        raw_size=len(content),
        payload=b"",
        predictor=Predictor.BASE,
        predictor_version=1,
        bases=(BaseRange(digest, 0, len(content)),),
    )
    assert _refused(destination, encoded_messages({digest: frame.to_bytes()})).reason == "CHUNK_CORRUPT"
    write_encoded(destination, {digest: encode_chunk(content, 1).to_bytes()})
    found = _refused(destination, encoded_messages({digest: frame.to_bytes()}))
    assert find_missing(destination, [digest])[0] == [], f"the copy that was there stays: {found.message}"


def test_a_bloated_frame_is_encoded_again(destination: Service) -> None:
    content = random_array((100,), 3).tobytes()
    digest = digest_of(ALGORITHM, content)
    frame = EncodedChunk(encoding=Encoding.RAW, width=4, raw_size=len(content), payload=content)
    parameters = bytes(100_000)
    bloated = replace(
        frame,
        encoding=Encoding.RAW,
        predictor=Predictor.BASE,
        predictor_version=1,
        parameters=parameters,
    )
    messages = encoded_messages({digest: bloated.to_bytes()})
    try:
        destination.exchange.WriteEncodedChunks(messages)
    except grpc.RpcError as error:
        assert refusal(error).reason == "CHUNK_CORRUPT"  # noqa: PT017 - either answer keeps the store small
    else:
        assert len(destination.store.chunks.read_encoded(digest).to_bytes()) < 2 * len(content)


def test_a_stream_that_is_cut_keeps_what_was_verified(source: Service, destination: Service) -> None:
    digests = _chunks(source, "base")
    frames = read_encoded(source, digests)
    whole, cut = (
        dict(list(frames.items())[:-1]),
        list(encoded_messages(dict(list(frames.items())[-1:]), 1_000)),
    )
    found = _refused(destination, chain(encoded_messages(whole), cut[:-1]))
    assert found.reason == "MESSAGE_OUT_OF_ORDER"
    assert find_missing(destination, digests)[0] == digests[-1:]


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([pb.WriteEncodedChunksRequest(data=b"x")], "MESSAGE_OUT_OF_ORDER"),
        ([pb.WriteEncodedChunksRequest(digest=b"d" * 32, size_bytes=4, data=b"xxxxx")], "SHAPE_MISMATCH"),
        (
            [pb.WriteEncodedChunksRequest(digest=b"d" * 32, size_bytes=4, data=b"x")] * 2,
            "MESSAGE_OUT_OF_ORDER",
        ),
        ([pb.WriteEncodedChunksRequest(digest=b"d" * 31, size_bytes=4, data=b"xxxx")], "SHAPE_MISMATCH"),
        ([pb.WriteEncodedChunksRequest(digest=b"d" * 32, size_bytes=(2 << 20) + 1)], "SHAPE_MISMATCH"),
        (
            [pb.WriteEncodedChunksRequest(digest=b"d" * 32, size_bytes=2 << 20, data=bytes((1 << 20) + 1))],
            "LIMIT_EXCEEDED",
        ),
    ],
)
def test_pieces_out_of_order_are_refused(
    destination: Service, messages: list[pb.WriteEncodedChunksRequest], reason: str
) -> None:
    assert _refused(destination, iter(messages)).reason == reason


def test_limits_and_digests_are_checked(destination: Service) -> None:
    many = [b"d" * 32] * 10_001
    asks = (
        lambda digests: destination.exchange.DescribeChunks(pb.DescribeChunksRequest(digests=digests)),
        lambda digests: read_encoded(destination, digests),
        lambda digests: read_encoded(destination, digests[:1], digests),
        lambda digests: find_missing(destination, digests),
    )
    for ask in asks:
        for digests, reason in ((many, "LIMIT_EXCEEDED"), ([b"short"], "INVALID_ARGUMENT")):
            with pytest.raises(grpc.RpcError) as error:
                ask(digests)
            assert refusal(error.value).reason == reason


def test_a_fine_tune_costs_its_difference_where_the_base_is(source: Service, destination: Service) -> None:
    transfer(source, destination, _uid(source, "base"))
    travelled = transfer(source, destination, _uid(source, "one"))
    fresh = [digest for digest in _chunks(source, "one") if digest not in _chunks(source, "base")]
    assert travelled == sum(source.store.chunks.stored_sizes(fresh))
    assert read_chunks(destination, _chunks(source, "one")) == read_chunks(source, _chunks(source, "one"))
