from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from tests.unit.client.faulty_service import ALGORITHM, FaultyService

from mgit.chunks import WireChunkReader
from mgit.connection import Connection
from mgit.content import ModelContent
from mgit.cutting import cut_source
from mgit.file_layouts import WeightsLayout, build_weights, layout_of_files
from mgit.frameworks.detection import open_source
from mgit.manifests import Listing
from mgit.progress import ProgressCounter
from mgit.saving import SaveJob, save_model
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError, MGitError
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.tensor import TensorSpec


def stored(connection: Connection, service: FaultyService, source: object) -> ModelContent:
    """A model whose chunks the service has and whose listing needs no question."""
    cut = cut_source(open_source(source), ALGORITHM)
    for place in cut.locations.values():
        service.put(bytes(place.content.read(place.start, place.stop)))
    content = ModelContent(connection, WireChunkReader(connection), "0190")
    content.__dict__["listing"] = Listing(cut.manifest, cut.files)
    return content


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    arrays = {"a": np.arange(6, dtype=np.float32), "b": np.ones(3, np.int8)}
    safetensors.numpy.save_file(arrays, tmp_path / "m.safetensors", metadata={"format": "np"})
    return tmp_path / "m.safetensors"


@pytest.fixture
def stored_weights(connection: Connection, faulty_service: FaultyService, weights: Path) -> ModelContent:
    return stored(connection, faulty_service, weights)


def with_manifest(content: ModelContent, manifest: Manifest) -> ModelContent:
    content.__dict__["listing"] = Listing(manifest, content.listing.files)
    return content


def test_the_layout_of_a_weights_file_is_in_its_header(
    connection: Connection, faulty_service: FaultyService, weights: Path
) -> None:
    [layout] = layout_of_files(stored(connection, faulty_service, weights))
    assert isinstance(layout, WeightsLayout)
    assert weights.read_bytes().startswith(layout.header)
    assert layout.places == (("a", len(layout.header)), ("b", len(layout.header) + 24))
    assert layout.metadata == {"format": "np"}


def test_a_header_that_names_another_parameter_is_corrupt(
    connection: Connection, faulty_service: FaultyService, weights: Path
) -> None:
    content = stored(connection, faulty_service, weights)
    first, second = content.listing.manifest.parameters
    renamed = make_parameter(ALGORITHM, "other", second.spec, second.chunks)
    with pytest.raises(CorruptError, match="'b'") as caught:
        layout_of_files(with_manifest(content, Manifest(ALGORITHM, (first, renamed))))
    assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT


def test_a_header_that_says_another_type_is_corrupt(
    connection: Connection, faulty_service: FaultyService, weights: Path
) -> None:
    content = stored(connection, faulty_service, weights)
    first, second = content.listing.manifest.parameters
    other = make_parameter(ALGORITHM, "b", TensorSpec("uint8", (3,)), second.chunks)
    with pytest.raises(CorruptError):
        layout_of_files(with_manifest(content, Manifest(ALGORITHM, (first, other))))


def test_a_header_that_is_none_is_corrupt(
    connection: Connection, faulty_service: FaultyService, weights: Path
) -> None:
    text = bytearray(weights.read_bytes())
    content = stored(connection, faulty_service, weights)
    text[8:10] = b"[["
    [entry] = content.listing.files.files
    faulty_service.tampered[entry.chunks[0]] = bytes(text[: entry.stored_bytes])
    with pytest.raises(CorruptError) as caught:
        layout_of_files(content)
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT, "the digest tells before the header does"


def test_a_new_file_has_the_widest_items_first() -> None:
    specs = {"a": TensorSpec("int8", (3,)), "b": TensorSpec("float64", (2,)), "c": TensorSpec("float16", ())}
    parameters = [make_parameter(ALGORITHM, name, spec, [b"x" * 32]) for name, spec in specs.items()]
    layout = build_weights("m.safetensors", parameters, {})
    start = len(layout.header)
    assert start % 8 == 0
    assert layout.places == (("b", start), ("c", start + 16), ("a", start + 18))
    assert layout.size_bytes == start + 21


def test_a_type_that_the_format_lacks_is_refused() -> None:
    parameter = make_parameter(ALGORITHM, "c", TensorSpec("complex128", ()), [b"x" * 32])
    with pytest.raises(InvalidArgumentError) as caught:
        build_weights("m.safetensors", [parameter], {})
    assert caught.value.reason is ErrorReason.UNKNOWN_DTYPE


@pytest.mark.slow
def test_a_failed_saving_leaves_nothing(
    connection: Connection, faulty_service: FaultyService, weights: Path, tmp_path: Path
) -> None:
    content = stored(connection, faulty_service, weights)
    del faulty_service.chunks[content.listing.manifest.parameters[0].chunks[0]]
    for to in ("x.safetensors", "x.zarr", "x.pt", "x"):
        with pytest.raises(MGitError) as caught:
            save_model(content, SaveJob(to=tmp_path / to), ProgressCounter(None))
        assert caught.value.reason is ErrorReason.CHUNK_NOT_FOUND
    assert list(tmp_path.iterdir()) == [weights]


@pytest.mark.parametrize(
    ("to", "wanted", "written"),
    [
        ("x.safetensors", None, "safetensors"),
        ("x", None, "safetensors"),
        ("x", "folder", "folder"),
        ("x.zarr", None, "zarr"),
        ("x.PT", None, "torch"),
        ("x.bin", "safetensors", "safetensors"),
        ("x.safetensors", "zarr", "zarr"),
    ],
)
def test_the_format_is_as_told_else_by_the_ending_else_as_it_was(
    stored_weights: ModelContent, weights: Path, to: str, wanted: str | None, written: str
) -> None:
    job = SaveJob(to=weights.with_name(to), format=wanted)
    path = save_model(stored_weights, job, ProgressCounter(None))
    found = {
        "safetensors": path.is_file() and path.read_bytes() == weights.read_bytes(),
        "folder": (path / "m.safetensors").is_file(),
        "zarr": (path / "zarr.json").is_file(),
        "torch": path.is_file() and path.read_bytes()[:2] == b"PK",
    }
    assert [name for name, is_it in found.items() if is_it] == [written]


def test_arrays_come_back_as_a_folder_with_one_file(
    connection: Connection, faulty_service: FaultyService, tmp_path: Path
) -> None:
    content = stored(connection, faulty_service, {"w": np.ones(2)})
    saved = save_model(content, SaveJob(to=tmp_path / "x", format="folder"), ProgressCounter(None))
    assert [path.name for path in saved.iterdir()] == ["model.safetensors"]


def test_a_loose_parameter_never_takes_the_place_of_a_file(
    connection: Connection, faulty_service: FaultyService, tmp_path: Path
) -> None:
    """A client in another language may send a file of that name beside parameters that lie in no file."""
    folder = tmp_path / "source"
    folder.mkdir()
    safetensors.numpy.save_file({"w": np.ones(2)}, folder / "model.safetensors")
    content = stored(connection, faulty_service, folder)
    extra = make_parameter(ALGORITHM, "loose", TensorSpec("int8", (2,)), [faulty_service.put(b"ab")])
    manifest = Manifest(ALGORITHM, (*content.listing.manifest.parameters, extra))
    saved = save_model(with_manifest(content, manifest), SaveJob(to=tmp_path / "x"), ProgressCounter(None))
    assert sorted(path.name for path in saved.iterdir()) == ["model-2.safetensors", "model.safetensors"]
    assert (saved / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert list(safetensors.numpy.load_file(saved / "model-2.safetensors")) == ["loose"]
