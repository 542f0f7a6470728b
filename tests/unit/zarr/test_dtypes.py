from __future__ import annotations

import importlib.metadata
import math

import ml_dtypes
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.dtype import DataTypeValidationError, data_type_registry, parse_dtype

from mgit_core.tensor import DTYPES
from mgit_zarr.dtypes import BFloat16, Float8E4M3FN, Float8E5M2, Float8E8M0FNU, register_dtypes

_SHORT_FLOATS = tuple(name for name in DTYPES if name == "bfloat16" or name.startswith("float8"))


@pytest.mark.parametrize("name", DTYPES)
def test_zarr_knows_every_data_type_of_mgit(name: str) -> None:
    known = parse_dtype(name, zarr_format=3)
    assert DTYPES[name] == known.to_native_dtype()
    assert name == known.to_json(zarr_format=3)
    assert known == parse_dtype(DTYPES[name], zarr_format=3)


def test_every_entry_point_is_the_registered_class() -> None:
    points = importlib.metadata.entry_points(group="zarr.data_type")
    ours = {point.name: point.load() for point in points if point.value.startswith("mgit_zarr")}
    assert set(_SHORT_FLOATS) == set(ours)
    assert ours == {name: data_type_registry.get(name) for name in ours}


def test_registering_again_changes_nothing() -> None:
    before = dict(data_type_registry.contents)
    register_dtypes()
    assert before == data_type_registry.contents


@pytest.mark.parametrize("name", _SHORT_FLOATS)
def test_every_bit_pattern_comes_back_from_its_json_scalar(name: str) -> None:
    known = parse_dtype(name, zarr_format=3)
    dtype = DTYPES[name]
    patterns = np.arange(1 << (8 * dtype.itemsize), dtype=f"<u{dtype.itemsize}").view(dtype)
    for scalar in patterns:
        written = known.to_json_scalar(scalar, zarr_format=3)
        assert scalar.tobytes() == np.asarray(known.from_json_scalar(written, zarr_format=3)).tobytes()


@given(st.floats(width=16))
def test_numbers_are_rounded_as_ml_dtypes_rounds_them(number: float) -> None:
    wanted = np.array(number).astype(ml_dtypes.bfloat16)
    assert wanted.tobytes() == BFloat16().cast_scalar(number).tobytes()


def test_special_values_of_bfloat16_have_their_names() -> None:
    known = BFloat16()
    names = [known.to_json_scalar(value, zarr_format=3) for value in (math.nan, math.inf, -math.inf, -0.5)]
    assert names == ["NaN", "Infinity", "-Infinity", -0.5]
    assert float(known.from_json_scalar("-Infinity", zarr_format=3)) == -math.inf


def test_default_scalar_has_no_bit_set() -> None:
    assert bytes(1) == Float8E8M0FNU().default_scalar().tobytes()
    assert bytes(2) == BFloat16().default_scalar().tobytes()


@pytest.mark.parametrize("value", ["text", None, [1.0], {"a": 1}])
def test_what_is_no_number_is_no_scalar(value: object) -> None:
    with pytest.raises(TypeError):
        Float8E5M2().cast_scalar(value)


@pytest.mark.parametrize("dtype", [np.dtype("<f4"), np.dtype("V2"), np.dtype(ml_dtypes.float8_e5m2)])
def test_another_native_type_is_refused(dtype: np.dtype[np.generic]) -> None:
    for kind in (BFloat16, Float8E4M3FN):
        with pytest.raises(DataTypeValidationError):
            kind.from_native_dtype(dtype)


def test_another_name_is_refused() -> None:
    with pytest.raises(DataTypeValidationError):
        BFloat16.from_json("float32", zarr_format=3)


def test_byte_order_of_bfloat16_is_kept() -> None:
    big = np.dtype(ml_dtypes.bfloat16).newbyteorder(">")
    assert BFloat16(endianness="big") == BFloat16.from_native_dtype(big)
    assert big == BFloat16(endianness="big").to_native_dtype()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("name", _SHORT_FLOATS)
def test_zarr_writes_and_reads_the_type(name: str, zarr_format: int) -> None:
    dtype = DTYPES[name]
    wanted = np.arange(256, dtype="u1").view(dtype)
    array = zarr.create_array(
        {}, shape=wanted.shape, dtype=dtype, chunks=(100,), zarr_format=zarr_format, compressors=None
    )
    array[:] = wanted
    again = zarr.open_array(array.store, mode="r")
    assert wanted.tobytes() == np.asarray(again[:]).tobytes()
    assert dtype == again.dtype
