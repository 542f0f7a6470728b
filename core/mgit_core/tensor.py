"""What a tensor is apart from its bytes: data type and shape.

Data types carry the names of the Zarr v3 specification and its registered extensions. Bytes are always
little-endian and in C order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import ml_dtypes
import numpy as np
import numpy.typing as npt

from mgit_core.errors import ErrorReason, InvalidArgumentError

__all__ = ["DTYPES", "MAX_RANK", "MAX_TENSOR_BYTES", "AnyArray", "TensorSpec", "dtype_named", "name_of_dtype"]

AnyArray: TypeAlias = npt.NDArray[np.generic]

MAX_RANK = 32  # numpy before 2.0 and several Zarr readers stop here.
MAX_TENSOR_BYTES = 2**46

_FLOAT8 = ("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")

DTYPES: dict[str, np.dtype[np.generic]] = {
    **{
        name: np.dtype(name).newbyteorder("<")
        for name in (
            *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
            *("float16", "float32", "float64", "complex64", "complex128"),
        )
    },
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    **{name: np.dtype(getattr(ml_dtypes, name)) for name in _FLOAT8},
}

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def dtype_named(name: str) -> np.dtype[np.generic]:
    """The numpy data type called ``name``.

    Raises:
        InvalidArgumentError: UNKNOWN_DTYPE.
    """
    try:
        return DTYPES[name]
    except KeyError:
        raise InvalidArgumentError(
            ErrorReason.UNKNOWN_DTYPE,
            f"Data type {name[:80]!r} is not known; known are {', '.join(sorted(DTYPES))}.",
        ) from None


def name_of_dtype(dtype: np.dtype[np.generic]) -> str:
    """The name of ``dtype``, whatever its byte order.

    Raises:
        InvalidArgumentError: UNKNOWN_DTYPE.
    """
    name = _NAMES.get(dtype if dtype.byteorder == "=" else dtype.newbyteorder("="))
    if name is None:
        raise InvalidArgumentError(
            ErrorReason.UNKNOWN_DTYPE,
            f"Data type {dtype!s} cannot be stored; known are {', '.join(sorted(DTYPES))}.",
        )
    return name


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Data type and shape of a tensor.

    Attributes:
        dtype: A name of ``DTYPES``.
        shape: Lengths of the axes; ``()`` is one item, a zero makes the tensor empty.
    """

    dtype: str
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuses what no tensor can be.

        Raises:
            InvalidArgumentError: UNKNOWN_DTYPE or SHAPE_MISMATCH.
        """
        dtype_named(self.dtype)
        # Shapes come from files and messages too, where a length may be anything that looks like a number.
        in_range = len(self.shape) <= MAX_RANK and all(
            type(length) is int and 0 <= length < 2**63 for length in self.shape
        )
        if not in_range or self.size_bytes > MAX_TENSOR_BYTES:
            raise InvalidArgumentError(
                ErrorReason.SHAPE_MISMATCH,
                f"A tensor has at most {MAX_RANK} axes of non-negative length and {MAX_TENSOR_BYTES} bytes; "
                f"found shape {self.shape[: MAX_RANK + 1]}.",
            )

    @property
    def itemsize(self) -> int:
        """Bytes of one item."""
        return DTYPES[self.dtype].itemsize

    @property
    def number_bytes(self) -> int:
        """Bytes of one number: an item is one number, or two if it is complex."""
        return self.itemsize // 2 if self.dtype.startswith("complex") else self.itemsize

    @property
    def size_bytes(self) -> int:
        """Bytes of the whole tensor."""
        return math.prod(self.shape) * self.itemsize
