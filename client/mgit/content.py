"""The bytes of one model: its listing is asked for once, its chunks when they are wanted."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mgit.chunks import ChunkPlan, WireChunkReader, fetch_chunks
from mgit.connection import Connection
from mgit.progress import ProgressCounter
from mgit.promises import promises_told
from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, NotFoundError
from mgit_proto.v1 import parameters_pb2

if TYPE_CHECKING:
    from mgit.manifests import Listing
    from mgit_core.layers.graph import LayerGraph
    from mgit_core.manifest import Parameter

__all__ = ["ModelContent", "ModelReader"]


class ModelReader:
    """Reads chunks of one model, and says of those that were left at a remote where they are. Thread-safe."""

    def __init__(self, connection: Connection, reader: WireChunkReader, uid: str) -> None:
        self._connection = connection
        self._reader = reader
        self._uid = uid

    def read(self, digest: Digest) -> bytes:
        """As ``WireChunkReader.read``.

        Raises:
            FailedPreconditionError: PARAMETERS_PROMISED; here and below.
        """
        with promises_told(self._connection, [self._uid]):
            return self._reader.read(digest)

    def fetch(self, plan: ChunkPlan) -> None:
        """As ``WireChunkReader.fetch``."""
        with promises_told(self._connection, [self._uid]):
            self._reader.fetch(plan)


class ModelContent:
    """What a model is made of, and how its chunks are read. Thread-safe."""

    def __init__(self, connection: Connection, reader: WireChunkReader, uid: str) -> None:
        self.connection = connection
        self.reader = ModelReader(connection, reader, uid)
        self.uid = uid

    @cached_property
    def listing(self) -> Listing:
        """Parameters and files by reference.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED.
            CorruptError: MANIFEST_CORRUPT.
        """
        from mgit.manifests import read_listing  # noqa: PLC0415 - the catalog does without numpy

        request = parameters_pb2.GetManifestRequest(model=f"@{self.uid}")
        answers = self.connection.collect(self.connection.parameters.GetManifest, request)
        return read_listing(self.connection.capabilities.algorithm, answers)

    @cached_property
    def layers(self) -> LayerGraph:
        """The layer graph that was added with it, or what its parameter names tell.

        Raises:
            As ``listing``; CorruptError: MANIFEST_CORRUPT, also for the layer graph.
        """
        from mgit.layers import read_layer_graph  # noqa: PLC0415 - the catalog does without numpy
        from mgit_core.layers.naming import layers_from_names  # noqa: PLC0415 - as above

        request = parameters_pb2.GetLayerGraphRequest(model=f"@{self.uid}")
        try:
            answer = self.connection.call(self.connection.parameters.GetLayerGraph, request)
        except NotFoundError as error:
            if error.reason is not ErrorReason.LAYER_GRAPH_NOT_FOUND:
                raise
            return layers_from_names(self.listing.manifest.parameters)
        return read_layer_graph(self.connection.capabilities.algorithm, answer)

    def fetch(self, plan: ChunkPlan, progress: ProgressCounter | None = None) -> None:
        """As ``fetch_chunks``, of chunks of this model.

        Raises:
            FailedPreconditionError: PARAMETERS_PROMISED.
        """
        with promises_told(self.connection, [self.uid]):
            fetch_chunks(self.connection, plan, progress)

    def select(self, patterns: Sequence[str]) -> tuple[Parameter, ...]:
        """The parameters that fit one of the shell patterns, in the model's order; all without a pattern.

        Raises:
            NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits none.
        """
        parameters = self.listing.manifest.parameters
        if not patterns:
            return parameters
        for pattern in patterns:
            if not any(fnmatch.fnmatchcase(parameter.name, pattern) for parameter in parameters):
                raise NotFoundError(
                    ErrorReason.TENSOR_NOT_FOUND,
                    f"No parameter of the model fits {pattern[:80]!r}; it has {len(parameters)}, "
                    f"{parameters[0].name!r} for one."
                    if parameters
                    else "The model has no parameters.",
                    uid=self.uid,
                )
        return tuple(
            parameter
            for parameter in parameters
            if any(fnmatch.fnmatchcase(parameter.name, pattern) for pattern in patterns)
        )
