"""Compares what a creation function gives with a model: by digest, and where that differs item by item."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mgit.creating.rebuilds import Rebuild, RebuildOutcome, TensorDifference
from mgit.cutting import cut_source
from mgit.forms import without_tied_copies
from mgit.frameworks.source import Source
from mgit.model import Model
from mgit.running.weights import ModelWeights, SourceWeights, Weights
from mgit_core.lineage import ModelSummary
from mgit_core.tensor import AnyArray, TensorSpec

__all__ = ["compare_source", "largest_difference"]


def compare_source(model: Model, source: Source, tolerance: float) -> Rebuild:
    """How ``source`` compares with ``model``. Memory: two windows of 16 MiB, whatever the size of the model.

    Args:
        model: The recorded model.
        source: What came now.
        tolerance: Largest relative difference of a tensor that is still the same; 0 means bit for bit.

    Raises:
        MGitError: As reading the model does.
    """
    listing = model.content.listing
    cut = without_tied_copies(cut_source(source, listing.manifest.algorithm), listing)
    recorded = {each.name: each for each in listing.manifest.parameters}
    rebuilt = {each.name: each for each in cut.manifest.parameters}
    common = [name for name in recorded if name in rebuilt]
    reshaped = {
        name: (_told(recorded[name].spec), _told(rebuilt[name].spec))
        for name in common
        if recorded[name].spec != rebuilt[name].spec
    }
    then, now = ModelWeights(model), SourceWeights(source, {})
    differences = [
        largest_difference(name, then, now)
        for name in common
        if name not in reshaped and recorded[name].digest != rebuilt[name].digest
    ]
    missing = tuple(name for name in recorded if name not in rebuilt)
    unexpected = tuple(name for name in rebuilt if name not in recorded)
    has_others = bool(missing or unexpected or reshaped)
    return Rebuild(
        model=ModelSummary(
            uid=model.uid,
            name=model.name,
            version=model.version,
            state=model.state,
            created_at=model.created_at,
        ),
        outcome=RebuildOutcome.OTHER_PARAMETERS if has_others else _judge(differences, tolerance),
        tolerance=tolerance,
        tensor_count=len(recorded),
        differences=tuple(sorted(differences, key=lambda each: -each.largest_relative)),
        missing=missing,
        unexpected=unexpected,
        reshaped=reshaped,
    )


def largest_difference(name: str, then: Weights, now: Weights) -> TensorDifference:
    """How far a parameter of ``now`` is from that of ``then``, which has its shape and data type.

    Two items that are both NaN do not differ; of a complex number the modulus counts.
    """
    largest, scale = 0.0, 0.0
    for before, after in zip(then.blocks(name), now.blocks(name), strict=True):
        largest = max(largest, _distance(before, after))
        scale = max(scale, _magnitude(before))
    relative = largest / scale if scale else (math.inf if largest else 0.0)
    return TensorDifference(name=name, largest_absolute=largest, largest_relative=relative)


def _judge(differences: list[TensorDifference], tolerance: float) -> RebuildOutcome:
    if not differences:
        return RebuildOutcome.IDENTICAL
    if tolerance > 0 and all(each.largest_relative <= tolerance for each in differences):
        return RebuildOutcome.WITHIN_TOLERANCE
    return RebuildOutcome.DIFFERENT


def _distance(before: AnyArray, after: AnyArray) -> float:
    if before.dtype.kind in "iub":
        # Differences of 64-bit numbers do not fit a float, nor always their own type.
        high, low = np.maximum(before, after), np.minimum(before, after)
        return float(np.max(high.astype(np.uint64) - low.astype(np.uint64), initial=0))
    wide = np.complex128 if before.dtype.kind == "c" else np.float64
    one, other = before.astype(wide), after.astype(wide)
    with np.errstate(invalid="ignore", over="ignore"):
        gaps: Any = np.abs(one - other)
    gaps[(one == other) | (np.isnan(one) & np.isnan(other))] = 0.0
    gaps[np.isnan(gaps)] = math.inf
    return float(np.max(gaps, initial=0.0))


def _magnitude(block: AnyArray) -> float:
    """The largest finite item, by its absolute value."""
    wide = np.complex128 if block.dtype.kind == "c" else np.float64
    sizes: Any = np.abs(block.astype(wide))
    return float(np.max(sizes[np.isfinite(sizes)], initial=0.0))


def _told(spec: TensorSpec) -> str:
    return f"{spec.dtype} {list(spec.shape)}"
