"""Which changes may spoil each other: by data flow in the layer graphs of all three models, taken as one.

What is computed behind a changed layer was trained, or tested, with what that layer gave before. So changes of two
sides are independent only where neither reaches the other and nothing takes both in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from mgit_core.layers.graph import LayerGraph
from mgit_core.merge.values import Dependence, MergeSide, MergeSides, PossibleConflict

__all__ = ["MAX_POSSIBLE_CONFLICTS", "DataFlow", "SideLayers", "unite_flows"]

MAX_POSSIBLE_CONFLICTS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLayers:
    """The layers that hold a side's changes.

    Attributes:
        paths: Paths of layers, each once.
        strays: Names of changed parameters that no layer owns, so that nothing is known of where they flow.
    """

    paths: tuple[str, ...] = ()
    strays: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was changed."""
        return not self.paths and not self.strays


@dataclass(frozen=True, slots=True)
class DataFlow:
    """The layers of several graphs as one, by path, with every edge that one of them has.

    Attributes:
        is_known: Whether all graphs were traced. If not, every two layers may depend on each other.
        notes: What a person should know of how it was put together.
    """

    is_known: bool
    notes: tuple[str, ...]
    _takers: Mapping[str, Sequence[str]]
    _calls: Mapping[str, Sequence[str]]
    _first_call: Mapping[str, str]
    _owner: Mapping[str, str]

    def layers_of(self, names: Iterable[str]) -> SideLayers:
        """The layers that own some parameters."""
        names = list(names)
        owners = [self._owner[name] for name in names if name in self._owner]
        return SideLayers(
            paths=tuple(dict.fromkeys(owners)),
            strays=tuple(name for name in names if name not in self._owner),
        )

    def find_dependences(self, ours: SideLayers, theirs: SideLayers) -> tuple[PossibleConflict, ...]:
        """Possible conflicts between two sets of changes, at most ``MAX_POSSIBLE_CONFLICTS``; linear in the graph.

        Each layer that takes part in one is named at least once, with one other that it depends on; layers that both
        sides feed are named only where that is all there is.
        """
        if ours.is_empty or theirs.is_empty:
            return ()
        changed_by_theirs = frozenset(theirs.paths)
        found = [
            PossibleConflict(ours=path, theirs=path, dependence=Dependence.SAME_LAYER)
            for path in ours.paths
            if path in changed_by_theirs
        ]
        found += self._unknown(ours, theirs)
        if self.is_known:
            found += self._known(ours, theirs)
        return tuple(found[:MAX_POSSIBLE_CONFLICTS])

    def _unknown(self, ours: SideLayers, theirs: SideLayers) -> list[PossibleConflict]:
        """One pair of which nothing can be told, if there is any: where there is one, all others are like it."""
        strays = {*ours.strays, *theirs.strays}
        if self.is_known and not strays:
            return []
        pairs = product((*ours.strays, *ours.paths), (*theirs.strays, *theirs.paths))
        for one, other in pairs:
            if one != other and (not self.is_known or one in strays or other in strays):
                return [PossibleConflict(ours=one, theirs=other, dependence=Dependence.NOT_KNOWN)]
        return []

    def _known(self, ours: SideLayers, theirs: SideLayers) -> list[PossibleConflict]:
        by_ours, by_theirs = self._fed(ours.paths), self._fed(theirs.paths)
        found = [
            PossibleConflict(ours=by_ours[path], theirs=path, dependence=Dependence.OURS_FEEDS_THEIRS)
            for path in theirs.paths
            if path in by_ours
        ]
        found += [
            PossibleConflict(ours=path, theirs=by_theirs[path], dependence=Dependence.THEIRS_FEEDS_OURS)
            for path in ours.paths
            if path in by_theirs
        ]
        if found or set(ours.paths) & set(theirs.paths):
            return found
        shared = [path for path in by_ours if path in by_theirs]
        pairs: dict[tuple[str, str], PossibleConflict] = {}
        for path in shared:
            pair = by_ours[path], by_theirs[path]
            pairs.setdefault(
                pair,
                PossibleConflict(
                    ours=pair[0], theirs=pair[1], dependence=Dependence.SHARED_LAYER, through=path
                ),
            )
        return list(pairs.values())

    def _fed(self, starts: Sequence[str]) -> dict[str, str]:
        """Every layer that is fed by one of ``starts``, nearest first, with the one that was found to feed it.

        A start is in it only if another start feeds it; it may feed itself by a further call.
        """
        fed: dict[str, str] = {}
        queue = deque((call, start) for start in starts for call in self._calls.get(start, (start,)))
        seen: set[str] = set()
        while queue:
            layer, start = queue.popleft()
            for taker in self._takers.get(layer, ()):
                path = self._first_call.get(taker, taker)
                if path != start:
                    fed.setdefault(path, start)
                if taker not in seen:
                    seen.add(taker)
                    queue.append((taker, start))
        return fed


def unite_flows(sides: MergeSides) -> DataFlow:
    """The data flow of all three models.

    A model without a traced graph takes that of another of the three whose parameters have the same names, types and
    shapes: it is taken to be the same architecture, and the notes say so.
    """
    named = {"the base": sides.base, "ours": sides.ours, "theirs": sides.theirs}
    graphs: list[LayerGraph] = []
    notes: list[str] = []
    is_known = True
    for name, side in named.items():
        graph, note = _graph_of(name, side, named)
        graphs.append(graph)
        notes += [note] if note else []
        is_known = is_known and graph.is_traced
    return _unite(graphs, is_known=is_known, notes=tuple(notes))


def _graph_of(name: str, side: MergeSide, named: Mapping[str, MergeSide]) -> tuple[LayerGraph, str]:
    if side.graph.is_traced:
        return side.graph, ""
    for other_name, other in named.items():
        if other.graph.is_traced and _specs(other) == _specs(side):
            note = (
                f"The layers of {name} were not traced; those of {other_name} stand for them, whose parameters have "
                "the same names and shapes."
            )
            return other.graph, note
    note = (
        f"The layers of {name} were not traced, so that no data flow is known and changes of different parameters "
        "are a possible conflict at best."
    )
    return side.graph, note


def _specs(side: MergeSide) -> dict[str, object]:
    return {parameter.name: parameter.spec for parameter in side.manifest.parameters}


def _unite(graphs: Sequence[LayerGraph], *, is_known: bool, notes: tuple[str, ...]) -> DataFlow:
    takers: dict[str, dict[str, None]] = {}
    calls: dict[str, dict[str, None]] = {}
    first_call: dict[str, str] = {}
    owner: dict[str, str] = {}
    for graph in graphs:
        for layer in graph.layers:
            first = layer.repeats or layer.path
            first_call[layer.path] = first
            calls.setdefault(first, {})[layer.path] = None
            for name in layer.parameters:
                owner.setdefault(name, layer.path)
        for giver, taker in graph.edges:
            takers.setdefault(graph.layers[giver].path, {})[graph.layers[taker].path] = None
    return DataFlow(
        is_known,
        notes,
        {path: tuple(found) for path, found in takers.items()},
        {path: tuple(found) for path, found in calls.items()},
        first_call,
        owner,
    )
