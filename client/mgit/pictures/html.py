"""A lineage as one self-contained HTML page: it asks nothing of any network."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Iterator
from importlib import resources

from mgit.pictures.palette import RELATION_COLORS, VERSION_COLOR
from mgit.pictures.svg import draw_svg
from mgit.values import Lineage

__all__ = ["draw_html"]

_PLACE = re.compile(r"\{\{(\w+)\}\}")


def draw_html(lineage: Lineage, *, title: str = "Lineage", marked: Collection[str] = ()) -> str:
    """The text of a page that can be searched, moved, zoomed, and asked about each model.

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


def _arrows(used: dict[str, str]) -> Iterator[str]:
    for kind, color in used.items():
        yield (
            f'<marker id="arrow-{kind}" viewBox="0 0 10 10" refX="1" refY="5" markerWidth="6" markerHeight="6" '
            f'orient="auto"><path d="M10 0L0 5L10 10z" fill="{color}"/></marker>'
        )
