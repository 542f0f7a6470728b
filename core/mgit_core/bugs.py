"""Bugs of models, data sets and tensors, and whom they reach, as values and laws.

*Touched* by a bug is every model that it affects, that holds a tensor it affects, or that was trained on a data
set it affects. A model is *affected* if a path of zero or more carrying provenance edges leads from it to a touched
model and no model on the path, ends included, is fixed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from mgit_core.digest import Digest
from mgit_core.errors import ErrorReason, InvalidArgumentError
from mgit_core.lineage import Dataset, ModelSummary, Relation

__all__ = [
    "MAX_FIXES",
    "MAX_SUBJECTS",
    "AffectedModel",
    "AffectedReason",
    "Bug",
    "BugSeverity",
    "BugState",
    "BugSubject",
    "DatasetSubject",
    "ModelSubject",
    "TensorSubject",
    "check_bug",
    "order_subjects",
]

MAX_SUBJECTS = 1_000
# A fix covers what was made from the model too, so that more would hardly be told apart.
MAX_FIXES = 1_000
_MAX_TITLE_LENGTH = 200
_MAX_DESCRIPTION_LENGTH = 64 * 1024


class BugSeverity(enum.StrEnum):
    """How bad a bug is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class BugState(enum.StrEnum):
    """Whether a bug is still worked on."""

    OPEN = "open"
    CLOSED = "closed"


class AffectedReason(enum.StrEnum):
    """Why a model is affected. Of several reasons the first one counts."""

    DIRECT = "direct"
    TENSOR = "tensor"
    DATASET = "dataset"
    INHERITED = "inherited"


@dataclass(frozen=True, slots=True)
class ModelSubject:
    """A model that a bug affects.

    Attributes:
        uid: The model.
        ref: Its reference; filled in by the graph, else empty.
    """

    uid: str
    ref: str = ""


@dataclass(frozen=True, slots=True)
class TensorSubject:
    """A tensor that a bug affects, wherever it is held."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class DatasetSubject:
    """A data set that a bug affects; an empty version means all versions, later ones too."""

    dataset: Dataset


BugSubject: TypeAlias = ModelSubject | TensorSubject | DatasetSubject


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A bug.

    Attributes:
        id: UUIDv7, the same wherever the bug is copied to.
        title: One line.
        affects: What it affects, models first, then tensors, then data sets, each kind sorted.
        created_at: When it was reported, UTC.
        updated_at: When anything of it last changed, UTC.
        description: What is wrong, how it was found; may be empty.
        severity: How bad it is.
        state: Whether it is still worked on.
        carried_by: Relations that carry it from parent to child.
        fixed_in: Models that do not have it any more, by uid.
    """

    id: str
    title: str
    affects: tuple[BugSubject, ...]
    created_at: datetime
    updated_at: datetime
    description: str = ""
    severity: BugSeverity = BugSeverity.MEDIUM
    state: BugState = BugState.OPEN
    carried_by: tuple[Relation, ...] = tuple(Relation)
    fixed_in: tuple[ModelSummary, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AffectedModel:
    """A model that a bug affects.

    Attributes:
        model: The model.
        reason: Why.
        next_uid: Next model on the way to a touched one; None if it is touched itself. The way is the shortest
            without an inferred edge, or the shortest of all where there is none; the next model's goes on from it.
        hops: Edges on that way.
        is_inferred: Whether every way to a touched model needs an edge that was inferred from weights.
        tags: Tags that point to it, sorted.
    """

    model: ModelSummary
    reason: AffectedReason
    next_uid: str | None
    hops: int
    is_inferred: bool
    tags: tuple[str, ...] = ()


def order_subjects(subjects: Iterable[BugSubject]) -> tuple[BugSubject, ...]:
    """Each subject once: models by uid, then tensors by digest, then data sets by name and version."""
    kept = {_subject_key(subject): subject for subject in subjects}
    return tuple(kept[key] for key in sorted(kept))


def _subject_key(subject: BugSubject) -> tuple[int, str, str]:
    match subject:
        case ModelSubject():
            return 0, subject.uid, ""
        case TensorSubject():
            return 1, subject.digest.hex(), ""
        case DatasetSubject():
            return 2, subject.dataset.name, subject.dataset.version


def check_bug(bug: Bug) -> Bug:
    """``bug``, if every field may be kept.

    Raises:
        InvalidArgumentError: INVALID_BUG.
    """
    if not bug.title.strip() or len(bug.title) > _MAX_TITLE_LENGTH or not bug.title.isprintable():
        raise _invalid(
            f"The title of a bug is one line of 1 to {_MAX_TITLE_LENGTH} printable characters; "
            f"found {bug.title[:80]!r}."
        )
    if len(bug.description) > _MAX_DESCRIPTION_LENGTH or "\0" in bug.description:
        raise _invalid(
            f"The description of a bug has at most {_MAX_DESCRIPTION_LENGTH} characters, none of them NUL; found "
            f"{len(bug.description)}."
        )
    if not 1 <= len(bug.affects) <= MAX_SUBJECTS:
        raise _invalid(
            f"A bug affects 1 to {MAX_SUBJECTS} models, tensors or data sets; found {len(bug.affects)}."
        )
    if not bug.carried_by:
        raise _invalid("A bug is carried by at least one relation.")
    return bug


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(ErrorReason.INVALID_BUG, message)
