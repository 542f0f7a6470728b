"""A lineage as the content of an SVG picture: columns of boxes, older ones first, and curves between them."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from mgit.pictures.details import check_state, detail_lines, facts_by_uid, search_text
from mgit.pictures.layers import Layers, arrange
from mgit.pictures.palette import RELATION_COLORS, VERSION_COLOR, edge_label, model_label
from mgit.values import Lineage, ModelFacts, ModelState, ModelSummary

__all__ = ["Drawing", "draw_svg"]

_BOX_PX = 40.0
_ROW_PX = 54.0
_BEND_PX = 14.0
_GAP_PX = 86.0
_MARGIN_PX = 24.0
_MAX_GAP_PX = 300.0
_LETTER_PX = 8.7  # Mean advance of a wide bold 13 px face; with a narrow one boxes are a little too wide.
_SMALL_LETTER_PX = 6.7
_PADDING_PX = 22.0
_MAX_LETTERS = 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture without its frame.

    Attributes:
        width_px: Width.
        height_px: Height.
        content: SVG elements.
    """

    width_px: float
    height_px: float
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Link:
    """An edge of any kind, ends by number."""

    child: int
    parent: int
    kind: str
    label: str
    color: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    left: float
    width: float
    middle: float


def draw_svg(lineage: Lineage, *, marked: Collection[str] = ()) -> Drawing:
    """Boxes and curves; each element says in ``data-`` attributes which models it is about.

    Args:
        lineage: What is drawn.
        marked: UIDs of models that stand out.

    Raises:
        ValueError: The edges close a cycle.
    """
    links = _links(lineage)
    pairs = sorted({(link.parent, link.child) for link in links})
    layers = arrange(len(lineage.models), pairs, node_px=_ROW_PX, bend_px=_BEND_PX)
    captions = _captions(len(lineage.models), links)
    boxes = _boxes(lineage, captions, layers)
    paths = dict(zip(pairs, layers.paths, strict=True))
    told = enumerate(_told(lineage, captions, links, marked))
    models = [_group(number, each, boxes[number]) for number, each in told]
    content = [*_curves(links, paths, boxes), *models]
    return Drawing(
        width_px=max((box.left + box.width for box in boxes), default=0.0) + _MARGIN_PX,
        height_px=max((box.middle + _BOX_PX / 2 for box in boxes), default=0.0) + _MARGIN_PX,
        content="\n".join(content),
    )


def _links(lineage: Lineage) -> list[_Link]:
    numbers = {model.uid: number for number, model in enumerate(lineage.models)}
    provenance = [
        _Link(
            child=numbers[edge.child_uid],
            parent=numbers[edge.parent_uid],
            kind=edge.relation.value,
            label=edge_label(edge),
            color=RELATION_COLORS[edge.relation],
        )
        for edge in lineage.edges
        if edge.child_uid in numbers and edge.parent_uid in numbers
    ]
    versions = [
        _Link(
            child=numbers[edge.newer_uid],
            parent=numbers[edge.older_uid],
            kind="version",
            label="new version",
            color=VERSION_COLOR,
        )
        for edge in lineage.revisions
        if edge.newer_uid in numbers and edge.older_uid in numbers
    ]
    return provenance + versions


def _captions(model_count: int, links: list[_Link]) -> list[list[_Link]]:
    """For each model a link of each kind that leads to parents; the version edge only where there is no other."""
    kinds: list[dict[str, _Link]] = [{} for _ in range(model_count)]
    for link in links:
        kinds[link.child].setdefault(link.kind, link)
    versions = [found.pop("version", None) for found in kinds]
    return [
        list(found.values()) or ([version] if version else [])
        for found, version in zip(kinds, versions, strict=True)
    ]


def _boxes(lineage: Lineage, captions: list[list[_Link]], layers: Layers) -> list[_Box]:
    """Boxes of the models, then places of the bends, all of a layer equally wide."""
    widths: dict[int, float] = {}
    for number, layer in enumerate(layers.layer):
        if number < len(lineage.models):
            width = _width(lineage.models[number], captions[number])
            widths[layer] = max(widths.get(layer, 0.0), width)
    passing = Counter(layers.layer[start] for path in layers.paths for start in path[:-1])
    lefts, left = {}, _MARGIN_PX
    for layer in sorted(widths):
        lefts[layer] = left
        left += widths[layer] + min(_GAP_PX + 0.7 * passing[layer], _MAX_GAP_PX)
    return [
        _Box(left=lefts[layer], width=widths[layer], middle=height + _MARGIN_PX - (_ROW_PX - _BOX_PX) / 2)
        for layer, height in zip(layers.layer, layers.height, strict=True)
    ]


def _width(model: ModelSummary, caption: list[_Link]) -> float:
    first = len(_shortened(model_label(model))) * _LETTER_PX
    second = len(", ".join(link.kind for link in caption)) * _SMALL_LETTER_PX
    return max(first, second, 60.0) + _PADDING_PX


def _shortened(text: str) -> str:
    half = _MAX_LETTERS // 2
    return text if len(text) <= _MAX_LETTERS else f"{text[:half]}…{text[1 - half :]}"


def _curves(links: list[_Link], paths: dict[tuple[int, int], list[int]], boxes: list[_Box]) -> Iterator[str]:
    drawn: dict[tuple[int, int], int] = {}
    for link in links:
        ends = (link.parent, link.child)
        beside = drawn.setdefault(ends, 0) * 7.0  # Edges between the same two models do not hide each other.
        drawn[ends] += 1
        yield (
            f'<path class="edge" data-kind="{link.kind}" data-child="{link.child}" data-parent="{link.parent}" '
            f'stroke="{link.color}" marker-start="url(#arrow-{link.kind})" d="{_curve(paths[ends], boxes, beside)}"/>'
        )


def _curve(path: list[int], boxes: list[_Box], beside: float) -> str:
    """From the right side of the parent, through the bends, to the left side of the child."""
    first = boxes[path[0]]
    x, y = first.left + first.width, first.middle + beside
    parts = [f"M{x:.1f} {y:.1f}"]
    for position, point in enumerate(path[1:], start=1):
        box = boxes[point]
        next_y = box.middle + beside
        half = (box.left - x) / 2
        parts.append(
            f"C{x + half:.1f} {y:.1f} {box.left - half:.1f} {next_y:.1f} {box.left:.1f} {next_y:.1f}"
        )
        x, y = box.left, next_y
        if position < len(path) - 1:
            x += box.width
            parts.append(f"H{x:.1f}")
    return "".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """What is drawn in a model's box, and told when it is asked."""

    model: ModelSummary
    facts: ModelFacts | None
    caption: list[_Link]
    parents: list[str]
    is_marked: bool

    def classes(self) -> str:
        removed = ["removed"] if self.model.state is ModelState.REMOVED else []
        return " ".join(["model", *removed, *(["marked"] if self.is_marked else [])])

    def attributes(self) -> str:
        """Color by relation and states for the style sheet, and what a search looks through."""
        color = self.caption[0].color if self.caption else VERSION_COLOR
        found = html.escape(search_text(self.model, self.facts))
        states = (
            ""
            if self.facts is None
            else f'data-test="{check_state(self.facts)}" data-bug="{"yes" if self.facts.bug_ids else "no"}" '
        )
        return f'{states}data-find="{found}" style="--kind:{color}"'

    def details(self) -> str:
        return "\n".join(
            (
                model_label(self.model),
                *self.parents,
                *(() if self.facts is None else detail_lines(self.facts)),
                f"added {self.model.created_at:%Y-%m-%d %H:%M:%S} UTC",
                f"uid {self.model.uid}",
            )
        )


def _told(
    lineage: Lineage, captions: list[list[_Link]], links: list[_Link], marked: Collection[str]
) -> Iterator[_Told]:
    facts = facts_by_uid(lineage)
    parents: dict[int, list[str]] = {}
    for link in links:
        told = f"{link.label} of" if link.kind == "version" else f"{link.label} from"
        parents.setdefault(link.child, []).append(f"{told} {model_label(lineage.models[link.parent])}")
    for number, model in enumerate(lineage.models):
        yield _Told(
            model=model,
            facts=facts.get(model.uid),
            caption=captions[number],
            parents=parents.get(number, []),
            is_marked=model.uid in marked,
        )


def _group(number: int, told: _Told, box: _Box) -> str:
    top = box.middle - _BOX_PX / 2
    x = box.left + _PADDING_PX / 2
    label = model_label(told.model)
    name_y = box.middle + (-3.0 if told.caption else 4.5)
    return (
        f'<g class="{told.classes()}" data-number="{number}" {told.attributes()} tabindex="-1" role="button" '
        f'aria-label="{html.escape(label)}">'
        f"<title>{html.escape(told.details())}</title>"
        f'<rect x="{box.left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{_BOX_PX:.1f}" rx="7"/>'
        f'<text x="{x:.1f}" y="{name_y:.1f}">{html.escape(_shortened(label))}</text>'
        f"{_caption_text(told.caption, x, box.middle + 13.0)}{_badges(told.facts, box)}</g>"
    )


def _badges(facts: ModelFacts | None, box: _Box) -> str:
    """A cross where tests fail and a ring where there are bugs, so that no state is told by color alone."""
    if facts is None:
        return ""
    x, y = box.left + box.width - 1, box.middle - _BOX_PX / 2 + 1
    failed = f'<path class="fails" d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"/>' if facts.failed_tests else ""
    low = box.middle + _BOX_PX / 2 - 1
    bugs = f'<circle class="bugs" cx="{x:.1f}" cy="{low:.1f}" r="4.5"/>' if facts.bug_ids else ""
    return failed + bugs


def _caption_text(caption: list[_Link], x: float, y: float) -> str:
    if not caption:
        return ""
    kinds = '<tspan class="comma">, </tspan>'.join(
        f'<tspan fill="{link.color}">{"new version" if link.kind == "version" else link.kind}</tspan>'
        for link in caption
    )
    return f'<text class="kind" x="{x:.1f}" y="{y:.1f}">{kinds}</text>'
