"""Lattices: the multiples are found again from content and base, and lead back to every bit."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from tests.unit.core.coding.cases import as_format, words

from mgit_core.coding import zstd
from mgit_core.coding.floats import narrow, widen
from mgit_core.coding.numbers import NumberFormat, words_of
from mgit_core.coding.predictors.lattice import complete, make_hint, make_parameters, predict
from mgit_core.errors import CorruptError, ErrorReason

F32 = NumberFormat.FLOAT32
FORMATS = [F32, NumberFormat.BFLOAT16, NumberFormat.FLOAT16, NumberFormat.FLOAT64]
STEP = float(np.float32(1e-3))


def lossy(numbers: NumberFormat, spread: float, count: int = 3000) -> tuple[bytes, bytes]:
    """A base, and what guarded loss makes of its child."""
    rng = np.random.default_rng(5)
    base = as_format(rng.normal(0, 0.5, count), numbers)
    values = widen(words_of(base, numbers), numbers).astype(np.float64)
    multiples = np.rint(rng.normal(0, spread, count))
    return base, narrow(values + multiples * STEP, numbers).tobytes()


@pytest.mark.parametrize("numbers", FORMATS)
@pytest.mark.parametrize("spread", [0.3, 10, 1000, 100_000])
def test_the_multiples_are_found_again(numbers: NumberFormat, spread: float) -> None:
    if numbers == NumberFormat.FLOAT16 and spread > 10_000:
        spread = 10_000
    base, content = lossy(numbers, spread)
    parameters = complete(make_hint(numbers, STEP), content, [base])
    assert parameters is not None
    found = np.frombuffer(predict(parameters, [base], len(base)), f"<u{numbers.width}")
    missed = np.count_nonzero(found != np.frombuffer(content, f"<u{numbers.width}"))
    assert missed <= (0 if numbers == F32 and spread < 1000 else 40)


@pytest.mark.parametrize("multiple", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("count", [1, 3, 500])
def test_multiples_of_every_width_come_back(multiple: int, count: int) -> None:
    """Constant ones are smaller as planes, noise by pcodec; both are read."""
    base = np.zeros(count, "<f4")
    noise = np.random.default_rng(1).integers(-multiple, multiple, count)
    for multiples in (np.full(count, multiple, "<i4"), noise.astype("<i4"), np.full(count, -(2**31), "<i4")):
        found = predict(make_parameters(F32, 0.5, multiples), [base.data], base.nbytes).view("<f4")
        assert found.tolist() == (multiples * 0.5).astype("<f4").tolist()


def test_zeros_that_pruning_made_are_masked_first() -> None:
    base, content = lossy(F32, 3)
    values = np.frombuffer(content, "<f4").copy()
    values[::2] = 0
    parameters = complete(make_hint(F32, STEP), values.data, [base])
    assert parameters is not None
    assert predict(parameters, [base], len(base)).tobytes() == values.tobytes()


def test_an_unchanged_zero_keeps_its_sign() -> None:
    base = np.array([-0.0, 0.0, 1.0], "<f4")
    parameters = make_parameters(F32, STEP, np.zeros(3, "<i4"))
    assert predict(parameters, [base.data], 12).tobytes() == base.tobytes()


@given(words(F32), words(F32))
def test_whatever_the_content_completing_gives_parameters_that_predict(content: bytes, base: bytes) -> None:
    base = (base * (len(content) // len(base) + 1))[: len(content)]
    parameters = complete(make_hint(F32, STEP), content, [base])
    if parameters is None:
        assert not (np.abs(np.frombuffer(content + base, "<f4")) < 1e6).all()
    else:
        assert predict(parameters, [base], len(content)).size == len(content)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_lies_on_no_lattice_is_passed_over(value: float) -> None:
    content = np.array([1.0, value], "<f4")
    assert complete(make_hint(F32, STEP), content.data, [np.ones(2, "<f4").data]) is None


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_a_step_that_is_none_is_passed_over(step: float) -> None:
    assert complete(make_hint(F32, step), bytes(8), [bytes(8)]) is None


GOOD = make_parameters(F32, STEP, np.arange(4, dtype="<i4"))
HEAD = make_hint(F32, STEP)


@pytest.mark.parametrize(
    "parameters",
    [
        b"",
        HEAD,
        GOOD[:8],
        GOOD[:9],
        GOOD[:-1],
        HEAD + struct.pack("<I", 2**32 - 1) + GOOD[9:],
        HEAD + struct.pack("<I", 1) + GOOD[9:],
        HEAD + bytes(4) + b"\x01" + zstd.compress(bytes(5), 3),
        HEAD + bytes(4) + b"\x02" + zstd.compress(bytes(4), 3),
        HEAD + bytes(4) + b"\x03" + zstd.compress(bytes(1 << 20), 3),
        HEAD + bytes(4) + b"\x00",
        bytes([NumberFormat.UINT32]) + GOOD[1:],
    ],
)
def test_parameters_that_cannot_be_are_refused(parameters: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        predict(parameters, [bytes(16)], 16)
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


def test_multiples_for_another_count_are_refused() -> None:
    for size in (12, 20):
        with pytest.raises(CorruptError):
            predict(GOOD, [bytes(size)], size)


@pytest.mark.parametrize("field", [0, 9])
def test_numbers_of_a_later_version_are_refused(field: int) -> None:
    parameters = bytearray(GOOD)
    parameters[field] = 77
    with pytest.raises(CorruptError) as caught:
        predict(bytes(parameters), [bytes(16)], 16)
    assert caught.value.reason is ErrorReason.UNKNOWN_FORMAT_VERSION
