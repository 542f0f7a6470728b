"""From operations to layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.layers.collapsing import Operation, collapse
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_core.layers.reach import reachable

Sources = dict[str, tuple[str, ...]]


def _module(path: str, *owned: str) -> Layer:
    names = owned or ("weight",)
    return Layer(
        path=path, kind="Linear", parameters=tuple(f"{path}.{own}" if path else own for own in names)
    )


def _input() -> Operation:
    return Operation(kind="x", is_input=True)


def _runs(module: str, *inputs: int, kind: str = "linear") -> Operation:
    return Operation(kind=kind, module=module, inputs=inputs)


def _takes(parameter: str, *inputs: int, module: str = "", kind: str = "linear") -> Operation:
    return Operation(kind=kind, module=module, inputs=inputs, parameters=(parameter,))


def _collapse(operations: Sequence[Operation], *modules: Layer) -> LayerGraph:
    return collapse(operations, modules, LayerGraphSource.EXPORT)


def _sources(graph: LayerGraph) -> Sources:
    """Paths of what each layer takes from, by path."""
    found: dict[str, list[str]] = {layer.path: [] for layer in graph.layers}
    for giver, taker in graph.edges:
        found[graph.layers[taker].path].append(graph.layers[giver].path)
    return {path: tuple(sorted(givers)) for path, givers in found.items()}


def test_what_has_no_parameters_only_passes_on() -> None:
    graph = _collapse(
        [_input(), _runs("a", 0), _runs("act", 1, kind="relu"), _runs("", 2, kind="view"), _runs("b", 3)],
        _module("a"),
        _module("b"),
    )
    assert _sources(graph) == {"a": (), "b": ("a",)}


def test_all_operations_of_a_module_are_one_layer() -> None:
    graph = _collapse(
        [
            _input(),
            _runs("a", 0),
            _runs("norm", 1),
            _runs("norm", 2),
            _runs("norm.part", 1, 3),
            _runs("b", 4),
        ],
        _module("a"),
        _module("norm"),
        _module("b"),
    )
    assert _sources(graph) == {"a": (), "norm": ("a",), "b": ("norm",)}


def test_layers_come_in_the_order_of_execution_and_unused_ones_last() -> None:
    graph = _collapse([_input(), _runs("b", 0), _runs("a", 1)], _module("unused"), _module("a"), _module("b"))
    assert [layer.path for layer in graph.layers] == ["b", "a", "unused"]
    assert graph.edges == ((0, 1),)


def test_attention_takes_from_three_layers_without_a_junction() -> None:
    operations = [
        _input(),
        *(_runs(each, 0) for each in "qkv"),
        _runs("", 1, 2, kind="matmul"),
        _runs("", 4, 3, kind="matmul"),
        _runs("o", 5),
    ]
    assert _sources(_collapse(operations, *map(_module, "qkvo")))["o"] == ("k", "q", "v")


def test_a_residual_stream_keeps_its_junctions() -> None:
    """Each addition is taken twice: by the layer behind it, and by the next addition."""
    operations = [_input(), _runs("embed", 0)]
    at = 1
    for block in range(3):
        operations += [_runs(f"f{block}", at), _runs(f"block{block}", at, len(operations), kind="add")]
        at = len(operations) - 1
    operations.append(_runs("head", at))
    graph = _collapse(operations, *(_module(path) for path in ("embed", "f0", "f1", "f2", "head")))
    assert _sources(graph) == {
        "embed": (),
        "f0": ("embed",),
        "block0:add": ("embed", "f0"),
        "f1": ("block0:add",),
        "block1:add": ("block0:add", "f1"),
        "f2": ("block1:add",),
        "head": ("block1:add", "f2"),
    }
    junction = next(layer for layer in graph.layers if layer.path == "block0:add")
    assert (junction.kind, junction.parameters) == ("add", ())


def test_flows_that_meet_in_what_the_model_gives_leave_a_junction() -> None:
    operations = [
        _input(),
        _runs("a", 0),
        _runs("b", 0),
        _runs("", 1, 2, kind="add"),
        _runs("", 3, kind="relu"),
    ]
    assert _sources(_collapse(operations, *map(_module, "ab")))[":add"] == ("a", "b")


def test_results_side_by_side_do_not_meet() -> None:
    operations = [_input(), _runs("a", 0), _runs("b", 0)]
    assert _sources(_collapse(operations, *map(_module, "ab"))) == {"a": (), "b": ()}


def test_two_junctions_of_one_kind_in_one_module_have_paths_of_their_own() -> None:
    operations = [_input(), _runs("a", 0), _runs("b", 0)]
    operations += [_runs("m", 1, 2, kind="add"), _runs("c", 3), _runs("m", 3, 4, kind="add")]
    operations += [_runs("d", 5), _runs("e", 5)]
    graph = _collapse(operations, *map(_module, "abcde"))
    assert _sources(graph)["e"] == ("m:add_2",)
    assert _sources(graph)["m:add_2"] == ("c", "m:add")


def test_a_module_that_is_called_again_is_a_layer_of_its_own() -> None:
    graph = _collapse(
        [_input(), _runs("a", 0), _runs("b", 1), _runs("a", 2), _runs("b", 3)], *map(_module, "ab")
    )
    assert _sources(graph) == {"a": (), "b": ("a",), "a#2": ("b",), "b#2": ("a#2",)}
    assert [(layer.repeats, layer.parameters) for layer in graph.layers[2:]] == [("a", ()), ("b", ())]


def test_calls_side_by_side_are_one_layer() -> None:
    """An embedding that encoder and decoder share does not feed itself."""
    operations = [_input(), _input(), _runs("embed", 0), _runs("a", 2), _runs("embed", 1), _runs("b", 3, 4)]
    graph = _collapse(operations, *map(_module, ("embed", "a", "b")))
    assert _sources(graph) == {"embed": (), "a": ("embed",), "b": ("a", "embed")}


def test_a_weight_that_is_used_elsewhere_is_a_further_call_of_its_owner() -> None:
    operations = [_input(), _runs("embed", 0), _runs("a", 1), _takes("embed.weight", 2)]
    graph = _collapse(operations, _module("embed"), _module("a"))
    assert _sources(graph) == {"embed": (), "a": ("embed",), "embed#2": ("a",)}


def test_a_weight_that_is_turned_first_is_still_that_weight() -> None:
    operations = [_input(), _runs("embed", 0), _runs("a", 1)]
    operations += [_takes("embed.weight", kind="transpose"), _runs("", 2, 3, kind="matmul")]
    graph = _collapse(operations, _module("embed"), _module("a"))
    assert _sources(graph) == {"embed": (), "a": ("embed",), "embed#2": ("a",)}


def test_a_module_around_others_computes_where_it_takes_its_own_parameters() -> None:
    """Like attention of torch, whose input projection is its own and whose output projection is a part."""
    operations = [
        _input(),
        _takes("attn.in", 0, module="attn"),
        _runs("attn", 1, kind="softmax"),
        _takes("attn.out.weight", 2, module="attn"),
        _runs("attn", 3, kind="view"),
        _runs("b", 4),
    ]
    graph = _collapse(operations, _module("attn", "in"), _module("attn.out"), _module("b"))
    assert _sources(graph) == {"attn": (), "attn.out": ("attn",), "b": ("attn.out",)}


def test_a_module_around_others_may_compute_again_behind_them() -> None:
    operations = [_takes("m.first", 0, module="m"), _runs("m.part", 1), _takes("m.second", 2, module="m")]
    graph = _collapse([_input(), *operations], _module("m", "first", "second"), _module("m.part"))
    assert _sources(graph) == {"m": (), "m.part": ("m",), "m#2": ("m.part",)}


def test_a_layer_takes_from_the_owner_of_a_foreign_weight() -> None:
    operations = [
        _input(),
        Operation(kind="linear", module="a", inputs=(0,), parameters=("b.weight", "a.weight")),
    ]
    assert _sources(_collapse(operations, _module("a"), _module("b"))) == {"b": (), "a": ("b",)}


def test_a_conversion_that_converts_nothing_takes_no_part() -> None:
    operations = [
        _input(),
        _runs("a", 0),
        Operation(kind="to", module="norm", inputs=(1,), is_same=True),
        _runs("norm", 2),
        _runs("", 2, 3, kind="add"),
        _runs("b", 4),
    ]
    graph = _collapse(operations, *map(_module, ("a", "norm", "b")))
    assert _sources(graph) == {"a": (), "norm": ("a",), "b": ("a", "norm")}


def test_a_layer_without_inputs_feeds_others() -> None:
    """Like a table of distances, looked up by positions that nobody gave."""
    operations = [
        _runs("", kind="arange"),
        _runs("bias", 0),
        _input(),
        _runs("q", 2),
        _runs("", 1, 3, kind="add"),
    ]
    graph = _collapse([*operations, _runs("o", 4)], *map(_module, ("q", "bias", "o")))
    assert _sources(graph) == {"bias": (), "q": (), "o": ("bias", "q")}


def test_a_model_that_is_one_layer() -> None:
    graph = _collapse([_input(), _runs("", 0)], _module(""))
    assert _sources(graph) == {"": ()}


def test_source_and_note_are_kept() -> None:
    graph = collapse([], [_module("a")], LayerGraphSource.FX, "why")
    assert (graph.source, graph.note, len(graph.layers)) == (LayerGraphSource.FX, "why", 1)


COUNT = 10
places = st.sampled_from(["", "", "a", "b", "c", "d"])


@st.composite
def passes(draw: st.DrawFn) -> list[Operation]:
    """Forward passes in which each module is called at any places, in any order."""
    operations = [_input()]
    for at in range(1, COUNT):
        inputs = draw(st.sets(st.integers(0, at - 1), max_size=3))
        operations.append(_runs(draw(places), *sorted(inputs), kind=draw(st.sampled_from(["add", "view"]))))
    return operations


def _is_fed(operations: Sequence[Operation], giver: str, taker: str) -> bool:
    """Whether anything that a module gives gets to another one, by following every operation."""
    reached: set[int] = set()
    for at, operation in enumerate(operations):
        if operation.module == giver or reached.intersection(operation.inputs):
            reached.add(at)
    return any(
        operation.module == taker and reached.intersection(operation.inputs)
        for at, operation in enumerate(operations)
        if at in reached
    )


def _fed(operations: Sequence[Operation]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Pairs of modules of which the first feeds the second: by the layer graph, and by following every operation."""
    graph = _collapse(operations, *map(_module, "abcd"))
    places = {layer.path: at for at, layer in enumerate(graph.layers)}
    pairs = list(permutations("abcd", 2))
    by_layers = {
        (giver, taker) for giver, taker in pairs if places[taker] in reachable(graph, [places[giver]])
    }
    return by_layers, {(giver, taker) for giver, taker in pairs if _is_fed(operations, giver, taker)}


@given(passes())
def test_no_dependence_is_lost_however_often_modules_are_called(operations: list[Operation]) -> None:
    by_layers, by_operations = _fed(operations)
    assert by_layers >= by_operations


@given(passes())
def test_of_modules_that_are_called_once_nothing_is_added(operations: list[Operation]) -> None:
    seen = {""}
    once = []
    for operation in operations:
        once.append(replace(operation, module="" if operation.module in seen else operation.module))
        seen.add(operation.module)
    by_layers, by_operations = _fed(once)
    assert by_layers == by_operations


@pytest.mark.parametrize("blocks", [400])
def test_edges_stay_few_in_a_long_residual_stream(blocks: int) -> None:
    operations = [_input(), _runs("embed", 0)]
    at = 1
    for block in range(blocks):
        operations += [_runs(f"f{block}", at), _runs("", at, len(operations), kind="add")]
        at = len(operations) - 1
    graph = _collapse(operations, _module("embed"), *(_module(f"f{block}") for block in range(blocks)))
    assert len(graph.edges) < 4 * blocks
