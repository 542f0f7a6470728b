"""Merges: which weights and which order of evaluation made a tensor from several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mgit_core.coding.floats import widen
from mgit_core.coding.numbers import NumberFormat, Words
from mgit_core.coding.predictors.combination import Order, Steps, make_parameters, predict
from mgit_core.prediction.sampling import cost_bits

__all__ = ["Combination", "find_combination"]

# A wrong order shows in some hundred numbers; only the best is judged by the whole sample.
_SCREENED_NUMBERS = 2048
_DECIMALS = (1, 2, 3, 4, 6)
# A share that is smaller is what noise leaves of none.
_SMALLEST_WEIGHT = 0.004


@dataclass(frozen=True, slots=True)
class Combination:
    """How a tensor comes from several.

    Attributes:
        members: Which sources, by position, in the order of the predictor.
        parameters: Parameters of the predictor.
        cost: Bits that it leaves of each number.
    """

    members: tuple[int, ...]
    parameters: bytes
    cost: float


def find_combination(
    numbers: NumberFormat,
    own: Words,
    sources: Sequence[Words],
    *,
    declared: Sequence[float] | None = None,
    base: int | None = None,
) -> Combination | None:
    """The combination that leaves least of a sample; None if nothing can be combined.

    Args:
        numbers: A format of floats, of the tensor and its sources.
        own: The sample.
        sources: The same numbers of each source, and last those of the base if there is one.
        declared: Weights of the sources that somebody declared.
        base: Position in ``sources`` of what the others were made from, for task arithmetic.
    """
    members = [position for position in range(len(sources)) if position != base]
    step = max(1, own.size // _SCREENED_NUMBERS)
    few = own[::step].copy()
    few_sources = [source[::step].copy() for source in sources]
    best: Combination | None = None
    for chosen, parameters in _proposals(numbers, few, few_sources, members, declared, base):
        cost = _cost(numbers, few, [few_sources[at] for at in chosen], parameters)
        if best is None or cost < best.cost:
            best = Combination(chosen, parameters, cost)
        if cost == 0:
            break
    if best is None:
        return None
    cost = _cost(numbers, own, [sources[at] for at in best.members], best.parameters)
    return Combination(best.members, best.parameters, cost)


def _cost(numbers: NumberFormat, own: Words, sources: Sequence[Words], parameters: bytes) -> float:
    prediction = predict(parameters, [source.data for source in sources], own.nbytes)
    return cost_bits(numbers, own.data, prediction.data)


def _proposals(  # noqa: PLR0913, PLR0917 - the same six as the caller has, and nobody else calls it
    numbers: NumberFormat,
    own: Words,
    sources: Sequence[Words],
    members: Sequence[int],
    declared: Sequence[float] | None,
    base: int | None,
) -> Iterator[tuple[tuple[int, ...], bytes]]:
    """What to try, the likely first."""
    is_wide = numbers in {NumberFormat.FLOAT32, NumberFormat.FLOAT64}
    steps = (Steps.AT_THE_END,) if is_wide else tuple(Steps)
    whole = tuple(members)
    if len(whole) > 1:
        yield from ((whole, make_parameters(numbers, Order.SUM_THEN_DIVIDE, (), step)) for step in steps)
        for weights in _weights(numbers, own, [sources[at] for at in members], declared):
            kept = [at for at, weight in enumerate(weights) if weight]
            chosen = tuple(members[at] for at in kept)
            shares = [weights[at] for at in kept]
            yield from (
                (chosen, make_parameters(numbers, order, values, step))
                for order, values in _weighted_orders(shares)
                for step in steps
            )
    if base is not None and whole:
        for weights in _task_weights(numbers, own, sources, members, declared, base):
            yield from (
                ((base, *whole), make_parameters(numbers, order, weights, step))
                for order in (Order.TASKS_ONTO_BASE, Order.TASKS_FIRST)
                for step in steps
            )


def _weighted_orders(weights: Sequence[float]) -> Iterator[tuple[Order, Sequence[float]]]:
    yield Order.PRODUCTS, weights
    if len(weights) == 2 and abs(sum(weights) - 1) < 1e-6:
        yield Order.LERP, weights[1:]
        yield Order.LERP_FROM_SECOND, weights[1:]
    yield Order.DOUBLE_PRODUCTS, weights


def _weights(
    numbers: NumberFormat, own: Words, sources: Sequence[Words], declared: Sequence[float] | None
) -> Iterator[Sequence[float]]:
    if declared is not None:
        yield declared
        total = sum(declared)
        if total and abs(total - 1) > 1e-9:
            yield [weight / total for weight in declared]
    yield [1 / len(sources)] * len(sources)
    yield from _fitted(_values(numbers, own), [_values(numbers, source) for source in sources])


def _task_weights(  # noqa: PLR0913, PLR0917 - as above
    numbers: NumberFormat,
    own: Words,
    sources: Sequence[Words],
    members: Sequence[int],
    declared: Sequence[float] | None,
    base: int,
) -> Iterator[Sequence[float]]:
    if declared is not None:
        yield declared
    start = _values(numbers, sources[base])
    changes = [_values(numbers, sources[at]) - start for at in members]
    yield from _fitted(_values(numbers, own) - start, changes)


def _fitted(
    wanted: npt.NDArray[np.float64], parts: Sequence[npt.NDArray[np.float64]]
) -> Iterator[Sequence[float]]:
    """Least squares, rounded to short decimals, the shortest first."""
    matrix = np.stack(parts, axis=1)
    is_usable = np.isfinite(matrix).all(axis=1) & np.isfinite(wanted)
    if not is_usable.any():
        return
    try:
        weights, *_ = np.linalg.lstsq(matrix[is_usable], wanted[is_usable], rcond=None)
    except np.linalg.LinAlgError:  # Finite numbers whose squares are not.
        return
    seen: set[tuple[float, ...]] = set()
    for decimals in _DECIMALS:
        rounded = tuple(
            0.0 if abs(weight) < _SMALLEST_WEIGHT else round(float(weight), decimals) for weight in weights
        )
        if any(rounded) and np.isfinite(rounded).all() and rounded not in seen:
            seen.add(rounded)
            yield rounded


def _values(numbers: NumberFormat, words: Words) -> npt.NDArray[np.float64]:
    with np.errstate(invalid="ignore"):
        return widen(words, numbers).astype(np.float64)
