"""A plain folder read by three independent readers of Zarr, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorstore
import zarr
from tests.zarr_models import WEIRD_NAMES, build_model, delicate_bits, every_dtype, every_shape
from zarrs import pipeline

from mgit_core.tensor import AnyArray
from mgit_zarr import NAME_ATTRIBUTE, export_group, zarr_key

_MODELS: dict[str, Callable[[], dict[str, AnyArray]]] = {
    "dtype": every_dtype,
    "shape": every_shape,
    "bits": delicate_bits,
    "names": lambda: {name: np.array([place, -place]) for place, name in enumerate(WEIRD_NAMES)},
}
# zarrs 0.2.3 does not know this one.
_UNKNOWN_TO_ZARRS = frozenset({"float8_e4m3fn"})


@pytest.fixture(params=_MODELS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, AnyArray]]:
    arrays = _MODELS[request.param]()
    export_group(tmp_path / "model.zarr", *build_model(arrays))
    return tmp_path / "model.zarr", arrays


@pytest.fixture
def zarrs_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Chunks in each call of zarrs' own engine.

    Without strict mode zarrs quietly leaves to zarr-python what it cannot do; in strict mode it raises. Its
    Python side turns away every type that numpy has no letter for, before it asks the engine, which knows
    bfloat16 and most 8-bit floats; that gate is opened here.
    """
    calls: list[int] = []

    class _Recording:
        def __init__(self, engine: Any) -> None:
            self._engine = engine

        def retrieve_chunks_and_apply_index(self, chunks: list[Any], out: AnyArray) -> None:
            calls.append(len(chunks))
            self._engine.retrieve_chunks_and_apply_index(chunks, out)

    make_engine = pipeline.get_codec_pipeline_impl
    monkeypatch.setattr(
        pipeline,
        "get_codec_pipeline_impl",
        lambda *args, **options: _Recording(make_engine(*args, **options)),
    )
    monkeypatch.setattr(
        pipeline.ZarrsCodecPipeline, "_raise_error_on_unsupported_batch_dtype", lambda *_: None
    )
    with zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline", "codec_pipeline.strict": True}):
        yield calls


def _check(wanted: AnyArray, found: object) -> None:
    array = np.asarray(found)
    assert (wanted.dtype, wanted.shape) == (array.dtype, array.shape)
    assert wanted.tobytes() == array.tobytes()


def test_zarr_python_reads_every_array(model: tuple[Path, dict[str, AnyArray]]) -> None:
    folder, arrays = model
    for use_consolidated in (True, False):
        group = zarr.open_group(folder, mode="r", use_consolidated=use_consolidated)
        found = {array.attrs[NAME_ATTRIBUTE]: array[...] for array in group.array_values()}
        assert set(arrays) == set(found)
        for name, array in arrays.items():
            _check(array, found[name])


def test_tensorstore_reads_every_array(model: tuple[Path, dict[str, AnyArray]]) -> None:
    folder, arrays = model
    for name, array in arrays.items():
        place = {"driver": "file", "path": str(folder / zarr_key(name))}
        opened = tensorstore.open({"driver": "zarr3", "kvstore": place}, read=True).result()
        _check(array, opened.read().result())


def test_zarrs_reads_every_array_itself(
    model: tuple[Path, dict[str, AnyArray]], zarrs_calls: list[int]
) -> None:
    folder, arrays = model
    for name, array in arrays.items():
        if name in _UNKNOWN_TO_ZARRS:
            continue
        before = len(zarrs_calls)
        _check(array, zarr.open_array(folder / zarr_key(name), mode="r")[...])
        assert array.size == 0 or len(zarrs_calls) == before + 1


def test_unknown_type_makes_zarrs_raise_and_not_fall_back(tmp_path: Path, zarrs_calls: list[int]) -> None:
    arrays = {name: array for name, array in every_dtype().items() if name in _UNKNOWN_TO_ZARRS}
    export_group(tmp_path / "x", *build_model(arrays))
    with pytest.raises(pipeline.UnsupportedMetadataError):
        zarr.open_array(tmp_path / "x/float8_e4m3fn", mode="r")
    assert zarrs_calls == []
