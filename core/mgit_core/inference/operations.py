"""What was done to a relative, told from blocks of both: rounded, pruned, changed in few dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mgit_core.inference.distances import cosine, rounding_noise
from mgit_core.inference.samples import Numbers, SampledModel, numbers_of, rows_of
from mgit_core.prediction.low_rank import visible_rank
from mgit_core.tensor import AnyArray, dtype_named

__all__ = [
    "LowRankChange",
    "Zeros",
    "compare_zeros",
    "find_low_rank",
    "find_rounding",
    "learned_alike",
    "new_heads",
]

# One item in a thousand may differ: other libraries round halfway cases otherwise.
_ROUNDED = 0.999
_FEW_ITEMS = 256
_NARROW = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
# Adapters leave no tensor with more dimensions than this share of what a block could have.
_MOST_LOW_RANK_EXCEPTIONS = 0.1
_NEW = 0.15
_LEAST_DIRECTIONS, _STRONG = 16, 3
# Embeddings hardly move in a short training, and say less of what was learned than the other matrices.
_LOWER_QUARTER = 0.25
_RELATED = 0.5


@dataclass(frozen=True, slots=True)
class LowRankChange:
    """That the matrices which differ do so in few dimensions.

    Attributes:
        rank: The largest number of dimensions.
        tensors: In how many matrices.
    """

    rank: int
    tensors: int


@dataclass(frozen=True, slots=True)
class Zeros:
    """Zeros in the matrices of a model and of a relative.

    Attributes:
        own: Share of the model's items that are zero.
        relative: Share of the relative's.
        kept: Share of the relative's zeros that are zero in the model too; 1.0 if it has none.
        is_exact: Whether all items agree that are zero in neither.
        growth: How large the items are that are zero in the relative alone, beside how much the others differ:
            about 1 or less where training moved them away from zero, large where pruning took them.
    """

    own: float
    relative: float
    kept: float
    is_exact: bool
    growth: float


def find_rounding(model: SampledModel, source: SampledModel, names: Sequence[str]) -> str | None:
    """The data type to which all of ``source`` was rounded to give the model; None if it was not.

    The model's own type, or a narrower one whose values it keeps in a wider type. Two models that are equal as
    they stand give None.
    """
    differing = [name for name in names if not _same(model.blocks[name], source.blocks[name])]
    if not differing:
        return None
    types = {model.blocks[name].dtype.name for name in differing}
    if len(types) != 1:
        return None
    own_type = types.pop()
    for dtype in dict.fromkeys((own_type, *_NARROW)):
        if dtype == own_type and all(source.blocks[name].dtype.name == own_type for name in differing):
            continue
        if all(_is_rounded(model.blocks[name], source.blocks[name], dtype) for name in differing):
            return dtype
    return None


def compare_zeros(model: SampledModel, relative: SampledModel, names: Sequence[str]) -> Zeros:
    """The zeros of both in the tensors called ``names``."""
    if not any(_has_zeros(each.blocks[name]) for name in names for each in (model, relative)):
        # Most models have none, and then nothing has to be scaled.
        is_exact = all(_is_equal(model.blocks[name], relative.blocks[name]) for name in names)
        return Zeros(own=0.0, relative=0.0, kept=1.0, is_exact=is_exact, growth=0.0)
    own = np.concatenate([_scaled(model.blocks[name], model.blocks[name]) for name in names])
    theirs = np.concatenate([_scaled(relative.blocks[name], model.blocks[name]) for name in names])
    zero, their_zero = own == 0, theirs == 0
    both = ~zero & ~their_zero
    moved = own[both] - theirs[both]
    grown = own[their_zero & ~zero]
    step = float(np.sqrt(np.mean(moved**2))) if moved.size else 0.0
    size = float(np.sqrt(np.mean(grown**2))) if grown.size else 0.0
    return Zeros(
        own=float(zero.mean()),
        relative=float(their_zero.mean()),
        kept=float(zero[their_zero].mean()) if their_zero.any() else 1.0,
        is_exact=not moved.any(),
        growth=size / step if step else (np.inf if size else 0.0),
    )


def find_low_rank(
    model: SampledModel, relative: SampledModel, shapes: dict[str, tuple[int, ...]]
) -> LowRankChange | None:
    """How few dimensions the differences have; None if some have many, or nothing differs.

    Args:
        model: The model.
        relative: What it is compared with.
        shapes: Shapes of the tensors that are compared, by name.
    """
    ranks: list[int] = []
    for difference, noise in _differences(model, relative, shapes):
        floor = 16 * noise / max(1, difference.size)
        # What rounding left of an unchanged row is no change.
        rows = difference[np.mean(difference**2, axis=1) > floor]
        if len(rows):
            ranks.append(visible_rank(rows))
        # Training is known by the first few matrices.
        if ranks.count(0) > _MOST_LOW_RANK_EXCEPTIONS * len(shapes):
            return None
    seen = [rank for rank in ranks if rank]
    if not seen or ranks.count(0) > _MOST_LOW_RANK_EXCEPTIONS * len(ranks):
        return None
    return LowRankChange(rank=max(seen), tensors=len(seen))


def learned_alike(
    model: SampledModel, relative: SampledModel, shapes: dict[str, tuple[int, ...]]
) -> tuple[float, float]:
    """How much the model keeps of the relative's strongest directions, and of its weak ones; 1.0 is all.

    Training makes few directions strong and leaves the rest near its first random values. A child keeps both.
    Two models that were trained apart from the same first values have the rest in common, and not what was learned.
    Each is the lower quarter over matrices.
    (1.0, 1.0) if no block is large enough to tell.
    """
    strong: list[float] = []
    weak: list[float] = []
    for name, shape in shapes.items():
        _, columns = rows_of(shape)
        source = numbers_of(relative.blocks[name])
        rows = source.size // columns
        if min(rows, columns) < _LEAST_DIRECTIONS:
            continue
        source = source.reshape(rows, columns)
        own = numbers_of(model.blocks[name]).reshape(rows, columns)
        left, sizes, right = np.linalg.svd(source - source.mean(axis=0), full_matrices=False)
        own = own - own.mean(axis=0)
        kept = np.einsum("ik,ij,kj->k", left, own, right, optimize=True) * sizes
        half = len(sizes) // 2
        strong.append(float(kept[:_STRONG].sum() / (sizes[:_STRONG] ** 2).sum()))
        weak.append(float(kept[half:].sum() / max(1e-30, (sizes[half:] ** 2).sum())))
    if not strong:
        return 1.0, 1.0
    return float(np.quantile(strong, _LOWER_QUARTER)), float(np.quantile(weak, _LOWER_QUARTER))


def new_heads(model: SampledModel, relative: SampledModel, names: Sequence[str]) -> list[str]:
    """Names of tensors that have nothing in common with the relative's while most of the others do."""
    cosines = {name: cosine(model.blocks[name], relative.blocks[name]) for name in names}
    strange = [name for name, value in cosines.items() if value < _NEW]
    alike = sum(value > _RELATED for value in cosines.values())
    return strange if alike > len(strange) else []


def _differences(
    model: SampledModel, relative: SampledModel, shapes: dict[str, tuple[int, ...]]
) -> Iterator[tuple[Numbers, float]]:
    """Each difference as whole rows of a matrix, and what rounding alone would make of it, squared."""
    for name, shape in shapes.items():
        block, other = model.blocks[name], relative.blocks[name]
        _, columns = rows_of(shape)
        own = numbers_of(block)
        whole = own.size // columns * columns
        if whole:
            difference = (own - numbers_of(other))[:whole].reshape(-1, columns)
            noise = max(rounding_noise(each.dtype.name, own) for each in (block, other))
            yield difference, noise


def _same(one: AnyArray, other: AnyArray) -> bool:
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def _has_zeros(block: AnyArray) -> bool:
    # What is no number counts as zero.
    return not (np.all(block) and np.all(np.isfinite(block)))


def _is_equal(one: AnyArray, other: AnyArray) -> bool:
    return np.array_equal(numbers_of(one), numbers_of(other))


def _is_rounded(block: AnyArray, source: AnyArray, dtype: str) -> bool:
    # A few items tell most models apart, without the rounding of all.
    for step in (max(1, block.size // _FEW_ITEMS), 1):
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = source[::step].astype(dtype_named(dtype)).astype(block.dtype)
        if float(np.mean(_equal(rounded, block[::step]))) < _ROUNDED:
            return False
    return True


def _equal(one: AnyArray, other: AnyArray) -> npt.NDArray[np.bool_]:
    # NaN is what differs from itself, in types too that numpy has no test for.
    are_none = np.logical_and(one != one, other != other)  # noqa: PLR0124 - as said
    return np.asarray(np.logical_or(one == other, are_none), np.bool_)


def _scaled(block: AnyArray, by: AnyArray) -> Numbers:
    """A block beside the size of the model's, so that tensors can stand in one row."""
    own = numbers_of(by)
    return numbers_of(block) / (float(np.sqrt(np.mean(own**2))) or 1.0)
