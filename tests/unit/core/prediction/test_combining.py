"""The order of evaluation and the weights of a merge are found from a sample of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from tests.unit.core.prediction.shelf import changed, normal, spec_of

from mgit_core.coding.numbers import NumberFormat, Words, format_of_dtype, words_of
from mgit_core.coding.predictors.combination import Order, Steps, make_parameters, predict
from mgit_core.prediction.combining import Combination, find_combination
from mgit_core.tensor import AnyArray

FORMATS = {
    "float32": NumberFormat.FLOAT32,
    "bfloat16": NumberFormat.BFLOAT16,
    "float16": NumberFormat.FLOAT16,
}


def words(array: AnyArray) -> Words:
    return words_of(array.tobytes(), format_of_dtype(spec_of(array).dtype))


def merged(
    numbers: NumberFormat,
    sources: Sequence[AnyArray],
    order: Order,
    weights: Sequence[float],
    steps: Steps = Steps.AT_THE_END,
) -> Words:
    parameters = make_parameters(numbers, order, weights, steps)
    content = predict(parameters, [each.tobytes() for each in sources], sources[0].nbytes)
    return words_of(content.tobytes(), numbers)


def cost(found: Combination | None) -> float:
    assert found is not None
    return found.cost


@pytest.mark.parametrize("steps", Steps)
@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize(
    ("order", "weights"),
    [
        (Order.SUM_THEN_DIVIDE, ()),
        (Order.PRODUCTS, (0.3, 0.7)),
        (Order.DOUBLE_PRODUCTS, (0.25, 0.5)),
        (Order.LERP, (0.7,)),
        (Order.LERP_FROM_SECOND, (0.6,)),
    ],
)
def test_every_order_of_two_is_found(
    dtype: str, order: Order, weights: Sequence[float], steps: Steps
) -> None:
    numbers = FORMATS[dtype]
    sources = [normal((100, 100), seed, dtype=dtype) for seed in (1, 2)]
    own = merged(numbers, sources, order, weights, steps)
    assert cost(find_combination(numbers, own, [words(each) for each in sources])) == 0


@pytest.mark.parametrize("order", [Order.TASKS_ONTO_BASE, Order.TASKS_FIRST])
def test_every_order_of_tasks_is_found(order: Order) -> None:
    base = normal((100, 100), 3)
    ours, theirs = changed(base, 4, 0.01), changed(base, 5, 0.01)
    own = merged(NumberFormat.FLOAT32, [base, ours, theirs], order, (0.75, -0.5))
    sources = [words(each) for each in (ours, theirs, base)]
    found = find_combination(NumberFormat.FLOAT32, own, sources, base=2)
    assert cost(found) == 0
    assert found is not None
    assert found.members == (2, 0, 1)


def test_a_source_that_has_no_share_is_left_out() -> None:
    sources = [normal((100, 100), seed) for seed in (6, 7, 8)]
    own = merged(NumberFormat.FLOAT32, [sources[0], sources[2]], Order.PRODUCTS, (0.4, 0.6))
    found = find_combination(NumberFormat.FLOAT32, own, [words(each) for each in sources])
    assert cost(found) == 0
    assert found is not None
    assert found.members == (0, 2)


def test_one_source_is_no_combination() -> None:
    source = words(normal((10, 10), 9))
    assert find_combination(NumberFormat.FLOAT32, source, [source]) is None


def test_sources_that_are_no_numbers_are_combined_without_fitted_weights() -> None:
    nothing = words(np.full((10, 10), np.nan, np.float32))
    assert cost(find_combination(NumberFormat.FLOAT32, words(normal((10, 10), 10)), [nothing, nothing])) > 0
