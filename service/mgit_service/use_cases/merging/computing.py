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
from mgit_core.coding.plans import ChunkPlan, Effort, Prediction
from mgit_core.digest import Digest
from mgit_core.lineage import Relation
from mgit_core.manifest import Manifest, Parameter, make_parameter
from mgit_core.merge.computing import (
    TiesThresholds,
    average,
    average_parameters,
    find_threshold,
    largest_kept,
    task_arithmetic,
    task_parameters,
    ties,
)
from mgit_core.merge.values import ConflictChoice, MergeOptions, PlannedParameter
from mgit_core.ports.chunks import ChunkStore, ChunkWriter
from mgit_core.prediction.relatives import Relative
from mgit_service.use_cases.backend import Backend, finish_surely, in_thread
from mgit_service.use_cases.prediction.planning import TensorPlanner

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
    relatives: Sequence[Manifest]
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
        work = _Work(self.backend.chunks, writer, self.options, self._planner())
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

    def _planner(self) -> TensorPlanner:
        relatives = [Relative(parameters=manifest, relation=Relation.MERGED) for manifest in self.relatives]
        return TensorPlanner(self.backend.chunks, relatives, Effort.FAST)

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
    planner: TensorPlanner

    def make(self, piece: _Piece) -> list[_Made]:
        """Compute and write all chunks of a piece."""
        made: list[_Made] = []
        for planned, run in piece.parts:
            write = self._write_ties if planned.choice is ConflictChoice.TIES else self._write_combined
            made += [_Made(planned.name, position, digest) for position, digest in write(planned, run)]
        return made

    def _write_combined(self, planned: PlannedParameter, run: range) -> Iterator[tuple[int, Digest]]:
        """Chunks that are a combination: the prediction is what they were computed by, so that it misses nothing."""
        numbers, width = _format(planned)
        parameters = self._parameters(planned, numbers)
        for position in run:
            sources = [each.chunks[position] for each in _sources(planned)]
            raw = [self.chunks.read(source) for source in sources]
            content = self._combine(planned, numbers, raw)
            ranges = tuple(BaseRange(source, 0, len(content)) for source in sources)
            exact = Prediction(predictor=Predictor.COMBINATION, bases=ranges, parameters=parameters)
            # Where so many bases would be dear to read, one of them is better than none.
            near = Prediction(predictor=Predictor.BASE, bases=ranges[-1:])
            plan = ChunkPlan(numbers=numbers, predictions=(exact, near))
            yield position, self.writer.write(content, width=width, plan=plan)

    def _combine(self, planned: PlannedParameter, numbers: NumberFormat, raw: Sequence[bytes]) -> bytes:
        if planned.choice is ConflictChoice.AVERAGE:
            return average(numbers, raw)
        return task_arithmetic(numbers, raw, self.options.scale)

    def _parameters(self, planned: PlannedParameter, numbers: NumberFormat) -> bytes:
        if planned.choice is ConflictChoice.AVERAGE:
            return average_parameters(numbers)
        return task_parameters(numbers, self.options.scale)

    def _write_ties(self, planned: PlannedParameter, run: range) -> Iterator[tuple[int, Digest]]:
        """A whole tensor, window by window: which changes are kept is known only when all were seen."""
        numbers, width = _format(planned)
        base, ours, theirs = _sources(planned)
        kept = largest_kept(_side(planned).spec.size_bytes // numbers.width, self.options.density)
        thresholds = TiesThresholds(
            find_threshold(numbers, self._pairs(base, ours), kept),
            find_threshold(numbers, self._pairs(base, theirs), kept),
        )
        per_window = max(1, _PIECE_BYTES * len(run) // max(1, _side(planned).spec.size_bytes))
        for window in (run[at : at + per_window] for at in range(0, len(run), per_window)):
            contents = {
                position: ties(
                    numbers,
                    [self.chunks.read(each.chunks[position]) for each in (base, ours, theirs)],
                    thresholds,
                    self.options.scale,
                )
                for position in window
            }
            plan = self.planner.plan(planned.name, _side(planned).spec, contents)
            for factor in plan.factors:
                self.writer.write(factor, width=4)
            for position, content in contents.items():
                yield position, self.writer.write(content, width=width, plan=plan.chunks[position])

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
