"""The model that a test gets: as ``repo.get`` gives it, but what it reads cannot be changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mgit.chunks import WireChunkReader
from mgit.connection import Connection
from mgit.content import ModelContent
from mgit.manifests import read_listing
from mgit.model import Framework, Model, read_model
from mgit.progress import Progress
from mgit.tensors import LazyTensor, PlanReader, Tensors
from mgit_core.manifest import Manifest
from mgit_core.tensor import AnyArray
from mgit_proto.v1 import parameters_pb2

__all__ = ["GivenModel", "open_model", "read_given"]


class _ReadOnlyTensor(LazyTensor):
    """A tensor whose arrays are read-only: a test that wants to change weights makes its own copy."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, np.ndarray):
            part.flags.writeable = False
        return part

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:  # noqa: FBT001 - numpy's
        array = super().__array__(dtype, copy)
        return array.copy() if copy else array


class _ReadOnlyTensors(Tensors):
    """Tensors by name, read-only."""

    __slots__ = ("_plan_reader",)

    def __init__(self, manifest: Manifest, reader: PlanReader) -> None:
        super().__init__(manifest, reader)
        self._plan_reader = reader

    def __getitem__(self, name: str) -> LazyTensor:
        return _ReadOnlyTensor(self._parameters[name], self._plan_reader)


class GivenModel(Model):
    """A model for a test. ``model["weight"]`` is the array of a parameter, as a guard writes it."""

    __slots__ = ()

    @property
    def tensors(self) -> Tensors:
        """Its tensors by name, fetched when they are indexed; the arrays are read-only.

        Raises:
            FailedPreconditionError: MODEL_REMOVED.
        """
        return _ReadOnlyTensors(self.content.listing.manifest, self.content.reader)

    def load(  # type: ignore[override]  # one signature for both frameworks
        self, framework: Framework = "numpy", *, tensors: Sequence[str] = (), progress: Progress = None
    ) -> Mapping[str, Any]:
        """As ``mgit.Model.load``; arrays of numpy are read-only, tensors of torch belong to the caller."""
        loaded: Any = super().load(framework, tensors=tensors, progress=progress)
        if framework == "numpy":
            for array in loaded.values():
                array.flags.writeable = False
        given: Mapping[str, Any] = loaded
        return given

    def __getitem__(self, name: str) -> AnyArray:
        array: AnyArray = self.tensors[name][...]
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return self.tensor_count

    def keys(self) -> Iterator[str]:
        """Names of the parameters, in the model's order."""
        return iter(self)


def open_model(connection: Connection, reader: WireChunkReader, reference: str) -> GivenModel:
    """The model that ``reference`` names, for a test.

    Raises:
        MGitError: As ``read_given``.
    """
    model = read_given(connection, reader, reference)
    return GivenModel(**{each.name: getattr(model, each.name) for each in dataclasses.fields(model)})


def read_given(connection: Connection, reader: WireChunkReader, reference: str) -> Model:
    """The model that ``reference`` names, its parameters listed; a staged one, too, which no look-up finds.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        FailedPreconditionError: MODEL_REMOVED or PARAMETERS_PROMISED.
        CorruptError: MANIFEST_CORRUPT.
    """
    request = parameters_pb2.GetManifestRequest(model=reference)
    answers = connection.collect(connection.parameters.GetManifest, request)
    content = ModelContent(connection, reader, answers[0].model.summary.uid)
    content.listing = read_listing(connection.capabilities.algorithm, answers)
    return read_model(answers[0].model, content)
