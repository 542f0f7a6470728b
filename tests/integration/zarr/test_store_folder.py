"""Models opened with zarr-python straight from a store's folder, without a service or a graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.zarr_models import ALGORITHM, build_model, delicate_bits, every_dtype, every_shape

from mgit_core.manifest import Manifest
from mgit_core.tensor import AnyArray
from mgit_storage.store import Store, open_store
from mgit_zarr import chunk_files, open_group, zarr_key


def _write(store: Store, arrays: dict[str, AnyArray]) -> str:
    """Stores a model as the service does and gives the key of its manifest."""
    manifest, reader = build_model(arrays)
    with store.chunks.open_writer() as writer:
        for parameter in manifest.parameters:
            for digest in parameter.chunks:
                writer.write(reader.read(digest), width=parameter.spec.number_bytes, digest=digest)
    return store.parameters.write_manifest(manifest)


def _keys_by_digest(manifest: Manifest) -> set[tuple[str, bytes]]:
    return {(file.path, file.digest) for file in chunk_files(manifest)}


@pytest.fixture
def family() -> dict[str, dict[str, AnyArray]]:
    base = every_dtype() | every_shape() | delicate_bits()
    child = dict(base)
    changed = base["edge.rows"].copy()
    changed[-1, -1] += 1
    child["edge.rows"] = changed
    return {"base": base, "child": child}


def test_every_model_is_read_bit_for_bit(tmp_path: Path, family: dict[str, dict[str, AnyArray]]) -> None:
    store = open_store(tmp_path, ALGORITHM)
    keys = {name: _write(store, arrays) for name, arrays in family.items()}
    again = open_store(tmp_path, ALGORITHM)
    for name, arrays in family.items():
        group = open_group(again.parameters.read_manifest(keys[name]), again.chunks)
        for parameter, array in arrays.items():
            found = np.asarray(group[zarr_key(parameter)][...])
            assert (array.dtype, array.shape, array.tobytes()) == (found.dtype, found.shape, found.tobytes())


def test_siblings_share_all_chunk_keys_but_the_changed_one(
    tmp_path: Path, family: dict[str, dict[str, AnyArray]]
) -> None:
    store = open_store(tmp_path, ALGORITHM)
    base, child = (
        _keys_by_digest(store.parameters.read_manifest(_write(store, arrays))) for arrays in family.values()
    )
    assert {path for path, _ in base} == {path for path, _ in child}
    assert {path for path, _ in base - child} == {"edge.rows/c/2/0"}
    assert "edge.rows/c/0/0" in {path for path, _ in base & child}


def test_shared_chunk_is_stored_once(tmp_path: Path, family: dict[str, dict[str, AnyArray]]) -> None:
    store = open_store(tmp_path, ALGORITHM)
    manifests = [store.parameters.read_manifest(_write(store, arrays)) for arrays in family.values()]
    distinct = {digest for manifest in manifests for _, digest in _keys_by_digest(manifest)}
    assert len(distinct) == store.parameters.usage().chunk_count
