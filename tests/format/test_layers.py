"""Layer graphs that version 1 wrote, read by the project and by a reader that knows docs/format.md only."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.format.independent_layers import check_layer_graph
from tests.format.independent_reader import DIGESTS, IndependentReader
from tests.format.make_layers import GRAPHS, vector_of

from mgit_core.digest import DigestAlgorithm
from mgit_core.layers.document import unpack_layer_graph
from mgit_storage.store import open_store

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "v1" / "layers.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", VECTORS)
def test_a_layer_graph_of_version_1_is_read(name: str) -> None:
    assert unpack_layer_graph(base64.b64decode(VECTORS[name]["stored"])) == GRAPHS[name]


def test_every_layer_graph_is_there() -> None:
    assert VECTORS.keys() == GRAPHS.keys()


@pytest.mark.parametrize("name", VECTORS)
def test_what_is_written_today_has_the_content_and_digests_of_version_1(name: str) -> None:
    written = vector_of(GRAPHS[name])
    for key in ("content", "digests"):  # How zstd compresses may change.
        assert written[key] == VECTORS[name][key]


@pytest.mark.parametrize("name", VECTORS)
def test_a_reader_that_knows_only_the_documentation_reads_version_1(name: str) -> None:
    stored = base64.b64decode(VECTORS[name]["stored"])
    assert stored[:8] == b"MGITDOC\x01"
    content = zstandard.ZstdDecompressor().decompress(stored[8:])
    assert content.decode("ascii") == VECTORS[name]["content"]
    for algorithm, digest in VECTORS[name]["digests"].items():
        assert DIGESTS[algorithm](content).hex() == digest
    document = json.loads(content)
    check_layer_graph(document)
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n"
    assert canonical.encode("ascii") == content


@pytest.mark.parametrize("algorithm", DigestAlgorithm)
def test_a_reader_that_knows_only_the_documentation_reads_what_is_written_today(
    tmp_path: Path, algorithm: DigestAlgorithm
) -> None:
    store = open_store(tmp_path / "store", algorithm)
    with store.chunks.open_writer() as writer:
        writer.write(b"text", width=1)
    keys = {name: store.parameters.write_layer_graph(graph) for name, graph in GRAPHS.items()}
    reader = IndependentReader(tmp_path / "store")
    for name, key in keys.items():
        assert key.split("/")[:2] == ["layers", VECTORS[name]["digests"][algorithm]]
        check_layer_graph(reader.document(key))
