"""A lineage as a Mermaid flowchart, which many forges and editors draw in Markdown."""

from __future__ import annotations

import re
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
from mgit.values import Lineage, ModelState

__all__ = ["draw_mermaid"]

_PLAIN = re.compile(r"[A-Za-z0-9@._/ %()+-]")


def draw_mermaid(lineage: Lineage) -> str:
    """The text of a flowchart. Mermaid itself draws 500 edges at most unless its host raises that.

    With facts, failing tests and bugs stand in the labels, and color the models that have them.
    """
    return "".join(f"{line}\n" for line in _lines(lineage))


def _lines(lineage: Lineage) -> Iterator[str]:
    ids = {model.uid: f"m{number}" for number, model in enumerate(lineage.models)}
    facts = facts_by_uid(lineage)
    yield "flowchart RL"
    for model in lineage.models:
        style = "" if model.state is ModelState.PRESENT else ":::removed"
        label = "<br/>".join(map(_escaped, [model_label(model), *note_lines(facts.get(model.uid))]))
        yield f'  {ids[model.uid]}["{label}"]{style}'
    colors: dict[str, list[int]] = {}
    number = 0
    for edge in lineage.edges:
        if edge.child_uid in ids and edge.parent_uid in ids:
            yield f'  {ids[edge.child_uid]} -->|"{_escaped(edge_label(edge))}"| {ids[edge.parent_uid]}'
            colors.setdefault(RELATION_COLORS[edge.relation], []).append(number)
            number += 1
    for revision in lineage.revisions:
        if revision.newer_uid in ids and revision.older_uid in ids:
            yield f'  {ids[revision.newer_uid]} -.->|"version of"| {ids[revision.older_uid]}'
            colors.setdefault(VERSION_COLOR, []).append(number)
            number += 1
    for color, numbers in colors.items():
        yield f"  linkStyle {','.join(map(str, numbers))} stroke:{color},stroke-width:2px"
    yield f"  classDef removed stroke:{VERSION_COLOR},stroke-dasharray:4 3,color:{VERSION_COLOR}"
    yield from _classes(lineage, ids)


def _classes(lineage: Lineage, ids: dict[str, str]) -> Iterator[str]:
    classes = {
        f"failing fill:{FAILED_COLOR}33": [facts.uid for facts in lineage.facts if facts.failed_tests],
        f"buggy stroke:{BUG_COLOR},stroke-width:3px": [facts.uid for facts in lineage.facts if facts.bug_ids],
    }
    for definition, uids in classes.items():
        if uids:
            yield f"  classDef {definition}"
            yield f"  class {','.join(ids[uid] for uid in uids if uid in ids)} {definition.partition(' ')[0]}"


def _escaped(text: str) -> str:
    """``text`` with every character that Mermaid might read as its own written as an entity."""
    return "".join(character if _PLAIN.fullmatch(character) else f"#{ord(character)};" for character in text)
