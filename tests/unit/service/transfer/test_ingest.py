"""Chunks on their way in: gathered to tensors within a window, written in any order, sealed in the end."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from tests.unit.service.stored_models import ALGORITHM, opened
from typing_extensions import Buffer

from mgit_core.chunking import chunk_ranges
from mgit_core.coding.plans import Effort
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.tensor import TensorSpec
from mgit_service.use_cases.backend import Backend
from mgit_service.use_cases.prediction.planning import TensorPlan, TensorPlanner
from mgit_service.use_cases.transfer.ingest import ChunkIngest, ChunkPlace, RawChunk

MIB = 1 << 20


class WatchedPlanner(TensorPlanner):
    """Notes what it is asked to plan."""

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend.chunks, (), Effort.FAST)
        self.planned: list[tuple[str, list[int]]] = []

    def plan(self, name: str, spec: TensorSpec, contents: Mapping[int, Buffer]) -> TensorPlan:
        self.planned.append((name, list(contents)))
        return super().plan(name, spec, contents)


@pytest.fixture
def backend() -> Iterator[Backend]:
    with opened() as found:
        yield dataclasses.replace(found, window_bytes=4 * MIB)


def chunks_of(name: str, mebibytes: int, seed: int) -> list[RawChunk]:
    spec = TensorSpec("float32", (mebibytes * MIB // 1024, 256))
    content = np.random.default_rng(seed).bytes(spec.size_bytes)
    chunks = []
    for position, (start, stop) in enumerate(chunk_ranges(spec)):
        chunk = RawChunk(stop - start, 4, place=ChunkPlace(name, spec, position))
        chunk.pieces = [content[start : start + 1000], content[start + 1000 : stop]]
        chunk.digest = digest_of(ALGORITHM, content[start:stop])
        chunks.append(chunk)
    return chunks


async def ingest(backend: Backend, planner: TensorPlanner | None, chunks: list[RawChunk]) -> list[Digest]:
    """Take the chunks; their digests."""
    digests = [chunk.digest for chunk in chunks]
    async with ChunkIngest(backend) as taking:
        if planner is not None:
            taking.predict_with(planner)
        for chunk in chunks:
            await taking.add(chunk)
        await taking.finish()
    assert taking.chunk_count == len(chunks)
    return digests


def test_a_tensor_that_fits_the_window_is_planned_whole(backend: Backend) -> None:
    planner = WatchedPlanner(backend)
    chunks = chunks_of("a", 4, 1) + chunks_of("b", 1, 2) + chunks_of("c", 3, 3)
    digests = asyncio.run(ingest(backend, planner, chunks))
    assert sorted(planner.planned) == [("a", [0, 1, 2, 3]), ("b", [0]), ("c", [0, 1, 2])]
    assert backend.chunks.find_missing(digests) == []


def test_a_larger_tensor_is_planned_in_runs(backend: Backend) -> None:
    planner = WatchedPlanner(backend)
    digests = asyncio.run(ingest(backend, planner, chunks_of("a", 10, 4)))
    assert sorted(planner.planned) == [("a", [0, 1, 2, 3]), ("a", [4, 5, 6, 7]), ("a", [8, 9])]
    assert backend.chunks.find_missing(digests) == []


def test_tensors_that_come_mixed_are_planned_as_they_come(backend: Backend) -> None:
    planner = WatchedPlanner(backend)
    ours, theirs = chunks_of("a", 2, 5), chunks_of("b", 2, 6)
    digests = asyncio.run(ingest(backend, planner, [ours[0], theirs[0], ours[1], theirs[1]]))
    assert sorted(planner.planned) == [("a", [0]), ("a", [1]), ("b", [0]), ("b", [1])]
    assert backend.chunks.find_missing(digests) == []


def test_no_more_is_held_than_the_window_and_a_few_chunks(backend: Backend) -> None:
    """Pieces are let go of as they are written, so what is held is what was not written yet."""
    chunks = [chunk for at in range(12) for chunk in chunks_of(f"t{at}", 3, at)]
    held: list[int] = []

    async def run() -> None:
        async with ChunkIngest(backend) as taking:
            taking.predict_with(WatchedPlanner(backend))
            for taken, chunk in enumerate(chunks, 1):
                await taking.add(chunk)
                held.append(sum(each.size_bytes for each in chunks[:taken] if each.pieces))
            await taking.finish()

    asyncio.run(run())
    assert max(held) <= taking_room(backend) + 2 * MIB
    assert all(not chunk.pieces for chunk in chunks)


def taking_room(backend: Backend) -> int:
    """What an ingest may hold: the window, and four chunks for each core."""
    taking = ChunkIngest(backend)
    taking.predict_with(WatchedPlanner(backend))
    return taking._room


def test_chunks_without_a_place_are_written_alone(backend: Backend) -> None:
    planner = WatchedPlanner(backend)
    chunks = chunks_of("a", 2, 7)
    for chunk in chunks:
        chunk.place = None
    digests = asyncio.run(ingest(backend, planner, chunks))
    assert planner.planned == []
    assert backend.chunks.find_missing(digests) == []


@pytest.mark.parametrize("mebibytes", [1, 4])
def test_one_wrong_digest_does_not_keep_the_others_out(backend: Backend, mebibytes: int) -> None:
    chunks = chunks_of("a", mebibytes, 8) + chunks_of("b", mebibytes, 9)
    digests = [chunk.digest for chunk in chunks]
    chunks[0].digest = b"x" * 32
    with pytest.raises(InvalidArgumentError) as caught:
        asyncio.run(ingest(backend, WatchedPlanner(backend), chunks))
    assert caught.value.reason is ErrorReason.DIGEST_MISMATCH
    assert backend.chunks.find_missing(digests) == digests[:1]


def test_what_was_taken_is_sealed_where_the_call_is_cancelled(backend: Backend) -> None:
    chunks = chunks_of("a", 3, 10) + chunks_of("b", 3, 11)
    digests = [chunk.digest for chunk in chunks]

    async def run() -> None:
        async with ChunkIngest(backend) as taking:
            taking.predict_with(WatchedPlanner(backend))
            for chunk in chunks:
                await taking.add(chunk)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert backend.chunks.find_missing(digests[:3]) == []
