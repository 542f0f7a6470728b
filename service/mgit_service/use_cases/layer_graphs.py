"""Layer graphs of models: taken with a draft, and read back."""

from __future__ import annotations

from mgit_core.errors import CorruptError, ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.layers.document import unpack_layer_graph
from mgit_core.layers.graph import LayerGraph
from mgit_core.layers.naming import layers_from_names
from mgit_core.lineage import Model
from mgit_core.manifest import Manifest
from mgit_service.use_cases.backend import Backend, in_thread

__all__ = ["check_document", "read_layer_graph", "read_stored_layer_graph", "take_layer_graph"]


async def check_document(backend: Backend, document: bytes) -> None:
    """Refuses what is no layer graph of any model, before the parameters are known; empty is none.

    Raises:
        InvalidArgumentError: INVALID_LAYER_GRAPH.
    """
    if document:
        await in_thread(backend, unpack_layer_graph, document)


async def take_layer_graph(backend: Backend, document: bytes, manifest: Manifest) -> LayerGraph | None:
    """The layer graph that was sent with a draft; None for an empty ``document``.

    Raises:
        InvalidArgumentError: INVALID_LAYER_GRAPH, also if its parameters are not those of the draft.
    """
    if not document:
        return None
    return await in_thread(backend, _take, document, manifest)


def _take(document: bytes, manifest: Manifest) -> LayerGraph:
    graph = unpack_layer_graph(document)
    owned = graph.owners().keys()
    wanted = {parameter.name for parameter in manifest.parameters}
    if owned != wanted:
        odd = min(owned ^ wanted)
        found = (
            "is a parameter of no layer" if odd in wanted else "is in a layer but no parameter of the model"
        )
        raise InvalidArgumentError(
            ErrorReason.INVALID_LAYER_GRAPH,
            f"Each parameter of a model belongs to one layer of its graph; {odd[:80]!r} {found}.",
            parameter=odd[:80],
        )
    return graph


async def read_layer_graph(backend: Backend, model: Model, manifest: Manifest) -> LayerGraph:
    """The layer graph that was added with a model, or what its parameter names tell.

    Raises:
        CorruptError: MANIFEST_CORRUPT, also for a document that has gone, or UNKNOWN_FORMAT_VERSION.
    """
    if model.layer_graph_key is None:
        return await in_thread(backend, layers_from_names, manifest.parameters)
    return await _read(backend, model, model.layer_graph_key)


async def read_stored_layer_graph(backend: Backend, model: Model) -> LayerGraph:
    """The layer graph that was added with a model.

    Raises:
        NotFoundError: LAYER_GRAPH_NOT_FOUND.
        CorruptError: MANIFEST_CORRUPT, also for a document that has gone, or UNKNOWN_FORMAT_VERSION.
    """
    if model.layer_graph_key is None:
        raise NotFoundError(
            ErrorReason.LAYER_GRAPH_NOT_FOUND,
            f"{model.ref} was added without a layer graph.",
            model=model.ref,
        )
    return await _read(backend, model, model.layer_graph_key)


async def _read(backend: Backend, model: Model, key: str) -> LayerGraph:
    try:
        return await in_thread(backend, backend.parameters.read_layer_graph, key)
    except (NotFoundError, CorruptError) as error:
        is_later = error.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
        raise CorruptError(
            error.reason if is_later else ErrorReason.MANIFEST_CORRUPT,
            f"The layer graph of {model.ref} cannot be read: {error.message}",
            **{**error.details, "model": model.ref},
        ) from error
