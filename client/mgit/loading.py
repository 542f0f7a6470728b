"""Fetches parameters into numpy arrays."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from mgit.chunks import BufferSink, ChunkPlan, fetch_chunks
from mgit.connection import Connection
from mgit.content import ModelContent
from mgit.frameworks.source import bytes_of
from mgit.progress import ProgressCounter
from mgit_core.manifest import Parameter
from mgit_core.tensor import AnyArray, dtype_named

__all__ = ["ArrayLoader", "load_models"]


class ArrayLoader:
    """Arrays that wait for their bytes. Each chunk is fetched once, however many arrays hold it."""

    def __init__(self) -> None:
        self._plan = ChunkPlan()
        self._made: dict[Hashable, AnyArray] = {}

    def want(self, key: Hashable, parameter: Parameter) -> AnyArray:
        """The array of ``parameter``, not filled yet; of two wants with one key the second gets the first's."""
        array = self._made.get(key)
        if array is None:
            array = self._made[key] = np.empty(parameter.spec.shape, dtype_named(parameter.spec.dtype))
            start = 0
            sink = BufferSink(bytes_of(array))
            for digest, size_bytes in parameter.chunk_sizes():
                self._plan.add(digest, size_bytes, sink, start)
                start += size_bytes
        return array

    def fill(self, connection: Connection, progress: ProgressCounter, *, writable: bool) -> None:
        """Fetch what is wanted.

        Raises:
            MGitError: As ``fetch_chunks``.
        """
        progress.begin(self._plan.size_bytes)
        fetch_chunks(connection, self._plan, progress)
        for array in self._made.values():
            array.flags.writeable = writable


def load_models(
    contents: Sequence[ModelContent],
    patterns: Sequence[str],
    progress: ProgressCounter,
    *,
    writable: bool,
) -> list[dict[str, AnyArray]]:
    """The parameters of each model as arrays, by name.

    Writable, names that shared one memory at the source do so again. Not writable, all equal tensors of all
    the models share one memory.

    Raises:
        NotFoundError: TENSOR_NOT_FOUND, for a pattern that fits no parameter.
        MGitError: As ``fetch_chunks``.
    """
    loader = ArrayLoader()
    models: list[dict[str, AnyArray]] = []
    for position, content in enumerate(contents):
        tied = {name: tie[0] for tie in content.listing.files.ties for name in tie}
        models.append(
            {
                parameter.name: loader.want(
                    (position, tied.get(parameter.name, parameter.name), parameter.digest)
                    if writable
                    else parameter.digest,
                    parameter,
                )
                for parameter in content.select(patterns)
            }
        )
    if contents:
        loader.fill(contents[0].connection, progress, writable=writable)
    return models
