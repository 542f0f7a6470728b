from __future__ import annotations

from mgit.updating.stopping import Stopping


class Running:
    def __init__(self) -> None:
        self.ended = 0

    def cancel(self) -> None:
        self.ended += 1


def test_what_runs_is_ended() -> None:
    stopping, running = Stopping(), Running()
    with stopping.watch(running) as watched:
        assert watched is running
        assert not stopping.is_stopped
        stopping.stop()
    assert running.ended == 1
    assert stopping.is_stopped


def test_what_would_run_later_is_ended_before_it_begins() -> None:
    stopping, running = Stopping(), Running()
    stopping.stop()
    with stopping.watch(running):
        assert running.ended == 1


def test_what_ran_before_is_left_alone() -> None:
    stopping, before, now = Stopping(), Running(), Running()
    with stopping.watch(before):
        pass
    with stopping.watch(now):
        stopping.stop()
    assert (before.ended, now.ended) == (0, 1)
