"""Remotes, and what an exchange with one did: frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mgit_core.lineage import ModelState

__all__ = ["Remote", "Transfer", "TransferredModel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Another service, under a name of the user's. It holds no secret: a token stays in its file.

    Attributes:
        name: What the user calls it; one segment of a model name.
        address: ``HOST:PORT``.
        token_file: File with the bearer token; None for a service that wants none.
        tls_ca: File of the authority of its certificate; None means plaintext.
        store_id: Id of its store, a UUID; None before the first exchange.
    """

    name: str
    address: str
    token_file: Path | None = None
    tls_ca: Path | None = None
    store_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferredModel:
    """A model that an exchange made, or completed.

    Attributes:
        uid: The same on both sides.
        ref: ``NAME@VERSION`` where it came to.
        source_ref: ``NAME@VERSION`` where it came from.
        state: Whether it can be read; a removed model came as a tombstone.
        promised: Whether some of its parameters stayed where they are.
    """

    uid: str
    ref: str
    source_ref: str
    state: ModelState = ModelState.PRESENT
    promised: bool = False

    @property
    def renamed(self) -> bool:
        """Whether it has another name where it came to."""
        return self.ref != self.source_ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What an exchange did.

    Attributes:
        remote: Name of the remote; several are joined by commas.
        models: Models that are new where they came to, or were completed, parents first.
        known: How many of the chosen models were there already.
        bytes_sent: Bytes of the messages to the remote.
        bytes_received: Bytes of the messages from it.
        chunks_as_stored: Chunks that travelled as their store has them, differences to others among them.
        chunks_alone: Chunks that were encoded anew for the journey, since a base was lacking.
        chunk_bytes: Bytes of all these chunks as they travelled.
        size_bytes: Bytes of all tensors and attached files of ``models`` that did not stay promised.
        edges: New edges.
        tags: New and moved tags.
        tests: New and changed model tests.
        results: New results.
        bugs: New and changed bugs.
    """

    remote: str
    models: tuple[TransferredModel, ...] = field(default=(), repr=False)
    known: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    chunks_as_stored: int = 0
    chunks_alone: int = 0
    chunk_bytes: int = 0
    size_bytes: int = 0
    edges: int = 0
    tags: int = 0
    tests: int = 0
    results: int = 0
    bugs: int = 0

    @property
    def renamed(self) -> tuple[TransferredModel, ...]:
        """The models that have another name where they came to."""
        return tuple(model for model in self.models if model.renamed)

    @property
    def promised(self) -> tuple[TransferredModel, ...]:
        """The models some of whose parameters stayed where they are."""
        return tuple(model for model in self.models if model.promised)

    @property
    def saved_bytes(self) -> int:
        """Bytes of ``size_bytes`` that did not have to travel."""
        return max(0, self.size_bytes - self.chunk_bytes)
