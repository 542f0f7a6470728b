"""The maintenance lease, in memory."""

from __future__ import annotations

import secrets
from datetime import timedelta

from mgit_core.ports.graph import Lease, Leases
from mgit_storage.lineage import checks
from mgit_storage.lineage.memory.state import GivenLease, MemoryGraph

__all__ = ["MemoryLeases", "check_lease"]


class MemoryLeases(Leases):
    """Who may change what is stored."""

    def __init__(self, graph: MemoryGraph) -> None:
        self._graph = graph

    async def acquire(self, work: str, seconds: float) -> Lease:
        given = self._graph.lease
        if given is not None:
            free_at = given.given_at + timedelta(seconds=2 * given.lease.seconds)
            if free_at > self._graph.now():
                left = (free_at - self._graph.now()).total_seconds()
                raise checks.maintenance_busy(given.lease.work, left)
        self._graph.leases_given += 1
        lease = Lease(
            holder=secrets.token_hex(16), number=self._graph.leases_given, seconds=seconds, work=work
        )
        self._graph.lease = GivenLease(lease, self._graph.now())
        return lease

    async def renew(self, lease: Lease) -> Lease:
        check_lease(self._graph, lease)
        self._graph.lease = GivenLease(lease, self._graph.now())
        return lease

    async def release(self, lease: Lease) -> None:
        if self._graph.lease is not None and self._graph.lease.lease == lease:
            self._graph.lease = None


def check_lease(graph: MemoryGraph, lease: Lease) -> None:
    """Refuse a lease that is not out.

    Raises:
        ConflictError: LEASE_LOST.
    """
    if graph.lease is None or graph.lease.lease != lease:
        raise checks.lease_lost(lease)
