"""The tie between one graph and one store, and the schema's migrations, on Neo4j."""

from __future__ import annotations

from mgit_core.errors import ErrorReason, FailedPreconditionError
from mgit_core.ports.graph import Lease, StoreBinding, StoreState
from mgit_storage.lineage import checks
from mgit_storage.lineage.cypher import schema as cypher
from mgit_storage.lineage.leases import check_lease
from mgit_storage.lineage.session import Answer, GraphSession, Transaction, run
from mgit_storage.lineage.warm_up import warm_up

__all__ = ["Neo4jStoreBinding"]


class Neo4jStoreBinding(StoreBinding):
    """Binds at the first start, checks at every other."""

    def __init__(self, session: GraphSession, *, is_warmed: bool = True) -> None:
        self._session = session
        self._is_warmed = is_warmed
        self._store_id: str | None = None

    async def bind(self, store_id: str, *, store_is_empty: bool) -> None:
        await self._session.auto_commit(cypher.FIRST_CONSTRAINT)
        # Counted before the look for a binding: what another service makes in between is seen as one.
        nodes = await self._session.rows(cypher.COUNT_NODES)
        bound = await self._session.rows(cypher.STATE)
        if not bound:
            checks.check_both_empty(graph_is_empty=not nodes[0]["nodes"], store_is_empty=store_is_empty)
            await self._level()  # What a later version made is refused before anything is bound to it.
            bound = await self._session.auto_commit(cypher.BIND, store_id=store_id)
        checks.check_bound(bound[0]["store_id"], store_id)
        await self._migrate()
        self._store_id = store_id
        if self._is_warmed:
            await warm_up(self._session)

    async def epoch(self) -> int:
        return (await self.state()).epoch

    async def state(self) -> StoreState:
        rows = await self._session.rows(cypher.STATE)
        checks.check_still_bound(rows[0]["store_id"] if rows else None, self._store_id)
        return StoreState(epoch=rows[0]["epoch"], condemned=rows[0]["condemned"])

    async def condemn(self, key: str | None, lease: Lease) -> StoreState:
        async def unit(transaction: Transaction) -> Answer:
            rows = await run(transaction, cypher.LOCK_STORE)
            checks.check_still_bound(rows[0]["store_id"] if rows else None, self._store_id)
            await check_lease(transaction, lease)
            return (await run(transaction, cypher.CONDEMN, condemned=key))[0]

        answer, _ = await self._session.write(unit)
        return StoreState(epoch=answer["epoch"], condemned=answer["condemned"])

    async def server(self) -> tuple[str, str]:
        rows = await self._session.probe(cypher.SERVER)
        return rows[0]["version"], rows[0]["edition"]

    async def close(self) -> None:
        await self._session.close()

    async def _migrate(self) -> None:
        """Bring the schema up to date, while a lock makes other services wait.

        The lock is a transaction of its own beside the statements, since schema and content never change in
        one transaction.
        """

        async def unit(transaction: Transaction) -> dict[str, object]:
            await run(transaction, cypher.LOCK_STORE)
            await self._apply_migrations()
            return {}

        if await self._level() != len(cypher.MIGRATIONS):
            await self._session.write(unit)

    async def _level(self) -> int:
        rows = await self._session.rows(cypher.MIGRATION_LEVEL)
        level = int(rows[0]["level"])
        if level > len(cypher.MIGRATIONS):
            raise FailedPreconditionError(
                ErrorReason.SCHEMA_TOO_NEW,
                f"The graph has schema {level}, this service knows {len(cypher.MIGRATIONS)}; use a newer one.",
                found=level,
                known=len(cypher.MIGRATIONS),
            )
        return level

    async def _apply_migrations(self) -> None:
        level = await self._level()
        for number, statements in enumerate(cypher.MIGRATIONS[level:], start=level + 1):
            for statement in statements:
                await self._session.auto_commit(statement)
            await self._session.auto_commit(cypher.RECORD_MIGRATION, number=number)
