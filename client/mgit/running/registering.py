"""Tests that are to be registered: put together from what a user says, and checked before anything is sent."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mgit.entry_points import entry_point_of, find_function, user_modules
from mgit.running.built_ins import BUILT_INS, built_in_named, check_arguments
from mgit.running.digests import RunnableCode, code_digest, inputs_digest
from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Dataset, MetadataValue
from mgit_core.metric import DEFAULT_TOLERANCE, MetricDirection
from mgit_core.model_tests import DEFAULT_TIMEOUT_S, ModelTest, ModelTestKind, ModelTestScope

__all__ = ["Registration", "build_test"]

_INVALID = ErrorReason.INVALID_TEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a user says of a test. Exactly one of the first three is set; None means the usual.

    Attributes:
        entry_point: A function, or ``MODULE:FUNCTION``.
        command: A command line.
        built_in: Name of a built-in test.
        name: Name of the test.
        model: ``NAME@VERSION`` or ``@UID`` of the one model that it is for.
        type: The model type that it is for.
        arguments: Handed to the test by name.
        inputs: File or folder that it reads.
        dataset: What the inputs belong to.
        metric: Name of what is measured.
        direction: ``higher`` or ``lower``.
        threshold: The worst value that passes.
        tolerance: Largest loss where it guards a lossy model.
        timeout_s: Seconds after which a run is given up.
    """

    name: str
    entry_point: str | Callable[..., Any] | None = None
    command: str | None = None
    built_in: str | None = None
    model: str | None = None
    type: str | None = None
    arguments: Mapping[str, MetadataValue] = field(default_factory=dict)
    inputs: str | os.PathLike[str] | None = None
    dataset: Dataset | None = None
    metric: str | None = None
    direction: str | None = None
    threshold: float | None = None
    tolerance: float | None = None
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Usual:
    """What the code itself says of its values."""

    metric: str
    direction: object = MetricDirection.HIGHER
    threshold: float | None = None
    tolerance: object = DEFAULT_TOLERANCE


def build_test(registration: Registration, algorithm: DigestAlgorithm) -> ModelTest:
    """The test, with the digests of its code and its inputs; the module of an entry point is imported.

    What a function says of itself with ``mgit.guard`` holds where the registration says nothing.

    Raises:
        InvalidArgumentError: INVALID_TEST.
    """
    kind, code = _code(registration)
    usual = _usual(registration, kind, code)
    if registration.model is not None and registration.type is not None:
        raise _invalid("A test is for one model, for one model type, or for all models; found two of them.")
    inputs_uri = "" if registration.inputs is None else str(Path(registration.inputs).absolute())
    runnable = RunnableCode(kind=kind, code=code, arguments=registration.arguments)
    now = datetime.now(UTC)
    return ModelTest(
        uid="",
        name=registration.name,
        scope=_scope(registration),
        kind=kind,
        code=code,
        metric=registration.metric or usual.metric,
        created_at=now,
        updated_at=now,
        model_ref=registration.model or "",
        type=registration.type,
        code_digest=code_digest(runnable, algorithm),
        arguments=registration.arguments,
        dataset=registration.dataset,
        inputs_uri=inputs_uri,
        inputs_digest=inputs_digest(inputs_uri, algorithm),
        direction=_direction(usual.direction if registration.direction is None else registration.direction),
        threshold=usual.threshold if registration.threshold is None else registration.threshold,
        tolerance=_tolerance(usual.tolerance if registration.tolerance is None else registration.tolerance),
        timeout_s=DEFAULT_TIMEOUT_S if registration.timeout_s is None else registration.timeout_s,
    )


def _code(registration: Registration) -> tuple[ModelTestKind, str]:
    entry_point = registration.entry_point
    if callable(entry_point):
        entry_point = entry_point_of(entry_point, "test", _INVALID)
    codes = {
        ModelTestKind.ENTRY_POINT: entry_point,
        ModelTestKind.COMMAND: registration.command,
        ModelTestKind.BUILTIN: registration.built_in,
    }
    given = [(kind, code) for kind, code in codes.items() if code is not None]
    if len(given) != 1:
        raise _invalid(
            "A test is an entry point, a command, or a built-in test; found "
            f"{' and '.join(kind for kind, _ in given) or 'none of them'}."
        )
    return given[0]


def _usual(registration: Registration, kind: ModelTestKind, code: str) -> _Usual:
    if kind is ModelTestKind.COMMAND:
        return _Usual(metric=registration.name)
    if kind is ModelTestKind.BUILTIN:
        built_in = built_in_named(code)
        check_arguments(built_in, registration.arguments)
        is_claimed = built_in is BUILT_INS["sparsity"] and "claim" in registration.arguments
        # A claim is written with a few digits: what it rounds away is no shortfall.
        threshold = -DEFAULT_TOLERANCE if is_claimed else built_in.threshold
        return _Usual(metric=built_in.metric, direction=built_in.direction, threshold=threshold)
    with user_modules():
        function = find_function(code, "test", _INVALID)
    _check_function(function, code, registration)
    return _Usual(
        metric=str(getattr(function, "metric", None) or code.partition(":")[2]),
        direction=getattr(function, "direction", MetricDirection.HIGHER),
        tolerance=getattr(function, "tolerance", DEFAULT_TOLERANCE),
    )


def _check_function(function: object, code: str, registration: Registration) -> None:
    """Refuse what cannot be called with a model and the arguments, or what another module defines.

    The digest of a test's code is that of its module: it must be the one that the function stands in.
    """
    if not callable(function):
        raise _invalid(f"A test is a function; {code} is of type {type(function).__name__}.")
    original: Any = inspect.unwrap(function)
    home = getattr(original, "__module__", None) or getattr(type(original), "__module__", None)
    module = code.partition(":")[0]
    if home != module:
        raise _invalid(
            f"Function {code} stands in module {home!r}: name it there, so that a change of it is noticed."
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # Functions of extension modules may have no signature.
        return
    inputs = {"inputs": None} if registration.inputs is not None and "inputs" in signature.parameters else {}
    try:
        signature.bind(None, **inputs, **registration.arguments)
    except TypeError as error:
        raise _invalid(
            f"Test {code} is called with a model and the registered arguments"
            f"{' and inputs' if inputs else ''}, which its signature {signature} does not take: {error}."
        ) from error


def _scope(registration: Registration) -> ModelTestScope:
    if registration.model is not None:
        return ModelTestScope.MODEL
    return ModelTestScope.ALL if registration.type is None else ModelTestScope.TYPE


def _direction(direction: object) -> MetricDirection:
    try:
        return MetricDirection(str(direction))
    except ValueError as error:
        raise _invalid(f"The direction of a test is higher or lower; found {direction!r}.") from error


def _tolerance(tolerance: object) -> float:
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float):
        raise _invalid(f"The tolerance of a test is a finite number of at least 0; found {tolerance!r}.")
    return float(tolerance)


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(_INVALID, message)
