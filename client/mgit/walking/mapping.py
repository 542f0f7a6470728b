"""A function over models: results in the order of the models, and an error stops nothing."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from mgit.progress import Progress, open_count
from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["Mapped", "map_models"]

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped(Generic[Item, Result]):
    """What a function made of a model.

    Attributes:
        model: The model.
        result: What the function returned; None after an error.
        error: What it raised, or None.
    """

    model: Item
    result: Result | None = None
    error: Exception | None = None

    def get(self) -> Result:
        """The result.

        Raises:
            Exception: ``error``, if there is one.
        """
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value] # None only if the function returned it


def map_models(
    function: Callable[[Item], Result], models: Iterable[Item], workers: int, progress: Progress
) -> Generator[Mapped[Item, Result]]:
    """As ``Repository.map``, whose arguments it checks at once."""
    if not 1 <= workers < 2**10:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"workers is a whole number from 1 to 1023; found {workers!r}."
        )
    return _told(
        _here(function, models) if workers == 1 else _beside(function, models, workers), models, progress
    )


def _told(
    mapped: Iterator[Mapped[Item, Result]], models: Iterable[Item], progress: Progress
) -> Generator[Mapped[Item, Result]]:
    total = len(models) if isinstance(models, Sized) else 0
    with open_count(progress, "map", "models") as tell:
        for done, each in enumerate(mapped, start=1):
            tell(done, total)
            yield each


def _run(function: Callable[[Item], Result], model: Item) -> Mapped[Item, Result]:
    try:
        return Mapped(model=model, result=function(model))
    except Exception as error:  # noqa: BLE001 - any error of a caller's function is its result
        return Mapped(model=model, error=error)


def _here(function: Callable[[Item], Result], models: Iterable[Item]) -> Iterator[Mapped[Item, Result]]:
    for model in models:
        yield _run(function, model)


def _beside(
    function: Callable[[Item], Result], models: Iterable[Item], workers: int
) -> Iterator[Mapped[Item, Result]]:
    source = iter(models)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="mgit map")
    try:
        running: collections.deque[Future[Mapped[Item, Result]]] = collections.deque()
        while True:
            # Models are taken from the walk when a worker is free for them, not all at once.
            for model in itertools.islice(source, workers - len(running)):
                running.append(pool.submit(_run, function, model))
            if not running:
                return
            yield running.popleft().result()
    finally:
        # What runs cannot be taken back; whoever leaves does not wait for it.
        pool.shutdown(wait=False, cancel_futures=True)
