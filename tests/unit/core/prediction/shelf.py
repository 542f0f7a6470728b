"""Arrays as stored tensors, for the tests of prediction: chunks by digest, and what a writer makes of a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mgit_core.chunking import chunk_ranges
from mgit_core.coding.codec import Candidate as EncodeCandidate
from mgit_core.coding.codec import decode_chunk, encode_planned
from mgit_core.coding.encoded import EncodedChunk
from mgit_core.coding.numbers import format_of_dtype
from mgit_core.coding.plans import ChunkPlan, Effort
from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.lineage import Relation
from mgit_core.manifest import Manifest, Parameter, make_parameter
from mgit_core.prediction.choosing import Adapter, Candidate, Choice, Target, choose
from mgit_core.prediction.hypotheses import Hypothesis
from mgit_core.prediction.sources import SourceTensor, source_of
from mgit_core.tensor import AnyArray, TensorSpec, dtype_named, name_of_dtype

ALGORITHM = DigestAlgorithm.BLAKE3


def digest(content: bytes) -> Digest:
    return digest_of(ALGORITHM, content)


def spec_of(array: AnyArray) -> TensorSpec:
    return TensorSpec(name_of_dtype(array.dtype), array.shape)


def contents_of(array: AnyArray) -> dict[int, bytes]:
    content = array.tobytes()
    return {at: content[start:stop] for at, (start, stop) in enumerate(chunk_ranges(spec_of(array)))}


def normal(shape: tuple[int, ...], seed: int, scale: float = 1.0, dtype: str = "float32") -> AnyArray:
    values = np.random.default_rng(seed).standard_normal(shape) * scale
    return values.astype(np.float32).astype(dtype_named(dtype))


def changed(array: AnyArray, seed: int, scale: float = 1e-4) -> AnyArray:
    """What training makes of weights: each a little different."""
    return array + normal(array.shape, seed, scale, name_of_dtype(array.dtype))


class Shelf:
    """Keeps the chunks of arrays."""

    def __init__(self) -> None:
        self.chunks: dict[Digest, bytes] = {}

    def parameter(self, name: str, array: AnyArray) -> Parameter:
        contents = contents_of(array)
        self.chunks |= {digest(content): content for content in contents.values()}
        return make_parameter(ALGORITHM, name, spec_of(array), [digest(each) for each in contents.values()])

    def manifest(self, arrays: Mapping[str, AnyArray]) -> Manifest:
        return Manifest(ALGORITHM, tuple(self.parameter(name, array) for name, array in arrays.items()))

    def source(self, array: AnyArray) -> SourceTensor:
        return source_of(self.parameter("weight", array), self.chunks.__getitem__)

    def candidate(
        self, array: AnyArray, relation: Relation | None, *, hops: int = 1, weight: float | None = None
    ) -> Candidate:
        return Candidate(source=self.source(array), relation=relation, hops=hops, weight=weight)

    def encode(
        self,
        array: AnyArray,
        hypotheses: Sequence[Hypothesis],
        factors: Mapping[Digest, bytes],
        effort: Effort,
    ) -> list[EncodedChunk]:
        """The array's chunks as a writer stores them, each decoded and compared."""
        known = {**self.chunks, **factors}
        spec = spec_of(array)
        frames = []
        for content, (start, stop) in zip(contents_of(array).values(), chunk_ranges(spec), strict=True):
            found = [each.prediction(spec, start, stop) for each in hypotheses]
            predictions = tuple(each for each in found if each is not None)
            plan = ChunkPlan(numbers=format_of_dtype(spec.dtype), effort=effort, predictions=predictions)
            candidates = [
                EncodeCandidate(each, [known[base.digest][base.start : base.stop] for base in each.bases])
                for each in predictions
            ]
            frame = encode_planned(content, plan, candidates)
            sources = [known[base.digest][base.start : base.stop] for base in frame.bases]
            assert decode_chunk(EncodedChunk.from_bytes(frame.to_bytes()), sources) == content
            frames.append(frame)
        return frames


def choose_for(
    array: AnyArray,
    candidates: Sequence[Candidate],
    adapters: Sequence[Adapter] = (),
    effort: Effort = Effort.FAST,
) -> Choice:
    target = Target(spec=spec_of(array), contents=contents_of(array))
    return choose(target, candidates, adapters, effort=effort, digest_of=digest)


def stored_share(frames: Sequence[EncodedChunk], factors: Mapping[Digest, bytes] | None = None) -> float:
    """What is stored of a tensor, headers and factors included, as a share of its size."""
    stored = sum(len(frame.to_bytes()) for frame in frames) + sum(map(len, (factors or {}).values()))
    return stored / sum(frame.raw_size for frame in frames)
