"""Chunk rule ``c1``: where a tensor is cut.

A chunk is one contiguous range of the tensor's little-endian bytes in C order, and at the same time one
cell of a regular Zarr grid. With ``t_j`` the bytes of one index step on axis j, the grid cuts the first axis
whose step is at most 1 MiB into as many whole steps as fit into 1 MiB; axes before it are cut at every
index, axes behind it not at all. The last cell of the cut axis may be shorter and is never padded.

The rule is part of the format and of every tensor digest: it is never a setting. A zero-dimensional
tensor is one chunk, an empty tensor none. The bytes of a file that is no tensor are cut every 1 MiB.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from mgit_core.tensor import TensorSpec

__all__ = [
    "CHUNK_BYTES",
    "CHUNK_RULE",
    "chunk_count",
    "chunk_keys",
    "chunk_ranges",
    "chunk_shape",
    "chunk_sizes",
    "file_chunk_count",
    "file_chunk_sizes",
    "grid_shape",
]

CHUNK_RULE = "c1"
CHUNK_BYTES = 1 << 20


def _cut_axis(spec: TensorSpec) -> tuple[int, int]:
    """The axis that is cut, and the bytes of one step on it. Needs at least one axis."""
    step = spec.size_bytes if 0 not in spec.shape else 0
    for axis, length in enumerate(spec.shape):
        step = step // length if length else 0
        if step <= CHUNK_BYTES:
            return axis, step
    raise AssertionError("a step on the last axis is one item, which always fits")


def chunk_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Shape of a whole chunk. No length is below 1, also for empty tensors, as Zarr wants it."""
    if not spec.shape:
        return ()
    if 0 in spec.shape:
        return tuple(max(1, length) for length in spec.shape)
    axis, step = _cut_axis(spec)
    rows = min(spec.shape[axis], CHUNK_BYTES // step)
    return (1,) * axis + (rows,) + spec.shape[axis + 1 :]


def grid_shape(spec: TensorSpec) -> tuple[int, ...]:
    """Number of chunks along each axis; a zero where the tensor is empty."""
    return tuple(-(-length // cut) for length, cut in zip(spec.shape, chunk_shape(spec), strict=True))


def chunk_count(spec: TensorSpec) -> int:
    """Number of chunks."""
    return math.prod(grid_shape(spec))


def chunk_sizes(spec: TensorSpec) -> Iterator[int]:
    """Bytes of each chunk, in C order of the grid, which is also the order of the bytes."""
    if not spec.shape:
        yield spec.itemsize
        return
    if 0 in spec.shape:
        return
    axis, step = _cut_axis(spec)
    length = spec.shape[axis]
    rows = min(length, CHUNK_BYTES // step)
    for _ in range(math.prod(spec.shape[:axis])):
        for start in range(0, length, rows):
            yield min(rows, length - start) * step


def chunk_ranges(spec: TensorSpec) -> Iterator[tuple[int, int]]:
    """Byte range ``(start, stop)`` of each chunk, in the order of the bytes."""
    start = 0
    for size_bytes in chunk_sizes(spec):
        yield start, start + size_bytes
        start += size_bytes


def chunk_keys(spec: TensorSpec) -> Iterator[str]:
    """Zarr v3 key of each chunk below its array (``c/0/1``; ``c`` without axes), in the order of the bytes."""
    grid = grid_shape(spec)
    for flat in range(math.prod(grid)):
        index = []
        rest = flat
        for length in reversed(grid):
            rest, position = divmod(rest, length)
            index.append(str(position))
        yield "/".join(["c", *reversed(index)])


def file_chunk_count(size_bytes: int) -> int:
    """Number of chunks of a file of ``size_bytes`` that is no tensor."""
    return -(-size_bytes // CHUNK_BYTES)


def file_chunk_sizes(size_bytes: int) -> Iterator[int]:
    """Bytes of each chunk of a file of ``size_bytes`` that is no tensor; none for an empty file."""
    for start in range(0, size_bytes, CHUNK_BYTES):
        yield min(CHUNK_BYTES, size_bytes - start)
