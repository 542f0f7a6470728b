"""File lists are deterministic, read back, and cannot lie."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.chunking import file_chunk_count
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError
from mgit_core.files import FileEntry, FileKind, FileList, check_file_path

PARTS = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\"), min_size=1, max_size=8
)
PATHS = st.lists(PARTS.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=3).map("/".join)


def digest(text: str) -> Digest:
    return digest_of(DigestAlgorithm.BLAKE3, text.encode())


def opaque(path: str, size: int = 5) -> FileEntry:
    chunks = tuple(digest(f"{path} {at}") for at in range(file_chunk_count(size)))
    return FileEntry(path=path, kind=FileKind.OPAQUE, size_bytes=size, stored_bytes=size, chunks=chunks)


def listing(*entries: FileEntry, ties: tuple[tuple[str, ...], ...] = ()) -> FileList:
    return FileList(algorithm=DigestAlgorithm.BLAKE3, source_format="folder", files=entries, ties=ties)


def file_lists() -> st.SearchStrategy[FileList]:
    def build(sizes: dict[str, int]) -> FileList:
        kept = [path for path in sizes if not any(other.startswith(f"{path}/") for other in sizes)]
        return listing(*(opaque(path, sizes[path]) for path in sorted(kept)), ties=(("a", "b"),))

    return st.dictionaries(PATHS, st.integers(0, 3 << 20), max_size=6).map(build)


SHARD = FileEntry(
    path="model.safetensors",
    kind=FileKind.SAFETENSORS,
    size_bytes=5000,
    stored_bytes=100,
    chunks=(digest("header"),),
    prefix="encoder.",
)
TWO = listing(opaque("config.json"), SHARD, ties=(("a", "b"),))


@given(file_lists())
def test_a_file_list_reads_back(files: FileList) -> None:
    content = files.to_bytes()
    assert FileList.from_bytes(content) == files
    assert content.isascii()
    assert files.digest == digest_of(files.algorithm, content)


def test_of_a_safetensors_file_only_the_header_is_kept() -> None:
    assert (TWO.stored_bytes, TWO.chunk_sizes()) == (105, {TWO.files[0].chunks[0]: 5, digest("header"): 100})


def test_the_last_chunk_of_a_file_is_what_is_left() -> None:
    assert list(listing(opaque("a", (2 << 20) + 7)).chunk_sizes().values()) == [1 << 20, 1 << 20, 7]


@pytest.mark.parametrize("path", ["a", "a/b.json", "ä/ö", "a b", ".gitattributes", "..a", "x" * 255])
def test_what_names_a_file(path: str) -> None:
    assert check_file_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "a\\b",
        "a\0",
        "a\n",
        "a\x7f",
        "\ud800",
        "x" * 256,
        "ä" * 128,
        "/".join("a" * 200 for _ in range(30)),
        "x" * 10_000,
    ],
)
def test_what_names_no_file_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_file_path(path)
    assert caught.value.reason is ErrorReason.INVALID_NAME
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    "paths", [("b", "a"), ("a", "a"), ("a", "a/b"), ("a", "a-b", "a/b"), ("a/b", "a/b/c/d")]
)
def test_paths_are_sorted_and_unique_and_no_folder_is_a_file(paths: tuple[str, ...]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        listing(*map(opaque, paths))
    assert caught.value.reason is ErrorReason.INVALID_NAME


@pytest.mark.parametrize(
    ("size", "stored", "chunks"),
    [
        (5, 4, 1),
        (5, 6, 1),
        (-1, -1, 0),
        (5, 5, 0),
        (5, 5, 2),
        (0, 0, 1),
        (2**62, 2**62, 1),
        (2**63, 2**63, 1),
    ],
)
def test_sizes_that_cannot_be_are_refused_at_once(size: int, stored: int, chunks: int) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        FileEntry(
            path="a",
            kind=FileKind.OPAQUE,
            size_bytes=size,
            stored_bytes=stored,
            chunks=tuple(digest(str(at)) for at in range(chunks)),
        )
    assert caught.value.reason is ErrorReason.SHAPE_MISMATCH


def test_a_digest_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        FileEntry(path="a", kind=FileKind.OPAQUE, size_bytes=5, stored_bytes=5, chunks=(b"short",))


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(TWO.to_bytes())
    change(document)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def file(key: str, value: object) -> bytes:
    return changed(lambda document: document["files"][0].update({key: value}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        TWO.to_bytes()[:-1],
        TWO.to_bytes() + b" ",
        changed(lambda document: document.pop("ties")),
        changed(lambda document: document.update(extra=1)),
        changed(lambda document: document.update(source_format=1)),
        changed(lambda document: document.update(ties=[[1]])),
        changed(lambda document: document.update(ties=5)),
        changed(lambda document: document.update(digest_algorithm="md5")),
        changed(lambda document: document["files"].reverse()),
        file("path", "../up"),
        file("path", 7),
        file("path", None),
        file("kind", "other"),
        file("size_bytes", 5.0),
        file("size_bytes", True),
        file("size_bytes", "5"),
        file("stored_bytes", None),
        file("chunks", []),
        file("chunks", ["zz"]),
        file("chunks", [7]),
        file("prefix", 7),
        file("extra", 7),
    ],
)
def test_a_file_list_that_lies_or_is_not_canonical_is_corrupt(content: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        FileList.from_bytes(content)
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT


@pytest.mark.parametrize("changes", [{"version": 2}, {"format": "other"}])
def test_a_later_version_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(CorruptError) as caught:
        FileList.from_bytes(changed(lambda document: document.update(changes)))
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
