from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.ports.graph import Page
from mgit_service.servicers.paging import PagedList

LIST = PagedList("models", ("prefix", "type"))


@given(st.text(), st.text(), st.text(min_size=1))
def test_a_token_leads_back_to_the_key_that_it_was_made_of(name: str, argument: str, key: str) -> None:
    listed = PagedList(name, (argument,))
    token = listed.next_token(Page(size=1), 1, key)
    assert listed.page(7, token) == Page(size=7, after=key)


def test_an_empty_token_means_the_beginning() -> None:
    assert LIST.page(7, "") == Page(size=7, after=None)


@pytest.mark.parametrize(("asked", "given_size"), [(0, 100), (1, 1), (1_000, 1_000), (50_000, 1_000)])
def test_the_size_of_a_page_is_capped(asked: int, given_size: int) -> None:
    assert LIST.page(asked, "").size == given_size


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        LIST.page(-1, "")
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT


def test_a_page_that_is_not_full_is_the_last() -> None:
    assert LIST.next_token(Page(size=3), 2, "key") == ""


@pytest.mark.parametrize(
    "other",
    [
        PagedList("versions", ("prefix", "type")),
        PagedList("models", ("prefix",)),
        PagedList("models", ("prefixtype", "")),
        PagedList("models", ("prefi", "xtype")),
        PagedList("models"),
    ],
)
def test_a_token_of_another_list_is_refused(other: PagedList) -> None:
    token = other.next_token(Page(size=1), 1, "key")
    with pytest.raises(InvalidArgumentError) as caught:
        LIST.page(1, token)
    assert caught.value.reason is ErrorReason.INVALID_PAGE_TOKEN


@pytest.mark.parametrize("token", ["x", "no token", "=", "ö", "AAAA", "a" * 10_000, "\x00"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        LIST.page(1, token)
    assert caught.value.reason is ErrorReason.INVALID_PAGE_TOKEN


def test_a_changed_token_is_refused() -> None:
    content = bytearray(base64.urlsafe_b64decode(LIST.next_token(Page(size=1), 1, "key")))
    content[-1] ^= 1
    with pytest.raises(InvalidArgumentError):
        LIST.page(1, base64.urlsafe_b64encode(content).decode().rstrip("="))
