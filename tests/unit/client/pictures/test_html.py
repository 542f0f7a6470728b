from __future__ import annotations

import re
from html.parser import HTMLParser

from tests.unit.client.pictures.lineages import FAMILY, make_lineage

from mgit.pictures import draw_html
from mgit.values import Lineage, Relation

VOID = {"meta", "input"}


class Page(HTMLParser):
    """Collects elements, and finds ends that do not fit their beginnings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [
            attributes for _, attributes in self.elements if name in (attributes.get("class") or "").split()
        ]


def test_the_page_is_well_formed_and_draws_everything() -> None:
    page = Page(draw_html(FAMILY, title="Family"))

    assert page.open == []
    assert len(page.of_class("model")) == 6
    assert len(page.of_class("edge")) == 6
    assert "6 models, 6 edges" in page.texts


def test_every_edge_names_its_ends_and_its_arrow_exists() -> None:
    page = Page(draw_html(FAMILY))
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}

    for edge in page.of_class("edge"):
        assert edge["marker-start"] == f"url(#arrow-{edge['data-kind']})"
        assert f"arrow-{edge['data-kind']}" in ids
    assert {(edge["data-child"], edge["data-parent"]) for edge in page.of_class("edge")} >= {
        ("1", "0"),
        ("3", "2"),
    }


def test_the_page_asks_nothing_of_a_network() -> None:
    text = draw_html(FAMILY)
    page = Page(text)

    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
    assert not any({"src", "href"} & attributes.keys() for _, attributes in page.elements)
    assert any(
        (attributes.get("content") or "").startswith("default-src 'none'") for _, attributes in page.elements
    )


def test_names_cannot_become_markup() -> None:
    rogue = "<script>alert(1)</script>&{{title}}@1"
    page = Page(draw_html(make_lineage([rogue]), title="<b>{{content}}"))

    assert [tag for tag, _ in page.elements].count("script") == 1
    assert not any(tag == "b" for tag, _ in page.elements)
    assert any(rogue in text for text in page.texts)
    assert "<b>{{content}}" in page.texts


def test_details_tell_parents_and_moment() -> None:
    page = Page(draw_html(FAMILY))

    assert any(
        text.startswith(
            "both@1\naggregated 0.5 from left@1\naggregated 0.5 from right@1 (removed)\nadded 2026-03-01 12:04"
        )
        for text in page.texts
    )


def test_a_long_name_is_shortened_in_its_box_and_whole_in_its_details() -> None:
    name = f"{'long-' * 30}name@1"
    page = Page(draw_html(make_lineage([name])))

    assert any("…" in text and len(text) < 40 for text in page.texts)
    assert any(text.startswith(name) for text in page.texts)


def test_the_legend_counts_the_kinds_that_are_drawn() -> None:
    page = Page(draw_html(FAMILY))
    boxes = [
        attributes["data-kind"]
        for tag, attributes in page.elements
        if tag == "input" and "checked" in attributes
    ]

    assert boxes == ["finetuned", "pruned", "aggregated", "version"]


def test_models_that_were_asked_for_stand_out() -> None:
    assert len(Page(draw_html(FAMILY, marked={"left@1"})).of_class("marked")) == 1


def test_an_empty_lineage_is_a_page() -> None:
    page = Page(draw_html(Lineage(models=(), edges=(), revisions=(), truncated=True)))

    assert "0 models, 0 edges, cut at the limit" in page.texts


def test_two_edges_between_the_same_models_do_not_hide_each_other() -> None:
    lineage = make_lineage(["a@1", "b@1"], [("b@1", "a@1", Relation.CAST), ("b@1", "a@1", Relation.PRUNED)])
    first, second = Page(draw_html(lineage)).of_class("edge")

    assert first["d"] != second["d"]
