"""Matchings of layer graphs: the fewest items, against all matchings there are."""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.diff.marked import chain, graph

from mgit_core.diff.marks import MarkedGraph, Pairs, count_items, least_items
from mgit_core.diff.matching import match_graphs


def all_pairs(before: MarkedGraph, after: MarkedGraph) -> Iterator[Pairs]:
    """Every matching of layers of one form or at one path."""

    def extend(at: int, pairs: Pairs, used: frozenset[int]) -> Iterator[Pairs]:
        if at == len(before):
            yield list(pairs)
            return
        yield from extend(at + 1, [*pairs, None], used)
        for other in range(len(after)):
            alike = before.forms[at] == after.forms[other]
            if other not in used and (alike or before.paths[at] == after.paths[other]):
                yield from extend(at + 1, [*pairs, other], used | {other})

    return extend(0, [], frozenset())


def fewest_items(before: MarkedGraph, after: MarkedGraph) -> int:
    return min(count_items(before, after, pairs) for pairs in all_pairs(before, after))


@st.composite
def graphs(draw: st.DrawFn, most: int = 5) -> MarkedGraph:
    """Small graphs over few paths, forms and contents, so that much is alike."""
    count = draw(st.integers(0, most))
    paths = draw(st.permutations([f"p{at}" for at in range(most + 2)]))[:count]
    forms = draw(st.lists(st.sampled_from("xyz"), min_size=count, max_size=count))
    contents = draw(st.lists(st.sampled_from([b"", b"1", b"2"]), min_size=count, max_size=count))
    ends = [(giver, taker) for giver in range(count) for taker in range(giver + 1, count)]
    edges = draw(st.sets(st.sampled_from(ends))) if ends else set()
    return MarkedGraph(
        paths=tuple(paths), forms=tuple(forms), contents=tuple(contents), edges=frozenset(edges)
    )


@given(graphs(), graphs())
@settings(max_examples=150, deadline=None)
def test_small_graphs_have_the_fewest_items_of_all_matchings(before: MarkedGraph, after: MarkedGraph) -> None:
    found = match_graphs(before, after)
    assert fewest_items(before, after) == found.items == found.least_items
    assert count_items(before, after, list(found.pairs)) == found.items


def test_graphs_of_two_and_three_layers_have_the_fewest_items_without_exception() -> None:
    """Every data flow over every choice of two forms; paths agree or are shifted by one."""
    ends = [(0, 1), (0, 2), (1, 2)]
    flows = [frozenset(end for at, end in enumerate(ends) if number >> at & 1) for number in range(8)]
    for forms in ("aaa", "aab", "aba", "baa"):
        for others in ("aaa", "aab", "bba"):
            for flow in flows:
                for other_flow in flows:
                    for shift in (0, 1):
                        before = graph(*(f"{at}:{form}" for at, form in enumerate(forms)), edges=flow)
                        after = graph(
                            *(f"{at + shift}:{form}" for at, form in enumerate(others)), edges=other_flow
                        )
                        found = match_graphs(before, after)
                        assert fewest_items(before, after) == found.items == found.least_items


def test_six_layers_that_are_all_alike_are_solved_for_certain() -> None:
    """The hardest case of its size: nothing but the data flow tells layers apart."""
    chance = random.Random(1)
    ends = [(giver, taker) for giver in range(6) for taker in range(giver + 1, 6)]
    for _ in range(6):
        before = graph(*(f"{at}:x" for at in range(6)), edges=set(chance.sample(ends, 7)))
        after = graph(*(f"{at + 9}:x" for at in range(6)), edges=set(chance.sample(ends, 7)))
        found = match_graphs(before, after)
        assert found.items == found.least_items == fewest_items(before, after)


@given(graphs(), graphs())
@settings(max_examples=80, deadline=None)
def test_the_matching_is_the_same_whichever_graph_comes_first(
    before: MarkedGraph, after: MarkedGraph
) -> None:
    there, back = match_graphs(before, after), match_graphs(after, before)
    assert there.items == back.items
    forth = {(at, other) for at, other in enumerate(there.pairs) if other is not None}
    assert forth == {(other, at) for at, other in enumerate(back.pairs) if other is not None}


@given(graphs(6))
@settings(deadline=None)
def test_a_graph_does_not_differ_from_itself(one: MarkedGraph) -> None:
    found = match_graphs(one, one)
    assert found.items == 0
    assert found.pairs == tuple(range(len(one)))


@given(graphs(7), graphs(7))
@settings(max_examples=40, deadline=None)
def test_the_bound_is_below_what_is_found(before: MarkedGraph, after: MarkedGraph) -> None:
    found = match_graphs(before, after)
    assert least_items(before, after) <= found.least_items <= found.items
    used = [other for other in found.pairs if other is not None]
    assert len(set(used)) == len(used)


@given(graphs(), graphs())
@settings(max_examples=80, deadline=None)
def test_without_data_flow_no_matching_has_fewer_items(before: MarkedGraph, after: MarkedGraph) -> None:
    """This holds for graphs of any size, since nothing is searched."""
    bare = [
        MarkedGraph(paths=each.paths, forms=each.forms, contents=each.contents) for each in (before, after)
    ]
    assert match_graphs(*bare).items == fewest_items(*bare)


def test_a_changed_head_is_one_item() -> None:
    before = chain("embed:E", "body:L", "head:H2")
    after = chain("embed:E", "body:L", "head:H3")
    found = match_graphs(before, after)
    assert (found.pairs, found.items, found.least_items) == ((0, 1, 2), 1, 1)


def test_contents_tell_which_layer_was_taken_out() -> None:
    """By paths the last one would be gone; as many items, and every layer with other weights."""
    before = chain("embed:E:e", "0:L:a", "1:L:b", "2:L:c", "head:H:h")
    after = chain("embed:E:e", "0:L:b", "1:L:c", "head:H:h")
    found = match_graphs(before, after)
    assert found.pairs == (0, None, 1, 2, 3)
    assert found.items == found.least_items == 4


def test_a_renamed_module_is_found_by_what_it_holds() -> None:
    before = chain("body:L:a", "old:L:b", "head:H")
    after = chain("body:L:a", "new:L:b", "head:H")
    assert match_graphs(before, after).items == 0
    assert match_graphs(before, after).pairs == (0, 1, 2)


def test_a_large_model_with_another_head_is_proven_without_a_search() -> None:
    body = [
        f"{layer}.{part}:{part}:{layer}" for layer in range(48) for part in ("q", "k", "v", "o", "up", "down")
    ]
    found = match_graphs(chain("embed:E", *body, "head:H2"), chain("embed:E", *body, "head:H3"))
    assert (found.items, found.least_items) == (1, 1)
    assert found.pairs == tuple(range(len(body) + 2))


def test_more_layers_cost_the_seam_besides() -> None:
    """The bound cannot know of the seam, and says so."""
    small = [f"{layer}.{part}:{part}" for layer in range(6) for part in ("a", "b", "c", "d", "e", "f")]
    large = [f"{layer}.{part}:{part}" for layer in range(12) for part in ("a", "b", "c", "d", "e", "f")]
    found = match_graphs(chain(*small, "head:H"), chain(*large, "head:H"))
    assert found.items == 36 + 36 + 2
    assert found.items - 2 == found.least_items


def test_layers_move_to_where_the_data_flow_has_them() -> None:
    """Paths and contents say nothing; two branches were swapped in name."""
    before = graph("in:I", "a:L", "b:L", "x:X", "y:Y", edges={(0, 1), (0, 2), (1, 3), (2, 4)})
    after = graph("in:I", "a:L", "b:L", "x:X", "y:Y", edges={(0, 1), (0, 2), (2, 3), (1, 4)})
    found = match_graphs(before, after)
    assert (found.pairs, found.items) == ((0, 2, 1, 3, 4), 0)
