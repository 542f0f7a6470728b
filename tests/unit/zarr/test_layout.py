from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.zarr_models import build_model, every_shape

from mgit_core.chunking import chunk_keys
from mgit_core.tensor import TensorSpec
from mgit_zarr.layout import chunk_files, chunk_position, metadata_files, pad_chunk, padded_chunk_bytes

_SPECS = st.builds(
    TensorSpec,
    st.sampled_from(["uint8", "float32", "complex128"]),
    st.lists(st.integers(0, 70), max_size=4).map(lambda shape: tuple(length * 9 for length in shape)),
)


@given(_SPECS)
def test_position_of_each_chunk_key_is_its_place(spec: TensorSpec) -> None:
    for place, key in zip(range(200), chunk_keys(spec), strict=False):
        assert place == chunk_position(spec, key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "c",
        "c/3/0",
        "c/0",
        "c/0/1",
        "c/0/0/0",
        "c/00/0",
        "c/-1/0",
        "c/+1/0",
        "c/\uff11/0",
        "d/0/0",
        "c//0",
    ],
)
def test_other_keys_have_no_position(key: str) -> None:
    spec = TensorSpec("float32", (700, 1000))
    assert chunk_position(spec, "c/2/0") == 2
    assert chunk_position(spec, key) is None


def test_scalar_has_one_chunk_and_an_empty_tensor_none() -> None:
    assert chunk_position(TensorSpec("bool", ()), "c") == 0
    assert chunk_position(TensorSpec("bool", (0,)), "c/0") is None


def test_edge_chunk_is_padded_at_its_end() -> None:
    spec = TensorSpec("float32", (700, 1000))
    assert padded_chunk_bytes(spec) == 262 * 4000
    assert pad_chunk(b"\1" * 700_000, spec) == b"\1" * 700_000 + b"\0" * 348_000


def test_chunk_files_cover_every_chunk_with_its_padding() -> None:
    manifest, reader = build_model(every_shape())
    files = list(chunk_files(manifest))
    assert sum(len(parameter.chunks) for parameter in manifest.parameters) == len(files)
    for file in files:
        assert len(reader.chunks[file.digest]) == file.size_bytes
    padded = {file.path: file.padding_bytes for file in files if file.padding_bytes}
    assert {
        "edge.rows/c/2/0": (3 * 262 - 700) * 4000,
        "edge.flat/c/1": (1 << 20) - 1,
        **{f"edge.deep/c/{row}/2/0": 480_000 for row in range(3)},
        **{f"wide.step/c/{at}/{row}/1": 897_152 for at in range(2) for row in range(3)},
    } == padded


def test_metadata_files_name_the_group_first() -> None:
    manifest, _ = build_model({"b": np.zeros(1), "a/c": np.zeros(1)})
    assert [path for path, _ in metadata_files(manifest)] == ["zarr.json", "b/zarr.json", "a%2Fc/zarr.json"]
