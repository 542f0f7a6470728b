"""Lossless differences to a base: ZipLLM's split, ordered differences as in FM-Delta, and XOR by planes."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from bench.compression.plain import compress_alone, decompress_alone
from bench.compression.schemes import (
    Coder,
    Scheme,
    SchemeMissingError,
    TensorScheme,
    compress,
    decompress,
)
from bench.compression.words import (
    differences,
    join_bytes,
    restored,
    signed_folded,
    signed_unfolded,
    split_bytes,
)
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

from mgit_core.tensor import TensorSpec

__all__ = ["fm_delta", "ordered_planes", "xor_planes", "zipllm"]

_WORDS = {2: np.dtype("<u2"), 4: np.dtype("<u4")}
_PIECE = 1 << 20  # Numbers at a time, so that what stands in memory as bits stays small.
_ENTROPY = ChunkConfig(
    compression_level=8, mode_spec=ModeSpec.classic(), delta_spec=DeltaSpec.no_op(), enable_8_bit=True
)
_FLOATS = {"float32": 4, "float16": 2, "bfloat16": 2}


def zipllm() -> Scheme:
    """ZipLLM's split: 16-bit words whatever the type, XOR, the exponent's byte apart from the rest, zstd-3.

    A tensor without a base goes to ZipNN, as in the real system, where that is installed.
    """

    def encode(content: memoryview, base: memoryview | None, spec: TensorSpec) -> bytes:
        if spec.dtype not in _FLOATS:
            return compress(content, 3)
        if base is None:
            return _alone(content, spec)
        words = np.frombuffer(content, "<u2") ^ np.frombuffer(base, "<u2")
        high = ((words >> 7) & 255).astype(np.uint8)
        low = (((words >> 15) << 7) | (words & 127)).astype(np.uint8)
        first = compress(high.data, 3)
        return struct.pack("<I", len(first)) + first + compress(low.data, 3)

    def decode(blob: bytes, base: memoryview | None, spec: TensorSpec) -> bytes | memoryview:
        if spec.dtype not in _FLOATS:
            return decompress(blob)
        if base is None:
            return _from_alone(blob, spec)
        length = struct.unpack_from("<I", blob)[0]
        high = np.frombuffer(decompress(blob[4 : 4 + length]), np.uint8).astype(np.uint16)
        low = np.frombuffer(decompress(blob[4 + length :]), np.uint8).astype(np.uint16)
        words = (high << 7) | ((low >> 7) << 15) | (low & 127)
        return (words ^ np.frombuffer(base, "<u2")).tobytes()

    return TensorScheme(Coder(encode, decode))


def xor_planes() -> Scheme:
    """XOR with the base, byte planes, zstd-1: for reference, nobody published it."""

    def encode(content: memoryview, base: memoryview | None, spec: TensorSpec) -> bytes:
        width = _FLOATS.get(spec.dtype)
        if width is None:
            return compress(content, 1)
        words = np.frombuffer(content, _WORDS[width])
        return compress(
            split_bytes(words if base is None else words ^ np.frombuffer(base, words.dtype)).data, 1
        )

    def decode(blob: bytes, base: memoryview | None, spec: TensorSpec) -> bytes:
        width = _FLOATS.get(spec.dtype)
        if width is None:
            return decompress(blob)
        words = join_bytes(decompress(blob), _WORDS[width])
        return (words if base is None else words ^ np.frombuffer(base, words.dtype)).tobytes()

    return TensorScheme(Coder(encode, decode))


def ordered_planes() -> Scheme:
    """Ordered differences, zig-zag, byte planes, zstd-3; the base raw: for reference, nobody published it."""

    def code(words: npt.NDArray[np.uint32]) -> bytes:
        return compress(split_bytes(signed_folded(words)).data, 3)

    def uncode(blob: bytes) -> npt.NDArray[np.uint32]:
        return signed_unfolded(join_bytes(decompress(blob), "<u4"))

    return TensorScheme(_ordered(code, uncode))


def fm_delta() -> Scheme:
    """FM-Delta's model: sign and bit length of each ordered difference by an entropy coder, lower bits raw.

    The base is raw and only float32 is taken, as published. Sign and length go through pcodec, which reaches
    their entropy, in place of the published range coder.
    """
    return TensorScheme(_ordered(_code_lengths, _uncode_lengths))


def _alone(content: memoryview, spec: TensorSpec) -> bytes:
    try:
        return b"n" + compress_alone(content, spec)
    except SchemeMissingError:
        return b"z" + compress(content, 3)


def _from_alone(blob: bytes, spec: TensorSpec) -> bytes | memoryview:
    return decompress_alone(blob[1:], spec) if blob[:1] == b"n" else decompress(blob[1:])


def _ordered(
    code: Callable[[npt.NDArray[np.uint32]], bytes], uncode: Callable[[bytes], npt.NDArray[np.uint32]]
) -> Coder:
    """Ordered differences of float32; whatever has no base, or another type, raw."""

    def encode(content: memoryview, base: memoryview | None, spec: TensorSpec) -> bytes:
        if base is None or spec.dtype != "float32":
            return bytes(content)
        return code(differences(np.frombuffer(content, "<u4"), np.frombuffer(base, "<u4")))

    def decode(blob: bytes, base: memoryview | None, spec: TensorSpec) -> bytes:
        if base is None or spec.dtype != "float32":
            return blob
        return restored(uncode(blob), np.frombuffer(base, "<u4")).tobytes()

    return Coder(encode, decode)


def _code_lengths(words: npt.NDArray[np.uint32]) -> bytes:
    return b"".join(_code_piece(words[start : start + _PIECE]) for start in range(0, words.size, _PIECE))


def _code_piece(words: npt.NDArray[np.uint32]) -> bytes:
    signs = words >> 31
    sizes = np.where(signs, np.negative(words), words)
    lengths = np.frexp(sizes.astype(np.float64))[1].astype(np.uint16)
    symbols = standalone.simple_compress(lengths + 64 * signs.astype(np.uint16), _ENTROPY)
    low = [
        np.packbits(
            np.unpackbits(
                np.ascontiguousarray(sizes[lengths == length]).view(np.uint8).reshape(-1, 4),
                axis=1,
                count=length - 1,
                bitorder="little",
            )
        )
        for length in range(2, 33)
    ]
    tail = b"".join(bits.tobytes() for bits in low)
    return struct.pack("<II", len(symbols), len(tail)) + symbols + tail


def _uncode_lengths(blob: bytes) -> npt.NDArray[np.uint32]:
    pieces = []
    at = 0
    while at < len(blob):
        symbols, tail = struct.unpack_from("<II", blob, at)
        at += 8
        pieces.append(_uncode_piece(blob[at : at + symbols], blob[at + symbols : at + symbols + tail]))
        at += symbols + tail
    return np.concatenate(pieces)


def _uncode_piece(coded: bytes, tail: bytes) -> npt.NDArray[np.uint32]:
    symbols = standalone.simple_decompress(coded)
    assert symbols is not None
    lengths = symbols & 63
    sizes = (lengths > 0).astype(np.uint32)
    at = 0
    for length in range(2, 33):
        places = np.flatnonzero(lengths == length)
        size = -(-places.size * (length - 1) // 8)
        packed = np.frombuffer(tail, np.uint8, size, at)
        bits = np.unpackbits(packed, count=places.size * (length - 1)).reshape(-1, length - 1)
        filled = np.zeros((places.size, 32), np.uint8)
        filled[:, : length - 1] = bits
        low = np.packbits(filled, axis=1, bitorder="little").view(np.uint32).reshape(-1)
        sizes[places] = low | np.uint32(1 << (length - 1))
        at += size
    return np.where(symbols >> 6, np.negative(sizes), sizes)
