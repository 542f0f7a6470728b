"""What is read while a commit is applied is read again, or waits for its end."""

from __future__ import annotations

import asyncio
from typing import LiteralString

from mgit_storage.lineage.commits import Commits
from mgit_storage.lineage.session import Answer, GraphSession


class CountingSession(GraphSession):
    """Answers with how often it was asked; during the first questions a commit begins and ends."""

    def __init__(self, overlaps: int) -> None:
        self._commits = Commits()
        self._overlaps = overlaps
        self._asked = 0

    async def _rows_once(self, query: LiteralString, **parameters: object) -> list[Answer]:
        del query, parameters
        self._asked += 1
        if self._asked <= self._overlaps:
            self._commits.begin(self)
            self._commits.end(self)
        return [{"asked": self._asked}]


async def test_an_answer_into_which_a_commit_fell_is_asked_for_again() -> None:
    for overlaps, expected in ((0, 1), (1, 2), (3, 4)):
        assert await CountingSession(overlaps).rows("RETURN 1") == [{"asked": expected}]


async def test_commits_without_end_do_not_hold_up_a_reader_for_good() -> None:
    assert await CountingSession(1000).rows("RETURN 1") == [{"asked": 5}]


async def test_a_reader_waits_while_a_commit_is_applied() -> None:
    session = CountingSession(0)
    session._commits.begin("one")
    session._commits.begin("one")  # As when the server had it run again.
    session._commits.begin("other")
    reading = asyncio.create_task(session.rows("RETURN 1"))
    session._commits.end("one")
    await asyncio.sleep(0.01)
    assert not reading.done()
    session._commits.end("other")
    assert await reading == [{"asked": 1}]


async def test_a_commit_that_was_never_begun_ends_without_effect() -> None:
    commits = Commits()
    commits.end("none")
    begun = await commits.wait()
    assert commits.is_whole_since(begun)
