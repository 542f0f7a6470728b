"""Vectors of parameter sets, in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mgit_core.digest import Digest
from mgit_core.lineage import ParameterSet
from mgit_core.ports.graph import Page, SimilarModel, Sketches
from mgit_storage.lineage.memory.state import MemoryGraph, State, summary_of

__all__ = ["MemorySketches"]


class MemorySketches(Sketches):
    """Looks at every vector."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def put(self, parameter_set: Digest, vector: Sequence[float]) -> None:
        def unit(state: State) -> None:
            if parameter_set in _held(state):
                state.sketches[parameter_set] = tuple(vector)

        self._graph.write(unit)

    async def nearest(self, vector: Sequence[float], limit: int) -> list[SimilarModel]:
        if not any(vector):
            return []
        state = self._graph.state
        oldest: dict[Digest, SimilarModel] = {}
        for model in sorted(state.present(), key=lambda each: (each.created_at, each.uid)):
            digest = model.parameters.digest if model.parameters is not None else b""
            if digest in state.sketches and digest not in oldest and any(state.sketches[digest]):
                similarity = _cosine(state.sketches[digest], vector)
                oldest[digest] = SimilarModel(model=summary_of(model), similarity=similarity)
        found = sorted(oldest.values(), key=lambda each: (-each.similarity, each.model.uid))
        return found[:limit]

    async def lacking(self, page: Page) -> list[ParameterSet]:
        state = self._graph.state
        found = sorted(
            digest
            for digest in _held(state)
            if digest not in state.sketches and state.sets[digest].promised_by is None
        )
        return [state.sets[digest] for digest in found if digest.hex() > (page.after or "")][: page.size]


def _held(state: State) -> set[Digest]:
    """Parameter sets of present models."""
    return {model.parameters.digest for model in state.present() if model.parameters is not None}


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))
