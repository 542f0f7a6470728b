"""Ports to stored content. All are synchronous, safe to call from several threads, and may block."""

from __future__ import annotations

import abc
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from typing_extensions import Buffer

from mgit_core.coding.encoded import EncodedChunk
from mgit_core.coding.plans import ChunkPlan
from mgit_core.digest import Digest, DigestAlgorithm
from mgit_core.files import FileList
from mgit_core.layers.graph import LayerGraph
from mgit_core.manifest import Manifest
from mgit_core.ports.maintenance import ChunkMaintenance, DocumentMaintenance

__all__ = ["ChunkReader", "ChunkStore", "ChunkWriter", "ParameterStore", "StoreUsage", "StoredForm"]


class ChunkReader(Protocol):
    """Reads raw chunks by digest; all that the Zarr face asks for."""

    def read(self, digest: Digest) -> bytes:
        """The raw bytes of a chunk, verified against ``digest``.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND, after a listing of the indexes begun after the miss.
            CorruptError: CHUNK_CORRUPT, naming the digest.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUsage:
    """Bytes of a store's folder, as ``du --apparent-size`` counts them, by what they are for.

    Attributes:
        pack_bytes: Packs.
        index_bytes: Indexes.
        manifest_bytes: Manifests.
        other_bytes: The rest: root, file lists, layer graphs, temporary files, folders as ``du`` counts them.
        chunk_count: Indexed chunks, every copy counted.
        chunk_bytes: Bytes in packs of those chunks, their headers included.
    """

    pack_bytes: int
    index_bytes: int
    manifest_bytes: int
    other_bytes: int
    chunk_count: int
    chunk_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredForm:
    """How the copy of a chunk that readers take first is stored, as its header says.

    Attributes:
        size_bytes: Bytes of its frame in a pack.
        encoding: Number of the encoding.
        predictor: Number of the predictor; 0 means none.
        bases: The chunks that it needs directly, in order.
    """

    size_bytes: int
    encoding: int
    predictor: int
    bases: tuple[Digest, ...] = ()


class ChunkWriter(abc.ABC):
    """Writes new chunks. Nothing is visible or durable before ``seal``.

    As a context manager it seals on a normal exit *and* on an error, since what was verified stays useful
    for the next try; a failing seal inside an error is chained to it.
    """

    @property
    @abc.abstractmethod
    def stored_bytes(self) -> int:
        """Bytes of the packs and indexes made so far, all headers included; final after ``seal``."""

    @abc.abstractmethod
    def write(
        self, content: Buffer, *, width: int, digest: Digest | None = None, plan: ChunkPlan | None = None
    ) -> Digest:
        """Encode and append one chunk, unless this writer or the store has a usable copy. Thread-safe.

        A writer that was opened to rewrite appends also what the store has.

        Args:
            content: Raw little-endian bytes, 1 MiB at most.
            width: Bytes of one item, which is how many byte planes are tried; 1 for files.
            digest: What the sender says the digest is.
            plan: What to predict the chunk from, and how hard to try; None means alone and fast.

        Returns:
            The digest of ``content``.

        Raises:
            InvalidArgumentError: DIGEST_MISMATCH; the chunk was not kept.
            ResourceExhaustedError: DISK_FULL.
        """

    @abc.abstractmethod
    def write_encoded(self, digest: Digest, encoded: EncodedChunk) -> None:
        """Append a chunk as another store encoded it; it is decoded and verified first. Thread-safe.

        Raises:
            CorruptError: CHUNK_CORRUPT, if it does not decode to ``digest``.
        """

    @abc.abstractmethod
    def seal(self) -> None:
        """Make everything written durable and visible: first the pack, then its index. Idempotent.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.seal()


class ChunkStore(abc.ABC):
    """Immutable chunks by digest."""

    @property
    @abc.abstractmethod
    def algorithm(self) -> DigestAlgorithm:
        """The digest algorithm, fixed when the store was made."""

    @abc.abstractmethod
    def find_missing(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those of ``digests`` that have no usable copy, each once, in order of first occurrence.

        Never names a chunk that any process had sealed before the call: what is not known is looked up once
        more after a listing of the indexes that begins after the miss.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT for what is no digest.
        """

    @abc.abstractmethod
    def read(self, digest: Digest) -> bytes:
        """As ``ChunkReader.read``."""

    @abc.abstractmethod
    def read_many(self, digests: Iterable[Digest]) -> Generator[bytes]:
        """The raw bytes of each chunk, in order, verified; reads ahead on all cores, a few chunks each.

        Closing the generator early waits for the chunks that are being read and drops those ahead.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND.
            CorruptError: CHUNK_CORRUPT.
        """

    @abc.abstractmethod
    def read_encoded(self, digest: Digest) -> EncodedChunk:
        """The chunk as it is stored, not decoded and not verified.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND.
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """

    @abc.abstractmethod
    def open_writer(self, *, rewrite: bool = False) -> ChunkWriter:
        """A writer of new chunks; several may be open at once.

        Args:
            rewrite: Whether chunks that the store has are written once more, for a repack: only a copy in a
                pack that such a writer made counts as there. Its packs are marked as dense.
        """

    @abc.abstractmethod
    def decode_costs(self, digests: Sequence[Digest]) -> list[int]:
        """Raw bytes that one read of each chunk decodes, its own and those of all its bases; 0 if not usable."""

    @property
    @abc.abstractmethod
    def maintenance(self) -> ChunkMaintenance:
        """What collection, repack and fsck need besides."""

    def raw_sizes(self, digests: Sequence[Digest]) -> list[int]:
        """Bytes of each raw chunk as its header says, in order.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND.
            CorruptError: CHUNK_CORRUPT.
        """
        return [self.read_encoded(digest).raw_size for digest in digests]

    def forms(self, digests: Sequence[Digest]) -> list[StoredForm]:
        """How each chunk is stored, in order; an adapter that can reads headers only.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND.
            CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """
        frames = [self.read_encoded(digest) for digest in digests]
        return [
            StoredForm(
                size_bytes=len(frame.to_bytes()),
                encoding=frame.encoding,
                predictor=frame.predictor,
                bases=tuple(dict.fromkeys(base.digest for base in frame.bases)),
            )
            for frame in frames
        ]

    @abc.abstractmethod
    def stored_sizes(self, digests: Sequence[Digest]) -> list[int]:
        """Bytes in a pack of each chunk, headers included, 0 for one that is missing."""

    @abc.abstractmethod
    def refresh(self) -> None:
        """Look for chunks that other processes added or removed."""


class ParameterStore(abc.ABC):
    """Manifests, file lists and layer graphs. Each write makes an object of its own; the graph says which one counts."""

    @abc.abstractmethod
    def write_manifest(self, manifest: Manifest) -> str:
        """Store the manifest durably and return its object key.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """

    @abc.abstractmethod
    def read_manifest(self, key: str) -> Manifest:
        """The manifest under ``key``, its digest verified against the key.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND.
            CorruptError: MANIFEST_CORRUPT.
        """

    @abc.abstractmethod
    def write_file_list(self, files: FileList) -> str:
        """Store the file list durably and return its object key.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """

    @abc.abstractmethod
    def read_file_list(self, key: str) -> FileList:
        """The file list under ``key``, its digest verified against the key.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND.
            CorruptError: MANIFEST_CORRUPT.
        """

    @abc.abstractmethod
    def write_layer_graph(self, graph: LayerGraph) -> str:
        """Store the layer graph durably and return its object key.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """

    @abc.abstractmethod
    def read_layer_graph(self, key: str) -> LayerGraph:
        """The layer graph under ``key``, its digest verified against the key.

        Raises:
            NotFoundError: OBJECT_NOT_FOUND.
            CorruptError: MANIFEST_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """

    @abc.abstractmethod
    def write_sketches(self, parameter_set: Digest, sketches: Sequence[bytes]) -> None:
        """Keep sketches of the tensors of a parameter set, in its manifest's order, unless there are some.

        Args:
            parameter_set: Digest of the manifest.
            sketches: ``mgit_core.similarity.TENSOR_SKETCH_BYTES`` bytes each, or none for one without a sketch.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """

    @abc.abstractmethod
    def read_sketches(self, parameter_set: Digest) -> tuple[bytes, ...]:
        """The sketches of the tensors of a parameter set; none at all if they were not made yet.

        Raises:
            CorruptError: MANIFEST_CORRUPT or UNKNOWN_FORMAT_VERSION.
        """

    @abc.abstractmethod
    def usage(self) -> StoreUsage:
        """What the whole store takes, chunks included; walks its folder."""

    @property
    @abc.abstractmethod
    def maintenance(self) -> DocumentMaintenance:
        """What collection and fsck need besides."""
