"""Numbers for conflicts: against references written with plain numpy, and bit for bit the same for swapped sides."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mgit_core.coding.numbers import NumberFormat, format_of_dtype
from mgit_core.merge.computing import average, find_threshold, largest_kept, task_arithmetic, ties
from mgit_core.tensor import name_of_dtype

FLOATS = [
    NumberFormat.FLOAT16,
    NumberFormat.BFLOAT16,
    NumberFormat.FLOAT32,
    NumberFormat.FLOAT64,
    NumberFormat.FLOAT8_E4M3FN,
]
TYPES = [np.dtype(kind) for kind in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)]
COUNT = 24


def chunks(numbers: NumberFormat) -> st.SearchStrategy[list[bytes]]:
    """Base, ours and theirs of any bits: NaN, infinities and subnormal numbers among them."""
    size = COUNT * numbers.width
    return st.lists(st.binary(min_size=size, max_size=size), min_size=3, max_size=3)


def thresholds(numbers: NumberFormat, three: Sequence[bytes], density: float) -> tuple[int, int]:
    base, ours, theirs = three
    kept = largest_kept(len(base) // numbers.width, density)
    return (
        find_threshold(numbers, lambda: [(base, ours)], kept),
        find_threshold(numbers, lambda: [(base, theirs)], kept),
    )


def ties_of(numbers: NumberFormat, three: Sequence[bytes], density: float, scale: float) -> bytes:
    return ties(numbers, thresholds(numbers, three, density), scale).of(three)


@pytest.mark.parametrize("numbers", FLOATS)
def test_the_order_of_sides_does_not_matter(numbers: NumberFormat) -> None:
    @settings(max_examples=25, deadline=None)
    @given(chunks(numbers), st.sampled_from((1.0, 0.3)), st.sampled_from((0.2, 0.5, 1.0)))
    def check(three: list[bytes], scale: float, density: float) -> None:
        base, ours, theirs = three
        assert average(numbers).of((ours, theirs)) == average(numbers).of((theirs, ours))
        tasks = task_arithmetic(numbers, scale)
        assert tasks.of((base, ours, theirs)) == tasks.of((base, theirs, ours))
        swapped = ties_of(numbers, (base, theirs, ours), density, scale)
        assert ties_of(numbers, (base, ours, theirs), density, scale) == swapped

    check()


@pytest.mark.parametrize("numbers", FLOATS)
def test_ties_leaves_alone_what_nobody_changed(numbers: NumberFormat) -> None:
    """Bit for bit: infinities of a mask and the payload of a NaN too."""

    @settings(max_examples=20, deadline=None)
    @given(chunks(numbers))
    def check(three: list[bytes]) -> None:
        base, ours, _ = three
        assert base == ties_of(numbers, (base, base, base), 0.2, 1.0)
        assert ours == ties_of(numbers, (base, ours, base), 1.0, 1.0) or has_nan(numbers, base, ours)

    check()


def has_nan(numbers: NumberFormat, *contents: bytes) -> bool:
    """Whether a change is no number: NaN becomes the one NaN, and infinity less infinity is one."""
    kinds = {format_of_dtype(name_of_dtype(kind)): kind for kind in TYPES}
    if numbers not in kinds:
        return True
    with np.errstate(invalid="ignore"):
        values = [np.frombuffer(content, kinds[numbers]).astype(np.float64) for content in contents]
    return not all(np.isfinite(each).all() for each in values)


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_mean_and_task_arithmetic_are_rounded_once(kind: np.dtype[np.generic]) -> None:
    base, ours, theirs = (np.random.default_rng(seed).normal(0, 1, 500).astype(kind) for seed in range(3))
    numbers = format_of_dtype(name_of_dtype(kind))
    wide = np.float64 if kind == np.float64 else np.float32
    old, mine, other = (array.astype(wide) for array in (base, ours, theirs))
    raw = [array.tobytes() for array in (base, ours, theirs)]
    assert ((mine + other) / wide(2)).astype(kind).tobytes() == average(numbers).of(raw[1:])
    wanted = (old + (wide(0.7) * (mine - old) + wide(0.7) * (other - old))).astype(kind)
    assert wanted.tobytes() == task_arithmetic(numbers, 0.7).of(raw)


@pytest.mark.parametrize("kind", TYPES, ids=str)
@pytest.mark.parametrize("density", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("scale", [1.0, 0.4])
def test_ties_is_what_its_authors_say(kind: np.dtype[np.generic], density: float, scale: float) -> None:
    """Trim by magnitude, elect the sign of the sum, take the mean of what has it: number by number in plain Python."""
    base, ours, theirs = (np.random.default_rng(seed).normal(0, 1, 400).astype(kind) for seed in range(3))
    numbers = format_of_dtype(name_of_dtype(kind))
    wide = np.float64 if kind == np.float64 else np.float32
    old = base.astype(wide)
    changes = [side.astype(wide) - old for side in (ours, theirs)]
    for change in changes:
        least = np.sort(np.abs(change))[-largest_kept(400, density)]
        change[np.abs(change) < least] = 0
    wanted = base.copy()
    for at in range(400):
        sign = np.sign(changes[0][at] + changes[1][at])
        counted = [change[at] for change in changes if change[at] and np.sign(change[at]) == sign]
        if len(counted) == 1 and scale == 1:
            wanted[at] = (ours if counted[0] == changes[0][at] else theirs)[at]
        elif counted:
            mean = sum(counted) / wide(len(counted))
            wanted[at] = (old[at] + wide(scale) * mean).astype(kind)
    found = ties_of(numbers, [array.tobytes() for array in (base, ours, theirs)], density, scale)
    assert wanted.tobytes() == found


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), kept=st.integers(1, 300), digits=st.integers(0, 6))
def test_a_threshold_is_the_magnitude_that_sorting_finds(
    kind: type, seed: int, kept: int, digits: int
) -> None:
    """Also with many equal magnitudes, and over several chunks."""
    random = np.random.default_rng(seed)
    side = np.round(random.normal(0, 1, 300), digits).astype(kind)
    base = np.zeros(300, kind)
    cuts = [0, 64, 200, 300]
    pairs = [(base[start:stop].tobytes(), side[start:stop].tobytes()) for start, stop in pairwise(cuts)]
    numbers = format_of_dtype(np.dtype(kind).name)
    found = find_threshold(numbers, lambda: iter(pairs), kept)
    word = np.uint32 if kind is np.float32 else np.uint64
    assert np.sort(np.abs(side))[-kept] == np.array([found], word).view(kind)[0]


def test_what_is_not_a_number_stays_visible() -> None:
    base = np.zeros(4, np.float32)
    ours = np.array([np.nan, 1, 2, 0], np.float32)
    theirs = np.array([1, 1, -2, 0], np.float32)
    found = np.frombuffer(
        ties_of(NumberFormat.FLOAT32, [each.tobytes() for each in (base, ours, theirs)], 1.0, 1.0), np.float32
    )
    np.testing.assert_array_equal(np.array([np.nan, 1, 0, 0], np.float32), found)


@pytest.mark.parametrize(
    ("count", "density", "wanted"), [(1, 0.2, 1), (10, 0.2, 2), (3, 1.0, 3), (1000, 0.0001, 1)]
)
def test_something_of_every_tensor_is_kept(count: int, density: float, wanted: int) -> None:
    assert wanted == largest_kept(count, density)
