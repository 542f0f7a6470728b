"""Questions from content to models, in memory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from mgit_core.digest import Digest
from mgit_core.lineage import Model
from mgit_core.ports.graph import ContentQueries, DuplicateGroup, GraphCounts, Page, TensorUse
from mgit_storage.lineage.memory.state import MemoryGraph, State, summary_of

__all__ = ["MemoryContentQueries"]


class MemoryContentQueries(ContentQueries):
    """Who holds what."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def models_with_tensor(self, digest: Digest, page: Page) -> list[TensorUse]:
        state = self._graph.state
        after_uid, _, after_name = (page.after or "").partition("/")
        uses = sorted(
            (model.uid, tensor.name)
            for model, parameters in _holders(state)
            for tensor in state.tensors[parameters]
            if tensor.digest == digest
        )
        later = [use for use in uses if use > (after_uid, after_name)]
        return [
            TensorUse(model=summary_of(state.models[uid]), parameter=name) for uid, name in later[: page.size]
        ]

    async def duplicates(self, page: Page) -> list[DuplicateGroup]:
        groups: dict[Digest, list[Model]] = defaultdict(list)
        for model, parameters in _holders(self._graph.state):
            groups[parameters].append(model)
        found = [
            DuplicateGroup(
                digest=digest,
                models=tuple(
                    map(summary_of, sorted(groups[digest], key=lambda each: (each.created_at, each.uid)))
                ),
            )
            for digest in sorted(groups)
            if len(groups[digest]) > 1 and digest.hex() > (page.after or "")
        ]
        return found[: page.size]

    async def parameter_sets(self, page: Page) -> list[Model]:
        state = self._graph.state
        found = [model for model in state.present() if model.uid > (page.after or "")]
        return [_without_edges(state.described(model.uid)) for model in found[: page.size]]

    async def counts(self) -> GraphCounts:
        state = self._graph.state
        sizes = [
            (state.sets[parameters], state.sets[parameters].size_bytes + model.files_bytes)
            for model, parameters in _holders(state)
        ]
        promised = [size_bytes for parameters, size_bytes in sizes if parameters.promised_by is not None]
        return GraphCounts(
            models=len(state.present()),
            edges=sum(len(edges) for edges in state.parents.values()),
            tensors=len(
                {tensor.digest for _, held in _holders(state) for tensor in state.tensors[held]},
            ),
            logical_bytes=sum(size_bytes for _, size_bytes in sizes) - sum(promised),
            promised=len(promised),
            promised_bytes=sum(promised),
        )


def _without_edges(model: Model) -> Model:
    return replace(
        model, type=None, parents=(), parent_refs=(), previous=None, tags=(), datasets=(), creation=None
    )


def _holders(state: State) -> list[tuple[Model, Digest]]:
    """Present models with the digest of their parameters."""
    return [(model, model.parameters.digest) for model in state.present() if model.parameters is not None]
