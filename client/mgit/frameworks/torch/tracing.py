"""Traces the layer graph of a torch module."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Generator, Mapping, Sequence
from typing import Any, TypeAlias

import torch
import torch.fx

from mgit.frameworks.torch.modules import TiedNames, owning_modules
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.layers.collapsing import Operation, collapse
from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource

__all__ = ["ExampleInputs", "trace_layers"]

ExampleInputs: TypeAlias = "Mapping[str, object] | Sequence[object] | torch.Tensor"
Arguments: TypeAlias = tuple[tuple[object, ...], dict[str, object]]
"""What a module is called with, in order and by name."""

_LONGEST_REASON = 300
# Operations that give the tensor itself where they have nothing to do.
_SAME = frozenset({"to", "type", "type_as", "float", "half", "bfloat16", "contiguous", "detach", "dropout"})


def trace_layers(module: object, inputs: ExampleInputs | None = None) -> LayerGraph:
    """The layers of a module and the data flow between them in one forward pass in evaluation mode.

    With example inputs the pass is traced by ``torch.export``, on tensors without content: nothing is computed, but
    the module's code runs. Without them, or if that fails, it is traced by ``torch.fx``. If that fails too the graph
    is made from parameter names. ``source`` and ``note`` of the graph say what was done, and why nothing better.

    Args:
        module: A ``torch.nn.Module``; it is as before when this returns.
        inputs: What the module is called with: by name, in order, or one tensor. None means the ``dummy_inputs`` of
            the module, which those of transformers have.

    Raises:
        InvalidArgumentError: INVALID_LAYER_GRAPH, if it is no module, or too large for a layer graph.
    """
    if not isinstance(module, torch.nn.Module):
        raise InvalidArgumentError(
            ErrorReason.INVALID_LAYER_GRAPH,
            f"Layers are traced of a torch module; found {type(module).__name__}.",
        )
    modules = owning_modules(module)
    with _evaluating(module), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of tracers about what they cannot see, which the graph's note says.
        return _trace_as_well_as_can_be(module, modules, _arguments(module, inputs))


def _trace_as_well_as_can_be(
    module: torch.nn.Module, modules: Sequence[Layer], arguments: Arguments | None
) -> LayerGraph:
    failures: list[str] = []
    if arguments is None:
        failures.append("torch.export needs example inputs")
    else:
        try:
            return _exported(module, arguments, modules)
        except Exception as error:  # noqa: BLE001 - any code of the user's and of torch runs there
            failures.append(f"torch.export: {_reason(error)}")
    try:
        return _symbolically_traced(module, modules, "; ".join(failures))
    except Exception as error:  # noqa: BLE001 - as above
        failures.append(f"torch.fx: {_reason(error)}")
    note = f"Not traced, so the data flow is not known. {'; '.join(failures)}."
    edges = tuple((at, at + 1) for at in range(len(modules) - 1))
    return LayerGraph(layers=tuple(modules), edges=edges, source=LayerGraphSource.NAMES, note=_plain(note))


@contextlib.contextmanager
def _evaluating(module: torch.nn.Module) -> Generator[None]:
    """In evaluation mode; afterwards each part is in the mode in which it was."""
    training = [part for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _arguments(module: torch.nn.Module, inputs: ExampleInputs | None) -> Arguments | None:
    """What to call the module with, in order and by name."""
    if inputs is None:
        inputs = _own_inputs(module)
    if inputs is None:
        return None
    if isinstance(inputs, torch.Tensor):
        return (inputs,), {}
    if isinstance(inputs, Mapping):
        return (), {str(name): value for name, value in inputs.items() if value is not None}
    return tuple(inputs), {}


def _own_inputs(module: torch.nn.Module) -> Mapping[str, object] | None:
    """Example inputs as the models of transformers have them."""
    own = getattr(module, "dummy_inputs", None)
    if not isinstance(own, Mapping):
        return None
    main = getattr(module, "main_input_name", None)
    if main != "pixel_values" or main in own:
        return own
    config: Any = getattr(module, "config", None)
    side = getattr(config, "image_size", None)
    # Models without positions take pictures of any size; this one is large enough to be halved six times.
    return {main: torch.zeros(1, getattr(config, "num_channels", 3), *_sides(side))}


def _sides(side: object) -> tuple[int, int]:
    if isinstance(side, list | tuple):
        return int(side[0]), int(side[1])
    return (side, side) if isinstance(side, int) else (64, 64)


class _TensorsOnly(torch.nn.Module):
    """Gives the tensors in what a module gives: torch.export refuses results of a class that it does not know."""

    def __init__(self, traced: torch.nn.Module) -> None:
        super().__init__()
        self.traced = traced

    def forward(self, *arguments: Any, **named: Any) -> tuple[torch.Tensor, ...]:
        return tuple(_tensors_in(self.traced(*arguments, **named)))


def _tensors_in(value: object) -> Generator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors_in(item)
    elif dataclasses.is_dataclass(value):
        for item in dataclasses.fields(value):
            yield from _tensors_in(getattr(value, item.name))


def _exported(module: torch.nn.Module, arguments: Arguments, modules: Sequence[Layer]) -> LayerGraph:
    given, named = arguments
    program: Any = torch.export.export(_TensorsOnly(module), given, named, strict=False)
    targets = {
        spec.arg.name: spec.target.removeprefix("traced.")
        for spec in program.graph_signature.input_specs
        if spec.target is not None
    }
    reader = _Reader(module, program.graph, targets)
    return collapse(reader.operations(), modules, LayerGraphSource.EXPORT)


def _symbolically_traced(module: torch.nn.Module, modules: Sequence[Layer], note: str) -> LayerGraph:
    graph = torch.fx.Tracer().trace(module)
    return collapse(_Reader(module, graph, {}).operations(), modules, LayerGraphSource.FX, _plain(note))


class _Reader:
    """Reads operations from the graph of a tracer."""

    def __init__(self, module: torch.nn.Module, graph: torch.fx.Graph, targets: Mapping[str, str]) -> None:
        """Operations of ``graph``; ``targets`` has the parameter or buffer that a placeholder stands for."""
        self._graph = graph
        self._targets = targets
        self._tied = TiedNames(module)
        self._numbers: dict[torch.fx.Node, int] = {}
        # Names of parameters and buffers by the node that stands for them.
        self._weights: dict[torch.fx.Node, str] = {}

    def operations(self) -> list[Operation]:
        found: list[Operation] = []
        for node in self._graph.nodes:
            name = self._weight_of(node)
            if name is not None:
                self._weights[node] = name
            elif node.op != "output":
                self._numbers[node] = len(found)
                found.append(self._operation(node))
        return found

    def _weight_of(self, node: torch.fx.Node) -> str | None:
        if node.op == "placeholder":
            return self._targets.get(node.name)
        return str(node.target) if node.op == "get_attr" else None

    def _operation(self, node: torch.fx.Node) -> Operation:
        place, kind = _place_of(node), _kind_of(node)
        taken = [self._weights[each] for each in node.all_input_nodes if each in self._weights]
        if node.op == "call_module":
            taken += self._tied.below(str(node.target))
        names = (self._tied.in_module(name, place) for name in taken)
        return Operation(
            kind=kind,
            inputs=tuple(self._numbers[each] for each in node.all_input_nodes if each in self._numbers),
            module=place,
            parameters=tuple(dict.fromkeys(name for name in names if name is not None)),
            is_input=node.op == "placeholder",
            is_same=kind in _SAME,
        )


def _place_of(node: torch.fx.Node) -> str:
    """Path of the innermost module that an operation runs in."""
    if node.op == "call_module":
        return str(node.target)
    stack: Mapping[str, tuple[str, object]] = node.meta.get("nn_module_stack") or {}
    path = [*stack.values()][-1][0] if stack else ""
    # torch.export writes a further call of a module as PATH@1, and the wrapper's name stands before all.
    return path.partition("@")[0].removeprefix("traced").removeprefix(".")


def _kind_of(node: torch.fx.Node) -> str:
    target: Any = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", type(target).__name__)
    # Operations of torch are written add.Tensor, and add_ where they write over what they take.
    return name.rpartition(".")[2] if node.op == "call_module" else name.partition(".")[0].strip("_")


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text if len(text) <= _LONGEST_REASON else f"{text[:_LONGEST_REASON]}..."


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)
