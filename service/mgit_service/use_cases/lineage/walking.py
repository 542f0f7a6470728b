"""Walks over the lineage, with their bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Relation
from mgit_core.names import Reference
from mgit_core.ports.graph import Lineage
from mgit_core.ports.walks import WalkQuery
from mgit_core.walks.graph import WalkGraph, WalkModel
from mgit_core.walks.question import WalkDirection, WalkEdges, WalkOrder
from mgit_core.walks.walking import Step, WalkPlan, walk
from mgit_service.use_cases.references import resolve_uids

__all__ = ["MOST_REFERENCES", "WalkQuestion", "WalkedModel", "walk_models"]

MOST_REFERENCES = 1_000
"""Largest number of models that a walk starts from, and that it skips, and that it stops at."""

# A part goes into one message of 1 MiB at most: a summary takes up to about 300 bytes, a uid 38.
_PART_BYTES = 600_000
_SUMMARY_BYTES, _UID_BYTES = 300, 38
# The first models are worth a message of their own: somebody waits for them.
_FIRST_BYTES = 100 * _SUMMARY_BYTES
# A walk with a limit beyond it takes longer to go round by round than to read all at once.
_SMALL_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkQuestion:
    """Which walk is wanted.

    Attributes:
        references: Of the models to start from; empty means that all of the graph is walked.
        direction: Which way.
        order: In which order.
        edges: Which edges.
        relations: Provenance edges to follow; empty means all.
        max_depth: Largest number of hops; 0 means no bound.
        skip: References of models that are left out.
        stop: References of models that are left out and not passed.
        limit: Largest number of models; 0 means all.
        with_edges: Whether each model comes with what its edges lead to.
    """

    references: tuple[str, ...] = ()
    direction: WalkDirection = WalkDirection.DESCENDANTS
    order: WalkOrder = WalkOrder.BREADTH_FIRST
    edges: WalkEdges = WalkEdges.PROVENANCE
    relations: tuple[Relation, ...] = ()
    max_depth: int = 0
    skip: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    limit: int = 0
    with_edges: bool = False

    def __post_init__(self) -> None:
        """Refuses what is out of bounds.

        Raises:
            InvalidArgumentError: INVALID_ARGUMENT.
        """
        for field, value in (("max_depth", self.max_depth), ("limit", self.limit)):
            if value < 0:
                raise InvalidArgumentError(
                    ErrorReason.INVALID_ARGUMENT, f"{field} is 0 or more; found {value}.", field=field
                )
        for field, references in (("models", self.references), ("skip", self.skip), ("stop", self.stop)):
            if len(references) > MOST_REFERENCES:
                raise InvalidArgumentError(
                    ErrorReason.INVALID_ARGUMENT,
                    f"A walk takes at most {MOST_REFERENCES:,} references as {field}; found {len(references):,}.",
                    field=field,
                )
        if self.relations and self.edges is WalkEdges.VERSION:
            raise InvalidArgumentError(
                ErrorReason.INVALID_ARGUMENT,
                "Version edges have no relation; leave relations out, or walk provenance edges.",
                field="relations",
            )


class WalkedModel(NamedTuple):
    """A model of a walk.

    Attributes:
        model: Its summary.
        hops: From the nearest start.
        older: UIDs of what its edges lead to among the models in reach, if that was asked for.
    """

    model: WalkModel
    hops: int
    older: Sequence[str]


async def walk_models(
    lineage: Lineage, question: WalkQuestion
) -> AsyncIterator[tuple[list[WalkedModel], bool]]:
    """A walk in parts that fit a message, each with whether the limit cut the walk.

    The graph is read once, when the first part is asked for; what changes later does not change the walk. Only the last
    part, which may be empty, says that the walk was cut.

    Raises:
        NotFoundError: MODEL_NOT_FOUND or TAG_NOT_FOUND.
        InvalidArgumentError: INVALID_REFERENCE or INVALID_NAME.
        ConflictError: CYCLE.
    """
    starts = await resolve_uids(lineage, question.references)
    skip = await resolve_uids(lineage, question.skip)
    stop = await resolve_uids(lineage, question.stop)
    graph = await lineage.traversal.walk_graph(
        WalkQuery(
            uids=tuple(starts),
            direction=question.direction,
            edges=question.edges,
            relations=question.relations,
            max_depth=question.max_depth or None,
            enough=_enough(question),
        )
    )
    numbers = graph.numbers()
    for uid in (*skip, *stop):
        if uid not in numbers:  # It may be of a model elsewhere, or of none.
            await lineage.models.get(Reference(uid=uid))
    plan = WalkPlan(
        starts=[numbers[uid] for uid in starts] if starts else None,
        direction=question.direction,
        order=question.order,
        max_depth=question.max_depth or None,
        skips=_chosen(skip, numbers).__contains__ if skip else None,
        stops=_chosen(stop, numbers).__contains__ if stop else None,
    )
    parts = _parts(graph, walk(graph, plan), question)
    # A part of a large walk takes a while, in which other calls want their answers.
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        yield part


def _enough(question: WalkQuestion) -> int | None:
    """How many models are surely enough; with stops nobody can tell beforehand."""
    is_nearest = question.order is WalkOrder.BREADTH_FIRST and not question.stop
    if not is_nearest or not 0 < question.limit <= _SMALL_LIMIT:
        return None
    return question.limit + 1 + len(question.skip)


def _chosen(uids: Sequence[str], numbers: dict[str, int]) -> frozenset[int]:
    return frozenset(numbers[uid] for uid in uids if uid in numbers)


def _parts(
    graph: WalkGraph, steps: Iterator[Step], question: WalkQuestion
) -> Iterator[tuple[list[WalkedModel], bool]]:
    part: list[WalkedModel] = []
    room, size, bound = question.limit or None, 0, _FIRST_BYTES
    for number, hops in steps:
        if room == 0:
            yield part, True
            return
        older = graph.older.of(number) if question.with_edges else ()
        part.append(WalkedModel(graph.models[number], hops, [graph.models[each].uid for each in older]))
        room = None if room is None else room - 1
        size += _SUMMARY_BYTES + _UID_BYTES * len(older)
        if size >= bound:
            yield part, False
            part, size, bound = [], 0, _PART_BYTES
    yield part, False
