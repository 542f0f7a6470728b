"""Messages on their way to a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

__all__ = ["Outgoing"]

Message = TypeVar("Message")


class Outgoing(Iterator[Message]):
    """Messages for gRPC, which would only log what their making raises: here it ends them and is kept.

    Attributes:
        failure: What ended them, or None.
    """

    def __init__(self, messages: Iterator[Message]) -> None:
        self._messages = messages
        self.failure: Exception | None = None

    def __next__(self) -> Message:
        try:
            return next(self._messages)
        except StopIteration:
            raise
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits for the answer
            self.failure = error
            raise StopIteration from None
