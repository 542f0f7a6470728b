"""Where modules moved: paths that are found again by what layers hold, or by names with a prefix."""

from __future__ import annotations

import pytest
from tests.unit.core.diff.marked import graph

from mgit_core.diff.aligning import align_paths, anchor
from mgit_core.diff.marks import MarkedGraph
from mgit_core.diff.matching import match_graphs


def paths(before: MarkedGraph, after: MarkedGraph) -> list[str]:
    return [path if "\0" not in path else "?" for path in align_paths(before, after).paths]


def test_a_layer_is_looked_for_where_its_content_is() -> None:
    before, after = graph("a.x:L:1", "a.y:L:2"), graph("b.x:L:1", "b.y:L:9")
    assert paths(before, after) == ["b.x", "b.y"]


def test_a_whole_module_goes_where_most_of_it_went() -> None:
    before = graph("a.x:L:1", "a.y:L:2", "a.z:L:3", "a.w:L")
    after = graph("b.x:L:1", "b.y:L:2", "c.z:L:3", "b.w:L")
    assert paths(before, after) == ["b.x", "b.y", "c.z", "b.w"]


def test_two_modules_do_not_go_to_one_place() -> None:
    before = graph("a.x:L:1", "a.n:N", "b.y:L:2", "b.n:N")
    after = graph("c.x:L:1", "c.y:L:2", "c.n:N")
    assert paths(before, after).count("c.n") == 1


def test_who_lost_its_place_to_a_moved_layer_is_nowhere() -> None:
    before = graph("0.x:L:1", "1.x:L:2", "2.x:L:3")
    after = graph("0.x:L:2", "1.x:L:3")
    assert paths(before, after) == ["?", "0.x", "1.x"]


@pytest.mark.parametrize("prefix", ["model", "base.model", "a.b.c"])
def test_a_prefix_is_found_without_any_content(prefix: str) -> None:
    names = ["embed.word", "layer.0.query", "layer.1.query", "head.out"]
    bare = graph(*(f"{name}:{at}" for at, name in enumerate(names)))
    wrapped = graph(*(f"{prefix}.{name}:{at}" for at, name in enumerate(names)))
    assert paths(bare, wrapped) == list(wrapped.paths)
    assert paths(wrapped, bare) == list(bare.paths)


def test_paths_stay_where_nothing_moved() -> None:
    one = graph("a.x:L:1", "a.y:L", "b:M")
    assert align_paths(one, one) is one
    assert align_paths(one, graph("a.x:L:1", "q.r:Z")) is one
    assert align_paths(graph(), one).paths == ()


def test_paths_are_each_there_once() -> None:
    before = graph("a.x:L:1", "a.y:L:2", "b.x:L", "b.y:L", "c.x:L")
    after = graph("b.x:L:1", "c.y:L:2", "c.x:L")
    aligned = align_paths(before, after)
    assert len(set(aligned.paths)) == len(aligned.paths) == 5


def test_what_is_the_same_is_tied_and_nothing_else() -> None:
    before, after = graph("a:L:1", "b:L:2", "c:L", "d:M:4"), graph("a:L:1", "b:L:9", "c:L", "d:N:4")
    tied, other = anchor(before, after)
    assert tied.forms[0] == other.forms[0] not in {"L", "M"}
    assert tied.paths[0] == other.paths[0]
    assert (tied.forms[1:], other.forms[1:]) == (("L", "L", "M"), ("L", "L", "N"))


def test_tied_layers_stay_together_where_fewer_items_would_differ_apart() -> None:
    """A block behind another: moving the seam into it would save an edge, and tear a layer out of its place."""
    before = graph("in:I:0", "0:L:1", "n0:N:2", "out:O:3", edges={(0, 1), (1, 2), (2, 3), (0, 2)})
    after = graph(
        *("in:I:0", "0:L:1", "n0:N:2", "1:L:7", "n1:N:8", "out:O:3"),
        edges={(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (2, 4), (4, 5)},
    )
    free, tied = match_graphs(before, after), match_graphs(*anchor(before, after))
    assert tied.pairs == (0, 1, 2, 5)
    assert free.items <= tied.items == tied.least_items == 7
