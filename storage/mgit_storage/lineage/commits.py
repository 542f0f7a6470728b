"""Commits that readers see whole.

A transaction of Neo4j is committed as a whole, but applied entry by entry, and who reads meanwhile sees what is applied by
then (read committed). A list of models may so have some of a publication and lack the rest.
"""

from __future__ import annotations

import asyncio

__all__ = ["Commits"]


class Commits:
    """The commits of one process that are being applied. For the coroutines of one event loop."""

    def __init__(self) -> None:
        self._begun = 0
        self._applying: set[object] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self, commit: object) -> None:
        """``commit`` is about to be sent; may be said again."""
        self._begun += 1
        self._applying.add(commit)
        self._idle.clear()

    def end(self, commit: object) -> None:
        """``commit`` is over, whatever came of it; nothing happens if it was not begun."""
        self._applying.discard(commit)
        if not self._applying:
            self._idle.set()

    async def wait(self) -> int:
        """How many commits were begun, once none is being applied.

        What is read from then on is whole if the number is still the same afterwards.
        """
        await self._idle.wait()
        return self._begun

    def is_whole_since(self, begun: int) -> bool:
        """Whether no commit was begun since ``wait`` gave ``begun``."""
        return self._begun == begun
