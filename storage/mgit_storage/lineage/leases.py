"""The maintenance lease, on Neo4j."""

from __future__ import annotations

import secrets

from mgit_core.ports.graph import Lease, Leases
from mgit_storage.lineage import checks
from mgit_storage.lineage.cypher import leases as cypher
from mgit_storage.lineage.session import Answer, AnyTransaction, GraphSession, Transaction, run

__all__ = ["Neo4jLeases", "check_lease"]


class Neo4jLeases(Leases):
    """One node that says who may change what is stored."""

    def __init__(self, session: GraphSession) -> None:
        self._session = session

    async def acquire(self, work: str, seconds: float) -> Lease:
        holder = secrets.token_hex(16)

        async def unit(transaction: Transaction) -> Answer:
            rows = await run(transaction, cypher.ACQUIRE_LEASE, holder=holder, work=work, seconds=seconds)
            return rows[0]

        answer, _ = await self._session.write(unit)
        if answer["holder"] != holder:
            raise checks.maintenance_busy(answer["work"], answer["seconds_left"])
        return Lease(holder=holder, number=answer["number"], seconds=seconds, work=work)

    async def renew(self, lease: Lease) -> Lease:
        async def unit(transaction: Transaction) -> Answer:
            rows = await run(transaction, cypher.RENEW_LEASE, holder=lease.holder, number=lease.number)
            return {"is_held": bool(rows)}

        answer, _ = await self._session.write(unit)
        if not answer["is_held"]:
            raise checks.lease_lost(lease)
        return lease

    async def release(self, lease: Lease) -> None:
        async def unit(transaction: Transaction) -> Answer:
            await run(transaction, cypher.RELEASE_LEASE, holder=lease.holder, number=lease.number)
            return {}

        await self._session.write(unit)


async def check_lease(transaction: AnyTransaction, lease: Lease) -> None:
    """Lock the lease for the rest of a transaction.

    Raises:
        ConflictError: LEASE_LOST.
    """
    if not await run(transaction, cypher.LOCK_LEASE, holder=lease.holder, number=lease.number):
        raise checks.lease_lost(lease)
