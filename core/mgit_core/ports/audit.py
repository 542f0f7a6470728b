"""Ports that only a graph which speaks Cypher has: the auditors' questions, and the look for what must not be."""

from __future__ import annotations

import abc
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "AuditAnswer",
    "AuditQueries",
    "AuditQuestion",
    "GraphCheckResult",
    "GraphChecks",
    "GraphProblem",
    "JsonValue",
]

JsonValue: TypeAlias = "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuestion:
    """A statement of an auditor's.

    Attributes:
        statement: Cypher.
        parameters: By name.
        timeout_s: After which the graph gives up.
    """

    statement: str
    parameters: Mapping[str, JsonValue]
    timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditAnswer:
    """A part of an answer.

    Attributes:
        columns: Names of the columns, the same in each part.
        rows: Values for each column, as JSON can hold them.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[JsonValue, ...], ...]


class AuditQueries(abc.ABC):
    """Questions in Cypher that can neither change nor spy."""

    @abc.abstractmethod
    def ask(self, question: AuditQuestion) -> AsyncGenerator[AuditAnswer]:
        """The rows as they come, at least one part; the transaction is always rolled back.

        Closing the iterator ends the question at the server. A question takes a place until the server is done
        with it, which may be after the caller was told that its time is over.

        Raises:
            ResourceExhaustedError: AUDIT_BUSY, if no place is free; LIMIT_EXCEEDED, if the server lacks memory.
            PermissionDeniedError: STATEMENT_REFUSED, before anything of the statement runs.
            InvalidArgumentError: INVALID_STATEMENT.
            DeadlineExceededError: DEADLINE_EXCEEDED.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphProblem:
    """Something that must not be.

    Attributes:
        message: What was found, a sentence.
        subjects: References, uids or digests that it concerns.
    """

    message: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCheckResult:
    """What one check found.

    Attributes:
        name: Name of the check.
        description: What it looks for, a sentence.
        problems: As many as were asked for.
        is_truncated: Whether there are more.
    """

    name: str
    description: str
    problems: tuple[GraphProblem, ...]
    is_truncated: bool


class GraphChecks(abc.ABC):
    """Looks for what the database cannot forbid. Changes nothing."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """Number of checks."""

    @abc.abstractmethod
    def examine(self, max_problems: int) -> AsyncGenerator[GraphCheckResult]:
        """The result of each check as it ends.

        Args:
            max_problems: Largest number of problems that each check names.
        """
