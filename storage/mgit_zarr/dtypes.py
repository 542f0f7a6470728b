"""Zarr data types for bfloat16 and the 8-bit floats, which zarr-python lacks.

Importing ``mgit_zarr`` registers them; from a later zarr-python on their entry points will do. Names are those
of the Zarr extensions. In memory they are the numpy types of ``ml_dtypes``.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, overload

import ml_dtypes
import numpy as np
from typing_extensions import override
from zarr.core.common import JSON, ZarrFormat
from zarr.core.dtype.common import (
    DataTypeValidationError,
    DTypeConfig_V2,
    DTypeJSON,
    HasEndianness,
    HasItemSize,
)
from zarr.core.dtype.wrapper import TBaseDType, ZDType
from zarr.dtype import data_type_registry

from mgit_core.tensor import dtype_named

__all__ = [
    "BFloat16",
    "Float8E4M3FN",
    "Float8E4M3FNUZ",
    "Float8E5M2",
    "Float8E5M2FNUZ",
    "Float8E8M0FNU",
    "register_dtypes",
]

_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, kw_only=True)
class _ShortFloat(ZDType[TBaseDType, np.generic], HasItemSize):
    """What the types have in common; a subclass names its numpy class and its Zarr name."""

    dtype_cls: ClassVar[type[TBaseDType]]
    _zarr_v3_name: ClassVar[str]

    @classmethod
    def zarr_name(cls) -> str:
        """Name of the type in Zarr metadata."""
        return cls._zarr_v3_name

    @property
    def item_size(self) -> int:
        return self.to_native_dtype().itemsize

    @classmethod
    def from_native_dtype(cls, dtype: TBaseDType) -> Self:
        if type(dtype) is not cls.dtype_cls:
            raise DataTypeValidationError(f"{cls._zarr_v3_name} was wanted, found {dtype}.")
        return cls()

    def to_native_dtype(self) -> TBaseDType:
        return dtype_named(self._zarr_v3_name)

    @classmethod
    def _from_json_v2(cls, data: DTypeJSON) -> Self:
        # Version 2 has no rule for these types; TensorStore writes their names.
        return cls._from_name(data.get("name") if isinstance(data, dict) else data)

    @classmethod
    def _from_json_v3(cls, data: DTypeJSON) -> Self:
        return cls._from_name(data)

    @classmethod
    def _from_name(cls, name: object) -> Self:
        if name != cls._zarr_v3_name:
            raise DataTypeValidationError(f"{cls._zarr_v3_name} was wanted, found {name!r}.")
        return cls()

    @overload
    def to_json(self, zarr_format: Literal[2]) -> DTypeConfig_V2[str, None]: ...

    @overload
    def to_json(self, zarr_format: Literal[3]) -> str: ...

    def to_json(self, zarr_format: ZarrFormat) -> DTypeConfig_V2[str, None] | str:
        if zarr_format == 2:
            return {"name": self._zarr_v3_name, "object_codec_id": None}
        return self._zarr_v3_name

    def _check_scalar(self, data: object) -> bool:
        return isinstance(data, int | float | np.generic)

    def cast_scalar(self, data: object) -> np.generic:
        if not self._check_scalar(data):
            raise TypeError(f"A number for {self._zarr_v3_name} was wanted, found {data!r}.")
        scalar: np.generic = np.asarray([data]).astype(self.to_native_dtype())[0]
        return scalar

    def default_scalar(self) -> np.generic:
        return self._from_bits(0)

    @override
    def from_json_scalar(self, data: JSON, *, zarr_format: ZarrFormat) -> np.generic:
        if isinstance(data, str) and data.startswith("0x"):
            return self._from_bits(int(data, 16))
        return self.cast_scalar(_SPECIAL.get(data, data) if isinstance(data, str) else data)

    @override
    def to_json_scalar(self, data: object, *, zarr_format: ZarrFormat) -> float | str:
        scalar = self.cast_scalar(data)
        number = float(scalar)
        has_own_bits = math.isnan(number) and scalar.tobytes() != self.cast_scalar(math.nan).tobytes()
        if self.item_size == 1 or has_own_bits:
            # Every reader takes the bits; zarrs takes nothing else for 8-bit floats.
            return f"0x{int.from_bytes(scalar.tobytes(), sys.byteorder):0{2 * self.item_size}x}"
        if math.isnan(number):
            return "NaN"
        if math.isinf(number):
            return "Infinity" if number > 0 else "-Infinity"
        return number

    def _from_bits(self, bits: int) -> np.generic:
        content = bits.to_bytes(self.item_size, sys.byteorder)
        scalar: np.generic = np.frombuffer(content, dtype_named(self._zarr_v3_name))[0]
        return scalar


@dataclass(frozen=True, kw_only=True)
class BFloat16(_ShortFloat, HasEndianness):
    """Upper half of a 32-bit float."""

    dtype_cls = type(np.dtype(ml_dtypes.bfloat16))
    _zarr_v3_name = "bfloat16"

    @classmethod
    def from_native_dtype(cls, dtype: TBaseDType) -> Self:
        if type(dtype) is not cls.dtype_cls:
            raise DataTypeValidationError(f"bfloat16 was wanted, found {dtype}.")
        return cls(endianness="big" if dtype == dtype.newbyteorder(">") else "little")

    def to_native_dtype(self) -> TBaseDType:
        return dtype_named("bfloat16").newbyteorder("<" if self.endianness == "little" else ">")


@dataclass(frozen=True, kw_only=True)
class Float8E4M3FN(_ShortFloat):
    """4 bits of exponent, 3 of mantissa, no infinity."""

    dtype_cls = type(np.dtype(ml_dtypes.float8_e4m3fn))
    _zarr_v3_name = "float8_e4m3fn"


@dataclass(frozen=True, kw_only=True)
class Float8E5M2(_ShortFloat):
    """5 bits of exponent, 2 of mantissa."""

    dtype_cls = type(np.dtype(ml_dtypes.float8_e5m2))
    _zarr_v3_name = "float8_e5m2"


@dataclass(frozen=True, kw_only=True)
class Float8E4M3FNUZ(_ShortFloat):
    """4 bits of exponent, 3 of mantissa, no infinity and no negative zero."""

    dtype_cls = type(np.dtype(ml_dtypes.float8_e4m3fnuz))
    _zarr_v3_name = "float8_e4m3fnuz"


@dataclass(frozen=True, kw_only=True)
class Float8E5M2FNUZ(_ShortFloat):
    """5 bits of exponent, 2 of mantissa, no infinity and no negative zero."""

    dtype_cls = type(np.dtype(ml_dtypes.float8_e5m2fnuz))
    _zarr_v3_name = "float8_e5m2fnuz"


@dataclass(frozen=True, kw_only=True)
class Float8E8M0FNU(_ShortFloat):
    """8 bits of exponent and nothing else: powers of two, without sign, zero and infinity."""

    dtype_cls = type(np.dtype(ml_dtypes.float8_e8m0fnu))
    _zarr_v3_name = "float8_e8m0fnu"


def register_dtypes() -> None:
    """Make the types known to zarr-python. Idempotent."""
    types: tuple[type[_ShortFloat], ...] = (
        BFloat16,
        Float8E4M3FN,
        Float8E5M2,
        Float8E4M3FNUZ,
        Float8E5M2FNUZ,
        Float8E8M0FNU,
    )
    for dtype in types:
        data_type_registry.register(dtype.zarr_name(), dtype)
