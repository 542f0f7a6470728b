"""Long work as a stream."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from mgit_core.errors import ErrorReason, NotFoundError
from mgit_service.use_cases.maintenance import reporting
from mgit_service.use_cases.maintenance.reporting import Report, WorkProgress, reported

TIMEOUT_S = 20


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "_PAUSE_S", 0.001)


async def test_what_is_found_comes_in_order_and_the_result_at_last() -> None:
    async def work(report: Report[str]) -> int:
        for found in ("a", "b"):
            report.find(found)
            await asyncio.sleep(0)
        return 7

    async with aclosing(reported(work)) as steps:
        assert [step async for step in steps] == ["a", "b", 7]


async def test_progress_comes_while_the_work_goes_on() -> None:
    heard = asyncio.Event()

    async def work(report: Report[str]) -> int:
        report.tell("reading", 1, 2)
        await asyncio.wait_for(heard.wait(), TIMEOUT_S)
        return 7

    async with aclosing(reported(work)) as steps:
        async for step in steps:
            if isinstance(step, WorkProgress):
                assert step == WorkProgress(phase="reading", done=1, total=2)
                heard.set()
            else:
                assert step == 7
    assert heard.is_set()


async def test_an_error_of_the_work_is_raised() -> None:
    async def work(_report: Report[str]) -> int:
        raise NotFoundError(ErrorReason.OBJECT_NOT_FOUND, "gone")

    async with aclosing(reported(work)) as steps:
        with pytest.raises(NotFoundError):
            await anext(steps)


async def test_closing_cancels_the_work_and_waits_for_it() -> None:
    unwound: list[str] = []

    async def work(report: Report[str]) -> int:
        report.find("begun")
        try:
            return await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            unwound.append("done")

    async with aclosing(reported(work)) as steps:
        assert await anext(steps) == "begun"
    assert unwound == ["done"]
