"""MGit's own pipeline, written anew from its description: quantized differences to the first parent, lossy.

Source: MGit (ICML 2024), the section on delta compression, and its released code's behavior: content digests
first; a parent as it was restored; tensors paired in order by shape; step 2 ln(1 + eps); LZMA or run lengths;
a member is given up where its differences do not get smaller, or a test falls by more than 2 % of its value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import numpy.typing as npt
from bench.compression.paper_codecs import CODECS, Codec
from bench.compression.running import THREADS
from bench.compression.schemes import DIGEST_BYTES, compress
from bench.compression.subjects import Subject

from mgit_core.digest import Digest, DigestAlgorithm, digest_of
from mgit_core.tensor import dtype_named

__all__ = ["EPSILON", "Outcome", "Tensors", "run_paper"]

EPSILON = 1e-4
_STEP = np.float32(2 * math.log1p(EPSILON))
_TOLERANCE = 0.02
_AXIS_BYTES = 4

Tensors = Mapping[str, npt.NDArray[np.generic]]
Score = Callable[[Subject, Tensors], float]


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What the pipeline did with a family.

    Attributes:
        sizes: Bytes of each weight file, by reference, in order.
        coded_bytes: Raw bytes of all tensors that were quantized.
        grown: Bytes by which each member made what is stored grow, by codec and reference.
        encode_s: Seconds in each codec.
        decode_s: Seconds in each codec back.
        largest_error: Largest absolute error of any weight.
        scores: Score before and after of each member that is not exact, by reference.
        zeros: Exact zeros of each such member before and after.
        given_up: Members that were stored exactly in the end, with the reason.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    coded_bytes: int = 0
    grown: dict[str, dict[str, int]] = field(default_factory=lambda: {name: {} for name in CODECS})
    encode_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CODECS, 0.0))
    decode_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(CODECS, 0.0))
    largest_error: float = 0.0
    scores: dict[str, tuple[float, float]] = field(default_factory=dict)
    zeros: dict[str, tuple[int, int]] = field(default_factory=dict)
    given_up: dict[str, str] = field(default_factory=dict)

    @property
    def raw_bytes(self) -> int:
        """Bytes of all weight files."""
        return sum(self.sizes.values())


def run_paper(subjects: Sequence[Subject], score: Score) -> Outcome:
    """Put every float32 member through quantization, both codecs, decoding and the score.

    Args:
        subjects: Bases come before what is taken from them.
        score: Higher is better; only asked where weights changed.
    """
    outcome = Outcome()
    known: set[Digest] = set()
    restored: dict[str, dict[str, npt.NDArray[np.generic]]] = {}
    with ThreadPoolExecutor(THREADS) as threads:
        for place, subject in enumerate(subjects):
            member = _Member(subject, restored.get(subject.base.ref) if subject.base else None, known)
            member.run(threads, outcome, score)
            restored[subject.ref] = member.restored
            used = {later.base.ref for later in subjects[place:] if later.base}
            restored = {ref: tensors for ref, tensors in restored.items() if ref in used | {subject.ref}}
    return outcome


class _Member:
    """One model on its way through the pipeline."""

    def __init__(self, subject: Subject, base: Tensors | None, known: set[Digest]) -> None:
        self._subject = subject
        self._known = known
        self._originals: dict[str, npt.NDArray[np.generic]] = {
            tensor.name: np.frombuffer(tensor.content, dtype_named(tensor.spec.dtype)).reshape(
                tensor.spec.shape
            )
            for tensor in subject.weights.tensors.values()
        }
        self.restored = dict(self._originals)
        self._pairs = _pair(self._originals, base or {})
        self._base = base or {}

    def run(self, threads: ThreadPoolExecutor, outcome: Outcome, score: Score) -> None:
        quanta = {name: found for name in self._pairs if (found := self._quantize(name)) is not None}
        sizes = {
            codec_name: self._code(codec_name, codec, quanta, threads, outcome)
            for codec_name, codec in CODECS.items()
        }
        raw = sum(self._originals[name].nbytes for name in quanta)
        outcome.sizes[self._subject.ref] = self._subject.size_bytes
        outcome.coded_bytes += raw
        reason = self._reason(quanta, outcome, score) if quanta else ""
        if not reason and raw < max(sum(found.values()) for found in sizes.values()):
            reason = "its differences are not smaller"
        if reason:
            outcome.given_up[self._subject.ref] = reason
            self.restored = dict(self._originals)
            sizes = {codec_name: {} for codec_name in CODECS}
        head = len(compress(self._subject.weights.header, 3)) + DIGEST_BYTES * len(self._originals)
        fresh = {name: array for name, array in self.restored.items() if self._is_new(array)}
        for codec_name, found in sizes.items():
            payload = sum(found.get(name, array.nbytes) for name, array in fresh.items())
            outcome.grown[codec_name][self._subject.ref] = head + payload

    def _quantize(self, name: str) -> npt.NDArray[np.int64] | None:
        child, base = self._originals[name], self._base[self._pairs[name]]
        if child.dtype != np.float32:
            return None
        delta = np.subtract(child, base, dtype=np.float32)
        if not delta.any():
            return None
        return np.floor(delta.reshape(-1) / _STEP + np.float32(0.5)).astype(np.int64)

    def _code(
        self,
        codec_name: str,
        codec: Codec,
        quanta: Mapping[str, npt.NDArray[np.int64]],
        threads: ThreadPoolExecutor,
        outcome: Outcome,
    ) -> dict[str, int]:
        order = sorted(quanta, key=lambda name: -quanta[name].size)
        start = perf_counter()
        blobs = list(threads.map(lambda name: codec.encode(quanta[name]), order))
        outcome.encode_s[codec_name] += perf_counter() - start
        start = perf_counter()
        back = list(threads.map(codec.decode, blobs))
        outcome.decode_s[codec_name] += perf_counter() - start
        for name, found in zip(order, back, strict=True):
            if not np.array_equal(found, quanta[name]):
                raise SystemExit(f"{codec_name} gave other numbers back for {name} of {self._subject.ref}")
            self.restored[name] = self._restore(name, found)
        axes = {name: _AXIS_BYTES * self._originals[name].ndim for name in order}
        return {name: len(blob) + axes[name] for name, blob in zip(order, blobs, strict=True)}

    def _restore(self, name: str, quanta: npt.NDArray[np.int64]) -> npt.NDArray[np.generic]:
        base = self._base[self._pairs[name]]
        return (base + (quanta * _STEP).astype(np.float32).reshape(base.shape)).astype(np.float32)

    def _reason(self, quanta: Mapping[str, npt.NDArray[np.int64]], outcome: Outcome, score: Score) -> str:
        """Why the member is given up; empty if it is not."""
        errors = [
            float(np.abs(np.subtract(self.restored[name], self._originals[name], dtype=np.float64)).max())
            for name in quanta
        ]
        outcome.largest_error = max(outcome.largest_error, *errors)
        ref = self._subject.ref
        before, after = score(self._subject, self._originals), score(self._subject, self.restored)
        outcome.scores[ref] = before, after
        outcome.zeros[ref] = _zeros(self._originals), _zeros(self.restored)
        lost = before - after
        return "the score fell too far" if before and lost / abs(before) > _TOLERANCE else ""

    def _is_new(self, array: npt.NDArray[np.generic]) -> bool:
        digest = digest_of(DigestAlgorithm.SHA256, np.ascontiguousarray(array).reshape(-1).view(np.uint8))
        is_new = digest not in self._known
        self._known.add(digest)
        return is_new


def _pair(child: Tensors, base: Tensors) -> dict[str, str]:
    """Names of the child's tensors with those of the base: a longest common subsequence of their shapes."""
    ours, theirs = list(child), list(base)
    lengths = np.zeros((len(ours) + 1, len(theirs) + 1), np.int64)
    for row in reversed(range(len(ours))):
        for column in reversed(range(len(theirs))):
            same = child[ours[row]].shape == base[theirs[column]].shape
            longer = max(lengths[row + 1, column], lengths[row, column + 1])
            lengths[row, column] = lengths[row + 1, column + 1] + 1 if same else longer
    pairs: dict[str, str] = {}
    row = column = 0
    while row < len(ours) and column < len(theirs):
        if child[ours[row]].shape == base[theirs[column]].shape:
            pairs[ours[row]] = theirs[column]
            row, column = row + 1, column + 1
        elif lengths[row + 1, column] >= lengths[row, column + 1]:
            row += 1
        else:
            column += 1
    return pairs


def _zeros(tensors: Tensors) -> int:
    return sum(int(np.count_nonzero(array == 0)) for array in tensors.values() if array.dtype == np.float32)
