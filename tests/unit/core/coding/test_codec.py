"""Planned encoding: whatever the prediction, every bit comes back; the smallest frame wins; lies are refused."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core.coding.cases import (
    FLOATS,
    FORMATS,
    as_format,
    candidate,
    near,
    read_back,
    weights,
    words,
)

from mgit_core.coding import residue
from mgit_core.coding.codec import Candidate, decode_chunk, encode_chunk, encode_planned
from mgit_core.coding.encoded import BaseRange, EncodedChunk, Encoding, Predictor
from mgit_core.coding.floats import Rounding
from mgit_core.coding.grouped import GROUPED_FORMATS
from mgit_core.coding.numbers import NumberFormat, words_of
from mgit_core.coding.ordered import differences
from mgit_core.coding.plans import ChunkPlan, Effort
from mgit_core.coding.predictors import cast, combination, lattice, low_rank, mask, predict, scale
from mgit_core.errors import CorruptError, ErrorReason

F32 = NumberFormat.FLOAT32
BF16 = NumberFormat.BFLOAT16
FAST, DENSE = Effort.FAST, Effort.DENSE


def plan_of(numbers: NumberFormat, effort: Effort = Effort.DENSE) -> ChunkPlan:
    return ChunkPlan(numbers=numbers, effort=effort)


def all_predictions(base: bytes, numbers: NumberFormat) -> list[Candidate]:
    """A candidate for every predictor, order, rounding and kind of parameters that the format has."""
    found = [candidate(Predictor.BASE, b"", base), candidate(Predictor.BASE, b"", base[: len(base) // 2 + 1])]
    count = len(base) // numbers.width
    if not numbers.is_float:
        return found
    zeros = mask.Mask(fill=mask.Fill.SIGN_OF_BASE, flags=np.arange(count) % 2 == 0)
    small = mask.Mask(fill=mask.Fill.PLUS_ZERO, threshold=5)
    found += [
        candidate(Predictor.MASK, b"", base),
        candidate(Predictor.MASK, mask.make_parameters(numbers, zeros), base),
        candidate(Predictor.MASK, mask.make_parameters(numbers, small), base),
        candidate(Predictor.SCALE, scale.make_parameters(numbers, 0.99), base),
        candidate(Predictor.LATTICE, lattice.make_hint(numbers, 1e-3), base),
        candidate(
            Predictor.LATTICE,
            lattice.make_parameters(numbers, 0.5, np.arange(count, dtype=np.int32), zeros),
            base,
        ),
        candidate(
            Predictor.LOW_RANK,
            low_rank.make_parameters(numbers, rank=2, columns=count, scale=2.0),
            base,
            np.array([0.5, -0.25], "<f4").data,
            np.linspace(-1, 1, 2 * count).astype("<f4").data,
        ),
    ]
    for order in combination.Order:
        weighted = {combination.Order.SUM_THEN_DIVIDE: (), combination.Order.PRODUCTS: (0.3, 0.7)}
        weighted[combination.Order.DOUBLE_PRODUCTS] = (0.3, 0.7)
        parameters = combination.make_parameters(
            numbers, order, weighted.get(order, (0.4,)), combination.Steps.EACH
        )
        found.append(candidate(Predictor.COMBINATION, parameters, base, base[::-1]))
    for source in FLOATS:
        values = weights(source, count)
        for rounding in Rounding:
            found.append(candidate(Predictor.CAST, cast.make_parameters(source, numbers, rounding), values))
    return found


# ---- Everything comes back


@pytest.mark.slow
@given(st.sampled_from(FORMATS), st.sampled_from(Effort), st.data())
@settings(max_examples=40)
def test_decoding_gives_what_was_encoded(numbers: NumberFormat, effort: Effort, data: st.DataObject) -> None:
    content = data.draw(words(numbers))
    base = (data.draw(words(numbers)) * len(content))[: len(content)]
    content += data.draw(st.binary(max_size=numbers.width - 1))
    for tried in all_predictions(base, numbers):
        encoded = encode_planned(content, plan_of(numbers, effort), [tried])
        assert read_back(encoded, [tried]) == content
        assert len(encoded.to_bytes()) == encoded.size_bytes


@pytest.mark.parametrize("numbers", FORMATS)
@pytest.mark.parametrize("effort", Effort)
def test_a_relative_comes_back_from_every_prediction(numbers: NumberFormat, effort: Effort) -> None:
    base = weights(numbers, 3000)
    for at, tried in enumerate(all_predictions(base, numbers)):
        wanted = tried.prediction
        parameters = wanted.parameters
        if parameters in (b"", lattice.make_hint(numbers, 1e-3)):
            content = near(base, numbers, at)
        else:
            predicted = predict(wanted.predictor, parameters, tried.sources, len(base))
            content = near(predicted.tobytes(), numbers, at, changed=0.3)
        encoded = encode_planned(content, plan_of(numbers, effort), [tried])
        assert read_back(encoded, [tried]) == content
        assert encoded.size_bytes < len(content)


ALL_RESIDUES = [
    *((Encoding.RAW, numbers) for numbers in FORMATS),
    *((Encoding.ZSTD, numbers) for numbers in FORMATS),
    *((Encoding.PLANES_ZSTD, numbers) for numbers in FORMATS if numbers.width > 1),
    *((Encoding.ORDERED_ZSTD, numbers) for numbers in FORMATS),
    *((Encoding.PCODEC, numbers) for numbers in FORMATS),
    *((Encoding.GROUPED_PCODEC, numbers) for numbers in sorted(GROUPED_FORMATS)),
]


def residue_of(encoding: Encoding, numbers: NumberFormat, content: bytes, predicted: np.ndarray) -> bytes:
    steps = differences(words_of(content, numbers), words_of(predicted.data, numbers), numbers)
    left = np.frombuffer(content, np.uint8) ^ predicted
    return {
        Encoding.RAW: left.tobytes,
        Encoding.ZSTD: lambda: residue.encode_bytes(content, predicted),
        Encoding.PLANES_ZSTD: lambda: residue.encode_planes(content, numbers.width, predicted),
        Encoding.ORDERED_ZSTD: lambda: residue.encode_ordered(steps, numbers),
        Encoding.PCODEC: lambda: residue.encode_numbers(steps, numbers),
        Encoding.GROUPED_PCODEC: lambda: residue.encode_grouped(steps, predicted, numbers),
    }[encoding]()


@pytest.mark.slow
@pytest.mark.parametrize(("encoding", "numbers"), ALL_RESIDUES)
@given(data=st.data())
@settings(max_examples=15)
def test_every_residue_of_every_format_has_an_inverse(
    encoding: Encoding, numbers: NumberFormat, data: st.DataObject
) -> None:
    content = data.draw(words(numbers))
    predicted = np.frombuffer((data.draw(words(numbers)) * len(content))[: len(content)], np.uint8)
    payload = residue_of(encoding, numbers, content, predicted)
    found = residue.decode_residue(encoding, memoryview(payload), numbers.width, len(content), predicted)
    assert found == content


@pytest.mark.parametrize("numbers", FORMATS)
@given(data=st.data())
@settings(max_examples=15)
def test_numbers_alone_come_back_from_pcodec(numbers: NumberFormat, data: st.DataObject) -> None:
    content = data.draw(words(numbers))
    payload = residue.encode_numbers(words_of(content, numbers), numbers)
    found = residue.decode_residue(Encoding.PCODEC, memoryview(payload), numbers.width, len(content), None)
    assert found == content


@pytest.mark.parametrize("effort", Effort)
def test_the_same_plan_gives_the_same_frame_in_every_thread(effort: Effort) -> None:
    jobs = []
    for seed in range(6):
        base = weights(F32, 2000 + 500 * seed, seed)
        tried = [
            candidate(Predictor.BASE, b"", base),
            candidate(Predictor.SCALE, scale.make_parameters(F32, 0.5), base),
        ]
        jobs.append((near(base, F32, seed), plan_of(F32, effort), tried))
    alone = [encode_planned(*job).to_bytes() for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda job: encode_planned(*job).to_bytes(), jobs * 4))
    assert together == alone * 4


# ---- Which frame wins


def test_a_prediction_that_is_the_content_takes_a_header() -> None:
    base = weights(F32, 5000)
    for effort in Effort:
        encoded = encode_planned(base, plan_of(F32, effort), [candidate(Predictor.BASE, b"", base)])
        assert (encoded.encoding, len(encoded.payload), encoded.size_bytes) == (Encoding.EXACT, 0, 56)


@pytest.mark.parametrize(
    ("numbers", "effort", "encoding"),
    [
        (F32, FAST, Encoding.PLANES_ZSTD),
        (BF16, FAST, Encoding.ORDERED_ZSTD),
        (F32, DENSE, Encoding.GROUPED_PCODEC),
        (BF16, DENSE, Encoding.GROUPED_PCODEC),
        (NumberFormat.UINT32, DENSE, Encoding.PCODEC),
        (NumberFormat.UINT8, FAST, Encoding.ZSTD),
        (NumberFormat.FLOAT8_E5M2, DENSE, Encoding.PCODEC),
    ],
)
def test_a_near_relative_is_coded_as_the_effort_says(
    numbers: NumberFormat, effort: Effort, encoding: Encoding
) -> None:
    base = weights(numbers, 20_000)
    content = near(base, numbers, 1, changed=0.9)
    encoded = encode_planned(content, plan_of(numbers, effort), [candidate(Predictor.BASE, b"", base)])
    assert (encoded.encoding, encoded.predictor) == (encoding, Predictor.BASE)


def test_runs_without_change_are_left_to_zstd_where_that_is_smaller() -> None:
    base = weights(NumberFormat.UINT32, 20_000)
    content = bytearray(base)
    content[40_000:40_400] = near(base, NumberFormat.UINT32, 1)[40_000:40_400]
    encoded = encode_planned(content, plan_of(NumberFormat.UINT32), [candidate(Predictor.BASE, b"", base)])
    assert encoded.encoding in {Encoding.ORDERED_ZSTD, Encoding.PLANES_ZSTD}


def test_dense_is_never_larger_than_fast() -> None:
    for numbers in FORMATS:
        base = weights(numbers, 9000)
        tried = [candidate(Predictor.BASE, b"", base)]
        for content in (
            base,
            near(base, numbers, 1),
            near(base, numbers, 2, 0.01),
            weights(numbers, 9000, 7),
        ):
            dense, fast = (
                encode_planned(content, plan_of(numbers, effort), tried) for effort in (DENSE, FAST)
            )
            assert dense.size_bytes <= fast.size_bytes


@pytest.mark.parametrize("effort", Effort)
def test_a_prediction_from_nothing_is_passed_over(effort: Effort) -> None:
    """It would be as small as no prediction where that is zero, and a base more to think of."""
    content = weights(F32, 5000)
    for tried in (candidate(Predictor.BASE, b""), candidate(Predictor.BASE, b"", bytes(len(content)))):
        assert encode_planned(content, plan_of(F32, effort), [tried]).predictor == Predictor.NONE


def test_a_prediction_that_does_not_help_costs_nothing() -> None:
    content, stranger = weights(F32, 5000, 1), np.random.default_rng(2).bytes(20_000)
    encoded = encode_planned(content, plan_of(F32, FAST), [candidate(Predictor.BASE, b"", stranger)])
    assert encoded == encode_chunk(content, 4)


def test_the_best_of_several_predictions_is_taken() -> None:
    base = weights(F32, 5000)
    content = near(base, F32, 1)
    tried = [
        candidate(Predictor.BASE, b"", weights(F32, 5000, 9)),
        candidate(Predictor.BASE, b"", base),
        candidate(Predictor.SCALE, scale.make_parameters(F32, 0.5), base),
    ]
    found = {effort: encode_planned(content, plan_of(F32, effort), tried) for effort in Effort}
    for effort, encoded in found.items():
        assert encoded == encode_planned(content, plan_of(F32, effort), tried[1:2])


@pytest.mark.parametrize(
    "tried",
    [
        candidate(Predictor.CAST, cast.make_parameters(F32, BF16), bytes(7)),
        candidate(Predictor.COMBINATION, combination.make_parameters(F32, combination.Order.LERP), bytes(7)),
        candidate(Predictor.BASE, b"", bytes(30_000)),
        candidate(Predictor.MASK, b"", weights(F32, 5000)),
        candidate(Predictor.LATTICE, lattice.make_hint(F32, 0.0), weights(F32, 5000)),
    ],
)
def test_a_prediction_that_does_not_fit_is_passed_over(tried: Candidate) -> None:
    content = weights(F32, 5000, 1)
    for effort in Effort:
        assert encode_planned(content, plan_of(F32, effort), [tried]).predictor == Predictor.NONE


def test_nothing_to_encode_has_no_prediction() -> None:
    encoded = encode_planned(b"", plan_of(F32), [candidate(Predictor.BASE, b"", b"base")])
    assert (encoded.predictor, decode_chunk(encoded)) == (Predictor.NONE, b"")


def test_bytes_that_are_no_whole_numbers_are_predicted_as_bytes() -> None:
    base = weights(F32, 5000) + b"abc"
    content = near(base[:-3], F32, 1, 0.1) + b"abd"
    for effort in Effort:
        encoded = encode_planned(content, plan_of(F32, effort), [candidate(Predictor.BASE, b"", base)])
        assert (encoded.width, encoded.predictor) == (1, Predictor.BASE)
        assert decode_chunk(encoded, [base]) == content


def test_a_pruned_child_costs_a_threshold_and_a_header() -> None:
    base = weights(F32, 50_000)
    values = np.frombuffer(base, "<f4")
    content = np.where(np.abs(values) < 0.02, np.copysign(np.float32(0), values), values)
    tried = candidate(Predictor.MASK, b"", base)
    encoded = encode_planned(content.data, plan_of(F32, FAST), [tried])
    assert (encoded.encoding, encoded.size_bytes) == (Encoding.EXACT, 56 + 7)
    assert decode_chunk(encoded, [base]) == content.tobytes()


def test_guarded_loss_costs_its_multiples() -> None:
    base = weights(F32, 50_000)
    steps = np.rint(np.random.default_rng(1).normal(0, 0.5, 50_000))
    content = (np.frombuffer(base, "<f4").astype("<f8") + steps * float(np.float32(1e-3))).astype("<f4")
    tried = candidate(Predictor.LATTICE, lattice.make_hint(F32, 1e-3), base)
    encoded = encode_planned(content.data, plan_of(F32, FAST), [tried])
    assert (encoded.encoding, encoded.predictor) == (Encoding.EXACT, Predictor.LATTICE)
    assert encoded.size_bytes < 50_000 * 4 / 16
    assert decode_chunk(encoded, [base]) == content.tobytes()


# ---- Lies


def frame_of(
    encoding: Encoding, payload: bytes, *, numbers: NumberFormat = F32, count: int = 500
) -> EncodedChunk:
    """A frame with a base of ``count`` zeros."""
    return EncodedChunk(
        encoding=encoding,
        width=numbers.width,
        raw_size=count * numbers.width,
        payload=payload,
        predictor=Predictor.BASE,
        predictor_version=1,
        bases=(BaseRange(bytes(32), 0, count * numbers.width),),
    )


def refused(encoded: EncodedChunk, bases: Sequence[bytes] = (bytes(2000),)) -> ErrorReason:
    with pytest.raises(CorruptError) as caught:
        decode_chunk(encoded, bases)
    return caught.value.reason


ZEROS = np.zeros(2000, np.uint8)
CONTENT = weights(F32, 500)
PAYLOADS = {
    encoding: residue_of(encoding, F32, CONTENT, ZEROS) for encoding in Encoding if encoding != Encoding.EXACT
}


@pytest.mark.parametrize("encoding", sorted(PAYLOADS))
def test_a_residue_that_is_cut_or_lengthened_is_refused(encoding: Encoding) -> None:
    payload = PAYLOADS[encoding]
    assert decode_chunk(frame_of(encoding, payload), [bytes(2000)]) == CONTENT
    for damaged in (payload[:-1], payload[: len(payload) // 2], b""):
        assert refused(frame_of(encoding, damaged)) is ErrorReason.CHUNK_CORRUPT
    if encoding != Encoding.PCODEC:  # pcodec does not say where its file ends.
        assert refused(frame_of(encoding, payload + b"x")) is ErrorReason.CHUNK_CORRUPT


@pytest.mark.parametrize("encoding", sorted(PAYLOADS))
@pytest.mark.parametrize("count", [499, 501, 4_000_000])
def test_a_residue_of_another_length_is_refused(encoding: Encoding, count: int) -> None:
    encoded = frame_of(encoding, PAYLOADS[encoding], count=count)
    assert refused(encoded, [bytes(4 * count)]) is ErrorReason.CHUNK_CORRUPT


@pytest.mark.parametrize("encoding", [Encoding.ORDERED_ZSTD, Encoding.PCODEC, Encoding.GROUPED_PCODEC])
def test_a_residue_of_another_format_is_refused(encoding: Encoding) -> None:
    payload = PAYLOADS[encoding]
    later = frame_of(encoding, b"\x4d" + payload[1:])
    assert refused(later) is ErrorReason.UNKNOWN_FORMAT_VERSION
    assert refused(frame_of(encoding, bytes([BF16]) + payload[1:])) is ErrorReason.CHUNK_CORRUPT
    assert refused(replace(frame_of(encoding, payload), width=2)) is ErrorReason.CHUNK_CORRUPT


def test_groups_of_what_has_none_are_refused() -> None:
    payload = bytes([NumberFormat.UINT32]) + PAYLOADS[Encoding.GROUPED_PCODEC][1:]
    assert refused(frame_of(Encoding.GROUPED_PCODEC, payload)) is ErrorReason.CHUNK_CORRUPT


def test_an_exact_prediction_with_a_payload_or_without_a_predictor_is_refused() -> None:
    assert refused(frame_of(Encoding.EXACT, b"x")) is ErrorReason.CHUNK_CORRUPT
    alone = EncodedChunk(encoding=Encoding.EXACT, width=4, raw_size=4, payload=b"")
    assert refused(alone, ()) is ErrorReason.CHUNK_CORRUPT


@pytest.mark.parametrize("encoding", [Encoding.ORDERED_ZSTD, Encoding.GROUPED_PCODEC])
def test_differences_to_nothing_are_refused(encoding: Encoding) -> None:
    alone = EncodedChunk(encoding=encoding, width=4, raw_size=2000, payload=PAYLOADS[encoding])
    assert refused(alone, ()) is ErrorReason.CHUNK_CORRUPT


@pytest.mark.parametrize("bases", [(), (bytes(1999),), (bytes(2001),), (bytes(2000), bytes(1))])
def test_a_base_that_is_shorter_than_its_range_is_refused(bases: tuple[bytes, ...]) -> None:
    encoded = frame_of(Encoding.PLANES_ZSTD, PAYLOADS[Encoding.PLANES_ZSTD])
    assert refused(encoded, bases) is ErrorReason.CHUNK_CORRUPT


@given(st.integers(0, 10_000), st.integers(0, 7), st.sampled_from(sorted(PAYLOADS)))
def test_a_flipped_bit_gives_the_right_size_or_an_error_of_ours(
    at: int, bit: int, encoding: Encoding
) -> None:
    framed = bytearray(frame_of(encoding, PAYLOADS[encoding]).to_bytes())
    framed[at % len(framed)] ^= 1 << bit
    try:
        damaged = EncodedChunk.from_bytes(bytes(framed))
        raw = decode_chunk(damaged, [bytes(base.stop - base.start) for base in damaged.bases])
    except CorruptError:
        return
    assert len(raw) == damaged.raw_size


TO_DAMAGE = as_format(np.linspace(-1, 1, 64), F32)
DAMAGED = [found for found in all_predictions(TO_DAMAGE, F32) if len(found.prediction.parameters) > 1]


@given(st.integers(0, 10_000), st.integers(0, 7), st.integers(0, len(DAMAGED) - 1))
def test_flipped_parameters_give_the_right_size_or_an_error_of_ours(at: int, bit: int, which: int) -> None:
    wanted = DAMAGED[which]
    parameters = bytearray(wanted.prediction.parameters)
    parameters[at % len(parameters)] ^= 1 << bit
    try:
        predicted = predict(wanted.prediction.predictor, bytes(parameters), wanted.sources, len(TO_DAMAGE))
    except CorruptError:
        return
    assert predicted.size == len(TO_DAMAGE)
