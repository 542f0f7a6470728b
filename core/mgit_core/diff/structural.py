"""The structural diff: layers and data flow that differ, the fewest that can be."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mgit_core.diff.aligning import align_paths, anchor
from mgit_core.diff.marks import MarkedGraph
from mgit_core.diff.matching import match_graphs
from mgit_core.diff.values import DiffState, FlowDiff, LayerDiff, StructuralDiff
from mgit_core.layers.graph import Layer, LayerGraph
from mgit_core.layers.naming import layers_from_names
from mgit_core.manifest import Parameter

__all__ = ["LayeredModel", "diff_structure", "own_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayeredModel:
    """A model as a diff sees it.

    Attributes:
        graph: Its layers.
        parameters: Its parameters, in order.
    """

    graph: LayerGraph
    parameters: Sequence[Parameter]


def diff_structure(before: LayeredModel, after: LayeredModel, *, whole: bool = False) -> StructuralDiff:
    """The layers and the data flow that differ between two models.

    Layers are alike if kind, attributes and the shapes of their parameters agree. Those that stand at one path and
    hold the same bits are the same layer. Which of the others stand for each other is chosen as ``match_graphs`` says,
    so that the fewest items differ. A module that was renamed or numbered anew is found by the digests of what it
    holds, or by names that have a prefix more, and counts as standing at the same path. Of one traced model and one
    that was not both are read from parameter names; data flow is compared only where both were traced.

    Args:
        before: The model that is compared from.
        after: The model that is compared to.
        whole: Whether layers and flow that are equal are listed too.

    Returns:
        The diff; that of ``after`` and ``before`` is its mirror.
    """
    graphs, note = _comparable(before, after)
    has_flow = graphs[0].is_traced
    marked = [
        _marked(graph, model.parameters, has_flow=has_flow)
        for graph, model in zip(graphs, (before, after), strict=True)
    ]
    matching = match_graphs(*_aligned(*marked))
    layers = list(_layer_diffs(graphs, marked, matching.pairs))
    flow = list(_flow_diffs(graphs, matching.pairs)) if has_flow else []
    return StructuralDiff(
        layers=tuple(each for each in layers if whole or each),
        flow=tuple(each for each in flow if whole or each.state is not DiffState.EQUAL),
        equal_layers=sum(each.state is DiffState.EQUAL for each in layers),
        equal_flow=sum(each.state is DiffState.EQUAL for each in flow),
        items=matching.items,
        least_items=matching.least_items,
        source=graphs[0].source,
        note=note,
    )


def _comparable(before: LayeredModel, after: LayeredModel) -> tuple[list[LayerGraph], str]:
    """Graphs of one kind, and what has to be said of them."""
    graphs = [before.graph, after.graph]
    if graphs[0].is_traced == graphs[1].is_traced:
        return graphs, "" if graphs[0].is_traced else _UNTRACED
    return [layers_from_names(model.parameters) for model in (before, after)], _HALF_TRACED


# Fewer items than these are alike by chance.
_FEWEST_ITEMS = 16
_UNTRACED = "Layers are known from parameter names; the data flow between them is not known."
_HALF_TRACED = (
    "Only one of the two was traced, so layers are those of parameter names, and data flow is not compared."
)


def _marked(graph: LayerGraph, parameters: Iterable[Parameter], *, has_flow: bool) -> MarkedGraph:
    known = {parameter.name: parameter for parameter in parameters}
    hints = [_content(layer, known) for layer in graph.layers]
    counts = Counter(hints)
    return MarkedGraph(
        paths=tuple(layer.path for layer in graph.layers),
        forms=tuple(_form(layer, known) for layer in graph.layers),
        contents=tuple(
            hint if counts[hint] == 1 and _is_telling(layer, known) else b""
            for layer, hint in zip(graph.layers, hints, strict=True)
        ),
        hints=tuple(hints),
        edges=frozenset(graph.edges) if has_flow else frozenset(),
    )


def _aligned(before: MarkedGraph, after: MarkedGraph) -> tuple[MarkedGraph, MarkedGraph]:
    """Both with paths that agree where modules moved, and with what is the same tied together.

    Found in one direction, whichever is called before.
    """
    if before.order_key() <= after.order_key():
        return anchor(align_paths(before, after), after)
    return anchor(before, align_paths(after, before))


def _form(layer: Layer, known: Mapping[str, Parameter]) -> str:
    """What a layer is like, as text. Attributes leave out much; shapes of parameters say it."""
    shapes = {own_name(layer, name): known[name].spec.shape for name in layer.parameters if name in known}
    attributes = dict(layer.attributes)
    return json.dumps([layer.kind, bool(layer.repeats), attributes, shapes], sort_keys=True)


def own_name(layer: Layer, name: str) -> str:
    """The name of a parameter within its layer."""
    return name.removeprefix(f"{layer.path}.") if layer.path else name


def _content(layer: Layer, known: Mapping[str, Parameter]) -> bytes:
    return b"".join(known[name].digest for name in layer.parameters if name in known)


def _is_telling(layer: Layer, known: Mapping[str, Parameter]) -> bool:
    """Whether two models hold the same here only where it was taken over: vectors are often still all ones."""
    shapes = [known[name].spec.shape for name in layer.parameters if name in known]
    return any(len(shape) > 1 and math.prod(shape) >= _FEWEST_ITEMS for shape in shapes)


def _layer_diffs(
    graphs: Sequence[LayerGraph], marked: Sequence[MarkedGraph], pairs: Sequence[int | None]
) -> Iterator[LayerDiff]:
    before, after = graphs
    for at, other in enumerate(pairs):
        yield LayerDiff(
            before=before.layers[at],
            after=None if other is None else after.layers[other],
            is_alike=other is not None and marked[0].forms[at] == marked[1].forms[other],
            before_at=at,
            after_at=other,
        )
    paired = {other for other in pairs if other is not None}
    for at, layer in enumerate(after.layers):
        if at not in paired:
            yield LayerDiff(before=None, after=layer, is_alike=False, after_at=at)


def _flow_diffs(graphs: Sequence[LayerGraph], pairs: Sequence[int | None]) -> Iterator[FlowDiff]:
    before, after = graphs
    there = set(after.edges)
    kept: set[tuple[int | None, int | None]] = set()
    for giver, taker in before.edges:
        image = pairs[giver], pairs[taker]
        if image in there:
            kept.add(image)
        else:
            yield _flow(before, giver, taker, DiffState.REMOVED)
    for giver, taker in after.edges:
        state = DiffState.EQUAL if (giver, taker) in kept else DiffState.ADDED
        yield _flow(after, giver, taker, state)


def _flow(graph: LayerGraph, giver: int, taker: int, state: DiffState) -> FlowDiff:
    return FlowDiff(giver=graph.layers[giver].path, taker=graph.layers[taker].path, state=state)
