"""The pool: three bases, and what was really made from them; eight models fail in half precision.

The failing ones are those that hold the large weights of ``t5``. Its student learned from its answers and has weights
of its own, so it is well: whether a fault is inherited is a question of how a model was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from examples.half_precision.network import (
    CLASSES,
    VOCABULARY,
    Tokens,
    Weights,
    encode,
    make_base,
    predict,
)

__all__ = ["POOL", "PoolMember", "make_pool", "sample_texts"]

_TEXTS = 400
_LENGTH = 12
_STEPS = 200
_RATE = 0.5

Arrays = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMember:
    """A model of the pool, and how it is made.

    Attributes:
        name: Its name.
        relation: How it is made from its parents; empty for a base.
        parents: Names of members that come before it.
        seed: Of its task, or of its weights if it is a base.
        norm: Of a base or a student: ``layer`` or ``rms``.
        scale: Of a base or a student: how large what its blocks add up becomes.
    """

    name: str
    relation: str = ""
    parents: tuple[str, ...] = ()
    seed: int = 0
    norm: str = "layer"
    scale: float = 0.1


def _family(base: PoolMember, tasks: Sequence[str]) -> list[PoolMember]:
    """A base with a model for each task, one of them pruned, and the average of the first two."""
    tuned = [
        PoolMember(name=f"{base.name}-{task}", relation="finetuned", parents=(base.name,), seed=seed)
        for seed, task in enumerate(tasks)
    ]
    first, second = tuned[:2]
    pruned = PoolMember(name=f"{first.name}-sparse", relation="pruned", parents=(first.name,))
    soup = PoolMember(name=f"{base.name}-soup", relation="merged", parents=(first.name, second.name))
    return [base, *tuned, pruned, soup]


POOL: tuple[PoolMember, ...] = (
    *_family(PoolMember(name="bert", seed=1), ("news", "spam", "mood", "topic", "tone", "rank")),
    *_family(PoolMember(name="roberta", seed=2), ("news", "spam", "mood", "topic", "tone")),
    *_family(
        PoolMember(name="t5", seed=3, norm="rms", scale=60_000.0), ("news", "spam", "mood", "topic", "tone")
    ),
    PoolMember(name="t5-student", relation="distilled", parents=("t5-news",), seed=4),
)


def make_pool(members: Sequence[PoolMember] = POOL) -> dict[str, Arrays]:
    """The weights of every member, by name: bases drawn, the others computed from their parents."""
    made: dict[str, Arrays] = {}
    for member in members:
        made[member.name] = _make(member, [made[name] for name in member.parents])
    return made


def sample_texts(seed: int) -> Tokens:
    """Texts as rows of token numbers."""
    return np.random.default_rng(seed).integers(0, VOCABULARY, (_TEXTS, _LENGTH))


def _make(member: PoolMember, parents: Sequence[Arrays]) -> Arrays:
    if member.relation == "finetuned":
        return _with_head(parents[0], _task_labels(member.seed))
    if member.relation == "pruned":
        return {name: _pruned(weight) for name, weight in parents[0].items()}
    if member.relation == "merged":
        return {
            name: np.mean([parent[name] for parent in parents], axis=0, dtype="f4") for name in parents[0]
        }
    base = make_base(member.seed, norm=member.norm, scale=member.scale)
    return _with_head(base, _answers(parents[0])) if member.relation == "distilled" else base


def _task_labels(seed: int) -> npt.NDArray[np.int64]:
    """A class for each text: the one that most of its words speak for."""
    speaks_for = np.random.default_rng([seed, 7]).standard_normal((VOCABULARY, CLASSES))
    return speaks_for[sample_texts(0)].sum(axis=1).argmax(axis=1)


def _answers(teacher: Weights) -> npt.NDArray[np.int64]:
    return predict(teacher, sample_texts(0)).argmax(axis=1)


def _with_head(base: Mapping[str, npt.NDArray[np.float32]], labels: npt.NDArray[np.int64]) -> Arrays:
    """The encoder with a head that was trained on its vectors, by gradient descent on the log loss."""
    vectors = encode(base, sample_texts(0)).astype("f8")
    wanted = np.eye(CLASSES)[labels]
    head = np.zeros((vectors.shape[1], CLASSES))
    for _ in range(_STEPS):
        scores = vectors @ head
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        head -= _RATE * vectors.T @ (shares - wanted) / len(labels)
    return {**base, "head.weight": head.astype("f4")}


def _pruned(weight: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The smaller half of the weights of a matrix as zeros."""
    if weight.ndim < 2:
        return weight
    return np.where(np.abs(weight) < np.median(np.abs(weight)), np.float32(0), weight)
