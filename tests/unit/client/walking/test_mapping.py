"""A function over models, alone and in several threads. No service is needed: a model is whatever comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from mgit.walking.mapping import Mapped, map_models
from mgit_core.errors import ErrorReason, InvalidArgumentError

WORKERS = pytest.mark.parametrize("workers", [1, 2, 8])


def double_odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError(number)
    return 2 * number


@WORKERS
def test_results_come_in_order_and_an_error_stops_nothing(workers: int) -> None:
    found = list(map_models(double_odd, range(20), workers, None))
    assert [each.model for each in found] == list(range(20))
    assert [each.result for each in found] == [2 * n if n % 2 else None for n in range(20)]
    assert [str(each.error) for each in found if each.error] == [str(n) for n in range(0, 20, 2)]


def test_a_result_is_given_or_its_error_raised() -> None:
    good: Mapped[int, int] = Mapped(model=1, result=3)
    bad: Mapped[int, int] = Mapped(model=2, error=KeyError("x"))
    assert good.get() == 3
    with pytest.raises(KeyError):
        bad.get()


def test_several_models_are_worked_on_at_once() -> None:
    """Nobody passes the barrier before all four have come to it."""
    barrier = threading.Barrier(4, timeout=60)
    found = list(map_models(lambda _number: barrier.wait(), range(8), 4, None))
    assert [each.error for each in found] == [None] * 8


@WORKERS
def test_models_are_taken_when_a_worker_is_free(workers: int) -> None:
    taken: list[int] = []

    def models() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    mapped = map_models(lambda number: number, models(), workers, None)
    assert not taken
    assert next(mapped).result == 0
    assert len(taken) == workers
    mapped.close()


@WORKERS
def test_whoever_leaves_starts_no_further_model(workers: int) -> None:
    begun: list[int] = []
    goes_on = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        assert number == 0 or goes_on.wait(60)
        return number

    mapped = map_models(work, range(100), workers, None)
    assert next(mapped).result == 0
    mapped.close()
    goes_on.set()
    assert len(begun) <= workers


def test_an_interrupt_is_no_result() -> None:
    def work(_number: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(map_models(work, [1], 1, None))


def test_an_interrupt_in_a_worker_reaches_the_caller() -> None:
    def work(_number: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(map_models(work, [1, 2, 3], 2, None))


@WORKERS
def test_an_error_of_the_walk_itself_is_raised(workers: int) -> None:
    def models() -> Iterator[int]:
        yield 1
        raise OSError("the walk broke")

    with pytest.raises(OSError, match="the walk broke"):
        list(map_models(lambda number: number, models(), workers, None))


@pytest.mark.parametrize(("models", "total"), [(lambda: [5, 6], 2), (lambda: iter([5, 6]), 0)])
def test_progress_is_told_in_models(models: Callable[[], list[int]], total: int) -> None:
    told: list[tuple[int, int]] = []
    list(map_models(lambda number: number, models(), 1, lambda done, all_: told.append((done, all_))))
    assert told == [(1, total), (2, total)]


@pytest.mark.parametrize("workers", [0, -1, 5_000])
def test_a_number_of_workers_that_cannot_be_is_refused_at_once(workers: int) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        map_models(lambda number: number, [1], workers, None)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT
