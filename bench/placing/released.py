"""The rule of MGit's released code for a model's parent, written anew from its description: one parent, by layers.

Every model is compared with every other, layer by layer in order. The least share of layers that differ in shape or
content decides if it lies strictly between 0 and 1; else the least share that differ in shape, if below 1; else the
model is a root. Of equals the newest wins.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from bench.placing.families import PoolModel, Tensors

from mgit_core.digest import DigestAlgorithm, digest_of

__all__ = ["Layers", "find_parent_as_released", "layers_of", "score_released"]

Layers = tuple[list[tuple[int, ...]], list[tuple[tuple[int, ...], bytes]]]
"""Shapes of the tensors in order, and shapes with digests."""


def layers_of(tensors: Tensors) -> Layers:
    """What the rule knows of a model."""
    shapes = [array.shape for array in tensors.values()]
    digests = [digest_of(DigestAlgorithm.BLAKE3, array.tobytes()) for array in tensors.values()]
    return shapes, list(zip(shapes, digests, strict=True))


def find_parent_as_released(model: Layers, others: Mapping[str, Layers]) -> str | None:
    """Name of the parent among earlier models, oldest first; None for a root."""
    if not others:
        return None
    names = list(others)[::-1]
    contextual = {name: _changed(model[1], others[name][1]) for name in names}
    best = min((name for name in names if 0 < contextual[name] < 1), key=contextual.__getitem__, default=None)
    if best is not None:
        return best
    structural = {name: _changed(model[0], others[name][0]) for name in names}
    best = min(names, key=structural.__getitem__)
    return best if structural[best] < 1 else None


def _changed(ours: Sequence[object], theirs: Sequence[object]) -> float:
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    return (len(ours) + len(theirs) - 2 * same) / max(1, len(ours) + len(theirs))


def score_released(models: Sequence[PoolModel]) -> tuple[int, int]:
    """How many models it places right, roots included, and of how many; duplicates do not count."""
    layers: dict[str, Layers] = {}
    right = counted = 0
    for model in models:
        own = layers_of(model.tensors)
        if model.kinship is None or model.kinship.value != "duplicate":
            found = find_parent_as_released(own, layers)
            counted += 1
            right += found in model.parents if model.parents else found is None
        layers[model.name] = own
    return right, counted
