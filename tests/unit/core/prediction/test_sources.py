"""Byte ranges of a tensor as ranges of its chunks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core.prediction.shelf import Shelf, digest, normal

from mgit_core.chunking import CHUNK_BYTES
from mgit_core.prediction.sources import factor_tensor
from mgit_core.tensor import TensorSpec

SHELF = Shelf()
ARRAY = normal((300, 1000, 2), 1)
CONTENT = ARRAY.tobytes()
SOURCE = SHELF.source(ARRAY)


@given(st.integers(0, len(CONTENT)), st.integers(0, len(CONTENT) + 100))
def test_a_range_is_made_of_ranges_of_chunks(start: int, length: int) -> None:
    stop = start + length
    assert bytes(SOURCE.read(start, stop)) == CONTENT[start:stop]
    ranges = SOURCE.ranges(start, stop)
    assert (
        b"".join(SHELF.chunks[base.digest][base.start : base.stop] for base in ranges) == CONTENT[start:stop]
    )
    assert all(base.start < base.stop for base in ranges)


def test_a_large_factor_is_cut_into_chunks() -> None:
    content = np.arange(CHUNK_BYTES // 2, dtype=np.float32).tobytes()
    tensor, chunks = factor_tensor(TensorSpec("float32", (CHUNK_BYTES // 2, 1)), content, digest)
    assert [len(chunks[each]) for each in tensor.chunks] == [CHUNK_BYTES, CHUNK_BYTES]
    assert bytes(tensor.read(0, len(content))) == content
