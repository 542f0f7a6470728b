"""Maintenance as the client tells it: times, progress, checks joined."""

from __future__ import annotations

import io
import sys
from datetime import timedelta

import pytest

from mgit import maintenance
from mgit.maintenance import StoreCheck, StoreProblem
from mgit_core.errors import InvalidArgumentError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def problem(subject: str, *, repaired: bool = False) -> StoreProblem:
    return StoreProblem(
        reason="CHUNK_CORRUPT", message="damaged", subject=subject, models=("a@1",), repaired=repaired
    )


def check(*problems: StoreProblem, missing: tuple[str, ...] = ()) -> StoreCheck:
    return StoreCheck(ok=not missing, problems=problems, chunks=1, raw_bytes=2, documents=3, missing=missing)


def test_what_a_later_check_does_not_find_any_more_was_repaired() -> None:
    joined = maintenance._joined(
        check(problem("x"), problem("y"), missing=("x",)), check(problem("y"), missing=("y",))
    )
    assert joined.problems == (problem("x", repaired=True), problem("y"))
    assert joined.missing == ("y",)


@pytest.mark.parametrize(
    ("duration", "seconds"), [(None, None), (0, 0), (90.9, 90), (timedelta(hours=24), 86_400)]
)
def test_a_time_is_told_in_whole_seconds(duration: timedelta | float | None, seconds: int | None) -> None:
    assert maintenance._seconds("grace", duration) == seconds


@pytest.mark.parametrize("duration", [-1, timedelta(seconds=-1), 1e30, float("nan")])
def test_a_time_that_cannot_be_is_refused(duration: timedelta | float) -> None:
    with pytest.raises(InvalidArgumentError):
        maintenance._seconds("grace", duration)


def test_progress_goes_to_the_callers_function() -> None:
    heard: list[tuple[str, int, int]] = []
    with maintenance._titled("gc", lambda *step: heard.append(step)) as tell:
        tell("marking", 1, 2)
    assert heard == [("marking", 1, 2)]


@pytest.mark.parametrize("progress", [True, False, None])
def test_no_bar_is_drawn_where_nobody_sees_it(progress: object, capsys: pytest.CaptureFixture[str]) -> None:
    with maintenance._titled("gc", progress) as tell:
        tell("marking", 1, 2)
    assert capsys.readouterr().err == ""


def test_a_bar_on_a_terminal_says_the_phase(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(maintenance, "BAR_DELAY_S", 0)
    with maintenance._titled("gc", True) as tell:
        tell("marking", 1, 2)
        tell("deleting", 5, 0)
    assert "gc: marking" in terminal.getvalue()
    assert "gc: deleting" in terminal.getvalue()
