"""Sketches: short vectors that tell how near the parameters of two models are, without reading them again.

A few numbers of each tensor, at a place that follows from its shape alone, are rounded to bfloat16, so that a cast
agrees with what it was cast from. Random projections make 256 numbers of all of them together, and 64 bytes of
each tensor. Names do not matter: a tensor enters by its shape and by its place among those of the same shape.

Only nearness is promised, not equal bits: the vector comes from floating-point sums in no fixed order.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import blake3
import ml_dtypes
import numpy as np
import numpy.typing as npt

from mgit_core.tensor import AnyArray, TensorSpec

__all__ = [
    "DIMENSIONS",
    "TENSOR_SKETCH_BYTES",
    "ParameterSketch",
    "TensorSample",
    "choose_sampled",
    "is_sampled",
    "sample_range",
    "sketch_of",
    "tensor_similarity",
]

DIMENSIONS = 256
TENSOR_SKETCH_BYTES = 64

_SEED = b"mgit-sketch\n1\n"
_SAMPLED = 1_024
_MOST_TENSORS = 2_000
_BITS = TENSOR_SKETCH_BYTES * 8
# A tensor that spreads a tenth as much as the typical one counts half of what it would.
_SMALL_SPREAD = 0.1

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TensorSample:
    """What a sketch looks at of one tensor.

    Attributes:
        spec: Data type and shape.
        values: The items of ``sample_range``, of the tensor's data type; None for a tensor that was not chosen.
    """

    spec: TensorSpec
    values: AnyArray | None


@dataclass(frozen=True, slots=True)
class ParameterSketch:
    """What is kept of a parameter set.

    Attributes:
        vector: ``DIMENSIONS`` numbers of length 1; all zero if nothing in the set tells it from another.
        tensors: ``TENSOR_SKETCH_BYTES`` bytes for each tensor, in order; empty for one that was not
            looked at or whose values are all equal.
    """

    vector: tuple[float, ...]
    tensors: tuple[bytes, ...]


def is_sampled(spec: TensorSpec) -> bool:
    """Whether tensors of this type count: floating point, and integers of 8 bits, as quantized weights are.

    Wider integers are positions and counters, which are the same in models that have nothing in common.
    """
    is_number = not spec.dtype.startswith(("bool", "int", "uint")) or spec.itemsize == 1
    return is_number and spec.dtype != "bool" and math.prod(spec.shape) > 1


def choose_sampled(specs: Sequence[TensorSpec]) -> list[int]:
    """Places of the tensors that a sketch looks at, ascending: the largest 2,000 of those that count."""
    places = [place for place, spec in enumerate(specs) if is_sampled(spec)]
    places.sort(key=lambda place: -math.prod(specs[place].shape))
    return sorted(places[:_MOST_TENSORS])


def sample_range(spec: TensorSpec) -> tuple[int, int]:
    """The items ``[start, stop)``, in C order, that a sample holds: at most 1,024 in the middle.

    They follow from the number of items, whatever the data type. In a row they lie in one chunk or two, and tell
    as much as the same number spread over the tensor.
    """
    count = math.prod(spec.shape)
    start = max(0, (count - _SAMPLED) // 2)
    return start, min(count, start + _SAMPLED)


def sketch_of(samples: Iterable[TensorSample]) -> ParameterSketch:
    """The sketch of a parameter set from samples of its tensors, in the order of its manifest."""
    taken = [(sample.spec, _Projected.of(sample)) for sample in samples]
    typical = _typical_spread([tensor for _, tensor in taken])
    places: Counter[tuple[int, ...]] = Counter()
    total = np.zeros(DIMENSIONS)
    for spec, tensor in taken:
        if tensor.projection is not None:
            weight = math.sqrt(tensor.count) * tensor.spread / (tensor.spread + _SMALL_SPREAD * typical)
            total += weight * _signs(spec.shape, places[spec.shape]) * tensor.projection[:DIMENSIONS]
        places[spec.shape] += 1
    length = float(np.linalg.norm(total))
    vector = total / length if length else total
    return ParameterSketch(tuple(vector.tolist()), tuple(tensor.bits() for _, tensor in taken))


def tensor_similarity(one: bytes, other: bytes) -> float:
    """Cosine, roughly, of the samples behind two sketches of tensors of one shape; 0.0 without a sketch.

    Source: Charikar, Similarity estimation techniques from rounding algorithms.
    """
    if len(one) != TENSOR_SKETCH_BYTES or len(other) != TENSOR_SKETCH_BYTES:
        return 0.0
    differing = (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()
    return math.cos(math.pi * differing / _BITS)


@dataclass(frozen=True, slots=True)
class _Projected:
    """A sample as random projections of its centered values at length 1; None where all values are equal."""

    count: int
    spread: float
    projection: npt.NDArray[np.float32] | None

    @classmethod
    def of(cls, sample: TensorSample) -> _Projected:
        if sample.values is None or not is_sampled(sample.spec):
            return cls(0, 0.0, None)
        values = _canonical(sample.spec, sample.values)
        centered = values - values.mean()
        length = float(np.linalg.norm(centered))
        if not length:
            return cls(len(values), 0.0, None)
        projection = (centered / length).astype(np.float32) @ _directions()[: len(values)]
        return cls(len(values), length / math.sqrt(len(values)), projection)

    def bits(self) -> bytes:
        return b"" if self.projection is None else np.packbits(self.projection > 0).tobytes()


def _canonical(spec: TensorSpec, values: AnyArray) -> _Floats:
    """The values as casts agree on them; what is no number counts as zero."""
    if spec.dtype.startswith("complex"):
        values = values.view(values.real.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = values.astype(np.float32).astype(ml_dtypes.bfloat16).astype(np.float64)
    return np.where(np.isfinite(rounded), rounded, 0.0)


def _typical_spread(tensors: Sequence[_Projected]) -> float:
    """The spread of which half of the sampled items lie below."""
    ordered = sorted((tensor.spread, tensor.count) for tensor in tensors if tensor.spread)
    below = itertools.accumulate(count for _, count in ordered)
    half = sum(count for _, count in ordered) / 2
    return next((spread for (spread, _), sofar in zip(ordered, below, strict=True) if sofar >= half), 0.0)


@functools.cache
def _directions() -> npt.NDArray[np.float32]:
    """Random signs: a row for each item of a sample, a column for each projection."""
    items = 2 * _SAMPLED  # A complex item is two numbers.
    return _random_signs(b"directions\n", items * _BITS).reshape(items, _BITS)


def _signs(shape: tuple[int, ...], place: int) -> npt.NDArray[np.float32]:
    """Random signs that keep tensors apart which stand at different places."""
    text = f"tensor\n{','.join(map(str, shape))}\n{place}\n"
    return _random_signs(text.encode("ascii"), DIMENSIONS)


def _random_signs(seed: bytes, count: int) -> npt.NDArray[np.float32]:
    """Signs that depend on ``seed`` only, on every machine and with every version of numpy."""
    stream = blake3.blake3(_SEED + seed).digest(length=-(-count // 8))
    bits = np.unpackbits(np.frombuffer(stream, np.uint8), count=count)
    return 1.0 - 2.0 * bits.astype(np.float32)
