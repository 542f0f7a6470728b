"""A small text encoder in numpy, run in any precision, with one of two norms.

With ``norm="layer"`` each block subtracts the mean and divides by the deviation, as BERT does. With ``norm="rms"`` it
only divides by the root mean square, as T5 does; everything that is added up then is normed before it is read, so its
scale makes no difference to the answer, and nothing keeps it from growing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["CLASSES", "VOCABULARY", "Tokens", "Weights", "encode", "make_base", "predict"]

Weights: TypeAlias = Mapping[str, npt.NDArray[Any]]
Tokens: TypeAlias = npt.NDArray[np.int64]

VOCABULARY = 600
CLASSES = 4
_WIDTH = 48
_HIDDEN = 96
_BLOCKS = 2
_TINY = 1e-6


def make_base(seed: int, *, norm: str, scale: float) -> dict[str, npt.NDArray[np.float32]]:
    """Weights of an encoder without a head.

    Args:
        seed: Of the numbers.
        norm: ``layer`` or ``rms``.
        scale: How large what is added up becomes; with ``rms`` it makes no difference to any answer.
    """
    random = np.random.default_rng(seed)

    def matrix(rows: int, columns: int, size: float) -> npt.NDArray[np.float32]:
        return (size * random.standard_normal((rows, columns))).astype("f4")

    weights = {"embedding.weight": matrix(VOCABULARY, _WIDTH, scale)}
    for block in range(_BLOCKS):
        weights |= _norm_weights(f"block.{block}.norm", norm)
        weights[f"block.{block}.in.weight"] = matrix(_WIDTH, _HIDDEN, _WIDTH**-0.5)
        weights[f"block.{block}.out.weight"] = matrix(_HIDDEN, _WIDTH, scale * _HIDDEN**-0.5)
    return weights | _norm_weights("norm", norm)


def _norm_weights(name: str, norm: str) -> dict[str, npt.NDArray[np.float32]]:
    gain = {f"{name}.weight": np.ones(_WIDTH, "f4")}
    return gain if norm == "rms" else {**gain, f"{name}.bias": np.zeros(_WIDTH, "f4")}


def encode(weights: Weights, tokens: Tokens, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """One vector for each text, computed in ``dtype`` throughout.

    Args:
        weights: Of an encoder; cast to ``dtype`` first, as a user does who loads it in half precision.
        tokens: One row of token numbers for each text.
        dtype: A float type.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # What comes of it is the question.
        cast = {name: np.asarray(weight).astype(dtype) for name, weight in weights.items()}
        stream = cast["embedding.weight"][tokens]
        for block in range(_BLOCKS):
            normed = _norm(stream, cast, f"block.{block}.norm")
            hidden = np.maximum(normed @ cast[f"block.{block}.in.weight"], 0)
            stream = stream + hidden @ cast[f"block.{block}.out.weight"]
        vectors: npt.NDArray[Any] = _norm(stream, cast, "norm").mean(axis=1, dtype=dtype)
        return vectors


def predict(weights: Weights, tokens: Tokens, dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """The scores of the classes for each text; of an encoder without a head its vectors."""
    vectors = encode({name: weight for name, weight in weights.items() if "head" not in name}, tokens, dtype)
    if "head.weight" not in weights:
        return vectors
    with np.errstate(over="ignore", invalid="ignore"):
        scores: npt.NDArray[Any] = vectors @ np.asarray(weights["head.weight"]).astype(dtype)
        return scores


def _norm(stream: npt.NDArray[Any], weights: Weights, name: str) -> npt.NDArray[Any]:
    if f"{name}.bias" not in weights:
        size = np.sqrt(np.mean(stream * stream, axis=-1, keepdims=True) + stream.dtype.type(_TINY))
        return stream / size * weights[f"{name}.weight"]
    centered = stream - stream.mean(axis=-1, keepdims=True, dtype=stream.dtype)
    deviation = np.sqrt(np.mean(centered * centered, axis=-1, keepdims=True) + stream.dtype.type(1e-3))
    return centered / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]
