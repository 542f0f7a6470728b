"""Combinations: each order of evaluation gives what a program that computes in that order gives."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np
import pytest
from tests.unit.core.coding.cases import FLOATS, as_format, patterns_of

from mgit_core.coding.numbers import NumberFormat, layout_of, words_of
from mgit_core.coding.predictors.combination import Order, Steps, make_parameters, predict
from mgit_core.errors import CorruptError, ErrorReason

F32 = NumberFormat.FLOAT32
BF16 = NumberFormat.BFLOAT16
TYPES = {
    F32: np.float32,
    NumberFormat.FLOAT64: np.float64,
    NumberFormat.FLOAT16: np.float16,
    BF16: ml_dtypes.bfloat16,
}
Formula = Callable[[np.ndarray, np.ndarray, np.ndarray, Callable[[float], np.ndarray]], np.ndarray]
# What users write, for three sources or for two, with weights 0.3 and 0.7 rounded by ``w``.
FORMULAS: list[tuple[Order, int, Sequence[float], Formula]] = [
    (Order.SUM_THEN_DIVIDE, 2, (), lambda a, b, _, w: (a + b) / w(2)),
    (Order.SUM_THEN_DIVIDE, 3, (), lambda a, b, c, w: (a + b + c) / w(3)),
    (Order.PRODUCTS, 2, (0.3, 0.7), lambda a, b, _, w: w(0.3) * a + w(0.7) * b),
    (Order.PRODUCTS, 3, (0.3, 0.7, -0.1), lambda a, b, c, w: w(0.3) * a + w(0.7) * b + w(-0.1) * c),
    (Order.LERP, 2, (0.3,), lambda a, b, _, w: a + w(0.3) * (b - a)),
    (Order.LERP_FROM_SECOND, 2, (0.7,), lambda a, b, _, w: b - (b - a) * (w(1) - w(0.7))),
    (Order.TASKS_ONTO_BASE, 2, (0.3,), lambda a, b, _, w: a + w(0.3) * (b - a)),
    (Order.TASKS_ONTO_BASE, 3, (0.3, 0.7), lambda a, b, c, w: a + w(0.3) * (b - a) + w(0.7) * (c - a)),
    (Order.TASKS_FIRST, 3, (0.3, 0.7), lambda a, b, c, w: a + (w(0.3) * (b - a) + w(0.7) * (c - a))),
]


def sources_of(numbers: NumberFormat, count: int, size: int = 3000) -> list[bytes]:
    rng = np.random.default_rng(count)
    return [as_format(rng.normal(0, 0.05, size), numbers) for _ in range(count)]


@pytest.mark.parametrize(("order", "count", "weights", "formula"), FORMULAS)
@pytest.mark.parametrize("numbers", [F32, NumberFormat.FLOAT64])
def test_an_order_gives_what_its_formula_gives(
    order: Order, count: int, weights: Sequence[float], formula: Formula, numbers: NumberFormat
) -> None:
    kind = TYPES[numbers]
    sources = sources_of(numbers, count)
    arrays = [np.frombuffer(source, kind) for source in [*sources, sources[0]][:3]]
    expected = formula(*(arrays + arrays)[:3], kind)
    for steps in Steps:
        found = predict(make_parameters(numbers, order, weights, steps), sources, len(sources[0]))
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("order", "count", "weights", "formula"), FORMULAS)
@pytest.mark.parametrize("numbers", [NumberFormat.FLOAT16, BF16])
def test_16_bit_floats_are_rounded_at_the_end_or_each_time(
    order: Order, count: int, weights: Sequence[float], formula: Formula, numbers: NumberFormat
) -> None:
    kind = TYPES[numbers]
    sources = sources_of(numbers, count)
    short = [np.frombuffer(source, kind) for source in [*sources, *sources, *sources][:3]]
    wide = [array.astype(np.float32) for array in short]

    def found(steps: Steps) -> bytes:
        return predict(make_parameters(numbers, order, weights, steps), sources, len(sources[0])).tobytes()

    assert found(Steps.AT_THE_END) == formula(*wide, np.float32).astype(kind).tobytes()
    # Operators of the short type itself round every result, and take weights of their own type.
    assert found(Steps.EACH_AND_WEIGHTS) == formula(*short, kind).tobytes()


def test_weights_of_the_working_type_are_kept_where_only_results_are_rounded() -> None:
    a, b = sources_of(BF16, 2)
    arrays = [np.frombuffer(source, ml_dtypes.bfloat16).astype(np.float32) for source in (a, b)]
    products = [
        (np.float32(w) * array).astype(ml_dtypes.bfloat16)
        for w, array in zip((0.3, 0.7), arrays, strict=True)
    ]
    parameters = make_parameters(BF16, Order.PRODUCTS, (0.3, 0.7), Steps.EACH)
    assert predict(parameters, [a, b], len(a)).tobytes() == (products[0] + products[1]).tobytes()


@pytest.mark.parametrize("numbers", [F32, BF16, NumberFormat.FLOAT16])
def test_double_products_are_rounded_once(numbers: NumberFormat) -> None:
    a, b = sources_of(numbers, 2)
    wide = [np.frombuffer(source, TYPES[numbers]).astype(np.float64) for source in (a, b)]
    exact = 0.3 * wide[0] + 0.7 * wide[1]
    found = predict(make_parameters(numbers, Order.DOUBLE_PRODUCTS, (0.3, 0.7)), [a, b], len(a))
    if numbers == F32:
        assert found.tobytes() == exact.astype(np.float32).tobytes()
    error = np.abs(found.view(TYPES[numbers]).astype(np.float64) - exact)
    up = np.nextafter(found.view(TYPES[numbers]), TYPES[numbers](1)).astype(np.float64)
    assert (error <= np.abs(up - exact)).all()


def test_sources_may_be_cut_into_ranges() -> None:
    a, b = sources_of(F32, 2)
    parameters = make_parameters(F32, Order.SUM_THEN_DIVIDE)
    whole = predict(parameters, [a, b], len(a)).tobytes()
    assert predict(parameters, [a[:400], a[400:] + b[:8], b[8:]], len(a)).tobytes() == whole


@pytest.mark.parametrize("numbers", FLOATS)
def test_what_is_no_number_is_the_nan_of_the_format(numbers: NumberFormat) -> None:
    """Whatever NaN went in, and whichever a processor makes of infinity minus infinity."""
    patterns = b"".join(pattern.to_bytes(numbers.width, "little") for pattern in patterns_of(numbers))
    size = len(patterns)
    for order, weights in (
        (Order.SUM_THEN_DIVIDE, ()),
        (Order.LERP, (0.5,)),
        (Order.PRODUCTS, (np.inf, 0.5)),
    ):
        for steps in Steps:
            found = predict(make_parameters(numbers, order, weights, steps), [patterns, patterns], size)
            words = words_of(found.data, numbers)
            layout = layout_of(numbers)
            is_nan = (words & ((1 << (8 * numbers.width - 1)) - 1)) > max(layout.overflow, layout.largest)
            assert set(words[is_nan].tolist()) <= {layout.nan}


@pytest.mark.parametrize(
    "parameters",
    [
        make_parameters(F32, Order.PRODUCTS, (0.5,)),
        make_parameters(F32, Order.PRODUCTS, (0.5, 0.5, 0.5)),
        make_parameters(F32, Order.SUM_THEN_DIVIDE, (0.5,)),
        make_parameters(F32, Order.LERP),
        make_parameters(F32, Order.TASKS_FIRST, (0.5, 0.5)),
        make_parameters(F32, Order.SUM_THEN_DIVIDE)[:-1],
        make_parameters(F32, Order.PRODUCTS, (0.5, 0.5))[:-1],
        make_parameters(F32, Order.PRODUCTS, (0.5, 0.5)) + b"x",
        make_parameters(NumberFormat.UINT32, Order.SUM_THEN_DIVIDE),
        b"",
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        predict(parameters, [bytes(8), bytes(8)], 8)
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


@pytest.mark.parametrize("field", [0, 1, 2])
def test_numbers_of_a_later_version_are_refused(field: int) -> None:
    parameters = bytearray(make_parameters(F32, Order.SUM_THEN_DIVIDE))
    parameters[field] = 77
    with pytest.raises(CorruptError) as caught:
        predict(bytes(parameters), [bytes(8), bytes(8)], 8)
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


@pytest.mark.parametrize(
    ("sources", "raw_size"), [([], 8), ([bytes(12)], 8), ([bytes(6)], 6), ([bytes(8)], 0), ([bytes(4)], 8)]
)
def test_sources_of_another_size_are_refused(sources: list[bytes], raw_size: int) -> None:
    with pytest.raises(CorruptError) as caught:
        predict(make_parameters(F32, Order.SUM_THEN_DIVIDE), sources, raw_size)
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


def test_a_hostile_count_of_weights_is_refused() -> None:
    with pytest.raises(CorruptError):
        predict(struct.pack("<BBBB", F32, Order.PRODUCTS, 0, 255), [bytes(8)], 8)
