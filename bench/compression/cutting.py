"""Xet-like storage: files cut where their content says so, each distinct piece once, grouped bytes and LZ4.

The cuts depend on a rolling gear digest of the last 32 bytes, so that they move with the content.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from bench.compression.schemes import DIGEST_BYTES, Scheme, Threads
from bench.compression.subjects import Subject
from bench.compression.words import join_bytes, split_bytes
from numcodecs.lz4 import compress as lz4_compress
from numcodecs.lz4 import decompress as lz4_decompress

from mgit_core.digest import Digest, DigestAlgorithm, digest_of

__all__ = ["XetLike", "cut"]

_LEAST, _MOST = 8 << 10, 128 << 10
_MASK = np.uint32(0xFFFF0000)  # 16 bits: a cut every 64 KiB.
_GEAR = np.random.default_rng(0x6EA2).integers(0, 2**32, 256, np.uint32)
_WINDOW = 32  # What is shifted further has left a number of 32 bits.
_BLOCK = 1 << 20
_HEADER_BYTES = 8  # A piece's length, stored length and way.
_REFERENCE_BYTES = 8  # A file names a run of pieces by where it lies.
_BATCH = 64


class XetLike(Scheme):
    """8 KiB at least, 64 KiB aimed at, 128 KiB at most; a piece is grouped and LZ4, LZ4, or raw."""

    def __init__(self) -> None:
        self._stored: dict[Digest, tuple[bytes, bytes]] = {}
        self._files: dict[str, list[Digest]] = {}

    def encode(self, subject: Subject, threads: Threads) -> int:
        content = subject.weights.content
        pieces = [content[start:stop] for start, stop in pairwise(cut(content, threads))]
        batches = [pieces[start : start + _BATCH] for start in range(0, len(pieces), _BATCH)]
        digests = [digest for found in threads.map(_digests, batches) for digest in found]
        fresh = {
            digest: piece for digest, piece in zip(digests, pieces, strict=True) if digest not in self._stored
        }
        items = list(fresh.items())
        groups = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
        grown = 0
        for group, coded in zip(groups, threads.map(_code_all, groups), strict=True):
            for (digest, _), (way, blob) in zip(group, coded, strict=True):
                self._stored[digest] = way, blob
                grown += len(blob) + _HEADER_BYTES + DIGEST_BYTES
        self._files[subject.ref] = digests
        return grown + _REFERENCE_BYTES * len(digests)

    def decode(self, subject: Subject, threads: Threads) -> Sequence[bytes]:
        digests = self._files[subject.ref]
        batches = [digests[start : start + _BATCH] for start in range(0, len(digests), _BATCH)]
        return [piece for pieces in threads.map(self._decode_all, batches) for piece in pieces]

    def _decode_all(self, digests: Sequence[Digest]) -> list[bytes]:
        return [_uncode(*self._stored[digest]) for digest in digests]


def cut(content: memoryview, threads: Threads) -> list[int]:
    """Where pieces begin, and the end of the content last."""
    starts = range(0, len(content), _BLOCK)
    candidates = np.concatenate(list(threads.map(lambda start: _candidates(content, start), starts)))
    cuts = [0]
    while cuts[-1] < len(content):
        least, most = cuts[-1] + _LEAST, min(cuts[-1] + _MOST, len(content))
        place = np.searchsorted(candidates, least)
        found = int(candidates[place]) if place < candidates.size else most
        cuts.append(min(found, most))
    return cuts


def _candidates(content: memoryview, start: int) -> npt.NDArray[np.int64]:
    """Places of the block from ``start`` where a piece may end: behind 32 bytes whose digest has 16 zeros."""
    before = max(0, start - _WINDOW + 1)
    state = _GEAR[np.frombuffer(content[before : start + _BLOCK], np.uint8)]
    reach = 1
    while reach < _WINDOW:
        shifted = state.copy()
        shifted[reach:] += state[:-reach] << np.uint32(reach)
        state, reach = shifted, 2 * reach
    places = np.flatnonzero((state[start - before :] & _MASK) == 0)
    return places + (start + 1)


def _digests(pieces: Sequence[memoryview]) -> list[Digest]:
    return [digest_of(DigestAlgorithm.BLAKE3, piece) for piece in pieces]


def _code_all(items: Sequence[tuple[Digest, memoryview]]) -> list[tuple[bytes, bytes]]:
    return [_code(piece) for _, piece in items]


def _code(piece: memoryview) -> tuple[bytes, bytes]:
    ways = [(b"r", bytes(piece)), (b"l", lz4_compress(piece))]
    whole = len(piece) // 4 * 4
    if whole:
        grouped = split_bytes(np.frombuffer(piece[:whole], "<u4")).tobytes()
        ways.append((b"g", lz4_compress(grouped + piece[whole:])))
    return min(ways, key=lambda way: len(way[1]))


def _uncode(way: bytes, blob: bytes) -> bytes:
    if way == b"r":
        return blob
    piece = bytes(lz4_decompress(blob))
    whole = len(piece) // 4 * 4
    return join_bytes(piece[:whole], "<u4").tobytes() + piece[whole:] if way == b"g" else piece
