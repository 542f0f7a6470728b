"""Vectors of parameter sets, on Neo4j."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.digest import Digest
from mgit_core.lineage import ParameterSet
from mgit_core.ports.graph import Page, SimilarModel, Sketches
from mgit_storage.lineage import records
from mgit_storage.lineage.cypher import sketches as cypher
from mgit_storage.lineage.session import Answer, GraphSession, Transaction, run

__all__ = ["Neo4jSketches"]


class Neo4jSketches(Sketches):
    """A vector index of the server."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def put(self, parameter_set: Digest, vector: Sequence[float]) -> None:
        async def unit(transaction: Transaction) -> Answer:
            await run(transaction, cypher.PUT_SKETCH, digest=parameter_set.hex(), vector=list(vector))
            return {}

        await self._session.write(unit)

    async def nearest(self, vector: Sequence[float], limit: int) -> list[SimilarModel]:
        if not any(vector):
            return []
        rows = await self._session.rows(cypher.NEAREST_SKETCHES, vector=list(vector), limit=limit)
        return [
            SimilarModel(model=records.summary_from_row(row["model"]), similarity=row["similarity"])
            for row in rows
        ]

    async def lacking(self, page: Page) -> list[ParameterSet]:
        rows = await self._session.rows(cypher.LACKING_SKETCHES, after=page.after or "", size=page.size)
        return [records.parameter_set_from_row(row["parameters"]) for row in rows]
