"""Questions over the lineage, with their bounds."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Direction, ModelSummary, ProvenanceEdge, Relation, RevisionEdge
from mgit_core.ports.graph import Lineage, RelatedModel, TraversalQuery
from mgit_service.use_cases.references import resolve_uid, resolve_uids

__all__ = [
    "LineageGraph",
    "RelativesQuestion",
    "count_relatives",
    "find_merge_bases",
    "lineage_graph",
    "list_relatives",
    "list_uids",
]

Item = TypeVar("Item")

_DEFAULT_MODELS = 10_000
_MOST_MODELS = 100_000
_MOST_REFERENCES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativesQuestion:
    """Which relatives are wanted.

    Attributes:
        reference: Of the model to start from.
        direction: Which way.
        relations: Edges to follow; empty means all.
        max_depth: Largest number of hops; 0 means no bound.
        limit: Largest number of models; 0 means all.
    """

    reference: str
    direction: Direction
    relations: tuple[Relation, ...] = ()
    max_depth: int = 0
    limit: int = 0

    def __post_init__(self) -> None:
        """Refuses negative bounds.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        for field, value in (("max_depth", self.max_depth), ("limit", self.limit)):
            if value < 0:
                raise InvalidArgumentError(
                    ErrorReason.INVALID_ARGUMENT, f"{field} is 0 or more; found {value}.", field=field
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageGraph:
    """Models with every edge among them.

    Attributes:
        models: By creation time and uid.
        edges: Provenance edges, by child and position.
        revisions: Version edges.
        is_truncated: Whether the largest number of models cut the answer.
    """

    models: Sequence[ModelSummary]
    edges: Sequence[ProvenanceEdge]
    revisions: Sequence[RevisionEdge]
    is_truncated: bool


async def _query(lineage: Lineage, question: RelativesQuestion) -> TraversalQuery:
    return TraversalQuery(
        uid=await resolve_uid(lineage, question.reference),
        direction=question.direction,
        relations=question.relations,
        max_depth=question.max_depth or None,
        limit=question.limit or None,
    )


async def list_uids(lineage: Lineage, question: RelativesQuestion) -> AsyncIterator[tuple[list[str], bool]]:
    """Relatives as uids in slices of some thousands, in no order, each with whether a limit cut the answer.

    Only the last slice, which may be empty, says that it was cut.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    query = await _query(lineage, question)
    async for part in _limited(lineage.traversal.uids(_one_more(query)), query.limit):
        yield part


async def list_relatives(
    lineage: Lineage, question: RelativesQuestion
) -> AsyncIterator[tuple[list[RelatedModel], bool]]:
    """Relatives with hops, by hops and then uid; otherwise as ``list_uids``."""
    query = await _query(lineage, question)
    async for part in _limited(lineage.traversal.relatives(_one_more(query)), query.limit):
        yield part


async def count_relatives(lineage: Lineage, question: RelativesQuestion) -> int:
    """Number of relatives; a limit is not heeded.

    Raises:
        As ``list_uids``.
    """
    return await lineage.traversal.count(await _query(lineage, question))


async def lineage_graph(lineage: Lineage, references: Sequence[str], max_models: int) -> LineageGraph:
    """The models with all their ancestors and descendants, and every edge among them.

    Args:
        lineage: The graph.
        references: Of the models; empty means the whole graph.
        max_models: Largest number of models, capped at 100,000; 0 means 10,000.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_ARGUMENT, INVALID_REFERENCE or INVALID_NAME.
    """
    if max_models < 0 or len(references) > _MOST_REFERENCES:
        raise InvalidArgumentError(
            ErrorReason.INVALID_ARGUMENT,
            f"A lineage is asked for at most {_MOST_REFERENCES} models, and max_models is 0 or more; found "
            f"{len(references)} models and {max_models}.",
            field="max_models" if max_models < 0 else "models",
        )
    models, edges, revisions, is_truncated = await lineage.traversal.lineage(
        await resolve_uids(lineage, references), max_models=min(max_models or _DEFAULT_MODELS, _MOST_MODELS)
    )
    return LineageGraph(models=models, edges=edges, revisions=revisions, is_truncated=is_truncated)


async def find_merge_bases(lineage: Lineage, ours: str, theirs: str) -> list[ModelSummary]:
    """Merge bases of two models, by uid.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
    """
    return await lineage.traversal.merge_bases(
        await resolve_uid(lineage, ours), await resolve_uid(lineage, theirs)
    )


def _one_more(query: TraversalQuery) -> TraversalQuery:
    """The same question for one model more, which tells whether the limit cut anything."""
    return query if query.limit is None else dataclasses.replace(query, limit=query.limit + 1)


async def _limited(
    parts: AsyncIterator[list[Item]], limit: int | None
) -> AsyncIterator[tuple[list[Item], bool]]:
    """The parts up to ``limit`` items; one part stays back, so that the last one can tell of a cut."""
    held: list[Item] = []
    room = limit
    async with _closing(parts):
        async for part in parts:
            if held:
                yield held, False
            if room is not None and len(part) > room:
                yield part[:room], True
                return
            room = None if room is None else room - len(part)
            held = part
    yield held, False


@contextlib.asynccontextmanager
async def _closing(parts: AsyncIterator[object]) -> AsyncGenerator[None]:
    """Let go of the graph's cursor at once where an answer is left in the middle."""
    try:
        yield
    finally:
        if isinstance(parts, AsyncGenerator):
            await parts.aclose()
