"""Values of the lineage graph: models, versions, edges, tags.

Every edge points from the newer thing to the older one: from child to parent, from version to the version
before it.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mgit_core.creation import CreationRecord
from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.loss import LossRecord
from mgit_core.metadata import MetadataValue, check_metadata

__all__ = [
    "CommittedModel",
    "Dataset",
    "Direction",
    "EdgeOrigin",
    "MetadataValue",
    "Model",
    "ModelCommit",
    "ModelState",
    "ModelSummary",
    "ParameterSet",
    "ParentLink",
    "Previous",
    "Promise",
    "ProvenanceEdge",
    "Relation",
    "RequestKey",
    "RevisionEdge",
    "Tag",
    "TensorRecord",
    "check_metadata",
    "parse_relation",
]


class Relation(enum.StrEnum):
    """The operation that made a child from a parent; the type of a provenance edge."""

    FINETUNED = "finetuned"
    ADAPTED = "adapted"
    PRUNED = "pruned"
    QUANTIZED = "quantized"
    DISTILLED = "distilled"
    MERGED = "merged"
    AGGREGATED = "aggregated"
    CAST = "cast"
    DERIVED = "derived"


class EdgeOrigin(enum.StrEnum):
    """Who says that a provenance edge exists."""

    DECLARED = "declared"
    INFERRED = "inferred"
    IMPORTED = "imported"


class ModelState(enum.StrEnum):
    """Whether a model can be read."""

    PRESENT = "present"
    REMOVED = "removed"
    STAGED = "staged"
    """Made by a cascade or a merge and not published: it has no number, and is named by its uid only."""


class Direction(enum.StrEnum):
    """Which way a traversal goes over provenance edges."""

    ANCESTORS = "ancestors"
    DESCENDANTS = "descendants"


def parse_relation(text: str) -> Relation:
    """The relation called ``text``, in any case.

    Raises:
        InvalidArgumentError: INVALID_RELATION.
    """
    try:
        return Relation(text.lower())
    except ValueError:
        raise InvalidArgumentError(
            ErrorReason.INVALID_RELATION,
            f"A relation is one of {', '.join(Relation)}; found {text[:80]!r}.",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestKey:
    """What makes a mutation idempotent.

    Attributes:
        id: Chosen by the caller; unique for each intended change, 1 to 128 printable characters.
        arguments_digest: Digest of the request's arguments; the same id with other arguments is refused.
    """

    id: str
    arguments_digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord:
    """A parameter as the graph knows it.

    Attributes:
        name: Parameter name.
        digest: Identity of the tensor.
        dtype: Name of the data type.
        shape: Lengths of the axes.
        size_bytes: Bytes of the tensor.
    """

    name: str
    digest: Digest
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Another store that has chunks which were left there by a partial clone.

    Attributes:
        store_id: Id of that store.
        remote: What the user called it, to say where to pull from.
    """

    store_id: str
    remote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """A parameter set as the graph knows it.

    Attributes:
        digest: Digest of its manifest.
        manifest_key: Object key of one stored copy of the manifest.
        size_bytes: Bytes of all tensors.
        tensor_count: Number of parameters.
        promised_by: Who has the chunks that this store lacks; None for a set that is whole.
    """

    digest: Digest
    manifest_key: str
    size_bytes: int
    tensor_count: int
    promised_by: Promise | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all of its chunks are in this store."""
        return self.promised_by is None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentLink:
    """A provenance edge that a new child asks for.

    Attributes:
        parent_uid: UID of an existing model.
        relation: How the child was made from it.
        weight: Share of the parent in a merge or average, if one is known.
        origin: Who says so.
        confidence: Between 0 and 1 for an inferred edge, else None.
    """

    parent_uid: str
    relation: Relation = Relation.DERIVED
    weight: float | None = None
    origin: EdgeOrigin = EdgeOrigin.DECLARED
    confidence: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenanceEdge:
    """A provenance edge, from child to parent.

    Attributes:
        child_uid: UID of the child.
        parent_uid: UID of the parent.
        relation: How the child was made.
        position: Order among the child's parents, from 0.
        weight: Share of the parent, if known.
        origin: Who says so.
        confidence: Between 0 and 1 for an inferred edge, else None.
        created_at: When the edge was recorded, UTC.
    """

    child_uid: str
    parent_uid: str
    relation: Relation
    position: int
    weight: float | None
    origin: EdgeOrigin
    confidence: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionEdge:
    """A version edge, from the newer model to the older one."""

    newer_uid: str
    older_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set that a model was trained on; one by name and version.

    Attributes:
        name: Name, as a model name is written.
        version: Version text; empty if none was given.
    """

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """Which version edge a new model gets.

    Attributes:
        uid: UID of the older model; None with ``automatic`` False means no version edge.
        automatic: The latest version of the same name, if there is one.
    """

    uid: str | None = None
    automatic: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCommit:
    """Everything that one transaction makes visible as one model.

    Attributes:
        uid: UUIDv7 of the model, chosen by the service; nobody else has it.
        name: Model name; its number is given by the transaction.
        created_at: UTC.
        type: Model type, a free label that groups models; None if not given.
        metadata: Checked by ``check_metadata``.
        parents: In order; each parent and relation once.
        previous: Which version edge.
        datasets: What the model was trained on.
        parameters: The parameter set.
        tensors: Its tensors, in order.
        files: Digest of the file list, if there is one.
        files_key: Object key of a stored copy of the file list.
        files_bytes: Bytes of attached content.
        epoch: Epoch of the store when the upload was drafted; another epoch now refuses the commit.
        loss: What guarded loss did, checked by ``mgit_core.loss.check_loss``; None for a model added as it is.
        layer_graph: Digest of the layer graph, if there is one.
        layer_graph_key: Object key of a stored copy of the layer graph.
        creation: How it was created, checked by ``mgit_core.creation.check_creation``; None if that is not known.
    """

    uid: str
    name: str
    created_at: datetime
    parameters: ParameterSet
    tensors: tuple[TensorRecord, ...]
    epoch: int
    type: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    parents: tuple[ParentLink, ...] = ()
    previous: Previous = field(default_factory=Previous)
    datasets: tuple[Dataset, ...] = ()
    files: Digest | None = None
    files_key: str | None = None
    files_bytes: int = 0
    loss: LossRecord | None = None
    layer_graph: Digest | None = None
    layer_graph_key: str | None = None
    creation: CreationRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """A model in a list.

    Attributes:
        uid: UID.
        name: Model name.
        version: Version number, from 1; 0 for a staged model.
        state: Whether it can be read.
        created_at: UTC.
    """

    uid: str
    name: str
    version: int
    state: ModelState
    created_at: datetime

    @property
    def ref(self) -> str:
        """``NAME@VERSION``, or ``@UID`` for a staged model."""
        return f"@{self.uid}" if self.state is ModelState.STAGED else f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(ModelSummary):
    """A model as the graph knows it.

    Attributes:
        type: Model type, or None.
        metadata: What its author wrote about it.
        parameters: The parameter set; None for a removed model.
        files: Digest of the file list, or None.
        files_key: Object key of a stored copy of the file list, or None.
        files_bytes: Bytes of attached content.
        parents: Provenance edges to its parents, in order.
        parent_refs: Reference of each parent, in the same order.
        previous: The model that a version edge points to, or None.
        tags: Tags that point to it, sorted.
        datasets: What it was trained on, sorted.
        loss: What guarded loss did; None for a model that was added as it is.
        layer_graph: Digest of the layer graph, or None.
        layer_graph_key: Object key of a stored copy of the layer graph, or None.
        creation: How it was created, or None.
    """

    type: str | None = None
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    parameters: ParameterSet | None = None
    files: Digest | None = None
    files_key: str | None = None
    files_bytes: int = 0
    parents: tuple[ProvenanceEdge, ...] = ()
    parent_refs: tuple[str, ...] = ()
    previous: ModelSummary | None = None
    tags: tuple[str, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    loss: LossRecord | None = None
    layer_graph: Digest | None = None
    layer_graph_key: str | None = None
    creation: CreationRecord | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedModel:
    """The answer to a commit.

    Attributes:
        model: The new model as it was at its commit, also where the same request made it before.
        same_as: References of up to 100 models that were present at the commit and had the same parameter
            set, by name and version.
        repeated: True if an earlier call with the same request id made the model.
    """

    model: Model
    same_as: tuple[str, ...]
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A tag of a model name.

    Attributes:
        model_name: The name within which the tag is unique.
        tag: The tag.
        model: What it points to.
    """

    model_name: str
    tag: str
    model: ModelSummary
