"""In which form and order chunks travel, so that each can be decoded where it arrives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mgit_core.digest import Digest

__all__ = ["ChunkForm", "ChunkOrder", "order_chunks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkForm:
    """How the source stores a chunk.

    Attributes:
        stored_bytes: Bytes of its frame.
        raw_bytes: Bytes of the raw chunk.
        bases: The chunks that it needs directly.
    """

    stored_bytes: int
    raw_bytes: int
    bases: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkOrder:
    """Chunks to send.

    Attributes:
        alone: Encoded anew without bases; sent first, since they need nothing.
        as_stored: As they are stored, each after its bases: first those that need none of the others, then those that
            need these, and so on.
    """

    alone: tuple[Digest, ...]
    as_stored: tuple[Digest, ...]


def order_chunks(
    forms: Mapping[Digest, ChunkForm],
    is_there: Callable[[Digest], bool],
    refused: Collection[Digest] = (),
) -> ChunkOrder:
    """The order of chunks that the destination lacks. Linear in chunks and bases.

    A chunk goes as it is stored if each of its bases is at the destination or goes along; nothing goes along only
    because it is a base.

    Args:
        forms: The chunks, with how the source stores them.
        is_there: Whether the destination has a chunk that is not among ``forms``.
        refused: Chunks that have to go alone in any case.
    """
    levels: dict[Digest, int | None] = dict.fromkeys(refused)
    for digest in forms:
        _find_level(digest, forms, is_there, levels)
    chosen = [(level, digest) for digest in forms if (level := levels[digest]) is not None]
    return ChunkOrder(
        alone=tuple(digest for digest in forms if levels[digest] is None),
        as_stored=tuple(digest for _, digest in sorted(chosen, key=lambda each: each[0])),
    )


def _find_level(
    first: Digest,
    forms: Mapping[Digest, ChunkForm],
    is_there: Callable[[Digest], bool],
    levels: dict[Digest, int | None],
) -> None:
    """Levels of a chunk and of all below it, None for one that goes alone; without recursion, since chains are long.

    A chunk that is met again below itself cannot be: whoever claims it is wrong, and it goes alone.
    """
    above: set[Digest] = set()
    stack: list[tuple[Digest, Iterator[Digest]]] = []

    def enter(digest: Digest) -> None:
        above.add(digest)
        stack.append((digest, iter(forms[digest].bases)))

    if first not in levels:
        enter(first)
    while stack:
        digest, bases = stack[-1]
        base = next((base for base in bases if base in forms and base not in levels), None)
        if base is not None and base not in above:
            enter(base)
            continue
        if base is not None:
            levels[digest] = None
        stack.pop()
        above.discard(digest)
        if digest not in levels:
            levels[digest] = _level(forms[digest].bases, forms, is_there, levels)


def _level(
    bases: Sequence[Digest],
    forms: Mapping[Digest, ChunkForm],
    is_there: Callable[[Digest], bool],
    levels: Mapping[Digest, int | None],
) -> int | None:
    below = [levels[base] for base in bases if base in forms]
    if not all(base in forms or is_there(base) for base in bases):
        return None
    # What goes alone is sent before everything, as if it stood at the lowest level.
    return 1 + max((0 if level is None else level for level in below), default=-1)
