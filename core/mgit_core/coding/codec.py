"""Encodes chunks, alone or as a difference to a prediction, and decodes every chunk that this version knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from typing_extensions import Buffer

from mgit_core.coding import predictors, residue
from mgit_core.coding.encoded import EncodedChunk, Encoding, Predictor
from mgit_core.coding.grouped import GROUPED_FORMATS
from mgit_core.coding.numbers import NumberFormat, words_of
from mgit_core.coding.ordered import differences
from mgit_core.coding.planes import PLANE_WIDTHS
from mgit_core.coding.plans import ChunkPlan, Effort, Prediction
from mgit_core.coding.refusals import corrupt, unknown
from mgit_core.errors import CorruptError

__all__ = ["Candidate", "decode_chunk", "encode_chunk", "encode_planned", "encoding_name", "predictor_name"]

# Below this a frame's own overhead eats what it could save.
_SMALLEST_FRAME = 32
# Up to this size both compressed forms are tried; above, planes alone are nearly always the smaller one.
_TRY_BOTH_BELOW = 1 << 16
# Weights alone keep about 85 % of their bytes, those of short floats 70 %, so a prediction that saves this much
# needs no comparison.
_CLEARLY_BETTER = 0.75
_CLEARLY_BETTER_IF_SHORT = 0.6
# A prediction that leaves this little is the right one: the others are not tried.
_GOOD_ENOUGH = 1 / 16
# As differences instead of an XOR short floats take an eighth less, for little time; long ones hardly less.
_ORDERED_WHEN_FAST = frozenset({NumberFormat.BFLOAT16, NumberFormat.FLOAT16})
# Sizes that a fast coder finds tell so well which prediction leaves less.
_WORTH_A_TRY = 1.15
# Where most numbers did not change, zstd finds runs that a coder of single numbers pays for.
_FEW_CHANGES = 0.05
# Below this many numbers, groups are so few that their lengths cost more than they save.
_FEWEST_TO_GROUP = 2048
_KNOWN = frozenset(int(encoding) for encoding in Encoding)
_KNOWN_PREDICTORS = frozenset(int(predictor) for predictor in Predictor)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A prediction, and what it starts from.

    Attributes:
        prediction: What to try.
        sources: One buffer for each of its base ranges, already cut to it.
    """

    prediction: Prediction
    sources: Sequence[Buffer]


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
            payload = residue.encode_planes(view, width)
            encoding = Encoding.PLANES_ZSTD
        if not has_planes or len(view) < _TRY_BOTH_BELOW:
            plain = residue.encode_bytes(view)
            if payload is None or len(plain) < len(payload):
                payload, encoding = plain, Encoding.ZSTD
    if payload is None or len(payload) >= len(view):
        payload, encoding = bytes(view), Encoding.RAW
    return EncodedChunk(
        encoding=encoding, width=width if has_planes else 1, raw_size=len(view), payload=payload
    )


def encode_planned(content: Buffer, plan: ChunkPlan, candidates: Sequence[Candidate]) -> EncodedChunk:
    """The smallest frame that the plan's effort finds, alone or as a difference to one of ``candidates``.

    Headers, bases and parameters count. A candidate that cannot predict this content, by its size or its format,
    is passed over. After one that leaves little the others are not tried; where one saves much, encoding alone
    is not.

    Args:
        content: The raw chunk.
        plan: What the bytes mean, and the effort; its predictions are not looked at.
        candidates: Those of its predictions whose bases are at hand, best first.
    """
    view = memoryview(content).cast("B")
    # A tail that is no whole number can only be a file's: its bytes mean nothing that is known.
    numbers = plan.numbers if len(view) % plan.numbers.width == 0 else NumberFormat.UINT8
    best = _best_prediction(view, numbers, plan.effort, candidates) if len(view) else None
    clearly_better = _CLEARLY_BETTER if numbers.width > 2 else _CLEARLY_BETTER_IF_SHORT
    if best is not None and best.size_bytes <= len(view) * clearly_better:
        return best
    frames = [*_encode_alone(view, numbers, plan.effort), *([best] if best else [])]
    return min(frames, key=lambda frame: frame.size_bytes)


def decode_chunk(encoded: EncodedChunk, bases: Sequence[Buffer] = ()) -> bytes:
    """The raw bytes. The caller compares their digest; here only sizes are checked, before memory is taken.

    Args:
        encoded: The frame.
        bases: For each base that it names the raw bytes of its range.

    Raises:
        CorruptError: CHUNK_CORRUPT for a payload that does not hold ``raw_size`` bytes, or a base range that is
            too short; UNKNOWN_FORMAT_VERSION for an encoding or predictor of a later version.
    """
    if encoded.encoding not in _KNOWN or encoded.encoding_version != 1:
        raise unknown(f"encoding {encoded.encoding} version {encoded.encoding_version}")
    prediction: residue.Prediction | None = None
    if encoded.predictor != Predictor.NONE:
        sizes = [base.stop - base.start for base in encoded.bases]
        if sizes != [memoryview(base).nbytes for base in bases]:
            raise corrupt("a base range lies outside of its base")
        prediction = predictors.predict(
            encoded.predictor,
            encoded.parameters,
            bases,
            encoded.raw_size,
            version=encoded.predictor_version,
        )
    payload = memoryview(encoded.payload)
    raw = residue.decode_residue(encoded.encoding, payload, encoded.width, encoded.raw_size, prediction)
    if len(raw) != encoded.raw_size:
        raise corrupt(f"{encoded.raw_size} raw bytes were wanted, found {len(raw)}")
    return raw


def encoding_name(encoding: int) -> str:
    """The name of an encoding for people, ``unknown-N`` for a number of a later version."""
    return _name(Encoding(encoding)) if encoding in _KNOWN else f"unknown-{encoding}"


def predictor_name(predictor: int) -> str:
    """The name of a predictor for people, ``unknown-N`` for a number of a later version."""
    return _name(Predictor(predictor)) if predictor in _KNOWN_PREDICTORS else f"unknown-{predictor}"


def _name(number: Encoding | Predictor) -> str:
    return number.name.lower().replace("_", "-")


def _encode_alone(view: memoryview, numbers: NumberFormat, effort: Effort) -> Iterator[EncodedChunk]:
    yield encode_chunk(view, numbers.width)
    if effort is Effort.DENSE and len(view) >= _SMALLEST_FRAME:
        payload = residue.encode_numbers(words_of(view, numbers), numbers)
        yield EncodedChunk(encoding=Encoding.PCODEC, width=numbers.width, raw_size=len(view), payload=payload)


def _best_prediction(
    view: memoryview, numbers: NumberFormat, effort: Effort, candidates: Sequence[Candidate]
) -> EncodedChunk | None:
    """The smallest frame of those with a prediction; None if no candidate is of use.

    Coding densely takes ten times as long, so among several candidates the fast sizes say which are worth it.
    """
    attempts: list[tuple[_Attempt, EncodedChunk | None]] = []
    best: EncodedChunk | None = None
    is_screened = effort is Effort.FAST or len(candidates) > 1
    for candidate in candidates:
        attempt = _predict(view, numbers, candidate)
        if attempt is None:
            continue
        fast = attempt.encode(_fast_residues(view, numbers, attempt.predicted)) if is_screened else None
        attempts.append((attempt, fast))
        if fast is not None and (best is None or fast.size_bytes < best.size_bytes):
            best = fast
        if best is not None and best.size_bytes <= len(view) * _GOOD_ENOUGH:
            break
    if effort is Effort.DENSE and (best is None or best.encoding != Encoding.EXACT):
        bound = best.size_bytes * _WORTH_A_TRY if best else 0
        for attempt, fast in attempts:
            if fast is None or fast.size_bytes <= bound:
                dense = attempt.encode(_dense_residues(view, numbers, attempt.predicted))
                best = dense if best is None or dense.size_bytes < best.size_bytes else best
    return best


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A candidate with its prediction."""

    prediction: Prediction
    parameters: bytes
    width: int
    predicted: residue.Prediction

    def encode(self, residues: Iterator[tuple[Encoding, bytes]]) -> EncodedChunk:
        """A frame of the smallest residue."""
        encoding, payload = min(residues, key=lambda found: len(found[1]))
        return EncodedChunk(
            encoding=encoding,
            width=self.width,
            raw_size=self.predicted.size,
            predictor=self.prediction.predictor,
            predictor_version=1,
            bases=self.prediction.bases,
            parameters=self.parameters,
            payload=payload,
        )


def _predict(view: memoryview, numbers: NumberFormat, candidate: Candidate) -> _Attempt | None:
    wanted = candidate.prediction
    if not candidate.sources:
        return None
    try:
        parameters = predictors.complete_parameters(
            wanted.predictor, wanted.parameters, view, candidate.sources, numbers=numbers
        )
        if parameters is None:
            return None
        predicted = predictors.predict(wanted.predictor, parameters, candidate.sources, len(view))
    except CorruptError:
        # Declared for a tensor of another shape or type: what it says does not hold for this content.
        return None
    return _Attempt(wanted, parameters, numbers.width, predicted)


def _fast_residues(
    view: memoryview, numbers: NumberFormat, predicted: residue.Prediction
) -> Iterator[tuple[Encoding, bytes]]:
    if np.array_equal(np.frombuffer(view, np.uint8), predicted):
        yield Encoding.EXACT, b""
    elif numbers in _ORDERED_WHEN_FAST:
        steps = differences(words_of(view, numbers), words_of(predicted.data, numbers), numbers)
        yield Encoding.ORDERED_ZSTD, residue.encode_ordered(steps, numbers)
    elif numbers.width in PLANE_WIDTHS:
        yield Encoding.PLANES_ZSTD, residue.encode_planes(view, numbers.width, predicted)
    else:
        yield Encoding.ZSTD, residue.encode_bytes(view, predicted)


def _dense_residues(
    view: memoryview, numbers: NumberFormat, predicted: residue.Prediction
) -> Iterator[tuple[Encoding, bytes]]:
    steps = differences(words_of(view, numbers), words_of(predicted.data, numbers), numbers)
    changes = int(np.count_nonzero(steps))
    if not changes:
        yield Encoding.EXACT, b""
        return
    if changes <= steps.size * _FEW_CHANGES:
        yield Encoding.ORDERED_ZSTD, residue.encode_ordered(steps, numbers)
        if numbers.width in PLANE_WIDTHS:
            yield Encoding.PLANES_ZSTD, residue.encode_planes(view, numbers.width, predicted)
    if numbers.width not in PLANE_WIDTHS:
        yield Encoding.ZSTD, residue.encode_bytes(view, predicted)
    if numbers in GROUPED_FORMATS and steps.size >= _FEWEST_TO_GROUP:
        yield Encoding.GROUPED_PCODEC, residue.encode_grouped(steps, predicted, numbers)
    else:
        yield Encoding.PCODEC, residue.encode_numbers(steps, numbers)
