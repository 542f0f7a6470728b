"""Runs one scheme over a family: everything in, everything out, every byte compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

from bench.compression.schemes import Scheme
from bench.compression.subjects import Subject

__all__ = ["THREADS", "Run", "run"]

THREADS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a scheme did with a family.

    Attributes:
        sizes: Bytes of each weight file.
        grown: Bytes by which each one made what is stored grow, by reference, in order.
        encode_s: Seconds for all.
        decode_s: Seconds for all, without the comparison.
    """

    sizes: dict[str, int]
    grown: dict[str, int]
    encode_s: float
    decode_s: float

    def ratio(self, refs: Sequence[str] = ()) -> float:
        """Raw bytes for each stored one, of the first members in order if they are named."""
        wanted = list(refs) or list(self.grown)
        if wanted != list(self.grown)[: len(wanted)]:
            raise ValueError(f"{wanted} are not the first of {list(self.grown)}")
        return sum(self.sizes[ref] for ref in wanted) / sum(self.grown[ref] for ref in wanted)

    def share(self, ref: str) -> float:
        """Bytes that a member took for each of its own, as one more of the family."""
        return self.grown[ref] / self.sizes[ref]

    @property
    def speeds(self) -> str:
        """In words."""
        total = sum(self.sizes.values()) / 1e9
        return f"in {total / self.encode_s:.2g}, out {total / self.decode_s:.2g} GB/s"


def run(make: Callable[[], Scheme], subjects: Sequence[Subject]) -> Run:
    """Put every file in, then take every file out again and compare.

    Raises:
        SchemeMissingError: The scheme is not installed.
    """
    scheme = make()
    grown: dict[str, int] = {}
    try:
        with ThreadPoolExecutor(THREADS) as threads:
            start = perf_counter()
            for subject in subjects:
                grown[subject.ref] = scheme.encode(subject, threads)
            encode_s = perf_counter() - start
            decode_s = 0.0
            for subject in subjects:
                start = perf_counter()
                pieces = scheme.decode(subject, threads)
                decode_s += perf_counter() - start
                _check_equal(subject, pieces)
    finally:
        scheme.close()
    sizes = {subject.ref: subject.size_bytes for subject in subjects}
    return Run(sizes=sizes, grown=grown, encode_s=encode_s, decode_s=decode_s)


def _check_equal(subject: Subject, pieces: Sequence[bytes | memoryview]) -> None:
    content = subject.weights.content
    at = 0
    for piece in pieces:
        if content[at : at + len(piece)] != piece:
            raise SystemExit(f"{subject.ref} came back with other bytes near {at}")
        at += len(piece)
    if at != len(content):
        raise SystemExit(f"{subject.ref} came back with {at} of {len(content)} bytes")
