"""Predictors as docs/format.md defines them, a number at a time."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import numpy as np
import zstandard
from pcodec import standalone
from tests.format.independent_floats import FORMATS, content_of, doubles, rounded, single, value_of, words


def unzstd(frame: bytes) -> bytes:
    """The content of one zstd frame."""
    return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)


def _padded(joined: bytes, raw_size: int) -> bytes:
    assert len(joined) <= raw_size
    return joined + bytes(raw_size - len(joined))


def _base(parameters: bytes, joined: bytes, raw_size: int) -> bytes:
    assert not parameters
    return _padded(joined, raw_size)


def _masked(mask: bytes, numbers: int, found: list[int]) -> list[int]:
    fill, kind = mask[0], mask[1]
    sign = 1 << (8 * FORMATS[numbers].width - 1)
    if kind == 0:
        threshold = int.from_bytes(mask[2:], "little")
        flags = [word & (sign - 1) <= threshold for word in found]
    else:
        bits = unzstd(mask[2:])
        assert len(bits) == (len(found) + 7) // 8
        flags = [bool(bits[at // 8] >> (7 - at % 8) & 1) for at in range(len(found))]
    return [(word & sign if fill else 0) if flag else word for word, flag in zip(found, flags, strict=True)]


def _mask(parameters: bytes, joined: bytes, raw_size: int) -> bytes:
    numbers = parameters[0]
    return content_of(numbers, _masked(parameters[1:], numbers, words(_padded(joined, raw_size), numbers)))


def _combination(parameters: bytes, joined: bytes, raw_size: int) -> bytes:
    numbers, order, steps, count = parameters[:4]
    weights = doubles(parameters[4:])
    assert len(weights) == count
    is_double = order == 4 or numbers == 7
    work: Callable[[float], float] = (lambda value: value) if is_double else single
    is_rounded = bool(steps) and not (numbers == 6 and not is_double) and numbers != 7

    def step(value: float) -> float:
        value = work(value)
        return value_of(rounded(value, numbers), numbers) if is_rounded else value

    weights = [step(weight) if steps == 2 else work(weight) for weight in weights]
    pieces = [words(joined[at : at + raw_size], numbers) for at in range(0, len(joined), raw_size)]
    rows = zip(*([value_of(word, numbers) for word in piece] for piece in pieces), strict=True)
    return content_of(numbers, [rounded(_combined(order, list(row), weights, step), numbers) for row in rows])


def _combined(order: int, x: list[float], w: list[float], step: Callable[[float], float]) -> float:
    if order == 2:
        return step(x[0] + step(w[0] * step(x[1] - x[0])))
    if order == 3:
        return step(x[1] - step(step(x[1] - x[0]) * step(1.0 - w[0])))
    if order == 0:
        terms = x
    elif order in {1, 4}:
        terms = [step(weight * value) for weight, value in zip(w, x, strict=True)]
    else:
        terms = [step(weight * step(value - x[0])) for weight, value in zip(w, x[1:], strict=True)]
    total = x[0] if order == 5 else terms[0]
    for term in terms[0 if order == 5 else 1 :]:
        total = step(total + term)
    if order == 0:
        return step(total / len(x))
    return step(x[0] + total) if order == 6 else total


def _cast(parameters: bytes, joined: bytes, raw_size: int) -> bytes:
    source, target, rounding = parameters
    found = [
        rounded(value_of(word, source), target, truncated=rounding == 1) for word in words(joined, source)
    ]
    assert len(found) * FORMATS[target].width == raw_size
    return content_of(target, found)


def _low_rank(parameters: bytes, joined: bytes, raw_size: int) -> bytes:
    numbers, rank, columns, scale = struct.unpack("<BHId", parameters)
    work: Callable[[float], float] = (lambda value: value) if numbers == 7 else single
    rows = raw_size // (columns * FORMATS[numbers].width)
    factors = [value_of(word, 6) for word in words(joined[raw_size:], 6)]
    left, right = factors[: rows * rank], factors[rows * rank :]
    assert len(right) == rank * columns
    found = []
    for at, word in enumerate(words(joined[:raw_size], numbers)):
        row, column = divmod(at, columns)
        acc = 0.0
        for i in range(rank):
            acc = acc + left[row * rank + i] * right[i * columns + column]
        found.append(rounded(work(value_of(word, numbers) + work(acc * scale)), numbers))
    return content_of(numbers, found)


def _scale(parameters: bytes, joined: bytes, raw_size: int) -> bytes:
    numbers, factor = struct.unpack("<Bd", parameters)
    work: Callable[[float], float] = (lambda value: value) if numbers == 7 else single
    found = words(_padded(joined, raw_size), numbers)
    return content_of(
        numbers, [rounded(work(value_of(word, numbers) * work(factor)), numbers) for word in found]
    )


def _lattice(parameters: bytes, joined: bytes, raw_size: int) -> bytes:
    numbers, step, mask_size = struct.unpack_from("<BfI", parameters)
    mask, kind, payload = (
        parameters[9 : 9 + mask_size],
        parameters[9 + mask_size],
        parameters[10 + mask_size :],
    )
    found = words(_padded(joined, raw_size), numbers)
    if mask:
        found = _masked(mask, numbers, found)
    multiples = _multiples(kind, payload, len(found))
    values = [value_of(word, numbers) for word in found]
    moved = [value + q * step if q else value for value, q in zip(values, multiples, strict=True)]
    return content_of(numbers, [rounded(value, numbers) for value in moved])


def _multiples(kind: int, payload: bytes, count: int) -> list[int]:
    if kind == 0:
        out = np.empty(count, np.int32)
        progress = standalone.simple_decompress_into(payload, out)
        assert progress.finished
        return [int(value) for value in out]
    width = {1: 1, 2: 2, 3: 4}[kind]
    planes = unzstd(payload)
    assert len(planes) == count * width
    return [int.from_bytes(planes[at::count], "little", signed=True) for at in range(count)]


def _ties(parameters: bytes, joined: bytes, raw_size: int) -> bytes:
    numbers, scale, *thresholds = struct.unpack("<BdQQ", parameters)
    pieces = [words(joined[at : at + raw_size], numbers) for at in range(0, len(joined), raw_size)]
    assert len(pieces) == 3
    found = [_elected(numbers, scale, thresholds, base, sides) for base, *sides in zip(*pieces, strict=True)]
    return content_of(numbers, found)


def _elected(numbers: int, scale: float, thresholds: list[int], base: int, sides: list[int]) -> int:
    """The word of one number of a TIES merge."""
    work: Callable[[float], float] = (lambda value: value) if numbers == 7 else single
    start = value_of(base, numbers)
    kept = []
    for side, threshold in zip(sides, thresholds, strict=True):
        change = 0.0 if side == base else work(value_of(side, numbers) - start)
        kept.append(change if _magnitude(change, is_double=numbers == 7) >= threshold else 0.0)
    total = work(kept[0] + kept[1])
    if math.isnan(total):
        return rounded(math.nan, numbers)
    counting = [
        at
        for at, change in enumerate(kept)
        if change and (change > 0) - (change < 0) == (total > 0) - (total < 0)
    ]
    if not counting:
        return base
    if len(counting) == 1 and scale == 1:
        return sides[counting[0]]
    mean = total / 2 if len(counting) == 2 else kept[counting[0]]
    return rounded(work(start + work(work(scale) * work(mean))), numbers)


def _magnitude(value: float, *, is_double: bool) -> int:
    infinity = 0x7FF0_0000_0000_0000 if is_double else 0x7F80_0000
    if math.isnan(value):
        return infinity + 1
    return int.from_bytes(struct.pack("<d" if is_double else "<f", abs(value)), "little")


_PREDICTORS = {
    1: _base,
    2: _mask,
    3: _combination,
    4: _cast,
    5: _low_rank,
    6: _scale,
    7: _lattice,
    8: _ties,
}


def predict(predictor: int, parameters: bytes, joined: bytes, raw_size: int) -> bytes:
    """The prediction from the base ranges joined."""
    found = _PREDICTORS[predictor](parameters, joined, raw_size)
    assert len(found) == raw_size
    return found
