"""Chunks travel in an order in which each can be decoded where it arrives, and nothing travels that is not wanted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mgit.remotes.ordering import ChunkForm, ChunkOrder, order_chunks
from mgit_core.digest import Digest

SIZE = 100


def form(*bases: str) -> ChunkForm:
    return ChunkForm(stored_bytes=SIZE, raw_bytes=SIZE, bases=tuple(map(name, bases)))


def name(text: str) -> Digest:
    return text.encode()


def order(forms: dict[str, ChunkForm], there: str = "", refused: str = "") -> tuple[str, str]:
    """Chunks that go alone, and those that go as they are stored; each is called by one letter."""
    found = order_chunks(
        {name(each): form for each, form in forms.items()},
        set(map(name, there)).__contains__,
        set(map(name, refused)),
    )
    return b"".join(found.alone).decode(), b"".join(found.as_stored).decode()


def test_chunks_without_bases_go_as_they_are_stored() -> None:
    assert order({"a": form(), "b": form()}) == ("", "ab")


def test_a_base_goes_before_what_needs_it() -> None:
    assert order({"c": form("b"), "b": form("a"), "a": form()}) == ("", "abc")


def test_a_chunk_whose_base_is_at_the_destination_goes_as_it_is_stored() -> None:
    assert order({"b": form("a")}, there="a") == ("", "b")


def test_a_chunk_whose_base_is_nowhere_goes_alone_and_its_base_stays() -> None:
    assert order({"b": form("a")}) == ("b", "")


def test_what_rests_on_a_chunk_that_goes_alone_still_goes_as_it_is_stored() -> None:
    assert order({"b": form("a"), "c": form("b")}) == ("b", "c")


def test_one_lacking_base_of_several_is_enough_to_go_alone() -> None:
    assert order({"c": form("a", "b"), "a": form()}, there="") == ("c", "a")


def test_a_refused_chunk_goes_alone() -> None:
    assert order({"b": form("a"), "a": form()}, refused="b") == ("b", "a")


def test_chunks_that_claim_to_rest_on_each_other_are_cut_apart() -> None:
    alone, as_stored = order({"a": form("b"), "b": form("a"), "c": form("c")})
    assert sorted(alone + as_stored) == ["a", "b", "c"]
    assert "c" in alone
    assert len(alone) == 2


def test_a_chain_of_any_length_needs_no_recursion() -> None:
    count = 20_000
    forms = {
        number.to_bytes(4, "big"): ChunkForm(
            stored_bytes=1, raw_bytes=1, bases=((number - 1).to_bytes(4, "big"),) if number else ()
        )
        for number in reversed(range(count))
    }
    found = order_chunks(forms, lambda _: False)
    assert found == ChunkOrder(
        alone=(), as_stored=tuple(number.to_bytes(4, "big") for number in range(count))
    )


CHUNKS = [bytes([number]) for number in range(12)]


@given(
    bases=st.lists(st.sets(st.sampled_from(CHUNKS), max_size=3), min_size=12, max_size=12),
    wanted=st.sets(st.sampled_from(CHUNKS)),
    there=st.sets(st.sampled_from(CHUNKS)),
    refused=st.sets(st.sampled_from(CHUNKS), max_size=2),
)
def test_whatever_rests_on_what_every_chunk_arrives_once_and_can_be_decoded(
    bases: list[set[bytes]], wanted: set[bytes], there: set[bytes], refused: set[bytes]
) -> None:
    """Circles included, which no store has, but a remote may claim."""
    forms = {
        chunk: ChunkForm(stored_bytes=1, raw_bytes=1, bases=tuple(sorted(bases[chunk[0]])))
        for chunk in sorted(wanted - there)
    }
    found = order_chunks(forms, there.__contains__, refused)
    assert sorted([*found.alone, *found.as_stored]) == sorted(forms)
    arrived = there | set(found.alone)
    for chunk in found.as_stored:
        assert set(forms[chunk].bases) <= arrived
        assert chunk not in refused
        arrived.add(chunk)


@given(parents=st.lists(st.integers(0, 10), min_size=11, max_size=11), there=st.sets(st.sampled_from(CHUNKS)))
def test_without_circles_only_those_go_alone_that_lack_a_base(parents: list[int], there: set[bytes]) -> None:
    forms = {
        chunk: ChunkForm(
            stored_bytes=1, raw_bytes=1, bases=(CHUNKS[parents[at] % (at + 1)],) if at % 4 else ()
        )
        for at, chunk in enumerate(CHUNKS[1:])
        if chunk not in there
    }
    found = order_chunks(forms, there.__contains__)
    lacking = {
        chunk
        for chunk, each in forms.items()
        if any(base not in there and base not in forms for base in each.bases)
    }
    assert set(found.alone) == lacking
