"""Models that may be relatives, found in the graph: near sketches, their lineage, holders of equal tensors.

How many are looked at does not depend on how many there are.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence

from mgit_core.errors import NotFoundError
from mgit_core.inference.samples import choose_compared
from mgit_core.lineage import Direction, Model, ModelSummary
from mgit_core.manifest import Manifest
from mgit_core.names import Reference, make_uid
from mgit_core.ports.graph import Page, TraversalQuery
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.maintenance.sketching import make_sketch

__all__ = ["find_candidates", "is_before", "oldest_sets"]

# The index knows no time: a hundred are asked for, so that a model's own children leave room for its parent.
_ASKED_FOR, _NEAREST = 100, 20
# Sketches of strangers are within a quarter of 0; those of a child that was pruned hard are not far above.
_LEAST_SIMILAR = 0.1
_MOST = 40
_EXPANDED = 4
_HOPS = 3
_MOST_SIBLINGS = 8
_MOST_HOLDERS = 8
_TENSORS_ASKED_FOR = 3
# Sketches are made within seconds, or minutes on a busy machine; of those that came since some are taken.
_RECENT_MS, _LISTED, _MOST_RECENT = 300_000, 200, 20


def is_before(one: ModelSummary, other: ModelSummary) -> bool:
    """Whether a model was there before another."""
    return (one.created_at, one.uid) < (other.created_at, other.uid)


async def find_candidates(
    backend: Backend, model: Model, manifest: Manifest, *, any_time: bool = True
) -> list[Model]:
    """Present models that may be relatives of ``model``, the likely first; 40 at most.

    Those of which chunks are in another store are left out. One model for each parameter set, except that models with the parameters of ``model`` itself all come.

    Args:
        backend: Store and graph.
        model: The model.
        manifest: What it is made of.
        any_time: Whether later models come too; they would push out earlier ones, where a model has many children.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND, for a chunk of the model itself.
        CorruptError: CHUNK_CORRUPT, for one of the model itself.
    """
    found: dict[str, Model] = {}
    sets: set[bytes] = set()
    own = model.parameters.digest if model.parameters else b""
    async for uid in _uids(backend, model, manifest, any_time=any_time):
        if uid == model.uid or uid in found:
            continue
        candidate = await _present(backend, uid)
        if candidate is None or candidate.parameters is None or not candidate.parameters.is_whole:
            continue
        if not any_time and not is_before(candidate, model):
            continue
        digest = candidate.parameters.digest
        if digest == own or digest not in sets:
            sets.add(digest)
            found[uid] = candidate
        if len(found) >= _MOST:
            break
    return list(found.values())


async def _uids(backend: Backend, model: Model, manifest: Manifest, *, any_time: bool) -> AsyncIterator[str]:
    near = await _near(backend, model, manifest, any_time=any_time)
    for uid in near:
        yield uid
    async for uid in _holders(backend, manifest):
        near.append(uid)
        yield uid
    for uid in dict.fromkeys(near[:_EXPANDED]):
        async for relative in _relatives(backend, uid):
            yield relative
    for recent in await _recent(backend, model):
        yield recent


async def _near(backend: Backend, model: Model, manifest: Manifest, *, any_time: bool) -> list[str]:
    vector = (await make_sketch(backend, manifest)).vector
    if not any(vector):
        return []
    similar = await backend.lineage.sketches.nearest(vector, _ASKED_FOR)
    near = [
        each.model.uid
        for each in similar
        if each.similarity >= _LEAST_SIMILAR and (any_time or is_before(each.model, model))
    ]
    return near[:_NEAREST]


async def _holders(backend: Backend, manifest: Manifest) -> AsyncIterator[str]:
    """Models that hold one of the largest matrices: an encoder that was frozen, a trunk that was taken over."""
    largest = sorted(choose_compared(manifest.parameters), key=lambda each: -math.prod(each.spec.shape))
    for parameter in largest[:_TENSORS_ASKED_FOR]:
        page = Page(size=_MOST_HOLDERS)
        for use in await backend.lineage.content.models_with_tensor(parameter.digest, page):
            yield use.model.uid


async def _recent(backend: Backend, model: Model) -> list[str]:
    """Models that were added shortly before: their sketches may not be made yet, or not be found yet."""
    since_ms = int(model.created_at.timestamp() * 1_000) - _RECENT_MS
    page = Page(size=_LISTED, after=make_uid(max(0, since_ms), bytes(10)))
    recent = await backend.lineage.content.parameter_sets(page)
    return [each.uid for each in recent if is_before(each, model)][-_MOST_RECENT:]


async def _relatives(backend: Backend, uid: str) -> AsyncIterator[str]:
    """Ancestors of a model, then what else was made from its parents."""
    parents: list[str] = []
    query = TraversalQuery(uid=uid, direction=Direction.ANCESTORS, max_depth=_HOPS, limit=_MOST_SIBLINGS)
    async for hops, relative in _walk(backend, query):
        if hops == 1:
            parents.append(relative)
        yield relative
    for parent in parents[:2]:
        query = TraversalQuery(uid=parent, direction=Direction.DESCENDANTS, max_depth=1, limit=_MOST_SIBLINGS)
        async for _, relative in _walk(backend, query):
            yield relative


async def _walk(backend: Backend, query: TraversalQuery) -> AsyncIterator[tuple[int, str]]:
    try:
        async for part in backend.lineage.traversal.relatives(query):
            for related in part:
                yield related.hops, related.model.uid
    except NotFoundError:  # It was removed since it was found.
        return


async def _present(backend: Backend, uid: str) -> Model | None:
    try:
        return await backend.lineage.models.get(Reference(uid=uid))
    except NotFoundError:
        return None


async def oldest_sets(backend: Backend, most: int) -> Sequence[Model]:
    """The oldest present models: bases are older than what was made from them."""
    return await backend.lineage.content.parameter_sets(Page(size=most))
