from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from bench.compression.cutting import cut

RANDOM = np.random.default_rng(3).bytes(3_000_000)


def cuts(content: bytes) -> list[int]:
    with ThreadPoolExecutor(2) as threads:
        return cut(memoryview(content), threads)


def pieces(content: bytes) -> set[bytes]:
    return {content[start:stop] for start, stop in pairwise(cuts(content))}


@pytest.mark.slow
@pytest.mark.parametrize("content", [RANDOM, bytes(500_000), b"x"], ids=["random", "zeros", "one byte"])
def test_pieces_cover_the_content_within_their_limits(content: bytes) -> None:
    found = cuts(content)

    assert (0, len(content)) == (found[0], found[-1])
    sizes = [stop - start for start, stop in pairwise(found)]
    assert max(sizes) <= 128 << 10
    assert all(size >= 8 << 10 for size in sizes[:-1])


def test_pieces_are_about_as_long_as_aimed_at() -> None:
    assert 40_000 < len(RANDOM) / len(pieces(RANDOM)) < 80_000


@pytest.mark.slow
def test_cuts_do_not_depend_on_the_block_in_which_they_are_looked_for() -> None:
    shift = 12_345

    assert len(pieces(RANDOM) & pieces(RANDOM[shift:])) > 0.8 * len(pieces(RANDOM))
