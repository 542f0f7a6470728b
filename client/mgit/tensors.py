"""Tensors that are fetched when they are indexed, and then only the chunks that the index touches."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, SupportsIndex, TypeAlias

import numpy as np

from mgit.chunks import ChunkPlan
from mgit_core.chunking import chunk_shape, grid_shape
from mgit_core.manifest import Manifest, Parameter
from mgit_core.tensor import AnyArray, dtype_named

__all__ = ["LazyTensor", "PlanReader", "Tensors"]

Box: TypeAlias = tuple[tuple[int, int], ...]
"""A block of a tensor: the first index and the one behind the last, for each axis."""


class PlanReader(Protocol):
    """Brings chunks to their places."""

    def fetch(self, plan: ChunkPlan) -> None:
        """Bring every chunk of ``plan``, each verified."""
        ...


class LazyTensor:
    """A tensor of a model. Indexing it gives a numpy array, as indexing the whole array would.

    With whole numbers and slices only the chunks that they touch are fetched; any other index fetches all.
    Every chunk is verified. Thread-safe.
    """

    __slots__ = ("_parameter", "_reader")

    def __init__(self, parameter: Parameter, reader: PlanReader) -> None:
        self._parameter = parameter
        self._reader = reader

    @property
    def name(self) -> str:
        """Name of the parameter."""
        return self._parameter.name

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Data type; bfloat16 and float8 are those of ml_dtypes."""
        return dtype_named(self._parameter.spec.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._parameter.spec.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of items."""
        return math.prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole tensor."""
        return self._parameter.spec.size_bytes

    @property
    def digest(self) -> str:
        """Identity of the tensor, hexadecimal; equal for equal tensors of any model of the store."""
        return self._parameter.digest.hex()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a tensor without axes")
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        """The part of the tensor that ``key`` names.

        Raises:
            IndexError: As numpy raises it.
            NotFoundError: CHUNK_NOT_FOUND.
            CorruptError: CHUNK_CORRUPT.
        """
        parts = _basic_parts(key)
        if parts is None:
            return self._fetch(tuple((0, length) for length in self.shape))[key]
        box, rest = _box_of(parts, self.shape)
        return self._fetch(box)[rest]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> AnyArray:  # noqa: FBT001 - numpy's
        if copy is False:
            raise ValueError("A tensor that lies at a service cannot be shown without a copy.")
        array: AnyArray = self[...]
        return array if dtype is None else array.astype(dtype)

    def __repr__(self) -> str:
        return f"<tensor {self.name!r} {self._parameter.spec.dtype} {self.shape}, {self.size_bytes} bytes>"

    def _fetch(self, box: Box) -> AnyArray:
        block: AnyArray = np.empty([stop - start for start, stop in box], self.dtype)
        if block.size:
            plan = ChunkPlan()
            for position, cell in _cells(self._parameter, box):
                size_bytes = math.prod(stop - start for start, stop in cell) * self.dtype.itemsize
                plan.add(self._parameter.chunks[position], size_bytes, _CellSink(block, box, cell), 0)
            self._reader.fetch(plan)
        return block


@dataclass(frozen=True, slots=True)
class _CellSink:
    """Copies the part of a chunk that lies in a block.

    Attributes:
        block: What is filled.
        box: Where the block lies in the tensor.
        cell: Where the chunk lies in the tensor.
    """

    block: AnyArray
    box: Box
    cell: Box

    def write(self, offset: int, content: bytes) -> None:  # noqa: ARG002 - a whole chunk is at offset 0
        shape = [stop - start for start, stop in self.cell]
        chunk = np.frombuffer(content, self.block.dtype).reshape(shape)
        common = [
            (max(first[0], second[0]), min(first[1], second[1]))
            for first, second in zip(self.box, self.cell, strict=True)
        ]
        into = tuple(
            slice(start - at, stop - at) for (start, stop), (at, _) in zip(common, self.box, strict=True)
        )
        out_of = tuple(
            slice(start - at, stop - at) for (start, stop), (at, _) in zip(common, self.cell, strict=True)
        )
        self.block[into] = chunk[out_of]


def _cells(parameter: Parameter, box: Box) -> Iterator[tuple[int, Box]]:
    """The chunks that touch ``box``: place in the order of the bytes, and where they lie."""
    spec = parameter.spec
    cuts, grid = chunk_shape(spec), grid_shape(spec)
    touched = [
        range(start // cut, (stop - 1) // cut + 1) for (start, stop), cut in zip(box, cuts, strict=True)
    ]
    for index in itertools.product(*touched):
        position = 0
        for at, length in zip(index, grid, strict=True):
            position = position * length + at
        cell = tuple(
            (at * cut, min((at + 1) * cut, length))
            for at, cut, length in zip(index, cuts, spec.shape, strict=True)
        )
        yield position, cell


def _basic_parts(key: Any) -> list[Any] | None:
    """The parts of an index of whole numbers, slices, ``...`` and None; None for any other index."""
    parts: list[Any] = list(key) if isinstance(key, tuple) else [key]
    for part in parts:
        is_number = isinstance(part, SupportsIndex) and not isinstance(part, bool | np.bool_ | np.ndarray)
        if not (is_number or part is None or part is Ellipsis or isinstance(part, slice)):
            return None
    return parts


def _box_of(parts: list[Any], shape: tuple[int, ...]) -> tuple[Box, tuple[Any, ...]]:
    """The smallest block that holds what an index names, and the index into that block."""
    box: list[tuple[int, int]] = []
    rest: list[Any] = []
    for part in _expand(parts, len(shape)):
        if part is None:
            rest.append(None)
            continue
        length = shape[len(box)]
        bounds, inner = (
            _bounds_of_slice(part, length)
            if isinstance(part, slice)
            else _bounds_of_number(operator.index(part), length, len(box))
        )
        box.append(bounds)
        rest.append(inner)
    if any(part is Ellipsis for part in parts):
        rest.append(Ellipsis)  # With it numpy gives an array even where every axis has a number.
    return tuple(box), tuple(rest)


def _expand(parts: list[Any], rank: int) -> list[Any]:
    """The index with whole slices for ``...`` and for the axes that it does not name."""
    missing = rank - sum(part is not None and part is not Ellipsis for part in parts)
    dots = [position for position, part in enumerate(parts) if part is Ellipsis]
    if missing < 0 or len(dots) > 1:
        raise IndexError(f"an index for {rank} axes was wanted; found one with {len(parts)} parts")
    at = dots[0] if dots else len(parts)
    return [*parts[:at], *([slice(None)] * missing), *parts[at + len(dots) :]]


def _bounds_of_number(index: int, length: int, axis: int) -> tuple[tuple[int, int], int]:
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of bounds for axis {axis} with size {length}")
    at = index % length
    return (at, at + 1), 0


def _bounds_of_slice(part: slice, length: int) -> tuple[tuple[int, int], slice]:
    wanted = range(*part.indices(length))
    if not wanted:
        return (0, 0), slice(0, 0)
    low, high = min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1])
    stop = None if wanted.step < 0 else high - low + 1
    return (low, high + 1), slice(wanted[0] - low, stop, wanted.step)


class Tensors(Mapping[str, LazyTensor]):
    """The tensors of a model by name, in the model's order. Nothing is fetched before one is indexed."""

    __slots__ = ("_parameters", "_reader")

    def __init__(self, manifest: Manifest, reader: PlanReader) -> None:
        self._parameters = {parameter.name: parameter for parameter in manifest.parameters}
        self._reader = reader

    def __getitem__(self, name: str) -> LazyTensor:
        return LazyTensor(self._parameters[name], self._reader)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __repr__(self) -> str:
        return (
            f"<{len(self)} tensors: {', '.join(itertools.islice(self, 3))}{', …' if len(self) > 3 else ''}>"
        )
