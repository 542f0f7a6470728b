"""An auditor's question within its limits."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from mgit_core.errors import ErrorReason, InvalidArgumentError, PermissionDeniedError, ResourceExhaustedError
from mgit_core.ports.audit import AuditQuestion, JsonValue
from mgit_core.ports.graph import Lineage, remaining_s

__all__ = ["MAX_ROW_BYTES", "MAX_TEXT_BYTES", "AuditLimits", "AuditPart", "ask_graph"]

Row: TypeAlias = tuple[JsonValue, ...]

MAX_TEXT_BYTES = 64 << 10
MAX_ROW_BYTES = 512 << 10
# Rows travel in messages of at most 1 MiB.
_BATCH_BYTES = 256 << 10
_USUAL_ROWS = 10_000
# What travels nests two messages a level, and readers take a hundred.
_DEEPEST = 40
# A number with what surrounds it on the wire; also a bound for what surrounds a text or a list.
_SCALAR_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLimits:
    """What a question may cost.

    Attributes:
        is_open: Whether any question is taken.
        seconds: Longest time.
        rows: Largest number of rows.
        size_bytes: Largest answer, on the wire.
    """

    is_open: bool = False
    seconds: float = 30.0
    rows: int = 100_000
    size_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPart:
    """A part of an answer.

    Attributes:
        columns: Names of the columns, the same in each part.
        rows: Values for each column.
        truncated_by: In the last part, ``rows`` or ``bytes`` if that limit cut the answer.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...] = ()
    truncated_by: str = ""


@dataclass(slots=True)
class _Meter:
    """Counts what was sent of an answer, and cuts it into messages.

    Attributes:
        rows_left: Rows that may still be sent.
        bytes_left: Bytes that may still be sent.
        row: Number of the last row that was looked at.
    """

    rows_left: int
    bytes_left: int
    row: int = 0

    def portions(self, rows: Sequence[Row]) -> Iterator[tuple[tuple[Row, ...], str]]:
        """The rows, as many as fit a message at a time; with the last ones the limit that cut them, if one did."""
        batch: list[Row] = []
        room = _BATCH_BYTES
        for row in rows:
            size_bytes = self._measured(row)
            if not self.rows_left or size_bytes > self.bytes_left:
                yield tuple(batch), "bytes" if self.rows_left else "rows"
                return
            if batch and size_bytes > room:
                yield tuple(batch), ""
                batch, room = [], _BATCH_BYTES
            batch.append(row)
            room -= size_bytes
            self.rows_left -= 1
            self.bytes_left -= size_bytes
        yield tuple(batch), ""

    def _measured(self, row: Row) -> int:
        self.row += 1
        size_bytes = _size_of(row)
        if size_bytes > MAX_ROW_BYTES:
            raise ResourceExhaustedError(
                ErrorReason.LIMIT_EXCEEDED,
                f"Row {self.row} of the answer takes {size_bytes} bytes; a row has at most {MAX_ROW_BYTES}. Ask for "
                "less in each row.",
            )
        return size_bytes


async def ask_graph(
    lineage: Lineage,
    statement: str,
    parameters: Mapping[str, JsonValue],
    limits: AuditLimits,
    *,
    max_rows: int = 0,
) -> AsyncGenerator[AuditPart]:
    """The answer as it comes, at least one part; the columns are in the first one.

    Args:
        lineage: The graph.
        statement: Cypher.
        parameters: By name.
        limits: The service's.
        max_rows: The caller's own limit; 0 means 10,000. That of the service counts, too.

    Raises:
        PermissionDeniedError: AUDIT_OFF or STATEMENT_REFUSED.
        InvalidArgumentError: INVALID_STATEMENT, or INVALID_ARGUMENT for a negative limit.
        ResourceExhaustedError: AUDIT_BUSY, or LIMIT_EXCEEDED for a row that is too large.
        DeadlineExceededError: DEADLINE_EXCEEDED.
    """
    if not limits.is_open or lineage.audit is None:
        raise PermissionDeniedError(
            ErrorReason.AUDIT_OFF,
            "This service takes no questions in Cypher; whoever runs it can set MGIT_AUDIT=on.",
        )
    question = _question(statement, parameters, limits)
    meter = _Meter(min(_wanted_rows(max_rows), limits.rows), limits.size_bytes)
    async with contextlib.aclosing(lineage.audit.ask(question)) as answers:
        async for answer in answers:
            for rows, cut in meter.portions(answer.rows):
                yield AuditPart(columns=answer.columns, rows=rows, truncated_by=cut)
                if cut:
                    return


def _size_of(value: JsonValue, depth: int = 0) -> int:
    """Bytes of a value on the wire, at most."""
    if depth > _DEEPEST:
        raise ResourceExhaustedError(
            ErrorReason.LIMIT_EXCEEDED,
            f"A value of the answer nests deeper than {_DEEPEST} levels; ask for less.",
        )
    if isinstance(value, str):
        return _SCALAR_BYTES + len(value.encode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return _SCALAR_BYTES + sum(
            _SCALAR_BYTES + len(key.encode("utf-8", "replace")) + _size_of(each, depth + 1)
            for key, each in value.items()
        )
    if isinstance(value, Sequence):
        return _SCALAR_BYTES + sum(_size_of(each, depth + 1) for each in value)
    return _SCALAR_BYTES


def _wanted_rows(max_rows: int) -> int:
    if max_rows < 0:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"max_rows is at least 0; found {max_rows}.", field="max_rows"
        )
    return max_rows or _USUAL_ROWS


def _question(statement: str, parameters: Mapping[str, JsonValue], limits: AuditLimits) -> AuditQuestion:
    _check_size("statement", len(statement.encode("utf-8", "replace")))
    _check_size("parameters", len(json.dumps(dict(parameters)).encode()))
    left = remaining_s()
    return AuditQuestion(
        statement=statement,
        parameters=parameters,
        timeout_s=limits.seconds if left is None else min(left, limits.seconds),
    )


def _check_size(what: str, size_bytes: int) -> None:
    if size_bytes > MAX_TEXT_BYTES:
        raise InvalidArgumentError(
            ErrorReason.INVALID_STATEMENT,
            f"The {what} of a question take at most {MAX_TEXT_BYTES} bytes; found {size_bytes}.",
            field=what,
        )
