"""Schemes that know no base: each file by zstd, each distinct tensor by zstd, and each by ZipNN."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from bench.compression.schemes import (
    Coder,
    Scheme,
    SchemeMissingError,
    TensorScheme,
    Threads,
    compress,
    decompress,
)
from bench.compression.subjects import Subject

from mgit_core.tensor import TensorSpec

__all__ = ["EachFile", "compress_alone", "decompress_alone", "each_tensor", "zipnn"]

_ZIPNN_LEAST_BYTES = 4096  # It does not take less.
_ZIPNN_DTYPES = {"float32": "float32", "bfloat16": "bfloat16", "float16": "float16"}
_LEVEL = 3
_PARTS = 2


class EachFile(Scheme):
    """Each file by itself, halved for the two threads: a frame has a window of its own anyhow."""

    def __init__(self) -> None:
        self._frames: dict[str, list[bytes]] = {}

    def encode(self, subject: Subject, threads: Threads) -> int:
        content = subject.weights.content
        step = -(-len(content) // _PARTS)
        parts = [content[start : start + step] for start in range(0, len(content), step)]
        frames = list(threads.map(lambda part: compress(part, _LEVEL), parts))
        self._frames[subject.ref] = frames
        return sum(map(len, frames))

    def decode(self, subject: Subject, threads: Threads) -> Sequence[bytes]:
        return list(threads.map(decompress, self._frames[subject.ref]))


def each_tensor() -> Scheme:
    """Each distinct tensor by zstd."""

    def encode(content: memoryview, base: memoryview | None, spec: TensorSpec) -> bytes:
        del base, spec
        return compress(content, _LEVEL)

    def decode(blob: bytes, base: memoryview | None, spec: TensorSpec) -> bytes:
        del base, spec
        return decompress(blob)

    return TensorScheme(Coder(encode, decode), uses_base=False)


def zipnn() -> Scheme:
    """Each distinct tensor by ZipNN; integers and the smallest raw.

    Raises:
        SchemeMissingError: ZipNN is not installed.
    """
    _zipnn_module()

    def encode(content: memoryview, base: memoryview | None, spec: TensorSpec) -> bytes:
        del base
        return compress_alone(content, spec)

    def decode(blob: bytes, base: memoryview | None, spec: TensorSpec) -> bytes | memoryview:
        del base
        return decompress_alone(blob, spec)

    return TensorScheme(Coder(encode, decode), uses_base=False)


def compress_alone(content: memoryview, spec: TensorSpec) -> bytes:
    """A tensor by ZipNN.

    Raises:
        SchemeMissingError: ZipNN is not installed.
    """
    if not _is_for_zipnn(spec):
        return bytes(content)
    # ZipNN orders the bytes within the buffer that it is given.
    return bytes(_coders.of(spec.dtype).compress(bytearray(content)))


def decompress_alone(blob: bytes, spec: TensorSpec) -> bytes | memoryview:
    """The inverse of ``compress_alone``."""
    return memoryview(_coders.of(spec.dtype).decompress(blob)) if _is_for_zipnn(spec) else blob


def _is_for_zipnn(spec: TensorSpec) -> bool:
    return spec.dtype in _ZIPNN_DTYPES and spec.size_bytes >= _ZIPNN_LEAST_BYTES


def _zipnn_module() -> ModuleType:
    try:
        import zipnn as module  # noqa: PLC0415 - optional, and it loads torch
    except ImportError as error:
        raise SchemeMissingError(f"not installed: {error}") from error
    return module


class _Coders(threading.local):
    """One coder a thread and type: they keep state between calls."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def of(self, dtype: str) -> Any:
        if dtype not in self._made:
            self._made[dtype] = _zipnn_module().ZipNN(
                input_format="byte", bytearray_dtype=_ZIPNN_DTYPES[dtype], threads=1
            )
        return self._made[dtype]


_coders = _Coders()
