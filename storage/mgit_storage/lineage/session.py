"""Transactions on Neo4j: one place for the driver, time limits, repeats, and idempotent requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, LiteralString, Self, TypeAlias, TypeVar

import neo4j
from neo4j import exceptions as driver_errors

from mgit_core.errors import ConflictError, ErrorReason, InvalidArgumentError, UnavailableError
from mgit_core.lineage import RequestKey
from mgit_core.ports.graph import remaining_s
from mgit_storage.lineage.commits import Commits
from mgit_storage.lineage.cypher import commit as cypher
from mgit_storage.lineage.failures import is_lost_race, translated

__all__ = ["Answer", "AnyTransaction", "GraphSession", "Transaction", "run"]

Answer: TypeAlias = dict[str, Any]
Transaction: TypeAlias = neo4j.AsyncManagedTransaction
AnyTransaction: TypeAlias = neo4j.AsyncManagedTransaction | neo4j.AsyncTransaction
_T = TypeVar("_T")

_FETCH_SIZE = 5_000
_CONNECT_TIMEOUT_S = 5.0
_RETRY_TIME_S = 15.0
# A connection that was idle for so long is tried before it is used: the server may have been restarted.
_IDLE_BEFORE_CHECK_S = 30.0
# The driver has a trial of HTTP, which lacks what transactions here need.
_SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
# A race that is lost so often is no race.
_RACES = 5


class GraphSession:
    """Runs transactions. One for a process; safe for many coroutines of one event loop."""

    def __init__(self, driver: neo4j.AsyncDriver, database: str | None) -> None:
        self._driver = driver
        self._database = database
        self._commits = Commits()

    @classmethod
    def open(cls, uri: str, username: str, password: str, database: str | None) -> Self:
        """Prepare connections; none is made yet.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT, if ``uri`` is no address of a Neo4j.
        """
        if uri.partition("://")[0] not in _SCHEMES:
            raise _no_address()
        try:
            driver = neo4j.AsyncGraphDatabase.driver(
                uri,
                auth=(username, password),
                connection_timeout=_CONNECT_TIMEOUT_S,
                connection_acquisition_timeout=_RETRY_TIME_S,
                liveness_check_timeout=_IDLE_BEFORE_CHECK_S,
                max_transaction_retry_time=_RETRY_TIME_S,
                fetch_size=_FETCH_SIZE,
                telemetry_disabled=True,
                notifications_min_severity="OFF",
                user_agent="mgit",
            )
        except (driver_errors.ConfigurationError, ValueError) as error:
            raise _no_address() from error
        return cls(driver, database)

    async def close(self) -> None:
        """Close every connection."""
        await self._driver.close()

    async def rows(self, query: LiteralString, **parameters: object) -> list[Answer]:
        """All rows of a reading query, in one round trip; asked again if a connection broke.

        They have all or nothing of each commit that this session was to make ``at_once``.
        """
        for _ in range(_RACES - 1):
            with translated():
                async with asyncio.timeout(remaining_s()):
                    begun = await self._commits.wait()
            answer = await self._rows_once(query, **parameters)
            if self._commits.is_whole_since(begun):
                return answer
        return await self._rows_once(query, **parameters)

    async def _rows_once(self, query: LiteralString, **parameters: object) -> list[Answer]:
        async def unit(transaction: Transaction) -> list[Answer]:
            return await run(transaction, query, **parameters)

        with translated():
            async with asyncio.timeout(remaining_s()), self._open(neo4j.READ_ACCESS) as session:
                try:
                    result = await session.run(_timed(query), parameters)
                    return [dict(record) async for record in result]
                except (driver_errors.DriverError, driver_errors.Neo4jError) as error:
                    if not error.is_retryable():
                        raise
            async with asyncio.timeout(remaining_s()), self._open(neo4j.READ_ACCESS) as session:
                return await session.execute_read(_timed_unit(unit))

    async def probe(self, query: LiteralString) -> list[Answer]:
        """All rows of a reading query, asked once: says at once that the server does not answer."""
        with translated():
            async with asyncio.timeout(remaining_s()), self._open(neo4j.READ_ACCESS) as session:
                result = await session.run(_timed(query))
                return [dict(record) async for record in result]

    async def stream(self, query: LiteralString, **parameters: object) -> AsyncIterator[Answer]:
        """The rows of a reading query as they come; not repeated if the connection breaks."""
        with translated():
            async with self._open(neo4j.READ_ACCESS) as session:
                result = await session.run(_timed(query), parameters)
                async for record in result:
                    yield dict(record)

    async def write(
        self,
        unit: Callable[[Transaction], Awaitable[Answer]],
        request: RequestKey | None = None,
        *,
        epochs: Sequence[int] = (),
        at_once: bool = False,
    ) -> tuple[Answer, bool]:
        """Run one changing transaction, or find the answer that an earlier call with ``request`` got.

        Args:
            unit: May run several times; returns what JSON can hold.
            request: Makes the change idempotent.
            epochs: What the store's epoch must be at the end, the store locked.
            at_once: Whether ``rows`` waits while the server applies it, so as to see all of it or nothing.

        Returns:
            The answer, and whether it is an earlier call's.

        Raises:
            ConflictError: REQUEST_ID_REUSED.
            UnavailableError: UPLOAD_STALE.
        """

        async def whole(transaction: Transaction) -> tuple[Answer, bool]:
            earlier = None if request is None else await _claim(transaction, request)
            if earlier is not None:
                return earlier, True
            answer = await unit(transaction)
            if request is not None:
                await _record(transaction, request, answer)
            if epochs:
                await _check_epoch(transaction, epochs)
            if at_once:
                self._commits.begin(whole)
            return answer, False

        try:
            with translated():
                return await self._write(whole)
        finally:
            self._commits.end(whole)

    async def _write(self, whole: Callable[[Transaction], Awaitable[_T]]) -> _T:
        async with asyncio.timeout(remaining_s()), self._open(neo4j.WRITE_ACCESS) as session:
            for _ in range(_RACES - 1):
                try:
                    return await session.execute_write(_timed_unit(whole))
                except driver_errors.Neo4jError as error:
                    if not is_lost_race(error):
                        raise
            return await session.execute_write(_timed_unit(whole))

    async def find_answer(self, request: RequestKey) -> Answer | None:
        """The answer that an earlier call with ``request`` got; None if there is none.

        Raises:
            ConflictError: REQUEST_ID_REUSED.
        """
        rows = await self.rows(cypher.FIND_REQUEST, id=request.id)
        return _answer_of(rows[0], request) if rows else None

    async def auto_commit(self, query: LiteralString, **parameters: object) -> list[Answer]:
        """Run one query outside a managed transaction, as schema changes need it."""
        with translated():
            async with self._open(neo4j.WRITE_ACCESS) as session:
                result = await session.run(query, parameters)
                return [dict(record) async for record in result]

    async def undone(self, unit: Callable[[neo4j.AsyncTransaction], Awaitable[_T]]) -> _T:
        """Run a transaction that is rolled back at its end."""
        with translated():
            async with self._open(neo4j.WRITE_ACCESS) as session:
                transaction = await session.begin_transaction()
                try:
                    return await unit(transaction)
                finally:
                    await transaction.close()

    @contextlib.asynccontextmanager
    async def question(
        self, *, timeout_s: float, marks: dict[str, str], fetch_size: int
    ) -> AsyncGenerator[neo4j.AsyncTransaction]:
        """A transaction that may only read, and is rolled back in any case.

        Errors of the driver pass as they are: some of them tell what is wrong with the question.

        Args:
            timeout_s: After which the server ends it, where it looks at the time.
            marks: Shown with it in the server's list of transactions.
            fetch_size: Rows that the server sends at once.
        """
        async with self._driver.session(
            database=self._database, default_access_mode=neo4j.READ_ACCESS, fetch_size=fetch_size
        ) as session:
            transaction = await session.begin_transaction(metadata=marks, timeout=timeout_s)
            try:
                yield transaction
            finally:
                await transaction.close()

    def _open(self, access: str) -> neo4j.AsyncSession:
        return self._driver.session(database=self._database, default_access_mode=access)


def _no_address() -> InvalidArgumentError:
    return InvalidArgumentError(
        ErrorReason.INVALID_ARGUMENT, "The address of Neo4j is not one such as bolt://HOST:7687."
    )


def _timed(query: LiteralString) -> neo4j.Query:
    return neo4j.Query(query, timeout=remaining_s())


def _timed_unit(
    unit: Callable[[Transaction], Awaitable[_T]],
) -> Callable[[Transaction], Awaitable[_T]]:
    return neo4j.unit_of_work(timeout=remaining_s())(unit)


async def run(transaction: AnyTransaction, query: LiteralString, **parameters: object) -> list[Answer]:
    """All rows of a query inside a transaction."""
    result = await transaction.run(query, parameters)
    return [dict(record) async for record in result]


async def _claim(transaction: Transaction, request: RequestKey) -> Answer | None:
    rows = await run(transaction, cypher.CLAIM_REQUEST, id=request.id)
    return _answer_of(rows[0], request)


def _answer_of(row: Answer, request: RequestKey) -> Answer | None:
    if row["answer"] is None:
        return None
    if row["arguments_digest"] != request.arguments_digest.hex():
        raise ConflictError(
            ErrorReason.REQUEST_ID_REUSED,
            f"Request id {request.id!r} was used for another request; each change needs an id of its own.",
            request_id=request.id,
        )
    answer: Answer = json.loads(row["answer"])
    return answer


async def _record(transaction: Transaction, request: RequestKey, answer: Answer) -> None:
    await run(
        transaction,
        cypher.RECORD_REQUEST,
        id=request.id,
        arguments_digest=request.arguments_digest.hex(),
        answer=json.dumps(answer),
    )


async def _check_epoch(transaction: Transaction, epochs: Sequence[int]) -> None:
    if not await run(transaction, cypher.LOCK_AND_CHECK_EPOCH, epochs=sorted(set(epochs))):
        raise UnavailableError(
            ErrorReason.UPLOAD_STALE,
            f"A collection ran since the upload was drafted at epoch {min(epochs)}; draft it again.",
            epoch=min(epochs),
        )
