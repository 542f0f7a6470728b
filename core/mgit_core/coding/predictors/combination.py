"""Several models in one: means, weighted sums, interpolation and task arithmetic.

Floats are not associative, so a prediction is exact only in the order that its creator computed in. The usual
orders have numbers.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import TypeAlias

import numpy as np
from typing_extensions import Buffer

from mgit_core.coding.floats import Floats, narrow, widen, working_type
from mgit_core.coding.numbers import NumberFormat, Words
from mgit_core.coding.predictors.blocks import by_blocks
from mgit_core.coding.predictors.fields import Bytes, Fields, cut_sources, float_words
from mgit_core.coding.refusals import corrupt, unknown

__all__ = ["Order", "Steps", "make_parameters", "predict"]

_HEAD = struct.Struct("<BBBB")


class Order(enum.IntEnum):
    """What is computed, in which order. x_i are the sources, w_i the weights. Numbers are part of the format."""

    SUM_THEN_DIVIDE = 0
    """((x_1 + x_2) + x_3 ..) / n; no weights."""
    PRODUCTS = 1
    """((w_1 x_1 + w_2 x_2) + w_3 x_3) ..; a weight for each source."""
    LERP = 2
    """x_1 + w (x_2 - x_1); two sources, one weight."""
    LERP_FROM_SECOND = 3
    """x_2 - (x_2 - x_1) (1 - w); two sources, one weight."""
    DOUBLE_PRODUCTS = 4
    """PRODUCTS in float64, rounded once; a weight for each source."""
    TASKS_ONTO_BASE = 5
    """((x_1 + w_1 (x_2 - x_1)) + w_2 (x_3 - x_1)) ..; a weight for each source but the first."""
    TASKS_FIRST = 6
    """x_1 + ((w_1 (x_2 - x_1) + w_2 (x_3 - x_1)) ..); a weight for each source but the first."""


class Steps(enum.IntEnum):
    """When results are rounded to the format. Numbers are part of the format.

    For float32 and float64, which are their own working types, all are the same.
    """

    AT_THE_END = 0
    """Computed in the working type, rounded once."""
    EACH = 1
    """Every sum, difference, product and quotient is rounded; weights are of the working type."""
    EACH_AND_WEIGHTS = 2
    """The same, with weights rounded to the format too."""


def make_parameters(
    numbers: NumberFormat, order: Order, weights: Sequence[float] = (), steps: Steps = Steps.AT_THE_END
) -> bytes:
    """Parameters of a combination.

    The sources are of equal size: the ranges of all bases joined are cut into pieces of the chunk's size.

    Args:
        numbers: Format of the chunk and of every source.
        order: What is computed.
        weights: As many as the order takes.
        steps: When results are rounded.
    """
    head = _HEAD.pack(numbers, order, steps, len(weights))
    return head + struct.pack(f"<{len(weights)}d", *weights)


def predict(parameters: bytes, sources: Sequence[Buffer], raw_size: int) -> Bytes:
    """The combination of the sources.

    Raises:
        CorruptError: CHUNK_CORRUPT or UNKNOWN_FORMAT_VERSION.
    """
    fields = Fields(parameters)
    numbers, order, steps = fields.float_format(), fields.number("B"), fields.number("B")
    weights = [fields.real("d") for _ in range(fields.number("B"))]
    fields.end()
    if order not in _ORDERS or steps > Steps.EACH_AND_WEIGHTS:
        raise unknown(f"order of evaluation {order} with steps {steps}")
    pieces = [float_words(piece, numbers) for piece in cut_sources(sources, raw_size)]
    if not _fits(Order(order), len(pieces), len(weights)):
        raise corrupt(f"{len(weights)} weights for {len(pieces)} sources in order {order}")
    arithmetic = _Arithmetic(numbers, Order(order), Steps(steps))
    evaluate = _ORDERS[Order(order)]
    with np.errstate(all="ignore"):
        loaded = [arithmetic.weight(weight) for weight in weights]
        return by_blocks(
            pieces[0].size,
            pieces[0].dtype,
            lambda part: narrow(
                evaluate(arithmetic, [arithmetic.load(piece[part]) for piece in pieces], loaded), numbers
            ),
        ).view(np.uint8)


class _Arithmetic:
    """Elementwise operations in the working type of an order, rounded where the steps say so."""

    def __init__(self, numbers: NumberFormat, order: Order, steps: Steps) -> None:
        self._numbers = numbers
        self._type = np.dtype("<f8") if order == Order.DOUBLE_PRODUCTS else working_type(numbers)
        self._rounds = steps != Steps.AT_THE_END and numbers.width < self._type.itemsize
        self._rounds_weights = steps == Steps.EACH_AND_WEIGHTS and self._rounds

    def load(self, words: Words) -> Floats:
        return widen(words, self._numbers).astype(self._type, copy=False)

    def weight(self, value: float) -> Floats:
        weight: Floats = np.array([value], self._type)
        return self._rounded(weight) if self._rounds_weights else weight

    def add(self, left: Floats, right: Floats) -> Floats:
        return self._step(np.add(left, right))

    def subtract(self, left: Floats, right: Floats) -> Floats:
        return self._step(np.subtract(left, right))

    def multiply(self, left: Floats, right: Floats) -> Floats:
        return self._step(np.multiply(left, right))

    def divide(self, left: Floats, count: int) -> Floats:
        return self._step(np.divide(left, self._type.type(count)))

    def _step(self, values: Floats) -> Floats:
        return self._rounded(values) if self._rounds else values

    def _rounded(self, values: Floats) -> Floats:
        return widen(narrow(values, self._numbers), self._numbers).astype(self._type, copy=False)


_Order: TypeAlias = Callable[[_Arithmetic, list[Floats], list[Floats]], Floats]


def _sum_then_divide(arithmetic: _Arithmetic, values: list[Floats], weights: list[Floats]) -> Floats:
    del weights
    return arithmetic.divide(reduce(arithmetic.add, values), len(values))


def _products(arithmetic: _Arithmetic, values: list[Floats], weights: list[Floats]) -> Floats:
    products = (arithmetic.multiply(weight, value) for weight, value in zip(weights, values, strict=True))
    return reduce(arithmetic.add, products)


def _lerp(arithmetic: _Arithmetic, values: list[Floats], weights: list[Floats]) -> Floats:
    step = arithmetic.multiply(weights[0], arithmetic.subtract(values[1], values[0]))
    return arithmetic.add(values[0], step)


def _lerp_from_second(arithmetic: _Arithmetic, values: list[Floats], weights: list[Floats]) -> Floats:
    rest = arithmetic.subtract(np.ones_like(weights[0]), weights[0])
    step = arithmetic.multiply(arithmetic.subtract(values[1], values[0]), rest)
    return arithmetic.subtract(values[1], step)


def _tasks(arithmetic: _Arithmetic, values: list[Floats], weights: list[Floats]) -> Iterator[Floats]:
    for weight, value in zip(weights, values[1:], strict=True):
        yield arithmetic.multiply(weight, arithmetic.subtract(value, values[0]))


def _tasks_onto_base(arithmetic: _Arithmetic, values: list[Floats], weights: list[Floats]) -> Floats:
    return reduce(arithmetic.add, _tasks(arithmetic, values, weights), values[0])


def _tasks_first(arithmetic: _Arithmetic, values: list[Floats], weights: list[Floats]) -> Floats:
    return arithmetic.add(values[0], reduce(arithmetic.add, _tasks(arithmetic, values, weights)))


_ORDERS: dict[Order, _Order] = {
    Order.SUM_THEN_DIVIDE: _sum_then_divide,
    Order.PRODUCTS: _products,
    Order.LERP: _lerp,
    Order.LERP_FROM_SECOND: _lerp_from_second,
    Order.DOUBLE_PRODUCTS: _products,
    Order.TASKS_ONTO_BASE: _tasks_onto_base,
    Order.TASKS_FIRST: _tasks_first,
}


def _fits(order: Order, sources: int, weights: int) -> bool:
    """Whether an order takes so many sources and weights."""
    if order == Order.SUM_THEN_DIVIDE:
        return weights == 0
    if order in {Order.LERP, Order.LERP_FROM_SECOND}:
        return (sources, weights) == (2, 1)
    if order in {Order.TASKS_ONTO_BASE, Order.TASKS_FIRST}:
        return sources >= 2 and weights == sources - 1
    return weights == sources
