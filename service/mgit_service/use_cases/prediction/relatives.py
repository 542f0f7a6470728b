"""Relatives of a model or draft that its chunks may be predicted from, nearest first.

What is found here changes how many bytes are stored, never which bytes come back. So a relative that cannot be
read is passed over: it is no reason to refuse an upload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, NotFoundError
from mgit_core.lineage import Direction, Model, Relation
from mgit_core.manifest import Manifest
from mgit_core.names import Reference
from mgit_core.ports.graph import TraversalQuery
from mgit_core.prediction.relatives import Relative
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.draft_header import DraftHeader
from mgit_service.use_cases.references import find_model, find_readable

__all__ = ["relatives_of_draft", "relatives_of_model"]

# A chain of differences is bounded to about this many chunks anyway.
_MOST_HOPS = 4
_MOST_MODELS = 16
_MOST_SIBLINGS = 6
# Behind every model that the lineage names.
_HOPS_OF_SIBLINGS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """How a relative is reached."""

    uid: str
    relation: Relation | None = None
    weight: float | None = None
    hops: int = 1


async def relatives_of_draft(backend: Backend, header: DraftHeader) -> tuple[Relative, ...]:
    """The parents that ``header`` declares, in order, the version before, and their ancestors.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND, for a parent or a version that is named.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    models = await asyncio.gather(
        *(find_readable(backend.lineage, parent.reference) for parent in header.parents)
    )
    links = [
        _Link(uid=model.uid, relation=parent.relation, weight=parent.weight)
        for model, parent in zip(models, header.parents, strict=True)
    ]
    links += await _version_before(backend, header)
    return await _relatives(backend, await _closure(backend, links))


async def relatives_of_model(
    backend: Backend, model: Model, similar: Sequence[str] = ()
) -> tuple[Relative, ...]:
    """Parents, the version before, ancestors, older siblings by a shared parent, and models that are alike.

    Args:
        backend: Store and graph.
        model: A present model.
        similar: UIDs of models that are alike, the most alike first; younger ones are passed over, since they
            may be predicted from this one.
    """
    links = [_Link(uid=edge.parent_uid, relation=edge.relation, weight=edge.weight) for edge in model.parents]
    if model.previous is not None:
        links.append(_Link(uid=model.previous.uid))
    found = await _closure(backend, links)
    others = [*await _siblings(backend, model), *similar]
    known = {each.uid for each, _ in found} | {model.uid}
    for uid in dict.fromkeys(others):
        other = None if uid in known else await _get(backend, uid)
        if other is not None and other.created_at < model.created_at:
            found.append((other, _Link(uid=uid, hops=_HOPS_OF_SIBLINGS)))
    own = model.parameters.digest if model.parameters else b""
    return await _relatives(backend, found, own)


async def _version_before(backend: Backend, header: DraftHeader) -> list[_Link]:
    if header.previous is not None:
        return [_Link(uid=(await find_model(backend.lineage, header.previous)).uid)]
    if not header.automatic_previous:
        return []
    try:
        return [_Link(uid=(await backend.lineage.models.get(Reference(name=header.name))).uid)]
    except NotFoundError:
        return []


async def _siblings(backend: Backend, model: Model) -> list[str]:
    uids: list[str] = []
    for edge in model.parents:
        query = TraversalQuery(
            uid=edge.parent_uid, direction=Direction.DESCENDANTS, max_depth=1, limit=_MOST_SIBLINGS
        )
        async for part in backend.lineage.traversal.relatives(query):
            uids += [related.model.uid for related in part]
    return uids[:_MOST_SIBLINGS]


async def _closure(backend: Backend, links: Iterable[_Link]) -> list[tuple[Model, _Link]]:
    """The models that ``links`` lead to and their ancestors, by hops; removed ones too, for their ancestors."""
    found: list[tuple[Model, _Link]] = []
    seen: set[str] = set()
    level = list(links)
    while level and len(found) < _MOST_MODELS:
        # A model may be a parent by two relations; both count.
        fresh = [link for link in level if link.uid not in seen][: _MOST_MODELS - len(found)]
        seen.update(link.uid for link in fresh)
        models = await asyncio.gather(*(_get(backend, link.uid) for link in fresh))
        there = [(model, link) for model, link in zip(models, fresh, strict=True) if model is not None]
        found += there
        level = [
            _Link(uid=edge.parent_uid, hops=link.hops + 1)
            for model, link in there
            if link.hops < _MOST_HOPS
            for edge in model.parents
        ]
        level = list({link.uid: link for link in level}.values())
    return found


async def _get(backend: Backend, uid: str) -> Model | None:
    try:
        return await find_readable(backend.lineage, f"@{uid}")
    except NotFoundError:
        return None


async def _relatives(
    backend: Backend, found: Sequence[tuple[Model, _Link]], own: Digest = b""
) -> tuple[Relative, ...]:
    """Those that can be read; what is equal to ``own`` tells nothing."""
    manifests = await asyncio.gather(*(_manifest(backend, model, own) for model, _ in found))
    return tuple(
        Relative(parameters=manifest, relation=link.relation, weight=link.weight, hops=link.hops)
        for manifest, (_, link) in zip(manifests, found, strict=True)
        if manifest is not None
    )


async def _manifest(backend: Backend, model: Model, own: Digest) -> Manifest | None:
    # What is promised is no base, even where some of it is here: soon it may come in another form.
    if model.parameters is None or not model.parameters.is_whole or model.parameters.digest == own:
        return None
    try:
        return await in_thread(backend, backend.parameters.read_manifest, model.parameters.manifest_key)
    except (NotFoundError, CorruptError):
        return None
