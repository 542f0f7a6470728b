"""Chunks by digest over packs and indexes in an object store."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from mgit_core.coding.encoded import EncodedChunk
from mgit_core.digest import Digest, DigestAlgorithm
from mgit_core.errors import CorruptError, NotFoundError
from mgit_core.ports.chunks import ChunkStore, ChunkWriter, StoredForm
from mgit_core.ports.maintenance import ChunkMaintenance
from mgit_storage.chunks.maintenance import PackMaintenance
from mgit_storage.chunks.parts import open_parts
from mgit_storage.chunks.segment import Place
from mgit_storage.chunks.writer import PACK_BYTES, PackWriter
from mgit_storage.objects import ObjectStore

__all__ = ["PackChunkStore"]

_READ_AHEAD_PER_CORE = 4


class PackChunkStore(ChunkStore):
    """The chunk store; several processes may have one over the same objects."""

    def __init__(
        self, objects: ObjectStore, algorithm: DigestAlgorithm, *, pack_bytes: int = PACK_BYTES
    ) -> None:
        """The chunks in ``objects``; a pack ends with the chunk that fills ``pack_bytes``."""
        self._parts = open_parts(objects, algorithm)
        self._maintenance = PackMaintenance(self._parts)
        self._pack_bytes = pack_bytes
        self._cores = os.cpu_count() or 1

    @property
    def algorithm(self) -> DigestAlgorithm:
        return self._parts.reader.algorithm

    @property
    def maintenance(self) -> ChunkMaintenance:
        return self._maintenance

    @property
    def chunk_count(self) -> int:
        """Indexed chunks, every copy counted."""
        return len(self._parts.index)

    @property
    def chunk_bytes(self) -> int:
        """Bytes in packs of the indexed chunks, every copy counted, headers included."""
        return self._parts.index.chunk_bytes

    def find_missing(self, digests: Sequence[Digest]) -> list[Digest]:
        missing = self._parts.copies.find_missing(digests)
        if missing:
            self._parts.index.refresh()
            missing = self._parts.copies.find_missing(missing)
        if missing:
            self._parts.index.check_whole()
        return missing

    def read(self, digest: Digest) -> bytes:
        return self._parts.reader.read(digest)

    def read_many(self, digests: Iterable[Digest]) -> Generator[bytes]:
        ahead: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(self._cores, thread_name_prefix="read") as pool:
            try:
                for digest in digests:
                    ahead.append(pool.submit(self.read, digest))
                    if len(ahead) >= self._cores * _READ_AHEAD_PER_CORE:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def read_encoded(self, digest: Digest) -> EncodedChunk:
        return self._parts.reader.from_any_copy(digest, self._parts.reader.read_frame)

    def open_writer(self, *, rewrite: bool = False) -> ChunkWriter:
        return PackWriter(self._parts, pack_bytes=self._pack_bytes, rewrite=rewrite)

    def decode_costs(self, digests: Sequence[Digest]) -> list[int]:
        costs = [self._decode_cost(digest) for digest in digests]
        if not all(costs):  # A pack that has gone was rewritten, and its chunks are elsewhere now.
            self._parts.index.refresh()
            costs = [cost or self._decode_cost(digest) for digest, cost in zip(digests, costs, strict=True)]
        return costs

    def stored_sizes(self, digests: Sequence[Digest]) -> list[int]:
        if self._parts.index.find_missing(digests):
            self._parts.index.refresh()
        copies = map(self._parts.copies.find, digests)
        return [places[0].length if places else 0 for places in copies]

    def raw_sizes(self, digests: Sequence[Digest]) -> list[int]:
        return [
            self._parts.reader.from_any_copy(digest, self._parts.headers.read).raw_size for digest in digests
        ]

    def forms(self, digests: Sequence[Digest]) -> list[StoredForm]:
        return [self._parts.reader.from_any_copy(digest, self._read_form) for digest in digests]

    def refresh(self) -> None:
        self._parts.index.refresh()

    def _decode_cost(self, digest: Digest) -> int:
        try:
            chain = self._parts.copies.chain(digest)
        except (CorruptError, NotFoundError):
            return 0
        return 0 if chain is None else chain.decoded_bytes

    def _read_form(self, digest: Digest, place: Place) -> StoredForm:
        header = self._parts.headers.read(digest, place)
        return StoredForm(
            size_bytes=place.length,
            encoding=header.encoding,
            predictor=header.predictor,
            bases=tuple(dict.fromkeys(base.digest for base in header.bases)),
        )
