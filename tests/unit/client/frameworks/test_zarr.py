from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr

from mgit.frameworks.detection import open_source
from mgit.frameworks.source import Source
from mgit_core.chunking import chunk_ranges
from mgit_core.errors import ErrorReason, InvalidArgumentError


def content_of(source: Source, position: int = 0) -> bytes:
    parameter = source.parameters[position]
    ranges = chunk_ranges(parameter.spec)
    return b"".join(bytes(parameter.content.read(start, stop)) for start, stop in ranges)


@pytest.mark.parametrize("version", [2, 3])
def test_groups_of_both_versions_are_read(tmp_path: Path, version: int) -> None:
    group = zarr.open_group(tmp_path / "g", mode="w", zarr_format=version)
    array = np.arange(900 * 700, dtype=np.float32).reshape(900, 700)
    group.create_array("b", shape=array.shape, dtype=array.dtype, chunks=(100, 130))[...] = array
    group.create_array("a", shape=(), dtype="int64")[...] = 7
    group.create_group("nested").create_array("w", shape=(0, 3), dtype="uint8")
    source = open_source(tmp_path / "g")
    assert [parameter.name for parameter in source.parameters] == ["a", "b", "nested/w"]
    assert content_of(source, 0) == np.int64(7).tobytes()
    assert content_of(source, 1) == array.tobytes()
    assert source.source_format == "zarr"


def test_big_endian_arrays_become_little_endian(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "g", mode="w", zarr_format=2)
    group.create_array("w", shape=(4,), dtype=">f4")[...] = np.arange(4)
    assert content_of(open_source(tmp_path / "g")) == np.arange(4, dtype="<f4").tobytes()


def test_fill_values_are_read_where_nothing_was_written(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "g", mode="w")
    group.create_array("w", shape=(4,), dtype="float32", fill_value=1.5)
    assert content_of(open_source(tmp_path / "g")) == np.full(4, 1.5, np.float32).tobytes()


def test_a_true_name_and_place_are_taken_from_the_attributes(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "g", mode="w")
    for position, (key, name) in enumerate({"z": "layer/0", "a": "c"}.items()):
        array = group.create_array(key, shape=(1,), dtype="int8")
        array.attrs.update({"mgit_name": name, "mgit_position": position})
    assert [parameter.name for parameter in open_source(tmp_path / "g").parameters] == ["layer/0", "c"]


def test_an_array_alone_is_no_group(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "a", shape=(1,), dtype="int8")
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(tmp_path / "a")
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, '{"zarr_format": 9, "node_type": "group"}'])
def test_broken_metadata_is_unreadable(tmp_path: Path, text: str) -> None:
    (tmp_path / "zarr.json").write_text(text)
    with pytest.raises(InvalidArgumentError) as caught:
        open_source(tmp_path)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT


def test_a_group_without_arrays_is_unreadable(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "g", mode="w")
    with pytest.raises(InvalidArgumentError, match="no array"):
        open_source(tmp_path / "g")


def test_a_type_that_cannot_be_stored_is_refused_with_its_name(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "g", mode="w")
    group.create_array("when", shape=(1,), dtype="datetime64[s]")
    with pytest.raises(InvalidArgumentError, match="when") as caught:
        open_source(tmp_path / "g")
    assert caught.value.reason is ErrorReason.UNKNOWN_DTYPE


def test_a_chunk_that_cannot_be_decoded_is_unreadable(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "g", mode="w")
    group.create_array("w", shape=(400,), dtype="float32")[...] = 1
    (tmp_path / "g" / "w" / "c" / "0").write_bytes(b"broken")
    source = open_source(tmp_path / "g")
    with pytest.raises(InvalidArgumentError) as caught:
        content_of(source)
    assert caught.value.reason is ErrorReason.UNREADABLE_INPUT
