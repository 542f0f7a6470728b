"""The root of a store: made once, never changed, refused where it cannot be understood."""

from __future__ import annotations

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mgit_core.chunking import chunk_ranges
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.errors import CorruptError, ErrorReason
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.tensor import TensorSpec
from mgit_storage.chunks import PackChunkStore
from mgit_storage.objects import MemoryObjectStore
from mgit_storage.parameters import ObjectParameterStore
from mgit_storage.store import memory_store, open_store
from mgit_storage.testing.chunks import make_chunk, store_chunks
from mgit_storage.testing.faults import FaultyObjectStore
from mgit_storage.testing.parameters import make_file_list, make_manifest


def root_with(**changes: object) -> bytes:
    document = {"format": "mgit-store", "version": 1, "id": str(uuid.uuid4()), "digest_algorithm": "blake3"}
    return json.dumps(document | changes).encode()


def test_a_store_keeps_its_id_and_its_algorithm(tmp_path: Path) -> None:
    first = open_store(tmp_path / "a/b/store", DigestAlgorithm.SHA256)
    again = open_store(tmp_path / "a/b/store", DigestAlgorithm.BLAKE3)
    assert (again.id, again.chunks.algorithm) == (first.id, DigestAlgorithm.SHA256)
    assert first.id != memory_store(DigestAlgorithm.BLAKE3).id


def test_a_store_is_empty_until_something_is_stored(tmp_path: Path) -> None:
    store = open_store(tmp_path, DigestAlgorithm.BLAKE3)
    with store.chunks.open_writer() as writer:
        assert store.is_empty()
        writer.write(make_chunk(1), width=4)
        assert store.is_empty()
    assert not store.is_empty()


@pytest.mark.parametrize("kind", ["manifest", "files"])
def test_a_store_with_a_document_only_is_not_empty(kind: str) -> None:
    store = memory_store(DigestAlgorithm.BLAKE3)
    if kind == "manifest":
        store.parameters.write_manifest(make_manifest())
    else:
        store.parameters.write_file_list(make_file_list())
    assert not store.is_empty()


@pytest.mark.parametrize(
    "root",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        root_with(id="not a uuid"),
        root_with(id=7),
        root_with(digest_algorithm="md5"),
        root_with(digest_algorithm=["blake3"]),
    ],
)
def test_a_root_that_cannot_be_read_is_corrupt_and_stays_as_it_is(tmp_path: Path, root: bytes) -> None:
    (tmp_path / "root.json").write_bytes(root)
    with pytest.raises(CorruptError) as caught:
        open_store(tmp_path, DigestAlgorithm.BLAKE3)
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT
    assert (tmp_path / "root.json").read_bytes() == root


@pytest.mark.parametrize(
    "changes", [{"version": 2}, {"format": "other"}, {"version": 2, "digest_algorithm": "new"}]
)
def test_a_root_of_a_later_version_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    (tmp_path / "root.json").write_bytes(root_with(**changes))
    with pytest.raises(CorruptError) as caught:
        open_store(tmp_path, DigestAlgorithm.BLAKE3)
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


def test_documents_are_kept_up_to_a_bound_of_bytes() -> None:
    objects = FaultyObjectStore(MemoryObjectStore())
    chunks = PackChunkStore(objects, DigestAlgorithm.BLAKE3)
    manifests = [make_manifest((f"{number}",)) for number in range(20)]
    size = len(manifests[0].to_bytes())
    parameters = ObjectParameterStore(objects, chunks, cache_bytes=5 * size + 50)
    keys = [parameters.write_manifest(manifest) for manifest in manifests]
    read: list[str] = []
    objects.fault = lambda step, key: read.append(key) if step == "get" else None
    for key in [*keys, *keys[-5:], keys[0]]:
        parameters.read_manifest(key)
    assert read == [*keys, keys[0]]


@pytest.mark.parametrize("algorithm", DigestAlgorithm)
def test_digests_do_not_depend_on_threads_or_the_order_of_arrival(algorithm: DigestAlgorithm) -> None:
    spec = TensorSpec("float32", (3, 300_000))
    content = make_chunk(1, spec.size_bytes)
    cuts = list(chunk_ranges(spec))
    digests = set()
    for order in (cuts, cuts[::-1], cuts[1:] + cuts[:1]):
        store = memory_store(algorithm)
        with store.chunks.open_writer() as writer, ThreadPoolExecutor(4) as pool:
            found = dict(pool.map(lambda cut: (cut, writer.write(content[slice(*cut)], width=4)), order))
        parameter = make_parameter(algorithm, "a", spec, [found[cut] for cut in cuts])
        key = store.parameters.write_manifest(Manifest(algorithm, (parameter,)))
        digests.add((parameter.digest, key.split("/")[1]))
    assert len(digests) == 1


def test_a_store_in_memory_reads_what_it_stored() -> None:
    store = memory_store(DigestAlgorithm.SHA256)
    assert store_chunks(store.chunks, [b"content"], 1) == [digest_of(DigestAlgorithm.SHA256, b"content")]
