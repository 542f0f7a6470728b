"""Weights that are read a part at a time, of a model at the service or of one that is about to be added."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeAlias

import numpy as np

from mgit.chunks import BufferSink, ChunkPlan
from mgit.frameworks.source import Source, bytes_of
from mgit.model import Model
from mgit_core.chunking import chunk_ranges
from mgit_core.digest import Digest
from mgit_core.lineage import MetadataValue
from mgit_core.manifest import Parameter
from mgit_core.tensor import AnyArray, TensorSpec, dtype_named

__all__ = ["ModelWeights", "SourceWeights", "Weights"]

_Window: TypeAlias = "list[tuple[int, int, int]]"
"""Chunks: the place of each in the order of the bytes, its first byte, and the one behind its last."""

_WINDOW_BYTES = 16 << 20  # Enough chunks at once to fill the way to the service.


class Weights(Protocol):
    """What built-in tests read."""

    @property
    def metadata(self) -> Mapping[str, MetadataValue]:
        """What the model's author wrote about it."""
        ...

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        """Type and shape of each parameter, in the model's order."""
        ...

    def digest(self, name: str) -> Digest | None:
        """Digest of a parameter; None if it is not known without reading it."""
        ...

    def blocks(self, name: str) -> Iterator[AnyArray]:
        """The items of a parameter in C order, flat, a part at a time; good until the next one is asked for.

        Two parameters of one type and shape come in the same parts.
        """
        ...


class ModelWeights:
    """Weights of a model at the service. Memory: a window of 16 MiB, whatever the size of the model."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._parameters: dict[str, Parameter] = {
            each.name: each for each in model.content.listing.manifest.parameters
        }

    @property
    def metadata(self) -> Mapping[str, MetadataValue]:
        return self._model.metadata

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        return {name: parameter.spec for name, parameter in self._parameters.items()}

    def digest(self, name: str) -> Digest | None:
        return self._parameters[name].digest

    def blocks(self, name: str) -> Iterator[AnyArray]:
        parameter = self._parameters[name]

        def fill(view: memoryview, window: _Window) -> None:
            plan, sink = ChunkPlan(), BufferSink(view)
            for position, start, stop in window:
                plan.add(parameter.chunks[position], stop - start, sink, start - window[0][1])
            self._model.content.reader.fetch(plan)

        return _filled_blocks(parameter.spec, fill)


class SourceWeights:
    """Weights of a model that is about to be added."""

    def __init__(self, source: Source, metadata: Mapping[str, MetadataValue]) -> None:
        self._parameters = {each.name: each for each in source.parameters}
        self._metadata = metadata

    @property
    def metadata(self) -> Mapping[str, MetadataValue]:
        return self._metadata

    @property
    def specs(self) -> Mapping[str, TensorSpec]:
        return {name: parameter.spec for name, parameter in self._parameters.items()}

    def digest(self, name: str) -> Digest | None:  # noqa: ARG002 - as of any weights
        return None

    def blocks(self, name: str) -> Iterator[AnyArray]:
        parameter = self._parameters[name]

        def fill(view: memoryview, window: _Window) -> None:
            first = window[0][1]
            for _, start, stop in window:
                view[start - first : stop - first] = parameter.content.read(start, stop)

        return _filled_blocks(parameter.spec, fill)


def _filled_blocks(spec: TensorSpec, fill: Callable[[memoryview, _Window], None]) -> Iterator[AnyArray]:
    for window in _windows(spec):
        size_bytes = window[-1][2] - window[0][1]
        block: AnyArray = np.empty(size_bytes // spec.itemsize, dtype_named(spec.dtype))
        fill(bytes_of(block), window)
        yield block


def _windows(spec: TensorSpec) -> Iterator[_Window]:
    """Chunks that lie behind each other, as many as fit into a window, at least one."""
    window: _Window = []
    for position, (start, stop) in enumerate(chunk_ranges(spec)):
        if window and stop - window[0][1] > _WINDOW_BYTES:
            yield window
            window = []
        window.append((position, start, stop))
    if window:
        yield window
