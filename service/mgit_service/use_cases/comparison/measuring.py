"""By how much two stored parameters differ, read window by window."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import islice

from mgit_core.diff.measuring import ChangeGauge, common_items, window_starts
from mgit_core.diff.pairing import PairedParameter
from mgit_core.diff.values import ParameterChange
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, NotFoundError
from mgit_core.lineage import Model
from mgit_core.manifest import Parameter
from mgit_core.ports.chunks import ChunkStore
from mgit_core.prediction.sources import SourceTensor, source_of
from mgit_service.use_cases.backend import Backend, in_thread
from mgit_service.use_cases.promises import check_here
from mgit_service.use_cases.transfer.holders import name_holders

__all__ = ["bytes_to_read", "measure_change"]

# A thread takes so many windows at a time; between them the caller may have gone.
_WINDOWS = 8
# Windows of two data types end within chunks, which would be decoded once for each window otherwise.
_KEPT_CHUNKS = 4


def bytes_to_read(pair: PairedParameter) -> int:
    """Bytes of raw content of both sides that have common items; equal chunks are read once, and counted twice."""
    if pair.before is None or pair.after is None:
        return 0
    items = common_items(pair.before.spec, pair.after.spec)
    return items * (pair.before.spec.itemsize + pair.after.spec.itemsize)


async def measure_change(
    backend: Backend, models: Sequence[Model], pair: PairedParameter
) -> ParameterChange | None:
    """By how much the two parameters of a pair differ; None if one is missing.

    Reads a window of both at a time, in threads. Where chunks are equal they are read once.

    Args:
        backend: The store.
        models: The models that the two belong to, before and after.
        pair: The parameters.

    Raises:
        NotFoundError: CHUNK_NOT_FOUND.
        FailedPreconditionError: PARAMETERS_PROMISED.
        CorruptError: CHUNK_CORRUPT, naming models that suffer.
    """
    if pair.before is None or pair.after is None:
        return None
    measuring = _Measuring(backend.chunks, pair.before, pair.after)
    try:
        while await in_thread(backend, measuring.take_some):
            pass
    except NotFoundError:
        for model, parameter in zip(models, (pair.before, pair.after), strict=True):
            await check_here(backend, model, parameter.chunks)
        raise
    except CorruptError as error:
        raise await name_holders(backend, error) from error
    return await in_thread(backend, measuring.finish)


class _Measuring:
    """Windows of two parameters on their way into a gauge. Blocks; used by one thread at a time."""

    def __init__(self, chunks: ChunkStore, before: Parameter, after: Parameter) -> None:
        self._specs = before.spec, after.spec
        self._items = common_items(before.spec, after.spec)
        read = _KeptChunks(chunks)
        self._sources = source_of(before, read), source_of(after, read)
        self._gauge = ChangeGauge(before.spec, after.spec)
        self._windows = self._spans()

    def take_some(self) -> bool:
        """Measure some windows; gives whether there may be more."""
        taken = False
        for start, stop in islice(self._windows, _WINDOWS):
            self._take(start, stop)
            taken = True
        return taken

    def finish(self) -> ParameterChange:
        """What was measured."""
        return self._gauge.finish()

    def _spans(self) -> Iterator[tuple[int, int]]:
        starts = window_starts(self._specs[0], self._items)
        for start in starts:
            yield start, min(start + starts.step, self._items)

    def _take(self, start: int, stop: int) -> None:
        before, after = self._sources
        first, last = (at * self._specs[0].itemsize for at in (start, stop))
        content = before.read(first, last)
        is_equal = self._specs[0].dtype == self._specs[1].dtype and _same_chunks(before, after, first, last)
        if is_equal:
            self._gauge.take(start, content, None)
            return
        other_first, other_last = (at * self._specs[1].itemsize for at in (start, stop))
        self._gauge.take(start, content, after.read(other_first, other_last))


def _same_chunks(before: SourceTensor, after: SourceTensor, start: int, stop: int) -> bool:
    return before.ranges(start, stop) == after.ranges(start, stop)


class _KeptChunks:
    """Reads chunks, and keeps the last few of them."""

    def __init__(self, chunks: ChunkStore) -> None:
        self._chunks = chunks
        self._kept: OrderedDict[Digest, bytes] = OrderedDict()

    def __call__(self, digest: Digest) -> bytes:
        """The raw bytes of a chunk."""
        content = self._kept.pop(digest, None)
        if content is None:
            content = self._chunks.read(digest)
        self._kept[digest] = content
        while len(self._kept) > _KEPT_CHUNKS:
            self._kept.popitem(last=False)
        return content
