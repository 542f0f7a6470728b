"""Which layers depend on which, over three graphs: traced ones, those from names, and what lies between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.core.merge.models import BASE, EDGES, Contents, side, sides

from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_core.merge.depending import MAX_POSSIBLE_CONFLICTS, unite_flows
from mgit_core.merge.planning import plan_merge
from mgit_core.merge.values import ConflictChoice, Dependence, MergeClass, MergeOptions, MergeSide, MergeSides

HEADS = {**BASE, "head_a.weight": 1}, {**BASE, "head_b.weight": 1}


def kind(base: MergeSide, ours: MergeSide, theirs: MergeSide) -> MergeClass:
    return plan_merge(MergeSides(base=base, ours=ours, theirs=theirs), MergeOptions()).kind


def test_without_a_trace_nothing_is_independent() -> None:
    """Names tell that there are two heads; that neither feeds the other they do not tell."""
    untraced = [side(contents, is_traced=False) for contents in (BASE, *HEADS)]
    found = plan_merge(MergeSides(base=untraced[0], ours=untraced[1], theirs=untraced[2]), MergeOptions())
    assert found.kind is MergeClass.POSSIBLE_CONFLICT
    assert [each.dependence for each in found.possible] == [Dependence.NOT_KNOWN]
    assert sum("were not traced" in note for note in found.notes) == 3


@pytest.mark.parametrize("traced", [(True, False, False), (False, True, False), (False, False, True)])
def test_a_trace_of_one_model_stands_for_models_of_the_same_names_and_shapes(
    traced: tuple[bool, bool, bool],
) -> None:
    models = [
        side(contents, is_traced=is_traced)
        for contents, is_traced in zip((BASE, *HEADS), traced, strict=True)
    ]
    found = plan_merge(MergeSides(base=models[0], ours=models[1], theirs=models[2]), MergeOptions())
    assert found.kind is MergeClass.NO_CONFLICT
    assert len(found.notes) == 2
    assert all("stand for them" in note for note in found.notes)


def test_a_trace_of_another_architecture_stands_for_nothing() -> None:
    other: Contents = {**HEADS[1], "more.weight": np.zeros(3, np.float32)}
    assert kind(side(BASE), side(HEADS[0]), side(other, is_traced=False)) is MergeClass.POSSIBLE_CONFLICT


def test_an_edge_of_any_of_the_three_models_counts() -> None:
    rewired = [*EDGES, ("head_a", "tower")]
    changed = {**BASE, "tower.weight": 1}
    assert kind(side(BASE), side(HEADS[0]), side(changed)) is MergeClass.NO_CONFLICT
    for position in range(3):
        models = [
            side(contents, edges=rewired if position == at else EDGES)
            for at, contents in enumerate((BASE, HEADS[0], changed))
        ]
        assert kind(*models) is MergeClass.POSSIBLE_CONFLICT


def test_a_path_over_layers_of_several_models_counts() -> None:
    """Ours feeds the tower from a head, theirs reads the tower in a new layer: only both together reach it."""
    ours = side({**BASE, "head_a.weight": 1}, edges=[*EDGES, ("head_a", "tower")])
    theirs = side({**BASE, "new.weight": 1}, edges=[*EDGES, ("tower", "new")])
    [found] = plan_merge(MergeSides(base=side(BASE), ours=ours, theirs=theirs), MergeOptions()).possible
    assert (found.ours, found.theirs, found.dependence) == ("head_a", "new", Dependence.OURS_FEEDS_THEIRS)


def test_a_new_head_is_independent_of_another_head() -> None:
    edges = [*EDGES, ("top", "new")]
    ours = side({**BASE, "new.weight": 1}, edges=edges)
    assert kind(side(BASE), ours, side(HEADS[1])) is MergeClass.NO_CONFLICT
    assert kind(side(BASE), ours, side({**BASE, "top.weight": 1})) is MergeClass.POSSIBLE_CONFLICT


def test_a_layer_that_is_called_again_feeds_what_follows_any_of_its_calls() -> None:
    """Weights that a model uses twice: what lies between the calls is fed by the first and feeds the second."""
    layers = (
        Layer(path="shared", kind="Linear", parameters=("shared.weight",)),
        Layer(path="between", kind="Linear", parameters=("between.weight",)),
        Layer(path="shared#2", kind="Linear", repeats="shared"),
        Layer(path="behind", kind="Linear", parameters=("behind.weight",)),
        Layer(path="apart", kind="Linear", parameters=("apart.weight",)),
    )
    graph = LayerGraph(layers=layers, edges=((0, 1), (1, 2), (2, 3)), source=LayerGraphSource.FX)
    names = [name for layer in layers for name in layer.parameters]
    base = dict.fromkeys(names, 0)

    def model(*changed: str) -> MergeSide:
        return replace(side({**base, **dict.fromkeys(changed, 1)}), graph=graph)

    def dependences(ours: str, theirs: str) -> set[tuple[str, str, Dependence]]:
        three = MergeSides(base=model(), ours=model(ours), theirs=model(theirs))
        found = plan_merge(three, MergeOptions()).possible
        return {(each.ours, each.theirs, each.dependence) for each in found}

    assert dependences("shared.weight", "between.weight") == {
        ("shared", "between", Dependence.OURS_FEEDS_THEIRS),
        ("shared", "between", Dependence.THEIRS_FEEDS_OURS),
    }
    assert dependences("behind.weight", "shared.weight") == {
        ("behind", "shared", Dependence.THEIRS_FEEDS_OURS)
    }
    assert dependences("apart.weight", "shared.weight") == set()


def test_a_parameter_that_no_layer_owns_may_depend_on_everything() -> None:
    def model(contents: Contents) -> MergeSide:
        graph = LayerGraph(layers=(), edges=(), source=LayerGraphSource.EXPORT)
        known = side({name: content for name, content in contents.items() if name != "stray"})
        return replace(side(contents), graph=known.graph if known.graph.layers else graph)

    base = {**BASE, "stray": 0}
    found = plan_merge(
        MergeSides(
            base=model(base), ours=model({**base, "stray": 1}), theirs=model({**base, "tower.weight": 1})
        ),
        MergeOptions(),
    )
    assert [(each.ours, each.theirs, each.dependence) for each in found.possible] == [
        ("stray", "tower", Dependence.NOT_KNOWN)
    ]


def test_every_layer_that_takes_part_is_named_and_no_more_than_a_limit() -> None:
    """A chain of layers, the upper half changed by ours, the lower by theirs: linear, not a pair for each two."""
    count = 3 * MAX_POSSIBLE_CONFLICTS
    layers = tuple(Layer(path=f"l{at}", kind="Linear", parameters=(f"l{at}.weight",)) for at in range(count))
    graph = LayerGraph(
        layers=layers, edges=tuple((at, at + 1) for at in range(count - 1)), source=LayerGraphSource.EXPORT
    )
    empty = replace(side({}), graph=graph)
    flow = unite_flows(MergeSides(base=empty, ours=empty, theirs=empty))
    upper = flow.layers_of(f"l{at}.weight" for at in range(20))
    lower = flow.layers_of(f"l{at}.weight" for at in range(20, 40))
    found = flow.find_dependences(upper, lower)
    assert {f"l{at}" for at in range(20, 40)} == {each.theirs for each in found}
    assert len(found) == 20
    everything = flow.layers_of(f"l{at}.weight" for at in range(count))
    assert len(flow.find_dependences(everything, everything)) == MAX_POSSIBLE_CONFLICTS


def test_a_conflict_that_was_decided_may_still_spoil_a_change_that_was_not() -> None:
    """The mean of a lower layer is new to the head that theirs trained on its own lower layer."""
    ours = {**BASE, "left.weight": 1}
    theirs = {**BASE, "left.weight": 2, "head_a.weight": 1}
    three = sides(ours, theirs)
    for word, wanted in (
        ("average", MergeClass.POSSIBLE_CONFLICT),
        ("ours", MergeClass.POSSIBLE_CONFLICT),
        ("theirs", MergeClass.NO_CONFLICT),
    ):
        options = MergeOptions(choices=(("left.*", ConflictChoice(word)),))
        assert wanted is plan_merge(three, options).kind
