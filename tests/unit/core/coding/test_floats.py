"""Rounding between float formats: as IEEE 754 and ml_dtypes have it, with one NaN a format."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from tests.unit.core.coding.cases import FLOATS

from mgit_core.coding.floats import Rounding, narrow, widen
from mgit_core.coding.numbers import NumberFormat, layout_of

TYPES = {
    NumberFormat.FLOAT16: np.float16,
    NumberFormat.BFLOAT16: ml_dtypes.bfloat16,
    NumberFormat.FLOAT32: np.float32,
    NumberFormat.FLOAT64: np.float64,
    NumberFormat.FLOAT8_E4M3FN: ml_dtypes.float8_e4m3fn,
    NumberFormat.FLOAT8_E5M2: ml_dtypes.float8_e5m2,
    NumberFormat.FLOAT8_E4M3FNUZ: ml_dtypes.float8_e4m3fnuz,
    NumberFormat.FLOAT8_E5M2FNUZ: ml_dtypes.float8_e5m2fnuz,
}
SHORT = [numbers for numbers in FLOATS if numbers.width <= 2]
NARROWER = [numbers for numbers in FLOATS if numbers != NumberFormat.FLOAT64]
UPPER = np.arange(65_536, dtype=np.uint32) << 16


def patterns(numbers: NumberFormat) -> npt.NDArray[np.unsignedinteger]:
    return np.arange(256**numbers.width, dtype=f"<u{numbers.width}")


def singles() -> npt.NDArray[np.float32]:
    """Every upper half, with lower halves at and beside all ties of bfloat16 and float16, and noise."""
    rng = np.random.default_rng(1)
    lower = [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF, 0x0FFF, 0x1000, 0x1001, 0x2FFF, 0x3000, 0x3001]
    bits = np.concatenate(
        [*(UPPER | np.uint32(low) for low in lower), rng.integers(0, 2**32, 50_000, np.uint32)]
    )
    scaled = (rng.normal(0, 1, 50_000) * 10.0 ** rng.integers(-10, 6, 50_000)).astype("<f4")
    return np.concatenate([bits.view("<f4"), scaled])


def doubles(numbers: NumberFormat) -> npt.NDArray[np.float64]:
    """Noise, and for each two neighbors of a format their middle and its two neighbors."""
    rng = np.random.default_rng(2)
    values = [rng.integers(0, 2**64, 50_000, np.uint64).view("<f8")]
    values.append(rng.normal(0, 1, 50_000) * 10.0 ** rng.integers(-46, 40, 50_000))
    lower = patterns(numbers) if numbers.width <= 2 else rng.integers(0, 2**32, 20_000, np.uint32)
    magnitudes = np.minimum(lower, layout_of(numbers).largest - 1).astype(f"<u{numbers.width}")
    with np.errstate(all="ignore"):
        middle = (magnitudes.view(TYPES[numbers]).astype("<f8") / 2) + (
            (magnitudes + 1).astype(magnitudes.dtype).view(TYPES[numbers]).astype("<f8") / 2
        )
        values += [middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf), -middle]
    return np.concatenate(values)


@pytest.mark.parametrize("numbers", SHORT)
def test_widening_gives_the_value_of_every_pattern(numbers: NumberFormat) -> None:
    words = patterns(numbers)
    with np.errstate(all="ignore"):
        expected = words.view(TYPES[numbers]).astype(np.float32)
    assert np.array_equal(expected, widen(words, numbers), equal_nan=True)


@pytest.mark.parametrize("numbers", SHORT)
@pytest.mark.parametrize("rounding", Rounding)
def test_every_pattern_but_nan_survives_widening_and_narrowing(
    numbers: NumberFormat, rounding: Rounding
) -> None:
    words = patterns(numbers)
    values = widen(words, numbers)
    is_number = ~np.isnan(values)
    assert (narrow(values, numbers, rounding)[is_number] == words[is_number]).all()


@pytest.mark.parametrize("target", SHORT)
def test_float32_is_rounded_to_the_nearest(target: NumberFormat) -> None:
    values = singles()
    with np.errstate(all="ignore"):
        expected = values.astype(TYPES[target]).view(f"<u{target.width}")
    is_number = ~np.isnan(values)
    assert (narrow(values, target)[is_number] == expected[is_number]).all()


@pytest.mark.parametrize("target", SHORT)
@pytest.mark.parametrize("source", SHORT)
def test_short_floats_are_rounded_to_the_nearest(source: NumberFormat, target: NumberFormat) -> None:
    values = widen(patterns(source), source)
    with np.errstate(all="ignore"):
        expected = values.astype(TYPES[target]).view(f"<u{target.width}")
    is_number = ~np.isnan(values)
    assert (narrow(values, target)[is_number] == expected[is_number]).all()


@pytest.mark.parametrize("target", NARROWER)
def test_float64_is_rounded_once(target: NumberFormat) -> None:
    """Not by way of float32, which would round the middle of two numbers twice."""
    values = doubles(target)
    with np.errstate(all="ignore"):
        values = values[np.isfinite(values)]
    down = narrow(values, target, Rounding.TRUNCATED)
    nearest = narrow(values, target)
    magnitude = (1 << (8 * target.width - 1)) - 1
    inner = (down & magnitude) < layout_of(target).largest
    down, nearest, values = down[inner], nearest[inner], values[inner]
    below = np.abs(widen(down, target).astype("<f8"))
    above = np.abs(widen((down + 1).astype(down.dtype), target).astype("<f8"))
    to_lower, to_upper = np.abs(values) - below, above - np.abs(values)
    goes_up = (to_upper < to_lower) | ((to_upper == to_lower) & (down & 1 == 1))
    assert ((nearest & magnitude) == (down & magnitude) + goes_up).all()


@pytest.mark.parametrize("target", NARROWER)
@pytest.mark.parametrize("make", [lambda _: singles(), doubles], ids=["float32", "float64"])
def test_truncation_gives_the_last_number_on_the_way_from_zero(target: NumberFormat, make: object) -> None:
    values = make(target)
    values = values[np.isfinite(values)]
    down = narrow(values, target, Rounding.TRUNCATED)
    below = widen(down, target).astype("<f8")
    assert np.isfinite(below).all()
    assert (np.abs(below) <= np.abs(values)).all()
    assert (np.signbit(below) == np.signbit(values))[below != 0].all()
    inner = (down & ((1 << (8 * target.width - 1)) - 1)) < layout_of(target).largest
    above = np.abs(widen((down + 1).astype(down.dtype), target).astype("<f8"))
    assert (above[inner] > np.abs(values)[inner]).all()


@pytest.mark.parametrize("numbers", FLOATS)
@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("bits", [0x7FF8000000000000, 0xFFF0000000000001, 0x7FFFFFFFFFFFFFFF])
def test_every_nan_becomes_the_one_of_the_format(
    numbers: NumberFormat, rounding: Rounding, bits: int
) -> None:
    with np.errstate(all="ignore"):
        for values in (np.array([bits], "<u8").view("<f8"), np.array([bits >> 32], "<u4").view("<f4")):
            if np.isnan(values).all():
                assert narrow(values, numbers, rounding).tolist() == [layout_of(numbers).nan]


@pytest.mark.parametrize("numbers", FLOATS)
@pytest.mark.parametrize("sign", [1, -1])
def test_infinity_stays_infinite_where_the_format_has_it(numbers: NumberFormat, sign: int) -> None:
    values = np.array([sign * np.inf], "<f4")
    for rounding in Rounding:
        found = widen(narrow(values, numbers, rounding), numbers)[0]
        assert found == values[0] or (
            np.isnan(found) and layout_of(numbers).overflow == layout_of(numbers).nan
        )


def test_values_are_not_changed() -> None:
    values = np.array([1.5, np.nan, np.inf], "<f4")
    values.flags.writeable = False
    for numbers in FLOATS:
        narrow(values, numbers)
