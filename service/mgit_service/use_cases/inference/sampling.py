"""Blocks of stored models, read tensor by tensor in threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mgit_core.digest import Digest
from mgit_core.inference.samples import MOST_ITEMS, SampledModel, block_range
from mgit_core.manifest import Parameter
from mgit_core.ports.chunks import ChunkStore
from mgit_core.prediction.sources import source_of
from mgit_core.tensor import AnyArray, dtype_named
from mgit_service.use_cases.backend import Backend, in_thread

__all__ = ["BlockReader"]


class BlockReader:
    """Reads blocks for one question; tensors that relatives share are read once.

    At most two chunks of each of ``MOST_TENSORS`` tensors of a model: 48 MiB, however large it is.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._read: dict[tuple[Digest, int], AnyArray] = {}

    async def sample(
        self, compared: Sequence[Parameter], counterparts: Mapping[str, Parameter], most: int = MOST_ITEMS
    ) -> SampledModel:
        """Blocks of those tensors that stand for ``compared``, by the names of ``compared``.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND.
            CorruptError: CHUNK_CORRUPT.
        """
        blocks: dict[str, AnyArray] = {}
        for parameter in compared:
            counterpart = counterparts.get(parameter.name)
            if counterpart is not None:
                blocks[parameter.name] = await self._block(counterpart, most)
        return SampledModel(blocks)

    async def _block(self, parameter: Parameter, most: int) -> AnyArray:
        key = parameter.digest, most
        if key not in self._read:
            self._read[key] = await in_thread(
                self._backend, _read_block, self._backend.chunks, parameter, most
            )
        return self._read[key]


def _read_block(chunks: ChunkStore, parameter: Parameter, most: int) -> AnyArray:
    start, stop = block_range(parameter.spec.shape, most)
    itemsize = parameter.spec.itemsize
    content = source_of(parameter, chunks.read).read(start * itemsize, stop * itemsize)
    # A copy: a view would keep the whole chunk.
    return np.frombuffer(content, dtype_named(parameter.spec.dtype)).copy()
