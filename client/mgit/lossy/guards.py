"""Guards: tests of the user's that say whether a model is still good enough.

A guard gets a model and returns a number. It runs here, in the client, and nowhere else.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from mgit.entry_points import find_function
from mgit.lossy.weights import GuardedModel
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.metric import DEFAULT_TOLERANCE, MetricDirection, is_no_worse

__all__ = ["Guard", "GuardFunction", "guard", "open_guard"]


class GuardFunction(Protocol):
    """A function that measures a model."""

    def __call__(self, model: GuardedModel, /) -> Any:
        """A number: how good the model is."""
        ...


Measure = TypeVar("Measure", bound=Callable[..., Any])


def guard(
    *, metric: str | None = None, direction: str | None = None, tolerance: float | None = None
) -> Callable[[Measure], Measure]:
    """Says of a function what it measures, as its attributes ``metric``, ``direction`` and ``tolerance``.

    Args:
        metric: Name of what it measures; None means the function's name.
        direction: ``higher`` or ``lower``: which values are better; None means higher.
        tolerance: Largest loss, in units of the metric; None means 0.005, half a point of a share between 0
            and 1.
    """

    def mark(function: Measure) -> Measure:
        for name, value in (("metric", metric), ("direction", direction), ("tolerance", tolerance)):
            if value is not None:
                setattr(function, name, value)
        return function

    return mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A guard that can be asked.

    Attributes:
        function: What measures.
        entry_point: ``MODULE:FUNCTION``.
        code_digest: Digest of the function's source; empty if that is not at hand.
        metric: Name of what it measures.
        direction: Which values are better.
        tolerance: Largest loss, in units of the metric.
        threshold: What an original that is as good must not fall behind; None if nothing is said.
        test_name: Name of the registered test that it is; empty for a guard of the user's.
    """

    function: GuardFunction
    entry_point: str
    code_digest: Digest
    metric: str
    direction: MetricDirection
    tolerance: float
    threshold: float | None = None
    test_name: str = ""

    def measure(self, model: GuardedModel) -> float:
        """What the guard says of ``model``; may be NaN or infinite.

        Raises:
            InvalidArgumentError: INVALID_GUARD, if it fails or gives no number.
        """
        try:
            value = self.function(model)
        except Exception as error:
            raise _invalid(
                f"Guard {self.entry_point} takes a model and returns a number; it raised "
                f"{type(error).__name__}: {error}."
            ) from error
        try:
            # Numbers of numpy and torch are meant too, texts that look like numbers are not.
            if isinstance(value, str | bytes | bytearray):
                raise TypeError  # noqa: TRY301 - told below, with all other wrong values
            return float(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise _invalid(
                f"Guard {self.entry_point} returns a number; it returned {repr(value)[:80]} of type "
                f"{type(value).__name__}."
            ) from error

    def loss(self, before: float, after: float) -> float:
        """How much worse ``after`` is than ``before``, in units of the metric; below 0 if it is better."""
        return before - after if self.direction is MetricDirection.HIGHER else after - before

    def holds(self, before: float, after: float, tolerance: float) -> bool:
        """Whether no more than ``tolerance`` is lost, and no threshold crossed.

        What is lost to rounding of the metric does not count.
        """
        if not math.isfinite(after):
            return False
        threshold = self.threshold
        was_good = threshold is not None and is_no_worse(before, threshold, self.direction)
        if was_good and threshold is not None and not is_no_worse(after, threshold, self.direction):
            return False
        rounding = 1e-9 * max(abs(before), abs(after), tolerance)
        return self.loss(before, after) <= tolerance + rounding


def open_guard(wanted: str | GuardFunction, algorithm: DigestAlgorithm) -> Guard:
    """The guard that ``MODULE:FUNCTION`` names, or that a function is.

    Raises:
        InvalidArgumentError: INVALID_GUARD.
    """
    function: Any = (
        find_function(wanted, "guard", ErrorReason.INVALID_GUARD) if isinstance(wanted, str) else wanted
    )
    if not callable(function):
        raise _invalid(f"A guard is a function; {wanted!r} is of type {type(function).__name__}.")
    name = getattr(function, "__qualname__", type(function).__qualname__)
    module = getattr(function, "__module__", type(function).__module__)
    entry_point = wanted if isinstance(wanted, str) else f"{module}:{name}"
    metric = getattr(function, "metric", None) or name
    if not isinstance(metric, str):
        raise _invalid(f"The metric of guard {entry_point} is a name; found {metric!r}.")
    return Guard(
        function=function,
        entry_point=entry_point,
        code_digest=_code_digest(function, algorithm),
        metric=metric,
        direction=_direction(function, entry_point),
        tolerance=_tolerance(function, entry_point),
    )


def _code_digest(function: object, algorithm: DigestAlgorithm) -> Digest:
    code: Any = function if inspect.isroutine(function) else type(function)
    try:
        return digest_of(algorithm, inspect.getsource(code).encode())
    except (OSError, TypeError):  # Typed at a prompt, or not written in Python.
        return b""


def _direction(function: object, entry_point: str) -> MetricDirection:
    direction = getattr(function, "direction", MetricDirection.HIGHER)
    try:
        return MetricDirection(direction)
    except ValueError as error:
        raise _invalid(
            f"The direction of guard {entry_point} is higher or lower; found {direction!r}."
        ) from error


def _tolerance(function: object, entry_point: str) -> float:
    tolerance = getattr(function, "tolerance", DEFAULT_TOLERANCE)
    is_number = isinstance(tolerance, int | float) and not isinstance(tolerance, bool)
    if not (is_number and math.isfinite(tolerance) and tolerance >= 0):
        raise _invalid(
            f"The tolerance of guard {entry_point} is a finite number of at least 0; found {tolerance!r}."
        )
    return float(tolerance)


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_GUARD, message)
