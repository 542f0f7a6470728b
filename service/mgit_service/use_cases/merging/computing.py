"""Computed tensors of a merge: made chunk by chunk in threads, and stored as what they were computed from."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mgit_core.chunking import chunk_sizes
from mgit_core.coding.encoded import BaseRange, Predictor
from mgit_core.coding.numbers import NumberFormat, format_of_dtype
from mgit_core.coding.plans import ChunkPlan, Prediction
from mgit_core.digest import Digest
from mgit_core.manifest import Parameter, make_parameter
from mgit_core.merge.computing import (
    Computation,
    average,
    find_threshold,
    largest_kept,
    task_arithmetic,
    ties,
)
from mgit_core.merge.values import ConflictChoice, MergeOptions, PlannedParameter
from mgit_core.ports.chunks import ChunkStore, ChunkWriter
from mgit_service.use_cases.backend import Backend, finish_surely, in_thread

__all__ = ["ParameterComputer"]

# Of each of three models and of the result; as many pieces as there are cores are in memory.
_PIECE_BYTES = 4 << 20
_PIECE_CHUNKS = 256


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some chunks of a parameter, or of several small ones."""

    parts: list[tuple[PlannedParameter, range]]
    size_bytes: int


@dataclass(slots=True)
class ParameterComputer:
    """Computes parameters of a merge; what it wrote is durable when ``compute`` ends, also if it is cut off.

    Attributes:
        computed: The parameters by name, when all is done.
        stored_bytes: Bytes that the store grew by, likewise.
    """

    backend: Backend
    options: MergeOptions
    computed: dict[str, Parameter] = field(default_factory=dict)
    stored_bytes: int = 0

    async def compute(self, parameters: Sequence[PlannedParameter]) -> AsyncGenerator[int]:
        """Compute all, and give the bytes that were done whenever some are.

        Raises:
            NotFoundError: CHUNK_NOT_FOUND.
            CorruptError: CHUNK_CORRUPT.
            ResourceExhaustedError: DISK_FULL.
        """
        writer = self.backend.chunks.open_writer()
        work = _Work(self.backend.chunks, writer, self.options)
        running: deque[tuple[asyncio.Task[list[_Made]], int]] = deque()
        made: dict[str, dict[int, Digest]] = {each.name: {} for each in parameters}
        try:
            for piece in _pieces(parameters):
                running.append((asyncio.create_task(self._make(work, piece)), piece.size_bytes))
                if len(running) > (os.cpu_count() or 1):
                    yield await _take(running, made)
            while running:
                yield await _take(running, made)
        finally:
            await finish_surely(self._seal(writer, [task for task, _ in running]))
        self.stored_bytes = writer.stored_bytes
        self.computed = {each.name: self._parameter(each, made[each.name]) for each in parameters}

    async def _make(self, work: _Work, piece: _Piece) -> list[_Made]:
        return await in_thread(self.backend, work.make, piece)

    async def _seal(self, writer: ChunkWriter, running: Iterable[asyncio.Task[list[_Made]]]) -> None:
        await asyncio.gather(*running, return_exceptions=True)
        await in_thread(self.backend, writer.seal)

    def _parameter(self, planned: PlannedParameter, digests: dict[int, Digest]) -> Parameter:
        chunks = [digests[position] for position in sorted(digests)]
        return make_parameter(self.backend.chunks.algorithm, planned.name, _side(planned).spec, chunks)


@dataclass(frozen=True, slots=True)
class _Made:
    """A chunk that was written."""

    name: str
    position: int
    digest: Digest


async def _take(
    running: deque[tuple[asyncio.Task[list[_Made]], int]], made: dict[str, dict[int, Digest]]
) -> int:
    """Wait for the oldest piece; gives its bytes."""
    task, size_bytes = running[0]
    for each in await asyncio.shield(task):
        made[each.name][each.position] = each.digest
    running.popleft()
    return size_bytes


def _side(planned: PlannedParameter) -> Parameter:
    """Ours, which a computed parameter has, and whose type and shape it gets."""
    assert planned.ours is not None  # noqa: S101 - the plan computes nothing without it
    return planned.ours


def _pieces(parameters: Iterable[PlannedParameter]) -> Iterator[_Piece]:
    """Runs of chunks: of a large tensor several, of small ones many together; a tensor of TIES is never cut."""
    gathered = _Piece([], 0)
    for planned in parameters:
        sizes = list(chunk_sizes(_side(planned).spec))
        is_whole = planned.choice is ConflictChoice.TIES
        for run in _runs(sizes, is_whole=is_whole):
            size_bytes = sum(sizes[run.start : run.stop])
            chunks = sum(len(part) for _, part in gathered.parts) + len(run)
            if gathered.parts and (gathered.size_bytes + size_bytes > _PIECE_BYTES or chunks > _PIECE_CHUNKS):
                yield gathered
                gathered = _Piece([], 0)
            gathered = _Piece([*gathered.parts, (planned, run)], gathered.size_bytes + size_bytes)
    if gathered.parts:
        yield gathered


def _runs(sizes: Sequence[int], *, is_whole: bool) -> Iterator[range]:
    if is_whole:
        yield range(len(sizes))
        return
    start, size_bytes = 0, 0
    for at, size in enumerate(sizes):
        if at > start and (size_bytes + size > _PIECE_BYTES or at - start >= _PIECE_CHUNKS):
            yield range(start, at)
            start, size_bytes = at, 0
        size_bytes += size
    yield range(start, len(sizes))


@dataclass(frozen=True, slots=True)
class _Work:
    """Computes and writes in a thread."""

    chunks: ChunkStore
    writer: ChunkWriter
    options: MergeOptions

    def make(self, piece: _Piece) -> list[_Made]:
        """Compute and write all chunks of a piece."""
        return [
            _Made(planned.name, position, digest)
            for planned, run in piece.parts
            for position, digest in self._write(planned, run)
        ]

    def _write(self, planned: PlannedParameter, run: range) -> Iterator[tuple[int, Digest]]:
        """Chunks with the prediction that they were computed by, which misses nothing."""
        numbers, width = _format(planned)
        computation = self._computation(planned, numbers)
        for position in run:
            sources = [each.chunks[position] for each in _sources(planned)]
            content = computation.of([self.chunks.read(source) for source in sources])
            ranges = tuple(BaseRange(source, 0, len(content)) for source in sources)
            exact = Prediction(
                predictor=computation.predictor, bases=ranges, parameters=computation.parameters
            )
            # Where so many bases would be dear to read, one of them is better than none.
            near = Prediction(predictor=Predictor.BASE, bases=ranges[-1:])
            plan = ChunkPlan(numbers=numbers, predictions=(exact, near))
            yield position, self.writer.write(content, width=width, plan=plan)

    def _computation(self, planned: PlannedParameter, numbers: NumberFormat) -> Computation:
        if planned.choice is ConflictChoice.AVERAGE:
            return average(numbers)
        if planned.choice is ConflictChoice.TASK_ARITHMETIC:
            return task_arithmetic(numbers, self.options.scale)
        base, ours, theirs = _sources(planned)
        kept = largest_kept(_side(planned).spec.size_bytes // numbers.width, self.options.density)
        thresholds = (
            find_threshold(numbers, self._pairs(base, ours), kept),
            find_threshold(numbers, self._pairs(base, theirs), kept),
        )
        return ties(numbers, thresholds, self.options.scale)

    def _pairs(self, base: Parameter, side: Parameter) -> Callable[[], Iterator[tuple[bytes, bytes]]]:
        def begin() -> Iterator[tuple[bytes, bytes]]:
            for one, other in zip(base.chunks, side.chunks, strict=True):
                yield self.chunks.read(one), self.chunks.read(other)

        return begin


def _format(planned: PlannedParameter) -> tuple[NumberFormat, int]:
    spec = _side(planned).spec
    return format_of_dtype(spec.dtype), spec.number_bytes


def _sources(planned: PlannedParameter) -> tuple[Parameter, ...]:
    """What a parameter is computed from, in the order of the predictor."""
    return tuple(each for each in (planned.base, planned.ours, planned.theirs) if each is not None)
