"""A lineage as Graphviz DOT."""

from __future__ import annotations

from collections.abc import Iterator

from mgit.pictures.palette import RELATION_COLORS, VERSION_COLOR, edge_label, model_label
from mgit.values import Lineage, ModelState

__all__ = ["draw_dot"]


def draw_dot(lineage: Lineage) -> str:
    """The text of a digraph, for ``dot -Tsvg`` and its like."""
    return "".join(f"{line}\n" for line in _lines(lineage))


def _lines(lineage: Lineage) -> Iterator[str]:
    known = {model.uid for model in lineage.models}
    yield "digraph lineage {"
    yield "  rankdir=RL;"
    yield '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];'
    yield '  edge [fontname="Helvetica", fontsize=9];'
    for model in lineage.models:
        removed = (
            "" if model.state is ModelState.PRESENT else f', style="rounded,dashed", color="{VERSION_COLOR}"'
        )
        yield f"  {_quoted(model.uid)} [label={_quoted(model_label(model))}{removed}];"
    for edge in lineage.edges:
        if {edge.child_uid, edge.parent_uid} <= known:
            color, label = RELATION_COLORS[edge.relation], _quoted(edge_label(edge))
            ends = f"{_quoted(edge.child_uid)} -> {_quoted(edge.parent_uid)}"
            yield f'  {ends} [label={label}, color="{color}", fontcolor="{color}"];'
    for revision in lineage.revisions:
        if {revision.newer_uid, revision.older_uid} <= known:
            ends = f"{_quoted(revision.newer_uid)} -> {_quoted(revision.older_uid)}"
            yield f'  {ends} [label="version of", style=dashed, color="{VERSION_COLOR}", fontcolor="{VERSION_COLOR}"];'
    yield "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
