from __future__ import annotations

import pytest
from tests.unit.client.pictures.lineages import KNOWN

from mgit.pictures.details import CheckState, check_state, detail_lines, note_lines
from mgit.values import ModelFacts


@pytest.mark.parametrize(
    ("passed", "failed", "state"),
    [
        (("a",), (), CheckState.PASSED),
        (("a",), ("b",), CheckState.FAILED),
        ((), ("b",), CheckState.FAILED),
        ((), (), CheckState.UNKNOWN),
    ],
)
def test_one_failing_test_is_enough(
    passed: tuple[str, ...], failed: tuple[str, ...], state: CheckState
) -> None:
    assert check_state(ModelFacts(uid="m", passed_tests=passed, failed_tests=failed)) is state


def test_notes_say_only_what_is_wrong() -> None:
    base, left, *_ = KNOWN.facts

    assert note_lines(None) == note_lines(base) == []
    assert note_lines(left) == ["fails accuracy, finite and 1 more", "1 bug"]


@pytest.mark.parametrize(
    ("size_bytes", "told"),
    [
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536 * 1024, "1.5 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
    ],
)
def test_sizes_have_the_largest_unit_that_keeps_them_above_one(size_bytes: int, told: str) -> None:
    assert list(detail_lines(ModelFacts(uid="m", size_bytes=size_bytes))) == [f"size {told}"]


def test_long_metadata_is_cut_to_a_line() -> None:
    [line] = detail_lines(ModelFacts(uid="m", metadata={"card": "word\n" * 100}))

    assert (len(line), line[:16], line[-1]) == (len("card = ") + 200, "card = word word", "\u2026")
