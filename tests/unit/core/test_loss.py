"""Records of loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.errors import ErrorReason, MGitError
from mgit_core.loss import (
    MAX_RECORD_BYTES,
    LossGuard,
    LossMethod,
    LossRecord,
    LossTensor,
    MetricDirection,
    check_loss,
)

RECORD = LossRecord(
    method=LossMethod.STEP,
    strength=2.0,
    base_uid="0190a1b2-0000-7000-8000-000000000001",
    original_digest=b"o" * 32,
    largest_error=0.25,
    largest_relative_error=0.5,
    guard=LossGuard(
        entry_point="checks:accuracy",
        code_digest=b"c" * 32,
        metric="accuracy",
        direction=MetricDirection.HIGHER,
        tolerance=0.005,
        before=0.9,
        after=0.899,
    ),
    tensors=(LossTensor(name="ä.weight", step=0.5, largest_error=0.25),),
)
SIZES = st.floats(0, 1e300, allow_nan=False)


@given(SIZES, SIZES, st.floats(allow_nan=False, allow_infinity=False), st.binary(min_size=32, max_size=32))
def test_a_record_reads_back_as_it_was_written(
    largest: float, relative: float, before: float, digest: bytes
) -> None:
    record = replace(
        RECORD,
        original_digest=digest,
        largest_error=largest,
        largest_relative_error=relative,
        guard=replace(RECORD.guard, before=before, code_digest=b"", direction=MetricDirection.LOWER),
    )
    assert LossRecord.from_json(check_loss(record).to_json()) == record


def test_a_document_has_digests_as_text() -> None:
    document = RECORD.as_document()
    assert (document["original_digest"], document["guard"]["code_digest"]) == ("6f" * 32, "63" * 32)
    assert document["tensors"] == [{"name": "ä.weight", "step": 0.5, "largest_error": 0.25}]


def test_tensors_that_do_not_fit_are_left_out_of_a_record() -> None:
    tensors = tuple(
        LossTensor(name=f"layer.{number}." + "x" * 500, step=1.0, largest_error=0.1) for number in range(2000)
    )
    fitted = replace(RECORD, tensors=tensors).fitted()
    assert 500 < len(fitted.tensors) < 2000
    assert fitted.tensors == tensors[: len(fitted.tensors)]
    assert MAX_RECORD_BYTES - 1000 < len(fitted.to_json()) <= MAX_RECORD_BYTES
    assert check_loss(fitted) is fitted
    assert RECORD.fitted() is RECORD


def _refused(record: LossRecord) -> tuple[str, Any]:
    with pytest.raises(MGitError) as caught:
        check_loss(record)
    return caught.value.reason, caught.value.details.get("field")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"original_digest": b""}, "original_digest"),
        ({"strength": 0.0}, "strength"),
        ({"strength": float("inf")}, "strength"),
        ({"largest_error": -1.0}, "largest_error"),
        ({"largest_relative_error": float("nan")}, "largest_relative_error"),
        ({"base_uid": RECORD.base_uid.upper()}, "base_uid"),
        ({"tensors": (LossTensor(name="w", step=0.0, largest_error=0.0),)}, "step of 'w'"),
        ({"tensors": (LossTensor(name="w", step=1.0, largest_error=-0.5),)}, "largest_error of 'w'"),
    ],
)
def test_a_record_that_cannot_be_is_refused(change: dict[str, Any], field: str) -> None:
    assert _refused(replace(RECORD, **change)) == (ErrorReason.INVALID_ARGUMENT, f"loss.{field}")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"entry_point": ""}, "entry_point"),
        ({"metric": "two\nlines"}, "metric"),
        ({"metric": "m" * 501}, "metric"),
        ({"code_digest": b"short"}, "code_digest"),
        ({"tolerance": -0.1}, "tolerance"),
        ({"before": float("nan")}, "before"),
        ({"after": float("-inf")}, "after"),
    ],
)
def test_a_guard_that_cannot_be_is_refused(change: dict[str, Any], field: str) -> None:
    record = replace(RECORD, guard=replace(RECORD.guard, **change))
    assert _refused(record) == (ErrorReason.INVALID_ARGUMENT, f"loss.guard.{field}")


def test_names_and_uids_are_checked_as_everywhere() -> None:
    nameless = (LossTensor(name="", step=1.0, largest_error=0.0),)
    assert _refused(replace(RECORD, tensors=nameless))[0] == ErrorReason.INVALID_NAME
    assert _refused(replace(RECORD, base_uid="minilm"))[0] == ErrorReason.INVALID_REFERENCE


def test_a_record_too_large_for_a_message_is_refused() -> None:
    tensor = LossTensor(name="n" * 1000, step=1.0, largest_error=0.0)
    assert _refused(replace(RECORD, tensors=(tensor,) * 600)) == (ErrorReason.INVALID_ARGUMENT, "loss.size")
