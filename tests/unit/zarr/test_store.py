"""The store against zarr-python's own store over the exported folder: they must answer alike."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from tests.zarr_models import (
    WEIRD_NAMES,
    DictReader,
    build_model,
    delicate_bits,
    every_dtype,
    every_shape,
)
from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    SuffixByteRequest,
    SupportsGetSync,
)
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import LocalStore

from mgit_core.errors import ErrorReason, NotFoundError
from mgit_core.manifest import Manifest
from mgit_core.tensor import AnyArray
from mgit_zarr.export import export_group
from mgit_zarr.names import zarr_key
from mgit_zarr.store import ManifestStore, open_group

_PROTOTYPE = default_buffer_prototype()
_RANGES: tuple[ByteRequest | None, ...] = (
    None,
    RangeByteRequest(0, 1),
    RangeByteRequest(3, 50),
    RangeByteRequest(10, 1 << 30),
    OffsetByteRequest(0),
    OffsetByteRequest(7),
    SuffixByteRequest(1),
    SuffixByteRequest(11),
)


def _model() -> dict[str, AnyArray]:
    """Arrays of which no chunk is left out when they are exported, since none is all zeros."""
    return every_shape() | {name: np.arange(1, 9, dtype="<i2") for name in WEIRD_NAMES}


@pytest.fixture
def both(tmp_path: Path) -> tuple[ManifestStore, LocalStore]:
    manifest, reader = build_model(_model())
    export_group(tmp_path / "group", manifest, reader)
    return ManifestStore(manifest, reader), LocalStore(tmp_path / "group", read_only=True)


async def _all(keys: AsyncIterator[str]) -> list[str]:
    return sorted([key async for key in keys])


async def test_lists_the_keys_of_the_plain_folder(both: tuple[ManifestStore, LocalStore]) -> None:
    ours, plain = both
    assert await _all(plain.list()) == await _all(ours.list())


@pytest.mark.parametrize(
    "prefix", ["", "edge.", "edge.deep/", "edge.deep/c/1/", "edge.rows/zarr", "%2E", "none/", "zarr"]
)
async def test_lists_the_keys_with_a_prefix(both: tuple[ManifestStore, LocalStore], prefix: str) -> None:
    ours, plain = both
    wanted = [key for key in await _all(plain.list()) if key.startswith(prefix)]
    assert wanted == await _all(ours.list_prefix(prefix))


async def test_lists_every_folder_as_the_plain_folder_has_it(both: tuple[ManifestStore, LocalStore]) -> None:
    ours, plain = both
    folders = {""}
    for key in await _all(plain.list()):
        parts = key.split("/")[:-1]
        folders |= {"/".join(parts[:depth]) for depth in range(1, len(parts) + 1)}
    for folder in folders:
        wanted = await _all(plain.list_dir(folder))
        assert wanted == await _all(ours.list_dir(folder)), folder
        assert wanted == await _all(ours.list_dir(f"{folder}/")), folder


@pytest.mark.parametrize(
    "folder", ["none", "scalar/c", "edge.rows/c/0/0", "edge.rows/c/7", "edge.rows/d", "empty/c"]
)
async def test_lists_nothing_where_no_folder_is(both: tuple[ManifestStore, LocalStore], folder: str) -> None:
    assert await _all(both[0].list_dir(folder)) == []


async def test_sizes_are_those_of_the_plain_folder(both: tuple[ManifestStore, LocalStore]) -> None:
    ours, plain = both
    for key in await _all(plain.list()):
        assert await plain.getsize(key) == await ours.getsize(key), key
    assert await plain.getsize_prefix("") == await ours.getsize_prefix("")


async def test_size_of_a_chunk_is_known_without_reading_it() -> None:
    manifest, reader = build_model({"x": np.ones((700, 1000), "<f4")})
    assert await ManifestStore(manifest, reader).getsize("x/c/2/0") == 262 * 4000
    assert reader.reads == []


@pytest.mark.parametrize("wanted", _RANGES, ids=repr)
async def test_bytes_are_those_of_the_plain_folder(
    both: tuple[ManifestStore, LocalStore], wanted: ByteRequest | None
) -> None:
    ours, plain = both
    for key in (
        "zarr.json",
        "edge.rows/zarr.json",
        "edge.rows/c/0/0",
        "edge.rows/c/2/0",
        "one/c/0",
        "scalar/c",
    ):
        expected = await plain.get(key, _PROTOTYPE, wanted)
        found = await ours.get(key, _PROTOTYPE, wanted)
        assert expected is not None
        assert found is not None
        assert expected.to_bytes() == found.to_bytes(), key


async def test_suffix_beyond_the_chunk_gives_all_of_it() -> None:
    manifest, reader = build_model({"x": np.ones(3, "u1")})
    found = await ManifestStore(manifest, reader).get("x/c/0", _PROTOTYPE, SuffixByteRequest(100))
    assert found is not None
    assert found.to_bytes() == b"\1\1\1"


async def test_partial_values_come_in_the_order_asked_for(both: tuple[ManifestStore, LocalStore]) -> None:
    asked: list[tuple[str, ByteRequest | None]] = [
        ("edge.rows/c/1/0", RangeByteRequest(5, 9)),
        ("edge.rows/c/1/0", SuffixByteRequest(4)),
        ("one/c/0", None),
    ]
    ours, plain = both
    expected = await plain.get_partial_values(_PROTOTYPE, asked)
    found = await ours.get_partial_values(_PROTOTYPE, asked)
    assert [one and one.to_bytes() for one in expected] == [one and one.to_bytes() for one in found]
    assert await ours.get_partial_values(_PROTOTYPE, [("none", RangeByteRequest(0, 1))]) == [None]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "none",
        "none/zarr.json",
        "edge.rows",
        "edge.rows/c",
        "edge.rows/c/3/0",
        "edge.rows/c/0",
        "empty/c/0",
    ],
)
async def test_other_keys_are_absent(both: tuple[ManifestStore, LocalStore], key: str) -> None:
    ours = both[0]
    assert await ours.get(key, _PROTOTYPE) is None
    assert ours.get_sync(key) is None
    assert not await ours.exists(key)
    with pytest.raises(FileNotFoundError):
        await ours.getsize(key)


async def test_every_listed_key_exists(both: tuple[ManifestStore, LocalStore]) -> None:
    ours = both[0]
    for key in await _all(ours.list()):
        assert await ours.exists(key)


async def test_synchronous_answers_are_the_asynchronous_ones(both: tuple[ManifestStore, LocalStore]) -> None:
    ours = both[0]
    assert isinstance(ours, SupportsGetSync)
    for key in await _all(ours.list()):
        expected = await ours.get(key, _PROTOTYPE)
        found = ours.get_sync(key, byte_range=None)
        assert expected is not None
        assert found is not None
        assert expected.to_bytes() == found.to_bytes()


@pytest.mark.parametrize(
    "arrays", [every_dtype(), every_shape(), delicate_bits()], ids=["dtype", "shape", "bits"]
)
def test_group_reads_every_array_bit_for_bit(arrays: dict[str, AnyArray]) -> None:
    group = open_group(*build_model(arrays))
    for name, array in arrays.items():
        found = np.asarray(group[zarr_key(name)][...])
        assert (array.dtype, array.shape) == (found.dtype, found.shape)
        assert array.tobytes() == found.tobytes()


def test_group_keeps_weird_names_apart() -> None:
    arrays: dict[str, AnyArray] = {name: np.array([place]) for place, name in enumerate(WEIRD_NAMES)}
    group = open_group(*build_model(arrays))
    found = {array.attrs["mgit_name"]: array[...].tolist() for array in group.array_values()}
    assert {name: [place] for place, name in enumerate(WEIRD_NAMES)} == found


def test_slice_reads_only_the_chunks_it_touches() -> None:
    array = np.arange(700_000, dtype="<f4").reshape(700, 1000)
    manifest, reader = build_model({"x": array})
    found = open_group(manifest, reader)["x"][300:310, 5:7]
    assert np.array_equal(array[300:310, 5:7], found)
    assert [manifest.parameters[0].chunks[1]] == reader.reads


def test_opening_a_group_reads_no_chunk() -> None:
    manifest, reader = build_model(every_shape())
    group = open_group(manifest, reader)
    assert len(every_shape()) == len(dict(group.members()))
    assert reader.reads == []


def test_missing_chunk_is_an_error_and_no_zeros() -> None:
    manifest, reader = build_model({"x": np.ones(4, "<f4")})
    reader.chunks.clear()
    with pytest.raises(NotFoundError) as caught:
        open_group(manifest, reader)["x"][...]
    assert caught.value.reason == ErrorReason.CHUNK_NOT_FOUND


def test_group_refuses_writes() -> None:
    group = open_group(*build_model({"x": np.ones(4, "<f4")}))
    with pytest.raises(ValueError, match="read-only"):
        group["x"][0] = 2.0
    with pytest.raises(ValueError, match="read-only"):
        group.create_array("y", shape=(1,), dtype="f4")
    with pytest.raises(ValueError, match="read-only"):
        del group["x"]


async def test_store_refuses_writes() -> None:
    store = ManifestStore(*build_model({"x": np.ones(4, "<f4")}))
    assert store.read_only
    assert (store.supports_writes, store.supports_deletes, store.supports_listing) == (False, False, True)
    with pytest.raises(ValueError, match="read-only"):
        await store.set("x/c/0", _PROTOTYPE.buffer.from_bytes(b"1"))
    with pytest.raises(ValueError, match="read-only"):
        await store.delete("x/c/0")
    with pytest.raises(ValueError, match="read-only"):
        await store.clear()
    with pytest.raises(ValueError, match="read-only"):
        store.with_read_only(read_only=False)
    with pytest.raises(ValueError, match="read-only"):
        zarr.open_group(store, mode="a")


def test_stores_of_one_manifest_and_reader_are_equal() -> None:
    manifest, reader = build_model({"x": np.ones(4, "<f4")})
    store = ManifestStore(manifest, reader)
    assert store == store.with_read_only(read_only=True)
    assert hash(store) == hash(ManifestStore(manifest, reader))
    assert store != ManifestStore(manifest, DictReader())
    assert store != ManifestStore(build_model({})[0], reader)


def test_model_without_parameters_is_an_empty_group() -> None:
    assert dict(open_group(*build_model({})).members()) == {}


class _WaitingReader(DictReader):
    """Gives no chunk before two have been asked for: one at a time would never end."""

    def __init__(self, chunks: dict[bytes, bytes]) -> None:
        super().__init__(chunks)
        self._barrier = threading.Barrier(2)

    def read(self, digest: bytes) -> bytes:
        self._barrier.wait(timeout=30)
        return super().read(digest)


def _model_of_two_chunks() -> tuple[Manifest, DictReader]:
    return build_model({"x": np.arange(400_000, dtype="<f4")})


async def test_blocking_reads_run_beside_each_other_and_the_event_loop() -> None:
    manifest, reader = _model_of_two_chunks()
    store = ManifestStore(manifest, _WaitingReader(reader.chunks))
    found = await asyncio.gather(store.get("x/c/0", _PROTOTYPE), store.get("x/c/1", _PROTOTYPE))
    assert all(found)


def test_whole_array_is_read_with_several_chunks_at_a_time() -> None:
    manifest, reader = _model_of_two_chunks()
    found = open_group(manifest, _WaitingReader(reader.chunks))["x"][...]
    assert np.array_equal(np.arange(400_000, dtype="<f4"), found)
