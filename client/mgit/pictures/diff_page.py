"""A diff as one self-contained HTML page: both layer graphs side by side."""

from __future__ import annotations

import html
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import resources

from mgit.diffing.values import DiffState, LayerDiff, ModelDiff, ParameterDiff
from mgit.diffing.wording import tell_change, tell_layer, tell_relationship
from mgit_core.layers.graph import Layer

__all__ = ["draw_diff"]

_PLACE = re.compile(r"\{\{(\w+)\}\}")
_SHOWN_PARAMETERS = 500
# Beyond it the page shows at first what differs only.
_MANY_LAYERS = 300
# A change of a millionth of a tensor's length is still seen; one of a tenth is as strong as it gets.
_FAINTEST, _STRONGEST = -6.0, -1.0


def draw_diff(diff: ModelDiff) -> str:
    """The text of a page with both models' layers, their data flow, and what differs in each.

    Wants a diff with equal layers and flow; without, only what differs is on it.
    """
    rows = _in_rows(diff.structural.layers)
    parameters = _by_layer(rows, diff.contextual)
    changed = sum(each.state is DiffState.CHANGED for each in diff.contextual)
    texts = {
        "title": html.escape(f"{diff.before.ref} → {diff.after.ref}"),
        "before": html.escape(diff.before.ref),
        "after": html.escape(diff.after.ref),
        "relationship": html.escape(tell_relationship(diff)),
        "summary": html.escape(", ".join(diff.counts()) or "nothing differs"),
        "equal": f"{diff.structural.equal_layers:,} layers and {diff.equal_parameters:,} parameters are equal",
        "note": html.escape(diff.structural.note),
        "rows": "\n".join(_row(at, row, parameters[at]) for at, row in enumerate(rows)),
        "flow": json.dumps(list(_flow(rows, diff))),
        "only": "checked" if len(rows) > _MANY_LAYERS else "",
        "parameters": "\n".join(_parameter_rows(diff, rows)),
        "cut": f"The first {_SHOWN_PARAMETERS:,} of {changed:,}." if changed > _SHOWN_PARAMETERS else "",
    }
    page = resources.files("mgit.pictures").joinpath("diff.html").read_text(encoding="utf-8")
    return _PLACE.sub(lambda place: texts[place[1]], page)


def _in_rows(layers: Sequence[LayerDiff]) -> list[LayerDiff]:
    """Layers in the order of after, removed ones behind what they stood behind."""
    removed: dict[int, list[LayerDiff]] = defaultdict(list)
    last = -1
    for layer in sorted((each for each in layers if each.before), key=lambda each: each.before_at or 0):
        if layer.after is None:
            removed[last].append(layer)
        else:
            last = layer.after_at or 0
    rows = list(removed.pop(-1, ()))
    for layer in sorted((each for each in layers if each.after), key=lambda each: each.after_at or 0):
        rows.append(layer)
        rows += removed.pop(layer.after_at or 0, ())
    return rows


def _by_layer(
    rows: Sequence[LayerDiff], parameters: Sequence[ParameterDiff]
) -> dict[int, list[ParameterDiff]]:
    """The parameters that differ, by the row of their layer."""
    owners = _owners(rows)
    found: dict[int, list[ParameterDiff]] = defaultdict(list)
    for each in parameters:
        at = _row_of(each, owners)
        if at is not None and each:
            found[at].append(each)
    return found


def _owners(rows: Sequence[LayerDiff]) -> dict[tuple[bool, str], int]:
    owners: dict[tuple[bool, str], int] = {}
    for at, row in enumerate(rows):
        for is_after, layer in ((False, row.before), (True, row.after)):
            owners.update(((is_after, name), at) for name in (layer.parameters if layer else ()))
    return owners


def _row_of(parameter: ParameterDiff, owners: dict[tuple[bool, str], int]) -> int | None:
    for is_after, side in ((True, parameter.after), (False, parameter.before)):
        if side is not None and (is_after, side.name) in owners:
            return owners[is_after, side.name]
    return None


def _row(at: int, row: LayerDiff, parameters: Sequence[ParameterDiff]) -> str:
    classes = [row.state.value]
    if row.is_renamed:
        classes.append("renamed")
    strength = _strength(parameters)
    if strength is not None and row.state is DiffState.EQUAL:
        classes.append("values")
    details = "\n".join([*tell_layer(row), *(f"{each.name}: {tell_change(each)}" for each in parameters)])
    style = "" if strength is None else f' style="--strength:{strength:.0f}%"'
    return (
        f'<div class="row {" ".join(classes)}" id="row{at}" tabindex="0" data-details="{html.escape(details)}"{style}>'
        f"{_box(row.before)}<i></i>{_box(row.after)}</div>"
    )


def _box(layer: Layer | None) -> str:
    if layer is None:
        return '<div class="none"></div>'
    path, kind = html.escape(layer.path or "(model)"), html.escape(layer.kind)
    return f'<div class="box"><b><bdi>{path}</bdi></b><span>{kind}</span></div>'


def _strength(parameters: Sequence[ParameterDiff]) -> float | None:
    """How strongly a layer's values changed, from 15 to 70; None where none did."""
    changed = [each for each in parameters if each.state is DiffState.CHANGED]
    if not changed:
        return None
    relatives = [each.change.relative for each in changed if each.change is not None]
    if not relatives:
        return 40.0
    largest = max(math.inf if relative is None else relative for relative in relatives)
    power = math.log10(min(max(largest, 10**_FAINTEST), 10**_STRONGEST))
    return 15 + 55 * (power - _FAINTEST) / (_STRONGEST - _FAINTEST)


def _flow(rows: Sequence[LayerDiff], diff: ModelDiff) -> Iterator[tuple[int, int, str]]:
    """Edges of data flow as rows, and what became of them."""
    before = {row.before.path: at for at, row in enumerate(rows) if row.before}
    after = {row.after.path: at for at, row in enumerate(rows) if row.after}
    for edge in diff.structural.flow:
        places = before if edge.state is DiffState.REMOVED else after
        if edge.giver in places and edge.taker in places:
            yield places[edge.giver], places[edge.taker], edge.state.value


def _parameter_rows(diff: ModelDiff, rows: Sequence[LayerDiff]) -> Iterator[str]:
    owners = _owners(rows)
    changed = [each for each in diff.contextual if each.state is DiffState.CHANGED]
    changed.sort(key=lambda each: -_relative(each))
    for each in changed[:_SHOWN_PARAMETERS]:
        at = _row_of(each, owners)
        name = html.escape(each.name)
        link = name if at is None else f'<a href="#row{at}">{name}</a>'
        relative = "" if each.change is None else f"{_relative(each):.2g}"
        rank = ""
        if each.change is not None and each.change.rank is not None:
            rank = f"{'≥ ' if each.change.rank_is_bound else ''}{each.change.rank}"
        yield f'<tr title="{html.escape(tell_change(each))}"><td>{link}</td><td>{relative}</td><td>{rank}</td></tr>'


def _relative(diff: ParameterDiff) -> float:
    if diff.change is None or diff.change.relative is None:
        return math.inf
    return diff.change.relative
