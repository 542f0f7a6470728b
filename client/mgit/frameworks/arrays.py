"""Reads dicts of numpy arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from mgit.frameworks.source import ArrayContent, BufferContent, Content, Source, SourceParameter, bytes_of
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.tensor import AnyArray, TensorSpec, dtype_named, name_of_dtype

__all__ = ["ReadOnlyArrays", "read_arrays"]

ReadOnlyArrays = Mapping[str, AnyArray]


def read_arrays(arrays: ReadOnlyArrays) -> Source:
    """The model that a dict of arrays is; any strides and byte order, nothing is copied at once.

    Names that show one memory become a tie.

    Raises:
        InvalidArgumentError: UNKNOWN_DTYPE or SHAPE_MISMATCH.
    """
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    parameters = tuple(_read_array(name, array) for name, array in arrays.items())
    shared: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for name, array in arrays.items():
        if array.size:
            address = array.__array_interface__["data"][0]
            shared[address, array.shape, array.strides, array.dtype].append(name)
    ties = tuple(tuple(names) for names in shared.values() if len(names) > 1)
    return Source(source_format="numpy", parameters=parameters, ties=ties)


def _read_array(name: str, array: AnyArray) -> SourceParameter:
    try:
        spec = TensorSpec(name_of_dtype(array.dtype), array.shape)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            ErrorReason(error.reason), f"Array {name!r} cannot be stored: {error.message}", parameter=name
        ) from error
    # A big-endian type is unequal to ours, and then each block is swapped when it is read.
    is_plain = array.flags.c_contiguous and array.dtype == dtype_named(spec.dtype) and array.size
    content: Content = BufferContent(bytes_of(array).toreadonly()) if is_plain else ArrayContent(spec, array)
    return SourceParameter(name=name, spec=spec, content=content)
