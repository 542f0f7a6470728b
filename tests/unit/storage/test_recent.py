"""A bounded number of bytes is kept, of the chunks that were asked for last."""

from __future__ import annotations

from mgit_storage.chunks.recent import RecentChunks

A, B, C = (bytes([number]) * 32 for number in range(3))


def test_what_was_not_asked_for_longest_goes_first() -> None:
    recent = RecentChunks(200)
    recent.put(A, bytes(100))
    recent.put(B, bytes(100))
    assert recent.get(A) == bytes(100)
    recent.put(C, bytes(50))
    assert [recent.get(digest) for digest in (A, B, C)] == [bytes(100), None, bytes(50)]


def test_bytes_that_take_the_place_of_others_count_once() -> None:
    recent = RecentChunks(200)
    for _ in range(5):
        recent.put(A, bytes(100))
    recent.put(B, bytes(100))
    assert recent.get(A) == bytes(100)


def test_what_is_larger_than_the_bound_is_not_kept() -> None:
    recent = RecentChunks(200)
    recent.put(A, bytes(201))
    assert recent.get(A) is None
    recent.put(B, bytes(200))
    assert recent.get(B) == bytes(200)
