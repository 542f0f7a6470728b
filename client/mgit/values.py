"""What the calls of a repository take and give: frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from mgit_core.facts import ModelFacts
from mgit_core.lineage import Dataset, EdgeOrigin, ModelState, ModelSummary, Relation, RevisionEdge, Tag

__all__ = [
    "Addition",
    "Dataset",
    "DuplicateGroup",
    "Edge",
    "EdgeOrigin",
    "FileInfo",
    "Identified",
    "Lineage",
    "ModelFacts",
    "ModelReference",
    "ModelState",
    "ModelStatistics",
    "ModelSummary",
    "Parent",
    "Relation",
    "Relative",
    "Relatives",
    "RevisionEdge",
    "ServiceStatus",
    "Statistics",
    "Tag",
    "TensorStatistics",
    "TensorUse",
    "adapted",
    "aggregated",
    "cast",
    "derived",
    "distilled",
    "finetuned",
    "merged",
    "pruned",
    "quantized",
    "reference_of",
]


class Identified(Protocol):
    """A model of any detail."""

    @property
    def uid(self) -> str:
        """Its uid."""
        ...


ModelReference: TypeAlias = Identified | str


def reference_of(model: ModelReference) -> str:
    """The reference of ``model``: text as it is, a value by its uid, which no later version can change."""
    return model if isinstance(model, str) else f"@{model.uid}"


@dataclass(frozen=True, slots=True)
class Parent:
    """A provenance edge that is wanted.

    Attributes:
        parent: The older model.
        relation: How the child was made from it.
        weight: Share of the parent in a merge or average, if known.
        origin: Who says so.
        confidence: Between 0 and 1; only for an inferred edge.
    """

    parent: ModelReference
    relation: Relation = Relation.DERIVED
    weight: float | None = None
    origin: EdgeOrigin = EdgeOrigin.DECLARED
    confidence: float | None = None


def finetuned(parent: ModelReference, weight: float | None = None) -> Parent:
    """The child was trained further from ``parent``, all or some of the weights."""
    return Parent(parent, Relation.FINETUNED, weight)


def adapted(parent: ModelReference, weight: float | None = None) -> Parent:
    """The child is an adapter for ``parent``, or has one merged in."""
    return Parent(parent, Relation.ADAPTED, weight)


def pruned(parent: ModelReference, weight: float | None = None) -> Parent:
    """The child is ``parent`` with weights or structures taken out."""
    return Parent(parent, Relation.PRUNED, weight)


def quantized(parent: ModelReference, weight: float | None = None) -> Parent:
    """The child is ``parent`` in a coarser number format."""
    return Parent(parent, Relation.QUANTIZED, weight)


def distilled(parent: ModelReference, weight: float | None = None) -> Parent:
    """The child was trained to answer as ``parent`` does."""
    return Parent(parent, Relation.DISTILLED, weight)


def merged(parent: ModelReference, weight: float | None = None) -> Parent:
    """The child was computed from the weights of several models, ``parent`` among them."""
    return Parent(parent, Relation.MERGED, weight)


def aggregated(parent: ModelReference, weight: float | None = None) -> Parent:
    """The child is an average of copies that were trained apart, ``parent`` among them."""
    return Parent(parent, Relation.AGGREGATED, weight)


def cast(parent: ModelReference, weight: float | None = None) -> Parent:
    """The child has the values of ``parent`` in another data type."""
    return Parent(parent, Relation.CAST, weight)


def derived(parent: ModelReference, weight: float | None = None) -> Parent:
    """The child was made from ``parent`` in a way that is not said."""
    return Parent(parent, Relation.DERIVED, weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A provenance edge, from child to parent.

    Attributes:
        child_uid: UID of the child.
        parent_uid: UID of the parent.
        parent_ref: Reference of the parent, ``NAME@VERSION``; empty in lists of edges.
        relation: How the child was made.
        position: Order among the child's parents, from 0.
        weight: Share of the parent, if known.
        origin: Who says so.
        confidence: Between 0 and 1 for an inferred edge, else None.
        created_at: When the edge was recorded, UTC.
    """

    child_uid: str
    parent_uid: str
    parent_ref: str
    relation: Relation
    position: int
    weight: float | None
    origin: EdgeOrigin
    confidence: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """What adding a model did.

    Attributes:
        new_bytes: Bytes that the store grew by: packs with all headers, and their indexes.
        sent_bytes: Bytes of chunks that were sent.
        seconds: Wall time from opening the source to the answer.
        same_as: References of other models with the same parameters, up to 100.
        repeated: Whether an earlier call with the same request id made the model.
        notes: What the reader of the source wants a person to know, a sentence each.
    """

    new_bytes: int
    sent_bytes: int
    seconds: float
    same_as: tuple[str, ...]
    repeated: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo:
    """A file of a model: ``path`` is relative to the folder that was added."""

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True, repr=False)
class Relative:
    """A relative, with the hops of the shortest path to it."""

    model: ModelSummary
    hops: int

    def __repr__(self) -> str:
        return f"<{self.model.ref}, {self.hops} {'hop' if self.hops == 1 else 'hops'}>"


class Relatives:
    """Relatives as they arrive, by hops and then uid; iterable once.

    Whether a limit cut the answer is known when the iteration is over.
    """

    __slots__ = ("_is_truncated", "_parts")

    def __init__(self, parts: Iterator[tuple[list[Relative], bool]]) -> None:
        self._parts = parts
        self._is_truncated: bool | None = None

    def __iter__(self) -> Iterator[Relative]:
        truncated = False
        for relatives, truncated in self._parts:  # noqa: B007 - the last one counts
            yield from relatives
        if self._is_truncated is None:
            self._is_truncated = truncated

    @property
    def truncated(self) -> bool | None:
        """Whether a limit cut the answer; None until the iteration is over."""
        return self._is_truncated


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Lineage:
    """A part of the lineage graph.

    Attributes:
        models: By creation time and uid.
        edges: Provenance edges among them, by child and position.
        revisions: Version edges among them.
        truncated: Whether ``max_models`` cut the answer.
        facts: What is known of the models besides, in their order; empty unless it was asked for.
    """

    models: tuple[ModelSummary, ...]
    edges: tuple[Edge, ...]
    revisions: tuple[RevisionEdge, ...]
    truncated: bool
    facts: tuple[ModelFacts, ...] = ()

    def __repr__(self) -> str:
        cut = ", truncated" if self.truncated else ""
        return (
            f"<lineage of {len(self.models)} models, {len(self.edges)} provenance and "
            f"{len(self.revisions)} version edges{cut}>"
        )


@dataclass(frozen=True, slots=True)
class TensorUse:
    """A model that holds a tensor, and under which parameter name."""

    model: ModelSummary
    parameter: str


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Models with equal parameters, oldest first; ``digest`` is hexadecimal."""

    digest: str
    models: tuple[ModelSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """How a service is.

    Attributes:
        healthy: Whether all parts answer.
        problems: What does not answer, a sentence each.
        service_version: Version of the service.
        store_id: Id of the store; empty while it is not bound.
        epoch: Epoch of the store.
        neo4j_version: Empty while Neo4j does not answer.
        neo4j_edition: Empty while Neo4j does not answer.
        digest_algorithm: Digest algorithm of the store.
    """

    healthy: bool
    problems: tuple[str, ...]
    service_version: str
    store_id: str
    epoch: int
    neo4j_version: str
    neo4j_edition: str
    digest_algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Sums over the whole store; ``stored_bytes`` is what ``du --apparent-size`` says of its folder.

    Attributes:
        models: Present models.
        edges: Provenance edges.
        tensors: Distinct tensors of present models.
        logical_bytes: Bytes of all tensors and attached files of all present models that are whole.
        stored_bytes: The sum of the four that follow.
        pack_bytes: Packs.
        index_bytes: Indexes.
        manifest_bytes: Manifests.
        other_bytes: Root, file lists, temporary files and folders.
        reclaimable_bytes: Bytes in packs of chunks that no present model uses.
        chunks: Indexed chunks.
        promised: Present models that are not whole: chunks of them are in another store.
        promised_bytes: Bytes of all tensors and attached files of those.
    """

    models: int
    edges: int
    tensors: int
    logical_bytes: int
    stored_bytes: int
    pack_bytes: int
    index_bytes: int
    manifest_bytes: int
    other_bytes: int
    reclaimable_bytes: int
    chunks: int
    promised: int = 0
    promised_bytes: int = 0

    @property
    def ratio(self) -> float:
        """Logical bytes for each stored byte; 0 for an empty store."""
        return self.logical_bytes / self.stored_bytes if self.stored_bytes else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorStatistics:
    """How a tensor is stored.

    Attributes:
        name: Parameter name.
        digest: Digest of the tensor, hexadecimal.
        logical_bytes: Bytes of the tensor.
        stored_bytes: Bytes in packs of its chunks, each counted once.
        encodings: Encodings of its chunks, with how many have each.
        predictors: What its chunks are predicted from, with how many are so; ``none`` for those stored alone.
        shared_with: Other parameters, of this or another present model, that are the same tensor.
    """

    name: str
    digest: str
    logical_bytes: int
    stored_bytes: int
    encodings: Mapping[str, int] = field(default_factory=dict)
    predictors: Mapping[str, int] = field(default_factory=dict)
    shared_with: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatistics:
    """Sums over one model; ``stored_bytes`` is ``unique_bytes`` plus ``shared_bytes``.

    A chunk that is kept as a difference needs others to be read: they count as used by the model, too.

    Attributes:
        model: The model.
        logical_bytes: Bytes of its tensors and attached files.
        unique_bytes: Bytes in packs that no other present model uses.
        shared_bytes: Bytes in packs that another present model uses too.
        stored_bytes: What a reading of the model touches.
        delta_bytes: The part of ``stored_bytes`` that is differences to other chunks.
        tensors: In the order of the model.
    """

    model: ModelSummary
    logical_bytes: int
    unique_bytes: int
    shared_bytes: int
    stored_bytes: int
    delta_bytes: int
    tensors: tuple[TensorStatistics, ...]
