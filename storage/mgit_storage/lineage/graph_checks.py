"""The look for what the database cannot forbid, on Neo4j."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import LiteralString

from typing_extensions import override

from mgit_core.ports.audit import GraphCheckResult, GraphChecks, GraphProblem
from mgit_core.similarity import DIMENSIONS
from mgit_storage.lineage.cypher import cascade_checks as cascade_cypher
from mgit_storage.lineage.cypher import checks as cypher
from mgit_storage.lineage.cypher import property_checks as properties
from mgit_storage.lineage.graph_cycles import find_cycles
from mgit_storage.lineage.session import Answer, GraphSession

__all__ = ["Neo4jGraphChecks"]

Look = Callable[[GraphSession, int], Awaitable[list[GraphProblem]]]

# A cycle of thousands is told by its first models.
_LONGEST_CYCLE = 20
_MODELS_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class _Finder:
    """A query, and the sentence that its finds make.

    Attributes:
        query: Gives ``subjects`` and ``found``.
        sentence: With places for ``{subject}``, the first one, and ``{found}``.
    """

    query: LiteralString
    sentence: str

    async def __call__(self, session: GraphSession, limit: int) -> list[GraphProblem]:
        rows = await session.rows(
            self.query, limit=limit, dimensions=DIMENSIONS, known=list(cypher.EDGE_ENDS)
        )
        return [self._problem(row) for row in rows]

    def _problem(self, row: Answer) -> GraphProblem:
        subjects = tuple(map(str, row["subjects"]))
        found = row["found"] if isinstance(row["found"], str) else ", ".join(row["found"])
        message = self.sentence.format(subject=subjects[0] if subjects else "", found=found)
        return GraphProblem(message=message, subjects=subjects)


async def _edges_of_wrong_kind(session: GraphSession, limit: int) -> list[GraphProblem]:
    found: list[GraphProblem] = []
    for kind, (starts, ends) in cypher.EDGE_ENDS.items():
        [counts] = await session.rows(cypher.EDGE_COUNTS[kind])
        if counts["edges"] == counts["begun"] == counts["ended"] or len(found) >= limit:
            continue
        rows = await session.rows(
            cypher.EDGES_OF_WRONG_KIND, type=kind, starts=list(starts), ends=list(ends), limit=limit
        )
        wanted = f"from {' or '.join(starts)} to {' or '.join(ends)}"
        found += [
            GraphProblem(
                message=f"An edge {kind} leads {wanted}; one leads from {row['found']}.",
                subjects=tuple(row["subjects"]),
            )
            for row in rows
        ]
    return found


async def _cycles(session: GraphSession, limit: int) -> list[GraphProblem]:
    """The edges are read in slices, so what changes meanwhile is seen by half; who finds a cycle looks again."""
    parents: dict[int, list[int]] = {}
    last: str | None = ""
    while last is not None:
        [row] = await session.rows(cypher.EDGES_FOR_CYCLES, after=last, size=_MODELS_AT_ONCE)
        parents |= {child: found for child, *found in row["families"] if found}
        last = row["last"]
    cycles = await asyncio.to_thread(find_cycles, parents, limit)
    told = [cycle[:_LONGEST_CYCLE] for cycle in cycles]
    rows = await session.rows(cypher.MODELS_BY_NUMBER, ids=sorted({node for cycle in told for node in cycle}))
    refs = {row["id"]: str(row["ref"]) for row in rows}
    return [
        _cycle_problem([refs.get(node, str(node)) for node in named], len(cycle))
        for named, cycle in zip(told, cycles, strict=True)
    ]


def _cycle_problem(refs: list[str], length: int) -> GraphProblem:
    way = " to ".join([*refs, refs[0]] if len(refs) == length else [*refs, "others"])
    return GraphProblem(
        message=f"Edges of {length} models close a cycle, from newer to older: {way}.", subjects=tuple(refs)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """A check.

    Attributes:
        name: What it is called.
        description: What it looks for, a sentence.
        looks: How.
    """

    name: str
    description: str
    looks: tuple[Look, ...]


CHECKS = (
    _Check(
        name="node-properties",
        description="Every node has the properties of its label, and they are of the right kind.",
        looks=tuple(
            _Finder(query, f"{label} {{subject}} lacks, or has in another kind: {{found}}.")
            for label, query in properties.NODE_PROPERTIES.items()
        ),
    ),
    _Check(
        name="edge-properties",
        description="Every provenance edge has position, origin and time, and a confidence only if it is not declared.",
        looks=(
            _Finder(
                properties.EDGE_PROPERTIES, "An edge of {subject} to a parent has a wrong or no {found}."
            ),
        ),
    ),
    _Check(
        name="edge-kinds",
        description="Every edge is of a known type and leads between the labels that its type is for.",
        looks=(
            _edges_of_wrong_kind,
            _Finder(
                cypher.UNKNOWN_TYPES, "{found} edges have the type {subject}, which is none of the graph's."
            ),
        ),
    ),
    _Check(
        name="cycles",
        description="Provenance and version edges together close no cycle.",
        looks=(_cycles,),
    ),
    _Check(
        name="versions",
        description="Numbers are in order: a name knows the highest one, and a newer version has a higher one.",
        looks=(
            _Finder(cypher.NAMES_BEHIND, "{subject} is off: {found}."),
            _Finder(
                cypher.NUMBERS_OFF,
                "{subject} has {found}; wanted are one name, at most one type and one version edge, and a number from 1.",
            ),
            _Finder(cypher.REVISIONS_OFF, "{subject} is told to be newer than {found}."),
        ),
    ),
    _Check(
        name="parents",
        description="A model has each parent once with a relation, and each at a position of its own.",
        looks=(_Finder(cypher.REPEATED_PARENTS, "{subject} has {found}."),),
    ),
    _Check(
        name="parameters",
        description="Every present model has one parameter set, every set a model and all of its tensors, every "
        "tensor a set.",
        looks=(
            _Finder(
                cypher.HOLDERS,
                "{subject} is {found} parameter sets; a present model has one, a removed none.",
            ),
            _Finder(cypher.UNHELD_SETS, "{found} has parameter set {subject}."),
            _Finder(cypher.UNHELD_TENSORS, "{found} has tensor {subject}."),
            _Finder(cypher.WRONG_COUNTS, "Parameter set {subject} says that its tensors are {found}."),
        ),
    ),
    _Check(
        name="sketches",
        description=f"Every parameter set has a sketch of {DIMENSIONS} numbers, or is known to lack one.",
        looks=(_Finder(cypher.SKETCHES_OFF, "Parameter set {subject} has a sketch of length {found}."),),
    ),
    _Check(
        name="tags",
        description="Every tag points to one present model of its name.",
        looks=(_Finder(cypher.DANGLING_TAGS, "Tag {subject} points to {found}."),),
    ),
    _Check(
        name="model-tests",
        description="Every test applies to what its scope says, and every result is of one test and on one model.",
        looks=(
            _Finder(cypher.MISPLACED_TESTS, "The scope of test {subject} is {found}."),
            _Finder(cypher.MISPLACED_RESULTS, "Result {subject} is of and on {found}."),
        ),
    ),
    _Check(
        name="bugs",
        description="Every bug affects something.",
        looks=(_Finder(cypher.BUGS_OF_NOTHING, "Bug {subject} affects {found}."),),
    ),
    _Check(
        name="creations",
        description="Every model was created once, by a call that says all of itself, and every creation function "
        "created a model.",
        looks=(
            _Finder(
                properties.CREATION_PROPERTIES,
                "What is kept of the call that created {subject} has a wrong or no {found}.",
            ),
            _Finder(cascade_cypher.REPEATED_CREATIONS, "{subject} was created {found} times."),
            _Finder(cascade_cypher.UNUSED_FUNCTIONS, "Creation function {subject} created {found}."),
        ),
    ),
    _Check(
        name="staged-models",
        description="Every staged model has one parameter set, was made by one step at most, and is not published.",
        looks=(
            _Finder(cascade_cypher.STAGED_OFF, "Staged model {subject} has {found}."),
            _Finder(cascade_cypher.PUBLISHED_TWICE, "Staged model {subject} was published as {found} too."),
        ),
    ),
    _Check(
        name="cascades",
        description="Every update counts its steps rightly, and holds models as long as it is not over.",
        looks=(
            _Finder(cascade_cypher.COUNTS_OFF, "Update {subject} counts otherwise; there are {found}."),
            _Finder(cascade_cypher.OPEN_OFF, "Update {subject} has state {found}, and is marked otherwise."),
            _Finder(cascade_cypher.HELD_IN_VAIN, "Update {subject} is over and holds {found}."),
        ),
    ),
    _Check(
        name="store",
        description="The graph is bound to one store.",
        looks=(_Finder(cypher.STORES, "The graph is bound to {found} stores."),),
    ),
)


class Neo4jGraphChecks(GraphChecks):
    """Checks one by one, each in transactions of its own: what changes meanwhile may be seen by half."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    @property
    @override
    def count(self) -> int:
        return len(CHECKS)

    @override
    async def examine(self, max_problems: int) -> AsyncGenerator[GraphCheckResult]:
        for check in CHECKS:
            found: list[GraphProblem] = []
            for look in check.looks:
                found += await look(self._session, max_problems + 1)
            yield GraphCheckResult(
                name=check.name,
                description=check.description,
                problems=tuple(found[:max_problems]),
                is_truncated=len(found) > max_problems,
            )
