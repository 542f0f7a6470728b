from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from tests.unit.client.pictures.lineages import BUG, FAMILY, KNOWN, make_lineage

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
        if tag == "input" and attributes["type"] == "checkbox" and "checked" in attributes
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


def test_states_are_told_by_attributes_and_not_by_color_alone() -> None:
    page = Page(draw_html(KNOWN))
    models = page.of_class("model")

    assert [each["data-test"] for each in models] == [
        *("passed", "failed", "unknown", "passed", "unknown", "unknown"),
    ]
    assert [each["data-bug"] for each in models] == ["no", "yes", "no", "no", "yes", "no"]
    assert len(page.of_class("fails")) == 1
    assert len(page.of_class("bugs")) == 2


def test_details_tell_what_is_known() -> None:
    [details] = [text for text in Page(draw_html(KNOWN)).texts if text.startswith("left@1\nfinetuned")]

    assert details.splitlines()[2:11] == [
        "type encoder",
        "tags best, prod",
        "size 1000 B",
        "trained on glue@2, docs",
        "passes size",
        "fails accuracy, finite, speed",
        "bugs 01890000-0000",
        "license = mit",
        "note = a long story",
    ]


def test_a_search_finds_what_is_known_and_not_the_parents() -> None:
    page = Page(draw_html(KNOWN))
    found = {index: str(each["data-find"]) for index, each in enumerate(page.of_class("model"))}

    for word in ("left@1", "encoder", "prod", "glue@2", "accuracy", "license=mit", BUG):
        assert word in found[1]
    assert "base" not in found[1]


def test_the_switch_between_colorings_counts_and_is_there_with_facts_only() -> None:
    text = draw_html(KNOWN)
    page = Page(text)
    radios = [
        attributes["value"]
        for tag, attributes in page.elements
        if tag == "input" and attributes["type"] == "radio"
    ]

    assert radios == ["relation", "tests", "bugs"]
    for words in (
        "passes its tests <span>2</span>",
        "fails a test <span>1</span>",
        "has none <span>4</span>",
    ):
        assert words in text
    assert 'type="radio"' not in draw_html(FAMILY)


def test_rogue_facts_cannot_become_markup() -> None:
    rogue = '"><script>alert(1)</script>{{title}}'
    facts = tuple(
        replace(each, type=rogue, tags=(rogue,), metadata={"k": rogue}, failed_tests=(rogue,))
        for each in KNOWN.facts
    )
    page = Page(draw_html(replace(KNOWN, facts=facts)))

    assert [tag for tag, _ in page.elements].count("script") == 1
    assert page.open == []
    assert len(page.of_class("model")) == 6


def test_a_thousand_models_are_one_page_of_some_hundred_kilobytes() -> None:
    refs = [f"model-{number}@1" for number in range(1000)]
    edges = [(refs[number], refs[(number - 1) // 3], Relation.FINETUNED) for number in range(1, 1000)]
    page = Page(draw_html(make_lineage(refs, edges)))

    assert len(page.of_class("model")) == 1000
    tops = {(rect["x"], rect["y"]) for tag, rect in page.elements if tag == "rect"}
    assert len(tops) == 1000, "no box lies on another"
    assert [each["tabindex"] for each in page.of_class("model")] == ["-1"] * 1000, "the script moves one"
