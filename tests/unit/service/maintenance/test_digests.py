"""Sets of digests as arrays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgit_service.use_cases.maintenance import digests
from mgit_service.use_cases.maintenance.digests import DigestGatherer, DigestSet, digest_array

# Few first bytes, so that many agree in all that is compared first.
DIGESTS = st.tuples(st.sampled_from([0, 1, 255]), st.integers(0, 3)).map(
    lambda pair: bytes([pair[0]] * 8) + bytes([pair[1]] * 24)
)


@pytest.mark.slow
@given(st.lists(DIGESTS), st.lists(DIGESTS))
def test_a_set_of_digests_knows_what_a_set_knows(known: list[bytes], wanted: list[bytes]) -> None:
    found = DigestSet(digest_array(known))
    assert list(found) == sorted(set(known))
    assert found.has(digest_array(wanted)).tolist() == [digest in set(known) for digest in wanted]
    at = found.positions(digest_array(wanted)).tolist()
    assert [sorted(set(known))[each] for each in at if each >= 0] == [
        each for each in wanted if each in known
    ]


@pytest.mark.slow
@given(st.lists(DIGESTS), st.lists(DIGESTS))
def test_sets_are_joined(first: list[bytes], second: list[bytes]) -> None:
    joined = DigestSet(digest_array(first)).joined(digest_array(second))
    assert list(joined) == sorted({*first, *second})


def test_what_comes_a_few_at_a_time_is_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_DIGESTS_AT_ONCE", 2)
    gatherer = DigestGatherer()
    for at in (3, 1, 2, 1, 3):
        gatherer.add([bytes([at] * 32)])
    assert [digest[0] for digest in gatherer.finish()] == [1, 2, 3]
    assert gatherer.finish().contains(bytes([2] * 32))
    assert not gatherer.finish().contains(bytes([4] * 32))
