"""Tags in memory."""

from __future__ import annotations

import builtins

from mgit_core.errors import ConflictError, ErrorReason, FailedPreconditionError
from mgit_core.lineage import ModelState, RequestKey, Tag
from mgit_core.ports.graph import Tags
from mgit_storage.lineage import checks
from mgit_storage.lineage.memory.state import MemoryGraph, State, summary_of

__all__ = ["MemoryTags"]


class MemoryTags(Tags):
    """Names for versions."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def put(self, uid: str, tag: str, *, force: bool = False, request: RequestKey | None = None) -> Tag:
        return self._graph.write(lambda state: _put(state, uid, tag, force=force), request)[0]

    async def delete(self, name: str, tag: str, request: RequestKey | None = None) -> Tag:
        return self._graph.write(lambda state: _delete(state, name, tag), request)[0]

    async def list(self, name: str) -> builtins.list[Tag]:
        state = self._graph.state
        mine = sorted((tag, uid) for (model_name, tag), uid in state.tags.items() if model_name == name)
        return [Tag(model_name=name, tag=tag, model=summary_of(state.models[uid])) for tag, uid in mine]


def _put(state: State, uid: str, tag: str, *, force: bool) -> Tag:
    model = state.model(uid)
    if model.state is ModelState.REMOVED:
        raise FailedPreconditionError(ErrorReason.MODEL_REMOVED, f"Model @{uid} was removed.", uid=uid)
    pointed = state.tags.get((model.name, tag))
    if pointed not in (None, uid) and not force:
        points_to = state.models[pointed].ref
        raise ConflictError(ErrorReason.TAG_MOVED, f"Tag {tag!r} points to {points_to}.", points_to=points_to)
    state.tags[model.name, tag] = uid
    return Tag(model_name=model.name, tag=tag, model=summary_of(model))


def _delete(state: State, name: str, tag: str) -> Tag:
    uid = state.tags.pop((name, tag), None)
    if uid is None:
        raise checks.tag_not_found(name, tag)
    return Tag(model_name=name, tag=tag, model=summary_of(state.models[uid]))
