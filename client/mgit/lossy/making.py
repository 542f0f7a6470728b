"""Makes the lossy model: every tensor that differs from the base's is moved to whole steps from it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from mgit.frameworks.source import Content, Source, bytes_of
from mgit.lossy.bases import Pair
from mgit.lossy.options import Lossy
from mgit.lossy.spool import Spool, SpooledContent
from mgit_core.chunking import chunk_ranges
from mgit_core.lattice import (
    Change,
    Errors,
    measure_change,
    measure_errors,
    move_to_lattice,
    step_of_change,
    step_of_epsilon,
)
from mgit_core.loss import LossMethod, LossTensor
from mgit_core.tensor import AnyArray, TensorSpec, dtype_named

__all__ = ["Maker", "Moved"]

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A tensor that may be moved.

    Attributes:
        name: Parameter name.
        spec: Type and shape.
        original: Its bytes.
        base: The base's bytes.
        moved: Where its moved bytes go.
        change: How far the original is from the base.
    """

    name: str
    spec: TensorSpec
    original: Content
    base: SpooledContent
    moved: SpooledContent
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A lossy model; good until the next one is made.

    Attributes:
        source: The model, to be sent instead of the original.
        tensors: What was done to each tensor that changed, in the order of the model.
        largest_error: Largest absolute error of any weight.
        largest_relative_error: Largest, over the tensors, of root-mean-square error divided by root-mean-square
            change.
    """

    source: Source
    tensors: tuple[LossTensor, ...]
    largest_error: float
    largest_relative_error: float


class Maker:
    """Makes lossy models of one original, of several strengths.

    Memory: some blocks of 1 MiB for each core, whatever the size of the model.
    """

    def __init__(self, source: Source, pairs: Iterable[Pair], spool: Spool) -> None:
        """Measures how far each pair's tensor is from the base's; reads every one once.

        Args:
            source: The original.
            pairs: Its tensors that differ from the base's.
            spool: Takes the moved tensors.
        """
        self._source = source
        contents = {parameter.name: parameter.content for parameter in source.parameters}
        found = [
            _measured(pair, contents[pair.parameter.name], spool)
            for pair in pairs
            if pair.parameter.spec.size_bytes
        ]
        self._candidates = [each for each in found if each.change.is_finite and each.change.count]

    def can_move(self, lossy: Lossy) -> bool:
        """Whether any tensor differs from the base's in a way that may be lost."""
        return any(_step(lossy, candidate.change) is not None for candidate in self._candidates)

    def make(self, lossy: Lossy) -> Moved:
        """The model of a strength; tensors for which the strength gives no usable step stay as they are.

        Raises:
            ResourceExhaustedError: DISK_FULL.
            InvalidArgumentError: UNREADABLE_INPUT, for a source that was changed meanwhile.
        """
        moved: dict[str, Content] = {}
        tensors: list[LossTensor] = []
        relative = 0.0
        for candidate in self._candidates:
            step = _step(lossy, candidate.change)
            if step is None:
                continue
            errors = _move(candidate, step)
            moved[candidate.name] = candidate.moved
            tensors.append(LossTensor(name=candidate.name, step=step, largest_error=errors.largest))
            relative = max(relative, (errors.square_sum / candidate.change.square_sum) ** 0.5)
        return Moved(
            source=_replaced(self._source, moved),
            tensors=tuple(tensors),
            largest_error=max((tensor.largest_error for tensor in tensors), default=0.0),
            largest_relative_error=relative,
        )


def _step(lossy: Lossy, change: Change) -> float | None:
    if lossy.method is LossMethod.STEP:
        return step_of_change(change, lossy.strength)
    return step_of_epsilon(change, lossy.strength)


def _measured(pair: Pair, original: Content, spool: Spool) -> _Candidate:
    spec = pair.parameter.spec

    def measure(start: int, stop: int) -> Change:
        return measure_change(_block(original, spec, start, stop), _block(pair.base, spec, start, stop))

    return _Candidate(
        name=pair.parameter.name,
        spec=spec,
        original=original,
        base=pair.base,
        moved=SpooledContent(spool, spool.reserve(spec.size_bytes)),
        change=sum(_each_block(spec, measure), Change()),
    )


def _move(candidate: _Candidate, step: float) -> Errors:
    spec = candidate.spec

    def move(start: int, stop: int) -> Errors:
        original = _block(candidate.original, spec, start, stop)
        moved = move_to_lattice(original, _block(candidate.base, spec, start, stop), step)
        candidate.moved.write(start, bytes_of(moved))
        return measure_errors(original, moved)

    return sum(_each_block(spec, move), Errors())


def _block(content: Content, spec: TensorSpec, start: int, stop: int) -> AnyArray:
    return np.frombuffer(content.read(start, stop), dtype_named(spec.dtype))


def _each_block(spec: TensorSpec, action: Callable[[int, int], Part]) -> Iterator[Part]:
    """What ``action`` gives for each chunk, in order, on all cores."""
    ranges: Sequence[tuple[int, int]] = tuple(chunk_ranges(spec))
    if len(ranges) == 1:
        yield action(*ranges[0])
        return
    with ThreadPoolExecutor(os.cpu_count() or 1, "mgit-lossy") as pool:
        try:
            yield from pool.map(lambda bounds: action(*bounds), ranges)
        finally:
            pool.shutdown(cancel_futures=True)


def _replaced(source: Source, moved: dict[str, Content]) -> Source:
    """The source with other bytes for some parameters, and for those tied to them."""
    contents = dict(moved)
    for first, *others in source.ties:
        if first in moved:
            contents.update(dict.fromkeys(others, moved[first]))
    parameters = tuple(
        replace(parameter, content=contents.get(parameter.name, parameter.content))
        for parameter in source.parameters
    )
    return replace(source, parameters=parameters)
