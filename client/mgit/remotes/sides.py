"""The two services of an exchange, and the bytes of the messages that go to and come from each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import grpc

from mgit.connection import Answers, Capabilities, Connection, Patience
from mgit.outgoing import Outgoing
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    MGitError,
)
from mgit_proto.v1 import exchange_pb2 as pb

__all__ = ["Side", "check_sides"]

Message = TypeVar("Message")
Response = TypeVar("Response")


class Side:
    """One of the two services.

    Attributes:
        connection: How it is asked.
        sent_bytes: Bytes of the messages that were sent to it.
        received_bytes: Bytes of the messages that came from it.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.sent_bytes = 0
        self.received_bytes = 0
        self._has_answered = False

    def patience(self) -> Patience:
        """How long work waits for the service: short if it never answered, else as long as a restart takes."""
        return Patience(self.connection, has_answered=self._has_answered)

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        return self.connection.endpoint.address

    @property
    def capabilities(self) -> Capabilities:
        """Limits and fixed facts of the service."""
        return self.connection.capabilities

    def call(self, method: Callable[..., Response], request: Any) -> Response:
        """The answer of a call with one request and one answer.

        Raises:
            MGitError: As the service answers.
        """
        self.sent_bytes += request.ByteSize()
        answer = self.connection.call(method, request)
        self._count(answer)
        return answer

    def send(self, method: Callable[..., Response], messages: Iterator[Any]) -> Response:
        """The answer of a call with many messages.

        Raises:
            MGitError: As the service answers, or whatever the making of the messages raises.
        """
        outgoing = Outgoing(self._sent(messages))
        try:
            answer = self.connection.call(method, outgoing, is_bounded=False)
        except MGitError:
            if outgoing.failure is not None:
                raise outgoing.failure from None
            raise
        if outgoing.failure is not None:
            raise outgoing.failure
        self._count(answer)
        return answer

    def ask(self, method: Callable[..., Response], request: Any) -> Response:
        """The answer of a call that changes nothing; repeated while the service is unavailable.

        Raises:
            MGitError: As the service answers.
        """
        return self.patience().outlast(lambda: self.call(method, request))

    def collect(self, method: Callable[..., Any], make_request: Callable[[], Any]) -> list[Any]:
        """All answers of a call that changes nothing; repeated while the service is unavailable.

        Args:
            method: The call.
            make_request: Gives the request, a message or an iterator of them, for each attempt anew.

        Raises:
            MGitError: As the service answers.
        """

        def attempt() -> list[Any]:
            with self.stream(method, make_request()) as answers:
                return list(self.received(answers))

        return self.patience().outlast(attempt)

    def stream(self, method: Callable[..., Any], request: Any) -> Answers:
        """The answers of a call with many; ``received`` counts them.

        Raises:
            MGitError: As the service answers; the iteration too.
        """
        if isinstance(request, Iterator):
            return self.connection.stream(method, self._sent(request))
        self.sent_bytes += request.ByteSize()
        return self.connection.stream(method, request)

    def received(self, answers: Iterator[Message]) -> Iterator[Message]:
        """``answers``, counted as they are taken."""
        for answer in answers:
            self._count(answer)
            yield answer

    def _count(self, answer: object) -> None:
        self._has_answered = True
        self.received_bytes += cast("Any", answer).ByteSize()

    def _sent(self, messages: Iterator[Any]) -> Iterator[Any]:
        for message in messages:
            self.sent_bytes += message.ByteSize()
            yield message


def check_sides(source: Side, destination: Side) -> None:
    """Refuse two services that cannot exchange models.

    Raises:
        InvalidArgumentError: INVALID_REMOTE, for one store with itself.
        FailedPreconditionError: REMOTE_VERSION_UNKNOWN or STORES_UNLIKE.
        UnavailableError: SERVICE_UNAVAILABLE.
    """
    for side in (source, destination):
        _check_version(side)
    ours, theirs = source.capabilities, destination.capabilities
    if ours.store_id == theirs.store_id:
        raise InvalidArgumentError(
            ErrorReason.INVALID_REMOTE,
            f"{source.address} and {destination.address} are the same store; nothing was exchanged.",
        )
    if ours.algorithm is not theirs.algorithm:
        raise FailedPreconditionError(
            ErrorReason.STORES_UNLIKE,
            f"The store at {source.address} names content by {ours.algorithm}, that at {destination.address} by "
            f"{theirs.algorithm}; they cannot exchange chunks. Add the models there from files.",
        )


def _check_version(side: Side) -> None:
    """Asks for what every service of this version answers."""
    try:
        _ = side.capabilities
        side.call(side.connection.exchange.CompareModels, pb.CompareModelsRequest())
    except InternalError as error:
        # What a stub raises is both an error and a call, which its stubs do not say.
        code = getattr(error.__cause__, "code", None)
        if code is None or code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise
        raise _other_version(side) from error


def _other_version(side: Side) -> FailedPreconditionError:
    return FailedPreconditionError(
        ErrorReason.REMOTE_VERSION_UNKNOWN,
        f"The service at {side.address} does not know the calls by which this version exchanges models. Update the "
        "older of the two; nothing was exchanged.",
        address=side.address,
    )
