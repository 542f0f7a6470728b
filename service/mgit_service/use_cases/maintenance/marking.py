"""What present and staged models need: their documents, the chunks that these name, and the bases of all of those.

Cost follows the manifests of present models and the index. A marking can be continued: it reads only what it has
not read before, and what it has marked stays marked.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mgit_core.chunking import file_chunk_sizes
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, ErrorReason, NotFoundError
from mgit_core.files import FileList
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest
from mgit_core.ports.chunks import ParameterStore
from mgit_core.ports.graph import Page
from mgit_core.ports.maintenance import Document
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.maintenance.copies import CopyTable, CopyView, bases_of
from mgit_service.use_cases.maintenance.digests import DigestArray, DigestGatherer, DigestSet
from mgit_service.use_cases.maintenance.reporting import Teller

__all__ = ["DocumentKind", "LiveDocument", "Marking", "chunk_sizes_of", "live_documents"]

_PAGE_SIZE = 1_000
# So many documents are read in one go; between two of them a cancelled call ends.
_DOCUMENTS_AT_ONCE = 32
_COPIES_AT_ONCE = 1 << 16
_MOST_MODELS = 10


class DocumentKind(enum.StrEnum):
    """What a document is."""

    MANIFEST = "manifest"
    FILE_LIST = "file list"
    LAYER_GRAPH = "layer graph"


@dataclass(slots=True)
class LiveDocument:
    """A document that present or staged models need.

    Attributes:
        key: Its object key.
        kind: What it is.
        is_promised: Whether chunks that it names may be in another store.
        models: References of the first 10 models that need it.
    """

    key: str
    kind: DocumentKind
    is_promised: bool = False
    models: list[str] = field(default_factory=list)


async def live_documents(backend: Backend) -> dict[str, LiveDocument]:
    """The documents of all present and staged models by key. Memory: some 400 bytes each."""
    found: dict[str, LiveDocument] = {}
    # Staged ones first: one that is published meanwhile has a uid from before, and would be in neither list.
    for list_page in (backend.lineage.staging.list_page, backend.lineage.content.parameter_sets):
        page = await list_page(Page(size=_PAGE_SIZE))
        while page:
            for model in page:
                _add_documents(found, model)
            page = await list_page(Page(size=_PAGE_SIZE, after=page[-1].uid))
    return found


def _add_documents(found: dict[str, LiveDocument], model: Model) -> None:
    """Add what a model is made of."""
    keys = {
        DocumentKind.FILE_LIST: model.files_key,
        DocumentKind.MANIFEST: None if model.parameters is None else model.parameters.manifest_key,
        DocumentKind.LAYER_GRAPH: model.layer_graph_key,
    }
    is_promised = model.parameters is not None and not model.parameters.is_whole
    for kind, key in keys.items():
        if key is not None:
            may_lack = is_promised and kind is DocumentKind.MANIFEST
            document = found.setdefault(key, LiveDocument(key, kind, may_lack))
            if len(document.models) < _MOST_MODELS:
                document.models.append(model.ref)


def chunk_sizes_of(document: Document) -> Iterator[tuple[Digest, int]]:
    """Every chunk that a document names, with the bytes that it must have, in order; a layer graph names none."""
    if isinstance(document, Manifest):
        for parameter in document.parameters:
            yield from parameter.chunk_sizes()
    elif isinstance(document, FileList):
        for entry in document.files:
            yield from zip(entry.chunks, file_chunk_sizes(entry.stored_bytes), strict=True)


class Marking:
    """Grows from roots to all that they need.

    Attributes:
        documents: Keys of what present models need, as of the last look at the graph.
        marked: The chunks that they need; bases too, once ``close`` was called.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._read: set[str] = set()
        self._closed = DigestSet()
        self._known_packs: set[str] = set()
        self.documents: set[str] = set()
        self.marked = DigestSet()

    async def mark(self, table: CopyTable, report: Teller) -> None:
        """Mark what present models need now; ``table`` was listed before the call.

        Raises:
            CorruptError: MANIFEST_CORRUPT or UNKNOWN_FORMAT_VERSION, also for a document that is not there:
                what a model needs is not known. CHUNK_CORRUPT or PACK_CORRUPT for a needed difference of which it
                is not known what it rests on.
        """
        await self._mark_roots(report)
        await self._close(table)

    async def _mark_roots(self, report: Teller) -> None:
        live = await live_documents(self._backend)
        self.documents = set(live)
        fresh = [document for key, document in live.items() if key not in self._read]
        gatherer = DigestGatherer()
        for start in range(0, len(fresh), _DOCUMENTS_AT_ONCE):
            report.tell("marking", start, len(fresh))
            part = fresh[start : start + _DOCUMENTS_AT_ONCE]
            await in_thread(self._backend, _gather, self._backend.parameters, part, gatherer)
        self._read.update(document.key for document in fresh)
        self.marked = self.marked.joined(gatherer.finish().digests)

    async def _close(self, table: CopyTable) -> None:
        """Mark the bases of every copy of what is marked, and theirs.

        Looked at are the copies of what was marked since the last time, and those in packs that were not there.
        """
        is_fresh = table.by_pack(lambda pack: pack not in self._known_packs) > 0
        is_new = self.marked.has(table.digests) & ~self._closed.has(table.digests)
        wanted = (self.marked.has(table.digests) & is_fresh) | is_new
        rows = np.flatnonzero(wanted & table.needs_bases)
        while len(rows):
            bases = await self._bases(CopyView(table, rows))
            bases = bases[~self.marked.has(bases)]
            self.marked = self.marked.joined(bases)
            rows = table.rows_of(bases)
            rows = rows[table.needs_bases[rows]]
        self._closed = self.marked
        self._known_packs.update(table.packs)

    async def _bases(self, copies: CopyView) -> DigestArray:
        """The distinct bases of these copies."""
        gatherer = DigestGatherer()
        for start in range(0, len(copies), _COPIES_AT_ONCE):
            for bases in await bases_of(self._backend, copies[start : start + _COPIES_AT_ONCE]):
                if isinstance(bases, CorruptError):
                    raise _unknown_bases(bases) from bases
                gatherer.add(bases)
        return gatherer.finish().digests


def _gather(parameters: ParameterStore, documents: Sequence[LiveDocument], gatherer: DigestGatherer) -> None:
    for document in documents:
        if document.kind is DocumentKind.LAYER_GRAPH:
            continue  # It names no chunks: one that cannot be read leaves nothing unknown.
        try:
            content = (
                parameters.read_manifest(document.key)
                if document.kind is DocumentKind.MANIFEST
                else parameters.read_file_list(document.key)
            )
        except (NotFoundError, CorruptError) as error:
            raise _unknown_needs(document, error) from error
        gatherer.add(digest for digest, _ in chunk_sizes_of(content))


def _unknown_needs(document: LiveDocument, error: NotFoundError | CorruptError) -> CorruptError:
    reason = error.reason if isinstance(error, CorruptError) else ErrorReason.MANIFEST_CORRUPT
    return CorruptError(
        reason,
        f"What {', '.join(document.models)} is made of cannot be read, so nothing was deleted: {error.message} "
        "'mgit fsck' tells more.",
        **{**error.details, "key": document.key, "models": ",".join(document.models)},
    )


def _unknown_bases(error: CorruptError) -> CorruptError:
    return CorruptError(
        error.reason,
        f"What a chunk of a model rests on cannot be read, so nothing was deleted: {error.message} 'mgit fsck' "
        "tells more.",
        **error.details,
    )
