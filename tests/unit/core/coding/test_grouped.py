"""Groups by exponent: recomputed from the prediction, and refused where the payload does not fit them."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.coding.cases import weights, words

from mgit_core.coding.grouped import GROUPED_FORMATS, decode_groups, encode_groups
from mgit_core.coding.numbers import NumberFormat, words_of
from mgit_core.coding.ordered import signed_view
from mgit_core.errors import CorruptError, ErrorReason

FORMATS = sorted(GROUPED_FORMATS)
F32 = NumberFormat.FLOAT32


def round_trip(steps: np.ndarray, predicted: np.ndarray, numbers: NumberFormat) -> np.ndarray:
    payload = encode_groups(steps.copy(), predicted, numbers)
    out = np.empty_like(steps)
    decode_groups(memoryview(payload), predicted, numbers, out)
    return out


@given(st.sampled_from(FORMATS), st.data())
def test_differences_come_back(numbers: NumberFormat, data: st.DataObject) -> None:
    steps = signed_view(words_of(data.draw(words(numbers)), numbers))
    predicted = np.resize(words_of(data.draw(words(numbers)), numbers), steps.size)
    assert round_trip(steps, predicted, numbers).tolist() == steps.tolist()


@pytest.mark.parametrize("numbers", FORMATS)
@pytest.mark.parametrize("count", [2047, 2048, 2049, 4096, 10_000])
def test_differences_of_any_number_of_groups_come_back(numbers: NumberFormat, count: int) -> None:
    predicted = words_of(weights(numbers, count), numbers)
    steps = np.random.default_rng(1).integers(-9, 9, count).astype(signed_view(predicted).dtype)
    assert (round_trip(steps, predicted, numbers) == steps).all()


@pytest.mark.parametrize("count", [64, 130, 640, 10_001])
def test_unchanged_blocks_are_left_out_and_come_back(count: int) -> None:
    predicted = words_of(weights(F32, count), F32)
    steps = np.random.default_rng(1).integers(-(2**20), 2**20, count).astype("<i4")
    steps[: count // 2] = 0
    assert (round_trip(steps, predicted, F32) == steps).all()
    changed = encode_groups(steps[count // 2 :].copy(), predicted[count // 2 :], F32)
    assert len(encode_groups(steps.copy(), predicted, F32)) < len(changed) + 3 * 64 + 50


def test_a_chunk_that_did_not_change_takes_a_few_bytes() -> None:
    predicted = words_of(weights(F32, 64_000), F32)
    assert len(encode_groups(np.zeros(64_000, "<i4"), predicted, F32)) < 50


def test_decay_moves_both_signs_alike() -> None:
    """Differences count away from zero, so a common shrinking is one value and not two."""
    predicted = words_of(weights(F32, 8000), F32)
    shrunk = np.where(predicted >> 31, 3, -3).astype("<i4")
    assert len(encode_groups(shrunk.copy(), predicted, F32)) < 200


def payload_of(numbers: NumberFormat = F32, count: int = 5000) -> tuple[bytes, np.ndarray]:
    predicted = words_of(weights(numbers, count), numbers)
    steps = np.random.default_rng(1).integers(-9, 9, count).astype("<i4")
    steps[1000:3000] = 0
    return encode_groups(steps, predicted, numbers), predicted


@pytest.mark.parametrize("cut", [0, 2, 3, 6, 10, 60, -1])
def test_a_payload_that_ends_early_is_refused(cut: int) -> None:
    payload, predicted = payload_of()
    with pytest.raises(CorruptError) as caught:
        decode_groups(memoryview(payload[:cut]), predicted, F32, np.empty(predicted.size, "<i4"))
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


def test_bytes_behind_the_last_group_are_refused() -> None:
    payload, predicted = payload_of()
    with pytest.raises(CorruptError) as caught:
        decode_groups(memoryview(payload + b"x"), predicted, F32, np.empty(predicted.size, "<i4"))
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


def test_a_group_of_another_size_is_refused() -> None:
    payload, predicted = payload_of()
    other = words_of(weights(F32, 6000), F32)
    with pytest.raises(CorruptError):
        decode_groups(memoryview(payload), other, F32, np.empty(6000, "<i4"))
    assert predicted.size == 5000


def test_a_key_of_a_later_version_is_refused() -> None:
    payload, predicted = payload_of()
    with pytest.raises(CorruptError) as caught:
        decode_groups(
            memoryview(struct.pack("<B", 3) + payload[1:]), predicted, F32, np.empty(predicted.size, "<i4")
        )
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
