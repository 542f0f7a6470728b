"""A call with many answers is sent again until it begins to answer, and not after."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
import pytest

from mgit.streams import Answers
from mgit_core.errors import ErrorReason, MGitError, UnavailableError


class Failed(grpc.RpcError):
    """What gRPC raises."""

    def __init__(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode:
        return self._code


AWAY = Failed(grpc.StatusCode.UNAVAILABLE)


class Call(Iterator[int]):
    """A call that gives some numbers, and then ends or fails."""

    def __init__(self, answers: int, error: grpc.RpcError | None = None) -> None:
        self._answers = iter(range(answers))
        self._error = error
        self.is_cancelled = False

    def __next__(self) -> int:
        found = next(self._answers, None)
        if found is not None:
            return found
        raise self._error or StopIteration

    def cancel(self) -> None:
        self.is_cancelled = True


def translate(error: grpc.RpcError) -> MGitError:
    return UnavailableError(ErrorReason.SERVICE_UNAVAILABLE, str(error.code()))


def answers_of(calls: list[Call], repeats: int = 3) -> Answers:
    return Answers(lambda: calls.pop(0), translate, repeats)


def test_a_call_is_sent_again_until_it_answers() -> None:
    calls = [Call(0, AWAY), Call(0, AWAY), Call(2)]
    assert list(answers_of(calls)) == [0, 1]
    assert calls == []


def test_a_call_that_has_begun_to_answer_is_not() -> None:
    answers = answers_of([Call(0, AWAY), Call(1, AWAY), Call(1)])
    assert next(answers) == 0
    with pytest.raises(UnavailableError):
        next(answers)


@pytest.mark.parametrize(
    ("code", "repeats", "sent"),
    [
        (grpc.StatusCode.UNAVAILABLE, 2, 3),
        (grpc.StatusCode.UNAVAILABLE, 0, 1),
        (grpc.StatusCode.NOT_FOUND, 2, 1),
        (grpc.StatusCode.CANCELLED, 2, 1),
    ],
)
def test_repeats_end_and_are_for_a_service_that_is_away(
    code: grpc.StatusCode, repeats: int, sent: int
) -> None:
    calls = [Call(0, Failed(code)) for _ in range(9)]
    with pytest.raises(UnavailableError, match=code.name):
        next(answers_of(calls, repeats))
    assert len(calls) == 9 - sent


def test_closing_ends_the_pause_and_sends_nothing_more() -> None:
    calls = [Call(0, AWAY) for _ in range(9)]
    first = calls[0]
    answers = answers_of(calls, 8)
    closing = threading.Timer(0.2, answers.close)
    closing.start()
    with pytest.raises(UnavailableError):
        next(answers)
    closing.join()
    assert len(calls) > 0
    assert first is not calls[0]
