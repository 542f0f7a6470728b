"""Diffs in words, the same in tables and pictures."""

from __future__ import annotations

from collections.abc import Iterator

from mgit.diffing.values import (
    DiffState,
    LayerDiff,
    ModelDiff,
    ParameterChange,
    ParameterDiff,
    Relationship,
    RelationshipKind,
)
from mgit_core.layers.graph import AttributeValue, Layer

__all__ = [
    "OUTERMOST",
    "tell_change",
    "tell_layer",
    "tell_names",
    "tell_rank",
    "tell_relationship",
    "tell_remarks",
    "tell_specs",
    "tell_what",
]

OUTERMOST = "(model)"
"""What stands for the empty path."""


def tell_relationship(diff: ModelDiff) -> str:
    """How the two models stand to each other."""
    return "; ".join(_relationship_words(diff.relationship, diff.before.ref, diff.after.ref))


def _relationship_words(relationship: Relationship, before: str, after: str) -> Iterator[str]:
    relation = "derived" if relationship.relation is None else relationship.relation.value
    words = {
        RelationshipKind.SAME: "the same model",
        RelationshipKind.CHILD: f"{after} was {relation} from {before}",
        RelationshipKind.PARENT: f"{before} was {relation} from {after}",
        RelationshipKind.DESCENDANT: f"{after} descends from {before}",
        RelationshipKind.ANCESTOR: f"{before} descends from {after}",
        RelationshipKind.RELATED: "both descend from "
        + ", ".join(model.ref for model in relationship.common_ancestors),
    }
    is_version = relationship.is_newer_version or relationship.is_older_version
    if relationship.kind in words:
        yield words[relationship.kind]
    elif not is_version:
        yield "unrelated in the lineage"
    if relationship.is_newer_version:
        yield f"{after} is the next version of {before}"
    if relationship.is_older_version:
        yield f"{before} is the next version of {after}"


def tell_layer(layer: LayerDiff) -> Iterator[str]:
    """What became of a layer, a line each."""
    for word, side in (("before", layer.before), ("after", layer.after)):
        if side is not None:
            yield f"{word}: {side.path or OUTERMOST}, {side.kind}{_attributes(side)}"
    if layer.state is DiffState.EQUAL:
        yield "alike, renamed" if layer.is_renamed else "alike"
    else:
        yield layer.state.value
    if layer.state is DiffState.CHANGED:
        yield tell_what(layer)


def tell_what(layer: LayerDiff) -> str:
    """Kind and attributes; of a layer that is on both sides what changed of them."""
    if layer.before is None or layer.after is None:
        side = layer.after or layer.before
        return "" if side is None else f"{side.kind}{_attributes(side)}"
    kinds = [layer.before.kind, layer.after.kind]
    kind = kinds[0] if kinds[0] == kinds[1] else " -> ".join(kinds)
    names = {**layer.before.attributes, **layer.after.attributes}
    changed = [
        f"{name} {_value(layer.before.attributes.get(name))} -> {_value(layer.after.attributes.get(name))}"
        for name in names
        if layer.before.attributes.get(name) != layer.after.attributes.get(name)
    ]
    if not changed and layer.state is DiffState.CHANGED and kinds[0] == kinds[1]:
        changed = ["shapes of parameters"]
    return f"{kind} {', '.join(changed)}".rstrip()


def _attributes(layer: Layer) -> str:
    if not layer.attributes:
        return ""
    return f"({', '.join(f'{name}={_value(value)}' for name, value in layer.attributes.items())})"


def _value(value: AttributeValue | None) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "()"
    return "-" if value is None else str(value)


def tell_names(diff: ParameterDiff) -> str:
    """Its name, and the one that it had."""
    if diff.is_renamed and diff.before is not None:
        return f"{diff.before.name} => {diff.name}"
    return diff.name


def tell_specs(diff: ParameterDiff) -> str:
    """Data type and shape, of both sides where they differ."""
    sides = [
        f"{side.spec.dtype}{list(side.spec.shape)}" for side in (diff.before, diff.after) if side is not None
    ]
    return " -> ".join(dict.fromkeys(sides))


def tell_rank(change: ParameterChange) -> str:
    """The rank of a change; a hyphen where it is not told."""
    return "-" if change.rank is None else f"{'>=' if change.rank_is_bound else ''}{change.rank}"


def tell_remarks(diff: ParameterDiff, change: ParameterChange) -> str:
    """What numbers in columns do not say: a cast, another shape, zeros, NaN."""
    remarks: list[str] = []
    if diff.is_cast or diff.is_reshaped:
        remarks.append(tell_specs(diff))
    if diff.is_reshaped:
        remarks.append("common rows compared")
    if change.before_zeros != change.after_zeros and change.compared:
        before, after = (100 * count / change.compared for count in (change.before_zeros, change.after_zeros))
        remarks.append(f"zeros {before:.3g} % -> {after:.3g} %")
    if change.not_finite:
        remarks.append(f"{change.not_finite:,} NaN or infinite")
    return "; ".join(remarks)


def tell_change(diff: ParameterDiff) -> str:
    """What became of a parameter, in one line."""
    change = diff.change
    if change is None:
        word = "renamed" if diff.is_renamed and diff.state is DiffState.EQUAL else diff.state.value
        return f"{word}, {tell_specs(diff)}"
    relative = "no number" if change.relative is None else f"{change.relative:.3g}"
    told = [
        f"relative change {relative}",
        f"largest {change.largest:.3g}",
        f"{change.differing:,} of {change.compared:,} differ",
    ]
    if change.rank is not None:
        told.append(f"rank {tell_rank(change)}")
    remarks = tell_remarks(diff, change)
    return ", ".join(told) + (f"; {remarks}" if remarks else "")
