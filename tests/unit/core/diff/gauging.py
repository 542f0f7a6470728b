"""Tensors of tests, taken window by window, and the diff of two models that are dicts of arrays."""

from __future__ import annotations

from collections.abc import Mapping

from mgit_core.chunking import chunk_ranges
from mgit_core.diff.measuring import ChangeGauge, common_items, window_starts
from mgit_core.diff.values import ParameterChange
from mgit_core.digest import DigestAlgorithm, digest_of
from mgit_core.manifest import Parameter, make_parameter
from mgit_core.tensor import AnyArray, TensorSpec, name_of_dtype

ALGORITHM = DigestAlgorithm.BLAKE3


def spec_of(array: AnyArray) -> TensorSpec:
    return TensorSpec(name_of_dtype(array.dtype), array.shape)


def parameter_of(name: str, array: AnyArray) -> Parameter:
    spec, raw = spec_of(array), array.tobytes()
    chunks = [digest_of(ALGORITHM, raw[start:stop]) for start, stop in chunk_ranges(spec)]
    return make_parameter(ALGORITHM, name, spec, chunks)


def parameters_of(tensors: Mapping[str, AnyArray]) -> tuple[Parameter, ...]:
    return tuple(parameter_of(name, array) for name, array in tensors.items())


def measure(
    before: AnyArray, after: AnyArray, *, is_backwards: bool = False, tells_equal: bool = True
) -> ParameterChange:
    """The change, as a service measures it: equal windows are said to be so.

    Args:
        before: The one tensor.
        after: The other.
        is_backwards: Whether the last window comes first.
        tells_equal: Whether equal windows are said to be so.
    """
    one, other = spec_of(before), spec_of(after)
    gauge = ChangeGauge(one, other)
    items = common_items(one, other)
    starts = window_starts(one, items)
    raw, other_raw = before.tobytes(), after.tobytes()
    windows = list(zip(starts, [*starts[1:], items], strict=False))
    for start, stop in reversed(windows) if is_backwards else windows:
        first = raw[start * one.itemsize : stop * one.itemsize]
        second = other_raw[start * other.itemsize : stop * other.itemsize]
        is_equal = tells_equal and one.dtype == other.dtype and first == second
        gauge.take(start, first, None if is_equal else second)
    return gauge.finish()
