from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from mgit.frameworks.detection import open_source
from mgit.frameworks.safetensors import read_safetensors, read_sharded
from mgit_core.errors import ErrorReason, InvalidArgumentError, MGitError, NotFoundError
from mgit_core.files import FileKind


def write_file(path: Path, header: object, body: bytes = b"", *, length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def entry(dtype: str, shape: list[int], start: int, stop: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


def write_shards(folder: Path, weight_map: dict[str, str] | None = None) -> Path:
    safetensors.numpy.save_file({"a": np.arange(4, dtype=np.float32)}, folder / "m-1.safetensors")
    safetensors.numpy.save_file({"b": np.arange(6, dtype=np.int64)}, folder / "m-2.safetensors")
    index = folder / "m.safetensors.index.json"
    names = {"a": "m-1.safetensors", "b": "m-2.safetensors"} if weight_map is None else weight_map
    index.write_text(json.dumps({"metadata": {"total_size": 64}, "weight_map": names}))
    return index


def test_tensors_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    header = {"late": entry("U8", [2], 4, 6), "early": entry("F32", [1], 0, 4)}
    source = read_safetensors(write_file(tmp_path / "m.safetensors", header, bytes(range(6))))
    assert [parameter.name for parameter in source.parameters] == ["early", "late"]
    assert bytes(source.parameters[1].content.read(0, 2)) == b"\x04\x05"


def test_of_a_file_only_the_header_is_kept(tmp_path: Path) -> None:
    path = write_file(tmp_path / "m.safetensors", {"a": entry("U8", [3], 0, 3)}, b"abc")
    [file] = read_safetensors(path).files
    assert (file.path, file.kind, file.size_bytes) == (
        "m.safetensors",
        FileKind.SAFETENSORS,
        path.stat().st_size,
    )
    assert bytes(file.content.read(0, file.stored_bytes)) == path.read_bytes()[:-3]


@pytest.mark.parametrize(
    ("header", "body", "reason"),
    [
        ({"a": entry("F32", [2], 0, 8)}, b"\0" * 7, ErrorReason.UNREADABLE_INPUT),
        ({"a": entry("F32", [2], 0, 8)}, b"\0" * 9, ErrorReason.UNREADABLE_INPUT),
        ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}, b"\0" * 6, ErrorReason.UNREADABLE_INPUT),
        ({"a": entry("U8", [2], 0, 2), "b": entry("U8", [2], 4, 6)}, b"\0" * 6, ErrorReason.UNREADABLE_INPUT),
        ({"a": entry("F32", [3], 0, 8)}, b"\0" * 8, ErrorReason.SHAPE_MISMATCH),
        ({"a": entry("F32", [2**40, 2**40], 0, 8)}, b"\0" * 8, ErrorReason.SHAPE_MISMATCH),
        ({"a": entry("F7", [2], 0, 8)}, b"\0" * 8, ErrorReason.UNKNOWN_DTYPE),
        ({"a": entry("F32", [-2], 0, 8)}, b"\0" * 8, ErrorReason.UNREADABLE_INPUT),
        ({"a": entry("U8", [], 5, 4)}, b"\0", ErrorReason.SHAPE_MISMATCH),
        ({"a": 3}, b"", ErrorReason.UNREADABLE_INPUT),
        ([1, 2], b"", ErrorReason.UNREADABLE_INPUT),
        (b'{"a": ', b"", ErrorReason.UNREADABLE_INPUT),
        (b"[" * 100_000, b"", ErrorReason.UNREADABLE_INPUT),
        (b"\xff\xfe", b"", ErrorReason.UNREADABLE_INPUT),
        ({"a\nb": entry("U8", [1], 0, 1)}, b"\0", ErrorReason.INVALID_NAME),
        ({"n" * 10_000: entry("U8", [1], 0, 1)}, b"\0", ErrorReason.INVALID_NAME),
        ({"": entry("U8", [1], 0, 1)}, b"\0", ErrorReason.INVALID_NAME),
    ],
)
def test_a_lying_header_is_refused_with_the_files_name(
    tmp_path: Path, header: object, body: bytes, reason: ErrorReason
) -> None:
    path = write_file(tmp_path / "bad.safetensors", header, body)
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(path)
    assert caught.value.reason is reason
    assert "bad.safetensors" in caught.value.message
    assert len(caught.value.message) < 1000


def test_a_name_that_is_twice_in_a_header_is_refused(tmp_path: Path) -> None:
    one = json.dumps(entry("U8", [1], 0, 1))
    path = write_file(tmp_path / "m.safetensors", f'{{"a": {one}, "a": {one}}}'.encode(), b"\0")
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(path)
    assert caught.value.reason is ErrorReason.DUPLICATE_PARAMETER


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 100_000_001, 50])
def test_a_huge_header_length_is_refused_before_anything_is_read(tmp_path: Path, length: int) -> None:
    path = write_file(tmp_path / "m.safetensors", b"{}", length=length)
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(path)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


@pytest.mark.parametrize("size", [0, 1, 7])
def test_a_file_too_short_for_a_length_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"\0" * size)
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(path)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        open_source(tmp_path / "nothing.safetensors")
    assert caught.value.reason is ErrorReason.PATH_NOT_FOUND


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write_file(tmp_path / "m.safetensors", {"a": entry("U8", [3], 0, 3)}, b"abc")
    source = read_safetensors(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvalidArgumentError) as caught:
        source.parameters[0].content.read(0, 3)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT
    assert "changed" in caught.value.message


def test_shards_are_read_by_their_index(tmp_path: Path) -> None:
    source = read_sharded(write_shards(tmp_path))
    assert [parameter.name for parameter in source.parameters] == ["a", "b"]
    assert [file.path for file in source.files] == [
        "m-1.safetensors",
        "m-2.safetensors",
        "m.safetensors.index.json",
    ]
    assert source.source_format == "safetensors"


@pytest.mark.parametrize(
    ("weight_map", "word"),
    [
        ({"a": "m-1.safetensors", "b": "m-3.safetensors"}, "missing"),
        ({"a": "../m-1.safetensors"}, "does not lie beside it"),
        ({"a": "/etc/passwd"}, "does not lie beside it"),
        ({"a": ".."}, "does not lie beside it"),
        ({"a": "m-2.safetensors"}, "which it does not"),
        ({}, "empty"),
    ],
)
def test_an_index_that_lies_is_refused(tmp_path: Path, weight_map: dict[str, str], word: str) -> None:
    with pytest.raises(InvalidArgumentError, match=word) as caught:
        read_sharded(write_shards(tmp_path, weight_map))
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


@pytest.mark.parametrize("text", ["", "[]", '{"weight_map": 3}', "{}", "[" * 100_000])
def test_an_index_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    index = write_shards(tmp_path)
    index.write_text(text)
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(index)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_a_link_as_a_shard_leads_not_out_of_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    index = write_shards(inside)
    (inside / "m-2.safetensors").rename(tmp_path / "elsewhere.safetensors")
    (inside / "m-2.safetensors").symlink_to(tmp_path / "elsewhere.safetensors")
    with pytest.raises(InvalidArgumentError, match="leads out") as caught:
        open_source(index)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_names_that_two_shards_share_are_refused(tmp_path: Path) -> None:
    index = write_shards(tmp_path)
    safetensors.numpy.save_file(
        {"b": np.zeros(1, np.int8), "a": np.zeros(1, np.int8)}, tmp_path / "m-2.safetensors"
    )
    with pytest.raises(MGitError) as caught:
        open_source(index)
    assert caught.value.reason is ErrorReason.DUPLICATE_PARAMETER
