"""Diffs as a person reads them: words, lines that stand for many, tables, and the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from tests.unit.client.diffing.diffs import changed, diff, in_both, layer, model, side

from mgit.cli.diff_documents import document_of_diff
from mgit.cli.diff_forms import heading_lines, parameter_lines, structure_lines
from mgit.cli.diff_groups import group_by_numbers
from mgit.diffing.values import (
    DiffState,
    FlowDiff,
    LayerDiff,
    ParameterDiff,
    Relationship,
    RelationshipKind,
)
from mgit.diffing.wording import tell_change, tell_relationship
from mgit.pictures.diff_page import draw_diff
from mgit_core.lineage import Relation

BASE, TASK = "base@1", "task@1"


def plain(text: str, _state: DiffState) -> str:
    return text


def added(path: str) -> LayerDiff:
    return LayerDiff(before=None, after=layer(path), is_alike=False, after_at=9)


@pytest.mark.parametrize(
    ("relationship", "words"),
    [
        (Relationship(kind=RelationshipKind.SAME), "the same model"),
        (
            Relationship(kind=RelationshipKind.CHILD, relation=Relation.PRUNED),
            f"{TASK} was pruned from {BASE}",
        ),
        (
            Relationship(kind=RelationshipKind.PARENT, relation=Relation.CAST, is_older_version=True),
            f"{BASE} was cast from {TASK}; {BASE} is the next version of {TASK}",
        ),
        (Relationship(kind=RelationshipKind.DESCENDANT), f"{TASK} descends from {BASE}"),
        (Relationship(kind=RelationshipKind.ANCESTOR), f"{BASE} descends from {TASK}"),
        (
            Relationship(kind=RelationshipKind.RELATED, common_ancestors=(model("root"), model("other"))),
            "both descend from root@1, other@1",
        ),
        (Relationship(kind=RelationshipKind.UNRELATED), "unrelated in the lineage"),
        (
            Relationship(kind=RelationshipKind.UNRELATED, is_newer_version=True),
            f"{TASK} is the next version of {BASE}",
        ),
    ],
)
def test_how_models_stand_to_each_other_is_said_in_words(relationship: Relationship, words: str) -> None:
    assert words == tell_relationship(diff(relationship=relationship))


def test_lines_that_differ_in_numbers_only_become_one() -> None:
    texts = [f"layer.{at}.part.{part}" for at in (2, 3, 4) for part in (0, 7)]
    entries = [*((("key", text)) for text in texts), ("key", "head"), ("other", "layer.9.part.1")]
    assert list(group_by_numbers(entries)) == [
        ("key", "layer.[2-4].part.[0,7]", 6),
        ("key", "head", 1),
        ("other", "layer.9.part.1", 1),
    ]
    many = [("key", f"a{at}") for at in (1, 3, 5, 7, 9)]
    assert list(group_by_numbers(many)) == [("key", "a[1,3,5,7,...]", 5)]


def test_a_diff_says_in_one_line_how_much_differs() -> None:
    found = diff(added("a.1"), added("a.2"), parameters=(changed("w", 0.1),), items=2)
    assert repr(found) == "<diff base@1 -> task@1: 2 layers added, 1 parameter changed>"
    lines = list(heading_lines(found, structural=True, contextual=True))
    assert lines[1] == "layers      7 equal, 2 added (the fewest possible)"
    assert lines[3] == "parameters  5 equal, 1 changed"
    loose = diff(added("a.1"), items=9, least_items=4)
    assert "no diff has fewer than 4" in list(heading_lines(loose, structural=True, contextual=False))[1]
    assert not diff()
    assert diff(in_both(0, layer("a"), layer("b")))


def test_layers_are_listed_with_what_changed_of_them() -> None:
    found = diff(
        in_both(0, layer("head"), layer("head", 5)),
        in_both(1, layer("old"), layer("new")),
        added("block.1"),
        added("block.2"),
        flow=(
            FlowDiff(giver="", taker="head", state=DiffState.REMOVED),
            FlowDiff(giver="a", taker="b", state=DiffState.EQUAL),
        ),
    )
    lines = list(structure_lines(found.structural, 20, plain))
    assert lines == [
        "",
        "         LAYER",
        "added    block.[1-2]  Linear(out_features=4) x2",
        "changed  head         Linear out_features 4 -> 5",
        "renamed  old => new   Linear",
        "",
        "         DATA FLOW",
        "removed  (model) -> head",
    ]
    cut = list(structure_lines(found.structural, 1, plain))
    assert cut[3] == "... and 2 more; --limit shows more."


def test_colors_do_not_move_the_columns() -> None:
    found = diff(added("a"), in_both(1, layer("old"), layer("new")))
    bare = list(structure_lines(found.structural, 20, plain))
    painted = list(structure_lines(found.structural, 20, lambda text, _: f"<{text}>"))
    assert [re.sub("[<>]", "", line.replace("=>", "")) for line in painted] == [
        re.sub("[<>]", "", line.replace("=>", "")) for line in bare
    ]


def test_parameters_are_listed_by_how_much_they_changed() -> None:
    parameters = (
        changed("little", 1e-6, rank=4),
        changed("much", 0.5, rank=64, rank_is_bound=True, after_zeros=8, not_finite=1),
        changed("from-nothing", 0.5, before_norm=0.0),
        ParameterDiff(before=side("gone"), after=None),
        ParameterDiff(before=side("old"), after=side("new")),
    )
    lines = list(parameter_lines(parameters, 20, plain))
    assert [line.split()[0] for line in lines[2:5]] == ["from-nothing", "much", "little"]
    assert ">=64" in lines[3]
    assert "zeros 0 % -> 50 %; 1 NaN or infinite" in lines[3]
    assert lines[-2:] == ["removed  gone        float32[4, 4]", "renamed  old => new  float32[4, 4]"]


def test_a_cast_and_another_shape_are_told_beside_the_measures() -> None:
    found = changed("w", 0.1)
    found = replace(found, after=side("w", b"2", "float16", (5, 4)))
    assert "float32[4, 4] -> float16[5, 4]; common rows compared" in tell_change(found)


def test_a_document_has_no_numbers_that_json_lacks() -> None:
    found = diff(parameters=(changed("w", float("inf")), changed("v", 1.0, before_norm=0.0)))
    document = document_of_diff(found, structural=True, contextual=True)
    text = json.dumps(document, allow_nan=False)
    changes = [each["change"] for each in json.loads(text)["contextual"]]
    assert [each["relative"] for each in changes] == [None, None]
    assert changes[0]["largest"] is None


def test_a_page_shows_both_models_in_the_order_of_after() -> None:
    gone = LayerDiff(before=layer("gone"), after=None, is_alike=False, before_at=1)
    new = LayerDiff(before=None, after=layer("new"), is_alike=False, after_at=1)
    last = replace(in_both(2, layer("last")), after_at=2)
    found = diff(
        in_both(0, layer("first")),
        gone,
        last,
        new,
        flow=(
            FlowDiff(giver="first", taker="gone", state=DiffState.REMOVED),
            FlowDiff(giver="first", taker="new", state=DiffState.ADDED),
        ),
        parameters=(changed("last.weight", 1e-3), changed("nobody's", 0.1)),
    )
    page = draw_diff(found)
    rows = re.findall(r'<div class="row ([^"]*)" id="row(\d+)"', page)
    assert rows == [("equal", "0"), ("removed", "1"), ("added", "2"), ("equal values", "3")]
    assert json.loads(re.findall(r'id="flow">(.*?)</script>', page)[0]) == [
        [0, 1, "removed"],
        [0, 2, "added"],
    ]
    assert '<a href="#row3">last.weight</a>' in page
    assert "<td>nobody&#x27;s</td>" in page


def test_a_page_asks_nothing_of_a_network_and_takes_no_markup_from_names() -> None:
    found = diff(added("<script>alert(1)</script>"), parameters=(changed('"><img src=x>', 0.1),))
    page = draw_diff(found)
    assert "default-src 'none'" in page
    assert "://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "{{" not in page


def test_a_page_of_very_many_parameters_is_cut() -> None:
    parameters = tuple(changed(f"p{at}", 10.0**-at) for at in range(5)) * 120
    page = draw_diff(diff(parameters=parameters))
    assert page.count("<tr title=") == 500
    assert "The first 500 of 600." in page
