from __future__ import annotations

import pytest

from mgit.cli.formatting import format_bytes, format_fields, format_seconds, format_table


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_995, "10.0 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (90_868_370, "90.9 MB"),
        (4_200_000_000, "4.20 GB"),
        (5 * 10**18, "5000 PB"),
        (-1500, "-1.50 kB"),
    ],
)
def test_a_size_has_three_digits_that_count(size_bytes: int, text: str) -> None:
    assert format_bytes(size_bytes) == text


def test_a_duration_below_a_second_is_in_milliseconds() -> None:
    assert format_seconds(0.0421) == "42 ms"
    assert format_seconds(12.34) == "12.3 s"


def test_a_table_aligns_its_columns() -> None:
    rows = [("minilm@1", "90.9 MB", ""), ("a@1", "1 B", "x")]

    assert list(format_table(("MODEL", "SIZE", "TAG"), rows, "lrl")) == [
        "MODEL        SIZE  TAG",
        "minilm@1  90.9 MB",
        "a@1           1 B  x",
    ]


def test_a_table_without_rows_has_its_headers() -> None:
    assert list(format_table(("A", "B"), [], "ll")) == ["A  B"]


def test_fields_without_a_value_are_left_out() -> None:
    assert list(format_fields([("ref", "a@1"), ("type", ""), ("digest", "00")])) == [
        "ref     a@1",
        "digest  00",
    ]
    assert list(format_fields([])) == []
