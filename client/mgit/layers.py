"""Layer graphs of models: made for a model that is added, and read of one that is there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError
from mgit_core.layers.document import layer_graph_digest, pack_layer_graph, unpack_layer_graph
from mgit_core.layers.fitting import fitted_to
from mgit_core.layers.graph import LayerGraph, LayerGraphSource
from mgit_proto.v1 import parameters_pb2

if TYPE_CHECKING:
    from mgit.frameworks.torch.tracing import ExampleInputs

__all__ = ["LayerRequest", "make_layer_graph", "read_layer_graph", "request_layers"]

_HOW = {LayerGraphSource.EXPORT: "traced by torch.export", LayerGraphSource.FX: "traced by torch.fx"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRequest:
    """Which layer graph a new model gets.

    Attributes:
        graph: This one; None means that it is traced.
        inputs: What the module is called with for a trace; None means its own example inputs.
    """

    graph: LayerGraph | None = None
    inputs: ExampleInputs | None = None


def request_layers(trace: bool | ExampleInputs, graph: LayerGraph | None) -> LayerRequest | None:  # noqa: FBT001 - the word of the call that it is from
    """Which layer graph is wanted; None means none.

    Raises:
        InvalidArgumentError: INVALID_ARGUMENT, if one is given and is to be traced too.
    """
    if trace is False:
        return None if graph is None else LayerRequest(graph=graph)
    if graph is not None:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, "Either a layer graph is given or it is traced; found both."
        )
    return LayerRequest(inputs=None if trace is True else trace)


def make_layer_graph(request: LayerRequest, source: object, names: Collection[str]) -> tuple[bytes, str]:
    """The document of the layer graph of a model that is added, and what a person should know of it.

    Args:
        request: Which one.
        source: What the model is added from.
        names: Names of its parameters.

    Raises:
        InvalidArgumentError: INVALID_LAYER_GRAPH: it is of another model or too large, or the source is no module.
        FailedPreconditionError: FRAMEWORK_MISSING.
    """
    if request.graph is not None:
        return pack_layer_graph(fitted_to(request.graph, names)), ""
    from mgit.frameworks.torch import trace_layers  # noqa: PLC0415 - torch for traces only

    graph = trace_layers(source, request.inputs)
    how = _HOW.get(graph.source, "known by name only")
    note = f" {graph.note}" if graph.note else ""
    return pack_layer_graph(fitted_to(graph, names)), f"Its {len(graph.layers)} layers are {how}.{note}"


def read_layer_graph(algorithm: DigestAlgorithm, answer: parameters_pb2.GetLayerGraphResponse) -> LayerGraph:
    """The layer graph in an answer, its digest recomputed.

    Raises:
        CorruptError: MANIFEST_CORRUPT.
    """
    try:
        graph = unpack_layer_graph(answer.document)
    except InvalidArgumentError as error:
        raise CorruptError(ErrorReason.MANIFEST_CORRUPT, error.message) from error
    if layer_graph_digest(algorithm, graph) != answer.digest:
        raise CorruptError(
            ErrorReason.MANIFEST_CORRUPT,
            f"A layer graph with the digest {answer.digest.hex()} was wanted; found another one.",
        )
    return graph
