"""A lineage as one self-contained HTML page: it asks nothing of any network."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Iterator
from importlib import resources

from mgit.pictures.details import CheckState, check_state
from mgit.pictures.palette import BUG_COLOR, FAILED_COLOR, PASSED_COLOR, RELATION_COLORS, VERSION_COLOR
from mgit.pictures.svg import draw_svg
from mgit.values import Lineage

__all__ = ["draw_html"]

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def draw_html(lineage: Lineage, *, title: str = "Lineage", marked: Collection[str] = ()) -> str:
    """The text of a page that can be searched, moved, zoomed, and asked about each model.

    With facts it can also be colored by what tests say and by bugs. All of it can be done with the keyboard.

    Args:
        lineage: What is drawn.
        title: Heading of the page.
        marked: UIDs of models that stand out.
    """
    drawing = draw_svg(lineage, marked=marked)
    colors = {
        **{relation.value: color for relation, color in RELATION_COLORS.items()},
        "version": VERSION_COLOR,
    }
    counts = Counter(edge.relation.value for edge in lineage.edges) + Counter(
        {"version": len(lineage.revisions)}
    )
    used = {kind: color for kind, color in colors.items() if counts[kind]}
    texts = {
        "title": html.escape(title),
        "summary": _summary(lineage),
        "legend": "\n".join(_legend(used, counts)),
        "states": "\n".join(_states(lineage)),
        "passed": PASSED_COLOR,
        "failed": FAILED_COLOR,
        "bug": BUG_COLOR,
        "arrows": "\n".join(_arrows(used)),
        "width": f"{drawing.width_px:.0f}",
        "height": f"{drawing.height_px:.0f}",
        "content": drawing.content,
    }
    page = resources.files("mgit.pictures").joinpath("page.html").read_text(encoding="utf-8")
    return _PLACE.sub(lambda place: texts[place[1]], page)


def _summary(lineage: Lineage) -> str:
    edges = len(lineage.edges) + len(lineage.revisions)
    cut = ", cut at the limit" if lineage.truncated else ""
    return f"{_counted(len(lineage.models), 'model')}, {_counted(edges, 'edge')}{cut}"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _legend(used: dict[str, str], counts: Counter[str]) -> Iterator[str]:
    for kind, color in used.items():
        name = "new version" if kind == "version" else kind
        dashes = ' stroke-dasharray="5 4"' if kind == "version" else ""
        yield (
            f'<label><input type="checkbox" checked data-kind="{kind}">'
            f'<svg width="26" height="10" aria-hidden="true"><path d="M1 5H25" stroke="{color}" stroke-width="2.5"'
            f"{dashes}/></svg>{name} <span>{counts[kind]:,}</span></label>"
        )


def _states(lineage: Lineage) -> Iterator[str]:
    """The switch between colorings, and what the colors of each say; nothing without facts."""
    if not lineage.facts:
        return
    tests = Counter(check_state(facts) for facts in lineage.facts)
    affected = sum(bool(facts.bug_ids) for facts in lineage.facts)
    legend = (
        ("tests", PASSED_COLOR, "passes its tests", tests[CheckState.PASSED]),
        ("tests", FAILED_COLOR, "fails a test", tests[CheckState.FAILED]),
        ("tests", "var(--line)", "not judged", tests[CheckState.UNKNOWN]),
        ("bugs", BUG_COLOR, "has an open bug", affected),
        ("bugs", "var(--line)", "has none", len(lineage.facts) - affected),
    )
    yield '<fieldset id="states" aria-label="Color by">Color by'
    for name in ("relation", "tests", "bugs"):
        checked = " checked" if name == "relation" else ""
        yield f'<label><input type="radio" name="color" value="{name}"{checked}>{name}</label>'
    for mode, color, words, count in legend:
        yield f'<span data-for="{mode}"><i style="background:{color}"></i>{words} <span>{count:,}</span></span>'
    yield "</fieldset>"


def _arrows(used: dict[str, str]) -> Iterator[str]:
    for kind, color in used.items():
        yield (
            f'<marker id="arrow-{kind}" viewBox="0 0 10 10" refX="1" refY="5" markerWidth="6" markerHeight="6" '
            f'orient="auto"><path d="M10 0L0 5L10 10z" fill="{color}"/></marker>'
        )
