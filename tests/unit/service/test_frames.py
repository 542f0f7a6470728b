from __future__ import annotations

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_proto.v1 import parameters_pb2, types_pb2
from mgit_service.servicers import frames
from mgit_service.servicers.messages import MAX_MESSAGE_BYTES, PIECE_BYTES

SIZES = [1, 127, 128, 16_383, 16_384, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 1 << 20]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_a_chunk_is_written_as_the_message_class_writes_it(size_bytes: int) -> None:
    content = bytes(index % 251 for index in range(256)) * (size_bytes // 256 + 1)
    content = content[:size_bytes]
    digest = digest_of(DigestAlgorithm.BLAKE3, content)
    first, *rest = frames.chunk_frames(digest, content)
    expected = parameters_pb2.ReadChunksResponse(
        digest=digest, size_bytes=size_bytes, data=content[:PIECE_BYTES]
    )
    assert first == expected.SerializeToString()
    assert rest == [
        parameters_pb2.ReadChunksResponse(data=content[at : at + PIECE_BYTES]).SerializeToString()
        for at in range(PIECE_BYTES, size_bytes, PIECE_BYTES)
    ]
    assert max(map(len, [first, *rest])) <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize("message", [parameters_pb2.DownloadModelResponse, parameters_pb2.ReadTensorResponse])
@pytest.mark.parametrize("size_bytes", SIZES)
def test_bytes_are_written_as_the_message_class_writes_them(message: type, size_bytes: int) -> None:
    content = b"\x22" * size_bytes
    assert list(frames.data_frames(message, content)) == [
        message(data=content[at : at + PIECE_BYTES]).SerializeToString()
        for at in range(0, size_bytes, PIECE_BYTES)
    ]


def test_no_bytes_are_no_message() -> None:
    assert list(frames.data_frames(parameters_pb2.ReadTensorResponse, b"")) == []


# 0x22 is the tag of the bulk field: where it stands in a digest or a size, it must not be taken for one.
TRICKY = st.binary(max_size=40) | st.binary(max_size=8).map(lambda text: b"\x22" * 16 + text)


@given(
    digest=TRICKY,
    size_bytes=st.integers(-(2**31), 2**31 - 1) | st.sampled_from([0x22, 0x2222, 1 << 20]),
    item_bytes=st.integers(-1, 0x22),
    data=TRICKY,
)
def test_a_piece_is_read_as_the_message_class_reads_it(
    digest: bytes, size_bytes: int, item_bytes: int, data: bytes
) -> None:
    raw = parameters_pb2.UploadChunksRequest(
        digest=digest, size_bytes=size_bytes, item_bytes=item_bytes, data=data
    ).SerializeToString()
    piece = frames.read_chunk_piece(raw)
    assert isinstance(piece, frames.ChunkPiece)
    found = (piece.digest, piece.size_bytes, piece.item_bytes, bytes(piece.data))
    assert found == (digest, size_bytes, item_bytes, data)


@given(st.binary(max_size=64))
def test_any_bytes_are_read_as_the_message_class_reads_them(raw: bytes) -> None:
    try:
        expected = parameters_pb2.UploadChunksRequest.FromString(raw)
    except DecodeError:
        with pytest.raises(DecodeError):
            frames.read_chunk_piece(raw)
        return
    piece = frames.read_chunk_piece(raw)
    if expected.HasField("header") or expected.HasField("part") or expected.lattices:
        assert piece == expected
        return
    assert isinstance(piece, frames.ChunkPiece)
    assert (piece.digest, piece.size_bytes, piece.item_bytes, bytes(piece.data)) == (
        expected.digest,
        expected.size_bytes,
        expected.item_bytes,
        expected.data,
    )


def test_fields_in_another_order_are_read_too() -> None:
    """Other writers may put the bulk field first; the format allows any order."""
    data = parameters_pb2.UploadChunksRequest(data=b"bytes").SerializeToString()
    rest = parameters_pb2.UploadChunksRequest(digest=b"d", size_bytes=5, item_bytes=1).SerializeToString()
    piece = frames.read_chunk_piece(data + rest)
    assert (piece.digest, piece.size_bytes, piece.item_bytes, bytes(piece.data)) == (b"d", 5, 1, b"bytes")


def test_a_large_piece_is_not_copied() -> None:
    raw = parameters_pb2.UploadChunksRequest(
        digest=bytes(32), size_bytes=9, data=b"x" * 9
    ).SerializeToString()
    assert frames.read_chunk_piece(raw).data.obj is raw


@given(st.binary(max_size=200))
def test_bytes_of_an_upload_are_read_as_the_message_class_reads_them(data: bytes) -> None:
    raw = parameters_pb2.UploadModelRequest(data=data).SerializeToString()
    piece = frames.read_upload(raw)
    assert isinstance(piece, frames.ContentPiece)
    assert bytes(piece.data) == data


def test_other_messages_of_an_upload_stay_messages() -> None:
    start = parameters_pb2.ContentStart(parameter=types_pb2.Parameter(name="a"), size_bytes=3)
    message = parameters_pb2.UploadModelRequest(start=start)
    assert frames.read_upload(message.SerializeToString()) == message
    with pytest.raises(DecodeError):
        frames.read_upload(b"\xff\xff")


def test_the_last_of_several_kinds_counts() -> None:
    """As protobuf says for a oneof that occurs twice on the wire."""
    start = parameters_pb2.UploadModelRequest(start=parameters_pb2.ContentStart(size_bytes=3))
    data = parameters_pb2.UploadModelRequest(data=b"x")
    assert isinstance(
        frames.read_upload(start.SerializeToString() + data.SerializeToString()), frames.ContentPiece
    )
    assert frames.read_upload(data.SerializeToString() + start.SerializeToString()) == start


OF_DRAFT = [
    parameters_pb2.UploadChunksRequest(header=parameters_pb2.ModelHeader(name="m")),
    parameters_pb2.UploadChunksRequest(header=parameters_pb2.ModelHeader()),
    parameters_pb2.UploadChunksRequest(part=parameters_pb2.DraftPart()),
    parameters_pb2.UploadChunksRequest(lattices=[parameters_pb2.LatticeHint(parameter='"' * 40, step=0.5)]),
]


@pytest.mark.parametrize("message", OF_DRAFT)
@pytest.mark.parametrize("data", [b"", b"bytes"])
def test_what_is_said_of_a_draft_is_never_taken_for_a_piece(
    message: parameters_pb2.UploadChunksRequest, data: bytes
) -> None:
    """The data may come behind the other fields, whatever their numbers."""
    raw = message.SerializeToString() + parameters_pb2.UploadChunksRequest(data=data).SerializeToString()
    assert frames.read_chunk_piece(raw) == parameters_pb2.UploadChunksRequest.FromString(raw)
