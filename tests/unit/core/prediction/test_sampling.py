"""Samples are evenly spread rows, and costs are bits of what is left."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.prediction.shelf import contents_of, normal, spec_of

from mgit_core.chunking import chunk_ranges
from mgit_core.coding.numbers import NumberFormat
from mgit_core.prediction.sampling import cost_bits, take_sample
from mgit_core.tensor import DTYPES, TensorSpec


@given(
    st.sampled_from(sorted(DTYPES)),
    st.lists(st.integers(1, 700), max_size=3).map(tuple),
    st.randoms(use_true_random=False),
)
def test_a_sample_is_some_of_the_bytes_at_hand(dtype: str, shape: tuple[int, ...], random: object) -> None:
    spec = TensorSpec(dtype, shape)
    if spec.size_bytes > 4 << 20:
        return
    content = np.random.default_rng(1).bytes(spec.size_bytes)
    ranges = list(chunk_ranges(spec))
    chosen = random.sample(range(len(ranges)), random.randint(1, len(ranges)))  # type: ignore[attr-defined]
    contents = {at: content[slice(*ranges[at])] for at in chosen}
    sample = take_sample(spec, contents, most_chunks=3, most_row_bytes=1024)
    assert b"".join(content[start:stop] for start, stop in sample.segments) == sample.content
    assert 1 <= len(sample.segments) <= 64
    assert {stop - start for start, stop in sample.segments} == {sample.segment_bytes}
    assert sample.segment_bytes % spec.itemsize == 0


def test_rows_come_from_the_whole_tensor() -> None:
    array = normal((5000, 300), 2)
    sample = take_sample(spec_of(array), contents_of(array), most_chunks=4, most_row_bytes=1024)
    rows = [start // 1200 for start, _ in sample.segments]
    assert rows[0] == 0
    assert rows[-1] == 4999
    assert max(np.diff(rows)) < 2000


@pytest.mark.parametrize("numbers", [NumberFormat.FLOAT32, NumberFormat.BFLOAT16, NumberFormat.UINT8])
def test_nothing_left_costs_nothing(numbers: NumberFormat) -> None:
    assert cost_bits(numbers, b"\x01\x7f\xff\xff" * 4, b"\x01\x7f\xff\xff" * 4) == 0


def test_a_last_bit_costs_a_bit_or_two() -> None:
    content = np.ones(10, np.float32)
    up, down = np.nextafter(content, np.float32(2)), np.nextafter(content, np.float32(0))
    assert cost_bits(NumberFormat.FLOAT32, up.tobytes(), content.tobytes()) == 2
    assert cost_bits(NumberFormat.FLOAT32, down.tobytes(), content.tobytes()) == 1
