"""Ports to what the graph says of its store: which one it is, what is condemned in it, who may change it.

Errors are those of ``mgit_core.ports.graph``, which gives these names away too.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

__all__ = ["Lease", "Leases", "StoreBinding", "StoreState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreState:
    """What the graph says of its store.

    Attributes:
        epoch: Raised by each step of a collection after which earlier answers do not hold.
        condemned: Object key of the list of copies that a collection takes away; None between collections.
    """

    epoch: int
    condemned: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to change what is stored, held by one process at a time.

    Attributes:
        holder: Random id of the holder.
        number: Rises with each holder.
        seconds: For how long it was given, from the call on; the holder measures by its own monotonic clock.
        work: What for, in a word: ``gc``, ``repack``, ``merge`` or ``fsck``.
    """

    holder: str
    number: int
    seconds: float
    work: str


class Leases(abc.ABC):
    """The one lease that collection, repack, repair and merges of indexes share."""

    @abc.abstractmethod
    async def acquire(self, work: str, seconds: float) -> Lease:
        """Take the lease.

        It is free if it was released, or if twice the seconds of its last holder have passed on the server's
        clock since it was given or renewed.

        Raises:
            ConflictError: MAINTENANCE_BUSY, with details ``work`` (whose lease it is) and ``seconds_left``.
        """

    @abc.abstractmethod
    async def renew(self, lease: Lease) -> Lease:
        """Hold it for its seconds again, from now on.

        Raises:
            ConflictError: LEASE_LOST.
        """

    @abc.abstractmethod
    async def release(self, lease: Lease) -> None:
        """Give it back; a no-op if another holds it by now."""


class StoreBinding(abc.ABC):
    """The tie between one graph and one store."""

    @abc.abstractmethod
    async def bind(self, store_id: str, *, store_is_empty: bool) -> None:
        """Bind graph and store, or check that they are bound to each other; then migrate the schema.

        May run twice, also at once in several processes. Ends with the usual queries planned.

        Raises:
            FailedPreconditionError: STORE_MISMATCH, or SCHEMA_TOO_NEW for a graph of a later version.
        """

    @abc.abstractmethod
    async def epoch(self) -> int:
        """Epoch of the store, raised by each collection.

        Raises:
            FailedPreconditionError: STORE_MISMATCH, if the graph is bound no more.
        """

    @abc.abstractmethod
    async def state(self) -> StoreState:
        """Epoch and condemned list, read together.

        Raises:
            FailedPreconditionError: STORE_MISMATCH, if the graph is bound no more.
        """

    @abc.abstractmethod
    async def condemn(self, key: str | None, lease: Lease) -> StoreState:
        """Point the store at a condemned list, or at none, and raise the epoch, in one transaction.

        From its end on no commit with an earlier epoch succeeds.

        Raises:
            FailedPreconditionError: STORE_MISMATCH.
            ConflictError: LEASE_LOST.
        """

    @abc.abstractmethod
    async def server(self) -> tuple[str, str]:
        """Version and edition of the graph server, from a round trip that proves that it answers."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Let go of every connection."""
