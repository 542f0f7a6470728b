"""Decodes frames as docs/format.md defines them; imports nothing of the project."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from pcodec import standalone
from tests.format.independent_floats import FORMATS, content_of, words
from tests.format.independent_predictors import predict, unzstd


@dataclass(frozen=True)
class Base:
    """A range of another chunk's raw bytes."""

    digest: bytes
    start: int
    stop: int


def bases_of(frame: bytes) -> list[Base]:
    """The bases that a frame names."""
    count = struct.unpack_from("<H", frame, 6)[0]
    return [Base(*struct.unpack_from("<32sII", frame, 16 + 40 * at)) for at in range(count)]


def decode(frame: bytes, read: Callable[[bytes], bytes]) -> bytes:
    """The raw bytes of a frame.

    Args:
        frame: An encoded chunk.
        read: Gives the raw bytes of a base by its digest.
    """
    version, encoding, encoding_version, width, predictor, predictor_version, count, raw_size, extra = (
        struct.unpack_from("<BBBBBBHII", frame)
    )
    assert (version, encoding_version, predictor_version) == (1, 1, int(predictor > 0))
    payload_at = 16 + 40 * count + extra
    parameters, payload = frame[payload_at - extra : payload_at], frame[payload_at:]
    prediction = None
    if predictor:
        joined = b"".join(read(base.digest)[base.start : base.stop] for base in bases_of(frame))
        assert len(joined) == sum(base.stop - base.start for base in bases_of(frame))
        prediction = predict(predictor, parameters, joined, raw_size)
    raw = _residue(encoding, payload, width, raw_size, prediction)
    assert len(raw) == raw_size
    return raw


def _residue(encoding: int, payload: bytes, width: int, raw_size: int, prediction: bytes | None) -> bytes:
    if encoding == 3:
        assert prediction is not None
        assert not payload
        return prediction
    if encoding <= 2:
        left = unzstd(payload) if encoding else payload
        assert len(left) == raw_size
        if encoding == 2:
            left = _unplaned(left, width)
        return left if prediction is None else bytes(a ^ b for a, b in zip(left, prediction, strict=True))
    numbers = payload[0]
    assert FORMATS[numbers].width == width
    count = raw_size // width
    if prediction is None:
        assert encoding == 5
        return content_of(numbers, _unpacked(payload[1:], count, width, signed=False))
    predicted = words(prediction, numbers)
    if encoding == 4:
        folded = words(_unplaned(unzstd(payload[1:]), width), numbers)
        steps = [-((z + 1) // 2) if z % 2 else z // 2 for z in folded]
    elif encoding == 5:
        steps = _unpacked(payload[1:], count, width, signed=True)
    else:
        assert encoding == 6
        steps = _ungrouped(payload[1:], predicted, numbers)
    return content_of(numbers, [_moved(p, step, numbers) for p, step in zip(predicted, steps, strict=True)])


def _unplaned(planes: bytes, width: int) -> bytes:
    count = len(planes) // width
    return bytes(planes[plane * count + at] for at in range(count) for plane in range(width))


def _unpacked(payload: bytes, count: int, width: int, *, signed: bool) -> list[int]:
    out = np.empty(count, f"<{'i' if signed else 'u'}{width}")
    progress = standalone.simple_decompress_into(payload, out)
    assert progress.finished
    assert progress.n_processed == count
    return [int(value) for value in out]


def _moved(predicted: int, step: int, numbers: int) -> int:
    bits = 8 * FORMATS[numbers].width
    top, ones = 1 << (bits - 1), (1 << bits) - 1
    if numbers < 4:
        return (predicted + step) & ones
    ordered = (predicted ^ ones if predicted & top else predicted | top) + step & ones
    return ordered ^ top if ordered & top else ordered ^ ones


def _ungrouped(payload: bytes, predicted: list[int], numbers: int) -> list[int]:
    f = FORMATS[numbers]
    key_bits, first, map_size = struct.unpack_from("<BHI", payload)
    kept = list(range(len(predicted)))
    if map_size:
        bits = unzstd(payload[7 : 7 + map_size])
        blocks = len(predicted) // 64
        assert len(bits) == (blocks + 7) // 8
        kept = [at for at in kept if at // 64 == blocks or bits[at // 64 // 8] >> (7 - at // 64 % 8) & 1]
    mask = (1 << (f.exponent_bits + key_bits)) - 1
    shift = f.mantissa_bits - key_bits
    classes = {at: min(max((predicted[at] >> shift) & mask, first) - first, 255) for at in kept}
    order = sorted(kept, key=lambda at: classes[at])
    at = 7 + map_size
    steps = [0] * len(predicted)
    for group in _groups([classes[place] for place in order]):
        size = struct.unpack_from("<I", payload, at)[0]
        blob = payload[at + 4 : at + 4 + size]
        at += 4 + size
        places = order[group.start : group.stop]
        for place, step in zip(places, _unpacked(blob, len(places), f.width, signed=True), strict=True):
            is_negative = predicted[place] >> (8 * f.width - 1)
            steps[place] = -step if is_negative else step
    assert at == len(payload)
    return steps


def _groups(classes: list[int]) -> list[range]:
    """The groups of numbers in order of their classes."""
    if not classes:
        return []
    ends = [0]
    for at in range(1, len(classes) + 1):
        if (at == len(classes) or classes[at] != classes[at - 1]) and at - ends[-1] >= 2048:
            ends.append(at)
    if len(ends) == 1:
        ends.append(0)
    ends[-1] = len(classes)
    return [range(start, stop) for start, stop in pairwise(ends)]
