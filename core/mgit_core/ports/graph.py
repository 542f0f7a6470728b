"""Ports to the lineage graph. All are asynchronous; every mutating method is one transaction.

A mutation with a ``RequestKey`` is idempotent: the same key returns the first answer for 7 days, however the
graph has changed since; the same id with another arguments digest raises ConflictError REQUEST_ID_REUSED. Every
method may raise UnavailableError NEO4J_UNAVAILABLE or TRANSACTION_CONFLICT, UnauthenticatedError
NEO4J_CREDENTIALS_WRONG, ResourceExhaustedError LIMIT_EXCEEDED, and DeadlineExceededError. After any error nothing
of the mutation is visible, except that the answer to the commit itself may be lost with the connection
(NEO4J_UNAVAILABLE, DEADLINE_EXCEEDED, cancellation); the same key tells.
"""

from __future__ import annotations

import abc
import time
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass

from mgit_core.digest import Digest
from mgit_core.lineage import (
    CommittedModel,
    Direction,
    Model,
    ModelCommit,
    ModelSummary,
    ParameterSet,
    ParentLink,
    ProvenanceEdge,
    Relation,
    RequestKey,
    RevisionEdge,
    Tag,
)
from mgit_core.names import Reference
from mgit_core.ports.audit import AuditQueries, GraphChecks
from mgit_core.ports.binding import Lease, Leases, StoreBinding, StoreState
from mgit_core.ports.bugs import Bugs
from mgit_core.ports.cascades import Cascades
from mgit_core.ports.exchange import Exchange
from mgit_core.ports.facts import Facts
from mgit_core.ports.model_tests import ModelTests
from mgit_core.ports.paging import Page
from mgit_core.ports.staging import StagedModels
from mgit_core.ports.walks import WalkQuery
from mgit_core.walks.graph import WalkGraph

__all__ = [
    "ContentQueries",
    "DuplicateGroup",
    "Edges",
    "GraphCounts",
    "Lease",
    "Leases",
    "Lineage",
    "Models",
    "Page",
    "RelatedModel",
    "SimilarModel",
    "Sketches",
    "StoreBinding",
    "StoreState",
    "Tags",
    "TensorUse",
    "Traversal",
    "TraversalQuery",
    "deadline",
    "remaining_s",
]

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""When the caller's time is over, on the monotonic clock; adapters pass the rest on to the server."""


def remaining_s() -> float | None:
    """Seconds until the deadline, at least a millisecond; None if there is no deadline."""
    at = deadline.get()
    return None if at is None else max(0.001, at - time.monotonic())


@dataclass(frozen=True, slots=True, kw_only=True)
class TraversalQuery:
    """Which relatives of a model are wanted.

    Attributes:
        uid: Where the traversal starts; the model itself is not in the answer.
        direction: Towards ancestors or descendants.
        relations: Edges to follow; empty means all.
        max_depth: Largest number of hops on the shortest path; None means no bound.
        limit: Largest number of models; None means all.
    """

    uid: str
    direction: Direction
    relations: tuple[Relation, ...] = ()
    max_depth: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedModel:
    """A relative with the hops of the shortest path to it."""

    model: ModelSummary
    hops: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorUse:
    """A model that holds a tensor, and under which parameter name."""

    model: ModelSummary
    parameter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGroup:
    """Present models with one parameter set, oldest first.

    Attributes:
        digest: Digest of the parameter set.
        models: Two models or more.
    """

    digest: Digest
    models: tuple[ModelSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCounts:
    """Sizes of the graph.

    Attributes:
        models: Present models.
        edges: Provenance edges.
        tensors: Distinct tensors of present models.
        logical_bytes: Bytes of all tensors and attached files of all present models that are whole.
        promised: Present models that are not: chunks of them are in another store.
        promised_bytes: Bytes of all their tensors and attached files.
    """

    models: int
    edges: int
    tensors: int
    logical_bytes: int
    promised: int = 0
    promised_bytes: int = 0


class Models(abc.ABC):
    """Models and their versions."""

    @abc.abstractmethod
    async def commit(self, commit: ModelCommit, request: RequestKey | None = None) -> CommittedModel:
        """Make one model visible, with everything that belongs to it. This is the commit.

        The version number is one more than the highest ever given under the name, case ignored.

        Raises:
            NotFoundError: PARENT_NOT_FOUND, or MODEL_NOT_FOUND for ``previous``.
            FailedPreconditionError: MODEL_REMOVED for a removed ``previous``.
            InvalidArgumentError: INVALID_NAME, if the name is taken in another case; INVALID_ARGUMENT, if a
                parent is named twice with one relation.
            ConflictError: REQUEST_ID_REUSED.
            UnavailableError: UPLOAD_STALE, if the epoch moved since the draft.
        """

    @abc.abstractmethod
    async def find_commit(self, request: RequestKey) -> CommittedModel | None:
        """The answer to an earlier commit with this request; None if there is none of the last 7 days.

        Raises:
            ConflictError: REQUEST_ID_REUSED.
        """

    @abc.abstractmethod
    async def commit_batch(self, commits: Sequence[ModelCommit]) -> list[CommittedModel]:
        """Up to 1,000 models in one transaction, all or none; a parent may stand earlier in the batch.

        Raises:
            As ``commit``, and InvalidArgumentError INVALID_ARGUMENT for more than 1,000. A batch that is too
            large for the memory of the graph server ends with ResourceExhaustedError LIMIT_EXCEEDED; the local
            stack's takes 40,000 new tensors at once.
        """

    @abc.abstractmethod
    async def get(self, reference: Reference) -> Model:
        """The model that ``reference`` names. ``latest`` is the highest version not removed.

        A removed model is returned, with its state, if it is named by uid or number.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, or TAG_NOT_FOUND.
        """

    @abc.abstractmethod
    async def list_latest(self, page: Page, *, prefix: str = "", type_name: str | None = None) -> list[Model]:
        """The latest present version of each name, by name in lower case; ``page.after`` is a name.

        Args:
            page: Which part.
            prefix: Only names that begin so, case ignored.
            type_name: Only where that version is of this type.
        """

    @abc.abstractmethod
    async def list_versions(self, name: str, page: Page) -> list[Model]:
        """All versions of a name, removed ones too, newest first; ``page.after`` is a number as text.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, if the name was never used.
            InvalidArgumentError: INVALID_PAGE_TOKEN, if ``page.after`` is no number.
        """

    @abc.abstractmethod
    async def list_created_together(self, group: str, page: Page) -> list[Model]:
        """Models that one call of a creation function made, removed ones too, by member; ``page.after`` is a member.

        Their creation records come without sources.
        """

    @abc.abstractmethod
    async def remove(self, uid: str, request: RequestKey | None = None) -> Model:
        """Remove a model; returns it as it was, with its parameters. Removing it again returns the tombstone.

        A tombstone (state removed, no parameters) stays if an edge, a tag, a test, a result or a bug touches the
        model; its number is never given again in either case. Tags that point to it are deleted.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
            FailedPreconditionError: MODEL_IN_USE, if a cascade that is not over replaces it or makes models from it.
        """


class Tags(abc.ABC):
    """Names for versions, unique within a model name, case-sensitive."""

    @abc.abstractmethod
    async def put(self, uid: str, tag: str, *, force: bool = False, request: RequestKey | None = None) -> Tag:
        """Point ``tag`` of the model's name to the model; a no-op if it does already.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
            FailedPreconditionError: MODEL_REMOVED.
            ConflictError: TAG_MOVED, if it points to another model and ``force`` is false.
        """

    @abc.abstractmethod
    async def delete(self, name: str, tag: str, request: RequestKey | None = None) -> Tag:
        """Delete a tag; returns what it was.

        Raises:
            NotFoundError: TAG_NOT_FOUND.
        """

    @abc.abstractmethod
    async def list(self, name: str) -> list[Tag]:
        """Tags of a model name, sorted; empty if there are none."""


class Edges(abc.ABC):
    """Edges after the fact. The graph of provenance and version edges together stays acyclic."""

    @abc.abstractmethod
    async def link(
        self, child_uid: str, link: ParentLink, request: RequestKey | None = None
    ) -> ProvenanceEdge:
        """Add a provenance edge behind the child's other parents.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, or PARENT_NOT_FOUND.
            AlreadyExistsError: EDGE_EXISTS for the same child, parent and relation.
            ConflictError: CYCLE, with the path that it would close.
        """

    @abc.abstractmethod
    async def unlink(
        self, child_uid: str, parent_uid: str, relation: Relation | None, request: RequestKey | None = None
    ) -> list[ProvenanceEdge]:
        """Delete the edge of this relation, or all between the two; returns what was deleted.

        Raises:
            NotFoundError: EDGE_NOT_FOUND.
        """

    @abc.abstractmethod
    async def link_revision(
        self, newer_uid: str, older_uid: str, request: RequestKey | None = None
    ) -> RevisionEdge:
        """Add a version edge.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
            AlreadyExistsError: EDGE_EXISTS, if the newer model has a version edge already.
            ConflictError: CYCLE.
        """

    @abc.abstractmethod
    async def unlink_revision(
        self, newer_uid: str, older_uid: str, request: RequestKey | None = None
    ) -> RevisionEdge:
        """Delete a version edge.

        Raises:
            NotFoundError: EDGE_NOT_FOUND.
        """


class Traversal(abc.ABC):
    """Questions over the lineage. Tombstones count as models; each model comes once, on any DAG."""

    @abc.abstractmethod
    def uids(self, query: TraversalQuery) -> AsyncIterator[list[str]]:
        """Relatives as uids in slices of some thousands, in no order; the cheapest form.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, at the first step.
        """

    @abc.abstractmethod
    def relatives(self, query: TraversalQuery) -> AsyncIterator[list[RelatedModel]]:
        """Relatives with hops, by hops and then uid, in slices.

        Raises:
            NotFoundError: MODEL_NOT_FOUND, at the first step.
        """

    @abc.abstractmethod
    async def count(self, query: TraversalQuery) -> int:
        """Number of relatives; ``limit`` is not heeded.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """

    @abc.abstractmethod
    async def lineage(
        self, uids: Sequence[str], *, max_models: int
    ) -> tuple[list[ModelSummary], list[ProvenanceEdge], list[RevisionEdge], bool]:
        """The models with all their ancestors and descendants, and every edge among them.

        Args:
            uids: Where to look; empty means the whole graph.
            max_models: Largest number of models; those in ``uids`` come first, then the others by uid.

        Returns:
            Models by creation time and uid, provenance edges by child and position, version edges, and
            whether ``max_models`` cut the answer.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """

    @abc.abstractmethod
    async def merge_bases(self, ours_uid: str, theirs_uid: str) -> list[ModelSummary]:
        """Common ancestors, ends included, that are no ancestor of another common one; by uid, maybe none.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """

    @abc.abstractmethod
    async def walk_graph(self, query: WalkQuery) -> WalkGraph:
        """The models that a walk may reach, and every followed edge among them, as they are now.

        All within ``max_depth`` hops of the nearest start are in it; or ``enough`` of them, all of fewer hops than the
        farthest among these included. Others MAY be in it. Later changes of the graph do not change it.

        Raises:
            NotFoundError: MODEL_NOT_FOUND.
        """


class ContentQueries(abc.ABC):
    """Questions from content to models."""

    @abc.abstractmethod
    async def models_with_tensor(self, digest: Digest, page: Page) -> list[TensorUse]:
        """Present models that hold the tensor, by uid and parameter; ``page.after`` is ``UID/PARAMETER``."""

    @abc.abstractmethod
    async def duplicates(self, page: Page) -> list[DuplicateGroup]:
        """Groups of present models with equal parameters, by digest; ``page.after`` is a hex digest."""

    @abc.abstractmethod
    async def parameter_sets(self, page: Page) -> list[Model]:
        """Present models by uid, for statistics over manifests; ``page.after`` is a uid.

        Type, edges, tags, data sets and creation record are left empty.
        """

    @abc.abstractmethod
    async def counts(self) -> GraphCounts:
        """Sizes of the graph."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarModel:
    """A present model whose parameters are near.

    Attributes:
        model: The model, the oldest of those with these parameters.
        similarity: Cosine of the two sketches, from -1 to 1.
    """

    model: ModelSummary
    similarity: float


class Sketches(abc.ABC):
    """One vector for each parameter set, to find relatives that nobody declared."""

    @abc.abstractmethod
    async def put(self, parameter_set: Digest, vector: Sequence[float]) -> None:
        """Set the sketch of a parameter set; a no-op if no present model has it any more.

        Args:
            parameter_set: Its digest.
            vector: ``mgit_core.similarity.DIMENSIONS`` numbers, of length 1; all zero for a set that is near
                to none.
        """

    @abc.abstractmethod
    async def nearest(self, vector: Sequence[float], limit: int) -> list[SimilarModel]:
        """Present models by similarity, best first; of those with one parameter set the oldest.

        A set that was put a moment ago may lack; one whose vector is all zero always does.

        Args:
            vector: As of ``put``; if it is all zero, nothing is near.
            limit: Largest number of models, from 1 to 100.
        """

    @abc.abstractmethod
    async def lacking(self, page: Page) -> list[ParameterSet]:
        """Parameter sets of present models that have no sketch, by digest; ``page.after`` is a hex digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """All ports of one graph.

    Two of them are about Cypher and what a database cannot forbid; a graph in memory has neither.
    """

    models: Models
    tags: Tags
    edges: Edges
    traversal: Traversal
    content: ContentQueries
    binding: StoreBinding
    leases: Leases
    sketches: Sketches
    facts: Facts
    bugs: Bugs
    model_tests: ModelTests
    staging: StagedModels
    cascades: Cascades
    exchange: Exchange
    audit: AuditQueries | None = None
    graph_checks: GraphChecks | None = None
