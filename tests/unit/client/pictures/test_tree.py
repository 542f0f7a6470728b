from __future__ import annotations

import itertools

from tests.unit.client.pictures.lineages import FAMILY, make_lineage

from mgit.pictures import draw_tree
from mgit.values import Lineage, Relation


def test_children_hang_below_what_they_were_made_from() -> None:
    lineage = make_lineage(
        ["a@1", "b@1", "c@1"], [("b@1", "a@1", Relation.CAST), ("c@1", "a@1", Relation.MERGED)]
    )

    assert list(draw_tree(lineage)) == ["a@1", "├── b@1  cast", "└── c@1  merged"]


def test_a_diamond_is_drawn_out_once_and_named_below_its_other_parent() -> None:
    assert list(draw_tree(FAMILY)) == [
        "base@1",
        "├── left@1  finetuned",
        "│   └── both@1  aggregated 0.5",
        "├── right@1 (removed)  pruned",
        "│   ├── both@1  aggregated 0.5, drawn under left@1",
        "│   └── right@2  new version, drawn under base@1",
        "└── right@2  pruned",
        "alone@1",
    ]


def test_a_version_without_parents_hangs_below_the_older_one() -> None:
    lineage = make_lineage(["a@1", "a@2"], revisions=[("a@2", "a@1")])

    assert list(draw_tree(lineage)) == ["a@1", "└── a@2  new version"]


def test_two_edges_between_the_same_models_share_a_line() -> None:
    lineage = make_lineage(
        ["a@1", "a@2"], [("a@2", "a@1", Relation.PRUNED), ("a@2", "a@1", Relation.CAST)], [("a@2", "a@1")]
    )

    assert list(draw_tree(lineage)) == ["a@1", "└── a@2  pruned, cast, new version"]


def test_models_that_were_asked_for_have_a_star() -> None:
    lineage = make_lineage(["a@1", "b@1"], [("b@1", "a@1", Relation.CAST)])

    assert list(draw_tree(lineage, marked={"b@1"})) == ["a@1", "└── b@1 *  cast"]


def test_relations_are_painted_in_their_color() -> None:
    lineage = make_lineage(["a@1", "b@1"], [("b@1", "a@1", Relation.FINETUNED)])

    painted = list(draw_tree(lineage, paint=lambda text, color: f"<{color}|{text}>"))

    assert painted[1] == "└── b@1  <#3b7ddd|finetuned>"


def test_an_edge_to_a_model_beyond_the_limit_is_left_out() -> None:
    lineage = make_lineage(["b@1"], [("b@1", "elsewhere@1", Relation.CAST)])

    assert list(draw_tree(lineage)) == ["b@1"]


def test_a_chain_longer_than_the_stack_is_drawn() -> None:
    names = [f"m{number}@1" for number in range(3000)]
    lineage = make_lineage(
        names, [(child, parent, Relation.DERIVED) for parent, child in itertools.pairwise(names)]
    )

    assert len(list(draw_tree(lineage))) == 3000


def test_an_empty_lineage_has_no_lines() -> None:
    assert list(draw_tree(Lineage(models=(), edges=(), revisions=(), truncated=False))) == []
