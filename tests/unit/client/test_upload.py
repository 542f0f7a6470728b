from __future__ import annotations

import os

import numpy as np
import pytest
from tests.unit.client.faulty_service import ALGORITHM, FaultyService

from mgit.connection import Connection
from mgit.cutting import CutSource, cut_source
from mgit.frameworks.arrays import read_arrays
from mgit.progress import ProgressCounter
from mgit.upload import Upload, Uploaded, upload
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError, UnavailableError
from mgit_proto.v1 import parameters_pb2


@pytest.fixture
def cut() -> CutSource:
    arrays = {f"w{i}": np.frombuffer(os.urandom(700_000), np.float32) for i in range(4)}
    return cut_source(read_arrays(arrays), ALGORITHM)


def send(connection: Connection, cut: CutSource, counter: ProgressCounter | None = None) -> Uploaded:
    job = Upload(header=parameters_pb2.ModelHeader(name="m"), cut=cut, request_id="id-1")
    return upload(connection, job, counter or ProgressCounter(None))


def test_only_what_is_missing_is_sent(
    connection: Connection, faulty_service: FaultyService, cut: CutSource
) -> None:
    place = next(iter(cut.locations.values()))
    known = faulty_service.put(bytes(place.content.read(place.start, place.stop)))
    uploaded = send(connection, cut)
    assert faulty_service.uploaded == [digest for digest in cut.locations if digest != known]
    assert uploaded.sent_bytes == 3 * 700_000
    assert uploaded.same_as == ("other@1",)


def test_nothing_is_sent_that_is_known(
    connection: Connection, faulty_service: FaultyService, cut: CutSource
) -> None:
    send(connection, cut)
    faulty_service.uploaded.clear()
    assert send(connection, cut).sent_bytes == 0
    assert faulty_service.uploaded == []


def test_the_service_is_told_where_the_missing_chunks_belong(
    connection: Connection, faulty_service: FaultyService, cut: CutSource
) -> None:
    first = cut.manifest.parameters[0]
    place = cut.locations[first.chunks[0]]
    faulty_service.put(bytes(place.content.read(place.start, place.stop)))
    send(connection, cut)
    header, part = faulty_service.outlines
    assert header.header == parameters_pb2.ModelHeader(name="m")
    assert [entry.name for entry in part.part.parameters] == ["w1", "w2", "w3"]
    assert [list(entry.chunk_digests) for entry in part.part.parameters] == [
        list(parameter.chunks) for parameter in cut.manifest.parameters[1:]
    ]


def test_hints_of_what_is_sent_are_sent_and_told_where_unused(
    connection: Connection, faulty_service: FaultyService, cut: CutSource
) -> None:
    place = cut.locations[cut.manifest.parameters[0].chunks[0]]
    faulty_service.put(bytes(place.content.read(place.start, place.stop)))
    faulty_service.unused_hints = ["w2"]
    lattices = tuple(
        parameters_pb2.LatticeHint(parameter=name, base="base", step=0.5) for name in ("w0", "w1", "w2")
    )
    job = Upload(header=parameters_pb2.ModelHeader(name="m"), cut=cut, request_id="id", lattices=lattices)
    assert upload(connection, job, ProgressCounter(None)).unused_hints == ("w2",)
    assert list(faulty_service.outlines[-1].lattices) == list(lattices[1:])


def test_many_hints_take_several_messages(
    connection: Connection, faulty_service: FaultyService, cut: CutSource
) -> None:
    hint = parameters_pb2.LatticeHint(parameter="w0", base="b" * 200, step=0.5)
    job = Upload(
        header=parameters_pb2.ModelHeader(name="m"), cut=cut, request_id="id", lattices=(hint,) * 500
    )
    upload(connection, job, ProgressCounter(None))
    assert [len(message.lattices) for message in faulty_service.outlines] == [0, 0, 200, 200, 100]


def test_progress_ends_with_all_bytes(connection: Connection, cut: CutSource) -> None:
    told: list[tuple[int, int]] = []
    send(connection, cut, ProgressCounter(lambda done, total: told.append((done, total))))
    assert told[-1] == (cut.size_bytes, cut.size_bytes)
    assert told == sorted(told)


def test_a_cut_stream_goes_on_with_what_is_still_missing(
    connection: Connection, faulty_service: FaultyService, cut: CutSource
) -> None:
    faulty_service.upload_cuts = [2, 1]
    send(connection, cut)
    assert sorted(faulty_service.uploaded) == sorted(cut.locations)
    assert faulty_service.commits == ["id-1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "reason", ["UPLOAD_STALE", "TRANSACTION_CONFLICT", "NEO4J_UNAVAILABLE", "CHUNKS_MISSING"]
)
def test_a_commit_that_may_be_repeated_is(
    connection: Connection, faulty_service: FaultyService, cut: CutSource, reason: str
) -> None:
    # gRPC itself repeats an unavailable call a few times; the fifth answer comes to a new draft.
    faulty_service.commit_reasons = [reason] * 5
    send(connection, cut)
    assert faulty_service.commits == ["id-1"]


def test_what_the_source_cannot_read_ends_the_upload_with_its_own_error(
    connection: Connection, faulty_service: FaultyService, cut: CutSource
) -> None:
    class Broken:
        def read(self, start: int, stop: int) -> bytes:  # noqa: ARG002 - a Content
            raise InvalidArgumentError(ErrorReason.UNREADABLE_INPUT, "the file changed")

    digest, place = list(cut.locations.items())[-1]
    cut.locations[digest] = type(place)(Broken(), place.start, place.stop, place.number_bytes)
    with pytest.raises(InvalidArgumentError, match="the file changed"):
        send(connection, cut)
    assert faulty_service.commits == []


def test_a_chunk_that_the_model_does_not_have_is_never_sent(connection: Connection, cut: CutSource) -> None:
    digest = next(iter(cut.locations))
    del cut.locations[digest]
    with pytest.raises(CorruptError) as caught:
        send(connection, cut)
    assert caught.value.details["digest"] == digest.hex()


def test_after_a_close_nothing_is_tried_again(connection: Connection, cut: CutSource) -> None:
    send(connection, cut)
    connection.close()
    with pytest.raises(UnavailableError, match="closed"):
        send(connection, cut)
