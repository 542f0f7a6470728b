"""What a reading touches: chunks, and those that their stored form rests on."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.digest import Digest
from mgit_core.ports.chunks import ChunkStore, StoredForm
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.maintenance.digests import DigestArray, DigestGatherer, DigestSet

__all__ = ["forms_touched", "touched_by"]

# Look-ups in one go; between two of them a cancelled call ends.
_CHUNKS_AT_ONCE = 8_192


async def touched_by(backend: Backend, chunks: DigestSet) -> DigestSet:
    """``chunks`` and the bases of the copies that readers take of them, and theirs.

    Headers are read of chunks only that are differences. Memory: 40 bytes for each chunk.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION, for a header that cannot be read.
    """
    touched = fresh = chunks
    while len(fresh):
        gatherer = DigestGatherer()
        for start in range(0, len(fresh), _CHUNKS_AT_ONCE):
            part = fresh.digests[start : start + _CHUNKS_AT_ONCE]
            gatherer.add(await in_thread(backend, _bases_of, backend.chunks, part))
        bases = gatherer.finish()
        fresh = DigestSet(bases.digests[~touched.has(bases.digests)])
        touched = touched.joined(fresh.digests)
    return touched


def _bases_of(chunks: ChunkStore, digests: DigestArray) -> set[Digest]:
    seen: set[Digest] = set()
    differences: list[Digest] = []
    for part in chunks.maintenance.copies([digest.tobytes() for digest in digests]):
        for copy in part:
            if copy.digest not in seen and copy.needs_bases:
                differences.append(copy.digest)
            seen.add(copy.digest)
    return {base for form in chunks.forms(differences) for base in form.bases}


async def forms_touched(backend: Backend, chunks: Sequence[Digest]) -> dict[Digest, StoredForm]:
    """How each chunk that a reading of ``chunks`` touches is stored. Memory: some 400 bytes for each.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND.
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION, for a header that cannot be read.
    """
    forms: dict[Digest, StoredForm] = {}
    fresh = list(dict.fromkeys(chunks))
    while fresh:
        for start in range(0, len(fresh), _CHUNKS_AT_ONCE):
            part = fresh[start : start + _CHUNKS_AT_ONCE]
            forms |= zip(part, await in_thread(backend, backend.chunks.forms, part), strict=True)
        bases = dict.fromkeys(base for digest in fresh for base in forms[digest].bases)
        fresh = [base for base in bases if base not in forms]
    return forms
