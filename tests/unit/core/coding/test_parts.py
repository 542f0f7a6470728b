"""The small parts below the codec: planes of a difference, zstd and pcodec files, buffers of threads, blocks."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from mgit_core.coding import zstd
from mgit_core.coding.pco import compress_numbers, decompress_numbers
from mgit_core.coding.planes import join_planes, split_planes
from mgit_core.coding.predictors.blocks import by_blocks
from mgit_core.coding.scratch import scratch
from mgit_core.errors import CorruptError, ErrorReason

NUMBERS = np.arange(-500, 500, dtype="<i4")


@pytest.mark.parametrize("width", [2, 4, 8])
def test_planes_of_a_difference_are_those_of_its_xor(width: int) -> None:
    rng = np.random.default_rng(1)
    content, predicted = rng.bytes(80), np.frombuffer(rng.bytes(80), np.uint8)
    left = (np.frombuffer(content, np.uint8) ^ predicted).tobytes()
    planes = split_planes(content, width, predicted).tobytes()
    assert planes == b"".join(left[plane::width] for plane in range(width))
    assert join_planes(planes, width, predicted) == content


@pytest.mark.parametrize("level", [1, 3])
def test_a_frame_is_read_if_it_holds_what_is_wanted(level: int) -> None:
    frame = zstd.compress(b"content" * 50, level)
    assert zstd.decompress(memoryview(frame), 350) == b"content" * 50
    for size in (0, 349, 351, 2**40):
        with pytest.raises(CorruptError) as caught:
            zstd.decompress(frame, size)
        assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


@pytest.mark.parametrize("kind", ["u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8"])
@pytest.mark.parametrize("count", [1, 2, 1000])
def test_numbers_of_every_width_come_back(kind: str, count: int) -> None:
    numbers = np.random.default_rng(1).integers(0, 100, count).astype(kind)
    out = np.empty_like(numbers)
    decompress_numbers(compress_numbers(numbers), out)
    assert out.tolist() == numbers.tolist()


@pytest.mark.parametrize("kind", ["<u4", "<i2", "<i8"])
def test_numbers_of_another_type_are_refused(kind: str) -> None:
    with pytest.raises(CorruptError) as caught:
        decompress_numbers(compress_numbers(NUMBERS), np.empty(1000, kind))
    assert caught.value.reason is ErrorReason.CHUNK_CORRUPT


@pytest.mark.parametrize("count", [0, 1, 999, 1001, 5000])
def test_another_count_of_numbers_is_refused(count: int) -> None:
    with pytest.raises(CorruptError):
        decompress_numbers(compress_numbers(NUMBERS), np.empty(count, "<i4"))


def test_a_damaged_file_of_numbers_gives_numbers_or_an_error_of_ours() -> None:
    rng = np.random.default_rng(1)
    good = compress_numbers(rng.normal(0, 50, 1000).astype("<i4"))
    for _ in range(300):
        damaged = bytearray(good)
        damaged[rng.integers(0, len(good))] ^= 1 << rng.integers(0, 8)
        with contextlib.suppress(CorruptError):
            decompress_numbers(bytes(damaged), np.empty(1000, "<i4"))


def test_a_buffer_is_the_threads_own_and_is_used_again() -> None:
    here = scratch("test", np.dtype("<u4"), 10)
    assert np.shares_memory(scratch("test", np.dtype("u1"), 40), here)
    assert not np.shares_memory(scratch("other", np.dtype("u1"), 40), here)
    barrier = Barrier(2)

    def take() -> np.ndarray:
        barrier.wait(10)
        return scratch("test", np.dtype("<u4"), 10)

    with ThreadPoolExecutor(2) as pool:
        first, second = (future.result() for future in [pool.submit(take), pool.submit(take)])
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(first, here)


@pytest.mark.parametrize("count", [0, 1, 8191, 8192, 8193, 20_000])
def test_blocks_cover_every_number_once(count: int) -> None:
    words = np.arange(count, dtype="<u4")
    assert by_blocks(count, words.dtype, lambda part: words[part] + 1).tolist() == (words + 1).tolist()
