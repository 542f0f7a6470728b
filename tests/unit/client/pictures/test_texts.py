from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.client.pictures.lineages import FAMILY, KNOWN, make_edge, make_lineage

from mgit.pictures import draw_dot, draw_mermaid
from mgit.pictures.palette import RELATION_COLORS, edge_label
from mgit.values import Relation

ROGUE = 'a"]; evil --> b <script>#\\@1'


def test_mermaid_points_from_child_to_parent() -> None:
    lines = draw_mermaid(FAMILY).splitlines()

    assert lines[0] == "flowchart RL"
    assert '  m0["base@1"]' in lines
    assert '  m1 -->|"finetuned"| m0' in lines
    assert '  m3 -.->|"version of"| m2' in lines


def test_mermaid_colors_edges_by_relation() -> None:
    assert "  linkStyle 1,2 stroke:#d9730d,stroke-width:2px" in draw_mermaid(FAMILY).splitlines()


def test_mermaid_marks_what_was_removed() -> None:
    assert '  m2["right@1 (removed)"]:::removed' in draw_mermaid(FAMILY).splitlines()


def test_mermaid_escapes_names() -> None:
    text = draw_mermaid(make_lineage([ROGUE]))

    assert '  m0["a#34;#93;#59; evil --#62; b #60;script#62;#35;#92;@1"]' in text.splitlines()


def test_dot_points_from_child_to_parent() -> None:
    assert '  "left@1" -> "base@1" [label="finetuned", color="#3b7ddd", fontcolor="#3b7ddd"];' in draw_dot(
        FAMILY
    )


def test_dot_dashes_version_edges_and_removed_models() -> None:
    text = draw_dot(FAMILY)

    assert '"right@2" -> "right@1" [label="version of", style=dashed' in text
    assert '"right@1" [label="right@1 (removed)", style="rounded,dashed"' in text


def test_dot_escapes_names() -> None:
    assert r'[label="a\"]; evil --> b <script>#\\@1"]' in draw_dot(make_lineage([ROGUE]))


@pytest.mark.parametrize("draw", [draw_mermaid, draw_dot])
def test_edges_to_models_beyond_the_limit_are_left_out(draw: object) -> None:
    assert callable(draw)
    assert "elsewhere" not in draw(make_lineage(["b@1"], [("b@1", "elsewhere@1", Relation.CAST)]))


def test_every_relation_has_a_color_of_its_own() -> None:
    assert set(RELATION_COLORS) == set(Relation)
    assert len(set(RELATION_COLORS.values())) == len(Relation)


def test_a_label_has_weight_and_confidence() -> None:
    assert (
        edge_label(make_edge("a", "b", Relation.AGGREGATED, confidence=0.875)) == "aggregated 0.5 (88% sure)"
    )


def test_mermaid_names_what_is_wrong_and_colors_it() -> None:
    lines = draw_mermaid(KNOWN).splitlines()

    assert '  m1["left@1<br/>fails accuracy#44; finite and 1 more<br/>1 bug"]' in lines
    assert '  m4["both@1<br/>2 bugs"]' in lines
    assert '  m3["right@2"]' in lines
    assert "  class m1 failing" in lines
    assert "  class m1,m4 buggy" in lines


def test_mermaid_without_facts_has_no_classes_of_states() -> None:
    assert "failing" not in draw_mermaid(FAMILY)


def test_dot_names_what_is_wrong_and_marks_it() -> None:
    text = draw_dot(KNOWN)

    assert (
        r'"left@1" [label="left@1\nfails accuracy, finite and 1 more\n1 bug", style="rounded,filled", '
        'color="#c2255c", fillcolor="#e0313133", peripheries=2];'
    ) in text
    assert '"base@1" [label="base@1"];' in text


def test_rogue_test_names_are_escaped() -> None:
    facts = tuple(replace(each, failed_tests=(ROGUE,)) for each in KNOWN.facts)

    assert "<script>" not in draw_mermaid(replace(KNOWN, facts=facts))
    assert r"fails a\"]; evil" in draw_dot(replace(KNOWN, facts=facts))
