"""The choice of hypotheses for one tensor, by a sample of its rows.

A sample is only a hint: what is chosen is tried by the writer, which keeps the smallest. So a wrong choice costs
bytes, and never a bit of the content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from typing_extensions import Buffer

from mgit_core.coding.encoded import Predictor
from mgit_core.coding.numbers import NumberFormat, format_of_dtype
from mgit_core.coding.plans import Effort
from mgit_core.digest import Digest
from mgit_core.lineage import Relation
from mgit_core.prediction.hypotheses import Hypothesis
from mgit_core.prediction.low_rank_trials import LowRankTrials
from mgit_core.prediction.sampled import SampledTensor
from mgit_core.prediction.sources import SourceTensor
from mgit_core.prediction.trials import Trials, base_of
from mgit_core.tensor import TensorSpec

__all__ = ["Adapter", "Candidate", "Choice", "Target", "choose"]

# Relations whose child is the parent with other numbers: nothing but the parent is tried in an upload.
_PLAIN = frozenset({Relation.FINETUNED, Relation.DISTILLED, Relation.DERIVED, None})
_ROUNDED = frozenset({Relation.CAST, Relation.QUANTIZED})
_COMBINED = frozenset({Relation.MERGED, Relation.AGGREGATED})
_LOW_RANK = frozenset({Relation.ADAPTED, Relation.MERGED})
_DECLARED_HOPS = 1
# Whatever is behind these was found by likeness, or is far; each costs the reading of a chunk.
_MOST_STRANGERS = 3
_MOST_MEMBERS = 8
_MOST_DENSE = 4
# A second one is tried where the sample does not tell the two apart clearly.
_CLOSE = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The tensor that is to be predicted.

    Attributes:
        spec: Data type and shape of the whole tensor.
        contents: Raw bytes of the chunks that are at hand, by position; at least one.
    """

    spec: TensorSpec
    contents: Mapping[int, Buffer]

    @property
    def numbers(self) -> NumberFormat:
        """What its bytes mean."""
        return format_of_dtype(self.spec.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A relative's tensor that stands for the target.

    Attributes:
        source: The tensor.
        relation: How the target's model was made from the relative, None if nobody says.
        weight: Declared share of the relative.
        hops: Edges to the relative.
    """

    source: SourceTensor
    relation: Relation | None = None
    weight: float | None = None
    hops: int = 1


@dataclass(frozen=True, slots=True)
class Adapter:
    """A relative's factors for the target: their product, ``left`` times ``right``, is added to it."""

    left: SourceTensor
    right: SourceTensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is to be tried for a tensor.

    Attributes:
        hypotheses: Best first; the plain relatives by distance where nothing was judged.
        factors: Chunks that hypotheses start from and that no model has, by digest.
    """

    hypotheses: tuple[Hypothesis, ...]
    factors: Mapping[Digest, bytes] = field(default_factory=dict)


def choose(
    target: Target,
    candidates: Sequence[Candidate],
    adapters: Sequence[Adapter],
    *,
    effort: Effort,
    digest_of: Callable[[bytes], Digest],
) -> Choice:
    """The hypotheses for a tensor.

    Args:
        target: The tensor.
        candidates: Nearest first, declared ones in their order.
        adapters: Factors that relatives have for it.
        effort: FAST gives one or two, and looks at a sample only where that promises something; DENSE up to four.
        digest_of: Names factors that are found.

    Raises:
        MGitError: As the sources are read.
    """
    plain = [base for each in candidates if (base := base_of(target.spec, each.source)) is not None]
    search = _Search(candidates, adapters, effort)
    if not candidates or (search.is_plain and plain):
        return Choice(hypotheses=tuple(plain))
    tensor = SampledTensor(target.spec, target.contents, is_dense=effort is Effort.DENSE)
    low_rank = LowRankTrials(tensor, digest_of)
    tried: list[Hypothesis] = []
    # Weights may be any bit patterns. What overflows here makes a bad hypothesis, which is judged as one.
    with np.errstate(all="ignore"):
        for hypothesis in search.run(tensor, Trials(tensor), low_rank):
            tried.append(hypothesis)
            if hypothesis.cost == 0:
                break
    tried.sort(key=lambda hypothesis: hypothesis.cost)
    chosen = _best(tried, effort)
    # What was judged may rest on more chunks than the writer lets a read decode: an older relative rests on fewer.
    known = [each.parts for each in chosen if each.predictor == Predictor.BASE]
    behind = tuple(base for base in plain if base.parts not in known)
    return Choice(hypotheses=chosen + behind, factors=low_rank.factors)


def _best(tried: Sequence[Hypothesis], effort: Effort) -> tuple[Hypothesis, ...]:
    """The best, those that are close to it, and plain ones in case the best cannot be had for some chunk."""
    if not tried:
        return ()
    best = tried[0]
    close = [each for each in tried[1:] if each.cost <= best.cost * _CLOSE] if effort is Effort.DENSE else []
    chosen = [best, *close][: _MOST_DENSE - 1]
    chosen += [each for each in tried if each.predictor == Predictor.BASE and each not in chosen]
    return tuple(chosen)


class _Search:
    """Which hypotheses are tried, in which order: what the relations promise comes first."""

    def __init__(self, candidates: Sequence[Candidate], adapters: Sequence[Adapter], effort: Effort) -> None:
        self._candidates = candidates
        self._adapters = adapters
        self._is_dense = effort is Effort.DENSE
        self._declared = [each for each in candidates if each.hops <= _DECLARED_HOPS]
        self._others = [each for each in candidates if each.hops > _DECLARED_HOPS][:_MOST_STRANGERS]
        self._relations = {each.relation for each in self._declared}

    @property
    def is_plain(self) -> bool:
        """Whether the nearest relative can be taken unseen: a look at it would cost as much as it saves."""
        return not self._is_dense and self._relations <= _PLAIN and not self._adapters

    def run(self, tensor: SampledTensor, trials: Trials, low_rank: LowRankTrials) -> Iterator[Hypothesis]:
        """The hypotheses, judged."""
        yield from self._roundings(tensor, trials)
        yield from self._combinations(tensor, trials)
        bases = list(_bases(tensor, self._declared or self._candidates[:1]))
        if not any(base.cost < tensor.poor_cost for base in bases):
            # The declared parent is none: older ancestors, and whoever is alike.
            bases += _bases(tensor, self._others)
        yield from bases
        best = min(bases, key=lambda base: base.cost, default=None)
        if best is not None and best.cost > 0:
            yield from self._improved(trials, low_rank, best)
        if self._is_dense:
            for each in self._others:
                yield from trials.casts(each.source)

    def _roundings(self, tensor: SampledTensor, trials: Trials) -> Iterator[Hypothesis]:
        for each in self._declared:
            if self._is_dense or each.relation in _ROUNDED or base_of(tensor.spec, each.source) is None:
                yield from trials.casts(each.source)

    def _improved(self, trials: Trials, low_rank: LowRankTrials, base: Hypothesis) -> Iterator[Hypothesis]:
        """The base with zeros in it, times a factor, or with a product of thin matrices added."""
        if self._is_dense or Relation.PRUNED in self._relations:
            yield from trials.masks(base)
        if self._is_dense:
            # Byte planes gain nothing from it: what is left is small, but of either sign.
            yield from trials.scales(base)
        if self._is_dense or self._relations & _LOW_RANK or self._adapters:
            yield from low_rank.run(base, [(each.left, each.right) for each in self._adapters])

    def _combinations(self, tensor: SampledTensor, trials: Trials) -> Iterator[Hypothesis]:
        merged = [each for each in self._declared if each.relation in _COMBINED]
        if not merged and self._is_dense and len(self._declared) != 1:
            # Nobody says that it is a merge. Of one declared parent it is none.
            merged = self._declared or self._others
        members = [each for each in merged if each.source.spec == tensor.spec][:_MOST_MEMBERS]
        if not members:
            return
        weights = [each.weight for each in members if each.weight is not None]
        declared = weights if len(weights) == len(members) else None
        sources = [each.source for each in members]
        found = trials.combinations(sources, declared) if len(members) > 1 else []
        yield from found
        others = [
            each for each in self._candidates if each not in members and each.source.spec == tensor.spec
        ]
        if others and not any(each.cost == 0 for each in found):
            # What the members were made from themselves: task arithmetic starts there.
            yield from trials.combinations(sources, declared, others[0].source)


def _bases(tensor: SampledTensor, candidates: Sequence[Candidate]) -> Iterator[Hypothesis]:
    for each in candidates:
        base = base_of(tensor.spec, each.source)
        if base is not None:
            yield replace(base, cost=tensor.cost(base))
