"""Questions from content to models, on Neo4j."""

from __future__ import annotations

from mgit_core.digest import Digest
from mgit_core.lineage import Model
from mgit_core.ports.graph import ContentQueries, DuplicateGroup, GraphCounts, Page, TensorUse
from mgit_storage.lineage import records
from mgit_storage.lineage.cypher import content as cypher
from mgit_storage.lineage.session import GraphSession

__all__ = ["Neo4jContentQueries"]


class Neo4jContentQueries(ContentQueries):
    """Who holds what."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def models_with_tensor(self, digest: Digest, page: Page) -> list[TensorUse]:
        after_uid, _, after_name = (page.after or "").partition("/")
        rows = await self._session.rows(
            cypher.MODELS_WITH_TENSOR,
            digest=digest.hex(),
            after_uid=after_uid,
            after_name=after_name,
            size=page.size,
        )
        return [
            TensorUse(model=records.summary_from_row(row["model"]), parameter=row["parameter"])
            for row in rows
        ]

    async def duplicates(self, page: Page) -> list[DuplicateGroup]:
        rows = await self._session.rows(cypher.DUPLICATES, after=page.after or "", size=page.size)
        return [
            DuplicateGroup(
                digest=bytes.fromhex(row["digest"]),
                models=tuple(map(records.summary_from_row, row["models"])),
            )
            for row in rows
        ]

    async def parameter_sets(self, page: Page) -> list[Model]:
        rows = await self._session.rows(cypher.PARAMETER_SETS, after=page.after or "", size=page.size)
        return [records.model_from_row(row) for row in rows]

    async def counts(self) -> GraphCounts:
        rows = await self._session.rows(cypher.COUNTS)
        row = rows[0]
        return GraphCounts(
            models=row["models"],
            edges=row["edges"],
            tensors=row["tensors"],
            logical_bytes=row["logical_bytes"],
            promised=row["promised"],
            promised_bytes=row["promised_bytes"],
        )
