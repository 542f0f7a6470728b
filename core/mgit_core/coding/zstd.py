"""zstd frames that declare their size, with a context for each thread."""

from __future__ import annotations

import threading

import zstandard
from typing_extensions import Buffer

from mgit_core.coding.refusals import corrupt

__all__ = ["compress", "decompress"]


class _Contexts(threading.local):
    """Contexts are not thread-safe, and dear to make."""

    def __init__(self) -> None:
        self.compressors: dict[int, zstandard.ZstdCompressor] = {}
        self.decompressor = zstandard.ZstdDecompressor()


_contexts = _Contexts()


def compress(content: Buffer, level: int) -> bytes:
    """One frame of ``content`` that declares its size."""
    compressor = _contexts.compressors.get(level)
    if compressor is None:
        compressor = _contexts.compressors[level] = zstandard.ZstdCompressor(level=level)
    return compressor.compress(memoryview(content))


def decompress(payload: bytes | memoryview, size: int) -> bytes:
    """The content of one frame.

    Args:
        payload: The frame, and nothing behind it.
        size: Bytes that it must hold; checked before memory is taken.

    Raises:
        CorruptError: CHUNK_CORRUPT.
    """
    try:
        declared = zstandard.get_frame_parameters(payload).content_size
        if declared != size:
            raise corrupt(f"{size} bytes were wanted, its frame declares {declared}")
        content = _contexts.decompressor.decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise corrupt(str(error)) from error
    if len(content) != size:
        raise corrupt(f"{size} bytes were wanted, its frame holds {len(content)}")
    return content
