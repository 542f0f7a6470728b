"""Checks of bugs, the same for every implementation."""

from __future__ import annotations

from collections.abc import Sequence

from mgit_core.bugs import MAX_FIXES
from mgit_core.errors import (
    ErrorReason,
    FailedPreconditionError,
    MGitError,
    NotFoundError,
    ResourceExhaustedError,
)
from mgit_core.lineage import ModelSummary
from mgit_storage.lineage import checks
from mgit_storage.lineage.bug_records import SubjectKeys

__all__ = ["bug_not_found", "check_fixes", "check_subjects", "model_not_affected"]


def bug_not_found(bug_id: str) -> MGitError:
    """The error for a bug that is not there."""
    return NotFoundError(ErrorReason.BUG_NOT_FOUND, f"There is no bug {bug_id}.", bug=bug_id)


def model_not_affected(bug_id: str, model: ModelSummary) -> MGitError:
    """The error for a fix in a model that the bug does not reach."""
    return FailedPreconditionError(
        ErrorReason.MODEL_NOT_AFFECTED,
        f"Bug {bug_id} does not reach {model.ref}: it is not touched, and no edge that carries the bug leads from it "
        "to an affected model. Record the fix in an affected model, or force it.",
        bug=bug_id,
        uid=model.uid,
    )


def check_fixes(bug_id: str, fixes: int) -> None:
    """Refuse one fix more than a bug may have.

    Raises:
        ResourceExhaustedError: LIMIT_EXCEEDED.
    """
    if fixes >= MAX_FIXES:
        raise ResourceExhaustedError(
            ErrorReason.LIMIT_EXCEEDED,
            f"Bug {bug_id} is fixed in {fixes} models, and more than {MAX_FIXES} are not kept; a fix in a model "
            "covers what was made from it.",
            bug=bug_id,
        )


def check_subjects(keys: SubjectKeys, found: Sequence[Sequence[object]]) -> None:
    """Refuse a bug of what is not there; names the first that lacks.

    Args:
        keys: What the bug affects.
        found: What of it is there: models, tensors, versions of data sets, and data sets with any version.

    Raises:
        NotFoundError: MODEL_NOT_FOUND, TENSOR_NOT_FOUND or DATASET_NOT_FOUND.
    """
    models, tensors, datasets, names = map(frozenset, found)
    for uid in keys.model_uids:
        if uid not in models:
            raise checks.model_not_found(f"@{uid}")
    for digest in keys.tensors:
        if digest not in tensors:
            raise NotFoundError(
                ErrorReason.TENSOR_NOT_FOUND, f"No present model holds a tensor {digest}.", digest=digest
            )
    unknown = [f"{name}@{version}" for name, version in keys.datasets if (name, version) not in datasets]
    unknown += [name for name in keys.every_version_of if name not in names]
    for dataset in unknown[:1]:
        raise NotFoundError(
            ErrorReason.DATASET_NOT_FOUND, f"No model was trained on a data set {dataset}.", dataset=dataset
        )
