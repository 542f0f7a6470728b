"""A step of a repack: chunks are encoded again, read back, and only then their older copies go.

Memory is bounded: the raw bytes of pieces in work fit a window, and each thread works at one chunk. All blocking
work runs in threads of the repack's own, so that calls of users never wait for a free one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from mgit_core.coding.plans import ChunkPlan
from mgit_core.digest import Digest
from mgit_core.errors import ConflictError, CorruptError, ErrorReason, NotFoundError
from mgit_core.ports.chunks import ChunkStore, ChunkWriter
from mgit_core.ports.maintenance import Copy, LeaseCheck

__all__ = ["WINDOW_BYTES", "Piece", "PiecePlan", "RewriteStep"]

WINDOW_BYTES = 64 << 20
"""Raw bytes of all pieces in work at once."""
_MOST_LARGE_PIECES = 2
# What is read ahead is encoded soon: until then the store keeps the bases that it decoded for it.
_BYTES_AHEAD = 8 << 20
_FACTOR_WIDTH = 4
_CHUNKS_VERIFIED_AT_ONCE = 16

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PiecePlan:
    """What to predict the chunks of a piece from.

    Attributes:
        plans: By digest.
        factors: Chunks of 4-byte numbers that the plans name as bases; they are written first.
    """

    plans: Mapping[Digest, ChunkPlan]
    factors: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Chunks that are planned together: a tensor, or a part of a large one.

    Attributes:
        chunks: Digests, each once.
        size_bytes: Raw bytes of them, ``WINDOW_BYTES`` at most.
        width: Bytes of one item.
        plan: Plans those chunks that could be read, given by digest. Called in a thread.
    """

    chunks: tuple[Digest, ...]
    size_bytes: int
    width: int
    plan: Callable[[Mapping[Digest, bytes]], PiecePlan]


class RewriteStep:
    """Takes pieces, then seals, verifies and drops. Not to be used after ``finish`` or ``abandon``.

    Attributes:
        raw_bytes: Raw bytes of the pieces taken so far.
        written: Chunks that were encoded again.
        damaged: Chunks that could not be read, or not read back.
    """

    def __init__(self, chunks: ChunkStore, threads: ThreadPoolExecutor) -> None:
        self._chunks = chunks
        self._threads = threads
        self._writer: ChunkWriter = chunks.open_writer(rewrite=True)
        self._running: deque[tuple[asyncio.Task[None], int]] = deque()
        self._running_bytes = 0
        self._claimed: dict[Digest, None] = {}
        self._is_abandoned = False
        self.raw_bytes = 0
        self.written: set[Digest] = set()
        self.damaged: set[Digest] = set()

    def claim(self, digests: Iterable[Digest]) -> None:
        """Let the older copies of chunks that have a dense one already go with this step."""
        self._claimed |= dict.fromkeys(digests)

    def has(self, digest: Digest) -> bool:
        """Whether the step has the chunk already."""
        return digest in self._claimed

    async def add(self, piece: Piece) -> None:
        """Take a piece; waits while others fill the window.

        Raises:
            ResourceExhaustedError: DISK_FULL, of an earlier piece.
        """
        while self._running and self._running_bytes + piece.size_bytes > self._room():
            await self._wait_for_oldest()
        self._claimed |= dict.fromkeys(piece.chunks)
        self.raw_bytes += piece.size_bytes
        self._running.append((asyncio.create_task(self._rewrite(piece)), piece.size_bytes))
        self._running_bytes += piece.size_bytes

    async def settle(self) -> None:
        """Wait until every piece is written. What follows may be predicted from them.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """
        while self._running:
            await self._wait_for_oldest()

    async def finish(self, check: LeaseCheck) -> None:
        """Make everything durable, read every new copy back, and drop what it supersedes.

        Raises:
            ConflictError: LEASE_LOST; nothing more was dropped.
            ResourceExhaustedError: DISK_FULL.
        """
        await self.settle()
        await self._in_thread(self._writer.seal)
        superseded = await self._find_superseded()
        if superseded:
            await self._in_thread(self._chunks.maintenance.drop, superseded, self._or_abandoned(check))

    async def abandon(self) -> None:
        """Stop soon and seal what is there: it is whole, and the next repack goes on behind it.

        Raises:
            ResourceExhaustedError: DISK_FULL.
        """
        self._is_abandoned = True
        await asyncio.gather(*(task for task, _ in self._running), return_exceptions=True)
        self._running.clear()
        await self._in_thread(self._writer.seal)

    def _room(self) -> int:
        """Raw bytes that may be in work: a large piece and the next one, or small ones that share bases."""
        return WINDOW_BYTES if len(self._running) < _MOST_LARGE_PIECES else _BYTES_AHEAD

    async def _wait_for_oldest(self) -> None:
        task, size_bytes = self._running[0]
        await asyncio.shield(task)
        self._running.popleft()
        self._running_bytes -= size_bytes

    async def _rewrite(self, piece: Piece) -> None:
        contents, plan = await self._in_thread(self._read_and_plan, piece)
        for factor in plan.factors:
            await self._in_thread(self._write_factor, factor)
        writes = [
            self._in_thread(self._write, piece.width, digest, content, plan.plans.get(digest))
            for digest, content in contents.items()
        ]
        await asyncio.gather(*writes)

    def _read(self, digests: Sequence[Digest]) -> dict[Digest, bytes]:
        contents: dict[Digest, bytes] = {}
        for digest in digests:
            if self._is_abandoned:
                break
            try:
                contents[digest] = self._chunks.read(digest)
            except (CorruptError, NotFoundError):
                self.damaged.add(digest)
        return contents

    def _read_and_plan(self, piece: Piece) -> tuple[Mapping[Digest, bytes], PiecePlan]:
        contents = self._read(piece.chunks)
        if self._is_abandoned or not contents:
            return contents, PiecePlan(plans={})
        return contents, piece.plan(contents)

    def _write(self, width: int, digest: Digest, content: bytes, plan: ChunkPlan | None) -> None:
        if not self._is_abandoned:
            self._writer.write(content, width=width, digest=digest, plan=plan)
            self.written.add(digest)

    def _write_factor(self, content: bytes) -> None:
        if not self._is_abandoned:
            self._claimed[self._writer.write(content, width=_FACTOR_WIDTH)] = None

    async def _find_superseded(self) -> list[Copy]:
        """Copies that a dense one stands for, which was read back just now, and damaged dense ones."""
        doubled, dense = await self._in_thread(self._find_doubled)
        parts = [
            doubled[start : start + _CHUNKS_VERIFIED_AT_ONCE]
            for start in range(0, len(doubled), _CHUNKS_VERIFIED_AT_ONCE)
        ]
        found = await asyncio.gather(*(self._in_thread(self._verify, part, dense) for part in parts))
        return [copy for superseded in found for copy in superseded]

    def _find_doubled(self) -> tuple[list[list[Copy]], frozenset[str]]:
        """Copies of each chunk that has several, and the names of all dense packs."""
        copies: dict[Digest, list[Copy]] = {}
        for part in self._chunks.maintenance.copies(list(self._claimed)):
            for copy in part:
                copies.setdefault(copy.digest, []).append(copy)
        packs = self._chunks.maintenance.packs()
        dense = frozenset(name for name, pack in packs.items() if pack.is_dense)
        return [found for found in copies.values() if len(found) > 1], dense

    def _verify(self, doubled: Sequence[list[Copy]], dense: AbstractSet[str]) -> list[Copy]:
        superseded: list[Copy] = []
        for copies in doubled:
            if self._is_abandoned:
                return []
            superseded += self._superseded(copies, dense)
        return superseded

    def _superseded(self, copies: Sequence[Copy], dense: AbstractSet[str]) -> list[Copy]:
        """All copies but a dense one that can be read; if none of them can, those, should another be whole."""
        new = [copy for copy in copies if copy.pack in dense]
        kept = next((copy for copy in new if self._can_be_read(copy)), None)
        if kept is not None:
            return [copy for copy in copies if copy != kept]
        if new:
            self.damaged.add(new[0].digest)
        has_whole = any(self._can_be_read(copy) for copy in copies if copy not in new)
        return new if has_whole else []

    def _can_be_read(self, copy: Copy) -> bool:
        try:
            self._chunks.maintenance.read_copy(copy)
        except (CorruptError, NotFoundError):
            return False
        return True

    def _or_abandoned(self, check: LeaseCheck) -> LeaseCheck:
        """Also stops a drop when the step is abandoned, at the next point at which it may stop."""

        def check_both() -> None:
            check()
            if self._is_abandoned:
                raise ConflictError(
                    ErrorReason.LEASE_LOST, "The repack was stopped; nothing more is dropped."
                )

        return check_both

    def _in_thread(self, work: Callable[..., _T], *arguments: object) -> asyncio.Future[_T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
