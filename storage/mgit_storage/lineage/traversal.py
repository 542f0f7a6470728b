"""Questions over the lineage, on Neo4j."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import LiteralString

from mgit_core.lineage import ModelSummary, ProvenanceEdge, Relation, RevisionEdge
from mgit_core.ports.graph import RelatedModel, Traversal, TraversalQuery
from mgit_core.ports.walks import WalkQuery
from mgit_core.walks.graph import WalkGraph
from mgit_storage.lineage import checks, records
from mgit_storage.lineage.cypher import graph as cypher
from mgit_storage.lineage.cypher import models as model_cypher
from mgit_storage.lineage.session import GraphSession
from mgit_storage.lineage.walks import read_walk_graph

__all__ = ["Neo4jTraversal"]

_NO_BOUND = 2**62
_UIDS_IN_A_SLICE = 4_000
_ROWS_IN_A_SLICE = 500
# So many uids fit one look-up comfortably.
_UIDS_AT_ONCE = 10_000


class Neo4jTraversal(Traversal):
    """Each model once, at a cost bound to the answer."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def uids(self, query: TraversalQuery) -> AsyncIterator[list[str]]:
        text = _text(query, f"uids{_form(query)}")
        rows = await self._session.rows(text, **_parameters(query))
        if not rows:
            raise checks.model_not_found(f"@{query.uid}")
        for part in _slices(rows[0]["uids"], _UIDS_IN_A_SLICE):
            yield part

    async def relatives(self, query: TraversalQuery) -> AsyncIterator[list[RelatedModel]]:
        text = _text(query, "rows" if query.relations else "rows-all")
        part: list[RelatedModel] = []
        is_empty = True
        async for row in self._session.stream(text, **_parameters(query)):
            is_empty = False
            part.append(RelatedModel(model=records.summary_from_row(row), hops=row["hops"]))
            if len(part) == _ROWS_IN_A_SLICE:
                yield part
                part = []
        if part:
            yield part
        if is_empty:
            await self._check_there([query.uid])

    async def count(self, query: TraversalQuery) -> int:
        text = _text(query, f"count{_form(query)}")
        rows = await self._session.rows(text, **_parameters(query))
        if not rows:
            raise checks.model_not_found(f"@{query.uid}")
        return int(rows[0]["models"])

    async def lineage(
        self, uids: Sequence[str], *, max_models: int
    ) -> tuple[list[ModelSummary], list[ProvenanceEdge], list[RevisionEdge], bool]:
        found = await self._around(uids) if uids else await self._whole_graph(max_models + 1)
        chosen = found[:max_models]
        summaries = await self._summaries(chosen)
        summaries.sort(key=lambda model: (model.created_at, model.uid))
        edges, revisions = await self._edges_among(chosen)
        return summaries, edges, revisions, len(found) > max_models

    async def merge_bases(self, ours_uid: str, theirs_uid: str) -> list[ModelSummary]:
        common = await self._with_ancestors(ours_uid) & await self._with_ancestors(theirs_uid)
        # A common ancestor that lies above another one is the parent of a common one.
        above: set[str] = set()
        for part in _slices(sorted(common), _UIDS_AT_ONCE):
            rows = await self._session.rows(cypher.PARENTS_OF, uids=part)
            above.update(rows[0]["uids"])
        return sorted(await self._summaries(common - above), key=lambda model: model.uid)

    async def walk_graph(self, query: WalkQuery) -> WalkGraph:
        return await read_walk_graph(self._session, query)

    async def _with_ancestors(self, uid: str) -> set[str]:
        rows = await self._session.rows(cypher.TRAVERSALS["ancestors", "uids-all"], uid=uid, limit=_NO_BOUND)
        if not rows:
            raise checks.model_not_found(f"@{uid}")
        return {uid, *rows[0]["uids"]}

    async def _around(self, uids: Sequence[str]) -> list[str]:
        """The models, then all their relatives by uid."""
        await self._check_there(uids)
        found: set[str] = set()
        for text in cypher.RELATIVES_OF_SOME.values():
            rows = await self._session.rows(text, uids=list(uids))
            found.update(rows[0]["uids"])
        return [*dict.fromkeys(uids), *sorted(found.difference(uids))]

    async def _whole_graph(self, limit: int) -> list[str]:
        rows = await self._session.rows(cypher.ALL_UIDS, limit=limit)
        found: list[str] = rows[0]["uids"]
        return found

    async def _summaries(self, uids: Iterable[str]) -> list[ModelSummary]:
        found: list[ModelSummary] = []
        for part in _slices(list(uids), _UIDS_AT_ONCE):
            rows = await self._session.rows(model_cypher.FIND_SUMMARIES, uids=part)
            found += [records.summary_from_row(row["model"]) for row in rows]
        return found

    async def _edges_among(self, uids: Sequence[str]) -> tuple[list[ProvenanceEdge], list[RevisionEdge]]:
        chosen = frozenset(uids)
        edges: list[ProvenanceEdge] = []
        revisions: list[RevisionEdge] = []
        for part in _slices(sorted(chosen), _UIDS_AT_ONCE):
            rows = await self._session.rows(cypher.EDGES_OF, uids=part)
            edges += [
                records.edge_from_row(row["edge"]) for row in rows if row["edge"]["parent_uid"] in chosen
            ]
            rows = await self._session.rows(cypher.REVISIONS_OF, uids=part)
            revisions += [RevisionEdge(**row) for row in rows if row["older_uid"] in chosen]
        edges.sort(key=lambda edge: (edge.child_uid, edge.position))
        revisions.sort(key=lambda edge: (edge.newer_uid, edge.older_uid))
        return edges, revisions

    async def _check_there(self, uids: Sequence[str]) -> None:
        known = {model.uid for model in await self._summaries(uids)}
        for uid in uids:
            if uid not in known:
                raise checks.model_not_found(f"@{uid}")


def _slices(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _form(query: TraversalQuery) -> str:
    """Which form of a query answers it cheapest."""
    if query.max_depth is not None:
        return "-depth"
    return "" if query.relations else "-all"


def _text(query: TraversalQuery, form: str) -> LiteralString:
    texts = cypher.NEAR_TRAVERSALS.get(query.max_depth or 0, cypher.TRAVERSALS)
    return texts[query.direction.value, form]


def _parameters(query: TraversalQuery) -> dict[str, object]:
    relations = query.relations or tuple(Relation)
    return {
        "uid": query.uid,
        "types": [records.edge_type(relation) for relation in relations],
        "depth": _NO_BOUND if query.max_depth is None else query.max_depth,
        "limit": _NO_BOUND if query.limit is None else query.limit,
    }
