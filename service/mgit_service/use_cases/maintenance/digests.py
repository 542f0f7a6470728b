"""Sets of very many digests as sorted arrays: 40 bytes each, where a Python set takes some 120."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from mgit_core.digest import DIGEST_SIZE, Digest

__all__ = ["DigestArray", "DigestGatherer", "DigestSet", "digest_array"]

DigestArray: TypeAlias = npt.NDArray[np.void]
Positions: TypeAlias = npt.NDArray[np.intp]

_DIGEST_TYPE = np.dtype((np.void, DIGEST_SIZE))
# Digests gathered before they are joined with those known: 32 MiB.
_DIGESTS_AT_ONCE = 1 << 20


def digest_array(digests: Iterable[Digest]) -> DigestArray:
    """The digests as an array of items of 32 bytes, in order."""
    return np.frombuffer(b"".join(digests), _DIGEST_TYPE)


class DigestSet:
    """Distinct digests in ascending order. Immutable."""

    __slots__ = ("_prefixes", "digests")

    def __init__(self, digests: DigestArray | None = None) -> None:
        """The distinct ones of ``digests``, which may be in any order; none without an argument."""
        self.digests: DigestArray = np.empty(0, _DIGEST_TYPE) if digests is None else np.unique(digests)
        self._prefixes = _prefixes(self.digests)

    def __len__(self) -> int:
        return len(self.digests)

    def __iter__(self) -> Iterator[Digest]:
        for at in range(len(self.digests)):
            yield self.digests[at].tobytes()

    def positions(self, wanted: DigestArray) -> Positions:
        """Where each of ``wanted`` stands in the order, -1 for one that is not in the set."""
        keys = _prefixes(wanted)
        at = np.searchsorted(self._prefixes, keys)
        found: Positions = np.full(len(wanted), -1, np.intp)
        left: Positions = np.arange(len(wanted))
        while len(left):  # Once, unless digests agree in their first 8 bytes.
            left = left[at[left] < len(self)]
            left = left[self._prefixes[at[left]] == keys[left]]
            is_same = self.digests[at[left]] == wanted[left]
            found[left[is_same]] = at[left[is_same]]
            left = left[~is_same]
            at[left] += 1
        return found

    def has(self, wanted: DigestArray) -> npt.NDArray[np.bool_]:
        """Whether each of ``wanted`` is in the set."""
        return self.positions(wanted) >= 0

    def contains(self, digest: Digest) -> bool:
        """Whether one digest is in the set."""
        return bool(self.has(digest_array([digest]))[0])

    def joined(self, further: DigestArray) -> DigestSet:
        """This set and ``further``."""
        return DigestSet(np.concatenate([self.digests, further])) if len(further) else self


class DigestGatherer:
    """Makes a set of digests that come a few at a time."""

    def __init__(self) -> None:
        self._known = DigestSet()
        self._fresh: list[Digest] = []

    def add(self, digests: Iterable[Digest]) -> None:
        """Take some."""
        self._fresh.extend(digests)
        if len(self._fresh) >= _DIGESTS_AT_ONCE:
            self._join()

    def finish(self) -> DigestSet:
        """All that were taken."""
        self._join()
        return self._known

    def _join(self) -> None:
        self._known = self._known.joined(digest_array(self._fresh))
        self._fresh = []


def _prefixes(digests: DigestArray) -> npt.NDArray[np.uint64]:
    """The first 8 bytes of each digest as numbers that sort as the digests do."""
    rows = np.ascontiguousarray(digests).view(np.uint8).reshape(-1, DIGEST_SIZE)
    return np.ascontiguousarray(rows[:, :8]).view(">u8").reshape(-1).astype(np.uint64)
