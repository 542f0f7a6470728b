"""Calls with many answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

import grpc

from mgit_core.errors import MGitError

__all__ = ["Answers"]

_FIRST_PAUSE_S = 0.1


class Answers(Iterator[Any]):
    """The answers of one running call. ``close`` may be called from any thread.

    A call that has not begun to answer is sent again while the service is unavailable, a few times within a second.
    gRPC's own repeats are not for calls with streams: once they are used up, such a call never ends.
    """

    def __init__(
        self, send: Callable[[], Any], translate: Callable[[grpc.RpcError], MGitError], repeats: int
    ) -> None:
        """Send the call.

        Args:
            send: Sends it, each time anew.
            translate: Errors of gRPC as ours.
            repeats: How often it may be sent again.
        """
        self._send = send
        self._translate = translate
        self._repeats_left = repeats
        self._pause_s = _FIRST_PAUSE_S
        self._closed = threading.Event()
        self._call = send()

    def __next__(self) -> Any:
        while True:
            try:
                answer = next(self._call)
            except grpc.RpcError as error:
                if not self._may_repeat(error):
                    raise self._translate(error) from error
                self._call = self._send()
                if self._closed.is_set():
                    self._call.cancel()
            else:
                self._repeats_left = 0
                return answer

    def close(self) -> None:
        """End the call; who waits for an answer gets an error."""
        self._closed.set()
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _may_repeat(self, error: grpc.RpcError) -> bool:
        """Whether the call is to be sent again now, after a pause."""
        is_away = error.code() is grpc.StatusCode.UNAVAILABLE
        if not is_away or not self._repeats_left or self._closed.wait(self._pause_s):
            return False
        self._repeats_left -= 1
        self._pause_s *= 2
        return True
