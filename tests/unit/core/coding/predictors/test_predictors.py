"""The predictors without rules of their own: base, cast, low rank, scale and TIES; and their common entrance."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import ml_dtypes
import numpy as np
import pytest
from tests.unit.core.coding.cases import FLOATS, as_format, patterns_of
from typing_extensions import Buffer

from mgit_core.coding import predictors
from mgit_core.coding.encoded import Predictor
from mgit_core.coding.floats import Rounding
from mgit_core.coding.numbers import NumberFormat, layout_of
from mgit_core.coding.predictors import base, cast, low_rank, scale, ties
from mgit_core.errors import CorruptError, ErrorReason

F32 = NumberFormat.FLOAT32
BF16 = NumberFormat.BFLOAT16


def refused(
    reason: ErrorReason, predictor: Predictor, parameters: bytes, sources: Sequence[Buffer], size: int
) -> None:
    with pytest.raises(CorruptError) as caught:
        predictors.predict(predictor, parameters, sources, size)
    assert caught.value.reason is reason


@pytest.mark.parametrize(("predictor", "version"), [(0, 1), (9, 1), (255, 1), (1, 0), (1, 2)])
def test_a_predictor_of_a_later_version_is_refused(predictor: int, version: int) -> None:
    with pytest.raises(CorruptError) as caught:
        predictors.predict(predictor, b"", [b"1234"], 4, version=version)
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION


def test_more_bytes_of_bases_than_any_chunk_needs_are_refused() -> None:
    """A frame of some kilobytes can name one large base many times."""
    large = memoryview(bytes(1 << 24))
    refused(ErrorReason.CHUNK_CORRUPT, Predictor.CAST, cast.make_parameters(F32, BF16), [large] * 5, 5 << 23)


# ---- Base


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ([b"abcdef"], b"abcdef"),
        ([b"abc", b"def"], b"abcdef"),
        ([b"abc"], b"abc\0\0\0"),
        ([b"a", b"b"], b"ab\0\0\0\0"),
        ([], bytes(6)),
    ],
)
def test_a_base_is_joined_with_zeros_behind_it(sources: list[bytes], expected: bytes) -> None:
    assert base.predict(b"", sources, 6).tobytes() == expected


def test_a_base_that_is_too_long_or_has_parameters_is_refused() -> None:
    refused(ErrorReason.CHUNK_CORRUPT, Predictor.BASE, b"", [b"1234567"], 6)
    refused(ErrorReason.CHUNK_CORRUPT, Predictor.BASE, b"x", [b"123456"], 6)


# ---- Cast


@pytest.mark.parametrize(
    ("source", "target", "kind"),
    [
        (F32, BF16, ml_dtypes.bfloat16),
        (F32, NumberFormat.FLOAT16, np.float16),
        (F32, NumberFormat.FLOAT8_E4M3FN, ml_dtypes.float8_e4m3fn),
        (F32, NumberFormat.FLOAT8_E5M2, ml_dtypes.float8_e5m2),
        (NumberFormat.FLOAT64, F32, np.float32),
    ],
)
def test_a_cast_gives_what_libraries_give(source: NumberFormat, target: NumberFormat, kind: type) -> None:
    values = as_format(np.random.default_rng(1).normal(0, 0.5, 5000), source)
    expected = np.frombuffer(values, f"<f{source.width}").astype(kind).tobytes()
    found = cast.predict(cast.make_parameters(source, target), [values[:4000], values[4000:]], len(expected))
    assert found.tobytes() == expected


def test_a_truncating_cast_to_bfloat16_takes_the_upper_half() -> None:
    values = as_format(np.random.default_rng(1).normal(0, 0.5, 5000), F32)
    found = cast.predict(cast.make_parameters(F32, BF16, Rounding.TRUNCATED), [values], 10_000)
    assert found.tobytes() == (np.frombuffer(values, "<u4") >> 16).astype("<u2").tobytes()


@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("target", FLOATS)
def test_every_cast_is_defined_on_every_special_pattern(source: NumberFormat, target: NumberFormat) -> None:
    patterns = patterns_of(source)
    content = b"".join(pattern.to_bytes(source.width, "little") for pattern in patterns)
    for rounding in Rounding:
        found = cast.predict(
            cast.make_parameters(source, target, rounding), [content], len(patterns) * target.width
        )
        assert found.size == len(patterns) * target.width
        if source == target:
            expected = [layout_of(source).nan if is_nan(pattern, source) else pattern for pattern in patterns]
            assert np.frombuffer(found, f"<u{target.width}").tolist() == expected


def is_nan(pattern: int, numbers: NumberFormat) -> bool:
    layout = layout_of(numbers)
    magnitude = pattern & ((1 << (8 * numbers.width - 1)) - 1)
    if layout.nan == layout.overflow:
        return pattern == layout.nan if layout.nan == 0x80 else magnitude == layout.nan
    return magnitude > layout.overflow


def test_casts_that_cannot_be_are_refused() -> None:
    good = cast.make_parameters(F32, BF16)
    for parameters, sources, size in [
        (good, [bytes(8)], 8),
        (good, [bytes(7)], 4),
        (good, [], 4),
        (good[:-1], [bytes(8)], 4),
        (good + b"x", [bytes(8)], 4),
        (cast.make_parameters(NumberFormat.UINT32, BF16), [bytes(8)], 4),
        (cast.make_parameters(F32, NumberFormat.UINT16), [bytes(8)], 4),
    ]:
        refused(ErrorReason.CHUNK_CORRUPT, Predictor.CAST, parameters, sources, size)
    for field in range(3):
        later = bytearray(good)
        later[field] = 77
        refused(ErrorReason.UNKNOWN_FORMAT_VERSION, Predictor.CAST, bytes(later), [bytes(8)], 4)


# ---- Low rank


@pytest.mark.parametrize(("rows", "columns", "rank"), [(1, 1, 1), (40, 30, 8), (3, 20_000, 2), (2000, 20, 3)])
def test_factors_are_multiplied_in_order(rows: int, columns: int, rank: int) -> None:
    rng = np.random.default_rng(2)
    p = rng.normal(0, 0.5, (rows, columns)).astype("<f4")
    a, b = rng.normal(0, 0.1, (rows, rank)).astype("<f4"), rng.normal(0, 0.1, (rank, columns)).astype("<f4")
    acc = np.zeros((rows, columns))
    for i in range(rank):
        acc = acc + np.outer(a[:, i].astype("<f8"), b[i].astype("<f8"))
    expected = p + (acc * 0.3).astype("<f4")
    parameters = low_rank.make_parameters(F32, rank=rank, columns=columns, scale=0.3)
    assert low_rank.predict(parameters, [p.data, a.data, b.data], p.nbytes).tobytes() == expected.tobytes()


def test_a_product_is_added_to_bfloat16_in_float32() -> None:
    rng = np.random.default_rng(2)
    p = rng.normal(0, 0.5, (8, 6)).astype(ml_dtypes.bfloat16)
    a, b = rng.normal(0, 0.1, (8, 1)).astype("<f4"), rng.normal(0, 0.1, (1, 6)).astype("<f4")
    product = (a.astype("<f8") * b.astype("<f8") * 2.0).astype("<f4")
    expected = (p.astype("<f4") + product).astype(ml_dtypes.bfloat16)
    parameters = low_rank.make_parameters(BF16, rank=1, columns=6, scale=2.0)
    assert low_rank.predict(parameters, [p.tobytes(), a.data, b.data], 96).tobytes() == expected.tobytes()


def test_factors_that_cannot_be_are_refused() -> None:
    good = low_rank.make_parameters(F32, rank=2, columns=4, scale=1.0)
    sources = [bytes(32), bytes(16), bytes(32)]
    assert low_rank.predict(good, sources, 32).size == 32
    for parameters, given, size in [
        (good, sources[:2], 32),
        (good, [*sources, b"1234"], 32),
        (good, sources, 48),
        (good, sources, 30),
        (good[:-1], sources, 32),
        (good + b"x", sources, 32),
        (low_rank.make_parameters(F32, rank=0, columns=4, scale=1.0), [bytes(32)], 32),
        (low_rank.make_parameters(F32, rank=257, columns=4, scale=1.0), [bytes(32 + 257 * 24)], 32),
        (low_rank.make_parameters(F32, rank=2, columns=0, scale=1.0), sources, 32),
        (low_rank.make_parameters(F32, rank=2, columns=2**32 - 1, scale=1.0), sources, 32),
        (low_rank.make_parameters(NumberFormat.UINT32, rank=2, columns=4, scale=1.0), sources, 32),
    ]:
        refused(ErrorReason.CHUNK_CORRUPT, Predictor.LOW_RANK, parameters, given, size)
    refused(ErrorReason.UNKNOWN_FORMAT_VERSION, Predictor.LOW_RANK, b"\x4d" + good[1:], sources, 32)


# ---- Scale


def test_a_factor_is_rounded_to_the_working_type() -> None:
    values = np.random.default_rng(1).normal(0, 0.5, 500).astype("<f4")
    found = scale.predict(scale.make_parameters(F32, 0.99), [values.data], 2000)
    assert found.tobytes() == (values * np.float32(0.99)).tobytes()


def test_bfloat16_is_multiplied_in_float32() -> None:
    values = np.random.default_rng(1).normal(0, 0.5, 500).astype(ml_dtypes.bfloat16)
    expected = (values.astype("<f4") * np.float32(0.99)).astype(ml_dtypes.bfloat16)
    found = scale.predict(scale.make_parameters(BF16, 0.99), [values.tobytes()], 1000)
    assert found.tobytes() == expected.tobytes()


def test_factors_of_another_form_are_refused() -> None:
    good = scale.make_parameters(F32, 2.0)
    for parameters, size in [(good[:-1], 8), (good + b"x", 8), (good, 7), (b"", 8), (b"\x02" + good[1:], 8)]:
        refused(ErrorReason.CHUNK_CORRUPT, Predictor.SCALE, parameters, [bytes(size)], size)
    refused(ErrorReason.UNKNOWN_FORMAT_VERSION, Predictor.SCALE, struct.pack("<Bd", 12, 1.0), [bytes(8)], 8)


# ---- TIES; its numbers are tested where merges compute them


def test_pieces_of_a_merge_may_come_in_any_ranges() -> None:
    base, ours, theirs = (np.random.default_rng(seed).normal(0, 0.5, 500).astype("<f4") for seed in range(3))
    parameters = ties.make_parameters(F32, 0.7, (0, 0))
    whole = ties.predict(parameters, [base.data, ours.data, theirs.data], 2000)
    cut = [base[:100].data, base[100:].data, ours.data, theirs[:7].data, theirs[7:].data]
    assert ties.predict(parameters, cut, 2000).tobytes() == whole.tobytes()


def test_a_merge_that_cannot_be_is_refused() -> None:
    good = ties.make_parameters(F32, 1.0, (1, 2))
    for parameters, sources in [
        (good, [bytes(8)] * 2),
        (good, [bytes(8)] * 4),
        (good, [bytes(8), bytes(8), bytes(7)]),
        (good, []),
        (good[:-1], [bytes(8)] * 3),
        (good + b"x", [bytes(8)] * 3),
        (ties.make_parameters(F32, 1.0, (1 << 32, 0)), [bytes(8)] * 3),
        (ties.make_parameters(BF16, 1.0, (0, 1 << 32)), [bytes(8)] * 3),
        (ties.make_parameters(NumberFormat.UINT32, 1.0, (0, 0)), [bytes(8)] * 3),
    ]:
        refused(ErrorReason.CHUNK_CORRUPT, Predictor.TIES, parameters, sources, 8)
    later = b"\x4d" + good[1:]
    refused(ErrorReason.UNKNOWN_FORMAT_VERSION, Predictor.TIES, later, [bytes(8)] * 3, 8)
