"""Headers of safetensors files: what they say, and whether it is true.

A file is 8 bytes with the length of a JSON header, the header, and the tensors' bytes. The header names for
each tensor its type, shape and byte range behind the header; the ranges cover the rest of the file without
gap or overlap.

Source: the format description of the safetensors project.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeGuard

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.names import check_parameter_name
from mgit_core.tensor import TensorSpec

__all__ = [
    "LENGTH_BYTES",
    "MAX_HEADER_BYTES",
    "SafetensorsHeader",
    "SafetensorsTensor",
    "build_header",
    "header_end",
    "parse_header",
]

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000  # What the format's own reader accepts at most.
_METADATA_KEY = "__metadata__"
_ALIGNMENT = 8

_DTYPE_OF_CODE = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F8_E8M0": "float8_e8m0fnu",
}
_CODE_OF_DTYPE = {dtype: code for code, dtype in _DTYPE_OF_CODE.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsTensor:
    """A tensor in a file.

    Attributes:
        name: Its name.
        spec: Data type and shape.
        start: Its first byte, from the beginning of the file.
        stop: Behind its last byte.
    """

    name: str
    spec: TensorSpec
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetensorsHeader:
    """What a header says.

    Attributes:
        length: Bytes of length field and header text: where the tensors' bytes begin.
        metadata: The header's free text entries.
        tensors: In the order of their bytes.
    """

    length: int
    metadata: Mapping[str, str]
    tensors: tuple[SafetensorsTensor, ...]


def header_end(first_bytes: bytes, file_size: int) -> int:
    """Where the header of a file of ``file_size`` bytes ends, from its first 8 bytes.

    Raises:
        InvalidArgumentError: UNREADABLE_INPUT, if the length is beyond the file or beyond 100 MB.
    """
    if len(first_bytes) < LENGTH_BYTES:
        _refuse(f"it has {len(first_bytes)} bytes, and the length of the header takes {LENGTH_BYTES}")
    length = int.from_bytes(first_bytes[:LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        _refuse(f"it claims a header of {length} bytes; at most {MAX_HEADER_BYTES} are read")
    if LENGTH_BYTES + length > file_size:
        _refuse(f"it claims a header of {length} bytes, but the whole file has {file_size}")
    return LENGTH_BYTES + length


def parse_header(first_bytes: bytes, file_size: int) -> SafetensorsHeader:
    """The header of a file of ``file_size`` bytes, checked against that size.

    Args:
        first_bytes: The file's beginning, the whole header at least.
        file_size: Bytes of the whole file.

    Raises:
        InvalidArgumentError: UNREADABLE_INPUT, UNKNOWN_DTYPE, SHAPE_MISMATCH, INVALID_NAME or
            DUPLICATE_PARAMETER.
    """
    end = header_end(first_bytes, file_size)
    if len(first_bytes) < end:
        _refuse(f"{end} bytes of header were wanted and {len(first_bytes)} given")
    document = _parse_json(first_bytes[LENGTH_BYTES:end])
    metadata = document.pop(_METADATA_KEY, {})
    is_text = isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values())
    if not is_text:
        _refuse("its metadata is not a map of texts")
    tensors = sorted(
        (_read_entry(name, entry, end) for name, entry in document.items()),
        key=lambda tensor: (tensor.start, tensor.stop),
    )
    _check_cover(tensors, end, file_size)
    return SafetensorsHeader(length=end, metadata=metadata, tensors=tuple(tensors))


def build_header(parameters: Sequence[tuple[str, TensorSpec]], metadata: Mapping[str, str]) -> bytes:
    """Length field and header text of a file whose tensors' bytes follow in the order of ``parameters``.

    The text is padded with spaces to whole 8 bytes.

    Raises:
        InvalidArgumentError: UNKNOWN_DTYPE, for a type that the format lacks.
    """
    document: dict[str, Any] = {_METADATA_KEY: dict(metadata)} if metadata else {}
    start = 0
    for name, spec in parameters:
        code = _CODE_OF_DTYPE.get(spec.dtype)
        if code is None:
            raise InvalidArgumentError(
                ErrorReason.UNKNOWN_DTYPE,
                f"A safetensors file cannot hold parameter {name[:80]!r} of type {spec.dtype}; choose another "
                "format.",
            )
        stop = start + spec.size_bytes
        document[name] = {"dtype": code, "shape": spec.shape, "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def _parse_json(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        _refuse(f"its header is not JSON ({type(error).__name__})")
    if not isinstance(document, dict):
        _refuse("its header is not a JSON object")
    return document


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise InvalidArgumentError(
                    ErrorReason.DUPLICATE_PARAMETER, f"A safetensors header names {name[:80]!r} twice."
                )
            seen.add(name)
    return document


def _read_entry(name: str, entry: object, end: int) -> SafetensorsTensor:
    check_parameter_name(name)
    if not isinstance(entry, dict):
        _refuse(f"the entry of {name!r} is not an object")
    code, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(code, str) or code not in _DTYPE_OF_CODE:
        raise InvalidArgumentError(
            ErrorReason.UNKNOWN_DTYPE,
            f"Tensor {name!r} of a safetensors file has type {str(code)[:40]!r}; known are "
            f"{', '.join(_DTYPE_OF_CODE)}.",
        )
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        _refuse(f"shape or offsets of {name!r} are not lists of whole numbers")
    spec = TensorSpec(_DTYPE_OF_CODE[code], tuple(shape))
    start, stop = offsets
    if stop - start != spec.size_bytes:
        raise InvalidArgumentError(
            ErrorReason.SHAPE_MISMATCH,
            f"Tensor {name!r} of type {code} and shape {spec.shape} takes {spec.size_bytes} bytes; its offsets "
            f"hold {stop - start}.",
        )
    return SafetensorsTensor(name=name, spec=spec, start=end + start, stop=end + stop)


def _are_counts(values: object) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 for value in values
    )


def _check_cover(tensors: Sequence[SafetensorsTensor], end: int, file_size: int) -> None:
    position = end
    for tensor in tensors:
        if tensor.start < position:
            _refuse(f"tensor {tensor.name!r} overlaps the one before it")
        if tensor.start > position:
            _refuse(f"{tensor.start - position} bytes before tensor {tensor.name!r} belong to no tensor")
        position = tensor.stop
    if position > file_size:
        _refuse(f"its tensors end at byte {position}, but the file has {file_size}: it is truncated")
    if position < file_size:
        _refuse(f"{file_size - position} bytes behind its last tensor belong to no tensor")


def _refuse(found: str) -> NoReturn:
    raise InvalidArgumentError(ErrorReason.UNREADABLE_INPUT, f"A safetensors file cannot be read: {found}.")
