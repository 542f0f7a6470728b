from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.zarr_models import WEIRD_NAMES

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_zarr.names import name_of_key, zarr_key

_NAMES = st.text(
    st.one_of(
        st.sampled_from("%/\\._c~0123456789ABCDEFabcdef"),
        st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\x7f"),
    ),
    min_size=1,
    max_size=300,
)


@given(_NAMES)
def test_name_of_a_key_is_the_name_unless_the_key_is_cut(name: str) -> None:
    key = zarr_key(name)
    assert name_of_key(key) == (None if "%~" in key else name)


@given(_NAMES.map(lambda name: name[:57]))
def test_key_of_a_short_name_is_never_cut(name: str) -> None:
    assert name_of_key(zarr_key(name)) == name


@given(_NAMES, _NAMES)
@example("x/y", "x%2Fy")
@example("l" * 300, "l" * 299 + "m")
def test_different_names_have_different_keys(one: str, other: str) -> None:
    assert (zarr_key(one) == zarr_key(other)) == (one == other)


@given(_NAMES)
def test_key_is_one_safe_part_of_a_path(name: str) -> None:
    key = zarr_key(name)
    assert 1 <= len(key.encode()) <= 230
    assert not re.search(r"[/\\\x00-\x1f\x7f]", key)
    assert not key.startswith((".", "__"))
    assert key not in {"c", "zarr.json"}


@given(_NAMES)
def test_percent_sign_begins_two_digits_or_marks_a_cut(name: str) -> None:
    assert re.fullmatch(r"(?:[^%]|%[0-9A-F]{2})*(?:%~[0-9a-f]{64})?", zarr_key(name), re.DOTALL)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("encoder.layer.0.weight", "encoder.layer.0.weight"),
        ("x/y", "x%2Fy"),
        ("x\\y", "x%5Cy"),
        ("50%", "50%25"),
        ("c", "%63"),
        ("c.weight", "c.weight"),
        ("zarr.json", "%7Aarr.json"),
        ("__x", "%5F_x"),
        ("_x", "_x"),
        (".", "%2E"),
        ("..", "%2E."),
        (".zarray", "%2Ezarray"),
        ("größe", "größe"),
        ("/", "%2F"),
    ],
)
def test_key_is_as_documented(name: str, key: str) -> None:
    assert key == zarr_key(name)


def test_weird_names_have_a_key_each() -> None:
    assert len(WEIRD_NAMES) == len({zarr_key(name) for name in WEIRD_NAMES})


def test_cut_key_does_not_tell_its_name() -> None:
    assert name_of_key(zarr_key("重" * 1024)) is None


@pytest.mark.parametrize("name", ["", "a\nb", "\x7f", "\ud800", "n" * 1025])
def test_what_cannot_name_a_parameter_has_no_key(name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        zarr_key(name)
    assert caught.value.reason == ErrorReason.INVALID_NAME
