"""Auditors' questions on Neo4j: planned first, run in a transaction that is always rolled back, ended when left."""

from __future__ import annotations

import asyncio
import contextlib
import re
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, LiteralString, cast

from neo4j import exceptions as driver_errors
from typing_extensions import override

from mgit_core.errors import (
    ErrorReason,
    InternalError,
    InvalidArgumentError,
    MGitError,
    ResourceExhaustedError,
)
from mgit_core.ports.audit import AuditAnswer, AuditQueries, AuditQuestion
from mgit_storage.lineage.audit_rules import check_plan, check_words
from mgit_storage.lineage.audit_values import json_value
from mgit_storage.lineage.audit_words import refused
from mgit_storage.lineage.cypher import audit as cypher
from mgit_storage.lineage.failures import deadline_exceeded, translate
from mgit_storage.lineage.session import AnyTransaction, GraphSession

__all__ = ["Neo4jAuditQueries"]

# Each may keep a core of the server busy and a part of its memory.
_MOST_AT_ONCE = 4
# A row may be large: a whole fetch lies in memory, of the driver and here.
_FETCHED_AT_ONCE = 100
_PARTS_WAITING = 2
_LONGEST_MESSAGE = 600
_PLACE = re.compile(r"\(line (?P<line>\d+), column (?P<column>\d+) \(offset: \d+\)\)")
_STATEMENT_ERROR = "Neo.ClientError.Statement."
_PROCEDURE_ERROR = "Neo.ClientError.Procedure."
_NOT_PERMITTED = ("Neo.ClientError.Statement.AccessMode", "Neo.ClientError.Security.Forbidden")


@dataclass(slots=True)
class _Running:
    """A question that has its place.

    Attributes:
        mark: By which the server finds its transaction.
        parts: What came of it; an error or None at the end.
        is_left: Whether nobody waits for it any more.
    """

    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    parts: asyncio.Queue[AuditAnswer | MGitError | None] = field(
        default_factory=lambda: asyncio.Queue(_PARTS_WAITING)
    )
    is_left: bool = False

    def is_wanted(self) -> bool:
        """Whether somebody still waits for it, which others change meanwhile."""
        return not self.is_left

    def leave(self) -> None:
        """Let the one who asks the server go on to its end: what waits is dropped."""
        self.is_left = True
        while not self.parts.empty():
            self.parts.get_nowait()


class Neo4jAuditQueries(AuditQueries):
    """Questions over transactions of their own.

    A question keeps its place until the server is done with it, also if the caller has left: a loop within an
    expression is one that the server does not break off, whatever its time limit.
    """

    def __init__(self, session: GraphSession, *, most_at_once: int = _MOST_AT_ONCE) -> None:
        self._session = session
        self._places = most_at_once
        self._tasks: set[asyncio.Task[None]] = set()

    @override
    async def ask(self, question: AuditQuestion) -> AsyncGenerator[AuditAnswer]:
        check_words(question.statement)
        running = _Running()
        task = self._start(running, question)
        end = asyncio.get_running_loop().time() + question.timeout_s
        try:
            while (part := await _before(end, running)) is not None:
                if isinstance(part, MGitError):
                    raise part
                yield part
        finally:
            running.leave()
            if not task.done():
                self._keep(asyncio.create_task(self._end(running.mark)))

    def _start(self, running: _Running, question: AuditQuestion) -> asyncio.Task[None]:
        if not self._places:
            raise ResourceExhaustedError(
                ErrorReason.AUDIT_BUSY,
                "As many questions of auditors are running as the graph takes at once; ask again later.",
            )
        self._places -= 1
        return self._keep(asyncio.create_task(self._run(running, question)))

    def _keep(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _run(self, running: _Running, question: AuditQuestion) -> None:
        end: MGitError | None = None
        try:
            await self._fill(running, question)
        except (driver_errors.DriverError, driver_errors.Neo4jError) as error:
            end = _translated(error)
        except MGitError as error:
            end = error
        except Exception:  # noqa: BLE001 - told to the one who asks, who would wait for ever
            end = InternalError(ErrorReason.INTERNAL, "The answer to a question could not be read.")
        finally:
            self._places += 1
        if running.is_wanted():
            await running.parts.put(end)

    async def _fill(self, running: _Running, question: AuditQuestion) -> None:
        async with self._session.question(
            timeout_s=question.timeout_s, marks={"mgit_audit": running.mark}, fetch_size=_FETCHED_AT_ONCE
        ) as transaction:
            await _plan(transaction, question)
            if not running.is_wanted():
                return
            result = await transaction.run(_text(cypher.LANGUAGE, question), dict(question.parameters))
            columns = tuple(result.keys())
            await running.parts.put(AuditAnswer(columns=columns, rows=()))
            while running.is_wanted() and (records := await result.fetch(_FETCHED_AT_ONCE)):
                rows = tuple(tuple(map(json_value, record.values())) for record in records)
                await running.parts.put(AuditAnswer(columns=columns, rows=rows))

    async def _end(self, mark: str) -> None:
        """Have the server end what was left; if it cannot be told, its own time limit does."""
        with contextlib.suppress(MGitError):
            await self._session.auto_commit(cypher.END_QUESTION, mark=mark)


async def _before(end: float, running: _Running) -> AuditAnswer | MGitError | None:
    try:
        async with asyncio.timeout_at(end):
            return await running.parts.get()
    except TimeoutError as error:
        raise deadline_exceeded() from error


async def _plan(transaction: AnyTransaction, question: AuditQuestion) -> None:
    result = await transaction.run(_text(cypher.PLAN, question), dict(question.parameters))
    summary = await result.consume()
    check_plan(summary.query_type, cast("dict[str, Any] | None", summary.plan))


def _text(prefix: LiteralString, question: AuditQuestion) -> LiteralString:
    """The one text that is not ours. It is the auditor's whole statement, never a piece joined into another one."""
    statement = cast("LiteralString", question.statement)  # type: ignore[redundant-cast] # mypy takes any text
    return prefix + statement


def _translated(error: driver_errors.DriverError | driver_errors.Neo4jError) -> MGitError:
    code = (error.code or "") if isinstance(error, driver_errors.Neo4jError) else ""
    if code in _NOT_PERMITTED:
        return refused("the server does not let it run as a question that only reads")
    if isinstance(error, driver_errors.Neo4jError) and code.startswith((_STATEMENT_ERROR, _PROCEDURE_ERROR)):
        said = _PLACE.sub(_own_place, error.message or code)[:_LONGEST_MESSAGE]
        return InvalidArgumentError(
            ErrorReason.INVALID_STATEMENT, f"The graph cannot answer the statement: {said}", code=code
        )
    return translate(error)


def _own_place(place: re.Match[str]) -> str:
    """A place in the auditor's own text, which begins a line behind the prefix."""
    return f"(line {int(place['line']) - 1}, column {place['column']})"
