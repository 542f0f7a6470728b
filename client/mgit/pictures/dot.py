"""A lineage as Graphviz DOT."""

from __future__ import annotations

from collections.abc import Iterator

from mgit.pictures.details import facts_by_uid, note_lines
from mgit.pictures.palette import (
    BUG_COLOR,
    FAILED_COLOR,
    RELATION_COLORS,
    VERSION_COLOR,
    edge_label,
    model_label,
)
from mgit.values import Lineage, ModelFacts, ModelState, ModelSummary

__all__ = ["draw_dot"]


def draw_dot(lineage: Lineage) -> str:
    """The text of a digraph, for ``dot -Tsvg`` and its like.

    With facts, failing tests fill a model with red, and bugs draw a second line around it; its label says which.
    """
    return "".join(f"{line}\n" for line in _lines(lineage))


def _lines(lineage: Lineage) -> Iterator[str]:
    known = {model.uid for model in lineage.models}
    yield "digraph lineage {"
    yield "  rankdir=RL;"
    yield '  node [shape=box, style=rounded, fontname="Helvetica", fontsize=11];'
    yield '  edge [fontname="Helvetica", fontsize=9];'
    facts = facts_by_uid(lineage)
    for model in lineage.models:
        yield f"  {_quoted(model.uid)} [{', '.join(_attributes(model, facts.get(model.uid)))}];"
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


def _attributes(model: ModelSummary, facts: ModelFacts | None) -> Iterator[str]:
    label = "\n".join([model_label(model), *note_lines(facts)])
    yield f"label={_quoted(label)}"
    is_removed = model.state is not ModelState.PRESENT
    is_failing = facts is not None and bool(facts.failed_tests)
    has_bugs = facts is not None and bool(facts.bug_ids)
    styles = ["rounded", *(["dashed"] if is_removed else []), *(["filled"] if is_failing else [])]
    if len(styles) > 1:
        yield f'style="{",".join(styles)}"'
    if is_removed or has_bugs:
        yield f'color="{BUG_COLOR if has_bugs else VERSION_COLOR}"'
    if is_failing:
        yield f'fillcolor="{FAILED_COLOR}33"'
    if has_bugs:
        yield "peripheries=2"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
