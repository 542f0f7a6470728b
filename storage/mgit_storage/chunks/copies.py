"""Which copies of a chunk count, and in which order they are read.

A copy is usable if it is indexed, not condemned, and every base that it needs has a usable copy. Copies may name
each other in a circle, and some of them may have no end: so usability is found from the ends up, round by round,
and the round in which a copy is found is the length of its shortest chain.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from mgit_core.coding.encoded import BaseRange
from mgit_core.digest import Digest
from mgit_core.errors import CorruptError, NotFoundError
from mgit_storage.chunks.chains import LONGEST_CHAIN, Chain, chain_on
from mgit_storage.chunks.headers import Headers
from mgit_storage.chunks.index import ChunkIndex
from mgit_storage.chunks.segment import Place, Segment

__all__ = ["Copies"]

# Chunks that one question may look at; more hang together in no store that a writer made.
_MOST_CHUNKS = 10_000
_MOST_KEPT = 50_000


class _Memo:
    """What was concluded while nothing was lost; thrown away as a whole."""

    def __init__(self, losses: int) -> None:
        self.losses = losses
        self.depths: dict[Digest, int] = {}
        self.chains: dict[Digest, Chain] = {}


class Copies:
    """Copies by digest. Thread-safe; reads headers, never the folder."""

    def __init__(self, index: ChunkIndex, headers: Headers) -> None:
        self._index = index
        self._headers = headers
        self._condemned: Segment | None = None
        self._memo = _Memo(index.losses)

    def set_condemned(self, condemned: Segment | None) -> None:
        """Take the copies in this table as condemned from now on."""
        self._condemned = condemned
        self._memo = _Memo(self._index.losses)

    def find(self, digest: Digest) -> list[Place]:
        """Every copy, in the order in which they are to be read: usable ones first, the shortest chain first."""
        places = self._index.find(digest)
        if len(places) < 2:
            return places
        condemned = self._condemned_places(digest)
        depths = self._depths_of_places(digest, [place for place in places if place not in condemned])
        return sorted(places, key=lambda place: (place in condemned, depths.get(place, LONGEST_CHAIN + 1)))

    def find_usable(self, digest: Digest) -> Place | None:
        """The usable copy with the shortest chain."""
        places = self.find(digest)
        return places[0] if places and self.has(digest) else None

    def find_missing(self, digests: Sequence[Digest]) -> list[Digest]:
        """Those without a usable copy, each once, in order."""
        if self._condemned is None:
            missing = self._index.find_missing(digests, alone=True)
            unknown = set(self._index.find_missing(missing))
        else:
            missing = list(dict.fromkeys(digests))
            unknown = set(self._index.find_missing(digests))
        return [digest for digest in missing if digest in unknown or self._depth(digest) is None]

    def has(self, digest: Digest) -> bool:
        """Whether there is a usable copy."""
        return self._depth(digest) is not None

    def has_dense(self, digest: Digest) -> bool:
        """Whether there is a usable copy that a repack made."""
        condemned = self._condemned_places(digest)
        return any(
            place not in condemned and self._headers.is_dense(place.pack) and self._is_usable(digest, place)
            for place in self._index.find(digest)
        )

    def chain(self, digest: Digest) -> Chain | None:
        """What one read of the chunk decodes; None if it has no usable copy."""
        memo = self._current_memo()
        known = memo.chains.get(digest)
        if known is not None:
            return known
        place = self.find_usable(digest)
        if place is None:
            return None
        header = self._headers.read(digest, place)
        below = [(base, self.chain(base.digest)) for base in header.bases]
        whole = [(base, chain) for base, chain in below if chain is not None]
        if len(whole) < len(below):  # A base went this moment.
            return None
        chain = chain_on(digest, header.raw_size, whole)
        if len(memo.chains) >= _MOST_KEPT:
            memo.chains.clear()
        memo.chains[digest] = chain
        return chain

    def reaches(
        self,
        starts: Iterable[Digest],
        wanted: Digest,
        unsealed_bases: Callable[[Digest], Sequence[BaseRange]],
    ) -> bool:
        """Whether any copy of ``starts``, usable or not, or of their bases and so on, is decoded from ``wanted``.

        Args:
            starts: Where to begin.
            wanted: What must not be reached, or is.
            unsealed_bases: The bases of a copy that no index names yet; none if there is none.
        """
        seen: set[Digest] = set()
        pending = list(starts)
        while pending:
            digest = pending.pop()
            if digest == wanted or len(seen) > _MOST_CHUNKS:
                return True
            if digest not in seen:
                seen.add(digest)
                pending += [base.digest for base in unsealed_bases(digest)]
                for place in self._index.find(digest):
                    pending += self._bases(digest, place) or ()
        return False

    def _current_memo(self) -> _Memo:
        memo = self._memo
        if memo.losses != self._index.losses:
            memo = self._memo = _Memo(self._index.losses)
        return memo

    def _condemned_places(self, digest: Digest) -> Collection[Place]:
        condemned = self._condemned
        return () if condemned is None else condemned.find(digest)

    def _depth(self, digest: Digest) -> int | None:
        """Length of the shortest chain of usable copies; None if the chunk has none."""
        memo = self._current_memo()
        known = memo.depths.get(digest)
        if known is None:
            found = self._search(digest)
            if len(memo.depths) >= _MOST_KEPT:
                memo.depths.clear()
            memo.depths.update(found)
            known = found.get(digest)
        return known

    def _search(self, digest: Digest) -> dict[Digest, int]:
        """Depth of the chunk, and of all that it hangs on, as far as they are usable."""
        depths: dict[Digest, int] = {}
        open_copies: list[tuple[Digest, tuple[Digest, ...]]] = []
        seen: set[Digest] = set()
        pending = [digest]
        while pending and len(seen) <= _MOST_CHUNKS:
            at = pending.pop()
            if at in seen:
                continue
            seen.add(at)
            copies = self._usable_if(at)
            if () in copies:
                depths[at] = 0
                continue
            open_copies += [(at, bases) for bases in copies]
            pending += [base for bases in copies for base in bases]
        for depth in range(1, LONGEST_CHAIN + 1):
            found = [at for at, bases in open_copies if at not in depths and depths.keys() >= {*bases}]
            if not found:
                break
            depths.update(dict.fromkeys(found, depth))
        return depths

    def _usable_if(self, digest: Digest) -> list[tuple[Digest, ...]]:
        """Of each copy that is not condemned, the bases that must be usable for it."""
        condemned = self._condemned_places(digest)
        places = [place for place in self._index.find(digest) if place not in condemned]
        found = (self._bases(digest, place) for place in places)
        return [bases for bases in found if bases is not None]

    def _bases(self, digest: Digest, place: Place) -> tuple[Digest, ...] | None:
        """What a copy needs; None if its header cannot be read, so that it is of no use."""
        if not place.needs_bases:
            return ()
        try:
            return tuple(base.digest for base in self._headers.read(digest, place).bases)
        except (NotFoundError, CorruptError):
            return None

    def _is_usable(self, digest: Digest, place: Place) -> bool:
        bases = self._bases(digest, place)
        return bases is not None and all(map(self.has, bases))

    def _depths_of_places(self, digest: Digest, places: Sequence[Place]) -> dict[Place, int]:
        """How long the chain of each copy is, as far as it ends."""
        if any(not place.needs_bases for place in places):
            return {place: int(place.needs_bases) for place in places}
        depths: dict[Place, int] = {}
        for place in places:
            below = [self._depth(base) for base in self._bases(digest, place) or ()]
            ended = [depth for depth in below if depth is not None]
            if below and len(ended) == len(below):
                depths[place] = 1 + max(ended)
        return depths
