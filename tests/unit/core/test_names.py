"""Which names and references there are, and which are refused."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.names import (
    Reference,
    check_model_name,
    check_parameter_name,
    check_tag,
    make_uid,
    parse_reference,
)

UID = "0198c0de-0000-7000-8000-0123456789ab"


@pytest.mark.parametrize("name", ["a", "A", "7", "bert/base", "a-b_c.d/e", "x" * 200, "latest"])
def test_what_names_a_model(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/a",
        "a/",
        "a//b",
        "..",
        "a/../b",
        "a..b",
        ".a",
        "-a",
        "_a",
        "a b",
        "a@b",
        "a\n",
        "a\0b",
        "ä",
        "x" * 201,
        "x" * 10_000,
        "a/.b",
        "a\u202eb",
    ],
)
def test_what_names_no_model_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_model_name(name)
    assert caught.value.reason is ErrorReason.INVALID_NAME
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("tag", ["good", "v1.0", "1a", "a-1"])
def test_what_is_a_tag(tag: str) -> None:
    assert check_tag(tag) == tag


@pytest.mark.parametrize("tag", ["", "1", "007", "latest", "LATEST", "a/b", "a..b", ".a", "a\n", "x" * 201])
def test_what_is_no_tag_is_refused(tag: str) -> None:
    with pytest.raises(InvalidArgumentError):
        check_tag(tag)


@pytest.mark.parametrize("name", ["a", "encoder.layer.0/x", "zarr.json", "..", "a b", "ä", "x" * 1024])
def test_what_names_a_parameter(name: str) -> None:
    assert check_parameter_name(name) == name


@pytest.mark.parametrize("name", ["", "a\0", "a\n", "\x7f", "\ud800", "x" * 1025])
def test_what_names_no_parameter_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_parameter_name(name)
    assert caught.value.reason is ErrorReason.INVALID_NAME


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", Reference(name="a/b")),
        ("a@latest", Reference(name="a")),
        ("a@3", Reference(name="a", version=3)),
        ("a@2147483647", Reference(name="a", version=2**31 - 1)),
        ("a@good", Reference(name="a", tag="good")),
        (f"@{UID}", Reference(uid=UID)),
        (f"@{UID.upper()}", Reference(uid=UID)),
    ],
)
def test_a_reference_is_parsed(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@given(
    st.sampled_from(["a", "a/b"]),
    st.one_of(st.none(), st.integers(1, 2**31 - 1).map(str), st.sampled_from(["t", "x-1"])),
)
def test_a_reference_reads_back_from_its_text(name: str, selector: str | None) -> None:
    text = name if selector is None else f"{name}@{selector}"
    assert str(parse_reference(text)) == text
    assert parse_reference(str(parse_reference(f"@{UID}"))) == Reference(uid=UID)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", ErrorReason.INVALID_NAME),
        ("@", ErrorReason.INVALID_REFERENCE),
        ("@nobody", ErrorReason.INVALID_REFERENCE),
        ("a@", ErrorReason.INVALID_NAME),
        ("a@0", ErrorReason.INVALID_REFERENCE),
        ("a@2147483648", ErrorReason.INVALID_REFERENCE),
        ("a@" + "9" * 10_000, ErrorReason.INVALID_REFERENCE),
        ("a@b@c", ErrorReason.INVALID_NAME),
        ("../a@1", ErrorReason.INVALID_NAME),
    ],
)
def test_what_is_no_reference_is_refused(text: str, reason: ErrorReason) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_reference(text)
    assert caught.value.reason is reason
    assert len(caught.value.message) < 400


def test_uids_sort_by_time_and_say_that_they_are_of_version_7() -> None:
    uids = [make_uid(moment, bytes([255 - at]) * 10) for at, moment in enumerate((0, 1, 10**12, 2**48 - 1))]
    assert uids == sorted(uids)
    assert {uuid.UUID(uid).version for uid in uids} == {7}
    assert {uuid.UUID(uid).variant for uid in uids} == {uuid.RFC_4122}
