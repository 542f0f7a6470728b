"""One test on one model, as it runs in a process of its own: what it is told, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mgit.entry_points import call_by_signature, find_function
from mgit.running.telling import show_value, tell_raised
from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.lineage import MetadataValue
from mgit_core.model_tests import MAX_ERROR_LENGTH, ModelTestKind

__all__ = ["RawResult", "Task", "attempt", "call_entry_point", "read_value"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be run.

    Attributes:
        kind: What runs.
        code: As the test has it.
        code_digest: What the code has to be, hexadecimal.
        arguments: Handed over by name.
        inputs: Where the inputs lie, or None.
        model_uid: On which model.
    """

    kind: ModelTestKind
    code: str
    code_digest: str
    arguments: Mapping[str, MetadataValue]
    inputs: str | None
    model_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RawResult:
    """What came of a run: a value, or an error.

    Attributes:
        value: Finite; None with an error.
        is_truth: Whether the value was a truth value.
        error: Why there is no value; empty if there is one.
        reason: Why the test could not be run at all; None otherwise.
    """

    value: float | None = None
    is_truth: bool = False
    error: str = ""
    reason: ErrorReason | None = None


def attempt(run: Callable[[Task], RawResult], task: Task) -> RawResult:
    """What ``run`` gives for ``task``; whatever it raises, an end of the process that it asks for too, becomes an error."""
    try:
        return run(task)
    except FailedPreconditionError as error:
        reason = error.reason if error.reason is ErrorReason.TEST_CODE_CHANGED else None
        return RawResult(error=_cut(error.message), reason=reason)
    except SystemExit as error:
        return RawResult(error=_cut(f"It asked for the end of the process: exit code {error.code}."))
    except BaseException as error:  # noqa: BLE001 - a test may raise anything, and hurts nobody else
        return RawResult(error=_cut(tell_raised(error)))


def call_entry_point(
    entry_point: str, model: object, arguments: Mapping[str, object], inputs: Path | None
) -> RawResult:
    """What the function returned for ``model``.

    Raises:
        InvalidArgumentError: INVALID_TEST, if there is no such function.
        Exception: Whatever it raises.
    """
    function: Any = find_function(entry_point, "test", ErrorReason.INVALID_TEST)
    optional = {} if inputs is None else {"inputs": inputs}
    return read_value(call_by_signature(function, model, arguments, optional))


def read_value(value: Any) -> RawResult:
    """The number or truth value that ``value`` is, of Python, numpy or torch; anything else is an error."""
    found = f"it gave {show_value(value)} of type {type(value).__name__}"
    is_truth = isinstance(value, bool) or str(getattr(value, "dtype", "")) in {"bool", "torch.bool"}
    try:
        # Texts that look like numbers are none, and neither are complex numbers.
        if isinstance(value, str | bytes | bytearray):
            raise TypeError  # noqa: TRY301 - told below, with all other wrong values
        number = float(value)
    except Exception:  # noqa: BLE001 - conversions of foreign types raise what they like
        return RawResult(error=_cut(f"A test gives a number or a truth value; {found}."))
    if not math.isfinite(number):
        return RawResult(error=_cut(f"The value of a test is a finite number; {found}."))
    return RawResult(value=number, is_truth=is_truth)


def _cut(message: str) -> str:
    end = " … (cut)"
    return message if len(message) <= MAX_ERROR_LENGTH else message[: MAX_ERROR_LENGTH - len(end)] + end
