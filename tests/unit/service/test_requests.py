from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_core.digest import DigestAlgorithm
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import lineage_pb2 as pb
from mgit_service.servicers.requests import check_request_id, request_key

ALGORITHM = DigestAlgorithm.BLAKE3


def test_an_empty_id_is_none() -> None:
    assert check_request_id("") is None
    assert request_key(ALGORITHM, pb.RemoveModelRequest(model="a")) is None


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128))
def test_printable_characters_make_an_id(request_id: str) -> None:
    assert check_request_id(request_id) == request_id


@pytest.mark.parametrize("request_id", ["x" * 129, "a\n", "ä", "\x7f", "\x00"])
def test_other_ids_are_refused(request_id: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_request_id(request_id)
    assert caught.value.reason is ErrorReason.INVALID_ARGUMENT


def test_a_repeat_has_the_same_key() -> None:
    one, other = (pb.PutTagRequest(model="a", tag="t", force=True, request_id="r") for _ in range(2))
    assert request_key(ALGORITHM, one) == request_key(ALGORITHM, other)


def test_the_digest_does_not_depend_on_the_id() -> None:
    keys = [request_key(ALGORITHM, pb.RemoveModelRequest(model="a", request_id=name)) for name in "rs"]
    assert keys[0].arguments_digest == keys[1].arguments_digest


def test_other_arguments_have_another_digest() -> None:
    keys = [request_key(ALGORITHM, pb.RemoveModelRequest(model=name, request_id="r")) for name in "ab"]
    assert keys[0].arguments_digest != keys[1].arguments_digest


def test_another_change_with_equal_bytes_has_another_digest() -> None:
    """Both requests serialize to the same bytes: two texts in fields 1 and 2."""
    links = pb.LinkRevisionRequest(newer="a", older="b", request_id="r")
    unlinks = pb.UnlinkRevisionRequest(newer="a", older="b", request_id="r")
    assert links.SerializeToString() == unlinks.SerializeToString()
    assert request_key(ALGORITHM, links) != request_key(ALGORITHM, unlinks)


def test_a_request_is_not_changed_by_its_key() -> None:
    request = pb.RemoveModelRequest(model="a", request_id="r")
    request_key(ALGORITHM, request)
    assert request == pb.RemoveModelRequest(model="a", request_id="r")
