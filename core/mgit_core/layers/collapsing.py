"""From the operations of a traced forward pass to the layers of a model, whatever framework traced it.

An operation belongs to a layer if it runs in a module that has parameters and no parts with parameters, or takes a
parameter; all others only pass on what they are given. What one pass gives to another layer is an edge, however many
such operations lie between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from mgit_core.layers.graph import Layer, LayerGraph, LayerGraphSource
from mgit_core.layers.junctions import drop_junctions, in_topological_order

__all__ = ["Operation", "collapse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a forward pass.

    Attributes:
        kind: What it does, such as ``add``.
        inputs: Indexes of the earlier operations whose results it takes.
        module: Path of the innermost module that it runs in.
        parameters: Names of the parameters and buffers that it takes; of tied ones the name in its own module, if
            there is one.
        is_input: Whether it stands for something that is given to the model.
        is_same: Whether it may give the very tensor that it takes, as a conversion does that has nothing to convert. A
            tracer tells tensors apart by what made them last, so others then seem to take it from here.
    """

    kind: str
    inputs: tuple[int, ...] = ()
    module: str = ""
    parameters: tuple[str, ...] = ()
    is_input: bool = False
    is_same: bool = False


def collapse(
    operations: Sequence[Operation], modules: Sequence[Layer], source: LayerGraphSource, note: str = ""
) -> LayerGraph:
    """The layer graph of a forward pass. Linear but for modules that are called again.

    Args:
        operations: In the order of execution.
        modules: The modules that own parameters, with these, in the order of the model. Those that no operation belongs
            to come last, without edges.
        source: Who traced it.
        note: What a reader should know.

    Raises:
        InvalidArgumentError: INVALID_LAYER_GRAPH, if it is too large for one.
    """
    collapsing = _Collapsing(modules)
    for operation in operations:
        collapsing.add(operation)
    return collapsing.finish(source, note)


@dataclass(frozen=True, slots=True)
class _Value:
    """What an operation gives.

    Attributes:
        givers: Numbers of the nodes that it comes from directly.
        parameters: Parameters that it was made from, where nothing that is given to the model went into it.
        is_data: Whether something that is given to the model, or computed from it, went into it.
    """

    givers: frozenset[int] = frozenset()
    parameters: tuple[str, ...] = ()
    is_data: bool = True


@dataclass(slots=True, kw_only=True)
class _Node:
    """A layer or junction that is being made.

    Attributes:
        layer: The layer; the path of a junction gets its number at the end.
        is_junction: Whether it is a junction.
        givers: Numbers of the nodes that it takes from.
        is_taken: Whether another node takes from it.
    """

    layer: Layer
    is_junction: bool = False
    givers: set[int] = field(default_factory=set[int])
    is_taken: bool = False


class _Collapsing:
    """Takes one operation after the other."""

    def __init__(self, modules: Sequence[Layer]) -> None:
        self._modules = {module.path: module for module in modules}
        self._owners = {name: module.path for module in modules for name in module.parameters}
        self._whole = self._modules.keys() - _holders_of_others(self._modules)
        self._nodes: list[_Node] = []
        self._values: list[_Value] = []
        # The last call of each module, and how many there were.
        self._calls: dict[str, tuple[int, int]] = {}

    def add(self, operation: Operation) -> None:
        """Take the next operation."""
        self._values.append(_Value() if operation.is_input else self._value_of(operation))

    def _value_of(self, operation: Operation) -> _Value:
        inputs = [self._values[at] for at in operation.inputs]
        taken = [*operation.parameters, *(name for value in inputs for name in value.parameters)]
        is_data = any(value.is_data for value in inputs)
        place = self._place_of(operation.module)
        if place is not None and place in self._whole and not (operation.is_same and is_data):
            return self._in_layer(place, inputs, taken)
        if not is_data:
            # Weights that are transposed, cut or scaled before they are used are still those weights.
            return _Value(parameters=tuple(dict.fromkeys(taken)), is_data=False)
        owners = [self._owners[name] for name in taken if name in self._owners]
        if owners:
            return self._in_layer(place if place in owners else owners[0], inputs, taken)
        return self._passed_on(operation, inputs)

    def _place_of(self, module: str) -> str | None:
        """The innermost module with parameters that ``module`` is or lies in."""
        while module and module not in self._modules:
            module = module.rpartition(".")[0]
        return module if module in self._modules else None

    def _in_layer(self, path: str, inputs: Sequence[_Value], taken: Iterable[str]) -> _Value:
        givers = {giver for value in inputs for giver in value.givers}
        for name in taken:
            # A weight of another layer comes from there.
            owner = self._owners.get(name, path)
            if owner != path:
                givers.add(self._call(owner, set()))
        at = self._call(path, givers)
        self._connect(at, givers - {at})
        return _Value(givers=frozenset({at}))

    def _call(self, path: str, givers: set[int]) -> int:
        """The node of a module for an operation that takes from ``givers``: its last call, or a further one."""
        module = self._modules[path]
        if path not in self._calls:
            self._calls[path] = (self._make(module), 1)
        last, count = self._calls[path]
        if self._nodes[last].is_taken and self._comes_back(last, givers - {last}):
            again = replace(module, path=f"{path}#{count + 1}", parameters=(), repeats=path)
            self._calls[path] = (self._make(again), count + 1)
        return self._calls[path][0]

    def _comes_back(self, node: int, givers: set[int]) -> bool:
        """Whether ``givers`` get from ``node`` what they give."""
        open_nodes, seen = list(givers), set(givers)
        while open_nodes:
            for giver in self._nodes[open_nodes.pop()].givers - seen:
                if giver == node:
                    return True
                seen.add(giver)
                open_nodes.append(giver)
        return False

    def _passed_on(self, operation: Operation, inputs: Sequence[_Value]) -> _Value:
        givers = {value.givers for value in inputs if value.givers}
        if len(givers) < 2:
            return _Value(givers=next(iter(givers), frozenset()))
        union = frozenset[int]().union(*givers)
        if union in givers:
            return _Value(givers=union)
        junction = Layer(path=f"{operation.module}:{operation.kind}", kind=operation.kind)
        at = self._make(junction, is_junction=True)
        self._connect(at, set(union))
        return _Value(givers=frozenset({at}))

    def _make(self, layer: Layer, *, is_junction: bool = False) -> int:
        self._nodes.append(_Node(layer=layer, is_junction=is_junction))
        return len(self._nodes) - 1

    def _connect(self, at: int, givers: set[int]) -> None:
        self._nodes[at].givers |= givers
        for giver in givers:
            self._nodes[giver].is_taken = True

    def finish(self, source: LayerGraphSource, note: str) -> LayerGraph:
        """The graph of what was taken."""
        for path, module in self._modules.items():
            if path not in self._calls:
                self._make(module)
        givers = drop_junctions(
            [node.givers for node in self._nodes], [node.is_junction for node in self._nodes]
        )
        order = in_topological_order(givers)
        place = {node: at for at, node in enumerate(order)}
        return LayerGraph(
            layers=tuple(_numbered(self._nodes[node].layer for node in order)),
            edges=tuple(sorted((place[giver], place[node]) for node in order for giver in givers[node])),
            source=source,
            note=note,
        )


def _numbered(layers: Iterable[Layer]) -> Iterator[Layer]:
    """The layers, and the second of several junctions of one path with a 2 behind it, and so on."""
    counts: dict[str, int] = {}
    for layer in layers:
        count = counts[layer.path] = counts.get(layer.path, 0) + 1
        yield layer if count == 1 else replace(layer, path=f"{layer.path}_{count}")


def _holders_of_others(paths: Iterable[str]) -> set[str]:
    """Those of ``paths`` that are modules around others of them."""
    found: set[str] = set()
    for path in paths:
        holder = path
        while holder:
            holder = holder.rpartition(".")[0]
            found.add(holder)
    return found
