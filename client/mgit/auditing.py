"""Questions to the graph in Cypher, and the look for what must not be in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mgit.connection import Connection
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_proto.v1 import audit_pb2, maintenance_pb2

__all__ = ["AuditCalls", "CypherRows", "CypherValue", "GraphCheck", "GraphExamination", "GraphProblem"]

CypherValue: TypeAlias = "bool | int | float | str | Sequence[CypherValue] | Mapping[str, CypherValue] | None"
"""A parameter or a value of an answer: what JSON can hold."""

_EXACT = 2.0**53
_MOST_BYTES = 64 << 10


class CypherRows:
    """Rows of an answer as they arrive, each a tuple with a value for each column; iterable once.

    Nodes are dicts of their properties and ``_labels``, edges of theirs and ``_type``, paths lists of both in turn;
    times are ISO 8601 text, whole numbers beyond 2^53 are text. A number without a fraction is an int, whatever it
    was in the graph.
    """

    __slots__ = ("_columns", "_parts", "_truncated_by")

    def __init__(self, parts: Iterator[audit_pb2.QueryResponse]) -> None:
        """Wait for the first part, so that what is wrong with a question is said where it is asked."""
        first = next(parts, audit_pb2.QueryResponse())
        self._columns = tuple(first.columns)
        self._parts = _with_first(first, parts)
        self._truncated_by = ""

    def __iter__(self) -> Iterator[tuple[CypherValue, ...]]:
        for part in self._parts:
            self._truncated_by = part.truncated_by
            for row in part.rows:
                yield tuple(map(_read_value, row.values))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self._columns

    @property
    def truncated_by(self) -> str:
        """The limit that cut the answer, ``rows`` or ``bytes``; empty if none did, or as long as rows are left."""
        return self._truncated_by


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphProblem:
    """Something that must not be in the graph.

    Attributes:
        check: Name of the check that found it.
        message: What was found, a sentence.
        subjects: References, uids or digests that it concerns.
    """

    check: str
    message: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCheck:
    """What one check found.

    Attributes:
        name: Name of the check.
        description: What holds if all is right.
        problems: The first ones.
        truncated: Whether there are more.
    """

    name: str
    description: str
    problems: tuple[GraphProblem, ...]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphExamination:
    """What all checks found.

    Attributes:
        checks: In their order.
    """

    checks: tuple[GraphCheck, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not any(check.problems for check in self.checks)

    @property
    def problems(self) -> tuple[GraphProblem, ...]:
        """Problems of all checks."""
        return tuple(problem for check in self.checks for problem in check.problems)


class AuditCalls:
    """Questions about the graph as a whole. Nothing is changed."""

    _connection: Connection

    def cypher(
        self,
        statement: str,
        parameters: Mapping[str, CypherValue] | None = None,
        *,
        limit: int | None = None,
    ) -> CypherRows:
        """Ask the graph in Cypher, where the service has MGIT_AUDIT=on.

        Args:
            statement: One that only reads, at most 64 KiB.
            parameters: Values for its ``$name`` places; whole numbers become integers.
            limit: Largest number of rows; None means 10,000. The service has a limit of its own besides.

        Raises:
            PermissionDeniedError: AUDIT_OFF, or STATEMENT_REFUSED: it does more than read the graph.
            InvalidArgumentError: INVALID_STATEMENT, or INVALID_ARGUMENT for a parameter that JSON cannot hold.
            ResourceExhaustedError: AUDIT_BUSY or LIMIT_EXCEEDED.
            DeadlineExceededError: DEADLINE_EXCEEDED.
        """
        size_bytes = len(statement.encode())
        if size_bytes > _MOST_BYTES:
            raise InvalidArgumentError(
                ErrorReason.INVALID_STATEMENT,
                f"A statement has at most {_MOST_BYTES} bytes; found {size_bytes}.",
            )
        request = audit_pb2.QueryRequest(statement=statement, max_rows=_limit(limit))
        for name, value in (parameters or {}).items():
            _write_value(name, value, request.parameters.fields[name])

        def parts() -> Iterator[audit_pb2.QueryResponse]:
            with self._connection.stream(self._connection.audit.Query, request, is_bounded=True) as answers:
                yield from answers

        return CypherRows(parts())

    def doctor(
        self, *, limit: int = 100, progress: Callable[[str, int, int], None] | None = None
    ) -> GraphExamination:
        """Look through the graph for what its database cannot forbid. Cost follows the size of the graph.

        Args:
            limit: Largest number of problems that each check names.
            progress: ``progress(check, done, total)``.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        request = maintenance_pb2.ExamineGraphRequest(max_problems=limit)
        checks: list[GraphCheck] = []
        with self._connection.stream(self._connection.maintenance.ExamineGraph, request) as answers:
            for answer in answers:
                checks.append(_read_check(answer))
                if progress is not None:
                    progress(answer.check, answer.done, answer.total)
        return GraphExamination(checks=tuple(checks))


def _with_first(
    first: audit_pb2.QueryResponse, rest: Iterator[audit_pb2.QueryResponse]
) -> Iterator[audit_pb2.QueryResponse]:
    yield first
    yield from rest


def _limit(limit: int | None) -> int:
    if limit is not None and not 1 <= limit < 2**31:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT, f"limit is at least 1; found {limit}.", field="limit"
        )
    return limit or 0


def _read_check(answer: maintenance_pb2.ExamineGraphResponse) -> GraphCheck:
    problems = tuple(
        GraphProblem(check=problem.check, message=problem.message, subjects=tuple(problem.subjects))
        for problem in answer.problems
    )
    return GraphCheck(
        name=answer.check, description=answer.description, problems=problems, truncated=answer.truncated
    )


def _read_value(value: Any) -> CypherValue:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return {name: _read_value(each) for name, each in value.struct_value.fields.items()}
    if kind == "list_value":
        return [_read_value(each) for each in value.list_value.values]
    if kind == "number_value":
        number: float = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "string_value":
        return str(value.string_value)
    return bool(value.bool_value) if kind == "bool_value" else None


def _write_value(name: str, value: object, into: Any) -> None:
    """Put a value where the wire has room for it."""
    if value is None:
        into.null_value = 0
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int | float) and not (isinstance(value, int) and abs(value) > _EXACT):
        into.number_value = value
    elif isinstance(value, str):
        into.string_value = value
    elif isinstance(value, Mapping):
        into.struct_value.SetInParent()
        for key, each in value.items():
            _write_value(name, each, into.struct_value.fields[str(key)])
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        into.list_value.SetInParent()
        for each in value:
            _write_value(name, each, into.list_value.values.add())
    else:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"Parameter {name} is text, a number up to 2^53, a truth value, a list or an object; found "
            f"{type(value).__name__}. Write larger numbers as text, and toInteger($name) in the statement.",
            field="parameters",
        )
