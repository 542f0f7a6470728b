"""What every parameter store must do."""

from __future__ import annotations

import pytest

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import ConflictError, CorruptError, ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.files import FileEntry, FileKind, FileList
from mgit_core.layers.document import layer_graph_digest
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_core.manifest import Manifest, make_parameter
from mgit_core.ports.chunks import ParameterStore
from mgit_core.similarity import TENSOR_SKETCH_BYTES
from mgit_core.tensor import TensorSpec
from mgit_storage.testing.maintenance import held, lost_after
from mgit_storage.testing.raw import RawObjects, flip_bit

__all__ = ["ParameterStoreConformance", "make_file_list", "make_layer_graph", "make_manifest"]


def _digest(text: str) -> Digest:
    return digest_of(DigestAlgorithm.BLAKE3, text.encode())


def make_manifest(
    names: tuple[str, ...] = ("b", "a"), algorithm: DigestAlgorithm = DigestAlgorithm.BLAKE3
) -> Manifest:
    """A manifest of small tensors."""
    spec = TensorSpec("float32", (2, 3))
    return Manifest(
        algorithm, tuple(make_parameter(algorithm, name, spec, [_digest(name)]) for name in names)
    )


def make_file_list(paths: tuple[str, ...] = ("config.json", "model.safetensors")) -> FileList:
    """A file list of small files."""
    return FileList(
        algorithm=DigestAlgorithm.BLAKE3,
        source_format="folder",
        files=tuple(
            FileEntry(path=path, kind=FileKind.OPAQUE, size_bytes=5, stored_bytes=5, chunks=(_digest(path),))
            for path in paths
        ),
        ties=(("a", "b"),),
    )


def make_layer_graph(names: tuple[str, ...] = ("b", "a")) -> LayerGraph:
    """A layer graph of small layers, one for each parameter."""
    layers = tuple(
        Layer(path=f"at.{name}", kind="Linear", attributes={"in_features": 3}, parameters=(name,))
        for name in names
    )
    edges = tuple((at, at + 1) for at in range(len(layers) - 1))
    return LayerGraph(layers=layers, edges=edges, source=LayerGraphSource.EXPORT)


class ParameterStoreConformance:
    """The laws of parameter stores.

    A subclass supplies the fixtures ``parameters``, over an empty store with BLAKE3; ``other``, as another
    process would open the same content; and ``raw``, a way around them to their objects.
    """

    def test_a_manifest_reads_back(self, parameters: ParameterStore, other: ParameterStore) -> None:
        key = parameters.write_manifest(make_manifest())
        assert parameters.read_manifest(key) == make_manifest()
        assert other.read_manifest(key) == make_manifest()

    def test_a_file_list_reads_back(self, parameters: ParameterStore, other: ParameterStore) -> None:
        key = parameters.write_file_list(make_file_list())
        assert parameters.read_file_list(key) == make_file_list()
        assert other.read_file_list(key) == make_file_list()

    def test_a_layer_graph_reads_back(self, parameters: ParameterStore, other: ParameterStore) -> None:
        key = parameters.write_layer_graph(make_layer_graph())
        assert parameters.read_layer_graph(key) == make_layer_graph()
        assert other.read_layer_graph(key) == make_layer_graph()
        digest = layer_graph_digest(DigestAlgorithm.BLAKE3, make_layer_graph())
        assert key.split("/")[:2] == ["layers", digest.hex()]

    def test_a_damaged_layer_graph_is_reported(
        self, parameters: ParameterStore, other: ParameterStore, raw: RawObjects
    ) -> None:
        key = parameters.write_layer_graph(make_layer_graph())
        for at in range(len(raw.read(key))):
            flip_bit(raw, key, at)
            with pytest.raises(CorruptError, match=key):
                other.read_layer_graph(key)
            flip_bit(raw, key, at)
        raw.remove(key)
        with pytest.raises(NotFoundError, match=key):
            other.read_layer_graph(key)

    def test_each_write_makes_an_object_of_its_own(self, parameters: ParameterStore, raw: RawObjects) -> None:
        keys = {parameters.write_manifest(make_manifest()) for _ in range(3)}
        assert keys == {key for key in raw.list() if key.startswith("manifests/")}
        assert {key.split("/")[1] for key in keys} == {make_manifest().digest.hex()}

    @pytest.mark.parametrize("key", ["", "root.json", "manifests/x/y", "files/" + "0" * 64 + "/" + "0" * 32])
    def test_what_is_no_manifest_is_not_found(self, parameters: ParameterStore, key: str) -> None:
        with pytest.raises(NotFoundError) as caught:
            parameters.read_manifest(key)
        assert caught.value.reason is ErrorReason.OBJECT_NOT_FOUND

    def test_a_key_of_the_other_kind_is_not_found(self, parameters: ParameterStore) -> None:
        manifest_key = parameters.write_manifest(make_manifest())
        files_key = parameters.write_file_list(make_file_list())
        layers_key = parameters.write_layer_graph(make_layer_graph())
        parameters.read_manifest(manifest_key)
        with pytest.raises(NotFoundError):
            parameters.read_file_list(manifest_key)
        with pytest.raises(NotFoundError):
            parameters.read_layer_graph(manifest_key)
        for key in (files_key, layers_key):
            with pytest.raises(NotFoundError):
                parameters.read_manifest(key)

    def test_a_missing_manifest_is_named(self, parameters: ParameterStore) -> None:
        key = f"manifests/{'0' * 64}/{'0' * 32}"
        with pytest.raises(NotFoundError, match=key):
            parameters.read_manifest(key)

    def test_every_damaged_byte_is_reported(
        self, parameters: ParameterStore, other: ParameterStore, raw: RawObjects
    ) -> None:
        key = parameters.write_manifest(make_manifest())
        for at in range(len(raw.read(key))):
            flip_bit(raw, key, at)
            with pytest.raises(CorruptError, match=key):
                other.read_manifest(key)
            flip_bit(raw, key, at)
        assert other.read_manifest(key) == make_manifest()

    def test_content_under_the_key_of_other_content_is_reported(
        self, parameters: ParameterStore, other: ParameterStore, raw: RawObjects
    ) -> None:
        keys = [parameters.write_manifest(make_manifest((name,))) for name in ("a", "b")]
        raw.write(keys[0], raw.read(keys[1]))
        with pytest.raises(CorruptError) as caught:
            other.read_manifest(keys[0])
        assert caught.value.reason is ErrorReason.MANIFEST_CORRUPT

    def test_an_object_of_a_later_version_is_refused(
        self, parameters: ParameterStore, other: ParameterStore, raw: RawObjects
    ) -> None:
        key = parameters.write_manifest(make_manifest())
        content = raw.read(key)
        raw.write(key, content[:7] + b"\x02" + content[8:])
        with pytest.raises(CorruptError) as caught:
            other.read_manifest(key)
        assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION

    def test_a_document_with_other_digests_is_refused(self, parameters: ParameterStore) -> None:
        with pytest.raises(InvalidArgumentError):
            parameters.write_manifest(make_manifest(algorithm=DigestAlgorithm.SHA256))

    def test_documents_are_listed_by_key(self, parameters: ParameterStore, raw: RawObjects) -> None:
        keys = [parameters.write_manifest(make_manifest((name,))) for name in ("a", "b", "b")]
        keys.append(parameters.write_file_list(make_file_list()))
        keys.append(parameters.write_layer_graph(make_layer_graph()))
        found = parameters.maintenance.documents()
        assert [document.key for document in found] == sorted(keys)
        assert [document.size_bytes for document in found] == [len(raw.read(key)) for key in sorted(keys)]
        assert all(0 <= document.age_s < 600 for document in found)

    def test_maintenance_reads_the_object_itself(self, parameters: ParameterStore, raw: RawObjects) -> None:
        documents = [make_manifest(), make_file_list(), make_layer_graph()]
        keys = [
            parameters.write_manifest(make_manifest()),
            parameters.write_file_list(make_file_list()),
            parameters.write_layer_graph(make_layer_graph()),
        ]
        assert [*map(parameters.maintenance.read, keys)] == documents
        assert parameters.read_manifest(keys[0]) == make_manifest()
        flip_bit(raw, keys[0], -1)
        with pytest.raises(CorruptError, match=keys[0]):
            parameters.maintenance.read(keys[0])
        raw.remove(keys[0])
        for key in (keys[0], "root.json"):
            with pytest.raises(NotFoundError, match=key):
                parameters.maintenance.read(key)

    def test_a_damaged_document_is_replaced_by_an_intact_one(
        self, parameters: ParameterStore, other: ParameterStore, raw: RawObjects
    ) -> None:
        first, second = (parameters.write_manifest(make_manifest()) for _ in range(2))
        another = parameters.write_manifest(make_manifest(("a",)))
        flip_bit(raw, first, -1)
        with pytest.raises(CorruptError):  # Its content has another digest.
            parameters.maintenance.replace(first, another, held)
        with pytest.raises(ConflictError):
            parameters.maintenance.replace(first, second, lost_after(0))
        parameters.maintenance.replace(first, second, held)
        assert other.read_manifest(first) == make_manifest()
        raw.remove(second)
        parameters.maintenance.replace(second, first, held)
        assert other.read_manifest(second) == make_manifest()
        raw.remove(first)
        with pytest.raises(NotFoundError):
            parameters.maintenance.replace(second, first, held)
        assert other.read_manifest(second) == make_manifest()

    def test_a_deleted_document_is_gone_also_after_it_was_read(
        self, parameters: ParameterStore, raw: RawObjects
    ) -> None:
        key, kept = (parameters.write_manifest(make_manifest()) for _ in range(2))
        parameters.read_manifest(key)
        with pytest.raises(ConflictError):
            parameters.maintenance.delete(key, lost_after(0))
        assert key in raw.list()
        for _ in range(2):
            parameters.maintenance.delete(key, held)
        with pytest.raises(NotFoundError):
            parameters.read_manifest(key)
        assert parameters.read_manifest(kept) == make_manifest()
        with pytest.raises(NotFoundError):
            parameters.maintenance.delete("root.json", held)
        assert "root.json" in raw.list()

    def test_sketches_go_with_the_last_manifest(self, parameters: ParameterStore) -> None:
        keys = [parameters.write_manifest(make_manifest()) for _ in range(2)]
        sketch = bytes(range(TENSOR_SKETCH_BYTES))
        parameters.write_sketches(make_manifest().digest, [sketch, sketch])
        parameters.maintenance.delete(keys[0], held)
        assert parameters.read_sketches(make_manifest().digest) == (sketch, sketch)
        parameters.maintenance.delete(keys[1], held)
        assert parameters.read_sketches(make_manifest().digest) == ()

    def test_usage_tells_manifests_from_the_rest(self, parameters: ParameterStore, raw: RawObjects) -> None:
        before = parameters.usage()
        manifest_key = parameters.write_manifest(make_manifest())
        files_key = parameters.write_file_list(make_file_list())
        layers_key = parameters.write_layer_graph(make_layer_graph())
        usage = parameters.usage()
        assert usage.manifest_bytes - before.manifest_bytes == len(raw.read(manifest_key))
        others = len(raw.read(files_key)) + len(raw.read(layers_key))
        assert usage.other_bytes - before.other_bytes >= others
        assert (usage.pack_bytes, usage.index_bytes, usage.chunk_count) == (0, 0, 0)
