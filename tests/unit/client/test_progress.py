from __future__ import annotations

import io
import sys

import pytest

from mgit.progress import open_count, open_progress


def test_a_callback_gets_done_and_total() -> None:
    told: list[tuple[int, int]] = []
    with open_progress(lambda done, total: told.append((done, total)), "add m") as counter:
        counter.begin(10)
        counter.add(4)
        counter.add(6)
        counter.begin(10)
        counter.add(7)
    assert told == [(0, 10), (4, 10), (10, 10), (0, 10), (7, 10)]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr("mgit.progress.BAR_DELAY_S", 0)
    with open_progress(True, "add m") as counter:
        counter.begin(1_000_000)
        counter.add(1_000_000)
    assert "add m" in screen.getvalue()


def test_short_work_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with open_progress(True, "add m") as counter:
        counter.begin(5)
        counter.add(5)
    assert screen.getvalue().strip() == ""


@pytest.mark.parametrize("progress", [True, False, None])
def test_nothing_is_drawn_elsewhere(monkeypatch: pytest.MonkeyPatch, *, progress: bool | None) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with open_progress(progress, "add m") as counter:
        counter.begin(5)
        counter.add(5)
    assert screen.getvalue() == ""


def test_a_callback_gets_pieces_of_work() -> None:
    told: list[tuple[int, int]] = []
    with open_count(lambda done, total: told.append((done, total)), "test 2 models", "test") as tell:
        tell(0, 2)
        tell(2, 2)
    assert told == [(0, 2), (2, 2)]


def test_pieces_of_work_are_drawn_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mgit.progress.BAR_DELAY_S", 0)
    for screen in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", screen)
        with open_count(True, "test 2 models", "test") as tell:
            tell(0, 2)
            tell(1, 2)
        assert ("test 2 models" in screen.getvalue()) is screen.isatty()
