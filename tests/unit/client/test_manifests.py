from __future__ import annotations

from collections.abc import Iterable

import pytest

from mgit.manifests import draft_parts, read_listing
from mgit_core.chunking import file_chunk_sizes
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason
from mgit_core.files import FileEntry, FileKind
from mgit_core.manifest import Parameter, make_parameter
from mgit_core.tensor import TensorSpec
from mgit_proto.v1 import parameters_pb2, types_pb2

BLAKE3 = DigestAlgorithm.BLAKE3


def parameter(name: str, chunks: int) -> Parameter:
    digests = [digest_of(BLAKE3, f"{name}{number}".encode()) for number in range(chunks)]
    return make_parameter(BLAKE3, name, TensorSpec("uint8", (chunks << 20,)), digests)


def file_entry(path: str, chunks: int) -> FileEntry:
    size_bytes = chunks << 20
    digests = tuple(digest_of(BLAKE3, f"{path}{number}".encode()) for number in range(chunks))
    assert len(digests) == len(list(file_chunk_sizes(size_bytes)))
    return FileEntry(
        path=path, kind=FileKind.OPAQUE, size_bytes=size_bytes, stored_bytes=size_bytes, chunks=digests
    )


def answers_of(parts: Iterable[parameters_pb2.DraftPart]) -> list[parameters_pb2.GetManifestResponse]:
    head = parameters_pb2.GetManifestResponse(source_format="folder", ties=[types_pb2.Tie(names=["a", "b"])])
    rest = [
        parameters_pb2.GetManifestResponse(parameters=part.parameters, files=part.files) for part in parts
    ]
    return [head, *rest]


def test_a_model_of_any_size_goes_through_messages_and_comes_out_whole() -> None:
    parameters = [parameter("a", 3), parameter("huge", 25_000), parameter("b", 0), parameter("é" * 500, 1)]
    files = [file_entry("big.bin", 9_000), file_entry("config.json", 1)]
    parts = list(draft_parts(parameters, files, 10_000))
    assert all(part.ByteSize() < 1 << 20 for part in parts)
    assert all(
        sum(len(each.chunk_digests) for each in (*part.parameters, *part.files)) <= 10_000 for part in parts
    )
    listing = read_listing(BLAKE3, answers_of(parts))
    assert listing.manifest.parameters == tuple(parameters)
    assert listing.files.files == tuple(files)
    assert listing.files.ties == (("a", "b"),)
    assert listing.files.source_format == "folder"


@pytest.mark.slow
def test_many_small_parameters_share_messages() -> None:
    parameters = [parameter(f"layer.{number}.weight", 1) for number in range(5000)]
    parts = list(draft_parts(parameters, [], 10_000))
    assert len(parts) <= 2
    assert read_listing(BLAKE3, answers_of(parts)).manifest.parameters == tuple(parameters)


@pytest.mark.parametrize("max_digests", [1, 7])
def test_a_small_limit_of_digests_is_kept(max_digests: int) -> None:
    parameters = [parameter("a", 20), parameter("b", 3)]
    parts = list(draft_parts(parameters, [], max_digests))
    assert all(sum(len(each.chunk_digests) for each in part.parameters) <= max_digests for part in parts)
    assert read_listing(BLAKE3, answers_of(parts)).manifest.parameters == tuple(parameters)


def first(**changes: object) -> types_pb2.Parameter:
    whole = parameter("w", 2)
    message = types_pb2.Parameter(name="w", dtype="uint8", shape=[2 << 20], chunk_digests=whole.chunks)
    for field, value in changes.items():
        if isinstance(value, list):
            del getattr(message, field)[:]
            getattr(message, field).extend(value)
        else:
            setattr(message, field, value)
    return message


@pytest.mark.parametrize(
    "entries",
    [
        [first(dtype="float7")],
        [first(shape=[5 << 20])],
        [first(shape=[-1])],
        [first(name="a\nb")],
        [first(digest=b"x" * 32)],
        [first(chunk_digests=[b"short", b"short"])],
        [first(), first()],
        [first(dtype="")],
        [first(), types_pb2.Parameter(name="other", chunk_digests=[b"x" * 32])],
    ],
)
def test_a_manifest_that_cannot_be_is_corrupt(entries: list[types_pb2.Parameter]) -> None:
    answer = parameters_pb2.GetManifestResponse(source_format="numpy", parameters=entries)
    with pytest.raises(CorruptError) as caught:
        read_listing(BLAKE3, [answer])
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../b", "", "a\x00", "a\\b"])
def test_a_file_that_would_be_written_elsewhere_is_corrupt(path: str) -> None:
    entry = types_pb2.File(path=path, kind=types_pb2.FILE_KIND_OPAQUE)
    with pytest.raises(CorruptError) as caught:
        read_listing(BLAKE3, [parameters_pb2.GetManifestResponse(files=[entry])])
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT


def test_files_that_cannot_stand_side_by_side_are_corrupt() -> None:
    for paths in (("a", "a"), ("a", "a/b"), ("b", "a")):
        entries = [types_pb2.File(path=path, kind=types_pb2.FILE_KIND_OPAQUE) for path in paths]
        with pytest.raises(CorruptError):
            read_listing(BLAKE3, [parameters_pb2.GetManifestResponse(files=entries)])
