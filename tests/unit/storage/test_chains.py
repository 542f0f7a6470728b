"""What one read decodes is counted once for each chunk, and what it needs by the part that is asked for."""

from __future__ import annotations

from mgit_core.coding.encoded import BaseRange
from mgit_storage.chunks.chains import chain_on

A, B, C, D = (bytes([number]) * 32 for number in range(4))


def test_a_chunk_alone_decodes_itself() -> None:
    chain = chain_on(A, 100, [])
    assert (chain.depth, chain.decoded_bytes, chain.needed_bytes) == (0, 100, 100.0)


def test_a_base_that_two_bases_share_counts_once() -> None:
    below = chain_on(A, 100, [])
    left, right = (chain_on(digest, 100, [(BaseRange(A, 0, 100), below)]) for digest in (B, C))
    chain = chain_on(D, 100, [(BaseRange(B, 0, 100), left), (BaseRange(C, 0, 100), right)])
    assert (chain.depth, chain.decoded_bytes, chain.needed_bytes) == (2, 400, 400.0)


def test_a_range_needs_its_part_of_the_base_and_of_all_behind_it() -> None:
    below = chain_on(A, 1000, [])
    middle = chain_on(B, 1000, [(BaseRange(A, 0, 1000), below)])
    chain = chain_on(C, 250, [(BaseRange(B, 500, 750), middle)])
    assert (chain.depth, chain.decoded_bytes, chain.needed_bytes) == (2, 2250, 250 + 250 + 250)


def test_ranges_of_one_base_need_no_more_than_all_of_it() -> None:
    below = chain_on(A, 100, [])
    chain = chain_on(B, 300, [(BaseRange(A, 0, 100), below)] * 3)
    assert (chain.decoded_bytes, chain.needed_bytes) == (400, 400.0)
