"""Whom a bug reaches, on Neo4j.

The server finds the models, which is a walk over the whole graph; the witnesses are made here, from the edges among
the models that were found. A query for shortest paths that heed the fixes would lose models: the server filters a
shortest path after it chose it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mgit_core.bugs import AffectedModel, AffectedReason
from mgit_core.lineage import ModelSummary, Relation
from mgit_core.ports.bugs import ReachMargin, ReachQuery
from mgit_core.reach import CarryingEdges, Numbers, Ways, trace_reach
from mgit_storage.lineage import bug_checks, records
from mgit_storage.lineage.cypher import bugs as cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.records import Row
from mgit_storage.lineage.session import GraphSession

__all__ = ["BugReach"]

_T = TypeVar("_T")

# A walk from each thing that a bug affects costs as much as there is behind it. With more things than these, the
# models behind all of them are found together, hop by hop, which takes a question for each hop.
_MOST_WALKS = 8
_HOLDS = ("HAS_TENSOR", "HAS_PARAMETERS", "TRAINED_ON")
_MODELS_IN_A_SLICE = 500
_MODELS_IN_A_COLUMN = 4_000
# So many uids fit one look-up comfortably.
_UIDS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scope:
    """What stops and what carries a bug.

    Attributes:
        query: The question.
        types: Relationship types that carry it.
        fixed: UIDs of models that stop it.
        subjects: How many things it affects.
    """

    query: ReachQuery
    types: tuple[str, ...]
    fixed: frozenset[str]
    subjects: int


@dataclass(slots=True)
class _Columns:
    """Slices of columns, put together. Models get numbers in the order of their uids, by which ties are decided."""

    models: list[ModelSummary] = field(default_factory=list[ModelSummary])
    ids: list[int] = field(default_factory=list[int])
    children: list[Numbers] = field(default_factory=list[Numbers])
    parents: list[Numbers] = field(default_factory=list[Numbers])
    inferred: list[npt.NDArray[np.bool_]] = field(default_factory=list[npt.NDArray[np.bool_]])

    def add(self, row: Row) -> None:
        """Take over one slice."""
        names = ("uid", "name", "version", "state", "created_at")
        columns = (row[f"{name}s"] for name in names)
        self.models += [
            records.summary_from_row(dict(zip(names, values, strict=True)))
            for values in zip(*columns, strict=True)
        ]
        self.ids += row["ids"]
        self.children.append(np.array(row["children"], np.int64))
        self.parents.append(np.array(row["parents"], np.int64))
        self.inferred.append(np.array(row["inferred"], np.bool_))

    def trace(self, touched: Collection[str]) -> tuple[list[int], Ways]:
        """The numbers of the models that have a way to a touched one, in the order of the answer, and the ways."""
        order = sorted(range(len(self.models)), key=lambda at: self.models[at].uid)
        self.models = [self.models[at] for at in order]
        number_of = {self.ids[at]: number for number, at in enumerate(order)}
        children, parents = (self._numbers(parts, number_of) for parts in (self.children, self.parents))
        is_inferred = np.concatenate([np.empty(0, np.bool_), *self.inferred])
        is_inside = (children >= 0) & (parents >= 0)
        starts = [number for number, model in enumerate(self.models) if model.uid in touched]
        edges = CarryingEdges(
            children=children[is_inside], parents=parents[is_inside], is_inferred=is_inferred[is_inside]
        )
        ways = trace_reach(len(self.models), np.array(starts, np.int64), edges)
        return ways.in_order().tolist(), ways

    @staticmethod
    def _numbers(parts: Sequence[Numbers], number_of: Mapping[int, int]) -> Numbers:
        """Numbers of models by the server's ids; -1 for a parent that the bug does not reach."""
        ids = np.concatenate([np.empty(0, np.int64), *parts]).tolist()
        return np.fromiter((number_of.get(each, -1) for each in ids), np.int64, len(ids))


class BugReach:
    """Answers whom a bug reaches."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def count(self, query: ReachQuery) -> int:
        """As ``Bugs.count``."""
        scope = await self._scope(query)
        if scope.subjects > _MOST_WALKS:
            return len(await self._reached(scope))
        rows = await self._session.rows(cypher.COUNT_REACHED[_form(scope)], **_walk_parameters(scope))
        return int(rows[0]["models"])

    async def affected(self, query: ReachQuery) -> AsyncIterator[list[AffectedModel]]:
        """As ``Bugs.affected``."""
        scope, touched = await asyncio.gather(self._scope(query), self._touched(query.bug_id))
        columns = await self._columns(scope, touched)
        # Tens of thousands of models take a while, in which the loop would answer nobody.
        order, ways = await asyncio.to_thread(columns.trace, touched)
        for part in _slices(order, _MODELS_IN_A_SLICE):
            uids = [columns.models[number].uid for number in part]
            rows = await self._session.rows(cypher.TAGS_ON, uids=uids)
            tags = {row["uid"]: tuple(row["tags"]) for row in rows}
            yield [_affected(columns.models, ways, number, touched, tags) for number in part]

    async def margin(self, query: ReachQuery) -> ReachMargin:
        """As ``Bugs.margin``."""
        scope = await self._scope(query)
        if scope.fixed:
            unfixed = replace(scope, fixed=frozenset())
            reached, tied = await asyncio.gather(self._reached(scope), self._reached(unfixed))
        else:
            reached = tied = await self._reached(scope)
        newer = (await self._newer_versions(reached)) - tied - scope.fixed
        cleared: set[str] = set()
        if query.assumed_fixed:
            cleared = await self._reached(await self._scope(replace(query, assumed_fixed=())))
        return ReachMargin(
            unknown=tuple(await self._summaries(newer)),
            cleared=tuple(await self._summaries(cleared - reached)),
        )

    async def _scope(self, query: ReachQuery) -> _Scope:
        rows = await self._session.rows(cypher.BUG_SCOPE, id=query.bug_id)
        if not rows:
            raise bug_checks.bug_not_found(query.bug_id)
        return _Scope(
            query=query,
            types=tuple(rows[0]["types"]),
            fixed=frozenset((*rows[0]["fixed"], *query.assumed_fixed)),
            subjects=rows[0]["subjects"],
        )

    async def _touched(self, bug_id: str) -> dict[str, AffectedReason]:
        rows = await self._session.rows(cypher.TOUCHED, id=bug_id)
        touched: dict[str, AffectedReason] = {}
        for reason in (AffectedReason.DIRECT, AffectedReason.TENSOR, AffectedReason.DATASET):
            for uid in rows[0][reason.value] if rows else ():
                touched.setdefault(uid, reason)
        return touched

    async def _reached(self, scope: _Scope) -> set[str]:
        """Reached models, touched ones among them."""
        if scope.subjects > _MOST_WALKS:
            return await self._reached_by_hops(scope, await self._touched(scope.query.bug_id))
        rows = await self._session.rows(cypher.REACHED_UIDS[_form(scope)], **_walk_parameters(scope))
        return set(rows[0]["uids"])

    async def _reached_by_hops(self, scope: _Scope, touched: Collection[str]) -> set[str]:
        found = set(touched) - scope.fixed
        frontier = found
        while frontier:
            fresh: set[str] = set()
            for part in _slices(sorted(frontier), _UIDS_AT_ONCE):
                rows = await self._session.rows(cypher.CHILDREN_OF, uids=part, **_edge_parameters(scope))
                fresh.update(rows[0]["uids"])
            frontier = fresh - found - scope.fixed
            found |= frontier
        return found

    async def _columns(self, scope: _Scope, touched: Collection[str]) -> _Columns:
        """Reached models, touched ones among them, and the edges that carry the bug to each."""
        columns = _Columns()
        if scope.subjects > _MOST_WALKS:
            uids = sorted(await self._reached_by_hops(scope, touched))
            rows = self._session.stream(
                cypher.MODEL_COLUMNS, uids=uids, slice=_MODELS_IN_A_COLUMN, **_edge_parameters(scope)
            )
        else:
            rows = self._session.stream(
                cypher.REACHED_COLUMNS[_form(scope)], slice=_MODELS_IN_A_COLUMN, **_walk_parameters(scope)
            )
        async for row in rows:
            columns.add(row)
        return columns

    async def _newer_versions(self, uids: Collection[str]) -> set[str]:
        """Newer versions of the models that are not among them.

        A version behind several models is walked to from the nearest only: first one step from each model.
        """
        first: set[str] = set()
        for part in _slices(sorted(uids), _UIDS_AT_ONCE):
            rows = await self._session.rows(cypher.NEWER_THAN, uids=part)
            first.update(rows[0]["uids"])
        first.difference_update(uids)
        found = set(first)
        for part in _slices(sorted(first), _UIDS_AT_ONCE):
            rows = await self._session.rows(cypher.NEWER_VERSIONS, uids=part)
            found.update(rows[0]["uids"])
        return found

    async def _summaries(self, uids: Collection[str]) -> list[ModelSummary]:
        found: list[ModelSummary] = []
        for part in _slices(sorted(uids), _UIDS_AT_ONCE):
            rows = await self._session.rows(model_cypher.FIND_SUMMARIES, uids=part)
            found += [records.summary_from_row(row["model"]) for row in rows]
        return sorted(found, key=lambda model: model.uid)


def _affected(
    models: Sequence[ModelSummary],
    ways: Ways,
    number: int,
    touched: Mapping[str, AffectedReason],
    tags: Mapping[str, tuple[str, ...]],
) -> AffectedModel:
    model, following = models[number], int(ways.nexts[number])
    return AffectedModel(
        model=model,
        reason=touched.get(model.uid, AffectedReason.INHERITED),
        next_uid=None if following < 0 else models[following].uid,
        hops=int(ways.hops[number]),
        is_inferred=bool(ways.is_inferred[number]),
        tags=tags.get(model.uid, ()),
    )


def _form(scope: _Scope) -> str:
    """Which form of a walk heeds no more than it must."""
    if scope.query.declared_only:
        return "declared"
    return "all" if len(scope.types) == len(Relation) else "some"


def _walk_parameters(scope: _Scope) -> dict[str, object]:
    return {
        "id": scope.query.bug_id,
        "fixed": sorted(scope.fixed),
        "types": [*scope.types, *_HOLDS],
        "declared_only": scope.query.declared_only,
    }


def _edge_parameters(scope: _Scope) -> dict[str, object]:
    return {"types": list(scope.types), "declared_only": scope.query.declared_only}


def _slices(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
