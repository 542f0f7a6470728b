"""Values of the lineage graph: models, versions, edges, tags.

Every edge points from the newer thing to the older one: from child to parent, from version to the version
before it.
"""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.loss import LossRecord

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
    "ProvenanceEdge",
    "Relation",
    "RequestKey",
    "RevisionEdge",
    "Tag",
    "TensorRecord",
    "check_metadata",
    "parse_relation",
]

MetadataValue: TypeAlias = str | int | float | bool

_METADATA_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
MAX_METADATA_BYTES = 64 * 1024


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
class ParameterSet:
    """A parameter set as the graph knows it.

    Attributes:
        digest: Digest of its manifest.
        manifest_key: Object key of one stored copy of the manifest.
        size_bytes: Bytes of all tensors.
        tensor_count: Number of parameters.
    """

    digest: Digest
    manifest_key: str
    size_bytes: int
    tensor_count: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """A model in a list.

    Attributes:
        uid: UID.
        name: Model name.
        version: Version number, from 1.
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
        """``NAME@VERSION``."""
        return f"{self.name}@{self.version}"


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


def check_metadata(metadata: Mapping[str, object]) -> dict[str, MetadataValue]:
    """``metadata`` as a dict, if it may be stored: plain values, named keys, 64 KiB at most as JSON.

    Raises:
        InvalidArgumentError: INVALID_METADATA.
    """
    checked = {key: _check_entry(key, value) for key, value in metadata.items()}
    size_bytes = len(json.dumps(checked).encode())
    if size_bytes > MAX_METADATA_BYTES:
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA,
            f"Metadata takes at most {MAX_METADATA_BYTES} bytes as JSON; found {size_bytes}.",
        )
    return checked


def _check_entry(key: str, value: object) -> MetadataValue:
    if not _METADATA_KEY.fullmatch(key):
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA,
            "A metadata key has up to 100 letters, digits, '_', '.' and '-' and starts with a letter or "
            f"'_'; found {key[:80]!r}.",
        )
    is_wide = isinstance(value, int) and not -(2**63) <= value < 2**63
    if not isinstance(value, str | int | float | bool) or is_wide:
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA,
            f"Metadata {key!r} is text, a 64-bit integer, a float or a boolean; found "
            f"{type(value).__name__}. Write nested values as JSON text.",
        )
    if isinstance(value, str) and any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA, f"Metadata {key!r} is not text: half a surrogate pair stands in it."
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgumentError(
            ErrorReason.INVALID_METADATA,
            f"Metadata {key!r} is {value}, which JSON cannot say; write it as text.",
        )
    return value
