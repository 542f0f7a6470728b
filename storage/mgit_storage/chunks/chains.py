"""Chains: what one read of a chunk decodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mgit_core.coding.encoded import BaseRange
from mgit_core.digest import Digest

__all__ = ["LONGEST_CHAIN", "MOST_DECODED_BYTES", "Chain", "chain_on"]

LONGEST_CHAIN = 32
"""So many bases behind each other a reader follows. Writers make chains that are much shorter."""
MOST_DECODED_BYTES = 64 << 20
"""Most raw bytes that a reader decodes for one chunk. Writers stay far below."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A chunk with all that it is decoded from.

    Attributes:
        depth: How many bases lie behind each other; 0 for a chunk that needs none.
        sizes: Raw bytes of the chunk and of each of its bases, direct or not.
        shares: Which part of each is asked for, 0 to 1: neighbors of a chunk share the rest of its bases.
    """

    depth: int
    sizes: Mapping[Digest, int]
    shares: Mapping[Digest, float]

    @property
    def decoded_bytes(self) -> int:
        """Raw bytes that are decoded to get the chunk alone."""
        return sum(self.sizes.values())

    @property
    def needed_bytes(self) -> float:
        """Raw bytes of which the chunk is made: what is decoded for it where its neighbors are read too."""
        return sum(size * self.shares[digest] for digest, size in self.sizes.items())


def chain_on(digest: Digest, raw_size: int, bases: Sequence[tuple[BaseRange, Chain]]) -> Chain:
    """The chain of a chunk that is decoded from these ranges."""
    sizes = {digest: raw_size}
    shares = {digest: 1.0}
    for base, chain in bases:
        part = min(1.0, (base.stop - base.start) / chain.sizes[base.digest])
        for below, size in chain.sizes.items():
            sizes[below] = size
            shares[below] = min(1.0, shares.get(below, 0.0) + part * chain.shares[below])
    return Chain(1 + max(chain.depth for _, chain in bases) if bases else 0, sizes, shares)
