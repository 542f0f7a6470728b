"""Diffs as a person reads them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from mgit.cli.diff_groups import group_by_numbers
from mgit.cli.formatting import format_table
from mgit.diffing.values import (
    DiffState,
    LayerDiff,
    ModelDiff,
    ParameterChange,
    ParameterDiff,
    StructuralDiff,
)
from mgit.diffing.wording import (
    OUTERMOST,
    tell_names,
    tell_rank,
    tell_relationship,
    tell_remarks,
    tell_specs,
    tell_what,
)

__all__ = ["heading_lines", "parameter_lines", "structure_lines"]

_ORDER = {DiffState.REMOVED: 0, DiffState.ADDED: 1, DiffState.CHANGED: 2, DiffState.EQUAL: 3}
_STATES = (DiffState.CHANGED, DiffState.ADDED, DiffState.REMOVED)

Paint = Callable[[str, DiffState], str]


def heading_lines(diff: ModelDiff, *, structural: bool, contextual: bool) -> Iterator[str]:
    """Both models, how they stand to each other, and how much of what differs."""
    yield f"{diff.before.ref} -> {diff.after.ref}: {tell_relationship(diff)}"
    if structural:
        yield f"layers      {_layer_counts(diff.structural)}"
        if diff.structural.source.value != "names":
            yield f"data flow   {_flow_counts(diff.structural)}"
    if contextual:
        yield f"parameters  {_parameter_counts(diff)}"


def _layer_counts(diff: StructuralDiff) -> str:
    counts = Counter(layer.state for layer in diff.layers)
    told = [
        f"{diff.equal_layers:,} equal",
        *(f"{counts[state]:,} {state}" for state in _STATES if counts[state]),
    ]
    renamed = sum(layer.is_renamed for layer in diff.layers)
    if renamed:
        told.append(f"{renamed:,} renamed")
    if diff.items:
        least = "the fewest possible" if diff.is_minimal else f"no diff has fewer than {diff.least_items:,}"
        has_flow = any(edge.state is not DiffState.EQUAL for edge in diff.flow)
        told[-1] += f" ({diff.items:,} items with data flow; {least})" if has_flow else f" ({least})"
    return ", ".join(told)


def _flow_counts(diff: StructuralDiff) -> str:
    counts = Counter(edge.state for edge in diff.flow)
    changed = [f"{counts[state]:,} {state}" for state in _STATES if counts[state]]
    return ", ".join([f"{diff.equal_flow:,} edges equal", *changed])


def _parameter_counts(diff: ModelDiff) -> str:
    counts = Counter(each.state for each in diff.contextual)
    told = [
        f"{diff.equal_parameters:,} equal",
        *(f"{counts[state]:,} {state}" for state in _STATES if counts[state]),
    ]
    extras = (
        (sum(each.is_renamed for each in diff.contextual), "renamed"),
        (sum(each.is_cast for each in diff.contextual), "cast"),
        (sum(each.is_reshaped for each in diff.contextual), "reshaped"),
    )
    return ", ".join(told + [f"{count:,} {word}" for count, word in extras if count])


def structure_lines(diff: StructuralDiff, limit: int, paint: Paint) -> Iterator[str]:
    """Layers and data flow that differ, those alike in one line, at most ``limit`` lines of each."""
    layers = sorted((layer for layer in diff.layers if layer), key=lambda layer: _ORDER[layer.state])
    yield from _stated(
        "LAYER",
        (((layer.state, layer.is_renamed, tell_what(layer)), _paths(layer)) for layer in layers),
        limit,
        paint,
    )
    flow = sorted(diff.flow, key=lambda edge: _ORDER[edge.state])
    yield from _stated(
        "DATA FLOW",
        (
            ((edge.state, False, ""), f"{edge.giver or OUTERMOST} -> {edge.taker or OUTERMOST}")
            for edge in flow
            if edge.state is not DiffState.EQUAL
        ),
        limit,
        paint,
    )


def _stated(
    header: str, entries: Iterable[tuple[tuple[DiffState, bool, str], str]], limit: int, paint: Paint
) -> Iterator[str]:
    """A table of what became of things, those that differ in numbers only in one line; nothing without entries."""
    groups = list(group_by_numbers(entries))
    rows = [
        ("renamed" if is_renamed and state is DiffState.EQUAL else state.value, text, _times(what, count))
        for (state, is_renamed, what), text, count in groups
    ]
    if not rows:
        return
    yield ""
    lines = list(_table(("", header, ""), rows, "lll", limit))
    yield lines[0]
    for line, (word, _, _), ((state, _, _), _, _) in zip(lines[1:], rows[:limit], groups, strict=False):
        # Colors have no width, so they come when the table is laid out.
        yield paint(word, state) + line.removeprefix(word)
    yield from lines[1 + min(limit, len(rows)) :]


def _times(what: str, count: int) -> str:
    return what if count == 1 else f"{what} x{count}".lstrip()


def _paths(layer: LayerDiff) -> str:
    path = layer.path or OUTERMOST
    if layer.is_renamed and layer.before is not None:
        return f"{layer.before.path or OUTERMOST} => {path}"
    return path


def parameter_lines(parameters: Iterable[ParameterDiff], limit: int, paint: Paint) -> Iterator[str]:
    """Parameters that differ, those first whose change is largest beside what they were."""
    differing = [each for each in parameters if each]
    measured = sorted(
        (each for each in differing if each.change is not None and each.state is DiffState.CHANGED),
        key=lambda each: -_weight(each.change),
    )
    others = [each for each in differing if each.change is None]
    if measured:
        headers = ("PARAMETER", "RELATIVE", "L2", "LARGEST", "COSINE", "RANK", "DIFFERING", "")
        yield ""
        yield from _table(headers, [_measures(each) for each in measured], "lrrrrrrl", limit)
    yield from _stated(
        "PARAMETER",
        (
            ((each.state, each.is_renamed, tell_specs(each)), tell_names(each))
            for each in sorted(others, key=lambda each: _ORDER[each.state])
        ),
        limit,
        paint,
    )


def _weight(change: ParameterChange | None) -> float:
    relative = None if change is None else change.relative
    return math.inf if relative is None else relative


def _measures(diff: ParameterDiff) -> tuple[str, ...]:
    change = diff.change
    assert change is not None  # noqa: S101 - only those are asked for
    return (
        tell_names(diff),
        "-" if change.relative is None else f"{change.relative:.3g}",
        f"{change.change_norm:.3g}",
        f"{change.largest:.3g}",
        "-" if change.cosine is None else f"{change.cosine:.6f}",
        tell_rank(change),
        f"{change.differing:,} of {change.compared:,}",
        tell_remarks(diff, change),
    )


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], sides: str, limit: int) -> Iterator[str]:
    yield from format_table(headers, rows[:limit], sides)
    if len(rows) > limit:
        yield f"... and {len(rows) - limit:,} more; --limit shows more."
