"""What a walk goes over, read from Neo4j."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import LiteralString

import numpy as np
import numpy.typing as npt

from mgit_core.ports.walks import WalkQuery
from mgit_core.walks.graph import WalkGraph, WalkModel
from mgit_core.walks.question import WalkEdges
from mgit_storage.lineage import checks, records
from mgit_storage.lineage.cypher import walks as cypher
from mgit_storage.lineage.session import Answer, GraphSession

__all__ = ["read_walk_graph"]

_MODELS_IN_A_SLICE = 4_000
# So many uids fit one look-up comfortably.
_UIDS_AT_ONCE = 10_000
# The server visits each model once for each start, which from more starts costs more than going hop by hop.
_FEW_STARTS = 16
# Up to this depth going hop by hop costs what is found; beyond it a question for each hop costs more than the rest.
_FEW_HOPS = 8
# A walk that is cut soon mostly ends within so many hops; if not, all is read after all.
_ROUNDS = 24
_VERSION_TYPE = "REVISION_OF"


@dataclass(slots=True)
class _Columns:
    """Slices of columns, put together."""

    models: list[WalkModel] = field(default_factory=list[WalkModel])
    ids: list[int] = field(default_factory=list[int])
    newer: list[npt.NDArray[np.int64]] = field(default_factory=list[npt.NDArray[np.int64]])
    older: list[npt.NDArray[np.int64]] = field(default_factory=list[npt.NDArray[np.int64]])

    def add(self, row: Answer) -> None:
        columns = (row[name] for name in ("created_us", "uids", "names", "versions", "states"))
        self.models += map(WalkModel._make, zip(*columns, strict=True))
        self.ids += row["ids"]
        self.newer.append(np.array(row["newer"], np.int64))
        self.older.append(np.array(row["older"], np.int64))

    def graph(self) -> WalkGraph:
        none = np.empty(0, np.int64)
        newer, older = (np.concatenate([none, *parts]) for parts in (self.newer, self.older))
        return WalkGraph.build(self.models, self.ids, newer, older)


async def read_walk_graph(session: GraphSession, query: WalkQuery) -> WalkGraph:
    """As ``Traversal.walk_graph``."""
    choice = _choice(query)
    if not query.uids:
        return await _read(session, cypher.COLUMNS_OF_ALL[choice], query, [])
    is_few = len(query.uids) <= _FEW_STARTS
    is_far = query.enough is None and (query.max_depth is None or query.max_depth > _FEW_HOPS)
    near = None
    if not (is_few and is_far):
        near = await _go_hop_by_hop(session, query, _ROUNDS if is_few else None)
    if near is None:
        graph = await _read(session, cypher.CLOSURES[query.direction.value, choice], query, query.uids)
    else:
        graph = await _read(session, cypher.COLUMNS[choice], query, near)
    _check_there(graph, query.uids)
    return graph


async def _read(
    session: GraphSession, text: LiteralString, query: WalkQuery, uids: Iterable[str]
) -> WalkGraph:
    columns = _Columns()
    rows = session.stream(text, uids=list(uids), types=_types(query), slice=_MODELS_IN_A_SLICE)
    async for row in rows:
        columns.add(row)
    # Sorting a large graph takes a while, in which other calls want their answers.
    return await asyncio.to_thread(columns.graph)


async def _go_hop_by_hop(session: GraphSession, query: WalkQuery, rounds: int | None) -> list[str] | None:
    """What is within the depth, or enough of it; None if that takes more rounds."""
    text = cypher.STEPS[query.direction.value, _choice(query)]
    types = _types(query)
    found = dict.fromkeys(query.uids)
    level, depth = list(found), 0
    while level and depth != query.max_depth and (query.enough is None or len(found) < query.enough):
        if depth == rounds:
            return None
        reached: dict[str, None] = {}
        for at in range(0, len(level), _UIDS_AT_ONCE):
            rows = await session.rows(text, uids=level[at : at + _UIDS_AT_ONCE], types=types)
            reached.update(dict.fromkeys(rows[0]["uids"]))
        level = [uid for uid in reached if uid not in found]
        found.update(dict.fromkeys(level))
        depth += 1
    return list(found)


def _check_there(graph: WalkGraph, uids: Iterable[str]) -> None:
    there = {model.uid for model in graph.models}
    for uid in uids:
        if uid not in there:
            raise checks.model_not_found(f"@{uid}")


def _choice(query: WalkQuery) -> str:
    return "some" if query.relations and query.edges is not WalkEdges.VERSION else query.edges.value


def _types(query: WalkQuery) -> list[str]:
    """The relationship types to follow, where not all of the kind are."""
    versions = [_VERSION_TYPE] if query.edges is WalkEdges.ALL else []
    return [*map(records.edge_type, query.relations), *versions]
