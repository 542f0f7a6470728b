"""What version 1 wrote is read, by the project and by a reader that knows docs/format.md only.

The vectors in ``v1`` are frozen: a change of the code that breaks one is a change of the format.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.format.independent_reader import IndependentReader
from tests.format.make_vectors import FILES, TENSORS, content_of, grid_vectors, weights, write_store

from mgit_core.chunking import chunk_keys, chunk_shape, chunk_sizes, grid_shape
from mgit_core.coding.encoded import BaseRange, Predictor
from mgit_core.coding.numbers import NumberFormat
from mgit_core.coding.plans import ChunkPlan, Effort, Prediction
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.files import FileList
from mgit_core.manifest import Manifest
from mgit_core.tensor import TensorSpec
from mgit_storage.chunks.pack import read_table
from mgit_storage.store import Store, open_store

V1 = Path(__file__).parent / "v1"
GRIDS = json.loads((V1 / "grids.json").read_text(encoding="utf-8"))
ALGORITHMS = sorted(DigestAlgorithm)


def expected_of(algorithm: DigestAlgorithm) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((V1 / f"store-{algorithm}.json").read_text(encoding="utf-8"))
    return document


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> DigestAlgorithm:
    return DigestAlgorithm(request.param)


@pytest.fixture
def expected(algorithm: DigestAlgorithm) -> dict[str, Any]:
    return expected_of(algorithm)


@pytest.fixture
def store(tmp_path: Path, algorithm: DigestAlgorithm) -> Store:
    """A copy, since opening a store makes its folder for temporary files."""
    shutil.copytree(V1 / f"store-{algorithm}", tmp_path / "store")
    return open_store(tmp_path / "store", DigestAlgorithm.BLAKE3)


@pytest.mark.parametrize("row", GRIDS, ids=lambda row: f"{row['data_type']}-{row['shape']}")
def test_the_chunk_rule_cuts_as_version_1_did(row: dict[str, Any]) -> None:
    spec = TensorSpec(row["data_type"], tuple(row["shape"]))
    assert list(chunk_shape(spec)) == row["chunk_shape"]
    assert list(grid_shape(spec)) == row["grid"]
    assert list(chunk_sizes(spec)) == row["sizes"]
    assert list(chunk_keys(spec)) == row["keys"]


def test_every_grid_vector_is_there() -> None:
    assert json.loads(json.dumps(grid_vectors())) == GRIDS


def test_a_store_that_version_1_wrote_is_read(store: Store, expected: dict[str, Any]) -> None:
    assert (store.id, store.chunks.algorithm) == (expected["id"], expected["digest_algorithm"])
    manifest = store.parameters.read_manifest(expected["manifest_key"])
    assert manifest.digest.hex() == expected["manifest_digest"]
    for seed, (parameter, row) in enumerate(zip(manifest.parameters, expected["tensors"], strict=True)):
        assert (parameter.name, parameter.digest.hex()) == (row["name"], row["digest"])
        assert b"".join(store.chunks.read_many(parameter.chunks)) == content_of(parameter.spec, seed)
    files = store.parameters.read_file_list(expected["files_key"])
    assert files.digest.hex() == expected["files_digest"]
    assert {entry.path: b"".join(store.chunks.read_many(entry.chunks)) for entry in files.files} == FILES
    assert files.ties == (("half", "double"),)


def test_packs_that_version_1_wrote_tell_what_is_in_them(store: Store) -> None:
    entries = [
        entry for key in store.objects.list("packs") for entry in read_table(store.objects, Path(key).stem)
    ]
    assert store.chunks.find_missing([entry.digest for entry in entries]) == []
    assert sum(entry.length for entry in entries) == sum(
        store.chunks.stored_sizes([entry.digest for entry in entries])
    )


def test_what_is_written_today_has_the_digests_of_version_1(
    tmp_path: Path, algorithm: DigestAlgorithm, expected: dict[str, Any]
) -> None:
    written = write_store(tmp_path / "new", algorithm)
    for key in ("manifest_digest", "files_digest", "tensors", "files"):
        assert json.loads(json.dumps(written[key])) == expected[key]


def test_documents_have_the_bytes_of_version_1(store: Store, expected: dict[str, Any]) -> None:
    reader = IndependentReader(V1 / f"store-{store.chunks.algorithm}")
    manifest = reader.document(expected["manifest_key"])
    files = reader.document(expected["files_key"])
    assert Manifest.from_bytes(canonical(manifest)).digest.hex() == expected["manifest_digest"]
    assert FileList.from_bytes(canonical(files)).digest.hex() == expected["files_digest"]


def canonical(document: dict[str, Any]) -> bytes:
    """As the format says: sorted keys, no spaces, ASCII, a line feed at the end."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"


def check_with_independent_reader(folder: Path, expected: dict[str, Any]) -> None:
    reader = IndependentReader(folder)
    arrays = reader.document(expected["manifest_key"])["arrays"]
    assert [array["name"] for array in arrays] == [name for name, _, _ in TENSORS]
    for seed, (array, row) in enumerate(zip(arrays, expected["tensors"], strict=True)):
        raw = b"".join(reader.read(bytes.fromhex(chunk)) for chunk in array["chunks"])
        assert raw == content_of(TensorSpec(array["data_type"], tuple(array["shape"])), seed)
        assert reader.tensor_digest(array) == array["digest"] == row["digest"]
    for row in reader.document(expected["files_key"])["files"]:
        assert b"".join(reader.read(bytes.fromhex(chunk)) for chunk in row["chunks"]) == FILES[row["path"]]
    packs = {pack for pack, _, _ in reader.places.values()}
    in_tables = {
        digest: (pack, offset, length)
        for pack in packs
        for digest, offset, length, flags in reader.table(pack)
        if not flags
    }
    assert in_tables == reader.places


def test_a_reader_that_knows_only_the_documentation_reads_version_1(
    algorithm: DigestAlgorithm, expected: dict[str, Any]
) -> None:
    check_with_independent_reader(V1 / f"store-{algorithm}", expected)


def test_a_reader_that_knows_only_the_documentation_reads_what_is_written_today(
    tmp_path: Path, algorithm: DigestAlgorithm
) -> None:
    check_with_independent_reader(tmp_path / "new", write_store(tmp_path / "new", algorithm))


@pytest.mark.parametrize("is_dense", [False, True])
def test_a_reader_that_knows_only_the_documentation_reads_differences_and_dense_packs(
    tmp_path: Path, *, is_dense: bool
) -> None:
    store = open_store(tmp_path / "store", DigestAlgorithm.BLAKE3)
    raws = [weights(40_000, 4, 1)]
    for step in range(3):
        changed = bytearray(raws[-1])
        changed[step::400] = bytes(100)
        raws.append(bytes(changed))
    by_digest = {digest_of(DigestAlgorithm.BLAKE3, raw): raw for raw in raws}
    for rewrite in [False, True][: 1 + is_dense]:
        with store.chunks.open_writer(rewrite=rewrite) as writer:
            base: bytes | None = None
            for digest, raw in by_digest.items():
                bases = () if base is None else (BaseRange(base, 0, len(raw)),)
                plan = ChunkPlan(
                    numbers=NumberFormat.FLOAT32,
                    effort=Effort.DENSE if rewrite else Effort.FAST,
                    predictions=(Prediction(predictor=Predictor.BASE, bases=bases),) if bases else (),
                    contents=by_digest,
                )
                assert writer.write(raw, width=4, plan=plan) == digest
                base = digest
    reader = IndependentReader(tmp_path / "store")
    assert {digest: reader.read(digest) for digest in by_digest} == by_digest
    assert len(reader.deltas) >= 3


def test_all_encodings_occur_in_the_vectors(store: Store, expected: dict[str, Any]) -> None:
    digests = [bytes.fromhex(chunk) for row in expected["tensors"] for chunk in row["chunks"]]
    frames = [store.chunks.read_encoded(digest) for digest in digests]
    assert {frame.encoding for frame in frames} == {0, 1, 2}
    assert {frame.width for frame in frames if frame.encoding == 2} == {2, 4, 8}
