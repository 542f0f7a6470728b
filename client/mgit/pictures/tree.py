"""A lineage as a tree of lines: children below what they were made from, each model drawn out once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from mgit.pictures.palette import RELATION_COLORS, VERSION_COLOR, edge_label, model_label
from mgit.values import Lineage

__all__ = ["draw_tree"]

Paint = Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class _Branch:
    """That ``child`` hangs below ``parent``; ``label`` says how it was made."""

    parent: str
    child: str
    label: str


def draw_tree(
    lineage: Lineage, *, marked: Collection[str] = (), paint: Paint = lambda text, _color: text
) -> Iterator[str]:
    """Lines for a terminal.

    A model hangs below its first parent, or below its older version if it has no parent. Where it hangs below
    another one too, one line says so and names where it is drawn out.

    Args:
        lineage: What is drawn; models come in its order.
        marked: UIDs of models that get a star.
        paint: Colors a text; gets the color as ``#rrggbb``.
    """
    labels = {
        model.uid: f"{model_label(model)}{' *' if model.uid in marked else ''}" for model in lineage.models
    }
    branches = _branches(lineage, labels, paint)
    homes: dict[str, str] = {}
    below: dict[str, list[_Branch]] = {}
    for branch in branches:
        homes.setdefault(branch.child, branch.parent)
        below.setdefault(branch.parent, []).append(branch)
    for model in lineage.models:
        if model.uid not in homes:
            yield labels[model.uid]
            yield from _below(model.uid, below, homes, labels)


def _branches(lineage: Lineage, labels: dict[str, str], paint: Paint) -> list[_Branch]:
    """Provenance edges first, since they decide where a model is drawn out; version edges last."""
    joined: dict[tuple[str, str], list[str]] = {}
    for edge in lineage.edges:
        if edge.child_uid in labels and edge.parent_uid in labels:
            label = paint(edge_label(edge), RELATION_COLORS[edge.relation])
            joined.setdefault((edge.parent_uid, edge.child_uid), []).append(label)
    for revision in lineage.revisions:
        if revision.newer_uid in labels and revision.older_uid in labels:
            label = paint("new version", VERSION_COLOR)
            joined.setdefault((revision.older_uid, revision.newer_uid), []).append(label)
    return [_Branch(parent, child, ", ".join(found)) for (parent, child), found in joined.items()]


def _below(
    root: str, below: dict[str, list[_Branch]], homes: dict[str, str], labels: dict[str, str]
) -> Iterator[str]:
    """The lines below ``root``; without recursion, since a chain of models may be longer than the stack."""
    open_branches = [_Level(below.get(root, []), "")]
    while open_branches:
        level = open_branches[-1]
        branch = level.next()
        if branch is None:
            open_branches.pop()
            continue
        stem, further = ("└── ", "    ") if level.is_over else ("├── ", "│   ")
        is_home = homes[branch.child] == branch.parent
        where = "" if is_home else f", drawn under {labels[homes[branch.child]].removesuffix(' *')}"
        yield f"{level.indent}{stem}{labels[branch.child]}  {branch.label}{where}"
        if is_home and branch.child in below:
            open_branches.append(_Level(below[branch.child], level.indent + further))


class _Level:
    """Branches below one model that are still to be drawn."""

    def __init__(self, branches: list[_Branch], indent: str) -> None:
        self._branches = branches
        self._next = 0
        self.indent = indent

    @property
    def is_over(self) -> bool:
        return self._next >= len(self._branches)

    def next(self) -> _Branch | None:
        if self.is_over:
            return None
        self._next += 1
        return self._branches[self._next - 1]
