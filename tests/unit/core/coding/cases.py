"""Chunks, their relatives and predictions, for the tests of coding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st
from typing_extensions import Buffer

from mgit_core.coding.codec import Candidate, decode_chunk
from mgit_core.coding.encoded import BaseRange, EncodedChunk, Predictor
from mgit_core.coding.numbers import NumberFormat, layout_of
from mgit_core.coding.plans import Prediction

FORMATS = list(NumberFormat)
FLOATS = [numbers for numbers in FORMATS if numbers.is_float]


def patterns_of(numbers: NumberFormat) -> list[int]:
    """Bit patterns that careless arithmetic loses: NaNs with payloads, infinities, subnormals, both zeros."""
    bits = 8 * numbers.width
    ends = [
        0,
        1,
        2,
        (1 << bits) - 1,
        (1 << bits) - 2,
        1 << (bits - 1),
        (1 << (bits - 1)) - 1,
        (1 << (bits - 1)) + 1,
    ]
    if numbers.is_float:
        layout = layout_of(numbers)
        infinity = ((1 << layout.exponent_bits) - 1) << layout.mantissa_bits
        sign = 1 << (bits - 1)
        ends += [infinity, infinity | sign, infinity | 1, infinity - 1, layout.nan, 1 << layout.mantissa_bits]
        ends += [layout.bias << layout.mantissa_bits, sign | layout.bias << layout.mantissa_bits]
    return ends


def words(numbers: NumberFormat, *, max_size: int = 30) -> st.SearchStrategy[bytes]:
    """Numbers of any pattern, special ones often, some repeated many times."""
    pattern = st.one_of(st.sampled_from(patterns_of(numbers)), st.integers(0, 256**numbers.width - 1))
    return st.builds(
        lambda values, times: b"".join(value.to_bytes(numbers.width, "little") for value in values) * times,
        st.lists(pattern, min_size=1, max_size=max_size),
        st.sampled_from([1, 1, 1, 50]),
    )


def near(base: bytes, numbers: NumberFormat, seed: int, changed: float = 0.5) -> bytes:
    """``base`` with some numbers moved by a few representable ones."""
    rng = np.random.default_rng(seed)
    array = np.frombuffer(base, f"<u{numbers.width}")
    steps = rng.integers(-9, 10, array.size)
    steps[rng.random(array.size) >= changed] = 0
    return (array + steps.astype(np.int64).astype(array.dtype)).tobytes()


def weights(numbers: NumberFormat, count: int, seed: int = 0) -> bytes:
    """Bytes like those of trained weights."""
    values = np.random.default_rng(seed).normal(0, 0.05, count)
    if not numbers.is_float:
        return (values * 1000).astype(np.int64).astype(f"<u{numbers.width}").tobytes()
    return as_format(values, numbers)


def as_format(values: npt.NDArray[np.float64], numbers: NumberFormat) -> bytes:
    """Values in a float format, cut off."""
    layout = layout_of(numbers)
    bits = np.asarray(values, np.float64).view(np.uint64)
    if numbers == NumberFormat.FLOAT64:
        return bits.tobytes()
    exponent = (bits >> np.uint64(52) & np.uint64(0x7FF)).astype(np.int64) - 1023 + layout.bias
    mantissa = (bits >> np.uint64(52 - layout.mantissa_bits)).astype(np.int64) & (
        (1 << layout.mantissa_bits) - 1
    )
    magnitude = np.where(exponent > 0, (exponent << layout.mantissa_bits) | mantissa, 0)
    sign = (bits >> np.uint64(63)).astype(np.int64) << (8 * numbers.width - 1)
    return np.minimum(magnitude, layout.largest).__or__(sign).astype(f"<u{numbers.width}").tobytes()


def candidate(predictor: Predictor, parameters: bytes, *sources: Buffer) -> Candidate:
    """A candidate whose bases are as long as its sources."""
    bases = tuple(
        BaseRange(bytes([at]) * 32, 0, memoryview(source).nbytes) for at, source in enumerate(sources)
    )
    return Candidate(Prediction(predictor=predictor, bases=bases, parameters=parameters), sources)


def read_back(encoded: EncodedChunk, candidates: Sequence[Candidate]) -> bytes:
    """What a reader gets from the written frame."""
    frame = EncodedChunk.from_bytes(encoded.to_bytes())
    if frame.predictor == Predictor.NONE:
        return decode_chunk(frame)
    sources = next(
        candidate.sources
        for candidate in candidates
        if (candidate.prediction.predictor, candidate.prediction.bases) == (frame.predictor, frame.bases)
    )
    return decode_chunk(frame, sources)
