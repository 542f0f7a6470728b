"""Residues: what a prediction leaves of a chunk, coded and decoded. Without a prediction, the chunk itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from typing_extensions import Buffer

from mgit_core.coding import zstd
from mgit_core.coding.encoded import Encoding
from mgit_core.coding.grouped import GROUPED_FORMATS, decode_groups, encode_groups
from mgit_core.coding.numbers import NumberFormat, Words, format_of_number, word_type, words_of
from mgit_core.coding.ordered import Signed, add_differences, signed_view, unzigzag, zigzag
from mgit_core.coding.pco import compress_numbers, decompress_numbers
from mgit_core.coding.planes import PLANE_WIDTHS, join_planes, join_words, split_planes, split_words
from mgit_core.coding.refusals import corrupt, unknown
from mgit_core.coding.scratch import SPARE, scratch

__all__ = [
    "Prediction",
    "decode_residue",
    "encode_bytes",
    "encode_grouped",
    "encode_numbers",
    "encode_ordered",
    "encode_planes",
]

Prediction = npt.NDArray[np.uint8]
"""Bytes that were predicted, as many as the content has."""

# Level 1: on byte planes level 3 is no denser, and 9 is five to ten times slower.
_FAST_LEVEL = 1
_BYTE = np.dtype(np.uint8)


def encode_bytes(content: Buffer, prediction: Prediction | None = None) -> bytes:
    """Payload of ZSTD: the bytes, or their XOR with the prediction."""
    if prediction is None:
        return zstd.compress(content, _FAST_LEVEL)
    left = scratch(SPARE, _BYTE, prediction.size)
    np.bitwise_xor(np.frombuffer(memoryview(content), np.uint8), prediction, out=left)
    return zstd.compress(left.data, _FAST_LEVEL)


def encode_planes(content: Buffer, width: int, prediction: Prediction | None = None) -> bytes:
    """Payload of PLANES_ZSTD: byte planes of the numbers, or of their XOR with the prediction."""
    return zstd.compress(split_planes(content, width, prediction).data, _FAST_LEVEL)


def encode_ordered(steps: Signed, numbers: NumberFormat) -> bytes:
    """Payload of ORDERED_ZSTD: byte planes of the zig-zag of ordered differences."""
    folded = zigzag(steps, scratch("planes.words", word_type(numbers), steps.size))
    planes = split_words(folded) if numbers.width in PLANE_WIDTHS else folded
    return bytes([numbers]) + zstd.compress(planes.data, _FAST_LEVEL)


def encode_numbers(values: Signed | Words, numbers: NumberFormat) -> bytes:
    """Payload of PCODEC: ordered differences, or unsigned numbers where there is no prediction."""
    return bytes([numbers]) + compress_numbers(values)


def encode_grouped(steps: Signed, prediction: Prediction, numbers: NumberFormat) -> bytes:
    """Payload of GROUPED_PCODEC: ordered differences by the exponents of the prediction."""
    return bytes([numbers]) + encode_groups(steps, words_of(prediction.data, numbers), numbers)


def decode_residue(
    encoding: int, payload: memoryview, width: int, raw_size: int, prediction: Prediction | None
) -> bytes:
    """The content.

    Args:
        encoding: Number of a known encoding.
        payload: What it wrote.
        width: Bytes of a number, as the frame says.
        raw_size: Bytes of the content.
        prediction: As many bytes; None where nothing was predicted.

    Raises:
        CorruptError: CHUNK_CORRUPT, or UNKNOWN_FORMAT_VERSION for a number format of a later version.
    """
    if encoding in {Encoding.RAW, Encoding.ZSTD}:
        return _decode_bytes(encoding, payload, raw_size, prediction)
    if encoding == Encoding.EXACT:
        if prediction is None or len(payload):
            raise corrupt("an exact prediction that there is not, or that something is added to")
        return prediction.tobytes()
    if encoding == Encoding.PLANES_ZSTD:
        _check_width(width, raw_size)
        return join_planes(zstd.decompress(payload, raw_size), width, prediction)
    return _decode_numbers(encoding, payload, width, raw_size, prediction)


def _decode_bytes(encoding: int, payload: memoryview, raw_size: int, prediction: Prediction | None) -> bytes:
    content = bytes(payload) if encoding == Encoding.RAW else zstd.decompress(payload, raw_size)
    if len(content) != raw_size:
        raise corrupt(f"{raw_size} raw bytes were wanted, found {len(content)}")
    if prediction is None:
        return content
    return np.bitwise_xor(np.frombuffer(content, np.uint8), prediction).tobytes()


def _check_width(width: int, raw_size: int) -> None:
    if width not in PLANE_WIDTHS or raw_size % width:
        raise corrupt(f"{raw_size} bytes are no planes of width {width}")


def _decode_numbers(
    encoding: int, payload: memoryview, width: int, raw_size: int, prediction: Prediction | None
) -> bytes:
    if not len(payload):
        raise corrupt("its payload is empty")
    numbers = format_of_number(payload[0])
    if numbers.width != width or raw_size % width:
        raise corrupt(f"{raw_size} bytes are no {numbers.name} of width {width}")
    payload = payload[1:]
    words = scratch("residue.words", word_type(numbers), raw_size // width)
    if prediction is None:
        if encoding != Encoding.PCODEC:
            raise corrupt("differences to a prediction that there is not")
        decompress_numbers(payload, words)
        return words.tobytes()
    predicted = words_of(prediction.data, numbers)
    if encoding == Encoding.PCODEC:
        decompress_numbers(payload, signed_view(words))
    elif encoding == Encoding.GROUPED_PCODEC:
        if numbers not in GROUPED_FORMATS:
            raise corrupt(f"{numbers.name} has no groups")
        decode_groups(payload, predicted, numbers, signed_view(words))
    elif encoding == Encoding.ORDERED_ZSTD:
        planes = zstd.decompress(payload, raw_size)
        folded = join_words(planes, width) if width in PLANE_WIDTHS else np.frombuffer(planes, words.dtype)
        unzigzag(folded, words)
    else:
        raise unknown(f"encoding {encoding}")
    return add_differences(predicted, words, numbers).tobytes()
