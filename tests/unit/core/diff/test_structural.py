"""Structural diffs of layer graphs, and which parameters stand for each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.diff.gauging import parameters_of

from mgit_core.diff.pairing import PairedParameter, pair_parameters
from mgit_core.diff.structural import LayeredModel, diff_structure
from mgit_core.diff.values import DiffState, LayerDiff, StructuralDiff
from mgit_core.layers.graph import LayerGraph, LayerGraphSource
from mgit_core.layers.naming import layers_from_names
from mgit_core.tensor import AnyArray

Tensors = Mapping[str, AnyArray]


def filled(value: float, *shape: int) -> AnyArray:
    return np.full(shape, value, np.float32)


def encoder(layers: int = 3, vocabulary: int = 50, outputs: int = 2) -> dict[str, AnyArray]:
    """Every tensor has another value."""
    tensors = {"embeddings.word.weight": filled(0.5, vocabulary, 8)}
    for layer in range(layers):
        for at, part in enumerate(("query", "value", "output")):
            tensors[f"layer.{layer}.{part}.weight"] = filled(10 * layer + at + 1, 8, 8)
            tensors[f"layer.{layer}.{part}.bias"] = filled(10 * layer + at + 1, 8)
        tensors[f"layer.{layer}.norm.weight"] = filled(100 + layer, 8)
    return {**tensors, "head.weight": filled(-1, outputs, 8), "head.bias": filled(-1, outputs)}


def named(tensors: Tensors) -> LayeredModel:
    parameters = parameters_of(tensors)
    return LayeredModel(graph=layers_from_names(parameters), parameters=parameters)


def traced(tensors: Tensors, edges: set[tuple[int, int]] | None = None) -> LayeredModel:
    """The same as if it were traced: one layer feeds the next, unless other edges are given."""
    model = named(tensors)
    chosen = tuple(sorted(edges)) if edges is not None else model.graph.edges
    return replace(model, graph=replace(model.graph, edges=chosen, source=LayerGraphSource.FX))


def differing(diff: StructuralDiff) -> list[tuple[str, str]]:
    return [(str(layer.state), layer.path) for layer in diff.layers]


def pairs_of(before: LayeredModel, after: LayeredModel) -> list[PairedParameter]:
    diff = diff_structure(before, after, whole=True)
    return pair_parameters(before.parameters, after.parameters, diff.layers)


def names(pairs: list[PairedParameter]) -> dict[str | None, str | None]:
    return {
        each.before.name if each.before else None: each.after.name if each.after else None
        for each in pairs
        if each.before is None or each.after is None or each.before.name != each.after.name
    }


@pytest.mark.parametrize("make", [named, traced])
def test_a_model_does_not_differ_from_itself(make: type) -> None:
    diff = diff_structure(make(encoder()), make(encoder()))
    assert not diff
    assert (diff.layers, diff.flow, diff.items, diff.is_minimal) == ((), (), 0, True)
    assert diff.equal_layers == 14


@pytest.mark.parametrize("make", [named, traced])
def test_other_values_and_a_cast_are_no_structure(make: type) -> None:
    half = {name: np.asarray(array, np.float16) * np.float16(2) for name, array in encoder().items()}
    assert not diff_structure(make(encoder()), make(half))


def test_another_head_is_one_changed_layer() -> None:
    diff = diff_structure(traced(encoder()), traced(encoder(outputs=5)))
    assert differing(diff) == [("changed", "head")]
    assert (diff.items, diff.is_minimal, diff.flow) == (1, True, ())


def test_a_resized_vocabulary_is_one_changed_layer_with_common_rows() -> None:
    before, after = named(encoder()), named(encoder(vocabulary=53))
    assert differing(diff_structure(before, after)) == [("changed", "embeddings.word")]
    assert names(pairs_of(before, after)) == {}


def test_more_layers_are_added_with_their_flow() -> None:
    diff = diff_structure(traced(encoder(2)), traced(encoder(3)))
    assert {state for state, _ in differing(diff)} == {"added"}
    assert {path for _, path in differing(diff)} == {
        f"layer.2.{part}" for part in ("query", "value", "output", "norm")
    }
    assert [(each.giver, each.taker) for each in diff.flow if each.state is DiffState.REMOVED] == [
        ("layer.1.norm", "head")
    ]
    assert diff.items == 4 + 1 + 5


def test_layers_that_moved_up_are_known_by_what_they_hold() -> None:
    """The first of three was taken out, and the others were numbered anew."""
    before, after = encoder(3), encoder(3)
    moved = {name: array for name, array in after.items() if not name.startswith("layer.0.")}
    moved = {
        name.replace("layer.1.", "layer.0.").replace("layer.2.", "layer.1."): array
        for name, array in moved.items()
    }
    diff = diff_structure(traced(before), traced(moved))
    removed = [layer for layer in diff.layers if layer.state is DiffState.REMOVED]
    assert {layer.path for layer in removed} == {
        f"layer.0.{part}" for part in ("query", "value", "output", "norm")
    }
    assert sum(layer.is_renamed for layer in diff.layers) == 8
    pairs = pairs_of(traced(before), traced(moved))
    kept = [each for each in pairs if each.before and each.after]
    assert all(each.before.digest == each.after.digest for each in kept if each.before and each.after)


@pytest.mark.parametrize("make", [named, traced])
def test_a_prefix_on_all_names_renames_every_layer(make: type) -> None:
    wrapped = {f"model.{name}": array for name, array in encoder().items()}
    diff = diff_structure(make(encoder()), make(wrapped))
    assert diff
    assert (diff.items, len(diff.layers)) == (0, 14)
    assert all(layer.is_renamed and layer.state is DiffState.EQUAL for layer in diff.layers)
    found = names(pairs_of(make(encoder()), make(wrapped)))
    assert found == {name: f"model.{name}" for name in encoder()}


def test_one_traced_model_is_compared_by_names() -> None:
    diff = diff_structure(traced(encoder()), named(encoder(outputs=3)))
    assert (diff.source, diff.flow) == (LayerGraphSource.NAMES, ())
    assert "Only one of the two was traced" in diff.note
    assert differing(diff) == [("changed", "head")]


def test_other_flow_between_the_same_layers_is_told() -> None:
    tensors = {f"{name}.weight": filled(at, 4, 4) for at, name in enumerate("abc")}
    diff = diff_structure(traced(tensors, {(0, 1), (1, 2)}), traced(tensors, {(0, 1), (0, 2)}))
    assert differing(diff) == []
    assert {(each.giver, each.taker, str(each.state)) for each in diff.flow} == {
        ("b", "c", "removed"),
        ("a", "c", "added"),
    }
    assert (diff.items, diff.equal_flow, diff.is_minimal) == (2, 1, True)


def test_shapes_count_where_attributes_do_not_tell_them() -> None:
    """A module of one's own has no attributes that a trace would know."""
    models = [
        LayeredModel(
            graph=LayerGraph(
                layers=(replace(named(tensors).graph.layers[0], kind="Own", attributes={}),),
                edges=(),
                source=LayerGraphSource.EXPORT,
            ),
            parameters=parameters_of(tensors),
        )
        for tensors in ({"own.scale": filled(1, 4)}, {"own.scale": filled(1, 5)})
    ]
    assert differing(diff_structure(*models)) == [("changed", "own")]


def test_models_without_tensors_do_not_differ() -> None:
    assert not diff_structure(named({}), named({}))
    diff = diff_structure(named({}), named(encoder(1)))
    assert diff.items == len(diff.layers) == 6


@st.composite
def models(draw: st.DrawFn) -> LayeredModel:
    count = draw(st.integers(0, 5))
    places = draw(st.permutations(range(7)))[:count]
    tensors = {
        f"m{place}.{own}": filled(draw(st.sampled_from([1.0, 2.0])), draw(st.sampled_from([2, 3])))
        for place in places
        for own in draw(st.sampled_from([("weight",), ("weight", "bias")]))
    }
    model = traced(tensors)
    ends = [(one, other) for one in range(count) for other in range(one + 1, count)]
    edges = draw(st.sets(st.sampled_from(ends))) if ends else set()
    return replace(model, graph=replace(model.graph, edges=tuple(sorted(edges))))


@given(models(), models())
@settings(max_examples=80, deadline=None)
def test_the_diff_back_is_the_mirror(before: LayeredModel, after: LayeredModel) -> None:
    there, back = diff_structure(before, after, whole=True), diff_structure(after, before, whole=True)

    def told(layers: list[LayerDiff]) -> set[tuple[str, str, str]]:
        return {
            (str(each.state), each.before.path if each.before else "", each.after.path if each.after else "")
            for each in layers
        }

    assert told([each.mirrored() for each in there.layers]) == told(list(back.layers))
    assert (there.items, there.equal_layers, there.equal_flow, bool(there)) == (
        back.items,
        back.equal_layers,
        back.equal_flow,
        bool(back),
    )
    flow = {(each.giver, each.taker, each.state) for each in there.flow if each.state is not DiffState.EQUAL}
    assert flow == {
        (each.giver, each.taker, each.mirrored().state)
        for each in back.flow
        if each.state is not DiffState.EQUAL
    }


@given(models(), models())
@settings(max_examples=80, deadline=None)
def test_a_diff_of_parameters_makes_the_one_model_from_the_other(
    before: LayeredModel, after: LayeredModel
) -> None:
    """Every parameter is there once, and the digests that are told are those of the models."""
    pairs = [each.as_diff() for each in pairs_of(before, after)]
    olds = sorted((each.before.name, each.before.digest) for each in pairs if each.before)
    news = sorted((each.after.name, each.after.digest) for each in pairs if each.after)
    assert olds == sorted((each.name, each.digest) for each in before.parameters)
    assert news == sorted((each.name, each.digest) for each in after.parameters)
    back = [each.as_diff().mirrored() for each in pairs_of(after, before)]
    assert sorted(map(repr, pairs)) == sorted(map(repr, back))


@given(models())
@settings(max_examples=40, deadline=None)
def test_nothing_differs_between_a_model_and_itself(model: LayeredModel) -> None:
    assert not diff_structure(model, model)
    assert not any(each.as_diff() for each in pairs_of(model, model))


def test_parameters_within_a_layer_are_paired_by_digest_and_shape() -> None:
    """Other libraries call weight and bias of a norm gamma and beta."""
    before = {"norm.weight": filled(1, 8), "norm.bias": filled(2, 8)}
    after = {"norm.gamma": filled(1, 8), "norm.beta": filled(2, 8)}
    graphs = [named(before), named(after)]
    layer = LayerDiff(before=graphs[0].graph.layers[0], after=graphs[1].graph.layers[0], is_alike=True)
    found = pair_parameters(graphs[0].parameters, graphs[1].parameters, [layer])
    assert names(found) == {"norm.weight": "norm.gamma", "norm.bias": "norm.beta"}
    moved = named({"norm.gamma": filled(7, 8, 2), "norm.beta": filled(9, 3)})
    shaped = named({"norm.weight": filled(8, 8, 2), "norm.bias": filled(6, 3)})
    layer = LayerDiff(before=shaped.graph.layers[0], after=moved.graph.layers[0], is_alike=True)
    found = pair_parameters(shaped.parameters, moved.parameters, [layer])
    assert names(found) == {"norm.weight": "norm.gamma", "norm.bias": "norm.beta"}


def shifted(tensors: Tensors) -> dict[str, AnyArray]:
    """Without the first block, the others numbered anew."""
    return {
        name.replace("layer.1.", "layer.0.").replace("layer.2.", "layer.1."): array
        for name, array in tensors.items()
        if not name.startswith("layer.0.")
    }


@pytest.mark.parametrize("make", [named, traced])
def test_a_whole_block_follows_what_moved_in_it(make: type) -> None:
    """The norms say nothing of themselves: all are ones, as they began."""
    before = {name: filled(1, 8) if "norm" in name else array for name, array in encoder(3).items()}
    after = shifted(before)
    after["layer.1.query.weight"] = filled(99, 8, 8)
    diff = diff_structure(make(before), make(after), whole=True)
    assert {layer.path for layer in diff.layers if layer.state is DiffState.REMOVED} == {
        f"layer.0.{part}" for part in ("query", "value", "output", "norm")
    }
    moved = {layer.before.path: layer.after.path for layer in diff.layers if layer.before and layer.after}
    assert moved["layer.2.norm"] == "layer.1.norm"
    assert moved["layer.2.query"] == "layer.1.query"


def test_vectors_that_are_equal_by_accident_are_no_sign_of_a_move() -> None:
    before = {**encoder(2), "layer.0.norm.weight": filled(1, 8)}
    after = {**encoder(2), "layer.0.norm.weight": filled(3, 8), "layer.1.norm.weight": filled(1, 8)}
    assert not diff_structure(named(before), named(after))


def test_zeros_in_many_places_are_no_sign_of_a_move() -> None:
    """Factors of adapters begin at zero in every layer, and some may stay there."""
    before = {f"{at}.b.weight": filled(0, 8, 8) for at in range(4)}
    after = {**before, "0.b.weight": filled(1, 8, 8), "3.b.weight": filled(2, 8, 8)}
    assert not diff_structure(named(before), named(after))


@pytest.mark.parametrize("make", [named, traced])
def test_a_wrapped_and_trained_model_is_known_by_its_names(make: type) -> None:
    """No tensor is equal, the head has another shape, and every name has a prefix."""
    after = {
        f"model.{name}": np.asarray(array, np.float32) * np.float32(2)
        for name, array in encoder(outputs=5).items()
    }
    for before, other in ((encoder(), after), (after, encoder())):
        diff = diff_structure(make(before), make(other))
        assert diff.items == 1
        changed = [layer for layer in diff.layers if layer.state is DiffState.CHANGED]
        assert [(layer.before.kind, layer.is_renamed) for layer in changed if layer.before] == [
            ("Linear", True)
        ]
        assert all(layer.is_renamed for layer in diff.layers)


def test_a_module_that_was_renamed_takes_its_changed_layers_along() -> None:
    before = encoder()
    after = {name.replace("layer.1.", "block.first."): array for name, array in before.items()}
    after["block.first.value.weight"] = filled(77, 6, 8)
    after["block.first.value.bias"] = filled(77, 6)
    diff = diff_structure(traced(before), traced(after))
    assert {(str(layer.state), layer.is_renamed) for layer in diff.layers} == {
        ("equal", True),
        ("changed", True),
    }
    assert (len(diff.layers), diff.items) == (4, 1)


def test_two_layers_that_swapped_places_are_told_as_moved() -> None:
    before = encoder(1)
    after = {**before}
    after["layer.0.query.weight"] = before["layer.0.value.weight"]
    after["layer.0.value.weight"] = before["layer.0.query.weight"]
    after["layer.0.query.bias"] = before["layer.0.value.bias"]
    after["layer.0.value.bias"] = before["layer.0.query.bias"]
    diff = diff_structure(named(before), named(after))
    assert {
        (layer.before.path, layer.after.path) for layer in diff.layers if layer.before and layer.after
    } == {("layer.0.query", "layer.0.value"), ("layer.0.value", "layer.0.query")}
