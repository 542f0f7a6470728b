"""Encodes chunks without a base, and decodes every chunk that this version knows."""

from __future__ import annotations

import threading

import zstandard
from typing_extensions import Buffer

from mgit_core.coding.encoded import EncodedChunk, Encoding, Predictor
from mgit_core.coding.planes import PLANE_WIDTHS, join_planes, split_planes
from mgit_core.errors import CorruptError, ErrorReason

__all__ = ["decode_chunk", "encode_chunk", "encoding_name"]

# Level 1: on byte planes level 9 is no denser and five to ten times slower.
_ZSTD_LEVEL = 1
# Below this a frame's own overhead eats what it could save.
_SMALLEST_FRAME = 32
# Up to this size both compressed forms are tried; above, planes alone are nearly always the smaller one.
_TRY_BOTH_BELOW = 1 << 16
_KNOWN = frozenset(int(encoding) for encoding in Encoding)


class _Zstd(threading.local):
    """A compressor and a decompressor for each thread: their contexts are not thread-safe, and dear."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_zstd = _Zstd()


def encode_chunk(content: Buffer, width: int) -> EncodedChunk:
    """The smallest of raw, zstd, and byte planes with zstd.

    Args:
        content: The raw chunk.
        width: Bytes of one number: 2, 4 or 8 have planes, anything else is taken as plain bytes.
    """
    view = memoryview(content).cast("B")
    has_planes = width in PLANE_WIDTHS and len(view) % width == 0
    payload: bytes | None = None
    encoding = Encoding.RAW
    if len(view) >= _SMALLEST_FRAME:
        if has_planes:
            payload = _zstd.compressor.compress(split_planes(view, width).data)
            encoding = Encoding.PLANES_ZSTD
        if not has_planes or len(view) < _TRY_BOTH_BELOW:
            plain = _zstd.compressor.compress(view)
            if payload is None or len(plain) < len(payload):
                payload, encoding = plain, Encoding.ZSTD
    if payload is None or len(payload) >= len(view):
        payload, encoding = bytes(view), Encoding.RAW
    return EncodedChunk(
        encoding=encoding, width=width if has_planes else 1, raw_size=len(view), payload=payload
    )


def decode_chunk(encoded: EncodedChunk) -> bytes:
    """The raw bytes. The caller compares their digest; here only sizes are checked, before memory is taken.

    Raises:
        CorruptError: CHUNK_CORRUPT for a payload that does not hold ``raw_size`` bytes;
            UNKNOWN_FORMAT_VERSION for an encoding or predictor of a later version.
    """
    known = encoded.encoding in _KNOWN and encoded.predictor == Predictor.NONE
    if not known or encoded.encoding_version != 1:
        raise CorruptError(
            ErrorReason.UNKNOWN_FORMAT_VERSION,
            f"A chunk has encoding {encoded.encoding} version {encoded.encoding_version} and predictor "
            f"{encoded.predictor}, which this version does not know; a newer service reads it.",
        )
    if encoded.encoding == Encoding.RAW:
        raw = bytes(encoded.payload)
    else:
        raw = _decompress(encoded)
        if encoded.encoding == Encoding.PLANES_ZSTD:
            raw = _join(raw, encoded.width)
    if len(raw) != encoded.raw_size:
        raise _corrupt(f"{encoded.raw_size} raw bytes were wanted, found {len(raw)}")
    return raw


def encoding_name(encoding: int) -> str:
    """The name of an encoding for people, ``unknown-N`` for a number of a later version."""
    if encoding not in _KNOWN:
        return f"unknown-{encoding}"
    return Encoding(encoding).name.lower().replace("_", "-")


def _decompress(encoded: EncodedChunk) -> bytes:
    try:
        declared = zstandard.get_frame_parameters(encoded.payload).content_size
        if declared != encoded.raw_size:
            raise _corrupt(f"{encoded.raw_size} raw bytes were wanted, its frame declares {declared}")
        return _zstd.decompressor.decompress(encoded.payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise _corrupt(str(error)) from error


def _join(planes: bytes, width: int) -> bytes:
    if width not in PLANE_WIDTHS or len(planes) % width:
        raise _corrupt(f"{len(planes)} bytes are no planes of width {width}")
    return join_planes(planes, width)


def _corrupt(found: str) -> CorruptError:
    return CorruptError(ErrorReason.CHUNK_CORRUPT, f"A chunk cannot be decoded: {found}.")
