"""The tests that come along: what each is called, what it measures, and what it may be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import MetadataValue
from mgit_core.metric import MetricDirection

__all__ = ["BUILT_INS", "HALF_TYPES", "BuiltIn", "built_in_named", "check_arguments"]

HALF_TYPES = ("float16", "bfloat16")
"""The types that ``finite-in-half`` casts to; the first is the usual one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """A test that comes along.

    Attributes:
        name: What it is registered by.
        line: What it measures, for a person.
        metric: Name of what it measures.
        direction: Which values are better.
        threshold: The worst value that passes where nothing else is said; None if values are only kept.
        arguments: What it may be told, by name, each with its meaning.
        required: Those of them that it cannot do without.
        revision: Counted up whenever it would give another value for the same model, so that results of an
            earlier one are not reused.
    """

    name: str
    line: str
    metric: str
    direction: MetricDirection
    threshold: float | None
    arguments: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    revision: int = 1


_TENSORS = "shell pattern: only parameters with such names"
_REFERENCE = "the other model; kept as the version that it is when the test is registered"
_ALL = (
    BuiltIn(
        name="finite",
        line="How many weights are NaN or infinite; none may be.",
        metric="non-finite weights",
        direction=MetricDirection.LOWER,
        threshold=0.0,
        arguments={"tensors": _TENSORS},
    ),
    BuiltIn(
        name="finite-in-half",
        line="How many weights are NaN or infinite after a cast to half precision; none may be.",
        metric="non-finite weights in half precision",
        direction=MetricDirection.LOWER,
        threshold=0.0,
        arguments={"tensors": _TENSORS, "dtype": f"{' or '.join(HALF_TYPES)}; {HALF_TYPES[0]} if not given"},
    ),
    BuiltIn(
        name="sparsity",
        line="Which share of the weights is zero, above what the model's metadata claims.",
        metric="share of zeros",
        direction=MetricDirection.HIGHER,
        threshold=None,
        arguments={
            "tensors": _TENSORS,
            "claim": "metadata key whose number is taken off; a model without it claims nothing",
        },
    ),
    BuiltIn(
        name="size",
        line="How many bytes the tensors have.",
        metric="bytes",
        direction=MetricDirection.LOWER,
        threshold=None,
    ),
    BuiltIn(
        name="equals",
        line="Whether names, types, shapes and bytes of the tensors are those of another model.",
        metric="equality",
        direction=MetricDirection.HIGHER,
        threshold=1.0,
        arguments={"reference": _REFERENCE, "tensors": _TENSORS},
        required=("reference",),
    ),
    BuiltIn(
        name="drift",
        line="How far the outputs of a function, or else the weights, are from another model's, relatively.",
        metric="largest relative difference",
        direction=MetricDirection.LOWER,
        threshold=None,
        arguments={
            "reference": _REFERENCE,
            "forward": "MODULE:FUNCTION that gets a model, and inputs if there are any, and returns arrays",
            "tensors": f"{_TENSORS}; without forward",
        },
        required=("reference",),
    ),
)
BUILT_INS: dict[str, BuiltIn] = {each.name: each for each in _ALL}


def built_in_named(name: str) -> BuiltIn:
    """The built-in test of that name.

    Raises:
        InvalidArgumentError: INVALID_TEST.
    """
    found = BUILT_INS.get(name)
    if found is None:
        raise _invalid(f"A built-in test is one of {', '.join(BUILT_INS)}; found {name[:80]!r}.")
    return found


def check_arguments(built_in: BuiltIn, arguments: Mapping[str, MetadataValue]) -> None:
    """Refuse arguments that the test does not know, and those of a wrong kind: all are texts.

    Raises:
        InvalidArgumentError: INVALID_TEST.
    """
    known = ", ".join(built_in.arguments) or "no argument"
    for name, value in arguments.items():
        if name not in built_in.arguments:
            raise _invalid(f"Built-in test {built_in.name} takes {known}; found {name[:80]!r}.")
        if not isinstance(value, str):
            raise _invalid(f"Argument {name} of built-in test {built_in.name} is a text; found {value!r}.")
    for name in built_in.required:
        if not arguments.get(name):
            raise _invalid(
                f"Built-in test {built_in.name} needs argument {name}: {built_in.arguments[name]}."
            )
    if built_in.name == "finite-in-half" and arguments.get("dtype", HALF_TYPES[0]) not in HALF_TYPES:
        raise _invalid(
            f"Argument dtype of built-in test {built_in.name} is {' or '.join(HALF_TYPES)}; found "
            f"{arguments['dtype']!r}."
        )


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_TEST, message)
