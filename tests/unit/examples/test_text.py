from __future__ import annotations

import functools

import pytest
from examples.minilm.text import LABEL_SETS, LabeledText, read_label_set

from mgit_core.errors import ErrorReason, InvalidArgumentError


@functools.cache
def label_set(number: int) -> LabeledText:
    """The set, parsed once for all tests."""
    return read_label_set(number)


@pytest.mark.slow
def test_reading_a_label_set_again_gives_the_same_rows_in_the_same_order() -> None:
    assert label_set(2) == read_label_set(2)


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(LABEL_SETS))
def test_every_label_has_rows_in_both_halves(number: int) -> None:
    text = label_set(number)

    labels = set(range(len(text.label_names)))
    assert labels == {row.label for row in text.train}
    assert labels == {row.label for row in text.held_out}


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(LABEL_SETS))
def test_no_text_stands_twice(number: int) -> None:
    text = label_set(number)

    rows = [row.text for row in text.train + text.held_out]
    assert len(set(rows)) == len(rows)


@pytest.mark.slow
def test_a_known_docstring_has_its_packages_label() -> None:
    text = label_set(1)

    labels = {row.label for row in text.train + text.held_out if "multipart" in row.text.split()}
    assert text.label_names.index("mail") in labels


def test_no_package_has_two_labels_in_one_set() -> None:
    for topics in LABEL_SETS.values():
        packages = [package for group in topics.values() for package in group]
        assert len(set(packages)) == len(packages)


def test_an_unknown_label_set_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read_label_set(5)

    assert caught.value.reason == ErrorReason.INVALID_ARGUMENT
