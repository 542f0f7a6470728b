"""Whom bugs reach."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from mgit_core.bugs import AffectedModel
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import ModelSummary
from mgit_core.ports.bugs import ReachQuery
from mgit_core.ports.graph import Lineage
from mgit_service.use_cases.bugs.reports import resolve_bug
from mgit_service.use_cases.references import find_model

__all__ = ["AffectedPart", "ReachQuestion", "count_affected", "list_affected"]

_MOST_ASSUMED = 1_000
_MODELS_IN_A_PART = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachQuestion:
    """Whom does a bug reach?

    Attributes:
        bug: Its id, or how it begins.
        assumed_fixed: References of models that are taken as fixed besides.
        declared_only: Whether inferred edges are left out.
        limit: Largest number of affected models; 0 means all.
    """

    bug: str
    assumed_fixed: tuple[str, ...] = ()
    declared_only: bool = False
    limit: int = 0

    def __post_init__(self) -> None:
        """Refuses bounds that cannot be.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        if self.limit < 0:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT, f"limit is 0 or more; found {self.limit}.", field="limit"
            )
        if len(self.assumed_fixed) > _MOST_ASSUMED:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                f"At most {_MOST_ASSUMED} models are assumed to be fixed; found {len(self.assumed_fixed)}.",
                field="assumed_fixed",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedPart:
    """A part of the answer.

    Attributes:
        affected: Affected models.
        unknown: Newer versions of affected models of which nobody knows.
        cleared: Models that the assumed fixes would clear.
        is_truncated: Whether the limit cut the answer; said by the last part.
    """

    affected: Sequence[AffectedModel] = ()
    unknown: Sequence[ModelSummary] = ()
    cleared: Sequence[ModelSummary] = ()
    is_truncated: bool = False


async def list_affected(lineage: Lineage, question: ReachQuestion) -> AsyncGenerator[AffectedPart]:
    """The affected models by hops and then uid, then what lies beside them; the last part has no models.

    Raises:
        NotFoundError: BUG_NOT_FOUND, MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT, INVALID_REFERENCE or INVALID_NAME.
    """
    query = await _query(lineage, question)
    room = question.limit or None
    is_truncated = False
    async with _closing(lineage.bugs.affected(query)) as parts:
        async for part in parts:
            is_truncated = room is not None and len(part) > room
            if part[:room]:
                yield AffectedPart(affected=part[:room])
            room = None if room is None else max(0, room - len(part))
            if is_truncated:
                break
    margin = await lineage.bugs.margin(query)
    for models in _slices(margin.unknown):
        yield AffectedPart(unknown=models)
    for models in _slices(margin.cleared):
        yield AffectedPart(cleared=models)
    yield AffectedPart(is_truncated=is_truncated)


async def count_affected(lineage: Lineage, question: ReachQuestion) -> int:
    """Number of affected models; a limit is not heeded.

    Raises:
        As ``list_affected``.
    """
    return await lineage.bugs.count(await _query(lineage, question))


async def _query(lineage: Lineage, question: ReachQuestion) -> ReachQuery:
    assumed = [(await find_model(lineage, reference)).uid for reference in question.assumed_fixed]
    return ReachQuery(
        bug_id=await resolve_bug(lineage, question.bug),
        assumed_fixed=tuple(dict.fromkeys(assumed)),
        declared_only=question.declared_only,
    )


def _slices(models: Sequence[ModelSummary]) -> Iterator[Sequence[ModelSummary]]:
    for start in range(0, len(models), _MODELS_IN_A_PART):
        yield models[start : start + _MODELS_IN_A_PART]


@contextlib.asynccontextmanager
async def _closing(
    parts: AsyncIterator[list[AffectedModel]],
) -> AsyncGenerator[AsyncIterator[list[AffectedModel]]]:
    """Let go of the graph at once where an answer is left in the middle."""
    try:
        yield parts
    finally:
        if isinstance(parts, AsyncGenerator):
            await parts.aclose()
