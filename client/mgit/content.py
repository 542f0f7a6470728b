"""The bytes of one model: its listing is asked for once, its chunks when they are wanted."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mgit.chunks import WireChunkReader
from mgit.connection import Connection
from mgit_core.errors import ErrorReason, NotFoundError
from mgit_proto.v1 import parameters_pb2

if TYPE_CHECKING:
    from mgit.manifests import Listing
    from mgit_core.manifest import Parameter

__all__ = ["ModelContent"]


class ModelContent:
    """What a model is made of, and how its chunks are read. Thread-safe."""

    def __init__(self, connection: Connection, reader: WireChunkReader, uid: str) -> None:
        self.connection = connection
        self.reader = reader
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
