"""Masks: found in what pruning leaves, by threshold where that is enough, and bit for bit otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.core.coding.cases import FLOATS, as_format

from mgit_core.coding.numbers import NumberFormat, words_of
from mgit_core.coding.predictors.mask import Fill, Mask, complete, find_mask, make_parameters, predict
from mgit_core.errors import CorruptError, ErrorReason

F32 = NumberFormat.FLOAT32


def weights(numbers: NumberFormat = F32, count: int = 4000) -> np.ndarray:
    values = np.random.default_rng(3).normal(0, 0.5, count)
    return words_of(as_format(values, numbers), numbers).copy()


def sign_bit(words: np.ndarray) -> int:
    return 1 << (8 * words.dtype.itemsize - 1)


def pruned(words: np.ndarray, is_zero: np.ndarray, *, fill: Fill) -> np.ndarray:
    zeros = words & sign_bit(words) if fill == Fill.SIGN_OF_BASE else np.zeros_like(words)
    return np.where(is_zero, zeros, words).astype(words.dtype)


WITHOUT_MINUS_ZERO = {NumberFormat.FLOAT8_E4M3FNUZ, NumberFormat.FLOAT8_E5M2FNUZ}


@pytest.mark.parametrize(
    ("numbers", "fill"),
    [(numbers, fill) for numbers in FLOATS for fill in Fill if not (fill and numbers in WITHOUT_MINUS_ZERO)],
)
def test_pruning_by_magnitude_costs_a_threshold(numbers: NumberFormat, fill: Fill) -> None:
    base = weights(numbers)
    magnitudes = base & (sign_bit(base) - 1)
    content = pruned(base, magnitudes <= np.sort(magnitudes)[base.size // 2], fill=fill)
    parameters = complete(numbers, content.data, [base.data])
    assert parameters is not None
    assert len(parameters) == 3 + numbers.width
    assert predict(parameters, [base.data], base.nbytes).tobytes() == content.tobytes()


@pytest.mark.parametrize("fill", Fill)
@pytest.mark.parametrize("count", [1, 7, 8, 9, 4000])
def test_any_other_pruning_costs_a_bit_a_number(fill: Fill, count: int) -> None:
    base = np.abs(weights(count=count).view("<f4")).view("<u4") | np.uint32(sign_bit(np.empty(0, "<u4")))
    is_zero = np.random.default_rng(4).random(count) < 0.5
    is_zero[0] = True
    content = pruned(base, is_zero, fill=fill)
    parameters = complete(F32, content.data, [base.data])
    assert parameters is not None
    assert len(parameters) < count / 8 + 40
    assert predict(parameters, [base.data], base.nbytes).tobytes() == content.tobytes()


@pytest.mark.parametrize("share", [0.0, 0.04])
def test_few_zeros_have_no_mask(share: float) -> None:
    base = weights()
    is_zero = np.arange(base.size) < share * base.size
    assert find_mask(pruned(base, is_zero, fill=Fill.PLUS_ZERO), base) is None


def test_zeros_of_the_base_need_no_mask() -> None:
    base = pruned(weights(), np.arange(4000) % 2 == 0, fill=Fill.PLUS_ZERO)
    assert find_mask(base, base) is None


@pytest.mark.parametrize(("numbers", "size"), [(NumberFormat.UINT32, 400), (F32, 401)])
def test_what_is_no_float_has_no_mask(numbers: NumberFormat, size: int) -> None:
    assert complete(numbers, bytes(size), [bytes(size)]) is None


def test_nan_is_not_zeroed_by_a_threshold() -> None:
    base = np.array([0x7FC00001, 0x3F800000, 0x00000001], "<u4")
    masked = Mask(fill=Fill.PLUS_ZERO, threshold=0x3F800000).apply(base)
    assert masked.tolist() == [0x7FC00001, 0, 0]


THRESHOLD = make_parameters(F32, Mask(fill=Fill.PLUS_ZERO, threshold=5))
BITS = make_parameters(F32, Mask(fill=Fill.PLUS_ZERO, flags=np.arange(16) % 3 == 0))


@pytest.mark.parametrize(
    ("parameters", "raw_size"),
    [
        (b"", 64),
        (THRESHOLD[:1], 64),
        (THRESHOLD[:-1], 64),
        (THRESHOLD + b"x", 64),
        (bytes([NumberFormat.UINT32]) + THRESHOLD[1:], 64),
        (THRESHOLD, 62),
        (BITS[:-1], 64),
        (BITS + b"x", 64),
        (BITS, 68),
        (BITS, 32),
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters: bytes, raw_size: int) -> None:
    with pytest.raises(CorruptError) as caught:
        predict(parameters, [bytes(raw_size)], raw_size)
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


@pytest.mark.parametrize("field", [0, 1, 2])
def test_numbers_of_a_later_version_are_refused(field: int) -> None:
    parameters = bytearray(THRESHOLD)
    parameters[field] = 77
    with pytest.raises(CorruptError) as caught:
        predict(bytes(parameters), [bytes(64)], 64)
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
