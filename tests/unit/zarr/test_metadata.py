from __future__ import annotations

import json

import numpy as np
import pytest
from tests.zarr_models import build_model

from mgit_core.tensor import DTYPES
from mgit_zarr.metadata import array_document, group_document, to_json


def test_array_document_has_the_fields_of_zarr_v3() -> None:
    manifest, _ = build_model({"x/y": np.zeros((700, 1000), "<f4")})
    assert array_document(manifest.parameters[0], 4) == {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [700, 1000],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [262, 1000]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {"mgit_name": "x/y", "mgit_position": 4},
        "storage_transformers": [],
    }


def test_types_of_one_byte_have_no_byte_order() -> None:
    manifest, _ = build_model({"x": np.zeros(3, "u1")})
    assert array_document(manifest.parameters[0], 0)["codecs"] == [{"name": "bytes"}]


def test_empty_and_scalar_tensors_have_chunk_shapes_that_zarr_takes() -> None:
    manifest, _ = build_model({"empty": np.empty((0, 3), "<f4"), "scalar": np.array(1, "<i8")})
    shapes = [
        array_document(parameter, 0)["chunk_grid"]["configuration"]["chunk_shape"]
        for parameter in manifest.parameters
    ]
    assert shapes == [[1, 3], []]


@pytest.mark.parametrize("name", DTYPES)
def test_fill_value_has_the_type_that_the_data_type_wants(name: str) -> None:
    manifest, _ = build_model({"x": np.zeros(1, DTYPES[name])})
    wanted: object = 0.0 if name in {"bfloat16", "float16", "float32", "float64"} else 0
    wanted = False if name == "bool" else wanted
    wanted = [0.0, 0.0] if name.startswith("complex") else wanted
    wanted = "0x00" if name.startswith("float8") else wanted
    fill_value = array_document(manifest.parameters[0], 0)["fill_value"]
    assert (wanted, type(wanted)) == (fill_value, type(fill_value))


def test_group_document_holds_all_arrays_in_order() -> None:
    manifest, _ = build_model({name: np.zeros(2) for name in ("z", "a", "zarr.json")})
    arrays = group_document(manifest)["consolidated_metadata"]["metadata"]
    assert list(arrays) == ["z", "a", "%7Aarr.json"]
    assert [array["attributes"]["mgit_position"] for array in arrays.values()] == [0, 1, 2]


def test_json_keeps_names_in_their_own_letters() -> None:
    manifest, _ = build_model({"größe": np.zeros(2)})
    content = to_json(group_document(manifest))
    assert "größe".encode() in content
    assert json.loads(content) == group_document(manifest)
