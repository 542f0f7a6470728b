"""Reads every document of present models and looks whether what it names is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, NotFoundError
from mgit_core.ports.maintenance import Document, DocumentMaintenance
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.maintenance.digests import DigestGatherer, DigestSet, digest_array
from mgit_service.use_cases.maintenance.marking import LiveDocument, chunk_sizes_of
from mgit_service.use_cases.maintenance.reporting import Teller

__all__ = ["MOST_NAMED", "GoodChunks", "Inspection", "WrongSize"]

MOST_NAMED = 10_000
"""So many missing chunks are named; of more only the number is told."""
_DOCUMENTS_AT_ONCE = 32
_MOST_MODELS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongSize:
    """A chunk that is not as long as a document says.

    Attributes:
        document: The document.
        digest: The chunk.
        wanted: Bytes by the document.
        found: Bytes of the chunk.
    """

    document: LiveDocument
    digest: Digest
    wanted: int
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodChunks:
    """The chunks that could be read, and the bytes of each, in the order of the set."""

    chunks: DigestSet
    sizes: npt.NDArray[np.uint32]

    @classmethod
    def none(cls) -> GoodChunks:
        """No chunks."""
        return cls(chunks=DigestSet(), sizes=np.zeros(0, np.uint32))

    def joined(self, other: GoodChunks) -> GoodChunks:
        """Those of both."""
        digests = np.concatenate([self.chunks.digests, other.chunks.digests])
        _, first = np.unique(digests, return_index=True)
        sizes = np.concatenate([self.sizes, other.sizes])
        return GoodChunks(chunks=DigestSet(digests), sizes=sizes[first])


@dataclass(slots=True, kw_only=True)
class Inspection:
    """Whether what documents name is there.

    Attributes:
        good: The chunks that could be read.
        suspects: Chunks whose models are wanted besides those of the missing ones.
        unreadable: Documents that cannot be read, with the reason, by key.
        missing: Chunks that are needed and that no copy gives, the first 10,000.
        wrong_sizes: Chunks of another size than a document says, the first 10,000.
        models: References of up to 10 models by chunk, for the missing chunks and the suspects.
    """

    good: GoodChunks
    suspects: DigestSet
    unreadable: dict[str, CorruptError | NotFoundError] = field(default_factory=dict)
    missing: dict[Digest, None] = field(default_factory=dict)
    wrong_sizes: list[WrongSize] = field(default_factory=list)
    models: dict[Digest, list[str]] = field(default_factory=dict)
    _all_missing: DigestGatherer = field(default_factory=DigestGatherer)
    _promised: DigestGatherer = field(default_factory=DigestGatherer)

    @property
    def all_missing(self) -> DigestSet:
        """Every missing chunk."""
        return self._all_missing.finish()

    @property
    def promised(self) -> int:
        """How many chunks are in another store."""
        return len(self._promised.finish())

    async def inspect(self, backend: Backend, documents: Iterable[LiveDocument], report: Teller) -> None:
        """Read documents from their objects, and compare them with the chunks that could be read."""
        wanted = list(documents)
        for start in range(0, len(wanted), _DOCUMENTS_AT_ONCE):
            report.tell("reading manifests", start, len(wanted))
            part = wanted[start : start + _DOCUMENTS_AT_ONCE]
            await in_thread(backend, self._inspect_some, backend.parameters.maintenance, part)

    def _inspect_some(self, maintenance: DocumentMaintenance, documents: Sequence[LiveDocument]) -> None:
        for document in documents:
            try:
                content = maintenance.read(document.key)
            except (CorruptError, NotFoundError) as error:
                self.unreadable[document.key] = type(error)(error.reason, error.message, **error.details)
            else:
                self._inspect_one(document, content)

    def _inspect_one(self, document: LiveDocument, content: Document) -> None:
        pairs = list(chunk_sizes_of(content))
        digests = digest_array(digest for digest, _ in pairs)
        at = self.good.chunks.positions(digests)
        lacking = DigestSet(digests[at < 0])
        if document.is_promised:
            self._promised.add(lacking)
            lacking = DigestSet()
        self._all_missing.add(lacking)
        for digest in lacking:
            if digest in self.missing or len(self.missing) < MOST_NAMED:
                self.missing[digest] = None
                self._add_models(digest, document)
        for digest in DigestSet(digests[self.suspects.has(digests)]):
            self._add_models(digest, document)
        there = np.flatnonzero(at >= 0)
        wanted = np.fromiter((size for _, size in pairs), np.int64, len(pairs))[there]
        found = self.good.sizes[at[there]]
        for place in np.flatnonzero(found != wanted).tolist():
            if len(self.wrong_sizes) < MOST_NAMED:
                digest, size = pairs[there[place]]
                wrong = WrongSize(document=document, digest=digest, wanted=size, found=int(found[place]))
                self.wrong_sizes.append(wrong)

    def _add_models(self, digest: Digest, document: LiveDocument) -> None:
        models = self.models.setdefault(digest, [])
        fresh = [model for model in document.models if model not in models]
        models += fresh[: _MOST_MODELS - len(models)]
