"""What the built-in tests measure. Weights are read a part at a time: memory does not grow with the model."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from mgit.entry_points import call_by_signature, find_function
from mgit.running.built_ins import HALF_TYPES
from mgit.running.weights import Weights
from mgit_core.errors import ErrorReason, InvalidArgumentError, NotFoundError
from mgit_core.tensor import AnyArray, TensorSpec

__all__ = ["Measured", "measure_built_in"]

_INTEGERS = frozenset("biu")
_HALF: dict[str, Any] = dict(zip(HALF_TYPES, (np.float16, ml_dtypes.bfloat16), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A model that is measured.

    Attributes:
        model: As a function of the user's gets it.
        weights: Its weights.
        arguments: What the test is told.
        inputs: The inputs of the test, or None.
        open_reference: Gives the model that an argument names.
    """

    model: object
    weights: Weights
    arguments: Mapping[str, Any]
    inputs: Path | None
    open_reference: Callable[[str], tuple[object, Weights]]

    def names(self) -> list[str]:
        """The parameters that the argument ``tensors`` chooses; all without it.

        Raises:
            NotFoundError: TENSOR_NOT_FOUND, if it fits none.
        """
        return _chosen(self.weights, self.arguments.get("tensors"))


def measure_built_in(name: str, measured: Measured) -> float | bool:
    """The value of the built-in test called ``name``.

    Raises:
        MGitError: If the model or its reference cannot be read, or an argument is wrong.
    """
    return _MEASURES[name](measured)


def _chosen(weights: Weights, pattern: str | None) -> list[str]:
    names = list(weights.specs)
    if pattern is None:
        return names
    chosen = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    if not chosen:
        raise NotFoundError(ErrorReason.TENSOR_NOT_FOUND, f"No parameter of the model fits {pattern[:80]!r}.")
    return chosen


def _float_blocks(measured: Measured) -> Iterator[AnyArray]:
    """The parts of all chosen parameters that are not whole numbers."""
    for name in measured.names():
        for block in measured.weights.blocks(name):
            if block.dtype.kind not in _INTEGERS:
                yield block


def _count_non_finite(block: AnyArray) -> int:
    numbers: Any = block
    return int(block.size - np.count_nonzero(np.isfinite(numbers)))


def _finite(measured: Measured) -> float:
    return float(sum(map(_count_non_finite, _float_blocks(measured))))


def _finite_in_half(measured: Measured) -> float:
    half = np.dtype(_HALF[measured.arguments.get("dtype", HALF_TYPES[0])])
    count = 0
    for block in _float_blocks(measured):
        # Real and imaginary parts are numbers of their own.
        numbers: Any = block.view(block.real.dtype) if block.dtype.kind == "c" else block
        with np.errstate(over="ignore", invalid="ignore"):
            count += _count_non_finite(numbers.astype(half))
    return float(count)


def _sparsity(measured: Measured) -> float:
    zeros = items = 0
    for name in measured.names():
        for block in measured.weights.blocks(name):
            numbers: Any = block
            zeros += block.size - int(np.count_nonzero(numbers != 0))
            items += block.size
    claim = measured.arguments.get("claim")
    claimed = 0 if claim is None else measured.weights.metadata.get(claim, 0)
    if not isinstance(claimed, int | float):
        raise InvalidArgumentError(
            ErrorReason.INVALID_TEST,
            f"Metadata {claim!r} claims a share of zeros, a number; found {claimed!r}.",
        )
    return (zeros / items if items else 0.0) - float(claimed)


def _size(measured: Measured) -> float:
    return float(sum(spec.size_bytes for spec in measured.weights.specs.values()))


def _equals(measured: Measured) -> bool:
    pattern = measured.arguments.get("tensors")
    ours = measured.weights
    _, theirs = measured.open_reference(measured.arguments["reference"])
    names = measured.names()
    if set(names) != set(_chosen(theirs, pattern)):
        return False
    return all(_is_equal(name, ours, theirs) for name in names)


def _is_equal(name: str, ours: Weights, theirs: Weights) -> bool:
    if ours.specs[name] != theirs.specs[name]:
        return False
    digests = ours.digest(name), theirs.digest(name)
    if None not in digests:
        return digests[0] == digests[1]
    pairs = zip(ours.blocks(name), theirs.blocks(name), strict=True)
    return all(our_block.tobytes() == their_block.tobytes() for our_block, their_block in pairs)


def _drift(measured: Measured) -> float:
    model, theirs = measured.open_reference(measured.arguments["reference"])
    forward = measured.arguments.get("forward")
    if forward is None:
        return _weight_drift(measured, theirs)
    function: Any = find_function(forward, "forward function", ErrorReason.INVALID_TEST)
    optional = {} if measured.inputs is None else {"inputs": measured.inputs}
    found = list(_outputs(call_by_signature(function, measured.model, {}, optional)))
    wanted = list(_outputs(call_by_signature(function, model, {}, optional)))
    if [each.shape for each in found] != [each.shape for each in wanted]:
        raise InvalidArgumentError(
            ErrorReason.INVALID_TEST,
            f"{forward} gives outputs of the same shapes for both models; found "
            f"{[each.shape for each in found][:8]} and {[each.shape for each in wanted][:8]}.",
        )
    return _largest(map(_relative_difference, found, wanted))


def _outputs(output: Any) -> Iterator[AnyArray]:
    """The arrays of what a forward function returned, as doubles: one, or several in lists and mappings."""
    if isinstance(output, Mapping):
        for name in sorted(output):
            yield from _outputs(output[name])
    elif isinstance(output, list | tuple):
        for each in output:
            yield from _outputs(each)
    else:
        yield np.asarray(output.detach().cpu() if hasattr(output, "detach") else output, np.float64)


def _largest(values: Iterable[float]) -> float:
    """The largest value; NaN if any is, which Python's own maximum would lose."""
    return float(np.max(list(values), initial=0.0))


def _relative_difference(found: Any, wanted: Any) -> float:
    """Largest difference of two items in units of the largest item that was wanted."""
    if not found.size:
        return 0.0
    difference = float(np.max(np.abs(found - wanted)))
    largest = float(np.max(np.abs(wanted)))
    return difference / largest if largest else (0.0 if difference == 0 else float("inf"))


def _weight_drift(measured: Measured, theirs: Weights) -> float:
    """Largest root-mean-square change of a parameter that both have, in units of its root mean square."""
    ours = measured.weights
    shared = [name for name in measured.names() if ours.specs[name].shape == _shape(theirs.specs, name)]
    if not shared:
        raise InvalidArgumentError(
            ErrorReason.INVALID_TEST,
            "Drift of weights is measured on parameters of equal name and shape; the two models share none.",
        )
    return _largest(_parameter_drift(ours, theirs, shared))


def _shape(specs: Mapping[str, TensorSpec], name: str) -> Sequence[int] | None:
    return specs[name].shape if name in specs else None


def _parameter_drift(ours: Weights, theirs: Weights, names: Sequence[str]) -> Iterator[float]:
    for name in names:
        digests = ours.digest(name), theirs.digest(name)
        if digests[0] is not None and digests[0] == digests[1]:
            yield 0.0
            continue
        change = size = 0.0
        for our_block, their_block in _aligned(ours.blocks(name), theirs.blocks(name)):
            change += float(np.sum(np.abs(our_block - their_block) ** 2))
            size += float(np.sum(np.abs(their_block) ** 2))
        yield (change / size) ** 0.5 if size else (0.0 if change == 0 else float("inf"))


def _aligned(ours: Iterator[AnyArray], theirs: Iterator[AnyArray]) -> Iterator[tuple[Any, Any]]:
    """Parts of equal length, as doubles, of two parameters that may differ in type and so in their parts."""
    our_rest: Any = np.empty(0)
    their_rest: Any = np.empty(0)
    while True:
        if not our_rest.size:
            our_rest = _as_doubles(next(ours, None))
        if not their_rest.size:
            their_rest = _as_doubles(next(theirs, None))
        length = min(our_rest.size, their_rest.size)
        if not length:
            return
        yield our_rest[:length], their_rest[:length]
        our_rest, their_rest = our_rest[length:], their_rest[length:]


def _as_doubles(block: Any) -> Any:
    if block is None:
        return np.empty(0)
    return block.astype(np.complex128 if block.dtype.kind == "c" else np.float64)


_MEASURES: dict[str, Callable[[Measured], float | bool]] = {
    "finite": _finite,
    "finite-in-half": _finite_in_half,
    "sparsity": _sparsity,
    "size": _size,
    "equals": _equals,
    "drift": _drift,
}
