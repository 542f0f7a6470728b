"""Plans for the chunks of a tensor: which predictions the writer is to try."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import Buffer

from mgit_core.chunking import CHUNK_BYTES, chunk_ranges
from mgit_core.coding.encoded import Predictor
from mgit_core.coding.numbers import format_of_dtype
from mgit_core.coding.plans import (
    DECODED_PER_BYTE,
    DECODED_PER_CAST_BYTE,
    DECODED_TIMES_FOR_LITTLE,
    LITTLE,
    ChunkPlan,
    Effort,
    Prediction,
)
from mgit_core.coding.predictors import lattice
from mgit_core.digest import Digest, digest_of
from mgit_core.errors import CorruptError, NotFoundError
from mgit_core.manifest import Parameter
from mgit_core.ports.chunks import ChunkStore
from mgit_core.prediction.choosing import Adapter, Candidate, Choice, Target, choose
from mgit_core.prediction.hypotheses import Hypothesis, Part
from mgit_core.prediction.relatives import Relative
from mgit_core.prediction.sources import ChunkRead, source_of
from mgit_core.tensor import TensorSpec

__all__ = ["LatticeBase", "TensorPlan", "TensorPlanner"]

# What one plan looks at is asked for row by row; a chunk is read once for all of its rows.
_CHUNKS_AT_HAND = 8
_MOST_CANDIDATES = 12
_MOST_PREDICTIONS = {Effort.FAST: 2, Effort.DENSE: 4}


@dataclass(frozen=True, slots=True)
class _Proposal:
    """A way to predict a chunk, whether a sample spoke for it, and whether it said that little is left."""

    prediction: Prediction
    is_judged: bool
    leaves_little: bool


@dataclass(frozen=True, slots=True)
class LatticeBase:
    """Where guarded loss began with a tensor.

    Attributes:
        parameter: The base, of the tensor's type and shape.
        step: The tensor is the base plus whole multiples of it.
    """

    parameter: Parameter
    step: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlan:
    """How the chunks of a tensor are to be written.

    Attributes:
        chunks: A plan for each chunk that was asked for, by its position in the tensor.
        factors: Chunks of width 4 that the plans refer to. Write them first, with the same writer, without a
            plan.
    """

    chunks: Mapping[int, ChunkPlan]
    factors: tuple[bytes, ...] = ()


class TensorPlanner:
    """Plans the chunks of one model. Thread-safe; blocks, since it reads what it predicts from."""

    def __init__(
        self,
        chunks: ChunkStore,
        relatives: Sequence[Relative],
        effort: Effort,
        *,
        lattices: Mapping[str, LatticeBase] | None = None,
    ) -> None:
        """A planner for the tensors of one model.

        Args:
            chunks: Where the relatives' chunks are.
            relatives: Nearest first.
            effort: How hard to try.
            lattices: Bases of guarded loss, by parameter name.
        """
        self._chunks = chunks
        self._relatives = tuple(relatives)
        self._effort = effort
        self._lattices = dict(lattices or {})
        self._unused: dict[str, None] = {}

    @property
    def unused_lattices(self) -> tuple[str, ...]:
        """Parameters that were planned and whose lattice could not be used, for some chunk at least."""
        return tuple(self._unused)

    def plan(self, name: str, spec: TensorSpec, contents: Mapping[int, Buffer]) -> TensorPlan:
        """Plans for some chunks of a tensor.

        Never raises for what the relatives are made of: one whose chunks cannot be read is no relative.

        Args:
            name: Parameter name.
            spec: Data type and shape of the whole tensor.
            contents: Raw bytes of the chunks that are at hand, by position; the more, the better the judgment.
                Plan a tensor whole if it fits into 64 MiB, else in runs of chunks.
        """
        if not contents:
            return TensorPlan(chunks={})
        reader = _Reader(self._chunks)
        lattice_base = self._lattices.get(name)
        if lattice_base is not None and lattice_base.parameter.spec == spec:
            choice = _lattice_choice(spec, lattice_base, reader)
        else:
            choice = self._choose(name, spec, contents, reader)
        planning = _Planning(self._chunks, spec, choice, self._effort)
        plans = planning.plans(sorted(contents))
        if lattice_base is not None and not all(map(_has_lattice, plans.values())):
            self._unused[name] = None
        return TensorPlan(chunks=plans, factors=tuple(planning.used_factors.values()))

    def _choose(self, name: str, spec: TensorSpec, contents: Mapping[int, Buffer], reader: _Reader) -> Choice:
        candidates = list(self._candidates(name, spec, reader.read))
        adapters = list(self._adapters(name, spec, reader.read))
        while True:
            try:
                return choose(
                    Target(spec=spec, contents=contents),
                    candidates,
                    adapters,
                    effort=self._effort,
                    digest_of=lambda content: digest_of(self._chunks.algorithm, content),
                )
            except (NotFoundError, CorruptError):
                # What a damaged chunk belongs to is left out; fsck is what tells of the damage.
                lost = reader.failed
                kept = [each for each in candidates if lost not in each.source.chunks]
                if len(kept) == len(candidates) and not adapters:
                    raise
                candidates, adapters = kept, []

    def _candidates(self, name: str, spec: TensorSpec, read: ChunkRead) -> Iterator[Candidate]:
        seen: set[tuple[object, ...]] = set()
        for relative in self._relatives:
            parameter = relative.find(name, spec)
            if parameter is None or not parameter.chunks:
                continue
            # Whole relatives may share a tensor: what it is judged by counts, not how often it is there.
            key = (parameter.digest, relative.relation if relative.hops == 1 else None)
            if key in seen or len(seen) >= _MOST_CANDIDATES:
                continue
            seen.add(key)
            yield Candidate(
                source=source_of(parameter, read),
                relation=relative.relation,
                weight=relative.weight,
                hops=relative.hops,
            )

    def _adapters(self, name: str, spec: TensorSpec, read: ChunkRead) -> Iterator[Adapter]:
        if len(spec.shape) < 2:
            return
        for relative in self._relatives:
            if relative.hops == 1 and (pair := relative.adapter_of(name)) is not None:
                yield Adapter(source_of(pair[0], read), source_of(pair[1], read))


class _Reader:
    """Reads chunks for one plan, and remembers the last few."""

    def __init__(self, chunks: ChunkStore) -> None:
        self._chunks = chunks
        self._at_hand: OrderedDict[Digest, bytes] = OrderedDict()
        self.failed: Digest = b""

    def read(self, digest: Digest) -> bytes:
        content = self._at_hand.get(digest)
        if content is not None:
            self._at_hand.move_to_end(digest)
            return content
        try:
            content = self._chunks.read(digest)
        except (NotFoundError, CorruptError):
            self.failed = digest
            raise
        self._at_hand[digest] = content
        if len(self._at_hand) > _CHUNKS_AT_HAND:
            self._at_hand.popitem(last=False)
        return content


@dataclass(slots=True)
class _Planning:
    """Hypotheses cut to chunks, as far as reading them stays cheap."""

    chunks: ChunkStore
    spec: TensorSpec
    choice: Choice
    effort: Effort
    used_factors: dict[Digest, bytes] = field(default_factory=dict)

    def plans(self, positions: Sequence[int]) -> dict[int, ChunkPlan]:
        """A plan for each of the chunks at ``positions``."""
        ranges = list(chunk_ranges(self.spec))
        proposed = {position: list(self._proposed(*ranges[position])) for position in positions}
        costs = self._costs(proposed)
        numbers = format_of_dtype(self.spec.dtype)
        plans: dict[int, ChunkPlan] = {}
        for position, proposals in proposed.items():
            start, stop = ranges[position]
            kept = self._kept(proposals, costs, stop - start)
            contents = {
                base.digest: self.choice.factors[base.digest]
                for prediction in kept
                for base in prediction.bases
                if base.digest in self.choice.factors
            }
            self.used_factors.update(contents)
            plans[position] = ChunkPlan(
                numbers=numbers, effort=self.effort, predictions=kept, contents=contents
            )
        return plans

    def _proposed(self, start: int, stop: int) -> Iterator[_Proposal]:
        bits = 8 * format_of_dtype(self.spec.dtype).width
        for hypothesis in self.choice.hypotheses:
            prediction = hypothesis.prediction(self.spec, start, stop)
            if prediction is not None:
                yield _Proposal(
                    prediction,
                    is_judged=hypothesis.cost < math.inf,
                    leaves_little=hypothesis.cost <= bits / LITTLE,
                )

    def _costs(self, proposed: Mapping[int, Sequence[_Proposal]]) -> Mapping[Digest, int]:
        """Bytes that one read of each base decodes; 0 for one that is not usable."""
        digests = dict.fromkeys(
            base.digest
            for proposals in proposed.values()
            for each in proposals
            for base in each.prediction.bases
            if base.digest not in self.choice.factors
        )
        costs = dict(zip(digests, self.chunks.decode_costs(list(digests)), strict=True))
        return costs | {digest: len(content) for digest, content in self.choice.factors.items()}

    def _kept(
        self, proposals: Sequence[_Proposal], costs: Mapping[Digest, int], size_bytes: int
    ) -> tuple[Prediction, ...]:
        """The first few that can be had; behind one that is sure to be, in an upload none, else judged ones only.

        What a read costs lies between two bounds here: chains may share bases, and a range of a base counts in
        proportion. The writer knows, and passes over what costs too much.
        """
        kept: list[Prediction] = []
        is_sure = False
        for each in proposals:
            if is_sure and (self.effort is Effort.FAST or not each.is_judged):
                break
            prediction = each.prediction
            is_cast = prediction.predictor == Predictor.CAST
            most = size_bytes * (DECODED_PER_CAST_BYTE if is_cast else DECODED_PER_BYTE) - size_bytes
            decoded = {base.digest: costs[base.digest] for base in prediction.bases}
            least = max(
                costs[base.digest] * (base.stop - base.start) / CHUNK_BYTES for base in prediction.bases
            )
            times = DECODED_TIMES_FOR_LITTLE if each.leaves_little else 1
            if not all(decoded.values()) or least > most * times:
                continue
            kept.append(prediction)
            is_sure = is_sure or sum(decoded.values()) <= most
            if len(kept) >= _MOST_PREDICTIONS[self.effort]:
                break
        return tuple(kept)


def _lattice_choice(spec: TensorSpec, base: LatticeBase, reader: _Reader) -> Choice:
    """The lattice, and its base alone where that does not help."""
    parts = (Part(source_of(base.parameter, reader.read)),)
    hint = lattice.make_hint(format_of_dtype(spec.dtype), base.step)
    on_lattice = Hypothesis(predictor=Predictor.LATTICE, parts=parts, parameters=hint)
    plain = Hypothesis(predictor=Predictor.BASE, parts=parts)
    return Choice(hypotheses=(on_lattice, plain))


def _has_lattice(plan: ChunkPlan) -> bool:
    return any(prediction.predictor == Predictor.LATTICE for prediction in plan.predictions)
