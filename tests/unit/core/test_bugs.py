"""What a bug may be."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from mgit_core.bugs import (
    MAX_SUBJECTS,
    BugSubject,
    DatasetSubject,
    ModelSubject,
    TensorSubject,
    check_bug,
    order_subjects,
)
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Dataset
from mgit_storage.testing.values import make_bug

BUG = make_bug("NaN in the \u00e9mbeddings", ModelSubject("u"))
ORDERED: tuple[BugSubject, ...] = (
    ModelSubject("a"),
    ModelSubject("b"),
    TensorSubject(bytes(32)),
    TensorSubject(bytes([1] * 32)),
    DatasetSubject(Dataset(name="a", version="2")),
    DatasetSubject(Dataset(name="b")),
    DatasetSubject(Dataset(name="b", version="1")),
)


@pytest.mark.parametrize(
    "bug",
    [
        BUG,
        replace(BUG, title="x" * 200),
        replace(BUG, description="two\nlines\twith \u2603"),
        replace(BUG, description="x" * 64 * 1024),
        replace(BUG, affects=BUG.affects * MAX_SUBJECTS),
    ],
)
def test_what_may_be_kept_is_kept_as_it_is(bug: object) -> None:
    assert check_bug(bug) is bug  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        *({"title": title} for title in ("", "  ", "x" * 201, "two\nlines", "bell\x07", "half \ud800")),
        *({"description": text} for text in ("x" * (64 * 1024 + 1), "a\0b")),
        *({"affects": BUG.affects * count} for count in (0, MAX_SUBJECTS + 1)),
        {"carried_by": ()},
    ],
)
def test_what_may_not_be_kept_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        check_bug(replace(BUG, **changed))  # type: ignore[arg-type]
    assert refused.value.reason is ErrorReason.INVALID_BUG


def test_subjects_have_one_order_and_come_once() -> None:
    for some in permutations(ORDERED[1:6]):
        assert order_subjects([*some, *some]) == ORDERED[1:6]
    assert order_subjects(reversed(ORDERED)) == ORDERED
